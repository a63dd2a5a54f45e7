//! HTTP messages as people write them down: a first line, headers, an empty line, a body.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};

/// What stands between lines `--`: several messages in one input.
pub(crate) fn messages(data: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(4).position(|window| window == b"\n--\n") {
        messages.push(&rest[..at]);
        rest = &rest[at + 4..];
    }
    messages.push(rest);
    messages
}

/// `METHOD target`, headers, body. What is no request is none.
pub(crate) fn request(data: &[u8]) -> Option<Request<Bytes>> {
    let (first, headers, body) = parts(data);
    let first = std::str::from_utf8(first).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut request = Request::new(Bytes::copy_from_slice(body));
    *request.method_mut() = method.parse::<Method>().ok()?;
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    request.headers_mut().extend(headers);
    Some(request)
}

/// `STATUS`, headers, body; without a status, a body of status 200.
pub(crate) fn response(data: &[u8]) -> Response<Bytes> {
    let (first, headers, body) = parts(data);
    let status = std::str::from_utf8(first).ok().and_then(|text| text.parse::<u16>().ok()).and_then(|code| http::StatusCode::from_u16(code).ok());
    let Some(status) = status else { return Response::new(Bytes::copy_from_slice(data)) };
    let mut response = Response::new(Bytes::copy_from_slice(body));
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}

fn parts(data: &[u8]) -> (&[u8], Vec<(HeaderName, HeaderValue)>, &[u8]) {
    let mut rest = data;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    };
    let first = line();
    let mut headers = Vec::new();
    loop {
        let header = line();
        let Some(colon) = header.iter().position(|byte| *byte == b':') else { break };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&header[..colon]), HeaderValue::from_bytes(header[colon + 1..].trim_ascii())) {
            headers.push((name, value));
        }
    }
    (first, headers, rest)
}
