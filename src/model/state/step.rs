//! The state of one step, or of the fault, with the table of its legal transitions.

use serde_json::Value;

use super::undo::TakingBack;
use crate::model::call::Call;
use crate::model::event::Event;
use crate::model::event::step::{Found, StepKind, is_put_off};
use crate::model::failure::{Failure, FailureKind};
use crate::model::order::{Question, Witness};
use crate::model::target::Target;
use crate::model::time::Timestamp;

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// An attempt runs.
    Running,
    /// An attempt failed; another may follow.
    Retrying,
    /// Done.
    Applied,
    /// All attempts failed.
    Failed,
    /// Not run, and it will not be.
    Skipped,
    /// Being put back.
    Undoing,
    /// Put back.
    Undone,
    /// Could not be put back.
    UndoFailed,
    /// A person took what is there as it is.
    Accepted,
}

/// That a person took what is there of a step as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// What was there.
    pub there: String,
}

/// Everything known of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// Where it stands.
    pub status: Status,
    /// Attempts begun.
    pub attempts: u32,
    /// Since when nothing but its turn was in its way.
    pub ready: Option<Timestamp>,
    /// When its first attempt began.
    pub started: Option<Timestamp>,
    /// When its latest attempt began.
    pub attempt_started: Option<Timestamp>,
    /// What it was about to change; absent when it never got that far or changes nothing.
    pub intent: Option<Intent>,
    /// What of it nothing can put back, one line each; empty = all of it can be.
    pub irrevocable: Vec<String>,
    /// Whether nothing of it can be put back.
    pub has_no_undo: bool,
    /// When its last change was accepted; what followed was verification.
    pub accepted: Option<Timestamp>,
    /// When it was applied, failed or skipped.
    pub ended: Option<Timestamp>,
    /// Whether it was applied at some time, even when undone later.
    pub applied: bool,
    /// Whether everything already was as asked.
    pub already: bool,
    /// What later steps may use.
    pub output: Option<Value>,
    /// Failures of single attempts, with their numbers.
    pub attempt_failures: Vec<(u32, Failure)>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Why it was skipped.
    pub skipped: Option<String>,
    /// What it asks people, with since when.
    pub question: Option<(Timestamp, Question)>,
    /// What they answered, the last time it asked.
    pub answers: Vec<Answer>,
    /// What a new owner found of it in the clouds.
    pub found: Option<(Found, String)>,
    /// Attempts to undo it.
    pub undo_attempts: u32,
    /// When the first attempt to undo it began.
    pub undoing: Option<Timestamp>,
    /// When it was put back, or could not be.
    pub undo_ended: Option<Timestamp>,
    /// Whether it already was as before when it was to be put back.
    pub undone_already: bool,
    /// Why it could not be put back.
    pub undo_failure: Option<Failure>,
    /// That a person took what is there of it as it is.
    pub acceptance: Option<Acceptance>,
    /// Its calls with the time each ended.
    pub calls: Vec<StepCall>,
    /// The latest line of progress.
    pub progress: Option<String>,
    /// What must be known though it is no failure, each once.
    pub warnings: Vec<String>,
    /// Whether an owner died while it was about to change something: what it had sent, nobody knows.
    pub lost: bool,
    /// Whether the present owner found it done and makes sure of it: what it sends for that is on no record.
    rejoined: bool,
    /// Epoch of its last transition: a new owner may begin an attempt anew.
    epoch: u64,
}

/// What a step was about to change, as journalled before the first change.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// Number of the event: intents are undone in the reverse order of these.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The action.
    pub uses: String,
    /// Its resolved parameters.
    pub with: Value,
    /// What was there.
    pub before: Value,
    /// What it acts on.
    pub targets: Vec<Target>,
}

/// What somebody answered to an approval or a manual step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// Yes or done.
    pub yes: bool,
    /// Who.
    pub by: String,
    /// What they said about it.
    pub note: String,
    /// Whether the rehearsal answered by itself.
    pub simulated: bool,
    /// From whom it really came.
    pub witness: Witness,
}

/// A call of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepCall {
    /// Number of its event.
    pub seq: u64,
    /// When it ended.
    pub at: Timestamp,
    /// Whether it was made while putting the step back.
    pub undo: bool,
    /// The call.
    pub call: Call,
}

impl StepState {
    /// Whether it may have changed something that is not put back.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.intent.is_some() && self.taking_back().is_held()
    }

    /// How far the taking back of its change is.
    #[must_use]
    pub const fn taking_back(&self) -> TakingBack {
        match self.status {
            Status::Undoing => TakingBack::UnderWay,
            Status::Undone => TakingBack::Done,
            Status::UndoFailed => TakingBack::Failed,
            Status::Accepted => TakingBack::Accepted,
            _ => TakingBack::NotBegun,
        }
    }

    /// Whether it has, or may have, changed something at all. A step that found everything as asked has not, nor has one whose every changing call was refused.
    #[must_use]
    pub fn may_have_changed(&self) -> bool {
        if self.lost {
            return true;
        }
        if self.intent.is_none() {
            // What people did by hand has no intent; a rehearsal that answers by itself did nothing.
            let by_nobody = !self.answers.is_empty() && self.answers.iter().all(|answer| answer.simulated);
            return self.applied && !self.irrevocable.is_empty() && !by_nobody;
        }
        let mut failures = self.attempt_failures.iter().map(|(_, failure)| failure).chain(&self.failure);
        if failures.any(|failure| failure.ambiguous || failure.kind == FailureKind::Timeout) {
            return true;
        }
        let own = || self.calls.iter().filter(|call| !call.undo);
        if own().any(|call| call.call.mutating) {
            return own().any(|call| call.call.may_have_changed());
        }
        match self.status {
            // It waits for its turn to be cut off, or is in the middle of something.
            Status::Running | Status::Retrying => true,
            // Commands and requests of one's own make no call that is recorded: what they answered is all that is known.
            _ if self.applied => !self.already && own().next().is_none(),
            _ => {
                own().next().is_none()
                    && self
                        .failure
                        .as_ref()
                        .is_none_or(|failure| matches!(failure.kind, FailureKind::Check | FailureKind::Cancelled | FailureKind::Internal))
            }
        }
    }

    /// Whether nothing more happens to it by itself: applied, failed or skipped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self.status, Status::Pending | Status::Running | Status::Retrying)
    }

    /// Who has said yes to what it asks and is not done with.
    pub fn agreed(&self) -> impl Iterator<Item = &Answer> {
        let counts = self.status == Status::Running && self.answers.iter().all(|answer| answer.yes && !answer.simulated);
        self.answers.iter().filter(move |_| counts)
    }

    /// Its owner is gone.
    pub(super) fn taken_over(&mut self) {
        self.lost |= self.intent.is_some() && (self.rejoined || matches!(self.status, Status::Running | Status::Retrying));
        self.rejoined = false;
    }

    /// A person wants a failed step to be tried again.
    pub(super) fn reopen(&mut self) {
        if self.status == Status::Failed {
            self.status = Status::Retrying;
            self.failure = None;
            self.ended = None;
        }
    }

    /// Whether it did not run, or not well, and would be taken up again with its run.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        match self.status {
            Status::Failed | Status::Undone | Status::UndoFailed | Status::Retrying => true,
            Status::Skipped => self.skipped.as_deref().is_some_and(is_put_off),
            Status::Pending | Status::Running | Status::Applied | Status::Undoing | Status::Accepted => false,
        }
    }

    /// Its run had ended and is gone on with.
    pub(super) fn go_on(&mut self) {
        if !self.may_go_on() {
            return;
        }
        match self.status {
            // Nothing of it is left: it begins anew, with what is there then.
            Status::Skipped | Status::Undone if !self.has_no_undo => {
                let (attempts, calls, attempt_failures) =
                    (self.attempts, std::mem::take(&mut self.calls), std::mem::take(&mut self.attempt_failures));
                *self = Self { attempts, calls, attempt_failures, epoch: self.epoch, ..Self::default() };
            }
            _ => {
                self.status = Status::Retrying;
                (self.failure, self.ended) = (None, None);
                (self.undoing, self.undo_ended, self.undo_failure) = (None, None, None);
            }
        }
    }

    /// Its items are gone on with, and it with them.
    pub(super) fn go_on_with_items(&mut self) {
        if self.status == Status::Retrying {
            self.status = Status::Running;
        }
    }

    /// Takes one event in; on an error nothing was changed.
    pub(super) fn apply(&mut self, event: &Event, ready: Option<Timestamp>, kind: &StepKind) -> Result<(), String> {
        let at = event.at;
        let status = self.next(kind, event.epoch > self.epoch)?;
        match kind {
            StepKind::Started { attempt } => {
                self.attempts = (*attempt).max(self.attempts);
                self.ready = self.ready.or(ready);
                self.started = self.started.or(Some(at));
                self.attempt_started = Some(at);
            }
            StepKind::Intended { uses, with, before, targets, .. } => {
                self.intent =
                    Some(Intent { seq: event.seq, at, uses: uses.clone(), with: with.clone(), before: before.clone(), targets: targets.clone() });
            }
            StepKind::Irrevocable { what, all } => (self.irrevocable, self.has_no_undo) = (what.clone(), *all),
            StepKind::Call { call } => self.calls.push(StepCall { seq: event.seq, at, undo: self.undoing.is_some(), call: call.clone() }),
            StepKind::Progress { text } => self.progress = Some(text.clone()),
            StepKind::Warned { text } => {
                if !self.warnings.contains(text) {
                    self.warnings.push(text.clone());
                }
            }
            StepKind::Asked { question } => {
                self.question = Some((at, question.clone()));
                // Who answered an earlier attempt is asked again.
                self.answers.clear();
            }
            StepKind::Answered { yes, by, note, simulated, witness } => {
                let (by, note, witness) = (by.clone(), note.clone(), witness.clone());
                self.answers.push(Answer { at, yes: *yes, by, note, simulated: *simulated, witness });
            }
            StepKind::Found { done, detail } => {
                self.rejoined = *done == Found::Done && self.status == Status::Applied;
                self.found = Some((*done, detail.clone()));
            }
            StepKind::AttemptFailed { attempt, failure, .. } => self.attempt_failures.push((*attempt, failure.clone())),
            StepKind::Applied { output, already, accepted_ms, .. } => {
                self.ended = Some(at);
                self.applied = true;
                self.already = *already;
                self.output = Some(output.clone());
                let accepted = |begun: Timestamp, ms: u64| begun.plus(std::time::Duration::from_millis(ms)).min(at);
                self.accepted = self.attempt_started.zip(*accepted_ms).map(|(begun, ms)| accepted(begun, ms));
            }
            StepKind::Failed { failure } => {
                self.ended = Some(at);
                self.failure = Some(failure.clone());
            }
            StepKind::Skipped { why } => {
                self.ended = Some(at);
                self.skipped = Some(why.clone());
            }
            StepKind::Undoing { attempt } => {
                self.undo_attempts = (*attempt).max(self.undo_attempts);
                self.undoing = self.undoing.or(Some(at));
                self.undo_failure = None;
            }
            StepKind::Undone { already } => {
                self.undo_ended = Some(at);
                self.undone_already = *already;
            }
            // Its end is that of a step which was put back; what is left of it is told by `irrevocable`.
            StepKind::NotUndone => {
                self.undo_ended = Some(at);
                self.has_no_undo = true;
            }
            StepKind::UndoFailed { failure } => {
                self.undo_ended = Some(at);
                self.undo_failure = Some(failure.clone());
            }
            StepKind::Accepted { by, why, there, .. } => {
                self.acceptance = Some(Acceptance { at, by: by.clone(), why: why.clone(), there: there.clone() });
            }
        }
        // What a new owner only looked at has made no transition under it: it may still begin anew.
        if status != self.status
            || !matches!(kind, StepKind::Call { .. } | StepKind::Progress { .. } | StepKind::Warned { .. } | StepKind::Found { .. })
        {
            self.epoch = event.epoch;
        }
        self.status = status;
        Ok(())
    }

    /// The table of legal transitions. `new_owner`: another process took the run over since the step's last transition, so that what ran then runs no more.
    fn next(&self, kind: &StepKind, new_owner: bool) -> Result<Status, String> {
        use Status::{Accepted, Applied, Failed, Pending, Retrying, Running, Skipped, UndoFailed, Undoing, Undone};
        let intended = self.intent.is_some();
        let next = match (self.status, kind) {
            (Pending | Retrying, StepKind::Started { .. }) => Some(Running),
            (Running, StepKind::Started { .. }) if new_owner => Some(Running),
            (Running, StepKind::Intended { .. }) if !intended => Some(Running),
            (Running, StepKind::Irrevocable { .. }) => Some(Running),
            (Running, StepKind::AttemptFailed { .. }) => Some(Retrying),
            // While it is put back, an attempt to do so may fail and be repeated.
            (Undoing, StepKind::AttemptFailed { .. }) => Some(Undoing),
            (Running, StepKind::Applied { .. }) => Some(Applied),
            (Running | Retrying, StepKind::Failed { .. }) => Some(Failed),
            // A step may fail before its first attempt: its parameters could not be resolved.
            (Pending, StepKind::Failed { .. }) => Some(Failed),
            // A person may do without a step whatever became of it; what it changed stays held.
            (Pending | Running | Retrying | Failed, StepKind::Skipped { .. }) => Some(Skipped),
            (Running, StepKind::Asked { .. } | StepKind::Answered { .. }) => Some(Running),
            // Only a new owner has to look.
            (status, StepKind::Found { .. }) if intended => Some(status),
            // What was cut off in the middle of a call is looked at once more after it was put back: the call may have arrived late.
            (Running | Retrying | Applied | Failed | Skipped | Undoing | UndoFailed | Undone, StepKind::Undoing { .. }) if intended => Some(Undoing),
            (Undoing, StepKind::Undone { .. } | StepKind::NotUndone) => Some(Undone),
            (Undoing, StepKind::UndoFailed { .. }) => Some(UndoFailed),
            // Only a new owner hears of it, and nothing follows it.
            (Running | Retrying | Applied | Failed | Skipped | Undoing | UndoFailed | Undone, StepKind::Accepted { .. }) if intended => {
                Some(Accepted)
            }
            // Answers may come in late, after the step was given up.
            (Pending, StepKind::Call { .. } | StepKind::Progress { .. } | StepKind::Warned { .. }) => None,
            (status, StepKind::Call { .. } | StepKind::Progress { .. } | StepKind::Warned { .. }) => Some(status),
            _ => None,
        };
        next.ok_or_else(|| {
            let intent = if intended { " with an intent" } else { " without an intent" };
            format!("is {:?}{intent} and cannot be {}", self.status, name(kind))
        })
    }
}

/// What an event says of a step, in one word.
fn name(kind: &StepKind) -> &'static str {
    match kind {
        StepKind::Started { .. } => "started",
        StepKind::Intended { .. } => "intended",
        StepKind::Call { .. } => "calling",
        StepKind::Progress { .. } => "making progress",
        StepKind::Warned { .. } => "saying a warning",
        StepKind::Asked { .. } => "asking",
        StepKind::Answered { .. } => "answered",
        StepKind::Found { .. } => "found",
        StepKind::AttemptFailed { .. } => "failing an attempt",
        StepKind::Applied { .. } => "applied",
        StepKind::Failed { .. } => "failed",
        StepKind::Skipped { .. } => "skipped",
        StepKind::Undoing { .. } => "undoing",
        StepKind::Irrevocable { .. } => "irrevocable",
        StepKind::Undone { .. } => "undone",
        StepKind::NotUndone => "left as it is",
        StepKind::UndoFailed { .. } => "failing to be undone",
        StepKind::Accepted { .. } => "accepted as it is",
    }
}
