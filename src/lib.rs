//! Lifeboat: failover and chaos drills over AWS and Alibaba Cloud, one procedure for the drill and for the emergency.
//!
//! The layers, in reading order; each uses only those above it (held by `tests/it/layers.rs`):
//! - [`model`]: the languages, the plan, the events, and what is derived from events. Pure: no I/O, no clock.
//! - [`ports`]: what an action needs of a cloud, in our own words, and the error every cloud speaks.
//! - [`engine`]: runs a plan; knows no cloud.
//! - [`clouds`]: the two clouds behind the ports.
//! - [`world`]: the one struct that actions reach into.
//! - [`catalogue`]: the words a scenario may use, one file each.
//! - [`journal`], [`observe`], [`report`]: observers of the event stream.
//! - [`lab`]: a crate of its own: two simulated clouds on loopback; shares nothing with [`clouds`] but the wire.
//! - [`ops`], [`cli`]: the commands.

pub mod catalogue;
pub mod cli;
pub mod clouds;
pub mod engine;
pub mod journal;
pub mod model;
pub mod observe;
pub mod ops;
pub mod ports;
pub mod report;
pub mod world;

pub use lifeboat_lab as lab;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
