//! Every API call an action makes, as the journal records it.
//!
//! The clients of both clouds call [`record`] once an attempt; whoever runs an action wraps it in [`observed`]. A task-local carries the sink,
//! so ports need no extra parameter. It does not cross `tokio::spawn`; actions do not spawn.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::{CloudError, Kind};
pub use crate::model::call::{Call, Cloud};

/// The longest that one call takes with its retries, where settings say nothing else. Whatever hangs is left after it.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Takes calls as they end.
pub trait CallSink: Send + Sync {
    /// Called once an attempt, in the task that made the call.
    fn record(&self, call: Call);

    /// Called before a call that may change something is sent. Until [`CallSink::settled`] its task is not cut off: what a call that was sent and
    /// forgotten does, nobody would know when taking back.
    ///
    /// # Errors
    /// Why it must not be sent any more.
    fn sending(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// Called once for each [`CallSink::sending`] that was let through, when the call has ended.
    fn settled(&self) {}
}

tokio::task_local! {
    static SINK: Arc<dyn CallSink>;
    static UNTIL: tokio::time::Instant;
}

/// Runs `future` with `until` as the end of its time: calls that are refused as too many are repeated as long as that.
pub async fn within<F: Future>(until: tokio::time::Instant, future: F) -> F::Output {
    UNTIL.scope(until, future).await
}

/// The end of the time of the surrounding [`within`], if any.
#[must_use]
pub fn until() -> Option<tokio::time::Instant> {
    UNTIL.try_with(|until| *until).ok()
}

/// Runs `future` with every call inside it reported to `sink`.
pub async fn observed<F: Future>(sink: Arc<dyn CallSink>, future: F) -> F::Output {
    SINK.scope(sink, future).await
}

/// Reports a call to the sink of the surrounding [`observed`], if any.
pub fn record(call: Call) {
    let Call { cloud, operation, region, mutating, attempt, request_id, outcome, elapsed_ms } = &call;
    debug!(%cloud, operation, region, changes = mutating, attempt, elapsed_ms, outcome, request_id = request_id.as_deref(), "call");
    // Probes and `plan` read without a sink; their calls are not part of the journal.
    let _ = SINK.try_with(|sink| sink.record(call));
}

/// A call in hand that may change something.
pub struct InHand(Option<Arc<dyn CallSink>>);

/// To be held around every call: from before it is sent until its answer is there. What only reads is always let through.
///
/// # Errors
/// [`Kind::Gated`], never ambiguous, when the run has ended meanwhile: nothing was sent.
pub fn in_hand(cloud: Cloud, operation: &str, mutating: bool) -> Result<InHand, CloudError> {
    let sink = SINK.try_with(Arc::clone).ok().filter(|_| mutating);
    if let Some(sink) = &sink {
        sink.sending().map_err(|why| CloudError::new(cloud, operation, Kind::Gated, format!("not sent: {why}")))?;
    }
    Ok(InHand(sink))
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(sink) = &self.0 {
            sink.settled();
        }
    }
}

/// Milliseconds for [`Call::elapsed_ms`].
#[must_use]
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
