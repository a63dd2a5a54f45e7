//! A world file that is not the shop: read, refused, printed, drilled in.

use serde_json::Value;

use crate::common::{LabProcess, folder, last_json, lifeboat, path, root, run, text};

const EXAMPLE: &str = "examples/booking";

fn example(arguments: &[&str]) -> std::process::Command {
    let mut command = lifeboat();
    command.args(["-C", EXAMPLE]).args(arguments);
    command
}

#[test]
fn a_drill_in_a_world_of_ones_own_passes_and_its_other_region_notices_nothing() {
    let lab = LabProcess::start(&["--seed", "7", "--world", "examples/booking/world.yaml"]);
    let reports = folder();
    let before = lab.world();
    assert_eq!(before["regions"]["aws"], serde_json::json!(["eu-central-1", "eu-west-1"]));
    let mut drill = example(&["drill", "scenarios/singapore-outage.yaml", "--output", "json", "--lab", lab.control(), "--reports"]);
    let output = run(drill.arg(reports.path()));
    let printed = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{printed}");
    let result = last_json(&output);
    assert_eq!(result["verdict"], "pass", "{printed}");
    assert_eq!(lab.world(), before, "the world is not as it was: {printed}");
    assert!(result["services"]["booking"]["rta_ms"][1].as_f64().unwrap() > 0.0 && result["services"]["search"]["rta_ms"].is_null(), "{result}");

    // What has the same tags in the other region was left alone, and its service never went down.
    let truth = lab.truth();
    let of = |what: &str| truth.iter().filter(|entry| entry["what"] == what).map(Value::to_string).collect::<Vec<_>>();
    let states = of("instance");
    assert!(states.iter().any(|entry| entry.contains("i-0b00c1ca1fra00001")), "{states:?}");
    assert!(!states.iter().any(|entry| entry.contains("i-0b00c1ca1dub00002")), "{states:?}");
    assert!(!of("service").iter().any(|entry| entry.contains("\"search\"") && entry.contains("\"down\"")));

    // Both languages, and the world file is among the definitions that the run is pinned to.
    let run_folder = path(&result["report"]).parent().unwrap().to_owned();
    let report = |name: &str| std::fs::read_to_string(run_folder.join(name)).unwrap();
    assert!(report("report.en.md").contains("PASS") && report("report.zh.md").contains("通过"));
    for file in ["world.yaml", "lifeboat.yaml"] {
        assert_eq!(report(&format!("definitions/{file}")), std::fs::read_to_string(root().join(EXAMPLE).join(file)).unwrap());
    }
}

#[test]
fn what_is_printed_is_the_world_that_is_there_without_a_file() {
    let folder = folder();
    let printed = run(lifeboat().args(["lab", "--print-world"]));
    assert_eq!(printed.status.code(), Some(0));
    let file = folder.path().join("world.yaml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let checked = run(lifeboat().arg("validate").arg(&file));
    assert!(text(&checked.stdout).contains("is valid (2 regions, 9 instances, 3 zones, 3 buckets, 2 jobs)"), "{}", text(&checked.stdout));
    // Addresses follow the lab's own prefix.
    let world = |arguments: &[&str]| {
        let lab = LabProcess::start(arguments);
        let prefix = lab.control().split('.').nth(1).unwrap().to_owned();
        lab.world().to_string().replace(&format!("127.{prefix}."), "127.N.")
    };
    assert_eq!(world(&["--seed", "3"]), world(&["--seed", "3", "--world", file.to_str().unwrap()]));
}

#[test]
fn a_lab_with_another_world_than_the_environments_is_refused() {
    let shop = LabProcess::start(&[]);
    let reports = folder();
    let mut drill = example(&["drill", "scenarios/singapore-outage.yaml", "--lab", shop.control(), "--reports"]);
    let output = run(drill.arg(reports.path()));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("holds another world than environment lab says; nothing was changed"), "{said}");
}

#[test]
fn a_world_that_is_wrong_is_told_in_its_file_and_keeps_no_other_environment() {
    let folder = folder();
    let project = folder.path().join("lifeboat.yaml");
    std::fs::write(&project, "lifeboat: 1\nenvironments:\n  ours: { kind: lab, world: w.yaml }\n").unwrap();
    std::fs::write(
        folder.path().join("w.yaml"),
        text(&run(lifeboat().args(["lab", "--print-world"])).stdout).replace("cidr: 10.10.1.0/24", "cidr: 10.10.1.0"),
    )
    .unwrap();
    let validate = |environment: &str| run(lifeboat().arg("-C").arg(folder.path()).args(["validate", "--env", environment, "w.yaml"]));
    let wrong = validate("ours");
    assert_eq!(wrong.status.code(), Some(65));
    assert!(
        text(&wrong.stderr).contains("w.yaml:") && text(&wrong.stderr).contains("`10.10.1.0` is no block of addresses"),
        "{}",
        text(&wrong.stderr)
    );
    let lab = run(lifeboat().args(["lab", "--world"]).arg(folder.path().join("w.yaml")));
    assert_eq!(lab.status.code(), Some(65), "{}", text(&lab.stderr));
    let runs = run(lifeboat().arg("-C").arg(folder.path()).arg("runs"));
    assert_eq!(runs.status.code(), Some(0), "{}", text(&runs.stderr));
}

#[test]
fn the_example_is_valid() {
    let output = run(&mut example(&["validate", "."]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("world.yaml: world is valid (3 regions, 6 instances, 2 zones, 3 buckets, 1 job)"),
        "{}",
        text(&output.stdout)
    );
}
