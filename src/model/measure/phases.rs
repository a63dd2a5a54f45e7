//! The instants of a run and the phases between them.

use std::collections::BTreeMap;

use super::{Instants, Measured, Measures, Outage};
use crate::model::event::run::Awaited;
use crate::model::ids::Part;
use crate::model::interval::Moment;
use crate::model::plan::{Mode, Plan, RunbookPlan, Stage};
use crate::model::state::{RunState, Status, StepState};
use crate::model::time::Timestamp;

/// Part of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From impact to detection.
    Detect,
    /// From detection to the decision.
    Decide,
    /// From the decision until the change that moves traffic was accepted and every other change of the critical steps was in effect.
    Act,
    /// From then until the traffic had moved; where no probe reads that, until the step saw its change in effect, such as DNS in sync. Takes no time where nothing was
    /// changed that moves traffic.
    Spread,
    /// Until the service was good for good.
    Settle,
}

/// All phases in order.
pub const PHASES: [Phase; 5] = [Phase::Detect, Phase::Decide, Phase::Act, Phase::Spread, Phase::Settle];

/// The phases of one outage. They are counted between the likely moments of the instants and therefore sum exactly to the likely recovery time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Whose outage.
    pub probe: String,
    /// Nanoseconds of each of [`PHASES`].
    pub parts: [i64; 5],
    /// Where the first begins.
    pub begin: Timestamp,
    /// Whether the service was not restored: the phases end where the recovery was given up.
    pub open: bool,
    /// How long the outage has lasted for certain, nanoseconds, where it is open: less than the sum, which runs from the likeliest beginning to the end of looking.
    pub proved: Option<i64>,
    /// How many of the phases were entered.
    pub entered: usize,
}

impl Split {
    /// The sum, nanoseconds.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.parts.iter().sum()
    }
}

/// The probe whose outage is the run's: worst against its RTO, else the service longest down, else the one that detects, else the longest of all.
pub(super) fn primary(plan: &Plan, outages: &BTreeMap<String, Outage>) -> Option<String> {
    let length = |outage: &Outage| match outage.rta() {
        Measured::Known(length) => length.likely,
        Measured::AtLeast(lo) => lo,
    };
    let against = outages.iter().filter_map(|(id, outage)| {
        let rto = plan.objectives.get(id)?.rto?.as_millis().max(1);
        Some((i128::from(length(outage)) * 1000 / i128::from(rto), id))
    });
    // Of equal ones the first by name: `max_by_key` takes the last, so the order is turned round.
    let longest = |only_services: bool| {
        let chosen = outages.iter().filter(|(id, _)| !only_services || plan.probes.iter().any(|probe| probe.service && probe.id == **id));
        chosen.map(|(id, outage)| (i128::from(length(outage)), id)).rev().max_by_key(|(worst, _)| *worst)
    };
    let detecting = || plan.detect.as_ref().and_then(|detect| outages.get_key_value(&detect.probe)).map(|(id, _)| (0, id));
    against.rev().max_by_key(|(worst, _)| *worst).or_else(|| longest(true)).or_else(detecting).or_else(|| longest(false)).map(|(_, id)| id.clone())
}

/// The instants, of the primary outage where they are a probe's.
pub(super) fn instants(state: &RunState, outage: Option<&Outage>, until: Timestamp) -> Instants {
    let Some(start) = &state.start else { return Instants::default() };
    let plan = &*start.plan;
    let fault = state.fault().and_then(|fault| Some(Moment::between(fault.intent.as_ref()?.at, fault.ended.filter(|_| fault.applied)?)));
    let from = super::disrupted_from(state);
    let detected = match plan.mode {
        // Whoever started it had noticed.
        Mode::Emergency => Some(start.at),
        Mode::Rehearse | Mode::Drill => {
            let probe = plan.detect.as_ref().and_then(|detect| state.probes.get(&detect.probe));
            let first = probe.and_then(|standing| {
                standing.changes.iter().find(|(changed, at)| *changed == crate::model::plan::ProbeState::Bad && Some(*at) >= from)
            });
            first.map(|(_, at)| *at).filter(|_| from.is_some())
        }
    };
    let restored = outage.filter(|outage| outage.censored.is_none()).and_then(|outage| outage.up);
    let mut changes = critical_changes(state, &plan.failover);
    changes.retain(|change| restored.is_none_or(|up| change.accepted <= up.hi));
    let last = changes.iter().max_by_key(|change| (change.accepted, change.ended));
    let shift = changes.iter().filter(|change| change.moves == Moves::Traffic).max_by_key(|change| (change.accepted, change.ended));
    // What other changes were for was not there before they were in effect.
    let others = changes.iter().filter(|change| change.moves != Moves::Traffic).map(|change| change.ended).max();
    let normal = state.steps.values().filter_map(|step| step.undo_ended.filter(|_| step.status == Status::Undone)).max();
    Instants {
        fault,
        impact: outage.map(|outage| outage.down),
        detected: detected.map(Moment::exact),
        decided: state.decided.as_ref().map(|decision| Moment::exact(decision.at)),
        acted: last.map(|change| Moment::exact(change.accepted)),
        effective: last.map(|change| Moment::exact(change.ended)),
        shifted: shift.map(|change| Moment::exact(change.accepted)),
        spreads: shift.map(|change| Moment::exact(others.map_or(change.accepted, |others| others.max(change.accepted)))),
        shift_seen: shift.map(|change| Moment::exact(change.ended)),
        moved: None,
        restored,
        verified: state.stage_began(Stage::Verify).filter(|_| is_verified(state, until)).map(|_| Moment::exact(until)),
        failback: state.stage_began(Stage::Failback).map(Moment::exact),
        normal: normal.map(Moment::exact),
    }
}

/// A change of a critical step.
struct Change {
    /// When it was accepted.
    accepted: Timestamp,
    /// When it was seen in effect.
    ended: Timestamp,
    moves: Moves,
}

/// What a change may have done to the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// It leads it elsewhere: a record of DNS, a route.
    Traffic,
    /// Nobody can tell what a command or a request of the user's own does.
    Unknown,
    /// It starts, stops or copies something.
    Nothing,
}

impl Moves {
    /// What a step's change may have done to the traffic; absent when it changed nothing.
    pub(super) fn of(step: &StepState) -> Option<Self> {
        let intent = step.intent.as_ref().filter(|_| step.applied && !step.already)?;
        let leads = intent.targets.iter().any(|target| target.kind.leads_users());
        Some(match intent.uses.as_str() {
            _ if leads => Self::Traffic,
            _ if intent.targets.iter().any(|target| !target.kind.can_be_read()) => Self::Unknown,
            _ => Self::Nothing,
        })
    }
}

/// The changes of the critical steps that changed something. Of a runbook without critical steps all count.
fn critical_changes(state: &RunState, runbook: &RunbookPlan) -> Vec<Change> {
    let any = runbook.steps.iter().any(|step| step.critical);
    let counts = |key: &str| state.planned(key).is_some_and(|step| step.critical || !any);
    let change = |(key, step): (&String, &StepState)| {
        let (moves, ended) = Moves::of(step).zip(step.ended)?;
        (Part::Failover.has(key) && counts(key)).then(|| Change { accepted: step.accepted.unwrap_or(ended), ended, moves })
    };
    state.steps.iter().filter_map(change).collect()
}

/// Whether at `until` every probe that defines recovery had been good for as long as asked; one probe interval is allowed for the edge's own width.
pub(super) fn is_verified(state: &RunState, until: Timestamp) -> bool {
    let Some(recovered) = state.plan().and_then(|plan| plan.recovered.as_ref().map(|recovered| (plan, recovered))) else {
        return state.stage_began(Stage::Verify).is_some();
    };
    let (plan, recovered) = recovered;
    // Edges tell of what was seen, and nothing of what could not be read: whoever waited for the recovery says whether it was seen.
    if state.unseen(Awaited::Recovery).is_some() {
        return false;
    }
    recovered.probes.iter().all(|id| {
        let (Some(standing), Some(probe)) = (state.probes.get(id), plan.probes.iter().find(|probe| probe.id == *id)) else { return false };
        let edge = standing.edges.iter().rev().find(|edge| edge.moment.hi <= until);
        let good_since = match edge {
            Some(edge) => (edge.to == crate::model::plan::ProbeState::Good).then_some(edge.moment.lo),
            None => standing.initial.filter(|(initial, _)| *initial == crate::model::plan::ProbeState::Good).map(|(_, at)| at),
        };
        good_since.is_some_and(|since| until.since(since) + probe.every.duration() >= recovered.stable_for.duration())
    })
}

/// Probes that define recovery and whose missing samples, had all of them been bad, would have kept it from being stable until `until`.
pub(super) fn unsure_recoveries(state: &RunState, until: Timestamp) -> Vec<&String> {
    let Some((plan, recovered)) = state.plan().and_then(|plan| Some((plan, plan.recovered.as_ref()?))) else { return Vec::new() };
    let is_unsure = |id: &&String| {
        let (Some(standing), Some(probe)) = (state.probes.get(*id), plan.probes.iter().find(|probe| probe.id == **id)) else { return false };
        let stable = |since: Timestamp| until.since(since) + probe.every.duration() >= recovered.stable_for.duration();
        // Where nobody wrote down when they were missing they may have been missed last.
        standing.tally_before(until).unseen() > 0 && !standing.untold_before(until).is_some_and(stable)
    };
    recovered.probes.iter().filter(is_unsure).collect()
}

/// Splits the primary outage. Instants out of order (a decision before the impact was confirmed) make a phase of length zero, never a negative one.
pub(super) fn split(measures: &Measures, until: Timestamp) -> Option<Split> {
    let probe = measures.primary.clone()?;
    let instants = &measures.instants;
    let begin = instants.impact?.likely;
    let open = instants.restored.is_none();
    let end = instants.restored.map_or(until, |restored| restored.likely).max(begin);
    let mut parts = [0; 5];
    let mut from = begin;
    let acted = instants.spreads.or(instants.effective);
    // A share that was never too small says nothing about when it moved.
    let spread = match instants.spreads {
        Some(_) if measures.traffic.is_some_and(|traffic| traffic.moved.is_some() || !traffic.has_moved()) => instants.moved,
        Some(_) => instants.shift_seen,
        None => acted,
    };
    let bounds = [instants.detected, instants.decided, acted, spread, None];
    let entered = if open { bounds.iter().take_while(|bound| bound.is_some()).count() + 1 } else { PHASES.len() };
    for (part, bound) in parts.iter_mut().zip(bounds) {
        // What never happened lasted until the end.
        let to = bound.map_or(end, |bound| bound.likely).clamp(from, end);
        *part = to.nanos_since(from);
        from = to;
    }
    let proved = measures.outages.get(&probe).and_then(|outage| outage.censored).filter(|_| open);
    Some(Split { probe, parts, begin, open, proved, entered })
}
