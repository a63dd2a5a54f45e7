//! Between the network ACL calls of VPC and the world's ACLs. Association takes effect later: BINDING, then BINDED; UNBINDING, then gone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{tags, vpc};
use crate::wire::aliyun_rpc::{ApiError, Call, invalid, missing};
use crate::world::state::{AclEntry, Cloud, NetworkAcl, State, Subnet};

/// The most entries in one direction.
const MOST_ENTRIES: usize = 100;
/// The most vSwitches in one call.
const MOST_RESOURCES: usize = 30;

fn find<'a>(state: &'a State, id: &str) -> Result<&'a NetworkAcl, ApiError> {
    let acl = state.acls.get(id).filter(|acl| acl.cloud == Cloud::Aliyun);
    acl.ok_or_else(|| ApiError::new(400, "InvalidNetworkAcl.NotFound", "The special Network Acl is not found."))
}

/// How far the association of a vSwitch and an ACL is; `None` when there is none.
fn binding(vswitch: &Subnet, acl: &str) -> Option<&'static str> {
    match (vswitch.acl.as_deref() == Some(acl), vswitch.effective_acl.as_deref() == Some(acl)) {
        (true, true) => Some("BINDED"),
        (true, false) => Some("BINDING"),
        (false, true) => Some("UNBINDING"),
        (false, false) => None,
    }
}

fn bindings(state: &State, acl: &str) -> Vec<(String, &'static str)> {
    state.subnets.values().filter_map(|vswitch| binding(vswitch, acl).map(|status| (vswitch.id.clone(), status))).collect()
}

fn shown(state: &State, acl: &NetworkAcl) -> Value {
    let bindings = bindings(state, &acl.id);
    let at_rest = bindings.iter().all(|(_, status)| *status == "BINDED");
    let resources: Vec<Value> =
        bindings.iter().map(|(id, status)| json!({ "ResourceId": id, "ResourceType": "VSwitch", "Status": status })).collect();
    let tags: Vec<Value> = acl.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    json!({
        "NetworkAclId": acl.id,
        "NetworkAclName": acl.name,
        "VpcId": acl.vpc,
        "RegionId": state.here(Cloud::Aliyun),
        "Status": if at_rest { "Available" } else { "Modifying" },
        "Description": "",
        "Resources": { "Resource": resources },
        "IngressAclEntries": { "IngressAclEntry": entries(&acl.id, &acl.ingress, "SourceCidrIp", "in") },
        "EgressAclEntries": { "EgressAclEntry": entries(&acl.id, &acl.egress, "DestinationCidrIp", "out") },
        "Tags": { "Tag": tags },
    })
}

fn entries(acl: &str, entries: &[AclEntry], far_end: &str, direction: &str) -> Vec<Value> {
    let shown = |entry: &AclEntry| {
        json!({
            "NetworkAclEntryId": format!("{}-{direction}-{}", acl.replacen("nacl-", "nae-", 1), entry.number),
            "NetworkAclEntryName": entry.name,
            "Policy": if entry.allow { "accept" } else { "drop" },
            "Protocol": entry.protocol,
            "Port": if entry.port.is_empty() { "-1/-1" } else { &entry.port },
            far_end: entry.cidr,
            "EntryType": "custom",
            "IpVersion": if entry.cidr.contains(':') { "IPv6" } else { "IPv4" },
            "Description": "",
        })
    };
    entries.iter().map(shown).collect()
}

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let page = call.page(10, 50)?;
    let wanted_tags = tags::filter(call, "Tags")?;
    let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted == value);
    if call.text("ResourceType").is_some_and(|kind| kind != "VSwitch") {
        return Err(invalid("ResourceType"));
    }
    let all: Vec<Value> = state
        .acls
        .values()
        .filter(|acl| acl.cloud == Cloud::Aliyun)
        .filter(|acl| is("NetworkAclId", &acl.id) && is("VpcId", &acl.vpc) && is("NetworkAclName", &acl.name))
        .filter(|acl| tags::fit(&acl.tags, &wanted_tags))
        .filter(|acl| call.text("ResourceId").is_none_or(|id| bindings(state, &acl.id).iter().any(|(bound, _)| bound == id)))
        .map(|acl| shown(state, acl))
        .collect();
    // The vendor writes these three as strings here.
    Ok(json!({
        "TotalCount": all.len().to_string(),
        "PageNumber": page.number.to_string(),
        "PageSize": page.size.to_string(),
        "NetworkAcls": { "NetworkAcl": page.cut(all) },
    }))
}

pub(super) fn describe_attributes(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let acl = find(state, call.need("NetworkAclId")?)?;
    Ok(json!({ "NetworkAclAttribute": shown(state, acl) }))
}

pub(super) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let vpc = vpc::find(state, call.need("VpcId")?)?.id.clone();
    let name = call.text("NetworkAclName").unwrap_or_default();
    if name.chars().count() > 128 || name.starts_with("http://") || name.starts_with("https://") {
        return Err(invalid("NetworkAclName"));
    }
    let tags = tags::filter(call, "Tag")?.into_iter().map(|(key, value)| (key.to_owned(), value.unwrap_or_default().to_owned())).collect();
    call.dry_run()?;
    let id = state.fresh_id("nacl-bp1");
    // A new ACL lets everything through until its entries are set.
    let open = |name: &str| AclEntry {
        number: 1,
        allow: true,
        protocol: "all".to_owned(),
        cidr: "0.0.0.0/0".to_owned(),
        port: "-1/-1".to_owned(),
        name: name.to_owned(),
    };
    let acl = NetworkAcl {
        id: id.clone(),
        cloud: Cloud::Aliyun,
        vpc,
        default: false,
        ingress: vec![open("default-ingress")],
        egress: vec![open("default-egress")],
        tags,
        name: name.to_owned(),
    };
    let attribute = shown(state, &acl);
    state.acls.insert(id.clone(), acl);
    Ok(json!({ "NetworkAclId": id, "NetworkAclAttribute": attribute }))
}

pub(super) fn update_entries(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let id = find(state, call.need("NetworkAclId")?)?.id.clone();
    let direction = |update: &str, name: &str, far_end: &str| -> Result<Option<Vec<AclEntry>>, ApiError> {
        if call.flag(update)? != Some(true) {
            return Ok(None);
        }
        let entries = call.structs(name);
        if entries.len() > MOST_ENTRIES {
            return Err(ApiError::new(400, "QuotaExceed.NetworkAclEntry", "Network acl entry is over limit."));
        }
        entries.iter().zip(1..).map(|(fields, number)| entry(name, fields, far_end, number)).collect::<Result<_, _>>().map(Some)
    };
    let ingress = direction("UpdateIngressAclEntries", "IngressAclEntries", "SourceCidrIp")?;
    let egress = direction("UpdateEgressAclEntries", "EgressAclEntries", "DestinationCidrIp")?;
    at_rest(state, &id)?;
    call.dry_run()?;
    if let Some(acl) = state.acls.get_mut(&id) {
        acl.ingress = ingress.unwrap_or_else(|| std::mem::take(&mut acl.ingress));
        acl.egress = egress.unwrap_or_else(|| std::mem::take(&mut acl.egress));
    }
    state.apply_acl_entries(&id);
    Ok(json!({}))
}

fn entry(list: &str, fields: &BTreeMap<&str, &str>, far_end: &str, number: u32) -> Result<AclEntry, ApiError> {
    let wrong = |field: &str| invalid(&format!("{list}.{number}.{field}"));
    let need = |field: &str| {
        let value = fields.get(field).copied().filter(|value| !value.is_empty());
        value.ok_or_else(|| missing(&format!("{list}.{number}.{field}")))
    };
    let allow = match need("Policy")?.to_ascii_lowercase().as_str() {
        "accept" => true,
        "drop" => false,
        _ => return Err(wrong("Policy")),
    };
    let protocol = need("Protocol")?.to_ascii_lowercase();
    let port = need("Port")?;
    let bounds = port.split_once('/').and_then(|(low, high)| Some((low.parse::<i32>().ok()?, high.parse::<i32>().ok()?)));
    let port_fits = match protocol.as_str() {
        "all" | "icmp" | "icmpv6" | "gre" => bounds == Some((-1, -1)),
        "tcp" | "udp" => bounds.is_some_and(|(low, high)| 1 <= low && low <= high && high <= 65535),
        _ => return Err(wrong("Protocol")),
    };
    if !port_fits {
        return Err(wrong("Port"));
    }
    let cidr = need(far_end)?;
    let (address, bits) = cidr.split_once('/').unwrap_or((cidr, "32"));
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong(far_end))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits.parse::<u8>().ok().is_none_or(|bits| bits > most) {
        return Err(wrong(far_end));
    }
    let name = fields.get("NetworkAclEntryName").copied().unwrap_or_default();
    Ok(AclEntry { number, allow, protocol, cidr: cidr.to_owned(), port: port.to_owned(), name: name.to_owned() })
}

/// The vendor refuses a change of an ACL while another one is under way.
fn at_rest(state: &State, id: &str) -> Result<(), ApiError> {
    if bindings(state, id).iter().all(|(_, status)| *status == "BINDED") {
        return Ok(());
    }
    Err(ApiError::new(400, "NetworkStatus.Modifying", "The special Network Acl is in modifying."))
}

/// The vSwitches of `Resource.N`, all of which must be in the ACL's VPC.
fn resources(state: &State, call: &Call, vpc: &str) -> Result<Vec<String>, ApiError> {
    let resources = call.structs("Resource");
    if resources.is_empty() {
        return Err(missing("Resource.1.ResourceId"));
    }
    if resources.len() > MOST_RESOURCES {
        return Err(invalid("Resource"));
    }
    let one = |resource: &BTreeMap<&str, &str>| {
        if resource.get("ResourceType") != Some(&"VSwitch") {
            return Err(ApiError::new(400, "ParameterIllegal.ResourceType", "The specified resource type is illegal."));
        }
        let id = resource.get("ResourceId").copied().unwrap_or_default();
        let vswitch = state.subnets.get(id).filter(|vswitch| vswitch.cloud == Cloud::Aliyun && vswitch.vpc == vpc);
        let not_found = || ApiError::new(400, "InvalidResource.NotFound", "The binding instance is not found.");
        vswitch.map(|vswitch| vswitch.id.clone()).ok_or_else(not_found)
    };
    resources.iter().map(one).collect()
}

pub(super) fn associate(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let acl = find(state, call.need("NetworkAclId")?)?.clone();
    let vswitches = resources(state, call, &acl.vpc)?;
    if vswitches.iter().any(|id| state.subnets.get(id).is_some_and(|vswitch| vswitch.acl.is_some())) {
        return Err(ApiError::new(400, "InvalidResource.BindingExist", "The binding instance has been binded."));
    }
    at_rest(state, &acl.id)?;
    call.dry_run()?;
    for id in vswitches {
        state.apply_acl(&id, Some(&acl.id));
    }
    Ok(json!({}))
}

pub(super) fn unassociate(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let acl = find(state, call.need("NetworkAclId")?)?.clone();
    let vswitches = resources(state, call, &acl.vpc)?;
    if vswitches.iter().any(|id| state.subnets.get(id).is_none_or(|vswitch| vswitch.acl.as_ref() != Some(&acl.id))) {
        return Err(ApiError::new(400, "InvalidResource.NotBinding", "The resource has not been binded."));
    }
    at_rest(state, &acl.id)?;
    call.dry_run()?;
    for id in vswitches {
        state.apply_acl(&id, None);
    }
    Ok(json!({}))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let id = find(state, call.need("NetworkAclId")?)?.id.clone();
    if !bindings(state, &id).is_empty() {
        let message = "The specified network acl is associated with resources. Disassociate them first.";
        return Err(ApiError::new(400, "NetworkAclExistBinding", message));
    }
    call.dry_run()?;
    state.acls.remove(&id);
    Ok(json!({}))
}
