//! What people did: answers, orders, stops, takeovers. The time for which people were waited for is told apart from the time of the machine.

use crate::model::measure::people::{Act, Deed, people};
use crate::model::order::Order;
use crate::report::document::{Align, Block, Column, Fact, Line, Table, code, line};
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// One row a deed; nothing where nobody did anything.
    pub(super) fn people(&self) -> Vec<Block> {
        let people = people(self.events);
        if people.acts.is_empty() {
            return Vec::new();
        }
        let [utc, zone] = self.zone_heads();
        let mut table = Table::new(
            "people",
            vec![
                Column::new("event", self.t(Label::Number), Align::Right),
                Column::new("utc", utc, Align::Left),
                Column::new("local", zone, Align::Left),
                Column::new("deed", self.t(Label::Deed), Align::Left),
                Column::new("by", self.t(Label::By), Align::Left),
                Column::new("said", self.t(Label::SaidColumn), Align::Left),
                Column::new("waited", self.t(Label::WaitedColumn), Align::Right),
            ],
        );
        for act in &people.acts {
            table.row(vec![
                self.count(act.seq).into(),
                self.utc(act.at).into(),
                self.zoned(act.at).into(),
                self.deed(act),
                if act.by.is_empty() { dash() } else { self.author(act) },
                if act.said.is_empty() { dash() } else { self.sentence(&act.said) },
                act.waited.map_or_else(dash, |waited| self.length(waited).into()),
            ]);
        }
        let sums = [
            ("in_all", Label::InAll, people.total),
            ("waiting", Label::WaitedForPeople, people.waited),
            ("run_by_nobody", Label::RunByNobody, people.left),
            ("machine", Label::MachineTime, people.machine()),
        ];
        let sums = sums.map(|(id, label, nanos)| Fact::new(id, self.t(label), self.length(nanos)));
        vec![
            Block::Lead(line![line![self.t(Label::PeopleTitle)].strong(), " ", self.t(Label::PeopleLead)]),
            Block::Table(table),
            Block::facts_in_line("people-times", "", sums.into(), self.bracketed(self.t(Label::WaitedRule))),
        ]
    }

    /// Who did it, with what is known of that beside what they said of themselves.
    fn author(&self, act: &Act) -> Line {
        let by = code(&act.by);
        match (&act.witness.key, &act.witness.user) {
            (Some(key), _) => line![by, self.bracketed(line![self.t(Label::SignedWith), " ", code(key)])],
            (None, Some(user)) if *user != act.by => line![by, self.bracketed(line![self.t(Label::SaidByUser), " ", code(user)])],
            _ => by,
        }
    }

    fn deed(&self, act: &Act) -> Line {
        let simulated = if act.simulated { self.bracketed(self.t(Label::SimulatedMark)) } else { Line::default() };
        let what = line![self.t(deed_label(act.deed)), simulated];
        match &act.step {
            Some(step) => line![what, self.colon(), self.step_name(step)],
            None => what,
        }
    }

    /// An order that was followed, with its reason.
    pub(super) fn order(&self, order: &Order, why: &str) -> Line {
        let (label, step) = match order {
            Order::Pause => (Label::DeedPaused, None),
            Order::Unpause => (Label::DeedWentOn, None),
            Order::Skip { step } => (Label::DeedSkipped, Some(step)),
            Order::Retry { step } => (Label::DeedRetried, Some(step)),
            Order::Ungraceful => (Label::DeedGaveSourceUp, None),
            Order::Stop => (Label::EvStop, None),
            Order::Abort => (Label::EvAbort, None),
            Order::Answer { step, yes } => (if *yes { Label::DeedApproved } else { Label::DeedSaidNo }, Some(step)),
        };
        let step = step.map(|step| line![self.colon(), self.step_name(step)]).unwrap_or_default();
        let why = if why.is_empty() { Line::default() } else { line![self.colon(), self.sentence(why)] };
        line![self.t(label), step, why]
    }
}

const fn deed_label(deed: Deed) -> Label {
    match deed {
        Deed::Approved => Label::DeedApproved,
        Deed::DidByHand => Label::DeedDidByHand,
        Deed::SaidNo => Label::DeedSaidNo,
        Deed::KeptSilent => Label::DeedKeptSilent,
        Deed::Paused => Label::DeedPaused,
        Deed::WentOn => Label::DeedWentOn,
        Deed::Skipped => Label::DeedSkipped,
        Deed::Retried => Label::DeedRetried,
        Deed::GaveSourceUp => Label::DeedGaveSourceUp,
        Deed::Stopped => Label::EvStop,
        Deed::Aborted => Label::EvAbort,
        Deed::Resumed => Label::DeedResumed,
        Deed::TookBack => Label::DeedTookBack,
        Deed::Accepted => Label::DeedAccepted,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::event::samples;
    use crate::model::text::Lang;
    use crate::report::Report;

    /// The section about people.
    fn section(lang: Lang) -> String {
        let report = Report::of(&samples::steered(), "").markdown(lang);
        let lines = report.lines().skip_while(|line| !line.starts_with("**People.") && !line.starts_with("**人员。"));
        lines.take_while(|line| !line.starts_with("## ")).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    #[test]
    fn people_are_told_in_english() {
        insta::assert_snapshot!(section(Lang::En));
    }

    #[test]
    fn people_are_told_in_chinese() {
        insta::assert_snapshot!(section(Lang::Zh));
    }

    #[test]
    fn a_report_of_a_run_that_nobody_touched_says_nothing_of_people() {
        assert!(!Report::of(&samples::success(), "").markdown(Lang::En).contains("**People."));
    }
}
