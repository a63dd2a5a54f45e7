//! What exists in the lab and how it changes by itself.
//!
//! [`state`] holds the things, [`transition`] what happens to them later, [`file`](mod@file) the world file they start from,
//! [`reach`] who can reach whom, [`truth`] the record of what really happened and when.
//! Everything is behind one lock: a call sees the world at one moment.

pub mod clock;
pub mod file;
pub mod reach;
pub mod state;
pub mod transition;
pub mod truth;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use clock::LabClock;
pub use state::State;

/// The simulated world. Cheap to share in an `Arc`.
#[derive(Debug)]
pub struct World {
    /// Real time, stretched by the time scale.
    pub clock: LabClock,
    state: Mutex<State>,
    /// Wakes the driver when an earlier transition than it waits for was scheduled.
    pub(crate) rescheduled: tokio::sync::Notify,
}

impl World {
    /// A world in its initial state.
    #[must_use]
    pub fn new(clock: LabClock, state: State) -> Self {
        Self { clock, state: Mutex::new(state), rescheduled: tokio::sync::Notify::new() }
    }

    /// The world as of now: every transition that is due has happened before the guard is returned.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock means a panic in a handler; the state itself is changed field by field and stays usable.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = self.clock.now();
        transition::settle(&mut state);
        self.rescheduled.notify_one();
        state
    }
}
