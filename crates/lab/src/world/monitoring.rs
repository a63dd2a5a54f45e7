//! What the clouds' own monitoring knows: the shop's metrics, numbers that were put, and alarms over both.
//!
//! The shop publishes the same metrics on both clouds. Alarms are judged when somebody looks, over windows that end at that moment and whose
//! length is divided by the time scale; numbers that are asked for by period are in real time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lifeboat_notation::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Cloud, State};
use crate::data::metrics::SAMPLE_EVERY;

/// The namespace of the shop's metrics on AWS; on Alibaba Cloud it is that of the account's custom metrics.
pub(crate) const SHOP: &str = "Shop";

/// The most numbers of one metric that are kept, and the most metrics that can be put.
const KEPT: usize = 3000;
pub(crate) const MOST_METRICS: usize = 1000;

/// How long a new or changed alarm stays unjudged.
pub(crate) const FIRST_LOOK: Duration = SAMPLE_EVERY.saturating_mul(2);

/// The shop's metrics: name, unit, and whether there is one for each service.
const SHOP_METRICS: [(&str, &str, bool); 4] =
    [("Errors", "Count", true), ("Orders", "Count", false), ("ReplicationLag", "Seconds", false), ("ServiceUp", "None", true)];

/// A metric: where it belongs, what it is called, of what it is measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    /// The cloud.
    pub(crate) cloud: Cloud,
    /// Its namespace: of the lab's own metrics `Shop` on AWS, `acs_customMetric_ACCOUNT` on Alibaba.
    pub(crate) namespace: String,
    /// Its name: of the lab's own metrics `Errors`, `Orders`, `ReplicationLag` or `ServiceUp`.
    pub(crate) name: String,
    /// Of what it is measured: `Service` on AWS, `service` on Alibaba for the lab's own.
    #[serde(default)]
    pub(crate) dimensions: BTreeMap<String, String>,
}

/// One number, or several that were put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Datum {
    pub(crate) at: Timestamp,
    pub(crate) sum: f64,
    pub(crate) count: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Datum {
    /// One number.
    pub(crate) const fn one(at: Timestamp, value: f64) -> Self {
        Self { at, sum: value, count: 1.0, least: value, most: value }
    }

    /// Both together, at the earlier one's time.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            at: self.at.min(other.at),
            sum: self.sum + other.sum,
            count: self.count + other.count,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// What a statistic makes of it; `None` for one that the lab does not know.
    pub(crate) fn statistic(&self, statistic: &str) -> Option<f64> {
        Some(match statistic {
            "Sum" => self.sum,
            "SampleCount" => self.count,
            // CloudMonitor's word for a metric that is one number anyway.
            "Average" | "Value" => self.sum / self.count,
            "Minimum" => self.least,
            "Maximum" => self.most,
            _ => return None,
        })
    }
}

/// How an alarm compares a number with its threshold, in CloudWatch's words.
#[expect(clippy::enum_variant_names, reason = "they are CloudWatch's words")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Comparison {
    /// `>=`
    GreaterThanOrEqualToThreshold,
    /// `>`
    GreaterThanThreshold,
    /// `<`
    LessThanThreshold,
    /// `<=`
    LessThanOrEqualToThreshold,
}

impl Comparison {
    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::GreaterThanThreshold => value > threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
        }
    }
}

/// What a window without numbers counts as, in CloudWatch's words.
#[expect(clippy::enum_variant_names, reason = "they are CloudWatch's words")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Missing {
    /// The alarm does not know.
    #[default]
    Missing,
    /// The alarm stays as it is.
    Ignore,
    /// It counts as a number that breaches.
    Breaching,
    /// It counts as a number that does not breach.
    NotBreaching,
}

/// What an alarm says, in both vendors' words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AlarmState {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "ALARM")]
    Alarm,
    #[default]
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

/// A metric alarm (CloudWatch) or a metric rule (CloudMonitor).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alarm {
    /// Alibaba's RuleId; on AWS empty.
    #[serde(default)]
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its region; without it the cloud's first.
    #[serde(default)]
    pub(crate) region: String,
    /// What it is for.
    #[serde(default)]
    pub(crate) description: String,
    /// What it looks at.
    pub(crate) metric: Metric,
    /// `Average`, `Sum`, `Minimum`, `Maximum` or `SampleCount`.
    pub(crate) statistic: String,
    /// The length of a window, 1 s to 1 d; divided by the time scale.
    pub(crate) period: Span,
    /// How many of the last `evaluations` periods must breach.
    pub(crate) to_alarm: u32,
    /// How many periods are looked at, 1 to 100.
    pub(crate) evaluations: u32,
    /// How numbers are compared with the threshold.
    pub(crate) comparison: Comparison,
    /// The threshold.
    pub(crate) threshold: f64,
    /// What a window without numbers counts as.
    #[serde(default)]
    pub(crate) missing: Missing,
    /// AWS ActionsEnabled, which changes no state; on Alibaba a rule that is switched off is not judged.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// What moves by itself.
    #[serde(skip)]
    pub(crate) verdict: Verdict,
}

const fn yes() -> bool {
    true
}

impl Alarm {
    /// What it is found by: its RuleId, or on AWS its name.
    pub(crate) fn key(&self) -> &str {
        if self.id.is_empty() { &self.name } else { &self.id }
    }
}

/// What an alarm says now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) state: AlarmState,
    pub(crate) reason: String,
    /// When it came to say so.
    pub(crate) since: Timestamp,
    /// When the alarm was made or changed.
    pub(crate) configured: Timestamp,
    /// Not judged before: a new alarm is left as it is for a moment, one whose state was set by hand for a period.
    pub(crate) next: Timestamp,
}

impl Default for Verdict {
    fn default() -> Self {
        let never = Timestamp::from_nanos(0);
        Self { state: AlarmState::default(), reason: "Unchecked: Initial alarm creation".to_owned(), since: never, configured: never, next: never }
    }
}

/// What monitoring holds beside the shop's own metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monitoring {
    put: BTreeMap<Metric, VecDeque<Datum>>,
    /// By cloud and name (AWS) or RuleId (Alibaba).
    pub(crate) alarms: BTreeMap<(Cloud, String), Alarm>,
}

impl Monitoring {
    /// Keeps a number. Of too many metrics none is kept any more: `false`.
    pub(crate) fn put(&mut self, metric: Metric, datum: Datum) -> bool {
        if !self.put.contains_key(&metric) && self.put.len() == MOST_METRICS {
            return false;
        }
        let numbers = self.put.entry(metric).or_default();
        if numbers.len() == KEPT {
            numbers.pop_front();
        }
        numbers.push_back(datum);
        true
    }
}

impl State {
    /// The namespace of the shop's metrics on a cloud, and what their dimension is called there.
    fn shop(&self, cloud: Cloud) -> (String, &'static str) {
        match cloud {
            Cloud::Aws => (SHOP.to_owned(), "Service"),
            Cloud::Aliyun => (format!("acs_customMetric_{}", self.accounts.aliyun), "service"),
        }
    }

    /// Every metric of a cloud, with its unit.
    pub(crate) fn metrics(&self, cloud: Cloud) -> Vec<(Metric, &'static str)> {
        let (namespace, dimension) = self.shop(cloud);
        let metric = |name: &str, dimensions| Metric { cloud, namespace: namespace.clone(), name: name.to_owned(), dimensions };
        let mut all = Vec::new();
        for (name, unit, each) in SHOP_METRICS {
            if each {
                let of = |service: &String| BTreeMap::from([(dimension.to_owned(), service.clone())]);
                all.extend(self.services.keys().map(|service| (metric(name, of(service)), unit)));
            } else {
                all.push((metric(name, BTreeMap::new()), unit));
            }
        }
        all.extend(self.monitoring.put.keys().filter(|metric| metric.cloud == cloud).map(|metric| (metric.clone(), "None")));
        all
    }

    /// The numbers of one metric from `from` on and before `to`, oldest first.
    pub(crate) fn data(&self, metric: &Metric, from: Timestamp, to: Timestamp) -> Vec<Datum> {
        let (namespace, dimension) = self.shop(metric.cloud);
        let mut data = if metric.namespace == namespace { self.shop_data(metric, dimension, from) } else { Vec::new() };
        data.extend(self.monitoring.put.get(metric).into_iter().flatten());
        data.retain(|datum| from <= datum.at && datum.at < to);
        data.sort_by_key(|datum| datum.at);
        data
    }

    fn shop_data(&self, metric: &Metric, dimension: &str, since: Timestamp) -> Vec<Datum> {
        let service = metric.dimensions.get(dimension).map_or("", String::as_str);
        if metric.dimensions.len() != usize::from(!service.is_empty()) {
            return Vec::new();
        }
        let of_service = |name: &str| (name.to_owned(), BTreeMap::from([("service".to_owned(), service.to_owned())]));
        match (metric.name.as_str(), service.is_empty()) {
            // Every request is one number, 1 when it failed: the sum is how many failed, the average which part of all.
            ("Errors", false) => {
                let (name, labels) = of_service("shop_requests_total");
                let mut all = self.history.steps(&name, &labels, since, |_| true);
                let failed = self.history.steps(&name, &labels, since, |labels| labels.get("outcome").is_some_and(|outcome| outcome != "ok"));
                all.retain(|_, requests| *requests > 0.0);
                let datum = |(at, requests): (Timestamp, f64)| {
                    let failed = failed.get(&at).copied().unwrap_or_default().min(requests);
                    let least = if failed < requests { 0.0 } else { 1.0 };
                    Datum { at, sum: failed, count: requests, least, most: if failed > 0.0 { 1.0 } else { 0.0 } }
                };
                all.into_iter().map(datum).collect()
            }
            ("Orders", true) => ones(self.history.steps("shop_orders_total", &BTreeMap::new(), since, |_| true)),
            ("ReplicationLag", true) => ones(self.history.values("shop_replication_lag_seconds", &BTreeMap::new(), since)),
            ("ServiceUp", false) => {
                let (name, labels) = of_service("shop_service_up");
                ones(self.history.values(&name, &labels, since))
            }
            _ => Vec::new(),
        }
    }

    /// The numbers of a metric by period, oldest first; periods without any are left out. `period` is in real time.
    pub(crate) fn by_period(&self, metric: &Metric, from: Timestamp, to: Timestamp, period: Duration) -> Vec<Datum> {
        let length = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX).max(1);
        let mut periods: BTreeMap<i64, Datum> = BTreeMap::new();
        for datum in self.data(metric, from, to) {
            let start = datum.at.as_nanos().div_euclid(length) * length;
            let datum = Datum { at: Timestamp::from_nanos(start), ..datum };
            periods.entry(start).and_modify(|so_far| *so_far = so_far.and(datum)).or_insert(datum);
        }
        periods.into_values().collect()
    }

    /// Judges every alarm as of now.
    pub(crate) fn judge_alarms(&mut self) {
        let mut alarms = std::mem::take(&mut self.monitoring.alarms);
        for alarm in alarms.values_mut() {
            let is_judged = alarm.metric.cloud == Cloud::Aws || alarm.enabled;
            if !is_judged || self.now < alarm.verdict.next {
                continue;
            }
            let (state, reason) = self.judge(alarm);
            if state != alarm.verdict.state {
                alarm.verdict.since = self.now;
            }
            if state != alarm.verdict.state || alarm.verdict.reason.starts_with("Unchecked") {
                alarm.verdict = Verdict { state, reason, ..alarm.verdict.clone() };
            }
        }
        self.monitoring.alarms = alarms;
    }

    /// The length of an alarm's window here; never so short that it holds no sample.
    pub(crate) fn window(&self, alarm: &Alarm) -> Duration {
        alarm.period.duration().div_f64(self.scale).max(SAMPLE_EVERY * 2)
    }

    fn judge(&self, alarm: &Alarm) -> (AlarmState, String) {
        let window = self.window(alarm);
        let length = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX);
        let back = |count: u32| Timestamp::from_nanos(self.now.as_nanos().saturating_sub(length.saturating_mul(i64::from(count))));
        let values: Vec<Option<f64>> = (0..alarm.evaluations)
            .map(|age| {
                let data = self.data(&alarm.metric, back(age + 1), back(age));
                data.into_iter().reduce(Datum::and).and_then(|all| all.statistic(&alarm.statistic))
            })
            .collect();
        let shown: Vec<String> = values.iter().flatten().map(f64::to_string).collect();
        let breaches =
            |value: &Option<f64>| value.map_or(alarm.missing == Missing::Breaching, |value| alarm.comparison.holds(value, alarm.threshold));
        let breaching = values.iter().filter(|value| breaches(value)).count();
        if shown.is_empty() {
            let unknown = || (AlarmState::InsufficientData, "Insufficient Data: no datapoints were received in the evaluated periods.".to_owned());
            let treated = |state| (state, "Threshold evaluated: no datapoints were received; missing data is treated as configured.".to_owned());
            return match alarm.missing {
                Missing::Missing => unknown(),
                Missing::Ignore => (alarm.verdict.state, alarm.verdict.reason.clone()),
                Missing::Breaching => treated(AlarmState::Alarm),
                Missing::NotBreaching => treated(AlarmState::Ok),
            };
        }
        let is_alarm = breaching >= alarm.to_alarm as usize;
        let (word, state) = if is_alarm { ("Crossed", AlarmState::Alarm) } else { ("Not Crossed", AlarmState::Ok) };
        let reason = format!(
            "Threshold {word}: {breaching} out of the last {} datapoints [{}] breach the threshold ({}).",
            alarm.evaluations,
            shown.join(", "),
            alarm.threshold
        );
        (state, reason)
    }
}

fn ones(values: BTreeMap<Timestamp, f64>) -> Vec<Datum> {
    values.into_iter().map(|(at, value)| Datum::one(at, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::build::build;

    /// An alarm over three periods of a minute, two of which must be above 5; numbers by how many seconds ago they were put.
    fn check(missing: Missing, scale: f64, numbers: &[(u64, f64)], expected: AlarmState) {
        let now = Timestamp::from_nanos(1_800_000_000_000_000_000);
        let mut state = build(1, scale, 10, now);
        let metric = Metric { cloud: Cloud::Aws, namespace: "Own".into(), name: "Queue".into(), dimensions: BTreeMap::new() };
        for (ago, value) in numbers {
            let at = Timestamp::from_nanos(now.as_nanos() - i64::try_from(*ago).unwrap() * 1_000_000_000);
            assert!(state.monitoring.put(metric.clone(), Datum::one(at, *value)));
        }
        let alarm = Alarm {
            region: "us-east-1".to_owned(),
            id: String::new(),
            name: "own".into(),
            description: String::new(),
            metric,
            statistic: "Average".into(),
            period: Span::from_secs(60),
            to_alarm: 2,
            evaluations: 3,
            comparison: Comparison::GreaterThanThreshold,
            threshold: 5.0,
            missing,
            enabled: true,
            verdict: Verdict::default(),
        };
        state.monitoring.alarms.insert((Cloud::Aws, "own".into()), alarm);
        state.judge_alarms();
        let verdict = &state.monitoring.alarms[&(Cloud::Aws, "own".to_owned())].verdict;
        assert_eq!(verdict.state, expected, "{missing:?} {numbers:?}: {}", verdict.reason);
    }

    #[test]
    fn an_alarm_needs_enough_breaching_periods() {
        let all = [(10, 9.0), (70, 9.0), (130, 1.0)];
        check(Missing::Missing, 1.0, &all, AlarmState::Alarm);
        check(Missing::Missing, 1.0, &all[1..], AlarmState::Ok);
        check(Missing::Breaching, 1.0, &all[1..], AlarmState::Alarm);
        // The average of a period counts, not its greatest number.
        check(Missing::Missing, 1.0, &[(10, 9.0), (20, 0.0), (70, 9.0), (130, 1.0)], AlarmState::Ok);
        // Sixty times as fast a period is a second, and what was put ten seconds ago is history.
        check(Missing::Missing, 60.0, &all, AlarmState::InsufficientData);
        check(Missing::Missing, 10.0, &[(1, 9.0), (7, 9.0)], AlarmState::Alarm);
    }

    #[test]
    fn silence_is_what_the_alarm_takes_it_for() {
        check(Missing::Missing, 1.0, &[], AlarmState::InsufficientData);
        check(Missing::Ignore, 1.0, &[], AlarmState::InsufficientData);
        check(Missing::Breaching, 1.0, &[], AlarmState::Alarm);
        check(Missing::NotBreaching, 1.0, &[], AlarmState::Ok);
    }

    #[test]
    fn customers_who_were_not_served_are_the_errors() {
        let mut state = build(1, 1.0, 10, Timestamp::from_nanos(1_800_000_000_000_000_000));
        let series = |outcome: &str| crate::data::metrics::Series {
            name: "shop_requests_total".into(),
            labels: [("service", "checkout"), ("server", "a"), ("outcome", outcome)].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        for (seconds, ok, error) in [(0, 10.0, 0.0), (1, 14.0, 0.0), (2, 15.0, 3.0), (3, 15.0, 3.0)] {
            let at = state.now.plus(Duration::from_secs(seconds));
            state.history.push(at, vec![(series("ok"), ok), (series("error"), error)]);
        }
        let dimensions = BTreeMap::from([("Service".to_owned(), "checkout".to_owned())]);
        let metric = Metric { cloud: Cloud::Aws, namespace: SHOP.into(), name: "Errors".into(), dimensions };
        let end = state.now.plus(Duration::from_secs(60));
        let data = state.by_period(&metric, state.now, end, Duration::from_secs(60));
        let read = |name: &str| data[0].statistic(name);
        assert_eq!((data.len(), read("Sum"), read("SampleCount"), read("Average")), (1, Some(3.0), Some(8.0), Some(0.375)));
        assert_eq!((read("Minimum"), read("Maximum"), read("p99")), (Some(0.0), Some(1.0), None));
        state.now = end;
        assert!(state.data(&metric, end, state.now).is_empty());
        let other = Metric { dimensions: BTreeMap::new(), ..metric };
        assert!(state.data(&other, Timestamp::from_nanos(0), state.now).is_empty(), "nothing is added up over dimensions");
    }
}
