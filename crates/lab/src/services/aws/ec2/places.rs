//! Where things are: VPCs, subnets, interfaces, zones and regions. Read only.

use std::collections::BTreeMap;

use super::page::Page;
use super::select::{Selection, tag_attribute};
use super::{INTERFACE, SUBNET, VPC, write_tags};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, State, Subnet};

fn subnet_tags(state: &State, subnet: &Subnet) -> BTreeMap<String, String> {
    let mut tags = state.tags_of(&subnet.id);
    tags.insert("Name".to_owned(), subnet.name.clone());
    tags
}

/// `DescribeSubnets`.
pub(super) fn describe_subnets(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "SubnetId", kind: &SUBNET, parameters };
    let subnets = state.subnets.values().filter(|subnet| subnet.cloud == Cloud::Aws);
    let picked = selection.pick(
        subnets,
        |subnet| &subnet.id,
        |subnet, name| {
            let one = |value: &str| Some(vec![value.to_owned()]);
            match name {
                "subnet-id" => one(&subnet.id),
                "vpc-id" => one(&subnet.vpc),
                "cidr-block" | "cidr" | "cidrBlock" => one(&subnet.cidr),
                "availability-zone" | "availabilityZone" => one(&subnet.zone),
                "state" => one("available"),
                "default-for-az" | "defaultForAz" => one("false"),
                "owner-id" => one(&state.accounts.aws),
                _ => tag_attribute(&subnet_tags(state, subnet), name),
            }
        },
    )?;
    let page = Page::cut(parameters, picked, 1000, |subnet| &subnet.id)?;
    answer.items("subnetSet", &page.items, |answer, subnet| {
        answer.text("subnetId", &subnet.id);
        answer.text("subnetArn", format_args!("arn:aws:ec2:{}:{}:subnet/{}", state.here(Cloud::Aws), state.accounts.aws, subnet.id));
        answer.text("state", "available");
        answer.text("ownerId", &state.accounts.aws);
        answer.text("vpcId", &subnet.vpc);
        answer.text("cidrBlock", &subnet.cidr);
        answer.element("ipv6CidrBlockAssociationSet", |_| {});
        answer.text("availableIpAddressCount", 250);
        answer.text("availabilityZone", &subnet.zone);
        answer.text("defaultForAz", false);
        answer.text("mapPublicIpOnLaunch", false);
        write_tags(answer, &subnet_tags(state, subnet));
    });
    page.write_token(answer);
    Ok(())
}

/// `DescribeVpcs`.
pub(super) fn describe_vpcs(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "VpcId", kind: &VPC, parameters };
    let vpcs = state.vpcs.values().filter(|vpc| vpc.cloud == Cloud::Aws);
    let picked = selection.pick(
        vpcs,
        |vpc| &vpc.id,
        |vpc, name| match name {
            "vpc-id" => Some(vec![vpc.id.clone()]),
            "cidr" | "cidr-block-association.cidr-block" => Some(vec![vpc.cidr.clone()]),
            "state" => Some(vec!["available".to_owned()]),
            "isDefault" | "is-default" => Some(vec!["false".to_owned()]),
            "owner-id" => Some(vec![state.accounts.aws.clone()]),
            _ => tag_attribute(&state.tags_of(&vpc.id), name),
        },
    )?;
    let page = Page::cut(parameters, picked, 1000, |vpc| &vpc.id)?;
    answer.items("vpcSet", &page.items, |answer, vpc| {
        answer.text("vpcId", &vpc.id);
        answer.text("ownerId", &state.accounts.aws);
        answer.text("state", "available");
        answer.text("cidrBlock", &vpc.cidr);
        answer.items("cidrBlockAssociationSet", [&vpc.cidr], |answer, cidr| {
            answer.text("cidrBlock", cidr);
            answer.text("associationId", vpc.id.replacen("vpc-", "vpc-cidr-assoc-", 1));
            answer.element("cidrBlockState", |answer| answer.text("state", "associated"));
        });
        answer.text("dhcpOptionsId", "default");
        answer.text("instanceTenancy", "default");
        answer.text("isDefault", false);
        write_tags(answer, &state.tags_of(&vpc.id));
    });
    page.write_token(answer);
    Ok(())
}

/// `DescribeNetworkInterfaces`.
pub(super) fn describe_interfaces(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "NetworkInterfaceId", kind: &INTERFACE, parameters };
    let interfaces = state.interfaces.values().filter(|interface| interface.cloud == Cloud::Aws);
    let status = |attached: bool| if attached { "in-use" } else { "available" };
    let picked = selection.pick(
        interfaces,
        |interface| &interface.id,
        |interface, name| {
            let one = |value: &str| Some(vec![value.to_owned()]);
            match name {
                "network-interface-id" => one(&interface.id),
                "subnet-id" => one(&interface.subnet),
                "vpc-id" => one(state.subnets.get(&interface.subnet).map_or("", |subnet| &subnet.vpc)),
                "status" => one(status(interface.instance.is_some())),
                "attachment.instance-id" => Some(interface.instance.clone().into_iter().collect()),
                "attachment.status" => Some(interface.instance.iter().map(|_| "attached".to_owned()).collect()),
                _ => tag_attribute(&state.tags_of(&interface.id), name),
            }
        },
    )?;
    let page = Page::cut(parameters, picked, 1000, |interface| &interface.id)?;
    answer.items("networkInterfaceSet", &page.items, |answer, interface| {
        let instance = interface.instance.as_ref().and_then(|id| state.instances.get(id));
        let subnet = state.subnets.get(&interface.subnet);
        answer.text("networkInterfaceId", &interface.id);
        answer.text("subnetId", &interface.subnet);
        answer.text("vpcId", subnet.map_or("", |subnet| &subnet.vpc));
        answer.text("availabilityZone", subnet.map_or("", |subnet| &subnet.zone));
        answer.text("ownerId", &state.accounts.aws);
        answer.text("status", status(instance.is_some()));
        answer.text("sourceDestCheck", true);
        let groups = instance.map(|instance| instance.security_groups.as_slice()).unwrap_or_default();
        answer.items("groupSet", groups, |answer, id| {
            answer.text("groupId", id);
            answer.text("groupName", state.security_groups.get(id).map_or("", |group| &group.name));
        });
        if let Some(instance) = instance {
            answer.text("privateIpAddress", instance.private_ip);
            answer.element("attachment", |answer| {
                answer.text("attachmentId", interface.id.replacen("eni-", "eni-attach-", 1));
                answer.text("instanceId", &instance.id);
                answer.text("instanceOwnerId", &state.accounts.aws);
                answer.text("deviceIndex", 0);
                answer.text("status", "attached");
                answer.text("deleteOnTermination", true);
            });
        }
        write_tags(answer, &state.tags_of(&interface.id));
        answer.text("interfaceType", "interface");
    });
    page.write_token(answer);
    Ok(())
}

/// `DescribeAvailabilityZones`: those that subnets are in.
pub(super) fn describe_zones(state: &mut State, _parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let zones: std::collections::BTreeSet<&str> =
        state.subnets.values().filter(|subnet| subnet.cloud == Cloud::Aws).map(|subnet| subnet.zone.as_str()).collect();
    let region = state.here(Cloud::Aws);
    answer.items("availabilityZoneInfo", zones, |answer, zone| {
        answer.text("zoneName", zone);
        answer.text("zoneState", "available");
        answer.text("regionName", region);
        answer.text("zoneType", "availability-zone");
        answer.text("optInStatus", "opt-in-not-required");
    });
    Ok(())
}

/// `DescribeRegions`: those of the world.
pub(super) fn describe_regions(state: &mut State, _parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    answer.items("regionInfo", &state.regions.aws, |answer, region| {
        answer.text("regionName", region);
        answer.text("regionEndpoint", format_args!("ec2.{region}.amazonaws.com"));
        answer.text("optInStatus", "opt-in-not-required");
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};

    #[test]
    fn places_are_aws_own_and_can_be_filtered() {
        let mut state = world();
        let mut count = |call: &str, list: &str| ask(&mut state, &format!("Action={call}")).map(|answer| answer.child(list).unwrap().children.len());
        assert_eq!(count("DescribeVpcs", "vpcSet"), Ok(1));
        assert_eq!(count("DescribeSubnets", "subnetSet"), Ok(3));
        assert_eq!(count("DescribeSubnets&Filter.1.Name=tag:Name&Filter.1.Value.1=app-*", "subnetSet"), Ok(2));
        assert_eq!(count("DescribeNetworkInterfaces&Filter.1.Name=status&Filter.1.Value.1=available", "networkInterfaceSet"), Ok(1));
        assert_eq!(count("DescribeAvailabilityZones", "availabilityZoneInfo"), Ok(2));
        assert_eq!(count("DescribeRegions", "regionInfo"), Ok(1));
        assert_eq!(count("DescribeSubnets&SubnetId.1=vsw-bp1lifeboat0app000001", "subnetSet"), Err("InvalidSubnetID.Malformed".into()));
    }
}
