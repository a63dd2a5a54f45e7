//! In which world a run is: which lab, or which accounts at which addresses. A run is taken up in the world that it was made in, or not at all.
//!
//! It is written in the plan's scope under `env`, where expressions see it too: `to_env` and `of_env` are the only writer and the only
//! reader of that, and [`super::scope::Scope`] keeps both forms together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::call::Cloud;

/// The clouds, in the order in which `env` has them.
const CLOUDS: [Cloud; 2] = [Cloud::Aws, Cloud::Aliyun];

/// Keys of `env`, of its lab and of its clouds.
const LAB: &str = "lab";
const ACCOUNT: &str = "account";
const REGION: &str = "region";
const ENDPOINTS: &str = "endpoints";

/// The world of a run, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The lab, if it is one.
    pub lab: Option<LabWorld>,
    /// Its clouds.
    pub clouds: BTreeMap<&'static str, CloudWorld>,
}

/// A lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabWorld {
    /// Which; `None` in runs of Lifeboats that did not know.
    pub id: Option<String>,
    /// The SHA-256 of its world file; empty for the shop, and in runs of Lifeboats that had no other world.
    pub world: String,
    /// Its control address; empty in a plan that does not say it.
    pub control: String,
    /// Whether it was part of the process of its run.
    pub embedded: bool,
}

/// One cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudWorld {
    /// The account; `None` = not known.
    pub account: Option<String>,
    /// The region of regional calls.
    pub region: Option<String>,
    /// By service, every address that is not left to the vendor's own choice; `None` = not known.
    pub endpoints: Option<BTreeMap<String, String>>,
}

impl Whereabouts {
    /// A world of these clouds.
    #[must_use]
    pub fn new(lab: Option<LabWorld>, clouds: impl IntoIterator<Item = (Cloud, CloudWorld)>) -> Self {
        Self { lab, clouds: clouds.into_iter().map(|(cloud, world)| (cloud.name(), world)).collect() }
    }

    /// Reads what expressions see as `env`.
    #[must_use]
    pub(super) fn of_env(env: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let lab = env.get(LAB).filter(|lab| lab.is_object()).map(|lab| LabWorld {
            id: text(lab, "id"),
            world: text(lab, "world").unwrap_or_default(),
            control: text(lab, "control").unwrap_or_default(),
            embedded: lab.get("embedded") == Some(&Value::Bool(true)),
        });
        let side = |cloud: Cloud| {
            let side = env.get(cloud.name()).filter(|side| side.is_object())?;
            let addresses = |map: &Map<String, Value>| {
                map.iter().filter_map(|(service, address)| Some((service.clone(), address.as_str()?.to_owned()))).collect()
            };
            let endpoints = side.get(ENDPOINTS).and_then(Value::as_object).map(addresses);
            Some((cloud, CloudWorld { account: text(side, ACCOUNT), region: text(side, REGION), endpoints }))
        };
        Self::new(lab, CLOUDS.into_iter().filter_map(side))
    }

    /// As `env` has it: each cloud, null where the environment has none, and the lab.
    pub(super) fn to_env(&self) -> Map<String, Value> {
        let side = |world: &CloudWorld| {
            let mut side = json!({ REGION: world.region, ACCOUNT: world.account });
            if let Some(endpoints) = &world.endpoints {
                side[ENDPOINTS] = json!(endpoints);
            }
            side
        };
        let clouds = CLOUDS.map(|cloud| (cloud.name().to_owned(), self.clouds.get(cloud.name()).map_or(Value::Null, side)));
        let lab = self.lab.iter().map(|LabWorld { id, world, control, embedded }| {
            let mut lab = json!({ "id": id, "control": control, "embedded": embedded });
            if !world.is_empty() {
                lab["world"] = Value::from(world.as_str());
            }
            (LAB.to_owned(), lab)
        });
        clouds.into_iter().chain(lab).collect()
    }

    /// Whether its lab was part of the process of its run.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.lab.as_ref().is_some_and(|lab| lab.embedded)
    }

    /// The account of a cloud, if it is known.
    #[must_use]
    pub fn account(&self, cloud: Cloud) -> Option<&str> {
        self.clouds.get(cloud.name())?.account.as_deref()
    }

    /// Whether both are in one lab, or neither is in one.
    #[must_use]
    pub fn shares_lab_with(&self, other: &Self) -> bool {
        match (&self.lab, &other.lab) {
            (Some(one), Some(another)) => one.is(another),
            (one, another) => one.is_none() && another.is_none(),
        }
    }

    /// In what `now` is another world than this one, one line each; what either does not know differs in nothing.
    #[must_use]
    pub fn differs(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        match (&self.lab, &now.lab) {
            (Some(made), Some(now)) if !made.is(now) => {
                lines.push(format!("it was made in lab {}, and this is lab {}", made.named(), now.named()));
            }
            (Some(made), None) => lines.push(format!("it was made in lab {}, and these are no lab's clouds", made.named())),
            (None, Some(now)) => lines.push(format!("it was made in the clouds of accounts, and this is lab {}", now.named())),
            _ => {}
        }
        for (cloud, made) in &self.clouds {
            let Some(now) = now.clouds.get(cloud) else {
                lines.push(format!("it was made with {cloud}, which the environment does not have"));
                continue;
            };
            if let (Some(made), Some(now)) = (&made.account, &now.account)
                && made != now
            {
                lines.push(format!("it was made in {cloud} account {made}, and this is account {now}"));
            }
            // A lab is known by its id, wherever it listens.
            if self.lab.is_none()
                && let (Some(made), Some(now)) = (&made.endpoints, &now.endpoints)
                && made != now
            {
                lines.push(format!("it was made with {cloud} {}, and now that is {}", at(made), at(now)));
            }
        }
        lines
    }

    /// For people: each cloud with its account, its region and its addresses.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lab = self.lab.iter().filter(|lab| !lab.embedded).map(|lab| format!("lab {}", lab.named()));
        let cloud = |(cloud, world): (&&str, &CloudWorld)| {
            let account = world.account.as_ref().map(|account| format!("account {account}"));
            let parts: Vec<String> =
                account.into_iter().chain(world.region.clone()).chain(world.endpoints.as_ref().filter(|_| self.lab.is_none()).map(at)).collect();
            format!("{cloud} {}", parts.join(", "))
        };
        lab.chain(self.clouds.iter().map(cloud)).collect()
    }
}

impl LabWorld {
    fn is(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(id), Some(other)) => id == other,
            _ => self.control == other.control,
        }
    }

    fn named(&self) -> String {
        self.id.as_ref().map_or_else(|| format!("at {}", self.control), |id| format!("{} at {}", id.get(..12).unwrap_or(id), self.control))
    }
}

/// Writes whose the account of a cloud is into `env`, if that has the cloud.
pub(super) fn name_account(env: &mut Map<String, Value>, cloud: Cloud, account: &str) {
    if let Some(side) = env.get_mut(cloud.name()).and_then(Value::as_object_mut) {
        side.insert(ACCOUNT.to_owned(), Value::from(account));
    }
}

/// Where the services of a cloud are.
fn at(endpoints: &BTreeMap<String, String>) -> String {
    let mut by_address: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (service, address) in endpoints {
        by_address.entry(address).or_default().push(service);
    }
    if by_address.is_empty() {
        return "at the vendor's own addresses".to_owned();
    }
    let one = |(address, services): (&&str, &Vec<&str>)| format!("{} at {address}", services.join(" and "));
    by_address.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(account: Option<&str>, endpoints: &[(&str, &str)]) -> Whereabouts {
        let endpoints = endpoints.iter().map(|(service, address)| ((*service).to_owned(), (*address).to_owned())).collect();
        let aws = CloudWorld { account: account.map(str::to_owned), region: Some("us-east-1".to_owned()), endpoints: Some(endpoints) };
        Whereabouts::new(None, [(Cloud::Aws, aws)])
    }

    fn lab(id: &str, control: &str) -> Whereabouts {
        let lab = LabWorld { id: Some(id.to_owned()), world: String::new(), control: control.to_owned(), embedded: false };
        let aws = CloudWorld { account: Some("1".to_owned()), region: Some("us-east-1".to_owned()), endpoints: None };
        Whereabouts::new(Some(lab), [(Cloud::Aws, aws)])
    }

    #[test]
    fn a_world_is_the_same_by_what_is_known_of_both() {
        let prod = accounts(Some("1"), &[]);
        assert_eq!(prod.differs(&prod), [""; 0]);
        assert_eq!(accounts(None, &[]).differs(&prod), [""; 0], "it was not known whose account it was");
        assert_eq!(lab("a", "http://127.1.0.1:1").differs(&lab("a", "http://127.2.0.1:2")), [""; 0], "wherever it listens");
        let old = Whereabouts::of_env(&json!({ "lab": { "control": "http://127.1.0.1:1", "embedded": false } }));
        assert_eq!(old.differs(&lab("a", "http://127.1.0.1:1")), [""; 0]);
        for (made, now, part) in [
            (&prod, &accounts(Some("2"), &[]), "it was made in aws account 1, and this is account 2"),
            (&prod, &accounts(Some("1"), &[("EC2", "http://x")]), "at the vendor's own addresses, and now that is EC2 at http://x"),
            (&prod, &Whereabouts::default(), "which the environment does not have"),
            (&prod, &lab("a", "http://127.1.0.1:1"), "in the clouds of accounts, and this is lab a"),
            (&lab("a", "http://127.1.0.1:1"), &prod, "these are no lab's clouds"),
            (&lab("a", "http://127.1.0.1:1"), &lab("b", "http://127.1.0.1:1"), "and this is lab b at"),
            (&old, &lab("a", "http://127.2.0.1:1"), "made in lab at http://127.1.0.1:1"),
        ] {
            let lines = made.differs(now);
            assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:?}");
        }
    }

    #[test]
    fn where_calls_go_is_said_by_service() {
        let split = accounts(Some("1"), &[("EC2", "http://x"), ("S3", "http://x"), ("STS", "http://y")]);
        assert_eq!(split.lines(), ["aws account 1, us-east-1, EC2 and S3 at http://x, STS at http://y"]);
        assert_eq!(accounts(Some("1"), &[]).lines(), ["aws account 1, us-east-1, at the vendor's own addresses"]);
    }
    #[test]
    fn a_world_is_read_as_it_was_written() {
        let mut embedded = lab("a", "http://127.1.0.1:1");
        embedded.lab = embedded.lab.map(|lab| LabWorld { world: "d1".to_owned(), embedded: true, ..lab });
        for world in
            [accounts(None, &[]), accounts(Some("1"), &[("EC2", "http://x")]), lab("a", "http://127.1.0.1:1"), embedded, Whereabouts::default()]
        {
            assert_eq!(Whereabouts::of_env(&Value::Object(world.to_env())), world);
        }
        let said = |world: &Whereabouts| Value::Object(world.to_env()).to_string();
        let aws = r#"{"aws":{"region":"us-east-1","account":null,"endpoints":{}},"aliyun":null}"#;
        assert_eq!(said(&accounts(None, &[])), aws);
        let lab = lab("a", "http://x");
        assert_eq!(
            said(&lab),
            r#"{"aws":{"region":"us-east-1","account":"1"},"aliyun":null,"lab":{"id":"a","control":"http://x","embedded":false}}"#
        );
        assert!(Whereabouts::of_env(&json!({ "lab": { "embedded": true } })).is_embedded(), "a lab, whatever else is known of it");
        assert!(
            lab.shares_lab_with(&lab) && !lab.shares_lab_with(&accounts(None, &[])) && accounts(None, &[]).shares_lab_with(&Whereabouts::default())
        );
    }
}
