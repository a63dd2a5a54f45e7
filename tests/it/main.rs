//! Lifeboat from the outside, by subject:
//!
//! - `again`: guards and approvals, decided again before a fault is injected.
//! - `aliyun_client`: the Alibaba client against the lab.
//! - `approvals`: approvals and manual steps, whoever answers them.
//! - `bad_files`: every kind of bad file, and what is said about it.
//! - `catalogue_conflicts`: somebody else changes what an action changed.
//! - `catalogue_undo`: every action against the lab: twice is once, cut off anywhere it is ended or taken back exactly.
//! - `catalogue_world`: the lab of these two, and the parameters for every action.
//! - `contents`: buckets compared by what they hold.
//! - `claims`: what runs claim about themselves: exercises, what stands, what cannot be undone.
//! - `control`: runs that are steered from another terminal.
//! - `drills`: whole drills, held against the lab's ground truth.
//! - `fuzz_regressions`: what the fuzzers found and kept, replayed.
//! - `guards`: what an environment refuses, asks and lets pass.
//! - `halt`: one drill for each environment, the lever, and runs in each other's way.
//! - `hostile`: both clients against every hostility of the lab.
//! - `interruptions`: runs ended from outside.
//! - `layers`: which layer may use which.
//! - `marks`: the marks of faults, and what a reaper makes of them.
//! - `formats`: what is kept stays readable, and what a newer Lifeboat wrote is refused.
//! - `foretold`: what a plan says, held against what the run does.
//! - `machines`: single machines that do not follow, and what the clouds write otherwise than people do.
//! - `monitoring`: the clouds' own monitoring, and drills that it ends.
//! - `pages`: the links and the commands of the pages for people.
//! - `plans`: what a plan is made of.
//! - `pty`: a terminal with somebody in front of it.
//! - `readings`: what every kind of probe says when there is nothing to read.
//! - `reaper`: drills that are killed, and who comes after them.
//! - `recovered`: what is seen after the last change, and what was not.
//! - `reference`: the pages of the language reference are those of the catalogue, and their examples are right.
//! - `refusals`: what is refused before anything begins.
//! - `sealed`: what a run keeps is its owner's alone, and cannot be altered without being noticed.
//! - `secrets`: canaries through every action and probe, looked for everywhere.
//! - `security`: the tests that docs/security.md names are there.
//! - `stands`: what a run leaves in place, and who may take it back.
//! - `strangers`: folders, texts and files of people who are not trusted.
//! - `terminal`: whoever sits in front of a run, and signals where nobody does.
//! - `verbose`: the log of what Lifeboat itself does.
//! - `workplace`: a small project with a lab of its own.
//! - `worlds`: which world a run is in, and that it is taken up in no other.

mod accept;
mod again;
mod aliyun_client;
mod approvals;
mod bad_files;
mod broken_project;
mod caches;
mod canary;
mod catalogue_calls;
mod catalogue_conflicts;
mod catalogue_undo;
mod catalogue_world;
mod claims;
mod cloud_gone;
mod common;
mod contents;
mod control;
mod dns_zones;
mod drills;
mod first_day;
mod forecast;
mod foretold;
mod formats;
mod fuzz_regressions;
mod guards;
mod halt;
mod hostile;
mod interruptions;
mod kept_samples;
mod layers;
mod machines;
mod marks;
mod monitoring;
mod own_world;
mod pages;
mod plans;
mod pty;
mod readings;
mod reaper;
mod recovered;
mod reference;
mod refusals;
#[path = "common/samples.rs"]
mod samples;
mod sealed;
mod secrets;
mod security;
mod settled;
mod stands;
mod strangers;
mod terminal;
mod verbose;
mod words;
mod workplace;
mod worlds;
