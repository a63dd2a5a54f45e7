//! How long things may take, in one sentence: said when a run begins, and by `lifeboat plan`.

use serde::Serialize;

use crate::model::plan::{Mode, Plan};
use crate::model::time::Span;
use crate::world::settings::CALL_DEADLINE;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// One call to a cloud, with its retries.
    pub call: Span,
    /// The way there; then a drill aborts and an emergency stops.
    pub run: Span,
    /// Putting everything back.
    pub undo: Span,
    /// The fault, however often its lease is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Span>,
    /// How long a step that has failed waits for a person.
    pub patience: Span,
    #[serde(skip)]
    emergency: bool,
}

impl Budget {
    /// That of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            call: Span::from(CALL_DEADLINE),
            run: plan.limits.run,
            undo: plan.limits.undo,
            fault: plan.fault.as_ref().map(|fault| fault.limit),
            patience: plan.limits.patience,
            emergency: plan.mode == Mode::Emergency,
        }
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { call, run, undo, fault, patience, emergency } = self;
        let then = if *emergency { "stops" } else { "aborts" };
        write!(
            f,
            "Each call ends within {call}; the run {then} after {run}; putting back may take {undo}, with half a minute more to compare with what was there"
        )?;
        if let Some(fault) = fault {
            write!(f, "; the fault stands for {fault} at most")?;
        }
        if *patience != Span::default() {
            write!(f, "; a failed step waits {patience} for you")?;
        }
        f.write_str(".")
    }
}
