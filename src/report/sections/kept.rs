//! The changes that the run leaves in place, as they were read once more before the verdict.

use std::collections::BTreeSet;

use super::baseline::reading;
use crate::model::event::run::Difference;
use crate::report::document::{Align, Block, Column, Table, line};
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// When it was read, and one row for what is not as the run made it; nothing where the run keeps nothing.
    pub(super) fn kept(&self) -> Vec<Block> {
        let Some(kept) = &self.state.kept else { return Vec::new() };
        let moved: BTreeSet<&str> = kept.moved.iter().map(|one| one.step.as_str()).collect();
        let lead = line![
            line![self.t(Label::KeptTitle)].strong(),
            " ",
            self.t(Label::KeptLead),
            " ",
            self.at_utc(kept.at),
            self.full_stop(),
            self.counted(Label::KeptSame, kept.same.len()),
            self.comma(),
            self.counted(Label::KeptMoved, moved.len()),
        ];
        if kept.moved.is_empty() {
            return vec![Block::Paragraph(lead)];
        }
        let mut table = Table::new(
            "kept",
            vec![
                Column::new("step", self.t(Label::StepColumn), Align::Left),
                Column::new("what", self.t(Label::BaselineWhat), Align::Left),
                Column::new("made", self.t(Label::KeptMade), Align::Left),
                Column::new("now", self.t(Label::KeptNow), Align::Left),
            ],
        );
        for Difference { step, what, before, after } in &kept.moved {
            table.row(vec![self.step_name(step), reading(what), reading(before), reading(after)]);
        }
        vec![Block::Lead(lead), Block::Table(table)]
    }

    /// Whether a step's changes are known not to be as it made them.
    pub(super) fn has_moved(&self, key: &str) -> bool {
        self.state.kept.iter().flat_map(|kept| &kept.moved).any(|one| one.step == key && !one.is_unread())
    }

    /// Of what is in place by choice: all of it was read again, some of it has moved, or nobody has looked.
    pub(super) fn kept_line(&self) -> Label {
        match &self.state.kept {
            None => Label::KeptUnread,
            Some(kept) if kept.moved.is_empty() => Label::KeptChanges,
            Some(_) => Label::KeptNotAll,
        }
    }
}
