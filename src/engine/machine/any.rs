//! Any plan, any answers, any moment of a stop: what holds of every run, whatever happens.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::tests::{book, plan, step};
use super::*;
use crate::model::event::Event;
use crate::model::failure::FailureKind;
use crate::model::format::Format;
use crate::model::guard::{Decision, Outcome};
use crate::model::order::Order;
use crate::model::plan::*;
use crate::model::state::{self, RunState};
use crate::model::target::{Target, TargetKind};
use crate::model::time::{Span, Timestamp};

/// What a call of an action comes to.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Good,
    /// Fails, and a retry may help.
    Again,
    /// Fails for good.
    Never,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Move {
    /// The n-th call under way ends.
    End(prop::sample::Index, Answer),
    /// Time goes by, in seconds.
    Pass(u64),
    /// What samples say from now on; nothing = they cannot tell.
    Probe(Option<ProbeState>),
    /// The next sample is sent and answered.
    Sample,
    /// A person or a signal steers the run, or ends it.
    Order(Order),
    /// The journal can be written from now on, or cannot.
    Journal(bool),
    /// The store takes so many events more and no other; the next owner goes on, or takes back.
    Fail { after: u32, go_on: bool },
}

/// What people ask for, of steps and of items, whether it can be or not.
fn orders() -> impl Strategy<Value = Order> {
    let step = || {
        (0..4_usize, prop::option::of(0..3_usize)).prop_map(|(step, item)| format!("s{step}{}", item.map(|at| format!("[{at}]")).unwrap_or_default()))
    };
    prop_oneof![
        1 => Just(Order::Stop),
        1 => Just(Order::Abort),
        1 => Just(Order::Pause),
        2 => Just(Order::Unpause),
        1 => Just(Order::Ungraceful),
        8 => step().prop_map(|step| Order::Skip { step }),
        4 => step().prop_map(|step| Order::Retry { step }),
    ]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let answer = prop_oneof![6 => Just(Answer::Good), 2 => Just(Answer::Again), 1 => Just(Answer::Never)];
    let one = prop_oneof![
        12 => (any::<prop::sample::Index>(), answer).prop_map(|(which, answer)| Move::End(which, answer)),
        3 => (1..20_u64).prop_map(Move::Pass),
        4 => prop_oneof![2 => Just(Some(ProbeState::Good)), 2 => Just(Some(ProbeState::Bad)), 1 => Just(None)].prop_map(Move::Probe),
        3 => Just(Move::Sample),
        3 => orders().prop_map(Move::Order),
        1 => any::<bool>().prop_map(Move::Journal),
        1 => (0..6_u32, any::<bool>()).prop_map(|(after, go_on)| Move::Fail { after, go_on }),
    ];
    prop::collection::vec(one, 0..80)
}

/// `on_failure`, attempts, what it does, items and how many at once, the steps it needs as bits, what it is without the source side.
type Shape = (OnFailure, u32, &'static str, Option<(usize, u32)>, u8, Option<Ungraceful>);

/// Whether an action changes anything.
fn mutates(uses: &str) -> bool {
    uses == "toy.change" || uses == "toy.fault"
}

fn steps() -> impl Strategy<Value = Vec<StepPlan>> {
    let failure = prop_oneof![Just(OnFailure::Stop), Just(OnFailure::Continue), Just(OnFailure::Undo)];
    let uses = prop_oneof![4 => Just("toy.change"), 2 => Just("toy.read"), 1 => Just("approval")];
    let without = prop_oneof![3 => Just(None), 2 => Just(Some(Ungraceful::Skip)), 1 => Just(Some(Ungraceful::With(serde_json::Map::new())))];
    let one = (failure, 1..4_u32, uses, prop::option::of((0..4_usize, 1..3_u32)), any::<u8>(), without);
    prop::collection::vec(one, 1..5).prop_map(|all| {
        let of = |(index, (on_failure, attempts, uses, each, needs, ungraceful)): (usize, Shape)| StepPlan {
            uses: uses.into(),
            ungraceful,
            needs: (0..index).filter(|need| needs & (1 << need) != 0).map(|need| format!("s{need}")).collect(),
            retry: Retry { attempts, backoff: Span::from_secs(2) },
            on_failure,
            for_each: each.map(|(count, concurrency)| ForEach { items: json!(vec![0; count]), concurrency }),
            ..step(&format!("s{index}"), &[])
        };
        all.into_iter().enumerate().map(of).collect()
    })
}

fn plans() -> impl Strategy<Value = Plan> {
    let flags = any::<[bool; 6]>();
    (steps(), prop::option::of(steps()), flags).prop_map(|(over, back, [source, leave, emergency, watched, patient, without])| {
        let mut plan = Plan { failback: back.map(book), leave, ungraceful: without && leave, ..plan(over) };
        plan.limits.patience = Span::from_secs(if patient { 60 } else { 0 });
        if watched {
            plan.stop_conditions = vec![StopCondition { probe: "p".into(), is: ProbeState::Bad, lasts: Span::from_secs(60) }];
        }
        plan.source = source.then(|| Source { probes: vec!["p".into()], timeout: Span::from_secs(30) });
        if emergency {
            plan = Plan { mode: Mode::Emergency, fault: None, steady_state: None, detect: None, failback: None, source: None, leave: false, ..plan };
        }
        plan
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Plan,
    Read,
    Apply,
    Undo,
}

/// A machine with everything it decided: calls under way, and the state that its events make.
struct World {
    plan: Arc<Plan>,
    machine: Machine,
    state: RunState,
    now: u64,
    /// When its owner began, and which it is.
    began: u64,
    epoch: u64,
    calls: BTreeSet<(String, Call)>,
    /// The moments it is to be woken at.
    wakes: BTreeSet<Moment>,
    aborting: bool,
    finished: u32,
    renewing: bool,
    /// Whether the guards are deciding.
    guarding: bool,
    shows: Standing,
    asked: Vec<Moment>,
    /// Whether the last of the samples that were sent since the last change was good.
    is_seen_good: bool,
    /// Whether the journal cannot be written, and whether the run was left because of that.
    unwritten: bool,
    left: bool,
    /// How many events the store takes yet, and what the next owner does.
    failing: Option<(u32, bool)>,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let plan = Arc::new(plan.clone());
        let mut world = Self {
            machine: Machine::new(plan.clone(), mutates),
            plan,
            state: RunState::default(),
            now: 0,
            began: 0,
            epoch: 1,
            calls: BTreeSet::new(),
            wakes: BTreeSet::new(),
            aborting: false,
            finished: 0,
            renewing: false,
            guarding: false,
            shows: Standing::default(),
            asked: Vec::new(),
            is_seen_good: false,
            unwritten: false,
            left: false,
            failing: None,
        };
        world.record(Body::Run(RunEvent::Started {
            plan: Box::new((*world.plan).clone()),
            plan_sha256: String::new(),
            tool: String::new(),
            operator: String::new(),
            host: String::new(),
            clock_error_ms: None,
            begun: None,
        }));
        world.feed(Input::Start);
        world
    }

    fn moment(&self) -> Moment {
        Duration::from_secs(self.now - self.began)
    }

    /// False when the store does not take it.
    fn record(&mut self, body: Body) -> bool {
        if let Some((left, _)) = &mut self.failing {
            let Some(fewer) = left.checked_sub(1) else { return false };
            *left = fewer;
        }
        // Nobody says that it has recovered, or goes on to lead back, but by a good sample that was sent after the last change.
        let goes_back = matches!(&body, Body::Run(RunEvent::Stage { stage: Stage::Failback }));
        assert!(!goes_back || self.is_seen_good, "it goes back from what it has not seen");
        let is_stuck = matches!(&body, Body::Run(RunEvent::Note { text }) if text.starts_with(follows::STUCK));
        assert!(!is_stuck, "{body:?}: {:?}", self.machine);
        self.aborting |= matches!(&body, Body::Run(RunEvent::StopRequested { abort: true, .. }));
        let (seq, at) = (self.state.seq + 1, self.stamp());
        let event =
            Event { v: Format::Journal.current(), seq, run: "r".into(), id: String::new(), owner: String::new(), epoch: self.epoch, at, body };
        self.state.apply(&event).unwrap_or_else(|error| panic!("{error}: {event:?}"));
        true
    }

    fn stamp(&self) -> Timestamp {
        Timestamp::from_nanos(i64::try_from(self.now).unwrap() * 1_000_000_000)
    }

    fn feed(&mut self, input: Input) {
        for effect in self.machine.handle(self.moment(), input) {
            assert_eq!(self.finished, 0, "{effect:?} after the end");
            match effect {
                Effect::Record(body) => {
                    if !self.record(body) {
                        return self.take_over();
                    }
                }
                Effect::Plan { key, .. } => self.begin(key, Call::Plan),
                Effect::Apply { key, uses, .. } => {
                    assert!(!self.unwritten, "{key} changes something although the journal cannot be written");
                    let step = &self.state.steps[&key];
                    assert!(!mutates(&uses) || step.intent.is_some(), "{key} changes something without an intent");
                    self.begin(key, Call::Apply);
                }
                Effect::Undo { key, .. } => {
                    assert!(key == FAULT || !self.unwritten, "{key} is put back although the journal cannot be written");
                    assert!(self.state.steps[&key].intent.is_some());
                    self.begin(key, Call::Undo);
                }
                Effect::Wake(at) => drop(self.wakes.insert(at)),
                // Whether the call was over before it could be cut off is the script's to say.
                Effect::Cancel(_) => {}
                Effect::Ask { after, .. } => self.asked.push(after),
                Effect::Read { key, .. } => self.begin(key, Call::Read),
                Effect::Renew { .. } => self.renewing = true,
                Effect::AskGuards { .. } => {
                    assert!(!std::mem::replace(&mut self.guarding, true), "they are asked twice at once");
                }
                Effect::Refused(why) => assert!(!why.is_empty()),
                Effect::Finish => self.finished += 1,
                Effect::Leave => {
                    assert!(self.unwritten, "it is left although everything is stored");
                    (self.finished, self.left) = (1, true);
                }
            }
        }
        self.is_going_on();
    }

    /// What the machine says that it waits for is there to be waited for.
    fn is_going_on(&self) {
        if self.finished > 0 {
            return;
        }
        let (now, follows) = (self.moment(), self.machine.follows());
        let comes = |one: &Follows| match one {
            Follows::Call(key) => self.calls.iter().any(|(called, _)| called == key),
            Follows::Moment(at) => self.wakes.iter().any(|wake| now < *wake && wake <= at),
            Follows::Person => self.state.is_paused(),
            Follows::Guards => self.guarding,
            Follows::Probe => self.machine.phase == Phase::Inject,
        };
        let vain: Vec<&Follows> = follows.iter().filter(|one| !comes(one)).collect();
        assert!(!follows.is_empty() && vain.is_empty(), "waits in vain for {vain:?} of {follows:?}: {:?}", self.machine);
    }

    /// The owner's store has failed, and another finds what it has.
    fn take_over(&mut self) {
        let (_, go_on) = self.failing.take().unwrap();
        (self.began, self.epoch, self.renewing, self.is_seen_good, self.unwritten) = (self.now, self.epoch + 1, false, false, false);
        self.calls.clear();
        self.wakes.clear();
        self.asked.clear();
        self.shows = Standing::default();
        self.machine = Machine::new(self.plan.clone(), mutates);
        self.aborting |= !go_on;
        let to = if go_on { "resume" } else { "abort" };
        self.record(Body::Run(RunEvent::Resumed { to: to.into(), by: String::new(), patience: None, tool: String::new() }));
        let left = lease_left(&self.state, self.stamp());
        self.feed(if go_on { Input::Resume(Box::new(self.state.clone()), left) } else { Input::Recover(Recovery::of(&self.state)) });
    }

    fn begin(&mut self, key: String, call: Call) {
        assert!(!self.aborting || matches!(call, Call::Undo | Call::Read), "{call:?} of {key} begins after the abort");
        let changes = |call: Call| call != Call::Read;
        let overlaps = changes(call) && self.calls.iter().any(|(other, called)| *other == key && changes(*called));
        assert!(!overlaps, "two calls of {key} at once");
        self.calls.insert((key, call));
    }

    fn end(&mut self, key: String, call: Call, answer: Answer) {
        self.calls.remove(&(key.clone(), call));
        let failure = |retry| Failure { retry, ..Failure::new(FailureKind::Cloud, "no") };
        let result = match answer {
            Answer::Good => Ok(()),
            Answer::Again => Err(failure(true)),
            Answer::Never => Err(failure(false)),
        };
        self.is_seen_good &= !matches!(call, Call::Apply | Call::Undo);
        let planned = Planned::new(json!("was"), vec![Target::outside(TargetKind::Table, "t")], vec![]);
        self.feed(match call {
            Call::Read => Input::Read(key, result.map(|()| (planned, json!({})))),
            Call::Plan => Input::Planned(key, result.map(|()| (planned, json!({})))),
            Call::Apply => Input::Applied(key, result.map(|()| Applied::changed(json!({}))), None),
            Call::Undo => Input::Undone(key, result.map(|()| Undone::Restored)),
        });
    }

    fn probe(&mut self, state: Option<ProbeState>) {
        let now = self.moment();
        let good = (state == Some(ProbeState::Good)).then(|| self.shows.good.map_or(Streak::of(now, now), |good| good.with(now, now)));
        self.is_seen_good = good.is_some();
        self.shows = match state {
            Some(_) if state == self.shows.state => Standing { good, is_unread: false, blind_since: None, ..self.shows.clone() },
            Some(_) => Standing { state, since: now, good, ..Standing::default() },
            None => Standing { good, is_unread: true, blind_since: self.shows.blind_since.or(Some(now)), ..self.shows.clone() },
        };
        self.asked.retain(|after| good.is_none_or(|good| good.last_sent < *after));
        self.feed(Input::Probe("p".into(), self.shows.clone()));
    }

    /// One more sample like the last: nobody hears of it who does not ask.
    fn sample(&mut self) {
        let now = self.moment();
        let Some(good) = self.shows.good.as_mut() else { return };
        *good = good.with(now, now);
        self.is_seen_good = true;
        if self.asked.iter().any(|after| *after <= now) {
            self.asked.retain(|after| *after > now);
            self.feed(Input::Probe("p".into(), self.shows.clone()));
        }
    }

    fn make(&mut self, one: &Move) {
        if self.finished > 0 {
            return;
        }
        match one {
            Move::End(_, answer) if self.guarding => self.rule(*answer),
            Move::End(which, answer) if !self.calls.is_empty() => {
                let (key, call) = which.get(&self.calls.iter().cloned().collect::<Vec<_>>()).clone();
                self.end(key, call, *answer);
            }
            Move::End(..) => {}
            Move::Pass(seconds) => {
                self.now += seconds;
                self.feed(Input::Wake);
            }
            Move::Probe(state) => self.probe(*state),
            Move::Sample => self.sample(),
            Move::Journal(writable) => {
                self.unwritten = !writable;
                self.feed(if *writable { Input::JournalWritten } else { Input::JournalFailed("full".into()) });
            }
            Move::Order(order) => self.feed(Input::Order(Asked { order: order.clone(), by: "signal".into(), why: "test".into() })),
            Move::Fail { after, go_on } => self.failing = Some((*after, *go_on)),
        }
    }

    fn rule(&mut self, answer: Answer) {
        self.guarding = false;
        let refuses = Decision { guard: "windows".into(), outcome: Outcome::Refuses, detail: "closed".into(), overridden: None };
        self.feed(Input::Guarded(match answer {
            Answer::Good => Ok(Vec::new()),
            Answer::Again => Ok(vec![refuses]),
            Answer::Never => Err("no answer".into()),
        }));
    }

    /// From here on everything answers well: the run has to come to its end by itself.
    fn come_to_an_end(&mut self, writable: bool) {
        self.failing = None;
        if self.unwritten && writable && self.finished == 0 {
            self.make(&Move::Journal(true));
        }
        for _ in 0..400 {
            if self.finished > 0 {
                return;
            }
            if self.state.is_paused() {
                self.feed(Input::Order(Asked { order: Order::Unpause, by: "ann".into(), why: "test".into() }));
                continue;
            }
            if std::mem::take(&mut self.renewing) {
                self.feed(Input::Renewed(Ok(Timestamp::from_nanos(0))));
            }
            if self.guarding {
                self.rule(Answer::Good);
            }
            match self.calls.first().cloned() {
                Some((key, call)) => self.end(key, call, Answer::Good),
                None => {
                    self.now += 5;
                    self.feed(Input::Wake);
                }
            }
        }
        panic!("it does not end: {:?}", self.machine);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_legally_with_nothing_left_that_was_not_to_stay(plan in plans(), script in moves(), writable in any::<bool>()) {
        let mut world = World::new(&plan);
        script.iter().for_each(|one| world.make(one));
        world.come_to_an_end(writable);
        let changing = world.calls.iter().filter(|(_, call)| *call != Call::Read).count();
        prop_assert_eq!(changing, 0, "{:?} still run", world.calls);
        prop_assert_eq!(world.finished, 1);
        let state = &world.state;
        let gone = |step: &state::StepState| matches!(step.status, state::Status::Undone | state::Status::UndoFailed);
        if let Some(fault) = state.fault().filter(|fault| fault.intent.is_some()) {
            prop_assert!(gone(fault), "the fault is {:?}", fault.status);
            let healed = fault.undo_ended.unwrap();
            // Only what its own file says is undone at once may come before the fault.
            for (key, step) in state.steps.iter().filter(|(key, _)| *key != FAULT) {
                let own = plan.failover.steps.iter().find(|own| key.starts_with(&format!("failover/{}", own.id)));
                if own.is_none_or(|own| own.on_failure != OnFailure::Undo) {
                    prop_assert!(step.undoing.is_none_or(|at| at >= healed), "{} before the fault", key);
                }
            }
        }
        let failed_back = state.steps.iter().any(|(key, step)| key.starts_with("failback/") && step.applied);
        for (key, step) in state.steps.iter().filter(|(_, step)| step.intent.is_some()) {
            let stopped = state.stops.iter().any(|stop| !stop.abort);
            let may_stay = world.left || plan.mode == Mode::Emergency || plan.leave || stopped || (failed_back && key.starts_with("failback/"));
            prop_assert!(gone(step) || (may_stay && (world.left || !world.aborting)), "{} is {:?}", key, step.status);
        }
    }
}
