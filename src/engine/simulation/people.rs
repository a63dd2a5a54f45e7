//! What people ask of a run, and what they answer it.

use super::*;

impl Simulation {
    pub(super) fn asks(&mut self) {
        let (step, item) = (self.between(0, 6), self.between(0, 6));
        // Of steps with items it is the items that are asked for.
        let step = if item < 3 { format!("s{step}[{item}]") } else { format!("s{step}") };
        let order = match self.between(0, 8) {
            0 => Order::Pause,
            1..=3 => Order::Skip { step },
            4 | 5 => Order::Retry { step },
            6 => Order::Ungraceful,
            _ => Order::Unpause,
        };
        let owner = self.owners.len() - 1;
        let paused = self.state.is_paused();
        // Nobody leaves a run on hold for ever.
        let order = if paused { Order::Unpause } else { order };
        self.feed(owner, Input::Order(Asked { order, by: "ann".into(), why: "test".into() }));
        // Nor does somebody ask whom nobody hears.
        if self.state.is_paused() && self.owners[owner].lives {
            let later = self.now + self.between(1_000, 60_000);
            self.at(later, Happening::Asks);
        }
    }

    /// A step asks people: most of them answer in time, some with no.
    pub(super) fn asks_people(&mut self, owner: usize, task: u64) -> bool {
        let key = self.tasks[&task].key.clone();
        let question = Question { text: "go on?".into(), approvers: 1, starter: true, ..Question::default() };
        if !self.record(owner, Body::Step(StepEvent { step: key, kind: StepKind::Asked { question } })) {
            return false;
        }
        if self.between(0, 5) > 0 {
            let (at, yes) = (self.now + self.between(500, 40_000), self.between(0, 5) > 0);
            self.at(at, Happening::Says { task, yes });
        }
        true
    }

    pub(super) fn says(&mut self, number: u64, yes: bool) {
        let Some(task) = self.tasks.get(&number).filter(|task| !task.cut) else { return };
        let (owner, step) = (task.owner, task.key.clone());
        let kind = StepKind::Answered { yes, by: "ann".into(), note: String::new(), simulated: false, witness: Default::default() };
        if self.record(owner, Body::Step(StepEvent { step, kind })) {
            let no = || Failure::new(FailureKind::Check, "ann said no");
            self.end(number, if yes { Ok(0) } else { Err(no()) });
        }
    }
}
