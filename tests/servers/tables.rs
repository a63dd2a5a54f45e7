//! `postgres.reconcile` and `mysql.reconcile` between two servers.

use serde_json::{Value, json};

use crate::server::{Server, execute, secret_password};
use crate::{is_good, mysql, postgres, sample, until};

/// One reconciliation of what is on `source` and on `mirror`, as the product says it.
fn reconcile(kind: &str, source: &Server, mirror: &Server, more: &Value, timeout: &str) -> Result<String, String> {
    let place = |server: &Server| {
        let database = if kind == "postgres" { "postgres" } else { "shop" };
        json!({ "address": format!("127.0.0.1:{}", server.port), "user": "probe", "password": secret_password(), "database": database })
    };
    let mut with = json!({ "source": place(source), "mirror": place(mirror), "table": "orders" });
    with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let agree = json!({ "id": "agree", "uses": format!("{kind}.reconcile"), "with": with, "timeout": timeout });
    let text = "held ${{ steps.agree.output.source }} and ${{ steps.agree.output.mirror }}";
    execute(&json!({ "steps": [agree, { "id": "told", "uses": "note", "needs": ["agree"], "with": { "text": text } }] }), None)
}

#[track_caller]
fn agrees(said: Result<String, String>, counts: &str) {
    let said = said.unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains(counts), "{said}");
}

#[track_caller]
fn differs(said: Result<String, String>, how: &str) {
    let said = said.expect_err("they differ");
    assert!(said.contains(how), "{said}");
}

/// Four rows on the mirror that are not as on the source, each in its own way, then one more and then as they were.
const APART: [&str; 4] = [
    "delete from orders where id = 17",
    "update orders set note = 'paid twice' where id = 4711",
    "insert into orders (id, note, total) values (4999.5, 'from nowhere', 0)",
    "insert into orders (id, note, total) select id, note, total from orders where id = 3",
];
const TOLD: &str = "5000 in the source, 5001 in the mirror; 1 missing (17); 1 too many (4999.5); 1 different (4711); 1 doubled (3)";

#[tokio::test]
async fn two_postgres_hold_the_same_or_it_is_said_what_not() {
    let (source, mirror) = (postgres::primary(), postgres::primary());
    for server in [&source, &mirror] {
        let up = async || sample("postgres", postgres::with(server, "select 1", &json!({}))).await;
        is_good(&until(&up, |found| !found.detail.contains("starting up")).await, "answered in ");
        let zone = if server.port == source.port { "Asia/Shanghai" } else { "America/New_York" };
        postgres::run_statement(server, &format!("alter role probe set timezone = '{zone}'")).await;
        postgres::run_statement(
            server,
            "create table orders (id numeric, note text, total float8, at timestamptz default '2026-11-11 00:00+08', \"When\" bytea)",
        )
        .await;
        postgres::run_statement(
            server,
            "insert into orders select n, case when n % 7 > 0 then 'it''s ' || n end, n / 3.0 from generate_series(1, 5000) n",
        )
        .await;
    }
    agrees(reconcile("postgres", &source, &mirror, &json!({}), "20s"), "held 5000 and 5000");
    for statement in APART {
        postgres::run_statement(&mirror, statement).await;
    }
    differs(reconcile("postgres", &source, &mirror, &json!({}), "2s"), TOLD);
    let newer = "insert into orders (id, note) values (6000, 'newer')";
    postgres::run_statement(&mirror, "delete from orders where id in (3, 4711, 4999.5)").await;
    postgres::run_statement(&mirror, newer).await;
    differs(reconcile("postgres", &source, &mirror, &json!({}), "2s"), "5000 in the source, 4997 in the mirror; 3 missing (3, …)");
    postgres::run_statement(&mirror, "delete from orders").await;
    differs(reconcile("postgres", &source, &mirror, &json!({}), "2s"), "5000 in the source, 0 in the mirror; 5000 missing (1, …)");
}

#[tokio::test]
async fn two_mariadb_hold_the_same_or_it_is_said_what_not() {
    let (source, mirror) =
        (mysql::mariadb(&["--default-time-zone=+08:00"]), mysql::mariadb(&["--default-time-zone=-05:00", "--sql-mode=NO_BACKSLASH_ESCAPES"]));
    for server in [&source, &mirror] {
        let up = async || sample("mysql", mysql::with(server, "select 1", &json!({}))).await;
        is_good(&until(&up, |found| found.detail.starts_with("answered")).await, "answered in ");
        mysql::run(server, "create database shop").await;
        let columns = "id decimal(20, 1), note text, total double, at timestamp, `When` blob, code binary(4), word varchar(9) character set latin1";
        mysql::run(server, &format!("create table shop.orders ({columns})")).await;
        let note = "if(seq % 7 > 0, concat('it''s ', seq), null)";
        let row =
            format!("seq, {note}, seq / 3, from_unixtime(1795390031), unhex('00ff'), unhex(lpad(hex(seq), 8, '0')), if(seq > 1, 'späte', null)");
        mysql::run(server, &format!("insert into shop.orders select {row} from shop.seq_1_to_5000")).await;
    }
    agrees(reconcile("mysql", &source, &mirror, &json!({}), "20s"), "held 5000 and 5000");
    agrees(reconcile("mysql", &source, &mirror, &json!({ "table": "shop.orders", "key": "code" }), "20s"), "held 5000 and 5000");
    for statement in APART {
        mysql::run(&mirror, &statement.replace("orders", "shop.orders")).await;
    }
    let told = TOLD.replace("(17)", "(17.0)").replace("(4711)", "(4711.0)").replace("(3)", "(3.0)");
    differs(reconcile("mysql", &source, &mirror, &json!({}), "2s"), &told);
    let no_column = "shop.orders has no column nr; it has When, at, code, id, note, total, word";
    differs(reconcile("mysql", &source, &mirror, &json!({ "table": "shop.orders", "key": "nr" }), "2s"), no_column);
    differs(reconcile("mysql", &source, &mirror, &json!({ "table": "mysql.orders" }), "2s"), "there is no table mysql.orders");
}
