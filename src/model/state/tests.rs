//! The fold: what the sample runs come to, what is refused, and that every prefix of a legal stream is legal.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::event::samples::{self, Script, t};
use crate::model::event::step::StepKind;
use crate::model::event::{ProbeEvent, probe::ProbeKind};
use crate::model::failure::{Failure, FailureKind};
use crate::model::plan::{Mode, ProbeState};

fn fold(events: &[Event]) -> RunState {
    RunState::from_events(events).unwrap()
}

#[test]
fn a_run_that_went_well_holds_only_what_needs_no_undo() {
    let state = fold(&samples::success());
    assert_eq!(state.held(), Vec::<&str>::new(), "a finished way back is no leftover");
    assert_eq!(state.stage(), Some(Stage::Cleanup));
    assert_eq!(state.decided.as_ref().unwrap().by, "automation");
    let start = state.step("failover/start-standby").unwrap();
    assert_eq!((start.status, start.attempts, start.applied), (Status::Undone, 2, true));
    assert_eq!(start.started, Some(t(5450)));
    assert_eq!(start.accepted, Some(t(7710)), "the accepted change counts from the attempt that succeeded");
    assert_eq!(start.ready, Some(t(5440)), "nothing was before it but the stage");
    let shift = state.step("failover/shift-dns").unwrap();
    assert_eq!(shift.ready, Some(t(13_700)), "it waited for start-standby");
    assert_eq!(state.ordered().iter().map(|(key, _)| *key).collect::<Vec<_>>()[..3], ["fault", "failover/share-image", "failover/start-standby"]);
    assert_eq!(state.probes["storefront"].tally.bad, 65);
}

#[test]
fn a_failback_that_went_well_stays_while_what_lies_beneath_it_is_put_back() {
    let events = samples::success();
    let is_undoing = |event: &Event| matches!(&event.body, Body::Step(step) if step.step.starts_with("failover/") && matches!(step.kind, StepKind::Undoing { .. }));
    let begun = events.iter().position(is_undoing).unwrap();
    for end in begun..events.len() {
        let state = fold(&events[..end]);
        assert!(state.held().iter().all(|key| key.starts_with("failover/")), "after event {end}: {:?}", state.held());
    }
    assert!(!fold(&events[..begun]).held().is_empty());
}

#[test]
fn what_could_not_be_put_back_stays_held() {
    let state = fold(&samples::failure());
    assert_eq!(state.held(), ["failover/share-image"]);
    assert_eq!(state.step("failover/shift-dns").unwrap().status, Status::Skipped);
    assert!(!state.step("failover/start-standby").unwrap().applied);
}

#[test]
fn a_takeover_may_begin_an_undo_again() {
    let state = fold(&samples::aborted());
    assert_eq!(state.held(), Vec::<&str>::new());
    assert_eq!(state.epoch, 2);
    assert!(state.stop().unwrap().abort);
    assert_eq!(state.resumed[0].to, "abort");
}

#[test]
fn an_emergency_keeps_what_it_did_in_the_order_of_its_intents() {
    assert_eq!(fold(&samples::emergency()).held(), ["failover/share-image", "failover/start-standby", "failover/shift-dns"]);
}

#[test]
fn a_probe_is_down_since_its_raw_edge() {
    let events = samples::success();
    let upto = events.iter().position(|event| matches!(&event.body, Body::Probe(ProbeEvent { kind: ProbeKind::Edge { .. }, .. }))).unwrap();
    let state = fold(&events[..=upto]);
    assert_eq!(state.probes["storefront"].down_since(), Some(t(5010)));
    assert_eq!(state.probes["storefront"].confirmed, Some(ProbeState::Good), "three samples are needed to confirm");
    assert_eq!(fold(&events).probes["storefront"].down_since(), None);
}

#[test]
fn what_changed_unseen_between_two_owners_is_an_edge_of_unknown_time() {
    let mut script = Script::new(samples::plan(Mode::Rehearse));
    script.at(1000).changed("storefront", ProbeState::Good, "200");
    script.edge("storefront", ProbeState::Bad, 4605, 5010, "refused").at(5410).changed("storefront", ProbeState::Bad, "refused");
    script.at(9000).run(RunEvent::Resumed { to: "resume".to_owned(), by: String::new(), patience: None, tool: String::new() }).at(10_000).changed(
        "storefront",
        ProbeState::Good,
        "200",
    );
    let edge = fold(&script.events).probes["storefront"].edge().unwrap().clone();
    assert_eq!((edge.to, edge.moment.lo, edge.moment.hi), (ProbeState::Good, t(5410), t(10_000)));
    // Nor does the new process's first bad sample know when the last good one was.
    let mut script = Script::new(samples::plan(Mode::Rehearse));
    script.at(1000).changed("storefront", ProbeState::Good, "200").at(9000).run(RunEvent::Resumed {
        tool: String::new(),
        to: "resume".to_owned(),
        by: String::new(),
        patience: None,
    });
    script.edge("storefront", ProbeState::Bad, 9100, 9110, "refused");
    let edge = fold(&script.events).probes["storefront"].edge().unwrap().clone();
    assert_eq!((edge.to, edge.moment.lo, edge.moment.hi), (ProbeState::Bad, t(1000), t(9110)));
}

#[test]
fn items_of_a_repeated_step_are_steps_in_the_order_of_their_numbers() {
    let mut script = Script::new(samples::plan(Mode::Rehearse));
    script.at(10).stage(Stage::Failover);
    for n in (0..12).rev() {
        script.started(&format!("failover/share-image[{n}]"), 1);
    }
    let state = fold(&script.events);
    assert_eq!(
        state.items("failover/share-image").map(|(key, _)| parent_of(key).unwrap()).collect::<BTreeSet<_>>(),
        BTreeSet::from(["failover/share-image"])
    );
    assert_eq!(state.items("failover/share-image").map(|(key, _)| key).nth(10), Some("failover/share-image[10]"));
}

/// `make` appends one event that must be refused because of `why`.
fn refused(why: &str, make: impl FnOnce(&mut Script)) {
    let mut script = Script::new(samples::plan(Mode::Rehearse));
    script.at(10).stage(Stage::Inject).started("fault", 1);
    make(&mut script);
    let (last, before) = script.events.split_last().unwrap();
    let mut state = fold(before);
    let unchanged = state.clone();
    let error = state.apply(last).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(state, unchanged, "a refused event changes nothing");
}

#[test]
fn events_that_cannot_follow_are_refused() {
    refused("cannot be undone", |script| _ = script.step("fault", StepKind::Undone { already: false }));
    refused("without an intent and cannot be undoing", |script| _ = script.step("fault", StepKind::Undoing { attempt: 1 }));
    refused("cannot be started", |script| _ = script.started("fault", 2));
    refused("is Pending", |script| _ = script.applied("failover/shift-dns", 1, None, false));
    refused("no step `failover/nothing`", |script| _ = script.started("failover/nothing", 1));
    refused("no probe", |script| _ = script.changed("nothing", ProbeState::Good, ""));
    refused("stage Inject after Inject", |script| _ = script.stage(Stage::Inject));
    refused("stage SteadyState after Inject", |script| _ = script.stage(Stage::SteadyState));
    refused("already started", |script| {
        let first = script.events[0].body.clone();
        script.push(first);
    });
    refused("the run has ended", |script| {
        script.run(RunEvent::Ended { verdict: Verdict::Fail, reasons: Vec::new() }).stage(Stage::Cleanup);
    });
    refused("the one before it was 3", |script| {
        script.stage(Stage::Detect);
        script.events.last_mut().unwrap().seq += 1;
    });
    refused("its epoch is 2", |script| {
        script.stage(Stage::Detect);
        script.events.last_mut().unwrap().epoch = 2;
    });
    refused("cannot be intended", |script| {
        for _ in 0..2 {
            script.intended("fault", "x", json!({}), json!({}), Vec::new());
        }
    });
}

/// What a machine does with one step, chosen by the numbers: attempts, whether there is an intent, success, undo.
#[derive(Clone, Debug)]
struct Fate {
    attempts: u32,
    mutates: bool,
    succeeds: bool,
    undo: u8,
}

fn fate() -> impl Strategy<Value = Fate> {
    (1..4u32, any::<bool>(), any::<bool>(), 0..4u8).prop_map(|(attempts, mutates, succeeds, undo)| Fate { attempts, mutates, succeeds, undo })
}

/// The events of one step, in order.
fn life(fate: &Fate) -> Vec<StepKind> {
    let failure = || Failure::new(FailureKind::Cloud, "no");
    let mut life = Vec::new();
    for attempt in 1..=fate.attempts {
        life.push(StepKind::Started { attempt });
        if attempt == 1 && fate.mutates {
            life.push(StepKind::Intended { attempt, uses: "x".to_owned(), with: json!({}), before: json!({}), targets: Vec::new() });
        }
        if attempt == fate.attempts && fate.succeeds {
            life.push(StepKind::Applied { attempt, output: json!({}), already: false, accepted_ms: Some(5) });
        } else {
            life.push(StepKind::AttemptFailed { attempt, failure: failure(), retry_in_ms: None });
        }
    }
    if !fate.succeeds {
        life.push(StepKind::Failed { failure: failure() });
    }
    if fate.mutates && fate.undo > 0 {
        for attempt in 1..=u32::from(fate.undo) {
            life.push(StepKind::Undoing { attempt });
        }
        life.push(if fate.undo == 3 { StepKind::UndoFailed { failure: failure() } } else { StepKind::Undone { already: fate.undo == 2 } });
    }
    life
}

proptest! {
    /// However the lives of the steps interleave, every prefix folds, and held is what was intended and not undone.
    #[test]
    fn every_prefix_of_a_legal_stream_is_legal(fates in prop::collection::vec(fate(), 4), picks in prop::collection::vec(0..4usize, 80)) {
        let keys = ["fault", "failover/share-image", "failover/start-standby", "failback/shift-back"];
        let mut lives: Vec<_> = fates.iter().map(|fate| life(fate).into_iter()).collect();
        let mut script = Script::new(samples::plan(Mode::Rehearse));
        let mut held = BTreeSet::new();
        let mut state = fold(&script.events);
        for (index, pick) in picks.into_iter().enumerate() {
            let Some(kind) = lives[pick].next() else { continue };
            match kind {
                StepKind::Intended { .. } => { held.insert(keys[pick]); }
                StepKind::Undone { .. } => { held.remove(keys[pick]); }
                _ => {}
            }
            script.at(index as u64 * 7).step(keys[pick], kind);
            state.apply(script.events.last().unwrap()).unwrap();
            // What only the way back did is where the run was going.
            let expected = if held.iter().all(|key| key.starts_with("failback/")) { BTreeSet::new() } else { held.clone() };
            prop_assert_eq!(state.held().into_iter().collect::<BTreeSet<_>>(), expected);
            prop_assert_eq!(&fold(&script.events), &state);
        }
    }
}
