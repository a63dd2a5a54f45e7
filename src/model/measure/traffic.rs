//! Which share of the requests the target got during the shift, and how far DNS had spread.
//!
//! A probe that reads the share says `{"share": 0.85}`, or just the number; one that asks several name servers says
//! `{"servers": {"192.0.2.53:53": {"as_expected": true, "ttl_s": 60}}}`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::phases::Moves;
use crate::model::ids::Part;
use crate::model::interval::{Length, Moment};
use crate::model::state::probe::Reading;
use crate::model::state::{RunState, StepState};
use crate::model::time::Timestamp;

/// All of it, in parts of a million.
pub const ALL: u64 = 1_000_000;

/// From this share on the traffic has moved, in parts of a million.
const MOVED: u64 = 950_000;

/// So many equal answers in a row make a server's new answer count (resolvers of one address may keep several caches).
const EQUAL: usize = 3;

/// The shift as the probe of the plan's `traffic` read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// t_95: from here on the target got at least 95 % of the requests until the recovery was over.
    pub moved: Option<Moment>,
    /// From here on it got all of them: the old side was drained.
    pub drained: Option<Moment>,
    /// What it got last before the recovery was over, in parts of a million.
    pub last: u64,
}

impl Traffic {
    /// Whether the target got enough of the requests at the end.
    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.last >= MOVED
    }
}

/// The share a probe read, in parts of a million; at most all.
#[must_use]
pub fn share(value: &Value) -> Option<u64> {
    let share = value.get("share").unwrap_or(value).as_f64().filter(|share| share.is_finite())?;
    // Between 0 and a million.
    Some((share.clamp(0.0, 1.0) * ALL as f64).round() as u64)
}

/// The shift between `from` and `until`; absent when no probe reads it, or none has.
pub(super) fn traffic(state: &RunState, from: Option<Timestamp>, until: Timestamp) -> Option<Traffic> {
    let standing = state.probes.get(state.plan()?.traffic.as_ref()?)?;
    let readings: Vec<(&Reading, u64)> =
        during(&standing.readings, from?, until).filter_map(|reading| Some((reading, share(&reading.value)?))).collect();
    let since = |least: u64| {
        let low = readings.iter().rposition(|(_, share)| *share < least)?;
        let (first, _) = readings.get(low + 1)?;
        Some(Moment::between(readings[low].0.sent, first.done))
    };
    Some(Traffic { moved: since(MOVED), drained: since(ALL), last: readings.last()?.1 })
}

/// How the change of DNS spread over the servers that one probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// When the provider had accepted the change.
    pub accepted: Timestamp,
    /// Each server with how long it took from then until its first of three new answers in a row, nanoseconds; absent = it had the old one when the recovery
    /// was over, or could not be asked. By name.
    pub servers: BTreeMap<String, Option<Length>>,
    /// The longest TTL that was read before the change, seconds.
    pub ttl_s: Option<u64>,
}

impl Propagation {
    /// The time at which so many per cent of the servers had the new answer, by nearest rank; absent when not so many did.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Length> {
        let mut known: Vec<Length> = self.servers.values().copied().flatten().collect();
        known.sort_by_key(|length| (length.likely, length.hi));
        let rank = (self.servers.len() * percent).div_ceil(100).max(1);
        known.get(rank - 1).copied()
    }

    /// How many servers still had the old answer.
    #[must_use]
    pub fn stale(&self) -> usize {
        self.servers.values().filter(|took| took.is_none()).count()
    }

    /// How many took more than twice the old TTL, or had the old answer still; absent when no TTL is known.
    #[must_use]
    pub fn beyond_ttl(&self) -> Option<usize> {
        let limit = i64::try_from(self.ttl_s?).ok()?.checked_mul(2_000_000_000)?;
        Some(self.servers.values().filter(|took| took.is_none_or(|took| took.lo > limit)).count())
    }
}

/// The spread of the change that moved the traffic, by the probe that saw it. Nothing spreads of what was not changed.
pub(super) fn propagations(state: &RunState, until: Timestamp) -> BTreeMap<String, Propagation> {
    let accepted = dns_change(state, |uses, _| uses.starts_with("dns.")).or_else(|| dns_change(state, |_, moves| moves == Moves::Unknown));
    let Some(accepted) = accepted else { return BTreeMap::new() };
    let of = |readings: &[Reading]| {
        let all: Vec<(&Reading, &serde_json::Map<String, Value>)> =
            readings.iter().filter_map(|reading| Some((reading, reading.value.get("servers")?.as_object()?))).collect();
        let ttl = |value: &Value| value.get("ttl_s")?.as_u64();
        let before = all.iter().filter(|(reading, _)| reading.sent < accepted);
        let ttl_s = before.clone().flat_map(|(_, servers)| servers.values()).filter_map(ttl).max();
        let had_it = |server: &String| before.clone().next_back().is_some_and(|(_, servers)| is_new(servers.get(server)) == Some(true));
        let names: std::collections::BTreeSet<&String> = all.iter().flat_map(|(_, servers)| servers.keys()).collect();
        let servers: BTreeMap<String, Option<Length>> = names
            .into_iter()
            .filter(|server| !had_it(server))
            .map(|server| {
                let told: Vec<(&Reading, bool)> = all
                    .iter()
                    .filter(|(reading, _)| reading.sent <= until)
                    .filter_map(|(reading, servers)| Some((*reading, is_new(servers.get(server))?)))
                    .collect();
                (server.clone(), arrived(&told, accepted))
            })
            .collect();
        (!servers.is_empty()).then_some(Propagation { accepted, servers, ttl_s })
    };
    state.probes.iter().filter_map(|(id, standing)| Some((id.clone(), of(&standing.readings)?))).collect()
}

/// Whether a server gave the answer expected; absent when that could not be told.
fn is_new(value: Option<&Value>) -> Option<bool> {
    value?.get("as_expected")?.as_bool()
}

/// How long after `accepted` the first of [`EQUAL`] new answers came; fewer are enough when there were no more.
fn arrived(told: &[(&Reading, bool)], accepted: Timestamp) -> Option<Length> {
    let first = (0..told.len()).find(|index| {
        let next = &told[*index..told.len().min(index + EQUAL)];
        told[*index].0.done >= accepted && next.iter().all(|(_, new)| *new)
    })?;
    let lo = first.checked_sub(1).map_or(accepted, |before| told[before].0.sent).max(accepted);
    Some(Moment::between(lo, told[first].0.done.max(lo)).since(Moment::exact(accepted)))
}

/// When the last change in the failover was accepted that may have been one of DNS, by its action and what it moves.
fn dns_change(state: &RunState, may_be: impl Fn(&str, Moves) -> bool) -> Option<Timestamp> {
    let accepted = |(key, step): (&String, &StepState)| {
        let (moves, intent) = Moves::of(step).zip(step.intent.as_ref())?;
        step.accepted.or(step.ended).filter(|_| Part::Failover.has(key) && may_be(&intent.uses, moves))
    };
    state.steps.iter().filter_map(accepted).max()
}

fn during(readings: &[Reading], from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Reading> {
    readings.iter().filter(move |reading| reading.done >= from && reading.sent <= until)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    fn reading(sent: i64, value: Value) -> Reading {
        Reading { sent: at(sent), done: at(sent + 5), state: None, value }
    }

    #[test]
    fn shares_are_read_with_or_without_their_name() {
        assert_eq!(share(&json!({ "share": 0.85 })), Some(850_000));
        assert_eq!(share(&json!(1.2)), Some(ALL));
        assert_eq!(share(&json!(-1)), Some(0));
        assert_eq!(share(&json!("much")), None);
    }

    #[test]
    fn a_new_answer_counts_when_it_stays() {
        let told = [(1000, false), (1100, true), (1200, false), (1300, true), (1400, true), (1500, true)];
        let readings: Vec<(Reading, bool)> = told.iter().map(|(sent, new)| (reading(*sent, json!({})), *new)).collect();
        let told: Vec<(&Reading, bool)> = readings.iter().map(|(reading, new)| (reading, *new)).collect();
        let took = arrived(&told, at(1050)).unwrap();
        assert_eq!((took.lo, took.hi), (150_000_000, 255_000_000), "from 1200 sent to 1305 done");
        assert_eq!(arrived(&told[..3], at(1050)), None);
        assert_eq!(arrived(&told[..4], at(1050)).map(|took| took.hi), Some(255_000_000), "there was no time for three");
    }

    #[test]
    fn percentiles_are_by_nearest_rank_over_all_servers() {
        let length = |ms: i64| Some(Length::new(ms * 1_000_000, ms * 1_000_000));
        let servers = [("a", length(100)), ("b", length(300)), ("c", length(5000)), ("d", None)];
        let of = Propagation { accepted: at(0), servers: servers.iter().map(|(name, took)| ((*name).to_owned(), *took)).collect(), ttl_s: Some(2) };
        assert_eq!(of.percentile(50), length(300));
        assert_eq!(of.percentile(75), length(5000));
        assert_eq!(of.percentile(95), None);
        assert_eq!((of.stale(), of.beyond_ttl()), (1, Some(2)));
    }
}
