//! One case against one lab: the drill dies, is taken up, and then everything must be as if nothing had been.

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat::model::event::step::StepKind;
use lifeboat::model::event::{Body, Event, StepEvent};
use lifeboat::model::plan::Verdict;
use lifeboat::model::state::RunState;
use lifeboat::ops::exit;
use serde_json::Value;

use crate::case::{Case, Recovery};
use crate::commands::{Ended, events, lifeboat, run_folder};
use crate::common::{LabProcess, get};

/// What a case that held came to.
#[derive(Debug)]
pub(crate) struct Held {
    /// Whether the process died where it was to; the drill may have taken another way.
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
    let reports = folder.join("reports");
    let reports_text = reports.to_string_lossy().into_owned();
    let place = ["--lab", lab.control(), "--reports", &reports_text];
    let run = |arguments: &[&str], crash: Option<&str>| lifeboat(workspace, &folder.join("printed.txt"), &[arguments, &place].concat(), crash);

    let before = lab.world();
    let called = calls(lab).len();
    let drilled = run(&["drill", &format!("scenarios/{}.yaml", case.scenario)], case.crash.as_deref())?;
    let mut reached = drilled == Ended::Killed;
    let mut ended = drilled;
    let mut left = None;
    if reached {
        left = run_folder(&reports).map(|run| events(&run)).transpose()?;
        let recovery = [case.by.command(), "latest"];
        ended = run(&recovery, case.again.as_deref())?;
        if case.again.is_some() {
            reached = ended == Ended::Killed;
            if reached {
                ended = run(&recovery, None)?;
            }
        }
    }

    let all = match run_folder(&reports) {
        Some(run) => events(&run)?,
        None => Vec::new(),
    };
    let state = RunState::from_events(&all).map_err(|error| format!("the events make no legal run: {error}"))?;
    let Ended::Exited(code) = ended else { return Err("the last command was killed".to_owned()) };
    let now = lab.world();
    if now != before {
        return Err(format!("exit {code}; the world is not as it was:\n{}", differences(&before, &now).join("\n")));
    }
    if !state.held().is_empty() {
        return Err(format!("exit {code}; the world is as it was, but the journal says that something is left: {}", state.held().join(", ")));
    }
    let verdict = state.ended.as_ref().map(|end| end.verdict);
    let ended_before = left.iter().flatten().any(|event| matches!(event.body, Body::Run(lifeboat::model::event::RunEvent::Ended { .. })));
    judge(case, reached, ended_before, &state, code)?;
    once(&all)?;
    not_twice(&calls(lab)[called..])?;
    Ok(Held { reached, verdict, events: all })
}

/// Whether the verdict and the exit code are right.
fn judge(case: &Case, reached: bool, ended_before: bool, state: &RunState, code: i32) -> Result<(), String> {
    let verdict = state.ended.as_ref().map(|end| end.verdict);
    let wrong = |wanted: &str| Err(format!("the verdict is {verdict:?} with exit {code}, not {wanted}"));
    let Some(came_to) = verdict else {
        return if state.start.is_none() && code == 0 { Ok(()) } else { wrong("one at all, though the run began") };
    };
    let its_code = i32::from(exit::of_verdict(came_to));
    if !reached && case.again.is_none() {
        // Load may cost a recovery its objective, nothing else.
        return if matches!(came_to, Verdict::Pass | Verdict::Fail) && code == its_code { Ok(()) } else { wrong("pass") };
    }
    match case.by {
        Recovery::Abort if ended_before => {
            if came_to != Verdict::Aborted && code == 0 {
                Ok(())
            } else {
                wrong("the one it had")
            }
        }
        Recovery::Abort => {
            if came_to == Verdict::Aborted && code == 0 {
                Ok(())
            } else {
                wrong("aborted")
            }
        }
        Recovery::Resume => {
            if code == 0 || code == its_code {
                Ok(())
            } else {
                wrong("as the exit code says")
            }
        }
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

/// No call that makes something anew had an effect twice.
fn not_twice(calls: &[Value]) -> Result<(), String> {
    let mut effects: BTreeMap<String, u32> = BTreeMap::new();
    for call in calls.iter().filter(|call| call["effect"] == true) {
        let operation = call["operation"].as_str().unwrap();
        // All others set something to a value, and say so when it has that already.
        let makes_anew = ["Create", "Run", "Copy", "Allocate", "Import"].iter().any(|verb| operation.starts_with(verb)) && operation != "CreateTags";
        if makes_anew {
            *effects.entry(format!("{}:{operation} ({})", call["service"].as_str().unwrap(), &call["asked"].as_str().unwrap()[..8])).or_default() +=
                1;
        }
    }
    match effects.iter().find(|(_, times)| **times > 1) {
        Some((call, times)) => Err(format!("{call} had its effect {times} times")),
        None => Ok(()),
    }
}

fn calls(lab: &LabProcess) -> Vec<Value> {
    get(lab.control(), "/calls").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
