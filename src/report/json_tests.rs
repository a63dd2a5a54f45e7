//! What must hold for the report that programs read.

use serde_json::{Value, json};

use super::document::{Block, Inline, Layout, Line};
use super::tests::{HEAD, runs};
use super::*;
use crate::model::event::samples;
use crate::model::measure::Measured;

fn of(events: &[Event]) -> Value {
    serde_json::from_str(&Report::of(events, HEAD).json()).unwrap()
}

#[test]
fn the_report_of_a_sample_run_as_json() {
    insta::assert_snapshot!("shifted.json", Report::of(&samples::shifted(), HEAD).json());
}

#[test]
fn the_schema_of_reports() {
    insta::assert_snapshot!("schema", serde_json::to_string_pretty(&schema()).unwrap());
}

#[test]
fn every_report_is_as_the_schema_says() {
    let schema = schema();
    let others = [("steered", samples::steered()), ("put back by others", samples::put_back_by_others()), ("nothing", Vec::new())];
    for (name, events) in runs().into_iter().chain(others) {
        for end in (0..events.len()).step_by(9).chain([events.len()]) {
            let report = of(&events[..end]);
            if let Err(why) = check(&schema, &schema, &report) {
                panic!("{name}, {end} events: {why}");
            }
        }
    }
    let mut report = of(&samples::success());
    report["opening"][0]["facts"][0]["value"]["values"][0] = json!({"weather": "fine"});
    assert!(check(&schema, &schema, &report).is_err(), "the check refuses what the schema does not know");
    report = of(&samples::success());
    report["format"] = json!("2.0");
    assert!(check(&schema, &schema, &report).is_err());
}

/// The part of JSON Schema that the schema uses; any other keyword is a mistake of this test.
fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(rules) = schema.as_object() else { return Ok(()) };
    let wrong = |what: &str| Err(format!("{what}: {value} is not as {schema} says"));
    let one_of = |choices: &Value| choices.as_array().unwrap().iter().filter(|choice| check(root, choice, value).is_ok()).count();
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "format" | "$defs" => {}
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).expect("references lead somewhere");
                check(root, target, value)?;
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                if !rule.as_array().map_or_else(|| is(rule), |kinds| kinds.iter().any(is)) {
                    return wrong("type");
                }
            }
            "const" if rule != value => return wrong("const"),
            "const" => {}
            "minimum" if value.as_f64() < rule.as_f64() => return wrong("minimum"),
            "minimum" => {}
            "pattern" if !regex_lite::Regex::new(rule.as_str().unwrap()).unwrap().is_match(value.as_str().unwrap()) => return wrong("pattern"),
            "pattern" => {}
            "required" if rule.as_array().unwrap().iter().any(|name| value.get(name.as_str().unwrap()).is_none()) => return wrong("required"),
            "required" => {}
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    value.get(name).map_or(Ok(()), |value| check(root, rule, value))?;
                }
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| !known.is_some_and(|known| known.contains_key(*name)))
                {
                    if rule == &json!(false) {
                        return wrong(&format!("additional {name}"));
                    }
                    check(root, rule, value)?;
                }
            }
            "items" => value.as_array().into_iter().flatten().try_for_each(|value| check(root, rule, value))?,
            "oneOf" if one_of(rule) != 1 => return wrong("oneOf"),
            "oneOf" => {}
            "anyOf" if one_of(rule) == 0 => return wrong("anyOf"),
            "anyOf" => {}
            other => panic!("this test does not know the keyword {other}"),
        }
    }
    Ok(())
}

#[test]
fn programs_get_values_and_not_only_words() {
    let report = of(&samples::success());
    let fact = |id: &str| {
        let facts = report["opening"][0]["facts"].as_array().unwrap();
        facts.iter().find(|fact| fact["id"] == id).unwrap_or_else(|| panic!("no {id}"))["value"].clone()
    };
    assert_eq!(fact("verdict")["values"], json!([{"word": "pass"}]));
    assert_eq!(fact("run")["values"][0]["id"], report["run"]);
    assert_eq!(fact("when")["values"], json!([{"time": "2026-11-22T23:27:11.000000000Z"}, {"time": "2026-11-22T23:27:46.000000000Z"}]));
    let results = &report["sections"][0];
    assert_eq!((results["id"].as_str(), results["title"]["zh"].as_str()), (Some("results"), Some("目标达成情况")));
    let criteria = results["blocks"].as_array().unwrap().iter().find(|block| block["id"] == "criteria").unwrap();
    let rto = &criteria["rows"][0];
    let state = RunState::from_events(&samples::success()).unwrap();
    let Measured::Known(measured) = Measures::of(&state).outages["storefront"].duration() else { panic!("restored") };
    let [lo, hi] = measured.millis();
    assert_eq!(rto["measured"]["values"][0], json!({"length_ms": {"likely": 13_000, "lo": lo, "hi": hi}}), "{rto}");
    assert_eq!(rto["target"]["values"], json!([{"length_ms": {"likely": 60_000, "lo": 60_000, "hi": 60_000}}]));
    assert_eq!(rto["result"]["values"], json!([{"word": "met"}]));
    assert_eq!(rto["measured"]["fields"], json!(["metric.rto"]));
    assert!(report["fields"].as_array().unwrap().contains(&json!("metric.rto")));
}

/// What a line says in any language: its values, in whatever order.
fn values(line: &Line) -> Vec<String> {
    fn gather(pieces: &[Inline], into: &mut Vec<String>) {
        for piece in pieces {
            match piece {
                Inline::Code(id) => into.push(id.clone()),
                Inline::Shown(_, Some(value)) => into.push(format!("{value:?}")),
                Inline::Strong(pieces) => gather(pieces, into),
                Inline::Fixed(_) | Inline::Literal(_) | Inline::Text(_) | Inline::Shown(_, None) | Inline::Break => {}
            }
        }
    }
    let mut values = Vec::new();
    gather(&line.pieces, &mut values);
    values.sort();
    values
}

/// The form of a block and the values of each of its lines.
fn shape(block: &Block) -> (String, Vec<Vec<String>>) {
    match block {
        Block::Paragraph(line) => ("paragraph".to_owned(), vec![values(line)]),
        Block::Lead(line) => ("lead".to_owned(), vec![values(line)]),
        Block::Note(line) => ("note".to_owned(), vec![values(line)]),
        Block::List(items) => ("list".to_owned(), items.iter().map(values).collect()),
        Block::Facts(facts) => {
            let ids: Vec<&str> = facts.rows.iter().map(|fact| fact.id).collect();
            // Reasons are sentences of their own in each language; some quote in one what they name in the other.
            let told = facts.rows.iter().filter(|fact| fact.id != "why");
            (format!("{} {ids:?} {}", facts.id, facts.layout == Layout::Rows), told.map(|fact| values(&fact.value)).collect())
        }
        Block::Table(table) => {
            let ids: Vec<&str> = table.columns.iter().map(|column| column.id).collect();
            (format!("{} {ids:?}", table.id), table.rows.iter().flatten().map(values).collect())
        }
        Block::Figure(figure) => (figure.name.to_owned(), Vec::new()),
        Block::Code(lines) => (format!("{} lines", lines.len()), Vec::new()),
    }
}

#[test]
fn both_languages_have_the_same_blocks_with_the_same_values() {
    let others = [("steered", samples::steered()), ("put back by others", samples::put_back_by_others())];
    for (name, events) in runs().into_iter().chain(others) {
        for end in 1..=events.len() {
            let Report { en, zh } = Report::of(&events[..end], HEAD);
            let of = |document: &Document| document.blocks().map(shape).collect::<Vec<_>>();
            assert_eq!(of(&en), of(&zh), "{name}, {end} events");
        }
    }
}
