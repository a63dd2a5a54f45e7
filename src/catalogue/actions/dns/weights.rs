//! What shares of the traffic mean for the records of a name: pure, so that every decision of `dns.shift-weight` is testable without a cloud.

use std::collections::{BTreeMap, BTreeSet};

use super::shares::{Shares, divide};
use crate::engine::action::ActionError;
use crate::model::domain::canonical;
use crate::model::target::{Location, Target, TargetKind};
use crate::ports::dns::{Dns, NameRecords, WeightedRecord};

/// How far from what was asked a side may end up, in percentage points, where weights cannot be exact.
const NEAR: f64 = 1.0;

/// Which records of a name a step acts on, and which side each is of.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    /// Alidns: the lines; others are left alone.
    pub(super) lines: &'a [String],
    /// The types; empty = all.
    pub(super) types: &'a [String],
    /// Sides whose records are told by something else than a label of their own name.
    pub(super) sides: &'a BTreeMap<String, Vec<String>>,
}

impl Choice<'_> {
    /// The records of a name that are acted on.
    ///
    /// # Errors
    /// When the zone does not answer for the name, when a part of it would stay behind, and when there is nothing to weigh.
    pub(super) fn acted_on(&self, name: &NameRecords) -> Result<Vec<WeightedRecord>, ActionError> {
        let called = &name.name;
        if let Some(cut) = &name.delegation {
            let servers = cut.to.join(", ");
            return Err(ActionError::Parameters(format!(
                "{called} is not answered by this zone: its NS record at {at} delegates it to {servers}; write `zone: {at}` to act where it is served",
                at = cut.at
            )));
        }
        let records = self.chosen(&name.records);
        let others: Vec<String> = name
            .others
            .iter()
            .filter(|other| self.has_type(&other.kind))
            .map(|other| {
                if other.label.is_empty() {
                    format!("{} ({})", other.kind, other.policy)
                } else {
                    format!("{} {} ({})", other.kind, other.label, other.policy)
                }
            })
            .collect();
        match (records.is_empty(), others.is_empty()) {
            (false, true) => Ok(records),
            (false, false) => Err(ActionError::Parameters(format!(
                "{called} has records without weights, whose traffic would stay where it is: {}; give them weights, or write the types to move as `types`",
                others.join(", ")
            ))),
            (true, false) => Err(ActionError::NoTargets(format!(
                "{called} has no weighted records; its routing is another: {}. Only weighted sets can be shifted",
                others.join(", ")
            ))),
            (true, true) => {
                let lines: BTreeSet<&str> = name.records.iter().map(|record| record.line.as_str()).filter(|line| !line.is_empty()).collect();
                let types: BTreeSet<&str> = name.records.iter().map(|record| record.kind.as_str()).collect();
                let there = match (types.is_empty(), lines.is_empty()) {
                    (true, _) => String::new(),
                    (false, true) => format!("; there are: {}", list(&types)),
                    (false, false) => format!("; there are: {} on the lines {}; `lines` names those to act on", list(&types), list(&lines)),
                };
                Err(ActionError::NoTargets(format!("{called} has no weighted records to act on{there}")))
            }
        }
    }

    /// Those of the lines and types that are meant.
    pub(super) fn chosen(&self, records: &[WeightedRecord]) -> Vec<WeightedRecord> {
        let is_meant = |record: &&WeightedRecord| self.has_type(&record.kind) && (record.line.is_empty() || self.lines.contains(&record.line));
        records.iter().filter(is_meant).cloned().collect()
    }

    /// Lines that have records of the name and are left alone.
    pub(super) fn lines_left(&self, name: &NameRecords) -> Vec<String> {
        let lines: BTreeSet<&String> = name.records.iter().map(|record| &record.line).filter(|line| !line.is_empty()).collect();
        lines.into_iter().filter(|line| !self.lines.contains(line)).cloned().collect()
    }

    fn has_type(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
    }

    /// The sides of `shares` that a record is of; one, if all is well.
    fn sides_of<'s>(&self, record: &WeightedRecord, shares: &'s Shares) -> Vec<&'s str> {
        let is_side = |side: &&str| match self.sides.get(*side) {
            Some(selectors) => selectors.iter().any(|selector| is_called(record, selector)),
            None => is_called(record, side),
        };
        shares.iter().map(|(side, _)| side).filter(is_side).collect()
    }

    /// Whether any record of the name is of a side.
    pub(super) fn has_sides(&self, name: &NameRecords, shares: &Shares) -> bool {
        self.chosen(&name.records).iter().any(|record| !self.sides_of(record, shares).is_empty())
    }

    /// `records` as `shares` want them: every side has records, and every record is of one side. With what cannot be exact, in words.
    ///
    /// # Errors
    /// When that is not so, or when the weights that there are come nowhere near the shares.
    pub(super) fn target(
        &self,
        dns: &dyn Dns,
        name: &str,
        records: &[WeightedRecord],
        shares: &Shares,
    ) -> Result<(Vec<WeightedRecord>, Vec<String>), ActionError> {
        if let Some((side, _)) = shares.iter().find(|(side, _)| records.iter().all(|record| !self.sides_of(record, shares).contains(side))) {
            let known: BTreeSet<String> = records.iter().map(called).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.into_iter().collect::<Vec<_>>().join(", ") };
            return Err(ActionError::NoTargets(format!("no such record: no weighted one of {name} is labelled `{side}`; there are: {known}")));
        }
        let mut owner = Vec::new();
        for record in records {
            match self.sides_of(record, shares).as_slice() {
                [side] => owner.push(*side),
                [] if record.label.is_empty() => {
                    let called = called(record);
                    return Err(ActionError::Parameters(format!(
                        "`to` says nothing about `{called}` of {name}, a record without a label; say whose it is, like `sides: {{ aws: [{called}] }}`"
                    )));
                }
                [] => {
                    let message = "which has records too; give it a share, 0 if none";
                    return Err(ActionError::Parameters(format!("`to` says nothing about `{}` of {name}, {message}", called(record))));
                }
                several => {
                    let message = format!("{name}: the record {} is of several sides: {}; each record is of one", label(record), several.join(", "));
                    return Err(ActionError::Parameters(message));
                }
            }
        }
        let (mut wanted, mut notes) = (Vec::new(), Vec::new());
        let sets: BTreeSet<(&str, &str)> = records.iter().map(WeightedRecord::set).collect();
        for set in sets {
            let own: Vec<(&WeightedRecord, &str)> =
                records.iter().zip(&owner).filter(|(record, _)| record.set() == set).map(|(record, side)| (record, *side)).collect();
            let sides: Vec<(&str, u32, usize)> =
                shares.iter().map(|(side, share)| (side, share, own.iter().filter(|(_, of)| *of == side).count())).collect();
            let missing: Vec<&str> = sides.iter().filter(|(_, share, count)| *share > 0 && *count == 0).map(|(side, ..)| *side).collect();
            let is_emptied = sides.iter().all(|(_, share, count)| *share == 0 || *count == 0);
            if !missing.is_empty() && (!is_emptied || dns.answers_zero()) {
                return Err(ActionError::NoTargets(format!(
                    "{name}: the {set} records have none of {missing}, so their traffic would stay with {rest}; add one, or write the types to move as \
                     `types`",
                    set = set_name(set),
                    missing = missing.join(", "),
                    rest = sides.iter().filter(|(_, _, count)| *count > 0).map(|(side, ..)| *side).collect::<Vec<_>>().join(", "),
                )));
            }
            let parts: Vec<(u32, usize)> = sides.iter().map(|(_, share, count)| (if is_emptied { 0 } else { *share }, *count)).collect();
            let division = divide(&parts, dns.heaviest());
            let weight_of = |side: &str| sides.iter().position(|(other, ..)| *other == side).map_or(0, |at| division.weights[at]);
            let new = own.iter().map(|(record, side)| match dns.weighed(record, weight_of(side)) {
                // A set of which nothing is left needs no weights.
                emptied if is_emptied && !record.weighted => WeightedRecord { weighted: false, weight: record.weight, ..emptied },
                new => new,
            });
            let new: Vec<WeightedRecord> = new.collect();
            if new.iter().any(|record| !record.weighted) && is_uneven(&own, &weight_of) {
                return Err(ActionError::Parameters(format!(
                    "{name}: weights are switched off for its {} records and cannot be switched on for this type; only all to one record is possible",
                    set_name(set)
                )));
            }
            if division.off > 0.0 && !is_emptied {
                let really: Vec<String> = sides.iter().zip(&division.percent).map(|((side, ..), is)| format!("{side} {is:.1} %")).collect();
                let said = format!("{name}, {}: the nearest that weights allow is {}", set_name(set), really.join(", "));
                if division.off > NEAR {
                    return Err(ActionError::Parameters(format!("{said}, not {shares}")));
                }
                notes.push(said);
            }
            wanted.extend(new);
        }
        wanted.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok((wanted, notes))
    }
}

/// Whether records that cannot be weighed would need different weights, or several would be served at once where only one can be.
fn is_uneven(own: &[(&WeightedRecord, &str)], weight_of: &impl Fn(&str) -> u32) -> bool {
    own.iter().filter(|(_, side)| weight_of(side) > 0).count() > 1
}

/// Whether a record can be told by `selector`: its label, its id, one of its values, or what it is an alias of.
fn is_called(record: &WeightedRecord, selector: &str) -> bool {
    let is_value = |value: &String| {
        let address = |text: &str| text.parse::<std::net::IpAddr>().ok();
        match (address(value), address(selector.trim())) {
            (Some(value), Some(selector)) => value == selector,
            (None, None) => selector.contains('.') && matches!((canonical(value), canonical(selector)), (Ok(a), Ok(b)) if a == b),
            _ => false,
        }
    };
    record.label == selector || (!record.id.is_empty() && record.id == selector) || record.values.iter().chain(&record.alias).any(is_value)
}

/// A record that has no label is called by its value.
fn called(record: &WeightedRecord) -> String {
    if record.label.is_empty() { record.values.iter().chain(&record.alias).next().unwrap_or(&record.id).clone() } else { record.label.clone() }
}

fn list(words: &BTreeSet<&str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join(", ")
}

/// `A`, `A on line oversea`.
fn set_name((kind, line): (&str, &str)) -> String {
    if matches!(line, "" | "default") { kind.to_owned() } else { format!("{kind} on line {line}") }
}

fn get<'a>(records: &'a [WeightedRecord], wanted: &WeightedRecord) -> Option<&'a WeightedRecord> {
    records.iter().find(|record| record.key() == wanted.key())
}

/// Whether every record of `wanted` is there with exactly its weight, status and switch.
pub(super) fn is_as(current: &[WeightedRecord], wanted: &[WeightedRecord]) -> bool {
    wanted.iter().all(|record| get(current, record).is_some_and(|found| found.stands_as(record)))
}

/// Whether resolvers are led as `wanted` leads them: in every set each record draws the same part of the traffic.
pub(super) fn is_worth(current: &[WeightedRecord], wanted: &[WeightedRecord]) -> bool {
    let pairs: Option<Vec<(&WeightedRecord, &WeightedRecord)>> = wanted.iter().map(|record| Some((get(current, record)?, record))).collect();
    let Some(pairs) = pairs else { return false };
    pairs.iter().all(|(found, record)| {
        let of_set = pairs.iter().filter(|(_, other)| other.set() == record.set());
        let (is, shall) = of_set.fold((0, 0), |sum, (found, other)| (sum.0 + u64::from(found.effect()), sum.1 + u64::from(other.effect())));
        (is == 0) == (shall == 0) && u64::from(found.effect()) * shall == u64::from(record.effect()) * is
    })
}

/// Refuses when a record is gone, or has a weight, a status or a switch that it neither had before nor is given by this step on its way (`ways`):
/// somebody else was here. Each for itself, because Alidns takes them one after the other, and this step may have been cut off between.
pub(super) fn check_ours(name: &str, current: &[WeightedRecord], before: &[WeightedRecord], ways: &[Vec<WeightedRecord>]) -> Result<(), ActionError> {
    for record in before {
        let known: Vec<&WeightedRecord> = ways.iter().filter_map(|way| get(way, record)).chain([record]).collect();
        let found = get(current, record);
        let is_ours = found.is_some_and(|found| {
            let has_status = known.iter().any(|known| known.enabled == found.enabled) && known.iter().any(|known| known.weighted == found.weighted);
            // A weight that does not count means nothing; weights that were just switched on are 1.
            let has_weight = known.iter().any(|known| known.weight == found.weight) || (!record.weighted && found.weight == 1);
            has_status && (!found.enabled || !found.weighted || has_weight)
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
        WeightedRecord { weight, enabled: record.enabled, weighted: record.weighted, ..found.clone() }
    };
    before.iter().filter_map(|record| get(current, record).map(|found| back(found, record))).collect()
}

/// A record for people: its type, line, label, and its id where that says more.
pub(super) fn label(record: &WeightedRecord) -> String {
    match own_id(record) {
        "" => part(record),
        id => format!("{} ({id})", part(record)),
    }
}

/// A record as something that a step acts on.
pub(super) fn target(location: &Location, name: &str, record: &WeightedRecord) -> Target {
    Target::at(location, TargetKind::Record, name).part(part(record)).called(own_id(record))
}

/// Which of the records of its name it is: its type, line and label.
fn part(record: &WeightedRecord) -> String {
    let (set, called) = (set_name(record.set()), called(record));
    if called.is_empty() { set } else { format!("{set} {called}") }
}

/// Its id where that says more than its label; else empty.
fn own_id(record: &WeightedRecord) -> &str {
    if record.id == called(record) { "" } else { &record.id }
}

/// A record's weight for people.
pub(super) fn weight(record: &WeightedRecord) -> String {
    match (record.enabled, record.weighted) {
        (false, true) => "off".to_owned(),
        (false, false) => "off, without weights".to_owned(),
        (true, true) => record.weight.to_string(),
        (true, false) => "on, without weights".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::actions::dns::shift_weight::fake::{FakeDns, record};
    use crate::ports::dns::{Delegation, OtherRecord};

    static NONE: BTreeMap<String, Vec<String>> = BTreeMap::new();

    fn shares(json: &str) -> Shares {
        serde_json::from_str(json).unwrap()
    }

    fn choice<'a>(lines: &'a [String], types: &'a [String], sides: &'a BTreeMap<String, Vec<String>>) -> Choice<'a> {
        Choice { lines, types, sides }
    }

    fn target(dns: &FakeDns, records: &[WeightedRecord], json: &str) -> Result<Vec<WeightedRecord>, ActionError> {
        choice(&["default".into()], &[], &NONE).target(dns, "shop", records, &shares(json)).map(|(wanted, _)| wanted)
    }

    fn stands(records: &[WeightedRecord]) -> Vec<(u32, bool)> {
        records.iter().map(|record| (record.weight, record.enabled)).collect()
    }

    #[test]
    fn every_label_needs_records_and_every_record_a_share() {
        let records = [record("aliyun", "1", 100, true), record("aws", "2", 1, false)];
        let dns = FakeDns::alidns(&[]);
        assert_eq!(stands(&target(&dns, &records, r#"{"aws": 100, "aliyun": 0}"#).unwrap()), [(1, false), (100, true)]);
        let error = target(&dns, &records, r#"{"aws": 50, "aliyun": 50, "azure": 0}"#).unwrap_err();
        assert_eq!(error.to_string(), "no such record: no weighted one of shop is labelled `azure`; there are: aliyun, aws");
        let error = target(&dns, &records, r#"{"aws": 100}"#).unwrap_err();
        assert_eq!(error.to_string(), "`to` says nothing about `aliyun` of shop, which has records too; give it a share, 0 if none");
    }

    #[test]
    fn all_types_move_and_a_type_that_a_side_lacks_is_named() {
        let six = |label: &str, id: &str, weight| WeightedRecord { kind: "AAAA".into(), ..record(label, id, weight, true) };
        let both = [record("aliyun", "1", 100, true), record("aws", "2", 0, true), six("aliyun", "1", 100), six("aws", "2", 0)];
        let dns = FakeDns::route53(&[]);
        assert_eq!(stands(&target(&dns, &both, r#"{"aws": 100, "aliyun": 0}"#).unwrap()), [(0, true), (100, true), (0, true), (100, true)]);
        let error = target(&dns, &both[..3], r#"{"aws": 100, "aliyun": 0}"#).unwrap_err().to_string();
        assert!(error.contains("the AAAA records have none of aws"), "Route 53 answers what weighs nothing when nothing weighs more: {error}");
        // Alidns answers no paused record: IPv6 ends, and IPv4 goes where it shall.
        let lonely = [record("aliyun", "1", 100, true), record("aws", "2", 1, false), six("aliyun", "3", 100)];
        assert_eq!(stands(&target(&FakeDns::alidns(&[]), &lonely, r#"{"aws": 100, "aliyun": 0}"#).unwrap()), [(1, false), (100, true), (1, false)]);
    }

    #[test]
    fn a_share_is_divided_among_the_records_of_a_side() {
        let records: Vec<WeightedRecord> = [("aliyun", "1"), ("aliyun", "2"), ("aliyun", "3"), ("aliyun", "4"), ("aws", "5"), ("aws", "6")]
            .map(|(label, id)| record(label, id, 100, true))
            .into();
        let weights: Vec<u32> =
            target(&FakeDns::alidns(&[]), &records, r#"{"aws": 50, "aliyun": 50}"#).unwrap().iter().map(|record| record.weight).collect();
        assert_eq!(weights, [25, 25, 25, 25, 50, 50]);
        let error = target(&FakeDns::alidns(&[]), &records[..5], r#"{"aws": 99, "aliyun": 1}"#).unwrap_err().to_string();
        assert!(error.contains("nearest that weights allow is aliyun 3.8 %, aws 96.2 %, not aliyun 1 %, aws 99 %"), "{error}");
    }

    #[test]
    fn records_are_told_by_label_id_value_or_a_side_that_lists_them() {
        let bare = |id: &str, value: &str| WeightedRecord { values: vec![value.to_owned()], ..record("", id, 100, true) };
        let records = [bare("7", "192.0.2.7"), bare("8", "2001:DB8::7"), bare("9", "LB.example.net.")];
        let dns = FakeDns::alidns(&[]);
        let to = r#"{"192.0.2.7": 100, "2001:db8:0::7": 0, "9": 0}"#;
        assert_eq!(stands(&target(&dns, &records, to).unwrap()), [(100, true), (1, false), (1, false)]);
        let sides = BTreeMap::from([
            ("aws".to_owned(), vec!["192.0.2.7".to_owned(), "8".to_owned()]),
            ("aliyun".to_owned(), vec!["lb.example.net".to_owned()]),
        ]);
        let lines = ["default".to_owned()];
        let by_side = choice(&lines, &[], &sides);
        let (wanted, _) = by_side.target(&dns, "shop", &records, &shares(r#"{"aws": 0, "aliyun": 100}"#)).unwrap();
        assert_eq!(stands(&wanted), [(1, false), (1, false), (100, true)]);
        let twice = BTreeMap::from([("aws".to_owned(), vec!["7".to_owned()]), ("aliyun".to_owned(), vec!["192.0.2.7".to_owned()])]);
        let error = choice(&lines, &[], &twice).target(&dns, "shop", &records[..1], &shares(r#"{"aws": 0, "aliyun": 100}"#)).unwrap_err();
        assert!(error.to_string().contains("several sides: aliyun, aws"), "{error}");
        let error = target(&dns, &records, r#"{"192.0.2.7": 100}"#).unwrap_err().to_string();
        assert!(error.contains("sides: { aws: [2001:DB8::7] }"), "a record without a label is called by its value: {error}");
    }

    #[test]
    fn other_lines_are_left_alone_unless_named() {
        let abroad = WeightedRecord { line: "oversea".into(), ..record("sink", "3", 1, true) };
        let name = NameRecords {
            name: "shop.example.cn".into(),
            records: vec![record("aliyun", "1", 100, true), record("aws", "2", 1, false), abroad.clone()],
            ..NameRecords::default()
        };
        let both = ["default".to_owned(), "oversea".to_owned()];
        assert_eq!(choice(&both[..1], &[], &NONE).acted_on(&name).unwrap().len(), 2);
        assert_eq!(choice(&both[..1], &[], &NONE).lines_left(&name), ["oversea"]);
        assert_eq!(choice(&both[1..], &[], &NONE).acted_on(&name).unwrap(), [abroad]);
        assert_eq!(choice(&both, &[], &NONE).acted_on(&name).unwrap().len(), 3);
        let only = NameRecords { records: name.records[2..].to_vec(), ..name };
        let error = choice(&both[..1], &[], &NONE).acted_on(&only).unwrap_err().to_string();
        assert!(error.contains("there are: A on the lines oversea"), "{error}");
    }

    #[test]
    fn other_policies_and_zones_that_hand_the_name_on_are_named() {
        let other = |kind: &str, policy| OtherRecord { kind: kind.into(), policy, label: "primary".into() };
        let mut name = NameRecords { name: "shop.example.com".into(), others: vec![other("A", "failover")], ..NameRecords::default() };
        let types = ["A".to_owned()];
        let all = choice(&[], &[], &NONE);
        let error = all.acted_on(&name).unwrap_err().to_string();
        assert!(error.contains("A primary (failover)"), "{error}");
        name.others = vec![other("AAAA", "latency")];
        name.records = vec![WeightedRecord { line: String::new(), ..record("aws", "1", 1, true) }];
        let error = all.acted_on(&name).unwrap_err().to_string();
        assert!(error.contains("would stay where it is: AAAA primary (latency)") && error.contains("`types`"), "{error}");
        assert_eq!(choice(&[], &types, &NONE).acted_on(&name).unwrap().len(), 1, "said to be left alone");
        name.delegation = Some(Delegation { at: "shop.example.com".into(), to: vec!["ns-1.awsdns-00.org.".into()] });
        let error = choice(&[], &types, &NONE).acted_on(&name).unwrap_err().to_string();
        assert!(error.contains("NS record at shop.example.com delegates it to ns-1.awsdns-00.org."), "{error}");
    }

    #[test]
    fn names_that_cannot_be_weighed_are_moved_whole_or_not_at_all() {
        let name = |label: &str, id: &str, enabled| WeightedRecord { kind: "CNAME".into(), weighted: false, ..record(label, id, 1, enabled) };
        let records = [name("aliyun", "1", true), name("aws", "2", false)];
        assert_eq!(stands(&target(&FakeDns::alidns(&[]), &records, r#"{"aws": 100, "aliyun": 0}"#).unwrap()), [(1, false), (1, true)]);
        let error = target(&FakeDns::alidns(&[]), &records, r#"{"aws": 50, "aliyun": 50}"#).unwrap_err().to_string();
        assert!(error.contains("weights are switched off for its CNAME records"), "{error}");
    }

    #[test]
    fn a_set_of_which_nothing_is_left_is_paused_without_switching_weights() {
        let six = WeightedRecord { kind: "AAAA".into(), weighted: false, ..record("aliyun", "3", 1, true) };
        let records = [record("aliyun", "1", 100, true), record("aws", "2", 1, false), six];
        let wanted = target(&FakeDns::alidns(&[]), &records, r#"{"aws": 100, "aliyun": 0}"#).unwrap();
        assert_eq!((wanted[2].enabled, wanted[2].weighted, wanted[2].weight), (false, false, 1));
    }

    #[test]
    fn equal_parts_of_the_traffic_are_the_same_whatever_the_numbers() {
        let of = |weights: [u32; 2]| [record("aliyun", "1", weights[0], true), record("aws", "2", weights[1], true)];
        assert!(is_worth(&of([255, 0]), &of([100, 0])));
        assert!(is_worth(&of([7, 7]), &of([50, 50])));
        assert!(!is_worth(&of([60, 40]), &of([50, 50])));
        assert!(!is_worth(&of([0, 0]), &of([100, 0])));
        assert!(!is_worth(&of([50, 50])[..1], &of([50, 50])), "a record is missing");
        let off = of([1, 1]).map(|record| WeightedRecord { weighted: false, ..record });
        assert!(is_worth(&off, &of([50, 50])), "without weights the enabled ones share evenly");
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
        assert_eq!(error.to_string(), "the weight of shop A aws (2) was changed by someone else: expected 100 or off, found 60; left as it is");
        assert!(check(&[record("aws", "2", 100, true)]).unwrap_err().to_string().contains("no such record"));
        // Another type of the same label is another record.
        let six = WeightedRecord { kind: "AAAA".into(), ..record("aws", "2", 9, true) };
        assert!(check(&[record("aliyun", "1", 100, true), six]).unwrap_err().to_string().contains("A aws (2)"));
    }

    #[test]
    fn weights_that_this_step_switched_on_are_its_own() {
        let off = |label: &str, id: &str, enabled| WeightedRecord { weighted: false, ..record(label, id, 1, enabled) };
        let before = [off("aliyun", "1", true), off("aws", "2", true)];
        let after = vec![record("aliyun", "1", 30, true), record("aws", "2", 70, true)];
        let check = |current: &[WeightedRecord]| check_ours("shop", current, &before, std::slice::from_ref(&after));
        assert!(check(&[record("aliyun", "1", 1, true), record("aws", "2", 1, true)]).is_ok(), "switched on, not weighed yet");
        assert!(check(&[record("aliyun", "1", 30, true), record("aws", "2", 33, true)]).is_err());
        let back = restored(&after, &before);
        assert!(is_as(&back, &before));
    }
}
