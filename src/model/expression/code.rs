//! One expression: its references found and written in the evaluator's form, its places told in the words of the file.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::evaluator::{FILTERS, MAX_VALUES, NotJson, evaluator, to_json};
use super::{ExprError, ROOTS, Reference, Step, describe};
use crate::model::diagnostic::suggest;

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4096;

/// Colons in a bracket in which nothing is sliced.
const NOT_SLICED: usize = usize::MAX;

/// What stands between `${{` and `}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// As written, without blanks around it.
    source: String,
    /// Where that begins in the text that was given.
    offset: usize,
    /// With names in the form that the evaluator reads.
    readable: String,
    /// Offsets in `readable` and the offsets in `source` that they stand for, ascending.
    shifts: Vec<(usize, usize)>,
    pub(super) references: Vec<Reference>,
}

/// The length of what stands before the `}}` that closes an expression; quotes and inner braces are skipped.
pub(super) fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => at = string_end(bytes, at)?,
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The position of the quote that closes the one at `open`.
fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == bytes[open] => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl Code {
    /// Reads one expression; `offset` is where `raw` begins in the whole text.
    pub(super) fn read(raw: &str, offset: usize) -> Result<Self, ExprError> {
        let source = raw.trim();
        let offset = offset + (raw.len() - raw.trim_start().len());
        let whole = offset..offset + source.len();
        if source.is_empty() {
            return Err(ExprError::new(whole, "an empty expression").hint("write something like `vars.name` in it"));
        }
        if source.len() > MAX_LENGTH {
            return Err(ExprError::new(whole, format!("an expression of more than {MAX_LENGTH} bytes")));
        }
        let mut code = Self { source: source.to_owned(), offset, readable: String::new(), shifts: Vec::new(), references: Vec::new() };
        code.scan()?;
        code.compile()?;
        code.check_end()?;
        Ok(code)
    }

    /// Makes sure that all of it was read: what it cannot read after a text, the evaluator takes for the end, and `vars.a == 'x' && vars.b` would
    /// be only its first half. In brackets there must be more to come.
    fn check_end(&self) -> Result<(), ExprError> {
        if evaluator().compile_expression(&format!("({})", self.readable)).is_ok() {
            return Ok(());
        }
        let at = stray(&self.source).map_or_else(|| self.whole(), |at| self.offset + at.start..self.offset + at.end);
        Err(ExprError::new(at, "not an expression: this cannot be read")
            .hint("write values with operators between them, and `and`, `or`, `not` in words: `vars.name == 'text' and vars.number > 3`"))
    }

    /// Finds references and writes them in the evaluator's form.
    fn scan(&mut self) -> Result<(), ExprError> {
        let source = std::mem::take(&mut self.source);
        let bytes = source.as_bytes();
        let mut at = 0;
        let mut after_dot = false;
        // How many colons stand in each open bracket.
        let mut brackets: Vec<usize> = Vec::new();
        while at < bytes.len() {
            let start = at;
            match bytes[at] {
                b'"' | b'\'' => {
                    let end = string_end(bytes, at)
                        .ok_or_else(|| ExprError::new(self.offset + at..self.offset + source.len(), "this quote is not closed"))?;
                    at = end + 1;
                    self.copy(&source, start..at);
                }
                byte if byte.is_ascii_digit() => {
                    while at < bytes.len() && is_name(bytes[at]) {
                        at += 1;
                    }
                    self.copy(&source, start..at);
                }
                byte if is_name(byte) => {
                    while at < bytes.len() && is_name(bytes[at]) {
                        at += 1;
                    }
                    let root = &source[start..at];
                    if !after_dot && ROOTS.contains(&root) {
                        let path = self.path(&source, &mut at);
                        self.reference(root, path, start..at);
                    } else {
                        self.copy(&source, start..at);
                    }
                }
                byte => {
                    at += source[at..].chars().next().map_or(1, char::len_utf8);
                    match (byte, brackets.last_mut()) {
                        (b'[' | b'{' | b'(', _) => brackets.push(if byte == b'[' { 0 } else { NOT_SLICED }),
                        (b']' | b'}' | b')', _) => drop(brackets.pop()),
                        // The evaluator's arithmetic with a step overflows where the step is as far below zero as numbers go.
                        (b':', Some(1)) => {
                            return Err(ExprError::new(self.offset + start..self.offset + at, "a slice has no step here")
                                .hint("write only where it begins and ends: `vars.list[0:2]`"));
                        }
                        (b':', Some(colons)) => *colons += usize::from(*colons == 0),
                        _ => {}
                    }
                    self.copy(&source, start..at);
                    if !byte.is_ascii_whitespace() {
                        after_dot = byte == b'.';
                    }
                    continue;
                }
            }
            after_dot = false;
        }
        self.source = source;
        Ok(())
    }

    fn path(&self, source: &str, at: &mut usize) -> Vec<Step> {
        let bytes = source.as_bytes();
        let mut path = Vec::new();
        loop {
            if bytes.get(*at) == Some(&b'.') {
                let start = *at + 1;
                let mut end = start;
                while end < bytes.len() && (is_name(bytes[end]) || bytes[end] == b'-') {
                    end += 1;
                }
                let name = source[start..end].trim_end_matches('-');
                // `name(` is a call of something, not a way into data.
                if name.is_empty() || bytes.get(start + name.len()) == Some(&b'(') {
                    return path;
                }
                *at = start + name.len();
                path.push(name.parse().map_or_else(|_| Step::Name(name.to_owned()), Step::Index));
            } else if bytes.get(*at) == Some(&b'[') {
                let Some(close) = source[*at..].find(']').map(|found| *at + found) else { return path };
                let inner = source[*at + 1..close].trim();
                let step = match inner.parse() {
                    Ok(index) => Step::Index(index),
                    Err(_) => match unquote(inner) {
                        Some(name) => Step::Name(name.to_owned()),
                        None => return path,
                    },
                };
                path.push(step);
                *at = close + 1;
            } else {
                return path;
            }
        }
    }

    fn copy(&mut self, source: &str, range: Range<usize>) {
        self.shifts.push((self.readable.len(), range.start));
        self.readable.push_str(&source[range]);
    }

    fn reference(&mut self, root: &str, path: Vec<Step>, range: Range<usize>) {
        self.shifts.push((self.readable.len(), range.start));
        self.readable.push_str(root);
        for step in &path {
            match step {
                Step::Name(name) if name.bytes().all(is_name) && !name.as_bytes().first().is_some_and(u8::is_ascii_digit) => {
                    self.readable.push('.');
                    self.readable.push_str(name);
                }
                Step::Name(name) => self.readable.push_str(&format!("[{}]", Value::from(name.as_str()))),
                Step::Index(index) => self.readable.push_str(&format!("[{index}]")),
            }
        }
        self.references.push(Reference { root: root.to_owned(), path, at: self.offset + range.start..self.offset + range.end });
    }

    fn compile(&self) -> Result<minijinja::Expression<'static, 'static>, ExprError> {
        let expression = evaluator().compile_expression_owned(self.readable.clone()).map_err(|error| self.error(&error))?;
        let mut unknown: Vec<String> = expression.undeclared_variables(false).into_iter().filter(|name| !ROOTS.contains(&name.as_str())).collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            let start = self.offset + word(&self.source, name).unwrap_or(0);
            let mut error = ExprError::new(start..start + name.len(), format!("there is no `{name}` in expressions"));
            error.hint = suggest(name, ROOTS, "names here");
            return Err(error);
        }
        Ok(expression)
    }

    pub(super) fn evaluate(&self, scope: &Value) -> Result<Value, ExprError> {
        // Most expressions are one reference: no evaluator is needed, and the value stays exactly as it is.
        if let [only] = self.references.as_slice()
            && only.at.len() == self.source.len()
        {
            return only.find(scope).cloned().ok_or_else(|| only.check(scope).unwrap_or_else(|| ExprError::new(only.at.clone(), "not defined")));
        }
        let expression = self.compile()?;
        let result = expression.eval(minijinja::value::Serde(self.context(scope)));
        let value = match result {
            Ok(value) => value,
            Err(error) => return Err(self.undefined(scope).unwrap_or_else(|| self.error(&error))),
        };
        let mut budget = MAX_VALUES;
        to_json(&value, &mut budget).map_err(|why| match why {
            NotJson::Undefined => self.undefined(scope).unwrap_or_else(|| ExprError::new(self.whole(), "this comes to nothing")),
            NotJson::TooLarge => ExprError::new(self.whole(), format!("this comes to more than {MAX_VALUES} values")),
            NotJson::Other => ExprError::new(self.whole(), "this does not come to a value"),
        })
    }

    pub(super) fn as_text(&self, scope: &Value) -> Result<String, ExprError> {
        match self.evaluate(scope)? {
            Value::String(text) => Ok(text),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(value.to_string()),
            other => Err(ExprError::new(self.whole(), format!("{} cannot be put into a text", describe(&other)))
                .hint("name one of its fields, or make the expression the whole value")),
        }
    }

    /// Only what is referred to, so that a long run's outputs are not copied for every expression.
    fn context(&self, scope: &Value) -> BTreeMap<String, Value> {
        let mut context: BTreeMap<String, Value> = BTreeMap::new();
        for reference in &self.references {
            let Some(value) = scope.get(&reference.root) else { continue };
            match (reference.step(), context.get_mut("steps")) {
                (Some(id), Some(Value::Object(steps))) => {
                    value.get(id).map(|step| steps.insert(id.to_owned(), step.clone()));
                }
                (Some(id), None) => {
                    let steps = value.get(id).map(|step| (id.to_owned(), step.clone())).into_iter().collect();
                    context.insert("steps".to_owned(), Value::Object(steps));
                }
                _ => {
                    context.insert(reference.root.clone(), value.clone());
                }
            }
        }
        context
    }

    fn undefined(&self, scope: &Value) -> Option<ExprError> {
        self.references.iter().find_map(|reference| reference.check(scope))
    }

    fn whole(&self) -> Range<usize> {
        self.offset..self.offset + self.source.len()
    }

    /// The evaluator's error in our words and at our place.
    fn error(&self, error: &minijinja::Error) -> ExprError {
        let at = error.range().map_or_else(|| self.whole(), |range| self.written(range.start)..self.written(range.end.max(range.start + 1)));
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        let (message, hint) = match error.kind() {
            minijinja::ErrorKind::OutOfFuel => ("this expression takes too long".to_owned(), "make it shorter".to_owned()),
            minijinja::ErrorKind::SyntaxError => (
                format!("not an expression: {detail}"),
                "write values with operators between them: `vars.name == 'text' and vars.number > 3`".to_owned(),
            ),
            minijinja::ErrorKind::UnknownFilter => (detail, format!("filters: {}", FILTERS.join(", "))),
            minijinja::ErrorKind::UnknownTest => (detail, "tests: defined, undefined, none, string, number, in".to_owned()),
            _ => (detail, "texts are joined with `~`; `| int` makes a number of a text, `| string` a text of a number".to_owned()),
        };
        ExprError::new(at, message).hint(hint)
    }

    /// The place in the whole text of an offset in `readable`.
    fn written(&self, readable: usize) -> usize {
        let index = self.shifts.partition_point(|(from, _)| *from <= readable);
        let Some((from, to)) = index.checked_sub(1).and_then(|index| self.shifts.get(index)) else { return self.offset };
        let end = self.shifts.get(index).map_or(self.source.len(), |(_, next)| *next);
        self.offset + (to + (readable - from)).min(end)
    }

    pub(super) fn rewrite(&self, replace: &mut impl FnMut(&Reference) -> Option<String>) -> String {
        let mut text = String::new();
        let mut rest = 0;
        for reference in &self.references {
            let (start, end) = (reference.at.start - self.offset, reference.at.end - self.offset);
            if let Some(words) = replace(reference) {
                text.push_str(&self.source[rest..start]);
                text.push_str(&words);
                rest = end;
            }
        }
        text.push_str(&self.source[rest..]);
        text
    }
}

fn unquote(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(['\\', quote]))
}

/// The first character outside quotes that means nothing in expressions.
fn stray(source: &str) -> Option<Range<usize>> {
    let bytes = source.as_bytes();
    let mut at = 0;
    while let Some(character) = source[at..].chars().next() {
        if matches!(character, '"' | '\'') {
            at = string_end(bytes, at)? + 1;
            continue;
        }
        let end = at + character.len_utf8();
        if !character.is_ascii_alphanumeric() && !character.is_whitespace() && !"_+-*/%.,:~|=!<>()[]{}".contains(character) {
            return Some(at..end);
        }
        at = end;
    }
    None
}

/// Where `name` stands in `source` as a word of its own.
fn word(source: &str, name: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    source
        .match_indices(name)
        .map(|(at, _)| at)
        .find(|at| !at.checked_sub(1).is_some_and(|before| is_name(bytes[before])) && !bytes.get(at + name.len()).is_some_and(|byte| is_name(*byte)))
}
