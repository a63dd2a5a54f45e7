//! The guards of an environment: what a run there must keep to, and how that was decided.
//!
//! - `file`: the `guards:` of an environment as written, with `window`, `freeze` and `model::glob` for what stands in its texts.
//! - `facts`: everything that a decision is made from.
//! - `evaluate`: from guards and facts to decisions.

mod evaluate;
mod facts;
pub mod file;
mod freeze;
mod window;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::Mode;

pub use super::glob::Glob;
pub use evaluate::evaluate;
pub use facts::{
    AccountFact, Answer, Approval, Carries, Confirmed, Facts, FaultFact, Guards, NeighbourFact, Overrides, Person, RegionFact, Starter, TargetFact,
    Voucher,
};
pub use freeze::{Freeze, FreezeEntry, FreezesFile, Zone};
pub use window::Window;

/// The guards there are, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// The credentials belong to the accounts that the environment names.
    Account,
    /// Other people have approved exactly this.
    Approvals,
    /// The hours in which runs may begin.
    Windows,
    /// The days on which they may not.
    Freeze,
    /// The actions that may be used.
    Actions,
    /// The regions that may be acted in.
    Regions,
    /// The tags that everything acted on must carry.
    Tags,
    /// How many things may be acted on.
    MaxTargets,
    /// How long a fault may stand.
    MaxFault,
    /// How many faults may stand in the environment at once.
    MaxFaults,
    /// No other run acts on the same things. Never written: it always holds.
    Overlap,
    /// The environment's name has been typed.
    Confirm,
}

impl Guard {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::Account,
        Self::Approvals,
        Self::Windows,
        Self::Freeze,
        Self::Actions,
        Self::Regions,
        Self::Tags,
        Self::MaxTargets,
        Self::MaxFault,
        Self::MaxFaults,
        Self::Overlap,
        Self::Confirm,
    ];

    /// Its name in the project file and in `--override`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Approvals => "approvals",
            Self::Windows => "windows",
            Self::Freeze => "freeze",
            Self::Actions => "actions",
            Self::Regions => "regions",
            Self::Tags => "tags",
            Self::MaxTargets => "max_targets",
            Self::MaxFault => "max_fault",
            Self::MaxFaults => "max_faults",
            Self::Overlap => "overlap",
            Self::Confirm => "confirm",
        }
    }

    /// The guard of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.name() == name)
    }

    /// Whether a person with a reason may go on against it. In a drill only the calendar and other runs give way: everything else says that the drill
    /// itself is not the one that was allowed, and can be put right before. In an emergency everything gives way but a wrong account.
    #[must_use]
    pub const fn may_be_overridden(self, mode: Mode) -> bool {
        match mode {
            Mode::Emergency => !matches!(self, Self::Account),
            Mode::Rehearse | Mode::Drill => matches!(self, Self::Windows | Self::Freeze | Self::Overlap),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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

impl Decision {
    /// Whether the run must not begin because of it: it refuses, and nobody went on all the same.
    #[must_use]
    pub fn stands_in_the_way(&self) -> bool {
        self.outcome == Outcome::Refuses && self.overridden.is_none()
    }

    /// Whether a person must be asked first.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.outcome == Outcome::Warns && self.overridden.is_none()
    }

    /// What the name says it is.
    #[must_use]
    pub fn of(&self) -> Option<Guard> {
        Guard::named(&self.guard)
    }
}
