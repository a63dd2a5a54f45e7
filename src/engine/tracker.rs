//! From samples to edges and states: pure bookkeeping for one probe.

use tokio::time::Instant;

use super::board::Standing;
use super::clock::RunClock;
use super::probe::{Reading, Sample};
use crate::model::event::probe::ProbeKind;
use crate::model::plan::ProbeState;
use crate::model::time::Timestamp;

/// A sample with its own monotonic times.
#[derive(Debug)]
pub struct Taken {
    /// When it was sent.
    pub sent: Instant,
    /// When its answer was complete, or it was given up.
    pub done: Instant,
    /// Whether it was sent more than half an interval after its time.
    pub late: bool,
    /// What it said.
    pub sample: Sample,
}

/// What is known of one probe. Samples must be given in the order in which they were sent.
#[derive(Debug)]
pub struct Tracker {
    clock: RunClock,
    bad_after: u32,
    good_after: u32,
    raw: Option<ProbeState>,
    last_sent: Option<Timestamp>,
    consecutive: u32,
    standing: Option<Standing>,
    good_since: Option<Instant>,
    /// When the last sample that could not tell was sent or due.
    untold: Option<Timestamp>,
    counts: Counts,
}

#[derive(Debug)]
struct Counts {
    from: Timestamp,
    good: u64,
    bad: u64,
    unknown: u64,
    late: u64,
    missed: u64,
}

impl Counts {
    fn since(from: Timestamp) -> Self {
        Self { from, good: 0, bad: 0, unknown: 0, late: 0, missed: 0 }
    }
}

impl Tracker {
    /// Nothing known yet. Both thresholds are at least 1.
    #[must_use]
    pub fn new(clock: RunClock, bad_after: u32, good_after: u32) -> Self {
        Self {
            clock,
            bad_after: bad_after.max(1),
            good_after: good_after.max(1),
            raw: None,
            last_sent: None,
            consecutive: 0,
            standing: None,
            good_since: None,
            untold: None,
            counts: Counts::since(clock.now()),
        }
    }

    /// Takes one sample; returns what is worth an event.
    pub fn take(&mut self, taken: Taken) -> Vec<ProbeKind> {
        let mut events = Vec::new();
        let (sent, done) = (self.clock.at(taken.sent), self.clock.at(taken.done));
        self.counts.late += u64::from(taken.late);
        let state = match taken.sample.reading {
            Reading::Good => Some(ProbeState::Good),
            Reading::Bad => Some(ProbeState::Bad),
            Reading::Unknown => None,
        };
        if let Some(value) = taken.sample.value {
            events.push(ProbeKind::Reading { sent, done, state, value });
        }
        let Some(state) = state else {
            // It neither confirms nor denies: counts go on, edges and streaks stay.
            self.counts.unknown += 1;
            self.untold = Some(sent);
            return events;
        };
        match state {
            ProbeState::Good => self.counts.good += 1,
            ProbeState::Bad => self.counts.bad += 1,
        }
        if self.raw == Some(state) {
            self.consecutive = self.consecutive.saturating_add(1);
        } else {
            // The edge lies between the last sample of the old kind and this one; for the very first sample only its own time is known.
            if self.raw.is_some() || state == ProbeState::Bad {
                let lo = self.last_sent.unwrap_or(sent);
                let likely = Some(likely(state, lo, sent, done));
                events.push(ProbeKind::Edge { to: state, lo, hi: done, likely, after: self.consecutive, detail: taken.sample.detail.clone() });
            }
            self.raw = Some(state);
            self.consecutive = 1;
            self.good_since = (state == ProbeState::Good).then_some(taken.done);
        }
        self.last_sent = Some(sent);
        let needed = match state {
            ProbeState::Good => self.good_after,
            ProbeState::Bad => self.bad_after,
        };
        let confirmed = self.standing.as_ref().and_then(|standing| standing.state);
        if confirmed != Some(state) && self.consecutive >= needed {
            events.push(ProbeKind::Changed { state, detail: taken.sample.detail.clone() });
            self.standing = Some(Standing { state: Some(state), since: taken.done, good_since: self.good_since, detail: taken.sample.detail });
        } else {
            let standing = self.standing.get_or_insert_with(|| Standing { state: None, since: taken.done, good_since: None, detail: String::new() });
            standing.good_since = self.good_since;
            standing.detail = taken.sample.detail;
        }
        events
    }

    /// Counts samples that were never sent.
    pub fn miss(&mut self, count: u64) {
        if count > 0 {
            self.counts.missed += count;
            self.untold = Some(self.clock.now());
        }
    }

    /// What is known now; `None` before the first sample that could tell.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// What the last sample that could tell said.
    #[must_use]
    pub const fn raw(&self) -> Option<ProbeState> {
        self.raw
    }

    /// The counts since the last tally; begins a new one.
    pub fn tally(&mut self) -> ProbeKind {
        let to = self.clock.now();
        let counts = std::mem::replace(&mut self.counts, Counts::since(to));
        ProbeKind::Tally {
            from: counts.from,
            to,
            good: counts.good,
            bad: counts.bad,
            unknown: counts.unknown,
            late: counts.late,
            missed: counts.missed,
            told: self.last_sent,
            untold: self.untold,
        }
    }
}

/// Where an edge most likely is, between the last sample of the old kind, sent at `before`, and the first of the new kind, sent at `sent` and done at
/// `done`.
///
/// What goes down does so before a request arrives, however long that one then hangs. What comes up often answers those that waited for it, all at
/// once: then the answer tells the moment, not the request.
fn likely(to: ProbeState, before: Timestamp, sent: Timestamp, done: Timestamp) -> Timestamp {
    let half = std::time::Duration::from_nanos(u64::try_from(sent.nanos_since(before) / 2).unwrap_or(0));
    match to {
        ProbeState::Bad => before.plus(half),
        ProbeState::Good => Timestamp::from_nanos(done.as_nanos().saturating_sub(sent.nanos_since(before).max(0) / 2)).max(before),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn feed(tracker: &mut Tracker, samples: &[(u64, u64, bool)]) -> Vec<ProbeKind> {
        let start = tracker.clock.instant(Duration::ZERO);
        let at = |ms: u64| start + Duration::from_millis(ms);
        samples
            .iter()
            .flat_map(|(sent, done, good)| {
                let sample = if *good { Sample::good("ok") } else { Sample::bad("no") };
                tracker.take(Taken { sent: at(*sent), done: at(*done), late: false, sample })
            })
            .collect()
    }

    #[test]
    fn edges_span_from_the_last_old_sample_sent_to_the_first_new_one_done() {
        let clock = RunClock::start();
        let mut tracker = Tracker::new(clock, 2, 2);
        let events =
            feed(&mut tracker, &[(0, 5, true), (100, 105, true), (200, 1200, false), (300, 1300, false), (400, 410, true), (500, 510, true)]);
        let ms = |ms: u64| clock.at(clock.instant(Duration::from_millis(ms)));
        let edges: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ProbeKind::Edge { to, lo, hi, likely, after, .. } => Some((*to, *lo, likely.unwrap(), *hi, *after)),
                _ => None,
            })
            .collect();
        assert_eq!(edges, [(ProbeState::Bad, ms(100), ms(150), ms(1200), 2), (ProbeState::Good, ms(300), ms(360), ms(410), 2)]);
        let changes: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ProbeKind::Changed { state, .. } => Some(*state),
                _ => None,
            })
            .collect();
        assert_eq!(changes, [ProbeState::Good, ProbeState::Bad, ProbeState::Good]);
    }

    #[test]
    fn one_bad_sample_is_an_edge_but_no_change_and_restarts_the_good_run() {
        let clock = RunClock::start();
        let mut tracker = Tracker::new(clock, 2, 1);
        feed(&mut tracker, &[(0, 1, true), (10, 11, false), (20, 21, true)]);
        let standing = tracker.standing().unwrap();
        assert_eq!(standing.state, Some(ProbeState::Good));
        assert_eq!(standing.good_since, Some(clock.instant(Duration::from_millis(21))));
    }

    #[test]
    fn unknown_samples_are_counted_and_change_nothing() {
        let mut tracker = Tracker::new(RunClock::start(), 1, 1);
        feed(&mut tracker, &[(0, 1, true)]);
        let now = Instant::now();
        assert!(tracker.take(Taken { sent: now, done: now, late: true, sample: Sample::unknown("?") }).is_empty());
        assert!(matches!(tracker.tally(), ProbeKind::Tally { good: 1, bad: 0, unknown: 1, late: 1, .. }));
    }
}
