//! Lifeboat from the outside, by subject:
//!
//! - `aliyun_client`: the Alibaba client against the lab.
//! - `bad_files`: what is said of files that are wrong.
//! - `drills`: whole drills, held against the lab's ground truth.
//! - `interruptions`: runs ended from outside.
//! - `layers`: which layer may use which.
//! - `plans`: what files become.

mod aliyun_client;
mod bad_files;
mod common;
mod drills;
mod interruptions;
mod layers;
mod plans;
