//! Settings of the lab as written: the rules by which its clouds misbehave. Also what its control address takes and tells.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use sha2::{Digest as _, Sha256};

pub use crate::cloud::Cloud;
use crate::time::Span;

/// Where each cloud of a lab answers a challenge: the challenge follows. No cloud of a vendor's has such a path.
pub const PROOF_PATH: &str = "/_lifeboat/proof/";

/// What the `part` (`aws`, `aliyun`, `oss`) of the lab of this id answers to a challenge. Whoever is asked shows that it is a lab, and this one: not that
/// nobody could pretend to be.
#[must_use]
pub fn proof(id: &str, part: &str, challenge: &str) -> String {
    hex::encode(Sha256::digest(format!("lifeboat-lab/v1\0{id}\0{part}\0{challenge}")))
}

/// Settings of an environment of kind `lab`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabFile {
    /// How its clouds misbehave. The first rule that fires at a call decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultRule>,
}

/// One rule: which calls, when, and what goes wrong with them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub does: Trouble,
    /// Service and operation, `*` for anything: `ec2:Stop*`, `vpc:*`, `*`.
    #[serde(default = "everything")]
    pub calls: String,
    /// Calls to this cloud only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Calls to this region only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Calls that read, or calls that may change something, only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Effect>,
    /// How many of these calls go well first.
    #[serde(default)]
    pub skip: u32,
    /// How many of them then go wrong: a number, or `forever`.
    #[serde(default)]
    pub count: Count,
    /// How likely each of them goes wrong, 0 to 1.
    #[serde(default = "always")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Equal seeds draw equal fates.
    #[serde(default = "one")]
    pub seed: u64,
    /// For how long after the rule was given; without it until `count` is reached.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Of `throttle` and `server-error`: how long the answer asks to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// Of `server-error`: 500 (the default) or 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Of `slow`: how much later the call is looked at; 2s without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Of `stale`: how old the state is that the answer tells of; 5s without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Span>,
    /// Of `clock-skew`: how far the service's clock is ahead of the right time, `-20m` for behind; 20m without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
}

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Refused as one too many, in the vendor's words.
    Throttle,
    /// The service fails on its side, before any effect.
    ServerError,
    /// The connection is reset before the effect.
    ResetBefore,
    /// The call takes effect, then the connection is reset.
    ResetAfter,
    /// Never answered, without effect.
    HangBefore,
    /// Never answered, though it took effect.
    HangAfter,
    /// Looked at and answered later.
    Slow,
    /// Half of the answer, then the end of the connection.
    Truncate,
    /// An answer that is broken XML or JSON.
    Malformed,
    /// HTTP 200 that tells of a failure, without effect.
    FalseSuccess,
    /// The credentials count as expired, until others are shown or `count` is reached.
    ExpiredCredentials,
    /// Not allowed, in the vendor's words.
    Denied,
    /// The service's clock is off by `skew`.
    ClockSkew,
    /// Reads tell the state of `age` ago: what was just changed or made is not seen yet.
    Stale,
    /// Of several instances all but the last are started or stopped; other calls go well.
    Partial,
}

/// Whether a call reads or may change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Reads,
    /// May change something.
    Changes,
}

fn everything() -> String {
    "*".to_owned()
}

const fn always() -> f64 {
    1.0
}

const fn one() -> u64 {
    1
}

impl FaultRule {
    /// A rule for the next call of any kind.
    #[must_use]
    pub fn new(does: Trouble) -> Self {
        Self {
            does,
            calls: everything(),
            cloud: None,
            region: None,
            only: None,
            skip: 0,
            count: Count::default(),
            probability: always(),
            seed: one(),
            within: None,
            retry_after: None,
            status: None,
            delay: None,
            age: None,
            skew: None,
        }
    }

    /// What no type forbids: the first thing that does not fit together, and what would.
    #[must_use]
    pub fn problem(&self) -> Option<(String, &'static str)> {
        use Trouble::{ClockSkew, ServerError, Slow, Stale, Throttle};
        let settings = [
            ("retry_after", self.retry_after.is_some(), &[Throttle, ServerError][..]),
            ("status", self.status.is_some(), &[ServerError]),
            ("delay", self.delay.is_some(), &[Slow]),
            ("age", self.age.is_some(), &[Stale]),
            ("skew", self.skew.is_some(), &[ClockSkew]),
        ];
        if let Some((name, _, owners)) = settings.iter().find(|(_, given, owners)| *given && !owners.contains(&self.does)) {
            let owners: Vec<String> = owners.iter().map(|owner| format!("`{owner}`")).collect();
            return Some((format!("`{name}` is a setting of {}, not of `{}`", owners.join(" and "), self.does), "remove it, or change `does`"));
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Some((format!("`probability` is {}", self.probability), "it lies between 0 (never) and 1 (always)"));
        }
        if let Some(status) = self.status.filter(|status| !matches!(status, 500 | 503)) {
            return Some((format!("`status` is {status}"), "a service fails with 500 or 503"));
        }
        if self.calls != "*" && !self.calls.contains(':') {
            return Some((
                format!("`calls` is `{}`", self.calls),
                "write SERVICE:OPERATION, such as `ec2:Stop*` or `vpc:*`; `*` stands for anything",
            ));
        }
        None
    }
}

fn word(trouble: &Trouble) -> String {
    serde_json::to_value(trouble).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

/// How often a rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many times.
    Times(u32),
    /// Without an end.
    Forever,
}

impl Default for Count {
    fn default() -> Self {
        Self::Times(1)
    }
}

impl Count {
    const EXPECTED: &str = "a number of calls or `forever`";
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Times(times) => serializer.serialize_u32(*times),
            Self::Forever => serializer.serialize_str("forever"),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl de::Visitor<'_> for Either {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Count::EXPECTED)
            }

            fn visit_u64<E: de::Error>(self, times: u64) -> Result<Count, E> {
                u32::try_from(times).map(Count::Times).map_err(|_| E::custom(format!("{times} is more than can be counted; write `forever`")))
            }

            fn visit_i64<E: de::Error>(self, times: i64) -> Result<Count, E> {
                u64::try_from(times).map_err(|_| E::invalid_value(de::Unexpected::Signed(times), &self)).and_then(|times| self.visit_u64(times))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Count, E> {
                if text == "forever" { Ok(Count::Forever) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A number of calls or `forever`.", "oneOf": [{ "type": "integer", "minimum": 0 }, { "const": "forever" }] })
    }
}

/// How far a clock is from the right time. Written as a span, with `-` before it when the clock is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    behind: bool,
    by: Span,
}

impl Skew {
    /// A clock that is ahead.
    #[must_use]
    pub const fn ahead(by: Span) -> Self {
        Self { behind: false, by }
    }

    /// Nanoseconds to add to the right time.
    #[must_use]
    pub fn nanos(self) -> i64 {
        let nanos = i64::try_from(self.by.duration().as_nanos()).unwrap_or(i64::MAX);
        if self.behind { -nanos } else { nanos }
    }
}

impl Serialize for Skew {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}{}", if self.behind { "-" } else { "" }, self.by))
    }
}

impl<'de> Deserialize<'de> for Skew {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (behind, span) = text.strip_prefix('-').map_or((false, text.as_str()), |span| (true, span));
        Ok(Self { behind, by: span.parse().map_err(de::Error::custom)? })
    }
}

impl JsonSchema for Skew {
    fn schema_name() -> Cow<'static, str> {
        "Skew".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "How far a clock is ahead, such as 20m, or behind, such as -20m.",
            "pattern": "^-?([0-9]+(d|h|m|s|ms))+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(value: serde_json::Value) -> Result<FaultRule, String> {
        let rule: FaultRule = serde_json::from_value(value).map_err(|error| error.to_string())?;
        rule.problem().map_or(Ok(rule), |(message, hint)| Err(format!("{message}: {hint}")))
    }

    #[test]
    fn a_rule_is_read_and_written_back() {
        let written = json!({ "does": "clock-skew", "calls": "ec2:Stop*", "cloud": "aws", "only": "changes", "count": "forever", "for": "30s", "skew": "-20m" });
        let read = rule(written).unwrap();
        assert_eq!((read.count, read.skew.unwrap().nanos()), (Count::Forever, -1_200_000_000_000));
        assert_eq!(rule(serde_json::to_value(&read).unwrap()).unwrap(), read);
        assert_eq!(rule(json!({ "does": "reset-after" })).unwrap(), FaultRule::new(Trouble::ResetAfter));
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_would() {
        let says = |value, part: &str| {
            let message = rule(value).unwrap_err();
            assert!(message.contains(part), "`{part}` is not in: {message}");
        };
        says(json!({ "does": "explode" }), "`reset-after`");
        says(json!({ "does": "slow", "delays": "2s" }), "unknown field `delays`");
        says(json!({ "does": "slow", "retry_after": "2s" }), "a setting of `throttle` and `server-error`, not of `slow`");
        says(json!({ "does": "slow", "count": "always" }), "a number of calls or `forever`");
        says(json!({ "does": "slow", "count": -1 }), "a number of calls or `forever`");
        says(json!({ "does": "slow", "probability": 1.5 }), "between 0 (never) and 1");
        says(json!({ "does": "server-error", "status": 404 }), "500 or 503");
        says(json!({ "does": "denied", "calls": "StopInstances" }), "SERVICE:OPERATION");
    }
}
