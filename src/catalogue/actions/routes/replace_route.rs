//! `aws.ec2.replace-route`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::route::{RouteBefore, Spot, lead, planned, restore, word};
use crate::clouds::aws::{RouteState, RouteTarget};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::destination::Destination;
use crate::ports::Cloud;
use crate::world::World;
use crate::model::target::Change;

/// Leads a route of a VPC's route table to a target, creating the route if there is none, and waits until it is active: the repair of a broken
/// route. Undo puts back exactly what was there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaceRoute {
    /// The route table, `rtb-…`.
    route_table: String,
    /// The route's destination, such as `10.20.0.0/16`: a block, compared without host bits and however IPv6 is spelled, or a prefix list.
    destination: Destination,
    /// Where it leads: one of `interface`, `gateway`, `nat_gateway`, `instance`, `transit_gateway`, `peering`, with its id.
    target: To,
}

/// The origin of a route that a virtual private gateway propagates.
const PROPAGATED: &str = "EnableVgwRoutePropagation";

/// Where a route can be led.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum To {
    /// A network interface, `eni-…`.
    Interface(String),
    /// A gateway: internet, virtual private, egress-only, local or carrier gateway, or a Gateway Load Balancer endpoint, by its id.
    Gateway(String),
    /// A NAT gateway, `nat-…`.
    NatGateway(String),
    /// An instance, `i-…`.
    Instance(String),
    /// A transit gateway, `tgw-…`.
    TransitGateway(String),
    /// A VPC peering connection, `pcx-…`.
    Peering(String),
}

/// The route as it now is.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// What it leads to.
    target: String,
}

impl Action<World> for ReplaceRoute {
    const KIND: &'static str = "aws.ec2.replace-route";
    const EXAMPLE: &'static str = r#"{ route_table: "${{ vars.checkout_route_table }}", destination: "${{ vars.checkout_route }}", target: { interface: "${{ vars.db_interface }}" } }"#;
    const ACTS: Acts = Acts::In(Cloud::Aws);
    const CALLS: Operations = Operations {
        plan: &["ec2:DescribeRouteTables", "ec2:DescribeNetworkInterfaces"],
        apply: &["ec2:DescribeRouteTables", "ec2:CreateRoute", "ec2:ReplaceRoute"],
        undo: &["ec2:DescribeRouteTables", "ec2:ReplaceRoute", "ec2:DeleteRoute"],
        marks: &[],
    };
    type Before = Option<RouteBefore>;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Option<RouteBefore>>, ActionError> {
        let found = cx.world.aws()?.route(&self.route_table, &self.destination).await?;
        // A route to an instance is kept as one to its interface; here it is what was asked for, so that it can be compared.
        let found = found.map(|route| RouteBefore { origin: route.origin.clone(), target: route.as_led_to(&self.target()) });
        let before: Option<RouteBefore> = cx.foreseen.read(&self.spot().to_string(), found);
        if let Some(before) = before.as_ref().filter(|before| before.origin == PROPAGATED) {
            return Err(ActionError::Parameters(format!(
                "route {} was propagated by {}; once it is replaced by hand it could not be made so again",
                self.spot(),
                word(&before.target)
            )));
        }
        let wanted = self.target();
        if let (To::Interface(id), true) = (&self.target, cx.foreseen.looks_closer()) {
            // One that is not there is told before the run.
            cx.world.aws()?.interface(id).await?;
        }
        let current = before.as_ref().map(|route| &route.target);
        let change =
            (current != Some(&wanted)).then(|| Change::between(current.map_or_else(|| "no route".to_owned(), word), word(&wanted)));
        let target = self.spot().target(&cx.world.location(Cloud::Aws)).changing(change);
        let (calls, undo) = planned(self.spot(), current, &wanted);
        let origin = before.as_ref().map_or_else(|| "CreateRoute".to_owned(), |route| route.origin.clone());
        cx.foreseen.write(&self.spot().to_string(), &Some(RouteBefore { target: wanted.clone(), origin }));
        Ok(Planned::new(before, vec![target], calls).undone_by(undo))
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Option<RouteBefore>) -> Result<Applied<Output>, ActionError> {
        let target = self.target();
        let changed = lead(cx.world.aws()?, self.spot(), &target, Some(RouteState::Active), cx.accepted).await?;
        let already = !changed && before.as_ref().is_some_and(|route| route.target == target);
        Ok(Applied { output: Output { target: word(&target) }, already })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Option<RouteBefore>) -> Result<Undone, ActionError> {
        restore(cx.world.aws()?, self.spot(), before.as_ref(), &self.target()).await
    }
}

impl ReplaceRoute {
    fn spot(&self) -> Spot<'_> {
        Spot { table: &self.route_table, destination: &self.destination }
    }

    fn target(&self) -> RouteTarget {
        match self.target.clone() {
            To::Interface(id) => RouteTarget::NetworkInterface(id),
            To::Gateway(id) => RouteTarget::gateway(id),
            To::NatGateway(id) => RouteTarget::NatGateway(id),
            To::Instance(id) => RouteTarget::Instance(id),
            To::TransitGateway(id) => RouteTarget::TransitGateway(id),
            To::Peering(id) => RouteTarget::VpcPeeringConnection(id),
        }
    }
}
