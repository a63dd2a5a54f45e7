//! Where the numbers come from: what each probe asked, of whom, in which time, and how many samples that gave.

use crate::report::document::{Align, Block, Column, Table, code};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// A row for every probe that was sampled, with its question as it was asked.
    pub(super) fn sources(&self) -> Vec<Block> {
        let mut table = Table::new(
            "sources",
            vec![
                Column::new("probe", self.t(Label::Probe), Align::Left),
                Column::new("kind", self.t(Label::Kind), Align::Left),
                Column::new("asked", self.t(Label::Asked), Align::Left),
                Column::new("from", self.t(Label::SampledFrom), Align::Left),
                Column::new("to", self.t(Label::SampledTo), Align::Left),
                Column::new("samples", self.t(Label::SampleCount), Align::Right),
            ],
        );
        for probe in &self.plan.probes {
            let Some(standing) = self.state.probes.get(&probe.id).filter(|standing| standing.tally.all() > 0) else { continue };
            table.holds(&[Field::EvidenceQueries]);
            let moment = |at| self.utc(at).into();
            table.row(vec![
                self.probe_name(&probe.id),
                code(&probe.uses),
                code(&probe.with.to_string()),
                standing.tallies.first().map_or_else(dash, |first| moment(first.from)),
                standing.tallies.last().map_or_else(dash, |last| moment(last.to)),
                self.count(standing.tally.all()).into(),
            ]);
        }
        if table.rows.is_empty() {
            return vec![Block::Paragraph(self.not_recorded())];
        }
        vec![Block::Paragraph(self.t(Label::SourcesRule).into()), Block::Table(table)]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::event::{Body, RunEvent, samples};
    use crate::model::text::Lang;
    use crate::report::Report;

    #[test]
    fn the_question_of_every_probe_stands_with_the_number_of_its_samples() {
        let mut events = samples::success();
        let Body::Run(RunEvent::Started { plan, .. }) = &mut events[0].body else { panic!("a run begins with its start") };
        for probe in plan.probes.iter_mut().filter(|probe| probe.id == "storefront") {
            probe.with = json!({ "url": "https://shop.example.com/health", "headers": { "token": { "secret": "env:TOKEN" } } });
        }
        let missing = "| `evidence.queries` |";
        let report = Report::of(&events, "").markdown(Lang::En);
        let row = report.lines().find(|line| line.contains("shop.example.com/health")).unwrap_or_else(|| panic!("{report}"));
        assert!(row.starts_with("| Storefront `storefront` | `http` | `{") && row.contains(r#""secret":"env:TOKEN""#), "{row}");
        assert!(!report.contains(missing), "what is there is not missing");
        // Nothing was sampled yet.
        assert!(Report::of(&events[..1], "").markdown(Lang::En).contains(missing));
    }
}
