//! `canary.objects`.

use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::canary::{Canary, CanaryExpect, Markers, Numbers};
use crate::catalogue::buckets::{BucketPath, detail};
use crate::engine::clock::wall;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::{Span, Timestamp};
use crate::world::World;

/// Writes a numbered object to a bucket each time and looks which ones its mirror has: what a failover would lose, in committed time and in objects. Good
/// when the mirror is close enough behind.
///
/// The objects are `PREFIX` + `SERIES/NUMBER`, a number a line; an object is committed when the store has said so, by this machine's clock. Those that have long
/// arrived are removed from the source; the last hundred stay, and in the mirror all if it keeps what the source removes: let the prefix expire there. The
/// value is `{ lag_ms, acknowledged, in_doubt, missing, gaps, doubled, late, source_read, mirror_read }`; objects are never doubled.
/// Unknown while one side cannot be asked; then the lag is between `lag_at_least_ms` and `lag_at_most_ms`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryObjects {
    /// Where objects are written; the prefix should be the canary's own.
    source: BucketPath,
    /// Where they are copied to.
    mirror: BucketPath,
    /// How long writing and how long reading may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What is good.
    expect: CanaryExpect,
    #[serde(skip)]
    #[schemars(skip)]
    canary: Canary,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for CanaryObjects {
    const KIND: &'static str = "canary.objects";
    const EXAMPLE: &'static str = r#"
        source: { store: aliyun, bucket: "${{ vars.orders_bucket }}", prefix: canaries/ }
        mirror: { store: aws, bucket: "${{ vars.mirror_bucket }}", prefix: canaries/ }
        expect: { max_lag: 10s }
    "#;
    const CALLS: &'static [&'static str] =
        &["s3:PutObject", "s3:ListObjectsV2", "s3:DeleteObject", "oss:PutObject", "oss:ListObjectsV2", "oss:DeleteObject"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        Canary::longest(self.timeout)
    }

    async fn sample(&self, world: &World) -> Sample {
        self.canary.sample(world, self, self.expect, self.timeout.duration()).await
    }
}

/// Keys sort as their numbers do.
fn key(place: &BucketPath, series: &str, number: u64) -> String {
    format!("{}{series}/{number:012}", place.prefix)
}

impl Markers for CanaryObjects {
    async fn write(&self, world: &World, series: &str, number: u64) -> Result<Timestamp, String> {
        let store = self.source.objects(world).map_err(|error| detail(&error))?;
        let body = Bytes::from(format!("{number}\n"));
        store.put(&self.source.bucket, &key(&self.source, series, number), body).await.map_err(|error| detail(&error))?;
        Ok(wall())
    }

    async fn read(&self, world: &World, series: &str, numbers: Numbers) -> Result<Vec<u64>, String> {
        let store = self.mirror.objects(world).map_err(|error| detail(&error))?;
        let prefix = format!("{}{series}/", self.mirror.prefix);
        let listed = store.list(&self.mirror.bucket, &prefix, &key(&self.mirror, series, numbers.after)).await.map_err(|error| detail(&error))?;
        Ok(listed.iter().filter_map(|object| object.key.strip_prefix(&prefix)?.parse().ok()).collect())
    }

    async fn forget(&self, world: &World, series: &str, number: u64) {
        if let Ok(store) = self.source.objects(world) {
            let _ = store.delete(&self.source.bucket, &key(&self.source, series, number)).await;
        }
    }
}
