//! The policy of undo: what of a run's changes is held, what stays and why, what is put back next. Whoever takes back, or tells what is left, asks here: the
//! machine while a run lives, the fold of the journal afterwards.
//!
//! Changes are put back in the reverse order of their intents, the fault before everything else. A change stays where it was
//! - a repair of what the fault broke, once the fault is out: what was there before it is the harm;
//! - needed by another that could not be put back: a standby is not stopped while names may still lead to it;
//! - made by a failback that went well: it is itself the way back.

use std::collections::BTreeSet;
use std::time::Duration;

use super::FAULT;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::StepKey;
use crate::model::plan::Plan;
use crate::model::target::Target;

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

/// A change that is on record.
#[derive(Clone, Copy, Debug)]
pub struct Intended<'a> {
    /// Key of its step.
    pub key: &'a str,
    /// What it acts on.
    pub targets: &'a [Target],
    /// How far taking it back is.
    pub back: TakingBack,
}

impl Intended<'_> {
    fn shares(&self, other: &Self) -> bool {
        !Target::keys(self.targets).is_disjoint(&Target::keys(other.targets))
    }
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

/// The changes of a run in the order of their intents.
#[derive(Clone, Debug)]
pub struct Undo<'a> {
    plan: Option<&'a Plan>,
    changes: Vec<Intended<'a>>,
    /// The fault, also where undo only has to know what it had broken.
    fault: Option<Intended<'a>>,
}

impl<'a> Undo<'a> {
    /// The changes of a run of `plan`, in the order of their intents. `fault`: its own, when they have it no more.
    #[must_use]
    pub fn new(plan: Option<&'a Plan>, changes: Vec<Intended<'a>>, fault: Option<Intended<'a>>) -> Self {
        let fault = changes.iter().find(|change| change.key == FAULT).copied().or(fault);
        Self { plan, changes, fault }
    }

    /// The same, with the fault to be taken out once more.
    #[must_use]
    pub fn with_the_fault_back(mut self) -> Self {
        for change in self.changes.iter_mut().chain(&mut self.fault).filter(|change| change.key == FAULT) {
            change.back = TakingBack::UnderWay;
        }
        self
    }

    fn find(&self, key: &str) -> Option<&Intended<'a>> {
        self.changes.iter().find(|change| change.key == key)
    }

    fn before(&self, key: &str) -> impl Iterator<Item = &Intended<'a>> {
        self.changes.iter().take_while(move |change| change.key != key)
    }

    fn after(&self, key: &str) -> impl Iterator<Item = &Intended<'a>> {
        self.changes.iter().skip_while(move |change| change.key != key).skip(1)
    }

    /// Keys of what may still be there, in the order of the intents.
    pub fn held(&self) -> impl Iterator<Item = &'a str> {
        self.changes.iter().filter(|change| change.back.is_held()).map(|change| change.key)
    }

    /// Keys of what nobody has tried to put back, the newest first.
    pub fn to_be_begun(&self) -> impl Iterator<Item = &'a str> {
        self.changes.iter().rev().filter(|change| change.back == TakingBack::NotBegun).map(|change| change.key)
    }

    /// What is held in the order in which it is put back: the fault, then backwards.
    pub fn in_order(&self) -> impl Iterator<Item = &'a str> {
        let faults = self.held().filter(|key| *key == FAULT);
        faults.chain(self.changes.iter().rev().filter(|change| change.back.is_held() && change.key != FAULT).map(|change| change.key))
    }

    /// Whether the fault stands, as far as is known. One that could not be taken out is given up: it is no reason to bring its harm back either.
    fn is_fault_open(&self) -> bool {
        self.fault.is_some_and(|fault| !matches!(fault.back, TakingBack::Done | TakingBack::Failed | TakingBack::Accepted))
    }

    /// Whether a step has acted on nothing but what the fault broke: its `before` is the fault's harm, and restoring that would bring the fault back.
    fn repairs_the_fault(&self, change: &Intended<'_>) -> bool {
        let Some(fault) = &self.fault else { return false };
        change.key != FAULT && !change.targets.is_empty() && Target::keys(change.targets).is_subset(&Target::keys(fault.targets))
    }

    /// Keys of the steps that have acted on something that the fault broke, and on other things as well: putting one back brings the harm back, so that the fault
    /// is taken out once more afterwards.
    pub fn bring_the_fault_back(&self) -> impl Iterator<Item = &'a str> {
        let broken = self.fault.map(|fault| Target::keys(fault.targets)).unwrap_or_default();
        let is_mixed = move |change: &&Intended<'_>| {
            let keys = Target::keys(change.targets);
            change.key != FAULT && !keys.is_disjoint(&broken) && !keys.is_subset(&broken)
        };
        self.changes.iter().filter(is_mixed).map(|change| change.key)
    }

    /// Whether it was healed with the fault, so that nothing of it is to be put back.
    #[must_use]
    pub fn was_healed_with_the_fault(&self, key: &str) -> bool {
        self.find(key).is_some_and(|change| self.repairs_the_fault(change)) && !self.is_fault_open()
    }

    /// Whether a step that acted on something that the fault broke has to wait for the fault's end before it is put back.
    #[must_use]
    pub fn awaits_the_fault(&self, key: &str) -> bool {
        let (Some(change), Some(fault)) = (self.find(key), &self.fault) else { return false };
        key != FAULT && self.is_fault_open() && change.shares(fault)
    }

    /// Whether one of the changes before this one has the same targets and is as `wanted`.
    pub fn is_over(&self, key: &str, wanted: impl Fn(&Intended<'a>) -> bool) -> bool {
        let Some(own) = self.find(key) else { return false };
        self.before(key).any(|other| wanted(other) && own.shares(other))
    }

    /// Whether something that it came over was put back already: its own `before` is not what was there first, and is not to come back.
    #[must_use]
    pub fn is_over_what_is_back(&self, key: &str) -> bool {
        self.is_over(key, |other| other.key != FAULT && other.back == TakingBack::Done)
    }

    /// Whether it was given up, and yet nothing of it is left, because what lies beneath was put back.
    #[must_use]
    pub fn was_left_over_what_is_back(&self, key: &str) -> bool {
        key != FAULT && self.find(key).is_some_and(|change| change.back == TakingBack::Failed) && self.is_over_what_is_back(key)
    }

    /// Keys of the changes after this one that have the same targets.
    pub fn over(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let own = self.find(key).copied();
        self.after(key).filter(move |other| own.is_some_and(|own| own.shares(other))).map(|other| other.key)
    }

    /// What is to be done about a change.
    #[must_use]
    pub fn course(&self, key: &str) -> Course<'a> {
        let Some(own) = self.find(key) else { return Course::PutBack };
        let is_under_way = |other: &&Intended<'_>| other.back == TakingBack::UnderWay && !self.awaits_the_fault(other.key);
        if self.awaits_the_fault(key) {
            return Course::AwaitsTheFault;
        }
        if self.after(key).filter(is_under_way).any(|other| own.shares(other) || self.needs(other.key, key)) {
            return Course::AwaitsWhatLiesOver;
        }
        // Of the same targets, what lies beneath is what was there first: putting it back puts both back.
        let is_carried = |other: &&Intended<'_>| {
            other.back == TakingBack::Failed && !self.is_over_what_is_back(other.key) && self.needs(other.key, key) && !own.shares(other)
        };
        if let Some(above) = self.changes.iter().find(is_carried) {
            return Course::Carries(above.key);
        }
        if self.was_healed_with_the_fault(key) { Course::HealedWithTheFault } else { Course::PutBack }
    }

    /// Whether a step needs another of its runbook, itself or by what it needs. An item of a `for_each` needs what its step needs.
    fn needs(&self, key: &str, other: &str) -> bool {
        let (Some(key), Some(wanted)) = (StepKey::parse(key), StepKey::parse(other)) else { return false };
        let runbook = self.plan.and_then(|plan| plan.runbook(key.part));
        let Some(runbook) = runbook.filter(|_| key.part == wanted.part) else { return false };
        let (mut open, mut seen) = (vec![key.id.to_owned()], BTreeSet::new());
        while let Some(id) = open.pop() {
            let needs = runbook.steps.iter().filter(|step| step.id == id).flat_map(|step| &step.needs);
            open.extend(needs.filter(|need| seen.insert((*need).clone())).cloned());
        }
        seen.contains(wanted.id)
    }
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
