//! From a request that is about to be sent to its signature: ACS3-HMAC-SHA256 for the RPC products, OSS V4 for objects.
//!
//! Both signatures follow the vendor's documentation and are compared with requests of the official SDKs (`tests/vectors/aliyun`).

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// What a query or a signature leaves as it is: letters, digits, `-`, `_`, `.`, `~`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What OSS is told instead of a hash of the body.
pub(super) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Encodes a name or value of a query, for the wire and for signatures alike.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// Encodes a path, keeping its slashes.
pub(super) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// Lower-case hex of the SHA-256.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The encoded query of `pairs` in the order that signatures want. `bare` leaves the `=` of empty values out.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, bare: bool) -> String {
    let mut pairs: Vec<(String, String)> = pairs.into_iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    let one = |(name, value): (String, String)| if bare && value.is_empty() { name } else { format!("{name}={value}") };
    pairs.into_iter().map(one).collect::<Vec<_>>().join("&")
}

/// The `Authorization` of an RPC request. `headers` are all that are signed, in lower case; among them must be `host` and
/// `x-acs-content-sha256`, the hash of the body.
pub(super) fn acs3(method: &str, path: &str, query: &str, headers: &BTreeMap<String, String>, key_id: &str, secret: &str) -> String {
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let payload = headers.get("x-acs-content-sha256").map_or("", String::as_str);
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
    let string_to_sign = format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes()));
    let signature = hex::encode(mac(secret.as_bytes(), &string_to_sign));
    format!("ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}")
}

/// The `Authorization` of an OSS request. `path` is `/` or `/bucket/key`, unencoded, wherever the bucket stands on the wire; `headers` are
/// those to be sent, in lower case, `x-oss-date` among them; what needs no signature is left out here.
pub(super) fn oss4(method: &str, path: &str, query: &str, headers: &BTreeMap<String, String>, region: &str, key_id: &str, secret: &str) -> String {
    let date = headers.get("x-oss-date").map_or("", String::as_str);
    let scope = format!("{}/{region}/oss/aliyun_v4_request", date.get(..8).unwrap_or_default());
    let is_signed = |name: &str| name.starts_with("x-oss-") || name == "content-type" || name == "content-md5";
    let lines: String = headers.iter().filter(|(name, _)| is_signed(name)).map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let canonical = format!("{method}\n{}\n{query}\n{lines}\n\n{UNSIGNED_PAYLOAD}", encode_path(path));
    let string_to_sign = format!("OSS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    let seed = format!("aliyun_v4{secret}").into_bytes();
    let key = scope.split('/').fold(seed, |key, part| mac(&key, part));
    format!("OSS4-HMAC-SHA256 Credential={key_id}/{scope},Signature={}", hex::encode(mac(&key, &string_to_sign)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Vector, vectors};
    use super::*;

    /// What a captured request was made of: path and decoded query.
    fn target(vector: &Vector, plus_is_blank: bool) -> (String, Vec<(String, String)>) {
        let (path, query) = vector.request.target.split_once('?').unwrap_or((&vector.request.target, ""));
        let decode = |text: &str| {
            let text = if plus_is_blank { text.replace('+', " ") } else { text.to_owned() };
            percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned()
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        (decode(path), pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[test]
    fn acs3_is_what_the_official_sdk_and_the_published_example_sign() {
        let mut seen = 0;
        for vector in vectors("ACS3-HMAC-SHA256") {
            let sent = vector.headers();
            let authorization = &sent["authorization"];
            let signed = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
            let headers = signed.split(';').map(|name| (name.to_owned(), sent[name].clone())).collect();
            let (path, pairs) = target(&vector, true);
            let query = query(borrowed(&pairs), false);
            assert_eq!(sent["x-acs-content-sha256"], sha256_hex(vector.request.body.as_bytes()));
            let ours = acs3(&vector.request.method, &path, &query, &headers, &vector.access_key_id, &vector.access_key_secret);
            assert_eq!(ours, *authorization, "{}", vector.name);
            seen += 1;
        }
        assert!(seen >= 25, "only {seen} vectors");
    }

    #[test]
    fn oss4_is_what_the_official_sdk_signs() {
        let mut seen = 0;
        for vector in vectors("OSS4-HMAC-SHA256") {
            let sent = vector.headers();
            let (path, pairs) = target(&vector, false);
            let query = query(borrowed(&pairs), true);
            let ours = oss4(&vector.request.method, &path, &query, &sent, "cn-hangzhou", &vector.access_key_id, &vector.access_key_secret);
            assert_eq!(ours, sent["authorization"], "{}", vector.name);
            seen += 1;
        }
        assert!(seen >= 8, "only {seen} vectors");
    }
}
