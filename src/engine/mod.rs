//! Runs a plan; knows no cloud. Generic over the world `W` that actions and probes reach into.
//!
//! [`machine`] is pure: inputs in, effects out. [`shell`] performs the effects. [`record`] is the only place that makes events.
//! [`watch`] samples the probes on a runtime of its own; [`tracker`] turns samples into edges and states; [`samples`] hands them to a file.

pub mod action;
pub mod board;
pub mod clock;
pub mod desk;
pub mod foreseen;
pub mod gatekeeper;
pub mod lease;
pub mod machine;
pub mod operations;
pub(crate) mod parameters;
pub mod place;
pub mod probe;
pub mod record;
pub mod samples;
pub(crate) mod secrets;
pub mod shell;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod toy;
pub mod tracker;
pub mod watch;
