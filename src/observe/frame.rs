//! The whole display at one moment, for a terminal of a certain size. Pure.
//!
//! The display never has more lines than the terminal. Always shown: the head, the phases of the outage, the person who is waited for, what failed, the services with an objective,
//! the foot. Where lines are short, the steps that ended well fold first, into one line a stage, then the steps that are still to come, then the probes that are as they should be.

use std::cmp::Ordering;
use std::time::Duration;

use super::row::{Columns, Rank, Row, TIME, Tone, probe_row, step_row};
use super::words::{Phrase, clock, fitted, heading, stage_word};
use crate::model::ids::Part;
use crate::model::measure::{Measures, PHASES, Phase};
use crate::model::plan::{Plan, Stage};
use crate::model::state::{FAULT, RunState};
use crate::model::text::{Lang, span_in};
use crate::model::time::Timestamp;

/// How large the terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Default for Size {
    /// What every terminal once had.
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// What is shown and how.
pub(super) struct Frame<'a> {
    pub(super) state: &'a RunState,
    pub(super) plan: &'a Plan,
    pub(super) now: Timestamp,
    pub(super) lang: Lang,
    pub(super) size: Size,
    /// The line at the foot; none when empty.
    pub(super) foot: &'a str,
    pub(super) color: bool,
}

/// Rows that fold into one when there is no room: the steps of a stage, or the probes.
struct Group {
    name: String,
    rows: Vec<Row>,
    /// Whether a quiet row of it is over: a step is, a probe never.
    ends: bool,
}

impl Frame<'_> {
    /// Its lines, from the top; at most one less than the terminal has.
    pub(super) fn lines(&self) -> Vec<String> {
        let columns = Columns::of(self.size.columns);
        let mut top = vec![head(self.state, self.plan, self.now, self.lang, columns)];
        top.extend(
            Some(phases(self.state, self.plan, self.now, self.lang))
                .filter(|line| !line.is_empty())
                .map(|line| format!("  {}", fitted(&line, columns.whole() - 2).trim_end())),
        );
        let foot = Some(self.foot).filter(|foot| !foot.is_empty()).map(|foot| {
            let foot = cut(foot, columns);
            if self.color { format!("\u{1b}[1m{foot}\u{1b}[0m") } else { foot }
        });
        let room = self.size.rows.saturating_sub(1).max(5) - top.len() - usize::from(foot.is_some());
        let rows = folded(self.groups(columns), room, self.lang);
        top.into_iter().chain(rows.iter().map(|row| row.text(columns, self.color))).chain(foot).collect()
    }

    fn groups(&self, columns: Columns) -> Vec<Group> {
        let steps = |stage: Stage, keys: Vec<String>| Group {
            name: stage_word(stage, self.lang).to_owned(),
            rows: keys.iter().filter_map(|key| step_row(self.state, key, self.now, self.lang, columns.state)).collect(),
            ends: true,
        };
        let of = |part: Part, steps: &[crate::model::plan::StepPlan]| steps.iter().map(|step| part.key(&step.id)).collect();
        let mut groups = Vec::new();
        if self.plan.fault.is_some() {
            groups.push(steps(Stage::Inject, vec![FAULT.to_owned()]));
        }
        groups.push(steps(Stage::Failover, of(Part::Failover, &self.plan.failover.steps)));
        // Also when a run is taken over after its failback began.
        if let Some(failback) = self.plan.failback.as_ref().filter(|_| self.state.stage_began(Stage::Failback).is_some()) {
            groups.push(steps(Stage::Failback, of(Part::Failback, &failback.steps)));
        }
        let probes = self.plan.probes.iter().map(|probe| probe_row(self.state, self.plan, probe, self.now, self.lang)).collect();
        groups.push(Group { name: Phrase::OtherProbes.text(self.lang).to_owned(), rows: probes, ends: false });
        groups
    }
}

/// The rows of all groups in `room` lines: of each group those of the least weight fold into one, as few groups and weights as possible; then the
/// lightest are left out, and how many is said.
fn folded(groups: Vec<Group>, room: usize, lang: Lang) -> Vec<Row> {
    let all = |folds: &[Rank]| -> Vec<Row> { groups.iter().flat_map(|group| fold(group, folds, lang)).collect() };
    for folds in [&[][..], &[Rank::Quiet], &[Rank::Quiet, Rank::Waiting], &[Rank::Quiet, Rank::Waiting, Rank::Running]] {
        let rows = all(folds);
        if rows.len() <= room {
            return rows;
        }
    }
    let mut rows = all(&[Rank::Quiet, Rank::Waiting, Rank::Running]);
    let lines = rows.len();
    while rows.len() >= room.max(2) {
        let lightest = (0..rows.len()).max_by_key(|index| (rows[*index].rank, *index));
        rows.remove(lightest.expect("there are at least two rows"));
    }
    let text = Phrase::more(lang, lines - rows.len());
    rows.push(Row { rank: Rank::Pinned, sign: "…", name: text, strip: None, state: String::new(), time: String::new(), tone: Tone::Plain });
    rows
}

/// The rows of a group with all of one weight in one line, for each of these weights of which it has at least two.
fn fold(group: &Group, folds: &[Rank], lang: Lang) -> Vec<Row> {
    let all = group.rows.len();
    let mut rows = Vec::new();
    let mut said: Vec<Rank> = Vec::new();
    for row in &group.rows {
        let alike = || group.rows.iter().filter(|other| other.rank == row.rank);
        if !folds.contains(&row.rank) || alike().count() < 2 {
            rows.push(row.clone());
        } else if !said.contains(&row.rank) {
            said.push(row.rank);
            let count = alike().count();
            let first = alike().next().map_or_else(String::new, |row| row.state.clone());
            let same = alike().all(|other| other.state == first);
            let of = if count == all { Phrase::all(lang, count) } else { Phrase::of(lang, count as u32, all as u32) };
            let state = match row.rank {
                _ if same => format!("{of} {first}"),
                Rank::Quiet if group.ends => format!("{of} {}", Phrase::Over.text(lang)),
                // Each says something else: how many there are is all that is true of them together.
                _ => of,
            };
            let tone = if alike().all(|other| other.tone == row.tone) { row.tone } else { Tone::Plain };
            rows.push(Row { name: group.name.clone(), strip: None, state, time: String::new(), tone, ..row.clone() });
        }
    }
    rows
}

/// Cut where the terminal ends.
fn cut(text: &str, columns: Columns) -> String {
    fitted(text, columns.whole()).trim_end().to_owned()
}

/// The first line: what runs, the stage, how long.
pub(super) fn head(state: &RunState, plan: &Plan, now: Timestamp, lang: Lang, columns: Columns) -> String {
    const STAGE: usize = 15;
    let stage = match (&state.ended, state.stage()) {
        (Some(_), _) => Phrase::Ended.text(lang),
        (None, Some(stage)) => stage_word(stage, lang),
        (None, None) => Phrase::Starting.text(lang),
    };
    let time = state.start.as_ref().map(|start| clock(now.since(start.at))).unwrap_or_default();
    format!("{} {} {time:>TIME$}", fitted(&heading(plan, lang), columns.whole() - STAGE - TIME - 2), fitted(stage, STAGE))
}

/// The phases of the outage and how long it has lasted, against its RTO; empty before there is one.
pub(super) fn phases(state: &RunState, plan: &Plan, now: Timestamp, lang: Lang) -> String {
    let Some(split) = Measures::of(state).split else { return String::new() };
    // The journal's last event was a moment ago.
    let since = if split.open && state.ended.is_none() { state.at.map_or(0, |at| now.nanos_since(at).max(0)) } else { 0 };
    let time = |nanos: i64| clock(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
    let part = |(index, phase): (usize, &Phase)| {
        let word = phase_word(*phase).text(lang);
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
    let total = rto.map_or_else(|| total.clone(), |rto| format!("{total} {} {}", Phrase::OutOf.text(lang), span_in(rto, lang)));
    [parts.join("  "), total].join("  = ")
}

const fn phase_word(phase: Phase) -> Phrase {
    match phase {
        Phase::Detect => Phrase::PhaseDetect,
        Phase::Decide => Phrase::PhaseDecide,
        Phase::Act => Phrase::PhaseAct,
        Phase::Spread => Phrase::PhaseSpread,
        Phase::Settle => Phrase::PhaseSettle,
    }
}
