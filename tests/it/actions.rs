//! Every action that changes something, against the lab: whatever moment it is cut off at, undo makes the world as it was.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use lifeboat::catalogue;
use lifeboat::engine::action::{ActionError, Cx, DynAction, Undone};
use lifeboat::engine::board::Board;
use lifeboat::engine::desk::Desk;
use lifeboat::ports::gate::{self, Gate};
use lifeboat::world::World;
use lifeboat::world::settings::{CloudSettings, Keys, Settings};
use serde_json::{Value, json};

use crate::common::LabProcess;

/// Parameters that make each action change something in the shipped world. Commands and requests change nothing that could be looked at.
fn samples() -> Vec<(&'static str, Value)> {
    let standby = |role: &str| json!({ "instances": { "tags": { "role": role, "posture": "standby" } } });
    let active = |role: &str| json!({ "instances": { "tags": { "role": role, "posture": "active" } } });
    let route = |key: &str, value: Value| json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": "10.20.0.0/16", key: value });
    let stages = json!([{ "to": { "aws": 50, "aliyun": 50 }, "hold": "50ms" }]);
    vec![
        ("aliyun.dts.pause-job", json!({ "job": "dtsorders-primary" })),
        ("aliyun.dts.start-job", json!({ "job": "dtsorders-standby" })),
        ("aliyun.dts.suspend-job", json!({ "job": "dtsorders-primary" })),
        ("aliyun.ecs.start-instances", standby("checkout")),
        ("aliyun.ecs.stop-instances", active("storefront")),
        ("aliyun.region-outage", json!({ "region": "cn-hangzhou", "vpc": "vpc-bp1lifeboat0shop00001" })),
        ("aws.ec2.blackhole-route", route("interface", json!("eni-0a11febe0a75ba4e0"))),
        ("aws.ec2.replace-route", route("target", json!({ "interface": "eni-0a11febe0a7000c01" }))),
        ("aws.ec2.share-image", json!({ "image": "ami-0a11febe0a7000001", "accounts": ["444455556666"] })),
        ("aws.ec2.start-instances", standby("storefront")),
        ("aws.ec2.stop-instances", active("checkout")),
        ("dns.shift-weight", json!({ "zone": "example.com.", "record": "shop", "to": { "aws": 100, "aliyun": 0 }, "stages": stages })),
        ("dns.shift-weight", json!({ "zone": "example.cn", "record": "shop", "to": { "aws": 100, "aliyun": 0 }, "stages": stages })),
        ("dns.shift-weight", json!({ "zone": "example.com", "record": "pay", "to": { "aws": 30, "aliyun": 70 } })),
    ]
}

/// Runs with a world of its own at ten times the speed.
fn with_lab<F: Future<Output = ()>>(test: impl FnOnce(LabProcess, World) -> F) {
    let lab = LabProcess::start(&["--seed", "3", "--time-scale", "10"]);
    let text = |name: &str| lab.endpoints[name].as_str().unwrap().to_owned();
    let keys = Keys { access_key_id: text("access_key_id"), secret_access_key: text("secret_access_key"), session_token: None };
    let side = |region: &str, endpoint: &str| CloudSettings {
        region: region.to_owned(),
        endpoint: Some(text(endpoint)),
        keys: Some(keys.clone()),
        ..CloudSettings::default()
    };
    let aliyun = CloudSettings { objects_endpoint: Some(text("oss")), ..side("cn-hangzhou", "aliyun") };
    let settings =
        Settings { environment: "lab".to_owned(), aws: Some(side("us-east-1", "aws")), aliyun: Some(aliyun), name_server: Some(text("dns")) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let world = World::connect(&settings, &Gate::default()).await;
        test(lab, world).await;
    });
}

fn read(kind: &str, with: &Value) -> std::sync::Arc<dyn DynAction<World>> {
    (catalogue::action(kind).unwrap().parse)(with).unwrap_or_else(|error| panic!("{kind} {}: {error}", error.path))
}

/// As the engine does: what a retry may cure is tried again. Two labs' worth of tests in a few seconds run into the published rate limits.
async fn patiently<T, Attempt: Future<Output = Result<T, ActionError>>>(kind: &str, mut attempt: impl FnMut() -> Attempt) -> T {
    for wait in [300, 1000, 2000, 4000] {
        match attempt().await {
            Ok(done) => return done,
            Err(error) if error.failure().retry => tokio::time::sleep(Duration::from_millis(wait)).await,
            Err(error) => panic!("{kind}: {error}"),
        }
    }
    attempt().await.unwrap_or_else(|error| panic!("{kind}, after five attempts: {error}"))
}

async fn undo(kind: &str, action: &dyn DynAction<World>, cx: &Cx<'_, World>, before: &Value) -> Undone {
    patiently(kind, || gate::exempt(action.undo(cx, before))).await
}

#[test]
fn every_action_that_changes_something_has_a_sample() {
    let sampled: BTreeSet<&str> = samples().iter().map(|(kind, _)| *kind).collect();
    let without: Vec<&str> =
        catalogue::actions().iter().filter(|row| row.mutates).map(|row| row.kind).filter(|kind| !sampled.contains(kind)).collect();
    assert_eq!(without, ["exec", "http.request"]);
}

#[test]
fn apply_and_undo_are_idempotent_and_undo_is_exact() {
    with_lab(|lab, world| async move {
        let (_sender, board) = Board::new();
        let start = lab.world();
        for (index, (kind, with)) in samples().into_iter().enumerate() {
            let action = read(kind, &with);
            let run = format!("run-{index}");
            let cx =
                Cx { world: &world, run: &run, step: "failover/x", board: &board, desk: &Desk::simulated(), progress: &|_| {}, accepted: &|| {} };
            let planned = patiently(kind, || action.plan(&cx)).await;
            assert!(!planned.targets.is_empty() && planned.calls.iter().any(|call| call.mutating), "{kind}: {planned:?}");
            assert_eq!(lab.world(), start, "{kind}: plan changed something");

            let applied = tokio::time::timeout(Duration::from_secs(30), patiently(kind, || action.apply(&cx, &planned.before))).await;
            let first = applied.unwrap_or_else(|_| panic!("{kind} does not come to an end"));
            assert!(!first.already, "{kind}");
            let changed = lab.world();
            assert_ne!(changed, start, "{kind}: nothing changed");
            let second = patiently(kind, || gate::exempt(action.apply(&cx, &planned.before))).await;
            assert_eq!(second.output, first.output, "{kind}");
            assert_eq!(lab.world(), changed, "{kind}: the second attempt changed something");

            assert_eq!(undo(kind, &*action, &cx, &planned.before).await, Undone::Restored, "{kind}");
            assert_eq!(lab.world(), start, "{kind}: undo is not exact");
            assert_eq!(undo(kind, &*action, &cx, &planned.before).await, Undone::Already, "{kind}");
            assert_eq!(lab.world(), start, "{kind}: the second undo changed something");
        }
    });
}

#[test]
fn whenever_apply_is_cut_off_undo_makes_the_world_as_it_was() {
    with_lab(|lab, world| async move {
        let (_sender, board) = Board::new();
        let start = lab.world();
        for (index, (kind, with)) in samples().into_iter().enumerate() {
            let action = read(kind, &with);
            // Zero: the intent is on record and nothing was sent.
            for millis in [0, 2, 5, 12, 30, 80, 200] {
                let run = format!("run-{index}-{millis}");
                let cx =
                    Cx { world: &world, run: &run, step: "failover/x", board: &board, desk: &Desk::simulated(), progress: &|_| {}, accepted: &|| {} };
                let planned = patiently(kind, || action.plan(&cx)).await;
                let _ = tokio::time::timeout(Duration::from_millis(millis), action.apply(&cx, &planned.before)).await;
                undo(kind, &*action, &cx, &planned.before).await;
                assert_eq!(lab.world(), start, "{kind} cut off after {millis} ms");
            }
        }
    });
}
