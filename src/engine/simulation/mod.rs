//! Deterministic simulation: the machine with a toy world, virtual time and a seeded adversary.
//!
//! A seed decides everything: the plan, latencies, calls that fail, hang, or whose answers are lost before or after their effect, effects that arrive long
//! after nobody waits for them any more, owners that die (with and without the unsynced tail of the journal) or are taken over while they still live,
//! operators, other people's changes, a reaper, samples that cannot tell, stop conditions that nobody can read, and services that do not survive being put
//! back. The machine is fed by what feeds it in the product: the orders of people and signals, and what the watch tells of samples. Afterwards everything must
//! be as before, or the journal must say what is not; and no run passes but by a good sample that was sent after its last change.
//!
//! `SIMULATION_SEED=17 cargo test --lib simulation -- --nocapture` replays one seed with its journal; `SIMULATION_SEEDS=0..1000000` runs a range.

mod story;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::{Value, json};

use self::story::Story;
use super::action::{Applied, Planned, Undone};
use super::clock::RunClock;
use super::machine::{Effect, Input, Machine, Recovery, Standing};
use super::probe::{DynProbe, Sample};
use super::tracker::Taken;
use super::watch::sampled::Sampled;
use super::watch::{Report, Watched};
use crate::model::event::step::Target;
use crate::model::event::{Body, Event, ProbeEvent, RunEvent};
use crate::model::expression;
use crate::model::failure::{Failure, FailureKind};
use crate::model::guard::{Decision, Outcome};
use crate::model::measure::{self, Measures};
use crate::model::order::{Asked, Order};
use crate::model::plan::{ClientModel, Mode, ProbeState, Verdict};
use crate::model::state::{FAULT, RunState, Status};
use crate::model::time::Timestamp;

/// Milliseconds of virtual time.
type Ms = u64;

/// How long one call is waited for.
const CALL: Ms = 10_000;
/// The longest a change takes to arrive after it was sent.
const SLOWEST: Ms = 12_000;
/// How long a task that is to end waits for a change in hand.
const GRACE: Ms = 600;
/// How long after the end of a lease the reaper acts.
const REAPER: Ms = 30_000;
/// Somebody else's value: nobody may overwrite it.
const FOREIGN: i64 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plan,
    Read,
    Apply,
    Undo,
}

/// A task of an owner.
#[derive(Debug)]
struct Task {
    owner: usize,
    key: String,
    kind: Kind,
    register: String,
    to: i64,
    before: i64,
    cut: bool,
    in_hand: bool,
    /// Whether a change was in hand when it was cut off.
    torn: bool,
    /// Of a fault: until when its marks are to say that it may stand, or that they are to be taken off.
    mark: Option<Ms>,
    unmark: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A task has read what is there.
    HasRead(u64),
    /// A task hears what became of its change: done, or not.
    Hears(u64, bool),
    /// A task has waited long enough, or is torn.
    GivesUp(u64),
    /// A change arrives.
    Lands {
        register: String,
        over: i64,
        value: i64,
    },
    Wakes(usize),
    /// The guards have decided.
    Guards(usize),
    Renews {
        owner: usize,
        until: Ms,
    },
    /// A probe of an owner sends a sample.
    Samples(usize, usize),
    /// The answer is there: what it says, or that it cannot tell.
    Answers {
        owner: usize,
        probe: usize,
        number: u64,
        sent: Ms,
        good: Option<bool>,
    },
    /// The watch hears for which good sample an owner waits.
    Hearkens {
        owner: usize,
        probe: usize,
        after: Ms,
    },
    Asks,
    Stops,
    Crashes,
    TakesOver {
        go_on: bool,
    },
    Meddles,
    Reaps,
}

struct Owner {
    machine: Machine,
    began: Ms,
    epoch: u64,
    lives: bool,
    clock: RunClock,
    /// Its watch: one for each probe of the plan.
    watch: Vec<Sampled<()>>,
    told: BTreeMap<String, Standing>,
    /// When the latest sample was sent that said that the service is good, if the one before it did not say otherwise later.
    last_good: Option<Ms>,
    /// Whether it goes on where another left.
    took_over: bool,
    /// Whether the guards have let the fault be injected, for one attempt.
    leave: bool,
}

/// A probe whose samples are told by the simulation.
struct Told;

impl DynProbe<()> for Told {
    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        BTreeSet::new()
    }

    fn late(&self) -> Sample {
        Sample::bad("no answer within 1s")
    }

    fn is_on_duty(&self) -> bool {
        false
    }

    fn sample<'a>(&'a self, _: &'a ()) -> std::pin::Pin<Box<dyn Future<Output = Sample> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

struct Simulation {
    story: Story,
    seed: u64,
    now: Ms,
    number: u64,
    queue: BinaryHeap<Reverse<(Ms, u64, Happening)>>,
    tasks: BTreeMap<u64, Task>,
    owners: Vec<Owner>,
    registers: BTreeMap<String, i64>,
    /// Changes that were sent and have not arrived, by register.
    under_way: BTreeMap<String, u32>,
    /// The marks of the fault: until when it may stand.
    marks: Option<Ms>,
    events: Vec<Event>,
    durable: usize,
    state: RunState,
    finished: bool,
    /// When the abort was asked for, until the first undo.
    aborted: Option<Ms>,
    crashes: u32,
    /// Whether somebody else changed something.
    meddled: bool,
    /// When a change of the run arrived last.
    changed: Ms,
    /// Whether the service went down because something was put back.
    broken: bool,
    origin: tokio::time::Instant,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let story = Story::of(seed);
        let mut registers = BTreeMap::from([("fault".to_owned(), 0)]);
        for step in &story.plan.failover.steps {
            registers.insert(register_of(&step.with), 0);
        }
        if story.plan.failback.iter().flat_map(|back| &back.steps).any(|step| step.for_each.is_some()) {
            registers.extend(["x0", "x1"].map(|name| (name.to_owned(), 0)));
        }
        let crashes = story.crashes;
        Self {
            story,
            seed,
            now: 0,
            number: 0,
            queue: BinaryHeap::new(),
            tasks: BTreeMap::new(),
            owners: Vec::new(),
            registers,
            under_way: BTreeMap::new(),
            marks: None,
            events: Vec::new(),
            durable: 0,
            state: RunState::default(),
            finished: false,
            aborted: None,
            crashes,
            meddled: false,
            changed: 0,
            broken: false,
            origin: tokio::time::Instant::now(),
        }
    }

    fn chance(&mut self, in_a_hundred: u32) -> bool {
        self.now < self.story.calm_after && self.story.rng.random_ratio(in_a_hundred, 100)
    }

    fn between(&mut self, from: Ms, to: Ms) -> Ms {
        self.story.rng.random_range(from..to)
    }

    fn at(&mut self, at: Ms, happening: Happening) {
        self.number += 1;
        self.queue.push(Reverse((at, self.number, happening)));
    }

    fn run(&mut self) {
        let plan = self.story.plan.clone();
        let opening = RunEvent::Started {
            plan: Box::new(plan),
            plan_sha256: String::new(),
            tool: String::new(),
            operator: String::new(),
            host: String::new(),
            clock_error_ms: None,
            begun: None,
        };
        self.own(opening, Input::Start);
        for _ in 0..self.crashes {
            let at = self.between(0, 90_000);
            self.at(at, Happening::Crashes);
        }
        if self.story.zombie {
            let (at, go_on) = (self.between(5_000, 90_000), self.between(0, 2) == 0);
            self.at(at, Happening::TakesOver { go_on });
        }
        for _ in 0..self.between(0, 4) {
            let at = self.between(0, 120_000);
            self.at(at, Happening::Asks);
        }
        if self.between(0, 4) == 0 {
            let at = self.between(0, 90_000);
            self.at(at, Happening::Stops);
        }
        if self.between(0, 6) == 0 {
            let at = self.between(0, 90_000);
            self.at(at, Happening::Meddles);
        }
        self.at(20_000, Happening::Reaps);
        let mut steps = 0_u32;
        while let Some(Reverse((at, _, happening))) = self.queue.pop() {
            self.now = self.now.max(at);
            steps += 1;
            assert!(steps < 200_000, "seed {}: does not end: {:?} {:?}", self.seed, self.state.stage(), self.queue.peek());
            self.happen(happening);
        }
        assert!(self.finished, "seed {}: nobody brings it to its end", self.seed);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::HasRead(task) => self.has_read(task),
            Happening::Hears(task, well) => self.hears(task, well),
            Happening::GivesUp(task) => self.gives_up(task),
            Happening::Lands { register, over, value } => self.lands(&register, over, value),
            Happening::Wakes(owner) => self.feed(owner, Input::Wake),
            Happening::Guards(owner) => self.guards(owner),
            Happening::Renews { owner, until } => self.renews(owner, until),
            Happening::Samples(owner, probe) => self.samples(owner, probe),
            Happening::Answers { owner, probe, number, sent, good } => self.answers(owner, probe, number, sent, good),
            Happening::Hearkens { owner, probe, after } => {
                let own = &mut self.owners[owner];
                let after = own.clock.instant(Duration::from_millis(after - own.began));
                if let Some(report) = own.watch[probe].ask(after) {
                    self.reports(owner, report);
                }
            }
            Happening::Asks => self.asks(),
            Happening::Stops => {
                let order = if self.between(0, 2) == 0 { Order::Abort } else { Order::Stop };
                self.feed(self.owners.len() - 1, Input::Order(Asked { order, by: "signal".into(), why: "test".into() }));
            }
            Happening::Crashes => self.crashes(),
            Happening::TakesOver { go_on } => self.takes_over(go_on),
            Happening::Meddles => self.meddles(),
            Happening::Reaps => self.reaps(),
        }
    }

    // Owners

    fn own(&mut self, opening: RunEvent, input: Input) {
        let epoch = self.owners.len() as u64 + 1;
        let machine = Machine::new(Arc::new(self.story.plan.clone()), |uses| uses != "toy.read");
        let clock = RunClock::simulated(self.origin, Duration::from_millis(self.now));
        let watched = |probe: &crate::model::plan::ProbePlan| Watched {
            id: probe.id.clone(),
            probe: Arc::new(Told) as Arc<dyn DynProbe<()>>,
            every: probe.every.duration(),
            while_bad: None,
            bad_after: probe.bad_after,
            good_after: probe.good_after,
        };
        let watch: Vec<Sampled<()>> = self.story.plan.probes.iter().map(|probe| Sampled::new(watched(probe), clock)).collect();
        let probes = watch.len();
        let took_over = !matches!(input, Input::Start);
        self.owners.push(Owner {
            machine,
            began: self.now,
            epoch,
            lives: true,
            clock,
            watch,
            told: BTreeMap::new(),
            last_good: None,
            took_over,
            leave: false,
        });
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
    fn record(&mut self, owner: usize, body: Body) -> bool {
        if owner + 1 != self.owners.len() {
            self.owners[owner].lives = false;
            return false;
        }
        if matches!(&body, Body::Run(RunEvent::StopRequested { abort: true, .. }))
            && !self.state.held().is_empty()
            // Where taking back has begun, it goes on in its own time.
            && self.state.steps.values().all(|step| step.undoing.is_none())
        {
            self.aborted.get_or_insert(self.now);
        }
        let durable = body.is_durable();
        let event = Event {
            v: 1,
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
        true
    }

    fn feed(&mut self, owner: usize, input: Input) {
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
    }

    fn perform(&mut self, owner: usize, effect: Effect) -> bool {
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
                assert!(uses == "toy.read" || has_intent, "seed {}: {key} changes something without an intent", self.seed);
                let rejoins = key == FAULT && step.status == Status::Applied;
                // An owner that was taken over notices it at its next record; until then it may read what its successor has read.
                let reads = uses == "toy.read";
                let is_let = key != FAULT || rejoins || std::mem::take(&mut self.owners[owner].leave);
                assert!(is_let, "seed {}: injected without leave", self.seed);
                assert!(!step.applied || rejoins || reads, "seed {}: {key} was done and is done again", self.seed);
                let mark = lease.map(|lease| self.now + ms(lease));
                let task = self.begin(owner, key, Kind::Apply, &with, before.as_i64().unwrap_or(0), timeout);
                self.tasks.entry(task).and_modify(|task| task.mark = mark);
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
            Effect::Wake(at) => self.at(self.owners[owner].began + ms(at), Happening::Wakes(owner)),
            Effect::Refused(_) => {}
            Effect::Finish => self.finish(owner),
            Effect::Leave => unreachable!("its journal can always be written"),
        }
        true
    }

    fn finish(&mut self, owner: usize) {
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
        self.finished = true;
        self.queue.retain(|Reverse((_, _, happening))| matches!(happening, Happening::Lands { .. } | Happening::TakesOver { .. }));
    }

    // Tasks

    fn begin(&mut self, owner: usize, key: String, kind: Kind, with: &Value, before: i64, timeout: Duration) -> u64 {
        let overlaps = self.tasks.values().any(|task| task.owner == owner && task.key == key && task.kind != Kind::Read);
        assert!(!overlaps, "seed {}: two tasks of {key} at once", self.seed);
        let register = register_of(with);
        let to = with["to"].as_i64().unwrap_or(1);
        let ends = self.now + ms(timeout);
        let hangs = self.chance(self.story.hostility / 4);
        let answers = self.now + self.between(5, 400);
        self.number += 1;
        let number = self.number;
        self.tasks
            .insert(number, Task { owner, key, kind, register, to, before, cut: false, in_hand: false, torn: false, mark: None, unmark: false });
        if hangs {
            self.at(ends.min(self.now + CALL), Happening::GivesUp(number));
        } else {
            self.at(answers, Happening::HasRead(number));
        }
        self.at(ends, Happening::GivesUp(number));
        number
    }

    fn has_read(&mut self, number: u64) {
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
    fn between_or(&mut self, deadline: Ms) -> Ms {
        if self.between(0, 2) == 0 { self.between(5, 500) } else { deadline }
    }

    fn hears(&mut self, number: u64, well: bool) {
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

    fn gives_up(&mut self, number: u64) {
        let Some(task) = self.tasks.get(&number) else { return };
        let failure = if task.cut {
            Failure { ambiguous: task.torn, ..Failure::new(FailureKind::Cancelled, "cut off") }
        } else {
            Failure { retry: true, ambiguous: true, ..Failure::new(FailureKind::Timeout, "not done in time") }
        };
        let Some(task) = self.tasks.remove(&number) else { return };
        self.tell(task, Err(failure));
    }

    fn cancel(&mut self, owner: usize, key: &str) {
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

    fn end(&mut self, number: u64, result: Result<i64, Failure>) {
        let Some(task) = self.tasks.remove(&number) else { return };
        // What a call in hand says to a task that is cut off, nobody hears.
        let cut = || Failure { ambiguous: task.torn, ..Failure::new(FailureKind::Cancelled, "cut off") };
        let result = if task.cut { Err(cut()) } else { result };
        if task.unmark && result.is_ok() {
            self.marks = None;
        }
        self.tell(task, result);
    }

    fn tell(&mut self, task: Task, result: Result<i64, Failure>) {
        let Task { owner, key, kind, register, to, .. } = task;
        let planned = |is: i64| {
            let change = if is == to { "" } else { "changes" };
            let planned = Planned::new(json!(is), vec![Target::new("register", &register, change)], vec![]);
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

    // The world

    fn lands(&mut self, register: &str, over: i64, value: i64) {
        if let Some(count) = self.under_way.get_mut(register) {
            *count = count.saturating_sub(1);
        }
        let foreign = self.registers.get(register) == Some(&FOREIGN);
        assert!(!foreign || [over, value].contains(&FOREIGN), "seed {}: {register} was overwritten", self.seed);
        if register == "fault" && value == 1 {
            assert!(self.marks.is_some(), "seed {}: the fault stands without marks", self.seed);
        }
        let was = self.registers.insert(register.to_owned(), value);
        if was != Some(value) {
            self.changed = self.now;
            self.broken |= self.story.fragile && register != "fault" && value == 0;
        }
    }

    fn is_good(&self) -> bool {
        if self.broken {
            return false;
        }
        let led = self.story.plan.failover.steps.last().is_some_and(|last| self.registers.get(&register_of(&last.with)) == Some(&1));
        self.registers.get("fault") == Some(&0) || led
    }

    fn samples(&mut self, owner: usize, probe: usize) {
        if !self.owners[owner].lives || owner + 1 != self.owners.len() {
            return;
        }
        let Some(number) = self.owners[owner].watch[probe].send(0) else { return };
        let trouble = self.story.trouble.clone().filter(|(when, _)| probe == 1 && when.contains(&self.now));
        let good = match trouble {
            Some((_, is_blind)) => (!is_blind).then_some(false),
            None if self.chance(self.story.blindness) => None,
            None if probe == 1 => Some(true),
            None => Some(self.is_good()),
        };
        let (sent, answered) = (self.now, self.now + self.between(1, 900));
        self.at(answered, Happening::Answers { owner, probe, number, sent, good });
        let every = ms(self.story.plan.probes[probe].every.duration());
        self.at(self.now + every, Happening::Samples(owner, probe));
    }

    fn answers(&mut self, owner: usize, probe: usize, number: u64, sent: Ms, good: Option<bool>) {
        let now = self.now;
        let own = &mut self.owners[owner];
        let at = |ms: Ms| own.clock.instant(Duration::from_millis(ms - own.began));
        let sample = match good {
            Some(true) => Sample::good("good"),
            Some(false) => Sample::bad("bad"),
            None => Sample::unknown("cannot tell"),
        };
        if probe == 0 && good == Some(true) {
            own.last_good = own.last_good.max(Some(sent));
        }
        let taken = Taken { sent: at(sent), done: at(now), late: false, sample };
        if let Some(report) = own.watch[probe].answered(number, taken, |_| {}).report {
            self.reports(owner, report);
        }
    }

    /// As the shell does with what the watch tells.
    fn reports(&mut self, owner: usize, report: Report) {
        if !self.owners[owner].lives {
            return;
        }
        let Report { probe, events, standing } = report;
        for kind in events {
            if !self.record(owner, Body::Probe(ProbeEvent { probe: probe.clone(), kind })) {
                return;
            }
        }
        let own = &mut self.owners[owner];
        let Some(standing) = standing else { return };
        let standing = Standing::told(&standing, own.clock);
        if own.told.get(&probe) != Some(&standing) {
            own.told.insert(probe.clone(), standing.clone());
            self.feed(owner, Input::Probe(probe, standing));
        }
    }

    /// Before the fault: every stop condition is watched, and none holds.
    fn assert_watched(&self, owner: usize) {
        for condition in &self.story.plan.stop_conditions {
            let told = self.owners[owner].told.get(&condition.probe);
            let is_well = told.is_some_and(|told| told.state == Some(ProbeState::Good) && told.good.is_some());
            assert!(is_well, "seed {}: injected although {} is {told:?}", self.seed, condition.probe);
        }
    }

    fn guards(&mut self, owner: usize) {
        let refuses = Decision { guard: "windows".into(), outcome: Outcome::Refuses, detail: "closed by now".into(), overridden: None };
        let ruling = match self.between(0, 40) {
            0 => Ok(vec![refuses]),
            1 => Err("no answer".to_owned()),
            _ => Ok(Vec::new()),
        };
        self.owners[owner].leave = ruling.as_ref().is_ok_and(Vec::is_empty);
        self.feed(owner, Input::Guarded(ruling));
    }

    fn renews(&mut self, owner: usize, until: Ms) {
        let result = if self.chance(self.story.hostility / 2) {
            Err(Failure { retry: true, ..Failure::new(FailureKind::Cloud, "throttled") })
        } else if self.marks.is_none() {
            Err(Failure::new(FailureKind::Conflict, "the marks are gone"))
        } else {
            // A renewal of an owner that is gone may still arrive: never later than what a living one wrote.
            self.marks = self.marks.max(Some(until));
            Ok(stamp(until))
        };
        self.feed(owner, Input::Renewed(result));
    }

    fn asks(&mut self) {
        let step = format!("s{}", self.between(0, 6));
        let order = match self.between(0, 5) {
            0 => Order::Pause,
            1 => Order::Skip { step },
            2 => Order::Retry { step },
            3 => Order::Ungraceful,
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

    fn meddles(&mut self) {
        let names: Vec<String> = self.registers.keys().filter(|name| *name != "fault").cloned().collect();
        let Some(name) = names.get(usize::try_from(self.between(0, names.len().max(1) as u64)).unwrap_or(0)) else { return };
        // Whoever changes something between another one's look and the arrival of its change is overwritten on every cloud.
        let busy = self.under_way.get(name).is_some_and(|count| *count > 0) || self.tasks.values().any(|task| task.register == *name);
        if busy {
            self.at(self.now + 100, Happening::Meddles);
        } else {
            self.registers.insert(name.clone(), FOREIGN);
            self.meddled = true;
        }
    }

    fn reaps(&mut self) {
        if self.marks.is_some_and(|until| self.now > until + REAPER) && self.under_way.get("fault").is_none_or(|count| *count == 0) {
            self.registers.insert("fault".into(), 0);
            self.marks = None;
        }
        if !self.finished {
            self.at(self.now + 20_000, Happening::Reaps);
        }
    }

    fn crashes(&mut self) {
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
        let (at, go_on) = (self.now + self.between(0, 200_000), self.between(0, 2) == 0);
        self.at(at, Happening::TakesOver { go_on });
    }

    fn takes_over(&mut self, go_on: bool) {
        if self.state.start.is_none() || (go_on && self.state.ended.is_some()) || (self.state.ended.is_some() && self.state.held().is_empty()) {
            return;
        }
        self.finished = false;
        let opening = RunEvent::Resumed { to: if go_on { "resume" } else { "abort" }.into(), by: String::new(), patience: None };
        let input = if go_on {
            let left = super::machine::lease_left(&self.state, stamp(self.now));
            Input::Resume(Box::new(self.state.clone()), left)
        } else {
            Input::Recover(Recovery::of(&self.state))
        };
        self.own(opening, input);
        if self.state.is_paused() {
            self.at(self.now + 30_000, Happening::Asks);
        }
    }

    /// Everything as before, or the journal says what is not.
    fn check(&self) {
        let (seed, state, plan) = (self.seed, &self.state, &self.story.plan);
        let end = state.ended.as_ref().unwrap_or_else(|| panic!("seed {seed}: no end"));
        let aborted = state.stops.iter().any(|stop| stop.abort) || state.resumed.iter().any(|takeover| takeover.to == "abort");
        let stays = !aborted && (plan.leave || plan.mode == Mode::Emergency || !state.stops.is_empty());
        let differs: Vec<(&String, i64)> = self
            .registers
            .iter()
            .filter(|(name, value)| **value != 0 && **value != FOREIGN && (!stays || *name == "fault"))
            .map(|(name, value)| (name, *value))
            .collect();
        let said: BTreeSet<String> = state
            .steps
            .iter()
            .filter(|(_, step)| step.status == Status::UndoFailed)
            .map(|(key, _)| key.clone())
            .chain(state.baseline.iter().flat_map(|baseline| baseline.differences.iter().map(|one| one.step.clone())))
            .collect();
        for (name, value) in differs {
            let keys: Vec<&String> = state
                .steps
                .iter()
                .filter(|(_, step)| step.intent.as_ref().is_some_and(|intent| register_of(&intent.with) == *name))
                .map(|(key, _)| key)
                .collect();
            assert!(keys.iter().any(|key| said.contains(*key)), "seed {seed}: {name} is {value} and nobody says so: {keys:?}");
            // A failback of its own stays where it led, and is said not to be as before.
            let stays = name.starts_with('x') && keys.iter().any(|key| state.step(key).is_some_and(|step| step.applied));
            let excused = stays || self.meddled || state.steps.values().any(|step| step.undo_failure.is_some());
            assert!(excused, "seed {seed}: {name} is {value} although nothing stood in the way");
            assert_ne!(end.verdict, Verdict::Pass, "seed {seed}: {name} is {value} and the run passed");
        }
    }
}

fn is_reading(plan: &crate::model::plan::Plan, key: &str) -> bool {
    let id = key.split_once('/').map_or(key, |(_, id)| id);
    let steps = plan.failover.steps.iter().chain(plan.failback.iter().flat_map(|runbook| &runbook.steps));
    steps.filter(|step| step.id == id).any(|step| step.uses == "toy.read")
}

fn register_of(with: &Value) -> String {
    with["register"].as_str().unwrap_or("?").to_owned()
}

fn ms(duration: Duration) -> Ms {
    u64::try_from(duration.as_millis()).unwrap_or(Ms::MAX)
}

fn stamp(now: Ms) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(now).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// Runs the seeds of a range; gives those that fail. Of a single one, prints the journal.
#[expect(clippy::print_stdout, reason = "a seed is replayed to be read")]
fn run(seeds: std::ops::Range<u64>) -> Vec<u64> {
    let loud = seeds.end - seeds.start == 1;
    let fails = |seed: &u64| {
        let seed = *seed;
        let outcome = std::panic::catch_unwind(|| {
            let mut simulation = Simulation::new(seed);
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                simulation.run();
                simulation.check();
            }));
            if loud {
                for event in &simulation.events {
                    println!("{:>8} {}", event.at.as_nanos() / 1_000_000, serde_json::to_string(&event.body).unwrap_or_default());
                }
                println!("registers {:?}, marks {:?}, now {}", simulation.registers, simulation.marks, simulation.now);
            }
            done
        });
        !matches!(outcome, Ok(Ok(())))
    };
    seeds.filter(fails).collect()
}

#[test]
fn nothing_is_left_that_the_journal_does_not_name_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let range = std::env::var("SIMULATION_SEEDS").ok().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse::<u64>().ok()?..to.parse::<u64>().ok()?)
    });
    let seeds = match (number("SIMULATION_SEED"), range) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(range)) => range,
        (None, None) => 0..10_000,
    };
    let (threads, length) = (std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64, seeds.end - seeds.start);
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let (from, to) = (seeds.start + length * worker / threads, seeds.start + length * (worker + 1) / threads);
            std::thread::spawn(move || run(from..to))
        })
        .collect();
    let failed: Vec<u64> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    let replay = "each is replayed by SIMULATION_SEED=… cargo test --lib simulation -- --nocapture";
    assert!(failed.is_empty(), "{} of {length} seeds fail: {failed:?}; {replay}", failed.len());
}
