//! `canary.mysql`.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::canary::table::{query, removal, seconds_as_time, usual};
use crate::catalogue::canary::{Canary, CanaryExpect, Markers, Numbers};
use crate::catalogue::servers::mysql::MysqlServer;
use crate::catalogue::servers::table::Table;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::{Span, Timestamp};
use crate::world::World;
use crate::world::connect::chain;

/// Writes a numbered row to a MySQL or MariaDB server each time and looks which ones its replica has: what a failover would lose, in committed time and in
/// rows. Good when the replica is close enough behind.
///
/// The table has to be there: `create table lifeboat_canary (series varchar(40) not null, number bigint not null)`, without a key, so that rows that come
/// twice are seen. Rows that have long arrived are removed; the last hundred stay. The value
/// is `{ lag_ms, acknowledged, in_doubt, missing, gaps, doubled, late, source_read, mirror_read }`.
/// Unknown while one side cannot be asked; then the lag is between `lag_at_least_ms` and `lag_at_most_ms`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryMysql {
    /// Where rows are written.
    source: MysqlServer,
    /// Where they are replicated to.
    survivor: MysqlServer,
    /// The table, with its database if it needs one; `lifeboat_canary` unless written.
    #[serde(default = "usual")]
    table: Table,
    /// How long writing and how long reading may take; 2s unless written.
    #[serde(default = "two_seconds")]
    timeout: Span,
    /// What is good.
    expect: CanaryExpect,
    #[serde(skip)]
    #[schemars(skip)]
    canary: Canary,
}

const fn two_seconds() -> Span {
    Span::from_secs(2)
}

impl Probe<World> for CanaryMysql {
    const KIND: &'static str = "canary.mysql";
    const EXAMPLE: &'static str = r#"
        source: { address: "db.hz.example.cn:3306", user: canary, password: { secret: "env:DB_PASSWORD" }, database: ops }
        survivor: { address: "db.us.example.com:3306", user: canary, password: { secret: "env:DB_PASSWORD" }, database: ops }
        expect: { max_lag: 2s }
    "#;
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["source.user", "source.password", "survivor.user", "survivor.password"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        Canary::longest(self.timeout)
    }

    async fn sample(&self, world: &World) -> Sample {
        self.canary.sample(world, self, self.expect, self.timeout.duration()).await
    }
}

impl Markers for CanaryMysql {
    async fn write(&self, world: &World, series: &str, number: u64) -> Result<Timestamp, String> {
        let mut connection = self.source.connect(world).await?;
        let insert = format!("insert into {} (series, number) values ('{series}', {number})", self.table);
        connection.query_drop(insert).await.map_err(|error| chain(&error))?;
        // Committed by itself; the clock is read right after that.
        let seconds = connection.query_first("select cast(unix_timestamp(now(6)) as char)").await.map_err(|error| chain(&error))?;
        let _ = connection.disconnect().await;
        seconds_as_time(seconds)
    }

    async fn read(&self, world: &World, series: &str, numbers: Numbers) -> Result<Vec<u64>, String> {
        let mut connection = self.survivor.connect(world).await?;
        let found = connection.query(query(&self.table, series, numbers)).await.map_err(|error| chain(&error))?;
        let _ = connection.disconnect().await;
        Ok(found)
    }

    async fn forget(&self, world: &World, series: &str, number: u64) {
        if let Ok(mut connection) = self.source.connect(world).await {
            let _ = connection.query_drop(removal(&self.table, series, number)).await;
            let _ = connection.disconnect().await;
        }
    }
}
