//! Runbooks: parameters, steps, and the steps of included runbooks in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::output::Output;
use super::value::{Evaluated, Item, Scope, Steps};
use super::{Resolver, Site, Unsaid};
use crate::engine::secrets::SHOWN;
use crate::model::credentials::{has_reference, is_reference, literals};
use crate::model::decode::decode;
use crate::model::diagnostic::{Diagnostic, suggest};
use crate::model::format::{Format, TOOL};
use crate::model::plan::{ForEach, Plan, Retry, RunbookPlan, Source, StepPlan, Ungraceful};
use crate::model::project::EnvironmentKind;
use crate::model::realism::Realism;
use crate::model::runbook::{BackFile, RunbookFile, StepFile, TargetsFile};
use crate::model::text::Text;
use crate::model::time::Span;
use crate::model::yaml::{Node, way};
use crate::ops::environment::zones_of;
use crate::ops::files::Loaded;
use crate::ops::project::literal_problem;
use crate::ops::words::Place;

/// How many steps a plan may have, over all included runbooks.
const MAX_STEPS: usize = 30_000;
/// How deep runbooks may include each other.
const MAX_INCLUDES: usize = 16;

/// A runbook as read, with the values of its parameters.
pub(super) struct Book {
    file: Rc<Loaded>,
    written: RunbookFile,
    parameters: Map<String, Value>,
    open: BTreeSet<String>,
}

impl Book {
    /// Ids of the probes of its own.
    pub(super) fn probe_ids(&self) -> impl Iterator<Item = String> {
        self.written.probes.keys().cloned()
    }
}

/// The steps of a runbook as they come into the plan, and what they give to others.
#[derive(Default)]
struct Flat {
    steps: Vec<StepPlan>,
    /// By their ids inside the runbook.
    outputs: Rc<BTreeMap<String, Output>>,
}

/// The values of parameters as they are checked, references to secrets as they are written.
fn given_values(with: &Evaluated) -> Map<String, Value> {
    let mut values = with.check.as_object().cloned().unwrap_or_default();
    for (name, value) in with.plan.as_object().into_iter().flatten().filter(|(_, value)| is_reference(value)) {
        values.insert(name.clone(), value.clone());
    }
    values
}

impl<W: Send + Sync> Resolver<'_, W> {
    /// The plan of a runbook alone.
    pub(in crate::ops) fn runbook(mut self, path: &Path, unsaid: Unsaid) -> Result<Plan, Vec<Diagnostic>> {
        let file = self.load_first(path)?;
        if file.doc.root.get(&way!["kind"]).map(Node::to_json) == Some("scenario".into()) {
            let problem = file.doc.problem(&way!["kind"], "this file is a scenario, not a runbook");
            return Err(vec![problem.hint("`lifeboat drill FILE` runs a scenario; the runbook it names under `failover` can be executed alone")]);
        }
        let mut failover = RunbookPlan::default();
        let mut description = Text::default();
        let (mut source, mut back) = (None, None);
        if let Some(book) = self.open_book(&file, None, unsaid) {
            self.own_probes.extend(book.probe_ids());
            description = book.written.description.0.clone();
            if let Some(written) = &book.written.back {
                (source, back) = self.way_back(written, &Site::new(&file, &way!["back"]));
            }
            failover = self.plan_of(book, &path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
        }
        let probes = self.probe_plans();
        if !self.problems.is_empty() {
            return Err(self.told());
        }
        let mut plan = self.empty_plan(path);
        plan.title = failover.title.clone();
        plan.description = description;
        plan.probes = probes;
        plan.failover = failover;
        (plan.source, plan.back) = (source, back);
        Ok(plan)
    }

    /// What a runbook says about the way back.
    fn way_back(&mut self, written: &BackFile, at: &Site) -> (Option<Source>, Option<String>) {
        if !written.source.is_empty() {
            self.mention_all(&written.source, &at.under(&way!["source"]));
        }
        let source = (!written.source.is_empty()).then(|| Source { probes: written.source.clone(), timeout: Span::from_secs(120) });
        let back = written.runbook.as_deref().and_then(|name| self.runbook_elsewhere(name, &at.under(&way!["runbook"])));
        (source, back)
    }

    /// The path of the runbook that a file names, from the project's folder. It is not run here, so nothing more is asked of it.
    pub(super) fn runbook_elsewhere(&mut self, name: &str, at: &Site) -> Option<String> {
        let file = self.load_named(name, at)?;
        if file.doc.root.get(&way!["kind"]).map(crate::model::yaml::Node::to_json) != Some("runbook".into()) {
            self.say(at.problem("this file is not a runbook").hint("name a file with `kind: runbook`"));
            return None;
        }
        let path = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
        let root = self.project.root.canonicalize().unwrap_or_else(|_| self.project.root.clone());
        Some(path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned())
    }

    /// A plan with what comes from the project and the request.
    pub(super) fn empty_plan(&self, path: &Path) -> Plan {
        Plan {
            version: Format::Plan.current(),
            tool: TOOL.into(),
            name: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
            title: Text::default(),
            description: Text::default(),
            mode: self.request.mode,
            environment: self.request.environment.to_owned(),
            realism: Realism::default(),
            zone: self.project.settings.zone.clone(),
            scope: self.scope.clone().into(),
            since: self.request.since,
            objectives: BTreeMap::new(),
            controls: Vec::new(),
            probes: Vec::new(),
            steady_state: None,
            fault: None,
            detect: None,
            failover: RunbookPlan::default(),
            recovered: None,
            failback: None,
            leave: false,
            source: None,
            back: None,
            traffic: None,
            stop_conditions: Vec::new(),
            ungraceful: self.request.ungraceful,
            limits: self.request.limits,
            frozen: BTreeMap::new(),
            given: BTreeMap::new(),
            files: Vec::new(),
            approvers: self.project.approvers(self.request.environment),
            definitions: self.definitions(),
        }
    }

    /// The runbook that the map at `site` refers to with `runbook` and `with`.
    pub(super) fn referred_book(&mut self, name: &str, site: &Site, scope: &Scope) -> Option<Book> {
        let at = site.under(&way!["runbook"]);
        let file = self.load_named(name, &at)?;
        if self.stack.iter().any(|open| open.path == file.path) {
            let from = self.stack.iter().position(|open| open.path == file.path).unwrap_or(0);
            let mut names: Vec<String> = self.stack[from..].iter().map(|open| file_name(open)).collect();
            names.push(file_name(&file));
            self.say(at.problem("a runbook that includes itself").hint(names.join(" -> ")));
            return None;
        }
        if self.stack.len() > MAX_INCLUDES {
            self.say(at.problem(format!("runbooks include each other deeper than {MAX_INCLUDES} levels")).hint("include the innermost directly"));
            return None;
        }
        let with = self.evaluate(&site.under(&way!["with"]), scope);
        self.open_book(&file, Some((site, with)), Unsaid::Refused)
    }

    /// Reads a runbook and gives its parameters values: those at a site, or those of the command line.
    fn open_book(&mut self, file: &Rc<Loaded>, given: Option<(&Site, Evaluated)>, unsaid: Unsaid) -> Option<Book> {
        if let Some(other) = file.doc.root.get(&way!["kind"]).map(crate::model::yaml::Node::to_json).filter(|kind| kind != "runbook")
            && let Some((site, _)) = &given
        {
            let at = site.under(&way!["runbook"]);
            let found = other.as_str().map_or_else(|| "something else".to_owned(), |kind| format!("a {kind}"));
            self.say(at.problem(format!("this file is {found}, not a runbook")).hint("name a file with `kind: runbook`"));
            return None;
        }
        let written: RunbookFile = match decode(&file.doc) {
            Ok(written) => written,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        let root = Site::new(file, &[]);
        let mut book = Book { file: Rc::clone(file), parameters: Map::new(), open: BTreeSet::new(), written };
        let mut values = match &given {
            Some((_, with)) => given_values(with),
            None => self.request.parameters.clone(),
        };
        for (name, parameter) in &book.written.parameters {
            if let Some(default) = &parameter.default {
                for path in literals(name, default) {
                    self.say(literal_problem(&file.doc, &[&way!["parameters", name, "default"][..], &path].concat()));
                }
            }
            if let Some(default) = parameter.default.as_ref().filter(|default| !is_reference(default))
                && let Err(expected) = parameter.of.accepts(default)
            {
                let at = root.under(&way!["parameters", name, "default"]);
                self.say(
                    at.problem(format!("expected {expected}, found {}", crate::model::expression::describe(default)))
                        .hint("the default must be of the parameter's own type"),
                );
            }
            let value = match (values.remove(name), &given) {
                // A run puts a text there.
                (Some(reference), _) if is_reference(&reference) => {
                    book.parameters.insert(name.clone(), reference);
                    continue;
                }
                (Some(value), Some((site, with))) => {
                    let example = with.example(&way![name]);
                    if example.is_some() {
                        book.open.insert(name.clone());
                    }
                    if let (Err(expected), None) = (parameter.of.accepts(&value), example) {
                        let at = site.under(&way!["with", name]);
                        self.say(
                            at.problem(format!("expected {expected}, found {}", crate::model::expression::describe(&value)))
                                .hint(format!("the runbook declares `{name}` so")),
                        );
                    }
                    Some(value)
                }
                (Some(Value::String(text)), None) => Some(parameter.of.read(&text)),
                (value, _) => value,
            };
            if let (Some(value), None) = (&value, &given)
                && let Err(expected) = parameter.of.accepts(value)
            {
                let at = root.under(&way!["parameters", name]);
                self.say(
                    at.key_problem(format!("the parameter `{name}` takes {expected}; given was {}", crate::model::expression::describe(value)))
                        .hint(format!("say it with `--with {name}=VALUE`")),
                );
            }
            let value = match value.or_else(|| parameter.default.clone()) {
                Some(value) => value,
                None => {
                    book.open.insert(name.clone());
                    if unsaid == Unsaid::Refused {
                        self.missing_parameter(name, &root, given.as_ref().map(|(site, _)| *site));
                    }
                    parameter.of.example()
                }
            };
            book.parameters.insert(name.clone(), value);
        }
        for name in values.keys() {
            let known = book.written.parameters.keys().map(String::as_str);
            let problem = match &given {
                Some((site, _)) => site.under(&way!["with", name]).key_problem(format!("the runbook has no parameter `{name}`")),
                None => root.under(&way!["parameters"]).key_problem(format!("the runbook has no parameter `{name}`")),
            };
            self.say(problem.maybe_hint(suggest(name, known, "parameters")));
        }
        self.collect_probes(&book.written.probes, &root.under(&way!["probes"]), &book.parameters, &book.open);
        Some(book)
    }

    fn missing_parameter(&mut self, name: &str, root: &Site, site: Option<&Site>) {
        let message = format!("the parameter `{name}` is missing");
        let problem = match site {
            Some(site) => {
                let with = site.under(&way!["with"]);
                let at = if with.file.doc.root.get(&with.path).is_some() {
                    with.key_problem(message)
                } else {
                    site.under(&way!["runbook"]).problem(message)
                };
                at.hint(format!("write `with: {{ {name}: … }}` beside `runbook`, or give it a default in the runbook"))
            }
            None => {
                root.under(&way!["parameters", name]).key_problem(message).hint(format!("say it with `--with {name}=VALUE`, or give it a default"))
            }
        };
        self.say(problem);
    }

    /// The plan of a runbook that stands by itself or that a scenario refers to as `name`.
    pub(super) fn plan_of(&mut self, book: Book, name: &str) -> RunbookPlan {
        let flat = self.flatten(&book, "");
        RunbookPlan { file: name.to_owned(), title: book.written.title.0, parameters: Value::Object(book.parameters), steps: flat.steps }
    }

    fn flatten(&mut self, book: &Book, prefix: &str) -> Flat {
        self.stack.push(Rc::clone(&book.file));
        let flat = self.flatten_open(book, prefix);
        self.stack.pop();
        flat
    }

    fn flatten_open(&mut self, book: &Book, prefix: &str) -> Flat {
        let site = Site::new(&book.file, &way!["steps"]);
        let steps = &book.written.steps;
        self.steps += steps.len();
        if steps.is_empty() {
            self.say(site.key_problem("a runbook needs at least one step").hint("`uses: note` is the simplest"));
        }
        if self.steps > MAX_STEPS {
            self.say(site.key_problem(format!("more than {MAX_STEPS} steps")).hint("included runbooks count as often as they are included"));
            return Flat::default();
        }
        if !self.check_order(steps, &site) {
            return Flat::default();
        }
        let scope = Scope { parameters: book.parameters.clone(), open: book.open.clone(), prefix: prefix.to_owned(), ..Scope::default() };

        // Included runbooks first: what their steps give is what the others may use.
        let mut included: BTreeMap<&str, Flat> = BTreeMap::new();
        let mut outputs: BTreeMap<String, Output> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            let at = site.under(&way![index]);
            match (&step.uses, &step.runbook) {
                (Some(_), Some(_)) => {
                    self.say(at.under(&way!["runbook"]).key_problem("a step has `uses` or `runbook`, not both").hint("keep one of them"));
                }
                (None, None) => self.say(
                    at.under(&way!["id"])
                        .problem(format!("the step `{}` does nothing", step.id))
                        .hint("add `uses:` with an action, or `runbook:` with a file"),
                ),
                (None, Some(name)) => {
                    self.check_include(step, &at);
                    if let Some(inner) = self.referred_book(name, &at, &scope) {
                        let flat = self.flatten(&inner, &format!("{prefix}{}/", step.id));
                        outputs.extend(flat.outputs.iter().map(|(id, output)| (format!("{}/{id}", step.id), output.clone())));
                        included.insert(&step.id, flat);
                    }
                }
                (Some(uses), None) => {
                    let schema = self.words.action(uses, Place::Step).map_or(Value::Null, |row| Value::from((row.output_schema)()));
                    outputs.insert(step.id.clone(), if step.for_each.is_some() { Output::each(schema) } else { Output::once(schema) });
                }
            }
        }

        let outputs = Rc::new(outputs);
        let needs = Rc::new(steps.iter().map(|step| (step.id.clone(), step.needs.clone())).collect());
        let mut context = Steps { outputs: outputs.clone(), needs, ..Steps::default() };
        let mut flat = Flat { steps: Vec::new(), outputs };
        for (index, step) in steps.iter().enumerate() {
            let at = site.under(&way![index]);
            context.here.clone_from(&step.id);
            let mut scope = Scope { steps: Some(std::mem::take(&mut context)), ..scope.clone() };
            let waits = step.needs.iter().flat_map(|need| match included.get(need.as_str()) {
                Some(inner) => inner.steps.iter().map(|step| step.id.clone()).collect(),
                None => vec![format!("{prefix}{need}")],
            });
            let waits: Vec<String> = waits.collect();
            if let Some(inner) = included.get(step.id.as_str()) {
                let when = self.condition(&at.under(&way!["when"]), &scope);
                flat.steps.extend(inner.steps.iter().map(|inner| placed(inner, &waits, when.as_deref(), step.critical.unwrap_or(true))));
            } else if let Some(uses) = &step.uses {
                flat.steps.extend(self.step(step, uses, &at, waits, &mut scope));
            }
            context = scope.steps.take().unwrap_or_default();
        }
        flat
    }

    /// One step. Its problems are said; a step with problems is still given, so that others that need it are judged rightly.
    fn step(&mut self, step: &StepFile, uses: &str, at: &Site, needs: Vec<String>, scope: &mut Scope) -> Option<StepPlan> {
        let for_each = self.for_each(step, at, scope);
        let when = self.condition(&at.under(&way!["when"]), scope);
        self.check_bounds(step, at);
        let with = self.evaluate(&at.under(&way!["with"]), scope);
        match self.words.action(uses, Place::Step) {
            Ok(_) if with.is_refused => {}
            Ok(row) if let Some(name) = row.shown.iter().find(|name| with.plan.get(**name).is_some_and(has_reference)) => {
                let hint = format!("`lifeboat actions {uses}` says where it may stand");
                self.say(at.under(&way!["with", *name]).problem(SHOWN).hint(hint));
            }
            Ok(row) if self.is_misplaced(row.secrets, &with.plan, at, row.kind) => {}
            Ok(row) => match (row.parse)(&with.check) {
                Ok(_) => {
                    self.mention_parameters(&with, at);
                    self.check_zone(uses, &with, at);
                }
                Err(error) => self.say_parameter(&error, &with, &Value::from((row.schema)()), at, row.kind),
            },
            Err((message, hint)) => self.say(at.under(&way!["uses"]).problem(message).maybe_hint(hint)),
        }
        let ungraceful = self.ungraceful(step, uses, &with, at, scope);
        Some(StepPlan {
            id: format!("{}{}", scope.prefix, step.id),
            title: step.title.0.clone(),
            uses: uses.to_owned(),
            with: if with.plan.is_null() { Value::Object(Map::new()) } else { with.plan },
            needs,
            when,
            timeout: step.timeout.unwrap_or(Span::from_secs(300)),
            retry: step.retry.unwrap_or_default(),
            on_failure: step.on_failure.unwrap_or_default(),
            critical: step.critical.unwrap_or(true),
            ungraceful,
            for_each,
            fresh: step.targets == Some(TargetsFile::Fresh),
        })
    }

    /// That it is written which cloud serves the zone of a DNS step: on the night it is needed nobody may have to be asked.
    fn check_zone(&mut self, uses: &str, with: &Evaluated, at: &Site) {
        let (Some(zone), None, true) = (with.check["zone"].as_str(), with.example(&way!["zone"]), uses.starts_with("dns.")) else { return };
        let Ok(environment) = self.project.environment(self.request.environment) else { return };
        // A lab says itself which of its clouds serves which of its zones.
        if environment.kind == EnvironmentKind::Lab || (environment.aws.is_none() && environment.aliyun.is_none()) {
            return;
        }
        let written = with.check.get("provider").and_then(|provider| serde_json::from_value(provider.clone()).ok());
        if let Err(unsaid) = zones_of(self.request.environment, &environment).provider(zone, written) {
            self.say(at.under(&way!["with", "zone"]).problem(unsaid.message).hint(unsaid.hint));
        }
    }

    /// What is different once the source side is given up: its parameters are held against the action like the others.
    fn ungraceful(&mut self, step: &StepFile, uses: &str, with: &Evaluated, at: &Site, scope: &Scope) -> Option<Ungraceful> {
        let Some(Ungraceful::With(written)) = &step.ungraceful else { return step.ungraceful.clone() };
        let at = at.under(&way!["ungraceful"]);
        if written.is_empty() {
            self.say(at.under(&way!["with"]).key_problem("nothing is different").hint("write parameters that take the place of those under `with`"));
        }
        let other = self.evaluate(&at.under(&way!["with"]), scope);
        if let (Ok(row), false) = (self.words.action(uses, Place::Step), with.is_refused || other.is_refused)
            && !self.is_misplaced(row.secrets, &other.plan, &at, row.kind)
        {
            let whole = other.over(with);
            match (row.parse)(&whole.check) {
                Ok(_) => self.mention_parameters(&other, &at),
                // What is wrong with the parameters as they are was said already.
                Err(_) if (row.parse)(&with.check).is_err() => {}
                Err(error) => self.say_parameter(&error, &whole, &Value::from((row.schema)()), &at, row.kind),
            }
        }
        Some(Ungraceful::With(other.plan.as_object().cloned().unwrap_or_default()))
    }

    fn for_each(&mut self, step: &StepFile, at: &Site, scope: &mut Scope) -> Option<ForEach> {
        let concurrency = step.concurrency.unwrap_or(1);
        let site = at.under(&way!["for_each"]);
        if step.for_each.is_none() {
            if step.concurrency.is_some() {
                self.say(
                    at.under(&way!["concurrency"])
                        .key_problem("`concurrency` is for steps with `for_each`")
                        .hint("add `for_each:` with a list, or remove it"),
                );
            }
            return None;
        }
        if !(1..=64).contains(&concurrency) {
            self.say(at.under(&way!["concurrency"]).problem(format!("{concurrency} is out of range")).hint("1 to 64"));
        }
        let items = self.evaluate(&site, scope);
        scope.item = Some(match &items.check {
            Value::Array(all) if items.examples.is_empty() => all.first().cloned().map_or(Item::Unknown, Item::Known),
            _ => Item::Unknown,
        });
        let is_known = items.example(&[]).is_none_or(|typed| typed);
        if is_known && !items.check.is_array() {
            let found = crate::model::expression::describe(&items.check);
            self.say(site.problem(format!("expected a list, found {found}")).hint("write it in brackets, or an expression that gives a list"));
        }
        Some(ForEach { items: items.plan, concurrency })
    }

    fn check_bounds(&mut self, step: &StepFile, at: &Site) {
        if let Some(Retry { attempts, .. }) = step.retry
            && !(1..=100).contains(&attempts)
        {
            self.say(at.under(&way!["retry", "attempts"]).problem(format!("{attempts} attempts are out of range")).hint("1 to 100"));
        }
        if step.timeout == Some(Span::default()) {
            self.say(at.under(&way!["timeout"]).problem("no step is done in 0s").hint("write something like 30s"));
        }
    }

    /// What a step that stands for a runbook cannot have.
    fn check_include(&mut self, step: &StepFile, at: &Site) {
        let wrong = [
            ("timeout", step.timeout.is_some()),
            ("retry", step.retry.is_some()),
            ("ungraceful", step.ungraceful.is_some()),
            ("on_failure", step.on_failure.is_some()),
            ("for_each", step.for_each.is_some()),
            ("concurrency", step.concurrency.is_some()),
            ("targets", step.targets.is_some()),
        ];
        for (key, _) in wrong.into_iter().filter(|(_, is_there)| *is_there) {
            self.say(
                at.under(&way![key])
                    .key_problem(format!("a step that includes a runbook has no `{key}`"))
                    .hint("write it at the steps of that runbook"),
            );
        }
    }
}

/// A step of an included runbook where the including step stands.
fn placed(inner: &StepPlan, waits: &[String], when: Option<&str>, critical: bool) -> StepPlan {
    let mut step = inner.clone();
    if step.needs.is_empty() {
        step.needs = waits.to_vec();
    }
    step.when = match (when, step.when.take()) {
        (Some(outer), Some(inner)) => Some(format!("({outer}) and ({inner})")),
        (Some(outer), None) => Some(outer.to_owned()),
        (None, inner) => inner,
    };
    step.critical &= critical;
    step
}

fn file_name(file: &Loaded) -> String {
    file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
