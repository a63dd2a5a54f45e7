//! The lab's clock: real time; only the world's own delays are scaled.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lifeboat_notation::time::Timestamp;

/// Tells wall time that never steps: the wall clock at start plus monotonic time since.
#[derive(Debug, Clone)]
pub struct LabClock {
    started: Instant,
    wall: i64,
    scale: f64,
}

impl LabClock {
    /// A clock whose world runs `scale` times as fast as its world file says (1 = as written). Clamped to 0.01..=1000.
    #[must_use]
    pub fn start(scale: f64) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        Self { started: Instant::now(), wall, scale: scale.clamp(0.01, 1000.0) }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.wall).plus(self.started.elapsed())
    }

    /// A delay of the world file in real time.
    #[must_use]
    pub fn scaled(&self, delay: Duration) -> Duration {
        delay.div_f64(self.scale)
    }

    /// How long from now until `at`; zero when it is past.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        at.since(self.now())
    }
}
