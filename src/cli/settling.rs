//! `lifeboat abort --from-marks`: a run whose journal cannot be read or trusted becomes one that can be taken back.

use std::sync::Arc;

use serde_json::Map;

use super::output::Output;
use super::start::{may_be_in, project_in_need, reopen, runtime};
use super::{errors, taking_back};
use crate::engine::secrets;
use crate::journal::FileStore;
use crate::model::project::EnvironmentKind;
use crate::model::state::RunState;
use crate::ops::environment::{Environment, LabChoice};
use crate::ops::exit::{Exit, Kind};
use crate::ops::preflight;
use crate::ops::runs;
use crate::ops::settle::{self, Untold};

/// A run whose journal could not be trusted and now can.
pub(super) struct Settled {
    /// What its journal is to say of that.
    pub(super) note: String,
    /// Why somebody wanted it.
    pub(super) reason: String,
    untold: Untold,
}

impl Settled {
    /// Whether everything is known to be as before, now that it is taken back.
    ///
    /// # Errors
    /// With what is not.
    pub(super) fn is_all_known(&self, state: &RunState) -> Result<(), Exit> {
        let unknown = self.untold.left_unknown(state);
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Exit::new(Kind::Environment, format!("what is known is put back; not known to be put back: {}", unknown.join("; ")))
            .hint("nothing that is to be trusted tells of it: look at it by hand. The run is settled and keeps nobody from a new drill"))
    }
}

/// Takes the fault of a run out by its marks whose journal cannot be read or trusted, and makes the journal one that can be gone on with; `None`: it is one already. `place`: where it
/// ran, if nothing else tells.
///
/// # Errors
/// When nobody says why, or the clouds cannot be reached or searched, or the folder cannot be written.
pub(super) fn settle(
    store: &Arc<FileStore>,
    run: &str,
    place: Option<&str>,
    lab: Option<&str>,
    yes_because: Option<&str>,
    output: &Output,
) -> Result<Option<Settled>, Exit> {
    let Some(mut untold) = Untold::of(store, run)? else { return Ok(None) };
    if store.is_owned(run) {
        return Err(settle::is_running(run));
    }
    if let Some(plan) = &untold.plan {
        may_be_in(run, plan.whereabouts(), lab)?;
    } else if place.is_none() {
        return Err(Exit::new(Kind::Usage, format!("nothing tells in which environment run {run} ran; nothing was changed"))
            .cause(runs::in_a_line(&untold.why))
            .hint(format!("`{}` takes its fault out there by its marks", runs::from_marks_command(store, run))));
    }
    let reason = taking_back::word_for(&untold, yes_because, output)?;
    // Clouds that ended with their process hold no marks.
    let found = if untold.plan.as_ref().is_some_and(|plan| plan.whereabouts().is_embedded()) {
        Vec::new()
    } else {
        runtime()?.block_on(async {
            let plan = untold.plan.clone();
            let environment = match (&plan, place) {
                (Some(plan), _) => {
                    secrets::know(plan);
                    reopen(store, run, plan, lab).await??
                }
                (None, place) => named(place.unwrap_or_default(), lab).await?,
            };
            preflight::accounts(&environment, plan.as_ref()).await?;
            untold.take_out(&environment, &|finding| output.say(&finding.text())).await
        })?
    };
    let note = untold.set_aside(store, &reason, &found)?;
    output.say(&note);
    if untold.plan.is_some() {
        return Ok(Some(Settled { note, reason, untold }));
    }
    let mut unknown = vec!["whatever its steps changed".to_owned()];
    unknown.extend(untold.left_unknown(&RunState::default()));
    Err(Exit::new(Kind::Environment, format!("its fault is taken out as far as marks tell of it; not known to be put back: {}", unknown.join("; ")))
        .hint("nothing that is to be trusted tells of it: look at it by hand. The run is settled and keeps nobody from a new drill"))
}

/// An environment that somebody names.
async fn named(name: &str, lab: Option<&str>) -> Result<Environment, Exit> {
    let file = project_in_need(None)?.environment(name).map_err(|found| errors::definitions(&found))?;
    if file.kind == EnvironmentKind::Lab && lab.is_none() {
        return Err(Exit::new(Kind::Usage, "a lab of this process has no marks: --lab CONTROL_URL names the one that the run was in"));
    }
    Environment::open(name, &file, lab.map_or_else(LabChoice::default, LabChoice::at), &Map::new()).await
}
