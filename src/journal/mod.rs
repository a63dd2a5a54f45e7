//! The embedded run store: one folder a run, one file of lines, fsync and flock, and beside it the single samples of the probes.
//!
//! `folder` is the door: nothing in a run's folder is reached otherwise.

pub mod crash;
pub mod file;
pub mod folder;
mod reserve;
pub mod samples;

pub use file::{FileStore, Keeping};
pub use folder::Trust;
