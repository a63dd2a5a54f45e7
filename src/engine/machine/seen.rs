//! What probes have shown since the last change.
//!
//! Recovery, the source side, the steady state and its return are seen by good samples that were *sent* after the last change, one of each probe at least.
//! A sample that could not tell is not good, and those after it are counted anew. What was good before a change says nothing about after it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Effect, Machine, Moment, Standing, Status};
use crate::model::event::RunEvent;
use crate::model::event::run::{Awaited, Lack, Lacking};
use crate::model::plan::{Plan, ProbeState};
use crate::model::time::Span;

/// What is kept of probes that are waited for.
#[derive(Debug)]
pub(super) struct Seen {
    /// When something was changed last, or may have been.
    changed: Moment,
    /// The time between two samples of each probe of the plan.
    every: BTreeMap<String, Duration>,
    waits: BTreeMap<String, Wait>,
}

/// A probe that was good all the while: somebody must say when its next good sample was.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// What the samples must come after.
    after: Moment,
    /// The first good one after it that is known: when it was sent and when it was done.
    first: Option<(Moment, Moment)>,
    /// For which moment the watch was asked last.
    asked: Moment,
}

/// Whether a probe has been good for long enough.
pub(super) enum Proof {
    Is,
    /// If nothing else is heard of it until then.
    At(Moment),
    /// If it has a good sample that was sent then or later.
    Sample(Moment),
    Lacks,
}

impl Seen {
    pub(super) fn of(plan: &Plan) -> Self {
        let every = plan.probes.iter().map(|probe| (probe.id.clone(), probe.every.duration())).collect();
        Self { changed: Moment::ZERO, every, waits: BTreeMap::new() }
    }

    /// Takes down what became known of a probe.
    pub(super) fn note(&mut self, probe: &str, standing: &Standing) {
        let (Some(wait), Some(good)) = (self.waits.get_mut(probe), standing.good) else { return };
        if good.last_sent >= wait.after {
            // One from before a bad or unknown sample counts no more.
            let first = wait.first.filter(|(sent, _)| *sent >= good.first_sent);
            wait.first = first.or(Some((good.last_sent, good.last_done)));
        }
    }

    /// Whether a probe has been good for `span`, by samples sent after the last change. Between two samples nothing is known: the latest may be as old as the
    /// time between two.
    fn proof(&self, probe: &str, standing: Option<&Standing>, span: Duration, now: Moment) -> Proof {
        let Some(good) = standing.filter(|standing| standing.state == Some(ProbeState::Good)).and_then(|standing| standing.good) else {
            return Proof::Lacks;
        };
        let first = if good.first_sent >= self.changed {
            Some((good.first_sent, good.since))
        } else {
            self.waits.get(probe).filter(|wait| wait.after == self.changed).and_then(|wait| wait.first).filter(|(sent, _)| *sent >= good.first_sent)
        };
        let Some((sent, done)) = first else { return Proof::Sample(self.changed) };
        let last = sent + span.saturating_sub(self.every.get(probe).copied().unwrap_or_default());
        match done + span {
            at if now < at => Proof::At(at),
            _ if good.last_sent < last => Proof::Sample(last),
            _ => Proof::Is,
        }
    }

    /// Whether the watch is still to be asked for a good sample sent at `from` or later.
    fn is_to_ask(&mut self, probe: &str, from: Moment) -> bool {
        let after = self.changed;
        match self.waits.get_mut(probe).filter(|wait| wait.after == after) {
            Some(wait) if wait.asked == from => false,
            Some(wait) => {
                wait.asked = from;
                true
            }
            None => {
                self.waits.insert(probe.to_owned(), Wait { after, first: None, asked: from });
                true
            }
        }
    }
}

impl Machine {
    /// What `key` did has ended, in one way or another: unless nothing was to be done, samples count from here on only.
    pub(super) fn may_have_changed(&mut self, key: &str, is_already: bool) {
        if !is_already && self.steps.get(key).is_some_and(|step| step.mutates || step.lasting) {
            self.seen.changed = self.seen.changed.max(self.now);
        }
    }

    /// What a step that failed has sent may still arrive: what is seen before that cannot be any more is not what is left.
    pub(super) fn wait_out_what_failed(&mut self) {
        let failed = self.steps.with_late().filter(|(_, step)| step.mutates && matches!(step.status(), Status::Failed | Status::Skipped));
        self.seen.changed = failed.filter_map(|(_, step)| step.late()).fold(self.seen.changed, Moment::max);
    }

    /// Whether a probe has been good for `span` since the last change; asks the watch for the sample that would show it.
    pub(super) fn proof(&mut self, probe: &str, span: Duration) -> Proof {
        loop {
            match self.seen.proof(probe, self.probes.get(probe), span, self.now) {
                Proof::Sample(after) if self.seen.is_to_ask(probe, after) => {
                    self.effects.push(Effect::Ask { probe: probe.to_owned(), after });
                    // What the watch would answer may be known already, and then is no news.
                    if let Some(standing) = self.probes.get(probe) {
                        self.seen.note(probe, standing);
                    }
                }
                proof => return proof,
            }
        }
    }

    /// When something was changed last, or may have been.
    pub(super) const fn changed(&self) -> Moment {
        self.seen.changed
    }

    /// Which of these probes have not been good for `span` since the last change, and why that cannot be said of them.
    pub(super) fn lacking(&self, probes: &[String], span: Duration) -> Vec<Lacking> {
        let lack = |probe: &String| {
            let standing = self.probes.get(probe);
            let detail = standing.map(|standing| standing.detail.clone()).unwrap_or_default();
            let (why, detail) = match (self.seen.proof(probe, standing, span, self.now), standing) {
                (Proof::Is, _) => return None,
                (Proof::Sample(from), _) if from == self.seen.changed => (Lack::Unsampled, self.pace(probe)),
                (Proof::At(_) | Proof::Sample(_), _) => (Lack::Brief, String::new()),
                (Proof::Lacks, None) => (Lack::Unsampled, self.pace(probe)),
                (Proof::Lacks, Some(standing)) if standing.good.is_some() => (Lack::Brief, String::new()),
                (Proof::Lacks, Some(standing)) if standing.is_unread => (Lack::Unread, detail),
                (Proof::Lacks, Some(_)) => (Lack::Bad, detail),
            };
            Some(Lacking { probe: probe.clone(), why, detail })
        };
        probes.iter().filter_map(lack).collect()
    }

    fn pace(&self, probe: &str) -> String {
        self.seen.every.get(probe).map(|every| Span::from(*every).to_string()).unwrap_or_default()
    }

    /// Records that what was waited for was not seen in time.
    pub(super) fn unseen(&mut self, awaited: Awaited, within: Span, probes: &[String], span: Duration) {
        let lacking = self.lacking(probes, span);
        self.record_run(RunEvent::Unseen { awaited, within, lacking });
    }
}
