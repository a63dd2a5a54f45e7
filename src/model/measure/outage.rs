//! Outages: from the edge that began the bad samples to the edge that began the good ones.

use crate::model::interval::{Length, MILLISECOND, Moment};
use crate::model::plan::{Mode, ProbePlan, ProbeState};
use crate::model::state::{ProbeStanding, RunState};
use crate::model::time::Timestamp;

use super::criteria::Measured;

/// One outage as a probe saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When it began: last good sample sent … first bad sample done.
    pub down: Moment,
    /// What `down` comes from.
    pub basis: Basis,
    /// When it was confirmed by the probe's `bad_after`-th bad sample.
    pub confirmed: Timestamp,
    /// When it ended: last bad sample sent … first of the good samples done; absent when it did not.
    pub up: Option<Moment>,
    /// How long it lasted at least, when it did not end, or not before the recovery was over: from the first bad sample done to the last one sent.
    pub censored: Option<i64>,
    /// Nanoseconds by which its length may be off beyond its edges: another process took over in between, or the probe compares this machine's clock with that of
    /// a store, which tells times in steps.
    pub clock: i64,
}

/// What the beginning of an outage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Two samples, one good, one bad.
    Edge,
    /// Somebody said so (`--since`).
    Declared,
    /// It was down when the probe began: the true outage is longer.
    AlreadyDown,
}

impl Outage {
    /// Recovery time: restored by the failover. A service that came back only because the fault was taken out was not recovered; for it this is a lower bound.
    #[must_use]
    pub fn rta(&self) -> Measured {
        self.censored.map_or_else(|| self.duration(), Measured::AtLeast)
    }

    /// How long it lasted, by whatever means it ended.
    #[must_use]
    pub fn duration(&self) -> Measured {
        match self.up {
            Some(up) if self.basis == Basis::AlreadyDown => Measured::AtLeast(up.since(self.down).widened(self.clock).lo),
            Some(up) => Measured::Known(up.since(self.down).widened(self.clock)),
            None => Measured::AtLeast(self.censored.unwrap_or(0)),
        }
    }
}

/// All outages a probe saw, in order. An outage is `bad_after` bad samples; it lasts until `good_after` good ones, so that neither a single bad sample nor a single good one counts.
/// Bad samples before it without `good_after` good ones between belong to it, as far back as `from`.
#[must_use]
pub fn outages(standing: &ProbeStanding, probe: &ProbePlan, from: Timestamp) -> Vec<Outage> {
    let edges = &standing.edges;
    let latest = |to: ProbeState, by: Timestamp| edges.iter().rposition(|edge| edge.to == to && edge.moment.hi <= by);
    let mut found = Vec::new();
    let mut changes = standing.changes.iter().peekable();
    while let Some((state, confirmed)) = changes.next() {
        if *state == ProbeState::Good {
            continue;
        }
        let (down, basis) = match latest(ProbeState::Bad, *confirmed) {
            Some(mut index) => {
                while index >= 2 && edges[index - 2].moment.hi >= from && !recovered_between(standing, index, probe) {
                    index -= 2;
                }
                (edges[index].moment, Basis::Edge)
            }
            None => (Moment::exact(standing.initial.map_or(*confirmed, |(_, at)| at)), Basis::AlreadyDown),
        };
        let up = match changes.peek() {
            Some((_, good)) => latest(ProbeState::Good, *good),
            // Good again but not yet confirmed when everything ended.
            None => edges.len().checked_sub(1).filter(|last| edges[*last].to == ProbeState::Good),
        };
        let up = up.map(|index| edges[index].moment).filter(|up| up.lo >= down.lo);
        found.push(Outage { down, basis, confirmed: *confirmed, up, censored: None, clock: 0 });
    }
    found
}

/// Whether the good samples before the edge at `index` were as many as `good_after`, or, where another process has seen some of them, were confirmed.
fn recovered_between(standing: &ProbeStanding, index: usize, probe: &ProbePlan) -> bool {
    let [good, bad] = [index - 1, index].map(|index| &standing.edges[index]);
    let confirmed = |(state, at): &(ProbeState, Timestamp)| *state == ProbeState::Good && (good.moment.hi..=bad.moment.hi).contains(at);
    bad.after >= probe.good_after || standing.changes.iter().any(confirmed)
}

/// For how long a service was bad in the whole run, between two bounds in nanoseconds: the sum of its outages. One that did not end counts at most until `end`.
pub(super) fn bad_time(standing: &ProbeStanding, probe: &ProbePlan, from: Timestamp, end: Timestamp) -> Length {
    let (mut lo, mut hi) = (0_i64, 0_i64);
    for outage in outages(standing, probe, from) {
        let bounds = match outage.up {
            Some(up) => up.since(outage.down),
            None => Length::new(bad_until(standing, &outage, end).nanos_since(outage.down.hi), end.nanos_since(outage.down.lo)),
        };
        (lo, hi) = (lo.saturating_add(bounds.lo), hi.saturating_add(bounds.hi));
    }
    Length::new(lo, hi)
}

/// The outage of one probe that belongs to the disruption: from the first that began in `[from, until]` to the end of the last.
pub(super) fn of_disruption(state: &RunState, probe: &ProbePlan, from: Timestamp, until: Timestamp) -> Option<Outage> {
    let plan = state.plan()?;
    let standing = state.probes.get(&probe.id)?;
    let mut all =
        outages(standing, probe, from).into_iter().filter(|outage| outage.confirmed >= from && outage.down.hi >= from && outage.down.hi <= until);
    let mut outage = all.next()?;
    if let Some(last) = all.next_back() {
        outage.up = last.up;
    }
    if plan.mode == Mode::Emergency && outage.basis == Basis::AlreadyDown {
        let start = state.start.as_ref().map_or(from, |start| start.at);
        (outage.down, outage.basis) = match plan.since {
            Some(since) => (Moment::exact(since), Basis::Declared),
            None => (Moment::between(start.min(outage.down.hi), outage.down.hi), Basis::AlreadyDown),
        };
    }
    let end = outage.up.map_or(until, |up| up.hi);
    let was_taken_over = state.resumed.iter().any(|takeover| takeover.at > outage.down.hi && takeover.at <= end.max(until));
    let declared = outage.basis == Basis::Declared;
    outage.clock = blur(state, standing);
    if was_taken_over || declared {
        outage.clock = outage.clock.saturating_add(two_clocks(state));
    }
    if outage.up.is_none_or(|up| up.hi > until) {
        let bad_until = bad_until(standing, &outage, until);
        outage.censored = Some(Length::new(bad_until.nanos_since(outage.down.hi), i64::MAX).widened(outage.clock).lo);
    }
    Some(outage)
}

/// The latest moment, at most `until`, at which the service is known to have been bad still: a bad sample was sent then.
fn bad_until(standing: &ProbeStanding, outage: &Outage, until: Timestamp) -> Timestamp {
    let seen = match outage.up {
        // The last bad sample that is known of was sent then.
        Some(up) => up.lo,
        None => standing.told_until(until).unwrap_or(outage.confirmed),
    };
    seen.min(until)
}

/// By how much the clocks of two machines, or of one at two times, may differ, in nanoseconds: twice the bound of this one's error, for each is taken to be as
/// good as the other. 0 where no bound is recorded.
pub(super) fn two_clocks(state: &RunState) -> i64 {
    let error_ms = state.start.as_ref().and_then(|start| start.clock_error_ms).filter(|error| error.is_finite() && *error > 0.0).unwrap_or(0.0);
    // At most an hour: what is beyond is not a clock.
    std::time::Duration::from_secs_f64((2.0 * error_ms / 1000.0).min(3600.0)).as_nanos().try_into().unwrap_or(0)
}

/// By how much what a probe reads may be off, in nanoseconds: its values say in what steps the times are told that it compares (`resolution_ms`), and by an `age_ms`
/// that those are of two machines' clocks.
pub(super) fn blur(state: &RunState, standing: &ProbeStanding) -> i64 {
    let values = || standing.readings.iter().map(|reading| &reading.value);
    let steps = values().filter_map(|value| value.get("resolution_ms")?.as_u64()).max().unwrap_or(0);
    let clocks = if values().any(|value| value.get("age_ms").is_some()) { two_clocks(state) } else { 0 };
    i64::try_from(steps).unwrap_or(i64::MAX).saturating_mul(MILLISECOND).saturating_add(clocks)
}
