//! Where a run's events are kept: append-only, one writer at a time.
//!
//! The embedded store is a file with fsync and flock; a replicated store serves the same engine by implementing the same two traits' worth of calls.

use std::time::Duration;

/// What an append came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// On stable storage at this position (the first event is 1).
    Ok(u64),
    /// Another writer was there first; the run's last position is this.
    Conflict(u64),
    /// It may or may not have been stored; read back before anything else is done.
    Unknown,
}

/// A store that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {subject}")]
pub struct StoreError {
    /// What was being done, such as `append to`.
    pub action: &'static str,
    /// To what: a path or a key.
    pub subject: String,
    /// Why it did not work.
    #[source]
    pub source: std::io::Error,
}

/// A lease as read: who holds it and at which revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Grows with every change.
    pub revision: u64,
    /// The holder's own bytes.
    pub bytes: Vec<u8>,
}

/// Proof of ownership of one run's log: a token that every append carries. A later owner has a greater epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Unique to this process's hold of the run.
    pub token: String,
    /// Counts the owners of the run, from 1.
    pub epoch: u64,
}

/// The event log of runs.
pub trait RunStore: Send + Sync {
    /// Appends one line (without its newline) when the run's last position is `expected`. With `durable` it is on stable storage before this returns.
    ///
    /// # Errors
    /// When the store cannot be written at all; nothing may then be assumed stored.
    fn append(&self, run: &str, owner: &Owner, expected: u64, bytes: &[u8], durable: bool) -> Result<Appended, StoreError>;

    /// Why no more space can be set aside for what the run still has to write, if so: it is time to come to an end while there is room.
    fn shortage(&self, _run: &str) -> Option<String> {
        None
    }

    /// All lines after position `after`.
    ///
    /// # Errors
    /// When the run does not exist or cannot be read.
    fn read(&self, run: &str, after: u64) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The last position, 0 for an empty or absent run.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last(&self, run: &str) -> Result<u64, StoreError>;

    /// The lease under `key`, if any.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn lease_get(&self, key: &str) -> Result<Option<LeaseRecord>, StoreError>;

    /// Sets the lease under `key` if its revision is still `expected` (0 = absent). Returns the new revision, or `None` when somebody else was first.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn lease_cas(&self, key: &str, expected: u64, bytes: &[u8], lifetime: Duration) -> Result<Option<u64>, StoreError>;
}
