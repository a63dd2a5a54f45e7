//! What a call sees: the things of the region that it is sent to.
//!
//! Things lie in the region of their VPC, or say theirs. A call works on the whole world while the lock is held; what lies in other regions of its cloud
//! is put aside for that long, so that no handler can forget to look where a thing is.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::monitoring::Alarm;
use super::state::{Cloud, Image, Instance, Interface, NetworkAcl, RouteTable, SecurityGroup, State, Subnet, SyncJob, Vpc};

/// The regions of a world, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// Of AWS, such as `us-east-1`. The first is the environment's, unless it names another.
    pub aws: Vec<String>,
    /// Of Alibaba Cloud, such as `cn-hangzhou`. The first is the environment's, unless it names another.
    pub aliyun: Vec<String>,
}

impl Regions {
    /// Those of a cloud.
    #[must_use]
    pub fn of(&self, cloud: Cloud) -> &[String] {
        match cloud {
            Cloud::Aws => &self.aws,
            Cloud::Aliyun => &self.aliyun,
        }
    }

    /// The first of a cloud.
    #[must_use]
    pub fn first(&self, cloud: Cloud) -> String {
        self.of(cloud).first().cloned().unwrap_or_default()
    }
}

/// What lies elsewhere.
#[derive(Debug, Default)]
struct Elsewhere {
    vpcs: BTreeMap<String, Vpc>,
    subnets: BTreeMap<String, Subnet>,
    route_tables: BTreeMap<String, RouteTable>,
    acls: BTreeMap<String, NetworkAcl>,
    security_groups: BTreeMap<String, SecurityGroup>,
    interfaces: BTreeMap<String, Interface>,
    instances: BTreeMap<String, Instance>,
    images: BTreeMap<String, Image>,
    jobs: BTreeMap<String, SyncJob>,
    alarms: BTreeMap<(Cloud, String), Alarm>,
}

/// The world as one region sees it; when it is dropped, everything is there again.
#[must_use]
#[derive(Debug)]
pub struct InRegion<'a> {
    state: &'a mut State,
    elsewhere: Elsewhere,
    cloud: Cloud,
    before: String,
}

impl State {
    /// The world as a call to this region of a cloud sees it. A region that is not the world's is an empty one.
    pub fn in_region(&mut self, cloud: Cloud, region: &str) -> InRegion<'_> {
        let before = std::mem::replace(&mut self.here[cloud as usize], region.to_owned());
        let is_all = self.regions.of(cloud) == [region];
        let elsewhere = if is_all { Elsewhere::default() } else { self.put_aside(cloud, region) };
        InRegion { state: self, elsewhere, cloud, before }
    }

    /// The region of the call in hand; the cloud's first when there is none.
    #[must_use]
    pub fn here(&self, cloud: Cloud) -> &str {
        &self.here[cloud as usize]
    }

    /// The region that a subnet or vSwitch lies in.
    #[must_use]
    pub fn region_of(&self, subnet: &str) -> &str {
        self.subnets.get(subnet).and_then(|subnet| self.vpcs.get(&subnet.vpc)).map_or("", |vpc| &vpc.region)
    }

    fn put_aside(&mut self, cloud: Cloud, region: &str) -> Elsewhere {
        let vpcs: BTreeMap<_, _> = self.vpcs.extract_if(.., |_, vpc| vpc.cloud == cloud && vpc.region != region).collect();
        let subnets: BTreeMap<_, _> = self.subnets.extract_if(.., |_, subnet| vpcs.contains_key(&subnet.vpc)).collect();
        let of_subnet = |subnet: &String| subnets.contains_key(subnet);
        Elsewhere {
            route_tables: self.route_tables.extract_if(.., |_, table| vpcs.contains_key(&table.vpc)).collect(),
            acls: self.acls.extract_if(.., |_, acl| vpcs.contains_key(&acl.vpc)).collect(),
            security_groups: self.security_groups.extract_if(.., |_, group| vpcs.contains_key(&group.vpc)).collect(),
            interfaces: self.interfaces.extract_if(.., |_, interface| of_subnet(&interface.subnet)).collect(),
            instances: self.instances.extract_if(.., |_, instance| of_subnet(&instance.subnet)).collect(),
            images: self.images.extract_if(.., |_, image| image.cloud == cloud && image.region != region).collect(),
            jobs: self.jobs.extract_if(.., |_, job| cloud == Cloud::Aliyun && job.region != region).collect(),
            alarms: self.monitoring.alarms.extract_if(.., |_, alarm| alarm.metric.cloud == cloud && alarm.region != region).collect(),
            subnets,
            vpcs,
        }
    }
}

impl Deref for InRegion<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl DerefMut for InRegion<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state
    }
}

impl Drop for InRegion<'_> {
    fn drop(&mut self) {
        let Elsewhere { vpcs, subnets, route_tables, acls, security_groups, interfaces, instances, images, jobs, alarms } =
            std::mem::take(&mut self.elsewhere);
        let state = &mut *self.state;
        state.vpcs.extend(vpcs);
        state.subnets.extend(subnets);
        state.route_tables.extend(route_tables);
        state.acls.extend(acls);
        state.security_groups.extend(security_groups);
        state.interfaces.extend(interfaces);
        state.instances.extend(instances);
        state.images.extend(images);
        state.jobs.extend(jobs);
        state.monitoring.alarms.extend(alarms);
        state.here[self.cloud as usize] = std::mem::take(&mut self.before);
    }
}

/// Whether a zone is one of a region, as `us-east-1a` is.
pub(super) fn is_zone_of(region: &str, zone: &str) -> bool {
    zone.strip_prefix(region).is_some_and(|rest| !rest.is_empty() && rest.len() <= 8)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lifeboat_notation::time::Timestamp;

    use super::super::build::build;
    use super::*;

    fn world() -> State {
        let mut state = build(1, 1.0, 10, Timestamp::from_nanos(0));
        state.regions.aws.push("eu-west-1".to_owned());
        state.vpcs.insert(
            "vpc-0e".to_owned(),
            Vpc { id: "vpc-0e".to_owned(), cloud: Cloud::Aws, cidr: "10.9.0.0/16".to_owned(), region: "eu-west-1".to_owned() },
        );
        let subnet = Subnet { id: "subnet-0e".to_owned(), vpc: "vpc-0e".to_owned(), ..state.subnets["subnet-0a11febe0a7500001"].clone() };
        state.subnets.insert(subnet.id.clone(), subnet);
        let instance = Instance { id: "i-0e".to_owned(), subnet: "subnet-0e".to_owned(), ..state.instances["i-0a11febe0a7500001"].clone() };
        state.instances.insert(instance.id.clone(), instance);
        state
    }

    #[test]
    fn a_call_sees_its_region_and_the_other_cloud_alone() {
        let mut state = world();
        let whole = state.view();
        {
            let there = state.in_region(Cloud::Aws, "eu-west-1");
            assert_eq!(there.here(Cloud::Aws), "eu-west-1");
            let own: BTreeSet<&str> = there.instances.values().filter(|one| one.cloud == Cloud::Aws).map(|one| one.id.as_str()).collect();
            assert_eq!(own, BTreeSet::from(["i-0e"]));
            assert_eq!(there.instances.values().filter(|one| one.cloud == Cloud::Aliyun).count(), 4);
            assert!(there.images.values().all(|image| image.cloud == Cloud::Aliyun) && there.monitoring.alarms.len() == 2);
        }
        assert_eq!(state.view(), whole);
        assert!(!state.in_region(Cloud::Aws, "us-east-1").instances.contains_key("i-0e"));
        assert!(state.in_region(Cloud::Aliyun, "cn-beijing").jobs.is_empty(), "a region without anything");
        assert_eq!((state.view(), state.here(Cloud::Aliyun)), (whole, "cn-hangzhou"));
    }
}
