//! What the probes saw: availability and its strip, replication, failback.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::Page;
use super::fields::Field;
use super::labels::Label;
use super::markdown::{Align, Table, code};
use super::numbers;
use crate::model::event::run::Awaited;
use crate::model::measure::{differs, integrity};
use crate::model::plan::{ProbeState, Stage};
use crate::model::time::Timestamp;

/// Characters of an availability strip.
const STRIP: usize = 60;

impl Page<'_> {
    /// Samples and outages of every probe.
    pub(super) fn probes(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "## 4 {}\n", self.t(Label::ProbesTitle));
        let mut table = Table::new(&[
            (self.t(Label::Probe), Align::Left),
            (self.t(Label::Kind), Align::Left),
            (self.t(Label::Every), Align::Right),
            (self.t(Label::Samples), Align::Right),
            (self.t(Label::AvailabilityColumn), Align::Right),
            (self.t(Label::Outage), Align::Right),
            (self.t(Label::SeenBy), Align::Left),
        ]);
        for probe in self.plan.probes.iter().filter(|probe| self.state.probes.contains_key(&probe.id)) {
            if probe.service {
                self.written.add(Field::ScopeServices);
            }
            if self.measures.availability.contains_key(&probe.id) {
                self.written.add(Field::MetricAvailability);
            }
            if self.measures.outages.contains_key(&probe.id) {
                self.written.add(Field::MetricRto);
            }
            // Counts and share are of the same samples.
            let counts = self.measures.availability.get(&probe.id).map_or_else(
                || self.t(Label::NotRecorded).to_owned(),
                |share| {
                    let tally = share.tally;
                    format!("{} / {} / {} / {} / {}", tally.good, tally.bad, tally.unknown, tally.missed, tally.late)
                },
            );
            let availability = self.measures.availability.get(&probe.id).map_or_else(
                || self.t(Label::NotRecorded).to_owned(),
                |share| {
                    let (lo, hi, sign) = (numbers::percent(share.lo_ppm), numbers::percent(share.hi_ppm), numbers::percent_sign(self.lang));
                    if lo == hi { format!("{lo}{sign}") } else { format!("{lo}–{hi}{sign}") }
                },
            );
            let outage = self
                .measures
                .outages
                .get(&probe.id)
                .map_or_else(|| self.t(Label::None).to_owned(), |outage| numbers::measured(outage.duration(), self.lang));
            let seen_by = self.seen_by(&probe.id);
            table.row(&[self.probe_name(&probe.id), code(&probe.uses), probe.every.to_string(), counts, availability, outage, seen_by]);
        }
        out.push_str(&table.finish());
        let _ = writeln!(out, "{}\n", self.t(Label::AvailabilityRule));
        self.error_budgets(out);
        self.strips(out);
        self.traffic(out);
    }

    /// What the outages spent of each error budget.
    fn error_budgets(&self, out: &mut String) {
        if self.measures.budgets.is_empty() {
            return;
        }
        self.written.add(Field::MetricErrorBudget);
        let mut table = Table::new(&[
            (self.t(Label::Probe), Align::Left),
            (self.t(Label::SloColumn), Align::Right),
            (self.t(Label::BudgetColumn), Align::Right),
            (self.t(Label::SpentColumn), Align::Right),
            (self.t(Label::SpentShare), Align::Right),
        ]);
        let sign = numbers::percent_sign(self.lang);
        for (id, spent) in &self.measures.budgets {
            let budget = spent.slo.budget().max(1);
            // A share of less than all is rounded down: 100 means all of it.
            let share = |bad: i64| numbers::percent(u64::try_from(i128::from(bad) * 1_000_000 / i128::from(budget)).unwrap_or(u64::MAX));
            let (lo, hi) = (share(spent.bad.lo), share(spent.bad.hi));
            table.row(&[
                self.probe_name(id),
                format!("{}{sign} / {}", numbers::percent(u64::from(spent.slo.target.0)), spent.slo.window),
                numbers::length(budget, self.lang),
                numbers::bounds(spent.bad, self.lang),
                if lo == hi { format!("{lo}{sign}") } else { format!("{lo}–{hi}{sign}") },
            ]);
        }
        out.push_str(&table.finish());
        let _ = writeln!(out, "{}\n", self.t(Label::BudgetRule));
    }

    /// One line of characters a probe: bad where any part of the character's time was bad.
    fn strips(&self, out: &mut String) {
        let (from, to) = (self.start.at, self.end());
        let whole = to.nanos_since(from);
        let each = whole / i64::try_from(STRIP).unwrap_or(1);
        if each <= 0 {
            return;
        }
        let _ = writeln!(out, "{} {}{}{}\n", self.t(Label::StripLead), numbers::length(each, self.lang), self.colon(), self.t(Label::StripLegend));
        let widest = self.plan.probes.iter().map(|probe| probe.id.width()).max().unwrap_or(0);
        out.push_str("```text\n");
        for probe in &self.plan.probes {
            let Some(standing) = self.state.probes.get(&probe.id) else { continue };
            let cell = |index: usize| {
                let begin = whole.saturating_mul(i64::try_from(index).unwrap_or(0)) / i64::try_from(STRIP).unwrap_or(1);
                let begin = Timestamp::from_nanos(from.as_nanos().saturating_add(begin));
                standing.state_between(begin, Timestamp::from_nanos(begin.as_nanos().saturating_add(each)))
            };
            let strip: String = (0..STRIP)
                .map(|index| match cell(index) {
                    Some(ProbeState::Bad) => '█',
                    Some(ProbeState::Good) => '░',
                    None => ' ',
                })
                .collect();
            let pad = " ".repeat(widest - probe.id.width());
            let _ = writeln!(out, "{}{pad}  {}", probe.id, strip.trim_end());
        }
        let pad = " ".repeat(widest);
        let (first, last) = (self.zones.utc(from), self.zones.utc(to));
        let gap = " ".repeat(STRIP.saturating_sub(first.len() + last.len()));
        let _ = writeln!(out, "{pad}  {first}{gap}{last}\n```\n");
    }

    /// Replication: the largest lag, what was missing or doubled.
    pub(super) fn data(&self, out: &mut String) {
        let _ = writeln!(out, "## 5 {}\n", self.t(Label::DataTitle));
        if self.measures.exposures.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::NoData));
        } else {
            let mut table = Table::new(&[
                (self.t(Label::Probe), Align::Left),
                (self.t(Label::Peak), Align::Right),
                (self.t(Label::PeakAt), Align::Left),
                (self.t(Label::CaughtUp), Align::Right),
                (self.t(Label::LastLag), Align::Right),
                (self.t(Label::BehindAtEnd), Align::Right),
            ]);
            for (id, exposure) in &self.measures.exposures {
                for field in [Field::MetricRpo, Field::MetricSync] {
                    self.written.add(field);
                }
                if exposure.counts.missing.is_some() {
                    self.written.add(Field::IntegrityChecks);
                }
                let before = if exposure.before_fault { self.bracketed(self.t(Label::BeforeFault)) } else { String::new() };
                table.row(&[
                    self.probe_name(id),
                    numbers::interval(exposure.peak, self.lang),
                    format!("{}{before}", self.zones.utc(exposure.at)),
                    self.measures.caught_up(id).map_or_else(|| "–".to_owned(), |took| numbers::interval(took, self.lang)),
                    numbers::length(
                        i64::try_from(exposure.last_ms).unwrap_or(i64::MAX).saturating_mul(crate::model::interval::MILLISECOND),
                        self.lang,
                    ),
                    exposure.counts.missing.map_or_else(|| self.t(Label::NotRecorded).to_owned(), |missing| missing.to_string()),
                ]);
            }
            out.push_str(&table.finish());
            let _ = writeln!(out, "{}\n", self.t(Label::DataRule));
            if let Some(alt) = self.lag_alt() {
                let _ = writeln!(out, "![{alt}]({})\n", self.file("lag"));
            }
        }
        let counted = integrity(self.state);
        let count = |count: Option<u64>| count.map_or_else(|| self.t(Label::NotRecorded).to_owned(), |count| count.to_string());
        let mut table =
            Table::new(&[(self.t(Label::Counted), Align::Left), (self.t(Label::Missing), Align::Right), (self.t(Label::Doubled), Align::Right)]);
        for found in counted.iter().filter(|found| found.by_step) {
            self.written.add(Field::IntegrityChecks);
            table.row(&[self.subject(&found.subject), count(found.counts.missing), count(found.counts.doubled)]);
        }
        if !table.is_empty() {
            out.push_str(&table.finish());
        }
    }

    /// The way back and the state at the end.
    pub(super) fn failback(&self, out: &mut String) {
        let _ = writeln!(out, "## 6 {}\n", self.t(Label::FailbackTitle));
        // When and how, or why not.
        self.written.add(Field::FailbackResult);
        let began = self.state.stage_began(Stage::Failback);
        let why = match () {
            () if self.is_emergency() => Some(Label::FailbackEmergency),
            () if self.plan.leave => Some(Label::FailbackLeft),
            () if self.plan.failback.is_none() => Some(Label::FailbackNone),
            () if began.is_none() => Some(Label::FailbackNotReached),
            () => None,
        };
        let mut table = Table::pairs();
        if let Some(began) = began.filter(|_| why.is_none()) {
            table.row(&[self.t(Label::FailbackFrom).to_owned(), format!("{} UTC", self.zones.utc(began))]);
            let ended = self.state.stage_ended(Stage::Failback);
            table.row(&[
                self.t(Label::FailbackTo).to_owned(),
                ended.map_or_else(|| self.t(Label::NotRecorded).to_owned(), |at| format!("{} UTC", self.zones.utc(at))),
            ]);
        }
        if self.plan.fault.is_some() {
            table.row(&[self.t(Label::Known).to_owned(), self.t(if self.is_as_before() { Label::KnownYes } else { Label::KnownNo }).to_owned()]);
        }
        if let Some(why) = why {
            let _ = writeln!(out, "{}\n", self.t(why));
        }
        if !table.is_empty() {
            out.push_str(&table.finish());
        }
    }

    /// Whether the steady state was seen to hold at the end and everything reads as before the run.
    fn is_as_before(&self) -> bool {
        let is_good = |probe: &String| {
            let standing = self.state.probes.get(probe);
            standing.is_some_and(|standing| standing.is_current() && standing.raw == Some(ProbeState::Good))
        };
        let holds = self.plan.steady_state.as_ref().is_some_and(|steady| steady.probes.iter().all(is_good));
        let is_back = self.standing.is_empty() && differs(self.state).is_empty();
        self.state.ended.is_some() && holds && is_back && self.state.unseen(Awaited::Normal).is_none()
    }
}
