//! Alidns weighted records behind the DNS port.
//!
//! Weights are switched on for a name, type and line (SetDNSSLBStatus, for A and AAAA only); without them the enabled records share the requests evenly. The API takes no weight
//! below 1, so a side is drained by pausing its records. The weight of a paused record cannot be changed: a record is enabled before its weight is set, and its weight is set before
//! it is paused. There is no batch call, and no call tells when the name servers have followed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::model::domain::{above, canonical, relative};
use crate::ports::dns::{ByName, ChangeId, Delegation, Dns, NameRecords, Names, WeightedRecord, Zone};
use crate::ports::{CloudError, Kind, PortFuture};

const LIST: Api = Api::reads("alidns:DescribeDomainRecords");
const DOMAINS: Api = Api::reads("alidns:DescribeDomains");
const SWITCHES: Api = Api::reads("alidns:DescribeDNSSLBSubDomains");
const STATUS: Api = Api::changes("alidns:SetDomainRecordStatus");
const WEIGHT: Api = Api::changes("alidns:UpdateDNSSLBWeight");
const SWITCH: Api = Api::changes("alidns:SetDNSSLBStatus");

/// The most records of a page.
const PAGE: usize = 500;
/// The most domains, and the most sub-domains with weights, of a page.
const SMALL_PAGE: usize = 100;
/// The weights that the API takes.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=100;
/// Types whose records lead somewhere. Others are told only where weights are switched on for them.
const LEADING: [&str; 3] = ["A", "AAAA", "CNAME"];
/// Types for which weights can be switched on ("Type: A, AAAA" of SetDNSSLBStatus).
const SWITCHABLE: [&str; 2] = ["A", "AAAA"];

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

#[derive(Clone, Deserialize)]
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
    line: Option<String>,
    locked: Option<bool>,
    weight: Option<u32>,
    /// Whether weights are switched on for this name, type and line; older versions of the API do not tell.
    lba_status: Option<bool>,
    remark: Option<String>,
}

impl Record {
    fn line(&self) -> &str {
        self.line.as_deref().filter(|line| !line.is_empty()).unwrap_or(DEFAULT_LINE)
    }

    fn is_enabled(&self) -> Result<bool, CloudError> {
        match self.status.to_ascii_uppercase().as_str() {
            "ENABLE" => Ok(true),
            "DISABLE" => Ok(false),
            other => Err(LIST.error(Kind::Malformed, format!("record {} has the unknown status `{other}`", self.record_id))),
        }
    }
}

/// The line of everybody for whom there is no other.
const DEFAULT_LINE: &str = "default";

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
    #[serde(default)]
    domain_id: String,
    domain_name: String,
    dns_servers: Option<DnsServers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DnsServers {
    dns_server: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Switches {
    slb_sub_domains: SwitchList,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SwitchList {
    slb_sub_domain: Vec<Switch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Switch {
    sub_domain: String,
    r#type: String,
    #[serde(default)]
    open: bool,
    line_algorithms: Option<LineAlgorithms>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LineAlgorithms {
    line_algorithm: Vec<LineAlgorithm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LineAlgorithm {
    line: String,
    open: bool,
}

impl Dns for Aliyun {
    fn zone<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Zone> {
        Box::pin(async move {
            let known = self.shared.zones.lock().unwrap_or_else(PoisonError::into_inner).get(zone).cloned();
            if let Some(known) = known {
                return Ok(known);
            }
            let text = zone.trim();
            let found = if text.trim_end_matches('.').contains(['.', '。']) {
                let name = canonical(text).map_err(|why| LIST.error(Kind::Invalid, why))?;
                // An international name is sent as the account holds it, which only the list of its domains tells.
                let is_plain = !name.contains("xn--");
                if is_plain { Zone { id: name.clone(), name, private: false } } else { self.domain(|domain| is_called(domain, &name), text).await?.0 }
            } else {
                self.domain(|domain| domain.domain_id == text, text).await?.0
            };
            self.shared.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.to_owned(), found.clone());
            Ok(found)
        })
    }

    fn names<'a>(&'a self, zone: &'a Zone, names: Names<'a>) -> PortFuture<'a, Vec<NameRecords>> {
        Box::pin(async move {
            let all = match names {
                // One name is asked for by itself, unless its form in the account is not known.
                Names::These([name]) if !relative(name, &zone.name).contains("xn--") => {
                    let (rr, mut all) = (relative(name, &zone.name), Vec::new());
                    all.extend(self.list(zone, |params| params.set("RRKeyWord", rr).set("SearchMode", "COMBINATION")).await?);
                    for above in above(name, &zone.name).skip(1) {
                        let rr = relative(above, &zone.name);
                        let params = |params: Params| params.set("RRKeyWord", rr).set("Type", "NS").set("SearchMode", "COMBINATION");
                        all.extend(self.list(zone, params).await?);
                    }
                    all
                }
                _ => self.list(zone, |params| params).await?,
            };
            // The API compares names loosely; they are held against the ones that are meant here.
            let mut by_name: BTreeMap<String, Vec<Record>> = BTreeMap::new();
            for record in all {
                let name = if record.rr == "@" { Ok(zone.name.clone()) } else { canonical(&format!("{}.{}", record.rr, zone.name)) };
                // What no name is called by cannot be asked for either.
                if let Ok(name) = name {
                    by_name.entry(name).or_default().push(record);
                }
            }
            let wanted: Vec<String> = match names {
                Names::These(names) => names.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect(),
                Names::All => by_name.keys().cloned().collect(),
            };
            let own = |name: &String| by_name.get(name).map(Vec::as_slice).unwrap_or_default();
            let is_untold = wanted.iter().flat_map(own).any(|record| record.lba_status.is_none() && SWITCHABLE.contains(&&*record.r#type));
            let told = if is_untold { self.switches(zone).await? } else { BTreeMap::new() };
            wanted.iter().map(|name| name_records(zone, name, &by_name, &told)).collect()
        })
    }

    fn change<'a>(&'a self, zone: &'a Zone, names: &'a [NameRecords]) -> PortFuture<'a, Vec<ChangeId>> {
        Box::pin(async move {
            let wanted: Vec<String> = names.iter().map(|name| name.name.clone()).collect();
            let now = self.names(zone, Names::These(&wanted)).await?;
            let now = ByName::of(&now);
            // All of them before the first is sent: what cannot be changed refuses everything while nothing has changed.
            let mut open = Vec::new();
            for name in names {
                let steps = steps(now.records(&name.name), &name.records).map_err(|(kind, message)| WEIGHT.error(kind, message))?;
                open.extend(steps.into_iter().map(|step| (&name.name, step)));
            }
            for (done, (name, step)) in open.iter().enumerate() {
                // Without a batch, a failure in the middle leaves some of it done.
                self.step(zone, name, step).await.map_err(|error| if done > 0 { error.ambiguous(true) } else { error })?;
            }
            Ok(Vec::new())
        })
    }

    fn in_sync<'a>(&'a self, _: &'a ChangeId) -> PortFuture<'a, bool> {
        // The API knows nothing of its name servers; whoever needs to know asks them.
        Box::pin(std::future::ready(Ok(true)))
    }

    fn name_servers<'a>(&'a self, zone: &'a Zone) -> PortFuture<'a, Vec<String>> {
        Box::pin(async move { Ok(self.domain(|domain| is_called(domain, &zone.name), &zone.id).await?.1) })
    }

    fn heaviest(&self) -> u32 {
        *WEIGHTS.end()
    }

    fn weighed(&self, record: &WeightedRecord, weight: u32) -> WeightedRecord {
        let weighted = record.weighted || self.can_weigh(&record.kind);
        let (weight, enabled) = match weight {
            // A record that is paused already keeps its weight: changing it would mean answering it for a moment.
            0 if !record.enabled => (record.weight, false),
            0 if weighted => (*WEIGHTS.start(), false),
            0 => (record.weight, false),
            // Without weights it is served or not.
            _ if !weighted => (record.weight, true),
            _ => (weight.min(*WEIGHTS.end()), true),
        };
        WeightedRecord { weight, enabled, weighted, ..record.clone() }
    }

    fn can_weigh(&self, kind: &str) -> bool {
        SWITCHABLE.contains(&kind)
    }

    fn answers_zero(&self) -> bool {
        false
    }

    fn reads(&self) -> Vec<&'static str> {
        vec![LIST.name]
    }

    fn changes(&self, zone: &Zone, now: &[NameRecords], wanted: &[NameRecords]) -> Vec<(&'static str, String)> {
        let now = ByName::of(now);
        let of = |name: &NameRecords| {
            // What cannot be done is told when it is tried.
            let steps = steps(now.records(&name.name), &name.records).unwrap_or_default();
            steps.iter().map(|step| (step.call(zone, &name.name).0.name, format!("{} {step}", name.name))).collect::<Vec<_>>()
        };
        wanted.iter().flat_map(of).collect()
    }
}

impl Aliyun {
    async fn list(&self, zone: &Zone, select: impl Fn(Params) -> Params) -> Result<Vec<Record>, CloudError> {
        let mut records = Vec::new();
        let mut pages = LIST.pages();
        for number in 1_u32.. {
            let params = select(Params::new().set("DomainName", &zone.id)).set("PageSize", PAGE).set("PageNumber", number);
            let page = self.rpc::<Records>(LIST, &params).await?.domain_records.record;
            let first = page.first().filter(|_| page.len() >= PAGE).map(|record| record.record_id.clone());
            records.extend(page);
            match first {
                Some(first) => pages.turn(&first)?,
                None => break,
            }
        }
        Ok(records)
    }

    /// The domain that is meant, and its name servers.
    async fn domain(&self, is_meant: impl Fn(&Domain) -> bool, called: &str) -> Result<(Zone, Vec<String>), CloudError> {
        let mut pages = DOMAINS.pages();
        for number in 1_u32.. {
            let params = Params::new().set("PageSize", SMALL_PAGE).set("PageNumber", number);
            let page = self.rpc::<Domains>(DOMAINS, &params).await?.domains.domain;
            if let Some(domain) = page.iter().find(|domain| is_meant(domain)) {
                let name = canonical(&domain.domain_name).map_err(|why| DOMAINS.malformed(why))?;
                let servers = domain.dns_servers.as_ref().map(|servers| servers.dns_server.clone()).unwrap_or_default();
                return Ok((Zone { id: domain.domain_name.clone(), name, private: false }, servers));
            }
            match page.first().filter(|_| page.len() >= SMALL_PAGE) {
                Some(first) => pages.turn(&first.domain_name)?,
                None => break,
            }
        }
        Err(DOMAINS.error(Kind::NotFound, format!("there is no domain `{called}` in this account; `zone` takes its name or its id")))
    }

    /// Which weights are switched on, by canonical name, type and line (empty where the answer tells no lines).
    async fn switches(&self, zone: &Zone) -> Result<BTreeMap<(String, String, String), bool>, CloudError> {
        let mut told = BTreeMap::new();
        let mut pages = SWITCHES.pages();
        for number in 1_u32.. {
            let params = Params::new().set("DomainName", &zone.id).set("PageSize", SMALL_PAGE).set("PageNumber", number);
            let page = self.rpc::<Switches>(SWITCHES, &params).await?.slb_sub_domains.slb_sub_domain;
            let first = page.first().filter(|_| page.len() >= SMALL_PAGE).map(|switch| format!("{} {}", switch.sub_domain, switch.r#type));
            for switch in page {
                let Ok(name) = canonical(switch.sub_domain.strip_prefix("@.").unwrap_or(&switch.sub_domain)) else { continue };
                for line in switch.line_algorithms.into_iter().flat_map(|lines| lines.line_algorithm) {
                    told.insert((name.clone(), switch.r#type.clone(), line.line), line.open);
                }
                told.insert((name, switch.r#type, String::new()), switch.open);
            }
            match first {
                Some(first) => pages.turn(&first)?,
                None => break,
            }
        }
        Ok(told)
    }

    async fn step(&self, zone: &Zone, name: &str, step: &Step<'_>) -> Result<(), CloudError> {
        let (api, params) = step.call(zone, name);
        self.rpc::<IgnoredAny>(api, &params).await.map(|_| ())
    }
}

fn is_called(domain: &Domain, name: &str) -> bool {
    canonical(&domain.domain_name).is_ok_and(|called| called == name)
}

/// What one name leads to.
fn name_records(
    zone: &Zone,
    name: &str,
    all: &BTreeMap<String, Vec<Record>>,
    told: &BTreeMap<(String, String, String), bool>,
) -> Result<NameRecords, CloudError> {
    let own = all.get(name).map(Vec::as_slice).unwrap_or_default();
    let is_switched_on = |kind: &str, line: &str| {
        let set = || own.iter().filter(|record| record.r#type == kind && record.line() == line);
        let key = |line: &str| (name.to_owned(), kind.to_owned(), line.to_owned());
        let listed = || told.get(&key(line)).or_else(|| told.get(&key(""))).copied();
        // A paused record is outside the set, so one that says yes is enough.
        set().any(|record| record.lba_status == Some(true)) || (set().all(|record| record.lba_status.is_none()) && listed().unwrap_or(false))
    };
    let mut records = Vec::new();
    for record in own {
        let weighted = is_switched_on(&record.r#type, record.line());
        if weighted || LEADING.contains(&&*record.r#type) {
            records.push(WeightedRecord {
                kind: record.r#type.clone(),
                line: record.line().to_owned(),
                label: record.remark.clone().unwrap_or_default(),
                id: record.record_id.clone(),
                weight: record.weight.unwrap_or(1),
                enabled: record.is_enabled()?,
                weighted,
                values: vec![record.value.clone()],
                alias: None,
                ttl: record.ttl,
                health_check: None,
                locked: record.locked.unwrap_or(false),
            });
        }
    }
    records.sort_by(|a, b| a.key().cmp(&b.key()));
    let cut = |above: &str| {
        let servers: Vec<String> = all
            .get(above)?
            .iter()
            .filter(|record| record.r#type == "NS" && record.is_enabled().unwrap_or(true))
            .map(|record| record.value.clone())
            .collect();
        (!servers.is_empty()).then(|| Delegation { at: above.to_owned(), to: servers })
    };
    let delegation = above(name, &zone.name).filter_map(cut).last();
    Ok(NameRecords { name: name.to_owned(), records, others: Vec::new(), delegation, lines_left: Vec::new() })
}

/// One call of a change.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Switch { kind: &'a str, line: &'a str, on: bool },
    Enable(&'a str),
    Disable(&'a str),
    Weigh(&'a str, u32),
}

impl Step<'_> {
    fn call(&self, zone: &Zone, name: &str) -> (Api, Params) {
        let status = |id: &str, status: &str| (STATUS, Params::new().set("RecordId", id).set("Status", status));
        match self {
            Self::Enable(id) => status(id, "Enable"),
            Self::Disable(id) => status(id, "Disable"),
            Self::Weigh(id, weight) => (WEIGHT, Params::new().set("RecordId", id).set("Weight", weight)),
            // In this call the domain itself is written `@.example.cn`.
            Self::Switch { kind, line, on } => {
                let sub_domain = format!("{}.{}", relative(name, &zone.name), zone.id);
                let params = Params::new().set("DomainName", &zone.id).set("SubDomain", sub_domain).set("Type", kind);
                (SWITCH, params.set("Line", line).set("Open", on))
            }
        }
    }
}

impl std::fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Switch { kind, line, on } => write!(f, "{kind} {line}: weights {}", if *on { "on" } else { "off" }),
            Self::Enable(id) => write!(f, "{id}: on"),
            Self::Disable(id) => write!(f, "{id}: off"),
            Self::Weigh(id, weight) => write!(f, "{id}: weight {weight}"),
        }
    }
}

/// What leads from the records of a name as they are to the ones that are wanted. First weights are switched on, once for each type and line; then
/// what opens a side, then what drains one, so that there is always an answer; weights are switched off last. Records that cannot be weighed (CNAME)
/// stand alone, so there one is drained before the other is opened.
fn steps<'a>(now: &'a [WeightedRecord], wanted: &'a [WeightedRecord]) -> Result<Vec<Step<'a>>, (Kind, String)> {
    let (mut on, mut alone, mut opening, mut draining, mut off) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for record in wanted {
        let id = record.id.as_str();
        let Some(is) = now.iter().find(|is| is.id == record.id) else {
            return Err((Kind::NotFound, format!("there is no weighted record `{id}` (`{}`)", record.label)));
        };
        if is.stands_as(record) {
            continue;
        }
        if is.locked {
            return Err((Kind::Conflict, format!("record `{id}` (`{}`) is locked", record.label)));
        }
        if !WEIGHTS.contains(&record.weight) {
            return Err((Kind::Invalid, format!("weight {} of `{}` is not between 1 and 100", record.weight, record.label)));
        }
        let switch = |on| Step::Switch { kind: &record.kind, line: &record.line, on };
        match (is.weighted, record.weighted) {
            (false, true) if !on.contains(&switch(true)) => on.push(switch(true)),
            (true, false) if !off.contains(&switch(false)) => off.push(switch(false)),
            _ => {}
        }
        // Weights that are switched on begin at 1.
        let weighs = if is.weighted { is.weight } else { 1 };
        let can_weigh = is.weighted || record.weighted;
        let weigh = (can_weigh && weighs != record.weight).then_some(Step::Weigh(id, record.weight));
        match (is.enabled, record.enabled) {
            (true, true) => opening.extend(weigh),
            (false, true) => {
                opening.push(Step::Enable(id));
                opening.extend(weigh);
            }
            (true, false) if !can_weigh => alone.push(Step::Disable(id)),
            (true, false) => {
                draining.extend(weigh);
                draining.push(Step::Disable(id));
            }
            (false, false) if is.weighted && record.weighted && weigh.is_some() => {
                let message = format!("record `{id}` (`{}`) is paused with weight {}: someone changed it meanwhile", record.label, is.weight);
                return Err((Kind::Conflict, message));
            }
            (false, false) => {}
        }
    }
    Ok(on.into_iter().chain(alone).chain(opening).chain(draining).chain(off).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, weight: u32, enabled: bool) -> WeightedRecord {
        WeightedRecord {
            kind: "A".into(),
            line: DEFAULT_LINE.into(),
            label: "side".into(),
            id: id.into(),
            weight,
            enabled,
            weighted: true,
            values: vec!["192.0.2.1".into()],
            alias: None,
            ttl: 5,
            health_check: None,
            locked: false,
        }
    }

    fn check(now: &[WeightedRecord], wanted: &[WeightedRecord]) -> Result<String, Kind> {
        steps(now, wanted).map(|steps| steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")).map_err(|(kind, _)| kind)
    }

    #[test]
    fn a_side_is_opened_before_the_other_is_drained() {
        let now = [record("1", 100, true), record("2", 1, false)];
        let wanted = [record("1", 1, false), record("2", 100, true)];
        assert_eq!(check(&now, &wanted).unwrap(), "2: on; 2: weight 100; 1: weight 1; 1: off");
        assert_eq!(check(&wanted, &now).unwrap(), "1: on; 1: weight 100; 2: weight 1; 2: off", "and back exactly");
    }

    #[test]
    fn records_already_so_are_left_alone_and_impossible_wishes_are_refused() {
        let now = [record("1", 100, true), record("2", 50, false)];
        assert_eq!(check(&now, &now).unwrap(), "");
        assert_eq!(check(&now, &[record("3", 1, true)]), Err(Kind::NotFound));
        assert_eq!(check(&now, &[record("1", 0, true)]), Err(Kind::Invalid));
        assert_eq!(check(&now, &[record("1", 101, true)]), Err(Kind::Invalid));
        assert_eq!(check(&now, &[record("2", 1, false)]), Err(Kind::Conflict));
        let locked = [WeightedRecord { locked: true, ..record("1", 100, true) }];
        assert_eq!(check(&locked, &[record("1", 50, true)]), Err(Kind::Conflict));
        assert_eq!(check(&locked, &locked).unwrap(), "", "nothing has to be changed");
    }

    #[test]
    fn weights_are_switched_once_for_each_type_and_line_and_back() {
        let off = |kind: &str, id: &str, enabled| WeightedRecord { kind: kind.into(), weighted: false, ..record(id, 1, enabled) };
        let on = |kind: &str, id: &str, weight, enabled| WeightedRecord { kind: kind.into(), ..record(id, weight, enabled) };
        let now = [off("A", "1", true), off("A", "2", true), off("AAAA", "3", true)];
        let wanted = [on("A", "1", 30, true), on("A", "2", 70, true), on("AAAA", "3", 70, true)];
        let there = "A default: weights on; AAAA default: weights on; 1: weight 30; 2: weight 70; 3: weight 70";
        assert_eq!(check(&now, &wanted).unwrap(), there);
        let back = "1: weight 1; 2: weight 1; 3: weight 1; A default: weights off; AAAA default: weights off";
        assert_eq!(check(&wanted, &now).unwrap(), back);
    }

    #[test]
    fn a_name_that_can_stand_only_alone_is_drained_before_the_other_is_opened() {
        let name = |id: &str, enabled| WeightedRecord { kind: "CNAME".into(), weighted: false, ..record(id, 1, enabled) };
        assert_eq!(check(&[name("1", true), name("2", false)], &[name("1", false), name("2", true)]).unwrap(), "1: off; 2: on");
    }

    #[test]
    fn the_domain_itself_has_its_own_spelling() {
        let zone = Zone { id: "example.cn".into(), name: "example.cn".into(), private: false };
        let of = |name: &str, line: &str| format!("{:?}", Step::Switch { kind: "A", line, on: true }.call(&zone, name).1);
        assert!(of("example.cn", "default").contains(r#"("SubDomain", "@.example.cn")"#));
        assert!(of("*.w.example.cn", "oversea").contains(r#"("SubDomain", "*.w.example.cn")"#));
        assert!(of("shop.example.cn", "oversea").contains(r#"("Line", "oversea")"#));
    }
}
