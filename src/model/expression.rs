//! `${{ … }}` in values: what they refer to, and what they come to. Expressions only, no templates; bounded in time and size.
//!
//! A value that is one expression gets the expression's type; expressions between other words are put in as text. Names are what the files
//! hold, so a `-` directly after a name belongs to it (`steps.start-standby.output`); a minus between two values needs blanks around it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior, filters, tests};
use serde_json::{Map, Value};

use super::diagnostic::suggest;

/// What expressions may refer to.
pub const ROOTS: [&str; 5] = ["env", "vars", "parameters", "steps", "item"];

/// Instructions one evaluation may take.
const FUEL: u64 = 20_000;
/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4096;
/// The largest result, in values.
const MAX_VALUES: usize = 10_000;

/// An expression that cannot be read or does not come to a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// What is wrong.
    pub message: String,
    /// Byte range in the text that was given.
    pub at: Range<usize>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ExprError {
    fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), at, hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One thing an expression refers to, such as `steps.start.output.ids`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The first name, one of [`ROOTS`].
    pub root: String,
    /// The rest of the way, as far as it is written with names and numbers.
    pub path: Vec<Step>,
    /// Byte range in the text that was given.
    pub at: Range<usize>,
}

/// One step of a [`Reference`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a map.
    Name(String),
    /// Into a list.
    Index(usize),
}

impl Reference {
    /// The step id when this refers to a step.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match (self.root.as_str(), self.path.first()) {
            ("steps", Some(Step::Name(id))) => Some(id),
            _ => None,
        }
    }

    /// Whether only a run can know it.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        matches!(self.root.as_str(), "steps" | "item")
    }

    fn find<'a>(&self, scope: &'a Value) -> Option<&'a Value> {
        self.path.iter().try_fold(scope.get(&self.root)?, |value, step| match step {
            Step::Name(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }

    /// The error of a reference that leads nowhere; `None` when it leads somewhere.
    fn check(&self, scope: &Value) -> Option<ExprError> {
        let mut walked = self.root.clone();
        let Some(mut value) = scope.get(&self.root) else {
            return Some(ExprError::new(self.at.clone(), format!("there is no `{}` here", self.root)));
        };
        for step in &self.path {
            let next = match step {
                Step::Name(name) => value.get(name),
                Step::Index(index) => value.get(index),
            };
            let part = step.to_string();
            let Some(next) = next else {
                let mut error = ExprError::new(self.at.clone(), format!("`{walked}{part}` is not defined"));
                if let (Value::Object(map), Step::Name(name)) = (value, step) {
                    error.hint = suggest(name, map.keys().map(String::as_str), &format!("names under `{walked}`"));
                    if walked == "vars" && error.hint.is_none() {
                        error.hint = Some(format!("write `{name}` under `vars` of the environment, or say --set {name}=VALUE"));
                    }
                }
                return Some(error);
            };
            walked.push_str(&part);
            value = next;
        }
        None
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) => write!(f, ".{name}"),
            Self::Name(name) => write!(f, "[{}]", Value::from(name.as_str())),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.root)?;
        self.path.iter().try_for_each(|step| step.fmt(f))
    }
}

/// A text with its expressions found and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    Code(Code),
}

/// What stands between `${{` and `}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Code {
    /// As written, without blanks around it.
    source: String,
    /// Where that begins in the text that was given.
    offset: usize,
    /// With names in the form that the evaluator reads.
    readable: String,
    /// Offsets in `readable` and the offsets in `source` that they stand for, ascending.
    shifts: Vec<(usize, usize)>,
    references: Vec<Reference>,
}

impl Expression {
    /// Reads a text, with any number of `${{ … }}` in it.
    ///
    /// # Errors
    /// An expression that is not closed or not well formed, or that uses a name that does not exist.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let mut parts = Vec::new();
        let mut rest = 0;
        while let Some(found) = text[rest..].find("${{") {
            let open = rest + found;
            if open > rest {
                parts.push(Part::Words(text[rest..open].to_owned()));
            }
            let inner = open + 3;
            let Some(close) = closing(&text[inner..]).map(|length| inner + length) else {
                return Err(ExprError::new(open..open + 3, "this expression is not closed").hint("close it with `}}`; a quote inside it must be closed, too"));
            };
            parts.push(Part::Code(Code::read(&text[inner..close], inner)?));
            rest = close + 2;
        }
        if rest < text.len() || parts.is_empty() {
            parts.push(Part::Words(text[rest..].to_owned()));
        }
        Ok(Self { parts })
    }

    /// Reads a condition, which needs no `${{ }}` around it.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn parse_condition(text: &str) -> Result<Self, ExprError> {
        if text.contains("${{") {
            return Self::parse(text);
        }
        Ok(Self { parts: vec![Part::Code(Code::read(text, 0)?)] })
    }

    /// Whether there is no expression in it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.codes().next().is_none()
    }

    /// Everything it refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.codes().flat_map(|code| &code.references)
    }

    /// Whether only a run can know what it comes to.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.references().any(Reference::is_dynamic)
    }

    /// What it comes to: the expression's own type when the text is one expression, else a text.
    ///
    /// # Errors
    /// A reference that leads nowhere, an operation that does not work on its values, a result that cannot be put into a text.
    pub fn evaluate(&self, scope: &Value) -> Result<Value, ExprError> {
        match self.parts.as_slice() {
            [Part::Words(words)] => Ok(Value::String(words.clone())),
            [Part::Code(code)] => code.evaluate(scope),
            parts => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Words(words) => text.push_str(words),
                        Part::Code(code) => text.push_str(&code.as_text(scope)?),
                    }
                }
                Ok(Value::String(text))
            }
        }
    }

    /// The text again, with references put in other words where `replace` gives some.
    #[must_use]
    pub fn rewrite(&self, mut replace: impl FnMut(&Reference) -> Option<String>) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Words(words) => words.clone(),
                Part::Code(code) => format!("${{{{ {} }}}}", code.rewrite(&mut replace)),
            })
            .collect()
    }

    /// As [`Expression::rewrite`] for a condition: without `${{ }}`.
    #[must_use]
    pub fn rewrite_condition(&self, mut replace: impl FnMut(&Reference) -> Option<String>) -> String {
        match self.parts.as_slice() {
            [Part::Code(code)] => code.rewrite(&mut replace),
            _ => self.rewrite(replace),
        }
    }

    fn codes(&self) -> impl Iterator<Item = &Code> {
        self.parts.iter().filter_map(|part| if let Part::Code(code) = part { Some(code) } else { None })
    }
}

/// Evaluates every expression in `value`. For run time: `scope` holds everything.
///
/// # Errors
/// The first expression that fails.
pub fn resolve(value: &Value, scope: &Value) -> Result<Value, ExprError> {
    walk(value, &mut |text| Expression::parse(text)?.evaluate(scope))
}

/// Evaluates what does not depend on `steps` or `item`; texts that do are left as they are.
///
/// # Errors
/// The first expression that fails.
pub fn resolve_static(value: &Value, scope: &Value) -> Result<Value, ExprError> {
    walk(value, &mut |text| {
        let expression = Expression::parse(text)?;
        if expression.is_dynamic() { Ok(Value::from(text)) } else { expression.evaluate(scope) }
    })
}

/// Whether the condition `when` holds.
///
/// # Errors
/// When it cannot be evaluated or is neither true nor false.
pub fn is_true(when: &str, scope: &Value) -> Result<bool, ExprError> {
    match Expression::parse_condition(when)?.evaluate(scope)? {
        Value::Bool(value) => Ok(value),
        other => Err(ExprError::new(0..when.len(), format!("a condition is true or false; this is {}", describe(&other))).hint("compare it with something: `… == …`")),
    }
}

fn walk(value: &Value, evaluate: &mut impl FnMut(&str) -> Result<Value, ExprError>) -> Result<Value, ExprError> {
    Ok(match value {
        Value::String(text) if text.contains("${{") => evaluate(text)?,
        Value::Array(items) => Value::Array(items.iter().map(|item| walk(item, evaluate)).collect::<Result<_, _>>()?),
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| Ok((key.clone(), walk(value, evaluate)?))).collect::<Result<Map<_, _>, _>>()?),
        other => other.clone(),
    })
}

/// The length of what stands before the `}}` that closes an expression; quotes and inner braces are skipped.
fn closing(text: &str) -> Option<usize> {
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
    fn read(raw: &str, offset: usize) -> Result<Self, ExprError> {
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
        Ok(code)
    }

    /// Finds references and writes them in the evaluator's form.
    fn scan(&mut self) -> Result<(), ExprError> {
        let source = std::mem::take(&mut self.source);
        let bytes = source.as_bytes();
        let mut at = 0;
        let mut after_dot = false;
        while at < bytes.len() {
            let start = at;
            match bytes[at] {
                b'"' | b'\'' => {
                    let end = string_end(bytes, at).ok_or_else(|| ExprError::new(self.offset + at..self.offset + source.len(), "this quote is not closed"))?;
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

    fn evaluate(&self, scope: &Value) -> Result<Value, ExprError> {
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

    fn as_text(&self, scope: &Value) -> Result<String, ExprError> {
        match self.evaluate(scope)? {
            Value::String(text) => Ok(text),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(value.to_string()),
            other => Err(ExprError::new(self.whole(), format!("{} cannot be put into a text", describe(&other))).hint("name one of its fields, or make the expression the whole value")),
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
            minijinja::ErrorKind::SyntaxError => (format!("not an expression: {detail}"), "write values with operators between them: `vars.name == 'text' and vars.number > 3`".to_owned()),
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

    fn rewrite(&self, replace: &mut impl FnMut(&Reference) -> Option<String>) -> String {
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

/// `value` as an expression that gives it.
#[must_use]
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), literal(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Number(number) if number.is_f64() || number.as_i64().is_some_and(|whole| whole < 0) => format!("({number})"),
        other => other.to_string(),
    }
}

fn unquote(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(['\\', quote]))
}

/// Where `name` stands in `source` as a word of its own.
fn word(source: &str, name: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    source
        .match_indices(name)
        .map(|(at, _)| at)
        .find(|at| !at.checked_sub(1).is_some_and(|before| is_name(bytes[before])) && !bytes.get(at + name.len()).is_some_and(|byte| is_name(*byte)))
}

/// What a value is, for messages.
#[must_use]
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

enum NotJson {
    Undefined,
    TooLarge,
    Other,
}

fn to_json(value: &minijinja::Value, budget: &mut usize) -> Result<Value, NotJson> {
    *budget = budget.checked_sub(1).ok_or(NotJson::TooLarge)?;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(NotJson::Undefined),
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => serde_json::to_value(value).map_err(|_| NotJson::Other)?,
        ValueKind::String => Value::from(value.as_str().ok_or(NotJson::Other)?),
        // Lists may be made as they are read (`[0] * 1000000000`): the budget ends that.
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| NotJson::Other)?;
            Value::Array(items.map(|item| to_json(&item, budget)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().map_err(|_| NotJson::Other)? {
                let item = value.get_item(&key).map_err(|_| NotJson::Other)?;
                map.insert(key.to_string(), to_json(&item, budget)?);
            }
            Value::Object(map)
        }
        _ => return Err(NotJson::Other),
    })
}

/// What may stand after `|`.
const FILTERS: [&str; 19] = [
    "lower", "upper", "trim", "replace", "split", "join", "length", "first", "last", "min", "max", "sort", "unique", "default", "int", "float", "string", "round", "abs",
];

/// The evaluator with the filters and tests that make sense on configuration; none that can make much out of little.
fn evaluator() -> &'static Environment<'static> {
    static EVALUATOR: OnceLock<Environment<'static>> = OnceLock::new();
    EVALUATOR.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.add_filter("lower", filters::lower);
        environment.add_filter("upper", filters::upper);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("replace", filters::replace);
        environment.add_filter("split", filters::split);
        environment.add_filter("join", filters::join);
        environment.add_filter("length", filters::length);
        environment.add_filter("first", filters::first);
        environment.add_filter("last", filters::last);
        environment.add_filter("min", filters::min);
        environment.add_filter("max", filters::max);
        environment.add_filter("sort", filters::sort);
        environment.add_filter("unique", filters::unique);
        environment.add_filter("default", filters::default);
        environment.add_filter("int", filters::int);
        environment.add_filter("float", filters::float);
        environment.add_filter("string", filters::string);
        environment.add_filter("round", filters::round);
        environment.add_filter("abs", filters::abs);
        environment.add_test("defined", tests::is_defined);
        environment.add_test("undefined", tests::is_undefined);
        environment.add_test("none", tests::is_none);
        environment.add_test("string", tests::is_string);
        environment.add_test("number", tests::is_number);
        environment.add_test("in", tests::is_in);
        environment
    })
}

#[cfg(test)]
mod checks {
    use serde_json::json;

    use super::*;

    fn scope() -> Value {
        json!({
            "env": {"aliyun": {"region": "cn-hangzhou"}},
            "vars": {"zone": "shop.example.com.", "weights": {"aws": 100}, "n": 3, "multi-az": true, "list": ["a", "b"]},
            "parameters": {"service": "storefront"},
            "steps": {"start-standby": {"output": {"ids": ["i-1", "i-2"], "count": 2}}},
        })
    }

    fn eval(text: &str) -> Result<Value, String> {
        Expression::parse(text).and_then(|expression| expression.evaluate(&scope())).map_err(|error| format!("{}: {}{}", error.at.start, error.message, error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default()))
    }

    #[test]
    fn one_expression_keeps_its_type_and_others_become_text() {
        assert_eq!(eval("plain").unwrap(), json!("plain"));
        assert_eq!(eval("${{ vars.weights }}").unwrap(), json!({"aws": 100}));
        assert_eq!(eval("${{ vars.n + 1 }}").unwrap(), json!(4));
        assert_eq!(eval("a-${{ vars.n }}-${{ vars.zone }}").unwrap(), json!("a-3-shop.example.com."));
        assert_eq!(eval("${{ steps.start-standby.output.ids }}").unwrap(), json!(["i-1", "i-2"]));
        assert_eq!(eval("${{ steps['start-standby'].output.ids[1] }}").unwrap(), json!("i-2"));
        assert_eq!(eval("${{ steps.start-standby.output.count - 1 }}").unwrap(), json!(1));
        assert_eq!(eval("${{ vars.multi-az and vars.n > 2 }}").unwrap(), json!(true));
        assert_eq!(eval("${{ vars.list | join('}}') }}").unwrap(), json!("a}}b"));
        assert_eq!(eval("${{ {'a': {'b': vars.n}} }}").unwrap(), json!({"a": {"b": 3}}));
        assert_eq!(eval("${{ '${{' }}").unwrap(), json!("${{"));
        assert_eq!(eval("${{ vars.nothing | default('x') }}").unwrap(), json!("x"));
        assert_eq!(eval("${{ 'a' if vars.n == 3 else 'b' }}").unwrap(), json!("a"));
    }

    #[test]
    fn what_fails_is_told_where() {
        assert_eq!(eval("x ${{ vars.zon }}").unwrap_err(), "6: `vars.zon` is not defined (did you mean `zone`?)");
        assert_eq!(eval("${{ vras.zone }}").unwrap_err(), "4: there is no `vras` in expressions (did you mean `vars`?)");
        assert_eq!(eval("${{ vars.zone").unwrap_err(), "0: this expression is not closed (close it with `}}`; a quote inside it must be closed, too)");
        assert_eq!(eval("${{ }}").unwrap_err(), "4: an empty expression (write something like `vars.name` in it)");
        assert!(eval("${{ vars.zone + 1 }}").unwrap_err().starts_with("4: "));
        assert!(eval("${{ vars.multi-az or ( }}").unwrap_err().contains("not an expression"), "{}", eval("${{ vars.multi-az or ( }}").unwrap_err());
        assert!(eval("a ${{ vars.list }}").unwrap_err().contains("a list cannot be put into a text"));
        assert!(eval("${{ [vars.nope] }}").unwrap_err().contains("`vars.nope` is not defined"));
        assert!(eval("${{ vars.zone | explode }}").unwrap_err().contains("explode"));
        for filter in FILTERS {
            assert!(!eval(&format!("${{{{ vars.n | {filter} }}}}")).is_err_and(|error| error.contains("unknown")), "{filter}");
        }
        assert!(eval("${{ item.x }}").unwrap_err().contains("there is no `item` here"));
    }

    #[test]
    fn results_are_bounded() {
        assert!(eval("${{ [0] * 20000 }}").unwrap_err().contains("more than 10000 values"), "{:?}", eval("${{ [0] * 20000 }}"));
        assert!(eval("${{ [0] * 1000000000 }}").is_err());
        assert!(eval("${{ 'x' * 1000000000 }}").is_err());
        assert!(eval(&format!("${{{{ {}1{} }}}}", "(".repeat(2000), ")".repeat(2000))).is_err());
        assert!(eval(&format!("${{{{ 1{} }}}}", " + 1".repeat(5000))).unwrap_err().contains("more than 4096 bytes"));
    }

    #[test]
    fn static_resolution_leaves_what_only_a_run_knows() {
        let value = json!({"a": "${{ vars.n }}", "b": ["${{ steps.start-standby.output.ids }}", "${{ item }}"], "c": true});
        assert_eq!(
            resolve_static(&value, &scope()).unwrap(),
            json!({"a": 3, "b": ["${{ steps.start-standby.output.ids }}", "${{ item }}"], "c": true})
        );
    }

    #[test]
    fn conditions_are_true_or_false() {
        assert!(is_true("vars.n > 2 and vars.zone is defined", &scope()).unwrap());
        assert!(!is_true("${{ parameters.service == 'checkout' }}", &scope()).unwrap());
        assert!(is_true("vars.zone", &scope()).unwrap_err().message.contains("the text `shop.example.com.`"));
    }

    #[test]
    fn references_can_be_rewritten() {
        let expression = Expression::parse("x ${{ steps.a.output.n + parameters.b }}").unwrap();
        let text = expression.rewrite(|reference| match reference.root.as_str() {
            "steps" => Some("steps[\"outer/a\"].output.n".to_owned()),
            "parameters" => Some(literal(&json!({"k": [1, -2, null, "q\"uote"]}))),
            _ => None,
        });
        assert_eq!(text, "x ${{ steps[\"outer/a\"].output.n + {\"k\": [1, (-2), none, \"q\\\"uote\"]} }}");
        assert!(Expression::parse(&text).is_ok());
        let again = Expression::parse("${{ steps[\"outer/a\"].output.n }}").unwrap();
        assert_eq!(again.references().next().unwrap().step(), Some("outer/a"));
    }
}
