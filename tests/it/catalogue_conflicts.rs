//! Somebody else changes, between apply and undo, what an action changed: undo says both values and overwrites nothing.

use std::collections::BTreeSet;

use lifeboat::engine::action::{ActionError, Undone};
use lifeboat::lab::world::State;
use lifeboat::lab::world::state::{Cloud, NetworkAcl, RouteTarget};
use serde_json::json;

use crate::catalogue_world::{Sample, on_stage, samples};

/// What undo has to come to.
enum Outcome {
    /// A conflict whose text names this.
    Conflict(&'static [&'static str]),
    /// What somebody did is what undo would have done.
    Already,
}

use Outcome::{Already, Conflict};

/// What somebody else could do.
struct Meddler {
    kind: &'static str,
    what: &'static str,
    /// Parameters other than the sample's.
    with: Option<serde_json::Value>,
    act: fn(&mut State),
    outcome: Outcome,
}

const CHECKOUT: &str = "rtb-0a11febe0a7b00002";

fn third_acl(state: &mut State) -> String {
    let mut acl: NetworkAcl = state.acls["nacl-bp1lifeboat0data0001"].clone();
    acl.id = "nacl-bp1third".to_owned();
    state.acls.insert(acl.id.clone(), acl);
    "nacl-bp1third".to_owned()
}

fn lead(state: &mut State, destination: &str, target: Option<&str>) {
    let table = state.route_tables.get_mut(CHECKOUT).unwrap();
    match target {
        Some(interface) => {
            let route = table.routes.iter_mut().find(|route| route.destination == destination).unwrap();
            route.target = RouteTarget::Interface(interface.to_owned());
        }
        None => table.routes.retain(|route| route.destination != destination),
    }
    state.apply_routes(CHECKOUT);
}

fn weigh(state: &mut State, zone: &str, label: &str, weight: u32) {
    let at = state.zones.iter().position(|found| found.name == zone).unwrap();
    let shop = |record: &&mut lifeboat::lab::world::state::Record| record.name.starts_with("shop") && record.set_identifier.as_deref() == Some(label);
    state.zones[at].records.iter_mut().filter(shop).for_each(|record| record.weight = Some(weight));
}

fn end_all(state: &mut State, role: &str, cloud: Cloud) {
    let ids: Vec<String> = state
        .instances
        .values()
        .filter(|one| one.cloud == cloud && one.tags.get("role").is_some_and(|found| found == role))
        .map(|one| one.id.clone())
        .collect();
    ids.iter().for_each(|id| state.instance_end(id));
}

fn one(kind: &'static str, what: &'static str, act: fn(&mut State), outcome: Outcome) -> Meddler {
    Meddler { kind, what, with: None, act, outcome }
}

/// For every action: a third value, and the thing gone.
fn meddlers() -> Vec<Meddler> {
    let over = |zone: &str| Some(json!({ "zone": zone, "record": "shop", "to": { "aws": 100, "aliyun": 0 } }));
    let job_ended = |kind| one(kind, "the job failed", |state| fail_job(state, None), Conflict(&["running or paused", "Failed"]));
    vec![
        job_ended("aliyun.dts.pause-job"),
        job_ended("aliyun.dts.suspend-job"),
        one("aliyun.dts.suspend-job", "the job was released", |state| drop(state.jobs.remove("dtsorders-primary")), Conflict(&["no such job"])),
        one("aliyun.dts.start-job", "the job failed", |state| fail_job(state, Some("dtsorders-standby")), Conflict(&["running or paused", "Failed"])),
        Meddler {
            with: Some(json!({ "instances": { "ids": ["i-bp1lifeboat0store0001"] }, "group": "sg-bp1lifeboat0quarant01" })),
            ..one(
                "aliyun.ecs.isolate-instances",
                "joined another group",
                |state| state.instances.get_mut("i-bp1lifeboat0store0001").unwrap().security_groups.push("sg-bp1lifeboat0shop00001".to_owned()),
                Conflict(&["sg-bp1lifeboat0quarant01 or sg-bp1lifeboat0shop00001", "sg-bp1lifeboat0quarant01 sg-bp1lifeboat0shop00001"]),
            )
        },
        one("aliyun.ecs.isolate-instances", "released", |state| end_all(state, "storefront", Cloud::Aliyun), Conflict(&["no such instance"])),
        one("aliyun.ecs.start-instances", "released", |state| end_all(state, "checkout", Cloud::Aliyun), Conflict(&["stopped", "terminated"])),
        one("aliyun.ecs.stop-instances", "released", |state| end_all(state, "storefront", Cloud::Aliyun), Conflict(&["running", "terminated"])),
        one(
            "aliyun.ecs.stop-instances",
            "started by somebody",
            |state| {
                state.instance_start("i-bp1lifeboat0store0001");
                state.instance_start("i-bp1lifeboat0store0002");
            },
            Already,
        ),
        one("aws.ec2.start-instances", "terminated", |state| end_all(state, "storefront", Cloud::Aws), Conflict(&["stopped", "terminated"])),
        one("aws.ec2.stop-instances", "terminated", |state| end_all(state, "checkout", Cloud::Aws), Conflict(&["running", "terminated"])),
        one(
            "aliyun.region-outage",
            "a third ACL",
            |state| {
                let third = third_acl(state);
                state.apply_acl("vsw-bp1lifeboat0app000001", Some(&third));
            },
            Conflict(&["vsw-bp1lifeboat0app000001", "no ACL", "nacl-bp1third"]),
        ),
        one(
            "aliyun.region-outage",
            "the vSwitch's own ACL was deleted",
            |state| drop(state.acls.remove("nacl-bp1lifeboat0data0001")),
            Conflict(&["nacl-bp1lifeboat0data0001", "gone"]),
        ),
        one(
            "aws.ec2.blackhole-route",
            "led elsewhere",
            |state| lead(state, "10.20.0.0/16", Some("eni-0a11febe0a7000a01")),
            Conflict(&["eni-0a11febe0a75ba4e0 or eni-0a11febe0a7000db0", "eni-0a11febe0a7000a01"]),
        ),
        one("aws.ec2.blackhole-route", "repaired", |state| lead(state, "10.20.0.0/16", Some("eni-0a11febe0a7000db0")), Already),
        one(
            "aws.ec2.blackhole-route",
            "the table is gone",
            |state| drop(state.route_tables.remove(CHECKOUT)),
            Conflict(&["eni-0a11febe0a7000db0", "no such table"]),
        ),
        one(
            "aws.ec2.replace-route",
            "led elsewhere",
            |state| lead(state, "10.20.0.0/16", Some("eni-0a11febe0a7000a01")),
            Conflict(&["eni-0a11febe0a7000c01 or eni-0a11febe0a7000db0", "eni-0a11febe0a7000a01"]),
        ),
        one(
            "aws.ec2.share-image",
            "deregistered",
            |state| drop(state.images.remove("ami-0a11febe0a7000001")),
            Conflict(&["444455556666", "no such image"]),
        ),
        one("aws.ec2.share-image", "taken away", |state| state.images.get_mut("ami-0a11febe0a7000001").unwrap().shared_with.clear(), Already),
        Meddler {
            with: over("example.com."),
            ..one("dns.shift-weight", "another weight", |state| weigh(state, "example.com.", "aws", 33), Conflict(&["0 or 100", "33"]))
        },
        Meddler {
            with: over("example.cn"),
            ..one("dns.shift-weight", "another weight", |state| weigh(state, "example.cn", "aws", 33), Conflict(&["100 or off", "33"]))
        },
        Meddler {
            with: over("example.cn"),
            ..one(
                "dns.shift-weight",
                "weights switched off for the name",
                |state| state.zones.iter_mut().for_each(|zone| zone.weighted.clear()),
                Conflict(&["without weights"]),
            )
        },
        Meddler {
            with: over("example.com."),
            ..one(
                "dns.shift-weight",
                "the zone was deleted",
                |state| state.zones.retain(|zone| zone.name != "example.com."),
                Conflict(&["no such record"]),
            )
        },
    ]
}

fn fail_job(state: &mut State, id: Option<&str>) {
    state.jobs.get_mut(id.unwrap_or("dtsorders-primary")).unwrap().status = "Failed".to_owned();
}

#[test]
fn every_action_has_somebody_who_meddles_with_it() {
    let meddled: BTreeSet<&str> = meddlers().iter().filter(|meddler| matches!(meddler.outcome, Conflict(_))).map(|meddler| meddler.kind).collect();
    for sample in samples() {
        assert!(meddled.contains(sample.kind), "add what somebody else could do to what {} changes to `meddlers()` in {}", sample.kind, file!());
    }
}

#[test]
fn what_somebody_else_changed_is_left_alone_and_both_values_are_said() {
    for meddler in meddlers() {
        // A world of its own: what is deleted does not come back.
        on_stage(async |stage| {
            let name = format!("{}, {}", meddler.kind, meddler.what);
            let sample = samples().into_iter().find(|sample| sample.kind == meddler.kind).unwrap();
            let sample = Sample { with: meddler.with.clone().unwrap_or(sample.with), ..sample };
            let step = stage.step(&sample);
            let before = step.plan().await.before;
            step.apply(&before).await;
            stage.quiet().await;
            stage.meddle(meddler.act);
            stage.quiet().await;
            let left = stage.seen();
            let (undone, calls) = step.try_undo(&before).await;
            match meddler.outcome {
                Already => {
                    assert_eq!((undone.unwrap(), calls), (Undone::Already, 0), "{name}");
                    assert_eq!(stage.seen(), left, "{name}");
                }
                Conflict(parts) => {
                    let error = undone.expect_err(&name);
                    assert!(matches!(error, ActionError::Conflict { .. }), "{name}: {error}");
                    assert!(parts.iter().all(|part| error.to_string().contains(part)), "{name}: {error}");
                    assert!(!error.failure().retry, "{name}");
                    // The outage heals what is its own; everything else is one thing and is left as it was found.
                    if meddler.kind == "aliyun.region-outage" {
                        assert!(stage.meddle(|state| state.acls.values().all(|acl| !acl.name.starts_with("lifeboat"))), "{name}");
                    } else {
                        assert_eq!((calls, stage.seen()), (0, left), "{name}");
                    }
                }
            }
        });
    }
}
