//! The policy of undo: what of a run's changes is held, what stays and why, what is put back next. Whoever takes back, or tells what is left, asks here: the
//! machine while a run lives, the fold of the journal afterwards.
//!
//! Changes are put back in the reverse order of their intents, the fault before everything else. A change stays where it was
//! - a repair of what the fault broke, once the fault is out: what was there before it is the harm;
//! - needed by another that could not be put back: a standby is not stopped while names may still lead to it;
//! - made by a failback that went well: it is itself the way back.

mod changes;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::FAULT;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{Part, StepKey};
use crate::model::index::PlanIndex;
use crate::model::plan::Plan;
use crate::model::target::Target;
#[cfg(test)]
pub(crate) use changes::LOOKS;
pub use changes::{Change, Changes};

/// First wait between two attempts to undo; doubles.
const BACKOFF: Duration = Duration::from_millis(500);
/// Longest wait between two attempts to undo.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// How long is waited after the attempt to undo with this number, from 1.
#[must_use]
pub fn wait_after(attempt: u32) -> Duration {
    BACKOFF.saturating_mul(1 << attempt.saturating_sub(1).min(8)).min(LONGEST_BACKOFF)
}

/// Whether another attempt to undo may succeed where this one has failed.
#[must_use]
pub fn helps(failure: &Failure) -> bool {
    failure.retry || failure.ambiguous || failure.kind == FailureKind::Timeout
}

/// How far the taking back of a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakingBack {
    /// Nobody has tried to.
    NotBegun,
    /// An attempt runs, or another follows.
    UnderWay,
    /// Everything of it that can be is as it was.
    Done,
    /// It was tried and given up.
    Failed,
    /// A person took what is there as it is.
    Accepted,
}

impl TakingBack {
    /// Whether the change, or something of it, may still be there.
    #[must_use]
    pub const fn is_held(self) -> bool {
        !matches!(self, Self::Done | Self::Accepted)
    }
}

/// A change that is on record, as it is told to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Intended<'a> {
    /// Key of its step.
    pub key: &'a str,
    /// What it acts on.
    pub targets: &'a [Target],
    /// How far taking it back is.
    pub back: TakingBack,
}

/// What is to be done about a change, as things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course<'a> {
    /// It is put back.
    PutBack,
    /// It repaired what the fault had broken, and was healed with it.
    HealedWithTheFault,
    /// This step needs it and could not be put back.
    Carries(&'a str),
    /// What becomes of the fault decides what becomes of it.
    AwaitsTheFault,
    /// A later change is being put back, of which it is what was there before, or which needs it.
    AwaitsWhatLiesOver,
}

/// The changes of a run in the order of their intents, and the plan that says which step needs which.
#[derive(Clone, Debug)]
pub struct Undo<'a> {
    plan: Option<(&'a Plan, Cow<'a, PlanIndex>)>,
    changes: Cow<'a, Changes>,
}

impl<'a> Undo<'a> {
    /// The changes of a run of `plan`, in the order of their intents. `fault`: its own, when they have it no more.
    #[must_use]
    pub fn new(plan: Option<&'a Plan>, changes: Vec<Intended<'_>>, fault: Option<Intended<'_>>) -> Self {
        let mut all = Changes::default();
        changes.into_iter().for_each(|change| all.push(change));
        if let Some(fault) = fault {
            all.remember_the_fault(fault);
        }
        Self { plan: plan.map(|plan| (plan, Cow::Owned(PlanIndex::of(plan)))), changes: Cow::Owned(all) }
    }

    /// The same, with the index of its plan that is at hand.
    #[must_use]
    pub(super) fn indexed(plan: &'a Plan, index: &'a PlanIndex, changes: Changes) -> Self {
        Self { plan: Some((plan, Cow::Borrowed(index))), changes: Cow::Owned(changes) }
    }

    /// The same of what is kept up to date elsewhere.
    #[must_use]
    pub const fn of_kept(plan: &'a Plan, index: &'a PlanIndex, changes: &'a Changes) -> Self {
        Self { plan: Some((plan, Cow::Borrowed(index))), changes: Cow::Borrowed(changes) }
    }

    /// The same, with the fault to be taken out once more.
    #[must_use]
    pub fn with_the_fault_back(mut self) -> Self {
        self.changes.to_mut().set_back(FAULT, TakingBack::UnderWay);
        self
    }

    /// Keys of what may still be there, in the order of the intents.
    pub fn held(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|change| change.back.is_held()).map(|change| change.key.as_str())
    }

    /// Keys of what nobody has tried to put back, the newest first.
    pub fn to_be_begun(&self) -> impl Iterator<Item = &str> {
        self.changes.not_begun().map(|change| change.key.as_str())
    }

    /// What is held in the order in which it is put back: the fault, then backwards.
    pub fn in_order(&self) -> impl Iterator<Item = &str> {
        let faults = self.held().filter(|key| *key == FAULT);
        faults.chain(self.changes.iter().rev().filter(|change| change.back.is_held() && change.key != FAULT).map(|change| change.key.as_str()))
    }

    /// Whether the fault stands, as far as is known. One that could not be taken out is given up: it is no reason to bring its harm back either.
    fn is_fault_open(&self) -> bool {
        self.changes.fault().is_some_and(|fault| !matches!(fault.back, TakingBack::Done | TakingBack::Failed | TakingBack::Accepted))
    }

    /// Whether a step has acted on nothing but what the fault broke: its `before` is the fault's harm, and restoring that would bring the fault back.
    fn repairs_the_fault(&self, change: &Change) -> bool {
        change.key != FAULT && self.changes.fault().is_some_and(|fault| change.is_within(fault))
    }

    /// Whether a step has acted on something that the fault broke, and on other things as well: putting it back brings the harm back, so that the fault is taken
    /// out once more afterwards.
    #[must_use]
    pub fn brings_the_fault_back(&self, key: &str) -> bool {
        self.changes.find(key).is_some_and(|(_, change)| self.is_mixed(change))
    }

    /// Keys of the steps that bring the fault back.
    pub fn bring_the_fault_back(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|change| self.is_mixed(change)).map(|change| change.key.as_str())
    }

    fn is_mixed(&self, change: &Change) -> bool {
        change.key != FAULT && self.changes.fault().is_some_and(|fault| change.shares(fault) && !change.is_within(fault))
    }

    /// Whether it was healed with the fault, so that nothing of it is to be put back.
    #[must_use]
    pub fn was_healed_with_the_fault(&self, key: &str) -> bool {
        !self.is_fault_open() && self.changes.find(key).is_some_and(|(_, change)| self.repairs_the_fault(change))
    }

    /// Whether a step that acted on something that the fault broke has to wait for the fault's end before it is put back.
    #[must_use]
    pub fn awaits_the_fault(&self, key: &str) -> bool {
        self.changes.find(key).is_some_and(|(_, change)| self.has_to_await_the_fault(change))
    }

    fn has_to_await_the_fault(&self, change: &Change) -> bool {
        change.key != FAULT && self.is_fault_open() && self.changes.fault().is_some_and(|fault| change.shares(fault))
    }

    /// Whether one of the changes before this one has the same targets and is as `wanted`.
    pub fn is_over(&self, key: &str, wanted: impl Fn(&Change) -> bool) -> bool {
        self.changes.place(key).is_some_and(|place| self.changes.beneath(place).any(wanted))
    }

    /// Whether something that it came over was put back already: its own `before` is not what was there first, and is not to come back.
    #[must_use]
    pub fn is_over_what_is_back(&self, key: &str) -> bool {
        self.changes.place(key).is_some_and(|place| self.changes.is_over_what_is_back(place))
    }

    /// Whether it was given up, and yet nothing of it is left, because what lies beneath was put back.
    #[must_use]
    pub fn was_left_over_what_is_back(&self, key: &str) -> bool {
        let given_up = self.changes.find(key).filter(|(_, change)| change.back == TakingBack::Failed);
        key != FAULT && given_up.is_some_and(|(place, _)| self.changes.is_over_what_is_back(place))
    }

    /// Keys of the changes after this one that have the same targets.
    pub fn over(&self, key: &str) -> impl Iterator<Item = &str> {
        let own = self.changes.find(key);
        let after = self.changes.iter().skip(own.map_or(0, |(place, _)| place + 1));
        after.filter(move |other| own.is_some_and(|(_, own)| own.shares(other))).map(|other| other.key.as_str())
    }

    /// What is to be done about a change.
    #[must_use]
    pub fn course(&self, key: &str) -> Course<'_> {
        let Some((place, own)) = self.changes.find(key) else { return Course::PutBack };
        if self.has_to_await_the_fault(own) {
            return Course::AwaitsTheFault;
        }
        let mut under_way = self.changes.under_way_after(place).filter(|other| !self.has_to_await_the_fault(other));
        if under_way.any(|other| own.shares(other) || self.needs(&other.key, key)) {
            return Course::AwaitsWhatLiesOver;
        }
        if let Some(above) = self.carried_by(own) {
            return Course::Carries(&above.key);
        }
        if self.was_healed_with_the_fault(key) { Course::HealedWithTheFault } else { Course::PutBack }
    }

    /// The first of the changes that need this one and were given up. Of the same targets, what lies beneath is what was there first: putting it back puts both
    /// back.
    ///
    /// They are looked for in two ways at once, of which either may be long: among those that were given up, from the first, and among the steps that need this one.
    fn carried_by(&self, own: &Change) -> Option<&Change> {
        let carried = |(place, other): &(usize, &Change)| !self.changes.is_over_what_is_back(*place) && !own.shares(other);
        let of_step = |step: &str| self.changes.failed(step).find(carried);
        let (mut given_up, mut needing) = (self.changes.failed_steps(), self.needing(&own.key));
        let mut among_given_up: Option<(usize, &Change)> = None;
        let mut among_needing: Option<(usize, &Change)> = None;
        loop {
            match given_up.next() {
                Some((first, step)) if among_given_up.is_none_or(|(place, _)| first < place) => {
                    if self.needs(step, &own.key) {
                        among_given_up = first_of(among_given_up, of_step(step));
                    }
                }
                _ => return among_given_up.map(|(_, change)| change),
            }
            match needing.next() {
                Some(step) => among_needing = first_of(among_needing, of_step(&step)),
                None => return among_needing.map(|(_, change)| change),
            }
        }
    }

    /// Keys of the steps that need this one, themselves or by what they need, each once.
    fn needing(&self, key: &str) -> impl Iterator<Item = String> {
        let (part, id) = StepKey::parse(key).map_or((Part::Fault, ""), |key| (key.part, key.id));
        let dependents = move |id: &str| {
            let known = self.plan.as_ref().map(|(plan, index)| index.dependents(plan, part, id));
            known.into_iter().flatten().map(|step| step.id.as_str()).collect::<Vec<_>>()
        };
        let mut open = dependents(id);
        let mut seen: BTreeSet<&str> = open.iter().copied().collect();
        std::iter::from_fn(move || {
            let id = open.pop()?;
            open.extend(dependents(id).into_iter().filter(|id| seen.insert(*id)));
            Some(part.key(id))
        })
    }

    /// Whether a step needs another of its runbook, itself or by what it needs. An item of a `for_each` needs what its step needs.
    fn needs(&self, key: &str, other: &str) -> bool {
        let (Some(key), Some(wanted)) = (StepKey::parse(key), StepKey::parse(other)) else { return false };
        let Some((plan, index)) = self.plan.as_ref().filter(|_| key.part == wanted.part) else { return false };
        let (mut open, mut seen) = (vec![key.id], BTreeSet::new());
        while let Some(id) = open.pop() {
            let needs = index.find(plan, key.part, id).map_or(&[][..], |step| &step.needs);
            if needs.iter().any(|need| need == wanted.id) {
                return true;
            }
            open.extend(needs.iter().map(String::as_str).filter(|need| seen.insert(*need)));
        }
        false
    }
}

/// That of two changes which comes first.
fn first_of<'a>(one: Option<(usize, &'a Change)>, other: Option<(usize, &'a Change)>) -> Option<(usize, &'a Change)> {
    one.into_iter().chain(other).min_by_key(|(place, _)| *place)
}

/// What became of a step of a failback.
#[derive(Clone, Copy, Debug)]
pub struct WayBack {
    /// Whether it was done.
    pub is_done: bool,
    /// Whether it was left out.
    pub is_left_out: bool,
    /// Whether it is being put back, or was.
    pub is_taken_back: bool,
}

/// Whether a failback went well: every step of it was done or left out, and something was done.
#[must_use]
pub fn went_well(steps: &[WayBack]) -> bool {
    steps.iter().any(|step| step.is_done) && steps.iter().all(|step| step.is_done || step.is_left_out)
}

/// Whether a failback stays, so that only what lies beneath it is put back: it went well and nobody asked to abort, or (`beneath`) what lies beneath is being put
/// back although nothing of the failback was, which undo, that goes backwards, does only then. Putting the failback back would lead traffic away again while what
/// it led to is being stopped.
#[must_use]
pub fn failback_stays(steps: &[WayBack], is_aborted: bool, beneath: bool) -> bool {
    (went_well(steps) && !is_aborted || beneath && steps.iter().any(|step| step.is_done)) && steps.iter().all(|step| !step.is_taken_back)
}

#[cfg(test)]
mod tests;
