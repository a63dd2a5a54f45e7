//! The verdict. The first rule that applies wins: fail, aborted, inconclusive, pass.

use std::fmt;

use super::criteria::has_too_many_unknown;
use super::phases::{is_verified, step_plan, unsure_recoveries};
use super::{Doubt, Judgement, Measure, Measures, failover_until};
use crate::model::event::Event;
use crate::model::event::run::Difference;
use crate::model::failure::FailureKind;
use crate::model::plan::{OnFailure, Plan, ProbeState, Stage, Verdict};
use crate::model::state::{FAULT, ProbeStanding, RunState, Status, StepState};

/// Why a verdict is what it is. Its text goes into the journal; reports say it in their own language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An objective was missed, or data is missing or doubled.
    Missed {
        /// What.
        measure: Measure,
        /// Of which probe or step.
        subject: String,
    },
    /// A step that the run cannot do without failed.
    StepFailed {
        /// Its key.
        step: String,
        /// Why, in one line.
        why: String,
    },
    /// All was done but the service was not good for as long as asked.
    NotRecovered,
    /// What was changed is not put back.
    Leftover {
        /// The step's key.
        step: String,
        /// Why not.
        why: String,
    },
    /// What the steady state asks for is not there at the end.
    NotNormal {
        /// The probe that is bad.
        probe: String,
    },
    /// What was found when the run ended first, before it was taken up again.
    Earlier {
        /// As journalled then.
        text: String,
    },
    /// Somebody or something stopped the run.
    Stopped {
        /// Who or what.
        by: String,
        /// Why.
        why: String,
    },
    /// The probes were not good before the injection.
    NoSteadyState,
    /// The run ended before its recovery was over.
    Unfinished,
    /// The fault could not be injected.
    NoFault {
        /// Why.
        why: String,
    },
    /// The fault was injected but no probe noticed.
    NoImpact {
        /// The probe that should have.
        probe: String,
    },
    /// A bound crosses the objective.
    Indeterminate {
        /// What.
        measure: Measure,
        /// Of which probe.
        subject: String,
    },
    /// Nothing was measured for an objective.
    NotTested {
        /// What.
        measure: Measure,
        /// Of which probe.
        subject: String,
    },
    /// An objective would not be met had all the samples been bad that could not tell, or were not sent.
    Unseen {
        /// What.
        measure: Measure,
        /// Of which probe.
        subject: String,
    },
    /// The recovery would not have been stable had they been bad.
    RecoveryUnseen {
        /// The probe that misses them.
        probe: String,
    },
    /// The probe that should have noticed the fault misses too many of its samples.
    ImpactUnseen {
        /// Which.
        probe: String,
    },
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rto => "RTO",
            Self::RtoCached => "RTO with caches",
            Self::Rpo => "RPO",
            Self::Missing => "nothing missing",
            Self::Doubled => "nothing doubled",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed { measure, subject } => write!(f, "objective missed: {measure} of {subject}"),
            Self::StepFailed { step, why } => write!(f, "step {step} failed: {why}"),
            Self::NotRecovered => f.write_str("the service was not stable again within the time allowed"),
            Self::Leftover { step, why } => write!(f, "{step} is not put back: {why}"),
            Self::NotNormal { probe } => write!(f, "the steady state did not return: {probe} is bad at the end"),
            Self::Earlier { text } => f.write_str(text),
            Self::Stopped { by, why } => write!(f, "stopped by {by}: {why}"),
            Self::NoSteadyState => f.write_str("the steady state was not reached, nothing was injected"),
            Self::Unfinished => f.write_str("the run ended before its recovery was over"),
            Self::NoFault { why } => write!(f, "the fault was not injected: {why}"),
            Self::NoImpact { probe } => write!(f, "the fault was injected but {probe} never went bad"),
            Self::Indeterminate { measure, subject } => write!(f, "cannot be told: {measure} of {subject} lies inside the bounds of the measurement"),
            Self::NotTested { measure, subject } => write!(f, "not tested: {measure} of {subject}"),
            Self::Unseen { measure, subject } => {
                write!(f, "cannot be told: {measure} of {subject}: too many samples are missing; had all of them been bad, it would not be met")
            }
            Self::RecoveryUnseen { probe } => {
                write!(f, "cannot be told: whether {probe} stayed good: too many samples are missing, some of them after its recovery")
            }
            Self::ImpactUnseen { probe } => write!(f, "cannot be told: whether {probe} went bad: too many samples are missing"),
        }
    }
}

/// Judges a run that is over but for its last event. Of a run that had ended before and was taken up again to be undone, the earlier verdict stands, unless something is left over now.
#[must_use]
pub fn judge(state: &RunState, measures: &Measures) -> (Verdict, Vec<Reason>) {
    let (verdict, reasons) = judge_anew(state, measures);
    match &state.earlier_end {
        Some(earlier) if verdict != Verdict::Fail => {
            (earlier.verdict, earlier.reasons.iter().map(|text| Reason::Earlier { text: text.clone() }).collect())
        }
        _ => (verdict, reasons),
    }
}

fn judge_anew(state: &RunState, measures: &Measures) -> (Verdict, Vec<Reason>) {
    let Some(plan) = state.plan() else { return (Verdict::Inconclusive, vec![Reason::Unfinished]) };
    // What the engine itself stopped has its reason elsewhere: what failed, or what was never seen.
    let stopped = stopped_by_someone(state);
    for (verdict, reasons) in [
        (Verdict::Fail, failures(state, plan, measures, stopped.is_some())),
        (Verdict::Aborted, stopped.into_iter().collect()),
        (Verdict::Inconclusive, doubts(state, plan, measures)),
        (Verdict::Aborted, unfinished(state, plan)),
    ] {
        if !reasons.is_empty() {
            return (verdict, reasons);
        }
    }
    (Verdict::Pass, Vec::new())
}

/// The verdict over a run's events and the reasons as the journal keeps them.
#[must_use]
pub fn verdict(events: &[Event]) -> (Verdict, Vec<String>) {
    match RunState::from_events(events) {
        Ok(state) => {
            let (verdict, reasons) = judge(&state, &Measures::of(&state));
            (verdict, reasons.iter().map(ToString::to_string).collect())
        }
        Err(error) => (Verdict::Inconclusive, vec![format!("the events are not those of a run: {error}")]),
    }
}

/// Keys of what a drill changed and did not put back, with the reason. Steps of a failback are the way back themselves; a failover whose whole failback was done counts as taken back by it.
/// In an emergency, where the plan says to leave the failover and where somebody stopped the run, nothing is put back unasked, so only what was tried and
/// failed counts; a fault always does.
#[must_use]
pub fn leftovers(state: &RunState) -> Vec<(String, String)> {
    let taken_back = failback_done(state);
    let leaves = state.leaves();
    let left = |key: &str, step: &StepState| -> Option<String> {
        if let Some(failure) = step.undo_failure.as_ref().filter(|_| step.status == Status::UndoFailed) {
            return Some(failure.to_string());
        }
        let by_choice = key.starts_with("failback/") || (key != FAULT && step.status != Status::Undoing && (leaves || taken_back));
        (step.is_held() && !by_choice)
            .then(|| if step.status == Status::Undoing { "putting it back did not end".to_owned() } else { "nothing put it back".to_owned() })
    };
    state.ordered().into_iter().filter_map(|(key, step)| left(key, step).map(|why| (key.to_owned(), why))).collect()
}

/// Whether every step of the failback was done, or skipped by its own condition.
fn failback_done(state: &RunState) -> bool {
    let steps = || state.steps.iter().filter(|(key, _)| key.starts_with("failback/")).map(|(_, step)| step);
    steps().any(|step| step.applied) && steps().all(|step| step.applied || step.skipped.is_some())
}

fn failures(state: &RunState, plan: &Plan, measures: &Measures, stopped: bool) -> Vec<Reason> {
    let missed = measures.criteria.iter().filter(|criterion| criterion.judgement == Judgement::NotMet);
    let mut reasons: Vec<Reason> =
        missed.map(|criterion| Reason::Missed { measure: criterion.measure, subject: criterion.subject.clone() }).collect();
    for (key, step) in state.ordered() {
        let Some(failure) = step.failure.as_ref().filter(|failure| failure.kind != FailureKind::Cancelled && is_required(plan, key)) else {
            continue;
        };
        // The items of a repeated step say themselves why, and whether they were only cut off.
        if state.items(key).next().is_some() {
            continue;
        }
        reasons.push(Reason::StepFailed { step: key.to_owned(), why: failure.to_string() });
    }
    let until = failover_until(state);
    if reasons.is_empty() && !stopped && state.stage_began(Stage::Verify).is_some_and(|begun| begun < until) && !is_verified(state, until) {
        reasons.push(Reason::NotRecovered);
    }
    let left = leftovers(state);
    // What the clouds themselves read as says more than that every undo was accepted. New addresses of machines that were stopped are announced by the plan.
    let differences = state.baseline.iter().flat_map(|baseline| &baseline.differences);
    let unsaid = differences.filter(|one| !one.what.starts_with("addresses") && left.iter().all(|(step, _)| *step != one.step));
    let differs = |one: &Difference| match one.what.as_str() {
        _ if one.is_unread() => one.after.clone(),
        "" => format!("it was {}, is {}", one.before, one.after),
        what => format!("{what} was {}, is {}", one.before, one.after),
    };
    let unsaid: Vec<Reason> = unsaid.map(|one| Reason::Leftover { step: one.step.clone(), why: differs(one) }).collect();
    reasons.extend(left.into_iter().map(|(step, why)| Reason::Leftover { step, why }));
    reasons.extend(unsaid);
    // A fault that was taken out and everything put back, and yet something the drill began with is bad.
    if state.stage_began(Stage::Cleanup).is_some() && state.fault().is_some_and(|fault| fault.intent.is_some()) {
        let steady = plan.steady_state.iter().flat_map(|steady| &steady.probes);
        let bad = steady.filter(|probe| {
            // What a former owner saw last says nothing about now.
            let is_bad = |standing: &ProbeStanding| standing.confirmed == Some(ProbeState::Bad) && standing.raw == Some(ProbeState::Bad);
            state.probes.get(*probe).is_some_and(|standing| standing.is_current() && is_bad(standing))
        });
        reasons.extend(bad.map(|probe| Reason::NotNormal { probe: probe.clone() }));
    }
    reasons
}

/// Whether the run cannot do without a step: critical, or its failure stops the runbook. The fault is judged elsewhere.
fn is_required(plan: &Plan, key: &str) -> bool {
    let runbook = if key.starts_with("failback/") { plan.failback.as_ref() } else { Some(&plan.failover) };
    runbook.and_then(|runbook| step_plan(runbook, key)).is_some_and(|step| step.critical || step.on_failure != OnFailure::Continue)
}

/// A stop by anything but the engine, before the cleaning up that ends every run; or a takeover, which only takes back.
fn stopped_by_someone(state: &RunState) -> Option<Reason> {
    let cleaned = state.stage_began(Stage::Cleanup);
    let mut stops = state.stops.iter().filter(|stop| stop.by != "engine" && cleaned.is_none_or(|cleaned| stop.at <= cleaned));
    let stop = stops.clone().find(|stop| stop.abort).or_else(|| stops.next());
    let taken = || state.resumed.iter().find(|takeover| !takeover.reopened && takeover.to != "resume");
    stop.map(|stop| Reason::Stopped { by: stop.by.clone(), why: stop.why.clone() }).or_else(|| {
        taken().map(|takeover| Reason::Stopped {
            by: takeover.to.clone(),
            why: "the interrupted run was taken over to take back what it had left".to_owned(),
        })
    })
}

fn doubts(state: &RunState, plan: &Plan, measures: &Measures) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if plan.fault.is_some() {
        let fault = state.fault();
        if let Some(failure) = fault.and_then(|fault| fault.failure.as_ref()) {
            return vec![Reason::NoFault { why: failure.to_string() }];
        }
        let active = fault.filter(|fault| fault.applied).and_then(|fault| fault.intent.as_ref()).map(|intent| intent.at);
        let waited = state.stage_began(Stage::Detect).is_some();
        if let Some((detect, active)) = plan.detect.as_ref().zip(active).filter(|_| waited) {
            let went_bad = |(changed, at): &(ProbeState, _)| *changed == ProbeState::Bad && *at >= active;
            if !state.probes.get(&detect.probe).is_some_and(|standing| standing.changes.iter().any(went_bad)) {
                let probe = detect.probe.clone();
                return vec![if has_too_many_unknown(measures, &probe) { Reason::ImpactUnseen { probe } } else { Reason::NoImpact { probe } }];
            }
        }
    }
    if !unfinished(state, plan).is_empty() {
        return reasons;
    }
    for criterion in &measures.criteria {
        let (measure, subject) = (criterion.measure, criterion.subject.clone());
        match criterion.judgement {
            Judgement::Indeterminate if criterion.doubt == Some(Doubt::Samples) => reasons.push(Reason::Unseen { measure, subject }),
            Judgement::Indeterminate => reasons.push(Reason::Indeterminate { measure, subject }),
            Judgement::NotTested => reasons.push(Reason::NotTested { measure, subject }),
            Judgement::Met | Judgement::NotMet => {}
        }
    }
    let unsure = unsure_recoveries(state, failover_until(state)).into_iter().filter(|probe| has_too_many_unknown(measures, probe));
    reasons.extend(unsure.map(|probe| Reason::RecoveryUnseen { probe: probe.clone() }));
    reasons
}

/// Runs that the engine ended before there was anything to judge.
fn unfinished(state: &RunState, plan: &Plan) -> Vec<Reason> {
    if plan.steady_state.is_some()
        && state.stage_began(Stage::SteadyState).is_some()
        && state.stage_began(Stage::Inject).is_none()
        && plan.fault.is_some()
    {
        return vec![Reason::NoSteadyState];
    }
    if let Some(stop) = state.stop().filter(|_| state.stage_began(Stage::Verify).is_none()) {
        return vec![Reason::Stopped { by: stop.by.clone(), why: stop.why.clone() }];
    }
    if state.stage_began(Stage::Failover).is_none() { vec![Reason::Unfinished] } else { Vec::new() }
}
