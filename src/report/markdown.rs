//! The little Markdown the reports need: escaping, code spans, tables. GitHub's flavour.

use std::fmt::Write;

use crate::model::plain;

/// Free text for a line or a cell: one line, nothing in it is Markdown or HTML.
pub(super) fn text(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len() + 8);
    for (index, c) in one_line(raw).chars().enumerate() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Only at the start of a line are these marks of a heading or a list.
            '#' | '+' | '-' if index == 0 => {
                escaped.push('\\');
                escaped.push(c);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// An id, digest or path as a code span; nothing for nothing.
pub(super) fn code(raw: &str) -> String {
    let line = one_line(raw);
    if line.is_empty() {
        return String::new();
    }
    // In a table a bar ends the cell even inside a code span; the backslash is taken away by the table. Outside of tables no id holds a bar.
    let line = line.replace('|', "\\|");
    // The fence must be longer than any run of backticks inside.
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if line.starts_with('`') || line.ends_with('`') { format!("{fence} {line} {fence}") } else { format!("{fence}{line}{fence}") }
}

/// Line breaks and control characters become blanks; so do the marks that turn the direction of text.
fn one_line(raw: &str) -> String {
    let blank = |c: char| {
        if plain::acts(c) { ' ' } else { c }
    };
    raw.chars().map(blank).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// A table under construction; cells are Markdown already.
#[derive(Debug)]
pub(super) struct Table {
    columns: usize,
    out: String,
    rows: usize,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Align)]) -> Self {
        let mut out = String::new();
        let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
        row(&mut out, &heads);
        let rules: Vec<&str> = columns
            .iter()
            .map(|(_, align)| match align {
                Align::Left => ":--",
                Align::Center => ":-:",
                Align::Right => "--:",
            })
            .collect();
        out.push('|');
        for rule in rules {
            out.push_str(rule);
            out.push('|');
        }
        out.push('\n');
        Self { columns: columns.len(), out, rows: 0 }
    }

    /// A table of two columns without heads: what and its value.
    pub(super) fn pairs() -> Self {
        Self::new(&[("", Align::Left), ("", Align::Left)])
    }

    pub(super) fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        debug_assert_eq!(cells.len(), self.columns, "a row has a cell for every column");
        row(&mut self.out, cells);
        self.rows += 1;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The table with a blank line after it.
    pub(super) fn finish(mut self) -> String {
        self.out.push('\n');
        self.out
    }
}

fn row<S: AsRef<str>>(out: &mut String, cells: &[S]) {
    out.push('|');
    for cell in cells {
        let cell = cell.as_ref();
        // Writing to a string cannot fail.
        let _ = if cell.is_empty() { write!(out, " |") } else { write!(out, " {cell} |") };
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_free_text_is_markup() {
        assert_eq!(
            text("a | b\nc *d* <script>alert(1)</script> [x](y) $1$"),
            "a \\| b c \\*d\\* &lt;script&gt;alert(1)&lt;/script&gt; \\[x\\](y) \\$1\\$"
        );
        assert_eq!(text("left\u{202e}right"), "left right", "no text runs backwards");
        assert_eq!(text("# no heading"), "\\# no heading");
    }

    #[test]
    fn code_spans_hold_anything() {
        assert_eq!(code("vpc-1"), "`vpc-1`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code(""), "");
    }

    #[test]
    fn tables_keep_their_columns() {
        let mut table = Table::new(&[("a", Align::Left), ("b", Align::Right)]);
        table.row(&["1", ""]);
        assert_eq!(table.finish(), "| a | b |\n|:--|--:|\n| 1 | |\n\n");
    }
}
