//! How the guards of the environment decided, and what was overridden by whom.

use crate::model::guard::{Decision, Outcome};
use crate::report::document::{Align, Block, Column, Table, code, line, text};
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// One row a guard; nothing where the environment has none.
    pub(super) fn guards(&self) -> Vec<Block> {
        if self.state.guards.is_empty() {
            return Vec::new();
        }
        let mut table = Table::new(
            "guards",
            vec![
                Column::new("guard", self.t(Label::Guard), Align::Left),
                Column::new("said", self.t(Label::GuardSaid), Align::Left),
                Column::new("because", self.t(Label::GuardGround), Align::Left),
                Column::new("overridden", self.t(Label::Overridden), Align::Left),
            ],
        );
        for Decision { guard, outcome, detail, overridden } in &self.state.guards {
            let said = match outcome {
                Outcome::Allows => self.word("allows", Label::GuardAllows),
                Outcome::Refuses => self.word("refuses", Label::GuardRefuses),
                Outcome::Warns => self.word("warns", Label::GuardWarns),
            };
            let overridden = overridden.as_ref().map_or_else(dash, |own| line![code(&own.by), self.colon(), text(&own.why)]);
            table.row(vec![code(guard), said.into(), self.sentence(detail), overridden]);
        }
        vec![Block::Lead(line![line![self.t(Label::GuardsTitle)].strong(), " ", self.t(Label::GuardsLead)]), Block::Table(table)]
    }
}
