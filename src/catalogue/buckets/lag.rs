//! How far a mirror is behind its source, told from objects whose keys are in order. Pure.
//!
//! A newer object in the mirror is of no use while an older one is missing there, so what counts is the newest object below which none is missing.

use std::collections::BTreeSet;

/// What is known of both sides. Names are keys without prefix; their order is the order of the commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sides {
    /// Everything up to and including this is in the mirror; only later names are kept.
    floor: Option<String>,
    /// The names known in the source after the floor; they are kept while the source cannot be read.
    source: BTreeSet<String>,
    /// The newest name ever seen in the source.
    newest: Option<String>,
}

/// What a look at both sides says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The newest name known in the source.
    pub(crate) newest: Option<String>,
    /// The newest name in the mirror below which none is missing.
    pub(crate) contiguous: Option<String>,
    /// How many known objects are missing in the mirror: at least so many while the source cannot be read, and absent while the mirror cannot be read.
    pub(crate) missing: Option<usize>,
}

impl Sides {
    /// After which name both sides have to be listed; empty = from the start.
    pub(crate) fn after(&self) -> &str {
        self.floor.as_deref().unwrap_or_default()
    }

    /// Whether this is the newest of the source, or the newest below which nothing is missing in the mirror.
    pub(crate) fn is_at_an_end(&self, name: &str) -> bool {
        [&self.newest, &self.floor].into_iter().any(|end| end.as_deref() == Some(name))
    }

    /// Takes new listings of what comes after [`Sides::after`]; a side is `None` when it could not be read.
    pub(crate) fn look(&mut self, source: Option<BTreeSet<String>>, mirror: Option<&BTreeSet<String>>) -> Gap {
        let is_read = source.is_some();
        if let Some(source) = source {
            self.newest = self.newest.take().max(source.last().cloned());
            self.source = source;
        }
        let Some(mirror) = mirror else { return Gap { newest: self.newest.clone(), contiguous: self.floor.clone(), missing: None } };
        let all: Vec<String> = self.source.union(mirror).cloned().collect();
        let mut missing = 0;
        let mut is_whole = true;
        for name in all {
            if !mirror.contains(&name) {
                is_whole = false;
                missing += 1;
            } else if is_whole {
                // While the source cannot tell what it has, only the number that comes next leaves nothing out between; other gaps are objects that are missing.
                let between =
                    if is_read || self.source.contains(&name) { Some(0) } else { self.floor.as_deref().and_then(|floor| skipped(floor, &name)) };
                match between {
                    Some(0) => self.floor = Some(name),
                    Some(skipped) => {
                        is_whole = false;
                        missing += skipped;
                    }
                    None => is_whole = false,
                }
            }
        }
        let floor = self.floor.clone();
        self.source.retain(|name| Some(name) > floor.as_ref());
        Gap { newest: self.newest.clone(), contiguous: floor, missing: Some(missing) }
    }
}

/// How many numbers lie between two names that end in numbers and are alike otherwise.
fn skipped(before: &str, after: &str) -> Option<usize> {
    let (head, low) = number(before)?;
    let (other, high) = number(after)?;
    (head == other).then(|| usize::try_from(high.saturating_sub(low).saturating_sub(1)).unwrap_or(usize::MAX))
}

fn number(name: &str) -> Option<(&str, u64)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let head = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((head, stem[head.len()..].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(numbers: &[u32]) -> BTreeSet<String> {
        numbers.iter().map(|number| format!("{number:012}")).collect()
    }

    fn check(sides: &mut Sides, source: Option<&[u32]>, mirror: &[u32], newest: u32, contiguous: u32, missing: usize) {
        let gap = sides.look(source.map(names), Some(&names(mirror)));
        let name = |number: u32| (number > 0).then(|| format!("{number:012}"));
        assert_eq!(gap, Gap { newest: name(newest), contiguous: name(contiguous), missing: Some(missing) });
    }

    #[test]
    fn a_hole_holds_the_floor_until_it_is_filled() {
        let mut sides = Sides::default();
        check(&mut sides, Some(&[1, 2, 3, 4]), &[1, 2, 4], 4, 2, 1);
        assert_eq!(sides.after(), "000000000002");
        check(&mut sides, Some(&[3, 4, 5]), &[4], 5, 2, 2);
        check(&mut sides, Some(&[3, 4, 5]), &[3, 4, 5], 5, 5, 0);
        // Nothing new after the floor.
        check(&mut sides, Some(&[]), &[], 5, 5, 0);
    }

    #[test]
    fn what_the_source_was_known_to_have_stays_missing_while_it_is_unreadable() {
        let mut sides = Sides::default();
        check(&mut sides, Some(&[1, 2, 3]), &[1, 2], 3, 2, 1);
        check(&mut sides, None, &[], 3, 2, 1);
        // Orders go to the mirror directly now; the third is still missing.
        check(&mut sides, None, &[4, 5], 3, 2, 1);
        // The source is back with one that had never been seen.
        check(&mut sides, Some(&[3]), &[3, 4, 5], 3, 5, 0);
    }

    #[test]
    fn a_gap_in_the_numbers_is_a_loss_only_while_the_source_cannot_tell() {
        let mut sides = Sides::default();
        check(&mut sides, Some(&[1, 2]), &[1, 2], 2, 2, 0);
        check(&mut sides, None, &[4, 5], 2, 2, 1);
        check(&mut sides, Some(&[]), &[4, 5], 2, 5, 0);
    }

    #[test]
    fn names_without_numbers_prove_nothing_while_the_source_cannot_tell() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let mut sides = Sides::default();
        sides.look(Some(set(&["a", "b"])), Some(&set(&["a"])));
        let gap = sides.look(None, Some(&set(&["b", "d"])));
        assert_eq!((gap.contiguous.as_deref(), gap.missing), (Some("b"), Some(0)), "whether there is a c nobody can tell");
        let gap = sides.look(Some(set(&["c", "d"])), Some(&set(&["d"])));
        assert_eq!((gap.contiguous.as_deref(), gap.missing), (Some("b"), Some(1)));
    }

    #[test]
    fn an_unreadable_mirror_has_what_it_had() {
        let mut sides = Sides::default();
        check(&mut sides, Some(&[1, 2, 3]), &[1, 2], 3, 2, 1);
        let gap = sides.look(Some(names(&[3, 4])), None);
        assert_eq!((gap.newest.as_deref(), gap.contiguous.as_deref(), gap.missing), (Some("000000000004"), Some("000000000002"), None));
        check(&mut sides, Some(&[3, 4]), &[3, 4], 4, 4, 0);
    }

    #[test]
    fn nothing_is_nothing() {
        check(&mut Sides::default(), Some(&[]), &[], 0, 0, 0);
        check(&mut Sides::default(), Some(&[1]), &[], 1, 0, 1);
    }
}
