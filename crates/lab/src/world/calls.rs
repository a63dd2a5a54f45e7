//! The calls that were to change something, and whether they did: `GET /calls`. Whoever tests a client sees here what it did twice.
//!
//! Parameters are kept as a fingerprint only: what a client sends may be secret. Object stores are left out; putting the same object again is the same.

use std::collections::VecDeque;

use lifeboat_notation::time::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::state::Cloud;

/// How many calls are kept; the oldest go first.
const KEPT: usize = 20_000;

/// The latest calls, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    entries: VecDeque<Value>,
    seen: u64,
}

/// One call that was to change something.
pub struct Changing<'a> {
    pub cloud: Cloud,
    /// As in signatures and hosts, such as `ec2`.
    pub service: &'a str,
    pub operation: &'a str,
    /// The client token, when it had one.
    pub token: Option<&'a str>,
    /// Whether that token had been answered before, so that the call changed nothing again.
    pub replayed: bool,
    /// The [`fingerprint`] of its parameters without the token.
    pub asked: String,
    /// `OK`, or the error's code.
    pub code: &'a str,
}

impl Calls {
    /// Adds one call.
    pub fn record(&mut self, now: Timestamp, call: &Changing<'_>) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.seen += 1;
        self.entries.push_back(json!({
            "number": self.seen,
            "wall": now,
            "cloud": call.cloud,
            "service": call.service,
            "operation": call.operation,
            "token": call.token,
            "asked": call.asked,
            "code": call.code,
            "effect": call.code == "OK" && !call.replayed,
        }));
    }

    /// All as JSON lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> String {
        self.entries.iter().map(|entry| format!("{entry}\n")).collect()
    }
}

/// Equal for equal parameters.
pub fn fingerprint<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in parameters {
        hash.update(format!("{}:{name}={}:{value};", name.len(), value.len()));
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_and_a_repeated_call_have_no_effect_and_the_oldest_go_first() {
        let mut calls = Calls::default();
        let call = |replayed, code| Changing {
            cloud: Cloud::Aws,
            service: "ec2",
            operation: "CreateNetworkAcl",
            token: Some("t"),
            replayed,
            asked: fingerprint([("VpcId", "vpc-1")]),
            code,
        };
        for (replayed, code) in [(false, "OK"), (true, "OK"), (false, "RequestLimitExceeded")] {
            calls.record(Timestamp::from_nanos(0), &call(replayed, code));
        }
        let effects: Vec<bool> = calls.entries.iter().map(|entry| entry["effect"] == true).collect();
        assert_eq!(effects, [true, false, false]);
        for _ in 0..KEPT {
            calls.record(Timestamp::from_nanos(0), &call(false, "OK"));
        }
        assert_eq!((calls.entries.len(), &calls.entries[0]["number"]), (KEPT, &json!(4)));
    }

    #[test]
    fn where_a_value_ends_is_part_of_the_fingerprint() {
        assert_ne!(fingerprint([("a", "1"), ("b", "2")]), fingerprint([("a", "1;1:b=1:2")]));
    }
}
