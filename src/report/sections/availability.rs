//! What the probes saw: samples, outages, error budgets, and a strip of characters for each.

use unicode_width::UnicodeWidthStr;

use crate::model::plan::ProbeState;
use crate::model::time::Timestamp;
use crate::report::document::{Align, Block, Column, Line, Table, code, line};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::Page;

/// Characters of an availability strip.
const STRIP: usize = 60;

impl Page<'_> {
    /// Samples and outages of every probe.
    pub(super) fn availability(&self) -> Vec<Block> {
        let mut table = Table::new(
            "probes",
            vec![
                Column::new("probe", self.t(Label::Probe), Align::Left),
                Column::new("kind", self.t(Label::Kind), Align::Left),
                Column::new("every", self.t(Label::Every), Align::Right),
                Column::new("samples", self.t(Label::Samples), Align::Right),
                Column::new("availability", self.t(Label::AvailabilityColumn), Align::Right),
                Column::new("outage", self.t(Label::Outage), Align::Right),
                Column::new("seen_by", self.t(Label::SeenBy), Align::Left),
            ],
        );
        for probe in self.plan.probes.iter().filter(|probe| self.state.probes.contains_key(&probe.id)) {
            let name = self.probe_name(&probe.id);
            // Counts and share are of the same samples.
            let (counts, availability) = match self.measures.availability.get(&probe.id) {
                Some(share) => {
                    let tally = share.tally;
                    let counts = [tally.good, tally.bad, tally.unknown, tally.missed, tally.late].map(|count| self.count(count));
                    (Line::join(counts, " / "), Line::from(self.share(share.lo_ppm, share.hi_ppm)).holding(Field::MetricAvailability))
                }
                None => (self.not_recorded(), self.not_recorded()),
            };
            let outage = match self.measures.outages.get(&probe.id) {
                Some(outage) => Line::from(self.measured(outage.duration())).holding(Field::MetricRto),
                None => self.word("none", Label::None).into(),
            };
            table.row(vec![
                if probe.service { name.holding(Field::ScopeServices) } else { name },
                code(&probe.uses),
                self.span(probe.every).into(),
                counts,
                availability,
                outage,
                self.seen_by(&probe.id),
            ]);
        }
        let mut blocks = vec![Block::Table(table), Block::Paragraph(self.t(Label::AvailabilityRule).into())];
        blocks.extend(self.error_budgets());
        blocks.extend(self.strips());
        blocks
    }

    /// What the outages spent of each error budget.
    fn error_budgets(&self) -> Vec<Block> {
        if self.measures.budgets.is_empty() {
            return Vec::new();
        }
        let mut table = Table::new(
            "error-budgets",
            vec![
                Column::new("probe", self.t(Label::Probe), Align::Left),
                Column::new("slo", self.t(Label::SloColumn), Align::Right),
                Column::new("budget", self.t(Label::BudgetColumn), Align::Right),
                Column::new("spent", self.t(Label::SpentColumn), Align::Right),
                Column::new("share", self.t(Label::SpentShare), Align::Right),
            ],
        );
        table.holds(&[Field::MetricErrorBudget]);
        for (id, spent) in &self.measures.budgets {
            let budget = spent.slo.budget().max(1);
            // A share of less than all is rounded down: 100 means all of it.
            let share = |bad: i64| u64::try_from(i128::from(bad) * 1_000_000 / i128::from(budget)).unwrap_or(u64::MAX);
            let target = u64::from(spent.slo.target.0);
            table.row(vec![
                self.probe_name(id),
                line![self.share(target, target), " / ", self.span(spent.slo.window)],
                self.length(budget).into(),
                self.bounds(spent.bad).into(),
                self.share(share(spent.bad.lo), share(spent.bad.hi)).into(),
            ]);
        }
        vec![Block::Table(table), Block::Paragraph(self.t(Label::BudgetRule).into())]
    }

    /// One line of characters a probe: bad where any part of the character's time was bad.
    fn strips(&self) -> Vec<Block> {
        let (from, to) = (self.start.at, self.end());
        let whole = to.nanos_since(from);
        let each = whole / i64::try_from(STRIP).unwrap_or(1);
        if each <= 0 {
            return Vec::new();
        }
        let lead = line![self.t(Label::StripLead), " ", self.length(each), self.colon(), self.t(Label::StripLegend)];
        let widest = self.plan.probes.iter().map(|probe| probe.id.width()).max().unwrap_or(0);
        let mut lines = Vec::new();
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
            lines.push(format!("{}{pad}  {}", probe.id, strip.trim_end()));
        }
        let (first, last) = (self.zones.utc(from), self.zones.utc(to));
        let gap = " ".repeat(STRIP.saturating_sub(first.len() + last.len()));
        lines.push(format!("{}  {first}{gap}{last}", " ".repeat(widest)));
        vec![Block::Lead(lead), Block::Code(lines)]
    }
}
