//! Counts markers: from those that were written and those that arrived to how far the survivor is behind, and which markers are missing, doubled or late. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::model::time::Timestamp;

/// Markers after one number up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Not this one.
    pub(crate) after: u64,
    /// This one is the last.
    pub(crate) last: u64,
}

/// What is known of the markers of one series. Numbers begin at 1.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The last number that was given.
    last: u64,
    /// Those being written: since when.
    pending: BTreeMap<u64, Instant>,
    /// Those the source acknowledged and that are above `contiguous`.
    acknowledged: BTreeMap<u64, Acknowledgement>,
    /// Those that are at the survivor and above `contiguous`.
    arrived: BTreeSet<u64>,
    /// Everything acknowledged up to here has arrived.
    contiguous: u64,
    /// The last acknowledged marker up to `contiguous`.
    safe: Option<Acknowledgement>,
    /// The first marker that was acknowledged at all.
    first: Option<Acknowledgement>,
    /// When the survivor was last asked: what was acknowledged later could not be in its answer.
    asked: Option<Instant>,
    count: u64,
    in_doubt: u64,
    late: BTreeSet<u64>,
    /// How many are late that are not in `late` any more.
    late_before: u64,
    doubled: BTreeSet<u64>,
}

/// A marker that the source acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Acknowledgement {
    /// When the marker was committed, by the source's clock.
    committed: Timestamp,
    /// The same by this machine's clock: not before this.
    begun: Instant,
    /// The same by this machine's clock: not after this.
    acknowledged: Instant,
}

/// What the markers tell at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Balance {
    /// From the commit of the newest marker below which nothing is missing at the survivor to that of the newest one that could be there; absent before the
    /// first acknowledgement.
    pub(super) lag: Option<Duration>,
    /// How far the survivor can be behind a source that has gone on committing until now: the time since the newest marker below which nothing is missing.
    /// Absent before the first acknowledgement.
    pub(super) most: Option<Duration>,
    /// Everything acknowledged up to this number has arrived.
    pub(super) contiguous: u64,
    /// Markers that are acknowledged and not at the survivor.
    pub(super) missing: u64,
    /// The missing markers that are older than one that has arrived: replication in order would have brought them.
    pub(super) gaps: u64,
    /// Markers that are at the survivor more than once.
    pub(super) doubled: u64,
    /// Markers that arrived later than the lag allowed, or are missing for longer.
    pub(super) late: u64,
    /// Markers that are acknowledged in all.
    pub(super) acknowledged: u64,
    /// Markers that were written without an answer: they may be there or not, and do not count as missing.
    pub(super) in_doubt: u64,
}

impl Ledger {
    /// The next number to write.
    pub(super) fn begin(&mut self, now: Instant) -> u64 {
        self.last += 1;
        self.pending.insert(self.last, now);
        self.last
    }

    /// The source has it, since `committed` by its clock.
    pub(super) fn acknowledged(&mut self, number: u64, committed: Timestamp, now: Instant) {
        let Some(begun) = self.pending.remove(&number) else { return };
        let written = Acknowledgement { committed, begun, acknowledged: now };
        self.count += 1;
        self.first = Some(self.first.filter(|first| first.committed <= committed).unwrap_or(written));
        self.acknowledged.insert(number, written);
        self.advance();
    }

    /// It was not acknowledged and will not be. One that was is left as it is.
    pub(super) fn given_up(&mut self, number: u64) {
        if self.pending.remove(&number).is_some() {
            self.in_doubt += 1;
            self.advance();
        }
    }

    /// Which markers to look for: those that may be missing, and `again` of those that have arrived.
    pub(super) const fn wanted(&self, again: u64) -> Numbers {
        Numbers { after: self.contiguous.saturating_sub(again), last: self.last }
    }

    /// What the survivor has of those looked for, as it was `asked`.
    pub(super) fn arrived(&mut self, numbers: &[u64], longest: Duration, asked: Instant) {
        for (number, written) in &self.acknowledged {
            if !self.arrived.contains(number) && asked.saturating_duration_since(written.acknowledged) > longest {
                self.late.insert(*number);
            }
        }
        self.asked = self.asked.max(Some(asked));
        let mut seen = BTreeSet::new();
        for number in numbers.iter().copied().filter(|number| (1..=self.last).contains(number)) {
            if !seen.insert(number) {
                self.doubled.insert(number);
            }
            if number > self.contiguous {
                self.arrived.insert(number);
            }
        }
        self.advance();
    }

    /// What the markers tell at one moment.
    pub(super) fn balance(&self, now: Instant) -> Balance {
        let expected = || self.acknowledged.iter().filter(|(_, written)| Some(written.acknowledged) <= self.asked);
        let common = self.safe.or(self.first);
        let missing = || expected().map(|(number, _)| number).filter(|number| !self.arrived.contains(number));
        let newest_there = self.arrived.last().copied().unwrap_or(self.contiguous);
        let lag = || {
            let newest = expected().map(|(_, written)| written.committed).max().filter(|_| missing().next().is_some())?;
            Some(newest.since(common.map_or(newest, |common| common.committed)))
        };
        let lag = self.first.and(self.asked).map(|_| lag().unwrap_or_default());
        Balance {
            lag,
            most: common.map(|common| now.saturating_duration_since(common.begun).max(lag.unwrap_or_default())),
            contiguous: self.contiguous,
            missing: count(missing()),
            gaps: count(missing().filter(|number| **number < newest_there)),
            doubled: count(self.doubled.iter()),
            late: self.late_before + count(self.late.iter()),
            acknowledged: self.count,
            in_doubt: self.in_doubt,
        }
    }

    fn advance(&mut self) {
        loop {
            let next = self.contiguous + 1;
            if next > self.last || self.pending.contains_key(&next) {
                return;
            }
            let arrived = self.arrived.contains(&next);
            match self.acknowledged.get(&next) {
                Some(_) if !arrived => return,
                Some(written) => self.safe = Some(self.safe.filter(|safe| safe.committed >= written.committed).unwrap_or(*written)),
                // In doubt: there or not, it is missed by nobody.
                None => {}
            }
            self.acknowledged.remove(&next);
            self.arrived.remove(&next);
            self.late_before += u64::from(self.late.remove(&next));
            self.contiguous = next;
        }
    }
}

fn count(of: impl Iterator) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

impl Balance {
    /// That the survivor lacks so much, in words.
    pub(super) fn behind(&self, lag: Duration) -> String {
        format!("{:.1} s behind, {} missing", lag.as_secs_f64(), self.missing)
    }

    /// As the value of a sample: what recovery points and losses are read from. While one side cannot be asked there is no lag, only bounds of one.
    pub(super) fn value(&self, source_read: bool, mirror_read: bool) -> Value {
        let millis = |lag: Duration| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        let is_whole = source_read && mirror_read;
        let mut value = json!({
            "lag_ms": self.lag.filter(|_| is_whole).map(millis),
            "source_read": source_read,
            "mirror_read": mirror_read,
            "acknowledged": self.acknowledged,
            "in_doubt": self.in_doubt,
            "missing": self.missing,
            "gaps": self.gaps,
            "doubled": self.doubled,
            "late": self.late,
        });
        if !is_whole {
            // A survivor that cannot be asked may have got everything meanwhile.
            value["lag_at_least_ms"] = json!(if mirror_read { self.lag.map(millis) } else { Some(0) });
            value["lag_at_most_ms"] = json!(self.most.map(millis));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Duration = Duration::from_millis(1000);

    /// A ledger with markers that were committed a second apart, and its clock.
    struct Story {
        ledger: Ledger,
        start: Instant,
        seconds: u64,
    }

    impl Story {
        fn new() -> Self {
            Self { ledger: Ledger::default(), start: Instant::now(), seconds: 0 }
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_secs(self.seconds)
        }

        /// Writes one; whether it is acknowledged.
        fn write(&mut self, acknowledged: bool) -> u64 {
            let number = self.ledger.begin(self.now());
            self.seconds += 1;
            if acknowledged {
                let committed = Timestamp::from_nanos(i64::try_from(self.seconds).unwrap() * 1_000_000_000);
                let now = self.now();
                self.ledger.acknowledged(number, committed, now);
            }
            self.ledger.given_up(number);
            number
        }

        fn read(&mut self, numbers: &[u64]) -> Balance {
            let now = self.now();
            self.ledger.arrived(numbers, ALLOWED, now);
            self.ledger.balance(now)
        }
    }

    #[test]
    fn nothing_missing_is_nothing_behind() {
        let mut story = Story::new();
        assert_eq!(story.ledger.balance(story.start).lag, None);
        story.write(true);
        story.write(true);
        let balance = story.read(&[1, 2]);
        assert_eq!((balance.lag, balance.missing, balance.contiguous, balance.acknowledged), (Some(Duration::ZERO), 0, 2, 2));
    }

    #[test]
    fn the_lag_is_committed_time_below_which_nothing_is_missing() {
        let mut story = Story::new();
        for _ in 0..5 {
            story.write(true);
        }
        // Number 3 was passed over: what came after it does not count.
        let balance = story.read(&[1, 2, 4]);
        assert_eq!((balance.lag, balance.missing, balance.gaps), (Some(Duration::from_secs(3)), 2, 1));
        let balance = story.read(&[1, 2, 3, 4, 5]);
        assert_eq!((balance.lag, balance.missing, balance.gaps), (Some(Duration::ZERO), 0, 0));
        // At the first look 1, 2 and 3 had been there to read for more than a second.
        assert_eq!(balance.late, 3);
    }

    #[test]
    fn what_was_not_acknowledged_is_missed_by_nobody() {
        let mut story = Story::new();
        story.write(true);
        story.write(false);
        story.write(true);
        let balance = story.read(&[1, 3]);
        assert_eq!((balance.lag, balance.missing, balance.gaps, balance.in_doubt, balance.contiguous), (Some(Duration::ZERO), 0, 0, 1, 3));
    }

    #[test]
    fn one_that_is_there_twice_is_doubled_however_late() {
        let mut story = Story::new();
        story.write(true);
        assert_eq!(story.read(&[1]).doubled, 0);
        story.write(true);
        assert_eq!(story.ledger.wanted(100), Numbers { after: 0, last: 2 });
        assert_eq!(story.read(&[1, 1, 2]).doubled, 1);
        assert_eq!(story.read(&[1, 1, 2]).doubled, 1, "counted once");
    }

    #[test]
    fn after_the_source_is_gone_the_lag_is_at_least_what_it_was_and_at_most_what_it_could_be() {
        let mut story = Story::new();
        for _ in 0..3 {
            story.write(true);
        }
        assert_eq!(story.read(&[1]).lag, Some(Duration::from_secs(2)));
        for _ in 0..10 {
            story.write(false);
        }
        let balance = story.read(&[1]);
        assert_eq!((balance.lag, balance.missing, balance.in_doubt), (Some(Duration::from_secs(2)), 2, 10));
        // The first one was committed after its writing began, 13 s ago.
        assert_eq!(balance.most, Some(Duration::from_secs(13)));
        let value = balance.value(false, true);
        assert_eq!(["lag_ms", "lag_at_least_ms", "lag_at_most_ms"].map(|name| value[name].as_u64()), [None, Some(2000), Some(13_000)]);
        assert_eq!(balance.value(true, false)["lag_at_least_ms"], 0);
        assert_eq!(balance.value(true, true)["lag_ms"], 2000);
        // The survivor replays what it had received.
        assert_eq!(story.read(&[1, 2, 3]).lag, Some(Duration::ZERO));
    }

    #[test]
    fn what_was_acknowledged_after_the_survivor_was_asked_is_not_missed_yet() {
        let mut story = Story::new();
        story.write(true);
        let asked = story.now();
        story.write(true);
        story.ledger.arrived(&[1], ALLOWED, asked);
        let balance = story.ledger.balance(asked);
        assert_eq!((balance.lag, balance.missing, balance.late), (Some(Duration::ZERO), 0, 0));
        assert_eq!(story.read(&[1]).missing, 1);
    }

    #[test]
    fn numbers_nobody_wrote_are_passed_over() {
        let mut story = Story::new();
        story.write(true);
        let balance = story.read(&[0, 1, 7, u64::MAX]);
        assert_eq!((balance.contiguous, balance.missing), (1, 0));
    }

    #[test]
    fn one_under_way_holds_nothing_back_that_was_acknowledged() {
        let mut story = Story::new();
        let slow = story.ledger.begin(story.start);
        story.write(true);
        let balance = story.read(&[2]);
        assert_eq!((balance.lag, balance.missing, balance.contiguous), (Some(Duration::ZERO), 0, 0));
        story.ledger.given_up(slow);
        assert_eq!(story.ledger.balance(story.now()).contiguous, 2);
    }
}
