//! Instances over time: starting, becoming healthy, stopping, and being replaced by their auto scaling group.

use std::net::Ipv4Addr;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::state::{Cloud, Instance, InstanceState, Interface, State};
use super::transition::Transition;

/// The tags by which the two vendors' auto scaling knows its instances.
const GROUP_TAGS: [&str; 2] = ["aws:autoscaling:groupName", "acs:autoscaling:scalingGroupId"];

/// The part of the lab's loopback prefix from which public addresses are given.
const GIVEN: u8 = 9;

impl State {
    /// Begins to start a stopped instance; its healthy server follows by itself. Gives the state before, `None` when there is no such instance.
    /// Any other state than `Stopped` is left as it is: whether that is an error is the vendor's API to say.
    pub fn instance_start(&mut self, id: &str) -> Option<InstanceState> {
        let (timing, now, seed) = (self.timing.clone(), self.now, self.seed);
        let another = self.free_address();
        let instance = self.instances.get_mut(id)?;
        let before = instance.state;
        if before == InstanceState::Stopped {
            // An address that is not its own went with the stop: EC2's always, ECS's only with the capacity.
            if !instance.elastic && (instance.cloud == Cloud::Aws || instance.released) {
                instance.address = another;
            }
            instance.released = false;
            instance.hibernated = false;
            instance.state = InstanceState::Pending;
            instance.launched_at = now;
            instance.healthy_at = None;
            instance.boots += 1;
            let boot = match instance.cloud {
                Cloud::Aws => timing.ec2_boot,
                Cloud::Aliyun => timing.ecs_boot,
            };
            let boot = boot.duration().mul_f64(jitter(seed, instance));
            self.record_instance(id);
            self.after(boot, Transition::Instance { id: id.to_owned(), to: InstanceState::Running });
        }
        Some(before)
    }

    /// Begins to stop a pending or running instance, which overtakes its start: its server is gone at once.
    /// Gives the state before, `None` when there is no such instance; other states are left as they are.
    pub fn instance_stop(&mut self, id: &str) -> Option<InstanceState> {
        let timing = self.timing.clone();
        let instance = self.instances.get_mut(id)?;
        let before = instance.state;
        if matches!(before, InstanceState::Pending | InstanceState::Running) {
            instance.state = InstanceState::Stopping;
            instance.healthy_at = None;
            let is_scaled = GROUP_TAGS.iter().any(|tag| instance.tags.contains_key(*tag));
            let stop = match instance.cloud {
                Cloud::Aws => timing.ec2_stop,
                Cloud::Aliyun => timing.ecs_stop,
            };
            self.cancel(|transition| match transition {
                Transition::Instance { id: other, .. } | Transition::Healthy { id: other } => other == id,
                _ => false,
            });
            self.record_instance(id);
            self.after(stop.duration(), Transition::Instance { id: id.to_owned(), to: InstanceState::Stopped });
            if is_scaled {
                self.after(stop.duration() + timing.scaling_check.duration(), Transition::Scaled { id: id.to_owned() });
            }
        }
        Some(before)
    }

    /// Ends an instance at once. Its public address goes back, its interface with it.
    pub fn instance_end(&mut self, id: &str) {
        self.cancel(|transition| {
            matches!(transition, Transition::Instance { id: other, .. } | Transition::Healthy { id: other } | Transition::Scaled { id: other } if other == id)
        });
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = InstanceState::Terminated;
            instance.healthy_at = None;
        }
        self.interfaces.retain(|_, interface| interface.instance.as_deref() != Some(id));
        self.record_instance(id);
    }

    /// The group takes an instance that does not run for a broken one: it ends it and starts another one like it.
    pub(super) fn instance_scaled(&mut self, id: &str) {
        let stopped = |instance: &&Instance| matches!(instance.state, InstanceState::Stopping | InstanceState::Stopped);
        let Some(old) = self.instances.get(id).filter(stopped).cloned() else { return };
        self.instance_end(id);
        let (id, interface) = match old.cloud {
            Cloud::Aws => (self.fresh_id("i-"), self.fresh_id("eni-")),
            Cloud::Aliyun => (self.fresh_id("i-bp1"), self.fresh_id("eni-bp1")),
        };
        let cidr = self.subnets.get(&old.subnet).map(|subnet| subnet.cidr.clone()).unwrap_or_default();
        let new = Instance {
            id: id.clone(),
            private_ip: self.free_private(&cidr),
            address: self.free_address(),
            elastic: false,
            released: false,
            state: InstanceState::Stopped,
            boots: 0,
            ..old
        };
        self.interfaces
            .insert(interface.clone(), Interface { id: interface, cloud: new.cloud, subnet: new.subnet.clone(), instance: Some(id.clone()) });
        self.instances.insert(id.clone(), new);
        self.instance_start(&id);
    }

    /// The first address of the subnet's block that nobody has; the vendors keep the first ones for themselves.
    #[must_use]
    pub fn free_private(&self, cidr: &str) -> Ipv4Addr {
        let network = cidr.split_once('/').and_then(|(network, _)| network.parse::<Ipv4Addr>().ok()).unwrap_or(Ipv4Addr::new(10, 0, 0, 0));
        (4..=u32::MAX)
            .map(|offset| Ipv4Addr::from(u32::from(network).wrapping_add(offset)))
            .find(|address| self.instances.values().all(|instance| instance.private_ip != *address))
            .unwrap_or(network)
    }

    /// The first public address to be given that nobody has.
    #[must_use]
    pub fn free_address(&self) -> Ipv4Addr {
        let start = u32::from(Ipv4Addr::new(127, self.prefix, GIVEN, 1));
        (start..=u32::MAX)
            .map(Ipv4Addr::from)
            .find(|address| self.instances.values().all(|instance| instance.address != *address))
            .unwrap_or(Ipv4Addr::LOCALHOST)
    }

    /// Whether the status checks are `ok` and the guest answers.
    #[must_use]
    pub fn is_healthy(&self, instance: &Instance) -> bool {
        instance.state == InstanceState::Running && instance.healthy_at.is_some_and(|at| at <= self.now)
    }

    pub(super) fn instance_reached(&mut self, id: &str, to: InstanceState) {
        let timing = self.timing.clone();
        let (now, scale) = (self.now, self.scale);
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.state = to;
        if to == InstanceState::Running {
            let checks = match instance.cloud {
                Cloud::Aws => timing.ec2_checks,
                Cloud::Aliyun => timing.ecs_ready,
            };
            instance.healthy_at = Some(now.plus(checks.duration().div_f64(scale)));
            self.after(checks.duration(), Transition::Healthy { id: id.to_owned() });
        } else {
            instance.healthy_at = None;
        }
        self.record_instance(id);
    }

    pub(super) fn instance_healthy(&mut self, id: &str) {
        let now = self.now;
        if let Some(instance) = self.instances.get_mut(id).filter(|instance| instance.state == InstanceState::Running) {
            instance.healthy_at = Some(now);
            let fields = json!({ "instance": id, "state": "healthy" });
            self.truth.record(now, "instance", fields);
        }
    }

    fn record_instance(&mut self, id: &str) {
        if let Some(instance) = self.instances.get(id) {
            self.truth.record(self.now, "instance", json!({ "instance": id, "state": instance.state }));
        }
    }
}

/// Between 1 and 1.1, the same for the same seed, instance and number of its start whatever else happens in the world.
fn jitter(seed: u64, instance: &Instance) -> f64 {
    // FNV-1a over the id: only has to differ from instance to instance.
    let hash = instance.id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut rng = StdRng::seed_from_u64(seed ^ hash ^ instance.boots.rotate_left(32));
    1.0 + 0.1 * rng.random::<f64>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_notation::time::Timestamp;

    use super::super::build::build;
    use super::super::transition::settle;
    use super::*;

    const STOREFRONT: &str = "i-0a11febe0a7500001";

    fn world(seed: u64) -> State {
        build(seed, 1.0, 10, Timestamp::from_nanos(0))
    }

    fn pass(state: &mut State, millis: u64) {
        state.now = state.now.plus(Duration::from_millis(millis));
        settle(state);
    }

    #[test]
    fn a_started_instance_is_pending_then_running_then_healthy() {
        let mut state = world(1);
        assert_eq!(state.instance_start(STOREFRONT), Some(InstanceState::Stopped));
        assert_eq!(state.instances[STOREFRONT].state, InstanceState::Pending);
        pass(&mut state, 3_900);
        assert_eq!(state.instances[STOREFRONT].state, InstanceState::Pending, "a boot is never shorter than the world file says");
        pass(&mut state, 600);
        assert_eq!(state.instances[STOREFRONT].state, InstanceState::Running);
        assert!(!state.is_healthy(&state.instances[STOREFRONT]));
        pass(&mut state, 2_000);
        assert!(state.is_healthy(&state.instances[STOREFRONT]));
    }

    #[test]
    fn a_stop_overtakes_a_start() {
        let mut state = world(1);
        state.instance_start(STOREFRONT);
        pass(&mut state, 1_000);
        assert_eq!(state.instance_stop(STOREFRONT), Some(InstanceState::Pending));
        pass(&mut state, 60_000);
        assert_eq!(state.instances[STOREFRONT].state, InstanceState::Stopped);
        assert!(state.queue.is_empty());
        let states: Vec<_> =
            state.truth.entries().iter().filter(|entry| entry["instance"] == STOREFRONT).map(|entry| entry["state"].clone()).collect();
        assert_eq!(states, ["pending", "stopping", "stopped"]);
    }

    #[test]
    fn boots_jitter_by_seed_and_by_nothing_else() {
        let boot = |seed: u64, disturb: bool| {
            let mut state = world(seed);
            if disturb {
                state.fresh_id("x-");
            }
            state.instance_start(STOREFRONT);
            state.queue.next_at().unwrap()
        };
        assert_eq!(boot(1, false), boot(1, true));
        assert_ne!(boot(1, false), boot(2, false));
    }

    #[test]
    fn an_auto_scaling_group_replaces_what_was_stopped_and_leaves_alone_what_runs_again() {
        for (id, tag) in [("i-0a11febe0a7c00001", GROUP_TAGS[0]), ("i-bp1lifeboat0store0001", GROUP_TAGS[1])] {
            let mut state = world(1);
            state.instances.get_mut(id).unwrap().tags.insert(tag.into(), "shop".into());
            let count = state.instances.len();
            state.instance_stop(id);
            pass(&mut state, 2_100);
            state.instance_start(id);
            pass(&mut state, 10_000);
            assert_eq!((state.instances[id].state, state.instances.len()), (InstanceState::Running, count), "it ran before the group looked");
            state.instance_stop(id);
            pass(&mut state, 4_000);
            assert_eq!(state.instances[id].state, InstanceState::Stopped);
            pass(&mut state, 20_000);
            assert_eq!((state.instances[id].state, state.instances.len()), (InstanceState::Terminated, count + 1));
            let new = state.instances.values().find(|other| other.id != id && other.tags.contains_key(tag)).unwrap();
            assert_eq!((new.state, new.service.as_str()), (InstanceState::Running, state.instances[id].service.as_str()));
            assert_ne!(new.private_ip, state.instances[id].private_ip);
        }
    }

    #[test]
    fn an_address_of_its_own_stays_and_another_one_goes_with_the_stop() {
        let address = |id: &str, elastic: bool, released: bool| {
            let mut state = world(1);
            state.instances.get_mut(id).unwrap().elastic = elastic;
            let before = state.instances[id].address;
            state.instance_stop(id);
            pass(&mut state, 5_000);
            state.instances.get_mut(id).unwrap().released = released;
            state.instance_start(id);
            assert!(!state.instances[id].released);
            state.instances[id].address == before
        };
        let (aws, aliyun) = ("i-0a11febe0a7c00001", "i-bp1lifeboat0store0001");
        assert!(address(aws, true, false) && address(aliyun, true, true) && address(aliyun, false, false));
        assert!(!address(aws, false, false) && !address(aliyun, false, true));
    }

    #[test]
    fn starting_what_runs_and_stopping_what_is_stopped_changes_nothing() {
        let mut state = world(1);
        assert_eq!(state.instance_stop(STOREFRONT), Some(InstanceState::Stopped));
        assert_eq!(state.instance_start("i-bp1lifeboat0store0001"), Some(InstanceState::Running));
        assert_eq!(state.instance_start("i-nobody"), None);
        assert!(state.queue.is_empty());
    }
}
