//! How many of several machines are enough.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// How many machines must get there: a count, or a share of those that are meant, rounded up. All, unless written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AtLeast {
    #[default]
    All,
    Count(usize),
    Percent(u8),
}

impl AtLeast {
    /// How many of `count` that is.
    pub(crate) fn of(self, count: usize) -> usize {
        match self {
            Self::All => count,
            Self::Count(number) => number,
            Self::Percent(percent) => (count * usize::from(percent)).div_ceil(100),
        }
    }

    pub(crate) const fn is_all(self) -> bool {
        matches!(self, Self::All)
    }
}

impl fmt::Display for AtLeast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for AtLeast {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        let count = written.as_u64().filter(|count| *count > 0).and_then(|count| usize::try_from(count).ok()).map(Self::Count);
        let percent = written.as_str().and_then(|text| text.strip_suffix('%')).and_then(|number| number.trim_end().parse().ok());
        let percent = percent.filter(|percent| (1..=100).contains(percent)).map(Self::Percent);
        count.or(percent).ok_or_else(|| de::Error::custom(format!("{written} is neither a count from 1 nor a share from 1% to 100%, such as 80%")))
    }
}

impl JsonSchema for AtLeast {
    fn schema_name() -> Cow<'static, str> {
        "AtLeast".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "A count, or a share such as 80%.",
            "oneOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": "^(100|[1-9][0-9]?) *%$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_and_shares_are_read_and_nothing_else() {
        let read = |value: Value| AtLeast::deserialize(value).map_err(|error| error.to_string());
        assert_eq!(
            (read(json!(2)), read(json!("80%")), read(json!("100 %"))),
            (Ok(AtLeast::Count(2)), Ok(AtLeast::Percent(80)), Ok(AtLeast::Percent(100)))
        );
        for wrong in [json!(0), json!("0%"), json!("101%"), json!("two"), json!(0.5), json!(-1), json!("80")] {
            assert!(read(wrong.clone()).unwrap_err().contains("such as 80%"), "{wrong}");
        }
        assert_eq!((AtLeast::Percent(80).of(3), AtLeast::Percent(50).of(4), AtLeast::All.of(7), AtLeast::Count(2).of(7)), (3, 2, 7, 2));
    }
}
