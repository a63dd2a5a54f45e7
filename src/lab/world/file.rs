//! The world file: what the lab holds at the beginning and how long things take in it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::calls::Calls;
use super::monitoring::{Alarm, Monitoring};
use super::state::{
    Accounts, Bucket, Cloud, Counters, Database, Dice, Image, Instance, InstanceState, Interface, NetworkAcl, Object, Route, RouteTable,
    SecurityGroup, Service, State, Subnet, SyncJob, Vpc, Zone,
};
use super::sync::RUNNING;
use super::transition::Queue;
use super::truth::Truth;
use crate::lab::data::metrics::History;
use crate::model::time::{Span, Timestamp};

/// The world of the lab, as shipped.
const WORLD: &str = include_str!("world.yaml");

/// A world file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WorldFileError {
    /// Not the YAML of a world.
    #[error("cannot read the world file")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// An address that is neither two octets nor a whole IPv4 address.
    #[error("`{0}` in the world file is no address")]
    Address(String),
}

/// How long things take. Spans as in scenarios; all are divided by the time scale.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// EC2 `pending` until `running`.
    pub ec2_boot: Span,
    /// EC2 `running` until both status checks are `ok` and its server answers.
    pub ec2_checks: Span,
    pub ec2_stop: Span,
    pub ecs_boot: Span,
    /// ECS `Running` until its server answers.
    pub ecs_ready: Span,
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
    pub dts_suspend: Span,
    pub dts_start: Span,
    /// How often the copying worker looks for new orders.
    pub replication_every: Span,
    /// How often the shop writes an order.
    pub order_every: Span,
}

/// How often an action of a vendor's API may be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub cloud: Cloud,
    /// The service's name in signatures and hosts: `ec2`, `route53`, `alidns`, `vpc`.
    pub service: String,
    /// The action; a final `*` stands for any rest.
    pub action: String,
    /// Calls that may come at once.
    pub burst: f64,
    /// Calls per second in the long run; greater than 0. Not touched by the time scale: clients do not become faster by it.
    pub per_second: f64,
}

/// Where the shop's orders are kept, and by whom they are copied.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// The bucket on Alibaba.
    pub source: String,
    /// The bucket on AWS.
    pub mirror: String,
    pub prefix: String,
    /// Orders are taken where this service is served.
    pub service: String,
    /// How many orders both sides hold at the beginning.
    pub already: u32,
    /// The vSwitch of the copying worker.
    pub worker_subnet: String,
}

/// The world file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorldFile {
    timing: Timing,
    throttling: Vec<RateLimit>,
    accounts: Accounts,
    client: Ipv4Addr,
    vpcs: Vec<Vpc>,
    subnets: Vec<WrittenSubnet>,
    route_tables: Vec<WrittenTable>,
    acls: Vec<NetworkAcl>,
    security_groups: Vec<SecurityGroup>,
    interfaces: Vec<Interface>,
    images: Vec<Image>,
    instances: Vec<WrittenInstance>,
    zones: Vec<Zone>,
    buckets: Vec<WrittenBucket>,
    orders: Orders,
    jobs: Vec<WrittenJob>,
    services: Vec<WrittenService>,
    alarms: Vec<Alarm>,
    vars: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSubnet {
    id: String,
    cloud: Cloud,
    name: String,
    vpc: String,
    cidr: String,
    zone: String,
    acl: Option<String>,
    acl_association: Option<String>,
    route_table: Option<String>,
    ipv6: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTable {
    id: String,
    cloud: Cloud,
    vpc: String,
    #[serde(default)]
    main: bool,
    routes: Vec<Route>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInstance {
    id: String,
    cloud: Cloud,
    name: String,
    subnet: String,
    image: String,
    instance_type: String,
    private_ip: Ipv4Addr,
    address: String,
    tags: BTreeMap<String, String>,
    security_groups: Vec<String>,
    state: InstanceState,
    service: String,
    needs: Option<Ipv4Addr>,
    /// DNS names the addresses of the shop's machines, so they are fixed ones.
    #[serde(default = "yes")]
    elastic: bool,
    #[serde(default)]
    released: bool,
    #[serde(default)]
    can_hibernate: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBucket {
    name: String,
    cloud: Cloud,
    #[serde(default)]
    objects: Vec<WrittenObject>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenObject {
    key: String,
    content_type: String,
    body: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenJob {
    id: String,
    instance: String,
    name: String,
    status: String,
    source: Database,
    target: Database,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenService {
    name: String,
    host: String,
    port: u16,
    path: String,
}

/// The shipped world at its beginning: seeded, its delays divided by `scale` (0.01 to 1000), its addresses in 127.`prefix`.0.0/16, at `now`.
pub fn build(seed: u64, scale: f64, prefix: u8, now: Timestamp) -> Result<State, WorldFileError> {
    let file = shipped()?;
    let mut state = State {
        now,
        rng: Dice::new(seed),
        dns_rng: Dice::new(!seed),
        seed,
        prefix,
        client: file.client,
        timing: file.timing,
        limits: file.throttling,
        scale: scale.clamp(0.01, 1000.0),
        accounts: file.accounts,
        queue: Queue::default(),
        truth: Truth::default(),
        calls: Calls::default(),
        vpcs: by(file.vpcs, |vpc| &vpc.id),
        subnets: by(file.subnets.into_iter().map(subnet).collect(), |subnet| &subnet.id),
        route_tables: by(file.route_tables.into_iter().map(table).collect(), |table| &table.id),
        acls: by(file.acls, |acl| &acl.id),
        applied_acls: BTreeMap::new(),
        security_groups: by(file.security_groups, |group| &group.id),
        interfaces: by(file.interfaces, |interface| &interface.id),
        instances: BTreeMap::new(),
        images: by(file.images, |image| &image.id),
        zones: file.zones,
        changes: BTreeMap::new(),
        dns_view: BTreeMap::new(),
        buckets: by(file.buckets.into_iter().map(|written| bucket(written, now)).collect(), |bucket| &bucket.name),
        uploads: BTreeMap::new(),
        orders: file.orders,
        jobs: by(file.jobs.into_iter().map(|written| job(written, now)).collect(), |job| &job.id),
        services: by(file.services.into_iter().map(service).collect(), |service| &service.name),
        throttles: BTreeMap::new(),
        tokens: BTreeMap::new(),
        tags: BTreeMap::new(),
        counters: Counters::default(),
        history: Arc::new(History::default()),
        monitoring: Monitoring::default(),
        serial: 0,
    };
    for written in file.instances {
        let address = place(&written.address, prefix).ok_or_else(|| WorldFileError::Address(written.address.clone()))?;
        let instance = instance(written, address, now);
        state.instances.insert(instance.id.clone(), instance);
    }
    for record in state.zones.iter_mut().flat_map(|zone| &mut zone.records).filter(|record| record.kind == "A") {
        for value in &mut record.values {
            *value = place(value, prefix).ok_or_else(|| WorldFileError::Address(value.clone()))?.to_string();
        }
    }
    state.serve_all_dns();
    for subnet in state.subnets.values() {
        if let Some(acl) = subnet.effective_acl.as_ref().and_then(|acl| state.acls.get(acl)) {
            state.applied_acls.insert(subnet.id.clone(), acl.clone());
        }
    }
    for mut alarm in file.alarms {
        // As if it had been there for long: it is judged at once.
        alarm.verdict.since = now;
        alarm.verdict.configured = now;
        let key = if alarm.id.is_empty() { &alarm.name } else { &alarm.id };
        state.monitoring.alarms.insert((alarm.metric.cloud, key.clone()), alarm);
    }
    place_first_orders(&mut state);
    state.record_services(true);
    Ok(state)
}

/// The variables that the environment `lab` gives to scenarios, in the lab with this prefix.
pub fn vars(prefix: u8) -> Result<BTreeMap<String, String>, WorldFileError> {
    let vars = shipped()?.vars;
    let placed = |value: String| if is_short(&value) { place(&value, prefix).map_or(value, |address| address.to_string()) } else { value };
    Ok(vars.into_iter().map(|(name, value)| (name, placed(value))).collect())
}

/// The world file inside the program; its text is read once.
fn shipped() -> Result<WorldFile, WorldFileError> {
    static SHIPPED: OnceLock<WorldFile> = OnceLock::new();
    match SHIPPED.get() {
        Some(file) => Ok(file.clone()),
        None => read(WORLD).map(|file| SHIPPED.get_or_init(|| file).clone()),
    }
}

fn read(text: &str) -> Result<WorldFile, WorldFileError> {
    serde_saphyr::from_str(text).map_err(|error| WorldFileError::Syntax(Box::new(error)))
}

/// Whether an address is written with two octets, to be placed in the lab's prefix.
fn is_short(address: &str) -> bool {
    address.split('.').count() == 2 && address.split('.').all(|octet| octet.parse::<u8>().is_ok())
}

/// `2.11` is 127.N.2.11; a whole address stays as it is.
fn place(address: &str, prefix: u8) -> Option<Ipv4Addr> {
    if is_short(address) { format!("127.{prefix}.{address}").parse().ok() } else { address.parse().ok() }
}

fn by<T>(things: Vec<T>, id: impl Fn(&T) -> &String) -> BTreeMap<String, T> {
    things.into_iter().map(|thing| (id(&thing).clone(), thing)).collect()
}

fn subnet(written: WrittenSubnet) -> Subnet {
    Subnet {
        id: written.id,
        cloud: written.cloud,
        name: written.name,
        vpc: written.vpc,
        cidr: written.cidr,
        zone: written.zone,
        route_table: written.route_table,
        effective_acl: written.acl.clone(),
        acl: written.acl,
        acl_association: written.acl_association,
        ipv6: written.ipv6,
    }
}

fn table(written: WrittenTable) -> RouteTable {
    RouteTable {
        id: written.id,
        cloud: written.cloud,
        vpc: written.vpc,
        main: written.main,
        effective_routes: written.routes.clone(),
        routes: written.routes,
    }
}

fn instance(written: WrittenInstance, address: Ipv4Addr, now: Timestamp) -> Instance {
    Instance {
        id: written.id,
        cloud: written.cloud,
        name: written.name,
        subnet: written.subnet,
        image: written.image,
        instance_type: written.instance_type,
        private_ip: written.private_ip,
        address,
        tags: written.tags,
        security_groups: written.security_groups,
        healthy_at: (written.state == InstanceState::Running).then_some(now),
        state: written.state,
        launched_at: now,
        service: written.service,
        needs: written.needs,
        boots: 0,
        elastic: written.elastic,
        released: written.released,
        can_hibernate: written.can_hibernate,
        hibernated: false,
        protected: false,
    }
}

fn bucket(written: WrittenBucket, now: Timestamp) -> Bucket {
    let object = |object: WrittenObject| (object.key, Object::new(object.body.into(), &object.content_type, BTreeMap::new(), now));
    Bucket { name: written.name, cloud: written.cloud, created_at: now, objects: written.objects.into_iter().map(object).collect() }
}

fn job(written: WrittenJob, now: Timestamp) -> SyncJob {
    SyncJob {
        id: written.id,
        instance: written.instance,
        name: written.name,
        moves: written.status == RUNNING,
        status: written.status,
        source: written.source,
        target: written.target,
        checkpoint: now,
    }
}

fn service(written: WrittenService) -> Service {
    Service { name: written.name, host: written.host, port: written.port, path: written.path, up: false }
}

/// Orders from before the beginning, the newest just committed, on both sides.
fn place_first_orders(state: &mut State) {
    let (now, every) = (state.now, state.timing.order_every.duration().div_f64(state.scale));
    for left in (0..state.orders.already).rev() {
        let age = i64::try_from((every * left).as_nanos()).unwrap_or(0);
        state.now = Timestamp::from_nanos(now.as_nanos().saturating_sub(age));
        state.write_order(Cloud::Aliyun, 1000 + left * 7);
    }
    state.now = now;
    let orders = state.buckets.get(&state.orders.source).map(|bucket| bucket.objects.clone()).unwrap_or_default();
    if let Some(mirror) = state.buckets.get_mut(&state.orders.mirror) {
        mirror.objects.extend(orders);
    }
    state.counters.rows_on_both = state.counters.orders_written;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn world() -> State {
        build(1, 1.0, 77, Timestamp::from_nanos(0)).unwrap()
    }

    #[test]
    fn addresses_are_placed_in_the_labs_prefix() {
        let state = world();
        assert_eq!(state.instances["i-bp1lifeboat0store0001"].address, Ipv4Addr::new(127, 77, 2, 11));
        assert_eq!(vars(77).unwrap()["storefront_aws_address"], "127.77.1.11");
        assert_eq!(vars(77).unwrap()["standby_account"], "444455556666");
    }

    #[test]
    fn every_reference_in_the_world_file_leads_somewhere() {
        let state = world();
        let ids: BTreeSet<&String> =
            [state.subnets.keys().collect::<Vec<_>>(), state.vpcs.keys().collect(), state.acls.keys().collect(), state.images.keys().collect()]
                .into_iter()
                .flatten()
                .chain(state.instances.keys())
                .chain(state.security_groups.keys())
                .chain(state.route_tables.keys())
                .collect();
        let mut wanted: Vec<&String> = Vec::new();
        wanted.extend(
            state.subnets.values().flat_map(|subnet| [Some(&subnet.vpc), subnet.acl.as_ref(), subnet.route_table.as_ref()].into_iter().flatten()),
        );
        wanted.extend(state.instances.values().flat_map(|instance| instance.security_groups.iter().chain([&instance.subnet, &instance.image])));
        wanted.extend(state.interfaces.values().flat_map(|interface| std::iter::once(&interface.subnet).chain(interface.instance.as_ref())));
        wanted.push(&state.orders.worker_subnet);
        for id in wanted {
            assert!(ids.contains(id), "{id}");
        }
    }

    #[test]
    fn both_sides_hold_the_first_orders() {
        let state = world();
        assert_eq!(state.counters.orders_written, 20);
        assert_eq!(state.buckets["shop-orders"].objects.len(), 20);
        assert_eq!(state.buckets["shop-orders"].objects.keys().next().unwrap(), "orders/000000000001");
        assert!(state.buckets["shop-orders-mirror"].objects.keys().eq(state.buckets["shop-orders"].objects.keys()));
    }

    #[test]
    fn unknown_keys_in_a_world_file_are_refused() {
        assert!(read(&format!("{WORLD}\nsurprise: 1\n")).is_err());
    }
}
