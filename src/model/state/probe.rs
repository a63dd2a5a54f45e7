//! What is known of one probe after some events.

use serde_json::Value;

use crate::model::event::probe::ProbeKind;
use crate::model::interval::Moment;
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
    /// What the first samples were confirmed to be before there was any edge, and when.
    pub initial: Option<(ProbeState, Timestamp)>,
    /// The raw edges, in order; good and bad alternate.
    pub edges: Vec<Edge>,
    /// The confirmed changes, in order.
    pub changes: Vec<(ProbeState, Timestamp)>,
    /// The readings with a value, in order.
    pub readings: Vec<Reading>,
    /// What the sample of the latest edge or change said.
    pub detail: String,
    /// Counts of its samples so far, as tallied.
    pub tally: Tally,
    /// The single tallies, in order.
    pub tallies: Vec<Counted>,
    /// Whether another process took over since the latest edge or change: its first sample cannot know what the one before it was.
    anew: bool,
}

impl ProbeStanding {
    /// What it said between two times: bad if it was bad at any of them; nothing before its first sample.
    #[must_use]
    pub fn state_between(&self, from: Timestamp, to: Timestamp) -> Option<ProbeState> {
        // The first confirmed state holds from the first sample on; edges move it.
        let first = self.initial.map(|(state, at)| (at, state));
        let opposite = |state: ProbeState| if state == ProbeState::Good { ProbeState::Bad } else { ProbeState::Good };
        let begins = self.tallies.first().map(|counted| counted.from);
        let before = self.edges.first().map(|edge| opposite(edge.to)).or(first.map(|(_, state)| state))?;
        let mut state = (begins.or(first.map(|(at, _)| at))? < to).then_some(before)?;
        let mut worst = state;
        for edge in &self.edges {
            let at = edge.moment.likely;
            if at >= to {
                break;
            }
            if at > from {
                worst = if state == ProbeState::Bad || edge.to == ProbeState::Bad { ProbeState::Bad } else { worst };
            } else {
                worst = edge.to;
            }
            state = edge.to;
        }
        Some(worst)
    }
}

/// A raw change of what the samples say: it happened between `lo` and `hi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// What they say from here on.
    pub to: ProbeState,
    /// When: after the last sample of the old kind was sent and before the first of the new kind was done.
    pub moment: Moment,
    /// How many samples of the old kind its process had seen in a row.
    pub after: u32,
    /// What the first sample of the new kind said.
    pub detail: String,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// When the question was sent.
    pub sent: Timestamp,
    /// When the answer was there.
    pub done: Timestamp,
    /// Good, bad, or absent when it could not be told.
    pub state: Option<ProbeState>,
    /// The probe kind's own value.
    pub value: Value,
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
    /// Those that should have been sent and were not.
    pub missed: u64,
}

/// Samples counted over a part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
    /// How many.
    pub tally: Tally,
    /// When the last sample up to `to` that could tell was sent.
    pub told: Option<Timestamp>,
    /// When the last one that could not tell was sent or due.
    pub untold: Option<Timestamp>,
}

impl Tally {
    /// All samples that there should have been.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.good.saturating_add(self.bad).saturating_add(self.unseen())
    }

    /// Those that say nothing about the service: they could not tell, or were not sent.
    #[must_use]
    pub const fn unseen(self) -> u64 {
        self.unknown.saturating_add(self.missed)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_add(other.good),
            bad: self.bad.saturating_add(other.bad),
            unknown: self.unknown.saturating_add(other.unknown),
            late: self.late.saturating_add(other.late),
            missed: self.missed.saturating_add(other.missed),
        }
    }
}

impl ProbeStanding {
    /// The latest raw edge.
    #[must_use]
    pub fn edge(&self) -> Option<&Edge> {
        self.edges.last()
    }

    /// Since when the confirmed state holds.
    #[must_use]
    pub fn changed(&self) -> Option<Timestamp> {
        self.changes.last().map(|(_, at)| *at)
    }

    /// Since when the samples are bad, by the latest edge; absent while they are not.
    #[must_use]
    pub fn down_since(&self) -> Option<Timestamp> {
        (self.raw == Some(ProbeState::Bad)).then(|| self.edge().map(|edge| edge.moment.hi).or_else(|| self.initial.map(|(_, at)| at))).flatten()
    }

    /// Counts of the samples in the tallies that begin before `until`.
    #[must_use]
    pub fn tally_before(&self, until: Timestamp) -> Tally {
        self.counted_before(until).fold(Tally::default(), |sum, counted| sum.plus(counted.tally))
    }

    /// How many samples said nothing in the tallies that lie, wholly or in part, between `from` and `until`.
    #[must_use]
    pub fn unseen_between(&self, from: Timestamp, until: Timestamp) -> u64 {
        self.counted_before(until).filter(|counted| counted.to > from).fold(0, |sum, counted| sum.saturating_add(counted.tally.unseen()))
    }

    /// Up to when, at most `until`, samples are known to have said what the latest of them said: when the last one that could tell was sent. Absent where nobody counted.
    #[must_use]
    pub fn told_until(&self, until: Timestamp) -> Option<Timestamp> {
        self.counted_before(until).filter_map(|counted| counted.told).max().map(|told| told.min(until))
    }

    /// When the last sample before `until` that could not tell was sent or due.
    #[must_use]
    pub fn untold_before(&self, until: Timestamp) -> Option<Timestamp> {
        self.counted_before(until).filter_map(|counted| counted.untold).max()
    }

    fn counted_before(&self, until: Timestamp) -> impl Iterator<Item = &Counted> {
        self.tallies.iter().filter(move |counted| counted.from < until)
    }

    /// Whether what is known comes from whoever owns the run now, not from a former owner.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        !self.anew
    }

    /// Another process samples from here on.
    pub(super) fn taken_over(&mut self) {
        self.anew = true;
    }

    pub(super) fn apply(&mut self, at: Timestamp, kind: &ProbeKind) {
        match kind {
            ProbeKind::Edge { to, lo, hi, likely, after, detail } => {
                let moment = match (self.known_until().filter(|_| self.anew), likely) {
                    (Some(unseen), _) => Moment::between(unseen, *hi),
                    (None, Some(likely)) => Moment::between(*lo, *hi).most_likely(*likely),
                    (None, None) => Moment::between(*lo, *hi),
                };
                self.edge_to(*to, moment, *after, detail);
                self.anew = false;
            }
            ProbeKind::Changed { state, detail } => {
                match self.raw {
                    None => {
                        self.raw = Some(*state);
                        self.initial = Some((*state, at));
                    }
                    // The first good sample of a new process makes no edge: what changed in between was seen by nobody, at some time since the last edge.
                    Some(raw) if raw != *state => self.edge_to(*state, Moment::between(self.known_until().unwrap_or(at), at), 0, detail),
                    Some(_) => {}
                }
                self.anew = false;
                self.confirmed = Some(*state);
                self.changes.push((*state, at));
                self.detail.clone_from(detail);
            }
            ProbeKind::Reading { sent, done, state, value } => {
                self.readings.push(Reading { sent: *sent, done: *done, state: *state, value: value.clone() });
            }
            ProbeKind::Tally { from, to, good, bad, unknown, late, missed, told, untold } => {
                let tally = Tally { good: *good, bad: *bad, unknown: *unknown, late: *late, missed: *missed };
                self.tally = self.tally.plus(tally);
                self.tallies.push(Counted { from: *from, to: *to, tally, told: *told, untold: *untold });
            }
        }
    }

    fn edge_to(&mut self, to: ProbeState, moment: Moment, after: u32, detail: &str) {
        detail.clone_into(&mut self.detail);
        match self.raw {
            // The very first sample was bad, or the second after an unconfirmed first: since when is not known.
            None if to == ProbeState::Bad => self.initial = Some((to, moment.hi)),
            // Two edges the same way, with a takeover between them, are one: the earlier.
            Some(raw) if raw == to => {}
            _ => self.edges.push(Edge { to, moment, after, detail: detail.to_owned() }),
        }
        self.raw = Some(to);
    }

    /// The latest moment at which the raw state is known for certain.
    fn known_until(&self) -> Option<Timestamp> {
        let told = self.tallies.iter().filter_map(|counted| counted.told).max();
        self.edge().map(|edge| edge.moment.hi).into_iter().chain(self.changed()).chain(told).max()
    }
}
