//! Providers in memory for the tests of this folder.

use std::sync::Mutex;

use super::*;
use crate::ports::PortFuture;

pub(in crate::catalogue) fn record(label: &str, id: &str, weight: u32, enabled: bool) -> WeightedRecord {
    WeightedRecord { label: label.to_owned(), id: id.to_owned(), weight, enabled, values: vec![format!("127.0.0.{id}")], ttl: 5, health_check: None }
}

/// Behaves as one of the two providers; a change is in sync at the third look.
pub(in crate::catalogue) struct FakeDns {
    pub(in crate::catalogue) records: Mutex<Vec<WeightedRecord>>,
    pub(in crate::catalogue) sets: Mutex<Vec<Vec<(u32, bool)>>>,
    looks: Mutex<u32>,
    can_be_zero: bool,
}

/// Answers what the records are, from the third look after a change on.
impl Servers for FakeDns {
    fn answers(&self) -> PortFuture<'_, Vec<Vec<String>>> {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        let records = self.records.lock().unwrap();
        let served = records.iter().filter(|record| record.enabled && record.weight > 0);
        let answers = if *looks > 2 { served.map(|record| record.values.clone()).collect() } else { vec![vec!["192.0.2.1".to_owned()]] };
        Box::pin(std::future::ready(Ok(answers)))
    }
}

impl FakeDns {
    pub(in crate::catalogue) fn alidns(records: &[WeightedRecord]) -> Self {
        Self { records: Mutex::new(records.to_vec()), sets: Mutex::default(), looks: Mutex::default(), can_be_zero: false }
    }

    pub(in crate::catalogue) fn route53(records: &[WeightedRecord]) -> Self {
        Self { can_be_zero: true, ..Self::alidns(records) }
    }

    /// How often it was looked at since the last change.
    pub(in crate::catalogue) fn looks(&self) -> u32 {
        *self.looks.lock().unwrap()
    }

    pub(in crate::catalogue) fn now(&self) -> Vec<(u32, bool)> {
        self.records.lock().unwrap().iter().map(|record| (record.weight, record.enabled)).collect()
    }
}

impl Dns for FakeDns {
    fn weights<'a>(&'a self, _: &'a str, _: &'a str) -> PortFuture<'a, Vec<WeightedRecord>> {
        Box::pin(async { Ok(self.records.lock().unwrap().clone()) })
    }

    fn set_weights<'a>(&'a self, _: &'a str, _: &'a str, records: &'a [WeightedRecord]) -> PortFuture<'a, ChangeId> {
        for wanted in records {
            let mut all = self.records.lock().unwrap();
            let record = all.iter_mut().find(|record| (&record.label, &record.id) == (&wanted.label, &wanted.id)).unwrap();
            assert!(record.enabled || wanted.enabled || record.weight == wanted.weight, "the weight of a paused record cannot be changed");
            (record.weight, record.enabled) = (wanted.weight, wanted.enabled);
        }
        self.sets.lock().unwrap().push(self.now());
        *self.looks.lock().unwrap() = 0;
        Box::pin(async { Ok(ChangeId("C1".to_owned())) })
    }

    fn in_sync<'a>(&'a self, _: &'a ChangeId) -> PortFuture<'a, bool> {
        Box::pin(async {
            let mut looks = self.looks.lock().unwrap();
            *looks += 1;
            Ok(*looks > 2)
        })
    }

    fn name_servers<'a>(&'a self, _: &'a str) -> PortFuture<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn share(&self, percent: u32, record: &WeightedRecord) -> (u32, bool) {
        match percent {
            _ if self.can_be_zero => (percent, true),
            0 if !record.enabled => (record.weight, false),
            0 => (1, false),
            _ => (percent, true),
        }
    }

    fn calls(&self) -> Vec<(&'static str, bool)> {
        vec![("x:Read", false), ("x:Write", true), ("x:Sync", false)]
    }
}
