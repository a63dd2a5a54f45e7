//! Between HTTP and a call of an Alibaba Cloud RPC product: parameters out of query and form, answers and errors into JSON.
//!
//! Lists come flattened (`InstanceId.1`, `Tag.1.Key`), booleans as `true` or `True`, an absent parameter and an empty one mean the same
//! except inside lists.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::acs3::{Refused, form_pairs};

/// The most elements of one flattened list that are read.
const LONGEST_LIST: usize = 1000;

/// One call as the caller meant it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Product version, such as `2014-05-26`; tells the products apart.
    pub version: String,
    /// Such as `DescribeInstances`.
    pub action: String,
    /// What the caller calls this server.
    pub host: String,
    params: BTreeMap<String, String>,
}

impl Call {
    /// Reads a call; version and action come from headers (V3) or from the query (V1).
    #[must_use]
    pub fn read(parts: &Parts, body: &[u8]) -> Self {
        let mut params: BTreeMap<_, _> = form_pairs(parts.uri.query().unwrap_or_default()).into_iter().collect();
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            params.extend(form_pairs(&String::from_utf8_lossy(body)));
        }
        let version = header("x-acs-version").or_else(|| params.get("Version").cloned()).unwrap_or_default();
        let action = header("x-acs-action").or_else(|| params.get("Action").cloned()).unwrap_or_default();
        Self { version, action, host: header("host").unwrap_or_default(), params }
    }

    /// All parameters as they came, those of a V1 signature included.
    #[must_use]
    pub fn params(&self) -> &BTreeMap<String, String> {
        &self.params
    }

    /// A parameter that may be left out.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub fn need(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| missing(name))
    }

    /// A whole number inside `range`.
    pub fn number(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| invalid(name))
    }

    /// `true` or `false`, in any case.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(invalid(name)),
        }
    }

    /// `name.1`, `name.2`, … up to the first gap.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        (1..=LONGEST_LIST).map_while(|n| self.params.get(&format!("{name}.{n}"))).map(String::as_str).collect()
    }

    /// `name.1.Field`, `name.2.Field`, … up to the first gap; each as its fields.
    #[must_use]
    pub fn structs(&self, name: &str) -> Vec<BTreeMap<&str, &str>> {
        let one = |n: usize| {
            let prefix = format!("{name}.{n}.");
            let fields: BTreeMap<&str, &str> = self
                .params
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(&prefix))
                .map(|(key, value)| (&key[prefix.len()..], value.as_str()))
                .collect();
            (!fields.is_empty()).then_some(fields)
        };
        (1..=LONGEST_LIST).map_while(one).collect()
    }

    /// A JSON array of strings in one parameter, as `DescribeInstances` takes its ids; at most `most` of them.
    pub fn json_list(&self, name: &str, most: usize) -> Result<Option<Vec<String>>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let list: Vec<String> = serde_json::from_str(text).map_err(|_| invalid(name))?;
        if list.len() > most { Err(invalid(name)) } else { Ok(Some(list)) }
    }

    /// `PageNumber` and `PageSize`.
    pub fn page(&self, default: u32, most: u32) -> Result<Page, ApiError> {
        let number = self.number("PageNumber", 1..=u32::MAX)?.unwrap_or(1);
        let size = self.number("PageSize", 1..=most)?.unwrap_or(default);
        Ok(Page { number, size })
    }

    /// Called when everything has been checked and nothing changed: a dry run ends here, with what the vendor calls an error.
    pub fn dry_run(&self) -> Result<(), ApiError> {
        match self.flag("DryRun")? {
            Some(true) => Err(ApiError::new(400, "DryRunOperation", "Request validation has been passed with DryRun flag set.")),
            _ => Ok(()),
        }
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// At least 1.
    pub size: u32,
}

impl Page {
    /// The part of `all` that this page shows.
    pub fn cut<T>(self, all: Vec<T>) -> Vec<T> {
        let size = self.size as usize;
        let start = (self.number as usize - 1).saturating_mul(size);
        all.into_iter().skip(start).take(size).collect()
    }
}

/// An error as the vendor says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// The vendor's code.
    pub code: String,
    /// The vendor's sentence.
    pub message: String,
    /// When the next call may succeed, for throttling.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    /// An error.
    pub fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), retry_after_ms: None }
    }
}

/// A parameter that the action needs is not there.
#[must_use]
pub fn missing(name: &str) -> ApiError {
    ApiError::new(400, "MissingParameter", format!("The input parameter \"{name}\" that is mandatory for processing this request is not supplied."))
}

/// A parameter has a value the action cannot take.
#[must_use]
pub fn invalid(name: &str) -> ApiError {
    ApiError::new(400, "InvalidParameter", format!("The specified value of parameter \"{name}\" is not valid."))
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Incomplete(what) => {
                Self::new(400, "IncompleteSignature", format!("The request signature does not conform to Aliyun standards: {what}."))
            }
            Refused::UnknownKey => Self::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
            Refused::Expired => Self::new(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."),
            Refused::Payload => Self::new(
                400,
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. x-acs-content-sha256 is not the hash of the body.",
            ),
            Refused::Mismatch(string_to_sign) => Self::new(
                400,
                "SignatureDoesNotMatch",
                format!("Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"),
            ),
            Refused::Token => Self::new(400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."),
        }
    }
}

/// The answer of a call that was done; `fields` is an object.
#[must_use]
pub fn done(request_id: &str, fields: Value) -> Response<Full<Bytes>> {
    let mut body = Map::new();
    body.insert("RequestId".to_owned(), json!(request_id));
    if let Value::Object(fields) = fields {
        body.extend(fields);
    }
    respond(200, request_id, &Value::Object(body))
}

/// The answer of a call that was refused.
#[must_use]
pub fn failed(request_id: &str, host: &str, error: &ApiError) -> Response<Full<Bytes>> {
    let body = json!({
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": format!("https://api.aliyun.com/troubleshoot?q={}&requestId={request_id}", error.code),
    });
    let mut response = respond(error.status, request_id, &body);
    if let Some(millis) = error.retry_after_ms {
        response.headers_mut().insert("x-acs-retry-after", http::HeaderValue::from(millis));
    }
    response
}

fn respond(status: u16, request_id: &str, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/json;charset=utf-8"));
    if let Ok(id) = http::HeaderValue::from_str(request_id) {
        headers.insert("x-acs-request-id", id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors;

    fn call(name: &str) -> Call {
        let (parts, body) = vectors::named(name).request();
        Call::read(&parts, body.as_bytes())
    }

    #[test]
    fn parameters_are_read_as_the_official_sdk_writes_them() {
        let describe = call("ecs-describe-instances");
        assert_eq!((describe.version.as_str(), describe.action.as_str()), ("2014-05-26", "DescribeInstances"));
        assert_eq!(describe.json_list("InstanceIds", 100).unwrap().unwrap(), ["i-bp1a", "i-bp1b"]);
        assert_eq!(describe.structs("Tag"), [BTreeMap::from([("Key", "drill"), ("Value", "区域 failover/测试+1")])]);
        assert_eq!(describe.number("MaxResults", 1..=100).unwrap(), Some(100));
        assert!(describe.number("MaxResults", 1..=50).is_err());

        let start = call("ecs-start-instances");
        assert_eq!(start.list("InstanceId"), ["i-bp1a", "i-bp1b"]);
        assert_eq!(start.flag("DryRun").unwrap(), Some(false));

        let entries = call("vpc-update-network-acl-entries");
        assert_eq!(entries.structs("IngressAclEntries")[0]["Policy"], "drop");
        assert_eq!(entries.flag("UpdateIngressAclEntries").unwrap(), Some(true));

        let special = call("v3-special-characters");
        assert_eq!(special.text("InstanceName"), Some("a b+c/d*e~f!g'h(i)j%k=l&m 中文"));
        assert_eq!(special.structs("Tag"), [BTreeMap::from([("Key", "k.1"), ("Value", "")])]);
        assert_eq!(special.text("Tag.1.Value"), None);

        let older = call("v1-ecs-start-instances");
        assert_eq!((older.version.as_str(), older.action.as_str()), ("2014-05-26", "StartInstances"));
    }

    #[test]
    fn a_list_ends_at_its_first_gap() {
        let request = http::Request::post("/?A.1=x&A.3=z&A.2.K=v").body(()).unwrap();
        let call = Call::read(&request.into_parts().0, b"");
        assert_eq!(call.list("A"), ["x"]);
        assert!(call.structs("A").is_empty());
    }

    #[test]
    fn pages_are_cut_where_they_begin() {
        let page = |number, size| Page { number, size }.cut(vec![1, 2, 3, 4, 5]);
        assert_eq!(page(1, 2), [1, 2]);
        assert_eq!(page(3, 2), [5]);
        assert!(page(4, 2).is_empty());
        assert!(page(u32::MAX, u32::MAX).is_empty());
    }
}
