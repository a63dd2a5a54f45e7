//! Whole drills that are killed, and the reaper that comes after them from elsewhere: without their journal, without their folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{LabProcess, copy_project, folder, has_step, journal, last_json, lifeboat, run, text, until};

/// A project as shipped, but with a lease of a few seconds.
fn project(lease: &str) -> tempfile::TempDir {
    let project = folder();
    copy_project(project.path(), |written| written.replace("lease: 5m", &format!("lease: {lease}")));
    project
}

fn drill(project: &Path, scenario: &str, lab: &LabProcess, reports: &Path) -> Child {
    lifeboat()
        .current_dir(project)
        .args(["drill", scenario, "--output", "json", "--lab", lab.control(), "--reports"])
        .arg(reports)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Another machine: it knows the environment and nothing of the run.
fn reap(lab: &LabProcess, arguments: &[&str]) -> Output {
    run(lifeboat().args(["reaper", "--env", "lab", "--output", "json", "--lab", lab.control()]).args(arguments))
}

fn outcomes(output: &Output) -> Vec<String> {
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["outcome"].as_str().unwrap().to_owned();
    text(&output.stdout).lines().map(line).collect()
}

fn await_fault(reports: &Path) {
    until("the fault", || journal(reports).filter(|journal| has_step(journal, "fault", "applied")));
}

fn no_tags(lab: &LabProcess) -> bool {
    lab.world()["tags"].as_object().unwrap().is_empty()
}

#[test]
fn the_fault_of_a_killed_drill_is_undone_when_its_lease_has_ended_and_not_before() {
    for scenario in ["aliyun-region-outage", "aws-route-failure", "sync-stop"] {
        let (lab, reports, project) = (LabProcess::start(&["--time-scale", "4"]), folder(), project("8s"));
        let before = lab.world();
        let mut child = drill(project.path(), &format!("scenarios/{scenario}.yaml"), &lab, reports.path());
        await_fault(reports.path());
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = lab.world();
        assert_ne!(killed, before, "{scenario}");
        assert!(!no_tags(&lab), "{scenario}");

        let output = reap(&lab, &["--once"]);
        assert_eq!((output.status.code(), outcomes(&output)), (Some(0), vec!["standing".to_owned()]), "{scenario}: {}", text(&output.stderr));
        assert_eq!(lab.world(), killed, "{scenario}: before its end the lease is respected");

        let output = until("the lease ended", || Some(reap(&lab, &["--grace", "0s"])).filter(|output| outcomes(output) != ["standing"]));
        assert_eq!((output.status.code(), outcomes(&output)), (Some(0), vec!["undone".to_owned()]), "{scenario}: {}", text(&output.stdout));
        assert!(no_tags(&lab), "{scenario}");
        assert_eq!(outcomes(&reap(&lab, &["--grace", "0s"])), [""; 0], "{scenario}: once");

        let output = run(lifeboat().args(["abort", "latest", "--output", "json", "--lab", lab.control(), "--reports"]).arg(reports.path()));
        assert_eq!(output.status.code(), Some(0), "{scenario}: {}", text(&output.stderr));
        assert_eq!(last_json(&output)["verdict"], "aborted", "{scenario}");
        assert_eq!(lab.world(), before, "{scenario}");
    }
}

#[test]
fn a_reaper_beside_a_drill_that_lives_and_renews_does_nothing() {
    let (lab, reports, project) = (LabProcess::start(&["--time-scale", "4"]), folder(), project("5s"));
    let before = lab.world();
    let beside = lifeboat()
        .args(["reaper", "--env", "lab", "--output", "json", "--every", "1s", "--grace", "0s", "--lab", lab.control()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = drill(project.path(), "scenarios/aws-route-failure.yaml", &lab, reports.path()).wait_with_output().unwrap();
    kill_process(Pid::from_child(&beside), Signal::TERM).unwrap();
    let beside = beside.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(journal(reports.path()).unwrap().contains("\"lease-renewed\""), "the lease was shorter than the fault");
    assert_eq!(beside.status.code(), Some(0), "{}", text(&beside.stderr));
    let seen = outcomes(&beside);
    assert!(!seen.is_empty() && seen.iter().all(|outcome| outcome == "standing" || outcome == "meanwhile"), "{seen:?}");
    assert!(no_tags(&lab));
    assert_eq!(lab.world(), before);
}

#[test]
fn a_run_whose_marks_were_taken_away_aborts_itself() {
    let (lab, reports, project) = (LabProcess::start(&["--time-scale", "4"]), folder(), project("4s"));
    let before = lab.world();
    let child = drill(project.path(), "scenarios/aws-route-failure.yaml", &lab, reports.path());
    await_fault(reports.path());
    crate::marks::take_away(&lab);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(journal(reports.path()).unwrap().contains("the lease of the fault was ended"));
    assert_eq!(lab.world(), before);
}

/// A reaper that knows the environment by `project`, and nothing of the user who ran the drill.
fn reap_elsewhere(lab: &LabProcess, project: &Path, state: &Path, arguments: &[&str]) -> Output {
    let command = ["reaper", "--env", "lab", "--output", "json", "--grace", "0s", "--lab", lab.control()];
    run(lifeboat().current_dir(project).args(command).args(arguments).env("XDG_STATE_HOME", state).env("MARKS", "the same on both machines"))
}

#[test]
fn another_machine_takes_a_fault_out_with_the_key_that_the_environment_names() {
    for (marks, alone) in [("", "unsigned"), ("marks: { key: { secret: 'env:MARKS' } }, ", "undone")] {
        let (lab, reports, project, elsewhere) = (LabProcess::start(&["--time-scale", "4"]), folder(), folder(), folder());
        copy_project(project.path(), |written| {
            written.replace("lease: 5m", "lease: 4s").replace("lab: { kind: lab", &format!("lab: {{ {marks}kind: lab"))
        });
        let before = lab.world();
        let mut command = lifeboat();
        command
            .current_dir(project.path())
            .args(["drill", "scenarios/aws-route-failure.yaml", "--lab", lab.control(), "--reports"])
            .arg(reports.path());
        let mut child = command.env("MARKS", "the same on both machines").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        await_fault(reports.path());
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = lab.world();
        let reap = || reap_elsewhere(&lab, project.path(), elsewhere.path(), &[]);
        let output = until("the lease ended", || Some(reap()).filter(|output| outcomes(output) != ["standing"]));
        assert_eq!(outcomes(&output), [alone], "{marks}: {}{}", text(&output.stdout), text(&output.stderr));
        if alone == "unsigned" {
            assert_eq!(output.status.code(), Some(2), "a fault may stand");
            assert!(text(&output.stdout).contains("this user has no key of environment lab here"), "{}", text(&output.stdout));
            assert_eq!(lab.world(), killed, "named and left alone");
            assert_eq!(fs::read_dir(elsewhere.path().join("lifeboat")).unwrap().count(), 0, "a reaper makes no key");
            let reap = || reap_elsewhere(&lab, project.path(), elsewhere.path(), &["--unsigned"]);
            let output = until("the lease ended", || Some(reap()).filter(|output| outcomes(output) != ["standing"]));
            assert_eq!((output.status.code(), outcomes(&output)), (Some(0), vec!["undone".to_owned()]), "{}", text(&output.stdout));
        }
        assert!(no_tags(&lab), "{marks}");
        let output = run(lifeboat().args(["abort", "latest", "--lab", lab.control(), "--reports"]).arg(reports.path()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(lab.world(), before);
    }
}

#[test]
fn a_drill_whose_marks_nobody_could_sign_does_not_begin_and_its_key_is_shown_nowhere() {
    let (lab, reports, project, state) = (LabProcess::start(&["--time-scale", "10"]), folder(), folder(), folder());
    let written = |marks: &str| {
        copy_project(project.path(), |text| text.replace("lab: { kind: lab", &format!("lab: {{ {marks}kind: lab")));
    };
    let command = |verb: &str| {
        let mut command = lifeboat();
        command.current_dir(project.path()).args([verb, "scenarios/aws-route-failure.yaml", "--lab", lab.control(), "--reports"]).arg(reports.path());
        command.env("XDG_STATE_HOME", state.path()).env("SHORT", "too short");
        command
    };
    let before = lab.world();
    for (marks, why) in [
        ("marks: { key: { secret: 'env:NOWHERE' } }, ", "this environment variable is not set"),
        ("marks: { key: { secret: 'env:SHORT' } }, ", "it has 9 characters; a key has 16 at least"),
    ] {
        written(marks);
        let output = run(&mut command("drill"));
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(69) && said.contains(why) && said.contains("nothing was changed"), "{:?} {said}", output.status);
        let planned = text(&run(&mut command("plan")).stdout);
        assert!(planned.contains("Warning: a drill would be refused: the marks of a fault in environment lab could not be signed"), "{planned}");
    }
    written("marks: { key: { secret: 'a-key-as-it-is-000000' } }, ");
    let output = run(&mut command("drill"));
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(65) && said.contains("say no place of a key"), "{said}");
    // A key that others could read is none.
    written("");
    let key = state.path().join("lifeboat/lab.marks-key");
    assert!(!key.exists(), "none is made where it is not needed");
    let output = run(&mut command("drill"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let made = fs::read_to_string(&key).unwrap();
    assert_eq!((fs::metadata(&key).unwrap().permissions().mode() & 0o777, made.len()), (0o600, 65));
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let kept = run(Command::new("grep").args(["-rlF", made.trim()]).arg(reports.path()));
    assert!(!said.contains(made.trim()) && kept.status.code() == Some(1), "it stands nowhere else: {}", text(&kept.stdout));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&mut command("drill"));
    assert!(output.status.code() == Some(69) && text(&output.stderr).contains("others may read or write this key"), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
}

#[test]
fn a_plan_says_what_the_marks_take_and_a_reaper_what_it_cannot_do() {
    let lab = LabProcess::start(&[]);
    let plan = run(lifeboat().args(["plan", "scenarios/aliyun-region-outage.yaml", "--lab", lab.control()]));
    assert!(text(&plan.stdout).contains("tags on vpc vpc-bp1lifeboat0shop00001"), "{}", text(&plan.stdout));
    let output = run(lifeboat().args(["reaper", "--env", "lab"]));
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--lab CONTROL_URL"), "{}", text(&output.stderr));
    let output = run(lifeboat().args(["reaper", "--env", "lab", "--every", "10ms", "--lab", lab.control()]));
    assert_eq!(output.status.code(), Some(64));
    let output = run(lifeboat().args(["reaper", "--env", "lab", "--lab", lab.control()]));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "no marks in lab\n"));
}
