//! `wait-for`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::model::event::step::Target;
use crate::model::plan::ProbeState;
use crate::model::time::Span;
use crate::world::World;

/// Waits until a probe of this run is good (or bad), perhaps for some time on end. The step's timeout ends the wait.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitFor {
    /// The probe's id.
    probe: String,
    /// The state to wait for; good unless written.
    #[serde(default = "good")]
    is: ProbeState,
    /// For how long it must last; not at all unless written.
    #[serde(default)]
    lasting: Span,
}

const fn good() -> ProbeState {
    ProbeState::Good
}

/// How long it took.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// Milliseconds waited.
    waited_ms: u64,
}

impl Action<World> for WaitFor {
    const KIND: &'static str = "wait-for";
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![Target::new("probe", &self.probe, "")], Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Output>, ActionError> {
        let start = Instant::now();
        if let Some(standing) = cx.board.standing(&self.probe) {
            (cx.progress)(format!("{}: {}", self.probe, standing.detail));
        }
        cx.board.wait_for(&self.probe, self.is, self.lasting.duration()).await;
        let waited_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Applied::already(Output { waited_ms }))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
