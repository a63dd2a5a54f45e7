//! OSS behind the object store port.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::{Method, Request};

use super::call::{Answer, Api};
use super::config::StaticKeys;
use super::endpoint::BucketIn;
use super::rpc::header_map;
use super::{Aliyun, error, sign, xml};
use crate::model::time::Timestamp;
use crate::ports::objects::{ObjectInfo, ObjectStore, PIECE};
use crate::ports::{CloudError, Kind, PortFuture};

const LIST: Api = Api::reads("oss:ListObjectsV2");
const HEAD: Api = Api::reads("oss:HeadObject");
const GET: Api = Api::reads("oss:GetObject");
const PUT: Api = Api::changes("oss:PutObject");
const DELETE: Api = Api::changes("oss:DeleteObject");

/// The most keys of a page.
const PAGE: &str = "1000";

/// One request, without what differs from attempt to attempt.
struct Draft<'a> {
    api: Api,
    method: Method,
    bucket: &'a str,
    key: &'a str,
    query: Vec<(&'a str, String)>,
    content_type: Option<&'a str>,
    range: Option<String>,
    body: Bytes,
}

impl<'a> Draft<'a> {
    fn new(api: Api, method: Method, bucket: &'a str, key: &'a str) -> Self {
        Self { api, method, bucket, key, query: Vec::new(), content_type: None, range: None, body: Bytes::new() }
    }
}

impl ObjectStore for Aliyun {
    fn list<'a>(&'a self, bucket: &'a str, prefix: &'a str, after: &'a str) -> PortFuture<'a, Vec<ObjectInfo>> {
        Box::pin(async move {
            let mut objects = Vec::new();
            let mut pages = LIST.pages();
            let mut next: Option<String> = None;
            loop {
                let mut draft = Draft::new(LIST, Method::GET, bucket, "");
                draft.query = vec![("list-type", "2".to_owned()), ("max-keys", PAGE.to_owned()), ("encoding-type", "url".to_owned())];
                draft.query.extend(
                    [("prefix", prefix), ("start-after", after)]
                        .iter()
                        .filter(|(_, text)| !text.is_empty())
                        .map(|(name, text)| (*name, (*text).to_owned())),
                );
                draft.query.extend(next.take().map(|token| ("continuation-token", token)));
                let page = self.oss(&draft, |answer| {
                    let text = std::str::from_utf8(&answer.body).map_err(|_| LIST.error(Kind::Malformed, "the list is not UTF-8"))?;
                    let list = xml::parse(text).map_err(|why| LIST.error(Kind::Malformed, format!("the list cannot be read: {why}")))?;
                    if list.name == "ListBucketResult" { Ok(list) } else { Err(error::of_oss(LIST, answer)) }
                });
                let page = page.await?;
                for object in page.all("Contents") {
                    objects.push(info(object)?);
                }
                next = page.text("NextContinuationToken").filter(|token| !token.is_empty()).map(str::to_owned);
                match next.as_deref().filter(|_| page.text("IsTruncated") == Some("true")) {
                    Some(token) => pages.turn(token)?,
                    None => return Ok(objects),
                }
            }
        })
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, Bytes> {
        Box::pin(async move { self.oss(&Draft::new(GET, Method::GET, bucket, key), |answer| Ok(answer.body.clone())).await })
    }

    fn piece<'a>(&'a self, bucket: &'a str, key: &'a str, from: u64, size: u64) -> PortFuture<'a, Bytes> {
        Box::pin(async move {
            let wanted = size.saturating_sub(from).min(PIECE);
            if wanted == 0 {
                return Ok(Bytes::new());
            }
            let mut draft = Draft::new(GET, Method::GET, bucket, key);
            draft.range = Some(format!("bytes={from}-{}", from + wanted - 1));
            // A range that an object no longer has is answered with all of it, and 200.
            let read = |answer: &Answer| {
                let is_piece = (answer.status == 206 || from == 0) && answer.body.len() as u64 == wanted;
                if is_piece { Ok(answer.body.clone()) } else { Err(shrunk()) }
            };
            self.oss(&draft, read).await.map_err(|error| if error.code.as_deref() == Some("InvalidRange") { shrunk() } else { error })
        })
    }

    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, body: Bytes) -> PortFuture<'a, ()> {
        Box::pin(async move {
            let mut draft = Draft::new(PUT, Method::PUT, bucket, key);
            draft.content_type = Some("application/octet-stream");
            draft.body = body;
            self.oss(&draft, |answer| done(PUT, answer)).await
        })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, ()> {
        Box::pin(async move { self.oss(&Draft::new(DELETE, Method::DELETE, bucket, key), |answer| done(DELETE, answer)).await })
    }
}

impl Aliyun {
    /// The headers of one object, in lower case: `etag`, `last-modified`, `x-oss-meta-…`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such object; any failed call.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<BTreeMap<String, String>, CloudError> {
        let read = |answer: &Answer| {
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            Ok(answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
        };
        self.oss(&Draft::new(HEAD, Method::HEAD, bucket, key), read).await
    }

    async fn oss<T>(&self, draft: &Draft<'_>, read: impl Fn(&Answer) -> Result<T, CloudError>) -> Result<T, CloudError> {
        let read = |answer: &Answer| if (200..300).contains(&answer.status) { read(answer) } else { Err(error::of_oss(draft.api, answer)) };
        self.attempts(draft.api, |key| self.oss_request(draft, key), read).await
    }

    fn oss_request(&self, draft: &Draft<'_>, keys: &StaticKeys) -> Result<Request, CloudError> {
        let Draft { api, bucket, key, .. } = *draft;
        if !is_bucket(bucket) {
            return Err(api.error(Kind::Invalid, format!("`{bucket}` is not a bucket name")));
        }
        // Addresses have a meaning for these that no encoding takes away.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(api.error(Kind::Invalid, format!("key `{key}` has `.` or `..` between slashes")));
        }
        let unconfigured = |why: String| api.error(Kind::Unconfigured, why);
        let (mut url, place) = self.shared.endpoints.oss(&self.region, bucket).map_err(unconfigured)?;
        let resource = format!("/{bucket}/{key}");
        if place == BucketIn::Host {
            let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
            url.set_host(Some(&host)).map_err(|why| unconfigured(why.to_string()))?;
        }
        url.set_path(&sign::encode_path(&if place == BucketIn::Path { resource.clone() } else { format!("/{key}") }));
        let query = |bare| sign::query(draft.query.iter().map(|(name, value)| (*name, value.as_str())), bare);
        url.set_query((!draft.query.is_empty()).then(|| query(false)).as_deref());

        let now = self.now();
        let mut headers = BTreeMap::from([
            ("x-oss-date".to_owned(), now.format("%Y%m%dT%H%M%SZ").to_string()),
            ("x-oss-content-sha256".to_owned(), sign::UNSIGNED_PAYLOAD.to_owned()),
        ]);
        headers.extend(draft.content_type.map(|kind| ("content-type".to_owned(), kind.to_owned())));
        headers.extend(keys.session_token.clone().map(|token| ("x-oss-security-token".to_owned(), token)));
        let authorization =
            sign::oss4(draft.method.as_str(), &resource, &query(true), &headers, &self.region, &keys.access_key_id, &keys.secret_access_key);
        headers.insert("authorization".to_owned(), authorization);
        headers.extend(draft.range.clone().map(|range| ("range".to_owned(), range)));
        let mut request = Request::new(draft.method.clone(), url);
        *request.headers_mut() = header_map(api, headers)?;
        *request.body_mut() = Some(draft.body.clone().into());
        Ok(request)
    }
}

fn shrunk() -> CloudError {
    GET.error(Kind::Conflict, "the object is shorter than it was")
}

/// A change that was done is answered with nothing.
fn done(api: Api, answer: &Answer) -> Result<(), CloudError> {
    if answer.body.trim_ascii().is_empty() { Ok(()) } else { Err(error::of_oss(api, answer)) }
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn info(object: &xml::Element) -> Result<ObjectInfo, CloudError> {
    let malformed = |what: &str| LIST.error(Kind::Malformed, format!("a listed object without {what}"));
    let key = object.text("Key").ok_or_else(|| malformed("a key"))?;
    let key = percent_encoding::percent_decode_str(key).decode_utf8().map_err(|_| malformed("a readable key"))?;
    Ok(ObjectInfo {
        key: key.into_owned(),
        modified: object.text("LastModified").and_then(|time| time.parse::<Timestamp>().ok()).ok_or_else(|| malformed("a time"))?,
        // `Normal`, `Multipart`, `Appendable` or `Symlink`.
        whole: object.text("Type").is_none_or(|kind| kind == "Normal"),
        etag: object.text("ETag").unwrap_or_default().trim_matches('"').to_ascii_lowercase(),
        size: object.text("Size").and_then(|size| size.parse().ok()).ok_or_else(|| malformed("a size"))?,
    })
}
