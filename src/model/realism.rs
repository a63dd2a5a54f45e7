//! How real a run was: what people declare of an environment, and the facts that say otherwise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of exercise a run is, from the weakest to the strongest, in the words of the compliance frameworks. A run really runs: tabletops, walkthroughs and
/// dry runs are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exercise {
    /// On simulated systems.
    Simulated,
    /// One component of a real system, such as a service of staging.
    Component,
    /// A real standby takes over beside a production that goes on.
    Parallel,
    /// Part of production moves.
    LivePartial,
    /// All of production moves.
    LiveFull,
}

impl Exercise {
    /// Its word, as the controls have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Component => "component",
            Self::Parallel => "parallel",
            Self::LivePartial => "live_partial",
            Self::LiveFull => "live_full",
        }
    }
}

/// What is known of how real a run is; part of its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realism {
    /// What the environment says that a drill there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Exercise>,
    /// Hosts that calls go to and that are not the vendors' own, as `aws 127.0.0.1`, whoever set them: then it is simulated, whatever is declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl Realism {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
