//! The commands that reach an environment: they start a runtime, open the environment and run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use serde_json::{Map, Value, json};

use super::args::{Drill, Execute, Global, Lab, PlanArgs, Recover, Steering, Where};
use super::commands::verdict_word;
use super::guarded::{self, About, Guarding};
use super::output::{self, Output};
use super::steering::Limiting;
use super::{beginning, errors, log, settling, since, steering, taking_back, terminal};
use crate::engine::clock::RunClock;
use crate::engine::desk::Reply;
use crate::engine::secrets;
use crate::journal::FileStore;
use crate::lab::serve::Options;
use crate::lab::world::file::{Blueprint, SHOP};
use crate::model::call::Cloud;
use crate::model::credentials::literals;
use crate::model::diagnostic::Diagnostic;
use crate::model::event::run::{Awaited, all_of};
use crate::model::guard::Decision;
use crate::model::measure;
use crate::model::plan::{Mode, Plan};
use crate::model::project::{EnvironmentFile, EnvironmentKind};
use crate::model::state::RunState;
use crate::model::text::Lang;
use crate::model::time::Span;
use crate::model::whereabouts::Whereabouts;
use crate::observe::{self, Observer};
use crate::ops::approvals::{self, Given};
use crate::ops::budget::Budget;
use crate::ops::check::plan_either;
use crate::ops::control::{abort_command, operator, resume_command};
use crate::ops::dry_run::{DryRun, beside, dry_run};
use crate::ops::environment::{EmbeddedLab, Environment, LabChoice};
use crate::ops::exit::{Exit, Kind, of_verdict};
use crate::ops::forecast::forecast;
use crate::ops::guards;
use crate::ops::home;
use crate::ops::live;
use crate::ops::marks::can_sign;
use crate::ops::marks::others::none_stand;
use crate::ops::pinned::{self, Originals};
use crate::ops::places;
use crate::ops::preflight;
use crate::ops::project::{Project, load_project, load_project_in_need, usual_reports};
use crate::ops::resolve::{Request, plan_runbook, plan_scenario};
use crate::ops::run::{self, Attended, Outcome, Said, Takeover};
use crate::ops::runs;
use crate::ops::variables;
use crate::ops::words::Words;
use crate::ops::world_file;
use crate::ports::gate::Gate;
use crate::world::World;
use crate::world::command::Programs;

/// The store of the runs: `--reports`, else what the project file says.
pub(super) fn store(global: &Global) -> Result<FileStore, Exit> {
    store_of(global, None)
}

/// The store of the runs of a project that is at hand already; of one that is not, whatever is wrong with its file: what steers, ends and looks at runs does
/// not depend on it.
pub(super) fn store_of(global: &Global, at_hand: Option<&Project>) -> Result<FileStore, Exit> {
    let found = match (&global.reports, at_hand) {
        // Where the runs are is said: a project file that is wrong, or not there, keeps nobody from them, and the environments are still the project's.
        (Some(_), None) => project_in_need(None).ok(),
        (None, None) => Some(project_in_need(None)?),
        (_, Some(_)) => None,
    };
    let project = at_hand.or(found.as_ref());
    let own = project.map(Project::reports);
    let folder = global.reports.clone().or_else(|| own.clone()).unwrap_or_default();
    let keeping = places::keeping(&folder, own.as_deref());
    Ok(FileStore::new(folder, true).trusting(project.map(Project::trust).unwrap_or_default()).keeping_in(keeping))
}

/// The project of this folder, or else of the folder that `file` is in, as far as its file can be read. What is left out of it is said, once.
pub(super) fn project_in_need(file: Option<&Path>) -> Result<Project, Exit> {
    static SAID: Once = Once::new();
    let here = working_directory()?;
    let (project, notes) = match load_project_in_need(&here, file) {
        Ok((project, left_out)) => (project, left_out.iter().map(|problem| format!("{problem}; what this is about is left out")).collect()),
        // Nothing is begun by a file that says nothing.
        Err(problems) if file.is_some() => return Err(errors::definitions(&problems)),
        Err(problems) => {
            let (root, reports) = usual_reports(&here);
            let folder = reports.display().to_string();
            let note = |problem: &Diagnostic| format!("{problem}; the runs are looked for in {folder} (--reports DIR says otherwise)");
            (Project::bare(root), problems.iter().map(note).collect::<Vec<_>>())
        }
    };
    SAID.call_once(|| notes.iter().for_each(|note| output::said(note)));
    Ok(project)
}

fn working_directory() -> Result<PathBuf, Exit> {
    std::env::current_dir().map_err(|error| Exit::new(Kind::Environment, "the working directory cannot be read").cause(error.to_string()))
}

/// The project of this folder, or else of the folder that `file` is in.
pub(super) fn project_for(file: Option<&Path>) -> Result<Project, Exit> {
    load_project(&working_directory()?, file).map_err(|found| errors::definitions(&found))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    // Both clouds' clients and the probes use the one provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Exit::new(Kind::Environment, "no threads to run on").cause(error.to_string()))?;
    // A file beyond the process's limit is to fail like one on a full disk, not to kill whoever holds a fault. Once caught it is caught to the end.
    let caught = tokio::signal::unix::SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    let _ = runtime.block_on(async { tokio::signal::unix::signal(caught) });
    Ok(runtime)
}

fn choice(place: &Where, world: Arc<Blueprint>) -> LabChoice {
    LabChoice { control: place.lab.clone(), seed: place.seed, time_scale: place.time_scale, world: Some(world) }
}

/// `NAME=VALUE` pairs with YAML values.
pub(super) fn pairs(given: &[String], flag: &str) -> Result<Map<String, Value>, Exit> {
    given
        .iter()
        .map(|pair| {
            // What is behind the name may be a secret.
            let wrong = |why: &str| Exit::new(Kind::Usage, format!("{flag} {}: {why}", shortened(pair.split('=').next().unwrap_or_default())));
            let (name, value) = pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| wrong("is not NAME=VALUE"))?;
            let value: Value = serde_saphyr::from_str(value).map_err(|_| wrong("the value is not YAML"))?;
            if !literals(name, &value).is_empty() {
                return Err(wrong("a secret on the command line is read by everybody who lists the processes, and kept in the journal")
                    .hint(format!("write {flag} '{name}={{ secret: env:NAME }}'")));
            }
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// The beginning of what was typed, for a message of one line.
fn shortened(text: &str) -> String {
    const ENOUGH: usize = 60;
    let clean: String = text.chars().take(ENOUGH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(ENOUGH).is_some() { clean + "…" } else { clean }
}

async fn open(project: &Project, name: &str, place: &Where) -> Result<Environment, Exit> {
    let file = project.environment(name).map_err(|found| errors::definitions(&found))?;
    Environment::open(name, &file, choice(place, project.world(name)), &pairs(&place.set, "--set")?).await
}

pub(super) fn observer(output: &Output) -> Box<dyn Observer + Send> {
    observe::for_output(output.terminal, output.color, output.json)
}

fn attended(plan: &Plan, approved: Vec<(String, Reply)>, root: &Path, output: &Output) -> Attended {
    output.say(&Budget::of(plan).said(observe::language()));
    Attended { observer: observer(output), console: terminal::console(output.terminal), approved, originals: Originals::below(root) }
}

pub(super) fn drill(args: &Drill, global: &Global, output: &Output) -> Result<u8, Exit> {
    log::phase("project");
    let project = project_for(Some(&args.scenario))?;
    let store = Arc::new(store_of(global, Some(&project))?);
    runtime()?.block_on(async {
        log::phase("environment");
        let environment = open(&project, &args.env, &args.place).await?;
        log::phase("plan");
        let request = Request { no_failback: args.no_failback, ..request(&environment, &args.steering)? };
        let mut plan = placed(plan_scenario(&args.scenario, &project, Words::of_catalogue(), &request), &environment)?;
        let given = Given { no_failback: args.no_failback, ..given(&args.place, &args.steering)? };
        approvals::complete(&mut plan, &given, &project.root);
        let answers = args.steering.answers(&plan, terminal::can_ask(output.terminal), &approvals::vouched(&store.path(""), &plan))?;
        let about = About { project: &project, store: &store, environment: &environment, plan: &plan, mode: plan.mode, given: &given };
        let files = about.files()?;
        log::phase("look at the clouds");
        let (seen, accounts) = tokio::join!(looked_at(&plan, &environment), preflight::unnamed(&environment, &plan));
        log::phase("guards");
        let allowed = about.decide(&args.guarding, None, &seen).await?;
        if plan.mode == Mode::Drill {
            // A fault is not injected when it is known already that what must mend it cannot be done.
            seen.recoverable()?;
        }
        plan.frozen = seen.frozen();
        accounts.iter().for_each(|(cloud, account)| plan.scope.know(*cloud, account));
        let attended = attended(&plan, answers, &project.root, output);
        log::phase("run");
        let outcome = run::start(store.clone(), &environment, plan, &files, allowed, attended).await?;
        conclude(outcome, &store, output)
    })
}

pub(super) fn execute(args: &Execute, global: &Global, output: &Output) -> Result<u8, Exit> {
    log::phase("project");
    // An emergency is not kept by a mistake that is none of its environment's.
    let project = project_in_need(Some(&args.runbook))?;
    if let Some(since) = args.since.filter(|since| *since > RunClock::start().now()) {
        return Err(Exit::new(Kind::Usage, format!("--since {since} lies in the future"))
            .hint("give the time at which the disruption began, in UTC with `Z` or with its offset"));
    }
    let store = Arc::new(store_of(global, Some(&project))?);
    runtime()?.block_on(async {
        log::phase("environment");
        let environment = open(&project, &args.env, &args.place).await?;
        log::phase("plan");
        let given = Given { with: pairs(&args.with, "--with")?, ..given(&args.place, &args.steering)? };
        let mut request =
            Request { mode: Mode::Emergency, parameters: given.with.clone(), since: args.since, ..request(&environment, &args.steering)? };
        request.limits.patience = args.steering.limiting.patience_in_emergency(terminal::can_ask(output.terminal));
        let mut plan = placed(plan_runbook(&args.runbook, &project, Words::of_catalogue(), &request), &environment)?;
        approvals::complete(&mut plan, &given, &project.root);
        let answers = args.steering.answers(&plan, terminal::can_ask(output.terminal), &approvals::vouched(&store.path(""), &plan))?;
        let about = About { project: &project, store: &store, environment: &environment, plan: &plan, mode: plan.mode, given: &given };
        let files = about.files()?;
        log::phase("look at the clouds");
        let (seen, accounts) = tokio::join!(looked_at(&plan, &environment), preflight::unnamed(&environment, &plan));
        log::phase("guards");
        let allowed = about.decide(&args.guarding, args.yes_because.as_deref(), &seen).await?;
        plan.frozen = seen.frozen();
        accounts.iter().for_each(|(cloud, account)| plan.scope.know(*cloud, account));
        if !args.yes && terminal::can_ask(output.terminal) {
            plan.since = plan.since.or_else(since::asked);
            beginning::wanted(&plan, &seen, &allowed.decisions)?;
        }
        let attended = attended(&plan, answers, &project.root, output);
        log::phase("run");
        let outcome = run::start(store.clone(), &environment, plan, &files, allowed, attended).await?;
        conclude(outcome, &store, output)
    })
}

pub(super) fn plan(args: &PlanArgs, global: &Global, output: &Output) -> Result<u8, Exit> {
    log::phase("project");
    let project = project_for(Some(&args.scenario))?;
    let store = store_of(global, Some(&project))?;
    runtime()?.block_on(async {
        log::phase("environment");
        let environment = open(&project, &args.env, &args.place).await?;
        log::phase("plan");
        let request = request(&environment, &args.steering)?;
        let mut plan = placed(plan_either(&args.scenario, &project, Words::of_catalogue(), &request), &environment)?;
        let given = given(&args.place, &args.steering)?;
        approvals::complete(&mut plan, &given, &project.root);
        log::phase("look at the clouds");
        let world = World::connect(&environment.settings, &Gate::default()).await;
        let mut view = dry_run(&plan, &world, None).await;
        view.beside = beside(&plan, &world).await;
        log::phase("guards");
        // A runbook alone is what an emergency executes.
        let mode = if plan.fault.is_some() { plan.mode } else { Mode::Emergency };
        let about = About { project: &project, store: &store, environment: &environment, plan: &plan, mode, given: &given };
        about.files()?;
        view.guards = guards::views(about.foreseen(&view).await?, mode);
        view.is_unguarded = about.is_unguarded();
        let is_marked = if plan.fault.is_some() { can_sign(&environment) } else { Ok(()) };
        for exit in [is_marked.err(), none_stand(&store, &environment, &plan, None).await.err()].into_iter().flatten() {
            view.warnings.push(format!("a drill would be refused: {}", exit.message));
            view.warnings.extend(exit.causes);
        }
        let (forecast, notes) = forecast(&store, &plan);
        view.forecast = forecast;
        view.warnings.extend(notes);
        view.whereabouts.extend(variables::said(&environment));
        if output.json {
            output.json_line(&view);
        } else {
            output.print(&view.text());
        }
        view.answered()
    })
}

/// What a new owner does with a run, and what was said about it.
#[derive(Debug)]
pub(super) enum How<'a> {
    /// Goes on with it.
    GoOn {
        /// Answers given beforehand.
        approve: &'a [String],
        /// For failed steps, if not as when it began.
        patience: Option<Span>,
        /// Guards that are overridden, should the fault still have to be injected.
        overrides: &'a [String],
    },
    /// Takes it back.
    TakeBack {
        /// Why, although it may serve users.
        yes_because: Option<&'a str>,
        /// Whether one whose journal cannot be read or trusted is taken back all the same, and where it ran, if somebody says so.
        from_marks: Option<Option<&'a str>>,
    },
}

/// Goes on with a run, or takes it back.
pub(super) fn recover(args: &Recover, how: &How<'_>, global: &Global, output: &Output) -> Result<u8, Exit> {
    let (to, approve, yes_because, patience, overrides, from_marks) = match *how {
        How::GoOn { approve, patience, overrides } => (Takeover::GoOn, approve, None, patience, overrides, None),
        How::TakeBack { yes_because, from_marks } => (Takeover::TakeBack, &[][..], yes_because, None, &[][..], from_marks),
    };
    log::phase("journal");
    let store = Arc::new(store(global)?);
    let run = runs::find(&store, &args.run)?;
    let settled = match from_marks {
        Some(place) => settling::settle(&store, &run, place, args.lab.as_deref(), yes_because, output)?,
        None => None,
    };
    let reason = settled.as_ref().map(|settled| settled.reason.clone());
    let yes_because = yes_because.or(reason.as_deref());
    let chain = runs::read(&store, &run)?;
    let state = runs::state(&run, &chain)?;
    let Some(plan) = state.plan().cloned() else {
        if to == Takeover::GoOn {
            return Err(Exit::new(Kind::Usage, format!("run {run} never began: there is nothing to go on with")));
        }
        output.say(&format!("run {run} never began and changed nothing"));
        return Ok(0);
    };
    let made = plan.whereabouts();
    may_be_in(&run, made, args.lab.as_deref())?;
    let goes_on = to == Takeover::GoOn && state.may_go_on();
    // What it could not put back, or found otherwise than before, may be in order by now: that is looked at again.
    if settled.is_none() && state.ended.is_some() && state.held().is_empty() && measure::differs(&state).is_empty() && !goes_on {
        return Ok(nothing_to_do(&state, &run, to, output));
    }
    if to == Takeover::GoOn && state.accepted().next().is_some() {
        return Err(Exit::new(Kind::Usage, format!("what is there of run {run} was accepted in part: it is not gone on with"))
            .hint(format!("`{}` takes back the rest", abort_command(&store, &run))));
    }
    // What was edited meanwhile may not even be readable any more.
    let root = project_in_need(None).map_or_else(|_| std::env::current_dir().unwrap_or_default(), |project| project.root);
    if made.is_embedded() {
        // Its lab was part of the process whose run this no longer is.
        let note = settled.map(|settled| settled.note);
        let outcome = run::recover_nothing(store.clone(), run, to, note, attended(&plan, Vec::new(), &root, output))?;
        output.say("its simulated clouds ended with the process that ran them; nothing is left to undo");
        let state = RunState::from_events(&outcome.events).map_err(|error| Exit::new(Kind::Internal, error.to_string()))?;
        let code = conclude(outcome, &store, output)?;
        return if to == Takeover::GoOn { Ok(code) } else { taken_back(&state) };
    }
    let given = steering::given(approve, &plan, &approvals::vouched(&store.path(""), &plan))?;
    let guarding = Guarding { overrides: overrides.to_vec(), confirm: None };
    let overrides = guarded::overrides(&guarding, None, plan.mode)?;
    runtime()?.block_on(async {
        log::phase("environment");
        let mut environment = reopen(&store, &run, &plan, args.lab.as_deref()).await??;
        environment.programs = home::programs(&store, &run, &state);
        secrets::follow(!matches!(environment.programs, Programs::Refused(_)));
        secrets::know(&plan);
        preflight::accounts(&environment, Some(&plan)).await?;
        let mut note = settled.as_ref().map(|settled| settled.note.clone());
        // Somebody else may run it: then nothing is asked, and the takeover says so.
        if to == Takeover::TakeBack
            && !store.is_owned(&run)
            && let Some(live) = live::look(&state, &environment).await
        {
            let why = taking_back::wanted(&run, &plan, &live, yes_because, output)?;
            let served = format!("taken back although it served users: {why} ({})", operator());
            note = Some(note.map_or_else(|| served.clone(), |note| format!("{note}; {served}")));
        }
        let attended = attended(&plan, given, &root, output);
        if to == Takeover::GoOn && is_yet_to_inject(&state, &plan) {
            // Before anything is taken over: what is refused today may be let through tomorrow.
            let said = guards::Said { guards: guards::as_begun(&store, &run, &plan)?, overrides: overrides.clone(), started_by: starter(&state) };
            let again = guards::Again::new(store.clone(), &environment, &root, run.clone(), Arc::new(plan.clone()), said);
            let decisions = again.decide(false).await?;
            if decisions.iter().any(Decision::stands_in_the_way) {
                return Err(guarded::refusal(&decisions, &environment, &store, plan.mode));
            }
        }
        let said = Said { note, patience, overrides };
        log::phase("run");
        let outcome = run::recover(store.clone(), run, to, said, &environment, attended).await?;
        let state = RunState::from_events(&outcome.events).map_err(|error| Exit::new(Kind::Internal, error.to_string()))?;
        let code = conclude(outcome, &store, output)?;
        match (to, settled) {
            (Takeover::GoOn, _) => Ok(code),
            (Takeover::TakeBack, None) => taken_back(&state),
            (Takeover::TakeBack, Some(settled)) => taken_back(&state).and_then(|code| settled.is_all_known(&state).map(|()| code)),
        }
    })
}

/// Whether a run that goes on will inject its fault. Whether an attempt that had begun may be made again is decided in the run.
fn is_yet_to_inject(state: &RunState, plan: &Plan) -> bool {
    let takes_back = !state.stops.is_empty() || state.resumed.iter().any(|takeover| takeover.to == Takeover::TakeBack.word());
    let may_go_on = state.ended.is_none() || state.may_go_on();
    plan.fault.is_some() && may_go_on && !takes_back && state.fault().is_none_or(|fault| fault.intent.is_none())
}

fn starter(state: &RunState) -> Option<String> {
    state.start.as_ref().map(|start| start.operator.clone())
}

/// A run that has ended and of which nothing is to be put back: whoever wanted it taken back has that, whoever wanted it to go on hears how it ended.
fn nothing_to_do(state: &RunState, run: &str, to: Takeover, output: &Output) -> u8 {
    for (step, acceptance) in state.accepted() {
        output.say(&format!("{step}  {}", measure::accepted(acceptance)));
    }
    match (to, state.ended.as_ref()) {
        (Takeover::GoOn, Some(end)) => {
            output.say(&format!("run {run} has ended ({}); there is nothing to go on with", verdict_word(end.verdict)));
            of_verdict(end.verdict)
        }
        _ => {
            output.say(&format!("run {run} has ended and left nothing to undo"));
            0
        }
    }
}

/// The exit code of a run that was to be taken back: 0 only if everything is as it was before it, and no service went down for it.
///
/// # Errors
/// When something is not put back, or reads otherwise than before.
fn taken_back(state: &RunState) -> Result<u8, Exit> {
    let differs = measure::differs(state);
    let unsaid = state.held().into_iter().filter(|key| differs.iter().all(|(step, _)| step != key)).map(str::to_owned);
    let left: Vec<String> = unsaid.chain(differs.iter().map(|(step, what)| format!("{step}: {what}"))).collect();
    if !left.is_empty() {
        return Err(Exit::new(Kind::Environment, format!("not everything is as it was before the run: {}", left.join("; ")))
            .hint("the report says for each what is there and what was there before"));
    }
    let down: Vec<&str> = measure::gone_down(state);
    if !down.is_empty() {
        return Err(Exit::new(Kind::Environment, format!("everything is put back, and {} went down with it", down.join(", ")))
            .hint("the source side does not serve it: `lifeboat execute RUNBOOK` fails over again"));
    }
    let since = state.resumed.last().map(|takeover| takeover.at);
    if let Some(unseen) = state.unseen(Awaited::Normal).filter(|unseen| since.is_none_or(|since| unseen.at >= since)) {
        let lacking = all_of(&unseen.lacking);
        return Err(Exit::new(Kind::Environment, format!("everything is put back, and the services were not seen to be well after it: {lacking}")));
    }
    Ok(0)
}

/// Refuses `--lab` for a run that no running lab can have been the place of.
pub(super) fn may_be_in(run: &str, made: &Whereabouts, lab: Option<&str>) -> Result<(), Exit> {
    let refused = |was: &str| {
        Err(Exit::new(Kind::Usage, format!("--lab is said of a run in a running lab, and run {run} was made {was}; nothing was changed"))
            .hint("leave --lab out"))
    };
    match (lab, &made.lab) {
        (Some(_), None) => refused("in the clouds of accounts"),
        (Some(_), Some(made)) if made.embedded => refused("in a lab that was part of its process"),
        _ => Ok(()),
    }
}

/// The environment of an earlier run, as its plan names it and as the project file had it then; or why it cannot be reached.
///
/// # Errors
/// When it is another world than the one that the run was made in.
pub(super) async fn reopen(store: &FileStore, run: &str, plan: &Plan, lab: Option<&str>) -> Result<Result<Environment, Exit>, Exit> {
    let made = plan.whereabouts();
    let other = |lines: Vec<String>| {
        let mut exit = Exit::new(Kind::Environment, format!("run {run} was made in another world than this; nothing was changed"));
        exit.causes = lines;
        exit.hint(match &made.lab {
            Some(_) => "--lab CONTROL_URL names the lab it was made in; if that has ended, what the run changed there has ended with it",
            None => "take it up with the credentials, the profile and the variables (AWS_ENDPOINT_URL…) that it was begun with",
        })
    };
    let opened = if let Some(lab_made) = &made.lab {
        // The lab is known by its id, whatever its world file says by now.
        let file = pinned::environment(store, run, plan).ok().flatten().unwrap_or_default();
        let file = EnvironmentFile { kind: EnvironmentKind::Lab, marks: file.marks, aws: file.aws, aliyun: file.aliyun, ..Default::default() };
        let control = lab.unwrap_or(&lab_made.control);
        Environment::open(&plan.environment, &file, LabChoice::at(control), &Map::new()).await
    } else {
        let file = match pinned::environment(store, run, plan)? {
            Some(file) => file,
            None => project_in_need(None)?.environment(&plan.environment).map_err(|found| errors::definitions(&found))?,
        };
        if file.kind == EnvironmentKind::Lab {
            return Err(other(vec![format!("it was made in the clouds of accounts, and {} is a lab now", plan.environment)]));
        }
        Environment::open(&plan.environment, &file, LabChoice::default(), &Map::new()).await
    };
    let mut environment = match opened {
        Ok(environment) => environment,
        Err(exit) => return Ok(Err(exit)),
    };
    let lines = made.differs(&environment.whereabouts);
    if !lines.is_empty() {
        return Err(other(lines));
    }
    // Whose it was is known, though the project file may not have said so.
    environment.settings.is_account(Cloud::Aws, made.account(Cloud::Aws));
    environment.settings.is_account(Cloud::Aliyun, made.account(Cloud::Aliyun));
    Ok(Ok(environment))
}

/// What is given beside the files, and approved with them.
fn given(place: &Where, steering: &Steering) -> Result<Given, Exit> {
    let Limiting { ungraceful, budget, undo_for, patience } = steering.limiting;
    Ok(Given { set: pairs(&place.set, "--set")?, ungraceful, budget, undo_for, patience, ..Given::default() })
}

/// What a definition is resolved for.
fn request<'a>(environment: &'a Environment, steering: &Steering) -> Result<Request<'a>, Exit> {
    let mode = if environment.is_lab { Mode::Rehearse } else { Mode::Drill };
    let (vars, limits) = (environment.vars.clone(), steering.limiting.limits()?);
    Ok(Request { vars, limits, ungraceful: steering.limiting.ungraceful, ..Request::new(&environment.name, mode) })
}

/// What each step would act on now. An emergency does not wait long for a cloud that may be the one that fails.
async fn looked_at(plan: &Plan, environment: &Environment) -> DryRun {
    let world = World::connect(&environment.settings, &Gate::default()).await;
    dry_run(plan, &world, (plan.mode == Mode::Emergency).then_some(guards::EMERGENCY_PATIENCE)).await
}

/// The plan with the place where it runs in it, so that `abort` finds the same lab again, and with how real that place is.
fn placed(plan: Result<Plan, Vec<Diagnostic>>, environment: &Environment) -> Result<Plan, Exit> {
    let mut plan = plan.map_err(|found| errors::definitions(&found))?;
    plan.realism = environment.realism();
    plan.scope.place(environment.whereabouts.clone());
    // Before anything is asked with one of them, and before any program runs that may print them.
    secrets::know(&plan);
    Ok(plan)
}

/// The report in the language of the locale, if it is there.
fn in_language(report: &Path) -> PathBuf {
    let own = report.with_file_name(match observe::language() {
        Lang::En => "report.en.md",
        Lang::Zh => "report.zh.md",
    });
    if own.is_file() { own } else { report.to_owned() }
}

/// Prints what a run came to, and what takes back what it left; returns its exit code.
///
/// # Errors
/// When it was left before its end or its report could not be written: what there is is printed all the same.
fn conclude(outcome: Outcome, store: &FileStore, output: &Output) -> Result<u8, Exit> {
    log::phase("end");
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let state = RunState::from_events(&outcome.events).ok();
    if output.json {
        let services = state.as_ref().map_or_else(|| json!({}), |state| measure::services_json(state, &measure::Measures::of(state)));
        output.json_line(&json!({
            "run": outcome.run,
            "verdict": outcome.verdict,
            "report": absolute(&outcome.report),
            "journal": absolute(&outcome.journal),
            "services": services,
            "objectives": state.as_ref().map(|state| measure::criteria_json(&measure::Measures::of(state))),
            "changes_that_stand": state.as_ref().map(|state| measure::count(&measure::standing(state))),
            "held": state.as_ref().map(RunState::held),
            "moved": state.as_ref().and_then(|state| state.kept.as_ref()).map(|kept| &kept.moved),
        }));
    } else {
        let table = state.as_ref().map(|state| observe::results(state, observe::language())).unwrap_or_default();
        let table = table.iter().map(|line| format!("\n{line}")).collect::<String>();
        let report = in_language(&outcome.report);
        output.say(&format!("\n{}  {}{table}\nreport  {}", outcome.verdict.map_or("interrupted", verdict_word), outcome.run, report.display()));
    }
    // A lab that was part of this process takes along what was left in it.
    let is_elsewhere = |state: &&RunState| state.plan().is_some_and(|plan| !plan.whereabouts().is_embedded());
    if let Some(state) = state.as_ref().filter(is_elsewhere)
        && outcome.verdict.is_some()
    {
        ways_on(state, &outcome.run, store).iter().for_each(|line| output.say(line));
    }
    match (outcome.verdict, outcome.problem) {
        (Some(verdict), None) => Ok(of_verdict(verdict)),
        (_, Some(problem)) => Err(problem),
        (None, None) => Err(Exit::new(Kind::Internal, "the run was left without a reason")),
    }
}

/// What stays of a run that has ended, and where it can go from there: on, back in order, or back at once.
fn ways_on(state: &RunState, run: &str, store: &FileStore) -> Vec<String> {
    // What found everything as asked, or was refused, has left nothing to take back; what cannot be undone no command takes back.
    let standing = measure::standing(state);
    let held: Vec<&str> = standing.iter().filter(|one| one.can_be_undone).map(|one| one.step.as_str()).collect();
    let (mut lines, abort) = (Vec::new(), abort_command(store, run));
    for one in standing.iter().filter(|one| !one.irrevocable.is_empty()) {
        lines.push(format!("cannot be undone: {}: {}", one.step, one.irrevocable.join("; ")));
    }
    if state.may_go_on() {
        lines.push(format!("To go on from there: {}", resume_command(store, run)));
    }
    if held.is_empty() {
        return lines;
    }
    let mut moved: Vec<&str> = state.kept.iter().flat_map(|kept| &kept.moved).filter(|one| !one.is_unread()).map(|one| one.step.as_str()).collect();
    moved.dedup();
    let stays: Vec<&str> = held.iter().copied().filter(|key| !moved.contains(key)).collect();
    let still = if stays.is_empty() { "nothing of what it changed".to_owned() } else { stays.join(", ") };
    let changed = if moved.is_empty() { String::new() } else { format!(" (changed by others since: {})", moved.join(", ")) };
    if !live::may_serve(state) {
        lines.push(format!("still in place: {still}{changed}. To take it back: {abort}"));
        return lines;
    }
    lines.push(format!("still in place: {still}{changed}."));
    let plan = state.plan();
    let source = plan.and_then(|plan| plan.source.as_ref()).map(|source| format!(" ({} good)", source.probes.join(", "))).unwrap_or_default();
    if let Some(command) = plan.and_then(live::back_command) {
        lines.push(format!("The way back, once the source side is well again{source}: {command}"));
    }
    lines.push(format!(
        "To undo it step by step instead, which leads users back to the source side whether it is well or not: {abort} (it asks first)"
    ));
    lines
}

pub(super) fn lab(args: &Lab, output: &Output) -> Result<u8, Exit> {
    if args.print_world {
        output.print(SHOP);
        return Ok(0);
    }
    let world = match &args.world {
        Some(path) => world_file::read(path).map_err(|found| errors::definitions(&found))?,
        None => Blueprint::shop(),
    };
    let region = world.regions(Cloud::Aws).first().cloned().unwrap_or_default();
    let lab = EmbeddedLab::start(Options { seed: args.seed, scale: args.time_scale, prefix: args.prefix, world })?;
    let endpoints = &lab.endpoints;
    if output.json {
        output.json_line(endpoints);
    } else {
        output.print(&exports(endpoints, &region));
    }
    // Without anything to run on, waiting for a signal needs no more than one thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::new(Kind::Environment, "no threads to run on").cause(error.to_string()))?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else { return };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    });
    Ok(0)
}

/// What points the aws CLI and the SDKs at the lab, ready for a shell.
fn exports(endpoints: &crate::lab::serve::Endpoints, region: &str) -> String {
    let crate::lab::serve::Endpoints { id, world: _, control, aws, aliyun, oss, dns, prometheus, access_key_id, secret_access_key } = endpoints;
    let (dns_host, dns_port) = dns.rsplit_once(':').unwrap_or((dns, "53"));
    format!(
        "# The lab {id} is ready. Ctrl-C ends it.
# control     {control}   (GET /world, /truth, /calls, /faults, /environment)
# aliyun      {aliyun}
# oss         {oss}
# dns         dig @{dns_host} -p {dns_port} shop.example.com
# prometheus  {prometheus}
export AWS_ENDPOINT_URL={aws}
export AWS_ACCESS_KEY_ID={access_key_id}
export AWS_SECRET_ACCESS_KEY={secret_access_key}
export AWS_REGION={region} AWS_DEFAULT_REGION={region}
export ALIBABA_CLOUD_ACCESS_KEY_ID={access_key_id}
export ALIBABA_CLOUD_ACCESS_KEY_SECRET={secret_access_key}
"
    )
}
