//! What an event says to somebody who watches: who it is about and one line.

use std::fmt::Write;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::event::probe::ProbeKind;
use crate::model::event::run::{Awaited, all_of};
use crate::model::event::step::{Found, StepKind, Target};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::guard::{Decision, Outcome};
use crate::model::interval::MILLISECOND;
use crate::model::measure::{Measured, Measures};
use crate::model::plan::{Mode, Plan, ProbeState, Stage, Verdict};
use crate::model::state::{FAULT, RunState, parent_of};
use crate::model::text::Lang;

/// How much an event matters to somebody who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Only when asked for.
    Detail,
    /// The normal course.
    Course,
    /// Must not be missed.
    Trouble,
}

/// What an event says: its subject and one or more lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) weight: Weight,
    pub(super) subject: String,
    pub(super) lines: Vec<String>,
}

/// What `event` says; nothing for events of a newer Lifeboat.
pub(super) fn said(event: &Event, state: &RunState, lang: Lang) -> Option<Said> {
    let (weight, subject, line) = match &event.body {
        Body::Run(body) => return run(body, state, lang),
        Body::Step(body) => {
            let (weight, line) = step(&body.step, &body.kind, state, lang)?;
            (weight, body.step.clone(), line)
        }
        Body::Probe(body) => {
            let (weight, line) = probe(&body.probe, &body.kind, state)?;
            (weight, body.probe.clone(), line)
        }
        Body::Unknown => return None,
    };
    Some(Said { weight, subject, lines: vec![one_line(&line)] })
}

fn run(event: &RunEvent, state: &RunState, lang: Lang) -> Option<Said> {
    let (weight, line) = match event {
        RunEvent::Started { plan, .. } => (Weight::Course, format!("{}, run {}", heading(plan, lang), state.run)),
        RunEvent::Resumed { to, .. } => (Weight::Trouble, format!("taken over by this process to {to}")),
        RunEvent::Stage { stage } => (Weight::Course, stage_line(*stage, state)),
        RunEvent::Decided { by, basis } => (Weight::Course, format!("failover decided by {by}: {basis}")),
        RunEvent::StopRequested { abort: true, why, by } => (Weight::Trouble, format!("abort ({by}): {why}; everything is put back")),
        RunEvent::StopRequested { abort: false, why, by } => (Weight::Trouble, format!("stop ({by}): {why}; nothing more is started")),
        RunEvent::Guarded { decisions } => {
            let lines: Vec<String> = decisions.iter().filter(|decision| decision.outcome != Outcome::Allows).map(guard_line).collect();
            return (!lines.is_empty()).then(|| Said { weight: Weight::Trouble, subject: "guard".to_owned(), lines });
        }
        RunEvent::Ordered { order, by, why } if why.is_empty() => (Weight::Trouble, format!("{order} ({by})")),
        RunEvent::Ordered { order, by, why } => (Weight::Trouble, format!("{order} ({by}): {why}")),
        RunEvent::LeaseRenewed { until } => (Weight::Detail, format!("the fault may stand until {until}")),
        RunEvent::Snapshot { .. } => return None,
        RunEvent::Baseline { same, differences } if differences.is_empty() => {
            (Weight::Course, format!("{} of {} snapshots read as before the run", same.len(), same.len()))
        }
        RunEvent::Baseline { differences, .. } => {
            let lines = differences.iter().map(|one| {
                one_line(&if one.is_unread() {
                    format!("NOT KNOWN TO BE AS BEFORE: {}: {}", one.step, one.after)
                } else {
                    format!("NOT AS BEFORE: {} {}: {} → {}", one.step, one.what, one.before, one.after)
                })
            });
            return Some(Said { weight: Weight::Trouble, subject: "run".to_owned(), lines: lines.collect() });
        }
        RunEvent::Forecast(forecast) => {
            let at_risk = forecast.recovery.as_ref().is_some_and(crate::model::forecast::Recovery::is_at_risk);
            (if at_risk { Weight::Trouble } else { Weight::Course }, forecast.to_string())
        }
        RunEvent::Samples(kept) => (Weight::Detail, format!("{} single samples in {}", kept.rows, kept.file)),
        RunEvent::Note { text } => (Weight::Trouble, text.clone()),
        RunEvent::Unseen { awaited, within, lacking } => {
            let then = if *awaited == Awaited::Source { "; going on" } else { "" };
            (Weight::Trouble, format!("{awaited} {within}: {}{then}", all_of(lacking)))
        }
        RunEvent::Ended { verdict, reasons } => {
            let mut lines = vec![format!("verdict: {}", verdict_word(*verdict))];
            lines.extend(reasons.iter().map(|reason| one_line(reason)));
            lines.extend(outages(state));
            let weight = if *verdict == Verdict::Pass { Weight::Course } else { Weight::Trouble };
            return Some(Said { weight, subject: "run".to_owned(), lines });
        }
        RunEvent::Unknown => return None,
    };
    Some(Said { weight, subject: "run".to_owned(), lines: vec![one_line(&line)] })
}

/// `windows: outside Tue-Thu 10:00-16:00; overridden by ann: …`.
fn guard_line(decision: &Decision) -> String {
    let word = if decision.outcome == Outcome::Warns { "warns" } else { "refuses" };
    let overridden = decision.overridden.as_ref().map(|own| format!("; overridden by {}: {}", own.by, own.why)).unwrap_or_default();
    one_line(&format!("{} {word}: {}{overridden}", decision.guard, decision.detail))
}

/// `Alibaba Cloud region outage: rehearsal in lab`.
pub(super) fn heading(plan: &Plan, lang: Lang) -> String {
    let title = plan.title.get(lang);
    let title = if title.is_empty() { &plan.name } else { title };
    let mode = match plan.mode {
        Mode::Rehearse => "rehearsal",
        Mode::Drill => "drill",
        Mode::Emergency => "EMERGENCY",
    };
    format!("{title}: {mode} in {}", plan.environment)
}

fn stage_line(stage: Stage, state: &RunState) -> String {
    let plan = state.plan();
    match stage {
        Stage::SteadyState => "waiting for the steady state".to_owned(),
        Stage::Inject => "steady; injecting the fault".to_owned(),
        Stage::Detect => plan
            .and_then(|plan| plan.detect.as_ref())
            .map_or_else(|| "waiting for detection".to_owned(), |detect| format!("waiting for {} to go bad", detect.probe)),
        Stage::Decide => "deciding".to_owned(),
        Stage::Failover => "failing over".to_owned(),
        Stage::Verify => plan.and_then(|plan| plan.recovered.as_ref()).map_or_else(
            || "verifying the recovery".to_owned(),
            |recovered| format!("waiting for {} to stay good for {}", recovered.probes.join(", "), recovered.stable_for),
        ),
        Stage::Failback => "recovered; taking the fault out and going back".to_owned(),
        Stage::Cleanup => "putting back what is left".to_owned(),
    }
}

/// One line for each service that was down.
fn outages(state: &RunState) -> Vec<String> {
    let measures = Measures::of(state);
    let Some(plan) = state.plan() else { return Vec::new() };
    let line = |probe: &crate::model::plan::ProbePlan| {
        let outage = measures.outages.get(&probe.id)?;
        let rto = plan.objectives.get(&probe.id).and_then(|objective| objective.rto);
        if !probe.service && rto.is_none() {
            return None;
        }
        let limit = rto.map(|rto| format!(" (RTO {rto})")).unwrap_or_default();
        Some(match outage.rta() {
            Measured::Known(rta) => format!("{} recovered in {} s ± {} s{limit}", probe.id, seconds(rta.likely), seconds(rta.off())),
            Measured::AtLeast(lo) => format!("{} was down for at least {} s{limit}", probe.id, seconds(lo)),
        })
    };
    plan.probes.iter().filter_map(line).collect()
}

fn seconds(nanos: i64) -> String {
    let tenths = (nanos / (10 * MILLISECOND) + 5) / 10;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn step(key: &str, kind: &StepKind, state: &RunState, lang: Lang) -> Option<(Weight, String)> {
    let of = state.step(key);
    let title = || title(state, key, lang).map(|title| format!(": {title}")).unwrap_or_default();
    Some(match kind {
        StepKind::Started { attempt: 1 } => (Weight::Course, format!("started{}", title())),
        StepKind::Started { attempt } => (Weight::Course, format!("attempt {attempt} started")),
        StepKind::Intended { uses, targets, .. } => (Weight::Course, format!("{uses} on {}", listed(targets))),
        StepKind::Call { call } => {
            let id = call.request_id.as_deref().map(|id| format!(", request {id}")).unwrap_or_default();
            (Weight::Detail, format!("{} {} in {} ms{id}", call.operation, call.outcome, call.elapsed_ms))
        }
        StepKind::Progress { text } => (Weight::Course, text.clone()),
        StepKind::Asked { question } => {
            let who = if question.approvers > 1 { format!(" ({} people)", question.approvers) } else { String::new() };
            (Weight::Trouble, format!("{}{who}: {}", if question.manual { "TO BE DONE BY HAND" } else { "WAITS FOR APPROVAL" }, question.text))
        }
        StepKind::Answered { yes, by, note, simulated } => {
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            let simulated = if *simulated { ", simulated" } else { "" };
            (Weight::Course, format!("{} by {by}{simulated}{note}", if *yes { "yes" } else { "no" }))
        }
        StepKind::Found { done, detail } => {
            let what = match done {
                Found::Done => "was done",
                Found::NotDone => "was not done",
                Found::Unknown => "cannot be told whether it was done",
            };
            (Weight::Course, format!("{what}: {detail}"))
        }
        StepKind::AttemptFailed { attempt, failure, retry_in_ms } => {
            let again = retry_in_ms.map_or_else(String::new, |ms| {
                format!("; again in {} s", seconds(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)))
            });
            (Weight::Trouble, format!("attempt {attempt} failed: {failure}{again}"))
        }
        StepKind::Applied { already: true, .. } if of.is_some_and(|step| step.intent.is_some()) => (Weight::Course, "already as asked".to_owned()),
        StepKind::Applied { .. } => {
            let took = of
                .and_then(|step| step.ended.zip(step.started))
                .map(|(ended, started)| format!(" in {} s", seconds(ended.nanos_since(started).max(0))))
                .unwrap_or_default();
            (Weight::Course, if key == FAULT { format!("in effect{took}") } else { format!("done{took}") })
        }
        StepKind::Failed { failure } => (Weight::Trouble, format!("FAILED: {failure}")),
        StepKind::Skipped { why } => (Weight::Course, format!("not run: {why}")),
        StepKind::Undoing { attempt: 1 } => (Weight::Course, if key == FAULT { "being taken out".to_owned() } else { "being put back".to_owned() }),
        StepKind::Undoing { attempt } => (Weight::Course, format!("attempt {attempt} to put it back")),
        StepKind::Undone { already: true } => (Weight::Course, "already as before".to_owned()),
        StepKind::Undone { .. } => (Weight::Course, if key == FAULT { "taken out".to_owned() } else { "put back".to_owned() }),
        StepKind::UndoFailed { failure } => (Weight::Trouble, format!("LEFT OVER, could not be put back: {failure}")),
        StepKind::Unknown => return None,
    })
}

/// The targets with what changes; a few, and how many more.
fn listed(targets: &[Target]) -> String {
    const SHOWN: usize = 3;
    if targets.is_empty() {
        return "nothing in particular".to_owned();
    }
    let one = |target: &Target| {
        if target.change.is_empty() { format!("{} {}", target.kind, target.id) } else { format!("{} {} ({})", target.kind, target.id, target.change) }
    };
    let mut line = targets.iter().take(SHOWN).map(one).collect::<Vec<_>>().join(", ");
    if targets.len() > SHOWN {
        // Writing to a string cannot fail.
        let _ = write!(line, " and {} more", targets.len() - SHOWN);
    }
    line
}

fn probe(id: &str, kind: &ProbeKind, state: &RunState) -> Option<(Weight, String)> {
    Some(match kind {
        ProbeKind::Edge { to: ProbeState::Bad, detail, .. } => (Weight::Course, format!("first bad sample: {detail}")),
        ProbeKind::Edge { to: ProbeState::Good, detail, .. } => (Weight::Course, format!("first good sample: {detail}")),
        ProbeKind::Changed { state: ProbeState::Bad, detail } => (Weight::Course, format!("BAD: {detail}")),
        ProbeKind::Changed { state: ProbeState::Good, detail } => (Weight::Course, format!("good: {detail}")),
        ProbeKind::Reading { value, .. } => (Weight::Detail, format!("read {value}")),
        ProbeKind::Tally { good, bad, unknown, .. } => (
            Weight::Detail,
            format!(
                "{good} good, {bad} bad, {unknown} unknown; now {}",
                state.probes.get(id).and_then(|standing| standing.confirmed).map_or("unknown", state_word)
            ),
        ),
        ProbeKind::Unknown => return None,
    })
}

pub(super) const fn state_word(state: ProbeState) -> &'static str {
    match state {
        ProbeState::Good => "good",
        ProbeState::Bad => "bad",
    }
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Aborted => "ABORTED",
    }
}

/// The title of the step with this key; none where nobody wrote one.
pub(super) fn title<'a>(state: &'a RunState, key: &str, lang: Lang) -> Option<&'a str> {
    let plan = state.plan()?;
    let (book, id) = parent_of(key).unwrap_or(key).split_once('/')?;
    let runbook = if book == "failback" { plan.failback.as_ref()? } else { &plan.failover };
    runbook.steps.iter().find(|step| step.id == id).map(|step| step.title.get(lang)).filter(|title| !title.is_empty())
}

/// One line without anything that moves the cursor.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// `text` in exactly `columns` columns: cut with an ellipsis, or filled with blanks. Chinese characters take two.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    let text = one_line(text);
    let width = text.width();
    if width <= columns {
        return text + &" ".repeat(columns - width);
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
        used += 1;
    }
    cut + &" ".repeat(columns.saturating_sub(used))
}

/// A time that runs: `4.2s` below a minute, then `1m04s`, then `1h02m`.
pub(super) fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}.{}s", span.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}
