//! Going on where another owner left: the steps as the journal has them, and the clouds read for every intent whose end it does not have.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::stages::fault_step;
use super::{Effect, FAULT, Held, LATE, Machine, Moment, Phase, Planned, Recovery, Status, Step, Stop};
use crate::model::event::step::{Found, StepKind, is_put_off};
use crate::model::expression;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{Part, item_key};
use crate::model::plan::{Mode, OnFailure, RunbookPlan, Stage};
use crate::model::state::undo::Undo;
use crate::model::state::{self, RunState, StepState, Takeover};
use crate::model::target::{Change, Target};
use crate::model::time::Timestamp;

impl Recovery {
    /// Everything that is not taken back, and what may come back by itself; the fault in any case: undo must know what it had broken.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let undo = state.undo();
        let intent = |key: &str, undone: bool| {
            let step = state.step(key)?;
            let intent = step.intent.clone()?;
            let open = matches!(step.status, state::Status::Running | state::Status::Retrying);
            let (uses, with, before, targets) = (intent.uses, intent.with, intent.before, intent.targets);
            Some(Held {
                key: key.to_owned(),
                uses,
                with,
                before,
                targets,
                undone,
                open,
                late: may_come_late(step) || is_put_back_over_another(state, &undo, key),
            })
        };
        let keys: Vec<&str> = state.held().into_iter().filter(|key| !undo.was_left_over_what_is_back(key)).collect();
        let mut held: Vec<Held> = keys.iter().filter_map(|key| intent(key, false)).collect();
        let gone = |step: &StepState| step.status == state::Status::Undone;
        // Of a run that has ended nothing is under way any more.
        let late = state.steps.iter().filter(|(_, step)| state.ended.is_none() && gone(step) && may_come_late(step)).map(|(key, _)| key.as_str());
        // Undo must know what a fault had broken that somebody took as it is, too.
        let is_over = |fault: &StepState| matches!(fault.status, state::Status::Undone | state::Status::Accepted);
        let mut others: BTreeSet<&str> = late.filter(|key| *key == FAULT || !undo.is_over_what_is_back(key)).collect();
        if state.fault().is_some_and(is_over) && !(held.is_empty() && others.is_empty()) {
            others.insert(FAULT);
        }
        held.extend(others.into_iter().filter_map(|key| intent(key, true)));
        let touched = state.steps.values().any(|step| step.intent.is_some());
        Self { held, snapshot: state.snapshot.clone(), touched }
    }
}

/// Whether a step was being put back that came over another: what was sent for it may arrive after that other one was put back too.
fn is_put_back_over_another(state: &RunState, undo: &Undo<'_>, key: &str) -> bool {
    state.step(key).is_some_and(|step| step.status == state::Status::Undoing) && undo.is_over(key, |_| true)
}

/// Whether a change was sent of whose end nobody heard.
fn may_come_late(step: &StepState) -> bool {
    step.lost
        || matches!(step.status, state::Status::Running | state::Status::Retrying)
        || step.attempt_failures.iter().any(|(_, failure)| failure.ambiguous)
}

/// For how long the fault may still stand at `now`.
#[must_use]
pub fn lease_left(state: &RunState, now: Timestamp) -> Duration {
    let begun = || {
        let intent = state.fault()?.intent.as_ref()?;
        Some(intent.at.plus(state.plan()?.fault.as_ref()?.lease.duration()))
    };
    state.lease_until.or_else(begun).map_or(Duration::ZERO, |until| until.since(now))
}

/// For reading what became of one intent.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long something that is neither as before nor as asked may stand still before it is called somebody else's.
const STILL: Duration = Duration::from_secs(30);
/// Between two looks at something that moves.
const AGAIN: Duration = Duration::from_secs(1);

/// What a new owner sees of a step whose change is not over.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Since when it has been seen like this.
    since: Moment,
    /// What is left to be changed, target by target.
    seen: Vec<String>,
    /// When it is looked at again; `None` while that is under way.
    pub(super) again: Option<Moment>,
}

impl Machine {
    /// Goes on with a run whose events so far made `state`. `lease_left`: for how long the fault may still stand.
    pub(super) fn resume(&mut self, state: &RunState, lease_left: Duration) {
        if self.phase != Phase::Idle {
            return;
        }
        self.wake_at(self.run_until);
        self.ungraceful = state.is_ungraceful();
        self.paused = state.is_paused().then_some(self.now);
        self.stage = state.stage();
        self.readings.snapshot = state.snapshot.clone();
        self.touched = state.steps.values().any(|step| step.intent.is_some());
        // Whoever was taking everything back, or ending, goes on with that.
        if state.stops.iter().any(|stop| stop.abort) || !state.resumed.iter().all(Takeover::goes_on) {
            self.stop = Some(Stop { abort: true });
        } else if !state.stops.is_empty() {
            self.stop = Some(Stop { abort: false });
        }
        let plan = self.plan.clone();
        if let (Some(fault), Some(was)) = (&plan.fault, state.fault().filter(|fault| fault.started.is_some())) {
            self.steps.insert(FAULT.into(), restored(fault_step(fault, self.mutates), was, self.now));
            // A step that was put back since has brought it back, and its owner died before it was taken out once more.
            if self.is_undone(FAULT) && state.undo().held().any(|key| key == FAULT) {
                self.steps.set(FAULT, Status::UndoBackoff(Duration::ZERO));
            }
        }
        let began = |stage| state.stage_began(stage).is_some();
        if began(Stage::Failover) {
            self.restore_book(Part::Failover, plan.failover.clone(), state);
        }
        if let Some(failback) = plan.failback.clone().filter(|_| began(Stage::Failback) && self.is_undone(FAULT)) {
            self.restore_book(Part::Failback, failback, state);
        }
        let mut intents: Vec<(u64, String)> =
            state.steps.iter().filter_map(|(key, step)| step.intent.as_ref().map(|intent| (intent.seq, key.clone()))).collect();
        intents.sort();
        let undo = state.undo();
        for (_, key) in intents {
            if is_put_back_over_another(state, &undo, &key) {
                self.steps.set_late(&key, Some(self.now + LATE));
            }
            if undo.was_left_over_what_is_back(&key) {
                self.steps.set(&key, Status::UndoFailed);
            }
            self.steps.intends(&key);
        }
        // A failback that went well stays.
        if state.stage() == Some(Stage::Cleanup) {
            let held: BTreeSet<&str> = state.held().into_iter().collect();
            let unsettled: BTreeSet<String> =
                self.steps.with_late().filter(|(_, step)| *step.status() == Status::Undone).map(|(key, _)| key.to_owned()).collect();
            self.steps.keep_changes(|key| !Part::Failback.has(key) || held.contains(key) || unsettled.contains(key));
        }
        if self.steps.changes().has(FAULT) && !self.is_undone(FAULT) {
            self.take_lease_over(lease_left);
        }
        self.go_on_from(state);
    }

    fn is_undone(&self, key: &str) -> bool {
        self.steps.status(key).is_none_or(|status| *status == Status::Undone)
    }

    /// Finds the phase that the journal ends in, and looks first where it leaves something open.
    fn go_on_from(&mut self, state: &RunState) {
        let plan = self.plan.clone();
        let until = |span: Option<Duration>| span.unwrap_or_default();
        let then = match state.stage() {
            None | Some(Stage::SteadyState) => return self.begin(),
            Some(Stage::Inject) => Phase::Inject,
            Some(Stage::Detect) => Phase::Detect { until: self.now + until(plan.detect.as_ref().map(|detect| detect.timeout.duration())) },
            Some(Stage::Decide) if state.decided.is_none() => {
                Phase::Detect { until: self.now + until(plan.detect.as_ref().map(|detect| detect.timeout.duration())) }
            }
            Some(Stage::Decide) => {
                self.enter(Stage::Failover);
                self.load_book(Part::Failover, plan.failover.clone());
                Phase::Failover
            }
            Some(Stage::Failover) => Phase::Failover,
            Some(Stage::Verify) => Phase::Verify { until: self.now + until(plan.recovered.as_ref().map(|recovered| recovered.timeout.duration())) },
            Some(Stage::Failback) if self.is_undone(FAULT) && self.steps.values().any(|step| step.part == Part::Failback) => Phase::Failback,
            Some(Stage::Failback) => return self.heal(true),
            Some(Stage::Cleanup) => {
                // Whether it went well before says the journal; to keep a failover in place it must have.
                self.failed = self.stop.is_some()
                    || !state.stage_began(Stage::Verify).is_some_and(|_| self.steps.values().all(|step| *step.status() != Status::Failed));
                return self.quiesce();
            }
        };
        if let Phase::Detect { until } | Phase::Verify { until } = then {
            self.wake_at(until);
        }
        if let Phase::Verify { .. } = then {
            self.wait_out_what_failed();
        }
        let mut looks: Vec<String> = self.steps.looking().map(|(key, _)| key.to_owned()).collect();
        // The clients of this process do not know yet which region the fault has closed; and somebody may have ended it.
        if self.steps.is(FAULT, &Status::Done) && !matches!(then, Phase::Failback) {
            self.steps.set(FAULT, Status::Looking);
            looks.push(FAULT.into());
        }
        if then == Phase::Inject && self.steps.status(FAULT).is_none_or(|status| *status == Status::Waiting) {
            // Nothing was injected, and what was seen before that is old: it begins anew.
            return self.begin();
        }
        self.look_at(looks, then);
    }

    /// The steps of a runbook as the journal has them.
    fn restore_book(&mut self, part: Part, runbook: RunbookPlan, state: &RunState) {
        let ids: Vec<String> = runbook.steps.iter().map(|step| part.key(&step.id)).collect();
        self.load_book(part, runbook);
        for key in &ids {
            let (was, now) = (state.step(key), self.now);
            self.steps.replace(key, |step| match was {
                Some(was) => restored(step, was, now),
                None => step,
            });
        }
        // The items of a `for_each` come from outputs, which are all there now.
        for key in &ids {
            self.restore_items(key, state);
        }
        let satisfied = |step: &Step| match step.status() {
            Status::Done | Status::Skipped => true,
            Status::Failed => step.plan.on_failure == OnFailure::Continue,
            _ => false,
        };
        let mut open: Vec<(String, usize)> = Vec::new();
        for key in &ids {
            let Some(step) = self.steps.get(key) else { continue };
            let needs = step.plan.needs.iter().map(|need| part.key(need));
            open.push((key.clone(), needs.filter(|need| self.steps.get(need).is_some_and(|step| !satisfied(step))).count()));
        }
        self.steps.forget_the_row();
        for (key, needs) in open {
            let Some(step) = self.steps.get_mut(&key) else { continue };
            step.open_needs = needs;
            let items = step.items.clone();
            if needs == 0 && *step.status() == Status::Waiting {
                self.steps.make_ready(key);
            }
            let waiting: Vec<String> = items.into_iter().filter(|item| self.steps.is(item, &Status::Waiting)).collect();
            self.steps.make_items_ready(&waiting);
        }
        // Within its own book a step is put back only because it failed.
        let is_over = |step: &Step| matches!(step.status(), Status::Failed | Status::UndoBackoff(_) | Status::Undone | Status::UndoFailed);
        let is_halting = |step: &Step| step.part == part && is_over(step) && step.plan.on_failure != OnFailure::Continue;
        self.halted = self.steps.values().any(is_halting);
        // Its last item may have ended, and its owner died before it said so of the whole.
        ids.iter().for_each(|key| self.settle_parent(key));
    }

    fn restore_items(&mut self, key: &str, state: &RunState) {
        let begun: Vec<&str> = state.items(key).map(|(item, _)| item).collect();
        let Some(step) = self.steps.get(key) else { return };
        let expanded = *step.status() == Status::Looking || (step.attempt > 0 && *step.status() == Status::Waiting);
        let Some(each) = step.plan.for_each.as_ref().filter(|_| expanded || !begun.is_empty()) else { return };
        let Ok(Value::Array(values)) = expression::resolve(&each.items, &self.scope_of_items(key)) else { return };
        let keys: Vec<String> = (0..values.len()).map(|index| item_key(key, index)).collect();
        let items: Vec<Step> = values.into_iter().map(|value| step.of_item(value)).collect();
        for (item, fresh) in keys.iter().zip(items) {
            let step = match state.step(item) {
                Some(was) => restored(fresh, was, self.now),
                None => fresh,
            };
            self.steps.add(item.clone(), step);
        }
        if expanded {
            self.steps.set(key, Status::Expanded);
            if let Some(step) = self.steps.get_mut(key) {
                step.items = keys;
            }
        }
    }

    /// Reads what became of the intents of `keys`, then goes on.
    pub(super) fn look_at(&mut self, keys: Vec<String>, then: Phase) {
        self.phase = Phase::Look(Box::new(then));
        keys.into_iter().for_each(|key| self.look(key));
    }

    fn look(&mut self, key: String) {
        let Some(step) = self.steps.get(&key) else { return };
        let (uses, with) = (step.plan.uses.clone(), step.with.clone());
        self.effects.push(Effect::Read { key, uses, with, scope: Value::Null, timeout: PATIENCE });
    }

    /// Looks again at what was still moving.
    fn look_again(&mut self) {
        for key in self.steps.due_looks(self.now) {
            self.look(key);
        }
    }

    /// Whether what is there may still be on its way: it is looked at again, until it has stood still for long enough to be somebody else's.
    fn may_still_move(&mut self, key: &str, now: &Planned<Value>) -> bool {
        let at = self.now;
        let Some(step) = self.steps.get(key) else { return false };
        let seen: Vec<String> = now.targets.iter().map(|target| format!("{target} {}", target.change.as_ref().map_or("", Change::text))).collect();
        let since = step.look().filter(|look| look.seen == seen).map_or(at, |look| look.since);
        if at >= since + STILL {
            return false;
        }
        self.steps.set_look(key, Look { since, seen, again: Some(at + AGAIN) });
        self.wake_at(at + AGAIN);
        true
    }

    pub(super) fn await_looks(&mut self, then: Phase) {
        self.look_again();
        if self.steps.is_any_looking() || self.steps.running().any(|(_, step)| *step.status() == Status::Rejoining) {
            return;
        }
        self.phase = then;
        if self.phase == Phase::Quiesce {
            self.heal(false);
        }
    }

    pub(super) fn looked(&mut self, key: &str, result: Result<(Planned<Value>, Value), Failure>) {
        let Phase::Look(then) = self.phase.clone() else { return };
        let Some(step) = self.steps.get(key).filter(|step| *step.status() == Status::Looking) else { return };
        let (done, detail) = match &result {
            Err(failure) => (Found::Unknown, format!("cannot be read: {failure}")),
            Ok((now, _)) if !now.targets.iter().all(|target| target.kind.can_be_read()) => {
                (Found::Unknown, "nothing tells whether it was done: it is done again, as by any other attempt".to_owned())
            }
            Ok((now, _)) if !now.targets.is_empty() && !now.targets.iter().any(Target::changes) => {
                (Found::Done, "everything is as it was to be made".to_owned())
            }
            Ok((now, _)) if Some(&now.before) == step.before.as_ref() => (Found::NotDone, "everything is as it was before".to_owned()),
            Ok((now, _)) if key != FAULT && is_on_its_way(now) => {
                (Found::Done, "it is on its way: there is nothing left to ask for, only to wait for".to_owned())
            }
            Ok((now, _)) if key != FAULT && is_half_done(&step.targets, now) => {
                (Found::NotDone, "it is partly done, and the rest is as it was before".to_owned())
            }
            Ok(_) => (Found::Unknown, "it is partly done, or somebody else changed it".to_owned()),
        };
        let applied = step.stood;
        // What nobody can be asked about, and what would not be waited for by trying it again.
        let must_be_told = key != FAULT && (!self.plan.limits.patience.duration().is_zero() || self.plan.mode != Mode::Emergency);
        if let (Found::Unknown, Ok((now, _))) = (done, &result)
            && must_be_told
            && *then != Phase::Quiesce
            && self.may_still_move(key, now)
        {
            return;
        }
        // No count has the fault in it; a step of a runbook stays open until it is settled below.
        if key == FAULT || *then == Phase::Quiesce {
            self.steps.set(key, Status::Failed);
        }
        self.record_step(key, StepKind::Found { done, detail: detail.clone() });
        // Whoever only takes back does so in every case: undo reads again, and does what is missing.
        if *then == Phase::Quiesce {
            return;
        }
        match (key, done) {
            (FAULT, Found::Unknown) => self.stop_requested(true, format!("the fault: {detail}"), "recovery".into()),
            (FAULT, Found::NotDone) if applied => {
                self.stop_requested(true, "somebody took the fault out while nobody ran the run".into(), "lease".into());
            }
            (FAULT, _) if applied => self.rejoin(),
            (_, Found::Unknown) if must_be_told => {
                self.fail(key, Failure::new(FailureKind::Check, format!("after a takeover: {detail}")));
            }
            // Whether it may be begun, or completed, is the guards' to say anew.
            (FAULT, _) => self.due_again(),
            _ => self.start_attempt(key),
        }
    }

    /// Lets the fault be tried as after any attempt that did not succeed.
    fn due_again(&mut self) {
        let now = self.now;
        self.steps.set(FAULT, Status::Backoff(now));
    }

    /// Applies a fault again that is in effect, so that this process keeps to it too. Nothing of that is news.
    fn rejoin(&mut self) {
        let Some(step) = self.steps.get(FAULT) else { return };
        let Some(before) = step.before.clone() else { return };
        let (uses, with, timeout) = (step.plan.uses.clone(), step.with.clone(), step.plan.timeout.duration());
        self.steps.set(FAULT, Status::Rejoining);
        self.apply(FAULT, uses, with, before, timeout);
    }
}

/// Whether things change by themselves to what is asked: they are not there yet, and yet no call would be sent for them.
pub(super) fn is_on_its_way(now: &Planned<Value>) -> bool {
    !now.calls.is_empty() && now.calls.iter().all(|call| !call.mutating)
}

/// Whether every target is as it was to be made, at a stop on the way there, or still as it was when the intent was recorded: then nobody but the step itself was
/// here.
fn is_half_done(intended: &[Target], now: &Planned<Value>) -> bool {
    let is_untouched = |target: &Target| intended.iter().any(|was| was == target);
    let is_ours = |(place, target): (usize, &Target)| !target.changes() || now.midway.contains(&place) || is_untouched(target);
    now.targets.len() == intended.len() && now.targets.iter().enumerate().all(is_ours)
}

/// A step as the journal has it.
fn restored(step: Step, was: &StepState, now: Moment) -> Step {
    let open = was.intent.is_some();
    let status = match was.status {
        state::Status::Pending => Status::Waiting,
        state::Status::Running | state::Status::Retrying if open => Status::Looking,
        state::Status::Running | state::Status::Retrying => Status::Waiting,
        state::Status::Applied => Status::Done,
        state::Status::Failed => Status::Failed,
        state::Status::Skipped => Status::Skipped,
        state::Status::Undoing | state::Status::UndoFailed => Status::UndoBackoff(Duration::ZERO),
        // Nothing of it is done or put back any more.
        state::Status::Undone | state::Status::Accepted => Status::Undone,
    };
    let late = (may_come_late(was) && was.status != state::Status::Accepted).then_some(now + LATE);
    let mut step = step.left_as(status, late);
    (step.attempt, step.forgiven, step.undo_attempt) = (was.attempts, was.attempts, was.undo_attempts);
    if let Some(intent) = &was.intent {
        step.with = intent.with.clone();
        step.before = Some(intent.before.clone());
        step.targets = intent.targets.clone();
    }
    step.is_left_out = was.skipped.as_deref().is_some_and(|why| !is_put_off(why));
    step.lasting = !was.irrevocable.is_empty();
    step.stood = was.status == state::Status::Applied;
    step.output = was.output.clone().unwrap_or(Value::Null);
    step
}
