//! The record of what really happened and when, for tests: `GET /truth`.

use lifeboat_notation::time::Timestamp;
use serde_json::{Value, json};

use super::reach::Reach;
use super::state::State;

/// Ground truth of every change, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    entries: Vec<Value>,
}

impl Truth {
    /// Appends one entry. `fields` must be an object; `what` and `wall` (UTC, nine digits) are added to it.
    pub fn record(&mut self, now: Timestamp, what: &str, fields: Value) {
        let mut entry = json!({ "what": what, "wall": now });
        if let (Some(entry), Value::Object(fields)) = (entry.as_object_mut(), fields) {
            entry.extend(fields);
        }
        self.entries.push(entry);
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Value] {
        &self.entries
    }

    /// All entries as JSON lines.
    #[must_use]
    pub fn lines(&self) -> String {
        self.entries.iter().map(|entry| format!("{entry}\n")).collect()
    }
}

impl State {
    /// Records every service that went down or came up by what was just changed. Called after every transition and when a changed world is unlocked.
    pub fn changed(&mut self) {
        self.record_services(false);
    }

    /// Records what every service is, flipped or not: the first lines of the truth.
    pub(super) fn record_services(&mut self, all: bool) {
        let states: Vec<bool> = self.services.values().map(|service| self.would_serve(&service.host)).collect();
        for (service, up) in self.services.values_mut().zip(states) {
            if all || service.up != up {
                service.up = up;
                let fields = json!({ "service": service.name, "state": if up { "up" } else { "down" } });
                self.truth.record(self.now, "service", fields);
            }
        }
    }

    /// Whether every address that the authority may answer for `host` would serve.
    fn would_serve(&self, host: &str) -> bool {
        let mut addresses = self.served_addresses(host).peekable();
        addresses.peek().is_some() && addresses.all(|address| self.instance_at(address).is_some_and(|instance| self.reach(instance) == Reach::Served))
    }
}
