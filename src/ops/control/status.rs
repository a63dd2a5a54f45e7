//! What a run tells about itself, folded from its events like everything else.

use serde::{Deserialize, Serialize};

use crate::model::plan::{Mode, Stage, Verdict};
use crate::model::state::{RunState, Status as Standing};
use crate::model::text::Lang;
use crate::model::time::Timestamp;

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its id.
    pub run: String,
    /// Where.
    pub environment: String,
    /// Why it runs.
    pub mode: Option<Mode>,
    /// The stage it is in.
    pub stage: Option<Stage>,
    /// Whether a person has paused it.
    pub paused: bool,
    /// Whether the source side is given up.
    pub ungraceful: bool,
    /// `stop` or `abort` once that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// Until when its fault may stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// What it waits for people to answer.
    pub questions: Vec<Open>,
    /// Its steps, in order.
    pub steps: Vec<StepStatus>,
    /// Keys of what it changed and has not put back.
    pub held: Vec<String>,
    /// What it came to, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// A question that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The step that asks.
    pub step: String,
    /// What.
    pub text: String,
    /// Whether something is to be done by hand.
    pub manual: bool,
    /// How many people must say yes.
    pub approvers: u32,
    /// Who has.
    pub answered: Vec<String>,
    /// Since when it waits.
    pub since: Timestamp,
}

/// How a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepStatus {
    /// Its key.
    pub step: String,
    /// Where it stands, in the words of [`crate::model::state::StepWord`]: `waiting`, `running`, `done`, `not run`, `put back` and so on.
    pub state: String,
    /// Attempts begun.
    pub attempts: u32,
    /// Why it failed, was skipped or could not be put back; else what it last said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Status {
    /// How the run of these events stands.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let plan = state.plan();
        Self {
            run: state.run.clone(),
            environment: plan.map(|plan| plan.environment.clone()).unwrap_or_default(),
            mode: state.mode(),
            stage: state.stage(),
            paused: state.is_paused(),
            ungraceful: state.is_ungraceful(),
            ending: state.stop().map(|stop| if stop.abort { "abort" } else { "stop" }.to_owned()),
            lease_until: state.lease_until.filter(|_| state.fault().is_some_and(crate::model::state::StepState::is_held)),
            questions: questions(state).collect(),
            steps: state.ordered().into_iter().map(|(key, step)| step_status(key, step)).collect(),
            held: state.held().into_iter().map(str::to_owned).collect(),
            verdict: state.ended.as_ref().map(|end| end.verdict),
        }
    }
}

/// What the run waits for people to answer, longest waiting first.
pub fn questions(state: &RunState) -> impl Iterator<Item = Open> {
    let mut open: Vec<Open> = state
        .steps
        .iter()
        .filter(|(_, step)| step.status == Standing::Running)
        .filter_map(|(key, step)| {
            let (since, question) = step.question.as_ref()?;
            Some(Open {
                step: key.clone(),
                text: question.text.clone(),
                manual: question.manual,
                approvers: question.approvers.max(1),
                answered: step.answers.iter().map(|answer| answer.by.clone()).collect(),
                since: *since,
            })
        })
        .collect();
    open.sort_by_key(|open| open.since);
    open.into_iter()
}

fn step_status(key: &str, step: &crate::model::state::StepState) -> StepStatus {
    let state = step.word(key == crate::model::state::FAULT).text(Lang::En);
    let failure = step.undo_failure.as_ref().or(step.failure.as_ref()).map(ToString::to_string);
    let attempt = || step.attempt_failures.last().filter(|_| step.status == Standing::Retrying).map(|(_, failure)| failure.to_string());
    let accepted = step.acceptance.as_ref().map(crate::model::measure::accepted);
    let detail = accepted.or(failure).or_else(|| step.skipped.clone()).or_else(attempt).or_else(|| step.progress.clone()).unwrap_or_default();
    StepStatus { step: key.to_owned(), state: state.to_owned(), attempts: step.attempts, detail }
}
