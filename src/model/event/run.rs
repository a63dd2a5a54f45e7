//! Events about the run as a whole.

use serde::{Deserialize, Serialize};

use crate::model::plan::{Plan, Stage, Verdict};

/// What happened to the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The first event of every journal; a late reader needs nothing else to know what will happen.
    Started {
        /// The plan the run is pinned to.
        plan: Box<Plan>,
        /// SHA-256 of the plan's canonical JSON, lower-case hex.
        plan_sha256: String,
        /// Version of Lifeboat.
        tool: String,
        /// Who started it: the login name, where known.
        operator: String,
        /// The machine it runs on.
        host: String,
        /// Bound of the error of this host's wall clock, milliseconds; absent = not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock_error_ms: Option<f64>,
    },
    /// Another process took the run over.
    Resumed {
        /// Why: `resume` or `abort`.
        to: String,
    },
    /// A stage began.
    Stage {
        /// Which.
        stage: Stage,
    },
    /// The failover was decided.
    Decided {
        /// `automation`, or who.
        by: String,
        /// On what ground.
        basis: String,
    },
    /// No further step starts; with `abort` everything is undone.
    StopRequested {
        /// Whether to undo.
        abort: bool,
        /// Why, in one line.
        why: String,
        /// Who or what: `signal`, `stop-condition`, `lease`, `engine`.
        by: String,
    },
    /// Something a reader of the report must know.
    Note {
        /// One line.
        text: String,
    },
    /// The last event, unless a later `abort` takes back what the run left in place: then `resumed` follows.
    Ended {
        /// What it came to.
        verdict: Verdict,
        /// Why, one line each, most important first.
        reasons: Vec<String>,
    },
    /// From a newer Lifeboat.
    #[serde(other)]
    Unknown,
}
