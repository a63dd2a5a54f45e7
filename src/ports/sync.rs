//! Data synchronisation jobs.

use serde::{Deserialize, Serialize};

use super::PortFuture;

/// Whether a job moves data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// On its way to running.
    Starting,
    /// Moving data.
    Running,
    /// On its way to suspended.
    Suspending,
    /// Suspended; can be started where it stopped.
    Suspended,
    /// Any other state; it can be neither started nor suspended.
    Other,
}

/// A job as the cloud describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncJob {
    /// The cloud's job id.
    pub id: String,
    /// Where it is.
    pub state: JobState,
    /// The vendor's own word for it.
    pub status: String,
    /// How far it is behind, milliseconds, when the cloud says.
    pub delay_ms: Option<u64>,
}

/// Suspending and starting jobs.
pub trait Sync: Send + std::marker::Sync {
    /// The job as it is now.
    fn job<'a>(&'a self, id: &'a str) -> PortFuture<'a, SyncJob>;

    /// Suspends (never ends) a job; returns when the request is accepted.
    fn suspend<'a>(&'a self, id: &'a str) -> PortFuture<'a, ()>;

    /// Starts a suspended job where it stopped; returns when the request is accepted.
    fn start<'a>(&'a self, id: &'a str) -> PortFuture<'a, ()>;
}
