//! Journals that cannot be read or trusted: they keep new drills away, and there is a way out that needs no byte of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lifeboat::journal::file::{JOURNAL, PLAN};

use crate::common::{LabProcess, copy_project, folder, has_step, last_json, lifeboat, quick, run, text};

const SCENARIO: &str = "scenarios/sync-stop.yaml";

/// A project as shipped whose scenario takes no longer than it must.
fn project() -> tempfile::TempDir {
    let project = folder();
    copy_project(project.path(), quick);
    project
}

/// A drill in a lab that is killed at an event.
struct Killed {
    lab: LabProcess,
    project: tempfile::TempDir,
    /// The world before it.
    before: serde_json::Value,
    run: PathBuf,
}

impl Killed {
    fn at(event: &str) -> Self {
        let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
        let before = lab.world();
        let output = run(command(project.path(), &["drill", SCENARIO, "--lab", lab.control()]).env("LIFEBOAT_CRASH", format!("after:{event}")));
        assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
        let runs = fs::read_dir(project.path().join("reports")).unwrap().map(|entry| entry.unwrap().path());
        let run = runs.filter(|path| path.join(JOURNAL).is_file()).max().unwrap();
        assert_ne!(lab.world(), before, "the fault stands");
        Self { lab, project, before, run }
    }

    fn says(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = run(&mut command(self.project.path(), words));
        (output.status.code(), said(&output))
    }

    fn drill(&self) -> (Option<i32>, String) {
        self.says(&["drill", SCENARIO, "--lab", self.lab.control()])
    }

    /// Changes one letter of the last line before `step` was to change something of which this is true.
    fn alter(&self, step: &str, is_one: impl Fn(&str) -> bool) {
        let whole = self.journal();
        let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        let intended = lines.iter().position(|line| has_step(line, step, "intended")).unwrap();
        let at = lines[..intended].iter().rposition(|line| is_one(line)).unwrap();
        lines[at] = lines[at].replacen("\"at\":\"20", "\"at\":\"30", 1);
        fs::write(self.run.join(JOURNAL), lines.join("\n") + "\n").unwrap();
        assert_ne!(self.journal(), whole);
    }

    fn journal(&self) -> String {
        fs::read_to_string(self.run.join(JOURNAL)).unwrap()
    }
}

fn command(project: &Path, words: &[&str]) -> Command {
    let mut command = lifeboat();
    command.current_dir(project).args(words);
    command
}

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

fn is_reading(line: &str) -> bool {
    line.contains(r#""of":"probe""#)
}

#[test]
fn one_altered_reading_keeps_drills_away_until_the_fault_is_taken_out_by_its_marks() {
    let killed = Killed::at("fault:applied");
    killed.alter("fault", is_reading);
    let (altered, world) = (killed.journal(), killed.lab.world());
    for words in [&["abort", "latest"][..], &["resume", "latest"], &["report", "latest"]] {
        let (code, said) = killed.says(words);
        assert_eq!(code, Some(65), "{words:?}: {said}");
        assert!(said.contains("--from-marks"), "{words:?} says no way out: {said}");
    }
    let (code, said) = killed.drill();
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("cannot be told") && said.contains("--from-marks") && said.contains("was altered"), "{said}");
    // It needs somebody's word, and nobody can be asked.
    let (code, said) = killed.says(&["abort", "latest", "--from-marks"]);
    assert_eq!((code, said.contains("--yes-because")), (Some(77), true), "{said}");
    assert_eq!((killed.journal(), killed.lab.world()), (altered.clone(), world), "nobody has done anything yet");

    let (code, said) = killed.says(&["abort", "latest", "--from-marks", "--yes-because", "the disk is old"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(killed.lab.world(), killed.before);
    let journal = killed.journal();
    let note = journal.lines().find(|line| line.contains("the disk is old")).unwrap_or_else(|| panic!("no reason: {journal}"));
    assert!(note.contains("was altered") && note.contains("by its marks") && note.contains("journal.aside-1"), "{note}");
    assert_eq!(fs::read_to_string(killed.run.join("journal.aside-1").join(JOURNAL)).unwrap(), altered, "what was there is kept");
    for report in ["report.en.md", "report.zh.md"] {
        assert!(fs::read_to_string(killed.run.join(report)).unwrap().contains("the disk is old"), "{report}");
    }
    let listed = run(&mut command(killed.project.path(), &["runs", "--output", "json"]));
    assert_eq!((&last_json(&listed)[0]["verdict"], &last_json(&listed)[0]["solve"]), (&"aborted".into(), &serde_json::Value::Null));
    let (code, said) = killed.drill();
    assert_eq!(code, Some(0), "it may begin again: {said}");
    // The same of a run that has passed.
    let passed = fs::read_dir(killed.project.path().join("reports")).unwrap().map(|entry| entry.unwrap().path().join(JOURNAL));
    let passed = passed.filter(|journal| journal.is_file()).max().unwrap();
    let whole = fs::read_to_string(&passed).unwrap();
    fs::write(&passed, whole.replacen("\"steady-state\"", "\"steady-stale\"", 1)).unwrap();
    assert_eq!(killed.drill().0, Some(69));
    fs::write(&passed, whole).unwrap();
}

#[test]
fn whatever_became_of_a_journal_its_fault_is_taken_out_by_its_marks() {
    type Case = (&'static str, fn(&Path));
    let cases: [Case; 5] = [
        ("taken away", |run| fs::remove_file(run.join(JOURNAL)).unwrap()),
        ("a folder", |run| {
            fs::remove_file(run.join(JOURNAL)).unwrap();
            fs::create_dir(run.join(JOURNAL)).unwrap();
        }),
        ("other bytes", |run| fs::write(run.join(JOURNAL), [0_u8, 159, 10, 13, 10]).unwrap()),
        ("its first line is gone", |run| {
            let whole = fs::read_to_string(run.join(JOURNAL)).unwrap();
            fs::write(run.join(JOURNAL), whole.split_once('\n').unwrap().1).unwrap();
        }),
        ("its plan too", |run| {
            fs::write(run.join(JOURNAL), "{}\n").unwrap();
            fs::write(run.join(PLAN), "{}").unwrap();
        }),
    ];
    let killed = Killed::at("fault:applied");
    let world = killed.lab.world();
    let whole = fs::read(killed.run.join(JOURNAL)).unwrap();
    for (what, alter) in &cases {
        alter(&killed.run);
        let (code, said) = killed.drill();
        assert_eq!(code, Some(69), "{what}: {said}");
        assert!(said.contains("--from-marks"), "{what}: {said}");
        let (code, said) = killed.says(&["runs"]);
        assert!(code == Some(0) && said.contains("--from-marks"), "{what}: {said}");
        assert_eq!(killed.lab.world(), world, "{what}: nothing is begun");
        if *what != cases[4].0 {
            let _ = fs::remove_dir(killed.run.join(JOURNAL));
            fs::write(killed.run.join(JOURNAL), &whole).unwrap();
        }
    }
    // The last one tells nothing at all: somebody has to say where it was.
    let (code, said) = killed.says(&["abort", "latest", "--from-marks", "--yes-because", "x"]);
    assert_eq!((code, said.contains("--env NAME")), (Some(64), true), "{said}");
    let (code, said) = killed.says(&["halt", "--env", "lab", "--reason", "x"]);
    assert_eq!((code, said.contains("--from-marks --env NAME")), (Some(69), true), "{said}");
    assert_eq!(killed.says(&["release", "--env", "lab"]).0, Some(0));
    let by_hand = ["abort", "latest", "--from-marks", "--env", "lab", "--lab", killed.lab.control(), "--yes-because", "x"];
    let (code, said) = killed.says(&by_hand);
    assert_eq!((code, said.contains("not known to be put back")), (Some(69), true), "{said}");
    assert_eq!(killed.lab.world(), killed.before);
    assert_eq!(killed.drill().0, Some(0), "it keeps nobody any more");
}

#[test]
fn halt_takes_out_the_fault_of_a_run_whose_journal_was_taken_away() {
    let killed = Killed::at("fault:applied");
    fs::remove_file(killed.run.join(JOURNAL)).unwrap();
    let (_, said) = killed.says(&["halt", "--env", "lab", "--reason", "smoke"]);
    assert_eq!(killed.lab.world(), killed.before, "{said}");
    assert!(killed.journal().contains("smoke"), "{said}");
}

#[test]
fn what_only_untrusted_lines_tell_of_is_named_and_not_said_to_be_put_back() {
    let killed = Killed::at("failover/start-standby-sync:applied");
    killed.alter("fault", is_reading);
    let (code, said) = killed.says(&["abort", "latest", "--from-marks", "--yes-because", "x"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("failover/start-standby-sync"), "{said}");
    assert_ne!(killed.lab.world(), killed.before, "the step stays as it is");
    // What is whole is used: with the step's own intent before the alteration, it is put back.
    let killed = Killed::at("failover/start-standby-sync:applied");
    let whole = killed.journal();
    let at = whole.rfind("\"applied\"").unwrap();
    fs::write(killed.run.join(JOURNAL), format!("{}\"appliod\"{}", &whole[..at], &whole[at + 9..])).unwrap();
    let (code, said) = killed.says(&["abort", "latest", "--from-marks", "--yes-because", "x"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(killed.lab.world(), killed.before);
}
