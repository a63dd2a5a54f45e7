//! The vendors' APIs over the world.

pub mod aws;
pub mod throttle;
