//! The lease of a fault and the marks that carry it: what is written on cloud objects *before* a fault changes anything, so that whoever finds the
//! marks can undo it when the run that injected it is gone.
//!
//! The run renews the lease while it lives ([`crate::engine::machine`] says when); the marks are taken off when the fault is out.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::ActionError;
use crate::model::time::Timestamp;
use crate::ports::Cloud;

/// A cloud object that can carry marks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Anchor {
    /// Whose.
    pub cloud: Cloud,
    /// Where; empty for the environment's own region.
    pub region: String,
    /// What it is, in the words of [`crate::model::target::Target::kind`].
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// What the marks of a fault say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The run that injected it.
    pub run: String,
    /// The step's key.
    pub step: String,
    /// When the lease runs out.
    pub until: Timestamp,
    /// The action.
    pub uses: String,
    /// Its resolved parameters; secrets by reference.
    pub with: Value,
    /// What undo restores.
    pub before: Value,
}

/// The outcome of writing marks.
pub type Marked<'a> = Pin<Box<dyn Future<Output = Result<(), ActionError>> + Send + 'a>>;

/// Writes marks. Every call is idempotent.
pub trait Marker: Send + Sync {
    /// Writes `mark` on every anchor and sees that it is there. Called before the fault's first change.
    fn put<'a>(&'a self, anchors: &'a [Anchor], mark: &'a Mark) -> Marked<'a>;

    /// Moves the end of the lease to that of `mark`. [`ActionError::Conflict`] when the marks are gone, another run's, or say something else: somebody has ended
    /// the lease.
    fn renew<'a>(&'a self, anchors: &'a [Anchor], mark: &'a Mark) -> Marked<'a>;

    /// Takes the marks of `run` off; those that are gone already are no error.
    fn clear<'a>(&'a self, anchors: &'a [Anchor], run: &'a str) -> Marked<'a>;
}

/// Marks nothing: for worlds whose faults end with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMarks;

impl Marker for NoMarks {
    fn put<'a>(&'a self, _: &'a [Anchor], _: &'a Mark) -> Marked<'a> {
        Box::pin(async { Ok(()) })
    }

    fn renew<'a>(&'a self, _: &'a [Anchor], _: &'a Mark) -> Marked<'a> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a [Anchor], _: &'a str) -> Marked<'a> {
        Box::pin(async { Ok(()) })
    }
}
