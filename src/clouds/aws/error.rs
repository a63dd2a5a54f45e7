//! What an error answer means: one table from the vendor's codes to our kinds, and the way from the SDK's error to [`CloudError`].

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use hyper_util::client::legacy;

use super::call::{self, Operation};
use crate::ports::{Cloud, CloudError, Kind};

/// The longest part of a vendor's message that is kept; `UnauthorizedOperation` comes with kilobytes of encoded policy.
const MESSAGE: usize = 300;

/// Code, kind, whether the same call may succeed later. First match wins; a `*` stands at an end and for anything.
/// Enum variants of the SDK would miss most of these: EC2 has none, and all services return codes their models do not list.
const RULES: &[(&str, Kind, bool)] = &[
    // Too many requests: the services' own lists, as the SDKs of all languages share them
    ("Throttling", Kind::Throttled, true),
    ("ThrottlingException", Kind::Throttled, true),
    ("ThrottledException", Kind::Throttled, true),
    ("RequestThrottled", Kind::Throttled, true),
    ("RequestThrottledException", Kind::Throttled, true),
    ("RequestLimitExceeded", Kind::Throttled, true),
    ("TooManyRequestsException", Kind::Throttled, true),
    ("EC2ThrottledException", Kind::Throttled, true),
    ("BandwidthLimitExceeded", Kind::Throttled, true),
    ("SlowDown", Kind::Throttled, true),
    // Route 53 works on one change of a zone at a time
    ("PriorRequestNotComplete", Kind::Throttled, true),
    // Not allowed
    ("UnauthorizedOperation", Kind::Denied, false),
    ("AccessDenied*", Kind::Denied, false),
    ("AllAccessDisabled", Kind::Denied, false),
    ("AuthFailure", Kind::Denied, false),
    ("AuthorizationError", Kind::Denied, false),
    ("Blocked", Kind::Denied, false),
    ("ExpiredToken*", Kind::Denied, false),
    ("IncompleteSignature", Kind::Denied, false),
    ("InvalidAccessKeyId", Kind::Denied, false),
    ("InvalidClientTokenId", Kind::Denied, false),
    ("InvalidSignatureException", Kind::Denied, false),
    ("InvalidToken", Kind::Denied, false),
    ("MissingAuthenticationToken*", Kind::Denied, false),
    ("NotAuthorized*", Kind::Denied, false),
    ("OperationNotPermitted", Kind::Denied, false),
    ("OptInRequired", Kind::Denied, false),
    ("PendingVerification", Kind::Denied, false),
    ("RequestExpired", Kind::Denied, false),
    ("RequestTimeTooSkewed", Kind::Denied, false),
    ("SignatureDoesNotMatch", Kind::Denied, false),
    ("UnrecognizedClientException", Kind::Denied, false),
    // In a state that does not allow it now
    ("IncorrectInstanceState", Kind::Conflict, true),
    ("IncorrectState*", Kind::Conflict, true),
    ("InvalidAMIID.Unavailable", Kind::Conflict, true),
    ("OperationAborted", Kind::Conflict, true),
    ("ConcurrentModification*", Kind::Conflict, true),
    ("ConditionalRequestConflict", Kind::Conflict, true),
    ("DependencyViolation", Kind::Conflict, true),
    ("RouteAlreadyExists", Kind::Conflict, false),
    ("PreconditionFailed", Kind::Conflict, false),
    ("InvalidObjectState", Kind::Conflict, false),
    ("InstanceLimitExceeded", Kind::Conflict, false),
    ("VcpuLimitExceeded", Kind::Conflict, false),
    ("RouteLimitExceeded", Kind::Conflict, false),
    // Does not exist
    ("NoSuch*", Kind::NotFound, false),
    ("NotFound", Kind::NotFound, false),
    ("*.NotFound", Kind::NotFound, false),
    ("*.NotExists", Kind::NotFound, false),
    // Can never succeed as it is
    ("InvalidChangeBatch", Kind::Invalid, false),
    ("InvalidInput", Kind::Invalid, false),
    ("InvalidParameter*", Kind::Invalid, false),
    ("InvalidAction", Kind::Invalid, false),
    ("InvalidArgument", Kind::Invalid, false),
    ("InvalidAMIAttributeItemValue", Kind::Invalid, false),
    ("InvalidBucketName", Kind::Invalid, false),
    ("InvalidDomainName", Kind::Invalid, false),
    ("InvalidRequest", Kind::Invalid, false),
    ("*.Malformed", Kind::Invalid, false),
    ("AuthorizationHeaderMalformed", Kind::Invalid, false),
    ("EntityTooLarge", Kind::Invalid, false),
    ("MalformedXML", Kind::Invalid, false),
    ("Missing*", Kind::Invalid, false),
    ("PermanentRedirect", Kind::Invalid, false),
    ("UnknownParameter", Kind::Invalid, false),
    ("UnsupportedOperation", Kind::Invalid, false),
    ("ValidationError", Kind::Invalid, false),
    // The service's own trouble
    ("InsufficientInstanceCapacity", Kind::Unavailable, true),
    ("InsufficientHostCapacity", Kind::Unavailable, true),
    ("InternalError", Kind::Unavailable, true),
    ("InternalFailure", Kind::Unavailable, true),
    ("InternalServerError", Kind::Unavailable, true),
    ("ServerInternal", Kind::Unavailable, true),
    ("ServiceUnavailable*", Kind::Unavailable, true),
    ("Unavailable", Kind::Unavailable, true),
    ("RequestTimeout*", Kind::Timeout, true),
];

/// What a code and an HTTP status mean: the kind, and whether the same call may succeed later.
fn classify(code: Option<&str>, status: u16) -> (Kind, bool) {
    let rule = code.and_then(|code| RULES.iter().find(|(pattern, ..)| matches(pattern, code)));
    match (rule, code, status) {
        (Some((_, kind, retry)), ..) => (*kind, *retry),
        (None, _, 429) => (Kind::Throttled, true),
        (None, _, 500..) => (Kind::Unavailable, true),
        // S3 answers HEAD without a body, so without a code.
        (None, None, 404) => (Kind::NotFound, false),
        (None, None, 401 | 403) => (Kind::Denied, false),
        // No service refuses without saying why; something else answered in its place.
        (None, None, _) => (Kind::Malformed, true),
        (None, Some(_), _) => (Kind::Unexpected, false),
    }
}

fn matches(pattern: &str, code: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => code.ends_with(end),
        (_, Some(start)) => code.starts_with(start),
        _ => code == pattern,
    }
}

/// The SDK's error in our words.
pub(super) fn from_sdk<E>(operation: &Operation, failure: SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let error = |kind, message: String| CloudError::new(Cloud::Aws, operation.name, kind, message);
    match &failure {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let meta = answer.err().meta();
            let code = meta.code().filter(|code| !code.is_empty());
            let (kind, retry) = classify(code, status);
            let message = match meta.message() {
                Some(message) => one_line(message),
                None if code.is_some() => format!("HTTP {status}"),
                None if answer.raw().status().is_success() => format!("HTTP {status} with an answer that cannot be read"),
                None => format!("HTTP {status} without an error code"),
            };
            // A refusal has no effect; a failure on the service's side may have come after the effect.
            let doubt = matches!(kind, Kind::Unavailable | Kind::Timeout | Kind::Malformed) && code != Some("InsufficientInstanceCapacity");
            let mut told = error(kind, message).request_id(request_id(answer.raw())).ambiguous(operation.mutating && doubt);
            told.code = code.map(str::to_owned);
            told.retry = retry;
            told.retry_after = retry_after(answer.raw());
            told
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            error(Kind::Malformed, format!("HTTP {status} with an answer that cannot be read: {}", one_line(&innermost(&failure))))
                .request_id(request_id(answer.raw()))
                .ambiguous(operation.mutating)
        }
        SdkError::TimeoutError(_) => error(Kind::Timeout, format!("no answer within {}", seconds(operation.timeout()))).ambiguous(operation.mutating),
        SdkError::DispatchFailure(cause) => {
            if let Some(credentials) = find::<CredentialsError>(&failure) {
                return no_credentials(operation, credentials);
            }
            let kind = if cause.is_timeout() { Kind::Timeout } else { Kind::Transport };
            let said = format!("{}{}", operation.place(), one_line(&innermost(&failure)));
            error(kind, said).ambiguous(operation.mutating && !never_sent(&failure))
        }
        _ => match find::<CredentialsError>(&failure) {
            Some(credentials) => no_credentials(operation, credentials),
            None => error(Kind::Invalid, one_line(&innermost(&failure))),
        },
    }
}

/// What the SDK takes for success although it is none: a document that breaks off (its reader then takes what came so far for all there
/// is, so that a list of targets is silently shorter), or one that tells of a failure under HTTP 200.
pub(super) fn hidden(operation: &Operation, response: &HttpResponse) -> Option<CloudError> {
    let body = response.body().bytes().filter(|body| body.trim_ascii_start().starts_with(b"<"))?;
    // Objects are the customer's own, whatever they look like.
    if !response.status().is_success() || operation.name == "s3:GetObject" {
        return None;
    }
    let error = |kind, message| CloudError::new(Cloud::Aws, operation.name, kind, message).request_id(request_id(response));
    match failure_in(body) {
        Ok(None) => None,
        Ok(Some((code, message))) => {
            let (kind, retry) = classify(Some(&code), 200);
            let doubt = operation.mutating && matches!(kind, Kind::Unavailable | Kind::Timeout | Kind::Unexpected);
            let mut told = error(kind, format!("HTTP 200 with a failure: {}", one_line(&message))).code(code).ambiguous(doubt);
            told.retry = retry;
            Some(told)
        }
        Err(why) => Some(error(Kind::Malformed, format!("HTTP 200 with an answer that cannot be read: {why}")).ambiguous(operation.mutating)),
    }
}

/// Code and message of a document that tells of a failure; none of one that does not.
fn failure_in(body: &[u8]) -> Result<Option<(String, String)>, String> {
    use quick_xml::Reader;
    use quick_xml::events::Event;
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(text);
    let (mut path, mut is_failure) = (Vec::new(), None);
    let (mut code, mut message) = (String::new(), String::new());
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                is_failure.get_or_insert(matches!(name.as_str(), "Error" | "ErrorResponse" | "Response"));
                path.push(name);
            }
            Event::Empty(_) => drop(is_failure.get_or_insert(false)),
            Event::End(_) => drop(path.pop()),
            Event::Text(text) if is_failure == Some(true) => match path.last().map(String::as_str) {
                Some("Code") => code += &text,
                Some("Message") => message += &text,
                _ => {}
            },
            Event::Eof if !path.is_empty() || is_failure.is_none() => return Err("it breaks off".to_owned()),
            Event::Eof => return Ok((is_failure == Some(true)).then_some((code, message))),
            _ => {}
        }
    }
}

/// How long the service asks to wait: in milliseconds in AWS's own header, in seconds in everybody's.
fn retry_after(response: &HttpResponse) -> Option<Duration> {
    let number = |name: &str| response.headers().get(name)?.parse().ok();
    number("x-amz-retry-after").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}

/// There are none where they were looked for; or there are, and whoever gives them out (STS, a metadata service) does not: that is a cloud that fails.
fn no_credentials(operation: &Operation, cause: &CredentialsError) -> CloudError {
    let said = one_line(&innermost(cause));
    let (kind, what) = match cause {
        CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => (Kind::Denied, "no credentials"),
        CredentialsError::ProviderTimedOut(_) => (Kind::Timeout, "no answer to the request for credentials"),
        _ => (Kind::Unavailable, "nobody gives out the credentials"),
    };
    // What this program was built without says nothing to whoever has such a profile.
    let said = match said.as_str() {
        text if text.contains("was not enabled") => {
            format!(
                "{said}: profiles of IAM Identity Center (`aws sso login`) and of `aws login` are not read; export keys with `aws configure export-credentials`"
            )
        }
        _ => said,
    };
    // The cause names files and profiles, never their contents.
    CloudError::new(Cloud::Aws, operation.name, kind, format!("{what} from {}: {said}", operation.source()))
}

/// Whether the failure came before a connection stood, so that the service cannot have seen the request.
pub(super) fn never_sent(failure: &(dyn Error + 'static)) -> bool {
    find::<legacy::Error>(failure).is_some_and(legacy::Error::is_connect)
}

/// The vendor's request id of an answer: in a header, or, with EC2, in the body.
pub(super) fn request_id(response: &HttpResponse) -> Option<String> {
    let fits = |id: &String| !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic());
    let in_body = || {
        let body = std::str::from_utf8(response.body().bytes()?).ok()?;
        ["<requestId>", "<RequestID>", "<RequestId>"].iter().find_map(|tag| {
            let rest = &body[body.find(tag)? + tag.len()..];
            let id = &rest[..rest.find('<')?];
            Some(id.to_owned()).filter(fits)
        })
    };
    call::header_request_id(response).filter(fits).or_else(in_body)
}

fn find<'a, T: Error + 'static>(failure: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(failure).find_map(|cause| cause.downcast_ref())
}

fn chain<'a>(failure: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(failure), |cause| (*cause).source())
}

/// The last cause: the SDK's outer layers say only `dispatch failure`.
fn innermost(failure: &(dyn Error + 'static)) -> String {
    // The marker at the end of a timeout's chain says less than the layer above it.
    let causes: Vec<String> = chain(failure).map(ToString::to_string).collect();
    let last = causes.iter().rev().find(|text| !text.is_empty() && *text != "timed out");
    last.cloned().unwrap_or_default()
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn seconds(timeout: Duration) -> String {
    crate::model::time::Span::from(timeout).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_the_services_document() {
        let check = |code: &str, status, kind, retry| assert_eq!(classify(Some(code), status), (kind, retry), "{code}");
        check("Throttling", 400, Kind::Throttled, true);
        check("RequestLimitExceeded", 503, Kind::Throttled, true);
        check("SlowDown", 503, Kind::Throttled, true);
        check("PriorRequestNotComplete", 400, Kind::Throttled, true);
        check("UnauthorizedOperation", 403, Kind::Denied, false);
        check("AccessDeniedException", 403, Kind::Denied, false);
        check("MissingAuthenticationToken", 403, Kind::Denied, false);
        check("IncorrectInstanceState", 400, Kind::Conflict, true);
        check("RouteAlreadyExists", 400, Kind::Conflict, false);
        check("InvalidInstanceID.NotFound", 400, Kind::NotFound, false);
        check("InvalidRoute.NotFound", 400, Kind::NotFound, false);
        check("NoSuchHostedZone", 404, Kind::NotFound, false);
        check("NoSuchKey", 404, Kind::NotFound, false);
        check("InvalidAMIID.Unavailable", 400, Kind::Conflict, true);
        check("InvalidInstanceID.Malformed", 400, Kind::Invalid, false);
        check("InvalidChangeBatch", 400, Kind::Invalid, false);
        check("MissingParameter", 400, Kind::Invalid, false);
        check("InsufficientInstanceCapacity", 500, Kind::Unavailable, true);
        check("InternalError", 500, Kind::Unavailable, true);
        check("RequestTimeout", 400, Kind::Timeout, true);
        check("NewCodeOfTomorrow", 400, Kind::Unexpected, false);
        check("NewCodeOfTomorrow", 500, Kind::Unavailable, true);
    }

    #[test]
    fn answers_without_a_code_go_by_their_status() {
        let check = |status, expected| assert_eq!(classify(None, status), expected, "{status}");
        check(404, (Kind::NotFound, false));
        check(403, (Kind::Denied, false));
        check(429, (Kind::Throttled, true));
        check(502, (Kind::Unavailable, true));
        check(400, (Kind::Malformed, true));
    }

    #[test]
    fn no_rule_hides_another() {
        for (index, (pattern, ..)) in RULES.iter().enumerate() {
            let code = pattern.replace('*', "");
            let first = RULES.iter().position(|(earlier, ..)| matches(earlier, &code));
            assert_eq!(first, Some(index), "`{pattern}` is never reached");
        }
    }

    #[test]
    fn documents_that_break_off_or_tell_of_a_failure_are_found() {
        let whole = b"<?xml version=\"1.0\"?>\n<DescribeInstancesResponse xmlns=\"x\"><a><b>1</b><c/></a></DescribeInstancesResponse>";
        assert_eq!(failure_in(whole), Ok(None));
        for end in 40..whole.len() {
            assert!(failure_in(&whole[..end]).is_err(), "{end}");
        }
        let failure = b"<Response><Errors><Error><Code>InternalError</Code><Message>m</Message></Error></Errors></Response>";
        assert_eq!(failure_in(failure), Ok(Some(("InternalError".to_owned(), "m".to_owned()))));
        assert_eq!(failure_in(b"<Done/>"), Ok(None));
    }

    #[test]
    fn long_messages_become_one_short_line() {
        let text = format!("first\n  second {}", "é".repeat(400));
        let line = one_line(&text);
        assert!(line.starts_with("first second é") && !line.contains('\n'));
        assert_eq!(line.chars().count(), MESSAGE + 1);
    }
}
