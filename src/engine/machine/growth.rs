//! How the work of a run grows with it. Not timed: what is counted is how often the machine looks at a step or at a change, and how many bytes it hands to whoever performs what it
//! decides. A run of ten times as many steps may take ten times as much of either, and a little for what is sorted.

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};

use serde_json::json;

use super::tests::{plan, step};
use super::*;
use crate::engine::action::Applied;
use crate::model::event::Event;
use crate::model::failure::FailureKind;
use crate::model::format::Format;
use crate::model::order::Order;
use crate::model::plan::{ForEach, Mode, OnFailure, ProbePlan, Recovered, Retry, Source, SteadyState, StepPlan, StopCondition};
use crate::model::state::undo;
use crate::model::target::{Change, Target, TargetKind};
use crate::model::text::Text;
use crate::model::time::Span;

thread_local! {
    /// How often a step was looked at by this thread.
    pub(super) static LOOKS: Cell<u64> = const { Cell::new(0) };
}

/// The greatest exponent by which work may grow.
const EXPONENT: f64 = 1.1;
/// The steps of the smaller of the two runs that are held against each other.
const FEW: usize = 60;

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// An emergency: everything goes well and stays.
    Stays,
    /// A drill: everything goes well and is put back.
    PutBack,
    /// Each first attempt fails.
    TriedAgain,
    /// A step in the middle fails.
    Fails,
    /// Somebody stops it in the middle, and what it did stays.
    Stopped,
    /// Somebody aborts it in the middle.
    Aborted,
    /// Its owner dies in the middle, and another goes on.
    Resumed,
    /// Its owner dies in the middle, and another takes everything back, which fails for each step.
    Stuck,
    /// Nobody hears of the end of each first attempt, and everything is put back: each may still arrive.
    Late,
}

const COURSES: [Course; 9] = [
    Course::Stays,
    Course::PutBack,
    Course::TriedAgain,
    Course::Fails,
    Course::Stopped,
    Course::Aborted,
    Course::Resumed,
    Course::Stuck,
    Course::Late,
];

/// Runs a machine to its end, each call in hand until those before it have ended.
struct Rig {
    plan: Arc<Plan>,
    machine: Machine,
    course: Course,
    /// How many steps change something.
    steps: usize,
    state: RunState,
    epoch: u64,
    now: u64,
    calls: VecDeque<Input>,
    tried: BTreeMap<String, u32>,
    applied: usize,
    bytes: usize,
    finished: bool,
    /// Each of them says at every moment that it is good.
    probes: Vec<String>,
}

impl Rig {
    fn over(plan: Plan, course: Course, steps: usize) -> Self {
        let plan = Arc::new(plan);
        let mut rig = Self {
            machine: Machine::new(plan.clone(), |_| true),
            plan: plan.clone(),
            course,
            steps,
            state: RunState::default(),
            epoch: 1,
            now: 0,
            calls: VecDeque::new(),
            tried: BTreeMap::new(),
            applied: 0,
            bytes: 0,
            finished: false,
            probes: Vec::new(),
        };
        rig.record(Body::Run(RunEvent::Started {
            plan: Box::new((*plan).clone()),
            plan_sha256: String::new(),
            tool: String::new(),
            operator: String::new(),
            host: String::new(),
            clock_error_ms: None,
            begun: None,
        }));
        rig
    }

    fn record(&mut self, body: Body) {
        let (seq, at) = (self.state.seq + 1, Timestamp::from_nanos(i64::try_from(self.now).unwrap() * 1_000_000_000));
        let event =
            Event { v: Format::Journal.current(), seq, run: "r".into(), id: String::new(), owner: String::new(), epoch: self.epoch, at, body };
        self.state.apply(&event).unwrap_or_else(|error| panic!("{error}: {event:?}"));
    }

    /// The looks and the bytes that the run takes.
    fn run(mut self) -> (u64, usize) {
        LOOKS.set(0);
        undo::LOOKS.set(0);
        self.feed(Input::Start);
        while !self.finished {
            match self.calls.pop_front() {
                Some(input) => self.feed(input),
                None => {
                    self.now += 1;
                    assert!(self.now < 5_000, "{:?} does not end: {:?}", self.course, self.machine.phase);
                    self.feed(Input::Wake);
                    let now = Duration::from_secs(self.now);
                    let said: Vec<Input> = self.probes.iter().map(|probe| good(probe, now)).collect();
                    said.into_iter().for_each(|input| self.feed(input));
                }
            }
        }
        // Whoever reads the journal asks this of it.
        let held = self.state.held().len();
        let stays = matches!(self.course, Course::Stays | Course::Stopped | Course::Stuck | Course::TriedAgain | Course::Fails | Course::Resumed);
        assert_eq!(held > 0, stays, "{:?}", self.course);
        (LOOKS.get() + undo::LOOKS.get(), self.bytes)
    }

    fn feed(&mut self, input: Input) {
        for effect in self.machine.handle(Duration::from_secs(self.now), input) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Record(body) => self.record(body),
            Effect::Plan { key, with, scope, .. } => {
                self.bytes += size(&with) + size(&scope);
                let target = thing(&key).changing(Change::read("was → made"));
                self.calls.push_back(Input::Planned(key, Ok((Planned::new(json!("was"), vec![target], vec![]), with))));
            }
            Effect::Read { key, with, scope, .. } => {
                self.bytes += size(&with) + size(&scope);
                let target = thing(&key);
                self.calls.push_back(Input::Read(key, Ok((Planned::new(json!("was"), vec![target], vec![]), with))));
            }
            Effect::Apply { key, with, .. } => {
                self.bytes += size(&with);
                self.apply(key);
            }
            Effect::Undo { key, with, .. } => {
                self.bytes += size(&with);
                let stuck = Failure::new(FailureKind::Conflict, "changed by someone else");
                let undone = if self.course == Course::Stuck { Err(stuck) } else { Ok(Undone::Restored) };
                self.calls.push_back(Input::Undone(key, undone));
            }
            Effect::Cancel(key) => {
                // Whatever of it was in hand ends as cut off.
                let of = |input: &Input| matches!(input, Input::Planned(other, _) | Input::Applied(other, ..) if *other == key);
                if let Some(call) = self.calls.iter_mut().find(|input| of(input)) {
                    let failure = Failure::new(FailureKind::Cancelled, "cut off");
                    *call = match call {
                        Input::Planned(..) => Input::Planned(key, Err(failure)),
                        _ => Input::Applied(key, Err(failure), None),
                    };
                }
            }
            Effect::Finish => self.finished = true,
            Effect::Wake(_) => {}
            // What is asked for is answered at once: every probe is good.
            Effect::Ask { probe, after } => self.calls.push_back(good(&probe, after)),
            Effect::AskGuards { .. } => self.calls.push_back(Input::Guarded(Ok(Vec::new()))),
            other => panic!("{other:?} is none of it"),
        }
    }

    fn apply(&mut self, key: String) {
        let tries = self.tried.entry(key.clone()).or_default();
        *tries += 1;
        let again = Failure { retry: true, ..Failure::new(FailureKind::Cloud, "later") };
        let result = match self.course {
            Course::TriedAgain if *tries == 1 => Err(again),
            Course::Late if *tries == 1 => Err(Failure { ambiguous: true, ..Failure::new(FailureKind::Timeout, "no answer") }),
            Course::Fails if self.applied == self.steps / 2 => Err(Failure::new(FailureKind::Check, "no")),
            _ => Ok(Applied::changed(json!({ "made": key }))),
        };
        self.applied += usize::from(result.is_ok());
        self.calls.push_back(Input::Applied(key, result, None));
        if self.applied != self.steps / 2 {
            return;
        }
        self.applied += 1;
        let order = |order| Input::Order(Asked { order, by: "ann".into(), why: "because".into() });
        match self.course {
            Course::Stopped => self.calls.push_back(order(Order::Stop)),
            Course::Aborted => self.calls.push_back(order(Order::Abort)),
            Course::Resumed | Course::Stuck => self.take_over(),
            _ => {}
        }
    }

    /// What it was about to hear nobody hears any more.
    fn take_over(&mut self) {
        self.calls.clear();
        self.epoch += 1;
        self.machine = Machine::new(self.plan.clone(), |_| true);
        let goes_on = self.course == Course::Resumed;
        let to = if goes_on { "resume" } else { "abort" };
        self.record(Body::Run(RunEvent::Resumed { to: to.into(), by: String::new(), patience: None, tool: String::new() }));
        let state = self.state.clone();
        self.calls.push_back(if goes_on { Input::Resume(Box::new(state), Duration::ZERO) } else { Input::Recover(Recovery::of(&state)) });
    }
}

/// What a step acts on: something of its own, or, where its name says so, what all others act on.
fn thing(key: &str) -> Target {
    Target::outside(TargetKind::Table, if key.contains("/shared") { "shared" } else { key })
}

fn size(value: &Value) -> usize {
    serde_json::to_string(value).unwrap().len()
}

/// A probe that has been good all the while, and was so in a sample of this moment.
fn good(probe: &str, last: Moment) -> Input {
    let streak = Streak { last_sent: last, last_done: last, ..Streak::of(Moment::ZERO, Moment::ZERO) };
    Input::Probe(probe.to_owned(), Standing { state: Some(ProbeState::Good), good: Some(streak), ..Standing::default() })
}

/// So many steps in one shape, and how many of them change something.
type Shape = fn(usize) -> (Vec<StepPlan>, usize);

const SHAPES: [(&str, Shape); 8] = [
    ("one after the other", |count| ((0..count).map(|number| after(number, number.checked_sub(1))).collect(), count)),
    ("all at once", |count| ((0..count).map(|number| after(number, None)).collect(), count)),
    ("all on one thing", |count| ((0..count).map(|number| step(&format!("shared{number}"), &[])).collect(), count)),
    ("all after one, and one after all", |count| {
        let mut steps: Vec<StepPlan> = (0..count).map(|number| after(number, Some(0).filter(|_| number > 0))).collect();
        steps[count - 1].needs = (0..count - 1).map(|number| format!("s{number}")).collect();
        (steps, count)
    }),
    ("items, one at a time", |count| items(count, 1)),
    ("items, sixteen at a time", |count| items(count, 16)),
    ("items, all at once", |count| items(count, 100_000)),
    ("two after one another of many items", |count| {
        let (mut steps, half) = items(count / 2, 8);
        let mut second = steps[0].clone();
        (second.id, second.needs) = ("second".into(), vec!["many".into()]);
        second.for_each = Some(ForEach { items: json!("${{ steps.many.output.items }}"), concurrency: 4 });
        steps.push(second);
        (steps, 2 * half)
    }),
];

/// A step whose parameters name what the one before it gave.
fn after(number: usize, before: Option<usize>) -> StepPlan {
    let own = step(&format!("s{number}"), &[]);
    let with = before.map_or_else(|| json!({ "n": number }), |before| json!({ "n": format!("${{{{ steps.s{before}.output.made }}}}") }));
    StepPlan { with, needs: before.iter().map(|before| format!("s{before}")).collect(), ..own }
}

fn items(count: usize, concurrency: u32) -> (Vec<StepPlan>, usize) {
    let items: Vec<Value> = (0..count).map(|number| json!({ "made": format!("host-{number}") })).collect();
    let each = Some(ForEach { items: json!(items), concurrency });
    (vec![StepPlan { with: json!({ "host": "${{ item.made }}" }), for_each: each, ..step("many", &[]) }], count)
}

fn work(shape: Shape, course: Course, count: usize) -> (u64, usize) {
    let (steps, changing) = shape(count);
    let retry = Retry { attempts: 2, backoff: Span::from_secs(1) };
    let steps = steps.into_iter().map(|step| StepPlan { retry, on_failure: OnFailure::Stop, ..step }).collect();
    let whole = plan(steps);
    let mut own = Plan { steady_state: None, fault: None, detect: None, recovered: None, ..whole };
    if !matches!(course, Course::PutBack | Course::Aborted | Course::Stuck | Course::Late) {
        own.mode = Mode::Emergency;
    }
    own.limits.run = Span::from_secs(100_000);
    own.limits.undo = Span::from_secs(100_000);
    Rig::over(own, course, changing).run()
}

fn probe(id: &str) -> ProbePlan {
    ProbePlan {
        id: id.into(),
        title: Text::default(),
        uses: "toy".into(),
        with: json!({}),
        every: Span::from_secs(1),
        while_bad: None,
        timeout: Span::from_secs(1),
        bad_after: 1,
        good_after: 1,
        service: true,
        on_duty: false,
        clients: BTreeSet::new(),
    }
}

/// What a drill takes that waits for so many probes in each of its stages and stops for each of them, while every one says something each second.
fn work_of_probes(count: usize) -> (u64, usize) {
    let ids: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
    let mut own = Plan { detect: None, ..plan(vec![step("only", &[])]) };
    own.probes = ids.iter().map(|id| probe(id)).collect();
    own.stop_conditions = ids.iter().map(|id| StopCondition { probe: id.clone(), is: ProbeState::Bad, lasts: Span::from_secs(30) }).collect();
    own.steady_state = Some(SteadyState { probes: ids.clone(), hold: Span::from_secs(3), timeout: Span::from_secs(30) });
    own.recovered = Some(Recovered { probes: ids.clone(), stable_for: Span::from_secs(5), timeout: Span::from_secs(60) });
    own.source = Some(Source { probes: ids.clone(), timeout: Span::from_secs(60) });
    Rig { probes: ids, ..Rig::over(own, Course::PutBack, 1) }.run()
}

#[test]
fn ten_times_the_probes_are_ten_times_the_work() {
    let (few, many) = (work_of_probes(FEW), work_of_probes(10 * FEW));
    assert!(few.0 > 10 * FEW as u64, "the probes are looked at: {few:?}");
    let exponent = (many.0 as f64 / few.0 as f64).log10();
    assert!(exponent < EXPONENT, "{few:?} → {many:?}: exponent {exponent}");
}

#[test]
fn ten_times_the_steps_are_ten_times_the_work() {
    for (name, shape) in SHAPES {
        for course in COURSES {
            let (few, many) = (work(shape, course, FEW), work(shape, course, 10 * FEW));
            let exponent = |few: f64, many: f64| (many / few).log10();
            let grown = [exponent(few.0 as f64, many.0 as f64), exponent(few.1 as f64, many.1 as f64)];
            assert!(grown.iter().all(|exponent| *exponent < EXPONENT), "{name}, {course:?}: {few:?} → {many:?}: exponents {grown:?}");
        }
    }
}
