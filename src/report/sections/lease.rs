//! The lease of the fault: when it was granted, when it was renewed, how it ended.

use crate::model::event::{Body, Event, RunEvent};
use crate::model::state::Status;
use crate::model::time::Timestamp;
use crate::report::document::{Block, Fact, line, text};
use crate::report::labels::Label;
use crate::report::page::Page;

impl Page<'_> {
    /// Nothing where no fault was about to be injected.
    pub(super) fn lease(&self) -> Vec<Block> {
        let Some((plan, fault)) = self.plan.fault.as_ref().zip(self.state.fault()) else { return Vec::new() };
        let Some(intent) = &fault.intent else { return Vec::new() };
        let renewals: Vec<(u64, Timestamp, Timestamp)> = self.events.iter().filter_map(renewal).collect();
        let until = |at: Timestamp| line![self.t(Label::LeaseUntil), " ", self.at_utc(at)];
        let granted = line![self.at_utc(intent.at), self.comma(), until(intent.at.plus(plan.lease.duration())), self.event_number(intent.seq)];
        let length = line![self.span(plan.lease), self.comma(), self.t(Label::LeaseLimit), " ", self.span(plan.limit)];
        let renewed = match (renewals.first(), renewals.last()) {
            (Some((_, first, _)), Some((seq, last, end))) if renewals.len() > 1 => line![
                self.count(renewals.len()),
                self.colon(),
                self.utc(*first),
                "–",
                self.at_utc(*last),
                self.comma(),
                until(*end),
                self.event_number(*seq)
            ],
            (Some((seq, at, end)), _) => {
                line![self.count(1_u64), self.colon(), self.at_utc(*at), self.comma(), until(*end), self.event_number(*seq)]
            }
            _ => self.t(Label::LeaseNever).into(),
        };
        let ended_by = self.state.stops.iter().find(|stop| stop.by == "lease");
        let gone = fault.undo_ended.filter(|_| fault.status == Status::Undone);
        let ended = match (ended_by, gone) {
            (Some(stop), gone) => {
                let out_at = gone.map(|at| line![self.comma(), self.t(Label::LeaseOut), " ", self.at_utc(at)]).unwrap_or_default();
                line!["▲ ", self.at_utc(stop.at), self.colon(), text(&stop.why), out_at]
            }
            (None, Some(at)) => line![self.at_utc(at), self.comma(), self.t(Label::LeaseEnded)],
            (None, None) => {
                let last = renewals.last().map_or_else(|| intent.at.plus(plan.lease.duration()), |(_, _, end)| *end);
                line!["▲ ", self.t(Label::LeaseOpen), self.comma(), until(last)]
            }
        };
        let rows = vec![
            Fact::new("granted", self.t(Label::LeaseGranted), granted),
            Fact::new("length", self.t(Label::LeaseLength), length),
            Fact::new("renewed", self.t(Label::LeaseRenewed), renewed),
            Fact::new("ended", self.t(Label::LeaseEnd), ended),
        ];
        vec![Block::Lead(line![line![self.t(Label::LeaseTitle)].strong(), " ", self.t(Label::LeaseLead)]), Block::facts("lease", rows)]
    }
}

/// Number, time and new end of a renewal.
fn renewal(event: &Event) -> Option<(u64, Timestamp, Timestamp)> {
    match &event.body {
        Body::Run(RunEvent::LeaseRenewed { until }) => Some((event.seq, event.at, *until)),
        _ => None,
    }
}
