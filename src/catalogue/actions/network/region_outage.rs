//! `aliyun.region-outage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outage::{Before, Found, Outage};
use crate::clouds::aliyun::Aliyun;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::engine::lease::Anchor;
use crate::model::event::step::Target;
use crate::ports::{Cloud, CloudError};
use crate::world::World;

/// Makes a region of Alibaba Cloud unreachable: an ACL that drops everything takes the place of each vSwitch's own, and Lifeboat itself refuses to
/// call the region's control plane until the fault is taken out. Undo gives each vSwitch exactly what it had, which may be no ACL at all, and
/// removes the ACL.
///
/// The ACL is called `lifeboat:RUN`. It drops IPv4, and IPv6 where a vSwitch has it; traffic inside a vSwitch goes on, as it does in a network
/// failure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionOutage {
    /// The region, such as `cn-hangzhou`.
    region: String,
    /// The VPC whose vSwitches are cut off, `vpc-…`.
    vpc: String,
}

/// What holds the outage.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The ACL that drops everything.
    acl: String,
}

impl Action<World> for RegionOutage {
    const KIND: &'static str = "aliyun.region-outage";
    const FAULT: bool = true;
    type Before = Before;
    type Output = Output;

    fn anchors(&self, _: &Before) -> Vec<Anchor> {
        // The VPC, not its vSwitches: one call marks it, and it has room for what undo needs of all of them.
        vec![Anchor { cloud: Cloud::Aliyun, region: self.region.clone(), kind: "vpc".into(), id: self.vpc.clone() }]
    }

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Before>, ActionError> {
        let aliyun = self.aliyun(cx)?;
        let Found { before, ours } = self.outage(&aliyun, cx).read().await?;
        let change = |acl: &Option<String>| match acl {
            Some(acl) if Some(acl) == ours.as_ref() => String::new(),
            acl => format!("{} → drop all", acl.as_deref().unwrap_or("no ACL")),
        };
        let mut targets: Vec<Target> = before.vswitches.iter().map(|(id, acl)| Target::new("vswitch", id, change(acl))).collect();
        // Whether the outage stands is known from the clouds alone: a process that takes the run over has a gate of its own, still open.
        let is_out = ours.is_some() && before.vswitches.values().all(|acl| *acl == ours);
        targets.push(Target::new("region", &self.region, if is_out { "" } else { "calls of this run's own → refused" }));
        let all = before.vswitches.keys().cloned().collect::<Vec<_>>().join(" ");
        let mut calls = vec![
            PlannedCall::read("vpc:DescribeVSwitches", &self.vpc),
            PlannedCall::read("vpc:DescribeNetworkAcls", &self.vpc),
        ];
        if is_out {
            return Ok(Planned::new(before, targets, calls));
        }
        calls.push(PlannedCall::write("vpc:CreateNetworkAcl", &self.vpc));
        calls.push(PlannedCall::write("vpc:UpdateNetworkAclEntries", "drop all, both ways"));
        for acl in before.vswitches.values().flatten().collect::<std::collections::BTreeSet<_>>() {
            let held: Vec<&str> = before.vswitches.iter().filter(|(_, found)| found.as_ref() == Some(acl)).map(|(id, _)| id.as_str()).collect();
            calls.push(PlannedCall::write("vpc:UnassociateNetworkAcl", format!("{acl} from {}", held.join(" "))));
        }
        calls.push(PlannedCall::write("vpc:AssociateNetworkAcl", all));
        calls.push(PlannedCall::read("vpc:DescribeNetworkAclAttributes", "until in force"));
        let undo = ["vpc:UnassociateNetworkAcl", "vpc:AssociateNetworkAcl", "vpc:DeleteNetworkAcl"].map(|call| PlannedCall::write(call, &self.vpc));
        Ok(Planned::new(before, targets, calls).undone_by(undo.into()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Applied<Output>, ActionError> {
        let aliyun = self.aliyun(cx)?;
        let (acl, changed) = self.outage(&aliyun, cx).cut(before).await?;
        (cx.accepted)();
        let was_closed = cx.world.gate().is_closed(Cloud::Aliyun, &self.region);
        cx.world.gate().close(Cloud::Aliyun, &self.region);
        // It was this step that cut them off unless they were before it.
        let was_cut = before.vswitches.values().all(|had| had.as_ref() == Some(&acl));
        Ok(Applied { output: Output { acl }, already: !changed && was_closed && was_cut })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Undone, ActionError> {
        cx.world.gate().open(Cloud::Aliyun, &self.region);
        let aliyun = self.aliyun(cx)?;
        self.outage(&aliyun, cx).heal(before).await
    }
}

impl RegionOutage {
    fn aliyun(&self, cx: &Cx<'_, World>) -> Result<Aliyun, CloudError> {
        Ok(cx.world.aliyun()?.in_region(&self.region))
    }

    fn outage<'a>(&'a self, network: &'a Aliyun, cx: &Cx<'a, World>) -> Outage<'a, Aliyun> {
        Outage { network, vpc: &self.vpc, run: cx.run, progress: cx.progress }
    }
}
