//! `aliyun.ecs.start-instances`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bring::Wanted;
use super::power::{self, AutoScaled, PowerBefore};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::ports::Cloud;
use crate::ports::compute::Selector;
use crate::world::World;

/// Starts ECS instances and waits until they run and are healthy. Undo stops those that were stopped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartInstances {
    /// The machines: by `ids`, by `tags` that must all match, or both.
    instances: Selector,
}

/// Which machines it was.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// All machines that matched.
    ids: Vec<String>,
    /// Those of them that were started by this step.
    started: Vec<String>,
}

impl Action<World> for StartInstances {
    const KIND: &'static str = "aliyun.ecs.start-instances";
    type Before = PowerBefore;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<PowerBefore>, ActionError> {
        power::plan(cx.world.compute(Cloud::Aliyun)?, &self.instances, Wanted::Running, AutoScaled::Refuse).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Applied<Output>, ActionError> {
        let already = power::apply(cx.world.compute(Cloud::Aliyun)?, before, Wanted::Running, AutoScaled::Refuse, cx.progress, cx.accepted).await?;
        Ok(Applied { output: Output { ids: before.ids(), started: before.changed(Wanted::Running) }, already })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Undone, ActionError> {
        power::undo(cx.world.compute(Cloud::Aliyun)?, before, Wanted::Running, AutoScaled::Refuse, cx.progress).await
    }
}
