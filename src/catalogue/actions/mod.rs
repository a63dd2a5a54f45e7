//! What a step or a fault does, by what it is done to.

mod check;
mod compute;
mod dns;
mod flow;
#[cfg(feature = "aws")]
mod image;
mod network;
mod objects;
#[cfg(feature = "aws")]
mod routes;
mod sync;
mod tables;

use crate::engine::action::{ActionError, ActionType};
use crate::ports::{CloudError, Kind};
use crate::world::World;

/// Every row, unsorted.
pub(super) fn rows() -> Vec<ActionType<World>> {
    let mut rows = Vec::new();
    #[cfg(feature = "aws")]
    {
        rows.extend(image::rows());
        rows.extend(routes::rows());
    }
    for folder in [check::rows, compute::rows, dns::rows, flow::rows, network::rows, objects::rows, sync::rows, tables::rows] {
        rows.extend(folder());
    }
    rows
}

/// What undo says of a thing that is not there any more: somebody has removed it, and there is nothing left to put back.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "so far only what is done on AWS may be gone"))]
fn gone(error: CloudError, what: &str, expected: String, found: &str) -> ActionError {
    if error.kind != Kind::NotFound {
        return error.into();
    }
    ActionError::Conflict { what: what.to_owned(), expected, found: found.to_owned() }
}
