//! How the guards of the environment decided, and what was overridden by whom.

use std::fmt::Write;

use super::Page;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use crate::model::guard::{Decision, Outcome};

impl Page<'_> {
    /// One row a guard; nothing where the environment has none.
    pub(super) fn guards(&self, out: &mut String) {
        if self.state.guards.is_empty() {
            return;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "**{}** {}\n", self.t(Label::GuardsTitle), self.t(Label::GuardsLead));
        let mut table = Table::new(&[
            (self.t(Label::Guard), Align::Left),
            (self.t(Label::GuardSaid), Align::Left),
            (self.t(Label::GuardGround), Align::Left),
            (self.t(Label::Overridden), Align::Left),
        ]);
        for Decision { guard, outcome, detail, overridden } in &self.state.guards {
            let said = match outcome {
                Outcome::Allows => Label::GuardAllows,
                Outcome::Refuses => Label::GuardRefuses,
                Outcome::Warns => Label::GuardWarns,
            };
            let overridden = overridden.as_ref().map_or_else(|| "–".to_owned(), |own| format!("{}{}{}", code(&own.by), self.colon(), text(&own.why)));
            table.row(&[code(guard), self.t(said).to_owned(), self.sentence(detail), overridden]);
        }
        out.push_str(&table.finish());
    }
}
