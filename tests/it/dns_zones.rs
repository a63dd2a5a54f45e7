//! Which cloud serves a zone is written, never asked for: `validate` wants it where there are two, and the answer of one cloud decides about nothing
//! at the other.

use serde_json::Value;

use crate::common::{LabProcess, folder, get, lifeboat, run, text};

const BOOK: &str = "lifeboat: 1\nkind: runbook\ntitle: Shift\nsteps:\n  - id: shift\n    uses: dns.shift-weight\n";

fn validate(environment: &str, with: &str) -> (i32, String) {
    let folder = folder();
    std::fs::write(folder.path().join("lifeboat.yaml"), format!("lifeboat: 1\nenvironments:\n  real:\n{environment}")).unwrap();
    std::fs::write(folder.path().join("book.yaml"), format!("{BOOK}    with: {with}\n")).unwrap();
    let output = run(lifeboat().current_dir(folder.path()).args(["validate", "book.yaml", "--env", "real"]));
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn with_two_clouds_the_provider_of_a_zone_is_written() {
    const BOTH: &str = "    aws: { region: us-east-1 }\n    aliyun: { region: cn-hangzhou }\n";
    let shift = |zone: &str, more: &str| format!("{{ zone: {zone}, record: shop, to: {{ aws: 100, aliyun: 0 }}{more} }}");
    let zones = |zones: &str| format!("{BOTH}    zones: {{ {zones} }}\n");
    for (environment, with) in [
        (zones("example.com: { provider: aws }"), shift("Example.com.", "")),
        (zones("xn--fsqu00a.cn: { provider: aliyun }"), shift("例子.cn", "")),
        (zones("example.com: { provider: aws, id: Z0ONE }"), shift("example.com", "")),
        (BOTH.to_owned(), shift("example.com", ", provider: aws")),
        ("    aliyun: { region: cn-hangzhou }\n".to_owned(), shift("example.com.", "")),
    ] {
        let (code, said) = validate(&environment, &with);
        assert_eq!(code, 0, "{with}: {said}");
    }
    for (environment, with, parts) in [
        (
            BOTH.to_owned(),
            shift("example.com.", ""),
            &["book.yaml:7:", "nothing says which cloud serves", "zones: { example.com: { provider: aws } }"][..],
        ),
        (zones("example.com: { provider: aws }"), shift("example.cn", ""), &["nothing says which cloud serves the zone `example.cn`"]),
        (zones("example.com: { provider: aws }"), shift("example.com", ", provider: aliyun"), &["the step says that aliyun serves"]),
        (zones("example.com: { provider: gcp }"), shift("example.com", ""), &["gcp"]),
        ("    aws: { region: us-east-1 }\n".to_owned(), shift("example.cn", ", provider: aliyun"), &["does not have"]),
    ] {
        let (code, said) = validate(&environment, &with);
        assert_eq!(code, 65, "{with}: {said}");
        for part in parts {
            assert!(said.contains(part), "{with}: `{part}` is missing in {said}");
        }
    }
}

/// Executes a shift in a lab whose `gone` calls are refused; gives the exit code and the zone of the step afterwards.
fn shift(rule: &str, zone: &str, record: &str) -> (i32, Value, String) {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    std::fs::write(
        folder.path().join("lifeboat.yaml"),
        format!("lifeboat: 1\nenvironments:\n  night: {{ kind: lab, lab: {{ faults: [ {rule} ] }} }}\n"),
    )
    .unwrap();
    let with = format!("{{ zone: {zone}, record: {record}, to: {{ aws: 50, aliyun: 50 }} }}");
    std::fs::write(folder.path().join("book.yaml"), format!("{BOOK}    with: {with}\n    timeout: 20s\n")).unwrap();
    let output = run(lifeboat().current_dir(folder.path()).args(["execute", "book.yaml", "--env", "night", "--lab", lab.control()]));
    let world: Value = serde_json::from_str(&get(lab.control(), "/world")).unwrap();
    let (_, zone) = world["zones"].as_object().unwrap().iter().find(|(name, _)| name.trim_end_matches('.') == zone.trim_end_matches('.')).unwrap();
    (output.status.code().unwrap(), zone.clone(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_cloud_that_is_gone_or_says_no_decides_nothing_about_the_others_zone() {
    for (rule, zone) in [
        ("{ does: server-error, status: 503, calls: 'route53:*', count: forever }", "example.cn"),
        ("{ does: denied, calls: 'route53:*', count: forever }", "example.cn"),
        ("{ does: expired-credentials, cloud: aliyun, count: forever }", "example.com"),
        ("{ does: denied, calls: 'alidns:*', count: forever }", "example.com."),
    ] {
        let (code, zone, said) = shift(rule, zone, "shop");
        let on = |label: &str| {
            let records = zone["records"].as_array().unwrap().iter().filter(|record| record["name"].as_str().unwrap().starts_with("shop"));
            let own = records.filter(|record| record["set_identifier"] == label && record["enabled"] == true);
            own.map(|record| record["weight"].as_u64().unwrap()).sum::<u64>()
        };
        assert!(on("aws") > 0 && on("aws") == on("aliyun"), "{rule}: exit {code}: {said}");
    }
}

#[test]
fn throttling_is_waited_out_within_the_time_of_the_step() {
    // Longer than any fixed number of attempts lasts.
    for (calls, zone) in [("route53:*", "example.com."), ("alidns:*", "example.cn")] {
        let rule = format!("{{ does: throttle, calls: '{calls}', count: 8 }}");
        let (_, zone, said) = shift(&rule, zone, "pay");
        let weights: Vec<u64> = zone["records"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|record| record["name"].as_str().unwrap().starts_with("pay") && record["enabled"] == true)
            .map(|record| record["weight"].as_u64().unwrap())
            .collect();
        assert!(weights.len() >= 2 && weights.iter().all(|weight| *weight == weights[0] && *weight > 0), "{calls}: {weights:?} {said}");
    }
}
