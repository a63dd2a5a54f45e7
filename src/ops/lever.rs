//! The lever of an environment: once `lifeboat halt` has pulled it, no new drill begins there until `lifeboat release`.
//!
//! It is a file beside the runs, `environments/NAME.halted`; who pulled and released it when and why stays in `environments/levers.jsonl`.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exit::{Exit, Kind};
use crate::journal::FileStore;
use crate::journal::folder::Folder;
use crate::model::chain;
use crate::model::time::Timestamp;

/// Folder of what is kept by environment, in the folder of the runs.
const FOLDER: &str = "environments";
const HALTED: &str = "halted";
const HISTORY: &str = "levers.jsonl";

/// A lever that is pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lever {
    /// The environment.
    pub environment: String,
    /// Who pulled it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

impl Lever {
    /// The command that solves it.
    #[must_use]
    pub fn release_command(&self) -> String {
        format!("lifeboat release --env {}", self.environment)
    }
}

impl std::fmt::Display for Lever {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "environment {} was halted by {} at {}: {}", self.environment, self.by, self.at, self.why)
    }
}

/// Pulls the lever. One that is pulled stays as it is: the first reason counts.
///
/// # Errors
/// When it cannot be kept.
pub fn pull(store: &FileStore, lever: &Lever) -> Result<(), Exit> {
    let write = || {
        let folder = folder(store, &lever.environment)?;
        // One that is pulled stays.
        if folder.write_new(&name(&lever.environment, HALTED), &serde_json::to_vec(lever)?)? {
            note(&folder, &json!({ "lever": "pulled", "environment": lever.environment, "by": lever.by, "at": lever.at, "why": lever.why }))?;
        }
        Ok(())
    };
    write().map_err(|error| failed("pulled", &lever.environment, &error))
}

/// Releases the lever; gives what it was.
///
/// # Errors
/// When it cannot be taken away, or the release cannot be noted.
pub fn release(store: &FileStore, environment: &str, by: &str, at: Timestamp, why: &str) -> Result<Option<Lever>, Exit> {
    let Some(lever) = pulled(store, environment)? else { return Ok(None) };
    let write = || {
        let folder = folder(store, environment)?;
        // First what will be remembered, then what it does.
        note(&folder, &json!({ "lever": "released", "environment": environment, "by": by, "at": at, "why": why }))?;
        folder.remove(&name(environment, HALTED))
    };
    write().map_err(|error| failed("released", environment, &error))?;
    Ok(Some(lever))
}

/// The lever of an environment, if it is pulled. One that cannot be read is pulled.
///
/// # Errors
/// When that cannot be told.
pub fn pulled(store: &FileStore, environment: &str) -> Result<Option<Lever>, Exit> {
    match there(store).and_then(|folder| folder.read(&name(environment, HALTED))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", environment, &error)),
        Ok(bytes) => Ok(Some(read(&bytes, environment))),
    }
}

/// All levers that are pulled, in order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn all(store: &FileStore) -> Result<Vec<Lever>, Exit> {
    let listed = || {
        let folder = there(store)?;
        let names = folder.names()?;
        Ok::<_, io::Error>((folder, names))
    };
    let (folder, names) = match listed() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(|error| failed("read", "*", &error))?,
    };
    let stem = |name: &String| name.strip_suffix(&format!(".{HALTED}")).map(str::to_owned);
    let mut levers: Vec<Lever> = names.iter().filter_map(|name| Some(read(&folder.read(name).ok()?, &stem(name)?))).collect();
    levers.sort_by(|a, b| a.environment.cmp(&b.environment));
    Ok(levers)
}

fn read(bytes: &[u8], environment: &str) -> Lever {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Lever {
        environment: environment.to_owned(),
        by: "somebody".into(),
        at: Timestamp::from_nanos(0),
        why: "the file that says why cannot be read".into(),
    })
}

fn note(folder: &Folder, line: &serde_json::Value) -> io::Result<()> {
    let mut file = folder.appended(HISTORY)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

fn failed(done: &str, environment: &str, error: &io::Error) -> Exit {
    Exit::new(Kind::Environment, format!("the lever of environment {environment} cannot be {done}")).cause(error.to_string())
}

/// The folder of what is kept by environment, made where it is missing.
pub(super) fn folder(store: &FileStore, environment: &str) -> io::Result<Folder> {
    DirBuilder::new().recursive(true).mode(0o700).create(store.folder())?;
    Folder::make(&path(store), store.trust().group_of(environment))?;
    there(store)
}

/// The folder of what is kept by environment, if it is there.
pub(super) fn there(store: &FileStore) -> io::Result<Folder> {
    Folder::open(&path(store), store.trust()).map(|(folder, _)| folder)
}

fn path(store: &FileStore) -> PathBuf {
    store.folder().join(FOLDER)
}

/// The file of `name` with this extension. Whatever a name holds, it stays inside the folder and no two have the same.
pub(super) fn name(name: &str, extension: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).take(64).collect();
    let file = if plain == name && !name.is_empty() { plain } else { format!("{plain}-{}", &chain::sha256(name.as_bytes())[..12]) };
    format!("{file}.{extension}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lever(environment: &str, why: &str) -> Lever {
        Lever { environment: environment.into(), by: "ann".into(), at: Timestamp::from_nanos(1_000_000_000), why: why.into() }
    }

    #[test]
    fn a_lever_is_pulled_once_and_released_once() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path().join("runs"), true);
        assert_eq!(pulled(&store, "lab").unwrap(), None);
        pull(&store, &lever("lab", "first")).unwrap();
        pull(&store, &lever("lab", "second")).unwrap();
        assert_eq!(pulled(&store, "lab").unwrap(), Some(lever("lab", "first")), "the first reason counts");
        assert_eq!(pulled(&store, "staging").unwrap(), None);
        let now = Timestamp::from_nanos(2_000_000_000);
        assert_eq!(release(&store, "lab", "bob", now, "over").unwrap(), Some(lever("lab", "first")));
        assert_eq!(release(&store, "lab", "bob", now, "over").unwrap(), None);
        let history = fs::read_to_string(reports.path().join("runs/environments/levers.jsonl")).unwrap();
        assert_eq!(history.lines().count(), 2, "{history}");
    }

    #[test]
    fn names_stay_in_the_folder_and_apart() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        let names = ["lab", "../lab", "..-lab", "a/b", "a b", "实验", "验实", ".", ""];
        for name in names {
            pull(&store, &lever(name, name)).unwrap();
        }
        for name in names {
            assert_eq!(pulled(&store, name).unwrap(), Some(lever(name, name)));
        }
        assert_eq!(all(&store).unwrap().len(), names.len());
    }

    #[test]
    fn a_lever_is_not_written_through_a_link() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        let victim = reports.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        folder(&store, "lab").unwrap();
        std::os::unix::fs::symlink(&victim, path(&store).join(HISTORY)).unwrap();
        let error = pull(&store, &lever("lab", "x")).unwrap_err();
        assert!(error.to_string().contains("levers.jsonl is a link"), "{error}");
        fs::remove_dir_all(path(&store)).unwrap();
        fs::create_dir(reports.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(reports.path().join("elsewhere"), path(&store)).unwrap();
        assert!(pull(&store, &lever("lab", "x")).is_err());
        assert_eq!(fs::read_dir(reports.path().join("elsewhere")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    }

    #[test]
    fn a_lever_that_cannot_be_read_is_pulled() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        folder(&store, "lab").unwrap().write(&name("lab", HALTED), b"{").unwrap();
        assert!(pulled(&store, "lab").unwrap().is_some());
    }
}
