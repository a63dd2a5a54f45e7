//! `http`, `tcp`, `tls` and `group` against nginx.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::server::{Server, free_port};
use crate::{is_bad, is_good, sample};

/// A web server with pages that are right and wrong, and the same over TLS with a certificate for `shop.test` and 127.0.0.1 that ends in 30 days.
struct Nginx {
    server: Server,
    tls: u16,
}

fn nginx() -> Nginx {
    let tls = free_port();
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
                    listen 127.0.0.1:{port}; listen 127.0.0.1:{tls} ssl;
                    ssl_certificate {place}/server.pem; ssl_certificate_key {place}/server.key;
                    location = /health {{ add_header X-Region us-east-1; default_type application/json; return 200 '{{"state": "up", "queue": {{"depth": 3}}}}'; }}
                    location = /busy {{ return 503 'try later'; }}
                    location = /moved {{ return 302 /health; }}
                    location = /cut {{ return 444; }}
                }}
            }}"#
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        ["-c", &format!("{place}/nginx.conf"), "-p", &place.to_string(), "-e", "stderr"].map(str::to_owned).to_vec()
    });
    Nginx { server, tls }
}

impl Nginx {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }
}

fn certificate(folder: &Path) {
    let openssl = |arguments: &str| {
        let status = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(status.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&status.stderr));
    };
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=servers");
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=shop.test");
    std::fs::write(folder.join("names"), "subjectAltName=DNS:shop.test,IP:127.0.0.1\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem");
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
