//! Canaries: markers that go from a primary to its replica, of Redis, PostgreSQL and MariaDB.

use lifeboat::engine::probe::Sample;
use serde_json::{Value, json};

use crate::server::Server;
use crate::{Kept, is_bad, is_good, is_unknown, mysql, postgres, redis, sample, until};

/// A count in a sample's value.
#[track_caller]
fn count(sample: &Sample, name: &str) -> u64 {
    sample.value.as_ref().and_then(|value| value[name].as_u64()).unwrap_or_else(|| panic!("{sample:?} has no {name}"))
}

/// Whether some markers were written and all of them have arrived.
fn whole(found: &Sample) -> bool {
    found.value.as_ref().is_some_and(|value| value["missing"] == 0 && value["acknowledged"].as_u64() > Some(2))
}

/// Goes through what can happen to a replica, by what halts it and lets it go on.
async fn story(canary: &Kept, halt: impl AsyncFn(), go_on: impl AsyncFn(), primary: Server) {
    let ask = async || canary.sample().await;
    is_good(&until(&ask, whole).await, "0.0 s behind, 0 missing");
    halt().await;
    let behind = until(&ask, |found| found.value.as_ref().is_some_and(|value| value["missing"].as_u64() > Some(3))).await;
    is_bad(&behind, "allowed 0s");
    assert!(count(&behind, "lag_ms") > 0 && count(&behind, "gaps") == 0, "{behind:?}");
    go_on().await;
    let again = until(&ask, whole).await;
    is_good(&again, "0.0 s behind, 0 missing");
    assert!(count(&again, "late") >= count(&behind, "missing") - 1 && count(&again, "doubled") == 0, "{again:?}");
    let before = count(&again, "in_doubt");
    drop(primary);
    let gone = canary.sample().await;
    // The one that was acknowledged last was perhaps not sent to the replica: then it is lost.
    let lost = count(&gone, "missing");
    is_unknown(&gone, "source: ");
    assert!(
        lost <= 1 && gone.detail.contains("by what it last acknowledged ") && gone.detail.ends_with(&format!(" s behind, {lost} missing")),
        "{gone:?}"
    );
    let value = gone.value.clone().unwrap_or_default();
    assert!(value["lag_ms"].is_null() && value["lag_at_most_ms"].as_u64() >= value["lag_at_least_ms"].as_u64(), "{gone:?}");
    assert_eq!(count(&gone, "in_doubt"), before + 1);
    assert_eq!(count(&gone, "acknowledged"), count(&canary.sample().await, "acknowledged"));
}

fn expect() -> Value {
    json!({ "max_lag": "0s" })
}

#[tokio::test]
async fn keys_go_from_redis_to_its_replica() {
    let primary = redis::redis(&[]);
    let port = primary.port.to_string();
    let replica = redis::redis(&["--replicaof", "127.0.0.1", &port]);
    let at = |server: &Server| json!({ "address": format!("127.0.0.1:{}", server.port), "password": redis::PASSWORD });
    let canary = Kept::new("canary.redis", json!({ "source": at(&primary), "survivor": at(&replica), "expect": expect() }), None).await;
    let halt = async || redis::command(&replica, &["REPLICAOF", "NO", "ONE"]).await;
    let go_on = async || redis::command(&replica, &["REPLICAOF", "127.0.0.1", &port]).await;
    story(&canary, halt, go_on, primary).await;
    drop(replica);
    is_unknown(&canary.sample().await, "survivor: 127.0.0.1:");
}

#[tokio::test]
async fn rows_go_from_postgres_to_its_replica_and_twice_is_seen() {
    let primary = postgres::primary();
    let replica = postgres::replica_of(&primary).await;
    let run = async |server: &Server, statement: &str| postgres::run_statement(server, statement).await;
    run(&primary, "create table lifeboat_canary (series text not null, number bigint not null)").await;
    let at = |server: &Server| json!({ "address": format!("127.0.0.1:{}", server.port), "user": "probe", "password": postgres::PASSWORD, "database": "postgres" });
    let with = json!({ "source": at(&primary), "survivor": at(&replica), "expect": expect(), "timeout": "10s" });
    let canary = Kept::new("canary.postgres", with, None).await;
    let ask = async || canary.sample().await;
    is_good(&until(&ask, whole).await, "0.0 s behind, 0 missing");
    run(&primary, "insert into lifeboat_canary select series, number from lifeboat_canary where number = 2").await;
    let found = until(&ask, |found| found.value.as_ref().is_some_and(|value| value["doubled"] == 1)).await;
    assert_eq!(count(&found, "doubled"), 1);

    let canary = Kept::new("canary.postgres", json!({ "source": at(&primary), "survivor": at(&replica), "expect": expect() }), None).await;
    let halt = async || run(&replica, "select pg_wal_replay_pause()").await;
    let go_on = async || run(&replica, "select pg_wal_replay_resume()").await;
    story(&canary, halt, go_on, primary).await;
}

#[tokio::test]
async fn rows_go_from_mariadb_to_its_replica() {
    let primary = mysql::mariadb(&["--log-bin=bin", "--server-id=1"]);
    let replica = mysql::mariadb(&["--server-id=2", "--read-only=1", "--slave-skip-errors=all"]);
    mysql::follow(&replica, &primary).await;
    let up = async || sample("mysql", mysql::with(&primary, "select 1", &json!({}))).await;
    is_good(&until(&up, |found| found.detail.starts_with("answered")).await, "answered in ");
    mysql::run(&primary, "create database if not exists ops").await;
    mysql::run(&primary, "create table ops.lifeboat_canary (series varchar(40) not null, number bigint not null)").await;
    let at = |server: &Server| json!({ "address": format!("127.0.0.1:{}", server.port), "user": "probe", "password": mysql::PASSWORD });
    let with = json!({ "source": at(&primary), "survivor": at(&replica), "table": "ops.lifeboat_canary", "expect": expect() });
    let canary = Kept::new("canary.mysql", with, None).await;
    let halt = async || mysql::run(&replica, "stop slave").await;
    let go_on = async || mysql::run(&replica, "start slave").await;
    story(&canary, halt, go_on, primary).await;
}
