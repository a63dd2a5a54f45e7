//! Events about one step, or about the fault (key `fault`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::call::Call;
use crate::model::failure::Failure;
use crate::model::order::{Question, Witness};
use crate::model::target::Target;

/// Something happened to one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    /// `fault`, `failover/ID`, `failback/ID`, with `[n]` for one item of a `for_each`.
    pub step: String,
    /// What.
    #[serde(flatten)]
    pub kind: StepKind,
}

/// Why a step is not run when the run ends before its turn.
pub const ENDING: &str = "the run is ending";
/// Why a step is not run when one before it has failed.
pub const EARLIER_FAILED: &str = "an earlier step failed";

/// Whether a step that was not run for this reason only missed its turn; for any other, somebody or its file does without it.
#[must_use]
pub fn is_put_off(why: &str) -> bool {
    matches!(why, ENDING | EARLIER_FAILED)
}

/// What happened to the step. Order of one that goes well: started, intended, (call…), applied; later perhaps undoing, (call…), undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum StepKind {
    /// An attempt began: reading what is there now.
    Started {
        /// From 1.
        attempt: u32,
    },
    /// About to change things: the intent. On stable storage before the first mutating call. Absent for actions that change nothing.
    Intended {
        /// From 1. Later attempts repeat no intent: they act with the first one's `before`.
        attempt: u32,
        /// The action.
        uses: String,
        /// Its parameters, fully resolved, secrets by reference.
        with: Value,
        /// What was there: what undo restores.
        before: Value,
        /// What it acts on.
        targets: Vec<Target>,
    },
    /// What of it nothing can put back afterwards; before its intent, or, of an action that changes nothing in a cloud, before it begins.
    Irrevocable {
        /// One line each.
        what: Vec<String>,
        /// Whether that is all it does: it has no undo.
        all: bool,
    },
    /// One attempt of one API call ended.
    Call {
        /// The call.
        call: Call,
    },
    /// Something worth showing while it runs.
    Progress {
        /// One line.
        text: String,
    },
    /// No failure, but something that must be known: some of many did not follow, or what was done could not be confirmed.
    Warned {
        /// One line.
        text: String,
    },
    /// It waits for people.
    Asked {
        /// What it wants to know.
        question: Question,
    },
    /// Somebody answered.
    Answered {
        /// Yes or done.
        yes: bool,
        /// For whom it counts.
        by: String,
        /// What they said about it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
        /// Whether the rehearsal answered by itself.
        #[serde(default)]
        simulated: bool,
        /// From whom it really came.
        #[serde(default, skip_serializing_if = "Witness::is_nothing")]
        witness: Witness,
    },
    /// What a new owner found in the clouds of an intent whose end is not in the journal.
    Found {
        /// Whether it was done.
        done: Found,
        /// On what ground, in one line.
        detail: String,
    },
    /// An attempt failed.
    AttemptFailed {
        /// From 1.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// Milliseconds until the next attempt; absent = this was the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
    },
    /// Done, and the effect was seen.
    Applied {
        /// The attempt that succeeded.
        attempt: u32,
        /// What later steps may use.
        output: Value,
        /// Whether everything already was as asked.
        already: bool,
        /// Milliseconds from the start of the attempt to the acceptance of its last change; the rest of the attempt was verification.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted_ms: Option<u64>,
    },
    /// All attempts failed.
    Failed {
        /// Why the last one did.
        failure: Failure,
    },
    /// Not run.
    Skipped {
        /// Why, in one line.
        why: String,
    },
    /// About to restore `before`.
    Undoing {
        /// From 1.
        attempt: u32,
    },
    /// `before` is there again and was seen.
    Undone {
        /// Whether it already was.
        already: bool,
    },
    /// Nothing was put back, and nothing will be: its action has no undo.
    NotUndone,
    /// It could not be restored: something is left over.
    UndoFailed {
        /// Why; a conflict says both values.
        failure: Failure,
    },
    /// A person takes what is there as it is: nothing of it is put back any more.
    Accepted {
        /// Who.
        by: String,
        /// Why.
        why: String,
        /// What was there then, beside what was there before the run, in one line; or why it could not be read.
        there: String,
        /// What was read, in the form of `before`; absent when it could not be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is: Option<Value>,
    },
}

/// What had become of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Everything is as the step was to make it.
    Done,
    /// Everything is as it was before.
    NotDone,
    /// Neither, or it cannot be read.
    Unknown,
}
