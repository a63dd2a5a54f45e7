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

use crate::engine::action::ActionType;
use crate::world::World;

/// Every row, unsorted.
pub(super) fn rows() -> Vec<ActionType<World>> {
    let mut rows = Vec::new();
    #[cfg(feature = "aws")]
    {
        rows.extend(image::rows());
        rows.extend(routes::rows());
    }
    for folder in [check::rows, compute::rows, dns::rows, flow::rows, network::rows, objects::rows, sync::rows] {
        rows.extend(folder());
    }
    rows
}
