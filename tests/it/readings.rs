//! What every kind of probe says when what it asks is not there, refuses, is silent, babbles or has nothing.
//!
//! A *client* does what users do: whatever keeps it from being served is bad. An *instrument* tells of something else: what it cannot read says nothing of that,
//! so it is unknown, neither good nor bad.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use lifeboat::catalogue;
use lifeboat::engine::probe::{Reading, Sample};
use lifeboat::lab::serve::Lab;
use lifeboat::ports::gate::Gate;
use lifeboat::world::World;
use lifeboat::world::settings::{CloudSettings, Keys, Settings};
use serde_json::{Value, json};

use crate::common::folder;
use crate::samples::in_lab;

/// What stands at the address that is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    Nobody,
    Silent,
    Closes,
    Babbles,
    /// An HTTP server that knows nothing of what it is asked for.
    Says404,
    /// An HTTP server with an empty answer.
    SaysNothing,
    /// An HTTP server whose JSON is not what was asked for.
    SaysOther,
}

const PEERS: [Peer; 7] = [Peer::Nobody, Peer::Silent, Peer::Closes, Peer::Babbles, Peer::Says404, Peer::SaysNothing, Peer::SaysOther];

impl Peer {
    fn answer(self) -> Option<Vec<u8>> {
        let http =
            |status: &str, body: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes();
        match self {
            Self::Nobody | Self::Silent => None,
            Self::Closes => Some(Vec::new()),
            Self::Babbles => Some(b"what do you want?\r\n".to_vec()),
            Self::Says404 => Some(http("404 Not Found", "404 page not found\n")),
            Self::SaysNothing => Some(http("200 OK", "")),
            Self::SaysOther => Some(http("200 OK", r#"{"answer":42}"#)),
        }
    }

    /// The port where it is, over TCP and over UDP.
    fn start(self) -> u16 {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (tcp, udp);
            }
        };
        let port = tcp.local_addr().unwrap().port();
        if self == Self::Nobody {
            return port;
        }
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = tcp.accept() {
                match self.answer() {
                    None => kept.push(stream),
                    Some(answer) => {
                        // What was asked has to be read, or closing would reset the connection before the answer is there.
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(30)));
                        let _ = stream.read(&mut [0; 4096]);
                        let _ = stream.write_all(&answer);
                    }
                }
            }
        });
        std::thread::spawn(move || {
            while let Ok((_, from)) = udp.recv_from(&mut [0; 1500]) {
                if let Some(answer) = self.answer() {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        port
    }
}

/// Every kind of probe that asks over a network, with what it is asked of `port`: as its example says, but there. Those that a server with nothing to say would
/// please are asked for more than their example asks.
fn asks(kind: &str, port: u16) -> Option<Value> {
    let (url, place) = (format!("http://127.0.0.1:{port}/"), format!("127.0.0.1:{port}"));
    let mut with = match kind {
        "http" => json!({ "url": url, "expect": { "json": { "state": "up" } } }),
        "http.share" => json!({ "url": url, "target": { "json": { "state": "up" } }, "requests": 2 }),
        "tcp" => json!({ "address": place, "expect": { "greeting": "SSH-2.0-" } }),
        "dns" => json!({ "name": "shop.example.com", "server": place }),
        "mysql" | "postgres" => json!({ "address": place, "user": "probe" }),
        "exec" | "group" => return None,
        _ => led_to(in_lab(catalogue::probe(kind).unwrap().example), &url, &place),
    };
    with["timeout"] = json!("400ms");
    Some(with)
}

/// Parameters with every address led to one place, and passwords in the place of secrets.
fn led_to(with: Value, url: &str, place: &str) -> Value {
    match with {
        Value::Object(fields) if fields.contains_key("secret") => json!("password"),
        Value::Object(fields) => {
            let led = fields.into_iter().map(|(name, value)| match name.as_str() {
                "url" => (name, json!(url)),
                "address" => (name, json!(place)),
                _ => (name, led_to(value, url, place)),
            });
            Value::Object(led.collect())
        }
        other => other,
    }
}

/// What users ask for, or what stands for it.
const CLIENTS: [&str; 9] = ["dns", "grpc.health", "http", "http.share", "mysql", "postgres", "redis", "tcp", "tls"];

async fn world(port: u16) -> World {
    let side = |region: &str| {
        let endpoint = Some(format!("http://127.0.0.1:{port}"));
        let keys = Keys { access_key_id: "AKIDEXAMPLE".to_owned(), secret_access_key: "secret".to_owned(), session_token: None };
        CloudSettings {
            region: region.to_owned(),
            objects_endpoint: endpoint.clone(),
            endpoint,
            keys: Some(keys),
            timeout: Some(Duration::from_secs(2)),
            ..CloudSettings::default()
        }
    };
    let settings =
        Settings { environment: "readings".to_owned(), aws: Some(side("us-east-1")), aliyun: Some(side("cn-hangzhou")), ..Settings::default() };
    World::connect(&settings, &Gate::default()).await
}

/// One sample, as the engine takes it.
async fn sample(world: &World, kind: &str, with: &Value) -> Sample {
    let row = catalogue::probe(kind).unwrap();
    let probe = (row.parse)(with).unwrap_or_else(|error| panic!("{kind}: {}: {}", error.path, error.message));
    tokio::time::timeout(probe.timeout(), probe.sample(world)).await.unwrap_or_else(|_| probe.late())
}

#[tokio::test]
async fn what_cannot_be_read_is_bad_for_a_client_and_unknown_for_an_instrument() {
    let mut seen = BTreeSet::new();
    for peer in PEERS {
        let port = peer.start();
        let world = Arc::new(world(port).await);
        let all = catalogue::probes().iter().filter_map(|row| Some((row.kind, asks(row.kind, port)?))).map(|(kind, with)| {
            let world = world.clone();
            async move { (kind, sample(&world, kind, &with).await) }
        });
        for (kind, sample) in futures_util::future::join_all(all).await {
            let expected = if CLIENTS.contains(&kind) { Reading::Bad } else { Reading::Unknown };
            assert_eq!(sample.reading, expected, "{kind} of {peer:?}: {sample:?}");
            // Without a reading there is no lag: only bounds, which are none where nothing was ever read.
            assert!(sample.value.as_ref().is_none_or(|value| value["lag_ms"].is_null()), "{kind} of {peer:?}: {sample:?}");
            seen.insert(kind);
        }
    }
    let others: Vec<&str> = catalogue::probes().iter().map(|row| row.kind).filter(|kind| !seen.contains(kind)).collect();
    assert_eq!(others, ["exec", "group"], "each kind is asked here or below");
}

#[tokio::test]
async fn a_command_that_says_nothing_is_unknown() {
    let world = world(Peer::Nobody.start()).await;
    let ask = async |command: Value, expect: Value| {
        sample(&world, "exec", &json!({ "command": command, "expect": expect, "timeout": "300ms" })).await.reading
    };
    assert_eq!(ask(json!(["/no/such/program"]), json!({})).await, Reading::Unknown);
    assert_eq!(ask(json!(["/bin/sh", "-c", "kill -TERM $$"]), json!({})).await, Reading::Unknown);
    assert_eq!(ask(json!(["/bin/sh", "-c", "sleep 60"]), json!({})).await, Reading::Unknown);
    assert_eq!(ask(json!(["/bin/sh", "-c", "no-such-program"]), json!({})).await, Reading::Unknown);
    assert_eq!(ask(json!(["/bin/echo", "<html>"]), json!({ "depth": 0 })).await, Reading::Unknown);
    assert_eq!(ask(json!(["/bin/echo", "{}"]), json!({ "depth": 0 })).await, Reading::Unknown);
    assert_eq!(ask(json!(["/bin/echo", r#"{"depth": 3}"#]), json!({ "depth": 0 })).await, Reading::Bad);
    assert_eq!(ask(json!(["/bin/sh", "-c", "exit 1"]), json!({})).await, Reading::Bad);
    assert_eq!(ask(json!(["/bin/echo", r#"{"depth": 0}"#]), json!({ "depth": 0 })).await, Reading::Good);
}

#[tokio::test]
async fn a_group_is_as_unknown_as_its_parts() {
    let port = Peer::Silent.start();
    let world = world(port).await;
    let part = |kind: &str| json!({ "uses": kind, "with": asks(kind, port) });
    let of = |parts: Value| json!({ "of": parts });
    assert_eq!(sample(&world, "group", &of(json!({ "monitoring": part("prometheus") }))).await.reading, Reading::Unknown);
    assert_eq!(sample(&world, "group", &of(json!({ "shop": part("http") }))).await.reading, Reading::Bad);
    assert_eq!(sample(&world, "group", &of(json!({ "shop": part("http"), "monitoring": part("prometheus") }))).await.reading, Reading::Bad);
}

/// The lab as a world, and the address of its Prometheus.
async fn lab_world(lab: &Lab) -> (World, String) {
    let endpoints = lab.endpoints();
    let side = |region: &str, endpoint: &str, objects: Option<&String>| {
        let keys =
            Keys { access_key_id: endpoints.access_key_id.clone(), secret_access_key: endpoints.secret_access_key.clone(), session_token: None };
        CloudSettings {
            region: region.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            objects_endpoint: objects.cloned(),
            keys: Some(keys),
            ..CloudSettings::default()
        }
    };
    let settings = Settings {
        environment: "lab".to_owned(),
        aws: Some(side("us-east-1", &endpoints.aws, None)),
        aliyun: Some(side("cn-hangzhou", &endpoints.aliyun, Some(&endpoints.oss))),
        ..Settings::default()
    };
    (World::connect(&settings, &Gate::default()).await, endpoints.prometheus.clone())
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn what_does_not_exist_in_a_cloud_that_answers_is_unknown() {
    let lab = Lab::start(lifeboat::lab::serve::Options::default()).unwrap();
    let (world, prometheus) = lab_world(&lab).await;
    let place = |store: &str, bucket: &str, prefix: &str| json!({ "store": store, "bucket": bucket, "prefix": prefix });
    let lag = |source: Value, mirror: Value| json!({ "source": source, "mirror": mirror, "expect": { "max_lag": "1h" } });
    let fresh = |bucket: &str, prefix: &str| json!({ "bucket": bucket, "prefix": prefix, "expect": { "max_age": "1h" } });
    let source = || place("aliyun", "shop-orders", "orders/");
    let mirror = || place("aws", "shop-orders-mirror", "orders/");
    let gone = |store: &str| place(store, "shop-gone", "orders/");
    for (kind, with) in [
        ("aws.cloudwatch.alarm", json!({ "name": "nobody's" })),
        ("aliyun.cloudmonitor.alarm", json!({ "name": "nobody's" })),
        ("aws.cloudwatch.metric", json!({ "namespace": "Shop", "metric": "Nothing" })),
        ("aws.cloudwatch.metric", json!({ "namespace": "Shop", "metric": "Nothing", "expect": { "below": 1 } })),
        ("aliyun.cloudmonitor.metric", json!({ "namespace": "acs_customMetric_1234567890123456", "metric": "Nothing" })),
        ("prometheus", json!({ "url": prometheus, "query": "no_such_series" })),
        ("prometheus", json!({ "url": prometheus, "query": "no_such_series", "expect": { "below": 1 } })),
        ("prometheus", json!({ "url": prometheus, "query": "no_such_series", "range": { "for": "10s" } })),
        ("prometheus", json!({ "url": prometheus, "query": "sum(" })),
        ("aws.s3.freshness", fresh("shop-gone", "")),
        ("aws.s3.freshness", fresh("shop-orders-mirror", "no-such-prefix/")),
        ("aliyun.oss.freshness", fresh("shop-gone", "")),
        ("aliyun.oss.freshness", fresh("shop-orders", "no-such-prefix/")),
        ("objects.lag", lag(gone("aliyun"), mirror())),
        ("objects.lag", lag(source(), gone("aws"))),
        ("objects.lag", lag(place("aliyun", "shop-orders", "no-such-prefix/"), mirror())),
        ("canary.objects", lag(gone("aliyun"), place("aws", "shop-orders-mirror", "canary/"))),
        ("canary.objects", lag(place("aliyun", "shop-orders", "canary/"), gone("aws"))),
    ] {
        let sample = sample(&world, kind, &with).await;
        assert_eq!(sample.reading, Reading::Unknown, "{kind} {with}: {sample:?}");
    }
    // What is there is read.
    for (kind, with) in [
        ("aws.cloudwatch.alarm", json!({ "name": "shop-checkout-errors" })),
        ("aliyun.cloudmonitor.alarm", json!({ "name": "shop-checkout-errors" })),
        ("prometheus", json!({ "url": prometheus, "query": "vector(1)" })),
        ("prometheus", json!({ "url": prometheus, "query": "no_such_series", "expect": { "exists": false } })),
        ("aws.s3.freshness", fresh("shop-orders-mirror", "orders/")),
        ("objects.lag", lag(source(), mirror())),
    ] {
        let sample = sample(&world, kind, &with).await;
        assert_eq!(sample.reading, Reading::Good, "{kind} {with}: {sample:?}");
    }
    let bad = json!({ "url": prometheus, "query": "no_such_series", "expect": { "exists": true } });
    assert_eq!(sample(&world, "prometheus", &bad).await.reading, Reading::Bad, "it must exist, says the file");
    lab.stop().await;
}

/// `check.prometheus` with what is written, against the lab: whether the step succeeded, and what was said.
fn checks(query: &str, expect: &str) -> (bool, String) {
    let folder = folder();
    std::fs::write(folder.path().join("lifeboat.yaml"), "lifeboat: 1\nenvironments:\n  lab: { kind: lab }\n").unwrap();
    let book = format!(
        "lifeboat: 1\nkind: runbook\ntitle: Ask\nsteps:\n  - id: ask\n    uses: check.prometheus\n    with: {{ url: \"${{{{ vars.prometheus }}}}\", query: {query:?}{expect} }}\n"
    );
    std::fs::write(folder.path().join("book.yaml"), book).unwrap();
    let output = crate::common::run(crate::common::lifeboat().current_dir(folder.path()).args(["execute", "book.yaml", "--env", "lab"]));
    let said = format!("{}{}", crate::common::text(&output.stdout), crate::common::text(&output.stderr));
    (!said.contains("failed"), said)
}

#[test]
fn a_check_of_prometheus_without_expectations_asks_for_a_number() {
    for (query, expect, succeeds) in [
        ("no_such_series", "", false),
        ("vector(1)", "", true),
        ("no_such_series", ", expect: { exists: false }", true),
        ("vector(1)", ", expect: { exists: false }", false),
        ("no_such_series", ", expect: { below: 1 }", false),
    ] {
        let (done, said) = checks(query, expect);
        assert_eq!(done, succeeds, "{query}{expect}: {said}");
    }
}
