//! What makes a run stop by itself: its stop conditions, its budget, the lease of its fault. What a stop condition watches must be seen, and be well, before
//! anything is injected; what cannot be read any more is watched by nobody.

use std::time::Duration;

use super::{Machine, Moment, Phase, Standing};
use crate::model::plan::{Mode, ProbeState, StopCondition};

/// By whose name a run stops here.
const BY: &str = "stop-condition";
/// What the first samples may take beyond their own time.
const SLACK: Duration = Duration::from_secs(1);

impl Machine {
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
        // Before the steady state there is nothing to be watched yet: a first number that is late is waited for.
        let is_watched = !matches!(self.phase, Phase::SteadyState { .. });
        for (index, condition) in plan.stop_conditions.iter().enumerate() {
            let Some((since, why)) = self.probes.get(&condition.probe).and_then(|standing| alarm(condition, standing, is_watched)) else {
                self.alarms.remove(&index);
                continue;
            };
            let at = since + condition.lasts.duration();
            if self.now >= at {
                return self.stop_requested(true, why, BY.into());
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

    /// Whether every stop condition is watched and none of them holds, so that the fault may be injected. One that holds stops the run; one whose probe
    /// has shown nothing yet is waited for, until `until`.
    pub(super) fn may_inject(&mut self, until: Moment) -> bool {
        if self.plan.fault.is_none() {
            return true;
        }
        let plan = self.plan.clone();
        let mut is_clear = true;
        for StopCondition { probe, is, .. } in &plan.stop_conditions {
            let standing = self.probes.get(probe);
            if standing.is_some_and(|standing| standing.state == Some(*is)) {
                let why = format!("probe {probe} is {} already, for which this run would be stopped; nothing was injected", word(*is));
                self.stop_requested(true, why, BY.into());
                return false;
            }
            let is_well =
                |standing: &Standing| standing.state.is_some() && !standing.is_unread && standing.good.is_some() == (*is == ProbeState::Bad);
            if standing.is_some_and(is_well) {
                continue;
            }
            is_clear = false;
            if self.now >= until {
                let what = match standing {
                    None => "has not answered yet".to_owned(),
                    Some(standing) if standing.is_unread => format!("cannot be read ({})", standing.detail),
                    Some(standing) => format!("is not known to be well ({})", standing.detail),
                };
                let why = format!("probe {probe} {what}, so that nobody watches what this run is to be stopped for; nothing was injected");
                self.stop_requested(true, why, BY.into());
                return false;
            }
        }
        is_clear
    }

    /// How long the probes of the stop conditions may take to be confirmed for the first time.
    pub(super) fn first_samples(&self) -> Duration {
        let watched = |probe: &str| self.plan.stop_conditions.iter().any(|condition| condition.probe == probe);
        let probes = self.plan.probes.iter().filter(|probe| self.plan.fault.is_some() && watched(&probe.id));
        let first = probes.map(|probe| probe.every.duration() * probe.good_after.max(probe.bad_after) + probe.timeout.duration() + SLACK).max();
        first.unwrap_or_default()
    }
}

/// Since when a stop condition holds or, where it `is_watched`, nobody can tell whether it does, and what is said of it when it has done so for as long
/// as it may.
fn alarm(condition: &StopCondition, standing: &Standing, is_watched: bool) -> Option<(Moment, String)> {
    let StopCondition { probe, is, lasts } = condition;
    let unread =
        || format!("probe {probe} cannot be read for {lasts} ({}), so that nobody watches what this run is to be stopped for", standing.detail);
    let blind = standing.blind_since.filter(|_| is_watched).map(|since| (since, unread()));
    // What cannot be read says nothing against what was read before.
    let holds = (standing.state == Some(*is)).then(|| (standing.since, format!("probe {probe} has been {} for {lasts}", word(*is))));
    holds.into_iter().chain(blind).min_by_key(|(since, _)| *since)
}

fn word(state: ProbeState) -> &'static str {
    match state {
        ProbeState::Good => "good",
        ProbeState::Bad => "bad",
    }
}
