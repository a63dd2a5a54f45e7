//! `wait`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::time::Span;
use crate::world::World;

/// Waits for a fixed time. To wait for something, use `wait-for`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    /// How long.
    #[serde(rename = "for")]
    duration: Span,
}

impl Action<World> for Wait {
    const KIND: &'static str = "wait";
    const EXAMPLE: &'static str = "{ for: 30s }";
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = ();

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), Vec::new(), Vec::new()))
    }

    async fn apply(&self, _: &Cx<'_, World>, _: &()) -> Result<Applied<()>, ActionError> {
        // The runtime's timer takes a millisecond for nothing at all.
        if !self.duration.duration().is_zero() {
            tokio::time::sleep(self.duration.duration()).await;
        }
        Ok(Applied::changed(()))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
