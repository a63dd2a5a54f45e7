//! Providers in memory for the tests of this folder.

use std::sync::Mutex;

use super::*;
use crate::catalogue::actions::dns::answers::Servers;
use crate::ports::PortFuture;
use crate::ports::dns::ChangeId;

pub(in crate::catalogue) fn record(label: &str, id: &str, weight: u32, enabled: bool) -> WeightedRecord {
    WeightedRecord {
        kind: "A".to_owned(),
        line: "default".to_owned(),
        label: label.to_owned(),
        id: id.to_owned(),
        weight,
        enabled,
        weighted: true,
        values: vec![format!("127.0.0.{id}")],
        alias: None,
        ttl: 5,
        health_check: None,
        locked: false,
    }
}

/// Behaves as one of the two providers; a change is in sync at the third look.
pub(in crate::catalogue) struct FakeDns {
    pub(in crate::catalogue) records: Mutex<Vec<WeightedRecord>>,
    pub(in crate::catalogue) sets: Mutex<Vec<Vec<(u32, bool)>>>,
    /// The names of each change.
    pub(in crate::catalogue) names_set: Mutex<Vec<Vec<String>>>,
    /// How often names were looked up.
    pub(in crate::catalogue) looked_up: Mutex<u32>,
    looks: Mutex<u32>,
    can_be_zero: bool,
}

/// Answers what the records are, from the third look after a change on.
impl Servers for FakeDns {
    fn answers<'a>(&'a self, _: &'a str, _: &'a str) -> PortFuture<'a, Vec<Vec<String>>> {
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
        Self { records: Mutex::new(records.to_vec()), sets: Mutex::default(), names_set: Mutex::default(), looked_up: Mutex::default(), looks: Mutex::default(), can_be_zero: false }
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
    fn zone<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Zone> {
        Box::pin(async { Ok(Zone { id: "Z1".to_owned(), name: zone.trim_end_matches('.').to_owned(), private: false }) })
    }

    fn names<'a>(&'a self, zone: &'a Zone, names: Names<'a>) -> PortFuture<'a, Vec<NameRecords>> {
        let names = match names {
            Names::These(names) => names.to_vec(),
            Names::All => vec![format!("shop.{}", zone.name), format!("pay.{}", zone.name), format!("mail.{}", zone.name)],
        };
        *self.looked_up.lock().unwrap() += 1;
        // Every name has records but those that begin with `mail`.
        let records = |name: &String| if name.starts_with("mail") { Vec::new() } else { self.records.lock().unwrap().clone() };
        let found = names.into_iter().map(|name| NameRecords { records: records(&name), name, ..NameRecords::default() }).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn change<'a>(&'a self, _: &'a Zone, names: &'a [NameRecords]) -> PortFuture<'a, Vec<ChangeId>> {
        for wanted in names.iter().flat_map(|name| &name.records) {
            let mut all = self.records.lock().unwrap();
            let record = all.iter_mut().find(|record| record.key() == wanted.key()).unwrap();
            assert!(record.enabled || wanted.enabled || record.weight == wanted.weight, "the weight of a paused record cannot be changed");
            (record.weight, record.enabled, record.weighted) = (wanted.weight, wanted.enabled, wanted.weighted);
        }
        self.sets.lock().unwrap().push(self.now());
        self.names_set.lock().unwrap().push(names.iter().map(|name| name.name.clone()).collect());
        *self.looks.lock().unwrap() = 0;
        Box::pin(async { Ok(vec![ChangeId("C1".to_owned())]) })
    }

    fn in_sync<'a>(&'a self, _: &'a ChangeId) -> PortFuture<'a, bool> {
        Box::pin(async {
            let mut looks = self.looks.lock().unwrap();
            *looks += 1;
            Ok(*looks > 2)
        })
    }

    fn name_servers<'a>(&'a self, _: &'a Zone) -> PortFuture<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn heaviest(&self) -> u32 {
        if self.can_be_zero { 255 } else { 100 }
    }

    fn weighed(&self, record: &WeightedRecord, weight: u32) -> WeightedRecord {
        let weighted = record.weighted || self.can_weigh(&record.kind);
        let (weight, enabled) = match weight {
            _ if self.can_be_zero => (weight, true),
            0 if record.enabled && weighted => (1, false),
            0 => (record.weight, false),
            _ if !weighted => (record.weight, true),
            _ => (weight, true),
        };
        WeightedRecord { weight, enabled, weighted, ..record.clone() }
    }

    fn can_weigh(&self, kind: &str) -> bool {
        self.can_be_zero || kind != "CNAME"
    }

    fn answers_zero(&self) -> bool {
        self.can_be_zero
    }

    fn reads(&self) -> Vec<&'static str> {
        vec!["x:Read", "x:Sync"]
    }

    fn changes(&self, _: &Zone, now: &[NameRecords], wanted: &[NameRecords]) -> Vec<(&'static str, String)> {
        if now == wanted { Vec::new() } else { vec![("x:Write", wanted[0].name.clone())] }
    }
}
