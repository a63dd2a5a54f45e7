//! What is known of one probe after some events.

use serde_json::Value;

use crate::model::event::probe::ProbeKind;
use crate::model::plan::ProbeState;
use crate::model::time::Timestamp;

/// Where a probe stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeStanding {
    /// The confirmed state (`bad_after`, `good_after` reached); absent until there is one.
    pub confirmed: Option<ProbeState>,
    /// Since when it is confirmed.
    pub changed: Option<Timestamp>,
    /// What the samples say now, confirmed or not; absent until known.
    pub raw: Option<ProbeState>,
    /// The latest raw edge.
    pub edge: Option<Edge>,
    /// What the sample of the latest edge or change said.
    pub detail: String,
    /// The latest value read.
    pub value: Option<Value>,
    /// Counts of its samples so far, as tallied.
    pub tally: Tally,
}

/// A raw change of what the samples say: it happened between `lo` and `hi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What they say from here on.
    pub to: ProbeState,
    /// When the last sample of the old kind was sent.
    pub lo: Timestamp,
    /// When the first sample of the new kind was done.
    pub hi: Timestamp,
    /// What that sample said.
    pub detail: String,
}

/// Counts of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
    /// Those that could not tell.
    pub unknown: u64,
    /// Those sent more than half an interval late; they are also counted under what they said.
    pub late: u64,
}

impl Tally {
    /// All samples.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.good.saturating_add(self.bad).saturating_add(self.unknown)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_add(other.good),
            bad: self.bad.saturating_add(other.bad),
            unknown: self.unknown.saturating_add(other.unknown),
            late: self.late.saturating_add(other.late),
        }
    }
}

impl ProbeStanding {
    /// Since when the samples are bad, by the latest edge; absent while they are not.
    #[must_use]
    pub fn down_since(&self) -> Option<Timestamp> {
        (self.raw == Some(ProbeState::Bad)).then(|| self.edge.as_ref().filter(|edge| edge.to == ProbeState::Bad).map(|edge| edge.hi).or(self.changed)).flatten()
    }

    pub(super) fn apply(&mut self, at: Timestamp, kind: &ProbeKind) {
        match kind {
            ProbeKind::Edge { to, lo, hi, detail } => {
                self.raw = Some(*to);
                self.detail.clone_from(detail);
                self.edge = Some(Edge { to: *to, lo: *lo, hi: *hi, detail: detail.clone() });
            }
            ProbeKind::Changed { state, detail } => {
                self.confirmed = Some(*state);
                self.raw = self.raw.or(Some(*state));
                self.changed = Some(at);
                self.detail.clone_from(detail);
            }
            ProbeKind::Reading { value, .. } => self.value = Some(value.clone()),
            ProbeKind::Tally { good, bad, unknown, late, .. } => {
                self.tally = self.tally.plus(Tally { good: *good, bad: *bad, unknown: *unknown, late: *late });
            }
            ProbeKind::Unknown => {}
        }
    }
}
