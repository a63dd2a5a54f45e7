//! Single machines that do not follow keep no other from following and are named; and what the clouds keep otherwise than it was written is the same
//! thing in every action, its undo and its snapshot.

use lifeboat::engine::foreseen::Foreseen;
use lifeboat::lab::world::state::InstanceState;
use lifeboat::model::target::Change;
use serde_json::{Value, json};

use crate::catalogue_world::{Sample, Stage, on_stage};

const AWS: [&str; 2] = ["i-0a11febe0a7500001", "i-0a11febe0a7500002"];
const ALIYUN: [&str; 2] = ["i-bp1lifeboat0check0001", "i-bp1lifeboat0check0002"];

fn start(cloud: &str, more: Value) -> Sample {
    let (kind, ids) = if cloud == "aws" { ("aws.ec2.start-instances", AWS) } else { ("aliyun.ecs.start-instances", ALIYUN) };
    let mut with = json!({ "instances": { "ids": ids } });
    with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Sample { kind, with }
}

fn states(stage: &Stage, ids: [&str; 2]) -> [InstanceState; 2] {
    stage.meddle(|state| ids.map(|id| state.instances[id].state))
}

fn protect(stage: &Stage, id: &str, protected: bool) {
    stage.meddle(|state| state.instances.get_mut(id).unwrap().protected = protected);
}

#[test]
fn undo_stops_all_but_the_one_that_is_protected_and_the_plan_has_said_so() {
    on_stage(async |stage| {
        for (cloud, ids, code, why) in
            [("aws", AWS, "OperationNotPermitted", "stop protection (`disableApiStop`) is on"), ("aliyun", ALIYUN, "InstanceLockedForSecurity", "")]
        {
            let step = stage.step(&start(cloud, json!({})));
            let before = step.plan().await.before;
            step.apply(&before).await;
            protect(&stage, ids[1], true);
            let error = step.try_undo(&before).await.0.unwrap_err().to_string();
            assert!(error.contains(ids[1]) && error.contains(code) && !error.contains(ids[0]), "{error}");
            assert_eq!(states(&stage, ids), [InstanceState::Stopped, InstanceState::Running], "{cloud}");
            if cloud == "aws" {
                let stop = Sample { kind: "aws.ec2.stop-instances", with: json!({ "instances": { "ids": ids } }) };
                let (_, said) = stage.step(&stop).foresee(&Foreseen::dry()).await.unwrap();
                assert!(said.contains(ids[1]) && said.contains(why), "{said}");
            }
            protect(&stage, ids[1], false);
            step.undo(&before).await;
            assert_eq!(states(&stage, ids), [InstanceState::Stopped; 2]);
        }
        // Before it is started, the plan says that it could not be stopped again.
        protect(&stage, AWS[0], true);
        let (planned, _) = stage.step(&start("aws", json!({}))).foresee(&Foreseen::dry()).await.unwrap();
        assert!(planned.not_undone.iter().any(|line| line.contains(AWS[0]) && line.contains("disableApiStop")), "{planned:?}");
    });
}

#[test]
fn a_locked_machine_keeps_no_other_from_starting_and_enough_are_enough() {
    on_stage(async |stage| {
        protect(&stage, ALIYUN[0], true);
        let step = stage.step(&start("aliyun", json!({})));
        let (planned, said) = step.foresee(&Foreseen::dry()).await.unwrap();
        assert!(said.contains(ALIYUN[0]) && said.contains("Alibaba Cloud has locked it (security)"), "{said}");
        let error = step.apply_in(&stage.world, &planned.before).await.0.unwrap_err().to_string();
        assert!(error.contains(ALIYUN[0]) && error.contains("InstanceLockedForSecurity") && !error.contains(ALIYUN[1]), "{error}");
        assert_eq!(states(&stage, ALIYUN), [InstanceState::Stopped, InstanceState::Running]);
        step.undo(&planned.before).await;
        for enough in [json!(1), json!("50%")] {
            let step = stage.step(&start("aliyun", json!({ "at_least": enough })));
            let before = step.plan().await.before;
            let (applied, _) = step.apply(&before).await;
            assert_eq!((&applied.output["started"], &applied.output["failed"]), (&json!([ALIYUN[1]]), &json!([ALIYUN[0]])));
            step.undo(&before).await;
        }
    });
}

#[test]
fn it_is_done_when_it_is_accepted_where_that_is_written() {
    on_stage(async |stage| {
        for (cloud, ids) in [("aws", AWS), ("aliyun", ALIYUN)] {
            let step = stage.step(&start(cloud, json!({ "until": "accepted" })));
            let before = step.plan().await.before;
            step.apply(&before).await;
            assert_eq!(states(&stage, ids), [InstanceState::Pending; 2]);
            step.undo(&before).await;
            assert_eq!(states(&stage, ids), [InstanceState::Stopped; 2]);
        }
    });
}

#[test]
fn a_hibernated_machine_is_hibernated_again() {
    on_stage(async |stage| {
        stage.meddle(|state| {
            let instance = state.instances.get_mut(AWS[0]).unwrap();
            (instance.can_hibernate, instance.hibernated) = (true, true);
        });
        let begin = stage.seen();
        let step = stage.step(&start("aws", json!({})));
        let (planned, said) = step.foresee(&Foreseen::dry()).await.unwrap();
        assert!(said.contains("undo hibernates it again"), "{said}");
        step.apply(&planned.before).await;
        assert!(!stage.meddle(|state| state.instances[AWS[0]].hibernated));
        step.undo(&planned.before).await;
        assert_eq!(stage.seen(), begin);
        assert_eq!(step.plan().await.before, planned.before);
    });
}

#[test]
fn a_route_is_the_same_however_its_block_and_its_target_are_written() {
    on_stage(async |stage| {
        let begin = stage.seen();
        for (written, kept) in [
            ("10.40.7.9/16", "10.40.0.0/16"),
            ("10.20.5.5/16", "10.20.0.0/16"),
            ("2001:DB8:40::7/48", "2001:db8:40::/48"),
            ("2001:0db8:0041:0000::/64", "2001:db8:41::/64"),
        ] {
            for target in [json!({ "interface": "eni-0a11febe0a7000c01" }), json!({ "instance": "i-0a11febe0a7c00001" })] {
                let with = json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": written, "target": target });
                let step = stage.step(&Sample { kind: "aws.ec2.replace-route", with });
                let planned = step.plan().await;
                assert_eq!(planned.targets[0].part, kept);
                step.apply(&planned.before).await;
                let table = stage.meddle(|state| state.route_tables["rtb-0a11febe0a7b00002"].clone());
                assert!(table.routes.iter().any(|route| route.destination == kept), "{written}: {:?}", table.routes);
                let again = stage.step(&Sample {
                    kind: "aws.ec2.replace-route",
                    with: json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": kept, "target": target }),
                });
                let same = again.plan().await;
                assert!(again.apply(&same.before).await.0.already, "{written} is {kept}");
                step.undo(&planned.before).await;
                assert_eq!(stage.seen(), begin, "{written} {target}");
            }
        }
        let with = json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": "10.20.9.9/16", "interface": "eni-0a11febe0a75ba4e0" });
        let fault = stage.step(&Sample { kind: "aws.ec2.blackhole-route", with });
        let before = fault.plan().await.before;
        fault.apply(&before).await;
        fault.undo(&before).await;
        assert_eq!(stage.seen(), begin);
    });
}

#[test]
fn a_failback_is_planned_against_what_the_failover_leaves() {
    on_stage(async |stage| {
        let foreseen = Foreseen::dry();
        let (there, _) = stage.step(&start("aws", json!({}))).foresee(&foreseen).await.unwrap();
        let stop = Sample { kind: "aws.ec2.stop-instances", with: json!({ "instances": { "ids": AWS } }) };
        let (back, _) = stage.step(&stop).foresee(&foreseen).await.unwrap();
        assert!(back.targets.iter().all(|target| target.change == Change::read("running → stopped")), "{back:?}");
        assert!(back.calls.iter().any(|call| call.operation == "ec2:StopInstances" && call.mutating));
        assert!(there.calls.iter().any(|call| call.operation == "ec2:DescribeInstanceStatus" && !call.mutating));
        let route =
            |target: &str| json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": "10.20.0.0/16", "target": { "interface": target } });
        let over = stage.step(&Sample { kind: "aws.ec2.replace-route", with: route("eni-0a11febe0a7000c01") });
        over.foresee(&foreseen).await.unwrap();
        let back = stage.step(&Sample { kind: "aws.ec2.replace-route", with: route("eni-0a11febe0a7000db0") });
        let (back, _) = back.foresee(&foreseen).await.unwrap();
        assert_eq!(back.targets[0].change, Change::read("eni-0a11febe0a7000c01 → eni-0a11febe0a7000db0"));
    });
}
