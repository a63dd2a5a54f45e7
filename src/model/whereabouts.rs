//! In which world a run is: which lab, or which accounts at which addresses. It stands in the plan's scope under `env`; a run is taken up in the world that it
//! was made in, or not at all.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::call::Cloud;
use super::plan::Plan;

/// The key of `env` and of each of its clouds under which this is kept.
const LAB: &str = "lab";
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
    /// Its control address.
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
    /// Of a run.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        plan.scope.get("env").map(Self::of_env).unwrap_or_default()
    }

    /// Of what expressions see as `env`.
    #[must_use]
    pub fn of_env(env: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let lab = env.get(LAB).and_then(|lab| {
            Some(LabWorld { id: text(lab, "id"), control: text(lab, "control")?, embedded: lab.get("embedded") == Some(&Value::Bool(true)) })
        });
        let side = |cloud: Cloud| {
            let side = env.get(name(cloud)).filter(|side| side.is_object())?;
            let addresses = |map: &Map<String, Value>| {
                map.iter().filter_map(|(service, address)| Some((service.clone(), address.as_str()?.to_owned()))).collect()
            };
            let endpoints = side.get(ENDPOINTS).and_then(Value::as_object).map(addresses);
            Some((name(cloud), CloudWorld { account: text(side, "account"), region: text(side, "region"), endpoints }))
        };
        Self { lab, clouds: [Cloud::Aws, Cloud::Aliyun].into_iter().filter_map(side).collect() }
    }

    /// Whether its lab was part of the process of its run.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.lab.as_ref().is_some_and(|lab| lab.embedded)
    }

    /// The account of a cloud, if it is known.
    #[must_use]
    pub fn account(&self, cloud: Cloud) -> Option<&str> {
        self.clouds.get(name(cloud))?.account.as_deref()
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

/// Lets a plan say whose accounts its clouds are, where the environment did not.
pub fn know(plan: &mut Plan, accounts: Vec<(Cloud, String)>) {
    for (cloud, account) in accounts {
        if let Some(side) = plan.scope.pointer_mut(&format!("/env/{}", name(cloud))).and_then(Value::as_object_mut) {
            side.insert("account".to_owned(), Value::from(account));
        }
    }
}

/// One cloud for `env`.
#[must_use]
pub fn cloud_env(region: &str, account: Option<&str>, endpoints: &BTreeMap<String, String>) -> Value {
    json!({ "region": region, "account": account, ENDPOINTS: endpoints })
}

/// A lab for `env`; `world` is the digest of its world file, nothing for the shop.
#[must_use]
pub fn lab_env(id: &str, world: &str, control: &str, embedded: bool) -> Value {
    let mut lab = json!({ "id": id, "control": control, "embedded": embedded });
    if !world.is_empty() {
        lab["world"] = Value::from(world);
    }
    lab
}

/// As the key of `env`.
const fn name(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Aws => "aws",
        Cloud::Aliyun => "aliyun",
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
        Whereabouts::of_env(&json!({ "name": "prod", "aws": cloud_env("us-east-1", account, &endpoints), "aliyun": null }))
    }

    fn lab(id: &str, control: &str) -> Whereabouts {
        Whereabouts::of_env(&json!({ "lab": lab_env(id, "", control, false), "aws": cloud_env("us-east-1", Some("1"), &BTreeMap::new()) }))
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
}
