//! Finds and reads the project file, and makes of an environment what expressions see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::addresses;
use super::files::{Files, Loaded, absolute, folder_of, load_whole_blocks, normal};
use super::guards::{Calendar, written};
use super::sshsig::PublicKey;
use super::world_file::{self, OwnWorld};
use crate::journal::Trust;
use crate::lab::serve;
use crate::lab::world::file::Blueprint;
use crate::model::call::Cloud;
use crate::model::credentials::{is_place, literals};
use crate::model::decode::decode;
use crate::model::diagnostic::{Diagnostic, Source, suggest};
use crate::model::expression;
use crate::model::guard::Guards;
use crate::model::ids::is_name;
use crate::model::project::{EnvironmentFile, EnvironmentKind, ProjectFile};
use crate::model::yaml::{self, Document, Node, Seg, way};

/// The name of the project file.
pub const FILE_NAME: &str = "lifeboat.yaml";
/// The name of the environment that is there without being written.
pub const LAB: &str = "lab";

/// How a hint begins that there is no project file.
pub(crate) const NO_PROJECT: &str = "no lifeboat.yaml";

/// A project: where it is and what its file says.
#[derive(Debug)]
pub struct Project {
    /// The folder of the project file, or where the search began when there is none.
    pub root: PathBuf,
    /// What the file says; the defaults when there is none.
    pub settings: ProjectFile,
    pub(crate) loaded: Option<Rc<Loaded>>,
    /// The freeze calendars, by environment.
    calendars: BTreeMap<String, Calendar>,
    /// The worlds of labs that have one of their own, by environment.
    worlds: BTreeMap<String, OwnWorld>,
    /// What is wrong with environments, by name: whoever runs elsewhere is not kept by it.
    broken: BTreeMap<String, Vec<Diagnostic>>,
}

/// Finds `lifeboat.yaml` in `start` or a folder above it, else beside `file` or above that, and reads it.
///
/// # Errors
/// Everything that is wrong with the file outside its environments. What is wrong with an environment is told by whoever asks for it. That there is no
/// file is no error: the lab needs none.
pub fn load_project(start: &Path, file: Option<&Path>) -> Result<Project, Vec<Diagnostic>> {
    let start = absolute(start);
    match project_file(&start, file) {
        Some(file) => read_project(&file),
        None => Ok(Project::bare(start)),
    }
}

/// Reads this project file, as [`load_project`] does.
///
/// # Errors
/// As [`load_project`].
pub fn read_project(file: &Path) -> Result<Project, Vec<Diagnostic>> {
    let mut files = Files::default();
    let whole = files.load_named(file, folder_of(file)).map_err(|error| vec![error.of(file)])?;
    beside_broken(&mut files, whole, |_, _| false)
}

/// As [`load_project`], for what must be done on the worst night: what is wrong outside of the environment that is asked for keeps nobody, whether it is
/// in another environment, outside of all of them or no YAML at all. It is left out, and comes as the second value.
///
/// # Errors
/// When nothing can be made of the file.
pub fn load_project_in_need(start: &Path, file: Option<&Path>) -> Result<(Project, Vec<Diagnostic>), Vec<Diagnostic>> {
    let start = absolute(start);
    let Some(file) = project_file(&start, file) else { return Ok((Project::bare(start), Vec::new())) };
    let (whole, wrong) = load_whole_blocks(&file).map_err(|error| vec![error.of(&file)])?;
    let mut left_out: Vec<Diagnostic> = wrong.into_iter().collect();
    let project = beside_broken(&mut Files::default(), Rc::new(whole), |doc, problem| {
        left_out.push(problem.clone());
        cut_out(doc, problem)
    })?;
    Ok((project, left_out))
}

/// Takes what a problem is about out of the file: a key at the margin, or a single shared probe. False when there is nothing to be taken out.
fn cut_out(doc: &mut Document, problem: &Diagnostic) -> bool {
    let holds = |(key, node): &(yaml::Key, Node)| (key.at.start..node.at.end.max(key.at.end)).contains(&problem.at.start);
    if problem.source.name != doc.source.name {
        return false;
    }
    let yaml::Kind::Map(keys) = &mut doc.root.kind else { return false };
    let Some(at) = keys.iter().position(holds).filter(|at| keys[*at].0.text != "lifeboat") else { return false };
    if let (true, yaml::Kind::Map(probes)) = (keys[at].0.text == "probes", &mut keys[at].1.kind)
        && let Some(probe) = probes.iter().position(holds)
    {
        probes.remove(probe);
    } else {
        keys.remove(at);
    }
    true
}

/// The folder of a project whose file nothing can be made of, and the folder of its runs if that is where it is unsaid.
#[must_use]
pub fn usual_reports(start: &Path) -> (PathBuf, PathBuf) {
    let start = absolute(start);
    let root = project_file(&start, None).and_then(|file| file.parent().map(Path::to_owned)).unwrap_or(start);
    let reports = root.join(ProjectFile::default().reports);
    (root, reports)
}

fn project_file(start: &Path, file: Option<&Path>) -> Option<PathBuf> {
    let above = |folder: &Path| folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file());
    above(start).or_else(|| above(absolute(file?).parent()?))
}

/// The project of a file, with what is wrong with its environments told by whoever asks for them; `leave_out` may take out what is wrong with the rest.
fn beside_broken(
    files: &mut Files,
    mut whole: Rc<Loaded>,
    mut leave_out: impl FnMut(&mut Document, &Diagnostic) -> bool,
) -> Result<Project, Vec<Diagnostic>> {
    let mut broken: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    // What does not even have the form of an environment is told before what is wrong beyond that.
    loop {
        let mut doc = whole.doc.clone();
        if let Some(Node { kind: yaml::Kind::Map(environments), .. }) = doc.root.get_mut(&way!["environments"]) {
            environments.retain(|(name, _)| !broken.contains_key(&name.text));
        }
        let rest = Rc::new(Loaded { path: whole.path.clone(), doc, sha256: whole.sha256.clone() });
        let problems = match project_of(files, &rest) {
            Ok(project) => return Ok(Project { loaded: Some(whole), broken, ..project }),
            Err(problems) => problems,
        };
        for problem in &problems {
            let names = environments_of(&rest.doc, problem);
            if names.is_empty() {
                let mut doc = whole.doc.clone();
                if !leave_out(&mut doc, problem) {
                    return Err(problems);
                }
                whole = Rc::new(Loaded { path: whole.path.clone(), doc, sha256: whole.sha256.clone() });
                break;
            }
            for name in names {
                broken.entry(name).or_default().push(problem.clone());
            }
        }
    }
}

/// The environments that a problem is about: the one it stands in, or those whose freeze calendar or world it is in; none = it is the whole file's.
fn environments_of(doc: &Document, problem: &Diagnostic) -> Vec<String> {
    let Some(Node { kind: yaml::Kind::Map(environments), .. }) = doc.root.get(&way!["environments"]) else { return Vec::new() };
    let is_in = |(key, node): &&(yaml::Key, Node)| {
        if problem.source.name == doc.source.name {
            return (key.at.start..node.at.end.max(key.at.end)).contains(&problem.at.start);
        }
        let is_named = |way: &[Seg]| {
            let path = node.get(way).map(Node::to_json);
            let file = path.as_ref().and_then(Value::as_str).and_then(|path| Path::new(path).file_name());
            file.is_some() && file == Path::new(&problem.source.name).file_name()
        };
        is_named(&way!["guards", "freeze"]) || is_named(&way!["world"])
    };
    environments.iter().filter(is_in).map(|(key, _)| key.text.clone()).collect()
}

/// The project file among these, of which nothing may be wrong.
pub(crate) fn project_in(files: &mut Files, file: &Path) -> Result<Project, Vec<Diagnostic>> {
    let loaded = files.load_named(file, folder_of(file)).map_err(|error| vec![error.of(file)])?;
    project_of(files, &loaded)
}

fn project_of(files: &mut Files, loaded: &Rc<Loaded>) -> Result<Project, Vec<Diagnostic>> {
    let settings: ProjectFile = decode(&loaded.doc)?;
    let (calendars, mut problems) = written::read(loaded, &settings, files);
    problems.extend(addresses::check(loaded, &settings));
    let (worlds, wrong) = world_file::read_all(loaded, &settings, files);
    problems.extend(wrong);
    if settings.zone.parse::<chrono_tz::Tz>().is_err() {
        let message = format!("`{}` is not a time zone", settings.zone);
        problems.push(loaded.doc.problem(&way!["zone"], message).hint("write its IANA name, such as Asia/Shanghai or UTC"));
    }
    for (name, environment) in &settings.environments {
        if !is_name(name) {
            problems.push(bad_id(loaded.doc.key_problem(&way!["environments", name], format!("`{name}` cannot be the name of an environment"))));
        }
        if environment.lab.is_some() && environment.kind != EnvironmentKind::Lab {
            problems.push(
                loaded
                    .doc
                    .key_problem(&way!["environments", name, "lab"], "only an environment of `kind: lab` has settings of the lab")
                    .hint("add `kind: lab`, or remove `lab`"),
            );
        }
        for (key, value) in &environment.vars {
            for path in literals(key, value) {
                problems.push(literal_problem(&loaded.doc, &[&way!["environments", name, "vars", key][..], &path].concat()));
            }
        }
        for (approver, key) in &environment.approvers {
            if let Err(why) = PublicKey::read(key) {
                let problem = loaded.doc.problem(&way!["environments", name, "approvers", approver], format!("this is no key: {why}"));
                problems.push(problem.hint("`ssh-keygen -t ed25519` makes one; its line is in the file that ends in `.pub`"));
            }
            let twice = |(other, line): (&String, &String)| other < approver && PublicKey::read(line) == PublicKey::read(key);
            if environment.approvers.iter().any(twice) {
                let problem = loaded.doc.problem(&way!["environments", name, "approvers", approver], "this key is another approver's already");
                problems.push(problem.hint("each approver has a key of their own: one key is one person's word"));
            }
        }
        if let Some(place) = environment.marks.as_ref().map(|marks| &marks.key.secret).filter(|place| !is_place(place)) {
            // It may be the key itself, which is not shown.
            let length = place.chars().count();
            let problem =
                loaded.doc.problem(&way!["environments", name, "marks", "key", "secret"], format!("these {length} characters say no place of a key"));
            problems.push(problem.hint("write \"env:NAME\" or \"file:PATH\": the key itself does not stand in a definition"));
        }
        for (number, rule) in environment.lab.iter().flat_map(|lab| &lab.faults).enumerate() {
            if let Some((message, hint)) = rule.problem() {
                problems.push(loaded.doc.problem(&way!["environments", name, "lab", "faults", number], message).hint(hint));
            }
        }
    }
    // The calendar's own problems come after those of the file that names it.
    problems.sort_by_key(|problem| (problem.source.name != loaded.doc.source.name, problem.at.start));
    let root = absolute(&normal(loaded.path.parent().unwrap_or(Path::new("."))));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Project { root, settings, loaded: Some(loaded.clone()), calendars, worlds, broken: BTreeMap::new() })
}

impl Project {
    /// A project without a file.
    #[must_use]
    pub fn bare(root: PathBuf) -> Self {
        Self { root, settings: ProjectFile::default(), loaded: None, calendars: BTreeMap::new(), worlds: BTreeMap::new(), broken: BTreeMap::new() }
    }

    /// The environment called `name`.
    ///
    /// # Errors
    /// With the environments that there are, at the place where it would be written; or everything that is wrong with it.
    pub fn environment(&self, name: &str) -> Result<EnvironmentFile, Vec<Diagnostic>> {
        if let Some(problems) = self.broken.get(name) {
            return Err(problems.clone());
        }
        if let Some(environment) = self.settings.environments.get(name) {
            return Ok(environment.clone());
        }
        if name == LAB {
            return Ok(EnvironmentFile { kind: EnvironmentKind::Lab, ..EnvironmentFile::default() });
        }
        let mut known: Vec<&str> = self.settings.environments.keys().chain(self.broken.keys()).map(String::as_str).collect();
        if !known.contains(&LAB) {
            known.insert(0, LAB);
        }
        let message = format!("there is no environment `{name}`");
        let problem = match &self.loaded {
            Some(loaded) => loaded.doc.key_problem(&way!["environments"], message),
            None => Diagnostic::new(&Source::new(FILE_NAME, ""), 0..0, message + "; there is no project file"),
        };
        Err(vec![problem.maybe_hint(suggest(name, known, "environments"))])
    }

    /// Whether there is an environment called `name`, right or wrong.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        name == LAB || self.settings.environments.contains_key(name) || self.broken.contains_key(name)
    }

    /// The guards of the environment called `name`, with their calendar; `None` = none are written.
    #[must_use]
    pub fn guards(&self, name: &str) -> Option<Guards> {
        let file = self.settings.environments.get(name)?.guards.clone()?;
        let freezes = self.calendars.get(name).map(|calendar| calendar.freezes.clone()).unwrap_or_default();
        Some(Guards { file, freezes })
    }

    /// Whose signatures count as approvals in the environment called `name`.
    #[must_use]
    pub fn approvers(&self, name: &str) -> BTreeMap<String, String> {
        self.settings.environments.get(name).map(|environment| environment.approvers.clone()).unwrap_or_default()
    }

    /// The world of the lab that the environment called `name` is; the shop where it says nothing of it.
    #[must_use]
    pub fn world(&self, name: &str) -> Arc<Blueprint> {
        self.worlds.get(name).map_or_else(Blueprint::shop, |world| Arc::clone(&world.blueprint))
    }

    /// The variables that the lab of the environment called `name` brings along, before one runs; none where it is no lab.
    #[must_use]
    pub fn lab_vars(&self, name: &str) -> Map<String, Value> {
        let is_lab = self.settings.environments.get(name).map_or(name == LAB, |environment| environment.kind == EnvironmentKind::Lab);
        if is_lab { serve::vars(&self.world(name), None) } else { Map::new() }
    }

    /// The files beside the scenario's own that decide about a run in `name`: the project file, its freeze calendar, and the world of its lab.
    pub(crate) fn deciding(&self, name: &str) -> impl Iterator<Item = &Loaded> + use<'_> {
        let calendar = self.calendars.get(name).and_then(|calendar| calendar.file.as_deref());
        let world = self.worlds.get(name).map(|world| &*world.file);
        self.loaded.as_deref().into_iter().chain(calendar).chain(world)
    }

    /// Whose runs the commands of this project work with: the caller's own, and those of the groups that its environments name.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let groups = self.settings.environments.iter().filter_map(|(name, environment)| Some((name, environment.group.as_deref()?)));
        Trust::with_groups(groups.filter_map(|(name, group)| Some((name.clone(), group_id(group)?))))
    }

    /// The folder of the runs.
    #[must_use]
    pub fn reports(&self) -> PathBuf {
        normal(&self.root.join(&self.settings.reports))
    }

    /// What expressions see as `env` and `vars`: the environment's own, with `vars` laid over them.
    ///
    /// # Errors
    /// When the environment does not exist or an expression in its variables fails.
    pub fn scope(&self, name: &str, vars: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Diagnostic>> {
        let environment = self.environment(name)?;
        let env = env_value(name, &environment, &self.world(name));
        let only_env = json!({ "env": env });
        let mut problems = Vec::new();
        let mut all = Map::new();
        for (key, value) in &environment.vars {
            match expression::resolve(value, &only_env) {
                Ok(value) => {
                    all.insert(key.clone(), value);
                }
                Err(error) => {
                    if let Some(loaded) = &self.loaded {
                        problems.push(loaded.doc.problem(&way!["environments", name, "vars", key], error.message).maybe_hint(error.hint));
                    }
                }
            }
        }
        all.extend(vars.clone());
        if problems.is_empty() { Ok(Map::from_iter([("env".to_owned(), env), ("vars".to_owned(), Value::Object(all))])) } else { Err(problems) }
    }
}

/// The id of a group of the system, by its name or number; `None` when this machine does not know it.
fn group_id(group: &str) -> Option<u32> {
    if let Ok(id) = group.parse() {
        return Some(id);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// The accounts and regions of the lab's world, for expressions.
fn lab_defaults(world: &Blueprint) -> Value {
    let side = |cloud: Cloud| json!({ "region": world.regions(cloud).first(), "account": world.account(cloud) });
    json!({ "aws": side(Cloud::Aws), "aliyun": side(Cloud::Aliyun) })
}

fn env_value(name: &str, environment: &EnvironmentFile, world: &Blueprint) -> Value {
    let mut env = match environment.kind {
        EnvironmentKind::Lab => lab_defaults(world),
        EnvironmentKind::Cloud => json!({}),
    };
    env["name"] = Value::from(name);
    env["kind"] = serde_json::to_value(environment.kind).unwrap_or_default();
    let sides = [
        ("aws", serde_json::to_value(&environment.aws)),
        ("aliyun", serde_json::to_value(&environment.aliyun)),
        ("dns", serde_json::to_value(&environment.dns)),
    ];
    for (side, value) in sides {
        let Ok(Value::Object(settings)) = value else { continue };
        match &mut env[side] {
            Value::Object(defaults) => defaults.extend(settings),
            other => *other = Value::Object(settings),
        }
    }
    env
}

/// The problem of a credential that stands at `path`, with the credential made unreadable: definitions are kept with every run.
pub(crate) fn literal_problem(doc: &Document, path: &[Seg]) -> Diagnostic {
    let problem = doc.problem(path, "this looks like a secret; definitions are kept with every run, so a secret is said by reference only");
    let (text, hidden) = (&problem.source.text, doc.value_at(path));
    let (before, after) = (text.get(..hidden.start).unwrap_or(""), text.get(hidden.end..).unwrap_or(""));
    let source = Source::new(problem.source.name.clone(), format!("{before}***{after}"));
    Diagnostic { source, at: problem.at.start..problem.at.start + 3, ..problem }
        .hint("write `{ secret: env:NAME }` or `{ secret: file:PATH }` in its place")
}

/// The hint of every name that [`is_name`] refuses.
pub(crate) fn bad_id(problem: Diagnostic) -> Diagnostic {
    problem.hint("small letters, digits, `-` and `_`, beginning with a letter, at most 64")
}
