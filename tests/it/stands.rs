//! What a run leaves in place: looked at once more before the verdict, and never taken back from under users unasked.

use serde_json::{Value, json};

use crate::common::{run, text, until};
use crate::pty::Terminal;
use crate::workplace::{UNJUDGED, Workplace, events, said, starter};

/// A failover as people write it: machines, names, a probe of the service, and what is known of the way back.
const OVER: &str = "lifeboat: 1
kind: runbook
title: { en: Over, zh: 切换 }
back: { source: [source], runbook: back.yaml }
probes:
  shop: { uses: http, with: { url: \"${{ vars.storefront }}\", timeout: 1s }, every: 200ms, bad_after: 2, good_after: 2 }
  source: { uses: http, with: { url: \"http://${{ vars.storefront_aliyun_address }}:8080/health\", timeout: 1s }, service: false }
steps:
  - { id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }
  - { id: shift, uses: dns.shift-weight, needs: [start], with: { zone: \"${{ vars.zone }}\", record: shop, to: { aws: 100, aliyun: 0 } }, timeout: 1m }
  - { id: seen, uses: wait-for, needs: [shift], with: { probe: shop, is: good }, timeout: 1m }
";
const BACK: &str = "lifeboat: 1
kind: runbook
title: Back
steps:
  - { id: shift, uses: dns.shift-weight, with: { zone: \"${{ vars.zone }}\", record: shop, to: { aws: 0, aliyun: 100 } }, timeout: 1m }
";
/// The disaster: nobody's runbook, but it comes through the same door.
const DISASTER: &str = "lifeboat: 1
kind: runbook
title: Disaster
steps:
  - { id: stop, uses: aliyun.ecs.stop-instances, with: { instances: { tags: { role: storefront, posture: active } } }, timeout: 1m }
";

fn place() -> Workplace {
    let place = Workplace::new("1ms", "1ms");
    for (name, written) in [("over.yaml", OVER), ("back.yaml", BACK), ("disaster.yaml", DISASTER)] {
        place.write(name, written);
    }
    place
}

/// Executes a runbook to its end.
fn execute(place: &Workplace, runbook: &str, code: i32) -> String {
    let output = place.see_through(&["execute", runbook, "--env", "lab"]);
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn what_serves_users_is_taken_back_for_a_reason_only_and_going_down_with_it_is_no_pass() {
    let place = place();
    execute(&place, "disaster.yaml", 0);
    let told = execute(&place, "over.yaml", 0);
    let run_id = place.run_id();
    for part in [
        "still in place: failover/start, failover/shift.",
        "The way back, once the source side is well again (source good): lifeboat execute back.yaml --env lab",
        "whether it is well or not: lifeboat abort",
    ] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    let serving = place.lab.world();
    let parts = [
        "serves users now",
        "service      shop is good",
        "source side  source is BAD",
        "failover/shift  record shop.example.com A aliyun: ",
        "failover/start  instance ",
        "THE SOURCE SIDE IS NOT GOOD: taking this back takes the service down",
        "The way back in order, with its checks: lifeboat execute back.yaml --env lab",
        "there is no terminal to ask on; nothing was changed",
        "add --yes-because REASON",
    ];
    said(&place.run(&["abort", &run_id]), 77, &parts);
    assert_eq!(place.lab.world(), serving, "and nothing was");
    said(&place.run(&["abort", &run_id, "--yes-because", " "]), 64, &["a reason is missing"]);

    let mut terminal = Terminal::run(&place.command(&["abort", &run_id]));
    terminal.await_text("Take it back all the same? Type why, or nothing to leave it: ");
    terminal.type_in("\r");
    assert_eq!(terminal.end(), Some(77), "{}", terminal.shown());
    assert_eq!(place.lab.world(), serving);

    let output = place.run(&["abort", &run_id, "--yes-because", "ordered by the crisis team"]);
    said(&output, 69, &["everything is put back, and shop went down with it"]);
    let ended = place.all("ended");
    let reasons = ended.last().unwrap()["reasons"].to_string();
    assert_eq!(ended.last().unwrap()["verdict"], "fail", "{ended:?}");
    assert!(reasons.contains("shop was down when the failover was taken back, or is since"), "{reasons}");
    assert!(place.report("report.en.md").contains(&format!("ordered by the crisis team ({})", starter())));
    assert!(place.report("report.zh.md").contains("撤回切换时"), "{}", place.report("report.zh.md"));
}

#[test]
fn users_are_led_back_to_a_source_that_is_well_for_a_reason_and_nothing_is_left() {
    let place = place();
    execute(&place, "over.yaml", UNJUDGED);
    said(&place.run(&["abort", "latest"]), 77, &["source side  source is good", "users are led back to it at once"]);
    let output = place.run(&["abort", "latest", "--yes-because", "a rehearsal"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    place.is_as_before();
}

#[test]
fn what_leads_nobody_is_taken_back_without_a_question() {
    let place = place();
    // Names are not shifted yet, or lead back already.
    place.write("over.yaml", &OVER.replace("needs: [start], with: { zone", "when: \"${{ false }}\", needs: [start], with: { zone"));
    execute(&place, "over.yaml", UNJUDGED);
    place.take_back();
    place.write("over.yaml", OVER);
    execute(&place, "over.yaml", UNJUDGED);
    let first = place.run_id();
    execute(&place, "back.yaml", 0);
    let output = place.run(&["abort", &first]);
    assert_ne!(output.status.code(), Some(77), "{}", text(&output.stderr));
}

#[test]
fn what_somebody_else_has_changed_since_is_said_before_anything_is_taken_back() {
    let place = place();
    execute(&place, "over.yaml", UNJUDGED);
    let first = place.run_id();
    place.write("back.yaml", &BACK.replace("{ aws: 0, aliyun: 100 }", "{ aws: 50, aliyun: 50 }"));
    execute(&place, "back.yaml", 0);
    let serving = place.lab.world();
    let parts = ["Not as the run made it any more", "failover/shift  record shop.example.com A aws: 50"];
    said(&place.run(&["abort", &first]), 77, &parts);
    assert_eq!(place.lab.world(), serving);
}

/// While the last step of `runbook` waits, `other` is executed; then the first run is let go on to its end.
fn meanwhile(place: &Workplace, runbook: &str, other: &str) -> (Option<i32>, Vec<Value>, String) {
    let child = place.begin(&["execute", runbook, "--env", "lab"]);
    place.await_step("failover/hold", "started");
    let (run_id, folder) = (place.run_id(), place.latest());
    let output = place.see_through(&["execute", other, "--env", "lab", "--override", "overlap=it is a controller"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let skipped = run(&mut place.command(&["ctl", &run_id, "skip", "hold", "--reason", "enough", "--as", "bob"]));
    assert_eq!(skipped.status.code(), Some(0), "{}", text(&skipped.stderr));
    let output = child.wait_with_output().unwrap();
    let report = std::fs::read_to_string(folder.join("report.zh.md")).unwrap();
    (output.status.code(), events(&folder), text(&output.stderr) + &report)
}

fn moved(events: &[Value]) -> Vec<(String, String, String)> {
    let kept = events.iter().find(|line| line["event"] == "kept").expect("what stays was read once more");
    let words = |one: &Value| ["step", "before", "after"].map(|key| one[key].as_str().unwrap().to_owned());
    kept["moved"].as_array().unwrap().iter().map(words).map(|[step, before, after]| (step, before, after)).collect()
}

#[test]
fn what_a_controller_puts_back_before_the_end_of_an_emergency_is_no_pass() {
    let place = Workplace::with_steps(&[
        "{ id: shift, uses: dns.shift-weight, with: { zone: \"${{ vars.zone }}\", record: shop, to: { aws: 100, aliyun: 0 } }, timeout: 1m }",
        "{ id: hold, needs: [shift], uses: wait, with: { for: 3m }, timeout: 5m }",
    ]);
    place.write("back.yaml", BACK);
    let (code, events, told) = meanwhile(&place, "over.yaml", "back.yaml");
    assert_eq!(code, Some(2), "{told}");
    let moved = moved(&events);
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert!(moved.iter().all(|(step, before, after)| step == "failover/shift" && before != after), "{moved:?}");
    for part in [
        "NOT AS IT WAS MADE: failover/shift record shop.example.com A ",
        "nothing of what it changed (changed by others since: failover/shift",
        "此后被改动",
    ] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    assert!(!told.contains("切换所做变更仍然保留"), "{told}");
}

#[test]
fn machines_that_somebody_stops_again_are_no_pass_either() {
    let place = Workplace::with_steps(&[
        "{ id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }",
        "{ id: hold, needs: [start], uses: wait, with: { for: 3m }, timeout: 5m }",
    ]);
    place.write("stop.yaml", "lifeboat: 1\nkind: runbook\ntitle: Stop\nsteps:\n  - { id: stop, uses: aws.ec2.stop-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }\n");
    let (code, events, told) = meanwhile(&place, "over.yaml", "stop.yaml");
    assert_eq!(code, Some(2), "{told}");
    let moved = moved(&events);
    assert!(!moved.is_empty() && moved.iter().all(|(_, before, after)| before == "running" && after == "stopped"), "{moved:?}");
}

#[test]
fn what_cannot_be_read_once_more_is_in_doubt_and_what_is_there_passes() {
    let place = Workplace::with_steps(&[
        "{ id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }",
        "{ id: hold, needs: [start], uses: wait, with: { for: 3m }, timeout: 5m }",
    ]);
    let child = place.begin(&["execute", "over.yaml", "--env", "lab"]);
    place.await_step("failover/hold", "started");
    place.misbehave(Some(json!({ "does": "denied", "calls": "ec2:DescribeInstances", "count": "forever" })));
    place.order(&["skip", "hold", "--reason", "enough"]);
    let output = child.wait_with_output().unwrap();
    said(&output, 3, &["NOT KNOWN TO BE STILL THERE: failover/start"]);
    place.misbehave(None);
    place.take_back();
}

#[test]
fn a_machine_that_is_still_starting_when_its_drill_is_taken_up_again_is_waited_for() {
    let place = Workplace::new("1ms", "1ms");
    let mut child = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/start", "intended");
    // The call has had its effect: machines are on their way.
    until("machines that start", || place.lab.world().to_string().contains("\"pending\"").then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = place.run(&["resume", "latest"]);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}{}", text(&output.stdout), text(&output.stderr));
    let found = place.await_step("failover/start", "found");
    assert_eq!(found["done"], "done", "{found}");
    place.is_as_before();
}

#[test]
fn a_secret_of_then_is_not_needed_to_put_back_what_does_not_use_it() {
    let place = Workplace::with_steps(&[
        "{ id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }",
        "{ id: tell, needs: [start], uses: exec, with: { command: [/bin/true], env: { TOKEN: { secret: \"env:TOKEN_OF_THEN\" } } }, timeout: 10s }",
    ]);
    let execute = place.starting(&["execute", "over.yaml", "--env", "lab"]);
    let output = run(place.command(&execute).env("TOKEN_OF_THEN", "t0ken-of-then"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = place.run(&["abort", "latest"]);
    place.is_as_before();
    assert!(!text(&output.stderr).contains("TOKEN_OF_THEN") && place.all("undo-failed").is_empty(), "{}", text(&output.stderr));
    assert_eq!(place.all("baseline")[0]["differences"], json!([]), "nor to see that it is put back");

    place.write("over.yaml", "lifeboat: 1\nkind: runbook\ntitle: Over\nsteps:\n  - { id: tell, uses: exec, with: { command: [/bin/true], undo: [/bin/true], env: { TOKEN: { secret: \"env:TOKEN_OF_THEN\" } } }, timeout: 10s }\n");
    let output = run(place.command(&execute).env("TOKEN_OF_THEN", "t0ken-of-then"));
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    said(&place.run(&["abort", "latest"]), 69, &["failover/tell", "env:TOKEN_OF_THEN"]);
    assert_eq!(run(place.command(&["abort", "latest"]).env("TOKEN_OF_THEN", "t0ken-of-then")).status.code(), Some(0));
}
