//! From the word and the parameters of a step, or of a probe, to what runs: here and nowhere else.
//!
//! Every caller gets the same checks in the same order and the same words: the word is known; expressions are resolved; a secret stands only where it decides
//! nothing; none where everybody can read it; no reference came out of an answer; secrets are read; the rest fits.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::action::{ActionType, DynAction, ParamError};
use super::probe::{DynProbe, ProbeType};
use super::secrets;
use crate::model::credentials::has_reference;
use crate::model::expression;
use crate::model::failure::{Failure, FailureKind};

/// What an action is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be planned and applied: all its secrets are read.
    Do,
    /// To look at what it did, or to put that back. Secrets are read only if undo needs them: what was changed weeks ago must not stay because a token of
    /// then is gone. Where they stand is not asked any more: what older runs did is put back.
    Undo,
}

/// The word and the parameters of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated<'a> {
    pub(super) uses: &'a str,
    with: &'a Value,
    /// What its expressions see; `None` = they were resolved when its intent, or its mark, was written.
    scope: Option<&'a Value>,
}

impl<'a> Stated<'a> {
    /// As a plan has it: expressions in it see `scope`.
    pub(crate) const fn planned(uses: &'a str, with: &'a Value, scope: &'a Value) -> Self {
        Self { uses, with, scope: Some(scope) }
    }

    /// As an intent or a mark has it: what looks like an expression there is none.
    pub(crate) const fn intended(uses: &'a str, with: &'a Value) -> Self {
        Self { uses, with, scope: None }
    }
}

/// An action that can be called.
pub(crate) struct Ready<'a, W> {
    pub(crate) action: Arc<dyn DynAction<W>>,
    /// Its parameters, resolved; secrets still by reference.
    pub(crate) with: Cow<'a, Value>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unready {
    /// An expression has no value, as far as is known now.
    Unresolved(Failure),
    /// Everything has a value, and it cannot be so.
    Refused(Failure),
}

impl Unready {
    /// As the journal keeps it.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Unresolved(failure) | Self::Refused(failure) => failure,
        }
    }
}

impl From<Failure> for Unready {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// The action of a step; `row`: that of its word in the table, if there is one.
///
/// # Errors
/// [`Unready`]; a failure is of the kind [`FailureKind::Parameters`] and quotes no secret.
pub(crate) fn action<'a, W>(row: Option<&ActionType<W>>, stated: Stated<'a>, purpose: Purpose) -> Result<Ready<'a, W>, Unready> {
    let Stated { uses, with: written, scope } = stated;
    let row = row.ok_or_else(|| unknown("action", uses))?;
    let with = match scope {
        Some(scope) => Cow::Owned(expression::resolve(written, scope).map_err(|error| Unready::Unresolved(refused(error.to_string())))?),
        None => Cow::Borrowed(written),
    };
    if purpose == Purpose::Do {
        secrets::are_placed(row.secrets, &with)?;
    }
    secrets::are_not_shown(row.shown, &with)?;
    secrets::are_as_written(written, &with)?;
    if purpose == Purpose::Undo
        && has_reference(&with)
        && let Ok(action) = (row.parse)(&secrets::unasked(&with))
        && !action.undo_needs_secrets()
    {
        return Ok(Ready { action, with });
    }
    let revealed = secrets::reveal(&with)?;
    let action = (row.parse)(&revealed).map_err(|error| unfit(error, revealed != *with))?;
    Ok(Ready { action, with })
}

/// The probe with these parameters; `row`: that of its kind in the table, if there is one. Where references are not followed, a text that is no secret takes
/// the place of each, so that the probe fails and the run goes on.
///
/// # Errors
/// As [`action`].
pub(crate) fn probe<W>(row: Option<&ProbeType<W>>, uses: &str, with: &Value) -> Result<Arc<dyn DynProbe<W>>, Failure> {
    let row = row.ok_or_else(|| unknown("kind of probe", uses))?;
    let revealed = secrets::reveal_for_probe(with)?;
    (row.parse)(&revealed).map_err(|error| unfit(error, revealed != *with))
}

fn unknown(what: &str, uses: &str) -> Failure {
    refused(format!("this Lifeboat knows no {what} `{uses}`; use the one that wrote it"))
}

/// What does not fit is quoted in the message of the reader: a secret must not be.
fn unfit(error: ParamError, has_secret: bool) -> Failure {
    let message = if has_secret { "does not fit (not shown: the parameters hold a secret)".to_owned() } else { error.message };
    refused(if error.path.is_empty() { message } else { format!("{}: {message}", error.path) })
}

fn refused(message: String) -> Failure {
    Failure::new(FailureKind::Parameters, message)
}
