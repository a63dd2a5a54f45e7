//! The snapshot from before the run, compared with what was read after everything was taken back.

use std::collections::BTreeSet;

use crate::model::event::run::Difference;
use crate::model::failure::FailureKind;
use crate::model::state::FAULT;
use crate::report::document::{Align, Block, Column, Line, Table, code, line};
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// One row a difference, with both values; nothing where nothing was read beforehand.
    pub(super) fn baseline(&self) -> Vec<Block> {
        let title = line![self.t(Label::BaselineTitle)].strong();
        let Some(found) = &self.state.baseline else {
            let was_read = self.state.snapshot.were_read();
            return was_read.then(|| Block::Paragraph(line![title, " ", self.t(Label::BaselineOpen)])).into_iter().collect();
        };
        let differ: BTreeSet<&str> = found.differences.iter().map(|one| one.step.as_str()).collect();
        let lead = line![
            title,
            " ",
            self.t(Label::BaselineLead),
            " ",
            self.at_utc(found.at),
            self.full_stop(),
            self.counted(Label::BaselineSame, found.same.len()),
            self.comma(),
            self.counted(Label::BaselineDiffer, differ.len()),
        ];
        if found.differences.is_empty() {
            return vec![Block::Paragraph(lead)];
        }
        let mut table = Table::new(
            "baseline",
            vec![
                Column::new("step", self.t(Label::StepColumn), Align::Left),
                Column::new("what", self.t(Label::BaselineWhat), Align::Left),
                Column::new("before", self.t(Label::BaselineBefore), Align::Left),
                Column::new("after", self.t(Label::BaselineAfter), Align::Left),
                Column::new("kind", self.t(Label::BaselineKind), Align::Left),
            ],
        );
        for Difference { step, what, before, after } in &found.differences {
            let name = if step == FAULT { self.t(Label::FaultMark).into() } else { self.step_name(step) };
            let (word, label) = self.kind_of(step);
            table.row(vec![name, reading(what), reading(before), reading(after), self.word(word, label).into()]);
        }
        vec![Block::Lead(lead), Block::Table(table)]
    }

    /// How many of something, behind what they are.
    pub(super) fn counted(&self, label: Label, count: usize) -> Line {
        line![self.t(label), self.colon(), self.count(count)]
    }

    /// Why something of this step is not as it was, as far as the run knows.
    fn kind_of(&self, key: &str) -> (&'static str, Label) {
        let step = self.state.step(key);
        match step.and_then(|step| step.undo_failure.as_ref()) {
            Some(failure) if failure.kind == FailureKind::Conflict => ("conflict", Label::BaselineConflict),
            Some(_) => ("left_over", Label::BaselineLeft),
            None if self.held.contains(key) => ("left_over", Label::BaselineLeft),
            None => ("differs", Label::BaselineOther),
        }
    }
}

/// What was read, or a dash.
pub(super) fn reading(raw: &str) -> Line {
    let read = code(raw);
    if read.is_empty() { dash() } else { read }
}
