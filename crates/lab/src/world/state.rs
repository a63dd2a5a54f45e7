//! The things that exist. Fields named `*_view` or `effective_*` are what the data plane sees; the others are what the APIs say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

pub use lifeboat_notation::cloud::Cloud;
use lifeboat_notation::time::Timestamp;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calls::Calls;
use super::file::{Orders, RateLimit, Timing};
use super::monitoring::Monitoring;
pub use super::region::Regions;
use super::transition::Queue;
use super::truth::Truth;
use crate::data::metrics::History;

/// Everything behind the lock.
#[derive(Debug, Clone)]
pub struct State {
    /// The moment of the call that holds the lock.
    pub now: Timestamp,
    /// The source of randomness of everything the APIs decide (ids, tokens).
    pub rng: Dice,
    /// Chooses DNS answers; apart from `rng`, so that queries do not change which ids the APIs make.
    pub dns_rng: Dice,
    /// What the run was seeded with.
    pub seed: u64,
    /// N of the lab's loopback prefix 127.N.0.0/16.
    pub prefix: u8,
    /// Where simulated customers come from, in the eyes of ACLs and security groups.
    pub client: Ipv4Addr,
    /// Where orders are kept and copied; `None` = there are none.
    pub orders: Option<Orders>,
    pub timing: Timing,
    /// The delays' divisor (`--time-scale`).
    pub scale: f64,
    pub accounts: Accounts,
    pub regions: Regions,
    /// By cloud, the region of the call in hand; see [`State::here`].
    pub(super) here: [String; 2],
    pub queue: Queue,
    pub truth: Truth,
    pub calls: Calls,

    /// VPCs, subnets and vSwitches, route tables, network ACLs, security groups, interfaces of both clouds, by id.
    pub vpcs: BTreeMap<String, Vpc>,
    pub subnets: BTreeMap<String, Subnet>,
    pub route_tables: BTreeMap<String, RouteTable>,
    pub acls: BTreeMap<String, NetworkAcl>,
    /// By subnet: the ACL with its entries as the data plane applies it; nothing for a subnet that none is applied to.
    pub applied_acls: BTreeMap<String, NetworkAcl>,
    pub security_groups: BTreeMap<String, SecurityGroup>,
    pub interfaces: BTreeMap<String, Interface>,
    pub instances: BTreeMap<String, Instance>,
    pub images: BTreeMap<String, Image>,

    /// Route 53 hosted zones and Alidns domains, in the order of the world file (the first Route 53 zone holds the weighted records).
    pub zones: Vec<Zone>,
    /// Route 53 changes by id, without the `/change/` prefix.
    pub changes: BTreeMap<String, Change>,
    /// What the authoritative name servers answer now; follows `zones` after the propagation delay.
    pub dns_view: BTreeMap<RecordKey, Vec<ServedRecord>>,

    pub buckets: BTreeMap<String, Bucket>,
    /// Objects that are put in parts and not whole yet, by upload id.
    pub uploads: BTreeMap<String, Upload>,
    /// DTS synchronisation jobs by job id.
    pub jobs: BTreeMap<String, SyncJob>,
    /// Tags of the things that do not hold their own, by id; see [`State::tags_of`]. A DTS job is tagged as its DTS instance.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Client-facing services, by name, as the world file lists them; `up` is the ground truth.
    pub services: BTreeMap<String, Service>,

    /// The vendors' request-rate limits, as the world file lists them.
    pub limits: Vec<RateLimit>,
    /// Token buckets by `cloud/service/action` (see `services::throttle`).
    pub throttles: BTreeMap<String, TokenBucket>,
    /// ClientToken replays: token -> the answer given before.
    pub tokens: BTreeMap<String, String>,
    pub counters: Counters,
    /// What monitoring saw in the last minutes; written by a task of the lab.
    pub(crate) history: Arc<History>,
    /// Numbers that were put, and alarms.
    pub(crate) monitoring: Monitoring,
    /// Counts up; makes ids unique within a run of the lab.
    pub serial: u64,
}

/// A seeded generator. What is cloned from it begins anew: nobody draws the same from both, as copies of a world are only read.
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    rng: StdRng,
}

impl Dice {
    /// Equal seeds draw equally.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: StdRng::seed_from_u64(seed) }
    }
}

impl Clone for Dice {
    fn clone(&self) -> Self {
        Self::new(self.seed)
    }
}

impl Deref for Dice {
    type Target = StdRng;

    fn deref(&self) -> &StdRng {
        &self.rng
    }
}

impl DerefMut for Dice {
    fn deref_mut(&mut self) -> &mut StdRng {
        &mut self.rng
    }
}

/// The accounts and the key pair that every vendor endpoint accepts, as well as the next one ([`Accounts::next_key`]).
#[derive(Debug, Clone)]
pub struct Accounts {
    pub aws: String,
    pub aliyun: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl Accounts {
    /// The key pair to which a client may go over when the present one counts as expired.
    #[must_use]
    pub fn next_key(&self) -> (String, String) {
        (format!("{}N", self.access_key_id), format!("{}-next", self.secret_access_key))
    }

    /// The pair that a request claims to be signed with, by its access key id somewhere in `claim`; the present one when it claims another.
    #[must_use]
    pub fn key(&self, claim: &str) -> (String, String) {
        let next = self.next_key();
        if claim.contains(&next.0) { next } else { (self.access_key_id.clone(), self.secret_access_key.clone()) }
    }
}

/// A VPC.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// `vpc-…`.
    pub id: String,
    /// The cloud.
    pub cloud: Cloud,
    /// Its addresses, such as `10.0.0.0/16`.
    pub cidr: String,
    /// Its region; without it the cloud's first.
    #[serde(default)]
    pub region: String,
}

/// A subnet (AWS) or vSwitch (Alibaba).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subnet {
    pub id: String,
    pub cloud: Cloud,
    pub name: String,
    pub vpc: String,
    pub cidr: String,
    pub zone: String,
    /// The route table it is associated with; the VPC's main one when none.
    pub route_table: Option<String>,
    /// The ACL that is associated: on AWS always one (the VPC's default when none of its own); on Alibaba there may be none.
    pub acl: Option<String>,
    /// AWS only: the id of the association, new at every swap.
    pub acl_association: Option<String>,
    /// Alibaba only: the IPv6 block, where IPv6 is switched on.
    pub ipv6: Option<String>,
    /// What the data plane applies; follows `acl` after the propagation delay.
    pub effective_acl: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteTable {
    pub id: String,
    pub cloud: Cloud,
    pub vpc: String,
    pub main: bool,
    pub routes: Vec<Route>,
    /// What the data plane applies; follows `routes` after the propagation delay.
    pub effective_routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Alibaba's RouteEntryId, new at every creation; empty on AWS.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The addresses that it is for.
    pub destination: String,
    /// Where it leads.
    pub target: RouteTarget,
    /// AWS Origin (`CreateRouteTable`, `CreateRoute`) or Alibaba Type (`System`, `Custom`).
    pub origin: String,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum RouteTarget {
    /// Inside of the VPC.
    Local,
    /// An internet gateway.
    Gateway(String),
    /// A network interface.
    Interface(String),
    /// An instance.
    Instance(String),
    /// A peering connection.
    Peering(String),
}

/// A network ACL.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkAcl {
    /// `acl-…` or `nacl-…`.
    pub id: String,
    /// The cloud.
    pub cloud: Cloud,
    /// Its VPC.
    pub vpc: String,
    /// AWS: whether it is the one of subnets that have none of their own.
    #[serde(default)]
    pub default: bool,
    /// What may come in.
    pub ingress: Vec<AclEntry>,
    /// What may go out.
    pub egress: Vec<AclEntry>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Its name, on Alibaba.
    #[serde(default)]
    pub name: String,
}

/// An entry of a network ACL: the matching one with the lowest number decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AclEntry {
    /// AWS rule number; position on Alibaba.
    pub number: u32,
    /// Whether what matches passes.
    pub allow: bool,
    /// AWS protocol number (`-1` = all) or Alibaba name (`all`, `tcp`).
    pub protocol: String,
    /// The other side's addresses.
    pub cidr: String,
    /// `80-90` on AWS, `80/90` on Alibaba; nothing or `-1/-1` = all.
    #[serde(default)]
    pub port: String,
    /// Its name, on Alibaba.
    #[serde(default)]
    pub name: String,
}

/// A security group.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// The cloud.
    pub cloud: Cloud,
    /// Its VPC.
    pub vpc: String,
    /// Its name.
    pub name: String,
    /// What may come in; answers go out.
    pub ingress: Vec<SecurityRule>,
    /// What may go out.
    #[serde(default)]
    pub egress: Vec<SecurityRule>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityRule {
    /// `sgr-…`.
    pub id: String,
    /// `tcp`, or `-1` for all.
    pub protocol: String,
    /// The first port; -1 = all.
    pub from_port: i32,
    /// The last port.
    pub to_port: i32,
    /// The other side's addresses.
    pub cidr: String,
}

/// A network interface; `instance` is empty for an unattached one (a route to it is a blackhole).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// `eni-…`.
    pub id: String,
    /// The cloud.
    pub cloud: Cloud,
    /// Its subnet.
    pub subnet: String,
    /// The instance that it is attached to.
    #[serde(default)]
    pub instance: Option<String>,
}

/// Life of an instance, in EC2's words; Alibaba's wire says `Stopped`, `Starting`, `Running`, `Stopping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It stops.
    Stopping,
    /// It does not run.
    Stopped,
    /// It is gone.
    Terminated,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    pub cloud: Cloud,
    pub name: String,
    pub subnet: String,
    pub image: String,
    pub instance_type: String,
    pub private_ip: Ipv4Addr,
    /// The loopback address on which its HTTP server listens: the fixed public address that DNS names.
    pub address: Ipv4Addr,
    pub tags: BTreeMap<String, String>,
    pub security_groups: Vec<String>,
    pub state: InstanceState,
    /// When the status checks turn to `ok` (AWS) or the guest answers; `None` unless running or pending.
    pub healthy_at: Option<Timestamp>,
    pub launched_at: Timestamp,
    /// The service it serves: `storefront`, `checkout` or `orders-db`.
    pub service: String,
    /// The address its service needs through the VPC's routes (checkout's database), if any.
    pub needs: Option<Ipv4Addr>,
    /// How often it was started; seeds the jitter of its boots.
    pub boots: u64,
    /// Whether its public address is an Elastic IP, which stays with it.
    pub elastic: bool,
    /// Alibaba: stopped in economical mode, with its capacity and its public address given back.
    pub released: bool,
    /// AWS: launched so that it can hibernate.
    pub can_hibernate: bool,
    /// AWS: stopped with its memory on its disk.
    pub hibernated: bool,
    /// Cannot be stopped: AWS's `disableApiStop`, Alibaba's lock for security, which keeps it from starting too.
    pub protected: bool,
}

/// An image of a machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `ami-…` or `m-…`.
    pub id: String,
    /// The cloud.
    pub cloud: Cloud,
    /// Its name.
    pub name: String,
    /// Its region; without it the cloud's first.
    #[serde(default)]
    pub region: String,
    /// Account ids with launch permission (share permission on Alibaba).
    #[serde(default)]
    pub shared_with: BTreeSet<String>,
}

/// A Route 53 hosted zone or an Alidns domain.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Route 53: `Z…` without prefix. Alidns: DomainId.
    pub id: String,
    /// The cloud.
    pub cloud: Cloud,
    /// `example.com.` on Route 53, `example.cn` on Alidns: as the vendor writes it.
    pub name: String,
    /// Its records.
    pub records: Vec<Record>,
    /// Alidns: sub-domains and types (`shop.example.cn/A`) for which DNSSLB (weights) is switched on; see [`Zone::weighted_key`].
    #[serde(default)]
    pub weighted: BTreeSet<String>,
}

impl Zone {
    /// The key in [`Zone::weighted`]: `shop.example.cn/A`.
    #[must_use]
    pub fn weighted_key(sub_domain: &str, kind: &str) -> String {
        format!("{}/{}", sub_domain.to_ascii_lowercase(), kind.to_ascii_uppercase())
    }
}

/// A record set (Route 53) or one record (Alidns).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Alidns RecordId, made up where it is not written; empty on Route 53.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Full name as the vendor writes it (`shop.example.com.`; on Alidns the RR, `shop`).
    pub name: String,
    /// Its type, such as `A`, `AAAA`, `CNAME`, `MX` or `TXT`.
    pub kind: String,
    /// Seconds, 0 to 2147483647.
    pub ttl: u32,
    /// What is answered, as the vendor writes it. In an `A` record, an address of two numbers (`1.11`) is placed in the lab.
    pub values: Vec<String>,
    /// Route 53 SetIdentifier; Alidns remark.
    #[serde(default)]
    pub set_identifier: Option<String>,
    /// Its weight beside the others of its name: 0 to 255 on Route 53, 1 to 100 on Alidns.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Alidns Status; Route 53 records are always enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Route 53 HealthCheckId.
    #[serde(default)]
    pub health_check: Option<String>,
}

fn yes() -> bool {
    true
}

/// What is asked of the name servers: lower-case name without final dot, and type.
pub type RecordKey = (String, String);

/// One weighted answer of the authoritative servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedRecord {
    pub ttl: u32,
    pub values: Vec<String>,
    /// Relative weight; records with weight 0 are answered only when all are 0.
    pub weight: u32,
}

impl State {
    /// The account that things of `cloud` belong to.
    #[must_use]
    pub fn account(&self, cloud: Cloud) -> &str {
        match cloud {
            Cloud::Aws => &self.accounts.aws,
            Cloud::Aliyun => &self.accounts.aliyun,
        }
    }
}

/// A Route 53 change batch on its way.
#[derive(Debug, Clone)]
pub struct Change {
    pub submitted_at: Timestamp,
    pub in_sync: bool,
    pub comment: String,
}

#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    pub cloud: Cloud,
    pub region: String,
    pub created_at: Timestamp,
    pub objects: BTreeMap<String, Object>,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub body: bytes::Bytes,
    pub modified_at: Timestamp,
    /// Unquoted: lower-case hex MD5, or what stands in its place for an object that was put in parts.
    pub etag: String,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
}

/// An object that is put in parts.
#[derive(Debug, Clone)]
pub struct Upload {
    pub bucket: String,
    pub key: String,
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
    /// By number: MD5 and content.
    pub parts: BTreeMap<i32, (String, bytes::Bytes)>,
}

/// A DTS synchronisation job: rows of the order log go from one database to another. It knows nothing of objects; the shop's worker copies those of
/// the orders whose rows have arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncJob {
    pub id: String,
    pub instance: String,
    pub name: String,
    pub region: String,
    /// The vendor's word.
    pub status: String,
    /// Whether rows go over: still for a while after it was paused, not yet while it starts.
    pub moves: bool,
    pub source: Database,
    pub target: Database,
    /// Up to which source commit time everything was handed over.
    pub checkpoint: Timestamp,
}

/// One end of a [`SyncJob`], in the vendor's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The cloud.
    pub cloud: Cloud,
    /// `MYSQL`.
    pub engine: String,
    /// `RDS`, or `OTHER` for one that is reached by address.
    pub kind: String,
    /// Of an RDS instance.
    #[serde(default)]
    pub instance: String,
    /// Of any other.
    #[serde(default)]
    pub ip: String,
    #[serde(default)]
    pub port: String,
    /// The database's name.
    pub name: String,
}

/// A client-facing service and where it is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    /// The host name clients use, without final dot.
    pub host: String,
    pub port: u16,
    pub path: String,
    /// The ground truth as last recorded: would an ideal client, resolving at the authority at every request, be served?
    pub up: bool,
}

/// Tokens, refilled per second up to a size: the vendors' way to limit request rates.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    pub tokens: f64,
    pub size: f64,
    pub per_second: f64,
    pub filled_at: Timestamp,
}

/// What /metrics shows.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// (service, instance, outcome) -> requests of the simulated clients. Outcome: `ok`, `error`, `timeout`.
    pub requests: BTreeMap<(String, String, String), u64>,
    /// (cloud, service, action, code) -> API calls.
    pub api_calls: BTreeMap<(String, String, String, String), u64>,
    /// Orders taken so far; also the sequence number of the newest one.
    pub orders_written: u64,
    pub orders_copied: u64,
    /// Up to this one the rows of the order log are in the database on AWS too.
    pub rows_on_both: u64,
    /// Up to this one they were on both sides.
    pub orders_on_both: u64,
    /// Up to this one they are no longer in the buckets.
    pub orders_archived: u64,
    /// Commit time of the oldest order that is on one side only; `None` when both sides are equal.
    pub oldest_uncopied: Option<Timestamp>,
    /// service -> whether the latest request of its simulated clients was served.
    pub served: BTreeMap<String, bool>,
}

impl State {
    /// A vendor-looking id: `prefix` and 17 hex digits from the seeded generator.
    pub fn fresh_id(&mut self, prefix: &str) -> String {
        use rand::RngExt as _;
        self.serial += 1;
        format!("{prefix}{:017x}", self.rng.random::<u64>() >> 4)
    }
}
