//! Between the bytes of an OSS request and the claim "the holder of this key sent exactly this": OSS4-HMAC-SHA256 in the
//! Authorization header, as the documentation "Include a V4 signature in the Authorization header" tells. The payload itself is not signed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use lifeboat_notation::time::Timestamp;
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use super::acs3::{Key, RESERVED, Refused, SKEW_SECONDS};

/// In a path the slash stays as it is.
const PATH: &percent_encoding::AsciiSet = &RESERVED.remove(b'/');

/// The bucket and key that a request is about; either may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Bucket name.
    pub bucket: String,
    /// Object key, decoded.
    pub key: String,
}

impl Resource {
    /// From a path-style target (`/bucket/key`) or, when `Host` names a bucket before the endpoint, from host and path.
    /// A bare address, `localhost` and hosts that begin with `oss` are endpoints.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let path = percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).or_else(|| parts.uri.host()).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let endpoint = name.parse::<std::net::IpAddr>().is_ok() || name == "localhost" || name.starts_with("oss");
        let (bucket, key) = match name.split_once('.') {
            Some((bucket, _)) if !endpoint => (bucket, path),
            _ => path.split_once('/').unwrap_or((path, "")),
        };
        Self { bucket: bucket.to_owned(), key: key.to_owned() }
    }

    fn canonical_uri(&self) -> String {
        let path = if self.bucket.is_empty() { "/".to_owned() } else { format!("/{}/{}", self.bucket, self.key) };
        percent_encoding::utf8_percent_encode(&path, PATH).to_string()
    }
}

/// Query parameters decoded; a blank stays a plus sign, as OSS reads it.
#[must_use]
pub fn query(parts: &Parts) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decode(name), decode(value))).collect()
}

/// The region that a request is signed for.
#[must_use]
pub fn region(parts: &Parts) -> Option<String> {
    let authorization = parts.headers.get("authorization")?.to_str().ok()?;
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split('/').nth(2).map(str::to_owned)
}

/// Checks a request.
///
/// # Errors
/// [`Refused::Incomplete`], [`Refused::UnknownKey`], [`Refused::Expired`], [`Refused::Token`], [`Refused::Mismatch`].
pub fn verify(parts: &Parts, resource: &Resource, key: Key<'_>, region: &str, now: Timestamp) -> Result<(), Refused> {
    let incomplete = |what: &str| Refused::Incomplete(what.to_owned());
    let header = |name: &str| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    let authorization = header("authorization").ok_or_else(|| incomplete("there is no Authorization header"))?;
    let rest = authorization.strip_prefix("OSS4-HMAC-SHA256 ").ok_or_else(|| incomplete("Authorization is not OSS4-HMAC-SHA256"))?;
    let fields: BTreeMap<&str, &str> = rest.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let credential = fields.get("Credential").ok_or_else(|| incomplete("Authorization lacks Credential"))?;
    let (id, scope) = credential.split_once('/').ok_or_else(|| incomplete("Credential lacks its scope"))?;
    let signature = fields.get("Signature").ok_or_else(|| incomplete("Authorization lacks Signature"))?;
    let signature = hex::decode(signature).map_err(|_| incomplete("Signature is not hexadecimal"))?;
    if id != key.id {
        return Err(Refused::UnknownKey);
    }
    if parts.headers.contains_key("x-oss-security-token") {
        return Err(Refused::Token);
    }

    let date = header("x-oss-date").ok_or_else(|| incomplete("header x-oss-date is missing"))?;
    let moment = NaiveDateTime::parse_from_str(&date, "%Y%m%dT%H%M%SZ").ok().and_then(|date| date.and_utc().timestamp_nanos_opt());
    let moment = Timestamp::from_nanos(moment.ok_or(Refused::Expired)?);
    if now.nanos_since(moment).unsigned_abs() > SKEW_SECONDS * 1_000_000_000 {
        return Err(Refused::Expired);
    }
    if scope != format!("{}/{region}/oss/aliyun_v4_request", &date[..8]) {
        return Err(incomplete("the scope of Credential is not this day and region"));
    }

    let additional: BTreeSet<String> =
        fields.get("AdditionalHeaders").map(|names| names.split(';').map(str::to_ascii_lowercase).collect()).unwrap_or_default();
    let payload = header("x-oss-content-sha256").ok_or_else(|| incomplete("header x-oss-content-sha256 is missing"))?;
    let request = canonical_request(parts, resource, &additional, &payload);
    let string_to_sign = format!("OSS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(request)));
    let mut signing_key = format!("aliyun_v4{}", key.secret).into_bytes();
    for part in scope.split('/') {
        signing_key = mac(&signing_key, part).finalize().into_bytes().to_vec();
    }
    if mac(&signing_key, &string_to_sign).verify_slice(&signature).is_err() {
        return Err(Refused::Mismatch(string_to_sign));
    }
    Ok(())
}

fn canonical_request(parts: &Parts, resource: &Resource, additional: &BTreeSet<String>, payload: &str) -> String {
    let encode = |text: &str| percent_encoding::utf8_percent_encode(text, RESERVED).to_string();
    let mut query: Vec<(String, String)> = query(parts).iter().map(|(name, value)| (encode(name), encode(value))).collect();
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") }).collect();
    let signed = |name: &str| name.starts_with("x-oss-") || name == "content-type" || name == "content-md5" || additional.contains(name);
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in parts.headers.iter().filter(|(name, _)| signed(name.as_str())) {
        headers.insert(name.as_str(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
    }
    let headers: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let additional: Vec<_> = additional.iter().map(String::as_str).collect();
    format!("{}\n{}\n{}\n{headers}\n{}\n{payload}", parts.method, resource.canonical_uri(), query.join("&"), additional.join(";"))
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors::{self, Vector};

    fn check(vector: &Vector) -> Result<(), Refused> {
        let (parts, _) = vector.request();
        let key = Key { id: &vector.access_key_id, secret: &vector.access_key_secret };
        verify(&parts, &Resource::of(&parts), key, "cn-hangzhou", vector.clock.parse().unwrap())
    }

    #[test]
    fn captured_requests_of_the_official_sdk_are_believed() {
        let vectors = vectors::of("OSS4-HMAC-SHA256");
        assert!(vectors.len() >= 8);
        for vector in vectors.iter().filter(|vector| vector.security_token.is_none()) {
            let (parts, _) = vector.request();
            let expected = Resource { bucket: vector.bucket.clone().unwrap(), key: vector.key.clone().unwrap_or_default() };
            assert_eq!(Resource::of(&parts), expected, "{}", vector.name);
            assert_eq!(check(vector), Ok(()), "{}", vector.name);
        }
    }

    #[test]
    fn one_changed_byte_anywhere_is_noticed() {
        let vector = vectors::named("oss-put-object");
        let wrong = |change: &dyn Fn(&mut Vector)| {
            let mut vector = vector.clone();
            change(&mut vector);
            check(&vector).unwrap_err()
        };
        assert!(matches!(wrong(&|v| v.request.method = "DELETE".to_owned()), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.request.target.push('x')), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.request.target.push_str("?acl")), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.set("content-type", "text/plain")), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.set("x-oss-meta-a", "b")), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.access_key_secret.push('x')), Refused::Mismatch(_)));
        assert_eq!(wrong(&|v| v.access_key_id.push('x')), Refused::UnknownKey);
        assert_eq!(wrong(&|v| v.clock = "2026-01-02T03:20:00Z".to_owned()), Refused::Expired);
        assert!(matches!(wrong(&|v| v.set("authorization", "OSS4-HMAC-SHA256 Credential=a")), Refused::Incomplete(_)));
    }

    #[test]
    fn a_bucket_is_named_by_host_or_by_path() {
        let of = |host: &str, path: &str| {
            let request = http::Request::get(path).header("host", host).body(()).unwrap();
            let resource = Resource::of(&request.into_parts().0);
            (resource.bucket, resource.key)
        };
        let pair = |bucket: &str, key: &str| (bucket.to_owned(), key.to_owned());
        assert_eq!(of("127.9.0.1:8000", "/shop-orders/a%20b/c+d"), pair("shop-orders", "a b/c+d"));
        assert_eq!(of("shop-orders.127.9.0.1:8000", "/a/b"), pair("shop-orders", "a/b"));
        assert_eq!(of("shop-orders.oss-cn-hangzhou.aliyuncs.com", "/a/b"), pair("shop-orders", "a/b"));
        assert_eq!(of("oss-cn-hangzhou.aliyuncs.com", "/shop-orders/"), pair("shop-orders", ""));
        assert_eq!(of("127.9.0.1:8000", "/"), pair("", ""));
    }
}
