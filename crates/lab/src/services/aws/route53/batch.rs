//! A change batch: read from XML, judged against the zone as a whole. Nothing is changed here.
//!
//! Two kinds of refusal, as Route 53 has them: what breaks the API's schema is `InvalidInput`; what the zone does not allow
//! is `InvalidChangeBatch`, with one message per wrong change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{canonical_name, sort_key};
use crate::wire::aws_answer::ApiError;
use crate::wire::xml::Element;
use crate::world::state::{Record, Zone};

/// The most `ResourceRecord` elements of a batch, those of an UPSERT counted twice.
const MAX_VALUES: usize = 1000;
/// The most characters of all values, those of an UPSERT counted twice.
const MAX_CHARACTERS: usize = 32_000;
/// The most weighted record sets of one name and type.
const MAX_WEIGHTED: usize = 100;

/// The record types that can be made.
const TYPES: [&str; 16] = ["A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TXT"];

/// Elements that would make a record set of a kind that the lab does not have.
const OTHER_ROUTING: [&str; 8] =
    ["AliasTarget", "Region", "GeoLocation", "Failover", "MultiValueAnswer", "TrafficPolicyInstanceId", "CidrRoutingConfig", "GeoProximityLocation"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Delete,
    Upsert,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Delete => "DELETE",
            Self::Upsert => "UPSERT",
        }
    }
}

/// One change, its record in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) record: Record,
}

/// A batch as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) comment: String,
    pub(super) changes: Vec<Change>,
}

fn invalid_input(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidInput", message)
}

impl Batch {
    /// Reads a `ChangeResourceRecordSetsRequest`.
    ///
    /// # Errors
    /// `InvalidInput` for what the API's schema does not allow.
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let malformed =
            || ApiError::new("MalformedInput", "The XML you provided was not well-formed or did not validate against our published schema");
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let request = Element::parse(text).map_err(|_| malformed())?;
        let batch = request.child("ChangeBatch").filter(|_| request.name == "ChangeResourceRecordSetsRequest").ok_or_else(malformed)?;
        let changes = batch.child("Changes").ok_or_else(malformed)?;
        if changes.children.is_empty() {
            return Err(violation("[]", "changeBatch.changes", "Member must have length greater than or equal to 1"));
        }
        let changes = changes.children.iter().enumerate().map(|(at, change)| read_change(at + 1, change)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { comment: batch.text_of("Comment").unwrap_or_default().to_owned(), changes })
    }

    /// The zone's records after the whole batch.
    ///
    /// # Errors
    /// `InvalidChangeBatch` with a message for each change that the zone does not allow; none is made then.
    pub(super) fn judge(&self, zone: &Zone) -> Result<Vec<Record>, ApiError> {
        self.check_size()?;
        let mut records = zone.records.clone();
        let mut messages: Vec<String> = Vec::new();
        let mut seen: BTreeSet<(String, String, Option<String>, bool)> = BTreeSet::new();
        for Change { action, record } in &self.changes {
            let key = (record.name.clone(), record.kind.clone(), record.set_identifier.clone(), *action == Action::Delete);
            if !seen.insert(key) {
                messages.push(format!("The request contains an invalid set of changes for a resource record set '{} {}'", record.kind, record.name));
                continue;
            }
            if let Err(message) = apply(zone, &mut records, *action, record) {
                messages.push(message);
            }
        }
        if messages.is_empty() {
            messages = whole(zone, &records);
        }
        if messages.is_empty() {
            return Ok(records);
        }
        Err(ApiError::new("InvalidChangeBatch", format!("[{}]", messages.join(", "))))
    }

    fn check_size(&self) -> Result<(), ApiError> {
        let counted = |measure: fn(&Record) -> usize| -> usize {
            self.changes.iter().map(|change| measure(&change.record) * if change.action == Action::Upsert { 2 } else { 1 }).sum()
        };
        if counted(|record| record.values.len()) > MAX_VALUES {
            return Err(ApiError::new("InvalidChangeBatch", format!("[Number of records limit of {MAX_VALUES} exceeded.]")));
        }
        if counted(|record| record.values.iter().map(String::len).sum()) > MAX_CHARACTERS {
            return Err(ApiError::new("InvalidChangeBatch", format!("[Number of characters limit of {MAX_CHARACTERS} exceeded.]")));
        }
        Ok(())
    }
}

fn violation(value: &str, path: &str, constraint: &str) -> ApiError {
    invalid_input(format!("1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"))
}

fn read_change(number: usize, change: &Element) -> Result<Change, ApiError> {
    let path = |field: &str| format!("changeBatch.changes.{number}.member.{field}");
    let action = match change.text_of("Action").unwrap_or_default() {
        "CREATE" => Action::Create,
        "DELETE" => Action::Delete,
        "UPSERT" => Action::Upsert,
        other => return Err(violation(other, &path("action"), "Member must satisfy enum value set: [CREATE, DELETE, UPSERT]")),
    };
    let set = change.child("ResourceRecordSet").ok_or_else(|| violation("null", &path("resourceRecordSet"), "Member must not be null"))?;
    let field = |name: &str| set.text_of(name).filter(|text| !text.is_empty());
    let bounded = |name: &str, wire: &str, most: u32| -> Result<Option<u32>, ApiError> {
        let Some(text) = field(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| invalid_input(format!("Could not parse '{text}' as a number for {name}.")))?;
        match u32::try_from(number) {
            Ok(number) if number <= most => Ok(Some(number)),
            Ok(_) => {
                Err(violation(text, &path(&format!("resourceRecordSet.{wire}")), &format!("Member must have value less than or equal to {most}")))
            }
            Err(_) if number < 0 => {
                Err(violation(text, &path(&format!("resourceRecordSet.{wire}")), "Member must have value greater than or equal to 0"))
            }
            Err(_) => {
                Err(violation(text, &path(&format!("resourceRecordSet.{wire}")), &format!("Member must have value less than or equal to {most}")))
            }
        }
    };
    let name = field("Name").ok_or_else(|| violation("null", &path("resourceRecordSet.name"), "Member must not be null"))?;
    let kind = field("Type").unwrap_or_default();
    if !TYPES.contains(&kind) {
        return Err(violation(kind, &path("resourceRecordSet.type"), &format!("Member must satisfy enum value set: [{}]", TYPES.join(", "))));
    }
    let identifier = field("SetIdentifier").map(str::to_owned);
    if identifier.as_deref().is_some_and(|identifier| identifier.chars().count() > 128) {
        return Err(violation(
            identifier.as_deref().unwrap_or_default(),
            &path("resourceRecordSet.setIdentifier"),
            "Member must have length less than or equal to 128",
        ));
    }
    let weight = bounded("Weight", "weight", 255)?;
    let ttl = bounded("TTL", "tTL", 2_147_483_647)?;
    let values: Vec<String> = set
        .child("ResourceRecords")
        .map(|records| records.children.iter().map(|record| record.text_of("Value").unwrap_or_default().to_owned()).collect())
        .unwrap_or_default();
    let at = format!(
        "Change with [Action={}, Name={}, Type={kind}, SetIdentifier={}]",
        action.word(),
        canonical_name(name),
        identifier.as_deref().unwrap_or("null")
    );
    if let Some(other) = OTHER_ROUTING.iter().find(|other| set.child(other).is_some()) {
        return Err(invalid_input(format!("Invalid request: the lab has no record sets with {other}; found one in {at}")));
    }
    let (Some(ttl), false) = (ttl, values.is_empty()) else {
        return Err(invalid_input(format!(
            "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none in {at}"
        )));
    };
    match (&identifier, weight) {
        (None, Some(_)) => return Err(invalid_input(format!("Invalid request: Missing field 'SetIdentifier' in {at}"))),
        (Some(_), None) => {
            return Err(invalid_input(format!(
                "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, MultiValueAnswer, or CidrRoutingConfig], but found none in {at}"
            )));
        }
        _ => {}
    }
    let record = Record {
        id: String::new(),
        name: canonical_name(name),
        kind: kind.to_owned(),
        ttl,
        values,
        set_identifier: identifier,
        weight,
        enabled: true,
        health_check: field("HealthCheckId").map(str::to_owned),
    };
    Ok(Change { action, record })
}

/// Applies one change to `records`; the error is Route 53's message.
fn apply(zone: &Zone, records: &mut Vec<Record>, action: Action, record: &Record) -> Result<(), String> {
    let Record { name, kind, .. } = record;
    let identifier = record.set_identifier.as_ref().map(|identifier| format!(", SetIdentifier {identifier}")).unwrap_or_default();
    let at = format!(
        "[name='{name}', type='{kind}'{}]",
        record.set_identifier.as_ref().map(|identifier| format!(", set-identifier='{identifier}'")).unwrap_or_default()
    );
    if *name != zone.name && !name.ends_with(&format!(".{}", zone.name)) {
        return Err(format!("RRSet with DNS name {name} is not permitted in zone {}", zone.name));
    }
    check_name(name)?;
    let found = records.iter().position(|other| other.name == *name && other.kind == *kind && other.set_identifier == record.set_identifier);
    match (action, found) {
        (Action::Create, Some(_)) => return Err(format!("Tried to create resource record set {at} but it already exists")),
        (Action::Delete, None) => return Err(format!("Tried to delete resource record set {at} but it was not found")),
        (Action::Delete, Some(index)) => {
            if !same(&records[index], record) {
                return Err(format!("Tried to delete resource record set {at} but the values provided do not match the current values"));
            }
            records.remove(index);
            return Ok(());
        }
        (Action::Create | Action::Upsert, _) => {}
    }
    for value in &record.values {
        check_value(kind, value)?;
    }
    if record.values.iter().collect::<BTreeSet<_>>().len() < record.values.len() {
        return Err(format!("Duplicate Resource Record: '{}'", record.values.iter().max().map(String::as_str).unwrap_or_default()));
    }
    if kind == "CNAME" && record.values.len() > 1 {
        return Err(format!("Invalid Resource Record: RRSet of type CNAME with DNS name {name} may have only one value"));
    }
    let mixed =
        records.iter().any(|other| other.name == *name && other.kind == *kind && other.set_identifier.is_some() != record.set_identifier.is_some());
    if mixed {
        return Err(format!(
            "RRSet with DNS name {name}, type {kind}{identifier} cannot be created as other RRSets exist with the same name and type."
        ));
    }
    match found {
        Some(index) => records[index] = record.clone(),
        None => records.push(record.clone()),
    }
    Ok(())
}

/// What must hold of the zone when every change is made.
fn whole(zone: &Zone, records: &[Record]) -> Vec<String> {
    let mut messages = Vec::new();
    let at_apex = |kind: &str| records.iter().any(|record| record.name == zone.name && record.kind == kind);
    // Only where the zone had them: a world file may hold zones without.
    let had = |kind: &str| zone.records.iter().any(|record| record.name == zone.name && record.kind == kind);
    if had("NS") && !at_apex("NS") {
        messages.push("A HostedZone must contain at least one NS record for the zone itself.".to_owned());
    }
    if had("SOA") && !at_apex("SOA") {
        messages.push("A HostedZone must contain exactly one SOA record.".to_owned());
    }
    let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut weighted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for record in records {
        kinds.entry(&record.name).or_default().insert(&record.kind);
        if record.weight.is_some() {
            *weighted.entry((&record.name, &record.kind)).or_default() += 1;
        }
    }
    let mut names: Vec<_> = kinds.into_iter().filter(|(_, kinds)| kinds.contains("CNAME") && kinds.len() > 1).map(|(name, _)| name).collect();
    names.sort_by_key(|name| sort_key(name));
    messages.extend(names.into_iter().map(|name| {
        format!(
            "RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records with the same DNS name in zone {}",
            zone.name
        )
    }));
    messages.extend(
        weighted
            .into_iter()
            .filter(|(_, count)| *count > MAX_WEIGHTED)
            .map(|((name, kind), _)| format!("RRSets with DNS name {name}, type {kind} cannot be more than {MAX_WEIGHTED}")),
    );
    messages
}

/// Whether a DELETE names a record set exactly: TTL, weight, health check and values, the order of values apart.
fn same(stored: &Record, given: &Record) -> bool {
    let sorted = |record: &Record| record.values.iter().cloned().collect::<BTreeSet<_>>();
    stored.ttl == given.ttl && stored.weight == given.weight && stored.health_check == given.health_check && sorted(stored) == sorted(given)
}

/// Lengths of labels and of the whole name, as DNS bounds them.
fn check_name(name: &str) -> Result<(), String> {
    let mut labels = name.trim_end_matches('.').split('.').map(str::len);
    let problem = match () {
        () if name.len() > 255 => "DomainTooLong (Domain name is too long)",
        () if labels.clone().any(|length| length == 0) => "DomainLabelEmpty (Domain label is empty)",
        () if labels.any(|length| length > 63) => "DomainLabelTooLong (Domain label is too long)",
        () => return Ok(()),
    };
    Err(format!("FATAL problem: {problem} encountered with '{name}'"))
}

fn check_value(kind: &str, value: &str) -> Result<(), String> {
    let problem = match kind {
        "A" => value.parse::<Ipv4Addr>().is_err().then_some("ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
        "AAAA" => value.parse::<Ipv6Addr>().is_err().then_some("AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),
        "TXT" | "SPF" => (!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"')))
            .then_some("InvalidCharacterString (Value should be enclosed in quotation marks)"),
        _ => value.is_empty().then_some("InvalidRecordData (Value is empty)"),
    };
    problem.map_or(Ok(()), |problem| Err(format!("Invalid Resource Record: 'FATAL problem: {problem} encountered with '{value}''")))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::world::state::Cloud;

    fn record(name: &str, kind: &str, identifier: Option<&str>, weight: Option<u32>, values: &[&str]) -> Record {
        Record {
            id: String::new(),
            name: name.into(),
            kind: kind.into(),
            ttl: 5,
            values: values.iter().map(|value| (*value).into()).collect(),
            set_identifier: identifier.map(Into::into),
            weight,
            enabled: true,
            health_check: None,
        }
    }

    fn zone() -> Zone {
        Zone {
            id: "Z1".into(),
            cloud: Cloud::Aws,
            name: "example.com.".into(),
            records: vec![
                record("example.com.", "NS", None, None, &["ns-1.example.net."]),
                record("example.com.", "SOA", None, None, &["ns-1.example.net. h.example.net. 1 1 1 1 1"]),
                record("shop.example.com.", "A", Some("aws"), Some(0), &["127.0.0.1", "127.0.0.2"]),
                record("shop.example.com.", "A", Some("aliyun"), Some(100), &["127.0.0.3"]),
                record("plain.example.com.", "A", None, None, &["127.0.0.4"]),
            ],
            weighted: BTreeSet::new(),
        }
    }

    /// `action name type identifier weight ttl values…`, with `-` for nothing.
    fn batch(changes: &[&str]) -> Result<Batch, ApiError> {
        let mut text = String::from(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Comment>c</Comment><Changes>",
        );
        for change in changes {
            let words: Vec<&str> = change.split(' ').collect();
            write!(text, "<Change><Action>{}</Action><ResourceRecordSet><Name>{}</Name><Type>{}</Type>", words[0], words[1], words[2]).unwrap();
            for (name, word) in [("SetIdentifier", words[3]), ("Weight", words[4]), ("TTL", words[5])] {
                if word != "-" {
                    write!(text, "<{name}>{word}</{name}>").unwrap();
                }
            }
            text.push_str("<ResourceRecords>");
            for value in &words[6..] {
                write!(text, "<ResourceRecord><Value>{value}</Value></ResourceRecord>").unwrap();
            }
            text.push_str("</ResourceRecords></ResourceRecordSet></Change>");
        }
        text.push_str("</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
        Batch::read(text.as_bytes())
    }

    fn outcome(changes: &[&str]) -> Result<Vec<Record>, (String, String)> {
        batch(changes).and_then(|batch| batch.judge(&zone())).map_err(|error| (error.code.into_owned(), error.message))
    }

    #[test]
    fn a_weight_shift_changes_both_sets_and_nothing_else() {
        let records =
            outcome(&["UPSERT shop.example.com A aws 100 5 127.0.0.1 127.0.0.2", "UPSERT SHOP.example.com. A aliyun 0 5 127.0.0.3"]).unwrap();
        let mut expected = zone().records;
        expected[2].weight = Some(100);
        expected[3].weight = Some(0);
        assert_eq!(records, expected);
    }

    #[test]
    fn the_zone_refuses_with_route_53s_messages() {
        for (change, message) in [
            (
                "CREATE shop.example.com A aws 1 5 127.0.0.1",
                "Tried to create resource record set [name='shop.example.com.', type='A', set-identifier='aws'] but it already exists",
            ),
            (
                "DELETE nothing.example.com A - - 5 127.0.0.1",
                "Tried to delete resource record set [name='nothing.example.com.', type='A'] but it was not found",
            ),
            ("DELETE shop.example.com A aws 1 5 127.0.0.1 127.0.0.2", "but the values provided do not match the current values"),
            ("DELETE shop.example.com A aws 0 6 127.0.0.1 127.0.0.2", "but the values provided do not match the current values"),
            ("DELETE shop.example.com A aws 0 5 127.0.0.1", "but the values provided do not match the current values"),
            ("UPSERT other.example.org A - - 5 127.0.0.1", "RRSet with DNS name other.example.org. is not permitted in zone example.com."),
            ("UPSERT notexample.com A - - 5 127.0.0.1", "is not permitted in zone"),
            ("UPSERT plain.example.com A aws 1 5 127.0.0.1", "cannot be created as other RRSets exist with the same name and type."),
            ("UPSERT shop.example.com A - - 5 127.0.0.1", "cannot be created as other RRSets exist with the same name and type."),
            ("CREATE a..example.com A - - 5 127.0.0.1", "DomainLabelEmpty"),
            ("CREATE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com A - - 5 127.0.0.1", "DomainLabelTooLong"),
            ("CREATE a.example.com A - - 5 1.2.3", "ARRDATAIllegalIPv4Address"),
            ("CREATE a.example.com TXT - - 5 unquoted", "InvalidCharacterString"),
            ("CREATE plain.example.com CNAME - - 5 x.example.com", "RRSet of type CNAME with DNS name plain.example.com. is not permitted"),
            ("DELETE example.com NS - - 5 ns-1.example.net.", "A HostedZone must contain at least one NS record"),
        ] {
            let (code, text) = outcome(&[change]).unwrap_err();
            assert_eq!(code, "InvalidChangeBatch", "{change}");
            assert!(text.contains(message), "{change}: {text}");
        }
    }

    #[test]
    fn what_breaks_the_schema_is_invalid_input() {
        for change in [
            "UPSERT shop.example.com A aws 256 5 127.0.0.1",
            "UPSERT shop.example.com A aws -1 5 127.0.0.1",
            "UPSERT shop.example.com A aws - 5 127.0.0.1",
            "UPSERT shop.example.com A - 5 5 127.0.0.1",
            "UPSERT shop.example.com A aws 5 - 127.0.0.1",
            "UPSERT shop.example.com A aws 5 5",
            "UPSERT shop.example.com BOGUS aws 5 5 x",
            "REPLACE shop.example.com A aws 5 5 127.0.0.1",
        ] {
            assert_eq!(outcome(&[change]).unwrap_err().0, "InvalidInput", "{change}");
        }
        assert_eq!(outcome(&[]).unwrap_err().0, "InvalidInput");
        assert_eq!(Batch::read(b"<x/>").unwrap_err().code, "MalformedInput");
        assert_eq!(Batch::read(b"\xff").unwrap_err().code, "MalformedInput");
    }

    #[test]
    fn a_batch_is_judged_as_a_whole() {
        // Delete and create of one set is a replacement; two creations of one set are not allowed.
        let replaced = outcome(&["DELETE plain.example.com A - - 5 127.0.0.4", "CREATE plain.example.com A - - 5 127.0.0.5"]).unwrap();
        assert_eq!(replaced.last().unwrap().values, ["127.0.0.5"]);
        let (_, message) = outcome(&["CREATE b.example.com A - - 5 127.0.0.4", "CREATE b.example.com A - - 5 127.0.0.5"]).unwrap_err();
        assert_eq!(message, "[The request contains an invalid set of changes for a resource record set 'A b.example.com.']");
        let (_, message) = outcome(&[
            "DELETE x.example.com A - - 5 127.0.0.4",
            "UPSERT shop.example.com A aws 1 5 127.0.0.1",
            "DELETE y.example.com A - - 5 127.0.0.4",
        ])
        .unwrap_err();
        assert_eq!(message.matches("was not found").count(), 2);
    }

    #[test]
    fn an_upsert_counts_twice() {
        let change = |action: &str, n: usize| format!("{action} r{n}.example.com A - - 5 127.0.0.1");
        let many = |action: &str, count: usize| (0..count).map(|n| change(action, n)).collect::<Vec<_>>();
        let refused = |changes: Vec<String>| outcome(&changes.iter().map(String::as_str).collect::<Vec<_>>()).is_err();
        assert!(!refused(many("UPSERT", 500)));
        assert!(refused(many("UPSERT", 501)));
        assert!(!refused(many("CREATE", 1000)));
        assert!(refused(many("CREATE", 1001)));
    }
}
