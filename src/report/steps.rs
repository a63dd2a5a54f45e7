//! Every step of the runbooks with wait, run, verification, attempts and result; what did not run.

use std::fmt::Write;

use super::Page;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use super::numbers;
use crate::model::measure::{StepOutcome, StepTimes};
use crate::model::plan::RunbookPlan;
use crate::model::state::FAULT;
use crate::model::text::Lang;

impl Page<'_> {
    /// One table a runbook, then what failed on the way and what did not run.
    pub(super) fn steps(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}\n", self.t(Label::StepTimes));
        self.runbook(out, "failover", Label::FailoverSteps, &self.plan.failover);
        if let Some(failback) = &self.plan.failback {
            self.runbook(out, "failback", Label::FailbackSteps, failback);
        }
        self.failed_attempts(out);
        self.not_run(out);
    }

    fn runbook(&self, out: &mut String, book: &str, label: Label, runbook: &RunbookPlan) {
        let title = runbook.title.get(self.lang);
        let title = if title.is_empty() { String::new() } else { format!("{}{}", self.colon(), text(title)) };
        let _ = writeln!(out, "**{}{title}** {}\n", self.t(label), code(&runbook.file));
        let mut table = Table::new(&[
            (self.t(Label::StepColumn), Align::Left),
            (self.t(Label::ActionColumn), Align::Left),
            (self.t(Label::WaitColumn), Align::Right),
            (self.t(Label::RunColumn), Align::Right),
            (self.t(Label::VerifyColumn), Align::Right),
            (self.t(Label::Attempts), Align::Right),
            (self.t(Label::Critical), Align::Center),
            (self.t(Label::Result), Align::Left),
        ]);
        for times in self.measures.steps.iter().filter(|times| times.key.split('/').next() == Some(book)) {
            let plan = self.step_plan(&times.key);
            let time = |nanos: Option<i64>| nanos.map_or_else(|| "–".to_owned(), |nanos| numbers::length(nanos, self.lang));
            table.row(&[
                self.step_name(&times.key),
                code(plan.map_or("", |step| &step.uses)),
                time(times.wait),
                time(times.run),
                time(times.verify),
                if times.attempts == 0 { "–".to_owned() } else { times.attempts.to_string() },
                self.t(if plan.is_some_and(|step| step.critical) { Label::Yes } else { Label::No }).to_owned(),
                self.t(outcome_label(times.outcome)).to_owned(),
            ]);
        }
        out.push_str(&table.finish());
    }

    fn failed_attempts(&self, out: &mut String) {
        let mut lines = Vec::new();
        for (key, step) in self.state.ordered() {
            let name = if key == FAULT { code(FAULT) } else { self.step_name(key) };
            for (attempt, failure) in &step.attempt_failures {
                let attempt = match self.lang {
                    Lang::En => format!(", attempt {attempt}"),
                    Lang::Zh => format!("，第 {attempt} 次尝试"),
                };
                lines.push(format!("- {name}{attempt}{}{}", self.colon(), text(&failure.to_string())));
            }
            let last = step.attempt_failures.last().map(|(_, failure)| failure);
            if let Some(failure) = step.failure.as_ref().filter(|failure| last != Some(*failure)) {
                lines.push(format!("- {name}{}{}", self.colon(), text(&failure.to_string())));
            }
        }
        if !lines.is_empty() {
            let _ = writeln!(out, "**{}**\n\n{}\n", self.t(Label::FailedAttempts), lines.join("\n"));
        }
    }

    fn not_run(&self, out: &mut String) {
        let not_run = |times: &&StepTimes| matches!(times.outcome, StepOutcome::Skipped | StepOutcome::NotRun);
        let lines: Vec<String> = self
            .measures
            .steps
            .iter()
            .filter(not_run)
            .map(|times| {
                let name = if times.key == FAULT { code(FAULT) } else { self.step_name(&times.key) };
                let why = self
                    .state
                    .step(&times.key)
                    .and_then(|step| step.skipped.as_deref())
                    .map_or_else(|| self.t(Label::OutNotRun).trim_start_matches("– ").to_owned(), text);
                format!("- {name}{}{why}", self.colon())
            })
            .collect();
        if lines.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::AllRan));
        } else {
            let _ = writeln!(out, "**{}**\n\n{}\n", self.t(Label::NotRunTitle), lines.join("\n"));
        }
    }
}

const fn outcome_label(outcome: StepOutcome) -> Label {
    match outcome {
        StepOutcome::Done => Label::OutDone,
        StepOutcome::Already => Label::OutAlready,
        StepOutcome::Skipped => Label::OutSkipped,
        StepOutcome::Failed => Label::OutFailed,
        StepOutcome::NotRun => Label::OutNotRun,
        StepOutcome::Unfinished => Label::OutUnfinished,
    }
}
