//! The freeze calendar: days on which no run begins, once or every year, such as 11.11, 6.18 and Black Friday.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Weekday};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::time::Timestamp;
use crate::model::written::Version;

/// The file of a freeze calendar.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezesFile {
    /// Version of the language: 1.
    #[expect(dead_code, reason = "reading it checks it")]
    lifeboat: Version,
    /// The IANA zone of all entries that name none; without it the project's.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// The entries.
    pub freezes: Vec<FreezeEntry>,
}

/// One freeze as written; its ends go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Entry")]
pub struct FreezeEntry {
    name: String,
    from: FreezeEnd,
    to: FreezeEnd,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Zone>,
}

/// Days on which no run begins.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// What people call it.
    name: String,
    /// The first day or minute: `2026-12-01`, `2026-12-01T20:00`; of every year `11-01`, `11-01T20:00`, `black-friday` or `cyber-monday`.
    from: FreezeEnd,
    /// The last day or minute, which belongs to it.
    to: FreezeEnd,
    /// The IANA zone of its days; without it the calendar's.
    #[serde(default)]
    zone: Option<Zone>,
}

impl TryFrom<Entry> for FreezeEntry {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let Entry { name, from, to, zone } = entry;
        match (from.day, to.day) {
            (Day::Of(..), Day::Of(..)) if to.end() <= from.start() => {
                Err(format!("it ends ({to}) before it begins ({from}); write the earlier one as `from`"))
            }
            (Day::Of(..), Day::Of(..)) => Ok(Self { name, from, to, zone }),
            (Day::Of(..), _) | (_, Day::Of(..)) => {
                Err(format!("{from} and {to} do not go together: one is of every year; write the year in both or in none"))
            }
            _ => Ok(Self { name, from, to, zone }),
        }
    }
}

/// One end of a freeze: a day, perhaps with a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FreezeEnd {
    day: Day,
    time: Option<NaiveTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// Of one year.
    Of(NaiveDate),
    /// Month and day of every year; 29 February is the 28th where there is none.
    Yearly(u32, u32),
    /// The day after the fourth Thursday of November.
    BlackFriday,
    /// The Monday after it.
    CyberMonday,
}

impl Day {
    fn of(self, year: i32) -> Option<NaiveDate> {
        let thanksgiving = || NaiveDate::from_weekday_of_month_opt(year, 11, Weekday::Thu, 4);
        match self {
            Self::Of(date) => Some(date),
            Self::Yearly(month, day) => NaiveDate::from_ymd_opt(year, month, day).or_else(|| NaiveDate::from_ymd_opt(year, month, day - 1)),
            Self::BlackFriday => thanksgiving()?.checked_add_signed(TimeDelta::days(1)),
            Self::CyberMonday => thanksgiving()?.checked_add_signed(TimeDelta::days(4)),
        }
    }
}

impl FreezeEnd {
    fn start_in(self, year: i32) -> Option<NaiveDateTime> {
        Some(self.day.of(year)?.and_time(self.time.unwrap_or_default()))
    }

    /// The first moment that no longer belongs to it: the end of the day, or of the minute.
    fn end_in(self, year: i32) -> Option<NaiveDateTime> {
        let length = if self.time.is_some() { TimeDelta::minutes(1) } else { TimeDelta::days(1) };
        self.start_in(year)?.checked_add_signed(length)
    }

    fn start(self) -> Option<NaiveDateTime> {
        self.start_in(0)
    }

    fn end(self) -> Option<NaiveDateTime> {
        self.end_in(0)
    }
}

impl FromStr for FreezeEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a day; write 2026-12-01 or 2026-12-01T20:00, and for every year 11-01, black-friday or cyber-monday");
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, Some(NaiveTime::parse_from_str(time, "%H:%M").map_err(|_| wrong())?)),
            None => (text, None),
        };
        let day = match day {
            "black-friday" => Day::BlackFriday,
            "cyber-monday" => Day::CyberMonday,
            // In a leap year, which has all the days there are.
            _ if day.len() == 5 => {
                let date = NaiveDate::parse_from_str(&format!("2000-{day}"), "%Y-%m-%d").map_err(|_| wrong())?;
                Day::Yearly(date.month(), date.day())
            }
            _ if day.len() == 10 => Day::Of(NaiveDate::parse_from_str(day, "%Y-%m-%d").map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        Ok(Self { day, time })
    }
}

impl fmt::Display for FreezeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day {
            Day::Of(date) => write!(f, "{date}")?,
            Day::Yearly(month, day) => write!(f, "{month:02}-{day:02}")?,
            Day::BlackFriday => f.write_str("black-friday")?,
            Day::CyberMonday => f.write_str("cyber-monday")?,
        }
        self.time.map_or(Ok(()), |time| write!(f, "T{}", time.format("%H:%M")))
    }
}

/// An IANA time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("`{text}` is not a time zone; write its IANA name, such as Asia/Shanghai or UTC"))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// Serde and schema of what is written as one text.
macro_rules! as_text {
    ($($name:ident: $description:literal;)+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description })
            }
        }
    )+};
}

as_text! {
    FreezeEnd: "A day, 2026-12-01, or a minute, 2026-12-01T20:00; of every year 11-01, 11-01T20:00, black-friday or cyber-monday.";
    Zone: "An IANA time zone, such as Asia/Shanghai.";
}

/// A freeze with its zone known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    entry: FreezeEntry,
    zone: Tz,
}

impl Freeze {
    /// An entry, in its own zone or in `zone`.
    #[must_use]
    pub fn new(entry: FreezeEntry, zone: Tz) -> Self {
        let zone = entry.zone.map_or(zone, |own| own.0);
        Self { entry, zone }
    }

    /// What it says at `now`: `Black Friday, 2026-11-27 to 2026-11-30 (Asia/Shanghai)`; nothing when it does not hold then.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Option<String> {
        let local: DateTime<Tz> = now.to_utc().with_timezone(&self.zone);
        let wall = local.naive_local();
        let FreezeEntry { name, from, to, .. } = &self.entry;
        // One of every year may have begun in the year before.
        [wall.year() - 1, wall.year()].into_iter().find_map(|year| {
            let start = from.start_in(year)?;
            let mut end = to.end_in(year)?;
            if end <= start {
                end = to.end_in(year + 1)?;
            }
            let shown = |moment: &FreezeEnd, day: NaiveDate| match moment.time {
                Some(time) => format!("{day} {}", time.format("%H:%M")),
                None => day.to_string(),
            };
            let last = end.checked_sub_signed(TimeDelta::minutes(1))?.date();
            let told = || format!("{name}, {} to {} ({})", shown(from, start.date()), shown(to, last), self.zone.name());
            (start <= wall && wall < end).then(told)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<FreezeEntry, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    fn check(text: &str, moments: &[(&str, Option<&str>)]) {
        let freeze = Freeze::new(entry(text).unwrap(), chrono_tz::Asia::Shanghai);
        for (now, said) in moments {
            assert_eq!(freeze.at(now.parse().unwrap()).as_deref(), *said, "{text} at {now}");
        }
    }

    #[test]
    fn black_friday_goes_through_cyber_monday() {
        let said = |dates: &'static str| Some(dates);
        check(
            "{ name: Black Friday, from: black-friday, to: cyber-monday, zone: America/New_York }",
            &[
                // 2024: Thanksgiving on the 28th; 2026: on the 26th; 2029: on the 22nd.
                ("2024-11-29T04:59:59Z", None),
                ("2024-11-29T05:00:00Z", said("Black Friday, 2024-11-29 to 2024-12-02 (America/New_York)")),
                ("2024-12-03T04:59:59Z", said("Black Friday, 2024-11-29 to 2024-12-02 (America/New_York)")),
                ("2024-12-03T05:00:00Z", None),
                ("2026-11-27T12:00:00Z", said("Black Friday, 2026-11-27 to 2026-11-30 (America/New_York)")),
                ("2029-11-23T12:00:00Z", said("Black Friday, 2029-11-23 to 2029-11-26 (America/New_York)")),
                ("2029-11-28T12:00:00Z", None),
            ],
        );
    }

    #[test]
    fn every_year_also_over_new_year() {
        check(
            "{ name: \"11.11\", from: 11-01, to: 11-11 }",
            &[
                // Shanghai is eight hours ahead.
                ("2026-10-31T16:00:00Z", Some("11.11, 2026-11-01 to 2026-11-11 (Asia/Shanghai)")),
                ("2031-11-11T15:59:59Z", Some("11.11, 2031-11-01 to 2031-11-11 (Asia/Shanghai)")),
                ("2026-11-11T16:00:00Z", None),
            ],
        );
        check(
            "{ name: year end, from: 12-30T18:00, to: 01-02, zone: UTC }",
            &[
                ("2026-12-30T17:59:59Z", None),
                ("2026-12-30T18:00:00Z", Some("year end, 2026-12-30 18:00 to 2027-01-02 (UTC)")),
                ("2027-01-02T23:59:59Z", Some("year end, 2026-12-30 18:00 to 2027-01-02 (UTC)")),
                ("2027-01-03T00:00:00Z", None),
            ],
        );
        check("{ name: leap, from: 02-29, to: 02-29, zone: UTC }", &[("2027-02-28T12:00:00Z", Some("leap, 2027-02-28 to 2027-02-28 (UTC)"))]);
    }

    #[test]
    fn of_one_year_with_both_ends() {
        check(
            "{ name: move, from: 2026-12-01T20:00, to: 2026-12-02T06:00, zone: UTC }",
            &[
                ("2026-12-01T19:59:59Z", None),
                ("2026-12-01T20:00:00Z", Some("move, 2026-12-01 20:00 to 2026-12-02 06:00 (UTC)")),
                ("2026-12-02T06:00:59Z", Some("move, 2026-12-01 20:00 to 2026-12-02 06:00 (UTC)")),
                ("2026-12-02T06:01:00Z", None),
                ("2027-12-01T21:00:00Z", None),
            ],
        );
    }

    #[test]
    fn ends_that_make_no_sense_are_refused() {
        for (wrong, part) in [
            ("{ name: a, from: 2026-12-02, to: 2026-12-01 }", "before it begins"),
            ("{ name: a, from: 2026-12-02, to: 12-03 }", "do not go together"),
            ("{ name: a, from: black-friday, to: 2026-12-03 }", "do not go together"),
            ("{ name: a, from: 13-01, to: 12-03 }", "`13-01` is not a day"),
            ("{ name: a, from: 2026-02-30, to: 2026-12-03 }", "`2026-02-30` is not a day"),
            ("{ name: a, from: 11-01T25:00, to: 11-02 }", "is not a day"),
            ("{ name: a, from: 11-01, to: 11-02, zone: Asia/Beijing }", "not a time zone"),
            ("{ name: a, from: 11-01, to: 11-02, until: x }", "until"),
        ] {
            let error = entry(wrong).unwrap_err();
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }
}
