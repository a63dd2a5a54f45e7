//! How fast one API of an account may be called: a bucket of tokens, shared by everything that a client of the account does.
//!
//! The vendors publish few of their limits and change them; so a bucket begins with what is published, if anything is, and learns the rest: whoever
//! is refused halves the rate for all, and every success lets it grow again: to what is published, and where nothing is, to what was taken for it then.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

/// A published limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The key under which calls are counted together: an operation, or a whole service.
    pub key: &'static str,
    /// Calls that may come at once.
    pub burst: f64,
    /// Calls a second that may follow.
    pub per_second: f64,
}

/// The slowest that a bucket becomes.
const SLOWEST: f64 = 0.5;
/// What a bucket that nothing is known of becomes when it is refused for the first time, calls a second.
const UNKNOWN: f64 = 10.0;
/// By how much each success speeds up a bucket that has been refused, calls a second: from half a call to ten in a hundred calls.
const GROWTH: f64 = 0.1;
/// Refusals within this time after a slow-down are of calls that were on their way then.
const ECHO: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    most: f64,
    filled: Instant,
    slowed: Option<Instant>,
}

/// The buckets of one account.
#[derive(Debug)]
pub struct Pace {
    published: &'static [Limit],
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

impl Pace {
    /// Buckets that begin as `published`.
    #[must_use]
    pub const fn new(published: &'static [Limit]) -> Self {
        Self { published, buckets: Mutex::new(BTreeMap::new()) }
    }

    /// Waits until `key` may be called; first come, first served by the size of the debt that the bucket has.
    pub async fn turn(&self, key: &str) {
        let wait = self.take(key, Instant::now());
        if wait.is_zero() {
            return;
        }
        debug!(api = key, wait_ms = wait.as_millis(), "waiting for its turn");
        let owed = Owed { pace: self, key };
        tokio::time::sleep(wait).await;
        std::mem::forget(owed);
    }

    /// Takes a token, or owes one: how long until it is there.
    fn take(&self, key: &str, now: Instant) -> Duration {
        let mut buckets = self.lock();
        if !buckets.contains_key(key) {
            let Some(limit) = self.published.iter().find(|limit| limit.key == key) else { return Duration::ZERO };
            let Limit { burst, per_second, .. } = *limit;
            let bucket = Bucket { tokens: burst, burst, per_second, most: per_second, filled: now, slowed: None };
            buckets.insert(key.to_owned(), bucket);
        }
        let Some(bucket) = buckets.get_mut(key) else { return Duration::ZERO };
        bucket.fill(now);
        bucket.tokens -= 1.0;
        if bucket.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-bucket.tokens / bucket.per_second) }
    }

    /// The service said that it was one call too many.
    pub fn refused(&self, key: &str) {
        self.refuse(key, Instant::now());
    }

    fn refuse(&self, key: &str, now: Instant) {
        let mut buckets = self.lock();
        let published = self.published.iter().find(|limit| limit.key == key);
        let most = published.map_or(2.0 * UNKNOWN, |limit| limit.per_second);
        let bucket =
            buckets.entry(key.to_owned()).or_insert_with(|| Bucket { tokens: 0.0, burst: 1.0, per_second: most, most, filled: now, slowed: None });
        if bucket.slowed.is_some_and(|slowed| now.duration_since(slowed) < ECHO) {
            return;
        }
        bucket.fill(now);
        bucket.slowed = Some(now);
        bucket.per_second = (bucket.per_second / 2.0).max(SLOWEST);
        // What was thought to be left is not there.
        bucket.burst = bucket.per_second.max(1.0);
        bucket.tokens = bucket.tokens.min(0.0);
        info!(api = key, per_second = bucket.per_second, "refused as one call too many: slowed down for all");
    }

    /// The service took it.
    pub fn taken(&self, key: &str) {
        if let Some(bucket) = self.lock().get_mut(key).filter(|bucket| bucket.slowed.is_some()) {
            bucket.per_second = (bucket.per_second + GROWTH).min(bucket.most);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        // Numbers, each of them sensible after any panic.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that is waited for. Whoever is cut off meanwhile gives it back: undo does not wait for calls that nobody makes any more.
struct Owed<'a> {
    pace: &'a Pace,
    key: &'a str,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if let Some(bucket) = self.pace.lock().get_mut(self.key) {
            bucket.tokens += 1.0;
        }
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_second).min(self.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PUBLISHED: &[Limit] = &[Limit { key: "route53", burst: 5.0, per_second: 10.0 }];

    #[test]
    fn everybody_waits_for_the_same_bucket() {
        let (pace, now) = (Pace::new(PUBLISHED), Instant::now());
        let waits: Vec<Duration> = (0..25).map(|_| pace.take("route53", now)).collect();
        assert!(waits[..5].iter().all(Duration::is_zero), "{waits:?}");
        assert_eq!(waits[24].as_millis(), 2000, "5 at once, then 10 a second");
        assert!((0..1000).all(|_| pace.take("ec2:StartInstances", now).is_zero()), "nothing is known of it");
    }

    #[tokio::test]
    async fn whoever_is_cut_off_while_waiting_owes_nothing() {
        let pace = Pace::new(PUBLISHED);
        let mut waiting: Vec<_> = (0..69).map(|_| Box::pin(pace.turn("route53"))).collect();
        for turn in &mut waiting {
            _ = futures_util::poll!(turn);
        }
        drop(waiting);
        let tokens = pace.lock()["route53"].tokens;
        assert!(tokens > -0.01, "only the five that had their turn took a token: {tokens}");
    }

    #[test]
    fn a_refusal_slows_everybody_down_and_successes_speed_up_again() {
        let (pace, now) = (Pace::new(PUBLISHED), Instant::now());
        let rate = |key: &str| pace.lock()[key].per_second;
        pace.take("route53", now);
        // Three that were on their way together are one sign.
        (0..3).for_each(|_| pace.refuse("route53", now));
        assert_eq!(rate("route53"), 5.0);
        let waits: Vec<Duration> = (0..10).map(|_| pace.take("route53", now)).collect();
        assert_eq!((waits[0].as_millis(), waits[9].as_millis()), (200, 2000));
        (0..20).for_each(|_| pace.taken("route53"));
        assert!((rate("route53") - 7.0).abs() < 1e-6);
        (0..1000).for_each(|_| pace.taken("route53"));
        assert_eq!(rate("route53"), 10.0, "never faster than published");
        (0..20).for_each(|second| pace.refuse("vpc:X", now + Duration::from_secs(second)));
        assert_eq!(rate("vpc:X"), SLOWEST);
    }
}
