//! The JSON Schema of the file kinds in one document, with the parameters of every action and probe from the tables.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::words::Words;
use crate::lab::world::file::WorldFile;
use crate::model::guard::FreezesFile;
use crate::model::project::ProjectFile;
use crate::model::runbook::RunbookFile;
use crate::model::scenario::ScenarioFile;

/// The name under which a value that may be an expression is defined.
const EXPRESSION: &str = "Expression";

/// The schema: a file is a scenario, a runbook, a world of the lab, a freeze calendar or a project file.
#[must_use]
pub fn schema<W: Send + Sync>(words: Words<W>) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let scenario = reference::<ScenarioFile>(&mut generator);
    let runbook = reference::<RunbookFile>(&mut generator);
    let world = reference::<WorldFile>(&mut generator);
    let freezes = reference::<FreezesFile>(&mut generator);
    let project = reference::<ProjectFile>(&mut generator);
    let mut definitions: Map<String, Value> = generator.take_definitions(true).into_iter().collect();

    let steps = words.actions.iter().filter(|row| !row.fault).map(|row| (row.kind, (row.schema)()));
    let faults = words.actions.iter().filter(|row| row.fault).map(|row| (row.kind, (row.schema)()));
    let probes = words.probes.iter().map(|row| (row.kind, (row.schema)()));
    for (holder, rows) in [("StepFile", steps.collect::<Vec<_>>()), ("FaultFile", faults.collect()), ("ProbeFile", probes.collect())] {
        let by_word = parameters(rows, &mut definitions);
        if let Some(holder) = definitions.get_mut(holder).and_then(Value::as_object_mut) {
            choose_by_word(holder, &by_word);
        }
    }
    definitions.insert(
        EXPRESSION.to_owned(),
        json!({ "type": "string", "pattern": "\\$\\{\\{", "description": "`${{ … }}`, an expression over env, vars, parameters, steps.ID.output and item." }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lifeboat",
        "description": "A scenario, a runbook, a world of the lab, a freeze calendar or the project file lifeboat.yaml.",
        "if": { "required": ["kind"] },
        "then": { "oneOf": [scenario, runbook, world] },
        "else": { "if": { "required": ["freezes"] }, "then": freezes, "else": project },
        "$defs": definitions,
    })
}

fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// Moves the schemas of parameters under `$defs`; gives for each word where it is.
fn parameters(rows: Vec<(&'static str, schemars::Schema)>, definitions: &mut Map<String, Value>) -> BTreeMap<&'static str, String> {
    let mut by_word = BTreeMap::new();
    for (word, schema) in rows {
        let mut schema = schema.to_value();
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            let inner =
                object.remove("$defs").and_then(|inner| if let Value::Object(inner) = inner { Some(inner) } else { None }).unwrap_or_default();
            // Two words may use one name for two things: definitions are kept apart by word.
            for (name, mut inner) in inner {
                rename(&mut inner, word);
                open_values(&mut inner);
                definitions.insert(format!("{word}:{name}"), inner);
            }
        }
        rename(&mut schema, word);
        open_values(&mut schema);
        definitions.insert(word.to_owned(), schema);
        by_word.insert(word, format!("#/$defs/{word}"));
    }
    by_word
}

/// Points references to definitions at those of `word`.
fn rename(schema: &mut Value, word: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/$defs/{word}:{name}");
            }
            object.values_mut().for_each(|value| rename(value, word));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, word)),
        _ => {}
    }
}

/// Lets every value inside parameters be an expression, too.
fn open_values(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(fields)) = object.get_mut(key) {
            fields.values_mut().for_each(open);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(field @ Value::Object(_)) = object.get_mut(key) {
            open(field);
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(choices)) = object.get_mut(key) {
            choices.iter_mut().for_each(open_values);
        }
    }
}

fn open(schema: &mut Value) {
    open_values(schema);
    let mut inner = std::mem::take(schema);
    let mut outer = Map::new();
    if let Some(object) = inner.as_object_mut() {
        for key in ["title", "description", "default"] {
            if let Some(value) = object.remove(key) {
                outer.insert(key.to_owned(), value);
            }
        }
    }
    outer.insert("anyOf".to_owned(), json!([inner, { "$ref": format!("#/$defs/{EXPRESSION}") }]));
    *schema = Value::Object(outer);
}

/// In a holder of `uses` and `with`: which words there are, and what `with` is for each.
fn choose_by_word(holder: &mut Map<String, Value>, by_word: &BTreeMap<&str, String>) {
    let cases = by_word.iter().map(|(word, target)| {
        json!({
            "if": { "properties": { "uses": { "const": word } }, "required": ["uses"] },
            "then": { "properties": { "with": { "$ref": target } } },
        })
    });
    let cases: Vec<Value> = cases.collect();
    holder.insert("allOf".to_owned(), Value::Array(cases));
    if let Some(uses) = holder.get_mut("properties").and_then(|properties| properties.get_mut("uses")).and_then(Value::as_object_mut) {
        uses.insert("type".to_owned(), Value::from("string"));
        uses.insert("enum".to_owned(), by_word.keys().map(|word| Value::from(*word)).collect());
    }
}
