//! Zones and their records.

use std::collections::BTreeSet;

use hickory_proto::rr::{RData, RecordType};

use super::super::build::place;
use super::super::file::WorldFile;
use super::super::state::{Cloud, Record, Zone};
use super::{Problems, at};

/// The largest TTL (RFC 2181).
const LONGEST_TTL: u32 = i32::MAX.unsigned_abs();

pub(super) fn check(file: &WorldFile, found: &mut Problems) {
    found.most("zones", file.zones.len(), 200);
    let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (number, zone) in file.zones.iter().enumerate() {
        let at = |key: &str| at!["zones", number, key];
        if zone.id.is_empty() || zone.id.len() > 64 || !zone.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            found.say(at("id"), format!("`{}` cannot be the id of a zone", zone.id), "letters, digits and `-`, at most 64");
        } else if !ids.insert(&zone.id) {
            found.say(at("id"), format!("`{}` is there already", zone.id), "give each zone an id of its own");
        }
        let plain = zone.name.trim_end_matches('.').to_ascii_lowercase();
        let is_as_written = zone.name.ends_with('.') == (zone.cloud == Cloud::Aws);
        if !is_domain(&plain) || !is_as_written {
            let hint = if zone.cloud == Cloud::Aws {
                "Route 53 writes it with a final dot: example.com."
            } else {
                "Alidns writes it without final dot: example.cn"
            };
            found.say(at("name"), format!("`{}` is no name of a zone", zone.name), hint);
        } else if !names.insert(plain) {
            found.say(at("name"), format!("the zone `{}` is there already", zone.name), "one cloud serves a zone");
        }
        for weighted in &zone.weighted {
            if weighted.rsplit_once('/').is_none_or(|(name, kind)| record_type(kind).is_none() || !is_within(name, &zone.name)) {
                found.say(at("weighted"), format!("`{weighted}` is no name and type of this zone"), "write it like shop.example.cn/A");
            }
        }
        let mut record_ids = BTreeSet::new();
        for (index, record) in zone.records.iter().enumerate() {
            check_record(zone, record, number, index, found);
            if !record.id.is_empty() && !record_ids.insert(&record.id) {
                found.say(
                    at!["zones", number, "records", index, "id"],
                    format!("`{}` is there already", record.id),
                    "give each record an id of its own, or none",
                );
            }
        }
    }
}

fn check_record(zone: &Zone, record: &Record, number: usize, index: usize, found: &mut Problems) {
    let at = |key: &str| at!["zones", number, "records", index, key];
    let is_in = match zone.cloud {
        Cloud::Aws => record.name.ends_with('.') && is_within(&record.name, &zone.name),
        Cloud::Aliyun => record.name == "@" || is_labels(&record.name),
    };
    if !is_in {
        let (message, hint) = match zone.cloud {
            Cloud::Aws => (format!("`{}` lies outside of the zone `{}`", record.name, zone.name), "Route 53 writes the whole name with a final dot"),
            Cloud::Aliyun => (format!("`{}` is no name in the zone `{}`", record.name, zone.name), "Alidns writes the part before the zone, or `@`"),
        };
        found.say(at("name"), message, hint);
    }
    if record.ttl > LONGEST_TTL {
        found.say(at("ttl"), format!("the TTL is {}", record.ttl), format!("0 to {LONGEST_TTL} seconds"));
    }
    let Some(kind) = record_type(&record.kind) else {
        found.say(at("kind"), format!("`{}` is no type of record", record.kind), "write it in capitals, such as A, AAAA, CNAME, MX, NS, SRV or TXT");
        return;
    };
    if record.values.is_empty() || record.values.len() > 400 {
        found.say(at("values"), format!("there are {} values", record.values.len()), "1 to 400");
    }
    for (place_in_list, value) in record.values.iter().enumerate() {
        let placed = if kind == RecordType::A { place(value, 1).map(|address| address.to_string()) } else { Some(value.clone()) };
        if placed.is_none_or(|value| RData::try_from_str(kind, &value).is_err()) {
            let message = format!("`{value}` is no {} record", record.kind);
            found.say(
                at!["zones", number, "records", index, "values", place_in_list],
                message,
                "write it as the vendor does; an address in the lab is two numbers, such as \"1.11\"",
            );
        }
    }
    weights(zone, record, &at, found);
}

fn weights(zone: &Zone, record: &Record, at: &dyn Fn(&str) -> Vec<super::Step>, found: &mut Problems) {
    let Some(weight) = record.weight else { return };
    let (range, whose) = if zone.cloud == Cloud::Aws {
        (0..=255, "0 to 255 on Route 53")
    } else {
        (1..=100, "1 to 100 on Alidns; a record that takes nothing has `enabled: false`")
    };
    if !range.contains(&weight) {
        found.say(at("weight"), format!("the weight is {weight}"), whose);
    }
    if zone.cloud == Cloud::Aws && record.set_identifier.is_none() {
        found.say(at("set_identifier"), "a record with a weight has a `set_identifier`", "name it, as Route 53 does");
    }
}

/// A type that the name servers can answer.
fn record_type(text: &str) -> Option<RecordType> {
    let kind: RecordType = text.parse().ok()?;
    (!matches!(kind, RecordType::ANY | RecordType::AXFR | RecordType::IXFR | RecordType::Unknown(_))).then_some(kind)
}

fn is_domain(name: &str) -> bool {
    name.len() <= 253 && is_labels(name)
}

fn is_labels(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*'))
        })
}

/// Whether a name is a zone's or lies in it, whatever the case and the final dots.
fn is_within(name: &str, zone: &str) -> bool {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let (name, zone) = (plain(name), plain(zone));
    is_labels(&name) && name.strip_suffix(&zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
