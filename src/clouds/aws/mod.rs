//! AWS through the official SDK, behind the ports and a few calls of its own.
//!
//! In reading order: [`config`] (how to reach an account), `credentials` (with which key), `call` (what every request has in common: the gate, deadlines, retries, the
//! journal's record of each attempt), `error` (what an answer means), then one file for each thing Lifeboat touches, named as on Alibaba Cloud: `account` (STS), `compute`, `images`, `network` and
//! `tags` (EC2), `dns` (Route 53), `metrics` (CloudWatch), `objects` (S3).

mod account;
mod call;
mod compute;
mod config;
mod credentials;
mod dns;
mod error;
mod images;
mod made_up;
mod metrics;
mod network;
mod objects;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::ports::dns::Zone;
use crate::ports::gate::Gate;
use crate::ports::pace::Pace;

pub use config::{Settings, StaticKeys};
pub use network::{Interface, Route, RouteState, RouteTarget};

/// By service, every address that is named in the place of AWS's own, by `settings` or by what the SDK reads; asks nobody.
pub async fn endpoints(settings: &Settings) -> BTreeMap<String, String> {
    config::endpoints(settings).await
}

/// A client of one AWS account. Clones share connections; two [`Aws::connect`] share nothing, so probes take their own.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
    region: String,
}

struct Shared {
    cloudwatch: aws_sdk_cloudwatch::Client,
    ec2: aws_sdk_ec2::Client,
    route53: aws_sdk_route53::Client,
    s3: aws_sdk_s3::Client,
    sts: aws_sdk_sts::Client,
    account: Option<String>,
    gate: Gate,
    timeout: Duration,
    /// The most attempts of one call.
    attempts: u32,
    /// Where credentials come from, in words, for whoever finds none there.
    source: Arc<str>,
    /// The address that stands in place of the vendor's.
    endpoint: Option<Arc<str>>,
    keys: Arc<credentials::Keys>,
    /// How fast the account may be asked, for everything that this client does.
    pace: Arc<Pace>,
    /// Zones that were looked up, by what they were called; a zone keeps its id.
    zones: Mutex<BTreeMap<String, Zone>>,
    /// Held while a change of a zone is sent: Route 53 works on one at a time and refuses the next.
    changing: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Aws {
    /// A client with its own connections and credentials. Sends nothing yet: what is wrong with the settings
    /// (no such profile, an address that is not one) is said by the first call.
    pub async fn connect(settings: Settings) -> Self {
        config::connect(settings).await
    }

    /// A client whose answers are made up on the spot instead of sent for, for fuzzing; `None` is a connection that broke. Nothing is sent twice.
    #[doc(hidden)]
    pub async fn answered(settings: Settings, answers: impl Fn() -> Option<http::Response<bytes::Bytes>> + Send + Sync + 'static) -> Self {
        config::assemble(settings, made_up::client(answers), 1).await
    }

    /// The same client speaking to another region. Route 53 has no regions and is unaffected.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), region: region.to_owned() }
    }

    /// The region that calls go to.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The SDK's clients hold credentials; nothing of them belongs in a log.
        f.debug_struct("Aws").field("region", &self.region).field("account", &self.shared.account).finish_non_exhaustive()
    }
}
