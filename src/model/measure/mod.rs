//! What a run came to, in numbers: recovery times, phases, exposure, availability, objectives, verdict. Pure functions of [`RunState`].
//!
//! Every time is an interval. All events of one process carry one monotonic clock, so no clock error enters a difference between two of them; where another process took
//! the run over in between, twice the bound of the wall clock's error is added.

mod caching;
mod criteria;
mod exposure;
mod forecast;
mod outage;
pub mod people;
mod phases;
mod standing;
mod steps;
mod traffic;
mod verdict;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::interval::{Length, Moment};
use super::plan::{Mode, Objective, Slo, Stage};
use super::state::probe::Tally;
use super::state::{RunState, Status, StepState};
use super::time::Timestamp;
pub use caching::{Kept, longest_ttl};
pub use criteria::{Criterion, Doubt, Judgement, Measure, Measured};
pub use exposure::{Counts, Exposure, Integrity, integrity, lag_ms};
pub use forecast::{Past, foresee};
pub use outage::{Basis, Outage, outages};
pub use phases::{PHASES, Phase, Split};
pub use standing::{StandingChange, Stands, accepted, count, standing};
pub use steps::{StepOutcome, StepTimes, critical_path, step_times};
pub use traffic::{ALL, Propagation, Traffic, share};
pub use verdict::{Reason, UNWATCHED, differs, failback_done, gone_down, is_unwatched, judge, leftovers, verdict};

/// Everything that is measured in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// The outage of every probe that went down because of the disruption, by probe id; services and others.
    pub outages: BTreeMap<String, Outage>,
    /// The probe whose outage is split into phases: of those with an RTO the one worst against it, else the service longest down, else the probe that detects.
    pub primary: Option<String>,
    /// The instants of the run.
    pub instants: Instants,
    /// The phases of the primary outage.
    pub split: Option<Split>,
    /// How far each replica fell behind, by probe id.
    pub exposures: BTreeMap<String, Exposure>,
    /// Which share of the requests the target got.
    pub traffic: Option<Traffic>,
    /// How DNS spread over the servers that a probe asks, by probe id.
    pub propagations: BTreeMap<String, Propagation>,
    /// How long answers of the names that the failover led elsewhere may be kept; absent when it changed none.
    pub kept: Option<Kept>,
    /// Share of good samples from the first sample to the end of the recovery, by probe id.
    pub availability: BTreeMap<String, Availability>,
    /// What the run spent of the error budget of each service that has a service level objective, by probe id.
    pub budgets: BTreeMap<String, Spent>,
    /// Every objective with what was measured.
    pub criteria: Vec<Criterion>,
    /// Wait, run and verification of every step, in the order of the plan.
    pub steps: Vec<StepTimes>,
}

/// The instants that matter, each as an interval; absent = it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instants {
    /// t_F, the fault is active: intent … its effect was seen.
    pub fault: Option<Moment>,
    /// t_I, impact starts: last good sample sent … first bad sample done.
    pub impact: Option<Moment>,
    /// t_D, detected by the product's own probe.
    pub detected: Option<Moment>,
    /// t_A, the failover was decided.
    pub decided: Option<Moment>,
    /// t_E, the last change of the critical steps was accepted.
    pub acted: Option<Moment>,
    /// That change was seen to be in effect by its own step.
    pub effective: Option<Moment>,
    /// t_S, the last change that moves traffic was accepted; absent when there was none.
    pub shifted: Option<Moment>,
    /// From then on, and not before every other change of the critical steps was in effect, it spread.
    pub spreads: Option<Moment>,
    /// The change that moves traffic was seen to be in effect by its own step.
    pub shift_seen: Option<Moment>,
    /// t_95, the target got at least 95 % of the requests from here on; absent also when no probe reads it.
    pub moved: Option<Moment>,
    /// t_R, restored: last bad sample sent … first good sample done.
    pub restored: Option<Moment>,
    /// t_V, the recovery was stable for as long as the scenario asks.
    pub verified: Option<Moment>,
    /// t_B, the way back began.
    pub failback: Option<Moment>,
    /// t_N, the last change was taken back.
    pub normal: Option<Moment>,
}

/// What a run spent of an error budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// The objective.
    pub slo: Slo,
    /// For how long the service was bad, nanoseconds.
    pub bad: Length,
}

/// A share between two bounds, in parts of a million, with the counts it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// If every sample that could not tell, or was not sent, was bad.
    pub lo_ppm: u64,
    /// If it says nothing.
    pub hi_ppm: u64,
    /// The samples.
    pub tally: Tally,
}

impl Measures {
    /// Measures a run, ended or not.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let Some(start) = &state.start else { return Self::default() };
        let plan = &*start.plan;
        let from = disrupted_from(state);
        let until = failover_until(state);
        let outages: BTreeMap<String, Outage> =
            plan.probes.iter().filter_map(|probe| Some((probe.id.clone(), outage::of_disruption(state, probe, from?, until)?))).collect();
        let mut measures = Self { outages, steps: step_times(state), ..Self::default() };
        measures.primary = phases::primary(plan, &measures.outages);
        measures.instants = phases::instants(state, measures.primary.as_ref().and_then(|id| measures.outages.get(id)), until);
        measures.traffic = traffic::traffic(state, from, until);
        measures.instants.moved = measures.traffic.and_then(|traffic| traffic.moved);
        measures.propagations = traffic::propagations(state, until);
        measures.kept = caching::kept(state);
        measures.split = phases::split(&measures, until);
        measures.exposures = exposure::exposures(state, from, until);
        measures.availability = state
            .probes
            .iter()
            .map(|(id, standing)| (id.clone(), standing.tally_before(until)))
            .filter(|(_, tally)| tally.all() > 0)
            .map(|(id, tally)| (id, availability(tally)))
            .collect();
        let end = state.ended.as_ref().map(|end| end.at).or(state.at).unwrap_or(until);
        let spent = |(id, objective): (&String, &Objective)| {
            let (slo, probe) = (objective.slo?, plan.probes.iter().find(|probe| probe.id == *id)?);
            Some((id.clone(), Spent { slo, bad: outage::bad_time(state.probes.get(id)?, probe, from.unwrap_or(start.at), end) }))
        };
        measures.budgets = plan.objectives.iter().filter_map(spent).collect();
        measures.criteria = criteria::criteria(state, &measures);
        measures
    }

    /// How long after the last critical change was accepted a replica had caught up, as its probe says; absent when it was not behind, or is so still.
    #[must_use]
    pub fn caught_up(&self, probe: &str) -> Option<Length> {
        let (up, acted) = self.outages.get(probe)?.up.zip(self.instants.acted)?;
        (self.exposures.contains_key(probe) && up.hi >= acted.lo).then(|| up.since(acted))
    }

    /// Recovery time of one probe's outage.
    #[must_use]
    pub fn rta(&self, probe: &str) -> Option<Measured> {
        self.outages.get(probe).map(Outage::rta)
    }

    /// Recovery time of users who keep the answers of DNS for as long as they may, by what a probe saw that may keep none: its upper bound is theirs. Absent when the
    /// failover changed no name, or it is not known how long its answers may be kept.
    #[must_use]
    pub fn rta_with_caches(&self, probe: &str) -> Option<Measured> {
        Some(self.rta(probe)?.worse(self.kept?.ttl?))
    }

    /// How long after the fault was injected something came back that is no service: its own outage begins only when what it expects has run out.
    #[must_use]
    pub fn since_fault(&self, probe: &str) -> Option<Measured> {
        let (outage, fault) = (self.outages.get(probe)?, self.instants.fault?);
        Some(match (outage.censored, outage.up) {
            (None, Some(up)) => Measured::Known(up.since(fault).widened(outage.clock)),
            (censored, _) => Measured::AtLeast(censored.unwrap_or(0).saturating_add(outage.down.hi.nanos_since(fault.hi)).max(0)),
        })
    }
}

/// From how many places Lifeboat sends its samples: the machine on which it runs.
pub const VANTAGE_POINTS: usize = 1;

/// What the last line of `drill --output json` says of each service that went down: the raw edges and the time between them.
/// `up` and the upper bound are null for a service that did not come back. `clients` says as which clients it was asked; `rta_with_caches_ms` is the most that users saw who
/// keep the answers of DNS for their TTL, where the failover changed any.
#[must_use]
pub fn services_json(state: &RunState, measures: &Measures) -> Value {
    let mut services = Map::new();
    for probe in state.plan().iter().flat_map(|plan| &plan.probes).filter(|probe| probe.service) {
        let Some(outage) = measures.outages.get(&probe.id) else { continue };
        let pair = |moment: Moment| json!([moment.lo, moment.hi]);
        let rta = match outage.duration() {
            Measured::Known(length) => json!(length.millis()),
            Measured::AtLeast(lo) => json!([Length::new(lo, lo).millis()[0], null]),
        };
        let mut service = json!({
            "down": pair(outage.down), "up": outage.up.map(pair), "rta_ms": rta, "clients": probe.clients, "vantage_points": VANTAGE_POINTS
        });
        if let Some(Measured::Known(bound)) = measures.rta_with_caches(&probe.id) {
            service["rta_with_caches_ms"] = json!(bound.millis()[1]);
        }
        services.insert(probe.id.clone(), service);
    }
    Value::Object(services)
}

/// Every objective as one line of JSON, for programs: times in whole milliseconds, bounds rounded outwards; `measured` is `[lo, hi]`, or `[lo, null]` of
/// what did not end, or null of what was not measured.
#[must_use]
pub fn criteria_json(measures: &Measures) -> Value {
    let one = |criterion: &Criterion| {
        let measured = match (criterion.count, criterion.measured) {
            (Some(count), _) => json!(count),
            (None, None) => Value::Null,
            (None, Some(Measured::Known(length))) => json!(length.millis()),
            (None, Some(Measured::AtLeast(lo))) => json!([Length::new(lo, lo).millis()[0], null]),
        };
        let judgement = match criterion.judgement {
            Judgement::Met => "met",
            Judgement::NotMet => "missed",
            Judgement::Indeterminate => "cannot be told",
            Judgement::NotTested => "not tested",
        };
        json!({ "measure": criterion.measure.to_string(), "of": criterion.subject, "target": criterion.target, "measured": measured, "result": judgement })
    };
    Value::Array(measures.criteria.iter().map(one).collect())
}

/// From when on a bad sample counts as an effect of the disruption: the fault's intent; in an emergency the start of the run. Absent before the fault.
fn disrupted_from(state: &RunState) -> Option<Timestamp> {
    match state.mode()? {
        Mode::Emergency => state.start.as_ref().map(|start| start.at),
        Mode::Rehearse | Mode::Drill => state.fault()?.intent.as_ref().map(|intent| intent.at),
    }
}

/// Until when the recovery is measured: the way back or the cleaning up begins, or its process is gone (nobody recovers or looks after that), or
/// the run ends, or this is all there is.
fn failover_until(state: &RunState) -> Timestamp {
    let begun = [Stage::Failback, Stage::Cleanup].into_iter().filter_map(|stage| state.stage_began(stage));
    let left = state.resumed.iter().filter(|takeover| !takeover.reopened).filter_map(|takeover| takeover.left);
    begun.chain(left).min().or(state.ended.as_ref().map(|end| end.at)).or(state.at).unwrap_or(Timestamp::from_nanos(0))
}

fn availability(tally: Tally) -> Availability {
    let share = |of: u64| u64::try_from(u128::from(tally.good) * 1_000_000 / u128::from(of.max(1))).unwrap_or(0);
    Availability { lo_ppm: share(tally.all()), hi_ppm: share(tally.good.saturating_add(tally.bad)), tally }
}

/// What a step came to, without regard to what was undone later.
fn outcome(step: &StepState) -> StepOutcome {
    match step.status {
        // A step that changes nothing has nothing that could already be as asked: it waited or checked, and is done.
        _ if step.applied => {
            if step.already && step.intent.is_some() {
                StepOutcome::Already
            } else {
                StepOutcome::Done
            }
        }
        _ if step.failure.is_some() => StepOutcome::Failed,
        _ if step.skipped.is_some() => StepOutcome::Skipped,
        Status::Pending => StepOutcome::NotRun,
        _ => StepOutcome::Unfinished,
    }
}

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod tests;
