//! A small tree of XML elements, for the answers of OSS and the errors of old gateways.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deeper documents are refused.
const DEEPEST: usize = 16;

/// An element: its text, and its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    /// The children of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }
}

/// The root element of a document.
///
/// # Errors
/// A sentence, when the text is not XML, too deep, or without an element.
pub(super) fn parse(text: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let mut closed = None;
        match event {
            Event::Start(tag) | Event::Empty(tag) if open.len() >= DEEPEST => {
                return Err(format!("deeper than {DEEPEST} elements at {}", tag.name().as_ref()));
            }
            Event::Start(tag) => open.push(named(tag.local_name().as_ref())),
            Event::Empty(tag) => closed = Some(named(tag.local_name().as_ref())),
            Event::End(_) => closed = open.pop(),
            Event::Text(content) => {
                if let Some(element) = open.last_mut() {
                    element.text += &content;
                }
            }
            Event::CData(content) => {
                if let Some(element) = open.last_mut() {
                    element.text += &content;
                }
            }
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(character) => character,
                    None => predefined(&reference)?,
                };
                if let Some(element) = open.last_mut() {
                    element.text.push(character);
                }
            }
            Event::Eof => return Err("it ends before its first element does".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        if let Some(element) = closed {
            match open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => return Ok(element),
            }
        }
    }
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

fn predefined(name: &str) -> Result<char, String> {
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(format!("unknown entity `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_with_their_texts() {
        let text = "<?xml version=\"1.0\"?><R xmlns=\"x\"><A>a&amp;b &#65;</A><A/><B><C>1</C></B></R>";
        let root = parse(text).unwrap();
        assert_eq!(root.text("A"), Some("a&b A"));
        assert_eq!(root.all("A").count(), 2);
        assert_eq!(root.all("B").next().unwrap().text("C"), Some("1"));
    }

    #[test]
    fn what_is_not_xml_is_refused_and_depth_is_bounded() {
        let deep = "<a>".repeat(17);
        for wrong in ["", "text", "<a>", "<a></b>", "<a>&unknown;</a>", deep.as_str()] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
