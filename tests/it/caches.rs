//! Whose experience is measured: clients that resolve anew, users with caches, and how long those may be led the old way.

use std::path::Path;
use std::process::Output;

use lifeboat::model::plan::{ClientModel, Mode};
use lifeboat::ops::project::load_project;
use lifeboat::ops::resolve::{Request, plan_scenario};
use lifeboat::ops::words::Words;
use lifeboat::ports::gate::Gate;
use serde_json::Value;

use crate::common::{LabProcess, copy_project, folder, last_json, lifeboat, path, run, text};

fn planned(project: &Path, scenario: &str, lab: &LabProcess, more: &[&str]) -> Output {
    let output = run(lifeboat().current_dir(project).args(["plan", scenario, "--lab", lab.control()]).args(more));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    output
}

#[test]
fn a_plan_names_the_ttl_and_warns_where_it_is_longer_than_a_target() {
    let (lab, project) = (LabProcess::start(&[]), folder());
    // The names are kept for 5 s in the lab.
    copy_project(project.path(), |file| {
        let file = file.replace("storefront: { rto: 60s, rto_cached: 90s, slo", "storefront: { rto: 4s, rto_cached: 90s, slo");
        file.replace("checkout-cn: { rto: 60s, rto_cached: 90s }", "checkout-cn: { rto: 2s, rto_cached: 4s }")
    });
    let said = text(&planned(project.path(), "scenarios/aliyun-region-outage.yaml", &lab, &[]).stdout);
    assert!(said.contains("      kept    by clients for up to 5s (TTL)\n"), "{said}");
    let warning = "Warning: clients may keep the answers that failover/shift-dns changes for 5s (TTL), longer than the RTO of storefront, 4s: lower the TTL beforehand.";
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("Warning")).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(said.lines().any(|line| line == warning || line == warning.replace("shift-dns", "shift-dns-cn")), "{said}");
    // Alidns, and as JSON.
    let plan = last_json(&planned(project.path(), "scenarios/aws-route-failure.yaml", &lab, &["--output", "json"]));
    let warnings: Vec<&str> = plan["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(warnings.iter().any(|line| line.contains("longer than the RTO of checkout-cn, 2s")), "{warnings:?}");
    assert!(warnings.iter().any(|line| line.contains("longer than the rto_cached of checkout-cn, 4s")), "{warnings:?}");
    let step = |name: &str| plan["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap().clone();
    assert_eq!((&step("failover/shift-dns-cn")["ttl_s"], step("failover/start-standby").get("ttl_s")), (&Value::from(5), None));
    // As shipped there is nothing to warn of.
    let said = text(&planned(crate::common::root(), "scenarios/aws-route-failure.yaml", &lab, &[]).stdout);
    assert!(!said.contains("Warning"), "{said}");
}

#[test]
fn every_probe_says_as_which_clients_it_asks() {
    let project = folder();
    let write = |name: &str, content: &str| std::fs::write(project.path().join(name), content).unwrap();
    let probes = [
        ("anew", "http", r#"{ url: "http://shop.example.com/" }"#, &[ClientModel::ResolvesAnew][..]),
        ("names", "http", r#"{ url: "http://shop.example.com/", client: { keep_names: true, resolver: "192.0.2.53" } }"#, &[ClientModel::KeepsNames]),
        ("kept", "http", r#"{ url: "http://shop.example.com/", client: { connection: kept } }"#, &[ClientModel::KeepsConnections]),
        (
            "both",
            "http",
            r#"{ url: "http://shop.example.com/", client: { connection: both } }"#,
            &[ClientModel::ResolvesAnew, ClientModel::KeepsConnections],
        ),
        ("share", "http.share", r#"{ url: "http://shop.example.com/", target: { status: 200 } }"#, &[ClientModel::ResolvesAnew]),
        ("port", "tcp", r#"{ address: "shop.example.com:443" }"#, &[ClientModel::ResolvesAnew]),
        (
            "parts",
            "group",
            r#"{ of: { a: { uses: tcp, with: { address: "a.example.com:1" } }, b: { uses: http, with: { url: "http://b.example.com/", client: { connection: kept } } } } }"#,
            &[ClientModel::ResolvesAnew, ClientModel::KeepsConnections],
        ),
        ("data", "aws.s3.freshness", r#"{ bucket: b, expect: { max_age: 5s } }"#, &[]),
        ("query", "prometheus", r#"{ url: "http://prometheus.example.com/", query: up, expect: { above: 0 } }"#, &[]),
    ];
    let written: Vec<String> = probes.iter().map(|(id, uses, with, _)| format!("  {id}: {{ uses: {uses}, with: {with}, every: 1s }}\n")).collect();
    write("lifeboat.yaml", &format!("lifeboat: 1\nenvironments: {{ lab: {{ kind: lab }} }}\nprobes:\n{}", written.concat()));
    write("wait.yaml", "lifeboat: 1\nkind: runbook\ntitle: Wait\nsteps:\n  - { id: wait, uses: note, with: { text: waiting } }\n");
    let ids: Vec<&str> = probes.iter().map(|(id, ..)| *id).collect();
    write(
        "drill.yaml",
        &format!(
            "lifeboat: 1\nkind: scenario\ntitle: All\nsteady_state: {{ probes: [{}], hold: 1s }}\nfault: {{ uses: aliyun.dts.suspend-job, with: {{ job: j }}, lease: 1m }}\nfailover: {{ runbook: wait.yaml }}\n",
            ids.join(", ")
        ),
    );
    let loaded = load_project(project.path(), None).unwrap();
    let plan = plan_scenario(&project.path().join("drill.yaml"), &loaded, Words::of_catalogue(), &Request::new("lab", Mode::Rehearse));
    let plan = plan.unwrap_or_else(|problems| panic!("{problems:#?}"));
    for (id, .., clients) in probes {
        let found = &plan.probes.iter().find(|probe| probe.id == id).unwrap().clients;
        assert_eq!(found.iter().copied().collect::<Vec<_>>(), clients, "{id}");
    }
}

#[tokio::test]
async fn both_object_stores_of_the_lab_tell_whole_seconds() {
    let lab = LabProcess::start(&[]);
    let world = lifeboat::world::World::connect(&lab.settings(), &Gate::default()).await;
    for (cloud, bucket) in [(lifeboat::ports::Cloud::Aws, "shop-orders-mirror"), (lifeboat::ports::Cloud::Aliyun, "shop-orders")] {
        let objects = world.objects(cloud).unwrap().list(bucket, "orders/", "").await.unwrap();
        assert!(objects.len() > 3, "{cloud}: {}", objects.len());
        for object in objects {
            assert_eq!(object.modified.as_nanos() % 1_000_000_000, 0, "{cloud}: {}", object.key);
        }
    }
}

#[test]
fn a_drill_tells_whose_experience_its_recovery_time_is() {
    let lab = LabProcess::start(&[]);
    let project = folder();
    copy_project(project.path(), str::to_owned);
    let output =
        run(lifeboat().current_dir(project.path()).args(["drill", "scenarios/aws-route-failure.yaml", "--output", "json", "--lab", lab.control()]));
    let result = last_json(&output);
    assert_eq!(output.status.code(), Some(0), "{result}\n{}", text(&output.stderr));
    let checkout = &result["services"]["checkout"];
    assert_eq!((&checkout["clients"], &checkout["vantage_points"]), (&serde_json::json!(["resolves-anew"]), &1.into()));
    let bound = checkout["rta_with_caches_ms"].as_u64().unwrap();
    assert_eq!(bound, checkout["rta_ms"][1].as_u64().unwrap() + 5000, "the names are kept for 5 s");
    for (language, words) in [
        (
            "en",
            [
                "users who keep names: ≤ ",
                "| a client that resolves anew, 1 vantage point |",
                "RTO, users who keep names: ",
                "the longest TTL before the change: 5 s.",
            ],
        ),
        ("zh", ["保留域名应答的用户：≤ ", "| 每次重新解析的客户端，1 个观测点 |", "RTO（保留域名应答的用户）：", "继续使用旧的 DNS 应答：5 秒。"]),
    ] {
        let report = std::fs::read_to_string(path(&result["report"]).with_file_name(format!("report.{language}.md"))).unwrap();
        for words in words {
            assert!(report.contains(words), "{words}: {report}");
        }
        assert!(!report.contains('±') && !report.contains("customers served") && !report.contains("drained"), "{report}");
    }
}
