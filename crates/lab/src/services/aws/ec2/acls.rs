//! Network ACLs: their entries and which subnet has which.

use std::collections::BTreeMap;

use super::page::Page;
use super::routes::cidr;
use super::select::{Selection, tag_attribute};
use super::{NETWORK_ACL, VPC, commit, write_tags};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{AclEntry, Cloud, NetworkAcl, State, Subnet};

/// The number of the entry that every ACL ends with: deny all.
const LAST: u32 = 32767;

fn get<'a>(state: &'a State, id: &str) -> Result<&'a NetworkAcl, ApiError> {
    NETWORK_ACL.found(id, state.acls.get(id).filter(|acl| acl.cloud == Cloud::Aws))
}

fn subnets<'a>(state: &'a State, acl: &'a NetworkAcl) -> impl Iterator<Item = &'a Subnet> {
    state.subnets.values().filter(|subnet| subnet.acl.as_deref() == Some(acl.id.as_str()))
}

fn attribute(state: &State, acl: &NetworkAcl, name: &str) -> Option<Vec<String>> {
    let entries = |value: fn(&AclEntry) -> String| Some(acl.ingress.iter().chain(&acl.egress).map(value).collect());
    match name {
        "network-acl-id" | "association.network-acl-id" => Some(vec![acl.id.clone()]),
        "vpc-id" => Some(vec![acl.vpc.clone()]),
        "owner-id" => Some(vec![state.accounts.aws.clone()]),
        "default" => Some(vec![acl.default.to_string()]),
        "association.subnet-id" => Some(subnets(state, acl).map(|subnet| subnet.id.clone()).collect()),
        "association.association-id" => Some(subnets(state, acl).filter_map(|subnet| subnet.acl_association.clone()).collect()),
        "entry.cidr" => entries(|entry| entry.cidr.clone()),
        "entry.protocol" => entries(|entry| entry.protocol.clone()),
        "entry.rule-action" => entries(|entry| if entry.allow { "allow" } else { "deny" }.to_owned()),
        "entry.rule-number" => entries(|entry| entry.number.to_string()),
        _ => tag_attribute(&acl.tags, name),
    }
}

fn write(answer: &mut Answer, state: &State, acl: &NetworkAcl) {
    answer.text("networkAclId", &acl.id);
    answer.text("vpcId", &acl.vpc);
    answer.text("ownerId", &state.accounts.aws);
    answer.text("default", acl.default);
    answer.element("entrySet", |answer| {
        for (entries, egress) in [(&acl.egress, true), (&acl.ingress, false)] {
            let mut entries: Vec<&AclEntry> = entries.iter().collect();
            entries.sort_by_key(|entry| entry.number);
            for entry in entries {
                answer.element("item", |answer| {
                    answer.text("ruleNumber", entry.number);
                    answer.text("protocol", &entry.protocol);
                    answer.text("ruleAction", if entry.allow { "allow" } else { "deny" });
                    answer.text("egress", egress);
                    answer.text("cidrBlock", &entry.cidr);
                    if let Some((from, to)) = entry.port.split_once('/') {
                        answer.element("portRange", |answer| {
                            answer.text("from", from);
                            answer.text("to", to);
                        });
                    }
                });
            }
        }
    });
    answer.items("associationSet", subnets(state, acl), |answer, subnet| {
        answer.text("networkAclAssociationId", subnet.acl_association.as_deref().unwrap_or_default());
        answer.text("networkAclId", &acl.id);
        answer.text("subnetId", &subnet.id);
    });
    write_tags(answer, &acl.tags);
}

/// `DescribeNetworkAcls`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "NetworkAclId", kind: &NETWORK_ACL, parameters };
    let acls = state.acls.values().filter(|acl| acl.cloud == Cloud::Aws);
    let picked = selection.pick(acls, |acl| &acl.id, |acl, name| attribute(state, acl, name))?;
    let page = Page::cut(parameters, picked, 1000, |acl| &acl.id)?;
    answer.items("networkAclSet", &page.items, |answer, acl| write(answer, state, acl));
    page.write_token(answer);
    Ok(())
}

/// `CreateNetworkAcl`: a new one denies all both ways. The same client token gives the same ACL again.
pub(super) fn create(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let vpc = parameters.required("VpcId")?;
    VPC.found(vpc, state.vpcs.get(vpc).filter(|vpc| vpc.cloud == Cloud::Aws))?;
    let token = parameters.get("ClientToken").map(|token| format!("ec2/CreateNetworkAcl/{token}"));
    let known = token.as_ref().and_then(|token| state.tokens.get(token)).and_then(|id| state.acls.get(id));
    if let Some(acl) = known {
        answer.element("networkAcl", |answer| write(answer, state, acl));
        return Ok(());
    }
    commit(parameters)?;
    let tags: BTreeMap<String, String> = parameters
        .members("TagSpecification")
        .into_iter()
        .flat_map(|prefix| parameters.members(&format!("{prefix}.Tag")))
        .filter_map(|prefix| {
            Some((parameters.get(&format!("{prefix}.Key"))?.to_owned(), parameters.get(&format!("{prefix}.Value")).unwrap_or_default().to_owned()))
        })
        .collect();
    let deny = AclEntry { number: LAST, allow: false, protocol: "-1".into(), cidr: "0.0.0.0/0".into(), port: String::new(), name: String::new() };
    let acl = NetworkAcl {
        id: state.fresh_id("acl-"),
        cloud: Cloud::Aws,
        vpc: vpc.to_owned(),
        default: false,
        ingress: vec![deny.clone()],
        egress: vec![deny],
        tags,
        name: String::new(),
    };
    answer.element("networkAcl", |answer| write(answer, state, &acl));
    if let Some(token) = &token {
        answer.text("clientToken", parameters.get("ClientToken").unwrap_or_default());
        state.tokens.insert(token.clone(), acl.id.clone());
    }
    state.acls.insert(acl.id.clone(), acl);
    Ok(())
}

/// `DeleteNetworkAcl`: not while a subnet has it.
pub(super) fn delete(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let acl = get(state, parameters.required("NetworkAclId")?)?;
    let id = acl.id.clone();
    if acl.default {
        return Err(ApiError::new("InvalidParameterValue", format!("cannot delete default network ACL {id}")));
    }
    if subnets(state, acl).next().is_some() {
        return Err(ApiError::new("DependencyViolation", format!("The networkAcl '{id}' has dependencies and cannot be deleted.")));
    }
    commit(parameters)?;
    state.acls.remove(&id);
    answer.text("return", true);
    Ok(())
}

/// The entry that a call describes, and whether it is for the way out.
fn entry(parameters: &Parameters) -> Result<(AclEntry, bool), ApiError> {
    let (number, egress) = place(parameters)?;
    let protocol = match parameters.required("Protocol")?.to_ascii_lowercase().as_str() {
        "all" => "-1".to_owned(),
        "icmp" => "1".to_owned(),
        "tcp" => "6".to_owned(),
        "udp" => "17".to_owned(),
        number if number == "-1" || number.parse::<u8>().is_ok() => number.to_owned(),
        other => return Err(ApiError::new("InvalidParameterValue", format!("Value ({other}) for parameter protocol is invalid. Unknown protocol."))),
    };
    let allow = match parameters.required("RuleAction")? {
        "allow" => true,
        "deny" => false,
        other => {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Value ({other}) for parameter ruleAction is invalid. Valid values: allow, deny"),
            ));
        }
    };
    if parameters.get("Ipv6CidrBlock").is_some() {
        return Err(ApiError::new("InvalidParameterValue", "The lab has no IPv6; give a CidrBlock."));
    }
    let block = cidr(parameters.required("CidrBlock")?, "cidrBlock")?;
    let ports = (parameters.number::<u16>("PortRange.From")?, parameters.number::<u16>("PortRange.To")?);
    let port = match ports {
        (Some(from), Some(to)) if from <= to => format!("{from}/{to}"),
        (None, None) if matches!(protocol.as_str(), "6" | "17") => {
            return Err(ApiError::new("MissingParameter", "The request must contain the parameter PortRange for TCP and UDP"));
        }
        (None, None) => String::new(),
        _ => return Err(ApiError::new("InvalidParameterValue", "The port range must have a From not larger than its To.")),
    };
    Ok((AclEntry { number, allow, protocol, cidr: block, port, name: String::new() }, egress))
}

fn place(parameters: &Parameters) -> Result<(u32, bool), ApiError> {
    let number = parameters
        .number::<u32>("RuleNumber")?
        .ok_or_else(|| ApiError::new("MissingParameter", "The request must contain the parameter RuleNumber"))?;
    if !(1..LAST).contains(&number) {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Value ({number}) for parameter ruleNumber is invalid. Rule number must be between 1 and 32766"),
        ));
    }
    parameters.required("Egress")?;
    Ok((number, parameters.flag("Egress")?))
}

fn entries(acl: &mut NetworkAcl, egress: bool) -> &mut Vec<AclEntry> {
    if egress { &mut acl.egress } else { &mut acl.ingress }
}

fn has_entry(acl: &NetworkAcl, number: u32, egress: bool) -> bool {
    (if egress { &acl.egress } else { &acl.ingress }).iter().any(|entry| entry.number == number)
}

/// Changes an ACL's entries after a dry run would have ended, and lets packets follow.
fn edit(state: &mut State, parameters: &Parameters, answer: &mut Answer, id: &str, change: impl FnOnce(&mut NetworkAcl)) -> Result<(), ApiError> {
    commit(parameters)?;
    if let Some(acl) = state.acls.get_mut(id) {
        change(acl);
    }
    state.apply_acl_entries(id);
    answer.text("return", true);
    Ok(())
}

/// `CreateNetworkAclEntry`.
pub(super) fn create_entry(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let acl = get(state, parameters.required("NetworkAclId")?)?;
    let id = acl.id.clone();
    let (entry, egress) = entry(parameters)?;
    if has_entry(acl, entry.number, egress) {
        return Err(ApiError::new("NetworkAclEntryAlreadyExists", format!("The network acl entry identified by {} already exists.", entry.number)));
    }
    edit(state, parameters, answer, &id, |acl| entries(acl, egress).push(entry))
}

fn no_entry(number: u32) -> ApiError {
    ApiError::new("InvalidNetworkAclEntry.NotFound", format!("The specified network acl entry identified by {number} does not exist."))
}

/// `ReplaceNetworkAclEntry`.
pub(super) fn replace_entry(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let acl = get(state, parameters.required("NetworkAclId")?)?;
    let id = acl.id.clone();
    let (entry, egress) = entry(parameters)?;
    if !has_entry(acl, entry.number, egress) {
        return Err(no_entry(entry.number));
    }
    edit(state, parameters, answer, &id, |acl| {
        let entries = entries(acl, egress);
        entries.retain(|other| other.number != entry.number);
        entries.push(entry);
    })
}

/// `DeleteNetworkAclEntry`.
pub(super) fn delete_entry(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let acl = get(state, parameters.required("NetworkAclId")?)?;
    let id = acl.id.clone();
    let (number, egress) = place(parameters)?;
    if !has_entry(acl, number, egress) {
        return Err(no_entry(number));
    }
    edit(state, parameters, answer, &id, |acl| entries(acl, egress).retain(|entry| entry.number != number))
}

/// `ReplaceNetworkAclAssociation`: the association gets a new id at every swap.
pub(super) fn replace_association(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let association = parameters.required("AssociationId")?;
    let acl = get(state, parameters.required("NetworkAclId")?)?;
    let subnet = state
        .subnets
        .values()
        .find(|subnet| subnet.cloud == Cloud::Aws && subnet.acl_association.as_deref() == Some(association))
        .ok_or_else(|| ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{association}' does not exist")))?;
    if subnet.vpc != acl.vpc {
        return Err(ApiError::new("InvalidParameterValue", format!("Network ACL {} and subnet {} belong to different networks.", acl.id, subnet.id)));
    }
    let (subnet, acl) = (subnet.id.clone(), acl.id.clone());
    commit(parameters)?;
    state.apply_acl(&subnet, Some(&acl));
    answer.text("newAssociationId", state.subnets.get(&subnet).and_then(|subnet| subnet.acl_association.as_deref()).unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;
    use crate::wire::xml::Element;

    const DEFAULT: &str = "acl-0a11febe0a7de4001";
    const SUBNET: &str = "subnet-0a11febe0a7c00001";

    fn of_subnet(state: &mut State) -> (String, String) {
        let answer = ask(state, &format!("Action=DescribeNetworkAcls&Filter.1.Name=association.subnet-id&Filter.1.Value.1={SUBNET}")).unwrap();
        let acl = &answer.child("networkAclSet").unwrap().children[0];
        let association = acl.child("associationSet").unwrap().children.iter().find(|item| item.text_of("subnetId") == Some(SUBNET)).unwrap();
        (acl.text_of("networkAclId").unwrap().to_owned(), association.text_of("networkAclAssociationId").unwrap().to_owned())
    }

    fn text(answer: &Element, path: &[&str]) -> String {
        let (last, inner) = path.split_last().unwrap();
        inner.iter().fold(answer, |element, name| element.child(name).unwrap()).text_of(last).unwrap().to_owned()
    }

    #[test]
    fn a_swap_and_its_undoing_leave_the_world_as_it_was() {
        let mut state = world();
        let before = state.view();
        let (original, association) = of_subnet(&mut state);
        assert_eq!(original, DEFAULT);
        let created = ask(&mut state, "Action=CreateNetworkAcl&VpcId=vpc-0a11febe0a7000001&ClientToken=t1").unwrap();
        let sink = text(&created, &["networkAcl", "networkAclId"]);
        let entries = &created.child("networkAcl").unwrap().child("entrySet").unwrap().children;
        assert_eq!(
            entries.iter().map(|entry| (entry.text_of("ruleNumber"), entry.text_of("ruleAction"))).collect::<Vec<_>>(),
            [(Some("32767"), Some("deny")); 2]
        );
        let again = ask(&mut state, "Action=CreateNetworkAcl&VpcId=vpc-0a11febe0a7000001&ClientToken=t1").unwrap();
        assert_eq!(text(&again, &["networkAcl", "networkAclId"]), sink);

        let swap = |state: &mut State, association: &str, acl: &str| {
            ask(state, &format!("Action=ReplaceNetworkAclAssociation&AssociationId={association}&NetworkAclId={acl}"))
        };
        let new = text(&swap(&mut state, &association, &sink).unwrap(), &["newAssociationId"]);
        assert_ne!(new, association);
        assert_eq!(of_subnet(&mut state), (sink.clone(), new.clone()));
        assert_eq!(swap(&mut state, &association, DEFAULT).unwrap_err(), "InvalidAssociationID.NotFound", "the old id is gone");
        assert_eq!(ask(&mut state, &format!("Action=DeleteNetworkAcl&NetworkAclId={sink}")).unwrap_err(), "DependencyViolation");

        swap(&mut state, &new, DEFAULT).unwrap();
        ask(&mut state, &format!("Action=DeleteNetworkAcl&NetworkAclId={sink}")).unwrap();
        assert_eq!(state.view()["network_acls"], before["network_acls"]);
        assert_eq!(state.view()["subnets"][SUBNET]["acl"], before["subnets"][SUBNET]["acl"]);
    }

    #[test]
    fn entries_come_and_go_once() {
        let mut state = world();
        let call = |state: &mut State, action: &str, rest: &str| ask(state, &format!("Action={action}&NetworkAclId={DEFAULT}&{rest}")).map(drop);
        let deny = "RuleNumber=1&Protocol=-1&RuleAction=deny&Egress=false&CidrBlock=0.0.0.0/0";
        call(&mut state, "CreateNetworkAclEntry", deny).unwrap();
        assert_eq!(call(&mut state, "CreateNetworkAclEntry", deny).unwrap_err(), "NetworkAclEntryAlreadyExists");
        call(
            &mut state,
            "ReplaceNetworkAclEntry",
            "RuleNumber=1&Protocol=tcp&RuleAction=allow&Egress=false&CidrBlock=10.0.0.0/8&PortRange.From=1&PortRange.To=2",
        )
        .unwrap();
        assert_eq!(state.acls[DEFAULT].ingress.iter().find(|entry| entry.number == 1).unwrap().port, "1/2");
        call(&mut state, "DeleteNetworkAclEntry", "RuleNumber=1&Egress=false").unwrap();
        assert_eq!(call(&mut state, "DeleteNetworkAclEntry", "RuleNumber=1&Egress=false").unwrap_err(), "InvalidNetworkAclEntry.NotFound");
        for wrong in ["RuleNumber=32767&Egress=false", "RuleNumber=0&Egress=false", "RuleNumber=1&Egress=perhaps"] {
            assert_eq!(call(&mut state, "DeleteNetworkAclEntry", wrong).unwrap_err(), "InvalidParameterValue", "{wrong}");
        }
        assert_eq!(ask(&mut state, &format!("Action=DeleteNetworkAcl&NetworkAclId={DEFAULT}")).unwrap_err(), "InvalidParameterValue");
    }
}
