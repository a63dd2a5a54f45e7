//! What is never a plain pass, and what of a run's changes stands.

use serde_json::json;

use super::*;
use crate::model::call::Cloud;
use crate::model::event::run::Lack;
use crate::model::event::samples::{self, Script, plan};
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent, StepEvent};
use crate::model::failure::Failure;
use crate::model::measure::{Stands, standing};
use crate::model::order::Question;
use crate::model::phrases::phrase;
use crate::model::plan::Mode;
use crate::model::target::{Change, Target, TargetKind};
use crate::model::text::Lang;

/// The verdict of a sample run whose plan was another.
fn of(mut events: Vec<Event>, change: impl FnOnce(&mut Plan)) -> (Verdict, Vec<String>) {
    let Body::Run(RunEvent::Started { plan, .. }) = &mut events[0].body else { panic!("starts") };
    change(plan);
    // It is judged before its end.
    events.retain(|event| !matches!(event.body, Body::Run(RunEvent::Ended { .. })));
    verdict(&events)
}

#[test]
fn what_a_scenario_does_not_ask_for_was_not_tested() {
    let objective = "there is nothing to judge by: no RTO and no RPO is set";
    for (change, reason) in [
        ((|plan| plan.objectives.clear()) as fn(&mut Plan), objective),
        (
            |plan| {
                let slo = serde_json::from_value(json!({"slo": {"target": 99.9, "window": "30d"}})).unwrap();
                plan.objectives.values_mut().for_each(|objective| *objective = slo);
            },
            objective,
        ),
        (|plan| plan.detect = None, "whether the fault was noticed was not tested: the scenario has no `detect`"),
        (|plan| plan.recovered = None, "recovery was not tested: the scenario has no `recovered`"),
    ] {
        assert_eq!(of(samples::success(), change), (Verdict::Inconclusive, vec![reason.to_owned()]));
    }
    assert_eq!(of(samples::success(), |_| {}).0, Verdict::Pass, "and with all of it, it passes");
    assert_eq!(of(samples::failure(), |plan| plan.objectives.clear()).0, Verdict::Fail, "what failed has failed all the same");
}

/// An emergency whose storefront says these things after the failover of one step; no objective is set, as no runbook can.
fn emergency(seen: &[(ProbeState, u64)]) -> (Verdict, Vec<String>) {
    let mut plan = plan(Mode::Emergency);
    plan.objectives.clear();
    plan.recovered = None;
    plan.failover.steps.truncate(1);
    let mut run = Script::new(plan);
    run.at(10).stage(Stage::Decide).stage(Stage::Failover);
    run.at(200).changed("storefront", ProbeState::Good, "200").changed("checkout", ProbeState::Good, "200");
    for (state, at) in seen {
        run.edge("storefront", *state, at - 200, *at, "x").at(at + 100).changed("storefront", *state, "x");
    }
    run.at(20_000).started("failover/share-image", 1).applied("failover/share-image", 1, None, false).stage(Stage::Verify);
    run.at(30_000).tally("storefront", 10, 30_000, [100, 20, 0, 0]);
    verdict(&run.events)
}

#[test]
fn an_emergency_is_judged_by_what_was_down() {
    use ProbeState::{Bad, Good};
    assert_eq!(emergency(&[]), (Verdict::Inconclusive, vec!["there is nothing to judge: no probe was confirmed down".to_owned()]));
    assert_eq!(emergency(&[(Bad, 1000), (Good, 9000)]), (Verdict::Pass, Vec::new()));
    assert_eq!(emergency(&[(Bad, 1000)]), (Verdict::Fail, vec!["storefront was down and still is".to_owned()]));
    assert_eq!(emergency(&[(Bad, 1000), (Good, 9000), (Bad, 12_000)]).0, Verdict::Fail);
}

/// An emergency without a probe that runs one step of `uses`, which was `already` so or not, with what was read once more of it.
fn unwatched(uses: &str, already: bool, kept: Option<RunEvent>) -> (Verdict, Vec<String>) {
    let mut plan = plan(Mode::Emergency);
    plan.objectives.clear();
    plan.probes.clear();
    plan.recovered = None;
    plan.failover.steps.truncate(1);
    plan.failover.steps[0].uses = uses.into();
    let mut run = Script::new(plan);
    run.at(10).stage(Stage::Decide).stage(Stage::Failover);
    run.at(200).started("failover/share-image", 1).intended("failover/share-image", uses, json!({}), json!({}), Vec::new());
    run.at(300).applied("failover/share-image", 1, None, already).stage(Stage::Verify);
    if let Some(kept) = kept {
        run.at(400).run(kept);
    }
    verdict(&run.events)
}

#[test]
fn where_no_probe_watches_the_steps_must_have_shown_something() {
    let kept = || RunEvent::Kept { same: vec!["failover/share-image".to_owned()], moved: Vec::new() };
    let nothing = (Verdict::Inconclusive, vec!["there is nothing to judge: no probe was confirmed down".to_owned()]);
    assert_eq!(unwatched("note", false, None), nothing);
    assert_eq!(unwatched("check.dns", false, None), (Verdict::Pass, Vec::new()));
    assert_eq!(unwatched("dns.shift-weight", false, Some(kept())), (Verdict::Pass, Vec::new()));
    assert_eq!(unwatched("dns.shift-weight", true, None).0, Verdict::Pass, "it was read as asked");
    assert_eq!(unwatched("dns.shift-weight", false, None), nothing, "nobody looked at what it left");
}

/// A rehearsal that recovers, with what became of the steps of its failover, none of which it cannot do without.
fn with_steps(optional: bool, steps: impl FnOnce(&mut Script)) -> (Verdict, Vec<String>) {
    let mut plan = plan(Mode::Rehearse);
    plan.objectives.remove("orders");
    plan.failover.steps.truncate(2);
    for step in plan.failover.steps.iter_mut().filter(|_| optional) {
        (step.on_failure, step.critical) = (OnFailure::Continue, false);
    }
    let mut run = Script::new(plan);
    run.at(10).stage(Stage::SteadyState).at(1000).changed("storefront", ProbeState::Good, "200");
    run.at(2000).stage(Stage::Inject).started("fault", 1).intended("fault", "x", json!({}), json!({}), Vec::new());
    run.call("fault", Cloud::Aliyun, "vpc:AssociateNetworkAcl", true).at(2100).applied("fault", 1, None, false).stage(Stage::Detect);
    run.edge("storefront", ProbeState::Bad, 2200, 2400, "refused").at(2800).changed("storefront", ProbeState::Bad, "refused");
    run.stage(Stage::Decide).stage(Stage::Failover);
    steps(&mut run);
    run.edge("storefront", ProbeState::Good, 4800, 5000, "200").at(5800).changed("storefront", ProbeState::Good, "200").stage(Stage::Verify);
    run.at(15_500).tally("storefront", 10, 15_500, [70, 20, 0, 0]).stage(Stage::Cleanup);
    run.undone("fault", (Cloud::Aliyun, "vpc:AssociateNetworkAcl"), false);
    verdict(&run.events)
}

const SHARE: &str = "failover/share-image";
const START: &str = "failover/start-standby";

fn skipped(why: &str) -> StepKind {
    StepKind::Skipped { why: why.to_owned() }
}

#[test]
fn a_failover_that_came_to_nothing_recovered_nothing() {
    let failed = |kind| StepKind::Failed { failure: Failure::new(kind, "no") };
    let nothing = with_steps(true, |run| {
        for step in [SHARE, START] {
            run.started(step, 1).step(step, failed(FailureKind::Cloud));
        }
    });
    assert_eq!(nothing, (Verdict::Fail, vec!["no step of the failover succeeded".to_owned()]));
    let one = with_steps(true, |run| {
        run.started(SHARE, 1).step(SHARE, failed(FailureKind::Cloud)).started(START, 1);
        called(intended(run), "ok").applied(START, 1, None, false);
    });
    // It is put back later than this story goes; that the other failed is no matter.
    assert_eq!(one.1, ["failover/start-standby is not put back: nothing put it back"]);
    let waited = with_steps(true, |run| {
        run.started(SHARE, 1).step(SHARE, failed(FailureKind::Cloud)).started(START, 1).applied(START, 1, None, false);
    });
    assert_eq!(waited, (Verdict::Inconclusive, vec!["the failover changed nothing: every step that was to change something failed".to_owned()]));
    let none = with_steps(true, |run| {
        run.step(SHARE, skipped("its condition is false")).step(START, skipped("its condition is false"));
    });
    assert_eq!(none, (Verdict::Inconclusive, vec!["no step of the failover was run".to_owned()]));
}

#[test]
fn a_runbook_of_which_a_person_left_something_out_was_not_tested() {
    let run = |optional| {
        with_steps(optional, |run| {
            run.started(SHARE, 1).applied(SHARE, 1, None, false);
            run.run(RunEvent::Ordered { order: Order::Skip { step: START.to_owned() }, by: "bob".to_owned(), why: "they run".to_owned() });
            run.step(START, skipped("bob: they run"));
        })
    };
    let reason = "the runbook was not tested as written: bob did without failover/start-standby";
    assert_eq!(run(false), (Verdict::Inconclusive, vec![reason.to_owned()]));
    assert_eq!(run(true).0, Verdict::Pass, "that one its file does not insist on");
}

/// What stands of one step of an emergency that ended after it, as `step: why`.
fn stands(step: impl FnOnce(&mut Script)) -> Vec<(Stands, usize, bool)> {
    let mut run = Script::new(plan(Mode::Emergency));
    run.at(10).stage(Stage::Decide).stage(Stage::Failover).started(START, 1);
    step(&mut run);
    run.stage(Stage::Verify);
    let state = RunState::from_events(&run.end()).unwrap();
    standing(&state).into_iter().map(|one| (one.why.clone(), one.count(), one.can_be_undone)).collect()
}

fn intended(run: &mut Script) -> &mut Script {
    let machines = vec![
        Target::outside(TargetKind::Instance, "i-1").changing(Change::between("stopped", "running")),
        Target::outside(TargetKind::Instance, "i-2"),
    ];
    run.intended(START, "aws.ec2.start-instances", json!({}), json!({}), machines)
}

fn called<'a>(run: &'a mut Script, outcome: &str) -> &'a mut Script {
    run.call(START, Cloud::Aws, "ec2:StartInstances", true);
    let Some(Body::Step(StepEvent { kind: StepKind::Call { call }, .. })) = run.events.last_mut().map(|event| &mut event.body) else {
        panic!("it was a call")
    };
    call.outcome = outcome.to_owned();
    run
}

fn fails(run: &mut Script, kind: FailureKind, ambiguous: bool) {
    let failure = Failure { ambiguous, ..Failure::new(kind, "no") };
    run.step(START, StepKind::AttemptFailed { attempt: 1, failure: failure.clone(), retry_in_ms: None }).step(START, StepKind::Failed { failure });
}

#[test]
fn only_what_changed_something_stands() {
    let kept = vec![(Stands::Emergency, 1, true)];
    assert_eq!(stands(|run| _ = called(intended(run), "ok").applied(START, 1, None, false)), kept);
    assert_eq!(stands(|run| _ = called(intended(run), "ok").applied(START, 1, None, true)), kept, "an attempt before it did it");
    assert_eq!(stands(|run| _ = intended(run).applied(START, 1, None, true)), [], "it was already as asked");
    for refused in ["UnauthorizedOperation", "IncorrectInstanceState", "Forbidden.RAM", "RequestLimitExceeded"] {
        assert_eq!(stands(|run| fails(called(intended(run), refused), FailureKind::Cloud, false)), [], "{refused}");
    }
    for unsure in ["timeout", "transport", "InternalError", "ServiceUnavailable", "cancelled"] {
        assert_eq!(stands(|run| fails(called(intended(run), unsure), FailureKind::Cloud, false)), kept, "{unsure}");
    }
    assert_eq!(
        stands(|run| fails(called(called(intended(run), "ok"), "UnauthorizedOperation"), FailureKind::Cloud, false)),
        kept,
        "one was let through"
    );
    assert_eq!(stands(|run| fails(called(intended(run), "UnauthorizedOperation"), FailureKind::Cloud, true)), kept, "nobody knows");
    assert_eq!(stands(|run| fails(intended(run), FailureKind::Check, false)), kept, "a command that failed has done something");
}

#[test]
fn what_nothing_can_put_back_stands_whatever_is_undone() {
    let irrevocable = |all| StepKind::Irrevocable { what: vec!["what `x` did".to_owned()], all };
    let lasting = |run: &mut Script| {
        _ = run.step(START, irrevocable(true)).intended(START, "exec", json!({}), json!({}), Vec::new()).applied(START, 1, None, false);
    };
    assert_eq!(stands(lasting), [(Stands::Emergency, 1, false)]);
    let undone = |run: &mut Script| {
        lasting(run);
        run.step(START, StepKind::Undoing { attempt: 1 }).step(START, StepKind::NotUndone);
    };
    assert_eq!(stands(undone), [(Stands::CannotBeUndone, 1, false)]);
    let partly = |run: &mut Script| {
        run.step(START, irrevocable(false));
        called(intended(run), "ok").applied(START, 1, None, false);
        run.step(START, StepKind::Undoing { attempt: 1 }).step(START, StepKind::Undone { already: false });
    };
    assert_eq!(stands(partly), [(Stands::CannotBeUndone, 1, false)]);
    for (simulated, stand) in [(false, vec![(Stands::CannotBeUndone, 1, false)]), (true, vec![])] {
        let by_hand = |run: &mut Script| {
            run.step(START, irrevocable(true)).step(START, StepKind::Asked { question: Question { manual: true, ..Question::default() } });
            run.step(START, StepKind::Answered { yes: true, by: "bob".to_owned(), note: String::new(), simulated, witness: Default::default() });
            run.applied(START, 1, None, false);
        };
        assert_eq!(stands(by_hand), stand, "a rehearsal that answers itself did nothing by hand");
    }
}

#[test]
fn a_drill_says_why_what_stands_does() {
    let run = |leave: bool, stop: bool| {
        let mut plan = plan(Mode::Rehearse);
        (plan.leave, plan.failback) = (leave, None);
        let mut run = Script::new(plan);
        run.at(10).stage(Stage::Failover).started(START, 1);
        called(intended(&mut run), "ok").applied(START, 1, None, false);
        if stop {
            run.run(RunEvent::StopRequested { abort: false, why: "enough".to_owned(), by: "bob".to_owned() });
        }
        let state = RunState::from_events(&run.end()).unwrap();
        standing(&state).into_iter().map(|one| one.why).collect::<Vec<_>>()
    };
    assert_eq!(run(true, false), [Stands::Asked]);
    assert_eq!(run(false, true), [Stands::Stopped]);
    assert_eq!(run(false, false), [Stands::LeftOver("nothing put it back".to_owned())]);
    let whole = RunState::from_events(&samples::success()).unwrap();
    assert_eq!(standing(&whole), [], "what was put back, and the way back itself, do not stand");
}

#[test]
fn every_reason_is_said_in_chinese_too() {
    let [subject, probe, step, why, by] = ["pay", "pay", "failover/go", "refused", "mei"].map(str::to_owned);
    let measure = Measure::Rto;
    let lacking = |why| vec![Lacking { probe: "pay".into(), why, detail: "refused".into() }];
    let reasons = [
        Reason::Missed { measure, subject: subject.clone() },
        Reason::StepFailed { step: step.clone(), why: why.clone() },
        Reason::NotRecovered { lacking: Vec::new() },
        Reason::NotRecovered { lacking: lacking(Lack::Bad) },
        Reason::RecoveryUnseen { lacking: lacking(Lack::Unread) },
        Reason::NormalUnseen { lacking: lacking(Lack::Brief) },
        Reason::Leftover { step: step.clone(), why: why.clone() },
        Reason::Moved { step: step.clone(), why: why.clone() },
        Reason::NotReadAgain { step: step.clone(), why: why.clone() },
        Reason::WentDown { probe: probe.clone() },
        Reason::NotNormal { probe: probe.clone() },
        Reason::Stopped { by: by.clone(), why: why.clone() },
        Reason::NoSteadyState,
        Reason::Unfinished,
        Reason::NoFault { why },
        Reason::NoImpact { probe: probe.clone() },
        Reason::Indeterminate { measure, subject: subject.clone() },
        Reason::NotTested { measure, subject: subject.clone() },
        Reason::Unseen { measure, subject },
        Reason::RecoveryUnsure { probe: probe.clone() },
        Reason::ImpactUnseen { probe: probe.clone() },
        Reason::NoObjective,
        Reason::NoDetection,
        Reason::NoRecovery,
        Reason::NothingDown,
        Reason::StillDown { probe },
        Reason::NothingDone,
        Reason::NothingRun,
        Reason::NothingChanged,
        Reason::DidWithout { step, by },
    ];
    for reason in &reasons {
        let english = reason.to_string();
        let chinese = phrase(&english, Lang::Zh);
        let words = chinese.split(|letter: char| !letter.is_ascii_alphabetic()).filter(|word| word.len() > 1);
        let foreign: Vec<&str> =
            words.filter(|word| !["pay", "failover", "go", "refused", "mei", "RTO", "RPO", "detect", "recovered"].contains(word)).collect();
        assert!(foreign.is_empty() && chinese != english, "{english}: {chinese}");
    }
}
