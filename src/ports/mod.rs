//! What Lifeboat needs of a cloud, in its own words: small traits, their vocabulary, and the one error every cloud speaks.

pub mod calls;
pub mod compute;
pub mod dns;
pub mod error;
pub mod gate;
pub mod objects;
pub mod store;
pub mod sync;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use error::{CloudError, Kind};

/// Boxed because ports are always used as trait objects; called a few times a second at most.
pub type PortFuture<'a, T> = futures_util::future::BoxFuture<'a, Result<T, CloudError>>;

/// One of the two clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Alibaba Cloud.
    Aliyun,
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aws => "aws",
            Self::Aliyun => "aliyun",
        })
    }
}
