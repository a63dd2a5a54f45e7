//! `actions`: the words a scenario may use, as a list, and one of them in full; all from the tables' schemas.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::words::{Words, follow};
use crate::catalogue::examples::lines;
use crate::catalogue::permissions::{Permission, permission};
use crate::model::diagnostic::suggest;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// What a step does.
    Action,
    /// What a scenario injects.
    Fault,
    /// What is read again and again.
    Probe,
}

/// A word with everything there is to know about it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The word.
    pub word: &'static str,
    /// What it is.
    pub sort: Sort,
    /// Whether it changes anything.
    pub mutates: bool,
    /// The vendor operations that it may call, by what for: `plan`, `apply`, `undo`, `marks`, or `sample` of a probe.
    pub calls: BTreeMap<&'static str, &'static [&'static str]>,
    /// What a policy has to allow for each of these operations.
    pub permissions: BTreeMap<&'static str, Permission>,
    /// JSON Schema of the parameters.
    pub parameters: Value,
    /// How it is written: a step, a fault or a probe without its name, in YAML.
    pub example: String,
    /// JSON Schema of the output; absent for probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// Every word: actions, faults, probes, each in order.
#[must_use]
pub fn entries<W: Send + Sync>(words: Words<W>) -> Vec<Entry> {
    let action = |fault: bool| {
        words.actions.iter().filter(move |row| row.fault == fault).map(move |row| Entry {
            word: row.kind,
            sort: if fault { Sort::Fault } else { Sort::Action },
            mutates: row.mutates,
            calls: called([("plan", row.calls.plan), ("apply", row.calls.apply), ("undo", row.calls.undo), ("marks", row.calls.marks)]),
            permissions: allowed(row.calls.all()),
            parameters: (row.schema)().to_value(),
            example: written(row.kind, row.example),
            output: Some((row.output_schema)().to_value()),
        })
    };
    let probes = words.probes.iter().map(|row| Entry {
        word: row.kind,
        sort: Sort::Probe,
        mutates: false,
        calls: called([("sample", row.calls)]),
        permissions: allowed(row.calls.iter().copied()),
        parameters: (row.schema)().to_value(),
        example: written(row.kind, row.example),
        output: None,
    });
    action(false).chain(action(true)).chain(probes).collect()
}

/// Those that are any.
fn called<const N: usize>(calls: [(&'static str, &'static [&'static str]); N]) -> BTreeMap<&'static str, &'static [&'static str]> {
    calls.into_iter().filter(|(_, operations)| !operations.is_empty()).collect()
}

/// The permissions of these operations.
fn allowed(operations: impl IntoIterator<Item = &'static str>) -> BTreeMap<&'static str, Permission> {
    operations.into_iter().filter_map(|operation| Some((operation, permission(operation)?))).collect()
}

fn written(word: &str, example: &'static str) -> String {
    match lines(example)[..] {
        [] => String::new(),
        [one] if one.starts_with('{') => format!("uses: {word}\nwith: {one}"),
        ref lines => format!("uses: {word}\nwith:\n  {}", lines.join("\n  ")),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The entry of `word`.
///
/// # Errors
/// That there is none, and a hint. A word may be an action and a kind of probe: both are given.
pub fn find<W: Send + Sync>(words: Words<W>, word: &str) -> Result<Vec<Entry>, (String, Option<String>)> {
    let all = entries(words);
    let known: Vec<&str> = all.iter().map(|entry| entry.word).collect();
    let hint = suggest(word, known, "known").or_else(|| Some("`lifeboat actions` lists them".to_owned()));
    let found: Vec<Entry> = all.into_iter().filter(|entry| entry.word == word).collect();
    if found.is_empty() { Err((format!("there is no action, fault or probe `{word}`"), hint)) } else { Ok(found) }
}

/// The list, one line a word.
#[must_use]
pub fn table(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.word.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (sort, title) in [(Sort::Action, "Actions, for the steps of a runbook"), (Sort::Fault, "Faults, for a scenario"), (Sort::Probe, "Probes")] {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{title}");
        for entry in entries.iter().filter(|entry| entry.sort == sort) {
            let _ = write!(text, "  {:width$}  ", entry.word);
            let mut lines = String::new();
            wrap(&mut lines, &summary(&entry.parameters), width + 4);
            text.push_str(lines.trim_start());
            if lines.trim().is_empty() {
                text.push('\n');
            }
        }
    }
    text.push_str("\n`lifeboat actions NAME` explains one.\n");
    text
}

/// Everything about one word.
#[must_use]
pub fn details(entry: &Entry) -> String {
    let mut text = String::new();
    let sort = match entry.sort {
        Sort::Action if entry.mutates => "an action",
        Sort::Action => "an action that changes nothing",
        Sort::Fault => "a fault",
        Sort::Probe => "a kind of probe",
    };
    let _ = writeln!(text, "{}: {sort}\n", entry.word);
    for (number, paragraph) in description(&entry.parameters).split("\n\n").enumerate() {
        if number > 0 {
            text.push('\n');
        }
        wrap(&mut text, paragraph, 0);
    }
    let _ = writeln!(text, "\nParameters (`with`)");
    list(&mut text, &entry.parameters, true);
    if !entry.example.is_empty() {
        let _ = writeln!(text, "\nExample\n{}", indented(&entry.example));
    }
    if let Some(output) = &entry.output {
        let _ = writeln!(text, "\nOutput (`steps.ID.output`)");
        list(&mut text, output, false);
    }
    if !entry.calls.is_empty() {
        let _ = writeln!(text, "\nCalls");
        for what in ["sample", "plan", "apply", "undo", "marks"] {
            let Some(operations) = entry.calls.get(what) else { continue };
            let mut lines = String::new();
            wrap(&mut lines, &operations.join(" "), 9);
            let _ = write!(text, "  {what:6} {}", lines.trim_start());
        }
        let _ = writeln!(text, "\nPermissions");
        let (shown, unshown): (Vec<&Permission>, Vec<&Permission>) = entry.permissions.values().partition(|permission| permission.source.is_some());
        for (of, permissions) in [("", shown), ("called as the operation, no page of the vendor's was found: ", unshown)] {
            if !permissions.is_empty() {
                let words: BTreeSet<&str> = permissions.iter().map(|permission| permission.word).collect();
                wrap(&mut text, &format!("{of}{}", words.into_iter().collect::<Vec<_>>().join(" ")), 2);
            }
        }
    }
    text
}

/// One field of parameters or of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In how many others it is.
    pub depth: usize,
    /// Its name there.
    pub name: String,
    /// Of which type it is.
    pub of: String,
    /// What holds where it is not written; absent = nothing, or it has to be.
    pub default: Option<String>,
    /// Whether it has to be written.
    pub required: bool,
    /// What it is for.
    pub purpose: String,
}

/// The fields that a schema describes, each before those inside of it.
#[must_use]
pub fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    add_fields(&mut found, schema, schema, 0);
    found
}

fn add_fields(found: &mut Vec<Field>, root: &Value, schema: &Value, depth: usize) {
    let schema = concrete(root, schema);
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.push(Field {
            depth,
            name: name.clone(),
            of: type_of(root, field),
            default: field.get("default").filter(|value| !value.is_null()).map(plain),
            required: required.contains(&name.as_str()),
            purpose: description(field).split("\n\n").next().unwrap_or("").replace('\n', " "),
        });
        let inner = concrete(root, field);
        let inner = if inner.get("items").is_some() { concrete(root, &inner["items"]) } else { inner };
        // Schemas can refer to themselves.
        if inner.get("properties").is_some() && depth < 4 {
            add_fields(found, root, inner, depth + 1);
        }
    }
}

/// Each field on a line with its type and default, its purpose below. With `wants` it is told which must be written.
fn list(text: &mut String, schema: &Value, wants: bool) {
    let found = fields(schema);
    if found.is_empty() {
        let _ = writeln!(text, "  none");
    }
    for Field { depth, name, of, default, required, purpose } in found {
        let indent = 2 + 4 * depth;
        let need = match default {
            Some(value) => format!(", default {value}"),
            None if required && wants => ", required".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(text, "{:indent$}{name}: {of}{need}", "");
        wrap(text, &purpose, indent + 4);
    }
}

/// A schema with its reference followed and `or nothing` taken off.
fn concrete<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = follow(root, schema);
    match schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one, nothing]) if nothing.get("type").is_some_and(|of| of == "null") => follow(root, one),
        _ => schema,
    }
}

fn type_of(root: &Value, schema: &Value) -> String {
    let named = schema.get("$ref").or_else(|| schema.pointer("/anyOf/0/$ref")).and_then(Value::as_str).unwrap_or("");
    if named.ends_with("/Span") {
        return "time, like 30s".to_owned();
    }
    let schema = concrete(root, schema);
    if let Some(words) = words_of(schema) {
        return words.join(" | ");
    }
    let of = match schema.get("type") {
        Some(Value::String(of)) => of.as_str(),
        Some(Value::Array(of)) => of.first().and_then(Value::as_str).unwrap_or("any value"),
        _ => match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            Some(choices) => {
                let mut all: Vec<String> = choices.iter().map(|choice| type_of(root, choice)).collect();
                all.dedup();
                return all.join(" or ");
            }
            None => "any value",
        },
    };
    match of {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => schema.get("items").map_or_else(|| "list".to_owned(), |items| format!("list of {}", type_of(root, items))),
        "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
            Some(values) => format!("map of {}", type_of(root, values)),
            None => "map".to_owned(),
        },
        other => other.to_owned(),
    }
}

/// The words of an enumeration, however the schema writes it.
fn words_of(schema: &Value) -> Option<Vec<String>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter(|word| !word.is_null()).map(plain).collect());
    }
    let choices = schema.get("oneOf")?.as_array()?;
    choices.iter().map(|choice| Some(plain(choice.get("const")?))).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a schema says of itself.
#[must_use]
pub fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or("")
}

/// The first sentence of what the word is for.
fn summary(schema: &Value) -> String {
    let text = description(schema).split("\n\n").next().unwrap_or("").replace('\n', " ");
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    text[..end].trim_end_matches('.').to_owned()
}

/// Writes `line` in 80 columns.
fn wrap(text: &mut String, line: &str, indent: usize) {
    let mut column = 0;
    for word in line.split_whitespace() {
        if column > 0 && column + 1 + word.width() > 80 {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            let _ = write!(text, "{:indent$}", "");
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.width();
    }
    text.push('\n');
}
