//! Scenarios: the fault, what must notice it, the runbooks, and what recovery means.

use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::value::Scope;
use super::{Resolver, Site};
use crate::model::decode::decode;
use crate::model::diagnostic::Diagnostic;
use crate::model::plan::{Detect, FaultPlan, Objective, Plan, ProbePlan, Recovered, RunbookPlan, Source, SteadyState, StopCondition};
use crate::model::scenario::{FaultFile, RunbookRef, ScenarioFile};
use crate::model::time::Span;
use crate::model::yaml::{Node, way};
use crate::ops::words::Place;

/// How long a fault may stand when nobody says it.
const LIMIT: Span = Span::from_secs(1800);

impl<W: Send + Sync> Resolver<'_, W> {
    /// The plan of a scenario.
    pub(in crate::ops) fn scenario(mut self, path: &Path) -> Result<Plan, Vec<Diagnostic>> {
        let file = self.load_first(path)?;
        if file.doc.root.get(&way!["kind"]).map(Node::to_json) == Some("runbook".into()) {
            let problem = file.doc.problem(&way!["kind"], "this file is a runbook, not a scenario");
            return Err(vec![problem.hint("`lifeboat execute FILE --env NAME` runs a runbook; a scenario names it under `failover`")]);
        }
        let written: ScenarioFile = decode(&file.doc)?;
        let root = Site::new(&file, &[]);
        self.stack.push(Rc::clone(&file));
        self.collect_probes(&written.probes, &root.under(&way!["probes"]), &Map::new(), &Default::default());
        self.own_probes.extend(written.probes.keys().cloned());
        self.mention_everything(&written, &root);

        let fault = self.fault(&written.fault, &root.under(&way!["fault"]));
        let failover = self.book(&written.failover, &root.under(&way!["failover"]));
        let failback = written.failback.as_ref().map(|reference| self.book(reference, &root.under(&way!["failback"])));
        let probes = self.probe_plans();
        for (id, objective) in &written.objectives {
            let is_client = |probe: &ProbePlan| probe.id != *id || !probe.clients.is_empty();
            if objective.rto_cached.is_some() && !probes.iter().all(is_client) {
                let at = root.under(&way!["objectives", id, "rto_cached"]);
                let problem = at.problem(format!("`{id}` is no client of a service: it says nothing about users who keep names"));
                self.say(problem.hint("name a probe such as `http`, `tcp` or `grpc.health`, or say `rto`"));
            }
        }
        if !self.problems.is_empty() {
            return Err(self.told());
        }
        let back =
            written.failback.as_ref().and_then(|reference| self.runbook_elsewhere(&reference.runbook, &root.under(&way!["failback", "runbook"])));

        let mut plan = self.empty_plan(path);
        plan.title = written.title.0;
        plan.description = written.description.0;
        plan.objectives = written.objectives;
        plan.controls = written.controls;
        plan.probes = probes;
        plan.steady_state = written.steady_state.map(|state| SteadyState { probes: state.probes, hold: state.hold, timeout: state.timeout });
        plan.fault = fault;
        plan.detect = written.detect.map(|detect| Detect { probe: detect.probe, timeout: detect.timeout });
        plan.failover = failover;
        plan.recovered =
            written.recovered.map(|recovered| Recovered { probes: recovered.probes, stable_for: recovered.stable_for, timeout: recovered.timeout });
        plan.leave = self.request.no_failback;
        plan.source = written.source.map(|source| Source { probes: source.probes, timeout: source.timeout });
        plan.back = back;
        plan.traffic = written.traffic;
        plan.failback = failback.filter(|_| !self.request.no_failback);
        plan.stop_conditions =
            written.stop_conditions.into_iter().map(|stop| StopCondition { probe: stop.probe, is: stop.is, lasts: stop.lasts }).collect();
        Ok(plan)
    }

    fn mention_everything(&mut self, written: &ScenarioFile, root: &Site) {
        for (id, objective) in &written.objectives {
            let at = root.under(&way!["objectives", id]);
            if *objective == Objective::default() {
                self.say(
                    at.key_problem(format!("the objective of `{id}` is empty")).hint("say `rto`, `rto_cached`, `rpo`, `slo` or several of them"),
                );
            }
            if let Some((cached, rto)) = objective.rto_cached.zip(objective.rto).filter(|(cached, rto)| cached < rto) {
                self.say(
                    at.under(&way!["rto_cached"])
                        .problem(format!("`rto_cached` ({cached}) is shorter than `rto` ({rto})"))
                        .hint("users who keep the answers of DNS are served again later than a probe that keeps none: allow the TTL more"),
                );
            }
            self.mention_key(id, at);
        }
        if let Some(state) = &written.steady_state {
            let at = root.under(&way!["steady_state"]);
            self.mention_all(&state.probes, &at.under(&way!["probes"]));
            self.check_longer(state.timeout, state.hold, "hold", &at);
        }
        if let Some(detect) = &written.detect {
            self.mention(&detect.probe, root.under(&way!["detect", "probe"]));
        }
        if let Some(recovered) = &written.recovered {
            let at = root.under(&way!["recovered"]);
            self.mention_all(&recovered.probes, &at.under(&way!["probes"]));
            self.check_longer(recovered.timeout, recovered.stable_for, "stable_for", &at);
        }
        if let Some(source) = &written.source {
            self.mention_all(&source.probes, &root.under(&way!["source", "probes"]));
        }
        if let Some(traffic) = &written.traffic {
            self.mention(traffic, root.under(&way!["traffic"]));
        }
        for (index, stop) in written.stop_conditions.iter().enumerate() {
            self.mention(&stop.probe, root.under(&way!["stop_conditions", index, "probe"]));
        }
    }

    /// A wait cannot end well when it is given up before what it waits for can have happened.
    fn check_longer(&mut self, timeout: Span, wanted: Span, key: &str, at: &Site) {
        if timeout < wanted {
            self.say(
                at.under(&way![key])
                    .problem(format!("`{key}` ({wanted}) is longer than `timeout` ({timeout})"))
                    .hint("give `timeout` more than that"),
            );
        }
    }

    fn fault(&mut self, fault: &FaultFile, at: &Site) -> Option<FaultPlan> {
        if fault.lease == Span::default() {
            self.say(at.under(&way!["lease"]).problem("a lease of 0s is no lease").hint("write how long the fault may stand at most, like 2m"));
        }
        let row = match self.words.action(&fault.uses, Place::Fault) {
            Ok(row) => row,
            Err((message, hint)) => {
                self.say(at.under(&way!["uses"]).problem(message).maybe_hint(hint));
                return None;
            }
        };
        if let Some((longest, why)) = row.longest {
            for (key, span) in [("lease", Some(fault.lease)), ("limit", fault.limit)] {
                if let Some(span) = span.filter(|span| *span > longest) {
                    let hint = format!("give at most {longest}: {why}");
                    self.say(at.under(&way![key]).problem(format!("`{key}` ({span}) is longer than `{}` may be held", row.kind)).hint(hint));
                }
            }
        }
        let with = self.evaluate(&at.under(&way!["with"]), &Scope::default());
        match (row.parse)(&with.check) {
            _ if with.is_refused || self.is_misplaced(row.secrets, &with.plan, at, row.kind) => {}
            Ok(_) => self.mention_parameters(&with, at),
            Err(error) => self.say_parameter(&error, &with, &Value::from((row.schema)()), at, row.kind),
        }
        let with = if with.plan.is_null() { Value::Object(Map::new()) } else { with.plan };
        // What the scenario leaves open the environment may narrow; what it asks for is asked of the guards.
        let longest = self.project.guards(self.request.environment).and_then(|guards| guards.file.max_fault);
        let limit = fault.limit.unwrap_or_else(|| longest.map_or(LIMIT, |longest| longest.min(LIMIT)));
        Some(FaultPlan { uses: fault.uses.clone(), with, lease: fault.lease, limit, timeout: fault.timeout })
    }

    fn book(&mut self, reference: &RunbookRef, at: &Site) -> RunbookPlan {
        match self.referred_book(&reference.runbook, at, &Scope::default()) {
            Some(book) => {
                self.own_probes.extend(book.probe_ids());
                self.plan_of(book, &reference.runbook)
            }
            None => RunbookPlan::default(),
        }
    }
}
