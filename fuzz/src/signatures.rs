//! The lab's readers of signed requests: nobody who cannot sign is believed, whatever they send.

use std::collections::BTreeMap;

use lifeboat::lab::wire::acs3::{self, Key};
use lifeboat::lab::wire::oss_v4::{self, Resource};
use lifeboat::lab::wire::sigv4::Authorization;
use lifeboat::lab::wire::{aliyun_rpc, aws_query, xml};
use lifeboat::model::time::Timestamp;

use super::http_text::request;

/// A request, with whatever it says for a signature.
pub fn signatures(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = xml::Element::parse(text);
    }
    let Some(request) = request(data) else { return };
    let (parts, body) = request.into_parts();
    // The captured requests of the official SDKs are of this hour.
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
    // Not the key of those requests.
    let key = Key { id: "LTAI5tExampleAccessKeyId", secret: "never guessed" };
    if let Some(header) = parts.headers.get("authorization").and_then(|value| value.to_str().ok())
        && let Ok(authorization) = Authorization::parse(header)
    {
        assert!(authorization.verify(&parts, &body, key.secret, now).is_err());
    }
    assert!(acs3::verify(&parts, &body, key, now).is_err());
    let resource = Resource::of(&parts);
    let _ = oss_v4::query(&parts);
    assert!(oss_v4::verify(&parts, &resource, key, "cn-hangzhou", now).is_err());
    let call = aliyun_rpc::Call::read(&parts, &body);
    let params: BTreeMap<_, _> = call.params().clone();
    assert!(acs3::verify_v1(parts.method.as_str(), &params, key, now).is_err());
    if let Ok(parameters) = aws_query::Parameters::read(&parts, &body) {
        for list in ["InstanceId", "Filter", "Filter.1.Value", ""] {
            let _ = (parameters.list(list), parameters.members(list));
        }
        let _ = parameters.fingerprint();
    }
}
