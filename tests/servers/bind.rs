//! `dns`, and names in other probes, against BIND.

use serde_json::json;

use crate::server::Server;
use crate::{is_bad, is_good, sample, sample_with};

fn bind() -> Server {
    Server::start("named", |port, folder| {
        let place = folder.display();
        let config = format!(
            r#"options {{ directory "{place}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; pid-file "{place}/pid";
                session-keyfile "{place}/session.key"; dnssec-validation no; }};
            controls {{}};
            zone "shop.test" {{ type primary; file "{place}/zone"; }};"#
        );
        std::fs::write(folder.join("named.conf"), config).unwrap();
        let zone = "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A 192.0.2.10\nwww A 192.0.2.11\nlocal A 127.0.0.1\n\
                    alias CNAME www\n@ TXT \"v=1\"\nempty TXT \"nothing else\"\n";
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
