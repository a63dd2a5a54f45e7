//! What people did: answers, orders, stops, takeovers; with how long they were waited for, told apart from the time of the machine.

use std::fmt::Write;

use super::Page;
use super::labels::Label;
use super::markdown::{Align, Table, code};
use super::numbers;
use crate::model::measure::people::{Act, Deed, people};
use crate::model::order::Order;

impl Page<'_> {
    /// One row a deed; nothing where nobody did anything.
    pub(super) fn people(&self, out: &mut String) {
        let people = people(self.events);
        if people.acts.is_empty() {
            return;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "**{}** {}\n", self.t(Label::PeopleTitle), self.t(Label::PeopleLead));
        let [utc, zone] = self.zones.heads(self.start.at);
        let mut table = Table::new(&[
            (self.t(Label::Number), Align::Right),
            (&utc, Align::Left),
            (&zone, Align::Left),
            (self.t(Label::Deed), Align::Left),
            (self.t(Label::By), Align::Left),
            (self.t(Label::SaidColumn), Align::Left),
            (self.t(Label::WaitedColumn), Align::Right),
        ]);
        let dash = || "–".to_owned();
        for act in &people.acts {
            table.row(&[
                act.seq.to_string(),
                self.zones.utc(act.at),
                self.zones.zoned(act.at),
                self.deed(act),
                if act.by.is_empty() { dash() } else { self.author(act) },
                if act.said.is_empty() { dash() } else { self.sentence(&act.said) },
                act.waited.map_or_else(dash, |waited| numbers::length(waited, self.lang)),
            ]);
        }
        out.push_str(&table.finish());
        let length = |label: Label, nanos: i64| format!("{}{}{}", self.t(label), self.colon(), numbers::length(nanos, self.lang));
        let parts = [
            length(Label::InAll, people.total),
            length(Label::WaitedForPeople, people.waited),
            length(Label::RunByNobody, people.left),
            length(Label::MachineTime, people.machine()),
        ];
        let _ = writeln!(out, "{}{}\n", parts.join(" · "), self.bracketed(self.t(Label::WaitedRule)));
    }

    /// Who did it, with what is known of that beside what they said of themselves.
    fn author(&self, act: &Act) -> String {
        let by = code(&act.by);
        match (&act.witness.key, &act.witness.user) {
            (Some(key), _) => by + &self.bracketed(&format!("{} {}", self.t(Label::SignedWith), code(key))),
            (None, Some(user)) if *user != act.by => by + &self.bracketed(&format!("{} {}", self.t(Label::SaidByUser), code(user))),
            _ => by,
        }
    }

    fn deed(&self, act: &Act) -> String {
        let what = self.t(deed_label(act.deed));
        let simulated = if act.simulated { self.bracketed(self.t(Label::SimulatedMark)) } else { String::new() };
        match &act.step {
            Some(step) => format!("{what}{simulated}{}{}", self.colon(), self.step_name(step)),
            None => format!("{what}{simulated}"),
        }
    }

    /// An order that was followed, with its reason.
    pub(super) fn order(&self, order: &Order, why: &str) -> String {
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
        let step = step.map(|step| format!("{}{}", self.colon(), self.step_name(step))).unwrap_or_default();
        let why = if why.is_empty() { String::new() } else { format!("{}{}", self.colon(), self.sentence(why)) };
        format!("{}{step}{why}", self.t(label))
    }
}

pub(super) const fn deed_label(deed: Deed) -> Label {
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
    use crate::report::render;

    /// The section about people.
    fn section(lang: Lang) -> String {
        let report = render(&samples::steered(), "", lang);
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
        assert!(!render(&samples::success(), "", Lang::En).contains("**People."));
    }
}
