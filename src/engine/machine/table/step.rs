//! One step in motion: what this process knows of it beyond the journal.

use std::sync::Arc;

use serde_json::Value;

use super::super::scope::{has_expressions, names_of};
use super::super::{Moment, resume};
use super::parked::Parked;
use crate::model::expression::Names;
use crate::model::ids::Part;
use crate::model::plan::StepPlan;
use crate::model::state::StepWord;
use crate::model::state::undo::TakingBack;
use crate::model::target::Target;

/// Where a step is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine::machine) enum Status {
    /// Its needs are not done, or it waits for its turn in a `for_each`.
    Waiting,
    /// `plan` runs.
    Planning,
    /// `apply` runs.
    Applying,
    /// Between two attempts.
    Backoff(Moment),
    /// The items of a `for_each` run.
    Expanded,
    /// Failed for good; a person may retry or skip it until then.
    Asking(Moment),
    /// A new owner reads what has become of its intent.
    Looking,
    /// A new owner makes sure of what is in effect.
    Rejoining,
    Done,
    Failed,
    Skipped,
    /// `undo` runs.
    Undoing,
    /// Between two attempts to undo.
    UndoBackoff(Moment),
    Undone,
    UndoFailed,
}

impl Status {
    pub(in crate::engine::machine) fn is_running(&self) -> bool {
        matches!(self, Self::Planning | Self::Applying | Self::Rejoining | Self::Undoing)
    }

    /// Whether an attempt runs.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Planning | Self::Applying)
    }

    /// Whether it has not begun, or is to begin anew.
    pub(super) fn is_to_run(&self) -> bool {
        matches!(self, Self::Waiting | Self::Backoff(_))
    }

    /// Whether an item takes one of the places of its `for_each`.
    pub(super) fn takes_room(&self) -> bool {
        self.is_running() || matches!(self, Self::Backoff(_))
    }

    /// Whether something of it is waited for: the end of a call, or a moment.
    pub(super) fn is_moving(&self) -> bool {
        self.is_running() || matches!(self, Self::Looking | Self::Backoff(_) | Self::Asking(_) | Self::UndoBackoff(_))
    }

    /// For people.
    pub(in crate::engine::machine) fn word(&self) -> StepWord {
        match self {
            Self::Waiting => StepWord::Waiting,
            Self::Planning | Self::Applying | Self::Expanded => StepWord::Running,
            Self::Backoff(_) => StepWord::AgainSoon,
            Self::Asking(_) | Self::Failed => StepWord::Failed,
            Self::Looking | Self::Rejoining => StepWord::LookedAt,
            Self::Done => StepWord::Done,
            Self::Skipped => StepWord::NotRun,
            Self::Undoing | Self::UndoBackoff(_) => StepWord::BeingPutBack,
            Self::Undone => StepWord::PutBack,
            Self::UndoFailed => StepWord::LeftOver,
        }
    }

    /// Whether its runbook still waits for it. What is being put back had failed before.
    pub(in crate::engine::machine) fn is_open(&self) -> bool {
        !self.is_settled() && !matches!(self, Self::Undoing | Self::UndoBackoff(_))
    }

    /// How far the taking back of its change is.
    pub(in crate::engine::machine) fn taking_back(&self) -> TakingBack {
        match self {
            Self::Undoing | Self::UndoBackoff(_) => TakingBack::UnderWay,
            Self::Undone => TakingBack::Done,
            Self::UndoFailed => TakingBack::Failed,
            _ => TakingBack::NotBegun,
        }
    }

    /// Nothing more happens to it by itself.
    pub(in crate::engine::machine) fn is_settled(&self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Skipped | Self::Undone | Self::UndoFailed)
    }
}

/// A step in motion. Its status, and until when something of it may come late, are changed by [`super::Steps`] alone, which keeps count of them.
#[derive(Clone, Debug)]
pub(in crate::engine::machine) struct Step {
    /// Of an item, that of its `for_each`, with the whole list: all items share one.
    pub(in crate::engine::machine) plan: Arc<StepPlan>,
    pub(in crate::engine::machine) part: Part,
    pub(super) status: Status,
    /// Its place in the order of the runbook files; the fault has none.
    pub(super) place: Option<usize>,
    pub(in crate::engine::machine) attempt: u32,
    pub(in crate::engine::machine) undo_attempt: u32,
    /// Whether its action changes anything.
    pub(in crate::engine::machine) mutates: bool,
    /// Resolved parameters, once known.
    pub(in crate::engine::machine) with: Value,
    pub(in crate::engine::machine) before: Option<Value>,
    pub(in crate::engine::machine) targets: Vec<Target>,
    pub(in crate::engine::machine) output: Value,
    /// The item, for one item of a `for_each`.
    pub(in crate::engine::machine) item: Option<Value>,
    /// For an expanded step: the keys of its items.
    pub(in crate::engine::machine) items: Vec<String>,
    /// What is counted of its items.
    pub(super) counted: Counted,
    /// Its items for which there was no room yet.
    pub(super) parked: Parked,
    /// Cut off by us: its failure is no failure of its own.
    pub(in crate::engine::machine) cancelled: bool,
    /// Whether its intent could not be stored, and nothing of it was sent.
    pub(in crate::engine::machine) unsent: bool,
    /// Why a person does without it, once its running attempt has ended.
    pub(in crate::engine::machine) skip: Option<String>,
    /// Whether, skipped, somebody or its file does without it; else it only missed its turn.
    pub(in crate::engine::machine) is_left_out: bool,
    /// Attempts that were made before a person asked for more.
    pub(in crate::engine::machine) forgiven: u32,
    /// Until when a change that was sent may still arrive although nobody heard of its end.
    pub(super) late: Option<Moment>,
    /// Whether it was in effect, as far as the journal knows, when this process took the run over.
    pub(in crate::engine::machine) stood: bool,
    /// Whether it does something that nothing can put back, be it by the hands of a person.
    pub(in crate::engine::machine) lasting: bool,
    /// When it was last put back.
    pub(in crate::engine::machine) undone_at: Moment,
    /// What a new owner sees of it while it still moves.
    pub(super) look: Option<resume::Look>,
    /// How many of its needs are not satisfied yet.
    pub(in crate::engine::machine) open_needs: usize,
    /// Keys of the steps that need this one.
    pub(in crate::engine::machine) dependents: Vec<String>,
    /// What its expressions refer to.
    pub(in crate::engine::machine) names: Arc<Names>,
    /// Whether its parameters hold expressions, so that a scope must be made for it.
    pub(in crate::engine::machine) has_expressions: bool,
}

/// What is known of the items of a `for_each` without looking at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Those to which something will still happen.
    pub(super) unsettled: usize,
    /// Those that take one of its places.
    pub(super) in_room: usize,
}

impl Step {
    /// A step that has not begun.
    pub(in crate::engine::machine) fn new(plan: StepPlan, part: Part, mutates: bool) -> Self {
        let (open_needs, has_expressions, names) = (plan.needs.len(), has_expressions(&plan.with), names_of(&plan));
        Self { open_needs, has_expressions, ..Self::fresh(Arc::new(plan), Arc::new(names), part, mutates) }
    }

    /// An item of this `for_each` that has not begun.
    pub(in crate::engine::machine) fn of_item(&self, item: Value) -> Self {
        let fresh = Self::fresh(self.plan.clone(), self.names.clone(), self.part, self.mutates);
        Self { item: Some(item), has_expressions: self.has_expressions, ..fresh }
    }

    fn fresh(plan: Arc<StepPlan>, names: Arc<Names>, part: Part, mutates: bool) -> Self {
        Self {
            plan,
            names,
            part,
            mutates,
            status: Status::Waiting,
            place: None,
            attempt: 0,
            undo_attempt: 0,
            with: Value::Null,
            before: None,
            targets: Vec::new(),
            output: Value::Null,
            item: None,
            items: Vec::new(),
            counted: Counted::default(),
            parked: Parked::default(),
            cancelled: false,
            unsent: false,
            skip: None,
            is_left_out: false,
            forgiven: 0,
            late: None,
            stood: false,
            lasting: false,
            undone_at: Moment::ZERO,
            look: None,
            open_needs: 0,
            dependents: Vec::new(),
            has_expressions: false,
        }
    }

    /// The same, as a former owner left it.
    pub(in crate::engine::machine) fn left_as(self, status: Status, late: Option<Moment>) -> Self {
        Self { status, late, ..self }
    }

    pub(in crate::engine::machine) const fn status(&self) -> &Status {
        &self.status
    }

    pub(in crate::engine::machine) const fn late(&self) -> Option<Moment> {
        self.late
    }

    /// What a new owner sees of it while it still moves.
    pub(in crate::engine::machine) const fn look(&self) -> Option<&resume::Look> {
        self.look.as_ref()
    }

    /// Until when something of it may still arrive although it was put back.
    pub(in crate::engine::machine) fn comes_late(&self) -> Option<Moment> {
        self.late.filter(|late| self.status == Status::Undone && self.undone_at < *late)
    }
}
