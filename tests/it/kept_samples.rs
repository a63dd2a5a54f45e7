//! Every single sample of a run is kept, vouched for by the journal, and printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use lifeboat::journal::file::JOURNAL;
use lifeboat::journal::samples;
use serde_json::Value;

use crate::common::{LabProcess, copy_project, folder, lifeboat, quick, run, text};

const SCENARIO: &str = "scenarios/sync-stop.yaml";

fn project() -> tempfile::TempDir {
    let project = folder();
    copy_project(project.path(), quick);
    project
}

fn command(project: &Path, words: &[&str]) -> Output {
    run(lifeboat().current_dir(project).args(words))
}

fn samples_of(project: &Path, words: &[&str], code: i32) -> Output {
    let output = command(project, &[&["samples", "latest"], words].concat());
    assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output.stderr));
    output
}

fn latest_run(project: &Path) -> PathBuf {
    fs::read_dir(project.join("reports")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.join(JOURNAL).is_file()).max().unwrap()
}

/// How many samples the journal counts for each probe.
fn counted(run: &Path) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for line in fs::read_to_string(run.join(JOURNAL)).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        if event["event"] == "tally" {
            let sum: u64 = ["good", "bad", "unknown"].iter().map(|name| event[name].as_u64().unwrap()).sum();
            *counted.entry(event["probe"].as_str().unwrap().to_owned()).or_default() += sum;
        }
    }
    counted
}

#[test]
fn every_sample_that_the_journal_counts_is_printed() {
    let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
    let output = command(project.path(), &["drill", SCENARIO, "--lab", lab.control()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let run = latest_run(project.path());

    let mut printed: BTreeMap<String, u64> = BTreeMap::new();
    let mut bad = 0;
    for line in text(&samples_of(project.path(), &[], 0).stdout).lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        *printed.entry(sample["probe"].as_str().unwrap().to_owned()).or_default() += 1;
        let (sent, first_byte, done) = (sample["sent"].as_str().unwrap(), sample["first_byte"].as_str(), sample["done"].as_str().unwrap());
        assert!(sent <= done && first_byte.is_none_or(|at| sent <= at && at <= done), "{line}");
        assert_eq!(sample["reading"] == "good", sample["detail"].is_null(), "{line}");
        bad += u64::from(sample["reading"] == "bad");
    }
    assert_eq!(printed, counted(&run));
    assert!(bad > 0, "the fault is seen");

    let one = printed.iter().next().unwrap();
    let some = text(&samples_of(project.path(), &["--probe", one.0], 0).stdout);
    assert_eq!(some.lines().count() as u64, *one.1);
    let arrow = project.path().join("all.arrows");
    fs::write(&arrow, samples_of(project.path(), &["--format", "arrow"], 0).stdout).unwrap();
    let mut rows = 0;
    let is_whole = samples::read(&arrow, |_, batch| {
        rows += batch.len() as u64;
        Ok(())
    });
    assert_eq!((is_whole.unwrap(), rows), (true, printed.values().sum()));

    let wrong = samples_of(project.path(), &["--probe", "storfront"], 64);
    assert!(text(&wrong.stderr).contains("has no probe `storfront`"), "{}", text(&wrong.stderr));
    let file = run.join("samples-1.arrows");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let altered = samples_of(project.path(), &[], 65);
    assert!(text(&altered.stderr).contains("samples-1.arrows") && text(&altered.stderr).contains("was altered"), "{}", text(&altered.stderr));
    assert!(altered.stdout.is_empty());
    fs::remove_file(&file).unwrap();
    assert!(text(&samples_of(project.path(), &[], 65).stderr).contains("is missing"));
}

#[test]
fn each_process_that_runs_a_run_keeps_its_own() {
    let (lab, project) = (LabProcess::start(&["--time-scale", "5"]), project());
    let drill = ["drill", SCENARIO, "--lab", lab.control()];
    let killed = run(lifeboat().current_dir(project.path()).args(drill).env("LIFEBOAT_CRASH", "after:fault:applied"));
    assert_eq!(killed.status.code(), None, "{}", text(&killed.stderr));
    let aborted = command(project.path(), &["abort", "latest", "--lab", lab.control()]);
    assert_eq!(aborted.status.code(), Some(0), "{}", text(&aborted.stderr));
    let output = samples_of(project.path(), &[], 0);
    let said = text(&output.stderr);
    assert!(said.contains("samples-1.arrows: its process was cut off"), "{said}");
    assert!(!said.contains("samples-2.arrows"), "{said}");
    assert!(!output.stdout.is_empty());
}
