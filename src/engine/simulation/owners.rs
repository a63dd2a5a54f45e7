//! The owners of a run: what they journal, what they perform, how they die and who comes after them.

use super::*;

impl Simulation {
    pub(super) fn own(&mut self, opening: RunEvent, input: Input) {
        let epoch = self.owners.len() as u64 + 1;
        let machine = Machine::new(Arc::new(self.story.plan.clone()), mutates);
        let clock = RunClock::simulated(self.origin, Duration::from_millis(self.now));
        let watched = |probe: &crate::model::plan::ProbePlan| Watched {
            id: probe.id.clone(),
            probe: Arc::new(ScriptedProbe) as Arc<dyn DynProbe<()>>,
            every: probe.every.duration(),
            while_bad: None,
            bad_after: probe.bad_after,
            good_after: probe.good_after,
        };
        let watch: Vec<Sampled<()>> = self.story.plan.probes.iter().map(|probe| Sampled::new(watched(probe), clock)).collect();
        let probes = watch.len();
        let took_over = !matches!(input, Input::Start);
        let (began, told, wakes) = (self.now, BTreeMap::new(), BTreeSet::new());
        self.owners.push(Owner { machine, began, epoch, lives: true, wakes, clock, watch, told, last_good: None, took_over, leave: false });
        let owner = self.owners.len() - 1;
        self.aborted = None;
        if self.record(owner, Body::Run(opening)) {
            self.feed(owner, input);
            for probe in 0..probes {
                let at = self.now + self.between(1, 1_000);
                self.at(at, Happening::Samples(owner, probe));
            }
        }
    }

    /// False when another owner was there first: this one writes nothing and starts nothing any more.
    pub(super) fn record(&mut self, owner: usize, body: Body) -> bool {
        if owner + 1 != self.owners.len() {
            self.owners[owner].lives = false;
            return false;
        }
        let is_stuck = matches!(&body, Body::Run(RunEvent::Note { text }) if text.starts_with(STUCK));
        assert!(!is_stuck, "seed {}: {body:?}", self.seed);
        if let Some(room) = self.room {
            self.room = room.checked_sub(1);
            if self.room.is_none() {
                self.store_fails(owner, body);
                return false;
            }
        }
        self.keep(owner, body);
        true
    }

    fn keep(&mut self, owner: usize, body: Body) {
        if matches!(&body, Body::Run(RunEvent::StopRequested { abort: true, .. }))
            && !self.state.held().is_empty()
            // Where taking back has begun, it goes on in its own time.
            && self.state.steps.values().all(|step| step.undoing.is_none())
        {
            self.aborted.get_or_insert(self.now);
        }
        let durable = body.is_durable();
        let event = Event {
            v: crate::model::format::Format::Journal.current(),
            seq: self.state.seq + 1,
            run: "r".into(),
            id: String::new(),
            owner: String::new(),
            epoch: self.owners[owner].epoch,
            at: stamp(self.now),
            body,
        };
        if let Err(error) = self.state.apply(&event) {
            panic!("seed {}: {error}: {event:?}", self.seed);
        }
        self.events.push(event);
        if durable {
            self.durable = self.events.len();
        }
    }

    /// What cannot be journalled is not done. Whether the event that the store refused is in the journal all the same, its owner does not know.
    fn store_fails(&mut self, owner: usize, body: Body) {
        if self.between(0, 2) == 0 {
            self.keep(owner, body);
        }
        self.owners[owner].lives = false;
        // What was sent arrives; nothing more is.
        self.tasks.retain(|_, task| task.owner != owner);
        if self.state.ended.is_some() {
            return self.is_over();
        }
        self.somebody_takes_over();
    }

    fn somebody_takes_over(&mut self) {
        let (at, go_on) = (self.now + self.between(0, 200_000), self.between(0, 2) == 0);
        self.at(at, Happening::TakesOver { go_on });
    }

    /// The run has its end in the journal.
    fn is_over(&mut self) {
        self.finished = true;
        self.queue.retain(|Reverse((_, _, happening))| matches!(happening, Happening::Lands { .. } | Happening::TakesOver { .. }));
        // Whoever stopped an emergency, or saw it fail, may go on with it.
        if self.state.may_go_on() && self.state.resumed.len() < 3 && self.between(0, 3) == 0 {
            let at = self.now + self.between(20_000, 200_000);
            self.at(at, Happening::TakesOver { go_on: true });
        }
    }

    pub(super) fn feed(&mut self, owner: usize, input: Input) {
        if !self.owners[owner].lives {
            return;
        }
        let own = &mut self.owners[owner];
        let effects = own.machine.handle(Duration::from_millis(self.now - own.began), input);
        for effect in effects {
            if !self.perform(owner, effect) {
                return;
            }
        }
        self.goes_on(owner);
    }

    /// What the machine says that it waits for is there to be waited for.
    fn goes_on(&self, owner: usize) {
        let own = &self.owners[owner];
        // Of one that was taken over and does not know it yet, the journal says nothing any more.
        if !own.lives || own.machine.has_ended() || owner + 1 != self.owners.len() {
            return;
        }
        let comes = |one: &Follows| match one {
            Follows::Call(key) => self.tasks.values().any(|task| task.owner == owner && task.key == *key),
            Follows::Moment(at) => own.wakes.iter().any(|wake| self.now < *wake && *wake <= own.began + ms(*at)),
            Follows::Person => self.state.is_paused(),
            Follows::Guards => self.queue.iter().any(|Reverse((_, _, next))| *next == Happening::Guards(owner)),
            Follows::Probe => self.state.stage() == Some(Stage::Inject),
        };
        let follows = own.machine.follows();
        let vain: Vec<&Follows> = follows.iter().filter(|one| !comes(one)).collect();
        assert!(!follows.is_empty() && vain.is_empty(), "seed {}: waits in vain for {vain:?} of {follows:?} at {}", self.seed, self.now);
    }

    pub(super) fn perform(&mut self, owner: usize, effect: Effect) -> bool {
        match effect {
            Effect::Record(body) => return self.record(owner, body),
            Effect::Plan { key, with, scope, timeout, .. } => {
                if key == FAULT && !self.owners[owner].took_over {
                    self.assert_watched(owner);
                }
                let with = expression::resolve(&with, &scope).unwrap_or(with);
                self.begin(owner, key, Kind::Plan, &with, 0, timeout);
            }
            Effect::Read { key, with, timeout, .. } => {
                self.begin(owner, key, Kind::Read, &with, 0, timeout);
            }
            Effect::Apply { key, uses, with, before, timeout, lease } => {
                let step = &self.state.steps[&key];
                let has_intent = step.intent.as_ref().is_some_and(|intent| intent.seq as usize <= self.durable);
                assert!(!mutates(&uses) || has_intent, "seed {}: {key} changes something without an intent", self.seed);
                let rejoins = key == FAULT && step.status == Status::Applied;
                // An owner that was taken over notices it at its next record; until then it may read what its successor has read.
                let reads = uses == "toy.read";
                let is_let = key != FAULT || rejoins || std::mem::take(&mut self.owners[owner].leave);
                assert!(is_let, "seed {}: injected without leave", self.seed);
                assert!(!step.applied || rejoins || reads, "seed {}: {key} was done and is done again", self.seed);
                let mark = lease.map(|lease| self.now + ms(lease));
                let task = self.begin(owner, key, Kind::Apply, &with, before.as_i64().unwrap_or(0), timeout);
                self.tasks.entry(task).and_modify(|task| task.mark = mark);
                if uses == "approval" {
                    return self.asks_people(owner, task);
                }
            }
            Effect::Undo { key, with, before, timeout, fault, .. } => {
                assert!(self.state.steps[&key].intent.is_some(), "seed {}", self.seed);
                if let Some(asked) = self.aborted.take() {
                    assert!(self.now - asked <= 1_000, "seed {}: the first undo comes {} ms after the abort", self.seed, self.now - asked);
                }
                let task = self.begin(owner, key, Kind::Undo, &with, before.as_i64().unwrap_or(0), timeout);
                self.tasks.entry(task).and_modify(|task| task.unmark = fault);
            }
            Effect::Renew { lease, .. } => {
                let (at, until) = (self.now + self.between(1, 3_000), self.now + ms(lease));
                self.at(at, Happening::Renews { owner, until });
            }
            Effect::Ask { probe, after } => {
                let probe = self.story.plan.probes.iter().position(|one| one.id == probe).expect("the plan has it");
                let (at, after) = (self.now + self.between(0, 20), self.owners[owner].began + ms(after));
                self.at(at, Happening::Hearkens { owner, probe, after });
            }
            Effect::AskGuards { .. } => {
                let at = self.now + self.between(0, 3_000);
                self.at(at, Happening::Guards(owner));
            }
            Effect::Cancel(key) => self.cancel(owner, &key),
            Effect::Wake(at) => {
                let at = self.owners[owner].began + ms(at);
                self.owners[owner].wakes.insert(at.max(self.now + 1));
                self.at(at.max(self.now + 1), Happening::Wakes(owner));
            }
            Effect::Refused(_) => {}
            Effect::Finish => self.finish(owner),
            Effect::Leave => unreachable!("its journal can always be written"),
        }
        true
    }

    pub(super) fn finish(&mut self, owner: usize) {
        let (verdict, reasons) = measure::judge(&self.state, &Measures::of(&self.state));
        let reasons = reasons.iter().map(ToString::to_string).collect();
        if verdict == Verdict::Pass && self.state.earlier_end.is_none() {
            let seen = self.owners[owner].last_good;
            assert!(
                seen >= Some(self.changed),
                "seed {}: passed by what was seen at {seen:?}, before its last change at {}",
                self.seed,
                self.changed
            );
        }
        if !self.record(owner, Body::Run(RunEvent::Ended { verdict, reasons })) {
            return;
        }
        self.owners[owner].lives = false;
        self.is_over();
    }

    pub(super) fn crashes(&mut self) {
        let owner = self.owners.len() - 1;
        if !self.owners[owner].lives {
            return;
        }
        self.owners[owner].lives = false;
        self.tasks.retain(|_, task| task.owner != owner);
        if self.between(0, 2) == 0 {
            self.events.truncate(self.durable);
        }
        self.state = RunState::from_events(&self.events).unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        self.somebody_takes_over();
    }

    pub(super) fn takes_over(&mut self, go_on: bool) {
        let has_ended = self.state.ended.is_some();
        let nothing_to_do = if go_on { has_ended && !self.state.may_go_on() } else { has_ended && self.state.held().is_empty() };
        if self.state.start.is_none() || nothing_to_do {
            return;
        }
        self.finished = false;
        let opening = RunEvent::Resumed { to: if go_on { "resume" } else { "abort" }.into(), by: String::new(), patience: None, tool: String::new() };
        let input = if go_on {
            let left = super::super::machine::lease_left(&self.state, stamp(self.now));
            let mut found = self.state.clone();
            if has_ended {
                found.reopen();
            }
            Input::Resume(Box::new(found), left)
        } else {
            Input::Recover(Recovery::of(&self.state))
        };
        self.own(opening, input);
        if self.state.is_paused() {
            self.at(self.now + 30_000, Happening::Asks);
        }
    }
}
