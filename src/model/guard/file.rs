//! The `guards:` of an environment as written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::freeze::FreezeEntry;
use super::window::Window;
use crate::model::call::Cloud;
use crate::model::glob::Glob;
use crate::model::time::Span;

/// What a run in this environment must keep to. A drill that does not is refused; in an emergency each guard warns and asks instead. `lifeboat plan`
/// shows how each would decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardsFile {
    /// How many people other than the one who starts the run must have approved exactly this with `lifeboat approve`: a number, or `count`, `of` and
    /// `deadline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// When runs may begin: one of these must be open, such as `Tue-Thu 10:00-16:00 Asia/Shanghai`. Can be overridden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// When they may not: a file beside the project file, or the entries themselves. Can be overridden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeFile>,
    /// Which actions that change anything may be used, faults included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<ActionLists>,
    /// The regions that may be acted in, by cloud; a cloud that is not named may be acted in everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionLists>,
    /// Tags that everything acted on must carry: instances, images, vSwitches, synchronisation jobs, and for a route its table. DNS records cannot carry any, which
    /// is said. What a command or a request to a server acts on nobody can tell: it is held to lack them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// How many different things one run may act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_targets: Option<u32>,
    /// The longest that a fault may stand: no scenario may ask for a longer `limit` or `lease`. One that says no `limit` gets this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fault: Option<Span>,
    /// How many faults may stand in this environment at once, this run's included; 0 = none may be injected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_faults: Option<u32>,
    /// Whether the environment's name must be typed on the terminal, or given with `--confirm NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

impl GuardsFile {
    /// Whether nothing is written that could ever refuse anything: then there are no guards.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let Self { approvals, windows, freeze, actions, regions, tags, max_targets, max_fault, max_faults, confirm } = self;
        let is_frozen = freeze.as_ref().is_some_and(|freeze| !matches!(freeze, FreezeFile::Entries(entries) if entries.is_empty()));
        let is_listed = actions.as_ref().is_some_and(|lists| lists.allow.is_some() || !lists.deny.is_empty());
        let is_placed = regions.as_ref().is_some_and(|lists| lists.aws.is_some() || lists.aliyun.is_some());
        let is_limited = max_targets.is_some() || max_fault.is_some() || max_faults.is_some();
        let is_asked = approvals.is_some() || confirm.is_some();
        windows.is_empty() && tags.is_empty() && !is_frozen && !is_listed && !is_placed && !is_limited && !is_asked
    }
}

/// How a run is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// By typing the name of the environment.
    TypeTheName,
}

/// Approvals before a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approvals {
    /// How many different people.
    pub count: u32,
    /// The login names of those who may; empty = anyone but the one who starts the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// How long after it was given an approval may be used; without it as long as the approver said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
}

/// The long form of approvals as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Long {
    /// How many different people.
    #[schemars(range(min = 1, max = 20))]
    count: u32,
    /// The login names of those who may; without it anyone but the one who starts the run.
    #[serde(default)]
    of: Vec<String>,
    /// How long after it was given an approval may be used; without it as long as the approver said.
    deadline: Option<Span>,
}

impl<'de> Deserialize<'de> for Approvals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = Approvals;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of approvers, or a map with `count`")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Approvals, E> {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                checked(Approvals { count, of: Vec::new(), deadline: None })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Approvals, A::Error> {
                let Long { count, of, deadline } = Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
                checked(Approvals { count, of, deadline })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// More people than this are never asked.
const MOST_APPROVERS: u32 = 20;

fn checked<E: de::Error>(approvals: Approvals) -> Result<Approvals, E> {
    let Approvals { count, of, .. } = &approvals;
    if !(1..=MOST_APPROVERS).contains(count) {
        return Err(E::custom(format!("{count} approvers is out of range; write 1 to {MOST_APPROVERS}, or leave `approvals` out")));
    }
    if let Some(twice) = of.iter().enumerate().find(|(index, name)| of[..*index].contains(name)) {
        return Err(E::custom(format!("`{}` is named twice in `of`; write each name once", twice.1)));
    }
    if !of.is_empty() && of.len() < *count as usize {
        return Err(E::custom(format!("{count} approvers cannot be found among {}; write more names in `of`, or a smaller `count`", of.len())));
    }
    Ok(approvals)
}

impl JsonSchema for Approvals {
    fn schema_name() -> Cow<'static, str> {
        "Approvals".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<Long>();
        json_schema!({
            "description": "How many other people must approve: a number, or `count`, `of` and `deadline`.",
            "oneOf": [{ "type": "integer", "minimum": 1, "maximum": MOST_APPROVERS }, long]
        })
    }
}

/// A freeze calendar as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FreezeFile {
    /// A file, relative to the project file.
    At(String),
    /// The entries themselves.
    Entries(Vec<FreezeEntry>),
}

impl<'de> Deserialize<'de> for FreezeFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = FreezeFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a file, or a list of freezes")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<FreezeFile, E> {
                if path.is_empty() {
                    Err(E::custom("no file is named; write its path, like freezes.yaml"))
                } else {
                    Ok(FreezeFile::At(path.to_owned()))
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<FreezeFile, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(FreezeFile::Entries)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for FreezeFile {
    fn schema_name() -> Cow<'static, str> {
        "Freeze".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<FreezeEntry>();
        json_schema!({
            "description": "When no run begins: the path of a file relative to the project file, or the entries themselves.",
            "oneOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": entry }]
        })
    }
}

/// Which actions may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionLists {
    /// One of these must fit; without it every action does that is not denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Glob>>,
    /// None of these may fit; goes before `allow`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Glob>,
}

/// Which regions may be acted in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionLists {
    /// Of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Vec<String>>,
    /// Of Alibaba Cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliyun: Option<Vec<String>>,
}

impl RegionLists {
    /// The regions of one cloud; `None` = all.
    #[must_use]
    pub fn of(&self, cloud: Cloud) -> Option<&[String]> {
        match cloud {
            Cloud::Aws => self.aws.as_deref(),
            Cloud::Aliyun => self.aliyun.as_deref(),
        }
    }
}
