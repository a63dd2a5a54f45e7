//! The tasks of an owner: calls that read, change, hang, are lost, or are cut off.

use super::*;
use crate::model::target::{Change, Target, TargetKind};

impl Simulation {
    pub(super) fn begin(&mut self, owner: usize, key: String, kind: Kind, with: &Value, before: i64, timeout: Duration) -> u64 {
        let overlaps = self.tasks.values().any(|task| task.owner == owner && task.key == key && task.kind != Kind::Read);
        assert!(!overlaps, "seed {}: two tasks of {key} at once", self.seed);
        let register = register_of(with);
        let to = with["to"].as_i64().unwrap_or(1);
        let ends = self.now + ms(timeout);
        // A question waits for its answer.
        let asks = kind == Kind::Apply && self.story.asks(&key);
        let hangs = self.chance(self.story.hostility / 4);
        let answers = self.now + self.between(5, 400);
        self.number += 1;
        let number = self.number;
        self.tasks
            .insert(number, Task { owner, key, kind, register, to, before, cut: false, in_hand: false, torn: false, mark: None, unmark: false });
        if asks {
            // Somebody answers, or it lasts as long as it may.
        } else if hangs {
            self.at(ends.min(self.now + CALL), Happening::GivesUp(number));
        } else {
            self.at(answers, Happening::HasRead(number));
        }
        self.at(ends, Happening::GivesUp(number));
        number
    }

    pub(super) fn has_read(&mut self, number: u64) {
        // A task that is cut off goes no further.
        let Some(task) = self.tasks.get(&number).filter(|task| !task.cut) else { return };
        let (kind, register, to, before) = (task.kind, task.register.clone(), task.to, task.before);
        let is = self.registers.get(&register).copied().unwrap_or(0);
        if self.chance(self.story.hostility / 3) {
            let failure = Failure { retry: self.between(0, 3) > 0, ..Failure::new(FailureKind::Cloud, "throttled or denied") };
            return self.end(number, Err(failure));
        }
        let wanted = match kind {
            Kind::Plan | Kind::Read => return self.end(number, Ok(is)),
            Kind::Apply => to,
            Kind::Undo => before,
        };
        let reads_only = self.state.plan().is_some_and(|plan| is_reading(plan, &self.tasks[&number].key));
        if is == wanted || reads_only {
            return self.end(number, Ok(is));
        }
        let expected = if kind == Kind::Apply { before } else { to };
        if is != expected {
            return self.end(number, Err(Failure::new(FailureKind::Conflict, format!("{register} is {is}"))));
        }
        // The marks come first.
        if let Some(until) = self.tasks[&number].mark {
            self.marks = Some(until);
        }
        if let Some(task) = self.tasks.get_mut(&number) {
            task.in_hand = true;
        }
        let lost_before = self.chance(self.story.hostility / 3);
        let lost_after = self.chance(self.story.hostility / 3);
        let slow = self.chance(self.story.hostility / 3);
        let arrives = self.now + if slow { self.between(1, SLOWEST) } else { self.between(5, 800) };
        if !lost_before {
            *self.under_way.entry(register.clone()).or_default() += 1;
            self.at(arrives, Happening::Lands { register, over: is, value: wanted });
        }
        if lost_before || lost_after {
            let at = self.now + self.between_or(CALL);
            self.at(at, Happening::Hears(number, false));
        } else if arrives - self.now <= CALL {
            self.at(arrives + 5, Happening::Hears(number, true));
        } else {
            self.at(self.now + CALL, Happening::Hears(number, false));
        }
    }

    /// A reset comes soon, silence at the call's deadline.
    pub(super) fn between_or(&mut self, deadline: Ms) -> Ms {
        if self.between(0, 2) == 0 { self.between(5, 500) } else { deadline }
    }

    pub(super) fn hears(&mut self, number: u64, well: bool) {
        let Some(task) = self.tasks.get_mut(&number) else { return };
        task.in_hand = false;
        let unmark = task.unmark;
        if well && unmark {
            self.marks = None;
        }
        let result =
            if well { Ok(0) } else { Err(Failure { retry: false, ambiguous: true, ..Failure::new(FailureKind::Cloud, "the answer was lost") }) };
        self.end(number, result);
    }

    pub(super) fn gives_up(&mut self, number: u64) {
        let Some(task) = self.tasks.get(&number) else { return };
        let failure = if task.cut {
            Failure { ambiguous: task.torn, ..Failure::new(FailureKind::Cancelled, "cut off") }
        } else {
            Failure { retry: true, ambiguous: true, ..Failure::new(FailureKind::Timeout, "not done in time") }
        };
        let Some(task) = self.tasks.remove(&number) else { return };
        self.tell(task, Err(failure));
    }

    pub(super) fn cancel(&mut self, owner: usize, key: &str) {
        let Some((number, in_hand)) = self
            .tasks
            .iter()
            // As in the shell, the latest.
            .rfind(|(_, task)| task.owner == owner && task.key == key)
            .map(|(number, task)| (*number, task.in_hand))
        else {
            return;
        };
        self.tasks.entry(number).and_modify(|task| (task.cut, task.torn) = (true, in_hand));
        self.at(self.now + if in_hand { GRACE } else { 0 }, Happening::GivesUp(number));
    }

    pub(super) fn end(&mut self, number: u64, result: Result<i64, Failure>) {
        let Some(task) = self.tasks.remove(&number) else { return };
        // What a call in hand says to a task that is cut off, nobody hears.
        let cut = || Failure { ambiguous: task.torn, ..Failure::new(FailureKind::Cancelled, "cut off") };
        let result = if task.cut { Err(cut()) } else { result };
        if task.unmark && result.is_ok() {
            self.marks = None;
        }
        self.tell(task, result);
    }

    pub(super) fn tell(&mut self, task: Task, result: Result<i64, Failure>) {
        let Task { owner, key, kind, register, to, .. } = task;
        let planned = |is: i64| {
            let change = if is == to { "" } else { "changes" };
            let planned = Planned::new(json!(is), vec![Target::outside(TargetKind::Table, &register).changing(Change::read(change))], vec![]);
            (planned, json!({ "register": register, "to": to }))
        };
        let input = match kind {
            Kind::Plan => Input::Planned(key, result.map(planned)),
            Kind::Read => Input::Read(key, result.map(planned)),
            Kind::Apply => Input::Applied(key, result.map(|_| Applied::changed(json!({}))), None),
            Kind::Undo => Input::Undone(key, result.map(|_| Undone::Restored)),
        };
        self.feed(owner, input);
    }
}
