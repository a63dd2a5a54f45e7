//! Lifeboat from the outside, by subject:
//!
//! - `aliyun_client`: the Alibaba client against the lab.
//! - `drills`: whole drills, held against the lab's ground truth.
//! - `interruptions`: runs ended from outside.
//! - `layers`: which layer may use which.

mod aliyun_client;
mod common;
mod drills;
mod interruptions;
mod layers;
