//! `redis` against a primary and its replica.

use serde_json::{Value, json};

use crate::server::{Server, certificate, free_port, waits_for_good};
use crate::{is_bad, is_good, is_unknown, sample, until};

pub(crate) const PASSWORD: &str = "open-sesame";

pub(crate) fn redis(more: &[&str]) -> Server {
    let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
    Server::start("redis-server", |port, _| {
        let own = format!("--port {port} --bind 127.0.0.1 --save --appendonly no --requirepass {PASSWORD} --masterauth {PASSWORD}");
        // An empty list of moments to save at is a word of its own.
        own.split(' ').flat_map(|word| if word == "--save" { vec!["--save", ""] } else { vec![word] }).map(str::to_owned).chain(more).collect()
    })
}

pub(crate) async fn command(server: &Server, words: &[&str]) {
    let client = redis::Client::open(format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.exec_async(&mut connection).await.unwrap();
}

pub(crate) fn with(server: &Server, expect: &Value) -> Value {
    json!({ "address": format!("127.0.0.1:{}", server.port), "password": PASSWORD, "expect": expect })
}

#[tokio::test]
async fn a_server_lets_in_answers_and_has_a_role() {
    let server = redis(&[]);
    let ask = async |expect: Value| sample("redis", with(&server, &expect)).await;
    is_good(&ask(json!({})).await, "PONG in ");
    is_good(&ask(json!({ "role": "primary" })).await, "PONG in ");
    is_bad(&ask(json!({ "role": "replica" })).await, "a primary, expected a replica");
    let address = format!("127.0.0.1:{}", server.port);
    is_unknown(&sample("redis", json!({ "address": address })).await, "NOAUTH");
    is_unknown(&sample("redis", json!({ "address": address, "password": "wrong" })).await, "Password authentication failed");
    is_bad(&sample("redis", json!({ "address": format!("127.0.0.1:{}", free_port()) })).await, "connection refused");
    is_bad(&sample("redis", json!({ "address": address, "tls": true })).await, "no answer within ");
}

#[tokio::test]
async fn it_speaks_tls_with_whom_the_machine_trusts() {
    let port = free_port();
    let server = Server::start("redis-server", |plain, folder| {
        certificate(folder);
        let own = format!(
            "--port {plain} --tls-port {port} --bind 127.0.0.1 127.0.0.2 --tls-cert-file server.pem --tls-key-file server.key --tls-auth-clients no"
        );
        own.split(' ').map(str::to_owned).collect()
    });
    let ask = |host: &str| json!({ "address": format!("{host}:{port}"), "tls": true });
    is_bad(&sample("redis", ask("127.0.0.1")).await, "no TLS: invalid peer certificate: UnknownIssuer");
    let ca = server.folder().join("ca.pem");
    waits_for_good("redis", &ask("127.0.0.1"), &ca).unwrap();
    let wrong = waits_for_good("redis", &ask("127.0.0.2"), &ca).unwrap_err();
    assert!(wrong.contains("not valid for name \"127.0.0.2\""), "{wrong}");
}

#[tokio::test]
async fn a_key_tells_how_old_the_cache_is() {
    let server = redis(&[]);
    let fresh = json!({ "fresh": { "key": "heartbeat", "max_age": "1m" } });
    let ask = async || sample("redis", with(&server, &fresh)).await;
    is_unknown(&ask().await, "there is no key heartbeat");
    command(&server, &["SET", "heartbeat", "soon"]).await;
    is_unknown(&ask().await, "heartbeat holds \"soon\", which is no time");
    command(&server, &["SET", "heartbeat", "1795390031"]).await;
    is_bad(&ask().await, "allowed 1m");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis().to_string();
    command(&server, &["SET", "heartbeat", &now]).await;
    let found = ask().await;
    is_good(&found, "0.");
    assert!(found.value.unwrap()["lag_ms"].as_u64().unwrap() < 60_000);
}

#[tokio::test]
async fn a_replica_has_a_link_and_is_behind_its_primary() {
    let primary = redis(&[]);
    let replica = redis(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let expect = json!({ "role": "replica", "behind": { "primary": format!("127.0.0.1:{}", primary.port), "at_most": 0 } });
    let ask = async || sample("redis", with(&replica, &expect)).await;
    is_good(&until(&ask, |found| found.detail == "0 bytes behind").await, "0 bytes behind");
    command(&replica, &["REPLICAOF", "NO", "ONE"]).await;
    is_bad(&ask().await, "a primary, expected a replica");
    command(&replica, &["REPLICAOF", "127.0.0.1", &free_port().to_string()]).await;
    is_bad(&ask().await, "its link to its primary is down");
}
