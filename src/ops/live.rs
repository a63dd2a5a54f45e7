//! Whether what a run left in place serves users, and what taking it back would do: read before `lifeboat abort` changes anything.
//!
//! A run carries live traffic when what it made stays on purpose, is still there, and leads users (`dns.shift-weight`) or keeps a service good that its
//! plan watches. Then the source side is asked first, by the probes that the plan names for it.

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::environment::Environment;
use crate::catalogue;
use crate::engine::action::{Cx, Planned};
use crate::engine::board::Board;
use crate::engine::desk::Desk;
use crate::engine::machine;
use crate::engine::parameters::{self, Purpose, Ready, Stated};
use crate::engine::probe::Reading;
use crate::model::event::run::Difference;
use crate::model::failure::{Failure, FailureKind};
use crate::model::plan::{Mode, Plan, ProbePlan};
use crate::model::state::{FAULT, RunState};
use crate::model::target::{Change, Target};
use crate::ports::gate::{Gate, exempt};
use crate::world::World;

/// For reading one step or asking one probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a run that carries live traffic would lose.
#[derive(Debug)]
pub struct Live {
    /// How the services of the plan are now.
    pub services: Vec<ProbeAnswer>,
    /// How the source side is now; empty when the plan names no probe of it.
    pub source: Vec<ProbeAnswer>,
    /// What would be undone, in the order in which it would be: step and targets.
    pub undone: Vec<(String, String)>,
    /// What of it is not as the run made it any more, or cannot be read.
    pub moved: Vec<Difference>,
    /// The runbook that leads back in order, where there is one.
    pub back: Option<String>,
}

/// What a probe says.
#[derive(Debug)]
pub struct ProbeAnswer {
    /// Its id.
    pub probe: String,
    /// Good, bad, or unknown.
    pub reading: Reading,
    /// Why.
    pub detail: String,
}

impl fmt::Display for ProbeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.reading {
            Reading::Good => "good",
            Reading::Bad => "BAD",
            Reading::Unknown => "UNKNOWN",
        };
        write!(f, "{} is {word}: {}", self.probe, self.detail)
    }
}

impl Live {
    /// Whether every probe of the source side is good; `None` when there is none to ask.
    #[must_use]
    pub fn source_is_good(&self) -> Option<bool> {
        (!self.source.is_empty()).then(|| self.source.iter().all(|seen| seen.reading == Reading::Good))
    }

    /// What going back would come to, in one line.
    #[must_use]
    pub const fn outlook(source_is_good: Option<bool>) -> &'static str {
        match source_is_good {
            Some(true) => "The source side is good: users are led back to it at once, without the checks of a failback.",
            Some(false) => "THE SOURCE SIDE IS NOT GOOD: taking this back takes the service down.",
            None => {
                "Nothing tells whether the source side is good (the runbook names no probe of it under `back`): if it is not, the service goes down."
            }
        }
    }
}

/// Keys of what a run left in place on purpose and really changed, newest first.
#[must_use]
pub fn kept(state: &RunState) -> Vec<&str> {
    let Some(plan) = state.plan() else { return Vec::new() };
    // A drill that was interrupted has kept nothing on purpose: its fault stands.
    let is_on_purpose = plan.mode == Mode::Emergency || (state.ended.is_some() && state.leaves());
    let did = |key: &&str| *key != FAULT && state.step(key).is_some_and(|step| step.applied && !step.already);
    if is_on_purpose { state.held().into_iter().rev().filter(did).collect() } else { Vec::new() }
}

/// Whether what a run left in place may serve users, as far as its journal tells: a step of it leads them, or, in a runbook without such a step, the plan
/// watches a service.
#[must_use]
pub fn may_serve(state: &RunState) -> bool {
    let Some(plan) = state.plan() else { return false };
    let kept = kept(state);
    if has_leader(plan) { kept.iter().any(|key| is_leader(state, key)) } else { !kept.is_empty() && plan.probes.iter().any(|probe| probe.service) }
}

fn has_leader(plan: &Plan) -> bool {
    plan.failover.steps.iter().any(|step| catalogue::action(&step.uses).is_some_and(|row| row.leads))
}

fn is_leader(state: &RunState, key: &str) -> bool {
    let intent = state.step(key).and_then(|step| step.intent.as_ref());
    intent.and_then(|intent| catalogue::action(&intent.uses)).is_some_and(|row| row.leads)
}

/// What a run that carries live traffic would lose; `None` for one that carries none.
pub async fn look(state: &RunState, environment: &Environment) -> Option<Live> {
    let (plan, kept) = (state.plan()?, kept(state));
    if !may_serve(state) {
        return None;
    }
    let world = World::connect(&environment.settings, &Gate::default()).await.running(environment.programs.clone());
    let services = ask(plan.probes.iter().filter(|probe| probe.service), &world).await;
    // Where a step of the runbook leads users, what it leads decides; else whatever was changed may be what keeps the service good.
    let now = join_all(kept.iter().map(|key| read(state, key, &world))).await;
    let serves = if has_leader(plan) { leads(state, &kept, &now) } else { services.iter().any(|seen| seen.reading == Reading::Good) };
    if !serves {
        return None;
    }
    let of_source = plan.source.iter().flat_map(|source| &source.probes);
    let source = ask(of_source.filter_map(|id| plan.probes.iter().find(|probe| probe.id == *id)), &world).await;
    let undone = kept.iter().map(|key| ((*key).to_owned(), back(state, key))).collect();
    let moved = kept.iter().zip(&now).enumerate().flat_map(|(index, (key, now))| {
        let made = |key: &str| state.step(key).and_then(|step| step.intent.as_ref()).map_or(&[][..], |intent| &intent.targets);
        // Newer ones stand first.
        let later = kept[..index].iter().flat_map(|key| made(key).iter().map(Target::key)).collect();
        now.as_ref().map(|now| machine::moved(key, made(key), &later, now)).unwrap_or_default()
    });
    Some(Live { services, source, undone, moved: moved.collect(), back: plan.back.clone() })
}

/// Whether a step that leads users may still do so: unless everything it changed reads as before it. What somebody has changed only in part, or cannot
/// be read, may well lead them.
fn leads(state: &RunState, kept: &[&str], now: &[Option<Read>]) -> bool {
    let may_lead = |(key, now): (&&str, &Option<Read>)| {
        let before = state.step(key).and_then(|step| step.intent.as_ref()).map(|intent| &intent.before);
        is_leader(state, key) && now.as_ref().is_some_and(|now| now.as_ref().ok().map(|(now, _)| &now.before) != before)
    };
    kept.iter().zip(now).any(may_lead)
}

/// What a step would find now.
type Read = Result<(Planned<Value>, Value), Failure>;

/// Reads what a step acted on; nothing of one that recorded no intent.
async fn read(state: &RunState, key: &str, world: &World) -> Option<Read> {
    let intent = state.step(key)?.intent.as_ref()?;
    Some(planned(key, &intent.uses, &intent.with, world).await)
}

pub(super) async fn planned(key: &str, uses: &str, with: &Value, world: &World) -> Read {
    let ready = parameters::action(catalogue::action(uses), Stated::intended(uses, with), Purpose::Undo);
    let Ready { action, .. } = ready.map_err(|unready| Failure { kind: FailureKind::Internal, ..unready.failure() })?;
    let (_, board) = Board::new();
    let desk = Desk::simulated();
    let cx = Cx::unheard(world, "abort", key, &board, &desk);
    match tokio::time::timeout(PATIENCE, exempt(action.plan(&cx))).await {
        Ok(planned) => planned.map(|planned| (planned, with.clone())).map_err(|error| error.failure()),
        Err(_) => Err(Failure::new(FailureKind::Timeout, "no answer")),
    }
}

/// One sample of each.
async fn ask<'a>(probes: impl Iterator<Item = &'a ProbePlan>, world: &World) -> Vec<ProbeAnswer> {
    let mut seen = Vec::new();
    for plan in probes {
        let (reading, detail) = match parameters::probe(catalogue::probe(&plan.uses), &plan.uses, &plan.with) {
            Err(failure) => (Reading::Unknown, format!("it cannot be asked from here: {failure}")),
            Ok(probe) => {
                let sample = tokio::time::timeout(probe.timeout(), probe.sample(world)).await.unwrap_or_else(|_| probe.late());
                (sample.reading, sample.detail)
            }
        };
        seen.push(ProbeAnswer { probe: plan.id.clone(), reading, detail });
    }
    seen
}

/// What undoing a step does to its targets.
fn back(state: &RunState, key: &str) -> String {
    let Some(intent) = state.step(key).and_then(|step| step.intent.as_ref()) else { return String::new() };
    let one = |target: &Target| match target.change.as_ref().and_then(Change::reversed) {
        Some(back) => format!("{target}: {back}"),
        None => target.to_string(),
    };
    intent.targets.iter().filter(|target| target.changes()).map(one).collect::<Vec<_>>().join(", ")
}

/// The command that goes back in order.
#[must_use]
pub fn back_command(plan: &Plan) -> Option<String> {
    plan.back.as_ref().map(|runbook| format!("lifeboat execute {runbook} --env {}", plan.environment))
}
