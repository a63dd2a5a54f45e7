//! The lease of the fault: begun with its first change, renewed while the run lives, and a limit that no renewal moves.

use std::time::Duration;

use super::{Effect, FAULT, Machine, Moment, Phase, Status};
use crate::model::event::RunEvent;
use crate::model::failure::{Failure, FailureKind};
use crate::model::time::Timestamp;

/// Where the lease stands.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// When it runs out.
    ends: Option<Moment>,
    /// When the fault must be out however often it was renewed.
    limit: Option<Moment>,
    /// When it is to be renewed next; `None` while that is under way.
    renew_at: Option<Moment>,
    /// When the renewal under way was asked for.
    asked: Option<Moment>,
}

impl Machine {
    /// Begins the lease, or begins it anew for another attempt. Gives its length.
    pub(super) fn begin_lease(&mut self) -> Option<Duration> {
        let fault = self.plan.fault.as_ref()?;
        let (lease, limit) = (fault.lease.duration(), fault.limit.duration());
        self.leased_until(self.now + lease, lease);
        let limit = *self.lease.limit.get_or_insert(self.now + limit);
        self.wake_at(limit);
        Some(lease)
    }

    /// Takes over the lease of a fault that another owner injected.
    pub(super) fn take_lease_over(&mut self, left: Duration) {
        let Some(fault) = self.plan.fault.as_ref() else { return };
        let limit = self.now + fault.limit.duration();
        self.lease.ends = Some(self.now + left);
        self.lease.renew_at = Some(self.now);
        self.lease.limit = Some(limit);
        self.wake_at(self.now + left);
        self.wake_at(limit);
    }

    fn leased_until(&mut self, ends: Moment, lease: Duration) {
        let renew_at = self.now + lease / 3;
        self.lease.ends = Some(ends);
        self.lease.renew_at = Some(renew_at);
        self.wake_at(renew_at);
        self.wake_at(ends);
    }

    /// Renews the lease in good time, and ends the run when that is not possible or not allowed any more.
    pub(super) fn check_lease(&mut self) {
        if matches!(self.phase, Phase::Heal { .. } | Phase::SourceReturns { .. } | Phase::Failback) || !self.holds_fault() {
            return;
        }
        let plan = self.plan.clone();
        let Some(fault) = &plan.fault else { return };
        if self.lease.ends.is_some_and(|ends| self.now >= ends) {
            return self.stop_requested(true, "the lease of the fault ran out".into(), "lease".into());
        }
        if self.lease.limit.is_some_and(|limit| self.now >= limit) {
            return self.stop_requested(true, format!("the fault has stood for its limit of {}", fault.limit), "lease".into());
        }
        let Some(step) = self.steps.get(FAULT) else { return };
        // While the fault is still being injected, its marks may not be there yet.
        if *step.status() == Status::Done && self.lease.renew_at.is_some_and(|at| self.now >= at) {
            let Some(before) = step.before.clone() else { return };
            let (uses, with) = (step.plan.uses.clone(), step.with.clone());
            self.lease.renew_at = None;
            self.lease.asked = Some(self.now);
            self.effects.push(Effect::Renew { uses, with, before, lease: fault.lease.duration() });
        }
    }

    pub(super) fn renewed(&mut self, result: Result<Timestamp, Failure>) {
        let (Some(asked), Some(fault)) = (self.lease.asked.take(), self.plan.fault.clone()) else { return };
        let lease = fault.lease.duration();
        match result {
            Ok(until) => {
                self.record_run(RunEvent::LeaseRenewed { until });
                self.leased_until(asked + lease, lease);
            }
            Err(failure) if failure.kind == FailureKind::Conflict && self.holds_fault() => {
                self.stop_requested(true, format!("the lease of the fault was ended: {failure}"), "lease".into());
            }
            Err(failure) => {
                self.note(format!("the lease of the fault could not be renewed: {failure}"));
                let again = self.now + (lease / 10).max(Duration::from_secs(1));
                self.lease.renew_at = Some(again);
                self.wake_at(again);
            }
        }
    }

    /// Whether the fault may stand.
    fn holds_fault(&self) -> bool {
        self.steps.changes().has(FAULT) && !self.steps.is(FAULT, &Status::Undone)
    }
}
