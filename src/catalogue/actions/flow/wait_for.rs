//! `wait-for`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::board::Board;
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
    /// For how long it must last, counted from the start of this step; not at all unless written.
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
        wait(cx.board, &self.probe, self.is, self.lasting.duration()).await;
        let waited_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Applied::changed(Output { waited_ms }))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}

/// Waits until `probe` is in `state` and has been for `lasting`, counted from now at the earliest.
async fn wait(board: &Board, probe: &str, state: ProbeState, lasting: Duration) {
    let start = Instant::now();
    let opposite = match state {
        ProbeState::Good => ProbeState::Bad,
        ProbeState::Bad => ProbeState::Good,
    };
    loop {
        board.wait_for(probe, state, Duration::ZERO).await;
        let Some(standing) = board.standing(probe).filter(|standing| standing.state == Some(state)) else { continue };
        tokio::select! {
            () = tokio::time::sleep_until(standing.since.max(start) + lasting) => return,
            () = board.wait_for(probe, opposite, Duration::ZERO) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::board::Standing;

    #[tokio::test]
    async fn the_time_counts_from_the_start_of_the_step_and_anew_after_a_change() {
        let (sender, board) = Board::new();
        let set = |state, since| {
            let standing = Standing { state: Some(state), since, good: None, is_unread: false, blind_since: None, detail: String::new() };
            sender.send_modify(|standings| _ = standings.insert("shop".to_owned(), standing));
        };
        let start = Instant::now();
        set(ProbeState::Good, start - Duration::from_secs(60));
        let lasting = Duration::from_millis(60);
        let flap = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            set(ProbeState::Bad, Instant::now());
            tokio::time::sleep(Duration::from_millis(20)).await;
            set(ProbeState::Good, Instant::now());
        };
        tokio::join!(wait(&board, "shop", ProbeState::Good, lasting), flap);
        assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());

        let start = Instant::now();
        wait(&board, "shop", ProbeState::Good, Duration::ZERO).await;
        assert!(start.elapsed() < Duration::from_millis(50), "what is so already needs no wait");
    }
}
