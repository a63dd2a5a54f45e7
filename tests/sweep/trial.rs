//! One case against one lab: something is done to a run, it is taken up, and then everything must be as if nothing had been.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lifeboat::model::event::step::StepKind;
use lifeboat::model::event::{Body, Event, RunEvent, StepEvent};
use lifeboat::model::plan::{Mode, Verdict};
use lifeboat::model::state::RunState;
use lifeboat::ops::exit::{self, Kind};
use serde_json::{Value, json};

use crate::case::{Case, Hardship, Recovery};
use crate::commands::{Ended, events, lifeboat, run_folder, send, verdict};
use crate::common::{LabProcess, get};
use crate::points;

/// The exit code of a run whose journal cannot be written.
const UNWRITTEN: i32 = 69;

/// What a case that held came to.
#[derive(Debug)]
pub(crate) struct Held {
    /// Whether what was to be done to the run was done; it may have taken another way.
    pub(crate) reached: bool,
    /// `None` for a run that never began.
    pub(crate) verdict: Option<Verdict>,
    /// What the run left.
    pub(crate) events: Vec<Event>,
}

/// Tries `case` with its files in `folder`.
///
/// # Errors
/// What does not hold, in a line or a few.
pub(crate) fn attempt(case: &Case, workspace: &Path, lab: &LabProcess, folder: &Path) -> Result<Held, String> {
    let trial = Trial { case, workspace, lab, folder };
    let before = lab.world();
    let called = trial.calls().lines().count();
    let mut end = trial.disturbed()?;
    let emergency = end.state.mode() == Some(Mode::Emergency);
    trial.judge(&end, emergency)?;

    if !end.state.held().is_empty() {
        let left = end.state.held().join(", ");
        // In an emergency nothing is undone unasked; a drill leaves nothing, or says so.
        let is_to_stay = emergency && !(end.taken_up && end.reached && matches!(case.hardship, Hardship::Crash { by: Recovery::Abort, .. }));
        let is_told = matches!(case.hardship, Hardship::Trouble { .. }) && end.code != 0;
        if !is_to_stay && !is_told {
            return Err(format!("exit {}, though something is left: {left}", end.code));
        }
        let aborted = trial.lifeboat(&["abort", "latest", "--yes-because", "the sweep"], None)?;
        (end.events, end.state) = trial.read()?;
        // Its verdict stays what it was: what a run came to is not changed by taking it back later.
        if aborted != Ended::Exited(0) || !end.state.held().is_empty() {
            return Err(format!("abort of what was left ({left}) ended with {aborted:?} and left {}", end.state.held().join(", ")));
        }
    }
    let now = lab.world();
    if now != before {
        return Err(format!("exit {}; the world is not as it was:\n{}", end.code, differences(&before, &now).join("\n")));
    }
    once(&end.events)?;
    let calls: Vec<Value> = trial.calls().lines().skip(called).map(|line| serde_json::from_str(line).unwrap()).collect();
    not_twice(&calls)?;
    Ok(Held { reached: end.reached, verdict: end.verdict, events: end.events })
}

/// How the run ended, with or without being taken up.
struct End {
    /// Whether what was to be done to it was done, all of it.
    reached: bool,
    /// Whether it was taken up: it was killed, or left for want of a disk.
    taken_up: bool,
    /// Exit code of the command that saw it to its end.
    code: i32,
    events: Vec<Event>,
    state: RunState,
    verdict: Option<Verdict>,
    /// The verdict it had before it was taken up for the last time.
    earlier: Option<Verdict>,
}

struct Trial<'a> {
    case: &'a Case,
    workspace: &'a Path,
    lab: &'a LabProcess,
    folder: &'a Path,
}

impl Trial<'_> {
    /// The run with what is done to it, and taken up if it was killed.
    fn disturbed(&self) -> Result<End, String> {
        let (at, by, again) = match &self.case.hardship {
            Hardship::Crash { at, by, again } => (Some(&**at), *by, again.as_deref()),
            _ => (None, Recovery::Abort, None),
        };
        if let Hardship::Trouble { does, call, nth } = &self.case.hardship {
            let count = points::how_many(does).map_or_else(|| json!("forever"), |count| json!(count));
            let rule = json!({ "does": does, "calls": call, "skip": nth - 1, "count": count });
            self.faults("POST", &rule.to_string());
        }
        let file = format!("{}.yaml", self.case.subject);
        let is_runbook = fs::read_to_string(self.workspace.join(&file)).unwrap().contains(r#""kind":"runbook""#);
        let command = if is_runbook { ["execute", &file, "--env", "lab"] } else { ["drill", &file, "--env", "lab"] };
        // Undo that is refused for ever is tried until its time is over; one that nothing refuses has time on a busy machine too.
        let undo_for = if matches!(self.case.hardship, Hardship::Trouble { .. }) { "20s" } else { "2m" };
        let command = [&command[..], &["--undo-for", undo_for]].concat();
        let mut ended = self.lifeboat(&command, at)?;
        let taken_up = ended == Ended::Killed || self.case.is_of_disk() && ended == Ended::Exited(UNWRITTEN);
        let mut reached = taken_up;
        let mut earlier = None;
        let verdict_now = || run_folder(&self.reports()).and_then(|run| verdict(&run));
        if reached {
            earlier = verdict_now();
            // What serves users is taken back for a reason only.
            let reason: &[&str] = if by == Recovery::Abort { &["--yes-because", "the sweep"] } else { &[] };
            let recovery = [&[by.command(), "latest"], reason].concat();
            ended = self.lifeboat(&recovery, again)?;
            if again.is_some() {
                reached = ended == Ended::Killed;
                if reached {
                    earlier = verdict_now();
                    ended = self.lifeboat(&recovery, None)?;
                }
            }
        }
        if matches!(self.case.hardship, Hardship::Trouble { .. }) {
            let rules: Value = serde_json::from_str(&self.faults("DELETE", "").0).unwrap();
            reached = rules[0]["fired"] != 0;
        }
        let Ended::Exited(code) = ended else { return Err("the last command was killed".to_owned()) };
        let (events, state) = self.read()?;
        if self.case.is_of_disk() && !taken_up {
            // Where the run was nearly over, it could be written again only after the run had stopped for it.
            let is_told = |event: &Event| match &event.body {
                Body::Run(RunEvent::Note { text }) => text.contains("the journal can be written again"),
                Body::Run(RunEvent::StopRequested { by, .. }) => by == "journal",
                _ => false,
            };
            reached = events.iter().any(is_told);
        }
        let verdict = state.ended.as_ref().map(|end| end.verdict);
        Ok(End { reached, taken_up, code, events, state, verdict, earlier })
    }

    /// Whether the verdict and the exit code are right.
    fn judge(&self, end: &End, emergency: bool) -> Result<(), String> {
        let End { reached, taken_up, code, state, verdict, earlier, events: _ } = end;
        let Some(came_to) = *verdict else {
            // One that left something has nothing to take back, which is well; otherwise there is nothing that could be meant.
            let resumes = matches!(self.case.hardship, Hardship::Crash { by: Recovery::Resume, .. });
            let is_wrong = *taken_up && (resumes || run_folder(&self.reports()).is_none());
            // Where the marks of other runs cannot be looked for, no drill begins.
            let is_refused = matches!(self.case.hardship, Hardship::Trouble { .. }) && *reached && *code == i32::from(Kind::Environment.code());
            let never_began = state.start.is_none() && (is_refused || *code == if is_wrong { i32::from(Kind::Usage.code()) } else { 0 });
            return if never_began { Ok(()) } else { Err(format!("there is no verdict, though the run began; exit {code}")) };
        };
        let is_its_code = *code == i32::from(exit::of_verdict(came_to));
        // On a machine that is too slow the probes may not be good again in time (nor be those that compare data); that the world is as it was is another matter.
        let reasons = || state.ended.iter().flat_map(|end| &end.reasons);
        let late = |reason: &String| {
            let compared = reason.strip_prefix("objective missed: nothing missing of ");
            reason.contains("the steady state did not return")
                || compared
                    .is_some_and(|probe| reasons().any(|other| *other == format!("the steady state did not return: {probe} is bad at the end")))
        };
        let unwell = || reasons().all(late);
        // On such a machine a stop condition may be bad before the fault, too, or nothing be steady: then nothing is injected, and that is said.
        let hindered = reasons().any(|reason| reason.contains("is bad already") || reason.contains("the steady state was not reached"));
        let right = match &self.case.hardship {
            _ if hindered && !taken_up => came_to == Verdict::Aborted && is_its_code,
            // An action alone is watched by no probe: it is judged by what was read again of it, and where nothing can be read there is nothing to judge.
            Hardship::None if self.case.subject.starts_with("actions/") => {
                let is_shown = state.kept.as_ref().is_some_and(|kept| !kept.same.is_empty());
                is_its_code && came_to == if is_shown { Verdict::Pass } else { Verdict::Inconclusive }
            }
            Hardship::None => came_to == Verdict::Pass && is_its_code,
            // Load may cost a run its objectives, and what was to be done to it.
            Hardship::Trouble { .. } => is_its_code,
            // It could write again by itself.
            Hardship::Crash { .. } if !taken_up && *reached => is_its_code,
            // But nobody aborts what nothing was done to.
            Hardship::Crash { .. } if !taken_up => is_its_code && came_to != Verdict::Aborted,
            Hardship::Crash { again: None, .. } if !reached => is_its_code,
            Hardship::Crash { by: Recovery::Abort, .. } => {
                let was = earlier.map_or(came_to == Verdict::Aborted || unwell(), |earlier| came_to == earlier || emergency);
                was && *code == 0
            }
            // What is over is not gone on with: how it ended is said again, or, where something is left that `abort` would take back, that the command line is wrong.
            Hardship::Crash { by: Recovery::Resume, .. } => {
                let is_told = if state.held().is_empty() { is_its_code } else { *code == i32::from(Kind::Usage.code()) };
                earlier.map_or(is_its_code, |earlier| came_to == earlier && is_told)
            }
        };
        if right {
            return Ok(());
        }
        let reasons = state.ended.as_ref().map(|end| end.reasons.join("; ")).unwrap_or_default();
        Err(format!("the verdict {came_to:?} with exit {code} is not right ({reasons})"))
    }

    fn lifeboat(&self, arguments: &[&str], crash: Option<&str>) -> Result<Ended, String> {
        let reports = self.reports();
        let place = ["--lab", self.lab.control(), "--reports", &reports.to_string_lossy()].map(str::to_owned);
        let all: Vec<&str> = arguments.iter().copied().chain(place.iter().map(String::as_str)).collect();
        lifeboat(self.workspace, &self.folder.join("printed.txt"), &all, crash)
    }

    fn reports(&self) -> PathBuf {
        self.folder.join("reports")
    }

    /// What the run left, and where that leads.
    fn read(&self) -> Result<(Vec<Event>, RunState), String> {
        let events = run_folder(&self.reports()).map_or_else(|| Ok(Vec::new()), |run| events(&run))?;
        let state = RunState::from_events(&events).map_err(|error| format!("the events make no legal run: {error}"))?;
        Ok((events, state))
    }

    /// The changing calls that the lab ever saw, a line each.
    fn calls(&self) -> String {
        get(self.lab.control(), "/calls")
    }

    /// Tells the lab how to misbehave; answers with the rules that were in force before and those that are.
    fn faults(&self, method: &str, body: &str) -> (String, String) {
        (get(self.lab.control(), "/faults"), send(method, self.lab.control(), "/faults", body))
    }
}

/// No step begins anew once it has an intent, and none is applied twice.
fn once(events: &[Event]) -> Result<(), String> {
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for event in events {
        let Body::Step(StepEvent { step, kind }) = &event.body else { continue };
        let what = match kind {
            StepKind::Intended { .. } => "intended",
            StepKind::Applied { .. } => "applied",
            _ => continue,
        };
        *seen.entry((step, what)).or_default() += 1;
    }
    match seen.iter().find(|(_, times)| **times > 1) {
        Some(((step, what), times)) => Err(format!("{step} was {what} {times} times")),
        None => Ok(()),
    }
}

/// No call that makes something anew had an effect twice, unless what it made was removed in between: a fault that was taken out unrecorded, because the
/// journal could not be written, is rightly injected again by whoever goes on with the run.
fn not_twice(calls: &[Value]) -> Result<(), String> {
    // What was made and is still there: the service and the thing, by what was asked.
    let mut made: BTreeMap<(&str, &str), BTreeMap<&str, u32>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call["effect"] == true) {
        let [service, operation, asked] = ["service", "operation", "asked"].map(|field| call[field].as_str().unwrap());
        // All others set something to a value, and say so when it has that already.
        let makes = ["Create", "Run", "Copy", "Allocate", "Import"].iter().find_map(|verb| operation.strip_prefix(verb));
        if let Some(thing) = makes.filter(|thing| *thing != "Tags") {
            let times = made.entry((service, thing)).or_default().entry(asked).or_default();
            *times += 1;
            if *times > 1 {
                return Err(format!("{service}:{operation} ({}) had its effect {times} times", &asked[..8]));
            }
        }
        if let Some(thing) = operation.strip_prefix("Delete") {
            made.remove(&(service, thing));
        }
    }
    Ok(())
}

/// Where two worlds differ, a line for each place.
fn differences(before: &Value, now: &Value) -> Vec<String> {
    fn walk(path: &str, before: &Value, now: &Value, found: &mut Vec<String>) {
        match (before, now) {
            _ if before == now => {}
            (Value::Object(was), Value::Object(is)) => {
                let mut keys: Vec<&String> = was.keys().chain(is.keys()).collect();
                keys.sort();
                keys.dedup();
                for key in keys {
                    walk(&format!("{path}/{key}"), was.get(key).unwrap_or(&Value::Null), is.get(key).unwrap_or(&Value::Null), found);
                }
            }
            (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
                for (index, (was, is)) in was.iter().zip(is).enumerate() {
                    walk(&format!("{path}/{index}"), was, is, found);
                }
            }
            _ => found.push(format!("    {path}: {before} before, {now} now")),
        }
    }
    let mut found = Vec::new();
    walk("", before, now, &mut found);
    found
}
