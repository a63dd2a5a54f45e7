//! Between VPC calls and the world's networks; ACLs are in [`acl`](super::acl), routes in [`route`](super::route).

use serde_json::{Value, json};

use super::{Action, acl, changes, reads, route, tags};
use crate::wire::aliyun_rpc::{ApiError, Call};
use crate::world::state::{Cloud, RouteTable, State, Subnet, Vpc};

pub(super) const ACTIONS: &[Action] = &[
    reads("DescribeVpcs", describe_vpcs),
    reads("DescribeVSwitches", describe_vswitches),
    reads("DescribeVSwitchAttributes", describe_vswitch_attributes).anywhere(),
    changes("CreateNetworkAcl", acl::create),
    changes("UpdateNetworkAclEntries", acl::update_entries),
    changes("AssociateNetworkAcl", acl::associate),
    changes("UnassociateNetworkAcl", acl::unassociate),
    reads("DescribeNetworkAcls", acl::describe),
    reads("DescribeNetworkAclAttributes", acl::describe_attributes),
    changes("DeleteNetworkAcl", acl::delete),
    reads("DescribeRouteTableList", route::describe_tables),
    reads("DescribeRouteEntryList", route::describe_entries),
    changes("CreateRouteEntry", route::create),
    changes("DeleteRouteEntry", route::delete),
    changes("ModifyRouteEntry", route::modify),
    changes("TagResources", |state, call| tags::tag(state, call, tags::OF_VPC)),
    // With this product's own capital.
    changes("UnTagResources", |state, call| tags::untag(state, call, tags::OF_VPC)),
    reads("ListTagResources", |state, call| tags::list(state, call, tags::OF_VPC)),
];

/// The VPC of this cloud with this id.
pub(super) fn find<'a>(state: &'a State, id: &str) -> Result<&'a Vpc, ApiError> {
    let vpc = state.vpcs.get(id).filter(|vpc| vpc.cloud == Cloud::Aliyun);
    vpc.ok_or_else(|| ApiError::new(404, "InvalidVpcId.NotFound", "The specified vpc does not exist."))
}

fn vswitches(state: &State) -> impl Iterator<Item = &Subnet> {
    state.subnets.values().filter(|subnet| subnet.cloud == Cloud::Aliyun)
}

/// Whether a comma-separated parameter names `value`, or is not there.
fn names(call: &Call, name: &str, value: &str) -> bool {
    call.text(name).is_none_or(|list| list.split(',').any(|one| one == value))
}

fn describe_vpcs(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let page = call.page(10, 50)?;
    let tables = |vpc: &Vpc| -> Vec<&String> { state.route_tables.values().filter(|table| table.vpc == vpc.id).map(|table| &table.id).collect() };
    let all: Vec<Value> = state
        .vpcs
        .values()
        .filter(|vpc| vpc.cloud == Cloud::Aliyun && names(call, "VpcId", &vpc.id))
        .map(|vpc| {
            let vswitches: Vec<&String> = vswitches(state).filter(|vswitch| vswitch.vpc == vpc.id).map(|vswitch| &vswitch.id).collect();
            json!({
                "VpcId": vpc.id,
                "VpcName": "",
                "CidrBlock": vpc.cidr,
                "RegionId": state.here(Cloud::Aliyun),
                "Status": "Available",
                "IsDefault": false,
                "VRouterId": router(&vpc.id),
                "VSwitchIds": { "VSwitchId": vswitches },
                "RouterTableIds": { "RouterTableIds": tables(vpc) },
                "Description": "",
            })
        })
        .collect();
    Ok(json!({ "TotalCount": all.len(), "PageNumber": page.number, "PageSize": page.size, "Vpcs": { "Vpc": page.cut(all) } }))
}

/// Every VPC has one router, named here after the VPC.
pub(super) fn router(vpc: &str) -> String {
    vpc.replacen("vpc-", "vrt-", 1)
}

fn describe_vswitches(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let page = call.page(10, 50)?;
    let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted == value);
    let all: Vec<Value> = vswitches(state)
        .filter(|vswitch| is("VpcId", &vswitch.vpc) && names(call, "VSwitchId", &vswitch.id) && is("ZoneId", &vswitch.zone))
        .filter(|vswitch| is("VSwitchName", &vswitch.name))
        .map(|vswitch| shown(state, vswitch))
        .collect();
    Ok(json!({ "TotalCount": all.len(), "PageNumber": page.number, "PageSize": page.size, "VSwitches": { "VSwitch": page.cut(all) } }))
}

fn describe_vswitch_attributes(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let id = call.need("VSwitchId")?;
    let not_found = || ApiError::new(404, "InvalidVSwitchId.NotFound", "The specified vswitch does not exist.");
    let vswitch = vswitches(state).find(|vswitch| vswitch.id == id).ok_or_else(not_found)?;
    Ok(shown(state, vswitch))
}

fn shown(state: &State, vswitch: &Subnet) -> Value {
    let kind = |table: &RouteTable| if table.main { "System" } else { "Custom" };
    let table = state.route_table_of(&vswitch.id).map(|table| json!({ "RouteTableId": table.id, "RouteTableType": kind(table) }));
    json!({
        "VSwitchId": vswitch.id,
        "VSwitchName": vswitch.name,
        "VpcId": vswitch.vpc,
        "CidrBlock": vswitch.cidr,
        "Ipv6CidrBlock": vswitch.ipv6.as_deref().unwrap_or_default(),
        "ZoneId": vswitch.zone,
        "Status": "Available",
        "NetworkAclId": vswitch.acl.as_deref().unwrap_or_default(),
        "RouteTable": table,
        "AvailableIpAddressCount": 250,
        "IsDefault": false,
        "Description": "",
    })
}
