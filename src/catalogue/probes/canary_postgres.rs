//! `canary.postgres`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::canary::table::{query, removal, seconds_as_time, usual};
use crate::catalogue::canary::{Canary, CanaryExpect, Markers, Numbers};
use crate::catalogue::servers::postgres::{PostgresServer, cell, cells};
use crate::catalogue::servers::table::Table;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::{Span, Timestamp};
use crate::world::World;

/// Writes a numbered row to a PostgreSQL server each time and looks which ones its replica has: what a failover would lose, in committed time and in rows.
/// Good when the replica is close enough behind.
///
/// The table has to be there: `create table lifeboat_canary (series text not null, number bigint not null)`, without a key, so that rows that come twice are
/// seen. Rows that have long arrived are removed; the last hundred stay. The value
/// is `{ lag_ms, acknowledged, in_doubt, missing, gaps, doubled, late, source_read, mirror_read }`.
/// Unknown while one side cannot be asked; then the lag is between `lag_at_least_ms` and `lag_at_most_ms`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryPostgres {
    /// Where rows are written.
    source: PostgresServer,
    /// Where they are replicated to.
    survivor: PostgresServer,
    /// The table, with its schema if it needs one; `lifeboat_canary` unless written.
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

impl Probe<World> for CanaryPostgres {
    const KIND: &'static str = "canary.postgres";
    const EXAMPLE: &'static str = r#"
        source: { address: "db.hz.example.cn:5432", user: canary, password: { secret: "env:DB_PASSWORD" }, database: ops }
        survivor: { address: "db.us.example.com:5432", user: canary, password: { secret: "env:DB_PASSWORD" }, database: ops }
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

impl Markers for CanaryPostgres {
    async fn write(&self, world: &World, series: &str, number: u64) -> Result<Timestamp, String> {
        let client = self.source.connect(world).await?;
        // Committed by itself; the clock is read as the row is written, so a little before that.
        let query = format!("insert into {} (series, number) values ('{series}', {number}) returning extract(epoch from clock_timestamp())", self.table);
        seconds_as_time(cell(&client, &query).await?)
    }

    async fn read(&self, world: &World, series: &str, numbers: Numbers) -> Result<Vec<u64>, String> {
        let client = self.survivor.connect(world).await?;
        let found = cells(&client, &query(&self.table, series, numbers)).await?;
        Ok(found.into_iter().flatten().filter_map(|number| number.parse().ok()).collect())
    }

    async fn forget(&self, world: &World, series: &str, number: u64) {
        if let Ok(client) = self.source.connect(world).await {
            let _ = cell(&client, &removal(&self.table, series, number)).await;
        }
    }
}
