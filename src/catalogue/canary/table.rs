//! The table that rows of a canary are written to.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Numbers;
use crate::model::time::Timestamp;

/// The name of a table, perhaps with that of its schema: letters, digits and `_`, so that it means nothing else in a query.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(crate) struct Table(#[schemars(pattern(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$"))] String);

impl Default for Table {
    fn default() -> Self {
        Self("lifeboat_canary".to_owned())
    }
}

impl TryFrom<String> for Table {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_name = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let good = name.split('.').count() <= 2 && name.split('.').all(is_name);
        if good { Ok(Self(name)) } else { Err(format!("`{name}` is not the name of a table, such as lifeboat_canary or ops.lifeboat_canary")) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Table {
    /// Which of the numbers are there.
    pub(crate) fn query(&self, series: &str, numbers: Numbers) -> String {
        format!("select number from {self} where series = '{series}' and number > {} and number <= {}", numbers.after, numbers.last)
    }

    /// Removes one.
    pub(crate) fn removal(&self, series: &str, number: u64) -> String {
        format!("delete from {self} where series = '{series}' and number = {number}")
    }
}

/// Seconds since 1970 with their fraction, as servers write them.
///
/// # Errors
/// In one line, when they are none.
pub(crate) fn seconds_as_time(seconds: Option<String>) -> Result<Timestamp, String> {
    let seconds = seconds.ok_or("the server does not say when")?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, ""));
    let nanos = format!("{fraction:0<9}");
    let wrong = || format!("the server's clock says \"{seconds}\"");
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let nanos: i64 = nanos.get(..9).and_then(|nanos| nanos.parse().ok()).ok_or_else(wrong)?;
    Ok(Timestamp::from_nanos(whole.saturating_mul(1_000_000_000).saturating_add(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_nothing_else() {
        for (name, good) in [
            ("lifeboat_canary", true),
            ("ops.canary2", true),
            ("a.b.c", false),
            ("x; drop table y", false),
            ("", false),
            ("2x", false),
            ("a.", false),
        ] {
            assert_eq!(Table::try_from(name.to_owned()).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn clocks_are_read_to_the_nanosecond() {
        let read = |text: &str| seconds_as_time(Some(text.to_owned())).map(Timestamp::as_nanos);
        assert_eq!(read("1795390031.123456"), Ok(1_795_390_031_123_456_000));
        assert_eq!(read("1795390031"), Ok(1_795_390_031_000_000_000));
        assert!(read("soon").is_err() && read("1.x").is_err() && seconds_as_time(None).is_err());
    }
}
