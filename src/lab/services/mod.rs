//! The vendors' APIs over the world.

pub mod throttle;
