//! Parameters for every action and every kind of probe: tests that go through the whole catalogue take new words in from here, and they are here by the
//! example that each word's author gives. Only what an example does not do is written below.

use std::collections::BTreeMap;

use lifeboat::catalogue;
use lifeboat::catalogue::examples::lines;
use lifeboat::lab::serve::vars;
use lifeboat::lab::world::file::Blueprint;
use serde_json::{Value, json};

/// Parameters that make an action change something in the shipped world.
pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) with: Value,
}

/// What changes things outside the clouds, where no lab can look: told apart by hand in `catalogue_undo`.
pub(crate) const OUTSIDE: [&str; 2] = ["exec", "http.request"];

/// For actions that have more than one way to change something, and for those whose example changes nothing in a new lab: in the place of the example.
fn others() -> Vec<Sample> {
    let active = |role: &str| json!({ "instances": { "tags": { "role": role, "posture": "active" } } });
    let stages = json!([{ "to": { "aws": 50, "aliyun": 50 }, "hold": "20ms" }]);
    let new_route =
        json!({ "route_table": "rtb-0a11febe0a7b00001", "destination": "10.40.0.0/16", "target": { "interface": "eni-0a11febe0a7000c01" } });
    let led_elsewhere =
        json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": "10.20.0.0/16", "target": { "interface": "eni-0a11febe0a7000c01" } });
    [
        ("aliyun.ecs.stop-instances", active("storefront")),
        ("aws.ec2.replace-route", led_elsewhere),
        ("aws.ec2.replace-route", new_route),
        ("aws.ec2.share-image", json!({ "image": "ami-0a11febe0a7000001", "accounts": ["444455556666", "777788889999"] })),
        ("aws.ec2.stop-instances", active("checkout")),
        ("dns.shift-weight", json!({ "zone": "example.com.", "record": "shop", "to": { "aws": 100, "aliyun": 0 }, "stages": stages })),
        ("dns.shift-weight", json!({ "zone": "example.cn", "record": "shop", "to": { "aws": 100, "aliyun": 0 }, "stages": stages })),
        ("dns.shift-weight", json!({ "zone": "example.com", "record": "pay", "to": { "aws": 30, "aliyun": 70 } })),
        ("dns.shift-weight", json!({ "zone": "example.cn", "record": "pay", "to": { "aws": 30, "aliyun": 70 } })),
        ("dns.shift-weight", json!({ "zone": "example.com", "records": ["shop", "pay"], "to": { "aws": 50, "aliyun": 50 } })),
    ]
    .map(|(kind, with)| Sample { kind, with })
    .into()
}

/// Every action that changes clouds, with parameters.
pub(crate) fn samples() -> Vec<Sample> {
    let others = others();
    let rows = catalogue::actions().iter().filter(|row| row.mutates && !OUTSIDE.contains(&row.kind));
    let by_example = rows.filter(|row| !others.iter().any(|other| other.kind == row.kind));
    let mut samples: Vec<Sample> = by_example.map(|row| Sample { kind: row.kind, with: in_lab(row.example) }).collect();
    samples.extend(others);
    samples.sort_by_key(|sample| sample.kind);
    samples
}

/// What an example says in the lab.
pub(crate) fn in_lab(example: &'static str) -> Value {
    let mut known: BTreeMap<String, String> =
        vars(&Blueprint::shop(), None).iter().filter_map(|(name, value)| Some((format!("vars.{name}"), value.as_str()?.to_owned()))).collect();
    known.insert("env.aliyun.region".to_owned(), "cn-hangzhou".to_owned());
    known.insert("env.aws.region".to_owned(), "us-east-1".to_owned());
    let mut text = lines(example).join("\n");
    assert!(!text.is_empty(), "every word has an EXAMPLE");
    for (name, value) in &known {
        text = text.replace(&format!("${{{{ {name} }}}}"), value);
    }
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
