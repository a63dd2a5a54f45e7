//! JSON for programs: the document in both languages at once, with the values behind the words; and its schema, made of the same types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};

use crate::model::interval::{Length, MILLISECOND};
use crate::model::plain;
use crate::model::text::Lang;
use crate::report::document::{self, Block, Document, Fact, Facts, Inline, Layout, Line, Section, Value};

/// The version of the format; the number before the point changes when a reader of the one before would be misled.
const FORMAT: &str = "1.0";

/// The document in both languages as JSON. What has no counterpart in Chinese has its English text in both.
pub(in crate::report) fn json(en: &Document, zh: &Document) -> String {
    let report = ReportJson {
        format: FORMAT.to_owned(),
        run: en.run.clone(),
        journal_head: en.head_hash.clone(),
        title: Both::of(&en.title, Some(&zh.title)),
        opening: blocks(&en.opening, Some(&zh.opening)),
        sections: paired(&en.sections, Some(&zh.sections)).map(|(en, zh)| SectionJson::of(en, zh)).collect(),
        fields: document::fields(en.blocks()).into_iter().map(|field| field.id().to_owned()).collect(),
    };
    let mut json = serde_json::to_string_pretty(&report).expect("texts, numbers and maps with texts as keys are JSON");
    json.push('\n');
    plain::all_in_json(json)
}

/// The JSON Schema of `report.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<ReportJson<'_>>().to_value()
}

/// The report of a run.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Lifeboat report")]
struct ReportJson<'a> {
    /// Version of this format, `MAJOR.MINOR`. A new minor version adds to it; readers leave out what they do not know.
    #[schemars(regex(pattern = r"^1\."))]
    format: String,
    /// The run's id; empty where the journal is not that of a run.
    run: String,
    /// The hash of the journal's last event; empty where it is not known.
    journal_head: String,
    /// What the report is called.
    title: Both,
    /// What stands before the first section: verdict and identity.
    opening: Vec<BlockJson<'a>>,
    /// The sections in order.
    sections: Vec<SectionJson<'a>>,
    /// The fields that auditors ask for and this report holds.
    fields: Vec<String>,
}

/// A text in both languages.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Texts")]
struct Both {
    /// In English.
    en: String,
    /// In Chinese.
    zh: String,
}

/// A text in both languages and what it says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Line")]
struct LineJson {
    /// In English; lines of a cell end with a line break.
    en: String,
    /// In Chinese.
    zh: String,
    /// The ids, moments, numbers and fixed words in it, in the order of the English text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    values: Vec<ValueJson>,
    /// The fields that it holds, as auditors call them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    fields: Vec<String>,
}

/// A value that is the same in every language.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Value")]
#[serde(rename_all = "snake_case")]
enum ValueJson {
    /// An id, name, digest, path or address.
    Id(String),
    /// A moment in UTC (RFC 3339).
    Time(String),
    /// A length of time.
    LengthMs(LengthJson),
    /// A number of things.
    Count(u64),
    /// A share in parts of a million.
    SharePpm(ShareJson),
    /// A word of a fixed list: a verdict, a result, what became of a change.
    Word(String),
}

/// A length of time in whole milliseconds. A bound that is not there is not known.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Length")]
struct LengthJson {
    /// The likeliest value; it proves nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    likely: Option<i64>,
    /// It was not shorter than this; rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    lo: Option<i64>,
    /// It was not longer than this; rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    hi: Option<i64>,
}

/// A share in parts of a million, between two bounds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Share")]
struct ShareJson {
    /// Not less than this.
    lo: u64,
    /// Not more than this.
    hi: u64,
}

/// A numbered section; its number is its place.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Section")]
struct SectionJson<'a> {
    /// The same in every report.
    id: String,
    /// What it is called.
    title: Both,
    /// What stands in it.
    blocks: Vec<BlockJson<'a>>,
}

/// A part of a section.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Block")]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockJson<'a> {
    /// A paragraph.
    Paragraph { line: LineJson },
    /// What introduces the next block.
    Lead { line: LineJson },
    /// What nobody may overlook.
    Note { line: LineJson },
    /// A list.
    List { items: Vec<LineJson> },
    /// What and its value, several times.
    Facts {
        /// The same in every report.
        id: String,
        /// What stands before them in the same line.
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<Both>,
        /// In order.
        facts: Vec<FactJson>,
        /// What stands after them in the same line.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<Both>,
    },
    /// A table.
    Table {
        /// The same in every report.
        id: String,
        /// The columns in order.
        columns: Vec<ColumnJson>,
        /// The rows in order: for each column's id the cell.
        #[schemars(with = "Vec<BTreeMap<String, LineJson>>")]
        rows: Rows<'a>,
    },
    /// A picture.
    Figure {
        /// The same in every report.
        id: String,
        /// What it shows, in words.
        alt: Both,
        /// The file beside the report, for each language.
        files: Both,
    },
    /// Lines whose characters stand below each other.
    Code {
        /// From above.
        lines: Vec<String>,
    },
}

/// The rows of a table, each made when it is written: there may be thousands of them.
#[derive(Debug)]
struct Rows<'a> {
    en: &'a document::Table,
    zh: Option<&'a document::Table>,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ids = || self.en.columns.iter().map(|column| column.id);
        let cells = |(en, zh): (&Vec<Line>, Option<&Vec<Line>>)| ids().zip(lines(en, zh.map(Vec::as_slice))).collect::<BTreeMap<&str, LineJson>>();
        serializer.collect_seq(paired(&self.en.rows, self.zh.map(|zh| zh.rows.as_slice())).map(cells))
    }
}

/// What and its value.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Fact")]
struct FactJson {
    /// The same in every report.
    id: String,
    /// What it is called.
    label: Both,
    /// What it is.
    value: LineJson,
}

/// A column of a table.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Column")]
struct ColumnJson {
    /// The same in every report.
    id: String,
    /// What it is called.
    head: Both,
}

/// Each of `en` with its counterpart.
fn paired<'a, T>(en: &'a [T], zh: Option<&'a [T]>) -> impl Iterator<Item = (&'a T, Option<&'a T>)> {
    en.iter().enumerate().map(move |(index, one)| (one, zh.and_then(|zh| zh.get(index))))
}

fn blocks<'a>(en: &'a [Block], zh: Option<&'a [Block]>) -> Vec<BlockJson<'a>> {
    paired(en, zh).map(|(en, zh)| BlockJson::of(en, zh)).collect()
}

impl<'a> SectionJson<'a> {
    fn of(en: &'a Section, zh: Option<&'a Section>) -> Self {
        Self {
            id: en.id.to_owned(),
            title: Both::of(&en.title, zh.map(|zh| &zh.title)),
            blocks: blocks(&en.blocks, zh.map(|zh| zh.blocks.as_slice())),
        }
    }
}

impl<'a> BlockJson<'a> {
    fn of(en: &'a Block, zh: Option<&'a Block>) -> Self {
        match (en, zh) {
            (Block::Paragraph(en), zh) => Self::Paragraph { line: LineJson::of(en, zh.and_then(line_of)) },
            (Block::Lead(en), zh) => Self::Lead { line: LineJson::of(en, zh.and_then(line_of)) },
            (Block::Note(en), zh) => Self::Note { line: LineJson::of(en, zh.and_then(line_of)) },
            (Block::List(en), zh) => {
                let zh = if let Some(Block::List(zh)) = zh { Some(zh.as_slice()) } else { None };
                Self::List { items: lines(en, zh) }
            }
            (Block::Facts(en), zh) => {
                let zh = if let Some(Block::Facts(zh)) = zh { Some(zh) } else { None };
                let facts = paired(&en.rows, zh.map(|zh| zh.rows.as_slice())).map(|(en, zh)| FactJson::of(en, zh)).collect();
                let ([before, after], zh) = (around(en), zh.map_or([None, None], around));
                let [before, after] = [(before, zh[0]), (after, zh[1])].map(|(en, zh)| en.map(|en| Both::of(en, zh)));
                Self::Facts { id: en.id.to_owned(), before, facts, after }
            }
            (Block::Table(en), zh) => {
                let zh = if let Some(Block::Table(zh)) = zh { Some(zh) } else { None };
                let columns = paired(&en.columns, zh.map(|zh| zh.columns.as_slice()));
                let columns = columns.map(|(en, zh)| ColumnJson { id: en.id.to_owned(), head: Both::of(&en.head, zh.map(|zh| &zh.head)) });
                Self::Table { id: en.id.to_owned(), columns: columns.collect(), rows: Rows { en, zh } }
            }
            (Block::Figure(en), zh) => {
                let zh = if let Some(Block::Figure(zh)) = zh { Some(zh) } else { None };
                let [english, chinese] = [Lang::En, Lang::Zh].map(|lang| en.file(lang));
                let files = Both { en: english, zh: chinese };
                Self::Figure { id: en.name.to_owned(), alt: Both::of(&en.alt, zh.map(|zh| &zh.alt)), files }
            }
            (Block::Code(lines), _) => Self::Code { lines: lines.clone() },
        }
    }
}

/// What stands before and after facts in one line.
fn around(facts: &Facts) -> [Option<&Line>; 2] {
    match &facts.layout {
        Layout::Rows => [None, None],
        Layout::InLine { before, after } => [before, after].map(|line| Some(line).filter(|line| !line.is_empty())),
    }
}

/// The line of a block that is one.
const fn line_of(block: &Block) -> Option<&Line> {
    match block {
        Block::Paragraph(line) | Block::Lead(line) | Block::Note(line) => Some(line),
        _ => None,
    }
}

fn lines(en: &[Line], zh: Option<&[Line]>) -> Vec<LineJson> {
    paired(en, zh).map(|(en, zh)| LineJson::of(en, zh)).collect()
}

impl FactJson {
    fn of(en: &Fact, zh: Option<&Fact>) -> Self {
        Self { id: en.id.to_owned(), label: Both::of(&en.label, zh.map(|zh| &zh.label)), value: LineJson::of(&en.value, zh.map(|zh| &zh.value)) }
    }
}

impl Both {
    fn of(en: &Line, zh: Option<&Line>) -> Self {
        Self { en: en.plain(), zh: zh.unwrap_or(en).plain() }
    }
}

impl LineJson {
    fn of(en: &Line, zh: Option<&Line>) -> Self {
        let Both { en: english, zh: chinese } = Both::of(en, zh);
        let mut values = Vec::new();
        gather(&en.pieces, &mut values);
        Self { en: english, zh: chinese, values, fields: en.fields().map(|field| field.id().to_owned()).collect() }
    }
}

/// The values in `pieces`, in order.
fn gather(pieces: &[Inline], into: &mut Vec<ValueJson>) {
    for piece in pieces {
        match piece {
            Inline::Code(id) => into.push(ValueJson::Id(id.clone())),
            Inline::Shown(_, Some(value)) => into.push(ValueJson::from(value)),
            Inline::Strong(pieces) => gather(pieces, into),
            Inline::Fixed(_) | Inline::Literal(_) | Inline::Text(_) | Inline::Shown(_, None) | Inline::Break => {}
        }
    }
}

impl From<&Value> for ValueJson {
    fn from(value: &Value) -> Self {
        match value {
            Value::Time(at) => Self::Time(at.to_string()),
            Value::Length { likely, lo, hi } => Self::LengthMs(LengthJson {
                likely: likely.map(|nanos| nanos.saturating_add(MILLISECOND / 2).div_euclid(MILLISECOND)),
                lo: lo.map(|nanos| Length::new(nanos, nanos).millis()[0]),
                hi: hi.map(|nanos| Length::new(nanos, nanos).millis()[1]),
            }),
            Value::Count(count) => Self::Count(*count),
            Value::Share { lo, hi } => Self::SharePpm(ShareJson { lo: *lo, hi: *hi }),
            Value::Word(word) => Self::Word((*word).to_owned()),
        }
    }
}
