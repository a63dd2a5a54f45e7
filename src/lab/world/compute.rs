//! Instances over time: starting, becoming healthy, stopping.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::state::{Cloud, Instance, InstanceState, State};
use super::transition::Transition;

impl State {
    /// Begins to start a stopped instance; its healthy server follows by itself. Gives the state before, `None` when there is no such instance.
    /// Any other state than `Stopped` is left as it is: whether that is an error is the vendor's API to say.
    pub fn instance_start(&mut self, id: &str) -> Option<InstanceState> {
        let (timing, now, seed) = (self.timing.clone(), self.now, self.seed);
        let instance = self.instances.get_mut(id)?;
        let before = instance.state;
        if before == InstanceState::Stopped {
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
        }
        Some(before)
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

    use super::super::file::build;
    use super::super::transition::settle;
    use super::*;
    use crate::model::time::Timestamp;

    const STOREFRONT: &str = "i-0a11febe0a7500001";

    fn world(seed: u64) -> State {
        build(seed, 1.0, 10, Timestamp::from_nanos(0)).unwrap()
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
    fn starting_what_runs_and_stopping_what_is_stopped_changes_nothing() {
        let mut state = world(1);
        assert_eq!(state.instance_stop(STOREFRONT), Some(InstanceState::Stopped));
        assert_eq!(state.instance_start("i-bp1lifeboat0store0001"), Some(InstanceState::Running));
        assert_eq!(state.instance_start("i-nobody"), None);
        assert!(state.queue.is_empty());
    }
}
