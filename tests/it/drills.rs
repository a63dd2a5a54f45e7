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

/// The reports are there in every format, and making them again from the journal gives the same bytes.
fn check_reports(result: &Value) {
    let english = path(&result["report"]);
    let run_folder = english.parent().unwrap();
    let read = || ["report.en.md", "report.zh.md", "report.html", "report.json"].map(|name| std::fs::read_to_string(run_folder.join(name)).unwrap());
    let first = read();
    let again = run(lifeboat().args(["report", "latest", "--reports"]).arg(run_folder.parent().unwrap()));
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(first, read());
    let [english, chinese, page, json] = first;
    assert!(english.contains("PASS") && chinese.contains("通过"), "{english}");
    assert!(page.contains("PASS") && page.contains("通过") && page.ends_with("</html>\n"), "{page}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["opening"][0]["facts"][0]["value"]["values"][0]["word"], "pass", "{json}");
    assert_eq!(json["run"], result["run"]);
    // What is printed is what the files hold.
    let printed = |arguments: &[&str]| run(lifeboat().args(["report", "latest"]).args(arguments).arg("--reports").arg(run_folder.parent().unwrap()));
    assert_eq!(text(&printed(&["--format", "html", "--lang", "en"]).stdout), page);
    assert_eq!(serde_json::from_slice::<Value>(&printed(&["--format", "json"]).stdout).unwrap(), json);
    assert_eq!(text(&printed(&["--format", "markdown", "--lang", "zh"]).stdout), chinese);
    assert_eq!(printed(&["--format", "json", "--lang", "en"]).status.code(), Some(64), "there is no JSON in one language");
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
