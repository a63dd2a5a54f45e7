//! A toy world for the engine's tests: named numbers that actions set and probes read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

use super::action::{Action, ActionError, ActionType, Applied, Cx, Planned, Undone};
use super::clock::RunClock;
use super::probe::{Probe, ProbeType, Sample};
use super::record::Recorder;
use super::shell::{self, Setup, StopRequest};
use crate::journal::FileStore;
use crate::model::chain;
use crate::model::event::step::{StepKind, Target};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::plan::*;
use crate::model::text::Text;
use crate::model::time::Span;
use crate::ports::store::{Owner, RunStore as _};

#[derive(Default)]
struct World {
    numbers: Mutex<BTreeMap<String, i64>>,
    /// Names whose next change fails after it took effect.
    ambiguous: Mutex<Vec<String>>,
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
    type Before = Option<i64>;
    type Output = Out;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Option<i64>>, ActionError> {
        let before = cx.world.numbers.lock().unwrap().get(&self.name).copied();
        Ok(Planned::new(before, vec![Target::new("number", &self.name, "")], vec![]))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &Option<i64>) -> Result<Applied<Out>, ActionError> {
        cx.world.numbers.lock().unwrap().insert(self.name.clone(), self.to);
        let mut ambiguous = cx.world.ambiguous.lock().unwrap();
        if let Some(at) = ambiguous.iter().position(|name| *name == self.name) {
            ambiguous.remove(at);
            return Err(ActionError::Other { message: "the answer was lost".into(), retry: true });
        }
        Ok(Applied::changed(Out { to: self.to }))
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Option<i64>) -> Result<Undone, ActionError> {
        let mut numbers = cx.world.numbers.lock().unwrap();
        match before {
            Some(before) => numbers.insert(self.name.clone(), *before),
            None => numbers.remove(&self.name),
        };
        Ok(Undone::Restored)
    }
}

/// Hangs for ever.
#[derive(Deserialize, JsonSchema)]
struct Hang {}

impl Action<World> for Hang {
    const KIND: &'static str = "toy.hang";
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

/// Good while `a` + `b` is at least 1.
#[derive(Deserialize, JsonSchema)]
struct Sum {}

impl Probe<World> for Sum {
    const KIND: &'static str = "toy.sum";

    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn sample(&self, world: &World) -> Sample {
        let sum: i64 = world.numbers.lock().unwrap().values().sum();
        if sum > 0 { Sample::good("1") } else { Sample::bad("0") }
    }
}

static ACTIONS: [ActionType<World>; 2] = [ActionType::of::<Hang>(), ActionType::of::<Set>()];
static PROBES: [ProbeType<World>; 1] = [ProbeType::of::<Sum>()];

fn plan(steps: Vec<StepPlan>) -> Plan {
    let ms = Span::from_millis;
    Plan {
        version: 1,
        name: "toy".into(),
        title: Text::default(),
        description: Text::default(),
        mode: Mode::Rehearse,
        environment: "toy".into(),
        zone: "UTC".into(),
        scope: json!({}),
        since: None,
        objectives: BTreeMap::new(),
        controls: vec![],
        probes: vec![ProbePlan {
            id: "p".into(),
            title: Text::default(),
            uses: "toy.sum".into(),
            with: json!({}),
            every: ms(5),
            timeout: ms(1000),
            bad_after: 2,
            good_after: 2,
            service: true,
        }],
        steady_state: Some(SteadyState { probes: vec!["p".into()], hold: ms(20), timeout: ms(5000) }),
        fault: Some(FaultPlan { uses: "toy.set".into(), with: json!({"name": "a", "to": 0}), lease: Span::from_secs(60), timeout: ms(1000) }),
        detect: Some(Detect { probe: "p".into(), timeout: ms(5000) }),
        failover: RunbookPlan { file: "r".into(), title: Text::default(), parameters: json!({}), steps },
        recovered: Some(Recovered { probes: vec!["p".into()], stable_for: ms(20), timeout: ms(5000) }),
        failback: None,
        leave: false,
        source: None,
        stop_conditions: vec![],
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
        for_each: None,
    }
}

async fn run(plan: Plan, world: Arc<World>, stops: mpsc::UnboundedReceiver<StopRequest>) -> Vec<Event> {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FileStore::new(folder.path(), true));
    let owner = Owner { token: "t".into(), epoch: 1 };
    store.create("r", &owner).unwrap();
    let clock = RunClock::start();
    let recorder = Recorder::new(store.clone(), owner, "r".into(), clock, 0, chain::genesis("r"), Box::new(|_| {}));
    let setup = Setup {
        opening: RunEvent::Note { text: "begin".into() },
        plan: Arc::new(plan),
        actions: &ACTIONS,
        probes: &PROBES,
        mutates: |uses| uses != "toy.hang",
        world: world.clone(),
        probe_world: world,
        clock,
        recorder,
        recover: None,
        stops,
        judge: Box::new(|| (Verdict::Pass, vec![])),
    };
    shell::run(setup).await.unwrap();
    let lines = store.read("r", 0).unwrap();
    chain::verify("r", lines.iter().map(Vec::as_slice)).unwrap().events
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
    let (_keep, stops) = mpsc::unbounded_channel();
    let events = run(plan(vec![step("b", "toy.set", json!({"name": "b", "to": 1}))]), world.clone(), stops).await;
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
    let (ask, stops) = mpsc::unbounded_channel();
    let mut steps = vec![step("b", "toy.set", json!({"name": "b", "to": 1})), step("hang", "toy.hang", json!({}))];
    steps[1].needs = vec!["b".into()];
    let watcher = world.clone();
    tokio::spawn(async move {
        while !watcher.numbers.lock().unwrap().contains_key("b") {
            tokio::task::yield_now().await;
        }
        ask.send(StopRequest { abort: true, why: "test".into(), by: "operator".into() }).unwrap();
    });
    let events = run(plan(steps), world.clone(), stops).await;
    assert_eq!(*world.numbers.lock().unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
    assert_eq!(kinds(&events, "failover/b").last().unwrap(), "undone");
}
