//! What cannot be put back is accepted by a person, with a name and a reason, and is held no longer; and what had ended says how.

use std::process::{Command, Output};

use crate::common::{run, text};
use crate::workplace::{Workplace, events};

/// What was said on either stream.
fn said(output: &Output, code: i32, parts: &[&str]) {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// The name of the user that the tests run as: it is theirs whatever LOGNAME says.
fn me() -> String {
    text(&run(Command::new("id").arg("-un")).stdout).trim().to_owned()
}

fn shift(aws: u32) -> String {
    let weights = format!("{{ aws: {aws}, aliyun: {} }}", 100 - aws);
    format!("{{ id: shift, uses: dns.shift-weight, with: {{ zone: \"${{{{ vars.zone }}}}\", record: shop, to: {weights} }}, timeout: 1m }}")
}

#[test]
fn what_somebody_else_has_changed_is_accepted_with_a_name_and_a_reason_and_held_no_longer() {
    let place = Workplace::with_steps(&[&shift(100)]);
    place.write("other.yaml", &format!("lifeboat: 1\nkind: runbook\ntitle: Other\nsteps:\n  - {}\n", shift(40)));
    assert_eq!(place.see_through(&["execute", "over.yaml", "--env", "lab"]).status.code(), Some(0));
    let me = me();
    let (id, folder) = (place.run_id(), place.latest());
    let ask = |arguments: &[&str]| run(place.command(arguments).env("LOGNAME", "bob"));
    // As long as it can be put back there is nothing to accept; a reason and a step of this run are needed.
    said(&ask(&["accept", &id, "shift", "--because", "it is fine"]), 64, &["nothing conflicts at failover/shift: it is as the run made it"]);
    said(&ask(&["accept", &id, "shift", "--because", " "]), 64, &["a reason is missing"]);
    said(&ask(&["accept", &id, "nothing", "--because", "x"]), 64, &["has no step `nothing`", "to be put back: failover/shift"]);

    assert_eq!(place.see_through(&["execute", "other.yaml", "--env", "lab", "--override", "overlap=by hand"]).status.code(), Some(0));
    let again = ["abort", &id, "--yes-because", "the source is well"];
    said(&ask(&again), 69, &["not everything is as it was before the run"]);
    said(
        &ask(&["accept", &id, "shift", "--because", "40/60 stays"]),
        0,
        &[&format!("failover/shift  accepted by {me} because 40/60 stays; "), " was ", ", is "],
    );

    let line = events(&folder).into_iter().find(|event| event["event"] == "accepted").expect("it is journalled");
    assert!(line["by"] == me.as_str() && line["why"] == "40/60 stays" && !line["is"].is_null(), "{line}");
    said(&ask(&["runs"]), 0, &["fail", &format!("accepted by {me} because 40/60 stays")]);
    let report = std::fs::read_to_string(folder.join("report.en.md")).unwrap();
    assert!(report.contains(&format!("not put back; accepted by {me}")) && report.contains("accepted as it is"), "{report}");
    assert!(!report.contains("everything put back"), "{report}");
    // Whoever asks again hears that it is decided; whoever wants to go on, how it ended.
    said(&ask(&again), 0, &[&format!("accepted by {me} because 40/60 stays")]);
    said(&ask(&["resume", &id]), 2, &["has ended (fail); there is nothing to go on with"]);
    said(&ask(&["accept", &id, "shift", "--because", "x"]), 64, &["is accepted already", &me]);
}

#[test]
fn what_is_going_on_is_not_accepted() {
    let place = Workplace::with_steps(&[&shift(100), "{ id: hold, needs: [shift], uses: wait, with: { for: 3m }, timeout: 5m }"]);
    let child = place.begin(&["execute", "over.yaml", "--env", "lab"]);
    place.await_step("failover/hold", "started");
    let id = place.run_id();
    let output = run(&mut place.command(&["accept", &id, "shift", "--because", "x"]));
    said(&output, 69, &["is going on", "nothing was accepted"]);
    let skipped = run(&mut place.command(&["ctl", &id, "skip", "hold", "--reason", "enough"]));
    assert_eq!(skipped.status.code(), Some(0), "{}", text(&skipped.stderr));
    child.wait_with_output().unwrap();
}
