//! Instances: describing, starting and stopping them.

use std::collections::BTreeMap;

use http::StatusCode;

use super::page::Page;
use super::select::{Selection, tag_attribute};
use super::{INSTANCE, commit, moment, write_tags};
use crate::faults::during;
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, Instance, InstanceState, State};

/// An instance's state as EC2 codes it.
pub(super) fn code(state: InstanceState) -> (u8, &'static str) {
    match state {
        InstanceState::Pending => (0, "pending"),
        InstanceState::Running => (16, "running"),
        InstanceState::Terminated => (48, "terminated"),
        InstanceState::Stopping => (64, "stopping"),
        InstanceState::Stopped => (80, "stopped"),
    }
}

pub(super) fn write_state(answer: &mut Answer, name: &str, (code, word): (u8, &str)) {
    answer.element(name, |answer| {
        answer.text("code", code);
        answer.text("name", word);
    });
}

pub(super) fn all(state: &State) -> impl Iterator<Item = &Instance> {
    state.instances.values().filter(|instance| instance.cloud == Cloud::Aws)
}

/// An instance of this cloud by id.
pub(super) fn get<'a>(state: &'a State, id: &str) -> Result<&'a Instance, ApiError> {
    INSTANCE.found(id, state.instances.get(id).filter(|instance| instance.cloud == Cloud::Aws))
}

/// The instances that `InstanceId.N` names, each once.
///
/// # Errors
/// All ids that do not exist in one error, as EC2 says it.
pub(super) fn named(state: &State, parameters: &Parameters) -> Result<Vec<String>, ApiError> {
    let mut ids: Vec<String> = parameters.list("InstanceId").into_iter().map(str::to_owned).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter InstanceId"));
    }
    let mut missing: Vec<&str> = Vec::new();
    for id in &ids {
        match get(state, id) {
            Ok(_) => {}
            Err(error) if error.code == INSTANCE.not_found => missing.push(id),
            Err(error) => return Err(error),
        }
    }
    match missing[..] {
        [] => Ok(ids),
        [one] => Err(ApiError::new(INSTANCE.not_found, format!("The instance ID '{one}' does not exist"))),
        _ => Err(ApiError::new(INSTANCE.not_found, format!("The instance IDs '{}' do not exist", missing.join(", ")))),
    }
}

/// The tags that EC2 shows: `Name` is the instance's name.
pub(super) fn tags(instance: &Instance) -> BTreeMap<String, String> {
    let mut tags = instance.tags.clone();
    if !instance.name.is_empty() {
        tags.insert("Name".into(), instance.name.clone());
    }
    tags
}

/// What an instance answers to a filter of this name.
fn attribute(state: &State, instance: &Instance, name: &str) -> Option<Vec<String>> {
    let subnet = state.subnets.get(&instance.subnet);
    let one = |value: &str| Some(vec![value.to_owned()]);
    match name {
        "instance-id" => one(&instance.id),
        "instance-state-name" => one(code(instance.state).1),
        "instance-state-code" => one(&code(instance.state).0.to_string()),
        "instance-type" => one(&instance.instance_type),
        "image-id" => one(&instance.image),
        "subnet-id" | "network-interface.subnet-id" => one(&instance.subnet),
        "vpc-id" | "network-interface.vpc-id" => one(subnet.map_or("", |subnet| &subnet.vpc)),
        "availability-zone" => one(subnet.map_or("", |subnet| &subnet.zone)),
        "private-ip-address" => one(&instance.private_ip.to_string()),
        "ip-address" if has_address(instance) => one(&instance.address.to_string()),
        "ip-address" => Some(Vec::new()),
        "owner-id" => one(&state.accounts.aws),
        "instance.group-id" | "group-id" => Some(instance.security_groups.clone()),
        _ => tag_attribute(&tags(instance), name),
    }
}

/// `DescribeInstances`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    if parameters.get("MaxResults").is_some() && !parameters.list("InstanceId").is_empty() {
        return Err(ApiError::new("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults"));
    }
    let state = &*state;
    let selection = Selection { ids: "InstanceId", kind: &INSTANCE, parameters };
    let picked = selection.pick(all(state), |instance| &instance.id, |instance, name| attribute(state, instance, name))?;
    let page = Page::cut(parameters, picked, 1000, |instance| &instance.id)?;
    answer.items("reservationSet", &page.items, |answer, instance| write_reservation(answer, state, &[instance]));
    page.write_token(answer);
    Ok(())
}

/// A reservation: the lab makes one for each instance that was there from the beginning, and one for each `RunInstances`.
pub(super) fn write_reservation(answer: &mut Answer, state: &State, instances: &[&Instance]) {
    let first = instances.first().map_or("", |instance| instance.id.trim_start_matches("i-"));
    answer.text("reservationId", format_args!("r-{first}"));
    answer.text("ownerId", &state.accounts.aws);
    answer.element("groupSet", |_| {});
    answer.items("instancesSet", instances, |answer, instance| write(answer, state, instance));
}

/// An address that is not its own is given back with the stop.
fn has_address(instance: &Instance) -> bool {
    instance.elastic || matches!(instance.state, InstanceState::Pending | InstanceState::Running)
}

fn write_groups(answer: &mut Answer, state: &State, instance: &Instance) {
    answer.items("groupSet", &instance.security_groups, |answer, id| {
        answer.text("groupId", id);
        answer.text("groupName", state.security_groups.get(id).map_or("", |group| &group.name));
    });
}

/// One instance, its elements in the order of the API's schema.
fn write(answer: &mut Answer, state: &State, instance: &Instance) {
    let subnet = state.subnets.get(&instance.subnet);
    let vpc = subnet.map_or("", |subnet| &subnet.vpc);
    let private_name = format!("ip-{}.ec2.internal", instance.private_ip.to_string().replace('.', "-"));
    let is_gone = instance.state == InstanceState::Terminated;
    answer.text("instanceId", &instance.id);
    answer.text("imageId", &instance.image);
    write_state(answer, "instanceState", code(instance.state));
    answer.text("privateDnsName", if is_gone { "" } else { &private_name });
    answer.text("dnsName", "");
    answer.text("reason", if matches!(instance.state, InstanceState::Stopped | InstanceState::Stopping) { "User initiated" } else { "" });
    answer.text("amiLaunchIndex", 0);
    answer.element("productCodes", |_| {});
    answer.text("instanceType", &instance.instance_type);
    answer.text("launchTime", moment(instance.launched_at));
    answer.element("placement", |answer| {
        answer.text("availabilityZone", subnet.map_or("", |subnet| &subnet.zone));
        answer.text("groupName", "");
        answer.text("tenancy", "default");
    });
    answer.element("monitoring", |answer| answer.text("state", "disabled"));
    if !is_gone {
        answer.text("subnetId", &instance.subnet);
        answer.text("vpcId", vpc);
        answer.text("privateIpAddress", instance.private_ip);
        if has_address(instance) {
            answer.text("ipAddress", instance.address);
        }
        answer.text("sourceDestCheck", true);
        write_groups(answer, state, instance);
    }
    if matches!(instance.state, InstanceState::Stopped | InstanceState::Stopping | InstanceState::Terminated) {
        answer.element("stateReason", |answer| {
            let (code, word) = match (is_gone, instance.hibernated) {
                (true, _) => ("Client.UserInitiatedShutdown", "shutdown"),
                (false, true) => ("Client.UserInitiatedHibernate", "hibernate"),
                (false, false) => ("Client.UserInitiatedShutdown", "stop"),
            };
            answer.text("code", code);
            answer.text("message", format_args!("{code}: User initiated {word}"));
        });
    }
    answer.text("architecture", "x86_64");
    answer.text("rootDeviceType", "ebs");
    answer.text("rootDeviceName", "/dev/xvda");
    answer.element("blockDeviceMapping", |_| {});
    answer.text("virtualizationType", "hvm");
    answer.text("clientToken", "");
    write_tags(answer, &tags(instance));
    answer.text("hypervisor", "xen");
    let interfaces = state.interfaces.values().filter(|interface| interface.instance.as_deref() == Some(instance.id.as_str()) && !is_gone);
    answer.items("networkInterfaceSet", interfaces.enumerate(), |answer, (index, interface)| {
        answer.text("networkInterfaceId", &interface.id);
        answer.text("subnetId", &interface.subnet);
        answer.text("vpcId", vpc);
        answer.text("ownerId", &state.accounts.aws);
        answer.text("status", "in-use");
        answer.text("privateIpAddress", instance.private_ip);
        answer.text("sourceDestCheck", true);
        write_groups(answer, state, instance);
        answer.element("attachment", |answer| {
            answer.text("attachmentId", interface.id.replacen("eni-", "eni-attach-", 1));
            answer.text("deviceIndex", index);
            answer.text("status", "attached");
            answer.text("deleteOnTermination", true);
        });
        if has_address(instance) {
            answer.element("association", |answer| {
                answer.text("publicIp", instance.address);
                answer.text("publicDnsName", "");
                // An Elastic IP is the account's; an address that EC2 gave by itself is EC2's.
                answer.text("ipOwnerId", if instance.elastic { &state.accounts.aws } else { "amazon" });
            });
        }
        answer.text("interfaceType", "interface");
    });
    answer.text("ebsOptimized", false);
    answer.text("enaSupport", true);
    answer.element("hibernationOptions", |answer| answer.text("configured", instance.can_hibernate));
}

/// The answer of calls that change states: before and now.
pub(super) fn write_changes(answer: &mut Answer, changes: &[(String, InstanceState, (u8, &'static str))]) {
    answer.items("instancesSet", changes, |answer, (id, before, now)| {
        answer.text("instanceId", id);
        write_state(answer, "currentState", *now);
        write_state(answer, "previousState", code(*before));
    });
}

/// `StartInstances`: a running or pending one stays as it is.
pub(super) fn start(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let ids = named(state, parameters)?;
    change(
        state,
        parameters,
        answer,
        "started",
        &[InstanceState::Stopped, InstanceState::Pending, InstanceState::Running],
        &ids,
        State::instance_start,
    )
}

/// `StopInstances`: a stopped or stopping one stays as it is.
pub(super) fn stop(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let ids = named(state, parameters)?;
    let hibernate = parameters.flag("Hibernate")?;
    for id in &ids {
        let instance = get(state, id)?;
        if instance.protected {
            let message = format!("The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.");
            return Err(ApiError::new("OperationNotPermitted", message));
        }
        if hibernate && !instance.can_hibernate {
            return Err(ApiError::new("UnsupportedOperation", format!("The instance '{id}' was not launched so that it can hibernate.")));
        }
    }
    let act = if hibernate { hibernate_one } else { State::instance_stop };
    change(state, parameters, answer, "stopped", &[InstanceState::Running, InstanceState::Stopping, InstanceState::Stopped], &ids, act)
}

fn hibernate_one(state: &mut State, id: &str) -> Option<InstanceState> {
    let before = state.instance_stop(id)?;
    if let Some(instance) = state.instances.get_mut(id).filter(|_| before == InstanceState::Running) {
        instance.hibernated = true;
    }
    Some(before)
}

fn change(
    state: &mut State,
    parameters: &Parameters,
    answer: &mut Answer,
    verb: &str,
    allowed: &[InstanceState],
    ids: &[String],
    act: fn(&mut State, &str) -> Option<InstanceState>,
) -> Result<(), ApiError> {
    for id in ids {
        if !allowed.contains(&get(state, id)?.state) {
            return Err(ApiError::new("IncorrectInstanceState", format!("The instance '{id}' is not in a state from which it can be {verb}.")));
        }
    }
    commit(parameters)?;
    let mut changes = Vec::with_capacity(ids.len());
    for id in ids.iter().cloned() {
        if during::fails(&id) {
            // Those before it are done.
            let message = format!("We currently do not have sufficient capacity for the instance '{id}' in the Availability Zone you requested.");
            return Err(ApiError::new("InsufficientInstanceCapacity", message).with_status(StatusCode::INTERNAL_SERVER_ERROR));
        }
        if let Some(before) = act(state, &id) {
            let now = code(get(state, &id)?.state);
            changes.push((id, before, now));
        }
    }
    write_changes(answer, &changes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{ask, world};
    use super::*;
    use crate::world::transition::settle;

    const STOPPED: &str = "i-0a11febe0a7500001";
    const RUNNING: &str = "i-0a11febe0a7c00001";

    fn ids(state: &mut State, query: &str) -> Vec<String> {
        let answer = ask(state, &format!("Action=DescribeInstances&{query}")).unwrap();
        let reservations = &answer.child("reservationSet").unwrap().children;
        reservations.iter().map(|item| item.child("instancesSet").unwrap().children[0].text_of("instanceId").unwrap().to_owned()).collect()
    }

    #[test]
    fn filters_pick_by_tag_state_and_place() {
        let mut state = world();
        assert_eq!(ids(&mut state, "").len(), 5, "only AWS's own");
        let by_tags = "Filter.1.Name=tag:role&Filter.1.Value.1=storefront&Filter.2.Name=tag:posture&Filter.2.Value.1=standby";
        assert_eq!(ids(&mut state, by_tags), [STOPPED, "i-0a11febe0a7500002"]);
        assert_eq!(ids(&mut state, "Filter.1.Name=instance-state-name&Filter.1.Value.1=running&Filter.1.Value.2=pending").len(), 3);
        assert_eq!(ids(&mut state, "Filter.1.Name=subnet-id&Filter.1.Value.1=subnet-0a11febe0a7c00001").len(), 2);
        assert_eq!(ids(&mut state, "Filter.1.Name=tag:Name&Filter.1.Value.1=orders-*").len(), 1);
        assert_eq!(ids(&mut state, &format!("InstanceId.1={RUNNING}")), [RUNNING]);
        assert_eq!(ask(&mut state, "Action=DescribeInstances&Filter.1.Name=colour&Filter.1.Value.1=x").unwrap_err(), "InvalidParameterValue");
        assert_eq!(ask(&mut state, "Action=DescribeInstances&InstanceId.1=i-bp1lifeboat0store0001").unwrap_err(), "InvalidInstanceID.Malformed");
    }

    #[test]
    fn a_start_is_pending_and_then_running() {
        let mut state = world();
        let answer = ask(&mut state, &format!("Action=StartInstances&InstanceId.1={STOPPED}")).unwrap();
        let item = &answer.child("instancesSet").unwrap().children[0];
        assert_eq!(item.child("currentState").unwrap().text_of("name"), Some("pending"));
        assert_eq!(item.child("previousState").unwrap().text_of("code"), Some("80"));
        assert_eq!(ask(&mut state, &format!("Action=StopInstances&InstanceId.1={STOPPED}")).unwrap_err(), "IncorrectInstanceState");
        state.now = state.now.plus(Duration::from_secs(5));
        settle(&mut state);
        assert_eq!(state.instances[STOPPED].state, InstanceState::Running);
        ask(&mut state, &format!("Action=StopInstances&InstanceId.1={STOPPED}")).unwrap();
        assert_eq!(ask(&mut state, &format!("Action=StartInstances&InstanceId.1={STOPPED}")).unwrap_err(), "IncorrectInstanceState");
    }

    #[test]
    fn protection_refuses_a_whole_call_and_hibernation_is_told() {
        let mut state = world();
        ask(&mut state, &format!("Action=ModifyInstanceAttribute&InstanceId={RUNNING}&DisableApiStop.Value=true")).unwrap();
        let both = format!("Action=StopInstances&InstanceId.1={RUNNING}&InstanceId.2=i-0a11febe0a7c00002");
        assert_eq!(ask(&mut state, &both).unwrap_err(), "OperationNotPermitted");
        let shown = ask(&mut state, &format!("Action=DescribeInstanceAttribute&InstanceId={RUNNING}&Attribute=disableApiStop")).unwrap();
        assert_eq!(shown.child("disableApiStop").unwrap().text_of("value"), Some("true"));
        ask(&mut state, &format!("Action=ModifyInstanceAttribute&InstanceId={RUNNING}&DisableApiStop.Value=false")).unwrap();
        assert_eq!(ask(&mut state, &format!("Action=StopInstances&InstanceId.1={RUNNING}&Hibernate=true")).unwrap_err(), "UnsupportedOperation");
        state.instances.get_mut(RUNNING).unwrap().can_hibernate = true;
        ask(&mut state, &format!("Action=StopInstances&InstanceId.1={RUNNING}&Hibernate=true")).unwrap();
        let answer = ask(&mut state, &format!("Action=DescribeInstances&InstanceId.1={RUNNING}")).unwrap();
        let instance = &answer.child("reservationSet").unwrap().children[0].child("instancesSet").unwrap().children[0];
        assert_eq!(instance.child("stateReason").unwrap().text_of("code"), Some("Client.UserInitiatedHibernate"));
    }

    #[test]
    fn one_wrong_id_stops_the_whole_call() {
        let mut state = world();
        let call = |more: &str| format!("Action=StartInstances&InstanceId.1={STOPPED}&InstanceId.2={more}");
        assert_eq!(ask(&mut state, &call("i-0123456789abcdef0")).unwrap_err(), "InvalidInstanceID.NotFound");
        assert_eq!(ask(&mut state, &call("nonsense")).unwrap_err(), "InvalidInstanceID.Malformed");
        assert_eq!(ask(&mut state, "Action=StartInstances").unwrap_err(), "MissingParameter");
        assert_eq!(state.instances[STOPPED].state, InstanceState::Stopped);
    }
}
