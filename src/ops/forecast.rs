//! What earlier runs on disk let expect of a plan.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::exit::{Exit, Kind};
use super::runs;
use crate::journal::FileStore;
use crate::model::event::RunEvent;
use crate::model::forecast::Forecast;
use crate::model::ids::RunId;
use crate::model::measure::{Past, foresee};
use crate::model::plan::{Mode, Plan};

/// So many runs are read, the newest: what a procedure took long ago says little.
const MOST: usize = 10;

/// What earlier runs of the same runbook let expect: those in the same environment, or if there are none, those where the newest took place. Runs that did not end,
/// and those whose journal cannot be trusted, tell nothing; nor do rehearsals, where nobody is waited for, of anything else. The notes name those that only a
/// newer Lifeboat can read.
#[must_use]
pub fn forecast(store: &FileStore, plan: &Plan) -> (Option<Forecast>, Vec<String>) {
    beside(store, plan, None)
}

/// The same for `run`, which has begun, as events of it: on a thread of its own, because no step is to wait until ten journals are verified, and least of all in an
/// emergency.
#[must_use]
pub fn forecast_for(store: &Arc<FileStore>, plan: &Arc<Plan>, run: &RunId) -> Option<oneshot::Receiver<Vec<RunEvent>>> {
    let (tell, told) = oneshot::channel();
    let (store, plan, run) = (store.clone(), plan.clone(), run.clone());
    let thread = std::thread::Builder::new().name("forecast".into()).spawn(move || {
        let (forecast, notes) = beside(&store, &plan, Some(&run));
        // A run that is over by now is not told any more.
        let _ = tell.send(forecast.map(RunEvent::Forecast).into_iter().chain(notes.into_iter().map(|text| RunEvent::Note { text })).collect());
    });
    // A run goes on without a forecast.
    thread.ok().map(|_| told)
}

/// `own`: the run that it is for, which is no earlier one.
fn beside(store: &FileStore, plan: &Plan, own: Option<&RunId>) -> (Option<Forecast>, Vec<String>) {
    let mut notes = Vec::new();
    let forecast = of_earlier(store, plan, own, &mut notes);
    (forecast, notes)
}

fn of_earlier(store: &FileStore, plan: &Plan, own: Option<&RunId>, notes: &mut Vec<String>) -> Option<Forecast> {
    let runs = store.runs().ok()?;
    let mut left_out = |run: &str, exit: &Exit| notes.push(format!("the forecast leaves run {run} out: {}", exit.causes.join(": ")));
    let fitting: Vec<(RunId, String)> = runs
        .into_iter()
        .rev()
        .filter(|run| own != Some(run))
        .filter_map(|run| {
            if let Some(unread) = runs::plan_unread(store, &run) {
                left_out(&run, &unread);
                return None;
            }
            let earlier = runs::plan_beside(store, &run)?;
            let is_same = earlier.failover.file == plan.failover.file && (earlier.mode == Mode::Rehearse) == (plan.mode == Mode::Rehearse);
            is_same.then_some((run, earlier.environment))
        })
        .collect();
    let here = fitting.iter().find(|(_, environment)| *environment == plan.environment);
    let (_, environment) = here.or_else(|| fitting.first())?;
    let mut of_run = |run: &RunId| match runs::read(store, run).and_then(|chain| runs::state(run, &chain)) {
        Ok(state) => Some(state).filter(|state| state.ended.is_some()),
        Err(exit) => {
            if exit.kind == Kind::Newer {
                left_out(run, &exit);
            }
            None
        }
    };
    let there = fitting.iter().filter(|(_, where_)| where_ == environment);
    let past: Vec<Past> = there.filter_map(|(run, _)| of_run(run)).take(MOST).map(|state| Past::of(&state)).collect();
    foresee(plan, environment, &past)
}
