//! What happened: key events in UTC and the plan's zone, and the phases of the outage.

use std::fmt::Write;

use super::Page;
use super::fields::Field;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use super::numbers;
use crate::model::event::probe::ProbeKind;
use crate::model::event::run::Awaited;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, Event, RunEvent};
use crate::model::interval::round_to_sum;
use crate::model::measure::{Basis, PHASES, Phase, Split};
use crate::model::plan::{ProbeState, Stage};
use crate::model::state::FAULT;
use crate::model::time::Timestamp;

/// One line of the timeline: when, what, by whom.
struct Line {
    at: Timestamp,
    what: String,
    by: String,
}

impl Page<'_> {
    /// Timeline, phases, steps.
    pub(super) fn course(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "## 2 {}\n", self.t(Label::CourseTitle));
        let [utc, zone] = self.zones.heads(self.start.at);
        let mut table = Table::new(&[
            (self.t(Label::Number), Align::Right),
            (&utc, Align::Left),
            (&zone, Align::Left),
            (self.t(Label::EventColumn), Align::Left),
            (self.t(Label::By), Align::Left),
        ]);
        // In order of what happened, not of what was written down: an edge is known only after it.
        let mut lines: Vec<(u64, Line)> = self.events.iter().filter_map(|event| self.line(event).map(|line| (event.seq, line))).collect();
        lines.sort_by_key(|(seq, line)| (line.at, *seq));
        self.written.add(Field::TimelineEvents);
        for (seq, line) in lines {
            table.row(&[seq.to_string(), self.zones.utc(line.at), self.zones.zoned(line.at), line.what, line.by]);
        }
        out.push_str(&table.finish());
        self.phases(out);
        self.steps(out);
    }

    /// The line of a key event; most events have none.
    fn line(&self, event: &Event) -> Option<Line> {
        let tool = || self.t(Label::Tool).to_owned();
        let line = |what: String, by: String| Some(Line { at: event.at, what, by });
        match &event.body {
            Body::Run(body) => match body {
                RunEvent::Started { .. } => line(self.t(Label::EvStarted).to_owned(), code(&self.start.operator)),
                RunEvent::Resumed { to, by, .. } => {
                    line(format!("{} {}", self.t(Label::EvResumed), code(to)), code(if by.is_empty() { &event.owner } else { by }))
                }
                RunEvent::Stage { stage: Stage::Inject } if self.plan.steady_state.is_some() => line(self.t(Label::EvSteady).to_owned(), tool()),
                RunEvent::Stage { stage: Stage::Failback } => line(self.after_verified(event, Label::EvFailback), tool()),
                RunEvent::Stage { stage: Stage::Cleanup } => line(self.after_verified(event, Label::EvCleanup), tool()),
                RunEvent::Decided { by, basis } => line(self.said(Label::EvDecided, basis), code(by)),
                RunEvent::StopRequested { abort, why, by } => line(self.said(if *abort { Label::EvAbort } else { Label::EvStop }, why), code(by)),
                RunEvent::Note { text } => line(self.said(Label::Note, text), tool()),
                RunEvent::Unseen { awaited, within, lacking } => {
                    let label = match awaited {
                        Awaited::Recovery => Label::UnseenRecovery,
                        Awaited::Source => Label::UnseenSource,
                        Awaited::Normal => Label::UnseenNormal,
                    };
                    line(format!("{} {within}{}{}", self.t(label), self.colon(), self.lacking(lacking)), tool())
                }
                RunEvent::Ended { .. } => line(self.after_verified(event, Label::EvEnded), tool()),
                RunEvent::Ordered { order, by, why } => line(self.order(order, why), code(by)),
                RunEvent::Guarded { .. }
                | RunEvent::LeaseRenewed { .. }
                | RunEvent::Snapshot { .. }
                | RunEvent::Baseline { .. }
                | RunEvent::Kept { .. }
                | RunEvent::Forecast(_)
                | RunEvent::Samples(_) => None,
                RunEvent::Stage { .. } => None,
            },
            Body::Step(body) if body.step == FAULT => {
                let what = match &body.kind {
                    StepKind::Intended { .. } => self.t(Label::EvIntent).to_owned(),
                    StepKind::Applied { .. } => self.t(Label::EvActive).to_owned(),
                    StepKind::Failed { failure } => self.said(Label::EvFaultFailed, &failure.to_string()),
                    StepKind::Undone { .. } => self.t(Label::EvHealed).to_owned(),
                    StepKind::UndoFailed { failure } => self.said(Label::EvHealFailed, &failure.to_string()),
                    StepKind::Accepted { by, why, .. } => return line(self.said(Label::BackAccepted, why), text(by)),
                    _ => return None,
                };
                line(what, tool())
            }
            Body::Step(body) => {
                let changes = self.state.step(&body.step).is_some_and(|step| step.intent.is_some());
                let label = match &body.kind {
                    StepKind::Accepted { by, why, .. } => {
                        let step = format!("{}{}{}", self.said(Label::BackAccepted, why), self.colon(), self.step_name(&body.step));
                        return line(step, text(by));
                    }
                    StepKind::Applied { already: true, .. } if changes => Label::EvStepAlready,
                    StepKind::Applied { .. } => Label::EvStepDone,
                    StepKind::Failed { .. } => Label::EvStepFailed,
                    StepKind::Undone { .. } => Label::EvUndone,
                    StepKind::NotUndone => Label::EvNotUndone,
                    StepKind::UndoFailed { .. } => Label::EvUndoFailed,
                    _ => return None,
                };
                line(format!("{}{}{}", self.t(label), self.colon(), self.step_name(&body.step)), tool())
            }
            Body::Probe(body) => self.probe_line(event, &body.probe, &body.kind),
        }
    }

    /// Of probes: the edges of the measured outages, and changes after the first.
    fn probe_line(&self, event: &Event, probe: &str, kind: &ProbeKind) -> Option<Line> {
        let by = format!("{} {}", self.t(Label::ProbeWord), code(probe));
        match kind {
            ProbeKind::Edge { to, lo, hi, after, detail, .. } => {
                let outage = self.measures.outages.get(probe)?;
                let (label, other) = match to {
                    ProbeState::Bad if outage.down.hi == *hi || (*after == 0 && outage.basis != Basis::Edge) => (Label::EvDown, Label::LastGoodSent),
                    ProbeState::Good if outage.up.is_some_and(|up| up.hi == *hi) => (Label::EvUp, Label::LastBadSent),
                    _ => return None,
                };
                // Of the very first sample nobody knows what the one before it would have been.
                let before =
                    if lo == hi || *after == 0 { String::new() } else { self.bracketed(&format!("{} {}", self.t(other), self.zones.utc(*lo))) };
                Some(Line { at: *hi, what: format!("{}{}{}{before}", self.t(label), self.colon(), self.sentence(detail)), by })
            }
            ProbeKind::Changed { state, .. } => {
                let first = self.state.probes.get(probe)?.changes.first().is_some_and(|(_, at)| *at == event.at);
                let label = match state {
                    ProbeState::Good if first => return None,
                    ProbeState::Good => Label::EvGood,
                    ProbeState::Bad => Label::EvBad,
                };
                Some(Line { at: event.at, what: format!("{}{}{}", self.t(label), self.colon(), self.probe_name(probe)), by })
            }
            _ => None,
        }
    }

    /// An event that ended the verification says so.
    fn after_verified(&self, event: &Event, label: Label) -> String {
        let verified = self.measures.instants.verified.is_some_and(|verified| verified.hi == event.at);
        if verified { format!("{}{}{}", self.t(Label::EvVerified), self.semicolon(), self.t(label)) } else { self.t(label).to_owned() }
    }

    fn said(&self, label: Label, what: &str) -> String {
        if what.is_empty() { self.t(label).to_owned() } else { format!("{}{}{}", self.t(label), self.colon(), self.sentence(what)) }
    }

    fn phases(&self, out: &mut String) {
        let Some(split) = &self.measures.split else {
            let _ = writeln!(out, "{}\n", self.t(Label::NoPhases));
            return;
        };
        let seen_by = self.bracketed(&self.seen_by(&split.probe));
        let rule = self.t(if split.open { Label::PhasesOpen } else { Label::PhasesSum });
        let _ = match self.lang {
            crate::model::text::Lang::En => {
                writeln!(
                    out,
                    "**{} {}**{seen_by}{}{}\n",
                    self.t(Label::PhasesLead),
                    self.probe_name(&split.probe),
                    if split.open { ". " } else { ", " },
                    rule
                )
            }
            crate::model::text::Lang::Zh => {
                writeln!(out, "**{}** {}{seen_by}。{rule}\n", self.t(Label::PhasesLead).trim_end_matches('：'), self.probe_name(&split.probe))
            }
        };
        let mut table = Table::new(&[
            (self.t(Label::Phase), Align::Left),
            (self.t(Label::PhaseEnds), Align::Left),
            (self.t(Label::PhaseEndsAt), Align::Left),
            (self.t(Label::TimeColumn), Align::Right),
            (self.t(Label::Share), Align::Right),
        ]);
        let (unit, percent) = (numbers::unit(split.total()), numbers::percent_sign(self.lang));
        let mut at = split.begin;
        let shares = shares(split);
        for (index, (((phase, part), shown), share)) in PHASES.iter().zip(split.parts).zip(shown(split)).zip(shares).enumerate() {
            if index >= split.entered {
                let never = || "–".to_owned();
                table.row(&[self.t(phase_label(*phase)).to_owned(), never(), never(), never(), never()]);
                continue;
            }
            at = Timestamp::from_nanos(at.as_nanos() + part);
            let time = numbers::length_in(shown, unit, self.lang);
            table.row(&[
                self.t(phase_label(*phase)).to_owned(),
                self.phase_end(*phase, split).to_owned(),
                self.zones.utc(at),
                time,
                format!("{}.{}{percent}", share / 10, share % 10),
            ]);
        }
        table.row(&[
            format!("**{}**", self.t(Label::Total)),
            String::new(),
            String::new(),
            format!("**{}**", numbers::length_in(split.total(), unit, self.lang)),
            format!("100.0{percent}"),
        ]);
        out.push_str(&table.finish());
    }

    /// Whether what noticed the fault is an alarm of the monitoring that is on duty, not a probe of this run's own.
    fn detects_on_duty(&self) -> bool {
        self.plan.detect.as_ref().and_then(|detect| self.probe_plan(&detect.probe)).is_some_and(|probe| probe.on_duty)
    }

    fn phase_end(&self, phase: Phase, split: &Split) -> &'static str {
        let instants = &self.measures.instants;
        let reached = match phase {
            Phase::Detect => instants.detected,
            Phase::Decide => instants.decided,
            Phase::Act => instants.spreads.or(instants.effective),
            Phase::Spread if instants.spreads.is_none() => instants.effective,
            Phase::Spread if self.measures.traffic.is_some() => instants.moved,
            Phase::Spread => instants.shift_seen,
            Phase::Settle => instants.restored,
        };
        self.t(match phase {
            _ if reached.is_none() && split.open => Label::EndOpen,
            Phase::Detect if self.is_emergency() => Label::EndDetectEmergency,
            Phase::Detect if self.detects_on_duty() => Label::EndDetectOnDuty,
            Phase::Detect => Label::EndDetect,
            Phase::Decide => Label::EndDecide,
            Phase::Act if instants.spreads.is_none() => Label::EndActSeen,
            Phase::Act => Label::EndAct,
            Phase::Spread if instants.spreads.is_none() => Label::EndUnmoved,
            Phase::Spread if instants.moved.is_some() && self.counts_users() => Label::EndMoved,
            Phase::Spread if instants.moved.is_some() => Label::EndOwnMoved,
            Phase::Spread => Label::EndSpread,
            Phase::Settle => Label::EndSettle,
        })
    }
}

/// The parts as shown: they sum to the total as shown.
pub(super) fn shown(split: &Split) -> Vec<i64> {
    round_to_sum(&split.parts, numbers::unit(split.total()))
}

/// The parts in tenths of a percent; they sum to 100 %.
fn shares(split: &Split) -> Vec<i64> {
    const FINE: i64 = 1_000_000;
    let total = i128::from(split.total().max(1));
    let fine = split.parts.map(|part| i64::try_from(i128::from(part) * i128::from(1000 * FINE) / total).unwrap_or(0));
    round_to_sum(&fine, FINE).into_iter().map(|part| part / FINE).collect()
}

pub(super) const fn phase_label(phase: Phase) -> Label {
    match phase {
        Phase::Detect => Label::PhDetect,
        Phase::Decide => Label::PhDecide,
        Phase::Act => Label::PhAct,
        Phase::Spread => Label::PhSpread,
        Phase::Settle => Label::PhSettle,
    }
}
