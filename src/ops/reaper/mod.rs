//! Undoing faults whose lease has ended, by their marks alone: no journal, no runs folder, on any machine that may read tags and undo.
//!
//! - `undo`: taking one fault out.
//!
//! Every step is idempotent. Two reapers and an owner that comes late undo the same thing the same way; whoever is second finds it done.

#[cfg(test)]
mod alike;
mod undo;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tracing::info;

use super::marks::Signer;
use super::marks::WorldMarker;
use super::marks::search::{Standing, everywhere};
use crate::engine::clock::RunClock;
use crate::engine::lease::Anchor;
use crate::model::plain;
use crate::model::time::{Span, Timestamp};
use crate::ports::{Cloud, Kind};
use crate::world::World;

/// What looks for marks and acts upon those that have expired.
#[derive(Debug)]
pub struct Reaper {
    world: Arc<World>,
    marker: WorldMarker,
    options: Options,
}

/// How a reaper works.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Regions to search besides the environment's own.
    pub regions: Vec<(Cloud, String)>,
    /// How long after its end a lease is left alone: clocks of two machines differ.
    pub grace: Duration,
    /// Whether to say what would be undone instead of undoing it.
    pub dry_run: bool,
    /// Whether marks are believed that the environment has not signed: those of an earlier Lifeboat, or of a key that is lost.
    pub unsigned: bool,
    /// Only the faults of this run, whether their lease has ended or not.
    pub run: Option<String>,
}

/// One mark, or one place that could not be searched, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// The run that injected the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    /// When its lease ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What the marks are on.
    pub objects: Vec<Anchor>,
    /// More about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What came of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its lease has not ended; left alone.
    Standing,
    /// Undone, and its marks removed.
    Undone,
    /// Nothing was left to undo; its marks were removed.
    Already,
    /// Would be undone, were this not a dry run.
    WouldUndo,
    /// Somebody renewed it, undid it or removed its marks meanwhile; left alone.
    Meanwhile,
    /// Somebody else has changed what undo would restore; left alone, with its marks.
    Conflict,
    /// Undo did not work; its marks stay, so that it is tried again.
    Failed,
    /// Not signed by the environment: whoever may write tags may have made it up. Left alone.
    Unsigned,
    /// No mark that may be acted upon: torn, of another version, not a fault's, or copied to an object that is not the fault's.
    Foreign,
    /// This place could not be searched: whether there are marks is not known.
    Unsearched,
}

impl Outcome {
    /// Whether a fault may stand that should not.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Conflict | Self::Failed | Self::Foreign | Self::Unsigned | Self::WouldUndo)
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Undone => "undone",
            Self::Already => "already",
            Self::WouldUndo => "would undo",
            Self::Meanwhile => "meanwhile",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::Unsigned => "unsigned",
            Self::Foreign => "foreign",
            Self::Unsearched => "unsearched",
        }
    }
}

impl Reaper {
    /// A reaper of this world. `checker` tells whose marks are acted upon, or says why that cannot be told.
    #[must_use]
    pub fn new(world: Arc<World>, checker: Result<Signer, String>, options: Options) -> Self {
        Self { marker: WorldMarker::new(Arc::clone(&world), checker), world, options }
    }

    /// Looks everywhere once and acts upon what has expired; `tell` hears of each mark as soon as its fate is known.
    pub async fn sweep(&self, tell: &(dyn Fn(&Finding) + Send + Sync)) -> Vec<Finding> {
        info!(regions = self.options.regions.len(), dry_run = self.options.dry_run, "reaper looks");
        let mut told = Vec::new();
        let mut say = |finding: Finding| {
            tell(&finding);
            told.push(finding);
        };
        let search = everywhere(&self.world, &self.options.regions, self.marker.checker()).await;
        for error in search.failed {
            // A cloud that the environment does not have holds no marks.
            if error.kind != Kind::Unconfigured {
                say(Finding { detail: error.to_string(), ..Finding::of(Outcome::Unsearched, Vec::new()) });
            }
        }
        for (anchor, why) in search.unreadable {
            say(Finding {
                detail: format!("{why}; see that no fault stands there, then remove the tags `lifeboat:…`"),
                ..Finding::of(Outcome::Foreign, vec![anchor])
            });
        }
        let run = self.options.run.as_deref();
        for standing in search.standing.into_iter().filter(|standing| run.is_none_or(|run| standing.mark.run == run)) {
            let (outcome, detail) = self.judge(&standing).await;
            let Standing { mark, objects, .. } = standing;
            say(Finding {
                run: Some(mark.run),
                step: Some(mark.step),
                uses: Some(mark.uses),
                until: Some(mark.until),
                detail,
                ..Finding::of(outcome, objects)
            });
        }
        info!(findings = told.len(), bad = told.iter().filter(|finding| finding.outcome.is_bad()).count(), "reaper has looked");
        told
    }

    async fn judge(&self, standing: &Standing) -> (Outcome, String) {
        let why = match &standing.signature {
            Err(why) if !self.options.unsigned => {
                let detail = format!(
                    "{why}; left alone: see whether its fault stands there, then take it out with `lifeboat reaper --unsigned`, or remove the tags `lifeboat:…`"
                );
                return (Outcome::Unsigned, detail);
            }
            Err(why) => Some(why),
            Ok(()) => None,
        };
        let (outcome, detail) = self.judge_by_lease(standing).await;
        // What is believed all the same is said.
        (outcome, why.map_or_else(|| detail.clone(), |why| format!("{detail} (believed although {why})")))
    }

    async fn judge_by_lease(&self, standing: &Standing) -> (Outcome, String) {
        // Read each time: a reaper lives long, and a clock that was set right must not be ignored.
        let now = RunClock::start().now();
        let left = standing.mark.until.plus(self.options.grace).since(now);
        if !left.is_zero() && self.options.run.is_none() {
            let lease = standing.mark.until.since(now);
            let what =
                if lease.is_zero() { format!("its lease has ended; grace for {} more", spoken(left)) } else { format!("{} left", spoken(lease)) };
            return (Outcome::Standing, what);
        }
        let over = match self.options.run {
            None => format!("its lease ended {} ago", spoken(now.since(standing.mark.until))),
            Some(_) => String::new(),
        };
        let (outcome, detail) = undo::take_out(self, standing, now).await;
        (outcome, if detail.is_empty() { over } else { detail })
    }
}

impl Finding {
    fn of(outcome: Outcome, objects: Vec<Anchor>) -> Self {
        Self { at: RunClock::start().now(), outcome, run: None, step: None, uses: None, until: None, objects, detail: String::new() }
    }

    /// As one line for people.
    #[must_use]
    pub fn text(&self) -> String {
        let whose: Vec<&str> = [&self.run, &self.step, &self.uses].into_iter().flatten().map(String::as_str).collect();
        let objects: Vec<String> = self.objects.iter().map(|object| format!("{} {}", object.kind, object.id)).collect();
        let on = if objects.is_empty() { String::new() } else { format!("on {}", objects.join(", ")) };
        let parts: Vec<String> = [whose.join(" "), on].into_iter().filter(|part| !part.is_empty()).collect();
        let detail = if self.detail.is_empty() { String::new() } else { format!(": {}", self.detail) };
        let line = format!("{:10}  {}{detail}", self.outcome.word(), parts.join(" "));
        // Whoever may write tags wrote most of it.
        plain::line(&line.replace("  : ", "  ")).into_owned()
    }
}

/// To the second.
fn spoken(span: Duration) -> Span {
    Span::from_secs(span.as_secs())
}
