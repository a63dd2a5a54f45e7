//! A run is pinned to the definitions as they were when it began. Editing a file meanwhile changes nothing; that somebody did is said.

use std::path::{Path, PathBuf};

use super::exit::{Exit, Kind};
use super::project::FILE_NAME;
use super::{files, programs, runs};
use crate::journal::FileStore;
use crate::model::chain;
use crate::model::decode::decode;
use crate::model::event::RunEvent;
use crate::model::ids::RunId;
use crate::model::plan::{Definition, Plan};
use crate::model::project::EnvironmentFile;
use crate::model::yaml::{Document, way};

/// Where the definitions of a run are that people edit.
#[derive(Debug, Clone)]
pub struct Originals {
    root: PathBuf,
}

impl Originals {
    /// Below `root`, the folder of the project file.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder that they are relative to.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A note for each file of `plan` that is not what it was, but for those that `told` tells of already. Where none of the files is, the run is
    /// looked at from elsewhere: nothing is said then.
    #[must_use]
    pub fn edited(&self, plan: &Plan, told: &[RunEvent]) -> Vec<RunEvent> {
        let read = |definition: &Definition| files::read(&self.root.join(&definition.path)).ok();
        let now: Vec<(&Definition, Option<Vec<u8>>)> = plan.definitions.iter().map(|definition| (definition, read(definition))).collect();
        if now.iter().all(|(_, bytes)| bytes.is_none()) {
            return Vec::new();
        }
        let note = |(definition, bytes): (&Definition, Option<Vec<u8>>)| {
            let became = match bytes {
                Some(bytes) if chain::sha256(&bytes) == definition.sha256 => return None,
                Some(_) => "was edited",
                None => "was taken away",
            };
            Some(RunEvent::Note { text: format!("{} {became} since the run began; the run goes by what it was then", definition.path) })
        };
        // Programs have no copy: they run as they are.
        let programs = plan.files.iter().zip(programs::again(&plan.files, &self.root)).filter(|(then, now)| then.sha256 != now.sha256);
        let programs = programs.map(|(then, _)| RunEvent::Note { text: format!("{} was edited since the run began", then.path) });
        now.into_iter().filter_map(note).chain(programs).filter(|note| !told.contains(note)).collect()
    }
}

/// The environment of a run by the copy of the project file that the run keeps; `None` when it was begun without a project file.
///
/// # Errors
/// When the copy is gone or is not what the plan was made from, or has no such environment.
pub fn environment(store: &FileStore, run: &str, plan: &Plan) -> Result<Option<EnvironmentFile>, Exit> {
    let Some(definition) = plan.definitions.iter().find(|definition| Path::new(&definition.path).file_name().is_some_and(|name| name == FILE_NAME))
    else {
        return Ok(None);
    };
    let path = store.path(run).join(copy_of(&definition.path));
    let wrong = |cause: String| {
        Exit::new(Kind::Definitions, format!("the run's copy of {} cannot be used", definition.path)).cause(cause).hint(format!(
            "restore {} from a copy; its SHA-256 is {}",
            path.display(),
            definition.sha256
        ))
    };
    let bytes = store.read_beside(run, &copy_of(&definition.path)).map_err(|error| wrong(error.to_string()))?;
    // An emergency may have begun by a file that was wrong elsewhere.
    let (loaded, _) = files::understand_whole_blocks(&path, bytes).map_err(|error| wrong(error.of(&path).to_string()))?;
    if loaded.sha256 != definition.sha256 {
        return Err(wrong(format!("{} was altered", path.display())));
    }
    // Only the run's own environment: what is wrong with another one must keep nobody from taking a run back.
    let Some(own) = loaded.doc.root.get(&way!["environments", plan.environment.as_str()]) else { return Ok(None) };
    let own = Document { source: loaded.doc.source.clone(), root: own.clone() };
    decode::<EnvironmentFile>(&own).map(Some).map_err(|problems| wrong(problems.first().map(ToString::to_string).unwrap_or_default()))
}

/// The environment called `name` as the latest run in it had it, with that run: for when the project file cannot tell any more.
#[must_use]
pub fn latest_environment(store: &FileStore, name: &str) -> Option<(RunId, EnvironmentFile)> {
    store.runs().ok()?.into_iter().rev().find_map(|run| {
        let plan = runs::plan_beside(store, &run).filter(|plan| plan.environment == name)?;
        let file = environment(store, &run, &plan).ok().flatten()?;
        Some((run, file))
    })
}

/// Where the run keeps its copy of the definition at `path`: inside its folder, whatever the definition was called.
#[must_use]
pub fn copy_of(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
    format!("definitions/{}", parts.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_inside_the_runs_folder() {
        assert_eq!(copy_of("../../etc/./passwd"), "definitions/etc/passwd");
        assert_eq!(copy_of("/scenarios//a.yaml"), "definitions/scenarios/a.yaml");
    }
}
