//! `lifeboat halt`: which runs of an environment go on or were left, and how those that go on are ended.

use std::time::{Duration, Instant};

use super::control;
use super::exit::{Exit, Kind};
use super::runs;
use crate::journal::FileStore;
use crate::model::ids::RunId;
use crate::model::measure;
use crate::model::order::{Asked, Order};
use crate::model::state::RunState;
use crate::ports::store::StoreError;

/// How long a run that has just begun may take until it can be reached, or until it says where it is.
const BEGINNING: Duration = Duration::from_secs(10);
/// What a run may take beyond what it gives itself for taking everything back: its report, its probes.
const BEYOND: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Whether any run tells of this environment.
#[must_use]
pub fn is_known(store: &FileStore, environment: &str) -> bool {
    all(store).is_ok_and(|runs| runs.iter().any(|run| place(store, run).as_deref() == Some(environment)))
}

/// The runs of an environment that a process runs now. One that has just begun is waited for until it says where it is.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn going_on(store: &FileStore, environment: &str) -> Result<Vec<RunId>, Exit> {
    let begun = Instant::now();
    Ok(all(store)?
        .into_iter()
        .filter(|run| {
            while store.is_owned(run) && store.vouched(run).is_ok() {
                match place(store, run) {
                    Some(place) => return place == environment,
                    None if begun.elapsed() > BEGINNING => return false,
                    None => std::thread::sleep(LOOK),
                }
            }
            false
        })
        .collect())
}

/// The runs of an environment that were left before their end, or whose fault still stands.
///
/// # Errors
/// As [`going_on`].
pub fn left(store: &FileStore, environment: &str) -> Result<Vec<RunId>, Exit> {
    let is_left = |run: &RunId| {
        !store.is_owned(run)
            && !runs::is_settled(store, run)
            && place(store, run).as_deref() == Some(environment)
            && state(store, run)
                .is_none_or(|state| state.start.is_some() && (state.ended.is_none() || state.held().contains(&crate::model::state::FAULT)))
    };
    Ok(all(store)?.into_iter().filter(is_left).collect())
}

/// The runs that may have left something and of which nothing tells in which environment.
///
/// # Errors
/// As [`going_on`].
pub fn placeless(store: &FileStore) -> Result<Vec<RunId>, Exit> {
    let is_one =
        |run: &RunId| !store.is_owned(run) && store.vouched(run).is_ok() && runs::told_part(store, run).1.is_some() && place(store, run).is_none();
    Ok(all(store)?.into_iter().filter(is_one).collect())
}

/// The runs that are not the caller's to halt: each with why, and whether somebody seems to run it now.
///
/// # Errors
/// As [`going_on`].
pub fn not_ours(store: &FileStore) -> Result<Vec<(RunId, String, bool)>, Exit> {
    let why = |run: &RunId| store.vouched(run).err().map(|error| error.source.to_string());
    Ok(all(store)?.into_iter().filter_map(|run| Some((why(&run)?, run))).map(|(why, run)| (run.clone(), why, store.is_owned(&run))).collect())
}

/// Orders a run to abort, as soon as it can be reached.
///
/// # Errors
/// When it goes on and cannot be reached.
pub fn abort(store: &FileStore, run: &str, by: &str, why: &str) -> Result<(), Exit> {
    let begun = Instant::now();
    let asked = Asked { order: Order::Abort, by: by.to_owned(), why: format!("halt: {why}") };
    loop {
        match control::order(store, run, asked.clone(), None) {
            Err(_) if !store.is_owned(run) => return Ok(()),
            Err(exit) if begun.elapsed() > BEGINNING => return Err(exit),
            Err(_) => std::thread::sleep(LOOK),
            Ok(()) => return Ok(()),
        }
    }
}

/// Waits until nobody runs `run` any more; `false` when it takes longer than it may.
#[must_use]
pub fn await_end(store: &FileStore, run: &str) -> bool {
    let limit = runs::plan_beside(store, run).map(|plan| plan.limits.undo).unwrap_or_default().duration() + BEYOND;
    let begun = Instant::now();
    while store.is_owned(run) {
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// What is left of a run, in one line; `None` when nothing is.
#[must_use]
pub fn remains(store: &FileStore, run: &str) -> Option<String> {
    if store.is_owned(run) {
        return Some("still going on".into());
    }
    let state = match runs::read(store, run).and_then(|chain| runs::state(run, &chain)) {
        Ok(state) => state,
        Err(exit) => return Some(runs::in_a_line(&exit)),
    };
    let held = state.held();
    if !held.is_empty() {
        return Some(format!("not put back: {}", held.join(", ")));
    }
    let differs = measure::differs(&state);
    if !differs.is_empty() {
        let lines: Vec<String> = differs.into_iter().map(|(step, what)| format!("{step}: {what}")).collect();
        return Some(format!("not as before: {}", lines.join("; ")));
    }
    (state.start.is_some() && state.ended.is_none()).then(|| "left before its end".into())
}

/// How a run ended of which nothing remains to be put back: with what no undo takes back, if there is any.
#[must_use]
pub fn put_back(store: &FileStore, run: &str) -> String {
    let lasting = state(store, run).map(|state| runs::told(&crate::model::measure::standing(&state))).unwrap_or_default();
    if lasting.is_empty() { "everything is put back".into() } else { format!("everything else is put back; {lasting}") }
}

fn all(store: &FileStore) -> Result<Vec<RunId>, Exit> {
    store.runs().map_err(|error: StoreError| Exit::from_error(Kind::Environment, &error))
}

fn state(store: &FileStore, run: &str) -> Option<RunState> {
    runs::read(store, run).and_then(|chain| runs::state(run, &chain)).ok()
}

/// The environment of a run, once it is known: by its journal as far as that is whole, else by the plan beside it.
fn place(store: &FileStore, run: &str) -> Option<String> {
    let told = runs::told_part(store, run).0;
    told.plan().cloned().or_else(|| runs::plan_beside(store, run)).map(|plan| plan.environment)
}
