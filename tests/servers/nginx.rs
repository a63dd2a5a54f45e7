//! `http`, `tcp`, `tls` and `group` against nginx.

use serde_json::json;

use crate::bind::bind;
use crate::server::{Server, certificate, free_port};
use crate::{Kept, is_bad, is_good, sample};

/// A web server with pages that are right and wrong, and the same over TLS with a certificate for `shop.test` and 127.0.0.1 that ends in 30 days.
struct Nginx {
    server: Server,
    tls: u16,
    /// A port that listens at 127.0.0.1 only; the first one also does at 127.0.0.2.
    only: u16,
}

fn nginx() -> Nginx {
    let (tls, only) = (free_port(), free_port());
    let server = Server::start("nginx", |port, folder| {
        certificate(folder);
        let place = folder.display();
        let config = format!(
            r#"
            daemon off; master_process off; worker_processes 1; pid {place}/pid; error_log stderr;
            events {{}}
            http {{
                access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
                uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi; default_type text/plain;
                server {{
                    listen 127.0.0.1:{port}; listen 127.0.0.2:{port}; listen 127.0.0.1:{only}; listen 127.0.0.1:{tls} ssl;
                    ssl_certificate {place}/server.pem; ssl_certificate_key {place}/server.key;
                    location = /health {{ add_header X-Region us-east-1; default_type application/json; return 200 '{{"state": "up", "queue": {{"depth": 3}}}}'; }}
                    location = /who {{ default_type application/json; return 200 '{{"requests": $connection_requests, "at": "$server_addr"}}'; }}
                    location = /last {{ keepalive_timeout 0; return 200 'bye'; }}
                    location = /busy {{ return 503 'try later'; }}
                    location = /moved {{ return 302 /health; }}
                    location = /cut {{ return 444; }}
                }}
            }}"#
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        ["-c", &format!("{place}/nginx.conf"), "-p", &place.to_string(), "-e", "stderr"].map(str::to_owned).to_vec()
    });
    Nginx { server, tls, only }
}

impl Nginx {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }
}

#[tokio::test]
async fn http_judges_status_header_body_and_json() {
    let nginx = nginx();
    let url = |path| nginx.url(path);
    let good = sample(
        "http",
        json!({ "url": url("/health"), "expect": {
        "headers": { "x-region": "us-east-1" }, "json": { "state": "up", "/queue/depth": 3 }, "body_contains": "queue", "max_latency": "900ms" } }),
    )
    .await;
    is_good(&good, "200 in ");
    assert!(good.first_byte.is_some());
    is_bad(&sample("http", json!({ "url": url("/busy") })).await, "503, expected 200");
    is_good(&sample("http", json!({ "url": url("/busy"), "expect": { "status": 503 } })).await, "503 in ");
    is_bad(&sample("http", json!({ "url": url("/moved") })).await, "302, expected 200");
    is_bad(
        &sample("http", json!({ "url": url("/health"), "expect": { "headers": { "x-region": "cn-hangzhou" } } })).await,
        "x-region is \"us-east-1\"",
    );
    is_bad(&sample("http", json!({ "url": url("/health"), "expect": { "headers": { "x-cell": "7" } } })).await, "there is no header x-cell");
    is_bad(&sample("http", json!({ "url": url("/health"), "expect": { "json": { "queue.depth": 0 } } })).await, "queue.depth is 3, expected 0");
    is_bad(&sample("http", json!({ "url": url("/cut") })).await, "connection closed");
    is_bad(&sample("http", json!({ "url": url("/health"), "expect": { "certificate_for": "1d" } })).await, "there is no certificate");
}

#[tokio::test]
async fn ports_are_open_or_closed() {
    let nginx = nginx();
    is_good(&sample("tcp", json!({ "address": format!("127.0.0.1:{}", nginx.server.port) })).await, "connected in ");
    is_bad(&sample("tcp", json!({ "address": format!("127.0.0.1:{}", free_port()) })).await, "connection refused");
}

#[tokio::test]
async fn certificates_are_trusted_or_not_and_end() {
    let nginx = nginx();
    let (place, https) = (format!("127.0.0.1:{}", nginx.tls), format!("https://127.0.0.1:{}/health", nginx.tls));
    // Whom this process trusts is read once: what trusts the authority is a process of its own, the product.
    is_bad(&sample("tls", json!({ "address": place })).await, "no TLS: invalid peer certificate: UnknownIssuer");
    let ca = nginx.server.folder().join("ca.pem");
    let trusting = |with: serde_json::Value, kind: &str| crate::server::waits_for_good(kind, &with, &ca);
    trusting(json!({ "address": place, "expect": { "certificate_for": "29d" } }), "tls").unwrap();
    trusting(json!({ "address": place, "name": "shop.test" }), "tls").unwrap();
    trusting(json!({ "url": https, "expect": { "certificate_for": "29d" } }), "http").unwrap();
    let wrong = trusting(json!({ "address": place, "expect": { "certificate_for": "31d" } }), "tls").unwrap_err();
    assert!(wrong.contains("the certificate ends on 20") && wrong.contains("allowed 31d before"), "{wrong}");
    let wrong = trusting(json!({ "address": place, "name": "other.test" }), "tls").unwrap_err();
    assert!(wrong.contains("not valid for name \"other.test\""), "{wrong}");
}

#[tokio::test]
async fn a_group_is_good_while_enough_of_it_is() {
    let nginx = nginx();
    let url = |path| nginx.url(path);
    let of = json!({
        "one": { "uses": "http", "with": { "url": url("/health") } },
        "two": { "uses": "http", "with": { "url": url("/busy") } },
        "three": { "uses": "tcp", "with": { "address": format!("127.0.0.1:{}", nginx.server.port) } },
    });
    is_good(&sample("group", json!({ "of": of, "good": 2 })).await, "2 of 3 good; two: 127.0.0.1:");
    is_good(&sample("group", json!({ "of": of, "good": "any" })).await, "2 of 3 good");
    is_bad(&sample("group", json!({ "of": of })).await, "503, expected 200");
}

#[tokio::test]
async fn a_client_keeps_its_connection_or_makes_a_new_one() {
    let nginx = nginx();
    let ask = async |client: serde_json::Value, number: u32| {
        let with = json!({ "url": nginx.url("/who"), "client": client, "expect": { "json": { "requests": number } } });
        Kept::new("http", with, None).await
    };
    let fresh = ask(json!({}), 1).await;
    is_good(&fresh.sample().await, "200 in ");
    is_good(&fresh.sample().await, "200 in ");
    let kept = ask(json!({ "connection": "kept" }), 2).await;
    is_bad(&kept.sample().await, "requests is 1, expected 2");
    is_good(&kept.sample().await, "200 in ");
    is_bad(&kept.sample().await, "requests is 3, expected 2");
    let both = ask(json!({ "connection": "both" }), 1).await;
    is_good(&both.sample().await, "200 in ");
    is_bad(&both.sample().await, "requests is 2, expected 1");
}

#[tokio::test]
async fn a_client_whose_connection_was_closed_makes_a_new_one() {
    let nginx = nginx();
    // The server closes a connection after this answer.
    let with = json!({ "url": nginx.url("/last"), "client": { "connection": "kept" } });
    let kept = Kept::new("http", with, None).await;
    for _ in 0..3 {
        is_good(&kept.sample().await, "200 in ");
    }
    drop(nginx);
    is_bad(&kept.sample().await, "connection refused");
}

#[tokio::test]
async fn a_client_takes_one_of_several_addresses_and_believes_names_for_their_time() {
    let (nginx, names) = (nginx(), bind());
    let server = format!("127.0.0.1:{}", names.port);
    let client = async |host: &str, client: serde_json::Value| {
        let with = json!({ "url": format!("http://{host}.shop.test:{}/who", nginx.only), "client": client });
        Kept::new("http", with, Some(server.clone())).await
    };
    // Half of the addresses do not answer.
    is_bad(&client("half", json!({ "addresses": "all" })).await.sample().await, "127.0.0.2");
    is_good(&client("half", json!({ "addresses": "in_turn" })).await.sample().await, "200 in ");
    is_good(&client("half", json!({})).await.sample().await, "200 in ");
    // Nobody listens at its IPv6 address.
    is_good(&client("new", json!({})).await.sample().await, "200 in ");
    let (believes, asks) = (client("local", json!({ "keep_names": true, "resolver": server })).await, client("local", json!({})).await);
    is_good(&believes.sample().await, "200 in ");
    is_good(&asks.sample().await, "200 in ");
    drop(names);
    is_good(&believes.sample().await, "200 in ");
    is_bad(&asks.sample().await, "name server");
}

#[tokio::test]
async fn the_share_of_requests_that_a_side_answers_is_counted() {
    let (nginx, names) = (nginx(), bind());
    let share = async |host: &str, at_least: f64| {
        let url = format!("http://{host}.shop.test:{}/who", nginx.server.port);
        let with = json!({ "url": url, "requests": 60, "at_least": at_least, "target": { "json": { "at": "127.0.0.2" } } });
        Kept::new("http.share", with, Some(format!("127.0.0.1:{}", names.port))).await.sample().await
    };
    // BIND gives both addresses in an order by chance.
    let found = share("half", 0.01).await;
    is_good(&found, "");
    let told = found.value.unwrap()["share"].as_f64().unwrap();
    assert!((0.1..0.9).contains(&told), "{told}");
    is_bad(&share("local", 0.95).await, "0 of 60 answered by the target, expected 0.95");
}
