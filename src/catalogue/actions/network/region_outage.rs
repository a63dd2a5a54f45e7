//! `aliyun.region-outage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outage::{Before, Survey, Outage, Part};
use crate::clouds::aliyun::{Aliyun, VSwitch};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Stands, Undone};
use crate::engine::lease::Anchor;
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::ports::{Cloud, CloudError};
use crate::world::World;
use crate::world::here::Cut;
use crate::model::target::{Change, Target, TargetKind};

/// Makes a region of Alibaba Cloud unreachable: an ACL that drops everything takes the place of each vSwitch's own, and Lifeboat itself refuses to
/// call the region's control plane until the fault is taken out. Undo gives each vSwitch exactly what it had, which may be no ACL at all, and
/// removes the ACL.
///
/// With `zone` or `vswitches` only a part of the VPC is cut off; the region's control plane is then called as before.
///
/// The ACL is called `lifeboat:RUN`. It drops IPv4, and IPv6 where a vSwitch has it; traffic inside a vSwitch goes on, as it does in a network
/// failure. It filters what ECS and ECI instances and NLBs in the vSwitches send and receive, and nothing else: not RDS, CLB, EIPs in cut-through
/// mode, other VPCs, OSS or DTS. An ACL cannot replace another one in a single call, so a vSwitch that has one is without any between two calls.
///
/// Who runs inside of what is cut off could not take the fault out again: when the metadata service or this machine's addresses say so, nothing
/// is injected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionOutage {
    /// The region, such as `cn-hangzhou`.
    region: String,
    /// The VPC whose vSwitches are cut off, `vpc-…`.
    vpc: String,
    /// Only the vSwitches in this zone, such as `cn-hangzhou-h`; not together with `vswitches`.
    zone: Option<String>,
    /// Only these vSwitches of the VPC, `vsw-…`; at least one.
    vswitches: Option<Vec<String>>,
    /// Whether Lifeboat runs outside although this machine has an address that lies in one of the vSwitches' blocks: another network uses the
    /// same block. What a metadata service says counts all the same.
    #[serde(default)]
    runs_outside: bool,
}

/// What holds the outage.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The ACL that drops everything.
    acl: String,
}

impl Action<World> for RegionOutage {
    const KIND: &'static str = "aliyun.region-outage";
    const EXAMPLE: &'static str = r#"{ region: "${{ env.aliyun.region }}", vpc: "${{ vars.vpc }}" }"#;
    const ACTS: Acts = Acts::InRegion(Cloud::Aliyun, "region");
    const CALLS: Operations = Operations {
        plan: &["vpc:DescribeVSwitches", "vpc:DescribeNetworkAcls", "vpc:DescribeVSwitchAttributes"],
        apply: &["vpc:DescribeVSwitches", "vpc:DescribeNetworkAcls", "vpc:DescribeVSwitchAttributes", "vpc:DescribeNetworkAclAttributes", "vpc:CreateNetworkAcl", "vpc:UpdateNetworkAclEntries", "vpc:UnassociateNetworkAcl", "vpc:AssociateNetworkAcl"],
        undo: &["vpc:DescribeVSwitches", "vpc:DescribeNetworkAcls", "vpc:DescribeNetworkAclAttributes", "vpc:UnassociateNetworkAcl", "vpc:AssociateNetworkAcl", "vpc:DeleteNetworkAcl"],
        marks: &["vpc:ListTagResources", "vpc:TagResources", "vpc:UnTagResources"],
    };
    const FAULT: bool = true;
    type Before = Before;
    type Output = Output;

    fn anchors(&self, _: &Before) -> Vec<Anchor> {
        // The VPC, not its vSwitches: one call marks it, and it has room for what undo needs of all of them.
        vec![Anchor { cloud: Cloud::Aliyun, region: self.region.clone(), kind: "vpc".into(), id: self.vpc.clone() }]
    }

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Before>, ActionError> {
        let aliyun = self.aliyun(cx)?;
        let Survey { vswitches, before, ours } = self.outage(&aliyun, cx)?.read().await?;
        self.stands_outside(&aliyun, cx, &vswitches).await?;
        let change = |acl: &Option<String>| match acl {
            Some(acl) if Some(acl) == ours.as_ref() => None,
            acl => Some(Change::between(acl.as_deref().unwrap_or("no ACL"), "drop all")),
        };
        let location = cx.world.location(Cloud::Aliyun).in_region(&self.region);
        let mut targets: Vec<Target> = before.vswitches.iter().map(|(id, acl)| Target::at(&location, TargetKind::Vswitch, id).changing(change(acl))).collect();
        // Whether the outage stands is known from the clouds alone: a process that takes the run over has a gate of its own, still open.
        let is_out = ours.is_some() && before.vswitches.values().all(|acl| *acl == ours);
        if self.is_whole() {
            let refused = (!is_out).then(|| Change::between("calls of this run's own", "refused"));
            targets.push(Target::at(&location, TargetKind::Region, &self.region).changing(refused));
        }
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
        let notes = notes(&before);
        Ok(Planned { notes, ..Planned::new(before, targets, calls).undone_by(undo.into()) })
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Applied<Output>, ActionError> {
        let aliyun = self.aliyun(cx)?;
        let outage = self.outage(&aliyun, cx)?;
        // Asked again: who takes a run over may do so from another machine.
        if !aliyun.is_on_this_machine() {
            self.stands_outside(&aliyun, cx, &outage.meant(before).await?).await?;
        }
        let (acl, changed) = outage.cut(before).await?;
        (cx.accepted)();
        let was_closed = !self.is_whole() || cx.world.gate().is_closed(Cloud::Aliyun, &self.region);
        if self.is_whole() {
            cx.world.gate().close(Cloud::Aliyun, &self.region);
        }
        // It was this step that cut them off unless they were before it.
        let was_cut = before.vswitches.values().all(|had| had.as_ref() == Some(&acl));
        Ok(Applied { output: Output { acl }, already: !changed && was_closed && was_cut })
    }

    async fn stands(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Stands, ActionError> {
        let aliyun = self.aliyun(cx)?;
        self.outage(&aliyun, cx)?.stands(before).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Undone, ActionError> {
        cx.world.gate().open(Cloud::Aliyun, &self.region);
        let aliyun = self.aliyun(cx)?;
        self.outage(&aliyun, cx)?.heal(before).await
    }
}

impl RegionOutage {
    fn aliyun(&self, cx: &Cx<'_, World>) -> Result<Aliyun, CloudError> {
        Ok(cx.world.aliyun()?.in_region(&self.region))
    }

    fn outage<'a>(&'a self, network: &'a Aliyun, cx: &Cx<'a, World>) -> Result<Outage<'a, Aliyun>, ActionError> {
        let part = match (&self.zone, &self.vswitches) {
            (None, None) => Part::All,
            (Some(zone), None) => Part::Zone(zone),
            (None, Some(vswitches)) if !vswitches.is_empty() => Part::These(vswitches),
            (None, Some(_)) => return Err(ActionError::Parameters("`vswitches` names none".to_owned())),
            (Some(_), Some(_)) => return Err(ActionError::Parameters("`zone` and `vswitches` do not go together: give one of them".to_owned())),
        };
        Ok(Outage { network, vpc: &self.vpc, part, run: cx.run, progress: cx.progress })
    }

    /// Whether all that the VPC has in the region is cut off; then its control plane is given up too.
    const fn is_whole(&self) -> bool {
        self.zone.is_none() && self.vswitches.is_none()
    }

    /// Refuses when this process runs in one of the vSwitches: it would cut itself off from the calls that take the fault out.
    async fn stands_outside(&self, aliyun: &Aliyun, cx: &Cx<'_, World>, vswitches: &[VSwitch]) -> Result<(), ActionError> {
        if aliyun.is_on_this_machine() {
            return Ok(());
        }
        let mut here = cx.world.here().await;
        if self.runs_outside {
            here.addresses.clear();
        }
        let cuts: Vec<Cut<'_>> = vswitches.iter().map(|vswitch| Cut { vpc: &self.vpc, vswitch: &vswitch.id, cidr: &vswitch.cidr }).collect();
        let Some(why) = here.inside(&cuts) else { return Ok(()) };
        let way_on = if here.vpc.is_some() { "" } else { ", or say `runs_outside: true` if that is another network's" };
        Err(ActionError::Check(format!(
            "{why}, which this fault cuts off: Lifeboat could not reach the cloud any more to take it out again; run it from outside, or leave that vSwitch \
             out with `vswitches`{way_on}"
        )))
    }
}

/// What the ACL does not do, and what stands open while it is put.
fn notes(before: &Before) -> Vec<String> {
    let mut notes = vec![
        "the ACL filters ECS, ECI and NLB in these vSwitches; it does not reach RDS, CLB, EIPs in cut-through mode, other VPCs, OSS, DTS".to_owned(),
    ];
    let with_acl: Vec<&str> = before.vswitches.iter().filter(|(_, acl)| acl.is_some()).map(|(id, _)| id.as_str()).collect();
    if !with_acl.is_empty() {
        let (is, its) = if with_acl.len() == 1 { ("is", "its") } else { ("are", "their") };
        notes.push(format!(
            "{} {is} under no ACL, open to everything, between the call that takes {its} own off and the one that puts the other: when the fault is \
             injected, and when it is taken out",
            with_acl.join(" ")
        ));
    }
    notes
}
