//! Hours in which runs may begin: `Tue-Thu 10:00-16:00 Asia/Shanghai`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::model::time::Timestamp;

/// Some days of the week, from one time of day to another, in a zone: what a clock on the wall there shows. An hour that such a clock shows twice is
/// inside twice, one that it leaves out never comes. A window that ends before it begins goes on past midnight and belongs to the day on which it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    text: String,
    /// From Monday.
    days: [bool; 7],
    from: NaiveTime,
    /// In minutes.
    length: u32,
    zone: Tz,
}

impl Window {
    /// Whether it is open at `now`. The first minute belongs to it, the last one does not.
    #[must_use]
    pub fn contains(&self, now: Timestamp) -> bool {
        let wall = self.wall(now);
        let today = wall.date();
        // It may have begun yesterday and gone past midnight.
        [Some(today), today.pred_opt()].into_iter().flatten().filter_map(|day| self.on(day)).any(|(open, close)| open <= wall && wall < close)
    }

    /// When it opens next after `now`, as the clock on the wall there will show it.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<NaiveDateTime> {
        let wall = self.wall(now);
        (0..=8).filter_map(|ahead| self.on(wall.date().checked_add_days(Days::new(ahead))?)).map(|(open, _)| open).find(|open| *open > wall)
    }

    /// The zone of its times.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    fn wall(&self, now: Timestamp) -> NaiveDateTime {
        let local: DateTime<Tz> = now.to_utc().with_timezone(&self.zone);
        local.naive_local()
    }

    fn on(&self, day: NaiveDate) -> Option<(NaiveDateTime, NaiveDateTime)> {
        let listed = self.days[day.weekday().num_days_from_monday() as usize];
        let open = day.and_time(self.from);
        let close = open.checked_add_signed(chrono::TimeDelta::minutes(i64::from(self.length)))?;
        listed.then_some((open, close))
    }
}

const NAMES: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Mon),
    ("Tue", Weekday::Tue),
    ("Wed", Weekday::Wed),
    ("Thu", Weekday::Thu),
    ("Fri", Weekday::Fri),
    ("Sat", Weekday::Sat),
    ("Sun", Weekday::Sun),
];

/// The days of `Mon`, `Tue-Thu`, `Sat,Sun` or `Fri-Mon`.
fn days(text: &str) -> Result<[bool; 7], String> {
    let day = |name: &str| {
        let found = NAMES.iter().position(|(known, _)| *known == name);
        found.ok_or_else(|| format!("`{name}` is not a day of the week; write Mon, Tue, Wed, Thu, Fri, Sat or Sun, or two of them like Tue-Thu"))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // Over the end of the week, too.
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|step| days[(first + step) % 7] = true);
    }
    Ok(days)
}

/// Minutes since midnight of `10:00`; `24:00` is the end of the day.
fn minutes(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a time of day; write it like 09:30");
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2).ok_or_else(wrong)?;
    let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten().ok_or_else(wrong);
    let total = number(hours)? * 60 + number(minutes)?;
    if number(minutes)? < 60 && total <= DAY { Ok(total) } else { Err(wrong()) }
}

const DAY: u32 = 24 * 60;

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not a window; write days, hours and a zone, like Tue-Thu 10:00-16:00 Asia/Shanghai");
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [named, hours, zone] = parts.as_slice() else { return Err(form()) };
        let days = days(named)?;
        let (from, to) = hours.split_once('-').ok_or_else(form)?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        if from == to || from == DAY {
            return Err(format!("the window `{hours}` is empty; write 00:00-24:00 for the whole day"));
        }
        let zone: Tz = zone.parse().map_err(|_| format!("`{zone}` is not a time zone; write its IANA name, such as Asia/Shanghai or UTC"))?;
        let start = NaiveTime::from_num_seconds_from_midnight_opt(from * 60, 0).ok_or_else(form)?;
        let length = if to > from { to - from } else { DAY - from + to };
        Ok(Self { text: parts.join(" "), days, from: start, length, zone })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Days, hours and a zone, such as Tue-Thu 10:00-16:00 Asia/Shanghai; hours may go past midnight.",
            "pattern": "^[A-Z][a-z]{2}([-,][A-Z][a-z]{2})*\\s+[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}\\s+\\S+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(window: &str, moments: &[(&str, bool)]) {
        let read: Window = window.parse().unwrap();
        for (now, open) in moments {
            assert_eq!(read.contains(now.parse().unwrap()), *open, "{window} at {now}");
        }
    }

    #[test]
    fn days_and_hours_are_those_of_the_zone() {
        // 2026-11-24 is a Tuesday.
        check(
            "Tue-Thu 10:00-16:00 Asia/Shanghai",
            &[
                ("2026-11-24T02:00:00Z", true),
                ("2026-11-24T01:59:59.999Z", false),
                ("2026-11-24T07:59:59Z", true),
                ("2026-11-24T08:00:00Z", false),
                ("2026-11-26T03:00:00Z", true),
                ("2026-11-27T03:00:00Z", false),
                // Monday evening in UTC is Tuesday there, but before it opens.
                ("2026-11-23T20:00:00Z", false),
            ],
        );
        check("Sat,Sun 00:00-24:00 UTC", &[("2026-11-28T00:00:00Z", true), ("2026-11-29T23:59:59Z", true), ("2026-11-30T00:00:00Z", false)]);
    }

    #[test]
    fn past_midnight_and_over_the_end_of_the_week() {
        check(
            "Fri-Sun 22:00-04:00 UTC",
            &[
                ("2026-11-27T21:59:00Z", false),
                ("2026-11-27T22:00:00Z", true),
                ("2026-11-30T03:59:00Z", true),
                ("2026-11-30T04:00:00Z", false),
                // Friday morning belongs to Thursday's window, and there is none.
                ("2026-11-27T03:00:00Z", false),
            ],
        );
        check("Sat-Mon 09:00-10:00 UTC", &[("2026-11-30T09:30:00Z", true), ("2026-12-01T09:30:00Z", false), ("2026-11-28T09:30:00Z", true)]);
    }

    #[test]
    fn the_clock_on_the_wall_decides_when_clocks_change() {
        // New York: on 2026-11-01 01:30 comes twice, on 2026-03-08 02:30 never.
        check("Sun 01:00-02:00 America/New_York", &[("2026-11-01T05:30:00Z", true), ("2026-11-01T06:30:00Z", true), ("2026-11-01T07:00:00Z", false)]);
        check("Sun 02:00-03:00 America/New_York", &[("2026-03-08T06:59:59Z", false), ("2026-03-08T07:00:00Z", false)]);
        // Opened before the change, closes by the wall after it.
        check("Sat 22:00-03:00 America/New_York", &[("2026-03-08T06:59:00Z", true), ("2026-03-08T07:00:00Z", false)]);
        check("Sat 22:00-03:00 America/New_York", &[("2026-11-01T07:59:00Z", true), ("2026-11-01T08:00:00Z", false)]);
    }

    #[test]
    fn the_next_opening_is_told() {
        let next = |window: &str, now: &str| window.parse::<Window>().unwrap().next(now.parse().unwrap()).unwrap().to_string();
        assert_eq!(next("Tue-Thu 10:00-16:00 Asia/Shanghai", "2026-11-24T08:00:00Z"), "2026-11-25 10:00:00");
        assert_eq!(next("Tue 10:00-16:00 UTC", "2026-11-24T12:00:00Z"), "2026-12-01 10:00:00", "also while it is open");
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        for (wrong, part) in [
            ("", "is not a window"),
            ("Tue 10:00-16:00", "is not a window"),
            ("Tue 10:00 UTC", "is not a window"),
            ("Tues 10:00-16:00 UTC", "`Tues` is not a day"),
            ("Tue-Xyz 10:00-16:00 UTC", "`Xyz` is not a day"),
            ("Tue 10:00-25:00 UTC", "`25:00` is not a time"),
            ("Tue 10:60-11:00 UTC", "`10:60` is not a time"),
            ("Tue 1:00-11:00 UTC", "`1:00` is not a time"),
            ("Tue +1:00-11:00 UTC", "`+1:00` is not a time"),
            ("Tue 24:00-11:00 UTC", "is empty"),
            ("Tue 10:00-10:00 UTC", "is empty"),
            ("Tue 10:00-16:00 Asia/Beijing", "not a time zone"),
        ] {
            let error = wrong.parse::<Window>().unwrap_err();
            assert!(error.contains(part) && error.contains("; write "), "{wrong}: {error}");
        }
    }
}
