//! `aliyun.dts.pause-job`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::jobs::{self, Output, Wanted};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::ports::Cloud;
use crate::world::World;

/// Pauses a synchronisation job of DTS that is no longer needed, such as the standby after a failback. Undo starts it where it stopped.
///
/// The vendor starts a job again only within 6 hours of its pause.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PauseJob {
    /// The job's id.
    job: String,
}

impl Action<World> for PauseJob {
    const KIND: &'static str = "aliyun.dts.pause-job";
    const EXAMPLE: &'static str = r#"{ job: "${{ vars.sync_job }}" }"#;
    const ACTS: Acts = Acts::In(Cloud::Aliyun);
    const CALLS: Operations = Operations {
        plan: &["dts:DescribeDtsJobDetail"],
        apply: &["dts:DescribeDtsJobDetail", "dts:SuspendDtsJob"],
        undo: &["dts:DescribeDtsJobDetail", "dts:StartDtsJob"],
        marks: &[],
    };
    type Before = Wanted;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Wanted>, ActionError> {
        jobs::plan(cx.world.sync(Cloud::Aliyun)?, &cx.world.location(Cloud::Aliyun), &self.job, Wanted::Suspended, cx.foreseen).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Applied<Output>, ActionError> {
        jobs::apply(cx.world.sync(Cloud::Aliyun)?, &self.job, Wanted::Suspended, *before, cx.progress, cx.accepted).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Undone, ActionError> {
        jobs::undo(cx.world.sync(Cloud::Aliyun)?, &self.job, *before, cx.progress).await
    }
}
