//! An emergency in which one cloud is gone altogether: each of its hosts refuses, whoever gives out credentials included. The shipped runbook brings
//! the service back on the other cloud, and the report says what could not be done.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use lifeboat::model::call::Cloud;
use lifeboat::ports::compute::{Rest, Selector};
use lifeboat::ports::gate::Gate;
use lifeboat::world::World;
use serde_json::{Value, json};

use crate::common::{LabProcess, copy_project, folder, get, last_json, lifeboat, run, text};

/// An address where nobody listens.
fn nobody() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}")
}

/// The shipped project with an environment `night` whose `gone` cloud is at an address where nobody listens, and whose other one is the lab's.
fn project(to: &Path, lab: &LabProcess, gone: Cloud) {
    let about: Value = serde_json::from_str(&get(lab.control(), "/environment")).unwrap();
    let dead = nobody();
    let at = |cloud: Cloud, key: &str| if cloud == gone { dead.clone() } else { about[key].as_str().unwrap().to_owned() };
    let environment = json!({
        "aws": { "region": "us-east-1", "account": "111122223333", "endpoint": at(Cloud::Aws, "aws") },
        "aliyun": {
            "region": "cn-hangzhou", "account": "1234567890123456", "endpoint": at(Cloud::Aliyun, "aliyun"), "oss_endpoint": at(Cloud::Aliyun, "oss"),
        },
        "zones": { "example.com": { "provider": "aws" }, "example.cn": { "provider": "aliyun" } },
        "dns": { "server": about["dns"] },
        "vars": about["vars"],
    });
    copy_project(to, |written| written.replacen("environments:\n", &format!("environments:\n  night: {environment}\n"), 1));
}

/// Stops the hosts of a service, as a cloud does that is gone.
fn stop(lab: &LabProcess, cloud: Cloud, role: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::connect(&lab.settings(), &Gate::default()).await;
        let tags = BTreeMap::from([("role".to_owned(), role.to_owned()), ("posture".to_owned(), "active".to_owned())]);
        let hosts = world.compute(cloud).unwrap();
        let ids: Vec<String> = hosts.find(&Selector { ids: Vec::new(), tags }).await.unwrap().into_iter().map(|host| host.id).collect();
        assert!(!ids.is_empty());
        hosts.stop(&ids, Rest::Kept).await.unwrap();
    });
}

fn execute(folder: &Path, lab: &LabProcess, runbook: &str) -> (Value, String) {
    let key = |name: &str| lab.endpoints[name].as_str().unwrap().to_owned();
    let output = run(lifeboat()
        .current_dir(folder)
        .args(["execute", runbook, "--env", "night", "--output", "json"])
        .env("AWS_ACCESS_KEY_ID", key("access_key_id"))
        .env("AWS_SECRET_ACCESS_KEY", key("secret_access_key"))
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", key("access_key_id"))
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key("secret_access_key")));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let last = last_json(&output);
    let runs = std::fs::read_dir(folder.join("reports")).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let run = runs.filter(|path| path.join("journal.jsonl").exists()).max().unwrap();
    (last, std::fs::read_to_string(run.join("report.en.md")).unwrap())
}

/// What the lab's zone has on for a name, by label.
fn shares(lab: &LabProcess, zone: &str, name: &str) -> BTreeMap<String, u64> {
    let world: Value = serde_json::from_str(&get(lab.control(), "/world")).unwrap();
    let mut shares = BTreeMap::new();
    for record in world["zones"][zone]["records"].as_array().unwrap().iter().filter(|record| record["name"] == name) {
        let weight = if record["enabled"] == json!(true) { record["weight"].as_u64().unwrap() } else { 0 };
        *shares.entry(record["set_identifier"].as_str().unwrap().to_owned()).or_default() += weight;
    }
    shares
}

#[test]
fn the_checkout_moves_to_alibaba_while_all_of_aws_refuses() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    project(folder.path(), &lab, Cloud::Aws);
    stop(&lab, Cloud::Aws, "checkout");
    let (last, report) = execute(folder.path(), &lab, "runbooks/shift-checkout-to-aliyun.yaml");
    assert_eq!(last["verdict"], "pass", "{last}");
    let cn = shares(&lab, "example.cn", "pay");
    assert!(cn["aws"] == 0 && cn["aliyun"] > 0, "{cn:?}");
    let com = shares(&lab, "example.com.", "pay.example.com.");
    assert!(com["aws"] > 0 && com["aliyun"] == 0, "Route 53 could not be asked: {com:?}");
    assert!(report.contains("Shift the weights on Route 53") && report.contains("failed"), "what was not done is said:\n{report}");
}

#[test]
fn the_storefront_moves_to_aws_while_all_of_alibaba_refuses() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    project(folder.path(), &lab, Cloud::Aliyun);
    stop(&lab, Cloud::Aliyun, "storefront");
    let (last, report) = execute(folder.path(), &lab, "runbooks/fail-over-to-aws.yaml");
    assert_eq!(last["verdict"], "pass", "{last}");
    let com = shares(&lab, "example.com.", "shop.example.com.");
    assert!(com["aliyun"] == 0 && com["aws"] > 0, "{com:?}");
    let cn = shares(&lab, "example.cn", "shop");
    assert!(cn["aliyun"] > 0 && cn["aws"] == 0, "Alidns could not be asked: {cn:?}");
    assert!(report.contains("Shift the weights on Alidns") && report.contains("failed"), "what was not done is said:\n{report}");
}
