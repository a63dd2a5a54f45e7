//! Whole drills against a lab in a process of its own, held against the lab's ground truth.

use serde_json::Value;

use crate::common::{LabProcess, folder, last_json, lifeboat, path, run, text};

/// Drills `scenario` and checks everything that holds for every drill that passes.
fn drill(scenario: &str) -> (Value, LabProcess) {
    let lab = LabProcess::start(&["--seed", "7"]);
    let reports = folder();
    let before = lab.world();
    let output = run(lifeboat().args(["drill", scenario, "--output", "json", "--lab", lab.control(), "--reports"]).arg(reports.path()));
    let printed = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{printed}");
    let result = last_json(&output);
    assert_eq!(result["verdict"], "pass", "{printed}");
    assert_eq!(lab.world(), before, "the world is not as it was: {printed}");
    check_truth(&result, &lab);
    check_reports(&result);
    (result, lab)
}

/// Every measured edge holds the true moment.
fn check_truth(result: &Value, lab: &LabProcess) {
    let truth = lab.truth();
    for (service, measured) in result["services"].as_object().unwrap() {
        for (edge, state) in [("down", "down"), ("up", "up")] {
            // The first time it went down, and the first time after that it came back.
            let down_at = truth
                .iter()
                .find(|entry| entry["what"] == "service" && entry["service"] == *service && entry["state"] == "down")
                .map(|entry| entry["wall"].as_str().unwrap());
            let true_at = truth
                .iter()
                .filter(|entry| entry["what"] == "service" && entry["service"] == *service && entry["state"] == state)
                .map(|entry| entry["wall"].as_str().unwrap())
                .find(|wall| Some(*wall) >= down_at)
                .unwrap_or_else(|| panic!("{service} never went {state}"));
            let (lo, hi) = (measured[edge][0].as_str().unwrap(), measured[edge][1].as_str().unwrap());
            assert!(lo <= true_at && true_at <= hi, "{service} {edge}: {true_at} is not in [{lo}, {hi}]");
        }
    }
}

/// Both reports are there, and making them again from the journal gives the same bytes.
fn check_reports(result: &Value) {
    let english = path(&result["report"]);
    let run_folder = english.parent().unwrap();
    let first: Vec<String> = ["report.en.md", "report.zh.md"].iter().map(|name| std::fs::read_to_string(run_folder.join(name)).unwrap()).collect();
    let again = run(lifeboat().args(["report", "latest", "--reports"]).arg(run_folder.parent().unwrap()));
    assert!(again.status.success(), "{}", text(&again.stderr));
    let second: Vec<String> = ["report.en.md", "report.zh.md"].iter().map(|name| std::fs::read_to_string(run_folder.join(name)).unwrap()).collect();
    assert_eq!(first, second);
    assert!(first[0].contains("PASS") && first[1].contains("通过"), "{}", first[0]);
}

#[test]
fn a_region_outage_is_recovered_and_everything_goes_back() {
    let (result, _) = drill("scenarios/aliyun-region-outage.yaml");
    assert!(result["services"]["storefront"]["rta_ms"][1].as_f64().unwrap() > 0.0);
}

#[test]
fn a_route_failure_is_recovered_and_everything_goes_back() {
    let (result, _) = drill("scenarios/aws-route-failure.yaml");
    assert!(result["services"]["checkout"]["rta_ms"][1].as_f64().unwrap() > 0.0);
}

#[test]
fn a_stopped_synchronisation_is_recovered_and_everything_goes_back() {
    let (result, _) = drill("scenarios/sync-stop.yaml");
    assert_eq!(result["services"], serde_json::json!({}), "no client-facing service goes down when only the synchronisation stops");
}
