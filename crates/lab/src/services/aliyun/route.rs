//! Between the route calls of VPC and the world's route tables. A table takes one change at a time; an entry gets a new id at every creation.

use serde_json::{Value, json};

use super::ecs::continued;
use super::vpc::router;
use crate::wire::aliyun_rpc::{ApiError, Call, invalid, missing};
use crate::world::state::{Cloud, Route, RouteTable, RouteTarget, State};

fn find<'a>(state: &'a State, id: &str) -> Result<&'a RouteTable, ApiError> {
    let table = state.route_tables.get(id).filter(|table| table.cloud == Cloud::Aliyun);
    table.ok_or_else(|| ApiError::new(404, "InvalidRouteTableId.NotFound", "The specified route table does not exist."))
}

pub(super) fn describe_tables(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let page = call.page(10, 50)?;
    let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted == value);
    let all: Vec<Value> = state
        .route_tables
        .values()
        .filter(|table| table.cloud == Cloud::Aliyun && is("VpcId", &table.vpc) && is("RouteTableId", &table.id))
        .map(|table| {
            let uses = |vswitch: &&String| state.route_table_of(vswitch).is_some_and(|other| other.id == table.id);
            let vswitches: Vec<&String> = state.subnets.keys().filter(uses).collect();
            json!({
                "RouteTableId": table.id,
                "RouteTableName": "",
                "RouteTableType": if table.main { "System" } else { "Custom" },
                "RouterId": router(&table.vpc),
                "RouterType": "VRouter",
                "VpcId": table.vpc,
                "VSwitchIds": { "VSwitchId": vswitches },
                "Status": "Available",
                "AssociateType": "VSwitch",
                "Description": "",
            })
        })
        .collect();
    Ok(json!({
        "TotalCount": all.len(),
        "PageNumber": page.number,
        "PageSize": page.size,
        "RouterTableList": { "RouterTableListType": page.cut(all) },
    }))
}

pub(super) fn describe_entries(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let table = find(state, call.need("RouteTableId")?)?;
    let most = call.number("MaxResult", 1..=100)?.unwrap_or(50);
    let is = |name: &str, value: &str| call.text(name).is_none_or(|wanted| wanted == value);
    let all: Vec<Value> = table
        .routes
        .iter()
        .filter(|route| is("RouteEntryType", &route.origin) && is("DestinationCidrBlock", &route.destination) && is("RouteEntryId", &route.entry))
        .filter(|route| is("NextHopId", hop(&route.target).1) && is("NextHopType", hop(&route.target).0))
        .map(|route| shown(table, route))
        .collect();
    let total = all.len();
    let (entries, next) = continued(call, all, most)?;
    Ok(json!({ "TotalCount": total, "NextToken": next, "RouteEntrys": { "RouteEntry": entries } }))
}

fn shown(table: &RouteTable, route: &Route) -> Value {
    let (hop_type, hop_id) = hop(&route.target);
    let applied = table.effective_routes.iter().find(|other| other.entry == route.entry);
    let status = match applied {
        None => "Pending",
        Some(applied) if applied == route => "Available",
        Some(_) => "Modifying",
    };
    json!({
        "RouteEntryId": route.entry,
        "RouteEntryName": "",
        "RouteTableId": table.id,
        "DestinationCidrBlock": route.destination,
        "Type": route.origin,
        "Status": status,
        "IpVersion": if route.destination.contains(':') { "ipv6" } else { "ipv4" },
        "Description": "",
        "NextHops": { "NextHop": [{
            "NextHopId": hop_id,
            "NextHopType": hop_type,
            "Enabled": 1,
            "Weight": 0,
            "NextHopRegionId": "",
            "NextHopRelatedInfo": { "RegionId": "", "InstanceType": "", "InstanceId": "" },
        }] },
    })
}

/// NextHopType and NextHopId of a target.
fn hop(target: &RouteTarget) -> (&'static str, &str) {
    match target {
        RouteTarget::Local => ("local", ""),
        RouteTarget::Instance(id) => ("Instance", id),
        RouteTarget::Interface(id) => ("NetworkInterface", id),
        RouteTarget::Peering(id) => ("VpcPeer", id),
        RouteTarget::Gateway(id) if id.starts_with("vpn-") => ("VpnGateway", id),
        RouteTarget::Gateway(id) if id.starts_with("ngw-") => ("NatGateway", id),
        RouteTarget::Gateway(id) => ("Ipv4Gateway", id),
    }
}

/// The target of a NextHopType and NextHopId; machines and interfaces must exist.
fn target(state: &State, kind: &str, id: &str) -> Result<RouteTarget, ApiError> {
    let not_found = || ApiError::new(404, "InvalidNextHopId.NotFound", "The specified next hop does not exist.");
    let owned = id.to_owned();
    match kind {
        "Instance" if state.instances.get(id).is_none_or(|instance| instance.cloud != Cloud::Aliyun) => Err(not_found()),
        "Instance" => Ok(RouteTarget::Instance(owned)),
        "NetworkInterface" if state.interfaces.get(id).is_none_or(|interface| interface.cloud != Cloud::Aliyun) => Err(not_found()),
        "NetworkInterface" => Ok(RouteTarget::Interface(owned)),
        "VpcPeer" | "RouterInterface" => Ok(RouteTarget::Peering(owned)),
        "VpnGateway" if id.starts_with("vpn-") => Ok(RouteTarget::Gateway(owned)),
        "NatGateway" if id.starts_with("ngw-") => Ok(RouteTarget::Gateway(owned)),
        "Ipv4Gateway" => Ok(RouteTarget::Gateway(owned)),
        "VpnGateway" | "NatGateway" => Err(not_found()),
        _ => Err(invalid("NextHopType")),
    }
}

/// Refuses while packets do not yet follow an earlier change of the table.
fn idle(table: &RouteTable) -> Result<(), ApiError> {
    if table.routes == table.effective_routes {
        return Ok(());
    }
    Err(ApiError::new(400, "TaskConflict", "The operation is too frequent, please wait a moment and try again."))
}

pub(super) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let table = find(state, call.need("RouteTableId")?)?;
    let destination = call.need("DestinationCidrBlock")?;
    if !is_cidr(destination) {
        return Err(ApiError::new(400, "InvalidCidrBlock.Malformed", "Specified CIDR block is not valid."));
    }
    let hops = call.structs("NextHopList");
    let (kind, id) = match hops.as_slice() {
        [] => (call.text("NextHopType").unwrap_or("Instance"), call.need("NextHopId")?),
        [one] => {
            (one.get("NextHopType").copied().unwrap_or("Instance"), one.get("NextHopId").copied().ok_or_else(|| missing("NextHopList.1.NextHopId"))?)
        }
        _ => return Err(ApiError::new(400, "InvalidNextHopList.Size", "Routes with several next hops are not supported here.")),
    };
    let target = target(state, kind, id)?;
    if table.routes.iter().any(|route| route.destination == destination) {
        return Err(ApiError::new(400, "RouterEntryConflict.Duplicated", "The specified route entry already exists."));
    }
    idle(table)?;
    call.dry_run()?;
    let table = table.id.clone();
    let entry = state.fresh_id("rte-bp1");
    let route = Route { entry: entry.clone(), destination: destination.to_owned(), target, origin: "Custom".to_owned() };
    if let Some(table) = state.route_tables.get_mut(&table) {
        table.routes.push(route);
    }
    state.apply_routes(&table);
    Ok(json!({ "RouteEntryId": entry }))
}

/// The custom entry a call is about, by `RouteEntryId` or by table and destination: its table's id and its place there.
fn chosen(state: &State, call: &Call) -> Result<(String, usize), ApiError> {
    let not_found = || ApiError::new(404, "InvalidRouteEntry.NotFound", "The specified route entry does not exist.");
    let (table, place) = if let Some(entry) = call.text("RouteEntryId") {
        let tables = state.route_tables.values().filter(|table| table.cloud == Cloud::Aliyun);
        let mut places = tables.filter_map(|table| table.routes.iter().position(|route| route.entry == entry).map(|place| (table, place)));
        places.next().ok_or_else(not_found)?
    } else {
        let table = find(state, call.need("RouteTableId")?)?;
        let destination = call.need("DestinationCidrBlock")?;
        let fits = |route: &Route| route.destination == destination && call.text("NextHopId").is_none_or(|id| id == hop(&route.target).1);
        (table, table.routes.iter().position(fits).ok_or_else(not_found)?)
    };
    if table.routes[place].origin != "Custom" {
        return Err(ApiError::new(400, "OperationDenied", "Specified operation is denied as route entry type is system."));
    }
    idle(table)?;
    Ok((table.id.clone(), place))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (table, place) = chosen(state, call)?;
    call.dry_run()?;
    if let Some(table) = state.route_tables.get_mut(&table) {
        table.routes.remove(place);
    }
    state.apply_routes(&table);
    Ok(json!({}))
}

pub(super) fn modify(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let (table, place) = chosen(state, call)?;
    let target = match call.text("NewNextHopId") {
        Some(id) => Some(target(state, call.need("NewNextHopType")?, id)?),
        None => None,
    };
    call.dry_run()?;
    // Without a new hop the call renames the entry, which this world has no name for.
    let Some(target) = target else { return Ok(json!({})) };
    if let Some(table) = state.route_tables.get_mut(&table) {
        table.routes[place].target = target;
    }
    state.apply_routes(&table);
    Ok(json!({}))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    match (address.parse::<std::net::IpAddr>(), bits.parse::<u8>()) {
        (Ok(address), Ok(bits)) => bits <= if address.is_ipv4() { 32 } else { 128 },
        _ => false,
    }
}
