//! The order in which steps have their turn: that in which their needs were met. Whoever has to wait for room keeps the number that it was given.

use std::collections::BTreeMap;

/// Keys of steps by the numbers they were given.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::machine) struct Parked(BTreeMap<u64, String>);

impl Parked {
    pub(super) fn put(&mut self, number: u64, key: String) {
        self.0.insert(number, key);
    }

    /// The one that waits longest.
    pub(super) fn take(&mut self) -> Option<(u64, String)> {
        self.0.pop_first()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The steps whose needs are met and for which there is room, as far as is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready {
    given: u64,
    queue: Parked,
}

impl Ready {
    /// A number for the next in the row.
    pub(super) fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// Has a step wait for its turn behind all others.
    pub(super) fn push(&mut self, key: String) {
        let number = self.number();
        self.queue.put(number, key);
    }

    /// Has one wait that was given a number before.
    pub(super) fn put(&mut self, number: u64, key: String) {
        self.queue.put(number, key);
    }

    pub(super) fn take(&mut self) -> Option<(u64, String)> {
        self.queue.take()
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}
