//! Streams of events as an engine would write them, for tests: one that goes well, one that fails, one that is aborted, one emergency.

use serde_json::{Value, json};

use super::probe::{ProbeEvent, ProbeKind};
use super::run::RunEvent;
use super::step::{StepEvent, StepKind};
use super::{Body, Event};
use crate::model::call::{Call, Cloud};
use crate::model::failure::{Failure, FailureKind};
use crate::model::format::Format;
use crate::model::order::{Order, Question};
use crate::model::plan::{Mode, Plan, ProbeState, Stage};
use crate::model::target::{Change, Target, TargetKind};
use crate::model::time::{Span, Timestamp};

/// Writes events one after the other; times are milliseconds since the start of the run.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
    epoch: u64,
    now: u64,
    calls: u64,
    /// When each probe had its latest edge.
    edges: std::collections::BTreeMap<String, u64>,
    /// Whether its plan has probes that see the shift.
    sees_shift: bool,
}

/// The moment `ms` milliseconds after the start of every sample run: 2026-11-22 23:27:11 UTC.
pub(crate) fn t(ms: u64) -> Timestamp {
    "2026-11-22T23:27:11Z".parse::<Timestamp>().unwrap().plus(Span::from_millis(ms).duration())
}

impl Script {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut script = Self { epoch: 1, sees_shift: plan.traffic.is_some(), ..Self::default() };
        script.run(RunEvent::Started {
            plan: Box::new(plan),
            plan_sha256: "4be1".repeat(16),
            tool: "0.1.0".to_owned(),
            operator: "mei".to_owned(),
            host: "drill-host".to_owned(),
            clock_error_ms: Some(4.2),
            begun: None,
        });
        script
    }

    /// From here on events happen at `ms`.
    pub(crate) fn at(&mut self, ms: u64) -> &mut Self {
        self.now = ms;
        self
    }

    pub(crate) fn push(&mut self, body: Body) -> &mut Self {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event {
            v: Format::Journal.current(),
            seq,
            run: "20261122-232711-aliyun-region-outage".to_owned(),
            id: format!("00000000-0000-4000-8000-{seq:012}"),
            owner: "drill-host:4711".to_owned(),
            epoch: self.epoch,
            at: t(self.now),
            body,
        });
        self
    }

    pub(crate) fn run(&mut self, event: RunEvent) -> &mut Self {
        if matches!(event, RunEvent::Resumed { .. }) {
            self.epoch += 1;
        }
        self.push(Body::Run(event))
    }

    pub(crate) fn stage(&mut self, stage: Stage) -> &mut Self {
        self.run(RunEvent::Stage { stage })
    }

    pub(crate) fn step(&mut self, step: &str, kind: StepKind) -> &mut Self {
        self.push(Body::Step(StepEvent { step: step.to_owned(), kind }))
    }

    pub(crate) fn started(&mut self, step: &str, attempt: u32) -> &mut Self {
        self.step(step, StepKind::Started { attempt })
    }

    pub(crate) fn intended(&mut self, step: &str, uses: &str, with: Value, before: Value, targets: Vec<Target>) -> &mut Self {
        self.step(step, StepKind::Intended { attempt: 1, uses: uses.to_owned(), with, before, targets })
    }

    pub(crate) fn call(&mut self, step: &str, cloud: Cloud, operation: &str, mutating: bool) -> &mut Self {
        self.calls += 1;
        let region = match cloud {
            Cloud::Aws if operation.starts_with("route53") => "global",
            Cloud::Aws => "us-east-1",
            Cloud::Aliyun if operation.starts_with("alidns") => "global",
            Cloud::Aliyun => "cn-hangzhou",
        };
        let call = Call {
            cloud,
            operation: operation.to_owned(),
            region: region.to_owned(),
            mutating,
            attempt: 1,
            request_id: Some(format!("7a1c6f20-0000-4000-8000-{:012}", self.calls)),
            outcome: "ok".to_owned(),
            elapsed_ms: 31,
        };
        self.step(step, StepKind::Call { call })
    }

    pub(crate) fn applied(&mut self, step: &str, attempt: u32, accepted_ms: Option<u64>, already: bool) -> &mut Self {
        self.step(step, StepKind::Applied { attempt, output: json!({}), already, accepted_ms })
    }

    pub(crate) fn undone(&mut self, step: &str, operation: (Cloud, &str), already: bool) -> &mut Self {
        self.step(step, StepKind::Undoing { attempt: 1 });
        self.now += 300;
        self.call(step, operation.0, operation.1, true);
        self.now += 500;
        self.step(step, StepKind::Undone { already })
    }

    pub(crate) fn probe(&mut self, probe: &str, kind: ProbeKind) -> &mut Self {
        self.push(Body::Probe(ProbeEvent { probe: probe.to_owned(), kind }))
    }

    pub(crate) fn edge(&mut self, probe: &str, to: ProbeState, lo: u64, hi: u64, detail: &str) -> &mut Self {
        // A sample every 200 ms since the edge before.
        let since = self.edges.insert(probe.to_owned(), hi).unwrap_or(0);
        let after = u32::try_from(lo.saturating_sub(since) / 200 + 1).unwrap();
        self.at(hi).probe(probe, ProbeKind::Edge { to, lo: t(lo), hi: t(hi), likely: None, after, detail: detail.to_owned() })
    }

    pub(crate) fn changed(&mut self, probe: &str, state: ProbeState, detail: &str) -> &mut Self {
        self.probe(probe, ProbeKind::Changed { state, detail: detail.to_owned() })
    }

    pub(crate) fn reading(&mut self, probe: &str, state: ProbeState, value: Value) -> &mut Self {
        let sent = t(self.now.saturating_sub(8));
        let done = t(self.now);
        self.probe(probe, ProbeKind::Reading { sent, done, state: Some(state), value })
    }

    pub(crate) fn tally(&mut self, probe: &str, from: u64, to: u64, [good, bad, unknown, late]: [u64; 4]) -> &mut Self {
        let untold = (unknown > 0).then(|| t(from));
        self.probe(probe, ProbeKind::Tally { from: t(from), to: t(to), good, bad, unknown, late, missed: 0, told: Some(t(to)), untold })
    }

    /// Puts the events into the order of their times; those of one time stay as they are.
    fn sort(&mut self) {
        self.events.sort_by_key(|event| event.at);
        for (event, seq) in self.events.iter_mut().zip(1_u64..) {
            (event.seq, event.id) = (seq, format!("00000000-0000-4000-8000-{seq:012}"));
        }
    }

    /// The last event, with the verdict that follows from the others.
    pub(crate) fn end(&mut self) -> Vec<Event> {
        let (verdict, reasons) = crate::model::measure::verdict(&self.events);
        self.run(RunEvent::Ended { verdict, reasons });
        std::mem::take(&mut self.events)
    }
}

/// The plan of the sample runs: the shop's storefront on Alibaba, its standby on AWS.
pub(crate) fn plan(mode: Mode) -> Plan {
    let mut plan = json!({
        "version": 1,
        "name": "aliyun-region-outage",
        "title": {"en": "Alibaba Cloud region outage", "zh": "阿里云区域中断"},
        "description": {"en": "The whole region cn-hangzhou stops answering.", "zh": "杭州区域整体不可达。"},
        "mode": mode,
        "environment": "lab",
        "zone": "Asia/Shanghai",
        "scope": {},
        "objectives": {"orders": {"rpo": "5s"}, "storefront": {"rto": "60s", "rto_cached": "90s"}},
        "controls": ["iso-22301:8.5", "soc2:A1.3", "mlps-2.0:8.1.10.13"],
        "probes": [
            {"id": "checkout", "title": {"en": "Checkout", "zh": "结算"}, "uses": "http", "with": {}, "every": "200ms", "timeout": "1s", "bad_after": 3, "good_after": 5, "service": true, "clients": ["resolves-anew"]},
            {"id": "orders", "title": {"en": "Orders in sync", "zh": "订单同步"}, "uses": "sync.lag", "with": {}, "every": "500ms", "timeout": "2s", "bad_after": 2, "good_after": 2, "service": false},
            {"id": "storefront", "title": {"en": "Storefront", "zh": "商城首页"}, "uses": "http", "with": {}, "every": "200ms", "timeout": "1s", "bad_after": 3, "good_after": 5, "service": true, "clients": ["resolves-anew"]}
        ],
        "steady_state": {"probes": ["storefront", "orders"], "hold": "3s", "timeout": "30s"},
        "fault": {"uses": "aliyun.region-outage", "with": {"region": "cn-hangzhou", "vpc": "vpc-bp1"}, "lease": "2m", "timeout": "1m"},
        "detect": {"probe": "storefront", "timeout": "60s"},
        "failover": {
            "file": "../runbooks/fail-over-to-aws.yaml",
            "title": {"en": "Fail over to AWS", "zh": "切换到 AWS"},
            "parameters": {"service": "storefront"},
            "steps": [
                step("share-image", json!({"en": "Share the machine image", "zh": "共享镜像"}), "aws.ec2.share-image", &[], false),
                step("start-standby", json!({"en": "Start the standby hosts", "zh": "启动备用主机"}), "aws.ec2.start-instances", &[], true),
                step("shift-dns", json!({"en": "Shift DNS weights", "zh": "调整 DNS 权重"}), "dns.shift-weight", &["start-standby"], true),
                step("watch-recovery", json!({}), "wait-for", &["shift-dns"], true)
            ]
        },
        "recovered": {"probes": ["storefront"], "stable_for": "10s", "timeout": "1m"},
        "failback": {
            "file": "../runbooks/fail-back-to-aliyun.yaml",
            "title": {"en": "Fail back to Alibaba Cloud", "zh": "回切到阿里云"},
            "parameters": {},
            "steps": [
                step("shift-back", json!({"en": "Shift DNS weights back", "zh": "恢复 DNS 权重"}), "dns.shift-weight", &[], true),
                step("stop-standby", json!({"en": "Stop the standby hosts", "zh": "停止备用主机"}), "aws.ec2.stop-instances", &["shift-back"], false)
            ]
        },
        "stop_conditions": [{"probe": "checkout", "is": "bad", "lasts": "30s"}],
        "definitions": [
            {"path": "scenarios/aliyun-region-outage.yaml", "sha256": "1f".repeat(32)},
            {"path": "runbooks/fail-over-to-aws.yaml", "sha256": "2e".repeat(32)},
            {"path": "runbooks/fail-back-to-aliyun.yaml", "sha256": "3d".repeat(32)}
        ]
    });
    if mode == Mode::Emergency {
        for key in ["fault", "detect", "steady_state", "failback"] {
            plan[key] = Value::Null;
        }
        plan["environment"] = json!("production");
        plan["since"] = json!("2026-11-22T23:20:00Z");
    }
    serde_json::from_value(plan).unwrap()
}

fn step(id: &str, title: Value, uses: &str, needs: &[&str], critical: bool) -> Value {
    json!({"id": id, "title": title, "uses": uses, "with": {}, "needs": needs, "timeout": "5m",
        "retry": {"attempts": 3, "backoff": "2s"}, "on_failure": "stop", "critical": critical})
}

/// Up to the end of the stage `inject`: the region is dead at 5.3 s, the storefront since 4.6–5.0 s.
fn injected(plan: Plan) -> Script {
    let mut script = Script::new(plan);
    script.at(10).stage(Stage::SteadyState);
    for probe in ["checkout", "storefront"] {
        script.at(1000).changed(probe, ProbeState::Good, "200 in 3 ms");
    }
    script.at(1100).changed("orders", ProbeState::Good, "lag 0.4 s");
    script.at(4000).reading("orders", ProbeState::Good, json!({"lag_ms": 400, "missing": 0}));
    shift_seen(&mut script, 4050, 0.0, [false, false]);
    for (probe, good) in [("checkout", 20), ("orders", 8), ("storefront", 20)] {
        script.at(4100).tally(probe, 10, 4100, [good, 0, 0, 0]);
    }
    script.stage(Stage::Inject).started("fault", 1).at(4120).call("fault", Cloud::Aliyun, "vpc:DescribeNetworkAcls", false);
    script.at(4150).intended(
        "fault",
        "aliyun.region-outage",
        json!({"region": "cn-hangzhou", "vpc": "vpc-bp1"}),
        json!({"acls": {"vsw-1": "nacl-default"}}),
        vec![
            Target::outside(TargetKind::Region, "cn-hangzhou").changing(Change::between("answering", "cut off")),
            Target::outside(TargetKind::Vswitch, "vsw-1").changing(Change::between("nacl-default", "nacl-deny")),
        ],
    );
    script.at(4400).call("fault", Cloud::Aliyun, "vpc:CreateNetworkAcl", true).at(4600).call("fault", Cloud::Aliyun, "vpc:AssociateNetworkAcl", true);
    script.edge("storefront", ProbeState::Bad, 4605, 5010, "connection refused");
    script.at(5300).applied("fault", 1, Some(500), false);
    script
}

/// Detection by the storefront's own probe and the automatic decision.
fn decided() -> Script {
    decided_as(plan(Mode::Rehearse))
}

fn decided_as(plan: Plan) -> Script {
    let mut script = injected(plan);
    script.at(5310).stage(Stage::Detect).at(5410).changed("storefront", ProbeState::Bad, "connection refused");
    script.at(5420).stage(Stage::Decide).at(5430).run(RunEvent::Decided { by: "automation".to_owned(), basis: "probe storefront is bad".to_owned() });
    script.at(5440).stage(Stage::Failover);
    script
}

/// The failover's first two steps.
fn standby_started(script: &mut Script) {
    script.at(5450).started("failover/share-image", 1).started("failover/start-standby", 1);
    script.at(5480).intended(
        "failover/share-image",
        "aws.ec2.share-image",
        json!({"image": "ami-1"}),
        json!({"shared": []}),
        vec![Target::outside(TargetKind::Image, "ami-1").changing(Change::read("shared with 444455556666"))],
    );
    script.at(5500).intended(
        "failover/start-standby",
        "aws.ec2.start-instances",
        json!({"instances": ["i-1", "i-2"]}),
        json!({"running": []}),
        vec![
            Target::outside(TargetKind::Instance, "i-1").changing(Change::between("stopped", "running")),
            Target::outside(TargetKind::Instance, "i-2").changing(Change::between("stopped", "running")),
        ],
    );
    script.at(5520).call("failover/share-image", Cloud::Aws, "ec2:ModifyImageAttribute", true).at(5600).applied(
        "failover/share-image",
        1,
        Some(80),
        false,
    );
    script.at(5620).call("failover/start-standby", Cloud::Aws, "ec2:StartInstances", true);
}

/// A rehearsal that goes well: storefront down for 13 s, three orders behind at the worst, everything put back.
pub(crate) fn success() -> Vec<Event> {
    recovered_as(plan(Mode::Rehearse))
}

/// The same, with one probe that reads where the requests go and one that asks three name servers, of which the last is stale to the end.
pub(crate) fn shifted() -> Vec<Event> {
    let mut plan = plan(Mode::Rehearse);
    plan.traffic = Some("share".to_owned());
    for (id, uses) in [("names", "dns"), ("share", "http.share")] {
        let probe = json!({"id": id, "uses": uses, "with": {}, "every": "1s", "timeout": "2s", "bad_after": 3, "good_after": 3, "service": false});
        plan.probes.push(serde_json::from_value(probe).unwrap());
    }
    plan.probes.sort_by(|one, other| one.id.cmp(&other.id));
    recovered_as(plan)
}

/// What the probes of [`shifted`] read; nothing in other stories.
fn shift_seen(script: &mut Script, at: u64, share: f64, [ns, resolver]: [bool; 2]) {
    if !script.sees_shift {
        return;
    }
    let state = |good| if good { ProbeState::Good } else { ProbeState::Bad };
    let server = |new: bool, ttl: u64| json!({"as_expected": new, "answer": [if new { "198.51.100.11" } else { "203.0.113.11" }], "ttl_s": ttl});
    let servers =
        json!({"ns1.example.com 192.0.2.1:53": server(ns, 60), "198.18.0.53:53": server(resolver, 20), "198.18.0.54:53": server(false, 41)});
    script.at(at).reading("names", ProbeState::Bad, json!({ "servers": servers })).reading("share", state(share >= 0.95), json!({ "share": share }));
}

fn recovered_as(plan: Plan) -> Vec<Event> {
    let mut script = decided_as(plan);
    standby_started(&mut script);
    script.at(5630).step(
        "failover/start-standby",
        StepKind::AttemptFailed {
            attempt: 1,
            failure: Failure { retry: true, ..Failure::new(FailureKind::Cloud, "ec2:StartInstances: RequestLimitExceeded") },
            retry_in_ms: Some(2000),
        },
    );
    // Read twice a second; the standby job catches up at the end.
    for at in (4500..7000).step_by(500) {
        script.at(at).reading("orders", ProbeState::Good, json!({"lag_ms": at - 4100, "missing": 1}));
    }
    script.edge("orders", ProbeState::Bad, 6492, 7000, "lag 2.4 s").reading("orders", ProbeState::Bad, json!({"lag_ms": 2400, "missing": 3}));
    for at in (7500..20_000).step_by(500) {
        script.at(at).reading("orders", ProbeState::Bad, json!({"lag_ms": 2300, "missing": 3}));
    }
    script.at(7500).changed("orders", ProbeState::Bad, "lag 2.3 s");
    script.at(7640).started("failover/start-standby", 2).at(7700).call("failover/start-standby", Cloud::Aws, "ec2:StartInstances", true);
    script.at(13_700).applied("failover/start-standby", 2, Some(70), false);
    script.at(13_710).started("failover/shift-dns", 1).at(13_730).intended(
        "failover/shift-dns",
        "dns.shift-weight",
        json!({"zone": "shop.example.com.", "record": "shop", "to": {"aws": 100, "aliyun": 0}}),
        json!([{"label": "aws", "weight": 0, "ttl": 60}, {"label": "aliyun", "weight": 100, "ttl": 60}]),
        vec![
            Target::outside(TargetKind::Record, "shop.example.com. aws").changing(Change::between("weight 0", "100")),
            Target::outside(TargetKind::Record, "shop.example.com. aliyun").changing(Change::between("weight 100", "0")),
        ],
    );
    script.at(13_800).call("failover/shift-dns", Cloud::Aws, "route53:ChangeResourceRecordSets", true);
    shift_seen(&mut script, 14_800, 0.35, [true, false]);
    shift_seen(&mut script, 15_800, 0.8, [true, false]);
    script.at(16_100).applied("failover/shift-dns", 1, Some(90), false);
    shift_seen(&mut script, 16_105, 0.95, [true, true]);
    script.at(16_110).started("failover/watch-recovery", 1);
    shift_seen(&mut script, 17_000, 1.0, [true, true]);
    script.edge("storefront", ProbeState::Good, 17_605, 18_010, "200 in 3 ms").at(18_810).changed("storefront", ProbeState::Good, "200 in 4 ms");
    script.at(18_820).applied("failover/watch-recovery", 1, None, false).at(18_830).stage(Stage::Verify);
    script.edge("orders", ProbeState::Good, 19_492, 20_000, "lag 0.3 s").reading("orders", ProbeState::Good, json!({"lag_ms": 300, "missing": 0}));
    for at in (20_500..28_000).step_by(500) {
        script.at(at).reading("orders", ProbeState::Good, json!({"lag_ms": 300, "missing": 0}));
    }
    script.at(20_500).changed("orders", ProbeState::Good, "lag 0.3 s");
    shift_seen(&mut script, 21_000, 1.0, [true, true]);
    tallies(&mut script, 28_020, [120, 0, 0, 0], [21, 26, 1, 0], [55, 65, 0, 1]);
    script.stage(Stage::Failback).undone("fault", (Cloud::Aliyun, "vpc:AssociateNetworkAcl"), false);
    script.at(29_000).started("failback/shift-back", 1).at(29_010).intended(
        "failback/shift-back",
        "dns.shift-weight",
        json!({"zone": "shop.example.com.", "record": "shop", "to": {"aws": 0, "aliyun": 100}}),
        json!({"aws": 100, "aliyun": 0}),
        vec![Target::outside(TargetKind::Record, "shop.example.com. aws").changing(Change::between("weight 100", "0"))],
    );
    script.at(29_100).call("failback/shift-back", Cloud::Aws, "route53:ChangeResourceRecordSets", true).at(31_000).applied(
        "failback/shift-back",
        1,
        Some(90),
        false,
    );
    script.at(31_010).started("failback/stop-standby", 1).intended(
        "failback/stop-standby",
        "aws.ec2.stop-instances",
        json!({"instances": ["i-1"]}),
        json!({"running": []}),
        vec![Target::outside(TargetKind::Instance, "i-1")],
    );
    script.at(31_020).applied("failback/stop-standby", 1, None, true);
    script.at(31_100).stage(Stage::Cleanup);
    script.at(32_000).undone("failover/shift-dns", (Cloud::Aws, "route53:ChangeResourceRecordSets"), true);
    script.at(33_000).undone("failover/start-standby", (Cloud::Aws, "ec2:StopInstances"), false);
    script.at(34_000).undone("failover/share-image", (Cloud::Aws, "ec2:ModifyImageAttribute"), false);
    script.sort();
    script.at(35_000).end()
}

/// A rehearsal in which the standby cannot be started and one thing cannot be put back.
pub(crate) fn failure() -> Vec<Event> {
    let mut script = decided();
    standby_started(&mut script);
    let denied = Failure {
        causes: vec!["UnauthorizedOperation | no\npermission".to_owned()],
        ..Failure::new(FailureKind::Cloud, "ec2:StartInstances was refused")
    };
    script.at(5700).step("failover/start-standby", StepKind::AttemptFailed { attempt: 1, failure: denied.clone(), retry_in_ms: None });
    script.at(5710).step("failover/start-standby", StepKind::Failed { failure: denied });
    for step in ["failover/shift-dns", "failover/watch-recovery"] {
        script.step(step, StepKind::Skipped { why: "start-standby failed".to_owned() });
    }
    script.at(66_000).reading("orders", ProbeState::Bad, json!({"lag_ms": 61_000, "missing": 40}));
    tallies(&mut script, 66_100, [300, 0, 0, 0], [80, 40, 0, 0], [0, 305, 2, 0]);
    script.stage(Stage::Cleanup).undone("fault", (Cloud::Aliyun, "vpc:AssociateNetworkAcl"), false);
    script.edge("storefront", ProbeState::Good, 67_600, 68_010, "200 in 5 ms").at(68_810).changed("storefront", ProbeState::Good, "200 in 5 ms");
    for step in ["failback/shift-back", "failback/stop-standby"] {
        script.step(step, StepKind::Skipped { why: "the failover failed".to_owned() });
    }
    script.at(69_000).undone("failover/start-standby", (Cloud::Aws, "ec2:StopInstances"), true);
    script.at(70_000).step("failover/share-image", StepKind::Undoing { attempt: 1 });
    let conflict = Failure::new(
        FailureKind::Conflict,
        "image ami-1 was changed by someone else: expected shared with 444455556666, found private; left as it is",
    );
    script.at(70_500).step("failover/share-image", StepKind::UndoFailed { failure: conflict });
    script.at(71_000).end()
}

/// A rehearsal that somebody interrupts while the standby starts; the run is taken over by `abort`.
pub(crate) fn aborted() -> Vec<Event> {
    let mut script = decided();
    standby_started(&mut script);
    script.at(8000).run(RunEvent::StopRequested { abort: true, why: "interrupted from the keyboard".to_owned(), by: "signal".to_owned() });
    script.at(8010).step("failover/start-standby", StepKind::Failed { failure: Failure::new(FailureKind::Cancelled, "cut off by the abort") });
    for step in ["failover/shift-dns", "failover/watch-recovery", "failback/shift-back", "failback/stop-standby"] {
        script.step(step, StepKind::Skipped { why: "the run was aborted".to_owned() });
    }
    tallies(&mut script, 8020, [20, 0, 0, 0], [6, 2, 0, 0], [5, 15, 0, 0]);
    script.stage(Stage::Cleanup).step("fault", StepKind::Undoing { attempt: 1 });
    script.at(20_000).run(RunEvent::Resumed { to: "abort".to_owned(), by: "mei".to_owned(), patience: None, tool: String::new() }).undone(
        "fault",
        (Cloud::Aliyun, "vpc:AssociateNetworkAcl"),
        true,
    );
    script.edge("storefront", ProbeState::Good, 20_500, 20_900, "200 in 5 ms");
    script.at(21_000).undone("failover/start-standby", (Cloud::Aws, "ec2:StopInstances"), false);
    script.at(22_000).undone("failover/share-image", (Cloud::Aws, "ec2:ModifyImageAttribute"), false);
    script.at(23_000).end()
}

/// A drill in which people are asked, answer, steer and take over; waited for in seconds from 10 on.
pub(crate) fn steered() -> Vec<Event> {
    let mut plan = plan(Mode::Drill);
    plan.limits.patience = Span::from_secs(60);
    let mut script = Script::new(plan);
    let (share, start) = ("failover/share-image", "failover/start-standby");
    let asked = || StepKind::Asked { question: Question { text: "Share the image?".to_owned(), approvers: 2, ..Question::default() } };
    let hand = || StepKind::Asked { question: Question { text: "Start them".to_owned(), manual: true, starter: true, ..Question::default() } };
    let answered = |yes: bool, by: &str, note: &str| StepKind::Answered {
        yes,
        by: by.to_owned(),
        note: note.to_owned(),
        simulated: false,
        witness: Default::default(),
    };
    let ordered = |order: Order, by: &str, why: &str| RunEvent::Ordered { order, by: by.to_owned(), why: why.to_owned() };
    let failed = |kind: FailureKind, message: &str| Failure::new(kind, message);
    script.at(10).stage(Stage::Decide).run(RunEvent::Decided { by: "automation".to_owned(), basis: "the fault is active".to_owned() });
    script.stage(Stage::Failover).at(10_000).started(share, 1).step(share, asked());
    script.at(12_000).run(ordered(Order::Pause, "bob", "lunch | really"));
    script.at(16_000).run(ordered(Order::Unpause, "bob", "")).step(share, answered(true, "bob", ""));
    script.at(20_000).step(share, answered(false, "eve", "not on a Friday"));
    let no = || failed(FailureKind::Check, "eve said no: not on a Friday");
    script.step(share, StepKind::AttemptFailed { attempt: 1, failure: no(), retry_in_ms: None }).step(share, StepKind::Failed { failure: no() });
    script.at(25_000).run(ordered(Order::Retry { step: share.to_owned() }, "mei", "eve was asked")).at(26_000).started(share, 2).step(share, asked());
    script.at(27_000).step(share, answered(true, "bob", "")).at(29_000).step(share, answered(true, "dan", "given beforehand"));
    script.applied(share, 2, None, false).at(30_000).started(start, 1).step(start, hand());
    let late = || failed(FailureKind::Timeout, "not done within 9s");
    script.at(39_000).step(start, StepKind::AttemptFailed { attempt: 1, failure: late(), retry_in_ms: None });
    script.step(start, StepKind::Failed { failure: late() });
    script.at(41_000).run(ordered(Order::Skip { step: start.to_owned() }, "mei", "they run already"));
    script.step(start, StepKind::Skipped { why: "mei: they run already".to_owned() });
    script.at(61_000).run(RunEvent::Resumed { to: "resume".to_owned(), by: "carl".to_owned(), patience: None, tool: String::new() });
    script.at(62_000).run(ordered(Order::Ungraceful, "carl", "no answer from there"));
    script.at(70_000).run(RunEvent::StopRequested { abort: true, why: "signal SIGTERM".to_owned(), by: "signal".to_owned() });
    script.stage(Stage::Cleanup).at(80_000).end()
}

/// An emergency: no fault, the storefront is down when it begins, nothing is undone.
pub(crate) fn emergency() -> Vec<Event> {
    let mut script = Script::new(plan(Mode::Emergency));
    script.at(10).stage(Stage::Decide).run(RunEvent::Decided { by: "mei".to_owned(), basis: "execute".to_owned() });
    script.at(20).stage(Stage::Failover);
    // The first sample was bad: its own times are all that is known.
    script.edge("storefront", ProbeState::Bad, 100, 180, "connection refused").at(600).changed("storefront", ProbeState::Bad, "connection refused");
    script.at(640).changed("checkout", ProbeState::Good, "200 in 3 ms");
    script.at(5450);
    standby_started(&mut script);
    script.at(12_000).applied("failover/start-standby", 1, Some(170), false);
    script.at(12_010).started("failover/shift-dns", 1).at(12_030).intended(
        "failover/shift-dns",
        "dns.shift-weight",
        json!({"zone": "shop.example.com."}),
        json!([{"label": "aws", "weight": 0, "ttl": 60}, {"label": "aliyun", "weight": 100, "ttl": 60}]),
        vec![Target::outside(TargetKind::Record, "shop.example.com. aws").changing(Change::between("weight 0", "100"))],
    );
    script.at(12_100).call("failover/shift-dns", Cloud::Aws, "route53:ChangeResourceRecordSets", true).at(14_000).applied(
        "failover/shift-dns",
        1,
        Some(90),
        false,
    );
    script.at(14_010).started("failover/watch-recovery", 1);
    script.edge("storefront", ProbeState::Good, 15_605, 16_010, "200 in 3 ms").at(16_810).changed("storefront", ProbeState::Good, "200 in 4 ms");
    script.at(16_820).applied("failover/watch-recovery", 1, None, false).stage(Stage::Verify);
    tallies(&mut script, 26_100, [130, 0, 0, 0], [52, 0, 0, 0], [51, 79, 0, 0]);
    script.run(RunEvent::Kept {
        same: ["failover/share-image", "failover/shift-dns", "failover/start-standby"].map(str::to_owned).to_vec(),
        moved: Vec::new(),
    });
    script.end()
}

/// An emergency of which a controller put the weights back before its end, and one step could not be read again.
pub(crate) fn put_back_by_others() -> Vec<Event> {
    let mut events = emergency();
    let moved = |step: &str, what: &str, before: &str, after: &str| crate::model::event::run::Difference {
        step: step.to_owned(),
        what: what.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    };
    for event in &mut events {
        if let Body::Run(RunEvent::Kept { same, moved: found }) = &mut event.body {
            same.clear();
            found.push(moved("failover/shift-dns", "record shop.example.com. aws", "100", "weight 0"));
            found.push(moved("failover/start-standby", "", "", "cannot be read: no answer"));
        }
    }
    let last = events.pop().expect("a run has an end");
    let (verdict, reasons) = crate::model::measure::verdict(&events);
    events.push(Event { body: Body::Run(RunEvent::Ended { verdict, reasons }), ..last });
    events
}

/// One tally for each probe from the last one to `to`.
fn tallies(script: &mut Script, to: u64, checkout: [u64; 4], orders: [u64; 4], storefront: [u64; 4]) {
    let from = script
        .events
        .iter()
        .rev()
        .find_map(|event| match &event.body {
            Body::Probe(ProbeEvent { kind: ProbeKind::Tally { to, .. }, .. }) => Some(u64::try_from(to.nanos_since(t(0)) / 1_000_000).unwrap()),
            _ => None,
        })
        .unwrap_or(0);
    for (probe, counts) in [("checkout", checkout), ("orders", orders), ("storefront", storefront)] {
        script.at(to).tally(probe, from, to, counts);
    }
}
