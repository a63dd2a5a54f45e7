//! The embedded run store: one folder a run, one file of lines, fsync and flock, and beside it the single samples of the probes.

pub mod crash;
pub mod file;
mod reserve;
pub mod samples;

pub use file::FileStore;
