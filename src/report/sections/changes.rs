//! What was injected and changed, the proof that it was put back, and the calls that did it.

use crate::model::ids::Part;
use crate::model::measure::{self, StandingChange, Stands};
use crate::model::state::step::StepCall;
use crate::model::state::{Acceptance, FAULT, Status, StepState};
use crate::model::target::Target;
use crate::report::document::{Align, Block, Column, Fact, Inline, Line, Table, code, line, text};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// The fault, what steps changed, leftovers, mutating calls.
    pub(super) fn changes(&self) -> Vec<Block> {
        let mut blocks = self.fault();
        blocks.extend(self.changed());
        if self.standing.is_empty() {
            let differs = self.state.baseline.as_ref().is_some_and(|baseline| !baseline.differences.is_empty());
            let none = if differs { Label::SeeDifferences } else { Label::NoLeftovers };
            blocks.push(Block::Paragraph(line![line![self.t(Label::Leftovers)].strong(), " ", self.t(none)]));
        } else {
            let title = line!["▲ ", self.t(Label::InPlace), self.last_colon()].strong();
            blocks.push(Block::Lead(line![title, " ", self.stand(measure::count(&self.standing))]));
            blocks.push(Block::List(self.standing.iter().map(|one| self.stands(one)).collect()));
            if self.state.leaves() && self.held.iter().any(|key| Part::Failover.has(key)) {
                blocks.push(Block::Paragraph(self.t(self.kept_line()).into()));
            }
        }
        blocks.extend(self.calls());
        blocks
    }

    /// What stands of one step, and why.
    fn stands(&self, one: &StandingChange) -> Line {
        let why = match &one.why {
            Stands::LeftOver(why) => line![self.t(Label::StandsLeftOver), self.colon(), self.sentence(why)],
            Stands::CannotBeUndone => Line::default(),
            Stands::Emergency => self.t(Label::StandsEmergency).into(),
            Stands::Asked => self.t(Label::StandsAsked).into(),
            Stands::Stopped => self.t(Label::StandsStopped).into(),
            Stands::NotYet => self.t(Label::StandsNotYet).into(),
            Stands::Accepted(Acceptance { by, why, there, .. }) => {
                let because = line![self.t(Label::StandsBecause), self.colon(), self.sentence(why)];
                line![self.t(Label::StandsAccepted), " ", text(by), self.semicolon(), because, self.semicolon(), self.sentence(there)]
            }
        };
        let lasting = Line::join(one.irrevocable.iter().map(|what| text(what)), self.comma());
        let lasting = if lasting.is_empty() { lasting } else { line![self.t(Label::StandsLasting), self.colon(), lasting] };
        let changes = Line::join(one.targets.iter().map(target), self.comma());
        let parts = [changes, why, lasting].into_iter().filter(|part| !part.is_empty());
        line![self.step_name(&one.step), self.colon(), Line::join(parts, self.semicolon())]
    }

    fn fault(&self) -> Vec<Block> {
        let Some(plan) = &self.plan.fault else { return vec![Block::Paragraph(self.t(Label::NoFaultPlanned).into())] };
        let lead = Block::Lead(line![line![self.t(Label::FaultTitle), self.last_colon()].strong(), " ", code(&plan.uses)]);
        let state = self.state.fault();
        let Some((fault, intent)) = state.and_then(|fault| Some((fault, fault.intent.as_ref()?))) else {
            let failure = state.and_then(|fault| fault.failure.as_ref());
            let why = failure.map(|failure| line![" ", self.sentence(&failure.to_string())]).unwrap_or_default();
            return vec![lead, Block::Paragraph(line![self.t(Label::FaultNotInjected), why])];
        };
        let or_missing = |line: Option<Line>| line.unwrap_or_else(|| self.not_recorded());
        let active = fault.ended.filter(|_| fault.applied);
        let undone = fault.undo_ended.filter(|_| fault.status == Status::Undone);
        let back = self.back(match fault.status {
            Status::Undone if fault.undone_already => Label::BackAlready,
            Status::Undone => Label::BackYes,
            Status::UndoFailed => Label::BackFailed,
            Status::Accepted => Label::BackAccepted,
            _ => Label::BackOpen,
        });
        let failure = fault.undo_failure.as_ref().map(|failure| line![self.colon(), self.sentence(&failure.to_string())]).unwrap_or_default();
        let out = match undone {
            Some(at) => line![self.at_utc(at), self.comma(), back],
            None => line![back, failure],
        };
        let ids = fault.calls.iter().filter(|call| call.call.mutating).filter_map(|call| call.call.request_id.as_deref()).map(code);
        let ids = Line::join(ids, Inline::Break);
        let made = code(&intent.with.to_string()).holding(Field::ScenarioFault).holding(Field::ScenarioKind);
        let rows = vec![
            Fact::new("parameters", self.t(Label::FaultParameters), made),
            Fact::new("targets", self.t(Label::FaultTargets), targets(&intent.targets)),
            Fact::new("intent", self.t(Label::FaultIntent), line![self.at_utc(intent.at), self.event_number(intent.seq)]),
            Fact::new("active", self.t(Label::FaultActive), or_missing(active.map(|at| self.at_utc(at)))),
            Fact::new("undo", self.t(Label::FaultUndo), or_missing(fault.undoing.map(|at| self.at_utc(at)))),
            Fact::new("undone", self.t(Label::FaultUndone), out),
            Fact::new("stood", self.t(Label::FaultHeld), or_missing(undone.map(|at| self.length(at.nanos_since(intent.at).max(0)).into()))),
            Fact::new("lease", self.t(Label::FaultLease), self.span(plan.lease)),
            Fact::new("calls", self.t(Label::FaultCalls), if ids.is_empty() { self.not_recorded() } else { ids }),
        ];
        vec![lead, Block::facts("fault", rows)]
    }

    fn changed(&self) -> Vec<Block> {
        let mut table = Table::new(
            "changes",
            vec![
                Column::new("step", self.t(Label::StepColumn), Align::Left),
                Column::new("target", self.t(Label::TargetColumn), Align::Left),
                Column::new("change", self.t(Label::ChangeColumn), Align::Left),
                Column::new("put_back", self.t(Label::PutBack), Align::Left),
            ],
        );
        for (key, step) in self.state.ordered() {
            let Some(intent) = step.intent.as_ref().filter(|_| key != FAULT) else { continue };
            let back = self.back(self.put_back(key, step));
            if intent.targets.is_empty() {
                table.row(vec![self.step_name(key), dash(), dash(), back.clone().into()]);
            }
            for (index, target) in intent.targets.iter().enumerate() {
                let name = if index == 0 { self.step_name(key) } else { "〃".into() };
                let change = target.change.as_ref().map_or_else(dash, |change| text(change.text()));
                table.row(vec![name, line![text(target.kind.word()), " ", code(&target.label())], change, back.clone().into()]);
            }
        }
        let title = line![self.t(Label::ChangedThings)].strong();
        let changed = if table.rows.is_empty() { Block::Paragraph(self.t(Label::NothingChanged).into()) } else { Block::Table(table) };
        vec![Block::Lead(title), changed]
    }

    /// What became of a change, in words of both kinds.
    fn back(&self, label: Label) -> Inline {
        let word = match label {
            Label::BackYes => "put_back",
            Label::BackAlready => "already",
            Label::BackFailed => "left_over",
            Label::BackAccepted => "accepted",
            Label::BackMoved => "changed_since",
            Label::BackNothing => "changed_nothing",
            Label::BackImpossible => "cannot_be_undone",
            Label::BackKept | Label::BackLeft | Label::BackStopped => "stands",
            Label::BackWay => "way_back",
            Label::BackByFailback => "by_failback",
            _ => "not_yet",
        };
        self.word(word, label)
    }

    /// What became of a step's changes.
    fn put_back(&self, key: &str, step: &StepState) -> Label {
        match step.status {
            Status::Undone if step.has_no_undo => Label::BackImpossible,
            Status::Undone if step.undone_already => Label::BackAlready,
            Status::Undone => Label::BackYes,
            Status::UndoFailed => Label::BackFailed,
            Status::Accepted => Label::BackAccepted,
            _ if self.has_moved(key) => Label::BackMoved,
            _ if !step.may_have_changed() => Label::BackNothing,
            _ => match self.standing_of(key).map(|one| &one.why) {
                _ if step.has_no_undo && !Part::Failback.has(key) => Label::BackImpossible,
                Some(Stands::LeftOver(_)) => Label::BackFailed,
                Some(Stands::CannotBeUndone) => Label::BackImpossible,
                Some(Stands::Emergency) => Label::BackKept,
                Some(Stands::Asked) => Label::BackLeft,
                Some(Stands::Stopped) => Label::BackStopped,
                Some(Stands::NotYet) => Label::BackOpen,
                Some(Stands::Accepted(_)) => Label::BackAccepted,
                None if Part::Failback.has(key) => Label::BackWay,
                None => Label::BackByFailback,
            },
        }
    }

    fn calls(&self) -> Vec<Block> {
        let lead = line![line![self.t(Label::CallsTitle)].strong(), " ", self.t(Label::CallsLead)];
        let mut calls: Vec<(&str, &StepCall)> = self
            .state
            .ordered()
            .into_iter()
            .flat_map(|(key, step)| step.calls.iter().map(move |call| (key, call)))
            .filter(|(_, call)| call.call.mutating)
            .collect();
        calls.sort_by_key(|(_, call)| call.seq);
        if calls.is_empty() {
            return vec![Block::Lead(lead), Block::Paragraph(self.t(Label::NoCalls).into())];
        }
        let mut table = Table::new(
            "calls",
            vec![
                Column::new("event", self.t(Label::Number), Align::Right),
                Column::new("utc", "UTC", Align::Left),
                Column::new("call", self.t(Label::CallColumn), Align::Left),
                Column::new("region", self.t(Label::Region), Align::Left),
                Column::new("request_id", self.t(Label::RequestId), Align::Left),
                Column::new("outcome", self.t(Label::Outcome), Align::Left),
                Column::new("for", self.t(Label::ForColumn), Align::Left),
            ],
        );
        for (key, StepCall { seq, at, undo, call }) in calls {
            let id = call.request_id.as_deref().filter(|id| !id.is_empty()).map_or_else(|| self.not_recorded(), code);
            let mark = if *undo { self.bracketed(self.t(Label::UndoMark)) } else { Line::default() };
            let attempt = if call.attempt > 1 { line![" ×", self.count(call.attempt)] } else { Line::default() };
            table.row(vec![
                self.count(*seq).into(),
                self.utc(*at).into(),
                line![code(&call.operation), attempt],
                code(&call.region),
                id,
                text(&call.outcome),
                line![code(key), mark],
            ]);
        }
        vec![Block::Lead(lead), Block::Table(table)]
    }
}

fn targets(targets: &[Target]) -> Line {
    if targets.is_empty() { dash() } else { Line::join(targets.iter().map(target), Inline::Break) }
}

fn target(target: &Target) -> Line {
    let change = target.change.as_ref().map_or_else(Line::default, |change| line![" ", text(change.text())]);
    line![text(target.kind.word()), " ", code(&target.label()), change]
}
