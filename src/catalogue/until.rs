//! Waiting for an effect: looking again and again, often enough to see it soon, and no more often than the clouds allow.

use std::time::Duration;

use crate::engine::action::ActionError;

/// Pause before the second look; the first comes at once.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause: what a cloud is done with is known a second later at most. One look a second is a tenth of what Route 53 allows.
const LONGEST: Duration = Duration::from_secs(1);

/// The longest that a cloud which asks for patience is given.
const PATIENCE: Duration = Duration::from_secs(15);

/// Looks that may fail one after another, when a retry can help, before the wait is given up. The clients retry by themselves before that.
const FAILURES: u32 = 5;

/// The pauses between looks, growing.
struct Pace {
    next: Duration,
    longest: Duration,
}

impl Pace {
    fn new(longest: Duration) -> Self {
        Self { next: FIRST.min(longest), longest }
    }

    fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 5 / 4).min(self.longest);
        pause
    }
}

/// Calls `look` until it gives something, with growing pauses. A look that fails with an error that a retry may cure does not end the wait until
/// it has happened five times in a row. There is no deadline: the step's timeout ends the wait by dropping it.
pub(crate) async fn until<T, Look, Looking>(look: Look) -> Result<T, ActionError>
where
    Look: FnMut() -> Looking,
    Looking: Future<Output = Result<Option<T>, ActionError>>,
{
    until_at_most(LONGEST, look).await
}

/// As [`until`], for calls with a tighter quota: the pause grows to `longest`.
pub(crate) async fn until_at_most<T, Look, Looking>(longest: Duration, mut look: Look) -> Result<T, ActionError>
where
    Look: FnMut() -> Looking,
    Looking: Future<Output = Result<Option<T>, ActionError>>,
{
    let mut pace = Pace::new(longest);
    let mut failures = 0;
    loop {
        let mut pause = pace.pause();
        match look().await {
            Ok(Some(seen)) => return Ok(seen),
            Ok(None) => failures = 0,
            Err(ActionError::Cloud(error)) if error.retry && failures + 1 < FAILURES => {
                failures += 1;
                pause = error.retry_after.unwrap_or(LONGEST).clamp(pause, PATIENCE);
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause / HURRY).await;
    }
}

/// Tests of actions wait a hundredth.
const HURRY: u32 = if cfg!(test) { 100 } else { 1 };

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ports::{Cloud, CloudError, Kind};

    #[test]
    fn what_is_there_is_seen_within_a_second_and_asked_for_sparingly() {
        for ready in [0, 150, 900, 7_000, 12_000, 60_000].map(Duration::from_millis) {
            let (mut pace, mut now, mut looks) = (Pace::new(LONGEST), Duration::ZERO, 1);
            while now < ready {
                now += pace.pause();
                looks += 1;
            }
            assert!(now <= ready + Duration::from_secs(1), "{ready:?}: {now:?}");
            assert!(looks <= ready.as_secs() + 6, "{ready:?}: {looks} looks");
        }
    }

    #[tokio::test]
    async fn passing_trouble_does_not_end_the_wait() {
        let looks = Cell::new(0);
        until(|| {
            looks.set(looks.get() + 1);
            let look = looks.get();
            async move {
                match look {
                    1..=4 => Err(CloudError::new(Cloud::Aws, "ec2:DescribeInstances", Kind::Throttled, "slow down").into()),
                    5 => Ok(None),
                    6..=9 => Err(CloudError::new(Cloud::Aws, "ec2:DescribeInstances", Kind::Unavailable, "oops").into()),
                    _ => Ok(Some(())),
                }
            }
        })
        .await
        .unwrap();
        assert_eq!(looks.get(), 10);
    }

    #[tokio::test]
    async fn what_a_retry_cannot_cure_ends_the_wait_at_once_and_the_rest_after_five() {
        for (kind, expected) in [(Kind::Denied, 1), (Kind::Gated, 1), (Kind::Timeout, 5)] {
            let looks = Cell::new(0);
            let result: Result<(), _> = until(|| {
                looks.set(looks.get() + 1);
                async move { Err(CloudError::new(Cloud::Aliyun, "ecs:DescribeInstances", kind, "no").into()) }
            })
            .await;
            assert!(result.is_err());
            assert_eq!(looks.get(), expected, "{kind:?}");
        }
    }
}
