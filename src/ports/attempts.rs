//! How often a call is sent again, after how long, and until when: one policy for both clouds.
//!
//! A call that was one too many had no effect, and its time will come: it is sent again as long as the step lasts, and each time has the time of a call of
//! its own. Another failure that may be answered by sending again is so a few times, within the time of the call. Which failures may, each cloud says.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::Instant;
use tracing::debug;

use super::{CloudError, calls};

/// The most attempts of one call that fails otherwise than by being one too many.
pub const MOST: u32 = 4;
/// The pause before the second attempt; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(150);
/// The longest pause that nobody asked for.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The least time that an attempt after the first is given. One that is cut off while it is under way tells nothing, and of a change nobody knows then whether it
/// was made, where the failure before it was plain.
const LEAST: Duration = Duration::from_millis(200);

/// The attempts of one call.
#[derive(Debug)]
pub struct Attempts {
    timeout: Duration,
    most: u32,
    deadline: Instant,
    number: u32,
    /// How many of them were refused as one too many.
    throttled: u32,
}

impl Attempts {
    /// Those of a call that may take as long as `timeout`, [`MOST`] or fewer.
    #[must_use]
    pub fn new(timeout: Duration, most: u32) -> Self {
        Self { timeout, most, deadline: Instant::now() + timeout, number: 0, throttled: 0 }
    }

    /// The number of the next attempt, from 1.
    pub const fn begin(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// Waiting for its turn takes nothing from the time of a call.
    pub fn waited(&mut self, waited: Duration) {
        self.deadline += waited;
    }

    /// What is left of the time of the call.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// How long one attempt may take. A call that is not repeated after a timeout has all the time there is.
    #[must_use]
    pub fn patience(&self, is_repeatable: bool) -> Duration {
        if is_repeatable { self.left().min(self.timeout / 2) } else { self.left() }
    }

    /// How long to wait before a call that was one too many is sent again.
    ///
    /// # Errors
    /// The failure itself, when the step has ended by then, or as good as.
    pub fn refused(&mut self, error: CloudError) -> Result<Duration, CloudError> {
        self.throttled += 1;
        let pause = error.retry_after.unwrap_or_else(|| backoff(self.throttled));
        let until = calls::until().unwrap_or(self.deadline);
        let next = Instant::now() + pause;
        if next + LEAST >= until {
            return Err(error);
        }
        self.deadline = (next + self.timeout).min(until);
        debug!(operation = error.operation, attempt = self.number, pause_ms = pause.as_millis(), "sent again: it was one call too many");
        Ok(pause)
    }

    /// How long to wait before a call is sent again that failed otherwise and `may` be.
    ///
    /// # Errors
    /// The failure itself, when it may not be, was often enough, or its time is over by then, or as good as.
    pub fn failed(&self, error: CloudError, may: bool) -> Result<Duration, CloudError> {
        let number = self.number - self.throttled;
        let pause = error.retry_after.unwrap_or_else(|| backoff(number));
        if may && number < self.most && pause + LEAST < self.left() {
            debug!(operation = error.operation, attempt = self.number, pause_ms = pause.as_millis(), %error, "sent again after a failure");
            Ok(pause)
        } else {
            Err(error)
        }
    }
}

/// Half to the whole of a pause that doubles, so that clients that were refused together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let whole = PAUSE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST_PAUSE);
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Cloud, Kind};

    fn error(kind: Kind) -> CloudError {
        CloudError::new(Cloud::Aws, "ec2:StartInstances", kind, "no")
    }

    #[tokio::test]
    async fn a_call_fails_a_few_times_and_is_one_too_many_for_as_long_as_its_step_lasts() {
        let second = Duration::from_secs(1);
        let mut call = Attempts::new(60 * second, MOST);
        for number in 1..=MOST {
            assert_eq!(call.begin(), number);
            assert_eq!(call.failed(error(Kind::Unavailable), true).is_ok(), number < MOST);
        }
        assert!(Attempts::new(60 * second, MOST).failed(error(Kind::Denied), false).is_err());

        calls::within(Instant::now() + 3600 * second, async {
            let mut call = Attempts::new(second, MOST);
            for _ in 0..100 {
                call.begin();
                let pause = call.refused(error(Kind::Throttled)).unwrap();
                assert!(pause <= LONGEST_PAUSE && call.patience(false) >= second, "each time has the time of a call of its own");
            }
            assert!(call.failed(error(Kind::Unavailable), true).is_ok(), "those do not count");
        })
        .await;
        let over = calls::within(Instant::now(), async { Attempts::new(second, MOST).refused(error(Kind::Throttled)).is_err() }).await;
        assert!(over, "its step has ended");
    }

    #[tokio::test]
    async fn an_attempt_that_would_be_cut_off_at_once_is_not_begun() {
        // The shortest pause leaves less than the least.
        let nearly = PAUSE / 2 + LEAST / 2;
        let refused =
            calls::within(Instant::now() + nearly, async { Attempts::new(10 * LEAST, MOST).refused(error(Kind::Throttled)).unwrap_err() }).await;
        assert_eq!(refused.kind, Kind::Throttled);
        assert_eq!(Attempts::new(nearly, MOST).failed(error(Kind::Unavailable), true).unwrap_err().kind, Kind::Unavailable);
    }

    #[tokio::test]
    async fn what_a_service_asks_for_is_waited_for_if_there_is_time() {
        let wish = |seconds| CloudError { retry_after: Some(Duration::from_secs(seconds)), ..error(Kind::Throttled) };
        let mut call = Attempts::new(Duration::from_secs(20), MOST);
        call.begin();
        assert_eq!(call.refused(wish(3)).ok(), Some(Duration::from_secs(3)));
        assert!(call.refused(wish(60)).is_err());
    }
}
