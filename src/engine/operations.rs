//! The vendor operations that a word calls, stated by its author: plans, permissions and reference pages come from this one list, and a test holds it against what is
//! really sent to the lab.

use std::collections::BTreeSet;

/// The vendor operations that an action may call, in the vendor's own words with the service before them, such as `ec2:StartInstances`. What hangs on the cloud that
/// serves a zone is there for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Operations {
    /// To see what is there and what would change; only reads.
    pub plan: &'static [&'static str],
    /// To change it, and to see that it is changed.
    pub apply: &'static [&'static str],
    /// To put it back, and to see that it is.
    pub undo: &'static [&'static str],
    /// To write a fault's marks, to read them and to remove them.
    pub marks: &'static [&'static str],
}

impl Operations {
    /// Of what calls no cloud.
    pub const NONE: Self = Self { plan: &[], apply: &[], undo: &[], marks: &[] };

    /// Of what only reads.
    #[must_use]
    pub const fn reading(plan: &'static [&'static str]) -> Self {
        Self { plan, apply: plan, ..Self::NONE }
    }

    /// All of them, each once.
    #[must_use]
    pub fn all(&self) -> BTreeSet<&'static str> {
        [self.plan, self.apply, self.undo, self.marks].concat().into_iter().collect()
    }
}
