//! Carrying out a change batch, and `GetChange`: PENDING until every name server has it.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::json;

use super::batch::Batch;
use super::{Call, zone_index};
use crate::wire::aws_answer::ApiError;
use crate::wire::xml::Answer;
use crate::world::state::{Change, State};
use crate::world::transition::Transition;

fn write(answer: &mut Answer, id: &str, change: &Change) {
    answer.element("ChangeInfo", |answer| {
        answer.text("Id", format_args!("/change/{id}"));
        answer.text("Status", if change.in_sync { "INSYNC" } else { "PENDING" });
        answer.text("SubmittedAt", change.submitted_at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        if !change.comment.is_empty() {
            answer.text("Comment", &change.comment);
        }
    });
}

/// `ChangeResourceRecordSets`: all changes of the batch or none.
pub(super) fn submit(state: &mut State, call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    let index = zone_index(state, &call.id)?;
    let batch = Batch::read(call.body)?;
    let records = batch.judge(&state.zones[index])?;
    state.zones[index].records = records;

    let touched: BTreeSet<(String, String)> = batch.changes.iter().map(|change| (change.record.name.clone(), change.record.kind.clone())).collect();
    for (name, kind) in &touched {
        state.serve_dns(index, name, kind);
    }
    let id = state.fresh_id("C").to_uppercase();
    let change = Change { submitted_at: state.now, in_sync: false, comment: batch.comment };
    write(answer, &id, &change);
    state.changes.insert(id.clone(), change);
    let in_sync = state.timing.route53_in_sync.duration();
    state.after(in_sync, Transition::ChangeInSync { id: id.clone() });
    let now = state.now;
    let names: Vec<&str> = touched.iter().map(|(name, _)| name.as_str()).collect();
    state.truth.record(now, "route53-change", json!({ "zone": call.id, "change": id, "names": names }));
    Ok(())
}

/// `GetChange`.
pub(super) fn get(state: &mut State, call: &Call<'_>, answer: &mut Answer) -> Result<(), ApiError> {
    let change = state
        .changes
        .get(&call.id)
        .ok_or_else(|| ApiError::new("NoSuchChange", format!("Could not find resource with ID: {}", call.id)).with_status(StatusCode::NOT_FOUND))?;
    write(answer, &call.id, change);
    Ok(())
}
