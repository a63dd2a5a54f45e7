//! What the run keeps, as it was read once more before the verdict.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Page;
use super::labels::Label;
use super::markdown::{Align, Table, code};
use crate::model::event::run::Difference;
use crate::model::text::Lang;

impl Page<'_> {
    /// When it was read, and one row for what is not as the run made it; nothing where the run keeps nothing.
    pub(super) fn kept(&self, out: &mut String) {
        let Some(kept) = &self.state.kept else { return };
        let moved: BTreeSet<&str> = kept.moved.iter().map(|one| one.step.as_str()).collect();
        let count = |label: Label, count: usize| format!("{}{}{count}", self.t(label), self.colon());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "**{}** {} {} UTC{}{}{}{}\n",
            self.t(Label::KeptTitle),
            self.t(Label::KeptLead),
            self.zones.utc(kept.at),
            if self.lang == Lang::En { ". " } else { "。" },
            count(Label::KeptSame, kept.same.len()),
            self.comma_list(),
            count(Label::KeptMoved, moved.len()),
        );
        if kept.moved.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            (self.t(Label::StepColumn), Align::Left),
            (self.t(Label::BaselineWhat), Align::Left),
            (self.t(Label::KeptMade), Align::Left),
            (self.t(Label::KeptNow), Align::Left),
        ]);
        let value = |text: &str| if text.is_empty() { "–".to_owned() } else { code(text) };
        for Difference { step, what, before, after } in &kept.moved {
            table.row(&[self.step_name(step), value(what), value(before), value(after)]);
        }
        out.push_str(&table.finish());
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
