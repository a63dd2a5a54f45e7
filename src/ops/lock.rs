//! One fault-injecting run for each environment, and nobody else's targets.
//!
//! The lock is one on open files, in every place of the environment (`ops/places`), so that a drill whose runs are in another folder is one too many all the same. It
//! goes with the process however that ends, so there is no stale lock to guess about. What a run that was interrupted still holds is read from its journal, in
//! whichever folder of runs that is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::OFlags;
use tracing::info;

use super::control::abort_command;
use super::exit::{Exit, Kind};
use super::places::{self, Spot};
use super::runs;
use crate::journal::folder::Folder;
use crate::journal::{FileStore, Trust};
use crate::model::host::{Owner, authority, owner};
use crate::model::ids::RunId;
use crate::model::plan::{Mode, Plan};
use crate::model::project::EnvironmentFile;
use crate::model::state::{FAULT, RunState};
use crate::model::target::Target;
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
    /// Cloud and account, where it is known.
    accounts: BTreeSet<(&'static str, String)>,
    /// Cloud and host, where calls do not go to the vendor's own.
    hosts: BTreeMap<&'static str, String>,
}

impl Place {
    /// Where `plan` works.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let world = plan.whereabouts().clone();
        Self {
            environment: plan.environment.clone(),
            alone: world.is_embedded(),
            lab: world.lab.map(|lab| lab.id.unwrap_or(lab.control)),
            hosts: world
                .clouds
                .iter()
                .filter_map(|(cloud, world)| Some((*cloud, foreign(world.endpoints.iter().flat_map(BTreeMap::values))?)))
                .collect(),
            accounts: world.clouds.into_iter().filter_map(|(cloud, world)| Some((cloud, world.account?))).collect(),
        }
    }

    /// An environment of accounts as it is written.
    #[must_use]
    pub fn written(environment: &str, file: &EnvironmentFile) -> Self {
        let account = |cloud, account: Option<&String>| Some((cloud, account?.clone()));
        let (aws, aliyun) = (file.aws.as_ref(), file.aliyun.as_ref());
        let accounts =
            [account("aws", aws.and_then(|aws| aws.account.as_ref())), account("aliyun", aliyun.and_then(|aliyun| aliyun.account.as_ref()))];
        let hosts = [
            ("aws", foreign(aws.iter().filter_map(|aws| aws.endpoint.as_ref()))),
            ("aliyun", foreign(aliyun.iter().flat_map(|aliyun| [&aliyun.endpoint, &aliyun.oss_endpoint]).flatten())),
        ];
        Self {
            environment: environment.to_owned(),
            lab: None,
            alone: false,
            accounts: accounts.into_iter().flatten().collect(),
            hosts: hosts.into_iter().filter_map(|(cloud, host)| Some((cloud, host?))).collect(),
        }
    }

    /// By what the environment is known outside of its project: its lab, or each account where it is asked. An environment whose name another project has for other
    /// accounts is another one.
    fn keys(&self) -> Vec<String> {
        let name = &self.environment;
        if let Some(lab) = &self.lab {
            return vec![format!("{name} lab {lab}")];
        }
        let account = |(cloud, account): &(&'static str, String)| {
            let at = self.hosts.get(cloud).map_or_else(String::new, |host| format!(" at {host}"));
            format!("{name} {cloud} {account}{at}")
        };
        let unknown = |(cloud, _): &(&&'static str, &String)| self.accounts.iter().all(|(known, _)| known != *cloud);
        let hosts = self.hosts.iter().filter(unknown).map(|(cloud, host)| format!("{name} {cloud} at {host}"));
        self.accounts.iter().map(account).chain(hosts).collect()
    }

    /// By what a lever may be known: also by the account alone, when only this run's process knows where that is asked. Of labs, projects have their own.
    #[must_use]
    pub fn lever_keys(&self) -> Vec<String> {
        if self.lab.is_some() {
            return Vec::new();
        }
        let plain = self.accounts.iter().map(|(cloud, account)| format!("{} {cloud} {account}", self.environment));
        let hosts = self.hosts.iter().map(|(cloud, host)| format!("{} {cloud} at {host}", self.environment));
        let mut keys: Vec<String> = self.keys().into_iter().chain(plain).chain(hosts).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Whether both are one environment: the same name, the same lab, and no account or host that contradicts.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let accounts: BTreeMap<&str, &String> = self.accounts.iter().map(|(cloud, account)| (*cloud, account)).collect();
        let agrees = |(cloud, account): &(&'static str, String)| accounts.get(cloud).is_none_or(|own| *own == account);
        let hosts = self.hosts.iter().all(|(cloud, host)| other.hosts.get(cloud).is_none_or(|other| other == host));
        self.environment == other.environment && self.lab == other.lab && other.accounts.iter().all(agrees) && hosts
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

/// The host of the first address that is not the vendor's own.
fn foreign<'a>(mut addresses: impl Iterator<Item = &'a String>) -> Option<String> {
    addresses.find(|address| owner(address) != Owner::Vendor).map(|address| authority(address))
}

/// The lock of an environment, held until the value is dropped.
#[derive(Debug)]
pub struct Locked {
    files: Vec<(Folder, String, File)>,
    /// Whether nobody shares it: then its files may go with it.
    alone: bool,
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.alone {
            // Whoever opens such a file looks afterwards whether it is still the one of that name (`lock`). One that cannot be taken away does no harm.
            self.files.iter().for_each(|(folder, name, _)| drop(folder.remove(name)));
        }
    }
}

/// Another run in the same place.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Its id.
    pub run: RunId,
    /// What takes it back, as it can be typed anywhere.
    pub abort_command: String,
    /// Whether a process runs it now.
    pub running: bool,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether its fault still stands.
    pub fault: bool,
    /// Kind and id of everything it changed and has not put back.
    pub holds: Vec<Target>,
    /// What it is to do; `None` when nothing tells: then its place is not known either.
    pub plan: Option<Plan>,
    /// Why its journal cannot be read or trusted, and what helps, if so: what else it holds is not known.
    pub untold: Option<(String, String)>,
}

/// Takes the lock of the place where `plan` works. A drill needs it for itself; emergencies share it, and go on beside a drill without it.
///
/// # Errors
/// When another run has it, or something that an interrupted one left stands in the way of a drill: with the command that solves it.
pub fn take(store: &FileStore, plan: &Plan, own: Option<&str>) -> Result<Locked, Exit> {
    let place = Place::of(plan);
    let drill = plan.mode != Mode::Emergency;
    let mut locked = Locked { files: Vec::new(), alone: drill };
    if place.alone {
        return Ok(locked);
    }
    for (number, spot) in places::files(store, &place.key(), &place.keys(), "lock").iter().enumerate() {
        match lock(spot, store.trust(), &plan.environment, drill) {
            Ok((folder, file)) => {
                info!(environment = plan.environment, path = %spot.path().display(), alone = drill, "lock taken");
                locked.files.push((folder, spot.name.clone(), file));
            }
            // An emergency beside a drill: what it may touch is held against what the drill holds.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !drill => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let running = neighbours(store, plan, own)?.into_iter().find(|neighbour| neighbour.running);
                let holder = running.as_ref().map_or("not known", |neighbour| &neighbour.run);
                info!(environment = plan.environment, path = %spot.path().display(), holder, "lock held by somebody else");
                return Err(in_the_way(plan, running.as_ref()));
            }
            // Where the runs are there must be one; what other places there are for it is not the same everywhere.
            Err(error) if number == 0 => {
                let hint =
                    own.map_or_else(|| ELSEWHERE.to_owned(), |own| format!("nothing was changed; `{}` needs no lock", abort_command(store, own)));
                return Err(Exit::new(Kind::Environment, format!("environment {} cannot be locked", plan.environment))
                    .cause(error.to_string())
                    .hint(hint));
            }
            Err(_) => {}
        }
    }
    if drill && let Some(neighbour) = neighbours(store, plan, own)?.iter().find(|neighbour| neighbour.running || neighbour.is_left()) {
        return Err(in_the_way(plan, Some(neighbour)));
    }
    Ok(locked)
}

/// Takes the lock of one file, alone or with others, which whoever had it alone may have taken away meanwhile.
fn lock(spot: &Spot, trust: &Trust, environment: &str, alone: bool) -> io::Result<(Folder, File)> {
    let folder = spot.make(trust, environment)?;
    // In a folder of several people the file may be somebody else's, who lets it be read.
    let named = || folder.file(&spot.name, OFlags::RDONLY);
    for _ in 0..TRIES {
        let opened = match named() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.fresh(&spot.name),
            opened => opened,
        };
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        if alone {
            file.try_lock()?;
        } else {
            file.try_lock_shared()?;
        }
        let held = file.metadata()?;
        let is_named = named().and_then(|file| file.metadata()).is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino()));
        if is_named {
            return Ok((folder, file));
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// How often a file is taken away under somebody's hands before that counts as somebody who has it.
const TRIES: usize = 20;

impl Neighbour {
    /// Whether it was left with something that nobody asked to stay.
    #[must_use]
    pub fn is_left(&self) -> bool {
        !self.running && (self.fault || self.untold.is_some() || !self.ended && !self.holds.is_empty())
    }
}

fn in_the_way(plan: &Plan, neighbour: Option<&Neighbour>) -> Exit {
    let place = &plan.environment;
    match neighbour {
        Some(Neighbour { run, running: false, untold: Some((why, help)), plan, .. }) => {
            let whether = if plan.is_some() { "left in" } else { "left, and whether in" };
            Exit::new(Kind::Environment, format!("what run {run} has {whether} environment {place} cannot be told; nothing was changed"))
                .cause(why.clone())
                .hint(help.clone())
        }
        Some(Neighbour { run, abort_command, running: false, holds, .. }) => {
            let what = if holds.is_empty() { "a fault".to_owned() } else { listed(holds) };
            Exit::new(Kind::Environment, format!("run {run} was left in environment {place} and still holds {what}; nothing was changed"))
                .hint(format!("`{abort_command}` takes it back; then begin again"))
        }
        Some(Neighbour { run, .. }) => Exit::new(Kind::Environment, format!("run {run} is going on in environment {place}; nothing was changed"))
            .hint(format!("wait for its end, or end it with `lifeboat ctl {run} abort`")),
        None => Exit::new(Kind::Environment, format!("another run is beginning in environment {place}; nothing was changed"))
            .hint("`lifeboat runs` lists what goes on"),
    }
}

/// The other runs in the place where `plan` works that go on, were interrupted, or left something. One whose journal cannot be read or trusted may have left
/// anything; the plan beside it tells the place, and where nothing does it may be this one.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn neighbours(store: &FileStore, plan: &Plan, own: Option<&str>) -> Result<Vec<Neighbour>, Exit> {
    let place = Place::of(plan);
    others(store, &place, own, true, |other| place.is_same(other))
}

/// The same in other environments that reach the same clouds; `also_here`: in this one too.
///
/// # Errors
/// When the folder of the runs cannot be read.
pub fn on_the_same_clouds(store: &FileStore, plan: &Plan, also_here: bool) -> Result<Vec<Neighbour>, Exit> {
    let place = Place::of(plan);
    others(store, &place, None, false, |other| if place.is_same(other) { also_here } else { place.shares_clouds_with(other) })
}

fn others(store: &FileStore, place: &Place, own: Option<&str>, placeless: bool, counts: impl Fn(&Place) -> bool) -> Result<Vec<Neighbour>, Exit> {
    if place.alone {
        return Ok(Vec::new());
    }
    let mut found = in_folder(store, own, placeless, &counts).map_err(|error| Exit::from_error(Kind::Environment, &error).hint(ELSEWHERE))?;
    for other in places::other_folders(store) {
        // A folder of former runs that cannot be read any more tells nothing; the lock and the marks are there all the same. A run that nothing tells the place
        // of counts where it is of the same project.
        let placeless = placeless && places::are_of_one_project(store, &other);
        found.extend(in_folder(&other, own, placeless, &counts).unwrap_or_default());
    }
    Ok(found)
}

fn in_folder(store: &FileStore, own: Option<&str>, placeless: bool, counts: &impl Fn(&Place) -> bool) -> Result<Vec<Neighbour>, StoreError> {
    let neighbour = |run: RunId| {
        // What is elsewhere is in nobody's way here, however long its journal is and whatever is in it: of it only the first event is read.
        if runs::begun_as(store, &run).is_some_and(|plan| !counts(&Place::of(&plan))) {
            return None;
        }
        let running = store.is_owned(&run);
        if !running && runs::is_settled(store, &run) {
            return None;
        }
        let (state, wrong) = runs::told_part(store, &run);
        let plan = state.plan().cloned().or_else(|| runs::plan_beside(store, &run));
        // One that has not come to its first event has changed nothing, wherever it was to run.
        if !plan.as_ref().map_or(placeless && wrong.is_some(), |plan| counts(&Place::of(plan))) {
            return None;
        }
        let (fault, holds) = (has_fault(&state), holds(&state));
        let abort_command = abort_command(store, &run);
        let untold = wrong.map(|exit| (runs::in_a_line(&exit), runs::settled_by(store, &run)));
        let neighbour = Neighbour { running, ended: state.ended.is_some(), fault, holds, run, abort_command, plan, untold };
        (running || !neighbour.holds.is_empty() || neighbour.fault || neighbour.untold.is_some()).then_some(neighbour)
    };
    Ok(store.runs()?.into_iter().filter(|run| own != Some(&**run)).filter_map(neighbour).collect())
}

fn has_fault(state: &RunState) -> bool {
    state.held().contains(&FAULT)
}

/// Everything a run changed and has not put back, each thing once.
fn holds(state: &RunState) -> Vec<Target> {
    let intents = state.held().into_iter().filter_map(|key| state.step(key)?.intent.as_ref());
    let changed = intents.flat_map(|intent| &intent.targets).filter(|target| target.changes());
    let by_key: BTreeMap<String, &Target> = changed.map(|target| (target.key(), target)).collect();
    by_key.into_values().cloned().collect()
}

/// For people: a few, and how many more.
pub fn listed(things: &[Target]) -> String {
    const SHOWN: usize = 4;
    let mut line = things.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if things.len() > SHOWN {
        line.push_str(&format!(" and {} more", things.len() - SHOWN));
    }
    line
}
