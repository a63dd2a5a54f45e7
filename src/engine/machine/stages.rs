//! From stage to stage: what each waits for and where it leads.

use std::time::Duration;

use super::{Effect, FAULT, Machine, Moment, Phase, Status, Step, Stop};
use crate::model::event::RunEvent;
use crate::model::plan::{FaultPlan, Mode, OnFailure, ProbeState, Retry, Stage, StepPlan};
use crate::model::text::Text;

impl Machine {
    pub(super) fn begin(&mut self) {
        if self.phase != Phase::Idle {
            return;
        }
        self.wake_at(self.run_until);
        if self.plan.mode != Mode::Emergency {
            self.take_snapshot();
        }
        // Without a steady state to wait for, only the snapshot is.
        let patience = self.plan.steady_state.as_ref().map(|steady| steady.timeout.duration());
        if patience.is_some() {
            self.enter(Stage::SteadyState);
        }
        let until = self.now + patience.unwrap_or_default();
        self.wake_at(until);
        self.phase = Phase::SteadyState { until };
    }

    /// Moves on as far as the present state allows.
    pub(super) fn advance(&mut self) {
        loop {
            let before = (self.phase.clone(), self.stop.map(|stop| stop.abort));
            self.advance_once();
            if (self.phase.clone(), self.stop.map(|stop| stop.abort)) == before {
                return;
            }
        }
    }

    fn advance_once(&mut self) {
        if self.stop.is_some()
            && matches!(
                self.phase,
                Phase::SteadyState { .. } | Phase::Inject | Phase::Detect { .. } | Phase::Failover | Phase::Verify { .. } | Phase::Look(_)
            )
            && self.phase != Phase::Look(Box::new(Phase::Quiesce))
        {
            return self.quiesce();
        }
        if self.is_held_up() {
            return;
        }
        match self.phase.clone() {
            Phase::Idle | Phase::Ended => {}
            Phase::Look(then) => self.await_looks(*then),
            Phase::Compare { until } => self.await_comparison(until),
            Phase::SteadyState { until } => self.await_steady_state(until),
            Phase::Inject => self.await_fault(),
            Phase::Detect { until } => self.await_detection(until),
            Phase::Failover => {
                if self.run_book("failover") {
                    self.after_failover();
                }
            }
            Phase::Verify { until } => self.await_recovery(until),
            Phase::Quiesce => self.await_quiet(),
            Phase::Heal { failback } => self.await_healed(failback),
            Phase::SourceReturns { until, failback } => self.await_source(until, failback),
            Phase::Failback => {
                if self.stop.is_some() {
                    self.quiesce();
                } else if self.run_book("failback") {
                    if self.halted {
                        self.failed = true;
                    }
                    self.start_undo();
                }
            }
            Phase::Undo => self.undo_next(),
            Phase::Leave if self.stop.is_some_and(|stop| stop.abort) => self.start_undo(),
            Phase::Leave => self.leave_the_rest(),
            Phase::Baseline { until } => self.await_baseline(until),
            Phase::Review { until } => self.await_review(until),
        }
    }

    fn await_steady_state(&mut self, until: Moment) {
        if !self.readings.are_over() {
            return;
        }
        let Some(steady) = self.plan.steady_state.clone() else { return self.inject() };
        if self.all_good_for(&steady.probes, steady.hold.duration()) {
            self.inject();
        } else if self.now >= until {
            let missing = self.not_good(&steady.probes);
            self.stop_requested(true, format!("the steady state was not reached within {}: {missing}", steady.timeout), "precheck".into());
        }
    }

    fn inject(&mut self) {
        match self.plan.fault.clone() {
            Some(fault) => {
                self.enter(Stage::Inject);
                self.steps.insert(FAULT.into(), fault_step(&fault, self.mutates));
                self.phase = Phase::Inject;
                self.start_attempt(FAULT);
            }
            // Whoever started it without a fault has noticed and decided.
            None => self.decide("operator", "the runbook was started by hand"),
        }
    }

    fn await_fault(&mut self) {
        match self.steps.get(FAULT).map(|step| &step.status) {
            Some(Status::Done) => match self.plan.detect.clone() {
                Some(detect) => {
                    let until = self.now + detect.timeout.duration();
                    self.enter(Stage::Detect);
                    self.wake_at(until);
                    self.phase = Phase::Detect { until };
                }
                None => self.decide("automation", "the fault is active"),
            },
            Some(Status::Failed | Status::Skipped) => self.give_up("the fault could not be injected"),
            // The fault is not part of a runbook: nobody else starts its next attempt.
            Some(Status::Backoff(at)) if self.now >= *at => self.start_attempt(FAULT),
            _ => {}
        }
    }

    fn await_detection(&mut self, until: Moment) {
        let Some(detect) = self.plan.detect.clone() else { return self.decide("automation", "the fault is active") };
        if self.probes.get(&detect.probe).is_some_and(|standing| standing.state == Some(ProbeState::Bad)) {
            self.decide("automation", &format!("probe {} is bad", detect.probe));
        } else if self.now >= until {
            self.give_up(&format!("probe {} did not notice the fault within {}", detect.probe, detect.timeout));
        }
    }

    fn decide(&mut self, by: &str, basis: &str) {
        self.enter(Stage::Decide);
        self.record_run(RunEvent::Decided { by: by.into(), basis: basis.into() });
        self.enter(Stage::Failover);
        self.load_book("failover", self.plan.failover.clone());
        self.phase = Phase::Failover;
    }

    fn after_failover(&mut self) {
        if self.halted {
            return self.give_up("the failover runbook did not finish");
        }
        match self.plan.recovered.clone() {
            Some(recovered) => {
                let until = self.now + recovered.timeout.duration();
                self.enter(Stage::Verify);
                self.wake_at(until);
                self.phase = Phase::Verify { until };
            }
            None => self.way_back(),
        }
    }

    fn await_recovery(&mut self, until: Moment) {
        let Some(recovered) = self.plan.recovered.clone() else { return self.way_back() };
        if self.all_good_for(&recovered.probes, recovered.stable_for.duration()) {
            self.way_back();
        } else if self.now >= until {
            let missing = self.not_good(&recovered.probes);
            self.give_up(&format!("not recovered within {} of the last step: {missing}", recovered.timeout));
        }
    }

    /// After a recovery: heal, and fail back or undo. In an emergency the run ends here.
    fn way_back(&mut self) {
        if self.plan.mode == Mode::Emergency {
            return self.quiesce();
        }
        let failback = self.plan.failback.is_some() && !self.plan.leave;
        self.enter(if failback { Stage::Failback } else { Stage::Cleanup });
        self.heal(failback);
    }

    /// Something that was to happen did not: the run goes back and will not pass.
    pub(super) fn give_up(&mut self, why: &str) {
        self.note(why);
        self.failed = true;
        self.quiesce();
    }

    pub(super) fn stop_requested(&mut self, abort: bool, why: String, by: String) {
        let stronger = match self.stop {
            None => true,
            Some(stop) => abort && !stop.abort,
        };
        if !stronger || self.phase == Phase::Ended {
            return;
        }
        self.record_run(RunEvent::StopRequested { abort, why, by });
        self.stop = Some(Stop { abort });
        if matches!(self.phase, Phase::Quiesce) {
            self.cut_off();
        }
    }

    /// Stop conditions, the run's budget and the lease of the fault.
    pub(super) fn check_guards(&mut self) {
        if self.stop.is_some()
            || matches!(
                self.phase,
                Phase::Idle
                    | Phase::Quiesce
                    | Phase::Undo
                    | Phase::Leave
                    | Phase::Compare { .. }
                    | Phase::Baseline { .. }
                    | Phase::Review { .. }
                    | Phase::Ended
            )
        {
            return;
        }
        let plan = self.plan.clone();
        for (index, condition) in plan.stop_conditions.iter().enumerate() {
            let standing = self.probes.get(&condition.probe).copied();
            let Some(standing) = standing.filter(|standing| standing.state == Some(condition.is)) else {
                self.alarms.remove(&index);
                continue;
            };
            let at = standing.since + condition.lasts.duration();
            if self.now >= at {
                let why = format!("probe {} has been {} for {}", condition.probe, state_word(condition.is), condition.lasts);
                return self.stop_requested(true, why, "stop-condition".into());
            }
            if self.alarms.insert(index, at) != Some(at) {
                self.wake_at(at);
            }
        }
        if self.now >= self.run_until && !matches!(self.phase, Phase::Heal { .. } | Phase::SourceReturns { .. }) {
            let abort = self.plan.mode != Mode::Emergency;
            return self.stop_requested(abort, format!("the run's budget of {} is spent", self.plan.limits.run), "budget".into());
        }
        self.check_lease();
    }

    /// Whether every probe has been good, without one bad sample, for `span`; asks to be woken when that may come true.
    pub(super) fn all_good_for(&mut self, probes: &[String], span: Duration) -> bool {
        let mut latest = Moment::ZERO;
        for probe in probes {
            match self.probes.get(probe) {
                Some(standing) if standing.state == Some(ProbeState::Good) => match standing.good_since {
                    Some(since) => latest = latest.max(since),
                    None => return false,
                },
                _ => return false,
            }
        }
        let at = latest + span;
        if self.now >= at {
            return true;
        }
        self.wake_at(at);
        false
    }

    pub(super) fn not_good(&self, probes: &[String]) -> String {
        let bad: Vec<&str> = probes
            .iter()
            .filter(|probe| self.probes.get(*probe).is_none_or(|standing| standing.state != Some(ProbeState::Good) || standing.good_since.is_none()))
            .map(String::as_str)
            .collect();
        if bad.is_empty() { "not good for long enough".into() } else { format!("not good: {}", bad.join(", ")) }
    }

    pub(super) fn finish(&mut self) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.effects.push(Effect::Finish);
        }
    }
}

fn state_word(state: ProbeState) -> &'static str {
    match state {
        ProbeState::Good => "good",
        ProbeState::Bad => "bad",
    }
}

/// The step that stands for the fault.
pub(super) fn fault_step(fault: &FaultPlan, mutates: fn(&str) -> bool) -> Step {
    let plan = StepPlan {
        id: FAULT.into(),
        title: Text::default(),
        uses: fault.uses.clone(),
        with: fault.with.clone(),
        needs: Vec::new(),
        when: None,
        timeout: fault.timeout,
        retry: Retry { attempts: 3, ..Retry::default() },
        on_failure: OnFailure::Stop,
        critical: true,
        ungraceful: None,
        for_each: None,
        fresh: false,
    };
    Step { has_expressions: true, ..Step::new(plan, FAULT, mutates(&fault.uses)) }
}
