//! No secret leaves the process: canary values come in by every way there is, go through every action and probe of the catalogue, with success and with
//! every kind of failure, and are looked for in everything that anybody could read afterwards. New actions and probes have to join.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use lifeboat::catalogue;
use serde_json::{Value, json};

use self::echo::Echo;
use self::forms::forms;
use crate::common::{LabProcess, folder, get, lifeboat, run, text};
use crate::samples::{in_lab, samples};

mod echo;
mod forms;

/// Every secret, by the environment variable that it comes in with. Those of a URL or a header are parts of what the variable holds.
const CANARIES: [(&str, &str); 15] = [
    // The lab's own: the only one with which it answers.
    ("LAB_KEY", "lab-secret-not-for-real-clouds"),
    ("AWS_SECRET_ACCESS_KEY", "canary/aws+secret-key"),
    ("AWS_SESSION_TOKEN", "canary-aws-session-token=="),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-aliyun-secret-key"),
    ("ALIBABA_CLOUD_SECURITY_TOKEN", "canary-aliyun-session-token"),
    ("PROFILE_AWS", "canary-aws-profile-token"),
    ("PROFILE_ALIYUN", "canary-aliyun-profile-token"),
    ("URL_PASSWORD", "canary-url-pässword"),
    ("URL_QUERY", "canary-url-query"),
    ("HEADER", "canary-header-bearer"),
    ("BODY", "canary \"body\" & more"),
    ("ENVIRONMENT", "canary-exec-environment"),
    ("STDIN", "canary-exec-stdin"),
    ("PARAMETER", "canary-parameter"),
    ("FILE", "canary-file"),
];
/// What is no secret, and is to be seen everywhere: a test that sees nothing would find nothing.
const CONTROL: &str = "control-to-be-seen";

fn canary(name: &str) -> &'static str {
    CANARIES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Parameters for the actions and probes that `samples` does not have: those that change no cloud. Secrets stand where the language takes them. A word that takes none
/// is tried with its example where nothing is written here.
fn others(echo: &Echo) -> Vec<(&'static str, Value)> {
    let secret = |name: &str| json!({ "secret": format!("env:C_{name}") });
    let file = json!({ "secret": format!("file:{}", echo.folder().join("secret").display()) });
    let bucket = |store: &str, bucket: &str| json!({ "store": store, "bucket": bucket });
    // What it was given in every writing; its own command line and that of Lifeboat go where nothing is masked.
    let show = format!(
        "{{ cat; printf %s \"$C\"; echo; printf %s \"$C\" | base64; printf %s \"$C\" | od -An -tx1 | tr -d ' \\n'; echo {CONTROL}; }} | tee /dev/stderr; \
         cat /proc/$PPID/cmdline /proc/$$/cmdline >> '{}/cmdline'; exit ",
        echo.folder().display()
    );
    let exec = |status: &str| json!({ "command": ["/bin/sh", "-c", format!("{show}{status}")], "env": { "C": secret("ENVIRONMENT") }, "stdin": secret("STDIN") });
    let headers = json!({ "Authorization": secret("HEADER"), "X-File": file });
    let asks = |url: &str| json!({ "url": secret(url), "headers": headers, "method": "POST", "body": secret("BODY") });
    let expecting = |url: &str, expect: Value| {
        let mut with = asks(url);
        with["expect"] = expect;
        with
    };
    let database = || json!({ "address": "shop.example.com:8080", "user": secret("HEADER"), "password": secret("PARAMETER"), "query": "select 1", "expect": { "text": CONTROL } });
    let server = |more: Value| {
        let mut server = json!({ "address": "shop.example.com:8080", "user": secret("HEADER"), "password": secret("PARAMETER") });
        server.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server
    };
    let reconciled = |more: Value| json!({ "source": server(more.clone()), "mirror": server(more), "table": "orders", "key": "id" });
    let canary = |more: Value| json!({ "source": server(more.clone()), "survivor": server(more), "expect": { "max_lag": "1s" } });
    let mirrored = |prefix: Value| json!({ "source": { "store": "aws", "bucket": "shop-orders-mirror", "prefix": prefix }, "mirror": { "store": "aliyun", "bucket": "shop-orders", "prefix": prefix }, "expect": { "max_lag": "1s" } });
    vec![
        ("approval", json!({ "text": CONTROL, "starter": true })),
        ("check.dns", json!({ "name": "shop.example.com" })),
        ("check.http", asks("URL_GOOD")),
        ("check.http", expecting("URL_GOOD", json!({ "body_contains": secret("PARAMETER") }))),
        ("check.http", expecting("URL_GOOD", json!({ "json": { "said": secret("PARAMETER") } }))),
        ("check.http", asks("URL_BAD")),
        ("check.http", asks("URL_GONE")),
        ("check.prometheus", json!({ "url": secret("URL_GOOD"), "query": "up", "expect": { "above": 0 } })),
        ("check.prometheus", json!({ "url": secret("URL_GONE"), "query": "up", "expect": { "above": 0 } })),
        ("exec", exec("0")),
        ("exec", exec("3")),
        ("http.request", asks("URL_GOOD")),
        ("http.request", asks("URL_BAD")),
        ("http.request", asks("URL_GONE")),
        ("manual", json!({ "text": CONTROL })),
        ("note", json!({ "text": CONTROL })),
        ("objects.reconcile", json!({ "source": bucket("aliyun", "shop-orders"), "mirror": bucket("aws", "shop-orders-mirror") })),
        ("mysql.reconcile", reconciled(json!({ "database": "shop", "tls": true }))),
        ("postgres.reconcile", reconciled(json!({ "database": "shop" }))),
        ("wait", json!({ "for": "1ms" })),
        ("wait-for", json!({ "probe": "p0" })),
        ("aliyun.cloudmonitor.alarm", json!({ "name": CONTROL })),
        ("aliyun.cloudmonitor.metric", json!({ "namespace": CONTROL, "metric": "Errors", "expect": { "below": 1 } })),
        ("aliyun.oss.freshness", json!({ "bucket": "shop-orders", "expect": { "max_age": "5s" } })),
        ("aws.cloudwatch.alarm", json!({ "name": CONTROL })),
        ("aws.cloudwatch.metric", json!({ "namespace": CONTROL, "metric": "Errors", "expect": { "below": 1 } })),
        ("aws.s3.freshness", json!({ "bucket": "shop-orders", "expect": { "max_age": "5s" } })),
        ("canary.mysql", canary(json!({ "database": "shop" }))),
        ("canary.objects", mirrored(json!("orders/"))),
        ("canary.postgres", canary(json!({ "database": "shop" }))),
        ("canary.redis", canary(json!({}))),
        ("dns", json!({ "name": "shop.example.com", "resolvers": ["shop.example.com:8080"] })),
        ("http", expecting("URL_GOOD", json!({ "body_contains": secret("PARAMETER") }))),
        ("http", asks("URL_BAD")),
        ("http.share", json!({ "url": secret("URL_BAD"), "headers": headers, "target": { "body_contains": secret("PARAMETER") } })),
        (
            "objects.lag",
            json!({ "source": bucket("aliyun", "shop-orders"), "mirror": bucket("aws", "shop-orders-mirror"), "expect": { "max_lag": "9s" } }),
        ),
        ("prometheus", json!({ "url": secret("URL_BAD"), "query": "up", "expect": { "above": 0 } })),
        (
            // There is an action of this name too.
            "probe exec",
            json!({ "command": ["/bin/sh", "-c", "cat; echo $SECRET >&2; exit 1"], "input": { "word": secret("STDIN") }, "env": { "SECRET": secret("ENVIRONMENT") } }),
        ),
        (
            "group",
            json!({ "of": { "one": { "uses": "http", "with": { "url": secret("URL_BAD"), "headers": { "Authorization": secret("HEADER") } } } } }),
        ),
        ("grpc.health", json!({ "address": "shop.example.com:8080", "service": CONTROL })),
        ("mysql", database()),
        ("postgres", database()),
        (
            "redis",
            json!({ "address": "shop.example.com:8080", "user": CONTROL, "password": secret("PARAMETER"), "expect": { "fresh": { "key": CONTROL, "max_age": "1s" } } }),
        ),
        ("tls", json!({ "address": "shop.example.com:8080", "name": "shop.example.com" })),
        ("tcp", json!({ "address": "shop.example.com:8080", "expect": { "greeting": CONTROL } })),
    ]
}

/// The definitions: one runbook with everything in it, and a scenario for each fault.
struct Workspace {
    folder: tempfile::TempDir,
    scenarios: Vec<String>,
    waiting: Vec<String>,
}

impl Workspace {
    fn new(echo: &Echo, lab: &LabProcess) -> Self {
        let folder = folder();
        let (mut steps, mut probes, mut scenarios, mut waiting, mut known) = (Vec::new(), json!({}), Vec::new(), Vec::new(), BTreeSet::new());
        let cloud = samples().into_iter().map(|sample| (sample.kind, sample.with));
        let others = others(echo);
        let is_written =
            |word: &str, is_probe: bool| others.iter().any(|(kind, _)| *kind == word || is_probe && kind.strip_prefix("probe ") == Some(word));
        let by_example: Vec<(&str, Value)> = catalogue::actions()
            .iter()
            .filter(|row| !row.mutates && row.secrets.is_empty() && !is_written(row.kind, false))
            .map(|row| (row.kind, in_lab(row.example)))
            .chain(
                catalogue::probes()
                    .iter()
                    .filter(|row| row.secrets.is_empty() && !is_written(row.kind, true))
                    .map(|row| (row.kind, in_lab(row.example))),
            )
            .collect();
        for (number, (kind, with)) in cloud.chain(others).chain(by_example).enumerate() {
            known.insert(kind);
            let (kind, is_probe) = match kind.strip_prefix("probe ") {
                Some(kind) => (kind, true),
                None => (kind, catalogue::action(kind).is_none()),
            };
            if is_probe {
                let id = format!("p{}", probes.as_object().unwrap().len());
                probes[id] = json!({ "uses": kind, "with": with, "every": "700ms", "bad_after": 1 });
            } else if catalogue::action(kind).unwrap().fault {
                let name = format!("fault{number}.yaml");
                let fault = json!({ "uses": kind, "with": with, "lease": "1m" });
                let mut scenario =
                    json!({ "lifeboat": 1, "kind": "scenario", "title": CONTROL, "fault": fault, "failover": { "runbook": "say.yaml" } });
                scenario["probes"] = probes.clone();
                fs::write(folder.path().join(&name), scenario.to_string()).unwrap();
                scenarios.push(name);
            } else {
                let id = format!("s{number}");
                let mut step = json!({ "id": id, "uses": kind, "with": with, "timeout": "4s", "critical": false, "on_failure": "continue" });
                // The retries of the engine take another way than the first attempt.
                step["retry"] = json!({ "attempts": 2, "backoff": "1ms" });
                if ["approval", "manual"].contains(&kind) {
                    waiting.push(id);
                }
                steps.push(step);
            }
        }
        for kind in catalogue::actions().iter().map(|row| row.kind).chain(catalogue::probes().iter().map(|row| row.kind)) {
            assert!(known.contains(kind), "{kind} takes secrets and is not tested with any: add it to `others()` in {}", file!());
        }
        let write = |name: &str, definition: &Value| fs::write(folder.path().join(name), definition.to_string()).unwrap();
        write("all.yaml", &json!({ "lifeboat": 1, "kind": "runbook", "title": CONTROL, "probes": probes, "steps": steps }));
        let say = json!({ "id": "say", "uses": "note", "with": { "text": CONTROL } });
        write("say.yaml", &json!({ "lifeboat": 1, "kind": "runbook", "title": "Say", "steps": [say] }));
        let workspace = Self { folder, scenarios, waiting };
        workspace.project(echo, lab);
        workspace
    }

    /// The clouds of the lab as if they were real, and those of a service that quotes everything it is sent.
    fn project(&self, echo: &Echo, lab: &LabProcess) {
        let at = |name: &str| lab.endpoints[name].as_str().unwrap();
        let environment = |aws: &str, aliyun: &str, oss: &str| {
            json!({
                "aws": { "region": "us-east-1", "endpoint": aws },
                "aliyun": { "region": "cn-hangzhou", "endpoint": aliyun, "oss_endpoint": oss },
                "dns": { "server": at("dns") },
                "zones": { "example.com": { "provider": "aws" }, "example.cn": { "provider": "aliyun" } },
                "vars": { "greeting": CONTROL, "token": { "secret": "env:C_HEADER" } },
            })
        };
        let mut environments = json!({
            "ours": environment(at("aws"), at("aliyun"), at("oss")),
            "echo": environment(echo.url(), echo.url(), echo.url()),
            "profiled": environment(echo.url(), echo.url(), echo.url()),
            "lab": { "kind": "lab" },
        });
        for cloud in ["aws", "aliyun"] {
            environments["profiled"][cloud]["profile"] = json!("canary");
        }
        fs::write(self.folder.path().join("lifeboat.yaml"), json!({ "lifeboat": 1, "environments": environments }).to_string()).unwrap();
    }
}

/// Everything that was seen, and where.
#[derive(Default)]
struct Seen(Mutex<Vec<(String, Vec<u8>)>>);

impl Seen {
    fn add(&self, what: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().push((what.into(), bytes.into()));
    }

    /// Every file below `folder`.
    fn add_files(&self, folder: &Path) {
        for path in files(folder) {
            self.add(path.display().to_string(), fs::read(&path).unwrap());
        }
    }

    /// Where canaries stand, in any writing.
    fn leaks(&self) -> Vec<String> {
        let forms: Vec<(&str, String)> =
            CANARIES.iter().flat_map(|(name, secret)| forms(secret).into_iter().map(move |form| (*name, form))).collect();
        // By their first two bytes: each place is looked at once, however many forms there are.
        let mut by_start = vec![Vec::new(); 1 << 16];
        for (name, form) in &forms {
            by_start[usize::from(form.as_bytes()[0]) << 8 | usize::from(form.as_bytes()[1])].push((name, form.as_bytes()));
        }
        let seen = self.0.lock().unwrap();
        let mut leaks = Vec::new();
        for (what, bytes) in seen.iter() {
            let found = bytes.windows(2).enumerate().find_map(|(at, two)| {
                let forms = &by_start[usize::from(two[0]) << 8 | usize::from(two[1])];
                forms.iter().find(|(_, form)| bytes[at..].starts_with(form)).map(|(name, form)| (at, name, form.len()))
            });
            if let Some((at, name, length)) = found {
                leaks.push(format!("{name} in {what}: …{}", text(&bytes[at.saturating_sub(120)..at + length])));
            }
        }
        leaks
    }

    /// How many of what is called so the control string is in.
    fn controls(&self, what: &str) -> usize {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|(name, bytes)| name.contains(what) && String::from_utf8_lossy(bytes).contains(CONTROL)).count()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}

/// What the three test threads share.
struct Bench {
    echo: Echo,
    seen: Seen,
}

impl Bench {
    /// The command with every canary in its environment, at the highest verbosity that anything in it might listen to.
    fn command(&self, environment: &str) -> Command {
        let mut command = lifeboat();
        let url = |path: &str, base: &str| {
            let host = base.strip_prefix("http://").unwrap();
            let password: String = forms::percent(canary("URL_PASSWORD"));
            format!("http://ann:{password}@{host}{path}?mode=1&token={}", canary("URL_QUERY"))
        };
        command
            .envs(CANARIES.iter().map(|(name, secret)| (format!("C_{name}"), *secret)))
            .env("C_URL_GOOD", url("/good", self.echo.url()))
            .env("C_URL_BAD", url("/bad", self.echo.url()))
            .env("C_URL_GONE", url("/", "http://127.0.0.1:9"))
            .env("C_HEADER", format!("Bearer {}", canary("HEADER")))
            .envs([("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_ACCESS_KEY_ID", "AKIDCANARY")])
            .env("HOME", self.echo.folder());
        if environment == "ours" {
            command.env("AWS_ACCESS_KEY_ID", "LIFEBOATLAB000000001").env("AWS_SECRET_ACCESS_KEY", canary("LAB_KEY"));
            command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "LIFEBOATLAB000000001").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", canary("LAB_KEY"));
        } else if environment == "echo" {
            for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"] {
                command.env(name, canary(name));
            }
            command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "STS.CANARY");
        }
        command
    }

    fn run(&self, command: &mut Command) -> Output {
        let output = run(command);
        let arguments: Vec<String> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
        assert_ne!(output.status.code(), Some(70), "{arguments:?}: {}", text(&output.stderr));
        self.seen.add(format!("stdout of {}", arguments.join(" ")), output.stdout.clone());
        self.seen.add(format!("stderr of {}", arguments.join(" ")), output.stderr.clone());
        output
    }

    /// Runs one definition while the clouds misbehave by `rule`, takes it back, and looks at everything that came of it.
    fn attempt(&self, lab: &LabProcess, workspace: &Workspace, Case { environment, definition, rule, crash }: &Case) {
        let reports = folder();
        let command = |words: &[&str]| {
            let mut command = self.command(environment);
            command.current_dir(workspace.folder.path()).args(words).arg("--reports").arg(reports.path());
            command
        };
        let place: &[&str] = if *environment == "lab" { &["--env", "lab", "--lab", lab.control()] } else { &["--env", environment] };
        if let Some(rule) = rule {
            echo::send("POST", lab.control(), "/faults", &rule.to_string());
        }
        let mut first = if definition == "all.yaml" {
            let mut first = command(&["execute", definition, "--yes-because", CONTROL]);
            for id in &workspace.waiting {
                first.args(["--approve", &format!("{id}=bob")]);
            }
            first
        } else {
            command(&["drill", definition, "--output", "json"])
        };
        first.args(place);
        if let Some(point) = crash {
            first.env("LIFEBOAT_CRASH", point);
        }
        let output = self.run(&mut first);
        let began = fs::read_dir(reports.path()).is_ok_and(|mut runs| runs.any(|run| run.unwrap().path().join("journal.jsonl").is_file()));
        assert!(began, "{definition} in {environment} has not begun: {}", text(&output.stderr));
        if crash.is_some() {
            self.run(&mut command(&["resume", "latest"]));
        }
        self.captures(lab, &["/world", "/faults"]);
        echo::send("DELETE", lab.control(), "/faults", "");
        if definition == "all.yaml" {
            for words in [&["abort", "latest"][..], &["report", "latest", "--lang", "zh"], &["runs", "--output", "json"]] {
                self.run(&mut command(words));
            }
        }
        self.seen.add_files(reports.path());
    }

    fn captures(&self, lab: &LabProcess, paths: &[&str]) {
        for path in paths {
            self.seen.add(format!("{path} of the lab"), get(lab.control(), path));
        }
    }
}

struct Case {
    environment: &'static str,
    definition: String,
    rule: Option<Value>,
    crash: Option<&'static str>,
}

fn cases(workspace: &Workspace) -> Vec<Case> {
    let case = |environment, definition: &str, rule| Case { environment, definition: definition.to_owned(), rule, crash: None };
    let rule = |does: &str, only: &str, calls: &str| json!({ "does": does, "only": only, "count": "forever", "calls": calls });
    let rules = |first: &str, second: &str| Some(json!([rule(first, "changes", "ec2:*"), rule(second, "changes", "*")]));
    let mut cases = vec![
        Case { crash: Some("after:failover/s0:intended"), ..case("lab", "all.yaml", None) },
        case("ours", "all.yaml", Some(rule("hang-before", "changes", "*"))),
        case("ours", "all.yaml", None),
        case("echo", "all.yaml", None),
        case("profiled", "all.yaml", None),
        case("ours", "all.yaml", Some(rule("denied", "reads", "*"))),
        case("ours", "all.yaml", rules("denied", "malformed")),
        case("ours", "all.yaml", rules("malformed", "server-error")),
    ];
    for scenario in &workspace.scenarios {
        // Not for ever: a fault that cannot be taken out is tried for minutes.
        let twice = |does: &str, calls: &str| json!({ "does": does, "only": "changes", "count": 2, "calls": calls });
        cases.push(case("ours", scenario, Some(json!([twice("denied", "ec2:*"), twice("false-success", "*")]))));
        cases.push(case("ours", scenario, None));
    }
    cases
}

#[test]
fn no_secret_leaves_the_process() {
    let bench = Bench { echo: Echo::start(), seen: Seen::default() };
    let todo = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let lab = LabProcess::start(&["--time-scale", "20"]);
                let workspace = Workspace::new(&bench.echo, &lab);
                loop {
                    let next = todo.lock().unwrap().get_or_insert_with(|| cases(&workspace).into_iter()).next();
                    let Some(case) = next else { break };
                    bench.attempt(&lab, &workspace, &case);
                }
                bench.captures(&lab, &["/calls", "/truth", "/world"]);
            });
        }
    });
    let lab = LabProcess::start(&[]);
    let workspace = Workspace::new(&bench.echo, &lab);
    for words in [&["plan", "all.yaml"][..], &["validate", "."]] {
        for format in ["text", "json"] {
            let mut command = bench.command("ours");
            let env: &[&str] = if words[0] == "plan" { &["--env", "ours"] } else { &[] };
            bench.run(command.current_dir(workspace.folder.path()).args(words).args(env).args(["--output", format]));
        }
    }
    bench.seen.add("command lines", fs::read(bench.echo.folder().join("cmdline")).unwrap());
    let leaks = bench.seen.leaks();
    assert!(leaks.is_empty(), "{} leaks, such as\n{}", leaks.len(), leaks[..leaks.len().min(12)].join("\n"));
    for what in ["stdout of execute", "stdout of plan", "stdout of report", "journal.jsonl", "plan.json", "report.en.md", "report.zh.md", ".yaml"] {
        assert!(bench.seen.controls(what) > 0, "what is no secret is not seen in {what} either");
    }
    let masked = bench.seen.0.lock().unwrap().iter().filter(|(name, bytes)| name.contains("journal") && text(bytes).contains("***")).count();
    assert!(masked > 5, "nothing had to be masked");
    let lines = bench.seen.0.lock().unwrap().iter().find(|(name, _)| name == "command lines").map(|(_, bytes)| text(bytes)).unwrap();
    assert!(lines.contains("all.yaml") && lines.contains(CONTROL), "{lines}");
    assert!(bench.echo.was_told(canary("AWS_SESSION_TOKEN")) && bench.echo.was_told(canary("ALIBABA_CLOUD_SECURITY_TOKEN")));
    assert!(bench.echo.was_told(canary("HEADER")) && bench.echo.was_told(canary("FILE")) && bench.echo.was_told(canary("PROFILE_AWS")));
}

/// What is refused with a canary in it, and nowhere said.
fn check_refused(definition: &Value, project: &Value, arguments: &[&str]) {
    const SECRET: &str = "canary-literal-1";
    let (folder, write) = (folder(), |path: &Path, value: &Value| fs::write(path, a_key_a_line(value)).unwrap());
    write(&folder.path().join("it.yaml"), definition);
    write(&folder.path().join("lifeboat.yaml"), project);
    for words in [&["validate", "."][..], &["validate", ".", "--output", "json"], &["plan", "it.yaml"], &["execute", "it.yaml", "--env", "lab"]] {
        let with_arguments = words[0] != "validate";
        if !with_arguments && !arguments.is_empty() {
            continue;
        }
        let mut command = lifeboat();
        command.current_dir(folder.path()).args(words).args(arguments.iter().filter(|_| with_arguments));
        let output = run(&mut command);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(matches!(output.status.code(), Some(64 | 65)), "{words:?} of {definition}: {said}");
        assert!(!said.contains(SECRET), "{words:?} of {definition}: {said}");
    }
    assert!(!folder.path().join("reports").exists(), "nothing is kept of {definition}");
}

/// One key a line, so that a problem is shown with the line before it.
fn a_key_a_line(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn a_secret_that_stands_in_a_definition_is_refused_and_not_shown() {
    let none = json!({ "lifeboat": 1 });
    let step =
        |uses: &str, with: Value| json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "steps": [{ "id": "it", "uses": uses, "with": with }] });
    let url = "http://127.0.0.1:9/";
    for with in [
        json!({ "url": "http://ann:canary-literal-1@127.0.0.1:9/" }),
        json!({ "url": "http://127.0.0.1:9/?access_token=canary-literal-1" }),
        json!({ "url": url, "headers": { "Authorization": "Bearer canary-literal-1" } }),
        json!({ "url": url, "headers": { "X-Api-Key": { "secret": "canary-literal-1" } } }),
        json!({ "url": url, "body": { "user": "ann", "password": "canary-literal-1" } }),
        // Another problem in the next line.
        json!({ "headers": { "Cookie": "canary-literal-1" }, "method": "FETCH", "url": url }),
    ] {
        check_refused(&step("http.request", with), &none, &[]);
    }
    check_refused(&step("exec", json!({ "command": ["mysql", "--password=canary-literal-1"] })), &none, &[]);
    check_refused(&step("exec", json!({ "command": ["true"], "env": { "PGPASSWORD": "canary-literal-1" } })), &none, &[]);
    check_refused(&step("exec", json!({ "command": ["echo", { "secret": "env:CANARY" }] })), &none, &[]);
    let project = json!({ "lifeboat": 1, "environments": { "lab": { "kind": "lab", "vars": { "api_token": "canary-literal-1" } } } });
    check_refused(&step("note", json!({ "text": "x" })), &project, &[]);
    for value in ["token=canary-literal-1", "password={ secret: canary-literal-1 }", "password=[canary-literal-1"] {
        check_refused(&step("note", json!({ "text": "${{ vars.token }}" })), &none, &["--set", value]);
    }
}

#[test]
fn a_variable_and_a_parameter_may_hold_a_reference() {
    let echo = Echo::start();
    let project = folder();
    let write = |name: &str, value: Value| fs::write(project.path().join(name), value.to_string()).unwrap();
    write("lifeboat.yaml", json!({ "lifeboat": 1 }));
    let headers = json!({ "Authorization": "${{ parameters.token }}", "X-Two": "${{ vars.two }}" });
    write(
        "ask.yaml",
        json!({ "lifeboat": 1, "kind": "runbook", "title": "Ask", "parameters": { "token": { "type": "string" } },
                "steps": [{ "id": "ask", "uses": "http.request", "with": { "url": format!("{}/good", echo.url()), "headers": headers } }] }),
    );
    let reports = folder();
    let output = run(lifeboat()
        .current_dir(project.path())
        .args(["execute", "ask.yaml", "--env", "lab", "--with", "token={ secret: env:ONE }", "--set", "two={ secret: env:TWO }", "--reports"])
        .arg(reports.path())
        .envs([("ONE", "canary-reference-one"), ("TWO", "canary-reference-two")]));
    assert_eq!(output.status.code(), Some(3), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(echo.was_told("canary-reference-one") && echo.was_told("canary-reference-two"));
    for file in files(reports.path()) {
        assert!(!text(&fs::read(&file).unwrap()).contains("canary"), "{}", file.display());
    }
    let answered = crate::common::journal(reports.path()).unwrap();
    assert!(answered.contains("***") && answered.contains("env:ONE"), "{answered}");
}

/// `with` with one text after the other replaced by a reference to a secret.
fn each_as_secret(with: &Value) -> Vec<Value> {
    fn ways(value: &Value, way: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    ways(value, &format!("{way}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    ways(value, &format!("{way}/{index}"), found);
                }
            }
            Value::String(_) => found.push(way.to_owned()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    ways(with, "", &mut found);
    let replaced = |way: &String| {
        let mut with = with.clone();
        *with.pointer_mut(way).unwrap() = json!({ "secret": "env:RT" });
        with
    };
    found.iter().map(replaced).collect()
}

#[test]
fn a_secret_decides_nothing_of_what_is_acted_on() {
    const REFUSED: &str = "a secret must not decide this";
    let project = folder();
    let write = |name: &str, value: &Value| fs::write(project.path().join(name), value.to_string()).unwrap();
    write("lifeboat.yaml", &json!({ "lifeboat": 1 }));
    let say = json!({ "id": "say", "uses": "note", "with": { "text": CONTROL } });
    write("say.yaml", &json!({ "lifeboat": 1, "kind": "runbook", "title": "Say", "steps": [say] }));
    let mut count = 0;
    let mut is_fault = std::collections::BTreeMap::new();
    for sample in samples() {
        for with in each_as_secret(&sample.with) {
            let fault = catalogue::action(sample.kind).unwrap().fault;
            let name = format!("bad{count}.yaml");
            if fault {
                let fault = json!({ "uses": sample.kind, "with": with, "lease": "1m" });
                write(&name, &json!({ "lifeboat": 1, "kind": "scenario", "title": "T", "fault": fault, "failover": { "runbook": "say.yaml" } }));
            } else {
                let step = json!({ "id": "it", "uses": sample.kind, "with": with });
                write(&name, &json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "steps": [step] }));
            }
            is_fault.insert(name, fault);
            count += 1;
        }
    }
    assert!(count > 20 && is_fault.values().any(|fault| *fault));
    let said = text(&run(lifeboat().current_dir(project.path()).args(["validate", "."])).stderr);
    for name in is_fault.keys() {
        assert!(said.contains(&format!("{name}:1:")), "{name} passed: {said}");
    }
    assert!(said.matches(REFUSED).count() >= count, "{} of {count} are refused for it: {said}", said.matches(REFUSED).count());

    // A variable or a parameter of the runbook does not carry one there either, whether it is written or given at the start; nor does a probe take one.
    let step = |value: &str| {
        json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "parameters": { "job": { "type": "string" } },
        "steps": [{ "id": "it", "uses": "aliyun.dts.start-job", "with": { "job": value } }] })
    };
    let bucket =
        json!({ "b": { "uses": "aws.s3.freshness", "every": "1s", "with": { "bucket": { "secret": "env:RT" }, "expect": { "max_age": "5s" } } } });
    let wise = json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "steps": [{ "id": "it", "uses": "aliyun.dts.start-job", "with": { "job": "a" },
        "ungraceful": { "with": { "job": { "secret": "env:RT" } } } }] });
    write("variable.yaml", &step("${{ vars.job }}"));
    write("parameter.yaml", &step("${{ parameters.job }}"));
    write("probe.yaml", &json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "probes": bucket, "steps": [say] }));
    write("otherwise.yaml", &wise);
    for arguments in [
        &["execute", "variable.yaml", "--with", "job=a", "--set", "job={ secret: env:RT }"][..],
        &["execute", "parameter.yaml", "--with", "job={ secret: env:RT }"],
        &["execute", "probe.yaml"],
        &["execute", "otherwise.yaml"],
        &["plan", "otherwise.yaml"],
        &["plan", "bad0.yaml"],
    ] {
        let output = run(lifeboat().current_dir(project.path()).env("RT", "dtsorders-primary").args(arguments).args(["--env", "lab"]));
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(65) && said.contains(REFUSED), "{arguments:?}: {said}");
    }
    assert!(!project.path().join("reports").exists());
}
