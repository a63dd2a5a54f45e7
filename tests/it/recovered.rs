//! What is seen after the last change, and what was not: runs that must not pass by what was good before.

use std::fs;
use std::process::Output;

use crate::common::{last_json, path, text};
use crate::workplace::Workplace;

/// Good unless `broken` is there; it cannot tell while `blind` is.
const SHOP: &str = r#"if test -e blind; then echo '{"state": "unknown", "detail": "no token"}'; else test ! -e broken; fi"#;

/// A drill in which nothing but `shop` tells how the service is, and the failover has these steps.
fn place(every: &str, more: &str, steps: &[&str]) -> Workplace {
    let place = Workplace::with_steps(steps);
    let drill = format!(
        "lifeboat: 1
kind: scenario
title: {{ en: The sync stops, zh: 同步中断 }}
probes:
  shop: {{ uses: exec, with: {{ command: [/bin/sh, -c, {SHOP:?}], timeout: 2s }}, every: {every} }}
steady_state: {{ probes: [shop], hold: 100ms, timeout: 10s }}
fault: {{ uses: aliyun.dts.suspend-job, with: {{ job: dtsorders-primary }}, lease: 5m }}
failover: {{ runbook: over.yaml }}
recovered: {{ probes: [shop], stable_for: 200ms, timeout: 6s }}
{more}
"
    );
    place.write("drill.yaml", &drill);
    place
}

fn change(undo: &str, command: &str) -> String {
    format!("{{ id: change, uses: exec, with: {{ command: [/bin/sh, -c, '{command}'], undo: [/bin/sh, -c, '{undo}'] }}, timeout: 10s }}")
}

/// The exit code, and the report in both languages.
fn reports(output: &Output) -> (Option<i32>, String, String) {
    let english = path(&last_json(output)["report"]);
    let read = |name: &str| fs::read_to_string(english.with_file_name(name)).unwrap();
    (output.status.code(), read("report.en.md"), read("report.zh.md"))
}

#[track_caller]
fn says(output: &Output, code: i32, english: &str, chinese: &str) {
    let (ended, en, zh) = reports(output);
    assert_eq!(ended, Some(code), "{en}\n{}", text(&output.stderr));
    assert!(en.contains(english), "no `{english}` in {en}");
    assert!(zh.contains(chinese), "no `{chinese}` in {zh}");
    assert!(!en.contains("every objective met") && !en.contains("**PASS**"), "{en}");
}

#[test]
fn a_service_that_the_last_change_broke_is_not_recovered_however_seldom_it_is_looked_at() {
    let breaks = change("rm -f broken", "touch broken");
    let place = place("2s", "", &[&breaks, "{ id: say, uses: note, needs: [change], with: { text: all is well } }"]);
    let output = place.see_through(&["drill", "drill.yaml"]);
    says(&output, 2, "the service was not stable again within the time allowed: `shop` is bad", "业务未在允许时间内恢复稳定：`shop` 异常");
    place.is_as_before();
}

#[test]
fn a_service_that_cannot_be_read_since_the_change_is_neither_recovered_nor_not() {
    let place = place("200ms", "", &[&change("rm -f blind", "touch blind")]);
    let output = place.see_through(&["drill", "drill.yaml"]);
    says(
        &output,
        3,
        "whether the service recovered was not seen: `shop` could not be read (no token)",
        "未能观测到业务是否恢复：`shop` 无法读取（no token）",
    );
    place.is_as_before();
}

#[test]
fn an_undo_that_breaks_the_service_is_no_pass() {
    let place = place("200ms", "", &[&change("touch broken", "true")]);
    let output = place.see_through(&["drill", "drill.yaml"]);
    says(&output, 2, "the steady state did not return: `shop` is bad at the end", "稳态未恢复：结束时 `shop` 异常");
}

#[test]
fn nothing_is_injected_while_a_stop_condition_holds_already_or_nobody_can_read_it() {
    let other = r"  other: { uses: exec, with: { command: [/bin/sh, -c, 'SCRIPT'], timeout: 2s }, every: 200ms, bad_after: 2 }";
    for (script, why, zh) in [
        (
            "false",
            "probe other is bad already, for which this run would be stopped; nothing was injected",
            "探针 other 已处于异常状态，本次运行本应因此停止；未注入任何故障",
        ),
        ("echo '{\\\"state\\\": \\\"unknown\\\"}'", "probe other cannot be read (", "探针 other 无法读取（"),
    ] {
        let place = place("200ms", "stop_conditions: [{ probe: other, is: bad, for: 5s }]", &["{ id: say, uses: note, with: { text: hello } }"]);
        let drill = fs::read_to_string(place.path("drill.yaml")).unwrap();
        let other = other.replace('\'', "\"").replace("SCRIPT", script);
        place.write("drill.yaml", &drill.replace("steady_state:", &format!("{other}\nsteady_state:")));
        let output = place.see_through(&["drill", "drill.yaml"]);
        says(&output, 4, why, zh);
        assert!(!place.has("fault", "intended"), "{why}");
        place.is_as_before();
    }
}

#[test]
fn what_a_failback_did_for_each_of_some_things_is_held_against_what_was_there() {
    let place = place("200ms", "failback: { runbook: back.yaml }", &["{ id: say, uses: note, with: { text: hello } }"]);
    let stop = "{ id: stop, uses: aws.ec2.stop-instances, for_each: [checkout], with: { instances: { tags: { role: \"${{ item }}\", posture: active } } }, timeout: 1m }";
    place.write("back.yaml", &format!("lifeboat: 1\nkind: runbook\ntitle: Back\nsteps:\n  - {stop}\n"));
    let output = place.see_through(&["drill", "drill.yaml"]);
    let (code, english, chinese) = reports(&output);
    assert_eq!(code, Some(2), "{english}\n{}", text(&output.stderr));
    assert!(english.contains("is not put back") && chinese.contains("未能还原"), "{english}");
    let compared = &place.all("baseline")[0];
    assert_eq!(compared["differences"][0]["step"], "failback/stop[0]", "{compared}");
}
