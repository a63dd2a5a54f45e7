//! HTTP: a request as people write it, and what its answer must be.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::json;
use crate::engine::clock::wall;
use crate::model::time::{Span, Timestamp};
use crate::world::http::{HttpAnswer, HttpRequest, parse_url};

/// An `http` or `https` URL.
#[derive(Clone, Debug)]
pub(crate) struct HttpUrl(pub(crate) url::Url);

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_url(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for HttpUrl {
    fn schema_name() -> Cow<'static, str> {
        "HttpUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "uri", "description": "An http or https URL.", "pattern": "^https?://" })
    }
}

/// An HTTP method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verb {
    /// Reads.
    #[default]
    Get,
    /// Reads without a body.
    Head,
    /// Sends.
    Post,
    /// Puts in place.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

/// Puts a request together; a body that is no string is sent as JSON.
///
/// # Errors
/// What about the headers cannot be sent.
pub(crate) fn request(url: &HttpUrl, verb: Verb, headers: &BTreeMap<String, String>, body: Option<&Value>) -> Result<HttpRequest, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is not a header"))?;
        // The value may be a secret.
        let value: HeaderValue = value.parse().map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        map.insert(name, value);
    }
    let body = match body {
        None => Bytes::new(),
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(json) => {
            map.entry(http::header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            Bytes::from(json.to_string())
        }
    };
    let method = match verb {
        Verb::Get => Method::GET,
        Verb::Head => Method::HEAD,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
        Verb::Patch => Method::PATCH,
        Verb::Delete => Method::DELETE,
    };
    Ok(HttpRequest { url: url.0.clone(), method, headers: map, body })
}

/// What an answer must be. Everything that is written must hold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpExpect {
    /// The status; 200 unless written.
    #[serde(default = "ok")]
    #[schemars(range(min = 100, max = 599))]
    status: u16,
    /// From connecting to the last byte of the answer.
    #[serde(default)]
    max_latency: Option<Span>,
    /// Values of headers, by name.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long the certificate is valid still.
    #[serde(default)]
    certificate_for: Option<Span>,
    /// A text that the body contains.
    #[serde(default)]
    body_contains: Option<String>,
    /// Values in a JSON body, by path: `{ "state": up, "/items/0/id": 1 }`.
    #[serde(default)]
    json: BTreeMap<String, Value>,
}

const fn ok() -> u16 {
    200
}

impl Default for HttpExpect {
    fn default() -> Self {
        Self { status: ok(), max_latency: None, headers: BTreeMap::new(), certificate_for: None, body_contains: None, json: BTreeMap::new() }
    }
}

impl HttpExpect {
    /// What was good about the answer, or what was not.
    pub(crate) fn judge(&self, answer: &HttpAnswer) -> Result<String, String> {
        if answer.status != self.status {
            return Err(format!("{}, expected {}", answer.status, self.status));
        }
        let millis = answer.elapsed.as_millis();
        if let Some(longest) = self.max_latency
            && answer.elapsed > longest.duration()
        {
            return Err(format!("{} in {millis} ms, allowed {longest}", answer.status));
        }
        for (name, wanted) in &self.headers {
            match answer.headers.get(name) {
                Some(found) if found == wanted.as_str() => {}
                Some(found) => return Err(format!("{name} is {:?}, expected {wanted:?}", String::from_utf8_lossy(found.as_bytes()))),
                None => return Err(format!("there is no header {name}, expected {wanted:?}")),
            }
        }
        if let Some(least) = self.certificate_for {
            lasts(answer.certificate_ends, least)?;
        }
        if let Some(text) = &self.body_contains
            && !contains(&answer.body, text.as_bytes())
        {
            return Err(format!("the answer does not contain `{text}`"));
        }
        // Who asks gets no answer that can be used, whether that is absent or differs.
        json::unmet(&answer.body, &self.json).map_or_else(|| Ok(format!("{} in {millis} ms", answer.status)), |unmet| Err(unmet.to_string()))
    }
}

/// Says what is wrong with a certificate that ends at `ends`, if it is to be valid for `least` still.
pub(crate) fn lasts(ends: Option<Timestamp>, least: Span) -> Result<(), String> {
    let Some(ends) = ends else { return Err("there is no certificate".to_owned()) };
    let left = ends.since(wall());
    if left < least.duration() {
        Err(format!("the certificate ends on {}, allowed {least} before", ends.to_utc().format("%Y-%m-%d")))
    } else {
        Ok(())
    }
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    part.is_empty() || body.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(expect: &str, status: u16, body: &'static str, expected: Result<&str, &str>) {
        let expect: HttpExpect = serde_json::from_str(expect).unwrap();
        let answer = HttpAnswer {
            status,
            body: body.into(),
            headers: HeaderMap::new(),
            certificate_ends: None,
            first_byte: tokio::time::Instant::now(),
            elapsed: Duration::from_millis(30),
            address: ([127, 0, 0, 1], 80).into(),
        };
        assert_eq!(expect.judge(&answer).as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn everything_written_must_hold() {
        check("{}", 200, "", Ok("200 in 30 ms"));
        check("{}", 503, "", Err("503, expected 200"));
        check(r#"{"status": 404}"#, 404, "", Ok("404 in 30 ms"));
        check(r#"{"max_latency": "20ms"}"#, 200, "", Err("200 in 30 ms, allowed 20ms"));
        check(r#"{"max_latency": "30ms"}"#, 200, "", Ok("200 in 30 ms"));
        check(r#"{"body_contains": "ok"}"#, 200, "all ok", Ok("200 in 30 ms"));
        check(r#"{"body_contains": "ok"}"#, 200, "no", Err("the answer does not contain `ok`"));
        check(r#"{"json": {"cloud": "aws"}}"#, 200, r#"{"cloud":"aliyun"}"#, Err("cloud is \"aliyun\", expected \"aws\""));
    }

    #[test]
    fn a_body_that_is_no_text_goes_as_json() {
        let url = HttpUrl("http://shop.example.com/".parse().unwrap());
        let sent = request(&url, Verb::Post, &BTreeMap::new(), Some(&serde_json::json!({"a": 1}))).unwrap();
        assert_eq!((sent.body.as_ref(), sent.headers["content-type"].as_bytes()), (br#"{"a":1}"#.as_slice(), b"application/json".as_slice()));
        assert!(request(&url, Verb::Get, &BTreeMap::from([("x y".to_owned(), String::new())]), None).is_err());
        let error = request(&url, Verb::Get, &BTreeMap::from([("token".to_owned(), "s3cr3t\n".to_owned())]), None).unwrap_err();
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}
