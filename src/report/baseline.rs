//! The snapshot from before the run held against what was read after everything was taken back.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Page;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use crate::model::event::run::Difference;
use crate::model::failure::FailureKind;
use crate::model::state::FAULT;
use crate::model::text::Lang;

impl Page<'_> {
    /// One row a difference, with both values; nothing where nothing was read beforehand.
    pub(super) fn baseline(&self, out: &mut String) {
        let Some(found) = &self.state.baseline else {
            if self.state.snapshot.were_read() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "**{}** {}\n", self.t(Label::BaselineTitle), self.t(Label::BaselineOpen));
            }
            return;
        };
        let differ: BTreeSet<&str> = found.differences.iter().map(|one| one.step.as_str()).collect();
        let count = |label: Label, count: usize| format!("{}{}{count}", self.t(label), self.colon());
        let _ = writeln!(
            out,
            "**{}** {} {} UTC{}{}{}{}\n",
            self.t(Label::BaselineTitle),
            self.t(Label::BaselineLead),
            self.zones.utc(found.at),
            if self.lang == Lang::En { ". " } else { "。" },
            count(Label::BaselineSame, found.same.len()),
            self.comma_list(),
            count(Label::BaselineDiffer, differ.len()),
        );
        if found.differences.is_empty() {
            return;
        }
        let mut table = Table::new(&[
            (self.t(Label::StepColumn), Align::Left),
            (self.t(Label::BaselineWhat), Align::Left),
            (self.t(Label::BaselineBefore), Align::Left),
            (self.t(Label::BaselineAfter), Align::Left),
            (self.t(Label::BaselineKind), Align::Left),
        ]);
        let value = |text: &str| if text.is_empty() { "–".to_owned() } else { code(text) };
        for Difference { step, what, before, after } in &found.differences {
            let name = if step == FAULT { self.t(Label::FaultMark).to_owned() } else { self.step_name(step) };
            table.row(&[name, value(what), value(before), value(after), text(self.t(self.kind_of(step)))]);
        }
        out.push_str(&table.finish());
    }

    /// Why something of this step is not as it was, as far as the run knows.
    fn kind_of(&self, key: &str) -> Label {
        let step = self.state.step(key);
        match step.and_then(|step| step.undo_failure.as_ref()) {
            Some(failure) if failure.kind == FailureKind::Conflict => Label::BaselineConflict,
            Some(_) => Label::BaselineLeft,
            None if self.state.held().contains(&key) => Label::BaselineLeft,
            None => Label::BaselineOther,
        }
    }
}
