//! What an answer means: the vendor's codes in our words, failures that come with HTTP 200, answers that cannot be read.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::call::{Answer, Api};
use super::xml;
use crate::model::time::Span;
use crate::ports::{CloudError, Kind};

/// The longest message that is kept.
const MESSAGE: usize = 300;

/// Codes (`*` at one end stands for anything), the kind of failure, and whether the same call may succeed later. The first row that fits counts.
const RULES: &[(&str, Kind, bool)] = &[
    // Too many requests
    ("Throttling*", Kind::Throttled, true),
    ("Rejected.Throttling", Kind::Throttled, true),
    ("*.Throttling", Kind::Throttled, true),
    ("SlowDown", Kind::Throttled, true),
    ("QpsLimitExceeded", Kind::Throttled, true),
    // Not allowed; one of that family says that there is no such thing
    ("Forbidden.InstanceNotFound", Kind::NotFound, false),
    ("Forbidden*", Kind::Denied, false),
    ("NoPermission*", Kind::Denied, false),
    ("AccessDenied*", Kind::Denied, false),
    ("InvalidAccessKeyId*", Kind::Denied, false),
    ("InvalidSecurityToken*", Kind::Denied, false),
    ("SecurityTokenExpired", Kind::Denied, false),
    ("InvalidTimeStamp*", Kind::Denied, false),
    ("RequestTimeTooSkewed", Kind::Denied, false),
    ("SignatureDoesNotMatch", Kind::Denied, false),
    ("IncompleteSignature", Kind::Denied, false),
    ("UserDisable", Kind::Denied, false),
    // Not now, or not any more
    ("OperationDenied.NoStock", Kind::Unavailable, true),
    ("DomainRecordDuplicate", Kind::Conflict, false),
    ("*.Duplicated", Kind::Conflict, false),
    ("*AlreadyExists", Kind::Conflict, false),
    ("InvalidResource.BindingExist", Kind::Conflict, false),
    ("InvalidResource.NotBinding", Kind::Conflict, false),
    ("NetworkAclExistBinding", Kind::Conflict, true),
    ("NetworkStatus.Modifying", Kind::Conflict, true),
    ("ResourceStatus.Error", Kind::Conflict, true),
    ("QuotaExceeded*", Kind::Conflict, false),
    ("QuotaExceed*", Kind::Conflict, false),
    ("DisableDNSSLB", Kind::Conflict, false),
    ("DomainRecordDisable", Kind::Conflict, false),
    ("DomainRecordLocked", Kind::Conflict, false),
    ("Incorrect*", Kind::Conflict, true),
    ("TaskConflict", Kind::Conflict, true),
    ("OperationConflict*", Kind::Conflict, true),
    ("OperationDenied*", Kind::Conflict, true),
    ("DTS.Msg.OperationDenied*", Kind::Conflict, true),
    ("LastTokenProcessing", Kind::Conflict, true),
    ("TOKEN_PROCESSING", Kind::Conflict, true),
    ("DependencyViolation*", Kind::Conflict, true),
    ("OperationFailed.DistibuteLock", Kind::Conflict, true),
    ("SignatureNonceUsed", Kind::Conflict, true),
    ("IdempotentParameterMismatch", Kind::Conflict, false),
    ("DryRunOperation", Kind::Conflict, false),
    // Does not exist
    ("NoSuch*", Kind::NotFound, false),
    ("*.NotFound", Kind::NotFound, false),
    ("*.NoExist", Kind::NotFound, false),
    ("*NotExist", Kind::NotFound, false),
    ("*NotBelongToUser", Kind::NotFound, false),
    // The service's own trouble
    ("ServiceUnavailable*", Kind::Unavailable, true),
    ("InternalError*", Kind::Unavailable, true),
    ("SystemBusy*", Kind::Unavailable, true),
    ("UnknownError", Kind::Unavailable, true),
    ("RequestTimeout", Kind::Timeout, true),
    // Can never succeed as it is
    ("Invalid*", Kind::Invalid, false),
    ("DTS.Msg.Invalid*", Kind::Invalid, false),
    ("Missing*", Kind::Invalid, false),
    ("Unsupported*", Kind::Invalid, false),
    ("NotImplemented", Kind::Invalid, false),
    ("EntityTooLarge", Kind::Invalid, false),
    ("SubDomainInvalid*", Kind::Invalid, false),
];

/// What a code and an HTTP status mean.
fn classify(code: &str, status: u16) -> (Kind, bool) {
    match RULES.iter().find(|(pattern, ..)| fits(pattern, code)) {
        Some((_, kind, retry)) => (*kind, *retry),
        None if status == 429 => (Kind::Throttled, true),
        None if status >= 500 => (Kind::Unavailable, true),
        None => (Kind::Unexpected, false),
    }
}

fn fits(pattern: &str, code: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => code.ends_with(end),
        (_, Some(start)) => code.starts_with(start),
        _ => code == pattern,
    }
}

/// A failure as the vendor tells it.
pub(super) fn told(api: Api, status: u16, code: &str, message: &str) -> CloudError {
    let (kind, retry) = classify(code, status);
    let message = if message.is_empty() { format!("HTTP {status}") } else { one_line(message) };
    let mut error = api.error(kind, message).code(code);
    error.retry = retry;
    // A refusal has no effect; a failure on the service's side may have come after the effect.
    let doubt = matches!(kind, Kind::Unavailable | Kind::Timeout) && code != "OperationDenied.NoStock";
    error.ambiguous(api.mutating && doubt)
}

/// The JSON of a successful RPC answer, or what its failure means.
///
/// # Errors
/// [`Kind::Transport`] when something else than the service answered (nothing, HTML); otherwise what the service said, also when it said
/// it with HTTP 200.
pub(super) fn read(api: Api, answer: &Answer) -> Result<Value, CloudError> {
    let request_id = answer.request_id();
    if answer.status >= 400 {
        return Err(refusal(api, answer).request_id(request_id));
    }
    if !(200..300).contains(&answer.status) {
        return Err(stranger(api, answer));
    }
    let Ok(body @ Value::Object(_)) = serde_json::from_slice::<Value>(&answer.body) else {
        return Err(stranger(api, answer));
    };
    let is_failure = match (body.get("Success"), body.get("Code").and_then(Value::as_str)) {
        (Some(Value::Bool(success)), _) => !success,
        (Some(Value::String(success)), _) => success.eq_ignore_ascii_case("false"),
        // An error's own shape.
        (_, Some(code)) => body.get("Message").is_some() && !matches!(code, "" | "200" | "OK" | "Success" | "success"),
        _ => false,
    };
    if is_failure {
        let text = |names: [&str; 2]| names.iter().find_map(|name| body.get(*name).and_then(Value::as_str).filter(|text| !text.is_empty()));
        let code = text(["ErrCode", "Code"]).unwrap_or("Failed");
        let message = text(["ErrMessage", "Message"]).unwrap_or("the service answered without success");
        return Err(told(api, answer.status, code, message).request_id(request_id));
    }
    Ok(body)
}

fn refusal(api: Api, answer: &Answer) -> CloudError {
    let (code, message) = match said(answer) {
        Some(said) => said,
        None => return stranger(api, answer),
    };
    let mut error = told(api, answer.status, &code, &message);
    error.retry_after = retry_after(answer);
    if let Some(missing) = missing_permission(&answer.body) {
        error.message += &format!(" (needs {missing})");
    }
    error
}

/// How long the service asks to wait: in milliseconds in the vendor's own header, in seconds in everybody's.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let number = |name: &str| answer.header(name)?.parse().ok().filter(|number| *number > 0);
    number("x-acs-retry-after").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}

/// How many milliseconds the service's clock is ahead of this machine's, by the answer's `Date`, which has whole seconds.
pub(super) fn skew_ms(answer: &Answer) -> Option<i64> {
    let date = DateTime::parse_from_rfc2822(answer.header("date")?).ok()?;
    Some(date.timestamp_millis() - Utc::now().timestamp_millis())
}

/// The same in words.
pub(super) fn skew_said(skew_ms: i64) -> String {
    let by = Span::from_secs(skew_ms.unsigned_abs() / 1000);
    format!("this machine's clock is {by} {} the service's", if skew_ms > 0 { "behind" } else { "ahead of" })
}

/// Code and message of an error body, in JSON (names in either case) or XML.
fn said(answer: &Answer) -> Option<(String, String)> {
    if let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) {
        let text = |upper: &str, lower: &str| body.get(upper).or_else(|| body.get(lower)).and_then(Value::as_str).map(str::to_owned);
        return Some((text("Code", "code")?, text("Message", "message").unwrap_or_default()));
    }
    let document = xml::parse(std::str::from_utf8(&answer.body).ok()?).ok().filter(|document| document.name == "Error")?;
    Some((document.text("Code")?.to_owned(), document.text("Message").unwrap_or_default().to_owned()))
}

/// The permission whose lack a refusal tells of.
fn missing_permission(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get("AccessDeniedDetail")?.get("AuthAction")?.as_str().map(one_line)
}

/// Something answered, but not the service: a proxy's page, an empty body.
fn stranger(api: Api, answer: &Answer) -> CloudError {
    let what = if answer.body.is_empty() { "an empty answer" } else { "an answer that is not JSON" };
    let message = format!("HTTP {} with {what}", answer.status);
    api.error(Kind::Transport, message).request_id(answer.request_id()).ambiguous(api.mutating)
}

/// An OSS answer without success.
pub(super) fn of_oss(api: Api, answer: &Answer) -> CloudError {
    // An answer to HEAD has no body; the error travels in a header.
    let header = answer.header("x-oss-err").and_then(|encoded| {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.decode(encoded).ok()
    });
    let body = header.as_deref().unwrap_or(&answer.body);
    let document = std::str::from_utf8(body).ok().and_then(|text| xml::parse(text).ok()).filter(|document| document.name == "Error");
    let error = match document.as_ref().and_then(|document| document.text("Code").map(|code| (document, code))) {
        Some((document, code)) => told(api, answer.status, code, document.text("Message").unwrap_or_default()),
        None if answer.status == 404 && answer.body.is_empty() => api.error(Kind::NotFound, "HTTP 404"),
        None if answer.body.is_empty() && answer.status == 403 => api.error(Kind::Denied, "HTTP 403"),
        None => stranger(api, answer),
    };
    let error = CloudError { retry_after: error.retry_after.or_else(|| retry_after(answer)), ..error };
    error.request_id(answer.request_id())
}

/// The request id that stands in a JSON body.
pub(super) fn request_id_in(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    as_id(body.get("RequestId").or_else(|| body.get("requestId"))?.as_str()?)
}

/// What can be a request id; whatever else stands in its place is no use to anybody.
pub(super) fn as_id(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
}

/// Our word for a failure without a code.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::NotFound => "not-found",
        Kind::Denied => "denied",
        Kind::Throttled => "throttled",
        Kind::Invalid => "invalid",
        Kind::Conflict => "conflict",
        Kind::Unavailable => "unavailable",
        Kind::Timeout => "timeout",
        Kind::Transport => "transport",
        Kind::Malformed => "malformed",
        Kind::Gated => "gated",
        Kind::Unconfigured => "unconfigured",
        Kind::Unexpected => "unexpected",
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source()).map(ToString::to_string).collect::<Vec<_>>();
    one_line(&causes.join(": "))
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer_of;
    use super::*;

    const READS: Api = Api::reads("ecs:StartInstances");
    const CHANGES: Api = Api::changes("ecs:StartInstances");

    #[test]
    fn error_answers_the_official_sdk_was_seen_with_mean_what_they_say() {
        let check = |name: &str, kind: Kind, code: Option<&str>, retry: bool, ambiguous: bool| {
            let error = read(CHANGES, &answer_of(name)).unwrap_err();
            let found = (error.kind, error.code.as_deref(), error.retry, error.ambiguous);
            assert_eq!(found, (kind, code, retry, ambiguous), "{name}: {error}");
            assert!(!read(READS, &answer_of(name)).unwrap_err().ambiguous, "reading is never ambiguous");
            error
        };
        check("err-400-signature", Kind::Denied, Some("SignatureDoesNotMatch"), false, false);
        check("err-400-throttling-user", Kind::Throttled, Some("Throttling.User"), true, false);
        let error = check("err-400-throttling-with-retry-after", Kind::Throttled, Some("Throttling.User"), true, false);
        assert_eq!(error.retry_after, Some(Duration::from_millis(1500)));
        check("err-400-xml", Kind::Invalid, Some("MissingParameter"), false, false);
        let error = check("err-403-forbidden-ram", Kind::Denied, Some("Forbidden.RAM"), false, false);
        assert!(error.message.contains("needs ecs:StartInstances"), "{error}");
        assert_eq!(error.request_id.as_deref(), Some("473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"));
        check("err-403-incorrect-instance-status", Kind::Conflict, Some("IncorrectInstanceStatus"), true, false);
        check("err-404-invalid-instance", Kind::NotFound, Some("InvalidInstanceId.NotFound"), false, false);
        check("err-500-internal", Kind::Unavailable, Some("InternalError"), true, true);
        check("err-502-html", Kind::Transport, None, true, true);
        check("err-503-service-unavailable", Kind::Unavailable, Some("ServiceUnavailable"), true, true);
        check("err-503-throttling", Kind::Throttled, Some("Throttling"), true, false);
        check("err-200-not-json", Kind::Transport, None, true, true);
        check("err-200-empty", Kind::Transport, None, true, true);
        check("dts-business-failure-http200", Kind::NotFound, Some("DTS.Msg.JobNotExist"), false, false);
        check("cms-business-failure-http200", Kind::Unexpected, Some("400"), false, false);
        assert!(read(CHANGES, &answer_of("err-200-unknown-field")).is_ok());
    }

    #[test]
    fn oss_errors_come_in_the_body_or_for_head_in_a_header() {
        let check = |name: &str, kind: Kind, code: &str, retry: bool| {
            let error = of_oss(Api::changes("oss:PutObject"), &answer_of(name));
            assert_eq!((error.kind, error.code.as_deref(), error.retry, error.ambiguous), (kind, Some(code), retry, false), "{name}");
            assert_eq!(error.request_id.as_deref(), Some("5C06A3B67B8B5A3DA422299D"));
        };
        check("oss-get-object-404", Kind::NotFound, "NoSuchKey", false);
        check("oss-head-object-404", Kind::NotFound, "NoSuchKey", false);
        check("oss-503-slowdown", Kind::Throttled, "SlowDown", true);
        check("oss-403-time-skew", Kind::Denied, "RequestTimeTooSkewed", false);
    }

    #[test]
    fn no_rule_hides_another() {
        for (index, (pattern, ..)) in RULES.iter().enumerate() {
            let code = pattern.replace('*', "x");
            let first = RULES.iter().position(|(earlier, ..)| fits(earlier, &code));
            assert_eq!(first, Some(index), "`{pattern}` is never reached");
        }
    }
}
