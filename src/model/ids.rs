//! Names of runs and of their parts: the ids of runs, which part of a plan a step is of, and the keys of steps, made and taken apart here and nowhere else.
//!
//! The id of a run, which is the name of its folder too, is `20261122T235501.208Z-aliyun-region-outage-4be1`: when it was begun, what it runs, something random.
//!
//! A key of a step is `fault`, `failover/start`, `failback/shift-dns`, or, of one item of a `for_each`, `failover/start[3]`. Ids may have slashes of their own: those of
//! the steps of a runbook that is used by another.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;

use super::time::Timestamp;

/// So much of the name of a scenario or a runbook stands in the id of a run.
const LONGEST_NAME: usize = 48;
/// A text of a stranger that is longer is no id and no key.
const LONGEST: usize = 128;

/// The id of a run. A text becomes one where the run is begun, where it is found as the name of a folder of runs, or by [`RunId::told`]: joined to a folder it
/// leads nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// That of a run which begins now. Ids sort by time, to the millisecond; `random` tells two of one millisecond apart.
    #[must_use]
    pub fn new(now: Timestamp, name: &str, random: u16) -> Self {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).take(LONGEST_NAME).collect();
        Self(format!("{}-{name}-{random:04x}", now.to_utc().format("%Y%m%dT%H%M%S%.3fZ")))
    }

    /// That of the run in a folder of this name, whoever made it: somebody may have renamed it.
    #[must_use]
    pub fn of_folder(name: String) -> Self {
        Self(name)
    }

    /// That which a stranger says, such as the tags of a mark; `None` when it may lead to another folder, or means something else than a run in a command line.
    #[must_use]
    pub fn told(text: &str) -> Option<Self> {
        let is_plain = text.len() <= LONGEST && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        (is_plain && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))).then(|| Self(text.to_owned()))
    }
}

impl Deref for RunId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<Path> for RunId {
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

impl PartialEq<str> for RunId {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for RunId {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

/// Which run a person means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunChoice {
    /// `latest`: the one that was begun last.
    Latest,
    /// An id, or a beginning that fits one id only.
    Named(String),
}

/// Why nobody can tell which run is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// The latest of none.
    #[error("there is no run yet")]
    Empty,
    /// No id begins like this.
    #[error("there is no run `{0}`")]
    Unknown(String),
    /// Several do.
    #[error("`{0}` fits {1} runs")]
    Several(String, usize),
}

impl RunChoice {
    /// The one of `runs`, which stand in order of their ids.
    ///
    /// # Errors
    /// [`NoChoice`]
    pub fn among<'a>(&self, runs: &'a [RunId]) -> Result<&'a RunId, NoChoice> {
        let Self::Named(wanted) = self else { return runs.last().ok_or(NoChoice::Empty) };
        if let Some(run) = runs.iter().find(|run| **run == **wanted) {
            return Ok(run);
        }
        let fitting: Vec<&RunId> = runs.iter().filter(|run| !wanted.is_empty() && run.starts_with(wanted.as_str())).collect();
        match fitting.as_slice() {
            [run] => Ok(run),
            [] => Err(NoChoice::Unknown(wanted.clone())),
            several => Err(NoChoice::Several(wanted.clone(), several.len())),
        }
    }
}

impl FromStr for RunChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "latest" { Self::Latest } else { Self::Named(text.to_owned()) })
    }
}

/// Whether `text` can be the name of a step, a probe or an environment: small letters, digits, `-` and `_`, beginning with a letter, at most 64.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
        && !text.ends_with('-')
}

/// The key of the fault.
pub const FAULT: &str = "fault";

/// Which part of a plan a step is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The fault, which is a step of no runbook.
    Fault,
    /// The runbook of the way there.
    Failover,
    /// The runbook of the way back.
    Failback,
}

impl Part {
    /// The parts that are runbooks.
    pub const RUNBOOKS: [Self; 2] = [Self::Failover, Self::Failback];

    /// As keys begin with it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fault => FAULT,
            Self::Failover => "failover",
            Self::Failback => "failback",
        }
    }

    /// That of a key; `None` when it is no key.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        Some(StepKey::parse(key)?.part)
    }

    /// Whether the step of this key is of it.
    #[must_use]
    pub fn has(self, key: &str) -> bool {
        Self::of(key) == Some(self)
    }

    /// The key of its step `id`.
    #[must_use]
    pub fn key(self, id: &str) -> String {
        StepKey { part: self, id, item: None }.to_string()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A key taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepKey<'a> {
    /// The part of the plan.
    pub part: Part,
    /// The step's id in its runbook; `fault` of the fault.
    pub id: &'a str,
    /// Its number, of an item of a `for_each`, from 0.
    pub item: Option<u64>,
}

impl<'a> StepKey<'a> {
    /// Takes a key apart; `None` when it is none.
    #[must_use]
    pub fn parse(key: &'a str) -> Option<Self> {
        if key == FAULT {
            return Some(Self { part: Part::Fault, id: FAULT, item: None });
        }
        let (book, rest) = key.split_once('/')?;
        let part = Part::RUNBOOKS.into_iter().find(|part| part.word() == book)?;
        let (id, item) = apart(rest);
        Some(Self { part, id, item })
    }
}

impl fmt::Display for StepKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.part, self.item) {
            (Part::Fault, _) => f.write_str(FAULT),
            (part, None) => write!(f, "{part}/{}", self.id),
            (part, Some(item)) => write!(f, "{part}/{}[{item}]", self.id),
        }
    }
}

fn apart(text: &str) -> (&str, Option<u64>) {
    let item = || {
        let (whole, number) = text.strip_suffix(']')?.rsplit_once('[')?;
        Some((whole, number.parse().ok()?))
    };
    item().map_or((text, None), |(whole, number)| (whole, Some(number)))
}

/// The key of item `number` of the `for_each` of this key.
#[must_use]
pub fn item_key(key: &str, number: usize) -> String {
    format!("{key}[{number}]")
}

/// `failover/start` for `failover/start[3]`; `None` for a key that is not an item's.
#[must_use]
pub fn parent_of(key: &str) -> Option<&str> {
    let (whole, item) = apart(key);
    item.map(|_| whole)
}

/// The key of the step in the plan: of an item, that of its `for_each`.
#[must_use]
pub fn whole(key: &str) -> &str {
    apart(key).0
}

/// The number of an item; 0 of what is none.
#[must_use]
pub fn item_number(key: &str) -> u64 {
    apart(key).1.unwrap_or(0)
}

/// What people call a step where its runbook is known: its id, with the number of an item.
#[must_use]
pub fn short(key: &str) -> &str {
    if Part::of(key).is_some_and(|part| part != Part::Fault) { key.split_once('/').map_or(key, |(_, id)| id) } else { key }
}

/// The keys that a person may mean by `given`: itself, and the step of this id in either runbook.
#[must_use]
pub fn meant(given: &str) -> [String; 3] {
    [given.to_owned(), Part::Failover.key(given), Part::Failback.key(given)]
}

/// Whether a text that nobody vouches for can be shown as the key of a step: short, and of no characters but those of keys.
#[must_use]
pub fn is_plain(key: &str) -> bool {
    key.len() < LONGEST && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '[' | ']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_runs_sort_by_time_and_are_told_from_other_texts() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = RunId::new(at("2026-11-22T23:55:01.208Z"), "aliyun-region-outage", 0x4be1);
        assert_eq!(first, "20261122T235501.208Z-aliyun-region-outage-4be1");
        let later = RunId::new(at("2026-11-22T23:55:01.209Z"), "../a b", 7);
        assert_eq!(later, "20261122T235501.209Z----a-b-0007");
        assert!(
            first < later && RunId::new(at("2026-11-22T23:55:01Z"), &"x".repeat(99), 0).len() == "20261122T235501.000Z--0000".len() + LONGEST_NAME
        );
        for own in [&first, &later] {
            assert_eq!(RunId::told(own).as_ref(), Some(own));
            assert_eq!(serde_json::to_string(own).unwrap(), format!("\"{own}\""));
        }
        for strange in ["", ".", "..", "../x", "/etc", "a/b", "-f", "--all", ".hidden", "a b", "a;b", "a\nb", "a\0", "é", &"a".repeat(129)] {
            assert_eq!(RunId::told(strange), None, "{strange:?}");
        }
    }

    #[test]
    fn a_person_names_a_run_by_its_id_a_beginning_or_as_the_latest() {
        let runs = ["20261122T1-a-0001", "20261122T2-b-0002", "20261122T2-b-00023"].map(|name| RunId::of_folder(name.to_owned()));
        let chosen = |text: &str| text.parse::<RunChoice>().unwrap().among(&runs).map(|run| run.to_string()).map_err(|why| why.to_string());
        assert_eq!(chosen("latest").as_deref(), Ok("20261122T2-b-00023"));
        assert_eq!(chosen("20261122T2-b-0002").as_deref(), Ok("20261122T2-b-0002"), "the whole id, though another one begins with it");
        assert_eq!(chosen("20261122T1").as_deref(), Ok("20261122T1-a-0001"));
        assert_eq!(chosen("2026").unwrap_err(), "`2026` fits 3 runs");
        for unknown in ["", "2027", "b", "LATEST"] {
            assert_eq!(chosen(unknown).unwrap_err(), format!("there is no run `{unknown}`"));
        }
        assert_eq!(RunChoice::Latest.among(&[]).unwrap_err().to_string(), "there is no run yet");
    }

    #[test]
    fn names_and_keys_are_told_from_other_texts() {
        for name in ["a", "start-standby", "a_1", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for other in ["", "A", "1a", "-a", "a-", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(!is_name(other), "{other}");
        }
        assert!(is_plain("failover/sub/a[3]") && !is_plain("failover/a\u{1b}[2J") && !is_plain(&"a".repeat(LONGEST)));
    }

    #[test]
    fn keys_are_taken_apart_and_put_together() {
        for (key, part, id, item) in [
            ("fault", Part::Fault, "fault", None),
            ("failover/start", Part::Failover, "start", None),
            ("failback/sub/one[12]", Part::Failback, "sub/one", Some(12)),
            ("failover/odd[x]", Part::Failover, "odd[x]", None),
            ("failover/two[1][2]", Part::Failover, "two[1]", Some(2)),
        ] {
            let parsed = StepKey::parse(key).unwrap();
            assert_eq!((parsed, parsed.to_string().as_str()), (StepKey { part, id, item }, key));
        }
        for key in ["", "start", "faults", "fault/x", "elsewhere/start", "Failover/start"] {
            assert_eq!(StepKey::parse(key), None, "{key}");
        }
    }

    #[test]
    fn items_belong_to_their_step() {
        assert_eq!((parent_of("failover/a[3]"), parent_of("failover/a"), parent_of("failover/a[]")), (Some("failover/a"), None, None));
        assert_eq!((whole("failover/a[3]"), item_number("failover/a[3]"), item_number("failover/a")), ("failover/a", 3, 0));
        assert_eq!([short("failover/sub/a[3]"), short("fault"), short("x/y")], ["sub/a[3]", "fault", "x/y"]);
        assert_eq!(item_key(&Part::Failback.key("b"), 7), "failback/b[7]");
    }
}
