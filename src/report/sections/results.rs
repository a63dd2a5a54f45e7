//! The head of the report: verdict and identity, then objectives against what was measured.

use std::collections::BTreeMap;

use crate::model::guard::{Guard, Outcome};
use crate::model::interval::{MILLISECOND, Moment};
use crate::model::measure::{self, Criterion, Judgement, Measure, Measured, Stands, UNWATCHED, VANTAGE_POINTS, failback_done, is_unwatched};
use crate::model::plan::{ClientModel, Mode, ProbeState, StopCondition, Verdict};
use crate::model::realism::Exercise;
use crate::model::time::{Span, Timestamp};
use crate::model::whereabouts::CloudWorld;
use crate::report::document::{Align, Block, Column, Fact, Inline, Line, Table, Value, code, line, text};
use crate::report::fields::Field;
use crate::report::labels::Label;
use crate::report::numbers;
use crate::report::page::{Page, dash};

impl Page<'_> {
    /// What kind of report, and of which run.
    pub(super) fn title(&self) -> Line {
        let title = match self.is_emergency() {
            true if self.plan.is_simulated() => Label::EmergencyRehearsal,
            true => Label::EmergencyReport,
            false => Label::DrillReport,
        };
        line![self.t(title), " — ", text(&self.state.run)]
    }

    /// Verdict and identity.
    pub(super) fn identity(&self) -> Vec<Block> {
        let mut blocks = vec![Block::facts("identity", self.identity_facts())];
        let note = match self.plan.mode {
            _ if self.plan.is_in_lab() => Some(Label::RehearsalNote),
            _ if self.plan.is_simulated() => Some(Label::SimulatedNote),
            Mode::Rehearse | Mode::Drill => None,
            Mode::Emergency => Some(Label::EmergencyNote),
        };
        blocks.extend(note.map(|note| Block::Note(self.t(note).into())));
        blocks
    }

    /// Objectives, what else was measured, pictures.
    pub(super) fn results(&self) -> Vec<Block> {
        let mut blocks = self.objectives();
        blocks.extend(self.kept_answers());
        blocks.extend(self.also_measured());
        blocks.extend(self.stop_conditions());
        blocks.push(Block::Figure(self.timeline()));
        blocks.extend(self.waterfall().map(Block::Figure));
        blocks
    }

    fn identity_facts(&self) -> Vec<Fact> {
        let fact = |id: &'static str, label: Label, value: Line| {
            let value = if value.is_empty() { self.not_recorded() } else { value };
            Fact::new(id, line![self.t(label)].strong(), value)
        };
        let is_emergency = self.is_emergency();
        let verdict = if self.state.ended.is_some() { self.verdict().holding(Field::ResultVerdict) } else { self.verdict() };
        let (title, description) =
            (text(self.plan.title.get(self.lang)), text(self.plan.description.get(self.lang)).holding(Field::ScenarioNarrative));
        let tried = Line::join([title, description].into_iter().filter(|part| !part.is_empty()), self.colon());
        let operator = [&self.start.operator, &self.start.host].into_iter().map(|part| code(part)).filter(|part| !part.is_empty());
        let digest = if self.start.plan_sha256.is_empty() { Line::default() } else { code(&format!("sha256:{}", self.start.plan_sha256)) };
        let approval = self.approval().map(|said| self.sentence(said)).unwrap_or_default();
        vec![
            fact("verdict", Label::VerdictHead, verdict),
            fact("why", Label::Why, self.why()),
            fact("tried", if is_emergency { Label::TriedEmergency } else { Label::Tried }, tried),
            fact("how_real", Label::HowReal, self.how_real()),
            fact("when", Label::When, line![self.range(), self.declared()]),
            fact("environment", Label::Environment, code(&self.plan.environment).holding(Field::ExerciseEnvironment)),
            fact("locations", Label::Locations, self.locations().holding(Field::ScopeLocations)),
            fact("definition", if is_emergency { Label::Runbook } else { Label::Scenario }, code(&self.plan.name)),
            fact("operator", Label::Operator, Line::join(operator, " @ ")),
            fact("tool", Label::ToolVersion, line!["Lifeboat ", text(&self.start.tool)].holding(Field::ReportTool)),
            fact("run", Label::RunId, code(&self.state.run).holding(Field::ReportId)),
            fact("plan_digest", Label::PlanDigest, digest.holding(Field::PlanRef)),
            fact("approval", Label::PlanApproval, approval.holding(Field::PlanApproval)),
            fact("programme", Label::Programme, Line::default()),
        ]
    }

    /// Who approved the plan, as the guard said that asks for approvals and let the run begin.
    fn approval(&self) -> Option<&str> {
        let guard = self.state.guards.iter().find(|decision| decision.guard == Guard::Approvals.name() && decision.outcome == Outcome::Allows);
        guard.map(|decision| decision.detail.as_str())
    }

    /// The verdict with a sign that needs no colour.
    fn verdict(&self) -> Line {
        let Some(end) = &self.state.ended else { return line!["◐ ", line![self.word("not_ended", Label::NotEnded)].strong()] };
        let (sign, word, label) = match end.verdict {
            Verdict::Pass => ("● ", "pass", Label::Pass),
            Verdict::Fail => ("▲ ", "fail", Label::Fail),
            Verdict::Inconclusive => ("◐ ", "inconclusive", Label::Inconclusive),
            Verdict::Aborted => ("○ ", "aborted", Label::Aborted),
        };
        let mut notes = vec![line![sign, line![self.word(word, label)].strong()]];
        if !failback_done(self.state) {
            notes.push(self.word("failback_untested", Label::FailbackUntested).into());
        }
        if !self.standing.is_empty() {
            notes.push(self.stand(measure::count(&self.standing)));
        }
        Line::join(notes, " · ")
    }

    fn why(&self) -> Line {
        let reasons = self.reasons();
        if reasons.is_empty() && self.state.ended.as_ref().is_some_and(|end| end.verdict == Verdict::Pass) {
            let judged = if self.measures.criteria.is_empty() { Label::AllRestored } else { Label::AllMet };
            let judged = if is_unwatched(self.plan) { self.sentence(UNWATCHED) } else { self.t(judged).into() };
            let lasting = self.standing.iter().filter(|one| matches!(one.why, Stands::CannotBeUndone)).count();
            let back = match self.standing.len() {
                0 => self.t(Label::AllBack).into(),
                all if all == lasting => self.t(Label::AllBackButLasting).into(),
                _ => self.stand(measure::count(&self.standing)),
            };
            return Line::join([judged, self.t(Label::StepsDone).into(), back], self.comma());
        }
        Line::join(reasons, Inline::Break)
    }

    /// From when to when, in both zones.
    fn range(&self) -> Line {
        let (from, to) = (self.start.at, self.end());
        let [shown_from, shown_to, local] = self.zones.range(from, to);
        let moment = |shown, at| Inline::Shown(shown, Some(Value::Time(at)));
        line![moment(shown_from, from), "–", moment(shown_to, to), " UTC · ", Inline::Shown(local, None)]
    }

    fn how_real(&self) -> Line {
        let exercise = self.plan.exercise();
        let mut how = match exercise {
            Some(Exercise::Simulated) if self.plan.is_in_lab() => self.t(Label::Simulated).into(),
            Some(Exercise::Simulated) if self.plan.is_simulated() => {
                let hosts = Line::join(self.plan.realism.hosts.iter().map(|host| code(host)), self.comma());
                line![self.t(Label::SimulatedHosts), self.colon(), hosts]
            }
            Some(exercise) => line![self.t(Label::RealDrill), self.colon(), code(exercise.word()), self.bracketed(self.t(Label::AsDeclared))],
            None if self.is_emergency() => self.t(Label::NoExercise).into(),
            None => line![self.t(Label::RealDrill), self.colon(), self.not_recorded()],
        };
        if self.is_emergency() && self.plan.is_simulated() {
            how = line![how, self.semicolon(), self.t(Label::RunbookAlone)];
        }
        if let Some(declared) = self.plan.realism.declared.filter(|declared| exercise != Some(*declared) && exercise.is_some()) {
            how = line![how, self.semicolon(), self.t(Label::NotCounted), self.colon(), code(declared.word())];
        }
        if exercise.is_some() { how.holding(Field::ExerciseType) } else { how }
    }

    /// Clouds, accounts, regions and the addresses that calls were sent to in the place of the vendor's own, as the run's environment had them.
    fn locations(&self) -> Line {
        let side = |(cloud, side): (&&'static str, &CloudWorld)| {
            let mut parts: Vec<Line> = [&side.account, &side.region].into_iter().flatten().map(|part| code(part)).collect();
            let mut by_address: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
            for (service, address) in side.endpoints.iter().flatten() {
                by_address.entry(address).or_default().push(text(service));
            }
            parts.extend(by_address.into_iter().map(|(address, services)| line![Line::join(services, self.comma()), " → ", code(address)]));
            (!parts.is_empty()).then(|| line![*cloud, " ", Line::join(parts, " ")])
        };
        Line::join(self.plan.whereabouts().clouds.iter().filter_map(side), " · ")
    }

    /// What would have ended the run by itself.
    fn stop_conditions(&self) -> Option<Block> {
        let one = |stop: &StopCondition| {
            let is = if stop.is == ProbeState::Bad { self.word("bad", Label::StateBad) } else { self.word("good", Label::StateGood) };
            line![self.probe_name(&stop.probe), " ", is, " ≥ ", self.span(stop.lasts)]
        };
        let all = Line::join(self.plan.stop_conditions.iter().map(one), " · ").holding(Field::PlanStopConditions);
        (!all.is_empty()).then(|| Block::Paragraph(line![self.t(Label::StopConditions), self.colon(), all]))
    }

    fn declared(&self) -> Line {
        let declared =
            |since: Timestamp| line![Inline::Break, self.t(Label::Declared), " ", Inline::Shown(since.to_string(), Some(Value::Time(since)))];
        self.plan.since.map(declared).unwrap_or_default()
    }

    fn objectives(&self) -> Vec<Block> {
        if self.measures.criteria.is_empty() {
            return vec![Block::Paragraph(self.t(Label::NoObjectives).into())];
        }
        let mut table = Table::new(
            "criteria",
            vec![
                Column::new("criterion", self.t(Label::Criterion), Align::Left),
                Column::new("mandatory", self.t(Label::Mandatory), Align::Center),
                Column::new("target", self.t(Label::Target), Align::Right),
                Column::new("measured", self.t(Label::Measured), Align::Right),
                Column::new("seen_by", self.t(Label::SeenBy), Align::Left),
                Column::new("result", self.t(Label::Result), Align::Center),
            ],
        );
        table.holds(&[Field::PlanObjectives, Field::PlanSuccessCriteria, Field::ResultCriteria]);
        for criterion in &self.measures.criteria {
            let result = match criterion.judgement {
                Judgement::Met => self.word("met", Label::Met),
                Judgement::NotMet => self.word("not_met", Label::NotMet),
                Judgement::Indeterminate => self.word("indeterminate", Label::Indeterminate),
                Judgement::NotTested => self.word("not_tested", Label::NotTested),
            };
            let (target, measured) = self.criterion(criterion);
            let seen_by = match criterion.measure {
                Measure::Rto | Measure::RtoCached => self.seen_by(&criterion.subject),
                Measure::Rpo | Measure::Missing | Measure::Doubled => dash(),
            };
            table.row(vec![self.criterion_name(criterion), self.yes_or_no(true).into(), target, measured, seen_by, result.into()]);
        }
        vec![Block::Lead(self.t(Label::BoundsRule).into()), Block::Table(table)]
    }

    /// As which clients a probe saw what it saw, and from how many places; a dash for what is no client.
    pub(super) fn seen_by(&self, probe: &str) -> Line {
        let models = self.probe_plan(probe).map(|probe| &probe.clients).into_iter().flatten();
        let words = models.map(|model| match model {
            ClientModel::ResolvesAnew => self.word("resolves_anew", Label::ResolvesAnew),
            ClientModel::KeepsNames => self.word("keeps_names", Label::KeepsNames),
            ClientModel::KeepsConnections => self.word("keeps_connections", Label::KeepsConnections),
        });
        let words = Line::join(words, self.comma());
        if words.is_empty() { dash() } else { line![words, self.comma(), self.count(VANTAGE_POINTS), " ", self.t(Label::VantagePoints)] }
    }

    /// How long clients may keep the answers of DNS that the failover made wrong, and where that is longer than they may be away.
    fn kept_answers(&self) -> Option<Block> {
        let kept = self.measures.kept?;
        let Some(ttl) = kept.ttl else { return Some(Block::Paragraph(self.t(Label::AnswersUnread).into())) };
        let seconds = Inline::Shown((ttl / 1_000_000_000).to_string(), Some(Value::exactly(ttl)));
        let late = self.plan.objectives.iter().filter_map(|(id, objective)| Some((id, objective.rto?))).filter(|(_, rto)| nanos(*rto) < ttl);
        let late = late.map(|(id, rto)| {
            let than = line![self.t(Label::AnswersLonger), " ", self.probe_name(id), self.comma(), self.target_of(rto.as_millis())];
            line![" ▲ ", than, self.full_stop().trim_end()]
        });
        let late = Line::join(late, "");
        Some(Block::Paragraph(line![self.t(Label::AnswersFor), self.colon(), seconds, " ", self.t(Label::AnswersRule), late]))
    }

    fn criterion_name(&self, criterion: &Criterion) -> Line {
        let subject = self.subject(&criterion.subject);
        match criterion.measure {
            Measure::Rto => line![self.word("rto", Label::CriterionRto), self.colon(), subject],
            Measure::RtoCached => line![self.word("rto_cached", Label::CriterionRtoCached), self.colon(), subject],
            Measure::Rpo => line![self.word("rpo", Label::CriterionRpo), self.colon(), subject],
            Measure::Missing => line![subject, self.colon(), self.word("missing", Label::CriterionMissing)],
            Measure::Doubled => line![subject, self.colon(), self.word("doubled", Label::CriterionDoubled)],
        }
    }

    /// A target as people write it.
    fn target_of(&self, millis: u64) -> Inline {
        let nanos = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(MILLISECOND);
        Inline::Shown(numbers::target(millis, self.lang), Some(Value::exactly(nanos)))
    }

    /// Target, and measured value with its bounds.
    fn criterion(&self, criterion: &Criterion) -> (Line, Line) {
        if let Some(count) = criterion.count {
            return (self.count(criterion.target).into(), self.count(count).into());
        }
        let target = line!["≤ ", self.target_of(criterion.target)];
        let Some(measured) = criterion.measured else { return (target, dash()) };
        let value = match (criterion.measure, measured) {
            // Users with caches see it at some time until then.
            (Measure::RtoCached, Measured::Known(length)) => self.upper(length.hi).into(),
            (Measure::Rto, Measured::Known(length)) if criterion.no_impact => {
                line![self.word("no_impact", Label::NoImpact), self.bracketed(self.upper(length.hi))]
            }
            _ => self.measured(measured).into(),
        };
        let mut lines = vec![value];
        if criterion.measure == Measure::Rto {
            lines.extend(self.beside_rta(&criterion.subject));
        }
        let measured = Line::join(lines, Inline::Break);
        (target, if criterion.measure == Measure::Rto { measured.holding(Field::MetricRto) } else { measured })
    }

    /// What stands beside a recovery time: the bound for users with caches, and for what is no service the time from the fault.
    fn beside_rta(&self, probe: &str) -> Vec<Line> {
        let plan = self.probe_plan(probe);
        let cached = match self.measures.rta_with_caches(probe) {
            Some(Measured::Known(length)) if plan.is_some_and(|plan| !plan.clients.is_empty()) => {
                Some(line![self.word("with_caches", Label::WithCaches), self.colon(), self.upper(length.hi)])
            }
            _ => None,
        };
        let from_fault = self.measures.since_fault(probe).filter(|_| plan.is_some_and(|plan| !plan.service));
        let from_fault = from_fault.map(|measured| line![self.word("from_fault", Label::FromFault), self.colon(), self.measured(measured)]);
        cached.into_iter().chain(from_fault).collect()
    }

    /// What no objective asks for and everybody wants to know.
    fn also_measured(&self) -> Option<Block> {
        let instants = &self.measures.instants;
        let (is_drill, counts_users) = (!self.is_emergency(), self.counts_users());
        let [moved, drained] = if counts_users { [Label::TrafficMoved, Label::TrafficDrained] } else { [Label::OwnMoved, Label::OwnDrained] };
        let times = [
            ("detection", Label::DetectionTime, Some(Field::MetricDetection), instants.detected.zip(instants.impact).filter(|_| is_drill)),
            ("decision", Label::DecisionTime, Some(Field::MetricDecision), instants.decided.zip(instants.detected).filter(|_| is_drill)),
            ("from_decision", Label::RtaDeclared, Some(Field::MetricRtoDeclared), instants.restored.zip(instants.decided)),
            ("moved", moved, None, instants.moved.zip(instants.shifted)),
            ("drained", drained, None, self.measures.traffic.and_then(|traffic| traffic.drained).zip(instants.shifted)),
            ("sustained", Label::SustainedRun, Some(Field::MetricSustained), instants.failback.zip(instants.restored)),
        ];
        let fact = |(id, label, field, ends): (&'static str, Label, Option<Field>, Option<(_, _)>)| {
            let (to, from): (Moment, Moment) = ends?;
            let value = Line::from(self.interval(to.since(from)));
            Some(Fact::new(id, self.t(label), field.into_iter().fold(value, Line::holding)))
        };
        let facts: Vec<Fact> = times.into_iter().filter_map(fact).collect();
        (!facts.is_empty()).then(|| Block::facts_in_line("also-measured", line![self.t(Label::AlsoMeasured), self.colon()], facts, ""))
    }
}

fn nanos(span: Span) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)
}
