//! What monitoring sees: one sample of every series, as text for a Prometheus and as a short history for the lab's own query API.
//!
//! Nothing here is ground truth: whether a service is up is what the simulated customers met.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lifeboat_notation::time::Timestamp;

use crate::world::World;
use crate::world::state::State;
use crate::world::sync::RUNNING;

/// How often all series are sampled for the history.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// How many samples of a series are kept: ten minutes.
const KEPT: usize = 3000;

/// The metrics: name, type, help.
const METRICS: [(&str, &str, &str); 9] = [
    ("shop_requests_total", "counter", "Requests of simulated customers by service, server and outcome (ok, error, timeout)."),
    ("shop_service_up", "gauge", "1 when the latest request of a simulated customer was served."),
    ("shop_server_up", "gauge", "1 when the server's instance runs and its checks are ok."),
    ("shop_orders_total", "counter", "Orders taken."),
    ("shop_orders_copied_total", "counter", "Orders copied from one cloud to the other."),
    ("shop_replication_lag_seconds", "gauge", "Age of the oldest order that is in one cloud only."),
    ("dts_job_synchronizing", "gauge", "1 while the synchronisation job has the status Synchronizing."),
    ("dns_record_weight", "gauge", "Weight of a record as its DNS API holds it; 0 when it is switched off."),
    ("lab_api_calls_total", "counter", "Calls of the vendors' APIs by cloud, service, action and code."),
];

/// A series: a metric's name and its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

impl fmt::Display for Series {
    /// As in the text exposition format.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (name, value)) in self.labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{}{name}=\"{value}\"", if index == 0 { '{' } else { ',' })?;
        }
        f.write_str(if self.labels.is_empty() { "" } else { "}" })
    }
}

/// The samples of the last minutes, by series.
#[derive(Debug, Default)]
pub(crate) struct History {
    series: Mutex<BTreeMap<Series, VecDeque<(Timestamp, f64)>>>,
}

impl History {
    /// Takes one sample of everything.
    pub(crate) fn sample(&self, world: &World) {
        let (now, samples) = {
            let state = world.lock();
            (state.now, samples(&state))
        };
        self.push(now, samples);
    }

    /// Appends samples; times must not go back.
    pub(crate) fn push(&self, now: Timestamp, samples: Vec<(Series, f64)>) {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (series, value) in samples {
            let points = all.entry(series).or_default();
            if points.len() == KEPT {
                points.pop_front();
            }
            points.push_back((now, value));
        }
    }

    /// How much the counters with these labels went up, together, at each sample since a moment.
    pub(crate) fn steps(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        since: Timestamp,
        chosen: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> BTreeMap<Timestamp, f64> {
        let wanted = |series: &Series| is_of(series, name, labels) && chosen(&series.labels);
        let mut steps = BTreeMap::new();
        let mut add = |_: &Series, points: &VecDeque<(Timestamp, f64)>| -> Option<()> {
            let first = points.partition_point(|(at, _)| *at < since);
            let steps_since = points.range(first.saturating_sub(1)..).zip(points.range(first.max(1).min(points.len())..));
            for ((_, before), (at, after)) in steps_since {
                *steps.entry(*at).or_default() += (after - before).max(0.0);
            }
            None
        };
        self.select(wanted, &mut add);
        steps
    }

    /// The gauge with these labels at each sample since a moment.
    pub(crate) fn values(&self, name: &str, labels: &BTreeMap<String, String>, since: Timestamp) -> BTreeMap<Timestamp, f64> {
        let recent = |points: &VecDeque<(Timestamp, f64)>| points.range(points.partition_point(|(at, _)| *at < since)..).copied().collect::<Vec<_>>();
        let points = self.select(|series| is_of(series, name, labels), |_, points| Some(recent(points)));
        points.into_iter().flatten().collect()
    }

    /// Visits the points of every series that `wanted` chooses, oldest first.
    pub(super) fn select<T>(
        &self,
        wanted: impl Fn(&Series) -> bool,
        mut visit: impl FnMut(&Series, &VecDeque<(Timestamp, f64)>) -> Option<T>,
    ) -> Vec<T> {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(series, _)| wanted(series)).filter_map(|(series, points)| visit(series, points)).collect()
    }
}

fn is_of(series: &Series, name: &str, labels: &BTreeMap<String, String>) -> bool {
    series.name == name && labels.iter().all(|(label, value)| series.labels.get(label) == Some(value))
}

/// The text exposition format, version 0.0.4.
pub(crate) fn exposition(state: &State) -> String {
    let mut text = String::new();
    let samples = samples(state);
    for (name, kind, help) in METRICS {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (series, value) in samples.iter().filter(|(series, _)| series.name == name) {
            text.push_str(&format!("{series} {value}\n"));
        }
    }
    text
}

/// Every series as of now.
fn samples(state: &State) -> Vec<(Series, f64)> {
    let mut samples = Samples(Vec::new());
    requests(state, &mut samples);
    for (service, is_served) in &state.counters.served {
        samples.add("shop_service_up", &[("service", service)], flag(*is_served));
    }
    for instance in state.instances.values() {
        let labels = [("server", instance.id.as_str()), ("cloud", instance.cloud.name()), ("role", &instance.service)];
        samples.add("shop_server_up", &labels, flag(state.is_healthy(instance)));
    }
    samples.add("shop_orders_total", &[], count(state.counters.orders_written));
    samples.add("shop_orders_copied_total", &[], count(state.counters.orders_copied));
    let lag = state.counters.oldest_uncopied.map_or(0.0, |oldest| state.now.since(oldest).as_secs_f64());
    samples.add("shop_replication_lag_seconds", &[], lag);
    for job in state.jobs.values() {
        samples.add("dts_job_synchronizing", &[("sync_job", &job.id)], flag(job.status == RUNNING));
    }
    for zone in &state.zones {
        for record in &zone.records {
            let (Some(weight), Some(side)) = (record.weight, &record.set_identifier) else { continue };
            let name = crate::world::names::record_key(zone, &record.name, &record.kind).0;
            let labels = [("name", name.as_str()), ("type", &record.kind), ("side", side), ("values", &record.values.join(","))];
            samples.add("dns_record_weight", &labels, if record.enabled { f64::from(weight) } else { 0.0 });
        }
    }
    for ((cloud, service, action, code), calls) in &state.counters.api_calls {
        samples.add("lab_api_calls_total", &[("cloud", cloud), ("service", service), ("action", action), ("code", code)], count(*calls));
    }
    samples.0
}

/// Every counter that a service's customers may raise exists from the beginning: a rate over one that appears later would miss its first step.
fn requests(state: &State, samples: &mut Samples) {
    let mut counts: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for service in state.services.values() {
        let servers = state.instances.values().filter(|instance| service.name.split('-').next() == Some(instance.service.as_str()));
        for server in servers.map(|instance| instance.id.as_str()).chain(["none"]) {
            for outcome in ["ok", "error", "timeout"] {
                counts.insert((&service.name, server, outcome), 0);
            }
        }
    }
    counts.extend(
        state.counters.requests.iter().map(|((service, server, outcome), count)| ((service.as_str(), server.as_str(), outcome.as_str()), *count)),
    );
    for ((service, server, outcome), requests) in counts {
        let cloud = state.instances.get(server).map_or("none", |instance| instance.cloud.name());
        samples.add("shop_requests_total", &[("service", service), ("server", server), ("cloud", cloud), ("outcome", outcome)], count(requests));
    }
}

struct Samples(Vec<(Series, f64)>);

impl Samples {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.push((Series { name: name.to_owned(), labels }, value));
    }
}

fn flag(is_set: bool) -> f64 {
    if is_set { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts in the lab stay far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::build::build;

    #[test]
    fn the_exposition_has_every_metric_with_its_type() {
        let mut state = build(1, 1.0, 10, Timestamp::from_nanos(0));
        assert!(!exposition(&state).contains("shop_service_up{"), "unknown before the first customer");
        state.counters.served.insert("storefront".into(), true);
        let text = exposition(&state);
        for (name, kind, _) in METRICS {
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
        }
        assert!(text.contains("shop_service_up{service=\"storefront\"} 1\n"));
        assert!(text.contains("dts_job_synchronizing{sync_job=\"dtsorders-standby\"} 0\n"));
        assert!(text.contains("dns_record_weight{name=\"shop.example.cn\",side=\"aws\",type=\"A\",values=\"127.10.1.11\"} 0\n"));
        assert!(text.contains("shop_requests_total{cloud=\"none\",outcome=\"error\",server=\"none\",service=\"checkout\"} 0\n"));
    }

    #[test]
    fn the_lag_is_the_age_of_the_oldest_order_on_one_side_only() {
        let mut state = build(1, 1.0, 10, Timestamp::from_nanos(0));
        state.counters.oldest_uncopied = Some(state.now);
        state.now = state.now.plus(Duration::from_millis(1500));
        assert!(exposition(&state).contains("shop_replication_lag_seconds 1.5\n"));
    }

    #[test]
    fn label_values_are_escaped() {
        let series = Series { name: "m".into(), labels: BTreeMap::from([("l".into(), "a\"b\\c\nd".into())]) };
        assert_eq!(series.to_string(), r#"m{l="a\"b\\c\nd"}"#);
    }
}
