//! Runs that are ended from outside: whatever the way out, nothing is left that was not asked to stay.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{LabProcess, folder, has_step, journal, last_json, lifeboat, run, text, until};

const OUTAGE: &str = "scenarios/aliyun-region-outage.yaml";

fn spawn(arguments: &[&str], lab: &LabProcess, reports: &std::path::Path) -> Child {
    lifeboat()
        .args(arguments)
        .args(["--output", "json", "--lab", lab.control(), "--reports"])
        .arg(reports)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn await_step(reports: &std::path::Path, step: &str, event: &str) {
    until(&format!("{step} {event}"), || journal(reports).filter(|journal| has_step(journal, step, event)));
}

fn runs(reports: &std::path::Path) -> serde_json::Value {
    last_json(&run(lifeboat().args(["runs", "--output", "json", "--reports"]).arg(reports)))
}

#[test]
fn a_terminated_drill_heals_undoes_and_exits_4() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let before = lab.world();
    let child = spawn(&["drill", OUTAGE], &lab, reports.path());
    await_step(reports.path(), "failover/start-standby", "intended");
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert_eq!(last_json(&output)["verdict"], "aborted");
    assert_eq!(lab.world(), before);
    let events = journal(reports.path()).unwrap();
    let position =
        |step: &str, event: &str| events.lines().position(|line| has_step(line, step, event)).unwrap_or_else(|| panic!("no {step} {event}"));
    assert!(position("fault", "undone") < position("failover/start-standby", "undoing"), "the fault is healed first");
}

#[test]
fn a_killed_drill_is_listed_and_abort_takes_everything_back() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let before = lab.world();
    let mut child = spawn(&["drill", OUTAGE], &lab, reports.path());
    await_step(reports.path(), "failover/start-standby", "intended");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(runs(reports.path())[0]["state"], "interrupted");
    assert_ne!(lab.world(), before, "the fault still stands");
    let output = run(lifeboat().args(["abort", "latest", "--output", "json", "--lab", lab.control(), "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
    let listed = runs(reports.path());
    assert_eq!((listed[0]["state"].as_str(), listed[0]["verdict"].as_str()), (Some("ended"), Some("aborted")));
}

#[test]
fn a_terminated_emergency_stops_and_leaves_everything_until_abort() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let before = lab.world();
    let child = spawn(&["execute", "runbooks/fail-over-to-aws.yaml", "--env", "lab"], &lab, reports.path());
    await_step(reports.path(), "failover/start-standby", "intended");
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let events = journal(reports.path()).unwrap();
    assert!(!events.contains(r#""event":"undoing""#), "nothing is undone unasked");
    assert_ne!(lab.world(), before);
    let output = run(lifeboat().args(["abort", "latest", "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
}

#[test]
fn an_altered_journal_is_refused_by_event() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let mut child = spawn(&["drill", OUTAGE], &lab, reports.path());
    await_step(reports.path(), "fault", "intended");
    child.kill().unwrap();
    child.wait().unwrap();
    let file = std::fs::read_dir(reports.path()).unwrap().next().unwrap().unwrap().path().join("journal.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replacen("\"steady-state\"", "\"steady-stale\"", 1)).unwrap();
    let output = run(lifeboat().args(["abort", "latest", "--lab", lab.control(), "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("event 1:") || text(&output.stderr).contains("event 2:"), "{}", text(&output.stderr));
}
