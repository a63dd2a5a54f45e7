//! What earlier runs of the same runbook let expect: how long each step takes, and the whole recovery.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::interval::MILLISECOND;
use super::time::Span;

/// How long something took before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typical {
    /// How many times it was measured.
    pub count: u32,
    /// Half of the times it took so long at most (nearest rank).
    pub median: Span,
    /// Nine times of ten it took so long at most (nearest rank): the longest, up to nine times.
    pub p90: Span,
}

impl Typical {
    /// Of durations in nanoseconds; nothing of none.
    pub(super) fn of(durations: &mut [i64]) -> Option<Self> {
        durations.sort_unstable();
        let count = durations.len();
        let rank = |tenths: usize| {
            let nanos = durations.get((count * tenths).div_ceil(10).saturating_sub(1))?;
            Some(Span::from_millis(u64::try_from(nanos / MILLISECOND).unwrap_or(0)))
        };
        Some(Self { count: u32::try_from(count).unwrap_or(u32::MAX), median: rank(5)?, p90: rank(9)? })
    }
}

/// What is to be expected of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Where the earlier runs took place.
    pub environment: String,
    /// How many there are.
    pub runs: u32,
    /// Every step of the plan that was done before, by key.
    pub steps: BTreeMap<String, Typical>,
    /// The whole recovery; absent when no earlier run recovered, or a step on the way was never done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// Steps of the failover that were never done before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// What is to be expected of the recovery: detection and decision, the longest way through the steps, and until users feel it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// When everything takes as long as it does half of the times.
    pub median: Span,
    /// When everything takes as long as nine times of ten.
    pub p90: Span,
    /// The tightest target of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Span>,
    /// The step on that way whose time varies most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
}

impl Recovery {
    /// Whether the target may be missed.
    #[must_use]
    pub fn is_at_risk(&self) -> bool {
        self.rto.is_some_and(|rto| self.p90 > rto)
    }
}

/// `span` to the second, from ten seconds on; to the tenth of one below.
#[must_use]
pub fn short(span: Span) -> Span {
    let unit = if span.as_millis() >= 10_000 { 1000 } else { 100 };
    Span::from_millis((span.as_millis() + unit / 2) / unit * unit)
}

/// `the recovery takes 14m by the medians of 4 earlier runs in lab, 16m by their 90th percentiles; RTO 15m is at risk, most at failover/await: 3m, 5m`.
impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = format!("{} earlier run{} in {}", self.runs, if self.runs == 1 { "" } else { "s" }, self.environment);
        let Some(recovery) = &self.recovery else {
            write!(f, "no recovery time can be foreseen from {runs}")?;
            return if self.unknown.is_empty() { Ok(()) } else { write!(f, "; never done there: {}", self.unknown.join(", ")) };
        };
        write!(f, "the recovery takes {} by the medians of {runs}, {} by the 90th percentiles", short(recovery.median), short(recovery.p90))?;
        let Some(rto) = recovery.rto else { return Ok(()) };
        if !recovery.is_at_risk() {
            return write!(f, "; RTO {rto}");
        }
        write!(f, "; RTO {rto} is {}", if recovery.median > rto { "out of reach" } else { "at risk" })?;
        let risk = recovery.risk.as_ref().and_then(|key| Some((key, self.steps.get(key)?)));
        risk.map_or(Ok(()), |(key, typical)| write!(f, ", most at {key}: {} and {}", short(typical.median), short(typical.p90)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let of = |all: &[i64]| Typical::of(&mut all.iter().map(|ms| ms * MILLISECOND).collect::<Vec<_>>());
        let typical = |count, median, p90| Some(Typical { count, median: Span::from_millis(median), p90: Span::from_millis(p90) });
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), typical(1, 7, 7));
        assert_eq!(of(&[9, 1, 5]), typical(3, 5, 9));
        assert_eq!(of(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), typical(10, 5, 9));
    }
}
