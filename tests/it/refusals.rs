//! What is refused before anything begins, and what gets lost: exit codes, a word about what to do, and nothing left behind.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{LabProcess, folder, last_json, lifeboat, root, run, text};

/// A project with one environment on custom endpoints and a runbook that touches no cloud.
fn project(folder: &Path, endpoint: &str) -> Command {
    let project =
        format!("lifeboat: 1\nenvironments:\n  ours:\n    aws: {{ region: us-east-1, account: \"111122223333\", endpoint: \"{endpoint}\" }}\n");
    std::fs::write(folder.join("lifeboat.yaml"), project).unwrap();
    std::fs::write(folder.join("say.yaml"), "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps:\n  - { id: say, uses: note, with: { text: hello } }\n")
        .unwrap();
    let mut command = lifeboat();
    command
        .current_dir(folder)
        .args(["execute", "say.yaml", "--env", "ours"])
        .env("AWS_ACCESS_KEY_ID", "AKID")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

/// Says that the credentials belong to `account`, whatever is asked.
fn identity(account: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::{account}:root</Arn><UserId>{account}</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 8192]);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

#[test]
fn an_emergency_in_another_account_is_refused() {
    let folder = folder();
    let output = run(&mut project(folder.path(), &identity("999999999999")));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("999999999999") && said.contains("111122223333") && said.contains("hint:"), "{said}");
    assert!(!folder.path().join("reports").exists(), "a refused run leaves no folder");
    let output = run(&mut project(folder.path(), &identity("111122223333")));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn an_emergency_goes_on_when_the_cloud_cannot_say_whose_account_it_is() {
    let folder = folder();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&mut project(folder.path(), &format!("http://{gone}")));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn a_folder_of_runs_that_cannot_be_made_refuses_the_drill() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let before = lab.world();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = run(lifeboat().args(["drill", "scenarios/sync-stop.yaml", "--lab", lab.control(), "--reports"]).arg(&file));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("cannot read") && said.contains("--reports DIR"), "{said}");
    assert_eq!(lab.world(), before);
}

#[test]
fn a_disruption_that_begins_in_the_future_is_refused() {
    let folder = folder();
    let output = run(project(folder.path(), "http://127.0.0.1:9").args(["--since", "2200-01-01T00:00:00Z"]));
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_and_says_so() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let before = lab.world();
    // A limit for files does what a full disk does.
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", r#"ulimit -f 80; exec "$@""#, "sh"]).arg(env!("CARGO_BIN_EXE_lifeboat")).current_dir(root()).env_clear();
    limited.args(["drill", "scenarios/sync-stop.yaml", "--output", "json", "--lab", lab.control(), "--reports"]).arg(folder.path());
    let output = run(&mut limited);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    let line = last_json(&output);
    assert_eq!((text(&output.stdout).lines().count(), &line["verdict"]), (1, &Value::Null), "{line}");
    let name = line["run"].as_str().unwrap();
    assert!(text(&output.stderr).contains(&format!("lifeboat abort {name}")), "{}", text(&output.stderr));
    let output = run(lifeboat().args(["abort", name, "--reports"]).arg(folder.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = lifeboat().arg("schema").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output.stderr).contains("standard output cannot be written"), "{}", text(&output.stderr));
}
