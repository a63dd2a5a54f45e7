//! What exists in the lab and how it changes by itself.
//!
//! [`file`](mod@file) is the world file as written, [`check`] what does not fit in it, [`build`](mod@build) makes [`state`] of it, which holds the things;
//! [`transition`] is what happens to them later. A call sees a [`region`] of it.
//! By subject: [`compute`] starts and stops, [`network`] applies ACLs and routes, [`names`] serves DNS, [`sync`] is orders, buckets
//! and their copying, `monitoring` metrics and alarms. [`reach`] says who can reach whom, [`truth`] records what really happened and when, [`view`] is all of it as JSON.
//! Everything is behind one lock: a call sees the world at one moment.

pub mod build;
pub mod calls;
pub mod check;
pub mod clock;
pub mod compute;
pub mod file;
pub(crate) mod monitoring;
pub mod names;
pub mod network;
pub mod reach;
pub mod region;
pub mod state;
pub mod sync;
pub mod tags;
pub mod transition;
pub mod truth;
pub mod view;

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use clock::LabClock;
pub use state::State;

/// The simulated world. Cheap to share in an `Arc`.
#[derive(Debug)]
pub struct World {
    /// Real time, stretched by the time scale.
    pub clock: LabClock,
    state: Mutex<State>,
    /// Wakes the driver when transitions were scheduled, taken back or applied.
    pub(crate) rescheduled: tokio::sync::Notify,
}

impl World {
    /// A world in its initial state.
    #[must_use]
    pub fn new(clock: LabClock, state: State) -> Self {
        Self { clock, state: Mutex::new(state), rescheduled: tokio::sync::Notify::new() }
    }

    /// A second world that is as this one is now and then goes its own way.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::new(self.clock.clone(), State::clone(&self.lock()))
    }

    /// The world as of now: every transition that is due has happened before the guard is returned.
    pub fn lock(&self) -> Guard<'_> {
        // A poisoned lock means a panic in a handler; the state itself is changed field by field and stays usable.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = state.queue.revision();
        // Read behind the lock: `now` never goes back from one holder to the next.
        state.now = self.clock.now();
        transition::settle(&mut state);
        Guard { world: self, state, revision, is_changed: false }
    }
}

/// Exclusive access to the world at one moment. When it is dropped after a change, services that went down or came up are recorded.
#[must_use]
pub struct Guard<'a> {
    world: &'a World,
    state: MutexGuard<'a, State>,
    revision: u64,
    is_changed: bool,
}

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.is_changed = true;
        &mut self.state
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.is_changed {
            self.state.changed();
        }
        if self.state.queue.revision() != self.revision {
            self.world.rescheduled.notify_one();
        }
    }
}
