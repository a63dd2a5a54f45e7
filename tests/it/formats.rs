//! What this and earlier Lifeboats wrote stays readable; what a newer one wrote is refused, in the right words, and left as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use lifeboat::model::chain;
use serde_json::{Map, Value, json};

use crate::common::{folder, last_json, lifeboat, root, run, text};
use crate::workplace::{UNJUDGED, Workplace};

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
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

#[test]
fn a_run_of_the_first_format_reads_verifies_and_renders_as_it_did() {
    let reports = kept();
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

/// The journal of a run below `reports`, with its event `number` edited and sealed again as if its owner had written it so.
fn rewrite(reports: &Path, run: &str, number: usize, edit: impl Fn(&mut Map<String, Value>)) {
    let path = reports.join(run).join("journal.jsonl");
    let mut head = chain::genesis(run);
    let mut lines = String::new();
    for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
        let mut fields: Map<String, Value> = serde_json::from_str(line).unwrap();
        if index + 1 == number {
            edit(&mut fields);
        }
        let (line, hash) = chain::seal_fields(fields, &head).unwrap();
        lines.push_str(&format!("{line}\n"));
        head = hash;
    }
    fs::write(&path, lines).unwrap();
    // Of a run that has ended, whoever wrote it would have noted the end like this.
    let head_file = reports.join(run).join("journal.head");
    if !fs::read_to_string(&head_file).unwrap().trim().is_empty() {
        let bytes = fs::read(&path).unwrap();
        let count = bytes.iter().filter(|byte| **byte == b'\n').count();
        fs::write(head_file, format!("{count} {head} {}\n", chain::sha256(&bytes))).unwrap();
    }
}

fn position(reports: &Path, run: &str, is: impl Fn(&Value) -> bool) -> usize {
    let journal = fs::read_to_string(reports.join(run).join("journal.jsonl")).unwrap();
    journal.lines().position(|line| is(&serde_json::from_str(line).unwrap())).unwrap() + 1
}

/// What is in every file of a run.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(content(&path)) } else { drop(found.insert(path.clone(), fs::read(&path).unwrap())) }
    }
    found
}

/// Every command that reads a run refuses it in these words, and leaves it as it is; `runs` lists it in the same words.
fn is_refused(reports: &Path, words: &[&str]) {
    let before = content(reports);
    let output = about(reports, &["runs", "--output", "json"]);
    let listed = last_json(&output);
    let listed = listed.as_array().unwrap().iter().find(|listed| listed["run"] == RUN).unwrap();
    let remark = listed["remark"].as_str().unwrap();
    assert!(output.status.success() && words.iter().all(|word| remark.contains(word)), "{listed}");
    assert_eq!((&listed["state"], listed.get("solve")), (&json!("unread"), None), "{listed}");
    for command in [
        &["report", RUN][..],
        &["samples", RUN],
        &["resume", RUN],
        &["abort", RUN],
        &["abort", RUN, "--from-marks", "--yes-because", "x"],
        &["accept", RUN, "start-standby-sync", "--because", "x"],
    ] {
        let output = about(reports, command);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{command:?}: {said}");
        assert!(words.iter().all(|word| said.contains(word)) && said.contains("it was not altered: use "), "{command:?}: {said}");
        assert!(!said.contains("was altered"), "{command:?}: {said}");
    }
    assert!(content(reports) == before, "nothing of it was changed");
}

/// A copy of the kept run.
fn kept() -> tempfile::TempDir {
    let reports = folder();
    copy(&root().join(KEPT), reports.path());
    reports
}

#[test]
fn a_journal_with_what_this_lifeboat_does_not_know_is_refused_and_never_called_altered() {
    let set = |name: &'static str, value: Value| move |fields: &mut Map<String, Value>| drop(fields.insert(name.into(), value.clone()));
    let intended = |event: &Value| event["step"] == "failover/start-standby-sync" && event["event"] == "intended";
    let stage = |event: &Value| event["event"] == "stage" && event["stage"] == "failover";
    let made = "made by Lifeboat 0.1.0 in version 1.0 of the format of journals; this Lifeboat, ";

    let reports = kept();
    let at = position(reports.path(), RUN, intended);
    rewrite(reports.path(), RUN, at, set("event", json!("intended-softly")));
    is_refused(reports.path(), &[&format!("event {at}: what it says is not known: unknown variant `intended-softly`"), made]);

    let reports = kept();
    let at = position(reports.path(), RUN, stage);
    rewrite(reports.path(), RUN, at, set("stage", json!("quiesce")));
    is_refused(reports.path(), &[&format!("event {at}: what it says is not known: unknown variant `quiesce`"), made]);

    let reports = kept();
    rewrite(reports.path(), RUN, 2, set("mood", json!("good")));
    is_refused(reports.path(), &["event 2: its field `mood` is not known", made]);

    for (version, told) in [(json!("1.99"), "1.99"), (json!(2), "2.0")] {
        let reports = kept();
        rewrite(reports.path(), RUN, 1, set("tool", json!("9.8.7")));
        rewrite(reports.path(), RUN, 3, set("v", version.clone()));
        is_refused(reports.path(), &[&format!("event 3: made by Lifeboat 9.8.7 in version {told} of the format of journals"), "reads up to 1.1"]);
        // The same words, and a line that somebody altered: that is an alteration.
        let path = reports.path().join(RUN).join("journal.jsonl");
        fs::write(&path, fs::read_to_string(&path).unwrap().replacen("\"verdict\":\"pass\"", "\"verdict\":\"fail\"", 1)).unwrap();
        let output = about(reports.path(), &["report", RUN]);
        assert!(output.status.code() == Some(65) && text(&output.stderr).contains("was altered"), "{}", text(&output.stderr));
        let before = content(reports.path());
        let output = about(reports.path(), &["abort", RUN, "--from-marks", "--yes-because", "x"]);
        assert_eq!(output.status.code(), Some(65), "what only a newer Lifeboat can read is not cut off");
        assert!(content(reports.path()) == before && text(&output.stderr).contains("9.8.7"), "{}", text(&output.stderr));
    }
}

#[test]
fn a_newer_plan_beside_a_journal_is_refused_like_a_newer_journal() {
    let reports = kept();
    let path = reports.path().join(RUN).join("plan.json");
    let mut plan: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    plan.extend([("version".to_owned(), json!("1.99")), ("tool".to_owned(), json!("9.8.7"))]);
    fs::write(&path, Value::Object(plan).to_string()).unwrap();
    is_refused(reports.path(), &["plan.json: made by Lifeboat 9.8.7 in version 1.99 of the format of plans", "reads up to 1.1"]);
}

#[test]
fn newer_samples_are_refused_by_name() {
    use arrow_ipc::{reader::StreamReader, writer::StreamWriter};
    let reports = kept();
    let path = reports.path().join(RUN).join("samples-1.arrows");
    let stream = StreamReader::try_new(fs::File::open(&path).unwrap(), None).unwrap();
    let about_it = [("lifeboat.version", "1.99"), ("lifeboat.tool", "9.8.7")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let schema = arrow_schema::Schema::new_with_metadata(stream.schema().fields().clone(), about_it);
    let mut newer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    for batch in stream {
        newer.write(&batch.unwrap().with_schema(schema.clone().into()).unwrap()).unwrap();
    }
    let newer = newer.into_inner().unwrap();
    fs::write(&path, &newer).unwrap();
    let at = position(reports.path(), RUN, |event| event["event"] == "samples");
    rewrite(reports.path(), RUN, at, |fields| drop(fields.insert("sha256".into(), json!(chain::sha256(&newer)))));
    let output = about(reports.path(), &["samples", RUN]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(65), ""), "{said}");
    assert!(said.contains("made by Lifeboat 9.8.7 in version 1.99 of the format of samples") && said.contains("use Lifeboat 9.8.7"), "{said}");
}

#[test]
fn an_interrupted_run_of_a_newer_lifeboat_is_left_alone_and_keeps_drills_away() {
    let place = Workplace::new("1ms", "3m");
    let output = run(place.command(&place.starting(&["drill", "drill.yaml"])).env("LIFEBOAT_CRASH", "after:failover/start:applied"));
    assert_eq!(output.status.code(), None, "{}", text(&output.stderr));
    let (reports, name) = (place.reports(), place.latest().file_name().unwrap().to_str().unwrap().to_owned());
    let (pristine, standing) = (fs::read(place.latest().join("journal.jsonl")).unwrap(), place.lab.world());
    let at = position(&reports, &name, |event| event["step"] == "failover/start" && event["event"] == "intended");
    rewrite(&reports, &name, at, |fields| drop(fields.insert("event".into(), json!("intended-softly"))));
    let word = format!("event {at}: what it says is not known: unknown variant `intended-softly`");
    let listed = text(&place.run(&["runs"]).stdout);
    assert!(listed.contains(&word) && listed.contains("unread") && !listed.contains("applied, not undone"), "{listed}");
    for (command, code) in [
        (&["abort", "latest", "--lab", place.lab.control()][..], 65),
        (&["abort", "latest", "--lab", place.lab.control(), "--from-marks", "--yes-because", "x"], 65),
        (&["resume", "latest", "--lab", place.lab.control()], 65),
        (&["drill", "drill.yaml", "--lab", place.lab.control()], 69),
        (&["halt", "--env", "lab", "--reason", "x"], 69),
        (&["release", "--env", "lab"], 0),
    ] {
        let output = place.run(command);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
        assert!(code == 0 || said.contains(&word) && !said.contains("was altered"), "{command:?}: {said}");
    }
    assert_eq!(place.lab.world(), standing, "nothing was changed");
    // Whoever knows the word takes it back.
    fs::write(place.latest().join("journal.jsonl"), pristine).unwrap();
    let output = place.run(&["abort", "latest", "--lab", place.lab.control()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    place.is_as_before();
}

#[test]
fn the_forecast_says_which_earlier_run_it_leaves_out() {
    let place = Workplace::new("1ms", "1ms");
    assert_eq!(place.see_through(&["drill", "drill.yaml"]).status.code(), Some(UNJUDGED));
    let name = place.latest().file_name().unwrap().to_str().unwrap().to_owned();
    rewrite(&place.reports(), &name, 2, |fields| drop(fields.insert("v".into(), json!("1.99"))));
    let output = place.run(&["plan", "drill.yaml", "--lab", place.lab.control()]);
    let said = text(&output.stdout) + &text(&output.stderr);
    let left_out = format!("the forecast leaves run {name} out: journal.jsonl, event 2: made by Lifeboat ");
    assert!(said.contains(&left_out) && said.contains("in version 1.99"), "{said}");
}
