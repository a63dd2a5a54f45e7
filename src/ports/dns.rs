//! Weighted DNS records, whichever provider serves the zone. Names are in the form of [`canonical`](crate::model::domain::canonical).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::PortFuture;

/// A zone as its provider knows it. Kept with a change, so that undo needs no look-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// What calls name it by: Route 53's hosted zone id, Alidns's domain name as it is written there.
    pub id: String,
    /// Its canonical name.
    pub name: String,
    /// Whether only networks of the account resolve it (Route 53).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

/// Which names are looked up.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// These, by their canonical names.
    These(&'a [String]),
    /// Every name of the zone.
    All,
}

/// What leads somewhere under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRecords {
    /// The canonical name.
    pub name: String,
    /// What can be weighed, ordered by type, line, label, id.
    pub records: Vec<WeightedRecord>,
    /// Lines of the name that a step leaves alone: who asks the name servers from here may get the answer of one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines_left: Vec<String>,
    /// Addresses and aliases of the name that go by something else than weights.
    #[serde(skip)]
    pub others: Vec<OtherRecord>,
    /// Set where the zone hands the name to other servers: then its records here are not answered.
    #[serde(skip)]
    pub delegation: Option<Delegation>,
}

/// One weighted answer of a name: a Route 53 record set, or one Alidns record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedRecord {
    /// Its type, such as `A`.
    pub kind: String,
    /// Alidns: the line whose clients get it, `default` for everybody else's. Empty on Route 53. Each type and line is a set of weights of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub line: String,
    /// Route 53 SetIdentifier, Alidns remark; may be empty there, and several records may share one.
    pub label: String,
    /// The provider's id of the record, where it has one (Alidns RecordId).
    pub id: String,
    /// Relative weight. Route 53: 0 to 255. Alidns: 1 to 100.
    pub weight: u32,
    /// Whether the record is answered at all. Always true on Route 53; Alidns drains a side by disabling its records.
    pub enabled: bool,
    /// Whether weights count for its set: always on Route 53; switched for each name, type and line on Alidns. Without, enabled records share evenly.
    pub weighted: bool,
    /// Addresses, or the name of a CNAME; empty for an alias.
    pub values: Vec<String>,
    /// What an alias stands for (Route 53).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Seconds; of an alias to a load balancer the 60 that AWS documents for it.
    pub ttl: u32,
    /// The health check that takes it out of the answers, where it has one (Route 53). Never changed; here so that a difference shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<String>,
    /// Whether the provider refuses to change it (Alidns).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
}

impl NameRecords {
    /// The same name with other records.
    #[must_use]
    pub fn with(&self, records: Vec<WeightedRecord>) -> Self {
        Self { name: self.name.clone(), records, lines_left: self.lines_left.clone(), others: Vec::new(), delegation: None }
    }
}

impl WeightedRecord {
    /// The set in which its weight counts: type and line.
    #[must_use]
    pub fn set(&self) -> (&str, &str) {
        (&self.kind, &self.line)
    }

    /// What it is recognised by inside its set: its label and, where several share one, its id.
    #[must_use]
    pub fn key(&self) -> (&str, &str, &str, &str) {
        (&self.kind, &self.line, &self.label, &self.id)
    }

    /// How much of its set's traffic it draws, relative to the others.
    #[must_use]
    pub const fn effect(&self) -> u32 {
        match (self.enabled, self.weighted) {
            (false, _) => 0,
            (true, true) => self.weight,
            (true, false) => 1,
        }
    }

    /// Whether weight, status and switch are those of `other`.
    #[must_use]
    pub fn stands_as(&self, other: &Self) -> bool {
        (self.weight, self.enabled, self.weighted) == (other.weight, other.enabled, other.weighted)
    }
}

/// The records of names, by what each is called: a zone has thousands of names, and each is looked up.
#[derive(Debug)]
pub struct ByName<'a>(HashMap<&'a str, &'a [WeightedRecord]>);

impl<'a> ByName<'a> {
    /// Of these names.
    #[must_use]
    pub fn of(names: &'a [NameRecords]) -> Self {
        Self(names.iter().map(|name| (name.name.as_str(), name.records.as_slice())).collect())
    }

    /// Those of a name; none if it is not among the names.
    #[must_use]
    pub fn records(&self, name: &str) -> &'a [WeightedRecord] {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The record of a name that is recognised by the same as `record`.
    #[must_use]
    pub fn record(&self, name: &str, record: &WeightedRecord) -> Option<&'a WeightedRecord> {
        self.records(name).iter().find(|other| other.key() == record.key())
    }
}

/// A record that a name has beside its weighted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherRecord {
    /// Its type, such as `AAAA`.
    pub kind: String,
    /// How it is chosen, in the provider's word: `simple`, `failover`, `latency`…
    pub policy: &'static str,
    /// Its label, if it has one.
    pub label: String,
}

/// Where a zone ends before the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The name that is handed on: the name itself, or one above it.
    pub at: String,
    /// The servers that answer from there on.
    pub to: Vec<String>,
}

/// A change on its way to the name servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeId(pub String);

/// Weighted records of one provider.
pub trait Dns: Send + Sync {
    /// The zone that is called `zone`, by its name in any way of writing or by the provider's id.
    fn zone<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Zone>;

    /// What the names lead to, in one look-up, ordered by name. Those that were asked for by name all come back, if need be without any record.
    fn names<'a>(&'a self, zone: &'a Zone, names: Names<'a>) -> PortFuture<'a, Vec<NameRecords>>;

    /// Makes weight, `enabled` and `weighted` of exactly these records as given, in as few calls as the provider allows. Records already so are left
    /// alone. The caller has read them with [`Dns::names`]; values and TTL are not changed. What is on its way then; empty when nothing had to be
    /// changed, or when the provider tells nothing of its progress.
    fn change<'a>(&'a self, zone: &'a Zone, names: &'a [NameRecords]) -> PortFuture<'a, Vec<ChangeId>>;

    /// Whether every authoritative server answers the change, as far as the provider tells.
    fn in_sync<'a>(&'a self, change: &'a ChangeId) -> PortFuture<'a, bool>;

    /// The host names of the servers that answer for the zone; none where nobody outside can ask them.
    fn name_servers<'a>(&'a self, zone: &'a Zone) -> PortFuture<'a, Vec<String>>;

    /// The heaviest weight there is.
    fn heaviest(&self) -> u32;

    /// A record as it is with this weight; 0 = no traffic.
    fn weighed(&self, record: &WeightedRecord, weight: u32) -> WeightedRecord;

    /// Whether weights can be switched on for records of this type.
    fn can_weigh(&self, kind: &str) -> bool;

    /// Whether a set without any traffic is answered all the same: Route 53 takes all of them when every weight is 0.
    fn answers_zero(&self) -> bool;

    /// The calls that only read, for the plan.
    fn reads(&self) -> Vec<&'static str>;

    /// The calls that [`Dns::change`] would make to lead from `now` to `wanted`: operation and what about.
    fn changes(&self, zone: &Zone, now: &[NameRecords], wanted: &[NameRecords]) -> Vec<(&'static str, String)>;
}
