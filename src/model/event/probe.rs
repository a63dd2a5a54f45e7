//! Events about one probe.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::plan::ProbeState;
use crate::model::time::Timestamp;

/// Something happened to one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeEvent {
    /// Its id.
    pub probe: String,
    /// What.
    #[serde(flatten)]
    pub kind: ProbeKind,
}

/// What happened to the probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ProbeKind {
    /// A raw edge: the first sample that differs from the one sent before it.
    Edge {
        /// What the samples are from here on.
        to: ProbeState,
        /// When the last sample of the old kind was sent.
        lo: Timestamp,
        /// When the first sample of the new kind was done.
        hi: Timestamp,
        /// The most likely moment between the two; absent = their middle.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        likely: Option<Timestamp>,
        /// How many samples of the old kind there had been in a row.
        #[serde(default)]
        after: u32,
        /// What the first sample of the new kind said.
        detail: String,
    },
    /// The probe's state changed: enough consecutive samples said so.
    Changed {
        /// The new state.
        state: ProbeState,
        /// What the last sample said.
        detail: String,
    },
    /// A reading with a value (freshness, lag, a query's number).
    Reading {
        /// When it was sent.
        sent: Timestamp,
        /// When it was done.
        done: Timestamp,
        /// Good, bad, or absent when it could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<ProbeState>,
        /// The probe kind's own value; see its documentation.
        value: Value,
    },
    /// Counts since the last tally, at the end of a stage and of the run.
    Tally {
        /// From.
        from: Timestamp,
        /// To.
        to: Timestamp,
        /// Good samples.
        good: u64,
        /// Bad samples.
        bad: u64,
        /// Samples that could not tell (the resolver or the store did not answer, our own error).
        unknown: u64,
        /// Samples sent more than half an interval after their time.
        late: u64,
        /// Samples that were not sent at all: their time was over before this machine got to them.
        #[serde(default)]
        missed: u64,
        /// When the last sample that could tell was sent, of all so far; absent before the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Timestamp>,
        /// When the last sample that could not tell was sent, or one that was not sent was due, of all so far; absent while there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        untold: Option<Timestamp>,
    },
}
