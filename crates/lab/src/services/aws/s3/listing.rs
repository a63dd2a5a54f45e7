//! Keys in order: prefix, delimiter, pages. `ListObjectsV2` and the older `ListObjects` differ only in how they name the next page.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object as ObjectDto,
    ObjectStorageClass,
};
use s3s::{S3Result, s3_error};

use super::{bucket, s3_time};
use crate::world::state::{Object, State};

/// The most entries of one page.
const PAGE: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// One page of keys and of common prefixes.
#[derive(Debug, Default)]
struct Listed<'a> {
    objects: Vec<(&'a str, &'a Object)>,
    prefixes: Vec<String>,
    /// The last key or common prefix of a page that has a next one.
    last: Option<String>,
}

/// The page of at most `most` entries after `after` (a key, or a common prefix as a whole).
fn page<'a>(objects: &'a BTreeMap<String, Object>, prefix: &str, delimiter: Option<&str>, after: Option<&str>, most: usize) -> Listed<'a> {
    let mut listed = Listed::default();
    let mut last = None;
    if most == 0 {
        return listed;
    }
    let start = after.map_or(prefix, |after| after.max(prefix));
    for (key, object) in objects.range::<str, _>((std::ops::Bound::Included(start), std::ops::Bound::Unbounded)) {
        if !key.starts_with(prefix) {
            break;
        }
        if after.is_some_and(|after| key.as_str() <= after) {
            continue;
        }
        let common = delimiter.and_then(|delimiter| {
            let at = key[prefix.len()..].find(delimiter)?;
            Some(&key[..prefix.len() + at + delimiter.len()])
        });
        let is_known = common.is_some_and(|common| after == Some(common) || listed.prefixes.last().is_some_and(|last| last == common));
        if is_known {
            continue;
        }
        if listed.objects.len() + listed.prefixes.len() == most {
            listed.last = last;
            return listed;
        }
        match common {
            Some(common) => listed.prefixes.push(common.to_owned()),
            None => listed.objects.push((key, object)),
        }
        last = Some(common.unwrap_or(key).to_owned());
    }
    listed
}

/// How many entries a page may have.
fn most(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let most = asked.unwrap_or(PAGE).min(PAGE);
    let count = usize::try_from(most).map_err(|_| s3_error!(InvalidArgument, "Argument max-keys must be an integer between 0 and 2147483647"))?;
    Ok((most, count))
}

/// Encodes keys when the client asked for it.
struct Encode(bool);

impl Encode {
    fn of(asked: Option<&EncodingType>) -> Self {
        Self(asked.is_some_and(|kind| kind.as_str() == EncodingType::URL))
    }

    fn text(&self, text: &str) -> String {
        if self.0 { utf8_percent_encode(text, ENCODED).to_string() } else { text.to_owned() }
    }

    fn contents(&self, listed: &Listed<'_>) -> Vec<ObjectDto> {
        let object = |(key, object): &(&str, &Object)| ObjectDto {
            key: Some(self.text(key)),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(s3_time(object.modified_at)),
            size: i64::try_from(object.body.len()).ok(),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..ObjectDto::default()
        };
        listed.objects.iter().map(object).collect()
    }

    fn prefixes(&self, listed: &Listed<'_>) -> Vec<CommonPrefix> {
        listed.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.text(prefix)) }).collect()
    }
}

/// `ListObjectsV2`.
pub(super) fn list_v2(state: &State, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let (max_keys, count) = most(input.max_keys)?;
    let token = input.continuation_token.as_ref().map(|token| {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
    });
    let token = token.transpose()?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let after = token.as_deref().or(input.start_after.as_deref());
    let listed = page(&bucket(state, &input.bucket)?.objects, prefix, delimiter, after, count);
    let encode = Encode::of(input.encoding_type.as_ref());
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(listed.objects.len() + listed.prefixes.len()).ok(),
        max_keys: Some(max_keys),
        is_truncated: Some(listed.last.is_some()),
        next_continuation_token: listed.last.as_ref().map(|last| URL_SAFE_NO_PAD.encode(last)),
        contents: Some(encode.contents(&listed)),
        common_prefixes: Some(encode.prefixes(&listed)),
        prefix: Some(encode.text(prefix)),
        delimiter: delimiter.map(|delimiter| encode.text(delimiter)),
        start_after: input.start_after.as_deref().map(|after| encode.text(after)),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..ListObjectsV2Output::default()
    })
}

/// `ListObjects`.
pub(super) fn list_v1(state: &State, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let (max_keys, count) = most(input.max_keys)?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let listed = page(&bucket(state, &input.bucket)?.objects, prefix, delimiter, input.marker.as_deref(), count);
    let encode = Encode::of(input.encoding_type.as_ref());
    Ok(ListObjectsOutput {
        max_keys: Some(max_keys),
        is_truncated: Some(listed.last.is_some()),
        // Without a delimiter the last key is the next marker, and S3 does not repeat it.
        next_marker: listed.last.as_deref().filter(|_| delimiter.is_some()).map(|last| encode.text(last)),
        contents: Some(encode.contents(&listed)),
        common_prefixes: Some(encode.prefixes(&listed)),
        prefix: Some(encode.text(prefix)),
        delimiter: delimiter.map(|delimiter| encode.text(delimiter)),
        marker: Some(encode.text(input.marker.as_deref().unwrap_or_default())),
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..ListObjectsOutput::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use lifeboat_notation::time::Timestamp;

    use super::*;

    fn objects(keys: &[&str]) -> BTreeMap<String, Object> {
        let object = || Object::new(Bytes::new(), "text/plain", BTreeMap::new(), Timestamp::from_nanos(0));
        keys.iter().map(|key| ((*key).to_owned(), object())).collect()
    }

    fn walk(keys: &[&str], prefix: &str, delimiter: Option<&str>, most: usize) -> Vec<String> {
        let objects = objects(keys);
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let listed = page(&objects, prefix, delimiter, after.as_deref(), most);
            let mut entries: Vec<String> = listed.objects.iter().map(|(key, _)| (*key).to_owned()).chain(listed.prefixes.clone()).collect();
            assert!(entries.len() <= most);
            entries.sort();
            seen.extend(entries);
            after = listed.last;
            if after.is_none() {
                return seen;
            }
        }
    }

    #[test]
    fn any_page_size_gives_the_same_entries() {
        let keys = ["a", "b/1", "b/2", "b/c/3", "b0", "d/1", "区/1"];
        for most in 1..10 {
            assert_eq!(walk(&keys, "", Some("/"), most), ["a", "b/", "b0", "d/", "区/"], "{most}");
            assert_eq!(walk(&keys, "", None, most), keys, "{most}");
            assert_eq!(walk(&keys, "b/", Some("/"), most), ["b/1", "b/2", "b/c/"], "{most}");
            assert_eq!(walk(&keys, "none", None, most), [""; 0]);
        }
    }

    #[test]
    fn an_empty_page_has_no_next_one() {
        let objects = objects(&["a", "b"]);
        assert!(page(&objects, "", None, None, 0).last.is_none());
        assert_eq!(page(&objects, "", None, Some("a"), 5).objects.len(), 1);
    }
}
