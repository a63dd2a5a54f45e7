//! `objects.reconcile` over the lab's two stores, by what buckets hold: parts, keys, large objects, and customers who go on ordering.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::lab::world::state::{Object, State};
use lifeboat::model::time::Timestamp;
use serde_json::{Value, json};

use crate::catalogue_world::{Sample, Stage, on_stage};

/// The bucket of each side; the mirror is the other cloud's.
const SOURCE: &str = "shop-orders-mirror";
const MIRROR: &str = "shop-orders";

fn put(state: &mut State, bucket: &str, key: &str, content: &[u8]) {
    let object = Object::new(content.to_vec().into(), "text/plain", BTreeMap::new(), state.now);
    state.buckets.get_mut(bucket).unwrap().objects.insert(format!("data/{key}"), object);
}

/// Gives an object another etag, as parts and keys do.
fn mark(state: &mut State, bucket: &str, key: &str, etag: &str) {
    state.buckets.get_mut(bucket).unwrap().objects.get_mut(&format!("data/{key}")).unwrap().etag = etag.to_owned();
}

/// Puts on both sides.
fn put_both(state: &mut State, key: &str, content: &[u8]) {
    for bucket in [SOURCE, MIRROR] {
        put(state, bucket, key, content);
    }
}

/// For so long is waited until both are the same; large contents are read in that time.
const PATIENCE: Duration = Duration::from_secs(40);

/// After so long two that are not the same have been compared at least once.
const LOOK: Duration = Duration::from_secs(4);

/// What comparing comes to within `patience`; nothing = it still differs.
async fn compare(stage: &Stage, patience: Duration) -> Option<Result<Value, String>> {
    let with = json!({ "source": { "store": "aws", "bucket": SOURCE, "prefix": "data/" }, "mirror": { "store": "aliyun", "bucket": MIRROR, "prefix": "data/" } });
    let step = stage.step(&Sample { kind: "objects.reconcile", with });
    let compared = tokio::time::timeout(patience, step.apply_in(&stage.world, &Value::Null)).await.ok()?;
    Some(compared.0.map(|applied| applied.output).map_err(|error| error.to_string()))
}

async fn is_same(stage: &Stage, patience: Duration) -> bool {
    match compare(stage, patience).await {
        Some(Ok(output)) => output["missing"] == 0 && output["different"] == 0,
        Some(Err(error)) => panic!("{error}"),
        None => false,
    }
}

#[test]
fn equal_contents_are_equal_whatever_their_etags() {
    on_stage(|stage| async move {
        let large: Vec<u8> = (0..20_u32 << 20).map(|byte| (byte % 251) as u8).collect();
        stage.meddle(|state| {
            for (key, content) in [("plain", &b"1"[..]), ("in-parts", &large), ("encrypted", b"22"), ("both-in-parts", b"333"), ("empty", b"")] {
                put_both(state, key, content);
            }
            // Parts of 8 and of 5 MiB; a key of the customer's on one side; parts on both.
            mark(state, SOURCE, "in-parts", "9b2cf535f27731c974343645a3985328-3");
            mark(state, MIRROR, "in-parts", "0cc175b9c0f1b6a831c399e269772661-4");
            mark(state, SOURCE, "encrypted", "92eb5ffee6ae2fec3ad71c777531578f");
            mark(state, SOURCE, "both-in-parts", "4a8a08f09d37b73795649038408b5f33-2");
            mark(state, MIRROR, "both-in-parts", "4a8a08f09d37b73795649038408b5f33-2");
        });
        assert!(is_same(&stage, PATIENCE).await);
    });
}

#[test]
fn different_contents_differ_whatever_their_etags() {
    for (key, etags) in [
        ("large-in-parts", Some("9b2cf535f27731c974343645a3985328-3")),
        ("with-an-etag-that-is-none", Some("92eb5ffee6ae2fec3ad71c777531578f")),
        ("plain", None),
    ] {
        on_stage(|stage| async move {
            stage.meddle(|state| {
                let mut content = vec![7; (4 << 20) + 5];
                put(state, SOURCE, key, &content);
                *content.last_mut().unwrap() = 8;
                put(state, MIRROR, key, &content);
                for bucket in [SOURCE, MIRROR] {
                    if let Some(etag) = etags {
                        mark(state, bucket, key, etag);
                    }
                }
            });
            assert!(!is_same(&stage, LOOK).await, "{key}");
        });
    }
}

#[test]
fn what_is_written_meanwhile_is_left_out_by_its_time() {
    on_stage(|stage| async move {
        let later = |state: &State, seconds: i64| Timestamp::from_nanos(state.now.as_nanos() + seconds * 1_000_000_000);
        stage.meddle(|state| put_both(state, "m", b"1"));
        let writer = async {
            // Once the first look is over.
            let listed = ("aws".to_owned(), "s3".to_owned(), "ListObjectsV2".to_owned(), "OK".to_owned());
            while stage.meddle(|state| !state.counters.api_calls.contains_key(&listed)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // Keys that sort before, between and after, on the source only: replication is always behind.
            for number in 0.. {
                stage.meddle(|state| {
                    let key = format!("{}{number}", ["a", "m", "z"][number % 3]);
                    put(state, SOURCE, &key, b"new");
                    let at = later(state, 2);
                    state.buckets.get_mut(SOURCE).unwrap().objects.get_mut(&format!("data/{key}")).unwrap().modified_at = at;
                });
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let same = tokio::select! { same = is_same(&stage, PATIENCE) => same, () = writer => false };
        assert!(same);
        // What was there at the first look has to be there, whatever its key.
        stage.meddle(|state| put(state, SOURCE, "0-lost", b"1"));
        stage.meddle(|state| {
            let newest = later(state, 10);
            put_both(state, "zz", b"1");
            for bucket in [SOURCE, MIRROR] {
                state.buckets.get_mut(bucket).unwrap().objects.get_mut("data/zz").unwrap().modified_at = newest;
            }
        });
        assert!(!is_same(&stage, LOOK).await);
    });
}

#[test]
fn nothing_is_nothing_to_compare() {
    on_stage(|stage| async move {
        let error = compare(&stage, LOOK).await.unwrap().unwrap_err();
        assert!(error.contains("there is nothing under s3://shop-orders-mirror/data/"), "{error}");
        // Nor is a source that was emptied the same as its mirror.
        stage.meddle(|state| put(state, MIRROR, "1", b"1"));
        assert!(compare(&stage, LOOK).await.unwrap().is_err());
    });
}
