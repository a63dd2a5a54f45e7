//! What a cloud's own monitoring says, over the metrics port: shared by the probes of both clouds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::catalogue::expect::number::NumberExpect;
use crate::engine::probe::Sample;
use crate::model::time::Span;
use crate::ports::metrics::{Alarm, AlarmState, MetricQuery, Metrics};
use crate::ports::{CloudError, Kind};

/// The longest part of a vendor's reason that is kept.
const REASON: usize = 200;

/// A metric that is there only while something goes wrong has none most of the time.
const NO_NUMBERS: &str = "no numbers in these periods";

/// What an alarm without enough data counts as, or a metric without numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Insufficient {
    /// It neither confirms nor denies.
    #[default]
    Unknown,
    /// As bad as an alarm: for numbers that are always there while all is well.
    Bad,
    /// As good as no alarm: for numbers that are only there when something is wrong.
    Good,
}

/// The length of a period: whole seconds.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(transparent)]
pub(super) struct Period(Span);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let span = Span::deserialize(deserializer)?;
        let is_whole = span.as_millis() >= 1000 && span.as_millis().is_multiple_of(1000);
        if is_whole { Ok(Self(span)) } else { Err(de::Error::custom(format!("a period has whole seconds, not {span}"))) }
    }
}

impl Period {
    pub(super) const fn minute() -> Self {
        Self(Span::from_secs(60))
    }
}

/// One reading of an alarm.
pub(super) async fn alarm(port: Result<&dyn Metrics, CloudError>, name: &str, insufficient: Insufficient) -> Sample {
    let read = match port {
        Ok(port) => port.alarm(name).await,
        Err(error) => Err(error),
    };
    match read {
        Ok(alarm) => judge(&alarm, insufficient),
        // A stop condition that is not there would never stop anything.
        Err(error) if error.kind == Kind::NotFound => Sample::bad(error.to_string()),
        Err(error) => Sample::unknown(error.to_string()),
    }
}

fn judge(alarm: &Alarm, insufficient: Insufficient) -> Sample {
    let with_reason = |word: &str| {
        let reason: String = alarm.reason.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
        if reason.is_empty() { word.to_owned() } else { format!("{word}: {reason}") }
    };
    match (alarm.state, insufficient) {
        (AlarmState::Ok, _) => Sample::good("OK"),
        (AlarmState::Alarm, _) => Sample::bad(with_reason("ALARM")),
        (AlarmState::InsufficientData, Insufficient::Unknown) => Sample::unknown(with_reason("INSUFFICIENT_DATA")),
        (AlarmState::InsufficientData, Insufficient::Bad) => Sample::bad(with_reason("INSUFFICIENT_DATA")),
        (AlarmState::InsufficientData, Insufficient::Good) => Sample::good("INSUFFICIENT_DATA"),
        (AlarmState::Off, _) => Sample::unknown("the alarm is switched off"),
    }
}

/// One reading of a metric.
pub(super) async fn metric(port: Result<&dyn Metrics, CloudError>, query: &MetricQuery, expect: NumberExpect, insufficient: Insufficient) -> Sample {
    let read = match port {
        Ok(port) => port.latest(query).await,
        Err(error) => Err(error),
    };
    match read {
        Ok(points) => {
            let numbers: Vec<f64> = points.iter().map(|point| point.value).collect();
            match insufficient {
                Insufficient::Unknown if expect.misses(&numbers) => Sample::unknown(NO_NUMBERS),
                Insufficient::Good if expect.misses(&numbers) => Sample::good(NO_NUMBERS),
                _ => expect.sample(&numbers),
            }
        }
        Err(error) => Sample::unknown(error.to_string()),
    }
}

/// The query that a probe's parameters make.
pub(super) fn query(namespace: &str, metric: &str, dimensions: &BTreeMap<String, String>, statistic: &str, period: Period) -> MetricQuery {
    MetricQuery {
        namespace: namespace.to_owned(),
        metric: metric.to_owned(),
        dimensions: dimensions.clone(),
        statistic: statistic.to_owned(),
        period: period.0.duration(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Reading;

    fn check(state: AlarmState, insufficient: Insufficient, reading: Reading, detail: &str) {
        let sample = judge(&Alarm { state, reason: "too\n  many".to_owned() }, insufficient);
        assert_eq!((sample.reading, sample.detail.as_str()), (reading, detail));
    }

    #[test]
    fn an_alarm_is_bad_and_what_is_not_known_is_as_asked() {
        check(AlarmState::Ok, Insufficient::Bad, Reading::Good, "OK");
        check(AlarmState::Alarm, Insufficient::Good, Reading::Bad, "ALARM: too many");
        check(AlarmState::InsufficientData, Insufficient::Unknown, Reading::Unknown, "INSUFFICIENT_DATA: too many");
        check(AlarmState::InsufficientData, Insufficient::Bad, Reading::Bad, "INSUFFICIENT_DATA: too many");
        check(AlarmState::InsufficientData, Insufficient::Good, Reading::Good, "INSUFFICIENT_DATA");
        check(AlarmState::Off, Insufficient::Good, Reading::Unknown, "the alarm is switched off");
    }

    #[test]
    fn a_period_has_whole_seconds() {
        for (text, good) in [("1m", true), ("1s", true), ("1500ms", false), ("0s", false), ("500ms", false)] {
            assert_eq!(serde_json::from_value::<Period>(text.into()).is_ok(), good, "{text}");
        }
    }
}
