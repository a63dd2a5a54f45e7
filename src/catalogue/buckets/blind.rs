//! What a mirror lacked while its source could not be read. It can be said once the source can be read again. Pure.
//!
//! At each look during that time, what the mirror held is kept. Later the source lists its objects and when it took each of them: what the source held at the time of a look and the
//! mirror did not was missing then. An object that was written to the mirror first reached the source after the look, so it was not missing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::time::Timestamp;

/// Stores tell whole seconds: an object was taken in this second, or just before it ends.
const RESOLUTION: Duration = Duration::from_secs(1);

/// One look while a side could not be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlindLook {
    /// When the look was sent.
    pub(crate) sent: Timestamp,
    /// When the look was over.
    pub(crate) done: Timestamp,
    /// When the newest object that both sides were known to have was committed.
    pub(crate) common: Option<Timestamp>,
    /// Whether the mirror was read: only then is what it did not show known to have been missing.
    pub(crate) mirror_read: bool,
}

/// A time in which not both sides could be read.
#[derive(Debug, Default)]
pub(crate) struct Blind {
    /// The name after which objects count: both sides had everything up to it when the blind time began. Absent while both sides can be read.
    after: Option<String>,
    looks: Vec<BlindLook>,
    /// At which look the mirror first had a name.
    seen: BTreeMap<String, usize>,
}

/// What the mirror lacked in a blind time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlindSpan {
    /// How far the mirror was behind at most, at any of the looks; absent when it was not known what both sides had.
    pub(crate) most: Option<Duration>,
    /// The newest object that was missing for certain, and the newest commit that both sides had then: the mirror was behind by at least the time between the two.
    pub(crate) missed: Option<(String, Timestamp)>,
}

impl Blind {
    /// After which name the source has to be listed, if not after `floor` as usual.
    pub(crate) fn since(&self, floor: &str) -> String {
        self.after.clone().unwrap_or_else(|| floor.to_owned())
    }

    /// A look that did not see both sides: `floor` is the name up to which both had everything before it, `mirror` what the mirror has after that.
    pub(crate) fn keep(&mut self, look: BlindLook, floor: &str, mirror: impl IntoIterator<Item = String>) {
        self.after.get_or_insert_with(|| floor.to_owned());
        let index = self.looks.len();
        let common = look.common.or_else(|| self.looks.last()?.common);
        self.looks.push(BlindLook { common, ..look });
        for name in mirror {
            self.seen.entry(name).or_insert(index);
        }
    }

    /// Ends the blind time, if there was one, by what the source holds after [`Blind::since`] and when the source took each object.
    pub(crate) fn end(&mut self, source: &BTreeMap<String, Timestamp>) -> Option<BlindSpan> {
        self.after.take()?;
        let Self { looks, seen, .. } = std::mem::take(self);
        let mut unseen = BlindSpan { most: Some(Duration::ZERO), missed: None };
        let mut newest = None;
        for (name, taken) in source {
            // From this look on the mirror has it.
            let had = seen.get(name).copied().unwrap_or(looks.len());
            let last = taken.plus(RESOLUTION);
            if let Some(look) = looks[..had].iter().find(|look| look.done >= *taken) {
                unseen.most = unseen.most.zip(look.common).map(|(most, common)| most.max(last.since(common)));
            }
            if let Some(common) = looks[..had].iter().find(|look| look.mirror_read && look.sent >= last).and_then(|look| look.common)
                && newest <= Some(*taken)
            {
                newest = Some(*taken);
                unseen.missed = Some((name.clone(), common));
            }
        }
        Some(unseen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    /// Looks at these seconds, each with the numbers that the mirror has then; `common` is the second in which the newest common one was committed.
    fn blind(looks: &[(i64, i64, &[u32])]) -> Blind {
        let mut blind = Blind::default();
        for (second, common, mirror) in looks {
            let look = BlindLook { sent: at(*second), done: at(*second), common: Some(at(*common)), mirror_read: true };
            blind.keep(look, "010", mirror.iter().map(|number| format!("{number:03}")));
        }
        blind
    }

    fn source(objects: &[(u32, i64)]) -> BTreeMap<String, Timestamp> {
        objects.iter().map(|(number, second)| (format!("{number:03}"), at(*second))).collect()
    }

    fn check(looks: &[(i64, i64, &[u32])], held: &[(u32, i64)], most: u64, missed: Option<(&str, i64)>) {
        let mut blind = blind(looks);
        assert_eq!(blind.since("099"), "010", "what has come since counts too");
        let missed = missed.map(|(name, common)| (name.to_owned(), at(common)));
        assert_eq!(blind.end(&source(held)), Some(BlindSpan { most: Some(Duration::from_secs(most)), missed }));
        assert_eq!(blind.end(&source(held)), None, "told once");
        assert_eq!(blind.since("099"), "099");
    }

    #[test]
    fn what_the_source_went_on_to_take_was_missing_until_the_mirror_had_it() {
        // Nothing came to the mirror until second 16, when it caught up.
        let looks: &[(i64, i64, &[u32])] = &[(11, 10, &[]), (12, 10, &[]), (13, 10, &[]), (14, 10, &[]), (15, 10, &[]), (16, 14, &[11, 12, 13, 14])];
        check(looks, &[(11, 11), (12, 12), (13, 13), (14, 14)], 5, Some(("014", 10)));
        // It did not catch up: the newest was there for the last look.
        check(&looks[..5], &[(11, 11), (12, 12), (13, 13)], 4, Some(("013", 10)));
    }

    #[test]
    fn a_mirror_that_kept_up_lacked_no_more_than_what_was_on_its_way() {
        let looks: &[(i64, i64, &[u32])] = &[(11, 10, &[]), (12, 11, &[11]), (13, 12, &[12]), (14, 13, &[13])];
        check(looks, &[(11, 11), (12, 12), (13, 13)], 2, None);
    }

    #[test]
    fn what_was_written_to_the_mirror_first_was_never_missing_there() {
        // The source was dead from 11 to 40; orders went to the mirror from 23 on and were copied back at 40.
        let looks: &[(i64, i64, &[u32])] = &[(12, 10, &[]), (22, 10, &[]), (24, 24, &[11]), (30, 30, &[12])];
        check(looks, &[(11, 40), (12, 40)], 0, None);
        // One order that the source had taken was left behind.
        check(looks, &[(11, 11), (12, 40), (13, 40)], 2, Some(("011", 10)));
    }

    #[test]
    fn without_anything_common_there_is_no_telling() {
        let mut blind = Blind::default();
        blind.keep(BlindLook { sent: at(11), done: at(11), common: None, mirror_read: true }, "", []);
        assert_eq!(blind.end(&source(&[(1, 5)])), Some(BlindSpan { most: None, missed: None }));
    }

    #[test]
    fn a_mirror_that_could_not_be_read_may_have_had_everything() {
        let mut blind = Blind::default();
        for second in [12, 13, 14] {
            blind.keep(BlindLook { sent: at(second), done: at(second), common: Some(at(10)), mirror_read: false }, "010", []);
        }
        let unseen = blind.end(&source(&[(11, 11), (12, 12)])).unwrap();
        assert_eq!(unseen, BlindSpan { most: Some(Duration::from_secs(3)), missed: None }, "it may have lacked them, and is not known to");
    }
}
