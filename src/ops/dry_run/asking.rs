//! Asking the actions and probes of a plan what they would do, and hearing what they call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::{StepView, Unknown};
use crate::catalogue;
use crate::engine::action::{ActionError, Cx, DynAction, PlannedCall};
use crate::engine::board::Board;
use crate::engine::clock::RunClock;
use crate::engine::desk::Desk;
use crate::engine::foreseen::Foreseen;
use crate::engine::lease::Mark;
use crate::engine::parameters::{self, Purpose, Ready, Stated, Unready};
use crate::model::credentials::has_reference;
use crate::model::expression;
use crate::model::ids::{FAULT, Part, item_key};
use crate::model::measure::longest_ttl;
use crate::model::plan::{Plan, StepPlan, Ungraceful};
use crate::model::target::{Change, Target};
use crate::ops::{marks, preflight, runs};
use crate::ports::calls::{self, Call, CallSink};
use crate::ports::{self, Cloud, CloudError};
use crate::world::World;

/// One dry run on its way.
pub(super) struct Asking<'a> {
    pub(super) plan: &'a Plan,
    pub(super) world: &'a World,
    /// What the steps so far will have changed.
    pub(super) foreseen: Foreseen,
    /// How long one step may be looked at; `None` = as long as it takes.
    pub(super) patience: Option<Duration>,
    /// Clouds that did not answer in time: they are not asked again.
    pub(super) silent: BTreeSet<Cloud>,
    pub(super) views: Vec<StepView>,
    /// For each thing that a step changes, the place of the last such step but the fault.
    pub(super) changed_by: BTreeMap<String, usize>,
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
    pub(super) async fn runbook_step(&mut self, part: Part, step: &StepPlan, wave: usize, scope: &Value) {
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
        let key = part.key(&step.id);
        let is_certain = match step.when.as_ref().map(|when| expression::is_true(when, scope)) {
            Some(Ok(false)) => {
                let mut view = view(key);
                view.notes.push("its condition is false: it will not run".to_owned());
                self.views.push(view);
                return;
            }
            // Whether it runs at all depends on what earlier steps give: what keeps it from being done now may be gone by then.
            Some(Err(_)) => false,
            Some(Ok(true)) | None => true,
        };
        let from = self.views.len();
        self.items(step, &key, &with, scope, view).await;
        for view in self.views.iter_mut().skip(from).filter(|view| !is_certain && matches!(view.why, Some(Unknown::Refused))) {
            view.why = Some(Unknown::Later);
        }
    }

    /// The step once, or once for each item that is known.
    async fn items(&mut self, step: &StepPlan, key: &str, with: &Value, scope: &Value, view: impl Fn(String) -> StepView) {
        let key = key.to_owned();
        let Some(each) = &step.for_each else { return self.step(view(key), with, scope).await };
        match expression::resolve(&each.items, scope) {
            Ok(Value::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    let mut scope = scope.clone();
                    if let Value::Object(scope) = &mut scope {
                        scope.insert("item".into(), item);
                    }
                    self.step(view(item_key(&key, index)), with, &scope).await;
                }
            }
            _ => {
                let mut view = view(key);
                view.unknown("runs once for each item of what earlier steps give", Unknown::Later);
                self.views.push(view);
            }
        }
    }

    pub(super) async fn step(&mut self, mut view: StepView, with: &Value, scope: &Value) {
        let cloud = preflight::cloud_of(self.world.zones(), &view.uses, with);
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
        if view.step != FAULT {
            let changed = view.targets.iter().filter(|target| target.changes()).map(Target::key);
            self.changed_by.extend(changed.map(|thing| (thing, self.views.len())));
        }
        self.views.push(view);
    }

    /// An action that does not ask what is foreseen reads what is there now. Where an earlier step changes the same things, it will have to do what
    /// that one did, the other way round.
    fn look_back(&self, view: &mut StepView) {
        let names = Target::keys(&view.targets);
        let is_idle = !names.is_empty() && !view.targets.iter().any(Target::changes);
        if self.foreseen.was_asked() || !is_idle || !view.may_change() {
            return;
        }
        let last = names.iter().filter_map(|name| self.changed_by.get(name)).max();
        let Some(earlier) = last.and_then(|place| self.views.get(*place)) else { return };
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
            target.change = Some(Change::between(format_args!("as {} leaves it", earlier.step), "as it is now"));
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
        let desk = Desk::simulated();
        let warn = |line| notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        let cx = Cx { warn: &warn, foreseen: &self.foreseen, ..Cx::unheard(self.world, "plan", &step, &board, &desk) };
        let uses = view.uses.clone();
        match parameters::action(catalogue::action(&uses), Stated::planned(&uses, with, scope), Purpose::Do) {
            Err(Unready::Unresolved(_)) => view.unknown("depends on what earlier steps give", Unknown::Later),
            Err(Unready::Refused(failure)) => view.unknown(failure.to_string(), Unknown::Refused),
            Ok(Ready { action, with }) => match action.plan(&cx).await {
                Ok(planned) => {
                    view.has_secret = has_reference(&with);
                    view.ttl_s = longest_ttl(&view.uses, &planned.before);
                    if catalogue::action(&view.uses).is_some_and(|row| row.fault) {
                        mark(view, &*action, with.into_owned(), planned.before, self.world).await;
                    }
                    view.notes = planned.notes;
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
        view.notes.extend(notes.into_inner().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The calls that belong to no step: each probe that asks a cloud is asked once. Those that write are not; what they write is named by their parameters.
pub async fn beside(plan: &Plan, world: &World) -> Vec<PlannedCall> {
    let heard = Arc::new(Heard::default());
    let of_clouds = |uses: &&str| ["aws.", "aliyun.", "objects."].iter().any(|prefix| uses.starts_with(prefix));
    let mut calls: Vec<PlannedCall> = [Cloud::Aws, Cloud::Aliyun]
        .into_iter()
        .filter(|cloud| plan.whereabouts().clouds.contains_key(cloud.name()))
        .map(|cloud| PlannedCall::read("sts:GetCallerIdentity", cloud.to_string()))
        .collect();
    for probe in plan.probes.iter().filter(|probe| of_clouds(&probe.uses.as_str())) {
        // What a probe lacks is told by the run.
        let Ok(parsed) = parameters::probe(catalogue::probe(&probe.uses), &probe.uses, &probe.with) else { continue };
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
            let mark = Mark { run: run.into(), step: view.step.clone(), until: now, uses: view.uses.clone(), with, before };
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
