//! What people ask of a run: hold it, go on, do without a step, try one again, give the source side up.

use super::{Effect, FAULT, Machine, Moment, Phase, Status, Step};
use crate::model::event::RunEvent;
use crate::model::ids;
use crate::model::order::{Asked, Order};
use crate::model::plan::{Mode, OnFailure, Ungraceful};
use crate::model::text::Lang;

impl Machine {
    pub(super) fn order(&mut self, asked: Asked) {
        let Asked { order, by, why } = asked;
        if matches!(order, Order::Stop | Order::Abort) {
            self.hurry();
        }
        let done = match &order {
            Order::Stop if self.is_taking_back() => Err("the run is taking things back; what it has begun to undo it undoes".to_owned()),
            // It leads users back, whether the source side is well or not.
            Order::Abort if self.plan.mode == Mode::Emergency && why.trim().is_empty() && !self.held().is_empty() => {
                Err("say why: putting back what an emergency has changed needs a reason".to_owned())
            }
            Order::Stop | Order::Abort => return self.stop_requested(order == Order::Abort, why, by),
            Order::Pause => self.may_pause(),
            Order::Unpause if self.paused.is_none() => Err("the run is not paused".to_owned()),
            Order::Skip { .. } if why.trim().is_empty() => Err("say why: doing without a step needs a reason".to_owned()),
            Order::Skip { step } => self.step_to(step, "done without", |status| {
                matches!(status, Status::Waiting | Status::Planning | Status::Applying | Status::Backoff(_) | Status::Asking(_))
            }),
            Order::Retry { step } => self.step_to(step, "tried again", |status| matches!(status, Status::Backoff(_) | Status::Asking(_))),
            Order::Ungraceful if self.ungraceful => Err("the source side was given up already".to_owned()),
            Order::Unpause if self.stop.is_some() => Err("the run is ending".to_owned()),
            Order::Unpause => Ok(()),
            Order::Ungraceful => self.under_way(),
            Order::Answer { step, .. } => Err(format!("{step} asks nothing")),
        };
        if let Err(why_not) = done {
            return self.effects.push(Effect::Refused(why_not));
        }
        // From here on the step is named by its whole key.
        let order = match order {
            Order::Skip { step } => Order::Skip { step: self.whole_key(&step) },
            Order::Retry { step } => Order::Retry { step: self.whole_key(&step) },
            other => other,
        };
        self.record_run(RunEvent::Ordered { order: order.clone(), by: by.clone(), why: why.clone() });
        match order {
            Order::Pause => self.paused = Some(self.now),
            Order::Unpause => self.go_on(),
            Order::Skip { step } => self.do_without(&step, format!("{by}: {why}")),
            Order::Retry { step } => self.try_again(&step),
            Order::Ungraceful => self.give_source_up(),
            Order::Stop | Order::Abort | Order::Answer { .. } => {}
        }
    }

    /// Whether the run waits for [`Order::Unpause`]. What takes things back never does.
    pub(super) fn is_held_up(&self) -> bool {
        self.paused.is_some() && self.stop.is_none() && self.under_way().is_ok()
    }

    /// Whether its steps are being undone, so that leaving them as they are is none of the things that can be asked.
    fn is_taking_back(&self) -> bool {
        matches!(self.phase, Phase::Undo | Phase::Compare { .. } | Phase::Baseline { .. })
    }

    /// Whether it has begun and still goes forward.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way().is_ok() || matches!(self.phase, Phase::Look(_))
    }

    /// Whether it still goes forward.
    fn under_way(&self) -> Result<(), String> {
        match self.phase {
            _ if self.stop.is_some() => Err("the run is ending".to_owned()),
            Phase::SteadyState { .. } | Phase::Inject | Phase::Detect { .. } | Phase::Failover | Phase::Verify { .. } | Phase::Failback => Ok(()),
            Phase::Look(_) | Phase::Idle => Err("the run has not begun yet".to_owned()),
            _ => Err("the run is taking things back; that is not held up".to_owned()),
        }
    }

    fn may_pause(&self) -> Result<(), String> {
        if self.paused.is_some() { Err("the run is paused already".to_owned()) } else { self.under_way() }
    }

    /// `failover/ID` for an id that is not a key.
    fn whole_key(&self, step: &str) -> String {
        // The way back comes last, and is what runs when both have a step of this id.
        let [own, failover, failback] = ids::meant(step);
        [own, failback, failover].into_iter().find(|key| self.steps.has(key)).unwrap_or_else(|| step.to_owned())
    }

    fn step_to(&self, step: &str, what: &str, fits: fn(&Status) -> bool) -> Result<(), String> {
        self.under_way()?;
        let key = self.whole_key(step);
        if key == FAULT {
            return Err("the fault is no step; `abort` takes it out".to_owned());
        }
        let Some(found) = self.steps.get(&key) else { return Err(format!("there is no step `{step}`")) };
        match found.status() {
            status if fits(status) => Ok(()),
            Status::Expanded => Err(format!("{key} runs once for each item: name one, such as {key}[0]")),
            status => Err(format!("{key} is {} and cannot be {what}", status.word().text(Lang::En))),
        }
    }

    fn go_on(&mut self) {
        let Some(since) = self.paused.take() else { return };
        let held = self.now.saturating_sub(since);
        // What was waited for may take as long as it was allowed to before.
        let shifted = match &mut self.phase {
            Phase::SteadyState { until } | Phase::Detect { until } | Phase::Verify { until } => {
                *until += held;
                Some(*until)
            }
            _ => None,
        };
        if let Some(until) = shifted {
            self.wake_at(until);
        }
    }

    fn do_without(&mut self, key: &str, why: String) {
        let Some(step) = self.steps.get_mut(key) else { return };
        match step.status() {
            Status::Planning | Status::Applying => {
                step.cancelled = true;
                step.skip = Some(why);
                self.effects.push(Effect::Cancel(key.to_owned()));
            }
            _ => self.skip_step(key, why),
        }
    }

    fn try_again(&mut self, key: &str) {
        let now = self.now;
        let Some(step) = self.steps.get_mut(key) else { return };
        step.forgiven = step.attempt;
        step.cancelled = false;
        self.steps.set(key, Status::Backoff(now));
    }

    fn give_source_up(&mut self) {
        self.ungraceful = true;
        let is_out = |status: &Status| matches!(status, Status::Planning | Status::Applying | Status::Backoff(_) | Status::Asking(_));
        let is_without = |(_, step): &(&str, &Step)| step.plan.ungraceful == Some(Ungraceful::Skip) && is_out(step.status());
        let out: Vec<String> = self.steps.moving().filter(is_without).map(|(key, _)| key.to_owned()).collect();
        for key in out {
            self.do_without(&key, "the source side is given up".into());
        }
    }

    /// Gives people the time the plan allows to mend a step that failed for good. False when there is none, or nothing depends on them.
    pub(super) fn ask_people(&mut self, key: &str) -> bool {
        let patience = self.plan.limits.patience.duration();
        let Some(step) = self.steps.get(key) else { return false };
        if patience.is_zero()
            || self.stop.is_some()
            || self.halted
            || key == FAULT
            || step.plan.on_failure == OnFailure::Continue
            || step.plan.asks_people()
        {
            return false;
        }
        let until = self.now + patience;
        self.steps.set(key, Status::Asking(until));
        let then = if self.plan.mode == Mode::Emergency { "; after that the run ends there, and `lifeboat resume` goes on from there" } else { "" };
        self.note(format!(
            "{key} failed: r tries it again, s does without it (`lifeboat ctl latest retry|skip {key}` from elsewhere), within {}{then}",
            self.plan.limits.patience
        ));
        self.wake_at(until);
        true
    }

    /// Whether a failed step waits for a person: nothing new is started meanwhile.
    pub(super) fn is_asking(&self) -> bool {
        self.steps.is_any_asking()
    }

    pub(super) fn give_up_waiting_for_people(&mut self) {
        let now = self.now;
        self.give_up_asking(|until| now >= until);
    }

    pub(super) fn give_people_up(&mut self) {
        self.give_up_asking(|_| true);
    }

    fn give_up_asking(&mut self, is_over: impl Fn(Moment) -> bool) {
        let over = |status: &Status| matches!(status, Status::Asking(until) if is_over(*until));
        let keys: Vec<String> = self.steps.asking().filter(|(_, step)| over(step.status())).map(|(key, _)| key.to_owned()).collect();
        for key in keys {
            self.failed_for_good(&key);
        }
    }
}

#[cfg(test)]
mod tests;
