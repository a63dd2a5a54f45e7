//! Data synchronisation jobs.

use serde::{Deserialize, Serialize};

use super::PortFuture;

/// Whether a job moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// On its way to running, by itself.
    Starting,
    /// Moving data.
    Running,
    /// Paused, or about to be: the vendor has one word for both. It rests when its checkpoint stands still; see [`SyncJob::checkpoint`].
    Paused,
    /// Any other state, also one that nobody has heard of; it can be neither started nor paused.
    Other,
}

/// A job as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncJob {
    /// The cloud's job id.
    pub id: String,
    /// Where it is.
    pub state: JobState,
    /// The vendor's own word for it, as it came.
    pub status: String,
    /// Up to which moment of the source everything was handed over, in seconds since the epoch, when the cloud says.
    pub checkpoint: Option<i64>,
    /// How far it is behind, milliseconds, when the cloud says.
    pub delay_ms: Option<u64>,
}

/// Pausing and starting jobs.
pub trait Sync: Send + std::marker::Sync {
    /// The job as it is now.
    fn job<'a>(&'a self, id: &'a str) -> PortFuture<'a, SyncJob>;

    /// Pauses (never ends) a job; returns when the request is accepted.
    fn suspend<'a>(&'a self, id: &'a str) -> PortFuture<'a, ()>;

    /// Starts a paused job where it stopped; returns when the request is accepted.
    fn start<'a>(&'a self, id: &'a str) -> PortFuture<'a, ()>;
}
