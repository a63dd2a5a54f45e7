//! What scenarios, runbooks and the project file have in common as people write them: the version, texts in two languages, probes, values.

use std::borrow::Cow;
use std::fmt;

pub use lifeboat_notation::version::Version;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::text::Text;
use super::time::Span;

/// A text as written: one text for both languages, or `en` and `zh`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Text);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or `en` and `zh` with texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Words, E> {
                Ok(Words(Text { en: Some(text.to_owned()), zh: None }))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Words, A::Error> {
                Text::deserialize(de::value::MapAccessDeserializer::new(map)).map(Words)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        json_schema!({ "description": "A text for people: one text, or `en` and `zh`.", "oneOf": [{ "type": "string" }, text] })
    }
}

/// A read, repeated.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeFile {
    /// What people call it.
    #[serde(default)]
    pub title: Words,
    /// The kind of probe: `lifeboat actions` lists them.
    pub uses: String,
    /// Its parameters.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Time between the starts of two samples.
    #[serde(default = "one_second")]
    pub every: Span,
    /// Closer sampling while it is bad, so that the moment of recovery is known better than `every` allows.
    #[serde(default)]
    pub while_bad: Option<CloserFile>,
    /// Consecutive bad samples that mean down.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub bad_after: u32,
    /// Consecutive good samples that mean recovered.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub good_after: u32,
    /// Whether its outages are a client-facing service's outages; without it the kind decides.
    pub service: Option<bool>,
}

/// Closer sampling.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloserFile {
    /// Time between the starts of two samples, from the first bad sample until the probe is good again.
    pub every: Span,
    /// The most time in all of a run that is sampled so closely; 5m unless written.
    #[serde(default = "five_minutes")]
    pub budget: Span,
}

const fn five_minutes() -> Span {
    Span::from_secs(300)
}

fn one_second() -> Span {
    Span::from_secs(1)
}

const fn three() -> u32 {
    3
}
