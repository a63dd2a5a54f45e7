//! Runs a plan; knows no cloud. Generic over the world `W` that actions and probes reach into.
//!
//! `machine` is pure: inputs in, effects out. `shell` performs the effects. [`record`] is the only place that makes events.

pub mod action;
pub mod board;
pub mod clock;
pub mod machine;
pub mod probe;
pub mod record;
