//! One route of an AWS route table: leading it elsewhere, and exactly back.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::catalogue::actions::gone;
use crate::catalogue::until::until;
use crate::clouds::aws::{Aws, Route, RouteState, RouteTarget};
use crate::engine::action::{ActionError, PlannedCall, Undone};
use crate::model::destination::Destination;
use crate::model::target::{Location, Target, TargetKind};

pub(super) const READ: &str = "ec2:DescribeRouteTables";
pub(super) const CREATE: &str = "ec2:CreateRoute";
pub(super) const REPLACE: &str = "ec2:ReplaceRoute";
pub(super) const DELETE: &str = "ec2:DeleteRoute";

/// Which route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) table: &'a str,
    pub(super) destination: &'a Destination,
}

impl Spot<'_> {
    /// The route as something that a step acts on.
    pub(super) fn target(self, location: &Location) -> Target {
        Target::at(location, TargetKind::Route, self.table).part(self.destination.to_string())
    }
}

impl fmt::Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.destination)
    }
}

/// What it takes to put a route back. Its state is none of it: that is its target's own affair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteBefore {
    pub(super) target: RouteTarget,
    pub(super) origin: String,
}

impl From<Route> for RouteBefore {
    fn from(route: Route) -> Self {
        Self { target: route.target, origin: route.origin }
    }
}

/// A target for people.
pub(super) fn word(target: &RouteTarget) -> String {
    match target {
        RouteTarget::Local => "local".to_owned(),
        RouteTarget::Gateway(id)
        | RouteTarget::VpcEndpoint(id)
        | RouteTarget::NatGateway(id)
        | RouteTarget::NetworkInterface(id)
        | RouteTarget::Instance(id)
        | RouteTarget::TransitGateway(id)
        | RouteTarget::VpcPeeringConnection(id)
        | RouteTarget::EgressOnlyInternetGateway(id)
        | RouteTarget::LocalGateway(id)
        | RouteTarget::CarrierGateway(id)
        | RouteTarget::CoreNetwork(id)
        | RouteTarget::OdbNetwork(id) => id.clone(),
    }
}

/// What leads from one state of a route to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Nothing,
    Create,
    Replace,
    Delete,
}

impl Change {
    fn between(current: Option<&RouteTarget>, wanted: Option<&RouteTarget>) -> Self {
        match (current, wanted) {
            (current, wanted) if current == wanted => Self::Nothing,
            (None, _) => Self::Create,
            (_, None) => Self::Delete,
            _ => Self::Replace,
        }
    }
}

/// The way back from what is there to `before`, if what is there is ours, gone, or already as before; never over somebody else's value.
fn way_back(current: Option<&RouteTarget>, before: Option<&RouteTarget>, ours: &RouteTarget) -> Result<Change, (String, String)> {
    if current.is_some() && current != before && current != Some(ours) {
        let name = |target: Option<&RouteTarget>| target.map_or_else(|| "no route".to_owned(), word);
        return Err((format!("{} or {}", word(ours), name(before)), name(current)));
    }
    Ok(Change::between(current, before))
}

/// The calls that lead the route from `current` to `wanted`, and those that lead it back, for the plan.
pub(super) fn planned(spot: Spot<'_>, current: Option<&RouteTarget>, wanted: &RouteTarget) -> (Vec<PlannedCall>, Vec<PlannedCall>) {
    let way = |from: Option<&RouteTarget>, to: Option<&RouteTarget>| {
        let operation = match Change::between(from, to) {
            Change::Create => CREATE,
            Change::Replace => REPLACE,
            Change::Delete => DELETE,
            Change::Nothing => return vec![PlannedCall::read(READ, spot.to_string())],
        };
        let subject = to.map_or_else(|| spot.to_string(), |to| format!("{spot} → {}", word(to)));
        vec![PlannedCall::read(READ, spot.to_string()), PlannedCall::write(operation, subject), PlannedCall::read(READ, "until it is there")]
    };
    let undo = if current == Some(wanted) { Vec::new() } else { way(Some(wanted), current) };
    (way(current, Some(wanted)), undo)
}

/// Leads the route to `target` and waits until it is there, with `state` if that matters. Gives back whether anything was changed.
pub(super) async fn lead(
    aws: &Aws,
    spot: Spot<'_>,
    target: &RouteTarget,
    state: Option<RouteState>,
    accepted: &(dyn Fn() + Send + Sync),
) -> Result<bool, ActionError> {
    let current = aws.route(spot.table, spot.destination).await?.map(|route| route.as_led_to(target));
    let change = Change::between(current.as_ref(), Some(target));
    make(aws, spot, change, Some(target)).await?;
    accepted();
    see(aws, spot, Some(target), state).await?;
    Ok(change != Change::Nothing)
}

/// Puts the route back as it was before it was led to `ours`.
pub(super) async fn restore(aws: &Aws, spot: Spot<'_>, before: Option<&RouteBefore>, ours: &RouteTarget) -> Result<Undone, ActionError> {
    let target = before.map(|route| &route.target);
    let expected = || format!("{} or {}", word(ours), target.map_or_else(|| "no route".to_owned(), word));
    let current =
        aws.route(spot.table, spot.destination).await.map_err(|error| gone(error, &format!("route {spot}"), expected(), "no such table"))?;
    // What was there before is what is compared first: an instance that was led to may be behind the very interface that was there.
    let current = current.map(|route| match target {
        Some(before) if route.leads_to(before) => before.clone(),
        _ => route.as_led_to(ours),
    });
    let change = way_back(current.as_ref(), target, ours).map_err(|(expected, found)| ActionError::Conflict {
        what: format!("route {spot}"),
        expected,
        found,
    })?;
    make(aws, spot, change, target).await?;
    // Its state is its target's own affair: the instance behind it may have been stopped meanwhile.
    see(aws, spot, target, None).await?;
    Ok(if change == Change::Nothing { Undone::Already } else { Undone::Restored })
}

async fn make(aws: &Aws, spot: Spot<'_>, change: Change, target: Option<&RouteTarget>) -> Result<(), ActionError> {
    match (change, target) {
        (Change::Create, Some(target)) => aws.create_route(spot.table, spot.destination, target).await?,
        (Change::Replace, Some(target)) => aws.replace_route(spot.table, spot.destination, target).await?,
        (Change::Delete, _) => aws.delete_route(spot.table, spot.destination).await?,
        _ => {}
    }
    Ok(())
}

async fn see(aws: &Aws, spot: Spot<'_>, target: Option<&RouteTarget>, state: Option<RouteState>) -> Result<(), ActionError> {
    let looks = AtomicU32::new(0);
    let looks = &looks;
    until(|| async move {
        let route = aws.route(spot.table, spot.destination).await?;
        let is_so = match (&route, target) {
            (Some(route), Some(target)) => route.leads_to(target),
            (route, target) => route.is_none() && target.is_none(),
        };
        if !is_so {
            return Ok(None);
        }
        let Some(wanted) = state else { return Ok(Some(())) };
        match route {
            Some(route) if route.state == wanted => Ok(Some(())),
            // The state follows the target within moments; one that does not will not.
            Some(route) if looks.fetch_add(1, Ordering::Relaxed) > PATIENCE => Err(ActionError::NoEffect(
                format!("route {spot} leads to {}, which takes no traffic: its state is {:?}", word(&route.target), route.state).to_lowercase(),
            )),
            _ => Ok(None),
        }
    })
    .await
}

/// Looks at a route with the right target and the wrong state before it is called without effect; some four seconds.
const PATIENCE: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(current: Option<&str>, before: Option<&str>, expected: Result<Change, &str>) {
        let target = |id: &str| RouteTarget::NetworkInterface(id.to_owned());
        let way = way_back(current.map(target).as_ref(), before.map(target).as_ref(), &target("ours"));
        assert_eq!(way.as_ref().copied().map_err(|(_, found)| found.as_str()), expected, "{current:?} {before:?}");
    }

    #[test]
    fn the_way_back_never_overwrites_a_third_value() {
        check(Some("ours"), Some("before"), Ok(Change::Replace));
        check(Some("before"), Some("before"), Ok(Change::Nothing));
        check(None, Some("before"), Ok(Change::Create));
        check(Some("third"), Some("before"), Err("third"));
        check(Some("ours"), None, Ok(Change::Delete));
        check(None, None, Ok(Change::Nothing));
        check(Some("third"), None, Err("third"));
        check(Some("ours"), Some("ours"), Ok(Change::Nothing));
    }
}
