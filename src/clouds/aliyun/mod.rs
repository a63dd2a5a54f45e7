//! Alibaba Cloud through a thin client of our own, behind the ports and a few calls of its own.
//!
//! In reading order: [`config`](Settings) and `endpoint` (where an account is reached), `credentials` (with which key), `sign` (ACS3 and
//! OSS V4), `call` (what every request has in common: the gate, deadlines, retries, the journal's record of each attempt), `error` (what an
//! answer means), `rpc` (the products' common form), then one file for each thing Lifeboat touches, named as on AWS: `account` (STS), `compute`, `groups` and `images` (ECS), `dns` (Alidns),
//! `metrics` (CloudMonitor), `network` (VPC), `objects` (OSS), `sync` (DTS), `tags` (of three products).

mod account;
mod call;
mod compute;
mod config;
mod credentials;
mod dns;
mod endpoint;
mod error;
mod groups;
mod images;
mod metrics;
mod network;
mod objects;
mod rpc;
mod sign;
mod sync;
mod tags;
mod xml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::dns::Zone;
use crate::ports::gate::Gate;
use crate::ports::pace::Pace;

pub use config::{Settings, StaticKeys};
pub use network::{AclEntry, AclName, NetworkAcl, Policy, Protocol, VSwitch};

/// A client of one Alibaba Cloud account. Clones share connections; two [`Aliyun::connect`] share nothing, so probes take their own.
#[derive(Clone)]
pub struct Aliyun {
    shared: Arc<Shared>,
    region: String,
}

struct Shared {
    transport: call::Transport,
    endpoints: endpoint::Endpoints,
    credentials: credentials::Chain,
    account: Option<String>,
    gate: Gate,
    timeout: Duration,
    /// How many milliseconds the services' clocks are ahead of this machine's, once one of them has refused a request for it.
    skew_ms: AtomicI64,
    /// How fast the account may be asked, for everything that this client does.
    pace: Pace,
    /// Domains that were looked up, by what they were called.
    zones: Mutex<BTreeMap<String, Zone>>,
}

impl Aliyun {
    /// A client with its own connections. Sends nothing yet: what is wrong with the settings (no such profile, an address that is not one)
    /// is said by the first call.
    #[must_use]
    pub fn connect(settings: Settings) -> Self {
        config::connect(settings)
    }

    /// A client whose answers are made up on the spot instead of sent for, for fuzzing; `None` is a connection that broke.
    #[doc(hidden)]
    #[must_use]
    pub fn answered(settings: Settings, answers: impl Fn() -> Option<http::Response<bytes::Bytes>> + Send + Sync + 'static) -> Self {
        config::assemble(settings, call::Transport::MadeUp(Box::new(answers)))
    }

    /// The same client speaking to another region. Alidns has no regions and is unaffected.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), region: region.to_owned() }
    }

    /// The time by which requests are signed: the services'.
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.shared.skew_ms.load(Ordering::Relaxed))
    }

    /// Whether networks are asked at an address on this machine, as the lab's are: whatever is there, this process does not run in it.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        self.shared.endpoints.is_on_this_machine("vpc")
    }

    /// The region that calls go to.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }
}

impl fmt::Debug for Aliyun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Credentials are inside; nothing of them belongs in a log.
        f.debug_struct("Aliyun").field("region", &self.region).field("account", &self.shared.account).finish_non_exhaustive()
    }
}
