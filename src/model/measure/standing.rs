//! What of a run's changes stands: the one list behind report, `runs`, the last screen and the verdict's words.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::{failback_done, leftovers};
use crate::model::ids::Part;
use crate::model::plan::Mode;
use crate::model::state::{Acceptance, FAULT, RunState, Status, StepState};
use crate::model::target::Target;

/// Changes of one step that are not put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingChange {
    /// The step's key.
    pub step: String,
    /// Why they stand.
    pub why: Stands,
    /// What was changed, each thing once.
    pub targets: Vec<Target>,
    /// What of it nothing can put back, one line each.
    pub irrevocable: Vec<String>,
    /// Whether `lifeboat abort` has anything to put back.
    pub can_be_undone: bool,
}

/// Why changes stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// They were to be put back and are not, for this reason.
    LeftOver(String),
    /// Nothing can put them back; what could be was.
    CannotBeUndone,
    /// In an emergency nothing is undone unasked.
    Emergency,
    /// The failover was to stay (`--no-failback`).
    Asked,
    /// Somebody stopped the run, which undoes nothing.
    Stopped,
    /// The run has not come so far.
    NotYet,
    /// A person took what is there as it is.
    Accepted(Acceptance),
}

/// What is said of what a person took as it is.
#[must_use]
pub fn accepted(acceptance: &Acceptance) -> String {
    let Acceptance { by, why, there, .. } = acceptance;
    format!("accepted by {by} because {why}; {there}")
}

impl StandingChange {
    /// How many changes these are: things, and at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.targets.len().max(1)
    }
}

/// How many changes stand.
#[must_use]
pub fn count(standing: &[StandingChange]) -> usize {
    standing.iter().map(StandingChange::count).sum()
}

/// Every change that stands, in the order of the plan. A step that found everything as asked, or whose calls were refused, changed nothing. A failback that went
/// well is itself the way back, and so is no change that stands.
#[must_use]
pub fn standing(state: &RunState) -> Vec<StandingChange> {
    let (held, leftovers): (BTreeSet<&str>, _) = (state.held().into_iter().collect(), leftovers(state));
    let mut left: BTreeMap<&str, &String> = BTreeMap::new();
    for (key, why) in &leftovers {
        left.entry(key.as_str()).or_insert(why);
    }
    let way_back = failback_done(state);
    let one = |(key, step): (&str, &StepState)| {
        if let Some(acceptance) = step.acceptance.as_ref().filter(|_| step.status == Status::Accepted) {
            let (step_key, why) = (key.to_owned(), Stands::Accepted(acceptance.clone()));
            return Some(StandingChange { step: step_key, why, targets: changed(step), irrevocable: step.irrevocable.clone(), can_be_undone: false });
        }
        let left_over = left.get(key).map(|why| (*why).clone());
        // The fault is only ever believed to be gone.
        if left_over.is_none() && key != FAULT && !step.may_have_changed() {
            return None;
        }
        let is_way_back = Part::Failback.has(key) && way_back;
        let is_taken_back = way_back && Part::Failover.has(key) && left_over.is_none();
        let is_held = held.contains(key) && !is_taken_back && !is_way_back;
        let why = match left_over {
            Some(_) if state.ended.is_none() && step.status != Status::UndoFailed => Stands::NotYet,
            Some(why) => Stands::LeftOver(why),
            None if !is_held && (step.irrevocable.is_empty() || is_way_back) => return None,
            None if !is_held => Stands::CannotBeUndone,
            None if step.has_no_undo && step.status == Status::Undone => Stands::CannotBeUndone,
            None if state.ended.is_none() => Stands::NotYet,
            None if state.plan().is_some_and(|plan| plan.mode == Mode::Emergency) => Stands::Emergency,
            None if state.stop().is_some_and(|stop| !stop.abort) => Stands::Stopped,
            None if state.plan().is_some_and(|plan| plan.leave) => Stands::Asked,
            None => Stands::LeftOver("nothing put it back".to_owned()),
        };
        let can_be_undone = is_held && !step.has_no_undo;
        Some(StandingChange { step: key.to_owned(), why, targets: changed(step), irrevocable: step.irrevocable.clone(), can_be_undone })
    };
    state.ordered().into_iter().filter_map(one).collect()
}

/// What a step changed: of several targets those of which it says a change.
fn changed(step: &StepState) -> Vec<Target> {
    let Some(intent) = &step.intent else { return Vec::new() };
    let all = &intent.targets;
    if all.iter().any(Target::changes) { all.iter().filter(|target| target.changes()).cloned().collect() } else { all.clone() }
}
