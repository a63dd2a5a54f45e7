//! What `lifeboat plan` says, held against what the run then does: every call that a run made was in the plan, what cannot be done makes the plan fail,
//! and a step acts on what was planned or says otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use lifeboat::ports::Cloud;
use lifeboat::ports::gate::Gate;
use lifeboat::ports::tags::Tagged;
use lifeboat::world::World;
use serde_json::Value;

use crate::common::{LabProcess, folder, get, has_step, journal, last_json, lifeboat, path, run, text, until};

/// The operations of the calls in a plan's step, with those that change something apart.
fn operations<'a>(calls: impl IntoIterator<Item = &'a Value>) -> BTreeSet<(String, bool)> {
    let one = |call: &Value| (call["operation"].as_str().unwrap().to_owned(), call["mutating"] == true);
    calls.into_iter().flat_map(|list| list.as_array().into_iter().flatten()).map(one).collect()
}

/// Plans and drills a shipped scenario; every call of the run's journal, and every one that the lab was asked to change something by, was in the plan.
fn every_call_was_planned(scenario: &str) {
    let (lab, reports) = (LabProcess::start(&["--seed", "7", "--time-scale", "4"]), folder());
    let output = run(lifeboat().args(["plan", scenario, "--output", "json", "--lab", lab.control(), "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let plan = last_json(&output);
    assert_eq!(get(lab.control(), "/calls").lines().filter(|line| line.contains("\"effect\":true")).count(), 0, "a plan changes nothing");
    let of = |step: &Value| operations([&step["calls"], &step["undo"], &step["mark_calls"]]);
    let planned: BTreeMap<&str, _> = plan["steps"].as_array().unwrap().iter().map(|step| (step["step"].as_str().unwrap(), of(step))).collect();

    let output = run(lifeboat().args(["drill", scenario, "--output", "json", "--lab", lab.control(), "--reports"]).arg(reports.path()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let journal = std::fs::read_to_string(path(&last_json(&output)["journal"])).unwrap();
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut made = 0;
    for event in events.filter(|event| event["event"] == "call") {
        let (step, call) = (event["step"].as_str().unwrap(), &event["call"]);
        let (operation, mutating) = (call["operation"].as_str().unwrap(), call["mutating"] == true);
        let known = &planned[step];
        assert!(
            known.contains(&(operation.to_owned(), true)) || (!mutating && known.contains(&(operation.to_owned(), false))),
            "{step} made {operation} (changing: {mutating}), which the plan does not list: {known:?}"
        );
        made += 1;
    }
    assert!(made > 5, "{made} calls");
    let changing: BTreeSet<&str> =
        planned.values().flatten().filter(|(_, mutating)| *mutating).map(|(operation, _)| operation.split(':').nth(1).unwrap()).collect();
    for line in get(lab.control(), "/calls").lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        let operation = call["operation"].as_str().unwrap();
        assert!(changing.contains(operation), "the lab was asked for {operation}, which the plan does not list: {changing:?}");
    }
    let changed = get(lab.control(), "/calls").lines().filter(|line| line.contains("\"effect\":true")).count();
    assert!(plan["mutating_calls"].as_u64().unwrap() > 0 && changed > 0);
}

#[test]
fn every_call_of_a_region_outage_was_planned() {
    every_call_was_planned("scenarios/aliyun-region-outage.yaml");
}

#[test]
fn every_call_of_a_route_failure_was_planned() {
    every_call_was_planned("scenarios/aws-route-failure.yaml");
}

#[test]
fn every_call_of_a_stopped_synchronisation_was_planned() {
    every_call_was_planned("scenarios/sync-stop.yaml");
}

/// Writes a project with one runbook of these steps.
fn project(folder: &Path, steps: &str) {
    std::fs::write(folder.join("lifeboat.yaml"), "lifeboat: 1\nenvironments:\n  ours: { kind: lab }\n").unwrap();
    std::fs::write(folder.join("book.yaml"), format!("lifeboat: 1\nkind: runbook\ntitle: {{ en: Book, zh: 预案 }}\nsteps:\n{steps}")).unwrap();
}

#[test]
fn what_is_not_there_makes_the_plan_fail_and_its_blast_radius_is_never_nothing() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    for (uses, with, said) in [
        ("aws.ec2.start-instances", "{ instances: { tags: { role: nobody } } }", "no machine matches tags role=nobody"),
        ("aliyun.ecs.stop-instances", "{ instances: { ids: [i-bp1nobody] } }", "there is no instance `i-bp1nobody`"),
        (
            "aws.ec2.replace-route",
            "{ route_table: rtb-0123456789abcdef0, destination: 10.20.0.0/16, target: { gateway: igw-1 } }",
            "rtb-0123456789abcdef0",
        ),
        (
            "aws.ec2.replace-route",
            "{ route_table: rtb-0a11febe0a7b00002, destination: 10.20.0.0/16, target: { interface: eni-0123456789abcdef0 } }",
            "eni-0123456789abcdef0",
        ),
        ("aliyun.dts.start-job", "{ job: dtsnobody }", "Forbidden.InstanceNotFound"),
        ("aws.ec2.start-instances", "{ instances: { tags: { role: storefront } }, at_least: 9 }", "at least 9 are asked for"),
    ] {
        project(folder.path(), &format!("  - {{ id: act, uses: {uses}, with: {with} }}\n"));
        let output = run(lifeboat().current_dir(folder.path()).args(["plan", "book.yaml", "--env", "ours", "--lab", lab.control()]));
        let (shown, error) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(69), "{uses}: {shown}{error}");
        assert!(error.contains("failover/act cannot be done") && error.contains(said), "{error}");
        assert!(shown.contains("Blast radius: not known, as failover/act could not be looked at"), "{shown}");
    }
}

#[test]
fn a_step_whose_condition_is_false_refuses_nothing() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let step = "  - { id: act, when: \"1 > 2\", uses: aws.ec2.start-instances, with: { instances: { tags: { role: nobody } } } }\n";
    project(folder.path(), step);
    let output = run(lifeboat().current_dir(folder.path()).args(["plan", "book.yaml", "--env", "ours", "--lab", lab.control()]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("its condition is false: it will not run"));
}

#[test]
fn a_list_that_is_known_is_planned_item_by_item() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let step = "  - id: start\n    uses: aws.ec2.start-instances\n    for_each: [storefront, checkout]\n    with: { instances: { tags: { role: \"${{ item }}\" } } }\n";
    project(folder.path(), step);
    let output = run(lifeboat().current_dir(folder.path()).args(["plan", "book.yaml", "--env", "ours", "--output", "json", "--lab", lab.control()]));
    let plan = last_json(&output);
    let steps: Vec<&str> = plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["failover/start[0]", "failover/start[1]"]);
    assert!(plan["steps"][0]["targets"].as_array().is_some_and(|targets| targets.len() == 2), "{plan}");
}

/// Runs a start of everything with `role: storefront` and `posture: standby`, after a step that waits until `meanwhile` has changed what that is.
fn with_other_targets_meanwhile(fresh: &str, meanwhile: impl FnOnce(&LabProcess)) -> (Option<i32>, String, String) {
    let (lab, folder) = (LabProcess::start(&["--time-scale", "10"]), folder());
    project(
        folder.path(),
        &format!(
            "  - {{ id: hold, uses: exec, with: {{ command: [/bin/sh, -c, 'until [ -e go ]; do sleep 0.02; done'] }} }}\n  \
               - {{ id: start, needs: [hold], uses: aws.ec2.start-instances, with: {{ instances: {{ tags: {{ role: storefront, posture: standby }} }} }}{fresh} }}\n"
        ),
    );
    let mut command = lifeboat();
    command.current_dir(folder.path()).args(["execute", "book.yaml", "--env", "ours", "--output", "json", "--lab", lab.control()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let reports = folder.path().join("reports");
    until("the first step waits", || journal(&reports).filter(|journal| has_step(journal, "failover/hold", "intended")));
    meanwhile(&lab);
    std::fs::write(folder.path().join("go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    let report = path(&last_json(&output)["report"]);
    let both = ["report.en.md", "report.zh.md"].map(|name| std::fs::read_to_string(report.parent().unwrap().join(name)).unwrap()).join("\n");
    (output.status.code(), both, get(lab.control(), "/calls"))
}

/// Gives a machine of another role the tags by which the standby is found, or takes them from one of the standby.
fn tag(lab: &LabProcess, id: &str, role: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::connect(&lab.settings(), &Gate::default()).await;
        let tags = BTreeMap::from([("role".to_owned(), role.to_owned()), ("posture".to_owned(), "standby".to_owned())]);
        let machine = Tagged { kind: "instance".to_owned(), id: id.to_owned() };
        world.tags(Cloud::Aws, "").unwrap().write(&[machine], &tags).await.unwrap();
    });
}

#[test]
fn a_step_does_not_act_on_what_was_not_planned() {
    let (code, report, calls) = with_other_targets_meanwhile("", |lab| tag(lab, "i-0a11febe0a7c00001", "storefront"));
    assert_ne!(code, Some(0));
    assert!(report.contains("it would not act on what was planned: + instance i-0a11febe0a7c00001") && report.contains("targets: fresh"), "{report}");
    assert!(!calls.contains("StartInstances"), "{calls}");
    let (code, report, calls) = with_other_targets_meanwhile("", |lab| tag(lab, "i-0a11febe0a7500002", "retired"));
    assert_ne!(code, Some(0));
    assert!(report.contains("− instance i-0a11febe0a7500002") && !calls.contains("StartInstances"), "{report}");
}

#[test]
fn targets_are_fresh_where_that_is_written_and_it_is_said() {
    let (_, report, calls) = with_other_targets_meanwhile(", targets: fresh", |lab| tag(lab, "i-0a11febe0a7500002", "retired"));
    assert!(report.contains("fresh\\`: not what was planned: − instance i-0a11febe0a7500002"), "{report}");
    assert!(report.contains("**Warnings**") && report.contains("**警告**"), "{report}");
    assert!(calls.contains("StartInstances"), "{calls}");
}
