//! `aliyun.dts.suspend-job`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::jobs::{self, Output, Wanted};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Stands, Undone};
use crate::engine::foreseen::NOTHING;
use crate::engine::lease::Anchor;
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::world::World;

/// Pauses a synchronisation job of DTS and waits until it rests: the fault of a replication that stops. Undo starts it where it stopped and waits
/// until it moves data again.
///
/// DTS moves rows between databases; what else follows those rows, such as a worker that copies objects, stops with them. A paused job reads
/// `Suspending`. It must not be paused for more than 6 hours: the vendor does not start it again after that, so `limit` may not be longer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspendJob {
    /// The job's id.
    job: String,
}

impl Action<World> for SuspendJob {
    const KIND: &'static str = "aliyun.dts.suspend-job";
    const EXAMPLE: &'static str = r#"{ job: "${{ vars.sync_job }}" }"#;
    const ACTS: Acts = Acts::In(Cloud::Aliyun);
    const CALLS: Operations = Operations {
        plan: &["dts:DescribeDtsJobDetail"],
        apply: &["dts:DescribeDtsJobDetail", "dts:SuspendDtsJob"],
        undo: &["dts:DescribeDtsJobDetail", "dts:StartDtsJob"],
        marks: &["dts:ListTagResources", "dts:TagResources", "dts:UntagResources"],
    };
    const FAULT: bool = true;
    const LONGEST: Option<(Span, &'static str)> = Some((jobs::LONGEST_PAUSE, "DTS does not start a job again that was paused for longer"));
    type Before = Wanted;
    type Output = Output;

    fn anchors(&self, _: &Wanted) -> Vec<Anchor> {
        vec![Anchor { cloud: Cloud::Aliyun, region: String::new(), kind: "sync-job".into(), id: self.job.clone() }]
    }

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Wanted>, ActionError> {
        // The fault is out again before anything but the failover runs.
        jobs::plan(cx.world.sync(Cloud::Aliyun)?, &cx.world.location(Cloud::Aliyun), &self.job, Wanted::Suspended, &NOTHING).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Applied<Output>, ActionError> {
        jobs::apply(cx.world.sync(Cloud::Aliyun)?, &self.job, Wanted::Suspended, *before, cx.progress, cx.accepted).await
    }

    async fn stands(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Stands, ActionError> {
        jobs::stands(cx.world.sync(Cloud::Aliyun)?, &self.job, Wanted::Suspended, *before).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Wanted) -> Result<Undone, ActionError> {
        jobs::undo(cx.world.sync(Cloud::Aliyun)?, &self.job, *before, cx.progress).await
    }
}
