//! `mysql` against a primary and its replica, of MariaDB.

use std::fs;
use std::process::Command;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use serde_json::{Value, json};

use crate::server::{Server, certificate, free_port, secret_password, waits_for_good};
use crate::{is_bad, is_good, is_unknown, sample, until};

pub(crate) const PASSWORD: &str = "open-sesame";

pub(crate) fn mariadb(more: &[&str]) -> Server {
    let (more, users) = (more.iter().map(|word| (*word).to_owned()), format!("create user probe@'127.0.0.1' identified by '{PASSWORD}';"));
    let rights =
        "grant select, create, insert, update, delete, replica monitor, replication slave, replication slave admin on *.* to probe@'127.0.0.1';";
    Server::start("mariadbd", |port, folder| {
        let place = folder.display().to_string();
        let base = which("mariadbd").parent().and_then(std::path::Path::parent).unwrap().display().to_string();
        let install = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"].map(str::to_owned);
        let mut command = Command::new("mariadb-install-db");
        // Several that install at once would meet in the names of their temporary tables.
        command.args(install).arg(format!("--datadir={place}/data")).arg(format!("--basedir={base}")).env("TMPDIR", folder);
        let output = command.output();
        let output = output.expect("tests/run installs MariaDB");
        assert!(
            output.status.success(),
            "mariadb-install-db: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        certificate(folder);
        fs::write(folder.join("init.sql"), [&users, rights].join("\n")).unwrap();
        let own = format!(
            "--no-defaults --datadir={place}/data --tmpdir={place} --basedir={base} --port={port} --bind-address=127.0.0.1,127.0.0.2 --socket={place}/socket --user=root \
             --init-file={place}/init.sql --skip-name-resolve \
             --ssl-cert={place}/server.pem --ssl-key={place}/server.key --innodb-buffer-pool-size=16M --innodb-flush-log-at-trx-commit=0"
        );
        own.split_whitespace().map(str::to_owned).chain(more).collect()
    })
}

/// Makes `replica` follow `primary`, both of which may be starting still.
pub(crate) async fn follow(replica: &Server, primary: &Server) {
    let is_up = async || sample("mysql", with(replica, "select 1", &json!({}))).await;
    is_good(&until(&is_up, |found| found.detail.starts_with("answered")).await, "answered in ");
    let user = format!("master_user = 'probe', master_password = '{PASSWORD}', master_use_gtid = slave_pos, master_connect_retry = 1");
    run(replica, &format!("change master to master_host = '127.0.0.1', master_port = {}, {user}", primary.port)).await;
    run(replica, "start slave").await;
}

pub(crate) async fn run(server: &Server, statement: &str) {
    let options =
        OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(server.port).user(Some("probe")).pass(Some(PASSWORD)).prefer_socket(false);
    let mut connection = Conn::new(options).await.unwrap();
    connection.query_drop(statement).await.unwrap();
    connection.disconnect().await.unwrap();
}

fn which(program: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file()).expect("tests/run installs MariaDB")
}

pub(crate) fn with(server: &Server, query: &str, expect: &Value) -> Value {
    json!({ "address": format!("127.0.0.1:{}", server.port), "user": "probe", "password": PASSWORD, "query": query, "expect": expect, "timeout": "10s" })
}

#[tokio::test]
async fn a_server_lets_in_answers_and_has_a_role() {
    let server = mariadb(&[]);
    let ask = async |query: &str, expect: Value| sample("mysql", with(&server, query, &expect)).await;
    let up = async || ask("select 1", json!({})).await;
    is_good(&until(&up, |found| found.detail.starts_with("answered")).await, "answered in ");
    is_good(&ask("select 1", json!({ "role": "primary" })).await, "answered in ");
    is_bad(&ask("select 1", json!({ "role": "replica" })).await, "a primary, expected a replica");
    is_bad(&ask("select 1", json!({ "max_lag": "1s" })).await, "it follows nobody");
    is_good(&ask("select count(*) from mysql.user", json!({ "number": { "above": 1 } })).await, "");
    is_bad(&ask("select 'down'", json!({ "text": "up" })).await, "the query gives \"down\", expected \"up\"");
    is_unknown(&ask("select * from mysql.orders", json!({})).await, "doesn't exist");
    is_unknown(&ask("create database orders", json!({})).await, "READ ONLY");
    let address = format!("127.0.0.1:{}", server.port);
    is_unknown(&sample("mysql", json!({ "address": address, "user": "probe", "password": "wrong" })).await, "Access denied");
    is_bad(&sample("mysql", json!({ "address": format!("127.0.0.1:{}", free_port()), "user": "probe" })).await, "onnection refused");
}

#[tokio::test]
async fn it_speaks_tls_with_whom_the_machine_trusts() {
    let server = mariadb(&[]);
    let version = "select variable_value from information_schema.session_status where variable_name = 'Ssl_version'";
    let ask = |host: &str, password: Value, tls: bool| json!({ "address": format!("{host}:{}", server.port), "user": "probe", "password": password, "query": version, "tls": tls, "expect": { "text": if tls { "TLSv1.3" } else { "" } } });
    let plain = async || sample("mysql", ask("127.0.0.1", PASSWORD.into(), false)).await;
    is_good(&until(&plain, |found| !found.detail.contains("Access denied")).await, "");
    is_bad(&sample("mysql", ask("127.0.0.1", PASSWORD.into(), true)).await, "UnknownIssuer");
    let ca = server.folder().join("ca.pem");
    waits_for_good("mysql", &ask("127.0.0.1", secret_password(), true), &ca).unwrap();
    let wrong = waits_for_good("mysql", &ask("127.0.0.2", secret_password(), true), &ca).unwrap_err();
    assert!(wrong.contains("not valid for name \"127.0.0.2\""), "{wrong}");
}

#[tokio::test]
async fn a_replica_follows_until_its_primary_is_gone() {
    let primary = mariadb(&["--log-bin=bin", "--server-id=1"]);
    let replica = mariadb(&["--server-id=2", "--read-only=1", "--slave-skip-errors=all"]);
    follow(&replica, &primary).await;
    let ask = async || sample("mysql", with(&replica, "select 1", &json!({ "role": "replica", "max_lag": "5s" }))).await;
    let found = until(&ask, |found| found.detail == "0.0 s behind").await;
    is_good(&found, "0.0 s behind");
    assert_eq!(found.value, Some(json!({ "lag_ms": 0, "resolution_ms": 1000 })), "it tells whole seconds");
    drop(primary);
    is_bad(&until(&ask, |found| found.detail != "0.0 s behind").await, "it does not follow");
}
