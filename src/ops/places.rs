//! The folders in which what belongs to an environment is kept, whichever folder its runs are in: the lock, the lever, and in which folders there are runs.
//!
//! - in the folder of the runs and in that of the project, under `environments`, by the environment's name;
//! - in a folder of this user, `$XDG_STATE_HOME/lifeboat` (else `.local/state/lifeboat` in the user's home, else `/var/tmp/lifeboat-UID`), by its accounts or
//!   its lab;
//! - in `/var/lib/lifeboat`, if somebody has made it, for a machine that several people use.
//!
//! The user's also holds the keys with which marks are signed (`marks/key`).
//!
//! It is written in the first of the user's that can be made, and (but for keys) looked for in all: another value of a variable does not hide anything.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::people;
use crate::journal::folder::Folder;
use crate::journal::{FileStore, Keeping, Trust};
use crate::model::chain;

/// Folder of what is kept by environment, in the folder of the runs.
const FOLDER: &str = "environments";
/// The folder of the whole machine.
const MACHINE: &str = "/var/lib/lifeboat";
/// Folder of the names of folders of runs, in that of the user.
const FOLDERS: &str = "folders";

/// Where else than in `runs` what belongs to an environment is kept; `project` is the project's own folder of the runs.
#[must_use]
pub fn keeping(runs: &Path, project: Option<&Path>) -> Keeping {
    let near = project.filter(|project| !is_same(project, runs)).map(|project| project.join(FOLDER));
    let machine = Some(PathBuf::from(MACHINE)).filter(|folder| owned_by(folder, 0));
    Keeping { near: near.into_iter().collect(), wide: users().into_iter().chain(machine).collect() }
}

/// The folders of this user, the one in which something new is written first.
fn users() -> Vec<PathBuf> {
    let own = rustix::process::getuid().as_raw();
    let candidates: Vec<PathBuf> = [
        env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute()).map(|state| state.join("lifeboat")),
        people::home(own).map(|home| home.join(".local/state/lifeboat")),
        Some(PathBuf::from(format!("/var/tmp/lifeboat-{own}"))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let first = candidates.iter().find(|folder| is_ours(folder).is_ok()).cloned();
    let others = candidates.iter().filter(|folder| Some(*folder) != first.as_ref() && owned_by(folder, own)).cloned();
    first.iter().cloned().chain(others).collect()
}

/// The place of a file of this user's alone that belongs to the environment of this name: where something new is written, and nowhere else.
pub(super) fn of_user(environment: &str, extension: &str) -> Option<Spot> {
    let folder = users().into_iter().next()?;
    Some(Spot { folder, name: file_name(environment, extension), whose: Whose::User })
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

/// Makes a folder of this user alone.
fn is_ours(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let own = rustix::process::getuid().as_raw();
    let is_writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    if owned_by(folder, own) && is_writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// Whether it is a folder, no link, of this user.
fn owned_by(folder: &Path, uid: u32) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir() && about.uid() == uid)
}

/// Whose a folder is in which something of an environment is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Whoever has runs in it, and whoever shares those.
    Project,
    /// This user alone.
    User,
    /// Everybody who may write there: the files are those of several people.
    Machine,
}

/// The place of one file of an environment.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    folder: PathBuf,
    /// The file's name in there.
    pub(super) name: String,
    whose: Whose,
}

impl Spot {
    /// For people.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// The open folder, if it is there: without a link, and nothing in it of strangers where it is not for several people.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub(super) fn open(&self, trust: &Trust) -> io::Result<Folder> {
        match self.whose {
            Whose::Project => Folder::open(&self.folder, trust).map(|(folder, _)| folder),
            Whose::User => Folder::open(&self.folder, &Trust::default()).map(|(folder, _)| folder),
            Whose::Machine => Folder::at(&self.folder)?.for_all(),
        }
    }

    /// The open folder, made where it is missing; what is made in a project is for the group that shares `environment` there.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub(super) fn make(&self, trust: &Trust, environment: &str) -> io::Result<Folder> {
        if let Some(parent) = self.folder.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let group = if self.whose == Whose::Project { trust.group_of(environment) } else { None };
        Folder::make(&self.folder, group)?;
        self.open(trust)
    }
}

/// The file of `name` with this extension. Whatever a name holds, it stays inside the folder and no two have the same.
pub(super) fn file_name(name: &str, extension: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).take(64).collect();
    let file = if plain == name && !name.is_empty() { plain } else { format!("{plain}-{}", &chain::sha256(name.as_bytes())[..12]) };
    format!("{file}.{extension}")
}

/// The folder of what is kept by environment in that of the runs.
fn own(store: &FileStore) -> PathBuf {
    store.folder().join(FOLDER)
}

/// Every place of a file that is kept by an environment's name: the one beside the runs first, then that of the project.
pub(super) fn by_name(store: &FileStore, file: &str) -> Vec<Spot> {
    let folders = std::iter::once(own(store)).chain(store.keeping().near.iter().cloned());
    folders.map(|folder| Spot { folder, name: file.to_owned(), whose: Whose::Project }).collect()
}

/// Every file of an environment with this extension, the one beside the runs first: by its `name` in the folders of the project, by its `keys` elsewhere.
pub(super) fn files(store: &FileStore, name: &str, keys: &[String], extension: &str) -> Vec<Spot> {
    let whose = |folder: &Path| if folder == Path::new(MACHINE) { Whose::Machine } else { Whose::User };
    let wide = &store.keeping().wide;
    let by_key = wide
        .iter()
        .flat_map(|folder| keys.iter().map(move |key| Spot { folder: folder.clone(), name: file_name(key, extension), whose: whose(folder) }));
    by_name(store, &file_name(name, extension)).into_iter().chain(by_key).collect()
}

/// Lets it be known that there are runs in the folder of `store`, and of which project. What cannot be kept is not known elsewhere; the lock and the marks are there all the same.
pub fn note_folder(store: &FileStore) {
    let note = |wide: &PathBuf| -> io::Result<()> {
        let folder = Folder::make(&wide.join(FOLDERS), None)?;
        let runs = std::path::absolute(store.folder())?;
        let project = store.keeping().near.first().map_or(&b""[..], |near| near.as_os_str().as_bytes());
        let name = &chain::sha256(runs.as_os_str().as_bytes())[..32];
        folder.write_new(name, &[runs.as_os_str().as_bytes(), b"\0", project].concat()).map(drop)
    };
    if let Some(first) = store.keeping().wide.first() {
        let _ = note(first);
    }
}

/// The other folders in which this user has runs, as far as they are known and there.
#[must_use]
pub fn other_folders(store: &FileStore) -> Vec<FileStore> {
    let user = rustix::process::getuid().as_raw();
    let mut found: Vec<(PathBuf, Vec<PathBuf>)> = Vec::new();
    for folder in store.keeping().wide.iter().map(|wide| wide.join(FOLDERS)).filter(|folder| owned_by(folder, user)) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(bytes) = fs::read(entry.path()) else { continue };
            let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
            let mut parts = bytes.split(|byte| *byte == 0).map(path);
            let (runs, project) = (parts.next().unwrap_or_default(), parts.next().filter(|project| project.is_absolute()));
            if !runs.is_absolute() || !runs.exists() {
                // It is told of again as soon as there is a run in it.
                let _ = fs::remove_file(entry.path());
            } else if owned_by(&runs, user) && !is_same(&runs, store.folder()) {
                found.push((runs, project.into_iter().collect()));
            }
        }
    }
    // The project's own is known without having been noted, and may be a colleague's who shares it: each run is looked at for itself.
    let projects = store.keeping().near.iter().filter_map(|near| near.parent()).filter(|runs| runs.is_dir());
    found.extend(projects.map(|runs| (runs.to_owned(), Vec::new())));
    found.sort();
    found.dedup_by(|(one, _), (other, _)| one == other);
    let wide = &store.keeping().wide;
    let trusting = |runs| FileStore::new(runs, true).trusting(store.trust().clone());
    found.into_iter().map(|(runs, near)| trusting(runs).keeping_in(Keeping { near, wide: wide.clone() })).collect()
}

/// Whether the runs of both are of one project.
#[must_use]
pub fn are_of_one_project(one: &FileStore, other: &FileStore) -> bool {
    let of = |store: &FileStore| -> Vec<PathBuf> {
        let all = std::iter::once(own(store)).chain(store.keeping().near.iter().cloned());
        all.map(|folder| fs::canonicalize(&folder).or_else(|_| std::path::absolute(&folder)).unwrap_or(folder)).collect()
    };
    let own = of(one);
    of(other).iter().any(|folder| own.contains(folder))
}
