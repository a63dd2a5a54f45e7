//! The words a scenario may use: one action or probe per file, one line per word in a table.
//!
//! To add a word: write its file in the folder it belongs to, with an example of its parameters, and name it in that folder's `actions! { … }` or `probes! { … }`, which
//! declares the module and the row. Command-line list, JSON Schema, dry run, undo and the failure sweeps follow from the row.
//! - `actions`: what a step or a fault does.
//! - `probes`: what is read again and again.
//! - `examples`: how the example of a word is read.
//! - `permissions`: what a policy has to allow for each operation that a word calls.
//! - `expect`: what is good, said once for a probe and for the check of the same name.
//! - `servers`: connections to databases, for all that asks or writes there.
//! - `canary`: markers that are written to a source and looked for on the survivor.
//! - `difference`: what two sides that have to hold the same differ in.
//! - `until`: waiting for an effect.

/// Declares the modules of a folder of actions and gives their rows.
macro_rules! actions {
    ($($module:ident::$name:ident),* $(,)?) => {
        $(pub(crate) mod $module;)*

        /// The rows of this folder.
        pub(super) fn rows() -> Vec<$crate::engine::action::ActionType<$crate::world::World>> {
            vec![$($crate::engine::action::ActionType::of::<$module::$name>()),*]
        }
    };
}

/// Declares the modules of a folder of probes and gives their rows.
macro_rules! probes {
    ($($module:ident::$name:ident),* $(,)?) => {
        $(pub(crate) mod $module;)*

        /// The rows of this folder.
        pub(super) fn rows() -> Vec<$crate::engine::probe::ProbeType<$crate::world::World>> {
            vec![$($crate::engine::probe::ProbeType::of::<$module::$name>()),*]
        }
    };
}

mod actions;
mod buckets;
mod canary;
mod difference;
pub mod examples;
mod expect;
pub mod permissions;
mod probes;
mod servers;
#[cfg(test)]
mod tests;
mod until;

use std::sync::LazyLock;

use crate::engine::action::ActionType;
use crate::engine::probe::ProbeType;
use crate::world::World;

static ACTIONS: LazyLock<Vec<ActionType<World>>> = LazyLock::new(|| {
    let mut rows = actions::rows();
    rows.sort_by_key(|row| row.kind);
    rows
});

static PROBES: LazyLock<Vec<ProbeType<World>>> = LazyLock::new(|| {
    let mut rows = probes::rows();
    rows.sort_by_key(|row| row.kind);
    rows
});

/// Every action, in order of its word.
#[must_use]
pub fn actions() -> &'static [ActionType<World>] {
    &ACTIONS
}

/// Every kind of probe, in order of its word.
#[must_use]
pub fn probes() -> &'static [ProbeType<World>] {
    &PROBES
}

/// The action with this word.
#[must_use]
pub fn action(kind: &str) -> Option<&'static ActionType<World>> {
    find(actions(), kind, |row| row.kind)
}

/// The probe kind with this word.
#[must_use]
pub fn probe(kind: &str) -> Option<&'static ProbeType<World>> {
    find(probes(), kind, |row| row.kind)
}

fn find<T>(rows: &'static [T], kind: &str, word: fn(&T) -> &'static str) -> Option<&'static T> {
    rows.binary_search_by(|row| word(row).cmp(kind)).ok().map(|index| &rows[index])
}
