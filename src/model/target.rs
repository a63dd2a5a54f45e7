//! What an action acts on, stated by the action itself. Guards, locks, comparisons, marks and reports go by these facts and guess none.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::call::Cloud;

/// What a change is written with: what is there, and what it becomes.
const ARROW: &str = " → ";

/// One thing that an action acts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// The cloud that has it; absent = it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// The account that has it, where the environment names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region that has it; absent = it is in none, as DNS records are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The id that its cloud gave it, or the name by which it is called where it is: `i-0abc`, `rtb-1`, `shop.example.com.`.
    pub id: String,
    /// Which part of it: the destination of a route in its table, the label of a record under its name. Empty = the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// What people call it; says nothing of which it is. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What will change about it; absent = nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_change")]
    pub change: Option<Change>,
}

/// Where in the clouds something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The cloud.
    pub cloud: Cloud,
    /// The account, where the environment names one.
    pub account: Option<String>,
    /// The region; absent for what has none.
    pub region: Option<String>,
}

impl Location {
    /// The same cloud and account, in no region: where DNS is.
    #[must_use]
    pub fn without_region(mut self) -> Self {
        self.region = None;
        self
    }

    /// The same cloud and account, in another region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }
}

impl Target {
    /// Something in a cloud, about which nothing changes.
    pub fn at(location: &Location, kind: TargetKind, id: impl Into<String>) -> Self {
        let Location { cloud, account, region } = location.clone();
        Self { cloud: Some(cloud), account, region, ..Self::outside(kind, id) }
    }

    /// Something that is in no cloud, about which nothing changes.
    pub fn outside(kind: TargetKind, id: impl Into<String>) -> Self {
        Self { kind, cloud: None, account: None, region: None, id: id.into(), part: String::new(), name: String::new(), change: None }
    }

    /// A part of it.
    #[must_use]
    pub fn part(mut self, part: impl Into<String>) -> Self {
        self.part = part.into();
        self
    }

    /// With what people call it, unless that says no more than its id.
    #[must_use]
    pub fn called(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into()).filter(|name| *name != self.id).unwrap_or_default();
        self
    }

    /// With what changes about it.
    #[must_use]
    pub fn changing(mut self, change: impl Into<Option<Change>>) -> Self {
        self.change = change.into();
        self
    }

    /// Whether anything changes about it.
    #[must_use]
    pub const fn changes(&self) -> bool {
        self.change.is_some()
    }

    /// Which thing it is, whatever it is called and whatever changes: two targets with the same key are the same thing.
    #[must_use]
    pub fn key(&self) -> String {
        // Before they had fields of their own, part and name stood behind the id, the name in brackets.
        let id = self.id.split(" (").next().unwrap_or(&self.id);
        if self.part.is_empty() { format!("{} {id}", self.kind) } else { format!("{} {id} {}", self.kind, self.part) }
    }

    /// The keys of all of them.
    #[must_use]
    pub fn keys(targets: &[Self]) -> BTreeSet<String> {
        targets.iter().map(Self::key).collect()
    }

    /// Which of its kind, for people: id, part, and the name in brackets.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = self.id.clone();
        if !self.part.is_empty() {
            label = format!("{label} {}", self.part);
        }
        if self.name.is_empty() { label } else { format!("{label} ({})", self.name) }
    }

    /// The id by itself, as its cloud knows it.
    #[must_use]
    pub fn bare_id(&self) -> &str {
        self.id.split(' ').next().unwrap_or(&self.id)
    }

    /// Every text of it, to be masked.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Self { kind: _, cloud: _, account, region, id, part, name, change } = self;
        account.iter_mut().chain(region).chain([id, part, name]).chain(change.iter_mut().map(|change| &mut change.0))
    }
}

/// Kind and label.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.label())
    }
}

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A virtual machine.
    Instance,
    /// A vSwitch of Alibaba Cloud, a subnet of AWS.
    Vswitch,
    /// A region as this run itself reaches it.
    Region,
    /// A DNS record.
    Record,
    /// A route of a route table, which is the id; the destination is the part.
    Route,
    /// A machine image.
    Image,
    /// A data synchronisation job.
    SyncJob,
    /// What is in a bucket, or under a prefix of it.
    Objects,
    /// A table of a database, or what a key-value store has under a prefix.
    Table,
    /// A program of this machine.
    Command,
    /// An address that is asked.
    Url,
    /// A DNS name that is asked for.
    Name,
    /// A query to monitoring.
    Query,
    /// A probe of the plan.
    Probe,
}

/// What has the tags of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagsOf {
    /// An object of this kind, in the words of [`crate::ports::tags::Tagged`], with the target's own id.
    Object(&'static str),
    /// Nothing: no cloud lets this kind of thing have tags.
    Nothing,
    /// Nobody can tell: what a program or a server on the way does is its own affair.
    Unknown,
}

impl TargetKind {
    /// The word in journals and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Vswitch => "vswitch",
            Self::Region => "region",
            Self::Record => "record",
            Self::Route => "route",
            Self::Image => "image",
            Self::SyncJob => "sync-job",
            Self::Objects => "objects",
            Self::Table => "table",
            Self::Command => "command",
            Self::Url => "url",
            Self::Name => "name",
            Self::Query => "query",
            Self::Probe => "probe",
        }
    }

    /// What has its tags.
    #[must_use]
    pub const fn tags(self) -> TagsOf {
        match self {
            Self::Instance | Self::Vswitch | Self::Image | Self::SyncJob => TagsOf::Object(self.word()),
            // A route itself has none.
            Self::Route => TagsOf::Object("route-table"),
            Self::Record | Self::Region | Self::Name | Self::Query | Self::Probe => TagsOf::Nothing,
            Self::Objects | Self::Table | Self::Command | Self::Url => TagsOf::Unknown,
        }
    }

    /// Whether it can be read what is there of it. What a program or a server has done nobody can tell but itself.
    #[must_use]
    pub const fn can_be_read(self) -> bool {
        !matches!(self, Self::Command | Self::Url)
    }

    /// Whether changing it leads users elsewhere.
    #[must_use]
    pub const fn leads_users(self) -> bool {
        matches!(self, Self::Record | Self::Route)
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What changes about a target, in one line: `stopped → running`, `weight 0 → 100`, `+ 444455556666`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Change(String);

impl Change {
    /// A change as a journal holds it; an empty text is none.
    pub fn read(text: impl Into<String>) -> Option<Self> {
        Some(text.into()).filter(|text| !text.is_empty()).map(Self)
    }

    /// From what is there to what it becomes.
    pub fn between(from: impl fmt::Display, to: impl fmt::Display) -> Self {
        Self(format!("{from}{ARROW}{to}"))
    }

    /// Something that is added to what is there.
    pub fn adding(what: impl fmt::Display) -> Self {
        Self(format!("+ {what}"))
    }

    /// What is there, and what it becomes; nothing where only an addition is told.
    #[must_use]
    pub fn sides(&self) -> Option<(&str, &str)> {
        self.0.split_once(ARROW)
    }

    /// The way back; nothing where only an addition is told.
    #[must_use]
    pub fn reversed(&self) -> Option<Self> {
        self.sides().map(|(from, to)| Self::between(to, from))
    }

    /// The line.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An empty change is none.
fn some_change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Change>, D::Error> {
    let text = Option::<String>::deserialize(deserializer).map_err(de::Error::custom)?;
    Ok(text.and_then(Change::read))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn location() -> Location {
        Location { cloud: Cloud::Aws, account: Some("111122223333".into()), region: Some("us-east-1".into()) }
    }

    #[test]
    fn a_key_says_which_thing_and_not_what_it_is_called() {
        let one = Target::at(&location(), TargetKind::Instance, "i-1").called("web").changing(Change::between("stopped", "running"));
        assert_eq!((one.key(), one.label(), one.to_string()), ("instance i-1".into(), "i-1 (web)".into(), "instance i-1 (web)".into()));
        let route = Target::at(&location(), TargetKind::Route, "rtb-1").part("10.0.0.0/16");
        assert_eq!((route.key(), route.bare_id()), ("route rtb-1 10.0.0.0/16".into(), "rtb-1"));
        assert_eq!(Target::outside(TargetKind::Command, "a").called("a").label(), "a");
    }

    #[test]
    fn what_journals_held_before_parts_and_names_had_fields_is_the_same_thing() {
        let read = |value| serde_json::from_value::<Target>(value).unwrap();
        let old = read(json!({ "kind": "instance", "id": "i-1 (web)", "change": "stopped → running" }));
        let new = Target::at(&location(), TargetKind::Instance, "i-1").called("web").changing(Change::between("stopped", "running"));
        assert_eq!((old.key(), old.label(), old.bare_id(), &old.change), (new.key(), new.label(), "i-1", &new.change));
        let old = read(json!({ "kind": "route", "id": "rtb-1 10.0.0.0/16", "change": "" }));
        assert_eq!((old.key(), old.changes()), (Target::at(&location(), TargetKind::Route, "rtb-1").part("10.0.0.0/16").key(), false));
    }

    #[test]
    fn a_target_is_read_back_as_it_was_written_and_its_word_is_the_one_of_the_journal() {
        let kinds = [
            TargetKind::Instance,
            TargetKind::Vswitch,
            TargetKind::Region,
            TargetKind::Record,
            TargetKind::Route,
            TargetKind::Image,
            TargetKind::SyncJob,
            TargetKind::Objects,
            TargetKind::Table,
            TargetKind::Command,
            TargetKind::Url,
            TargetKind::Name,
            TargetKind::Query,
            TargetKind::Probe,
        ];
        for kind in kinds {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.word()));
            let target = Target::at(&location(), kind, "x").part("p").called("n").changing(Change::adding("1"));
            let written = serde_json::to_value(&target).unwrap();
            assert_eq!(serde_json::from_value::<Target>(written).unwrap(), target);
        }
    }

    #[test]
    fn a_change_can_be_read_backwards_where_it_has_two_sides() {
        let change = Change::between("weight 0", "100");
        assert_eq!((change.sides(), change.reversed().unwrap().text()), (Some(("weight 0", "100")), "100 → weight 0"));
        assert_eq!((Change::adding("4").text(), Change::adding("4").reversed()), ("+ 4", None));
    }
}
