//! Writing, reading and removing one object.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderName;
use serde_json::json;

use super::{Answer, ApiError, SignedRequest, find_bucket};
use crate::world::state::{Object, State};

/// The prefix of a user's own metadata in headers.
const META: &str = "x-oss-meta-";
/// The largest user metadata in sum.
const LARGEST_META: usize = 8 << 10;

pub(super) fn put(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    find_bucket(state, asked)?;
    let key = &asked.resource.key;
    if key.len() > 1023 || key.starts_with('\\') {
        return Err(ApiError::new(400, "InvalidObjectName", "0016-00000301", "The specified object is not valid.").with("ObjectName", key));
    }
    let header = |name: &str| asked.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    if asked.headers.contains_key("x-oss-copy-source") {
        return Err(ApiError::new(501, "NotImplemented", "0001-00000001", "A header you provided implies functionality that is not implemented."));
    }
    let metadata: BTreeMap<String, String> = asked
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(META)?.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())))
        .collect();
    if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > LARGEST_META {
        return Err(ApiError::new(400, "InvalidArgument", "0017-00000001", "The user metadata is larger than 8 KB."));
    }
    let content_type = header("content-type").unwrap_or_else(|| "application/octet-stream".to_owned());
    let object = Object::new(asked.body.clone(), &content_type, metadata, state.now);
    if let Some(wanted) = header("content-md5") {
        use base64::Engine as _;
        let has = hex::decode(&object.etag).map(|digest| base64::prelude::BASE64_STANDARD.encode(digest));
        if has.ok() != Some(wanted) {
            return Err(ApiError::new(400, "InvalidDigest", "0017-00000002", "The Content-MD5 you specified did not match what was received."));
        }
    }
    find_bucket(state, asked)?;
    let Some(bucket) = state.buckets.get_mut(&asked.resource.bucket) else { return Ok(Answer::empty(500)) };
    if header("x-oss-forbid-overwrite").is_some_and(|forbid| forbid == "true") && bucket.objects.contains_key(key) {
        return Err(ApiError::new(409, "FileAlreadyExists", "0026-00000002", "The object you specified already exists and can not be overwritten."));
    }
    let mut answer = Answer::empty(200);
    answer.headers =
        vec![(HeaderName::from_static("etag"), etag(&object)), (HeaderName::from_static("x-oss-hash-crc64ecma"), crc64(&object.body).to_string())];
    bucket.objects.insert(key.clone(), object);
    let fields = json!({ "bucket": asked.resource.bucket, "key": key, "size": asked.body.len() });
    state.truth.record(state.now, "object", fields);
    Ok(answer)
}

fn find<'a>(state: &'a State, asked: &SignedRequest) -> Result<&'a Object, ApiError> {
    let key = &asked.resource.key;
    let object = find_bucket(state, asked)?.objects.get(key);
    object.ok_or_else(|| ApiError::new(404, "NoSuchKey", "0026-00000001", "The specified key does not exist.").with("Key", key))
}

pub(super) fn head(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    let object = find(state, asked)?;
    // The server leaves the length of what it would have sent; the body itself is not sent for HEAD.
    Ok(Answer { body: object.body.clone(), ..described(object) })
}

pub(super) fn get(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    let object = find(state, asked)?;
    let whole = &object.body;
    let range = asked.headers.get("range").and_then(|range| range.to_str().ok()).and_then(|range| range_of(range, whole.len()));
    let mut answer = described(object);
    answer.body = match range {
        None => whole.clone(),
        Some((first, last)) => {
            answer.status = 206;
            let value = format!("bytes {first}-{last}/{}", whole.len());
            answer.headers.push((HeaderName::from_static("content-range"), value));
            whole.slice(first..=last)
        }
    };
    Ok(answer)
}

/// First and last byte of `bytes=a-b`, `bytes=a-` or `bytes=-n`; anything else, and what lies outside, means the whole.
fn range_of(text: &str, len: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = len.checked_sub(1)?;
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(count)) if first.is_empty() && count > 0 => (len.saturating_sub(count), end),
        _ => return None,
    };
    (first <= last).then_some((first, last))
}

pub(super) fn delete(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    find_bucket(state, asked)?;
    if let Some(bucket) = state.buckets.get_mut(&asked.resource.bucket) {
        bucket.objects.remove(&asked.resource.key);
    }
    // Removing what is not there succeeds too.
    Ok(Answer::empty(204))
}

fn etag(object: &Object) -> String {
    format!("\"{}\"", object.etag.to_ascii_uppercase())
}

fn described(object: &Object) -> Answer {
    let mut headers = vec![
        (HeaderName::from_static("etag"), etag(object)),
        (HeaderName::from_static("last-modified"), object.modified_at.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        (HeaderName::from_static("x-oss-object-type"), object.kind().to_owned()),
        (HeaderName::from_static("x-oss-storage-class"), "Standard".to_owned()),
        (HeaderName::from_static("x-oss-hash-crc64ecma"), crc64(&object.body).to_string()),
        (HeaderName::from_static("accept-ranges"), "bytes".to_owned()),
    ];
    for (name, value) in &object.metadata {
        if let Ok(name) = HeaderName::try_from(format!("{META}{name}")) {
            headers.push((name, value.clone()));
        }
    }
    Answer { status: 200, headers, content_type: object.content_type.clone(), body: Bytes::new() }
}

/// CRC-64 with the ECMA-182 polynomial, reflected, as OSS and its SDKs compute it.
pub(super) fn crc64(bytes: &[u8]) -> u64 {
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut crc = index as u64;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xC96C_5795_D787_0F42 } else { crc >> 1 };
                bit += 1;
            }
            table[index] = crc;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0_u64, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}
