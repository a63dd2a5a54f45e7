//! What must hold for the page, and for what strangers write into any form of a report.

use base64::Engine as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::tests::{HEAD, runs};
use super::*;
use crate::model::event::samples;

/// Texts that are markup in one form or the other.
const EVIL: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)> </style> `x` ``` **b** ](javascript:y) | # c\n## d\n| e |\n\u{202e}\u{1b}[2J";

/// Where others write: all of it becomes evil.
const FREE: [&str; 15] =
    ["en", "zh", "operator", "host", "tool", "by", "why", "detail", "text", "outcome", "region", "request_id", "message", "path", "change"];

/// The run as if every stranger had also written `what`.
fn with(events: &[Event], what: &str) -> Vec<Event> {
    fn add(value: &mut Value, key: &str, what: &str) {
        match value {
            Value::String(text) if FREE.contains(&key) => text.push_str(what),
            Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| add(value, key, what)),
            Value::Array(items) => items.iter_mut().for_each(|item| add(item, key, what)),
            _ => {}
        }
    }
    let one = |event: &Event| {
        let mut value = serde_json::to_value(event).unwrap();
        add(&mut value, "", what);
        // Where the word is not free after all, the event stays as it was.
        serde_json::from_value(value).unwrap_or_else(|_| event.clone())
    };
    events.iter().map(one).collect()
}

/// The tags in order, their attributes without values.
fn tags(html: &str) -> Vec<String> {
    let (head, body) = html.split_once("</style>").unwrap();
    let mut tags = vec![head.matches('<').count().to_string()];
    for part in body.split('<').skip(1) {
        let (mut tag, mut quoted) = (String::new(), false);
        for c in part.chars() {
            match c {
                '>' if !quoted => break,
                '"' => quoted = !quoted,
                _ if quoted => {}
                c => tag.push(c),
            }
        }
        tags.push(tag);
    }
    tags
}

#[test]
fn the_page_of_a_sample_run() {
    let page = Report::of(&samples::shifted(), HEAD).html(Lang::En);
    // Pictures have snapshots of their own.
    let without: String =
        page.split("base64,").enumerate().map(|(index, part)| if index == 0 { part } else { part.split_once('"').unwrap().1 }).collect();
    insta::assert_snapshot!("shifted.html", without);
}

#[test]
fn a_page_needs_nothing_from_elsewhere_and_can_run_nothing() {
    for (name, events) in runs() {
        let report = Report::of(&events, HEAD);
        let page = report.html(Lang::En);
        let (style, rest) = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap();
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
        assert!(page.contains(&format!("style-src 'sha256-{hash}'")) && page.contains("default-src 'none'"), "the browser takes this style alone");
        assert!(!style.contains("url(") && !style.contains('<') && !style.contains("@import"));
        for word in ["<script", "<link", "<iframe", "<object", " style=", "javascript:"] {
            assert!(!rest.contains(word), "{name}: {word}");
        }
        for source in rest.split(" src=\"").skip(1) {
            assert!(source.starts_with("data:image/svg+xml;base64,"), "{name}");
        }
        for link in rest.split(" href=\"#").skip(1) {
            assert!(rest.contains(&format!(" id=\"{}\"", link.split_once('"').unwrap().0)), "{name}: every link leads somewhere");
        }
        assert_eq!(rest.matches(" href=\"").count(), rest.matches(" href=\"#").count());
        assert_eq!(rest.matches("<img ").count(), report.pictures().len(), "{name}: all pictures are in it");
        assert_eq!(page, report.html(Lang::En));
    }
}

#[test]
fn both_languages_are_in_the_page_and_one_is_shown_first() {
    let report = Report::of(&samples::success(), HEAD);
    for (first, id) in [(Lang::En, "show-en"), (Lang::Zh, "show-zh")] {
        let page = report.html(first);
        assert!(page.contains("通过（PASS）") && page.contains(">PASS<"));
        assert!(page.contains(&format!("id=\"{id}\" checked>")) && page.matches("\" checked>").count() == 1);
    }
}

#[test]
fn strangers_add_no_tag_to_a_page_and_no_line_or_cell_to_markdown() {
    let others = [("steered", samples::steered()), ("put back by others", samples::put_back_by_others())];
    for (name, events) in runs().into_iter().chain(others) {
        let (plain, spoiled) = (Report::of(&with(&events, " and more"), HEAD), Report::of(&with(&events, EVIL), HEAD));
        let page = spoiled.html(Lang::En);
        assert_eq!(tags(&page), tags(&plain.html(Lang::En)), "{name}");
        assert!(page.contains("&lt;script&gt;") && !page.contains('\u{202e}') && !page.contains('\u{1b}'), "{name}");
        for lang in [Lang::En, Lang::Zh] {
            let (spoiled, plain) = (spoiled.markdown(lang), plain.markdown(lang));
            assert_eq!(spoiled.lines().count(), plain.lines().count(), "{name}: {spoiled}");
            let cells = |line: &str| line.replace("\\|", "").matches('|').count();
            for (spoiled, plain) in spoiled.lines().zip(plain.lines()) {
                assert!(!spoiled.replace("<br>", "").contains('<') || spoiled.contains('`'), "{name}: {spoiled}");
                if plain.starts_with('|') {
                    assert_eq!(cells(spoiled), cells(plain), "{name}: {spoiled}");
                }
            }
        }
        let json = spoiled.json();
        assert!(json.chars().all(|c| c == '\n' || !crate::model::plain::acts(c)), "{name}");
        serde_json::from_str::<Value>(&json).unwrap();
        for (_, svg) in spoiled.pictures() {
            assert!(!svg.contains("<script") && !svg.contains("<img"), "{name}");
        }
    }
}
