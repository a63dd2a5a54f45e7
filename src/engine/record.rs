//! The only place that makes events: number, seal, journal (on stable storage where it must be), then tell whoever watches.

use std::sync::Arc;

use super::clock::RunClock;
use super::secrets;
use crate::model::chain;
use crate::model::event::{Body, Event};
use crate::ports::store::{Appended, Owner, RunStore, StoreError};

/// An event that could not be kept. The run starts nothing more after this.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store failed.
    #[error("the journal of run {run} cannot be written")]
    Store {
        /// The run.
        run: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// Another process owns the run now.
    #[error("run {run} is being written by another process (its journal is at event {last})")]
    Taken {
        /// The run.
        run: String,
        /// Its last position.
        last: u64,
    },
    /// The store could not say whether the event was kept.
    #[error("it is unknown whether the last event of run {run} was stored")]
    Unknown {
        /// The run.
        run: String,
    },
    /// The event has no canonical form.
    #[error("an event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Called with every event after it was journalled, in order.
pub type OnEvent = Box<dyn FnMut(&Event) + Send>;

/// Makes the events of one run.
pub struct Recorder {
    store: Arc<dyn RunStore>,
    owner: Owner,
    run: String,
    clock: RunClock,
    position: u64,
    head: String,
    on_event: OnEvent,
}

impl Recorder {
    /// Continues `run` after `position`, whose hash is `head` (0 and the genesis hash for a new run).
    #[must_use]
    pub fn new(store: Arc<dyn RunStore>, owner: Owner, run: String, clock: RunClock, position: u64, head: String, on_event: OnEvent) -> Self {
        Self { store, owner, run, clock, position, head, on_event }
    }

    /// Journals `body` as the next event. When this returns it is stored, on stable storage if [`Body::is_durable`].
    ///
    /// # Errors
    /// When it is not certain that the event was kept. Nothing may be started after that.
    pub fn record(&mut self, mut body: Body) -> Result<(), RecordError> {
        secrets::hide(&mut body);
        let event = Event {
            v: 1,
            seq: self.position + 1,
            run: self.run.clone(),
            id: format!("{}-{}-{}", self.run, self.owner.epoch, self.position + 1),
            owner: self.owner.token.clone(),
            epoch: self.owner.epoch,
            at: self.clock.now(),
            body,
        };
        let (line, hash) = chain::seal(&event, &self.head)?;
        match self.store.append(&self.run, &self.owner, self.position, line.as_bytes(), event.body.is_durable()) {
            Ok(Appended::Ok(position)) => {
                self.position = position;
                self.head = hash;
                (self.on_event)(&event);
                Ok(())
            }
            Ok(Appended::Conflict(last)) => Err(RecordError::Taken { run: self.run.clone(), last }),
            Ok(Appended::Unknown) => Err(RecordError::Unknown { run: self.run.clone() }),
            Err(source) => Err(RecordError::Store { run: self.run.clone(), source }),
        }
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }
}
