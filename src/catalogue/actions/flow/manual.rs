//! `manual`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::order::Question;
use crate::world::World;

/// Something a person does by hand: shown, and waited for until somebody says that it is done. A rehearsal says so by itself.
///
/// The step's `timeout` is the deadline. Undo cannot put back what people did: write a manual step into the failback for that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manual {
    /// What is to be done, in one line.
    text: String,
    /// Who may say that it is done; anyone when not written.
    #[serde(default)]
    of: Vec<String>,
}

/// Who did it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// Their name.
    by: String,
    /// What they said about it.
    note: String,
}

impl Action<World> for Manual {
    const KIND: &'static str = "manual";
    const EXAMPLE: &'static str = r#"{ text: "Tell the payment provider that requests come from AWS now" }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), Vec::new(), Vec::new()).irrevocable(format!("what was done by hand: {}", self.text)))
    }

    async fn apply(&self, cx: &Cx<'_, World>, (): &()) -> Result<Applied<Output>, ActionError> {
        let question = Question { text: self.text.clone(), manual: true, approvers: 1, of: self.of.clone(), starter: true };
        let reply = cx.desk.ask(cx.step, question).await?.into_iter().next();
        Ok(Applied::changed(reply.map(|reply| Output { by: reply.by, note: reply.note }).unwrap_or_default()))
    }

    fn undo_needs_secrets(&self) -> bool {
        false
    }

    async fn undo(&self, _: &Cx<'_, World>, (): &()) -> Result<Undone, ActionError> {
        Ok(Undone::Impossible)
    }
}
