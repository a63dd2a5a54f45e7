//! Images and who may launch them.

use std::collections::BTreeSet;

use super::select::{Selection, tag_attribute};
use super::{IMAGE, commit};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, Image, State};

/// In the set of those who may launch an image: everybody.
const EVERYBODY: &str = "all";

fn get<'a>(state: &'a State, id: &str) -> Result<&'a Image, ApiError> {
    IMAGE.found(id, state.images.get(id).filter(|image| image.cloud == Cloud::Aws))
}

fn attribute(state: &State, image: &Image, name: &str) -> Option<Vec<String>> {
    let one = |value: &str| Some(vec![value.to_owned()]);
    match name {
        "image-id" => one(&image.id),
        "name" => one(&image.name),
        "state" => one("available"),
        "owner-id" => one(&state.accounts.aws),
        "is-public" => one(&image.shared_with.contains(EVERYBODY).to_string()),
        "architecture" => one("x86_64"),
        "image-type" => one("machine"),
        "root-device-type" => one("ebs"),
        "virtualization-type" => one("hvm"),
        _ => tag_attribute(&std::collections::BTreeMap::new(), name),
    }
}

/// `DescribeImages`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "ImageId", kind: &IMAGE, parameters };
    let images = state.images.values().filter(|image| image.cloud == Cloud::Aws);
    let mut picked = selection.pick(images, |image| &image.id, |image, name| attribute(state, image, name))?;
    let account = state.accounts.aws.as_str();
    let owners = parameters.list("Owner");
    picked.retain(|_| owners.is_empty() || owners.iter().any(|owner| *owner == "self" || *owner == account));
    let users = parameters.list("ExecutableBy");
    picked.retain(|image| users.is_empty() || users.iter().any(|user| image.shared_with.contains(if *user == "self" { account } else { user })));
    answer.items("imagesSet", picked, |answer, image| {
        answer.text("imageId", &image.id);
        answer.text("imageLocation", format_args!("{account}/{}", image.name));
        answer.text("imageState", "available");
        answer.text("imageOwnerId", account);
        answer.text("creationDate", "2026-11-01T00:00:00.000Z");
        answer.text("isPublic", image.shared_with.contains(EVERYBODY));
        answer.element("productCodes", |_| {});
        answer.text("architecture", "x86_64");
        answer.text("imageType", "machine");
        answer.text("name", &image.name);
        answer.text("rootDeviceType", "ebs");
        answer.text("rootDeviceName", "/dev/xvda");
        answer.element("blockDeviceMapping", |_| {});
        answer.text("virtualizationType", "hvm");
        answer.element("tagSet", |_| {});
        answer.text("hypervisor", "xen");
        answer.text("enaSupport", true);
    });
    Ok(())
}

/// `DescribeImageAttribute`: launch permission; other attributes are there and empty.
pub(super) fn describe_attribute(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let image = get(state, parameters.required("ImageId")?)?;
    let attribute = parameters.required("Attribute")?;
    answer.text("imageId", &image.id);
    match attribute {
        "launchPermission" => answer.items("launchPermission", &image.shared_with, |answer, account| {
            answer.text(if account == EVERYBODY { "group" } else { "userId" }, account);
        }),
        "description" | "kernel" | "ramdisk" | "productCodes" | "blockDeviceMapping" | "sriovNetSupport" | "bootMode" | "lastLaunchedTime" => {
            answer.element(attribute, |_| {});
        }
        other => {
            return Err(ApiError::new("InvalidParameterValue", format!("Value ({other}) for parameter attribute is invalid. Unknown attribute.")));
        }
    }
    Ok(())
}

/// `ModifyImageAttribute`: launch permission in both of its forms.
pub(super) fn modify_attribute(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let id = get(state, parameters.required("ImageId")?)?.id.clone();
    let (mut added, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for (form, accounts) in [("LaunchPermission.Add", &mut added), ("LaunchPermission.Remove", &mut removed)] {
        for prefix in parameters.members(form) {
            accounts.insert(item(parameters.get(&format!("{prefix}.UserId")), parameters.get(&format!("{prefix}.Group")))?);
        }
    }
    if let Some(operation) = parameters.get("OperationType") {
        if parameters.get("Attribute").is_some_and(|attribute| attribute != "launchPermission") {
            return Err(ApiError::new("InvalidParameterValue", "Only the attribute launchPermission takes an operation type."));
        }
        let accounts = match operation {
            "add" => &mut added,
            "remove" => &mut removed,
            other => return Err(ApiError::new("InvalidParameterValue", format!("Value ({other}) for parameter operationType is invalid."))),
        };
        for user in parameters.list("UserId") {
            accounts.insert(item(Some(user), None)?);
        }
        for group in parameters.list("UserGroup") {
            accounts.insert(item(None, Some(group))?);
        }
    }
    if added.is_empty() && removed.is_empty() {
        return Err(ApiError::new("InvalidParameterCombination", "No attributes specified."));
    }
    commit(parameters)?;
    if let Some(image) = state.images.get_mut(&id) {
        image.shared_with.retain(|account| !removed.contains(account));
        image.shared_with.extend(added);
    }
    answer.text("return", true);
    Ok(())
}

/// One account or the group of all, checked.
fn item(user: Option<&str>, group: Option<&str>) -> Result<String, ApiError> {
    let wrong = |value: &str, kind: &str| {
        ApiError::new("InvalidAMIAttributeItemValue", format!("Invalid attribute item value \"{value}\" for {kind} item type."))
    };
    match (user, group) {
        (Some(user), _) if user.len() == 12 && user.bytes().all(|byte| byte.is_ascii_digit()) => Ok(user.to_owned()),
        (Some(user), _) => Err(wrong(user, "userId")),
        (None, Some(EVERYBODY)) => Ok(EVERYBODY.to_owned()),
        (None, Some(group)) => Err(wrong(group, "group")),
        (None, None) => Err(ApiError::new("MissingParameter", "The request must contain the parameter userId or group")),
    }
}

/// `ResetImageAttribute`: nobody else may launch it again.
pub(super) fn reset_attribute(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let id = get(state, parameters.required("ImageId")?)?.id.clone();
    if parameters.required("Attribute")? != "launchPermission" {
        return Err(ApiError::new("InvalidParameterValue", "Only the attribute launchPermission can be reset."));
    }
    commit(parameters)?;
    if let Some(image) = state.images.get_mut(&id) {
        image.shared_with.clear();
    }
    answer.text("return", true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const IMAGE_ID: &str = "ami-0a11febe0a7000001";

    fn shared(state: &mut State) -> Vec<String> {
        let answer = ask(state, &format!("Action=DescribeImageAttribute&ImageId={IMAGE_ID}&Attribute=launchPermission")).unwrap();
        answer.child("launchPermission").unwrap().children.iter().map(|item| item.children[0].text.clone()).collect()
    }

    #[test]
    fn both_forms_share_and_withdraw() {
        let mut state = world();
        let modify =
            |state: &mut State, what: &str| ask(state, &format!("Action=ModifyImageAttribute&ImageId={IMAGE_ID}&{what}")).map(|_| shared(state));
        assert_eq!(modify(&mut state, "LaunchPermission.Add.1.UserId=444455556666").unwrap(), ["444455556666"]);
        assert_eq!(modify(&mut state, "LaunchPermission.Add.1.UserId=444455556666").unwrap(), ["444455556666"], "again changes nothing");
        assert_eq!(modify(&mut state, "Attribute=launchPermission&OperationType=add&UserGroup.1=all").unwrap(), ["444455556666", "all"]);
        assert_eq!(modify(&mut state, "Attribute=launchPermission&OperationType=remove&UserId.1=444455556666").unwrap(), ["all"]);
        assert_eq!(modify(&mut state, "LaunchPermission.Remove.1.Group=all").unwrap(), [""; 0]);
        assert_eq!(modify(&mut state, "LaunchPermission.Add.1.UserId=12").unwrap_err(), "InvalidAMIAttributeItemValue");
        assert_eq!(modify(&mut state, "").unwrap_err(), "InvalidParameterCombination");
        assert_eq!(
            ask(&mut state, "Action=ModifyImageAttribute&ImageId=ami-0123456789abcdef0&LaunchPermission.Add.1.UserId=444455556666").unwrap_err(),
            "InvalidAMIID.NotFound"
        );
    }

    #[test]
    fn images_are_found_by_owner_and_name() {
        let mut state = world();
        let mut count =
            |query: &str| ask(&mut state, &format!("Action=DescribeImages&{query}")).map(|answer| answer.child("imagesSet").unwrap().children.len());
        assert_eq!(count("Owner.1=self"), Ok(1));
        assert_eq!(count("Owner.1=amazon"), Ok(0));
        assert_eq!(count("Filter.1.Name=name&Filter.1.Value.1=shop-standby-*"), Ok(1));
        assert_eq!(count("ImageId.1=m-bp1lifeboat0shop00001"), Err("InvalidAMIID.Malformed".into()));
    }
}
