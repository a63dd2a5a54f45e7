//! What is there before the run, and whether it is there again afterwards: every step that changes something is read, not applied, both times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Effect, FAULT, Machine, Moment, Phase, Planned};
use crate::model::difference::differences;
use crate::model::event::RunEvent;
use crate::model::event::run::Difference;
use crate::model::expression::Names;
use crate::model::failure::Failure;
use crate::model::ids::Part;
use crate::model::plan::StepPlan;
use crate::model::state::{Snapshot, Snapshots};

/// How many readings are under way at once.
const AT_ONCE: usize = 16;
/// For one reading.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long what was put back may take to read as it was: describing lags behind changing on both clouds.
pub(super) const SETTLES: Duration = Duration::from_secs(30);
/// Between two comparisons.
const AGAIN: Duration = Duration::from_secs(1);

/// A step to read: its action and parameters.
type Reading = (String, Value);

/// The readings under way, and what they found.
#[derive(Debug, Default)]
pub(super) struct Readings {
    queue: VecDeque<String>,
    open: BTreeSet<String>,
    what: BTreeMap<String, Reading>,
    /// Whether what is there was read since it is steady.
    is_taken: bool,
    /// As read before anything was changed.
    pub(super) snapshot: Snapshots,
    /// Keys that read as before.
    same: BTreeSet<String>,
    /// What does not, by key.
    differ: BTreeMap<String, Vec<Difference>>,
    /// When the next comparison is due.
    again: Option<Moment>,
}

impl Readings {
    pub(super) fn are_over(&self) -> bool {
        self.queue.is_empty() && self.open.is_empty()
    }

    /// The keys of the readings under way.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &str> {
        self.open.iter().map(String::as_str)
    }

    /// When what differs is read again.
    pub(super) const fn again(&self) -> Option<Moment> {
        self.again
    }

    /// Begins to read `what`; answers to what was asked before are nobody's.
    pub(super) fn begin(&mut self, keys: Vec<String>, what: BTreeMap<String, (String, Value)>) {
        self.queue = keys.into();
        self.what = what;
        self.open.clear();
        self.same.clear();
        self.differ.clear();
        self.again = None;
    }

    /// Reads nothing more; gives the readings that are under way, the first time.
    pub(super) fn give_up(&mut self) -> Vec<String> {
        self.queue.clear();
        if std::mem::take(&mut self.what).is_empty() { Vec::new() } else { self.open.iter().cloned().collect() }
    }

    /// Notes in what a step differs from what it should read as.
    pub(super) fn found(&mut self, key: &str, differences: Vec<Difference>) {
        if differences.is_empty() {
            self.same.insert(key.to_owned());
            self.differ.remove(key);
        } else {
            self.differ.insert(key.to_owned(), differences);
        }
    }
}

impl Machine {
    /// Reads everything that the plan is going to change, as far as it can be told already. True when it has been read.
    pub(super) fn take_snapshot(&mut self) -> bool {
        if std::mem::replace(&mut self.readings.is_taken, true) {
            return true;
        }
        let plan = self.plan.clone();
        let mut what: Vec<(String, Reading)> = Vec::new();
        if let Some(fault) = &plan.fault {
            what.push((FAULT.into(), (fault.uses.clone(), fault.with.clone())));
        }
        let is_plain =
            |(key, step): &(String, &StepPlan)| step.for_each.is_none() && (self.mutates)(&step.uses) && !(plan.leave && Part::Failback.has(key));
        what.extend(plan.steps().filter(is_plain).map(|(key, step)| (key, (step.uses.clone(), step.with.clone()))));
        self.readings.queue = what.iter().map(|(key, _)| key.clone()).collect();
        self.readings.what = what.into_iter().collect();
        self.read_next();
        self.readings.are_over()
    }

    /// What was read is not to count: it was not steady.
    pub(super) fn forget_snapshot(&mut self) {
        self.readings.is_taken = false;
        self.readings.snapshot = Snapshots::default();
    }

    /// Puts what was read on record: it is what the run begins with.
    pub(super) fn keep_snapshot(&mut self) {
        let read: Vec<(String, Snapshot)> = self.readings.snapshot.iter().map(|(key, one)| (key.clone(), one.clone())).collect();
        for (step, Snapshot { uses, with, before, targets, .. }) in read {
            self.record_run(RunEvent::Snapshot { step, uses, with, before, targets });
        }
    }

    pub(super) fn read_next(&mut self) {
        while self.readings.open.len() < AT_ONCE
            && let Some(key) = self.readings.queue.pop_front()
        {
            let Some((uses, with)) = self.readings.what.get(&key).cloned() else { continue };
            let scope = self.scope_of_reading(&key, &with);
            self.readings.open.insert(key.clone());
            self.effects.push(Effect::Read { key, uses, with, scope, timeout: PATIENCE });
        }
    }

    /// What expressions see before any step has run.
    fn scope_of_reading(&self, key: &str, with: &Value) -> Value {
        let mut names = Names::default();
        names.add(with);
        let mut scope = self.scope_before(&names, Part::of(key));
        scope.insert("steps".into(), json!({}));
        Value::Object(scope)
    }

    pub(super) fn read(&mut self, key: &str, result: Result<(Planned<Value>, Value), Failure>) {
        if matches!(self.phase, Phase::Look(_)) {
            return self.looked(key, result);
        }
        if !self.readings.open.remove(key) {
            return;
        }
        match self.phase {
            Phase::SteadyState { .. } => {
                // What cannot be read yet, such as what another step brings about, is not compared either.
                if let Ok((planned, with)) = result
                    && !planned.targets.is_empty()
                    && let Some((uses, _)) = self.readings.what.get(key).cloned()
                {
                    self.readings.snapshot.read(key, Snapshot { uses, with, before: planned.before, targets: planned.targets, covered: Vec::new() });
                }
            }
            Phase::Compare { .. } => self.compare(key, result),
            Phase::Review { .. } => self.reviewed(key, &result),
            _ => {}
        }
        self.read_next();
    }

    /// Begins the comparison, or ends the run when there is nothing to compare.
    pub(super) fn start_comparison(&mut self) {
        let snapshot = &self.readings.snapshot;
        if snapshot.is_empty() || !self.touched {
            return self.finish();
        }
        let keys = snapshot.iter().map(|(key, _)| key.clone()).collect();
        let what = snapshot.iter().map(|(key, one)| (key.clone(), (one.uses.clone(), one.with.clone()))).collect();
        self.readings.begin(keys, what);
        let until = self.now + SETTLES;
        self.phase = Phase::Compare { until };
        self.read_next();
    }

    fn compare(&mut self, key: &str, result: Result<(Planned<Value>, Value), Failure>) {
        let Some(was) = self.readings.snapshot.get(key) else { return };
        let one = |what: String, before: String, after: String| Difference { step: key.to_owned(), what, before, after };
        let found: Vec<Difference> = match result {
            Ok((planned, _)) => differences(&was.before, &planned.before)
                .into_iter()
                .filter(|(what, ..)| !was.is_covered(what))
                .map(|(what, before, after)| one(what, before, after))
                .collect(),
            Err(failure) => vec![one(String::new(), String::new(), format!("cannot be read: {failure}"))],
        };
        self.readings.found(key, found);
    }

    pub(super) fn await_comparison(&mut self, until: Moment) {
        if let Some((same, differences)) = self.settled_readings(until) {
            self.record_run(RunEvent::Baseline { same, differences });
            self.finish();
        }
    }

    /// What was read as it should be and what was not, once that is certain: what differs is read again until then.
    pub(super) fn settled_readings(&mut self, until: Moment) -> Option<(Vec<String>, Vec<Difference>)> {
        if !self.readings.are_over() {
            return None;
        }
        if self.readings.differ.is_empty() || self.now >= until {
            let differ = std::mem::take(&mut self.readings.differ);
            let same = std::mem::take(&mut self.readings.same).into_iter().filter(|key| !differ.contains_key(key)).collect();
            return Some((same, differ.into_values().flatten().collect()));
        }
        match self.readings.again {
            Some(at) if self.now >= at => {
                self.readings.again = None;
                self.readings.queue = self.readings.differ.keys().cloned().collect();
                self.read_next();
            }
            Some(_) => {}
            None => {
                let at = self.now + AGAIN;
                self.readings.again = Some(at);
                self.wake_at(at);
            }
        }
        None
    }
}
