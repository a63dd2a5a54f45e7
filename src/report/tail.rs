//! The end of the report: controls, what is not recorded, proof.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Page;
use super::controls::{self, Control};
use super::fields::{Field, Level};
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use crate::model::measure::failback_done;
use crate::model::plan::Verdict;
use crate::model::text::Lang;

impl Page<'_> {
    /// The controls the plan names, and how far this run supports them.
    pub(super) fn controls(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "## 7 {}\n", self.t(Label::ControlsTitle));
        if self.plan.controls.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::NoControls));
            return;
        }
        let _ = writeln!(out, "{}\n", self.t(Label::ControlsRule));
        let mut table = Table::new(&[
            (self.t(Label::ControlColumn), Align::Left),
            (self.t(Label::Coverage), Align::Center),
            (self.t(Label::WhyNotComplete), Align::Left),
        ]);
        self.written.add(Field::ControlsCovered);
        for reference in &self.plan.controls {
            let Some(control) = controls::find(reference) else {
                table.row(&[code(reference), self.t(Label::CovNone).to_owned(), self.t(Label::UnknownControl).to_owned()]);
                continue;
            };
            let (coverage, why) = self.coverage(&control);
            let unverified = if control.verified { String::new() } else { self.bracketed(self.t(Label::Unverified)) };
            let name =
                format!("{} {} {}{unverified} {}", text(control.framework), text(control.clause), text(control.title(self.lang)), code(reference));
            table.row(&[name, self.t(coverage).to_owned(), why]);
        }
        out.push_str(&table.finish());
    }

    fn coverage(&self, control: &Control) -> (Label, String) {
        if control.exercise == "not_covered" {
            return (Label::CovNone, self.t(Label::NotForDrills).to_owned());
        }
        // A run that cannot say what it was shows nothing to anybody.
        let Some(exercise) = self.exercise() else {
            let why = if self.is_emergency() { Label::NoExerciseControl } else { Label::ExerciseUnknown };
            return (Label::CovNone, self.t(why).to_owned());
        };
        if !control.accepts(exercise) {
            let was = code(exercise);
            return (
                Label::CovNone,
                format!("{} {}{}{} {was}", self.t(Label::WantsExercise), code(control.exercise), self.semicolon(), self.t(Label::ThisWas)),
            );
        }
        let mut why = Vec::new();
        if !matches!(self.state.ended.as_ref().map(|end| end.verdict), Some(Verdict::Pass | Verdict::Fail)) {
            why.push(self.t(Label::NotJudged).to_owned());
        }
        if control.fields().any(|field| field == Field::FailbackResult) && !failback_done(self.state) {
            why.push(self.t(Label::FailbackUntested).to_owned());
        }
        let missing: Vec<String> = control.fields().filter(|field| !self.written.has(*field)).map(|field| code(field.id())).collect();
        if !missing.is_empty() {
            why.push(format!("{}{}{}", self.t(Label::FieldsMissing), self.colon(), missing.join(self.comma_list())));
        }
        if why.is_empty() { (Label::CovComplete, "–".to_owned()) } else { (Label::CovPartial, why.join(self.semicolon())) }
    }

    pub(super) const fn semicolon(&self) -> &'static str {
        match self.lang {
            Lang::En => "; ",
            Lang::Zh => "；",
        }
    }

    /// What is asked for and was not written above: said, not left blank. Every report needs the required fields; of the others those that a named control asks for.
    pub(super) fn missing(&self, out: &mut String) {
        let _ = writeln!(out, "## 8 {}\n\n{}\n", self.t(Label::MissingTitle), self.t(Label::MissingLead));
        let asked: BTreeSet<Field> =
            self.plan.controls.iter().filter_map(|reference| controls::find(reference)).flat_map(|control| control.fields()).collect();
        let wanted = |field: &&Field| field.level() == Level::Required || asked.contains(field);
        let mut table = Table::new(&[(self.t(Label::Field), Align::Left), ("", Align::Left), (self.t(Label::Value), Align::Left)]);
        for field in Field::ALL.iter().filter(wanted).filter(|field| !self.written.has(**field)) {
            table.row(&[code(field.id()), text(field.text(self.lang)), self.t(Label::NotRecorded).to_owned()]);
        }
        out.push_str(&table.finish());
    }

    /// What ties this report to its journal and its definitions.
    pub(super) fn proof(&self, out: &mut String, head_hash: &str) {
        let _ = writeln!(out, "## 9 {}\n", self.t(Label::ProofTitle));
        let mut table = Table::pairs();
        let (unknown, all) = self.state.probes.values().fold((0_u64, 0_u64), |(unknown, all), standing| {
            (unknown.saturating_add(standing.tally.unseen()), all.saturating_add(standing.tally.all()))
        });
        let share = u64::try_from(u128::from(unknown) * 1_000_000 / u128::from(all.max(1))).unwrap_or(u64::MAX);
        let numbers = format!(
            "{}{}1–{}{}{} · {} {}{}",
            self.state.seq,
            self.comma_list(),
            self.state.seq,
            self.comma_list(),
            self.t(Label::EventsGap),
            self.t(Label::UnknownSamples),
            super::numbers::percent(share),
            super::numbers::percent_sign(self.lang)
        );
        self.written.add(Field::EvidenceCompleteness);
        table.row(&[self.t(Label::Events).to_owned(), numbers]);
        table.row(&[self.t(Label::HeadHash).to_owned(), if head_hash.is_empty() { self.t(Label::NotRecorded).to_owned() } else { code(head_hash) }]);
        table.row(&[self.t(Label::ClockRow).to_owned(), self.clock()]);
        table.row(&[self.t(Label::Signature).to_owned(), self.t(Label::NotRecorded).to_owned()]);
        table.row(&[self.t(Label::Verify).to_owned(), self.t(Label::VerifyText).to_owned()]);
        out.push_str(&table.finish());
        self.samples(out);
        let _ = writeln!(out, "**{}**\n", self.t(Label::Definitions));
        if self.plan.definitions.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::NotRecorded));
            return;
        }
        self.written.add(Field::PlanRunbooks);
        let mut table = self.digests();
        for definition in &self.plan.definitions {
            table.row(&[code(&definition.path), code(&definition.sha256)]);
        }
        out.push_str(&table.finish());
    }

    /// The files of the single samples.
    fn samples(&self, out: &mut String) {
        if self.state.samples.is_empty() {
            return;
        }
        let _ = writeln!(out, "**{}**\n", self.t(Label::SamplesKept));
        let mut table = self.digests();
        for kept in &self.state.samples {
            table.row(&[code(&kept.file), code(&kept.sha256)]);
        }
        out.push_str(&table.finish());
    }

    fn digests(&self) -> Table {
        Table::new(&[(self.t(Label::File), Align::Left), (self.t(Label::Sha256), Align::Left)])
    }

    fn clock(&self) -> String {
        if self.start.clock_error_ms.is_some() {
            self.written.add(Field::TimelineClock);
        }
        let error = self
            .start
            .clock_error_ms
            .map_or_else(|| self.t(Label::NotRecorded).to_owned(), |error| format!("{error:.1} {}", self.t(Label::Milliseconds)));
        let text = format!("{}{}{error}", self.t(Label::ClockText), self.colon());
        match self.state.resumed.len() {
            0 => text,
            times => format!("{text}{}{}{}{times}", self.semicolon(), self.t(Label::ClockTakeovers), self.colon()),
        }
    }

    pub(super) const fn comma_list(&self) -> &'static str {
        match self.lang {
            Lang::En => ", ",
            Lang::Zh => "，",
        }
    }
}
