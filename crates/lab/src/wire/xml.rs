//! Between XML text and what services read and write: a small tree to read requests, a writer for answers.

use std::fmt::Display;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

/// Deeper nesting than any request of the vendors has.
const MAX_DEPTH: usize = 32;

/// The request is not the XML it should be; the text says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

/// An element: name without prefix, its own text, its children in order. Attributes are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Self>,
}

impl Element {
    /// Reads one document. Document types are refused, and with them every entity but XML's own five.
    ///
    /// # Errors
    /// [`Malformed`] for anything that is not one well-formed element of at most 32 levels.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = |what: &str| Malformed(what.to_owned());
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        loop {
            let event = reader.read_event().map_err(|error| Malformed(error.to_string()))?;
            let closed = match event {
                Event::Start(start) => {
                    if open.len() == MAX_DEPTH {
                        return Err(malformed("elements are nested too deeply"));
                    }
                    open.push(Self::named(&start));
                    continue;
                }
                Event::Empty(start) => Self::named(&start),
                Event::End(_) => open.pop().ok_or_else(|| malformed("unexpected end tag"))?,
                Event::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text.xml10_content());
                    }
                    continue;
                }
                Event::CData(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text.xml10_content());
                    }
                    continue;
                }
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().map_err(|error| Malformed(error.to_string()))?;
                    let name = reference.xml10_content();
                    let text = match (character, resolve_predefined_entity(&name)) {
                        (Some(character), _) => character.to_string(),
                        (None, Some(text)) => text.to_owned(),
                        (None, None) => return Err(malformed("unknown entity")),
                    };
                    open.last_mut().ok_or_else(|| malformed("text outside the document's element"))?.text.push_str(&text);
                    continue;
                }
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => continue,
                Event::DocType(_) => return Err(malformed("document types are not accepted")),
                Event::Eof => return Err(malformed("the document ends too early")),
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }

    fn named(start: &BytesStart<'_>) -> Self {
        Self { name: start.local_name().into_inner().to_owned(), ..Self::default() }
    }

    /// The first child of this name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Writes one XML document into memory.
pub struct Answer {
    writer: Writer<Vec<u8>>,
}

impl Answer {
    /// A document with its XML declaration.
    #[must_use]
    pub fn new() -> Self {
        let mut answer = Self::fragment();
        answer.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        answer.event(Event::Text(BytesText::from_escaped("\n")));
        answer
    }

    /// Elements without declaration, to be put into a document later.
    #[must_use]
    pub fn fragment() -> Self {
        Self { writer: Writer::new(Vec::new()) }
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("memory takes every write");
    }

    /// An element that holds what `content` writes.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name)));
        content(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// The outermost element, in a namespace.
    pub fn root(&mut self, name: &str, namespace: &str, content: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name).with_attributes([("xmlns", namespace)])));
        content(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element that holds text. Characters that XML cannot hold become U+FFFD.
    pub fn text(&mut self, name: &str, value: impl Display) {
        let value: String = value
            .to_string()
            .chars()
            .map(|character| match character {
                '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'.. => character,
                _ => '\u{FFFD}',
            })
            .collect();
        self.element(name, |answer| answer.event(Event::Text(BytesText::new(&value))));
    }

    /// `<name><item>…</item>…</name>`, EC2's lists.
    pub fn items<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.element(name, |answer| {
            for item in items {
                answer.element("item", |answer| each(answer, item));
            }
        });
    }

    /// Puts a fragment here.
    pub fn insert(&mut self, fragment: Self) {
        self.writer.get_mut().extend_from_slice(&fragment.finish());
    }

    /// The bytes written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.writer.into_inner()
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut answer = Answer::new();
        answer.root("A", "urn:x", |answer| {
            answer.text("B", "a<b & \"c\" 区 ' ]]>");
            answer.items("C", [1, 2], |answer, n| answer.text("n", n));
        });
        let text = String::from_utf8(answer.finish()).unwrap();
        let read = Element::parse(&text).unwrap();
        assert_eq!(read.text_of("B"), Some("a<b & \"c\" 区 ' ]]>"));
        assert_eq!(read.child("C").unwrap().children[1].text_of("n"), Some("2"));
    }

    #[test]
    fn characters_that_xml_cannot_hold_are_replaced() {
        let mut answer = Answer::fragment();
        answer.text("A", "x\u{0}\u{1b}y");
        assert_eq!(String::from_utf8(answer.finish()).unwrap(), "<A>x\u{FFFD}\u{FFFD}y</A>");
    }

    #[test]
    fn entities_are_read_and_bombs_are_not() {
        assert_eq!(Element::parse("<a>&lt;&#x533A;&amp;<![CDATA[<]]></a>").unwrap().text, "<区&<");
        for text in ["", "<a>", "<a></b>", "</a>", "x", "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "<a>&b;</a>"] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
        assert!(Element::parse(&"<a>".repeat(100_000)).is_err());
    }
}
