//! What people ask of a run, and what comes of it.

use serde_json::json;

use super::super::tests::{Rig, book, plan, step};
use super::*;
use crate::engine::action::Applied;
use crate::engine::machine::Input;
use crate::model::failure::{Failure, FailureKind};
use crate::model::plan::{ForEach, Plan, ProbeState, Retry, StepPlan, StopCondition};
use crate::model::time::Span;

impl Rig {
    fn ends(&mut self, key: &str) {
        self.feed(Input::Applied(key.into(), Ok(Applied::changed(json!({}))), None));
    }

    fn has(&self, line: &str) -> bool {
        self.log.iter().any(|logged| logged == line)
    }

    #[track_caller]
    fn refuses(&mut self, order: Order, why: &str) {
        let before = self.log.len();
        self.order(order);
        assert_eq!(self.log[before..], [format!("refused: {why}")]);
    }
}

fn skip(step: &str) -> Order {
    Order::Skip { step: step.into() }
}

fn retry(step: &str) -> Order {
    Order::Retry { step: step.into() }
}

fn chain() -> Plan {
    plan(vec![step("a", &[]), step("b", &["a"])])
}

fn patient(steps: Vec<StepPlan>) -> Plan {
    let mut plan = plan(steps);
    plan.limits.patience = Span::from_secs(60);
    plan
}

fn broken() -> Failure {
    Failure::new(FailureKind::Check, "no")
}

#[test]
fn a_pause_holds_what_has_not_begun_and_nothing_else() {
    let mut rig = Rig::start(chain(), |rig| rig.hang.push("failover/a"));
    rig.refuses(Order::Unpause, "the run is not paused");
    rig.order(Order::Pause);
    rig.refuses(Order::Pause, "the run is paused already");
    rig.ends("failover/a");
    assert!(rig.has("failover/a applied") && !rig.has("failover/b started"), "{:?}", rig.log);
    rig.order(Order::Unpause);
    assert!(rig.has("failover/b applied"));
}

#[test]
fn a_question_that_was_answered_with_no_is_not_waited_for_once_more() {
    for (uses, waits) in [("toy.change", true), ("approval", false), ("manual", false)] {
        let asking = StepPlan { uses: uses.into(), ..step("a", &[]) };
        let rig = Rig::start(patient(vec![asking]), |rig| rig.fail.push(("failover/a", broken())));
        assert_eq!(rig.undone().is_empty(), waits, "{uses}: {:?}", rig.log);
    }
}

#[test]
fn what_is_waited_for_may_take_as_long_as_without_the_pause() {
    let mut rig = Rig::start(plan(vec![]), |_| {});
    rig.now = 10;
    rig.order(Order::Pause);
    // The lease of the fault is renewed meanwhile.
    (20..=200).step_by(10).for_each(|now| rig.at(now));
    rig.order(Order::Unpause);
    (210..255).step_by(10).chain([254]).for_each(|now| rig.at(now));
    assert!(rig.undone().is_empty(), "60 s of waiting for the recovery, from 5 on, without the 190 of the pause");
    rig.at(255);
    assert_eq!(rig.undone(), ["fault"]);
}

#[test]
fn a_pause_holds_no_stop_condition_up() {
    let mut with = chain();
    with.stop_conditions = vec![StopCondition { probe: "p".into(), is: ProbeState::Bad, lasts: Span::from_secs(30) }];
    let mut rig = Rig::start(with, |rig| rig.hang.push("failover/a"));
    rig.order(Order::Pause);
    rig.at(35);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    rig.refuses(Order::Unpause, "the run is ending");
}

#[test]
fn a_step_that_runs_is_cut_off_and_done_without_and_taken_back_later() {
    let mut rig = Rig::start(chain(), |rig| rig.hang.push("failover/a"));
    rig.order(skip("a"));
    assert!(rig.has("ann: doing without failover/a") && rig.has("failover/a skipped"), "{:?}", rig.log);
    assert!(rig.has("failover/b applied"), "what needs it runs all the same");
    rig.order(Order::Abort);
    assert_eq!(rig.undone(), ["fault", "failover/b", "failover/a"], "it may have changed something");
}

#[test]
fn a_step_that_waits_is_done_without_and_never_begins() {
    let mut rig = Rig::start(chain(), |rig| rig.hang.push("failover/a"));
    rig.order(skip("failover/b"));
    rig.ends("failover/a");
    assert!(rig.has("failover/b skipped") && !rig.has("failover/b started"));
}

#[test]
fn what_cannot_be_done_without_is_refused() {
    let mut each = step("each", &[]);
    each.for_each = Some(ForEach { items: json!([1, 2]), concurrency: 2 });
    let with = plan(vec![step("a", &[]), each, step("c", &["a"])]);
    let mut rig = Rig::start(with, |rig| rig.hang.extend(["failover/each[0]", "failover/each[1]", "failover/c"]));
    rig.feed(Input::Order(Asked { order: skip("c"), by: "ann".into(), why: " ".into() }));
    assert_eq!(rig.log.last().unwrap(), "refused: say why: doing without a step needs a reason");
    rig.refuses(skip("fault"), "the fault is no step; `abort` takes it out");
    rig.refuses(skip("a"), "failover/a is done and cannot be done without");
    rig.refuses(skip("x"), "there is no step `x`");
    rig.refuses(skip("each"), "failover/each runs once for each item: name one, such as failover/each[0]");
    rig.refuses(retry("c"), "failover/c is running and cannot be tried again");
    rig.order(skip("each[1]"));
    assert!(rig.has("failover/each[1] skipped"));
    rig.order(Order::Abort);
    rig.refuses(skip("c"), "the run is ending");
}

#[test]
fn a_failed_step_waits_for_a_person_and_is_tried_again_with_the_same_before() {
    let mut rig = Rig::start(patient(vec![step("a", &[]), step("b", &["a"])]), |rig| rig.fail.push(("failover/a", broken())));
    assert!(rig.has("failover/a failed") && !rig.has("failover/b skipped") && rig.undone().is_empty());
    rig.at(64);
    rig.order(retry("a"));
    assert!(rig.has("failover/a applied") && rig.has("failover/b applied"), "{:?}", rig.log);
    assert_eq!(rig.log.iter().filter(|line| *line == "failover/a intended").count(), 1);
}

#[test]
fn nobody_is_waited_for_longer_than_the_plan_says() {
    let mut rig = Rig::start(patient(vec![step("a", &[])]), |rig| rig.fail.push(("failover/a", broken())));
    rig.at(64);
    assert!(rig.undone().is_empty());
    rig.at(65);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    // Whoever wants nothing of it need not wait so long.
    let mut rig = Rig::start(patient(vec![step("a", &[])]), |rig| rig.fail.push(("failover/a", broken())));
    rig.order(skip("a"));
    assert!(rig.has("failover/a skipped") && rig.undone().is_empty());
}

#[test]
fn a_step_between_two_attempts_is_tried_again_at_once_and_has_all_its_attempts_again() {
    let again = || Failure { retry: true, ..Failure::new(FailureKind::Cloud, "busy") };
    let mut a = step("a", &[]);
    a.retry = Retry { attempts: 2, backoff: Span::from_secs(30) };
    let mut rig = Rig::start(plan(vec![a]), |rig| rig.fail.extend([("failover/a", again()), ("failover/a", again())]));
    assert!(!rig.has("failover/a applied"));
    rig.order(retry("a"));
    assert!(!rig.has("failover/a failed"), "the second failure is the first of two again: {:?}", rig.log);
    rig.at(35);
    assert!(rig.has("failover/a applied"));
}

#[test]
fn a_vendor_that_asks_to_be_left_alone_is_left_alone() {
    let busy = |asked| Failure { retry: true, retry_after_ms: Some(asked), ..Failure::new(FailureKind::Cloud, "throttled") };
    // The least, then what is asked for, then the most that anybody waits.
    for (asked, applied) in [(200, 2), (20_000, 20), (3_600_000, 60)] {
        let mut a = step("a", &[]);
        a.retry = Retry { attempts: 2, backoff: Span::from_secs(2) };
        let mut rig = Rig::start(plan(vec![a]), |rig| rig.fail.push(("failover/a", busy(asked))));
        let begun = rig.now;
        rig.at(begun + applied - 1);
        assert!(!rig.has("failover/a applied"), "{asked}: {:?}", rig.log);
        rig.at(begun + applied);
        assert!(rig.has("failover/a applied"), "{asked}: {:?}", rig.log);
    }
}

#[test]
fn giving_the_source_up_leaves_steps_out_and_changes_others() {
    let (mut a, mut b, mut c) = (step("a", &[]), step("b", &["a"]), step("c", &["b"]));
    a.ungraceful = Some(Ungraceful::Skip);
    b.ungraceful = Some(Ungraceful::With(json!({ "force": true }).as_object().unwrap().clone()));
    c.ungraceful = Some(Ungraceful::Skip);
    let mut rig = Rig::start(plan(vec![a, b, c]), |rig| rig.hang.extend(["failover/a", "failover/b"]));
    rig.order(Order::Ungraceful);
    assert!(rig.has("failover/a skipped") && rig.has("failover/b intended"), "{:?}", rig.log);
    assert_eq!(rig.machine.steps["failover/b"].with, json!({ "force": true }));
    rig.refuses(Order::Ungraceful, "the source side was given up already");
    rig.ends("failover/b");
    assert!(rig.has("failover/c skipped") && !rig.has("failover/c started"));
}

#[test]
fn a_stop_takes_the_fault_out_and_leaves_the_rest_and_an_abort_may_follow() {
    for (then, undone) in [(None, vec!["fault"]), (Some(Order::Abort), vec!["fault", "failover/b", "failover/a"])] {
        let mut rig = Rig::start(chain(), |rig| rig.hang.push("failover/b"));
        rig.order(Order::Stop);
        assert!(!rig.machine.has_ended(), "what may be changing something is let finish");
        then.into_iter().for_each(|order| rig.order(order));
        rig.ends("failover/b");
        assert_eq!(rig.undone(), undone);
        rig.probe(ProbeState::Good);
        assert!(rig.machine.has_ended());
    }
}

#[test]
fn a_stop_ends_the_way_back_and_comes_too_late_once_everything_is_taken_back() {
    let with = |hang: &'static str| {
        let mut with = plan(vec![step("a", &[])]);
        with.failback = Some(book(vec![step("back", &[]), step("more", &["back"])]));
        let mut rig = Rig::start(with, |rig| rig.hang.push(hang));
        rig.now = 10;
        rig.probe(ProbeState::Good);
        rig.at(15);
        rig
    };
    let mut rig = with("failback/back");
    rig.order(Order::Stop);
    rig.ends("failback/back");
    assert!(rig.machine.has_ended() && rig.has("failback/more skipped"), "{:?}", rig.log);
    assert_eq!(rig.undone(), ["fault"]);
    let mut rig = with("failback/more");
    rig.probe(ProbeState::Bad);
    rig.ends("failback/more");
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    rig.refuses(Order::Stop, "the run is taking things back; what it has begun to undo it undoes");
}

fn of_three(id: &str, concurrency: u32) -> StepPlan {
    StepPlan { for_each: Some(ForEach { items: json!([1, 2, 3]), concurrency }), ..step(id, &[]) }
}

#[test]
fn an_item_that_is_done_without_keeps_nothing_from_following() {
    // While it runs, while it waits for its turn, and after it has failed.
    type Story = (&'static str, fn(&mut Rig));
    let stories: [Story; 3] = [
        ("failover/many[1]", |rig| rig.hang.push("failover/many[1]")),
        ("failover/many[2]", |rig| rig.hang.push("failover/many[1]")),
        ("failover/many[1]", |rig| rig.fail.push(("failover/many[1]", broken()))),
    ];
    for (left_out, prepare) in stories {
        let mut rig = Rig::start(patient(vec![of_three("many", 1), step("b", &["many"])]), prepare);
        assert!(!rig.has("failover/b started"), "{:?}", rig.log);
        rig.order(skip(left_out));
        if left_out == "failover/many[2]" {
            rig.ends("failover/many[1]");
        }
        assert!(rig.has(&format!("{left_out} skipped")) && rig.has("failover/many applied") && rig.has("failover/b applied"), "{:?}", rig.log);
        let outputs = rig.machine.steps["failover/many"].output["items"].as_array().unwrap().clone();
        let missing = left_out.trim_start_matches("failover/many[").trim_end_matches(']').parse::<usize>().unwrap();
        assert!(outputs.len() == 3 && outputs.iter().enumerate().all(|(at, output)| output.is_null() == (at == missing)), "{outputs:?}");
    }
}

#[test]
fn a_step_all_of_whose_items_are_done_without_is_done_without() {
    let mut rig = Rig::start(plan(vec![of_three("many", 3), step("b", &["many"])]), |rig| {
        rig.hang.extend(["failover/many[0]", "failover/many[1]", "failover/many[2]"]);
    });
    (0..3).for_each(|item| rig.order(skip(&format!("many[{item}]"))));
    assert!(rig.has("failover/many skipped") && rig.has("failover/b applied"), "{:?}", rig.log);
}

#[test]
fn items_that_the_file_leaves_out_without_the_source_side_keep_nothing_from_following() {
    let many = StepPlan { ungraceful: Some(Ungraceful::Skip), ..of_three("many", 1) };
    let mut rig = Rig::start(plan(vec![many, step("b", &["many"])]), |rig| rig.hang.push("failover/many[1]"));
    rig.order(Order::Ungraceful);
    assert!(rig.has("failover/many[1] skipped") && rig.has("failover/many[2] skipped"), "{:?}", rig.log);
    assert!(rig.has("failover/many applied") && rig.has("failover/b applied"), "{:?}", rig.log);
}

#[test]
fn an_item_that_missed_its_turn_because_another_failed_makes_the_step_fail() {
    let mut rig = Rig::start(plan(vec![of_three("many", 1), step("b", &["many"])]), |rig| rig.fail.push(("failover/many[0]", broken())));
    assert!(rig.has("failover/many[1] skipped") && rig.has("failover/many failed") && !rig.has("failover/b applied"), "{:?}", rig.log);
    rig.probe(ProbeState::Good);
    assert_eq!(rig.undone(), ["fault", "failover/many[0]"]);
}
