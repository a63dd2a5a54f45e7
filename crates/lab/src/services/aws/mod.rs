//! AWS on one endpoint: every request goes to the service that its signature's scope names.
//!
//! [`route53`], [`ec2`], [`sts`] and [`s3`] each answer in their own XML dialect, [`cloudwatch`] in the protocol it was asked in; what they
//! share (signature, rate limits, counting, request ids) happens here once. S3 verifies its own signatures, as only it knows streamed bodies.

pub mod cloudwatch;
pub mod ec2;
pub mod route53;
pub mod s3;
pub mod sts;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};

use super::throttle;
use crate::faults::during;
use crate::wire::aws_answer::{self, ApiError, Dialect};
use crate::wire::sigv4::{Authorization, SignatureError};
use crate::wire::smithy::Protocol;
use crate::world::World;
use crate::world::state::{Cloud, State};

/// The largest body of a call, in bytes; Route 53's largest change batch and EC2's longest lists stay far below.
const MAX_CALL: usize = 1 << 20;
/// The largest object that can be put, in bytes.
const MAX_OBJECT: usize = 64 << 20;

/// Answers one request to any AWS service.
pub async fn handle<B>(world: Arc<World>, request: Request<B>) -> Response<Full<Bytes>>
where
    B: hyper::body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (parts, body) = request.into_parts();
    let service = Service::of(&parts);
    let limit = if service == Service::S3 { MAX_OBJECT } else { MAX_CALL };
    match Limited::new(body, limit).collect().await {
        Ok(body) => respond(&world, service, parts, body.to_bytes()).await,
        Err(_) => {
            let error = ApiError::new("InvalidParameterValue", format!("The request body is longer than {limit} bytes or was cut off."));
            aws_answer::refusal(service.dialect(), &error.with_status(StatusCode::PAYLOAD_TOO_LARGE), &aws_answer::request_id())
        }
    }
}

/// Answers one request whose body is complete.
async fn respond(world: &Arc<World>, service: Service, parts: Parts, body: Bytes) -> Response<Full<Bytes>> {
    if service == Service::S3 {
        return s3::respond(world, Request::from_parts(parts, body)).await;
    }
    let request_id = aws_answer::request_id();
    let dialect = service.dialect();
    if let Err(error) = authenticate(world, &parts, &body) {
        let error = refusal(dialect, error);
        count(&mut world.lock(), service.name(), "(not authentic)", &error.code);
        if service == Service::CloudWatch {
            return cloudwatch::refused(Protocol::of(&parts), &error, &request_id);
        }
        return aws_answer::refusal(dialect, &error, &request_id);
    }
    believed(world, service, &parts, &body, &request_id)
}

/// Answers one request that is authentic, to any service but S3.
fn believed(world: &World, service: Service, parts: &Parts, body: &[u8], request_id: &str) -> Response<Full<Bytes>> {
    let mut state = world.lock();
    let answer = match service {
        // The same in every region.
        Service::Route53 => route53::respond(&mut state, parts, body, request_id),
        Service::Sts => sts::respond(&mut state, parts, body, request_id),
        Service::Ec2 | Service::CloudWatch => {
            let region = region(parts).unwrap_or_else(|| state.regions.first(Cloud::Aws));
            let mut state = state.in_region(Cloud::Aws, &region);
            match service {
                Service::Ec2 => ec2::respond(&mut state, parts, body, request_id),
                _ => Ok(cloudwatch::respond(&mut state, parts, body, request_id)),
            }
        }
        Service::S3 | Service::Other => Err(ApiError::new("InvalidAction", "The lab does not have this service.")),
    };
    drop(state);
    answer.unwrap_or_else(|error| aws_answer::refusal(service.dialect(), &error, request_id))
}

/// Answers one request without asking who sent it: for fuzzers, which cannot sign.
pub(crate) fn unsigned(world: &World, parts: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
    believed(world, Service::of(parts), parts, body, &aws_answer::request_id())
}

/// The region that a signature is for, in a header or in the query of a URL that was signed.
fn region(parts: &Parts) -> Option<String> {
    let header = parts.headers.get("authorization").and_then(|value| Authorization::parse(value.to_str().ok()?).ok());
    let in_query = || {
        let query = url::form_urlencoded::parse(parts.uri.query()?.as_bytes());
        let (_, credential) = query.into_iter().find(|(name, _)| name == "X-Amz-Credential")?;
        credential.split('/').nth(2).map(str::to_owned)
    };
    header.map(|authorization| authorization.region).or_else(in_query)
}

/// The services behind the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Route53,
    Ec2,
    Sts,
    CloudWatch,
    S3,
    Other,
}

impl Service {
    /// The service that the signature's scope names; for unsigned requests the one whose shape they have.
    fn of(parts: &Parts) -> Self {
        let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        match authorization.and_then(|header| Authorization::parse(header).ok()) {
            Some(authorization) => match authorization.service.as_str() {
                "route53" => Self::Route53,
                "ec2" => Self::Ec2,
                "sts" => Self::Sts,
                "monitoring" => Self::CloudWatch,
                "s3" => Self::S3,
                _ => Self::Other,
            },
            None if Protocol::of(parts) != Protocol::Query => Self::CloudWatch,
            None if parts.uri.path().starts_with("/2013-04-01/") => Self::Route53,
            None if parts.uri.path() == "/"
                && (parts.method == http::Method::POST || parts.uri.query().is_some_and(|query| query.contains("Action="))) =>
            {
                Self::Ec2
            }
            None => Self::S3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Route53 => "route53",
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::CloudWatch => "cloudwatch",
            Self::S3 => "s3",
            Self::Other => "(other)",
        }
    }

    fn dialect(self) -> Dialect {
        match self {
            Self::Route53 | Self::S3 => Dialect::RestXml,
            Self::Ec2 => Dialect::Ec2,
            Self::Sts | Self::CloudWatch | Self::Other => Dialect::Query,
        }
    }
}

fn authenticate(world: &World, parts: &Parts, body: &[u8]) -> Result<(), SignatureError> {
    let header = parts.headers.get("authorization").ok_or(SignatureError::Missing)?;
    let header = header.to_str().map_err(|_| SignatureError::Incomplete("Authorization header is not ASCII.".into()))?;
    let authorization = Authorization::parse(header)?;
    let (known, secret) = world.lock().accounts.key(&authorization.access_key_id);
    // Nobody can get a session token in the lab, so none is valid.
    if authorization.access_key_id != known || parts.headers.contains_key("x-amz-security-token") {
        return Err(SignatureError::UnknownKey(authorization.access_key_id));
    }
    authorization.verify(parts, body, &secret, during::told(world.clock.now()))
}

/// What each dialect's services say to a request that is not authentic.
fn refusal(dialect: Dialect, error: SignatureError) -> ApiError {
    const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. \
                            Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
    let ec2 = dialect == Dialect::Ec2;
    match error {
        SignatureError::Missing => {
            ApiError::new("MissingAuthenticationToken", "Request is missing Authentication Token").with_status(StatusCode::FORBIDDEN)
        }
        SignatureError::Incomplete(message) => ApiError::new("IncompleteSignature", message),
        SignatureError::UnknownKey(_) if ec2 => {
            ApiError::new("AuthFailure", "AWS was not able to validate the provided access credentials").with_status(StatusCode::UNAUTHORIZED)
        }
        SignatureError::UnknownKey(_) => {
            ApiError::new("InvalidClientTokenId", "The security token included in the request is invalid.").with_status(StatusCode::FORBIDDEN)
        }
        SignatureError::Expired(_) if ec2 => ApiError::new("RequestExpired", "Request has expired."),
        SignatureError::Expired(message) => ApiError::new("SignatureDoesNotMatch", message).with_status(StatusCode::FORBIDDEN),
        SignatureError::Mismatch => ApiError::new("SignatureDoesNotMatch", MISMATCH).with_status(StatusCode::FORBIDDEN),
    }
}

/// Refuses a call that comes too soon after others.
fn admit(state: &mut State, service: &str, action: &str) -> Result<(), ApiError> {
    throttle::take(state, service, action).map_err(|_| match service {
        "ec2" => ApiError::new("RequestLimitExceeded", "Request limit exceeded.").with_status(StatusCode::SERVICE_UNAVAILABLE),
        _ => ApiError::new("Throttling", "Rate exceeded"),
    })
}

/// Counts one call with its outcome: `OK` or the error's code.
fn count(state: &mut State, service: &str, action: &str, code: &str) {
    let series = ("aws".to_owned(), service.to_owned(), action.to_owned(), code.to_owned());
    *state.counters.api_calls.entry(series).or_default() += 1;
}

#[cfg(test)]
mod rules {
    use super::*;

    fn parts(method: &str, target: &str, service: Option<&str>) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        if let Some(service) = service {
            request = request.header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=00"),
            );
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_scope_names_the_service_and_unsigned_requests_go_by_their_shape() {
        assert_eq!(Service::of(&parts("POST", "/", Some("sts"))), Service::Sts);
        assert_eq!(Service::of(&parts("POST", "/", Some("rds"))), Service::Other);
        assert_eq!(Service::of(&parts("GET", "/2013-04-01/hostedzone", None)), Service::Route53);
        assert_eq!(Service::of(&parts("POST", "/", None)), Service::Ec2);
        assert_eq!(Service::of(&parts("GET", "/bucket/key", None)), Service::S3);
    }

    #[test]
    fn each_dialect_refuses_in_its_own_words() {
        let code = |dialect, error| refusal(dialect, error).code;
        assert_eq!(code(Dialect::Ec2, SignatureError::UnknownKey("x".into())), "AuthFailure");
        assert_eq!(code(Dialect::RestXml, SignatureError::UnknownKey("x".into())), "InvalidClientTokenId");
        assert_eq!(code(Dialect::Query, SignatureError::Mismatch), "SignatureDoesNotMatch");
        assert_eq!(code(Dialect::Ec2, SignatureError::Expired("x".into())), "RequestExpired");
    }
}

#[cfg(test)]
mod tests;
