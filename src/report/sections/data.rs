//! Replication: the largest lag, what was missing or doubled.

use crate::model::interval::MILLISECOND;
use crate::model::measure::integrity;
use crate::report::document::{Align, Block, Column, Line, Table, line};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// How far replicas were behind, and what was counted.
    pub(super) fn data(&self) -> Vec<Block> {
        let mut blocks = self.exposures();
        let mut table = Table::new(
            "integrity",
            vec![
                Column::new("counted", self.t(Label::Counted), Align::Left),
                Column::new("missing", self.t(Label::Missing), Align::Right),
                Column::new("doubled", self.t(Label::Doubled), Align::Right),
            ],
        );
        for found in integrity(self.state).iter().filter(|found| found.by_step) {
            table.holds(&[Field::IntegrityChecks]);
            table.row(vec![self.subject(&found.subject), self.counted_or_not(found.counts.missing), self.counted_or_not(found.counts.doubled)]);
        }
        if !table.rows.is_empty() {
            blocks.push(Block::Table(table));
        }
        blocks
    }

    fn exposures(&self) -> Vec<Block> {
        if self.measures.exposures.is_empty() {
            return vec![Block::Paragraph(self.t(Label::NoData).into())];
        }
        let mut table = Table::new(
            "replication",
            vec![
                Column::new("probe", self.t(Label::Probe), Align::Left),
                Column::new("peak", self.t(Label::Peak), Align::Right),
                Column::new("peak_at", self.t(Label::PeakAt), Align::Left),
                Column::new("caught_up", self.t(Label::CaughtUp), Align::Right),
                Column::new("last", self.t(Label::LastLag), Align::Right),
                Column::new("missing", self.t(Label::BehindAtEnd), Align::Right),
            ],
        );
        for (id, exposure) in &self.measures.exposures {
            let peak = Line::from(self.interval(exposure.peak)).holding(Field::MetricRpo).holding(Field::MetricSync);
            let before = if exposure.before_fault { self.bracketed(self.t(Label::BeforeFault)) } else { Line::default() };
            let last = i64::try_from(exposure.last_ms).unwrap_or(i64::MAX).saturating_mul(MILLISECOND);
            let missing = self.counted_or_not(exposure.counts.missing);
            table.row(vec![
                self.probe_name(id),
                peak,
                line![self.utc(exposure.at), before],
                self.measures.caught_up(id).map_or_else(dash, |took| self.interval(took).into()),
                self.length(last).into(),
                if exposure.counts.missing.is_some() { missing.holding(Field::IntegrityChecks) } else { missing },
            ]);
        }
        let mut blocks = vec![Block::Table(table), Block::Paragraph(self.t(Label::DataRule).into())];
        blocks.extend(self.lag().map(Block::Figure));
        blocks
    }

    fn counted_or_not(&self, count: Option<u64>) -> Line {
        count.map_or_else(|| self.not_recorded(), |count| self.count(count).into())
    }
}
