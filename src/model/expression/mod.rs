//! `${{ … }}` in values: what they refer to, and what they come to. Expressions only, no templates; bounded in time and size.
//!
//! A value that is one expression gets the expression's type; expressions between other words are put in as text. Names are what the files
//! hold, so a `-` directly after a name belongs to it (`steps.start-standby.output`); a minus between two values needs blanks around it.

mod code;
mod evaluator;
mod names;

use std::ops::Range;

use serde_json::{Map, Value};

use self::code::{Code, closing};
pub use self::names::{Names, Part as NamedPart};
use super::diagnostic::suggest;

/// What expressions may refer to.
pub const ROOTS: [&str; 5] = ["env", "vars", "parameters", "steps", "item"];

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
                return Err(
                    ExprError::new(open..open + 3, "this expression is not closed").hint("close it with `}}`; a quote inside it must be closed, too")
                );
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
        other => Err(ExprError::new(0..when.len(), format!("a condition is true or false; this is {}", describe(&other)))
            .hint("compare it with something: `… == …`")),
    }
}

fn walk(value: &Value, evaluate: &mut impl FnMut(&str) -> Result<Value, ExprError>) -> Result<Value, ExprError> {
    Ok(match value {
        Value::String(text) if text.contains("${{") => evaluate(text)?,
        Value::Array(items) => Value::Array(items.iter().map(|item| walk(item, evaluate)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| Ok((key.clone(), walk(value, evaluate)?))).collect::<Result<Map<_, _>, _>>()?)
        }
        other => other.clone(),
    })
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

#[cfg(test)]
mod tests {
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
        Expression::parse(text)
            .and_then(|expression| expression.evaluate(&scope()))
            .map_err(|error| format!("{}: {}{}", error.at.start, error.message, error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default()))
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
        assert_eq!(
            eval("${{ vars.zone").unwrap_err(),
            "0: this expression is not closed (close it with `}}`; a quote inside it must be closed, too)"
        );
        assert_eq!(eval("${{ }}").unwrap_err(), "4: an empty expression (write something like `vars.name` in it)");
        assert!(eval("${{ vars.zone + 1 }}").unwrap_err().starts_with("4: "));
        assert!(eval("${{ vars.multi-az or ( }}").unwrap_err().contains("not an expression"), "{}", eval("${{ vars.multi-az or ( }}").unwrap_err());
        assert!(eval("a ${{ vars.list }}").unwrap_err().contains("a list cannot be put into a text"));
        assert!(eval("${{ [vars.nope] }}").unwrap_err().contains("`vars.nope` is not defined"));
        assert!(eval("${{ vars.zone | explode }}").unwrap_err().contains("explode"));
        for filter in evaluator::FILTERS {
            assert!(!eval(&format!("${{{{ vars.n | {filter} }}}}")).is_err_and(|error| error.contains("unknown")), "{filter}");
        }
        assert!(eval("${{ item.x }}").unwrap_err().contains("there is no `item` here"));
    }

    #[test]
    fn slices_have_no_step() {
        let eval = |text: &str| eval(&format!("${{{{ {text} }}}}"));
        assert_eq!(eval("[1, 2, 3][1:]"), Ok(json!([2, 3])));
        assert_eq!(eval("[[1, 2][:1], 'a:b:c', {'a': 1, 'b': 2}.b]"), Ok(json!([[1], "a:b:c", 2])));
        let refused = "9: a slice has no step here (write only where it begins and ends: `vars.list[0:2]`)";
        // The second would overflow in the evaluator.
        assert_eq!(eval("'x'[::2]").unwrap_err(), refused);
        assert_eq!(eval("'x'[::-9223372036854775808]").unwrap_err(), refused);
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

    #[test]
    fn nothing_after_an_expression_is_left_out() {
        let refused = |text: &str| Expression::parse_condition(text).map(|_| ()).unwrap_err();
        let error = refused("parameters.service == 'storefront' && false");
        assert_eq!((error.at, error.message.as_str()), (35..36, "not an expression: this cannot be read"));
        assert!(error.hint.unwrap().contains("`and`"));
        for text in [
            "'a' `b`",
            "'é' \0\0`v\0{\"a\":7",
            "'a' '\\x1'",
            "vars.zone ~ 'a' $",
            "vars.n == 3 && false",
            "'a' 切",
            "[1] ^ 2",
            "'a') + ('b'",
            "'a', 'b'",
        ] {
            refused(text);
        }
        assert!(is_true("vars.zone == 'a' 'b' or (vars.n == 3)", &scope()).unwrap());
    }
}
