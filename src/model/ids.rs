//! Names of the parts of a run: which part of a plan a step is of, and the keys of steps, made and taken apart here and nowhere else.
//!
//! A key is `fault`, `failover/start`, `failback/shift-dns`, or, of one item of a `for_each`, `failover/start[3]`. Ids may have slashes of their own: those of
//! the steps of a runbook that is used by another.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
