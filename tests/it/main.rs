//! Lifeboat from the outside, by subject:
//!
//! - `actions`: every action against the lab, cut off at any moment.
//! - `aliyun_client`: the Alibaba client against the lab.
//! - `bad_files`: every kind of bad file, and what is said about it.
//! - `drills`: whole drills, held against the lab's ground truth.
//! - `hostile`: both clients against every hostility of the lab.
//! - `interruptions`: runs ended from outside.
//! - `layers`: which layer may use which.
//! - `plans`: what a plan is made of.
//! - `refusals`: what is refused before anything begins.

mod actions;
mod aliyun_client;
mod bad_files;
mod common;
mod drills;
mod hostile;
mod interruptions;
mod layers;
mod plans;
mod refusals;
