//! Markdown in GitHub's flavour: escaping, code spans, tables.

use crate::model::plain;
use crate::report::document::{Align, Block, Document, Facts, Inline, Layout, Line, Table};

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Text,
    Cell,
}

/// The document as Markdown; pictures are files beside it.
pub(in crate::report) fn markdown(document: &Document) -> String {
    let mut parts = vec![format!("# {}", line(&document.title, Context::Text))];
    parts.extend(document.opening.iter().map(|block| self::block(document, block)));
    for (section, number) in document.sections.iter().zip(1..) {
        parts.push(format!("## {number} {}", line(&section.title, Context::Text)));
        parts.extend(section.blocks.iter().map(|block| self::block(document, block)));
    }
    // Whoever wrote a title or a reason has no say about how the rest is read.
    plain::all_shown(parts.join("\n\n") + "\n")
}

fn block(document: &Document, block: &Block) -> String {
    match block {
        Block::Paragraph(content) | Block::Lead(content) => line(content, Context::Text),
        Block::Note(content) => format!("> [!NOTE]\n> {}", line(content, Context::Text)),
        Block::List(items) => items.iter().map(|item| format!("- {}", line(item, Context::Text))).collect::<Vec<_>>().join("\n"),
        Block::Facts(facts) => self::facts(document, facts),
        Block::Table(table) => self::table(table),
        Block::Figure(figure) => format!("![{}]({})", line(&figure.alt, Context::Text), figure.file(document.lang)),
        Block::Code(lines) => {
            let lines: Vec<_> = lines.iter().map(|line| plain::line(line)).collect();
            let fence = "`".repeat(3.max(lines.iter().map(|line| longest_run(line)).max().unwrap_or(0) + 1));
            format!("{fence}text\n{}\n{fence}", lines.join("\n"))
        }
    }
}

fn facts(document: &Document, facts: &Facts) -> String {
    match &facts.layout {
        Layout::Rows => {
            let mut out = row(["", ""]) + &rule([Align::Left, Align::Left]);
            facts.rows.iter().for_each(|fact| out.push_str(&row([line(&fact.label, Context::Cell), line(&fact.value, Context::Cell)])));
            out.trim_end().to_owned()
        }
        Layout::InLine { before, after } => {
            let colon = document.lang.colon();
            let one = |(label, value): (&Line, &Line)| format!("{}{colon}{}", line(label, Context::Text), line(value, Context::Text));
            let all: Vec<String> = facts.rows.iter().map(|fact| one((&fact.label, &fact.value))).collect();
            format!("{}{}{}", line(before, Context::Text), all.join(" · "), line(after, Context::Text))
        }
    }
}

fn table(table: &Table) -> String {
    let mut out = row(table.columns.iter().map(|column| line(&column.head, Context::Cell)));
    out.push_str(&rule(table.columns.iter().map(|column| column.align)));
    table.rows.iter().for_each(|cells| out.push_str(&row(cells.iter().map(|cell| line(cell, Context::Cell)))));
    out.trim_end().to_owned()
}

fn row(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = "|".to_owned();
    for cell in cells {
        let cell = cell.as_ref();
        if !cell.is_empty() {
            out.push(' ');
            out.push_str(cell);
        }
        out.push_str(" |");
    }
    out + "\n"
}

fn rule(aligns: impl IntoIterator<Item = Align>) -> String {
    let mut out = "|".to_owned();
    for align in aligns {
        out.push_str(match align {
            Align::Left => ":--|",
            Align::Center => ":-:|",
            Align::Right => "--:|",
        });
    }
    out + "\n"
}

fn line(line: &Line, place: Context) -> String {
    inlines(&line.pieces, place)
}

fn inlines(pieces: &[Inline], place: Context) -> String {
    let one = |piece: &Inline| match piece {
        Inline::Fixed(fixed) => (*fixed).to_owned(),
        Inline::Shown(shown, _) => shown.clone(),
        Inline::Literal(fixed) => code(fixed, place),
        Inline::Text(raw) => text(raw),
        Inline::Code(raw) => code(raw, place),
        Inline::Strong(pieces) => format!("**{}**", inlines(pieces, place)),
        Inline::Break => "<br>".to_owned(),
    };
    pieces.iter().map(one).collect()
}

/// Free text: nothing in it is Markdown or HTML.
fn text(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len() + 8);
    for (index, c) in raw.chars().enumerate() {
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

/// A code span.
fn code(raw: &str, place: Context) -> String {
    // In a table a bar ends the cell even inside a code span; the backslash is taken away by the table.
    let raw = if place == Context::Cell { raw.replace('|', "\\|") } else { raw.to_owned() };
    // The fence must be longer than any run of backticks inside.
    let fence = "`".repeat(longest_run(&raw) + 1);
    if raw.starts_with('`') || raw.ends_with('`') { format!("{fence} {raw} {fence}") } else { format!("{fence}{raw}{fence}") }
}

/// The length of the longest run of backticks.
fn longest_run(raw: &str) -> usize {
    raw.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{self, Column};

    fn cell(content: &Line) -> String {
        line(content, Context::Cell)
    }

    #[test]
    fn nothing_in_free_text_is_markup() {
        assert_eq!(
            cell(&document::text("a | b\nc *d* <script>alert(1)</script> [x](y) $1$")),
            "a \\| b c \\*d\\* &lt;script&gt;alert(1)&lt;/script&gt; \\[x\\](y) \\$1\\$"
        );
        assert_eq!(cell(&document::text("left\u{202e}right")), "left right", "no text runs backwards");
        assert_eq!(cell(&document::text("# no heading")), "\\# no heading");
    }

    #[test]
    fn code_spans_hold_anything() {
        for (raw, expected) in [("vpc-1", "`vpc-1`"), ("a`b", "``a`b``"), ("`a", "`` `a ``"), ("a|b", "`a\\|b`"), ("", "")] {
            assert_eq!(cell(&document::code(raw)), expected);
        }
        assert_eq!(line(&document::code("a|b"), Context::Text), "`a|b`", "outside of tables a bar is a bar");
    }

    #[test]
    fn tables_keep_their_columns() {
        let mut one = Table::new("t", vec![Column::new("a", "a", Align::Left), Column::new("b", "b", Align::Right)]);
        one.row(vec!["1".into(), Line::default()]);
        assert_eq!(table(&one), "| a | b |\n|:--|--:|\n| 1 | |");
    }
}
