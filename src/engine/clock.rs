//! One run's clock: wall time that never steps, from one reading of the wall clock and monotonic time since.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::time::Timestamp;

/// What the wall clock says: for what others measure by theirs. Moments of a run come from its [`RunClock`].
#[must_use]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The clock of one process's hold of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    started: Instant,
    wall: Timestamp,
}

impl RunClock {
    /// Reads the wall clock, once.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), wall: wall() }
    }

    /// A clock that began at `began` of simulated time, which began when `origin` did.
    #[cfg(test)]
    pub(super) fn simulated(origin: Instant, began: Duration) -> Self {
        Self { started: origin + began, wall: Timestamp::from_nanos(0).plus(began) }
    }

    /// Now, as a moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// A monotonic instant as a moment.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.wall.plus(instant.saturating_duration_since(self.started))
    }

    /// Monotonic time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The monotonic instant that is `since_start` after the start.
    #[must_use]
    pub fn instant(&self, since_start: Duration) -> Instant {
        self.started + since_start
    }

    /// How long after the start an instant is; zero for earlier ones.
    #[must_use]
    pub fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.started)
    }
}
