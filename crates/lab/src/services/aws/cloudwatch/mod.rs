//! CloudWatch over the world's monitoring: `alarms` and the numbers they stand on (`data`), in the three protocols of its clients.

mod alarms;
mod data;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body_util::Full;

use super::{admit, count};
use crate::wire::aws_answer::ApiError;
use crate::wire::smithy::{Call, Input, Protocol, Service, Shape};
use crate::world::monitoring::Metric;
use crate::world::state::{Cloud, State};

const CLOUDWATCH: Service = Service {
    target: "GraniteServiceVersion20100801",
    namespace: "com.amazonaws.cloudwatch",
    xml: "http://monitoring.amazonaws.com/doc/2010-08-01/",
};

/// One operation; `None` is an answer without result.
type Operation = fn(&mut State, &Input) -> Result<Option<Shape>, ApiError>;

const OPERATIONS: [(&str, Operation); 8] = [
    ("DeleteAlarms", alarms::delete),
    ("DescribeAlarms", alarms::describe),
    ("GetMetricData", data::get),
    ("GetMetricStatistics", data::statistics),
    ("ListMetrics", data::list),
    ("PutMetricAlarm", alarms::put),
    ("PutMetricData", data::put),
    ("SetAlarmState", alarms::set_state),
];

/// Answers an authentic request.
pub(super) fn respond(state: &mut State, parts: &Parts, body: &[u8], request_id: &str) -> Response<Full<Bytes>> {
    let call = match CLOUDWATCH.read(parts, body) {
        Ok(call) => call,
        Err(error) => {
            count(state, "cloudwatch", "(unreadable)", &error.code);
            return refused(Protocol::of(parts), &error, request_id);
        }
    };
    // Names that do not exist are counted together: anybody can invent them.
    let known = OPERATIONS.iter().find(|(name, _)| *name == call.operation);
    let result = known.map_or_else(|| Err(unknown(&call)), |(name, run)| admit(state, "cloudwatch", name).and_then(|()| run(state, &call.input)));
    let code = result.as_ref().err().map_or("OK", |error| error.code.as_ref()).to_owned();
    count(state, "cloudwatch", known.map_or("(unknown)", |(name, _)| name), &code);
    match result {
        Ok(result) => CLOUDWATCH.done(&call, result.as_ref(), request_id),
        Err(error) => refused(call.protocol, &error, request_id),
    }
}

/// The answer of a call that was refused, also of one that was never let in.
pub(super) fn refused(protocol: Protocol, error: &ApiError, request_id: &str) -> Response<Full<Bytes>> {
    let shape = match error.code.as_ref() {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "InvalidFormat" => "InvalidFormatFault",
        "LimitExceeded" => "LimitExceededFault",
        "MissingParameter" => "MissingRequiredParameterException",
        "Throttling" => "ThrottlingException",
        other => other,
    };
    CLOUDWATCH.refused(protocol, error, shape, request_id)
}

fn unknown(call: &Call) -> ApiError {
    match call.protocol {
        Protocol::Query => ApiError::new("InvalidAction", format!("Could not find operation {} for version 2010-08-01", call.operation)),
        _ => ApiError::new("UnknownOperationException", format!("The operation {} is not known.", call.operation))
            .with_status(http::StatusCode::NOT_FOUND),
    }
}

/// The metric that a call names.
fn metric(input: &Input) -> Result<Metric, ApiError> {
    Ok(Metric {
        cloud: Cloud::Aws,
        namespace: input.need("Namespace")?.to_owned(),
        name: input.need("MetricName")?.to_owned(),
        dimensions: dimensions(input)?,
    })
}

fn dimensions(input: &Input) -> Result<BTreeMap<String, String>, ApiError> {
    let all = input.parts("Dimensions")?;
    if all.len() > 30 {
        return Err(ApiError::new("InvalidParameterValue", "The collection Dimensions must not have a size greater than 30."));
    }
    all.iter().map(|one| Ok((one.need("Name")?.to_owned(), one.need("Value")?.to_owned()))).collect()
}

fn shown_dimensions(metric: &Metric) -> Shape {
    Shape::List(
        metric.dimensions.iter().map(|(name, value)| Shape::Fields(vec![("Name", name.as_str().into()), ("Value", value.as_str().into())])).collect(),
    )
}

/// Part of a list from a token on, and the token of what follows.
fn page<T>(all: Vec<T>, token: Option<&str>, size: usize) -> Result<(Vec<T>, Option<String>), ApiError> {
    let start: usize = match token {
        None => 0,
        Some(token) => token.parse().map_err(|_| ApiError::new("InvalidNextToken", "The next token specified is invalid."))?,
    };
    let end = start.saturating_add(size);
    let next = (end < all.len()).then(|| end.to_string());
    Ok((all.into_iter().skip(start).take(size).collect(), next))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;
    use lifeboat_notation::time::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::wire::xml::Element;
    use crate::world::build::build;

    fn world() -> State {
        build(1, 1.0, 10, Timestamp::from_nanos(1_800_000_000_000_000_000))
    }

    fn send(state: &mut State, request: http::request::Builder, body: &str) -> (u16, http::HeaderMap, String) {
        let parts = request.body(()).unwrap().into_parts().0;
        let (parts, body) = respond(state, &parts, body.as_bytes(), "id").into_parts();
        let body = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn json(state: &mut State, operation: &str, body: &str) -> (u16, http::HeaderMap, Value) {
        let request = Request::post("/").header("x-amz-target", format!("GraniteServiceVersion20100801.{operation}"));
        let (status, headers, body) = send(state, request, body);
        (status, headers, serde_json::from_str(&body).unwrap_or_default())
    }

    #[test]
    fn json_and_query_tell_the_same_alarm() {
        let mut state = world();
        let (status, headers, body) = json(&mut state, "DescribeAlarms", r#"{"AlarmNames": ["shop-checkout-errors"]}"#);
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/x-amz-json-1.0"));
        let alarm = &body["MetricAlarms"][0];
        assert_eq!((&alarm["StateValue"], &alarm["Threshold"], &alarm["Period"]), (&"OK".into(), &0.5.into(), &10.into()));
        assert_eq!(alarm["StateUpdatedTimestamp"], 1_800_000_000.0);

        let (status, _, body) =
            send(&mut state, Request::post("/"), "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=shop-checkout-errors");
        let document = Element::parse(&body).unwrap();
        let alarms = document.child("DescribeAlarmsResult").and_then(|result| result.child("MetricAlarms")).unwrap();
        assert_eq!((status, alarms.children.len()), (200, 1));
        let alarm = &alarms.children[0];
        assert_eq!((alarm.text_of("StateValue"), alarm.text_of("StateUpdatedTimestamp")), (Some("OK"), Some("2027-01-15T08:00:00.000Z")));
        assert_eq!(alarm.child("Dimensions").unwrap().children[0].text_of("Value"), Some("checkout"));
    }

    #[test]
    fn refusals_have_their_code_in_every_protocol() {
        let mut state = world();
        let (status, headers, body) = json(&mut state, "DeleteAlarms", r#"{"AlarmNames": ["none"]}"#);
        assert_eq!((status, &body["__type"]), (404, &"com.amazonaws.cloudwatch#ResourceNotFound".into()));
        assert_eq!(headers["x-amzn-query-error"], "ResourceNotFound;Sender");
        let (status, _, body) = send(&mut state, Request::post("/"), "Action=DeleteAlarms&AlarmNames.member.1=none");
        let document = Element::parse(&body).unwrap();
        assert_eq!((status, document.child("Error").unwrap().text_of("Code")), (404, Some("ResourceNotFound")));
        let (status, headers, _) = json(&mut state, "GetMetricData", r#"{"MetricDataQueries": [], "StartTime": 1, "EndTime": 2}"#);
        assert_eq!((status, headers["x-amzn-query-error"].to_str().unwrap()), (400, "InvalidParameterValue;Sender"));
        assert_eq!(json(&mut state, "DescribeAnomalyDetectors", "{}").0, 404);
        let (status, ..) = json(&mut state, "PutMetricAlarm", r#"{"AlarmName": "x", "EvaluationPeriods": 1, "Metrics": []}"#);
        assert_eq!(status, 400, "what the lab cannot judge it does not take");
    }

    #[test]
    fn calls_that_come_too_soon_are_throttled() {
        let mut state = world();
        let statuses: Vec<u16> = (0..11).map(|_| json(&mut state, "DescribeAlarms", "{}").0).collect();
        assert_eq!((statuses[8], statuses[9]), (200, 400));
        assert_eq!(json(&mut state, "DescribeAlarms", "{}").1["x-amzn-query-error"], "Throttling;Sender");
    }
}
