//! Route tables: describing them, and creating, replacing and deleting routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::select::{Selection, tag_attribute};
use super::{INTERFACE, ROUTE_TABLE, commit, instances, write_tags};
use crate::wire::aws_answer::ApiError;
use crate::wire::aws_query::Parameters;
use crate::wire::xml::Answer;
use crate::world::state::{Cloud, Route, RouteTable, RouteTarget, State};

/// The parameters that can name a route's target; exactly one must be there.
const TARGETS: [&str; 11] = [
    "GatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "NatGatewayId",
    "TransitGatewayId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "VpcEndpointId",
    "CoreNetworkArn",
];

fn get<'a>(state: &'a State, parameters: &Parameters) -> Result<&'a RouteTable, ApiError> {
    let id = parameters.required("RouteTableId")?;
    ROUTE_TABLE.found(id, state.route_tables.get(id).filter(|table| table.cloud == Cloud::Aws))
}

/// The associations of a table: id, and the subnet unless it is the VPC's main one.
fn associations(state: &State, table: &RouteTable) -> Vec<(String, Option<String>)> {
    let id = |of: &str| format!("rtbassoc-{}", of.rsplit('-').next().unwrap_or_default());
    let main = table.main.then(|| (id(&table.id), None));
    let subnets = state.subnets.values().filter(|subnet| subnet.route_table.as_deref() == Some(table.id.as_str()));
    main.into_iter().chain(subnets.map(|subnet| (id(&subnet.id), Some(subnet.id.clone())))).collect()
}

/// The instance and the interface that a route shows: both whenever the interface is attached.
fn hops<'a>(state: &'a State, route: &'a Route) -> (Option<&'a str>, Option<&'a str>) {
    match &route.target {
        RouteTarget::Interface(id) => (state.interfaces.get(id).and_then(|interface| interface.instance.as_deref()), Some(id)),
        RouteTarget::Instance(id) => {
            (Some(id), state.interfaces.values().find(|interface| interface.instance.as_ref() == Some(id)).map(|interface| interface.id.as_str()))
        }
        RouteTarget::Local | RouteTarget::Gateway(_) | RouteTarget::Peering(_) => (None, None),
    }
}

fn attribute(state: &State, table: &RouteTable, name: &str) -> Option<Vec<String>> {
    let routes = |value: &dyn Fn(&Route) -> Option<String>| Some(table.routes.iter().filter_map(value).collect());
    match name {
        "route-table-id" | "association.route-table-id" => Some(vec![table.id.clone()]),
        "vpc-id" => Some(vec![table.vpc.clone()]),
        "owner-id" => Some(vec![state.accounts.aws.clone()]),
        "association.main" => Some(vec![table.main.to_string()]),
        "association.subnet-id" => Some(associations(state, table).into_iter().filter_map(|(_, subnet)| subnet).collect()),
        "association.route-table-association-id" => Some(associations(state, table).into_iter().map(|(id, _)| id).collect()),
        "route.destination-cidr-block" => routes(&|route| Some(route.destination.clone()).filter(|block| !block.contains(':'))),
        "route.destination-ipv6-cidr-block" => routes(&|route| Some(route.destination.clone()).filter(|block| block.contains(':'))),
        "route.state" => routes(&|route| Some(state.route_state(route).as_str().to_owned())),
        "route.origin" => routes(&|route| Some(route.origin.clone())),
        "route.instance-id" => routes(&|route| hops(state, route).0.map(str::to_owned)),
        "route.network-interface-id" => routes(&|route| hops(state, route).1.map(str::to_owned)),
        "route.gateway-id" => routes(&|route| match &route.target {
            RouteTarget::Local => Some("local".to_owned()),
            RouteTarget::Gateway(id) => Some(id.clone()),
            _ => None,
        }),
        "route.vpc-peering-connection-id" => routes(&|route| match &route.target {
            RouteTarget::Peering(id) => Some(id.clone()),
            _ => None,
        }),
        _ => tag_attribute(&state.tags_of(&table.id), name),
    }
}

/// `DescribeRouteTables`.
pub(super) fn describe(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let state = &*state;
    let selection = Selection { ids: "RouteTableId", kind: &ROUTE_TABLE, parameters };
    let tables = state.route_tables.values().filter(|table| table.cloud == Cloud::Aws);
    let picked = selection.pick(tables, |table| &table.id, |table, name| attribute(state, table, name))?;
    let page = super::page::Page::cut(parameters, picked, 1000, |table| &table.id)?;
    answer.items("routeTableSet", &page.items, |answer, table| {
        answer.text("routeTableId", &table.id);
        answer.text("vpcId", &table.vpc);
        answer.text("ownerId", &state.accounts.aws);
        answer.items("routeSet", &table.routes, |answer, route| write_route(answer, state, route));
        answer.items("associationSet", associations(state, table), |answer, (id, subnet)| {
            answer.text("routeTableAssociationId", id);
            answer.text("routeTableId", &table.id);
            if let Some(subnet) = &subnet {
                answer.text("subnetId", subnet);
            }
            answer.text("main", subnet.is_none());
            answer.element("associationState", |answer| answer.text("state", "associated"));
        });
        answer.element("propagatingVgwSet", |_| {});
        write_tags(answer, &state.tags_of(&table.id));
    });
    page.write_token(answer);
    Ok(())
}

fn write_route(answer: &mut Answer, state: &State, route: &Route) {
    let block = if route.destination.contains(':') { "destinationIpv6CidrBlock" } else { "destinationCidrBlock" };
    answer.text(block, &route.destination);
    match &route.target {
        RouteTarget::Local => answer.text("gatewayId", "local"),
        RouteTarget::Gateway(id) => answer.text("gatewayId", id),
        RouteTarget::Peering(id) => answer.text("vpcPeeringConnectionId", id),
        RouteTarget::Interface(_) | RouteTarget::Instance(_) => {
            let (instance, interface) = hops(state, route);
            if let Some(instance) = instance {
                answer.text("instanceId", instance);
                answer.text("instanceOwnerId", &state.accounts.aws);
            }
            if let Some(interface) = interface {
                answer.text("networkInterfaceId", interface);
            }
        }
    }
    answer.text("state", state.route_state(route).as_str());
    answer.text("origin", &route.origin);
}

/// The block a route is for, host bits cleared and IPv6 spelled as EC2 does.
fn destination(parameters: &Parameters) -> Result<String, ApiError> {
    if parameters.get("DestinationPrefixListId").is_some() {
        return Err(ApiError::new(
            "InvalidParameterValue",
            "The lab has no prefix lists; give a DestinationCidrBlock or a DestinationIpv6CidrBlock.",
        ));
    }
    match parameters.get("DestinationIpv6CidrBlock") {
        Some(text) => cidr6(text),
        None => cidr(parameters.required("DestinationCidrBlock")?, "destinationCidrBlock"),
    }
}

/// An IPv6 block with its host bits cleared, as RFC 5952 spells it.
fn cidr6(text: &str) -> Result<String, ApiError> {
    let wrong = || {
        ApiError::new(
            "InvalidParameterValue",
            format!("Value ({text}) for parameter destinationIpv6CidrBlock is invalid. This is not a valid IPv6 CIDR block."),
        )
    };
    let (network, length) = text.split_once('/').ok_or_else(wrong)?;
    let network: Ipv6Addr = network.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 128).ok_or_else(wrong)?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    Ok(format!("{}/{length}", Ipv6Addr::from(u128::from(network) & mask)))
}

/// An IPv4 block with its host bits cleared.
///
/// # Errors
/// `InvalidParameterValue` naming the parameter.
pub(super) fn cidr(text: &str, parameter: &str) -> Result<String, ApiError> {
    let wrong =
        || ApiError::new("InvalidParameterValue", format!("Value ({text}) for parameter {parameter} is invalid. This is not a valid CIDR block."));
    let (network, length) = text.split_once('/').ok_or_else(wrong)?;
    let network: Ipv4Addr = network.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 32).ok_or_else(wrong)?;
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    Ok(format!("{}/{length}", Ipv4Addr::from(u32::from(network) & mask)))
}

/// The one target that a call names. An instance stands for its interface, as at EC2.
fn target(state: &State, parameters: &Parameters) -> Result<RouteTarget, ApiError> {
    let given: Vec<(&str, &str)> = TARGETS.iter().filter_map(|name| parameters.get(name).map(|id| (*name, id))).collect();
    let local = parameters.flag("LocalTarget")?;
    match given[..] {
        [] if local => Ok(RouteTarget::Local),
        [] => Err(ApiError::new("MissingParameter", format!("The request must contain exactly one of {}", TARGETS.join(", ")))),
        [("GatewayId", "local")] if !local => Ok(RouteTarget::Local),
        [("GatewayId", id)] if !local => {
            if !["igw-", "vgw-"].iter().any(|prefix| id.starts_with(prefix)) {
                return Err(ApiError::new("InvalidGatewayID.NotFound", format!("The gateway ID '{id}' does not exist")));
            }
            Ok(RouteTarget::Gateway(id.to_owned()))
        }
        [("NetworkInterfaceId", id)] if !local => {
            let interface = INTERFACE.found(id, state.interfaces.get(id).filter(|interface| interface.cloud == Cloud::Aws))?;
            Ok(RouteTarget::Interface(interface.id.clone()))
        }
        [("InstanceId", id)] if !local => {
            let instance = instances::get(state, id)?;
            let mut interfaces = state.interfaces.values().filter(|interface| interface.instance.as_deref() == Some(id));
            match (interfaces.next(), interfaces.next()) {
                (Some(only), None) => Ok(RouteTarget::Interface(only.id.clone())),
                (None, _) => Ok(RouteTarget::Instance(instance.id.clone())),
                (Some(_), Some(_)) => Err(ApiError::new(
                    "InvalidInstanceID",
                    format!("There are multiple interfaces attached to instance '{id}'. Please specify an interface ID for the operation instead."),
                )),
            }
        }
        [("VpcPeeringConnectionId", id)] if !local => Ok(RouteTarget::Peering(id.to_owned())),
        [(name, _)] if !local => Err(ApiError::new("InvalidParameterValue", format!("The lab has no route targets of the kind {name}."))),
        _ => Err(ApiError::new("InvalidParameterCombination", "The request must contain exactly one route target.")),
    }
}

fn position(table: &RouteTable, destination: &str) -> Option<usize> {
    table.routes.iter().position(|route| route.destination == destination)
}

/// `CreateRoute`.
pub(super) fn create(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let table = get(state, parameters)?;
    let id = table.id.clone();
    let destination = destination(parameters)?;
    if position(table, &destination).is_some() {
        return Err(ApiError::new("RouteAlreadyExists", format!("The route identified by {destination} already exists.")));
    }
    let target = target(state, parameters)?;
    commit(parameters)?;
    if let Some(table) = state.route_tables.get_mut(&id) {
        table.routes.push(Route { entry: String::new(), destination, target, origin: "CreateRoute".into() });
    }
    state.apply_routes(&id);
    answer.text("return", true);
    Ok(())
}

/// `ReplaceRoute`.
pub(super) fn replace(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let table = get(state, parameters)?;
    let id = table.id.clone();
    let destination = destination(parameters)?;
    let index = position(table, &destination).ok_or_else(|| {
        ApiError::new("InvalidParameterValue", format!("There is no route defined for '{destination}' in the route table. Use CreateRoute instead."))
    })?;
    let target = target(state, parameters)?;
    if table.routes[index].target == RouteTarget::Local && target != RouteTarget::Local {
        return Err(ApiError::new("InvalidParameterValue", format!("The local route {destination} cannot be replaced in the lab.")));
    }
    commit(parameters)?;
    if let Some(route) = state.route_tables.get_mut(&id).and_then(|table| table.routes.get_mut(index)) {
        route.target = target;
    }
    state.apply_routes(&id);
    answer.text("return", true);
    Ok(())
}

/// `DeleteRoute`.
pub(super) fn delete(state: &mut State, parameters: &Parameters, answer: &mut Answer) -> Result<(), ApiError> {
    let table = get(state, parameters)?;
    let id = table.id.clone();
    let destination = destination(parameters)?;
    let index = position(table, &destination)
        .ok_or_else(|| ApiError::new("InvalidRoute.NotFound", format!("no route with destination-cidr-block {destination} in route table {id}")))?;
    if table.routes[index].target == RouteTarget::Local {
        return Err(ApiError::new("InvalidParameterValue", format!("cannot remove local route {destination} in route table {id}")));
    }
    commit(parameters)?;
    if let Some(table) = state.route_tables.get_mut(&id) {
        table.routes.remove(index);
    }
    state.apply_routes(&id);
    answer.text("return", true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, world};
    use super::*;

    const TABLE: &str = "rtb-0a11febe0a7b00002";
    const GATEWAY: &str = "eni-0a11febe0a7000db0";
    const SPARE: &str = "eni-0a11febe0a75ba4e0";

    fn call(state: &mut State, action: &str, rest: &str) -> Result<(), String> {
        ask(state, &format!("Action={action}&RouteTableId={TABLE}&{rest}")).map(drop)
    }

    /// Interface and state of the route to the database.
    fn database_route(state: &mut State) -> Option<(String, String)> {
        let answer = ask(state, &format!("Action=DescribeRouteTables&RouteTableId.1={TABLE}")).unwrap();
        let routes = answer.child("routeTableSet").unwrap().children[0].child("routeSet").unwrap();
        let route = routes.children.iter().find(|route| route.text_of("destinationCidrBlock") == Some("10.20.0.0/16"))?;
        Some((route.text_of("networkInterfaceId").unwrap().to_owned(), route.text_of("state").unwrap().to_owned()))
    }

    #[test]
    fn a_route_to_an_unattached_interface_is_a_blackhole() {
        let mut state = world();
        let before = state.view();
        assert_eq!(database_route(&mut state), Some((GATEWAY.into(), "active".into())));
        call(&mut state, "ReplaceRoute", &format!("DestinationCidrBlock=10.20.0.0/16&NetworkInterfaceId={SPARE}")).unwrap();
        assert_eq!(database_route(&mut state), Some((SPARE.into(), "blackhole".into())));
        // An instance means its interface, so undoing by either gives what was there.
        call(&mut state, "ReplaceRoute", "DestinationCidrBlock=10.20.0.0/16&InstanceId=i-0a11febe0a7da0001").unwrap();
        assert_eq!(database_route(&mut state), Some((GATEWAY.into(), "active".into())));
        assert_eq!(state.view()["route_tables"], before["route_tables"]);
    }

    #[test]
    fn deleting_and_creating_again_gives_what_was_there() {
        let mut state = world();
        let before = state.view();
        call(&mut state, "DeleteRoute", "DestinationCidrBlock=10.20.0.0/16").unwrap();
        assert_eq!(database_route(&mut state), None);
        assert_eq!(call(&mut state, "DeleteRoute", "DestinationCidrBlock=10.20.0.0/16").unwrap_err(), "InvalidRoute.NotFound");
        let create = format!("DestinationCidrBlock=10.20.0.9/16&NetworkInterfaceId={GATEWAY}");
        call(&mut state, "CreateRoute", &create).unwrap();
        assert_eq!(call(&mut state, "CreateRoute", &create).unwrap_err(), "RouteAlreadyExists");
        assert_eq!(state.view()["route_tables"], before["route_tables"]);
    }

    #[test]
    fn wrong_routes_are_refused() {
        let mut state = world();
        for (action, rest, code) in [
            ("ReplaceRoute", "DestinationCidrBlock=10.99.0.0/16&NetworkInterfaceId=eni-0a11febe0a75ba4e0", "InvalidParameterValue"),
            ("ReplaceRoute", "DestinationCidrBlock=10.20.0.0/16&NetworkInterfaceId=eni-0123456789abcdef0", "InvalidNetworkInterfaceID.NotFound"),
            ("ReplaceRoute", "DestinationCidrBlock=10.20.0.0/16", "MissingParameter"),
            ("ReplaceRoute", "DestinationCidrBlock=10.20.0.0/16&GatewayId=igw-1&InstanceId=i-0a11febe0a7da0001", "InvalidParameterCombination"),
            ("ReplaceRoute", "DestinationCidrBlock=10.20.0.0/33&GatewayId=igw-1", "InvalidParameterValue"),
            ("CreateRoute", "DestinationCidrBlock=nonsense&GatewayId=igw-1", "InvalidParameterValue"),
            ("DeleteRoute", "DestinationCidrBlock=10.10.0.0/16", "InvalidParameterValue"),
        ] {
            assert_eq!(call(&mut state, action, rest).unwrap_err(), code, "{action} {rest}");
        }
        assert_eq!(
            ask(&mut state, "Action=DeleteRoute&RouteTableId=rtb-0123456789abcdef0&DestinationCidrBlock=10.20.0.0/16").unwrap_err(),
            "InvalidRouteTableID.NotFound"
        );
    }

    #[test]
    fn tables_are_found_by_their_subnet_and_by_their_blackholes() {
        let mut state = world();
        let mut found = |filter: &str| {
            let answer = ask(&mut state, &format!("Action=DescribeRouteTables&{filter}")).unwrap();
            answer.child("routeTableSet").unwrap().children.iter().map(|table| table.text_of("routeTableId").unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found("Filter.1.Name=association.subnet-id&Filter.1.Value.1=subnet-0a11febe0a7c00001"), [TABLE]);
        assert_eq!(found("Filter.1.Name=association.main&Filter.1.Value.1=true"), ["rtb-0a11febe0a7b00000"]);
        assert_eq!(found("Filter.1.Name=route.state&Filter.1.Value.1=blackhole"), [""; 0]);
    }
}
