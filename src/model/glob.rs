//! Patterns with `*`: over the words of actions, `aws.*`, `*.stop-instances`, and over names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A pattern over words of actions; `*` stands for any characters, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Whether the whole of `word` fits.
    #[must_use]
    pub fn fits(&self, word: &str) -> bool {
        fits(&self.0, word)
    }
}

/// Whether the whole of `word` fits `pattern`, in which `*` stands for any characters, also none.
#[must_use]
pub fn fits(pattern: &str, word: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = word.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(mut last) = parts.next() else { return rest.is_empty() };
    for part in parts {
        // What stands between two stars is taken as early as it comes: that leaves the most for those after it.
        let Some(at) = rest.find(last) else { return false };
        rest = &rest[at + last.len()..];
        last = part;
    }
    rest.ends_with(last)
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '*');
        if text.is_empty() || text.len() > 128 || !text.chars().all(is_usual) {
            return Err(format!("`{text}` fits no action; write an action's word, with `*` for any part of it, like aws.ec2.*"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "The word of an action; `*` stands for any part of it.", "pattern": "^[a-z0-9.*-]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything_and_the_whole_must_fit() {
        for (glob, word, fits) in [
            ("aws.*", "aws.ec2.stop-instances", true),
            ("aws.*", "aliyun.region-outage", false),
            ("*", "note", true),
            ("*.stop-instances", "aws.ec2.stop-instances", true),
            ("*.stop-instances", "aws.ec2.stop-instances-now", false),
            ("aws.*.stop-*", "aws.ec2.stop-instances", true),
            ("aws.*.stop-*", "aws.stop-instances", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "axbb", true),
            ("exec", "exec", true),
            ("exec", "exec2", false),
        ] {
            assert_eq!(glob.parse::<Glob>().unwrap().fits(word), fits, "{glob} {word}");
        }
        for wrong in ["", "AWS.*", "aws ec2", "切换"] {
            assert!(wrong.parse::<Glob>().is_err(), "{wrong}");
        }
    }
}
