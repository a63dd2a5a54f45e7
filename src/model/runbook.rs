//! A runbook as written: the steps of a failover or a failback, without any fault.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::plan::{OnFailure, Retry, Ungraceful};
use super::time::Span;
use super::written::{ProbeFile, Version, Words};

/// A runbook file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunbookFile {
    /// Version of the language: 1.
    #[expect(dead_code, reason = "reading it checks it")]
    lifeboat: Version,
    /// `runbook`.
    #[expect(dead_code, reason = "reading it checks it")]
    kind: RunbookKind,
    /// What people call it.
    pub title: Words,
    /// More about it.
    #[serde(default)]
    pub description: Words,
    /// What whoever uses it must or may say.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParameterFile>,
    /// Probes of its own.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeFile>,
    /// The way back, for whoever has executed it alone, in an emergency: a scenario says it itself.
    pub back: Option<BackFile>,
    /// What is to be done.
    pub steps: Vec<StepFile>,
}

/// The way back from what a runbook does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackFile {
    /// Ids of probes of the source side itself: `lifeboat abort` asks them before it leads users back there.
    #[serde(default)]
    pub source: Vec<String>,
    /// Path of the runbook that leads back, relative to this file: what is offered in the place of undoing everything.
    pub runbook: Option<String>,
}

/// The word that says what the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunbookKind {
    /// A runbook.
    Runbook,
}

/// A parameter of a runbook.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParameterFile {
    /// What values it takes.
    #[serde(rename = "type")]
    pub of: ParameterType,
    /// Its value when none is given; without it one must be given.
    pub default: Option<Value>,
    /// What it is for.
    #[serde(default)]
    pub description: Words,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A length of time with its unit.
    Duration,
    /// A list.
    List,
}

impl ParameterType {
    /// Whether `value` is one.
    ///
    /// # Errors
    /// What was expected, to go after `expected`.
    pub fn accepts(self, value: &Value) -> Result<(), String> {
        let (fits, what) = match self {
            Self::String => (value.is_string(), "a text"),
            Self::Integer => (value.is_i64() || value.is_u64(), "a whole number"),
            Self::Number => (value.is_number(), "a number"),
            Self::Boolean => (value.is_boolean(), "true or false"),
            Self::Duration => (value.as_str().is_some_and(|text| text.parse::<Span>().is_ok()), "a length of time with its unit, like 90s"),
            Self::List => (value.is_array(), "a list"),
        };
        if fits { Ok(()) } else { Err(what.to_owned()) }
    }

    /// A value of this type, for checking a runbook of which nobody has said the parameters yet.
    #[must_use]
    pub fn example(self) -> Value {
        match self {
            Self::String => Value::from("x"),
            Self::Integer | Self::Number => Value::from(1),
            Self::Boolean => Value::from(true),
            Self::Duration => Value::from("1s"),
            Self::List => Value::Array(Vec::new()),
        }
    }

    /// `text` of a command line as a value of this type, where it is one.
    #[must_use]
    pub fn read(self, text: &str) -> Value {
        match self {
            Self::String | Self::Duration => Value::from(text),
            Self::Integer | Self::Number | Self::Boolean | Self::List => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        }
    }
}

/// `skip`, or a map with `with`: where a file says something else, it is told at its place.
fn ungraceful<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ungraceful>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Other {
        with: Map<String, Value>,
    }
    struct Either;
    impl<'de> Visitor<'de> for Either {
        type Value = Ungraceful;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("`skip`, or `with:` and other parameters")
        }

        fn visit_str<E: de::Error>(self, word: &str) -> Result<Ungraceful, E> {
            if word == "skip" { Ok(Ungraceful::Skip) } else { Err(E::unknown_variant(word, &["skip"])) }
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ungraceful, A::Error> {
            Other::deserialize(MapAccessDeserializer::new(map)).map(|other| Ungraceful::With(other.with))
        }
    }
    deserializer.deserialize_any(Either).map(Some)
}

/// A step.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Its name, unique in the runbook: small letters, digits, `-` and `_`.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]*$"))]
    pub id: String,
    /// What people call it.
    #[serde(default)]
    pub title: Words,
    /// The action: `lifeboat actions` lists them.
    pub uses: Option<String>,
    /// Another runbook whose steps take this step's place, by its path relative to this file; in place of `uses`.
    pub runbook: Option<String>,
    /// The parameters of the action or of the runbook.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Ids of steps that must be done before.
    #[serde(default)]
    pub needs: Vec<String>,
    /// An expression; the step is skipped when it is false.
    pub when: Option<Value>,
    /// For one attempt; 5m when not written.
    pub timeout: Option<Span>,
    /// How often to try.
    pub retry: Option<Retry>,
    /// What a failure of all attempts means.
    pub on_failure: Option<OnFailure>,
    /// Whether the recovery counts as failed without it; true when not written.
    pub critical: Option<bool>,
    /// What is different about it once the source side is given up (`--ungraceful`, or during the run): `skip` leaves it out, `with:` gives other
    /// parameters in place of those of the same name.
    #[schemars(with = "Option<Ungraceful>")]
    #[serde(default, deserialize_with = "ungraceful")]
    pub ungraceful: Option<Ungraceful>,
    /// A list, or an expression that gives one: the step runs once for each `item`.
    pub for_each: Option<Value>,
    /// How many items of `for_each` at once; 1 when not written.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: Option<u32>,
    /// `frozen`, unless written: the step fails when what it finds is not what the plan of the run found. `fresh`: it acts on whatever is there then.
    pub targets: Option<TargetsFile>,
}

/// When it is settled what a step acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TargetsFile {
    /// When the plan of the run is made.
    Frozen,
    /// When the step runs.
    Fresh,
}
