//! Which world a run is in: a lab, or accounts at addresses. It says which, and nobody takes it up in another one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::common::{LabProcess, folder, get, journal, last_json, lifeboat, run, text, until};
use crate::workplace::{Workplace, events, said};

/// A project whose environment `prod` is one of accounts, whose clouds a lab plays.
struct Accounts {
    lab: LabProcess,
    before: Value,
    folder: tempfile::TempDir,
}

impl Accounts {
    /// With its addresses in the project file, or left to variables.
    fn new(is_written: bool) -> Self {
        let (lab, folder) = (LabProcess::start(&[]), folder());
        let place = Self { before: lab.world(), lab, folder };
        let at = |name: &str| place.lab.endpoints[name].as_str().unwrap();
        let written = |text: String| if is_written { text } else { String::new() };
        let aws = format!("region: us-east-1, account: \"111122223333\"{}", written(format!(", endpoint: \"{}\"", at("aws"))));
        let about: Value = serde_json::from_str(&get(place.lab.control(), "/environment")).unwrap();
        let vars = &about["vars"];
        place.write(
            "lifeboat.yaml",
            &format!(
                "lifeboat: 1\nenvironments:\n  prod: {{ aws: {{ {aws} }}, guards: {{ max_fault: 30m }}, vars: {vars} }}\n  lab: {{ kind: lab }}\n"
            ),
        );
        place.write("drill.yaml", "lifeboat: 1\nkind: scenario\ntitle: Route\nfault: { uses: aws.ec2.blackhole-route, with: { route_table: \"${{ vars.checkout_route_table }}\", destination: \"${{ vars.checkout_route }}\", interface: \"${{ vars.spare_interface }}\" }, lease: 5m }\nfailover: { runbook: wait.yaml }\n");
        place.write("wait.yaml", "lifeboat: 1\nkind: runbook\ntitle: Wait\nsteps: [{ id: wait, uses: wait, with: { for: 3m }, timeout: 4m }]\n");
        place.write("say.yaml", "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
        place
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn reports(&self) -> PathBuf {
        self.folder.path().join("reports")
    }

    /// With the keys that the lab takes.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lifeboat();
        let key = |name: &str| self.lab.endpoints[name].as_str().unwrap().to_owned();
        command.current_dir(self.folder.path()).args(arguments);
        command.env("AWS_ACCESS_KEY_ID", key("access_key_id")).env("AWS_SECRET_ACCESS_KEY", key("secret_access_key"));
        command
    }

    /// Begins a drill, lets it inject its fault and kills it.
    fn killed_drill(&self, variables: &[(&str, &str)]) {
        let mut drill = self.command(&["drill", "drill.yaml", "--env", "prod"]);
        injected(drill.envs(variables.iter().copied()), &self.reports());
        assert_ne!(self.lab.world(), self.before, "the fault stands");
    }
}

/// Kills a drill once its fault is in.
fn injected(command: &mut Command, reports: &Path) {
    let mut drill: Child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the fault", || {
        let ended = drill.try_wait().unwrap();
        assert!(ended.is_none(), "it ended: {}", std::io::read_to_string(drill.stderr.take().unwrap()).unwrap());
        journal(reports).filter(|journal| crate::common::has_step(journal, "fault", "applied"))
    });
    drill.kill().unwrap();
    drill.wait().unwrap();
}

#[test]
fn a_run_on_accounts_is_not_taken_up_in_a_lab() {
    let (place, other) = (Accounts::new(true), LabProcess::start(&[]));
    place.killed_drill(&[]);
    let (written, changed, elsewhere) = (journal(&place.reports()), place.lab.world(), other.world());
    for command in ["abort", "resume"] {
        // Not in the lab that plays its clouds either: it was not begun as a lab's.
        for control in [other.control(), place.lab.control()] {
            let output = run(&mut place.command(&[command, "latest", "--lab", control]));
            said(&output, 64, &["was made in the clouds of accounts; nothing was changed", "leave --lab out"]);
        }
    }
    assert_eq!((journal(&place.reports()), place.lab.world(), other.world()), (written, changed, elsewhere));
    said(&run(&mut place.command(&["drill", "drill.yaml", "--env", "prod"])), 69, &["was left in environment prod and still holds"]);
    let output = run(&mut place.command(&["abort", "latest"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(place.lab.world(), place.before);
}

#[test]
fn what_is_said_of_a_lab_is_refused_in_an_environment_of_accounts() {
    let (place, other) = (Accounts::new(true), LabProcess::start(&[]));
    let control = other.control();
    for arguments in [
        &["drill", "drill.yaml", "--env", "prod", "--lab", control][..],
        &["execute", "say.yaml", "--env", "prod", "--yes", "--lab", control],
        &["plan", "drill.yaml", "--env", "prod", "--lab", control],
        &["reaper", "--env", "prod", "--lab", control],
        &["drill", "drill.yaml", "--env", "prod", "--seed", "1"],
        &["execute", "say.yaml", "--env", "prod", "--time-scale", "1"],
    ] {
        said(&run(&mut place.command(arguments)), 64, &["environment prod is one of accounts; nothing was changed"]);
    }
    assert!(!place.reports().exists());
    assert_eq!(place.lab.world(), place.before);
}

#[test]
fn a_run_of_a_lab_is_taken_up_in_that_lab_alone() {
    let (place, other) = (Workplace::new("1ms", "3m"), LabProcess::start(&[]));
    injected(&mut place.command(&place.starting(&["drill", "drill.yaml"])), &place.reports());
    let (written, elsewhere) = (journal(&place.reports()), other.world());
    for command in ["abort", "resume"] {
        let output = place.run(&[command, "latest", "--lab", other.control()]);
        said(&output, 69, &["was made in another world than this; nothing was changed", "it was made in lab ", "and this is lab "]);
    }
    assert_eq!((journal(&place.reports()), other.world()), (written, elsewhere.clone()));
    // A run whose lab was part of its process has none that runs.
    let reports = folder();
    let embedded = ["drill", "drill.yaml", "--reports", reports.path().to_str().unwrap()];
    injected(&mut place.command(&embedded), reports.path());
    let output = place.run(&["abort", "latest", "--reports", reports.path().to_str().unwrap(), "--lab", other.control()]);
    said(&output, 64, &["was made in a lab that was part of its process"]);
    assert_eq!(other.world(), elsewhere);
    let output = place.run(&["abort", "latest", "--lab", place.lab.control()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    place.is_as_before();
}

#[test]
fn a_run_on_accounts_is_taken_up_at_the_addresses_that_it_was_made_at() {
    let (place, other) = (Accounts::new(false), LabProcess::start(&[]));
    let at = |lab: &LabProcess| lab.endpoints["aws"].as_str().unwrap().to_owned();
    let (own, foreign) = (at(&place.lab), at(&other));
    place.killed_drill(&[("AWS_ENDPOINT_URL", &own)]);
    let changed = place.lab.world();
    for variables in [vec![("AWS_ENDPOINT_URL", foreign.as_str())], Vec::new()] {
        for command in ["abort", "resume"] {
            let output = run(place.command(&[command, "latest"]).envs(variables.iter().copied()));
            said(&output, 69, &["was made in another world than this; nothing was changed", "it was made with aws ", &own]);
        }
    }
    // The same by the profile is the same world.
    fs::create_dir(place.folder.path().join(".aws")).unwrap();
    place.write(".aws/config", &format!("[default]\nendpoint_url = {own}\n"));
    assert_eq!(place.lab.world(), changed);
    let output = run(place.command(&["abort", "latest"]).env("HOME", place.folder.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(place.lab.world(), place.before);
}

#[test]
fn whose_account_it_is_is_asked_where_things_are_changed_or_nothing_begins() {
    let (place, other) = (Accounts::new(false), LabProcess::start(&[]));
    let at = |lab: &LabProcess| lab.endpoints["aws"].as_str().unwrap().to_owned();
    let (own, foreign) = (at(&place.lab), at(&other));
    let calls = |lab: &LabProcess| get(lab.control(), "/calls");
    for variables in [
        &[("AWS_ENDPOINT_URL", own.as_str()), ("AWS_ENDPOINT_URL_STS", &foreign)][..],
        &[("AWS_ENDPOINT_URL_STS", &foreign), ("AWS_ENDPOINT_URL_EC2", &own)],
        &[("AWS_ENDPOINT_URL_EC2", &own)],
        &[("AWS_ENDPOINT_URL", &own), ("AWS_ENDPOINT_URL_S3", &foreign)],
    ] {
        for arguments in [
            &["drill", "drill.yaml", "--env", "prod"][..],
            &["plan", "drill.yaml", "--env", "prod"],
            &["execute", "say.yaml", "--env", "prod"],
            &["reaper", "--env", "prod"],
        ] {
            let output = run(place.command(arguments).envs(variables.iter().copied()));
            said(&output, 69, &["the calls of environment prod to aws go to different places", "nothing was changed", "AWS_ENDPOINT_URL_"]);
        }
    }
    assert_eq!((calls(&place.lab), calls(&other)), (String::new(), String::new()));
    assert!(!place.reports().exists());
}

#[test]
fn where_a_run_is_stands_in_the_plan_and_in_the_report_with_what_weakens_it() {
    let place = Accounts::new(false);
    let own = place.lab.endpoints["aws"].as_str().unwrap().to_owned();
    let variables = [("AWS_ENDPOINT_URL", own.as_str()), ("LIFEBOAT_NO_FSYNC", "1"), ("LIFEBOAT_CRASH", "after:1"), ("NO_PROXY", "x")];
    let notes = [
        "AWS_ENDPOINT_URL is set: calls to aws go to 127.",
        "LIFEBOAT_CRASH is set, and is heeded in labs only",
        "LIFEBOAT_NO_FSYNC is set, and is heeded in labs only",
    ];
    let shown = text(&run(place.command(&["plan", "say.yaml", "--env", "prod"]).envs(variables)).stdout);
    let world = format!("aws account 111122223333, us-east-1, CloudWatch and EC2 and Route 53 and S3 and STS at {own}");
    assert!(shown.contains(&world), "{shown}");
    let output = run(place.command(&["execute", "say.yaml", "--env", "prod"]).envs(variables));
    let told = text(&output.stdout) + &text(&output.stderr);
    let run = fs::read_dir(place.reports()).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.join("journal.jsonl").is_file()).unwrap();
    let journalled: Vec<Value> = events(&run).into_iter().filter(|event| event["event"] == "note").map(|event| event["text"].clone()).collect();
    for note in notes {
        assert!(shown.contains(note), "{note}: {shown}");
        assert!(told.contains(note), "{note}: {told}");
        assert!(journalled.iter().any(|text| text.as_str().unwrap().starts_with(note)), "{note}: {journalled:?}");
    }
    let report = fs::read_to_string(run.join("report.en.md")).unwrap();
    assert!(
        report.contains("`111122223333`") && report.contains(&format!("STS → `{own}`")) && report.contains("is set: calls to aws go to"),
        "{report}"
    );
}

#[test]
fn a_control_address_that_is_no_lab_leads_nowhere() {
    // Other people's emulators and relays answer anything to anybody.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let control = format!("http://{}", listener.local_addr().unwrap());
    let lab = LabProcess::start(&[]);
    let mut about: Value = serde_json::from_str(&get(lab.control(), "/environment")).unwrap();
    about["aws"] = json!("https://ec2.us-east-1.amazonaws.com");
    let body = about.to_string();
    let stranger = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        // One request for each command below.
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
    });
    let place = Workplace::new("1ms", "1ms");
    for arguments in [
        &["drill", "drill.yaml", "--lab", &control][..],
        &["execute", "over.yaml", "--env", "lab", "--lab", &control],
        &["plan", "drill.yaml", "--lab", &control],
        &["reaper", "--env", "lab", "--lab", &control],
    ] {
        let output: Output = place.run(arguments);
        said(&output, 69, &["is no lab of Lifeboat's; nothing was changed", "its `aws` is not at a loopback address of this machine"]);
    }
    stranger.join().unwrap();
    assert!(place.runs().is_empty());
    let listed = last_json(&place.run(&["runs", "--output", "json"]));
    assert_eq!(listed, json!([]));
}

#[test]
fn an_environment_of_accounts_is_halted_and_locked_by_its_accounts() {
    let (place, copy) = (Accounts::new(true), folder());
    for name in ["lifeboat.yaml", "drill.yaml", "wait.yaml", "say.yaml"] {
        fs::copy(place.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let there = |arguments: &[&str]| run(place.command(arguments).current_dir(copy.path()));
    let drill = ["drill", "drill.yaml", "--env", "prod"];
    // A run that goes on there is ended from here.
    let mut going_on = place.command(&drill).current_dir(copy.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the fault", || journal(&copy.path().join("reports")).filter(|journal| crate::common::has_step(journal, "fault", "applied")));
    said(&run(&mut place.command(&drill)), 69, &["is going on in environment prod; nothing was changed"]);
    let halted = run(&mut place.command(&["halt", "--env", "prod", "--reason", "an incident"]));
    assert_eq!(halted.status.code(), Some(0), "{}{}", text(&halted.stdout), text(&halted.stderr));
    assert_eq!(going_on.wait().unwrap().code(), Some(4));
    assert_eq!(place.lab.world(), place.before);
    said(&there(&drill), 69, &["an incident; nothing was changed", "lifeboat release --env prod"]);
    // Another environment of the same name, at other addresses, is another one: only its fault is refused, by nobody's lever.
    let written = fs::read_to_string(copy.path().join("lifeboat.yaml")).unwrap();
    fs::write(copy.path().join("lifeboat.yaml"), written.replace("111122223333", "444455556666")).unwrap();
    said(&there(&drill), 69, &["account: the credentials for aws belong to account 111122223333"]);
    fs::write(copy.path().join("lifeboat.yaml"), written).unwrap();
    assert_eq!(there(&["release", "--env", "prod"]).status.code(), Some(0));
    place.killed_drill(&[]);
    assert_eq!(run(&mut place.command(&["abort", "latest"])).status.code(), Some(0));
}
