//! Between HTTP and the calls of a service that speaks three protocols with one meaning: Smithy RPC v2 CBOR (the Rust SDK), AWS JSON 1.0
//! (botocore, so the aws CLI) and Query (what came before). Times are seconds in the first two and texts in the last.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use lifeboat_notation::time::Timestamp;
use serde_json::{Map, Value};

use super::aws_answer::{self, ApiError};
use super::cbor;
use super::xml::Answer;

/// The most levels of a flattened name: more than any parameter has.
const MAX_DEPTH: usize = 12;

/// A service as its protocols call it.
#[derive(Debug)]
pub struct Service {
    /// In paths and targets.
    pub target: &'static str,
    /// Of error types.
    pub namespace: &'static str,
    /// Of XML documents.
    pub xml: &'static str,
}

/// How a call came, and so how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Cbor,
    Json,
    Query,
}

/// One call as the caller meant it.
#[derive(Debug)]
pub struct Call {
    pub protocol: Protocol,
    pub operation: String,
    pub input: Input,
}

impl Protocol {
    /// The protocol of a request.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        if parts.headers.get("smithy-protocol").is_some_and(|protocol| protocol == "rpc-v2-cbor") {
            Self::Cbor
        } else if parts.headers.contains_key("x-amz-target") {
            Self::Json
        } else {
            Self::Query
        }
    }
}

impl Service {
    /// Reads a call.
    ///
    /// # Errors
    /// `UnknownOperationException` for what is not addressed to this service, `SerializationException` for a body that is none.
    pub fn read(&self, parts: &Parts, body: &[u8]) -> Result<Call, ApiError> {
        let protocol = Protocol::of(parts);
        if parts.headers.contains_key("content-encoding") {
            // Clients compress what is long; nothing that the lab is asked for is.
            return Err(ApiError::new("SerializationException", "The lab reads no compressed bodies."));
        }
        let unreadable = |error: &dyn std::fmt::Display| ApiError::new("SerializationException", error.to_string());
        let (operation, value) = match protocol {
            Protocol::Cbor => {
                let prefix = format!("/service/{}/operation/", self.target);
                let operation = parts.uri.path().strip_prefix(&prefix).map(str::to_owned);
                let value = if body.is_empty() { Value::Null } else { cbor::read(body).map_err(|error| unreadable(&error))? };
                (operation, value)
            }
            Protocol::Json => {
                let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
                let operation = target.strip_prefix(self.target).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
                (operation, if body.is_empty() { Value::Null } else { serde_json::from_slice(body).map_err(|error| unreadable(&error))? })
            }
            Protocol::Query => {
                let query = parts.uri.query().unwrap_or_default().as_bytes();
                let mut value = nested(url::form_urlencoded::parse(query).chain(url::form_urlencoded::parse(body)))?;
                let operation =
                    value.as_object_mut().and_then(|fields| fields.remove("Action")).and_then(|action| action.as_str().map(str::to_owned));
                (operation, value)
            }
        };
        let unknown = || ApiError::new("UnknownOperationException", "The requested operation is not known.").with_status(StatusCode::NOT_FOUND);
        let value = if value.is_object() { value } else { Value::Object(Map::new()) };
        Ok(Call { protocol, operation: operation.ok_or_else(unknown)?, input: Input { value, is_text: protocol == Protocol::Query } })
    }

    /// The answer of a call that was done; `None` for a call without result.
    #[must_use]
    pub fn done(&self, call: &Call, result: Option<&Shape>, request_id: &str) -> Response<Full<Bytes>> {
        let body = match call.protocol {
            Protocol::Cbor => result.map(cbor::write).unwrap_or_default(),
            Protocol::Json => result.map(|result| result.json().to_string().into_bytes()).unwrap_or_default(),
            Protocol::Query => {
                let mut answer = Answer::new();
                answer.root(&format!("{}Response", call.operation), self.xml, |answer| {
                    if let Some(result) = result {
                        answer.element(&format!("{}Result", call.operation), |answer| result.elements(answer));
                    }
                    answer.element("ResponseMetadata", |answer| answer.text("RequestId", request_id));
                });
                answer.finish()
            }
        };
        respond(call.protocol, StatusCode::OK, body, request_id)
    }

    /// The answer of a call that was refused. `shape` is the error's type where it is not called like its code.
    #[must_use]
    pub fn refused(&self, protocol: Protocol, error: &ApiError, shape: &str, request_id: &str) -> Response<Full<Bytes>> {
        let shape = Shape::Fields(vec![("__type", format!("{}#{shape}", self.namespace).into()), ("message", error.message.clone().into())]);
        let sender = if error.status.is_server_error() { "Receiver" } else { "Sender" };
        let body = match protocol {
            Protocol::Cbor => cbor::write(&shape),
            Protocol::Json => shape.json().to_string().into_bytes(),
            Protocol::Query => {
                let mut answer = Answer::new();
                answer.root("ErrorResponse", self.xml, |answer| {
                    answer.element("Error", |answer| {
                        answer.text("Type", sender);
                        answer.text("Code", &error.code);
                        answer.text("Message", &error.message);
                    });
                    answer.text("RequestId", request_id);
                });
                answer.finish()
            }
        };
        let mut response = respond(protocol, error.status, body, request_id);
        // The codes that Query had go on in a header.
        if protocol != Protocol::Query
            && let Ok(value) = HeaderValue::from_str(&format!("{};{sender}", error.code))
        {
            response.headers_mut().insert("x-amzn-query-error", value);
        }
        response
    }
}

fn respond(protocol: Protocol, status: StatusCode, body: Vec<u8>, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = aws_answer::document(status, body, request_id);
    let headers = response.headers_mut();
    match protocol {
        Protocol::Cbor => {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cbor"));
        }
        Protocol::Json => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        }
        Protocol::Query => {}
    }
    response
}

/// `A.member.1.B=v` as `{"A": [{"B": "v"}]}`; every leaf is a text.
fn nested<'a>(pairs: impl Iterator<Item = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>) -> Result<Value, ApiError> {
    let mut root = Map::new();
    for (name, text) in pairs {
        let parts: Vec<&str> = name.split('.').collect();
        let malformed = || ApiError::new("MalformedQueryString", format!("The parameter {name} cannot be read."));
        let (last, way) = parts.split_last().filter(|_| parts.len() <= MAX_DEPTH).ok_or_else(malformed)?;
        let mut fields = &mut root;
        for part in way {
            fields = fields.entry(*part).or_insert_with(|| Value::Object(Map::new())).as_object_mut().ok_or_else(malformed)?;
        }
        fields.insert((*last).to_owned(), Value::String(text.into_owned()));
    }
    Ok(lists(Value::Object(root)))
}

/// Makes lists of what stands under `member`.
fn lists(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    if fields.len() == 1
        && let Some(Value::Object(members)) = fields.get("member")
    {
        let mut numbered: Vec<(u32, Value)> = members.iter().filter_map(|(number, item)| Some((number.parse().ok()?, lists(item.clone())))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        return Value::Array(numbered.into_iter().map(|(_, item)| item).collect());
    }
    for field in fields.values_mut() {
        *field = lists(field.take());
    }
    Value::Object(fields)
}

/// What a call or a part of it holds.
#[derive(Debug, Clone)]
pub struct Input {
    value: Value,
    /// Whether numbers come as texts.
    is_text: bool,
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::new("InvalidParameterValue", format!("The value of the parameter {name} is invalid. Expected {expected}."))
}

impl Input {
    fn field(&self, name: &str) -> Option<&Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    /// Whether something is given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// `InvalidParameterValue`, as with all others.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        self.field(name)
            .map(|value| value.as_str().ok_or_else(|| wrong(name, "a string")))
            .transpose()
            .map(|text| text.filter(|text| !text.is_empty()))
    }

    /// A text that must be there.
    pub fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::new("MissingParameter", format!("The parameter {name} is required.")))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        let read = |value: &Value| match value {
            Value::String(text) if self.is_text => text.parse().ok().filter(|number: &f64| number.is_finite()),
            other => other.as_f64(),
        };
        self.field(name).map(|value| read(value).ok_or_else(|| wrong(name, "a number"))).transpose()
    }

    /// A whole number inside `range`.
    pub fn integer(&self, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let read = |value: &Value| match value {
            Value::String(text) if self.is_text => text.parse().ok(),
            other => other.as_i64(),
        };
        let checked = |value| read(value).filter(|number| range.contains(number));
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        self.field(name).map(|value| checked(value).ok_or_else(|| wrong(name, &expected()))).transpose()
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let read = |value: &Value| match value {
            Value::String(text) if self.is_text => text.parse().ok(),
            other => other.as_bool(),
        };
        self.field(name).map(|value| read(value).ok_or_else(|| wrong(name, "a boolean"))).transpose()
    }

    /// A time.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let read = |value: &Value| match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64().filter(|seconds| seconds.abs() < 9e9).map(|seconds| {
                #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
                Timestamp::from_nanos((seconds * 1e3).round() as i64 * 1_000_000)
            }),
        };
        self.field(name).map(|value| read(value).ok_or_else(|| wrong(name, "a timestamp"))).transpose()
    }

    /// A structure.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Self> {
        self.field(name).filter(|value| value.is_object()).map(|value| Self { value: value.clone(), is_text: self.is_text })
    }

    /// A list of structures; without it none.
    pub fn parts(&self, name: &str) -> Result<Vec<Self>, ApiError> {
        let Some(value) = self.field(name) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| wrong(name, "a list"))?;
        Ok(items.iter().map(|value| Self { value: value.clone(), is_text: self.is_text }).collect())
    }

    /// A list of texts; without it none.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let Some(value) = self.field(name) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| wrong(name, "a list"))?;
        items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(name, "a list of strings"))).collect()
    }
}

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Text(String),
    Flag(bool),
    Integer(i64),
    Number(f64),
    Time(Timestamp),
    List(Vec<Self>),
    Fields(Vec<(&'static str, Self)>),
}

impl From<String> for Shape {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Shape {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Shape {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Flag(flag) => Value::from(*flag),
            Self::Integer(number) => Value::from(*number),
            Self::Number(number) => Value::from(*number),
            Self::Time(at) => Value::from(seconds(*at)),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Fields(fields) => Value::Object(fields.iter().map(|(name, field)| ((*name).to_owned(), field.json())).collect()),
        }
    }

    /// The fields of this as elements.
    fn elements(&self, answer: &mut Answer) {
        let Self::Fields(fields) = self else { return };
        for (name, field) in fields {
            field.element(name, answer);
        }
    }

    fn element(&self, name: &str, answer: &mut Answer) {
        match self {
            Self::Text(text) => answer.text(name, text),
            Self::Flag(flag) => answer.text(name, flag),
            Self::Integer(number) => answer.text(name, number),
            Self::Number(number) => answer.text(name, number),
            Self::Time(at) => answer.text(name, at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
            Self::List(items) => answer.element(name, |answer| items.iter().for_each(|item| item.element("member", answer))),
            Self::Fields(_) => answer.element(name, |answer| self.elements(answer)),
        }
    }
}

/// A moment as seconds, to the millisecond.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few centuries stay far below 2^53")]
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_nanos().div_euclid(1_000_000) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Service = Service { target: "Test20100801", namespace: "com.example", xml: "urn:test" };

    fn read(request: http::request::Builder, body: &[u8]) -> Result<Call, ApiError> {
        TEST.read(&request.body(()).unwrap().into_parts().0, body)
    }

    #[test]
    fn the_three_protocols_mean_the_same() {
        let cbor = cbor::write(&Shape::Fields(vec![
            ("Period", Shape::Integer(60)),
            ("At", Shape::Time(Timestamp::from_nanos(90_500_000_000))),
            ("On", Shape::Flag(true)),
            ("Of", Shape::List(vec![Shape::Fields(vec![("Name", "a".into())]), Shape::Fields(vec![("Name", "b".into())])])),
        ]));
        let json = br#"{"Period": 60, "At": 90.5, "On": true, "Of": [{"Name": "a"}, {"Name": "b"}]}"#;
        let query = b"Action=Do&Period=60&At=1970-01-01T00:01:30.500Z&On=true&Of.member.2.Name=b&Of.member.1.Name=a";
        for (protocol, call) in [
            (Protocol::Cbor, read(http::Request::post("/service/Test20100801/operation/Do").header("smithy-protocol", "rpc-v2-cbor"), &cbor)),
            (Protocol::Json, read(http::Request::post("/").header("x-amz-target", "Test20100801.Do"), json)),
            (Protocol::Query, read(http::Request::post("/"), query)),
        ] {
            let call = call.unwrap();
            assert_eq!((call.protocol, call.operation.as_str()), (protocol, "Do"));
            assert_eq!(call.input.integer("Period", 1..=100).unwrap(), Some(60));
            assert_eq!(call.input.time("At").unwrap(), Some(Timestamp::from_nanos(90_500_000_000)));
            assert_eq!(call.input.flag("On").unwrap(), Some(true));
            let names: Vec<String> = call.input.parts("Of").unwrap().iter().map(|part| part.need("Name").unwrap().to_owned()).collect();
            assert_eq!(names, ["a", "b"], "{protocol:?}");
            assert_eq!(call.input.need("Missing").unwrap_err().code, "MissingParameter");
            assert_eq!(call.input.integer("Period", 1..=10).unwrap_err().code, "InvalidParameterValue");
        }
    }

    #[test]
    fn a_text_is_a_number_in_query_only() {
        let call = read(http::Request::post("/").header("x-amz-target", "Test20100801.Do"), br#"{"Period": "60"}"#).unwrap();
        assert_eq!(call.input.integer("Period", 1..=100).unwrap_err().code, "InvalidParameterValue");
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let code = |request: http::request::Builder, body: &[u8]| read(request, body).err().map(|error| error.code.into_owned()).unwrap_or_default();
        assert_eq!(code(http::Request::post("/").header("x-amz-target", "Other.Do"), b"{}"), "UnknownOperationException");
        assert_eq!(code(http::Request::post("/").header("x-amz-target", "Test20100801.Do"), b"{"), "SerializationException");
        assert_eq!(code(http::Request::post("/x").header("smithy-protocol", "rpc-v2-cbor"), b""), "UnknownOperationException");
        let deep = format!("{}b=1", "a.".repeat(5000));
        assert_eq!(code(http::Request::post("/"), deep.as_bytes()), "MalformedQueryString");
        assert_eq!(code(http::Request::post("/"), b"A=1&A.B=2"), "MalformedQueryString");
    }
}
