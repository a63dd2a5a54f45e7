//! `wait-for`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::board::Board;
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::plan::ProbeState;
use crate::model::time::Span;
use crate::world::World;
use crate::model::target::{Target, TargetKind};

/// Waits until a probe of this run is good (or bad), perhaps for some time on end. The step's timeout ends the wait.
///
/// Good is seen by samples that were sent after the step began, or not at all; one that could not tell begins the time anew.
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
    const EXAMPLE: &'static str = "{ probe: storefront, is: good, lasting: 10s }";
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        Ok(Planned::new((), vec![Target::outside(TargetKind::Probe, &self.probe)], Vec::new()))
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

/// Waits until `probe` is in `state` and has been for `lasting`, counted from now at the earliest, as samples show that were sent since.
async fn wait(board: &Board, probe: &str, state: ProbeState, lasting: Duration) {
    let (start, mut asked) = (Instant::now(), None);
    let mut changes = board.changes();
    loop {
        let standing = changes.borrow_and_update().get(probe).filter(|standing| standing.state == Some(state)).cloned();
        let enough = match (state, standing) {
            (_, None) => None,
            (ProbeState::Good, Some(standing)) => {
                // What was seen before this step began says nothing of what it waits for, however well it stands confirmed.
                let needed = standing.good.map(|good| (good.last_sent, good.first_sent.max(start) + lasting));
                match needed {
                    Some((last, needed)) if last >= needed => return,
                    Some((_, needed)) if asked != Some(needed) => {
                        // A probe that stays good says nothing unless it is asked.
                        board.ask(probe, needed);
                        asked = Some(needed);
                    }
                    _ => {}
                }
                None
            }
            (ProbeState::Bad, Some(standing)) => {
                let is_bad = standing.good.is_none() && !standing.is_unread;
                is_bad.then(|| standing.since.max(start) + lasting)
            }
        };
        let enough = async {
            match enough {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = enough => return,
            changed = changes.changed() => if changed.is_err() {
                // The probes ended; the run is ending too.
                return std::future::pending().await;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::engine::board::{Standing, Streak};

    type Standings = watch::Sender<std::collections::BTreeMap<String, Standing>>;

    fn set(sender: &Standings, state: ProbeState, since: Instant, good: Option<Streak<Instant>>, is_unread: bool) {
        let standing = Standing { state: Some(state), since, good, is_unread, blind_since: None, detail: String::new() };
        sender.send_modify(|standings| _ = standings.insert("shop".to_owned(), standing));
    }

    /// Polls once: whether it is over.
    async fn is_over(waiting: &mut std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
        tokio::time::timeout(Duration::ZERO, waiting.as_mut()).await.is_ok()
    }

    #[tokio::test]
    async fn good_is_seen_by_a_sample_that_was_sent_after_the_step_began() {
        let (sender, board) = Board::new();
        let (asks, mut asked) = mpsc::unbounded_channel();
        board.connect(asks);
        let long_ago = Instant::now() - Duration::from_secs(60);
        let (good, streak) = (ProbeState::Good, Streak::of(long_ago, long_ago));
        set(&sender, good, long_ago, Some(streak), false);
        let start = Instant::now();
        let mut waiting = std::pin::pin!(wait(&board, "shop", good, Duration::ZERO));
        assert!(!is_over(&mut waiting).await, "a standing from before is none");
        let (probe, after) = asked.try_recv().unwrap();
        assert!(probe == "shop" && after >= start, "it asks to be told");
        // Bad, but not often enough to be confirmed; then unreadable.
        set(&sender, good, long_ago, None, false);
        assert!(!is_over(&mut waiting).await);
        set(&sender, good, long_ago, None, true);
        assert!(!is_over(&mut waiting).await);
        // Sent before the step began, answered later.
        set(&sender, good, long_ago, Some(streak.with(start - Duration::from_millis(1), Instant::now())), false);
        assert!(!is_over(&mut waiting).await);
        let now = Instant::now();
        set(&sender, good, long_ago, Some(streak.with(now, now)), false);
        assert!(is_over(&mut waiting).await);
    }

    #[tokio::test]
    async fn the_time_counts_from_the_start_of_the_step_and_anew_after_a_bad_or_unknown_sample() {
        let (sender, board) = Board::new();
        let (asks, mut asked) = mpsc::unbounded_channel();
        board.connect(asks);
        let start = Instant::now();
        let (good, at) = (ProbeState::Good, |ms| start + Duration::from_millis(ms));
        let long_ago = start - Duration::from_secs(60);
        let streak = Streak::of(long_ago, long_ago);
        let mut waiting = std::pin::pin!(wait(&board, "shop", good, Duration::from_secs(10)));
        set(&sender, good, long_ago, Some(streak.with(at(9_000), at(9_000))), false);
        assert!(!is_over(&mut waiting).await);
        assert!(asked.try_recv().unwrap().1 >= at(10_000));
        set(&sender, good, long_ago, None, true);
        assert!(!is_over(&mut waiting).await);
        let again = Streak::of(at(12_000), at(12_001));
        set(&sender, good, long_ago, Some(again.with(at(21_000), at(21_001))), false);
        assert!(!is_over(&mut waiting).await);
        assert_eq!(asked.try_recv().unwrap().1, at(22_000));
        set(&sender, good, long_ago, Some(again.with(at(22_000), at(22_001))), false);
        assert!(is_over(&mut waiting).await);
    }

    #[tokio::test]
    async fn bad_is_as_the_probe_stands_while_it_can_be_read() {
        let (sender, board) = Board::new();
        let start = Instant::now();
        let bad = ProbeState::Bad;
        let mut waiting = std::pin::pin!(wait(&board, "shop", bad, Duration::ZERO));
        set(&sender, bad, start, None, true);
        assert!(!is_over(&mut waiting).await, "it cannot be read any more");
        set(&sender, bad, start, Some(Streak::of(start, start)), false);
        assert!(!is_over(&mut waiting).await, "the last sample was good");
        set(&sender, bad, start, None, false);
        assert!(is_over(&mut waiting).await);
    }
}
