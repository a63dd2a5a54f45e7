//! Where the requests went: the picture of the target's share over the run, and how the change of DNS spread.

use crate::model::interval::Length;
use crate::model::measure::Propagation;
use crate::model::text::Lang;
use crate::report::document::{Align, Block, Column, Fact, Inline, Line, Table, Value, code, line};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// Picture of the shift and the spread of DNS, in the section on availability.
    pub(super) fn traffic(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = self.share_of_traffic().map(Block::Figure).into_iter().collect();
        for (id, propagation) in &self.measures.propagations {
            let gap = if self.lang == Lang::Zh { " " } else { "" };
            let name = self.bracketed(self.probe_name(id));
            blocks.push(Block::Lead(line![line![self.t(Label::DnsSpread)].strong(), gap, name]));
            let mut table = Table::new(
                "dns-spread",
                vec![Column::new("server", self.t(Label::DnsServer), Align::Left), Column::new("took", self.t(Label::DnsTook), Align::Right)],
            );
            table.holds(&[Field::MetricDns]);
            for (server, took) in &propagation.servers {
                let stale = || line!["▲ ", self.word("no_new_answer", Label::DnsStale)];
                table.row(vec![code(server), took.map_or_else(stale, |took| self.interval(took).into())]);
            }
            blocks.push(Block::Table(table));
            blocks.push(Block::facts_in_line("dns-spread-summary", "", self.spread(propagation), ""));
            blocks.push(Block::Paragraph(self.t(Label::DnsRule).into()));
        }
        blocks
    }

    /// Percentiles, how many were late, and of how many.
    fn spread(&self, propagation: &Propagation) -> Vec<Fact> {
        let shown = |took: Option<Length>| took.map_or_else(|| self.word("no_new_answer", Label::DnsStale), |took| self.likeliest(took));
        let percentiles = [50, 95, 100].map(|percent| shown(propagation.percentile(percent)));
        let mut facts = vec![
            Fact::new("servers", self.t(Label::DnsOf), self.count(propagation.servers.len())),
            Fact::new("p50_p95_all", self.t(Label::DnsSummary), Line::join(percentiles, " / ")),
            Fact::new("stale", self.t(Label::DnsStale), self.count(propagation.stale())),
        ];
        if let (Some(seconds), Some(beyond)) = (propagation.ttl_s, propagation.beyond_ttl()) {
            let nanos = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
            let ttl = Inline::Shown(format!("{seconds} {}", self.t(Label::Seconds)), Some(Value::exactly(nanos)));
            facts.push(Fact::new("old_ttl", self.t(Label::DnsTtl), ttl));
            facts.push(Fact::new("beyond_twice_old_ttl", self.t(Label::DnsBeyond), self.count(beyond)));
        }
        facts
    }
}
