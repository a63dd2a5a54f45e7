//! The marks of a fault: tags on cloud objects that say whose fault it is, until when, and how it is undone.
//!
//! - `writing`: between a [`Mark`](crate::engine::lease::Mark) and tags, within what the vendors let one object hold.
//! - `marker`: writing, renewing and removing them in the world.
//! - `search`: which there are.
//! - `others`: those of other runs, before a fault is injected.

mod marker;
pub mod others;
pub(super) mod search;
mod writing;

pub use marker::{WorldMarker, calls, check};
