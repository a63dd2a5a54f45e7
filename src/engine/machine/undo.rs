//! The way out: cut off what runs, heal the fault, wait for the source, undo in reverse, wait for the baseline.

use std::time::Duration;

use super::vigil::Awaiting;
use super::{Effect, FAULT, Machine, Moment, Phase, Recovery, Status, Step};
use crate::engine::action::Undone;
use crate::model::event::run::Awaited;
use crate::model::event::step::{ENDING, StepKind};
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{Part, StepKey};
use crate::model::plan::{Mode, OnFailure, Retry, Stage, SteadyState, StepPlan};
use crate::model::state::undo::{self, Change, Course, TakingBack, Undo, WayBack};
use crate::model::text::Text;
use crate::model::time::Span;

/// How long the services of an emergency are watched once everything is put back, whatever they say at first.
const NOTICE: Span = Span::from_secs(5);
/// How long they may take to be good then.
const RETURN: Span = Span::from_secs(30);
/// The least an attempt to undo is given, however little is left of the budget.
const LEAST_UNDO: Duration = Duration::from_secs(10);

impl Machine {
    /// Ends whatever runs, then goes on to take things back.
    pub(super) fn quiesce(&mut self) {
        self.phase = Phase::Quiesce;
        self.steps.clear_ready();
        for part in Part::RUNBOOKS {
            self.skip_waiting(part, ENDING);
        }
        if matches!(self.steps.status(FAULT), Some(Status::Backoff(_))) {
            self.give_up_attempts(FAULT, ENDING);
        }
        // What a new owner was still looking at is undone without an answer.
        let looked_at: Vec<String> = self.steps.looking().map(|(key, _)| key.to_owned()).collect();
        for key in looked_at {
            self.steps.set(&key, Status::Failed);
            self.parent_of(&key);
        }
        self.cut_off();
    }

    /// Cuts running attempts off. In an emergency that was only stopped, an attempt that may be changing something is let finish.
    pub(super) fn cut_off(&mut self) {
        let gentle = self.stop.is_some_and(|stop| !stop.abort) && self.unwritten.is_none();
        let is_cut_off = |(_, step): &(&str, &Step)| *step.status() != Status::Undoing && !step.cancelled && !(gentle && step.before.is_some());
        let running: Vec<String> = self.steps.running().filter(is_cut_off).map(|(key, _)| key.to_owned()).collect();
        for key in running {
            if let Some(step) = self.steps.get_mut(&key) {
                step.cancelled = true;
            }
            self.effects.push(Effect::Cancel(key));
        }
    }

    pub(super) fn await_quiet(&mut self) {
        if self.steps.is_any_running() {
            return;
        }
        if let Some(key) = self.due_undo() {
            return self.start_undo_of(&key);
        }
        // A repair is no reason to wait: the fault comes out first.
        if self.steps.in_undo_backoff().any(|(key, _)| !self.undo().awaits_the_fault(key)) {
            return;
        }
        // In an emergency nothing is undone unasked: a failure or a stop leaves things as they are.
        let stays = match self.stop {
            Some(stop) => !stop.abort,
            None => self.plan.mode == Mode::Emergency,
        };
        if stays && self.plan.fault.is_none() {
            return self.leave_the_rest();
        }
        self.enter(Stage::Cleanup);
        self.heal(false);
    }

    pub(super) fn heal(&mut self, failback: bool) {
        self.phase = Phase::Heal { failback };
        if self.undo().to_be_begun().any(|key| key == FAULT) {
            self.start_undo_of(FAULT);
        }
    }

    pub(super) fn await_healed(&mut self, failback: bool) {
        let mut failback = failback;
        match self.steps.status(FAULT).cloned() {
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
        if self.is_only_stopped() {
            return self.leave_the_rest();
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
        if self.is_only_stopped() {
            self.phase = Phase::Heal { failback: false };
            return;
        }
        let plan = self.plan.clone();
        let Some(source) = &plan.source else { return self.go_back(failback) };
        if self.are_good(Awaiting::Source) {
            self.go_back(failback);
        } else if self.now >= until {
            self.unseen(Awaited::Source, source.timeout, &source.probes, Duration::ZERO);
            self.failed = true;
            self.go_back(failback);
        }
    }

    /// Whether somebody asked to leave things as they are. A fault is no such thing.
    fn is_only_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| !stop.abort)
    }

    /// The end of a run that was stopped, or whose failover is to stay: its fault is out, its steps stay until somebody asks to undo them.
    pub(super) fn leave_the_rest(&mut self) {
        if let Some(key) = self.due_undo() {
            return self.start_undo_of(&key);
        }
        let is_going_back = self.steps.is_any_undoing() || self.steps.is_any_in_undo_backoff();
        // What was undone may still be overtaken by what was sent before.
        if !is_going_back && !self.looks_once_more() && !self.awaits_what_stays() {
            self.review();
        }
    }

    fn go_back(&mut self, failback: bool) {
        let abort = self.stop.is_some_and(|stop| stop.abort);
        match self.plan.failback.clone().filter(|_| failback && !abort) {
            Some(runbook) => {
                self.load_book(Part::Failback, runbook);
                self.phase = Phase::Failback;
            }
            None if self.plan.leave && !abort && !self.failed => self.phase = Phase::Leave,
            None => self.start_undo(),
        }
    }

    pub(super) fn start_undo(&mut self) {
        self.enter(Stage::Cleanup);
        if self.phase == Phase::Failback && undo::failback_stays(&self.way_back_so_far(), self.stop.is_some_and(|stop| stop.abort), false) {
            self.steps.keep_changes(|key| !Part::Failback.has(key));
        }
        self.phase = Phase::Undo;
    }

    /// Undoes the newest held step, one at a time; then waits for the baseline.
    pub(super) fn undo_next(&mut self) {
        if self.steps.is_any_undoing() {
            return;
        }
        if let Some(key) = self.due_undo() {
            return self.start_undo_of(&key);
        }
        if self.steps.is_any_in_undo_backoff() {
            return;
        }
        loop {
            let Some(key) = self.undo().to_be_begun().next().map(str::to_owned) else { break };
            // What may still come late is settled before anything beneath it is put back: its `before` holds what lies beneath.
            if self.steps.changes().is_something_late_over(&key) && self.looks_once_more() {
                return;
            }
            if !self.settles_without_a_call(&key) {
                return self.start_undo_of(&key);
            }
        }
        if self.looks_once_more() {
            return;
        }
        match self.normality().filter(|_| self.touched) {
            Some(steady) => {
                let until = self.now + steady.timeout.duration();
                self.wake_at(until);
                self.phase = Phase::Baseline { until };
            }
            None => self.start_comparison(),
        }
    }

    /// Whether a failover that is to stay is still to be seen to carry the service without the fault, whose end was a change like any other.
    fn awaits_what_stays(&mut self) -> bool {
        let plan = self.plan.clone();
        let Some(recovered) = plan.recovered.as_ref().filter(|_| self.phase == Phase::Leave && plan.fault.is_some()) else { return false };
        if self.are_good(Awaiting::WhatStays) {
            return false;
        }
        let until = *self.leave_until.get_or_insert(self.now + recovered.timeout.duration());
        if self.now < until {
            self.wake_at(until);
            return true;
        }
        self.unseen(Awaited::Normal, recovered.timeout, &recovered.probes, Duration::ZERO);
        false
    }

    /// When nothing of what was put back can be overtaken any more by what was sent before.
    pub(super) fn last_arrival(&self) -> Option<Moment> {
        self.steps.changes().arrivals().next().map(|(late, _)| late)
    }

    /// A change that was cut off in the middle, or of whose end nobody heard, may arrive after it was put back. Once that cannot be any more, what was
    /// put back too early is put back again. True while that is still to be done.
    fn looks_once_more(&mut self) -> bool {
        loop {
            // Once something beneath it was put back, its `before` is not what was there first; the comparison tells what came late.
            let counts = |change: &&Change| !self.undo().is_over_what_is_back(&change.key);
            let changes = self.steps.changes();
            // The fault first, then backwards.
            let fault = self.comes_late(FAULT).and_then(|_| changes.iter().find(|change| change.key == FAULT)).filter(counts);
            let Some(key) = fault.or_else(|| changes.late().find(counts)).map(|change| change.key.clone()) else { return false };
            let settled = changes.arrivals().find(|(_, change)| counts(change)).map_or(self.now, |(late, _)| late);
            if self.now < settled {
                self.wake_at(settled);
            } else if self.undo().was_healed_with_the_fault(&key) {
                // Its `before` is the harm; the comparison tells whether anything came late.
                self.steps.set_late(&key, None);
                continue;
            } else {
                self.start_undo_of(&key);
            }
            return true;
        }
    }

    /// Until when something of a step that was put back may still arrive.
    pub(super) fn comes_late(&self, key: &str) -> Option<Moment> {
        self.steps.get(key)?.comes_late()
    }

    /// The changes of this run as the policy of undo sees them.
    pub(super) fn undo(&self) -> Undo<'_> {
        Undo::of_kept(&self.plan, &self.index, self.steps.changes())
    }

    /// What has become of the steps of the failback.
    fn way_back_so_far(&self) -> Vec<WayBack> {
        let one = |step: &Step| WayBack {
            is_done: *step.status() == Status::Done,
            is_left_out: *step.status() == Status::Skipped,
            is_taken_back: step.status().taking_back() != TakingBack::NotBegun,
        };
        self.steps.values().filter(|step| step.part == Part::Failback).map(one).collect()
    }

    /// What must be good once everything is put back: the steady state; where a drill has none, what was to be good after the failover; in an emergency, the
    /// services, for a while: one that what was put back takes down needs it to show.
    pub(super) fn normality(&self) -> Option<SteadyState> {
        let all = |probes: Vec<String>, hold: Span, timeout: Span| (!probes.is_empty()).then_some(SteadyState { probes, hold, timeout });
        match (&self.plan.steady_state, &self.plan.recovered) {
            (Some(steady), _) => all(steady.probes.clone(), Span::default(), steady.timeout),
            (None, _) if self.plan.mode == Mode::Emergency => {
                let services = self.plan.probes.iter().filter(|probe| probe.service).map(|probe| probe.id.clone());
                all(services.collect(), NOTICE, RETURN)
            }
            (None, Some(recovered)) => all(recovered.probes.clone(), Span::default(), recovered.timeout),
            (None, None) => None,
        }
    }

    pub(super) fn await_baseline(&mut self, until: Moment) {
        if self.are_good(Awaiting::Normal) {
            self.start_comparison();
        } else if self.now >= until {
            if let Some(steady) = self.normality() {
                self.unseen(Awaited::Normal, steady.timeout, &steady.probes, steady.hold.duration());
            }
            self.start_comparison();
        }
    }

    /// Settles a step without a call when that is the policy, and records why; true when it is so.
    fn settles_without_a_call(&mut self, key: &str) -> bool {
        let (end, status) = match self.undo().course(key) {
            Course::HealedWithTheFault => {
                self.note(format!("{key} repaired what the fault had broken; undoing it would only bring the harm back"));
                (StepKind::Undone { already: true }, Status::Undone)
            }
            Course::Carries(above) => {
                let failure = Failure::new(FailureKind::Check, format!("{above} needs it and could not be put back"));
                (StepKind::UndoFailed { failure }, Status::UndoFailed)
            }
            Course::PutBack | Course::AwaitsTheFault | Course::AwaitsWhatLiesOver => return false,
        };
        let attempt = self.steps.get_mut(key).map_or(1, |step| {
            step.undo_attempt += 1;
            step.undo_attempt
        });
        self.record_step(key, StepKind::Undoing { attempt });
        self.record_step(key, end);
        self.settle_step(key, status);
        self.parent_of(key);
        true
    }

    /// The next step whose undo is to be tried again.
    pub(super) fn due_undo(&mut self) -> Option<String> {
        loop {
            let is_due = |(_, step): &(&str, &Step)| matches!(*step.status(), Status::UndoBackoff(at) if self.now >= at);
            let may_go_on = |key: &&str| !matches!(self.undo().course(key), Course::AwaitsTheFault | Course::AwaitsWhatLiesOver);
            let key = self.steps.in_undo_backoff().filter(is_due).map(|(key, _)| key).find(may_go_on)?.to_owned();
            // The fault may have been taken out since the undo was tried.
            if !self.settles_without_a_call(&key) {
                return Some(key);
            }
        }
    }

    /// Takes back a step that its file says is taken back at once when it fails.
    pub(super) fn undo_at_once(&mut self, key: &str) {
        let now = self.now;
        match self.undo().course(key) {
            Course::PutBack => self.start_undo_of(key),
            Course::AwaitsWhatLiesOver => self.steps.set(key, Status::UndoBackoff(now)),
            // With everything else, once it can be.
            Course::AwaitsTheFault | Course::HealedWithTheFault | Course::Carries(_) => {}
        }
    }

    /// Has the fault taken out once more after a step was put back whose `before` had the fault's harm in it beside other things.
    fn takes_the_fault_out_again(&mut self, key: &str) {
        let now = self.now;
        if !self.undo().brings_the_fault_back(key) || !self.steps.get(FAULT).is_some_and(has_harmed) {
            return;
        }
        self.steps.set(FAULT, Status::UndoBackoff(now));
        self.wake_at(now);
        self.note(format!("{key} changed what the fault had broken, among other things; the fault is taken out once more"));
    }

    pub(super) fn start_undo_of(&mut self, key: &str) {
        if self.waits_to_be_undone(key, None) {
            return;
        }
        let now = self.now;
        let until = *self.undo_until.get_or_insert(now + self.plan.limits.undo.duration());
        let Some(step) = self.steps.get_mut(key) else { return };
        let Some(before) = step.before.clone() else { return };
        step.undo_attempt += 1;
        let attempt = step.undo_attempt;
        let (uses, with, late) = (step.plan.uses.clone(), step.with.clone(), step.late());
        let timeout = step.plan.timeout.duration().min(until.saturating_sub(now).max(LEAST_UNDO));
        self.steps.set(key, Status::Undoing);
        self.record_step(key, StepKind::Undoing { attempt });
        // While something may still arrive, the marks stay: whoever finds them can take the fault out again.
        let fault = key == FAULT && late.is_none_or(|late| late <= now);
        self.effects.push(Effect::Undo { key: key.to_owned(), uses, with, before, timeout, fault });
    }

    pub(super) fn undone(&mut self, key: &str, result: Result<Undone, Failure>) {
        let now = self.now;
        let until = self.undo_until.unwrap_or(now);
        let covers = self.undo().is_over(key, |_| true);
        let Some(step) = self.steps.get_mut(key).filter(|step| *step.status() == Status::Undoing) else { return };
        let wait = undo::wait_after(step.undo_attempt);
        match result {
            Ok(how) => {
                step.undone_at = now;
                self.steps.set(key, Status::Undone);
                let undone = match how {
                    Undone::Restored => StepKind::Undone { already: false },
                    Undone::Already => StepKind::Undone { already: true },
                    Undone::Impossible => StepKind::NotUndone,
                };
                self.record_step(key, undone);
            }
            Err(failure) if self.unwritten.is_some() && key != FAULT => {
                self.waits_to_be_undone(key, Some(&failure));
            }
            // Nobody is helped by an undo that gives up early: it goes on for as long as the plan allows.
            Err(failure) if undo::helps(&failure) && now + wait < until => {
                let attempt = step.undo_attempt;
                self.steps.set(key, Status::UndoBackoff(now + wait));
                // A late undo does again what was done; but not once what lies beneath was put back.
                if covers && (failure.ambiguous || failure.kind == FailureKind::Timeout) {
                    self.steps.set_late(key, Some(now + super::LATE));
                }
                let retry_in_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                self.record_step(key, StepKind::AttemptFailed { attempt, failure, retry_in_ms });
                self.wake_at(now + wait);
            }
            Err(failure) => {
                self.steps.set(key, Status::UndoFailed);
                self.record_step(key, StepKind::UndoFailed { failure });
            }
        }
        if matches!(self.steps.status(key), Some(Status::Undone | Status::UndoFailed)) {
            self.takes_the_fault_out_again(key);
        }
        // An item that its own file says is undone at once keeps its `for_each` from ending until it is.
        self.parent_of(key);
    }

    /// Takes over what a former owner left: looks what became of it, heals, then undoes in reverse.
    pub(super) fn recover(&mut self, recovery: Recovery) {
        if self.phase != Phase::Idle {
            return;
        }
        self.readings.snapshot = recovery.snapshot;
        self.touched = recovery.touched || !recovery.held.is_empty();
        let mut looks = Vec::new();
        for one in recovery.held {
            let key = StepKey::parse(&one.key);
            let plan = StepPlan {
                id: key.map_or(one.key.as_str(), |key| key.id).to_owned(),
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
                fresh: false,
            };
            let part = key.map_or(Part::Fault, |key| key.part);
            let status = match (one.undone, one.open) {
                (true, _) => Status::Undone,
                (false, true) => Status::Looking,
                (false, false) => Status::Failed,
            };
            if status == Status::Looking {
                looks.push(one.key.clone());
            }
            let is_to_be_put_back = !one.undone || one.late;
            let late = one.late.then_some(self.now + super::LATE);
            let mut step = Step::new(plan, part, true).left_as(status, late);
            step.attempt = 1;
            (step.with, step.before, step.targets) = (one.with, Some(one.before), one.targets);
            self.steps.insert(one.key.clone(), step);
            if is_to_be_put_back {
                self.steps.intends(&one.key);
            }
        }
        self.steps.remember_the_fault();
        self.stop = Some(super::Stop { abort: true });
        self.failed = true;
        self.enter(Stage::Cleanup);
        self.look_at(looks, Phase::Quiesce);
    }
}

/// Whether the fault stood at some time, so that the source side may need a while.
fn has_harmed(fault: &Step) -> bool {
    matches!(fault.status(), Status::Undone | Status::UndoFailed)
}
