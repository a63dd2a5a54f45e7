//! `note`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::world::World;

/// Says something, on the screen and in the report.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// What to say.
    text: String,
}

impl Action<World> for Note {
    const KIND: &'static str = "note";
    const EXAMPLE: &'static str = r#"{ text: "From here on the storefront is on AWS" }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = ();

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), Vec::new(), Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<()>, ActionError> {
        (cx.progress)(self.text.clone());
        Ok(Applied::changed(()))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
