//! Text that others wrote, as it may be shown: nothing in it acts on a terminal, turns the direction of what stands beside it, or hides in it.
//!
//! Titles, reasons, names of files and answers of services all come from people who may mean to deceive whoever reads them. Everything that is printed goes
//! through [`shown`] or [`in_json`]; what is to be one line, through [`line`].

use std::borrow::Cow;

/// What stands in the place of a character that is not shown.
const REPLACED: char = '\u{fffd}';

/// Whether a character acts instead of being read: on a terminal (controls, those of C1 too), on the direction of the text around it, or by not being seen.
/// Breaks of lines and tabulators are among them. Joiners are not: scripts and emoji need them; see [`shown`].
#[must_use]
pub const fn acts(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Directions.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Breaks of lines that no terminal knows and other programs do.
        | '\u{2028}' | '\u{2029}'
        // Not seen.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// A joiner has its place between two letters of scripts that have such, and between emoji; beside a letter of ASCII it only makes two texts look alike.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// `text` with everything that [`acts`] made visible; breaks of lines and tabulators stay.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    replaced(text, |c| matches!(c, '\n' | '\t'))
}

/// The same of a text that may be long: what needs no change is not copied.
#[must_use]
pub fn all_shown(text: String) -> String {
    owned(shown(&text)).unwrap_or(text)
}

/// What had to be made anew.
fn owned(text: Cow<'_, str>) -> Option<String> {
    match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

/// `text` in one line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\r', '\t', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        return shown(text);
    }
    let blank = |c: char| if matches!(c, '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}') { ' ' } else { c };
    let line: String = text.chars().map(blank).collect();
    Cow::Owned(shown(&line).into_owned())
}

/// As [`shown`], of a text with colours of our own: sequences that set colours (`ESC [ 1;31 m`) stay. What others wrote must have gone through [`shown`] before.
#[must_use]
pub fn coloured(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return shown(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&shown(&rest[..at]));
        rest = &rest[at..];
        let length = rest.strip_prefix("\u{1b}[").and_then(|after| {
            let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
            (after.as_bytes()[end] == b'm').then_some(end + 3)
        });
        match length {
            Some(length) => out.push_str(&rest[..length]),
            None => out.push(REPLACED),
        }
        rest = &rest[length.unwrap_or(1)..];
    }
    out.push_str(&shown(rest));
    Cow::Owned(out)
}

/// A line of JSON in which everything that [`acts`] is escaped. Outside of texts JSON has no such characters but breaks of lines.
#[must_use]
pub fn in_json(json: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c == '\n' || !(acts(c) || is_joiner(c));
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(out)
}

/// The same of JSON that may be long: what needs no change is not copied.
#[must_use]
pub fn all_in_json(json: String) -> String {
    owned(in_json(&json)).unwrap_or(json)
}

fn replaced(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|c| stays(c) || !(acts(c) || is_joiner(c))) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let joins = |side: Option<char>| side.is_some_and(|side| !side.is_ascii() && !acts(side) && !is_joiner(side));
        let is_shown = stays(c) || !acts(c) && (!is_joiner(c) || joins(Some(before)) && joins(characters.peek().copied()));
        out.push(if is_shown { c } else { REPLACED });
        before = c;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_is_shown_and_everything_else_is() {
        for (text, expected) in [
            ("a\u{1b}[2Jb", "a\u{fffd}[2Jb"),
            ("a\u{9b}2Jb\u{7f}\u{8}\r", "a\u{fffd}2Jb\u{fffd}\u{fffd}\u{fffd}"),
            ("lev\u{202e}tfel\u{2066}x\u{200f}", "lev\u{fffd}tfel\u{fffd}x\u{fffd}"),
            ("prod\u{200b}uction\u{feff}\u{e0041}", "prod\u{fffd}uction\u{fffd}\u{fffd}"),
            ("prod\u{200d}uction", "prod\u{fffd}uction"),
            ("\u{1f468}\u{200d}\u{1f469} می\u{200c}خواهم 切换\tx\ny", "\u{1f468}\u{200d}\u{1f469} می\u{200c}خواهم 切换\tx\ny"),
        ] {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(line("a\r\nb\u{2028}c"), "a  b c");
    }

    #[test]
    fn of_sequences_only_those_that_set_colours_stay() {
        assert_eq!(
            coloured("\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\u{1b}]0;t\u{7}\u{202e}"),
            "\u{1b}[1;31mred\u{1b}[0m \u{fffd}[2J\u{fffd}]0;t\u{fffd}\u{fffd}"
        );
        assert_eq!(coloured("\u{1b}["), "\u{fffd}[");
    }

    #[test]
    fn json_reads_the_same_and_has_nothing_that_acts() {
        let text = "a\u{9b}b\u{202e}c\u{200d}d\u{e0041}\n";
        let json = serde_json::to_string(text).unwrap();
        let safe = in_json(&json);
        assert!(safe.is_ascii(), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
