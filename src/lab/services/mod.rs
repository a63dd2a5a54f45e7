//! The vendors' APIs over the world.

pub mod aliyun;
pub mod oss;
pub mod throttle;
