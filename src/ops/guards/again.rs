//! The guards decide again wherever a fault is about to be injected: hours after the start, after a takeover, before a second attempt.
//!
//! What counts is what the guards were when the run began *and* what they are now: a freeze that was written since holds, and nobody takes one away by
//! editing a file. Files that the run's commands will run count as they are now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::gather::{Intended, gather};
use crate::engine::clock::RunClock;
use crate::engine::gatekeeper::{Gatekeeper, Ruling};
use crate::journal::FileStore;
use crate::model::guard::{Confirmed, Decision, Guards, Overrides, evaluate};
use crate::model::ids::RunId;
use crate::model::plan::Plan;
use crate::ops::approvals::Subject;
use crate::ops::environment::Environment;
use crate::ops::exit::{Exit, Kind};
use crate::ops::lever;
use crate::ops::lock::Place;
use crate::ops::pinned::copy_of;
use crate::ops::project::{FILE_NAME, Project, read_project};

/// What was said to the guards of a run, and what they were when it began.
#[derive(Clone, Debug)]
pub struct Said {
    /// As the run began.
    pub guards: Guards,
    /// What is taken upon whoever runs it.
    pub overrides: Overrides,
    /// Who else had a hand in it, by login name: whoever started what is taken up now.
    pub started_by: Option<String>,
}

/// The guards of one run.
#[derive(Debug)]
pub struct Again {
    store: Arc<FileStore>,
    environment: Environment,
    root: PathBuf,
    run: RunId,
    plan: Arc<Plan>,
    said: Said,
}

impl Again {
    /// The guards of `run`; `root`: the folder of the project file as people edit it.
    #[must_use]
    pub fn new(store: Arc<FileStore>, environment: &Environment, root: &Path, run: RunId, plan: Arc<Plan>, said: Said) -> Self {
        Self { store, environment: environment.seen(), root: root.to_owned(), run, plan, said }
    }

    /// How every guard decides now.
    ///
    /// # Errors
    /// When they cannot be read, or what they are decided from cannot.
    pub async fn decide(&self, intended: bool) -> Result<Vec<Decision>, Exit> {
        let name = &self.plan.environment;
        if let Some(lever) = lever::pulled(&self.store, name, &Place::of(&self.plan).lever_keys())? {
            return Err(Exit::new(Kind::Environment, lever.to_string()));
        }
        let mut decisions = self.by(&self.said.guards, intended).await?;
        let now = self.now()?;
        if now.as_ref().is_some_and(|now| *now != self.said.guards) {
            // Of two that say no only what is new is told.
            let others = self.by(&now.unwrap_or_default(), intended).await?;
            for other in others {
                let known = decisions.iter().position(|own| own.guard == other.guard);
                match known.map(|at| (at, decisions[at].stands_in_the_way())) {
                    Some((at, false)) => decisions[at] = other,
                    Some((_, true)) => {}
                    None => decisions.push(other),
                }
            }
        }
        Ok(decisions)
    }

    /// How these guards decide.
    async fn by(&self, guards: &Guards, intended: bool) -> Result<Vec<Decision>, Exit> {
        let mut guards = guards.clone();
        if intended {
            // The first attempt was let through with these targets, which are on record; the world is half changed by now.
            guards.file.max_targets = None;
            guards.file.tags.clear();
        }
        let subject = Subject::now(&self.plan, &self.root);
        let facts = Intended {
            environment: &self.environment,
            plan: &self.plan,
            mode: self.plan.mode,
            subject: &subject,
            now: RunClock::start().now(),
            // Whoever started it has typed it.
            confirmed: Confirmed::Given(self.plan.environment.clone()),
            overrides: self.said.overrides.clone(),
            dry_run: None,
            own: Some(&self.run),
            intended,
        };
        let mut facts = gather(&guards, facts, &self.store).await?;
        facts.starter.names.extend(self.said.started_by.clone());
        Ok(evaluate(&guards, &facts))
    }

    /// The guards as they are written now; `None` where the project file is not at hand.
    fn now(&self) -> Result<Option<Guards>, Exit> {
        let file = self.root.join(FILE_NAME);
        if !file.is_file() {
            return Ok(None);
        }
        let project = read_project(&file).map_err(|_| self.unreadable(&file))?;
        guards_of(&project, &self.plan.environment).map_err(|()| self.unreadable(&file))
    }

    fn unreadable(&self, file: &Path) -> Exit {
        Exit::new(Kind::Definitions, format!("the guards of {} cannot be read from {}", self.plan.environment, file.display()))
            .hint("`lifeboat validate lifeboat.yaml` says what is wrong with it")
    }
}

impl Gatekeeper for Again {
    fn decide(&self, intended: bool) -> Ruling<'_> {
        Box::pin(async move { self.decide(intended).await.map_err(|exit| exit.message) })
    }
}

/// The guards as the run's own copies of its definitions have them.
///
/// # Errors
/// When the copies are not what the plan was made from.
pub fn as_begun(store: &FileStore, run: &str, plan: &Plan) -> Result<Guards, Exit> {
    let is_project = |path: &str| Path::new(path).file_name().is_some_and(|name| name == FILE_NAME);
    let Some(definition) = plan.definitions.iter().find(|definition| is_project(&definition.path)) else { return Ok(Guards::default()) };
    let path = store.path(run).join(copy_of(&definition.path));
    let altered = || {
        Exit::new(Kind::Definitions, format!("the run's copy of {} cannot be used: it is not what the run began with", definition.path))
            .hint("begin a new run: nothing was injected in this one")
    };
    let project = read_project(&path).map_err(|_| altered())?;
    let is_as_begun = |sha256: &str| plan.definitions.iter().any(|definition| definition.sha256 == sha256);
    if !project.deciding(&plan.environment).all(|file| is_as_begun(&file.sha256)) {
        return Err(altered());
    }
    guards_of(&project, &plan.environment).map(Option::unwrap_or_default).map_err(|()| altered())
}

/// The guards of an environment; an error where they are there and wrong.
fn guards_of(project: &Project, name: &str) -> Result<Option<Guards>, ()> {
    if project.names(name) {
        project.environment(name).map_err(drop)?;
    }
    Ok(project.guards(name))
}
