//! The project file `lifeboat.yaml` as written: environments, shared probes, how reports look.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::guard::file::GuardsFile;
use super::lab::LabFile;
use super::realism::Exercise;
use super::written::{ProbeFile, Version};

/// The project file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectFile {
    /// Version of the language: 1.
    #[expect(dead_code, reason = "reading it checks it")]
    lifeboat: Version,
    /// Where runs run, by name. `lab` is there without being written.
    #[serde(default)]
    pub environments: BTreeMap<String, EnvironmentFile>,
    /// Probes that scenarios and runbooks share.
    #[serde(default)]
    pub probes: BTreeMap<String, ProbeFile>,
    /// The IANA time zone shown beside UTC in reports.
    #[serde(default = "utc")]
    pub zone: String,
    /// The folder of the runs, relative to this file.
    #[serde(default = "reports")]
    pub reports: String,
}

impl Default for ProjectFile {
    fn default() -> Self {
        Self { lifeboat: Version, environments: BTreeMap::new(), probes: BTreeMap::new(), zone: utc(), reports: reports() }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn reports() -> String {
    "reports".to_owned()
}

/// An environment: accounts, regions, variables, guards.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// The embedded lab, or real clouds.
    #[serde(default)]
    pub kind: EnvironmentKind,
    /// The AWS side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsFile>,
    /// The Alibaba Cloud side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliyun: Option<AliyunFile>,
    /// How probes resolve names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsFile>,
    /// What a drill here is, for the report: `component`, `parallel`, `live_partial` or `live_full`. What can be seen goes before it: in the lab, and where
    /// calls go to other hosts than the vendors' own, every run is `simulated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<Exercise>,
    /// What a run here must keep to. Real clouds need them for a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardsFile>,
    /// What expressions see as `vars`.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// Settings of the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<LabFile>,
}

/// What an environment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentKind {
    /// Real clouds, or what answers at custom endpoints.
    #[default]
    Cloud,
    /// The embedded simulated clouds.
    Lab,
}

/// The AWS side of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsFile {
    /// Profile of the shared configuration; without it the standard chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Region of regional calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account it must be, twelve digits in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// One URL for all services in place of the vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// The Alibaba Cloud side of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AliyunFile {
    /// Profile of `config.json`; without it the environment's variables, then the current profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Region of regional calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account it must be, sixteen digits in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// One URL for all services but OSS in place of the vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The URL of OSS in place of the vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oss_endpoint: Option<String>,
}

/// How probes resolve names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsFile {
    /// `host:port` of the server asked; without it the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}
