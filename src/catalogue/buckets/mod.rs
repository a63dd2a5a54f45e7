//! Objects on two sides: where they are, what one side lacks, how old they are. Shared by the probes and by `objects.reconcile`.

pub(crate) mod blind;
pub(crate) mod compare;
pub(crate) mod lag;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::ports::objects::ObjectStore;
use crate::ports::{Cloud, CloudError, Kind};
use crate::world::World;

/// Objects in a bucket.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BucketPath {
    /// Whose store: `aws` (S3) or `aliyun` (OSS).
    pub(crate) store: Cloud,
    /// The bucket.
    pub(crate) bucket: String,
    /// What the keys begin with; everything in the bucket unless written.
    #[serde(default)]
    pub(crate) prefix: String,
}

impl BucketPath {
    pub(crate) fn objects<'a>(&self, world: &'a World) -> Result<&'a dyn ObjectStore, CloudError> {
        world.objects(self.store)
    }
}

impl std::fmt::Display for BucketPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match self.store {
            Cloud::Aws => "s3",
            Cloud::Aliyun => "oss",
        };
        write!(f, "{scheme}://{}/{}", self.bucket, self.prefix)
    }
}

/// An error as a probe's detail.
pub(crate) fn detail(error: &CloudError) -> String {
    if error.kind == Kind::Gated { error.message.clone() } else { error.to_string() }
}
