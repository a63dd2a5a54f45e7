//! What a plan would do, told by the same code that would do it: every step with its targets and calls, nothing changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::budget::Budget;
use super::exit::{Exit, Kind};
use super::guards::{self, GuardView};
use super::{marks, preflight, runs};
use crate::catalogue;
use crate::engine::action::{ActionError, Cx, DynAction, PlannedCall};
use crate::engine::board::Board;
use crate::engine::clock::RunClock;
use crate::engine::desk::Desk;
use crate::engine::lease::Mark;
use crate::engine::secrets;
use crate::model::event::step::Target;
use crate::model::expression;
use crate::model::forecast::{Forecast, short};
use crate::model::measure::longest_ttl;
use crate::model::plan::{Plan, RunbookPlan, StepPlan};
use crate::model::time::Span;
use crate::ports::{self, Cloud, CloudError};
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
    /// The API calls it would make, in order.
    pub calls: Vec<PlannedCall>,
    /// What its marks take, from which `lifeboat reaper` can undo it; of a fault only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<String>,
    /// What undo could not restore.
    pub not_undone: Vec<String>,
    /// For how many seconds clients may keep the answers of DNS that it changes: the longest TTL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Why targets and calls are not known, when they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// The cloud that did not answer, with its error.
    #[serde(skip)]
    pub silent: Option<CloudError>,
}

/// The whole dry run.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// The plan's name.
    pub name: String,
    /// Where.
    pub environment: String,
    /// In order.
    pub steps: Vec<StepView>,
    /// How many distinct things of each kind would be changed.
    pub blast_radius: BTreeMap<String, usize>,
    /// How many calls would change something.
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

/// Asks every action of the plan what it would do in the environment as it is now.
pub async fn dry_run(plan: &Plan, world: &World) -> DryRun {
    let mut steps = Vec::new();
    if let Some(fault) = &plan.fault {
        let mut view = StepView::empty("fault".into(), 0, &fault.uses);
        ask(&mut view, &fault.with, &plan.scope, world).await;
        steps.push(view);
    }
    for (book, runbook) in [("failover", Some(&plan.failover)), ("failback", plan.failback.as_ref())] {
        let Some(runbook) = runbook else { continue };
        let scope = scope_of(plan, runbook);
        let base = steps.iter().map(|step: &StepView| step.wave + 1).max().unwrap_or(0);
        for (step, wave) in waves(&runbook.steps) {
            let mut view = StepView::empty(format!("{book}/{}", step.id), base + wave, &step.uses);
            view.needs.clone_from(&step.needs);
            view.when.clone_from(&step.when);
            if step.for_each.is_some() {
                view.unknown = Some("runs once for each item".into());
            } else {
                ask(&mut view, &step.with, &scope, world).await;
            }
            steps.push(view);
        }
    }
    let changed: BTreeSet<(&str, &str)> = steps
        .iter()
        .filter(|step| step.calls.iter().any(|call| call.mutating))
        .flat_map(|step| &step.targets)
        .filter(|target| !target.change.is_empty())
        .map(|target| (target.kind.as_str(), target.id.as_str()))
        .collect();
    let mut blast_radius = BTreeMap::new();
    for (kind, _) in changed {
        *blast_radius.entry(kind.to_owned()).or_default() += 1;
    }
    let mutating_calls = steps.iter().flat_map(|step| &step.calls).filter(|call| call.mutating).count();
    let warnings = long_ttls(plan, &steps);
    DryRun {
        warnings,
        name: plan.name.clone(),
        environment: plan.environment.clone(),
        steps,
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
    let failover = steps.iter().filter(|step| step.step.starts_with("failover/"));
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
            calls: Vec::new(),
            marks: None,
            not_undone: Vec::new(),
            ttl_s: None,
            unknown: None,
            silent: None,
        }
    }
}

async fn ask(view: &mut StepView, with: &Value, scope: &Value, world: &World) {
    let (_, board) = Board::new();
    let cx = Cx { world, run: "plan", step: &view.step, board: &board, desk: &Desk::simulated(), progress: &|_| {}, accepted: &|| {} };
    let parsed = expression::resolve(with, scope).map_err(|_| "depends on what earlier steps give".to_owned()).and_then(|with| {
        let row = catalogue::action(&view.uses).ok_or_else(|| "this Lifeboat does not know it".to_owned())?;
        let revealed = secrets::are_not_shown(row.shown, &with).and_then(|()| secrets::reveal(&with)).map_err(|failure| failure.to_string())?;
        let action = (row.parse)(&revealed).map_err(|error| error.to_string())?;
        Ok((action, with))
    });
    match parsed {
        Err(why) => view.unknown = Some(why),
        Ok((action, with)) => match action.plan(&cx).await {
            Ok(planned) => {
                view.ttl_s = longest_ttl(&view.uses, &planned.before);
                if catalogue::action(&view.uses).is_some_and(|row| row.fault) {
                    mark(view, &*action, with, planned.before, world).await;
                }
                view.targets = planned.targets;
                view.calls = planned.calls;
                view.not_undone = planned.not_undone;
            }
            Err(error) => {
                view.unknown = Some(error.to_string());
                view.silent = match error {
                    ActionError::Cloud(error) if is_silence(&error) => Some(error),
                    _ => None,
                };
            }
        },
    }
}

/// Whether a call failed without the cloud having anything to say about what was asked.
fn is_silence(error: &CloudError) -> bool {
    matches!(error.kind, ports::Kind::Transport | ports::Kind::Timeout | ports::Kind::Unavailable) || preflight::has_no_credentials(error)
}

/// Says what the marks of a fault take, or why they cannot be put: then the fault would not be injected.
async fn mark(view: &mut StepView, action: &dyn DynAction<World>, with: Value, before: Value, world: &World) {
    let now = RunClock::start().now();
    // As long as a run's name can be.
    let run = runs::fresh_id(now, &"x".repeat(64));
    let said = match action.anchors(&before) {
        Err(error) => Err(error),
        Ok(anchors) if anchors.is_empty() => return,
        Ok(anchors) => {
            let mark = Mark { run, step: view.step.clone(), until: now, uses: view.uses.clone(), with, before };
            let names: Vec<String> = anchors.iter().map(|anchor| format!("{} {}", anchor.kind, anchor.id)).collect();
            marks::check(world, &anchors, &mark).await.map(|tags| format!("{tags} tags on {}", names.join(", ")))
        }
    };
    match said {
        Ok(said) => view.marks = Some(said),
        Err(error) => view.unknown = Some(format!("it would not be injected: {error}")),
    }
}

fn scope_of(plan: &Plan, runbook: &RunbookPlan) -> Value {
    let mut scope = plan.scope.clone();
    if let Value::Object(map) = &mut scope {
        map.insert("parameters".into(), runbook.parameters.clone());
    }
    scope
}

/// Each step with how many steps in a row it waits for; in that order, equal ones in the order of the file.
fn waves(steps: &[StepPlan]) -> Vec<(&StepPlan, usize)> {
    let mut wave: BTreeMap<&str, usize> = BTreeMap::new();
    // A checked plan has no cycle, so each pass settles at least one more step.
    for _ in steps {
        for step in steps {
            let depth = step.needs.iter().map(|need| wave.get(need.as_str()).copied().unwrap_or(0) + 1).max().unwrap_or(0);
            wave.insert(&step.id, depth);
        }
    }
    let mut ordered: Vec<(&StepPlan, usize)> = steps.iter().map(|step| (step, wave.get(step.id.as_str()).copied().unwrap_or(0))).collect();
    ordered.sort_by_key(|(_, wave)| *wave);
    ordered
}

impl DryRun {
    /// The exit code of a plan: it says what would happen only where the clouds answered.
    ///
    /// # Errors
    /// [`Kind::Environment`] with the clouds that did not.
    pub fn answered(&self) -> Result<u8, Exit> {
        let silent: BTreeMap<Cloud, &CloudError> =
            self.steps.iter().filter_map(|step| Some((step.silent.as_ref()?.cloud, step.silent.as_ref()?))).collect();
        if silent.is_empty() {
            return Ok(0);
        }
        let clouds: Vec<String> = silent.keys().map(ToString::to_string).collect();
        let mut exit = Exit::new(Kind::Environment, format!("{} did not answer: the plan is not whole", clouds.join(" and ")));
        exit.causes = silent.values().map(ToString::to_string).collect();
        Err(exit.hint(format!("check credentials, `endpoint` and network of environment {}", self.environment)))
    }

    /// As text for people, in 80 columns where ids allow.
    #[must_use]
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{} in {}", self.name, self.environment);
        let mut wave = None;
        for step in &self.steps {
            if wave != Some(step.wave) {
                wave = Some(step.wave);
                let together = self.steps.iter().filter(|other| other.wave == step.wave).count();
                let how = if together > 1 { format!(", {together} steps in parallel") } else { String::new() };
                let _ = writeln!(out, "\n{}{how}", step.wave + 1);
            }
            let _ = writeln!(out, "  {}  {}", step.step, step.uses);
            if !step.needs.is_empty() {
                let _ = writeln!(out, "      after   {}", step.needs.join(", "));
            }
            if let Some(typical) = self.forecast.as_ref().and_then(|forecast| forecast.steps.get(&step.step)) {
                let _ = writeln!(out, "      takes   {}, p90 {} of {}", short(typical.median), short(typical.p90), typical.count);
            }
            if let Some(when) = &step.when {
                let _ = writeln!(out, "      when    {when}");
            }
            for target in &step.targets {
                let change = if target.change.is_empty() { "as it is" } else { &target.change };
                let _ = writeln!(out, "      target  {} {}: {change}", target.kind, target.id);
            }
            for call in &step.calls {
                let kind = if call.mutating { "change" } else { "read  " };
                let _ = writeln!(out, "      {kind}  {}", format!("{} {}", call.operation, call.subject).trim_end());
            }
            if let Some(seconds) = step.ttl_s {
                let _ = writeln!(out, "      kept    by clients for up to {} (TTL)", Span::from_secs(seconds));
            }
            if let Some(marks) = &step.marks {
                let _ = writeln!(out, "      marks   {marks}");
            }
            for what in &step.not_undone {
                let _ = writeln!(out, "      cannot be undone: {what}");
            }
            if let Some(why) = &step.unknown {
                let _ = writeln!(out, "      not known before the run: {why}");
            }
        }
        let radius: Vec<String> =
            self.blast_radius.iter().map(|(kind, count)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" })).collect();
        let radius = if radius.is_empty() { "nothing".to_owned() } else { radius.join(", ") };
        if !self.guards.is_empty() {
            let _ = write!(out, "\nGuards\n{}", guards::text(&self.guards));
        } else if self.is_unguarded {
            let _ = writeln!(out, "\nNo guards are written for {}: a drill on real clouds is refused without.", self.environment);
        }
        let _ = writeln!(out, "\nBlast radius: {radius}; {} changing calls. Nothing was changed.", self.mutating_calls);
        for warning in &self.warnings {
            let _ = writeln!(out, "Warning: {warning}.");
        }
        if let Some(forecast) = &self.forecast {
            let _ = writeln!(out, "Forecast: {forecast}.");
        }
        let _ = writeln!(out, "{}", self.budget);
        out
    }
}
