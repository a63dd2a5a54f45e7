//! Every step of the runbooks with wait, run, verification, attempts and result; what did not run.

use crate::model::forecast::Typical;
use crate::model::ids::Part;
use crate::model::measure::{StepOutcome, StepTimes, critical_path};
use crate::model::plan::RunbookPlan;
use crate::model::state::StepWord;
use crate::model::text::Lang;
use crate::model::time::Span;
use crate::report::document::{Align, Block, Column, Inline, Line, Table, Value, code, line, text};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// One table a runbook, then what failed on the way and what did not run.
    pub(super) fn steps(&self) -> Vec<Block> {
        let mut blocks = vec![Block::Paragraph(self.t(Label::StepTimes).into())];
        blocks.extend(self.runbook(Part::Failover, Label::FailoverSteps, &self.plan.failover));
        if let Some(failback) = &self.plan.failback {
            blocks.extend(self.runbook(Part::Failback, Label::FailbackSteps, failback));
        }
        blocks.extend(self.failed_attempts());
        blocks.extend(self.warnings());
        blocks.extend(self.not_run());
        blocks
    }

    /// What failed no step but must be known.
    fn warnings(&self) -> Vec<Block> {
        let steps = self.state.ordered();
        let items = steps
            .into_iter()
            .flat_map(|(key, step)| step.warnings.iter().map(move |warning| line![self.step_name(key), self.colon(), self.sentence(warning)]));
        self.listed(Label::Warnings, items.collect())
    }

    /// A list with its title; nothing for nothing.
    fn listed(&self, title: Label, items: Vec<Line>) -> Vec<Block> {
        if items.is_empty() {
            return Vec::new();
        }
        vec![Block::Lead(line![self.t(title)].strong()), Block::List(items)]
    }

    fn runbook(&self, part: Part, label: Label, runbook: &RunbookPlan) -> Vec<Block> {
        let title = text(runbook.title.get(self.lang));
        let title = if title.is_empty() { title } else { line![self.colon(), title] };
        let lead = line![line![self.t(label), title].strong(), " ", code(&runbook.file)];
        let earlier = self.state.forecast.as_ref();
        let mut columns = vec![
            Column::new("step", self.t(Label::StepColumn), Align::Left),
            Column::new("action", self.t(Label::ActionColumn), Align::Left),
            Column::new("wait", self.t(Label::WaitColumn), Align::Right),
            Column::new("run", self.t(Label::RunColumn), Align::Right),
            Column::new("verify", self.t(Label::VerifyColumn), Align::Right),
            Column::new("attempts", self.t(Label::Attempts), Align::Right),
            Column::new("critical", self.t(Label::Critical), Align::Center),
            Column::new("result", self.t(Label::Result), Align::Left),
        ];
        columns.extend(earlier.map(|_| Column::new("earlier", self.t(Label::EarlierColumn), Align::Right)));
        let mut table = Table::new(part.word(), columns);
        for times in self.measures.steps.iter().filter(|times| part.has(&times.key)) {
            table.holds(&[Field::MetricSteps]);
            let plan = self.step_plan(&times.key);
            let time = |nanos: Option<i64>| nanos.map_or_else(dash, |nanos| self.length(nanos).into());
            let mut row = vec![
                self.step_name(&times.key),
                code(plan.map_or("", |step| &step.uses)),
                time(times.wait),
                time(times.run),
                time(times.verify),
                if times.attempts == 0 { dash() } else { self.count(times.attempts).into() },
                self.yes_or_no(plan.is_some_and(|step| step.critical)).into(),
                self.outcome(times.outcome).into(),
            ];
            row.extend(earlier.map(|forecast| self.earlier(forecast.steps.get(&times.key), times)));
            table.row(row);
        }
        let mut blocks = vec![Block::Lead(lead), Block::Table(table)];
        let path = critical_path(self.state);
        if part == Part::Failover && path.len() > 1 {
            let names = Line::join(path.iter().map(|key| self.step_name(key)), " → ");
            blocks.push(Block::Paragraph(line![self.t(Label::CriticalPath), self.colon(), names]));
        }
        blocks
    }

    /// Median and 90th percentile of earlier runs, with a sign when this one took longer than nine of ten.
    fn earlier(&self, typical: Option<&Typical>, times: &StepTimes) -> Line {
        let Some(typical) = typical else { return dash() };
        let nanos = |span: Span| i64::try_from(span.duration().as_nanos()).unwrap_or(i64::MAX);
        let took = times.run.map(|run| run.saturating_add(times.verify.unwrap_or(0)));
        let slow = if took.is_some_and(|took| took > nanos(typical.p90)) { " ▲" } else { "" };
        let [median, p90] = [typical.median, typical.p90].map(|span| self.length(nanos(span)));
        line![median, " / ", p90, self.bracketed(self.count(typical.count)), slow]
    }

    fn failed_attempts(&self) -> Vec<Block> {
        let mut items = Vec::new();
        for (key, step) in self.state.ordered() {
            let name = self.step_name(key);
            for (attempt, failure) in &step.attempt_failures {
                let attempt = match self.lang {
                    Lang::En => line![", attempt ", self.count(*attempt)],
                    Lang::Zh => line!["，第 ", self.count(*attempt), " 次尝试"],
                };
                items.push(line![name.clone(), attempt, self.colon(), self.sentence(&failure.to_string())]);
            }
            let last = step.attempt_failures.last().map(|(_, failure)| failure);
            if let Some(failure) = step.failure.as_ref().filter(|failure| last != Some(*failure)) {
                items.push(line![name, self.colon(), self.sentence(&failure.to_string())]);
            }
        }
        self.listed(Label::FailedAttempts, items)
    }

    fn not_run(&self) -> Vec<Block> {
        let not_run = |times: &&StepTimes| matches!(times.outcome, StepOutcome::Skipped | StepOutcome::NotRun);
        let item = |times: &StepTimes| {
            let why = self
                .state
                .step(&times.key)
                .and_then(|step| step.skipped.as_deref())
                .map_or_else(|| StepWord::NotRun.text(self.lang).into(), |why| self.sentence(why));
            line![self.step_name(&times.key), self.colon(), why]
        };
        let items: Vec<Line> = self.measures.steps.iter().filter(not_run).map(item).collect();
        if items.is_empty() { vec![Block::Paragraph(self.t(Label::AllRan).into())] } else { self.listed(Label::NotRunTitle, items) }
    }

    pub(super) fn yes_or_no(&self, yes: bool) -> Inline {
        if yes { self.word("yes", Label::Yes) } else { self.word("no", Label::No) }
    }

    fn outcome(&self, outcome: StepOutcome) -> Inline {
        let (sign, said, value) = match outcome {
            StepOutcome::Done => ("●", StepWord::Done, "done"),
            StepOutcome::Already => ("●", StepWord::Already, "already"),
            StepOutcome::Skipped => ("–", StepWord::NotRun, "skipped"),
            StepOutcome::Failed => ("▲", StepWord::Failed, "failed"),
            StepOutcome::NotRun => ("–", StepWord::NotRun, "not_run"),
            StepOutcome::Unfinished => ("◐", StepWord::Unfinished, "unfinished"),
        };
        Inline::Shown(format!("{sign} {}", said.text(self.lang)), Some(Value::Word(value)))
    }
}
