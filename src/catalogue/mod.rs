//! The words a scenario may use: one action or probe per file, one line per word in a table.

use crate::engine::action::ActionType;
use crate::engine::probe::ProbeType;
use crate::world::World;

/// Every action, in order of its word.
#[must_use]
pub fn actions() -> &'static [ActionType<World>] {
    &[]
}

/// Every kind of probe, in order of its word.
#[must_use]
pub fn probes() -> &'static [ProbeType<World>] {
    &[]
}

/// The action with this word.
#[must_use]
pub fn action(kind: &str) -> Option<&'static ActionType<World>> {
    actions().iter().find(|row| row.kind == kind)
}

/// The probe kind with this word.
#[must_use]
pub fn probe(kind: &str) -> Option<&'static ProbeType<World>> {
    probes().iter().find(|row| row.kind == kind)
}
