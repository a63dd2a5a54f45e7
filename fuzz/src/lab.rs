//! Requests to the lab: any bytes, as if their signature were right.

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use lifeboat::lab::fuzzing::{Alone, Endpoint};
use serde_json::Value;

use super::http_text::{messages, request};

/// The most requests of one input.
const MOST: usize = 4;

/// Route 53, EC2 and STS. An input without a request line is a form for EC2.
pub fn lab_aws(data: &[u8]) {
    calls(Endpoint::Aws, data, |data| Request::post("/").body(Bytes::copy_from_slice(data)).ok());
}

/// The RPC products of Alibaba Cloud. An input without a request line is the query of a call.
pub fn lab_aliyun(data: &[u8]) {
    calls(Endpoint::Aliyun, data, |data| {
        let mut request = Request::post("/").body(Bytes::copy_from_slice(data)).ok()?;
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        Some(request)
    });
}

/// OSS.
pub fn lab_oss(data: &[u8]) {
    calls(Endpoint::Oss, data, |_| None);
}

fn calls(endpoint: Endpoint, data: &[u8], bare: fn(&[u8]) -> Option<Request<Bytes>>) {
    let messages = messages(data);
    if messages.len() > MOST {
        return;
    }
    let requests: Vec<_> = messages.into_iter().filter_map(|message| request(message).or_else(|| bare(message))).collect();
    if requests.is_empty() {
        return;
    }
    let lab = Alone::new();
    for request in requests {
        let response = lab.call(endpoint, request);
        can_be_read(&response);
    }
    assert!(lab.after_an_hour().is_object());
}

/// An XML answer is well formed; a JSON answer is JSON.
fn can_be_read(response: &Response<Full<Bytes>>) {
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = futures_now(response.body().clone());
    if kind.contains("json") {
        assert!(serde_json::from_slice::<Value>(&body).is_ok(), "not JSON: {}", String::from_utf8_lossy(&body));
    } else if kind.contains("xml") && body.starts_with(b"<?xml") {
        let text = std::str::from_utf8(&body).expect("XML is UTF-8");
        well_formed(text);
    }
}

/// The bytes of a body that is whole.
fn futures_now(body: Full<Bytes>) -> Bytes {
    let mut collect = std::pin::pin!(body.collect());
    match collect.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(Ok(collected)) => collected.to_bytes(),
        _ => Bytes::new(),
    }
}

/// Panics where the text is not XML.
pub(crate) fn well_formed(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => return,
            Ok(quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag)) => {
                assert!(tag.attributes().all(|attribute| attribute.is_ok()), "{text}");
            }
            Ok(_) => {}
            Err(error) => panic!("{error}: {text}"),
        }
    }
}

/// A DNS message; the first byte says whether it came over TCP.
pub fn lab_dns(data: &[u8]) {
    let Some((over_tcp, packet)) = data.split_first() else { return };
    let over_tcp = over_tcp & 1 == 1;
    thread_local!(static LAB: Alone = Alone::new());
    if let Some(answer) = LAB.with(|lab| lab.dns(packet, over_tcp)) {
        assert!(answer.len() >= 12 && answer[..2] == packet[..2] && answer[2] & 0x80 != 0, "{answer:?}");
        assert!(over_tcp || answer.len() <= 1232, "{} bytes over UDP", answer.len());
    }
}

/// The query of a URL of the Prometheus API; the first byte says which of its two.
pub fn lab_prometheus(data: &[u8]) {
    let Some((over_time, query)) = data.split_first() else { return };
    let Ok(query) = std::str::from_utf8(query) else { return };
    thread_local!(static LAB: Alone = Alone::new());
    let _ = LAB.with(|lab| lab.prometheus(over_time & 1 == 1, query));
}
