//! From files to a plan: everything that can be known without a cloud is evaluated and checked here, and every problem has a place.
//!
//! - `value`: values with expressions in them, and what they may refer to.
//! - `parameter`: parameters held against an action's or a probe's own reading of them.
//! - `probe`: which probes a plan has, and whether those that are named exist.
//! - `runbook`, `graph`: steps, in which order, with included runbooks put in their place.
//! - `scenario`: a scenario; what a fault, detection and recovery are.

mod graph;
mod output;
mod parameter;
mod probe;
mod runbook;
mod scenario;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::files::{Files, LoadError, Loaded, OUTSIDE, folder_of};
use super::project::Project;
use super::words::Words;
use crate::model::diagnostic::Diagnostic;
use crate::model::plan::{Limits, Mode, Plan};
use crate::model::time::Timestamp;
use crate::model::yaml::{Seg, way};

/// What a plan is made for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Name of the environment.
    pub environment: &'a str,
    /// Laid over the environment's own variables: those of the lab's world, and `--set`.
    pub vars: Map<String, Value>,
    /// Values of a runbook's parameters (`--with`); scenarios give their runbooks' parameters themselves.
    pub parameters: Map<String, Value>,
    /// Why the run runs.
    pub mode: Mode,
    /// Whether the failback is left out.
    pub no_failback: bool,
    /// When the disruption began, if somebody said so.
    pub since: Option<Timestamp>,
    /// How long it may take.
    pub limits: Limits,
    /// Whether it begins without relying on the source side.
    pub ungraceful: bool,
}

impl<'a> Request<'a> {
    /// A request without anything given.
    #[must_use]
    pub fn new(environment: &'a str, mode: Mode) -> Self {
        let (vars, parameters) = (Map::new(), Map::new());
        Self { environment, vars, parameters, mode, no_failback: false, since: None, limits: Limits::default(), ungraceful: false }
    }
}

/// The plan of the scenario at `path`.
///
/// # Errors
/// Everything that is wrong with the scenario, its runbooks, its probes or the environment.
pub fn plan_scenario<W: Send + Sync>(path: &Path, project: &Project, words: Words<W>, request: &Request<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let mut files = Files::default();
    Resolver::new(project, words, request, &mut files)?.scenario(path)
}

/// The plan of the runbook at `path`, without any fault.
///
/// # Errors
/// As [`plan_scenario`].
pub fn plan_runbook<W: Send + Sync>(path: &Path, project: &Project, words: Words<W>, request: &Request<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let mut files = Files::default();
    Resolver::new(project, words, request, &mut files)?.runbook(path, Unsaid::Refused)
}

/// What becomes of parameters without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// They are a problem.
    Refused,
    /// An example of their type stands in: the runbook is checked, not run.
    Open,
}

/// One resolution: collects problems and goes on as far as that makes sense.
pub(super) struct Resolver<'a, W: 'static> {
    project: &'a Project,
    words: Words<W>,
    request: &'a Request<'a>,
    files: &'a mut Files,
    /// `env` and `vars`.
    scope: Map<String, Value>,
    problems: Vec<Diagnostic>,
    /// Every probe of the files so far, by id: the scenario's first, then its runbooks', then the project's.
    pool: BTreeMap<String, probe::Found>,
    /// Every place where a probe is named.
    mentions: Vec<probe::Mention>,
    /// Ids of probes that the plan has whether they are named or not.
    own_probes: BTreeSet<String>,
    /// The files being read, outermost first: what finds a runbook that includes itself.
    stack: Vec<Rc<Loaded>>,
    /// Steps so far, over all included runbooks.
    steps: usize,
    /// The folders that all files lie in: that of the project, and that of the file that a person named.
    roots: Vec<PathBuf>,
}

/// A place in a file.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub file: Rc<Loaded>,
    pub path: Vec<Seg>,
}

impl Site {
    fn new(file: &Rc<Loaded>, path: &[Seg]) -> Self {
        Self { file: Rc::clone(file), path: path.to_vec() }
    }

    fn under(&self, more: &[Seg]) -> Self {
        Self { file: Rc::clone(&self.file), path: [self.path.as_slice(), more].concat() }
    }

    fn problem(&self, message: impl Into<String>) -> Diagnostic {
        self.file.doc.problem(&self.path, message)
    }

    fn key_problem(&self, message: impl Into<String>) -> Diagnostic {
        self.file.doc.key_problem(&self.path, message)
    }

    fn inside(&self, range: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.file.doc.source, self.file.doc.inside(&self.path, range), message)
    }
}

impl<'a, W: Send + Sync> Resolver<'a, W> {
    pub(super) fn new(project: &'a Project, words: Words<W>, request: &'a Request<'a>, files: &'a mut Files) -> Result<Self, Vec<Diagnostic>> {
        let scope = project.scope(request.environment, &request.vars)?;
        files.begin();
        Ok(Self {
            project,
            words,
            request,
            files,
            scope,
            problems: Vec::new(),
            pool: BTreeMap::new(),
            mentions: Vec::new(),
            own_probes: BTreeSet::new(),
            stack: Vec::new(),
            steps: 0,
            roots: vec![project.root.clone()],
        })
    }

    /// The file that a person named.
    fn load_first(&mut self, path: &Path) -> Result<Rc<Loaded>, Vec<Diagnostic>> {
        self.roots.push(folder_of(path).to_owned());
        self.files.load_named(path, &self.project.root).map_err(|error| vec![error.of(path)])
    }

    /// Checks the probes of the project file.
    pub(super) fn project_probes(mut self) -> Vec<Diagnostic> {
        if let Some(file) = self.project.loaded.clone() {
            self.collect_probes(&self.project.settings.probes, &Site::new(&file, &way!["probes"]), &Map::new(), &BTreeSet::new());
            self.own_probes = self.project.settings.probes.keys().cloned().collect();
        }
        self.probe_plans();
        self.told()
    }

    fn say(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// The problems in the order of files and lines, each once: a runbook may be read for the failover and for the failback.
    fn told(self) -> Vec<Diagnostic> {
        let mut problems = self.problems;
        problems.sort_by(|a, b| (&a.source.name, a.at.start, &a.message).cmp(&(&b.source.name, b.at.start, &b.message)));
        problems.dedup();
        problems
    }

    /// The file named at `site`, relative to the file that names it.
    fn load_named(&mut self, name: &str, site: &Site) -> Option<Rc<Loaded>> {
        let folder = site.file.path.parent().unwrap_or(Path::new("."));
        let roots: Vec<&Path> = self.roots.iter().map(PathBuf::as_path).collect();
        match self.files.load_inside(&folder.join(name), &roots) {
            Ok(file) => Some(file),
            Err(LoadError::Text(problem)) => {
                self.say(problem);
                None
            }
            Err(LoadError::Unreadable(why)) => {
                // What lies elsewhere is not looked for, nor what is beside it.
                let hint = if why.message == OUTSIDE { why.hint } else { self.near_file(folder, name) };
                self.say(site.problem(format!("`{name}`: {}", why.message)).hint("paths are relative to the file that names them").maybe_hint(hint));
                None
            }
        }
    }

    fn definitions(&self) -> Vec<crate::model::plan::Definition> {
        self.files.definitions(&self.project.root, self.project.deciding(self.request.environment))
    }

    /// A file with nearly this name in the same folder.
    fn near_file(&self, folder: &Path, name: &str) -> Option<String> {
        let wanted = Path::new(name);
        let names = self.files.names_in(&folder.join(wanted.parent()?));
        let near = crate::model::diagnostic::nearest(wanted.file_name()?.to_str()?, names.iter().map(String::as_str))?;
        Some(format!("did you mean `{}`?", wanted.with_file_name(near).display()))
    }
}
