//! How times and lengths of time are written: the same digits in both languages, seconds up to two minutes, then `m:ss.s`.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::labels::Label;
use crate::model::interval::{Length, MILLISECOND};
use crate::model::measure::Measured;
use crate::model::text::Lang;
use crate::model::time::Timestamp;

const SECOND: i64 = 1000 * MILLISECOND;
/// From here on lengths are written `m:ss.s`.
const MINUTES_FROM: i64 = 120 * SECOND;

/// In what steps lengths up to `longest` are shown: hundredths of a second below a minute, tenths above.
pub(super) const fn unit(longest: i64) -> i64 {
    if longest < 60 * SECOND { 10 * MILLISECOND } else { 100 * MILLISECOND }
}

/// A length without its unit, in steps of `unit`, rounded to the nearest.
pub(super) fn digits(nanos: i64, unit: i64) -> String {
    rounded((nanos + unit / 2).div_euclid(unit), unit)
}

/// `count` times `unit`.
fn rounded(count: i64, unit: i64) -> String {
    let places = if unit >= 100 * MILLISECOND { 1 } else { 2 };
    let per_second = SECOND / unit;
    let (seconds, fraction) = (count / per_second, count % per_second);
    if count * unit >= MINUTES_FROM {
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        format!("{minutes}:{seconds:02}.{fraction:0places$}")
    } else {
        format!("{seconds}.{fraction:0places$}")
    }
}

/// A length with its unit: `13.00 s`, `2:05.0`.
pub(super) fn length(nanos: i64, lang: Lang) -> String {
    length_in(nanos, unit(nanos), lang)
}

/// A length in steps of `unit`, with `s` unless it is written in minutes.
pub(super) fn length_in(nanos: i64, unit: i64, lang: Lang) -> String {
    let digits = digits(nanos, unit);
    if digits.contains(':') { digits } else { format!("{digits} {}", Label::Seconds.text(lang)) }
}

/// An interval by its likeliest value and its bounds, which need not be equally far from it: `9.60 s (8.40–9.81)`; what is exact has none.
pub(super) fn interval(value: Length, lang: Lang) -> String {
    if value.lo == value.hi {
        return length(value.lo, lang);
    }
    let likely = length_in(value.likely, unit(value.hi), lang);
    let bounds = between(value);
    match lang {
        Lang::En => format!("{likely} ({bounds})"),
        Lang::Zh => format!("{likely}（{bounds}）"),
    }
}

/// The bounds of an interval, rounded outwards: `12.59–13.41 s`.
pub(super) fn bounds(value: Length, lang: Lang) -> String {
    let bounds = between(value);
    if bounds.contains(':') { bounds } else { format!("{bounds} {}", Label::Seconds.text(lang)) }
}

fn between(value: Length) -> String {
    let unit = unit(value.hi);
    let (lo, hi) = (rounded(value.lo.div_euclid(unit), unit), rounded((value.hi + unit - 1).div_euclid(unit), unit));
    format!("{lo}–{hi}")
}

/// What was measured, with its bounds.
pub(super) fn measured(value: Measured, lang: Lang) -> String {
    match value {
        Measured::Known(value) => interval(value, lang),
        Measured::AtLeast(lo) => format!("{} {}", Label::AtLeast.text(lang), lower(lo, lang)),
    }
}

/// A lower bound, rounded down.
pub(super) fn lower(nanos: i64, lang: Lang) -> String {
    let unit = unit(nanos);
    length_in(nanos.div_euclid(unit) * unit, unit, lang)
}

/// An upper bound, rounded up: `≤ 14.81 s`.
pub(super) fn upper(nanos: i64, lang: Lang) -> String {
    let unit = unit(nanos);
    format!("≤ {}", length_in((nanos.saturating_add(unit - 1)).div_euclid(unit) * unit, unit, lang))
}

/// A target as people write it: `60 s`, `15:00`, `0.50 s`.
pub(super) fn target(millis: u64, lang: Lang) -> String {
    let nanos = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(MILLISECOND);
    if !millis.is_multiple_of(1000) {
        return length(nanos, lang);
    }
    let seconds = millis / 1000;
    if nanos >= MINUTES_FROM { format!("{}:{:02}", seconds / 60, seconds % 60) } else { format!("{seconds} {}", Label::Seconds.text(lang)) }
}

/// A share in parts of a million as a percentage with two places, without its sign: rounded down, so that 100 means all.
pub(super) fn percent(ppm: u64) -> String {
    format!("{}.{:02}", ppm / 10_000, ppm % 10_000 / 100)
}

/// The sign of percent, as each language sets it.
pub(super) const fn percent_sign(lang: Lang) -> &'static str {
    match lang {
        Lang::En => " %",
        Lang::Zh => "%",
    }
}

/// UTC and the plan's zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zones {
    zone: Tz,
    /// Whether times need their date: the run did not begin and end on the same day.
    dated: bool,
    dated_local: bool,
}

impl Zones {
    /// `zone` is an IANA name; UTC when it is not known.
    pub(super) fn new(zone: &str, first: Timestamp, last: Timestamp) -> Self {
        let zone: Tz = zone.parse().unwrap_or(Tz::UTC);
        let local = |at: Timestamp| zone.from_utc_datetime(&at.to_utc().naive_utc()).date_naive();
        Self { zone, dated: first.to_utc().date_naive() != last.to_utc().date_naive(), dated_local: local(first) != local(last) }
    }

    fn local(self, at: Timestamp) -> DateTime<Tz> {
        self.zone.from_utc_datetime(&at.to_utc().naive_utc())
    }

    /// `+08:00`.
    pub(super) fn offset(self, at: Timestamp) -> String {
        let seconds = self.local(at).offset().fix().local_minus_utc();
        let (sign, seconds) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
        format!("{sign}{:02}:{:02}", seconds / 3600, seconds % 3600 / 60)
    }

    /// The IANA name.
    pub(super) fn name(self) -> &'static str {
        self.zone.name()
    }

    /// Heads of the two columns of times.
    pub(super) fn heads(self, at: Timestamp) -> [String; 2] {
        let date = |dated: bool, day: String| if dated { String::new() } else { format!(" {day}") };
        [
            format!("UTC{}", date(self.dated, at.to_utc().format("%Y-%m-%d").to_string())),
            format!("{}{}", self.offset(at), date(self.dated_local, self.local(at).format("%Y-%m-%d").to_string())),
        ]
    }

    /// `23:27:16.010`, with its date when the run is longer than a day's end.
    pub(super) fn utc(self, at: Timestamp) -> String {
        at.to_utc().format(if self.dated { "%Y-%m-%d %H:%M:%S%.3f" } else { "%H:%M:%S%.3f" }).to_string()
    }

    /// The same in the plan's zone.
    pub(super) fn zoned(self, at: Timestamp) -> String {
        self.local(at).format(if self.dated_local { "%Y-%m-%d %H:%M:%S%.3f" } else { "%H:%M:%S%.3f" }).to_string()
    }

    /// From, to, both in UTC, and both in the plan's zone: `2026-11-22 23:27:11`, `23:27:46`, `2026-11-23 07:27:11–07:27:46 Asia/Shanghai (+08:00)`.
    pub(super) fn range(self, from: Timestamp, to: Timestamp) -> [String; 3] {
        let until = |dated: bool| if dated { "%Y-%m-%d %H:%M:%S" } else { "%H:%M:%S" };
        let (from_local, to_local) = (self.local(from), self.local(to));
        [
            from.to_utc().format("%Y-%m-%d %H:%M:%S").to_string(),
            to.to_utc().format(until(self.dated)).to_string(),
            format!(
                "{}–{} {} ({})",
                from_local.format("%Y-%m-%d %H:%M:%S"),
                to_local.format(until(self.dated_local)),
                self.name(),
                self.offset(from)
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> i64 {
        millis * MILLISECOND
    }

    #[test]
    fn numbers_carry_bounds_that_hold() {
        let value = Length::new(ms(12_595), ms(13_405));
        assert_eq!(interval(value, Lang::En), "13.00 s (12.59–13.41)");
        assert_eq!(bounds(value, Lang::En), "12.59–13.41 s");
        assert_eq!(interval(value, Lang::Zh), "13.00 秒（12.59–13.41）");
        let long = Length::new(ms(792_300), ms(802_100));
        assert_eq!(interval(long, Lang::En), "13:17.2 (13:12.3–13:22.1)");
        assert_eq!(bounds(long, Lang::En), "13:12.3–13:22.1");
        // A request that hung: the truth is most likely near one of the bounds.
        assert_eq!(interval(Length { lo: ms(8400), hi: ms(9810), likely: ms(9600) }, Lang::En), "9.60 s (8.40–9.81)");
        assert_eq!(interval(Length::new(ms(20), ms(20)), Lang::En), "0.02 s");
    }

    #[test]
    fn one_sided_bounds_are_rounded_so_that_they_hold() {
        assert_eq!((lower(ms(7669), Lang::En), upper(ms(7661), Lang::En)), ("7.66 s".to_owned(), "≤ 7.67 s".to_owned()));
        assert_eq!((lower(ms(125_690), Lang::Zh), upper(ms(125_610), Lang::Zh)), ("2:05.6".to_owned(), "≤ 2:05.7".to_owned()));
        assert_eq!(measured(Measured::AtLeast(ms(7669)), Lang::En), "at least 7.66 s");
    }

    #[test]
    fn rounding_carries_into_the_next_unit() {
        assert_eq!(length(ms(59_996), Lang::En), "60.00 s");
        assert_eq!(length(ms(119_960), Lang::En), "2:00.0");
        assert_eq!(length(0, Lang::En), "0.00 s");
        assert_eq!((percent(999_999), percent(1_000_000)), ("99.99".to_owned(), "100.00".to_owned()));
        assert_eq!(
            (target(60_000, Lang::En), target(900_000, Lang::Zh), target(500, Lang::En)),
            ("60 s".to_owned(), "15:00".to_owned(), "0.50 s".to_owned())
        );
    }

    #[test]
    fn times_are_shown_in_utc_and_the_plans_zone() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, to) = (at("2026-11-22T23:27:11Z"), at("2026-11-22T23:27:46.0105Z"));
        let zones = Zones::new("Asia/Shanghai", from, to);
        assert_eq!((zones.utc(to), zones.zoned(to)), ("23:27:46.010".to_owned(), "07:27:46.010".to_owned()));
        assert_eq!(zones.heads(from), ["UTC 2026-11-22", "+08:00 2026-11-23"]);
        assert_eq!(zones.range(from, to), ["2026-11-22 23:27:11", "23:27:46", "2026-11-23 07:27:11–07:27:46 Asia/Shanghai (+08:00)"]);
        let night = Zones::new("Europe/Berlin", at("2026-11-22T22:59:00Z"), at("2026-11-22T23:01:00Z"));
        assert_eq!(night.zoned(at("2026-11-22T23:01:00Z")), "2026-11-23 00:01:00.000");
        assert_eq!(Zones::new("Nowhere/Land", from, to).name(), "UTC");
    }
}
