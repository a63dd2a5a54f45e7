//! What holds for every row of the tables.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{action, actions, probe, probes};
use crate::engine::parameters::{self, Purpose, Stated};

/// `provider.service.verb-object`, or fewer parts.
fn is_word(word: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    word.split('.').count() <= 3 && word.split('.').all(part)
}

#[test]
fn words_are_sorted_unique_and_well_formed() {
    let kinds: Vec<&str> = actions().iter().map(|row| row.kind).collect();
    let probe_kinds: Vec<&str> = probes().iter().map(|row| row.kind).collect();
    for kinds in [&kinds, &probe_kinds] {
        assert!(kinds.is_sorted());
        assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), kinds.len(), "{kinds:?}");
        assert!(kinds.iter().all(|kind| is_word(kind)), "{kinds:?}");
    }
    assert!(kinds.iter().all(|kind| action(kind).is_some_and(|row| row.kind == *kind)));
    assert!(probe_kinds.iter().all(|kind| probe(kind).is_some_and(|row| row.kind == *kind)));
    assert!(action("dns.shift-wieght").is_none());
}

/// Every property below `schema` that has no description.
fn undescribed(schema: &Value, root: &Value, path: &str, found: &mut Vec<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            found.push(path.clone());
        }
        undescribed(property, root, &path, found);
        undescribed(&property["items"], root, &path, found);
    }
}

#[test]
fn every_word_every_parameter_and_every_output_is_described_and_nothing_else_is_taken() {
    let mut found = Vec::new();
    let actions = actions().iter().map(|row| (row.kind, (row.schema)(), Some((row.output_schema)())));
    let probes = probes().iter().map(|row| (row.kind, (row.schema)(), None));
    for (kind, schema, output) in actions.chain(probes) {
        let schema = schema.to_value();
        if schema["description"].as_str().is_none_or(str::is_empty) {
            found.push(kind.to_owned());
        }
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{kind}");
        undescribed(&schema, &schema, kind, &mut found);
        if let Some(output) = output {
            let output = output.to_value();
            undescribed(&output, &output, &format!("{kind} output"), &mut found);
        }
    }
    assert!(found.is_empty(), "without description: {found:?}");
}

#[test]
fn every_output_has_an_example_with_all_its_fields() {
    for row in actions() {
        let schema = (row.output_schema)().to_value();
        let example = (row.output_example)();
        let names = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
        assert_eq!(names(&schema["properties"]), names(&example), "{}", row.kind);
    }
}

#[test]
fn faults_change_things_and_misspelt_parameters_are_refused() {
    for row in actions() {
        assert!(!row.fault || row.mutates, "{}", row.kind);
        let error = (row.parse)(&serde_json::json!({"no_such_parameter": 1})).err().map(|error| error.message);
        assert!(error.is_some_and(|message| message.contains("no_such_parameter") || message.contains("missing field")), "{}", row.kind);
    }
}

#[test]
fn bad_parameters_are_located() {
    let row = action("dns.shift-weight").unwrap();
    let params =
        serde_json::json!({"zone": "example.com.", "record": "shop", "to": {"aws": 100}, "stages": [{"to": {"aws": 100}}, {"to": {"aws": 10}}]});
    let error = (row.parse)(&params).err().unwrap();
    assert_eq!((error.path.as_str(), error.message.as_str()), ("stages[1].to", "the shares sum to 10, not to 100 percent"));
}

#[test]
fn undo_asks_for_a_secret_only_where_it_uses_it() {
    let secret = serde_json::json!({ "secret": "env:LIFEBOAT_NO_SUCH_VARIABLE" });
    let url = serde_json::json!("https://chat.example.com/hook");
    for (uses, with, needs) in [
        ("exec", serde_json::json!({ "command": ["/bin/true"], "env": { "TOKEN": secret } }), false),
        ("exec", serde_json::json!({ "command": ["/bin/true"], "undo": ["/bin/true"], "env": { "TOKEN": secret } }), true),
        ("http.request", serde_json::json!({ "url": url, "headers": { "authorization": secret } }), false),
        ("http.request", serde_json::json!({ "url": secret, "method": "POST" }), false),
    ] {
        let ready = |purpose| parameters::action(action(uses), Stated::intended(uses, &with), purpose);
        assert_eq!(ready(Purpose::Undo).is_err(), needs, "{uses} {with}");
        assert!(ready(Purpose::Do).is_err(), "to do it, it is needed");
    }
}
