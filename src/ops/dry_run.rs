//! What a plan would do, told by the same code that would do it: every step with its targets and calls, nothing changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use crate::engine::foreseen::Foreseen;
use crate::engine::lease::Mark;
use crate::engine::secrets;
use crate::model::event::step::Target;
use crate::model::expression;
use crate::model::forecast::{Forecast, short};
use crate::model::plan::{Plan, RunbookPlan, StepPlan, Ungraceful};
use crate::ports::calls::{self, Call, CallSink};
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
    /// Why targets and calls are not known, when they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What kind of reason that is.
    #[serde(skip)]
    pub why: Option<Unknown>,
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

/// One dry run on its way.
struct Asking<'a> {
    plan: &'a Plan,
    world: &'a World,
    /// What the steps so far will have changed.
    foreseen: Foreseen,
    /// How long one step may be looked at; `None` = as long as it takes.
    patience: Option<Duration>,
    /// Clouds that did not answer in time: they are not asked again.
    silent: BTreeSet<Cloud>,
    views: Vec<StepView>,
}

/// Asks every action of the plan what it would do, each against what those before it leave. `patience` bounds what one step may take.
pub async fn dry_run(plan: &Plan, world: &World, patience: Option<Duration>) -> DryRun {
    let foreseen = if patience.is_some() { Foreseen::hasty() } else { Foreseen::dry() };
    let mut asking = Asking { plan, world, foreseen, patience, silent: BTreeSet::new(), views: Vec::new() };
    if let Some(fault) = &plan.fault {
        asking.step(StepView::empty("fault".into(), 0, &fault.uses), &fault.with, &plan.scope).await;
        // What the fault breaks, its healing mends before anything of the way back is planned; what the failover finds broken no plan can look at.
    }
    for (book, runbook) in [("failover", Some(&plan.failover)), ("failback", plan.failback.as_ref())] {
        let Some(runbook) = runbook else { continue };
        let scope = scope_of(plan, runbook);
        let base = asking.views.iter().map(|step: &StepView| step.wave + 1).max().unwrap_or(0);
        for (step, wave) in waves(&runbook.steps) {
            asking.runbook_step(book, step, base + wave, &scope).await;
        }
    }
    let views = asking.views;
    let changed: BTreeSet<(&str, &str)> = views
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
    let calls = views.iter().flat_map(|step| step.calls.iter().chain(&step.undo).chain(&step.mark_calls));
    let mutating_calls = calls.filter(|call| call.mutating).count();
    DryRun {
        name: plan.name.clone(),
        environment: plan.environment.clone(),
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
            unknown: None,
            why: None,
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

/// Hears of the calls that are made while it is asked.
#[derive(Default)]
struct Heard(Mutex<BTreeSet<String>>);

impl CallSink for Heard {
    fn record(&self, call: Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(call.operation);
    }
}

impl Heard {
    fn operations(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Asking<'_> {
    async fn runbook_step(&mut self, book: &str, step: &StepPlan, wave: usize, scope: &Value) {
        let mut with = step.with.clone();
        match (&step.ungraceful, self.plan.ungraceful, &mut with) {
            (Some(Ungraceful::Skip), true, _) => return,
            (Some(Ungraceful::With(other)), true, Value::Object(with)) => with.extend(other.clone()),
            _ => {}
        }
        let view = |key: String| StepView {
            needs: step.needs.clone(),
            when: step.when.clone(),
            fresh: step.fresh,
            ..StepView::empty(key, wave, &step.uses)
        };
        let key = format!("{book}/{}", step.id);
        let Some(each) = &step.for_each else { return self.step(view(key), &with, scope).await };
        match expression::resolve(&each.items, scope) {
            Ok(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    let mut scope = scope.clone();
                    if let Value::Object(scope) = &mut scope {
                        scope.insert("item".into(), item);
                    }
                    self.step(view(format!("{key}[{index}]")), &with, &scope).await;
                }
            }
            _ => {
                let mut view = view(key);
                view.unknown("runs once for each item of what earlier steps give", Unknown::Later);
                self.views.push(view);
            }
        }
    }

    async fn step(&mut self, mut view: StepView, with: &Value, scope: &Value) {
        let cloud = preflight::cloud_of(&view.uses, with);
        if cloud.is_some_and(|cloud| self.silent.contains(&cloud)) {
            let error = CloudError::new(cloud.unwrap_or(Cloud::Aws), "plan", ports::Kind::Timeout, "did not answer before");
            view.unknown(error.to_string(), Unknown::Silent(error));
            self.views.push(view);
            return;
        }
        let heard = Arc::new(Heard::default());
        let asked = calls::observed(heard.clone(), self.ask(&mut view, with, scope));
        let in_time = match self.patience {
            Some(patience) => tokio::time::timeout(patience, asked).await.is_ok(),
            None => {
                asked.await;
                true
            }
        };
        if !in_time {
            let error = CloudError::new(cloud.unwrap_or(Cloud::Aws), "plan", ports::Kind::Timeout, "no answer in time");
            view.unknown(error.to_string(), Unknown::Silent(error));
        }
        if let Some(Unknown::Silent(_)) = view.why
            && self.patience.is_some()
        {
            self.silent.extend(cloud);
        }
        self.look_back(&mut view);
        let known: BTreeSet<&str> = view.calls.iter().chain(&view.undo).chain(&view.mark_calls).map(|call| call.operation.as_str()).collect();
        // Whatever it took to plan it, planning it in the run takes again.
        let more: Vec<PlannedCall> = heard
            .operations()
            .into_iter()
            .filter(|operation| !known.contains(operation.as_str()))
            .map(|operation| PlannedCall::read(operation, ""))
            .collect();
        view.calls.splice(0..0, more);
        self.views.push(view);
    }

    /// An action that does not ask what is foreseen reads what is there now. Where an earlier step changes the same things, it will have to do what
    /// that one did, the other way round.
    fn look_back(&self, view: &mut StepView) {
        let names = Target::names(&view.targets);
        let is_idle = !names.is_empty() && view.targets.iter().all(|target| target.change.is_empty());
        if self.foreseen.was_asked() || !is_idle || !view.may_change() {
            return;
        }
        let changes = |step: &&StepView| step.targets.iter().any(|target| !target.change.is_empty() && names.contains(&target.name()));
        let Some(earlier) = self.views.iter().rev().filter(|step| step.step != "fault").find(changes) else { return };
        let same = if earlier.uses == view.uses { &earlier.calls } else { &earlier.undo };
        let known: BTreeSet<String> = view.calls.iter().map(|call| call.operation.clone()).collect();
        let more: Vec<PlannedCall> = same
            .iter()
            .filter(|call| call.mutating || !known.contains(&call.operation))
            .map(|call| PlannedCall { subject: names.iter().cloned().collect::<Vec<_>>().join(", "), ..call.clone() })
            .collect();
        if more.is_empty() {
            return;
        }
        for target in &mut view.targets {
            if changes(&earlier) {
                target.change = format!("as {} leaves it → as it is now", earlier.step);
            }
        }
        if view.undo.is_empty() {
            view.undo.clone_from(&more);
        }
        view.calls.extend(more);
    }

    async fn ask(&self, view: &mut StepView, with: &Value, scope: &Value) {
        let (_, board) = Board::new();
        let notes = Mutex::new(Vec::new());
        let step = view.step.clone();
        let cx = Cx {
            world: self.world,
            run: "plan",
            step: &step,
            board: &board,
            desk: &Desk::simulated(),
            progress: &|_| {},
            warn: &|line| notes.lock().unwrap_or_else(PoisonError::into_inner).push(line),
            foreseen: &self.foreseen,
            accepted: &|| {},
        };
        let parsed = match expression::resolve(with, scope) {
            Err(_) => return view.unknown("depends on what earlier steps give", Unknown::Later),
            Ok(with) => parse(&view.uses, with),
        };
        match parsed {
            Err(why) => view.unknown(why, Unknown::Refused),
            Ok((action, with)) => match action.plan(&cx).await {
                Ok(planned) => {
                    if catalogue::action(&view.uses).is_some_and(|row| row.fault) {
                        mark(view, &*action, with, planned.before, self.world).await;
                    }
                    let is_changing = planned.calls.iter().any(|call| call.mutating);
                    view.undo = if planned.undo.is_empty() && is_changing { planned.calls.clone() } else { planned.undo };
                    view.targets = planned.targets;
                    view.calls = planned.calls;
                    view.not_undone = planned.not_undone;
                }
                Err(error) => {
                    let why = match &error {
                        ActionError::Cloud(error) if is_silence(error) => Unknown::Silent(error.clone()),
                        _ => Unknown::Refused,
                    };
                    view.unknown(error.to_string(), why);
                }
            },
        }
        view.notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
}

/// The action, and its parameters with the secrets still by reference.
fn parse(uses: &str, with: Value) -> Result<(Arc<dyn DynAction<World>>, Value), String> {
    let row = catalogue::action(uses).ok_or_else(|| "this Lifeboat does not know it".to_owned())?;
    let revealed = secrets::are_not_shown(row.shown, &with).and_then(|()| secrets::reveal(&with)).map_err(|failure| failure.to_string())?;
    let action = (row.parse)(&revealed).map_err(|error| error.to_string())?;
    Ok((action, with))
}

/// The calls that belong to no step: each probe that asks a cloud is asked once. Those that write are not; what they write is named by their parameters.
pub async fn beside(plan: &Plan, world: &World) -> Vec<PlannedCall> {
    let heard = Arc::new(Heard::default());
    let of_clouds = |uses: &&str| ["aws.", "aliyun.", "objects."].iter().any(|prefix| uses.starts_with(prefix));
    let mut calls: Vec<PlannedCall> = [Cloud::Aws, Cloud::Aliyun]
        .into_iter()
        .filter(|cloud| plan.scope.pointer(&format!("/env/{cloud}/account")).is_some())
        .map(|cloud| PlannedCall::read("sts:GetCallerIdentity", cloud.to_string()))
        .collect();
    for probe in plan.probes.iter().filter(|probe| of_clouds(&probe.uses.as_str())) {
        let Some(row) = catalogue::probe(&probe.uses) else { continue };
        let Ok(Ok(parsed)) = secrets::reveal(&probe.with).map(|with| (row.parse)(&with)) else { continue };
        // A probe that is slow now is told by its name alone.
        let _ = tokio::time::timeout(PROBE_PATIENCE, calls::observed(heard.clone(), parsed.sample(world))).await;
        calls.extend(heard.operations().into_iter().map(|operation| PlannedCall::read(operation, format!("probe {}", probe.id))));
    }
    calls
}

/// How long a probe is waited for, only to hear what it calls.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// Whether a call failed without the cloud having anything to say about what was asked.
fn is_silence(error: &CloudError) -> bool {
    matches!(error.kind, ports::Kind::Transport | ports::Kind::Timeout | ports::Kind::Unavailable | ports::Kind::Throttled)
        || preflight::has_no_credentials(error)
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
            let names = anchors.iter().map(|anchor| format!("{} {}", anchor.kind, anchor.id)).collect::<Vec<_>>().join(", ");
            let tags = marks::calls(world, &anchors).unwrap_or_default().into_iter();
            view.mark_calls =
                tags.map(|(operation, mutating)| PlannedCall { operation: operation.to_owned(), subject: names.clone(), mutating }).collect();
            marks::check(world, &anchors, &mark).await.map(|tags| format!("{tags} tags on {names}"))
        }
    };
    match said {
        Ok(said) => view.marks = Some(said),
        Err(error) => view.unknown(format!("it would not be injected: {error}"), Unknown::Refused),
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
        let refused: Vec<&StepView> = self.steps.iter().filter(|step| matches!(step.why, Some(Unknown::Refused))).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = refused.iter().map(|step| step.step.as_str()).collect();
        let mut exit = Exit::new(Kind::Environment, format!("{} cannot be done as things are; nothing was changed", names.join(", ")));
        exit.causes = refused.iter().map(|step| format!("{}: {}", step.step, step.unknown.as_deref().unwrap_or_default())).collect();
        Err(exit.hint("mend what it names, or the step; what only earlier steps make is known by an expression over `steps`"))
    }

    /// What every step acts on, for the plan of a run that is about to begin.
    #[must_use]
    pub fn frozen(&self) -> BTreeMap<String, BTreeSet<String>> {
        let known = self.steps.iter().filter(|step| step.unknown.is_none() && step.may_change());
        known.map(|step| (step.step.clone(), Target::names(&step.targets))).collect()
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
            if step.fresh {
                let _ = writeln!(out, "      targets fresh: whatever is there when it runs");
            }
            list(&mut out, "", &step.calls);
            if let Some(marks) = &step.marks {
                let _ = writeln!(out, "      marks   {marks}");
            }
            list(&mut out, "marks ", &step.mark_calls);
            list(&mut out, "undo ", &step.undo);
            for note in &step.notes {
                let _ = writeln!(out, "      note    {note}");
            }
            for what in &step.not_undone {
                let _ = writeln!(out, "      cannot be undone: {what}");
            }
            if let Some(why) = &step.unknown {
                let _ = writeln!(out, "      not known before the run: {why}");
            }
        }
        if !self.beside.is_empty() {
            let _ = writeln!(out, "\nBeside the steps");
            list(&mut out, "", &self.beside);
        }
        let radius: Vec<String> =
            self.blast_radius.iter().map(|(kind, count)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" })).collect();
        let radius = match (radius.is_empty(), self.untold.is_empty()) {
            (true, true) => "nothing".to_owned(),
            (true, false) => format!("not known, as {} could not be looked at", self.untold.join(", ")),
            (false, true) => radius.join(", "),
            (false, false) => format!("at least {}; {} could not be looked at", radius.join(", "), self.untold.join(", ")),
        };
        if !self.guards.is_empty() {
            let _ = write!(out, "\nGuards\n{}", guards::text(&self.guards));
        } else if self.is_unguarded {
            let _ = writeln!(out, "\nNo guards are written for {}: a drill on real clouds is refused without.", self.environment);
        }
        let _ = writeln!(
            out,
            "\nBlast radius: {radius}; {} changing calls, with marks and putting everything back. Nothing was changed.",
            self.mutating_calls
        );
        if let Some(forecast) = &self.forecast {
            let _ = writeln!(out, "Forecast: {forecast}.");
        }
        let _ = writeln!(out, "{}", self.budget);
        out
    }
}

/// Calls, one a line.
fn list(out: &mut String, what: &str, calls: &[PlannedCall]) {
    use std::fmt::Write as _;
    for call in calls {
        let kind = if call.mutating { "change" } else { "read  " };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "      {what}{kind}  {}", format!("{} {}", call.operation, call.subject).trim_end());
    }
}
