//! What the expressions of a step see: of everything that there is, only what they refer to. A run of many steps would else copy the outputs of all those before
//! for each.

use serde_json::{Map, Value, json};

use super::{Machine, Status, Step};
use crate::model::expression::{NamedPart, Names};
use crate::model::ids::Part;
use crate::model::plan::{StepPlan, Ungraceful};

/// What the parameters of a step refer to, and those that take their place without the source side.
pub(super) fn names_of(plan: &StepPlan) -> Names {
    let mut names = Names::default();
    names.add(&plan.with);
    if let Some(Ungraceful::With(other)) = &plan.ungraceful {
        other.values().for_each(|value| names.add(value));
    }
    names
}

/// What the condition of a step and its items refer to: looked at once, and not by each of these items.
fn names_before(plan: &StepPlan) -> Names {
    let mut names = Names::default();
    if let Some(when) = &plan.when {
        names.add_condition(when);
    }
    if let Some(each) = &plan.for_each {
        names.add(&each.items);
    }
    names
}

/// Whether a value has expressions in it.
pub(super) fn has_expressions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${{"),
        Value::Array(items) => items.iter().any(has_expressions),
        Value::Object(map) => map.values().any(has_expressions),
        _ => false,
    }
}

impl Machine {
    /// What the parameters of a step see.
    pub(super) fn scope(&self, key: &str) -> Value {
        self.steps.get(key).map_or_else(|| json!({}), |step| self.scope_of(step, &step.names))
    }

    /// What its condition and its items see.
    pub(super) fn scope_of_items(&self, key: &str) -> Value {
        self.steps.get(key).map_or_else(|| json!({}), |step| self.scope_of(step, &names_before(&step.plan)))
    }

    fn scope_of(&self, step: &Step, names: &Names) -> Value {
        let mut scope = self.scope_before(names, Some(step.part));
        if let Some(part) = names.part("steps") {
            scope.insert("steps".into(), Value::Object(self.outputs(step.part, part)));
        }
        if let Some((part, item)) = names.part("item").zip(step.item.as_ref()) {
            scope.insert("item".into(), part.of(item));
        }
        Value::Object(scope)
    }

    /// What expressions with these names see before any step has run.
    pub(super) fn scope_before(&self, names: &Names, of: Option<Part>) -> Map<String, Value> {
        let mut scope = names.seen_in(self.plan.scope.seen());
        if let (Some(part), Some(runbook)) = (names.part("parameters"), of.and_then(|part| self.plan.runbook(part))) {
            scope.insert("parameters".into(), part.of(&runbook.parameters));
        }
        scope
    }

    /// What is referred to of the outputs of the steps of a runbook that are done, by their ids.
    fn outputs(&self, of: Part, named: &NamedPart) -> Map<String, Value> {
        let is_done = |step: &&Step| step.part == of && step.item.is_none() && *step.status() == Status::Done;
        let output = |step: &Step, part: &NamedPart| match part.field("output") {
            Some(part) => json!({ "output": part.of(&step.output) }),
            None => json!({}),
        };
        match named {
            NamedPart::All => self.steps.values().filter(is_done).map(|step| (step.plan.id.clone(), output(step, named))).collect(),
            NamedPart::Fields(fields) => {
                let one = |(id, part): (&String, &NamedPart)| Some((id.clone(), output(self.steps.get(&of.key(id)).filter(is_done)?, part)));
                fields.iter().filter_map(one).collect()
            }
        }
    }
}
