//! The marks of other runs, before a fault is injected: what one of them broke may stand, whoever began it and wherever its journal is.

use super::key::checker;
use super::search::{Standing, everywhere};
use crate::journal::FileStore;
use crate::model::ids::RunId;
use crate::model::plan::{Mode, Plan};
use crate::ops::environment::Environment;
use crate::ops::exit::{Exit, Kind};
use crate::ops::guards::searched;
use crate::ops::lock::{self, Neighbour};
use crate::ops::{control, places};
use crate::ports::Kind as CloudKind;
use crate::ports::gate::Gate;
use crate::world::World;

/// Refuses a drill while the mark of another run's fault is on a cloud object of the environment, or while that cannot be told. A run that goes on in another
/// environment on the same clouds is held against by the guard `overlap`. `own`: the run itself, when it is taken up.
///
/// # Errors
/// With every fault that may stand, and the command that takes it out.
pub async fn none_stand(store: &FileStore, environment: &Environment, plan: &Plan, own: Option<&str>) -> Result<(), Exit> {
    if plan.mode == Mode::Emergency || plan.fault.is_none() || environment.embedded.is_some() {
        return Ok(());
    }
    let world = World::connect(&environment.settings, &Gate::default()).await;
    let found = everywhere(&world, &searched(environment, plan), &checker(environment)).await;
    let beside = lock::on_the_same_clouds(store, plan, false)?;
    let is_followed = |run: &str| own == Some(run) || beside.iter().any(|neighbour: &Neighbour| neighbour.running && neighbour.run == run);
    let standing: Vec<&Standing> = found.standing.iter().filter(|standing| !is_followed(&standing.mark.run)).collect();
    let mut lines: Vec<String> = standing.iter().map(|standing| line(standing)).collect();
    let unreadable = found.unreadable.iter().map(|(anchor, why)| format!("{} {} has a mark that cannot be read: {why}", anchor.kind, anchor.id));
    lines.extend(unreadable);
    // A cloud that the environment does not have holds no marks.
    let failed = found.failed.iter().filter(|error| error.kind != CloudKind::Unconfigured);
    lines.extend(failed.map(|error| format!("the marks of faults could not be looked for: {error}")));
    if lines.is_empty() {
        return Ok(());
    }
    let message = match standing.first() {
        Some(_) => format!("faults of other runs may stand in environment {}; nothing was changed", environment.name),
        None => format!("it cannot be told whether faults of other runs stand in environment {}; nothing was changed", environment.name),
    };
    let mut exit = Exit::new(Kind::Environment, message);
    exit.causes = lines;
    let reaper = reaper_command(environment);
    Err(exit.hint(match standing.first() {
        Some(standing) => match abort_command(store, &standing.mark.run) {
            Some(abort) => format!("`{abort}` takes it out; then begin again"),
            None => {
                let flag = if standing.signature.is_err() { " --unsigned" } else { "" };
                let run = &standing.mark.run;
                format!("`lifeboat abort {run}` where it was begun takes it out, or `{reaper}{flag}` once its lease has ended")
            }
        },
        None => format!("`{reaper}` tells what there is; mend that, then begin again"),
    }))
}

fn line(standing: &Standing) -> String {
    let objects: Vec<String> = standing.objects.iter().map(|object| format!("{} {}", object.kind, object.id)).collect();
    let mark = &standing.mark;
    // One that nobody has signed stands in the way all the same: its fault may be real.
    let signature = standing.signature.as_ref().err().map_or_else(String::new, |why| format!("; {why}"));
    format!("run {}: {} on {}, leased until {}{signature}", mark.run, mark.uses, objects.join(", "), mark.until)
}

/// What takes a run back that this user has in some folder. A mark is written by whoever may write tags: what is no id of a run leads to no folder.
fn abort_command(store: &FileStore, run: &str) -> Option<String> {
    let run = RunId::told(run)?;
    let has = |store: &FileStore| store.journal(&run).exists().then(|| control::abort_command(store, &run));
    has(store).or_else(|| places::other_folders(store).iter().find_map(has))
}

fn reaper_command(environment: &Environment) -> String {
    let lab = environment.whereabouts.lab.as_ref().map_or_else(String::new, |lab| format!(" --lab {}", lab.control));
    format!("lifeboat reaper --env {}{lab}", environment.name)
}
