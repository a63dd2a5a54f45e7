//! A run as resolved: what the engine executes and the journal's first event carries. Everything that does not need a step's output is evaluated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::format::Version;
use super::ids::{Part, StepKey};
use super::realism::{Exercise, Realism};
use super::scope::Scope;
use super::target::Target;
use super::text::Text;
use super::time::{Span, Timestamp};
use super::whereabouts::Whereabouts;

/// The resolved run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the format in which it was written.
    pub version: Version,
    /// Version of the Lifeboat that made it; empty in plans of old.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tool: String,
    /// The scenario's or runbook's file name without extension.
    pub name: String,
    /// What people call it.
    pub title: Text,
    /// More about it.
    #[serde(default)]
    pub description: Text,
    /// Why it runs.
    pub mode: Mode,
    /// Name of the environment.
    pub environment: String,
    /// How real it is.
    #[serde(default, skip_serializing_if = "Realism::is_unknown")]
    pub realism: Realism,
    /// The IANA zone in which the report shows times beside UTC.
    pub zone: String,
    /// What expressions see as `env` and `vars`, and with it the world that the run is in. Secrets are references here, never values.
    pub scope: Scope,
    /// When the disruption began, if somebody declared it (`--since`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Objectives by probe id.
    pub objectives: BTreeMap<String, Objective>,
    /// Controls of the compliance frameworks this drill is meant to support, as written.
    #[serde(default)]
    pub controls: Vec<String>,
    /// Every probe that runs, in order of id.
    pub probes: Vec<ProbePlan>,
    /// Gates the injection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_state: Option<SteadyState>,
    /// The fault to inject; none in an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultPlan>,
    /// What must notice the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<Detect>,
    /// The recovery.
    pub failover: RunbookPlan,
    /// What recovery means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovered>,
    /// The way back, after the fault was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<RunbookPlan>,
    /// Whether a passed run leaves the failover as it is (`--no-failback`); the fault is taken out all the same.
    #[serde(default)]
    pub leave: bool,
    /// Probes of the source side itself: after the fault was taken out, undo and failback wait until they are good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The runbook that leads back to the source side, as a command line in the project's folder names it: what is offered before anything is undone
    /// that serves users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// The probe that reads which share of the requests the target of the failover gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// What makes the run abort by itself.
    #[serde(default)]
    pub stop_conditions: Vec<StopCondition>,
    /// Whether it begins without relying on the source side (`--ungraceful`).
    #[serde(default)]
    pub ungraceful: bool,
    /// How long it may take.
    #[serde(default)]
    pub limits: Limits,
    /// What each step acts on, by its key, as it was found when the plan was made; absent where that could not be known then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frozen: BTreeMap<String, BTreeSet<String>>,
    /// The flags that change what happens, as they were given beside the files: approved together with them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, Value>,
    /// The files beside the definitions that its actions and probes run or read, as they were when the plan was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Definition>,
    /// Whose signatures count as approvals in its environment: names, with the line of a public key each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvers: BTreeMap<String, String>,
    /// The files this plan was made from.
    pub definitions: Vec<Definition>,
}

impl Plan {
    /// The step of a key such as `failover/start`, or `failover/start[3]`; the fault is none.
    #[must_use]
    pub fn step(&self, key: &str) -> Option<&StepPlan> {
        let StepKey { part, id, .. } = StepKey::parse(key)?;
        self.runbook(part)?.steps.iter().find(|step| step.id == id)
    }

    /// The runbook of a part; the fault has none.
    #[must_use]
    pub fn runbook(&self, part: Part) -> Option<&RunbookPlan> {
        match part {
            Part::Fault => None,
            Part::Failover => Some(&self.failover),
            Part::Failback => self.failback.as_ref(),
        }
    }

    /// Its runbooks.
    pub fn runbooks(&self) -> impl Iterator<Item = (Part, &RunbookPlan)> {
        Part::RUNBOOKS.into_iter().filter_map(|part| Some((part, self.runbook(part)?)))
    }

    /// The steps of its runbooks with their keys, in order.
    pub fn steps(&self) -> impl Iterator<Item = (String, &StepPlan)> {
        self.runbooks().flat_map(|(part, runbook)| runbook.steps.iter().map(move |step| (part.key(&step.id), step)))
    }

    /// Whether no real system is touched: in the lab, also by a runbook that is executed alone, or where calls go to other hosts than the vendors' own.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.is_in_lab() || !self.realism.hosts.is_empty()
    }

    /// Whether it runs in the lab.
    #[must_use]
    pub fn is_in_lab(&self) -> bool {
        self.mode == Mode::Rehearse || self.whereabouts().lab.is_some()
    }

    /// The world that it runs in.
    #[must_use]
    pub const fn whereabouts(&self) -> &Whereabouts {
        self.scope.whereabouts()
    }

    /// What kind of exercise it is. Facts go before what is declared; a real emergency is none, and of a drill that nobody says anything of it is not known.
    #[must_use]
    pub fn exercise(&self) -> Option<Exercise> {
        match self.mode {
            _ if self.is_simulated() => Some(Exercise::Simulated),
            Mode::Emergency => None,
            Mode::Rehearse | Mode::Drill => self.realism.declared,
        }
    }

    /// In what the targets that a step finds differ from those of the plan, in one line; `None` when they are the same, or were not known.
    #[must_use]
    pub fn strayed(&self, key: &str, found: &[Target]) -> Option<String> {
        let frozen = self.frozen.get(key)?;
        let found = Target::keys(found);
        let said =
            |sign: char, names: std::collections::btree_set::Difference<'_, String>| names.map(|name| format!("{sign} {name}")).collect::<Vec<_>>();
        let lines = [said('+', found.difference(frozen)), said('−', frozen.difference(&found))].concat();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    /// Whether people are given time to retry this step, or to do without it, once it has failed for good.
    #[must_use]
    pub fn may_be_mended(&self, key: &str) -> bool {
        self.step(key).is_some_and(|step| self.lets_mend(step))
    }

    /// The same of a step that is at hand.
    #[must_use]
    pub fn lets_mend(&self, step: &StepPlan) -> bool {
        !self.limits.patience.duration().is_zero() && step.on_failure != OnFailure::Continue && !step.asks_people()
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The whole way there; then a drill aborts and an emergency stops.
    pub run: Span,
    /// Taking everything back; what is not back by then is left to a person, with the command that tries again.
    pub undo: Span,
    /// How long a step that has failed for good waits for a person to retry or skip it; 0 = not at all.
    pub patience: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self { run: Span::from_secs(3600), undo: Span::from_secs(600), patience: Span::from_secs(0) }
    }
}

/// Why a run runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// In the lab.
    Rehearse,
    /// Against an environment, with a fault that is always taken out again.
    Drill,
    /// No fault; nothing is undone unasked.
    Emergency,
}

/// What must be reached for one probe's service or data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Recovery time objective: from the first effect on users to restored service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<Span>,
    /// Recovery time objective for users who keep the answers of DNS for as long as they may: what was measured and, after a failover that changes DNS, the longest TTL
    /// before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_cached: Option<Span>,
    /// Recovery point objective: how much committed data, in time, may be missing on the survivor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<Span>,
    /// Service level objective, whose error budget an outage spends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
}

/// How much of the time a service must be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Per cent of the window, such as 99.9.
    pub target: Percent,
    /// The window, such as 30d.
    pub window: Span,
}

impl Slo {
    /// For how long it may be bad within the window, nanoseconds.
    #[must_use]
    pub fn budget(self) -> i64 {
        let window = self.window.duration().as_nanos();
        i64::try_from(window * u128::from(Percent::ALL - self.target.0) / u128::from(Percent::ALL)).unwrap_or(i64::MAX)
    }
}

/// A share above 0 and below 100 per cent, in parts of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u32);

impl Percent {
    /// All of it.
    const ALL: u32 = 1_000_000;
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 10_000.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let percent = f64::deserialize(deserializer)?;
        let parts = (percent * 10_000.0).round();
        if parts < 1.0 || parts >= f64::from(Self::ALL) || parts.is_nan() {
            return Err(serde::de::Error::custom(format!("{percent} is not a share above 0 and below 100 per cent, such as 99.9")));
        }
        // Between 1 and a million, and whole.
        Ok(Self(parts as u32))
    }
}

impl schemars::JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100, "description": "Per cent, such as 99.9." })
    }
}

/// A probe as it will run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbePlan {
    /// Its name in this run.
    pub id: String,
    /// What people call it; empty = the id.
    #[serde(default)]
    pub title: Text,
    /// Its kind, a word of the catalogue.
    pub uses: String,
    /// Its parameters.
    pub with: Value,
    /// Time between the starts of two samples.
    pub every: Span,
    /// Closer sampling while it is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub while_bad: Option<CloserPlan>,
    /// The longest a sample may take (the probe's own `timeout` parameter, else the kind's default).
    pub timeout: Span,
    /// Consecutive bad samples that mean down.
    pub bad_after: u32,
    /// Consecutive good samples that mean recovered.
    pub good_after: u32,
    /// Whether its outages are a client-facing service's outages (kind `http`, unless the file says otherwise).
    pub service: bool,
    /// Whether it reads an alarm of the monitoring that is on duty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_duty: bool,
    /// As which clients it asks, whose experience its outages are; none = it is no client of a service, but reads data, names or what monitoring says.
    #[serde(default, skip_serializing_if = "std::collections::BTreeSet::is_empty")]
    pub clients: std::collections::BTreeSet<ClientModel>,
}

/// What a client keeps from one request to the next, and with it how soon it notices that a name leads elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientModel {
    /// Nothing: it resolves the name and connects anew for each.
    ResolvesAnew,
    /// Answers of DNS, until their TTL is over.
    KeepsNames,
    /// Its connection, for as long as the other side answers on it.
    KeepsConnections,
}

impl ClientModel {
    /// A client that keeps nothing.
    #[must_use]
    pub fn anew() -> std::collections::BTreeSet<Self> {
        std::collections::BTreeSet::from([Self::ResolvesAnew])
    }
}

/// How a probe samples while it is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloserPlan {
    /// Time between the starts of two samples.
    pub every: Span,
    /// The most time in all of a run that is sampled so closely.
    pub budget: Span,
}

/// The probes that must be good before injecting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteadyState {
    /// Probe ids.
    pub probes: Vec<String>,
    /// For how long without a bad sample.
    pub hold: Span,
    /// How long to wait for that before giving up.
    pub timeout: Span,
}

/// A fault: an action that is held until undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// The action.
    pub uses: String,
    /// Its parameters.
    pub with: Value,
    /// How long it may stand without its run renewing it; then whoever looks takes it out.
    pub lease: Span,
    /// How long it may stand in all, however often its lease is renewed.
    #[serde(default = "half_an_hour")]
    pub limit: Span,
    /// How long injecting may take.
    pub timeout: Span,
}

fn half_an_hour() -> Span {
    Span::from_secs(1800)
}

/// Which probe must go bad, and how soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detect {
    /// Probe id.
    pub probe: String,
    /// After this the drill is inconclusive: the fault was never seen.
    pub timeout: Span,
}

/// What recovery means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Probe ids that must all be good.
    pub probes: Vec<String>,
    /// For how long without a bad sample.
    pub stable_for: Span,
    /// How long to wait for that after the last step of the failover.
    pub timeout: Span,
}

/// Which probes tell that the source side is back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Probe ids that must all be good.
    pub probes: Vec<String>,
    /// After this, going back goes on all the same, and the report says so.
    pub timeout: Span,
}

/// When the run aborts by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCondition {
    /// Probe id.
    pub probe: String,
    /// The state that triggers it.
    pub is: ProbeState,
    /// For how long it must last.
    pub lasts: Span,
}

/// What a probe says after `bad_after` and `good_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProbeState {
    /// As expected.
    Good,
    /// Not as expected.
    Bad,
}

/// A runbook with everything filled in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunbookPlan {
    /// The file it came from, as the scenario names it.
    pub file: String,
    /// What people call it.
    pub title: Text,
    /// Values of its parameters.
    pub parameters: Value,
    /// In the order of the file; `needs` decides what waits for what.
    pub steps: Vec<StepPlan>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// Unique within its runbook.
    pub id: String,
    /// What people call it; empty = the id.
    #[serde(default)]
    pub title: Text,
    /// The action.
    pub uses: String,
    /// Its parameters; strings may still hold `${{ … }}` over `steps` and `item`.
    pub with: Value,
    /// Ids of the steps of the same runbook that must be done before.
    #[serde(default)]
    pub needs: Vec<String>,
    /// An expression (without `${{ }}`); the step is skipped when it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// For one attempt.
    pub timeout: Span,
    /// How often to try.
    pub retry: Retry,
    /// What a failure of all attempts means for the run.
    pub on_failure: OnFailure,
    /// Whether the recovery counts as failed without it; also marks the steps that end before traffic moves.
    pub critical: bool,
    /// What is different about it once the source side is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ungraceful: Option<Ungraceful>,
    /// Run once for each item, as `step[0]`, `step[1]`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// Whether it acts on whatever is there when it runs, not only on what was there when the plan was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
}

impl StepPlan {
    /// Whether it is a question to people itself: who said no, or did not answer in time, is not waited for once more.
    #[must_use]
    pub fn asks_people(&self) -> bool {
        matches!(self.uses.as_str(), "approval" | "manual")
    }
}

/// What is different about a step when the source side is not relied upon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ungraceful {
    /// It is left out.
    Skip,
    /// These parameters take the place of those of the same name.
    With(serde_json::Map<String, Value>),
}

/// Repetition over a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// A list, or a string with one `${{ … }}` over `steps` that gives a list.
    pub items: Value,
    /// How many at once, at least 1.
    pub concurrency: u32,
}

/// How often a step is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// Wait before the second attempt; doubles each time, up to a minute.
    #[serde(default = "one_second")]
    pub backoff: Span,
}

fn one_second() -> Span {
    Span::from_secs(1)
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, backoff: one_second() }
    }
}

/// What a failed step means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Start no further step of this runbook; the drill goes on to undo everything and fails.
    #[default]
    Stop,
    /// Go on as if it had succeeded; said in the report.
    Continue,
    /// Undo this step at once, then as `stop`.
    Undo,
}

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Path as written or found, relative to the project file where possible.
    pub path: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// A stage of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Waiting for the probes to be good.
    SteadyState,
    /// Injecting the fault.
    Inject,
    /// Waiting for the fault to be noticed.
    Detect,
    /// Deciding to fail over.
    Decide,
    /// Running the failover.
    Failover,
    /// Waiting for stable recovery.
    Verify,
    /// Fault taken out; going back.
    Failback,
    /// Undoing what is left.
    Cleanup,
}

/// What a run came to. Exit codes 0, 2, 3, 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every objective met, every critical step done, everything restored.
    Pass,
    /// An objective missed, a critical step failed, or something could not be restored.
    Fail,
    /// It cannot be told: no impact seen, or a bound crosses its objective.
    Inconclusive,
    /// Stopped before it could be judged.
    Aborted,
}
