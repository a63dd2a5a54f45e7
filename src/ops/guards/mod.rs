//! The guards of an environment at work:
//!
//! - `written`: what in a `guards:` only the whole project can tell to be wrong, and the freeze calendar that it names.
//! - `again`: the same guards, decided again wherever a fault is about to be injected.
//! - `gather`: the facts about a run that is about to begin.
//! - `overlap`: the other runs that act on the same things.
//! - `shown`: decisions as `plan` prints them, and what a person can do about each.

mod again;
mod gather;
mod overlap;
mod shown;
pub(in crate::ops) mod written;

pub use again::{Again, Said, as_begun};
pub(in crate::ops) use gather::searched;
pub use gather::{EMERGENCY_PATIENCE, Intended, gather};
pub use shown::{GuardView, in_the_way, text, views, way_out};
pub use written::Calendar;
