//! What ties this report to its journal and its definitions.

use crate::report::document::{Align, Block, Column, Fact, Inline, Line, Table, code, line};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// Events, head, clock, how to check, digests of the files.
    pub(super) fn proof(&self) -> Vec<Block> {
        let (unknown, all) = self.state.probes.values().fold((0_u64, 0_u64), |(unknown, all), standing| {
            (unknown.saturating_add(standing.tally.unseen()), all.saturating_add(standing.tally.all()))
        });
        let share = u64::try_from(u128::from(unknown) * 1_000_000 / u128::from(all.max(1))).unwrap_or(u64::MAX);
        let events = line![
            self.count(self.state.seq),
            self.comma(),
            Inline::Shown(format!("1–{}", self.state.seq), None),
            self.comma(),
            self.t(Label::EventsGap),
            " · ",
            self.t(Label::UnknownSamples),
            " ",
            self.share(share, share)
        ];
        let head = code(self.head_hash);
        let facts = vec![
            Fact::new("events", self.t(Label::Events), events.holding(Field::EvidenceCompleteness)),
            Fact::new("journal_head", self.t(Label::HeadHash), if head.is_empty() { self.not_recorded() } else { head }),
            Fact::new("clock", self.t(Label::ClockRow), self.clock()),
            Fact::new("signature", self.t(Label::Signature), self.not_recorded()),
            Fact::new("verify", self.t(Label::Verify), self.t(Label::VerifyText)),
        ];
        let mut blocks = vec![Block::facts("proof", facts)];
        if !self.state.samples.is_empty() {
            let kept = self.state.samples.iter().map(|kept| (kept.file.as_str(), kept.sha256.as_str()));
            blocks.extend(self.digests("samples", Label::SamplesKept, &[], kept));
        }
        if self.plan.definitions.is_empty() {
            blocks.push(Block::Lead(line![self.t(Label::Definitions)].strong()));
            blocks.push(Block::Paragraph(self.not_recorded()));
        } else {
            let definitions = self.plan.definitions.iter().map(|definition| (definition.path.as_str(), definition.sha256.as_str()));
            blocks.extend(self.digests("definitions", Label::Definitions, &[Field::PlanRunbooks], definitions));
        }
        blocks
    }

    /// Files with their digests.
    fn digests<'f>(&self, id: &'static str, title: Label, holds: &[Field], files: impl Iterator<Item = (&'f str, &'f str)>) -> [Block; 2] {
        let columns = vec![Column::new("file", self.t(Label::File), Align::Left), Column::new("sha256", self.t(Label::Sha256), Align::Left)];
        let mut table = Table::new(id, columns);
        table.holds(holds);
        files.for_each(|(file, sha256)| table.row(vec![code(file), code(sha256)]));
        [Block::Lead(line![self.t(title)].strong()), Block::Table(table)]
    }

    fn clock(&self) -> Line {
        let error = match self.start.clock_error_ms {
            Some(error) => line![Inline::Shown(format!("{error:.1} {}", self.t(Label::Milliseconds)), None)].holding(Field::TimelineClock),
            None => self.not_recorded(),
        };
        let text = line![self.t(Label::ClockText), self.colon(), error];
        match self.state.resumed.len() {
            0 => text,
            times => line![text, self.semicolon(), self.t(Label::ClockTakeovers), self.colon(), self.count(times)],
        }
    }
}
