//! Tags of instances and network ACLs, the things in the lab that keep tags. An instance's `Name` is its name.

use super::{commit, instances};
use crate::lab::wire::aws_answer::Fault;
use crate::lab::wire::aws_query::Parameters;
use crate::lab::wire::xml::Answer;
use crate::lab::world::state::{Cloud, State};

/// The resources that a call names, each one that can be tagged.
fn resources(state: &State, parameters: &Parameters) -> Result<Vec<String>, Fault> {
    let ids = parameters.list("ResourceId");
    if ids.is_empty() {
        return Err(Fault::new("MissingParameter", "The request must contain the parameter resourceIdSet"));
    }
    for id in &ids {
        let is_acl = state.acls.get(*id).is_some_and(|acl| acl.cloud == Cloud::Aws);
        if !is_acl && id.starts_with("i-") {
            instances::get(state, id)?;
        } else if !is_acl {
            return Err(Fault::new("InvalidID", format!("The ID '{id}' is not valid: the lab tags instances and network ACLs only")));
        }
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

/// Keys with their values; a value that is not there is `None`.
fn given(parameters: &Parameters) -> Result<Vec<(String, Option<String>)>, Fault> {
    let tags = parameters.members("Tag").into_iter().map(|prefix| {
        let key = parameters.required(&format!("{prefix}.Key"))?;
        Ok((key.to_owned(), parameters.get(&format!("{prefix}.Value")).map(str::to_owned)))
    });
    tags.collect()
}

/// `CreateTags`: adds or overwrites.
pub(super) fn create(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), Fault> {
    let resources = resources(state, parameters)?;
    let tags = given(parameters)?;
    if tags.is_empty() {
        return Err(Fault::new("MissingParameter", "The request must contain the parameter tagSet"));
    }
    if let Some((key, _)) = tags.iter().find(|(key, _)| key.starts_with("aws:")) {
        return Err(Fault::new("InvalidParameterValue", format!("Tag keys starting with 'aws:' are reserved for internal use: {key}")));
    }
    commit(parameters)?;
    for id in resources {
        for (key, value) in &tags {
            let value = value.clone().unwrap_or_default();
            if let Some(instance) = state.instances.get_mut(&id) {
                if key == "Name" {
                    instance.name = value;
                } else {
                    instance.tags.insert(key.clone(), value);
                }
            } else if let Some(acl) = state.acls.get_mut(&id) {
                acl.tags.insert(key.clone(), value);
            }
        }
    }
    answer.text("return", true);
    Ok(())
}

/// `DeleteTags`: with a value only where it is the tag's, without any tags all of them.
pub(super) fn delete(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), Fault> {
    let resources = resources(state, parameters)?;
    let tags = given(parameters)?;
    commit(parameters)?;
    let is_deleted =
        |key: &str, value: &str| tags.is_empty() || tags.iter().any(|(other, only)| other == key && only.as_deref().is_none_or(|only| only == value));
    for id in resources {
        if let Some(instance) = state.instances.get_mut(&id) {
            instance.tags.retain(|key, value| !is_deleted(key, value));
            if is_deleted("Name", &instance.name) {
                instance.name.clear();
            }
        } else if let Some(acl) = state.acls.get_mut(&id) {
            acl.tags.retain(|key, value| !is_deleted(key, value));
        }
    }
    answer.text("return", true);
    Ok(())
}

/// `DescribeTags`, with the filters `resource-id`, `resource-type`, `key` and `value`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), Fault> {
    let of_instances = instances::all(state)
        .flat_map(|instance| instances::tags(instance).into_iter().map(|(key, value)| [instance.id.clone(), "instance".into(), key, value]));
    let acls = state.acls.values().filter(|acl| acl.cloud == Cloud::Aws);
    let of_acls = acls.flat_map(|acl| acl.tags.iter().map(|(key, value)| [acl.id.clone(), "network-acl".into(), key.clone(), value.clone()]));
    let mut tags: Vec<[String; 4]> = of_instances.chain(of_acls).collect();
    for prefix in parameters.members("Filter") {
        let name = parameters.required(&format!("{prefix}.Name"))?;
        let wanted = parameters.list(&format!("{prefix}.Value"));
        let column = ["resource-id", "resource-type", "key", "value"].iter().position(|known| *known == name);
        let column = column.ok_or_else(|| Fault::new("InvalidParameterValue", format!("The filter '{name}' is invalid")))?;
        tags.retain(|tag| wanted.contains(&tag[column].as_str()));
    }
    answer.items("tagSet", tags, |answer, [id, kind, key, value]| {
        answer.text("resourceId", id);
        answer.text("resourceType", kind);
        answer.text("key", key);
        answer.text("value", value);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};

    #[test]
    fn tags_come_and_go() {
        let mut state = world();
        let id = "i-0a11febe0a7c00001";
        let before = state.view();
        ask(&mut state, &format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=drill&Tag.1.Value=run-1")).unwrap();
        let found = ask(&mut state, "Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=drill").unwrap();
        assert_eq!(found.child("tagSet").unwrap().children[0].text_of("resourceId"), Some(id));
        ask(&mut state, &format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key=drill&Tag.1.Value=other")).unwrap();
        assert!(state.instances[id].tags.contains_key("drill"), "another value is not deleted");
        ask(&mut state, &format!("Action=DeleteTags&ResourceId.1={id}&Tag.1.Key=drill")).unwrap();
        assert_eq!(state.view(), before);
        assert_eq!(ask(&mut state, "Action=CreateTags&ResourceId.1=vpc-0a11febe0a7000001&Tag.1.Key=a&Tag.1.Value=b").unwrap_err(), "InvalidID");
    }
}
