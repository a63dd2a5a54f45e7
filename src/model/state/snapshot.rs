//! What was there before a run changed it: read beforehand where that was possible, else what the first intent that acted on it is to restore.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::target::Target;
use serde_json::Value;

/// What one step would restore.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its action.
    pub uses: String,
    /// Its resolved parameters.
    pub with: Value,
    /// What was there.
    pub before: Value,
    /// What it is about.
    pub targets: Vec<Target>,
    /// Ids of those of its targets that were changed before: what was there first, another snapshot says.
    pub covered: Vec<String>,
}

impl Snapshot {
    /// Whether `path`, a place in what was there, is about a target that another snapshot knows.
    #[must_use]
    pub fn is_covered(&self, path: &str) -> bool {
        let ends = |rest: &str, at: fn(&str) -> Option<char>| at(rest).is_none_or(|next| next == '.');
        let names = |id: &String| {
            path.match_indices(id.as_str())
                .any(|(at, _)| ends(&path[..at], |rest| rest.chars().next_back()) && ends(&path[at + id.len()..], |rest| rest.chars().next()))
        };
        self.covered.iter().filter(|id| !id.is_empty()).any(names)
    }
}

/// The snapshots of a run: together they cover everything that it acted on, in whatever stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshots {
    by_key: BTreeMap<String, Snapshot>,
    were_read: bool,
    /// The name of every target that one of them is about.
    targets: BTreeSet<String>,
}

impl Snapshots {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Whether anything was read before the run changed something.
    #[must_use]
    pub const fn were_read(&self) -> bool {
        self.were_read
    }

    /// The snapshot of a step.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Snapshot> {
        self.by_key.get(key)
    }

    /// All of them, by the keys of their steps.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Snapshot)> {
        self.by_key.iter()
    }

    /// What was read for `key` before anything was changed.
    pub fn read(&mut self, key: &str, snapshot: Snapshot) {
        self.were_read = true;
        self.targets.extend(snapshot.targets.iter().map(Target::key));
        self.by_key.insert(key.to_owned(), snapshot);
    }

    /// The intent of `key`, which restores `before`. Of what no snapshot covers yet, that is what was there before the run.
    pub fn first_intent(&mut self, key: &str, uses: &str, with: &Value, before: &Value, targets: &[Target]) {
        let (known, new): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(|target| self.targets.contains(&target.key()));
        self.targets.extend(new.iter().map(|target| target.key()));
        if new.is_empty() || self.by_key.contains_key(key) {
            return;
        }
        let (uses, with, before) = (uses.to_owned(), with.clone(), before.clone());
        let covered = known.into_iter().map(|target| target.id.clone()).collect();
        self.by_key.insert(key.to_owned(), Snapshot { uses, with, before, targets: new.into_iter().cloned().collect(), covered });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::target::TargetKind;

    fn target(id: &str) -> Target {
        Target::outside(TargetKind::Instance, id)
    }

    #[test]
    fn the_first_intent_on_what_no_snapshot_covers_says_what_was_there() {
        let mut all = Snapshots::default();
        let read =
            Snapshot { uses: "start".into(), with: json!({}), before: json!({"i-1": "stopped"}), targets: vec![target("i-1")], covered: vec![] };
        all.read("failover/start", read);
        let mut intent = |key: &str, before: Value, ids: &[&str]| {
            all.first_intent(key, "stop", &json!({}), &before, &ids.iter().map(|id| target(id)).collect::<Vec<_>>());
        };
        intent("failover/start", json!({"i-1": "stopped"}), &["i-1"]);
        intent("failback/stop[0]", json!({"i-1": "running"}), &["i-1"]);
        intent("failback/stop[1]", json!({"i-2": "running"}), &["i-2"]);
        intent("failback/stop[2]", json!({"i-2": "stopped", "i-20": "running"}), &["i-2", "i-20"]);
        let keys: Vec<&String> = all.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["failback/stop[1]", "failback/stop[2]", "failover/start"]);
        assert_eq!(all.get("failback/stop[1]").unwrap().before, json!({"i-2": "running"}));
        let mixed = all.get("failback/stop[2]").unwrap();
        assert_eq!((mixed.is_covered("i-2"), mixed.is_covered("states.i-2.name"), mixed.is_covered("i-20")), (true, true, false));
    }

    #[test]
    fn a_snapshot_without_targets_is_about_those_of_its_own_intent() {
        let mut all = Snapshots::default();
        all.read("fault", Snapshot { uses: "stop".into(), with: json!({}), before: json!("running"), targets: vec![], covered: vec![] });
        all.first_intent("fault", "stop", &json!({}), &json!("running"), &[target("i-1")]);
        all.first_intent("failover/repair[0]", "start", &json!({}), &json!("stopped"), &[target("i-1")]);
        assert_eq!(all.iter().count(), 1, "the harm is nobody's baseline");
    }
}
