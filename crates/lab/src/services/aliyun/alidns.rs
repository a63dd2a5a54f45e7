//! Between Alidns calls and the world's domains: records, their status, and their weights (called DNSSLB).
//!
//! Weights count only while they are switched on for a sub-domain and type; a paused record is outside the weight set and its weight
//! cannot be changed. The name servers follow later, and unlike Route 53 nothing tells when they have.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::{Action, changes, reads};
use crate::wire::aliyun_rpc::{ApiError, Call, invalid};
use crate::world::state::{Cloud, Record, State, Zone};

pub(super) const ACTIONS: &[Action] = &[
    reads("DescribeDomains", describe_domains).anywhere(),
    reads("DescribeDomainRecords", describe_domain_records).anywhere(),
    reads("DescribeSubDomainRecords", describe_sub_domain_records).anywhere(),
    reads("DescribeDomainRecordInfo", describe_domain_record_info).anywhere(),
    changes("AddDomainRecord", add_domain_record).anywhere(),
    changes("UpdateDomainRecord", update_domain_record).anywhere(),
    changes("UpdateDomainRecordRemark", update_domain_record_remark).anywhere(),
    changes("DeleteDomainRecord", delete_domain_record).anywhere(),
    changes("SetDomainRecordStatus", set_domain_record_status).anywhere(),
    reads("DescribeDNSSLBSubDomains", describe_slb_sub_domains).anywhere(),
    changes("SetDNSSLBStatus", set_slb_status).anywhere(),
    changes("UpdateDNSSLBWeight", update_slb_weight).anywhere(),
];

/// Where a record is: its zone and its place there.
type RecordIndex = (usize, usize);

fn zones(state: &State) -> impl Iterator<Item = (usize, &Zone)> {
    state.zones.iter().enumerate().filter(|(_, zone)| zone.cloud == Cloud::Aliyun)
}

fn find_zone(state: &State, name: &str) -> Result<usize, ApiError> {
    let error = || ApiError::new(400, "InvalidDomainName.NoExist", "The specified domain name does not exist. Refresh the page and try again.");
    zones(state).find(|(_, zone)| zone.name.eq_ignore_ascii_case(name)).map(|(at, _)| at).ok_or_else(error)
}

fn find_record(state: &State, call: &Call) -> Result<RecordIndex, ApiError> {
    let id = call.need("RecordId")?;
    let error = || ApiError::new(400, "DomainRecordNotBelongToUser", "The domain record does not belong to this user.");
    let mut places = zones(state).filter_map(|(at, zone)| zone.records.iter().position(|record| record.id == id).map(|place| (at, place)));
    places.next().ok_or_else(error)
}

/// Splits `shop.example.cn` into the zone and the RR.
fn split_sub_domain(state: &State, sub_domain: &str) -> Result<(usize, String), ApiError> {
    let lower = sub_domain.to_ascii_lowercase();
    for (at, zone) in zones(state) {
        if let Some(rr) = lower.strip_suffix(&zone.name.to_ascii_lowercase()) {
            if rr.is_empty() {
                return Ok((at, "@".to_owned()));
            }
            if let Some(rr) = rr.strip_suffix('.') {
                return Ok((at, rr.to_owned()));
            }
        }
    }
    Err(ApiError::new(400, "InvalidDomainName.NoExist", "The specified sub-domain does not belong to one of your domains."))
}

fn sub_domain(zone: &Zone, rr: &str) -> String {
    if rr == "@" { zone.name.clone() } else { format!("{rr}.{}", zone.name) }
}

fn shown(zone: &Zone, record: &Record) -> Value {
    let mut shown = json!({
        "DomainName": zone.name,
        "RecordId": record.id,
        "RR": record.name,
        "Type": record.kind,
        "Value": record.values.first(),
        "TTL": record.ttl,
        "Line": "default",
        "Status": if record.enabled { "ENABLE" } else { "DISABLE" },
        "Locked": false,
        "LbaStatus": zone.weighted.contains(&Zone::weighted_key(&sub_domain(zone, &record.name), &record.kind)),
    });
    if let Some(weight) = record.weight {
        shown["Weight"] = json!(weight);
    }
    if let Some(remark) = &record.set_identifier {
        shown["Remark"] = json!(remark);
    }
    shown
}

fn listed(call: &Call, all: Vec<Value>) -> Result<Value, ApiError> {
    let page = call.page(20, 500)?;
    Ok(json!({ "TotalCount": all.len(), "PageNumber": page.number, "PageSize": page.size, "DomainRecords": { "Record": page.cut(all) } }))
}

fn describe_domains(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let page = call.page(20, 100)?;
    let all: Vec<Value> = zones(state)
        .filter(|(_, zone)| call.text("KeyWord").is_none_or(|word| zone.name.contains(&word.to_ascii_lowercase())))
        .map(|(_, zone)| {
            json!({ "DomainId": zone.id, "DomainName": zone.name, "PunyCode": zone.name, "AliDomain": false, "RecordCount": zone.records.len(),
                    "VersionCode": "version_enterprise_basic", "DnsServers": { "DnsServer": ["vip1.alidns.com", "vip2.alidns.com"] } })
        })
        .collect();
    Ok(json!({ "TotalCount": all.len(), "PageNumber": page.number, "PageSize": page.size, "Domains": { "Domain": page.cut(all) } }))
}

fn describe_domain_records(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let zone = &state.zones[find_zone(state, call.need("DomainName")?)?];
    let mode = call.text("SearchMode").unwrap_or(if call.text("KeyWord").is_some() { "LIKE" } else { "" });
    let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted.eq_ignore_ascii_case(value));
    let has = |name: &str, value: &str| call.text(name).is_none_or(|wanted| value.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase()));
    let is_wanted = |record: &&Record| {
        let value = record.values.first().map_or("", String::as_str);
        let status = if record.enabled { "Enable" } else { "Disable" };
        let fixed = is("Type", &record.kind) && is("TypeKeyWord", &record.kind) && is("Status", status) && is("Line", "default");
        match mode {
            "LIKE" => has("KeyWord", &record.name) || has("KeyWord", value),
            "EXACT" => is("KeyWord", &record.name) || is("KeyWord", value),
            "COMBINATION" => fixed && is("RRKeyWord", &record.name) && is("ValueKeyWord", value),
            _ => fixed && has("RRKeyWord", &record.name) && has("ValueKeyWord", value),
        }
    };
    if !matches!(mode, "" | "LIKE" | "EXACT" | "ADVANCED" | "COMBINATION") {
        return Err(invalid("SearchMode"));
    }
    listed(call, zone.records.iter().filter(is_wanted).map(|record| shown(zone, record)).collect())
}

fn describe_sub_domain_records(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, rr) = split_sub_domain(state, call.need("SubDomain")?)?;
    let zone = &state.zones[at];
    let all = zone
        .records
        .iter()
        .filter(|record| record.name.eq_ignore_ascii_case(&rr))
        .filter(|record| call.text("Type").is_none_or(|kind| kind.eq_ignore_ascii_case(&record.kind)))
        .map(|record| shown(zone, record))
        .collect();
    listed(call, all)
}

fn describe_domain_record_info(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, place) = find_record(state, call)?;
    let zone = &state.zones[at];
    let mut fields = shown(zone, &zone.records[place]);
    fields["DomainId"] = json!(zone.id);
    fields["PunyCode"] = json!(zone.name);
    // This one answer of the product does not tell weights.
    if let Some(fields) = fields.as_object_mut() {
        fields.shift_remove("Weight");
        fields.shift_remove("LbaStatus");
    }
    Ok(fields)
}

/// The checked parameters that adding and updating share.
struct Wanted {
    rr: String,
    kind: String,
    value: String,
    ttl: u32,
}

impl Wanted {
    fn read(call: &Call) -> Result<Self, ApiError> {
        let kind = call.need("Type")?.to_ascii_uppercase();
        let value = call.need("Value")?.to_owned();
        let rr = call.need("RR")?.to_ascii_lowercase();
        if !matches!(kind.as_str(), "A" | "AAAA" | "CNAME" | "TXT" | "MX" | "NS" | "SRV" | "CAA") {
            return Err(invalid("Type"));
        }
        let fits = match kind.as_str() {
            "A" => value.parse::<Ipv4Addr>().is_ok(),
            "AAAA" => value.parse::<Ipv6Addr>().is_ok(),
            _ => value.len() <= 4096,
        };
        if !fits {
            return Err(invalid("Value"));
        }
        let is_label =
            |label: &str| label.len() <= 63 && !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte));
        if rr != "@" && !rr.split('.').all(is_label) {
            return Err(invalid("RR"));
        }
        if call.text("Line").is_some_and(|line| line != "default") {
            return Err(ApiError::new(400, "InvalidParameter", "The specified resolution line is not supported by the version of this domain."));
        }
        let ttl = call.number("TTL", 1..=86_400)?.unwrap_or(600);
        Ok(Self { rr, kind, value, ttl })
    }

    fn is(&self, record: &Record) -> bool {
        record.name == self.rr && record.kind == self.kind && record.values.first() == Some(&self.value)
    }
}

fn duplicate() -> ApiError {
    ApiError::new(400, "DomainRecordDuplicate", "The DNS record already exists.")
}

fn add_domain_record(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let at = find_zone(state, call.need("DomainName")?)?;
    let wanted = Wanted::read(call)?;
    if state.zones[at].records.iter().any(|record| wanted.is(record)) {
        return Err(duplicate());
    }
    state.serial += 1;
    let id = (920_200_000_000_000_000 + state.serial).to_string();
    let zone = &mut state.zones[at];
    let is_weighted = zone.weighted.contains(&Zone::weighted_key(&sub_domain(zone, &wanted.rr), &wanted.kind));
    zone.records.push(Record {
        id: id.clone(),
        name: wanted.rr.clone(),
        kind: wanted.kind.clone(),
        ttl: wanted.ttl,
        values: vec![wanted.value],
        set_identifier: None,
        weight: is_weighted.then_some(1),
        enabled: true,
        health_check: None,
    });
    state.serve_dns(at, &wanted.rr, &wanted.kind);
    Ok(json!({ "RecordId": id }))
}

fn update_domain_record(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, place) = find_record(state, call)?;
    let wanted = Wanted::read(call)?;
    let records = &state.zones[at].records;
    let others = records.iter().enumerate().any(|(other, record)| other != place && wanted.is(record));
    if others || (wanted.is(&records[place]) && records[place].ttl == wanted.ttl) {
        return Err(duplicate());
    }
    let record = &mut state.zones[at].records[place];
    let (old_rr, old_kind) = (record.name.clone(), record.kind.clone());
    record.name.clone_from(&wanted.rr);
    record.kind.clone_from(&wanted.kind);
    record.ttl = wanted.ttl;
    record.values = vec![wanted.value];
    let id = record.id.clone();
    state.serve_dns(at, &wanted.rr, &wanted.kind);
    if (&old_rr, &old_kind) != (&wanted.rr, &wanted.kind) {
        state.serve_dns(at, &old_rr, &old_kind);
    }
    Ok(json!({ "RecordId": id }))
}

fn update_domain_record_remark(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, place) = find_record(state, call)?;
    state.zones[at].records[place].set_identifier = call.text("Remark").map(str::to_owned);
    Ok(json!({}))
}

fn delete_domain_record(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, place) = find_record(state, call)?;
    let record = state.zones[at].records.remove(place);
    state.serve_dns(at, &record.name, &record.kind);
    Ok(json!({ "RecordId": record.id }))
}

fn set_domain_record_status(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, place) = find_record(state, call)?;
    let enabled = match call.need("Status")?.to_ascii_lowercase().as_str() {
        "enable" => true,
        "disable" => false,
        _ => return Err(invalid("Status")),
    };
    let record = &mut state.zones[at].records[place];
    record.enabled = enabled;
    let (id, rr, kind) = (record.id.clone(), record.name.clone(), record.kind.clone());
    state.serve_dns(at, &rr, &kind);
    // Told as it was asked, not as the lists tell it.
    Ok(json!({ "RecordId": id, "Status": if enabled { "Enable" } else { "Disable" } }))
}

fn describe_slb_sub_domains(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let zone = &state.zones[find_zone(state, call.need("DomainName")?)?];
    let page = call.page(20, 100)?;
    let mut counts: std::collections::BTreeMap<(&str, &str), usize> = std::collections::BTreeMap::new();
    for record in zone.records.iter().filter(|record| matches!(record.kind.as_str(), "A" | "AAAA")) {
        *counts.entry((&record.name, &record.kind)).or_default() += 1;
    }
    let all: Vec<Value> = counts
        .into_iter()
        .map(|((rr, kind), count)| (sub_domain(zone, rr), kind, count))
        .filter(|(name, _, _)| call.text("Rr").is_none_or(|rr| name.starts_with(rr)))
        .filter(|(name, kind, count)| *count > 1 || zone.weighted.contains(&Zone::weighted_key(name, kind)))
        .map(|(name, kind, count)| {
            let open = zone.weighted.contains(&Zone::weighted_key(&name, kind));
            let lines = json!({ "LineAlgorithm": [{ "Line": "default", "Open": open }] });
            json!({ "SubDomain": name, "RecordCount": count, "Open": open, "Type": kind, "LineAlgorithms": lines })
        })
        .collect();
    Ok(json!({ "TotalCount": all.len(), "PageNumber": page.number, "PageSize": page.size, "SlbSubDomains": { "SlbSubDomain": page.cut(all) } }))
}

fn set_slb_status(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    // The main domain is written `@.example.cn` in this one call.
    let name = call.need("SubDomain")?;
    let (at, rr) = split_sub_domain(state, name.strip_prefix("@.").unwrap_or(name))?;
    let kind = call.text("Type").unwrap_or("A").to_ascii_uppercase();
    if !matches!(kind.as_str(), "A" | "AAAA") {
        return Err(invalid("Type"));
    }
    let open = call.flag("Open")?.unwrap_or(true);
    let zone = &mut state.zones[at];
    let key = Zone::weighted_key(&sub_domain(zone, &rr), &kind);
    let mut count = 0;
    for record in zone.records.iter_mut().filter(|record| record.name.eq_ignore_ascii_case(&rr) && record.kind == kind) {
        count += 1;
        // Weights begin at 1 whenever they are switched on.
        record.weight = if open { record.weight.or(Some(1)) } else { None };
    }
    if count == 0 {
        return Err(ApiError::new(400, "InvalidRR.NoExist", "The specified sub-domain has no records of this type."));
    }
    if open {
        zone.weighted.insert(key);
    } else {
        zone.weighted.remove(&key);
    }
    state.serve_dns(at, &rr, &kind);
    Ok(json!({ "RecordCount": count, "Open": open }))
}

fn update_slb_weight(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (at, place) = find_record(state, call)?;
    call.need("Weight")?;
    // The vendor's spelling.
    let wrong = |_| ApiError::new(400, "InvalidWeigth", "The weigth value is invalid.");
    let weight = call.number("Weight", 1..=100).map_err(wrong)?;
    let zone = &mut state.zones[at];
    let record = &zone.records[place];
    if !zone.weighted.contains(&Zone::weighted_key(&sub_domain(zone, &record.name), &record.kind)) {
        return Err(ApiError::new(400, "DisableDNSSLB", "The subdomain's DNS SLB status is closed."));
    }
    if !record.enabled {
        return Err(ApiError::new(400, "DomainRecordDisable", "The domain record is disable."));
    }
    let record = &mut zone.records[place];
    record.weight = weight;
    let (id, rr, kind) = (record.id.clone(), record.name.clone(), record.kind.clone());
    state.serve_dns(at, &rr, &kind);
    Ok(json!({ "RecordId": id, "Weight": weight }))
}
