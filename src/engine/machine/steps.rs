//! The steps of a runbook: which may start, what their results mean.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Effect, FAULT, LATE, MOST_AT_ONCE, Machine, Planned, Status, Step};
use crate::engine::action::Applied;
use crate::model::event::step::{EARLIER_FAILED, StepKind, is_put_off};
use crate::model::expression;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{Part, item_key, parent_of};
use crate::model::plan::{OnFailure, RunbookPlan, Ungraceful};

/// Longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

impl Machine {
    /// Makes the steps of a runbook the ones that run. One runbook runs at a time.
    pub(super) fn load_book(&mut self, part: Part, runbook: RunbookPlan) {
        self.halted = false;
        self.steps.forget_the_row();
        let mut needs: Vec<(String, String)> =
            runbook.steps.iter().flat_map(|step| step.needs.iter().map(|need| (part.key(&step.id), part.key(need)))).collect();
        // Those that have everything at the same moment have their turn in the order of their keys.
        needs.sort_by(|(one, _), (other, _)| one.cmp(other));
        for plan in runbook.steps {
            let key = part.key(&plan.id);
            let mutates = (self.mutates)(&plan.uses);
            if plan.needs.is_empty() {
                self.steps.make_ready(key.clone());
            }
            self.steps.add(key, Step::new(plan, part, mutates));
        }
        for (key, need) in needs {
            if let Some(step) = self.steps.get_mut(&need) {
                step.dependents.push(key);
            }
        }
    }

    /// Starts what may start. True when nothing of the runbook runs or can still run.
    pub(super) fn run_book(&mut self, part: Part) -> bool {
        // What its own file says is undone at once may need more than one attempt.
        while let Some(key) = self.due_undo() {
            self.start_undo_of(&key);
        }
        self.steps.ready_backoffs(self.now);
        self.give_up_waiting_for_people();
        let is_asking = self.is_asking();
        while !self.halted
            && !is_asking
            && self.steps.busy() < MOST_AT_ONCE
            && let Some(key) = self.steps.next_ready(self.now)
        {
            self.start_step(&key);
            self.steps.had_its_turn(&key);
        }
        if self.halted {
            self.skip_waiting(part, EARLIER_FAILED);
        }
        self.steps.is_over(part)
    }

    fn start_step(&mut self, key: &str) {
        let Some(step) = self.steps.get(key) else { return };
        if self.ungraceful && step.attempt == 0 && step.plan.ungraceful == Some(Ungraceful::Skip) {
            return self.skip_step(key, "the source side is given up".into());
        }
        if step.attempt > 0 || step.item.is_some() || (step.plan.when.is_none() && step.plan.for_each.is_none()) {
            return self.start_attempt(key);
        }
        let scope = self.scope_of_items(key);
        if let Some(when) = &step.plan.when {
            match expression::is_true(when, &scope) {
                Ok(true) => {}
                Ok(false) => return self.skip_step(key, "its condition is false".into()),
                Err(error) => return self.fail(key, Failure::new(FailureKind::Parameters, format!("`when` fails: {error}"))),
            }
        }
        match &step.plan.for_each {
            None => self.start_attempt(key),
            Some(each) => match expression::resolve(&each.items, &scope) {
                Ok(Value::Array(items)) => self.expand(key, items),
                Ok(other) => self.fail(key, Failure::new(FailureKind::Parameters, format!("`for_each` gives no list: {other}"))),
                Err(error) => self.fail(key, Failure::new(FailureKind::Parameters, format!("`for_each` fails: {error}"))),
            },
        }
    }

    fn expand(&mut self, key: &str, items: Vec<Value>) {
        self.steps.set(key, Status::Expanded);
        let Some(parent) = self.steps.get_mut(key) else { return };
        parent.attempt = 1;
        let keys: Vec<String> = (0..items.len()).map(|index| item_key(key, index)).collect();
        parent.items.clone_from(&keys);
        let items: Vec<Step> = items.into_iter().map(|item| parent.of_item(item)).collect();
        self.record_step(key, StepKind::Started { attempt: 1 });
        for (key, item) in keys.iter().zip(items) {
            self.steps.add(key.clone(), item);
        }
        self.steps.make_items_ready(&keys);
        self.settle_parent(key);
    }

    /// Ends a `for_each` step when all its items have ended. Items that somebody does without are missing from what it did, and do not make it fail: whatever
    /// comes after it goes on, as it does after a plain step that is done without.
    pub(super) fn settle_parent(&mut self, key: &str) {
        // One that waits for a person is not settled either.
        if self.steps.unsettled_items(key) > 0 {
            return;
        }
        let Some(step) = self.steps.get(key).filter(|step| *step.status() == Status::Expanded) else { return };
        let items: Vec<&Step> = step.items.iter().filter_map(|item| self.steps.get(item)).collect();
        let number = |fits: fn(&Step) -> bool| items.iter().filter(|item| fits(item)).count();
        let (done, left_out) = (number(|item| *item.status() == Status::Done), number(|item| *item.status() == Status::Skipped && item.is_left_out));
        let put_off = number(|item| *item.status() == Status::Skipped && !item.is_left_out);
        let failed = items.len() - done - left_out - put_off;
        if failed + put_off > 0 {
            let not_run = if put_off > 0 { format!(", {put_off} did not run") } else { String::new() };
            let failure = Failure::new(FailureKind::Check, format!("{failed} of {} items failed{not_run}", items.len()));
            // Its items have said what their failures mean; what did not run has no voice of its own.
            self.halted |= step.plan.on_failure != OnFailure::Continue;
            self.settle_step(key, Status::Failed);
            self.record_step(key, StepKind::Failed { failure });
        } else if done == 0 && left_out > 0 {
            let why = format!("all of its {} items were done without", items.len());
            self.skip_step(key, why);
        } else {
            // At the place of an item that was done without there is none.
            let output = json!({ "items": items.iter().map(|item| item.output.clone()).collect::<Vec<_>>() });
            self.settle_step(key, Status::Done);
            if let Some(step) = self.steps.get_mut(key) {
                step.output.clone_from(&output);
            }
            self.record_step(key, StepKind::Applied { attempt: 1, output, already: false, accepted_ms: None });
        }
    }

    /// Ends a step that is not run, or not to its end, and says why.
    pub(super) fn skip_step(&mut self, key: &str, why: String) {
        self.settle_step(key, Status::Skipped);
        if let Some(step) = self.steps.get_mut(key) {
            step.is_left_out = !is_put_off(&why);
        }
        self.record_step(key, StepKind::Skipped { why });
        self.parent_of(key);
    }

    pub(super) fn start_attempt(&mut self, key: &str) {
        let ungraceful = self.ungraceful;
        let scope = if self.steps.get(key).is_some_and(|step| step.has_expressions) { self.scope(key) } else { Value::Null };
        let Some(step) = self.steps.get_mut(key) else { return };
        step.attempt += 1;
        let attempt = step.attempt;
        let (uses, timeout) = (step.plan.uses.clone(), step.plan.timeout.duration());
        // With an intent on record the same `before` is used again: planning anew would take the half-changed world for what to restore.
        if let Some(before) = step.before.clone() {
            let with = step.with.clone();
            self.steps.set(key, Status::Applying);
            self.record_step(key, StepKind::Started { attempt });
            self.apply(key, uses, with, before, timeout);
        } else {
            let mut with = step.plan.with.clone();
            if let (true, Some(Ungraceful::With(other)), Value::Object(with)) = (ungraceful, &step.plan.ungraceful, &mut with) {
                with.extend(other.clone());
            }
            self.steps.set(key, Status::Planning);
            self.record_step(key, StepKind::Started { attempt });
            self.effects.push(Effect::Plan { key: key.to_owned(), uses, with, scope, timeout });
        }
    }

    pub(super) fn planned(&mut self, key: &str, result: Result<(Planned<Value>, Value), Failure>) {
        let Some(step) = self.steps.get(key).filter(|step| *step.status() == Status::Planning) else { return };
        if step.cancelled {
            return self.end_cancelled(key);
        }
        let (planned, with) = match result {
            Ok(planned) => planned,
            Err(failure) => return self.attempt_failed(key, failure),
        };
        if step.mutates && planned.targets.is_empty() {
            return self.attempt_failed(key, Failure::new(FailureKind::NoTargets, "nothing matches what the step should act on"));
        }
        // What other parameters than those of the plan select, no plan has looked at.
        let is_as_planned = step.plan.ungraceful.is_none() || self.ungraceful == self.plan.ungraceful;
        if step.mutates
            && is_as_planned
            && let Some(strayed) = self.plan.strayed(key, &planned.targets)
        {
            if !step.plan.fresh {
                let message = format!("it would not act on what was planned: {strayed}; make a new plan, or write `targets: fresh` in the step");
                return self.attempt_failed(key, Failure::new(FailureKind::Conflict, message));
            }
            self.record_step(key, StepKind::Warned { text: format!("`targets: fresh`: not what was planned: {strayed}") });
        }
        self.steps.set(key, Status::Applying);
        let Some(step) = self.steps.get_mut(key) else { return };
        step.with = with.clone();
        let (attempt, uses, timeout) = (step.attempt, step.plan.uses.clone(), step.plan.timeout.duration());
        if !planned.not_undone.is_empty() {
            let what = planned.not_undone.clone();
            step.lasting = true;
            self.record_step(key, StepKind::Irrevocable { what, all: planned.irrevocable });
        }
        if let Some(step) = self.steps.get_mut(key).filter(|step| step.mutates) {
            step.before = Some(planned.before.clone());
            step.targets.clone_from(&planned.targets);
            self.touched = true;
            self.steps.intends(key);
            self.readings.snapshot.first_intent(key, &uses, &with, &planned.before, &planned.targets);
            self.record_step(
                key,
                StepKind::Intended { attempt, uses: uses.clone(), with: with.clone(), before: planned.before.clone(), targets: planned.targets },
            );
        }
        self.apply(key, uses, with, planned.before, timeout);
    }

    /// Lets a step change things; a fault's lease begins with it.
    pub(super) fn apply(&mut self, key: &str, uses: String, with: Value, before: Value, timeout: Duration) {
        let lease = if key == FAULT { self.begin_lease() } else { None };
        self.effects.push(Effect::Apply { key: key.to_owned(), uses, with, before, timeout, lease });
    }

    pub(super) fn applied(&mut self, key: &str, result: Result<Applied<Value>, Failure>, accepted_ms: Option<u64>) {
        let now = self.now;
        if self.steps.is(key, &Status::Rejoining) {
            self.steps.set(key, Status::Done);
            if result.as_ref().is_err_and(|failure| failure.ambiguous) {
                self.steps.set_late(key, Some(now + LATE));
            }
            if let Err(failure) = result {
                self.stop_requested(true, format!("the fault: {failure}"), "recovery".into());
            }
            return;
        }
        if !self.steps.is(key, &Status::Applying) {
            return;
        }
        if result.as_ref().is_err_and(|failure| failure.ambiguous) {
            self.steps.set_late(key, Some(now + LATE));
        }
        let Some(step) = self.steps.get_mut(key) else { return };
        match result {
            Ok(applied) => {
                let attempt = step.attempt;
                step.output.clone_from(&applied.output);
                self.settle_step(key, Status::Done);
                self.record_step(key, StepKind::Applied { attempt, output: applied.output, already: applied.already, accepted_ms });
                self.parent_of(key);
            }
            Err(_) if step.cancelled => self.end_cancelled(key),
            Err(failure) => self.attempt_failed(key, failure),
        }
    }

    fn attempt_failed(&mut self, key: &str, failure: Failure) {
        let now = self.now;
        let Some(step) = self.steps.get_mut(key) else { return };
        let attempt = step.attempt;
        // A failure that no retry can help is final; everything else, ambiguous outcomes included, is tried as often as the file says.
        let helps = failure.retry || failure.ambiguous || failure.kind == FailureKind::Timeout;
        let again = helps && attempt < step.forgiven + step.plan.retry.attempts && self.stop.is_none();
        let own = step.plan.retry.backoff.duration().saturating_mul(1 << attempt.saturating_sub(step.forgiven + 1).min(16));
        let asked = failure.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
        let wait = own.max(asked).min(LONGEST_BACKOFF);
        if again {
            self.steps.set(key, Status::Backoff(now + wait));
        }
        let retry_in_ms = again.then(|| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.record_step(key, StepKind::AttemptFailed { attempt, failure: failure.clone(), retry_in_ms });
        if again {
            self.wake_at(now + wait);
        } else {
            self.fail(key, failure);
        }
    }

    pub(super) fn fail(&mut self, key: &str, failure: Failure) {
        self.record_step(key, StepKind::Failed { failure });
        if !self.ask_people(key) {
            self.failed_for_good(key);
        }
    }

    /// What a failure means that nobody will mend.
    pub(super) fn failed_for_good(&mut self, key: &str) {
        self.settle_step(key, Status::Failed);
        let Some(step) = self.steps.get(key) else { return };
        match step.plan.on_failure {
            OnFailure::Continue => {}
            OnFailure::Stop => self.halted = true,
            OnFailure::Undo => {
                self.halted = true;
                if step.before.is_some() {
                    self.undo_at_once(key);
                }
            }
        }
        self.parent_of(key);
    }

    /// An attempt that we cut off: what it changed is taken back with everything else.
    fn end_cancelled(&mut self, key: &str) {
        let Some((attempt, skip)) = self.steps.get_mut(key).map(|step| (step.attempt, step.skip.take())) else { return };
        let reason = if skip.is_some() { "cut off" } else { "cut off because the run is ending" };
        let ambiguous = self.steps.get(key).is_some_and(|step| step.late().is_some_and(|late| late > self.now));
        let failure = Failure { ambiguous, ..Failure::new(FailureKind::Cancelled, reason) };
        self.record_step(key, StepKind::AttemptFailed { attempt, failure: failure.clone(), retry_in_ms: None });
        if let Some(why) = skip {
            return self.skip_step(key, why);
        }
        self.settle_step(key, Status::Failed);
        self.record_step(key, StepKind::Failed { failure });
        self.parent_of(key);
    }

    /// Marks every step of a runbook that has not begun as skipped, and gives up those that wait for another attempt.
    pub(super) fn skip_waiting(&mut self, part: Part, why: &str) {
        self.give_people_up();
        for key in self.steps.to_run(part) {
            if self.steps.get(&key).is_some_and(|step| step.attempt > 0) {
                self.give_up_attempts(&key, why);
                self.parent_of(&key);
            } else {
                self.skip_step(&key, why.into());
            }
        }
    }

    /// Ends a step between two of its attempts: it has begun, so it is not skipped, and what it may have changed is taken back with everything else.
    pub(super) fn give_up_attempts(&mut self, key: &str, why: &str) {
        self.settle_step(key, Status::Failed);
        self.record_step(key, StepKind::Failed { failure: Failure::new(FailureKind::Cancelled, format!("not tried again: {why}")) });
    }

    /// Ends a step, and lets those have their turn that need nothing more.
    pub(super) fn settle_step(&mut self, key: &str, status: Status) {
        let Some(step) = self.steps.get(key) else { return };
        let settles = status.is_settled() && step.status().is_open() && step.part != Part::Fault;
        let satisfies = matches!(status, Status::Done | Status::Skipped) || (status == Status::Failed && step.plan.on_failure == OnFailure::Continue);
        let dependents = if settles && satisfies { step.dependents.clone() } else { Vec::new() };
        self.steps.set(key, status);
        for dependent in dependents {
            if let Some(step) = self.steps.get_mut(&dependent) {
                step.open_needs = step.open_needs.saturating_sub(1);
                if step.open_needs == 0 {
                    self.steps.make_ready(dependent);
                }
            }
        }
    }

    pub(super) fn parent_of(&mut self, key: &str) {
        if let Some(parent) = parent_of(key).filter(|_| self.steps.get(key).is_some_and(|step| step.item.is_some())) {
            self.settle_parent(parent);
        }
    }
}
