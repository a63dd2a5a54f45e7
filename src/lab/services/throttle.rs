//! Between an API call and the world: the vendors' request-rate limits as token buckets.
//!
//! A limit is a row of [`LIMITS`]; the numbers are the vendors' published ones (Route 53 and EC2: "bucket / refill per second",
//! Alibaba: calls per window, held here as a bucket of that size that refills evenly over the window). Actions without a row are not limited.
//! A bucket that is in `State::throttles` already, put there from a world file, is used as it is.

use crate::lab::world::state::{State, TokenBucket};

/// How often an action may be called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// `aws` or `aliyun`.
    pub cloud: &'static str,
    /// The endpoint's name as in signatures and hosts: `ec2`, `route53`, `alidns`, `vpc`.
    pub service: &'static str,
    /// The action; a final `*` stands for any rest.
    pub action: &'static str,
    /// Calls that may come at once.
    pub burst: f64,
    /// Calls per second in the long run.
    pub per_second: f64,
}

/// The action name under which calls of the whole account and service are counted, beside those of the action itself.
pub const ACCOUNT: &str = "(account)";

/// The limits. The first row that fits an action is its limit.
pub const LIMITS: &[Limit] = &[
    limit("aws", "route53", ACCOUNT, 50.0, 10.0),
    limit("aws", "route53", "*", 50.0, 10.0),
    // What EC2 calls unfiltered and unpaginated calls; the service asks for them under this name.
    limit("aws", "ec2", "DescribeInstances (unfiltered)", 50.0, 10.0),
    limit("aws", "ec2", "DescribeInstanceStatus (unfiltered)", 50.0, 10.0),
    limit("aws", "ec2", "DescribeNetworkInterfaces (unfiltered)", 50.0, 10.0),
    limit("aws", "ec2", "DescribeSecurityGroups (unfiltered)", 50.0, 10.0),
    limit("aws", "ec2", "Describe*", 100.0, 20.0),
    limit("aws", "ec2", "StartInstances", 5.0, 2.0),
    limit("aws", "ec2", "RunInstances", 5.0, 2.0),
    limit("aws", "ec2", "ModifyImageAttribute", 100.0, 5.0),
    limit("aws", "ec2", "ModifyNetworkInterfaceAttribute", 100.0, 5.0),
    limit("aws", "ec2", "TerminateInstances", 100.0, 5.0),
    limit("aws", "ec2", "CreateTags", 100.0, 10.0),
    limit("aws", "ec2", "DeleteTags", 100.0, 10.0),
    limit("aws", "ec2", "*", 50.0, 5.0),
    limit("aliyun", "alidns", "DescribeDomainRecords", 100.0, 100.0),
    limit("aliyun", "alidns", "DescribeSubDomainRecords", 300.0, 300.0),
    limit("aliyun", "alidns", "DescribeDomainRecordInfo", 200.0, 200.0),
    limit("aliyun", "alidns", "AddDomainRecord", 60.0, 60.0),
    limit("aliyun", "alidns", "UpdateDomainRecord", 60.0, 60.0),
    limit("aliyun", "alidns", "DeleteDomainRecord", 60.0, 60.0),
    limit("aliyun", "alidns", "DeleteSubDomainRecords", 20.0, 20.0),
    limit("aliyun", "vpc", "DescribeNetworkAcls", 30.0, 0.5),
    limit("aliyun", "vpc", "AssociateNetworkAcl", 30.0, 0.5),
    limit("aliyun", "vpc", "UnassociateNetworkAcl", 30.0, 0.5),
    limit("aliyun", "vpc", "DeleteNetworkAcl", 30.0, 0.5),
    limit("aliyun", "vpc", "ModifyRouteEntry", 300.0, 5.0),
    limit("aliyun", "ecs", "*", 1000.0, 1000.0 / 60.0),
    limit("aliyun", "dts", "DescribeDtsJobDetail", 40.0, 40.0),
    limit("aliyun", "dts", "DescribeDtsJobs", 20.0, 20.0),
];

const fn limit(cloud: &'static str, service: &'static str, action: &'static str, burst: f64, per_second: f64) -> Limit {
    Limit { cloud, service, action, burst, per_second }
}

/// The call came too soon after others.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("too many calls; the next token comes in {retry_after_ms} ms")]
pub struct Throttled {
    /// Milliseconds until the bucket holds a token again, at least 1.
    pub retry_after_ms: u64,
}

/// Takes one token for a call of `action` at `state.now`. `service` is the name in [`LIMITS`].
///
/// # Errors
/// [`Throttled`] when the action's bucket, or the account's for this service, is empty; nothing is taken then.
pub fn take(state: &mut State, service: &str, action: &str) -> Result<(), Throttled> {
    let rows = [find(service, ACCOUNT, true), find(service, action, false)];
    let mut keys = Vec::with_capacity(2);
    for (row, action) in rows.into_iter().zip([ACCOUNT, action]) {
        let Some(row) = row else { continue };
        let key = format!("{}/{service}/{action}", row.cloud);
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
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 ms..=1 h just before")]
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

fn find(service: &str, action: &str, exact: bool) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| {
        limit.service == service
            && match limit.action.strip_suffix('*') {
                Some(prefix) => !exact && action.starts_with(prefix),
                None => limit.action == action,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fitting_row_is_the_limit() {
        let burst = |service, action| find(service, action, false).map(|limit| limit.burst);
        assert_eq!(burst("ec2", "DescribeInstances"), Some(100.0));
        assert_eq!(burst("ec2", "DescribeInstances (unfiltered)"), Some(50.0));
        assert_eq!(burst("ec2", "StartInstances"), Some(5.0));
        assert_eq!(burst("ec2", "ReplaceRoute"), Some(50.0));
        assert_eq!(burst("sts", "GetCallerIdentity"), None);
        assert_eq!(find("ec2", ACCOUNT, true), None, "only Route 53 counts the account as a whole");
    }

    #[test]
    fn no_row_is_hidden_behind_an_earlier_one() {
        for row in LIMITS {
            let exact = row.action == ACCOUNT;
            assert_eq!(find(row.service, row.action, exact), Some(row));
        }
    }
}
