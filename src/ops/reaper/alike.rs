//! A run, a dry run and the reaper refuse the same parameters in the same words.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::undo::known;
use crate::catalogue;
use crate::engine::clock::RunClock;
use crate::engine::gatekeeper::Unguarded;
use crate::engine::lease::{Mark, NoMarks};
use crate::engine::record::Recorder;
use crate::engine::shell::{self, Begin, Setup};
use crate::journal::FileStore;
use crate::model::chain;
use crate::model::credentials::has_reference;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent, samples};
use crate::model::plan::{ForEach, Mode, Plan, Verdict};
use crate::model::time::Timestamp;
use crate::ops::dry_run::dry_run;
use crate::ports::gate::Gate;
use crate::ports::secrets;
use crate::ports::store::Owner;
use crate::world::World;
use crate::world::settings::Settings;

const FAULT: &str = "aliyun.region-outage";

/// An emergency of one step.
fn plan(uses: &str, with: &Value) -> Plan {
    let mut plan = samples::plan(Mode::Emergency);
    plan.probes.clear();
    plan.objectives.clear();
    plan.stop_conditions.clear();
    (plan.fault, plan.steady_state, plan.detect, plan.recovered, plan.failback, plan.source) = (None, None, None, None, None, None);
    let step = &mut plan.failover.steps[0];
    (step.uses, step.with, step.retry, step.when, step.for_each) = (uses.into(), with.clone(), Default::default(), None, None);
    step.needs.clear();
    plan.failover.steps.truncate(1);
    plan
}

/// Why the step of a real run failed.
async fn run(plan: &Plan, world: &Arc<World>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(FileStore::new(folder.path(), false));
    let owner = Owner { token: "t".into(), epoch: 1 };
    store.create("r", &owner).unwrap();
    let clock = RunClock::start();
    let (_keep, orders) = mpsc::unbounded_channel();
    let setup = Setup {
        opening: RunEvent::Started {
            plan: Box::new(plan.clone()),
            plan_sha256: String::new(),
            tool: String::new(),
            operator: String::new(),
            host: String::new(),
            clock_error_ms: None,
            begun: None,
        },
        plan: Arc::new(plan.clone()),
        actions: catalogue::actions(),
        probes: catalogue::probes(),
        mutates: |_| true,
        world: Arc::clone(world),
        probe_world: Arc::clone(world),
        samples: None,
        clock,
        recorder: Recorder::new(store.clone(), owner, "r".into(), clock, 0, chain::genesis("r"), Box::new(|_| {})),
        begin: Begin::Fresh,
        starter: "ann".into(),
        orders,
        marker: Arc::new(NoMarks),
        gatekeeper: Arc::new(Unguarded),
        approved: Vec::new(),
        beside: None,
        closing: Box::new(Vec::new),
        judge: Box::new(|| (Verdict::Fail, Vec::new())),
    };
    shell::run(setup).await.unwrap();
    let events = crate::ops::runs::read(&store, "r").unwrap().events;
    let failed = events.into_iter().find_map(|event| match event.body {
        Body::Step(step) => match step.kind {
            StepKind::Failed { failure } => Some(failure.to_string()),
            _ => None,
        },
        _ => None,
    });
    failed.expect("the step fails")
}

/// As the journal has them: other tests make secrets known to this process, of which one may be a word of these.
fn masked<const N: usize>(texts: [String; N]) -> [String; N] {
    let all = secrets::masked(&texts.join("\n")).into_owned();
    let lines: Vec<String> = all.lines().map(str::to_owned).collect();
    lines.try_into().expect("no text has a line break")
}

#[tokio::test]
async fn what_does_not_fit_is_refused_alike_by_whoever_reads_it() {
    let world = Arc::new(World::connect(&Settings::default(), &Gate::default()).await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "alike-canary-0123456789").unwrap();
    let secret = json!({ "secret": format!("file:{}", file.path().display()) });
    let nowhere = json!({ "secret": "env:LIFEBOAT_NO_SUCH_VARIABLE" });
    for (uses, with, part) in [
        ("aliyun.turn-off", json!({}), "this Lifeboat knows no action `aliyun.turn-off`"),
        (FAULT, json!({ "region": "cn-hangzhou" }), "missing field `vpc`"),
        (FAULT, json!({ "region": "cn-hangzhou", "vpc": "vpc-1", "vpcs": "b" }), "unknown field `vpcs`"),
        (FAULT, json!({ "region": 7, "vpc": "vpc-1" }), "region: invalid type"),
        (FAULT, json!({ "region": "cn-hangzhou", "vpc": secret }), "vpc: a secret must not decide this"),
        ("exec", json!({ "command": ["/bin/true", secret] }), "a secret"),
        (
            "exec",
            json!({ "command": ["/bin/true"], "env": { "TOKEN": nowhere } }),
            "secret `env:LIFEBOAT_NO_SUCH_VARIABLE`: this environment variable",
        ),
        ("exec", json!({ "command": ["/bin/true"], "env": secret }), "env: does not fit (not shown: the parameters hold a secret)"),
    ] {
        let plan = plan(uses, &with);
        let foretold = dry_run(&plan, &world, None).await;
        let mark =
            Mark { run: "r".into(), step: "fault".into(), until: Timestamp::from_nanos(0), uses: uses.into(), with: with.clone(), before: json!({}) };
        let reaped = known(&mark).err().unwrap_or_else(|| panic!("{uses} {with} is taken for a fault"));
        let told = foretold.steps[0].unknown.clone().unwrap_or_default();
        assert_eq!(foretold.possible().unwrap_err().causes, [format!("{}: {told}", foretold.steps[0].step)]);
        let [ran, told, reaped, part] = masked([run(&plan, &world).await, told, reaped, part.to_owned()]);
        assert!(ran.contains(&part) && !ran.contains("canary"), "{uses} {with}: {ran}");
        assert_eq!(told, ran, "{uses} {with}");
        match (uses, has_reference(&with)) {
            // Stricter: a mark may name faults only, and no secret at all.
            ("exec", _) => assert_eq!(reaped, "`exec` is no fault"),
            (_, true) => assert!(reaped.starts_with("it refers to a "), "{reaped}"),
            (_, false) => assert_eq!(reaped, ran, "{uses} {with}"),
        }
    }
}

#[tokio::test]
async fn a_reference_that_an_item_brings_along_is_refused_by_the_plan_as_by_the_run() {
    let world = Arc::new(World::connect(&Settings::default(), &Gate::default()).await);
    let mut plan = plan("exec", &json!({ "command": ["/bin/true"], "env": { "TOKEN": "${{ item }}" } }));
    plan.failover.steps[0].for_each = Some(ForEach { items: json!([{ "secret": "env:PATH" }]), concurrency: 1 });
    let told = dry_run(&plan, &world, None).await.steps[0].unknown.clone().unwrap_or_default();
    let [ran, told] = masked([run(&plan, &world).await, told]);
    assert!(ran.contains("came out of what an earlier step gave"), "{ran}");
    assert_eq!(told, ran);
}
