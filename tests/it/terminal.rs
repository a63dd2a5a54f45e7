//! Whoever sits in front of a run: Ctrl-C, keys, questions; and signals where nobody does.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use lifeboat::model::time::Timestamp;

use crate::common::{run, text, until};
use crate::pty::{INTERRUPT, Terminal};
use crate::workplace::{UNJUDGED, Workplace, starter};

const DRILL: [&str; 2] = ["drill", "drill.yaml"];
const EMERGENCY: [&str; 5] = ["execute", "over.yaml", "--env", "lab", "--yes"];
const MENU: &str = "c go on · a abort: put all back · q stop: leave it · Ctrl-C aborts";

fn on_a_terminal(place: &Workplace, arguments: &[&str]) -> Terminal {
    Terminal::run(&place.command(&[arguments, &["--lab", place.lab.control()]].concat()))
}

#[test]
fn the_first_ctrl_c_asks_and_the_second_aborts() {
    let place = Workplace::new("1ms", "3m");
    let mut terminal = on_a_terminal(&place, &DRILL);
    place.await_step("failover/last", "started");
    until("keys", || terminal.is_key_by_key().then_some(()));
    terminal.type_and_see(INTERRUPT, MENU);
    assert!(place.all("stop-requested").is_empty(), "the run goes on while it asks");
    terminal.type_and_see("c", "p pause · s skip");
    terminal.type_and_see(INTERRUPT, MENU);
    terminal.type_in(INTERRUPT);
    assert_eq!(terminal.end(), Some(4), "{}", terminal.shown());
    place.is_as_before();
    let stop = &place.all("stop-requested")[0];
    assert_eq!((&stop["abort"], &stop["by"], &stop["why"]), (&json!(true), &json!("signal"), &json!("signal SIGINT")));
}

#[test]
fn the_third_ctrl_c_leaves_at_once_with_the_command_that_takes_it_back() {
    let place = Workplace::new("1ms", "3m");
    let mut terminal = on_a_terminal(&place, &DRILL);
    place.await_step("failover/last", "started");
    until("keys", || terminal.is_key_by_key().then_some(()));
    // The cloud does not let it put anything back.
    place.misbehave(Some(json!({ "does": "hang-before", "cloud": "aws", "count": "forever" })));
    place.misbehave(Some(json!({ "does": "hang-before", "cloud": "aliyun", "count": "forever" })));
    terminal.type_and_see(INTERRUPT, MENU);
    terminal.type_and_see(INTERRUPT, "everything is ending · Ctrl-C again leaves at once");
    place.await_step("fault", "undoing");
    terminal.type_and_see(INTERRUPT, "left at once, with everything as it is. What takes the run back:");
    assert_eq!(terminal.end(), Some(130), "{}", terminal.shown());
    let shown = terminal.shown();
    let command = shown.lines().find_map(|line| line.trim().strip_prefix("lifeboat ")).unwrap_or_else(|| panic!("no command: {shown}")).to_owned();
    assert!(command.starts_with(&format!("abort {} --reports /", place.run_id())), "{command}");
    place.misbehave(None);
    // From anywhere.
    let output = run(place.command(&command.split(' ').collect::<Vec<_>>()).current_dir("/"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    place.is_as_before();
}

#[test]
fn an_emergency_is_stopped_by_ctrl_c_and_keeps_what_it_did() {
    let place = Workplace::new("1ms", "3m");
    let mut terminal = on_a_terminal(&place, &EMERGENCY[..4]);
    terminal.await_after(0, "When did the disruption begin?");
    terminal.type_in("tomorrow\n");
    terminal.await_after(0, "`tomorrow` is not a time");
    terminal.type_in("10m\n");
    terminal.await_after(0, "Begin? y yes");
    terminal.type_in("y\n");
    place.await_step("failover/last", "started");
    until("keys", || terminal.is_key_by_key().then_some(()));
    terminal.type_and_see(INTERRUPT, "c go on · q stop: leave it as it is · a abort: put all back · Ctrl-C stops");
    terminal.type_in(INTERRUPT);
    assert_eq!(terminal.end(), Some(4), "{}", terminal.shown());
    assert_eq!(place.all("stop-requested")[0]["abort"], false);
    assert!(place.all("undoing").is_empty() && place.lab.world() != place.before);
    let started = &place.all("started")[0];
    let time = |text: &serde_json::Value| text.as_str().unwrap().parse::<Timestamp>().unwrap();
    let ago = time(&started["at"]).nanos_since(time(&started["plan"]["since"])) / 1_000_000_000;
    assert!((600..700).contains(&ago), "{ago} s");
    place.take_back();
}

#[test]
fn an_emergency_says_what_it_will_do_and_begins_only_when_somebody_says_yes() {
    let place = Workplace::new("1ms", "3m");
    for answer in ["\n", "n\n"] {
        let mut terminal = on_a_terminal(&place, &EMERGENCY[..4]);
        terminal.await_after(0, "When did the disruption begin?");
        terminal.type_in("\n");
        let asked = terminal.await_after(0, "Begin? y yes");
        let shown = terminal.shown();
        assert!(shown.contains("EMERGENCY, rehearsed in lab") && shown.contains("aws.ec2.start-instances  instance i-"), "{shown}");
        terminal.type_in(answer);
        terminal.await_after(asked, "nobody said yes; nothing was changed");
        assert_eq!(terminal.end(), Some(77), "{}", terminal.shown());
    }
    assert!(place.runs().is_empty());
    place.is_as_before();
}

#[test]
fn signals_without_a_terminal_abort_a_drill_and_stop_an_emergency() {
    for (signal, name) in [(Signal::INT, "signal SIGINT"), (Signal::TERM, "signal SIGTERM"), (Signal::HUP, "signal SIGHUP")] {
        // What becomes of an emergency whose terminal is closed is told below.
        let emergency = Some((&EMERGENCY[..], false)).filter(|_| signal != Signal::HUP);
        for (arguments, aborts) in [Some((&DRILL[..], true)), emergency].into_iter().flatten() {
            let place = Workplace::new("1ms", "3m");
            let child = place.begin(arguments);
            place.await_step("failover/last", "started");
            kill_process(Pid::from_child(&child), signal).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(4), "{name}: {}", text(&output.stderr));
            let stop = &place.all("stop-requested")[0];
            assert_eq!((&stop["abort"], &stop["why"]), (&json!(aborts), &json!(name)));
            assert_eq!(place.lab.world() == place.before, aborts, "{name}");
        }
    }
}

#[test]
fn an_emergency_outlives_its_terminal_and_is_reached_from_another() {
    let place = Workplace::with_steps(&[
        "{ id: first, uses: wait, with: { for: 3m }, timeout: 5m }",
        "{ id: start, uses: aws.ec2.start-instances, needs: [first], with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }",
    ]);
    // Closed with somebody in front of it, and hung up without anybody.
    let mut terminal = on_a_terminal(&place, &EMERGENCY);
    place.await_step("failover/first", "started");
    until("keys", || terminal.is_key_by_key().then_some(()));
    terminal.hang_up();
    place.order(&["skip", "first", "--reason", "the terminal is gone, the run is not"]);
    place.await_step("failover/start", "applied");
    until("the end", || (!place.all("ended").is_empty()).then_some(()));
    assert_eq!((place.all("stop-requested").len(), &place.all("ended")[0]["verdict"]), (0, &json!("inconclusive")), "nothing was down");
    terminal.await_end();
    assert!(place.latest().join("report.en.md").is_file(), "and its report is written");
    place.take_back();

    let mut hung_up = place.begin(&EMERGENCY);
    until("the second run", || (place.runs().len() == 2).then_some(()));
    place.await_step("failover/first", "started");
    kill_process(Pid::from_child(&hung_up), Signal::HUP).unwrap();
    place.order(&["skip", "first", "--reason", "go on"]);
    assert_eq!(hung_up.wait().unwrap().code(), Some(UNJUDGED));
    place.take_back();
}

#[test]
fn a_failed_step_of_an_emergency_on_a_terminal_waits_for_somebody_and_is_gone_on_with_after_that() {
    let place = Workplace::with_steps(&[
        "{ id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }",
        "{ id: mark, needs: [start], uses: exec, with: { command: [/bin/sh, -c, 'test -e ready'] }, timeout: 10s }",
        "{ id: after, needs: [mark], uses: note, with: { text: done } }",
    ]);
    let mut terminal = on_a_terminal(&place, &EMERGENCY);
    place.await_step("failover/mark", "failed");
    terminal.await_text("failover/mark failed: r tries it again, s does without it");
    terminal.await_text("r retry · s skip · 14m");
    terminal.type_and_see("q", "stop, and leave what the steps did as it is?");
    terminal.type_in("y");
    assert_eq!(terminal.end(), Some(2), "{}", terminal.shown());
    let shown = terminal.shown();
    let command = shown.lines().find_map(|line| line.split_once("To go on from there: lifeboat ")).unwrap_or_else(|| panic!("no way on: {shown}")).1;
    let command: Vec<&str> = command.split_whitespace().collect();
    // It fails again where it failed, and once it is mended it is done to its end.
    for (mended, code) in [(false, 2), (true, 0)] {
        if mended {
            place.write("ready", "");
        }
        let output = place.run(&[&command[..], &["--patience", "0s"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    }
    let started = |step: &str| place.all("started").into_iter().filter(|line| line["step"] == step).count();
    assert_eq!((started("failover/start"), started("failover/mark"), started("failover/after")), (1, 3, 1));
    assert_eq!(place.all("ended").last().unwrap()["verdict"], "pass", "what it started runs");
    let output = place.run(&["resume", "latest"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
    place.take_back();
}

#[test]
fn a_run_is_paused_and_a_step_skipped_for_a_reason_with_keys() {
    let place = Workplace::new("3m", "3m");
    let mut terminal = on_a_terminal(&place, &DRILL);
    place.await_step("failover/first", "started");
    terminal.await_text("p pause · s skip · q stop · a abort");
    terminal.type_and_see("p", "PAUSED: p goes on");
    terminal.type_and_see("p", "p pause · s skip");
    terminal.type_and_see("r", "no step has failed");
    terminal.type_and_see("s", "do without failover/first? Enter yes · Tab next of 3 · Esc no");
    terminal.type_and_see("\t\t", "do without failover/last?");
    terminal.type_and_see("\r", "doing without failover/last, because: _");
    terminal.type_and_see("\r", "doing without a step needs a reason");
    for (keys, step) in [("s\t\t\rnobody waits\r", "failover/last"), ("s\rlong enough\r", "failover/first")] {
        terminal.type_in(keys);
        place.await_step(step, "skipped");
    }
    assert_eq!(terminal.end(), Some(UNJUDGED), "{}", terminal.shown());
    place.is_as_before();
    let orders: Vec<_> = place.all("ordered").into_iter().map(|line| (line["order"].clone(), line["by"].clone(), line["why"].clone())).collect();
    let order = |order: &str, why: &str| (json!(order), json!(starter()), json!(why));
    assert_eq!(orders, [order("pause", ""), order("unpause", ""), order("skip", "nobody waits"), order("skip", "long enough")]);
}

#[test]
fn a_failed_step_is_tried_again_and_the_source_given_up_with_keys() {
    let place = Workplace::with_steps(&[
        "{ id: mark, uses: exec, with: { command: [/bin/sh, -c, 'test -e ready'] }, timeout: 10s }",
        "{ id: drain, uses: wait, needs: [mark], with: { for: 3m }, timeout: 5m, ungraceful: skip }",
    ]);
    let mut terminal = on_a_terminal(&place, &[&DRILL[..], &["--patience", "2m"]].concat());
    place.await_step("failover/mark", "failed");
    place.write("ready", "");
    terminal.type_in("r");
    place.await_step("failover/drain", "started");
    terminal.type_and_see("u", "give the source side up? y yes · n no");
    terminal.type_in("n");
    terminal.type_and_see("u", "give the source side up? y yes · n no");
    terminal.type_in("y");
    assert_eq!(terminal.end(), Some(UNJUDGED), "{}", terminal.shown());
    assert!(place.has("failover/mark", "applied") && place.has("failover/drain", "skipped"));
    place.is_as_before();
}

#[test]
fn stop_and_abort_with_keys_are_asked_once_more() {
    for (key, question, abort) in [("q", "stop, and leave what the steps did as it is?", false), ("a", "abort and put everything back?", true)] {
        let place = Workplace::new("1ms", "3m");
        let mut terminal = on_a_terminal(&place, &DRILL);
        place.await_step("failover/last", "started");
        terminal.await_text("q stop · a abort");
        terminal.type_and_see(key, question);
        terminal.type_and_see("n", "q stop · a abort");
        terminal.type_and_see(key, question);
        terminal.type_in("y");
        assert_eq!(terminal.end(), Some(4), "{}", terminal.shown());
        let stop = &place.all("stop-requested")[0];
        assert_eq!((&stop["abort"], &stop["by"]), (&json!(abort), &json!(starter())));
        assert_eq!(place.lab.world() == place.before, abort);
        if !abort {
            place.take_back();
        }
    }
}

#[test]
fn the_name_of_a_guarded_environment_is_typed() {
    let place = Workplace::new("1ms", "1ms");
    let drill = ["drill", "drill.yaml", "--env", "strict"];
    let mut wrong = on_a_terminal(&place, &drill);
    wrong.await_text("Type the name of the environment to begin (strict): ");
    wrong.type_in("lab\r");
    assert_eq!(wrong.end(), Some(77), "{}", wrong.shown());
    // It may be read a moment after the command's end.
    wrong.await_text("`lab` was given as the name of strict");
    assert!(place.runs().is_empty());
    let mut right = on_a_terminal(&place, &drill);
    right.await_text("(strict): ");
    right.type_in("strict\r");
    assert_eq!(right.end(), Some(UNJUDGED), "{}", right.shown());
    place.is_as_before();
}
