//! The guards decide again before each attempt to inject the fault, and nothing else waits for them.

use super::*;
use crate::model::guard::{Decision, Outcome};

fn refusing() -> Result<Vec<Decision>, String> {
    Ok(vec![Decision { guard: "windows".into(), outcome: Outcome::Refuses, detail: "outside Tue".into(), overridden: None }])
}

fn again() -> Failure {
    Failure { retry: true, ..Failure::new(FailureKind::Cloud, "throttled") }
}

fn asked(rig: &Rig) -> usize {
    rig.log.iter().filter(|line| *line == "guards").count()
}

/// What the run said when it stopped.
fn stopped(rig: &Rig) -> Vec<(String, String)> {
    rig.state.stops.iter().map(|stop| (stop.by.clone(), stop.why.clone())).collect()
}

#[test]
fn the_guards_are_asked_right_before_the_fault_and_no_more() {
    let mut rig = Rig::start(plan(vec![step("a", &[])]), |_| {});
    let at = rig.log.iter().position(|line| line == "guards").unwrap();
    assert_eq!(rig.log[at + 1..at + 3], ["Inject", "fault started"], "{:?}", rig.log);
    rig.probe(ProbeState::Good);
    (6..60).for_each(|now| rig.at(now));
    assert_eq!((asked(&rig), rig.log.last().unwrap().as_str()), (1, "finish"), "neither healing nor undoing asks: {:?}", rig.log);
}

#[test]
fn what_they_refuse_or_cannot_decide_is_not_injected() {
    for (ruling, why) in [(refusing(), "windows: outside Tue"), (Err("no calendar".to_owned()), "no calendar")] {
        let mut rig = Rig::start(plan(vec![step("a", &[])]), |rig| rig.guards = ruling);
        (6..90).for_each(|now| rig.at(now));
        assert!(!rig.log.contains(&"fault started".to_owned()), "{:?}", rig.log);
        let stopped = stopped(&rig);
        assert!(stopped.len() == 1 && stopped[0].0 == "guards" && stopped[0].1.ends_with(why), "{stopped:?}");
        assert_eq!((rig.undone(), rig.log.last().unwrap().as_str()), (vec![], "finish"));
    }
}

#[test]
fn a_guard_that_somebody_overrode_lets_it_be_injected() {
    let mut decisions = refusing().unwrap();
    decisions[0].overridden = Some(crate::model::guard::Override { by: "ann".into(), why: "agreed".into() });
    let rig = Rig::start(plan(vec![step("a", &[])]), |rig| rig.guards = Ok(decisions.clone()));
    assert!(rig.log.contains(&"fault applied".to_owned()), "{:?}", rig.log);
    assert_eq!(rig.state.guards, decisions);
}

#[test]
fn an_answer_does_not_outlast_the_steady_state_it_was_given_in() {
    let mut rig = Rig::new(plan(vec![step("a", &[])]));
    rig.hang.push("guards");
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    rig.at(3);
    // While they decide the service goes down; their answer comes after that.
    rig.at(4);
    rig.probe(ProbeState::Bad);
    rig.feed(Input::Guarded(Ok(Vec::new())));
    assert!(!rig.log.contains(&"fault started".to_owned()), "{:?}", rig.log);
    rig.hang.clear();
    rig.guards = refusing();
    rig.now = 20;
    rig.probe(ProbeState::Good);
    rig.at(23);
    assert_eq!(asked(&rig), 1, "the old answer is worth nothing any more: {:?}", rig.log);
    assert!(!rig.log.contains(&"fault started".to_owned()), "{:?}", rig.log);
}

#[test]
fn every_attempt_asks_anew_and_what_was_begun_is_taken_out_when_they_refuse() {
    let mut rig = Rig::new(plan(vec![step("a", &[])]));
    rig.fail.push(("fault", again()));
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    rig.at(3);
    assert_eq!((asked(&rig), rig.log.last().unwrap().as_str()), (1, "fault attempt-failed"), "{:?}", rig.log);
    rig.guards = refusing();
    (4..20).for_each(|now| rig.at(now));
    assert_eq!(asked(&rig), 2, "{:?}", rig.log);
    assert!(!rig.log.contains(&"fault applied".to_owned()), "{:?}", rig.log);
    assert_eq!(rig.undone(), ["fault"], "the attempt may have changed something");
}

#[test]
fn a_run_that_is_taken_up_before_its_fault_is_in_effect_asks_first() {
    let cut_off = |hang: &'static str| {
        let plan = plan(vec![step("a", &[])]);
        let rig = Rig::start(plan.clone(), |rig| rig.hang.push(hang));
        (plan, rig.state)
    };
    for (hang, found, undone) in [("guards", Found::NotDone, &[][..]), ("fault", Found::NotDone, &["fault"][..]), ("fault", Found::Done, &["fault"])]
    {
        let (plan, state) = cut_off(hang);
        let mut rig = Rig::over(plan, state.clone());
        rig.guards = refusing();
        rig.finds.push(("fault", found));
        rig.record(Body::Run(RunEvent::Resumed { to: "resume".into(), by: String::new(), patience: None, tool: String::new() }));
        rig.feed(Input::Resume(Box::new(state), Duration::from_secs(60)));
        rig.probe(ProbeState::Good);
        (1..90).for_each(|now| rig.at(now));
        assert_eq!(asked(&rig), 1, "{hang} {found:?}: {:?}", rig.log);
        assert!(!rig.log.contains(&"fault started".to_owned()), "{hang} {found:?}: {:?}", rig.log);
        let fault: Vec<&str> = rig.undone().into_iter().take(1).collect();
        assert_eq!(fault, undone, "{hang} {found:?}: {:?}", rig.log);
    }
}
