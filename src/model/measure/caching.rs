//! How long clients may keep the answers of DNS that a failover makes wrong.
//!
//! A probe that resolves anew each time sees a failover before users do whose resolver, browser or runtime has kept an answer: they are led to the old side until its TTL is over.

use serde_json::Value;

use crate::model::ids::Part;
use crate::model::state::RunState;

/// What the failover made wrong in the caches of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The longest TTL before the change, nanoseconds; absent when it was not read.
    pub ttl: Option<i64>,
}

/// What the names are kept for that the failover changed, or was about to change when it was cut off; absent when there are none.
pub(super) fn kept(state: &RunState) -> Option<Kept> {
    let changed = state.steps.iter().filter(|(key, step)| Part::Failover.has(key) && !step.already);
    let names = changed.filter_map(|(_, step)| step.intent.as_ref()).filter(|intent| is_dns(&intent.uses));
    let ttls: Vec<Option<u64>> = names.map(|intent| longest_ttl(&intent.uses, &intent.before)).collect();
    let longest = ttls.iter().copied().collect::<Option<Vec<u64>>>().and_then(|ttls| ttls.into_iter().max());
    (!ttls.is_empty()).then(|| Kept { ttl: longest.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000)) })
}

/// The longest TTL, in seconds, among what an action of DNS found: `ttl` of its records, as its `before` has them. Absent when it is none, or says none.
#[must_use]
pub fn longest_ttl(uses: &str, before: &Value) -> Option<u64> {
    match before {
        _ if !is_dns(uses) => None,
        Value::Array(list) => list.iter().filter_map(|one| longest_ttl(uses, one)).max(),
        Value::Object(fields) => {
            let own = fields.get("ttl").and_then(Value::as_u64);
            fields.values().filter_map(|value| longest_ttl(uses, value)).chain(own).max()
        }
        _ => None,
    }
}

fn is_dns(uses: &str) -> bool {
    uses.starts_with("dns.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_ttl_of_all_records_counts_wherever_they_stand() {
        let before = json!([{ "label": "aws", "ttl": 60, "values": ["192.0.2.1"] }, { "label": "aliyun", "ttl": 86_400 }]);
        assert_eq!(longest_ttl("dns.shift-weight", &before), Some(86_400));
        let names = json!({ "shop": { "sets": [{ "ttl": 5 }] }, "pay": { "sets": [{ "ttl": 600 }, { "ttl": null }] } });
        assert_eq!(longest_ttl("dns.shift-weight", &names), Some(600));
        assert_eq!(longest_ttl("dns.shift-weight", &json!([{ "label": "aws" }])), None);
        assert_eq!(longest_ttl("aws.ec2.stop-instances", &json!({ "ttl": 5 })), None, "a field of that name elsewhere is no answer of DNS");
    }
}
