//! The tables of actions and probes as the language sees them: which words there are, and what does not fit their parameters.

use serde_json::Value;

use crate::catalogue;
use crate::engine::action::{ActionType, ParamError};
use crate::engine::probe::ProbeType;
use crate::model::decode::number_hint;
use crate::model::diagnostic::{advice, suggest};
use crate::model::expression::describe;
use crate::model::yaml::Seg;
use crate::world::World;

/// The words a scenario may use.
pub struct Words<W: 'static> {
    /// Actions and faults.
    pub actions: &'static [ActionType<W>],
    /// Kinds of probes.
    pub probes: &'static [ProbeType<W>],
}

impl Words<World> {
    /// The words of the catalogue.
    #[must_use]
    pub fn of_catalogue() -> Self {
        Self { actions: catalogue::actions(), probes: catalogue::probes() }
    }
}

impl<W> Clone for Words<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Words<W> {}

impl<W> std::fmt::Debug for Words<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("actions", &self.actions.len()).field("probes", &self.probes.len()).finish()
    }
}

/// What a step, a fault or a probe may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A step of a runbook.
    Step,
    /// The fault of a scenario.
    Fault,
    /// A probe.
    Probe,
}

/// A word that cannot stand where it stands: why, and what to write.
pub type Refusal = (String, Option<String>);

impl<W> Words<W> {
    /// The action for a step or a fault.
    ///
    /// # Errors
    /// Why the word cannot stand there.
    pub fn action(self, word: &str, place: Place) -> Result<&'static ActionType<W>, Refusal> {
        let fault = place == Place::Fault;
        let fitting = self.actions.iter().filter(|row| row.fault == fault).map(|row| row.kind);
        match self.actions.iter().find(|row| row.kind == word) {
            Some(row) if row.fault == fault => Ok(row),
            Some(_) if fault => Err((format!("`{word}` is not a fault"), suggest("", fitting, "faults"))),
            Some(_) => Err((format!("`{word}` is a fault, not an action for a step"), Some("a fault goes under `fault:` in a scenario".to_owned()))),
            None if self.probes.iter().any(|row| row.kind == word) => Err((
                format!("`{word}` is a kind of probe, not an action"),
                Some("a probe goes under `probes:`; `wait-for` waits for one".to_owned()),
            )),
            None => {
                let what = if fault { "fault" } else { "action" };
                Err((
                    format!("unknown {what} `{word}`"),
                    suggest(word, fitting, "known").or_else(|| Some("`lifeboat actions` lists them".to_owned())),
                ))
            }
        }
    }

    /// The kind of a probe.
    ///
    /// # Errors
    /// Why the word cannot stand there.
    pub fn probe(self, word: &str) -> Result<&'static ProbeType<W>, Refusal> {
        self.probes.iter().find(|row| row.kind == word).ok_or_else(|| {
            let known = self.probes.iter().map(|row| row.kind);
            (format!("unknown kind of probe `{word}`"), suggest(word, known, "known"))
        })
    }
}

/// What is wrong with parameters, in the language's words, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadParameter {
    /// The way from the parameters to it.
    pub path: Vec<Seg>,
    /// Whether the key is wrong, not the value.
    pub on_key: bool,
    /// Whether the value is of the wrong type, so that an example of the right type cannot be the cause.
    pub is_type: bool,
    pub message: String,
    pub hint: Option<String>,
}

/// Reads what serde said about parameters.
pub(crate) fn explain(error: &ParamError, given: &Value, schema: &Value) -> BadParameter {
    let path = walk(&error.path, given);
    let message = error.message.as_str();
    let bad = |on_key: bool, message: String, hint: Option<String>| BadParameter { path: path.clone(), on_key, is_type: false, message, hint };
    if let Some(rest) = message.strip_prefix("missing field ") {
        let name = rest.split('`').nth(1).unwrap_or(rest);
        return bad(true, format!("the parameter `{name}` is missing"), purpose(schema, &path, name));
    }
    if let Some((name, known)) = expected_words(message, "unknown field ") {
        let problem = bad(true, format!("unknown parameter `{name}`"), suggest(name, known.iter().copied(), "parameters here"));
        // The way leads to the key where the reader of the parameters is strict about keys; else to what holds it.
        let path = if matches!(problem.path.last(), Some(Seg::Key(last)) if last == name) {
            problem.path
        } else {
            [problem.path.as_slice(), &[Seg::from(name)]].concat()
        };
        return BadParameter { path, ..problem };
    }
    if let Some((name, known)) = expected_words(message, "unknown variant ") {
        return bad(false, format!("unknown word `{name}`"), suggest(name, known.iter().copied(), "words here"));
    }
    let typed = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((_, expected)) = typed.and_then(|rest| rest.rsplit_once(", expected ")) {
        let found = at(given, &path).map_or_else(|| "something else".to_owned(), describe);
        let expected = match expected {
            "a string" | "string" => "a text",
            "a boolean" => "true or false",
            "a sequence" => "a list",
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
            "i8" | "i16" | "i32" | "i64" => "a whole number",
            "f32" | "f64" => "a number",
            other if other.starts_with("struct ") => "a map",
            other => other,
        };
        let hint = match at(given, &path) {
            Some(Value::Number(number)) if expected == "a text" => Some(number_hint(&number.to_string())),
            Some(Value::String(_)) if expected == "a list" => Some("write it in brackets".to_owned()),
            Some(Value::String(_)) if expected.contains("number") => Some("write the number without quotes".to_owned()),
            _ => None,
        };
        return BadParameter { is_type: true, ..bad(false, format!("expected {expected}, found {found}"), hint) };
    }
    let (message, hint) = advice(message);
    bad(false, message.to_owned(), hint.map(str::to_owned))
}

/// ``unknown field `x`, expected one of `a`, `b` `` taken apart.
fn expected_words<'a>(message: &'a str, prefix: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let mut words = message.strip_prefix(prefix)?.split('`').skip(1).step_by(2);
    Some((words.next()?, words.collect()))
}

/// The way that serde's path describes, as far as it can be followed in what was given. Keys may hold dots.
fn walk(path: &str, given: &Value) -> Vec<Seg> {
    let (mut rest, mut value, mut way) = (path, given, Vec::new());
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        match value {
            Value::Object(map) => {
                let ends = |key: &String| rest.strip_prefix(key.as_str()).filter(|after| after.is_empty() || after.starts_with(['.', '[']));
                let Some((key, next)) = map.iter().filter(|(key, _)| ends(key).is_some()).max_by_key(|(key, _)| key.len()) else { return way };
                rest = ends(key).unwrap_or("");
                way.push(Seg::from(key));
                value = next;
            }
            Value::Array(items) => {
                let Some((number, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) else { return way };
                let Some((index, next)) = number.parse().ok().and_then(|index: usize| Some((index, items.get(index)?))) else { return way };
                rest = after;
                way.push(Seg::Index(index));
                value = next;
            }
            _ => return way,
        }
    }
}

fn at<'a>(value: &'a Value, path: &[Seg]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, seg| match seg {
        Seg::Key(key) => value.get(key),
        Seg::Index(index) => value.get(index),
    })
}

/// What the schema says a missing parameter is for.
fn purpose(schema: &Value, path: &[Seg], name: &str) -> Option<String> {
    let mut here = schema;
    for seg in path {
        here = follow(schema, here);
        here = match seg {
            Seg::Key(key) => here.get("properties")?.get(key)?,
            Seg::Index(_) => here.get("items")?,
        };
    }
    let text = follow(schema, here).get("properties")?.get(name)?.get("description")?.as_str()?;
    let first = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    Some(format!("`{name}`: {}", first.trim_end_matches('.')))
}

/// A schema with its `$ref` followed.
pub(crate) fn follow<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..16 {
        let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) else { return schema };
        match root.pointer(target) {
            Some(next) => schema = next,
            None => return schema,
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(path: &str, message: &str, given: &Value) -> String {
        let bad = explain(&ParamError { path: path.to_owned(), message: message.to_owned() }, given, &json!({}));
        format!("{:?} {} {:?}", bad.path, bad.message, bad.hint)
    }

    #[test]
    fn what_serde_says_becomes_words_of_the_language() {
        let given = json!({"instances": {"tags": {"a.b": 5}}, "list": [1, "x"], "zne": 1});
        assert_eq!(
            told("instances.tags.a.b", "invalid type: integer `5`, expected a string", &given),
            r#"[Key("instances"), Key("tags"), Key("a.b")] expected a text, found the number 5 Some("write \"5\" in quotes, or with its unit if it is a time, like 5s")"#
        );
        assert_eq!(
            told("list[1]", "invalid type: string \"x\", expected u32", &given),
            r#"[Key("list"), Index(1)] expected a whole number of 0 or more, found the text `x` Some("write the number without quotes")"#
        );
        assert_eq!(
            told("zne", "unknown field `zne`, expected one of `zone`, `record`", &given),
            r#"[Key("zne")] unknown parameter `zne` Some("did you mean `zone`?")"#
        );
        assert_eq!(told("", "missing field `zone`", &given), "[] the parameter `zone` is missing None");
    }
}
