//! The embedded run store: one folder a run, one file of lines, fsync and flock.

pub mod crash;
pub mod file;

pub use file::FileStore;
