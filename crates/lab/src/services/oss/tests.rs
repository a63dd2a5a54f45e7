//! Operations over the shipped world's bucket; the signature is left out where it is not what is tested.

use lifeboat_notation::time::Timestamp;

use super::*;
use crate::wire::vectors::{self, Vector};
use crate::world::build::build;

fn world() -> State {
    build(7, 1.0, 10, Timestamp::from_nanos(1_800_000_000_000_000_000))
}

fn call(state: &mut State, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> (u16, Vec<(HeaderName, String)>, String) {
    let mut request = Request::builder().method(method).uri(target).header("host", "127.10.0.1:80");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let asked =
        SignedRequest { resource: Resource::of(&parts), query: oss_v4::query(&parts), headers: parts.headers.clone(), body: body.to_owned().into() };
    let level = if asked.resource.key.is_empty() { Level::Bucket } else { Level::Object };
    let fits = |row: &&Operation| {
        row.method == parts.method
            && row.level == level
            && row.sub_resource.is_none_or(|name| asked.query.contains_key(name.split('=').next().unwrap()))
    };
    let operation = OPERATIONS.iter().find(fits).unwrap();
    match (operation.run)(state, &asked) {
        Ok(answer) => (answer.status, answer.headers, String::from_utf8(answer.body.to_vec()).unwrap()),
        Err(error) => (error.status, Vec::new(), error.code.to_owned()),
    }
}

fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
}

fn send(state: &mut State, vector: &Vector) -> (u16, http::HeaderMap, String) {
    let (parts, body) = vector.request();
    let (parts, body) = answer(state, parts, Some(body.into())).into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn signed_requests_are_believed_and_wrong_ones_get_the_vendors_error() {
    let vector = vectors::named("oss-put-object");
    let mut state = build(7, 1.0, 10, vector.clock.parse().unwrap());
    state.accounts.access_key_id.clone_from(&vector.access_key_id);
    state.accounts.secret_access_key.clone_from(&vector.access_key_secret);
    let bucket = state.buckets["shop-orders"].clone();
    state.buckets.insert("src-bucket".to_owned(), Bucket { name: "src-bucket".to_owned(), ..bucket });

    let (status, headers, _) = send(&mut state, &vector);
    assert_eq!(status, 200);
    assert!(headers.contains_key("x-oss-request-id"));
    assert_eq!(state.buckets["src-bucket"].objects["drill/heartbeat.json"].body, "{\"t\":1}");

    let (status, headers, body) = send(&mut state, &vectors::named("oss-head-object-404"));
    assert_eq!((status, body.as_str(), headers["x-oss-ec"].to_str().unwrap()), (404, "", "0026-00000001"));
    let error = base64::prelude::BASE64_STANDARD.decode(headers["x-oss-err"].as_bytes()).unwrap();
    assert_eq!(texts(&String::from_utf8(error).unwrap(), "Code"), ["NoSuchKey"]);

    let mut wrong = vector.clone();
    wrong.set("content-type", "text/plain");
    let (status, _, body) = send(&mut state, &wrong);
    assert_eq!((status, texts(&body, "Code")), (403, vec!["SignatureDoesNotMatch".to_owned()]));

    let (status, _, body) = send(&mut state, &vectors::named("oss-get-bucket-replication"));
    assert_eq!((status, texts(&body, "Code")), (501, vec!["NotImplemented".to_owned()]), "not mistaken for a list");

    state.now = state.now.plus(std::time::Duration::from_secs(3600));
    let (status, _, body) = send(&mut state, &vector);
    assert_eq!((status, texts(&body, "Code")), (403, vec!["RequestTimeTooSkewed".to_owned()]));
}

#[test]
fn an_object_comes_back_as_it_was_put() {
    let mut state = world();
    let target = "/shop-orders/drill/%E5%BF%83%E8%B7%B3%20a%2Bb.json";
    let headers = [("content-type", "application/json"), ("x-oss-meta-committed", "now")];
    let (status, put, _) = call(&mut state, "PUT", target, &headers, "123456789");
    assert_eq!(status, 200);
    assert!(put.iter().any(|(name, value)| name == "x-oss-hash-crc64ecma" && value == "11051210869376104954"), "{put:?}");
    let (status, got, body) = call(&mut state, "GET", target, &[], "");
    assert_eq!((status, body.as_str()), (200, "123456789"));
    assert!(got.iter().any(|(name, value)| name == "x-oss-meta-committed" && value == "now"));
    assert!(got.iter().any(|(name, value)| name == "etag" && value == "\"25F9E794323B453885F5181F1B624D0B\""));
    for (range, expected) in [
        ("bytes=2-4", (206, "345")),
        ("bytes=7-", (206, "89")),
        ("bytes=-3", (206, "789")),
        ("bytes=4-99", (206, "56789")),
        ("bytes=50-60", (200, "123456789")),
    ] {
        let (status, _, body) = call(&mut state, "GET", target, &[("range", range)], "");
        assert_eq!((status, body.as_str()), expected, "{range}");
    }
    assert_eq!(call(&mut state, "PUT", target, &[("x-oss-forbid-overwrite", "true")], "x").0, 409);
    assert_eq!(call(&mut state, "PUT", target, &[("content-md5", "AAAA")], "x").0, 400);
    assert_eq!(call(&mut state, "DELETE", target, &[], "").0, 204);
    assert_eq!(call(&mut state, "DELETE", target, &[], "").0, 204);
    assert_eq!(call(&mut state, "GET", target, &[], ""), (404, Vec::new(), "NoSuchKey".to_owned()));
    assert_eq!(call(&mut state, "GET", "/shop-orders-mirror/x", &[], "").2, "NoSuchBucket", "the other cloud's bucket is not here");
}

#[test]
fn lists_are_paged_grouped_and_encoded() {
    let mut state = world();
    state.buckets.get_mut("shop-orders").unwrap().objects.clear();
    for key in ["a/1", "a/2", "b/1", "c", "d%20&e"] {
        assert_eq!(call(&mut state, "PUT", &format!("/shop-orders/{key}"), &[], "x").0, 200);
    }
    let list = |state: &mut State, query: &str| call(state, "GET", &format!("/shop-orders/?{query}"), &[], "").2;
    let xml = list(&mut state, "list-type=2");
    assert_eq!(texts(&xml, "Key"), ["a/1", "a/2", "b/1", "c", "d &amp;e"]);
    assert_eq!((texts(&xml, "KeyCount"), texts(&xml, "IsTruncated")), (vec!["5".to_owned()], vec!["false".to_owned()]));
    assert_eq!(texts(&list(&mut state, "list-type=2&encoding-type=url"), "Key").last().unwrap(), "d%20%26e");
    assert_eq!(texts(&list(&mut state, "list-type=2&prefix=a%2F&start-after=a%2F1"), "Key"), ["a/2"]);

    let grouped = list(&mut state, "list-type=2&delimiter=%2F");
    assert_eq!(texts(&grouped, "Key"), ["c", "d &amp;e"]);
    assert_eq!(texts(&grouped, "CommonPrefixes"), ["<Prefix>a/</Prefix>", "<Prefix>b/</Prefix>"]);

    let (mut seen, mut query) = (Vec::new(), "list-type=2&max-keys=2".to_owned());
    loop {
        let xml = list(&mut state, &query);
        seen.extend(texts(&xml, "Key"));
        let Some(token) = texts(&xml, "NextContinuationToken").pop() else { break };
        query = format!("list-type=2&max-keys=2&continuation-token={token}");
    }
    assert_eq!(seen, ["a/1", "a/2", "b/1", "c", "d &amp;e"]);
    let (mut groups, mut marker) = (Vec::new(), String::new());
    loop {
        let xml = list(&mut state, &format!("delimiter=%2F&max-keys=1&marker={marker}"));
        groups.extend(texts(&xml, "Key").into_iter().chain(texts(&xml, "CommonPrefixes")));
        let Some(next) = texts(&xml, "NextMarker").pop() else { break };
        marker = next.replace(' ', "%20").replace("&amp;", "%26");
    }
    assert_eq!(groups, ["<Prefix>a/</Prefix>", "<Prefix>b/</Prefix>", "c", "d &amp;e"]);
    assert_eq!(list(&mut state, "list-type=2&max-keys=0"), "InvalidArgument");
}
