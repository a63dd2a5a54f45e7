//! A report as values: sections, and in them paragraphs, notes, lists, facts, tables, figures and code, made of lines. A section says what each piece is; the renderers decide
//! how a piece looks and what has to be escaped.

mod line;

use std::collections::BTreeSet;

pub(super) use line::{Inline, Line, Value, code, line, text};

use super::fields::Field;
use crate::model::text::Lang;

/// A report in one language.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    pub(super) lang: Lang,
    /// The run's id; empty where the events are not those of a run.
    pub(super) run: String,
    /// The hash of the journal's last event; may be empty.
    pub(super) head_hash: String,
    pub(super) title: Line,
    /// What stands before the first section.
    pub(super) opening: Vec<Block>,
    /// In order; their numbers are their places.
    pub(super) sections: Vec<Section>,
}

/// A numbered part of a report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    /// The same in every language.
    pub(super) id: &'static str,
    pub(super) title: Line,
    pub(super) blocks: Vec<Block>,
}

/// What stands below what comes before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Paragraph(Line),
    /// A paragraph that introduces the next block and stays with it where pages break.
    Lead(Line),
    /// What nobody may overlook.
    Note(Line),
    List(Vec<Line>),
    Facts(Facts),
    Table(Table),
    Figure(Figure),
    /// Lines whose characters stand below each other.
    Code(Vec<String>),
}

/// What and its value, several times.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    /// The same in every language.
    pub(super) id: &'static str,
    pub(super) layout: Layout,
    pub(super) rows: Vec<Fact>,
}

/// How facts stand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layout {
    /// Each in a row.
    Rows,
    /// All in one line, with something before and after them.
    InLine { before: Line, after: Line },
}

/// What and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    /// The same in every language.
    pub(super) id: &'static str,
    pub(super) label: Line,
    pub(super) value: Line,
}

/// Rows of cells below heads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// The same in every language.
    pub(super) id: &'static str,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Line>>,
    /// The fields that the table as a whole holds.
    fields: BTreeSet<Field>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// The same in every language.
    pub(super) id: &'static str,
    pub(super) head: Line,
    pub(super) align: Align,
}

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// A picture and what it shows in words.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// The same in every language, and the beginning of its file's name.
    pub(super) name: &'static str,
    pub(super) alt: Line,
    pub(super) svg: String,
}

impl Document {
    /// All blocks in order.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.opening.iter().chain(self.sections.iter().flat_map(|section| &section.blocks))
    }

    /// All figures in order, with the names of their files.
    pub(super) fn figures(&self) -> impl Iterator<Item = (String, &Figure)> {
        self.blocks().filter_map(|block| match block {
            Block::Figure(figure) => Some((figure.file(self.lang), figure)),
            _ => None,
        })
    }
}

impl Block {
    /// Facts, each in a row.
    pub(super) const fn facts(id: &'static str, rows: Vec<Fact>) -> Self {
        Self::Facts(Facts { id, layout: Layout::Rows, rows })
    }

    /// Facts in one line.
    pub(super) fn facts_in_line(id: &'static str, before: impl Into<Line>, rows: Vec<Fact>, after: impl Into<Line>) -> Self {
        Self::Facts(Facts { id, layout: Layout::InLine { before: before.into(), after: after.into() }, rows })
    }

    /// The fields that stand in it.
    fn fields(&self) -> BTreeSet<Field> {
        match self {
            Self::Paragraph(line) | Self::Lead(line) | Self::Note(line) => line.fields().collect(),
            Self::List(items) => items.iter().flat_map(Line::fields).collect(),
            Self::Facts(facts) => facts.rows.iter().flat_map(|fact| fact.value.fields()).collect(),
            Self::Table(table) => table.rows.iter().flatten().flat_map(Line::fields).chain(table.fields.iter().copied()).collect(),
            Self::Figure(_) | Self::Code(_) => BTreeSet::new(),
        }
    }
}

/// The fields that stand in any of `blocks`.
pub(super) fn fields<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> BTreeSet<Field> {
    blocks.into_iter().flat_map(Block::fields).collect()
}

impl Fact {
    pub(super) fn new(id: &'static str, label: impl Into<Line>, value: impl Into<Line>) -> Self {
        Self { id, label: label.into(), value: value.into() }
    }
}

impl Column {
    pub(super) fn new(id: &'static str, head: impl Into<Line>, align: Align) -> Self {
        Self { id, head: head.into(), align }
    }
}

impl Table {
    pub(super) const fn new(id: &'static str, columns: Vec<Column>) -> Self {
        Self { id, columns, rows: Vec::new(), fields: BTreeSet::new() }
    }

    /// Adds a row with a cell for every column.
    pub(super) fn row(&mut self, cells: Vec<Line>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has a cell for every column");
        self.rows.push(cells);
    }

    /// Says that the table as a whole holds `fields`.
    pub(super) fn holds(&mut self, fields: &[Field]) {
        self.fields.extend(fields);
    }
}

impl Figure {
    /// The name of its file.
    pub(super) fn file(&self, lang: Lang) -> String {
        match lang {
            Lang::En => format!("{}.en.svg", self.name),
            Lang::Zh => format!("{}.zh.svg", self.name),
        }
    }
}
