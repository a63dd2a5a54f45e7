//! What the commands do, without a word about arguments.

pub mod exit;
pub mod runs;
