//! Problems of files, drawn for people: the place, the line with a caret under it, and what to do.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents, ThemeCharacters,
    ThemeStyles,
};
use unicode_width::UnicodeWidthChar as _;

use crate::model::credentials::hidden;
use crate::model::diagnostic::Diagnostic;
use crate::model::plain;
use crate::ops::exit::{Exit, Kind};

/// How problems are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether lines and marks may have colour and be drawn with more than ASCII.
    pub fancy: bool,
    /// Columns.
    pub width: usize,
}

impl Style {
    /// Without colour, in ASCII (but for what the files hold), for 80 columns.
    pub const PLAIN: Self = Self { fancy: false, width: 80 };
}

/// What a source line may take beside its number and the frame.
const GUTTER: usize = 9;

/// The error that ends a command because of these problems.
#[must_use]
pub fn definitions(problems: &[Diagnostic]) -> Exit {
    let message = match problems.len() {
        1 => "1 problem in the definitions; nothing was changed".to_owned(),
        number => format!("{number} problems in the definitions; nothing was changed"),
    };
    Exit { diagnostics: problems.to_vec(), ..Exit::new(Kind::Definitions, message) }
}

/// Draws all problems, one after the other, with an empty line between them.
#[must_use]
pub fn render(problems: &[Diagnostic], style: Style) -> String {
    let drawn: Vec<String> = problems.iter().map(|problem| draw(problem, style)).collect();
    drawn.join("\n")
}

fn draw(problem: &Diagnostic, style: Style) -> String {
    let theme = if style.fancy {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme { characters: ThemeCharacters { error: "error:".to_owned(), ..ThemeCharacters::ascii() }, styles: ThemeStyles::none() }
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false).with_context_lines(1).with_break_words(false);
    let report = Report::new(problem, style);
    let mut text = String::new();
    if handler.render_report(&mut text, &report).is_err() {
        // Drawing is a courtesy: the problem is told in any case.
        text = format!("{problem}\n");
    }
    // No blanks at the ends of lines.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A problem as the drawing library wants it.
#[derive(Debug)]
struct Report {
    message: String,
    hint: Option<String>,
    excerpt: Option<Excerpt>,
}

impl Report {
    fn new(problem: &Diagnostic, style: Style) -> Self {
        let excerpt = Excerpt::new(problem, style.width.saturating_sub(GUTTER).max(20));
        let clean = |text: &str| plain::line(text).into_owned();
        Self { message: clean(&problem.to_string()), hint: problem.hint.as_deref().map(clean), excerpt }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let excerpt = self.excerpt.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, excerpt.mark))))
    }
}

/// The line of a problem and the one before it, cut to what fits, without characters that would act on a terminal.
#[derive(Debug)]
struct Excerpt {
    text: String,
    /// Lines of the file before the excerpt.
    above: usize,
    /// The column of the problem in the file, from 0, in characters.
    column: usize,
    mark: SourceSpan,
}

impl Excerpt {
    fn new(problem: &Diagnostic, width: usize) -> Option<Self> {
        let text = &problem.source.text;
        if text.is_empty() {
            return None;
        }
        let start = text[..problem.at.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = text[start..end].trim_end_matches('\r');
        let from = (problem.at.start - start).min(line.len());
        let to = (problem.at.end - start).clamp(from, line.len());
        let cut = Cut::around(line, from, to, width);
        let before = start.checked_sub(1).map(|end| &text[..end]).map(|before| before.rsplit('\n').next().unwrap_or("").trim_end_matches('\r'));
        let mut lines = String::new();
        if let Some(before) = before {
            lines.push_str(&cut.apply(before));
            lines.push('\n');
        }
        let above = text[..start].matches('\n').count() - usize::from(before.is_some());
        let offset = lines.len();
        let shown = cut.apply(line);
        let lead = cut.apply(&line[..from]).len().min(shown.len());
        let marked = cut.apply(&line[..to]).len().clamp(lead, shown.len()) - lead;
        lines.push_str(&shown);
        // A mark at the end of a line needs something to stand under.
        lines.push(' ');
        Some(Self {
            text: lines.lines().map(|line| hidden(line) + "\n").collect(),
            above,
            column: problem.position().1 - 1,
            mark: (offset + lead, marked.max(1)).into(),
        })
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(&'a self, span: &SourceSpan, before: usize, after: usize) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        Ok(Box::new(MietteSpanContents::new(inner.data(), *inner.span(), inner.line() + self.above, self.column, inner.line_count())))
    }
}

/// Which columns of a long line are shown.
struct Cut {
    left: usize,
    width: usize,
}

impl Cut {
    /// As much as fits, with the marked part in sight.
    fn around(line: &str, from: usize, to: usize, width: usize) -> Self {
        let (start, end, all) = (columns(&line[..from]), columns(&line[..to]), columns(line));
        if end.min(start + width / 2) <= width {
            return Self { left: 0, width };
        }
        Self { left: start.saturating_sub(width / 3).min((all + MORE.len()).saturating_sub(width)), width }
    }

    fn apply(&self, line: &str) -> String {
        let mut column = 0;
        let mut text = String::new();
        let mut room = self.width;
        if self.left > 0 && columns(line) > self.left {
            text.push_str(MORE);
            room -= MORE.len();
        }
        for c in line.chars() {
            let (c, width) = shown(c);
            if column >= self.left {
                if width > room {
                    break;
                }
                room -= width;
                text.push(c);
            }
            column += width;
        }
        text
    }
}

/// What stands for a part that was cut off.
const MORE: &str = "...";

fn columns(text: &str) -> usize {
    text.chars().map(|c| shown(c).1).sum()
}

/// A character as it is drawn, and how many columns it takes. What would act on the terminal or reorder the line is replaced.
fn shown(c: char) -> (char, usize) {
    match c {
        '\t' => (' ', 1),
        c if plain::acts(c) => ('?', 1),
        c => match c.width() {
            Some(0) | None => ('?', 1),
            Some(width) => (c, width),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::diagnostic::Source;

    fn drawn(text: &str, word: &str, message: &str) -> String {
        let source = Source::new("scenarios/a.yaml", text);
        let start = text.find(word).unwrap();
        render(&[Diagnostic::new(&source, start..start + word.len(), message).hint("did you mean `b`?")], Style::PLAIN)
    }

    #[test]
    fn the_caret_stands_under_the_words() {
        insta::assert_snapshot!(drawn("lifeboat: 1\ntitle: 切换到 AWS, bbb: x\nc: 1\n", "bbb", "unknown key `bbb`"), @"
          error: scenarios/a.yaml:2:17: unknown key `bbb`
           ,-[2:17]
         1 | lifeboat: 1
         2 | title: 切换到 AWS, bbb: x
           :                    ^^^
           `----
          help: did you mean `b`?
        ");
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let text = format!("a: {} here {}", "界".repeat(200), "y".repeat(300));
        let drawn = drawn(&text, "here", "unknown word `here`");
        insta::assert_snapshot!(drawn, @"
          error: scenarios/a.yaml:1:205: unknown word `here`
           ,----
         1 | ...界界界界界界界界界界界 here yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy
           :                           ^^^^
           `----
          help: did you mean `b`?
        ");
        assert!(drawn.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{drawn}");
    }

    #[test]
    fn nothing_of_a_file_acts_on_the_terminal() {
        let drawn = drawn("a: \u{1b}[31m\u{202e}x", "x", "a\u{1b}b");
        assert!(!drawn.contains(['\u{1b}', '\u{202e}']), "{drawn:?}");
    }
}
