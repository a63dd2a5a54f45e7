//! What happened: key events in UTC and the plan's zone, and the phases of the outage.

use crate::model::event::probe::ProbeKind;
use crate::model::event::run::Awaited;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, Event, RunEvent};
use crate::model::interval::round_to_sum;
use crate::model::measure::{Basis, PHASES, Phase, Split};
use crate::model::plan::{ProbeState, Stage};
use crate::model::state::FAULT;
use crate::model::text::Lang;
use crate::model::time::Timestamp;
use crate::report::document::{Align, Block, Column, Inline, Line, Table, Value, code, line, text};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::numbers;
use crate::report::page::{Page, dash};

/// One line of the timeline: when, what, by whom.
struct Entry {
    at: Timestamp,
    what: Line,
    by: Line,
}

impl Page<'_> {
    /// Timeline and phases.
    pub(super) fn course(&self) -> Vec<Block> {
        let [utc, zone] = self.zone_heads();
        let mut table = Table::new(
            "timeline",
            vec![
                Column::new("event", self.t(Label::Number), Align::Right),
                Column::new("utc", utc, Align::Left),
                Column::new("local", zone, Align::Left),
                Column::new("what", self.t(Label::EventColumn), Align::Left),
                Column::new("by", self.t(Label::By), Align::Left),
            ],
        );
        // In order of what happened, not of what was written down: an edge is known only after it.
        let mut entries: Vec<(u64, Entry)> = self.events.iter().filter_map(|event| self.entry(event).map(|entry| (event.seq, entry))).collect();
        entries.sort_by_key(|(seq, entry)| (entry.at, *seq));
        table.holds(&[Field::TimelineEvents]);
        for (seq, entry) in entries {
            table.row(vec![self.count(seq).into(), self.utc(entry.at).into(), self.zoned(entry.at).into(), entry.what, entry.by]);
        }
        let mut blocks = vec![Block::Table(table)];
        blocks.extend(self.phases());
        blocks
    }

    /// The entry of a key event; most events have none.
    fn entry(&self, event: &Event) -> Option<Entry> {
        let tool = || Line::from(self.t(Label::Tool));
        let entry = |what: Line, by: Line| Some(Entry { at: event.at, what, by });
        match &event.body {
            Body::Run(body) => match body {
                RunEvent::Started { .. } => entry(self.t(Label::EvStarted).into(), code(&self.start.operator)),
                RunEvent::Resumed { to, by, .. } => {
                    entry(line![self.t(Label::EvResumed), " ", code(to)], code(if by.is_empty() { &event.owner } else { by }))
                }
                RunEvent::Stage { stage: Stage::Inject } if self.plan.steady_state.is_some() => entry(self.t(Label::EvSteady).into(), tool()),
                RunEvent::Stage { stage: Stage::Failback } => entry(self.after_verified(event, Label::EvFailback), tool()),
                RunEvent::Stage { stage: Stage::Cleanup } => entry(self.after_verified(event, Label::EvCleanup), tool()),
                RunEvent::Decided { by, basis } => entry(self.said(Label::EvDecided, basis), code(by)),
                RunEvent::StopRequested { abort, why, by } => entry(self.said(if *abort { Label::EvAbort } else { Label::EvStop }, why), code(by)),
                RunEvent::Note { text } => entry(self.said(Label::Note, text), tool()),
                RunEvent::Unseen { awaited, within, lacking } => {
                    let label = match awaited {
                        Awaited::Recovery => Label::UnseenRecovery,
                        Awaited::Source => Label::UnseenSource,
                        Awaited::Normal => Label::UnseenNormal,
                    };
                    entry(line![self.t(label), " ", self.span(*within), self.colon(), self.lacking(lacking)], tool())
                }
                RunEvent::Ended { .. } => entry(self.after_verified(event, Label::EvEnded), tool()),
                RunEvent::Ordered { order, by, why } => entry(self.order(order, why), code(by)),
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
                    StepKind::Intended { .. } => self.t(Label::EvIntent).into(),
                    StepKind::Applied { .. } => self.t(Label::EvActive).into(),
                    StepKind::Failed { failure } => self.said(Label::EvFaultFailed, &failure.to_string()),
                    StepKind::Undone { .. } => self.t(Label::EvHealed).into(),
                    StepKind::UndoFailed { failure } => self.said(Label::EvHealFailed, &failure.to_string()),
                    StepKind::Accepted { by, why, .. } => return entry(self.said(Label::BackAccepted, why), text(by)),
                    _ => return None,
                };
                entry(what, tool())
            }
            Body::Step(body) => {
                let changes = self.state.step(&body.step).is_some_and(|step| step.intent.is_some());
                let label = match &body.kind {
                    StepKind::Accepted { by, why, .. } => {
                        let step = line![self.said(Label::BackAccepted, why), self.colon(), self.step_name(&body.step)];
                        return entry(step, text(by));
                    }
                    StepKind::Applied { already: true, .. } if changes => Label::EvStepAlready,
                    StepKind::Applied { .. } => Label::EvStepDone,
                    StepKind::Failed { .. } => Label::EvStepFailed,
                    StepKind::Undone { .. } => Label::EvUndone,
                    StepKind::NotUndone => Label::EvNotUndone,
                    StepKind::UndoFailed { .. } => Label::EvUndoFailed,
                    _ => return None,
                };
                entry(line![self.t(label), self.colon(), self.step_name(&body.step)], tool())
            }
            Body::Probe(body) => self.probe_line(event, &body.probe, &body.kind),
        }
    }

    /// Of probes: the edges of the measured outages, and changes after the first.
    fn probe_line(&self, event: &Event, probe: &str, kind: &ProbeKind) -> Option<Entry> {
        let by = line![self.t(Label::ProbeWord), " ", code(probe)];
        match kind {
            ProbeKind::Edge { to, lo, hi, after, detail, .. } => {
                let outage = self.measures.outages.get(probe)?;
                let (label, other) = match to {
                    ProbeState::Bad if outage.down.hi == *hi || (*after == 0 && outage.basis != Basis::Edge) => (Label::EvDown, Label::LastGoodSent),
                    ProbeState::Good if outage.up.is_some_and(|up| up.hi == *hi) => (Label::EvUp, Label::LastBadSent),
                    _ => return None,
                };
                // Of the very first sample nobody knows what the one before it would have been.
                let before = if lo == hi || *after == 0 { Line::default() } else { self.bracketed(line![self.t(other), " ", self.utc(*lo)]) };
                Some(Entry { at: *hi, what: line![self.t(label), self.colon(), self.sentence(detail), before], by })
            }
            ProbeKind::Changed { state, .. } => {
                let first = self.state.probes.get(probe)?.changes.first().is_some_and(|(_, at)| *at == event.at);
                let label = match state {
                    ProbeState::Good if first => return None,
                    ProbeState::Good => Label::EvGood,
                    ProbeState::Bad => Label::EvBad,
                };
                Some(Entry { at: event.at, what: line![self.t(label), self.colon(), self.probe_name(probe)], by })
            }
            _ => None,
        }
    }

    /// An event that ended the verification says so.
    fn after_verified(&self, event: &Event, label: Label) -> Line {
        let verified = self.measures.instants.verified.is_some_and(|verified| verified.hi == event.at);
        if verified { line![self.t(Label::EvVerified), self.semicolon(), self.t(label)] } else { self.t(label).into() }
    }

    fn phases(&self) -> Vec<Block> {
        let Some(split) = &self.measures.split else { return vec![Block::Paragraph(self.t(Label::NoPhases).into())] };
        let seen_by = self.bracketed(self.seen_by(&split.probe));
        let rule = self.t(if split.open { Label::PhasesOpen } else { Label::PhasesSum });
        let name = self.probe_name(&split.probe);
        let lead = match self.lang {
            Lang::En => {
                let title = line![self.t(Label::PhasesLead), " ", name].strong();
                line![title, seen_by, if split.open { ". " } else { ", " }, rule]
            }
            Lang::Zh => {
                let title = line![self.t(Label::PhasesLead).trim_end_matches('：')].strong();
                line![title, " ", name, seen_by, "。", rule]
            }
        };
        let mut table = Table::new(
            "phases",
            vec![
                Column::new("phase", self.t(Label::Phase), Align::Left),
                Column::new("ends_when", self.t(Label::PhaseEnds), Align::Left),
                Column::new("ends_at", self.t(Label::PhaseEndsAt), Align::Left),
                Column::new("time", self.t(Label::TimeColumn), Align::Right),
                Column::new("share", self.t(Label::Share), Align::Right),
            ],
        );
        let unit = numbers::unit(split.total());
        let mut at = split.begin;
        let shares = shares(split);
        for (index, (((phase, part), shown), share)) in PHASES.iter().zip(split.parts).zip(shown(split)).zip(shares).enumerate() {
            let name = self.phase(*phase);
            if index >= split.entered {
                table.row(vec![name.into(), dash(), dash(), dash(), dash()]);
                continue;
            }
            at = Timestamp::from_nanos(at.as_nanos() + part);
            // Shown so that the parts sum to what the sum is shown as; the value is the part itself.
            let time = Inline::Shown(numbers::length_in(shown, unit, self.lang), Some(Value::exactly(part)));
            table.row(vec![name.into(), self.phase_end(*phase, split).into(), self.utc(at).into(), time.into(), self.tenths(share).into()]);
        }
        let total = line![self.length_in(split.total(), unit)].strong();
        let name = line![self.word("total", Label::Total)].strong();
        table.row(vec![name, Line::default(), Line::default(), total, self.tenths(1000).into()]);
        vec![Block::Lead(lead), Block::Table(table)]
    }

    /// A share in tenths of a percent.
    fn tenths(&self, share: i64) -> Inline {
        let ppm = u64::try_from(share).unwrap_or(0).saturating_mul(1000);
        let shown = format!("{}.{}{}", share / 10, share % 10, numbers::percent_sign(self.lang));
        Inline::Shown(shown, Some(Value::Share { lo: ppm, hi: ppm }))
    }

    fn phase(&self, phase: Phase) -> Inline {
        let word = match phase {
            Phase::Detect => "detect",
            Phase::Decide => "decide",
            Phase::Act => "act",
            Phase::Spread => "spread",
            Phase::Settle => "settle",
        };
        self.word(word, phase_label(phase))
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
pub(in crate::report) fn shown(split: &Split) -> Vec<i64> {
    round_to_sum(&split.parts, numbers::unit(split.total()))
}

/// The parts in tenths of a percent; they sum to 100 %.
fn shares(split: &Split) -> Vec<i64> {
    const FINE: i64 = 1_000_000;
    let total = i128::from(split.total().max(1));
    let fine = split.parts.map(|part| i64::try_from(i128::from(part) * i128::from(1000 * FINE) / total).unwrap_or(0));
    round_to_sum(&fine, FINE).into_iter().map(|part| part / FINE).collect()
}

pub(in crate::report) const fn phase_label(phase: Phase) -> Label {
    match phase {
        Phase::Detect => Label::PhDetect,
        Phase::Decide => Label::PhDecide,
        Phase::Act => Label::PhAct,
        Phase::Spread => Label::PhSpread,
        Phase::Settle => Label::PhSettle,
    }
}
