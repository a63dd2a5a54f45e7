//! The verdict. The first rule that applies wins: fail, aborted, inconclusive, pass.

use std::collections::BTreeSet;
use std::fmt;

use super::criteria::has_too_many_unknown;
use super::phases::{is_verified, unsure_recoveries};
use super::standing::accepted;
use super::{Doubt, Judgement, Measure, Measures, failover_until};
use crate::model::event::Event;
use crate::model::event::run::{Awaited, Difference, Lacking, all_of};
use crate::model::failure::FailureKind;
use crate::model::ids::Part;
use crate::model::order::Order;
use crate::model::plan::{Mode, OnFailure, Plan, ProbeState, Stage, Verdict};
use crate::model::state::{FAULT, Intent, ProbeStanding, RunState, Status, StepState, undo};
use crate::model::target::Target;

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
    NotRecovered {
        /// The probes that showed it; none in a journal that does not say.
        lacking: Vec<Lacking>,
    },
    /// All was done, but nothing shows that the service is good since then, nor that it is not.
    RecoveryUnseen {
        /// The probes that could not tell.
        lacking: Vec<Lacking>,
    },
    /// Everything was put back, but nothing shows that all is as usual since then, nor that it is not.
    NormalUnseen {
        /// The probes that could not tell.
        lacking: Vec<Lacking>,
    },
    /// What was changed is not put back.
    Leftover {
        /// The step's key.
        step: String,
        /// Why not.
        why: String,
    },
    /// What was changed is not put back, and a person took what is there as it is.
    Accepted {
        /// The step's key.
        step: String,
        /// Who, why, and what was there.
        why: String,
    },
    /// What the run keeps is not as it made it.
    Moved {
        /// The step's key.
        step: String,
        /// What moved.
        why: String,
    },
    /// What the run keeps could not be read once more before the verdict.
    NotReadAgain {
        /// The step's key.
        step: String,
        /// Why not.
        why: String,
    },
    /// A service went down when the failover that served it was taken back, or is down since.
    WentDown {
        /// Its probe.
        probe: String,
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
    RecoveryUnsure {
        /// The probe that misses them.
        probe: String,
    },
    /// The probe that should have noticed the fault misses too many of its samples.
    ImpactUnseen {
        /// Which.
        probe: String,
    },
    /// No objective is set: whatever was measured, there is nothing to hold it against.
    NoObjective,
    /// The scenario does not say which probe must notice the fault.
    NoDetection,
    /// The scenario does not say what recovery is.
    NoRecovery,
    /// Nothing was confirmed down when an emergency began, nor later; single bad samples do not confirm.
    NothingDown,
    /// A service that was down in an emergency still is.
    StillDown {
        /// Its probe.
        probe: String,
    },
    /// No step of the failover succeeded.
    NothingDone,
    /// No step of the failover was run.
    NothingRun,
    /// Every step of the failover that was to change something failed, and others were done: what recovered was not its work.
    NothingChanged,
    /// A person did without a step that the runbook cannot do without.
    DidWithout {
        /// Its key.
        step: String,
        /// Who.
        by: String,
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
            Self::NotRecovered { lacking } if lacking.is_empty() => f.write_str("the service was not stable again within the time allowed"),
            Self::NotRecovered { lacking } => write!(f, "the service was not stable again within the time allowed: {}", all_of(lacking)),
            Self::RecoveryUnseen { lacking } => write!(f, "whether the service recovered was not seen: {}", all_of(lacking)),
            Self::NormalUnseen { lacking } => write!(f, "whether the steady state returned was not seen: {}", all_of(lacking)),
            Self::Leftover { step, why } => write!(f, "{step} is not put back: {why}"),
            Self::Accepted { step, why } => write!(f, "what is there of {step} is {why}"),
            Self::Moved { step, why } => write!(f, "what {step} made was changed since: {why}"),
            Self::NotReadAgain { step, why } => write!(f, "not known whether what {step} made is still there: {why}"),
            Self::WentDown { probe } => write!(f, "{probe} was down when the failover was taken back, or is since"),
            Self::NotNormal { probe } => write!(f, "the steady state did not return: {probe} is bad at the end"),
            Self::Earlier { text } => f.write_str(text),
            Self::Stopped { by, why } => write!(f, "stopped by {by}: {why}"),
            Self::NoSteadyState => f.write_str("the steady state was not reached, nothing was injected"),
            Self::Unfinished => f.write_str("the run ended before its recovery was over"),
            Self::NoFault { why } => write!(f, "the fault was not injected: {why}"),
            Self::NoImpact { probe } => write!(f, "the fault was injected but {probe} never went bad"),
            Self::Indeterminate { measure, subject } => write!(f, "cannot be told: {measure} of {subject} lies inside the bounds of the measurement"),
            Self::NotTested { measure, subject } => write!(f, "not tested: {measure} of {subject}"),
            Self::NoObjective => f.write_str("there is nothing to judge by: no RTO and no RPO is set"),
            Self::NoDetection => f.write_str("whether the fault was noticed was not tested: the scenario has no `detect`"),
            Self::NoRecovery => f.write_str("recovery was not tested: the scenario has no `recovered`"),
            Self::NothingDown => f.write_str("there is nothing to judge: no probe was confirmed down"),
            Self::StillDown { probe } => write!(f, "{probe} was down and still is"),
            Self::NothingDone => f.write_str("no step of the failover succeeded"),
            Self::NothingRun => f.write_str("no step of the failover was run"),
            Self::NothingChanged => f.write_str("the failover changed nothing: every step that was to change something failed"),
            Self::DidWithout { step, by } => write!(f, "the runbook was not tested as written: {by} did without {step}"),
            Self::Unseen { measure, subject } => {
                write!(f, "cannot be told: {measure} of {subject}: too many samples are missing; had all of them been bad, it would not be met")
            }
            Self::RecoveryUnsure { probe } => {
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
        if is_unproved(state, step) {
            return Some(
                "a change of it was accepted, but neither was its effect ever seen nor was there anything to put back: look for yourself".to_owned(),
            );
        }
        if let Some(failure) = step.undo_failure.as_ref().filter(|_| step.status == Status::UndoFailed) {
            return Some(failure.to_string());
        }
        let by_choice = Part::Failback.has(key) || (key != FAULT && step.status != Status::Undoing && (leaves || taken_back));
        (step.is_held() && !by_choice && (key == FAULT || step.may_have_changed()))
            .then(|| if step.status == Status::Undoing { "putting it back did not end".to_owned() } else { "nothing put it back".to_owned() })
    };
    state.ordered().into_iter().filter_map(|(key, step)| left(key, step).map(|why| (key.to_owned(), why))).collect()
}

/// Whether nothing tells that a step was put back: its change was accepted, nobody saw its effect in the time it had, and undo found nothing to do.
fn is_unproved(state: &RunState, step: &StepState) -> bool {
    let accepted = |undo: bool| step.calls.iter().any(|call| call.undo == undo && call.call.mutating && call.call.outcome == "ok");
    let unseen = step.attempt_failures.iter().any(|(_, failure)| failure.kind == FailureKind::Timeout);
    // Of an undo whose owner died the journal may lack the calls.
    let died = |at| state.resumed.iter().any(|takeover| !takeover.reopened && takeover.at >= at);
    let is_whole = !step.lost && step.found.is_none() && !step.undoing.is_some_and(died);
    step.status == Status::Undone && step.undone_already && !step.applied && unseen && is_whole && accepted(false) && !accepted(true)
}

/// Everything that is not as it was before the run although it should be, by key, with what is there: what is not put back, and what reads otherwise.
#[must_use]
pub fn differs(state: &RunState) -> Vec<(String, String)> {
    let mut left = leftovers(state);
    // What the clouds themselves read as says more than that every undo was accepted. New addresses of machines that were stopped are announced by the plan.
    let differences = state.baseline.iter().flat_map(|baseline| &baseline.differences);
    // What reads otherwise because of what a person took as it is, they have taken too.
    let accepted: BTreeSet<String> = state.accepted().filter_map(|(key, _)| state.step(key)?.intent.as_ref()).flat_map(names).collect();
    let is_accepted = |one: &Difference| {
        let read = state.snapshot.get(&one.step).map(|read| Target::keys(&read.targets)).unwrap_or_default();
        state.step(&one.step).is_some_and(|step| step.status == Status::Accepted) || (!read.is_empty() && read.is_subset(&accepted))
    };
    let unsaid: Vec<&Difference> =
        differences.filter(|one| !one.what.starts_with("addresses") && left.iter().all(|(step, _)| *step != one.step) && !is_accepted(one)).collect();
    left.extend(unsaid.into_iter().map(|one| (one.step.clone(), told(one))));
    left
}

fn names(intent: &Intent) -> BTreeSet<String> {
    Target::keys(&intent.targets)
}

/// A difference in one line.
fn told(one: &Difference) -> String {
    match one.what.as_str() {
        _ if one.is_unread() => one.after.clone(),
        "" => format!("it was {}, is {}", one.before, one.after),
        what => format!("{what} was {}, is {}", one.before, one.after),
    }
}

/// The services that went down when what a run had kept on purpose was taken back, or are down after it. One that was down before and is good now is none.
#[must_use]
pub fn gone_down(state: &RunState) -> Vec<&str> {
    let Some(plan) = state.plan() else { return Vec::new() };
    let is_emergency = plan.mode == Mode::Emergency;
    let takeover = state.resumed.iter().rfind(|takeover| takeover.to == "abort" && (takeover.reopened || is_emergency));
    let order = state.stops.iter().find(|stop| stop.abort && is_emergency);
    let is_down = |standing: &ProbeStanding| {
        let Some(since) = takeover.map(|takeover| takeover.at).or(order.map(|stop| stop.at)) else { return false };
        let (earlier, own): (Vec<_>, Vec<_>) = standing.changes.iter().partition(|(_, at)| *at < since);
        // A new process sees everything for the first time.
        let before = earlier.last().filter(|_| takeover.is_none()).map(|(to, _)| *to);
        let states: Vec<ProbeState> = before.into_iter().chain(own.iter().map(|(to, _)| *to)).collect();
        let went = states.windows(2).any(|pair| pair == [ProbeState::Good, ProbeState::Bad]);
        went || (standing.is_current() && standing.confirmed == Some(ProbeState::Bad))
    };
    let services = plan.probes.iter().filter(|probe| probe.service).map(|probe| probe.id.as_str());
    services.filter(|id| state.probes.get(*id).is_some_and(is_down)).collect()
}

/// Whether every step of the failback was done, or skipped by its own condition.
#[must_use]
pub fn failback_done(state: &RunState) -> bool {
    undo::went_well(&state.way_back())
}

fn failures(state: &RunState, plan: &Plan, measures: &Measures, stopped: bool) -> Vec<Reason> {
    let missed = measures.criteria.iter().filter(|criterion| criterion.judgement == Judgement::NotMet);
    let mut reasons: Vec<Reason> =
        missed.map(|criterion| Reason::Missed { measure: criterion.measure, subject: criterion.subject.clone() }).collect();
    for (key, step) in state.ordered() {
        let Some(failure) = step.failure.as_ref().filter(|failure| failure.kind != FailureKind::Cancelled && is_required(state, key)) else {
            continue;
        };
        // The items of a repeated step say themselves why, and whether they were only cut off.
        if state.items(key).next().is_some() {
            continue;
        }
        reasons.push(Reason::StepFailed { step: key.to_owned(), why: failure.to_string() });
    }
    if reasons.is_empty() && !stopped {
        reasons.extend(came_to_nothing(state).filter(|reason| *reason == Reason::NothingDone));
        reasons.extend(still_down(state, plan, measures));
    }
    let until = failover_until(state);
    let in_vain = state.unseen(Awaited::Recovery).map(|unseen| unseen.lacking.clone()).unwrap_or_default();
    // What only nobody could tell is no failure, and no success.
    let is_unknown = !in_vain.is_empty() && in_vain.iter().all(|lacking| lacking.why.is_unknown());
    if reasons.is_empty()
        && !stopped
        && !is_unknown
        && state.stage_began(Stage::Verify).is_some_and(|begun| begun < until)
        && !is_verified(state, until)
    {
        reasons.push(Reason::NotRecovered { lacking: in_vain });
    }
    reasons.extend(differs(state).into_iter().map(|(step, why)| Reason::Leftover { step, why }));
    reasons.extend(state.accepted().map(|(step, acceptance)| Reason::Accepted { step: step.to_owned(), why: accepted(acceptance) }));
    let moved = state.kept.iter().flat_map(|kept| &kept.moved).filter(|one| !one.is_unread());
    reasons.extend(moved.map(|one| Reason::Moved { step: one.step.clone(), why: told(one) }));
    reasons.extend(gone_down(state).into_iter().map(|probe| Reason::WentDown { probe: probe.to_owned() }));
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
    let missed = missed_at_the_end(state).filter(|lacking| !lacking.why.is_unknown()).map(|one| Reason::NotNormal { probe: one.probe.clone() });
    let missed: Vec<Reason> = missed.filter(|reason| !reasons.contains(reason)).collect();
    reasons.extend(missed);
    reasons
}

/// The probes that were waited for in vain after everything was put back, and were not seen to become good later.
fn missed_at_the_end(state: &RunState) -> impl Iterator<Item = &Lacking> {
    let came_late = |probe: &str, at| {
        let standing = state.probes.get(probe);
        standing.is_some_and(|standing| standing.changes.iter().any(|(to, changed)| *to == ProbeState::Good && *changed > at))
    };
    state.unseen(Awaited::Normal).into_iter().flat_map(move |unseen| unseen.lacking.iter().filter(move |one| !came_late(&one.probe, unseen.at)))
}

/// Whether the run cannot do without a step: critical, or its failure stops the runbook. The fault is judged elsewhere.
fn is_required(state: &RunState, key: &str) -> bool {
    state.planned(key).is_some_and(|step| step.critical || step.on_failure != OnFailure::Continue)
}

/// A stop by anything but the engine, before the cleaning up that ends every run; or a takeover, which only takes back.
fn stopped_by_someone(state: &RunState) -> Option<Reason> {
    let cleaned = state.stage_began(Stage::Cleanup);
    // Later an abort only hastens what happens anyway; a stop leaves it undone, and nobody looks any more.
    let mut stops = state.stops.iter().filter(|stop| stop.by != "engine" && (!stop.abort || cleaned.is_none_or(|cleaned| stop.at <= cleaned)));
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
    let unread = state.kept.iter().flat_map(|kept| &kept.moved).filter(|one| one.is_unread());
    reasons.extend(unread.map(|one| Reason::NotReadAgain { step: one.step.clone(), why: one.after.clone() }));
    if !unfinished(state, plan).is_empty() {
        return reasons;
    }
    reasons.extend(untested(state, plan, measures));
    if let Some(unseen) = state.unseen(Awaited::Recovery) {
        reasons.push(Reason::RecoveryUnseen { lacking: unseen.lacking.clone() });
    }
    let lacking: Vec<Lacking> = missed_at_the_end(state).cloned().collect();
    if !lacking.is_empty() {
        reasons.push(Reason::NormalUnseen { lacking });
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
    reasons.extend(unsure.map(|probe| Reason::RecoveryUnsure { probe: probe.clone() }));
    reasons
}

/// What a pass would claim and nothing has shown: objectives, that the fault was noticed, that the service recovered, that the runbook works as written.
fn untested(state: &RunState, plan: &Plan, measures: &Measures) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if plan.fault.is_some() {
        if !plan.objectives.values().any(|objective| objective.rto.is_some() || objective.rpo.is_some()) {
            reasons.push(Reason::NoObjective);
        }
        reasons.extend(plan.detect.is_none().then_some(Reason::NoDetection));
        reasons.extend(plan.recovered.is_none().then_some(Reason::NoRecovery));
    } else if measures.outages.is_empty() && !is_judged_by_steps(state, plan, measures) {
        reasons.push(Reason::NothingDown);
    }
    reasons.extend(came_to_nothing(state).filter(|reason| *reason != Reason::NothingDone));
    reasons.extend(state.orders.iter().filter_map(|steered| match &steered.order {
        Order::Skip { step } if is_required(state, step) && state.step(step).is_some_and(|step| !step.applied) => {
            Some(Reason::DidWithout { step: step.clone(), by: steered.by.clone() })
        }
        _ => None,
    }));
    reasons
}

/// What actions are called that only look whether something is so.
const CHECKS: &str = "check.";

/// Whether a runbook without a fault and without any probe, which claims nothing of a service, has shown something all the same: what it changed was read
/// again and is there, it was read as asked before it was changed, its checks held, or its data was compared.
fn is_judged_by_steps(state: &RunState, plan: &Plan, measures: &Measures) -> bool {
    let checks = |key: &str| state.planned(key).is_some_and(|step| step.uses.starts_with(CHECKS));
    let held = |(key, step): (&str, &StepState)| step.applied && (checks(key) || (step.already && step.intent.is_some()));
    let is_kept = state.kept.as_ref().is_some_and(|kept| !kept.same.is_empty());
    is_unwatched(plan) && (is_kept || !measures.criteria.is_empty() || state.ordered().into_iter().any(held))
}

/// Whether no probe watched a run that injects nothing: it is judged by its steps alone, and nothing is said of a service.
#[must_use]
pub fn is_unwatched(plan: &Plan) -> bool {
    plan.fault.is_none() && plan.probes.is_empty()
}

/// What is said of such a run.
pub const UNWATCHED: &str = "no probe watched a service: judged by its steps alone";

/// A failover that is over and of which no step was done, or none that changes anything, whatever its file says of their failures.
fn came_to_nothing(state: &RunState) -> Option<Reason> {
    let steps = || state.steps.iter().filter(|(key, _)| Part::Failover.has(key)).map(|(_, step)| step);
    if steps().next().is_none() || steps().any(|step| !step.is_settled()) {
        return None;
    }
    let failed = steps().any(|step| step.failure.is_some());
    let is_work = |step: &StepState| step.applied && (step.intent.is_some() || !step.irrevocable.is_empty());
    match steps().any(|step| step.applied) {
        false if failed => Some(Reason::NothingDone),
        false => Some(Reason::NothingRun),
        true => (failed && !steps().any(is_work)).then_some(Reason::NothingChanged),
    }
}

/// The services that were down in an emergency and were not good when it ended. Those of one side only are no services (`service: false`).
fn still_down(state: &RunState, plan: &Plan, measures: &Measures) -> Vec<Reason> {
    if plan.fault.is_some() || state.stage_began(Stage::Verify).is_none() {
        return Vec::new();
    }
    let is_down = |probe: &&crate::model::plan::ProbePlan| probe.service && measures.outages.get(&probe.id).is_some_and(|outage| outage.up.is_none());
    plan.probes.iter().filter(is_down).map(|probe| Reason::StillDown { probe: probe.id.clone() }).collect()
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

#[cfg(test)]
mod tests;
