//! A journal that cannot be written, on the machine's own clock.

use super::*;
use crate::engine::machine::unwritten::PATIENCE;

/// A drill at the moment at which its failover is under way: the fault stands, `a` is done, `b` hangs.
fn under_way() -> Rig {
    let rig = Rig::start(plan(vec![step("a", &[]), step("b", &["a"])]), |rig| rig.hang = vec!["failover/b"]);
    assert!(rig.log.contains(&"failover/b intended".to_owned()), "{:?}", rig.log);
    rig
}

fn fails(rig: &mut Rig) {
    rig.feed(Input::JournalFailed("No space left on device".into()));
}

#[test]
fn only_the_fault_is_taken_out_and_the_rest_is_left_when_patience_is_over() {
    let mut rig = under_way();
    fails(&mut rig);
    assert_eq!(rig.undone(), [FAULT]);
    let patience = PATIENCE.as_secs();
    rig.at(5 + patience - 1);
    assert!(!rig.log.contains(&"leave".to_owned()));
    rig.at(5 + patience);
    assert_eq!((rig.undone(), rig.log.last().unwrap().as_str()), (vec![FAULT], "leave"));
    assert_eq!(rig.machine.left(), Left { fault_is_out: Some(true), held: vec!["failover/a".into(), "failover/b".into()] });
}

#[test]
fn once_it_can_be_written_again_everything_is_put_back() {
    let mut rig = under_way();
    fails(&mut rig);
    rig.at(6);
    rig.feed(Input::JournalWritten);
    assert_eq!(rig.undone(), [FAULT, "failover/b", "failover/a"]);
}

#[test]
fn whoever_asks_to_end_meanwhile_is_not_kept_waiting_but_the_fault_is() {
    let mut rig = under_way();
    rig.hang.push("undo fault");
    fails(&mut rig);
    rig.order(Order::Abort);
    assert!(!rig.log.contains(&"leave".to_owned()), "the fault is not out yet");
    rig.feed(Input::Undone(FAULT.into(), Ok(Undone::Restored)));
    assert_eq!(rig.log.last().unwrap(), "leave");
}

#[test]
fn what_is_being_put_back_waits_too_and_a_fault_that_was_never_sent_is_let_be() {
    let mut rig = under_way();
    rig.hang.push("undo failover/b");
    rig.order(Order::Abort);
    assert_eq!(rig.undone(), [FAULT, "failover/b"]);
    fails(&mut rig);
    rig.feed(Input::Undone("failover/b".into(), Err(Failure::new(FailureKind::Cancelled, "cut off"))));
    rig.at(7);
    assert_eq!(rig.undone(), [FAULT, "failover/b"], "nothing more is begun");
    rig.feed(Input::JournalWritten);
    assert_eq!(rig.undone(), [FAULT, "failover/b", "failover/b"]);

    let mut rig = Rig::new(plan(vec![step("a", &[])]));
    rig.hang = vec![FAULT, "cancel fault"];
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    rig.at(3);
    assert_eq!(rig.log.last().unwrap(), "fault intended");
    fails(&mut rig);
    rig.feed(Input::NotSent(FAULT.into()));
    assert_eq!((rig.undone(), rig.machine.left().fault_is_out), (vec![], None));
}

#[test]
fn an_emergency_leaves_everything_and_says_so() {
    let emergency = Plan { mode: Mode::Emergency, fault: None, steady_state: None, detect: None, ..plan(vec![step("a", &[]), step("b", &["a"])]) };
    let mut rig = Rig::new(emergency);
    rig.hang = vec!["failover/b"];
    rig.feed(Input::Start);
    assert!(rig.log.contains(&"failover/b intended".to_owned()), "{:?}", rig.log);
    fails(&mut rig);
    rig.at(PATIENCE.as_secs());
    assert_eq!((rig.undone(), rig.log.last().unwrap().as_str()), (vec![], "leave"));
}

#[test]
fn a_drill_goes_back_while_there_is_room_to_write_it_down() {
    let mut rig = under_way();
    rig.feed(Input::JournalShort("No space left on device".into()));
    assert_eq!(rig.undone(), [FAULT, "failover/b", "failover/a"]);
}
