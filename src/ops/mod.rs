//! What the commands do, without a word about arguments.

pub mod check;
pub mod exit;
pub mod files;
pub mod project;
pub mod resolve;
pub mod runs;
pub mod words;
