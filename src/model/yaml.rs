//! YAML text to a tree in which every key and value knows its place, within fixed bounds of time and memory.
//!
//! Built on the event parser of the YAML crate: its serde side has places for values but not for keys. Plain YAML 1.2 is read; aliases are
//! expanded within the bounds; tags and merge keys are refused, as nothing in the languages needs them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Number, Value};

use super::diagnostic::{Diagnostic, Source};

/// The largest file that is read, in bytes: 20,000 steps and 10,000 probes fit into it.
pub const MAX_BYTES: usize = 8 << 20;
/// How deep maps and lists may nest.
pub const MAX_DEPTH: usize = 64;
/// How many keys and values a file may hold as it is written.
pub const MAX_NODES: usize = 1_000_000;
/// How many keys and values its aliases may make of it: few that are written can make very many.
pub const MAX_COPIES: usize = 50_000;
/// How many bytes of texts its aliases may make of it.
const MAX_COPIED: usize = 4 << 20;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Byte range in the text, quotes included.
    pub at: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Byte range in the text.
    pub at: Range<usize>,
    /// The key; numbers and the like as written.
    pub text: String,
}

/// A way into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seg {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl From<&str> for Seg {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Seg {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Seg {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A path into a tree: `way!["steps", 3, "with"]`.
macro_rules! way {
    ($($seg:expr),* $(,)?) => { [$($crate::model::yaml::Seg::from($seg)),*] };
}
pub(crate) use way;

/// A file and its tree.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub source: Arc<Source>,
    /// Its tree.
    pub root: Node,
}

impl Node {
    /// The value a path leads to.
    #[must_use]
    pub fn get(&self, path: &[Seg]) -> Option<&Self> {
        path.iter().try_fold(self, |node, seg| node.step(seg))
    }

    /// The value a path leads to, to be changed.
    pub fn get_mut(&mut self, path: &[Seg]) -> Option<&mut Self> {
        path.iter().try_fold(self, |node, seg| match (&mut node.kind, seg) {
            (Kind::Map(entries), Seg::Key(key)) => entries.iter_mut().find(|(found, _)| found.text == *key).map(|(_, value)| value),
            (Kind::List(items), Seg::Index(index)) => items.get_mut(*index),
            _ => None,
        })
    }

    fn step(&self, seg: &Seg) -> Option<&Self> {
        match (&self.kind, seg) {
            (Kind::Map(entries), Seg::Key(key)) => entries.iter().find(|(found, _)| found.text == *key).map(|(_, value)| value),
            (Kind::List(items), Seg::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    /// The key under which a path's last step is found.
    #[must_use]
    pub fn key(&self, path: &[Seg]) -> Option<&Key> {
        let (Seg::Key(last), parents) = path.split_last()? else { return None };
        let Kind::Map(entries) = &self.get(parents)?.kind else { return None };
        entries.iter().map(|(key, _)| key).find(|key| key.text == *last)
    }

    /// What the same text as JSON would be.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect::<Map<_, _>>()),
        }
    }

    /// What it is, with its value when that is short, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(value) => format!("`{value}`"),
            Kind::Number(number) => format!("the number {number}"),
            Kind::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Kind::Text(text) if text.chars().count() <= 40 && !text.contains('\n') => format!("the text `{text}`"),
            Kind::Text(_) => "a text".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }
}

impl Document {
    /// Where the value at `path` stands; the nearest thing around it when there is no such value.
    #[must_use]
    pub fn value_at(&self, path: &[Seg]) -> Range<usize> {
        match self.root.get(path) {
            // A map or list has no face of its own: its key has.
            Some(Node { kind: Kind::Map(_) | Kind::List(_) | Kind::Null, .. }) | None => self.key_at(path),
            Some(node) => node.at.clone(),
        }
    }

    /// Where the key of the value at `path` stands; in a list the start of the item.
    #[must_use]
    pub fn key_at(&self, path: &[Seg]) -> Range<usize> {
        if let Some(key) = self.root.key(path) {
            return key.at.clone();
        }
        match self.root.get(path) {
            Some(Node { kind: Kind::Map(entries), at }) => entries.first().map_or_else(|| at.clone(), |(key, _)| key.at.clone()),
            Some(node) => node.at.clone(),
            None => path.split_last().map_or(0..0, |(_, parents)| self.key_at(parents)),
        }
    }

    /// A problem with the value at `path`.
    pub fn problem(&self, path: &[Seg], message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, self.value_at(path), message)
    }

    /// A problem with the key at `path`.
    pub fn key_problem(&self, path: &[Seg], message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, self.key_at(path), message)
    }

    /// Where bytes `range` of the scalar text at `path` stand in the file. Escapes and folded lines shift bytes, so the same words are looked
    /// for in what was written; when they are not there as such, the whole scalar is the place.
    #[must_use]
    pub fn inside(&self, path: &[Seg], range: Range<usize>) -> Range<usize> {
        let Some(Node { at, kind: Kind::Text(text) }) = self.root.get(path) else { return self.value_at(path) };
        let (Some(words), Some(before)) = (text.get(range.clone()), text.get(..range.start)) else { return at.clone() };
        let Some(written) = self.source.text.get(at.clone()) else { return at.clone() };
        if words.is_empty() {
            // An empty place (the end of an expression) is found by what stands before it.
            let start = if before.is_empty() { Some(0) } else { written.find(before).map(|found| found + before.len()) };
            return start.map_or_else(|| at.clone(), |start| at.start + start..at.start + start);
        }
        let earlier = before.matches(words).count();
        written.match_indices(words).nth(earlier).map_or_else(|| at.clone(), |(found, _)| at.start + found..at.start + found + words.len())
    }
}

/// Reads one YAML document. The root is a map.
///
/// # Errors
/// The first thing that is wrong with the text as YAML, or that exceeds a bound.
pub fn parse(source: &Arc<Source>) -> Result<Document, Diagnostic> {
    let text = source.text.as_str();
    if text.len() > MAX_BYTES {
        return Err(too_large(source, text.len() as u64));
    }
    if text.starts_with('\u{feff}') {
        return Err(Diagnostic::new(source, 0..'\u{feff}'.len_utf8(), "the file begins with a byte order mark").hint("save it as UTF-8 without BOM"));
    }
    let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH + 2, block_nesting_limit: MAX_DEPTH + 2 };
    let mut builder =
        Builder { source, parser: Parser::new_from_str_with_options(text, options), anchors: HashMap::new(), nodes: 0, copies: 0, bytes: 0 };
    let root = builder.document()?;
    if !matches!(root.kind, Kind::Map(_)) {
        let found = root.describe();
        return Err(Diagnostic::new(source, root.at, format!("expected keys with values, found {found}")).hint("a file begins with `lifeboat: 1`"));
    }
    Ok(Document { source: Arc::clone(source), root })
}

/// The refusal of a file that is larger than [`MAX_BYTES`].
pub fn too_large(source: &Arc<Source>, bytes: u64) -> Diagnostic {
    Diagnostic::new(source, 0..0, format!("the file has {bytes} bytes; at most {MAX_BYTES} are read")).hint("is this the right file?")
}

/// Turns events into nodes.
struct Builder<'a> {
    source: &'a Arc<Source>,
    parser: Parser<'a, StrInput<'a>>,
    /// Finished anchored nodes by the parser's number, with how many nodes and bytes they hold.
    anchors: HashMap<usize, (Node, usize, usize)>,
    /// Keys and values so far, and how many of these aliases and anchors have copied.
    nodes: usize,
    copies: usize,
    /// Bytes of scalars copied by aliases.
    bytes: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Diagnostic> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(self
                        .problem(span, "a second document begins here")
                        .hint("one file holds one document; remove `---` and what follows"));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        match root {
            Some(Node { kind: Kind::Null, .. }) | None => {
                Err(Diagnostic::new(self.source, 0..0, "the file is empty").hint("a file begins with `lifeboat: 1`"))
            }
            Some(root) => Ok(root),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Diagnostic> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax_error(self.source, &error)),
            // Only after `StreamEnd`, which ends the reading.
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn problem(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.source, bytes(span), message)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        let most = match () {
            () if self.copies > MAX_COPIES || self.bytes > MAX_COPIED => MAX_COPIES,
            () if self.nodes > MAX_NODES => MAX_NODES,
            () => return Ok(()),
        };
        Err(self
            .problem(span, format!("more than {most} keys and values"))
            .hint("aliases count as often as they are used; write less, or split the file"))
    }

    /// Counts what an alias or an anchor copies.
    fn count_copies(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.copies = self.copies.saturating_add(nodes);
        self.count(nodes, span)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        self.count(1, span)?;
        if event.tag().is_some() {
            let at = span.tag_span().unwrap_or(span);
            return Err(self.problem(at, "tags are not part of the language").hint("remove it; write texts that look like numbers in quotes"));
        }
        let (nodes_before, bytes_before) = (self.nodes, self.bytes);
        let start = bytes(span);
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, _) => {
                self.bytes += if anchor > 0 { text.len() } else { 0 };
                (anchor, Node { at: start, kind: scalar(text.into_owned(), style) })
            }
            Event::SequenceStart(_, anchor, _) => {
                self.check_depth(span, depth)?;
                let mut items = Vec::new();
                let end = loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break bytes(span).end;
                    }
                    items.push(self.node(event, span, depth + 1)?);
                };
                (anchor, Node { at: start.start..end.max(start.end), kind: Kind::List(items) })
            }
            Event::MappingStart(_, anchor, _) => {
                self.check_depth(span, depth)?;
                let (entries, end) = self.entries(depth)?;
                (anchor, Node { at: start.start..end.max(start.end), kind: Kind::Map(entries) })
            }
            Event::Alias(id) => return self.alias(id, span, depth),
            _ => return Err(self.problem(span, "expected a value").hint("check the indentation")),
        };
        if anchor > 0 {
            let (nodes, bytes) = (self.nodes - nodes_before + 1, self.bytes - bytes_before);
            self.count_copies(nodes, span)?;
            self.anchors.insert(anchor, (node.clone(), nodes, bytes));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span, depth: usize) -> Result<Node, Diagnostic> {
        let Some((node, nodes, size)) = self.anchors.get(&id).map(|(node, nodes, size)| (node, *nodes, *size)) else {
            return Err(self.problem(span, "an alias inside what it stands for").hint("write the value out"));
        };
        if depth + height(node) > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        let kind = if self.copies + nodes > MAX_COPIES { Kind::Null } else { node.kind.clone() };
        self.bytes += size;
        self.count_copies(nodes, span)?;
        Ok(Node { at: bytes(span), kind })
    }

    fn entries(&mut self, depth: usize) -> Result<(Vec<(Key, Node)>, usize), Diagnostic> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let text = match event {
                Event::MappingEnd => return Ok((entries, bytes(span).end)),
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                _ => return Err(self.problem(span, "a key must be a plain word").hint("lists, maps, aliases and anchors cannot be keys")),
            };
            self.count(1, span)?;
            let at = bytes(span);
            if text == "<<" {
                return Err(self
                    .problem(span, "merge keys are not part of the language")
                    .hint("write the keys out, or use an alias for the whole value"));
            }
            if text.is_empty() {
                return Err(self.problem(span, "a key is missing").hint("write it before the `:`"));
            }
            if let Some(first) = seen.get(&text) {
                let (line, _) = self.source.position(*first);
                return Err(self
                    .problem(span, format!("the key `{text}` is here twice"))
                    .hint(format!("the first one is on line {line}; keep one of them")));
            }
            seen.insert(text.clone(), at.start);
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push((Key { at, text }, value));
        }
    }

    fn check_depth(&self, span: Span, depth: usize) -> Result<(), Diagnostic> {
        if depth >= MAX_DEPTH { Err(self.too_deep(span)) } else { Ok(()) }
    }

    fn too_deep(&self, span: Span) -> Diagnostic {
        self.problem(span, format!("nested deeper than {MAX_DEPTH} levels")).hint("write it flatter")
    }
}

fn bytes(span: Span) -> Range<usize> {
    // Parsers over a string always know bytes.
    span.byte_range().unwrap_or(0..0)
}

fn height(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, value)| height(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// The core schema of YAML 1.2, with two exceptions that are safer in a runbook: whole numbers with leading zeros are texts (account ids),
/// and so is what JSON cannot hold (infinity, not-a-number).
fn scalar(text: String, style: ScalarStyle) -> Kind {
    if style != ScalarStyle::Plain {
        return Kind::Text(text);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    number(&text).map_or(Kind::Text(text), Kind::Number)
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let first = *unsigned.as_bytes().first()?;
    if !(first.is_ascii_digit() || first == b'.') || !unsigned.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        if first == b'0' && unsigned.len() > 1 {
            return None;
        }
        if let Ok(whole) = text.trim_start_matches('+').parse::<i64>() {
            return Some(Number::from(whole));
        }
        return unsigned.parse::<u64>().ok().filter(|_| !text.starts_with('-')).map(Number::from);
    }
    if !unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    Number::from_f64(text.parse().ok()?)
}

/// The parser's complaint in words for people who do not read YAML's grammar.
fn syntax_error(source: &Arc<Source>, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(source.text.len());
    // The parser can notice only at the next line that the one before had a tab.
    let about_tab = error.info().contains("tab");
    if let Some(tab) = tab_indent(&source.text, at).or_else(|| about_tab.then(|| next_tab(&source.text, at)).flatten()) {
        return Diagnostic::new(source, tab..tab + 1, "a tab in the indentation").hint("indent with spaces");
    }
    // An error at the very end is shown at the end of the last line that has something on it.
    let end = source.text.trim_end().len();
    let at = at.min(end);
    let width = source.text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    let text = error.info();
    let (message, hint) = explain(&text);
    Diagnostic::new(source, at..at + width, message).hint(hint)
}

/// The first tab in the indentation of the line at `offset` or of the line with content before it.
fn tab_indent(text: &str, offset: usize) -> Option<usize> {
    let offset = floor_newline_safe(text, offset);
    let line_start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let mut starts = vec![line_start];
    let mut start = line_start;
    while start > 0 {
        start = text[..start - 1].rfind('\n').map_or(0, |at| at + 1);
        starts.push(start);
        if !text[start..].lines().next().unwrap_or("").trim().is_empty() {
            break;
        }
    }
    starts.into_iter().find_map(|start| {
        let indent = text[start..].find(|c| c != ' ' && c != '\t').unwrap_or(0);
        text[start..start + indent].find('\t').map(|tab| start + tab)
    })
}

/// The first tab in the indentation of a line after `offset`: the parser stops at the end of what the tab cannot go on.
fn next_tab(text: &str, offset: usize) -> Option<usize> {
    let mut start = floor_newline_safe(text, offset);
    while let Some(end) = text[start..].find('\n') {
        start += end + 1;
        let line = text[start..].lines().next().unwrap_or("");
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t') {
            return Some(start + tab);
        }
    }
    None
}

fn floor_newline_safe(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}

fn explain(info: &str) -> (String, &'static str) {
    let known: [(&str, &str, &str); 13] = [
        ("only valid inside a block", "a `- ` inside brackets or braces", "is a bracket or a brace before it not closed?"),
        ("mapping values are not allowed", "a `:` where no key can be", "quote the text if it holds `: `, or check the indentation"),
        ("did not find expected key", "expected a key here", "is the indentation the same as that of its neighbours?"),
        ("expected ',' or '}'", "expected `,` or `}`", "is the map in braces closed?"),
        ("expected ',' or ']'", "expected `,` or `]`", "is the list in brackets closed?"),
        ("unknown anchor", "an alias without an anchor before it", "quote the text if it begins with `*`"),
        ("unclosed bracket", "a bracket is not closed", "close it, or quote the text"),
        ("simple key expected", "expected `:` after the key", "is the indentation right?"),
        ("simple key expect", "expected `:` after the key", "is the indentation right?"),
        ("quoted scalar", "a quoted text that is not right here", "is its quote closed?"),
        ("unexpected EOF", "the file ends too early", "close what was opened: brackets, braces, quotes"),
        ("unexpected eof", "the file ends too early", "close what was opened: brackets, braces, quotes"),
        ("recursion limit", "nested deeper than 64 levels", "write it flatter"),
    ];
    match known.iter().find(|(part, ..)| info.contains(part)) {
        Some((_, message, hint)) => ((*message).to_owned(), hint),
        None => (format!("not YAML: {info}"), "check quotes, brackets and indentation near here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Document {
        parse(&Source::new("t.yaml", text)).unwrap()
    }

    fn refusal(text: &str) -> String {
        parse(&Source::new("t.yaml", text)).unwrap_err().to_string()
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let doc = tree("a: 1\n题: {b: [x, \"y z\"]}\n");
        let words = |at: Range<usize>| doc.source.text[at].to_owned();
        assert_eq!(words(doc.root.get(&way!["题", "b", 1]).unwrap().at.clone()), "\"y z\"");
        assert_eq!(words(doc.key_at(&way!["题", "b"])), "b");
        assert_eq!(words(doc.value_at(&way!["a"])), "1");
        // Absent: the nearest thing around it.
        assert_eq!(words(doc.value_at(&way!["题", "c", "d"])), "题");
    }

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        let doc = tree("a: [1, -2, 1.5, true, ~, yes, 012345, 0x1f, \"1\", 1e3, 5s, '', .inf, 18446744073709551615, 1_000]");
        assert_eq!(
            doc.root.get(&way!["a"]).unwrap().to_json().to_string(),
            r#"[1,-2,1.5,true,null,"yes","012345",31,"1",1000.0,"5s","",".inf",18446744073709551615,"1_000"]"#
        );
    }

    #[test]
    fn aliases_are_expanded_within_bounds() {
        assert_eq!(tree("a: &x {b: 1}\nc: *x\n").root.to_json().to_string(), r#"{"a":{"b":1},"c":{"b":1}}"#);
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(refusal(&bomb).contains("more than 50000 keys and values"), "{}", refusal(&bomb));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 100].join(", "));
        assert!(refusal(&long).contains("more than 50000"));
        assert!(refusal("a: &a [*a]\n").contains("inside what it stands for"));
        // What is written out is another matter.
        assert_eq!(
            tree(&format!("a: [{}]\n", vec!["1"; 2 * MAX_COPIES].join(","))).root.get(&way!["a", 2 * MAX_COPIES - 1]).unwrap().describe(),
            "the number 1"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(refusal(&format!("a: {}", "[".repeat(10_000))).contains("64 levels"));
        assert!(
            refusal(&"a:\n".lines().cycle().take(1000).enumerate().fold(String::new(), |all, (n, _)| all + &" ".repeat(n) + "a:\n"))
                .contains("64 levels")
        );
    }

    #[test]
    fn words_inside_a_scalar_are_found() {
        let doc = tree("a: \"x \\\"y\\\" ${{ vars.a }} ${{ vars.b }}\"\n");
        let text = "x \"y\" ${{ vars.a }} ${{ vars.b }}";
        let start = text.find("vars.b").unwrap();
        assert_eq!(&doc.source.text[doc.inside(&way!["a"], start..start + 6)], "vars.b");
    }

    #[test]
    fn what_is_not_yaml_is_told_where() {
        assert_eq!(refusal("a: 1\na: 2\n"), "t.yaml:2:1: the key `a` is here twice");
        assert_eq!(refusal("a:\n\tb: 1\n"), "t.yaml:2:1: a tab in the indentation");
        assert_eq!(refusal("\u{feff}a: 1\n"), "t.yaml:1:1: the file begins with a byte order mark");
        assert_eq!(refusal("a: 1\n---\nb: 1\n"), "t.yaml:2:1: a second document begins here");
        assert_eq!(refusal("# nothing\n"), "t.yaml:1:1: the file is empty");
        assert_eq!(refusal("- a\n"), "t.yaml:1:1: expected keys with values, found a list");
        assert_eq!(refusal("a: b: c\n"), "t.yaml:1:5: a `:` where no key can be");
    }
}
