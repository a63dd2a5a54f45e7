//! Guards at work: the real binary, against a lab whose environment has guards, and what is refused around them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use lifeboat::ports::Cloud;
use lifeboat::ports::gate::Gate;
use lifeboat::ports::tags::{TagMap, Tagged};
use lifeboat::world::World;
use serde_json::Value;

use crate::common::{LabProcess, copy_project, folder, journal, last_json, lifeboat, path, run, text};

/// A copy of the shipped project whose lab has these guards, one `key: value` a line.
fn project(folder: &Path, guards: &[&str]) {
    let plain = "lab: { kind: lab }";
    let guarded = format!("lab: {{ kind: lab, guards: {{ {} }} }}", guards.join(", "));
    copy_project(folder, |written| written.replace(plain, &guarded));
    assert!(fs::read_to_string(folder.join("lifeboat.yaml")).unwrap().contains(&guarded));
    let say = "lifeboat: 1\nkind: runbook\ntitle: Say\nsteps:\n  - { id: say, uses: note, with: { text: hello } }\n";
    fs::write(folder.join("say.yaml"), say).unwrap();
}

fn at(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = lifeboat();
    command.current_dir(folder).args(arguments);
    command
}

#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// A window that is closed today.
fn closed() -> String {
    let day = (chrono::Utc::now() + chrono::TimeDelta::days(3)).format("%a").to_string();
    format!("windows: [\"{day} 10:00-11:00 UTC\"]")
}

/// A user of this system who is neither root nor nobody.
fn somebody() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = users.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok());
    ids.into_iter().find(|id| ![0, 65534, rustix::process::getuid().as_raw()].contains(id)).expect("the system has users of its own")
}

const ALWAYS_FROZEN: &str = "freeze: [{ name: always, from: 01-01, to: 12-31, zone: UTC }]";
const SYNC_STOP: &str = "scenarios/sync-stop.yaml";

#[test]
fn a_drill_is_refused_with_every_guard_that_says_no_and_what_helps() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let guards = [&closed(), ALWAYS_FROZEN, "actions: { deny: [aliyun.dts.*] }", "max_targets: 1", "max_fault: 1s", "confirm: type-the-name"];
    project(folder.path(), &guards);
    let before = lab.world();
    let output = run(&mut at(folder.path(), &["drill", SYNC_STOP, "--lab", lab.control(), "--override", "freeze=agreed"]));
    refused(&output, 77, &["windows: outside", "actions: aliyun.dts.", "max_targets: ", "max_fault: ", "confirm: ", "--override windows=REASON"]);
    assert!(!text(&output.stderr).contains("always"), "what was overridden is not in the way: {}", text(&output.stderr));
    assert!(!folder.path().join("reports").exists(), "a refused run leaves no folder");
    assert_eq!(lab.world(), before);
    refused(&run(&mut at(folder.path(), &["drill", SYNC_STOP, "--override", "max_targets=x"])), 64, &["cannot be overridden, not in a drill"]);
    refused(&run(&mut at(folder.path(), &["drill", SYNC_STOP, "--override", "freeze="])), 64, &["a reason is missing"]);
}

#[test]
fn a_drill_begins_with_another_persons_approval_and_a_reason_and_both_are_in_the_report() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    project(folder.path(), &["approvals: { count: 1, deadline: 2h }", ALWAYS_FROZEN, "max_faults: 1", "confirm: type-the-name"]);
    let drill = ["drill", SYNC_STOP, "--output", "json", "--lab", lab.control(), "--confirm", "lab", "--override", "freeze=agreed with sales"];
    refused(&run(&mut at(folder.path(), &drill)), 77, &["0 of 1 approvals", "lifeboat approve"]);
    // The folder for approvals is there now; whoever starts the run cannot fill it themselves.
    let given = run(&mut at(folder.path(), &["approve", SYNC_STOP, "--env", "lab", "--for", "1h", "--output", "json"]));
    assert_eq!(given.status.code(), Some(0), "{}", text(&given.stderr));
    let file = path(&last_json(&given)["file"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    refused(&run(&mut at(folder.path(), &drill)), 77, &["whoever starts the run cannot approve it"]);
    // Whom nobody knows, or whose id anyone may have borrowed, approves nothing.
    for uid in [65534, 3_999_999_999] {
        if std::os::unix::fs::chown(&file, Some(uid), None).is_ok() {
            refused(&run(&mut at(folder.path(), &drill)), 77, &["0 of 1 approvals", &format!("uid {uid}")]);
        }
    }
    if std::os::unix::fs::chown(&file, Some(somebody()), None).is_err() {
        // Only root can lend somebody's name: then the words of the file are all there is to forge, and they count for nothing.
        fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"by\":\"", "\"by\":\"not-")).unwrap();
        refused(&run(&mut at(folder.path(), &drill)), 77, &["whoever starts the run cannot approve it"]);
        return;
    }
    let before = lab.world();
    let output = run(&mut at(folder.path(), &drill));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(lab.world(), before);
    assert!(text(&output.stderr).contains("freeze refuses: always"), "{}", text(&output.stderr));
    let journal = journal(&folder.path().join("reports")).unwrap();
    let second: Value = serde_json::from_str(journal.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["event"], "guarded", "it follows the start: {second}");
    let freeze = second["decisions"].as_array().unwrap().iter().find(|decision| decision["guard"] == "freeze").unwrap();
    assert_eq!(freeze["overridden"]["why"], "agreed with sales");
    let english = path(&last_json(&output)["report"]);
    for (report, title) in [(english.clone(), "Guards and overrides"), (english.with_file_name("report.zh.md"), "守卫规则与人工放行")] {
        let report = fs::read_to_string(report).unwrap();
        assert!(report.contains(title) && report.contains("agreed with sales") && report.contains("`approvals`"), "{report}");
        let approval = report.lines().find(|line| line.contains("**Approval**") || line.contains("**批准**")).unwrap();
        let said = if approval.contains("批准") { "他人批准 1/1" } else { "1 of 1 approvals by other people" };
        assert!(approval.contains(said) && !report.contains("`plan.approval`"), "{report}");
    }
    // Another version of the files is not what was approved.
    let scenario = folder.path().join(SYNC_STOP);
    fs::write(&scenario, fs::read_to_string(&scenario).unwrap() + "# changed\n").unwrap();
    refused(&run(&mut at(folder.path(), &drill)), 77, &["approved something else: ", "sync-stop.yaml was another"]);
}

#[test]
fn in_an_emergency_guards_warn_and_one_reason_answers_them() {
    let folder = folder();
    project(folder.path(), &[&closed(), ALWAYS_FROZEN, "approvals: 2"]);
    let execute = ["execute", "say.yaml", "--env", "lab", "--output", "json"];
    refused(
        &run(&mut at(folder.path(), &execute)),
        77,
        &["no terminal to ask on", "windows: outside", "freeze: always", "approvals: 0 of 2", "--yes-because REASON"],
    );
    assert!(!folder.path().join("reports").exists());
    let output = run(at(folder.path(), &execute).args(["--yes-because", "the region is gone"]));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let report = fs::read_to_string(path(&last_json(&output)["report"])).unwrap();
    assert_eq!(report.matches("the region is gone").count(), 3, "{report}");
    assert!(report.contains("◐ warns"), "{report}");
}

#[test]
fn what_lacks_a_wanted_tag_is_not_acted_on() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    project(folder.path(), &["tags: { drill: allowed }"]);
    let decision = |scenario: &str| {
        let plan = last_json(&run(&mut at(folder.path(), &["plan", scenario, "--lab", lab.control(), "--output", "json"])));
        let tags = plan["guards"].as_array().unwrap().iter().find(|guard| guard["guard"] == "tags").unwrap().clone();
        (tags["outcome"].as_str().unwrap().to_owned(), tags["detail"].as_str().unwrap().to_owned())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let carry = |job: &str| {
        runtime.block_on(async {
            let world = World::connect(&lab.settings(), &Gate::default()).await;
            let job = Tagged { kind: "sync-job".into(), id: job.into() };
            world.tags(Cloud::Aliyun, "").unwrap().write(&[job], &TagMap::from([("drill".into(), "allowed".into())])).await.unwrap();
        });
    };
    let (refuses, why) = decision(SYNC_STOP);
    assert!(refuses == "refuses" && why.contains("sync-job dtsorders-primary (fault) does not carry drill=allowed"), "{refuses}: {why}");
    carry("dtsorders-primary");
    let (refuses, why) = decision(SYNC_STOP);
    assert!(refuses == "refuses" && !why.contains("dtsorders-primary") && why.contains("dtsorders-standby"), "{refuses}: {why}");
    carry("dtsorders-standby");
    assert_eq!(decision(SYNC_STOP), ("allows".into(), "drill=allowed on 2 things".into()));

    let (refuses, why) = decision("scenarios/aws-route-failure.yaml");
    assert!(refuses == "refuses" && why.contains("route rtb-0a11febe0a7b00002 10.20.0.0/16 (fault)"), "{refuses}: {why}");
}

#[test]
fn everything_an_action_changes_is_held_against_the_tags_or_said_to_have_none() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    project(folder.path(), &["tags: { drill: allowed }"]);
    let write = |name: &str, step: &str| {
        fs::write(folder.path().join(name), format!("lifeboat: 1\nkind: runbook\ntitle: One\nsteps:\n  - {{ id: it, {step} }}\n")).unwrap();
    };
    let decision = |runbook: &str| {
        let plan = last_json(&run(&mut at(folder.path(), &["plan", runbook, "--env", "lab", "--lab", lab.control(), "--output", "json"])));
        let tags = plan["guards"].as_array().unwrap().iter().find(|guard| guard["guard"] == "tags").unwrap().clone();
        (tags["outcome"].as_str().unwrap().to_owned(), tags["detail"].as_str().unwrap().to_owned())
    };
    write("share.yaml", "uses: aws.ec2.share-image, with: { image: ami-0a11febe0a7000001, accounts: [\"444455556666\"] }");
    // A runbook is planned as the emergency that it would be: there a guard warns and asks.
    assert_eq!(decision("share.yaml"), ("warns".into(), "image ami-0a11febe0a7000001 (failover/it) does not carry drill=allowed".into()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::connect(&lab.settings(), &Gate::default()).await;
        let image = Tagged { kind: "image".into(), id: "ami-0a11febe0a7000001".into() };
        world.tags(Cloud::Aws, "").unwrap().write(&[image], &TagMap::from([("drill".into(), "allowed".into())])).await.unwrap();
    });
    assert_eq!(decision("share.yaml"), ("allows".into(), "drill=allowed on 1 thing".into()));
    write("shift.yaml", "uses: dns.shift-weight, with: { zone: example.com, record: shop, to: { aws: 100, aliyun: 0 } }");
    assert_eq!(decision("shift.yaml"), ("allows".into(), "drill=allowed on 0 things; of what cannot carry any: record".into()));
    write("run.yaml", "uses: exec, with: { command: [\"true\"] }");
    let told = "nothing tells what command true (failover/it) acts on, nor whether that carries drill=allowed";
    assert_eq!(decision("run.yaml"), ("warns".into(), told.into()));
}

#[test]
fn a_fault_that_stands_from_another_machine_counts() {
    let (lab, here, there) = (LabProcess::start(&[]), folder(), folder());
    project(here.path(), &["max_faults: 1"]);
    project(there.path(), &["max_targets: 100"]);
    let drill = ["drill", SYNC_STOP, "--lab", lab.control()];
    let killed = run(at(there.path(), &drill).env("LIFEBOAT_CRASH", "after:fault:applied"));
    assert_eq!(killed.status.code(), None, "{}", text(&killed.stderr));
    let open = last_json(&run(&mut at(there.path(), &["runs", "--output", "json"])))[0]["run"].as_str().unwrap().to_owned();
    // No journal of it is here; its marks tell.
    let standing = format!("max_faults: the fault of run {open} may still stand; the most at once is 1");
    refused(&run(&mut at(here.path(), &drill)), 77, &[&standing]);
    let aborted = run(&mut at(there.path(), &["abort", "latest", "--lab", lab.control()]));
    assert_eq!(aborted.status.code(), Some(0), "{}", text(&aborted.stderr));
    let planned = run(&mut at(here.path(), &["plan", SYNC_STOP, "--lab", lab.control()]));
    assert!(text(&planned.stdout).contains("no other fault stands"), "{}", text(&planned.stdout));
}

#[test]
fn a_plan_shows_how_every_guard_would_decide() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let allowed = "actions: { allow: [aliyun.*, aws.*, dns.*] }";
    project(folder.path(), &[&closed(), "freeze: freezes.yaml", allowed, "max_targets: 1", "max_fault: 10m", "confirm: type-the-name"]);
    let plan = ["plan", SYNC_STOP, "--lab", lab.control()];
    let output = run(&mut at(folder.path(), &plan));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "a guard that would refuse is shown, not an error: {}", text(&output.stderr));
    let guards: Vec<&str> = said.lines().skip_while(|line| *line != "Guards").take_while(|line| !line.is_empty()).collect();
    assert!(guards.iter().all(|line| line.chars().count() <= 80), "{said}");
    for part in [
        "  windows      refuses  outside",
        "→ --override windows=REASON",
        "  max_targets  refuses",
        "  max_fault    allows   the fault stands 10m at most",
    ] {
        assert!(guards.iter().any(|line| line.contains(part)), "`{part}` is not in: {said}");
    }
    let view = last_json(&run(at(folder.path(), &plan).args(["--output", "json"])));
    let names: Vec<&str> = view["guards"].as_array().unwrap().iter().map(|guard| guard["guard"].as_str().unwrap()).collect();
    assert_eq!(names, ["windows", "freeze", "actions", "max_targets", "max_fault", "confirm"]);
    assert_eq!(view["guards"][0]["way_out"], "--override windows=REASON");
}

/// An environment of real clouds, and one whose endpoints do not answer.
const CLOUDS: &str = "lifeboat: 1
environments:
  bare: { aliyun: { region: cn-hangzhou } }
  idle: { aliyun: { region: cn-hangzhou }, guards: {} }
  void: { aliyun: { region: cn-hangzhou }, guards: { windows: [], freeze: [], actions: {}, regions: {}, tags: {} } }
  unnamed: { aliyun: { region: cn-hangzhou }, guards: { max_targets: 5, actions: { deny: [exec] } } }
  gone: { aliyun: { region: cn-hangzhou, endpoint: 'http://127.0.0.1:9', oss_endpoint: 'http://127.0.0.1:9' } }
";
const SUSPEND: &str = "lifeboat: 1
kind: scenario
title: Suspend
fault: { uses: aliyun.dts.suspend-job, with: { job: dts1 }, lease: 1m }
failover: { runbook: start.yaml }
";
const START: &str = "lifeboat: 1
kind: runbook
title: Start
steps: [{ id: start, uses: aliyun.dts.start-job, with: { job: dts2 } }]
";

fn clouds(folder: &Path) {
    for (name, content) in [("lifeboat.yaml", CLOUDS), ("suspend.yaml", SUSPEND), ("start.yaml", START)] {
        fs::write(folder.join(name), content).unwrap();
    }
}

#[test]
fn real_clouds_need_guards_and_accounts() {
    let folder = folder();
    clouds(folder.path());
    for environment in ["bare", "idle", "void"] {
        refused(&run(&mut at(folder.path(), &["drill", "suspend.yaml", "--env", environment])), 77, &["has no guards", "guards:"]);
    }
    // Nothing can be asked without credentials, so nothing is sent.
    refused(&run(&mut at(folder.path(), &["drill", "suspend.yaml", "--env", "unnamed"])), 69, &["account: ", "no credentials"]);
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn clouds_that_cannot_be_asked_are_told_before_anything() {
    let folder = folder();
    clouds(folder.path());
    // Missing credentials, before anything begins.
    refused(&run(&mut at(folder.path(), &["execute", "start.yaml", "--env", "gone"])), 69, &["no credentials", "nothing was changed"]);
    assert!(!folder.path().join("reports").exists());
    let keys = [("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")];
    let output = run(at(folder.path(), &["plan", "suspend.yaml", "--env", "gone"]).envs(keys));
    refused(&output, 69, &["aliyun did not answer"]);
    assert!(text(&output.stdout).contains("fault  aliyun.dts.suspend-job"), "what is known is shown: {}", text(&output.stdout));
}

#[test]
fn typing_errors_are_told_in_one_line() {
    let folder = folder();
    project(folder.path(), &["max_faults: 1"]);
    refused(
        &run(&mut at(folder.path(), &["drill", SYNC_STOP, "--set", "orders_bukket=x"])),
        64,
        &["--set orders_bukket", "did you mean `orders_bucket`?"],
    );
    refused(
        &run(&mut at(folder.path(), &["drill", "say.yaml"])),
        65,
        &["say.yaml:2:7: this file is a runbook, not a scenario", "lifeboat execute", "1 problem"],
    );
    refused(&run(&mut at(folder.path(), &["execute", SYNC_STOP, "--env", "lab"])), 65, &["this file is a scenario, not a runbook", "lifeboat drill"]);
    fs::remove_file(folder.path().join("lifeboat.yaml")).unwrap();
    refused(&run(&mut at(folder.path(), &["plan", SYNC_STOP])), 65, &["no lifeboat.yaml"]);
}

#[test]
fn a_limit_on_targets_counts_the_whole_plan_and_refuses_what_cannot_be_counted() {
    let (lab, folder) = (LabProcess::start(&[]), folder());
    let decision = |steps: &str, most: u32| {
        project(folder.path(), &[&format!("max_targets: {most}")]);
        let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
        write(
            "fault.yaml",
            "lifeboat: 1\nkind: scenario\ntitle: Stop\nfault: { uses: aliyun.dts.suspend-job, with: { job: dtsorders-primary }, lease: 5m }\nfailover: { runbook: over.yaml }\n",
        );
        write("over.yaml", &format!("lifeboat: 1\nkind: runbook\ntitle: Over\nsteps:\n{steps}"));
        let output = run(&mut at(folder.path(), &["plan", "fault.yaml", "--lab", lab.control(), "--output", "json"]));
        assert!(!output.stdout.is_empty(), "{}", text(&output.stderr));
        let view = last_json(&output);
        assert!(view["guards"].is_array(), "{view} {}", text(&output.stderr));
        let one = view["guards"].as_array().unwrap().iter().find(|one| one["guard"] == "max_targets").unwrap_or_else(|| panic!("{view}")).clone();
        (one["outcome"].as_str().unwrap().to_owned(), one["detail"].as_str().unwrap().to_owned())
    };
    let start = |more: &str| {
        format!(
            "  - {{ id: start, uses: aws.ec2.start-instances, with: {{ instances: {{ tags: {{ role: storefront, posture: standby }} }} }}{more} }}\n"
        )
    };
    // The fault's job and two machines.
    assert_eq!(decision(&start(""), 3).0, "allows");
    assert_eq!(decision(&start(""), 2), ("refuses".into(), "3 things may be acted on; the most is 2".into()));
    let known = "  - { id: each, uses: aws.ec2.start-instances, for_each: [storefront, checkout], with: { instances: { tags: { role: \"${{ item }}\" } } } }\n";
    assert_eq!(decision(known, 3).0, "refuses", "{:?}", decision(known, 3));
    let told = "  - { id: told, uses: exec, with: { command: [/bin/echo, '{}'] } }\n";
    for (what, steps) in [
        ("fresh", start(", targets: fresh")),
        (
            "a parameter that an earlier step gives",
            format!(
                "{told}  - {{ id: late, uses: aws.ec2.start-instances, needs: [told], with: {{ instances: {{ ids: \"${{{{ steps.told.output.stdout_json.ids }}}}\" }} }} }}\n"
            ),
        ),
        (
            "items that an earlier step gives",
            format!(
                "{told}  - {{ id: many, uses: aws.ec2.start-instances, needs: [told], for_each: \"${{{{ steps.told.output.stdout_json.ids }}}}\", with: {{ instances: {{ ids: [\"${{{{ item }}}}\"] }} }} }}\n"
            ),
        ),
    ] {
        let (outcome, detail) = decision(&steps, 9);
        assert!(outcome == "refuses" && detail.contains("cannot be counted before the run"), "{what}: {outcome}: {detail}");
    }
    let given_up = start(", ungraceful: { with: { instances: { ids: [i-0a11febe0a7500001, i-0a11febe0a7500002, i-0a11febe0a7c00001] } } }");
    assert_eq!(decision(&given_up, 3), ("refuses".into(), "4 things may be acted on; the most is 3".into()));
}
