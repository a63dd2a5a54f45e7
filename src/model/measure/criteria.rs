//! Objectives against what was measured. A target is met only if the whole interval meets it, missed only if the whole interval misses it.

use super::exposure::integrity;
use super::{Measures, Outage};
use crate::model::interval::{Length, MILLISECOND};
use crate::model::plan::ProbePlan;
use crate::model::state::RunState;
use crate::model::time::Span;

/// A length of time as it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Between two bounds.
    Known(Length),
    /// It had not ended when it was last looked at: at least so many nanoseconds.
    AtLeast(i64),
}

/// How a criterion came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The whole interval meets the target.
    Met,
    /// The whole interval misses it.
    NotMet,
    /// The target lies inside the bounds, or the measurement is too poor.
    Indeterminate,
    /// Nothing was measured.
    NotTested,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Recovery time, from the first effect on users.
    Rto,
    /// Recovery point: how much committed data, in time, was at stake.
    Rpo,
    /// Things missing after the recovery.
    Missing,
    /// Things that are there twice after the recovery.
    Doubled,
}

/// One criterion; all of them are mandatory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// What.
    pub measure: Measure,
    /// Of which probe, or by which step it was counted.
    pub subject: String,
    /// The target, milliseconds or a count.
    pub target: u64,
    /// What was measured, for times.
    pub measured: Option<Measured>,
    /// What was counted, for counts.
    pub count: Option<u64>,
    /// Whether the service stayed up all the while.
    pub no_impact: bool,
    /// How it came out.
    pub judgement: Judgement,
}

/// More than this share of samples that could not tell makes a criterion indeterminate: one in …
const UNKNOWN_LIMIT: u64 = 20;

/// All criteria: recovery times by name, recovery points by name, then what was counted.
pub(super) fn criteria(state: &RunState, measures: &Measures) -> Vec<Criterion> {
    let Some(plan) = state.plan() else { return Vec::new() };
    let rtos = plan.objectives.iter().filter_map(|(id, objective)| {
        let probe = plan.probes.iter().find(|probe| probe.id == *id);
        Some(rto_criterion(id, objective.rto?, probe, measures, has_too_many_unknown(measures, id)))
    });
    let rpos = plan.objectives.iter().filter_map(|(id, objective)| {
        let measured = measures.exposures.get(id).map(|exposure| Measured::Known(exposure.peak));
        Some(at_most(Measure::Rpo, id, objective.rpo?, measured, has_too_many_unknown(measures, id)))
    });
    let mut criteria: Vec<Criterion> = rtos.chain(rpos).collect();
    for found in integrity(state, &measures.exposures) {
        for (measure, count) in [(Measure::Missing, found.counts.missing), (Measure::Doubled, found.counts.doubled)] {
            let Some(count) = count else { continue };
            // While nothing is recovered, what a probe finds missing may only be late.
            let judgement = match count {
                0 => Judgement::Met,
                _ if measure == Measure::Doubled || found.by_step || measures.instants.verified.is_some() => Judgement::NotMet,
                _ => Judgement::NotTested,
            };
            criteria.push(Criterion {
                measure,
                subject: found.subject.clone(),
                target: 0,
                measured: None,
                count: Some(count),
                no_impact: false,
                judgement,
            });
        }
    }
    criteria
}

/// The recovery time of one probe. One that stayed good while others went down recovered in no time, give or take a sample; when nothing went down nothing was tested.
fn rto_criterion(id: &str, rto: Span, probe: Option<&ProbePlan>, measures: &Measures, poor: bool) -> Criterion {
    let measured = measures.outages.get(id).map(Outage::rta);
    let sampled = measures.availability.get(id).is_some_and(|availability| availability.tally.good > 0);
    let unharmed = measured.is_none() && sampled && measures.instants.impact.is_some();
    let blind = probe.filter(|_| unharmed).map(|probe| {
        let unseen = u64::from(probe.bad_after).saturating_mul(probe.every.as_millis()).saturating_add(probe.timeout.as_millis());
        Measured::Known(Length::new(0, i64::try_from(unseen).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)))
    });
    Criterion { no_impact: unharmed, ..at_most(Measure::Rto, id, rto, measured.or(blind), poor) }
}

fn at_most(measure: Measure, subject: &str, target: Span, measured: Option<Measured>, poor: bool) -> Criterion {
    let limit = i64::try_from(target.as_millis()).unwrap_or(i64::MAX).saturating_mul(MILLISECOND);
    let judgement = match measured {
        None => Judgement::NotTested,
        Some(Measured::Known(length)) if length.lo > limit => Judgement::NotMet,
        Some(Measured::AtLeast(lo)) if lo > limit => Judgement::NotMet,
        Some(Measured::Known(length)) if length.hi <= limit && !poor => Judgement::Met,
        Some(_) => Judgement::Indeterminate,
    };
    Criterion { measure, subject: subject.to_owned(), target: target.as_millis(), measured, count: None, no_impact: false, judgement }
}

/// Whether more than 5 % of a probe's samples could not tell.
pub(super) fn has_too_many_unknown(measures: &Measures, probe: &str) -> bool {
    measures.availability.get(probe).is_some_and(|availability| availability.tally.unseen().saturating_mul(UNKNOWN_LIMIT) > availability.tally.all())
}
