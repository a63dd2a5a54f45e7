//! When the next sample of each probe is due. Open-loop: nothing that happens to a sample moves the next one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

/// The part of an interval by which each probe begins after the one before it: multiples of it fall evenly over the interval, however many there are,
/// so that probes with the same interval do not all send at once.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// The next samples of all probes, which are known by their place in the list.
#[derive(Debug, Default)]
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
    /// Adds the next probe of the list, whose first sample is due less than `every` after `start`.
    pub(super) fn add(&mut self, start: Instant, every: Duration) {
        let probe = self.next.len();
        #[expect(clippy::cast_precision_loss, reason = "where in the interval it begins does not matter that much")]
        let begins = every.mul_f64((probe as f64 * GOLDEN).fract());
        self.next.push(start + begins);
        self.due.push(Reverse((start + begins, probe)));
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
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        (0..1000).for_each(|_| schedule.add(start, EVERY));
        // In no tenth of the interval are there many more than in another.
        for tenth in 1..=10 {
            let sent = all(&mut schedule, start + EVERY * tenth / 10 - Duration::from_nanos(1)).len();
            assert!((95..=105).contains(&sent), "{sent} in tenth {tenth}");
        }
    }

    #[test]
    fn a_late_machine_misses_samples_and_stays_on_the_grid() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        schedule.add(start, EVERY);
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
