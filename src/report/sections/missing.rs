//! The fields that auditors ask for and the report does not hold: each is named, none is left blank.

use std::collections::BTreeSet;

use crate::report::controls;
use crate::report::document::{Align, Block, Column, Table, code, text};
use crate::report::fields::{Field, Level};
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// Every report needs the required fields; of the others those that a named control asks for. `held` are those that the rest of the report holds.
    pub(super) fn missing(&self, held: &BTreeSet<Field>) -> Vec<Block> {
        let named = self.plan.controls.iter().filter_map(|reference| controls::find(reference));
        let asked: BTreeSet<Field> = named.flat_map(|control| control.fields()).collect();
        let wanted = |field: &&Field| field.level() == Level::Required || asked.contains(field);
        let mut table = Table::new(
            "missing",
            vec![
                Column::new("field", self.t(Label::Field), Align::Left),
                Column::new("about", "", Align::Left),
                Column::new("value", self.t(Label::Value), Align::Left),
            ],
        );
        for field in Field::ALL.iter().filter(wanted).filter(|field| !held.contains(field)) {
            table.row(vec![code(field.id()), text(field.text(self.lang)), self.not_recorded()]);
        }
        vec![Block::Lead(self.t(Label::MissingLead).into()), Block::Table(table)]
    }
}
