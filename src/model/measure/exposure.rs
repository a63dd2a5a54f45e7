//! How far a replica fell behind, and whether data is missing or doubled in the end.
//!
//! A probe that measures this reads `{"lag_ms", "missing", "doubled"}`: `lag_ms` is the age, on the source's own clock, of the oldest thing that the replica does not have.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::interval::{Length, MILLISECOND};
use crate::model::plan::{ProbePlan, ProbeState};
use crate::model::state::probe::Reading;
use crate::model::state::{RunState, StepState};
use crate::model::time::Timestamp;

/// What one probe read about a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The largest lag between the fault and the recovery, plus the time in which a larger one could have gone unseen: the recovery point actually reached, RPA.
    pub peak: Length,
    /// When it was read.
    pub at: Timestamp,
    /// Whether it was read before the fault, because nothing could be read afterwards.
    pub before_fault: bool,
    /// The lag read last in the run, milliseconds.
    pub last_ms: u64,
    /// What was missing or doubled at the last reading, what is in flight included.
    pub counts: Counts,
    /// Whether the probe itself called the last reading good: what is missing then is in flight, not lost.
    pub last_good: bool,
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

/// The exposure each lag probe read from `from` (the fault) to `until`.
pub(super) fn exposures(state: &RunState, from: Option<Timestamp>, until: Timestamp) -> BTreeMap<String, Exposure> {
    let probes = state.plan().map_or(&[][..], |plan| &plan.probes);
    let of = |probe: &ProbePlan| {
        let readings: Vec<(&Reading, u64)> =
            state.probes.get(&probe.id)?.readings.iter().filter_map(|reading| Some((reading, lag_ms(&reading.value)?))).collect();
        let (newest, last_ms) = *readings.last()?;
        let every = nanos(probe.every.as_millis());
        let from = from?;
        let during = readings.iter().filter(|(reading, _)| reading.done >= from && reading.sent <= until).rev().max_by_key(|(_, lag)| *lag);
        let (peak, at, before_fault) = match during {
            Some((reading, lag)) => (Length::new(nanos(*lag), nanos(*lag).saturating_add(every)), reading.done, false),
            None => {
                let (reading, lag) = readings.iter().rev().find(|(reading, _)| reading.done < from)?;
                let unseen = from.nanos_since(reading.done).saturating_add(every);
                (Length::new(nanos(*lag), nanos(*lag).saturating_add(unseen)), reading.done, true)
            }
        };
        Some(Exposure { peak, at, before_fault, last_ms, counts: Counts::of(&newest.value), last_good: newest.state == Some(ProbeState::Good) })
    };
    probes.iter().filter_map(|probe| Some((probe.id.clone(), of(probe)?))).collect()
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

/// What was counted as missing or doubled: by every lag probe at its last reading, and by every step whose output says so, in the order of the plan.
#[must_use]
pub fn integrity(state: &RunState, exposures: &BTreeMap<String, Exposure>) -> Vec<Integrity> {
    let read = exposures.iter().map(|(id, exposure)| {
        let missing = exposure.counts.missing.map(|missing| if exposure.last_good { 0 } else { missing });
        Integrity { subject: id.clone(), counts: Counts { missing, ..exposure.counts }, by_step: false }
    });
    let output = |(key, step): (&str, &StepState)| {
        step.output.as_ref().map(|output| Integrity { subject: key.to_owned(), counts: Counts::of(output), by_step: true })
    };
    read.chain(state.ordered().into_iter().filter_map(output))
        .filter(|found| found.counts.missing.is_some() || found.counts.doubled.is_some())
        .collect()
}

/// The lag that a probe read, milliseconds.
#[must_use]
pub fn lag_ms(value: &Value) -> Option<u64> {
    let lag = value.get("lag_ms")?;
    // Never negative, and a fraction of a millisecond is rounded up: the bound must hold.
    lag.as_u64().or_else(|| lag.as_i64().map(|_| 0)).or_else(|| lag.as_f64().filter(|lag| lag.is_finite()).map(|lag| lag.max(0.0).ceil() as u64))
}

fn nanos(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)
}
