//! How the services say no: status, code and sentence of each vendor for each kind of trouble, in each one's own document.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use lifeboat_notation::lab::{Cloud, FaultRule, Trouble};
use serde_json::{Value, json};

use super::sighting::{Dialect, Sighting};
use crate::wire::aliyun_rpc;
use crate::wire::aws_answer::{self, ApiError};
use crate::wire::xml::Answer;

/// Status, code, sentence.
type Wording = (u16, &'static str, &'static str);

/// The refusal that a rule asks for, in the words of the service that was called.
pub(super) fn refusal(rule: &FaultRule, call: &Sighting) -> Response<Full<Bytes>> {
    let said = match rule.does {
        Trouble::Throttle => throttle(call),
        Trouble::ExpiredCredentials => expired(call),
        Trouble::Denied => denied(call),
        _ => server_error(call, rule.status.unwrap_or(500)),
    };
    let mut response = document(call, said);
    if let Some(wait) = rule.retry_after {
        let (millis, seconds) = (wait.as_millis(), wait.as_millis().div_ceil(1000));
        let names = match call.cloud {
            Cloud::Aws => [("retry-after", seconds), ("x-amz-retry-after", millis)],
            Cloud::Aliyun => [("retry-after", seconds), ("x-acs-retry-after", millis)],
        };
        response.headers_mut().extend(names.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value))));
    }
    response
}

/// A failure that comes as HTTP 200.
pub(super) fn false_success(call: &Sighting) -> Response<Full<Bytes>> {
    if call.dialect != Dialect::Rpc {
        let mut response = document(call, server_error(call, 500));
        *response.status_mut() = StatusCode::OK;
        return response;
    }
    let (_, code, message) = server_error(call, 500);
    let fields = if call.instances.is_empty() {
        json!({ "Success": false, "ErrCode": code, "ErrMessage": message, "Code": code, "Message": message })
    } else {
        // A batch tells of each of its instances.
        let each = |id: &String| json!({ "InstanceId": id, "Code": code, "Message": message, "PreviousStatus": "", "CurrentStatus": "" });
        json!({ "InstanceResponses": { "InstanceResponse": call.instances.iter().map(each).collect::<Vec<Value>>() } })
    };
    aliyun_rpc::done(&aws_answer::request_id().to_uppercase(), fields)
}

fn throttle(call: &Sighting) -> Wording {
    match (call.dialect, call.service.as_str()) {
        (Dialect::Ec2, _) => (503, "RequestLimitExceeded", "Request limit exceeded."),
        (Dialect::Objects, "s3") => (503, "SlowDown", "Please reduce your request rate."),
        (Dialect::Objects, _) => (503, "SlowDown", "Your request is too fast, please slow down."),
        (Dialect::Rpc, _) => (400, "Throttling.User", "Request was denied due to user flow control."),
        (Dialect::Xml | Dialect::Json | Dialect::Cbor, _) => (400, "Throttling", "Rate exceeded"),
    }
}

fn server_error(call: &Sighting, status: u16) -> Wording {
    match (call.dialect, status) {
        (Dialect::Ec2, 503) => (503, "Unavailable", "The service is unavailable. Please try again shortly."),
        (Dialect::Ec2, _) => (500, "InternalError", "An internal error has occurred"),
        (Dialect::Objects, 503) => (503, "ServiceUnavailable", "Please reduce your request rate."),
        (Dialect::Objects, _) => (500, "InternalError", "We encountered an internal error. Please try again."),
        (Dialect::Rpc, 503) => (503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
        (Dialect::Rpc, _) => (500, "InternalError", "The request processing has failed due to some unknown error."),
        (_, 503) => (503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
        (..) => (500, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."),
    }
}

fn expired(call: &Sighting) -> Wording {
    match (call.dialect, call.service.as_str()) {
        (Dialect::Ec2, _) => (400, "RequestExpired", "Request has expired."),
        (Dialect::Objects, "s3") => (400, "ExpiredToken", "The provided token has expired."),
        (Dialect::Objects, _) => (403, "SecurityTokenExpired", "The security token you provided has expired."),
        (Dialect::Rpc, _) => (400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired."),
        (Dialect::Json | Dialect::Cbor, _) => (403, "ExpiredTokenException", "The security token included in the request is expired"),
        (Dialect::Xml, _) => (403, "ExpiredToken", "The security token included in the request is expired"),
    }
}

fn denied(call: &Sighting) -> Wording {
    match (call.dialect, call.service.as_str()) {
        (Dialect::Ec2, _) => (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
        (Dialect::Objects, "s3") => (403, "AccessDenied", "Access Denied"),
        (Dialect::Objects, _) => (403, "AccessDenied", "You have no right to access this object because of bucket acl."),
        (Dialect::Rpc, _) => (403, "Forbidden.RAM", "User not authorized to operate on the specified resource, or this API doesn't support RAM."),
        (Dialect::Json | Dialect::Cbor, _) => (403, "AccessDeniedException", "User is not authorized to perform this operation."),
        (Dialect::Xml, _) => (403, "AccessDenied", "User is not authorized to perform this operation."),
    }
}

fn document(call: &Sighting, (status, code, message): Wording) -> Response<Full<Bytes>> {
    let id = aws_answer::request_id();
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = ApiError::new(code, message).with_status(status_code);
    match call.dialect {
        Dialect::Ec2 => aws_answer::refusal(aws_answer::Dialect::Ec2, &error, &id),
        Dialect::Xml if call.service == "route53" => aws_answer::refusal(aws_answer::Dialect::RestXml, &error, &id),
        Dialect::Xml => aws_answer::refusal(aws_answer::Dialect::Query, &error, &id),
        Dialect::Rpc => aliyun_rpc::failed(&id.to_uppercase(), "", &aliyun_rpc::ApiError::new(status, code, message)),
        Dialect::Objects => objects(call, status_code, code, message, &id),
        Dialect::Json => {
            let body = json!({ "__type": code, "message": message }).to_string();
            typed(aws_answer::document(status_code, body.into_bytes(), &id), "application/x-amz-json-1.0")
        }
        Dialect::Cbor => {
            let mut response = typed(aws_answer::document(status_code, cbor(&[("__type", code), ("message", message)]), &id), "application/cbor");
            response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            response
        }
    }
}

/// S3's and OSS's `<Error>`; an answer to HEAD has no body.
fn objects(call: &Sighting, status: StatusCode, code: &str, message: &str, id: &str) -> Response<Full<Bytes>> {
    let mut answer = Answer::new();
    answer.element("Error", |answer| {
        answer.text("Code", code);
        answer.text("Message", message);
        answer.text("RequestId", id);
    });
    let body = answer.finish();
    let mut response = aws_answer::document(status, if call.is_head { Vec::new() } else { body.clone() }, id);
    let oss = call.cloud == Cloud::Aliyun;
    let name = HeaderName::from_static(if oss { "x-oss-request-id" } else { "x-amz-request-id" });
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(name, id);
    }
    if oss && call.is_head {
        use base64::Engine as _;
        let encoded = base64::prelude::BASE64_STANDARD.encode(body);
        response.headers_mut().extend(HeaderValue::from_str(&encoded).map(|value| (HeaderName::from_static("x-oss-err"), value)));
    }
    response
}

fn typed(mut response: Response<Full<Bytes>>, kind: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A CBOR map of texts (RFC 8949), each shorter than 256 bytes.
fn cbor(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0xa0 | u8::try_from(pairs.len()).unwrap_or(0)];
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend([0x78, u8::try_from(text.len()).expect("the texts of this file are short")]);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn body(response: Response<Full<Bytes>>) -> Vec<u8> {
        futures_util::FutureExt::now_or_never(response.into_body().collect()).unwrap().unwrap().to_bytes().to_vec()
    }

    #[test]
    fn every_service_refuses_in_its_own_document() {
        let call = |cloud, name: &str, dialect| Sighting { dialect, ..Sighting::example(cloud, name) };
        let says = |does, call: &Sighting, status: u16, part: &str| {
            let response = refusal(&FaultRule::new(does), call);
            assert_eq!(response.status(), status, "{part}");
            let text = String::from_utf8_lossy(&body(response)).into_owned();
            assert!(text.contains(part), "`{part}` is not in: {text}");
        };
        let ec2 = call(Cloud::Aws, "ec2:StopInstances", Dialect::Ec2);
        says(Trouble::Throttle, &ec2, 503, "<Errors><Error><Code>RequestLimitExceeded</Code>");
        says(Trouble::Denied, &ec2, 403, "<Code>UnauthorizedOperation</Code>");
        says(Trouble::Throttle, &call(Cloud::Aws, "route53:GetChange", Dialect::Xml), 400, "<Code>Throttling</Code>");
        says(Trouble::Throttle, &call(Cloud::Aws, "s3:GetObject", Dialect::Objects), 503, "<Error><Code>SlowDown</Code>");
        let ecs = call(Cloud::Aliyun, "ecs:StopInstances", Dialect::Rpc);
        says(Trouble::Throttle, &ecs, 400, "\"Code\":\"Throttling.User\"");
        says(Trouble::ExpiredCredentials, &ecs, 400, "InvalidSecurityToken.Expired");
        let cloudwatch = call(Cloud::Aws, "monitoring:DescribeAlarms", Dialect::Cbor);
        says(Trouble::Throttle, &cloudwatch, 400, "__typex\u{a}Throttling");
    }

    #[test]
    fn a_wait_is_told_in_each_vendors_headers() {
        let rule = FaultRule { retry_after: Some("1500ms".parse().unwrap()), ..FaultRule::new(Trouble::Throttle) };
        let ec2 = refusal(&rule, &Sighting::example(Cloud::Aws, "ec2:StopInstances"));
        assert_eq!((&ec2.headers()["retry-after"], &ec2.headers()["x-amz-retry-after"]), (&HeaderValue::from(2), &HeaderValue::from(1500)));
        let ecs = Sighting { dialect: Dialect::Rpc, ..Sighting::example(Cloud::Aliyun, "ecs:StopInstances") };
        assert_eq!(refusal(&rule, &ecs).headers()["x-acs-retry-after"], HeaderValue::from(1500));
    }
}
