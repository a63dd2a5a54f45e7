//! Guards and approvals are decided again wherever a fault is about to be injected, and an approval is of all that is run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::common::{last_json, run, text, until};
use crate::pty::Terminal;
use crate::workplace::{Workplace, said, starter};

/// Nothing is injected before the file `open` is there.
const DRILL: &str = "lifeboat: 1
kind: scenario
title: { en: The sync stops, zh: 同步中断 }
probes:
  door: { uses: exec, with: { command: [sh, -c, test -e $DOOR] }, every: 100ms, good_after: 1 }
steady_state: { probes: [door], hold: 200ms, timeout: 3m }
fault: { uses: aliyun.dts.suspend-job, with: { job: dtsorders-primary }, lease: 5m }
failover: { runbook: over.yaml }
";
const OVER: &str = "lifeboat: 1
kind: runbook
title: Over
steps:
  - { id: check, uses: exec, with: { command: [sh, -c, '. scripts/inner.sh; scripts/check.sh'], undo: [sh, scripts/undo.sh], env: { RULES: scripts/rules.conf } }, timeout: 1m }
";

/// A window that is closed today.
fn closed() -> String {
    let day = (chrono::Utc::now() + chrono::TimeDelta::days(3)).format("%a").to_string();
    format!("windows: [\"{day} 10:00-11:00 UTC\"]")
}

/// An environment of accounts whose endpoints are a lab.
struct Production {
    place: Workplace,
    key: PathBuf,
    /// Whether the environment lists the key.
    lists: bool,
}

impl Production {
    /// With a key for bob, which the environment lists.
    fn new(guards: &str) -> Self {
        Self::of(guards, true)
    }

    fn of(guards: &str, lists: bool) -> Self {
        let place = Workplace::new("1ms", "1ms");
        let key = place.path("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        fs::create_dir(place.path("scripts")).unwrap();
        let own = Self { place, key, lists };
        own.place.write("drill.yaml", DRILL);
        own.place.write("over.yaml", OVER);
        own.place.write("scripts/check.sh", "#!/bin/sh\necho checked\n");
        own.place.write("scripts/undo.sh", "echo undone\n");
        own.place.write("scripts/inner.sh", "true\n");
        own.place.write("scripts/rules.conf", "strict\n");
        fs::set_permissions(own.place.path("scripts/check.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        own.guards(guards);
        own
    }

    /// Writes the project file with these guards.
    fn guards(&self, guards: &str) {
        let at = |name: &str| self.place.lab.endpoints[name].as_str().unwrap().to_owned();
        let public = fs::read_to_string(self.key.with_extension("pub")).unwrap();
        let content = format!(
            "lifeboat: 1
environments:
  production:
    aws: {{ region: us-east-1, account: \"111122223333\", endpoint: \"{}\" }}
    aliyun: {{ region: cn-hangzhou, account: \"1234567890123456\", endpoint: \"{}\", oss_endpoint: \"{}\" }}
    approvers: {{ {} }}
    guards: {{ {guards} }}
",
            at("aws"),
            at("aliyun"),
            at("oss"),
            if self.lists { format!("bob: \"{}\"", public.trim()) } else { String::new() }
        );
        // As editors do it: nobody reads half of it.
        self.place.write("new.yaml", &content);
        fs::rename(self.place.path("new.yaml"), self.place.path("lifeboat.yaml")).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        let keys = ["access_key_id", "secret_access_key"].map(|name| self.place.lab.endpoints[name].as_str().unwrap().to_owned());
        let names = [["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"]];
        for (name, key) in names.iter().flat_map(|names| names.iter().zip(&keys)) {
            command.env(name, key);
        }
        command.env("DOOR", self.place.path("open"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// A drill that waits for its steady state.
    fn waiting(&self, more: &[&str]) -> Child {
        let arguments = [&["drill", "drill.yaml", "--env", "production", "--output", "json"], more].concat();
        let child = self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        until("the steady state is waited for", || self.place.all("stage").iter().any(|stage| stage["stage"] == "steady-state").then_some(()));
        child
    }

    fn open_the_door(&self) {
        self.place.write("open", "");
    }

    fn approve(&self, more: &[&str]) -> Output {
        let key = self.key.to_str().unwrap();
        self.run(&[&["approve", "drill.yaml", "--env", "production", "--as", "bob", "--key", key, "--output", "json"], more].concat())
    }

    fn injected(&self) -> bool {
        self.place.has("fault", "intended")
    }

    /// What stopped the run.
    fn stop(&self) -> Value {
        self.place.all("stop-requested").pop().expect("it was stopped")
    }
}

#[test]
fn a_run_that_waited_is_not_let_into_a_window_that_has_closed() {
    let own = Production::new("max_faults: 1");
    let child = own.waiting(&[]);
    own.guards(&closed());
    own.open_the_door();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(!own.injected());
    let stop = own.stop();
    assert!(stop["by"] == "guards" && stop["why"].as_str().unwrap().contains("windows: outside"), "{stop}");
    let again = own.place.all("guarded").pop().unwrap();
    assert_eq!(again["again"], true);
    let report = own.place.report("report.en.md");
    assert!(report.contains("the fault must not be injected now: windows: outside") && report.contains("`windows`"), "{report}");
    assert!(own.place.report("report.zh.md").contains("此刻不得注入故障"));
    own.place.is_as_before();
}

#[test]
fn a_freeze_that_the_run_began_with_holds_though_somebody_edits_it_away() {
    // Overridden at the start; nobody has overridden it for the one who takes the run up.
    let own = Production::new("freeze: [{ name: always, from: 01-01, to: 12-31, zone: UTC }]");
    let mut child = own.waiting(&["--override", "freeze=agreed"]);
    child.kill().unwrap();
    child.wait().unwrap();
    own.guards("max_faults: 1");
    own.open_the_door();
    let events = own.place.events().len();
    said(&own.run(&["resume", "latest"]), 77, &["guard freeze refuses", "always", "--override freeze=REASON"]);
    assert_eq!(own.place.events().len(), events, "nothing was taken over: it may still be resumed");
    let output = own.run(&["resume", "latest", "--override", "freeze=agreed again", "--output", "json"]);
    assert!(own.injected(), "{}", text(&output.stderr));
    assert!(own.place.report("report.en.md").contains("agreed again"));
    own.place.is_as_before();
}

#[test]
fn a_run_is_not_resumed_into_a_window_that_has_closed_and_goes_on_once_it_is_open() {
    let own = Production::new("max_faults: 1");
    let mut child = own.waiting(&[]);
    child.kill().unwrap();
    child.wait().unwrap();
    own.open_the_door();
    own.guards(&closed());
    said(&own.run(&["resume", "latest"]), 77, &["guard windows refuses"]);
    said(&own.run(&["resume", "latest", "--override", "max_faults=x"]), 64, &["cannot be overridden, not in a drill"]);
    assert!(!own.injected());
    own.guards("max_faults: 1");
    let output = own.run(&["resume", "latest", "--output", "json"]);
    assert!(own.injected() && last_json(&output)["held"] == serde_json::json!([]), "{}", text(&output.stderr));
    own.place.is_as_before();
}

#[test]
fn an_approval_that_is_gone_or_of_another_script_injects_nothing() {
    let own = Production::new("approvals: 1");
    let drill = ["drill", "drill.yaml", "--env", "production"];
    said(&own.run(&drill), 77, &["0 of 1 approvals"]);
    said(&own.run(&["approve", "drill.yaml", "--env", "production"]), 64, &["only signed approvals count", "bob", "--key"]);
    let given = last_json(&own.approve(&[]));
    let file = PathBuf::from(given["file"].as_str().unwrap());
    // A script that is edited after that is not what was approved, whether a step runs it or takes it back by it.
    for script in ["scripts/check.sh", "scripts/undo.sh", "scripts/inner.sh", "scripts/rules.conf"] {
        let approved = fs::read_to_string(own.place.path(script)).unwrap();
        own.place.write(script, "echo something else\n");
        said(&own.run(&drill), 77, &["0 of 1 approvals", "approved something else", &format!("{script} was another")]);
        own.place.write(script, &approved);
    }
    for (flag, value) in [("--undo-for", "1m"), ("--budget", "2m"), ("--patience", "1s"), ("--set", "a=1")] {
        if flag != "--set" {
            said(&own.run(&[&drill[..], &[flag, value]].concat()), 77, &["approved something else", flag]);
        }
    }
    for flag in ["--no-failback", "--ungraceful"] {
        said(&own.run(&[&drill[..], &[flag]].concat()), 77, &["approved something else", flag]);
    }
    assert!(own.place.runs().is_empty());
    // It is let begin; while it waits the script is edited, and then the approval taken away.
    let script = own.place.path("scripts/check.sh");
    let approved = fs::read_to_string(&script).unwrap();
    for (change, why) in [(true, "scripts/check.sh was another"), (false, "0 of 1 approvals")] {
        let child = own.waiting(&[]);
        if change {
            fs::write(&script, "echo something else\n").unwrap();
        } else {
            fs::remove_file(&file).unwrap();
        }
        own.open_the_door();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
        assert!(!own.injected() && own.stop()["why"].as_str().unwrap().contains(why), "{}", own.stop());
        fs::write(&script, &approved).unwrap();
        fs::remove_file(own.place.path("open")).unwrap();
        fs::remove_dir_all(own.place.latest()).unwrap();
    }
    own.place.is_as_before();
}

#[test]
fn what_is_approved_with_its_flags_is_drilled_with_them_and_the_report_names_who_signed() {
    let own = Production::new("approvals: 1");
    let drill = ["drill", "drill.yaml", "--env", "production", "--undo-for", "2m", "--output", "json"];
    said(&own.run(&drill), 77, &["0 of 1 approvals"]);
    let given = own.approve(&["--undo-for", "120s"]);
    assert_eq!(given.status.code(), Some(0), "{}", text(&given.stderr));
    own.open_the_door();
    let output = own.run(&drill);
    assert!(own.injected(), "{}", text(&output.stderr));
    let report = own.place.report("report.en.md");
    assert!(report.contains("1 of 1 approvals by other people: bob (signed with SHA256:"), "{report}");
    // The text that was signed is what counts, not the name of its file nor who owns it.
    let file = PathBuf::from(last_json(&given)["file"].as_str().unwrap());
    let altered = fs::read_to_string(&file).unwrap().replace("\"until\":\"20", "\"until\":\"21");
    fs::write(&file, altered).unwrap();
    said(&own.run(&drill), 77, &["0 of 1 approvals", "it is not of this text"]);
}

/// A runbook that asks before it goes on.
const ASKING: &str = "lifeboat: 1
kind: runbook
title: Asking
steps:
  - { id: go, title: Go ahead, uses: approval, with: { text: May the shop move? }, timeout: 2m }
";
const EXECUTE: [&str; 6] = ["execute", "asking.yaml", "--env", "production", "--yes", "--no-color"];

impl Production {
    /// An emergency that waits for an answer.
    fn asking(&self) -> Terminal {
        self.place.write("asking.yaml", ASKING);
        let terminal = Terminal::run(&self.command(&EXECUTE));
        self.place.await_step("failover/go", "asked");
        terminal
    }

    fn answer(&self, more: &[&str]) -> Output {
        self.run(&[&["ctl", "latest", "answer", "go", "yes"], more].concat())
    }
}

#[test]
fn the_starter_under_another_name_answers_nothing_outside_of_the_lab() {
    let own = Production::of("max_faults: 1", false);
    own.place.write("asking.yaml", ASKING);
    said(&own.run(&[&EXECUTE[..], &["--approve", "go=eve"]].concat()), 64, &["failover/go will ask", "run `lifeboat approve` on exactly this"]);
    let mut terminal = own.asking();
    for name in ["eve", "mallory"] {
        said(&own.answer(&["--as", name]), 69, &[&format!("{} started the run", starter())]);
    }
    said(&own.answer(&["--as", "bob", "--key", own.key.to_str().unwrap()]), 69, &["is none of `approvers`"]);
    assert!(own.place.all("answered").is_empty());
    let stopped = own.run(&["ctl", "latest", "stop", "--as", "eve"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", text(&stopped.stderr));
    terminal.end();
    assert_eq!(own.place.all("stop-requested")[0]["by"], format!("eve (user {})", starter()));
}

#[test]
fn where_approvers_have_keys_an_answer_is_signed_and_the_report_says_with_which() {
    let own = Production::new("max_faults: 1");
    let key = own.key.to_str().unwrap().to_owned();
    let mut terminal = own.asking();
    said(&own.answer(&["--as", "bob"]), 69, &["only a signed answer counts here"]);
    said(&own.answer(&["--as", "eve", "--key", &key]), 69, &["the key is that of bob, not of eve"]);
    let answered = own.answer(&["--as", "bob", "--key", &key]);
    assert_eq!(answered.status.code(), Some(0), "{}", text(&answered.stderr));
    terminal.end();
    let line = own.place.all("answered").remove(0);
    assert!(line["by"] == "bob" && line["witness"]["user"] == starter(), "{line}");
    assert!(own.place.report("report.en.md").contains("`bob` (signed with `SHA256:"), "{}", own.place.report("report.en.md"));
    assert!(own.place.report("report.zh.md").contains("`bob`（签名密钥 `SHA256:"));
    // Beforehand, who has approved exactly this may be named, and nobody else.
    let beforehand = [&EXECUTE[..], &["--approve", "go=bob", "--output", "json"]].concat();
    said(&own.run(&beforehand), 64, &["failover/go will ask"]);
    fs::create_dir_all(own.place.reports().join("approvals")).unwrap();
    let given = own.run(&["approve", "asking.yaml", "--env", "production", "--as", "bob", "--key", &key]);
    assert_eq!(given.status.code(), Some(0), "{}", text(&given.stderr));
    let runs = own.place.runs().len();
    let output = own.run(&beforehand);
    assert_eq!(own.place.runs().len(), runs + 1, "{}", text(&output.stderr));
    assert!(own.place.all("answered")[0]["witness"]["key"].as_str().unwrap().starts_with("SHA256:"));
}
