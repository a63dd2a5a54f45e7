//! Every API call an action makes, as the journal records it.
//!
//! The clients of both clouds call [`record`] once an attempt; whoever runs an action wraps it in [`observed`]. A task-local carries the sink,
//! so ports need no extra parameter. It does not cross `tokio::spawn`; actions do not spawn.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Cloud;

/// One attempt of one API call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Which cloud.
    pub cloud: Cloud,
    /// Service and call as the vendor names them, such as `ec2:StartInstances` or `alidns:UpdateDNSSLBWeight`.
    pub operation: String,
    /// The region it was sent to; `global` for Route 53 and Alidns.
    pub region: String,
    /// Whether it can change anything.
    pub mutating: bool,
    /// From 1; above 1 it is a retry by the client.
    pub attempt: u32,
    /// The vendor's request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `ok`, or the vendor's error code, or our kind of error where there is no code.
    pub outcome: String,
    /// Milliseconds from sending to the end of the answer.
    pub elapsed_ms: u64,
}

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
