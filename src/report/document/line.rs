//! Lines: what stands in a paragraph, an item or a cell, in pieces that say what they are.

use crate::model::interval::Length;
use crate::model::plain;
use crate::model::time::Timestamp;
use crate::report::fields::Field;

/// Pieces one after the other, and the fields that they hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::report) struct Line {
    pub(in crate::report) pieces: Vec<Inline>,
    fields: Vec<Field>,
}

/// A piece of a line. [`Inline::Text`] and [`Inline::Code`] may have been written by anybody.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) enum Inline {
    /// A fixed text of the report.
    Fixed(&'static str),
    /// A fixed text of the report that is typed as it stands: a command, a word of a file.
    Literal(&'static str),
    /// Free text in one line.
    Text(String),
    /// An id, digest, path or the like, in one line, never empty.
    Code(String),
    /// What the report itself writes of a number, a moment or a word of its own, with the value where it has one.
    Shown(String, Option<Value>),
    /// What stands out.
    Strong(Vec<Self>),
    /// The end of a line in a cell.
    Break,
}

/// What a piece says, the same in every language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) enum Value {
    /// A moment.
    Time(Timestamp),
    /// A length of time in nanoseconds: the likeliest and the bounds, as far as they are known.
    Length { likely: Option<i64>, lo: Option<i64>, hi: Option<i64> },
    /// How many.
    Count(u64),
    /// A share in parts of a million, between two bounds.
    Share { lo: u64, hi: u64 },
    /// A word of a fixed list, such as a verdict.
    Word(&'static str),
}

impl Value {
    /// A length that is known exactly, in nanoseconds.
    pub(in crate::report) const fn exactly(nanos: i64) -> Self {
        Self::Length { likely: Some(nanos), lo: Some(nanos), hi: Some(nanos) }
    }
}

impl From<Length> for Value {
    fn from(length: Length) -> Self {
        Self::Length { likely: Some(length.likely), lo: Some(length.lo), hi: Some(length.hi) }
    }
}

/// Free text: nothing in it is markup, whoever wrote it.
pub(in crate::report) fn text(raw: &str) -> Line {
    let text = one_line(raw);
    if text.is_empty() { Line::default() } else { Inline::Text(text).into() }
}

/// An id, digest or path; nothing for nothing.
pub(in crate::report) fn code(raw: &str) -> Line {
    let code = one_line(raw);
    if code.is_empty() { Line::default() } else { Inline::Code(code).into() }
}

/// Line breaks and control characters become blanks; so do the marks that turn the direction of text.
fn one_line(raw: &str) -> String {
    let blank = |c: char| {
        if plain::acts(c) { ' ' } else { c }
    };
    raw.chars().map(blank).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line of everything that becomes one, in order.
macro_rules! line {
    ($($part:expr),* $(,)?) => {{
        let mut line = $crate::report::document::Line::default();
        $(line.push($part);)*
        line
    }};
}
pub(in crate::report) use line;

impl Line {
    pub(in crate::report) fn push(&mut self, part: impl Into<Self>) {
        let part = part.into();
        self.pieces.extend(part.pieces);
        self.fields.extend(part.fields);
    }

    pub(in crate::report) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// All of `parts` with `between` between them.
    pub(in crate::report) fn join(parts: impl IntoIterator<Item = impl Into<Self>>, between: impl Into<Self>) -> Self {
        let between = between.into();
        let mut line = Self::default();
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                line.push(between.clone());
            }
            line.push(part);
        }
        line
    }

    /// The line standing out; nothing stays nothing.
    pub(in crate::report) fn strong(self) -> Self {
        if self.is_empty() { self } else { Self { pieces: vec![Inline::Strong(self.pieces)], fields: self.fields } }
    }

    /// Says that the line, if it says something, holds `field`.
    pub(in crate::report) fn holding(mut self, field: Field) -> Self {
        if !self.is_empty() {
            self.fields.push(field);
        }
        self
    }

    /// The text without any markup.
    pub(in crate::report) fn plain(&self) -> String {
        fn add(pieces: &[Inline], out: &mut String) {
            for piece in pieces {
                match piece {
                    Inline::Fixed(text) | Inline::Literal(text) => out.push_str(text),
                    Inline::Text(text) | Inline::Code(text) | Inline::Shown(text, _) => out.push_str(text),
                    Inline::Strong(pieces) => add(pieces, out),
                    Inline::Break => out.push('\n'),
                }
            }
        }
        let mut out = String::new();
        add(&self.pieces, &mut out);
        out
    }

    /// The fields that it holds.
    pub(in crate::report) fn fields(&self) -> impl Iterator<Item = Field> {
        self.fields.iter().copied()
    }
}

impl From<Inline> for Line {
    fn from(piece: Inline) -> Self {
        Self { pieces: vec![piece], fields: Vec::new() }
    }
}

/// A fixed text of the report. `**` around words makes them stand out, backticks make them literal.
impl From<&'static str> for Line {
    fn from(fixed: &'static str) -> Self {
        let mut line = Self::default();
        for (index, part) in fixed.split("**").enumerate() {
            let mut pieces = Vec::new();
            for (index, part) in part.split('`').enumerate().filter(|(_, part)| !part.is_empty()) {
                pieces.push(if index % 2 == 0 { Inline::Fixed(part) } else { Inline::Literal(part) });
            }
            if index % 2 == 0 {
                line.pieces.append(&mut pieces);
            } else if !pieces.is_empty() {
                line.pieces.push(Inline::Strong(pieces));
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_texts_have_words_that_stand_out_and_code() {
        assert_eq!(
            Line::from("the **whole** of `a`").pieces,
            [Inline::Fixed("the "), Inline::Strong(vec![Inline::Fixed("whole")]), Inline::Fixed(" of "), Inline::Literal("a")]
        );
        assert!(Line::from("").is_empty());
    }

    #[test]
    fn what_others_wrote_is_one_line_without_anything_that_acts() {
        assert_eq!(text("a\n# b\u{202e}c\t d"), Inline::Text("a # b c d".into()).into());
        assert_eq!(code("\r\n "), Line::default());
    }

    #[test]
    fn a_line_holds_the_fields_of_its_parts() {
        let held = line!["a", text("b").holding(Field::PlanRef), text("").holding(Field::ReportId)];
        assert_eq!(held.fields().collect::<Vec<_>>(), [Field::PlanRef]);
        let joined = Line::join([held.clone(), held], ", ").strong();
        assert_eq!(joined.fields().count(), 2);
    }
}
