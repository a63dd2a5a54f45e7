//! `aliyun.ecs.stop-instances`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bring::Wanted;
use super::power::{self, AutoScaled, PowerBefore};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::ports::Cloud;
use crate::ports::compute::Selector;
use crate::world::World;

/// Stops ECS instances, keeping their capacity (and its charges), and waits until they are stopped. Undo starts those that were running.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopInstances {
    /// The machines: by `ids`, by `tags` that must all match, or both.
    instances: Selector,
    /// Whether machines of an auto scaling group, which ends a stopped machine for good, are stopped; `refuse` unless written.
    #[serde(default)]
    auto_scaled: AutoScaled,
}

/// Which machines it was.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// All machines that matched.
    ids: Vec<String>,
    /// Those of them that were stopped by this step.
    stopped: Vec<String>,
}

impl Action<World> for StopInstances {
    const KIND: &'static str = "aliyun.ecs.stop-instances";
    type Before = PowerBefore;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<PowerBefore>, ActionError> {
        power::plan(cx.world.compute(Cloud::Aliyun)?, &self.instances, Wanted::Stopped, self.auto_scaled).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Applied<Output>, ActionError> {
        let already = power::apply(cx.world.compute(Cloud::Aliyun)?, before, Wanted::Stopped, self.auto_scaled, cx.progress, cx.accepted).await?;
        Ok(Applied { output: Output { ids: before.ids(), stopped: before.changed(Wanted::Stopped) }, already })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Undone, ActionError> {
        power::undo(cx.world.compute(Cloud::Aliyun)?, before, Wanted::Stopped, self.auto_scaled, cx.progress).await
    }
}
