//! What a report claims: how real the run was, which controls it is evidence for, what stands, what is not recorded.

use serde_json::{from_value, json};

use super::*;
use crate::model::event::samples::{self, Script};
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent};
use crate::model::plan::{Mode, Objective, Plan, Stage};
use crate::model::realism::{Exercise, Realism};
use crate::model::target::{Change, Target, TargetKind};
use crate::report::controls::TABLE;
use crate::report::fields::{Field, Level};
use crate::report::tests::render;

/// The report of a sample run whose plan was another, in both languages.
fn of(mut events: Vec<Event>, change: impl FnOnce(&mut Plan)) -> [String; 2] {
    let Body::Run(RunEvent::Started { plan, .. }) = &mut events[0].body else { panic!("starts") };
    change(plan);
    [Lang::En, Lang::Zh].map(|lang| render(&events, "", lang))
}

/// The line that begins with `head`.
#[track_caller]
fn line<'a>(report: &'a str, head: &str) -> &'a str {
    report.lines().find(|line| line.starts_with(head)).unwrap_or_else(|| panic!("no line `{head}`: {report}"))
}

/// The section with this number.
fn section(report: &str, number: u32) -> String {
    report.split("\n## ").find(|part| part.starts_with(&format!("{number} "))).unwrap_or_default().to_owned()
}

fn every_control() -> Vec<String> {
    let id = |line: &str| Some(line.split('\t').next()?.replacen('-', ":", 1));
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(id).collect()
}

fn declared(exercise: Option<Exercise>, hosts: &[&str]) -> impl FnOnce(&mut Plan) {
    let realism = Realism { declared: exercise, hosts: hosts.iter().map(|host| (*host).to_owned()).collect() };
    move |plan| {
        (plan.mode, plan.realism, plan.controls) = (Mode::Drill, realism, every_control());
        plan.scope = from_value(json!({"env": {"aws": {"account": "111122223333", "region": "us-east-1"}}})).unwrap();
    }
}

#[test]
fn a_run_that_cannot_say_what_it_is_covers_no_control() {
    let [en, zh] = of(samples::success(), declared(None, &[]));
    let controls = section(&en, 7);
    assert_eq!(controls.matches("– not by this exercise").count(), 104);
    assert!(!controls.contains("evidence") && controls.contains("what kind of exercise this was is not recorded"), "{controls}");
    assert_eq!(section(&zh, 7).matches("– 本次演练不覆盖").count(), 104);
    assert!(line(&en, "| **How real**").ends_with("exercise type: not recorded |"), "{en}");
    assert!(section(&en, 8).contains("`exercise.type`"));
    // Neither does a real emergency, which is none.
    let [en, _] = of(samples::emergency(), |plan| plan.controls = every_control());
    assert_eq!(section(&en, 7).matches("– not by this exercise").count(), 104);
    assert!(line(&en, "| **How real**").contains("real failover, no exercise"));
}

#[test]
fn what_is_declared_counts_as_far_as_the_facts_let_it() {
    let [en, zh] = of(samples::success(), declared(Some(Exercise::LiveFull), &[]));
    assert!(line(&en, "| **How real**").contains("`live_full` (as declared for the environment)"), "{en}");
    let controls = section(&en, 7);
    assert!(controls.contains("◐ evidence partial") && section(&zh, 7).contains("◐ 证据不完整"), "{controls}");
    for word in ["full |", "● full", "◐ partial", "– none"] {
        assert!(!controls.contains(word), "{word}: {controls}");
    }
    assert!(!section(&en, 8).contains("`exercise.type`"));
    // An emulator makes it a simulation, whatever the environment says.
    let [en, zh] = of(samples::success(), declared(Some(Exercise::LiveFull), &["aws 127.0.0.1", "aliyun moto"]));
    let how = line(&en, "| **How real**");
    assert!(how.contains("`simulated`: calls went to hosts that are not the clouds' own: `aws 127.0.0.1`, `aliyun moto`"), "{how}");
    assert!(how.contains("declared, and not counted: `live_full`") && zh.contains("申报但不予采信：`live_full`"), "{how}");
    assert!(section(&en, 7).contains("wants an exercise of at least `component`; this was `simulated`"));
    assert!(en.contains("> **Simulated.**") && zh.contains("> **模拟**"));
    // So does the lab.
    let [en, _] = of(samples::success(), |plan| plan.realism.declared = Some(Exercise::Parallel));
    assert!(line(&en, "| **How real**").contains("rehearsed in the lab") && en.contains("declared, and not counted: `parallel`"), "{en}");
}

#[test]
fn a_runbook_that_is_executed_in_the_lab_is_a_rehearsal() {
    let [en, zh] = of(samples::emergency(), |plan| plan.scope = from_value(json!({"env": {"lab": {"embedded": true}}})).unwrap());
    assert!(en.starts_with("# Failover report, rehearsal of an emergency") && zh.starts_with("# 应急切换预演报告"), "{en}");
    assert!(line(&en, "| **How real**").contains("rehearsed in the lab") && en.contains("the runbook alone, no fault was injected"), "{en}");
    for real in ["real failover", "not an exercise", "> **Emergency.**"] {
        assert!(!en.contains(real), "{real}: {en}");
    }
    assert!(!zh.contains("真实切换"), "{zh}");
    let [en, _] = of(samples::emergency(), |plan| plan.realism.hosts.push("aws 10.0.0.1".to_owned()));
    assert!(en.starts_with("# Failover report, rehearsal of an emergency") && en.contains("> **Simulated.**"), "{en}");
}

#[test]
fn a_field_is_written_or_missing_and_never_both() {
    let slo = json!({"rto": "60s", "slo": {"target": 99.9, "window": "30d"}});
    let [with, _] =
        of(samples::success(), |plan| _ = plan.objectives.insert("storefront".to_owned(), serde_json::from_value::<Objective>(slo).unwrap()));
    let [without, _] = of(samples::success(), |_| {});
    assert!(section(&with, 4).contains("Error budget") && !section(&with, 8).contains("`metric.error_budget`"));
    assert!(!section(&without, 4).contains("Error budget") && section(&without, 8).contains("`metric.error_budget`"));
    assert!(!section(&without, 8).contains("`plan.stop_conditions`") && without.contains("Stop conditions: Checkout `checkout` bad ≥ 30s"));
    let [without, _] = of(samples::success(), |plan| plan.stop_conditions.clear());
    assert!(section(&without, 8).contains("`plan.stop_conditions`") && !without.contains("Stop conditions"));
    let [placed, _] = of(samples::success(), |plan| {
        plan.scope = from_value(json!({"env": {"aliyun": {"account": "1234567890123456", "region": "cn-hangzhou"}}})).unwrap();
    });
    assert!(
        line(&placed, "| **Accounts and regions**").contains("aliyun `1234567890123456` `cn-hangzhou`")
            && !section(&placed, 8).contains("`scope.locations`")
    );
    // Every required field is somewhere, whatever the run.
    for events in [samples::success(), samples::failure(), samples::aborted(), samples::emergency()] {
        let report = Report::of(&events, "");
        let held = document::fields(report.en.blocks());
        let markdown = report.markdown(Lang::En);
        for field in Field::ALL.iter().filter(|field| field.level() == Level::Required) {
            assert_ne!(held.contains(field), section(&markdown, 8).contains(&format!("`{}`", field.id())), "{}", field.id());
        }
        assert_eq!(held, document::fields(report.zh.blocks()));
    }
}

#[test]
fn an_alarm_of_the_clouds_that_detects_is_the_monitoring_on_duty() {
    let probe = |on_duty: bool| move |plan: &mut Plan| plan.probes.iter_mut().for_each(|probe| probe.on_duty = on_duty && probe.id == "storefront");
    let [en, zh] = of(samples::success(), probe(true));
    assert!(line(&en, "| Detect |").contains("detected by the monitoring on duty") && line(&zh, "| 检测 |").contains("由值班监控检测"), "{en}");
    let [en, zh] = of(samples::success(), probe(false));
    assert!(line(&en, "| Detect |").contains("not by the monitoring on duty") && line(&zh, "| 检测 |").contains("而非值班监控"), "{en}");
}

#[test]
fn what_stands_is_counted_and_listed_beside_the_verdict_and_never_called_nothing() {
    let emergency = of(samples::emergency(), |_| {});
    assert!(line(&emergency[0], "| **Verdict**").ends_with("· failback not tested · 4 changes stand |"), "{}", emergency[0]);
    assert!(line(&emergency[1], "| **结论**").ends_with("· 未测试回切 · 4 项变更仍然保留 |"), "{}", emergency[1]);
    let listed = line(&emergency[0], "- Shift DNS weights `failover/shift-dns`");
    assert!(listed.contains("weight 0 → 100; kept: in an emergency nothing is undone unasked"), "{listed}");
    // The same of a drill whose failover stays, and of one that was stopped.
    let script = |leave: bool| {
        let mut plan = samples::plan(Mode::Rehearse);
        plan.leave = leave;
        plan.failback = plan.failback.filter(|_| !leave);
        let mut run = Script::new(plan);
        run.at(10).stage(Stage::Failover).started("failover/start-standby", 1);
        run.intended(
            "failover/start-standby",
            "aws.ec2.start-instances",
            json!({}),
            json!({}),
            vec![Target::outside(TargetKind::Instance, "i-1").changing(Change::between("stopped", "running"))],
        );
        run.call("failover/start-standby", crate::model::call::Cloud::Aws, "ec2:StartInstances", true).applied(
            "failover/start-standby",
            1,
            None,
            false,
        );
        if !leave {
            run.run(RunEvent::StopRequested { abort: false, why: "enough".to_owned(), by: "bob".to_owned() });
        }
        run.end()
    };
    for (leave, why, label) in
        [(true, "kept as asked (`--no-failback`)", "stands, as asked"), (false, "kept: the run was stopped", "stands (run stopped)")]
    {
        let [en, zh] = of(script(leave), |_| {});
        assert!(line(&en, "| **Verdict**").ends_with("· failback not tested · 1 change stands |"), "{en}");
        assert!(line(&en, "- Start the standby hosts").contains(why) && en.contains(label), "{en}");
        for nothing in ["Nothing is left over", "everything put back", "nothing is left over"] {
            assert!(!en.contains(nothing), "{nothing}: {en}");
        }
        assert!(zh.contains("1 项变更仍然保留") && !zh.contains("无残留"), "{zh}");
    }
    let [en, _] = of(samples::success(), |_| {});
    assert!(en.contains("Nothing is left over.") && line(&en, "| **Why**").contains("every required step done, everything put back"), "{en}");
    assert!(!line(&en, "| **Verdict**").contains("failback"), "{en}");
}

#[test]
fn what_cannot_be_undone_is_neither_already_as_before_nor_put_back() {
    const NOTIFY: &str = "failover/share-image";
    // The sample run with a command in the place of the image, which nothing can take back.
    let mut events = samples::success();
    let before = events
        .iter()
        .position(|event| matches!(&event.body, Body::Step(step) if step.step == NOTIFY && matches!(step.kind, StepKind::Intended { .. })));
    let mut irrevocable = events[before.unwrap()].clone();
    let Body::Step(step) = &mut irrevocable.body else { panic!("a step") };
    step.kind = StepKind::Irrevocable { what: vec!["what `notify.sh` did".to_owned()], all: true };
    events.insert(before.unwrap(), irrevocable);
    events.retain(|event| !matches!(&event.body, Body::Step(step) if step.step == NOTIFY && matches!(step.kind, StepKind::Call { .. })));
    for event in &mut events {
        if let Body::Step(step) = &mut event.body
            && step.step == NOTIFY
            && matches!(step.kind, StepKind::Undone { .. })
        {
            step.kind = StepKind::NotUndone;
        }
    }
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = index as u64 + 1;
    }
    let [en, zh] = of(events, |_| {});
    let changed = en.lines().any(|line| line.starts_with("| Share the machine image") && line.ends_with("▲ cannot be undone |"));
    assert!(changed, "{en}");
    assert!(line(&en, "- Share the machine image").contains("cannot be undone: what \\`notify.sh\\` did"), "{en}");
    assert!(line(&en, "| **Verdict**").contains("**PASS** · 1 change stands"), "{en}");
    assert!(line(&en, "| **Why**").contains("everything put back but what cannot be undone"), "{en}");
    assert!(!en.contains("Nothing is left over") && !en.contains("nothing is left over"), "{en}");
    assert!(zh.contains("▲ 无法撤销") && zh.contains("除无法撤销者外变更均已还原") && !zh.contains("无残留"), "{zh}");
}
