//! Between an API call and the world: the vendors' request-rate limits as token buckets.
//!
//! A limit is a row of the world file ([`RateLimit`]); the first that fits an action counts, and actions without a row are not limited.

use crate::world::file::RateLimit;
use crate::world::state::{State, TokenBucket};

/// The action name under which calls of the whole account and service are counted, beside those of the action itself.
const ACCOUNT: &str = "(account)";

/// The call came too soon after others.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("too many calls; the next token comes in {retry_after_ms} ms")]
pub struct Throttled {
    /// Milliseconds until the bucket holds a token again, at least 1.
    pub retry_after_ms: u64,
}

/// Takes one token for a call of `action` at `state.now`. `service` is the name in signatures and hosts (`ec2`, `vpc`).
///
/// # Errors
/// [`Throttled`] when the action's bucket, or the account's for this service, is empty; nothing is taken then.
pub fn take(state: &mut State, service: &str, action: &str) -> Result<(), Throttled> {
    let rows = [find(&state.limits, service, ACCOUNT), find(&state.limits, service, action)].map(|row| row.cloned());
    let mut keys = Vec::with_capacity(2);
    for (row, action) in rows.into_iter().zip([ACCOUNT, action]) {
        let Some(row) = row else { continue };
        let key = format!("{:?}/{service}/{action}", row.cloud).to_lowercase();
        let now = state.now;
        let bucket = state.throttles.entry(key.clone()).or_insert_with(|| TokenBucket {
            tokens: row.burst,
            size: row.burst,
            per_second: row.per_second,
            filled_at: now,
        });
        bucket.tokens = (bucket.tokens + now.since(bucket.filled_at).as_secs_f64() * bucket.per_second).min(bucket.size);
        bucket.filled_at = now;
        if bucket.tokens < 1.0 {
            let seconds = (1.0 - bucket.tokens) / bucket.per_second.max(f64::MIN_POSITIVE);
            let retry_after_ms = (seconds * 1000.0).ceil().clamp(1.0, 3_600_000.0) as u64;
            return Err(Throttled { retry_after_ms });
        }
        keys.push(key);
    }
    for key in keys {
        if let Some(bucket) = state.throttles.get_mut(&key) {
            bucket.tokens -= 1.0;
        }
    }
    Ok(())
}

/// The row for an action. A final `*` stands for any rest, but never for the account as a whole.
fn find<'a>(limits: &'a [RateLimit], service: &str, action: &str) -> Option<&'a RateLimit> {
    limits.iter().find(|limit| {
        limit.service == service
            && match limit.action.strip_suffix('*') {
                Some(prefix) => action != ACCOUNT && action.starts_with(prefix),
                None => limit.action == action,
            }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_notation::time::Timestamp;

    use super::*;
    use crate::world::build::build;

    fn world() -> State {
        build(42, 1.0, 10, Timestamp::from_nanos(0))
    }

    #[test]
    fn the_first_fitting_row_is_the_limit() {
        let state = world();
        let burst = |service, action| find(&state.limits, service, action).map(|limit| limit.burst);
        assert_eq!(burst("ec2", "DescribeInstances"), Some(100.0));
        assert_eq!(burst("ec2", "DescribeInstances (unfiltered)"), Some(50.0));
        assert_eq!(burst("ec2", "StartInstances"), Some(5.0));
        assert_eq!(burst("ec2", "ReplaceRoute"), Some(50.0));
        assert_eq!(burst("sts", "GetCallerIdentity"), None);
        assert_eq!(burst("ec2", ACCOUNT), None, "only Route 53 counts the account as a whole");
    }

    #[test]
    fn no_row_is_hidden_behind_an_earlier_one() {
        let state = world();
        for row in &state.limits {
            assert_eq!(find(&state.limits, &row.service, &row.action), Some(row));
        }
    }

    #[test]
    fn tokens_run_out_and_come_back() {
        let mut state = world();
        let calls = |state: &mut State, service: &str, action: &str| (0..1000).take_while(|_| take(state, service, action).is_ok()).count();
        assert_eq!(calls(&mut state, "ec2", "StartInstances"), 5);
        assert_eq!(take(&mut state, "ec2", "StartInstances"), Err(Throttled { retry_after_ms: 500 }));
        state.now = state.now.plus(Duration::from_secs(1));
        assert_eq!(calls(&mut state, "ec2", "StartInstances"), 2);
        state.now = state.now.plus(Duration::from_secs(3600));
        assert_eq!(calls(&mut state, "ec2", "StartInstances"), 5, "never more than the bucket holds");
        assert_eq!(calls(&mut state, "sts", "GetCallerIdentity"), 1000);
    }

    #[test]
    fn route_53_counts_the_account_over_all_actions() {
        let mut state = world();
        for _ in 0..25 {
            take(&mut state, "route53", "GetChange").unwrap();
            take(&mut state, "route53", "ListHostedZones").unwrap();
        }
        assert!(take(&mut state, "route53", "ListResourceRecordSets").is_err());
    }
}
