//! Attributes of instances and interfaces: their security groups, and a few that clients look at.

use super::{GROUP, INTERFACE, commit, instances};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, State};

/// The groups of a list parameter, each checked.
fn groups(state: &State, parameters: &Parameters, list: &str) -> Result<Vec<String>, ApiError> {
    let ids = parameters.list(list);
    for id in &ids {
        GROUP.found(id, state.security_groups.get(*id).filter(|group| group.cloud == Cloud::Aws))?;
    }
    if ids.is_empty() {
        return Err(ApiError::new("InvalidParameterCombination", "No attributes specified."));
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

fn set_groups(state: &mut State, instance: &str, groups: Vec<String>, answer: &mut Answer) {
    if let Some(instance) = state.instances.get_mut(instance) {
        instance.security_groups = groups;
    }
    answer.text("return", true);
}

/// `ModifyInstanceAttribute`: replaces the security groups, or switches stop protection. Other attributes cannot be changed in the lab.
pub(super) fn modify_instance(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let id = instances::get(state, parameters.required("InstanceId")?)?.id.clone();
    if parameters.get("DisableApiStop.Value").is_some() {
        let protected = parameters.flag("DisableApiStop.Value")?;
        commit(parameters)?;
        if let Some(instance) = state.instances.get_mut(&id) {
            instance.protected = protected;
        }
        answer.text("return", true);
        return Ok(());
    }
    let groups = groups(state, parameters, "GroupId")?;
    commit(parameters)?;
    set_groups(state, &id, groups, answer);
    Ok(())
}

/// `ModifyNetworkInterfaceAttribute`: replaces the security groups, which in the lab are those of the instance it is attached to.
pub(super) fn modify_interface(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let id = parameters.required("NetworkInterfaceId")?;
    let interface = INTERFACE.found(id, state.interfaces.get(id).filter(|interface| interface.cloud == Cloud::Aws))?;
    let instance = interface.instance.clone();
    let groups = groups(state, parameters, "SecurityGroupId")?;
    let instance = instance.ok_or_else(|| ApiError::new("UnsupportedOperation", "In the lab only attached interfaces have security groups."))?;
    commit(parameters)?;
    set_groups(state, &instance, groups, answer);
    Ok(())
}

/// `DescribeInstanceAttribute`.
pub(super) fn describe_instance(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let instance = instances::get(state, parameters.required("InstanceId")?)?;
    answer.text("instanceId", &instance.id);
    let value = |answer: &mut Answer, name: &str, value: &str| answer.element(name, |answer| answer.text("value", value));
    match parameters.required("Attribute")? {
        "groupSet" => answer.items("groupSet", &instance.security_groups, |answer, id| answer.text("groupId", id)),
        "instanceType" => value(answer, "instanceType", &instance.instance_type),
        name @ "disableApiStop" => value(answer, name, if instance.protected { "true" } else { "false" }),
        name @ ("disableApiTermination" | "ebsOptimized") => value(answer, name, "false"),
        name @ "sourceDestCheck" => value(answer, name, "true"),
        "instanceInitiatedShutdownBehavior" => value(answer, "instanceInitiatedShutdownBehavior", "stop"),
        "rootDeviceName" => value(answer, "rootDeviceName", "/dev/xvda"),
        name @ ("blockDeviceMapping" | "productCodes" | "userData" | "kernel" | "ramdisk" | "sriovNetSupport") => answer.element(name, |_| {}),
        other => {
            return Err(ApiError::new("InvalidParameterValue", format!("Value ({other}) for parameter attribute is invalid. Unknown attribute.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};

    #[test]
    fn groups_are_replaced_not_added() {
        let mut state = world();
        let id = "i-0a11febe0a7c00001";
        ask(&mut state, &format!("Action=ModifyInstanceAttribute&InstanceId={id}&GroupId.1=sg-0a11febe0a7000001")).unwrap();
        assert_eq!(state.instances[id].security_groups, ["sg-0a11febe0a7000001"]);
        assert_eq!(
            ask(&mut state, &format!("Action=ModifyInstanceAttribute&InstanceId={id}&GroupId.1=sg-0123456789abcdef0")).unwrap_err(),
            "InvalidGroup.NotFound"
        );
        assert_eq!(ask(&mut state, &format!("Action=ModifyInstanceAttribute&InstanceId={id}")).unwrap_err(), "InvalidParameterCombination");
        ask(&mut state, "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-0a11febe0a7000c01&SecurityGroupId.1=sg-0a11febe0a7000001")
            .unwrap();
        let shown = ask(&mut state, &format!("Action=DescribeInstanceAttribute&InstanceId={id}&Attribute=groupSet")).unwrap();
        assert_eq!(shown.child("groupSet").unwrap().children.len(), 1);
    }
}
