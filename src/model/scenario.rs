//! A scenario as written: a fault, the runbooks that must recover from it, and what recovery means.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::plan::{Objective, ProbeState};
use super::time::Span;
use super::written::{ProbeFile, Version, Words};

/// A scenario file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Version of the language: 1.
    #[expect(dead_code, reason = "reading it checks it")]
    lifeboat: Version,
    /// `scenario`.
    #[expect(dead_code, reason = "reading it checks it")]
    kind: ScenarioKind,
    /// What people call it.
    pub title: Words,
    /// More about it.
    #[serde(default)]
    pub description: Words,
    /// What must be reached, by probe.
    #[serde(default)]
    pub objectives: BTreeMap<String, Objective>,
    /// Controls of compliance frameworks that this drill is evidence for.
    #[serde(default)]
    pub controls: Vec<String>,
    /// Probes of its own; they go before the project's.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeFile>,
    /// The probes that must be good before the fault is injected.
    pub steady_state: Option<SteadyStateFile>,
    /// The fault.
    pub fault: FaultFile,
    /// Which probe must notice it.
    pub detect: Option<DetectFile>,
    /// The recovery.
    pub failover: RunbookRef,
    /// What recovery means.
    pub recovered: Option<RecoveredFile>,
    /// The way back.
    pub failback: Option<RunbookRef>,
    /// The probes of the source side itself: after the fault was taken out, going back waits until they are good.
    pub source: Option<SourceFile>,
    /// The probe that reads which share, from 0 to 1, the target of the failover gets: of users' requests (`prometheus`, or a cloud's metric, with a query of that share),
    /// or of Lifeboat's own (`http.share`). When it first stays at 0.95 the traffic has moved.
    pub traffic: Option<String>,
    /// What makes the run abort by itself.
    #[serde(default)]
    pub stop_conditions: Vec<StopConditionFile>,
}

/// The word that says what the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScenarioKind {
    /// A scenario.
    Scenario,
}

/// The probes that must be good before injecting.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteadyStateFile {
    /// Ids of probes.
    pub probes: Vec<String>,
    /// For how long without a bad sample.
    #[serde(default = "three_seconds")]
    pub hold: Span,
    /// How long to wait for that.
    #[serde(default = "two_minutes")]
    pub timeout: Span,
}

/// An action that harms; it is held until it is undone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultFile {
    /// The fault's word.
    pub uses: String,
    /// Its parameters.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// How long it may stand without its run renewing it: a run that is gone keeps no fault.
    pub lease: Span,
    /// How long it may stand in all, however often its lease is renewed; without it 30m, or `max_fault` of the environment's guards if that is less.
    pub limit: Option<Span>,
    /// How long injecting may take.
    #[serde(default = "two_minutes")]
    pub timeout: Span,
}

/// Which probe must go bad, and how soon.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectFile {
    /// Id of a probe.
    pub probe: String,
    /// After this the drill is inconclusive.
    #[serde(default = "two_minutes")]
    pub timeout: Span,
}

/// A runbook and the values of its parameters.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunbookRef {
    /// Path of the runbook, relative to this file.
    pub runbook: String,
    /// Values of its parameters.
    #[serde(default)]
    pub with: Map<String, Value>,
}

/// What recovery means.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveredFile {
    /// Ids of probes that must all be good.
    pub probes: Vec<String>,
    /// For how long without a bad sample.
    pub stable_for: Span,
    /// How long to wait for that after the last step.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
}

/// Which probes tell that the source side is back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Ids of probes that must all be good.
    pub probes: Vec<String>,
    /// After this, going back goes on all the same.
    #[serde(default = "two_minutes")]
    pub timeout: Span,
}

/// When the run aborts by itself.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopConditionFile {
    /// Id of a probe.
    pub probe: String,
    /// The state that triggers it.
    pub is: ProbeState,
    /// For how long it must last.
    #[serde(rename = "for")]
    pub lasts: Span,
}

fn three_seconds() -> Span {
    Span::from_secs(3)
}

fn two_minutes() -> Span {
    Span::from_secs(120)
}

fn ten_minutes() -> Span {
    Span::from_secs(600)
}
