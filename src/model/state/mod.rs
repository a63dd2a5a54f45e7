//! The state of a run, folded from its events: what the engine continues from, what bars and reports show. Nobody computes it in another way.
//!
//! [`RunState::apply`] accepts only legal events; the table for steps is in [`step`]. What a newer Lifeboat wrote is refused before (`chain::verify`).

pub mod probe;
mod snapshot;
pub mod step;
pub mod undo;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::run::{Awaited, Difference, Lacking};
use super::event::step::StepKind;
use super::event::{Begun, Body, Event, KeptSamples, RunEvent, StepEvent};
use super::failure::FailureKind;
use super::forecast::Forecast;
use super::guard;
pub use super::ids::{FAULT, parent_of};
use super::ids::{Part, item_number};
use super::index::PlanIndex;
use super::order::Order;
use super::plan::{Mode, Plan, Stage, StepPlan, Verdict};
use super::time::Timestamp;
pub use probe::ProbeStanding;
pub use snapshot::{Snapshot, Snapshots};
pub use step::{Acceptance, Answer, Intent, Status, StepState};
use undo::{Changes, Intended, Undo, WayBack};
pub use words::StepWord;

/// Everything known of a run after some of its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// Its id; empty before the first event.
    pub run: String,
    /// Number of the last event, 0 before the first.
    pub seq: u64,
    /// Epoch of the last event.
    pub epoch: u64,
    /// When the last event happened.
    pub at: Option<Timestamp>,
    /// What the first event said.
    pub start: Option<Start>,
    /// Who took the run over, in order.
    pub resumed: Vec<Takeover>,
    /// The stages so far, with the time each began.
    pub stages: Vec<(Stage, Timestamp)>,
    /// The decision to fail over.
    pub decided: Option<Decision>,
    /// The requests to stop, in order.
    pub stops: Vec<StopRequest>,
    /// Every step of the plan and every item that was begun, by key.
    pub steps: BTreeMap<String, StepState>,
    /// Every probe of the plan, by id.
    pub probes: BTreeMap<String, ProbeStanding>,
    /// How the guards decided.
    pub guards: Vec<guard::Decision>,
    /// How people steered it, in order.
    pub orders: Vec<Steered>,
    /// Until when the fault may stand, as last said.
    pub lease_until: Option<Timestamp>,
    /// What was there before the run changed it.
    pub snapshot: Snapshots,
    /// What the snapshot read as after everything was taken back.
    pub baseline: Option<Baseline>,
    /// What the run keeps, as it was read before it was judged.
    pub kept: Option<Kept>,
    /// What was waited for and not seen in time, in order.
    pub unseen: Vec<Unseen>,
    /// What earlier runs let expect.
    pub forecast: Option<Forecast>,
    /// The files of single samples, one for each process that took some and ended well.
    pub samples: Vec<KeptSamples>,
    /// Notes for the report.
    pub notes: Vec<(Timestamp, String)>,
    /// How it ended.
    pub ended: Option<End>,
    /// How it had ended before it was taken up again to take back what it left.
    pub earlier_end: Option<End>,
    /// How many of the orders were given before it ended and was gone on with: they are history.
    past_orders: usize,
}

/// What the first event said.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// When.
    pub at: Timestamp,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Where its steps are.
    index: Arc<PlanIndex>,
    /// Digest of the plan's canonical JSON.
    pub plan_sha256: String,
    /// Version of Lifeboat.
    pub tool: String,
    /// Login name of whoever started it.
    pub operator: String,
    /// The machine.
    pub host: String,
    /// Bound of the wall clock's error.
    pub clock_error_ms: Option<f64>,
    /// By whom and where.
    pub begun: Option<Begun>,
}

/// Another process took the run over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// When.
    pub at: Timestamp,
    /// The epoch that began.
    pub epoch: u64,
    /// `resume`, `abort` or `accept`.
    pub to: String,
    /// Whether the run had ended before: what was judged then stands.
    pub reopened: bool,
    /// When the former owner's last event happened: nobody looked after that.
    pub left: Option<Timestamp>,
}

impl Takeover {
    /// Whether it goes on with what the run was doing; else it takes back, or accepts, what the run left.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.to == "resume"
    }
}

/// The failover was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// `automation`, or who.
    pub by: String,
    /// On what ground.
    pub basis: String,
}

/// Somebody or something wants the run to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// When.
    pub at: Timestamp,
    /// Whether to undo everything.
    pub abort: bool,
    /// Why.
    pub why: String,
    /// `signal`, `stop-condition`, `lease` or `engine`.
    pub by: String,
}

/// A person steered the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// When.
    pub at: Timestamp,
    /// What was asked and done.
    pub order: Order,
    /// Who asked.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What was waited for was not seen in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// When it was given up.
    pub at: Timestamp,
    /// What.
    pub of: Awaited,
    /// The probes that did not show it.
    pub lacking: Vec<Lacking>,
}

/// What the snapshots read as after everything was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// When.
    pub at: Timestamp,
    /// Keys of the steps whose things are as they were.
    pub same: Vec<String>,
    /// What is not as it was.
    pub differences: Vec<Difference>,
}

/// What the run keeps, read once more before it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When.
    pub at: Timestamp,
    /// Keys of the steps whose things are as they were made.
    pub same: Vec<String>,
    /// What is not as it was made, or could not be read.
    pub moved: Vec<Difference>,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub verdict: Verdict,
    /// Why, most important first.
    pub reasons: Vec<String>,
}

/// An event that cannot follow what came before it: the journal is not one that an engine wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} cannot follow: {why}")]
pub struct IllegalEvent {
    /// Its number.
    pub seq: u64,
    /// What is wrong about it.
    pub why: String,
}

impl RunState {
    /// The state after `events`.
    ///
    /// # Errors
    /// The first event that is not legal.
    pub fn from_events(events: &[Event]) -> Result<Self, IllegalEvent> {
        let mut state = Self::default();
        events.iter().try_for_each(|event| state.apply(event))?;
        Ok(state)
    }

    /// Takes the next event in. An illegal one leaves the state as it was.
    ///
    /// # Errors
    /// When the event's number is not the next, when it precedes the first or follows the last event, or when it is about a step that cannot make that transition.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        let illegal = |why: String| IllegalEvent { seq: event.seq, why };
        if event.seq != self.seq + 1 {
            return Err(illegal(format!("the one before it was {}", self.seq)));
        }
        // What an ended run left in place, an emergency's steps above all, may be taken back later by a new owner.
        if self.ended.is_some() && !matches!(event.body, Body::Run(RunEvent::Resumed { .. })) {
            return Err(illegal("the run has ended".to_owned()));
        }
        let first = matches!(event.body, Body::Run(RunEvent::Started { .. }));
        if first != self.start.is_none() {
            return Err(illegal(if first { "the run has already started" } else { "the run has not started" }.to_owned()));
        }
        if !first && event.run != self.run {
            return Err(illegal(format!("it belongs to run {}", event.run)));
        }
        let takeover = matches!(event.body, Body::Run(RunEvent::Resumed { .. }));
        if !first && (event.epoch < self.epoch || (event.epoch > self.epoch) != takeover) {
            return Err(illegal(format!("its epoch is {}, the one before it had {}", event.epoch, self.epoch)));
        }
        match &event.body {
            Body::Run(body) => self.apply_run(event, body).map_err(illegal)?,
            Body::Step(body) => self.apply_step(event, body).map_err(illegal)?,
            Body::Probe(body) => match self.probes.get_mut(&body.probe) {
                Some(standing) => standing.apply(event.at, &body.kind),
                None => return Err(illegal(format!("the plan has no probe `{}`", body.probe))),
            },
        }
        self.seq = event.seq;
        self.epoch = event.epoch;
        self.at = Some(event.at);
        Ok(())
    }

    fn apply_run(&mut self, event: &Event, body: &RunEvent) -> Result<(), String> {
        let at = event.at;
        match body {
            RunEvent::Started { plan, plan_sha256, tool, operator, host, clock_error_ms, begun } => {
                self.run.clone_from(&event.run);
                self.probes = plan.probes.iter().map(|probe| (probe.id.clone(), ProbeStanding::default())).collect();
                self.steps = step_keys(plan).map(|key| (key, StepState::default())).collect();
                self.start = Some(Start {
                    at,
                    plan: Arc::new((**plan).clone()),
                    index: Arc::new(PlanIndex::of(plan)),
                    plan_sha256: plan_sha256.clone(),
                    tool: tool.clone(),
                    operator: operator.clone(),
                    host: host.clone(),
                    clock_error_ms: *clock_error_ms,
                    begun: begun.clone(),
                });
            }
            RunEvent::Resumed { to, patience, .. } => {
                if let Some((start, patience)) = self.start.as_mut().zip(*patience) {
                    Arc::make_mut(&mut start.plan).limits.patience = patience;
                }
                let reopened = self.ended.is_some();
                self.resumed.push(Takeover { at, epoch: event.epoch, to: to.clone(), reopened, left: self.at });
                self.probes.values_mut().for_each(ProbeStanding::taken_over);
                self.steps.values_mut().for_each(StepState::taken_over);
                if reopened && to == "resume" {
                    self.reopen();
                }
                self.earlier_end = self.ended.take().or(self.earlier_end.take());
                self.kept = None;
            }
            RunEvent::Stage { stage } => {
                // A new owner may say again in which stage it goes on.
                let again = self.stage() == Some(*stage)
                    && self.resumed.last().is_some_and(|takeover| self.stages.last().is_some_and(|(_, begun)| *begun <= takeover.at));
                if again {
                    return Ok(());
                }
                if let Some(current) = self.stage().filter(|current| current >= stage) {
                    return Err(format!("stage {stage:?} after {current:?}"));
                }
                self.stages.push((*stage, at));
            }
            RunEvent::Decided { by, basis } => {
                if self.decided.is_some() {
                    return Err("the failover was already decided".to_owned());
                }
                self.decided = Some(Decision { at, by: by.clone(), basis: basis.clone() });
            }
            RunEvent::StopRequested { abort, why, by } => self.stops.push(StopRequest { at, abort: *abort, why: why.clone(), by: by.clone() }),
            // What is decided again as it was is no news.
            RunEvent::Guarded { decisions, .. } => {
                for decision in decisions {
                    if !self.guards.contains(decision) {
                        self.guards.push(decision.clone());
                    }
                }
            }
            RunEvent::Ordered { order, by, why } => {
                if let Order::Retry { step } = order {
                    self.steps.get_mut(step).ok_or_else(|| format!("the plan has no step `{step}`"))?.reopen();
                }
                self.orders.push(Steered { at, order: order.clone(), by: by.clone(), why: why.clone() });
            }
            RunEvent::LeaseRenewed { until } => self.lease_until = Some(*until),
            RunEvent::Snapshot { step, uses, with, before, targets } => {
                let (uses, with, before, targets) = (uses.clone(), with.clone(), before.clone(), targets.clone());
                self.snapshot.read(step, Snapshot { uses, with, before, targets, covered: Vec::new() });
            }
            RunEvent::Unseen { awaited, lacking, .. } => self.unseen.push(Unseen { at, of: *awaited, lacking: lacking.clone() }),
            RunEvent::Baseline { same, differences } => {
                self.baseline = Some(Baseline { at, same: same.clone(), differences: differences.clone() });
            }
            RunEvent::Kept { same, moved } => self.kept = Some(Kept { at, same: same.clone(), moved: moved.clone() }),
            RunEvent::Forecast(forecast) => self.forecast = Some(forecast.clone()),
            RunEvent::Samples(kept) => self.samples.push(kept.clone()),
            RunEvent::Note { text } => self.notes.push((at, text.clone())),
            RunEvent::Ended { verdict, reasons } => self.ended = Some(End { at, verdict: *verdict, reasons: reasons.clone() }),
        }
        Ok(())
    }

    fn apply_step(&mut self, event: &Event, body: &StepEvent) -> Result<(), String> {
        let known = self.steps.contains_key(&body.step);
        if !known && parent_of(&body.step).is_none_or(|parent| !self.steps.contains_key(parent)) {
            return Err(format!("the plan has no step `{}`", body.step));
        }
        // Only an attempt says since when nothing else was in its way, and only the first one does.
        let is_first = matches!(body.kind, StepKind::Started { .. }) && self.step(&body.step).is_none_or(|step| step.ready.is_none());
        let ready = if is_first { self.ready_at(&body.step) } else { None };
        let illegal = |why| format!("step `{}` {why}", body.step);
        // An event that is not legal changes nothing of a step, and makes none.
        match self.steps.get_mut(&body.step) {
            Some(step) => step.apply(event, ready, &body.kind).map_err(illegal)?,
            None => {
                let mut step = StepState::default();
                step.apply(event, ready, &body.kind).map_err(illegal)?;
                self.steps.insert(body.step.clone(), step);
            }
        }
        if let StepKind::Intended { uses, with, before, targets, .. } = &body.kind {
            self.snapshot.first_intent(&body.step, uses, with, before, targets);
        }
        Ok(())
    }

    /// The last time that something was waited for in vain.
    #[must_use]
    pub fn unseen(&self, of: Awaited) -> Option<&Unseen> {
        self.unseen.iter().rev().find(|unseen| unseen.of == of)
    }

    /// When a step had everything it waits for: the start of its stage, or the end of the last step it needs.
    fn ready_at(&self, key: &str) -> Option<Timestamp> {
        if key == FAULT {
            return self.stage_began(Stage::Inject);
        }
        let part = Part::of(key)?;
        let stage = stage_of(part);
        let needs = self.planned(key).map_or(&[][..], |step| &step.needs);
        let ended = needs.iter().filter_map(|need| self.ended_at(&part.key(need)));
        // The way back waits for the fault to be gone.
        let healed = self.fault().and_then(|fault| fault.undo_ended).filter(|_| stage == Stage::Failback);
        self.stage_began(stage).into_iter().chain(ended).chain(healed).max()
    }

    /// When a step ended, with all its items: of one that has ended itself, they have not ended later.
    fn ended_at(&self, key: &str) -> Option<Timestamp> {
        let own = self.steps.get(key).and_then(|step| step.ended);
        own.or_else(|| self.items(key).filter_map(|(_, item)| item.ended).max())
    }

    /// The plan, once known.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.start.as_ref().map(|start| &*start.plan)
    }

    /// The step of the plan with this key, or that of an item; the fault is none.
    #[must_use]
    pub fn planned(&self, key: &str) -> Option<&StepPlan> {
        let start = self.start.as_ref()?;
        start.index.step(&start.plan, key)
    }

    /// Why it runs, once known.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.plan().map(|plan| plan.mode)
    }

    /// Whether a person has paused it; nothing holds up a run that is ending.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let last = self.orders.iter().skip(self.past_orders).rev().find_map(|steered| match steered.order {
            Order::Pause => Some(true),
            Order::Unpause => Some(false),
            _ => None,
        });
        last == Some(true) && self.stops.is_empty() && self.resumed.iter().all(Takeover::goes_on)
    }

    /// Whether the source side is not relied upon any more.
    #[must_use]
    pub fn is_ungraceful(&self) -> bool {
        self.plan().is_some_and(|plan| plan.ungraceful) || self.orders.iter().any(|steered| steered.order == Order::Ungraceful)
    }

    /// Whether it has ended before it was done and may be gone on with: an emergency that was stopped or failed, of which nothing was asked to be
    /// taken back.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        let is_pass = self.ended.as_ref().is_none_or(|end| end.verdict == Verdict::Pass);
        let is_taken_back = self.stops.iter().any(|stop| stop.abort) || !self.resumed.iter().all(Takeover::goes_on);
        self.mode() == Some(Mode::Emergency) && !is_pass && !is_taken_back && self.steps.values().any(StepState::may_go_on)
    }

    /// Takes up a run that has ended, to go on with it: what failed may be tried again, what did not run because the run was ending may run, and it is
    /// judged anew.
    pub fn reopen(&mut self) {
        self.ended = None;
        self.earlier_end = None;
        self.stops.clear();
        self.past_orders = self.orders.len();
        self.steps.values_mut().for_each(StepState::go_on);
        let parents: BTreeSet<String> = self.steps.keys().filter_map(|key| parent_of(key)).map(str::to_owned).collect();
        for parent in parents {
            self.steps.entry(parent).and_modify(StepState::go_on_with_items);
        }
    }

    /// The current stage.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.stages.last().map(|(stage, _)| *stage)
    }

    /// When a stage began.
    #[must_use]
    pub fn stage_began(&self, stage: Stage) -> Option<Timestamp> {
        self.stages.iter().find(|(name, _)| *name == stage).map(|(_, at)| *at)
    }

    /// When a stage ended: the next one began, or the run ended.
    #[must_use]
    pub fn stage_ended(&self, stage: Stage) -> Option<Timestamp> {
        let index = self.stages.iter().position(|(name, _)| *name == stage)?;
        self.stages.get(index + 1).map(|(_, at)| *at).or_else(|| self.ended.as_ref().map(|end| end.at))
    }

    /// The request to stop that counts: the first that aborts, else the first.
    #[must_use]
    pub fn stop(&self) -> Option<&StopRequest> {
        self.stops.iter().find(|stop| stop.abort).or_else(|| self.stops.first())
    }

    /// The step with this key.
    #[must_use]
    pub fn step(&self, key: &str) -> Option<&StepState> {
        self.steps.get(key)
    }

    /// What people took as it is, in the order of the plan.
    pub fn accepted(&self) -> impl Iterator<Item = (&str, &Acceptance)> {
        self.ordered().into_iter().filter_map(|(key, step)| acceptance_of(key, step))
    }

    /// The fault, when the plan has one.
    #[must_use]
    pub fn fault(&self) -> Option<&StepState> {
        self.steps.get(FAULT)
    }

    /// The items `key[0]`, `key[1]`, … that were begun, in the order of their numbers.
    pub fn items<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a StepState)> {
        let mut items: Vec<_> = self
            .steps
            .range(format!("{key}[")..)
            .take_while(move |(item, _)| item.starts_with(key) && item[key.len()..].starts_with('['))
            .map(|(item, step)| (item.as_str(), step))
            .collect();
        items.sort_by_key(|(item, _)| item_number(item));
        items.into_iter()
    }

    /// Keys of everything that changed something and was not undone, in the order in which the intents were journalled.
    /// A failback is itself the way back: once it is done, or nothing else is held, what it did is no leftover.
    #[must_use]
    pub fn held(&self) -> Vec<&str> {
        let stays = self.failback_stays();
        let is_failback = |key: &str| Part::Failback.has(key);
        let undo = self.undo();
        let own = |key: &str| self.steps.get_key_value(key).map(|(own, _)| own.as_str());
        let held: Vec<_> = undo.held().filter(|key| !(stays && is_failback(key))).filter_map(own).collect();
        if held.iter().all(|key| is_failback(key)) { Vec::new() } else { held }
    }

    /// Its changes as the policy of undo sees them.
    #[must_use]
    pub fn undo(&self) -> Undo<'_> {
        let mut changes: Vec<(u64, Intended<'_>)> = self
            .steps
            .iter()
            .filter_map(|(key, step)| {
                let intent = step.intent.as_ref()?;
                Some((intent.seq, Intended { key, targets: &intent.targets, back: step.taking_back() }))
            })
            .collect();
        changes.sort_by_key(|(seq, _)| *seq);
        let changes = changes.into_iter().map(|(_, change)| change);
        let undo = match &self.start {
            None => Undo::new(None, changes.collect(), None),
            Some(Start { plan, index, .. }) => {
                let mut all = Changes::default();
                changes.for_each(|change| all.push(change));
                Undo::indexed(plan, index, all)
            }
        };
        let end = |step: &StepState| step.undo_ended.filter(|_| matches!(step.status, Status::Undone | Status::UndoFailed));
        let Some(fault_ended) = self.fault().and_then(end) else { return undo };
        let was_put_back_since = |key: &str| self.step(key).and_then(end).is_some_and(|at| at > fault_ended);
        let is_back = undo.bring_the_fault_back().any(was_put_back_since);
        if is_back { undo.with_the_fault_back() } else { undo }
    }

    /// What has become of the steps of the failback.
    #[must_use]
    pub fn way_back(&self) -> Vec<WayBack> {
        let one = |step: &StepState| WayBack { is_done: step.applied, is_left_out: step.skipped.is_some(), is_taken_back: step.undoing.is_some() };
        self.steps.iter().filter(|(key, _)| Part::Failback.has(key)).map(|(_, step)| one(step)).collect()
    }

    fn failback_stays(&self) -> bool {
        let Some(begun) = self.stage_began(Stage::Failback) else { return false };
        let is_beneath = |(key, step): (&String, &StepState)| Part::Failover.has(key) && step.undoing.is_some_and(|at| at >= begun);
        undo::failback_stays(&self.way_back(), self.stops.iter().any(|stop| stop.abort), self.steps.iter().any(is_beneath))
    }

    /// Whether a step has failed for good and a person may still retry it or do without it.
    #[must_use]
    pub fn waits_to_be_mended(&self, key: &str) -> bool {
        let stage = Part::of(key).map_or(Stage::Failover, stage_of);
        let is_cut_off = |step: &StepState| step.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Cancelled);
        self.stage() == Some(stage)
            && self.stops.is_empty()
            && self.step(key).is_some_and(|step| step.status == Status::Failed && !is_cut_off(step))
            && self.plan().zip(self.planned(key)).is_some_and(|(plan, step)| plan.lets_mend(step))
    }

    /// Whether the steps of its failover stay as they are unless somebody asks to undo them.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.plan().is_some_and(|plan| plan.leave || plan.mode == Mode::Emergency) || self.stop().is_some_and(|stop| !stop.abort)
    }

    /// All steps in the order of the plan: the fault, the failover, the failback, each followed by its items.
    #[must_use]
    pub fn ordered(&self) -> Vec<(&str, &StepState)> {
        let Some(plan) = self.plan() else { return Vec::new() };
        let mut ordered = Vec::with_capacity(self.steps.len());
        for key in step_keys(plan) {
            if let Some((own, step)) = self.steps.get_key_value(&key) {
                ordered.push((own.as_str(), step));
                ordered.extend(self.items(own));
            }
        }
        ordered
    }
}

fn acceptance_of<'a>(key: &'a str, step: &'a StepState) -> Option<(&'a str, &'a Acceptance)> {
    Some((key, step.acceptance.as_ref().filter(|_| step.status == Status::Accepted)?))
}

/// Keys of all steps of a plan, in order.
fn step_keys(plan: &Plan) -> impl Iterator<Item = String> {
    plan.fault.iter().map(|_| FAULT.to_owned()).chain(plan.steps().map(|(key, _)| key))
}

/// The stage in which the steps of a part run.
const fn stage_of(part: Part) -> Stage {
    match part {
        Part::Fault => Stage::Inject,
        Part::Failover => Stage::Failover,
        Part::Failback => Stage::Failback,
    }
}

#[cfg(test)]
mod tests;
