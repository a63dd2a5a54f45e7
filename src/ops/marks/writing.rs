//! Between a mark and tags. Five keys: `lifeboat:run`, `lifeboat:step`, `lifeboat:until`, `lifeboat:signed` (see `signing`), and `lifeboat:undo.0`, `.1`, … with
//! what undo needs: `{uses, with, before}` as JSON, deflated, base64url, cut to the length of a value. The first piece begins with `VERSION.PIECES.DIGEST.`
//! (the version is `2`, or `2-1` where it has a minor number; a reader leaves alone what it does not know; 1 is the same without a signature);
//! the digest is over run, step and data, so that a torn or mixed set is known for one. A renewal rewrites `until` and the signature alone; neither is in the
//! digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::engine::lease::Mark;
use crate::model::format::{self, Format, Version, check_readable};
use crate::ports::tags::{Room, TagMap};

pub(in crate::ops) const RUN: &str = "lifeboat:run";
pub(in crate::ops) const STEP: &str = "lifeboat:step";
pub(in crate::ops) const UNTIL: &str = "lifeboat:until";
pub(in crate::ops) const SIGNED: &str = "lifeboat:signed";
const UNDO: &str = "lifeboat:undo.";

/// More than this is no undo data, whatever it deflates to.
const LARGEST: usize = 1 << 20;

/// What undo needs, as the tags hold it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    uses: String,
    with: Value,
    before: Value,
}

/// What a signature of a mark is over, as the tags have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words<'a> {
    pub(super) run: &'a str,
    pub(super) step: &'a str,
    pub(super) until: &'a str,
    /// What undo needs.
    pub(super) data: &'a str,
}

/// Why tags are no mark that may be acted upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::ops) enum Unreadable {
    /// Some of them are missing or altered.
    #[error("the set of tags is torn: {0}")]
    Torn(String),
    /// A newer Lifeboat wrote them.
    #[error("{0}; {hint}", hint = .0.hint())]
    Newer(format::Unreadable),
}

/// A version as a mark has it: a full stop ends it there.
fn written(version: Version) -> String {
    if version.minor == 0 { version.major.to_string() } else { version.to_string().replace('.', "-") }
}

/// Whether a tag is part of a mark.
pub(in crate::ops) fn is_mark(key: &str) -> bool {
    matches!(key, RUN | STEP | UNTIL | SIGNED)
        || key.strip_prefix(UNDO).is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The mark as tags for objects with this room in a value, still without a signature.
///
/// # Errors
/// A sentence, when a run or step has a name that no value can hold.
pub(super) fn write(mark: &Mark, room: Room) -> Result<TagMap, String> {
    let undo = Undo { uses: mark.uses.clone(), with: mark.with.clone(), before: mark.before.clone() };
    // Maps with text keys and plain values always have a JSON form.
    let json = serde_json::to_vec(&undo).map_err(|error| format!("what undo needs cannot be written: {error}"))?;
    let data = URL_SAFE_NO_PAD.encode(miniz_oxide::deflate::compress_to_vec(&json, 9));
    let version = written(Format::Mark.current());
    let digest = digest(&version, &mark.run, &mark.step, &data);
    let mut tags = TagMap::from([(RUN.into(), mark.run.clone()), (STEP.into(), mark.step.clone()), (UNTIL.into(), mark.until.to_string())]);
    if let Some((key, _)) = tags.iter().find(|(_, value)| value.chars().count() > room.value) {
        return Err(format!("`{key}` is longer than the {} characters of a tag", room.value));
    }
    // The number of pieces is part of the text that is cut.
    let cut = |pieces: usize| format!("{version}.{pieces}.{digest}.{data}");
    let mut pieces = 1;
    while cut(pieces).len().div_ceil(room.value) > pieces {
        pieces += 1;
    }
    for (number, piece) in cut(pieces).as_bytes().chunks(room.value).enumerate() {
        tags.insert(format!("{UNDO}{number}"), String::from_utf8_lossy(piece).into_owned());
    }
    Ok(tags)
}

/// The mark that tags hold; `None` when there is nothing of one.
///
/// # Errors
/// [`Unreadable`], with what is wrong.
pub(in crate::ops) fn read(tags: &TagMap) -> Option<Result<Mark, Unreadable>> {
    tags.keys().any(|key| is_mark(key)).then(|| whole(tags))
}

/// Calls `with` with the words of the mark that tags hold; `None` when it is none.
pub(super) fn with_words<T>(tags: &TagMap, with: impl FnOnce(&Words<'_>) -> T) -> Option<T> {
    let data = data(tags).ok()?;
    let words = Words { run: tags.get(RUN)?, step: tags.get(STEP)?, until: tags.get(UNTIL)?, data: &data };
    Some(with(&words))
}

/// What undo needs, as text, once the digest says that it is what was written.
fn data(tags: &TagMap) -> Result<String, Unreadable> {
    let torn = |what: &str| Unreadable::Torn(what.to_owned());
    let get = |key: &str| tags.get(key).ok_or_else(|| Unreadable::Torn(format!("`{key}` is missing")));
    let first = get(&format!("{UNDO}0"))?;
    let (version, rest) = first.split_once('.').ok_or_else(|| torn("the undo data has no version"))?;
    let stated: Version = version.replace('-', ".").parse().map_err(|_| torn("the undo data has no version"))?;
    check_readable(Format::Mark, stated, None).map_err(Unreadable::Newer)?;
    let mut head = rest.splitn(3, '.');
    let (Some(pieces), Some(stated), Some(begin)) = (head.next().and_then(|text| text.parse::<usize>().ok()), head.next(), head.next()) else {
        return Err(torn("the undo data has no head"));
    };
    let mut data = begin.to_owned();
    for number in 1..pieces {
        data.push_str(get(&format!("{UNDO}{number}"))?);
    }
    if digest(version, get(RUN)?, get(STEP)?, &data) != stated {
        return Err(torn("its digest does not fit"));
    }
    Ok(data)
}

fn whole(tags: &TagMap) -> Result<Mark, Unreadable> {
    let torn = |what: &str| Unreadable::Torn(what.to_owned());
    let get = |key: &str| tags.get(key).ok_or_else(|| Unreadable::Torn(format!("`{key}` is missing")));
    let data = data(tags)?;
    let (run, step, until) = (get(RUN)?, get(STEP)?, get(UNTIL)?);
    let until = until.parse().map_err(|_| torn("`lifeboat:until` is no time"))?;
    let bytes = URL_SAFE_NO_PAD.decode(&data).map_err(|_| torn("the undo data is not base64url"))?;
    let json = miniz_oxide::inflate::decompress_to_vec_with_limit(&bytes, LARGEST).map_err(|_| torn("the undo data cannot be inflated"))?;
    let Undo { uses, with, before } = serde_json::from_slice(&json).map_err(|_| torn("the undo data is not what was expected"))?;
    Ok(Mark { run: run.clone(), step: step.clone(), until, uses, with, before })
}

/// Whether so many tags of a mark fit beside what an object has of its own.
///
/// # Errors
/// A sentence with the numbers.
pub(super) fn fit(needed: usize, there: &TagMap, room: Room) -> Result<(), String> {
    let own = there.keys().filter(|key| !is_mark(key)).count();
    if own + needed <= room.tags {
        return Ok(());
    }
    let free = room.tags.saturating_sub(own);
    Err(format!("its marks take {needed} tags; {own} of the {} that it may have are taken, so {free} are free", room.tags))
}

/// 72 bits: enough against accidents. Against people there is the signature.
fn digest(version: &str, run: &str, step: &str, data: &str) -> String {
    let hash = Sha256::digest(format!("lifeboat-mark/v{version}\0{run}\0{step}\0{data}"));
    URL_SAFE_NO_PAD.encode(&hash[..9])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::time::Timestamp;

    const ALIYUN: Room = Room { tags: 20, value: 128 };
    const AWS: Room = Room { tags: 50, value: 256 };

    fn mark(vswitches: usize) -> Mark {
        let vswitches: serde_json::Map<String, Value> =
            (0..vswitches).map(|n| (format!("vsw-bp{:021x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), json!("nacl-bp1lifeboat0data0001"))).collect();
        Mark {
            run: "20261122T235501.208Z-aliyun-region-outage-4be1".into(),
            step: "fault".into(),
            until: Timestamp::from_nanos(1_790_000_000_000_000_000),
            uses: "aliyun.region-outage".into(),
            with: json!({ "region": "cn-hangzhou", "vpc": "vpc-bp1lifeboat0shop00001" }),
            before: json!({ "vswitches": vswitches, "acls": ["nacl-bp1lifeboat0data0001"] }),
        }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_a_renewal_changes_only_the_end() {
        for (room, vswitches) in [(ALIYUN, 2), (ALIYUN, 30), (AWS, 200)] {
            let mark = mark(vswitches);
            let mut tags = write(&mark, room).unwrap();
            assert!(tags.iter().all(|(key, value)| key.len() <= 128 && value.len() <= room.value && is_mark(key)));
            assert!(tags.len() <= room.tags, "{vswitches}: {}", tags.len());
            assert_eq!(read(&tags), Some(Ok(mark.clone())));
            let until = Timestamp::from_nanos(1_800_000_000_000_000_000);
            tags.insert(UNTIL.into(), until.to_string());
            assert_eq!(read(&tags), Some(Ok(Mark { until, ..mark })));
        }
        assert_eq!(read(&TagMap::from([("Name".into(), "x".into()), ("lifeboat:undo.x".into(), "x".into())])), None);
    }

    #[test]
    fn a_mark_of_the_former_form_is_read() {
        let (mark, mut tags) = (mark(1), write(&mark(1), AWS).unwrap());
        let first = tags["lifeboat:undo.0"].clone();
        let data = first.splitn(4, '.').nth(3).unwrap().to_owned();
        assert_eq!(with_words(&tags, |words| words.data.to_owned()), Some(data.clone()));
        tags.insert("lifeboat:undo.0".into(), format!("1.1.{}.{data}", digest("1", &mark.run, &mark.step, &data)));
        assert_eq!(read(&tags), Some(Ok(mark)));
        tags.insert("lifeboat:undo.0".into(), first.replacen("2.", "1.", 1));
        assert!(read(&tags).unwrap().is_err(), "one form is not the other");
    }

    #[test]
    fn any_loss_and_any_alteration_is_seen() {
        let tags = write(&mark(8), ALIYUN).unwrap();
        for key in tags.keys() {
            let mut less = tags.clone();
            less.remove(key);
            assert!(matches!(read(&less), Some(Err(Unreadable::Torn(_)))), "without {key}");
            let mut other = tags.clone();
            other.get_mut(key).unwrap().insert(0, 'x');
            assert!(read(&other).unwrap().is_err(), "{key} altered");
        }
        let mixed: TagMap = tags.iter().map(|(key, value)| (key.clone(), if key == RUN { "another".into() } else { value.clone() })).collect();
        assert!(matches!(read(&mixed), Some(Err(Unreadable::Torn(_)))), "one run's name on another's data");
    }

    #[test]
    fn a_newer_form_is_left_alone() {
        let mut tags = write(&mark(1), ALIYUN).unwrap();
        let whole = tags["lifeboat:undo.0"].clone();
        for (written, version) in [("3.", "3.0"), ("2-1.", "2.1")] {
            tags.insert("lifeboat:undo.0".into(), whole.replacen("2.", written, 1));
            let Some(Err(unread @ Unreadable::Newer(_))) = read(&tags) else { panic!("{:?}", read(&tags)) };
            let said = unread.to_string();
            assert!(said.contains(&format!("in version {version} of the format of marks")) && said.contains("not altered"), "{said}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_numbers() {
        let own = |count: usize| (0..count).map(|n| (format!("own{n}"), String::new())).collect::<TagMap>();
        let marks = write(&mark(2), ALIYUN).unwrap();
        assert_eq!(fit(marks.len(), &own(20 - marks.len()), ALIYUN), Ok(()));
        let said = fit(marks.len(), &own(18), ALIYUN).unwrap_err();
        assert!(said.contains("18 of the 20") && said.contains("2 are free"), "{said}");
        let old: TagMap = marks.iter().map(|(key, value)| (key.clone(), value.clone())).chain(own(20 - marks.len())).collect();
        assert_eq!(fit(marks.len(), &old, ALIYUN), Ok(()), "marks that are written again take no more room");
        let long = Mark { run: "r".repeat(129), ..mark(1) };
        assert!(write(&long, ALIYUN).unwrap_err().contains("128"));
    }

    proptest! {
        #[test]
        fn no_tags_make_the_reader_fail_otherwise(pieces in prop::collection::btree_map("lifeboat:(run|step|until|undo\\.[0-3])", "[ -~]{0,40}|1\\.[0-9]{1,19}\\.[a-z]{0,5}\\.[a-z]{0,9}", 0..6)) {
            if let Some(read) = read(&pieces) {
                prop_assert!(read.is_err());
            }
        }
    }
}
