//! The head of the report: verdict and identity, then objectives against what was measured.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Page;
use super::fields::Field;
use super::labels::Label;
use super::markdown::{Align, Table, code, text};
use super::numbers;
use crate::model::guard::{Guard, Outcome};
use crate::model::interval::MILLISECOND;
use crate::model::measure::{self, Criterion, Judgement, Measure, Measured, Stands, UNWATCHED, VANTAGE_POINTS, failback_done, is_unwatched};
use crate::model::plan::{ClientModel, Mode, ProbeState, Verdict};
use crate::model::realism::Exercise;
use crate::model::text::Lang;
use crate::model::time::Span;
use crate::model::whereabouts::{CloudWorld, Whereabouts};

impl Page<'_> {
    /// Title, verdict, identity, objectives, pictures.
    pub(super) fn results(&self, out: &mut String) {
        let title = match self.is_emergency() {
            true if self.plan.is_simulated() => Label::EmergencyRehearsal,
            true => Label::EmergencyReport,
            false => Label::DrillReport,
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# {} — {}\n", self.t(title), text(&self.state.run));
        out.push_str(&self.identity());
        let note = match self.plan.mode {
            _ if self.plan.is_in_lab() => Some(Label::RehearsalNote),
            _ if self.plan.is_simulated() => Some(Label::SimulatedNote),
            Mode::Rehearse | Mode::Drill => None,
            Mode::Emergency => Some(Label::EmergencyNote),
        };
        if let Some(note) = note {
            let _ = writeln!(out, "> [!NOTE]\n> {}\n", self.t(note));
        }
        let _ = writeln!(out, "## 1 {}\n", self.t(Label::ResultsTitle));
        self.objectives(out);
        self.kept_answers(out);
        self.also_measured(out);
        self.stop_conditions(out);
        let _ = writeln!(out, "![{}]({})\n", self.timeline_alt(), self.file("timeline"));
        if let Some(alt) = self.waterfall_alt() {
            let _ = writeln!(out, "![{alt}]({})\n", self.file("waterfall"));
        }
    }

    fn identity(&self) -> String {
        let mut table = Table::pairs();
        let mut row = |label: Label, value: String| {
            let value = if value.is_empty() { self.t(Label::NotRecorded).to_owned() } else { value };
            table.row(&[format!("**{}**", self.t(label)), value]);
        };
        row(Label::VerdictHead, self.verdict());
        if self.state.ended.is_some() {
            self.written.add(Field::ResultVerdict);
        }
        row(Label::Why, self.why());
        let (title, description) = (text(self.plan.title.get(self.lang)), text(self.plan.description.get(self.lang)));
        let tried = [title, description].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(self.colon());
        if !self.plan.description.get(self.lang).is_empty() {
            self.written.add(Field::ScenarioNarrative);
        }
        row(if self.is_emergency() { Label::TriedEmergency } else { Label::Tried }, tried);
        row(Label::HowReal, self.how_real());
        row(Label::When, self.zones.range(self.start.at, self.end()) + &self.declared());
        row(Label::Environment, self.holding(Field::ExerciseEnvironment, code(&self.plan.environment)));
        row(Label::Locations, self.holding(Field::ScopeLocations, self.locations()));
        row(if self.is_emergency() { Label::Runbook } else { Label::Scenario }, code(&self.plan.name));
        row(
            Label::Operator,
            [&self.start.operator, &self.start.host]
                .into_iter()
                .filter(|part| !part.is_empty())
                .map(|part| code(part))
                .collect::<Vec<_>>()
                .join(" @ "),
        );
        row(Label::ToolVersion, self.holding(Field::ReportTool, format!("Lifeboat {}", text(&self.start.tool))));
        row(Label::RunId, self.holding(Field::ReportId, code(&self.state.run)));
        let digest = if self.start.plan_sha256.is_empty() { String::new() } else { code(&format!("sha256:{}", self.start.plan_sha256)) };
        row(Label::PlanDigest, self.holding(Field::PlanRef, digest));
        row(Label::PlanApproval, self.holding(Field::PlanApproval, self.approval().map(|said| self.sentence(said)).unwrap_or_default()));
        row(Label::Programme, String::new());
        table.finish()
    }

    /// Who approved the plan, as the guard said that asks for approvals and let the run begin.
    pub(super) fn approval(&self) -> Option<&str> {
        let guard = self.state.guards.iter().find(|decision| decision.guard == Guard::Approvals.name() && decision.outcome == Outcome::Allows);
        guard.map(|decision| decision.detail.as_str())
    }

    /// The verdict with a sign that needs no colour.
    fn verdict(&self) -> String {
        let Some(end) = &self.state.ended else { return format!("◐ **{}**", self.t(Label::NotEnded)) };
        let (sign, label) = match end.verdict {
            Verdict::Pass => ("●", Label::Pass),
            Verdict::Fail => ("▲", Label::Fail),
            Verdict::Inconclusive => ("◐", Label::Inconclusive),
            Verdict::Aborted => ("○", Label::Aborted),
        };
        let mut notes = vec![format!("{sign} **{}**", self.t(label))];
        if !failback_done(self.state) {
            notes.push(self.t(Label::FailbackUntested).to_owned());
        }
        if !self.standing.is_empty() {
            notes.push(self.stand(measure::count(&self.standing)));
        }
        notes.join(" · ")
    }

    fn why(&self) -> String {
        let reasons = self.reasons();
        if reasons.is_empty() && self.state.ended.as_ref().is_some_and(|end| end.verdict == Verdict::Pass) {
            let judged = if self.measures.criteria.is_empty() { Label::AllRestored } else { Label::AllMet };
            let judged = if is_unwatched(self.plan) { self.sentence(UNWATCHED) } else { self.t(judged).to_owned() };
            let lasting = self.standing.iter().filter(|one| matches!(one.why, Stands::CannotBeUndone)).count();
            let back = match self.standing.len() {
                0 => self.t(Label::AllBack).to_owned(),
                all if all == lasting => self.t(Label::AllBackButLasting).to_owned(),
                _ => self.stand(measure::count(&self.standing)),
            };
            return [&judged, self.t(Label::StepsDone), &back].join(self.comma_list());
        }
        reasons.join("<br>")
    }

    fn how_real(&self) -> String {
        let exercise = self.plan.exercise();
        if exercise.is_some() {
            self.written.add(Field::ExerciseType);
        }
        let mut how = match exercise {
            Some(Exercise::Simulated) if self.plan.is_in_lab() => self.t(Label::Simulated).to_owned(),
            Some(Exercise::Simulated) if self.plan.is_simulated() => {
                let hosts: Vec<String> = self.plan.realism.hosts.iter().map(|host| code(host)).collect();
                format!("{}{}{}", self.t(Label::SimulatedHosts), self.colon(), hosts.join(self.comma_list()))
            }
            Some(exercise) => {
                format!("{}{}{}{}", self.t(Label::RealDrill), self.colon(), code(exercise.word()), self.bracketed(self.t(Label::AsDeclared)))
            }
            None if self.is_emergency() => self.t(Label::NoExercise).to_owned(),
            None => format!("{}{}{}", self.t(Label::RealDrill), self.colon(), self.t(Label::NotRecorded)),
        };
        if self.is_emergency() && self.plan.is_simulated() {
            how = format!("{how}{}{}", self.semicolon(), self.t(Label::RunbookAlone));
        }
        if let Some(declared) = self.plan.realism.declared.filter(|declared| exercise != Some(*declared) && exercise.is_some()) {
            how = format!("{how}{}{}{}{}", self.semicolon(), self.t(Label::NotCounted), self.colon(), code(declared.word()));
        }
        how
    }

    /// Clouds, accounts, regions and the addresses that calls were sent to in the place of the vendor's own, as the run's environment had them.
    fn locations(&self) -> String {
        let world = Whereabouts::of(self.plan);
        let side = |(cloud, side): (&&str, &CloudWorld)| {
            let mut parts: Vec<String> = [&side.account, &side.region].into_iter().flatten().map(|part| code(part)).collect();
            let mut by_address: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (service, address) in side.endpoints.iter().flatten() {
                by_address.entry(address).or_default().push(service);
            }
            parts.extend(by_address.into_iter().map(|(address, services)| format!("{} → {}", services.join(self.comma_list()), code(address))));
            (!parts.is_empty()).then(|| format!("{cloud} {}", parts.join(" ")))
        };
        world.clouds.iter().filter_map(side).collect::<Vec<_>>().join(" · ")
    }

    /// What would have ended the run by itself.
    fn stop_conditions(&self, out: &mut String) {
        if self.plan.stop_conditions.is_empty() {
            return;
        }
        self.written.add(Field::PlanStopConditions);
        let one = |stop: &crate::model::plan::StopCondition| {
            let is = self.t(if stop.is == ProbeState::Bad { Label::StateBad } else { Label::StateGood });
            format!("{} {is} ≥ {}", self.probe_name(&stop.probe), stop.lasts)
        };
        let all: Vec<String> = self.plan.stop_conditions.iter().map(one).collect();
        let _ = writeln!(out, "{}{}{}\n", self.t(Label::StopConditions), self.colon(), all.join(" · "));
    }

    fn declared(&self) -> String {
        self.plan.since.map(|since| format!("<br>{} {since}", self.t(Label::Declared))).unwrap_or_default()
    }

    fn objectives(&self, out: &mut String) {
        if self.measures.criteria.is_empty() {
            let _ = writeln!(out, "{}\n", self.t(Label::NoObjectives));
            return;
        }
        for field in [Field::PlanObjectives, Field::PlanSuccessCriteria, Field::ResultCriteria] {
            self.written.add(field);
        }
        let _ = writeln!(out, "{}\n", self.t(Label::BoundsRule));
        let mut table = Table::new(&[
            (self.t(Label::Criterion), Align::Left),
            (self.t(Label::Mandatory), Align::Center),
            (self.t(Label::Target), Align::Right),
            (self.t(Label::Measured), Align::Right),
            (self.t(Label::SeenBy), Align::Left),
            (self.t(Label::Result), Align::Center),
        ]);
        for criterion in &self.measures.criteria {
            let result = match criterion.judgement {
                Judgement::Met => Label::Met,
                Judgement::NotMet => Label::NotMet,
                Judgement::Indeterminate => Label::Indeterminate,
                Judgement::NotTested => Label::NotTested,
            };
            let (target, measured) = self.criterion(criterion);
            let seen_by = match criterion.measure {
                Measure::Rto | Measure::RtoCached => self.seen_by(&criterion.subject),
                Measure::Rpo | Measure::Missing | Measure::Doubled => "–".to_owned(),
            };
            table.row(&[self.criterion_name(criterion), self.t(Label::Yes).to_owned(), target, measured, seen_by, self.t(result).to_owned()]);
        }
        out.push_str(&table.finish());
    }

    /// As which clients a probe saw what it saw, and from how many places; a dash for what is no client.
    pub(super) fn seen_by(&self, probe: &str) -> String {
        let models = self.probe_plan(probe).map(|probe| &probe.clients).into_iter().flatten();
        let words: Vec<&str> = models
            .map(|model| {
                self.t(match model {
                    ClientModel::ResolvesAnew => Label::ResolvesAnew,
                    ClientModel::KeepsNames => Label::KeepsNames,
                    ClientModel::KeepsConnections => Label::KeepsConnections,
                })
            })
            .collect();
        if words.is_empty() {
            return "–".to_owned();
        }
        format!("{}{}{VANTAGE_POINTS} {}", words.join(self.comma_list()), self.comma_list(), self.t(Label::VantagePoints))
    }

    /// How long clients may keep the answers of DNS that the failover made wrong, and where that is longer than they may be away.
    fn kept_answers(&self, out: &mut String) {
        let Some(kept) = self.measures.kept else { return };
        let Some(ttl) = kept.ttl else {
            let _ = writeln!(out, "{}\n", self.t(Label::AnswersUnread));
            return;
        };
        let seconds = ttl / 1_000_000_000;
        let late = self.plan.objectives.iter().filter_map(|(id, objective)| Some((id, objective.rto?))).filter(|(_, rto)| nanos(*rto) < ttl);
        let late: Vec<String> = late
            .map(|(id, rto)| {
                let stop = if self.lang == Lang::En { "." } else { "。" };
                format!(
                    " ▲ {} {}{}{}{stop}",
                    self.t(Label::AnswersLonger),
                    self.probe_name(id),
                    self.comma_list(),
                    numbers::target(rto.as_millis(), self.lang)
                )
            })
            .collect();
        let _ = writeln!(out, "{}{}{seconds} {}{}\n", self.t(Label::AnswersFor), self.colon(), self.t(Label::AnswersRule), late.concat());
    }

    fn criterion_name(&self, criterion: &Criterion) -> String {
        let subject = self.subject(&criterion.subject);
        match criterion.measure {
            Measure::Rto => format!("{}{}{subject}", self.t(Label::CriterionRto), self.colon()),
            Measure::RtoCached => format!("{}{}{subject}", self.t(Label::CriterionRtoCached), self.colon()),
            Measure::Rpo => format!("{}{}{subject}", self.t(Label::CriterionRpo), self.colon()),
            Measure::Missing => format!("{subject}{}{}", self.colon(), self.t(Label::CriterionMissing)),
            Measure::Doubled => format!("{subject}{}{}", self.colon(), self.t(Label::CriterionDoubled)),
        }
    }

    /// Target, and measured value with its bounds.
    fn criterion(&self, criterion: &Criterion) -> (String, String) {
        if let Some(count) = criterion.count {
            return (criterion.target.to_string(), count.to_string());
        }
        let target = format!("≤ {}", numbers::target(criterion.target, self.lang));
        let Some(measured) = criterion.measured else { return (target, "–".to_owned()) };
        if criterion.measure == Measure::Rto {
            self.written.add(Field::MetricRto);
        }
        let value = match (criterion.measure, measured) {
            // Users with caches see it at some time until then.
            (Measure::RtoCached, Measured::Known(length)) => numbers::upper(length.hi, self.lang),
            (Measure::Rto, Measured::Known(length)) if criterion.no_impact => {
                format!("{}{}", self.t(Label::NoImpact), self.bracketed(&numbers::upper(length.hi, self.lang)))
            }
            _ => numbers::measured(measured, self.lang),
        };
        let mut lines = vec![value];
        if criterion.measure == Measure::Rto {
            lines.extend(self.beside_rta(&criterion.subject));
        }
        (target, lines.join("<br>"))
    }

    /// What stands beside a recovery time: the bound for users with caches, and for what is no service the time from the fault.
    fn beside_rta(&self, probe: &str) -> Vec<String> {
        let plan = self.probe_plan(probe);
        let cached = match self.measures.rta_with_caches(probe) {
            Some(Measured::Known(length)) if plan.is_some_and(|plan| !plan.clients.is_empty()) => {
                Some((Label::WithCaches, numbers::upper(length.hi, self.lang)))
            }
            _ => None,
        };
        let from_fault = self.measures.since_fault(probe).filter(|_| plan.is_some_and(|plan| !plan.service));
        let from_fault = from_fault.map(|measured| (Label::FromFault, numbers::measured(measured, self.lang)));
        cached.into_iter().chain(from_fault).map(|(label, value)| format!("{}{}{value}", self.t(label), self.colon())).collect()
    }

    /// What no objective asks for and everybody wants to know.
    fn also_measured(&self, out: &mut String) {
        let instants = &self.measures.instants;
        let mut lines = Vec::new();
        if !self.is_emergency() {
            lines.push((Label::DetectionTime, instants.detected.zip(instants.impact)));
            lines.push((Label::DecisionTime, instants.decided.zip(instants.detected)));
        }
        lines.push((Label::RtaDeclared, instants.restored.zip(instants.decided)));
        let traffic = self.measures.traffic;
        let [moved, drained] = if self.counts_users() { [Label::TrafficMoved, Label::TrafficDrained] } else { [Label::OwnMoved, Label::OwnDrained] };
        lines.push((moved, instants.moved.zip(instants.shifted)));
        lines.push((drained, traffic.and_then(|traffic| traffic.drained).zip(instants.shifted)));
        lines.push((Label::SustainedRun, instants.failback.zip(instants.restored)));
        let lines: Vec<String> = lines
            .into_iter()
            .filter_map(|(label, ends)| {
                let (to, from) = ends?;
                let held = match label {
                    Label::DetectionTime => Some(Field::MetricDetection),
                    Label::DecisionTime => Some(Field::MetricDecision),
                    Label::RtaDeclared => Some(Field::MetricRtoDeclared),
                    Label::SustainedRun => Some(Field::MetricSustained),
                    _ => None,
                };
                held.into_iter().for_each(|field| self.written.add(field));
                Some(format!("{}{}{}", self.t(label), self.colon(), numbers::interval(to.since(from), self.lang)))
            })
            .collect();
        if !lines.is_empty() {
            let _ = writeln!(out, "{}{}{}\n", self.t(Label::AlsoMeasured), self.colon(), lines.join(" · "));
        }
    }
}

fn nanos(span: Span) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX).saturating_mul(MILLISECOND)
}
