//! `dns`, and names in other probes, against BIND.

use serde_json::json;

use crate::server::Server;
use crate::{is_bad, is_good, sample, sample_with};

pub(crate) fn bind() -> Server {
    bind_with("192.0.2.10")
}

/// A name server for `shop.test`, whose `www` is at `first` and one more.
fn bind_with(first: &str) -> Server {
    Server::start("named", |port, folder| {
        let place = folder.display();
        let config = format!(
            r#"options {{ directory "{place}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; pid-file "{place}/pid";
                session-keyfile "{place}/session.key"; dnssec-validation no; }};
            controls {{}};
            zone "shop.test" {{ type primary; file "{place}/zone"; }};"#
        );
        std::fs::write(folder.join("named.conf"), config).unwrap();
        let zone = format!(
            "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n@ NS second\nns A 127.0.0.1\nsecond A 127.0.0.1\nwww A {first}\nwww A 192.0.2.11\n\
             local A 127.0.0.1\nalias CNAME www\n@ TXT \"v=1\"\nempty TXT \"nothing else\"\nhalf A 127.0.0.1\nhalf A 127.0.0.2\nnew AAAA ::1\nnew A 127.0.0.1\n"
        );
        std::fs::write(folder.join("zone"), zone).unwrap();
        ["-g", "-c", &format!("{place}/named.conf"), "-n", "1"].map(str::to_owned).to_vec()
    })
}

#[tokio::test]
async fn answers_are_held_against_what_is_expected() {
    let server = bind();
    let at = format!("127.0.0.1:{}", server.port);
    let ask = async |name: &str, kind: &str, expect: serde_json::Value| {
        sample("dns", json!({ "name": name, "type": kind, "server": at, "expect": expect })).await
    };
    let found = ask("www.shop.test", "A", json!({ "values": ["192.0.2.11", "192.0.2.10"] })).await;
    is_good(&found, "");
    assert_eq!(found.value, Some(json!(["192.0.2.10", "192.0.2.11"])));
    is_bad(&ask("www.shop.test", "A", json!({ "values": ["192.0.2.10"] })).await, "192.0.2.11");
    is_good(&ask("shop.test", "TXT", json!({ "contains": ["v=1"] })).await, "");
    is_bad(&ask("nobody.shop.test", "A", json!({})).await, "nobody.shop.test");
    // Another one's zone is refused.
    is_bad(&ask("www.other.test", "A", json!({})).await, "Refused");
    drop(server);
    is_bad(&ask("www.shop.test", "A", json!({})).await, "127.0.0.1");
}

#[tokio::test]
async fn other_probes_find_their_hosts_through_it() {
    let server = bind();
    let at = format!("127.0.0.1:{}", server.port);
    let tcp = async |host: &str| sample_with("tcp", json!({ "address": format!("{host}:{}", server.port) }), Some(at.clone())).await;
    is_good(&tcp("local.shop.test").await, "connected in ");
    is_bad(&tcp("empty.shop.test").await, "empty.shop.test has no address");
}

#[tokio::test]
async fn every_name_server_of_a_zone_is_asked() {
    let server = bind();
    let at = format!("127.0.0.1:{}", server.port);
    let ask = async |expect: serde_json::Value| {
        sample_with("dns", json!({ "name": "alias.shop.test", "type": "CNAME", "authoritative": true, "expect": expect }), Some(at.clone())).await
    };
    let found = ask(json!({ "values": ["www.shop.test"] })).await;
    is_good(&found, "2 of 2 as expected");
    let told = json!({ "as_expected": true, "answer": ["www.shop.test."], "ttl_s": 60 });
    let servers = json!({ format!("ns.shop.test 127.0.0.1:{}", server.port): told, format!("second.shop.test 127.0.0.1:{}", server.port): told });
    assert_eq!(found.value, Some(json!({ "servers": servers })));
    is_bad(&ask(json!({ "values": ["other.test"] })).await, "0 of 2 as expected; ns.shop.test 127.0.0.1:");
}

#[tokio::test]
async fn of_several_resolvers_those_with_the_old_answer_are_named() {
    let (new, old) = (bind_with("192.0.2.20"), bind());
    let places = [&new, &old].map(|server| format!("127.0.0.1:{}", server.port));
    let ask = async |good: serde_json::Value| {
        sample("dns", json!({ "name": "www.shop.test", "resolvers": places, "good": good, "expect": { "contains": ["192.0.2.20"] } })).await
    };
    let found = ask(json!("all")).await;
    is_bad(&found, &format!("1 of 2 as expected; {}: 192.0.2.10 192.0.2.11, expected 192.0.2.20 among them", places[1]));
    let servers = &found.value.unwrap()["servers"];
    assert_eq!((&servers[&places[0]]["as_expected"], &servers[&places[1]]["as_expected"]), (&json!(true), &json!(false)));
    is_good(&ask(json!("any")).await, "1 of 2 as expected");
    drop(old);
    is_bad(&ask(json!("all")).await, "cannot be asked");
}
