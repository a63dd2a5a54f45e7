//! What happened, as the journal holds it: the interface between the engine and everything that watches a run.
//!
//! Two levels, so that an observer matches only the group it cares for. Unknown groups, events and fields are errors (`chain::verify`): an event that is
//! skipped may be the one that says what is still broken. Whoever adds one raises the version of the format (`format::Format::Journal`).
//! Times are strings and monotonic nanoseconds are strings: RFC 8785 keeps integers only up to 2^53.

pub mod probe;
pub mod run;
#[cfg(test)]
pub(crate) mod samples;
pub mod step;

use serde::{Deserialize, Serialize};

use super::format::Version;
use super::time::Timestamp;
pub use probe::ProbeEvent;
pub use run::{Begun, KeptSamples, RunEvent};
pub use step::StepEvent;

/// One event. Only the engine's recorder makes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the format in which its owner wrote it.
    pub v: Version,
    /// Position in the run, from 1, without gaps.
    pub seq: u64,
    /// The run.
    pub run: String,
    /// Unique over all runs.
    pub id: String,
    /// Whose process wrote it.
    pub owner: String,
    /// Counts the owners of the run, from 1.
    pub epoch: u64,
    /// When, in UTC: the wall clock at the start of the process plus monotonic time since, so that it never steps within one owner.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

/// The groups of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Body {
    /// About the run as a whole.
    Run(RunEvent),
    /// About a step or the fault.
    Step(StepEvent),
    /// About a probe.
    Probe(ProbeEvent),
}

impl Body {
    /// Whether the event must be on stable storage before anything follows from it. Readings and single calls ride along with the next one that must.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        match self {
            Self::Run(_) => true,
            Self::Step(event) => !matches!(event.kind, step::StepKind::Call { .. } | step::StepKind::Progress { .. }),
            Self::Probe(event) => matches!(event.kind, probe::ProbeKind::Changed { .. }),
        }
    }
}
