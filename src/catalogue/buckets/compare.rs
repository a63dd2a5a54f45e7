//! Compares the listings of two buckets. Pure.
//!
//! Objects are written all the time, so only the objects that were there at the first look are judged; newer ones are left out by their time, on each side by that side's own clock.
//! The mirror is listed before the source: whatever reached the mirror by then is in the source's listing as well.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::difference::Difference;
use crate::model::time::Timestamp;
use crate::ports::objects::ObjectInfo;

/// When the newest object was written that a listing holds: what is newer came later. Stores tell whole seconds, so some of the same second may have come later too.
pub(crate) fn newest(objects: &[ObjectInfo]) -> Option<Timestamp> {
    objects.iter().map(|object| object.modified).max()
}

/// The listing of one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    /// Everything under the prefix.
    pub(crate) objects: &'a [ObjectInfo],
    /// What keys begin with; names are what follows.
    pub(crate) prefix: &'a str,
    /// Objects that are newer than this are left out; absent = the side was empty at the first look, and all its objects are left out.
    pub(crate) until: Option<Timestamp>,
}

impl<'a> Side<'a> {
    fn by_name(self) -> BTreeMap<&'a str, &'a ObjectInfo> {
        self.objects.iter().map(|object| (object.key.strip_prefix(self.prefix).unwrap_or(&object.key), object)).collect()
    }

    fn was_there(self, object: &ObjectInfo) -> bool {
        Some(object.modified) <= self.until
    }
}

/// An object that is on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) name: &'a str,
    pub(crate) source: &'a ObjectInfo,
    pub(crate) mirror: &'a ObjectInfo,
}

/// What the listings of two sides tell.
#[derive(Debug)]
pub(crate) struct Listings<'a> {
    /// How many objects of the source are judged, and how many of the mirror.
    pub(crate) counts: [u64; 2],
    /// How many objects of the source are too new to be judged.
    pub(crate) newer: u64,
    /// Objects that are missing, extra, or different by their sizes.
    pub(crate) found: Difference,
    /// Objects of equal size whose etags are equal and may be MD5s.
    pub(crate) alike: Vec<Pair<'a>>,
    /// Objects of equal size whose etags do not tell: their contents have to be read.
    pub(crate) unsure: Vec<Pair<'a>>,
    mirror: BTreeMap<&'a str, &'a ObjectInfo>,
}

impl<'a> Listings<'a> {
    /// Compares by name the objects that were there at the first look.
    pub(crate) fn of(source: Side<'a>, mirror: Side<'a>) -> Self {
        let (here, there) = (source.by_name(), mirror.by_name());
        let mut listed =
            Self { counts: [0; 2], newer: 0, found: Difference::default(), alike: Vec::new(), unsure: Vec::new(), mirror: BTreeMap::new() };
        for (name, object) in &here {
            if !source.was_there(object) {
                listed.newer += 1;
                continue;
            }
            listed.counts[0] += 1;
            let Some(copy) = there.get(name) else {
                listed.found.missing.push((*name).to_owned());
                continue;
            };
            listed.counts[1] += 1;
            let pair = Pair { name, source: object, mirror: copy };
            if copy.size != object.size {
                listed.found.different.push((*name).to_owned());
            } else if object.size > 0 {
                let is_alike = object.md5().is_some() && object.md5() == copy.md5();
                if is_alike { &mut listed.alike } else { &mut listed.unsure }.push(pair);
            }
        }
        for (name, _) in there.iter().filter(|(name, copy)| !here.contains_key(*name) && mirror.was_there(copy)) {
            listed.counts[1] += 1;
            listed.found.extra.push((*name).to_owned());
        }
        listed.mirror = there;
        listed
    }

    /// Everything that differs, given the objects whose contents differ. An object is doubled when only the mirror has it under this name and the mirror has the same content under
    /// another name as well: what is doubled in the source too was not done by the copying.
    pub(crate) fn with(self, different: impl IntoIterator<Item = String>) -> Difference {
        let mut found = self.found;
        found.different.extend(different);
        found.different.sort();
        let mut times: BTreeMap<(&str, u64), u32> = BTreeMap::new();
        for copy in self.mirror.values() {
            if let Some(md5) = copy.md5() {
                *times.entry((md5, copy.size)).or_default() += 1;
            }
        }
        let suspects: BTreeSet<&String> = found.extra.iter().chain(&found.different).collect();
        let is_twice = |name: &str| self.mirror.get(name).and_then(|copy| times.get(&(copy.md5()?, copy.size))).is_some_and(|times| *times > 1);
        found.doubled = suspects.into_iter().filter(|name| is_twice(name)).cloned().collect();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn object(key: &str, content: u8) -> ObjectInfo {
        ObjectInfo { key: key.to_owned(), modified: at(0), etag: format!("{content:032x}"), whole: true, size: 5 }
    }

    fn side<'a>(objects: &'a [ObjectInfo], prefix: &'a str) -> Side<'a> {
        Side { objects, prefix, until: newest(objects) }
    }

    fn names(pairs: &[Pair<'_>]) -> Vec<String> {
        pairs.iter().map(|pair| pair.name.to_owned()).collect()
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let source = [object("a/1", 1), object("a/2", 2), object("a/3", 3), object("a/5", 5), object("a/6", 6)];
        let in_parts = ObjectInfo { etag: "abc-2".to_owned(), ..object("b/5", 5) };
        let shorter = ObjectInfo { size: 4, ..object("b/6", 6) };
        let mirror = [object("b/1", 1), object("b/2", 9), object("b/4", 1), in_parts, shorter];
        let listed = Listings::of(side(&source, "a/"), side(&mirror, "b/"));
        assert_eq!((listed.counts, listed.newer), ([5, 5], 0));
        assert_eq!(names(&listed.alike), ["1"]);
        // Etags that differ prove nothing: only the content does.
        assert_eq!(names(&listed.unsure), ["2", "5"]);
        let found = listed.with(["2".to_owned()]);
        assert_eq!(
            (found.missing, found.extra, found.different, found.doubled),
            (vec!["3".into()], vec!["4".into()], vec!["2".into(), "6".into()], vec!["4".into()])
        );
    }

    #[test]
    fn equal_contents_on_both_sides_are_no_doubles() {
        let both = [object("1", 7), object("2", 7)];
        assert!(Listings::of(side(&both, ""), side(&both, "")).with([]).is_none());
        assert!(Listings::of(side(&[], ""), side(&[], "")).with([]).is_none());
        // The source is encrypted with a key, so that its etags are no checksums: the contents are doubled there as well.
        let encrypted = [object("1", 70), object("2", 71)];
        let listed = Listings::of(side(&encrypted, ""), side(&both, ""));
        assert_eq!(names(&listed.unsure), ["1", "2"]);
        assert!(listed.with([]).is_none());
    }

    #[test]
    fn only_an_etag_that_may_be_an_md5_is_one() {
        for (etag, whole, is_md5) in [
            ("0123456789abcdef0123456789abcdef", true, true),
            ("0123456789abcdef0123456789abcdef", false, false),
            ("0123456789abcdef0123456789abcdef-3", true, false),
            ("0123456789abcdef", true, false),
            ("", true, false),
        ] {
            let info = ObjectInfo { etag: etag.to_owned(), whole, ..object("x", 1) };
            assert_eq!(info.md5().is_some(), is_md5, "{etag}");
            // Equal ones are alike only if they are one.
            let both = [info];
            let listed = Listings::of(side(&both, ""), side(&both, ""));
            assert_eq!((listed.alike.len(), listed.unsure.len()), (usize::from(is_md5), usize::from(!is_md5)), "{etag}");
        }
    }

    #[test]
    fn what_is_newer_than_the_first_look_is_left_out_by_its_time() {
        let written = |key: &str, seconds: i64| ObjectInfo { modified: at(seconds), ..object(key, 1) };
        // Names say nothing about time: `a` is the newest.
        let source = [written("a", 20), written("b", 10), written("c", 10), written("z", 11)];
        let mirror = [written("b", 31), written("m", 32), written("o", 12)];
        let side = |objects, until| Side { objects, prefix: "", until: Some(at(until)) };
        let listed = Listings::of(side(&source, 10), side(&mirror, 12));
        assert_eq!((listed.counts, listed.newer), ([2, 2], 2));
        let found = listed.with([]);
        // `b` arrived late and is judged; `m` was written to the mirror later, `o` was there.
        assert_eq!((found.missing, found.extra, found.different), (vec!["c".to_owned()], vec!["o".to_owned()], vec![]));
        // One that was overwritten since is not compared with the copy of what it was.
        let overwritten = [written("b", 11)];
        let listed = Listings::of(side(&overwritten, 10), side(&mirror, 12));
        assert!(listed.alike.is_empty() && listed.unsure.is_empty());
    }
}
