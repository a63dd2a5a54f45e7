//! Between a signed AWS request and the services: verification of Signature Version 4 in its header form.
//!
//! Written from "Create a signed AWS API request" (IAM user guide): canonical request, string to sign, derived key.
//! The region of the scope may be any; the signature must match whatever region, service and day the scope names.
//! S3 is verified by the `s3s` crate, which also knows its streaming and query forms.

use chrono::{NaiveDateTime, SecondsFormat};
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use lifeboat_notation::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// How far the client's clock may be off, in seconds.
pub const MAX_SKEW_SECONDS: i64 = 15 * 60;

/// What is left as it is by AWS's URI encoding: the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a request is not authentic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("request is not signed")]
    Missing,
    #[error("{0}")]
    Incomplete(String),
    #[error("access key id `{0}` is not known")]
    UnknownKey(String),
    /// The client's clock is too far off; the text is the vendor's sentence.
    #[error("{0}")]
    Expired(String),
    #[error("signature does not match")]
    Mismatch,
}

/// The `Authorization` header of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub access_key_id: String,
    /// `20261122`.
    pub date: String,
    pub region: String,
    /// The service that the request is for, such as `ec2`.
    pub service: String,
    /// Lower-case header names in the order in which they were signed.
    pub signed_headers: Vec<String>,
    /// Lower-case hex.
    pub signature: String,
}

impl Authorization {
    /// Reads `AWS4-HMAC-SHA256 Credential=…/20261122/us-east-1/ec2/aws4_request, SignedHeaders=…, Signature=…`.
    ///
    /// # Errors
    /// [`SignatureError::Incomplete`] with the part that is missing.
    pub fn parse(header: &str) -> Result<Self, SignatureError> {
        let incomplete = |part: &str| SignatureError::Incomplete(format!("Authorization header requires '{part}' parameter."));
        let fields = header.trim().strip_prefix("AWS4-HMAC-SHA256").ok_or_else(|| incomplete("Credential"))?;
        let field = |name: &str| {
            fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| incomplete(name))
        };
        let credential = field("Credential")?;
        // The key id comes first and may contain slashes in theory; the scope's four parts never do.
        let mut parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        parts.reverse();
        let [access_key_id, date, region, service, "aws4_request"] = parts[..] else {
            return Err(SignatureError::Incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.".into(),
            ));
        };
        Ok(Self {
            access_key_id: access_key_id.into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.into(),
        })
    }

    /// Checks the signature over `parts` and `body` with `secret`, and the request's time against `now`.
    ///
    /// # Errors
    /// [`SignatureError`]; the time is only looked at when the signature is right, as a wrong signature tells nothing about time.
    pub fn verify(&self, parts: &Parts, body: &[u8], secret: &str, now: Timestamp) -> Result<(), SignatureError> {
        for needed in ["host", "x-amz-date"] {
            if !self.signed_headers.iter().any(|name| name == needed) {
                return Err(SignatureError::Incomplete(format!("'{needed}' must be a 'SignedHeader' in the AWS Authorization.")));
            }
        }
        let time = header(parts, "x-amz-date").ok_or_else(|| {
            SignatureError::Incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".into())
        })?;
        let at = NaiveDateTime::parse_from_str(&time, "%Y%m%dT%H%M%SZ")
            .map_err(|_| SignatureError::Incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{time}'.")))?
            .and_utc();
        if !time.starts_with(&self.date) {
            return Err(SignatureError::Mismatch);
        }
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(self.canonical_request(parts, body)?)));
        let given = hex::decode(&self.signature).map_err(|_| SignatureError::Mismatch)?;
        let key = [self.date.as_str(), &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part).finalize().into_bytes().to_vec());
        mac(&key, &to_sign).verify_slice(&given).map_err(|_| SignatureError::Mismatch)?;

        let now = now.to_utc();
        let behind = (now - at).num_seconds();
        let basic = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true).replace(['-', ':'], "");
        if behind > MAX_SKEW_SECONDS {
            let oldest = basic(now - chrono::TimeDelta::seconds(MAX_SKEW_SECONDS));
            return Err(SignatureError::Expired(format!("Signature expired: {time} is now earlier than {oldest} ({} - 15 min.)", basic(now))));
        }
        if behind < -MAX_SKEW_SECONDS {
            let newest = basic(now + chrono::TimeDelta::seconds(MAX_SKEW_SECONDS));
            return Err(SignatureError::Expired(format!(
                "Signature not yet current: {time} is still later than {newest} ({} + 15 min.)",
                basic(now)
            )));
        }
        Ok(())
    }

    fn canonical_request(&self, parts: &Parts, body: &[u8]) -> Result<String, SignatureError> {
        let mut headers = String::new();
        for name in &self.signed_headers {
            let value = header(parts, name).ok_or(SignatureError::Mismatch)?;
            headers.push_str(&format!("{name}:{value}\n"));
        }
        Ok(format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            parts.method,
            canonical_path(parts.uri.path()),
            canonical_query(parts.uri.query().unwrap_or_default()),
            self.signed_headers.join(";"),
            hex::encode(Sha256::digest(body)),
        ))
    }
}

fn mac(key: &[u8], message: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac
}

/// All values of a header joined by commas, blanks trimmed and runs of blanks made one.
fn header(parts: &Parts, name: &str) -> Option<String> {
    let values: Vec<String> = parts
        .headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The path as on the wire, dots and empty segments removed, each segment encoded once more: every service but S3 signs it so.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut canonical: String = segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, RESERVED))).collect();
    if path.ends_with('/') || canonical.is_empty() {
        canonical.push('/');
    }
    canonical
}

/// Names and values decoded, encoded in AWS's way and sorted.
fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        percent_encoding::percent_encode(&decoded, RESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The key pair of AWS's own examples, with which the captured requests were signed.
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    const CAPTURED: [&str; 6] = [
        include_str!("../../../../tests/vectors/aws/cli-route53-get-change.json"),
        include_str!("../../../../tests/vectors/aws/cli-route53-list-resource-record-sets.json"),
        include_str!("../../../../tests/vectors/aws/cli-ec2-start-instances.json"),
        include_str!("../../../../tests/vectors/aws/cli-ec2-run-instances.json"),
        include_str!("../../../../tests/vectors/aws/rust-ec2-start-instances.json"),
        include_str!("../../../../tests/vectors/aws/rust-route53-change-record-sets.json"),
    ];

    fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn captured(text: &str) -> (Parts, Vec<u8>, Authorization, Timestamp) {
        let captured: Value = serde_json::from_str(text).unwrap();
        let request_of = &captured["request"];
        let headers: Vec<(&str, &str)> =
            request_of["headers"].as_array().unwrap().iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
        let parts = request(request_of["method"].as_str().unwrap(), request_of["target"].as_str().unwrap(), &headers);
        let authorization = Authorization::parse(parts.headers["authorization"].to_str().unwrap()).unwrap();
        let at = NaiveDateTime::parse_from_str(parts.headers["x-amz-date"].to_str().unwrap(), "%Y%m%dT%H%M%SZ").unwrap();
        let now = Timestamp::from_nanos(at.and_utc().timestamp_nanos_opt().unwrap());
        (parts, request_of["body"].as_str().unwrap_or_default().as_bytes().to_vec(), authorization, now)
    }

    #[test]
    fn requests_of_the_real_clients_verify() {
        for text in CAPTURED {
            let (parts, body, authorization, now) = captured(text);
            assert_eq!(authorization.verify(&parts, &body, SECRET, now), Ok(()), "{} {}", parts.method, parts.uri);
        }
    }

    #[test]
    fn any_change_breaks_the_signature() {
        for text in CAPTURED {
            let (parts, mut body, authorization, now) = captured(text);
            assert_eq!(authorization.verify(&parts, &body, "another secret", now), Err(SignatureError::Mismatch));
            body.push(b'x');
            assert_eq!(authorization.verify(&parts, &body, SECRET, now), Err(SignatureError::Mismatch));
            body.pop();
            let mut other_scope = authorization.clone();
            other_scope.region = "eu-west-1".into();
            assert_eq!(other_scope.verify(&parts, &body, SECRET, now), Err(SignatureError::Mismatch));
            let mut tampered = parts.clone();
            tampered.uri = "/2013-04-01/hostedzone/ZOTHER".parse().unwrap();
            assert_eq!(authorization.verify(&tampered, &body, SECRET, now), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn the_clock_may_be_off_by_fifteen_minutes() {
        let (parts, body, authorization, now) = captured(CAPTURED[2]);
        let moved = |seconds: i64| Timestamp::from_nanos(now.as_nanos() + seconds * 1_000_000_000);
        for seconds in [-900, 900] {
            assert_eq!(authorization.verify(&parts, &body, SECRET, moved(seconds)), Ok(()));
        }
        for seconds in [-901, 901] {
            assert!(matches!(authorization.verify(&parts, &body, SECRET, moved(seconds)), Err(SignatureError::Expired(_))));
        }
    }

    /// From the "Signature Version 4 test suite" that AWS publishes (`get-vanilla-query-order-key-case`).
    #[test]
    fn the_published_example_verifies() {
        let parts = request("GET", "/?Param2=value2&Param1=value1", &[("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")]);
        let authorization = Authorization::parse(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, \
             Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        )
        .unwrap();
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        assert_eq!(authorization.verify(&parts, b"", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", now), Ok(()));
    }

    #[test]
    fn half_an_authorization_is_incomplete() {
        for header in [
            "",
            "Bearer x",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/1/r/s/aws4_request, Signature=00",
        ] {
            assert!(matches!(Authorization::parse(header), Err(SignatureError::Incomplete(_))), "{header}");
        }
        let unsigned_host =
            Authorization::parse("AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request,SignedHeaders=x-amz-date,Signature=00").unwrap();
        let parts = request("GET", "/", &[("x-amz-date", "20260101T000000Z")]);
        assert!(matches!(unsigned_host.verify(&parts, b"", "s", Timestamp::from_nanos(0)), Err(SignatureError::Incomplete(_))));
    }

    #[test]
    fn paths_and_queries_are_made_canonical() {
        for (path, canonical) in
            [("", "/"), ("/", "/"), ("/a/", "/a/"), ("/a//b", "/a/b"), ("/a/./b/../c", "/a/c"), ("/a%20b", "/a%2520b"), ("/..", "/")]
        {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
        assert_eq!(canonical_query("b=2&a=x%20y&a=*&c"), "a=%2A&a=x%20y&b=2&c=");
    }
}
