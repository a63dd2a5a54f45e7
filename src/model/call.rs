//! One API call as the journal keeps it.

pub use lifeboat_notation::cloud::Cloud;
use serde::{Deserialize, Serialize};

impl Call {
    /// Whether it has changed something, or may have although no success was seen. A vendor that answers with an error of the caller's has refused; one that fails
    /// on its own side, or does not answer, has not.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        // Kinds of our own (`ports/error.rs`), and what the vendors call a failure of theirs: `InternalError`, `InternalFailure`, `ServiceUnavailable`, `Unavailable`.
        const UNSURE: [&str; 7] = ["timeout", "transport", "malformed", "unexpected", "internal", "unavailable", "cancelled"];
        let outcome = self.outcome.to_ascii_lowercase();
        self.mutating && (outcome == "ok" || UNSURE.iter().any(|word| outcome.contains(word)))
    }
}

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
