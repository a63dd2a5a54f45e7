//! What people did in a run, and how long it waited for them: told apart from the time of the machine.

use std::collections::BTreeMap;

use crate::model::event::step::StepKind;
use crate::model::event::{Body, Event, RunEvent, StepEvent};
use crate::model::failure::FailureKind;
use crate::model::order::{Order, Question, Witness};
use crate::model::plan::Plan;
use crate::model::time::{Span, Timestamp};

/// Who asks for a stop without being anybody.
const NOBODY: [&str; 7] = ["engine", "stop-condition", "lease", "precheck", "budget", "recovery", "journal"];

/// What people did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// In order.
    pub acts: Vec<Act>,
    /// Nanoseconds from the first event to the last.
    pub total: i64,
    /// Those in which the run waited for at least one person: an answer, a failed step to be mended, the end of a pause.
    pub waited: i64,
    /// Those in which no process ran it.
    pub left: i64,
}

impl People {
    /// Nanoseconds in which neither anybody was waited for nor the run was left.
    #[must_use]
    pub const fn machine(&self) -> i64 {
        self.total - self.waited - self.left
    }
}

/// One thing that somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Number of the event.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
    /// The step that it is about.
    pub step: Option<String>,
    /// Who; empty = nobody.
    pub by: String,
    /// What they said about it.
    pub said: String,
    /// Nanoseconds in which they were waited for.
    pub waited: Option<i64>,
    /// Whether the rehearsal did it by itself.
    pub simulated: bool,
    /// From whom an answer really came.
    pub witness: Witness,
}

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Said yes to an approval.
    Approved,
    /// Said that a manual step is done.
    DidByHand,
    /// Said no.
    SaidNo,
    /// Did not answer in time.
    KeptSilent,
    /// Paused the run.
    Paused,
    /// Let it go on.
    WentOn,
    /// Did without a step.
    Skipped,
    /// Tried a failed step again.
    Retried,
    /// Gave the source side up.
    GaveSourceUp,
    /// Asked for a stop.
    Stopped,
    /// Asked for an abort.
    Aborted,
    /// Took the run over to go on with it.
    Resumed,
    /// Took the run over to take back what it left.
    TookBack,
    /// Took what is there of a step as it is.
    Accepted,
}

/// What people did in the run of these events.
#[must_use]
pub fn people(events: &[Event]) -> People {
    let mut seen = Attendance::default();
    events.iter().for_each(|event| seen.take(event));
    if let Some(last) = seen.last {
        seen.close_all(last);
    }
    let Attendance { acts, spans, left, begun, last, .. } = seen;
    let total = begun.zip(last).map_or(0, |(begun, last)| last.nanos_since(begun));
    People { acts, total, waited: union(spans), left }
}

#[derive(Default)]
struct Attendance {
    acts: Vec<Act>,
    /// When people were waited for.
    spans: Vec<(Timestamp, Timestamp)>,
    plan: Option<Box<Plan>>,
    begun: Option<Timestamp>,
    last: Option<Timestamp>,
    left: i64,
    /// What steps ask, since when, and how many have said yes.
    open: BTreeMap<String, (Timestamp, Question, u32)>,
    /// Failed steps that wait for a person.
    broken: BTreeMap<String, Timestamp>,
    paused: Option<Timestamp>,
    stopped: bool,
}

impl Attendance {
    fn take(&mut self, event: &Event) {
        let at = event.at;
        // What may be waited for no longer ends by itself.
        let patience = self.plan.as_ref().map_or(Span::default(), |plan| plan.limits.patience).duration();
        let over: Vec<(String, Timestamp)> =
            self.broken.iter().map(|(step, from)| (step.clone(), from.plus(patience))).filter(|(_, until)| *until < at).collect();
        for (step, until) in over {
            self.mended(&step, until);
        }
        match &event.body {
            Body::Run(body) => self.run(event, body),
            Body::Step(StepEvent { step, kind }) => self.step(event, step, kind),
            _ => {}
        }
        self.last = Some(at);
    }

    fn run(&mut self, event: &Event, body: &RunEvent) {
        let at = event.at;
        match body {
            RunEvent::Started { plan, .. } => {
                self.begun = Some(at);
                self.plan = Some(plan.clone());
            }
            RunEvent::Resumed { to, by, patience, .. } => {
                if let Some((plan, patience)) = self.plan.as_mut().zip(*patience) {
                    plan.limits.patience = patience;
                }
                let was_paused = self.paused.is_some();
                let left = self.last.unwrap_or(at);
                self.close_all(left);
                self.paused = was_paused.then_some(at);
                let gap = at.nanos_since(left);
                self.left += gap;
                // Whoever goes on with a run that had ended leaves its end behind.
                self.stopped &= to != "resume";
                let deed = match to.as_str() {
                    "resume" => Deed::Resumed,
                    // What was accepted is the act.
                    "accept" => return,
                    _ => Deed::TookBack,
                };
                self.act(event, deed, None, by, "", Some(gap));
            }
            RunEvent::Ordered { order, by, why } => self.ordered(event, order, by, why),
            RunEvent::StopRequested { abort, why, by } => {
                self.stopped = true;
                self.close_all(at);
                if !NOBODY.contains(&by.as_str()) {
                    self.act(event, if *abort { Deed::Aborted } else { Deed::Stopped }, None, by, why, None);
                }
            }
            RunEvent::Ended { .. } => self.close_all(at),
            _ => {}
        }
    }

    fn ordered(&mut self, event: &Event, order: &Order, by: &str, why: &str) {
        let at = event.at;
        let (deed, step, waited) = match order {
            Order::Pause => {
                self.paused = Some(at);
                (Deed::Paused, None, None)
            }
            Order::Unpause => (Deed::WentOn, None, self.unpaused(at)),
            Order::Skip { step } => (Deed::Skipped, Some(step), self.mended(step, at)),
            Order::Retry { step } => (Deed::Retried, Some(step), self.mended(step, at)),
            Order::Ungraceful => (Deed::GaveSourceUp, None, None),
            Order::Stop | Order::Abort | Order::Answer { .. } => return,
        };
        self.act(event, deed, step.map(String::as_str), by, why, waited);
    }

    fn step(&mut self, event: &Event, step: &str, kind: &StepKind) {
        let at = event.at;
        match kind {
            StepKind::Asked { question } => drop(self.open.insert(step.to_owned(), (at, question.clone(), 0))),
            StepKind::Answered { yes, by, note, simulated, witness } => {
                let Some((from, question, agreed)) = self.open.get_mut(step) else { return };
                *agreed += u32::from(*yes);
                let (from, manual) = (*from, question.manual);
                let is_over = !yes || manual || *agreed >= question.approvers.max(1);
                let deed = match (yes, manual) {
                    (true, true) => Deed::DidByHand,
                    (true, false) => Deed::Approved,
                    (false, _) => Deed::SaidNo,
                };
                self.act(event, deed, Some(step), by, note, Some(at.nanos_since(from)));
                if let Some(act) = self.acts.last_mut() {
                    act.simulated = *simulated;
                    act.witness = witness.clone();
                }
                if is_over {
                    self.open.remove(step);
                    self.spans.push((from, at));
                }
            }
            StepKind::AttemptFailed { failure, .. } => {
                if let Some((from, ..)) = self.open.remove(step) {
                    self.spans.push((from, at));
                    if failure.kind == FailureKind::Timeout {
                        self.act(event, Deed::KeptSilent, Some(step), "", "", Some(at.nanos_since(from)));
                    }
                }
            }
            StepKind::Failed { failure } if failure.kind != FailureKind::Cancelled && self.may_be_mended(step) => {
                self.broken.insert(step.to_owned(), at);
            }
            StepKind::Accepted { by, why, .. } => self.act(event, Deed::Accepted, Some(step), by, why, None),
            StepKind::Skipped { .. } => {
                if let Some((from, ..)) = self.open.remove(step) {
                    self.spans.push((from, at));
                }
            }
            _ => {}
        }
    }

    /// Whether people are given time for a step that has failed.
    fn may_be_mended(&self, step: &str) -> bool {
        !self.stopped && self.plan.as_ref().is_some_and(|plan| plan.may_be_mended(step))
    }

    fn mended(&mut self, step: &str, at: Timestamp) -> Option<i64> {
        let from = self.broken.remove(step)?;
        self.spans.push((from, at));
        Some(at.nanos_since(from))
    }

    fn unpaused(&mut self, at: Timestamp) -> Option<i64> {
        let from = self.paused.take()?;
        self.spans.push((from, at));
        Some(at.nanos_since(from))
    }

    /// Nobody is waited for any more.
    fn close_all(&mut self, at: Timestamp) {
        let froms = std::mem::take(&mut self.open).into_values().map(|(from, ..)| from);
        self.spans.extend(froms.chain(std::mem::take(&mut self.broken).into_values()).chain(self.paused.take()).map(|from| (from, at)));
    }

    fn act(&mut self, event: &Event, deed: Deed, step: Option<&str>, by: &str, said: &str, waited: Option<i64>) {
        let (step, by, said) = (step.map(str::to_owned), by.to_owned(), said.to_owned());
        self.acts.push(Act { seq: event.seq, at: event.at, deed, step, by, said, waited, simulated: false, witness: Witness::default() });
    }
}

/// The time that lies in at least one of these spans.
fn union(mut spans: Vec<(Timestamp, Timestamp)>) -> i64 {
    spans.sort();
    let mut sum = 0;
    let mut until: Option<Timestamp> = None;
    for (from, to) in spans {
        let from = until.map_or(from, |until| until.max(from));
        sum += to.nanos_since(from).max(0);
        until = Some(until.map_or(to, |until| until.max(to)));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::samples;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn waiting_for_several_people_at_once_counts_once() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * SECOND);
        assert_eq!(union(vec![(at(5), at(9)), (at(1), at(3)), (at(2), at(4)), (at(6), at(7))]), 7 * SECOND);
        assert_eq!(union(Vec::new()), 0);
    }

    #[test]
    fn what_people_did_is_told_with_how_long_they_were_waited_for() {
        let People { acts, total, waited, left } = people(&samples::steered());
        let told: Vec<(Deed, Option<&str>, &str, Option<i64>)> =
            acts.iter().map(|act| (act.deed, act.step.as_deref(), act.by.as_str(), act.waited.map(|nanos| nanos / SECOND))).collect();
        let share = Some("failover/share-image");
        assert_eq!(
            told,
            [
                (Deed::Paused, None, "bob", None),
                (Deed::WentOn, None, "bob", Some(4)),
                (Deed::Approved, share, "bob", Some(6)),
                (Deed::SaidNo, share, "eve", Some(10)),
                (Deed::Retried, share, "mei", Some(5)),
                (Deed::Approved, share, "bob", Some(1)),
                (Deed::Approved, share, "dan", Some(3)),
                (Deed::KeptSilent, Some("failover/start-standby"), "", Some(9)),
                (Deed::Skipped, Some("failover/start-standby"), "mei", Some(2)),
                (Deed::Resumed, None, "carl", Some(20)),
                (Deed::GaveSourceUp, None, "carl", None),
                (Deed::Aborted, None, "signal", None),
            ]
        );
        // 4 of the 10 seconds of the first question the run was paused as well.
        assert_eq!((waited / SECOND, left / SECOND, total / SECOND), (10 + 5 + 3 + 9 + 2, 20, 80));
    }

    #[test]
    fn a_run_that_nobody_touched_waited_for_nobody() {
        let People { acts, waited, left, total } = people(&samples::success());
        assert_eq!((acts.len(), waited, left), (0, 0, 0));
        assert!(total > 0);
    }
}
