//! Everything that guards are decided from: what is to run, where, when, by whom, and what others said to it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Freeze, Guard};
use crate::model::call::Cloud;
use crate::model::guard::file::GuardsFile;
use crate::model::plan::Mode;
use crate::model::target::Target;
use crate::model::time::{Span, Timestamp};

/// The guards of an environment, with their calendar read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// As written.
    pub file: GuardsFile,
    /// The entries of the calendar, wherever they are written.
    pub freezes: Vec<Freeze>,
}

/// What there is to know.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The moment at which the run would begin.
    pub now: Timestamp,
    /// Why it runs.
    pub mode: Mode,
    /// The environment's name.
    pub environment: String,
    /// Whether something real may be changed there: some call goes to a host that may be a vendor's.
    pub is_real: bool,
    /// The accounts of the environment's clouds.
    pub accounts: Vec<AccountFact>,
    /// The actions that change something: the step, and its word.
    pub actions: Vec<(String, String)>,
    /// The regions that steps act in.
    pub regions: Vec<RegionFact>,
    /// The fault.
    pub fault: Option<FaultFact>,
    /// What would be acted on, each thing once.
    pub targets: Vec<TargetFact>,
    /// Steps that cannot tell yet what they would act on.
    pub untold: Vec<String>,
    /// Who starts it.
    pub starter: Starter,
    /// The approvals that lie there for this environment.
    pub approvals: Vec<Approval>,
    /// Other runs whose fault stands in this environment.
    pub open_faults: Vec<String>,
    /// Why faults that stand there may not be known: where their marks could not be looked for, or not be read.
    pub unseen_faults: Vec<String>,
    /// Other runs on the same clouds that go on or were left.
    pub neighbours: Vec<NeighbourFact>,
    /// Whether the environment's name was given.
    pub confirmed: Confirmed,
    /// What the person who starts it takes upon themselves.
    pub overrides: Overrides,
}

/// The account of one cloud.
#[derive(Clone, Debug)]
pub struct AccountFact {
    /// Whose.
    pub cloud: Cloud,
    /// The one that the environment names.
    pub meant: Option<String>,
    /// The one that the credentials belong to.
    pub answer: Answer,
    /// Whether the plan certainly calls this cloud.
    pub is_needed: bool,
}

/// What came of asking for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This one.
    Is(String),
    /// Asking failed.
    Silent(String),
    /// There is nothing to ask with.
    NoCredentials(String),
    /// Nobody asked.
    NotAsked,
}

/// A region that a step names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionFact {
    /// The step; empty for the environment itself.
    pub step: String,
    /// Of which cloud.
    pub cloud: Cloud,
    /// Its name; `None` = only the run can tell.
    pub region: Option<String>,
}

/// The fault's times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultFact {
    /// How long it may stand without its run.
    pub lease: Span,
    /// How long it may stand in all.
    pub limit: Span,
}

/// One thing that would be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFact {
    /// The first step that acts on it.
    pub step: String,
    /// What it is.
    pub target: Target,
    /// Whether it carries the tags that are wanted.
    pub carries: Carries,
}

/// Whether something carries the wanted tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carries {
    /// All of them.
    All,
    /// Not all of them.
    NotAll,
    /// They could not be read, with the reason.
    Unread(String),
    /// No cloud lets things of its kind carry tags, or nobody wants to know.
    NoTags,
    /// Nobody can tell what it does to what.
    Untold,
}

/// Another run on the same clouds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourFact {
    /// Its id.
    pub run: String,
    /// Whether it goes on; else it was left with something.
    pub running: bool,
    /// Kind and id of everything that both act on.
    pub shared: Vec<String>,
}

/// A person of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// The user id, which the system vouches for.
    pub uid: u32,
    /// The login name of that id.
    pub name: String,
}

/// Whoever starts a run, under everything that is theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Starter {
    /// The person as whom the process runs.
    pub me: Person,
    /// Every user id of theirs: as whom the process runs and may run, as whom they logged in, as whom they asked to be somebody else.
    pub ids: BTreeSet<u32>,
    /// The login names of these, and of whoever else had a hand in the start.
    pub names: BTreeSet<String>,
}

impl Starter {
    /// Whether an approval is their own.
    #[must_use]
    pub fn is(&self, approval: &Approval) -> bool {
        let owns = match approval.voucher {
            Voucher::Owner { login } => self.ids.contains(&approval.who.uid) || login.is_some_and(|login| self.ids.contains(&login)),
            Voucher::Key(_) | Voucher::Nobody(_) => false,
        };
        owns || self.names.contains(&approval.who.name)
    }
}

/// What vouches for an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voucher {
    /// The system: the file is that user's.
    Owner {
        /// As whom its author had logged in, where that was somebody else.
        login: Option<u32>,
    },
    /// A signature, with the fingerprint of the key.
    Key(String),
    /// Nothing; why.
    Nobody(String),
}

/// Somebody approved something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub who: Person,
    /// What says that it was they.
    pub voucher: Voucher,
    /// When.
    pub at: Timestamp,
    /// Until when they meant it.
    pub until: Timestamp,
    /// In which parts what they approved is not what is to run; empty = it is exactly that.
    pub differs: Vec<String>,
}

/// Whether the environment's name was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// This was given as its name.
    Given(String),
    /// It was not.
    No,
    /// It is not asked for now, but will be.
    Later,
}

/// What was overridden, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Single guards, with the reason.
    pub of: BTreeMap<Guard, String>,
    /// Every guard that warns, with the reason.
    pub all: Option<String>,
}
