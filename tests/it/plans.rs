//! What a plan is made of: everything known is evaluated, the rest waits for the run.

use std::path::Path;

use lifeboat::model::plan::{Mode, OnFailure, Plan};
use lifeboat::model::time::Span;
use lifeboat::ops::project::load_project;
use lifeboat::ops::resolve::{Request, plan_runbook, plan_scenario};
use lifeboat::ops::words::Words;
use serde_json::{Map, Value, json};

fn request(environment: &str) -> Request<'_> {
    Request::new(environment, Mode::Drill)
}

fn plan() -> Plan {
    let project = load_project(Path::new("tests/plans"), None).unwrap();
    plan_scenario(Path::new("tests/plans/region-outage.yaml"), &project, Words::of_catalogue(), &request("staging")).unwrap()
}

#[test]
fn what_is_known_is_evaluated() {
    let plan = plan();
    assert_eq!((plan.name.as_str(), plan.zone.as_str(), plan.environment.as_str()), ("region-outage", "Asia/Shanghai", "staging"));
    assert_eq!(plan.fault.as_ref().unwrap().with, json!({"region": "cn-hangzhou", "vpc": "vpc-1"}));
    assert_eq!(plan.fault.as_ref().unwrap().timeout, Span::from_secs(120));
    assert_eq!(plan.steady_state.as_ref().unwrap().timeout, Span::from_secs(120));
    assert_eq!(plan.recovered.as_ref().unwrap().timeout, Span::from_secs(600));
    assert_eq!(plan.source.as_ref().unwrap().probes, ["extra"]);
    assert_eq!(plan.scope.seen()["env"]["aliyun"]["region"], "cn-hangzhou");
    assert_eq!(plan.scope.seen()["vars"]["storefront"], "http://shop.us-east-1.example.com/health");
    assert_eq!(plan.failover.parameters, json!({"service": "storefront", "weight": 100}));
    assert_eq!(plan.failover.file, "over.yaml");
    let files: Vec<&str> = plan.definitions.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["back.yaml", "lifeboat.yaml", "over.yaml", "region-outage.yaml", "shift.yaml"]);
    assert!(plan.definitions.iter().all(|file| file.sha256.len() == 64));
}

#[test]
fn probes_are_those_named_and_those_of_its_own() {
    let plan = plan();
    let ids: Vec<(&str, bool)> = plan.probes.iter().map(|probe| (probe.id.as_str(), probe.service)).collect();
    assert_eq!(ids, [("extra", false), ("storefront", true)]);
    let storefront = &plan.probes[1];
    assert_eq!(
        (storefront.every, storefront.timeout, storefront.bad_after, storefront.good_after),
        (Span::from_millis(200), Span::from_secs(1), 3, 5)
    );
}

#[test]
fn an_included_runbook_stands_where_it_is_included() {
    let plan = plan();
    let steps: Vec<(&str, String)> = plan.failover.steps.iter().map(|step| (step.id.as_str(), step.needs.join(" "))).collect();
    assert_eq!(
        steps,
        [
            ("start-standby", String::new()),
            ("shift/dns", "start-standby".to_owned()),
            ("shift/say", "shift/dns".to_owned()),
            ("watch", "shift/dns shift/say".to_owned()),
            ("tell", "watch".to_owned()),
        ]
    );
    let step = |id: &str| plan.failover.steps.iter().find(|step| step.id == id).unwrap();
    assert_eq!(step("shift/dns").with, json!({"zone": "example.com.", "record": "shop", "to": {"aws": 100, "aliyun": 0}}));
    assert_eq!(step("shift/dns").when.as_deref(), Some("vars.zone == \"example.com.\""));
    // The parameters are those of the included runbook, which the run does not know: they are written in.
    assert_eq!(step("shift/say").with, json!({"text": "${{ item }} gets ${{ 100 }} of ${{ steps[\"shift/dns\"].output.name }}"}));
    assert_eq!(step("shift/say").when.as_deref(), Some("(vars.zone == \"example.com.\") and (100 > 10)"));
    let each = step("shift/say").for_each.as_ref().unwrap();
    assert_eq!((&each.items, each.concurrency), (&json!("${{ steps[\"shift/dns\"].output.addresses }}"), 2));
    assert_eq!(step("watch").with, json!({"probe": "storefront", "is": "good"}));
    assert_eq!((step("tell").critical, step("tell").on_failure), (false, OnFailure::Continue));
    assert_eq!(step("start-standby").retry.attempts, 3);

    // What is left for the run comes to a value there.
    let scope = json!({"vars": {"zone": "example.com."}, "steps": {"shift/dns": {"output": {"addresses": ["10.0.0.1"], "name": "shop"}}}, "item": "10.0.0.1"});
    let resolved = lifeboat::model::expression::resolve(&step("shift/say").with, &scope).unwrap();
    assert_eq!(resolved, json!({"text": "10.0.0.1 gets 100 of shop"}));
    assert!(lifeboat::model::expression::is_true(step("shift/say").when.as_deref().unwrap(), &scope).unwrap());
    assert!(lifeboat::model::expression::is_true(step("tell").when.as_deref().unwrap(), &scope).unwrap());
}

#[test]
fn no_failback_leaves_it_out() {
    let project = load_project(Path::new("tests/plans"), None).unwrap();
    let request = Request { no_failback: true, ..request("staging") };
    let plan = plan_scenario(Path::new("tests/plans/region-outage.yaml"), &project, Words::of_catalogue(), &request).unwrap();
    assert!(plan.leave && plan.failback.is_none());
}

#[test]
fn a_runbook_alone_needs_its_parameters() {
    let project = load_project(Path::new("tests/plans"), None).unwrap();
    let run = |parameters: Value| {
        let parameters: Map<String, Value> = parameters.as_object().unwrap().clone();
        let request = Request { parameters, ..Request::new("staging", Mode::Emergency) };
        plan_runbook(Path::new("tests/plans/over.yaml"), &project, Words::of_catalogue(), &request).map_err(|problems| {
            problems.iter().map(|problem| format!("{problem} ({})", problem.hint.clone().unwrap_or_default())).collect::<Vec<_>>().join("\n")
        })
    };
    let plan = run(json!({"service": "storefront", "weight": "50"})).unwrap();
    assert_eq!(plan.failover.parameters, json!({"service": "storefront", "weight": 50}));
    assert!(plan.fault.is_none() && plan.probes.len() == 1);
    assert_eq!(
        run(json!({})).unwrap_err(),
        "tests/plans/over.yaml:5:3: the parameter `service` is missing (say it with `--with service=VALUE`, or give it a default)"
    );
    assert_eq!(
        run(json!({"service": "storefront", "wieght": 5})).unwrap_err(),
        "tests/plans/over.yaml:4:1: the runbook has no parameter `wieght` (did you mean `weight`?)"
    );
    assert!(run(json!({"service": "storefront", "weight": "much"})).unwrap_err().contains("takes a whole number; given was the text `much`"));
}

#[test]
fn the_lab_needs_no_project_file() {
    let project = load_project(Path::new("/"), None).unwrap();
    let vars = Map::from_iter([("zone".to_owned(), Value::from("example.com."))]);
    let request = Request { vars, ..request("lab") };
    let plan = plan_runbook(Path::new("tests/plans/back.yaml"), &project, Words::of_catalogue(), &request).unwrap();
    assert_eq!(plan.scope.seen()["env"]["aliyun"]["region"], "cn-hangzhou");
    assert_eq!(plan.failover.steps[0].with["zone"], "example.com.");
}
