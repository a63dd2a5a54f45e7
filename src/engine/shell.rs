//! Performs what the machine decides: journals, calls actions, keeps time, listens to the probes.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tracing::debug;

use super::action::{ActionType, Cx, Planned};
use super::board::{self, Board};
use super::clock::RunClock;
use super::desk::{Desk, DeskSetup, Reply, Tell, Trust};
use super::foreseen::NOTHING;
use super::gatekeeper::Gatekeeper;
use super::lease::{Mark, Marker};
use super::machine::{Effect, FAULT, Input, Left, Machine, Recovery, Standing};
use super::parameters::{self, Purpose, Ready, Stated, Unready};
use super::probe::ProbeType;
use super::record::{RecordError, Recorder};
use super::samples::{SampleFile, Samples};
use super::secrets;
use super::watch::{Closer, Report, Watch, Watched};
use crate::model::event::step::StepKind;
use crate::model::event::{Body, ProbeEvent, RunEvent, StepEvent};
use crate::model::failure::{Failure, FailureKind};
use crate::model::order::{Asked, Order, Witness};
use crate::model::plan::{Mode, Plan, Verdict};
use crate::model::state::RunState;
use crate::ports::calls::{self, Call, CallSink};
use crate::ports::gate;
use crate::ports::secrets::mask_value;

/// How long a run that is to end waits for a changing call that was sent: undo begins within a second of an abort, whatever hangs. A call that is cut
/// off then may still arrive; the machine looks again once that cannot be any more.
const GRACE: Duration = Duration::from_millis(600);
/// How long the guards may take to decide about a fault: they ask both clouds.
const GUARDS: Duration = Duration::from_secs(120);
/// How often a journal that cannot be written is tried again, and for how long once the run is over.
const REWRITE: Duration = Duration::from_millis(500);
const REWRITES: u32 = 20;
/// How long a run that is over waits for what is still being found out beside it.
const BESIDE: Duration = Duration::from_secs(1);
/// How long before the end of an attempt its calls stop being repeated.
const MARGIN: Duration = Duration::from_millis(200);

/// Everything a run needs.
pub struct Setup<W: 'static> {
    /// What to do.
    pub plan: Arc<Plan>,
    /// The words for actions.
    pub actions: &'static [ActionType<W>],
    /// The words for probes.
    pub probes: &'static [ProbeType<W>],
    /// Whether an action's word changes anything.
    pub mutates: fn(&str) -> bool,
    /// What actions reach into.
    pub world: Arc<W>,
    /// What probes reach into: other clients, other pools.
    pub probe_world: Arc<W>,
    /// Where every single sample goes; `None` keeps none.
    pub samples: Option<Box<dyn SampleFile>>,
    /// The run's clock.
    pub clock: RunClock,
    /// Makes the events; its run must be fresh (no event yet) when `begin` is.
    pub recorder: Recorder,
    /// The first events of this hold of the run: `started`, or `resumed`.
    pub opening: RunEvent,
    /// Where to begin.
    pub begin: Begin,
    /// Whoever started the run.
    pub starter: String,
    /// What people and signals ask for while it runs.
    pub orders: mpsc::UnboundedReceiver<Envelope>,
    /// Writes the marks of faults.
    pub marker: Arc<dyn Marker>,
    /// Says whether the fault may be injected.
    pub gatekeeper: Arc<dyn Gatekeeper>,
    /// Answers to approvals and manual steps that were given beforehand: step ids or keys, with who gave them.
    pub approved: Vec<(String, Reply)>,
    /// What is found out while the run goes on, such as what earlier runs let expect: no step waits for it, and it is recorded once it is known.
    pub beside: Option<oneshot::Receiver<Vec<RunEvent>>>,
    /// What is to be said of the run before it is judged.
    pub closing: Box<dyn FnOnce() -> Vec<RunEvent> + Send>,
    /// The verdict, from the events so far.
    pub judge: Box<dyn FnOnce() -> (Verdict, Vec<String>) + Send>,
}

/// Where a hold of a run begins.
#[derive(Debug)]
pub enum Begin {
    /// At the beginning.
    Fresh,
    /// What a former owner left is taken back instead of running the plan.
    TakeBack(Recovery),
    /// Where a former owner left; with how long the lease of the fault still lasts.
    GoOn(Box<RunState>, Duration),
}

/// Something asked of the run, with the way back to whoever asks.
#[derive(Debug)]
pub struct Envelope {
    /// What.
    pub asked: Asked,
    /// What is known of whoever asks.
    pub witness: Witness,
    /// Hears whether it is done, or why it cannot be.
    pub reply: Option<oneshot::Sender<Result<(), String>>>,
}

impl Envelope {
    /// An order that nobody waits for the answer of.
    #[must_use]
    pub fn new(order: Order, by: &str, why: impl Into<String>) -> Self {
        Self { asked: Asked { order, by: by.to_owned(), why: why.into() }, witness: Witness::default(), reply: None }
    }
}

/// A run that could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal cannot be written. Nothing was started after that but the end of the fault; what else is applied stays until `abort`.
    #[error("run {run} was left: {left}")]
    Journal {
        /// The run.
        run: String,
        /// What stays.
        left: Box<Left>,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// The plan has a word this Lifeboat does not know, or parameters it does not accept.
    #[error("{0}")]
    Plan(String),
    /// No thread for the probes.
    #[error("the probes cannot be started")]
    Probes(#[source] std::io::Error),
}

/// What reaches the shell while actions run.
enum Message {
    Input(Input),
    Call(String, Call),
    Step(String, StepKind),
}

/// Hears of the calls of one task, and cuts it off: at once, or as soon as the changing call in hand has ended.
struct Sink {
    step: String,
    /// Whether its calls are those of an attempt; a look from outside belongs to none.
    journalled: bool,
    messages: mpsc::UnboundedSender<Message>,
    hand: Mutex<Hand>,
}

#[derive(Default)]
struct Hand {
    /// Changing calls that were sent and have not ended.
    calls: u32,
    /// Whether the task is to end.
    cut: bool,
    /// Whether a changing call was in hand when it was to end.
    torn: bool,
    task: Option<AbortHandle>,
}

impl Sink {
    fn hand(&self) -> MutexGuard<'_, Hand> {
        // Each field is changed by one assignment.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn began(&self, task: AbortHandle) {
        self.hand().task = Some(task);
    }

    /// Ends the task: at once, or as soon as the changing call in hand has ended, for which it has [`GRACE`].
    fn cut_off(self: &Arc<Self>) {
        let mut hand = self.hand();
        hand.cut = true;
        hand.end_if_empty();
        if hand.calls > 0 {
            // Even if it ends in time: what it says to a task that is cut off, nobody hears.
            hand.torn = true;
            let sink = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                let mut hand = sink.hand();
                hand.calls = 0;
                hand.end_if_empty();
            });
        }
    }

    /// Whether the task was to end while a changing call was in hand.
    fn is_torn(&self) -> bool {
        self.hand().torn
    }
}

impl Hand {
    fn end_if_empty(&self) {
        if let Some(task) = self.task.as_ref().filter(|_| self.cut && self.calls == 0) {
            task.abort();
        }
    }
}

impl CallSink for Sink {
    fn record(&self, call: Call) {
        if self.journalled {
            let _ = self.messages.send(Message::Call(self.step.clone(), call));
        }
    }

    fn sending(&self) -> Result<(), &'static str> {
        let mut hand = self.hand();
        if hand.cut {
            return Err("the run is ending");
        }
        hand.calls += 1;
        Ok(())
    }

    fn settled(&self) {
        let mut hand = self.hand();
        hand.calls = hand.calls.saturating_sub(1);
        hand.end_if_empty();
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Plan,
    Read,
    Apply,
    Undo,
}

impl Kind {
    /// What is only read is read to see what undo would restore.
    const fn purpose(self) -> Purpose {
        match self {
            Self::Plan | Self::Apply => Purpose::Do,
            Self::Read | Self::Undo => Purpose::Undo,
        }
    }
}

/// A change to be made, or taken back.
struct Change<'a> {
    kind: Kind,
    uses: &'a str,
    with: &'a Value,
    before: Value,
    timeout: Duration,
    /// Of a fault to be injected: what its marks say.
    mark: Option<Mark>,
    /// Of a fault to be taken out: its marks go too.
    fault: bool,
}

struct Shell<W: 'static> {
    actions: BTreeMap<&'static str, &'static ActionType<W>>,
    world: Arc<W>,
    desk: Desk,
    marker: Arc<dyn Marker>,
    gatekeeper: Arc<dyn Gatekeeper>,
    clock: RunClock,
    recorder: Recorder,
    machine: Machine,
    /// Why the order being followed cannot be.
    refused: Option<String>,
    board: Board,
    standings: watch::Sender<BTreeMap<String, board::Standing>>,
    told: BTreeMap<String, Standing>,
    messages: mpsc::UnboundedSender<Message>,
    tasks: JoinSet<()>,
    running: BTreeMap<Id, (String, Kind)>,
    /// The latest task of each step.
    sinks: BTreeMap<String, Arc<Sink>>,
    wakes: BTreeSet<Duration>,
    watch: Option<Watch>,
    /// What is found out beside the run, until it is known.
    beside: Option<oneshot::Receiver<Vec<RunEvent>>>,
    finished: bool,
    /// Whether it ends because its journal cannot be written.
    left: bool,
    /// Whether the machine knows that the journal cannot be written, and when that is tried again.
    rewrite: Option<Instant>,
    /// Whether the machine knows that the journal runs out of space.
    is_short: bool,
}

/// Runs a plan, or takes back what a former owner left, to its end. Returns the verdict that was journalled.
///
/// # Errors
/// See [`EngineError`].
pub async fn run<W: Send + Sync + 'static>(setup: Setup<W>) -> Result<Verdict, EngineError> {
    let Setup {
        plan,
        actions,
        probes,
        mutates,
        world,
        probe_world,
        samples,
        clock,
        recorder,
        opening,
        begin,
        starter,
        mut orders,
        marker,
        gatekeeper,
        approved,
        beside,
        closing,
        judge,
    } = setup;
    let (standings, board) = Board::new();
    let (messages, mut inbox) = mpsc::unbounded_channel();
    let (reports, mut reported) = mpsc::unbounded_channel();
    let watched = plan.probes.iter().map(|probe| watched(probe, probes)).collect::<Result<Vec<_>, _>>()?;
    let tell: Tell = Box::new({
        let messages = messages.clone();
        move |step, kind| {
            // The run may have ended.
            let _ = messages.send(Message::Step(step.to_owned(), kind));
        }
    });
    let trust = Trust::of(&plan);
    let desk = Desk::new(DeskSetup { starter, approved, trust, simulated: plan.mode == Mode::Rehearse, tell });
    let mut shell = Shell {
        machine: Machine::new(plan, mutates),
        desk,
        marker,
        gatekeeper,
        actions: actions.iter().map(|row| (row.kind, row)).collect(),
        world,
        clock,
        recorder,
        board,
        standings,
        refused: None,
        told: BTreeMap::new(),
        messages,
        tasks: JoinSet::new(),
        running: BTreeMap::new(),
        sinks: BTreeMap::new(),
        wakes: BTreeSet::new(),
        watch: None,
        beside,
        finished: false,
        left: false,
        rewrite: None,
        is_short: false,
    };
    shell.record(Body::Run(opening))?;
    if matches!(begin, Begin::Fresh) && shell.recorder.trouble().is_some() {
        return Err(shell.unwritten());
    }
    let (samples, writer) = match samples {
        Some(file) => Samples::start(file).map(|(samples, writer)| (samples, Some(writer))).map_err(EngineError::Probes)?,
        None => (Samples::nowhere(), None),
    };
    let watch = Watch::start(watched, probe_world, clock, reports, samples).map_err(EngineError::Probes)?;
    shell.board.connect(watch.asks());
    shell.watch = Some(watch);
    let begin = match begin {
        Begin::Fresh => Input::Start,
        Begin::TakeBack(recovery) => Input::Recover(recovery),
        Begin::GoOn(state, lease_left) => Input::Resume(state, lease_left),
    };
    let outcome = shell.live(begin, &mut inbox, &mut reported, &mut orders).await;
    if outcome.is_err() || shell.left {
        // Finish the calls in hand; send nothing more.
        shell.sinks.values().for_each(|sink| sink.cut_off());
        while shell.tasks.join_next().await.is_some() {}
        return Err(outcome.err().unwrap_or_else(|| shell.unwritten()));
    }
    if let Some(watch) = shell.watch.take() {
        watch.end().await;
    }
    while let Ok(report) = reported.try_recv() {
        shell.note_probe(report)?;
    }
    if let Some(writer) = writer {
        shell.record(Body::Run(match writer.finish().await {
            Ok(kept) => RunEvent::Samples(kept),
            Err(error) => RunEvent::Note { text: format!("the single samples are not all kept: {error}") },
        }))?;
    }
    if let Some(beside) = shell.beside.take()
        && let Ok(Ok(found)) = tokio::time::timeout(BESIDE, beside).await
    {
        shell.record_runs(found)?;
    }
    for event in closing() {
        shell.record(Body::Run(event))?;
    }
    let (verdict, reasons) = judge();
    shell.record(Body::Run(RunEvent::Ended { verdict, reasons }))?;
    if shell.is_written_down(&mut orders).await? { Ok(verdict) } else { Err(shell.unwritten()) }
}

fn watched<W: Send + Sync + 'static>(probe: &crate::model::plan::ProbePlan, types: &'static [ProbeType<W>]) -> Result<Watched<W>, EngineError> {
    let row = types.iter().find(|row| row.kind == probe.uses);
    let parsed = parameters::probe(row, &probe.uses, &probe.with).map_err(|failure| EngineError::Plan(format!("probe {}: {failure}", probe.id)))?;
    Ok(Watched {
        id: probe.id.clone(),
        probe: parsed,
        every: probe.every.duration(),
        while_bad: closer(probe),
        bad_after: probe.bad_after,
        good_after: probe.good_after,
    })
}

/// What was found out beside the run; nothing from whoever ended before it was known.
async fn found_out(beside: &mut Option<oneshot::Receiver<Vec<RunEvent>>>) -> Vec<RunEvent> {
    match beside {
        Some(beside) => beside.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

fn closer(probe: &crate::model::plan::ProbePlan) -> Option<Closer> {
    probe.while_bad.as_ref().map(|closer| Closer { every: closer.every.duration(), budget: closer.budget.duration() })
}

impl<W: Send + Sync + 'static> Shell<W> {
    async fn live(
        &mut self,
        begin: Input,
        inbox: &mut mpsc::UnboundedReceiver<Message>,
        reported: &mut mpsc::UnboundedReceiver<Report>,
        orders: &mut mpsc::UnboundedReceiver<Envelope>,
    ) -> Result<(), EngineError> {
        self.feed(begin)?;
        self.heed_the_journal()?;
        let mut orders_open = true;
        while !self.finished {
            let rewrite = self.rewrite;
            let wake = self.wakes.first().copied();
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = orders.recv(), if orders_open => match order {
                    Some(envelope) => self.ordered(envelope, inbox)?,
                    None => orders_open = false,
                },
                // Ahead of everything that may come without an end, above all readings: otherwise a busy run would be left for a journal that can long be written again.
                () = tokio::time::sleep_until(rewrite.unwrap_or_else(Instant::now)), if rewrite.is_some() => {
                    self.rewrite = Some(Instant::now() + REWRITE);
                    self.write_down()?;
                }
                Some(message) = inbox.recv() => self.message(message)?,
                Some(ended) = self.tasks.join_next_with_id() => {
                    // Whatever the task said before it ended comes first.
                    self.messages_so_far(inbox)?;
                    match ended {
                        Ok((id, ())) => { self.running.remove(&id); }
                        Err(error) => self.task_lost(error)?,
                    }
                }
                found = found_out(&mut self.beside), if self.beside.is_some() => {
                    self.beside = None;
                    self.record_runs(found)?;
                }
                Some(report) = reported.recv() => self.probe_report(report)?,
                () = sleep => {
                    self.wakes.pop_first();
                    self.feed(Input::Wake)?;
                }
            }
            self.heed_the_journal()?;
        }
        Ok(())
    }

    /// Lets the machine know what has become of the journal.
    fn heed_the_journal(&mut self) -> Result<(), EngineError> {
        match (self.recorder.trouble().map(RecordError::why), self.rewrite) {
            (Some(why), None) => {
                self.rewrite = Some(Instant::now() + REWRITE);
                self.feed(Input::JournalFailed(why))?;
            }
            (None, Some(_)) => {
                self.rewrite = None;
                self.feed(Input::JournalWritten)?;
            }
            _ => {}
        }
        match self.recorder.shortage().filter(|_| !self.is_short) {
            Some(why) => {
                self.is_short = true;
                self.feed(Input::JournalShort(why))
            }
            None => Ok(()),
        }
    }

    fn write_down(&mut self) -> Result<bool, EngineError> {
        self.recorder.write_down().map_err(|source| EngineError::Journal {
            run: self.recorder.run().to_owned(),
            left: Box::new(self.machine.left()),
            source,
        })
    }

    /// Whether everything that happened is stored, once the run is over; what is not is tried for a while, unless somebody has no patience.
    async fn is_written_down(&mut self, orders: &mut mpsc::UnboundedReceiver<Envelope>) -> Result<bool, EngineError> {
        for _ in 0..REWRITES {
            if self.write_down()? {
                return Ok(true);
            }
            tokio::select! {
                Some(_) = orders.recv() => break,
                () = tokio::time::sleep(REWRITE) => {}
            }
        }
        self.write_down()
    }

    /// The end of a run whose journal cannot be written.
    fn unwritten(self) -> EngineError {
        let (run, left) = (self.recorder.run().to_owned(), Box::new(self.machine.left()));
        let source = self.recorder.into_trouble().unwrap_or_else(|| RecordError::Unknown { run: run.clone() });
        EngineError::Journal { run, left, source }
    }

    /// Whether an effect would change something although what it follows from could not be stored. Then the machine hears that it was not performed.
    fn is_withheld(&self, effect: &Effect) -> bool {
        if self.recorder.trouble().is_none() {
            return false;
        }
        match effect {
            Effect::Apply { key, .. } => self.answer(Input::NotSent(key.clone())),
            Effect::Undo { key, .. } if key != FAULT => self.answer(Input::NotSent(key.clone())),
            Effect::Renew { .. } => self.answer(Input::Renewed(Err(Failure::new(FailureKind::Cancelled, "not sent: the journal cannot be written")))),
            _ => return false,
        }
        true
    }

    fn ordered(&mut self, envelope: Envelope, inbox: &mut mpsc::UnboundedReceiver<Message>) -> Result<(), EngineError> {
        let Envelope { asked: Asked { order, by, why }, witness, reply } = envelope;
        let done = if let Order::Answer { step, yes } = order {
            let taken = self.desk.answer(&step, Reply { yes, by, note: why, witness });
            // The desk's word for it waits in the inbox: nobody is told that an answer counts before it is stored.
            self.messages_so_far(inbox)?;
            match self.recorder.trouble() {
                Some(error) => taken.and(Err(format!("the journal cannot be written: {}", error.why()))),
                None => taken,
            }
        } else {
            self.feed(Input::Order(Asked { order, by, why }))?;
            self.refused.take().map_or(Ok(()), Err)
        };
        if let Some(reply) = reply {
            // Whoever asked may be gone.
            let _ = reply.send(done);
        }
        Ok(())
    }

    fn record(&mut self, body: Body) -> Result<(), EngineError> {
        self.record_all(vec![body])
    }

    fn record_all(&mut self, bodies: Vec<Body>) -> Result<(), EngineError> {
        let stage = bodies.iter().any(|body| matches!(body, Body::Run(RunEvent::Stage { .. })));
        let recorded = self.recorder.record_all(bodies);
        recorded.map_err(|source| EngineError::Journal { run: self.recorder.run().to_owned(), left: Box::new(self.machine.left()), source })?;
        if stage && let Some(watch) = &self.watch {
            watch.tally();
        }
        Ok(())
    }

    /// Records events of the run; none is nothing to be made sure of.
    fn record_runs(&mut self, events: Vec<RunEvent>) -> Result<(), EngineError> {
        if events.is_empty() { Ok(()) } else { self.record_all(events.into_iter().map(Body::Run).collect()) }
    }

    fn feed(&mut self, input: Input) -> Result<(), EngineError> {
        let mut effects = self.machine.handle(self.clock.elapsed(), input).into_iter().peekable();
        while let Some(effect) = effects.next() {
            if self.is_withheld(&effect) {
                continue;
            }
            log(&effect);
            match effect {
                // What is recorded at once is made sure of at once: thousands of steps may be left out by one input.
                Effect::Record(body) => {
                    let mut bodies = vec![body];
                    while let Some(Effect::Record(body)) = effects.next_if(|next| matches!(next, Effect::Record(_))) {
                        bodies.push(body);
                    }
                    self.record_all(bodies)?;
                }
                Effect::Plan { key, uses, with, scope, timeout } => self.plan_step(Kind::Plan, key, &uses, &with, &scope, timeout),
                Effect::Read { key, uses, with, scope, timeout } => self.plan_step(Kind::Read, key, &uses, &with, &scope, timeout),
                Effect::Apply { key, uses, with, before, timeout, lease } => {
                    let mark = lease.map(|lease| self.mark(&key, &uses, &with, &before, lease));
                    self.change(Change { kind: Kind::Apply, uses: &uses, with: &with, before, timeout, mark, fault: false }, key);
                }
                Effect::Undo { key, uses, with, before, timeout, fault } => {
                    self.change(Change { kind: Kind::Undo, uses: &uses, with: &with, before, timeout, mark: None, fault }, key);
                }
                Effect::Renew { uses, with, before, lease } => self.renew(&uses, &with, &before, lease),
                Effect::AskGuards { intended } => self.ask_guards(intended),
                Effect::Refused(why) => self.refused = Some(why),
                Effect::Cancel(key) => {
                    if let Some(sink) = self.sinks.get(&key) {
                        sink.cut_off();
                    }
                }
                Effect::Ask { probe, after } => {
                    if let Some(watch) = &self.watch {
                        watch.ask(&probe, self.clock.instant(after));
                    }
                }
                Effect::Wake(at) => {
                    self.wakes.insert(at);
                }
                Effect::Finish => self.finished = true,
                Effect::Leave => (self.finished, self.left) = (true, true),
            }
        }
        Ok(())
    }

    fn messages_so_far(&mut self, inbox: &mut mpsc::UnboundedReceiver<Message>) -> Result<(), EngineError> {
        while let Ok(message) = inbox.try_recv() {
            self.message(message)?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> Result<(), EngineError> {
        match message {
            Message::Input(input) => self.feed(input),
            Message::Call(step, call) => self.record(Body::Step(StepEvent { step, kind: StepKind::Call { call } })),
            Message::Step(step, kind) => self.record(Body::Step(StepEvent { step, kind })),
        }
    }

    /// A task that was cut off or panicked: its step hears of it all the same.
    fn task_lost(&mut self, error: tokio::task::JoinError) -> Result<(), EngineError> {
        let Some((key, kind)) = self.running.remove(&error.id()) else { return Ok(()) };
        let failure = if error.is_cancelled() {
            let torn = self.sinks.get(&key).is_some_and(|sink| sink.is_torn());
            Failure { ambiguous: torn, ..Failure::new(FailureKind::Cancelled, "cut off") }
        } else {
            panicked()
        };
        self.feed(failed(kind, key, failure))
    }

    fn probe_report(&mut self, report: Report) -> Result<(), EngineError> {
        let Some(standing) = report.standing.clone() else { return self.note_probe(report) };
        let probe = report.probe.clone();
        self.note_probe(report)?;
        let now = Standing::told(&standing, self.clock);
        self.standings.send_if_modified(|all| {
            let changed = all.get(&probe) != Some(&standing);
            all.insert(probe.clone(), standing);
            changed
        });
        if self.told.get(&probe) != Some(&now) {
            self.told.insert(probe.clone(), now.clone());
            self.feed(Input::Probe(probe, now))?;
        }
        Ok(())
    }

    fn note_probe(&mut self, report: Report) -> Result<(), EngineError> {
        for kind in report.events {
            self.record(Body::Probe(ProbeEvent { probe: report.probe.clone(), kind }))?;
        }
        Ok(())
    }

    fn mark(&self, key: &str, uses: &str, with: &Value, before: &Value, lease: Duration) -> Mark {
        let (run, until) = (self.recorder.run().to_owned(), self.clock.now().plus(lease));
        Mark { run, step: key.to_owned(), until, uses: uses.to_owned(), with: with.clone(), before: before.clone() }
    }

    fn renew(&mut self, uses: &str, with: &Value, before: &Value, lease: Duration) {
        let mark = self.mark(FAULT, uses, with, before, lease);
        let ready = self.ready(Kind::Apply, Stated::intended(uses, with));
        let anchors = ready.and_then(|Ready { action, .. }| action.anchors(before).map_err(|error| error.failure()));
        let (marker, messages) = (self.marker.clone(), self.messages.clone());
        self.tasks.spawn(async move {
            let renewed = match anchors {
                Ok(anchors) => match tokio::time::timeout(lease, marker.renew(&anchors, &mark)).await {
                    Ok(renewed) => renewed.map(|()| mark.until).map_err(|error| error.failure()),
                    Err(_) => Err(Failure::new(FailureKind::Timeout, "no answer")),
                },
                Err(failure) => Err(failure),
            };
            let _ = messages.send(Message::Input(Input::Renewed(renewed)));
        });
    }

    fn ask_guards(&mut self, intended: bool) {
        let (gatekeeper, messages) = (self.gatekeeper.clone(), self.messages.clone());
        self.tasks.spawn(async move {
            // What the run has closed for its steps is open for whoever guards it.
            let deciding = AssertUnwindSafe(gate::exempt(gatekeeper.decide(intended))).catch_unwind();
            let ruling = match tokio::time::timeout(GUARDS, deciding).await {
                Ok(Ok(ruling)) => ruling,
                Ok(Err(_)) => Err("the guards failed inside Lifeboat".into()),
                Err(_) => Err(format!("the guards have not decided within {} s", GUARDS.as_secs())),
            };
            let _ = messages.send(Message::Input(Input::Guarded(ruling)));
        });
    }

    fn plan_step(&mut self, kind: Kind, key: String, uses: &str, with: &Value, scope: &Value, timeout: Duration) {
        let (action, with) = match self.ready(kind, Stated::planned(uses, with, scope)) {
            Ok(Ready { action, with }) => (action, with.into_owned()),
            Err(failure) => return self.answer(failed(kind, key, failure)),
        };
        let is_light = self.is_light(uses);
        self.spawn(key, kind, timeout, is_light, move |task| {
            Box::pin(async move {
                let key = task.key.clone();
                let kept = |planned: Planned<Value>| secrets::can_be_kept(&planned.before).map(|()| (planned, with));
                match kind {
                    // The run looks from outside: what it has closed for its steps is open for it.
                    Kind::Read => Input::Read(key, gate::exempt(task.limited(action.plan(&task.cx()))).await.and_then(kept)),
                    _ => Input::Planned(key, task.limited(action.plan(&task.cx())).await.and_then(kept)),
                }
            })
        });
    }

    fn change(&mut self, change: Change<'_>, key: String) {
        let Change { kind, uses, with, before, timeout, mark, fault } = change;
        let ready = self.ready(kind, Stated::intended(uses, with)).and_then(|Ready { action, .. }| {
            let anchors = if fault || mark.is_some() { action.anchors(&before).map_err(|error| error.failure())? } else { Vec::new() };
            Ok((action, anchors))
        });
        let (action, anchors) = match ready {
            Ok(ready) => ready,
            Err(failure) => return self.answer(failed(kind, key, failure)),
        };
        let (marker, is_light) = (self.marker.clone(), self.is_light(uses));
        self.spawn(key, kind, timeout, is_light, move |task| {
            Box::pin(async move {
                let key = task.key.clone();
                match kind {
                    Kind::Undo => {
                        let undone = task.limited(async {
                            let undone = action.undo(&task.cx(), &before).await?;
                            if !anchors.is_empty() {
                                marker.clear(&anchors, &task.run).await?;
                            }
                            Ok(undone)
                        });
                        Input::Undone(key, gate::exempt(undone).await)
                    }
                    _ => {
                        let applied = task.limited(async {
                            if let Some(mark) = mark.filter(|_| !anchors.is_empty()) {
                                marker.put(&anchors, &mark).await?;
                            }
                            action.apply(&task.cx(), &before).await
                        });
                        // Later steps get what the journal keeps, or they would go on otherwise after a resume.
                        let result = applied.await.map(|mut applied| {
                            mask_value(&mut applied.output);
                            applied
                        });
                        let accepted = task.accepted_ms.load(Ordering::Relaxed);
                        Input::Applied(key, result, (accepted > 0).then_some(accepted))
                    }
                }
            })
        });
    }

    /// The action of a step, for what is to be done with it.
    fn ready<'a>(&self, kind: Kind, stated: Stated<'a>) -> Result<Ready<'a, W>, Failure> {
        parameters::action(self.actions.get(stated.uses).copied(), stated, kind.purpose()).map_err(Unready::failure)
    }

    fn answer(&self, input: Input) {
        // Through the queue like any other answer, so that the machine is never entered twice.
        let _ = self.messages.send(Message::Input(input));
    }

    /// Whether an action changes nothing, so that beginning it here takes next to nothing: it says something, or begins to wait or to ask.
    fn is_light(&self, uses: &str) -> bool {
        self.actions.get(uses).is_some_and(|row| !row.mutates)
    }

    fn spawn<F>(&mut self, key: String, kind: Kind, timeout: Duration, is_light: bool, work: F)
    where
        F: FnOnce(Arc<Task<W>>) -> std::pin::Pin<Box<dyn Future<Output = Input> + Send>> + Send + 'static,
    {
        let task = Arc::new(Task::new(
            key.clone(),
            self.recorder.run().to_owned(),
            self.world.clone(),
            self.board.clone(),
            self.desk.clone(),
            timeout,
            self.messages.clone(),
            // A look from outside says nothing: what it would say, the step says.
            !matches!(kind, Kind::Read),
        ));
        let sink =
            Arc::new(Sink { step: key.clone(), journalled: !matches!(kind, Kind::Read), messages: self.messages.clone(), hand: Mutex::default() });
        let (messages, observing) = (self.messages.clone(), sink.clone());
        let mut work = Box::pin(calls::observed(observing, work(task)));
        if is_light {
            // What is done at once needs no task, whose way to another thread and back takes longer than itself.
            let begun = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
            match begun {
                Ok(Poll::Ready(input)) => return self.answer(input),
                Ok(Poll::Pending) => {}
                Err(_) => return self.answer(failed(kind, key, panicked())),
            }
        }
        let handle = self.tasks.spawn(async move {
            let input = work.await;
            let _ = messages.send(Message::Input(input));
        });
        self.running.insert(handle.id(), (key.clone(), kind));
        sink.began(handle);
        self.sinks.insert(key, sink);
    }
}

/// Says what was decided. The machine itself is pure and says nothing; what is recorded is in the journal.
fn log(effect: &Effect) {
    match effect {
        Effect::Plan { key, uses, .. } => debug!(step = key, uses, "decided: plan"),
        Effect::Read { key, uses, .. } => debug!(step = key, uses, "decided: read"),
        Effect::Apply { key, uses, .. } => debug!(step = key, uses, "decided: apply"),
        Effect::Undo { key, uses, fault, .. } => debug!(step = key, uses, fault, "decided: undo"),
        Effect::Renew { lease, .. } => debug!(lease_ms = lease.as_millis(), "decided: renew the lease of the fault"),
        Effect::AskGuards { intended } => debug!(intended, "decided: ask the guards"),
        Effect::Refused(why) => debug!(why, "decided: refuse an order"),
        Effect::Cancel(key) => debug!(step = key, "decided: cut off"),
        Effect::Ask { probe, .. } => debug!(probe, "decided: ask a probe"),
        Effect::Finish | Effect::Leave => debug!("decided: end"),
        Effect::Record(_) | Effect::Wake(_) => {}
    }
}

/// What is heard of an action that panicked.
fn panicked() -> Failure {
    Failure { ambiguous: true, ..Failure::new(FailureKind::Internal, "the action failed inside Lifeboat") }
}

fn failed(kind: Kind, key: String, failure: Failure) -> Input {
    match kind {
        Kind::Plan => Input::Planned(key, Err(failure)),
        Kind::Read => Input::Read(key, Err(failure)),
        Kind::Apply => Input::Applied(key, Err(failure), None),
        Kind::Undo => Input::Undone(key, Err(failure)),
    }
}

/// What one attempt owns while it runs.
struct Task<W> {
    key: String,
    run: String,
    world: Arc<W>,
    board: Board,
    desk: Desk,
    timeout: Duration,
    accepted_ms: Arc<AtomicU64>,
    accept: Box<dyn Fn() + Send + Sync>,
    progress: Box<dyn Fn(String) + Send + Sync>,
    warn: Box<dyn Fn(String) + Send + Sync>,
    /// What it said last of how far it is.
    latest: Arc<Mutex<String>>,
}

impl<W> Task<W> {
    #[expect(clippy::too_many_arguments, reason = "each is one field")]
    fn new(
        key: String,
        run: String,
        world: Arc<W>,
        board: Board,
        desk: Desk,
        timeout: Duration,
        messages: mpsc::UnboundedSender<Message>,
        tells: bool,
    ) -> Self {
        let started = Instant::now();
        let accepted_ms = Arc::new(AtomicU64::new(0));
        let accept = Box::new({
            let accepted_ms = accepted_ms.clone();
            // At least 1, so that 0 can mean never.
            move || accepted_ms.store(calls::millis(started.elapsed()).max(1), Ordering::Relaxed)
        });
        let warn = Box::new({
            let (key, messages) = (key.clone(), messages.clone());
            move |text| {
                if tells {
                    let _ = messages.send(Message::Step(key.clone(), StepKind::Warned { text }));
                }
            }
        });
        let latest = Arc::<Mutex<String>>::default();
        let progress = Box::new({
            let (key, latest) = (key.clone(), latest.clone());
            move |text: String| {
                latest.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&text);
                let _ = messages.send(Message::Step(key.clone(), StepKind::Progress { text }));
            }
        });
        Self { key, run, world, board, desk, timeout, accepted_ms, accept, progress, warn, latest }
    }

    fn cx(&self) -> Cx<'_, W> {
        Cx {
            world: &self.world,
            run: &self.run,
            step: &self.key,
            board: &self.board,
            desk: &self.desk,
            progress: &*self.progress,
            warn: &*self.warn,
            foreseen: &NOTHING,
            accepted: &*self.accept,
        }
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, super::action::ActionError>>) -> Result<T, Failure> {
        // A little before the end, so that what a service said last is told rather than that time is over.
        let until = Instant::now() + self.timeout.saturating_sub(MARGIN);
        match tokio::time::timeout(self.timeout, calls::within(until, work)).await {
            Ok(result) => result.map_err(|error| error.failure()),
            Err(_) => {
                // How far it was says which of many things it waited for.
                let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let latest = if latest.is_empty() { String::new() } else { format!(": {latest}") };
                let message = format!("not done within {}{latest}", crate::model::time::Span::from(self.timeout));
                Err(Failure { retry: true, ambiguous: true, ..Failure::new(FailureKind::Timeout, message) })
            }
        }
    }
}

impl<W> std::fmt::Debug for Setup<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("plan", &self.plan.name).finish_non_exhaustive()
    }
}
