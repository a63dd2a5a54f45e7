//! What a plan would do, told by the same code that would do it: every step with its targets and calls, nothing changed.

mod asking;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use self::asking::Asking;
pub use self::asking::beside;
use super::budget::Budget;
use super::exit::{Exit, Kind};
use super::guards::GuardView;
use crate::catalogue;
use crate::engine::action::PlannedCall;
use crate::engine::foreseen::Foreseen;
use crate::model::forecast::Forecast;
use crate::model::ids::Part;
use crate::model::index::by_needs;
use crate::model::plan::{Plan, RunbookPlan, StepPlan};
use crate::model::state::FAULT;
use crate::model::target::{Target, TargetKind};
use crate::model::time::Span;
use crate::ports::{Cloud, CloudError};
use crate::world::World;

/// A step as it would run.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// `fault`, `failover/ID`, `failback/ID`.
    pub step: String,
    /// Steps with the same number may run at the same time; a greater number waits for a smaller.
    pub wave: usize,
    /// The action.
    pub uses: String,
    /// What it waits for.
    pub needs: Vec<String>,
    /// Only when this is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What it acts on.
    pub targets: Vec<Target>,
    /// Whether it acts on whatever is there when it runs, and not only on these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// The API calls it would make, in order: against what the steps before it leave.
    pub calls: Vec<PlannedCall>,
    /// The API calls that putting it back would make, in order.
    pub undo: Vec<PlannedCall>,
    /// What its marks take, from which `lifeboat reaper` can undo it; of a fault only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<String>,
    /// The API calls that put its marks, renew them and take them off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mark_calls: Vec<PlannedCall>,
    /// What must be known before it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What undo could not restore.
    pub not_undone: Vec<String>,
    /// For how many seconds clients may keep the answers of DNS that it changes: the longest TTL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Why targets and calls are not known, when they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What kind of reason that is.
    #[serde(skip)]
    pub why: Option<Unknown>,
    /// Whether its parameters hold secrets, so that its targets may spell one out.
    #[serde(skip)]
    has_secret: bool,
}

/// Why a step could not be planned.
#[derive(Debug)]
pub enum Unknown {
    /// It is known once the steps before it have run.
    Later,
    /// The cloud did not answer.
    Silent(CloudError),
    /// It was looked at and cannot be done: what it acts on is not there, or nobody may.
    Refused,
}

/// The whole dry run.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// The plan's name.
    pub name: String,
    /// Where.
    pub environment: String,
    /// The world of that environment: lab or accounts, and the addresses that calls go to; and what of this process's environment changes what is promised.
    pub whereabouts: Vec<String>,
    /// In order.
    pub steps: Vec<StepView>,
    /// What the run calls beside its steps: whose accounts these are, and what its probes read.
    pub beside: Vec<PlannedCall>,
    /// How many distinct things of each kind would be changed.
    pub blast_radius: BTreeMap<String, usize>,
    /// The steps that change something of which it is not known on what they act: the blast radius is at least what is said.
    pub untold: Vec<String>,
    /// How many calls would change something, marks and putting everything back included.
    pub mutating_calls: usize,
    /// What stands in the way of an objective already, in one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How each guard of the environment would decide.
    pub guards: Vec<GuardView>,
    /// Whether a drill is refused for want of any guards.
    #[serde(skip)]
    pub is_unguarded: bool,
    /// What earlier runs let expect; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// How long things may take.
    pub budget: Budget,
}

/// Asks every action of the plan what it would do, each against what those before it leave. `patience` bounds what one step may take.
pub async fn dry_run(plan: &Plan, world: &World, patience: Option<Duration>) -> DryRun {
    let foreseen = if patience.is_some() { Foreseen::hasty() } else { Foreseen::dry() };
    let mut asking = Asking { plan, world, foreseen, patience, silent: BTreeSet::new(), views: Vec::new(), changed_by: BTreeMap::new() };
    if let Some(fault) = &plan.fault {
        asking.step(StepView::empty(FAULT.into(), 0, &fault.uses), &fault.with, &Value::Object(plan.scope.seen().clone())).await;
    }
    for (part, runbook) in plan.runbooks() {
        let scope = scope_of(plan, runbook);
        let base = asking.views.iter().map(|step: &StepView| step.wave + 1).max().unwrap_or(0);
        for (step, wave) in waves(&runbook.steps) {
            asking.runbook_step(part, step, base + wave, &scope).await;
        }
    }
    let views = asking.views;
    let changed: BTreeSet<(TargetKind, String)> = views
        .iter()
        .filter(|step| step.calls.iter().any(|call| call.mutating))
        .flat_map(|step| &step.targets)
        .filter(|target| target.changes())
        .map(|target| (target.kind, target.key()))
        .collect();
    let mut blast_radius = BTreeMap::new();
    for (kind, _) in changed {
        *blast_radius.entry(kind.word().to_owned()).or_default() += 1;
    }
    let calls = views.iter().flat_map(|step| step.calls.iter().chain(&step.undo).chain(&step.mark_calls));
    let mutating_calls = calls.filter(|call| call.mutating).count();
    DryRun {
        warnings: long_ttls(plan, &views),
        name: plan.name.clone(),
        environment: plan.environment.clone(),
        whereabouts: plan.whereabouts().lines(),
        untold: views.iter().filter(|step| step.unknown.is_some() && step.may_change()).map(|step| step.step.clone()).collect(),
        steps: views,
        beside: Vec::new(),
        blast_radius,
        mutating_calls,
        guards: Vec::new(),
        is_unguarded: false,
        forecast: None,
        budget: Budget::of(plan),
    }
}

/// Where the answers of DNS may be kept for longer than a service may be away: who keeps them is led to the old side until then.
fn long_ttls(plan: &Plan, steps: &[StepView]) -> Vec<String> {
    let failover = steps.iter().filter(|step| Part::Failover.has(&step.step));
    let kept = failover.filter_map(|step| Some((&step.step, Span::from_secs(step.ttl_s?)))).max_by_key(|(_, ttl)| *ttl);
    let Some((step, ttl)) = kept else { return Vec::new() };
    let targets = plan.objectives.iter().flat_map(|(id, objective)| {
        [("RTO", objective.rto), ("rto_cached", objective.rto_cached)].into_iter().filter_map(move |(what, target)| Some((id, what, target?)))
    });
    let late = targets.filter(|(_, _, target)| ttl > *target);
    late.map(|(id, what, target)| {
        format!(
            "clients may keep the answers that {step} changes for {ttl} (TTL), longer than the {what} of {id}, {target}: lower the TTL beforehand"
        )
    })
    .collect()
}

impl StepView {
    fn empty(step: String, wave: usize, uses: &str) -> Self {
        Self {
            step,
            wave,
            uses: uses.to_owned(),
            needs: Vec::new(),
            when: None,
            targets: Vec::new(),
            fresh: false,
            calls: Vec::new(),
            undo: Vec::new(),
            marks: None,
            mark_calls: Vec::new(),
            notes: Vec::new(),
            not_undone: Vec::new(),
            ttl_s: None,
            unknown: None,
            why: None,
            has_secret: false,
        }
    }

    fn may_change(&self) -> bool {
        catalogue::action(&self.uses).is_none_or(|row| row.mutates)
    }

    fn unknown(&mut self, said: impl Into<String>, why: Unknown) {
        self.unknown = Some(said.into());
        self.why = Some(why);
    }
}

fn scope_of(plan: &Plan, runbook: &RunbookPlan) -> Value {
    let mut scope = plan.scope.seen().clone();
    scope.insert("parameters".into(), runbook.parameters.clone());
    Value::Object(scope)
}

/// Each step with how many steps in a row it waits for; in that order, equal ones in the order of the file.
fn waves(steps: &[StepPlan]) -> Vec<(&StepPlan, usize)> {
    let mut wave: BTreeMap<&str, usize> = BTreeMap::new();
    for step in by_needs(steps).into_iter().map(|place| &steps[place]) {
        let depth = step.needs.iter().map(|need| wave.get(need.as_str()).copied().unwrap_or(0) + 1).max().unwrap_or(0);
        wave.insert(&step.id, depth);
    }
    let mut ordered: Vec<(&StepPlan, usize)> = steps.iter().map(|step| (step, wave.get(step.id.as_str()).copied().unwrap_or(0))).collect();
    ordered.sort_by_key(|(_, wave)| *wave);
    ordered
}

impl DryRun {
    /// The exit code of a plan: it says what would happen only where the clouds answered, and only where it can happen.
    ///
    /// # Errors
    /// [`Kind::Environment`] with the clouds that did not answer, or with the steps that cannot be done.
    pub fn answered(&self) -> Result<u8, Exit> {
        let silent: BTreeMap<Cloud, &CloudError> = self
            .steps
            .iter()
            .filter_map(|step| match &step.why {
                Some(Unknown::Silent(error)) => Some((error.cloud, error)),
                _ => None,
            })
            .collect();
        if !silent.is_empty() {
            let clouds: Vec<String> = silent.keys().map(ToString::to_string).collect();
            let mut exit = Exit::new(Kind::Environment, format!("{} did not answer: the plan is not whole", clouds.join(" and ")));
            exit.causes = silent.values().map(ToString::to_string).collect();
            return Err(exit.hint(format!("check credentials, `endpoint` and network of environment {}", self.environment)));
        }
        self.possible().map(|()| 0)
    }

    /// Whether every step that was looked at can be done, as far as that is known now.
    ///
    /// # Errors
    /// [`Kind::Environment`] with those that cannot.
    pub fn possible(&self) -> Result<(), Exit> {
        self.none_refused(|_| true)
    }

    /// Whether what has to mend the fault can be done: else it is not injected. A fault that cannot be harms nobody, and its run says so.
    ///
    /// # Errors
    /// [`Kind::Environment`] with the steps that cannot.
    pub fn recoverable(&self) -> Result<(), Exit> {
        self.none_refused(|step| step.step != FAULT)
    }

    fn none_refused(&self, which: impl Fn(&StepView) -> bool) -> Result<(), Exit> {
        let refused: Vec<&StepView> = self.steps.iter().filter(|step| which(step) && matches!(step.why, Some(Unknown::Refused))).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = refused.iter().map(|step| step.step.as_str()).collect();
        let mut exit = Exit::new(Kind::Environment, format!("{} cannot be done as things are; nothing was changed", names.join(", ")));
        exit.causes = refused.iter().map(|step| format!("{}: {}", step.step, step.unknown.as_deref().unwrap_or_default())).collect();
        Err(exit.hint("mend what it names, or the step; what only earlier steps make is known by an expression over `steps`"))
    }

    /// What every step acts on, for the plan of a run that is about to begin. Steps with secrets are left out: a plan is kept for ever, and
    /// holds secrets by reference only.
    #[must_use]
    pub fn frozen(&self) -> BTreeMap<String, BTreeSet<String>> {
        let known = self.steps.iter().filter(|step| step.unknown.is_none() && step.may_change() && !step.has_secret && !step.targets.is_empty());
        known.map(|step| (step.step.clone(), Target::keys(&step.targets))).collect()
    }
}
