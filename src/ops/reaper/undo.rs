//! Taking one fault out: looked at again, undone, its marks removed.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Outcome, Reaper};
use crate::catalogue;
use crate::engine::action::{ActionError, Cx, DynAction, Stands, Undone};
use crate::engine::board::Board;
use crate::engine::desk::Desk;
use crate::engine::lease::{Anchor, Mark, Marker as _};
use crate::engine::parameters::{self, Purpose, Stated};
use crate::model::credentials::has_reference;
use crate::model::difference::differences;
use crate::model::state::undo;
use crate::model::time::Timestamp;
use crate::ops::marks::Unsigned;
use crate::ops::marks::search::{Standing, is_same};
use crate::ports::gate::exempt;
use crate::world::World;

/// The longest that one fault may take; the next sweep goes on where this one left off.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// For how long undo is tried within one sweep.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at what was undone.
const AGAIN: Duration = Duration::from_secs(1);
/// How often what was undone is looked at until it reads as before: describing lags behind changing on both clouds.
const LOOKS: u32 = 30;
/// How often a conflict is looked at: somebody who undoes the same at the same time looks like one for a moment.
const CONFLICTS: u32 = 2;

pub(super) async fn take_out(reaper: &Reaper, standing: &Standing, now: Timestamp) -> (Outcome, String) {
    let action = match known(&standing.mark) {
        Ok(action) => action,
        Err(why) => return (Outcome::Foreign, why),
    };
    match action.anchors(&standing.mark.before) {
        Ok(anchors) if anchors.is_empty() => (Outcome::Foreign, format!("{} puts no marks anywhere", standing.mark.uses)),
        Ok(anchors) => match timeout(LIMIT, exempt(heal(reaper, standing, &*action, &anchors, now))).await {
            Ok(came) => came,
            Err(_) => (Outcome::Failed, format!("not done within {} minutes; its marks stay", LIMIT.as_secs() / 60)),
        },
        Err(error) => (Outcome::Foreign, error.to_string()),
    }
}

/// The fault of a mark. Only what the catalogue calls a fault: whoever may write tags must not make a reaper run anything else.
pub(super) fn known(mark: &Mark) -> Result<std::sync::Arc<dyn DynAction<World>>, String> {
    let row = catalogue::action(&mark.uses);
    if row.is_some_and(|row| !row.fault) {
        return Err(format!("`{}` is no fault", mark.uses));
    }
    if has_reference(&mark.with) || has_reference(&mark.before) {
        return Err("it refers to a secret: nobody who may write tags chooses what is read here".to_owned());
    }
    let ready = parameters::action(row, Stated::intended(&mark.uses, &mark.with), Purpose::Undo);
    ready.map(|ready| ready.action).map_err(|unready| unready.failure().to_string())
}

async fn heal(reaper: &Reaper, standing: &Standing, action: &dyn DynAction<World>, anchors: &[Anchor], now: Timestamp) -> (Outcome, String) {
    let mark = &standing.mark;
    let (_sender, board) = Board::new();
    let desk = Desk::simulated();
    let cx = Cx::unheard(&*reaper.world, &mark.run, &mark.step, &board, &desk);
    let (mut attempt, mut conflicts, mut is_begun) = (0, 0, false);
    let until = Instant::now() + PATIENCE;
    loop {
        attempt += 1;
        // Again before each attempt: the owner may have come back, or another reaper may have been quicker.
        if let Some(other) = changed(reaper, standing, anchors, now).await {
            return other;
        }
        let undone = match action.stands(&cx, &mark.before).await {
            // It was there at an earlier attempt, and may be half put back.
            Ok(_) if is_begun => action.undo(&cx, &mark.before).await,
            Ok(Stands::Here) if reaper.options.dry_run => return (Outcome::WouldUndo, String::new()),
            Ok(Stands::Gone) if reaper.options.dry_run => return (Outcome::WouldUndo, format!("{ABSENT}; its marks would be removed")),
            Ok(Stands::Here) => {
                is_begun = true;
                action.undo(&cx, &mark.before).await
            }
            Ok(Stands::Gone) => return stale(cleared(reaper, mark, anchors, Undone::Already).await),
            Ok(Stands::Otherwise(what)) => return (Outcome::Conflict, format!("{ABSENT}: {what}; left as it is, with its marks")),
            Err(error) => Err(error),
        };
        let error = match undone {
            Ok(undone) => {
                return match differs(action, &cx, mark).await {
                    None => cleared(reaper, mark, anchors, undone).await,
                    Some(what) => (Outcome::Failed, format!("undone, and yet it is not as before: {what}; its marks stay")),
                };
            }
            Err(error) => error,
        };
        let is_conflict = matches!(error, ActionError::Conflict { .. });
        conflicts += u32::from(is_conflict);
        let wait = undo::wait_after(attempt);
        let is_given_up = if is_conflict { conflicts >= CONFLICTS } else { !undo::helps(&error.failure()) };
        if is_given_up || Instant::now() + wait >= until {
            return (if is_conflict { Outcome::Conflict } else { Outcome::Failed }, error.to_string());
        }
        sleep(wait).await;
    }
}

/// Why nothing is undone.
const ABSENT: &str = "the fault is not there";

/// What came of a mark whose fault is not there: it was taken off, and nothing else was done.
fn stale((outcome, detail): (Outcome, String)) -> (Outcome, String) {
    let detail = if detail.is_empty() { format!("{ABSENT}; its marks were removed") } else { format!("{ABSENT}; {detail}") };
    (outcome, detail)
}

/// What is not as it was before the fault, once describing it has had time to show what undo did; `None` when everything is.
async fn differs(action: &dyn DynAction<World>, cx: &Cx<'_, World>, mark: &Mark) -> Option<String> {
    let mut looks = 0;
    loop {
        let found = match action.plan(cx).await {
            Ok(planned) => first_difference(&mark.before, &planned.before)?,
            // It does not want to be begun here any more: then undo's own look must do.
            Err(ActionError::Parameters(_)) => return None,
            Err(error) => format!("cannot be read: {error}"),
        };
        looks += 1;
        if looks >= LOOKS {
            return Some(found);
        }
        sleep(AGAIN).await;
    }
}

/// New addresses of machines that were stopped are no difference: nothing brings the old ones back, as the plan said.
fn first_difference(before: &serde_json::Value, now: &serde_json::Value) -> Option<String> {
    let found = differences(before, now).into_iter().find(|(what, _, _)| !what.starts_with("addresses"))?;
    let (what, was, is) = found;
    Some(if what.is_empty() { format!("it was {was}, is {is}") } else { format!("{what} was {was}, is {is}") })
}

async fn cleared(reaper: &Reaper, mark: &Mark, anchors: &[Anchor], undone: Undone) -> (Outcome, String) {
    match (reaper.marker.clear(anchors, &mark.run).await, undone) {
        (Ok(()), Undone::Restored) => (Outcome::Undone, String::new()),
        (Ok(()), Undone::Already) => (Outcome::Already, String::new()),
        (Ok(()), Undone::Impossible) => (Outcome::Failed, "its action has no undo: nothing was put back".to_owned()),
        (Err(error), _) => (Outcome::Failed, format!("undone, but its marks could not be removed: {error}")),
    }
}

/// Why this fault is not to be undone after all, if so: by the marks on what the fault itself names, not on what they were found on.
async fn changed(reaper: &Reaper, standing: &Standing, anchors: &[Anchor], now: Timestamp) -> Option<(Outcome, String)> {
    let meanwhile = |what: &str| Some((Outcome::Meanwhile, what.to_owned()));
    let marks = match reaper.marker.marks(anchors).await {
        Ok(marks) => marks,
        Err(error) => return Some((Outcome::Failed, error.to_string())),
    };
    // Of what the environment has signed only its own word counts.
    let is_ours = |mark: &Mark, signature: &Result<(), Unsigned>| {
        is_same(mark, &standing.mark) && (signature.is_ok() || standing.signature.is_err() && reaper.options.unsigned)
    };
    let found = marks.iter().filter_map(|mark| mark.as_ref()?.as_ref().ok());
    let ours: Vec<&Mark> = found.filter(|(mark, signature)| is_ours(mark, signature)).map(|(mark, _)| mark).collect();
    if reaper.options.run.is_none() && ours.iter().any(|mark| mark.until.plus(reaper.options.grace) > now) {
        return meanwhile("it was renewed");
    }
    if !ours.is_empty() {
        return None;
    }
    // The fault's own objects carry nothing of it: either it was just undone, or these tags are a copy.
    match reaper.marker.marks(&standing.objects).await {
        Ok(marks) if marks.iter().all(Option::is_none) => meanwhile("it was undone and its marks were removed"),
        Ok(_) => Some((Outcome::Foreign, "the fault is not of this object: its tags were copied here; remove the tags `lifeboat:…`".to_owned())),
        Err(error) => Some((Outcome::Failed, error.to_string())),
    }
}
