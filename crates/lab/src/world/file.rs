//! The world file as written: what the lab holds at the beginning and how long things take in it. `check` tells what does not fit in it,
//! `build` makes the world of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use lifeboat_notation::time::Span;
use lifeboat_notation::version::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{self, Problem};
use super::monitoring::Alarm;
use super::state::{Cloud, Database, Image, InstanceState, Interface, NetworkAcl, Regions, Route, SecurityGroup, Vpc, Zone};

/// The world of the lab, as shipped.
pub const SHOP: &str = include_str!("shop.yaml");
/// The vendors' request rates.
const RATES: &str = include_str!("rates.yaml");

/// A world file whose parts fit together, and the digest of its text.
#[derive(Clone, Debug)]
pub struct Blueprint {
    pub(super) file: WorldFile,
    digest: String,
}

impl Blueprint {
    /// A world file that was read. `digest`: SHA-256 of its bytes, lower-case hex.
    ///
    /// # Errors
    /// Everything in it that does not fit together, in the order of its keys.
    pub fn new(file: WorldFile, digest: String) -> Result<Self, Vec<Problem>> {
        let problems = check::problems(&file);
        if problems.is_empty() { Ok(Self { file, digest }) } else { Err(problems) }
    }

    /// The shipped world, read once. Its digest is empty: it changes with the program alone.
    #[must_use]
    pub fn shop() -> Arc<Self> {
        static READ: OnceLock<Arc<Blueprint>> = OnceLock::new();
        let read = || Arc::new(Self { file: serde_saphyr::from_str(SHOP).expect("the shop inside the program is tested"), digest: String::new() });
        Arc::clone(READ.get_or_init(read))
    }

    /// SHA-256 of the text that it was read from, lower-case hex; empty for the shop.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The regions of a cloud, the one of environments that name none first.
    #[must_use]
    pub fn regions(&self, cloud: Cloud) -> &[String] {
        self.file.regions.of(cloud)
    }

    /// The account of a cloud.
    #[must_use]
    pub fn account(&self, cloud: Cloud) -> &str {
        match cloud {
            Cloud::Aws => &self.file.accounts.aws,
            Cloud::Aliyun => &self.file.accounts.aliyun,
        }
    }

    /// What is in it, in a few words.
    #[must_use]
    pub fn summary(&self) -> String {
        let file = &self.file;
        let count = |number: usize, what: &str| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
        let regions = file.regions.aws.len() + file.regions.aliyun.len();
        [
            count(regions, "region"),
            count(file.instances.len(), "instance"),
            count(file.zones.len(), "zone"),
            count(file.buckets.len(), "bucket"),
            count(file.jobs.len(), "job"),
        ]
        .join(", ")
    }
}

/// A world file: two clouds at the beginning of a lab.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorldFile {
    /// Version of the language: 1.
    #[expect(dead_code, reason = "reading it checks it")]
    lifeboat: Version,
    /// `world`.
    #[expect(dead_code, reason = "reading it checks it")]
    kind: WorldKind,
    /// How long things take.
    #[serde(default)]
    pub(super) timing: Timing,
    /// How often each API may be called; the first row that fits an action is its limit. Without it what the vendors publish; `[]` = without limits.
    #[serde(default = "published")]
    pub(super) throttling: Vec<RateLimit>,
    /// The account of each cloud.
    pub(super) accounts: WrittenAccounts,
    /// The regions of each cloud. A call sees what lies in the region that it is sent to.
    pub(super) regions: Regions,
    /// Where customers come from, in the eyes of ACLs and security groups.
    #[serde(default = "somebody")]
    pub(super) client: Ipv4Addr,
    /// VPCs of both clouds. One without a default ACL (AWS) or a main route table gets what the vendor gives it.
    #[serde(default)]
    pub(super) vpcs: Vec<Vpc>,
    /// Subnets (AWS) and vSwitches (Alibaba).
    #[serde(default)]
    pub(super) subnets: Vec<WrittenSubnet>,
    /// Route tables of both clouds.
    #[serde(default)]
    pub(super) route_tables: Vec<WrittenTable>,
    /// Network ACLs of both clouds.
    #[serde(default)]
    pub(super) acls: Vec<NetworkAcl>,
    /// Security groups of both clouds.
    #[serde(default)]
    pub(super) security_groups: Vec<SecurityGroup>,
    /// Network interfaces on AWS. An instance for which none is written gets one.
    #[serde(default)]
    pub(super) interfaces: Vec<Interface>,
    /// Images of machines.
    #[serde(default)]
    pub(super) images: Vec<Image>,
    /// Machines: EC2 and ECS instances, at most 300.
    #[serde(default)]
    pub(super) instances: Vec<WrittenInstance>,
    /// Route 53 hosted zones and Alidns domains, with records of any type.
    #[serde(default)]
    pub(super) zones: Vec<Zone>,
    /// Buckets of S3 and OSS. Their names are unique over both clouds.
    #[serde(default)]
    pub(super) buckets: Vec<WrittenBucket>,
    /// Data that is written all the time and copied from one cloud to the other; without it nothing is.
    #[serde(default)]
    pub(super) orders: Option<Orders>,
    /// DTS synchronisation jobs.
    #[serde(default)]
    pub(super) jobs: Vec<WrittenJob>,
    /// What customers use: each has five simulated clients. At most 32.
    #[serde(default)]
    pub(super) services: Vec<WrittenService>,
    /// Alarms of CloudWatch and rules of CloudMonitor.
    #[serde(default)]
    pub(super) alarms: Vec<Alarm>,
    /// What the environment gives to scenarios as `vars`, beside `prometheus` and `name_server` of the lab. An address of two numbers is placed in the lab.
    #[serde(default)]
    pub(super) vars: BTreeMap<String, String>,
}

/// What the file is.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum WorldKind {
    World,
}

/// How long things take. All is divided by the time scale; what is not written is as in the shipped world.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// EC2 `pending` until `running`.
    pub ec2_boot: Span,
    /// EC2 `running` until both status checks are `ok` and its server answers.
    pub ec2_checks: Span,
    /// EC2 `stopping` until `stopped`.
    pub ec2_stop: Span,
    /// ECS `Starting` until `Running`.
    pub ecs_boot: Span,
    /// ECS `Running` until its server answers.
    pub ecs_ready: Span,
    /// ECS `Stopping` until `Stopped`.
    pub ecs_stop: Span,
    /// Until an auto scaling group sees that an instance of its own was stopped, ends it and starts another one.
    pub scaling_check: Span,
    /// Route 53: until the authoritative servers answer a change.
    pub route53_serve: Span,
    /// Route 53: PENDING until INSYNC; not shorter than `route53_serve`.
    pub route53_in_sync: Span,
    /// Alidns: until the authoritative servers answer a change.
    pub alidns_serve: Span,
    /// Until the data plane applies an ACL or a route.
    pub network_apply: Span,
    /// DTS: until a job that was paused rests.
    pub dts_suspend: Span,
    /// DTS: until a job that was started moves rows.
    pub dts_start: Span,
    /// How often the copying worker looks for new orders.
    pub replication_every: Span,
    /// How often an order is written.
    pub order_every: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ec2_boot: Span::from_secs(4),
            ec2_checks: Span::from_secs(2),
            ec2_stop: Span::from_secs(2),
            ecs_boot: Span::from_secs(3),
            ecs_ready: Span::from_secs(1),
            ecs_stop: Span::from_secs(2),
            scaling_check: Span::from_secs(3),
            route53_serve: Span::from_secs(1),
            route53_in_sync: Span::from_secs(2),
            alidns_serve: Span::from_millis(500),
            network_apply: Span::from_millis(300),
            dts_suspend: Span::from_millis(500),
            dts_start: Span::from_millis(800),
            replication_every: Span::from_millis(200),
            order_every: Span::from_millis(250),
        }
    }
}

/// How often an action of a vendor's API may be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The cloud.
    pub cloud: Cloud,
    /// The service's name in signatures and hosts: `ec2`, `route53`, `alidns`, `vpc`.
    pub service: String,
    /// The action; a final `*` stands for any rest. `(account)` is the account's whole use of the service.
    pub action: String,
    /// Calls that may come at once, 1 to 1000000.
    pub burst: f64,
    /// Calls per second in the long run, 0.001 to 1000000. Not touched by the time scale: clients do not become faster by it.
    pub per_second: f64,
}

/// What the vendors publish.
fn published() -> Vec<RateLimit> {
    serde_saphyr::from_str(RATES).expect("the rates inside the program are tested")
}

/// Where orders are written, and by whom they are copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// The bucket on Alibaba.
    pub source: String,
    /// The bucket on AWS.
    pub mirror: String,
    /// How their keys begin.
    pub prefix: String,
    /// Orders are written where this service is served.
    pub service: String,
    /// How many orders both sides hold at the beginning, 0 to 1000.
    #[serde(default)]
    pub already: u32,
    /// The subnet or vSwitch of the copying worker: cut off from it, nothing is copied.
    pub worker_subnet: String,
}

/// The account of each cloud.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAccounts {
    /// Twelve digits in quotes.
    pub(super) aws: String,
    /// Sixteen digits in quotes.
    pub(super) aliyun: String,
}

/// RFC 5737 sets these addresses aside for examples.
fn somebody() -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 10)
}

/// A subnet or vSwitch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSubnet {
    /// `subnet-…` or `vsw-…`.
    pub(super) id: String,
    /// The cloud.
    pub(super) cloud: Cloud,
    /// Its name.
    pub(super) name: String,
    /// Its VPC.
    pub(super) vpc: String,
    /// Its addresses, inside of those of the VPC.
    pub(super) cidr: String,
    /// Its zone, such as `us-east-1a` or `cn-hangzhou-h`.
    pub(super) zone: String,
    /// The ACL that is associated; without it the VPC's default one (AWS) or none (Alibaba).
    pub(super) acl: Option<String>,
    /// AWS: the id of the association.
    pub(super) acl_association: Option<String>,
    /// The route table; without it the VPC's main one.
    pub(super) route_table: Option<String>,
    /// Alibaba: the IPv6 block, where IPv6 is switched on.
    pub(super) ipv6: Option<String>,
}

/// A route table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTable {
    /// `rtb-…` or `vtb-…`.
    pub(super) id: String,
    /// The cloud.
    pub(super) cloud: Cloud,
    /// Its VPC.
    pub(super) vpc: String,
    /// Whether subnets without a table of their own follow it.
    #[serde(default)]
    pub(super) main: bool,
    /// Its routes.
    pub(super) routes: Vec<Route>,
}

/// A machine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenInstance {
    /// `i-…`.
    pub(super) id: String,
    /// The cloud.
    pub(super) cloud: Cloud,
    /// Its name.
    pub(super) name: String,
    /// Its subnet or vSwitch.
    pub(super) subnet: String,
    /// Its image.
    pub(super) image: String,
    /// Its size, as the vendor calls it.
    #[serde(default = "medium")]
    pub(super) instance_type: String,
    /// Its address in the subnet.
    pub(super) private_ip: Ipv4Addr,
    /// Its public address in the lab: two numbers, such as `1.11`, 1 to 255 and 0 to 255.
    pub(super) address: String,
    /// Its tags.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// Its security groups; without any, one that lets customers in.
    #[serde(default)]
    pub(super) security_groups: Vec<String>,
    /// Whether it runs at the beginning: `running` or `stopped`.
    #[serde(default = "running")]
    pub(super) state: InstanceState,
    /// What it serves.
    pub(super) service: String,
    /// The address that its service needs through the VPC's routes, if any.
    pub(super) needs: Option<Ipv4Addr>,
    /// Whether its public address is a fixed one, which stays with it.
    #[serde(default = "yes")]
    pub(super) elastic: bool,
    /// Alibaba: stopped in economical mode.
    #[serde(default)]
    pub(super) released: bool,
    /// AWS: launched so that it can hibernate.
    #[serde(default)]
    pub(super) can_hibernate: bool,
}

fn medium() -> String {
    "medium".to_owned()
}

fn running() -> InstanceState {
    InstanceState::Running
}

fn yes() -> bool {
    true
}

/// A bucket.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenBucket {
    /// Its name: 3 to 63 small letters, digits, `-` and `.`.
    pub(super) name: String,
    /// The cloud.
    pub(super) cloud: Cloud,
    /// Its region; without it the cloud's first.
    #[serde(default)]
    pub(super) region: String,
    /// What is in it.
    #[serde(default)]
    pub(super) objects: Vec<WrittenObject>,
}

/// An object in a bucket.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenObject {
    /// Its key.
    pub(super) key: String,
    /// Its media type.
    pub(super) content_type: String,
    /// Its content.
    pub(super) body: String,
}

/// A DTS synchronisation job.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenJob {
    /// Its id.
    pub(super) id: String,
    /// The id of its DTS instance.
    pub(super) instance: String,
    /// Its name.
    pub(super) name: String,
    /// Its region; without it the first of Alibaba.
    #[serde(default)]
    pub(super) region: String,
    /// `Synchronizing`, or `Suspending` for one that is paused.
    pub(super) status: String,
    /// Where rows come from.
    pub(super) source: Database,
    /// Where rows go.
    pub(super) target: Database,
}

/// A service that customers use.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenService {
    /// Its name. `web-cn` is served by the machines whose `service` is `web`.
    pub(super) name: String,
    /// The host name that customers resolve, without final dot.
    pub(super) host: String,
    /// The port: 8080, on which every machine serves.
    #[serde(default = "service_port")]
    pub(super) port: u16,
    /// What customers ask for: `/health` or `/api/status`.
    #[serde(default = "health")]
    pub(super) path: String,
}

fn service_port() -> u16 {
    super::reach::SERVICE_PORT
}

fn health() -> String {
    "/health".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wrong_with_the_shop() {
        assert_eq!(check::problems(&Blueprint::shop().file), []);
        let read = serde_saphyr::from_str(SHOP)
            .map_err(|error| error.to_string())
            .and_then(|file| Blueprint::new(file, "d".to_owned()).map_err(|problems| format!("{problems:?}")));
        assert_eq!(read.unwrap().summary(), "2 regions, 9 instances, 3 zones, 3 buckets, 2 jobs");
    }

    #[test]
    fn unknown_keys_and_other_versions_are_refused() {
        let read = |text: &str| serde_saphyr::from_str::<WorldFile>(text).map(drop).map_err(|error| error.to_string());
        assert!(read(&format!("{SHOP}\nsurprise: 1\n")).is_err());
        assert!(read(&SHOP.replace("lifeboat: 1", "lifeboat: 2")).unwrap_err().contains("version 2 of the language"));
        assert!(read(&SHOP.replace("kind: world", "kind: scenario")).is_err());
        assert!(read(&SHOP.replace("cidr: 10.10.1.0/24,", "cidr: 10.10.1.0/24, cdir: x,")).is_err());
    }

    #[test]
    fn what_is_not_written_takes_as_long_as_in_the_shop() {
        let shop = serde_json::to_value(&Blueprint::shop().file.timing).unwrap();
        assert_eq!(shop, serde_json::to_value(Timing::default()).unwrap());
        assert!(published().len() > 30);
    }
}
