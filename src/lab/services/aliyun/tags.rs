//! Between tag calls and the tags of the world's machines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ecs::continued;
use crate::lab::wire::aliyun_rpc::{Call, Fault, invalid, missing};
use crate::lab::world::state::{Cloud, State};

/// The most tags in one call.
const MOST: usize = 20;

/// Tags a list is narrowed by: `Tag.N.Key` with or without `Tag.N.Value`.
pub(super) fn filter<'a>(call: &'a Call, name: &str) -> Result<Vec<(&'a str, Option<&'a str>)>, Fault> {
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

/// The machines of `ResourceId.N`, all of which must exist.
fn resources(state: &State, call: &Call) -> Result<Vec<String>, Fault> {
    if call.need("ResourceType")? != "instance" {
        return Err(Fault::new(404, "InvalidResourceType.NotFound", "The ResourceType provided does not exist in our records."));
    }
    let ids = call.list("ResourceId");
    if ids.len() > 50 {
        return Err(invalid("ResourceId"));
    }
    let exists = |id: &&str| state.instances.get(*id).is_some_and(|instance| instance.cloud == Cloud::Aliyun);
    if !ids.iter().all(exists) {
        return Err(Fault::new(404, "InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records."));
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

fn some(ids: Vec<String>) -> Result<Vec<String>, Fault> {
    if ids.is_empty() { Err(missing("ResourceId")) } else { Ok(ids) }
}

pub(super) fn tag(state: &mut State, call: &Call) -> Result<Value, Fault> {
    let ids = some(resources(state, call)?)?;
    let tags = filter(call, "Tag")?;
    if tags.is_empty() {
        return Err(missing("Tag"));
    }
    for id in ids {
        if let Some(instance) = state.instances.get_mut(&id) {
            instance.tags.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), value.unwrap_or_default().to_owned())));
        }
    }
    Ok(json!({}))
}

pub(super) fn untag(state: &mut State, call: &Call) -> Result<Value, Fault> {
    let ids = some(resources(state, call)?)?;
    let keys = call.list("TagKey");
    let all = keys.is_empty() && call.flag("All")? == Some(true);
    for id in ids {
        if let Some(instance) = state.instances.get_mut(&id) {
            instance.tags.retain(|key, _| !all && !keys.contains(&key.as_str()));
        }
    }
    Ok(json!({}))
}

pub(super) fn list(state: &mut State, call: &Call) -> Result<Value, Fault> {
    let ids = resources(state, call)?;
    let wanted = filter(call, "Tag")?;
    let all = state
        .instances
        .values()
        .filter(|instance| instance.cloud == Cloud::Aliyun && (ids.is_empty() || ids.contains(&instance.id)))
        .flat_map(|instance| instance.tags.iter().map(move |(key, value)| (&instance.id, key, value)))
        .filter(|(_, key, value)| wanted.is_empty() || wanted.iter().any(|(k, v)| k == key && v.is_none_or(|v| v == *value)))
        .map(|(id, key, value)| json!({ "ResourceId": id, "ResourceType": "instance", "TagKey": key, "TagValue": value }))
        .collect();
    let (shown, next) = continued(call, all, 50)?;
    Ok(json!({ "NextToken": next, "TagResources": { "TagResource": shown } }))
}
