//! Located tree to typed structs: every error of serde is told at the key or value it is about, and all of a file's errors are told at once.

use std::fmt;
use std::ops::Range;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor, value::StringDeserializer};

use super::diagnostic::{Diagnostic, advice, nearest, suggest};
use super::yaml::{Document, Key, Kind, Node, Seg};

/// More than this many problems of one file help nobody.
const MAX_PROBLEMS: usize = 20;

/// Reads a document into `T`.
///
/// # Errors
/// Everything that does not fit, in the order of the file: what was refused is taken out and the rest is read again.
pub fn decode<T: DeserializeOwned>(doc: &Document) -> Result<T, Vec<Diagnostic>> {
    match T::deserialize(At(&doc.root)) {
        Ok(value) => Ok(value),
        Err(first) => Err(all_problems::<T>(doc, first)),
    }
}

fn all_problems<T: DeserializeOwned>(doc: &Document, first: Problem) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut rest = doc.root.clone();
    // Keys that are accounted for: taken out for their own problem, or meant by a misspelt one.
    let mut settled: Vec<Vec<Seg>> = Vec::new();
    let mut next = Some(first);
    for _ in 0..10 * MAX_PROBLEMS {
        let Some(mut problem) = next.take() else { break };
        problem.path.reverse();
        let mut out = problem.path.clone();
        match problem.reason {
            Reason::Missing(key) => {
                let missing = [problem.path.as_slice(), &[Seg::from(key)]].concat();
                if !settled.contains(&missing) {
                    problems.push(problem.tell(doc));
                }
            }
            Reason::UnknownKey(ref key, known) => {
                problems.push(problem.tell(doc));
                if let (Some(meant), Some((_, parents))) = (nearest(key, known.iter().copied()), out.split_last()) {
                    settled.push([parents, &[Seg::from(meant)]].concat());
                }
            }
            _ => problems.push(problem.tell(doc)),
        }
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
        while !out.is_empty() && !remove(&mut rest, &out) {
            out.pop();
        }
        if out.is_empty() {
            break;
        }
        settled.push(out);
        next = T::deserialize(At(&rest)).err();
    }
    problems.sort_by_key(|problem| problem.at.start);
    problems
}

/// What stands in a list for an item that was taken out, so that the others keep their numbers.
const HOLE: Range<usize> = usize::MAX..usize::MAX;

/// Takes the value at `path` out; `false` where there is none.
fn remove(root: &mut Node, path: &[Seg]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut node = root;
    for seg in parents {
        let next = match (&mut node.kind, seg) {
            (Kind::Map(entries), Seg::Key(key)) => entries.iter_mut().find(|(found, _)| found.text == *key).map(|(_, value)| value),
            (Kind::List(items), Seg::Index(index)) => items.get_mut(*index),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => return false,
        }
    }
    match (&mut node.kind, last) {
        (Kind::Map(entries), Seg::Key(last)) => {
            let before = entries.len();
            entries.retain(|(key, _)| key.text != *last);
            entries.len() < before
        }
        (Kind::List(items), Seg::Index(index)) => match items.get_mut(*index) {
            Some(item) if item.at != HOLE => {
                *item = Node { at: HOLE, kind: Kind::Null };
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// An error of serde with the way to what it is about, innermost step first.
#[derive(Debug)]
struct Problem {
    path: Vec<Seg>,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Message(String),
    UnknownKey(String, &'static [&'static str]),
    UnknownWord(String, &'static [&'static str]),
    Missing(&'static str),
    Type(String),
}

impl Problem {
    fn new(reason: Reason) -> Self {
        Self { path: Vec::new(), reason }
    }

    fn under(mut self, seg: Seg) -> Self {
        self.path.push(seg);
        self
    }

    fn tell(&self, doc: &Document) -> Diagnostic {
        let path = &self.path;
        match &self.reason {
            Reason::Message(message) => {
                let (message, hint) = advice(message);
                doc.problem(path, message).maybe_hint(hint.map(str::to_owned))
            }
            Reason::UnknownKey(key, known) => {
                doc.key_problem(path, format!("unknown key `{key}`")).maybe_hint(suggest(key, known.iter().copied(), "keys here"))
            }
            Reason::UnknownWord(word, known) => {
                doc.problem(path, format!("unknown word `{word}`")).maybe_hint(suggest(word, known.iter().copied(), "words here"))
            }
            Reason::Missing(key) => doc.key_problem(path, format!("the key `{key}` is missing")).hint(missing_hint(path, key)),
            Reason::Type(expected) => wrong_type(doc, path, expected),
        }
    }
}

fn missing_hint(path: &[Seg], key: &str) -> String {
    match path.iter().rev().find_map(|seg| if let Seg::Key(key) = seg { Some(key) } else { None }) {
        Some(parent) => format!("add `{key}:` under `{parent}`"),
        None => format!("add `{key}:` at the top of the file"),
    }
}

/// `expected …, found …`, with the hint that most often helps.
fn wrong_type(doc: &Document, path: &[Seg], expected: &str) -> Diagnostic {
    let node = doc.root.get(path);
    let found = node.map_or_else(|| "something else".to_owned(), Node::describe);
    let expected = match expected {
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" | "a struct" => "a map",
        "u32" | "u64" => "a whole number of 0 or more",
        other if other.starts_with("struct ") => "a map",
        other => other,
    };
    let problem = doc.problem(path, format!("expected {expected}, found {found}"));
    match node.map(|node| &node.kind) {
        Some(Kind::Number(number)) if expected == "a text" => problem.hint(number_hint(&number.to_string())),
        Some(Kind::Bool(value)) if expected == "a text" => problem.hint(format!("write \"{value}\" in quotes")),
        Some(Kind::Text(_)) if expected == "a list" => problem.hint("write it in brackets, or one item a line with `- ` before it"),
        Some(Kind::Text(_)) if expected.contains("number") => problem.hint("write the number without quotes"),
        Some(Kind::Null) => problem.hint("give it a value, or remove the key"),
        _ if expected == "true or false" => problem.hint("write true or false, without quotes"),
        _ if expected == "a text" => problem.hint("write one text here"),
        _ if expected == "a map" => problem.hint("write keys with values here"),
        _ => problem.hint("`lifeboat schema` says what can stand here"),
    }
}

/// What to write in place of a number where a text is expected.
pub fn number_hint(number: &str) -> String {
    if number.len() <= 5 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("write \"{number}\" in quotes, or with its unit if it is a time, like {number}s");
    }
    format!("write it in quotes: \"{number}\"")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only reached when something wraps the error's text; the text of serde is good enough then.
        match &self.reason {
            Reason::Message(message) => f.write_str(message),
            Reason::UnknownKey(key, _) => write!(f, "unknown key `{key}`"),
            Reason::UnknownWord(word, _) => write!(f, "unknown word `{word}`"),
            Reason::Missing(key) => write!(f, "the key `{key}` is missing"),
            Reason::Type(expected) => write!(f, "expected {expected}"),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Reason::Message(message.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Reason::Type(expected.to_string()))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Reason::Type(expected.to_string()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey(field.to_owned(), expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownWord(variant.to_owned(), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::Missing(field))
    }
}

/// A node being read.
struct At<'a>(&'a Node);

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.0.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), ..) => visitor.visit_u64(whole),
                (None, Some(whole), _) => visitor.visit_i64(whole),
                (None, None, float) => visitor.visit_f64(float.unwrap_or(0.0)),
            },
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Kind::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        match &self.0.kind {
            Kind::Text(text) => visitor.visit_enum(IntoDeserializer::<Problem>::into_deserializer(text.as_str())),
            _ => Err(Problem::new(Reason::Type("a word".to_owned()))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        while self.items.get(self.next).is_some_and(|item| item.at == HOLE) {
            self.next += 1;
        }
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(At(item)).map(Some).map_err(|problem| problem.under(Seg::Index(index)))
    }
}

struct Entries<'a> {
    entries: &'a [(Key, Node)],
    next: usize,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let text: StringDeserializer<Problem> = key.text.clone().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|problem| problem.under(Seg::Key(key.text.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some((key, value)) = self.entries.get(self.next) else { return Err(de::Error::custom("a value without a key")) };
        self.next += 1;
        seed.deserialize(At(value)).map_err(|problem| problem.under(Seg::Key(key.text.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::model::diagnostic::Source;
    use crate::model::time::Span;
    use crate::model::yaml::parse;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        every: Span,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        id: u32,
        word: Option<Word>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Good,
        Bad,
    }

    fn read(text: &str) -> Result<Outer, Vec<String>> {
        let doc = parse(&Source::new("t", text)).unwrap();
        decode(&doc)
            .map_err(|problems| problems.into_iter().map(|problem| format!("{problem} ({})", problem.hint.as_deref().unwrap_or_default())).collect())
    }

    #[test]
    fn what_fits_is_read() {
        let outer = read("name: a\nevery: 5s\nlist: [{id: 1, word: good}]\nmap: {x: {id: 2}}\n").unwrap();
        assert_eq!(outer.list, [Inner { id: 1, word: Some(Word::Good) }]);
        assert_eq!(outer.map["x"], Inner { id: 2, word: None });
    }

    #[test]
    fn every_problem_is_told_at_its_place() {
        let problems = read("nme: 5\nevery: 90\nlist:\n  - {id: one}\n  - {id: 1, word: god}\nmap:\n  x: {idd: 1}\n  y: {}\n").unwrap_err();
        assert_eq!(
            problems,
            [
                "t:1:1: unknown key `nme` (did you mean `name`?)",
                "t:2:8: expected a text, found the number 90 (write \"90\" in quotes, or with its unit if it is a time, like 90s)",
                "t:4:10: expected a whole number of 0 or more, found the text `one` (write the number without quotes)",
                "t:5:19: unknown word `god` (did you mean `good`?)",
                "t:7:7: unknown key `idd` (did you mean `id`?)",
                "t:8:3: the key `id` is missing (add `id:` under `y`)",
            ]
        );
    }
}
