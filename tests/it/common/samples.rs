//! Parameters for every action that changes something: tests that go through the whole catalogue take new actions in from here.

use serde_json::{Value, json};

/// Parameters that make an action change something in the shipped world.
pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) with: Value,
}

/// Every action that changes clouds, with parameters.
pub(crate) fn samples() -> Vec<Sample> {
    let standby = |role: &str| json!({ "instances": { "tags": { "role": role, "posture": "standby" } } });
    let active = |role: &str| json!({ "instances": { "tags": { "role": role, "posture": "active" } } });
    let route = |key: &str, value: Value| json!({ "route_table": "rtb-0a11febe0a7b00002", "destination": "10.20.0.0/16", key: value });
    let stages = json!([{ "to": { "aws": 50, "aliyun": 50 }, "hold": "20ms" }]);
    let new_route =
        json!({ "route_table": "rtb-0a11febe0a7b00001", "destination": "10.40.0.0/16", "target": { "interface": "eni-0a11febe0a7000c01" } });
    [
        ("aliyun.dts.pause-job", json!({ "job": "dtsorders-primary" })),
        ("aliyun.dts.start-job", json!({ "job": "dtsorders-standby" })),
        ("aliyun.dts.suspend-job", json!({ "job": "dtsorders-primary" })),
        ("aliyun.ecs.start-instances", standby("checkout")),
        ("aliyun.ecs.stop-instances", active("storefront")),
        ("aliyun.region-outage", json!({ "region": "cn-hangzhou", "vpc": "vpc-bp1lifeboat0shop00001" })),
        ("aws.ec2.blackhole-route", route("interface", json!("eni-0a11febe0a75ba4e0"))),
        ("aws.ec2.replace-route", route("target", json!({ "interface": "eni-0a11febe0a7000c01" }))),
        ("aws.ec2.replace-route", new_route),
        ("aws.ec2.share-image", json!({ "image": "ami-0a11febe0a7000001", "accounts": ["444455556666", "777788889999"] })),
        ("aws.ec2.start-instances", standby("storefront")),
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
