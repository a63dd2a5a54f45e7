//! Tags of instances, images, network ACLs, VPCs, subnets, route tables and interfaces. The `Name` of an instance or a subnet is its name.

use super::page::Page;
use super::{IMAGE, INTERFACE, NETWORK_ACL, ROUTE_TABLE, SUBNET, VPC, commit, instances, select};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, State};
use crate::world::tags::Tags;

/// The most tags on one resource; the longest key and value.
const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// EC2's word for what has this id.
fn kind(state: &State, id: &str) -> Result<&'static str, ApiError> {
    let is_aws = |cloud: Cloud| (cloud == Cloud::Aws).then_some(());
    match id.split('-').next().unwrap_or_default() {
        "i" => instances::get(state, id).map(|_| "instance"),
        "ami" => IMAGE.found(id, state.images.get(id).and_then(|image| is_aws(image.cloud))).map(|()| "image"),
        "acl" => NETWORK_ACL.found(id, state.acls.get(id).and_then(|acl| is_aws(acl.cloud))).map(|()| "network-acl"),
        "vpc" => VPC.found(id, state.vpcs.get(id).and_then(|vpc| is_aws(vpc.cloud))).map(|()| "vpc"),
        "subnet" => SUBNET.found(id, state.subnets.get(id).and_then(|subnet| is_aws(subnet.cloud))).map(|()| "subnet"),
        "rtb" => ROUTE_TABLE.found(id, state.route_tables.get(id).and_then(|table| is_aws(table.cloud))).map(|()| "route-table"),
        "eni" => INTERFACE.found(id, state.interfaces.get(id).and_then(|interface| is_aws(interface.cloud))).map(|()| "network-interface"),
        _ => Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid: the lab keeps no tags for such a thing"))),
    }
}

/// The name that is kept apart from the tags, of what has one.
fn name<'a>(state: &'a mut State, id: &str) -> Option<&'a mut String> {
    if let Some(instance) = state.instances.get_mut(id) {
        return Some(&mut instance.name);
    }
    state.subnets.get_mut(id).map(|subnet| &mut subnet.name)
}

fn tags(state: &State, id: &str) -> Tags {
    let mut tags = state.tags_of(id);
    let name = state.instances.get(id).map(|instance| &instance.name).or_else(|| state.subnets.get(id).map(|subnet| &subnet.name));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        tags.insert("Name".into(), name.clone());
    }
    tags
}

/// The resources that a call names, each one that can be tagged.
fn resources(state: &State, parameters: &Parameters) -> Result<Vec<String>, ApiError> {
    let ids = parameters.list("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter resourceIdSet"));
    }
    ids.into_iter().map(|id| kind(state, id).map(|_| id.to_owned())).collect()
}

/// Keys with their values; a value that is not there is `None`.
fn given(parameters: &Parameters) -> Result<Vec<(String, Option<String>)>, ApiError> {
    let tags = parameters.members("Tag").into_iter().map(|prefix| {
        let key = parameters.required(&format!("{prefix}.Key"))?;
        Ok((key.to_owned(), parameters.get(&format!("{prefix}.Value")).map(str::to_owned)))
    });
    tags.collect()
}

/// `CreateTags`: adds or overwrites.
pub(super) fn create(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let resources = resources(state, parameters)?;
    let given = given(parameters)?;
    if given.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter tagSet"));
    }
    for (key, value) in &given {
        let wrong = |why: &str| Err(ApiError::new("InvalidParameterValue", format!("{why}: {key}")));
        if key.starts_with("aws:") {
            return wrong("Tag keys starting with 'aws:' are reserved for internal use");
        }
        if key.is_empty() || key.chars().count() > LONGEST_KEY {
            return wrong("Tag keys have 1 to 128 characters");
        }
        if value.as_ref().is_some_and(|value| value.chars().count() > LONGEST_VALUE) {
            return wrong("Tag values have at most 256 characters");
        }
    }
    for id in &resources {
        let has = tags(state, id);
        if has.len() + given.iter().filter(|(key, _)| !has.contains_key(key)).count() > MOST {
            return Err(ApiError::new("TagLimitExceeded", format!("The maximum number of Tags for a resource has been reached: {id}")));
        }
    }
    commit(parameters)?;
    for id in resources {
        for (key, value) in &given {
            let value = value.clone().unwrap_or_default();
            match name(state, &id).filter(|_| key == "Name") {
                Some(name) => *name = value,
                None => state.change_tags(&id, |tags| drop(tags.insert(key.clone(), value))),
            }
        }
    }
    answer.text("return", true);
    Ok(())
}

/// `DeleteTags`: with a value only where it is the tag's, without any tags all of them.
pub(super) fn delete(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let resources = resources(state, parameters)?;
    let given = given(parameters)?;
    commit(parameters)?;
    let is_deleted = |key: &str, value: &str| {
        given.is_empty() || given.iter().any(|(other, only)| other == key && only.as_deref().is_none_or(|only| only == value))
    };
    for id in resources {
        if let Some(name) = name(state, &id).filter(|name| is_deleted("Name", name)) {
            name.clear();
        }
        state.change_tags(&id, |tags| tags.retain(|key, value| !is_deleted(key, value)));
    }
    answer.text("return", true);
    Ok(())
}

/// `DescribeTags`, with the filters `resource-id`, `resource-type`, `key` and `value`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let ids = state.instances.keys().chain(state.acls.keys()).chain(state.subnets.keys()).chain(state.tags.keys());
    let mut ids: Vec<&String> = ids.collect();
    ids.sort();
    ids.dedup();
    let mut all: Vec<[String; 4]> = Vec::new();
    for id in ids {
        // What has no kind here is the other cloud's.
        let Ok(kind) = kind(state, id) else { continue };
        all.extend(tags(state, id).into_iter().map(|(key, value)| [id.clone(), kind.to_owned(), key, value]));
    }
    for prefix in parameters.members("Filter") {
        let name = parameters.required(&format!("{prefix}.Name"))?;
        let wanted = parameters.list(&format!("{prefix}.Value"));
        let column = ["resource-id", "resource-type", "key", "value"].iter().position(|known| *known == name);
        let column = column.ok_or_else(|| ApiError::new("InvalidParameterValue", format!("The filter '{name}' is invalid")))?;
        all.retain(|tag| wanted.iter().any(|pattern| select::matches(pattern, &tag[column])));
    }
    let rows: Vec<([String; 4], String)> = all
        .into_iter()
        .map(|tag| {
            let place = format!("{} {}", tag[0], tag[2]);
            (tag, place)
        })
        .collect();
    let page = Page::cut(parameters, rows.iter().collect(), 1000, |(_, place)| place)?;
    answer.items("tagSet", &page.items, |answer, ([id, kind, key, value], _)| {
        answer.text("resourceId", id);
        answer.text("resourceType", kind);
        answer.text("key", key);
        answer.text("value", value);
    });
    page.write_token(answer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};

    #[test]
    fn tags_come_and_go() {
        let mut state = world();
        for id in ["i-0a11febe0a7c00001", "vpc-0a11febe0a7000001", "rtb-0a11febe0a7b00002", "acl-0a11febe0a7de4001"] {
            let before = state.view();
            ask(&mut state, &format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=drill&Tag.1.Value=run-1")).unwrap();
            assert_ne!(state.view(), before);
            let found = ask(&mut state, "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=drill").unwrap();
            assert_eq!(found.child("tagSet").unwrap().children[0].text_of("resourceId"), Some(id));
            ask(&mut state, &format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key=drill&Tag.1.Value=other")).unwrap();
            assert!(state.tags_of(id).contains_key("drill"), "another value is not deleted");
            ask(&mut state, &format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key=drill")).unwrap();
            assert_eq!(state.view(), before);
        }
        assert_eq!(ask(&mut state, "Action=CreateTags&ResourceId.1=igw-0a11febe0a7000001&Tag.1.Key=a&Tag.1.Value=b").unwrap_err(), "InvalidID");
    }

    #[test]
    fn described_things_show_their_tags_and_are_found_by_them() {
        let mut state = world();
        for (id, call, list) in [
            ("rtb-0a11febe0a7b00002", "DescribeRouteTables", "routeTableSet"),
            ("vpc-0a11febe0a7000001", "DescribeVpcs", "vpcSet"),
            ("eni-0a11febe0a75ba4e0", "DescribeNetworkInterfaces", "networkInterfaceSet"),
        ] {
            ask(&mut state, &format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=drill&Tag.1.Value=x")).unwrap();
            let found = ask(&mut state, &format!("Action={call}&Filter.1.Name=tag:drill&Filter.1.Value.1=x")).unwrap();
            let found = &found.child(list).unwrap().children;
            assert_eq!(found.len(), 1, "{call}");
            assert_eq!(found[0].child("tagSet").unwrap().children[0].text_of("key"), Some("drill"), "{call}");
        }
    }

    #[test]
    fn the_vendors_limits_hold() {
        let mut state = world();
        let id = "rtb-0a11febe0a7b00002";
        let mut create =
            |key: &str, value: &str| ask(&mut state, &format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key={key}&Tag.1.Value={value}"));
        assert_eq!(create("aws:a", "").unwrap_err(), "InvalidParameterValue");
        assert_eq!(create(&"k".repeat(129), "").unwrap_err(), "InvalidParameterValue");
        assert_eq!(create("k", &"v".repeat(257)).unwrap_err(), "InvalidParameterValue");
        for number in 0..50 {
            create(&format!("k{number}"), &"v".repeat(256)).unwrap();
        }
        create("k7", "again").unwrap();
        assert_eq!(create("k50", "v").unwrap_err(), "TagLimitExceeded");
    }
}
