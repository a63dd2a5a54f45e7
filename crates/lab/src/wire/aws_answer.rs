//! Between what a service decided and HTTP: answers and errors in the three XML dialects of AWS that the lab speaks.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::xml::Answer;

/// Namespace of Route 53's documents.
pub const ROUTE53_NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
/// Namespace of EC2's documents.
pub const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
/// Namespace of STS's documents.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Which XML a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// EC2's variant of Query: `<Response><Errors><Error>` and `requestId` in the answer.
    Ec2,
    /// Query as STS speaks it: `<XResponse><XResult>` and `<ErrorResponse><Error>`.
    Query,
    /// REST with XML bodies; only Route 53 here.
    RestXml,
}

/// An error as the vendor names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub message: String,
}

impl ApiError {
    /// An error of the caller with HTTP status 400, as most are.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.into(), message: message.into() }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// The document that says an error.
#[must_use]
pub fn refusal(dialect: Dialect, error: &ApiError, request_id: &str) -> Response<Full<Bytes>> {
    let element = |answer: &mut Answer| {
        answer.element("Error", |answer| {
            if dialect != Dialect::Ec2 {
                answer.text("Type", if error.status.is_server_error() { "Receiver" } else { "Sender" });
            }
            answer.text("Code", &error.code);
            answer.text("Message", &error.message);
        });
    };
    let mut answer = Answer::new();
    match dialect {
        Dialect::Ec2 => answer.element("Response", |answer| {
            answer.element("Errors", element);
            answer.text("RequestID", request_id);
        }),
        Dialect::Query | Dialect::RestXml => {
            let namespace = if dialect == Dialect::Query { STS_NAMESPACE } else { ROUTE53_NAMESPACE };
            answer.root("ErrorResponse", namespace, |answer| {
                element(answer);
                answer.text("RequestId", request_id);
            });
        }
    }
    document(error.status, answer.finish(), request_id)
}

/// The answer to `action` in a Query dialect; `content` is what the service wrote.
#[must_use]
pub fn query(dialect: Dialect, action: &str, content: Answer, request_id: &str) -> Response<Full<Bytes>> {
    let mut answer = Answer::new();
    let root = format!("{action}Response");
    if dialect == Dialect::Ec2 {
        answer.root(&root, EC2_NAMESPACE, |answer| {
            answer.text("requestId", request_id);
            answer.insert(content);
        });
    } else {
        answer.root(&root, STS_NAMESPACE, |answer| {
            answer.element(&format!("{action}Result"), |answer| answer.insert(content));
            answer.element("ResponseMetadata", |answer| answer.text("RequestId", request_id));
        });
    }
    document(StatusCode::OK, answer.finish(), request_id)
}

/// An XML document with AWS's headers.
#[must_use]
pub fn document(status: StatusCode, body: Vec<u8>, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=UTF-8"));
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", value);
    }
    response
}

/// A request id in AWS's form. Not from the world's seeded generator: how often clients ask must not change what the world does.
#[must_use]
pub fn request_id() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::wire::xml::Element;

    fn body(response: Response<Full<Bytes>>) -> String {
        let bytes = futures_util::FutureExt::now_or_never(response.into_body().collect()).unwrap().unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn errors_have_each_dialects_shape() {
        let wrong = ApiError::new("InvalidRoute.NotFound", "no route <x>");
        let ec2 = Element::parse(&body(refusal(Dialect::Ec2, &wrong, "id"))).unwrap();
        assert_eq!(ec2.name, "Response");
        let error = &ec2.child("Errors").unwrap().children[0];
        assert_eq!((error.text_of("Code"), error.text_of("Message")), (Some("InvalidRoute.NotFound"), Some("no route <x>")));
        assert_eq!(ec2.text_of("RequestID"), Some("id"));
        for dialect in [Dialect::Query, Dialect::RestXml] {
            let other = Element::parse(&body(refusal(dialect, &wrong, "id"))).unwrap();
            assert_eq!(other.name, "ErrorResponse");
            assert_eq!(other.child("Error").unwrap().text_of("Type"), Some("Sender"));
            assert_eq!(other.text_of("RequestId"), Some("id"));
        }
    }

    #[test]
    fn request_ids_look_like_the_vendors_and_differ() {
        let (one, two) = (request_id(), request_id());
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(one, two);
    }
}
