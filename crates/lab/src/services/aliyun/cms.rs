//! Between CloudMonitor calls and the world's monitoring: numbers, and the rules over them. Failures of this product come with HTTP 200,
//! `Success: false` and a number as their code; numbers come as JSON inside a string.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_notation::time::{Span, Timestamp};
use serde_json::{Map, Value, json};

use super::{Action, changes, reads};
use crate::wire::aliyun_rpc::{ApiError, Call, Page};
use crate::world::monitoring::{Alarm, AlarmState, Comparison, Datum, FIRST_LOOK, Metric, Missing, Verdict};
use crate::world::state::{Cloud, State};

pub(super) const ACTIONS: &[Action] = &[
    reads("DescribeMetricLast", describe_metric_last).anywhere(),
    reads("DescribeMetricList", describe_metric_list).anywhere(),
    reads("DescribeMetricRuleList", describe_metric_rule_list).anywhere(),
    changes("PutResourceMetricRule", put_resource_metric_rule).anywhere(),
    changes("EnableMetricRules", enable_metric_rules).anywhere(),
    changes("DisableMetricRules", disable_metric_rules).anywhere(),
    changes("DeleteMetricRules", delete_metric_rules).anywhere(),
];

/// The most rules of an account.
const MOST: usize = 500;

/// How far back the newest number is looked for.
const RECENT: Duration = Duration::from_secs(600);

const STATISTICS: [&str; 5] = ["Average", "Minimum", "Maximum", "Sum", "Value"];

/// What goes wrong inside an answer with HTTP 200.
struct Refused(u16, String);

impl Refused {
    fn parameter(name: &str) -> Self {
        Self(400, format!("The parameter {name} is missing or not valid."))
    }
}

type Answered<T = Value> = Result<T, Refused>;

/// The outer fields of every answer.
fn outcome(result: Answered) -> Value {
    match result {
        Ok(Value::Object(fields)) => {
            let mut outcome = Map::from_iter([("Code".to_owned(), json!("200")), ("Success".to_owned(), json!(true))]);
            outcome.extend(fields);
            Value::Object(outcome)
        }
        Ok(_) => json!({ "Code": "200", "Success": true }),
        Err(Refused(code, message)) => json!({ "Code": code.to_string(), "Success": false, "Message": message }),
    }
}

fn need<'a>(call: &'a Call, name: &str) -> Answered<&'a str> {
    call.text(name).ok_or_else(|| Refused::parameter(name))
}

/// Dimensions as callers write them: an object, or a list of objects.
fn dimensions(call: &Call, name: &str) -> Answered<Vec<BTreeMap<String, String>>> {
    let Some(text) = call.text(name) else { return Ok(Vec::new()) };
    let read = |value: Value| serde_json::from_value::<BTreeMap<String, String>>(value).map_err(|_| Refused::parameter(name));
    match serde_json::from_str(text) {
        Ok(Value::Array(items)) => items.into_iter().map(read).collect(),
        Ok(one @ Value::Object(_)) => Ok(vec![read(one)?]),
        _ => Err(Refused::parameter(name)),
    }
}

/// The series that a call means, and the length of its periods.
fn asked(state: &State, call: &Call) -> Answered<(Vec<Metric>, Duration)> {
    let (namespace, name) = (need(call, "Namespace")?, need(call, "MetricName")?);
    let wanted = dimensions(call, "Dimensions")?;
    let of_name: Vec<Metric> = state.metrics(Cloud::Aliyun).into_iter().map(|(metric, _)| metric).collect();
    let of_name: Vec<Metric> = of_name.into_iter().filter(|metric| metric.namespace == namespace && metric.name == name).collect();
    if of_name.is_empty() {
        return Err(Refused(400, "metric not found".to_owned()));
    }
    let fits = |metric: &Metric| {
        let has = |wanted: &BTreeMap<String, String>| wanted.iter().all(|(name, value)| metric.dimensions.get(name) == Some(value));
        wanted.is_empty() || wanted.iter().any(has)
    };
    let period =
        call.text("Period").unwrap_or("60").parse::<u64>().ok().filter(|seconds| matches!(seconds, 15 | 30) || (*seconds > 0 && seconds % 60 == 0));
    let period = period.ok_or_else(|| Refused::parameter("Period"))?;
    Ok((of_name.into_iter().filter(fits).collect(), Duration::from_secs(period)))
}

fn point(state: &State, metric: &Metric, datum: &Datum) -> Value {
    let mut point = json!({ "timestamp": datum.at.as_nanos().div_euclid(1_000_000), "userId": state.accounts.aliyun });
    if let Some(point) = point.as_object_mut() {
        point.extend(metric.dimensions.iter().map(|(name, value)| (name.clone(), json!(value))));
        point.extend(STATISTICS.iter().filter_map(|name| Some(((*name).to_owned(), json!(datum.statistic(name)?)))));
    }
    point
}

/// A time as the vendor takes it: milliseconds, or a date.
fn time(call: &Call, name: &str) -> Answered<Option<Timestamp>> {
    let Some(text) = call.text(name) else { return Ok(None) };
    let millis = text.parse::<i64>().ok().and_then(|millis| millis.checked_mul(1_000_000)).map(Timestamp::from_nanos);
    let date = || {
        // Dates without a zone are China's.
        let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
        let zone = chrono::FixedOffset::east_opt(8 * 3600)?;
        Some(Timestamp::from_nanos(naive.and_local_timezone(zone).single()?.timestamp_nanos_opt()?))
    };
    millis.or_else(date).or_else(|| text.parse().ok()).map(Some).ok_or_else(|| Refused::parameter(name))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn describe_metric_last(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(outcome(last(state, call)))
}

fn last(state: &State, call: &Call) -> Answered {
    let (metrics, period) = asked(state, call)?;
    let back = |span: Duration| Timestamp::from_nanos(state.now.as_nanos().saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)));
    let from = time(call, "StartTime")?.unwrap_or_else(|| back(RECENT.max(period * 3)));
    // A period is there once it is over.
    let length = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
    let whole = Timestamp::from_nanos(state.now.as_nanos().div_euclid(length) * length);
    let to = time(call, "EndTime")?.map_or(whole, |to| to.min(whole));
    let newest = |metric: &Metric| state.by_period(metric, from, to, period).pop().map(|datum| point(state, metric, &datum));
    let points: Vec<Value> = metrics.iter().filter_map(newest).collect();
    Ok(json!({ "Period": period.as_secs().to_string(), "Datapoints": Value::from(points).to_string() }))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn describe_metric_list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(outcome(all(state, call)))
}

fn all(state: &State, call: &Call) -> Answered {
    let (metrics, period) = asked(state, call)?;
    let from = time(call, "StartTime")?.unwrap_or_else(|| Timestamp::from_nanos(0));
    let to = time(call, "EndTime")?.unwrap_or(state.now);
    let size = call.number("Length", 1..=1440).map_err(|_| Refused::parameter("Length"))?.unwrap_or(1000) as usize;
    let start: usize = call.text("NextToken").map_or(Ok(0), str::parse).map_err(|_| Refused::parameter("NextToken"))?;
    let every: Vec<Value> = metrics
        .iter()
        .flat_map(|metric| state.by_period(metric, from, to, period).into_iter().map(move |datum| point(state, metric, &datum)))
        .collect();
    let end = start.saturating_add(size);
    let mut fields = json!({ "Period": period.as_secs().to_string() });
    if end < every.len() {
        fields["NextToken"] = json!(end.to_string());
    }
    fields["Datapoints"] = json!(every.into_iter().skip(start).take(size).collect::<Value>().to_string());
    Ok(fields)
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn describe_metric_rule_list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    state.judge_alarms();
    Ok(outcome(rules(state, call)))
}

fn rules(state: &State, call: &Call) -> Answered {
    let page = |name: &str, range, default| call.number(name, range).map(|number| number.unwrap_or(default)).map_err(|_| Refused::parameter(name));
    let page = Page { number: page("Page", 1..=u32::MAX, 1)?, size: page("PageSize", 1..=100, 10)? };
    let listed = |list: Option<&str>, id: &str| list.is_none_or(|list| list.split(',').any(|one| one == id));
    let enabled = call.flag("EnableState").map_err(|_| Refused::parameter("EnableState"))?;
    let found: Vec<Value> = state
        .monitoring
        .alarms
        .values()
        .filter(|rule| rule.metric.cloud == Cloud::Aliyun && listed(call.text("RuleIds"), &rule.id))
        // As the vendor does, by part of the name.
        .filter(|rule| call.text("RuleName").is_none_or(|name| rule.name.contains(name)))
        .filter(|rule| call.text("Namespace").is_none_or(|namespace| rule.metric.namespace == namespace))
        .filter(|rule| call.text("MetricName").is_none_or(|name| rule.metric.name == name))
        .filter(|rule| call.text("AlertState").is_none_or(|wanted| json!(rule.verdict.state) == wanted))
        .filter(|rule| enabled.is_none_or(|enabled| rule.enabled == enabled))
        .map(shown)
        .collect();
    Ok(json!({ "Total": found.len().to_string(), "Alarms": { "Alarm": page.cut(found) } }))
}

fn shown(rule: &Alarm) -> Value {
    let resources = json!([rule.metric.dimensions]).to_string();
    json!({
        "RuleId": rule.id,
        "RuleName": rule.name,
        "Namespace": rule.metric.namespace,
        "MetricName": rule.metric.name,
        "Period": (rule.period.as_millis() / 1000).to_string(),
        "Dimensions": resources,
        "Resources": resources,
        "AlertState": rule.verdict.state,
        "EnableState": rule.enabled,
        "SourceType": "METRIC",
        "ContactGroups": "lab",
        "SilenceTime": 86400,
        "EffectiveInterval": "00:00-23:59",
        "NoDataPolicy": no_data_policy(rule.missing),
        "Escalations": { "Critical": {
            "Statistics": rule.statistic,
            "ComparisonOperator": rule.comparison,
            "Threshold": rule.threshold.to_string(),
            "Times": rule.evaluations,
        }, "Info": {}, "Warn": {} },
    })
}

const fn no_data_policy(missing: Missing) -> &'static str {
    match missing {
        Missing::NotBreaching => "OK",
        Missing::Missing => "INSUFFICIENT_DATA",
        Missing::Ignore | Missing::Breaching => "KEEP_LAST_STATE",
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn put_resource_metric_rule(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(outcome(put(state, call)))
}

fn put(state: &mut State, call: &Call) -> Answered {
    let id = need(call, "RuleId")?.to_owned();
    let of = |name: &str| need(call, &format!("Escalations.Critical.{name}"));
    let seconds =
        call.text("Period").unwrap_or("60").parse::<u64>().ok().filter(|seconds| matches!(seconds, 15 | 30) || (*seconds > 0 && seconds % 60 == 0));
    let resources = dimensions(call, "Resources")?;
    let [resource] = resources.as_slice() else {
        return Err(Refused(400, "The lab has rules over one resource.".to_owned()));
    };
    let statistic = of("Statistics")?;
    if !STATISTICS.contains(&statistic) {
        return Err(Refused::parameter("Escalations.Critical.Statistics"));
    }
    let comparison: Comparison =
        serde_json::from_value(json!(of("ComparisonOperator")?)).map_err(|_| Refused::parameter("Escalations.Critical.ComparisonOperator"))?;
    let times = call.text("Escalations.Critical.Times").unwrap_or("3").parse::<u32>().ok().filter(|times| (1..=100).contains(times));
    let times = times.ok_or_else(|| Refused::parameter("Escalations.Critical.Times"))?;
    let threshold = of("Threshold")?.parse::<f64>().ok().filter(|threshold| threshold.is_finite());
    let mut rule = Alarm {
        id: id.clone(),
        name: need(call, "RuleName")?.to_owned(),
        region: state.here(Cloud::Aliyun).to_owned(),
        description: String::new(),
        metric: Metric {
            cloud: Cloud::Aliyun,
            namespace: need(call, "Namespace")?.to_owned(),
            name: need(call, "MetricName")?.to_owned(),
            dimensions: resource.clone(),
        },
        statistic: statistic.to_owned(),
        period: Span::from_secs(seconds.ok_or_else(|| Refused::parameter("Period"))?),
        to_alarm: times,
        evaluations: times,
        comparison,
        threshold: threshold.ok_or_else(|| Refused::parameter("Escalations.Critical.Threshold"))?,
        missing: match call.text("NoDataPolicy") {
            None | Some("KEEP_LAST_STATE") => Missing::Ignore,
            Some("INSUFFICIENT_DATA") => Missing::Missing,
            Some("OK") => Missing::NotBreaching,
            Some(_) => return Err(Refused::parameter("NoDataPolicy")),
        },
        enabled: true,
        verdict: Verdict::default(),
    };
    need(call, "ContactGroups")?;
    let key = (Cloud::Aliyun, id);
    if !state.monitoring.alarms.contains_key(&key) && state.monitoring.alarms.len() >= MOST {
        return Err(Refused(403, "The quota of rules is used up.".to_owned()));
    }
    rule.verdict.state = state.monitoring.alarms.get(&key).map_or(AlarmState::InsufficientData, |before| before.verdict.state);
    rule.verdict.next = state.now.plus(FIRST_LOOK);
    state.monitoring.alarms.insert(key, rule);
    Ok(json!({}))
}

/// Those of the rules in `name.1`, `name.2`, … that are there.
fn named(state: &State, call: &Call, name: &str) -> Answered<Vec<(Cloud, String)>> {
    let ids = call.list(name);
    if ids.is_empty() {
        return Err(Refused::parameter(name));
    }
    let keys: Vec<_> = ids.into_iter().map(|id| (Cloud::Aliyun, id.to_owned())).collect();
    match keys.iter().find(|key| !state.monitoring.alarms.contains_key(key)) {
        Some((_, absent)) => Err(Refused(404, format!("The rule {absent} does not exist."))),
        None => Ok(keys),
    }
}

fn switch(state: &mut State, call: &Call, on: bool) -> Value {
    outcome(named(state, call, "RuleId").map(|keys| {
        for key in keys {
            if let Some(rule) = state.monitoring.alarms.get_mut(&key) {
                rule.enabled = on;
            }
        }
        json!({})
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn enable_metric_rules(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(switch(state, call, true))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn disable_metric_rules(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(switch(state, call, false))
}

#[expect(clippy::unnecessary_wraps, reason = "every handler of the table may fail; this product says so inside its answers")]
fn delete_metric_rules(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    Ok(outcome(named(state, call, "Id").map(|keys| {
        for key in keys {
            state.monitoring.alarms.remove(&key);
        }
        json!({})
    })))
}
