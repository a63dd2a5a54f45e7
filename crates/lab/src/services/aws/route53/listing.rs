//! `ListResourceRecordSets`: Route 53's order, and pages that begin at a name, type and identifier.

use super::{Call, canonical_name, max_items, sort_key, zone_index};
use crate::wire::aws_answer::ApiError;
use crate::wire::xml::Answer;
use crate::world::state::{Record, State};

/// The most record sets of one page.
const PAGE: usize = 300;

/// Name with its labels reversed, type, set identifier.
type Position = (String, String, String);

fn position(record: &Record) -> Position {
    (sort_key(&record.name), record.kind.clone(), record.set_identifier.clone().unwrap_or_default())
}

/// One record set, its elements in the order of the API's schema.
fn write(answer: &mut Answer, record: &Record) {
    answer.element("ResourceRecordSet", |answer| {
        answer.text("Name", &record.name);
        answer.text("Type", &record.kind);
        if let Some(identifier) = &record.set_identifier {
            answer.text("SetIdentifier", identifier);
        }
        if let Some(weight) = record.weight {
            answer.text("Weight", weight);
        }
        answer.text("TTL", record.ttl);
        answer.element("ResourceRecords", |answer| {
            for value in &record.values {
                answer.element("ResourceRecord", |answer| answer.text("Value", value));
            }
        });
        if let Some(check) = &record.health_check {
            answer.text("HealthCheckId", check);
        }
    });
}

pub(super) fn list(state: &mut State, call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    let zone = &state.zones[zone_index(state, &call.id)?];
    let items = max_items(call, PAGE)?;
    let asked = |name: &str| call.query.get(name).map(String::as_str);
    let start = match (asked("name"), asked("type"), asked("identifier")) {
        (None, None, None) => None,
        (None, _, _) => {
            return Err(ApiError::new("InvalidInput", "A start record type or identifier can be given only together with a start record name."));
        }
        (Some(_), None, Some(_)) => {
            return Err(ApiError::new("InvalidInput", "A start record identifier can be given only together with a start record type."));
        }
        (Some(name), kind, identifier) => {
            Some((sort_key(&canonical_name(name)), kind.unwrap_or_default().to_owned(), identifier.unwrap_or_default().to_owned()))
        }
    };
    let mut records: Vec<&Record> = zone.records.iter().collect();
    records.sort_by_key(|record| position(record));
    if let Some(start) = start {
        records.retain(|record| position(record) >= start);
    }
    let (page, after) = records.split_at(items.min(records.len()));
    answer.element("ResourceRecordSets", |answer| page.iter().for_each(|record| write(answer, record)));
    answer.text("IsTruncated", !after.is_empty());
    if let Some(next) = after.first() {
        answer.text("NextRecordName", &next.name);
        answer.text("NextRecordType", &next.kind);
        if let Some(identifier) = &next.set_identifier {
            answer.text("NextRecordIdentifier", identifier);
        }
    }
    answer.text("MaxItems", items);
    Ok(())
}
