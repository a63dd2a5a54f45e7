//! What a person may ask of a run while it runs: from its terminal, or from another one through `lifeboat ctl`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Start nothing more, leave things as they are.
    Stop,
    /// Start nothing more and undo everything.
    Abort,
    /// Start nothing more for now. What runs goes on; stop conditions, leases and probes do too.
    Pause,
    /// Go on after [`Order::Pause`].
    Unpause,
    /// Do without a step that waits, runs or has failed. Needs a reason.
    Skip {
        /// Its key, such as `failover/shift-dns`.
        step: String,
    },
    /// Try a failed step again.
    Retry {
        /// Its key.
        step: String,
    },
    /// From now on run the steps as their `ungraceful` says: the source side is not to be relied upon.
    Ungraceful,
    /// Answer the question of an approval or a manual step.
    Answer {
        /// The key of the step that asks.
        step: String,
        /// Yes or done; `false` makes the step fail.
        yes: bool,
    },
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop"),
            Self::Abort => f.write_str("abort"),
            Self::Pause => f.write_str("paused"),
            Self::Unpause => f.write_str("going on"),
            Self::Skip { step } => write!(f, "doing without {step}"),
            Self::Retry { step } => write!(f, "trying {step} again"),
            Self::Ungraceful => f.write_str("the source side is given up"),
            Self::Answer { step, yes: true } => write!(f, "yes to {step}"),
            Self::Answer { step, yes: false } => write!(f, "no to {step}"),
        }
    }
}

/// What is asked, by whom and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What.
    #[serde(flatten)]
    pub order: Order,
    /// Who: a login name, or `signal`.
    pub by: String,
    /// Why, in one line; empty where no reason is needed.
    #[serde(default)]
    pub why: String,
}

/// What is known of whoever said something, beside what they said of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The login name of the user from whom it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The fingerprint of the key that signed it, one of the environment's `approvers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Witness {
    /// That it came from this user.
    #[must_use]
    pub fn user(name: impl Into<String>) -> Self {
        Self { user: Some(name.into()), key: None }
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.user.is_none() && self.key.is_none()
    }
}

/// What a step wants to know from people before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked, or what is to be done, in one line.
    pub text: String,
    /// Whether something is to be done by hand; else it is only to be approved.
    pub manual: bool,
    /// How many different people must say yes, at least 1.
    pub approvers: u32,
    /// Who may answer; empty = anyone. Whoever started the run never counts as an approver when more than their own word is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// Whether the one who started the run may answer.
    pub starter: bool,
}
