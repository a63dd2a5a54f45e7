//! Shares of a name's traffic, and what they mean for its records: pure, so that every decision of `dns.shift-weight` is testable without a cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::engine::action::ActionError;
use crate::ports::dns::{Dns, WeightedRecord};

/// How much of the traffic each side gets, in percent; they sum to 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Shares(BTreeMap<String, u32>);

impl Shares {
    fn new(shares: BTreeMap<String, u32>) -> Result<Self, String> {
        let sum: u64 = shares.values().map(|share| u64::from(*share)).sum();
        if sum == 100 { Ok(Self(shares)) } else { Err(format!("the shares sum to {sum}, not to 100 percent")) }
    }
}

impl<'de> Deserialize<'de> for Shares {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(label, share)| format!("{label} {share} %")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// The records as `shares` want them. Every label of `shares` has records, and every record has a share.
pub(super) fn target(dns: &dyn Dns, records: &[WeightedRecord], shares: &Shares) -> Result<Vec<WeightedRecord>, ActionError> {
    let there: BTreeSet<&str> = records.iter().map(|record| record.label.as_str()).collect();
    if let Some(label) = shares.0.keys().find(|label| !there.contains(label.as_str())) {
        let known = if there.is_empty() { "none".to_owned() } else { there.into_iter().collect::<Vec<_>>().join(", ") };
        return Err(ActionError::NoTargets(format!("no weighted record is labelled `{label}`; there are: {known}")));
    }
    records
        .iter()
        .map(|record| {
            let share = shares.0.get(&record.label).ok_or_else(|| {
                ActionError::Parameters(format!("`to` says nothing about `{}`, which has records too; give it a share, 0 if none", record.label))
            })?;
            let (weight, enabled) = dns.share(*share, record);
            Ok(WeightedRecord { weight, enabled, ..record.clone() })
        })
        .collect()
}

/// What a record is worth to resolvers. The weight of a record that is not served means nothing, and differs between ways of coming to it.
const fn effect(record: &WeightedRecord) -> u32 {
    if record.enabled { record.weight } else { 0 }
}

/// What a record is recognised by: its label and, where several share one, its id.
fn key(record: &WeightedRecord) -> (&str, &str) {
    (&record.label, &record.id)
}

fn get<'a>(records: &'a [WeightedRecord], wanted: &WeightedRecord) -> Option<&'a WeightedRecord> {
    records.iter().find(|record| key(record) == key(wanted))
}

/// Whether every record of `wanted` is there with exactly its weight and status.
pub(super) fn is_as(current: &[WeightedRecord], wanted: &[WeightedRecord]) -> bool {
    wanted.iter().all(|record| get(current, record).is_some_and(|found| (found.weight, found.enabled) == (record.weight, record.enabled)))
}

/// As [`is_as`], but weights of records that are not served do not count.
pub(super) fn is_worth(current: &[WeightedRecord], wanted: &[WeightedRecord]) -> bool {
    wanted.iter().all(|record| get(current, record).is_some_and(|found| effect(found) == effect(record)))
}

/// Refuses when a record is gone, or has a weight or a status that it neither had before nor is given by this step on its way (`ways`): somebody
/// else was here. Weight and status each for itself, because Alidns takes them one after the other, and this step may have been cut off between.
pub(super) fn check_ours(name: &str, current: &[WeightedRecord], before: &[WeightedRecord], ways: &[Vec<WeightedRecord>]) -> Result<(), ActionError> {
    for record in before {
        let known: Vec<&WeightedRecord> = ways.iter().filter_map(|way| get(way, record)).chain([record]).collect();
        let found = get(current, record);
        let is_ours = found.is_some_and(|found| {
            let has_status = known.iter().any(|known| known.enabled == found.enabled);
            // The weight of a record that is not served means nothing.
            has_status && (!found.enabled || known.iter().any(|known| known.weight == found.weight))
        });
        if !is_ours {
            let expected: BTreeSet<String> = known.into_iter().map(weight).collect();
            return Err(ActionError::Conflict {
                what: format!("the weight of {name} {}", label(record)),
                expected: expected.into_iter().collect::<Vec<_>>().join(" or "),
                found: found.map_or_else(|| "no such record".to_owned(), weight),
            });
        }
    }
    Ok(())
}

/// What is asked for undo: the records as they were, as far as they still exist (which [`check_ours`] has made sure of). A record that is not served
/// and was not keeps the weight it now has: it means nothing, and Alidns could change it only by serving the record for a moment.
pub(super) fn restored(current: &[WeightedRecord], before: &[WeightedRecord]) -> Vec<WeightedRecord> {
    let back = |found: &WeightedRecord, record: &WeightedRecord| {
        let weight = if found.enabled || record.enabled { record.weight } else { found.weight };
        WeightedRecord { weight, enabled: record.enabled, ..found.clone() }
    };
    before.iter().filter_map(|record| get(current, record).map(|found| back(found, record))).collect()
}

/// A record for people: its label, and its id where that says more.
pub(super) fn label(record: &WeightedRecord) -> String {
    if record.id.is_empty() || record.id == record.label { record.label.clone() } else { format!("{} ({})", record.label, record.id) }
}

/// A record's weight for people.
pub(super) fn weight(record: &WeightedRecord) -> String {
    if record.enabled { record.weight.to_string() } else { "off".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::actions::dns::shift_weight::fake::{FakeDns, record};

    fn shares(json: &str) -> Result<Shares, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn shares_sum_to_a_hundred() {
        assert!(shares(r#"{"aws": 100, "aliyun": 0}"#).is_ok());
        for (json, message) in
            [(r#"{"aws": 100, "aliyun": 1}"#, "sum to 101"), (r#"{"aws": 50}"#, "sum to 50"), ("{}", "sum to 0"), (r#"{"aws": -1}"#, "invalid")]
        {
            let error = shares(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn every_label_needs_records_and_every_record_a_share() {
        let records = [record("aliyun", "1", 100, true), record("aws", "2", 1, false)];
        let to = shares(r#"{"aws": 100, "aliyun": 0}"#).unwrap();
        let wanted = target(&FakeDns::alidns(&[]), &records, &to).unwrap();
        assert_eq!(wanted.iter().map(|record| (record.weight, record.enabled)).collect::<Vec<_>>(), [(1, false), (100, true)]);
        let error = target(&FakeDns::alidns(&[]), &records, &shares(r#"{"azure": 100}"#).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "no weighted record is labelled `azure`; there are: aliyun, aws");
        assert!(matches!(target(&FakeDns::alidns(&[]), &records, &shares(r#"{"aws": 100}"#).unwrap()).unwrap_err(), ActionError::Parameters(_)));
    }

    #[test]
    fn what_neither_was_nor_is_ours_is_a_conflict() {
        let before = [record("aliyun", "1", 100, true), record("aws", "2", 1, false)];
        let after = vec![record("aliyun", "1", 100, false), record("aws", "2", 100, true)];
        let check = |current: &[WeightedRecord]| check_ours("shop", current, &before, std::slice::from_ref(&after));
        assert!(check(&before).is_ok());
        assert!(check(&after).is_ok());
        // The way back left another weight on a record that is not served: that is no conflict, and undo makes it exact again.
        assert!(check(&[record("aliyun", "1", 100, true), record("aws", "2", 100, false)]).is_ok());
        // Cut off between switching the record on and giving it its weight.
        assert!(check(&[record("aliyun", "1", 100, true), record("aws", "2", 1, true)]).is_ok());
        let error = check(&[record("aliyun", "1", 100, false), record("aws", "2", 60, true)]).unwrap_err();
        assert_eq!(error.to_string(), "the weight of shop aws (2) was changed by someone else: expected 100 or off, found 60; left as it is");
        assert!(check(&[record("aws", "2", 100, true)]).unwrap_err().to_string().contains("no such record"));
    }
}
