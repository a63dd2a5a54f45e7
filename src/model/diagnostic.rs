//! Something wrong in a file, and exactly where: what every reader of files answers with.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

/// A file as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path as people should see it.
    pub name: String,
    /// Its text; what is not UTF-8 is replaced.
    pub text: String,
}

impl Source {
    /// A source shared by everything that points into it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// Line and column, both from 1, columns in characters, of a byte offset; offsets past the end are the end.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, offset)];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }
}

/// The greatest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}

/// A message that ends in advice (`…; write …`) in its two parts.
#[must_use]
pub fn advice(message: &str) -> (&str, Option<&str>) {
    match message.split_once("; ") {
        Some((what, hint)) if hint.starts_with("write ") => (what, Some(hint)),
        _ => (message, None),
    }
}

/// One problem in one place of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file.
    pub source: Arc<Source>,
    /// Byte range in the file's text; may be empty.
    pub at: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A problem without a hint. The range is cut to the text.
    pub fn new(source: &Arc<Source>, at: Range<usize>, message: impl Into<String>) -> Self {
        let start = floor(&source.text, at.start);
        let end = floor(&source.text, at.end).max(start);
        Self { source: Arc::clone(source), at: start..end, message: message.into(), hint: None }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a hint, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// Line and column, both from 1, columns in characters.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        self.source.position(self.at.start)
    }

    /// As `--output json` prints it.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        let (line, column) = self.position();
        Record { file: &self.source.name, line, column, message: &self.message, hint: self.hint.as_deref() }
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}: {}", self.source.name, self.message)
    }
}

/// A diagnostic for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record<'a> {
    /// The file.
    pub file: &'a str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: &'a str,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

/// The word out of `known` that was most likely meant by `word`, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Hostile input: a long word is nobody's typing error, and the distance takes quadratic time.
    if word.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3 || is_part(word, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether one is what the other ends with, such as `shift-weight` of `dns.shift-weight`, or both end with the same last part, as `aws.route53.shift-weight`.
fn is_part(word: &str, candidate: &str) -> bool {
    let last = |text: &str| text.rsplit('.').next().map(str::to_owned).filter(|last| last.len() >= 4 && last.len() < text.len());
    word.len() >= 4
        && (candidate.ends_with(word)
            || word.ends_with(candidate) && candidate.len() >= 4
            || last(word).is_some_and(|own| last(candidate) == Some(own)))
}

/// `did you mean …?`, or the list of what there is when nothing is near and the list is short enough to read.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => Some(format!("there are no {what}")),
        None if known.len() <= 24 => Some(format!("{what}: {}", known.join(", "))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_from_one() {
        let source = Source::new("a.yaml", "题目: x\nb: 切换 y\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(source.text.find('y').unwrap()), (2, 7));
        assert_eq!(source.position(usize::MAX), (3, 1));
        // Not on a character's boundary.
        assert_eq!(source.position(1), (1, 1));
    }

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["dns.shift-weight", "wait", "wait-for", "aws.ec2.start-instances"];
        assert_eq!(nearest("dns.shft-weight", words), Some("dns.shift-weight"));
        assert_eq!(nearest("shift-weight", words), Some("dns.shift-weight"));
        assert_eq!(nearest("aws.route53.shift-weight", words), Some("dns.shift-weight"));
        assert_eq!(nearest("aliyun.ec2.start-instances", words), Some("aws.ec2.start-instances"));
        assert_eq!(nearest("aws.wait", words), Some("wait"));
        assert_eq!(nearest("wiat", words), Some("wait"));
        assert_eq!(nearest("explode", words), None);
        assert_eq!(nearest(&"x".repeat(10_000), words), None);
    }
}
