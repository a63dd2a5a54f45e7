//! What this and earlier Lifeboats wrote stays readable; what a newer one wrote is refused, in the right words, and left as it is.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::common::{folder, lifeboat, root, run, text};

/// A run of the first format: journal, plan, samples and reports, as the Lifeboat of then wrote them.
const KEPT: &str = "tests/kept/journal-1.0";
const RUN: &str = "20261130T140747.883Z-sync-stop-ede6";

/// A command about the runs in `reports`.
fn about(reports: &Path, words: &[&str]) -> Output {
    run(lifeboat().args(words).arg("--reports").arg(reports))
}

/// Everything below a folder, so that what a test changes is its own.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &to) } else { drop(fs::copy(entry.path(), &to).unwrap()) }
    }
}

#[test]
fn a_run_of_the_first_format_reads_verifies_and_renders_as_it_did() {
    let reports = folder();
    copy(&root().join(KEPT), reports.path());
    let output = about(reports.path(), &["runs"]);
    let listed = text(&output.stdout);
    assert!(output.status.success() && listed.contains(RUN) && listed.contains("ended") && listed.contains("pass"), "{listed}");
    let output = about(reports.path(), &["report", RUN]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in ["report.en.md", "report.zh.md", "timeline.en.svg", "waterfall.zh.svg", "lag.en.svg"] {
        let kept = root().join(KEPT).join(RUN).join(name);
        assert!(
            fs::read(&kept).unwrap() == fs::read(reports.path().join(RUN).join(name)).unwrap(),
            "{name} differs; if reports are to look otherwise from now on: lifeboat report {RUN} --reports {KEPT}"
        );
    }
    let output = about(reports.path(), &["samples", RUN]);
    assert_eq!(text(&output.stdout).lines().count(), 143, "{}", text(&output.stderr));
}
