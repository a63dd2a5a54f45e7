//! What happens later: a queue of changes, each with its moment, applied in order when the world is looked at or its driver wakes.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_notation::time::Timestamp;
use serde_json::json;

use super::state::{InstanceState, RecordKey, Route, ServedRecord, State};

/// A change that was set going and takes effect later.
#[derive(Debug, Clone)]
pub enum Transition {
    /// An instance reaches a state (`Running` also schedules its health, `Stopped` frees it).
    Instance { id: String, to: InstanceState },
    /// A running instance's checks turn to `ok` and its server answers.
    Healthy { id: String },
    /// An auto scaling group looks after an instance of its own that was stopped.
    Scaled { id: String },
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
#[derive(Debug, Clone, Default)]
pub struct Queue {
    by_time: BTreeMap<(Timestamp, u64), Transition>,
    serial: u64,
    revision: u64,
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

    /// Counts up whenever a transition is scheduled, taken back or applied.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Lets the publication of a name that is on its way carry `records`; false when none is.
    pub(super) fn amend_dns(&mut self, name: &RecordKey, newer: &[ServedRecord]) -> bool {
        let on_its_way = self.by_time.values_mut().find_map(|transition| match transition {
            Transition::ServeDns { key, records } if key == name => Some(records),
            _ => None,
        });
        match on_its_way {
            Some(records) => {
                *records = newer.to_vec();
                true
            }
            None => false,
        }
    }

    /// Takes the earliest transition that is due at `now`, with its moment.
    fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Transition)> {
        let entry = self.by_time.first_entry()?;
        let at = entry.key().0;
        if at > now {
            return None;
        }
        self.revision += 1;
        Some((at, entry.remove()))
    }
}

impl State {
    /// Lets `transition` happen `delay` from now; the delay is one of the world file's and is divided by the time scale here.
    pub fn after(&mut self, delay: Duration, transition: Transition) {
        let at = self.now.plus(delay.div_f64(self.scale));
        self.queue.serial += 1;
        self.queue.revision += 1;
        let serial = self.queue.serial;
        self.queue.by_time.insert((at, serial), transition);
    }

    /// Takes back scheduled transitions, such as a start that a stop overtakes.
    pub fn cancel(&mut self, unwanted: impl Fn(&Transition) -> bool) {
        self.queue.revision += 1;
        self.queue.by_time.retain(|_, transition| !unwanted(transition));
    }
}

/// Applies everything that is due at `state.now`, each at its own moment, and after each one records every service that went down or came up.
pub fn settle(state: &mut State) {
    let now = state.now;
    while let Some((at, transition)) = state.queue.take_due(now) {
        state.now = at;
        apply(state, transition);
        state.changed();
    }
    state.now = now;
}

/// One transition at `state.now`. Things that were deleted meanwhile are passed over.
fn apply(state: &mut State, transition: Transition) {
    match transition {
        Transition::Instance { id, to } => state.instance_reached(&id, to),
        Transition::Healthy { id } => state.instance_healthy(&id),
        Transition::Scaled { id } => state.instance_scaled(&id),
        Transition::ChangeInSync { id } => {
            if let Some(change) = state.changes.get_mut(&id) {
                change.in_sync = true;
                state.truth.record(state.now, "dns-change", json!({ "id": id, "status": "INSYNC" }));
            }
        }
        Transition::ServeDns { key, records } => state.dns_served(key, records),
        Transition::ApplyAcl { subnet, acl } => state.acl_applied(&subnet, acl),
        Transition::ApplyRoutes { table, routes } => state.routes_applied(&table, routes),
        Transition::Job { id, status } => state.job_reached(&id, &status),
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::build;
    use super::*;

    #[test]
    fn each_transition_happens_at_its_own_moment_and_in_order() {
        let mut state = build(7, 1.0, 10, Timestamp::from_nanos(0));
        state.after(Duration::from_secs(3), Transition::Job { id: "dtsorders-primary".into(), status: "Initializing".into() });
        state.after(Duration::from_secs(1), Transition::Job { id: "dtsorders-primary".into(), status: "Prechecking".into() });
        state.now = Timestamp::from_nanos(0).plus(Duration::from_secs(60));
        settle(&mut state);
        assert_eq!(state.jobs["dtsorders-primary"].status, "Initializing");
        assert_eq!(state.now, Timestamp::from_nanos(60_000_000_000), "the clock goes on from where it was");
        let walls: Vec<_> = state.truth.entries().iter().filter(|entry| entry["what"] == "job").map(|entry| entry["wall"].clone()).collect();
        assert_eq!(walls, ["1970-01-01T00:00:01.000000000Z", "1970-01-01T00:00:03.000000000Z"]);
    }

    #[test]
    fn the_time_scale_divides_delays() {
        let mut state = build(7, 4.0, 10, Timestamp::from_nanos(0));
        state.after(Duration::from_secs(2), Transition::Healthy { id: "nobody".into() });
        assert_eq!(state.queue.next_at(), Some(Timestamp::from_nanos(500_000_000)));
    }

    #[test]
    fn cancelled_transitions_never_happen() {
        let mut state = build(7, 1.0, 10, Timestamp::from_nanos(0));
        let before = state.queue.revision();
        state.after(Duration::from_secs(1), Transition::Healthy { id: "one".into() });
        state.after(Duration::from_secs(1), Transition::Healthy { id: "two".into() });
        state.cancel(|transition| matches!(transition, Transition::Healthy { id } if id == "one"));
        assert_eq!(state.queue.by_time.len(), 1);
        assert!(state.queue.revision() > before);
    }
}
