//! `approval`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::order::Question;
use crate::world::World;

/// Waits until people have said yes: on the terminal, by `lifeboat ctl RUN answer`, or beforehand with `--approve`. A rehearsal says yes by itself.
///
/// The step's `timeout` is the deadline; a no, or no answer in time, fails the step. The time spent waiting is reported apart from machine time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    /// What they approve, in one line.
    text: String,
    /// How many different people must say yes.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    approvers: u32,
    /// Who may; anyone when not written.
    #[serde(default)]
    of: Vec<String>,
    /// Whether whoever started the run may be one of them.
    #[serde(default)]
    starter: bool,
}

fn one() -> u32 {
    1
}

/// Who said yes.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// Their names.
    by: Vec<String>,
}

impl Action<World> for Approval {
    const KIND: &'static str = "approval";
    const EXAMPLE: &'static str = r#"{ text: "The storefront is going to move to AWS. Yes?", approvers: 2 }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        let able = self.of.iter().collect::<std::collections::BTreeSet<_>>().len();
        if able > 0 && able < self.approvers as usize {
            return Err(ActionError::Parameters(format!("{} approvers are asked for, {able} may answer", self.approvers)));
        }
        Ok(Planned::new((), Vec::new(), Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, (): &()) -> Result<Applied<Output>, ActionError> {
        let question = Question {
            text: self.text.clone(),
            manual: false,
            approvers: self.approvers.max(1),
            of: self.of.clone(),
            starter: self.starter,
        };
        let replies = cx.desk.ask(cx.step, question).await?;
        Ok(Applied::changed(Output { by: replies.into_iter().map(|reply| reply.by).collect() }))
    }

    async fn undo(&self, _: &Cx<'_, World>, (): &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
