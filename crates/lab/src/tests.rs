//! The lab on real sockets, seen from outside.

use std::io;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use lifeboat_notation::time::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::serve::{Lab, LabError, Options, vars};
use super::world::file::Blueprint;
use super::world::reach::SERVICE_PORT;
use super::world::state::{AclEntry, InstanceState};

const STOREFRONT: &str = "i-bp1lifeboat0store0001";
const STANDBY: &str = "i-0a11febe0a7500001";
const VSWITCH: &str = "vsw-bp1lifeboat0app000001";

fn lab(scale: f64) -> Lab {
    Lab::start(Options { seed: 42, scale, ..Options::default() }).unwrap()
}

fn address_of(lab: &Lab, instance: &str) -> String {
    format!("{}:{SERVICE_PORT}", lab.world().lock().instances[instance].address)
}

async fn try_get(address: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head[9..12].parse().unwrap(), body.to_owned()))
}

async fn get(url: &str, path: &str) -> (u16, String) {
    try_get(url.trim_start_matches("http://"), path).await.unwrap()
}

/// Waits until `condition` holds; a minute at most.
async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    for _ in 0..6000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited a minute in vain");
}

fn deny_all(lab: &Lab) {
    let world = lab.world();
    let mut state = world.lock();
    let mut acl = state.acls["nacl-bp1lifeboat0data0001"].clone();
    acl.id = "nacl-bp1deny".into();
    acl.ingress =
        vec![AclEntry { number: 1, allow: false, protocol: "all".into(), cidr: "0.0.0.0/0".into(), port: String::new(), name: String::new() }];
    state.acls.insert(acl.id.clone(), acl);
    state.apply_acl(VSWITCH, Some("nacl-bp1deny"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lab_tells_what_it_is_and_holds() {
    let lab = lab(1.0);
    let endpoints = lab.endpoints().clone();
    let keys: Vec<String> = serde_json::to_value(&endpoints).unwrap().as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["id", "control", "aws", "aliyun", "oss", "dns", "prometheus", "access_key_id", "secret_access_key"]);
    assert_eq!(get(&endpoints.control, "/health").await, (200, "ok".into()));
    let (status, environment) = get(&endpoints.control, "/environment").await;
    let environment: Value = serde_json::from_str(&environment).unwrap();
    assert_eq!(status, 200);
    assert_eq!(environment["vars"]["prometheus"], endpoints.prometheus);
    assert_eq!(environment["dns_name_server"], endpoints.dns);
    assert_eq!(environment["accounts"]["aws"], "111122223333");
    let (_, world) = get(&endpoints.control, "/world").await;
    let value: Value = serde_json::from_str(&world).unwrap();
    assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), world, "canonical");
    assert_eq!(value["instances"][STANDBY]["state"], "stopped");
    let (_, truth) = get(&endpoints.control, "/truth").await;
    assert_eq!(truth.lines().filter(|line| line.contains(r#""what":"service""#) && line.contains(r#""state":"up""#)).count(), 4);
    assert_eq!(get(&endpoints.control, "/nothing").await.0, 404);
    lab.stop().await;
    assert!(try_get(endpoints.control.trim_start_matches("http://"), "/health").await.is_err(), "nothing listens after the stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_labs_do_not_meet() {
    let (one, two) = (lab(1.0), lab(1.0));
    let prefix = |lab: &Lab| lab.world().lock().prefix;
    assert_ne!(prefix(&one), prefix(&two));
    let taken = prefix(&one);
    assert!(matches!(Lab::start(Options { prefix: Some(taken), ..Options::default() }), Err(LabError::Taken { .. })));
    assert!(matches!(Lab::start(Options { prefix: Some(1), ..Options::default() }), Err(LabError::Prefix(1))));
    one.stop().await;
    Lab::start(Options { prefix: Some(taken), ..Options::default() }).unwrap().stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_answer_as_their_state_and_network_let_them() {
    let lab = lab(20.0);
    let (storefront, standby) = (address_of(&lab, STOREFRONT), address_of(&lab, STANDBY));
    assert_eq!(try_get(&storefront, "/health").await.unwrap(), (200, "ok".into()));
    let (status, body) = try_get(&storefront, "/api/status").await.unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"], &body["database"], &body["cloud"]), (200, &"ok".into(), &"ok".into(), &"aliyun".into()));
    assert_eq!(try_get(&standby, "/health").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

    lab.world().lock().instance_start(STANDBY);
    until(async || try_get(&standby, "/health").await.is_ok()).await;
    {
        let world = lab.world();
        let state = world.lock();
        assert!(state.is_healthy(&state.instances[STANDBY]), "no server before health");
    }
    lab.world().lock().instance_stop(STANDBY);
    assert!(try_get(&standby, "/health").await.is_err(), "gone at once");
    until(async || matches!(try_get(&standby, "/health").await, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)).await;
    until(async || lab.world().lock().instances[STANDBY].state == InstanceState::Stopped).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_acl_swallowed_is_never_answered() {
    let lab = lab(20.0);
    let address = address_of(&lab, STOREFRONT);
    // Kept alive from before the ACL.
    let mut kept = TcpStream::connect(&address).await.unwrap();
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    deny_all(&lab);
    until(async || !lab.world().lock().services["storefront"].up).await;
    kept.write_all(b"GET /health HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
    let mut stuck = TcpStream::connect(&address).await.unwrap();
    stuck.write_all(b"GET /health HTTP/1.1\r\nHost: lab\r\n\r\n").await.unwrap();
    let quiet = Duration::from_millis(300);
    assert!(tokio::time::timeout(quiet, try_get(&address, "/health")).await.is_err());
    lab.world().lock().apply_acl(VSWITCH, None);
    until(async || matches!(tokio::time::timeout(quiet, try_get(&address, "/health")).await, Ok(Ok((200, _))))).await;
    let mut rest = vec![0; 4096];
    // The first answer's remainder may still be there; a second answer must not.
    let read = kept.try_read(&mut rest).unwrap_or(0);
    assert!(!String::from_utf8_lossy(&rest[..read]).contains("HTTP/1.1"));
    assert!(tokio::time::timeout(quiet, stuck.read(&mut rest)).await.is_err());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_answered_on_udp_and_tcp() {
    let lab = lab(1.0);
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii("shop.example.com.").unwrap(), RecordType::A));
    let query = query.to_vec().unwrap();
    let expected = address_of(&lab, STOREFRONT);
    let first = |answer: &[u8]| format!("{}:{SERVICE_PORT}", Message::from_vec(answer).unwrap().answers[0].data);

    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(b"x", &lab.endpoints().dns).await.unwrap();
    udp.send_to(&query, &lab.endpoints().dns).await.unwrap();
    let mut buffer = [0; 512];
    let length = udp.recv(&mut buffer).await.unwrap();
    assert_eq!(first(&buffer[..length]), expected);

    let mut tcp = TcpStream::connect(&lab.endpoints().dns).await.unwrap();
    for _ in 0..2 {
        tcp.write_all(&[&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat()).await.unwrap();
        let mut answer = vec![0; usize::from(tcp.read_u16().await.unwrap())];
        tcp.read_exact(&mut answer).await.unwrap();
        assert_eq!(first(&answer), expected);
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_orders_and_copies_show_in_the_metrics() {
    let lab = lab(5.0);
    let ask = async |query: &str| -> Value {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        serde_json::from_str(&get(&lab.endpoints().prometheus, &format!("/api/v1/query?query={query}")).await.1).unwrap()
    };
    let holds = async |query: &str| ask(query).await["data"]["result"].as_array().is_some_and(|result| !result.is_empty());
    until(async || holds("sum(rate(shop_requests_total{service=\"checkout\",outcome=\"ok\"}[5s])) > 5").await).await;
    until(async || holds("shop_orders_copied_total > 3").await).await;
    assert!(get(&lab.endpoints().prometheus, "/metrics").await.1.contains("shop_service_up{service=\"checkout\"} 1\n"));
    deny_all(&lab);
    until(async || holds("shop_service_up{service=\"storefront\"} == 0").await).await;
    until(async || holds("increase(shop_requests_total{service=\"storefront\",outcome=\"timeout\"}[5s]) > 0").await).await;
    let written = lab.world().lock().counters.orders_written;
    assert!(holds("shop_service_up{service=\"checkout\"} == 1").await);
    assert_eq!(lab.world().lock().counters.orders_written, written, "no orders while the storefront is down");
    lab.world().lock().apply_acl(VSWITCH, None);
    until(async || lab.world().lock().counters.orders_written > written + 2).await;
    let world = lab.world();
    let mut state = world.lock();
    state.copy_orders();
    let keys = |bucket: &str| state.buckets[bucket].objects.keys().cloned().collect::<Vec<_>>();
    let expected: Vec<_> = (1..=state.counters.orders_written).map(|number| format!("orders/{number:012}")).collect();
    assert_eq!(keys("shop-orders"), expected);
    assert_eq!(keys("shop-orders-mirror"), expected);
    drop(state);
    lab.stop().await;
}

#[test]
fn a_time_that_stands_still_or_flies_is_refused() {
    for scale in [0.0, -1.0, 1001.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Lab::start(Options { scale, ..Options::default() }), Err(LabError::Scale(_))), "{scale}");
    }
}

#[test]
fn variables_are_known_without_a_lab() {
    let vars = vars(&Blueprint::shop(), None);
    assert_eq!(vars["zone"], "example.com.");
    assert_eq!(vars["prometheus"], "http://127.0.0.1:9090");
}

/// One tight look: when it began, whether it was served, when it ended.
async fn look(lab: &Lab, address: &str) -> (Timestamp, bool, Timestamp) {
    let clock = lab.world().clock.clone();
    let began = clock.now();
    // What is cut off is silent; what is served is served by then on the busiest machine.
    let outcome = tokio::time::timeout(Duration::from_secs(1), try_get(address, "/health")).await;
    (began, matches!(outcome, Ok(Ok((200, _)))), clock.now())
}

/// Changes something, then looks again and again until the outcome is `wanted`; gives when the last other look, or else the change, began, and when the
/// first wanted look ended.
async fn flip(lab: &Lab, address: &str, wanted: bool, change: impl FnOnce()) -> (Timestamp, Timestamp) {
    // Before the change: on a busy machine it may have its effect before the first look.
    let mut before = lab.world().clock.now();
    change();
    for _ in 0..100_000 {
        let (began, is_served, ended) = look(lab, address).await;
        if is_served == wanted {
            return (before, ended);
        }
        before = began;
    }
    panic!("never {wanted}");
}

/// The latest moment at which the truth says this.
fn truth(lab: &Lab, key: &str, value: &str, state: &str) -> Timestamp {
    let world = lab.world();
    let state_now = world.lock();
    let entry = state_now.truth.entries().iter().rev().find(|entry| entry[key] == value && entry["state"] == state).unwrap();
    entry["wall"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tight_observer_sees_encloses_the_truth() {
    let lab = lab(10.0);
    let (storefront, standby) = (address_of(&lab, STOREFRONT), address_of(&lab, STANDBY));
    for round in 0..3 {
        let (from, to) = flip(&lab, &storefront, false, || deny_all(&lab)).await;
        let down = truth(&lab, "service", "storefront", "down");
        assert!(from <= down && down <= to, "round {round}: down at {down}, seen between {from} and {to}");
        let (from, to) = flip(&lab, &storefront, true, || lab.world().lock().apply_acl(VSWITCH, None)).await;
        let up = truth(&lab, "service", "storefront", "up");
        assert!(from <= up && up <= to, "round {round}: up at {up}, seen between {from} and {to}");

        let (from, to) = flip(&lab, &standby, true, || _ = lab.world().lock().instance_start(STANDBY)).await;
        let healthy = truth(&lab, "instance", STANDBY, "healthy");
        assert!(from <= healthy && healthy <= to, "round {round}: healthy at {healthy}, seen between {from} and {to}");
        let (from, to) = flip(&lab, &standby, false, || _ = lab.world().lock().instance_stop(STANDBY)).await;
        let stopping = truth(&lab, "instance", STANDBY, "stopping");
        assert!(stopping <= to && from <= to, "round {round}: stopping at {stopping}, seen between {from} and {to}");
        until(async || lab.world().lock().instances[STANDBY].state == InstanceState::Stopped).await;
    }
    lab.stop().await;
}
