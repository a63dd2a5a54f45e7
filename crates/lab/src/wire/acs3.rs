//! Between the bytes of an Alibaba Cloud API request and the claim "the holder of this key sent exactly this": ACS3-HMAC-SHA256,
//! and the older HMAC-SHA1 query signature, verified as the documentation "V3 request structure and signature" and "V2 RPC style" tell.
//!
//! Clients encode queries differently from the canonical form (`+` for a blank), so names and values are decoded and encoded again.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use hmac::{Hmac, Mac as _};
use http::HeaderMap;
use http::request::Parts;
use lifeboat_notation::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// How far a request's date may be from the server's clock, either way.
pub const SKEW_SECONDS: u64 = 15 * 60;

/// RFC 3986: everything but unreserved characters is encoded.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A key pair that is known to the service.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// Access key id.
    pub id: &'a str,
    /// Access key secret.
    pub secret: &'a str,
}

/// Why a request is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no signature, or it lacks a part.
    #[error("the request signature is incomplete: {0}")]
    Incomplete(String),
    /// Signed with a key the service does not know.
    #[error("the access key is not known")]
    UnknownKey,
    /// The date is unreadable or too far from the server's clock.
    #[error("the date is outside the accepted window")]
    Expired,
    /// The hash of the body is not the one that was signed.
    #[error("the payload hash is not that of the body")]
    Payload,
    /// The signature is not the one this side computes; carries the string to sign.
    #[error("the signature does not match")]
    Mismatch(String),
    /// A security token came with a key that needs none.
    #[error("the security token does not belong to the key")]
    Token,
}

/// Checks an ACS3-HMAC-SHA256 request and returns its nonce, which the caller must not accept a second time.
///
/// # Errors
/// Everything in [`Refused`].
pub fn verify(parts: &Parts, body: &[u8], key: Key<'_>, now: Timestamp) -> Result<String, Refused> {
    let headers = &parts.headers;
    let authorization = Authorization::parse(&need(headers, "authorization")?)?;
    if authorization.credential != key.id {
        return Err(Refused::UnknownKey);
    }
    if headers.contains_key("x-acs-security-token") {
        return Err(Refused::Token);
    }
    let nonce = need(headers, "x-acs-signature-nonce")?;
    let date = need(headers, "x-acs-date")?;
    fresh(DateTime::parse_from_rfc3339(&date).ok().and_then(|date| date.timestamp_nanos_opt()), now)?;
    let payload = hex::encode(Sha256::digest(body));
    if need(headers, "x-acs-content-sha256")? != payload {
        return Err(Refused::Payload);
    }
    must_be_signed(headers, &authorization.signed_headers, !body.is_empty())?;

    let mut canonical_headers = String::new();
    for name in &authorization.signed_headers {
        canonical_headers += &format!("{name}:{}\n", need(headers, name)?);
    }
    let path = if parts.uri.path().is_empty() { "/" } else { parts.uri.path() };
    let request = format!(
        "{}\n{path}\n{}\n{canonical_headers}\n{}\n{payload}",
        parts.method,
        canonical_query(&form_pairs(parts.uri.query().unwrap_or_default())),
        authorization.signed_headers.join(";"),
    );
    let string_to_sign = format!("ACS3-HMAC-SHA256\n{}", hex::encode(Sha256::digest(request)));
    let signature = hex::decode(&authorization.signature).map_err(|_| Refused::Incomplete("Signature is not hexadecimal".to_owned()))?;
    if hmac::<Hmac<Sha256>>(key.secret.as_bytes(), &string_to_sign).verify_slice(&signature).is_err() {
        return Err(Refused::Mismatch(string_to_sign));
    }
    Ok(nonce)
}

/// Checks the older signature, HMAC-SHA1 over query and form parameters together, and returns its nonce.
///
/// # Errors
/// Everything in [`Refused`] but [`Refused::Payload`].
pub fn verify_v1(method: &str, params: &BTreeMap<String, String>, key: Key<'_>, now: Timestamp) -> Result<String, Refused> {
    use base64::Engine as _;
    let part = |name: &str| params.get(name).cloned().ok_or_else(|| Refused::Incomplete(format!("{name} is missing")));
    if part("AccessKeyId")? != key.id {
        return Err(Refused::UnknownKey);
    }
    if params.contains_key("SecurityToken") {
        return Err(Refused::Token);
    }
    if part("SignatureMethod")? != "HMAC-SHA1" || part("SignatureVersion")? != "1.0" {
        return Err(Refused::Incomplete("SignatureMethod HMAC-SHA1 and SignatureVersion 1.0 are expected".to_owned()));
    }
    let date = NaiveDateTime::parse_from_str(&part("Timestamp")?, "%Y-%m-%dT%H:%M:%SZ").ok();
    fresh(date.and_then(|date| date.and_utc().timestamp_nanos_opt()), now)?;
    let pairs: Vec<_> = params.iter().filter(|(name, _)| *name != "Signature").map(|(name, value)| (name.clone(), value.clone())).collect();
    let string_to_sign = format!("{method}&%2F&{}", encode(&canonical_query(&pairs)));
    let signature =
        base64::prelude::BASE64_STANDARD.decode(part("Signature")?).map_err(|_| Refused::Incomplete("Signature is not base64".to_owned()))?;
    if hmac::<Hmac<sha1::Sha1>>(format!("{}&", key.secret).as_bytes(), &string_to_sign).verify_slice(&signature).is_err() {
        return Err(Refused::Mismatch(string_to_sign));
    }
    part("SignatureNonce")
}

/// Name and value pairs of a query or form, decoded (`+` is a blank).
pub fn form_pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// RFC 3986 encoding as both signatures want it.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

fn hmac<M: hmac::Mac + hmac::KeyInit>(key: &[u8], text: &str) -> M {
    let mut mac = <M as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

/// A header's value, trimmed; several of one name joined with commas.
fn need(headers: &HeaderMap, name: &str) -> Result<String, Refused> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).collect();
    if values.is_empty() { Err(Refused::Incomplete(format!("header {name} is missing"))) } else { Ok(values.join(",")) }
}

fn fresh(nanos: Option<i64>, now: Timestamp) -> Result<(), Refused> {
    let nanos = nanos.ok_or(Refused::Expired)?;
    if now.nanos_since(Timestamp::from_nanos(nanos)).unsigned_abs() > SKEW_SECONDS * 1_000_000_000 { Err(Refused::Expired) } else { Ok(()) }
}

fn must_be_signed(headers: &HeaderMap, signed: &[String], with_body: bool) -> Result<(), Refused> {
    let needed = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| *name == "host" || name.starts_with("x-acs-") || (with_body && *name == "content-type"));
    for name in needed {
        if !signed.iter().any(|other| other == name) {
            return Err(Refused::Incomplete(format!("header {name} is not among SignedHeaders")));
        }
    }
    Ok(())
}

/// `ACS3-HMAC-SHA256 Credential=<id>,SignedHeaders=<a;b>,Signature=<hex>`.
struct Authorization {
    credential: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    fn parse(text: &str) -> Result<Self, Refused> {
        let rest = text
            .strip_prefix("ACS3-HMAC-SHA256")
            .ok_or_else(|| Refused::Incomplete("Authorization does not begin with ACS3-HMAC-SHA256".to_owned()))?;
        let fields: BTreeMap<&str, &str> = rest.split(',').filter_map(|field| field.trim().split_once('=')).collect();
        let field = |name: &str| {
            let value = fields.get(name).filter(|value| !value.is_empty());
            value.map(|value| (*value).to_owned()).ok_or_else(|| Refused::Incomplete(format!("Authorization lacks {name}")))
        };
        Ok(Self {
            credential: field("Credential")?,
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_ascii_lowercase).collect(),
            signature: field("Signature")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors::{self, Vector};

    fn check(vector: &Vector) -> Result<String, Refused> {
        let (parts, body) = vector.request();
        let now = vector.clock.parse().unwrap();
        verify(&parts, body.as_bytes(), Key { id: &vector.access_key_id, secret: &vector.access_key_secret }, now)
    }

    #[test]
    fn captured_requests_of_the_official_sdk_are_believed() {
        let mut seen = 0;
        for vector in vectors::of("ACS3-HMAC-SHA256").iter().filter(|vector| vector.security_token.is_none()) {
            assert_eq!(check(vector).as_deref(), Ok(vector.nonce.as_str()), "{}", vector.name);
            seen += 1;
        }
        assert!(seen >= 25, "only {seen} vectors");
    }

    #[test]
    fn one_changed_byte_anywhere_is_noticed() {
        let vector = vectors::named("ecs-describe-instances");
        let wrong = |change: &dyn Fn(&mut Vector)| {
            let mut vector = vector.clone();
            change(&mut vector);
            check(&vector).unwrap_err()
        };
        assert!(matches!(wrong(&|v| v.request.target = v.request.target.replace("bp1a", "bp1c")), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.request.method = "GET".to_owned()), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.set("x-acs-action", "StopInstances")), Refused::Mismatch(_)));
        assert!(matches!(wrong(&|v| v.access_key_secret.push('x')), Refused::Mismatch(_)));
        assert_eq!(wrong(&|v| v.access_key_id.push('x')), Refused::UnknownKey);
        assert_eq!(wrong(&|v| v.request.body = "x".to_owned()), Refused::Payload);
        assert_eq!(wrong(&|v| v.clock = "2026-01-02T03:20:00Z".to_owned()), Refused::Expired);
        assert_eq!(wrong(&|v| v.clock = "2026-01-02T02:40:00Z".to_owned()), Refused::Expired);
        assert!(matches!(wrong(&|v| v.set("x-acs-extra", "unsigned")), Refused::Incomplete(_)));
        assert!(matches!(wrong(&|v| v.set("authorization", "Bearer x")), Refused::Incomplete(_)));
        assert!(matches!(wrong(&|v| v.set("authorization", "ACS3-HMAC-SHA256 ,,,=")), Refused::Incomplete(_)));
    }

    #[test]
    fn the_older_query_signature_is_verified_too() {
        for vector in vectors::of("RPC HMAC-SHA1 1.0").iter().filter(|vector| vector.security_token.is_none()) {
            let (parts, body) = vector.request();
            let mut params: BTreeMap<_, _> = form_pairs(parts.uri.query().unwrap()).into_iter().collect();
            params.extend(form_pairs(&body));
            let now = vector.clock.parse().unwrap();
            let key = Key { id: &vector.access_key_id, secret: &vector.access_key_secret };
            assert_eq!(verify_v1(parts.method.as_str(), &params, key, now).as_deref(), Ok(vector.nonce.as_str()), "{}", vector.name);
            params.insert("RegionId".to_owned(), "elsewhere".to_owned());
            assert!(matches!(verify_v1(parts.method.as_str(), &params, key, now), Err(Refused::Mismatch(_))));
        }
    }
}
