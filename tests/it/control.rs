//! Runs that are steered from another terminal by `lifeboat ctl`.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use serde_json::json;

use crate::common::{last_json, text, until};
use crate::workplace::{UNJUDGED, Workplace, said, starter};

/// Whoever steers, and from whom it really comes.
fn bob() -> String {
    format!("bob (user {})", starter())
}

/// A step that starts nothing is given this long to start something all the same.
const LOOKS: usize = 10;

#[test]
fn a_paused_drill_starts_nothing_until_it_goes_on_and_both_are_told() {
    let place = Workplace::new("700ms", "1ms");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/first", "started");
    place.order(&["pause", "--reason", "customers are calling"]);
    said(&place.ctl(&["pause"]), 69, &["the run is paused already"]);
    place.await_step("failover/first", "applied");
    for _ in 0..LOOKS {
        let status = last_json(&place.ctl(&["status", "--output", "json"]));
        assert_eq!((&status["paused"], &status["stage"]), (&json!(true), &json!("failover")), "{status}");
        let start = status["steps"].as_array().unwrap().iter().find(|step| step["step"] == "failover/start").unwrap();
        assert_eq!(start["state"], "waiting", "what runs goes on, nothing more begins");
    }
    let shown = text(&place.ctl(&["status"]).stdout);
    assert!(shown.contains("failover, paused") && shown.contains("failover/start  waiting"), "{shown}");
    place.order(&["resume"]);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
    let orders = place.all("ordered");
    assert_eq!(orders.len(), 2, "what is refused is not on record: {orders:?}");
    assert_eq!((&orders[0]["order"], &orders[0]["by"], &orders[0]["why"]), (&json!("pause"), &json!(bob()), &json!("customers are calling")));
    assert_eq!((&orders[1]["order"], &orders[1]["by"]), (&json!("unpause"), &json!(bob())));
    for report in ["report.en.md", "report.zh.md"] {
        assert!(place.report(report).contains("customers are calling"), "{}", place.report(report));
    }
}

#[test]
fn the_socket_of_a_run_is_its_owners_alone_and_goes_with_it() {
    let place = Workplace::new("3m", "1ms");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/first", "started");
    let socket = place.latest().join("ctl.sock");
    let about = fs::metadata(&socket).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(place.latest()).unwrap().permissions().mode() & 0o777, 0o700);
    place.order(&["abort"]);
    assert_eq!(drill.wait_with_output().unwrap().status.code(), Some(4));
    assert!(!socket.exists());
    place.is_as_before();
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let place = Workplace::new("1ms", "3m");
    said(&place.ctl(&["pause"]), 64, &["there is no run yet"]);
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/last", "started");
    for (arguments, code, part) in [
        (&["resume"][..], 69, "the run is not paused"),
        (&["skip", "start", "--reason", "x"], 69, "failover/start is done and cannot be done without"),
        (&["skip", "nothing", "--reason", "x"], 69, "the run has no step `nothing`"),
        (&["skip", "last"], 64, "doing without a step needs a reason"),
        (&["skip", "last", "--reason", " "], 64, "doing without a step needs a reason"),
        (&["skip", "fault", "--reason", "x"], 69, "the fault is no step"),
        (&["retry", "last"], 69, "failover/last is running and cannot be tried again"),
        (&["answer", "last", "yes"], 69, "no step asks anything"),
        (&["answer", "last", "perhaps"], 64, "[possible values: yes, no]"),
        (&["pause", "--as", ""], 69, "an order says who gives it"),
    ] {
        said(&place.ctl(arguments), code, &[part]);
    }
    said(&place.run(&["ctl", "no-such-run", "pause"]), 64, &["there is no run `no-such-run`"]);
    place.order(&["stop"]);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let parts = ["is not running", "lifeboat report", "lifeboat abort", "lifeboat resume"];
    said(&place.ctl(&["pause"]), 69, &parts);
    assert_eq!(place.all("ordered").len(), 0, "nothing of this was done");
    place.take_back();
}

#[test]
fn a_stopped_drill_takes_its_fault_out_and_leaves_its_steps_until_abort() {
    let place = Workplace::new("1ms", "3m");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/last", "started");
    place.order(&["stop", "--reason", "enough for today"]);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(place.has("fault", "undone") && !place.has("failover/start", "undoing"));
    let stop = &place.all("stop-requested")[0];
    assert_eq!((&stop["abort"], &stop["by"], &stop["why"]), (&json!(false), &json!(bob()), &json!("enough for today")));
    assert_ne!(place.lab.world(), place.before);
    place.take_back();
}

#[test]
fn a_step_is_done_without_while_it_runs_or_waits_and_the_reason_is_in_both_reports() {
    let place = Workplace::new("3m", "3m");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/first", "started");
    place.order(&["skip", "failover/last", "--reason", "nobody waits for it"]);
    place.order(&["skip", "first", "--reason", "waited long enough | really", "--as", "eve"]);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
    assert_eq!(place.await_step("failover/first", "skipped")["why"], format!("eve (user {}): waited long enough | really", starter()));
    assert_eq!(place.await_step("failover/last", "skipped")["why"], format!("{}: nobody waits for it", bob()));
    assert!(place.has("failover/start", "applied"), "what needs a step that was done without runs all the same");
    for report in ["report.en.md", "report.zh.md"] {
        let report = place.report(report);
        assert!(report.contains(&format!("{}: nobody waits for it", bob())) && report.contains("waited long enough \\| really"), "{report}");
    }
}

#[test]
fn a_failed_step_is_tried_again_by_a_person() {
    let place = Workplace::with_steps(&[
        "{ id: mark, uses: exec, with: { command: [/bin/sh, -c, 'test -e ready'] }, timeout: 10s }",
        "{ id: after, uses: note, needs: [mark], with: { text: the mark is there } }",
    ]);
    let drill = place.begin(&["drill", "drill.yaml", "--patience", "2m"]);
    place.await_step("failover/mark", "failed");
    let status = text(&place.ctl(&["status"]).stdout);
    assert!(status.contains("failover/mark   failed"), "{status}");
    place.order(&["retry", "mark"]);
    until("the second failure", || (place.all("failed").len() == 2).then_some(()));
    place.write("ready", "");
    place.order(&["retry", "failover/mark", "--reason", "the mark is there now"]);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
    let attempts: Vec<_> =
        place.all("started").into_iter().filter(|line| line["step"] == "failover/mark").map(|line| line["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(place.all("ordered").len(), 2);
    for report in ["report.en.md", "report.zh.md"] {
        assert!(place.report(report).contains("the mark is there now"));
    }
}

#[test]
fn without_patience_a_failed_step_waits_for_nobody_and_with_it_only_so_long() {
    for (patience, least) in [("0s", 0), ("1s", 500)] {
        let place = Workplace::with_steps(&["{ id: no, uses: exec, with: { command: [/bin/false] }, timeout: 10s }"]);
        let output = place.see_through(&["drill", "drill.yaml", "--patience", patience]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        place.is_as_before();
        let at = |event: &str, key: &str| place.await_step(key, event)["at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let waited = (at("undoing", "fault") - at("failed", "failover/no")).num_milliseconds();
        assert!(waited >= least && waited < least + 10_000, "{waited} ms");
    }
}

#[test]
fn giving_the_source_up_changes_what_runs_and_what_comes() {
    let place = Workplace::with_steps(&[
        "{ id: drain, uses: wait, with: { for: 3m }, timeout: 5m, ungraceful: skip }",
        "{ id: settle, uses: wait, needs: [drain], with: { for: 3m }, timeout: 5m, ungraceful: { with: { for: 1ms } } }",
        "{ id: compare, uses: note, needs: [settle], with: { text: same }, ungraceful: skip }",
        "{ id: after, uses: note, needs: [compare], with: { text: done } }",
    ]);
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/drain", "started");
    place.order(&["ungraceful", "--reason", "the source does not answer"]);
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
    for step in ["failover/drain", "failover/compare"] {
        assert_eq!(place.await_step(step, "skipped")["why"], "the source side is given up");
    }
    assert!(place.has("failover/settle", "applied") && place.has("failover/after", "applied"));
    assert_eq!(place.all("ordered")[0]["order"], "ungraceful");
    assert!(place.report("report.zh.md").contains("the source does not answer"));
    // The same from the beginning.
    let output = place.see_through(&["drill", "drill.yaml", "--ungraceful"]);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    assert!(place.has("failover/drain", "skipped") && !place.has("failover/drain", "started"));
}

#[test]
fn an_emergency_is_ended_by_stop_as_it_is_and_by_abort_taken_back() {
    for (order, undoes) in [("stop", false), ("abort", true)] {
        let place = Workplace::new("1ms", "3m");
        let emergency = place.begin(&["execute", "over.yaml", "--env", "lab"]);
        place.await_step("failover/last", "started");
        if order == "abort" {
            let parts = ["this puts back failover/start although the source side may be down; nothing was changed", "add --reason TEXT"];
            said(&place.ctl(&["abort"]), 77, &parts);
        }
        place.order(&[order, "--reason", "it was the wrong region"]);
        let output = emergency.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
        assert_eq!(place.has("failover/start", "undone"), undoes);
        assert_eq!(place.lab.world() == place.before, undoes);
    }
}
