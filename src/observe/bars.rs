//! A terminal: one line a step with state, attempt and elapsed time, one line a probe with its state and how long it has been down against its RTO.
//! What must not be missed is printed above and stays.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Observer;
use super::words::{Weight, clock, fitted, heading, said, state_word, title};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::forecast;
use crate::model::measure::{ALL, Measures, PHASES, Phase, share};
use crate::model::plan::{Plan, ProbePlan, ProbeState, Stage};
use crate::model::state::probe::ProbeStanding;
use crate::model::state::{FAULT, RunState, Status, StepState};
use crate::model::text::Lang;
use crate::model::time::Timestamp;

/// Columns of a line: it fits a terminal of 80.
const NAME: usize = 34;
const STATE: usize = 28;
const TIME: usize = 9;

/// Cells of a probe's strip, each so many seconds: the last minute.
const STRIP: usize = 12;
const CELL: Duration = Duration::from_secs(5);

/// Colours, only where they mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Faint,
    Good,
    Busy,
    Alarm,
}

/// One line of the display, in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    sign: &'static str,
    name: String,
    state: String,
    time: String,
    tone: Tone,
}

impl Row {
    pub(super) fn text(&self, color: bool) -> String {
        let line = format!("{} {} {} {:>TIME$}", self.sign, fitted(&self.name, NAME), fitted(&self.state, STATE), self.time);
        let code = match self.tone {
            _ if !color => return line,
            Tone::Plain => return line,
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Busy => "36",
            Tone::Alarm => "1;31",
        };
        format!("\u{1b}[{code}m{line}\u{1b}[0m")
    }
}

/// The bars. Made before the run starts and driven by its events.
pub struct Bars {
    screen: MultiProgress,
    head: ProgressBar,
    /// The phases of the outage, below the head.
    phases: ProgressBar,
    steps: Vec<(String, ProgressBar)>,
    probes: Vec<(String, ProgressBar)>,
    /// What whoever sits in front of it may do, below everything else.
    foot: Option<ProgressBar>,
    color: bool,
    lang: Lang,
    /// The last event's time, and when it came in: what elapsed since is added.
    last: Option<(Timestamp, Instant)>,
}

impl Bars {
    /// The terminal to draw on: standard error when standard output carries JSON.
    #[must_use]
    pub fn terminal(json: bool) -> ProgressDrawTarget {
        if json { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::stdout() }
    }

    /// Bars for `plan`; the failback's appear when it begins.
    #[must_use]
    pub fn new(plan: &Plan, target: ProgressDrawTarget, color: bool, lang: Lang) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let head = line(&screen, None);
        let mut bars =
            Self { phases: line(&screen, Some(&head)), head, screen, steps: Vec::new(), probes: Vec::new(), foot: None, color, lang, last: None };
        if plan.fault.is_some() {
            bars.add_step(FAULT.to_owned());
        }
        for step in &plan.failover.steps {
            bars.add_step(format!("failover/{}", step.id));
        }
        for probe in &plan.probes {
            bars.probes.push((probe.id.clone(), line(&bars.screen, None)));
        }
        bars
    }

    fn add_step(&mut self, key: String) {
        let after = self.steps.last().map_or(&self.phases, |(_, bar)| bar);
        let bar = line(&self.screen, Some(after));
        self.steps.push((key, bar));
    }

    fn now(&self, state: &RunState) -> Option<Timestamp> {
        self.last.map(|(at, came)| at.plus(came.elapsed())).or(state.at)
    }

    fn draw(&self, state: &RunState) {
        let (Some(plan), Some(now)) = (state.plan(), self.now(state)) else { return };
        self.head.set_message(head(state, plan, now, self.lang));
        self.phases.set_message(phases(state, plan, now));
        for (key, bar) in &self.steps {
            if let Some(row) = step_row(state, key, now, self.lang) {
                bar.set_message(row.text(self.color));
            }
        }
        for (id, bar) in &self.probes {
            if let Some(probe) = plan.probes.iter().find(|probe| probe.id == *id) {
                bar.set_message(probe_row(state, plan, probe, now, self.lang).text(self.color));
            }
        }
    }
}

/// A line of its own below `after`.
fn line(screen: &MultiProgress, after: Option<&ProgressBar>) -> ProgressBar {
    let bar = ProgressBar::no_length().with_style(ProgressStyle::with_template("{msg}").expect("a template of one known key"));
    match after {
        Some(after) => screen.insert_after(after, bar),
        None => screen.add(bar),
    }
}

impl Observer for Bars {
    fn event(&mut self, event: &Event, state: &RunState) {
        self.last = Some((event.at, Instant::now()));
        // Also when a run is taken over after its failback began.
        let shown = self.steps.iter().any(|(key, _)| key.starts_with("failback/"));
        if !shown && state.stage_began(Stage::Failback).is_some() {
            let keys: Vec<String> = state
                .plan()
                .and_then(|plan| plan.failback.as_ref())
                .iter()
                .flat_map(|runbook| &runbook.steps)
                .map(|step| format!("failback/{}", step.id))
                .collect();
            for key in keys {
                self.add_step(key);
            }
        }
        let decided = matches!(event.body, Body::Run(RunEvent::Decided { .. }));
        if let Some(said) = said(event, state, self.lang)
            .filter(|said| (said.weight == Weight::Trouble || decided) && !matches!(event.body, Body::Run(RunEvent::Ended { .. })))
        {
            for line in said.lines {
                let line = format!("{}  {}  {line}", event.at.to_utc().format("%H:%M:%SZ"), said.subject);
                // A terminal that is gone must not stop a failover.
                let _ = self.screen.println(line);
            }
        }
        self.draw(state);
    }

    fn tick(&mut self, state: &RunState) {
        self.draw(state);
    }

    fn foot(&mut self, text: &str) {
        if text.is_empty() {
            if let Some(foot) = self.foot.take() {
                foot.finish_and_clear();
                self.screen.remove(&foot);
            }
            return;
        }
        let foot = self.foot.get_or_insert_with(|| line(&self.screen, None));
        let text = fitted(text, NAME + STATE + TIME + 4);
        let text = text.trim_end();
        foot.set_message(if self.color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() });
    }

    fn finish(&mut self, state: &RunState) {
        self.foot("");
        self.draw(state);
        self.head.abandon();
        self.phases.abandon();
        for (_, bar) in self.steps.iter().chain(&self.probes) {
            bar.abandon();
        }
        // The verdict itself is the command's last word.
        if let Some(end) = &state.ended {
            for reason in &end.reasons {
                let _ = self.screen.println(format!("  {}", super::words::one_line(reason)));
            }
        }
    }
}

/// The first line: what runs, the stage, how long.
pub(super) fn head(state: &RunState, plan: &Plan, now: Timestamp, lang: Lang) -> String {
    let stage = match (&state.ended, state.stage()) {
        (Some(_), _) => "ended",
        (None, Some(stage)) => stage_word(stage),
        (None, None) => "starting",
    };
    let time = state.start.as_ref().map(|start| clock(now.since(start.at))).unwrap_or_default();
    format!("{} {} {time:>TIME$}", fitted(&heading(plan, lang), NAME + 2 + 13), fitted(stage, STATE - 13))
}

/// The phases of the outage and how long it has lasted, against its RTO; empty before there is one.
pub(super) fn phases(state: &RunState, plan: &Plan, now: Timestamp) -> String {
    let Some(split) = Measures::of(state).split else { return String::new() };
    // The journal's last event was a moment ago.
    let since = if split.open && state.ended.is_none() { state.at.map_or(0, |at| now.nanos_since(at).max(0)) } else { 0 };
    let time = |nanos: i64| clock(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
    let part = |(index, phase): (usize, &Phase)| {
        let word = phase_word(*phase);
        match (index + 1).cmp(&split.entered) {
            Ordering::Less => format!("{word} {}", time(split.parts[index])),
            Ordering::Equal if split.open => format!("{word} {}…", time(split.parts[index] + since)),
            Ordering::Equal => format!("{word} {}", time(split.parts[index])),
            Ordering::Greater => format!("{word} –"),
        }
    };
    let parts: Vec<String> = PHASES.iter().enumerate().map(part).collect();
    let rto = plan.objectives.get(&split.probe).and_then(|objective| objective.rto);
    let total = time(split.total() + since);
    let total = rto.map_or_else(|| total.clone(), |rto| format!("{total} of {rto}"));
    format!("  {}", [parts.join("  "), total].join("  = "))
}

const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Detect => "detect",
        Phase::Decide => "decide",
        Phase::Act => "act",
        Phase::Spread => "spread",
        Phase::Settle => "settle",
    }
}

/// The last minute of a probe: `█` where it was bad, `░` where it was good.
fn strip(standing: Option<&ProbeStanding>, now: Timestamp) -> String {
    let cell = |index: usize| {
        let ago =
            |cells: usize| Timestamp::from_nanos(now.as_nanos().saturating_sub((CELL.as_nanos() * cells as u128).try_into().unwrap_or(i64::MAX)));
        match standing?.state_between(ago(STRIP - index), ago(STRIP - 1 - index))? {
            ProbeState::Bad => Some('█'),
            ProbeState::Good => Some('░'),
        }
    };
    (0..STRIP).map(|index| cell(index).unwrap_or(' ')).collect()
}

const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::SteadyState => "steady state",
        Stage::Inject => "inject",
        Stage::Detect => "detect",
        Stage::Decide => "decide",
        Stage::Failover => "failover",
        Stage::Verify => "verify",
        Stage::Failback => "failback",
        Stage::Cleanup => "cleanup",
    }
}

/// The line of a step; none when the run has no such step.
pub(super) fn step_row(state: &RunState, key: &str, now: Timestamp, lang: Lang) -> Option<Row> {
    let step = state.step(key)?;
    let planned = state.plan().and_then(|plan| {
        let (book, id) = key.split_once('/')?;
        let runbook = if book == "failback" { plan.failback.as_ref()? } else { &plan.failover };
        runbook.steps.iter().find(|step| step.id == id)
    });
    let name = title(state, key, lang).unwrap_or_else(|| key.split_once('/').map_or(key, |(_, id)| id)).to_owned();
    let name =
        if key == FAULT { state.plan().and_then(|plan| plan.fault.as_ref()).map_or(name, |fault| format!("fault {}", fault.uses)) } else { name };
    let (sign, tone, mut text) = standing(step, key == FAULT);
    if matches!(step.status, Status::Running | Status::Retrying) {
        let of = planned.map_or(1, |step| step.retry.attempts);
        if of > 1 || step.attempts > 1 {
            text = format!("{text}, attempt {}/{}", step.attempts, of.max(step.attempts));
        }
        let (done, all) = state.items(key).fold((0, 0), |(done, all), (_, item)| (done + u32::from(item.applied), all + 1));
        if all > 0 {
            text = format!("{text}, {done}/{all} done");
        }
    }
    if let (Status::Running, Some(progress)) = (step.status, &step.progress) {
        text = format!("{text}: {progress}");
    }
    let until = match step.status {
        Status::Running | Status::Retrying => Some(now),
        Status::Undoing => step.undoing.map(|_| now),
        _ => step.ended,
    };
    let from = if step.status == Status::Undoing { step.undoing } else { step.started };
    let time = from.zip(until).map(|(from, until)| clock(until.since(from))).unwrap_or_default();
    let typical = state.forecast.as_ref().and_then(|forecast| forecast.steps.get(key));
    let slow = typical.filter(|typical| {
        matches!(step.status, Status::Running | Status::Retrying) && from.is_some_and(|from| now.since(from) > typical.p90.duration())
    });
    let tone = if slow.is_some() { Tone::Alarm } else { tone };
    if let Some(typical) = slow {
        text = format!("SLOW, p90 {}; {text}", forecast::short(typical.p90));
    }
    Some(Row { sign, name, state: text, time, tone })
}

fn standing(step: &StepState, fault: bool) -> (&'static str, Tone, String) {
    let (sign, tone, text) = match step.status {
        Status::Pending => ("·", Tone::Faint, "waiting"),
        Status::Running => ("▶", Tone::Busy, "running"),
        Status::Retrying => ("▶", Tone::Alarm, "failed, again soon"),
        Status::Applied if fault => ("!", Tone::Alarm, "in effect"),
        Status::Applied if step.already && step.intent.is_some() => ("●", Tone::Good, "already as asked"),
        Status::Applied => ("●", Tone::Good, "done"),
        Status::Failed => ("▲", Tone::Alarm, "FAILED"),
        Status::Skipped => ("–", Tone::Faint, "not run"),
        Status::Undoing if fault => ("◀", Tone::Busy, "being taken out"),
        Status::Undoing => ("◀", Tone::Busy, "being put back"),
        Status::Undone if fault => ("○", Tone::Good, "taken out"),
        Status::Undone => ("○", Tone::Plain, "put back"),
        Status::UndoFailed => ("▲", Tone::Alarm, "LEFT OVER"),
    };
    (sign, tone, text.to_owned())
}

/// The line of a probe: its state, and while it is down for how long, against its RTO.
pub(super) fn probe_row(state: &RunState, plan: &Plan, probe: &ProbePlan, now: Timestamp, lang: Lang) -> Row {
    let title = probe.title.get(lang);
    let name = if title.is_empty() { &probe.id } else { title };
    let name = format!("{} {}", fitted(name, NAME - STRIP - 1), strip(state.probes.get(&probe.id), now));
    let rto = plan.objectives.get(&probe.id).and_then(|objective| objective.rto);
    let standing = state.probes.get(&probe.id);
    if plan.traffic.as_ref() == Some(&probe.id)
        && let Some(share) = standing.and_then(|standing| share(&standing.readings.last()?.value))
    {
        // Before and after the shift a small share is as it should be: no colour, no alarm.
        return Row { sign: "·", name, state: format!("{} % at the target", share * 100 / ALL), time: String::new(), tone: Tone::Plain };
    }
    let down = standing.and_then(|standing| standing.down_since()).map(|since| now.since(since));
    if let Some(down) = down {
        let word = if probe.service { "down" } else { "bad" };
        let text = rto.map_or_else(|| word.to_owned(), |rto| format!("{word}, RTO {rto}"));
        let late = rto.is_some_and(|rto| down > rto.duration());
        let text = if late { format!("{text} MISSED") } else { text };
        return Row { sign: "▲", name, state: text, time: clock(down), tone: Tone::Alarm };
    }
    let confirmed = standing.and_then(|standing| standing.confirmed);
    let (sign, tone, text) = match confirmed {
        Some(ProbeState::Good) => ("●", Tone::Good, state_word(ProbeState::Good)),
        // The samples are good again, but not yet enough of them.
        Some(ProbeState::Bad) => ("◐", Tone::Busy, "coming back"),
        None => ("·", Tone::Faint, "not known yet"),
    };
    let since = standing.and_then(|standing| standing.changed()).filter(|_| confirmed.is_some()).map(|at| clock(now.since(at))).unwrap_or_default();
    Row { sign, name, state: text.to_owned(), time: since, tone }
}
