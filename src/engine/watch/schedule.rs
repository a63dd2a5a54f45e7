//! When the next sample of each probe is due. Open-loop: nothing that happens to a sample moves the next one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

/// The part of an interval by which each probe begins after the one before it: multiples of it fall evenly over the interval, however many there are,
/// so that probes with the same interval do not all send at once.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// About how many samples are due at the same moment where there are many: waking up costs as much as sending, and this many are sent within a part of a
/// millisecond.
const TOGETHER: f64 = 8.0;

/// Where there are few, samples begin at multiples of this.
const COARSEST: Duration = Duration::from_millis(4);

/// How long after the start of the schedule the first sample of each probe is due, less than its interval: of probes with these intervals, in the order of the list.
#[must_use]
pub fn beginnings(intervals: &[Duration]) -> Vec<Duration> {
    let rate: f64 = intervals.iter().map(|every| every.as_secs_f64().recip()).sum();
    let slot = COARSEST.as_secs_f64().min(TOGETHER / rate);
    let begins = |(probe, every): (usize, &Duration)| {
        #[expect(clippy::cast_precision_loss, reason = "where in the interval it begins does not matter that much")]
        let spread = every.as_secs_f64() * (probe as f64 * GOLDEN).fract();
        Duration::from_secs_f64((spread / slot).floor() * slot)
    };
    intervals.iter().enumerate().map(begins).collect()
}

/// The next samples of all probes, which are known by their place in the list.
#[derive(Debug)]
pub(super) struct Schedule {
    /// What is not the next sample of its probe any more is passed over.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    next: Vec<Instant>,
}

/// A sample whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) probe: usize,
    pub(super) at: Instant,
    /// Samples before it whose time is over and that were not sent.
    pub(super) missed: u64,
}

impl Schedule {
    /// Of probes with these intervals, in the order of the list, from `start` on.
    pub(super) fn new(start: Instant, intervals: &[Duration]) -> Self {
        let next: Vec<Instant> = beginnings(intervals).into_iter().map(|after| start + after).collect();
        Self { due: next.iter().enumerate().map(|(probe, at)| Reverse((*at, probe))).collect(), next }
    }

    /// When to look for the next sample.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next sample that is due at `now`; `every` says the interval of a probe. Its next one follows on the same grid; of those whose time is over only
    /// the latest is sent.
    pub(super) fn take(&mut self, now: Instant, every: impl Fn(usize) -> Duration) -> Option<Due> {
        let (at, probe) = loop {
            let Reverse((at, probe)) = *self.due.peek().filter(|next| next.0.0 <= now)?;
            if self.next[probe] == at {
                break (at, probe);
            }
            self.due.pop();
        };
        let every = every(probe);
        let missed = u64::try_from(now.duration_since(at).as_nanos() / every.as_nanos().max(1)).unwrap_or(u64::MAX);
        let at = at + every.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
        self.due.pop();
        self.next[probe] = at + every;
        self.due.push(Reverse((at + every, probe)));
        Some(Due { probe, at, missed })
    }

    /// Moves the next sample of `probe` to `at` if it is due later.
    pub(super) fn hasten(&mut self, probe: usize, at: Instant) {
        if at < self.next[probe] {
            self.next[probe] = at;
            self.due.push(Reverse((at, probe)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(100);

    fn all(schedule: &mut Schedule, now: Instant) -> Vec<Due> {
        std::iter::from_fn(|| schedule.take(now, |_| EVERY)).collect()
    }

    #[test]
    fn probes_of_one_interval_are_spread_over_it() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, &[EVERY; 1000]);
        // In no tenth of the interval are there many more than in another.
        for tenth in 1..=10 {
            let sent = all(&mut schedule, start + EVERY * tenth / 10 - Duration::from_nanos(1)).len();
            assert!((95..=105).contains(&sent), "{sent} in tenth {tenth}");
        }
    }

    #[test]
    fn where_there_are_many_some_are_due_together_and_stay_so() {
        let start = Instant::now();
        for (probes, every, most) in [(20, 10, 10), (400, 100, 12), (10_000, 1000, 12), (20, 1000, 2)] {
            let every = Duration::from_millis(every);
            let mut schedule = Schedule::new(start, &vec![every; probes]);
            for round in 0..3 {
                let mut moments: Vec<(Instant, usize)> = Vec::new();
                for _ in 0..probes {
                    let due = schedule.take(schedule.next().unwrap(), |_| every).unwrap();
                    assert!(due.at >= start + every * round && due.at < start + every * (round + 1));
                    match moments.last_mut() {
                        Some((at, count)) if *at == due.at => *count += 1,
                        _ => moments.push((due.at, 1)),
                    }
                }
                let fullest = moments.iter().map(|(_, count)| *count).max().unwrap();
                assert!(fullest <= most, "{fullest} of {probes} at once");
                assert!(probes < 20 * moments.len(), "{} moments for {probes}", moments.len());
            }
        }
    }

    #[test]
    fn a_late_machine_misses_samples_and_stays_on_the_grid() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, &[EVERY]);
        assert_eq!(all(&mut schedule, start), [Due { probe: 0, at: start, missed: 0 }]);
        assert_eq!(all(&mut schedule, start + Duration::from_millis(370)), [Due { probe: 0, at: start + EVERY * 3, missed: 2 }]);
        assert_eq!(schedule.next(), Some(start + EVERY * 4));
        schedule.hasten(0, start + Duration::from_millis(380));
        schedule.hasten(0, start + Duration::from_millis(390));
        assert_eq!(schedule.next(), Some(start + Duration::from_millis(380)));
        let sent = all(&mut schedule, start + Duration::from_millis(479));
        assert_eq!(sent, [Due { probe: 0, at: start + Duration::from_millis(380), missed: 0 }], "what was due at 400 is not sent as well");
        assert_eq!(all(&mut schedule, start + Duration::from_millis(480)).len(), 1);
    }
}
