//! One fault-injecting run for each environment, the lever, and runs that would get into each other's way.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::common::{folder, last_json, run, text, until};
use crate::workplace::{UNJUDGED, Workplace, events, said, starter};

const SHARED: &str = "instance i-0a11febe0a7500001";

/// Runs a command as it was printed: whoever reads it pastes it into a shell.
#[track_caller]
fn paste(place: &Workplace, printed: &str) {
    let arguments = printed.strip_prefix("lifeboat ").unwrap_or_else(|| panic!("no command: {printed}"));
    let output = place.run(&arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{printed}: {}", text(&output.stderr));
}

/// The command between backquotes in what was said.
#[track_caller]
fn hinted(said: &str) -> String {
    let hint = said.lines().find_map(|line| line.trim_start().strip_prefix("hint: `")).unwrap_or_else(|| panic!("no hint: {said}"));
    hint.split('`').next().unwrap().to_owned()
}

#[test]
fn halt_aborts_what_runs_and_no_drill_begins_until_release() {
    let place = Workplace::new("1ms", "3m");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/last", "started");
    let halted = run(&mut place.command(&["halt", "--env", "lab", "--reason", "an incident"]));
    let shown = text(&halted.stdout);
    assert_eq!(halted.status.code(), Some(0), "{shown}{}", text(&halted.stderr));
    for part in ["environment lab is halted", "`lifeboat release --env lab`", "is told to put everything back", "everything is put back"] {
        assert!(shown.contains(part), "`{part}` is not in: {shown}");
    }
    // It waits until all is back.
    place.is_as_before();
    assert_eq!(drill.wait_with_output().unwrap().status.code(), Some(4));
    let stop = &place.all("stop-requested")[0];
    assert_eq!((&stop["by"], &stop["why"], &stop["abort"]), (&json!(starter()), &json!("halt: an incident"), &json!(true)));
    assert!(place.report("report.en.md").contains("halt: an incident"));

    let runs = place.runs().len();
    said(
        &place.see_through(&["drill", "drill.yaml"]),
        69,
        &[&format!("halted by {}", starter()), "an incident; nothing was changed", "`lifeboat release --env lab` lets"],
    );
    assert_eq!(place.runs().len(), runs, "a refused run leaves no folder");
    let again = place.run(&["halt", "--env", "lab", "--reason", "another one", "--output", "json"]);
    assert_eq!((again.status.code(), last_json(&again)["runs"].clone()), (Some(0), json!([])));
    assert!(text(&place.run(&["runs"]).stdout).contains("an incident"), "the first reason counts");

    // The lever is one of that environment, and for drills.
    place.write("over.yaml", "lifeboat: 1\nkind: runbook\ntitle: Over\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
    for (arguments, code) in [
        (&["drill", "drill.yaml"][..], 69),
        (&["drill", "drill.yaml", "--env", "other"], UNJUDGED),
        (&["execute", "over.yaml", "--env", "lab"], UNJUDGED),
    ] {
        let output = place.see_through(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    }
    let released = text(&place.run(&["release", "--env", "lab", "--reason", "it is over"]).stdout);
    assert!(released.contains("drills may begin again") && released.contains("an incident"), "{released}");
    assert!(text(&place.run(&["release", "--env", "lab"]).stdout).contains("was not halted"));
    assert_eq!(place.see_through(&["drill", "drill.yaml"]).status.code(), Some(UNJUDGED));
    let history = fs::read_to_string(place.path("reports/environments/levers.jsonl")).unwrap();
    assert!(history.contains("an incident") && history.contains("it is over"), "{history}");
    place.is_as_before();
}

#[test]
fn a_lever_needs_a_place_and_a_reason() {
    let place = Workplace::new("1ms", "1ms");
    said(&place.run(&["halt", "--env", "nowhere", "--reason", "x"]), 65, &["nowhere"]);
    said(&place.run(&["halt", "--env", "lab", "--reason", " "]), 64, &["a reason is missing"]);
    said(&place.run(&["halt", "--env", "lab"]), 64, &["--reason"]);
    let nothing = place.run(&["halt", "--env", "lab", "--reason", "to be safe"]);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(text(&nothing.stdout).contains("no run was going on or left there"), "{}", text(&nothing.stdout));
}

#[test]
fn halt_takes_back_what_a_killed_drill_left_and_ends_an_emergency() {
    let place = Workplace::new("1ms", "3m");
    let mut killed = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/last", "started");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let emergency = place.begin(&["execute", "over.yaml", "--env", "lab", "--override", "overlap=the drill is dead"]);
    until("the second run", || (place.runs().len() == 2 && place.has("failover/last", "started")).then_some(()));
    let halted = place.run(&["halt", "--env", "lab", "--reason", "everybody stops", "--output", "json"]);
    assert_eq!(halted.status.code(), Some(0), "{}", text(&halted.stderr));
    let runs = last_json(&halted)["runs"].clone();
    assert_eq!(runs.as_array().unwrap().iter().map(|run| &run["left"]).collect::<Vec<_>>(), [&json!(null), &json!(null)], "{runs}");
    assert_eq!(emergency.wait_with_output().unwrap().status.code(), Some(4));
    place.is_as_before();
    let first = events(&place.runs()[0]);
    let taken = first.iter().find(|line| line["event"] == "resumed").expect("it was taken over");
    assert_eq!((&taken["to"], &taken["by"]), (&json!("abort"), &json!(starter())));
}

#[test]
fn a_second_drill_is_refused_while_one_runs_and_after_it_was_killed_until_it_is_taken_back() {
    // What the drill has started survives it: a lock that its children hold too would stay for ever.
    let place = Workplace::with_steps(&[
        "{ id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }",
        "{ id: hold, uses: exec, needs: [start], with: { command: [/bin/sh, -c, 'echo $$ > child; sleep 120'] }, timeout: 3m }",
    ]);
    let mut drill = place.begin(&["drill", "drill.yaml"]);
    let child = until("the child", || fs::read_to_string(place.path("child")).ok().filter(|pid| pid.ends_with('\n')));
    let (first, changed) = (place.run_id(), place.lab.world());
    said(
        &place.see_through(&["drill", "drill.yaml"]),
        69,
        &[&format!("run {first} is going on in environment lab"), &format!("`lifeboat ctl {first} abort`")],
    );
    drill.kill().unwrap();
    drill.wait().unwrap();
    let locks: Vec<String> =
        fs::read_dir(place.path("reports/environments")).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(locks, [""], "nobody's process id is anywhere");
    let refused = place.see_through(&["drill", "drill.yaml"]);
    said(&refused, 69, &[&format!("run {first} was left in environment lab and still holds"), "nothing was changed"]);
    assert_eq!((place.lab.world(), place.runs().len()), (changed, 1));
    let listed = last_json(&place.run(&["runs", "--output", "json"]));
    assert_eq!((&listed[0]["state"], &listed[0]["solve"]), (&json!("interrupted"), &json!(hinted(&text(&refused.stderr)))));
    paste(&place, &hinted(&text(&refused.stderr)));
    place.is_as_before();
    place.write("over.yaml", "lifeboat: 1\nkind: runbook\ntitle: Over\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
    let output = place.see_through(&["drill", "drill.yaml"]);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    // The child is ours to end.
    let _ = Command::new("/bin/kill").args(["-9", child.trim()]).status();
}

#[test]
fn an_emergency_beside_a_drill_is_told_what_both_act_on_and_goes_on_for_a_reason() {
    let place = Workplace::new("3m", "1ms");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/first", "started");
    let first = place.run_id();
    place.write(
        "start.yaml",
        "lifeboat: 1\nkind: runbook\ntitle: Start\nsteps:\n  - { id: start, uses: aws.ec2.start-instances, with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }\n",
    );
    let execute = ["execute", "start.yaml", "--env", "lab"];
    // The drill has not touched them yet; by its plan it will.
    let parts = ["overlap: run ", &first, "which goes on, acts on", SHARED, "--override overlap=REASON"];
    said(&place.see_through(&execute), 77, &parts);
    said(&place.see_through(&[&execute[..], &["--override", "overlap="]].concat()), 64, &["a reason is missing"]);
    let output = place.see_through(&[&execute[..], &["--override", "overlap=the drill can wait"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let guarded = &place.all("guarded")[0]["decisions"];
    let overlap = guarded.as_array().unwrap().iter().find(|decision| decision["guard"] == "overlap").unwrap();
    assert_eq!((&overlap["outcome"], &overlap["overridden"]["why"]), (&json!("warns"), &json!("the drill can wait")));
    assert!(place.report("report.zh.md").contains("the drill can wait"));
    place.run(&["abort", "latest"]);
    assert_eq!(place.run(&["ctl", &first, "abort"]).status.code(), Some(0));
    assert_eq!(drill.wait_with_output().unwrap().status.code(), Some(4));
    place.is_as_before();
}

#[test]
fn a_drill_elsewhere_on_the_same_clouds_is_refused_only_where_both_act_on_the_same_things() {
    let place = Workplace::new("3m", "1ms");
    let drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("failover/first", "started");
    let elsewhere = ["drill", "drill.yaml", "--env", "other"];
    said(&place.see_through(&elsewhere), 77, &["overlap: run ", SHARED, "--override overlap=REASON"]);
    let shown = place.run(&["plan", "drill.yaml", "--env", "other", "--lab", place.lab.control()]);
    assert!(text(&shown.stdout).contains("  overlap      refuses  run "), "{}", text(&shown.stdout));
    // Another fault and another step.
    place.write("fault.yaml", "lifeboat: 1\nkind: scenario\ntitle: Route\nfault: { uses: aws.ec2.blackhole-route, with: { route_table: \"${{ vars.checkout_route_table }}\", destination: \"${{ vars.checkout_route }}\", interface: \"${{ vars.spare_interface }}\" }, lease: 5m }\nfailover: { runbook: say.yaml }\n");
    place.write("say.yaml", "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
    let output = place.see_through(&["drill", "fault.yaml", "--env", "other"]);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    let decisions = place.all("guarded")[0]["decisions"].clone();
    assert!(decisions.as_array().unwrap().iter().any(|one| one["guard"] == "overlap" && one["outcome"] == "allows"), "{decisions}");
    let first = place.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(place.run(&["ctl", &first, "abort"]).status.code(), Some(0));
    assert_eq!(drill.wait_with_output().unwrap().status.code(), Some(4));
    place.is_as_before();
}

/// A copy of the project in another folder, whose runs are there.
fn copy(place: &Workplace) -> tempfile::TempDir {
    let copy = folder();
    for name in ["lifeboat.yaml", "drill.yaml", "over.yaml"] {
        fs::copy(place.path(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[test]
fn a_second_drill_is_refused_whichever_folder_its_runs_are_in() {
    let place = Workplace::new("1ms", "3m");
    let (elsewhere, copy) = (folder(), copy(&place));
    let elsewhere = elsewhere.path().to_str().unwrap();
    let mut drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("fault", "applied");
    let first = place.run_id();
    let drills = || {
        let by_folder = place.see_through(&["drill", "drill.yaml", "--reports", elsewhere]);
        let by_copy = run(place.command(&place.starting(&["drill", "drill.yaml"])).current_dir(copy.path()));
        [by_folder, by_copy]
    };
    for output in drills() {
        said(&output, 69, &[&format!("run {first} is going on in environment lab"), "nothing was changed"]);
    }
    drill.kill().unwrap();
    drill.wait().unwrap();
    let reports = place.reports();
    let abort = format!("lifeboat abort {first} --reports {}", fs::canonicalize(&reports).unwrap_or(reports).display());
    for output in drills() {
        said(&output, 69, &[&format!("run {first} was left in environment lab and still holds"), &format!("hint: `{abort}`")]);
    }
    assert_eq!(fs::read_dir(copy.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().join("journal.jsonl").exists()).count(), 0);
    paste(&place, &abort);
    place.is_as_before();
    place.write("over.yaml", "lifeboat: 1\nkind: runbook\ntitle: Over\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n");
    let output = place.see_through(&["drill", "drill.yaml", "--reports", elsewhere]);
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
}

#[test]
fn the_lever_holds_whichever_folder_the_runs_are_in() {
    let place = Workplace::new("1ms", "1ms");
    let elsewhere = folder();
    let elsewhere = elsewhere.path().to_str().unwrap();
    for (halted, drilled) in [(None, Some(elsewhere)), (Some(elsewhere), None)] {
        let with = |arguments: &[&str], reports: Option<&str>| {
            let reports: Vec<&str> = reports.into_iter().flat_map(|folder| ["--reports", folder]).collect();
            let mut command = place.command(arguments);
            run(command.args(reports))
        };
        assert_eq!(with(&["halt", "--env", "lab", "--reason", "an incident"], halted).status.code(), Some(0));
        said(&with(&place.starting(&["drill", "drill.yaml"]), drilled), 69, &["was halted by ann", "an incident; nothing was changed"]);
        assert_eq!(with(&["release", "--env", "lab"], drilled).status.code(), Some(0));
        assert_eq!(with(&place.starting(&["drill", "drill.yaml"]), halted).status.code(), Some(UNJUDGED), "released everywhere");
    }
    place.is_as_before();
}

#[test]
fn halt_ends_what_runs_with_its_journal_elsewhere() {
    let place = Workplace::new("1ms", "3m");
    let elsewhere = place.path("elsewhere");
    let begin = place.starting(&["drill", "drill.yaml", "--reports", "elsewhere"]);
    let drill = place.command(&begin).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    until("the fault", || crate::common::journal(&elsewhere).filter(|journal| crate::common::has_step(journal, "fault", "applied")));
    let halted = place.run(&["halt", "--env", "lab", "--reason", "an incident"]);
    assert_eq!(halted.status.code(), Some(0), "{}", text(&halted.stderr));
    assert_eq!(drill.wait_with_output().unwrap().status.code(), Some(4));
    place.is_as_before();
}

#[test]
fn a_drill_is_refused_while_the_mark_of_a_strangers_fault_is_there() {
    let place = Workplace::new("1ms", "3m");
    let (copy, stranger) = (copy(&place), folder());
    let mut drill = place.begin(&["drill", "drill.yaml"]);
    place.await_step("fault", "applied");
    let first = place.run_id();
    // Somebody else, who knows nothing of the first one's folders: another user, or another machine.
    let other = |arguments: &[&str]| run(place.command(arguments).current_dir(copy.path()).env("XDG_STATE_HOME", stranger.path()));
    let parts = [
        "faults of other runs may stand in environment lab; nothing was changed",
        &format!("run {first}: aliyun.dts.suspend-job on sync-instance dtslifeboat0orders1, leased until"),
    ];
    let refused = other(&place.starting(&["drill", "drill.yaml"]));
    said(&refused, 69, &parts);
    said(&refused, 69, &[&format!("`lifeboat abort {first}` where it was begun takes it out, or `lifeboat reaper --env lab --lab")]);
    let planned = other(&["plan", "drill.yaml", "--lab", place.lab.control()]);
    assert!(text(&planned.stdout).contains("Warning: a drill would be refused: faults of other runs may stand"), "{}", text(&planned.stdout));
    drill.kill().unwrap();
    drill.wait().unwrap();
    said(&other(&place.starting(&["drill", "drill.yaml"])), 69, &parts);
    assert!(!copy.path().join("reports").join(&first).exists());
    place.take_back();
    fs::write(copy.path().join("over.yaml"), "lifeboat: 1\nkind: runbook\ntitle: Over\nsteps: [{ id: say, uses: note, with: { text: hello } }]\n")
        .unwrap();
    let output = other(&place.starting(&["drill", "drill.yaml"]));
    assert_eq!(output.status.code(), Some(UNJUDGED), "{}", text(&output.stderr));
    place.is_as_before();
}
