//! Other runs that act on the same things, in this environment or in another one on the same clouds.

use std::collections::BTreeSet;

use tokio::time::timeout;

use super::gather::EMERGENCY_PATIENCE;
use crate::journal::FileStore;
use crate::model::guard::{NeighbourFact, TargetFact};
use crate::model::plan::{Mode, Plan};
use crate::model::target::Target;
use crate::ops::dry_run::dry_run;
use crate::ops::exit::Exit;
use crate::ops::lock::{self, Neighbour};
use crate::world::World;

/// The other runs that go on there, or were left. Those in its own environment keep a drill from beginning whatever they act on (`ops/lock`).
///
/// # Errors
/// When the folder of the runs cannot be read.
pub(super) fn neighbours(store: &FileStore, plan: &Plan, mode: Mode) -> Result<Vec<Neighbour>, Exit> {
    let mut neighbours = lock::on_the_same_clouds(store, plan, mode == Mode::Emergency)?;
    // What an ended run left in place was asked to stay.
    neighbours.retain(|neighbour| neighbour.running || neighbour.is_left());
    Ok(neighbours)
}

/// What each of them shares with `targets`: what it has changed, and while it goes on also what it may still change.
pub(super) async fn shared(neighbours: Vec<Neighbour>, targets: &[TargetFact], mode: Mode, world: &World) -> Vec<NeighbourFact> {
    let own: BTreeSet<String> = targets.iter().map(|fact| fact.target.key()).collect();
    let mut facts = Vec::new();
    for neighbour in neighbours {
        let mut things = Target::keys(&neighbour.holds);
        if let Some(plan) = neighbour.plan.as_ref().filter(|_| neighbour.running) {
            things.extend(foreseen(plan, mode, world).await);
        }
        let shared = things.intersection(&own).cloned().collect();
        facts.push(NeighbourFact { run: neighbour.run.into(), running: neighbour.running, shared });
    }
    facts
}

/// What a run that goes on may change by its plan.
async fn foreseen(plan: &Plan, mode: Mode, world: &World) -> BTreeSet<String> {
    let look = dry_run(plan, world, None);
    let seen = match mode {
        Mode::Emergency => timeout(EMERGENCY_PATIENCE, look).await.ok(),
        Mode::Rehearse | Mode::Drill => Some(look.await),
    };
    let targets = seen.iter().flat_map(|seen| &seen.steps).flat_map(|step| &step.targets);
    targets.map(Target::key).collect()
}
