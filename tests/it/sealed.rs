//! What a run keeps: readable by its owner alone, not to be altered unnoticed, and pinned to the definitions as they were.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lifeboat::journal::file::JOURNAL;
use lifeboat::model::chain;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::common::{LabProcess, copy_project, folder, last_json, lifeboat, quick, run, text};

const SCENARIO: &str = "scenarios/sync-stop.yaml";

/// A project as shipped whose scenario takes no longer than it must.
fn project() -> tempfile::TempDir {
    let project = folder();
    copy_project(project.path(), quick);
    project
}

fn command(project: &Path, words: &[&str]) -> Command {
    let mut command = lifeboat();
    command.current_dir(project).args(words);
    command
}

/// A drill in a lab that is killed when its fault stands.
fn killed(project: &Path, lab: &LabProcess) -> PathBuf {
    let output = run(command(project, &["drill", SCENARIO, "--lab", lab.control()]).env("LIFEBOAT_CRASH", "after:fault:applied"));
    assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
    latest_run(project)
}

fn latest_run(project: &Path) -> PathBuf {
    let runs = fs::read_dir(project.join("reports")).unwrap().map(|entry| entry.unwrap().path());
    runs.filter(|path| path.join(JOURNAL).is_file()).max().unwrap()
}

/// Every path below `folder` with what it is and its permissions.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, bool, u32)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), meta.is_dir(), meta.mode() & 0o7777));
        if meta.is_dir() {
            modes(&path, found);
        }
    }
}

#[test]
fn what_a_run_keeps_is_its_owners_alone_whatever_the_umask() {
    let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
    fs::set_permissions(project.path(), Permissions::from_mode(0o755)).unwrap();
    let under = |words: &[&str]| {
        let mut command = Command::new("/bin/sh");
        command.current_dir(project.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_lifeboat")]).args(words);
        command
    };
    let output = run(under(&["drill", SCENARIO, "--lab", lab.control()]).env("LIFEBOAT_CRASH", "after:failover/start-standby-sync:applied"));
    assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
    let mut seen = 0;
    for words in [&["runs"][..], &["abort", "latest"], &["report", "latest"], &["halt", "--env", "lab", "--reason", "x"]] {
        let output = run(&mut under(words));
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        let mut found = vec![(project.path().join("reports"), true, fs::metadata(project.path().join("reports")).unwrap().mode() & 0o7777)];
        modes(&project.path().join("reports"), &mut found);
        for (path, is_folder, mode) in &found {
            let expected = if *is_folder { 0o700 } else { 0o600 };
            assert_eq!(mode, &expected, "after {words:?}: {} has {mode:o}", path.display());
        }
        seen = found.len();
    }
    assert!(seen > 12, "journal, plan, definitions, reports, pictures: only {seen} were there");
}

/// What is done to the lines of a journal, and the event that is to be named.
type Alteration = (&'static str, fn(&mut Vec<Vec<u8>>, usize));

const ALTERATIONS: [Alteration; 6] = [
    ("one bit", |lines, at| {
        let middle = lines[at].len() / 2;
        lines[at][middle] ^= 1;
    }),
    ("removed", |lines, at| drop(lines.remove(at))),
    ("moved", |lines, at| lines.swap(at, at + 1)),
    ("cut", |lines, at| {
        let half = lines[at].len() / 2;
        lines[at].truncate(half);
    }),
    ("twice", |lines, at| {
        let line = lines[at].clone();
        lines.insert(at, line);
    }),
    ("empty line", |lines, at| lines.insert(at, Vec::new())),
];

fn lines(journal: &[u8]) -> Vec<Vec<u8>> {
    journal.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// The event that is wrong first: a line that is there twice is wrong the second time.
fn named(what: &str, at: usize) -> String {
    format!("event {}:", if what == "twice" { at + 2 } else { at + 1 })
}

#[test]
fn every_alteration_of_a_journal_is_named_by_its_event_whoever_reads_it() {
    let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
    let folder = killed(project.path(), &lab);
    let (run_id, journal) = (folder.file_name().unwrap().to_string_lossy().into_owned(), folder.join(JOURNAL));
    let whole = fs::read(&journal).unwrap();
    let all = lines(&whole);
    let world = lab.world();
    assert!(all.len() > 10, "{}", all.len());

    // Every line, and bytes everywhere in it, in this process.
    let mut random = StdRng::seed_from_u64(7);
    let check = |altered: &[Vec<u8>]| chain::verify(&run_id, altered.iter().map(Vec::as_slice)).map(drop).map_err(|error| error.to_string());
    check(&all).unwrap();
    for at in (0..all.len()).step_by(5) {
        for (what, alter) in ALTERATIONS.iter().filter(|(what, _)| *what != "removed" && *what != "moved" || at + 1 < all.len()) {
            let mut altered = all.clone();
            alter(&mut altered, at);
            let error = check(&altered).unwrap_err();
            assert!(error.starts_with(&named(what, at)), "{what} at {}: {error}", at + 1);
        }
        for _ in 0..4 {
            let mut altered = all.clone();
            let byte = random.random_range(0..altered[at].len());
            altered[at][byte] ^= 1 << random.random_range(0..8_u8);
            let error = check(&altered).unwrap_err();
            assert!(error.starts_with(&format!("event {}:", at + 1)), "byte {byte} of event {}: {error}", at + 1);
        }
    }

    // Some of them, by every command that reads a journal.
    for (number, (what, alter)) in ALTERATIONS.iter().enumerate() {
        let at = 1 + number * (all.len() - 4) / ALTERATIONS.len();
        let mut altered = all.clone();
        alter(&mut altered, at);
        fs::write(&journal, joined(&altered)).unwrap();
        for words in [["resume", &run_id], ["abort", &run_id], ["report", &run_id]] {
            let output = run(&mut command(project.path(), &words));
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(65), "{words:?}, {what}: {said}");
            assert!(said.contains(&named(what, at)), "{words:?}, {what} at {}: {said}", at + 1);
        }
        let output = run(&mut command(project.path(), &["runs"]));
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(&named(what, at)), "{what}: {}", text(&output.stdout));
        assert_eq!(fs::read(&journal).unwrap(), joined(&altered), "{what}: nobody writes to a journal that cannot be trusted");
    }
    assert_eq!(lab.world(), world, "nothing is done by a journal that cannot be trusted");

    // What a crash leaves is no alteration; what is missing at the end of a run that has ended is one.
    fs::write(&journal, [&whole[..], &whole[..40]].concat()).unwrap();
    let output = run(&mut command(project.path(), &["abort", &run_id]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let ended = lines(&fs::read(&journal).unwrap());
    for missing in [1, 3] {
        fs::write(&journal, joined(&ended[..ended.len() - missing])).unwrap();
        for words in [["resume", &run_id], ["abort", &run_id], ["report", &run_id]] {
            let output = run(&mut command(project.path(), &words));
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(65), "{words:?}: {said}");
            assert!(said.contains(&format!("event {}: is missing", ended.len() - missing + 1)), "{words:?}: {said}");
        }
    }
    fs::write(&journal, joined(&ended)).unwrap();
    assert_eq!(run(&mut command(project.path(), &["report", &run_id])).status.code(), Some(0));
}

/// Edits every definition of the run so that it could not even be read any more.
fn edit(project: &Path) {
    for file in ["lifeboat.yaml", SCENARIO, "runbooks/resume-sync.yaml"] {
        fs::write(project.join(file), "lifeboat: 99\nkind: [").unwrap();
    }
    fs::remove_file(project.join("runbooks/fail-back-sync.yaml")).unwrap();
}

/// Whether a report says of each edited file that it was.
fn tells(output: &Output, project: &Path) {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let report = fs::read_to_string(latest_run(project).join("report.en.md")).unwrap();
    let chinese = fs::read_to_string(latest_run(project).join("report.zh.md")).unwrap();
    let journal = fs::read_to_string(latest_run(project).join(JOURNAL)).unwrap();
    let edited = ["lifeboat.yaml", SCENARIO, "runbooks/resume-sync.yaml"].map(|file| format!("{file} was edited since the run began"));
    for note in edited.into_iter().chain(["runbooks/fail-back-sync.yaml was taken away since the run began".to_owned()]) {
        assert_eq!(journal.matches(&note).count(), 1, "{note}");
        assert!(said.contains(&note), "{note}: {said}");
        assert!(report.contains(&note) && chinese.contains(&note), "{note}: {report}");
    }
}

#[test]
fn a_run_that_is_taken_up_goes_by_the_definitions_as_they_were() {
    // What nobody looked at while nobody ran the run is not tested: no pass, and no fail either.
    for (words, code, verdict) in [("resume", 3, "inconclusive"), ("abort", 0, "aborted")] {
        let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
        let before = lab.world();
        killed(project.path(), &lab);
        edit(project.path());
        let reports = project.path().join("reports");
        let output = run(command(project.path(), &[words, "latest", "--reports"]).arg(&reports));
        assert_eq!(output.status.code(), Some(code), "{words}: {}{}", text(&output.stdout), text(&output.stderr));
        tells(&output, project.path());
        let listed = run(command(project.path(), &["runs", "--output", "json", "--reports"]).arg(&reports));
        assert_eq!(last_json(&listed)[0]["verdict"], verdict);
        assert_eq!(lab.world(), before);
    }
}

#[test]
fn an_edit_while_a_drill_runs_is_said_at_its_end_and_changes_nothing() {
    let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
    let mut drill = command(project.path(), &["drill", SCENARIO, "--lab", lab.control()]);
    let drill = drill.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let reports = project.path().join("reports");
    crate::common::until("the fault", || crate::common::journal(&reports).filter(|journal| crate::common::has_step(journal, "fault", "applied")));
    edit(project.path());
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    tells(&output, project.path());
}

/// An environment of accounts: what is reached on the way back is what the run reached, not what the project file says by then.
#[test]
fn the_way_back_leads_to_the_clouds_that_the_run_was_in() {
    let (lab, project) = (LabProcess::start(&[]), folder());
    let at = |name: &str| lab.endpoints[name].as_str().unwrap();
    let file =
        format!("lifeboat: 1\nenvironments:\n  ours:\n    aws: {{ region: us-east-1, account: \"111122223333\", endpoint: \"{}\" }}\n", at("aws"));
    fs::write(project.path().join("lifeboat.yaml"), &file).unwrap();
    let route = "{ route_table: rtb-0a11febe0a7b00002, destination: 10.20.0.0/16, target: { interface: eni-0a11febe0a7000c01 } }";
    let runbook = format!("lifeboat: 1\nkind: runbook\ntitle: Route\nsteps:\n  - {{ id: it, uses: aws.ec2.replace-route, with: {route} }}\n");
    fs::write(project.path().join("route.yaml"), runbook).unwrap();
    let keyed = |words: &[&str]| {
        let mut command = command(project.path(), words);
        command.env("AWS_ACCESS_KEY_ID", at("access_key_id")).env("AWS_SECRET_ACCESS_KEY", at("secret_access_key"));
        command
    };
    let before = lab.world();
    let output = run(&mut keyed(&["execute", "route.yaml", "--env", "ours"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_ne!(lab.world(), before);
    fs::write(project.path().join("lifeboat.yaml"), file.replace(at("aws"), "http://127.0.0.1:9")).unwrap();
    let output = run(&mut keyed(&["abort", "latest"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);

    // Its copy is what it trusts, so one that was altered is refused.
    fs::write(project.path().join("lifeboat.yaml"), &file).unwrap();
    let output = run(&mut keyed(&["execute", "route.yaml", "--env", "ours"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let changed = lab.world();
    let copy = latest_run(project.path()).join("definitions/lifeboat.yaml");
    fs::write(&copy, file.replace(at("aws"), "http://127.0.0.1:9")).unwrap();
    let output = run(&mut keyed(&["abort", latest_run(project.path()).file_name().unwrap().to_str().unwrap()]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("lifeboat.yaml was altered"), "{said}");
    assert_eq!(lab.world(), changed);
}
