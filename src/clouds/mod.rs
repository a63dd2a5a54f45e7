//! The two clouds behind the ports. Same file names on both sides, no shared code: what means the same on both is said once, in the ports.

pub mod aliyun;
#[cfg(feature = "aws")]
pub mod aws;
