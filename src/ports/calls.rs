//! Every API call an action makes, as the journal records it.
//!
//! The clients of both clouds call [`record`] once an attempt; whoever runs an action wraps it in [`observed`]. A task-local carries the sink,
//! so ports need no extra parameter. It does not cross `tokio::spawn`; actions do not spawn.

use std::sync::Arc;
use std::time::Duration;

pub use crate::model::call::Call;

/// Takes calls as they end.
pub trait CallSink: Send + Sync {
    /// Called once an attempt, in the task that made the call.
    fn record(&self, call: Call);
}

tokio::task_local! {
    static SINK: Arc<dyn CallSink>;
}

/// Runs `future` with every call inside it reported to `sink`.
pub async fn observed<F: Future>(sink: Arc<dyn CallSink>, future: F) -> F::Output {
    SINK.scope(sink, future).await
}

/// Reports a call to the sink of the surrounding [`observed`], if any.
pub fn record(call: Call) {
    // Probes and `plan` read without a sink; their calls are not part of the journal.
    let _ = SINK.try_with(|sink| sink.record(call));
}

/// Milliseconds for [`Call::elapsed_ms`].
#[must_use]
pub fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
