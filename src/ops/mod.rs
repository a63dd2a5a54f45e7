//! What the commands do, without a word about arguments.

mod addresses;
pub mod approvals;
pub mod budget;
pub mod catalogue_list;
pub mod check;
pub mod control;
pub mod dry_run;
pub mod environment;
pub mod exit;
pub mod files;
pub mod guards;
pub mod halt;
pub mod lever;
pub mod lock;
pub mod marks;
pub mod pinned;
pub mod preflight;
pub mod project;
pub mod reaper;
pub mod report;
pub mod resolve;
pub mod run;
pub mod runs;
pub mod samples;
pub mod schema;
pub mod unused;
pub mod words;
