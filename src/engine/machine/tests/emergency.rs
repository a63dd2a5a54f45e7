//! Emergencies: what stays is looked at once more, and what was stopped or failed is gone on with.

use super::*;

fn emergency(steps: Vec<StepPlan>) -> Plan {
    Plan { mode: Mode::Emergency, fault: None, detect: None, steady_state: None, recovered: None, ..plan(steps) }
}

fn executed(plan: Plan, prepare: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::new(plan);
    prepare(&mut rig);
    rig.feed(Input::Start);
    rig
}

fn moved(rig: &Rig) -> Vec<(&str, &str, &str)> {
    let kept = rig.state.kept.as_ref().expect("what stays was read once more");
    kept.moved.iter().map(|one| (one.step.as_str(), one.before.as_str(), one.after.as_str())).collect()
}

#[test]
fn every_kept_change_is_read_once_more_before_the_end() {
    let rig = executed(emergency(vec![step("a", &[]), step("b", &["a"])]), |_| {});
    let kept = rig.state.kept.as_ref().unwrap();
    assert_eq!((kept.same.len(), kept.moved.len(), rig.log.last().unwrap().as_str()), (2, 0, "finish"));
}

#[test]
fn what_a_step_says_nothing_of_is_not_said_to_read_as_it_was_made() {
    let rig = executed(emergency(vec![step("command", &[])]), |_| {});
    assert!(rig.state.kept.is_none(), "{:?}", rig.state.kept);
    assert_eq!(rig.log.last().unwrap(), "finish");
}

#[test]
fn what_somebody_has_put_back_is_said_once_it_is_certain() {
    let mut rig = executed(emergency(vec![step("a", &[]), step("b", &["a"])]), |rig| rig.finds.push(("failover/a", Found::NotDone)));
    assert!(rig.state.kept.is_none(), "describing lags behind changing: it is read again");
    (1..31).for_each(|now| rig.at(now));
    assert_eq!(moved(&rig), [("failover/a", "as the step made it", "was -> is")], "and the other is as it was made");
    assert_eq!(rig.log.last().unwrap(), "finish");
}

#[test]
fn what_a_later_step_has_made_of_it_has_not_moved() {
    let rig = executed(emergency(vec![step("shared-a", &[]), step("shared-b", &["shared-a"])]), |_| {});
    assert_eq!(rig.state.kept.as_ref().unwrap().same, ["failover/shared-b"], "what the first made is the second's by now");
}

#[test]
fn an_abort_while_it_is_read_puts_it_back() {
    let mut rig = executed(emergency(vec![step("a", &[])]), |rig| rig.finds.push(("failover/a", Found::NotDone)));
    rig.feed(Input::Order(Asked { order: Order::Abort, by: "signal".into(), why: "no".into() }));
    assert_eq!(rig.undone(), ["failover/a"]);
    (1..40).for_each(|now| rig.at(now));
    assert_eq!(rig.log.last().unwrap(), "finish");
    assert!(rig.state.kept.is_none());
}

#[test]
fn a_drill_that_stays_is_read_once_more_too() {
    let stays = Plan { leave: true, ..plan(vec![step("a", &[])]) };
    let mut rig = Rig::start(stays, |_| {});
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(15);
    assert_eq!(rig.state.kept.as_ref().unwrap().same, ["failover/a"]);
}

/// The run after its end, taken up by another process.
fn gone_on(mut rig: Rig, plan: Plan, prepare: impl FnOnce(&mut Rig)) -> Rig {
    rig.record(Body::Run(RunEvent::Ended { verdict: Verdict::Fail, reasons: vec!["a step failed".into()] }));
    assert!(rig.state.may_go_on());
    let mut next = Rig::over(plan, rig.state.clone());
    prepare(&mut next);
    next.record(Body::Run(RunEvent::Resumed { to: "resume".into(), by: String::new(), patience: None, tool: String::new() }));
    let mut reopened = rig.state;
    reopened.reopen();
    next.feed(Input::Resume(Box::new(reopened), Duration::ZERO));
    next
}

#[test]
fn a_failed_emergency_goes_on_with_the_step_that_failed() {
    let plan = emergency(vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])]);
    let failure = Failure::new(FailureKind::Check, "no");
    let rig = executed(plan.clone(), |rig| rig.fail.push(("failover/b", failure)));
    assert_eq!(rig.log.last().unwrap(), "finish");
    assert!(rig.log.contains(&"failover/c skipped".to_owned()) && rig.undone().is_empty(), "{:?}", rig.log);
    let next = gone_on(rig, plan, |_| {});
    let began: Vec<&str> = next.log.iter().filter_map(|line| line.strip_suffix(" started")).collect();
    assert_eq!(began, ["failover/b", "failover/c"], "what was done is not done again: {:?}", next.log);
    assert_eq!(next.log.last().unwrap(), "finish");
    assert!(next.state.stops.is_empty() && next.state.earlier_end.is_none(), "it is judged anew");
}

#[test]
fn a_stopped_emergency_goes_on_with_what_had_not_begun() {
    let plan = emergency(vec![step("a", &[]), step("b", &["a"]), step("c", &["b"])]);
    let mut rig = executed(plan.clone(), |rig| rig.hang.push("failover/b"));
    rig.feed(Input::Order(Asked { order: Order::Stop, by: "signal".into(), why: "signal SIGTERM".into() }));
    rig.feed(Input::Applied("failover/b".into(), Ok(Applied::changed(json!({}))), None));
    assert_eq!(rig.log.last().unwrap(), "finish");
    let next = gone_on(rig, plan, |_| {});
    let began: Vec<&str> = next.log.iter().filter_map(|line| line.strip_suffix(" started")).collect();
    assert_eq!(began, ["failover/c"], "{:?}", next.log);
}

#[test]
fn what_was_done_or_asked_back_is_not_gone_on_with() {
    let plan = emergency(vec![step("a", &[])]);
    let mut done = executed(plan.clone(), |_| {});
    done.record(Body::Run(RunEvent::Ended { verdict: Verdict::Pass, reasons: Vec::new() }));
    assert!(!done.state.may_go_on());
    let mut aborted = executed(plan, |rig| rig.hang.push("failover/a"));
    aborted.feed(Input::Order(Asked { order: Order::Abort, by: "signal".into(), why: "no".into() }));
    (1..40).for_each(|now| aborted.at(now));
    aborted.record(Body::Run(RunEvent::Ended { verdict: Verdict::Aborted, reasons: Vec::new() }));
    assert!(!aborted.state.may_go_on());
}
