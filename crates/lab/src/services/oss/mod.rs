//! Between OSS requests and the world's Alibaba buckets, path style or with the bucket in the host name; XML both ways.
//!
//! An operation is a row of `OPERATIONS`: method, whether it is about the service, a bucket or an object, and the sub-resource in the query.

mod bucket;
mod object;
mod xml;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};

use crate::faults::during;
use crate::wire::acs3::{Key, Refused};
use crate::wire::oss_v4::{self, Resource};
use crate::world::World;
use crate::world::state::{Bucket, Cloud, State};

/// The largest object that is taken.
const LARGEST_BODY: usize = 64 << 20;

/// What a request is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Service,
    Bucket,
    Object,
}

/// One operation.
struct Operation {
    name: &'static str,
    method: Method,
    level: Level,
    /// The query parameter that chooses it, as `name` or `name=value`.
    sub_resource: Option<&'static str>,
    run: fn(&mut State, &SignedRequest) -> Result<Answer, ApiError>,
}

/// The first row that fits a request is its operation: sub-resources come before the plain ones.
const OPERATIONS: &[Operation] = &[
    row("ListBuckets", Method::GET, Level::Service, None, bucket::list_buckets),
    row("GetBucketInfo", Method::GET, Level::Bucket, Some("bucketInfo"), bucket::info),
    row("GetBucketLocation", Method::GET, Level::Bucket, Some("location"), bucket::location),
    row("GetBucketAcl", Method::GET, Level::Bucket, Some("acl"), bucket::acl),
    row("ListObjectsV2", Method::GET, Level::Bucket, Some("list-type=2"), bucket::list_v2),
    row("ListObjects", Method::GET, Level::Bucket, None, bucket::list_v1),
    row("GetObjectMeta", Method::HEAD, Level::Object, Some("objectMeta"), object::head),
    row("PutObject", Method::PUT, Level::Object, None, object::put),
    row("GetObject", Method::GET, Level::Object, None, object::get),
    row("HeadObject", Method::HEAD, Level::Object, None, object::head),
    row("DeleteObject", Method::DELETE, Level::Object, None, object::delete),
];

const fn row(
    name: &'static str,
    method: Method,
    level: Level,
    sub_resource: Option<&'static str>,
    run: fn(&mut State, &SignedRequest) -> Result<Answer, ApiError>,
) -> Operation {
    Operation { name, method, level, sub_resource, run }
}

/// Query parameters that choose an operation or a variant this lab does not have: such requests are refused, not misunderstood.
const NOT_HERE: [&str; 12] = [
    "replication",
    "replicationProgress",
    "lifecycle",
    "policy",
    "versioning",
    "versions",
    "uploads",
    "uploadId",
    "delete",
    "append",
    "tagging",
    "x-oss-process",
];

/// A request that was believed.
struct SignedRequest {
    resource: Resource,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer that is not an error.
struct Answer {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    content_type: String,
    body: Bytes,
}

impl Answer {
    fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content_type: "application/xml".to_owned(), body: Bytes::new() }
    }

    fn xml(text: String) -> Self {
        Self { body: text.into(), ..Self::empty(200) }
    }
}

/// An error as OSS says it.
struct ApiError {
    status: u16,
    code: &'static str,
    /// The finer code, `EC`.
    detail: &'static str,
    message: String,
    /// Further elements, such as `Key`.
    more: Vec<(&'static str, String)>,
}

impl ApiError {
    fn new(status: u16, code: &'static str, detail: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, detail, message: message.into(), more: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.more.push((name, value.into()));
        self
    }
}

/// Answers one request.
pub async fn handle<B>(world: Arc<World>, request: Request<B>) -> Response<Full<Bytes>>
where
    B: hyper::body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map(http_body_util::Collected::to_bytes);
    let mut state = world.lock();
    answer(&mut state, parts, body.ok())
}

/// Answers one request without asking who sent it: for fuzzers, which cannot sign.
pub(crate) fn unsigned(state: &mut State, parts: Parts, body: Bytes) -> Response<Full<Bytes>> {
    answer_if(state, parts, Some(body), |_, _, _| Ok(()))
}

/// Says whether a request is believed.
type Gatekeeper = fn(&State, &Parts, &Resource) -> Result<(), ApiError>;

/// One request at one moment of the world; `body` is nothing when it was too large or broke off.
fn answer(state: &mut State, parts: Parts, body: Option<Bytes>) -> Response<Full<Bytes>> {
    answer_if(state, parts, body, authenticate)
}

fn answer_if(state: &mut State, parts: Parts, body: Option<Bytes>, authenticate: Gatekeeper) -> Response<Full<Bytes>> {
    let request_id = format!("{:024X}", rand::random::<u128>() >> 32);
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let is_head = parts.method == Method::HEAD;
    let (name, result) = perform(state, parts, body, authenticate);
    let code = result.as_ref().err().map_or("OK", |error| error.code).to_owned();
    *state.counters.api_calls.entry(("aliyun".to_owned(), "oss".to_owned(), name.to_owned(), code)).or_default() += 1;

    let mut answer = result.unwrap_or_else(|error| {
        let text = xml::error(&error, &request_id, &host);
        let mut answer = Answer { status: error.status, ..Answer::xml(text) };
        answer.headers.push((HeaderName::from_static("x-oss-ec"), error.detail.to_owned()));
        if is_head {
            // An answer to HEAD has no body; the error travels in a header.
            let encoded = base64::prelude::BASE64_STANDARD.encode(&answer.body);
            answer.headers.push((HeaderName::from_static("x-oss-err"), encoded));
            answer.body = Bytes::new();
        }
        answer
    });
    let date = during::told(state.now).to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    answer.headers.extend([
        (HeaderName::from_static("x-oss-request-id"), request_id),
        (HeaderName::from_static("server"), "AliyunOSS".to_owned()),
        (HeaderName::from_static("date"), date),
        (HeaderName::from_static("content-type"), answer.content_type),
    ]);
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn perform(state: &mut State, parts: Parts, body: Option<Bytes>, authenticate: Gatekeeper) -> (&'static str, Result<Answer, ApiError>) {
    let resource = Resource::of(&parts);
    let query = oss_v4::query(&parts);
    let level = match (resource.bucket.is_empty(), resource.key.is_empty()) {
        (true, _) => Level::Service,
        (false, true) => Level::Bucket,
        (false, false) => Level::Object,
    };
    let chosen_by = |wanted: &str| match wanted.split_once('=') {
        Some((name, value)) => query.get(name).is_some_and(|given| given == value),
        None => query.contains_key(wanted),
    };
    let operation = OPERATIONS
        .iter()
        .filter(|row| row.method == parts.method && row.level == level && row.sub_resource.is_none_or(chosen_by))
        .find(|_| !NOT_HERE.iter().any(|name| query.contains_key(*name)));
    let name = operation.map_or("(unknown)", |operation| operation.name);
    if let Err(error) = authenticate(state, &parts, &resource) {
        return (name, Err(error));
    }
    let Some(operation) = operation else {
        return (
            name,
            Err(ApiError::new(
                501,
                "NotImplemented",
                "0001-00000001",
                "A header or query you provided implies functionality that is not implemented.",
            )),
        );
    };
    let Some(body) = body else {
        return (name, Err(ApiError::new(400, "EntityTooLarge", "0001-00000002", "Your proposed upload exceeds the maximum allowed size.")));
    };
    let region = oss_v4::region(&parts).unwrap_or_else(|| state.regions.first(Cloud::Aliyun));
    (name, (operation.run)(&mut state.in_region(Cloud::Aliyun, &region), &SignedRequest { resource, query, headers: parts.headers, body }))
}

fn authenticate(state: &State, parts: &Parts, resource: &Resource) -> Result<(), ApiError> {
    let accounts = &state.accounts;
    let signed = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    let (id, secret) = accounts.key(signed.unwrap_or_default());
    let now = during::told(state.now);
    let region = oss_v4::region(parts).filter(|region| state.regions.aliyun.contains(region)).unwrap_or_else(|| state.regions.first(Cloud::Aliyun));
    oss_v4::verify(parts, resource, Key { id: &id, secret: &secret }, &region, now).map_err(|refused| match refused {
        Refused::Incomplete(what) if parts.headers.contains_key("authorization") => ApiError::new(400, "InvalidArgument", "0002-00000221", what),
        Refused::Incomplete(_) => ApiError::new(403, "AccessDenied", "0003-00000001", "Anonymous access is forbidden for this operation."),
        Refused::UnknownKey => {
            ApiError::new(403, "InvalidAccessKeyId", "0002-00000902", "The OSS Access Key Id you provided does not exist in our records.")
        }
        Refused::Expired => {
            let message = "The difference between the request time and the current time is too large.";
            let now = now.to_utc().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            ApiError::new(403, "RequestTimeTooSkewed", "0002-00000504", message).with("ServerTime", now)
        }
        Refused::Token => ApiError::new(403, "InvalidSecurityToken", "0002-00000101", "The security token you provided is invalid."),
        Refused::Payload => signature_mismatch(""),
        Refused::Mismatch(string_to_sign) => signature_mismatch(&string_to_sign),
    })
}

fn signature_mismatch(string_to_sign: &str) -> ApiError {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    ApiError::new(403, "SignatureDoesNotMatch", "0002-00000201", message).with("StringToSign", string_to_sign)
}

fn find_bucket<'a>(state: &'a State, asked: &SignedRequest) -> Result<&'a Bucket, ApiError> {
    let name = &asked.resource.bucket;
    let bucket = state.buckets.get(name).filter(|bucket| bucket.cloud == Cloud::Aliyun);
    let bucket =
        bucket.ok_or_else(|| ApiError::new(404, "NoSuchBucket", "0015-00000101", "The specified bucket does not exist.").with("BucketName", name))?;
    if bucket.region == state.here(Cloud::Aliyun) {
        return Ok(bucket);
    }
    let message =
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
    Err(ApiError::new(403, "AccessDenied", "0003-00001403", message))
}

#[cfg(test)]
mod tests;
