//! A journal that cannot be written: the run ends, nothing more is changed but for taking the fault out, and what its steps did waits until it can be
//! written again. A fault that stays is worse than an event that is late.

use std::time::Duration;

use super::{Effect, FAULT, Machine, Moment, Phase, Status};
use crate::model::event::step::StepKind;
use crate::model::failure::{Failure, FailureKind};
use crate::model::plan::Mode;

/// By whose name a run stops here.
const BY: &str = "journal";
/// How long a run whose fault is out waits for its journal before it leaves what its steps did to `lifeboat abort`.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a journal that cannot be written.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// Until when it is waited for, once nothing else is left to do.
    until: Option<Moment>,
    /// Whether somebody has asked to end meanwhile: then it is not waited for.
    hurried: bool,
}

impl Machine {
    /// An event could not be stored: no change but the fault's end is started until [`Self::journal_written`].
    pub(super) fn journal_failed(&mut self, why: &str) {
        if self.unwritten.is_some() || self.phase == Phase::Ended {
            return;
        }
        self.unwritten = Some(Unwritten::default());
        let (abort, said) = (self.plan.mode != Mode::Emergency, format!("the journal cannot be written: {why}"));
        match self.stop {
            Some(stop) if stop.abort || !abort => self.note(said),
            _ => self.stop_requested(abort, said, BY.into()),
        }
        // What is being put back was begun with its intent on record; it waits as well.
        let undoing = self.steps.running().filter(|(key, step)| *key != FAULT && *step.status() == Status::Undoing);
        let undoing: Vec<Effect> = undoing.map(|(key, _)| Effect::Cancel(key.to_owned())).collect();
        self.effects.extend(undoing);
        if self.phase == Phase::Quiesce {
            self.cut_off();
        }
    }

    /// Everything that happened meanwhile is stored: the run goes on to its end.
    pub(super) fn journal_written(&mut self) {
        if self.unwritten.take().is_none() || self.phase == Phase::Ended {
            return;
        }
        self.note("the journal can be written again; until then nothing was changed but the fault taken out");
    }

    /// Space for the way out cannot be set aside any more: a drill goes back while there is room to write it down. What an emergency is for goes on for as
    /// long as the room lasts.
    pub(super) fn journal_short(&mut self, why: &str) {
        let said = format!("no more space can be set aside for the journal: {why}");
        match self.plan.mode {
            Mode::Emergency => self.note(said),
            _ => self.stop_requested(true, said, BY.into()),
        }
    }

    /// Somebody asks the run to end while its journal cannot be written.
    pub(super) fn hurry(&mut self) {
        if let Some(unwritten) = &mut self.unwritten {
            unwritten.hurried = true;
        }
    }

    /// Whether the run's journal cannot be written and it could still change something.
    pub(super) fn is_letting_go_unwritten(&self) -> bool {
        self.unwritten.is_some()
            && !matches!(self.phase, Phase::Idle | Phase::Ended | Phase::Compare { .. } | Phase::Baseline { .. } | Phase::Review { .. })
    }

    /// Until when the journal is waited for.
    pub(super) fn unwritten_until(&self) -> Option<Moment> {
        self.unwritten.as_ref()?.until
    }

    /// What a run does whose journal cannot be written. False when it may go on as any other: nothing that it would do now changes anything.
    pub(super) fn lets_go_unwritten(&mut self) -> bool {
        if !self.is_letting_go_unwritten() {
            return false;
        }
        if !matches!(self.phase, Phase::Quiesce | Phase::Heal { .. } | Phase::SourceReturns { .. } | Phase::Undo | Phase::Leave) {
            self.quiesce();
        }
        if self.steps.is_any_running() || self.lets_the_fault_go() {
            return true;
        }
        let now = self.now;
        let Some(unwritten) = &mut self.unwritten else { return true };
        let until = *unwritten.until.get_or_insert(now + PATIENCE);
        if unwritten.hurried || now >= until {
            self.phase = Phase::Ended;
            self.effects.push(Effect::Leave);
        } else {
            self.wake_at(until);
        }
        true
    }

    /// Takes the fault out, whatever the run was at; true while that is still to be done.
    fn lets_the_fault_go(&mut self) -> bool {
        let Some(step) = self.steps.get(FAULT).filter(|step| step.before.is_some() && !step.unsent) else { return false };
        match *step.status() {
            Status::UndoFailed => return false,
            Status::UndoBackoff(at) if self.now < at => {}
            // What was sent for it may still arrive.
            Status::Undone => match self.comes_late(FAULT) {
                None => return false,
                Some(late) if self.now < late => self.wake_at(late),
                Some(_) => self.start_undo_of(FAULT),
            },
            _ => self.start_undo_of(FAULT),
        }
        true
    }

    /// A change was not sent because its intent is not stored.
    pub(super) fn not_sent(&mut self, key: &str) {
        let failure = Failure::new(FailureKind::Cancelled, "not sent: the journal cannot be written");
        match self.steps.get_mut(key) {
            Some(step) if matches!(step.status(), Status::Applying | Status::Rejoining) => {
                // Of a fault that stood before, this says nothing.
                step.unsent = step.attempt <= 1 && !step.stood;
                step.cancelled = true;
                self.applied(key, Err(failure), None);
            }
            Some(step) if *step.status() == Status::Undoing => self.undone(key, Err(failure)),
            _ => {}
        }
    }

    /// Whether putting a step back waits for the journal; then it is done as soon as that can be written.
    pub(super) fn waits_to_be_undone(&mut self, key: &str, failure: Option<&Failure>) -> bool {
        let now = self.now;
        if self.unwritten.is_none() || key == FAULT {
            return false;
        }
        let Some(attempt) = self.steps.get(key).map(|step| step.undo_attempt) else { return false };
        self.steps.set(key, Status::UndoBackoff(now));
        if let Some(failure) = failure {
            if failure.ambiguous {
                self.steps.set_late(key, Some(now + super::LATE));
            }
            self.record_step(key, StepKind::AttemptFailed { attempt, failure: failure.clone(), retry_in_ms: Some(0) });
        }
        true
    }
}
