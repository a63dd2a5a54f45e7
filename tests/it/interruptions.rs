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
    let said = text(&output.stderr);
    let left = said.lines().find_map(|line| line.strip_prefix("still in place: ")).unwrap_or_else(|| panic!("what stays is not said: {said}"));
    let (steps, command) = left.split_once(". To take it back: lifeboat ").unwrap();
    assert!(steps.contains("failover/start-standby"), "{steps}");
    let output = run(lifeboat().args(command.split(' ')));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("still in place"), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
}

#[test]
fn an_altered_journal_is_refused_by_event() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let mut child = spawn(&["drill", OUTAGE], &lab, reports.path());
    await_step(reports.path(), "fault", "intended");
    child.kill().unwrap();
    child.wait().unwrap();
    // Beside the run lies what is kept by environment.
    let mut folders = std::fs::read_dir(reports.path()).unwrap().map(|entry| entry.unwrap().path().join("journal.jsonl"));
    let file = folders.find(|file| file.is_file()).unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replacen("\"steady-state\"", "\"steady-stale\"", 1)).unwrap();
    let output = run(lifeboat().args(["abort", "latest", "--lab", lab.control(), "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("event 1:") || text(&output.stderr).contains("event 2:"), "{}", text(&output.stderr));
}

#[test]
fn a_killed_drill_whose_lab_died_with_it_is_ended_and_reported() {
    // Whoever wants it taken back has that; whoever wants to go on hears that it was aborted.
    for (command, code, again_says) in [("abort", 0, "left nothing to undo"), ("resume", 4, "there is nothing to go on with")] {
        let reports = folder();
        let mut child =
            lifeboat().args(["drill", OUTAGE, "--reports"]).arg(reports.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        await_step(reports.path(), "failover/start-standby", "intended");
        let running = run(lifeboat().args([command, "latest", "--reports"]).arg(reports.path()));
        assert_eq!(running.status.code(), Some(69), "it still runs: {}", text(&running.stderr));
        child.kill().unwrap();
        child.wait().unwrap();
        let output = run(lifeboat().args([command, "latest", "--output", "json", "--reports"]).arg(reports.path()));
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let result = last_json(&output);
        assert_eq!(result["verdict"], "aborted");
        let report = std::fs::read_to_string(crate::common::path(&result["report"])).unwrap();
        assert!(report.contains("simulated clouds ended with the process"), "{report}");
        let listed = run(lifeboat().args(["runs", "--reports"]).arg(reports.path()));
        assert!(text(&listed.stdout).contains("ended") && !text(&listed.stdout).contains("not undone"), "{}", text(&listed.stdout));
        let again = run(lifeboat().args([command, "latest", "--reports"]).arg(reports.path()));
        assert_eq!((again.status.code(), text(&again.stdout).contains(again_says)), (Some(code), true), "{}", text(&again.stderr));
    }
}

#[test]
fn a_run_that_died_before_its_first_event_is_listed_and_has_nothing_to_undo() {
    let reports = folder();
    let run_folder = reports.path().join("20261122T232711Z-x-0000");
    std::fs::create_dir(&run_folder).unwrap();
    std::fs::write(run_folder.join("journal.jsonl"), "").unwrap();
    let listed = run(lifeboat().args(["runs", "--reports"]).arg(reports.path()));
    assert!(text(&listed.stdout).contains("never began"), "{}", text(&listed.stdout));
    let output = run(lifeboat().args(["abort", "latest", "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = run(lifeboat().args(["report", "latest", "--reports"]).arg(reports.path()));
    assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_stops_the_run_and_says_how_to_take_it_back() {
    let (lab, reports) = (LabProcess::start(&[]), folder());
    let before = lab.world();
    // A limit on the size of files is a disk that is full for the journal.
    let script = format!(
        "ulimit -f 96; exec {} drill {OUTAGE} --output json --lab {} --reports {}",
        env!("CARGO_BIN_EXE_lifeboat"),
        lab.control(),
        reports.path().display()
    );
    let mut command = std::process::Command::new("/bin/sh");
    let output = run(command.current_dir(crate::common::root()).env_clear().env("PATH", "/usr/bin:/bin").args(["-c", &script]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    let hint =
        said.lines().find_map(|line| line.split_once("once it can be written again: lifeboat ")).unwrap_or_else(|| panic!("no command: {said}")).1;
    assert_eq!(runs(reports.path())[0]["state"], "interrupted");
    let output = run(lifeboat().args(hint.split(' ')));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
}

/// Runs a command whose disk fails as `crash` says; the message and how it ended.
fn with_failing_disk(crash: &str, arguments: &[&str], lab: &LabProcess, reports: &std::path::Path) -> (Option<i32>, String) {
    let output = run(lifeboat().env("LIFEBOAT_CRASH", crash).args(arguments).args(["--lab", lab.control(), "--reports"]).arg(reports));
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn whatever_becomes_of_the_disk_no_fault_stands_and_abort_puts_the_rest_back() {
    for (crash, code) in
        [("full:fault:applied", 69), ("read-only:failover/start-standby:intended", 69), ("gone:fault:applied", 4), ("brief:fault:applied", 4)]
    {
        let (lab, reports) = (LabProcess::start(&[]), folder());
        let (world, marks) = (lab.world(), lab.world().to_string().matches("lifeboat:").count());
        let (ended, said) = with_failing_disk(crash, &["drill", OUTAGE], &lab, reports.path());
        assert_eq!(ended, Some(code), "{crash}: {said}");
        assert!(said.contains("THE JOURNAL CANNOT BE WRITTEN"), "{crash}: {said}");
        assert_eq!(said.contains("its fault is taken out"), code == 69, "{crash}: {said}");
        assert_eq!(lab.world().to_string().matches("lifeboat:").count(), marks, "{crash}: marks are left");
        let aborted = run(lifeboat().args(["abort", "latest", "--lab", lab.control(), "--reports"]).arg(reports.path()));
        assert_eq!(aborted.status.code(), Some(0), "{crash}: {}", text(&aborted.stderr));
        assert_eq!(lab.world(), world, "{crash}");
    }
}

#[test]
fn whoever_takes_a_run_up_on_a_full_disk_takes_its_fault_out_and_ends() {
    for command in ["abort", "resume"] {
        let (lab, reports) = (LabProcess::start(&[]), folder());
        let before = lab.world();
        let mut child = spawn(&["drill", OUTAGE], &lab, reports.path());
        await_step(reports.path(), "fault", "applied");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(lab.world().to_string().contains("lifeboat:"), "the fault stands, and says so");
        let (ended, said) = with_failing_disk("full:run:resumed", &[command, "latest"], &lab, reports.path());
        assert_eq!(ended, Some(69), "{command}: {said}");
        assert!(said.contains("its fault is taken out"), "{command}: {said}");
        assert!(!lab.world().to_string().contains("lifeboat:"), "{command}: its marks are left");
        let aborted = run(lifeboat().args(["abort", "latest", "--lab", lab.control(), "--reports"]).arg(reports.path()));
        assert_eq!(aborted.status.code(), Some(0), "{command}: {}", text(&aborted.stderr));
        assert_eq!(lab.world(), before, "{command}");
    }
}
