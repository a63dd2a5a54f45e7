//! The only place that makes events: number, seal, journal (on stable storage where it must be), then tell whoever watches.
//!
//! A run that has begun does not end with its journal: what cannot be stored is kept in memory, in order, and stored as soon as it can be. Whoever watches
//! is told of that before anything that is not stored.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::{info, warn};

use super::clock::RunClock;
use super::secrets;
use crate::model::chain;
use crate::model::event::{Body, Event};
use crate::model::format::Format;
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

/// Called with every event after it was journalled, in order; while the journal cannot be written, once that was said.
pub type OnEvent = Box<dyn FnMut(&Event) + Send>;

/// What whoever watches hears of the journal itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal<'a> {
    /// It cannot be written; why.
    Failed(&'a str),
    /// It can be written again; so many events that were kept in memory are in it now.
    Written(usize),
}

/// Called when the journal fails, and when it can be written again.
pub type OnJournal = Box<dyn FnMut(Journal<'_>) + Send>;

/// Makes the events of one run.
pub struct Recorder {
    store: Arc<dyn RunStore>,
    owner: Owner,
    run: String,
    clock: RunClock,
    position: u64,
    head: String,
    /// Position of the last event that is stored.
    stored: u64,
    /// What is not, in order.
    unwritten: VecDeque<Unwritten>,
    /// Why the journal cannot be written, while it cannot.
    trouble: Option<RecordError>,
    on_event: OnEvent,
    on_journal: OnJournal,
}

struct Unwritten {
    line: String,
    durable: bool,
}

impl Recorder {
    /// Continues `run` after `position`, whose hash is `head` (0 and the genesis hash for a new run).
    #[must_use]
    pub fn new(store: Arc<dyn RunStore>, owner: Owner, run: String, clock: RunClock, position: u64, head: String, on_event: OnEvent) -> Self {
        let (unwritten, on_journal) = (VecDeque::new(), Box::new(|_: Journal<'_>| {}));
        Self { store, owner, run, clock, position, head, stored: position, unwritten, trouble: None, on_event, on_journal }
    }

    /// Tells whether the journal can be written.
    #[must_use]
    pub fn telling(mut self, on_journal: OnJournal) -> Self {
        self.on_journal = on_journal;
        self
    }

    /// Journals `body` as the next event: on stable storage if [`Body::is_durable`], or, when the journal fails under a run that has begun, in memory
    /// until [`Self::write_down`] succeeds. Nothing may be started while [`Self::trouble`] says so.
    ///
    /// # Errors
    /// When another process owns the run, or its first event cannot be stored.
    pub fn record(&mut self, body: Body) -> Result<(), RecordError> {
        self.record_all(vec![body])
    }

    /// The same of events between which nothing is done: the store makes sure of them once, with the last, and then they are told.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn record_all(&mut self, bodies: Vec<Body>) -> Result<(), RecordError> {
        let (mut made, mut durable) = (Vec::with_capacity(bodies.len()), false);
        let last = bodies.len().saturating_sub(1);
        for (index, body) in bodies.into_iter().enumerate() {
            durable |= body.is_durable();
            let recorded = self.store_next(body, durable && index == last, &mut made);
            if recorded.is_err() {
                self.tell(&mut made);
                return recorded;
            }
        }
        self.tell(&mut made);
        Ok(())
    }

    fn tell(&mut self, made: &mut Vec<Event>) {
        made.drain(..).for_each(|event| (self.on_event)(&event));
    }

    /// Stores the next event, on stable storage if `durable`, and puts it behind those that are not told yet.
    fn store_next(&mut self, mut body: Body, durable: bool, made: &mut Vec<Event>) -> Result<(), RecordError> {
        secrets::hide(&mut body);
        let event = Event {
            v: Format::Journal.current(),
            seq: self.position + 1,
            run: self.run.clone(),
            id: format!("{}-{}-{}", self.run, self.owner.epoch, self.position + 1),
            owner: self.owner.token.clone(),
            epoch: self.owner.epoch,
            at: self.clock.now(),
            body,
        };
        let (line, hash) = chain::seal(&event, &self.head)?;
        if self.trouble.is_some() {
            let durable = event.body.is_durable();
            self.unwritten.push_back(Unwritten { line, durable });
        } else if let Err(error) = self.append(&line, durable) {
            // What nobody has heard of yet does not begin.
            if self.position == 0 || matches!(error, RecordError::Taken { .. }) {
                return Err(error);
            }
            warn!(position = self.position, %error, "journal cannot be written: events are kept in memory");
            // Nobody knows whether those before it are on stable storage either: none is told before this is.
            (self.on_journal)(Journal::Failed(&error.why()));
            self.trouble = Some(error);
            let durable = durable || event.body.is_durable();
            self.unwritten.push_back(Unwritten { line, durable });
        }
        self.position += 1;
        self.head = hash;
        made.push(event);
        Ok(())
    }

    /// Tries to store what could not be. True when everything is stored.
    ///
    /// # Errors
    /// When another process owns the run.
    pub fn write_down(&mut self) -> Result<bool, RecordError> {
        if self.trouble.is_none() {
            return Ok(true);
        }
        let number = self.unwritten.len();
        while let Some(Unwritten { line, durable }) = self.unwritten.pop_front() {
            if let Err(error) = self.append(&line, durable) {
                self.unwritten.push_front(Unwritten { line, durable });
                if matches!(error, RecordError::Taken { .. }) {
                    return Err(error);
                }
                self.trouble = Some(error);
                return Ok(false);
            }
        }
        self.trouble = None;
        info!(events = number, "journal can be written again");
        (self.on_journal)(Journal::Written(number));
        Ok(true)
    }

    /// Why the journal cannot be written, while it cannot.
    #[must_use]
    pub fn trouble(&self) -> Option<&RecordError> {
        self.trouble.as_ref()
    }

    /// Why the journal cannot be written, in the end.
    #[must_use]
    pub fn into_trouble(self) -> Option<RecordError> {
        self.trouble
    }

    /// Why no more space can be set aside for the journal, if so.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.store.shortage(&self.run)
    }

    fn append(&mut self, line: &str, durable: bool) -> Result<(), RecordError> {
        let run = || self.run.clone();
        // Of the last one it may be unknown whether it was stored.
        if matches!(self.trouble, Some(RecordError::Unknown { .. })) && self.store.last(&self.run).is_ok_and(|last| last == self.stored + 1) {
            self.stored += 1;
            return Ok(());
        }
        match self.store.append(&self.run, &self.owner, self.stored, line.as_bytes(), durable) {
            Ok(Appended::Ok(position)) => {
                self.stored = position;
                Ok(())
            }
            Ok(Appended::Conflict(last)) => Err(RecordError::Taken { run: run(), last }),
            Ok(Appended::Unknown) => Err(RecordError::Unknown { run: run() }),
            Err(source) => Err(RecordError::Store { run: run(), source }),
        }
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }
}

impl RecordError {
    /// The cause in one line, as the system says it.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Store { source, .. } => source.source.to_string(),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::model::event::RunEvent;
    use crate::ports::store::LeaseRecord;

    /// Keeps lines in memory, until `room` of them are there.
    #[derive(Default)]
    struct Counting {
        room: Option<usize>,
        lines: Mutex<Vec<bool>>,
    }

    impl RunStore for Counting {
        fn append(&self, _: &str, _: &Owner, expected: u64, _: &[u8], durable: bool) -> Result<Appended, StoreError> {
            let mut lines = self.lines.lock().unwrap();
            assert_eq!(expected, lines.len() as u64);
            if self.room == Some(lines.len()) {
                return Err(StoreError { action: "append to", subject: "it".into(), source: std::io::ErrorKind::StorageFull.into() });
            }
            lines.push(durable);
            Ok(Appended::Ok(lines.len() as u64))
        }

        fn read(&self, _: &str, _: u64) -> Result<Vec<Vec<u8>>, StoreError> {
            Ok(Vec::new())
        }

        fn last(&self, _: &str) -> Result<u64, StoreError> {
            Ok(self.lines.lock().unwrap().len() as u64)
        }

        fn lease_get(&self, _: &str) -> Result<Option<LeaseRecord>, StoreError> {
            Ok(None)
        }

        fn lease_cas(&self, _: &str, _: u64, _: &[u8], _: Duration) -> Result<Option<u64>, StoreError> {
            Ok(None)
        }
    }

    /// Records so many notes at once in a store with this room: which lines were made sure of, and what was heard, in order.
    fn recorded(count: usize, room: Option<usize>) -> (Vec<bool>, Vec<String>) {
        let store = Arc::new(Counting { room, ..Counting::default() });
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (events, journal) = (heard.clone(), heard.clone());
        // Events that are heard before the last is stored are heard too soon.
        let stored = store.clone();
        let on_event = move |event: &Event| {
            let stored = stored.lines.lock().unwrap().len();
            events.lock().unwrap().push(format!("{} of {stored}", event.seq));
        };
        let on_journal = move |_: Journal<'_>| journal.lock().unwrap().push("failed".to_owned());
        let owner = Owner { token: "o".into(), epoch: 1 };
        let recorder = Recorder::new(store.clone(), owner, "r".into(), RunClock::start(), 0, chain::genesis("r"), Box::new(on_event));
        let mut recorder = recorder.telling(Box::new(on_journal));
        let notes = (0..count).map(|number| Body::Run(RunEvent::Note { text: number.to_string() }));
        recorder.record_all(notes.collect()).unwrap();
        assert_eq!(recorder.trouble().is_some(), room.is_some());
        let (lines, heard) = (store.lines.lock().unwrap().clone(), heard.lock().unwrap().clone());
        (lines, heard)
    }

    #[test]
    fn however_many_events_come_at_once_are_made_sure_of_once_and_told_then() {
        for count in [1, 10, 100] {
            let (lines, heard) = recorded(count, None);
            assert_eq!((lines.len(), lines.iter().filter(|durable| **durable).count(), lines.last()), (count, 1, Some(&true)));
            assert_eq!(heard, (1..=count).map(|number| format!("{number} of {count}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_failure_is_told_before_every_event_of_which_it_is_not_known_whether_it_is_stored() {
        let (lines, heard) = recorded(4, Some(2));
        assert_eq!((lines, heard), (vec![false, false], ["failed", "1 of 2", "2 of 2", "3 of 2", "4 of 2"].map(str::to_owned).to_vec()));
    }
}
