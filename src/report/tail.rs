//! The end of the report: controls, what is not recorded, proof.

use std::fmt::Write;

use super::Page;
use super::controls::{self, Control};
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use crate::model::plan::Verdict;
use crate::model::text::Lang;

/// Report fields that this version cannot fill, with what they hold.
const NOT_HELD: [(&str, &str, &str); 20] = [
    ("programme.id", "exercise programme and number of the drill in it", "演练计划及流水号"),
    ("programme.cadence", "planned cadence, due date", "计划频次与应做日期"),
    ("plan.approval", "who approved the plan, when, under which change", "批准人、时间、变更单"),
    ("plan.bia_ref", "business impact analysis and risk assessment behind the objectives", "目标所依据的业务影响分析与风险评估"),
    ("exercise.announced", "announced or not", "是否预先通知"),
    ("people.roster", "who took part, in which role", "参演人员与角色"),
    ("people.independence", "designer, executor, evaluator and approver told apart", "设计、执行、评估、批准分离"),
    ("comms.log", "notices sent and acknowledged", "通知的发出与确认"),
    ("security.during", "security controls checked while failed over", "切换期间安全控制的核查"),
    ("metric.error_budget", "error budget spent", "错误预算消耗"),
    ("result.deviations", "departures from the plan and who approved them", "偏离方案之处及批准人"),
    ("result.real_impact", "customers or orders really harmed", "对真实客户与订单的影响"),
    ("findings.items", "findings with owner, date and retest", "问题、责任人、期限与复测"),
    ("findings.carried", "findings of earlier drills still open", "历次未关闭问题"),
    ("review.signoffs", "sign-off of executor, evaluator, owner, risk", "执行、评估、业务、风险各方签署"),
    ("review.plan_updates", "plans and runbooks changed because of this", "因本次而修改的方案与预案"),
    ("evidence.signatures", "signature over the journal head", "对链头的签名"),
    ("evidence.timestamps", "RFC 3161 time stamp", "RFC 3161 可信时间戳"),
    ("evidence.storage", "locked copies and until when", "锁定副本及期限"),
    ("retention.rule", "how long this is kept", "留存期限"),
];

/// Report fields that every report holds.
const HELD: [&str; 28] = [
    "report.id",
    "report.tool",
    "scope.services",
    "scope.locations",
    "plan.ref",
    "plan.objectives",
    "plan.success_criteria",
    "plan.stop_conditions",
    "plan.runbooks",
    "scenario.kind",
    "scenario.narrative",
    "scenario.fault",
    "exercise.type",
    "exercise.environment",
    "timeline.events",
    "timeline.clock",
    "metric.detection",
    "metric.decision",
    "metric.rto",
    "metric.rpo",
    "metric.steps",
    "metric.availability",
    "metric.sync",
    "integrity.checks",
    "failback.result",
    "result.verdict",
    "result.criteria",
    "evidence.completeness",
];

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
            (self.t(Label::WhyNotFull), Align::Left),
        ]);
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
        if self.is_emergency() {
            return (Label::CovPartial, self.t(Label::NoExerciseControl).to_owned());
        }
        let exercise = self.exercise();
        if exercise.is_some_and(|exercise| !control.accepts(exercise)) {
            let was = code(exercise.unwrap_or_default());
            return (
                Label::CovNone,
                format!("{} {}{}{} {was}", self.t(Label::WantsExercise), code(control.exercise), self.semicolon(), self.t(Label::ThisWas)),
            );
        }
        let mut why = Vec::new();
        if !matches!(self.state.ended.as_ref().map(|end| end.verdict), Some(Verdict::Pass | Verdict::Fail)) {
            why.push(self.t(Label::NotJudged).to_owned());
        }
        let missing: Vec<String> = control.fields.split(',').filter(|field| !field.is_empty() && !self.holds(field)).map(code).collect();
        if !missing.is_empty() {
            why.push(format!("{}{}{}", self.t(Label::FieldsMissing), self.colon(), missing.join(self.comma_list())));
        }
        if why.is_empty() { (Label::CovFull, "–".to_owned()) } else { (Label::CovPartial, why.join(self.semicolon())) }
    }

    /// Whether the report holds a field. What a drill in a real environment really was is not recorded yet.
    fn holds(&self, field: &str) -> bool {
        match field {
            "exercise.type" => self.exercise().is_some(),
            "metric.rto" => !self.measures.outages.is_empty(),
            "metric.rpo" | "metric.sync" | "integrity.checks" => !self.measures.exposures.is_empty(),
            "metric.availability" => !self.measures.availability.is_empty(),
            "failback.result" => self.plan.failback.is_some() && !self.plan.leave,
            "plan.approval" => self.approval().is_some(),
            "timeline.clock" => self.start.clock_error_ms.is_some(),
            _ => HELD.contains(&field),
        }
    }

    pub(super) const fn semicolon(&self) -> &'static str {
        match self.lang {
            Lang::En => "; ",
            Lang::Zh => "；",
        }
    }

    /// What is asked for and not there: said, not left blank.
    pub(super) fn missing(&self, out: &mut String) {
        let _ = writeln!(out, "## 8 {}\n\n{}\n", self.t(Label::MissingTitle), self.t(Label::MissingLead));
        let mut table = Table::new(&[(self.t(Label::Field), Align::Left), ("", Align::Left), (self.t(Label::Value), Align::Left)]);
        for (field, en, zh) in NOT_HELD.into_iter().filter(|(field, ..)| *field != "plan.approval" || self.approval().is_none()) {
            let what = match self.lang {
                Lang::En => en,
                Lang::Zh => zh,
            };
            table.row(&[code(field), what.to_owned(), self.t(Label::NotRecorded).to_owned()]);
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
