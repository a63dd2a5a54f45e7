//! `lifeboat accept`: a person takes what is there of a step as it is, when it cannot be put back or somebody else has changed it since.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::control::{abort_command, operator};
use super::environment::Environment;
use super::exit::{Exit, Kind};
use super::marks::WorldMarker;
use super::{live, preflight, run, runs};
use crate::catalogue;
use crate::engine::lease::Marker as _;
use crate::engine::parameters::{self, Purpose, Ready, Stated};
use crate::journal::FileStore;
use crate::model::difference::differences;
use crate::model::event::step::StepKind;
use crate::model::event::{Event, StepEvent};
use crate::model::ids::{self, RunId};
use crate::model::measure;
use crate::model::plan::Plan;
use crate::model::state::{FAULT, Intent, RunState, Status};
use crate::model::target::Target;
use crate::observe::Observer;
use crate::ports::gate::Gate;
use crate::world::World;

/// The word of the takeover.
const WORD: &str = "accept";
/// How many differences are said in one line.
const SHOWN: usize = 6;

/// What was found of a step, or why it could not be read.
type StepReading = Result<(Value, Vec<Target>), String>;

/// What an acceptance came to.
#[derive(Debug)]
pub struct Accepted {
    /// The step.
    pub step: String,
    /// Who, why, and what was there.
    pub said: String,
    /// What is still to be put back.
    pub held: Vec<String>,
    /// Why the marks of a fault could not be taken off.
    pub marks: Option<String>,
}

/// The state of a run that nobody runs, with its plan.
///
/// # Errors
/// When it goes on, was never begun, or its journal cannot be trusted.
pub fn left(store: &FileStore, run: &str) -> Result<(RunState, Plan), Exit> {
    if store.is_owned(run) {
        return Err(Exit::new(Kind::Environment, format!("run {run} is going on: it puts back by itself what it can; nothing was accepted"))
            .hint(format!("wait for its end, or end it with `lifeboat ctl {run} abort`")));
    }
    let state = runs::state(run, &runs::read(store, run)?)?;
    let plan = state.plan().cloned().ok_or_else(|| Exit::new(Kind::Usage, format!("run {run} never began: there is nothing to accept")))?;
    if plan.whereabouts().is_embedded() {
        return Err(Exit::new(Kind::Usage, format!("the simulated clouds of run {run} ended with its process: there is nothing to accept"))
            .hint(format!("`{}` ends the run where it has not ended", abort_command(store, run))));
    }
    Ok((state, plan))
}

/// The whole key of the step that `wanted` names, if something of it is not as before.
///
/// # Errors
/// When it is no such step; says which are.
pub fn step(state: &RunState, run: &str, wanted: &str) -> Result<String, Exit> {
    let keys = ids::meant(wanted);
    let open = open(state);
    let others = if open.is_empty() { "nothing of this run is to be put back".to_owned() } else { format!("to be put back: {}", open.join(", ")) };
    let found: Vec<(&String, _)> = keys.iter().filter_map(|key| Some((key, state.step(key)?))).collect();
    // A failover and its failback may have a step of one name.
    let Some((key, step)) = found.iter().find(|(key, _)| open.contains(key)).or_else(|| found.first()) else {
        return Err(Exit::new(Kind::Usage, format!("run {run} has no step `{wanted}`")).hint(others));
    };
    if let Some(acceptance) = step.acceptance.as_ref().filter(|_| step.status == Status::Accepted) {
        return Err(Exit::new(Kind::Usage, format!("{key} is accepted already: {}", measure::accepted(acceptance))));
    }
    if !open.contains(key) {
        return Err(Exit::new(Kind::Usage, format!("nothing conflicts at {key}: there is nothing of it to be put back")).hint(others));
    }
    Ok((*key).clone())
}

/// Keys of everything that is still to be put back or is known not to be as before.
fn open(state: &RunState) -> Vec<String> {
    let has_intent = |key: &String| state.step(key).is_some_and(|step| step.intent.is_some());
    let differs = measure::differs(state).into_iter().map(|(key, _)| key).filter(has_intent);
    let mut seen = BTreeSet::new();
    state.held().into_iter().map(str::to_owned).chain(differs).filter(|key| seen.insert(key.clone())).collect()
}

/// Accepts what is there of `key`. `environment`: where to read it, or why that cannot be reached.
///
/// # Errors
/// When nothing conflicts there, or it cannot be written down.
pub async fn accept(
    store: &Arc<FileStore>,
    run: &RunId,
    key: &str,
    because: &str,
    environment: Result<Environment, Exit>,
    observer: Box<dyn Observer + Send>,
) -> Result<Accepted, Exit> {
    let (state, plan) = left(store, run)?;
    let reached = match environment {
        Ok(environment) => preflight::accounts(&environment, Some(&plan)).await.map(|()| environment),
        Err(exit) => Err(exit),
    };
    let world = match &reached {
        Ok(environment) => Ok(Arc::new(World::connect(&environment.settings, &Gate::default()).await)),
        Err(exit) => Err(exit.message.clone()),
    };
    let found = match (&world, state.step(key).and_then(|step| step.intent.as_ref())) {
        (Ok(world), Some(intent)) => {
            let now = live::planned(key, &intent.uses, &intent.with, world).await;
            now.map(|(now, _)| (now.before, now.targets)).map_err(|failure| failure.to_string())
        }
        (Err(why), _) => Err(why.clone()),
        (_, None) => Err("it has changed nothing".to_owned()),
    };
    let decide = |state: &RunState| -> Result<StepEvent, Exit> {
        // Somebody may have taken it back since.
        let key = step(state, run, key)?;
        let refused = |why| {
            Exit::new(Kind::Usage, format!("{why}; nothing was accepted"))
                .hint(format!("`{}` puts back what can be put back", abort_command(store, run)))
        };
        let there = there(state, &key, &found).map_err(refused)?;
        let is = found.as_ref().ok().map(|(is, _)| is.clone());
        Ok(StepEvent { step: key, kind: StepKind::Accepted { by: operator(), why: because.to_owned(), there, is } })
    };
    let events = run::write_down(store, run, WORD, observer, decide)?;
    let marks = if key == FAULT { marks_off(&world, run, &state).await.err() } else { None };
    conclude(&events, key, marks)
}

fn conclude(events: &[Event], key: &str, marks: Option<String>) -> Result<Accepted, Exit> {
    let state = RunState::from_events(events).map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    let said = state.step(key).and_then(|step| step.acceptance.as_ref()).map(measure::accepted).unwrap_or_default();
    Ok(Accepted { step: key.to_owned(), said, held: open(&state), marks })
}

/// What is there of a step in one line, if a person is needed to say that it may stay; else why not.
fn there(state: &RunState, key: &str, found: &StepReading) -> Result<String, String> {
    let Some((step, intent)) = state.step(key).and_then(|step| Some((step, step.intent.as_ref()?))) else {
        return Err(format!("{key} has changed nothing"));
    };
    // It was to be put back and is not, or did not read as before afterwards.
    let is_tried = step.undo_failure.is_some() || matches!(step.status, Status::Undoing | Status::UndoFailed | Status::Undone);
    match found {
        Ok((is, _)) if *is == intent.before => Err(format!("nothing conflicts at {key}: it reads as before the run")),
        Ok((_, targets)) if !is_tried && is_as_made(intent, targets) => Err(format!("nothing conflicts at {key}: it is as the run made it")),
        Ok((is, _)) => Ok(differing(intent, is)),
        Err(why) if !is_tried => {
            Err(format!("nothing tells that something conflicts at {key}: nobody has tried to put it back, and it cannot be read ({why})"))
        }
        Err(why) => Ok(format!("what is there could not be read: {why}")),
    }
}

/// Whether the step would find nothing to do.
fn is_as_made(intent: &Intent, now: &[Target]) -> bool {
    Target::keys(now) == Target::keys(&intent.targets) && !now.iter().any(Target::changes)
}

fn differing(intent: &Intent, is: &Value) -> String {
    let one = |(what, was, is): &(String, String, String)| format!("{} was {was}, is {is}", if what.is_empty() { "it" } else { what });
    let found = differences(&intent.before, is);
    let more = found.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    found.iter().take(SHOWN).map(one).collect::<Vec<_>>().join("; ") + &more
}

/// Takes the marks of a fault off that a person took as it is: the reaper would put it back all the same.
async fn marks_off(world: &Result<Arc<World>, String>, run: &str, state: &RunState) -> Result<(), String> {
    let world = world.as_ref().map_err(Clone::clone)?;
    let Some(intent) = state.fault().and_then(|fault| fault.intent.as_ref()) else { return Ok(()) };
    let ready = parameters::action(catalogue::action(&intent.uses), Stated::intended(&intent.uses, &intent.with), Purpose::Undo);
    let Ready { action, .. } = ready.map_err(|unready| unready.failure().to_string())?;
    let anchors = action.anchors(&intent.before).map_err(|error| error.to_string())?;
    if anchors.is_empty() {
        return Ok(());
    }
    WorldMarker::new(world.clone(), Err("nothing is marked here".to_owned())).clear(&anchors, run).await.map_err(|error| error.to_string())
}
