//! What does not fit together in a world file, each with the way to it and what to write instead.
//!
//! By subject: `places` are regions, networks and who belongs to them, `machines` images, instances and services, `names` zones and records, `data` buckets,
//! orders, jobs, alarms, rates and variables. After it nothing in a world can be out of range or lead nowhere, whoever wrote the file.

mod data;
mod machines;
mod names;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use super::file::WorldFile;
use super::state::Cloud;

/// The most problems that are told of one file.
const MOST: usize = 20;

/// One thing that is wrong with a world file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The way to it from the top of the file.
    pub at: Vec<Step>,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub hint: String,
}

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Step {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way to a value: `at!["subnets", 3, "vpc"]`.
macro_rules! at {
    ($($step:expr),* $(,)?) => { vec![$($crate::world::check::Step::from($step)),*] };
}
use at;

/// All that is wrong, at most twenty of them.
pub(super) fn problems(file: &WorldFile) -> Vec<Problem> {
    let mut found = Problems::default();
    let ids = Ids::of(file);
    places::check(file, &ids, &mut found);
    machines::check(file, &ids, &mut found);
    names::check(file, &mut found);
    data::check(file, &ids, &mut found);
    found.problems
}

/// What was found so far.
#[derive(Default)]
struct Problems {
    problems: Vec<Problem>,
}

impl Problems {
    fn say(&mut self, at: Vec<Step>, message: impl Into<String>, hint: impl Into<String>) {
        if self.problems.len() < MOST {
            self.problems.push(Problem { at, message: message.into(), hint: hint.into() });
        }
    }

    /// At most so many of a list.
    fn most(&mut self, list: &str, number: usize, most: usize) {
        if number > most {
            self.say(at![list], format!("there are {number} {list}"), format!("a lab holds at most {most}"));
        }
    }

    /// Every id of a list is short, of plain letters, as its cloud's begin, and the only one.
    fn ids<'a>(&mut self, list: &str, prefixes: [&str; 2], ids: impl Iterator<Item = (&'a String, Cloud)>) {
        let mut known = BTreeSet::new();
        for (number, (id, cloud)) in ids.enumerate() {
            let prefix = prefixes[cloud as usize];
            if !id.starts_with(prefix) || id.len() == prefix.len() || !is_word(id) {
                let hint = format!("letters, digits, `-`, `_` and `.` behind `{prefix}`, at most 64");
                self.say(at![list, number, "id"], format!("`{id}` cannot be an id here"), hint);
            } else if !known.insert(id) {
                self.say(at![list, number, "id"], format!("`{id}` is there already"), "give each thing an id of its own");
            }
        }
    }

    /// A region is one of its cloud's; nothing stands for the first.
    fn region(&mut self, at: Vec<Step>, region: &str, cloud: Cloud, file: &WorldFile) {
        let known = file.regions.of(cloud);
        if !region.is_empty() && !known.iter().any(|one| one == region) {
            let hint = format!("the regions of {} here are {}", cloud.name(), known.join(", "));
            self.say(at, format!("`{region}` is no region of this world"), hint);
        }
    }

    /// What is named here is there, on the same cloud. Gives whether it is.
    fn leads(&mut self, at: Vec<Step>, id: &str, cloud: Cloud, among: &BTreeMap<&str, Cloud>, what: &str) -> bool {
        match among.get(id) {
            Some(other) if *other == cloud => return true,
            Some(other) => self.say(at, format!("the {what} `{id}` is on {}", other.name()), format!("name one on {}", cloud.name())),
            None => {
                let known: Vec<&str> = among.iter().filter(|(_, other)| **other == cloud).map(|(id, _)| *id).take(8).collect();
                let hint = if known.is_empty() {
                    format!("write it under its list, or leave it out: this world has no {what} on {}", cloud.name())
                } else {
                    format!("known here: {}", known.join(", "))
                };
                self.say(at, format!("there is no {what} `{id}`"), hint);
            }
        }
        false
    }
}

/// What other things may name, by id.
struct Ids<'a> {
    vpcs: BTreeMap<&'a str, Cloud>,
    subnets: BTreeMap<&'a str, Cloud>,
    route_tables: BTreeMap<&'a str, Cloud>,
    acls: BTreeMap<&'a str, Cloud>,
    security_groups: BTreeMap<&'a str, Cloud>,
    images: BTreeMap<&'a str, Cloud>,
    interfaces: BTreeMap<&'a str, Cloud>,
    instances: BTreeMap<&'a str, Cloud>,
    /// The VPC of each subnet.
    vpc_of: BTreeMap<&'a str, &'a str>,
}

impl<'a> Ids<'a> {
    fn of(file: &'a WorldFile) -> Self {
        Self {
            vpcs: file.vpcs.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            subnets: file.subnets.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            route_tables: file.route_tables.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            acls: file.acls.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            security_groups: file.security_groups.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            images: file.images.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            interfaces: file.interfaces.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            instances: file.instances.iter().map(|one| (one.id.as_str(), one.cloud)).collect(),
            vpc_of: file.subnets.iter().map(|one| (one.id.as_str(), one.vpc.as_str())).collect(),
        }
    }
}

/// Whether a text can be an id or a name of a thing: short, visible, without blanks.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::file::{Blueprint, SHOP};

    /// What is said of the shop with one thing in it written otherwise: `way: message; hint`.
    fn said(from: &str, to: &str) -> Vec<String> {
        assert!(SHOP.contains(from), "{from}");
        let file = serde_saphyr::from_str(&SHOP.replacen(from, to, 1)).unwrap();
        let way = |problem: &Problem| {
            let steps = problem.at.iter().map(|step| match step {
                Step::Key(key) => key.clone(),
                Step::Index(index) => index.to_string(),
            });
            format!("{}: {}; {}", steps.collect::<Vec<_>>().join("."), problem.message, problem.hint)
        };
        Blueprint::new(file, String::new()).unwrap_err().iter().map(way).collect()
    }

    #[test]
    fn every_mistake_is_told_where_it_is_and_what_to_write() {
        for (from, to, expected) in [
            ("aws: \"111122223333\"", "aws: \"1111\"", "accounts.aws: `1111` is no account of aws; write its 12 digits in quotes"),
            ("aws: [us-east-1]", "aws: []", "regions.aws: there is no region of aws; write at least one"),
            ("aws: [us-east-1]", "aws: [us-east-1, US]", "regions.aws.1: `US` cannot be a region"),
            ("cidr: 10.10.0.0/16 }", "cidr: 10.10.0.0/33 }", "vpcs.0.cidr: `10.10.0.0/33` is no block of addresses"),
            (
                "cidr: 10.10.0.0/16 }",
                "cidr: 10.10.0.0/16, region: eu-west-1 }",
                "vpcs.0.region: `eu-west-1` is no region of this world; the regions of aws here are us-east-1",
            ),
            ("cidr: 10.10.1.0/24", "cidr: 10.11.1.0/24", "subnets.0.cidr: `10.11.1.0/24` lies outside of its VPC"),
            ("zone: us-east-1a", "zone: us-west-2a", "subnets.0.zone: `us-west-2a` is no zone of us-east-1"),
            ("id: vsw-bp1lifeboat0app000001", "id: subnet-1", "subnets.3.id: `subnet-1` cannot be an id here; letters, digits"),
            (
                "destination: 10.20.0.0/16, target: { kind: interface, id: eni-0a11febe0a7000db0 }",
                "destination: 10.20.0.0/16, target: { kind: interface, id: eni-none }",
                "route_tables.2.routes.2.target: there is no interface `eni-none`; known here: eni-",
            ),
            (
                "image: ami-0a11febe0a7000001, instance_type",
                "image: m-bp1lifeboat0shop00001, instance_type",
                "instances.0.image: the image `m-bp1lifeboat0shop00001` is on aliyun; name one on aws",
            ),
            ("private_ip: 10.10.1.11", "private_ip: 10.10.2.11", "instances.0.private_ip: 10.10.2.11 lies outside of its subnet"),
            ("address: \"1.11\"", "address: 192.168.0.1", "instances.0.address: `192.168.0.1` is no address in the lab; two numbers"),
            ("address: \"1.11\"", "address: \"0.1\"", "instances.0.address: `0.1` is no address in the lab"),
            ("address: \"1.12\"", "address: \"1.11\"", "instances.1.address: `1.11` is another instance's already"),
            (
                "state: stopped, service: storefront",
                "state: pending, service: storefront",
                "instances.0.state: an instance cannot begin on its way; write `running` or `stopped`",
            ),
            ("kind: TXT", "kind: TEXT", "zones.0.records.2.kind: `TEXT` is no type of record"),
            ("values: [192.0.2.80]", "values: [192.0.2]", "zones.1.records.0.values.0: `192.0.2` is no A record"),
            (
                "name: pay.example.com., kind: A",
                "name: pay.example.net., kind: A",
                "zones.0.records.3.name: `pay.example.net.` lies outside of the zone `example.com.`",
            ),
            (
                "set_identifier: aliyun, weight: 0",
                "set_identifier: aliyun, weight: 256",
                "zones.0.records.3.weight: the weight is 256; 0 to 255 on Route 53",
            ),
            ("set_identifier: aliyun, weight: 0", "weight: 0", "zones.0.records.3.set_identifier: a record with a weight has a `set_identifier`"),
            ("name: shop-orders, cloud", "name: s, cloud", "buckets.0.name: `s` cannot be a bucket"),
            ("source: shop-orders ", "source: shop-assets ", "orders.source: the bucket `shop-assets` is on aws; name one on aliyun"),
            ("already: 20", "already: 4000000000", "orders.already: there are 4000000000 orders at the beginning; 0 to 1000"),
            ("status: Synchronizing", "status: Running", "jobs.0.status: `Running` is no status; write `Synchronizing` or `Suspending`"),
            ("port: 8080, path: /health", "port: 80, path: /health", "services.0.port: nothing serves on port 80; every machine serves on 8080"),
            ("to_alarm: 1", "to_alarm: 2", "alarms.0.to_alarm: 2 of 1 periods cannot breach"),
            ("period: 10s", "period: 0s", "alarms.0.period: a period of 0s; 1s to 1d"),
            ("order_every: 250ms", "order_every: 0s", "timing.order_every: 0s is too often; 10ms to 1h"),
            ("zone: example.com.", "prometheus: x", "vars.prometheus: the lab gives `prometheus` itself; remove it"),
        ] {
            let said = said(from, to);
            assert!(said.iter().any(|line| line.starts_with(expected)), "{expected}\n{said:#?}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_all_over_is_told_twenty_times() {
        let text = SHOP.replace("cloud: aws", "cloud: aliyun");
        let problems = Blueprint::new(serde_saphyr::from_str(&text).unwrap(), String::new()).unwrap_err();
        assert_eq!(problems.len(), MOST);
    }
}
