//! What tests of every action need: a lab inside the test, whose world they can look into and change behind Lifeboat's back; parameters for every
//! action; and a count of the changing calls.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat::catalogue;
use lifeboat::engine::action::{ActionError, Applied, Cx, DynAction, Planned, Undone};
use lifeboat::engine::board::Board;
use lifeboat::engine::desk::Desk;
use lifeboat::engine::foreseen::{Foreseen, NOTHING};
use lifeboat::lab::serve::{Lab, Options};
use lifeboat::lab::world::State;
use lifeboat::ports::calls::{Call, CallSink, observed};
use lifeboat::ports::gate::{self, Gate};
use lifeboat::world::World;
use lifeboat::world::settings::{CloudSettings, Keys, Settings};
use serde_json::Value;
use tokio::sync::Notify;

use crate::common::{settled, zones};
pub(crate) use crate::samples::{Sample, samples};

/// A lab, and Lifeboat's hands on it.
pub(crate) struct Stage {
    lab: Lab,
    settings: Settings,
    pub(crate) world: World,
    board: Board,
    desk: Desk,
    runs: AtomicUsize,
}

/// Runs `test` with a lab of its own, forty times as fast as real proportions and without rate limits: tests ask more than people do.
pub(crate) fn on_stage<F: Future<Output = ()>>(test: impl FnOnce(Arc<Stage>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stage = Arc::new(Stage::start().await);
        test(stage).await;
    });
}

/// Runs `test` for every sample, each with a lab of its own, some at a time.
pub(crate) fn for_each_sample<F: Future<Output = ()>>(test: impl Fn(Arc<Stage>, Sample) -> F + Sync) {
    let waiting = Mutex::new(samples());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(sample) = { waiting.lock().unwrap().pop() } {
                    on_stage(|stage| test(stage, sample));
                }
            });
        }
    });
}

impl Stage {
    async fn start() -> Self {
        let lab = Lab::start(Options { seed: 3, scale: 40.0, ..Options::default() }).unwrap();
        lab.world().lock().limits.clear();
        let endpoints = lab.endpoints().clone();
        let keys = Keys { access_key_id: endpoints.access_key_id, secret_access_key: endpoints.secret_access_key, session_token: None };
        let side = |region: &str, endpoint: &str| CloudSettings {
            region: region.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            keys: Some(keys.clone()),
            ..CloudSettings::default()
        };
        let settings = Settings {
            environment: "lab".to_owned(),
            aws: Some(side("us-east-1", &endpoints.aws)),
            aliyun: Some(CloudSettings { objects_endpoint: Some(endpoints.oss), ..side("cn-hangzhou", &endpoints.aliyun) }),
            name_server: Some(endpoints.dns),
            zones: zones(),
        };
        let world = World::connect(&settings, &Gate::default()).await;
        Self { lab, settings, world, board: Board::new().1, desk: Desk::simulated(), runs: AtomicUsize::new(1) }
    }

    /// What is in the lab, without what moves by itself.
    pub(crate) fn seen(&self) -> Value {
        settled(self.lab.world().lock().view())
    }

    /// Does something to the lab that Lifeboat does not know of.
    pub(crate) fn meddle<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lab.world().lock())
    }

    /// Waits until nothing is on its way in the lab any more.
    pub(crate) async fn quiet(&self) {
        for _ in 0..2000 {
            if self.meddle(|state| state.queue.is_empty()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the lab does not come to rest");
    }

    /// Forgets everything, as a process that was killed and started again.
    pub(crate) async fn another_process(&self) -> World {
        World::connect(&self.settings, &Gate::default()).await
    }

    /// A step of a run of its own.
    pub(crate) fn step(&self, sample: &Sample) -> Step<'_> {
        let run = format!("run-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        Step { stage: self, kind: sample.kind, action: read(sample.kind, &sample.with), run }
    }
}

pub(crate) fn read(kind: &str, with: &Value) -> Arc<dyn DynAction<World>> {
    (catalogue::action(kind).unwrap().parse)(with).unwrap_or_else(|error| panic!("{kind} {}: {error}", error.path))
}

/// One step of one run, as the engine would take it: undo is exempt from closed regions, and here everything is.
pub(crate) struct Step<'a> {
    stage: &'a Stage,
    pub(crate) kind: &'static str,
    pub(crate) action: Arc<dyn DynAction<World>>,
    run: String,
}

impl Step<'_> {
    fn cx<'a>(&'a self, world: &'a World) -> Cx<'a, World> {
        Cx {
            world,
            run: &self.run,
            step: "failover/x",
            board: &self.stage.board,
            desk: &self.stage.desk,
            progress: &|_| {},
            warn: &|_| {},
            foreseen: &NOTHING,
            accepted: &|| {},
        }
    }

    pub(crate) async fn plan(&self) -> Planned<Value> {
        let cx = self.cx(&self.stage.world);
        self.in_time(gate::exempt(self.action.plan(&cx))).await.unwrap_or_else(|error| panic!("{}: {error}", self.kind))
    }

    pub(crate) async fn try_plan(&self) -> Result<Planned<Value>, ActionError> {
        self.in_time(gate::exempt(self.action.plan(&self.cx(&self.stage.world)))).await
    }

    /// As `lifeboat plan` looks at it; with what it says beside.
    pub(crate) async fn foresee(&self, foreseen: &Foreseen) -> Result<(Planned<Value>, String), ActionError> {
        let said = Mutex::new(Vec::new());
        let cx = Cx { foreseen, warn: &|line| said.lock().unwrap().push(line), ..self.cx(&self.stage.world) };
        let planned = self.in_time(gate::exempt(self.action.plan(&cx))).await?;
        let said = said.lock().unwrap().join("\n");
        Ok((planned, said))
    }

    /// With what it gave, the changing calls it took.
    pub(crate) async fn apply(&self, before: &Value) -> (Applied<Value>, usize) {
        let (applied, calls) = self.apply_in(&self.stage.world, before).await;
        (applied.unwrap_or_else(|error| panic!("{}: {error}", self.kind)), calls)
    }

    pub(crate) async fn apply_in(&self, world: &World, before: &Value) -> (Result<Applied<Value>, ActionError>, usize) {
        let sink = Arc::new(Counted::default());
        let cx = self.cx(world);
        let applied = self.in_time(observed(sink.clone(), gate::exempt(self.action.apply(&cx, before)))).await;
        (applied, sink.sent.load(Ordering::Relaxed))
    }

    pub(crate) async fn undo(&self, before: &Value) -> (Undone, usize) {
        let (undone, calls) = self.try_undo(before).await;
        (undone.unwrap_or_else(|error| panic!("{}: {error}", self.kind)), calls)
    }

    pub(crate) async fn try_undo(&self, before: &Value) -> (Result<Undone, ActionError>, usize) {
        self.undo_in(&self.stage.world, before).await
    }

    pub(crate) async fn undo_in(&self, world: &World, before: &Value) -> (Result<Undone, ActionError>, usize) {
        let sink = Arc::new(Counted::default());
        let cx = self.cx(world);
        let undone = self.in_time(observed(sink.clone(), gate::exempt(self.action.undo(&cx, before)))).await;
        (undone, sink.sent.load(Ordering::Relaxed))
    }

    /// Applies and is cut off when the answer to the `calls`th changing call has come: nobody takes note of it.
    pub(crate) async fn cut_apply(&self, before: &Value, calls: usize) {
        let sink = Counted::up_to(calls);
        let cx = self.cx(&self.stage.world);
        let apply = observed(sink.clone(), gate::exempt(self.action.apply(&cx, before)));
        self.in_time(sink.cut(async { _ = apply.await })).await;
    }

    /// As [`Step::cut_apply`], the way back.
    pub(crate) async fn cut_undo(&self, before: &Value, calls: usize) {
        let sink = Counted::up_to(calls);
        let cx = self.cx(&self.stage.world);
        let undo = observed(sink.clone(), gate::exempt(self.action.undo(&cx, before)));
        self.in_time(sink.cut(async { _ = undo.await })).await;
    }

    /// The vendor operations that `plan`, `apply` and `undo` call, reads and changes, each once.
    pub(crate) async fn operations(&self) -> [BTreeSet<String>; 3] {
        let sinks = [(); 3].map(|()| Arc::new(Counted::default()));
        let cx = self.cx(&self.stage.world);
        let step = async {
            let before = observed(sinks[0].clone(), self.action.plan(&cx)).await?.before;
            observed(sinks[1].clone(), self.action.apply(&cx, &before)).await?;
            observed(sinks[2].clone(), self.action.undo(&cx, &before)).await.map(drop)
        };
        self.in_time(gate::exempt(step)).await.unwrap_or_else(|error| panic!("{}: {error}", self.kind));
        sinks.map(|sink| sink.operations())
    }

    async fn in_time<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("{} does not come to an end", self.kind))
    }
}

/// Counts changing calls, and may let only so many be sent.
#[derive(Default)]
pub(crate) struct Counted {
    sent: AtomicUsize,
    settled: AtomicUsize,
    most: Option<usize>,
    cut: Notify,
    operations: Mutex<Vec<String>>,
    /// Those that only read, too.
    all: Mutex<BTreeSet<String>>,
}

impl Counted {
    fn up_to(most: usize) -> Arc<Self> {
        let counted = Arc::new(Self { most: Some(most), ..Self::default() });
        if most == 0 {
            counted.cut.notify_one();
        }
        counted
    }

    /// Every operation that was called, each once.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        self.all.lock().unwrap().clone()
    }

    async fn cut(&self, future: impl Future<Output = ()>) {
        tokio::select! { biased; () = self.cut.notified() => {}, () = future => {} }
    }
}

impl CallSink for Counted {
    fn record(&self, call: Call) {
        self.all.lock().unwrap().insert(call.operation.clone());
        if call.mutating {
            self.operations.lock().unwrap().push(call.operation);
        }
    }

    fn sending(&self) -> Result<(), &'static str> {
        if self.most.is_some_and(|most| self.sent.load(Ordering::Relaxed) >= most) {
            return Err("cut off");
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn settled(&self) {
        if Some(self.settled.fetch_add(1, Ordering::Relaxed) + 1) == self.most {
            self.cut.notify_one();
        }
    }
}
