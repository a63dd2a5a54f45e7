//! The controls the plan names, and how far this run supports them.

use std::collections::BTreeSet;

use crate::model::measure::failback_done;
use crate::model::plan::Verdict;
use crate::report::controls::{self, Control};
use crate::report::document::{Align, Block, Column, Inline, Line, Table, code, line, text};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// One row a control; `held` are the fields that the rest of the report holds.
    pub(super) fn controls(&self, held: &BTreeSet<Field>) -> Vec<Block> {
        if self.plan.controls.is_empty() {
            return vec![Block::Paragraph(self.t(Label::NoControls).into())];
        }
        let mut table = Table::new(
            "controls",
            vec![
                Column::new("control", self.t(Label::ControlColumn), Align::Left),
                Column::new("coverage", self.t(Label::Coverage), Align::Center),
                Column::new("missing", self.t(Label::WhyNotComplete), Align::Left),
            ],
        );
        table.holds(&[Field::ControlsCovered]);
        for reference in &self.plan.controls {
            let Some(control) = controls::find(reference) else {
                table.row(vec![code(reference), self.not_covered().into(), self.t(Label::UnknownControl).into()]);
                continue;
            };
            let (coverage, why) = self.coverage(&control, held);
            let unverified = if control.verified { Line::default() } else { self.bracketed(self.t(Label::Unverified)) };
            let title = line![text(control.framework), " ", text(control.clause), " ", text(control.title(self.lang)), unverified];
            table.row(vec![line![title, " ", code(reference)], coverage.into(), why]);
        }
        vec![Block::Lead(self.t(Label::ControlsRule).into()), Block::Table(table)]
    }

    fn not_covered(&self) -> Inline {
        self.word("not_covered", Label::CovNone)
    }

    fn coverage(&self, control: &Control, held: &BTreeSet<Field>) -> (Inline, Line) {
        if control.exercise == "not_covered" {
            return (self.not_covered(), self.t(Label::NotForDrills).into());
        }
        // A run that cannot say what it was shows nothing to anybody.
        let Some(exercise) = self.exercise() else {
            let why = if self.is_emergency() { Label::NoExerciseControl } else { Label::ExerciseUnknown };
            return (self.not_covered(), self.t(why).into());
        };
        if !control.accepts(exercise) {
            let wants = line![self.t(Label::WantsExercise), " ", code(control.exercise)];
            return (self.not_covered(), line![wants, self.semicolon(), self.t(Label::ThisWas), " ", code(exercise)]);
        }
        let mut why: Vec<Line> = Vec::new();
        if !matches!(self.state.ended.as_ref().map(|end| end.verdict), Some(Verdict::Pass | Verdict::Fail)) {
            why.push(self.t(Label::NotJudged).into());
        }
        if control.fields().any(|field| field == Field::FailbackResult) && !failback_done(self.state) {
            why.push(self.t(Label::FailbackUntested).into());
        }
        let missing = control.fields().filter(|field| !held.contains(field)).map(|field| code(field.id()));
        let missing = Line::join(missing, self.comma());
        if !missing.is_empty() {
            why.push(line![self.t(Label::FieldsMissing), self.colon(), missing]);
        }
        if why.is_empty() {
            (self.word("complete", Label::CovComplete), dash())
        } else {
            (self.word("partial", Label::CovPartial), Line::join(why, self.semicolon()))
        }
    }
}
