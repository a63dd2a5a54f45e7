//! CloudWatch behind the metrics port. The SDK speaks Smithy RPC v2 CBOR here, unlike the aws CLI.

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StateValue, StatusCode};
use chrono::Utc;

use super::Aws;
use super::call::send;
use crate::model::time::Timestamp;
use crate::ports::metrics::{Alarm, AlarmState, MetricQuery, Metrics, Point};
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const ALARMS: &str = "cloudwatch:DescribeAlarms";
const DATA: &str = "cloudwatch:GetMetricData";

/// How many whole periods back the newest number is looked for: services deliver theirs up to three minutes late.
const PERIODS: i64 = 5;

/// The name of the one query of a call.
const QUERY: &str = "m";

impl Metrics for Aws {
    fn alarm<'a>(&'a self, name: &'a str) -> PortFuture<'a, Alarm> {
        Box::pin(async move {
            let operation = self.reading(ALARMS)?;
            let request = self.shared.cloudwatch.describe_alarms().alarm_names(name);
            // Without types only those over a single metric are told of.
            let request = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
            let answer = send!(operation, aws_sdk_cloudwatch, request)?;
            let over_metrics = answer.metric_alarms().iter().filter(|alarm| alarm.alarm_name() == Some(name));
            let over_alarms = answer.composite_alarms().iter().filter(|alarm| alarm.alarm_name() == Some(name));
            let (state, reason) = over_metrics
                .map(|alarm| (alarm.state_value(), alarm.state_reason()))
                .chain(over_alarms.map(|alarm| (alarm.state_value(), alarm.state_reason())))
                .next()
                .ok_or_else(|| CloudError::new(Cloud::Aws, ALARMS, Kind::NotFound, format!("there is no alarm `{name}`")))?;
            let state = match state {
                Some(StateValue::Ok) => AlarmState::Ok,
                Some(StateValue::Alarm) => AlarmState::Alarm,
                Some(StateValue::InsufficientData) => AlarmState::InsufficientData,
                other => return Err(malformed(ALARMS, format!("the alarm is in the unknown state `{}`", other.map_or("", StateValue::as_str)))),
            };
            Ok(Alarm { state, reason: reason.unwrap_or_default().to_owned() })
        })
    }

    fn latest<'a>(&'a self, query: &'a MetricQuery) -> PortFuture<'a, Vec<Point>> {
        Box::pin(async move {
            let seconds = i32::try_from(query.period.as_secs()).ok().filter(|seconds| *seconds > 0);
            let seconds = seconds.ok_or_else(|| CloudError::new(Cloud::Aws, DATA, Kind::Invalid, "a period has at least a second"))?;
            let metric = Metric::builder()
                .namespace(&query.namespace)
                .metric_name(&query.metric)
                .set_dimensions(Some(query.dimensions.iter().map(|(name, value)| Dimension::builder().name(name).value(value).build()).collect()))
                .build();
            let stat = MetricStat::builder().metric(metric).period(seconds).stat(&query.statistic).build();
            let period = i64::from(seconds);
            // The period that is not over yet would give half a sum.
            let end = Utc::now().timestamp().div_euclid(period) * period;
            let request = self
                .shared
                .cloudwatch
                .get_metric_data()
                .metric_data_queries(MetricDataQuery::builder().id(QUERY).metric_stat(stat).build())
                .start_time(DateTime::from_secs(end - PERIODS * period))
                .end_time(DateTime::from_secs(end))
                .scan_by(ScanBy::TimestampDescending);
            let operation = self.reading(DATA)?;
            let answer = send!(operation, aws_sdk_cloudwatch, request)?;
            let result = answer.metric_data_results().iter().find(|result| result.id() == Some(QUERY));
            let result = result.ok_or_else(|| malformed(DATA, "the answer lacks what was asked for"))?;
            // Anything but these says that numbers may be there which it did not get at
            // (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataResult.html, StatusCode).
            let is_whole = match result.status_code() {
                None | Some(StatusCode::Complete) => true,
                Some(StatusCode::PartialData) => !result.values().is_empty(),
                Some(_) => false,
            };
            if !is_whole {
                let why = result.messages().iter().chain(answer.messages()).find_map(|message| message.value()).unwrap_or("without a reason");
                let code = result.status_code().map_or("", StatusCode::as_str);
                return Err(CloudError::new(Cloud::Aws, DATA, Kind::Unavailable, format!("the numbers could not be got at: {why}")).code(code));
            }
            let newest = result.timestamps().first().zip(result.values().first());
            Ok(newest.map(|(at, value)| Point { at: timestamp(at), value: *value }).into_iter().collect())
        })
    }
}

fn timestamp(at: &DateTime) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))
}

fn malformed(operation: &str, message: impl Into<String>) -> CloudError {
    CloudError::new(Cloud::Aws, operation, Kind::Malformed, message)
}
