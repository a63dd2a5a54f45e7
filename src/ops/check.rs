//! `validate`: every file that a command names or a folder holds, checked as far as that goes without a cloud.

use std::path::{Path, PathBuf};

use super::files::{Files, shown};
use super::project::{FILE_NAME, NO_PROJECT, Project, project_in};
use super::resolve::{Request, Resolver, Unsaid, plan_runbook, plan_scenario};
use super::words::Words;
use super::world_file;
use crate::model::decode::decode;
use crate::model::diagnostic::{Diagnostic, Source};
use crate::model::guard::FreezesFile;
use crate::model::plan::Plan;
use crate::model::text::Lang;
use crate::model::yaml::way;

/// What came of one file.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Its path as people should see it.
    pub file: String,
    /// `scenario`, `runbook`, `world`, `calendar` or `project`; empty where it could not be told.
    pub kind: &'static str,
    /// What it holds, in a few words; empty when it has problems.
    pub summary: String,
    /// What is wrong, with it or with a file that it uses.
    pub problems: Vec<Diagnostic>,
}

/// How deep folders are searched.
const MAX_DEPTH: usize = 16;
/// How many files one command checks.
const MAX_FILES: usize = 10_000;

/// Checks `paths`: files, or folders in which all `*.yaml` and `*.yml` files are that are ours. In the order given, those of a folder by name.
/// A problem of a file that several others use is told once.
pub fn validate<W: Send + Sync>(paths: &[PathBuf], project: &Project, words: Words<W>, request: &Request<'_>) -> Vec<Checked> {
    let mut files = Files::default();
    let mut results: Vec<Checked> = Vec::new();
    let mut told: Vec<Diagnostic> = Vec::new();
    let skip = project.reports();
    for path in paths {
        let found = if path.is_dir() { search(path, &skip) } else { vec![(path.clone(), true)] };
        if found.is_empty() {
            let problem = Diagnostic::new(&Source::new(shown(path), ""), 0..0, "no scenarios, runbooks or project file in this folder");
            results.push(Checked {
                file: shown(path),
                kind: "",
                summary: String::new(),
                problems: vec![problem.hint("they are `*.yaml` files that begin with `lifeboat: 1`")],
            });
        }
        for (file, is_named) in found {
            if let Some((mut checked, _)) = check(&file, is_named, project, words, request, &mut files) {
                let has_no_project = |problem: &Diagnostic| problem.hint.as_deref().is_some_and(|hint| hint.starts_with(NO_PROJECT));
                let is_told = told.iter().any(has_no_project);
                checked.problems.retain(|problem| !(told.contains(problem) || is_told && has_no_project(problem)));
                told.extend(checked.problems.iter().cloned());
                results.push(checked);
            }
        }
    }
    results
}

/// The plan of a scenario or of a runbook, whichever the file says it is.
///
/// # Errors
/// As [`plan_scenario`] and [`plan_runbook`].
pub fn plan_either<W: Send + Sync>(path: &Path, project: &Project, words: Words<W>, request: &Request<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let is_runbook = Files::default()
        .load_named(path, &project.root)
        .is_ok_and(|loaded| loaded.doc.root.get(&way!["kind"]).map(crate::model::yaml::Node::to_json) == Some("runbook".into()));
    if is_runbook { plan_runbook(path, project, words, request) } else { plan_scenario(path, project, words, request) }
}

/// Checks `texts`, given with their paths instead of read, as [`validate`] checks files; nothing on disk is looked at. The project file is the one
/// that is called `lifeboat.yaml`. With the plans of what is right.
pub fn check_given<W: Send + Sync>(texts: Vec<(PathBuf, Vec<u8>)>, words: Words<W>, request: &Request<'_>) -> Vec<(Checked, Option<Plan>)> {
    let paths: Vec<PathBuf> = texts.iter().map(|(path, _)| path.clone()).collect();
    let mut files = Files::given(texts);
    let project = paths.iter().find(|path| path.file_name().is_some_and(|name| name == FILE_NAME));
    let project = project.and_then(|path| project_in(&mut files, path).ok()).unwrap_or_else(|| Project::bare(PathBuf::from("/")));
    paths.iter().filter_map(|path| check(path, true, &project, words, request, &mut files)).collect()
}

/// `None` for a file in a folder that is not ours. With the plan, when there is one.
fn check<W: Send + Sync>(
    path: &Path,
    is_named: bool,
    project: &Project,
    words: Words<W>,
    request: &Request<'_>,
    files: &mut Files,
) -> Option<(Checked, Option<Plan>)> {
    let file = shown(path);
    let failed = |problems: Vec<Diagnostic>| Some((Checked { file: file.clone(), kind: "", summary: String::new(), problems }, None));
    let loaded = match files.load_named(path, &project.root) {
        Ok(loaded) => loaded,
        Err(error) => return failed(vec![error.of(path)]),
    };
    let doc = &loaded.doc;
    let kind = doc.root.get(&way!["kind"]).map(crate::model::yaml::Node::to_json);
    let is_ours = kind.is_some() && doc.root.get(&way!["lifeboat"]).is_some();
    let (kind, result) = match kind.as_ref().and_then(|kind| kind.as_str()) {
        Some("scenario") => ("scenario", Resolver::new(project, words, request, files).and_then(|resolver| resolver.scenario(path))),
        Some("runbook") => ("runbook", Resolver::new(project, words, request, files).and_then(|resolver| resolver.runbook(path, Unsaid::Open))),
        Some("world") => {
            return match world_file::understand(&loaded) {
                Ok(world) => Some((Checked { file, kind: "world", summary: world.summary(), problems: Vec::new() }, None)),
                Err(problems) => failed(problems),
            };
        }
        None if path.file_name().is_some_and(|name| name == FILE_NAME) || doc.root.get(&way!["environments"]).is_some() => {
            return Some((check_project(path, words, request, files), None));
        }
        None if doc.root.get(&way!["lifeboat"]).is_some() && doc.root.get(&way!["freezes"]).is_some() => {
            return match decode::<FreezesFile>(doc) {
                Ok(calendar) => {
                    Some((Checked { file, kind: "calendar", summary: count(calendar.freezes.len(), "freeze"), problems: Vec::new() }, None))
                }
                Err(problems) => failed(problems),
            };
        }
        _ if !is_ours && !is_named => return None,
        Some(other) => {
            let problem = doc.problem(&way!["kind"], format!("unknown kind of file `{other}`"));
            return failed(vec![problem.maybe_hint(crate::model::diagnostic::suggest(other, ["scenario", "runbook", "world"], "kinds"))]);
        }
        None => {
            return failed(vec![
                doc.key_problem(&way!["kind"], "the key `kind` is missing").hint("write `kind: scenario`, `kind: runbook` or `kind: world`"),
            ]);
        }
    };
    let (summary, problems, plan) = match result {
        Ok(plan) => (summary(&plan, kind), Vec::new(), Some(plan)),
        Err(problems) => (String::new(), problems, None),
    };
    Some((Checked { file, kind, summary, problems }, plan))
}

fn check_project<W: Send + Sync>(path: &Path, words: Words<W>, request: &Request<'_>, files: &mut Files) -> Checked {
    let result = project_in(files, path).and_then(|project| {
        // Each environment has variables of its own; the one asked for is the one whose probes are looked at.
        let problems = Resolver::new(&project, words, request, files)?.project_probes();
        if problems.is_empty() { Ok(project) } else { Err(problems) }
    });
    let (summary, problems) = match result {
        Ok(project) => {
            (format!("{}, {}", count(project.settings.environments.len(), "environment"), count(project.settings.probes.len(), "probe")), Vec::new())
        }
        Err(problems) => (String::new(), problems),
    };
    Checked { file: shown(path), kind: "project", summary, problems }
}

fn summary(plan: &Plan, kind: &str) -> String {
    let title = plan.title.get(Lang::En);
    let back = plan.failback.as_ref().map_or_else(String::new, |back| format!(" + {}", count(back.steps.len(), "step back")));
    let steps = count(plan.failover.steps.len(), "step");
    let probes = if kind == "scenario" { format!(", {}", count(plan.probes.len(), "probe")) } else { String::new() };
    format!("{title}: {steps}{back}{probes}").replace("step backs", "steps back")
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The YAML files below `folder`, by name; not in hidden folders, build output, the folder of the runs, or folders below with a project file of
/// their own: those are other projects.
fn search(folder: &Path, skip: &Path) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            // Links to folders are not followed: they can lead in a circle.
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kind.is_dir() {
                if depth < MAX_DEPTH
                    && !path.join(FILE_NAME).exists()
                    && !name.starts_with('.')
                    && name != "target"
                    && super::files::absolute(&path) != super::files::absolute(skip)
                {
                    open.push((path, depth + 1));
                }
            } else if (name.ends_with(".yaml") || name.ends_with(".yml")) && found.len() < MAX_FILES {
                found.push((path, false));
            }
        }
    }
    found.sort();
    found
}
