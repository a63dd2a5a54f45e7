//! `aliyun.dts.start-job`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::jobs::{self, Output, Wanted};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::ports::Cloud;
use crate::world::World;

/// Starts a paused synchronisation job of DTS where it stopped and waits until it moves data. Undo pauses it again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartJob {
    /// The job's id.
    job: String,
}

impl Action<World> for StartJob {
    const KIND: &'static str = "aliyun.dts.start-job";
    const EXAMPLE: &'static str = r#"{ job: "${{ vars.standby_sync_job }}" }"#;
    const ACTS: Acts = Acts::In(Cloud::Aliyun);
    const CALLS: Operations = Operations {
        plan: &["dts:DescribeDtsJobDetail"],
        apply: &["dts:DescribeDtsJobDetail", "dts:StartDtsJob"],
        undo: &["dts:DescribeDtsJobDetail", "dts:SuspendDtsJob"],
        marks: &[],
    };
    type Before = Wanted;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Wanted>, ActionError> {
        jobs::plan(cx.world.sync(Cloud::Aliyun)?, &cx.world.location(Cloud::Aliyun), &self.job, Wanted::Running, cx.foreseen).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Applied<Output>, ActionError> {
        jobs::apply(cx.world.sync(Cloud::Aliyun)?, &self.job, Wanted::Running, *before, cx.progress, cx.accepted).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Undone, ActionError> {
        jobs::undo(cx.world.sync(Cloud::Aliyun)?, &self.job, *before, cx.progress).await
    }
}
