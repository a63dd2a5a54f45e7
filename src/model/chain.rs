//! The hash chain that makes a journal tamper-evident: what one line holds and how a whole journal is checked.
//!
//! `hash = SHA-256("drill-event/v1\0" ‖ JCS(event without hash))`, `prev` is the hash before it, the first `prev` is
//! `SHA-256("drill-genesis/v1\0" ‖ run id)`. JCS is RFC 8785. A line is the canonical form of the event with `prev` and `hash`.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::event::Event;
use super::format::{Format, Unreadable, Version, check_readable};

/// A journal that is not what was written, or that cannot be read: where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {position}: {reason}")]
pub struct ChainError {
    /// Position of the first event that is wrong, from 1.
    pub position: u64,
    /// What is wrong with it.
    pub reason: Wrong,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It, or its place, is not as it was written.
    #[error("{0}")]
    Altered(String),
    /// It is as it was written, by a Lifeboat whose words this one does not know.
    #[error("{0}")]
    Unread(Unreadable),
}

/// A journal as read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Its events in order.
    pub events: Vec<Event>,
    /// The hash of the last one: what a report quotes.
    pub head: String,
}

/// `prev` of the first event of `run`, lower-case hex.
#[must_use]
pub fn genesis(run: &str) -> String {
    digest(b"drill-genesis/v1\0", run.as_bytes())
}

/// The canonical line of `event` after `prev`, and its hash.
///
/// # Errors
/// When the event cannot be written as JSON (never for events of this crate; a number beyond RFC 8785 would be one).
pub fn seal(event: &Event, prev: &str) -> Result<(String, String), serde_json::Error> {
    let Value::Object(fields) = serde_json::to_value(event)? else { unreachable!("an event is a JSON object") };
    seal_fields(fields, prev)
}

/// The same of an event that this Lifeboat need not know: how tests write what a newer one would.
#[doc(hidden)]
pub fn seal_fields(mut fields: Map<String, Value>, prev: &str) -> Result<(String, String), serde_json::Error> {
    fields.remove("hash");
    fields.insert("prev".into(), prev.into());
    let canonical = Canonical::of(&fields)?;
    let hash = canonical.hash();
    Ok((canonical.line(Some(&format!("\"{hash}\""))), hash))
}

/// Checks every line of the journal of `run`: hash, link, position, canonical form; then that each event is of a format that this Lifeboat reads.
///
/// # Errors
/// The first event that is not as it was written; when all are, the first that cannot be read.
pub fn verify<'a>(run: &str, lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Chain, ChainError> {
    let Part { chain, altered, unread, .. } = whole_part(run, lines);
    altered.or(unread).map_or(Ok(chain), Err)
}

/// What of a journal is provably as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The events that can be read, up to the first that cannot.
    pub chain: Chain,
    /// How many events are as they were written, whether they can be read or not.
    pub length: u64,
    /// The hash of the last of these.
    pub head: String,
    /// The first event that is not as it was written.
    pub altered: Option<ChainError>,
    /// The first event that is as it was written, and that this Lifeboat cannot read.
    pub unread: Option<ChainError>,
}

/// As [`verify`], with everything that is provably whole before the first event that is not.
pub fn whole_part<'a>(run: &str, lines: impl IntoIterator<Item = &'a [u8]>) -> Part {
    let chain = Chain { events: Vec::new(), head: genesis(run) };
    let mut part = Part { length: 0, head: chain.head.clone(), chain, altered: None, unread: None };
    let mut tool = None;
    for line in lines {
        let position = part.length + 1;
        let (fields, hash) = match follow(run, position, &part.head, line) {
            Ok(followed) => followed,
            Err(reason) => {
                part.altered = Some(ChainError { position, reason: Wrong::Altered(reason) });
                break;
            }
        };
        (part.length, part.head) = (position, hash);
        if part.unread.is_some() {
            continue;
        }
        if fields.get("of").is_some_and(|of| of == "run") {
            tool = fields.get("tool").and_then(Value::as_str).map(str::to_owned).or(tool);
        }
        match read(fields, tool.as_deref()) {
            Ok(event) => {
                part.chain.events.push(event);
                part.chain.head.clone_from(&part.head);
            }
            Err(unread) => part.unread = Some(ChainError { position, reason: Wrong::Unread(unread) }),
        }
    }
    part
}

/// The fields and the hash of the next line, if it follows the event whose hash is `head`; else why not.
fn follow(run: &str, position: u64, head: &str, line: &[u8]) -> Result<(Value, String), String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("is not JSON: {error}"))?;
    let Value::Object(mut fields) = value else { return Err("is not a JSON object".into()) };
    let stated = fields.remove("hash");
    let written = stated.as_ref().map(serde_json_canonicalizer::to_string).transpose().map_err(|error| error.to_string())?;
    let canonical = Canonical::of(&fields).map_err(|error| error.to_string())?;
    if canonical.line(written.as_deref()).as_bytes() != line {
        return Err("is not in canonical form: it was rewritten".into());
    }
    let stated = stated.and_then(|hash| hash.as_str().map(str::to_owned)).unwrap_or_default();
    if fields.get("prev").and_then(Value::as_str) != Some(head) {
        return Err("does not follow the event before it: one was altered, dropped, added or moved".into());
    }
    if canonical.hash() != stated {
        return Err("does not match its hash: it was altered".into());
    }
    fields.remove("prev");
    let (seq, of) = (fields.get("seq").and_then(Value::as_u64), fields.get("run").and_then(Value::as_str).unwrap_or_default());
    if seq != Some(position) || of != run {
        return Err(format!("says it is event {} of run {of}", seq.map_or_else(|| "?".into(), |seq| seq.to_string())));
    }
    Ok((Value::Object(fields), stated))
}

/// The event that these fields are. `tool`: the Lifeboat that had the run then.
fn read(fields: Value, tool: Option<&str>) -> Result<Event, Unreadable> {
    let stated = |value: Option<&Value>| Version::deserialize(value.unwrap_or(&Value::Null));
    let unknown = |version: Version, word: String| Unreadable::word(Format::Journal, version, tool, word);
    let version = stated(fields.get("v")).map_err(|error| unknown(Format::Journal.current(), format!("its `v` is not known: {error}")))?;
    check_readable(Format::Journal, version, tool)?;
    if let Some(plan) = fields.get("plan") {
        let version = stated(plan.get("version")).map_err(|error| unknown(version, format!("its `plan.version` is not known: {error}")))?;
        check_readable(Format::Plan, version, tool)?;
    }
    let event = Event::deserialize(&fields).map_err(|error| unknown(version, format!("what it says is not known: {error}")))?;
    // What was not taken in does not come out again.
    let again = serde_json::to_value(&event).map_err(|error| unknown(version, error.to_string()))?;
    match left_out(&fields, &again) {
        None => Ok(event),
        Some(field) => Err(unknown(version, format!("its field `{field}` is not known"))),
    }
}

/// The first field that says something and that only the former of two values has, such as `plan.failover.steps.0.with`.
fn left_out(one: &Value, other: &Value) -> Option<String> {
    let below = |name: &str, one: &Value, other: &Value| {
        left_out(one, other).map(|rest| if rest.is_empty() { name.to_owned() } else { format!("{name}.{rest}") })
    };
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => fields.iter().find_map(|(name, value)| match others.get(name) {
            Some(other) => below(name, value, other),
            None => (!says_nothing(value)).then(|| name.clone()),
        }),
        (Value::Array(items), Value::Array(others)) => {
            items.iter().zip(others).enumerate().find_map(|(index, (item, other))| below(&index.to_string(), item, other))
        }
        _ => None,
    }
}

/// Whether a field says the same as one that is absent.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

/// The fields of an event in canonical form, but its hash, which has its place in the middle: so that the form is made once, for the hash and for the line.
struct Canonical {
    before: String,
    after: String,
}

impl Canonical {
    /// That of fields without a hash.
    fn of(fields: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        // Names are sorted by their UTF-16.
        let (before, after): (BTreeMap<&str, &Value>, BTreeMap<&str, &Value>) =
            fields.iter().map(|(name, value)| (name.as_str(), value)).partition(|(name, _)| name.encode_utf16().lt("hash".encode_utf16()));
        let inner = |part: &BTreeMap<&str, &Value>| {
            let mut text = serde_json_canonicalizer::to_string(part)?;
            text.pop();
            Ok(text.split_off(1))
        };
        Ok(Self { before: inner(&before)?, after: inner(&after)? })
    }

    fn hash(&self) -> String {
        let comma = if self.before.is_empty() || self.after.is_empty() { "" } else { "," };
        let parts = ["{", &self.before, comma, &self.after, "}"];
        let digest = parts.iter().fold(Sha256::new().chain_update(b"drill-event/v1\0"), |digest, part| digest.chain_update(part));
        hex::encode(digest.finalize())
    }

    /// The line with this hash, as JSON.
    fn line(&self, hash: Option<&str>) -> String {
        let hash = hash.map(|hash| format!("\"hash\":{hash}")).unwrap_or_default();
        let parts: Vec<&str> = [&self.before, &hash, &self.after].into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        format!("{{{}}}", parts.join(","))
    }
}

fn digest(domain: &[u8], bytes: &[u8]) -> String {
    hex::encode(Sha256::new().chain_update(domain).chain_update(bytes).finalize())
}

/// SHA-256 of a file of these lines, each with its newline, lower-case hex.
#[must_use]
pub fn sha256_of_lines<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> String {
    hex::encode(lines.into_iter().fold(Sha256::new(), |digest, line| digest.chain_update(line).chain_update(b"\n")).finalize())
}

/// SHA-256 of `bytes`, lower-case hex: how definitions and plans are named.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::event::{Body, RunEvent, samples};
    use crate::model::plan::Mode;
    use crate::model::time::Timestamp;

    fn journal() -> Vec<Vec<u8>> {
        let mut prev = genesis("r1");
        (1..=4)
            .map(|seq| {
                let body = Body::Run(RunEvent::Note { text: format!("n{seq}") });
                let event = Event {
                    v: Format::Journal.current(),
                    seq,
                    run: "r1".into(),
                    id: format!("e{seq}"),
                    owner: "o".into(),
                    epoch: 1,
                    at: Timestamp::from_nanos(9_007_199_254_740_993),
                    body,
                };
                let (line, hash) = seal(&event, &prev).unwrap();
                prev = hash;
                line.into_bytes()
            })
            .collect()
    }

    fn check(lines: &[Vec<u8>]) -> Result<Chain, ChainError> {
        verify("r1", lines.iter().map(Vec::as_slice))
    }

    #[test]
    fn an_untouched_journal_verifies_and_keeps_nanoseconds() {
        let chain = check(&journal()).unwrap();
        assert_eq!(chain.events.len(), 4);
        assert_eq!(chain.events[0].at.as_nanos(), 9_007_199_254_740_993);
    }

    #[test]
    fn a_line_is_the_canonical_form_of_all_its_fields_and_its_hash_of_all_the_others() {
        for fields in [
            json!({ "z": 1, "a": { "y": 1.5e30, "x": "\u{e9}\n" }, "hasg": 1, "hasi": 2, "hash2": 3, "Hash": 4, "\u{1F600}": 5, "\u{FF5E}": 6 }),
            json!({ "a": 1 }),
            json!({ "zebra": [] }),
            json!({}),
        ] {
            let Value::Object(mut fields) = fields else { unreachable!() };
            let (line, hash) = seal_fields(fields.clone(), "p").unwrap();
            fields.insert("prev".into(), "p".into());
            assert_eq!(hash, digest(b"drill-event/v1\0", &serde_json_canonicalizer::to_vec(&fields).unwrap()));
            fields.insert("hash".into(), hash.into());
            assert_eq!(line, serde_json_canonicalizer::to_string(&fields).unwrap());
        }
    }

    #[test]
    fn every_alteration_is_named_by_event() {
        let whole = journal();
        let mut edited = whole.clone();
        edited[1] = String::from_utf8(edited[1].clone()).unwrap().replace("n2", "nX").into_bytes();
        assert_eq!(check(&edited).unwrap_err().position, 2);
        let part = whole_part("r1", edited.iter().map(Vec::as_slice));
        assert_eq!((part.chain.events.len(), part.altered.unwrap().position), (1, 2), "what is before it is whole");
        let mut dropped = whole.clone();
        dropped.remove(1);
        assert_eq!(check(&dropped).unwrap_err().position, 2);
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert_eq!(check(&swapped).unwrap_err().position, 2);
        let mut spaced = whole.clone();
        spaced[3].insert(1, b' ');
        assert_eq!(check(&spaced).unwrap_err().position, 4);
        assert_eq!(verify("r2", whole.iter().map(Vec::as_slice)).unwrap_err().position, 1);
    }

    /// The start of a run and two notes, the second of which is changed by `edit`, sealed as if its owner had written it so.
    fn written(edit: impl Fn(&mut Map<String, Value>)) -> Vec<Vec<u8>> {
        let plan = samples::plan(Mode::Rehearse);
        let start = json!({
            "v": 1, "seq": 1, "run": "r1", "id": "e1", "owner": "o", "epoch": 1, "at": "2026-01-01T00:00:00Z", "of": "run", "event": "started",
            "plan": plan, "plan_sha256": "", "tool": "9.8.7", "operator": "ann", "host": "h",
        });
        let note = |seq: u64| {
            json!({
                "v": 1, "seq": seq, "run": "r1", "id": "e", "owner": "o", "epoch": 1, "at": "2026-01-01T00:00:00Z",
                "of": "run", "event": "note", "text": "x",
            })
        };
        let mut prev = genesis("r1");
        let seal = |(index, event): (usize, Value)| {
            let Value::Object(mut fields) = event else { unreachable!() };
            if index == 1 {
                edit(&mut fields);
            }
            let (line, hash) = seal_fields(fields, &prev).unwrap();
            prev = hash;
            line.into_bytes()
        };
        [start, note(2), note(3)].into_iter().enumerate().map(seal).collect()
    }

    #[test]
    fn an_unknown_word_in_an_intact_chain_is_another_lifeboats_and_never_an_alteration() {
        assert_eq!(check(&written(|_| {})).unwrap().events.len(), 3, "version 1 stays readable");
        let to = |name: &'static str, value: Value| move |fields: &mut Map<String, Value>| drop(fields.insert(name.into(), value.clone()));
        type Edit = Box<dyn Fn(&mut Map<String, Value>)>;
        let cases: [(Edit, &str); 8] = [
            (Box::new(to("v", json!("1.99"))), "event 2: made by Lifeboat 9.8.7 in version 1.99 of the format of journals; this Lifeboat, "),
            (Box::new(to("v", json!(2))), "event 2: made by Lifeboat 9.8.7 in version 2.0 of the format of journals; this Lifeboat, "),
            (Box::new(to("v", json!("new"))), "event 2: its `v` is not known: "),
            (Box::new(to("of", json!("moon"))), "event 2: what it says is not known: unknown variant `moon`"),
            (Box::new(to("event", json!("landed"))), "event 2: what it says is not known: unknown variant `landed`"),
            (
                Box::new(|fields| {
                    fields.insert("event".into(), json!("stage"));
                    fields.insert("stage".into(), json!("quiesce"));
                    fields.remove("text");
                }),
                "event 2: what it says is not known: unknown variant `quiesce`",
            ),
            (
                Box::new(to("mood", json!("good"))),
                "event 2: its field `mood` is not known; made by Lifeboat 9.8.7 in version 1.0 of the format of journals",
            ),
            (Box::new(to("at", json!("noon"))), "event 2: what it says is not known: "),
        ];
        for (edit, expected) in cases {
            let lines = written(edit);
            let said = check(&lines).unwrap_err();
            assert!(matches!(said.reason, Wrong::Unread(_)) && said.to_string().starts_with(expected), "{said}");
            let mut altered = lines.clone();
            altered[2] = String::from_utf8(altered[2].clone()).unwrap().replace("\"x\"", "\"y\"").into_bytes();
            let said = check(&altered).unwrap_err();
            assert!(said.position == 3 && matches!(said.reason, Wrong::Altered(_)), "the chain is judged before its words: {said}");
            let part = whole_part("r1", lines.iter().map(Vec::as_slice));
            assert_eq!((part.chain.events.len(), part.length), (1, 3), "all of it is whole, and what is before it can be read");
        }
    }

    #[test]
    fn a_field_that_says_nothing_is_no_news_wherever_it_is() {
        let plain = json!({ "a": { "b": [{ "c": 1 }] }, "d": [] });
        let left = |with: Value| left_out(&with, &plain);
        assert_eq!(left(json!({ "a": { "b": [{ "c": 1, "e": { "f": "" } }] }, "g": null, "h": false })), None);
        assert_eq!(left(json!({ "a": { "b": [{ "c": 1, "e": { "f": 0 } }] } })).as_deref(), Some("a.b.0.e"));
        assert_eq!(left(json!({ "h": true })).as_deref(), Some("h"));
    }
}
