//! Weighted DNS records, whichever provider serves the zone.

use serde::{Deserialize, Serialize};

use super::PortFuture;

/// One weighted answer of a name: a Route 53 record set, or one Alidns record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedRecord {
    /// The side it leads to: Route 53 SetIdentifier, Alidns remark. Several Alidns records may share a label.
    pub label: String,
    /// The provider's id of the record, where it has one (Alidns RecordId).
    pub id: String,
    /// Relative weight. Route 53: 0 to 255. Alidns: 1 to 100.
    pub weight: u32,
    /// Whether the record is answered at all. Always true on Route 53; Alidns drains a side by disabling its records.
    pub enabled: bool,
    /// Addresses.
    pub values: Vec<String>,
    /// Seconds.
    pub ttl: u32,
    /// The health check that takes it out of the answers, where it has one (Route 53). Never changed; here so that a difference shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
}

/// A change on its way to the name servers; empty when the provider tells nothing of its progress, or nothing had to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeId(pub String);

/// Weighted A records of one provider. `zone` and `name` as the user writes them (`example.com.`, `shop`); the name is relative to the zone.
pub trait Dns: Send + Sync {
    /// All weighted records of a name, ordered by label, then id.
    fn weights<'a>(&'a self, zone: &'a str, name: &'a str) -> PortFuture<'a, Vec<WeightedRecord>>;

    /// Makes weight and `enabled` of exactly these records as given (one atomic batch where the provider has one). Records already so are left alone.
    /// The caller has read them with [`Dns::weights`]; values and TTL are not changed.
    fn set_weights<'a>(&'a self, zone: &'a str, name: &'a str, records: &'a [WeightedRecord]) -> PortFuture<'a, ChangeId>;

    /// Whether every authoritative server answers the change, as far as the provider tells.
    fn in_sync<'a>(&'a self, change: &'a ChangeId) -> PortFuture<'a, bool>;

    /// The host names of the servers that answer for the zone.
    fn name_servers<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Vec<String>>;

    /// How a share of the traffic is written: the `(weight, enabled)` that mean `percent` (0 to 100) with this provider, given the record as it is.
    fn share(&self, percent: u32, record: &WeightedRecord) -> (u32, bool);

    /// The calls a weight change makes, for the plan: `(operation, mutating)`.
    fn calls(&self) -> Vec<(&'static str, bool)>;
}
