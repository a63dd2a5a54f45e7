//! The facts about a run that is about to begin: asked of the clouds, of the plan, of the runs there are and of the approvals that lie there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::overlap;
use crate::catalogue;
use crate::engine::place::Named;
use crate::journal::FileStore;
use crate::model::guard::{Carries, Confirmed, Facts, FaultFact, Guards, Overrides, RegionFact, TargetFact};
use crate::model::plan::{Mode, Plan, Ungraceful};
use crate::model::state::FAULT;
use crate::model::target::TagsOf;
use crate::model::time::Timestamp;
use crate::ops::approvals::{self, Subject};
use crate::ops::dry_run::{DryRun, StepView, dry_run};
use crate::ops::environment::Environment;
use crate::ops::exit::Exit;
use crate::ops::marks::checker;
use crate::ops::marks::search::{Found, everywhere};
use crate::ops::{people, places, preflight, runs};
use crate::ports::gate::Gate;
use crate::ports::tags::{TagMap, Tagged};
use crate::ports::{Cloud, Kind};
use crate::world::World;

/// How long an emergency looks at what it would act on: the cloud that fails may be the one that is looked at.
pub const EMERGENCY_PATIENCE: Duration = Duration::from_secs(5);

/// What is about to run, and what was said to it.
#[derive(Debug)]
pub struct Intended<'a> {
    /// Where.
    pub environment: &'a Environment,
    /// What.
    pub plan: &'a Plan,
    /// Whether as a drill or in an emergency.
    pub mode: Mode,
    /// What an approval of exactly this is of.
    pub subject: &'a Subject,
    /// When.
    pub now: Timestamp,
    /// Whether the environment's name was given.
    pub confirmed: Confirmed,
    /// What is taken upon whoever starts it.
    pub overrides: Overrides,
    /// What each step would do, when that is known already.
    pub dry_run: Option<&'a DryRun>,
    /// The run itself, once there is one: it is not in its own way.
    pub own: Option<&'a str>,
    /// Whether an attempt to inject the fault has begun: what it acts on was looked at before that.
    pub intended: bool,
}

/// Gathers what the guards want to know; asks nothing that no guard wants to know.
///
/// # Errors
/// When the runs cannot be read.
pub async fn gather(guards: &Guards, intended: Intended<'_>, store: &FileStore) -> Result<Facts, Exit> {
    let Intended { environment, plan, mode, subject, now, confirmed, overrides, dry_run, own, intended: is_intended } = intended;
    let file = &guards.file;
    let accounts = preflight::ask(environment, Some(plan), mode).await;
    let neighbours = if is_intended { Vec::new() } else { overlap::neighbours(store, plan, mode)? };
    let wants_targets = file.max_targets.is_some() || !file.tags.is_empty() || !neighbours.is_empty();
    let wants_faults = file.max_faults.is_some() && plan.fault.is_some();
    let regions = regions(environment, plan);
    let (mut seen, mut shared, mut open_faults, mut unseen_faults) = Default::default();
    if wants_targets || wants_faults {
        let world = World::connect(&environment.settings, &Gate::default()).await;
        if wants_targets {
            seen = targets(&file.tags, &world, plan, mode, dry_run).await;
            shared = overlap::shared(neighbours, &seen.0, mode, &world).await;
        }
        if wants_faults {
            let marks = everywhere(&world, &searched(environment, plan), &checker(environment)).await;
            (open_faults, unseen_faults) = marked(marks);
            open_faults.extend(journalled(store, plan)?);
            open_faults.retain(|run| own != Some(run.as_str()));
            open_faults.sort();
            open_faults.dedup();
        }
    }
    let (targets, untold): (Vec<TargetFact>, Vec<String>) = seen;
    let runs = store.path("");
    Ok(Facts {
        now,
        mode,
        environment: environment.name.clone(),
        is_real: environment.is_real(),
        accounts,
        actions: steps(plan).filter(|(_, uses, _)| mutates(uses)).map(|(step, uses, _)| (step, uses.to_owned())).collect(),
        regions,
        fault: plan.fault.as_ref().map(|fault| FaultFact { lease: fault.lease, limit: fault.limit }),
        targets,
        untold,
        starter: people::starter(),
        approvals: if file.approvals.is_some() { approvals::read(&runs, &plan.environment, subject, &plan.approvers) } else { Vec::new() },
        open_faults,
        unseen_faults,
        neighbours: shared,
        confirmed,
        overrides,
    })
}

/// Every step of the plan with its key, word and parameters; the fault first.
fn steps(plan: &Plan) -> impl Iterator<Item = (String, &str, &Value)> {
    let fault = plan.fault.iter().map(|fault| (FAULT.to_owned(), fault.uses.as_str(), &fault.with));
    fault.chain(plan.steps().map(|(key, step)| (key, step.uses.as_str(), &step.with)))
}

fn mutates(uses: &str) -> bool {
    catalogue::action(uses).is_none_or(|row| row.mutates)
}

/// The regions of the environment, and those that steps name themselves.
fn regions(environment: &Environment, plan: &Plan) -> Vec<RegionFact> {
    let own = [(Cloud::Aws, &environment.settings.aws), (Cloud::Aliyun, &environment.settings.aliyun)];
    let own = own.into_iter().filter_map(|(cloud, settings)| Some((cloud, settings.as_ref()?)));
    let mut facts: Vec<RegionFact> =
        own.map(|(cloud, settings)| RegionFact { step: String::new(), cloud, region: Some(settings.region.clone()) }).collect();
    for (step, uses, with) in steps(plan) {
        let Some(acts) = catalogue::action(uses).map(|row| row.acts) else { continue };
        if let (Some(cloud), Some(named)) = (acts.cloud(&environment.settings.zones, with), acts.named(with)) {
            let region = match named {
                Named::Region(region) => Some(region),
                Named::Later => None,
            };
            facts.push(RegionFact { step, cloud, region });
        }
    }
    facts
}

/// What would be acted on, each thing once, and the steps that cannot tell.
async fn targets(tags: &BTreeMap<String, String>, world: &World, plan: &Plan, mode: Mode, known: Option<&DryRun>) -> (Vec<TargetFact>, Vec<String>) {
    let look = async {
        let fresh;
        let seen = match known {
            Some(seen) => seen,
            None => {
                fresh = dry_run(plan, world, None).await;
                &fresh
            }
        };
        // The source side may be given up while it runs: then steps act as their `ungraceful` says.
        let given_up = match mode != Mode::Emergency && may_be_otherwise(plan) {
            true => Some(dry_run(&Plan { ungraceful: true, ..plan.clone() }, world, None).await),
            false => None,
        };
        let steps = seen.steps.iter().chain(given_up.iter().flat_map(|seen| &seen.steps));
        let acting: Vec<&StepView> = steps.filter(|step| mutates(&step.uses)).collect();
        // `targets: fresh` is whatever is there by then.
        let untold: BTreeSet<String> = acting.iter().filter(|step| step.unknown.is_some() || step.fresh).map(|step| step.step.clone()).collect();
        let untold = untold.into_iter().collect();
        let mut facts = distinct(&acting);
        if !tags.is_empty() {
            read_tags(&mut facts, tags, world).await;
        }
        (facts, untold)
    };
    match mode {
        Mode::Emergency => match timeout(EMERGENCY_PATIENCE, look).await {
            Ok(found) => found,
            Err(_) => (Vec::new(), steps(plan).filter(|(_, uses, _)| mutates(uses)).map(|(step, ..)| step).collect()),
        },
        Mode::Rehearse | Mode::Drill => look.await,
    }
}

/// Whether a step would act otherwise if the source side were given up, which it is not yet.
fn may_be_otherwise(plan: &Plan) -> bool {
    let steps = [Some(&plan.failover), plan.failback.as_ref()].into_iter().flatten().flat_map(|runbook| &runbook.steps);
    !plan.ungraceful && steps.into_iter().any(|step| matches!(step.ungraceful, Some(Ungraceful::With(_))))
}

fn distinct(acting: &[&StepView]) -> Vec<TargetFact> {
    let mut seen = BTreeSet::new();
    let all = acting.iter().flat_map(|step| step.targets.iter().map(|target| (&step.step, target)));
    all.filter(|(_, target)| seen.insert(target.key()))
        .map(|(step, target)| TargetFact { step: step.clone(), target: target.clone(), carries: Carries::NoTags })
        .collect()
}

/// Asks for the tags of everything that can have some, each cloud and region once.
async fn read_tags(facts: &mut [TargetFact], wanted: &TagMap, world: &World) {
    let mut places: BTreeMap<(Cloud, String), Vec<(&mut TargetFact, Tagged)>> = BTreeMap::new();
    for fact in facts {
        let (target, place) = (&fact.target, fact.target.cloud.zip(fact.target.region.clone()));
        match (target.kind.tags(), place) {
            (TagsOf::Nothing, _) => {}
            (TagsOf::Object(kind), Some(place)) => {
                let tagged = Tagged { kind: kind.to_owned(), id: target.bare_id().to_owned() };
                places.entry(place).or_default().push((fact, tagged));
            }
            // What is not said is not passed.
            (TagsOf::Object(_), None) => fact.carries = Carries::Unread("its action does not say in which cloud and region it is".to_owned()),
            (TagsOf::Unknown, _) => fact.carries = Carries::Untold,
        }
    }
    for ((cloud, region), own) in places {
        let objects: Vec<Tagged> = own.iter().map(|(_, tagged)| tagged.clone()).collect();
        let found = match world.tags(cloud, &region) {
            Ok(tags) => tags.read(&objects).await,
            Err(error) => Err(error),
        };
        for (fact, tagged) in own {
            let has_all = |has: &TagMap| wanted.iter().all(|(key, value)| has.get(key) == Some(value));
            fact.carries = match &found {
                Ok(found) if found.get(&tagged.id).is_some_and(has_all) => Carries::All,
                Ok(_) => Carries::NotAll,
                Err(error) => Carries::Unread(error.to_string()),
            };
        }
    }
}

/// Where the marks of faults are looked for before a run of `plan` beside the environment's own regions: in every one that it is known to act in.
pub(in crate::ops) fn searched(environment: &Environment, plan: &Plan) -> Vec<(Cloud, String)> {
    let own = |cloud: Cloud| match cloud {
        Cloud::Aws => environment.settings.aws.as_ref(),
        Cloud::Aliyun => environment.settings.aliyun.as_ref(),
    };
    certain(&regions(environment, plan)).into_iter().filter(|(cloud, region)| own(*cloud).is_none_or(|own| own.region != *region)).collect()
}

/// The regions that are known before the run, each once.
fn certain(regions: &[RegionFact]) -> Vec<(Cloud, String)> {
    let known: BTreeSet<(Cloud, String)> = regions.iter().filter_map(|fact| Some((fact.cloud, fact.region.clone()?))).collect();
    known.into_iter().collect()
}

/// Runs whose fault stands, as the marks on cloud objects say, from whatever machine it was injected; and what of the marks cannot be known.
fn marked(marks: Found) -> (Vec<String>, Vec<String>) {
    let unreadable = marks.unreadable.into_iter().map(|(anchor, why)| format!("{} {}: {why}", anchor.kind, anchor.id));
    // A cloud that the environment does not have holds no marks.
    let unsearched = marks.failed.into_iter().filter(|error| error.kind != Kind::Unconfigured).map(|error| error.to_string());
    (marks.standing.into_iter().map(|standing| standing.mark.run).collect(), unreadable.chain(unsearched).collect())
}

/// Runs whose fault stands, as far as the journals in this folder say, in the environment of `plan`.
fn journalled(store: &FileStore, plan: &Plan) -> Result<Vec<String>, Exit> {
    let mut open = Vec::new();
    let own = runs::list(store)?.into_iter().map(|listed| (store, listed));
    let elsewhere = places::other_folders(store);
    let others = elsewhere.iter().flat_map(|other| runs::list(other).unwrap_or_default().into_iter().map(move |listed| (other, listed)));
    for (store, listed) in own.chain(others) {
        if listed.environment != plan.environment {
            continue;
        }
        // A run that cannot be read is listed as such by `runs`, with no environment.
        let Ok(state) = runs::read(store, &listed.run).and_then(|chain| runs::state(&listed.run, &chain)) else { continue };
        let is_here = state.plan().is_some_and(|other| other.whereabouts().shares_lab_with(plan.whereabouts()));
        if is_here && state.held().contains(&FAULT) {
            open.push(listed.run.into());
        }
    }
    Ok(open)
}
