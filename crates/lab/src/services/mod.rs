//! The vendors' APIs over the world.

pub mod aliyun;
pub mod aws;
pub mod oss;
pub mod throttle;
