//! The hash chain that makes a journal tamper-evident: what one line holds and how a whole journal is checked.
//!
//! `hash = SHA-256("drill-event/v1\0" ‖ JCS(event without hash))`, `prev` is the hash before it, the first `prev` is
//! `SHA-256("drill-genesis/v1\0" ‖ run id)`. JCS is RFC 8785. A line is the canonical form of the event with `prev` and `hash`.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::event::Event;

/// A journal that is not what was written: where and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {position}: {reason}")]
pub struct ChainError {
    /// Position of the first event that is wrong, from 1.
    pub position: u64,
    /// What is wrong with it.
    pub reason: String,
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
    let Value::Object(mut fields) = serde_json::to_value(event)? else { unreachable!("an event is a JSON object") };
    fields.insert("prev".into(), prev.into());
    let hash = hash(&fields)?;
    fields.insert("hash".into(), hash.clone().into());
    Ok((serde_json_canonicalizer::to_string(&fields)?, hash))
}

/// Checks every line of the journal of `run`: hash, link, position, canonical form.
///
/// # Errors
/// The first event that is not as it was written.
pub fn verify<'a>(run: &str, lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Chain, ChainError> {
    let (chain, wrong) = whole_part(run, lines);
    wrong.map_or(Ok(chain), Err)
}

/// As [`verify`], with everything that is provably whole before the first event that is not.
pub fn whole_part<'a>(run: &str, lines: impl IntoIterator<Item = &'a [u8]>) -> (Chain, Option<ChainError>) {
    let mut chain = Chain { events: Vec::new(), head: genesis(run) };
    let wrong = lines.into_iter().try_for_each(|line| follow(run, &mut chain, line)).err();
    (chain, wrong)
}

/// Takes the next line into the chain.
fn follow(run: &str, chain: &mut Chain, line: &[u8]) -> Result<(), ChainError> {
    let position = chain.events.len() as u64 + 1;
    let wrong = |reason: String| ChainError { position, reason };
    let value: Value = serde_json::from_slice(line).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    let Value::Object(mut fields) = value else { return Err(wrong("is not a JSON object".into())) };
    let canonical = serde_json_canonicalizer::to_vec(&fields).map_err(|error| wrong(error.to_string()))?;
    if canonical != line {
        return Err(wrong("is not in canonical form: it was rewritten".into()));
    }
    let stated = fields.remove("hash").and_then(|hash| hash.as_str().map(str::to_owned)).unwrap_or_default();
    if fields.get("prev").and_then(Value::as_str) != Some(&chain.head) {
        return Err(wrong("does not follow the event before it: one was altered, dropped, added or moved".into()));
    }
    if hash(&fields).map_err(|error| wrong(error.to_string()))? != stated {
        return Err(wrong("does not match its hash: it was altered".into()));
    }
    fields.remove("prev");
    let event: Event = serde_json::from_value(Value::Object(fields)).map_err(|error| wrong(format!("is not an event: {error}")))?;
    if event.seq != position || event.run != run {
        return Err(wrong(format!("says it is event {} of run {}", event.seq, event.run)));
    }
    chain.head = stated;
    chain.events.push(event);
    Ok(())
}

fn hash(fields: &Map<String, Value>) -> Result<String, serde_json::Error> {
    Ok(digest(b"drill-event/v1\0", &serde_json_canonicalizer::to_vec(fields)?))
}

fn digest(domain: &[u8], bytes: &[u8]) -> String {
    hex::encode(Sha256::new().chain_update(domain).chain_update(bytes).finalize())
}

/// SHA-256 of `bytes`, lower-case hex: how definitions and plans are named.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Body, RunEvent};
    use crate::model::time::Timestamp;

    fn journal() -> Vec<Vec<u8>> {
        let mut prev = genesis("r1");
        (1..=4)
            .map(|seq| {
                let body = Body::Run(RunEvent::Note { text: format!("n{seq}") });
                let event = Event {
                    v: 1,
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
    fn every_alteration_is_named_by_event() {
        let whole = journal();
        let mut edited = whole.clone();
        edited[1] = String::from_utf8(edited[1].clone()).unwrap().replace("n2", "nX").into_bytes();
        assert_eq!(check(&edited).unwrap_err().position, 2);
        let (part, wrong) = whole_part("r1", edited.iter().map(Vec::as_slice));
        assert_eq!((part.events.len(), wrong.unwrap().position), (1, 2), "what is before it is whole");
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
}
