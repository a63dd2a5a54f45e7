//! One line of the display: of a step, or of a probe. Pure: from the state and the time to columns.

use unicode_width::UnicodeWidthStr;

use super::words::{Phrase, clock, fitted, title};
use crate::model::forecast;
use crate::model::ids;
use crate::model::measure::{ALL, share};
use crate::model::phrases::phrase;
use crate::model::plan::{Plan, ProbePlan, ProbeState};
use crate::model::state::probe::ProbeStanding;
use crate::model::state::{FAULT, RunState, Status};
use crate::model::text::{Lang, span_in};
use crate::model::time::Timestamp;

/// Columns of a running time.
pub(super) const TIME: usize = 9;
/// Cells of a probe's strip, each so many seconds: the last minute.
const STRIP: usize = 12;
const CELL: std::time::Duration = std::time::Duration::from_secs(5);

/// How wide the columns are. A line is one column short of the terminal, so that none ever wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) name: usize,
    pub(super) state: usize,
}

impl Columns {
    /// For a terminal of so many columns; one of fewer than 50 is taken as 50.
    pub(super) fn of(terminal: usize) -> Self {
        let both = terminal.max(50) - 1 - (TIME + 4);
        let name = (both / 2).min(34 + terminal.saturating_sub(80) / 3);
        Self { name, state: both - name }
    }

    /// The whole line.
    pub(super) const fn whole(self) -> usize {
        self.name + self.state + TIME + 4
    }
}

/// Colours, only where they mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Faint,
    Good,
    Busy,
    Alarm,
}

impl Tone {
    fn paint(self, text: &str, color: bool) -> String {
        let code = match self {
            _ if !color => return text.to_owned(),
            Self::Plain => return text.to_owned(),
            Self::Faint => "2",
            Self::Good => "32",
            Self::Busy => "36",
            Self::Alarm => "1;31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// What a line is about, which decides what it gives way to when the terminal is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// What must be seen: a person is waited for, something failed, a service with an objective.
    Pinned,
    /// What goes on now.
    Running,
    /// What will come.
    Waiting,
    /// What ended well, or is as it should be.
    Quiet,
}

/// One line of the display, in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) rank: Rank,
    pub(super) sign: &'static str,
    pub(super) name: String,
    /// The last minute of a probe, each cell in the colour of what it shows.
    pub(super) strip: Option<[Option<ProbeState>; STRIP]>,
    pub(super) state: String,
    pub(super) time: String,
    pub(super) tone: Tone,
}

impl Row {
    /// In so many columns.
    pub(super) fn text(&self, columns: Columns, color: bool) -> String {
        let Columns { name, state } = columns;
        let strip = match &self.strip {
            None => format!("{} {}", self.sign, fitted(&self.name, name)),
            Some(_) => format!("{} {} ", self.sign, fitted(&self.name, name - STRIP - 1)),
        };
        let mut line = self.tone.paint(&strip, color);
        for cell in self.strip.iter().flatten() {
            line += &match cell {
                Some(ProbeState::Bad) => Tone::Alarm.paint("█", color),
                Some(ProbeState::Good) => Tone::Good.paint("░", color),
                None => " ".to_owned(),
            };
        }
        line + &self.tone.paint(&format!(" {} {:>TIME$}", fitted(&self.state, state), self.time), color)
    }
}

/// The last minute of a probe.
fn strip(standing: Option<&ProbeStanding>, now: Timestamp) -> [Option<ProbeState>; STRIP] {
    let ago = |cells: usize| Timestamp::from_nanos(now.as_nanos().saturating_sub((CELL.as_nanos() * cells as u128).try_into().unwrap_or(i64::MAX)));
    std::array::from_fn(|index| standing?.state_between(ago(STRIP - index), ago(STRIP - 1 - index)))
}

/// The line of a step; none when the run has no such step. `width`: columns of what it says of itself.
pub(super) fn step_row(state: &RunState, key: &str, now: Timestamp, lang: Lang, width: usize) -> Option<Row> {
    let step = state.step(key)?;
    let say = |phrase: Phrase| phrase.text(lang);
    let planned = state.planned(key);
    let name = match title(state, key, lang) {
        _ if key == FAULT => format!("{} {}", say(Phrase::Fault), state.plan().and_then(|plan| plan.fault.as_ref()).map_or("", |fault| &fault.uses)),
        Some(title) => title.to_owned(),
        None => ids::short(key).to_owned(),
    };
    let is_fault = key == FAULT;
    let (mut rank, sign, mut tone) = look(step.status, is_fault);
    let word = step.word(is_fault);
    let mut text = if sign == "▲" { word.loud(lang) } else { word.text(lang).to_owned() };
    if matches!(step.status, Status::Running | Status::Retrying) {
        // What tells most comes first: it is what a narrow terminal shows.
        let (done, all) = state.items(key).fold((0, 0), |(done, all), (_, item)| (done + u32::from(item.applied), all + 1));
        if all > 0 {
            text = format!("{text}: {}", Phrase::of(lang, done, all));
        }
        if let (Status::Running, Some(progress)) = (step.status, &step.progress) {
            let progress = phrase(progress, lang);
            let long = format!("{text}: {progress}");
            text = if long.width() <= width { long } else { progress.into_owned() };
        }
        let of = planned.map_or(1, |step| step.retry.attempts);
        let attempt = format!("{text}, {}", Phrase::attempt(lang, step.attempts, of.max(step.attempts)));
        if step.attempts > 1 || (of > 1 && attempt.width() <= width) {
            text = attempt;
        }
    }
    if let Some((_, question)) = step.question.as_ref().filter(|_| step.status == Status::Running) {
        (rank, tone) = (Rank::Pinned, Tone::Alarm);
        text = say(if question.manual { Phrase::ByHand } else { Phrase::Approval }).to_owned();
    } else if state.waits_to_be_mended(key) {
        text = say(Phrase::Mend).to_owned();
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
    if let Some(typical) = slow {
        (rank, tone) = (Rank::Pinned, Tone::Alarm);
        text = format!("{}, p90 {}; {text}", say(Phrase::Slow), forecast::short(typical.p90));
    }
    Some(Row { rank, sign, name, strip: None, state: text, time, tone })
}

/// How the line of a step looks.
fn look(status: Status, fault: bool) -> (Rank, &'static str, Tone) {
    match status {
        Status::Pending => (Rank::Waiting, "·", Tone::Faint),
        Status::Running => (Rank::Running, "▶", Tone::Busy),
        Status::Retrying => (Rank::Pinned, "▶", Tone::Alarm),
        Status::Applied if fault => (Rank::Pinned, "!", Tone::Alarm),
        Status::Applied => (Rank::Quiet, "●", Tone::Good),
        Status::Failed | Status::UndoFailed => (Rank::Pinned, "▲", Tone::Alarm),
        Status::Skipped => (Rank::Quiet, "–", Tone::Faint),
        Status::Undoing => (Rank::Running, "◀", Tone::Busy),
        Status::Undone if fault => (Rank::Quiet, "○", Tone::Good),
        Status::Undone => (Rank::Quiet, "○", Tone::Plain),
        Status::Accepted => (Rank::Pinned, "◐", Tone::Plain),
    }
}

/// The line of a probe: its state, and while it is down for how long, against its RTO.
pub(super) fn probe_row(state: &RunState, plan: &Plan, probe: &ProbePlan, now: Timestamp, lang: Lang) -> Row {
    let say = |phrase: Phrase| phrase.text(lang);
    let title = probe.title.get(lang);
    let name = if title.is_empty() { &probe.id } else { title }.to_owned();
    let objective = plan.objectives.get(&probe.id);
    let rto = objective.and_then(|objective| objective.rto);
    let standing = state.probes.get(&probe.id);
    let strip = Some(strip(standing, now));
    let rank = if objective.is_some() { Rank::Pinned } else { Rank::Quiet };
    if plan.traffic.as_ref() == Some(&probe.id)
        && let Some(share) = standing.and_then(|standing| share(&standing.readings.last()?.value))
    {
        // Before and after the shift a small share is as it should be: no colour, no alarm.
        let text = format!("{} % {}", share * 100 / ALL, say(Phrase::AtTarget));
        return Row { rank: Rank::Running, sign: "·", name, strip, state: text, time: String::new(), tone: Tone::Plain };
    }
    let down = standing.and_then(|standing| standing.down_since()).map(|since| now.since(since));
    if let Some(down) = down {
        let word = say(if probe.service { Phrase::Down } else { Phrase::Bad });
        let text = rto.map_or_else(|| word.to_owned(), |rto| format!("{word}, RTO {}", span_in(rto, lang)));
        let late = rto.is_some_and(|rto| down > rto.duration());
        let text = if late { format!("{text} {}", say(Phrase::Missed)) } else { text };
        return Row { rank: rank.min(Rank::Running), sign: "▲", name, strip, state: text, time: clock(down), tone: Tone::Alarm };
    }
    let confirmed = standing.and_then(|standing| standing.confirmed);
    let (sign, tone, phrase) = match confirmed {
        Some(ProbeState::Good) => ("●", Tone::Good, Phrase::Good),
        // The samples are good again, but not yet enough of them.
        Some(ProbeState::Bad) => ("◐", Tone::Busy, Phrase::ComingBack),
        None => ("·", Tone::Faint, Phrase::NotKnown),
    };
    let since = standing.and_then(|standing| standing.changed()).filter(|_| confirmed.is_some()).map(|at| clock(now.since(at))).unwrap_or_default();
    let rank = if confirmed == Some(ProbeState::Bad) { rank.min(Rank::Running) } else { rank };
    Row { rank, sign, name, strip, state: say(phrase).to_owned(), time: since, tone }
}
