//! The project file `lifeboat.yaml` as written: environments, shared probes, how reports look.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Cloud;
use super::domain::zone_key;
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
    /// The AWS side. Of a lab only the `region`: one of its world's, without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsFile>,
    /// The Alibaba Cloud side. Of a lab only the `region`: one of its world's, without it the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliyun: Option<AliyunFile>,
    /// How probes resolve names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsFile>,
    /// What a drill here is, for the report: `component`, `parallel`, `live_partial` or `live_full`. What can be seen goes before it: in the lab, and where
    /// calls go to other hosts than the vendors' own, every run is `simulated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<Exercise>,
    /// Which cloud serves which DNS zone, by the zone's name or id as steps write it. Needed where the environment has both clouds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<String, ZoneFile>,
    /// What a run here must keep to. Real clouds need them for a drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardsFile>,
    /// Whose signatures count as approvals here: login names, each with the line of an Ed25519 public key as in `id_ed25519.pub`. Where they are listed,
    /// nothing but a signature is an approval; without them it is the user who owns the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvers: BTreeMap<String, String>,
    /// The group of the system (its name or number) that shares the runs here: its members may read, abort and resume them. Without it a run is worked with
    /// by the user that began it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How the marks are signed that a fault leaves on cloud objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<MarksFile>,
    /// What expressions see as `vars`.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// The world file of the lab, relative to this file; without it the shipped shop. `lifeboat lab --print-world` prints one to begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
    /// Settings of the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<LabFile>,
}

/// How the marks of faults are signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarksFile {
    /// The key, `{ secret: "file:PATH" }` or `{ secret: "env:NAME" }`: 16 characters or more that nobody can guess. Drills sign with it, and the reaper believes
    /// nothing else; where they run on several machines or as several users, all have the same. Without it there is a key of each user's for each
    /// environment, made when it is first needed.
    pub key: SecretFile,
}

/// A secret by reference.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// Where it is: `env:NAME` or `file:PATH`.
    pub secret: String,
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

/// Who serves a DNS zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneFile {
    /// The cloud whose name servers answer for it: `aws` (Route 53) or `aliyun` (Alidns).
    pub provider: Cloud,
    /// Its id there, where several zones have this name: `Z…` of Route 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Which cloud serves which zone, as an environment says it. An answer of one provider never decides about the other: nobody is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zones {
    /// By [`zone_key`].
    written: BTreeMap<String, ZoneFile>,
    /// The clouds that the environment has.
    clouds: Vec<Cloud>,
    /// Its name, for messages.
    environment: String,
}

/// Why it cannot be told who serves a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaid {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub hint: String,
}

impl Zones {
    /// Of the environment of this name.
    #[must_use]
    pub fn of(environment: &str, clouds: impl IntoIterator<Item = Cloud>, written: &BTreeMap<String, ZoneFile>) -> Self {
        let written = written.iter().map(|(zone, file)| (zone_key(zone), file.clone())).collect();
        Self { written, clouds: clouds.into_iter().collect(), environment: environment.to_owned() }
    }

    /// The cloud that serves `zone`, and what the zone is to be called there. `written`: the `provider` of the step. Where neither says so, the only
    /// cloud there is.
    ///
    /// # Errors
    /// When nothing tells, when step and environment contradict each other, and when the environment has no such cloud.
    pub fn provider(&self, zone: &str, written: Option<Cloud>) -> Result<(Cloud, String), Unsaid> {
        let known = self.written.get(&zone_key(zone));
        let called = known.and_then(|known| known.id.clone()).unwrap_or_else(|| zone.to_owned());
        let environment = &self.environment;
        let cloud = match (written, known.map(|known| known.provider), self.clouds.as_slice()) {
            (Some(step), Some(environment_says), _) if step != environment_says => {
                let message =
                    format!("the step says that {step} serves the zone `{zone}`, the environment `{environment}` that {environment_says} does");
                return Err(Unsaid { message, hint: format!("correct `provider` in the step or under `zones` of `{environment}`") });
            }
            (Some(cloud), ..) | (None, Some(cloud), _) | (None, None, &[cloud]) => cloud,
            (None, None, []) => {
                return Err(Unsaid {
                    message: format!("the environment `{environment}` has no cloud"),
                    hint: "give it `aws` or `aliyun`".to_owned(),
                });
            }
            (None, None, _) => {
                let message = format!("nothing says which cloud serves the zone `{zone}`, and the environment `{environment}` has two");
                let hint = format!(
                    "write `zones: {{ {}: {{ provider: aws }} }}` (or aliyun) in the environment `{environment}`, or `provider: aws` in the step",
                    zone_key(zone)
                );
                return Err(Unsaid { message, hint });
            }
        };
        if !self.clouds.contains(&cloud) {
            let message = format!("the zone `{zone}` is served by {cloud}, which the environment `{environment}` does not have");
            return Err(Unsaid { message, hint: format!("give it `{cloud}: {{ region: … }}` in lifeboat.yaml") });
        }
        Ok((cloud, called))
    }
}

/// How probes resolve names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsFile {
    /// `host:port` of the server asked; without it the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(clouds: &[Cloud]) -> Zones {
        let written = [("Example.com.", Cloud::Aws, Some("Z2")), ("例子.cn", Cloud::Aliyun, None), ("Z0PRIVATE", Cloud::Aws, None)];
        let written = written.map(|(zone, provider, id)| (zone.to_owned(), ZoneFile { provider, id: id.map(str::to_owned) }));
        Zones::of("staging", clouds.iter().copied(), &written.into())
    }

    #[test]
    fn what_is_written_decides_and_one_cloud_alone_needs_no_word() {
        let both = zones(&[Cloud::Aws, Cloud::Aliyun]);
        let told = |zone: &str, written| both.provider(zone, written).map_err(|unsaid| format!("{}; {}", unsaid.message, unsaid.hint));
        assert_eq!(told("example.com", None), Ok((Cloud::Aws, "Z2".to_owned())), "the id of several of a name");
        assert_eq!(told("xn--fsqu00a.cn.", None).map(|told| told.0), Ok(Cloud::Aliyun), "however it is written");
        assert_eq!(told("/hostedzone/Z0PRIVATE", None).map(|told| told.0), Ok(Cloud::Aws));
        assert_eq!(told("example.org", Some(Cloud::Aliyun)), Ok((Cloud::Aliyun, "example.org".to_owned())));
        let unsaid = told("example.org.", None).unwrap_err();
        assert!(unsaid.contains("has two") && unsaid.contains("zones: { example.org: { provider: aws } }"), "{unsaid}");
        assert!(told("example.com", Some(Cloud::Aliyun)).unwrap_err().contains("the step says that aliyun serves"));
        let one = zones(&[Cloud::Aliyun]);
        assert_eq!(one.provider("example.org.", None).unwrap().0, Cloud::Aliyun, "whatever it ends with");
        assert!(one.provider("example.com", None).unwrap_err().message.contains("does not have"));
    }
}
