//! How old the newest object under a prefix is, over the object port.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::buckets::detail;
use crate::engine::probe::Sample;
use crate::model::time::{Span, Timestamp};
use crate::ports::CloudError;
use crate::ports::objects::{ObjectInfo, ObjectStore};

/// What is good.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FreshnessExpect {
    /// The greatest age of the newest object. Object stores tell times to the second, so allow a second more than what is meant.
    pub(super) max_age: Span,
}

/// The newest object seen and the last key, so that a listing only has to cover what came since.
#[derive(Debug, Default)]
pub(super) struct Watermark(Mutex<Last>);

#[derive(Clone, Debug, Default)]
struct Last {
    key: String,
    newest: Option<Timestamp>,
}

impl Last {
    fn take(&mut self, objects: &[ObjectInfo]) {
        for object in objects {
            self.newest = self.newest.max(Some(object.modified));
            if object.key > self.key {
                self.key.clone_from(&object.key);
            }
        }
    }
}

/// One reading, that may take `timeout`. Without an answer there is none: then the value tells how old the newest object is at most, by the newest one seen before.
pub(super) async fn sample(
    store: Result<&dyn ObjectStore, CloudError>,
    bucket: &str,
    prefix: &str,
    expect: FreshnessExpect,
    timeout: Span,
    seen: &Watermark,
) -> Sample {
    let unread = match tokio::time::timeout(timeout.duration(), read(store, bucket, prefix, expect, seen)).await {
        Ok(Ok(newest)) => return judge(newest, now(), expect.max_age.duration()),
        Ok(Err(error)) => Sample::unknown(detail(&error)),
        Err(_) => Sample::unknown(format!("no answer within {timeout}")),
    };
    match seen.0.lock().unwrap_or_else(PoisonError::into_inner).newest {
        Some(newest) => unread.with_value(json!({ "age_at_most_ms": millis(now().since(newest)) })),
        None => unread,
    }
}

/// How long a sample may take: `timeout`; the rest is for a machine that is late to notice.
pub(super) fn longest(timeout: Span) -> Duration {
    timeout.duration() + Duration::from_millis(100)
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

async fn read(
    store: Result<&dyn ObjectStore, CloudError>,
    bucket: &str,
    prefix: &str,
    expect: FreshnessExpect,
    seen: &Watermark,
) -> Result<Option<Timestamp>, CloudError> {
    let store = store?;
    let mut last = seen.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let after = last.key.clone();
    last.take(&store.list(bucket, prefix, &after).await?);
    let is_old = last.newest.is_none_or(|newest| now().since(newest) > expect.max_age.duration());
    if is_old && !after.is_empty() {
        // Keys need not grow with time: before anything is called old, everything is looked at.
        last.take(&store.list(bucket, prefix, "").await?);
    }
    let newest = last.newest;
    *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    Ok(newest)
}

fn judge(newest: Option<Timestamp>, now: Timestamp, longest: Duration) -> Sample {
    // A prefix that nothing was ever seen under may as well be a wrong one.
    let Some(newest) = newest else { return Sample::unknown("no objects") };
    let age = now.since(newest);
    let text = format!("newest {:.1} s old", age.as_secs_f64());
    let sample = if age <= longest { Sample::good(text) } else { Sample::bad(format!("{text}, allowed {}", Span::from(longest))) };
    // By this machine's clock and the store's, which tells whole seconds.
    sample.with_value(json!({ "age_ms": millis(age), "resolution_ms": 1000 }))
}

fn now() -> Timestamp {
    Timestamp::from_nanos(chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Reading;
    use crate::ports::{Cloud, Kind, PortFuture};

    /// Objects as a store lists them, and how many each listing gave.
    #[derive(Default)]
    struct Fake(Mutex<Vec<ObjectInfo>>, Mutex<Vec<usize>>, Mutex<Option<Kind>>);

    impl Fake {
        fn put(&self, key: &str, age: u64) {
            let modified = Timestamp::from_nanos(now().as_nanos() - i64::try_from(age).unwrap() * 1_000_000_000);
            let mut objects = self.0.lock().unwrap();
            objects.push(ObjectInfo { key: key.to_owned(), modified, etag: String::new(), whole: true, size: 1 });
            objects.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }

    impl ObjectStore for Fake {
        fn list<'a>(&'a self, _: &'a str, prefix: &'a str, after: &'a str) -> PortFuture<'a, Vec<ObjectInfo>> {
            Box::pin(async move {
                if let Some(kind) = *self.2.lock().unwrap() {
                    return Err(CloudError::new(Cloud::Aws, "s3:ListObjectsV2", kind, "no"));
                }
                let objects = self.0.lock().unwrap();
                let found: Vec<_> = objects.iter().filter(|object| object.key.starts_with(prefix) && object.key.as_str() > after).cloned().collect();
                self.1.lock().unwrap().push(found.len());
                Ok(found)
            })
        }

        fn get<'a>(&'a self, _: &'a str, _: &'a str) -> PortFuture<'a, bytes::Bytes> {
            unreachable!("freshness reads no content")
        }

        fn piece<'a>(&'a self, _: &'a str, _: &'a str, _: u64, _: u64) -> PortFuture<'a, bytes::Bytes> {
            unreachable!("freshness reads no content")
        }

        fn put<'a>(&'a self, _: &'a str, _: &'a str, _: bytes::Bytes) -> PortFuture<'a, ()> {
            unreachable!("a probe writes nothing")
        }

        fn delete<'a>(&'a self, _: &'a str, _: &'a str) -> PortFuture<'a, ()> {
            unreachable!("a probe writes nothing")
        }
    }

    #[tokio::test]
    async fn only_what_is_new_is_listed_until_something_seems_old() {
        let (store, seen) = (Fake::default(), Watermark::default());
        let expect = FreshnessExpect { max_age: Span::from_secs(60) };
        let look = || async { sample(Ok(&store), "b", "orders/", expect, Span::from_secs(5), &seen).await.reading };
        assert_eq!(look().await, Reading::Unknown, "nothing was ever there");
        for number in 0..10 {
            store.put(&format!("orders/{number}"), 10);
        }
        store.put("other/1", 0);
        assert_eq!(look().await, Reading::Good);
        store.put("orders/91", 5);
        assert_eq!(look().await, Reading::Good);
        assert_eq!(*store.1.lock().unwrap(), [0, 10, 1]);

        let (store, seen) = (Fake::default(), Watermark::default());
        store.put("orders/9", 100);
        assert_eq!(sample(Ok(&store), "b", "orders/", expect, Span::from_secs(5), &seen).await.reading, Reading::Bad);
        store.put("orders/1", 1);
        assert_eq!(sample(Ok(&store), "b", "orders/", expect, Span::from_secs(5), &seen).await.reading, Reading::Good);
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_says_only_how_old_it_can_be() {
        let (store, seen) = (Fake::default(), Watermark::default());
        let expect = FreshnessExpect { max_age: Span::from_secs(60) };
        let look = || async { sample(Ok(&store), "b", "", expect, Span::from_secs(5), &seen).await };
        for kind in [Kind::NotFound, Kind::Denied, Kind::Gated, Kind::Unavailable, Kind::Malformed] {
            *store.2.lock().unwrap() = Some(kind);
            let sample = look().await;
            assert_eq!((sample.reading, sample.value), (Reading::Unknown, None), "{kind:?}");
        }
        *store.2.lock().unwrap() = None;
        store.put("1", 7);
        assert_eq!(look().await.reading, Reading::Good);
        for kind in [Kind::NotFound, Kind::Denied, Kind::Gated, Kind::Unavailable, Kind::Malformed] {
            *store.2.lock().unwrap() = Some(kind);
            let sample = look().await;
            assert_eq!(sample.reading, Reading::Unknown, "{kind:?}");
            assert!((7000..60_000).contains(&sample.value.unwrap()["age_at_most_ms"].as_u64().unwrap()), "{kind:?}");
        }
    }

    #[test]
    fn age_is_judged_and_told() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let sample = judge(Some(at(10)), at(13), Duration::from_secs(2));
        assert_eq!(
            (sample.reading, sample.detail.as_str(), sample.value),
            (Reading::Bad, "newest 3.0 s old, allowed 2s", Some(json!({ "age_ms": 3000, "resolution_ms": 1000 })))
        );
        // A store whose clock is ahead of ours is not old.
        assert_eq!(judge(Some(at(20)), at(13), Duration::from_secs(2)).reading, Reading::Good);
        assert_eq!(judge(None, at(1), Duration::from_secs(2)).reading, Reading::Unknown);
    }
}
