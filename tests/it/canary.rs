//! Numbered markers in buckets, written and looked for through both clouds' clients.

use std::fs;

use serde_json::{Value, json};

use crate::common::{folder, lifeboat, run, text};

/// Runs a runbook that waits until a canary is `is` and ends with `code` (3: nothing was down, or what was measured tells nothing); what the canary read, in order.
fn readings(is: &str, code: i32, source: Value, mirror: Value) -> Vec<Value> {
    let folder = folder();
    let probe = json!({ "uses": "canary.objects", "with": { "source": source, "mirror": mirror, "expect": { "max_lag": "1ms" } }, "every": "100ms", "bad_after": 3, "good_after": 3 });
    let step = json!({ "id": "wait", "uses": "wait-for", "with": { "probe": "canary", "is": is }, "timeout": "20s" });
    let runbook = json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "probes": { "canary": probe }, "steps": [step] });
    fs::write(folder.path().join("lifeboat.yaml"), r#"{"lifeboat": 1, "environments": {"lab": {"kind": "lab"}}}"#).unwrap();
    fs::write(folder.path().join("book.yaml"), runbook.to_string()).unwrap();
    let output = run(lifeboat().current_dir(folder.path()).args(["execute", "book.yaml", "--env", "lab"]));
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    let run = fs::read_dir(folder.path().join("reports")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "reading")
        .map(|event| event["value"].clone())
        .collect()
}

fn place(store: &str, bucket: &str, prefix: &str) -> Value {
    json!({ "store": store, "bucket": bucket, "prefix": prefix })
}

#[test]
fn objects_that_arrive_at_once_are_never_missing() {
    // The same place, so that nothing has to be copied.
    for (store, bucket) in [("aws", "shop-orders-mirror"), ("aliyun", "shop-orders")] {
        let read = readings("good", 3, place(store, bucket, "canary/"), place(store, bucket, "canary/"));
        let last = read.last().unwrap();
        assert!(last["acknowledged"].as_u64() > Some(1) && last["doubled"] == 0 && last["in_doubt"] == 0, "{last}");
        assert!(last["missing"] == 0 && last["lag_ms"] == 0, "{last}");
    }
}

#[test]
fn objects_that_never_arrive_are_missing_and_the_lag_grows() {
    // Nothing was recovered, so that what is missing may still come.
    let read = readings("bad", 3, place("aliyun", "shop-orders", "canary/"), place("aws", "shop-orders-mirror", "canary/"));
    let lags: Vec<u64> = read.iter().map(|value| value["lag_ms"].as_u64().unwrap()).collect();
    assert!(lags.is_sorted() && lags.last() > Some(&90), "{lags:?}");
    let last = read.last().unwrap();
    // The newest one was acknowledged after the mirror was asked.
    assert!(last["missing"].as_u64().unwrap() + 1 >= last["acknowledged"].as_u64().unwrap() && last["gaps"] == 0, "{last}");
}
