//! `aliyun.ecs.isolate-instances`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bring::label;
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Stands, Undone};
use crate::engine::lease::Anchor;
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::target::{Change, Target, TargetKind};
use crate::ports::compute::{MachineState, Selector};
use crate::ports::Cloud;
use crate::world::World;

/// Leaves ECS instances in one security group and in no other, and waits until it reads so: the fault of machines that run and are not reached. Undo puts each back into the groups that it
/// was in, if it is in none but that one.
///
/// `group` has to be one whose rules let nothing in; machines in the same group may still reach each other, as the vendor allows that by default. The groups are those of the machine's
/// first interface: another interface keeps its own. A machine that the vendor has locked for security can be neither isolated nor put back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IsolateInstances {
    /// The machines: by `ids`, by `tags` that must all match, or both. Those that are being terminated are none.
    instances: Selector,
    /// The security group that they are left in, `sg-…`, of the same VPC.
    group: String,
}

/// Which machines it was.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// All machines that matched.
    ids: Vec<String>,
    /// The machines among them that this step isolated.
    isolated: Vec<String>,
}

/// The groups of every machine, by its id.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Before(BTreeMap<String, BTreeSet<String>>);

const FIND: &str = "ecs:DescribeInstances";
const CHANGE: &str = "ecs:ModifyInstanceAttribute";

impl Action<World> for IsolateInstances {
    const KIND: &'static str = "aliyun.ecs.isolate-instances";
    const EXAMPLE: &'static str = r#"{ instances: { tags: { role: storefront, posture: active } }, group: "${{ vars.quarantine_group }}" }"#;
    const ACTS: Acts = Acts::In(Cloud::Aliyun);
    const CALLS: Operations = Operations {
        plan: &[FIND],
        apply: &[FIND, CHANGE],
        undo: &[FIND, CHANGE],
        marks: &["ecs:ListTagResources", "ecs:TagResources", "ecs:UntagResources"],
    };
    const FAULT: bool = true;
    type Before = Before;
    type Output = Output;

    fn anchors(&self, before: &Before) -> Vec<Anchor> {
        let anchor = |id: &String| Anchor { cloud: Cloud::Aliyun, region: String::new(), kind: TargetKind::Instance.word().into(), id: id.clone() };
        before.0.keys().map(anchor).collect()
    }

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Before>, ActionError> {
        if self.instances.ids.is_empty() && self.instances.tags.is_empty() {
            return Err(ActionError::Parameters("`instances` needs `ids` or `tags`: without either it would mean every machine there is".to_owned()));
        }
        let mut machines = cx.world.compute(Cloud::Aliyun)?.find(&self.instances).await?;
        machines.retain(|machine| machine.state != MachineState::Gone);
        let ids: Vec<String> = machines.iter().map(|machine| machine.id.clone()).collect();
        if ids.is_empty() {
            return Err(ActionError::NoTargets("no machine matches".to_owned()));
        }
        let before = Before(cx.world.aliyun()?.security_groups(&ids).await?);
        let location = cx.world.location(Cloud::Aliyun);
        let (mut targets, mut calls, mut undo) = (Vec::new(), vec![PlannedCall::read(FIND, ids.join(" "))], Vec::new());
        for machine in &machines {
            let groups = before.0.get(&machine.id).ok_or_else(|| ActionError::NoTargets(format!("{} is gone", label(machine))))?;
            let change = (!self.is_isolated(groups)).then(|| Change::between(list(groups), &self.group));
            if change.is_some() {
                calls.push(PlannedCall::write(CHANGE, format!("{} in {}", machine.id, self.group)));
                undo.push(PlannedCall::write(CHANGE, format!("{} in {}", machine.id, list(groups))));
            }
            targets.push(Target::at(&location, TargetKind::Instance, &machine.id).called(&machine.name).changing(change));
        }
        if !undo.is_empty() {
            calls.push(PlannedCall::read(FIND, "until it reads so"));
            undo.insert(0, PlannedCall::read(FIND, ids.join(" ")));
        }
        Ok(Planned::new(before, targets, calls).undone_by(undo))
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Applied<Output>, ActionError> {
        let wanted = before.0.keys().map(|id| (id.clone(), self.alone())).collect();
        let changed = bring(cx, &wanted).await?;
        let isolated: Vec<String> = before.0.iter().filter(|(_, groups)| !self.is_isolated(groups)).map(|(id, _)| id.clone()).collect();
        let already = !changed && isolated.is_empty();
        Ok(Applied { output: Output { ids: before.0.keys().cloned().collect(), isolated }, already })
    }

    async fn stands(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Stands, ActionError> {
        let ids: Vec<String> = before.0.keys().cloned().collect();
        let found = cx.world.aliyun()?.security_groups(&ids).await?;
        let differing: Vec<(&String, &BTreeSet<String>)> = found.iter().filter(|(id, groups)| before.0.get(*id) != Some(*groups)).collect();
        Ok(match differing.iter().find(|(_, groups)| !self.is_isolated(groups)) {
            _ if differing.iter().any(|(_, groups)| self.is_isolated(groups)) => Stands::Here,
            Some((id, groups)) => Stands::Otherwise(format!("instance {id} is in {}", list(groups))),
            None if found.len() < ids.len() => Stands::Otherwise("an instance is gone".to_owned()),
            None => Stands::Gone,
        })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Undone, ActionError> {
        let ids: Vec<String> = before.0.keys().cloned().collect();
        let found = cx.world.aliyun()?.security_groups(&ids).await?;
        let is_ours = |(id, groups): &(&String, &BTreeSet<String>)| {
            found.get(*id).is_some_and(|now| now == *groups || self.is_isolated(now))
        };
        let wanted = before.0.iter().filter(is_ours).map(|(id, groups)| (id.clone(), groups.clone())).collect();
        let changed = bring(cx, &wanted).await?;
        // What can be put back is put back before anybody is told of the rest.
        if let Some((id, groups)) = before.0.iter().find(|pair| !is_ours(pair)) {
            return Err(ActionError::Conflict {
                what: format!("instance {id}"),
                expected: format!("in {} or {}", self.group, list(groups)),
                found: found.get(id).map_or_else(|| "no such instance".to_owned(), |now| format!("in {}", list(now))),
            });
        }
        Ok(if changed { Undone::Restored } else { Undone::Already })
    }
}

impl IsolateInstances {
    fn alone(&self) -> BTreeSet<String> {
        BTreeSet::from([self.group.clone()])
    }

    fn is_isolated(&self, groups: &BTreeSet<String>) -> bool {
        groups.len() == 1 && groups.contains(&self.group)
    }
}

/// Puts every machine that is not there into its groups, one call each, and waits until it reads so. Gives back whether anything was changed.
async fn bring(cx: &Cx<'_, World>, wanted: &BTreeMap<String, BTreeSet<String>>) -> Result<bool, ActionError> {
    let aliyun = cx.world.aliyun()?;
    let ids: Vec<String> = wanted.keys().cloned().collect();
    let found = aliyun.security_groups(&ids).await?;
    let mut changed = false;
    for (id, groups) in wanted.iter().filter(|(id, groups)| found.get(*id) != Some(*groups)) {
        // After the first, a failure leaves some of them changed.
        aliyun.set_security_groups(id, groups).await.map_err(|error| if changed { error.ambiguous(true) } else { error })?;
        changed = true;
    }
    (cx.accepted)();
    if changed {
        let ids = &ids;
        until(|| async move { Ok((aliyun.security_groups(ids).await? == *wanted).then_some(())) }).await?;
    }
    Ok(changed)
}

fn list(groups: &BTreeSet<String>) -> String {
    groups.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
