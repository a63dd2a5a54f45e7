//! One probe as the watch keeps it: at what pace it samples, what it waits for, what it last told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Report, Watched};
use crate::engine::board::Standing;
use crate::engine::clock::RunClock;
use crate::engine::probe::DynProbe;
use crate::engine::tracker::{Taken, Tracker};
use crate::model::plan::ProbeState;

/// A probe between its samples.
pub(in crate::engine) struct Sampled<W> {
    id: String,
    probe: Arc<dyn DynProbe<W>>,
    timeout: Duration,
    pace: Pace,
    tracker: Tracker,
    /// In the order of their sending: the samples that are not judged yet, because they or one before them have no answer.
    waiting: VecDeque<Option<Taken>>,
    /// How many samples were judged.
    judged: u64,
    /// What was last told of it.
    told: Option<Standing>,
    /// Moments for each of which somebody waits for a good sample that was sent no earlier.
    asked: Vec<Instant>,
}

/// What followed from an answer.
pub(in crate::engine) struct Judged {
    /// What is to be told, if anything.
    pub(in crate::engine) report: Option<Report>,
    /// The next sample must be sent no later than this.
    pub(in crate::engine) hasten: Option<Instant>,
}

impl<W> Sampled<W> {
    pub(in crate::engine) fn new(watched: Watched<W>, clock: RunClock) -> Self {
        let Watched { id, probe, every, while_bad, bad_after, good_after } = watched;
        let timeout = probe.timeout();
        let tracker = Tracker::new(clock, bad_after, good_after);
        Self { id, probe, timeout, pace: Pace::new(every, while_bad), tracker, waiting: VecDeque::new(), judged: 0, told: None, asked: Vec::new() }
    }

    pub(in crate::engine) fn id(&self) -> &str {
        &self.id
    }

    pub(in crate::engine) fn probe(&self) -> (Arc<dyn DynProbe<W>>, Duration) {
        (self.probe.clone(), self.timeout)
    }

    /// Time between the starts of two samples, as it is now.
    pub(in crate::engine) fn every(&self) -> Duration {
        self.pace.every()
    }

    /// The number under which a sample is sent now; `None` if so many are in flight that this machine must be at fault.
    pub(in crate::engine) fn send(&mut self, missed: u64) -> Option<u64> {
        self.tracker.miss(missed);
        let most = self.timeout.as_nanos() / self.pace.fastest().as_nanos() + 2;
        if self.waiting.len() as u128 > most {
            self.tracker.miss(1);
            return None;
        }
        self.pace.spend();
        self.waiting.push_back(None);
        Some(self.judged + self.waiting.len() as u64 - 1)
    }

    /// Takes the answer of sample `number`. What can be judged now goes to `rows`, as of the probe at `place`.
    pub(in crate::engine) fn answered(&mut self, number: u64, taken: Taken, mut row: impl FnMut(&Taken)) -> Judged {
        let place = usize::try_from(number - self.judged).expect("as many samples as fit into memory are in flight");
        self.waiting[place] = Some(taken);
        let mut events = Vec::new();
        while let Some(taken) = self.waiting.pop_front_if(|next| next.is_some()).flatten() {
            self.judged += 1;
            row(&taken);
            events.extend(self.tracker.take(taken));
        }
        let standing = self.tracker.standing();
        let is_bad = self.tracker.raw() == Some(ProbeState::Bad) || standing.is_some_and(|standing| standing.state == Some(ProbeState::Bad));
        let hasten = self.pace.follow(is_bad).then(|| Instant::now() + self.every());
        let is_news = match (&self.told, standing) {
            (Some(told), Some(now)) => {
                // How long a good answer took is news to nobody.
                let why = now.good.is_none() && told.detail != now.detail;
                let since = |of: &Standing| (of.state, of.since, of.good.map(|good| good.since), of.blind_since);
                why || since(told) != since(now)
            }
            (None, now) => now.is_some(),
            (Some(_), None) => false,
        };
        let is_news = self.answers() || is_news;
        if is_news {
            self.told = self.tracker.standing().cloned();
        }
        let report = (is_news || !events.is_empty()).then(|| Report { probe: self.id.clone(), events, standing: self.told.clone() });
        Judged { report, hasten }
    }

    /// Tells of it as soon as there is a good sample that was sent at `after` or later; now, if there is one.
    pub(in crate::engine) fn ask(&mut self, after: Instant) -> Option<Report> {
        self.asked.push(after);
        self.answers().then(|| {
            self.told = self.tracker.standing().cloned();
            Report { probe: self.id.clone(), events: Vec::new(), standing: self.told.clone() }
        })
    }

    /// Whether the latest good sample is one that somebody waits for; nobody does any more then.
    fn answers(&mut self) -> bool {
        let before = self.asked.len();
        if let Some(good) = self.tracker.standing().and_then(|standing| standing.good).filter(|_| before > 0) {
            self.asked.retain(|after| good.last_sent < *after);
        }
        self.asked.len() < before
    }

    /// Its counts since the last time.
    pub(in crate::engine) fn tally(&mut self) -> Report {
        Report { probe: self.id.clone(), events: vec![self.tracker.tally()], standing: None }
    }
}

/// Closer sampling while a probe is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closer {
    /// Time between the starts of two samples then.
    pub every: Duration,
    /// For how long in all of a run.
    pub budget: Duration,
}

/// How often a probe samples.
#[derive(Debug)]
struct Pace {
    steady: Duration,
    closer: Option<Closer>,
    is_close: bool,
}

impl Pace {
    fn new(steady: Duration, closer: Option<Closer>) -> Self {
        Self { steady: steady.max(Duration::from_millis(1)), closer, is_close: false }
    }

    fn every(&self) -> Duration {
        match self.closer {
            Some(closer) if self.is_close && !closer.budget.is_zero() => self.fastest(),
            _ => self.steady,
        }
    }

    fn fastest(&self) -> Duration {
        self.closer.map_or(self.steady, |closer| closer.every.clamp(Duration::from_millis(1), self.steady))
    }

    fn spend(&mut self) {
        let every = self.every();
        if let Some(closer) = self.closer.as_mut().filter(|_| self.is_close) {
            closer.budget = closer.budget.saturating_sub(every);
        }
    }

    /// Whether the pace became faster by this.
    fn follow(&mut self, is_bad: bool) -> bool {
        let before = self.every();
        self.is_close = is_bad;
        self.every() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_faster_while_it_is_bad_and_as_long_as_the_budget_lasts() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(ms(100), Some(Closer { every: ms(10), budget: ms(25) }));
        assert_eq!((pace.every(), pace.follow(true), pace.every()), (ms(100), true, ms(10)));
        assert!(!pace.follow(true));
        for left in [ms(10), ms(10), ms(100)] {
            pace.spend();
            assert_eq!(pace.every(), left);
        }
        assert!(!pace.follow(false) && !pace.follow(true), "nothing is left of the budget");
        let mut plain = Pace::new(ms(100), None);
        assert!(!plain.follow(true));
        assert_eq!(plain.every(), ms(100));
    }
}
