//! Keys in, orders and texts out.

use super::*;
use crate::model::event::step::{StepEvent, StepKind};
use crate::model::event::{Body, Event, samples};

fn press(prompt: &mut Prompt, keys: &str, state: &RunState) -> Option<(Order, String)> {
    keys.chars().filter_map(Key::of).filter_map(|key| prompt.pressed(key, state)).last()
}

#[test]
fn ctrl_c_asks_then_ends_then_leaves() {
    let mut interrupts = Interrupts::default();
    assert_eq!([(); 4].map(|()| interrupts.press(true, false)), [Interrupt::Ask, Interrupt::End, Interrupt::Leave, Interrupt::Leave]);
    let mut nobody = Interrupts::default();
    assert_eq!([(); 3].map(|()| nobody.press(false, false)), [Interrupt::End, Interrupt::End, Interrupt::Leave]);
    let mut ending = Interrupts::default();
    assert_eq!([(); 2].map(|()| ending.press(true, true)), [Interrupt::Ask, Interrupt::Leave]);
}

#[test]
fn going_on_takes_ctrl_c_back() {
    let (mut prompt, state) = (Prompt::new(Lang::En), RunState::default());
    assert_eq!(prompt.interrupted(true, &state), Interrupt::Ask);
    assert_eq!(press(&mut prompt, "xc", &state), None);
    assert_eq!(prompt.interrupted(true, &state), Interrupt::Ask);
    assert_eq!(press(&mut prompt, "a", &state).unwrap().0, Order::Abort);
}

#[test]
fn what_cannot_be_taken_back_is_asked_once_more() {
    let (mut prompt, state) = (Prompt::new(Lang::En), RunState::default());
    assert_eq!(press(&mut prompt, "a", &state), None);
    assert_eq!(press(&mut prompt, "n", &state), None);
    assert_eq!(press(&mut prompt, "y", &state), None, "no longer asked");
    assert_eq!(press(&mut prompt, "ay", &state).unwrap().0, Order::Abort);
    assert_eq!(press(&mut prompt, "qy", &state).unwrap().0, Order::Stop);
    assert_eq!(press(&mut prompt, "uy", &state).unwrap().0, Order::Ungraceful);
    assert_eq!(press(&mut prompt, "p", &state).unwrap().0, Order::Pause);
}

#[test]
fn sequences_of_a_terminal_are_not_typed() {
    assert_eq!(Key::all(b"\x1b[A"), []);
    assert_eq!(Key::all(b"\x1b"), [Key::Escape]);
    assert_eq!(Key::all("é\r\x7f\x01\t".as_bytes()), [Key::Char('é'), Key::Enter, Key::Backspace, Key::Tab]);
}

/// The state of a sample run just after this event of a step.
fn after(events: &[Event], step: &str, is_it: impl Fn(&StepKind) -> bool) -> RunState {
    let found = events.iter().position(|event| matches!(&event.body, Body::Step(StepEvent { step: own, kind }) if own == step && is_it(kind)));
    RunState::from_events(&events[..=found.unwrap()]).unwrap()
}

/// The standby's first attempt has failed; four steps wait.
fn in_trouble() -> RunState {
    after(&samples::success(), "failover/start-standby", |kind| matches!(kind, StepKind::AttemptFailed { .. }))
}

/// Somebody is asked to share an image.
fn asking() -> RunState {
    after(&samples::steered(), "failover/share-image", |kind| matches!(kind, StepKind::Asked { .. }))
}

fn skip(step: &str) -> Order {
    Order::Skip { step: step.into() }
}

#[test]
fn a_step_is_picked_with_tab_and_done_without_for_a_reason() {
    let (mut prompt, state) = (Prompt::new(Lang::En), in_trouble());
    assert_eq!(press(&mut prompt, "s", &state), None);
    assert_eq!(prompt.line(&state), "do without failover/start-standby? Enter yes · Tab next of 5 · Esc no", "what is in trouble comes first");
    assert_eq!(press(&mut prompt, "\t", &state), None);
    assert_eq!(prompt.line(&state), "do without failover/shift-dns? Enter yes · Tab next of 5 · Esc no");
    assert_eq!(press(&mut prompt, "\t\t\t\t\t\t", &state), None, "it goes round");
    assert_eq!(press(&mut prompt, "\r", &state), None);
    assert_eq!(prompt.line(&state), "doing without failover/watch-recovery, because: _");
    assert_eq!(press(&mut prompt, " \r", &state), None, "an empty reason is none");
    assert_eq!(prompt.line(&state), "doing without a step needs a reason");
    let given = press(&mut prompt, "s\rseen byx\u{7f} hand \r", &state);
    assert_eq!(given, Some((skip("failover/start-standby"), "seen by hand".to_owned())));
    assert_eq!(prompt.pressed(Key::Char('s'), &state), None);
    assert_eq!(prompt.pressed(Key::Escape, &state), None);
    assert!(prompt.line(&state).starts_with("p pause"), "{}", prompt.line(&state));
}

#[test]
fn a_reason_ends_somewhere_and_can_be_given_up() {
    let (mut prompt, state) = (Prompt::new(Lang::En), in_trouble());
    press(&mut prompt, "s\r", &state);
    let (order, why) = press(&mut prompt, &("é".repeat(300) + "\r"), &state).unwrap();
    assert!(order == skip("failover/start-standby") && why.len() <= LONGEST + 1, "{}", why.len());
    press(&mut prompt, "s\rnever", &state);
    assert_eq!(prompt.pressed(Key::Escape, &state), None);
    assert_eq!(press(&mut prompt, "\r", &state), None, "nothing is typed any more");
}

#[test]
fn the_only_failed_step_is_tried_again_at_once_and_none_is_said() {
    let (mut prompt, state) = (Prompt::new(Lang::En), in_trouble());
    assert_eq!(press(&mut prompt, "r", &state), Some((Order::Retry { step: "failover/start-standby".into() }, String::new())));
    let (mut prompt, state) = (Prompt::new(Lang::En), asking());
    assert_eq!(press(&mut prompt, "r", &state), None);
    assert_eq!(prompt.line(&state), "no step has failed");
}

#[test]
fn a_step_that_failed_for_good_waits_to_be_mended_only_as_long_as_the_plan_says_so() {
    let failed = |events: &[Event]| after(events, "failover/share-image", |kind| matches!(kind, StepKind::Failed { .. }));
    let (mut prompt, state) = (Prompt::new(Lang::En), failed(&samples::steered()));
    assert!(prompt.line(&state).contains("r retry"), "{}", prompt.line(&state));
    assert_eq!(press(&mut prompt, "r", &state), Some((Order::Retry { step: "failover/share-image".into() }, String::new())));
    press(&mut prompt, "s", &state);
    assert!(prompt.line(&state).starts_with("do without failover/share-image?"), "{}", prompt.line(&state));
    let mut events = samples::steered();
    let Body::Run(crate::model::event::RunEvent::Started { plan, .. }) = &mut events[0].body else { panic!("starts") };
    plan.limits.patience = crate::model::time::Span::default();
    let mut prompt = Prompt::new(Lang::En);
    assert_eq!(press(&mut prompt, "r", &failed(&events)), None);
    assert_eq!(prompt.line(&failed(&events)), "no step has failed");
}

#[test]
fn of_several_failed_steps_one_is_picked() {
    let mut state = in_trouble();
    state.steps.get_mut("failover/shift-dns").unwrap().status = Status::Retrying;
    let mut prompt = Prompt::new(Lang::En);
    assert_eq!(press(&mut prompt, "r", &state), None);
    assert_eq!(prompt.line(&state), "try again failover/start-standby? Enter yes · Tab next of 2 · Esc no");
    assert_eq!(press(&mut prompt, "\t\r", &state), Some((Order::Retry { step: "failover/shift-dns".into() }, String::new())));
    // A step that has ended while it was picked cannot be picked any more.
    press(&mut prompt, "r", &state);
    for step in ["failover/shift-dns", "failover/start-standby"] {
        state.steps.get_mut(step).unwrap().status = Status::Applied;
    }
    assert_eq!((prompt.line(&state).as_str(), press(&mut prompt, "\r", &state)), ("", None));
}

#[test]
fn a_question_is_answered_yes_at_once_and_no_with_a_reason() {
    let (mut prompt, state) = (Prompt::new(Lang::En), asking());
    let answer = |yes| Order::Answer { step: "failover/share-image".into(), yes };
    assert_eq!(prompt.line(&state), "y yes · n no   failover/share-image: Share the image?");
    assert_eq!(press(&mut prompt, "y", &state), Some((answer(true), String::new())));
    assert_eq!(press(&mut prompt, "n", &state), None);
    assert_eq!(prompt.line(&state), "no to failover/share-image, because: _");
    assert_eq!(press(&mut prompt, "not today\r", &state), Some((answer(false), "not today".to_owned())));
    assert_eq!(press(&mut prompt, "n\r", &state), Some((answer(false), String::new())), "a no needs no reason");
    let state = after(&samples::steered(), "failover/start-standby", |kind| matches!(kind, StepKind::Asked { .. }));
    assert_eq!(prompt.line(&state), "y done · n no   failover/start-standby: Start them");
    assert_eq!(press(&mut Prompt::new(Lang::En), "y", &in_trouble()), None, "nothing is asked");
}

#[test]
fn the_foot_says_what_can_be_done_and_nothing_before_the_start_and_after_the_end() {
    let mut prompt = Prompt::new(Lang::En);
    assert_eq!(prompt.line(&RunState::default()), "");
    assert_eq!(prompt.line(&RunState::from_events(&samples::success()).unwrap()), "");
    let mut state = in_trouble();
    assert_eq!(prompt.line(&state), "p pause · s skip · r retry · q stop · a abort");
    prompt.answered(Err("the run is ending".into()));
    assert_eq!(prompt.line(&state), "the run is ending");
    assert_eq!(press(&mut prompt, "x", &state), None, "any key takes it away");
    state.orders.push(crate::model::state::Steered { at: state.at.unwrap(), order: Order::Pause, by: "ann".into(), why: String::new() });
    assert!(prompt.line(&state).starts_with("PAUSED: p goes on"), "{}", prompt.line(&state));
    assert_eq!(press(&mut prompt, "p", &state).unwrap().0, Order::Unpause);
}

#[test]
fn while_everything_ends_only_leaving_is_left() {
    let events = samples::aborted();
    let stop = events.iter().position(|event| matches!(event.body, Body::Run(crate::model::event::RunEvent::StopRequested { .. }))).unwrap();
    let state = RunState::from_events(&events[..=stop]).unwrap();
    let mut prompt = Prompt::new(Lang::En);
    assert_eq!(prompt.line(&state), "");
    assert_eq!(prompt.interrupted(true, &state), Interrupt::Ask);
    assert_eq!(prompt.line(&state), "Ctrl-C again leaves at once, with things as they are · c goes on");
    assert_eq!(prompt.interrupted(true, &state), Interrupt::Leave);
}

#[test]
fn the_question_keeps_its_step_while_the_others_move_on() {
    let (mut prompt, mut state) = (Prompt::new(Lang::En), in_trouble());
    press(&mut prompt, "s\t", &state);
    assert!(prompt.line(&state).starts_with("do without failover/shift-dns?"), "{}", prompt.line(&state));
    // What stood before it is over: it stands elsewhere among those that are left.
    state.steps.get_mut("failover/start-standby").unwrap().status = Status::Applied;
    assert!(prompt.line(&state).starts_with("do without failover/shift-dns?"), "{}", prompt.line(&state));
    state.steps.get_mut("failover/shift-dns").unwrap().status = Status::Applied;
    assert_eq!(press(&mut prompt, "\r", &state), None, "another step is not done without in its place");
    assert_eq!(prompt.line(&state), "failover/shift-dns went on meanwhile");
}

#[test]
fn in_an_emergency_ctrl_c_stops_and_says_so() {
    let events = samples::emergency();
    let begun = events.iter().position(|event| matches!(&event.body, Body::Step(_))).unwrap();
    let state = RunState::from_events(&events[..=begun]).unwrap();
    let mut prompt = Prompt::new(Lang::En);
    assert_eq!(prompt.interrupted(true, &state), Interrupt::Ask);
    assert_eq!(prompt.line(&state), "c go on · q stop: leave it as it is · a abort: put all back · Ctrl-C stops");
    assert!(Prompt::new(Lang::Zh).line(&state).starts_with("p 暂停 · s 跳过"));
}

#[test]
fn ctrl_c_says_what_the_next_one_does() {
    let (mut prompt, state) = (Prompt::new(Lang::En), in_trouble());
    assert_eq!(prompt.interrupted(true, &state), Interrupt::Ask);
    assert_eq!(prompt.line(&state), "c go on · a abort: put all back · q stop: leave it · Ctrl-C aborts");
    assert_eq!(prompt.interrupted(true, &state), Interrupt::End);
    assert_eq!(prompt.line(&state), "everything is ending · Ctrl-C again leaves at once");
}
