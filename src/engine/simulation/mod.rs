//! Deterministic simulation: the machine with a toy world, virtual time and a seeded adversary.
//!
//! A seed decides everything: the plan with its items, patience, questions to people and steps that are left out without the source side; latencies, calls
//! that fail, hang, or whose answers are lost before or after their effect, effects that arrive long after nobody waits for them any more, owners that die
//! (with and without the unsynced tail of the journal), whose store fails or that are taken over while they still live, operators who skip, retry and answer
//! or do not, other people's changes, a reaper, samples that cannot tell, stop conditions that nobody can read, and services that do not survive being put
//! back. The machine is fed by what feeds it in the product: the orders of people and signals, and what the watch tells of samples. Afterwards everything must
//! be as before, or the journal must say what is not; and no run passes but by a good sample that was sent after its last change. After every input a run
//! that has not ended must wait for something that is there: a task, a wake, a person.
//!
//! `SIMULATION_SEED=17 cargo test --lib simulation -- --nocapture` replays one seed with its journal; `SIMULATION_SEEDS=0..1000000` runs a range.

mod check;
mod owners;
mod people;
mod story;
mod surroundings;
mod tasks;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::{Value, json};

use self::story::Story;
use super::action::{Applied, Planned, Undone};
use super::clock::RunClock;
use super::machine::{Effect, Follows, Input, Machine, Recovery, STUCK, Standing};
use super::probe::{DynProbe, Sample};
use super::tracker::Taken;
use super::watch::sampled::Sampled;
use super::watch::{Report, Watched};
use crate::model::event::step::StepKind;
use crate::model::event::{Body, Event, ProbeEvent, RunEvent, StepEvent};
use crate::model::expression;
use crate::model::failure::{Failure, FailureKind};
use crate::model::guard::{Decision, Outcome};
use crate::model::measure::{self, Measures};
use crate::model::order::{Asked, Order, Question};
use crate::model::plan::{ClientModel, Mode, Plan, ProbeState, Stage, StepPlan, Verdict};
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
    /// A person answers what a task asks.
    Says {
        task: u64,
        yes: bool,
    },
    Asks,
    Stops,
    Crashes,
    /// The store takes so many events more and no other.
    Fails {
        after: u32,
    },
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
    /// When it is to be woken.
    wakes: BTreeSet<Ms>,
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
struct ScriptedProbe;

impl DynProbe<()> for ScriptedProbe {
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
    /// How many events the store takes before it fails.
    room: Option<u32>,
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
            registers.extend(registers_of(step).into_iter().map(|name| (name, 0)));
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
            room: None,
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
        for _ in 0..self.story.failures {
            let (at, after) = (self.between(0, 90_000), u32::try_from(self.between(0, 8)).unwrap_or(0));
            self.at(at, Happening::Fails { after });
        }
        if self.story.zombie {
            let (at, go_on) = (self.between(5_000, 90_000), self.between(0, 2) == 0);
            self.at(at, Happening::TakesOver { go_on });
        }
        for _ in 0..self.between(0, 7) {
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
            Happening::Wakes(owner) => {
                let now = self.now;
                self.owners[owner].wakes.retain(|at| *at > now);
                self.feed(owner, Input::Wake);
            }
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
            Happening::Says { task, yes } => self.says(task, yes),
            Happening::Asks => self.asks(),
            Happening::Stops => {
                let order = if self.between(0, 2) == 0 { Order::Abort } else { Order::Stop };
                self.feed(self.owners.len() - 1, Input::Order(Asked { order, by: "signal".into(), why: "test".into() }));
            }
            Happening::Crashes => self.crashes(),
            Happening::Fails { after } => self.room = Some(after),
            Happening::TakesOver { go_on } => self.takes_over(go_on),
            Happening::Meddles => self.meddles(),
            Happening::Reaps => self.reaps(),
        }
    }
}

/// Whether an action changes anything.
fn mutates(uses: &str) -> bool {
    uses == "toy.change" || uses == "toy.fault"
}

fn is_reading(plan: &Plan, key: &str) -> bool {
    let id = key.split_once('/').map_or(key, |(_, id)| id).split('[').next().unwrap_or_default();
    let steps = plan.failover.steps.iter().chain(plan.failback.iter().flat_map(|runbook| &runbook.steps));
    steps.filter(|step| step.id == id).any(|step| !mutates(&step.uses))
}

/// The registers that a step of a plan is about: one of its own, or one for each of its items.
fn registers_of(step: &StepPlan) -> Vec<String> {
    match step.for_each.as_ref().and_then(|each| each.items.as_array()) {
        Some(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => vec![register_of(&step.with)],
    }
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
