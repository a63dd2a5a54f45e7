//! A project of its own with small files, a lab in a process of its own, and the runs there: for tests in which people steer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::common::{LabProcess, folder, lifeboat, run, text, until};

/// Who starts the runs of these tests: whoever runs them, by the login name of the user id.
pub(crate) fn starter() -> String {
    lifeboat::ops::people::me().name
}

/// Exit code of runs here that go well: their scenario has no objective, and their emergencies find nothing down, so that there is nothing to judge by.
pub(crate) const UNJUDGED: i32 = 3;

const PROJECT: &str = "lifeboat: 1
environments:
  lab: { kind: lab }
  other: { kind: lab }
  strict: { kind: lab, guards: { confirm: type-the-name } }
";
/// A drill that is over in a second or two when nothing holds it up.
const DRILL: &str = "lifeboat: 1
kind: scenario
title: { en: The sync stops, zh: 同步中断 }
fault: { uses: aliyun.dts.suspend-job, with: { job: dtsorders-primary }, lease: 5m }
failover: { runbook: over.yaml }
";
/// Two machines are started; before and after it the drill waits for as long as a test says.
const OVER: &str = "lifeboat: 1
kind: runbook
title: { en: Over, zh: 切换 }
steps:
  - { id: first, title: { en: The first wait, zh: 第一次等待 }, uses: wait, with: { for: FIRST }, timeout: 3m }
  - { id: start, uses: aws.ec2.start-instances, needs: [first], with: { instances: { tags: { role: storefront, posture: standby } } }, timeout: 1m }
  - { id: last, uses: wait, needs: [start], with: { for: LAST }, timeout: 3m }
";

/// A project, its lab and its runs; the lab and the folder end with the value.
pub(crate) struct Workplace {
    pub(crate) lab: LabProcess,
    /// The lab's world before any run.
    pub(crate) before: Value,
    folder: tempfile::TempDir,
}

impl Workplace {
    /// With `drill.yaml` and `over.yaml`, whose waits last as long as this.
    pub(crate) fn new(first: &str, last: &str) -> Self {
        let lab = LabProcess::start(&["--time-scale", "10"]);
        let (before, folder) = (lab.world(), folder());
        let place = Self { lab, before, folder };
        place.write("lifeboat.yaml", PROJECT);
        place.write("drill.yaml", DRILL);
        place.write("over.yaml", &OVER.replace("FIRST", first).replace("LAST", last));
        place
    }

    /// One whose `over.yaml` has these steps.
    pub(crate) fn with_steps(steps: &[&str]) -> Self {
        let place = Self::new("1ms", "1ms");
        place.write("over.yaml", &format!("lifeboat: 1\nkind: runbook\ntitle: Over\nsteps:\n  - {}\n", steps.join("\n  - ")));
        place
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn reports(&self) -> PathBuf {
        self.path("reports")
    }

    /// The command in this project, as the one who starts the runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = lifeboat();
        command.current_dir(self.folder.path()).env("LOGNAME", "somebody-else").args(arguments);
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// A command that begins a run, with the lab it runs in.
    pub(crate) fn starting<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--output", "json", "--lab", self.lab.control()]].concat()
    }

    /// Begins a run and lets it go on.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        self.command(&self.starting(arguments)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Begins a run and sees it to its end.
    pub(crate) fn see_through(&self, arguments: &[&str]) -> Output {
        self.run(&self.starting(arguments))
    }

    /// `lifeboat ctl latest`, as somebody else unless the arguments say who.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(&["ctl", "latest"]);
        let who: &[&str] = if arguments.contains(&"--as") { &[] } else { &["--as", "bob"] };
        run(command.args(arguments).args(who))
    }

    /// `lifeboat ctl latest`, which is to be obeyed.
    #[track_caller]
    pub(crate) fn order(&self, arguments: &[&str]) {
        let output = self.ctl(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    }

    /// The folders of the runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.reports()) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("journal.jsonl").is_file()).collect();
        runs.sort();
        runs
    }

    /// The latest run's folder, once there is one.
    pub(crate) fn latest(&self) -> PathBuf {
        self.runs().pop().expect("a run has begun")
    }

    /// The latest run's id.
    pub(crate) fn run_id(&self) -> String {
        self.latest().file_name().unwrap().to_string_lossy().into_owned()
    }

    /// The events of the latest run so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.runs().pop().map(|run| events(&run)).unwrap_or_default()
    }

    /// The events of one kind.
    pub(crate) fn all(&self, event: &str) -> Vec<Value> {
        self.events().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// The event of this kind for this step, waited for.
    pub(crate) fn await_step(&self, step: &str, event: &str) -> Value {
        until(&format!("{step} {event}"), || self.events().into_iter().find(|line| line["step"] == step && line["event"] == event))
    }

    /// Whether there is an event of this kind for this step.
    pub(crate) fn has(&self, step: &str, event: &str) -> bool {
        self.events().iter().any(|line| line["step"] == step && line["event"] == event)
    }

    /// Gives the lab one more rule for misbehaving; `None` takes all of them away.
    pub(crate) fn misbehave(&self, rule: Option<Value>) {
        let host = self.lab.control().strip_prefix("http://").unwrap();
        let (method, body) = rule.map_or(("DELETE", String::new()), |rule| ("POST", rule.to_string()));
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "{method} /faults HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.lines().next().is_some_and(|line| line.contains(" 20")), "{answer}");
    }

    /// A report of the latest run.
    pub(crate) fn report(&self, name: &str) -> String {
        fs::read_to_string(self.latest().join(name)).unwrap()
    }

    /// Takes the latest run back; then everything is as before.
    #[track_caller]
    pub(crate) fn take_back(&self) {
        let output = self.run(&["abort", "latest"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        self.is_as_before();
    }

    /// The world is what it was before the first run.
    #[track_caller]
    pub(crate) fn is_as_before(&self) {
        assert_eq!(self.lab.world(), self.before, "the world is not as it was");
    }
}

/// The events in the journal of a run; a line that is being written is not one yet.
pub(crate) fn events(run: &Path) -> Vec<Value> {
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap_or_default();
    journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// It ended with this code and said all of this on standard error.
#[track_caller]
pub(crate) fn said(output: &Output, code: i32, parts: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}\n{}", text(&output.stdout));
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}
