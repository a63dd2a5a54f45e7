//! Between tag calls and the tags of the world. ECS, VPC and DTS have the same three calls, each with its own words for what is tagged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ecs::continued;
use crate::wire::aliyun_rpc::{ApiError, Call, invalid, missing};
use crate::world::state::{Cloud, State};

/// The most tags in one call, and on one thing.
const MOST: usize = 20;
/// The most things in one call, and rows in one answer.
const MOST_THINGS: u32 = 50;
/// The longest key or value.
const LONGEST: usize = 128;

/// A `ResourceType` of a product, and the ids there are of it.
pub(super) type Taggable = (&'static str, fn(&State) -> Vec<&String>);

pub(super) const OF_ECS: &[Taggable] =
    &[("instance", |state| state.instances.values().filter(|instance| instance.cloud == Cloud::Aliyun).map(|instance| &instance.id).collect())];
pub(super) const OF_VPC: &[Taggable] = &[
    ("VPC", |state| state.vpcs.values().filter(|vpc| vpc.cloud == Cloud::Aliyun).map(|vpc| &vpc.id).collect()),
    ("VSWITCH", |state| state.subnets.values().filter(|subnet| subnet.cloud == Cloud::Aliyun).map(|subnet| &subnet.id).collect()),
    ("ROUTETABLE", |state| state.route_tables.values().filter(|table| table.cloud == Cloud::Aliyun).map(|table| &table.id).collect()),
    ("NETWORKACL", |state| state.acls.values().filter(|acl| acl.cloud == Cloud::Aliyun).map(|acl| &acl.id).collect()),
];
pub(super) const OF_DTS: &[Taggable] = &[("ALIYUN::DTS::INSTANCE", |state| state.jobs.values().map(|job| &job.instance).collect())];

/// Tags a list is narrowed by: `Tag.N.Key` with or without `Tag.N.Value`.
pub(super) fn filter<'a>(call: &'a Call, name: &str) -> Result<Vec<(&'a str, Option<&'a str>)>, ApiError> {
    let tags = call.structs(name);
    if tags.len() > MOST {
        return Err(invalid(name));
    }
    tags.into_iter()
        .map(|tag| {
            let value = tag.get("Value").copied().filter(|value| !value.is_empty());
            tag.get("Key").map(|key| (*key, value)).ok_or_else(|| missing(&format!("{name}.1.Key")))
        })
        .collect()
}

/// Whether all wanted tags are there.
pub(super) fn fit(tags: &BTreeMap<String, String>, wanted: &[(&str, Option<&str>)]) -> bool {
    wanted.iter().all(|(key, value)| tags.get(*key).is_some_and(|has| value.is_none_or(|value| has == value)))
}

/// The things of `ResourceType` and those among them that `ResourceId.N` names, all of which must exist.
fn resources<'a>(state: &'a State, call: &Call, kinds: &[Taggable]) -> Result<(Vec<&'a String>, Vec<String>), ApiError> {
    // The vendor takes the type in any case.
    let wanted = call.need("ResourceType")?;
    let kind = kinds.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(wanted));
    let all =
        kind.ok_or_else(|| ApiError::new(404, "InvalidResourceType.NotFound", "The ResourceType provided does not exist in our records."))?.1(state);
    let ids = call.list("ResourceId");
    if ids.len() > MOST_THINGS as usize {
        return Err(ApiError::new(400, "NumberExceed.ResourceIds", "The ResourceIds parameter's number is exceed , Valid : 50"));
    }
    if !ids.iter().all(|id| all.iter().any(|there| there == id)) {
        return Err(ApiError::new(404, "InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records."));
    }
    Ok((all, ids.into_iter().map(str::to_owned).collect()))
}

fn some(ids: Vec<String>) -> Result<Vec<String>, ApiError> {
    if ids.is_empty() { Err(missing("ResourceId")) } else { Ok(ids) }
}

/// What neither a key nor a value may be.
fn is_reserved(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.chars().count() > LONGEST
        || lower.starts_with("aliyun")
        || lower.starts_with("acs:")
        || lower.contains("http://")
        || lower.contains("https://")
}

pub(super) fn tag(state: &mut State, call: &Call, kinds: &[Taggable]) -> Result<Value, ApiError> {
    let ids = some(resources(state, call, kinds)?.1)?;
    let tags = filter(call, "Tag")?;
    if tags.is_empty() {
        return Err(missing("Tag"));
    }
    if tags.iter().any(|(key, _)| key.is_empty() || is_reserved(key)) {
        return Err(ApiError::new(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid."));
    }
    if tags.iter().filter_map(|(_, value)| *value).any(is_reserved) {
        return Err(ApiError::new(400, "InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid."));
    }
    if tags.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len() < tags.len() {
        return Err(ApiError::new(400, "Duplicate.TagKey", "The Tag.N.Key contain duplicate key."));
    }
    let new = |id: &String| {
        let has = state.tags_of(id);
        has.len() + tags.iter().filter(|(key, _)| !has.contains_key(*key)).count()
    };
    if ids.iter().any(|id| new(id) > MOST) {
        return Err(ApiError::new(400, "NumberExceed.Tags", "The Tags parameter's number is exceed , Valid : 20"));
    }
    for id in ids {
        state.change_tags(&id, |has| has.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), value.unwrap_or_default().to_owned()))));
    }
    Ok(json!({}))
}

pub(super) fn untag(state: &mut State, call: &Call, kinds: &[Taggable]) -> Result<Value, ApiError> {
    let ids = some(resources(state, call, kinds)?.1)?;
    let keys = call.list("TagKey");
    if keys.len() > MOST {
        return Err(invalid("TagKey"));
    }
    let all = keys.is_empty() && call.flag("All")? == Some(true);
    for id in ids {
        state.change_tags(&id, |tags| tags.retain(|key, _| !all && !keys.contains(&key.as_str())));
    }
    Ok(json!({}))
}

/// Rows of the things that have all wanted tags: those tags, or with none wanted all of them.
pub(super) fn list(state: &State, call: &Call, kinds: &[Taggable]) -> Result<Value, ApiError> {
    let (all, ids) = resources(state, call, kinds)?;
    let wanted = filter(call, "Tag")?;
    if ids.is_empty() && wanted.is_empty() {
        return Err(missing("ResourceId"));
    }
    let kind = call.need("ResourceType")?;
    let rows = all
        .into_iter()
        .filter(|id| ids.is_empty() || ids.contains(id))
        .map(|id| (id, state.tags_of(id)))
        .filter(|(_, tags)| fit(tags, &wanted))
        .flat_map(|(id, tags)| tags.into_iter().map(move |(key, value)| (id, key, value)))
        .filter(|(_, key, _)| wanted.is_empty() || wanted.iter().any(|(asked, _)| asked == key))
        .map(|(id, key, value)| json!({ "ResourceId": id, "ResourceType": kind, "TagKey": key, "TagValue": value }))
        .collect();
    let most = call.number("MaxResults", 1..=MOST_THINGS)?.unwrap_or(MOST_THINGS);
    let (shown, next) = continued(call, rows, most)?;
    Ok(json!({ "NextToken": next, "TagResources": { "TagResource": shown } }))
}
