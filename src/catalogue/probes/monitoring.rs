//! What a cloud's own monitoring says, over the metrics port: shared by the probes of both clouds.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::catalogue::expect::number::NumberExpect;
use crate::engine::clock::wall;
use crate::engine::probe::Sample;
use crate::model::time::{Span, Timestamp};
use crate::ports::CloudError;
use crate::ports::metrics::{Alarm, AlarmState, MetricQuery, Metrics, Point};

/// The longest part of a vendor's reason that is kept.
const REASON: usize = 200;

/// A number whose period began longer ago says nothing about now: the last whole period, the four before it, and the one that is not over.
const PERIODS: u32 = 6;

/// How old a number may be at least, however short its period is: services deliver numbers up to three minutes late.
const LATE: Duration = Duration::from_secs(180);

/// Said of a metric without numbers: one that is there only while something goes wrong has none most of the time.
const NO_NUMBERS: &str = "no numbers in these periods";

/// What an alarm without enough data counts as, or a metric without numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Insufficient {
    /// Neither good nor bad.
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
        // One that does not exist is neither fired nor quiet.
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
            let (numbers, old) = newest(&points, query.period, wall());
            if !numbers.is_empty() || !expect.leaves_open_what_nothing_means() {
                return expect.sample(&numbers);
            }
            let detail = old.unwrap_or_else(|| NO_NUMBERS.to_owned());
            match insufficient {
                Insufficient::Unknown => Sample::unknown(detail),
                Insufficient::Bad => Sample::bad(detail),
                Insufficient::Good => Sample::good(detail),
            }
        }
        Err(error) => Sample::unknown(error.to_string()),
    }
}

/// The numbers that say something about now; and, where there are others, how old the newest of those is.
fn newest(points: &[Point], period: Duration, now: Timestamp) -> (Vec<f64>, Option<String>) {
    let oldest = (period * PERIODS).max(LATE);
    let (recent, old): (Vec<&Point>, Vec<&Point>) = points.iter().partition(|point| now.since(point.at) <= oldest);
    let age = old.iter().map(|point| now.since(point.at)).min();
    let said = age.map(|age| format!("the newest number is {} s old", age.as_secs()));
    (recent.into_iter().map(|point| point.value).collect(), said)
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
    use crate::ports::{Cloud, Kind, PortFuture};

    /// Monitoring that gives these answers.
    struct FixedMonitoring(Result<AlarmState, Kind>, Result<Vec<Point>, Kind>);

    fn error(kind: Kind) -> CloudError {
        CloudError::new(Cloud::Aws, "cloudwatch:Any", kind, "no")
    }

    impl Metrics for FixedMonitoring {
        fn alarm<'a>(&'a self, _: &'a str) -> PortFuture<'a, Alarm> {
            Box::pin(async { self.0.map(|state| Alarm { state, reason: String::new() }).map_err(error) })
        }

        fn latest<'a>(&'a self, _: &'a MetricQuery) -> PortFuture<'a, Vec<Point>> {
            Box::pin(async { self.1.clone().map_err(error) })
        }
    }

    #[tokio::test]
    async fn what_is_absent_or_cannot_be_read_is_unknown() {
        for kind in
            [Kind::NotFound, Kind::Denied, Kind::Throttled, Kind::Unavailable, Kind::Timeout, Kind::Malformed, Kind::Gated, Kind::Unconfigured]
        {
            let port = FixedMonitoring(Err(kind), Err(kind));
            for insufficient in [Insufficient::Unknown, Insufficient::Bad, Insufficient::Good] {
                assert_eq!(alarm(Ok(&port), "a", insufficient).await.reading, Reading::Unknown, "{kind:?}");
                let query = query("n", "m", &BTreeMap::new(), "Average", Period::minute());
                assert_eq!(metric(Ok(&port), &query, NumberExpect::default(), insufficient).await.reading, Reading::Unknown, "{kind:?}");
            }
            assert_eq!(alarm(Err(error(kind)), "a", Insufficient::Unknown).await.reading, Reading::Unknown, "{kind:?}");
        }
    }

    async fn of_numbers(points: &[(u64, f64)], expect: &str, insufficient: Insufficient) -> (Reading, String) {
        let ago = |seconds: u64| Timestamp::from_nanos(wall().as_nanos() - i64::try_from(seconds).unwrap() * 1_000_000_000);
        let points = points.iter().map(|(seconds, value)| Point { at: ago(*seconds), value: *value }).collect();
        let query = query("n", "m", &BTreeMap::new(), "Average", Period::minute());
        let sample = metric(Ok(&FixedMonitoring(Err(Kind::NotFound), Ok(points))), &query, serde_json::from_str(expect).unwrap(), insufficient).await;
        (sample.reading, sample.detail)
    }

    #[tokio::test]
    async fn no_numbers_and_old_ones_are_what_the_file_says_and_else_unknown() {
        use Insufficient::{Bad, Good, Unknown};
        let none = |reading| (reading, NO_NUMBERS.to_owned());
        assert_eq!(of_numbers(&[], "{}", Unknown).await, none(Reading::Unknown));
        assert_eq!(of_numbers(&[], r#"{"below": 5}"#, Unknown).await, none(Reading::Unknown));
        assert_eq!(of_numbers(&[], "{}", Bad).await, none(Reading::Bad));
        assert_eq!(of_numbers(&[], "{}", Good).await, none(Reading::Good));
        assert_eq!(of_numbers(&[], r#"{"exists": true}"#, Unknown).await.0, Reading::Bad);
        assert_eq!(of_numbers(&[], r#"{"exists": false}"#, Unknown).await.0, Reading::Good);
        assert_eq!(of_numbers(&[(70, 1.0)], r#"{"below": 5}"#, Unknown).await.0, Reading::Good);
        assert_eq!(of_numbers(&[(70, 7.0)], r#"{"below": 5}"#, Unknown).await.0, Reading::Bad);
        let old = of_numbers(&[(4000, 1.0), (7000, 2.0)], r#"{"below": 5}"#, Unknown).await;
        assert_eq!(old, (Reading::Unknown, "the newest number is 4000 s old".to_owned()));
        assert_eq!(of_numbers(&[(4000, 9.0), (70, 1.0)], r#"{"below": 5}"#, Unknown).await.0, Reading::Good);
    }

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
