//! `aliyun.ecs.stop-instances`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::at_least::AtLeast;
use super::bring::Wanted;
use super::power::{PowerRequest, AutoScaled, PowerBefore, Stopped};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::ports::Cloud;
use crate::ports::compute::Selector;
use crate::world::World;

/// Stops ECS instances, keeping their capacity (and its charges), and waits until they are stopped. A machine that does not follow keeps no other from stopping. Undo starts those
/// that were running.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopInstances {
    /// The machines: by `ids`, by `tags` that must all match, or both. Those that are being terminated are none.
    instances: Selector,
    /// How many of them are enough, as a count or a share such as `80%`; all, unless written. All are asked to stop; the others are told.
    #[serde(default)]
    at_least: AtLeast,
    /// When one counts: `accepted` or `stopped`, which is also what counts unless written.
    #[serde(default)]
    until: Stopped,
    /// Whether machines of an auto scaling group, which ends a stopped machine for good, are stopped; `refuse` unless written.
    #[serde(default)]
    auto_scaled: AutoScaled,
}

/// Which machines it was.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// All machines that matched.
    ids: Vec<String>,
    /// The machines among them that this step stopped.
    stopped: Vec<String>,
    /// The machines that did not get there, where `at_least` lets the others be enough.
    failed: Vec<String>,
}

impl Action<World> for StopInstances {
    const KIND: &'static str = "aliyun.ecs.stop-instances";
    const EXAMPLE: &'static str = "{ instances: { tags: { role: checkout, posture: standby } } }";
    const ACTS: Acts = Acts::In(Cloud::Aliyun);
    const CALLS: Operations = Operations {
        plan: &["ecs:DescribeInstances"],
        apply: &["ecs:DescribeInstances", "ecs:StopInstances"],
        undo: &["ecs:DescribeInstances", "ecs:StartInstances"],
        marks: &[],
    };
    type Before = PowerBefore;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<PowerBefore>, ActionError> {
        self.asked(cx)?.plan(&self.instances, &cx.world.location(Cloud::Aliyun), cx.foreseen, cx.warn).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Applied<Output>, ActionError> {
        let powered = self.asked(cx)?.apply(before, cx.progress, cx.warn, cx.accepted).await?;
        Ok(Applied { output: Output { ids: before.ids(), stopped: powered.changed, failed: powered.failed }, already: powered.already })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Undone, ActionError> {
        self.asked(cx)?.undo(before, cx.progress, cx.warn).await
    }
}

impl StopInstances {
    fn asked<'a>(&self, cx: &Cx<'a, World>) -> Result<PowerRequest<'a>, ActionError> {
        let compute = cx.world.compute(Cloud::Aliyun)?;
        Ok(PowerRequest { compute, wanted: Wanted::Stopped, until: self.until.into(), at_least: self.at_least, auto_scaled: self.auto_scaled })
    }
}
