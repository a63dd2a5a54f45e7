//! `postgres` against a primary and its replica.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Server, certificate, free_port, secret_password, waits_for_good};
use crate::{is_bad, is_good, is_unknown, sample, until};

pub(crate) const PASSWORD: &str = "open-sesame";

/// PostgreSQL refuses to run as root. Then it runs as nobody, who may go wherever root may.
fn program(name: &str) -> Vec<String> {
    let root = rustix::process::geteuid().is_root();
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override";
    let words = if root { nobody.split(' ').map(str::to_owned).collect() } else { Vec::new() };
    words.into_iter().chain([name.to_owned()]).collect()
}

fn run(folder: &Path, name: &str, arguments: &[&str]) {
    let program = program(name);
    let output = Command::new(&program[0]).args(&program[1..]).args(arguments).current_dir(folder).env("PGPASSWORD", PASSWORD).output();
    let output = output.unwrap_or_else(|error| panic!("{name} cannot be started: {error}; tests/run installs it"));
    assert!(output.status.success(), "{name}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// Its data come from `fill`, which makes them in the folder `data` of its own.
fn postgres(fill: impl FnOnce(&Path)) -> Server {
    let program = program("postgres");
    Server::start(&program[0], |port, folder| {
        certificate(folder);
        if program.len() > 1 {
            for of_its_own in [folder.to_owned(), folder.join("server.key")] {
                std::os::unix::fs::chown(of_its_own, Some(65534), Some(65534)).unwrap();
            }
        }
        fill(folder);
        let place = folder.display().to_string();
        let settings =
            format!("listen_addresses=127.0.0.1,127.0.0.2 fsync=off ssl=on ssl_cert_file={place}/server.pem ssl_key_file={place}/server.key");
        let own = ["-D", "data", "-p", &port.to_string(), "-k", &place].map(str::to_owned);
        let settings = settings.split(' ').flat_map(|setting| ["-c".to_owned(), setting.to_owned()]);
        program[1..].iter().cloned().chain(own).chain(settings).collect()
    })
}

pub(crate) fn primary() -> Server {
    postgres(|folder| {
        fs::write(folder.join("password"), PASSWORD).unwrap();
        let how = ["-D", "data", "-U", "probe", "--auth=scram-sha-256", "--pwfile=password", "--no-sync", "--locale=C", "-E", "UTF8"];
        run(folder, "initdb", &how);
    })
}

pub(crate) async fn replica_of(primary: &Server) -> Server {
    let up = async || sample("postgres", with(primary, "select 1", &json!({}))).await;
    is_good(&until(&up, |found| !found.detail.contains("starting up")).await, "answered in ");
    let from = format!("host=127.0.0.1 port={} user=probe password={PASSWORD}", primary.port);
    postgres(|folder| run(folder, "pg_basebackup", &["-D", "data", "-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-d", &from]))
}

pub(crate) fn with(server: &Server, query: &str, expect: &Value) -> Value {
    let address = format!("127.0.0.1:{}", server.port);
    json!({ "address": address, "user": "probe", "password": PASSWORD, "database": "postgres", "query": query, "expect": expect, "timeout": "10s" })
}

pub(crate) async fn run_statement(server: &Server, statement: &str) {
    let how = format!("host=127.0.0.1 port={} user=probe password={PASSWORD} dbname=postgres", server.port);
    let (client, connection) = tokio_postgres::connect(&how, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    client.simple_query(statement).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_lets_in_answers_and_has_a_role() {
    let server = primary();
    let ask = async |query: &str, expect: Value| sample("postgres", with(&server, query, &expect)).await;
    let up = async || ask("select 1", json!({})).await;
    is_good(&until(&up, |found| !found.detail.contains("starting up")).await, "answered in ");
    is_good(&ask("select 1", json!({ "role": "primary" })).await, "answered in ");
    is_bad(&ask("select 1", json!({ "max_lag": "1s" })).await, "a primary, expected a replica");
    is_good(&ask("select count(*) from pg_database", json!({ "number": { "above": 2 } })).await, "3");
    is_bad(&ask("select 'down'", json!({ "text": "up" })).await, "the query gives \"down\", expected \"up\"");
    is_unknown(&ask("select 1 from pg_database where false", json!({ "text": "up" })).await, "the query gives nothing");
    is_unknown(&ask("select * from orders", json!({})).await, "relation \"orders\" does not exist");
    is_unknown(&ask("create table orders (id int)", json!({})).await, "cannot execute CREATE TABLE in a read-only transaction");
    let address = format!("127.0.0.1:{}", server.port);
    is_unknown(&sample("postgres", json!({ "address": address, "user": "probe", "password": "wrong" })).await, "password authentication failed");
    is_bad(&sample("postgres", json!({ "address": format!("127.0.0.1:{}", free_port()), "user": "probe" })).await, "connection refused");
}

#[tokio::test]
async fn it_speaks_tls_with_whom_the_machine_trusts() {
    let server = primary();
    let ask = |host: &str, password: Value| json!({ "address": format!("{host}:{}", server.port), "user": "probe", "password": password, "database": "postgres", "tls": true });
    is_bad(&sample("postgres", ask("127.0.0.1", PASSWORD.into())).await, "UnknownIssuer");
    let ca = server.folder().join("ca.pem");
    waits_for_good("postgres", &ask("127.0.0.1", secret_password()), &ca).unwrap();
    let wrong = waits_for_good("postgres", &ask("127.0.0.2", secret_password()), &ca).unwrap_err();
    assert!(wrong.contains("not valid for name \"127.0.0.2\""), "{wrong}");
}

#[tokio::test]
async fn a_replica_follows_until_its_primary_is_gone() {
    let primary = primary();
    let replica = replica_of(&primary).await;
    let ask = async || sample("postgres", with(&replica, "select 1", &json!({ "role": "replica", "max_lag": "0s" }))).await;
    let found = until(&ask, |found| found.detail == "0.0 s behind").await;
    is_good(&found, "0.0 s behind");
    assert_eq!(found.value, Some(json!({ "lag_ms": 0 })));
    drop(primary);
    // A replica that has replayed no transaction since it began has no age to tell.
    let found = until(&ask, |found| found.detail != "0.0 s behind").await;
    match found.detail.contains("it has replayed nothing yet") {
        true => is_unknown(&found, ""),
        false => is_bad(&found, "s behind, allowed"),
    }
}
