//! What is swept: the shipped scenarios, hurried, and for every action of the catalogue that changes something a definition of its own with nothing
//! else in it. New scenarios and new actions come in by themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lifeboat::catalogue;
use regex_lite::{Captures, Regex};
use serde_json::json;

use crate::TIME_SCALE;
use crate::common::{copy_project, lifeboat, run, text};
use crate::samples::samples;

/// A copy of the project; ends with the value.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
    /// The world file of its labs.
    world: String,
    subjects: Vec<String>,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path();
        let mut subjects = copy_project(to, hurried);
        subjects.extend(actions(to));
        let world = to.join("world.yaml");
        fs::write(&world, unhurried(&text(&run(lifeboat().args(["lab", "--print-world"])).stdout))).unwrap();
        Self { world: world.to_string_lossy().into_owned(), folder, subjects }
    }

    /// The world file of its labs: the shop, whose customers are not hurried.
    pub(crate) fn world(&self) -> &str {
        &self.world
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What there is to sweep: paths without their ending.
    pub(crate) fn subjects(&self) -> &[String] {
        &self.subjects
    }
}

/// Writes a definition for each sample of an action: a runbook, or for a fault a scenario.
fn actions(to: &Path) -> Vec<String> {
    let samples = samples();
    write(&to.join("actions/nothing.yaml"), &json!({ "lifeboat": 1, "kind": "runbook", "title": "Nothing", "steps": [pause()] }));
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    let mut subjects = Vec::new();
    for sample in &samples {
        let nth = count.entry(sample.kind).or_default();
        *nth += 1;
        let action = json!({ "uses": sample.kind, "with": sample.with });
        let definition = if catalogue::action(sample.kind).is_some_and(|row| row.fault) {
            let mut fault = action;
            fault["lease"] = json!("5m");
            json!({ "lifeboat": 1, "kind": "scenario", "title": sample.kind, "fault": fault, "failover": { "runbook": "nothing.yaml" } })
        } else {
            let mut step = action;
            step["id"] = json!("it");
            step["timeout"] = json!("1m");
            json!({ "lifeboat": 1, "kind": "runbook", "title": sample.kind, "steps": [step] })
        };
        let subject = format!("actions/{}-{nth}", sample.kind);
        write(&to.join(format!("{subject}.yaml")), &definition);
        subjects.push(subject);
    }
    subjects
}

fn pause() -> serde_json::Value {
    json!({ "id": "pause", "uses": "wait", "with": { "for": "50ms" } })
}

fn write(path: &Path, definition: &serde_json::Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // JSON is YAML.
    fs::write(path, definition.to_string()).unwrap();
}

/// The shop's world with as many orders a second as it is written, whatever its time scale: what lists and compares them all, sample for sample, would take most of
/// the time of a sweep, and nothing that is swept depends on how many there are.
fn unhurried(world: &str) -> String {
    let orders = Regex::new(r"order_every: (\d+)ms").unwrap();
    assert!(orders.is_match(world), "the shop's world says how often somebody orders");
    let scale: u64 = TIME_SCALE.parse().unwrap();
    orders.replace(world, |found: &Captures<'_>| format!("order_every: {}ms", found[1].parse::<u64>().unwrap() * scale)).into_owned()
}

/// The text with short waiting times. Time limits stay: they are how a run that hangs is noticed. Stop conditions take longer: many labs on a
/// small machine answer late now and then.
fn hurried(text: &str) -> String {
    let waits = Regex::new(r"\b(hold|stable_for|lasting|backoff|every|for): (\d+)(ms|s)\b").unwrap();
    let hurry = |found: &Captures<'_>| {
        let millis = found[2].parse::<u64>().unwrap() * if &found[3] == "s" { 1000 } else { 1 };
        let millis = match &found[1] {
            "for" => millis * 20,
            // Samples cost the machine something, so not quite so many of them.
            "every" => millis / 2,
            _ => millis / 10,
        };
        format!("{}: {}ms", &found[1], millis.max(1))
    };
    waits.replace_all(text, hurry).into_owned()
}
