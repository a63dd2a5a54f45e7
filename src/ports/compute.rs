//! Virtual machines, whichever cloud runs them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PortFuture;

/// Which machines: by id, by tags (all must match), or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Instance ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Tags that must all be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Life of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// On its way to running.
    Starting,
    /// Running; whether it is healthy is said apart.
    Running,
    /// On its way to stopped.
    Stopping,
    /// Stopped, can be started.
    Stopped,
    /// Terminated or being so: cannot be started.
    Gone,
}

/// One machine as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Instance id.
    pub id: String,
    /// Its name tag, or the id.
    pub name: String,
    /// Where it is in its life.
    pub state: MachineState,
    /// Running and passing the cloud's own status checks (where the cloud has none: running).
    pub healthy: bool,
    /// The auto scaling group it belongs to: one that takes a stopped machine for a broken one, ends it and puts another in its place.
    pub group: Option<String>,
    /// Its public address, where a stop takes that away and a start brings another one.
    pub fleeting_address: Option<String>,
    /// Stopped with its capacity given back, which costs less and may not come back.
    pub released: bool,
}

/// Starting and stopping machines.
pub trait Compute: Send + Sync {
    /// The machines that match, ordered by id; terminated ones are left out. Pages are followed to the end.
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>>;

    /// Asks for start; returns when the request is accepted. Machines that already run are left as they are.
    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()>;

    /// Asks for stop, keeping the machines' capacity and charges; returns when the request is accepted.
    fn stop<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()>;

    /// As [`Compute::stop`], giving the capacity back as far as the cloud knows such a thing: for machines that were [`Machine::released`].
    fn release<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
        self.stop(ids)
    }

    /// The calls behind find, start and stop, for the plan.
    fn calls(&self) -> ComputeCalls;
}

/// Names of the vendor calls behind [`Compute`].
#[derive(Clone, Copy, Debug)]
pub struct ComputeCalls {
    /// Reads the machines.
    pub find: &'static str,
    /// Starts.
    pub start: &'static str,
    /// Stops.
    pub stop: &'static str,
}
