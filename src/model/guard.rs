//! How the guards of an environment decided about a run.

use serde::{Deserialize, Serialize};

/// One guard's decision, as journalled and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its name in the project file, such as `windows`.
    pub guard: String,
    /// What it says.
    pub outcome: Outcome,
    /// On what ground, in one line.
    pub detail: String,
    /// Who went on all the same, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<Override>,
}

/// What a guard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is in the way.
    Allows,
    /// The run must not begin, unless it is overridden where that is possible.
    Refuses,
    /// It would refuse a drill; in an emergency it warns and asks.
    Warns,
}

/// Somebody took it upon themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Who.
    pub by: String,
    /// Why, in one line.
    pub why: String,
}
