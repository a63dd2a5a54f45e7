//! Events about the run as a whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::forecast::Forecast;
use crate::model::guard::Decision;
use crate::model::order::Order;
use crate::model::plan::{Plan, Stage, Verdict};
use crate::model::target::Target;
use crate::model::time::{Span, Timestamp};

/// By whom and where a run was begun. Programs that its definitions name are run again for nobody else and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The system's id of the user.
    pub user: u32,
    /// The working folder, in which programs are run.
    pub folder: String,
    /// The folder of the run.
    pub kept: String,
    /// The number of the journal's file on its disk: a copy has another.
    pub journal: u64,
}

/// What happened to the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The first event of every journal; a late reader needs nothing else to know what will happen.
    Started {
        /// The plan the run is pinned to.
        plan: Box<Plan>,
        /// SHA-256 of the plan's canonical JSON, lower-case hex.
        plan_sha256: String,
        /// Version of Lifeboat.
        tool: String,
        /// Who started it: the login name, where known.
        operator: String,
        /// The machine it runs on.
        host: String,
        /// Bound of the error of this host's wall clock, milliseconds; absent = not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock_error_ms: Option<f64>,
        /// By whom and where; absent in journals of old.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begun: Option<Begun>,
    },
    /// Another process took the run over.
    Resumed {
        /// Why: `resume`, `abort` or `accept`.
        to: String,
        /// Who did that: the login name, where known.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        by: String,
        /// How long a failed step waits for a person from now on; absent = as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patience: Option<Span>,
        /// Version of the Lifeboat that does it; empty in journals of old.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        tool: String,
    },
    /// A stage began.
    Stage {
        /// Which.
        stage: Stage,
    },
    /// The failover was decided.
    Decided {
        /// `automation`, or who.
        by: String,
        /// On what ground.
        basis: String,
    },
    /// No further step starts; with `abort` everything is undone.
    StopRequested {
        /// Whether to undo.
        abort: bool,
        /// Why, in one line.
        why: String,
        /// Who or what: `signal`, `stop-condition`, `lease`, `journal`, `engine`.
        by: String,
    },
    /// How the guards of the environment decided; follows the start, and comes again before each attempt to inject the fault.
    Guarded {
        /// One for each guard.
        decisions: Vec<Decision>,
        /// Whether they decided before: about a fault that is about to be injected.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// A person steered the run: paused it, went on, skipped or repeated a step, gave the source side up.
    Ordered {
        /// What was asked and done.
        #[serde(flatten)]
        order: Order,
        /// Who asked.
        by: String,
        /// Why, in one line.
        why: String,
    },
    /// The fault may stand until then; the marks on what it broke say so too.
    LeaseRenewed {
        /// When it runs out.
        until: Timestamp,
    },
    /// What one step or the fault would restore, read before anything was changed.
    Snapshot {
        /// The step.
        step: String,
        /// Its action.
        uses: String,
        /// Its resolved parameters.
        with: serde_json::Value,
        /// What was there.
        before: serde_json::Value,
        /// What it is about.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<Target>,
    },
    /// What the snapshots read as after everything was taken back.
    Baseline {
        /// Keys of the steps whose things are as they were.
        same: Vec<String>,
        /// What is not as it was.
        differences: Vec<Difference>,
    },
    /// What the run changed and keeps, read once more before it is judged: in an emergency, and in a drill that stays or was stopped.
    Kept {
        /// Keys of the steps whose things still are as they were made.
        same: Vec<String>,
        /// What is not: `before` is what the step made, `after` what is there now.
        moved: Vec<Difference>,
    },
    /// What was waited for was not seen in time.
    Unseen {
        /// What was waited for.
        awaited: Awaited,
        /// For how long.
        within: Span,
        /// The probes that did not show it, with what they showed instead.
        lacking: Vec<Lacking>,
    },
    /// What earlier runs let expect of this one.
    Forecast(Forecast),
    /// The single samples of the probes that this process took are in a file beside the journal.
    Samples(KeptSamples),
    /// Something a reader of the report must know.
    Note {
        /// One line.
        text: String,
    },
    /// The last event, unless a later `abort` takes back what the run left in place: then `resumed` follows.
    Ended {
        /// What it came to.
        verdict: Verdict,
        /// Why, one line each, most important first.
        reasons: Vec<String>,
    },
}

/// What a run waits for by its probes: each must have a good sample that was sent after the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// That the service has recovered.
    Recovery,
    /// That the source side is back once the fault was taken out.
    Source,
    /// That everything is as usual at the end.
    Normal,
}

/// A probe that did not show what was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// The probe.
    pub probe: String,
    /// What it showed instead.
    pub why: Lack,
    /// What its last sample said; of one without a sample since the last change, the time between two.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What a probe shows that does not show what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// Its last sample was bad.
    Bad,
    /// It was good, but not for as long as asked.
    Brief,
    /// Its last sample could not tell.
    Unread,
    /// It has no sample since the last change.
    Unsampled,
}

impl Lack {
    /// Whether it only says that nothing is known.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Unread | Self::Unsampled)
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recovery => "the recovery was not seen within",
            Self::Source => "the source side was not seen to be back within",
            Self::Normal => "the steady state was not seen to return within",
        })
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { probe, why, detail } = self;
        match why {
            Lack::Bad => write!(f, "{probe} is bad")?,
            Lack::Brief => write!(f, "{probe} was not good for long enough")?,
            Lack::Unread => write!(f, "{probe} could not be read")?,
            Lack::Unsampled if detail.is_empty() => write!(f, "{probe} has no sample sent after the last change")?,
            Lack::Unsampled => return write!(f, "{probe} has no sample sent after the last change (one every {detail})"),
        }
        if detail.is_empty() { Ok(()) } else { write!(f, " ({detail})") }
    }
}

/// All of them in one line.
#[must_use]
pub fn all_of(lacking: &[Lacking]) -> String {
    lacking.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A file of single samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSamples {
    /// Its name in the run's folder.
    pub file: String,
    /// How many samples it has.
    pub rows: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Something that is not as it was before the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The step that reads it.
    pub step: String,
    /// Where in what it reads, such as `vswitches.vsw-1`; empty = the whole.
    pub what: String,
    /// What was there, in one line.
    pub before: String,
    /// What is there now, in one line; or why it could not be read.
    pub after: String,
}

impl Difference {
    /// Whether nothing is known of it: `after` says why.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.what.is_empty() && self.before.is_empty()
    }
}
