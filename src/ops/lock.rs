//! One fault-injecting run for each environment, and nobody else's targets.
//!
//! The lock is one on an open file: it goes with the process however that ends, so there is no stale lock to guess about. What a run that was
//! interrupted still holds is read from its journal.

use std::collections::BTreeSet;
use std::fs::File;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::control::abort_command;
use super::exit::{Exit, Kind};
use super::{lever, runs};
use crate::journal::FileStore;
use crate::model::plan::{Mode, Plan};
use crate::model::state::{FAULT, RunState};
use crate::model::whereabouts::Whereabouts;
use crate::ports::store::StoreError;

/// What helps when the runs cannot be read or locked where they are.
const ELSEWHERE: &str = "nothing was changed; --reports DIR names another folder for the runs";

/// Where a run works, as far as two runs can get into each other's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    environment: String,
    /// Which lab; the name of an environment of accounts says enough.
    lab: Option<String>,
    /// Whether its clouds are inside one process.
    alone: bool,
    /// Cloud and account, where the environment names one.
    accounts: BTreeSet<(&'static str, String)>,
}

impl Place {
    /// Where `plan` works.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let world = Whereabouts::of(plan);
        Self {
            environment: plan.environment.clone(),
            alone: world.is_embedded(),
            lab: world.lab.map(|lab| lab.id.unwrap_or(lab.control)),
            accounts: world.clouds.into_iter().filter_map(|(cloud, world)| Some((cloud, world.account?))).collect(),
        }
    }

    /// Whether both reach the same clouds: the same lab, or an account in common; environments that name no accounts are told apart by their names.
    fn shares_clouds_with(&self, other: &Self) -> bool {
        match (&self.lab, &other.lab) {
            (None, None) => self.environment == other.environment || self.accounts.intersection(&other.accounts).next().is_some(),
            (one, another) => one == another,
        }
    }

    fn key(&self) -> String {
        self.lab.as_ref().map_or_else(|| self.environment.clone(), |control| format!("{} {control}", self.environment))
    }
}

/// The lock of an environment, held until the value is dropped.
#[derive(Debug)]
pub struct Locked {
    _file: Option<File>,
}

/// Another run in the same place.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Its id.
    pub run: String,
    /// Whether a process runs it now.
    pub running: bool,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether its fault still stands.
    pub fault: bool,
    /// Kind and id of everything it changed and has not put back.
    pub holds: BTreeSet<(String, String)>,
    /// What it is to do.
    pub plan: Plan,
}

/// Takes the lock of the place where `plan` works. A drill needs it for itself; emergencies share it, and go on beside a drill without it.
///
/// # Errors
/// When another run has it, or something that an interrupted one left stands in the way of a drill: with the command that solves it.
pub fn take(store: &FileStore, plan: &Plan, own: Option<&str>) -> Result<Locked, Exit> {
    let place = Place::of(plan);
    if place.alone {
        return Ok(Locked { _file: None });
    }
    let open = || {
        let name = lever::name(&place.key(), "lock");
        let made = lever::folder(store, &plan.environment).and_then(|folder| folder.appended(&name));
        // Where nothing can be written any more, one that is there locks as well.
        made.or_else(|error| lever::there(store).and_then(|folder| folder.file(&name, OFlags::RDONLY)).map_err(|_| error))
    };
    let cannot = |error: std::io::Error| {
        let hint = own.map_or_else(|| ELSEWHERE.to_owned(), |own| format!("nothing was changed; `{}` needs no lock", abort_command(store, own)));
        Exit::new(Kind::Environment, format!("environment {} cannot be locked", plan.environment)).cause(error.to_string()).hint(hint)
    };
    let file = open().map_err(cannot)?;
    let drill = plan.mode != Mode::Emergency;
    let operation = if drill { FlockOperation::NonBlockingLockExclusive } else { FlockOperation::NonBlockingLockShared };
    let locked = match flock(&file, operation) {
        Ok(()) => Locked { _file: Some(file) },
        // An emergency beside a drill: what it may touch is held against what the drill holds.
        Err(Errno::WOULDBLOCK) if !drill => Locked { _file: None },
        Err(Errno::WOULDBLOCK) => {
            let running = neighbours(store, plan, own)?.into_iter().find(|neighbour| neighbour.running);
            return Err(in_the_way(store, plan, running.as_ref()));
        }
        Err(error) => return Err(cannot(error.into())),
    };
    if drill && let Some(neighbour) = neighbours(store, plan, own)?.iter().find(|neighbour| neighbour.running || neighbour.is_left()) {
        return Err(in_the_way(store, plan, Some(neighbour)));
    }
    Ok(locked)
}

impl Neighbour {
    /// Whether it was left with something that nobody asked to stay.
    #[must_use]
    pub fn is_left(&self) -> bool {
        !self.running && (self.fault || !self.ended && !self.holds.is_empty())
    }
}

fn in_the_way(store: &FileStore, plan: &Plan, neighbour: Option<&Neighbour>) -> Exit {
    let place = &plan.environment;
    match neighbour {
        Some(Neighbour { run, running: false, holds, .. }) => {
            let what = if holds.is_empty() { "a fault".to_owned() } else { listed(holds) };
            Exit::new(Kind::Environment, format!("run {run} was left in environment {place} and still holds {what}; nothing was changed"))
                .hint(format!("`{}` takes it back; then begin again", abort_command(store, run)))
        }
        Some(Neighbour { run, .. }) => Exit::new(Kind::Environment, format!("run {run} is going on in environment {place}; nothing was changed"))
            .hint(format!("wait for its end, or end it with `lifeboat ctl {run} abort`")),
        None => Exit::new(Kind::Environment, format!("another run is beginning in environment {place}; nothing was changed"))
            .hint("`lifeboat runs` lists what goes on"),
    }
}

/// The other runs in the place where `plan` works that go on, were interrupted, or left something. Journals that cannot be read tell of no place.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn neighbours(store: &FileStore, plan: &Plan, own: Option<&str>) -> Result<Vec<Neighbour>, Exit> {
    let place = Place::of(plan);
    others(store, &place, own, |other| *other == place)
}

/// The same in other environments that reach the same clouds; `also_here`: in this one too.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn on_the_same_clouds(store: &FileStore, plan: &Plan, also_here: bool) -> Result<Vec<Neighbour>, Exit> {
    let place = Place::of(plan);
    others(store, &place, None, |other| if *other == place { also_here } else { place.shares_clouds_with(other) })
}

fn others(store: &FileStore, place: &Place, own: Option<&str>, counts: impl Fn(&Place) -> bool) -> Result<Vec<Neighbour>, Exit> {
    if place.alone {
        return Ok(Vec::new());
    }
    let runs = store.runs().map_err(|error: StoreError| Exit::from_error(Kind::Environment, &error).hint(ELSEWHERE))?;
    Ok(runs
        .into_iter()
        .filter(|run| own != Some(run.as_str()))
        .filter_map(|run| {
            let running = store.is_owned(&run);
            if !running && runs::passed(store, &run) {
                return None;
            }
            let state = runs::read(store, &run).and_then(|chain| runs::state(&run, &chain)).unwrap_or_default();
            let plan = state.plan().cloned().or_else(|| runs::plan_beside(store, &run))?;
            if !counts(&Place::of(&plan)) {
                return None;
            }
            let (fault, holds) = (has_fault(&state), holds(&state));
            let neighbour = Neighbour { running, ended: state.ended.is_some(), fault, holds, run, plan };
            (running || !neighbour.holds.is_empty() || neighbour.fault).then_some(neighbour)
        })
        .collect())
}

fn has_fault(state: &RunState) -> bool {
    state.held().contains(&FAULT)
}

/// Kind and id of everything a run changed and has not put back.
fn holds(state: &RunState) -> BTreeSet<(String, String)> {
    let intents = state.held().into_iter().filter_map(|key| state.step(key)?.intent.as_ref());
    intents
        .flat_map(|intent| &intent.targets)
        .filter(|target| !target.change.is_empty())
        .map(|target| (target.kind.clone(), target.id.clone()))
        .collect()
}

/// For people: a few, and how many more.
pub fn listed(things: &BTreeSet<(String, String)>) -> String {
    const SHOWN: usize = 4;
    let mut line = things.iter().take(SHOWN).map(|(kind, id)| format!("{kind} {id}")).collect::<Vec<_>>().join(", ");
    if things.len() > SHOWN {
        line.push_str(&format!(" and {} more", things.len() - SHOWN));
    }
    line
}
