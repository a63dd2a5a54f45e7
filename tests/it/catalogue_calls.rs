//! The vendor operations that each word states are those that it really sends: permissions, plans and reference pages are made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use lifeboat::catalogue;
use lifeboat::engine::place::Acts;
use lifeboat::ports::calls::observed;
use lifeboat::ports::tags::Tagged;

use crate::catalogue_world::{Counted, for_each_sample, on_stage};
use crate::samples::in_lab;

/// What is stated and no sample makes an action send: it hangs on what is found.
const AS_FOUND: [&str; 8] = [
    // A zone that is given by its id; a name whose zone is not the longest; Alidns weights that are not switched on yet.
    "route53:GetHostedZone",
    "alidns:DescribeDomains",
    "alidns:DescribeDNSSLBSubDomains",
    "alidns:SetDNSSLBStatus",
    // Only `lifeboat plan` looks that close.
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeNetworkInterfaces",
    // Machines that run already.
    "ec2:DescribeInstanceStatus",
    // This machine is one of the account's own.
    "vpc:DescribeVSwitchAttributes",
];

/// What a probe calls only when it has run for a while (a canary), or where its parameters ask for it (the time in an object).
const AS_ASKED: [&str; 4] = ["s3:DeleteObject", "oss:DeleteObject", "s3:GetObject", "oss:GetObject"];

#[test]
fn every_operation_that_is_called_is_stated_and_no_other_is() {
    let seen = Mutex::new(BTreeMap::<&str, [BTreeSet<String>; 3]>::new());
    for_each_sample(async |stage, sample| {
        let operations = stage.step(&sample).operations().await;
        let mut seen = seen.lock().unwrap();
        for (all, one) in seen.entry(sample.kind).or_default().iter_mut().zip(operations) {
            all.extend(one);
        }
    });
    for (kind, seen) in seen.into_inner().unwrap() {
        let stated = catalogue::action(kind).unwrap().calls;
        for (phase, stated, seen) in [("plan", stated.plan, &seen[0]), ("apply", stated.apply, &seen[1]), ("undo", stated.undo, &seen[2])] {
            let unsaid: Vec<&String> = seen.iter().filter(|operation| !stated.contains(&operation.as_str())).collect();
            assert!(unsaid.is_empty(), "{kind} calls {unsaid:?} in {phase}, which its CALLS do not state");
            let idle: Vec<&&str> = stated.iter().filter(|operation| !seen.contains(**operation) && !AS_FOUND.contains(operation)).collect();
            assert!(idle.is_empty(), "{kind} states {idle:?} for {phase} and never calls it");
        }
    }
}

#[test]
fn what_a_plan_tells_of_calls_is_stated_and_so_is_what_marks_a_fault() {
    for_each_sample(async |stage, sample| {
        let (row, step) = (catalogue::action(sample.kind).unwrap(), stage.step(&sample));
        let planned = step.plan().await;
        let told = planned.calls.iter().chain(&planned.undo).map(|call| call.operation.as_str());
        let unsaid: Vec<&str> = told.filter(|operation| !row.calls.all().contains(operation)).collect();
        assert!(unsaid.is_empty(), "{}: {unsaid:?}", sample.kind);
        let mut marks = BTreeSet::new();
        for anchor in step.action.anchors(&planned.before).unwrap() {
            let object = Tagged { kind: anchor.kind, id: anchor.id };
            marks.extend(stage.world.tags(anchor.cloud, &anchor.region).unwrap().calls(&[object]).into_iter().map(|(operation, _)| operation));
        }
        assert_eq!(marks, row.calls.marks.iter().copied().collect(), "{}", sample.kind);
    });
}

#[test]
fn every_operation_that_a_probe_calls_is_stated_and_no_other_is() {
    on_stage(async |stage| {
        for row in catalogue::probes().iter().filter(|row| !row.calls.is_empty()) {
            let with = in_lab(row.example);
            // Where there are two sides, each may be on either cloud.
            let mut turned = with.clone();
            if let Some(sides) = turned.as_object_mut().filter(|sides| sides.contains_key("mirror")) {
                let (source, mirror) = (sides["source"].take(), sides["mirror"].take());
                sides.extend([("source".to_owned(), mirror), ("mirror".to_owned(), source)]);
            }
            let sink = Arc::new(Counted::default());
            for with in [with, turned] {
                let probe = (row.parse)(&with).unwrap_or_else(|error| panic!("{} {with}: {error}", row.kind));
                observed(sink.clone(), probe.sample(&stage.world)).await;
            }
            let seen = sink.operations();
            let unsaid: Vec<&String> = seen.iter().filter(|operation| !row.calls.contains(&operation.as_str())).collect();
            assert!(!seen.is_empty() && unsaid.is_empty(), "{} calls {unsaid:?}, which its CALLS do not state", row.kind);
            let idle: Vec<&&str> = row.calls.iter().filter(|operation| !seen.contains(**operation) && !AS_ASKED.contains(operation)).collect();
            assert!(idle.is_empty(), "{} states {idle:?} and never calls it", row.kind);
        }
    });
}

#[test]
fn every_word_of_a_cloud_states_what_it_calls_and_no_other_does() {
    for row in catalogue::actions() {
        let reads_clouds = row.kind == "objects.reconcile";
        assert_eq!(row.calls.all().is_empty(), row.acts == Acts::Outside && !reads_clouds, "{}", row.kind);
        assert_eq!(row.calls.marks.is_empty(), !row.fault, "{}", row.kind);
        let is_read = |operation: &&&str| [":Describe", ":List", ":Get", ":Head"].iter().any(|verb| operation.contains(verb));
        assert!(row.calls.plan.iter().all(|operation| is_read(&operation)), "{}: plan only reads", row.kind);
    }
    for row in catalogue::probes() {
        let of_cloud = ["aws.", "aliyun.", "objects.", "canary.objects"].iter().any(|prefix| row.kind.starts_with(prefix));
        assert_eq!(row.calls.is_empty(), !of_cloud, "{}", row.kind);
    }
}
