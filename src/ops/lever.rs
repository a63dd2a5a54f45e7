//! The lever of an environment: once `lifeboat halt` has pulled it, no new drill begins there until `lifeboat release`.
//!
//! It is a file beside the runs, `environments/NAME.halted`, and in every other place of the environment (`ops/places`): other folders of runs are halted too. Who
//! pulled and released it when and why stays in `environments/levers.jsonl`.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::info;

use super::exit::{Exit, Kind};
use super::places::{self, Spot};
use crate::journal::FileStore;
use crate::journal::folder::Folder;
use crate::model::format::{Format, TOOL, Unreadable, Version, check_file};
use crate::model::time::Timestamp;

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
    /// By what the environment is known outside of its project: its accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Every file that it was to be kept in: who releases it in a copy of the project releases all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<PathBuf>,
    /// Why it cannot be read, although it was not altered: a newer Lifeboat pulled it.
    #[serde(skip)]
    pub unread: Option<Unreadable>,
}

/// A lever as its file has it.
#[derive(Serialize)]
struct Kept<'a> {
    version: Version,
    /// Version of the Lifeboat that pulled it.
    tool: &'a str,
    #[serde(flatten)]
    lever: &'a Lever,
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
        if let Some(unread) = &self.unread {
            return write!(f, "environment {} was halted; by whom and why cannot be read: {unread}", self.environment);
        }
        write!(f, "environment {} was halted by {} at {}: {}", self.environment, self.by, self.at, self.why)
    }
}

/// Pulls the lever, in every place of the environment. One that is pulled stays as it is: the first reason counts. Gives the places that it could not be kept
/// in, with the reason.
///
/// # Errors
/// When it cannot be kept anywhere.
pub fn pull(store: &FileStore, lever: &Lever) -> Result<Vec<String>, Exit> {
    let mut spots = places::files(store, &lever.environment, &lever.keys, HALTED);
    if !store.keeping().near.is_empty() {
        // It is the project's, whichever folder the runs are in: whoever releases it names no folder.
        spots.remove(0);
    }
    let absolute = |spot: &Spot| std::path::absolute(spot.path()).unwrap_or_else(|_| spot.path());
    let kept = Lever { kept: spots.iter().map(absolute).collect(), ..lever.clone() };
    let bytes = serde_json::to_vec(&Kept { version: Format::Lever.current(), tool: TOOL, lever: &kept })
        .map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    let (mut is_new, mut failures) = (false, Vec::new());
    for spot in &spots {
        match spot.make(store.trust(), &lever.environment).and_then(|folder| folder.write_new(&spot.name, &bytes)) {
            // One that is pulled stays.
            Ok(put) => is_new |= put,
            Err(error) => failures.push((spot.path().display().to_string(), error)),
        }
    }
    if failures.len() == spots.len()
        && let Some((place, error)) = failures.first()
    {
        return Err(failed("pulled", &lever.environment, error).cause(place.clone()));
    }
    info!(environment = lever.environment, by = lever.by, places = spots.len() - failures.len(), is_new, "lever pulled");
    if is_new {
        // Whoever is refused is told by the lever itself; this is for later readers.
        let line = json!({ "lever": "pulled", "environment": lever.environment, "by": lever.by, "at": lever.at, "why": lever.why });
        note(store, &lever.environment, &line).map_err(|error| failed("noted", &lever.environment, &error))?;
    }
    Ok(failures.into_iter().map(|(place, error)| format!("{place}: {error}")).collect())
}

/// Releases the lever in every place; gives what it was. `keys`: by what the environment is known outside of its project.
///
/// # Errors
/// When it cannot be taken away, the release cannot be noted, or a newer Lifeboat pulled it: this one does not know all that it is kept in.
pub fn release(store: &FileStore, environment: &str, keys: &[String], by: &str, at: Timestamp, why: &str) -> Result<Option<Lever>, Exit> {
    let Some(lever) = pulled(store, environment, keys)? else { return Ok(None) };
    let keys: Vec<String> = keys.iter().chain(&lever.keys).cloned().collect();
    let there = places::files(store, environment, &keys, HALTED).into_iter().filter_map(|spot| lies(&spot, store, environment).ok());
    if let Some(unread) = there.filter_map(|lever| lever.unread).next() {
        return Err(Exit::new(Kind::Newer, format!("the lever of environment {environment} is not this Lifeboat's to release; nothing was changed"))
            .cause(unread.to_string())
            .hint(unread.hint()));
    }
    let write = || {
        // First what will be remembered, then what it does.
        note(store, environment, &json!({ "lever": "released", "environment": environment, "by": by, "at": at, "why": why }))?;
        for spot in places::files(store, environment, &keys, HALTED) {
            let taken = spot.open(store.trust()).and_then(|folder| folder.remove(&spot.name));
            if let Err(error) = taken
                && !is_absent(&error)
            {
                return Err(io::Error::new(error.kind(), format!("{}: {error}", spot.path().display())));
            }
        }
        lever.kept.iter().try_for_each(|path| take_away(path, &lever))
    };
    write().map_err(|error| failed("released", environment, &error))?;
    info!(environment, by, "lever released");
    Ok(Some(lever))
}

/// Takes away a file that the lever names, only if it is this very lever.
fn take_away(path: &Path, lever: &Lever) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Ok(()) };
    let Ok(folder) = Folder::at(folder) else { return Ok(()) };
    if folder.read(name).is_ok_and(|bytes| read(&bytes, &lever.environment) == *lever) { folder.remove(name) } else { Ok(()) }
}

/// The lever of an environment, if it is pulled in any of its places. One that cannot be read is pulled.
///
/// # Errors
/// When that cannot be told.
pub fn pulled(store: &FileStore, environment: &str, keys: &[String]) -> Result<Option<Lever>, Exit> {
    for spot in places::files(store, environment, keys, HALTED) {
        match lies(&spot, store, environment) {
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed("read", environment, &error).cause(spot.path().display().to_string())),
            Ok(lever) => {
                info!(environment, path = %spot.path().display(), by = lever.by, why = lever.why, "lever is pulled");
                return Ok(Some(lever));
            }
        }
    }
    Ok(None)
}

/// The lever in one of its places.
fn lies(spot: &Spot, store: &FileStore, environment: &str) -> io::Result<Lever> {
    let bytes = spot.open(store.trust())?.read(&spot.name)?;
    Ok(read(&bytes, environment))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// All levers of the project that are pulled, in order of their names.
///
/// # Errors
/// When a folder cannot be read.
pub fn all(store: &FileStore) -> Result<Vec<Lever>, Exit> {
    let mut levers: Vec<Lever> = Vec::new();
    for spot in places::by_name(store, HISTORY) {
        let listed = spot.open(store.trust()).and_then(|folder| Ok((folder.names()?, folder)));
        let (names, folder) = match listed {
            Err(error) if is_absent(&error) => continue,
            found => found.map_err(|error| failed("read", "*", &error))?,
        };
        let stem = |name: &String| name.strip_suffix(&format!(".{HALTED}")).map(str::to_owned);
        levers.extend(names.iter().filter_map(|name| Some(read(&folder.read(name).ok()?, &stem(name)?))));
    }
    levers.sort_by(|a, b| a.environment.cmp(&b.environment));
    let mut known = BTreeSet::new();
    levers.retain(|lever| known.insert(lever.environment.clone()));
    Ok(levers)
}

fn read(bytes: &[u8], environment: &str) -> Lever {
    let unread = check_file(Format::Lever, bytes).err();
    let whole = if unread.is_none() { serde_json::from_slice(bytes).ok() } else { None };
    whole.unwrap_or_else(|| Lever {
        environment: environment.to_owned(),
        by: "somebody".into(),
        at: Timestamp::from_nanos(0),
        why: "the file that says why cannot be read".into(),
        keys: Vec::new(),
        kept: Vec::new(),
        unread,
    })
}

/// Keeps what was done with a lever, in the folder of the project.
fn note(store: &FileStore, environment: &str, line: &serde_json::Value) -> io::Result<()> {
    let spots = places::by_name(store, HISTORY);
    let Some(spot) = spots.last() else { return Ok(()) };
    let mut file = spot.make(store.trust(), environment)?.appended(&spot.name)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_all()
}

fn failed(done: &str, environment: &str, error: &io::Error) -> Exit {
    Exit::new(Kind::Environment, format!("the lever of environment {environment} cannot be {done}")).cause(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::journal::Keeping;

    fn lever(environment: &str, why: &str) -> Lever {
        Lever {
            environment: environment.into(),
            by: "ann".into(),
            at: Timestamp::from_nanos(1_000_000_000),
            why: why.into(),
            keys: Vec::new(),
            kept: Vec::new(),
            unread: None,
        }
    }

    #[test]
    fn a_lever_is_pulled_once_and_released_once() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path().join("runs"), true);
        assert_eq!(pulled(&store, "lab", &[]).unwrap(), None);
        pull(&store, &lever("lab", "first")).unwrap();
        pull(&store, &lever("lab", "second")).unwrap();
        assert_eq!(pulled(&store, "lab", &[]).unwrap().map(|lever| lever.why).as_deref(), Some("first"), "the first reason counts");
        assert_eq!(pulled(&store, "staging", &[]).unwrap(), None);
        let now = Timestamp::from_nanos(2_000_000_000);
        assert_eq!(release(&store, "lab", &[], "bob", now, "over").unwrap().map(|lever| lever.why).as_deref(), Some("first"));
        assert_eq!(release(&store, "lab", &[], "bob", now, "over").unwrap(), None);
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
            assert_eq!(pulled(&store, name, &[]).unwrap().map(|lever| lever.why).as_deref(), Some(name));
        }
        assert_eq!(all(&store).unwrap().len(), names.len());
    }

    #[test]
    fn a_lever_is_not_written_through_a_link() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        let victim = reports.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let spot = places::by_name(&store, HISTORY).remove(0);
        spot.make(store.trust(), "lab").unwrap();
        std::os::unix::fs::symlink(&victim, spot.path()).unwrap();
        let error = pull(&store, &lever("lab", "x")).unwrap_err();
        assert!(error.to_string().contains("levers.jsonl is a link"), "{error}");
        let folder = reports.path().join("environments");
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(reports.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(reports.path().join("elsewhere"), &folder).unwrap();
        assert!(pull(&store, &lever("lab", "x")).is_err());
        assert_eq!(fs::read_dir(reports.path().join("elsewhere")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    }

    #[test]
    fn a_lever_that_cannot_be_read_is_pulled() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        let spot = places::files(&store, "lab", &[], HALTED).remove(0);
        spot.make(store.trust(), "lab").unwrap().write(&spot.name, b"{").unwrap();
        assert!(pulled(&store, "lab", &[]).unwrap().is_some());
    }

    #[test]
    fn a_newer_lever_is_pulled_and_is_released_only_by_who_can_read_it() {
        let reports = tempfile::tempdir().unwrap();
        let store = FileStore::new(reports.path(), true);
        let spot = places::files(&store, "lab", &[], HALTED).remove(0);
        let newer = br#"{"version":"1.99","tool":"9.8.7","environment":"lab","by":{"name":"ann"}}"#;
        spot.make(store.trust(), "lab").unwrap().write(&spot.name, newer).unwrap();
        let said = pulled(&store, "lab", &[]).unwrap().unwrap().to_string();
        assert!(said.contains("made by Lifeboat 9.8.7 in version 1.99 of the format of levers"), "{said}");
        let refused = release(&store, "lab", &[], "bob", Timestamp::from_nanos(2), "over").unwrap_err();
        assert_eq!(refused.kind, Kind::Newer);
        assert!(refused.to_string().contains("nothing was changed") && refused.to_string().contains("use Lifeboat 9.8.7"), "{refused}");
        assert_eq!(fs::read(spot.path()).unwrap(), newer, "it is left as it is");
        // One from before there were versions.
        spot.make(store.trust(), "lab")
            .unwrap()
            .write(&spot.name, br#"{"environment":"lab","by":"ann","at":"2026-01-01T00:00:00Z","why":"x"}"#)
            .unwrap();
        assert_eq!(release(&store, "lab", &[], "bob", Timestamp::from_nanos(2), "over").unwrap().map(|lever| lever.by).as_deref(), Some("ann"));
    }

    #[test]
    fn a_lever_is_one_of_the_environment_wherever_its_runs_are() {
        let (here, there, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let wide = |runs: &Path, near: Option<&Path>| {
            let keeping = Keeping { near: near.map(|near| near.join("environments")).into_iter().collect(), wide: vec![user.path().to_owned()] };
            FileStore::new(runs, true).keeping_in(keeping)
        };
        let (own, project, copy) = (wide(here.path(), None), wide(there.path(), Some(here.path())), wide(there.path(), None));
        let keys = ["prod aws 1".to_owned(), "prod aliyun 2".to_owned()];
        pull(&own, &Lever { keys: keys.to_vec(), ..lever("prod", "an incident") }).unwrap();
        for (store, keys, is_pulled) in [
            (&project, &[][..], true),
            (&copy, &keys[..], true),
            (&copy, &keys[1..], true),
            (&copy, &["prod aws 3".to_owned()][..], false),
            (&copy, &[][..], false),
        ] {
            assert_eq!(pulled(store, "prod", keys).unwrap().is_some(), is_pulled, "{keys:?}");
        }
        // From elsewhere: from a copy of the project, that is.
        release(&copy, "prod", &keys[..1], "bob", Timestamp::from_nanos(2), "over").unwrap().unwrap();
        assert_eq!(pulled(&copy, "prod", &keys).unwrap(), None);
        assert_eq!(pulled(&own, "prod", &keys).unwrap(), None);
        assert_eq!(pulled(&project, "prod", &[]).unwrap(), None);
    }
}
