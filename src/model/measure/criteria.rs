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

impl Measured {
    /// The same, and possibly `by` nanoseconds longer.
    #[must_use]
    pub fn worse(self, by: i64) -> Self {
        match self {
            Self::Known(length) => Self::Known(Length { hi: length.hi.saturating_add(by), ..length }),
            Self::AtLeast(_) => self,
        }
    }
}

/// Why it cannot be told how a criterion came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The target lies inside the bounds.
    Bounds,
    /// Samples are missing that would have missed it, had they been bad.
    Samples,
}

/// How a criterion came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The whole interval meets the target.
    Met,
    /// The whole interval misses it.
    NotMet,
    /// It cannot be told; the criterion's [`Doubt`] says why.
    Indeterminate,
    /// Nothing was measured.
    NotTested,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Recovery time, from the first effect on users.
    Rto,
    /// Recovery time of users who keep the answers of DNS for as long as they may: what was measured and the longest TTL before the change.
    RtoCached,
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
    /// Why that cannot be told, if it cannot.
    pub doubt: Option<Doubt>,
}

/// Where more than this share of the samples could not tell, they are judged once more as if all of them had been bad: one in …
const UNKNOWN_LIMIT: u64 = 20;

/// All criteria: recovery times by name, recovery points by name, then what was counted.
pub(super) fn criteria(state: &RunState, measures: &Measures) -> Vec<Criterion> {
    let Some(plan) = state.plan() else { return Vec::new() };
    let rtos = plan.objectives.iter().flat_map(|(id, objective)| {
        let probe = plan.probes.iter().find(|probe| probe.id == *id);
        let times = [(Measure::Rto, objective.rto), (Measure::RtoCached, objective.rto_cached)];
        times.into_iter().filter_map(move |(measure, target)| Some(rto_criterion(state, measure, id, target?, probe, measures)))
    });
    let rpos = plan.objectives.iter().filter_map(|(id, objective)| {
        let exposure = measures.exposures.get(id);
        let mut criterion = at_most(Measure::Rpo, id, objective.rpo?, exposure.map(|exposure| Measured::Known(exposure.peak)));
        // Its bounds hold whatever happened between two readings, however far they are apart.
        if criterion.doubt.is_some() && exposure.is_some_and(|exposure| exposure.punctual <= nanos(criterion.target)) {
            criterion.doubt = Some(Doubt::Samples);
        }
        Some(criterion)
    });
    let mut criteria: Vec<Criterion> = rtos.chain(rpos).collect();
    for found in integrity(state) {
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
                doubt: (judgement == Judgement::Indeterminate).then_some(Doubt::Bounds),
            });
        }
    }
    criteria
}

/// The recovery time of one probe. One that stayed good while others went down recovered in no time, give or take a sample; when nothing went down nothing was tested.
fn rto_criterion(state: &RunState, measure: Measure, id: &str, target: Span, probe: Option<&ProbePlan>, measures: &Measures) -> Criterion {
    let measured = measures.outages.get(id).map(Outage::rta);
    let sampled = measures.availability.get(id).is_some_and(|availability| availability.tally.good > 0);
    let unharmed = measured.is_none() && sampled && measures.instants.impact.is_some();
    let blind = probe.filter(|_| unharmed).map(|probe| {
        let unseen = u64::from(probe.bad_after).saturating_mul(probe.every.as_millis()).saturating_add(probe.timeout.as_millis());
        Measured::Known(Length::new(0, nanos(unseen)))
    });
    let measured = match (measure, measures.kept) {
        // An answer that was kept may end at once: only the upper bound is proved to be later.
        (Measure::RtoCached, Some(kept)) => measured.or(blind).zip(kept.ttl).map(|(measured, ttl)| measured.worse(ttl)),
        _ => measured.or(blind),
    };
    let mut criterion = Criterion { no_impact: unharmed, ..at_most(measure, id, target, measured) };
    if criterion.judgement == Judgement::Met && has_too_many_unknown(measures, id) {
        let missing = state
            .probes
            .get(id)
            .zip(super::disrupted_from(state))
            .map_or(0, |(standing, from)| standing.unseen_between(from, super::failover_until(state)));
        let every = probe.map_or(0, |probe| probe.every.as_millis());
        let worst = measured.map(|measured| measured.worse(nanos(every.saturating_mul(missing))));
        if at_most(measure, id, target, worst).judgement != Judgement::Met {
            (criterion.judgement, criterion.doubt) = (Judgement::Indeterminate, Some(Doubt::Samples));
        }
    }
    criterion
}

fn at_most(measure: Measure, subject: &str, target: Span, measured: Option<Measured>) -> Criterion {
    let limit = nanos(target.as_millis());
    let judgement = match measured {
        None => Judgement::NotTested,
        Some(Measured::Known(length)) if length.lo > limit => Judgement::NotMet,
        Some(Measured::AtLeast(lo)) if lo > limit => Judgement::NotMet,
        Some(Measured::Known(length)) if length.hi <= limit => Judgement::Met,
        Some(_) => Judgement::Indeterminate,
    };
    let doubt = (judgement == Judgement::Indeterminate).then_some(Doubt::Bounds);
    Criterion { measure, subject: subject.to_owned(), target: target.as_millis(), measured, count: None, no_impact: false, judgement, doubt }
}

fn nanos(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)
}

/// Whether more than 5 % of a probe's samples could not tell.
pub(super) fn has_too_many_unknown(measures: &Measures, probe: &str) -> bool {
    measures.availability.get(probe).is_some_and(|availability| availability.tally.unseen().saturating_mul(UNKNOWN_LIMIT) > availability.tally.all())
}
