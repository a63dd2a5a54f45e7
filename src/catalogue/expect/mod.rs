//! What is good, said once: the probe and the check of the same name judge with the same code.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod enough;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod number;
pub(crate) mod place;
