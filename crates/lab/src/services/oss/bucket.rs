//! Buckets, and the lists of what is in them.

use std::collections::BTreeSet;

use lifeboat_notation::time::Timestamp;
use percent_encoding::utf8_percent_encode;

use super::xml::{document, element};
use super::{Answer, ApiError, SignedRequest, find_bucket};
use crate::world::state::{Bucket, Cloud, Object, State};

/// The most entries of a list, and how many when nothing is said.
const MOST_KEYS: usize = 1000;
const USUAL_KEYS: usize = 100;

/// A time as OSS tells it: to the second, with three zeros (`2012-02-24T08:43:07.000Z` in the API reference of ListObjectsV2).
fn iso(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

fn location_name(bucket: &Bucket) -> String {
    format!("oss-{}", bucket.region)
}

fn owner(state: &State) -> String {
    let account = &state.accounts.aliyun;
    format!("<Owner>{}{}</Owner>", element("ID", account), element("DisplayName", account))
}

/// The elements that describe a bucket in both lists and info.
fn described(bucket: &Bucket) -> String {
    let location = location_name(bucket);
    [
        element("Name", &bucket.name),
        element("Location", &location),
        element("CreationDate", &iso(bucket.created_at)),
        element("ExtranetEndpoint", &format!("{location}.aliyuncs.com")),
        element("IntranetEndpoint", &format!("{location}-internal.aliyuncs.com")),
        element("StorageClass", "Standard"),
        element("Region", &bucket.region),
    ]
    .concat()
}

#[expect(clippy::unnecessary_wraps, reason = "every operation of the table may fail")]
pub(super) fn list_buckets(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    let prefix = asked.query.get("prefix").map_or("", String::as_str);
    let buckets: String = state
        .buckets
        .values()
        .filter(|bucket| bucket.cloud == Cloud::Aliyun && bucket.name.starts_with(prefix))
        .map(|bucket| format!("<Bucket>{}</Bucket>", described(bucket)))
        .collect();
    let elements = format!("{}<Buckets>{buckets}</Buckets>", owner(state));
    Ok(Answer::xml(document("ListAllMyBucketsResult", &elements)))
}

pub(super) fn info(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    let bucket = find_bucket(state, asked)?;
    let grant = element("Grant", "private");
    let elements = format!("<Bucket>{}{}<AccessControlList>{grant}</AccessControlList></Bucket>", described(bucket), owner(state));
    Ok(Answer::xml(document("BucketInfo", &elements)))
}

pub(super) fn location(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    Ok(Answer::xml(document("LocationConstraint", &location_name(find_bucket(state, asked)?))))
}

pub(super) fn acl(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    find_bucket(state, asked)?;
    let grant = element("Grant", "private");
    Ok(Answer::xml(document("AccessControlPolicy", &format!("{}<AccessControlList>{grant}</AccessControlList>", owner(state)))))
}

pub(super) fn list_v1(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    let listing = Listing::of(find_bucket(state, asked)?, asked, "marker")?;
    let mut elements = listing.head(asked) + &element("Marker", &listing.written(&listing.after));
    if let Some(next) = &listing.next {
        elements += &element("NextMarker", &listing.written(next));
    }
    elements += &listing.contents(&owner(state));
    Ok(Answer::xml(document("ListBucketResult", &elements)))
}

pub(super) fn list_v2(state: &mut State, asked: &SignedRequest) -> Result<Answer, ApiError> {
    let from = if asked.query.contains_key("continuation-token") { "continuation-token" } else { "start-after" };
    let listing = Listing::of(find_bucket(state, asked)?, asked, from)?;
    let mut elements = listing.head(asked);
    for (parameter, name) in [("start-after", "StartAfter"), ("continuation-token", "ContinuationToken")] {
        if let Some(value) = asked.query.get(parameter) {
            elements += &element(name, &if name == "StartAfter" { listing.written(value) } else { value.clone() });
        }
    }
    if let Some(next) = &listing.next {
        elements += &element("NextContinuationToken", &token(next));
    }
    elements += &element("KeyCount", &(listing.objects.len() + listing.prefixes.len()).to_string());
    let with_owner = asked.query.get("fetch-owner").is_some_and(|fetch| fetch == "true");
    elements += &listing.contents(&if with_owner { owner(state) } else { String::new() });
    Ok(Answer::xml(document("ListBucketResult", &elements)))
}

/// A continuation token is opaque to callers: the last key, in hexadecimal.
fn token(key: &str) -> String {
    format!("lab{}", hex::encode(key))
}

fn key_of(token: &str) -> Option<String> {
    String::from_utf8(hex::decode(token.strip_prefix("lab")?).ok()?).ok()
}

/// One page of a bucket's keys.
struct Listing<'a> {
    prefix: String,
    delimiter: String,
    after: String,
    most: usize,
    /// Whether keys are written percent-encoded (`encoding-type=url`).
    encoded: bool,
    objects: Vec<(&'a String, &'a Object)>,
    prefixes: BTreeSet<String>,
    /// The last key or common prefix of this page, when there are more.
    next: Option<String>,
}

impl<'a> Listing<'a> {
    fn of(bucket: &'a Bucket, asked: &SignedRequest, after: &str) -> Result<Self, ApiError> {
        let text = |name: &str| asked.query.get(name).cloned().unwrap_or_default();
        let wrong = |name: &str| {
            ApiError::new(400, "InvalidArgument", "0017-00000100", format!("The argument {name} is not valid.")).with("ArgumentName", name)
        };
        let most = match asked.query.get("max-keys") {
            None => USUAL_KEYS,
            Some(most) => most.parse().ok().filter(|most| (1..=MOST_KEYS).contains(most)).ok_or_else(|| wrong("max-keys"))?,
        };
        let after = match (after, text(after)) {
            ("continuation-token", value) => key_of(&value).ok_or_else(|| wrong(after))?,
            (_, value) => value,
        };
        let encoded = match text("encoding-type").as_str() {
            "" => false,
            "url" => true,
            _ => return Err(wrong("encoding-type")),
        };
        let mut listing = Self {
            prefix: text("prefix"),
            delimiter: text("delimiter"),
            after,
            most,
            encoded,
            objects: Vec::new(),
            prefixes: BTreeSet::new(),
            next: None,
        };
        listing.fill(bucket);
        Ok(listing)
    }

    fn fill(&mut self, bucket: &'a Bucket) {
        let mut last = String::new();
        for (key, object) in bucket.objects.range(self.prefix.clone()..).take_while(|(key, _)| key.starts_with(&self.prefix)) {
            let group = self.group(key);
            let shown = group.as_ref().unwrap_or(key);
            // A common prefix that an earlier page ended with is not shown again.
            if *shown <= self.after || self.prefixes.contains(shown) {
                continue;
            }
            if self.objects.len() + self.prefixes.len() == self.most {
                self.next = Some(last);
                return;
            }
            last.clone_from(shown);
            match group {
                Some(group) => drop(self.prefixes.insert(group)),
                None => self.objects.push((key, object)),
            }
        }
    }

    fn group(&self, key: &str) -> Option<String> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = &key[self.prefix.len()..];
        rest.find(&self.delimiter).map(|at| key[..self.prefix.len() + at + self.delimiter.len()].to_owned())
    }

    fn written(&self, key: &str) -> String {
        if self.encoded { utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string() } else { key.to_owned() }
    }

    fn head(&self, asked: &SignedRequest) -> String {
        let mut elements = element("Name", &asked.resource.bucket)
            + &element("Prefix", &self.written(&self.prefix))
            + &element("MaxKeys", &self.most.to_string())
            + &element("Delimiter", &self.written(&self.delimiter));
        if self.encoded {
            elements += &element("EncodingType", "url");
        }
        elements + &element("IsTruncated", if self.next.is_some() { "true" } else { "false" })
    }

    fn contents(&self, owner: &str) -> String {
        let object = |(key, object): &(&String, &Object)| {
            [
                "<Contents>".to_owned(),
                element("Key", &self.written(key)),
                element("LastModified", &iso(object.modified_at)),
                element("ETag", &format!("\"{}\"", object.etag.to_ascii_uppercase())),
                element("Type", object.kind()),
                element("Size", &object.body.len().to_string()),
                element("StorageClass", "Standard"),
                owner.to_owned(),
                "</Contents>".to_owned(),
            ]
            .concat()
        };
        let prefix = |prefix: &String| format!("<CommonPrefixes>{}</CommonPrefixes>", element("Prefix", &self.written(prefix)));
        self.objects.iter().map(object).chain(self.prefixes.iter().map(prefix)).collect()
    }
}
