//! Every step of the runbooks with wait, run, verification, attempts and result; what did not run.

use std::fmt::Write;

use super::Page;
use super::fields::Field;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use super::numbers;
use crate::model::forecast::Typical;
use crate::model::measure::{StepOutcome, StepTimes, critical_path};
use crate::model::plan::RunbookPlan;
use crate::model::state::FAULT;
use crate::model::text::Lang;
use crate::model::time::Span;

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
        self.warnings(out);
        self.not_run(out);
    }

    /// What failed no step but must be known.
    fn warnings(&self, out: &mut String) {
        let name = |key: &str| if key == FAULT { code(FAULT) } else { self.step_name(key) };
        let steps = self.state.ordered();
        let lines: Vec<String> = steps
            .into_iter()
            .flat_map(|(key, step)| step.warnings.iter().map(move |line| format!("- {}{}{}", name(key), self.colon(), self.sentence(line))))
            .collect();
        if !lines.is_empty() {
            let _ = writeln!(out, "**{}**\n\n{}\n", self.t(Label::Warnings), lines.join("\n"));
        }
    }

    fn runbook(&self, out: &mut String, book: &str, label: Label, runbook: &RunbookPlan) {
        let title = runbook.title.get(self.lang);
        let title = if title.is_empty() { String::new() } else { format!("{}{}", self.colon(), text(title)) };
        let _ = writeln!(out, "**{}{title}** {}\n", self.t(label), code(&runbook.file));
        let earlier = self.state.forecast.as_ref();
        let mut columns = vec![
            (self.t(Label::StepColumn), Align::Left),
            (self.t(Label::ActionColumn), Align::Left),
            (self.t(Label::WaitColumn), Align::Right),
            (self.t(Label::RunColumn), Align::Right),
            (self.t(Label::VerifyColumn), Align::Right),
            (self.t(Label::Attempts), Align::Right),
            (self.t(Label::Critical), Align::Center),
            (self.t(Label::Result), Align::Left),
        ];
        columns.extend(earlier.map(|_| (self.t(Label::EarlierColumn), Align::Right)));
        let mut table = Table::new(&columns);
        for times in self.measures.steps.iter().filter(|times| times.key.split('/').next() == Some(book)) {
            self.written.add(Field::MetricSteps);
            let plan = self.step_plan(&times.key);
            let time = |nanos: Option<i64>| nanos.map_or_else(|| "–".to_owned(), |nanos| numbers::length(nanos, self.lang));
            let mut row = vec![
                self.step_name(&times.key),
                code(plan.map_or("", |step| &step.uses)),
                time(times.wait),
                time(times.run),
                time(times.verify),
                if times.attempts == 0 { "–".to_owned() } else { times.attempts.to_string() },
                self.t(if plan.is_some_and(|step| step.critical) { Label::Yes } else { Label::No }).to_owned(),
                self.t(outcome_label(times.outcome)).to_owned(),
            ];
            row.extend(earlier.map(|forecast| self.earlier(forecast.steps.get(&times.key), times)));
            table.row(&row);
        }
        out.push_str(&table.finish());
        let path = critical_path(self.state);
        if book == "failover" && path.len() > 1 {
            let names: Vec<String> = path.iter().map(|key| self.step_name(key)).collect();
            let _ = writeln!(out, "{}{}{}\n", self.t(Label::CriticalPath), self.colon(), names.join(" → "));
        }
    }

    /// Median and 90th percentile of earlier runs, with a sign when this one took longer than nine of ten.
    fn earlier(&self, typical: Option<&Typical>, times: &StepTimes) -> String {
        let Some(typical) = typical else { return "–".to_owned() };
        let nanos = |span: Span| i64::try_from(span.duration().as_nanos()).unwrap_or(i64::MAX);
        let took = times.run.map(|run| run.saturating_add(times.verify.unwrap_or(0)));
        let slow = if took.is_some_and(|took| took > nanos(typical.p90)) { " ▲" } else { "" };
        let [median, p90] = [typical.median, typical.p90].map(|span| numbers::length(nanos(span), self.lang));
        format!("{median} / {p90}{}{slow}", self.bracketed(&typical.count.to_string()))
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
                lines.push(format!("- {name}{attempt}{}{}", self.colon(), self.sentence(&failure.to_string())));
            }
            let last = step.attempt_failures.last().map(|(_, failure)| failure);
            if let Some(failure) = step.failure.as_ref().filter(|failure| last != Some(*failure)) {
                lines.push(format!("- {name}{}{}", self.colon(), self.sentence(&failure.to_string())));
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
                    .map_or_else(|| self.t(Label::OutNotRun).trim_start_matches("– ").to_owned(), |why| self.sentence(why));
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
