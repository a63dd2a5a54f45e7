//! Lifeboat from the outside, by subject:
//!
//! - `actions`: every action against the lab, cut off at any moment.
//! - `aliyun_client`: the Alibaba client against the lab.
//! - `bad_files`: every kind of bad file, and what is said about it.
//! - `drills`: whole drills, held against the lab's ground truth.
//! - `interruptions`: runs ended from outside.
//! - `layers`: which layer may use which.
//! - `marks`: the marks of faults, and what a reaper makes of them.
//! - `plans`: what a plan is made of.
//! - `reaper`: drills that are killed, and who comes after them.
//! - `refusals`: what is refused before anything begins.

mod actions;
mod aliyun_client;
mod bad_files;
mod common;
mod drills;
mod interruptions;
mod layers;
mod marks;
mod plans;
mod reaper;
mod refusals;
