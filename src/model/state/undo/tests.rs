use super::TakingBack::{Accepted, Done, Failed, NotBegun, UnderWay};
use super::*;
use crate::model::event::samples::plan;
use crate::model::plan::Mode;
use crate::model::target::TargetKind;

const STANDBY: &str = "failover/start-standby";
/// Needs the standby.
const NAMES: &str = "failover/shift-dns";
const IMAGE: &str = "failover/share-image";

/// Looks at changes in the order of their intents: key, what they act on, how far taking them back is.
fn with<R>(changes: &[(&str, &[&str], TakingBack)], look: impl FnOnce(&Undo<'_>) -> R) -> R {
    let plan = plan(Mode::Rehearse);
    let targets: Vec<Vec<Target>> =
        changes.iter().map(|(_, ids, _)| ids.iter().map(|id| Target::outside(TargetKind::Record, *id)).collect()).collect();
    let intended = changes.iter().zip(&targets).map(|((key, _, back), targets)| Intended { key, targets, back: *back }).collect();
    look(&Undo::new(Some(&plan), intended, None))
}

#[test]
fn what_is_neither_back_nor_accepted_is_held_and_what_nobody_has_tried_is_begun_from_the_newest() {
    let changes: &[(&str, &[&str], TakingBack)] = &[
        (FAULT, &["f"], Done),
        (IMAGE, &["i"], NotBegun),
        (STANDBY, &["s"], Failed),
        (NAMES, &["n"], NotBegun),
        ("failback/shift-back", &["b"], Accepted),
    ];
    with(changes, |undo| {
        assert_eq!(undo.held().collect::<Vec<_>>(), [IMAGE, STANDBY, NAMES]);
        assert_eq!(undo.to_be_begun().collect::<Vec<_>>(), [NAMES, IMAGE]);
    });
}

#[test]
fn a_repair_is_not_put_back_into_the_fault() {
    for (fault, course) in [
        (NotBegun, Course::AwaitsTheFault),
        (UnderWay, Course::AwaitsTheFault),
        (Done, Course::HealedWithTheFault),
        (Failed, Course::HealedWithTheFault),
    ] {
        let found = with(&[(FAULT, &["route", "acl"], fault), (STANDBY, &["route"], NotBegun)], |undo| format!("{:?}", undo.course(STANDBY)));
        assert_eq!(found, format!("{course:?}"), "while taking the fault out is {fault:?}");
    }
    let found = with(&[(FAULT, &["route"], NotBegun), (STANDBY, &["host"], NotBegun)], |undo| format!("{:?}", undo.course(STANDBY)));
    assert_eq!(found, "PutBack", "nothing of it was broken by the fault");
}

#[test]
fn what_changed_more_than_the_fault_broke_waits_for_it_and_brings_it_back() {
    let both: &[&str] = &["route", "host"];
    with(&[(FAULT, &["route"], NotBegun), (STANDBY, both, NotBegun)], |undo| {
        assert_eq!(undo.course(STANDBY), Course::AwaitsTheFault);
    });
    with(&[(FAULT, &["route"], Done), (STANDBY, both, NotBegun), (IMAGE, &["route"], NotBegun), (NAMES, &["n"], NotBegun)], |undo| {
        assert_eq!(undo.course(STANDBY), Course::PutBack);
        assert_eq!(undo.bring_the_fault_back().collect::<Vec<_>>(), [STANDBY]);
        let again = undo.clone().with_the_fault_back();
        assert_eq!(again.held().next(), Some(FAULT));
        assert_eq!(again.course(IMAGE), Course::AwaitsTheFault);
    });
}

#[test]
fn what_carries_another_that_stays_is_left_and_what_lies_beneath_it_is_not() {
    let carried = |beneath: TakingBack, shared: &'static [&'static str]| {
        with(&[(IMAGE, &["n"], beneath), (STANDBY, shared, NotBegun), (NAMES, &["n"], Failed)], |undo| format!("{:?}", undo.course(STANDBY)))
    };
    assert_eq!(carried(NotBegun, &["s"]), format!("{:?}", Course::Carries(NAMES)));
    assert_eq!(carried(Done, &["s"]), "PutBack", "what lay beneath the names was put back, and they with it");
    assert_eq!(carried(NotBegun, &["n"]), "PutBack", "putting it back puts both back");
    let item = format!("{STANDBY}[3]");
    with(&[(&item, &["s"], NotBegun), ("failover/watch-recovery", &["n"], Failed)], |undo| {
        assert_eq!(undo.course(&item), Course::Carries("failover/watch-recovery"), "an item, needed by way of another step");
    });
}

#[test]
fn what_lies_beneath_a_change_that_is_being_put_back_waits_for_it() {
    with(&[(STANDBY, &["s"], UnderWay), (IMAGE, &["x"], UnderWay), (NAMES, &["n", "x"], UnderWay)], |undo| {
        assert_eq!(undo.course(STANDBY), Course::AwaitsWhatLiesOver, "needed");
        assert_eq!(undo.course(IMAGE), Course::AwaitsWhatLiesOver, "of the same thing");
        assert_eq!(undo.course(NAMES), Course::PutBack);
        assert_eq!(undo.over(IMAGE).collect::<Vec<_>>(), [NAMES]);
    });
    // The one above waits for the fault itself, which does not wait for anybody.
    with(&[(FAULT, &["n"], UnderWay), (STANDBY, &["s"], UnderWay), (NAMES, &["n"], UnderWay)], |undo| {
        assert_eq!([undo.course(FAULT), undo.course(STANDBY), undo.course(NAMES)], [Course::PutBack, Course::PutBack, Course::AwaitsTheFault]);
    });
}

#[test]
fn what_came_over_something_that_is_back_has_nothing_of_its_own_to_restore() {
    with(&[(FAULT, &["f", "n"], Done), (IMAGE, &["n"], Done), (NAMES, &["n"], Failed), (STANDBY, &["f"], Failed)], |undo| {
        assert_eq!([NAMES, STANDBY, FAULT].map(|key| undo.was_left_over_what_is_back(key)), [true, false, false], "a fault's end is no such thing");
        assert!(undo.is_over(NAMES, |other| other.key == FAULT) && !undo.is_over(IMAGE, |other| other.key == NAMES));
    });
}

#[test]
fn a_failback_that_went_well_stays_and_any_other_is_taken_back_as_a_whole() {
    let way = |is_done, is_left_out, is_taken_back| WayBack { is_done, is_left_out, is_taken_back };
    let (done, skipped, failed, back) = (way(true, false, false), way(false, true, false), way(false, false, false), way(true, false, true));
    let stays = failback_stays;
    assert!(stays(&[done, skipped], false, false));
    assert!(!stays(&[done, skipped], true, false), "somebody wants everything as it was");
    assert!(!stays(&[done, failed], false, false) && !stays(&[skipped], false, false) && !stays(&[], false, false));
    assert!(stays(&[done, failed], true, true), "what lies beneath is being put back already");
    assert!(!stays(&[done, back], false, true));
}

#[test]
fn waits_between_attempts_double_up_to_ten_seconds() {
    assert_eq!([1, 2, 5, 6, 60].map(|attempt| wait_after(attempt).as_millis()), [500, 1000, 8000, 10_000, 10_000]);
}
