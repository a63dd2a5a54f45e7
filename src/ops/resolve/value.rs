//! Values with expressions in them: what is known now is evaluated; what only a run will know is checked for what it refers to.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::output::Output;
use super::{Resolver, Site};
use crate::model::credentials::{is_place, is_reference, literals};
use crate::model::diagnostic::{Diagnostic, Source, suggest};
use crate::model::expression::{ExprError, Expression, Reference, Step, literal};
use crate::model::yaml::{Key, Kind, Node, Seg};
use crate::ops::project::literal_problem;

/// What expressions may use at one place of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// Values of `parameters`.
    pub parameters: Map<String, Value>,
    /// Parameters that nobody has said: their values are examples.
    pub open: BTreeSet<String>,
    /// The steps of this runbook; `None` where steps and items make no sense.
    pub steps: Option<Steps>,
    /// What goes before the ids of this runbook's steps in the plan; not empty in an included runbook.
    pub prefix: String,
    /// What `item` is: `None` outside a `for_each`.
    pub item: Option<Item>,
}

/// The steps of a runbook as an expression in one of them sees them.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    /// The id of the step the expression is in.
    pub here: String,
    /// What each step gives.
    pub outputs: Rc<BTreeMap<String, Output>>,
    /// What each step of its file needs. The needs have no circle.
    pub needs: Rc<BTreeMap<String, Vec<String>>>,
}

impl Steps {
    /// Whether a step is done before, and so can be used: it, or the step that stands for its runbook, is needed, directly or not. What is near is looked at first;
    /// most steps use what comes right before them.
    fn is_before(&self, id: &str) -> bool {
        let wanted = id.split('/').next().unwrap_or(id);
        let needs = |id: &str| self.needs.get(id).into_iter().flatten().map(String::as_str);
        let mut open: VecDeque<&str> = needs(&self.here).collect();
        let mut seen: HashSet<&str> = open.iter().copied().collect();
        while let Some(need) = open.pop_front() {
            if need == wanted {
                return true;
            }
            open.extend(needs(need).filter(|need| seen.insert(*need)));
        }
        false
    }
}

/// An item of a `for_each`.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// One of those written.
    Known(Value),
    /// Made of outputs.
    Unknown,
}

/// A value, evaluated as far as it can be.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    /// For the plan: what only a run can know is still an expression.
    pub plan: Value,
    /// For checks: there, examples of the right types stand in.
    pub check: Value,
    /// Where examples stand in, relative to the value; with whether the example has the right type.
    pub examples: Vec<(Vec<Seg>, bool)>,
    /// Whether something in it was refused already, so that nothing more should be said about it.
    pub is_refused: bool,
}

impl Evaluated {
    /// Whether what is at `path` is an example or holds or is in one; `Some(true)` when its type can be relied on.
    pub(super) fn example(&self, path: &[Seg]) -> Option<bool> {
        self.examples.iter().find(|(example, _)| example.starts_with(path) || path.starts_with(example)).map(|(_, typed)| *typed)
    }

    /// The parameters of `base` with these in the place of those of the same name.
    pub(super) fn over(&self, base: &Self) -> Self {
        let merged = |base: &Value, own: &Value| {
            let mut all = base.as_object().cloned().unwrap_or_default();
            all.extend(own.as_object().cloned().unwrap_or_default());
            Value::Object(all)
        };
        let is_replaced = |path: &[Seg]| matches!(path.first(), Some(Seg::Key(key)) if self.check.get(key.as_str()).is_some());
        let examples = base.examples.iter().filter(|(path, _)| !is_replaced(path)).chain(&self.examples).cloned().collect();
        Self {
            plan: merged(&base.plan, &self.plan),
            check: merged(&base.check, &self.check),
            examples,
            is_refused: base.is_refused || self.is_refused,
        }
    }
}

impl<W: Send + Sync> Resolver<'_, W> {
    /// Evaluates the value at `site`; problems are said at their places and leave `null` behind.
    pub(super) fn evaluate(&mut self, site: &Site, scope: &Scope) -> Evaluated {
        let mut examples = Vec::new();
        let known = self.known(scope);
        let Some(node) = site.file.doc.root.get(&site.path).cloned() else {
            return Evaluated { plan: Value::Null, check: Value::Null, examples, is_refused: false };
        };
        let before = self.problems.len();
        let (plan, check) = self.walk(&node, site, &mut Vec::new(), scope, &known, &mut examples);
        for path in literals("", &plan) {
            // A reference that is none was told where it stands.
            if !plan_at(&plan, &path).is_some_and(is_reference) {
                self.say(literal_problem(&site.file.doc, &site.under(&path).path));
            }
        }
        Evaluated { plan, check, examples, is_refused: self.problems.len() > before }
    }

    /// The value of every name that is known now.
    fn known(&self, scope: &Scope) -> Value {
        let mut known = self.scope.clone();
        known.insert("parameters".to_owned(), Value::Object(scope.parameters.clone()));
        Value::Object(known)
    }

    fn walk(
        &mut self,
        node: &Node,
        site: &Site,
        way: &mut Vec<Seg>,
        scope: &Scope,
        known: &Value,
        examples: &mut Vec<(Vec<Seg>, bool)>,
    ) -> (Value, Value) {
        match &node.kind {
            Kind::Text(text) if text.contains("${{") => self.text(text, &site.under(way), way, scope, known, examples),
            Kind::List(items) => {
                let mut both = (Vec::new(), Vec::new());
                for (index, item) in items.iter().enumerate() {
                    way.push(Seg::Index(index));
                    let (plan, check) = self.walk(item, site, way, scope, known, examples);
                    way.pop();
                    both.0.push(plan);
                    both.1.push(check);
                }
                (Value::Array(both.0), Value::Array(both.1))
            }
            Kind::Map(entries) => {
                if is_secret(entries) {
                    self.check_secret(entries, &site.under(way));
                    // A run reads the secret just before it is used, and gives it as a text.
                    examples.push((way.clone(), false));
                    return (node.to_json(), Value::from("x"));
                }
                let mut both = (Map::new(), Map::new());
                for (key, value) in entries {
                    way.push(Seg::Key(key.text.clone()));
                    let (plan, check) = self.walk(value, site, way, scope, known, examples);
                    way.pop();
                    both.0.insert(key.text.clone(), plan);
                    both.1.insert(key.text.clone(), check);
                }
                (Value::Object(both.0), Value::Object(both.1))
            }
            _ => (node.to_json(), node.to_json()),
        }
    }

    fn text(&mut self, text: &str, site: &Site, way: &[Seg], scope: &Scope, known: &Value, examples: &mut Vec<(Vec<Seg>, bool)>) -> (Value, Value) {
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(error) => return self.fails(site, error, way, examples),
        };
        if let Err(error) = check_references(&expression, scope) {
            return self.fails(site, error, way, examples);
        }
        if !expression.is_dynamic() {
            let is_open = is_open(&expression, scope);
            return match expression.evaluate(known) {
                Ok(value) => {
                    if is_open {
                        examples.push((way.to_vec(), true));
                    }
                    let check = stand_ins(&value, way, examples);
                    (value, check)
                }
                // An operation may not work on an example.
                Err(_) if is_open => self.unknown(text, way, examples),
                Err(error) => self.fails(site, error, way, examples),
            };
        }
        let plan = Value::String(in_plan(&expression, scope));
        match expression.evaluate(&with_examples(known, scope, &expression)) {
            Ok(check) => {
                examples.push((way.to_vec(), is_typed(&expression, scope)));
                (plan, check)
            }
            Err(error) => {
                // What does not depend on the run must be right now.
                if expression
                    .references()
                    .any(|reference| !reference.is_dynamic() && error.at == reference.at && !is_open_reference(reference, scope))
                {
                    return self.fails(site, error, way, examples);
                }
                examples.push((way.to_vec(), false));
                (plan, Value::Null)
            }
        }
    }

    fn unknown(&self, text: &str, way: &[Seg], examples: &mut Vec<(Vec<Seg>, bool)>) -> (Value, Value) {
        examples.push((way.to_vec(), false));
        (Value::from(text), Value::Null)
    }

    fn fails(&mut self, site: &Site, error: ExprError, way: &[Seg], examples: &mut Vec<(Vec<Seg>, bool)>) -> (Value, Value) {
        self.say(located(site, error));
        examples.push((way.to_vec(), false));
        (Value::Null, Value::Null)
    }

    /// The condition at `site`, as the plan holds it.
    pub(super) fn condition(&mut self, site: &Site, scope: &Scope) -> Option<String> {
        let node = site.file.doc.root.get(&site.path)?.clone();
        let text = match &node.kind {
            Kind::Null => return None,
            Kind::Bool(value) => return Some(value.to_string()),
            Kind::Text(text) => text.clone(),
            _ => {
                self.say(
                    site.problem(format!("expected a condition, found {}", node.describe())).hint("write something like `vars.name == 'value'`"),
                );
                return None;
            }
        };
        let expression = match Expression::parse_condition(&text).and_then(|expression| check_references(&expression, scope).map(|()| expression)) {
            Ok(expression) => expression,
            Err(error) => {
                self.say(located(site, error));
                return None;
            }
        };
        let known = self.known(scope);
        if expression.is_dynamic() || is_open(&expression, scope) {
            let bad_name = expression.evaluate(&with_examples(&known, scope, &expression)).err().filter(|error| {
                expression.references().any(|reference| !reference.is_dynamic() && reference.at == error.at && !is_open_reference(reference, scope))
            });
            if let Some(error) = bad_name {
                self.say(located(site, error));
            }
        } else {
            match expression.evaluate(&known) {
                Ok(Value::Bool(_)) => {}
                Ok(other) => {
                    let found = crate::model::expression::describe(&other);
                    self.say(site.problem(format!("a condition is true or false; this is {found}")).hint("compare it with something: `… == …`"));
                }
                Err(error) => self.say(located(site, error)),
            }
        }
        Some(expression.rewrite_condition(|reference| renamed(reference, scope)))
    }

    /// `{ secret: … }` is a reference, never a value.
    fn check_secret(&mut self, entries: &[(Key, Node)], site: &Site) {
        let [(_, value)] = entries else { return };
        let fits = matches!(&value.kind, Kind::Text(text) if is_place(text));
        if !fits {
            // What stands there may be the secret itself: it is not shown.
            let problem = site
                .under(&[Seg::from("secret")])
                .key_problem("a secret is said by reference only")
                .hint("write `secret: env:NAME` or `secret: file:PATH`");
            self.say(masked(problem, &value.at));
        }
    }
}

/// `value` as it is checked: a run puts secrets in the place of references.
fn stand_ins(value: &Value, way: &[Seg], examples: &mut Vec<(Vec<Seg>, bool)>) -> Value {
    let under = |seg: Seg| [way, &[seg]].concat();
    match value {
        reference if is_reference(reference) => {
            examples.push((way.to_vec(), false));
            Value::from("x")
        }
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), stand_ins(value, &under(Seg::Key(key.clone())), examples))).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| stand_ins(value, &under(Seg::Index(index)), examples)).collect(),
        other => other.clone(),
    }
}

fn plan_at<'a>(value: &'a Value, path: &[Seg]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, seg| match seg {
        Seg::Key(key) => value.get(key),
        Seg::Index(index) => value.get(index),
    })
}

fn is_secret(entries: &[(Key, Node)]) -> bool {
    matches!(entries, [(key, _)] if key.text == "secret")
}

/// The problem with what is at `hidden`, which comes after its place, made unreadable.
fn masked(problem: Diagnostic, hidden: &Range<usize>) -> Diagnostic {
    let text = &problem.source.text;
    let (before, after) = (text.get(..hidden.start).unwrap_or(""), text.get(hidden.end..).unwrap_or(""));
    let source = Source::new(problem.source.name.clone(), format!("{before}***{after}"));
    Diagnostic { source, ..problem }
}

/// An expression's error at its place in the scalar at `site`.
pub(super) fn located(site: &Site, error: ExprError) -> Diagnostic {
    site.inside(error.at, error.message).maybe_hint(error.hint)
}

/// Whether everything an expression refers to can be used where it stands. What is known now is left to the evaluation.
fn check_references(expression: &Expression, scope: &Scope) -> Result<(), ExprError> {
    let refuse = |reference: &Reference, message: String, hint: Option<String>| Err(ExprError { message, at: reference.at.clone(), hint });
    for reference in expression.references().filter(|reference| reference.is_dynamic()) {
        let Some(steps) = &scope.steps else {
            return refuse(
                reference,
                format!("`{}` cannot be used here", reference.root),
                Some("only steps of a runbook see outputs of steps".to_owned()),
            );
        };
        if reference.root == "item" {
            if scope.item.is_none() {
                return refuse(
                    reference,
                    "`item` is only there in a step with `for_each`".to_owned(),
                    Some("add `for_each:` with a list to the step".to_owned()),
                );
            }
            continue;
        }
        let Some(id) = reference.step() else {
            return refuse(reference, "this names no step".to_owned(), Some("write `steps.ID.output` and a field of it".to_owned()));
        };
        let Some(output) = steps.outputs.get(id) else {
            return refuse(reference, format!("there is no step `{id}`"), suggest(id, steps.outputs.keys().map(String::as_str), "steps here"));
        };
        if id == steps.here {
            return refuse(reference, format!("the step `{id}` cannot use its own output"), Some("use that of a step it needs".to_owned()));
        }
        if !steps.is_before(id) {
            let outer = id.split('/').next().unwrap_or(id);
            return refuse(reference, format!("the step `{id}` is not done before this one"), Some(format!("add `needs: [{outer}]`")));
        }
        match reference.path.get(1) {
            Some(Step::Name(name)) if name == "output" => {
                output.check(&reference.path[2..]).map_err(|(message, hint)| ExprError {
                    message: format!("`steps.{id}.output` {message}"),
                    at: reference.at.clone(),
                    hint,
                })?;
            }
            Some(Step::Name(name)) => return refuse(reference, format!("a step has no `{name}`"), Some(format!("write `steps.{id}.output.{name}`"))),
            _ => return refuse(reference, "a step is not a value".to_owned(), Some(format!("write `steps.{id}.output` and a field of it"))),
        }
    }
    Ok(())
}

fn is_open_reference(reference: &Reference, scope: &Scope) -> bool {
    reference.root == "parameters" && reference.path.first().is_none_or(|step| matches!(step, Step::Name(name) if scope.open.contains(name)))
}

fn is_open(expression: &Expression, scope: &Scope) -> bool {
    !scope.open.is_empty() && expression.references().any(|reference| is_open_reference(reference, scope))
}

/// Whether the type of what the expression comes to is known.
fn is_typed(expression: &Expression, scope: &Scope) -> bool {
    expression.references().all(|reference| match (reference.root.as_str(), reference.step()) {
        ("item", _) => matches!(scope.item, Some(Item::Known(_))),
        ("steps", Some(id)) => scope
            .steps
            .as_ref()
            .and_then(|steps| steps.outputs.get(id))
            .is_some_and(|output| output.is_typed(reference.path.get(2..).unwrap_or_default())),
        _ => true,
    })
}

/// What is known, with examples for what is not and the expression refers to.
fn with_examples(known: &Value, scope: &Scope, expression: &Expression) -> Value {
    let mut all = known.clone();
    if let Some(steps) = &scope.steps {
        let used = expression.references().filter_map(Reference::step);
        let outputs: Map<String, Value> =
            used.filter_map(|id| Some((id.to_owned(), json!({ "output": steps.outputs.get(id)?.example() })))).collect();
        all["steps"] = Value::Object(outputs);
    }
    match &scope.item {
        Some(Item::Known(item)) => all["item"] = item.clone(),
        Some(Item::Unknown) => all["item"] = Value::Null,
        None => {}
    }
    all
}

/// The expression as the plan holds it: in an included runbook steps have longer names, and parameters are not those of the run.
fn in_plan(expression: &Expression, scope: &Scope) -> String {
    expression.rewrite(|reference| renamed(reference, scope))
}

fn renamed(reference: &Reference, scope: &Scope) -> Option<String> {
    if scope.prefix.is_empty() {
        return None;
    }
    match (reference.root.as_str(), reference.step()) {
        ("steps", Some(id)) => {
            let rest: String = reference.path[1..].iter().map(Step::to_string).collect();
            Some(format!("steps[{}]{rest}", Value::from(format!("{}{id}", scope.prefix))))
        }
        ("parameters", _) => {
            let mut value = Value::Object(scope.parameters.clone());
            for step in &reference.path {
                value = match step {
                    Step::Name(name) => value.get_mut(name)?.take(),
                    Step::Index(index) => value.get_mut(index)?.take(),
                };
            }
            Some(literal(&value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many steps in a row, of which each needs the one before it, as seen from the last.
    fn row(count: usize) -> Scope {
        let id = |number: usize| format!("s{number}");
        let needs = (0..count).map(|number| (id(number), number.checked_sub(1).map(id).into_iter().collect()));
        let outputs =
            (0..count).map(|number| (id(number), Output::once(json!({ "type": "object", "properties": { "made": { "type": "string" } } }))));
        let steps = Steps { here: id(count - 1), outputs: Rc::new(outputs.collect()), needs: Rc::new(needs.collect()) };
        Scope { steps: Some(steps), ..Scope::default() }
    }

    fn used(text: &str, scope: &Scope) -> Result<Value, String> {
        let expression = Expression::parse(text).unwrap();
        check_references(&expression, scope).map_err(|error| error.message)?;
        Ok(with_examples(&json!({}), scope, &expression)["steps"].clone())
    }

    #[test]
    fn what_an_expression_is_held_against_does_not_grow_with_the_steps_before_it() {
        for count in [10, 1000] {
            let scope = row(count);
            let before = format!("s{}", count - 2);
            let seen = used(&format!("${{{{ steps.{before}.output.made }}}}"), &scope).unwrap();
            assert_eq!(seen, json!({ before: { "output": { "made": "x" } } }), "of {count} steps");
        }
    }

    #[test]
    fn a_step_can_be_used_by_those_behind_it_however_far_and_by_no_others() {
        let scope = row(1000);
        assert!(used("${{ steps.s0.output.made }}", &scope).is_ok());
        assert_eq!(used("${{ steps.s999.output.made }}", &scope), Err("the step `s999` cannot use its own output".to_owned()));
        let mut scope = row(3);
        let steps = scope.steps.as_mut().unwrap();
        steps.here = "s1".into();
        let outputs = Rc::make_mut(&mut steps.outputs);
        for inner in ["s0/one", "s2/two"] {
            outputs.insert(inner.into(), Output::default());
        }
        assert!(used("${{ steps['s0/one'].output.x }}", &scope).is_ok(), "a step that stands for a runbook is done when all of its steps are");
        for later in ["s2", "s2/two"] {
            let said = used(&format!("${{{{ steps['{later}'].output.made }}}}"), &scope);
            assert_eq!(said, Err(format!("the step `{later}` is not done before this one")));
        }
    }
}
