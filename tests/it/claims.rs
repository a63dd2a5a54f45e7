//! What runs claim about themselves: that they are exercises, what cannot be undone, what stands, and where a host makes all the difference.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::common::{folder, last_json, lifeboat, path, run, text};
use crate::workplace::{UNJUDGED, Workplace, said};

/// Says yes to whatever is asked.
fn obliging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

/// The line of a report that begins so.
#[track_caller]
fn line<'a>(report: &'a str, head: &str) -> &'a str {
    report.lines().find(|line| line.starts_with(head)).unwrap_or_else(|| panic!("no line `{head}`: {report}"))
}

const START: &str =
    "{ id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }";

#[test]
fn what_cannot_be_undone_is_named_in_journal_report_and_list() {
    let url = obliging();
    let place = Workplace::with_steps(&[
        "{ id: command, uses: exec, with: { command: [/bin/sh, -c, 'exit 0'] } }",
        &format!("{{ id: request, uses: http.request, with: {{ url: '{url}/switch', method: POST }} }}"),
        &format!("{{ id: look, uses: http.request, with: {{ url: '{url}/look' }} }}"),
        "{ id: both, uses: exec, with: { command: [/bin/sh, -c, 'exit 0'], undo: [/bin/sh, -c, 'exit 0'] } }",
    ]);
    let output = place.see_through(&["drill", "drill.yaml"]);
    said(
        &output,
        UNJUDGED,
        &["cannot be undone: failover/command: what `/bin/sh` did", "cannot be undone: failover/request: what 127.0.0.1 did with the request"],
    );
    assert!(!text(&output.stderr).contains("still in place"), "no command takes that back: {}", text(&output.stderr));
    place.is_as_before();
    for step in ["failover/command", "failover/request"] {
        assert!(place.has(step, "not-undone") && !place.has(step, "undone"), "{step}");
        assert_eq!(place.await_step(step, "irrevocable")["all"], true);
    }
    for step in ["failover/look", "failover/both"] {
        assert!(place.has(step, "undone") && !place.has(step, "irrevocable"), "{step}");
    }
    let (english, chinese) = (place.report("report.en.md"), place.report("report.zh.md"));
    assert_eq!((english.matches("▲ cannot be undone").count(), chinese.matches("▲ 无法撤销").count()), (2, 2), "{english}");
    assert!(line(&english, "| **Verdict**").ends_with("· failback not tested · 2 changes stand |"), "{english}");
    assert!(!english.contains("Nothing is left over") && !english.contains("everything put back") && !chinese.contains("无残留"), "{english}");
    let listed = last_json(&place.run(&["runs", "--output", "json"]));
    assert_eq!(listed[0]["remark"], "cannot be undone: failover/command, failover/request");
    assert_eq!(listed[0].get("solve"), None, "nothing solves it");
}

#[test]
fn what_was_already_as_asked_or_refused_is_not_still_in_place() {
    let place = Workplace::with_steps(&[START]);
    said(&place.see_through(&["execute", "over.yaml", "--env", "lab"]), 0, &["still in place: failover/start. To take it back: "]);
    let first = place.report("report.en.md");
    assert!(
        line(&first, "| **Verdict**").contains("failback not tested · ") && first.contains("kept: in an emergency nothing is undone unasked"),
        "{first}"
    );
    assert!(line(&first, "| **Why**").contains("no probe watched a service: judged by its steps alone, every required step done, "), "{first}");
    assert!(first.starts_with("# Failover report, rehearsal of an emergency") && !first.contains("real failover"), "{first}");
    // The same again changes nothing.
    let output = place.see_through(&["execute", "over.yaml", "--env", "lab", "--override", "overlap=the other one is over"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("still in place"), "{}", text(&output.stderr));
    let again = place.report("report.en.md");
    assert!(again.contains("Nothing is left over.") && again.contains("– changed nothing"), "{again}");
    place.run(&["abort", place.runs()[0].file_name().unwrap().to_str().unwrap()]);
    // Nor does one that is refused.
    place.misbehave(Some(json!({ "does": "denied", "calls": "ec2:StartInstances", "count": "forever" })));
    let output = place.see_through(&["execute", "over.yaml", "--env", "lab", "--override", "overlap=the others are over"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("still in place"), "{}", text(&output.stderr));
    let listed = last_json(&place.run(&["runs", "--output", "json"]));
    assert_eq!(listed.as_array().unwrap().last().unwrap().get("remark"), None, "{listed}");
}

#[test]
fn a_failover_that_stays_is_listed_and_its_way_back_not_tested() {
    let place = Workplace::with_steps(&[START]);
    let output = place.see_through(&["drill", "drill.yaml", "--no-failback"]);
    said(&output, UNJUDGED, &["still in place: failover/start"]);
    let (english, chinese) = (place.report("report.en.md"), place.report("report.zh.md"));
    assert!(line(&english, "- `failover/start`").ends_with("kept as asked (`--no-failback`)"), "{english}");
    assert!(line(&english, "| **Verdict**").contains("failback not tested") && line(&chinese, "| **结论**").contains("未测试回切"), "{english}");
    assert!(!english.contains("Nothing is left over") && !english.contains("nothing is left over"), "{english}");
    let listed = last_json(&place.run(&["runs", "--output", "json"]));
    assert_eq!(listed[0]["remark"], "1 applied, not undone: failover/start");
    place.take_back();
}

#[test]
fn a_drill_on_a_vendors_own_host_keeps_its_guards_whoever_wrote_the_host() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write(
        "drill.yaml",
        "lifeboat: 1\nkind: scenario\ntitle: Route\nfault: { uses: aws.ec2.blackhole-route, with: { route_table: rtb-1, destination: 10.0.0.0/8, interface: eni-1 }, lease: 1m }\nfailover: { runbook: say.yaml }\n",
    );
    write("say.yaml", "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
    for endpoint in ["https://ec2.us-east-1.amazonaws.com", "https://vpce-1.ec2.us-east-1.vpce.amazonaws.com:443/", "https://relay.shop.example.org"]
    {
        write("lifeboat.yaml", &format!("lifeboat: 1\nenvironments: {{ prod: {{ aws: {{ region: us-east-1, endpoint: '{endpoint}' }} }} }}\n"));
        let output = run(lifeboat().current_dir(folder.path()).args(["drill", "drill.yaml", "--env", "prod"]));
        said(&output, 77, &["environment prod is on real clouds and has no guards"]);
    }
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn a_host_that_is_not_the_vendors_makes_a_run_simulated_wherever_it_is_written() {
    let folder = folder();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    write("say.yaml", "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
    fs::create_dir(folder.path().join(".aws")).unwrap();
    const ONE_BY_ONE: [(&str, &str); 5] = [
        ("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9"),
    ];
    let how = |endpoint: &str, variables: &[(&str, &str)], profile: &str| {
        write(
            "lifeboat.yaml",
            &format!("lifeboat: 1\nenvironments: {{ ours: {{ exercise: live_full, aws: {{ region: us-east-1{endpoint} }} }} }}\n"),
        );
        write(".aws/config", profile);
        let mut command = lifeboat();
        command.current_dir(folder.path()).env("HOME", folder.path()).args(["execute", "say.yaml", "--env", "ours", "--output", "json"]);
        let output = run(command.envs(variables.iter().copied()));
        let printed: Value = last_json(&output);
        line(&fs::read_to_string(path(&printed["report"])).unwrap(), "| **How real**").to_owned()
    };
    for (endpoint, variables, profile) in [
        (", endpoint: 'http://127.0.0.1:9'", &[][..], ""),
        ("", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")], ""),
        ("", &ONE_BY_ONE, ""),
        ("", &[], "[default]\nendpoint_url = http://127.0.0.1:9\n"),
    ] {
        let how = how(endpoint, variables, profile);
        let simulated = "`simulated`: calls went to hosts that are not the clouds' own: `aws 127.0.0.1`";
        assert!(how.contains(simulated) && how.contains("declared, and not counted: `live_full`"), "{endpoint} {variables:?} {profile}: {how}");
    }
    for (endpoint, variables) in
        [("", &[][..]), ("", &[("AWS_ENDPOINT_URL", "https://ec2.us-east-1.amazonaws.com")]), (", endpoint: 'https://ec2.us-east-1.api.aws'", &[])]
    {
        let how = how(endpoint, variables, "");
        assert!(how.contains("real failover, no exercise"), "{endpoint} {variables:?}: {how}");
    }
}
