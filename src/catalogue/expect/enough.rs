//! How many of several answers must be good.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// How many are enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Enough {
    #[default]
    All,
    Any,
    Of(usize),
}

impl Enough {
    /// How many of `count` must be good: at least one.
    pub(crate) fn needed(self, count: usize) -> usize {
        match self {
            Self::All => count.max(1),
            Self::Any => 1,
            Self::Of(number) => number,
        }
    }
}

impl<'de> Deserialize<'de> for Enough {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Self::All),
            Value::String(word) if word == "any" => Ok(Self::Any),
            Value::Number(number) if number.as_u64().is_some_and(|number| number > 0) => {
                Ok(Self::Of(number.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX)))
            }
            other => Err(de::Error::custom(format!("{other} is neither `all` nor `any` nor a number from 1"))),
        }
    }
}

impl JsonSchema for Enough {
    fn schema_name() -> Cow<'static, str> {
        "Enough".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "description": "How many are enough.", "oneOf": [{ "enum": ["all", "any"] }, { "type": "integer", "minimum": 1 }] })
    }
}
