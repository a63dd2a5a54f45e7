//! Between ECS calls and the world's machines and security groups; images are in [`image`](super::image), tags in [`tags`](super::tags).

use std::collections::BTreeMap;

use lifeboat_notation::time::Timestamp;
use serde_json::{Value, json};

use super::{Action, changes, group, image, reads, tags};
use crate::faults::during;
use crate::wire::aliyun_rpc::{ApiError, Call, Page, invalid, missing};
use crate::world::state::{Cloud, Instance, InstanceState, SecurityGroup, SecurityRule, State};

pub(super) const ACTIONS: &[Action] = &[
    reads("DescribeInstances", describe_instances),
    reads("DescribeInstanceStatus", describe_instance_status),
    changes("StartInstance", |state, call| one(state, call, Step::Start)).anywhere(),
    changes("StopInstance", |state, call| one(state, call, Step::Stop)).anywhere(),
    changes("StartInstances", |state, call| batch(state, call, Step::Start)),
    changes("StopInstances", |state, call| batch(state, call, Step::Stop)),
    reads("DescribeImages", image::describe),
    reads("DescribeImageSharePermission", image::describe_share_permission),
    changes("ModifyImageSharePermission", image::modify_share_permission),
    reads("DescribeSecurityGroups", describe_security_groups),
    reads("DescribeSecurityGroupAttribute", describe_security_group_attribute),
    changes("ModifyInstanceAttribute", group::assign).anywhere(),
    changes("TagResources", |state, call| tags::tag(state, call, tags::OF_ECS)),
    changes("UntagResources", |state, call| tags::untag(state, call, tags::OF_ECS)),
    reads("ListTagResources", |state, call| tags::list(state, call, tags::OF_ECS)),
];

/// The most ids in one call.
const MOST_IDS: usize = 100;

/// An instance's status in this API's words.
fn status(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending => "Starting",
        InstanceState::Running => "Running",
        InstanceState::Stopping => "Stopping",
        InstanceState::Stopped => "Stopped",
        // Released instances are gone from every answer.
        InstanceState::Terminated => "Released",
    }
}

pub(super) fn minutes(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%dT%H:%MZ").to_string()
}

fn instances(state: &State) -> impl Iterator<Item = &Instance> {
    state.instances.values().filter(|instance| instance.cloud == Cloud::Aliyun && instance.state != InstanceState::Terminated)
}

fn describe_instances(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let ids = call.json_list("InstanceIds", MOST_IDS)?;
    let wanted_tags = tags::filter(call, "Tag")?;
    let addresses = call.json_list("PrivateIpAddresses", MOST_IDS)?;
    let is_wanted = |instance: &&Instance| {
        let subnet = state.subnets.get(&instance.subnet);
        let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted == value);
        ids.as_ref().is_none_or(|ids| ids.contains(&instance.id))
            && addresses.as_ref().is_none_or(|all| all.contains(&instance.private_ip.to_string()))
            && tags::fit(&instance.tags, &wanted_tags)
            && is("Status", status(instance.state))
            && is("VSwitchId", &instance.subnet)
            && is("VpcId", subnet.map_or("", |subnet| &subnet.vpc))
            && is("ZoneId", subnet.map_or("", |subnet| &subnet.zone))
            && is("ImageId", &instance.image)
            && is("InstanceType", &instance.instance_type)
            && call.text("SecurityGroupId").is_none_or(|group| instance.security_groups.iter().any(|other| other == group))
            && call.text("InstanceName").is_none_or(|pattern| name_fits(&instance.name, pattern))
    };
    let all: Vec<Value> = instances(state).filter(is_wanted).map(|instance| shown(state, instance)).collect();
    let total = all.len();
    if let Some(most) = call.number("MaxResults", 1..=100)? {
        let (shown, next) = continued(call, all, most)?;
        return Ok(json!({ "TotalCount": total, "PageNumber": 1, "PageSize": most, "NextToken": next, "Instances": { "Instance": shown } }));
    }
    let page = call.page(10, 100)?;
    Ok(json!({ "TotalCount": total, "PageNumber": page.number, "PageSize": page.size, "NextToken": "", "Instances": { "Instance": page.cut(all) } }))
}

/// The part of `all` after `NextToken`, and the token for the rest (empty at the end).
pub(super) fn continued(call: &Call, all: Vec<Value>, most: u32) -> Result<(Vec<Value>, String), ApiError> {
    let start = match call.text("NextToken") {
        None => 0,
        Some(token) => token.strip_prefix("lab-").and_then(|at| at.parse::<usize>().ok()).ok_or_else(|| invalid("NextToken"))?,
    };
    let end = start.saturating_add(most as usize);
    let next = if end < all.len() { format!("lab-{end}") } else { String::new() };
    Ok((all.into_iter().skip(start).take(most as usize).collect(), next))
}

/// A name, or the beginning, middle or end of one with `*`.
fn name_fits(name: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

fn shown(state: &State, instance: &Instance) -> Value {
    let subnet = state.subnets.get(&instance.subnet);
    let interfaces: Vec<Value> = state
        .interfaces
        .values()
        .filter(|interface| interface.instance.as_deref() == Some(&instance.id))
        .map(|interface| json!({ "NetworkInterfaceId": interface.id, "PrimaryIpAddress": instance.private_ip, "Type": "Primary" }))
        .collect();
    let tags: Vec<Value> = instance.tags.iter().map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect();
    json!({
        "InstanceId": instance.id,
        "InstanceName": instance.name,
        "HostName": instance.name,
        "Status": status(instance.state),
        "RegionId": state.here(Cloud::Aliyun),
        "ZoneId": subnet.map_or("", |subnet| &subnet.zone),
        "InstanceType": instance.instance_type,
        "ImageId": instance.image,
        "InstanceNetworkType": "vpc",
        "VpcAttributes": {
            "VpcId": subnet.map_or("", |subnet| &subnet.vpc),
            "VSwitchId": instance.subnet,
            "NatIpAddress": "",
            "PrivateIpAddress": { "IpAddress": [instance.private_ip] },
        },
        "PublicIpAddress": { "IpAddress": if instance.released && !instance.elastic { Vec::new() } else { vec![instance.address] } },
        "EipAddress": { "IpAddress": "", "AllocationId": "", "InternetChargeType": "" },
        "SecurityGroupIds": { "SecurityGroupId": instance.security_groups },
        "NetworkInterfaces": { "NetworkInterface": interfaces },
        "Tags": { "Tag": tags },
        "StoppedMode": match (instance.state, instance.released) {
            (InstanceState::Stopped, true) => "StopCharging",
            (InstanceState::Stopped, false) => "KeepCharging",
            _ => "Not-applicable",
        },
        "InstanceChargeType": "PostPaid",
        "CreationTime": minutes(instance.launched_at),
        "StartTime": minutes(instance.launched_at),
        "OperationLocks": { "LockReason": if instance.protected { vec![json!({ "LockReason": "security" })] } else { Vec::new() } },
        "DeletionProtection": false,
        "Cpu": 2,
        "Memory": 4096,
    })
}

fn describe_instance_status(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let ids = call.list("InstanceId");
    if ids.len() > MOST_IDS {
        return Err(invalid("InstanceId"));
    }
    let page = call.page(10, 50)?;
    let zone = |instance: &Instance| state.subnets.get(&instance.subnet).map_or("", |subnet| &subnet.zone);
    let all: Vec<Value> = instances(state)
        .filter(|instance| ids.is_empty() || ids.contains(&instance.id.as_str()))
        .filter(|instance| call.text("ZoneId").is_none_or(|wanted| wanted == zone(instance)))
        .map(|instance| json!({ "InstanceId": instance.id, "Status": status(instance.state) }))
        .collect();
    Ok(json!({ "TotalCount": all.len(), "PageNumber": page.number, "PageSize": page.size, "InstanceStatuses": { "InstanceStatus": page.cut(all) } }))
}

/// What can be done to an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Start,
    Stop,
}

impl Step {
    /// The one state from which the vendor allows it.
    fn allowed_from(self) -> InstanceState {
        match self {
            Self::Start => InstanceState::Stopped,
            Self::Stop => InstanceState::Running,
        }
    }

    fn check(self, state: &State, id: &str) -> Result<InstanceState, ApiError> {
        let not_found = || ApiError::new(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.");
        let instance = instances(state).find(|instance| instance.id == id).ok_or_else(not_found)?;
        if instance.protected {
            let message = "The specified operation is denied as your instance is locked for security reasons.";
            return Err(ApiError::new(403, "InstanceLockedForSecurity", message));
        }
        if instance.state == self.allowed_from() {
            return Ok(instance.state);
        }
        Err(ApiError::new(403, "IncorrectInstanceStatus", "The current status of the resource does not support this operation."))
    }

    fn apply(self, state: &mut State, id: &str) {
        match self {
            Self::Start => state.instance_start(id),
            Self::Stop => state.instance_stop(id),
        };
    }
}

fn one(state: &mut State, call: &Call, step: Step) -> Result<Value, ApiError> {
    let id = call.need("InstanceId")?;
    step.check(state, id)?;
    call.dry_run()?;
    step.apply(state, id);
    Ok(json!({}))
}

fn batch(state: &mut State, call: &Call, step: Step) -> Result<Value, ApiError> {
    let ids = call.list("InstanceId");
    if ids.is_empty() {
        return Err(missing("InstanceId"));
    }
    if ids.len() > MOST_IDS {
        return Err(invalid("InstanceId"));
    }
    if step == Step::Stop && !matches!(call.text("StoppedMode"), None | Some("KeepCharging" | "StopCharging")) {
        return Err(invalid("StoppedMode"));
    }
    let checked: Vec<(&str, Result<InstanceState, ApiError>)> = ids.iter().map(|id| (*id, step.check(state, id))).collect();
    match call.text("BatchOptimization").unwrap_or("AllTogether") {
        // All or none: the first one that cannot be done refuses the whole.
        "AllTogether" => {
            if let Some((_, Err(error))) = checked.iter().find(|(_, result)| result.is_err()) {
                return Err(error.clone());
            }
        }
        "SuccessFirst" => {}
        _ => return Err(invalid("BatchOptimization")),
    }
    call.dry_run()?;
    let current = |state: &State, id: &str| state.instances.get(id).map_or("", |instance| status(instance.state));
    let mut responses = Vec::with_capacity(checked.len());
    for (id, result) in checked {
        let previous = current(state, id);
        let (code, message) = match result {
            Ok(_) if during::fails(id) => ("InternalError".to_owned(), "The request processing has failed due to some unknown error.".to_owned()),
            Ok(_) => {
                step.apply(state, id);
                if let Some(instance) = state.instances.get_mut(id).filter(|_| step == Step::Stop) {
                    instance.released = call.text("StoppedMode") == Some("StopCharging");
                }
                ("200".to_owned(), "success".to_owned())
            }
            Err(error) => (error.code, error.message),
        };
        let current = current(state, id);
        responses.push(json!({ "InstanceId": id, "Code": code, "Message": message, "PreviousStatus": previous, "CurrentStatus": current }));
    }
    Ok(json!({ "InstanceResponses": { "InstanceResponse": responses } }))
}

fn groups(state: &State) -> impl Iterator<Item = &SecurityGroup> {
    state.security_groups.values().filter(|group| group.cloud == Cloud::Aliyun)
}

fn describe_security_groups(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let ids = call.json_list("SecurityGroupIds", MOST_IDS)?;
    let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted == value);
    let all: Vec<Value> = groups(state)
        .filter(|group| ids.as_ref().is_none_or(|ids| ids.contains(&group.id)))
        .filter(|group| is("SecurityGroupId", &group.id) && is("VpcId", &group.vpc) && is("SecurityGroupName", &group.name))
        .map(|group| {
            json!({ "SecurityGroupId": group.id, "SecurityGroupName": group.name, "VpcId": group.vpc, "SecurityGroupType": "normal",
                    "Description": "", "Tags": { "Tag": [] } })
        })
        .collect();
    let (total, region) = (all.len(), state.here(Cloud::Aliyun));
    let Page { number, size } = call.page(10, 100)?;
    let groups = Page { number, size }.cut(all);
    Ok(
        json!({ "RegionId": region, "TotalCount": total, "PageNumber": number, "PageSize": size, "NextToken": "", "SecurityGroups": { "SecurityGroup": groups } }),
    )
}

fn describe_security_group_attribute(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let id = call.need("SecurityGroupId")?;
    let not_found = || ApiError::new(404, "InvalidSecurityGroupId.NotFound", "The specified SecurityGroupId does not exist.");
    let group = groups(state).find(|group| group.id == id).ok_or_else(not_found)?;
    let direction = call.text("Direction").unwrap_or("all");
    if !matches!(direction, "all" | "ingress" | "egress") {
        return Err(invalid("Direction"));
    }
    let mut permissions = Vec::new();
    for (name, rules, far_end) in [("ingress", &group.ingress, "SourceCidrIp"), ("egress", &group.egress, "DestCidrIp")] {
        if direction == "all" || direction == name {
            permissions.extend(rules.iter().map(|rule| permission(name, rule, far_end)));
        }
    }
    Ok(json!({
        "RegionId": state.here(Cloud::Aliyun),
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "VpcId": group.vpc,
        "Description": "",
        "InnerAccessPolicy": "Accept",
        "Permissions": { "Permission": permissions },
    }))
}

fn permission(direction: &str, rule: &SecurityRule, far_end: &str) -> Value {
    let fields: BTreeMap<&str, String> = BTreeMap::from([
        ("Direction", direction.to_owned()),
        ("SecurityGroupRuleId", rule.id.clone()),
        ("IpProtocol", if rule.protocol == "-1" { "ALL".to_owned() } else { rule.protocol.to_ascii_uppercase() }),
        ("PortRange", format!("{}/{}", rule.from_port, rule.to_port)),
        (far_end, rule.cidr.clone()),
        ("Policy", "Accept".to_owned()),
        ("Priority", "1".to_owned()),
        ("NicType", "intranet".to_owned()),
    ]);
    json!(fields)
}
