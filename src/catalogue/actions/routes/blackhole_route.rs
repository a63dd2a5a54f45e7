//! `aws.ec2.blackhole-route`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::route::{RouteBefore, Spot, lead, planned, restore, word};
use crate::clouds::aws::RouteTarget;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Stands, Undone};
use crate::engine::lease::Anchor;
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::destination::Destination;
use crate::ports::{Cloud, Kind};
use crate::world::World;
use crate::model::target::Change;

/// Leads a route of a VPC's route table to a network interface that is attached to nothing, so that its traffic is lost: the fault of a broken
/// route. Undo leads it back, accepts that somebody has already done so, and touches no third value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlackholeRoute {
    /// The route table, `rtb-…`.
    route_table: String,
    /// The route's destination, such as `10.20.0.0/16`: a block, compared without host bits and however IPv6 is spelled, or a prefix list.
    destination: Destination,
    /// A network interface that is attached to nothing, `eni-…`.
    interface: String,
}

impl Action<World> for BlackholeRoute {
    const KIND: &'static str = "aws.ec2.blackhole-route";
    const EXAMPLE: &'static str = r#"{ route_table: "${{ vars.checkout_route_table }}", destination: "${{ vars.checkout_route }}", interface: "${{ vars.spare_interface }}" }"#;
    const ACTS: Acts = Acts::In(Cloud::Aws);
    const CALLS: Operations = Operations {
        plan: &["ec2:DescribeRouteTables", "ec2:DescribeNetworkInterfaces"],
        apply: &["ec2:DescribeRouteTables", "ec2:ReplaceRoute"],
        undo: &["ec2:DescribeRouteTables", "ec2:ReplaceRoute"],
        marks: &["ec2:DescribeTags", "ec2:CreateTags", "ec2:DeleteTags"],
    };
    const FAULT: bool = true;
    type Before = RouteBefore;
    type Output = ();

    fn anchors(&self, _: &RouteBefore) -> Vec<Anchor> {
        vec![Anchor { cloud: Cloud::Aws, region: String::new(), kind: "route-table".into(), id: self.route_table.clone() }]
    }

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<RouteBefore>, ActionError> {
        let aws = cx.world.aws()?;
        let spot = self.spot();
        let before = aws.route(&self.route_table, &self.destination).await?.ok_or_else(|| ActionError::NoTargets(format!("there is no route {spot}")))?;
        if before.origin != "CreateRoute" {
            return Err(ActionError::Parameters(format!("route {spot} was not made by a person or program (origin {}); it could not be put back", before.origin)));
        }
        if aws.interface(&self.interface).await?.attached {
            return Err(ActionError::Parameters(format!("interface {} is attached; a route to it would work", self.interface)));
        }
        let change =
            (before.target != self.target()).then(|| Change::between(word(&before.target), format_args!("{} (blackhole)", self.interface)));
        let target = spot.target(&cx.world.location(Cloud::Aws)).changing(change);
        let (mut calls, undo) = planned(spot, Some(&before.target), &self.target());
        calls.insert(1, PlannedCall::read("ec2:DescribeNetworkInterfaces", &self.interface));
        let before: RouteBefore = before.into();
        cx.foreseen.write(&spot.to_string(), &Some(RouteBefore { target: self.target(), ..before.clone() }));
        Ok(Planned::new(before, vec![target], calls).undone_by(undo))
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &RouteBefore) -> Result<Applied<()>, ActionError> {
        // That the interface is attached to nothing is what makes the route a black hole; not every EC2 (moto's) says so in the route's state.
        let changed = lead(cx.world.aws()?, self.spot(), &self.target(), None, cx.accepted).await?;
        Ok(Applied { output: (), already: !changed && before.target == self.target() })
    }

    async fn stands(&self, cx: &Cx<'_, World>, before: &RouteBefore) -> Result<Stands, ActionError> {
        let aws = cx.world.aws()?;
        let spot = self.spot();
        let Some(route) = aws.route(&self.route_table, &self.destination).await? else {
            return Ok(Stands::Otherwise(format!("there is no route {spot}")));
        };
        if route.leads_to(&before.target) {
            return Ok(Stands::Gone);
        }
        if !route.leads_to(&self.target()) {
            return Ok(Stands::Otherwise(format!("route {spot} leads to {}", word(&route.target))));
        }
        // One that works is not the fault's, whatever somebody says of it.
        let is_attached = match aws.interface(&self.interface).await {
            Ok(interface) => interface.attached,
            Err(error) if error.kind == Kind::NotFound => false,
            Err(error) => return Err(error.into()),
        };
        if is_attached {
            return Ok(Stands::Otherwise(format!("route {spot} leads to {}, which is attached to something: that is no black hole", self.interface)));
        }
        Ok(Stands::Here)
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &RouteBefore) -> Result<Undone, ActionError> {
        restore(cx.world.aws()?, self.spot(), Some(before), &self.target()).await
    }
}

impl BlackholeRoute {
    fn spot(&self) -> Spot<'_> {
        Spot { table: &self.route_table, destination: &self.destination }
    }

    fn target(&self) -> RouteTarget {
        RouteTarget::NetworkInterface(self.interface.clone())
    }
}
