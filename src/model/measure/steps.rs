//! How long each step waited, ran and verified.

use std::collections::BTreeSet;

use super::outcome;
use crate::model::ids::Part;
use crate::model::state::{RunState, Status, StepState};
use crate::model::time::Timestamp;

/// What a step came to, without regard to what was undone later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// Changed what was asked.
    Done,
    /// Everything already was as asked.
    Already,
    /// Not run, by its own condition or because of what came before.
    Skipped,
    /// Every attempt failed.
    Failed,
    /// Never begun.
    NotRun,
    /// Begun; how it ended is not known.
    Unfinished,
}

/// The times of one step, nanoseconds of one clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTimes {
    /// The step's key.
    pub key: String,
    /// What it came to.
    pub outcome: StepOutcome,
    /// Attempts begun.
    pub attempts: u32,
    /// From when everything before it was done to its first attempt.
    pub wait: Option<i64>,
    /// From its first attempt until its last change was accepted, or its end; attempts that failed and the waits between them included.
    pub run: Option<i64>,
    /// From then until its effect was seen.
    pub verify: Option<i64>,
}

/// The times of all steps, in the order of the plan.
#[must_use]
pub fn step_times(state: &RunState) -> Vec<StepTimes> {
    state.ordered().into_iter().map(|(key, step)| times(key, step)).collect()
}

/// The critical path of the failover: the critical step (of a runbook without any, the step) that ended last, and backwards the one that each step waited for last.
/// First to last, by key; a shorter failover would have needed one of these to be shorter.
#[must_use]
pub fn critical_path(state: &RunState) -> Vec<String> {
    let Some(runbook) = state.plan().map(|plan| &plan.failover) else { return Vec::new() };
    let any = runbook.steps.iter().any(|step| step.critical);
    let ended = |id: &str| state.step(&Part::Failover.key(id)).filter(|step| step.applied).and_then(|step| step.ended);
    let latest = |ids: &mut dyn Iterator<Item = &'_ str>| ids.filter_map(|id| Some((ended(id)?, id.to_owned()))).max().map(|(_, id)| id);
    let mut next = latest(&mut runbook.steps.iter().filter(|step| step.critical || !any).map(|step| step.id.as_str()));
    let (mut path, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(id) = next.filter(|id| seen.insert(id.clone())) {
        let step = state.planned(&Part::Failover.key(&id));
        next = step.and_then(|step| latest(&mut step.needs.iter().map(String::as_str)));
        path.push(Part::Failover.key(&id));
    }
    path.reverse();
    path
}

fn times(key: &str, step: &StepState) -> StepTimes {
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| from.zip(to).map(|(from, to)| to.nanos_since(from).max(0));
    let begun = step.started.filter(|_| step.status != Status::Pending);
    StepTimes {
        key: key.to_owned(),
        outcome: outcome(step),
        attempts: step.attempts,
        wait: between(step.ready, begun),
        run: between(begun, step.accepted.or(step.ended)),
        verify: between(step.accepted, step.ended),
    }
}
