//! `aws.ec2.start-instances`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::at_least::AtLeast;
use super::bring::Wanted;
use super::power::{PowerRequest, AutoScaled, PowerBefore, Started};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::ports::Cloud;
use crate::ports::compute::Selector;
use crate::world::World;

/// Starts EC2 instances and waits until they run and pass both status checks. A machine that does not follow keeps no other from starting. Undo stops those that were
/// stopped, as they were: hibernated ones are hibernated again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartInstances {
    /// The machines: by `ids`, by `tags` that must all match, or both. Those that are being terminated are none.
    instances: Selector,
    /// How many of them are enough, as a count or a share such as `80%`; all, unless written. All are started; the others are told.
    #[serde(default)]
    at_least: AtLeast,
    /// When one counts: `accepted`, `running` or `healthy`, which is also what counts unless written. Status checks that may not be read are a warning.
    #[serde(default)]
    until: Started,
}

/// Which machines it was.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// All machines that matched.
    ids: Vec<String>,
    /// The machines among them that this step started.
    started: Vec<String>,
    /// The machines that did not get there, where `at_least` lets the others be enough.
    failed: Vec<String>,
}

impl Action<World> for StartInstances {
    const KIND: &'static str = "aws.ec2.start-instances";
    const EXAMPLE: &'static str = "{ instances: { tags: { role: storefront, posture: standby } } }";
    const ACTS: Acts = Acts::In(Cloud::Aws);
    const CALLS: Operations = Operations {
        plan: &["ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceAttribute"],
        apply: &["ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:StartInstances"],
        undo: &["ec2:DescribeInstances", "ec2:StopInstances"],
        marks: &[],
    };
    type Before = PowerBefore;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<PowerBefore>, ActionError> {
        self.asked(cx)?.plan(&self.instances, &cx.world.location(Cloud::Aws), cx.foreseen, cx.warn).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Applied<Output>, ActionError> {
        let powered = self.asked(cx)?.apply(before, cx.progress, cx.warn, cx.accepted).await?;
        Ok(Applied { output: Output { ids: before.ids(), started: powered.changed, failed: powered.failed }, already: powered.already })
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &PowerBefore) -> Result<Undone, ActionError> {
        self.asked(cx)?.undo(before, cx.progress, cx.warn).await
    }
}

impl StartInstances {
    fn asked<'a>(&self, cx: &Cx<'a, World>) -> Result<PowerRequest<'a>, ActionError> {
        let (compute, auto_scaled) = (cx.world.compute(Cloud::Aws)?, AutoScaled::Refuse);
        Ok(PowerRequest { compute, wanted: Wanted::Running, until: self.until.into(), at_least: self.at_least, auto_scaled })
    }
}
