//! CloudMonitor behind the metrics port.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::model::time::Timestamp;
use crate::ports::metrics::{Alarm, AlarmState, MetricQuery, Metrics, Point};
use crate::ports::{CloudError, Kind, PortFuture};

const RULES: Api = Api::reads("cms:DescribeMetricRuleList");
const LAST: Api = Api::reads("cms:DescribeMetricLast");

/// The most rules of one answer.
const PAGE: usize = 100;

/// The most pages that are looked through for a name.
const PAGES: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rules {
    #[serde(default)]
    alarms: RuleList,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleList {
    #[serde(default)]
    alarm: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    rule_id: String,
    rule_name: String,
    alert_state: String,
    enable_state: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Last {
    /// JSON inside a string; absent or empty when there is nothing.
    #[serde(default)]
    datapoints: Option<String>,
}

impl Metrics for Aliyun {
    fn alarm<'a>(&'a self, name: &'a str) -> PortFuture<'a, Alarm> {
        Box::pin(async move {
            let mut found: Option<Rule> = None;
            // The service finds by part of the name, so the whole one may stand on a later page.
            for page in 1..=PAGES {
                let params = Params::new().set("RegionId", self.region()).set("RuleName", name).set("Page", page).set("PageSize", PAGE);
                let rules = self.rpc::<Rules>(RULES, &params).await?.alarms.alarm;
                let is_last = rules.len() < PAGE;
                for rule in rules.into_iter().filter(|rule| rule.rule_name == name) {
                    if let Some(other) = found {
                        let message = format!("the rules {} and {} are both called `{name}`", other.rule_id, rule.rule_id);
                        return Err(RULES.error(Kind::Invalid, message));
                    }
                    found = Some(rule);
                }
                if is_last {
                    break;
                }
            }
            let rule = found.ok_or_else(|| RULES.error(Kind::NotFound, format!("there is no rule called `{name}`")))?;
            Ok(Alarm { state: state(&rule)?, reason: String::new() })
        })
    }

    fn latest<'a>(&'a self, query: &'a MetricQuery) -> PortFuture<'a, Vec<Point>> {
        Box::pin(async move {
            let params = Params::new()
                .set("RegionId", self.region())
                .set("Namespace", &query.namespace)
                .set("MetricName", &query.metric)
                .set("Period", query.period.as_secs())
                .maybe("Dimensions", (!query.dimensions.is_empty()).then(|| json!([query.dimensions])));
            let last = self.rpc::<Last>(LAST, &params).await?;
            points(last.datapoints.as_deref().unwrap_or_default(), &query.statistic)
        })
    }
}

fn state(rule: &Rule) -> Result<AlarmState, CloudError> {
    if rule.enable_state == Some(false) {
        return Ok(AlarmState::Off);
    }
    match rule.alert_state.as_str() {
        "OK" => Ok(AlarmState::Ok),
        "ALARM" => Ok(AlarmState::Alarm),
        "INSUFFICIENT_DATA" => Ok(AlarmState::InsufficientData),
        other => Err(RULES.malformed(format!("the rule is in the unknown state `{other}`"))),
    }
}

/// The numbers in a list of points; each holds its time, its dimensions and one field for each statistic.
fn points(text: &str, statistic: &str) -> Result<Vec<Point>, CloudError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|_| LAST.malformed("the data points are no JSON list"))?;
    all.iter()
        .map(|point| {
            let value = point.get(statistic).and_then(Value::as_f64).ok_or_else(|| {
                let known: Vec<&str> =
                    point.iter().filter(|(name, value)| value.is_number() && *name != "timestamp").map(|(name, _)| name.as_str()).collect();
                LAST.error(Kind::Invalid, format!("the metric has no `{statistic}`; it has {}", known.join(", ")))
            })?;
            let at = point.get("timestamp").and_then(Value::as_i64).ok_or_else(|| LAST.malformed("a data point without time"))?;
            Ok(Point { at: Timestamp::from_nanos(at.saturating_mul(1_000_000)), value })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_out_of_their_string() {
        let text = r#"[{"timestamp":1548777660000,"userId":"1234","instanceId":"i-1","Minimum":9.5,"Average":10,"Maximum":11.5}]"#;
        let found = points(text, "Average").unwrap();
        assert_eq!(found, [Point { at: Timestamp::from_nanos(1_548_777_660_000_000_000), value: 10.0 }]);
        assert!(points(text, "Sum").unwrap_err().message.contains("it has Minimum, Average, Maximum"));
        assert_eq!(points("[]", "Average").unwrap(), []);
        assert_eq!(points("", "Average").unwrap(), []);
        assert_eq!(points("{}", "Average").unwrap_err().kind, Kind::Malformed);
        assert_eq!(points(r#"[{"Average":1}]"#, "Average").unwrap_err().kind, Kind::Malformed);
    }
}
