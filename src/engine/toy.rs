//! A toy world for the engine's tests: named numbers that actions set and probes read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::action::{Action, ActionError, ActionType, Applied, Cx, Planned, Undone};
use super::clock::RunClock;
use super::gatekeeper::Unguarded;
use super::lease::NoMarks;
use super::machine::Recovery;
use super::operations::Operations;
use super::place::Acts;
use super::probe::{Probe, ProbeType, Sample};
use super::record::Recorder;
use super::shell::{self, Begin, EngineError, Envelope, Setup};
use crate::journal::FileStore;
use crate::model::chain;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, Event, RunEvent};
use crate::model::format::Format;
use crate::model::order::{Asked, Order, Question};
use crate::model::plan::*;
use crate::model::scope::Scope;
use crate::model::state::RunState;
use crate::model::target::{Target, TargetKind};
use crate::model::text::Text;
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::ports::calls;
use crate::ports::store::{Appended, LeaseRecord, Owner, RunStore, StoreError};

#[derive(Default)]
struct World {
    numbers: Mutex<BTreeMap<String, i64>>,
    /// Names whose next change fails after it took effect.
    ambiguous: Mutex<Vec<String>>,
    /// Names in the order in which they were changed.
    sent: Mutex<Vec<String>>,
    /// Whether the journal has failed, and the names that were changed after that.
    failed: AtomicBool,
    late: Mutex<Vec<String>>,
}

impl World {
    /// A call that changes a number, some time after it was sent.
    async fn change(&self, name: &str, to: Option<i64>, takes: Duration) -> Result<(), ActionError> {
        let _in_hand = calls::in_hand(Cloud::Aws, "toy:Change", true)?;
        if self.failed.load(Ordering::Relaxed) {
            self.late.lock().unwrap().push(name.to_owned());
        }
        self.sent.lock().unwrap().push(name.to_owned());
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let mut numbers = self.numbers.lock().unwrap();
        match to {
            Some(to) => numbers.insert(name.to_owned(), to),
            None => numbers.remove(name),
        };
        Ok(())
    }
}

/// Sets a number.
#[derive(Deserialize, JsonSchema)]
struct Set {
    name: String,
    to: i64,
}

#[derive(Serialize, Deserialize, Default, JsonSchema)]
struct Out {
    to: i64,
}

impl Action<World> for Set {
    const KIND: &'static str = "toy.set";
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    type Before = Option<i64>;
    type Output = Out;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Option<i64>>, ActionError> {
        let before = cx.world.numbers.lock().unwrap().get(&self.name).copied();
        Ok(Planned::new(before, vec![Target::outside(TargetKind::Table, &self.name)], vec![]))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &Option<i64>) -> Result<Applied<Out>, ActionError> {
        cx.world.change(&self.name, Some(self.to), Duration::ZERO).await?;
        let mut ambiguous = cx.world.ambiguous.lock().unwrap();
        if let Some(at) = ambiguous.iter().position(|name| *name == self.name) {
            ambiguous.remove(at);
            return Err(ActionError::Other { message: "the answer was lost".into(), retry: true });
        }
        Ok(Applied::changed(Out { to: self.to }))
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Option<i64>) -> Result<Undone, ActionError> {
        cx.world.change(&self.name, *before, Duration::ZERO).await?;
        Ok(Undone::Restored)
    }
}

/// Sets `b` and then `c`, which takes its time.
#[derive(Deserialize, JsonSchema)]
struct SetTwo {}

impl Action<World> for SetTwo {
    const KIND: &'static str = "toy.set-two";
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    type Before = ();
    type Output = ();

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![Target::outside(TargetKind::Table, "b"), Target::outside(TargetKind::Table, "c")], vec![]))
    }

    async fn apply(&self, cx: &Cx<'_, World>, (): &()) -> Result<Applied<()>, ActionError> {
        for name in ["b", "c"] {
            cx.world.change(name, Some(1), Duration::from_millis(30)).await?;
        }
        Ok(Applied::changed(()))
    }

    async fn undo(&self, cx: &Cx<'_, World>, (): &()) -> Result<Undone, ActionError> {
        // As a real one: what reads as never done is left alone.
        for name in ["b", "c"] {
            if cx.world.numbers.lock().unwrap().contains_key(name) {
                cx.world.change(name, None, Duration::ZERO).await?;
            }
        }
        Ok(Undone::Restored)
    }
}

/// Hangs for ever.
#[derive(Deserialize, JsonSchema)]
struct Hang {}

impl Action<World> for Hang {
    const KIND: &'static str = "toy.hang";
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = ();

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![], vec![]))
    }

    async fn apply(&self, _: &Cx<'_, World>, (): &()) -> Result<Applied<()>, ActionError> {
        std::future::pending().await
    }

    async fn undo(&self, _: &Cx<'_, World>, (): &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}

/// Waits until somebody says yes.
#[derive(Deserialize, JsonSchema)]
struct Ask {}

impl Action<World> for Ask {
    const KIND: &'static str = "toy.ask";
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = ();

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![], vec![]))
    }

    async fn apply(&self, cx: &Cx<'_, World>, (): &()) -> Result<Applied<()>, ActionError> {
        cx.desk.ask(cx.step, Question { text: "go?".into(), ..Question::default() }).await?;
        Ok(Applied::already(()))
    }

    async fn undo(&self, _: &Cx<'_, World>, (): &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}

/// Good while `a` + `b` is at least 1.
#[derive(Deserialize, JsonSchema)]
struct Sum {}

impl Probe<World> for Sum {
    const KIND: &'static str = "toy.sum";
    const CALLS: &'static [&'static str] = &[];

    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn sample(&self, world: &World) -> Sample {
        let sum: i64 = world.numbers.lock().unwrap().values().sum();
        if sum > 0 { Sample::good("1") } else { Sample::bad("0") }
    }
}

static ACTIONS: [ActionType<World>; 4] = [ActionType::of::<Ask>(), ActionType::of::<Hang>(), ActionType::of::<Set>(), ActionType::of::<SetTwo>()];
static PROBES: [ProbeType<World>; 1] = [ProbeType::of::<Sum>()];

fn plan(steps: Vec<StepPlan>) -> Plan {
    let ms = Span::from_millis;
    Plan {
        given: Default::default(),
        files: Vec::new(),
        approvers: Default::default(),
        realism: Default::default(),
        version: Format::Plan.current(),
        tool: String::new(),
        name: "toy".into(),
        title: Text::default(),
        description: Text::default(),
        mode: Mode::Rehearse,
        environment: "toy".into(),
        zone: "UTC".into(),
        scope: Scope::default(),
        since: None,
        objectives: BTreeMap::new(),
        controls: vec![],
        probes: vec![ProbePlan {
            on_duty: false,
            while_bad: None,
            id: "p".into(),
            title: Text::default(),
            uses: "toy.sum".into(),
            with: json!({}),
            every: ms(5),
            timeout: ms(1000),
            bad_after: 2,
            good_after: 2,
            service: true,
            clients: Default::default(),
        }],
        steady_state: Some(SteadyState { probes: vec!["p".into()], hold: ms(20), timeout: ms(60_000) }),
        fault: Some(FaultPlan {
            uses: "toy.set".into(),
            with: json!({"name": "a", "to": 0}),
            lease: Span::from_secs(60),
            limit: Span::from_secs(1800),
            timeout: ms(1000),
        }),
        detect: Some(Detect { probe: "p".into(), timeout: ms(60_000) }),
        failover: RunbookPlan { file: "r".into(), title: Text::default(), parameters: json!({}), steps },
        recovered: Some(Recovered { probes: vec!["p".into()], stable_for: ms(20), timeout: ms(60_000) }),
        failback: None,
        leave: false,
        source: None,
        traffic: None,
        stop_conditions: vec![],
        back: None,
        ungraceful: false,
        limits: Limits::default(),
        frozen: BTreeMap::new(),
        definitions: vec![],
    }
}

fn step(id: &str, uses: &str, with: serde_json::Value) -> StepPlan {
    StepPlan {
        id: id.into(),
        title: Text::default(),
        uses: uses.into(),
        with,
        needs: vec![],
        when: None,
        timeout: Span::from_secs(5),
        retry: Retry { attempts: 2, backoff: Span::from_millis(1) },
        on_failure: OnFailure::Stop,
        critical: true,
        ungraceful: None,
        for_each: None,
        fresh: false,
    }
}

/// A journal on disk of which these appends fail, as on a full disk: the events with these numbers, or those that are tried first.
struct Failing {
    store: FileStore,
    at: std::ops::Range<u64>,
    tried: Mutex<u64>,
    world: Arc<World>,
}

impl RunStore for Failing {
    fn append(&self, run: &str, owner: &Owner, expected: u64, bytes: &[u8], durable: bool) -> Result<Appended, StoreError> {
        let mut tried = self.tried.lock().unwrap();
        *tried = (*tried + 1).max(expected + 1);
        if self.at.contains(&*tried) {
            self.world.failed.store(true, Ordering::Relaxed);
            return Err(StoreError { action: "append to", subject: run.to_owned(), source: std::io::ErrorKind::StorageFull.into() });
        }
        self.store.append(run, owner, expected, bytes, durable)
    }

    fn read(&self, run: &str, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.read(run, after)
    }

    fn last(&self, run: &str) -> Result<u64, StoreError> {
        self.store.last(run)
    }

    fn lease_get(&self, key: &str) -> Result<Option<LeaseRecord>, StoreError> {
        self.store.lease_get(key)
    }

    fn lease_cas(&self, key: &str, expected: u64, bytes: &[u8], lifetime: Duration) -> Result<Option<u64>, StoreError> {
        self.store.lease_cas(key, expected, bytes, lifetime)
    }
}

/// One hold of run `r` in `folder`: a new run, or what a former hold left is taken back. Gives its verdict and all events that are kept.
async fn hold(
    folder: &Path,
    plan: Plan,
    world: Arc<World>,
    orders: mpsc::UnboundedReceiver<Envelope>,
    fails_at: std::ops::Range<u64>,
) -> (Result<Verdict, EngineError>, Vec<Event>) {
    let kept = |store: &FileStore| {
        let lines = store.read("r", 0).unwrap();
        chain::verify("r", lines.iter().map(Vec::as_slice)).unwrap()
    };
    let store = FileStore::new(folder, true);
    let is_new = !store.journal("r").exists();
    let mut owner = Owner { token: "t".into(), epoch: 1 };
    if is_new { store.create("r", &owner) } else { store.own("r", &owner) }.unwrap();
    let before = kept(&store);
    let state = RunState::from_events(&before.events).unwrap();
    owner.epoch = state.epoch + 1;
    let started = || RunEvent::Started {
        plan: Box::new(plan.clone()),
        plan_sha256: String::new(),
        tool: String::new(),
        operator: String::new(),
        host: String::new(),
        clock_error_ms: None,
        begun: None,
    };
    let clock = RunClock::start();
    let store = Arc::new(Failing { store, at: fails_at, tried: Mutex::default(), world: world.clone() });
    let recorder = Recorder::new(store.clone(), owner, "r".into(), clock, state.seq, before.head, Box::new(|_| {}));
    let setup = Setup {
        opening: if is_new { started() } else { RunEvent::Resumed { to: "abort".into(), by: String::new(), patience: None, tool: String::new() } },
        plan: Arc::new(plan.clone()),
        actions: &ACTIONS,
        probes: &PROBES,
        mutates: |uses| !matches!(uses, "toy.ask" | "toy.hang"),
        world: world.clone(),
        probe_world: world,
        samples: None,
        clock,
        recorder,
        begin: if is_new { Begin::Fresh } else { Begin::TakeBack(Recovery::of(&state)) },
        starter: "ann".into(),
        orders,
        marker: Arc::new(NoMarks),
        gatekeeper: Arc::new(Unguarded),
        approved: Vec::new(),
        beside: None,
        closing: Box::new(Vec::new),
        judge: Box::new(|| (Verdict::Pass, vec![])),
    };
    let verdict = shell::run(setup).await;
    let events = kept(&store.store).events;
    RunState::from_events(&events).unwrap_or_else(|error| panic!("no legal run: {error}"));
    (verdict, events)
}

async fn run(plan: Plan, world: Arc<World>, orders: mpsc::UnboundedReceiver<Envelope>) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    let (verdict, events) = hold(folder.path(), plan, world, orders, 0..0).await;
    verdict.unwrap();
    events
}

fn world() -> Arc<World> {
    let world = World::default();
    world.numbers.lock().unwrap().insert("a".into(), 1);
    Arc::new(world)
}

fn kinds(events: &[Event], step: &str) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Step(of) if of.step == step => Some(serde_json::to_value(&of.kind).unwrap()["event"].as_str().unwrap().to_owned()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_whole_drill_ends_with_the_world_as_it_was() {
    let world = world();
    world.ambiguous.lock().unwrap().push("b".into());
    let (_keep, orders) = mpsc::unbounded_channel();
    let events = run(plan(vec![step("b", "toy.set", json!({"name": "b", "to": 1}))]), world.clone(), orders).await;
    assert_eq!(*world.numbers.lock().unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
    assert_eq!(kinds(&events, "failover/b"), ["started", "intended", "attempt-failed", "started", "applied", "undoing", "undone"]);
    let before = events.iter().find_map(|event| match &event.body {
        Body::Step(of) if of.step == "fault" => match &of.kind {
            StepKind::Intended { before, .. } => Some(before.clone()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(before, Some(json!(1)));
    assert!(matches!(events.last().unwrap().body, Body::Run(RunEvent::Ended { verdict: Verdict::Pass, .. })));
    let edges = events
        .iter()
        .filter(|event| matches!(&event.body, Body::Probe(of) if matches!(of.kind, crate::model::event::probe::ProbeKind::Edge { .. })))
        .count();
    assert_eq!(edges, 2, "one edge down, one up");
}

#[tokio::test]
async fn an_abort_reaches_a_hanging_step_and_takes_everything_back() {
    let world = world();
    let (ask, orders) = mpsc::unbounded_channel();
    let mut steps = vec![step("b", "toy.set", json!({"name": "b", "to": 1})), step("hang", "toy.hang", json!({}))];
    steps[1].needs = vec!["b".into()];
    let watcher = world.clone();
    tokio::spawn(async move {
        while !watcher.numbers.lock().unwrap().contains_key("b") {
            tokio::task::yield_now().await;
        }
        ask.send(Envelope::new(Order::Abort, "operator", "test")).unwrap();
    });
    let events = run(plan(steps), world.clone(), orders).await;
    assert_eq!(*world.numbers.lock().unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
    assert_eq!(kinds(&events, "failover/b").last().unwrap(), "undone");
}

#[tokio::test]
async fn an_abort_waits_for_the_change_in_hand_and_the_next_is_not_sent() {
    let world = world();
    let (ask, orders) = mpsc::unbounded_channel();
    let watcher = world.clone();
    tokio::spawn(async move {
        while !watcher.sent.lock().unwrap().contains(&"b".to_owned()) {
            tokio::task::yield_now().await;
        }
        ask.send(Envelope::new(Order::Abort, "operator", "test")).unwrap();
    });
    run(plan(vec![step("two", "toy.set-two", json!({}))]), world.clone(), orders).await;
    assert_eq!(*world.sent.lock().unwrap(), ["a", "b", "a", "b"], "fault, first change; heal, undo of a change that was seen through");
    assert_eq!(*world.numbers.lock().unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
}

#[tokio::test]
async fn nobody_is_told_that_an_answer_counts_before_it_is_stored() {
    let hold_and_answer = async |fails_at: u64| {
        let (ask, orders) = mpsc::unbounded_channel();
        let asking = Plan {
            mode: Mode::Emergency,
            probes: vec![],
            steady_state: None,
            fault: None,
            detect: None,
            recovered: None,
            ..plan(vec![step("go", "toy.ask", json!({}))])
        };
        let answering = tokio::spawn(async move {
            loop {
                let (reply, answer) = oneshot::channel();
                let order = Order::Answer { step: "go".into(), yes: true };
                ask.send(Envelope { asked: Asked { order, by: "bob".into(), why: String::new() }, witness: Default::default(), reply: Some(reply) })
                    .unwrap();
                match answer.await {
                    Ok(Err(why)) if why == "no step asks anything" => {}
                    told => break told,
                }
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let fails = if fails_at == 0 { 0..0 } else { fails_at..u64::MAX };
        let (verdict, events) = hold(folder.path(), asking, world(), orders, fails).await;
        let answered = events.iter().find(|event| matches!(&event.body, Body::Step(of) if matches!(of.kind, StepKind::Answered { .. })));
        (verdict.is_ok(), answered.map(|event| event.seq), answering.await.unwrap())
    };
    let (ended, answered, told) = hold_and_answer(0).await;
    assert!(ended && told == Ok(Ok(())), "{told:?}");
    let (ended, kept, told) = hold_and_answer(answered.unwrap()).await;
    assert!(!ended && kept.is_none() && told != Ok(Ok(())), "{kept:?} {told:?}");
}

/// Aborts the run as often as it takes, once its journal has failed.
fn abort_once_failed(world: Arc<World>) -> mpsc::UnboundedReceiver<Envelope> {
    let (ask, orders) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while !world.failed.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Ends with the run, which hears nothing more then.
        while ask.send(Envelope::new(Order::Abort, "signal", "signal SIGTERM")).is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    orders
}

fn two_steps() -> Plan {
    plan(vec![step("two", "toy.set-two", json!({})), step("d", "toy.set", json!({"name": "d", "to": 1}))])
}

/// Nothing is changed whose intent is not stored, and once the journal has failed nothing but the fault is, which is taken out.
fn is_only_let_go(world: &World, events: &[Event], at: u64) {
    let intended = |step: &str| kinds(events, step).contains(&"intended".to_owned());
    let sent = world.sent.lock().unwrap().clone();
    for (name, step) in [("a", "fault"), ("b", "failover/two"), ("c", "failover/two"), ("d", "failover/d")] {
        assert!(intended(step) || !sent.contains(&name.to_owned()), "{name} changed without an intent, event {at}");
    }
    let late = world.late.lock().unwrap().clone();
    assert!(late.iter().all(|name| name == "a"), "changed after event {at} failed: {late:?}");
    assert_eq!(world.numbers.lock().unwrap().get("a"), Some(&1), "the fault stands, event {at}");
}

#[tokio::test]
async fn wherever_the_journal_fails_the_fault_is_taken_out_and_nothing_else_is_changed_until_abort() {
    let fail_at = async |at: u64| {
        let (world, folder) = (world(), tempfile::tempdir().unwrap());
        let orders = abort_once_failed(world.clone());
        let (verdict, events) = hold(folder.path(), two_steps(), world.clone(), orders, at..u64::MAX).await;
        if verdict.is_ok() {
            return false;
        }
        is_only_let_go(&world, &events, at);
        assert_eq!(events.len() as u64, at - 1);
        if !events.is_empty() {
            // Whoever takes it back finds a disk that is full as well, and one that is not.
            world.failed.store(false, Ordering::Relaxed);
            world.numbers.lock().unwrap().insert("a".into(), 0);
            let orders = abort_once_failed(world.clone());
            let stands = events.iter().any(|event| matches!(&event.body, Body::Step(of) if matches!(of.kind, StepKind::Intended { .. })));
            let (verdict, again) = hold(folder.path(), two_steps(), world.clone(), orders, at..u64::MAX).await;
            assert!(matches!(verdict, Err(EngineError::Journal { .. })), "{verdict:?}");
            assert_eq!(again.len(), events.len());
            assert_eq!(
                world.numbers.lock().unwrap().get("a"),
                Some(&i64::from(stands && kinds(&events, "fault").last().unwrap() != "undone")),
                "event {at}"
            );
            world.failed.store(false, Ordering::Relaxed);
            world.numbers.lock().unwrap().insert("a".into(), 1);
            let (_keep, orders) = mpsc::unbounded_channel();
            hold(folder.path(), two_steps(), world.clone(), orders, 0..0).await.0.unwrap();
        }
        assert_eq!(*world.numbers.lock().unwrap(), BTreeMap::from([("a".to_owned(), 1)]), "event {at}");
        true
    };
    let failed = futures_util::future::join_all((1..60).map(fail_at)).await;
    // How many events a run has depends on the machine's load; ten it has in any case.
    assert!(failed[..10].iter().all(|failed| *failed), "{failed:?}");
}

#[tokio::test]
async fn a_journal_that_fails_once_is_written_down_whole_and_everything_is_put_back() {
    let fail_at = async |at: u64| {
        let (world, folder) = (world(), tempfile::tempdir().unwrap());
        let (_keep, orders) = mpsc::unbounded_channel();
        let (verdict, events) = hold(folder.path(), two_steps(), world.clone(), orders, at..at + 1).await;
        verdict.unwrap_or_else(|error| panic!("event {at}: {error}"));
        assert_eq!(*world.numbers.lock().unwrap(), BTreeMap::from([("a".to_owned(), 1)]), "event {at}");
        assert!(matches!(events.last().unwrap().body, Body::Run(RunEvent::Ended { .. })), "event {at}");
        let says = |event: &&Event| match &event.body {
            Body::Run(RunEvent::StopRequested { why, .. }) => why.starts_with("the journal cannot be written: "),
            Body::Run(RunEvent::Note { text }) => text.starts_with("the journal can"),
            _ => false,
        };
        // What fails once the run is over is stored with nothing left to say about it; shortly before that, nothing is left to say that it was mended.
        let is_over = |event: &&Event| matches!(&event.body, Body::Run(RunEvent::Baseline { .. } | RunEvent::Ended { .. }));
        let is_late = events.iter().find(is_over).is_some_and(|event| event.seq <= at);
        assert!(is_late || events.iter().any(|event| says(&event)) || !world.failed.load(Ordering::Relaxed), "event {at}: {events:#?}");
        world.failed.load(Ordering::Relaxed)
    };
    // The first event of a run is not begun with.
    let failed = futures_util::future::join_all((2..40).map(fail_at)).await;
    assert!(failed[..8].iter().all(|failed| *failed), "{failed:?}");
}
