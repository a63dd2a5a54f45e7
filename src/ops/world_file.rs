//! World files: read, checked, and told about like every other file that people write.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::files::{Files, LoadError, Loaded, folder_of};
use crate::lab::world::check::{Problem, Step};
use crate::lab::world::file::{Blueprint, WorldFile};
use crate::model::call::Cloud;
use crate::model::decode::decode;
use crate::model::diagnostic::{Diagnostic, suggest};
use crate::model::project::{EnvironmentFile, EnvironmentKind, ProjectFile};
use crate::model::yaml::{Seg, way};

/// The world of an environment.
#[derive(Clone, Debug)]
pub(super) struct OwnWorld {
    /// What is in it.
    pub(super) blueprint: Arc<Blueprint>,
    /// The file it is in.
    pub(super) file: Rc<Loaded>,
}

/// Reads a world file that a person named.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(path: &Path) -> Result<Arc<Blueprint>, Vec<Diagnostic>> {
    let loaded = Files::default().load_named(path, folder_of(path)).map_err(|error| vec![error.of(path)])?;
    understand(&loaded).map(Arc::new)
}

/// What a file says, if it is a world.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn understand(loaded: &Loaded) -> Result<Blueprint, Vec<Diagnostic>> {
    let file: WorldFile = decode(&loaded.doc)?;
    let located = |problem: Problem| {
        let way = problem.at.into_iter().map(|step| match step {
            Step::Key(key) => Seg::Key(key),
            Step::Index(index) => Seg::Index(index),
        });
        loaded.doc.problem(&way.collect::<Vec<_>>(), problem.message).hint(problem.hint)
    };
    Blueprint::new(file, loaded.sha256.clone()).map_err(|problems| {
        let mut problems: Vec<Diagnostic> = problems.into_iter().map(located).collect();
        problems.sort_by_key(|problem| problem.at.start);
        problems
    })
}

/// The worlds of a project's environments, by their names, beside what is wrong with them and with what the environments say of them.
pub(super) fn read_all(project: &Rc<Loaded>, settings: &ProjectFile, files: &mut Files) -> (BTreeMap<String, OwnWorld>, Vec<Diagnostic>) {
    let mut worlds = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, environment) in &settings.environments {
        if let Some(path) = &environment.world {
            match named(path, name, environment, project, files) {
                Ok(world) => _ = worlds.insert(name.clone(), world),
                Err(found) => {
                    problems.extend(found);
                    continue;
                }
            }
        }
        if environment.kind == EnvironmentKind::Lab {
            let blueprint = worlds.get(name).map_or_else(Blueprint::shop, |world| Arc::clone(&world.blueprint));
            problems.extend(regions(name, environment, &blueprint, project));
        }
    }
    // Two environments may share a world.
    problems.dedup();
    (worlds, problems)
}

fn named(path: &str, name: &str, environment: &EnvironmentFile, project: &Rc<Loaded>, files: &mut Files) -> Result<OwnWorld, Vec<Diagnostic>> {
    let at = way!["environments", name, "world"];
    if environment.kind != EnvironmentKind::Lab {
        let problem = project.doc.key_problem(&at, "only an environment of `kind: lab` has a world of its own");
        return Err(vec![problem.hint("add `kind: lab`, or remove `world`")]);
    }
    let folder = folder_of(&project.path);
    let file = files.load_inside(&folder.join(path), &[folder]).map_err(|error| match error {
        LoadError::Text(problem) => vec![problem],
        LoadError::Unreadable(why) => {
            let problem = project.doc.problem(&at, format!("`{path}`: {}", why.message));
            vec![problem.hint("paths are relative to the project file; `lifeboat lab --print-world` prints a world to begin with")]
        }
    })?;
    Ok(OwnWorld { blueprint: Arc::new(understand(&file)?), file })
}

/// A lab's environment may say in which of the world's regions it is, and nothing else of its clouds.
fn regions(name: &str, environment: &EnvironmentFile, world: &Blueprint, project: &Loaded) -> Vec<Diagnostic> {
    let aws = environment.aws.as_ref().and_then(|aws| aws.region.as_ref());
    let aliyun = environment.aliyun.as_ref().and_then(|aliyun| aliyun.region.as_ref());
    let wrong = |(side, cloud, region): (&str, Cloud, Option<&String>)| {
        let region = region.filter(|region| !world.regions(cloud).contains(region))?;
        let problem = project.doc.problem(&way!["environments", name, side, "region"], format!("the lab's world has no region `{region}`"));
        Some(problem.maybe_hint(suggest(region, world.regions(cloud).iter().map(String::as_str), "regions of the world")))
    };
    [("aws", Cloud::Aws, aws), ("aliyun", Cloud::Aliyun, aliyun)].into_iter().filter_map(wrong).collect()
}
