//! The states of all probes, for actions that wait for one and for the machine.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::model::plan::ProbeState;

/// What is known of one probe now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Confirmed state; `None` until enough samples were taken.
    pub state: Option<ProbeState>,
    /// Since when the confirmed state holds.
    pub since: Instant,
    /// The good samples in a row up to now; `None` while the last one was bad or could not tell.
    pub good: Option<Streak<Instant>>,
    /// Whether the last sample could not tell.
    pub is_unread: bool,
    /// Since when nothing can be told, once as many samples in a row could not tell as would confirm that it is bad.
    pub blind_since: Option<Instant>,
    /// What the last sample said.
    pub detail: String,
}

/// Good samples in a row, none between them that was bad or could not tell. What was good is known of the moments at which they were *sent*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streak<T> {
    /// When the first was sent.
    pub first_sent: T,
    /// When its answer was there.
    pub since: T,
    /// When the latest was sent.
    pub last_sent: T,
    /// When its answer was there.
    pub last_done: T,
}

impl<T: Copy> Streak<T> {
    /// A streak of one sample.
    #[must_use]
    pub const fn of(sent: T, done: T) -> Self {
        Self { first_sent: sent, since: done, last_sent: sent, last_done: done }
    }

    /// The same streak with one more sample.
    #[must_use]
    pub const fn with(self, sent: T, done: T) -> Self {
        Self { last_sent: sent, last_done: done, ..self }
    }

    /// The same streak told by another clock.
    #[must_use]
    pub fn map<U>(self, to: impl Fn(T) -> U) -> Streak<U> {
        Streak { first_sent: to(self.first_sent), since: to(self.since), last_sent: to(self.last_sent), last_done: to(self.last_done) }
    }
}

/// A probe, and the moment from which on a good sample of it is waited for.
pub type Ask = (String, Instant);

/// A shared view of the standings; clones see the same.
#[derive(Clone, Debug)]
pub struct Board {
    receiver: watch::Receiver<BTreeMap<String, Standing>>,
    asks: Arc<OnceLock<mpsc::UnboundedSender<Ask>>>,
}

impl Board {
    /// A board and the end that updates it.
    #[must_use]
    pub fn new() -> (watch::Sender<BTreeMap<String, Standing>>, Self) {
        let (sender, receiver) = watch::channel(BTreeMap::new());
        (sender, Self { receiver, asks: Arc::default() })
    }

    /// What is known of `probe`.
    #[must_use]
    pub fn standing(&self, probe: &str) -> Option<Standing> {
        self.receiver.borrow().get(probe).cloned()
    }

    /// Whether this run has such a probe with at least one sample.
    #[must_use]
    pub fn knows(&self, probe: &str) -> bool {
        self.receiver.borrow().contains_key(probe)
    }

    /// The standings, and when they change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<BTreeMap<String, Standing>> {
        self.receiver.clone()
    }

    /// Where asks go from now on: to whoever takes the samples.
    pub fn connect(&self, asks: mpsc::UnboundedSender<Ask>) {
        // Once is enough: a run has one watch.
        let _ = self.asks.set(asks);
    }

    /// Asks to be told of a probe as soon as there is a good sample of it that was sent at `after` or later.
    pub fn ask(&self, probe: &str, after: Instant) {
        if let Some(asks) = self.asks.get() {
            // Once the sampling has ended there is nothing to be told.
            let _ = asks.send((probe.to_owned(), after));
        }
    }
}
