//! The way out: cut off what runs, heal the fault, wait for the source, undo in reverse, wait for the baseline.

use std::time::Duration;

use super::{Effect, FAULT, Held, Machine, Moment, Phase, Status, Step};
use crate::engine::action::Undone;
use crate::model::event::step::{StepKind, Target};
use crate::model::failure::Failure;
use crate::model::plan::{Mode, OnFailure, Retry, Stage, StepPlan};
use crate::model::text::Text;
use crate::model::time::Span;

/// How often undo is tried before it is left to a person.
const UNDO_ATTEMPTS: u32 = 6;
/// First wait between two attempts to undo; doubles.
const UNDO_BACKOFF: Duration = Duration::from_millis(500);
/// Why what has not begun does not begin any more.
const ENDING: &str = "the run is ending";

impl Machine {
    /// Ends whatever runs, then goes on to take things back.
    pub(super) fn quiesce(&mut self) {
        self.phase = Phase::Quiesce;
        self.ready.clear();
        self.backoffs.clear();
        for book in ["failover", "failback"] {
            self.skip_waiting(book, ENDING);
        }
        if matches!(self.steps.get(FAULT).map(|step| &step.status), Some(Status::Backoff(_))) {
            self.give_up_attempts(FAULT, ENDING);
        }
        self.cut_off();
    }

    /// Cuts running attempts off. In an emergency that was only stopped, an attempt that may be changing something is let finish.
    pub(super) fn cut_off(&mut self) {
        let gentle = self.stop.is_some_and(|stop| !stop.abort);
        let running: Vec<String> = self
            .steps
            .iter()
            .filter(|(_, step)| matches!(step.status, Status::Planning | Status::Applying) && !step.cancelled && !(gentle && step.before.is_some()))
            .map(|(key, _)| key.clone())
            .collect();
        for key in running {
            if let Some(step) = self.steps.get_mut(&key) {
                step.cancelled = true;
            }
            self.effects.push(Effect::Cancel(key));
        }
    }

    pub(super) fn await_quiet(&mut self) {
        if self.steps.values().any(|step| step.status.is_running()) {
            return;
        }
        if let Some(key) = self.due_undo() {
            return self.start_undo_of(&key);
        }
        if self.steps.values().any(|step| matches!(step.status, Status::UndoBackoff(_))) {
            return;
        }
        // In an emergency nothing is undone unasked: a failure or a stop leaves things as they are.
        let stays = match self.stop {
            Some(stop) => !stop.abort,
            None => self.plan.mode == Mode::Emergency,
        };
        if stays && self.plan.fault.is_none() {
            return self.finish();
        }
        self.enter(Stage::Cleanup);
        self.heal(false);
    }

    pub(super) fn heal(&mut self, failback: bool) {
        self.phase = Phase::Heal { failback };
        if self.is_held(FAULT) {
            self.start_undo_of(FAULT);
        }
    }

    pub(super) fn await_healed(&mut self, failback: bool) {
        let mut failback = failback;
        match self.steps.get(FAULT).map(|step| step.status.clone()) {
            Some(Status::Undoing) => return,
            Some(Status::UndoBackoff(at)) => {
                if self.now >= at {
                    self.start_undo_of(FAULT);
                }
                return;
            }
            // The fault still stands. Nothing is led to the source by a runbook then; what is undone is said not to be enough by the verdict.
            Some(Status::UndoFailed) => {
                self.failed = true;
                failback = false;
            }
            _ => {}
        }
        match self.plan.source.clone().filter(|_| self.steps.get(FAULT).is_some_and(has_harmed)) {
            Some(source) => {
                let until = self.now + source.timeout.duration();
                self.wake_at(until);
                self.phase = Phase::SourceReturns { until, failback };
            }
            None => self.go_back(failback),
        }
    }

    pub(super) fn await_source(&mut self, until: Moment, failback: bool) {
        let Some(source) = self.plan.source.clone() else { return self.go_back(failback) };
        if self.all_good_for(&source.probes, Duration::ZERO) {
            self.go_back(failback);
        } else if self.now >= until {
            let missing = self.not_good(&source.probes);
            self.note(format!("the source side was not good within {} of taking the fault out ({missing}); going on", source.timeout));
            self.failed = true;
            self.go_back(failback);
        }
    }

    fn go_back(&mut self, failback: bool) {
        let abort = self.stop.is_some_and(|stop| stop.abort);
        match self.plan.failback.clone().filter(|_| failback && !abort) {
            Some(runbook) => {
                self.load_book("failback", runbook);
                self.phase = Phase::Failback;
            }
            None if self.plan.leave && !abort && !self.failed => self.finish(),
            None => self.start_undo(),
        }
    }

    pub(super) fn start_undo(&mut self) {
        self.enter(Stage::Cleanup);
        // A failback that went well is where the run was going: its own changes stay, and what the failover left is undone beneath them.
        if self.phase == Phase::Failback && !self.failed {
            self.intents.retain(|key| !key.starts_with("failback/"));
        }
        self.phase = Phase::Undo;
    }

    /// Undoes the newest held step, one at a time; then waits for the baseline.
    pub(super) fn undo_next(&mut self) {
        if self.steps.values().any(|step| step.status == Status::Undoing) {
            return;
        }
        if let Some(key) = self.due_undo() {
            return self.start_undo_of(&key);
        }
        if self.steps.values().any(|step| matches!(step.status, Status::UndoBackoff(_))) {
            return;
        }
        while let Some(key) = self.intents.iter().rev().find(|key| self.is_held(key)).cloned() {
            if !self.was_healed_with_the_fault(&key) {
                return self.start_undo_of(&key);
            }
            self.settle_step(&key, Status::Undone);
            self.note(format!("{key} repaired what the fault had broken; taking the fault out has put it back"));
            self.record_step(&key, StepKind::Undoing { attempt: 1 });
            self.record_step(&key, StepKind::Undone { already: true });
        }
        match self.plan.steady_state.clone().filter(|_| !self.intents.is_empty()) {
            Some(steady) => {
                let until = self.now + steady.timeout.duration();
                self.wake_at(until);
                self.phase = Phase::Baseline { until };
            }
            None => self.finish(),
        }
    }

    pub(super) fn await_baseline(&mut self, until: Moment) {
        let Some(steady) = self.plan.steady_state.clone() else { return self.finish() };
        if self.all_good_for(&steady.probes, Duration::ZERO) {
            self.finish();
        } else if self.now >= until {
            let missing = self.not_good(&steady.probes);
            self.note(format!("the steady state did not return within {} of undoing everything: {missing}", steady.timeout));
            self.finish();
        }
    }

    /// An intent is on record and neither undone nor given up.
    fn is_held(&self, key: &str) -> bool {
        self.intents.iter().any(|intent| intent == key)
            && self
                .steps
                .get(key)
                .is_some_and(|step| !matches!(step.status, Status::Undone | Status::UndoFailed | Status::Undoing | Status::UndoBackoff(_)))
    }

    /// A step that acted on nothing but what the fault broke has the fault's harm as its `before`: restoring that would bring the fault back.
    /// Once the fault is taken out, its targets are as they were before the run.
    fn was_healed_with_the_fault(&self, key: &str) -> bool {
        let (Some(step), Some(fault)) = (self.steps.get(key), self.steps.get(FAULT)) else { return false };
        let is_the_faults = |target: &Target| fault.targets.iter().any(|broken| broken.kind == target.kind && broken.id == target.id);
        key != FAULT && fault.status == Status::Undone && !step.targets.is_empty() && step.targets.iter().all(is_the_faults)
    }

    pub(super) fn due_undo(&self) -> Option<String> {
        self.steps.iter().find(|(_, step)| matches!(step.status, Status::UndoBackoff(at) if self.now >= at)).map(|(key, _)| key.clone())
    }

    pub(super) fn start_undo_of(&mut self, key: &str) {
        let Some(step) = self.steps.get_mut(key) else { return };
        let Some(before) = step.before.clone() else { return };
        step.status = Status::Undoing;
        step.undo_attempt += 1;
        let attempt = step.undo_attempt;
        let (uses, with, timeout) = (step.plan.uses.clone(), step.with.clone(), step.plan.timeout.duration());
        self.record_step(key, StepKind::Undoing { attempt });
        self.effects.push(Effect::Undo { key: key.to_owned(), uses, with, before, timeout });
    }

    pub(super) fn undone(&mut self, key: &str, result: Result<Undone, Failure>) {
        let now = self.now;
        let Some(step) = self.steps.get_mut(key).filter(|step| step.status == Status::Undoing) else { return };
        match result {
            Ok(how) => {
                step.status = Status::Undone;
                self.record_step(key, StepKind::Undone { already: how == Undone::Already });
            }
            Err(failure)
                if (failure.retry || failure.ambiguous || failure.kind == crate::model::failure::FailureKind::Timeout)
                    && step.undo_attempt < UNDO_ATTEMPTS =>
            {
                let wait = UNDO_BACKOFF.saturating_mul(1 << (step.undo_attempt - 1));
                let attempt = step.undo_attempt;
                step.status = Status::UndoBackoff(now + wait);
                let retry_in_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                self.record_step(key, StepKind::AttemptFailed { attempt, failure, retry_in_ms });
                self.wake_at(now + wait);
            }
            Err(failure) => {
                step.status = Status::UndoFailed;
                self.record_step(key, StepKind::UndoFailed { failure });
            }
        }
        // An item that its own file says is undone at once keeps its `for_each` from ending until it is.
        self.parent_of(key);
    }

    /// Takes over what a former owner left: heals, then undoes in reverse. `held` is in the order of the intents.
    pub(super) fn recover(&mut self, held: Vec<Held>) {
        if self.phase != Phase::Idle {
            return;
        }
        for one in held {
            let book = match one.key.split('/').next() {
                Some("failover") => "failover",
                Some("failback") => "failback",
                _ => FAULT,
            };
            let plan = StepPlan {
                id: one.key.split_once('/').map_or(one.key.as_str(), |(_, id)| id).to_owned(),
                title: Text::default(),
                uses: one.uses,
                with: one.with.clone(),
                needs: Vec::new(),
                when: None,
                timeout: Span::from_secs(300),
                retry: Retry::default(),
                on_failure: OnFailure::Stop,
                critical: true,
                ungraceful: None,
                for_each: None,
            };
            let step = Step {
                plan,
                book,
                status: if one.undone { Status::Undone } else { Status::Failed },
                attempt: 1,
                undo_attempt: 0,
                mutates: true,
                with: one.with,
                before: Some(one.before),
                targets: one.targets,
                output: serde_json::Value::Null,
                item: None,
                items: Vec::new(),
                cancelled: false,
                open_needs: 0,
                dependents: Vec::new(),
                has_expressions: false,
            };
            if !one.undone {
                self.intents.push(one.key.clone());
            }
            self.steps.insert(one.key, step);
        }
        self.stop = Some(super::Stop { abort: true });
        self.failed = true;
        self.enter(Stage::Cleanup);
        self.heal(false);
    }
}

/// Whether the fault stood at some time, so that the source side may need a while.
fn has_harmed(fault: &Step) -> bool {
    matches!(fault.status, Status::Undone | Status::UndoFailed)
}
