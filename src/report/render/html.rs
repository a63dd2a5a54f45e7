//! One page of HTML with both languages and all pictures in it: no script, nothing from elsewhere, and a policy that lets the browser load nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::model::plain;
use crate::model::text::Lang;
use crate::report::document::{Align, Block, Document, Facts, Inline, Layout, Line, Table, Value};

/// How it looks on a screen and on A4.
const STYLE: &str = include_str!("html.css");

/// Both languages on one page; `first` is the one shown until the reader chooses.
pub(in crate::report) fn html(en: &Document, zh: &Document, first: Lang) -> String {
    let mut out = String::with_capacity(128 * 1024);
    let style_hash = STANDARD.encode(Sha256::digest(STYLE));
    let (shown, policy) = (
        if first == Lang::Zh { zh } else { en },
        // With this no mistake of ours lets a text of somebody else's act or load anything.
        format!("default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'"),
    );
    out.push_str(&format!("<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n", code_of(first)));
    out.push_str(&format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n"));
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    out.push_str(&format!("<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n", escaped(&shown.title.plain())));
    for (lang, id, name) in [(Lang::En, "en", "English"), (Lang::Zh, "zh", "中文")] {
        let checked = if lang == first { " checked" } else { "" };
        out.push_str(&format!("<input type=\"radio\" name=\"language\" id=\"show-{id}\"{checked}>"));
        out.push_str(&format!("<label for=\"show-{id}\" lang=\"{}\">{name}</label>\n", code_of(lang)));
    }
    out.push_str(&article(en, "en"));
    out.push_str(&article(zh, "zh"));
    out.push_str("</body>\n</html>\n");
    // Whoever wrote a title or a reason has no say about how the rest is read.
    plain::all_shown(out)
}

/// As HTML calls the language.
const fn code_of(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "en",
        Lang::Zh => "zh-CN",
    }
}

fn article(document: &Document, id: &str) -> String {
    let mut out = format!("<article id=\"{id}\" lang=\"{}\">\n<h1>{}</h1>\n", code_of(document.lang), line(&document.title));
    blocks(document, &document.opening, &mut out);
    out.push_str("<nav><ol>");
    for section in &document.sections {
        out.push_str(&format!("<li><a href=\"#{id}-{}\">{}</a></li>", section.id, line(&section.title)));
    }
    out.push_str("</ol></nav>\n");
    for (section, number) in document.sections.iter().zip(1..) {
        out.push_str(&format!("<section id=\"{id}-{}\">\n<h2>{number} {}</h2>\n", section.id, line(&section.title)));
        blocks(document, &section.blocks, &mut out);
        out.push_str("</section>\n");
    }
    out.push_str("</article>\n");
    out
}

fn blocks(document: &Document, blocks: &[Block], out: &mut String) {
    for block in blocks {
        out.push_str(&self::block(document, block));
        out.push('\n');
    }
}

fn block(document: &Document, block: &Block) -> String {
    match block {
        Block::Paragraph(content) => format!("<p>{}</p>", line(content)),
        Block::Lead(content) => format!("<p class=\"lead\">{}</p>", line(content)),
        Block::Note(content) => format!("<p class=\"note\">{}</p>", line(content)),
        Block::List(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}</li>\n", line(item))).collect();
            format!("<ul>\n{items}</ul>")
        }
        Block::Facts(facts) => self::facts(document, facts),
        Block::Table(table) => self::table(table),
        Block::Figure(figure) => {
            let svg = STANDARD.encode(&figure.svg);
            format!("<figure><img alt=\"{}\" src=\"data:image/svg+xml;base64,{svg}\"></figure>", escaped(&figure.alt.plain()))
        }
        Block::Code(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| escaped(&plain::line(line))).collect();
            format!("<pre>{}</pre>", lines.join("\n"))
        }
    }
}

fn facts(document: &Document, facts: &Facts) -> String {
    match &facts.layout {
        Layout::Rows => {
            let row = |label: &Line, value: &Line| format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", line(label), line(value));
            let rows: String = facts.rows.iter().map(|fact| row(&fact.label, &fact.value)).collect();
            format!("<table class=\"facts {}\">\n{rows}</table>", facts.id)
        }
        Layout::InLine { before, after } => {
            let colon = document.lang.colon();
            let all: Vec<String> = facts.rows.iter().map(|fact| format!("{}{colon}{}", line(&fact.label), line(&fact.value))).collect();
            format!("<p>{}{}{}</p>", line(before), all.join(" · "), line(after))
        }
    }
}

fn table(table: &Table) -> String {
    let class = |align: Align| match align {
        Align::Left => "",
        Align::Center => " class=\"c\"",
        Align::Right => " class=\"r\"",
    };
    let heads = table.columns.iter().map(|column| format!("<th scope=\"col\"{}>{}</th>", class(column.align), line(&column.head)));
    let mut out = format!("<table class=\"{}\">\n<thead><tr>{}</tr></thead>\n<tbody>\n", table.id, heads.collect::<String>());
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns).map(|(cell, column)| format!("<td{}>{}</td>", class(column.align), line(cell)));
        out.push_str(&format!("<tr>{}</tr>\n", cells.collect::<String>()));
    }
    out.push_str("</tbody>\n</table>");
    out
}

fn line(line: &Line) -> String {
    inlines(&line.pieces)
}

fn inlines(pieces: &[Inline]) -> String {
    let one = |piece: &Inline| match piece {
        Inline::Fixed(text) => escaped(text),
        Inline::Literal(text) => format!("<code>{}</code>", escaped(text)),
        Inline::Text(text) | Inline::Shown(text, None) => escaped(text),
        Inline::Code(text) => format!("<code>{}</code>", escaped(text)),
        Inline::Shown(text, Some(value)) => match value {
            Value::Time(at) => format!("<time datetime=\"{at}\">{}</time>", escaped(text)),
            Value::Word(word) => format!("<span data-word=\"{word}\">{}</span>", escaped(text)),
            Value::Length { .. } | Value::Count(_) | Value::Share { .. } => format!("<span class=\"n\">{}</span>", escaped(text)),
        },
        Inline::Strong(pieces) => format!("<strong>{}</strong>", inlines(pieces)),
        Inline::Break => "<br>".to_owned(),
    };
    pieces.iter().map(one).collect()
}

/// Text for an element or an attribute in quotes: nothing in it is markup.
fn escaped(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 8);
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
