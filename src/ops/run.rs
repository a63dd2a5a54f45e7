//! One run from plan to report: journal, observers, signals, verdict.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc as channel, oneshot};

use super::clock_error::clock_error_ms;
use super::control::{self, Console, Control, Wiring, operator};
use super::environment::Environment;
use super::exit::{Exit, Kind};
use super::forecast::forecast_for;
use super::home;
use super::lock::{Locked, Place};
use super::marks::others::none_stand;
use super::marks::{Signer, WorldMarker, signer};
use super::pinned::{Originals, copy_of};
use super::{guards, lever, lock, places, report, runs, variables};
use crate::catalogue;
use crate::engine::clock::RunClock;
use crate::engine::desk::Reply;
use crate::engine::gatekeeper::{Closed, Gatekeeper};
use crate::engine::machine::{self, Recovery};
use crate::engine::record::{Journal, OnEvent, OnJournal, Recorder};
use crate::engine::samples::SampleFile;
use crate::engine::secrets;
use crate::engine::shell::{self, Begin, EngineError, Envelope, Setup};
use crate::journal::FileStore;
use crate::journal::crash::{self, CrashStore};
use crate::journal::file::PLAN;
use crate::journal::samples::{self, ArrowFile};
use crate::model::event::step::StepKind;
use crate::model::event::{Body, Event, RunEvent, StepEvent};
use crate::model::format::TOOL;
use crate::model::guard::{Decision, Overrides};
use crate::model::ids::RunId;
use crate::model::measure::Measures;
use crate::model::order::Order;
use crate::model::plan::{Mode, Plan, Verdict};
use crate::model::state::{self, RunState, StepState};
use crate::model::text::Lang;
use crate::model::time::Span;
use crate::model::{chain, measure};
use crate::observe::{Observer, language};
use crate::ports::gate::Gate;
use crate::ports::store::{Owner, RunStore, StoreError};
use crate::world::World;
use crate::world::command::Programs;

/// A file of the definitions, as it was when the plan was made.
#[derive(Debug, Clone)]
pub struct DefinitionFile {
    /// As the plan names it.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The bytes of every file that `plan` was made from.
///
/// # Errors
/// When one cannot be read or has changed since.
pub fn definitions(root: &Path, plan: &Plan) -> Result<Vec<DefinitionFile>, Exit> {
    plan.definitions
        .iter()
        .map(|definition| {
            let bytes = std::fs::read(root.join(&definition.path))
                .map_err(|error| Exit::new(Kind::Definitions, format!("{} cannot be read", definition.path)).cause(error.to_string()))?;
            if chain::sha256(&bytes) != definition.sha256 {
                return Err(
                    Exit::new(Kind::Definitions, format!("{} changed while the plan was made", definition.path)).hint("run the command again")
                );
            }
            Ok(DefinitionFile { path: definition.path.clone(), bytes })
        })
        .collect()
}

/// Who watches a run and who may steer it.
pub struct Attended {
    /// Shows its events.
    pub observer: Box<dyn Observer + Send>,
    /// Whoever sits in front of it.
    pub console: Box<dyn Console>,
    /// Answers to approvals and manual steps that were given beforehand: step ids or keys, with who gave them.
    pub approved: Vec<(String, Reply)>,
    /// The files that the plan was made from; what is edited there while it runs is said.
    pub originals: Originals,
}

impl std::fmt::Debug for Attended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attended").field("approved", &self.approved).finish_non_exhaustive()
    }
}

/// What a run came to and where it is kept.
#[derive(Debug)]
pub struct Outcome {
    /// The run's id.
    pub run: RunId,
    /// What it came to; `None` when it was left before its end.
    pub verdict: Option<Verdict>,
    /// Its events.
    pub events: Vec<Event>,
    /// The English report.
    pub report: PathBuf,
    /// Why it was left, or why its reports could not be written, if so.
    pub problem: Option<Exit>,
    /// The journal.
    pub journal: PathBuf,
}

/// How the guards let a run begin, and what they go by when its fault is to be injected.
#[derive(Debug)]
pub struct Allowed {
    /// What they said.
    pub decisions: Vec<Decision>,
    /// What was said to them.
    pub said: guards::Said,
}

/// Starts a new run of `plan`, which the guards have let through, and sees it through.
///
/// # Errors
/// When the journal cannot be begun or kept, or the plan does not fit this Lifeboat.
pub async fn start(
    store: Arc<FileStore>,
    environment: &Environment,
    plan: Plan,
    definitions: &[DefinitionFile],
    allowed: Allowed,
    attended: Attended,
) -> Result<Outcome, Exit> {
    relaxed(&store, environment);
    let Allowed { decisions, said } = allowed;
    let locked = lock::take(&store, &plan, None)?;
    none_stand(&store, environment, &plan, None).await?;
    let signer = if plan.fault.is_some() { signer(environment).map(Ok)? } else { Err(UNNEEDED.to_owned()) };
    let clock = RunClock::start();
    let run = runs::fresh_id(clock.now(), &plan.name);
    let owner = Owner { token: token(), epoch: 1 };
    let plan_json = serde_json_canonicalizer::to_vec(&plan).map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    if let Err(error) = lay_out(&store, &run, &owner, &plan, &plan_json, definitions) {
        // Half a folder would look like a run that somebody has to take back.
        store.discard(&run);
        return Err(Exit::from_error(Kind::Environment, &error).hint("nothing was changed; --reports DIR names another folder for the runs"));
    }
    let crowded = store.lacks_room(&run);
    if let Some(why) = crowded.as_ref().filter(|_| plan.mode != Mode::Emergency) {
        store.discard(&run);
        return Err(Exit::new(Kind::Environment, "no space can be set aside for the journal of the run")
            .cause(why)
            .hint("nothing was changed; --reports DIR names another folder for the runs"));
    }
    places::note_folder(&store);
    // Only now: whoever pulls the lever either sees this run among those to be aborted, or is seen here.
    is_released(&store, &plan).inspect_err(|_| store.discard(&run))?;
    let opening = RunEvent::Started {
        plan_sha256: chain::sha256(&plan_json),
        plan: Box::new(plan.clone()),
        tool: TOOL.into(),
        operator: operator(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        clock_error_ms: clock_error_ms().await,
        begun: home::begun(&store, &run),
    };
    secrets::follow(true);
    secrets::know(&plan);
    let notes = crowded.map(|why| format!("no space can be set aside for the journal: {why}")).into_iter().collect();
    let plan = Arc::new(plan);
    let forecast = forecast_for(&store, &plan, &run);
    let head = chain::genesis(&run);
    let (begin, starter, locked) = (Begin::Fresh, operator(), Some(locked));
    Hold {
        store,
        run,
        owner,
        clock,
        plan,
        earlier: Vec::new(),
        head,
        opening,
        decisions,
        forecast,
        begin,
        notes,
        starter,
        locked,
        said: Ok(said),
        programs: Programs::Here,
        signer,
    }
    .see_through(environment, attended)
    .await
}

/// Leaves fsync out, in labs only, if so asked.
fn relaxed(store: &FileStore, environment: &Environment) {
    if variables::in_lab(variables::NO_FSYNC, environment).is_some() {
        store.relax();
    }
}

/// Whether the lever of the environment lets a drill go on there.
fn is_released(store: &FileStore, plan: &Plan) -> Result<(), Exit> {
    if plan.mode == Mode::Emergency {
        return Ok(());
    }
    match lever::pulled(store, &plan.environment, &Place::of(plan).lever_keys())? {
        None => Ok(()),
        Some(lever) => Err(Exit::new(Kind::Environment, format!("{lever}; nothing was changed"))
            .hint(format!("`{}` lets drills begin again", lever.release_command()))),
    }
}

/// Makes the folder of a run with its empty journal, its plan and its definitions.
fn lay_out(store: &FileStore, run: &str, owner: &Owner, plan: &Plan, plan_json: &[u8], definitions: &[DefinitionFile]) -> Result<(), StoreError> {
    store.create_in(run, owner, &plan.environment)?;
    store.write_beside(run, PLAN, plan_json)?;
    runs::keep_room_for_head(store, run)?;
    for definition in definitions {
        store.write_beside(run, &copy_of(&definition.path), &definition.bytes)?;
    }
    Ok(())
}

/// Takes over a run that another process left: goes on with it, or takes back whatever it left applied.
///
/// # Errors
/// When it is still running elsewhere, its journal cannot be trusted or kept, or it is over and is to go on.
pub async fn recover(
    store: Arc<FileStore>,
    run: RunId,
    to: Takeover,
    said: Said,
    environment: &Environment,
    mut attended: Attended,
) -> Result<Outcome, Exit> {
    relaxed(&store, environment);
    let (mut hold, mut state) = take_over(store, run, to)?;
    hold.notes.extend(said.note.clone());
    if let Some(patience) = said.patience {
        Arc::make_mut(&mut hold.plan).limits.patience = patience;
        if let RunEvent::Resumed { patience: said, .. } = &mut hold.opening {
            *said = Some(patience);
        }
    }
    // Whoever has answered is not asked again.
    let reply = |answer: &state::Answer| Reply { yes: true, by: answer.by.clone(), note: "given beforehand".into(), witness: answer.witness.clone() };
    let agreed = |(key, step): (&String, &StepState)| step.agreed().map(|answer| (key.clone(), reply(answer))).collect::<Vec<_>>();
    attended.approved.splice(..0, state.steps.iter().flat_map(agreed));
    if to == Takeover::GoOn {
        // A fault that stands is gone on with whatever became of the copies; one that does not is not injected by guards that nobody knows.
        let known = guards::as_begun(&hold.store, &hold.run, &hold.plan);
        let started_by = Some(hold.starter.clone());
        hold.said = known.map(|guards| guards::Said { guards, overrides: said.overrides, started_by }).map_err(|exit| exit.message);
        hold.locked = Some(lock::take(&hold.store, &hold.plan, Some(&hold.run))?);
        // A fault that stands and whose lease cannot be renewed ends by itself.
        hold.signer = if hold.plan.fault.is_some() { signer(environment).map_err(|exit| exit.message) } else { hold.signer };
        if state.fault().is_none_or(|fault| fault.intent.is_none()) {
            none_stand(&hold.store, environment, &hold.plan, Some(&hold.run)).await?;
        }
        is_released(&hold.store, &hold.plan)?;
    }
    if to == Takeover::GoOn && state.ended.is_some() {
        state.reopen();
    }
    hold.begin = match to {
        Takeover::GoOn => Begin::GoOn(Box::new(state.clone()), machine::lease_left(&state, hold.clock.now())),
        Takeover::TakeBack => Begin::TakeBack(Recovery::of(&state)),
    };
    hold.see_through(environment, attended).await
}

/// What is said when a run is taken over.
#[derive(Debug, Default)]
pub struct Said {
    /// For the journal.
    pub note: Option<String>,
    /// How long failed steps wait for people, if not as when it began.
    pub patience: Option<Span>,
    /// Which guards are overridden, should the fault still have to be injected.
    pub overrides: Overrides,
}

/// What a new owner does with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takeover {
    /// Goes on with it.
    GoOn,
    /// Takes back what it left.
    TakeBack,
}

impl Takeover {
    /// As the journal and the command line call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::GoOn => "resume",
            Self::TakeBack => "abort",
        }
    }
}

/// Begins the journal of a run anew of which nothing can be trusted, by the plan beside it: so that what is done about it has a place.
///
/// # Errors
/// When it cannot be written, or another process owns the run.
pub fn begin_anew(store: &Arc<FileStore>, run: &str, plan: &Plan) -> Result<(), Exit> {
    let owner = Owner { token: token(), epoch: 1 };
    store.own(run, &owner).map_err(|error| Exit::from_error(Kind::Environment, &error))?;
    let plan_json = serde_json_canonicalizer::to_vec(plan).map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    let started = RunEvent::Started {
        plan_sha256: chain::sha256(&plan_json),
        plan: Box::new(plan.clone()),
        tool: TOOL.into(),
        operator: operator(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        clock_error_ms: None,
        // Nothing that is to be trusted says who began it.
        begun: None,
    };
    let mut recorder = Recorder::new(store.clone(), owner, run.to_owned(), RunClock::start(), 0, chain::genesis(run), Box::new(|_| {}));
    let recorded = recorder.record(Body::Run(started)).map_err(|error| Exit::from_error(Kind::Environment, &error));
    store.let_go(run);
    recorded
}

/// Ends a run whose lab was part of the process that is gone: nothing of what it changed is left anywhere.
///
/// # Errors
/// As [`recover`].
pub fn recover_nothing(store: Arc<FileStore>, run: RunId, to: Takeover, note: Option<String>, attended: Attended) -> Result<Outcome, Exit> {
    let (hold, state) = take_over(store, run, to)?;
    let step = |key: &str, kind: StepKind| Body::Step(StepEvent { step: key.to_owned(), kind });
    let mut bodies = vec![
        Body::Run(RunEvent::Resumed { to: Takeover::TakeBack.word().to_owned(), by: operator(), patience: None, tool: TOOL.into() }),
        Body::Run(RunEvent::Note {
            text: "the simulated clouds ended with the process that ran them: nothing is left of what the run changed there".into(),
        }),
    ];
    bodies.extend(note.map(|text| Body::Run(RunEvent::Note { text })));
    bodies.extend(attended.originals.edited(&hold.plan, &[]).into_iter().map(Body::Run));
    let held = state.held();
    for key in state.undo().in_order().filter(|key| held.contains(key)) {
        let attempt = state.step(key).map_or(0, |step| step.undo_attempts) + 1;
        // What a command or a request of one's own did outside of the clouds has not ended with them.
        let has_no_undo = state.step(key).is_some_and(|step| step.has_no_undo);
        let undone = if has_no_undo { StepKind::NotUndone } else { StepKind::Undone { already: true } };
        bodies.extend([step(key, StepKind::Undoing { attempt }), step(key, undone)]);
    }
    let Hold { store, run, owner, clock, earlier, head, .. } = hold;
    let told = Told::start(attended.observer, earlier)?;
    let mut recorder = Recorder::new(store.clone(), owner, run.to_string(), clock, told.position(), head, told.on_event()).telling(told.on_journal());
    let mut record = |body| recorder.record(body).map_err(|error| Exit::from_error(Kind::Environment, &error));
    bodies.into_iter().try_for_each(&mut record)?;
    let (verdict, reasons) = told.judge()();
    record(Body::Run(RunEvent::Ended { verdict, reasons }))?;
    let ended = match recorder.into_trouble() {
        None => Ok(verdict),
        Some(source) => Err(EngineError::Journal { run: run.to_string(), left: Box::default(), source }),
    };
    told.conclude(&store, run, ended)
}

/// Writes down what a person has decided of a run that nobody runs, from the state that this process finds as its owner. A run that had ended is judged again;
/// so is one that was left before its end, once nothing of it is to be put back any more. Gives its events.
///
/// # Errors
/// When it is being run, its journal cannot be trusted or kept, or `decide` refuses; then nothing is written.
pub(super) fn write_down(
    store: &Arc<FileStore>,
    run: &RunId,
    to: &str,
    observer: Box<dyn Observer + Send>,
    decide: impl FnOnce(&RunState) -> Result<StepEvent, Exit>,
) -> Result<Vec<Event>, Exit> {
    let (hold, state) = take_over(store.clone(), run.clone(), Takeover::TakeBack)?;
    let decided = decide(&state)?;
    let Hold { run, owner, clock, earlier, head, .. } = hold;
    let told = Told::start(observer, earlier)?;
    let mut recorder = Recorder::new(store.clone(), owner, run.to_string(), clock, told.position(), head, told.on_event());
    let mut record = |body| recorder.record(body).map_err(|error| Exit::from_error(Kind::Environment, &error));
    record(Body::Run(RunEvent::Resumed { to: to.to_owned(), by: operator(), patience: None, tool: TOOL.into() }))?;
    record(Body::Step(decided))?;
    let now = RunState::from_events(&lock(&told.events)).map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    let is_over = state.ended.is_some() || now.held().is_empty();
    if is_over {
        let (verdict, reasons) = told.judge()();
        record(Body::Run(RunEvent::Ended { verdict, reasons }))?;
    }
    drop(recorder);
    told.end();
    let (chain, digest) = runs::read_with_digest(store, &run)?;
    if is_over {
        runs::note_head(store, &run, &chain, &digest);
    }
    report::write_of(store, &run, &chain)?;
    Ok(chain.events)
}

/// Becomes the owner of a run that another process left; gives also what it had come to.
fn take_over(store: Arc<FileStore>, run: RunId, to: Takeover) -> Result<(Hold, RunState), Exit> {
    let mut owner = Owner { token: token(), epoch: 1 };
    store.own(&run, &owner).map_err(|error| match error.source.kind() {
        std::io::ErrorKind::WouldBlock => Exit::new(Kind::Environment, format!("run {run} is still being run by another process"))
            .hint(format!("`lifeboat ctl {run} abort` makes it take everything back by itself")),
        _ => runs::unreadable(&error),
    })?;
    let read = runs::read(&store, &run)?;
    let state = runs::state(&run, &read)?;
    let plan = state.plan().cloned().ok_or_else(|| Exit::new(Kind::Definitions, format!("run {run} never started: there is nothing to undo")))?;
    if let (Takeover::GoOn, Some(end), false) = (to, &state.ended, state.may_go_on()) {
        let verdict = serde_json::to_value(end.verdict).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        return Err(Exit::new(Kind::Usage, format!("run {run} has ended ({verdict}); there is nothing to go on with"))
            .hint(format!("`lifeboat abort {run}` takes back what it left")));
    }
    owner.epoch = state.epoch + 1;
    let opening = RunEvent::Resumed { to: to.word().to_owned(), by: operator(), patience: None, tool: TOOL.into() };
    let starter = state.start.as_ref().map(|start| start.operator.clone()).unwrap_or_default();
    let (clock, plan) = (RunClock::start(), Arc::new(plan));
    let (begin, locked) = (Begin::Fresh, None);
    let programs = home::programs(&store, &run, &state);
    secrets::follow(!matches!(programs, Programs::Refused(_)));
    secrets::know(&plan);
    Ok((
        Hold {
            store,
            run,
            owner,
            clock,
            plan,
            earlier: read.events,
            head: read.head,
            opening,
            decisions: Vec::new(),
            forecast: None,
            begin,
            notes: Vec::new(),
            starter,
            locked,
            said: Err("nothing is injected while everything is taken back".into()),
            programs,
            signer: Err(UNNEEDED.to_owned()),
        },
        state,
    ))
}

/// One process's hold of a run.
struct Hold {
    store: Arc<FileStore>,
    run: RunId,
    owner: Owner,
    clock: RunClock,
    plan: Arc<Plan>,
    earlier: Vec<Event>,
    head: String,
    opening: RunEvent,
    decisions: Vec<Decision>,
    /// What earlier runs let expect, once it is known.
    forecast: Option<oneshot::Receiver<Vec<RunEvent>>>,
    begin: Begin,
    /// What is to be said of it at its beginning.
    notes: Vec<String>,
    /// Whoever started the run.
    starter: String,
    /// While it is held, nobody else injects a fault in this environment.
    locked: Option<Locked>,
    /// What the guards go by when the fault is to be injected, or why none may be.
    said: Result<guards::Said, String>,
    /// Whether the programs of its definitions are run, and where.
    programs: Programs,
    /// Who signs the marks of its fault, or why nobody can.
    signer: Result<Signer, String>,
}

/// Why nobody signs where no mark is written: they are taken off without.
const UNNEEDED: &str = "nothing is injected here";

impl Hold {
    async fn see_through(self, environment: &Environment, attended: Attended) -> Result<Outcome, Exit> {
        let Self {
            store,
            run,
            owner,
            clock,
            plan,
            earlier,
            head,
            opening,
            decisions,
            forecast,
            begin,
            notes,
            starter,
            locked: _locked,
            said,
            programs,
            signer,
        } = self;
        let Attended { observer, console, approved, originals } = attended;
        let (ask, orders) = channel::unbounded_channel();
        let kept = kept_in(&store, environment)?;
        let gate = Gate::default();
        let world = Arc::new(World::connect(&environment.settings, &gate).await.running(programs.clone()));
        let marked = world.clone();
        let probe_world = Arc::new(World::connect(&environment.settings, &gate).await.running(programs));
        let told = Told::start(observer, earlier)?;
        let epoch = owner.epoch;
        // Before the first event: from then on no signal may end this process by itself.
        let (is_back, is_emergency, is_fresh) = (matches!(begin, Begin::TakeBack(_)), plan.mode == Mode::Emergency, matches!(begin, Begin::Fresh));
        let ending = if is_emergency && !is_back { Order::Stop } else { Order::Abort };
        let control = told.control(&store, &run, ask, ending, console).and_then(|(control, problem)| match problem {
            // A drill that nobody could halt does not begin; what has to be done is done without the socket too.
            Some(problem) if is_fresh && !is_emergency => Err(problem),
            _ => Ok(control),
        });
        let control = match control {
            Ok(control) => control,
            Err(exit) => {
                told.end();
                store.discard(&run);
                return Err(exit.hint("nothing was changed"));
            }
        };
        let gatekeeper: Arc<dyn Gatekeeper> = match said {
            Ok(said) => Arc::new(guards::Again::new(store.clone(), environment, originals.root(), run.clone(), plan.clone(), said)),
            Err(why) => Arc::new(Closed(why)),
        };
        let mut recorder = Recorder::new(kept, owner, run.to_string(), clock, told.position(), head, told.on_event()).telling(told.on_journal());
        // How the guards decided follows the start at once; what was edited while nobody ran the run, the takeover.
        let mut openings = vec![opening];
        openings.extend((!decisions.is_empty()).then_some(RunEvent::Guarded { decisions, again: false }));
        openings.extend(variables::said(environment).into_iter().chain(notes).map(|text| RunEvent::Note { text }));
        openings.extend(originals.edited(&plan, &[]));
        // Recovery does not wait for a disk that keeps no samples.
        let samples = match sample_file(&store, &run, epoch, &plan) {
            Ok(file) => file,
            Err(error) => {
                openings.push(RunEvent::Note { text: format!("the single samples are not kept: {error}") });
                None
            }
        };
        let opening = openings.pop().expect("there is the first");
        let begun = openings.iter().cloned().try_for_each(|event| recorder.record(Body::Run(event)));
        openings.push(opening.clone());
        let setup = Setup {
            actions: catalogue::actions(),
            probes: catalogue::probes(),
            mutates: |uses| catalogue::action(uses).is_none_or(|row| row.mutates),
            world,
            probe_world,
            samples,
            clock,
            recorder,
            opening,
            begin,
            starter,
            orders,
            marker: Arc::new(WorldMarker::new(marked, signer)),
            gatekeeper,
            approved,
            beside: forecast,
            closing: Box::new({
                let plan = plan.clone();
                move || originals.edited(&plan, &openings)
            }),
            judge: told.judge(),
            plan,
        };
        let ended = match begun {
            Ok(()) => shell::run(setup).await,
            Err(source) => {
                drop(setup);
                Err(EngineError::Journal { run: run.to_string(), left: Box::default(), source })
            }
        };
        drop(control);
        told.conclude(&store, run, ended)
    }
}

/// The file of the single samples; `None` for a plan without probes.
fn sample_file(store: &FileStore, run: &str, epoch: u64, plan: &Plan) -> std::io::Result<Option<Box<dyn SampleFile>>> {
    if plan.probes.is_empty() {
        return Ok(None);
    }
    let probes = plan.probes.iter().map(|probe| probe.id.clone()).collect();
    Ok(Some(Box::new(ArrowFile::create(&store.path(run), &samples::file_name(epoch), probes)?)))
}

/// Where the events go: the store, or in a lab, if so asked, one that ends this process at a chosen event.
fn kept_in(store: &Arc<FileStore>, environment: &Environment) -> Result<Arc<dyn RunStore>, Exit> {
    match variables::in_lab(crash::VARIABLE, environment) {
        Some(point) => {
            let point = point.parse().map_err(|error| Exit::from_error(Kind::Usage, &error))?;
            Ok(Arc::new(CrashStore::new(store.clone(), point)))
        }
        None => Ok(store.clone()),
    }
}

/// Everything that hears of a run's events after they were journalled: the display, and the memory that the verdict is made from.
struct Told {
    events: Arc<Mutex<Vec<Event>>>,
    display: mpsc::Sender<Shown>,
    thread: JoinHandle<()>,
}

/// What the display hears of.
enum Shown {
    Event(Box<Event>),
    Foot(String),
    /// Something that no event tells.
    Said(String),
    /// There will be no more.
    End,
}

impl Told {
    fn start(observer: Box<dyn Observer + Send>, earlier: Vec<Event>) -> Result<Self, Exit> {
        let (display, thread) = watch(observer, &earlier)?;
        Ok(Self { events: Arc::new(Mutex::new(earlier)), display, thread })
    }

    /// How many events there are.
    fn position(&self) -> u64 {
        lock(&self.events).len() as u64
    }

    fn on_event(&self) -> OnEvent {
        let (events, display) = (self.events.clone(), self.display.clone());
        Box::new(move |event: &Event| {
            lock(&events).push(event.clone());
            // The observers' thread ends before the run only if it panicked; the run goes on.
            let _ = display.send(Shown::Event(Box::new(event.clone())));
        })
    }

    fn on_journal(&self) -> OnJournal {
        let display = self.display.clone();
        Box::new(move |journal: Journal<'_>| drop(display.send(Shown::Said(said_of(journal, language())))))
    }

    /// Begins to listen to signals, keys and the socket.
    fn control(
        &self,
        store: &FileStore,
        run: &str,
        ask: channel::UnboundedSender<Envelope>,
        ending: Order,
        console: Box<dyn Console>,
    ) -> Result<(Control, Option<Exit>), Exit> {
        let display = self.display.clone();
        let foot = Box::new(move |line| {
            // As above.
            let _ = display.send(Shown::Foot(line));
        });
        let wiring =
            Wiring { folder: store.path(run), abort_command: control::abort_command(store, run), events: self.events.clone(), ask, ending, foot };
        Control::start(wiring, console)
    }

    fn judge(&self) -> Box<dyn FnOnce() -> (Verdict, Vec<String>) + Send> {
        let events = self.events.clone();
        Box::new(move || match RunState::from_events(&lock(&events)) {
            Ok(state) => {
                let (verdict, reasons) = measure::judge(&state, &Measures::of(&state));
                (verdict, reasons.iter().map(ToString::to_string).collect())
            }
            Err(error) => (Verdict::Inconclusive, vec![format!("the events make no legal run: {error}")]),
        })
    }

    /// Lets the display finish, whoever may still have something to show.
    fn end(self) -> Vec<Event> {
        let _ = self.display.send(Shown::End);
        // A display that panicked has said so; the run and its report do not depend on it.
        let _ = self.thread.join();
        std::mem::take(&mut *lock(&self.events))
    }

    fn conclude(self, store: &FileStore, run: RunId, ended: Result<Verdict, EngineError>) -> Result<Outcome, Exit> {
        let events = self.end();
        let (verdict, left) = match ended {
            Ok(verdict) => (Some(verdict), None),
            Err(error) if events.is_empty() => {
                store.discard(&run);
                return Err(engine_error(&error, store, &run).hint("nothing was changed"));
            }
            Err(error) => (None, Some(engine_error(&error, store, &run))),
        };
        // What was written is read once, and believed only then.
        let read = runs::read_with_digest(store, &run);
        if verdict.is_some() {
            if let Ok((chain, digest)) = &read {
                runs::note_head(store, &run, chain, digest);
            }
            // What is not needed any more is room for the report.
            store.give_room_back(&run);
        }
        let (written, events) = match read {
            Ok((chain, _)) => {
                // They are the same, and of many one copy is enough.
                drop(events);
                (report::write_of(store, &run, &chain), chain.events)
            }
            Err(error) => (Err(error), events),
        };
        let (report, unreported) = match written {
            Ok(path) => (path, None),
            Err(error) => {
                (store.path(&run).join(report::ENGLISH), Some(error.hint(format!("`lifeboat report {run}` writes it as soon as that is possible"))))
            }
        };
        let journal = store.journal(&run);
        Ok(Outcome { run, verdict, events, report, problem: left.or(unreported), journal })
    }
}

fn engine_error(error: &EngineError, store: &FileStore, run: &str) -> Exit {
    match error {
        EngineError::Journal { left, .. } => {
            let command = control::abort_command(store, run);
            let stands =
                (left.fault_is_out == Some(false)).then_some("; `lifeboat reaper` takes the fault out by its marks, once its lease has ended");
            Exit::from_error(Kind::Environment, error).hint(format!("once it can be written again: {command}{}", stands.unwrap_or_default()))
        }
        EngineError::Probes(_) => Exit::from_error(Kind::Environment, error),
        EngineError::Plan(_) => Exit::from_error(Kind::Definitions, error),
    }
}

/// What is said at once when the journal fails: it cannot tell by itself.
fn said_of(journal: Journal<'_>, lang: Lang) -> String {
    match (journal, lang) {
        (Journal::Failed(why), Lang::En) => {
            format!("THE JOURNAL CANNOT BE WRITTEN ({why}): nothing more is begun; a fault is taken out all the same. What follows is not stored yet")
        }
        (Journal::Failed(why), Lang::Zh) => format!("日志无法写入（{why}）：不再开始任何新操作；故障仍会解除。以下内容尚未存盘"),
        (Journal::Written(events), Lang::En) => format!("the journal can be written again: {events} events that were kept in memory are in it now"),
        (Journal::Written(events), Lang::Zh) => format!("日志恢复写入：内存中保留的 {events} 条事件已补记"),
    }
}

fn lock(events: &Mutex<Vec<Event>>) -> std::sync::MutexGuard<'_, Vec<Event>> {
    // A vector of events is whole after any panic.
    events.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows events on a thread of its own: a slow terminal never slows a failover.
fn watch(mut observer: Box<dyn Observer + Send>, earlier: &[Event]) -> Result<(mpsc::Sender<Shown>, JoinHandle<()>), Exit> {
    let (told, events) = mpsc::channel::<Shown>();
    let mut state = RunState::from_events(earlier).map_err(|error| Exit::new(Kind::Internal, error.to_string()))?;
    let thread = std::thread::Builder::new()
        .name("display".into())
        .spawn(move || {
            loop {
                match events.recv_timeout(Duration::from_millis(100)) {
                    Ok(Shown::Foot(line)) => observer.foot(&line),
                    Ok(Shown::Said(line)) => observer.said(&line),
                    Ok(Shown::Event(event)) => {
                        // The engine only makes legal events; showing one that is not does no harm.
                        let _ = state.apply(&event);
                        observer.event(&event, &state);
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => observer.tick(&state),
                    Ok(Shown::End) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
            observer.finish(&state);
        })
        .map_err(|error| Exit::new(Kind::Environment, "no thread for the display").cause(error.to_string()))?;
    Ok((told, thread))
}

fn token() -> String {
    format!("{:016x}", rand::random::<u64>())
}
