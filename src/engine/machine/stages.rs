//! From stage to stage: what each waits for and where it leads.

use super::vigil::Awaiting;
use super::{Effect, FAULT, Machine, Moment, Phase, Status, Step, Stop};
use crate::model::event::RunEvent;
use crate::model::event::run::{Awaited, all_of};
use crate::model::ids::Part;
use crate::model::plan::{FaultPlan, Mode, OnFailure, ProbeState, Retry, Stage, StepPlan};
use crate::model::text::Text;

impl Machine {
    pub(super) fn begin(&mut self) {
        if self.phase != Phase::Idle {
            return;
        }
        self.wake_at(self.run_until);
        let patience = match &self.plan.steady_state {
            Some(steady) => steady.timeout.duration(),
            // Only what is watched must have been seen.
            None => self.first_samples(),
        };
        if self.plan.steady_state.is_some() {
            self.enter(Stage::SteadyState);
        }
        let until = self.now + patience;
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
        if self.is_held_up() || self.lets_go_unwritten() {
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
                if self.run_book(Part::Failover) {
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
                } else if self.run_book(Part::Failback) {
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

    /// Waits for the steady state, then reads what is there, then goes on if it is steady still: what is read while somebody else's fault stands is no
    /// baseline.
    fn await_steady_state(&mut self, until: Moment) {
        if !self.readings.are_over() {
            return;
        }
        if self.plan.steady_state.is_some() && !self.are_good(Awaiting::SteadyState) {
            self.forget_snapshot();
            if self.now >= until
                && let Some(steady) = self.plan.steady_state.clone()
            {
                let lacking = self.lacking(&steady.probes, steady.hold.duration());
                let why = format!("the steady state was not reached within {}: {}", steady.timeout, all_of(&lacking));
                self.stop_requested(true, why, "precheck".into());
            }
            return;
        }
        if self.plan.mode != Mode::Emergency && !self.take_snapshot() {
            return;
        }
        if self.may_inject(until) && self.is_cleared(false) {
            self.keep_snapshot();
            self.inject();
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
        match self.steps.status(FAULT) {
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
            // The fault is not part of a runbook: nobody else starts its next attempt. Before its intent nothing was injected.
            Some(Status::Backoff(at)) if self.now >= *at => {
                let is_intended = self.steps.get(FAULT).is_some_and(|step| step.before.is_some());
                if (is_intended || self.may_inject(Moment::MAX)) && self.is_cleared(is_intended) {
                    self.start_attempt(FAULT);
                }
            }
            _ => {}
        }
    }

    fn await_detection(&mut self, until: Moment) {
        let plan = self.plan.clone();
        let Some(detect) = &plan.detect else { return self.decide("automation", "the fault is active") };
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
        self.load_book(Part::Failover, self.plan.failover.clone());
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
                self.wait_out_what_failed();
                self.phase = Phase::Verify { until };
            }
            None => self.way_back(),
        }
    }

    fn await_recovery(&mut self, until: Moment) {
        let plan = self.plan.clone();
        let Some(recovered) = &plan.recovered else { return self.way_back() };
        if self.are_good(Awaiting::Recovery) {
            self.way_back();
        } else if self.now >= until {
            let span = recovered.stable_for.duration();
            self.unseen(Awaited::Recovery, recovered.timeout, &recovered.probes, span);
            self.failed = true;
            self.quiesce();
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

    pub(super) fn finish(&mut self) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.effects.push(Effect::Finish);
        }
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
    let mut step = Step::new(plan, Part::Fault, mutates(&fault.uses));
    step.has_expressions = true;
    step
}
