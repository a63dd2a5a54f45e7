//! The record of what really happened and when, for tests: `GET /truth`.

use serde_json::{Value, json};

use crate::model::time::Timestamp;

/// Ground truth of every change, oldest first.
#[derive(Debug, Default)]
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

    /// All entries as JSON lines.
    #[must_use]
    pub fn lines(&self) -> String {
        self.entries.iter().map(|entry| format!("{entry}\n")).collect()
    }
}
