//! What strangers leave: folders of runs that are theirs or a copy, links, texts that act on a terminal, definitions that name files elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::common::{LabProcess, folder, has_step, lifeboat, run, text};
use crate::workplace::UNJUDGED;

/// A program that leaves a trace, with one that takes it back and leaves another; a probe that is a program too.
const RUNBOOK: &str = "lifeboat: 1
kind: runbook
title: Leaves traces
probes:
  seen: { uses: exec, with: { command: [touch, PROBED] }, every: 100ms }
steps:
  - { id: touch, uses: exec, with: { command: [touch, MADE], undo: [touch, UNDONE] } }
  - { id: last, uses: wait, needs: [touch], with: { for: 10m }, timeout: 20m }
";

struct Place {
    lab: LabProcess,
    folder: tempfile::TempDir,
}

impl Place {
    /// A project with a run that was killed when its program had run.
    fn new() -> Self {
        Self::in_project("lifeboat: 1\n")
    }

    fn in_project(project: &str) -> Self {
        let place = Self { lab: LabProcess::start(&["--time-scale", "10"]), folder: folder() };
        fs::write(place.at("lifeboat.yaml"), project).unwrap();
        fs::write(place.at("traces.yaml"), RUNBOOK).unwrap();
        let output = run(place
            .command(&["execute", "traces.yaml", "--env", "lab", "--lab", place.lab.control()])
            .env("LIFEBOAT_CRASH", "after:failover/touch:applied"));
        assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
        assert!(place.at("MADE").exists());
        place.forget();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = lifeboat();
        command.current_dir(self.folder.path()).args(words);
        command
    }

    fn run_folder(&self) -> PathBuf {
        the_run(&self.at("reports"))
    }

    fn forget(&self) {
        let _ = fs::remove_file(self.at("PROBED"));
    }

    fn nothing_ran(&self, what: &str) {
        assert!(!self.at("UNDONE").exists() && !self.at("PROBED").exists(), "{what}: a program of the run was run");
    }
}

fn the_run(reports: &Path) -> PathBuf {
    let runs = fs::read_dir(reports).unwrap().map(|entry| entry.unwrap().path());
    runs.filter(|path| path.join("journal.jsonl").exists()).max().unwrap()
}

fn copied(from: &Path, to: &Path) {
    let output = run(Command::new("/bin/cp").arg("-r").arg(from).arg(to));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn refused(output: &Output, code: i32, part: &str) {
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(code) && said.contains(part), "{:?}: {said}{}", output.status, text(&output.stdout));
}

#[test]
fn programs_are_run_again_where_the_run_was_begun_and_nowhere_else() {
    let place = Place::new();
    let control = place.lab.control();
    for words in [
        &["abort", "latest", "--lab", control][..],
        &["abort", "latest", "--yes-because", "x"],
        &["resume", "latest"],
        &["halt", "--env", "lab", "--reason", "x"],
    ] {
        let copy = folder();
        let reports = copy.path().join("reports");
        copied(&place.at("reports"), &reports);
        let mut command = place.command(words);
        if words[0] == "resume" {
            // It would wait for minutes at its next step.
            command.env("LIFEBOAT_CRASH", "after:failover/last:started");
        }
        if words[0] == "halt" {
            // In its own project it would take back the original too, wherever it is asked.
            fs::copy(place.at("lifeboat.yaml"), copy.path().join("lifeboat.yaml")).unwrap();
            command.current_dir(copy.path());
        }
        let output = run(command.arg("--reports").arg(&reports));
        let expected = (words[0] != "resume").then_some(69);
        assert_eq!(output.status.code(), expected, "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        place.nothing_ran(&words.join(" "));
        assert!(!copy.path().join("UNDONE").exists(), "{words:?}");
        let journal = fs::read_to_string(the_run(&reports).join("journal.jsonl")).unwrap();
        assert!(expected.is_none() || journal.contains("is a copy of its run, which was begun in"), "{journal}");
    }
    // In its own folder it is taken back from anywhere, by the very programs that were meant.
    let elsewhere = folder();
    let output = run(lifeboat().current_dir(elsewhere.path()).args(["abort", "latest", "--lab", control, "--reports"]).arg(place.at("reports")));
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(place.at("UNDONE").exists(), "it is undone where it was done");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "and nowhere else");
}

#[test]
fn a_copy_reveals_no_secret_either() {
    let (lab, place) = (LabProcess::start(&["--time-scale", "10"]), folder());
    let secret = place.path().join("secret");
    fs::write(&secret, "a-secret-of-the-caller\n").unwrap();
    fs::write(place.path().join("lifeboat.yaml"), "lifeboat: 1\n").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let book = json!({
        "lifeboat": 1, "kind": "runbook", "title": "Asks",
        "probes": { "asks": { "uses": "http", "with": { "url": format!("http://{}/", listener.local_addr().unwrap()), "headers": { "X-Token": { "secret": format!("file:{}", secret.display()) } } }, "every": "100ms" } },
        "steps": [
            { "id": "start", "uses": "aws.ec2.start-instances", "with": { "instances": { "tags": { "role": "storefront", "posture": "standby" } } }, "timeout": "1m" },
            { "id": "last", "uses": "wait", "needs": ["start"], "with": { "for": "10m" }, "timeout": "20m" }
        ]
    });
    fs::write(place.path().join("asks.yaml"), book.to_string()).unwrap();
    let output = run(lifeboat()
        .current_dir(place.path())
        .args(["execute", "asks.yaml", "--env", "lab", "--lab", lab.control()])
        .env("LIFEBOAT_CRASH", "after:failover/start:applied"));
    assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
    // Those of its own process may still wait there.
    while listener.accept().is_ok() {}
    let copy = folder();
    copied(&place.path().join("reports"), &copy.path().join("reports"));
    let (reports, control) = (copy.path().join("reports"), lab.control().to_owned());
    let asked = std::thread::spawn(move || {
        let output = run(lifeboat().args(["abort", "latest", "--yes-because", "x", "--lab", &control, "--reports"]).arg(reports));
        (output.status.code(), text(&output.stderr))
    });
    let mut heard = String::new();
    while !asked.is_finished() {
        match listener.accept() {
            Ok((mut stream, _)) => {
                use std::io::Read as _;
                stream.set_read_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
                let _ = stream.read_to_string(&mut heard);
            }
            Err(_) => std::thread::park_timeout(std::time::Duration::from_millis(10)),
        }
    }
    let (code, said) = asked.join().unwrap();
    assert!(code == Some(69) && said.contains("everything is put back"), "what a cloud can take back is taken back: {said}");
    assert!(heard.contains("GET /"), "it was asked");
    assert!(!heard.contains("a-secret-of-the-caller"), "{heard}");
}

#[test]
fn the_run_of_somebody_else_is_not_opened() {
    let place = Place::new();
    if !rustix::process::getuid().is_root() {
        // Nobody but root can give a file away, or read what is somebody else's alone.
        assert!(!fs::metadata(place.run_folder()).unwrap().permissions().readonly());
        return;
    }
    let before = files(&place.run_folder());
    // One file of it is enough.
    for theirs in [vec![place.run_folder().join("definitions/traces.yaml")], all(&place.run_folder())] {
        theirs.iter().for_each(|path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap());
        for words in
            [&["abort", "latest"][..], &["resume", "latest"], &["report", "latest"], &["report", "latest", "--lang", "en"], &["samples", "latest"]]
        {
            refused(&run(&mut place.command(words)), 69, "belongs to user id 65534, this is root");
            place.nothing_ran(&words.join(" "));
        }
        let halted = run(&mut place.command(&["halt", "--env", "lab", "--reason", "x"]));
        refused(&halted, 0, "is left alone");
        let listed = run(&mut place.command(&["runs"]));
        assert!(text(&listed.stdout).contains("belongs to user id 65534"), "{}", text(&listed.stdout));
        place.nothing_ran("halt and runs");
        assert_eq!(files(&place.run_folder()), before, "nothing in it was changed");
    }
}

#[test]
fn a_group_that_the_environment_names_shares_its_runs() {
    let place =
        Place::in_project(&format!("lifeboat: 1\nenvironments:\n  lab: {{ kind: lab, group: \"{}\" }}\n", rustix::process::getegid().as_raw()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for path in all(&place.run_folder()) {
        let expected = if path.is_dir() { 0o2770 } else { 0o660 };
        assert!(mode(&path) == expected || path.ends_with("ctl.sock"), "{} has {:o}", path.display(), mode(&path));
    }
    if rustix::process::getuid().is_root() {
        all(&place.run_folder()).iter().for_each(|path| std::os::unix::fs::chown(path, Some(65534), None).unwrap());
    }
    let output = run(&mut place.command(&["abort", "latest"]));
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(place.at("UNDONE").exists(), "for the user that began it");
    // Another environment's group vouches for nothing here.
    fs::write(place.at("lifeboat.yaml"), "lifeboat: 1\n").unwrap();
    let output = run(&mut place.command(&["report", "latest"]));
    let expected = if rustix::process::getuid().is_root() { 69 } else { 0 };
    assert_eq!(output.status.code(), Some(expected), "{}", text(&output.stderr));
}

/// A folder and everything in it.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(all(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// What is in the files of a folder.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    all(folder).into_iter().filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

#[test]
fn no_command_writes_or_reads_through_a_link() {
    let place = Place::new();
    let victim = place.at("victim");
    let names = ["report.en.md", "report.zh.md", "timeline.en.svg", "journal.head", "samples-2.arrows", "ctl.path", "definitions/extra", "plan.json"];
    for name in names {
        fs::write(&victim, "mine\n").unwrap();
        let path = place.run_folder().join(name);
        let kept = fs::read(&path).ok();
        let _ = fs::remove_file(&path);
        symlink(&victim, &path).unwrap();
        for words in [&["report", "latest"][..], &["abort", "latest", "--yes-because", "x"], &["resume", "latest"], &["ctl", "latest", "status"]] {
            refused(&run(&mut place.command(words)), 69, &format!("{name} is a link, which is not followed"));
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n", "{name}");
        fs::remove_file(&path).unwrap();
        if let Some(kept) = kept {
            fs::write(&path, kept).unwrap();
        }
    }
    // The folder itself, under the name of another run.
    let (real, alias) = (place.run_folder(), place.at("reports/99991231T000000.000Z-alias-0000"));
    symlink(&real, &alias).unwrap();
    refused(&run(&mut place.command(&["report", "latest"])), 69, "is a link");
    fs::remove_file(&alias).unwrap();
    // What is kept by environment.
    fs::create_dir(place.at("elsewhere")).unwrap();
    let _ = fs::remove_dir_all(place.at("reports/environments"));
    symlink(place.at("elsewhere"), place.at("reports/environments")).unwrap();
    refused(&run(&mut place.command(&["halt", "--env", "lab", "--reason", "x"])), 69, "is a link");
    assert_eq!(fs::read_dir(place.at("elsewhere")).unwrap().count(), 0);
    place.nothing_ran("links");
}

/// What acts on a terminal or deceives whoever reads, as a title may hold it.
const EVIL: &str = "Ok\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}evil\u{2066}\u{200b}\u{e0041}x\rproduction\nbob approves it";

fn is_evil(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{e0000}'..='\u{e0fff}')
}

/// JSON in ASCII: what is no letter of it stands there by its number, which YAML reads too.
fn escaped(json: &str) -> String {
    let one = |c: char| match u32::from(c) {
        0x7f..0x10000 => format!("\\u{:04x}", u32::from(c)),
        0x10000.. => format!("\\U{:08x}", u32::from(c)),
        _ => c.to_string(),
    };
    json.chars().map(one).collect()
}

fn is_harmless(what: &str, bytes: &[u8]) {
    let said = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!said.contains(is_evil), "{what}: {said:?}");
    assert!(!said.lines().any(|line| line.starts_with("bob approves")), "{what}: {said}");
}

#[test]
fn nothing_that_is_printed_or_pictured_acts_on_whoever_reads_it() {
    let (lab, place) = (LabProcess::start(&["--time-scale", "10"]), folder());
    let write = |name: &str, value: serde_json::Value| fs::write(place.path().join(name), escaped(&value.to_string())).unwrap();
    write(
        "lifeboat.yaml",
        json!({ "lifeboat": 1, "environments": { "lab": { "kind": "lab" }, "asks": { "kind": "lab", "guards": { "approvals": 1 } } } }),
    );
    let steps = json!([
        { "id": "say", "title": EVIL, "uses": "exec", "with": { "command": ["/bin/sh", "-c", format!("printf '%s' '{EVIL}'; printf '%s' '{EVIL}' >&2; exit 1")] } }
    ]);
    write("evil.yaml", json!({ "lifeboat": 1, "kind": "runbook", "title": EVIL, "description": EVIL, "steps": steps }));
    write(
        "drill.yaml",
        json!({ "lifeboat": 1, "kind": "scenario", "title": EVIL, "description": EVIL, "failover": { "runbook": "evil.yaml" },
                "probes": { "shop": { "title": EVIL, "uses": "exec", "with": { "command": ["/bin/sh", "-c", format!("echo '{}'", json!({ "state": "bad", "detail": EVIL }))] }, "every": "100ms" } },
                "fault": { "uses": "aliyun.dts.suspend-job", "with": { "job": "dtsorders-primary" }, "lease": "5m" } }),
    );
    write("wrong.yaml", json!({ "lifeboat": 1, "kind": "runbook", "title": "x", "steps": [{ "id": EVIL, "uses": EVIL, EVIL: EVIL }] }));
    let control = lab.control();
    let many: [(&[&str], &[i32]); 16] = [
        (&["validate", "."], &[65]),
        (&["validate", "evil.yaml"], &[0]),
        (&["plan", "drill.yaml", "--lab", control], &[0]),
        (&["drill", "drill.yaml", "--env", "asks", "--lab", control], &[77]),
        (&["approve", "drill.yaml", "--env", "asks"], &[0]),
        (&["drill", "drill.yaml", "--lab", control], &[2, 3, 4]),
        (&["execute", "evil.yaml", "--env", "lab", "--lab", control, "--yes-because", EVIL], &[2, 3]),
        (&["report", "latest", "--lang", "en"], &[0]),
        (&["report", "latest", "--lang", "zh"], &[0]),
        (&["runs"], &[0]),
        (&["report", EVIL], &[64]),
        (&["abort", EVIL], &[64]),
        (&["drill", EVIL], &[65]),
        (&[EVIL], &[64]),
        (&["halt", "--env", "lab", "--reason", EVIL], &[0]),
        (&["drill", "drill.yaml", "--lab", control, "--set", EVIL], &[64, 69]),
    ];
    for (words, codes) in many {
        for json in [false, true] {
            let reports = place.path().join("reports");
            let mut command = lifeboat();
            command.current_dir(place.path()).args(words).arg("--reports").arg(&reports);
            if json {
                command.args(["--output", "json"]);
            }
            let output = run(&mut command);
            let code = output.status.code().unwrap();
            assert!(
                codes.contains(&code) || code == 64 && words.len() == 1,
                "{words:?} ended with {code}: {}{}",
                text(&output.stdout),
                text(&output.stderr)
            );
            is_harmless(&format!("stdout of {words:?}"), &output.stdout);
            is_harmless(&format!("stderr of {words:?}"), &output.stderr);
        }
    }
    let kept: Vec<(PathBuf, Vec<u8>)> = files(&place.path().join("reports"))
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "md" || end == "svg"))
        .collect();
    assert!(kept.len() >= 8 && kept.iter().any(|(_, bytes)| text(bytes).contains("Ok")), "{}", kept.len());
    kept.iter().for_each(|(path, bytes)| is_harmless(&path.display().to_string(), bytes));
}

#[test]
fn no_file_outside_of_the_project_is_read_for_a_definition() {
    let outer = folder();
    let project = outer.path().join("project");
    fs::create_dir_all(project.join("runbooks")).unwrap();
    let write = |name: &str, text: &str| fs::write(project.join(name), text).unwrap();
    fs::write(outer.path().join("shadow"), "root:$6$canary-of-a-hash:19000\n").unwrap();
    fs::write(outer.path().join("shadow.yaml"), "root: [canary-of-a-hash\n").unwrap();
    write("lifeboat.yaml", "lifeboat: 1\nenvironments:\n  lab: { kind: lab }\n");
    write("runbooks/own.yaml", "lifeboat: 1\nkind: runbook\ntitle: Own\nsteps: [{ id: a, uses: note, with: { text: x } }]\n");
    symlink(outer.path().join("shadow"), project.join("runbooks/link.yaml")).unwrap();
    symlink(outer.path(), project.join("up")).unwrap();
    let absolute = outer.path().join("shadow").display().to_string();
    let scenario = |book: &str| {
        format!(
            "lifeboat: 1\nkind: scenario\ntitle: S\nfault: {{ uses: aliyun.dts.suspend-job, with: {{ job: x }}, lease: 5m }}\nfailover: {{ runbook: {book} }}\n"
        )
    };
    let told = |name: &str| {
        let mut told = Vec::new();
        for words in [&["validate", name][..], &["validate", "."], &["plan", name], &["drill", name]] {
            for format in ["text", "json"] {
                let output = run(lifeboat().current_dir(&project).args(words).args(["--output", format]));
                let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
                assert_eq!(output.status.code(), Some(65), "{words:?}: {said}");
                assert!(!said.contains("canary-of-a-hash") && !said.contains("$6$"), "{words:?}: {said}");
                told.push(said);
            }
        }
        told
    };
    for book in [absolute.as_str(), "../shadow", "../shadow.yaml", "../absent", "runbooks/link.yaml", "up/shadow.yaml", "/etc/passwd"] {
        write("s.yaml", &scenario(book));
        let said = told("s.yaml");
        assert!(said[0].contains("outside of the project") && !said[0].contains("did you mean"), "{book}: {}", said[0]);
    }
    // By a runbook, and by the way back.
    write("s.yaml", &format!("lifeboat: 1\nkind: runbook\ntitle: R\nsteps: [{{ id: a, runbook: {absolute} }}]\n"));
    told("s.yaml");
    write(
        "s.yaml",
        &format!("lifeboat: 1\nkind: runbook\ntitle: R\nback: {{ runbook: {absolute} }}\nsteps: [{{ id: a, uses: note, with: {{ text: x }} }}]\n"),
    );
    told("s.yaml");
    // A link among the files themselves.
    fs::remove_file(project.join("s.yaml")).unwrap();
    symlink(outer.path().join("shadow.yaml"), project.join("s.yaml")).unwrap();
    told("s.yaml");
    fs::remove_file(project.join("s.yaml")).unwrap();
    fs::remove_file(project.join("runbooks/link.yaml")).unwrap();
    write("s.yaml", &scenario("runbooks/own.yaml"));
    let output = run(lifeboat().current_dir(&project).args(["validate", "s.yaml"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // The calendar of a project, and the project file itself.
    write("lifeboat.yaml", &format!("lifeboat: 1\nenvironments:\n  lab: {{ kind: lab, guards: {{ freeze: {absolute} }} }}\n"));
    told("s.yaml");
    fs::remove_file(project.join("lifeboat.yaml")).unwrap();
    symlink(outer.path().join("shadow.yaml"), project.join("lifeboat.yaml")).unwrap();
    told("s.yaml");
}

#[test]
fn secrets_are_known_before_they_are_used_and_after_they_were() {
    let (lab, place) = (LabProcess::start(&["--time-scale", "10"]), folder());
    let secret = "canary+of/the\"late\" & 'last' step";
    fs::write(place.path().join("secret"), secret).unwrap();
    fs::write(place.path().join("lifeboat.yaml"), "lifeboat: 1\n").unwrap();
    let reference = json!({ "secret": format!("file:{}", place.path().join("secret").display()) });
    let show = "cat secret; cat secret | tr a-z A-Z; base64 -w 11 secret; base32 -w 9 secret; od -An -tx1 -v secret; \
                sed 's/&/\\&amp;/g; s/\"/\\&quot;/g' secret; sed 's/\"/\\\\\\\\\\\\\"/g' secret; env; echo control-to-be-seen";
    let exec = |id: &str, needs: &[&str], more: serde_json::Value| {
        let mut with = json!({ "command": ["/bin/sh", "-c", show] });
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "id": id, "uses": "exec", "needs": needs, "with": with })
    };
    let steps = json!([
        exec("early", &[], json!({})),
        exec("uses", &["early"], json!({ "env": { "TOKEN": reference } })),
        exec("late", &["uses"], json!({}))
    ]);
    fs::write(place.path().join("show.yaml"), json!({ "lifeboat": 1, "kind": "runbook", "title": "Show", "steps": steps }).to_string()).unwrap();
    let command = |words: &[&str]| {
        let mut command = lifeboat();
        command
            .current_dir(place.path())
            .args(words)
            .env("AWS_SECRET_ACCESS_KEY", "canary-of-the-operator")
            .env("SOME_OTHER", "canary-of-a-variable");
        command
    };
    let mut said = Vec::new();
    let output = run(command(&["execute", "show.yaml", "--env", "lab", "--lab", lab.control()]).env("LIFEBOAT_CRASH", "after:failover/uses:applied"));
    assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
    said.push(output);
    // The step that used it is over: nobody asks for the secret again.
    said.push(run(&mut command(&["resume", "latest"])));
    assert_eq!(said[1].status.code(), Some(UNJUDGED), "{}", text(&said[1].stderr));
    said.push(run(&mut command(&["report", "latest", "--lang", "en"])));
    let mut seen: Vec<u8> = said.into_iter().flat_map(|output| [output.stdout, output.stderr]).flatten().collect();
    files(&place.path().join("reports"))
        .into_iter()
        .filter(|(path, _)| path.extension().is_none_or(|end| end != "arrows"))
        .for_each(|(_, bytes)| seen.extend(bytes));
    let seen = text(&seen);
    let journal = fs::read_to_string(the_run(&place.path().join("reports")).join("journal.jsonl")).unwrap();
    assert!(has_step(&journal, "failover/late", "applied") && journal.matches("control-to-be-seen").count() >= 3, "{journal}");
    for canary in ["canary+of", "CANARY+OF", "the\\\"late", "late\\\\", "&quot;late", "canary-of-the-operator", "canary-of-a-variable"] {
        assert!(!seen.contains(canary), "{canary} is in {seen}");
    }
    // Any eight letters of it, however they are broken up.
    let bare: String = seen.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    for part in ["canaryofthelate", "y2fuyxj5k29ml3ro", "mnqw4ylspeww6zr", "63616e6172792b6f66"] {
        assert!(!bare.contains(part), "{part} is in {seen}");
    }
}
