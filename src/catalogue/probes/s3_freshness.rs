//! `aws.s3.freshness`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::freshness::{self, FreshnessExpect, Watermark};
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::world::World;

/// Looks how old the newest object under a prefix of an S3 bucket is. The value is its age, `{ age_ms }`.
/// Unknown when the bucket cannot be read, and when nothing was ever seen there; then the value is how old it is at most, `{ age_at_most_ms }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Freshness {
    /// The bucket.
    bucket: String,
    /// What the keys begin with; everything in the bucket unless written.
    #[serde(default)]
    prefix: String,
    /// How long a look may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What is good.
    expect: FreshnessExpect,
    #[serde(skip)]
    #[schemars(skip)]
    seen: Watermark,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for S3Freshness {
    const KIND: &'static str = "aws.s3.freshness";
    const EXAMPLE: &'static str = r#"{ bucket: "${{ vars.mirror_bucket }}", prefix: "${{ vars.orders_prefix }}", expect: { max_age: 3s } }"#;
    const CALLS: &'static [&'static str] = &["s3:ListObjectsV2"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        freshness::longest(self.timeout)
    }

    async fn sample(&self, world: &World) -> Sample {
        freshness::sample(world.objects(Cloud::Aws), &self.bucket, &self.prefix, self.expect, self.timeout, &self.seen).await
    }
}
