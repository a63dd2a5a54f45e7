//! What was injected and changed, the proof that it was put back, and the calls that did it.

use std::fmt::Write;

use super::Page;
use super::fields::Field;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use super::numbers;
use crate::model::measure::{self, Standing, Stands};
use crate::model::state::step::StepCall;
use crate::model::state::{Acceptance, FAULT, Status, StepState};
use crate::model::target::Target;

impl Page<'_> {
    /// The fault, what steps changed, leftovers, mutating calls.
    pub(super) fn changes(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "## 3 {}\n", self.t(Label::ChangesTitle));
        self.fault(out);
        self.changed(out);
        if self.standing.is_empty() {
            let differs = self.state.baseline.as_ref().is_some_and(|baseline| !baseline.differences.is_empty());
            let none = if differs { Label::SeeDifferences } else { Label::NoLeftovers };
            let _ = writeln!(out, "**{}** {}\n", self.t(Label::Leftovers), self.t(none));
        } else {
            let lines: Vec<String> = self.standing.iter().map(|one| format!("- {}", self.stands(one))).collect();
            let count = self.stand(measure::count(&self.standing));
            let _ = writeln!(out, "**▲ {}{}** {count}\n\n{}\n", self.t(Label::InPlace), self.colon().trim_end(), lines.join("\n"));
            if self.state.leaves() && self.state.held().iter().any(|key| key.starts_with("failover/")) {
                let _ = writeln!(out, "{}\n", self.t(self.kept_line()));
            }
        }
        self.calls(out);
    }

    /// What stands of one step, and why.
    fn stands(&self, one: &Standing) -> String {
        let why = match &one.why {
            Stands::LeftOver(why) => format!("{}{}{}", self.t(Label::StandsLeftOver), self.colon(), self.sentence(why)),
            Stands::CannotBeUndone => String::new(),
            Stands::Emergency => self.t(Label::StandsEmergency).to_owned(),
            Stands::Asked => self.t(Label::StandsAsked).to_owned(),
            Stands::Stopped => self.t(Label::StandsStopped).to_owned(),
            Stands::NotYet => self.t(Label::StandsNotYet).to_owned(),
            Stands::Accepted(Acceptance { by, why, there, .. }) => {
                let (colon, semicolon) = (self.colon(), self.semicolon());
                let (by, why, there) = (text(by), self.sentence(why), self.sentence(there));
                format!("{} {by}{semicolon}{}{colon}{why}{semicolon}{there}", self.t(Label::StandsAccepted), self.t(Label::StandsBecause))
            }
        };
        let lasting: Vec<String> = one.irrevocable.iter().map(|what| text(what)).collect();
        let lasting = if lasting.is_empty() {
            String::new()
        } else {
            format!("{}{}{}", self.t(Label::StandsLasting), self.colon(), lasting.join(self.comma_list()))
        };
        let changes: Vec<String> = one.targets.iter().map(target).collect();
        let parts: Vec<String> = [changes.join(self.comma_list()), why, lasting].into_iter().filter(|part| !part.is_empty()).collect();
        let name = if one.step == FAULT { code(FAULT) } else { self.step_name(&one.step) };
        format!("{name}{}{}", self.colon(), parts.join(self.semicolon()))
    }

    fn fault(&self, out: &mut String) {
        let Some(plan) = &self.plan.fault else {
            let _ = writeln!(out, "{}\n", self.t(Label::NoFaultPlanned));
            return;
        };
        let _ = writeln!(out, "**{}{}** {}\n", self.t(Label::FaultTitle), self.colon().trim_end(), code(&plan.uses));
        let state = self.state.fault();
        let Some((fault, intent)) = state.and_then(|fault| Some((fault, fault.intent.as_ref()?))) else {
            let why =
                state.and_then(|fault| fault.failure.as_ref()).map(|failure| format!(" {}", self.sentence(&failure.to_string()))).unwrap_or_default();
            let _ = writeln!(out, "{}{why}\n", self.t(Label::FaultNotInjected));
            return;
        };
        for field in [Field::ScenarioFault, Field::ScenarioKind] {
            self.written.add(field);
        }
        let event = |seq: u64| self.bracketed(&format!("{} {seq}", self.t(Label::EventNumber)));
        let missing = || self.t(Label::NotRecorded).to_owned();
        let active = fault.ended.filter(|_| fault.applied);
        let undone = fault.undo_ended.filter(|_| fault.status == Status::Undone);
        let back = match fault.status {
            Status::Undone if fault.undone_already => Label::BackAlready,
            Status::Undone => Label::BackYes,
            Status::UndoFailed => Label::BackFailed,
            Status::Accepted => Label::BackAccepted,
            _ => Label::BackOpen,
        };
        let failure =
            fault.undo_failure.as_ref().map(|failure| format!("{}{}", self.colon(), self.sentence(&failure.to_string()))).unwrap_or_default();
        let mut table = Table::pairs();
        let mut row = |label: Label, value: String| table.row(&[self.t(label).to_owned(), value]);
        row(Label::FaultParameters, code(&intent.with.to_string()));
        row(Label::FaultTargets, targets(&intent.targets));
        row(Label::FaultIntent, format!("{} UTC{}", self.zones.utc(intent.at), event(intent.seq)));
        row(Label::FaultActive, active.map_or_else(missing, |at| format!("{} UTC", self.zones.utc(at))));
        row(Label::FaultUndo, fault.undoing.map_or_else(missing, |at| format!("{} UTC", self.zones.utc(at))));
        row(
            Label::FaultUndone,
            undone.map_or_else(
                || format!("{}{failure}", self.t(back)),
                |at| format!("{} UTC{}{}", self.zones.utc(at), self.comma_list(), self.t(back)),
            ),
        );
        row(Label::FaultHeld, undone.map_or_else(missing, |at| numbers::length(at.nanos_since(intent.at).max(0), self.lang)));
        row(Label::FaultLease, plan.lease.to_string());
        let ids: Vec<String> =
            fault.calls.iter().filter(|call| call.call.mutating).filter_map(|call| call.call.request_id.as_deref()).map(code).collect();
        row(Label::FaultCalls, if ids.is_empty() { missing() } else { ids.join("<br>") });
        out.push_str(&table.finish());
    }

    fn changed(&self, out: &mut String) {
        let mut table = Table::new(&[
            (self.t(Label::StepColumn), Align::Left),
            (self.t(Label::TargetColumn), Align::Left),
            (self.t(Label::ChangeColumn), Align::Left),
            (self.t(Label::PutBack), Align::Left),
        ]);
        for (key, step) in self.state.ordered() {
            let Some(intent) = step.intent.as_ref().filter(|_| key != FAULT) else { continue };
            let back = self.t(self.put_back(key, step));
            if intent.targets.is_empty() {
                table.row(&[self.step_name(key), "–".to_owned(), "–".to_owned(), back.to_owned()]);
            }
            for (index, target) in intent.targets.iter().enumerate() {
                let name = if index == 0 { self.step_name(key) } else { "〃".to_owned() };
                let change = target.change.as_ref().map_or_else(|| "–".to_owned(), |change| text(change.text()));
                table.row(&[name, format!("{} {}", text(target.kind.word()), code(&target.label())), change, back.to_owned()]);
            }
        }
        let _ = writeln!(out, "**{}**\n", self.t(Label::ChangedThings));
        if table.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::NothingChanged));
        } else {
            out.push_str(&table.finish());
        }
    }

    /// What became of a step's changes.
    fn put_back(&self, key: &str, step: &StepState) -> Label {
        match step.status {
            Status::Undone if step.has_no_undo => Label::BackImpossible,
            Status::Undone if step.undone_already => Label::BackAlready,
            Status::Undone => Label::BackYes,
            Status::UndoFailed => Label::BackFailed,
            Status::Accepted => Label::BackAccepted,
            _ if self.has_moved(key) => Label::BackMoved,
            _ if !step.may_have_changed() => Label::BackNothing,
            _ => match self.standing.iter().find(|one| one.step == key).map(|one| &one.why) {
                _ if step.has_no_undo && !key.starts_with("failback/") => Label::BackImpossible,
                Some(Stands::LeftOver(_)) => Label::BackFailed,
                Some(Stands::CannotBeUndone) => Label::BackImpossible,
                Some(Stands::Emergency) => Label::BackKept,
                Some(Stands::Asked) => Label::BackLeft,
                Some(Stands::Stopped) => Label::BackStopped,
                Some(Stands::NotYet) => Label::BackOpen,
                Some(Stands::Accepted(_)) => Label::BackAccepted,
                None if key.starts_with("failback/") => Label::BackWay,
                None => Label::BackByFailback,
            },
        }
    }

    fn calls(&self, out: &mut String) {
        let _ = writeln!(out, "**{}** {}\n", self.t(Label::CallsTitle), self.t(Label::CallsLead));
        let mut calls: Vec<(&str, &StepCall)> = self
            .state
            .ordered()
            .into_iter()
            .flat_map(|(key, step)| step.calls.iter().map(move |call| (key, call)))
            .filter(|(_, call)| call.call.mutating)
            .collect();
        calls.sort_by_key(|(_, call)| call.seq);
        if calls.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::NoCalls));
            return;
        }
        let mut table = Table::new(&[
            (self.t(Label::Number), Align::Right),
            ("UTC", Align::Left),
            (self.t(Label::CallColumn), Align::Left),
            (self.t(Label::Region), Align::Left),
            (self.t(Label::RequestId), Align::Left),
            (self.t(Label::Outcome), Align::Left),
            (self.t(Label::ForColumn), Align::Left),
        ]);
        for (key, StepCall { seq, at, undo, call }) in calls {
            let id = call.request_id.as_deref().filter(|id| !id.is_empty()).map_or_else(|| self.t(Label::NotRecorded).to_owned(), code);
            let mark = if *undo { self.bracketed(self.t(Label::UndoMark)) } else { String::new() };
            let operation = if call.attempt > 1 { format!("{} ×{}", code(&call.operation), call.attempt) } else { code(&call.operation) };
            table.row(&[
                seq.to_string(),
                self.zones.utc(*at),
                operation,
                code(&call.region),
                id,
                text(&call.outcome),
                format!("{}{mark}", code(key)),
            ]);
        }
        out.push_str(&table.finish());
    }
}

fn targets(targets: &[Target]) -> String {
    if targets.is_empty() { "–".to_owned() } else { targets.iter().map(target).collect::<Vec<_>>().join("<br>") }
}

fn target(target: &Target) -> String {
    let change = target.change.as_ref().map(|change| format!(" {}", text(change.text()))).unwrap_or_default();
    format!("{} {}{change}", text(target.kind.word()), code(&target.label()))
}
