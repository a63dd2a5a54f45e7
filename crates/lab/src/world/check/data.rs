//! Buckets, orders, jobs, alarms, request rates and variables.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_notation::time::Span;

use super::super::file::{Orders, WorldFile};
use super::super::state::Cloud;
use super::super::sync::{PAUSED, RUNNING};
use super::{Ids, Problems, at, is_word};

/// As many as stay in the buckets of a lab that goes on for long.
const MOST_ORDERS: u32 = 1000;
/// The variables that a lab gives itself.
const OWN: [&str; 2] = ["name_server", "prometheus"];
const STATISTICS: [&str; 5] = ["Average", "Maximum", "Minimum", "SampleCount", "Sum"];

pub(super) fn check(file: &WorldFile, ids: &Ids<'_>, found: &mut Problems) {
    let buckets: BTreeMap<&str, Cloud> = file.buckets.iter().map(|bucket| (bucket.name.as_str(), bucket.cloud)).collect();
    found.most("buckets", file.buckets.len(), 200);
    let mut names = BTreeSet::new();
    for (number, bucket) in file.buckets.iter().enumerate() {
        let is_plain = bucket.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        if !(3..=63).contains(&bucket.name.len()) || !is_plain {
            found.say(at!["buckets", number, "name"], format!("`{}` cannot be a bucket", bucket.name), "3 to 63 small letters, digits, `-` and `.`");
        } else if !names.insert(&bucket.name) {
            found.say(at!["buckets", number, "name"], format!("the bucket `{}` is there already", bucket.name), "names are unique over both clouds");
        }
        found.region(at!["buckets", number, "region"], &bucket.region, bucket.cloud, file);
        for (index, object) in bucket.objects.iter().enumerate() {
            if object.key.is_empty() || object.key.len() > 1024 {
                found.say(at!["buckets", number, "objects", index, "key"], "this cannot be a key", "1 to 1024 bytes");
            }
        }
    }
    if let Some(orders) = &file.orders {
        check_orders(orders, file, ids, &buckets, found);
    }
    jobs(file, found);
    alarms(file, found);
    rates(file, found);
    found.most("vars", file.vars.len(), 500);
    for (name, value) in &file.vars {
        if OWN.contains(&name.as_str()) {
            found.say(at!["vars", name], format!("the lab gives `{name}` itself"), "remove it");
        } else if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name.is_empty() || name.len() > 64 {
            found.say(at!["vars", name], format!("`{name}` cannot be a variable"), "letters, digits and `_`, at most 64");
        }
        if value.len() > 1000 {
            found.say(at!["vars", name], format!("the value has {} bytes", value.len()), "at most 1000");
        }
    }
}

fn check_orders(orders: &Orders, file: &WorldFile, ids: &Ids<'_>, buckets: &BTreeMap<&str, Cloud>, found: &mut Problems) {
    found.leads(at!["orders", "source"], &orders.source, Cloud::Aliyun, buckets, "bucket");
    found.leads(at!["orders", "mirror"], &orders.mirror, Cloud::Aws, buckets, "bucket");
    if !ids.subnets.contains_key(orders.worker_subnet.as_str()) {
        found.say(at!["orders", "worker_subnet"], format!("there is no subnet `{}`", orders.worker_subnet), "name one of `subnets`");
    }
    if !file.services.iter().any(|service| service.name == orders.service) {
        found.say(at!["orders", "service"], format!("there is no service `{}`", orders.service), "name one of `services`");
    }
    if orders.already > MOST_ORDERS {
        found.say(at!["orders", "already"], format!("there are {} orders at the beginning", orders.already), format!("0 to {MOST_ORDERS}"));
    }
    if orders.prefix.len() > 512 {
        found.say(at!["orders", "prefix"], "the prefix is too long", "at most 512 bytes");
    }
}

fn jobs(file: &WorldFile, found: &mut Problems) {
    found.most("jobs", file.jobs.len(), 200);
    let mut known = BTreeSet::new();
    for (number, job) in file.jobs.iter().enumerate() {
        for (key, id) in [("id", &job.id), ("instance", &job.instance)] {
            if !is_word(id) {
                found.say(at!["jobs", number, key], format!("`{id}` cannot be an id here"), "letters, digits, `-`, `_` and `.`, at most 64");
            } else if !known.insert(id) {
                found.say(at!["jobs", number, key], format!("`{id}` is there already"), "give each job an id and an instance of its own");
            }
        }
        found.region(at!["jobs", number, "region"], &job.region, Cloud::Aliyun, file);
        if ![RUNNING, PAUSED].contains(&job.status.as_str()) {
            found.say(at!["jobs", number, "status"], format!("`{}` is no status", job.status), format!("write `{RUNNING}` or `{PAUSED}`"));
        }
    }
}

fn alarms(file: &WorldFile, found: &mut Problems) {
    found.most("alarms", file.alarms.len(), 200);
    let mut known = BTreeSet::new();
    for (number, alarm) in file.alarms.iter().enumerate() {
        let at = |key: &str| at!["alarms", number, key];
        if alarm.id.is_empty() == (alarm.metric.cloud == Cloud::Aliyun) {
            found.say(at("id"), "CloudMonitor finds a rule by its `id`, CloudWatch an alarm by its name", "write `id` on aliyun alone");
        } else if alarm.key().is_empty() || alarm.key().len() > 255 || !known.insert((alarm.metric.cloud, alarm.key())) {
            found.say(at("name"), format!("`{}` is there already, or no name", alarm.key()), "give each alarm a name of its own");
        }
        found.region(at("region"), &alarm.region, alarm.metric.cloud, file);
        if alarm.period < Span::from_secs(1) || alarm.period > Span::from_secs(86_400) {
            found.say(at("period"), format!("a period of {}", alarm.period), "1s to 1d");
        }
        if !(1..=100).contains(&alarm.evaluations) {
            found.say(at("evaluations"), format!("{} periods", alarm.evaluations), "1 to 100");
        } else if !(1..=alarm.evaluations).contains(&alarm.to_alarm) {
            found.say(at("to_alarm"), format!("{} of {} periods cannot breach", alarm.to_alarm, alarm.evaluations), "1 to `evaluations`");
        }
        if !alarm.threshold.is_finite() {
            found.say(at("threshold"), "the threshold is no number", "write a number");
        }
        if !STATISTICS.contains(&alarm.statistic.as_str()) {
            found.say(at("statistic"), format!("`{}` is no statistic", alarm.statistic), format!("one of {}", STATISTICS.join(", ")));
        }
    }
}

fn rates(file: &WorldFile, found: &mut Problems) {
    found.most("throttling", file.throttling.len(), 1000);
    for (number, rate) in file.throttling.iter().enumerate() {
        // Not a number is in no range.
        if !(1.0..=1_000_000.0).contains(&rate.burst) {
            found.say(at!["throttling", number, "burst"], format!("{} calls at once", rate.burst), "1 to 1000000");
        }
        if !(0.001..=1_000_000.0).contains(&rate.per_second) {
            found.say(at!["throttling", number, "per_second"], format!("{} calls per second", rate.per_second), "0.001 to 1000000");
        }
    }
}
