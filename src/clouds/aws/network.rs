//! Routes of VPC route tables, and the interfaces they lead to.

use aws_sdk_ec2::types::AttachmentStatus;
use serde::{Deserialize, Serialize};

use super::Aws;
use super::call::send;
use crate::model::destination::Destination;
use crate::ports::{Cloud, CloudError, Kind};

const TABLES: &str = "ec2:DescribeRouteTables";
const CREATE: &str = "ec2:CreateRoute";
const REPLACE: &str = "ec2:ReplaceRoute";
const DELETE: &str = "ec2:DeleteRoute";
const INTERFACES: &str = "ec2:DescribeNetworkInterfaces";

/// One route: what it takes to put it back, and whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// IPv4 or IPv6 block, or a prefix list (`pl-…`), in its one form.
    pub destination: String,
    /// Where it leads.
    pub target: RouteTarget,
    /// Whether the target can take traffic.
    pub state: RouteState,
    /// Who made it: `CreateRoute` (a person or program; the only kind that can be deleted), `CreateRouteTable` (local) or a propagation.
    pub origin: String,
    /// The instance behind the interface, where there is one: EC2 keeps a route to an instance as one to its interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Route {
    /// Whether it leads there, in whichever of its forms the target is written.
    #[must_use]
    pub fn leads_to(&self, target: &RouteTarget) -> bool {
        self.target == *target || matches!(target, RouteTarget::Instance(id) if self.instance.as_ref() == Some(id))
    }

    /// Where it leads: as `target` says it, where that is the same.
    #[must_use]
    pub fn as_led_to(self, target: &RouteTarget) -> RouteTarget {
        if self.leads_to(target) { target.clone() } else { self.target }
    }
}

/// Whether a route's target can take traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteState {
    /// It can.
    Active,
    /// It cannot: the interface is attached to nothing, the gateway is gone.
    Blackhole,
    /// A word this version does not know.
    Other,
}

/// Everything that a route can lead to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "id")]
pub enum RouteTarget {
    /// Inside the VPC.
    Local,
    /// Internet or virtual private gateway.
    Gateway(String),
    /// Gateway Load Balancer endpoint.
    VpcEndpoint(String),
    /// NAT gateway.
    NatGateway(String),
    /// Network interface.
    NetworkInterface(String),
    /// Instance; AWS keeps it as its only interface.
    Instance(String),
    /// Transit gateway.
    TransitGateway(String),
    /// VPC peering connection.
    VpcPeeringConnection(String),
    /// Egress-only internet gateway, IPv6.
    EgressOnlyInternetGateway(String),
    /// Outpost local gateway.
    LocalGateway(String),
    /// Wavelength carrier gateway.
    CarrierGateway(String),
    /// Cloud WAN core network, by ARN.
    CoreNetwork(String),
    /// Oracle Database@AWS network, by ARN.
    OdbNetwork(String),
}

impl RouteTarget {
    /// What the vendor's route says. An instance target comes with its interface, which is the more exact of the two.
    fn of(route: &aws_sdk_ec2::types::Route) -> Option<Self> {
        let some = |id: Option<&str>, wrap: fn(String) -> Self| id.map(|id| wrap(id.to_owned()));
        some(route.gateway_id(), Self::gateway)
            .or_else(|| some(route.network_interface_id(), Self::NetworkInterface))
            .or_else(|| some(route.instance_id(), Self::Instance))
            .or_else(|| some(route.nat_gateway_id(), Self::NatGateway))
            .or_else(|| some(route.transit_gateway_id(), Self::TransitGateway))
            .or_else(|| some(route.vpc_peering_connection_id(), Self::VpcPeeringConnection))
            .or_else(|| some(route.egress_only_internet_gateway_id(), Self::EgressOnlyInternetGateway))
            .or_else(|| some(route.local_gateway_id(), Self::LocalGateway))
            .or_else(|| some(route.carrier_gateway_id(), Self::CarrierGateway))
            .or_else(|| some(route.core_network_arn(), Self::CoreNetwork))
            .or_else(|| some(route.odb_network_arn(), Self::OdbNetwork))
    }

    /// What an id of a gateway leads to. The API reports three kinds of target under the one name `GatewayId`, and takes others under names of their own.
    #[must_use]
    pub fn gateway(id: String) -> Self {
        match id.split('-').next() {
            Some("local") => Self::Local,
            Some("vpce") => Self::VpcEndpoint(id),
            Some("eigw") => Self::EgressOnlyInternetGateway(id),
            Some("lgw") => Self::LocalGateway(id),
            Some("cagw") => Self::CarrierGateway(id),
            _ => Self::Gateway(id),
        }
    }
}

/// Sets the destination on a request; which of three fields it is shows in its form.
macro_rules! with_destination {
    ($request:expr, $destination:expr) => {{
        let (request, destination) = ($request, $destination.as_str());
        if destination.starts_with("pl-") {
            request.destination_prefix_list_id(destination)
        } else if destination.contains(':') {
            request.destination_ipv6_cidr_block(destination)
        } else {
            request.destination_cidr_block(destination)
        }
    }};
}

/// Sets the target on a request; `$local` says what the request does for [`RouteTarget::Local`].
macro_rules! with_target {
    ($request:expr, $target:expr, $local:expr) => {{
        let request = $request;
        match $target {
            RouteTarget::Local => $local(request),
            RouteTarget::Gateway(id) => request.gateway_id(id),
            RouteTarget::VpcEndpoint(id) => request.vpc_endpoint_id(id),
            RouteTarget::NatGateway(id) => request.nat_gateway_id(id),
            RouteTarget::NetworkInterface(id) => request.network_interface_id(id),
            RouteTarget::Instance(id) => request.instance_id(id),
            RouteTarget::TransitGateway(id) => request.transit_gateway_id(id),
            RouteTarget::VpcPeeringConnection(id) => request.vpc_peering_connection_id(id),
            RouteTarget::EgressOnlyInternetGateway(id) => request.egress_only_internet_gateway_id(id),
            RouteTarget::LocalGateway(id) => request.local_gateway_id(id),
            RouteTarget::CarrierGateway(id) => request.carrier_gateway_id(id),
            RouteTarget::CoreNetwork(arn) => request.core_network_arn(arn),
            RouteTarget::OdbNetwork(arn) => request.odb_network_arn(arn),
        }
    }};
}

/// A network interface, as far as routes care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `eni-…`
    pub id: String,
    /// Whether it is attached; a route to one that is not is a black hole.
    pub attached: bool,
    /// The instance it is attached to, when it is one.
    pub instance: Option<String>,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
}

impl Aws {
    /// The route of a table to exactly this destination, if there is one.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such table; any failed call.
    pub async fn route(&self, table: &str, destination: &Destination) -> Result<Option<Route>, CloudError> {
        let operation = self.reading(TABLES)?;
        let answer = send!(operation, aws_sdk_ec2, self.shared.ec2.describe_route_tables().route_table_ids(table))?;
        let routes = answer.route_tables().iter().filter(|found| found.route_table_id() == Some(table)).flat_map(|found| found.routes());
        for route in routes {
            if destination_of(route).as_ref() == Some(destination) {
                return ours(route, destination).map(Some);
            }
        }
        Ok(None)
    }

    /// Makes a route that does not exist yet.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the destination already has a route that leads elsewhere; any failed call.
    pub async fn create_route(&self, table: &str, destination: &Destination, target: &RouteTarget) -> Result<(), CloudError> {
        if *target == RouteTarget::Local {
            return Err(CloudError::new(Cloud::Aws, CREATE, Kind::Invalid, "a local route cannot be created"));
        }
        let operation = self.changing(CREATE)?;
        let request = with_destination!(self.shared.ec2.create_route().route_table_id(table), destination);
        let answer = send!(operation, aws_sdk_ec2, with_target!(request, target, |request| request))?;
        match answer.r#return {
            Some(false) => Err(CloudError::new(Cloud::Aws, CREATE, Kind::Unexpected, "the service says the route was not created")),
            _ => Ok(()),
        }
    }

    /// Leads an existing route elsewhere. Replacing a target by itself succeeds.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no route to this destination; any failed call.
    pub async fn replace_route(&self, table: &str, destination: &Destination, target: &RouteTarget) -> Result<(), CloudError> {
        let operation = self.changing(REPLACE)?;
        let request = with_destination!(self.shared.ec2.replace_route().route_table_id(table), destination);
        let request = with_target!(request, target, |request: aws_sdk_ec2::operation::replace_route::builders::ReplaceRouteFluentBuilder| request
            .local_target(true));
        match send!(operation, aws_sdk_ec2, request) {
            // The one call that reports an absent route as a bad parameter: "There is no route defined for … in the route table".
            Err(error) if error.message.contains("no route defined") => Err(CloudError { kind: Kind::NotFound, ..error }),
            answer => answer.map(|_| ()),
        }
    }

    /// Takes a route away. Only routes of origin `CreateRoute` can be.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not there; any failed call.
    pub async fn delete_route(&self, table: &str, destination: &Destination) -> Result<(), CloudError> {
        let operation = self.changing(DELETE)?;
        let request = with_destination!(self.shared.ec2.delete_route().route_table_id(table), destination);
        send!(operation, aws_sdk_ec2, request)?;
        Ok(())
    }

    /// One network interface.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such interface; any failed call.
    pub async fn interface(&self, id: &str) -> Result<Interface, CloudError> {
        let operation = self.reading(INTERFACES)?;
        let answer = send!(operation, aws_sdk_ec2, self.shared.ec2.describe_network_interfaces().network_interface_ids(id))?;
        let found = answer.network_interfaces().iter().find(|found| found.network_interface_id() == Some(id));
        let found = found.ok_or_else(|| CloudError::new(Cloud::Aws, INTERFACES, Kind::NotFound, format!("there is no network interface `{id}`")))?;
        let attachment = found.attachment();
        Ok(Interface {
            id: id.to_owned(),
            attached: attachment.is_some_and(|attachment| attachment.status() == Some(&AttachmentStatus::Attached)),
            instance: attachment.and_then(|attachment| attachment.instance_id()).map(str::to_owned),
            vpc: found.vpc_id().unwrap_or_default().to_owned(),
            subnet: found.subnet_id().unwrap_or_default().to_owned(),
        })
    }
}

fn destination_of(route: &aws_sdk_ec2::types::Route) -> Option<Destination> {
    let kept = route.destination_cidr_block().or(route.destination_ipv6_cidr_block()).or(route.destination_prefix_list_id());
    kept.and_then(|kept| kept.parse().ok())
}

fn ours(route: &aws_sdk_ec2::types::Route, destination: &Destination) -> Result<Route, CloudError> {
    let target = RouteTarget::of(route)
        .ok_or_else(|| CloudError::new(Cloud::Aws, TABLES, Kind::Malformed, format!("the route to {destination} leads to nothing known")))?;
    Ok(Route {
        destination: destination.to_string(),
        target,
        state: match route.state().map(aws_sdk_ec2::types::RouteState::as_str) {
            Some("active") => RouteState::Active,
            Some("blackhole") => RouteState::Blackhole,
            _ => RouteState::Other,
        },
        origin: route.origin().map(|origin| origin.as_str().to_owned()).unwrap_or_default(),
        instance: route.instance_id().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::Route as Vendor;
    use aws_sdk_ec2::types::builders::RouteBuilder;

    use super::*;

    fn check(route: RouteBuilder, expected: Option<RouteTarget>) {
        assert_eq!(RouteTarget::of(&route.build()), expected);
    }

    #[test]
    fn every_kind_of_target_is_read() {
        let route = Vendor::builder;
        check(route().gateway_id("local"), Some(RouteTarget::Local));
        check(route().gateway_id("igw-1"), Some(RouteTarget::Gateway("igw-1".into())));
        check(route().gateway_id("vgw-1"), Some(RouteTarget::Gateway("vgw-1".into())));
        check(route().gateway_id("vpce-1"), Some(RouteTarget::VpcEndpoint("vpce-1".into())));
        check(route().nat_gateway_id("nat-1"), Some(RouteTarget::NatGateway("nat-1".into())));
        check(route().transit_gateway_id("tgw-1"), Some(RouteTarget::TransitGateway("tgw-1".into())));
        check(route().vpc_peering_connection_id("pcx-1"), Some(RouteTarget::VpcPeeringConnection("pcx-1".into())));
        check(route().egress_only_internet_gateway_id("eigw-1"), Some(RouteTarget::EgressOnlyInternetGateway("eigw-1".into())));
        check(route().local_gateway_id("lgw-1"), Some(RouteTarget::LocalGateway("lgw-1".into())));
        check(route().carrier_gateway_id("cagw-1"), Some(RouteTarget::CarrierGateway("cagw-1".into())));
        check(route().core_network_arn("arn:1"), Some(RouteTarget::CoreNetwork("arn:1".into())));
        check(route().odb_network_arn("arn:2"), Some(RouteTarget::OdbNetwork("arn:2".into())));
        check(route().instance_id("i-1"), Some(RouteTarget::Instance("i-1".into())));
        check(route(), None);
    }

    #[test]
    fn an_instance_with_an_interface_is_the_interface() {
        check(Vendor::builder().instance_id("i-1").network_interface_id("eni-1"), Some(RouteTarget::NetworkInterface("eni-1".into())));
    }

    #[test]
    fn written_and_kept_forms_of_a_route_are_the_same_route() {
        let kept = |route: RouteBuilder, destination: &str| {
            let (route, wanted): (_, Destination) = (route.build(), destination.parse().unwrap());
            assert_eq!(destination_of(&route).as_ref(), Some(&wanted), "{destination}");
            ours(&route, &wanted).unwrap()
        };
        let route = || Vendor::builder().instance_id("i-1").network_interface_id("eni-1");
        let led = kept(route().destination_cidr_block("10.40.0.0/16"), "10.40.7.9/16");
        assert!(led.leads_to(&RouteTarget::Instance("i-1".into())) && led.leads_to(&RouteTarget::NetworkInterface("eni-1".into())));
        assert!(!led.leads_to(&RouteTarget::Instance("i-2".into())));
        kept(route().destination_ipv6_cidr_block("2001:db8::/32"), "2001:DB8:0::7/32");
        kept(route().destination_ipv6_cidr_block("2001:0db8:0000::/32"), "2001:db8::/32");
        for (id, expected) in [
            ("local", RouteTarget::Local),
            ("vpce-1", RouteTarget::VpcEndpoint("vpce-1".into())),
            ("eigw-1", RouteTarget::EgressOnlyInternetGateway("eigw-1".into())),
            ("igw-1", RouteTarget::Gateway("igw-1".into())),
        ] {
            assert_eq!(RouteTarget::gateway(id.to_owned()), expected);
        }
    }

    #[test]
    fn a_route_survives_the_journal() {
        let route = Route {
            destination: "10.20.0.0/16".into(),
            target: RouteTarget::NetworkInterface("eni-1".into()),
            state: RouteState::Blackhole,
            origin: "CreateRoute".into(),
            instance: None,
        };
        let text = serde_json::to_string(&route).unwrap();
        assert_eq!(
            text,
            r#"{"destination":"10.20.0.0/16","target":{"kind":"network-interface","id":"eni-1"},"state":"blackhole","origin":"CreateRoute"}"#
        );
        assert_eq!(serde_json::from_str::<Route>(&text).unwrap(), route);
        let local = serde_json::to_string(&RouteTarget::Local).unwrap();
        assert_eq!(serde_json::from_str::<RouteTarget>(&local).unwrap(), RouteTarget::Local);
    }
}
