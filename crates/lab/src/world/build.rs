//! From a world file that was checked to the world at its beginning. What the vendors make by themselves and the file leaves out is made here, with
//! ids that follow from those that are written.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use lifeboat_notation::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::calls::Calls;
use super::file::{Blueprint, WorldFile, WrittenBucket, WrittenInstance, WrittenJob, WrittenService, WrittenSubnet, WrittenTable};
use super::monitoring::Monitoring;
use super::reach::SERVICE_PORT;
use super::state::{
    Accounts, AclEntry, Bucket, Cloud, Counters, Dice, Instance, InstanceState, Interface, NetworkAcl, Object, Route, RouteTable, RouteTarget,
    SecurityGroup, SecurityRule, Service, State, Subnet, SyncJob,
};
use super::sync::RUNNING;
use super::transition::Queue;
use super::truth::Truth;
use crate::data::metrics::History;

/// The key pair of every lab: it opens nothing else.
const ACCESS_KEY_ID: &str = "LIFEBOATLAB000000001";
const SECRET_ACCESS_KEY: &str = "lab-secret-not-for-real-clouds";

/// The shipped world at its beginning, as [`Blueprint::build`].
#[must_use]
pub fn build(seed: u64, scale: f64, prefix: u8, now: Timestamp) -> State {
    Blueprint::shop().build(seed, scale, prefix, now)
}

impl Blueprint {
    /// The world at its beginning: seeded, its delays divided by `scale` (0.01 to 1000), its addresses in 127.`prefix`.0.0/16, at `now`.
    #[must_use]
    pub fn build(&self, seed: u64, scale: f64, prefix: u8, now: Timestamp) -> State {
        let mut file = self.file.clone();
        complete(&mut file);
        let first = |cloud: Cloud| file.regions.first(cloud);
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
            accounts: Accounts {
                aws: file.accounts.aws,
                aliyun: file.accounts.aliyun,
                access_key_id: ACCESS_KEY_ID.to_owned(),
                secret_access_key: SECRET_ACCESS_KEY.to_owned(),
            },
            here: [first(Cloud::Aws), first(Cloud::Aliyun)],
            regions: file.regions,
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
            instances: by(file.instances.into_iter().map(|written| instance(written, prefix, now)).collect(), |instance| &instance.id),
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
        for record in state.zones.iter_mut().flat_map(|zone| &mut zone.records).filter(|record| record.kind == "A") {
            for value in &mut record.values {
                *value = place(value, prefix).map_or_else(|| value.clone(), |address| address.to_string());
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
            state.monitoring.alarms.insert((alarm.metric.cloud, alarm.key().to_owned()), alarm);
        }
        place_first_orders(&mut state);
        state.record_services(true);
        state
    }

    /// The variables that an environment of this world gives to scenarios, in the lab with this prefix.
    #[must_use]
    pub fn vars(&self, prefix: u8) -> BTreeMap<String, String> {
        let placed =
            |value: &String| if is_short(value) { place(value, prefix).map_or_else(|| value.clone(), |at| at.to_string()) } else { value.clone() };
        self.file.vars.iter().map(|(name, value)| (name.clone(), placed(value))).collect()
    }
}

/// Whether an address is written with two numbers, to be placed in the lab's prefix.
pub(super) fn is_short(address: &str) -> bool {
    address.split('.').count() == 2 && address.split('.').all(|octet| octet.parse::<u8>().is_ok())
}

/// `2.11` is 127.N.2.11; a whole address stays as it is.
pub(super) fn place(address: &str, prefix: u8) -> Option<Ipv4Addr> {
    if is_short(address) { format!("127.{prefix}.{address}").parse().ok() } else { address.parse().ok() }
}

fn by<T>(things: Vec<T>, id: impl Fn(&T) -> &String) -> BTreeMap<String, T> {
    things.into_iter().map(|thing| (id(&thing).clone(), thing)).collect()
}

/// Adds what the vendors make by themselves: regions, default ACLs and their associations, main route tables, interfaces, a security group, record ids.
fn complete(file: &mut WorldFile) {
    let regions = file.regions.clone();
    let first = |region: &mut String, cloud: Cloud| {
        if region.is_empty() {
            *region = regions.first(cloud);
        }
    };
    file.vpcs.iter_mut().for_each(|vpc| first(&mut vpc.region, vpc.cloud));
    file.images.iter_mut().for_each(|image| first(&mut image.region, image.cloud));
    file.buckets.iter_mut().for_each(|bucket| first(&mut bucket.region, bucket.cloud));
    file.jobs.iter_mut().for_each(|job| first(&mut job.region, Cloud::Aliyun));
    file.alarms.iter_mut().for_each(|alarm| first(&mut alarm.region, alarm.metric.cloud));
    for vpc in file.vpcs.clone() {
        let subnets: Vec<String> = file.subnets.iter().filter(|subnet| subnet.vpc == vpc.id).map(|subnet| subnet.cidr.clone()).collect();
        if !file.route_tables.iter().any(|table| table.vpc == vpc.id && table.main) {
            file.route_tables.push(main_table(&vpc.id, vpc.cloud, &vpc.cidr, subnets));
        }
        if vpc.cloud == Cloud::Aws && !file.acls.iter().any(|acl| acl.vpc == vpc.id && acl.default) {
            file.acls.push(open_acl(&vpc.id));
        }
    }
    for subnet in file.subnets.iter_mut().filter(|subnet| subnet.cloud == Cloud::Aws) {
        let default = file.acls.iter().find(|acl| acl.vpc == subnet.vpc && acl.default).map(|acl| acl.id.clone());
        subnet.acl = subnet.acl.take().or(default);
        subnet.acl_association.get_or_insert_with(|| id("aclassoc-", &subnet.id));
    }
    for instance in &mut file.instances {
        if instance.security_groups.is_empty()
            && let Some(vpc) = file.subnets.iter().find(|subnet| subnet.id == instance.subnet).map(|subnet| subnet.vpc.clone())
        {
            let group = customers(&vpc, instance.cloud);
            instance.security_groups.push(group.id.clone());
            if !file.security_groups.iter().any(|known| known.id == group.id) {
                file.security_groups.push(group);
            }
        }
        let has_interface = file.interfaces.iter().any(|interface| interface.instance.as_ref() == Some(&instance.id));
        if instance.cloud == Cloud::Aws && !has_interface {
            let (subnet, of) = (instance.subnet.clone(), Some(instance.id.clone()));
            file.interfaces.push(Interface { id: id("eni-", &instance.id), cloud: Cloud::Aws, subnet, instance: of });
        }
    }
    for zone in file.zones.iter_mut().filter(|zone| zone.cloud == Cloud::Aliyun) {
        for (number, record) in zone.records.iter_mut().enumerate().filter(|(_, record)| record.id.is_empty()) {
            record.id = record_id(&format!("{}/{number}", zone.id));
        }
    }
}

/// An id as the vendors make them, always the same for the same thing.
fn id(prefix: &str, of: &str) -> String {
    format!("{prefix}{}", &hex::encode(Sha256::digest(of))[..17])
}

/// Alidns numbers records with 18 digits.
fn record_id(of: &str) -> String {
    let digits = Sha256::digest(of).iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("9{:017}", digits % 100_000_000_000_000_000)
}

fn main_table(vpc: &str, cloud: Cloud, cidr: &str, subnets: Vec<String>) -> WrittenTable {
    let route = |entry: String, destination: String, target, origin: &str| Route { entry, destination, target, origin: origin.to_owned() };
    let routes = match cloud {
        Cloud::Aws => vec![
            route(String::new(), cidr.to_owned(), RouteTarget::Local, "CreateRouteTable"),
            route(String::new(), "0.0.0.0/0".to_owned(), RouteTarget::Gateway(id("igw-", vpc)), "CreateRoute"),
        ],
        Cloud::Aliyun => {
            let local = subnets.into_iter().chain(["100.64.0.0/10".to_owned()]);
            local.map(|block| route(id("rte-", &format!("{vpc}/{block}")), block, RouteTarget::Local, "System")).collect()
        }
    };
    let prefix = if cloud == Cloud::Aws { "rtb-" } else { "vtb-" };
    WrittenTable { id: id(prefix, vpc), cloud, vpc: vpc.to_owned(), main: true, routes }
}

fn open_acl(vpc: &str) -> NetworkAcl {
    let entry =
        |number, allow| AclEntry { number, allow, protocol: "-1".to_owned(), cidr: "0.0.0.0/0".to_owned(), port: String::new(), name: String::new() };
    let open = vec![entry(100, true), entry(32_767, false)];
    NetworkAcl {
        id: id("acl-", vpc),
        cloud: Cloud::Aws,
        vpc: vpc.to_owned(),
        default: true,
        ingress: open.clone(),
        egress: open,
        tags: BTreeMap::new(),
        name: String::new(),
    }
}

/// A security group that lets customers in.
fn customers(vpc: &str, cloud: Cloud) -> SecurityGroup {
    let port = i32::from(SERVICE_PORT);
    let rule = |name: &str, protocol: &str, port| SecurityRule {
        id: id("sgr-", &format!("{vpc}/{name}")),
        protocol: protocol.to_owned(),
        from_port: port,
        to_port: port,
        cidr: "0.0.0.0/0".to_owned(),
    };
    let egress = if cloud == Cloud::Aws { vec![rule("out", "-1", -1)] } else { Vec::new() };
    SecurityGroup { id: id("sg-", vpc), cloud, vpc: vpc.to_owned(), name: "customers".to_owned(), ingress: vec![rule("in", "tcp", port)], egress }
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

fn instance(written: WrittenInstance, prefix: u8, now: Timestamp) -> Instance {
    Instance {
        id: written.id,
        cloud: written.cloud,
        name: written.name,
        subnet: written.subnet,
        image: written.image,
        instance_type: written.instance_type,
        private_ip: written.private_ip,
        address: place(&written.address, prefix).expect("addresses of instances are checked before a world is built"),
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
    let objects = written.objects.into_iter();
    let objects = objects.map(|object| (object.key, Object::new(object.body.into(), &object.content_type, BTreeMap::new(), now))).collect();
    Bucket { name: written.name, cloud: written.cloud, region: written.region, created_at: now, objects }
}

fn job(written: WrittenJob, now: Timestamp) -> SyncJob {
    SyncJob {
        id: written.id,
        instance: written.instance,
        name: written.name,
        region: written.region,
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
    let Some(orders) = state.orders.clone() else { return };
    let (now, every) = (state.now, state.timing.order_every.duration().div_f64(state.scale));
    for left in (0..orders.already).rev() {
        let age = i64::try_from((every * left).as_nanos()).unwrap_or(0);
        state.now = Timestamp::from_nanos(now.as_nanos().saturating_sub(age));
        state.write_order(Cloud::Aliyun, 1000 + left * 7);
    }
    state.now = now;
    let written = state.buckets.get(&orders.source).map(|bucket| bucket.objects.clone()).unwrap_or_default();
    if let Some(mirror) = state.buckets.get_mut(&orders.mirror) {
        mirror.objects.extend(written);
    }
    state.counters.rows_on_both = state.counters.orders_written;
}

#[cfg(test)]
mod tests {
    use super::super::reach::Reach;
    use super::*;

    fn world() -> State {
        build(1, 1.0, 77, Timestamp::from_nanos(0))
    }

    #[test]
    fn addresses_are_placed_in_the_labs_prefix() {
        let state = world();
        assert_eq!(state.instances["i-bp1lifeboat0store0001"].address, Ipv4Addr::new(127, 77, 2, 11));
        let vars = Blueprint::shop().vars(77);
        assert_eq!((vars["storefront_aws_address"].as_str(), vars["standby_account"].as_str()), ("127.77.1.11", "444455556666"));
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
    fn the_shop_is_complete_as_written() {
        let (mut completed, written) = (Blueprint::shop().file.clone(), Blueprint::shop());
        complete(&mut completed);
        let counts = |file: &WorldFile| [file.route_tables.len(), file.acls.len(), file.security_groups.len(), file.interfaces.len()];
        assert_eq!(counts(&completed), counts(&written.file));
    }

    #[test]
    fn what_the_vendors_make_by_themselves_needs_no_words() {
        let text = r#"
lifeboat: 1
kind: world
accounts: { aws: "555566667777", aliyun: "5555666677778888" }
regions: { aws: [eu-central-1], aliyun: [ap-southeast-1] }
vpcs: [{ id: vpc-0a, cloud: aws, cidr: 10.0.0.0/16 }, { id: vpc-b, cloud: aliyun, cidr: 10.1.0.0/16 }]
subnets:
  - { id: subnet-0a, cloud: aws, name: a, vpc: vpc-0a, cidr: 10.0.1.0/24, zone: eu-central-1a }
  - { id: vsw-b, cloud: aliyun, name: b, vpc: vpc-b, cidr: 10.1.1.0/24, zone: ap-southeast-1a }
images: [{ id: ami-0a, cloud: aws, name: a }, { id: m-b, cloud: aliyun, name: b }]
instances:
  - { id: i-0a, cloud: aws, name: a, subnet: subnet-0a, image: ami-0a, private_ip: 10.0.1.5, address: "1.5", service: web }
  - { id: i-b, cloud: aliyun, name: b, subnet: vsw-b, image: m-b, private_ip: 10.1.1.5, address: "2.5", service: web }
zones: [{ id: d1, cloud: aliyun, name: example.cn, records: [{ name: www, kind: A, ttl: 60, values: ["2.5"] }, { name: www, kind: AAAA, ttl: 60, values: ["::1"] }] }]
"#;
        let blueprint = Blueprint::new(serde_saphyr::from_str(text).unwrap(), String::new()).unwrap();
        let state = blueprint.build(1, 1.0, 20, Timestamp::from_nanos(0));
        for id in ["i-0a", "i-b"] {
            assert_eq!(state.reach(&state.instances[id]), Reach::Served, "{id}");
        }
        assert_eq!((state.interfaces.len(), state.acls.len(), state.route_tables.len(), state.security_groups.len()), (1, 1, 2, 2));
        assert!(state.subnets["subnet-0a"].acl_association.as_ref().is_some_and(|id| id.starts_with("aclassoc-")));
        let ids: Vec<&str> = state.zones[0].records.iter().map(|record| record.id.as_str()).collect();
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 18), "{ids:?}");
        assert_eq!(blueprint.build(9, 1.0, 20, Timestamp::from_nanos(0)).view()["vpcs"], state.view()["vpcs"]);
    }
}
