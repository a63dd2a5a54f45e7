//! How far a replica fell behind, and whether data is missing or doubled in the end.
//!
//! A probe that measures this reads `{"lag_ms", "missing", "doubled"}`: `lag_ms` is how much committed time, on the source's own clock, the replica lacks. A reading without
//! it, or with `"source_read": false`, tells nothing: until the next one that does, the replica may have fallen behind all the while.
//!
//! - `source_newest`, `mirror_contiguous`: when the newest thing of the source, and the newest one below which the replica lacks nothing, were committed.
//! - `lag_at_least_ms`: what a reading without its source says all the same.
//! - `resolution_ms`: in what steps times are told; `age_ms`: that they are of two machines' clocks.
//! - `unseen_ms`, `unseen_at_least_ms`: what the first reading after a blind time found that the replica lacked at most, and at least, while nobody could read the source.

use std::collections::BTreeMap;

use serde_json::Value;

use super::outage::{blur, two_clocks};
use crate::model::interval::{Length, MILLISECOND};
use crate::model::plan::{ProbePlan, ProbeState};
use crate::model::state::probe::Reading;
use crate::model::state::{ProbeStanding, RunState, StepState};
use crate::model::time::Timestamp;

/// What one probe read about a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The recovery point actually reached, RPA: at least the largest lag that was read between the fault and the recovery, at most what it can have grown to between any
    /// two readings.
    pub peak: Length,
    /// The same, had every reading come in its time: what lies beyond is owed to those that are missing.
    pub punctual: i64,
    /// When the largest lag was read.
    pub at: Timestamp,
    /// Whether it was read before the fault, because nothing could be read afterwards.
    pub before_fault: bool,
    /// The lag read last in the run, milliseconds.
    pub last_ms: u64,
    /// What was missing or doubled at the last reading, what is in flight included.
    pub counts: Counts,
}

/// What is missing and what is there twice; absent = not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On the source but not on the replica.
    pub missing: Option<u64>,
    /// More than once on the replica.
    pub doubled: Option<u64>,
}

impl Counts {
    /// The counts in a reading or in a step's output.
    fn of(value: &Value) -> Self {
        let count = |name: &str| value.get(name).and_then(|count| count.as_u64().or_else(|| count.as_array().map(|list| list.len() as u64)));
        Self { missing: count("missing"), doubled: count("doubled").or_else(|| count("duplicates")) }
    }
}

/// One reading that told the lag, in nanoseconds.
struct LagReading<'a> {
    reading: &'a Reading,
    lag: i64,
    /// When the newest thing of the source was committed.
    newest: Option<Timestamp>,
    /// When the newest one was committed below which the replica lacked nothing.
    contiguous: Option<Timestamp>,
}

impl<'a> LagReading<'a> {
    fn of(reading: &'a Reading) -> Option<Self> {
        let time = |name: &str| reading.value.get(name)?.as_str()?.parse::<Timestamp>().ok();
        let lag = nanos(lag_ms(&reading.value)?);
        Some(Self { reading, lag, newest: time("source_newest"), contiguous: time("mirror_contiguous") })
    }

    /// The most that the lag can have been from this reading to the `next`, or to `until`: all the while it may have grown as fast as time goes by, from the commit of the
    /// newest thing that both sides had (the two may be told by clocks that differ by `clocks`). Once the source was read again, from what it held then.
    fn most(&self, next: Option<&Self>, until: Timestamp, clocks: i64) -> i64 {
        let end = next.map_or(until, |next| next.reading.done.min(until));
        let age = self.newest.map_or(0, |newest| self.reading.sent.nanos_since(newest).max(0).saturating_add(clocks));
        let grown = self.lag.saturating_add(end.nanos_since(self.reading.sent).max(0)).saturating_add(age);
        let held = self.contiguous.zip(next.and_then(|next| next.newest)).map(|(contiguous, newest)| newest.nanos_since(contiguous).max(self.lag));
        let found = next.and_then(|next| next.reading.value.get("unseen_ms")?.as_u64()).map(nanos);
        [held, found].into_iter().flatten().fold(grown, i64::min)
    }
}

/// At least how far a replica was behind by a reading, in nanoseconds: what it told, or the bound that it gave without its source; and what it found to have been
/// missing before, while nobody could read the source.
fn least(reading: &Reading) -> Option<i64> {
    let bound = |name: &str| reading.value.get(name)?.as_u64();
    let told = lag_ms(&reading.value).or_else(|| bound("lag_at_least_ms"))?;
    Some(nanos(told.max(bound("unseen_at_least_ms").unwrap_or(0))))
}

/// The exposure each lag probe read from `from` (the fault) to `until`.
pub(super) fn exposures(state: &RunState, from: Option<Timestamp>, until: Timestamp) -> BTreeMap<String, Exposure> {
    let probes = state.plan().map_or(&[][..], |plan| &plan.probes);
    let of = |probe: &ProbePlan| {
        let (standing, from) = (state.probes.get(&probe.id)?, from?);
        let told: Vec<LagReading<'_>> = standing.readings.iter().filter_map(LagReading::of).collect();
        let newest = told.last()?;
        let every = nanos(probe.every.as_millis());
        // From the last reading before the fault on: what it did not see yet belongs to what follows.
        let first = told.iter().rposition(|told| told.reading.done < from).unwrap_or(0);
        let relevant: Vec<&LagReading<'_>> = told.get(first..)?.iter().take_while(|told| told.reading.sent <= until).collect();
        let during = standing.readings.iter().filter(|reading| reading.done >= from && reading.sent <= until);
        let during = during.filter_map(|reading| Some((least(reading)?, reading.done))).rev().max_by_key(|(least, _)| *least);
        let clocks = two_clocks(state);
        let most = relevant.iter().enumerate().map(|(index, one)| one.most(told.get(first + index + 1), until, clocks)).max()?;
        let punctual = relevant.iter().map(|told| told.lag.saturating_add(every)).max()?;
        // Nobody saw what happened before the first reading if that came after the fault.
        let unseen = told.first().map_or(0, |told| told.reading.done.min(until).nanos_since(from)).max(0);
        let (least, likely, at) = match during {
            Some((least, at)) => (least, least.saturating_add(every / 2), at),
            // What it lacked before may have come in time.
            None => (0, told[first].lag, told[first].reading.done),
        };
        let peak = Length::new(least, most.max(unseen)).most_likely(likely).widened(blur(state, standing));
        let last_ms = lag_ms(&newest.reading.value)?;
        let counts = Counts::of(&newest.reading.value);
        Some(Exposure { peak, punctual: punctual.saturating_add(blur(state, standing)), at, before_fault: during.is_none(), last_ms, counts })
    };
    probes.iter().filter_map(|probe| Some((probe.id.clone(), of(probe)?))).collect()
}

/// Whether what a probe read as missing is on its way, not lost: it called that reading good, or one that it sent after the last change (what is missing now is younger), and
/// single bad ones since then confirm nothing.
fn is_in_flight(standing: &ProbeStanding, newest: &Reading, changed: Option<Timestamp>) -> bool {
    let is_good = |reading: &Reading| reading.state == Some(ProbeState::Good);
    let was_good = || standing.readings.iter().any(|reading| is_good(reading) && changed.is_none_or(|changed| reading.sent > changed));
    is_good(newest) || (standing.confirmed != Some(ProbeState::Bad) && was_good())
}

/// When the run was last done with changing something or with taking it back.
fn last_change(state: &RunState) -> Option<Timestamp> {
    let changes = state.steps.values().filter(|step| step.may_have_changed());
    changes.flat_map(|step| [step.accepted, step.ended, step.undo_ended]).flatten().max()
}

/// What somebody counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integrity {
    /// A probe's id or a step's key.
    pub subject: String,
    /// What is missing for good and what is doubled.
    pub counts: Counts,
    /// Whether a step counted it, on purpose and at a time when it had to be right.
    pub by_step: bool,
}

/// What was counted as missing or doubled since the fault: by every lag probe at its last reading, and by every step whose output says so, in the order of the plan.
#[must_use]
pub fn integrity(state: &RunState) -> Vec<Integrity> {
    let changed = last_change(state);
    let probes = super::disrupted_from(state).and(state.plan()).map_or(&[][..], |plan| &plan.probes);
    let read = probes.iter().filter_map(|probe| {
        let standing = state.probes.get(&probe.id)?;
        let newest = standing.readings.iter().rfind(|reading| lag_ms(&reading.value).is_some())?;
        let counts = Counts::of(&newest.value);
        let missing = counts.missing.map(|missing| if is_in_flight(standing, newest, changed) { 0 } else { missing });
        Some(Integrity { subject: probe.id.clone(), counts: Counts { missing, ..counts }, by_step: false })
    });
    let output = |(key, step): (&str, &StepState)| {
        step.output.as_ref().map(|output| Integrity { subject: key.to_owned(), counts: Counts::of(output), by_step: true })
    };
    read.chain(state.ordered().into_iter().filter_map(output))
        .filter(|found| found.counts.missing.is_some() || found.counts.doubled.is_some())
        .collect()
}

/// The lag that a probe read, milliseconds; nothing where its source could not be read.
#[must_use]
pub fn lag_ms(value: &Value) -> Option<u64> {
    if value.get("source_read") == Some(&Value::Bool(false)) {
        return None;
    }
    let lag = value.get("lag_ms")?;
    // Never negative, and a fraction of a millisecond is rounded up: the bound must hold.
    lag.as_u64().or_else(|| lag.as_i64().map(|_| 0)).or_else(|| lag.as_f64().filter(|lag| lag.is_finite()).map(|lag| lag.max(0.0).ceil() as u64))
}

fn nanos(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)
}
