//! The lever of an environment: once `lifeboat halt` has pulled it, no new drill begins there until `lifeboat release`.
//!
//! It is a file beside the runs, `environments/NAME.halted`; who pulled and released it when and why stays in `environments/levers.jsonl`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exit::{Exit, Kind};
use crate::journal::FileStore;
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
        let folder = folder(store)?;
        let path = path(store, &lever.environment, HALTED);
        let next = path.with_extension(format!("{HALTED}.{:08x}", rand::random::<u32>()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        file.write_all(&serde_json::to_vec(lever)?)?;
        file.sync_all()?;
        // A whole file under its name or none; a link, unlike a renaming, leaves one that is there.
        let linked = fs::hard_link(&next, &path);
        fs::remove_file(&next)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        }
        File::open(&folder)?.sync_all()?;
        note(&folder, &json!({ "lever": "pulled", "environment": lever.environment, "by": lever.by, "at": lever.at, "why": lever.why }))
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
        let folder = folder(store)?;
        // First what will be remembered, then what it does.
        note(&folder, &json!({ "lever": "released", "environment": environment, "by": by, "at": at, "why": why }))?;
        fs::remove_file(path(store, environment, HALTED))?;
        File::open(&folder)?.sync_all()
    };
    write().map_err(|error| failed("released", environment, &error))?;
    Ok(Some(lever))
}

/// The lever of an environment, if it is pulled. One that cannot be read is pulled.
///
/// # Errors
/// When that cannot be told.
pub fn pulled(store: &FileStore, environment: &str) -> Result<Option<Lever>, Exit> {
    match fs::read(path(store, environment, HALTED)) {
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
    let entries = match fs::read_dir(store.folder().join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed("read", "*", &error))?,
    };
    let mut levers: Vec<Lever> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == HALTED))
        .filter_map(|path| Some(read(&fs::read(&path).ok()?, &path.file_stem()?.to_string_lossy())))
        .collect();
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

fn note(folder: &Path, line: &serde_json::Value) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(HISTORY))?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

fn failed(done: &str, environment: &str, error: &io::Error) -> Exit {
    Exit::new(Kind::Environment, format!("the lever of environment {environment} cannot be {done}")).cause(error.to_string())
}

/// The folder of what is kept by environment, made where it is missing.
pub(super) fn folder(store: &FileStore) -> io::Result<PathBuf> {
    let folder = store.folder().join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder)
}

/// The file of `name` with this extension. Whatever a name holds, it stays inside the folder and no two have the same.
pub(super) fn path(store: &FileStore, name: &str, extension: &str) -> PathBuf {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).take(64).collect();
    let file = if plain == name && !name.is_empty() { plain } else { format!("{plain}-{}", &chain::sha256(name.as_bytes())[..12]) };
    store.folder().join(FOLDER).join(format!("{file}.{extension}"))
}

#[cfg(test)]
mod tests {
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
    fn a_lever_that_cannot_be_read_is_pulled() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        folder(&store).unwrap();
        fs::write(path(&store, "lab", HALTED), "{").unwrap();
        assert!(pulled(&store, "lab").unwrap().is_some());
    }
}
