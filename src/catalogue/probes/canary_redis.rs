//! `canary.redis`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::canary::{Canary, CanaryExpect, Markers, Numbers};
use crate::catalogue::expect::Unmet;
use crate::catalogue::servers::redis::{RedisServer, command};
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::{Span, Timestamp};
use crate::world::World;

/// Writes a numbered key to a Redis server each time and looks which ones its copy elsewhere has: what a failover would lose, in committed time and in
/// keys. Good when the copy is close enough behind.
///
/// The keys are `PREFIX:SERIES:NUMBER`; they expire after an hour, or are removed once they have long arrived. The value is
/// `{ lag_ms, acknowledged, in_doubt, missing, gaps, doubled, late, source_read, mirror_read }`.
/// Unknown while one side cannot be asked; then the lag is between `lag_at_least_ms` and `lag_at_most_ms`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryRedis {
    /// Where keys are written.
    source: RedisServer,
    /// Where they are copied to.
    survivor: RedisServer,
    /// What the keys begin with; `lifeboat:canary` unless written.
    #[serde(default = "prefix")]
    prefix: String,
    /// How long writing and how long reading may take; 1s unless written.
    #[serde(default = "one_second")]
    timeout: Span,
    /// What is good.
    expect: CanaryExpect,
    #[serde(skip)]
    #[schemars(skip)]
    canary: Canary,
}

fn prefix() -> String {
    "lifeboat:canary".to_owned()
}

const fn one_second() -> Span {
    Span::from_secs(1)
}

/// How long a key that nobody removes stays.
const EXPIRES: &str = "3600";

impl Probe<World> for CanaryRedis {
    const KIND: &'static str = "canary.redis";
    const EXAMPLE: &'static str = r#"
        source: { address: "cache.hz.example.cn:6379", password: { secret: "env:CACHE_PASSWORD" } }
        survivor: { address: "cache.us.example.com:6379", password: { secret: "env:CACHE_PASSWORD" } }
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

impl CanaryRedis {
    fn key(&self, series: &str, number: u64) -> String {
        format!("{}:{series}:{number}", self.prefix)
    }
}

impl Markers for CanaryRedis {
    async fn write(&self, world: &World, series: &str, number: u64) -> Result<Timestamp, String> {
        let mut server = self.source.connect(world).await?;
        let mut commands = redis::pipe();
        commands.atomic().cmd("SET").arg(self.key(series, number)).arg(number).arg("EX").arg(EXPIRES).ignore().cmd("TIME");
        let ((seconds, micros),): ((i64, i64),) = commands.query_async(&mut server).await.map_err(|error| crate::world::connect::chain(&error))?;
        Ok(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1000))))
    }

    async fn read(&self, world: &World, series: &str, numbers: Numbers) -> Result<Vec<u64>, String> {
        let mut server = self.survivor.connect(world).await?;
        if numbers.after >= numbers.last {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = (numbers.after + 1..=numbers.last).map(|number| self.key(series, number)).collect();
        let found: Vec<Option<u64>> = command(&mut server, redis::cmd("MGET").arg(keys)).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn forget(&self, world: &World, series: &str, number: u64) {
        if let Ok(mut server) = self.source.connect(world).await {
            let _: Result<(), Unmet> = command(&mut server, redis::cmd("DEL").arg(self.key(series, number))).await;
        }
    }
}
