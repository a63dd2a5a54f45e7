//! Two listings held against each other: pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::difference::Difference;
use crate::ports::objects::ObjectInfo;

/// Compares what is under `source_prefix` with what is under `mirror_prefix`, by key without prefix. The second are those on both sides whose checksums
/// do not tell: their contents have to be read. Doubled is what the mirror has under a second key with the same content.
pub(crate) fn compare(source: &[ObjectInfo], source_prefix: &str, mirror: &[ObjectInfo], mirror_prefix: &str) -> (Difference, Vec<String>) {
    let source = by_name(source, source_prefix);
    let mirror = by_name(mirror, mirror_prefix);
    let (mut found, mut unsure) = (Difference::default(), Vec::new());
    for (name, object) in &source {
        match mirror.get(name) {
            None => found.missing.push((*name).to_owned()),
            Some(copy) if copy.size != object.size => found.different.push((*name).to_owned()),
            Some(copy) if !is_md5(&copy.etag) || !is_md5(&object.etag) => unsure.push((*name).to_owned()),
            Some(copy) if copy.etag != object.etag => found.different.push((*name).to_owned()),
            Some(_) => {}
        }
    }
    let mut contents = BTreeSet::new();
    for (name, copy) in &mirror {
        if !source.contains_key(name) {
            found.extra.push((*name).to_owned());
        }
        // What is doubled in the source as well is not the copying's doing.
        if is_md5(&copy.etag) && !contents.insert((&copy.etag, copy.size)) && source.get(name).is_none_or(|object| object.etag != copy.etag) {
            found.doubled.push((*name).to_owned());
        }
    }
    (found, unsure)
}

fn by_name<'a>(objects: &'a [ObjectInfo], prefix: &str) -> BTreeMap<&'a str, &'a ObjectInfo> {
    objects.iter().map(|object| (object.key.strip_prefix(prefix).unwrap_or(&object.key), object)).collect()
}

/// Whether an etag is the MD5 of the content: objects put in parts or encrypted with a customer's key have others.
fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn object(key: &str, content: u8) -> ObjectInfo {
        ObjectInfo { key: key.to_owned(), modified: Timestamp::from_nanos(0), etag: format!("{content:032x}"), size: 5 }
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let source = [object("a/1", 1), object("a/2", 2), object("a/3", 3), object("a/5", 5)];
        let mut in_parts = object("b/5", 5);
        in_parts.etag = "abc-2".to_owned();
        let mirror = [object("b/1", 1), object("b/2", 9), object("b/4", 1), in_parts];
        let (found, unsure) = compare(&source, "a/", &mirror, "b/");
        assert_eq!(found.missing, ["3"]);
        assert_eq!(found.extra, ["4"]);
        assert_eq!(found.different, ["2"]);
        assert_eq!(unsure, ["5"]);
        assert_eq!(found.doubled, ["4"]);
        assert!(!found.is_none());
    }

    #[test]
    fn equal_contents_on_both_sides_are_no_doubles() {
        let both = [object("1", 7), object("2", 7)];
        let same = (Difference::default(), vec![]);
        assert_eq!(compare(&both, "", &both, ""), same);
        assert_eq!(compare(&[], "", &[], ""), same);
    }
}
