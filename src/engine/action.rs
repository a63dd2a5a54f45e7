//! What an author of an action writes, and the erased form in which the engine runs it.
//!
//! A file in `catalogue/actions/` holds one parameter struct that implements [`Action`]; one line in the catalogue's table registers it.
//! Command-line list, JSON Schema, docs, dry run, undo and the failure sweeps follow from that row.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::board::Board;
use super::desk::Desk;
use super::foreseen::{Foreseen, NOTHING};
use super::lease::Anchor;
use super::operations::Operations;
use super::place::Acts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::target::Target;
use crate::model::time::Span;
use crate::ports::CloudError;

/// What an action is given.
pub struct Cx<'a, W> {
    /// Clouds, hosts, settings.
    pub world: &'a W,
    /// The run's id: goes into marks and tokens.
    pub run: &'a str,
    /// The step's key, such as `failover/shift-dns`.
    pub step: &'a str,
    /// States of the probes.
    pub board: &'a Board,
    /// Where people are asked.
    pub desk: &'a Desk,
    /// Shows a line while the step runs.
    pub progress: &'a (dyn Fn(String) + Send + Sync),
    /// Says what is no failure but must be known: it stands in the plan, on the screen, in the journal and in the report.
    pub warn: &'a (dyn Fn(String) + Send + Sync),
    /// What earlier steps will have changed, when this is a dry run.
    pub foreseen: &'a Foreseen,
    /// Tells the engine that the last change was accepted and what follows is verification; call it once, after the last mutating call.
    pub accepted: &'a (dyn Fn() + Send + Sync),
}

impl<'a, W> Cx<'a, W> {
    /// For looking at or undoing a step outside a run: nobody hears what it says, and nothing is foreseen.
    #[must_use]
    pub fn unheard(world: &'a W, run: &'a str, step: &'a str, board: &'a Board, desk: &'a Desk) -> Self {
        Self { world, run, step, board, desk, progress: &|_| {}, warn: &|_| {}, foreseen: &NOTHING, accepted: &|| {} }
    }
}

/// An action: the parameter struct *is* the action. Its doc comment is its help text.
///
/// The engine calls `plan`, journals what it returned, then calls `apply` with it; after a failure or an ambiguous outcome it calls `apply` again with the *same* `before`.
/// `apply` and `undo` are therefore idempotent: they look first and do only what is missing.
pub trait Action<W>: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The word in a scenario: `provider.service.verb-object`.
    const KIND: &'static str;
    /// Its parameters as they are written below `with:`, in YAML: on one line, or on several with any common indentation. Help, schema and reference show them, and
    /// the tests of the whole catalogue use them; so the things that they name are those of the shipped lab, by its variables, and there they change something.
    const EXAMPLE: &'static str = "";
    /// Where it acts, as far as its parameters tell: guards of regions and accounts go by it.
    const ACTS: Acts;
    /// The vendor operations that it may call.
    const CALLS: Operations;
    /// Whether it harms: a fault is held and always undone.
    const FAULT: bool = false;
    /// The longest that a fault may be held, when what it acts on cannot be brought back after that, and why.
    const LONGEST: Option<(Span, &'static str)> = None;
    /// Whether it changes anything. An action that only reads or waits needs no intent and no undo.
    const MUTATES: bool = true;
    /// Whether it leads users elsewhere: taking it back leads them to where they were before.
    const LEADS: bool = false;
    /// Parameters whose texts may name files of this machine that the action runs or reads.
    const READS: &'static [&'static str] = &[];
    /// Parameters in which a secret may stand, with everything beneath them: `headers`, or `source.password`. Never what decides what is acted on, where, or
    /// whether a guard lets it.
    const SECRETS: &'static [&'static str] = &[];
    /// Parameters that everybody on this machine can read while the action runs: no secret may stand in them.
    const SHOWN: &'static [&'static str] = &[];
    /// What undo restores. Recorded before anything is changed; holds intent (subnet → ACL), never ids that change on a swap.
    type Before: Serialize + DeserializeOwned + Send + Sync;
    /// What later steps may use as `steps.ID.output.FIELD`. Its default shows `validate` which fields there are and of which type.
    type Output: Serialize + DeserializeOwned + Default + JsonSchema + Send;

    /// The cloud objects that shall carry a fault's marks, from which `lifeboat reaper` finds and undoes it when its run is gone. Of faults only; they
    /// must outlive the fault itself, so never something that it creates or deletes. Empty = the fault cannot be found without its journal.
    fn anchors(&self, before: &Self::Before) -> Vec<Anchor> {
        let _ = before;
        Vec::new()
    }

    /// Whether undo uses the secrets of its parameters: where it does not, they are not asked for.
    fn undo_needs_secrets(&self) -> bool {
        true
    }

    /// Reads only: what is there now, what would change, by which calls.
    fn plan(&self, cx: &Cx<'_, W>) -> impl Future<Output = Result<Planned<Self::Before>, ActionError>> + Send;

    /// Changes what is not yet as asked, then waits until the effect is seen. Everything already as asked is success with `already`.
    fn apply(&self, cx: &Cx<'_, W>, before: &Self::Before) -> impl Future<Output = Result<Applied<Self::Output>, ActionError>> + Send;

    /// What of the fault is there now, for whoever has nothing but its marks and would undo it. Of faults with anchors only, which must tell it from what
    /// they find and not from what the marks say: a healthy thing must not be taken for a broken one. Reads only.
    fn stands(&self, cx: &Cx<'_, W>, before: &Self::Before) -> impl Future<Output = Result<Stands, ActionError>> + Send {
        let _ = (cx, before);
        async { Err(ActionError::Parameters(format!("whether `{}` stands cannot be told", Self::KIND))) }
    }

    /// Restores `before` and waits until it is seen. Refuses with [`ActionError::Conflict`] where what is there is neither `before` nor what `apply` makes.
    fn undo(&self, cx: &Cx<'_, W>, before: &Self::Before) -> impl Future<Output = Result<Undone, ActionError>> + Send;
}

/// What `plan` found.
#[derive(Debug, Clone)]
pub struct Planned<B> {
    /// What undo will restore.
    pub before: B,
    /// Everything that will be acted on, with what changes about it. Empty = the action has nothing to act on, which fails unless it does not mutate.
    pub targets: Vec<Target>,
    /// The API calls it would make, in order.
    pub calls: Vec<PlannedCall>,
    /// What undo cannot restore, one line each; empty = everything. It is journalled ahead of the change and told wherever it is said what is left.
    pub not_undone: Vec<String>,
    /// Whether that is all there is: the action has no undo, which then answers [`Undone::Impossible`].
    pub irrevocable: bool,
    /// What whoever reads the plan has to know beside all that, one line each.
    pub notes: Vec<String>,
    /// The API calls that its undo would make, in order.
    pub undo: Vec<PlannedCall>,
    /// Places in `targets` of what stands at a stop that the action itself makes on its way: a former owner of the run may have died there.
    pub midway: BTreeSet<usize>,
}

impl<B> Planned<B> {
    /// Targets and calls with complete undo.
    #[must_use]
    pub fn new(before: B, targets: Vec<Target>, calls: Vec<PlannedCall>) -> Self {
        Self { before, targets, calls, not_undone: Vec::new(), notes: Vec::new(), undo: Vec::new(), irrevocable: false, midway: BTreeSet::new() }
    }

    /// The same of an action that nothing can take back: `what` it does, in one line.
    #[must_use]
    pub fn irrevocable(mut self, what: impl Into<String>) -> Self {
        self.not_undone.push(what.into());
        self.irrevocable = true;
        self
    }

    /// With the calls that undo would make.
    #[must_use]
    pub fn undone_by(mut self, undo: Vec<PlannedCall>) -> Self {
        self.undo = undo;
        self
    }
}

/// A call an action would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedCall {
    /// Vendor's name, such as `ec2:StartInstances`.
    pub operation: String,
    /// What about, such as ids.
    pub subject: String,
    /// Whether it changes anything.
    pub mutating: bool,
}

impl PlannedCall {
    /// A call that only reads.
    pub fn read(operation: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { operation: operation.into(), subject: subject.into(), mutating: false }
    }

    /// A call that changes something.
    pub fn write(operation: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { operation: operation.into(), subject: subject.into(), mutating: true }
    }
}

/// What `apply` did.
#[derive(Debug, Clone, Default)]
pub struct Applied<O> {
    /// For later steps.
    pub output: O,
    /// Whether nothing had to be changed.
    pub already: bool,
}

impl<O> Applied<O> {
    /// Something was changed.
    pub fn changed(output: O) -> Self {
        Self { output, already: false }
    }

    /// Everything already was as asked.
    pub fn already(output: O) -> Self {
        Self { output, already: true }
    }
}

/// What `undo` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// Put back.
    Restored,
    /// Was already as before.
    Already,
    /// Nothing was put back: the action has no undo. Never said where there was nothing to put back.
    Impossible,
}

/// What of a fault is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// All of it, or a part that is to be put back.
    Here,
    /// Nothing: it is as before the fault.
    Gone,
    /// Nothing, and it is not as before either; in one line.
    Otherwise(String),
}

/// Why an action did not work.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// A cloud call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// Nothing matched.
    #[error("{0}")]
    NoTargets(String),
    /// The calls succeeded but the effect is not there.
    #[error("{0}")]
    NoEffect(String),
    /// A check said no.
    #[error("{0}")]
    Check(String),
    /// Somebody else changed it.
    #[error("{what} was changed by someone else: expected {expected}, found {found}; left as it is")]
    Conflict {
        /// Which thing.
        what: String,
        /// What this run left or found there.
        expected: String,
        /// What is there now.
        found: String,
    },
    /// The parameters make no sense together.
    #[error("{0}")]
    Parameters(String),
    /// Something else; the flag says whether a retry can help.
    #[error("{message}")]
    Other {
        /// One line.
        message: String,
        /// Whether to try again.
        retry: bool,
    },
}

impl ActionError {
    /// As the journal keeps it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let kind = match self {
            Self::Cloud(_) => FailureKind::Cloud,
            Self::NoTargets(_) => FailureKind::NoTargets,
            Self::NoEffect(_) => FailureKind::NoEffect,
            Self::Check(_) | Self::Other { .. } => FailureKind::Check,
            Self::Conflict { .. } => FailureKind::Conflict,
            Self::Parameters(_) => FailureKind::Parameters,
        };
        let mut failure = Failure::new(kind, self.to_string());
        failure.retry = match self {
            Self::Cloud(error) => error.retry || error.ambiguous,
            Self::NoTargets(_) | Self::Parameters(_) | Self::Conflict { .. } => false,
            Self::NoEffect(_) | Self::Check(_) => true,
            Self::Other { retry, .. } => *retry,
        };
        if let Self::Cloud(error) = self {
            failure.ambiguous = error.ambiguous;
            failure.retry_after_ms = error.retry_after.and_then(|asked| u64::try_from(asked.as_millis()).ok());
        }
        failure
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, ActionError>> + Send + 'a>>;

/// An action with its types erased: `before` and output are JSON, as the journal keeps them. Written by nobody; see the blanket implementation.
pub trait DynAction<W>: Send + Sync {
    /// See [`Action::anchors`].
    ///
    /// # Errors
    /// When `before` is not one of this action's.
    fn anchors(&self, before: &Value) -> Result<Vec<Anchor>, ActionError>;
    /// See [`Action::undo_needs_secrets`].
    fn undo_needs_secrets(&self) -> bool;
    /// See [`Action::plan`].
    fn plan<'a>(&'a self, cx: &'a Cx<'a, W>) -> Boxed<'a, Planned<Value>>;
    /// See [`Action::apply`].
    fn apply<'a>(&'a self, cx: &'a Cx<'a, W>, before: &'a Value) -> Boxed<'a, Applied<Value>>;
    /// See [`Action::stands`].
    fn stands<'a>(&'a self, cx: &'a Cx<'a, W>, before: &'a Value) -> Boxed<'a, Stands>;
    /// See [`Action::undo`].
    fn undo<'a>(&'a self, cx: &'a Cx<'a, W>, before: &'a Value) -> Boxed<'a, Undone>;
}

impl<W: Send + Sync, A: Action<W>> DynAction<W> for A {
    fn anchors(&self, before: &Value) -> Result<Vec<Anchor>, ActionError> {
        Ok(Action::anchors(self, &from_json(before)?))
    }

    fn undo_needs_secrets(&self) -> bool {
        Action::undo_needs_secrets(self)
    }

    fn plan<'a>(&'a self, cx: &'a Cx<'a, W>) -> Boxed<'a, Planned<Value>> {
        Box::pin(async move {
            let Planned { before, targets, calls, not_undone, notes, undo, irrevocable, midway } = Action::plan(self, cx).await?;
            Ok(Planned { before: to_json(&before)?, targets, calls, not_undone, notes, undo, irrevocable, midway })
        })
    }

    fn apply<'a>(&'a self, cx: &'a Cx<'a, W>, before: &'a Value) -> Boxed<'a, Applied<Value>> {
        Box::pin(async move {
            let before = from_json(before)?;
            let Applied { output, already } = Action::apply(self, cx, &before).await?;
            Ok(Applied { output: to_json(&output)?, already })
        })
    }

    fn stands<'a>(&'a self, cx: &'a Cx<'a, W>, before: &'a Value) -> Boxed<'a, Stands> {
        Box::pin(async move { Action::stands(self, cx, &from_json(before)?).await })
    }

    fn undo<'a>(&'a self, cx: &'a Cx<'a, W>, before: &'a Value) -> Boxed<'a, Undone> {
        Box::pin(async move { Action::undo(self, cx, &from_json(before)?).await })
    }
}

fn to_json(value: &impl Serialize) -> Result<Value, ActionError> {
    serde_json::to_value(value).map_err(|error| ActionError::Parameters(format!("cannot be recorded: {error}")))
}

fn from_json<T: DeserializeOwned>(value: &Value) -> Result<T, ActionError> {
    T::deserialize(value).map_err(|error| ActionError::Parameters(format!("the recorded state cannot be read: {error}")))
}

/// Parameters that do not fit: where in them, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// Path inside the parameters, such as `instances.tags`; empty = the whole.
    pub path: String,
    /// Why.
    pub message: String,
}

/// Reads parameters as an action.
pub type ParseAction<W> = fn(&Value) -> Result<Arc<dyn DynAction<W>>, ParamError>;

/// One row of the catalogue's table of actions.
pub struct ActionType<W: 'static> {
    /// The word.
    pub kind: &'static str,
    /// See [`Action::EXAMPLE`].
    pub example: &'static str,
    /// See [`Action::ACTS`].
    pub acts: Acts,
    /// See [`Action::CALLS`].
    pub calls: Operations,
    /// Whether it is a fault.
    pub fault: bool,
    /// The longest that a fault of this kind may be held, and why.
    pub longest: Option<(Span, &'static str)>,
    /// Whether it changes anything.
    pub mutates: bool,
    /// See [`Action::LEADS`].
    pub leads: bool,
    /// See [`Action::READS`].
    pub reads: &'static [&'static str],
    /// See [`Action::SECRETS`].
    pub secrets: &'static [&'static str],
    /// Parameters in which no secret may stand.
    pub shown: &'static [&'static str],
    /// JSON Schema of the parameters; its `description` is the help text.
    pub schema: fn() -> schemars::Schema,
    /// JSON Schema of the output.
    pub output_schema: fn() -> schemars::Schema,
    /// An output with every field at its default, to check references and types against.
    pub output_example: fn() -> Value,
    /// Reads the parameters.
    pub parse: ParseAction<W>,
}

impl<W: Send + Sync + 'static> ActionType<W> {
    /// The row of `A`.
    #[must_use]
    pub const fn of<A: Action<W>>() -> Self {
        Self {
            kind: A::KIND,
            example: A::EXAMPLE,
            acts: A::ACTS,
            calls: A::CALLS,
            fault: A::FAULT,
            longest: A::LONGEST,
            mutates: A::MUTATES,
            leads: A::LEADS,
            reads: A::READS,
            secrets: A::SECRETS,
            shown: A::SHOWN,
            schema: || schemars::schema_for!(A),
            output_schema: || schemars::schema_for!(A::Output),
            output_example: || serde_json::to_value(A::Output::default()).unwrap_or(Value::Null),
            parse: |params| Ok(Arc::new(parse_params::<A>(params)?)),
        }
    }
}

/// Reads a parameter struct and says where it does not fit.
pub(crate) fn parse_params<T: DeserializeOwned>(params: &Value) -> Result<T, ParamError> {
    // Absent parameters and none are the same thing.
    let empty = Value::Object(serde_json::Map::new());
    let params = if params.is_null() { &empty } else { params };
    serde_path_to_error::deserialize(params).map_err(|error| {
        let path = error.path().to_string();
        ParamError { path: if path == "." { String::new() } else { path }, message: error.into_inner().to_string() }
    })
}
