//! The lease of the fault: when it was granted, how it was renewed, how it ended.

use std::fmt::Write;

use super::Page;
use super::labels::Label;
use super::markdown::{Table, text};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::state::Status;
use crate::model::time::Timestamp;

impl Page<'_> {
    /// Nothing where no fault was about to be injected.
    pub(super) fn lease(&self, out: &mut String) {
        let Some((plan, fault)) = self.plan.fault.as_ref().zip(self.state.fault()) else { return };
        let Some(intent) = &fault.intent else { return };
        let renewals: Vec<(u64, Timestamp, Timestamp)> = self.events.iter().filter_map(renewal).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "**{}** {}\n", self.t(Label::LeaseTitle), self.t(Label::LeaseLead));
        let event = |seq: u64| self.bracketed(&format!("{} {seq}", self.t(Label::EventNumber)));
        let utc = |at: Timestamp| format!("{} UTC", self.zones.utc(at));
        let until = |at: Timestamp| format!("{} {}", self.t(Label::LeaseUntil), utc(at));
        let mut table = Table::pairs();
        let mut row = |label: Label, value: String| table.row(&[self.t(label).to_owned(), value]);
        row(
            Label::LeaseGranted,
            format!("{}{}{}{}", utc(intent.at), self.comma_list(), until(intent.at.plus(plan.lease.duration())), event(intent.seq)),
        );
        row(Label::LeaseLength, format!("{}{}{} {}", plan.lease, self.comma_list(), self.t(Label::LeaseLimit), plan.limit));
        let renewed = match (renewals.first(), renewals.last()) {
            (Some((_, first, _)), Some((seq, last, end))) if renewals.len() > 1 => {
                let times = format!("{}–{}", self.zones.utc(*first), utc(*last));
                format!("{}{}{times}{}{}{}", renewals.len(), self.colon(), self.comma_list(), until(*end), event(*seq))
            }
            (Some((seq, at, end)), _) => format!("1{}{}{}{}{}", self.colon(), utc(*at), self.comma_list(), until(*end), event(*seq)),
            _ => self.t(Label::LeaseNever).to_owned(),
        };
        row(Label::LeaseRenewed, renewed);
        let ended_by = self.state.stops.iter().find(|stop| stop.by == "lease");
        let gone = fault.undo_ended.filter(|_| fault.status == Status::Undone);
        let ended = match (ended_by, gone) {
            (Some(stop), gone) => {
                let out_at = gone.map(|at| format!("{}{} {}", self.comma_list(), self.t(Label::LeaseOut), utc(at))).unwrap_or_default();
                format!("▲ {}{}{}{out_at}", utc(stop.at), self.colon(), text(&stop.why))
            }
            (None, Some(at)) => format!("{}{}{}", utc(at), self.comma_list(), self.t(Label::LeaseEnded)),
            (None, None) => {
                let last = renewals.last().map_or_else(|| intent.at.plus(plan.lease.duration()), |(_, _, end)| *end);
                format!("▲ {}{}{}", self.t(Label::LeaseOpen), self.comma_list(), until(last))
            }
        };
        row(Label::LeaseEnd, ended);
        out.push_str(&table.finish());
    }
}

/// Number, time and new end of a renewal.
fn renewal(event: &Event) -> Option<(u64, Timestamp, Timestamp)> {
    match &event.body {
        Body::Run(RunEvent::LeaseRenewed { until }) => Some((event.seq, event.at, *until)),
        _ => None,
    }
}
