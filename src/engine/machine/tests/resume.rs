//! A process takes over what another has begun.

use std::collections::BTreeSet;

use super::*;
use crate::model::target::{Change, Target, TargetKind};

/// The journal of a drill whose owner died while it applied the only step of its failover.
fn cut_off(fault_output: Value) -> (Plan, RunState) {
    let plan = plan(vec![step("a", &[])]);
    let mut rig = Rig::start(plan.clone(), |rig| {
        rig.hang.extend(["fault", "failover/a"]);
    });
    rig.feed(Input::Applied("fault".into(), Ok(Applied::changed(fault_output)), None));
    rig.probe(ProbeState::Bad);
    assert_eq!(rig.log.last().unwrap(), "failover/a intended");
    (plan, rig.state)
}

fn resume(plan: Plan, state: RunState, prepare: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::over(plan, state.clone());
    prepare(&mut rig);
    rig.record(Body::Run(RunEvent::Resumed { to: "resume".into(), by: String::new(), patience: None, tool: String::new() }));
    rig.feed(Input::Resume(Box::new(state), Duration::from_secs(60)));
    rig
}

#[test]
fn a_fault_that_stands_is_not_begun_anew_whether_it_gave_something_or_not() {
    for output in [Value::Null, json!({}), json!({ "acl": "nacl-1" })] {
        let (plan, state) = cut_off(output.clone());
        let mut rig = resume(plan, state, |_| {});
        assert!(!rig.log.contains(&"fault started".to_owned()), "{output}: {:?}", rig.log);
        assert!(rig.log.contains(&"failover/a applied".to_owned()), "{output}: {:?}", rig.log);
        rig.probe(ProbeState::Good);
        (5..100).for_each(|now| rig.at(now));
        assert_eq!(rig.undone(), ["fault", "failover/a", "failover/a"], "again: the call that the former owner had in hand might have come late");
        assert_eq!(rig.log.last().unwrap(), "finish");
    }
}

#[test]
fn a_step_of_which_nobody_knows_what_became_fails_and_everything_is_taken_back() {
    let (plan, state) = cut_off(Value::Null);
    let mut rig = resume(plan, state, |rig| rig.finds.push(("failover/a", Found::Unknown)));
    assert_eq!(rig.undone(), [""; 0], "it may be on its way");
    (1..32).for_each(|now| rig.at(now));
    assert!(rig.log.contains(&"failover/a failed".to_owned()), "{:?}", rig.log);
    assert_eq!(rig.undone(), ["fault", "failover/a"], "once it has stood still, not when the time of the run is over");
    rig.probe(ProbeState::Good);
    (32..130).for_each(|now| rig.at(now));
    assert_eq!(rig.log.last().unwrap(), "finish");
}

#[test]
fn a_step_that_was_not_done_is_done_with_the_before_that_is_on_record() {
    let (plan, state) = cut_off(Value::Null);
    let rig = resume(plan, state, |rig| rig.finds.push(("failover/a", Found::NotDone)));
    let of_step: Vec<&str> = rig.log.iter().filter_map(|line| line.strip_prefix("failover/a ")).collect();
    assert_eq!(of_step, ["found", "started", "applied"], "not planned anew, not intended twice");
}

#[test]
fn a_fault_that_somebody_took_out_meanwhile_is_not_brought_back() {
    let (plan, state) = cut_off(Value::Null);
    let rig = resume(plan, state, |rig| rig.finds.push(("fault", Found::NotDone)));
    assert!(rig.state.stops.iter().any(|stop| stop.abort && stop.by == "lease"), "{:?}", rig.log);
    assert!(!rig.log.contains(&"fault started".to_owned()), "{:?}", rig.log);
}

#[test]
fn what_a_step_needs_stays_while_that_step_cannot_be_put_back() {
    let plan = plan(vec![step("standby", &[]), step("check", &["standby"]), step("names", &["check"]), step("other", &[])]);
    let mut rig = Rig::start(plan.clone(), |rig| rig.stuck.push("failover/names"));
    rig.order(Order::Abort);
    (1..200).for_each(|now| rig.at(now));
    let gave_up = |rig: &Rig, key: &str| rig.log.contains(&format!("{key} undo-failed"));
    assert!(["failover/names", "failover/check", "failover/standby"].iter().all(|key| gave_up(&rig, key)), "{:?}", rig.log);
    assert!(!gave_up(&rig, "failover/other"));
    let undone: BTreeSet<_> = rig.undone().into_iter().collect();
    assert_eq!(undone, ["failover/names", "failover/other", "fault"].into(), "names may still lead to the standby");

    // Once the names can be put back, so can what they needed, and in that order.
    let mut rig = resume(plan.clone(), rig.state, |_| {});
    (1..200).for_each(|now| rig.at(now));
    assert_eq!(rig.undone(), ["failover/names", "failover/check", "failover/standby"]);
    let mut rig = Rig::start(plan.clone(), |rig| rig.stuck.push("failover/names"));
    rig.order(Order::Abort);
    (1..200).for_each(|now| rig.at(now));
    let left = Recovery::of(&rig.state);
    let mut rig = Rig::over(plan, RunState::default());
    rig.feed(Input::Recover(left));
    (1..200).for_each(|now| rig.at(now));
    assert_eq!(rig.undone(), ["failover/names", "failover/check", "failover/standby"]);
}

#[test]
fn a_repair_that_had_to_stay_is_not_undone_into_the_fault_by_the_next_owner() {
    let plan = plan(vec![step("repair", &[]), step("names", &["repair"])]);
    let mut rig = Rig::start(plan.clone(), |rig| rig.stuck.push("failover/names"));
    rig.order(Order::Abort);
    (1..200).for_each(|now| rig.at(now));
    assert!(rig.log.contains(&"failover/repair undo-failed".to_owned()), "{:?}", rig.log);

    let mut rig = resume(plan, rig.state, |_| {});
    (1..200).for_each(|now| rig.at(now));
    assert_eq!(rig.undone(), ["failover/names"], "the harm is what the repair found");
    assert!(rig.log.contains(&"failover/repair undone".to_owned()), "{:?}", rig.log);
}

#[test]
fn a_repair_is_not_put_back_before_a_fault_that_is_being_taken_out_again() {
    let plan = plan(vec![step("repair", &[]), step("names", &["repair"])]);
    let mut rig = Rig::start(plan.clone(), |rig| rig.stuck.push("failover/names"));
    rig.order(Order::Abort);
    (1..200).for_each(|now| rig.at(now));
    assert!(rig.log.contains(&"failover/repair undo-failed".to_owned()), "{:?}", rig.log);
    // Its first call might have come late: the owner had begun to take it out once more, and died.
    rig.record(Body::Step(StepEvent { step: "fault".into(), kind: StepKind::Undoing { attempt: 2 } }));

    let mut rig = resume(plan, rig.state, |_| {});
    (1..200).for_each(|now| rig.at(now));
    let undone: BTreeSet<_> = rig.undone().into_iter().collect();
    assert_eq!(undone, ["failover/names", "fault"].into(), "the harm is what the repair found");
    assert!(rig.log.contains(&"failover/repair undone".to_owned()), "{:?}", rig.log);
    assert_eq!(rig.log.last().unwrap(), "finish");
}

#[test]
fn what_lies_beneath_an_undo_that_is_tried_again_waits_for_it() {
    let plan = plan(vec![step("shared-a", &[]), step("shared-b", &["shared-a"])]);
    let mut rig = Rig::start(plan.clone(), |rig| {
        rig.stuck.push("failover/shared-b");
        rig.hang.push("undo failover/shared-a");
    });
    rig.order(Order::Abort);
    assert_eq!(rig.undone(), ["fault", "failover/shared-b", "failover/shared-a"], "one gave up, the other was in hand when its owner died");

    let mut rig = resume(plan, rig.state, |rig| rig.hang.push("undo failover/shared-b"));
    assert_eq!(rig.undone(), ["failover/shared-b"]);
    let lost = Failure { ambiguous: true, ..Failure::new(FailureKind::Cloud, "the answer was lost") };
    rig.feed(Input::Undone("failover/shared-b".into(), Err(lost)));
    assert_eq!(rig.undone(), ["failover/shared-b"], "what the first made is not put back while the second may still bring it again");
    rig.hang.clear();
    (1..200).for_each(|now| rig.at(now));
    assert_eq!(rig.undone()[..3], ["failover/shared-b", "failover/shared-b", "failover/shared-a"]);
    assert_eq!(*rig.undone().last().unwrap(), "failover/shared-a");
}

/// What a look at a machine finds that is starting: not there yet, and no call would be sent for it.
fn starting(change: &str, mutating: bool) -> Planned<Value> {
    let call = crate::engine::action::PlannedCall { operation: "toy:Call".into(), subject: String::new(), mutating };
    Planned::new(json!("starting"), vec![Target::outside(TargetKind::Table, "failover/a").changing(Change::read(change))], vec![call])
}

/// The same machine taken over, with the step's look left to the test.
fn looking() -> Rig {
    let (plan, state) = cut_off(Value::Null);
    let mut rig = resume(plan, state, |rig| rig.finds.push(("failover/a", Found::Unknown)));
    rig.log.clear();
    rig
}

#[test]
fn a_change_on_its_way_is_waited_for_in_a_drill_too() {
    let mut rig = looking();
    rig.now = 1;
    rig.feed(Input::Read("failover/a".into(), Ok((starting("starting → running", false), json!({})))));
    assert_eq!(rig.log[..3], ["failover/a found", "failover/a started", "failover/a applied"], "the attempt asks for nothing more, and waits");
}

#[test]
fn what_still_moves_is_looked_at_until_it_stands_still() {
    let mut rig = looking();
    for (at, change) in [(1, "1 of 3"), (20, "2 of 3"), (45, "2 of 3, one healthy")] {
        rig.now = at;
        rig.finds.clear();
        rig.feed(Input::Read("failover/a".into(), Ok((starting(change, true), json!({})))));
        assert!(!rig.log.contains(&"failover/a found".to_owned()), "at {at} s it has moved since");
    }
    rig.now = 75;
    rig.feed(Input::Read("failover/a".into(), Ok((starting("2 of 3, one healthy", true), json!({})))));
    assert!(rig.log.contains(&"failover/a failed".to_owned()), "{:?}", rig.log);
}

#[test]
fn what_is_half_done_is_done_to_its_end() {
    let (mut plan, state) = cut_off(Value::Null);
    plan.mode = Mode::Drill;
    let mut rig = resume(plan, state, |rig| rig.hang.push("look failover/a"));
    rig.log.clear();
    // One target as it was to be made, the other as the intent found it: nobody else was here.
    rig.feed(Input::Read("failover/a".into(), Ok((starting("", true), json!({})))));
    assert_eq!(rig.log[..2], ["failover/a found", "failover/a started"]);
}

#[test]
fn what_stands_at_a_stop_of_the_steps_own_is_done_to_its_end() {
    let (mut plan, state) = cut_off(Value::Null);
    plan.mode = Mode::Drill;
    let mut rig = resume(plan, state, |rig| rig.hang.push("look failover/a"));
    rig.log.clear();
    let stop = Planned { midway: [0].into(), ..starting("half -> made", true) };
    rig.feed(Input::Read("failover/a".into(), Ok((stop, json!({})))));
    assert_eq!(rig.log[..2], ["failover/a found", "failover/a started"]);
}
