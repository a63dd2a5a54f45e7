//! Alidns weighted records behind the DNS port.
//!
//! A side is drained by pausing its records: the API takes no weight below 1. A paused record's weight cannot be changed, so one is enabled
//! before it is weighed, and weighed before it is paused. There is no batch and nothing that tells when the name servers have followed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::dns::{ChangeId, Dns, WeightedRecord};
use crate::ports::{CloudError, Kind, PortFuture};

const LIST: Api = Api::reads("alidns:DescribeDomainRecords");
const DOMAINS: Api = Api::reads("alidns:DescribeDomains");
const STATUS: Api = Api::changes("alidns:SetDomainRecordStatus");
const WEIGHT: Api = Api::changes("alidns:UpdateDNSSLBWeight");

/// The most records of a page.
const PAGE: usize = 500;
/// The weights that the API takes.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Records {
    domain_records: RecordList,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordList {
    record: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    record_id: String,
    #[serde(rename = "RR")]
    rr: String,
    r#type: String,
    value: String,
    #[serde(rename = "TTL")]
    ttl: u32,
    status: String,
    weight: Option<u32>,
    /// Whether weights are switched on for this name and type.
    lba_status: Option<bool>,
    remark: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Domains {
    domains: DomainList,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DomainList {
    domain: Vec<Domain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Domain {
    domain_name: String,
    dns_servers: DnsServers,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DnsServers {
    dns_server: Vec<String>,
}

impl Dns for Aliyun {
    fn weights<'a>(&'a self, zone: &'a str, name: &'a str) -> PortFuture<'a, Vec<WeightedRecord>> {
        Box::pin(async move {
            let domain = zone.trim_end_matches('.').to_ascii_lowercase();
            let rr = if name.is_empty() { "@".to_owned() } else { name.to_ascii_lowercase() };
            let mut records = Vec::new();
            let mut pages = LIST.pages();
            for number in 1_u32.. {
                let params = Params::new()
                    .set("DomainName", &domain)
                    .set("RRKeyWord", &rr)
                    .set("Type", "A")
                    .set("SearchMode", "COMBINATION")
                    .set("PageSize", PAGE)
                    .set("PageNumber", number);
                let page = self.rpc::<Records>(LIST, &params).await?.domain_records.record;
                let first = page.first().filter(|_| page.len() >= PAGE).map(|record| record.record_id.clone());
                // Not every version of the API heeds the search mode.
                records.extend(page.into_iter().filter(|record| record.rr.eq_ignore_ascii_case(&rr) && record.r#type == "A"));
                match first {
                    Some(first) => pages.turn(&first)?,
                    None => break,
                }
            }
            let is_weighted = |record: &Record| record.weight.is_some() && record.lba_status != Some(false);
            let mut records = records.into_iter().filter(is_weighted).map(weighted).collect::<Result<Vec<_>, _>>()?;
            records.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
            Ok(records)
        })
    }

    fn set_weights<'a>(&'a self, zone: &'a str, name: &'a str, records: &'a [WeightedRecord]) -> PortFuture<'a, ChangeId> {
        Box::pin(async move {
            let now = self.weights(zone, name).await?;
            let by_id: BTreeMap<&str, &WeightedRecord> = now.iter().map(|record| (record.id.as_str(), record)).collect();
            let steps = steps(&by_id, records).map_err(|(kind, message)| WEIGHT.error(kind, message))?;
            for (done, step) in steps.iter().enumerate() {
                // Without a batch, a failure in the middle leaves some of it done.
                self.step(step).await.map_err(|error| if done > 0 { error.ambiguous(true) } else { error })?;
            }
            Ok(ChangeId(String::new()))
        })
    }

    fn in_sync<'a>(&'a self, _: &'a ChangeId) -> PortFuture<'a, bool> {
        // The API knows nothing of its name servers; whoever needs to know asks them.
        Box::pin(std::future::ready(Ok(true)))
    }

    fn name_servers<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Vec<String>> {
        Box::pin(async move {
            let domain = zone.trim_end_matches('.').to_ascii_lowercase();
            let params = Params::new().set("KeyWord", &domain).set("SearchMode", "EXACT");
            let found = self.rpc::<Domains>(DOMAINS, &params).await?.domains.domain;
            let own = found.into_iter().filter(|found| found.domain_name.eq_ignore_ascii_case(&domain));
            Ok(own.flat_map(|found| found.dns_servers.dns_server).collect())
        })
    }

    fn share(&self, percent: u32, record: &WeightedRecord) -> (u32, bool) {
        match percent {
            // A record that is paused already keeps its weight: changing it would mean answering it for a moment.
            0 if !record.enabled => (record.weight, false),
            0 => (*WEIGHTS.start(), false),
            _ => (percent.min(*WEIGHTS.end()), true),
        }
    }

    fn calls(&self) -> Vec<(&'static str, bool)> {
        vec![(LIST.name, false), (STATUS.name, true), (WEIGHT.name, true)]
    }
}

impl Aliyun {
    async fn step(&self, step: &Step<'_>) -> Result<(), CloudError> {
        let (api, params) = match step {
            Step::Enable(id) => (STATUS, Params::new().set("RecordId", id).set("Status", "Enable")),
            Step::Disable(id) => (STATUS, Params::new().set("RecordId", id).set("Status", "Disable")),
            Step::Weigh(id, weight) => (WEIGHT, Params::new().set("RecordId", id).set("Weight", weight)),
        };
        self.rpc::<IgnoredAny>(api, &params).await.map(|_| ())
    }
}

/// One call of a change.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Enable(&'a str),
    Disable(&'a str),
    Weigh(&'a str, u32),
}

/// What leads from the records as they are to the ones that are wanted: first what opens a side, then what drains one, so that there is
/// always an answer.
fn steps<'a>(now: &BTreeMap<&str, &WeightedRecord>, wanted: &'a [WeightedRecord]) -> Result<Vec<Step<'a>>, (Kind, String)> {
    let (mut opening, mut draining) = (Vec::new(), Vec::new());
    for record in wanted {
        let id = record.id.as_str();
        let Some(is) = now.get(id) else {
            return Err((Kind::NotFound, format!("there is no weighted record `{id}` (`{}`)", record.label)));
        };
        if !WEIGHTS.contains(&record.weight) {
            return Err((Kind::Invalid, format!("weight {} of `{}` is not between 1 and 100", record.weight, record.label)));
        }
        let weigh = (is.weight != record.weight).then_some(Step::Weigh(id, record.weight));
        match (is.enabled, record.enabled) {
            (true, true) => opening.extend(weigh),
            (false, true) => {
                opening.push(Step::Enable(id));
                opening.extend(weigh);
            }
            (true, false) => {
                draining.extend(weigh);
                draining.push(Step::Disable(id));
            }
            (false, false) if weigh.is_some() => {
                let message = format!("record `{id}` (`{}`) is paused with weight {}: someone changed it meanwhile", record.label, is.weight);
                return Err((Kind::Conflict, message));
            }
            (false, false) => {}
        }
    }
    opening.extend(draining);
    Ok(opening)
}

fn weighted(record: Record) -> Result<WeightedRecord, CloudError> {
    let enabled = match record.status.to_ascii_uppercase().as_str() {
        "ENABLE" => true,
        "DISABLE" => false,
        other => return Err(LIST.error(Kind::Malformed, format!("record {} has the unknown status `{other}`", record.record_id))),
    };
    Ok(WeightedRecord {
        label: record.remark.unwrap_or_default(),
        id: record.record_id,
        weight: record.weight.unwrap_or(1),
        enabled,
        values: vec![record.value],
        ttl: record.ttl,
        health_check: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, weight: u32, enabled: bool) -> WeightedRecord {
        WeightedRecord { label: "side".into(), id: id.into(), weight, enabled, values: vec!["192.0.2.1".into()], ttl: 5, health_check: None }
    }

    fn check(now: &[WeightedRecord], wanted: &[WeightedRecord]) -> Result<String, Kind> {
        let now = now.iter().map(|record| (record.id.as_str(), record)).collect();
        steps(&now, wanted).map(|steps| format!("{steps:?}")).map_err(|(kind, _)| kind)
    }

    #[test]
    fn a_side_is_opened_before_the_other_is_drained() {
        let now = [record("1", 100, true), record("2", 1, false)];
        let wanted = [record("1", 1, false), record("2", 100, true)];
        assert_eq!(check(&now, &wanted).unwrap(), r#"[Enable("2"), Weigh("2", 100), Weigh("1", 1), Disable("1")]"#);
        assert_eq!(check(&wanted, &now).unwrap(), r#"[Enable("1"), Weigh("1", 100), Weigh("2", 1), Disable("2")]"#, "and back exactly");
    }

    #[test]
    fn records_already_so_are_left_alone_and_impossible_wishes_are_refused() {
        let now = [record("1", 100, true), record("2", 50, false)];
        assert_eq!(check(&now, &now).unwrap(), "[]");
        assert_eq!(check(&now, &[record("3", 1, true)]), Err(Kind::NotFound));
        assert_eq!(check(&now, &[record("1", 0, true)]), Err(Kind::Invalid));
        assert_eq!(check(&now, &[record("1", 101, true)]), Err(Kind::Invalid));
        assert_eq!(check(&now, &[record("2", 1, false)]), Err(Kind::Conflict));
    }
}
