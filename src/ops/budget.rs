//! How long things may take, in one sentence: said when a run begins, and by `lifeboat plan`.

use serde::Serialize;

use crate::model::plan::{Mode, Plan};
use crate::model::text::{Lang, span_in};
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

impl Budget {
    /// The sentence, in the language of `lang`.
    #[must_use]
    pub fn said(&self, lang: Lang) -> String {
        let [call, run, undo, patience] = [self.call, self.run, self.undo, self.patience].map(|span| span_in(span, lang));
        let fault = self.fault.map(|fault| span_in(fault, lang));
        let waits = self.patience != Span::default();
        match lang {
            Lang::En => {
                let then = if self.emergency { "stops" } else { "aborts" };
                let fault = fault.map(|fault| format!("; the fault stands for {fault} at most")).unwrap_or_default();
                let waits = if waits { format!("; a failed step waits {patience} for you") } else { String::new() };
                format!(
                    "Each call ends within {call}; the run {then} after {run}; putting back may take {undo}, with half a minute more to compare with \
                     what was there{fault}{waits}."
                )
            }
            Lang::Zh => {
                let then = if self.emergency { "停止" } else { "中止" };
                let fault = fault.map(|fault| format!("；故障最长 {fault}")).unwrap_or_default();
                let waits = if waits { format!("；失败的步骤等待人工 {patience}") } else { String::new() };
                format!("单次调用上限 {call}；运行上限 {run}，届时{then}；还原上限 {undo}，另留半分钟与运行前比对{fault}{waits}。")
            }
        }
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said(Lang::En))
    }
}
