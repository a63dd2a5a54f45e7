//! The states of all probes, for actions that wait for one and for the machine.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
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

/// A shared view of the standings; clones see the same.
#[derive(Clone, Debug)]
pub struct Board {
    receiver: watch::Receiver<BTreeMap<String, Standing>>,
}

impl Board {
    /// A board and the end that updates it.
    #[must_use]
    pub fn new() -> (watch::Sender<BTreeMap<String, Standing>>, Self) {
        let (sender, receiver) = watch::channel(BTreeMap::new());
        (sender, Self { receiver })
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

    /// Waits until `probe` has been in `state` for `lasting`; never returns if that never happens (the step's timeout ends the wait).
    pub async fn wait_for(&self, probe: &str, state: ProbeState, lasting: Duration) {
        let mut receiver = self.receiver.clone();
        loop {
            let since = receiver.borrow_and_update().get(probe).filter(|standing| standing.state == Some(state)).map(|standing| standing.since);
            match since {
                Some(since) if since.elapsed() >= lasting => return,
                Some(since) => {
                    let enough = tokio::time::sleep_until(since + lasting);
                    tokio::select! { () = enough => {}, changed = receiver.changed() => if changed.is_err() { return std::future::pending().await } }
                }
                None => {
                    if receiver.changed().await.is_err() {
                        // The probes ended; the run is ending too.
                        return std::future::pending().await;
                    }
                }
            }
        }
    }
}
