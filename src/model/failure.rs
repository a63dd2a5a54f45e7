//! Why something did not work, as the journal keeps it: an error chain that survives JSON.

use serde::{Deserialize, Serialize};

/// A failure with its causes, outermost first. Holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed, in one line.
    pub message: String,
    /// Why, each in one line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What kind of failure.
    pub kind: FailureKind,
    /// Whether a retry of the same may succeed.
    #[serde(default)]
    pub retry: bool,
    /// Whether it may have taken effect all the same.
    #[serde(default)]
    pub ambiguous: bool,
    /// How long the vendor asked to be left alone, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// What kind of failure, for deciding and for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A cloud refused or did not answer.
    Cloud,
    /// The step ran out of its own time.
    Timeout,
    /// The call succeeded but the effect is not there.
    NoEffect,
    /// Nothing matched what the step should act on.
    NoTargets,
    /// Somebody else changed it meanwhile; left as it is.
    Conflict,
    /// A check said no.
    Check,
    /// Parameters could not be resolved at run time.
    Parameters,
    /// The step was cut off by a stop or an abort.
    Cancelled,
    /// A bug of ours.
    Internal,
}

impl Failure {
    /// A failure without causes that a retry does not help.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), kind, retry: false, ambiguous: false, retry_after_ms: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}
