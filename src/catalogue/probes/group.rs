//! `group`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::catalogue::expect::enough::Enough;
use crate::engine::probe::{DynProbe, Probe, Reading, Sample};
use crate::model::plan::ClientModel;
use crate::world::World;

/// As it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupFile {
    /// The parts, by a name for each.
    #[schemars(length(min = 1))]
    of: BTreeMap<String, Part>,
    /// How many of them must be good: `all`, `any` or a number; all unless written.
    #[serde(default)]
    good: Enough,
}

/// Several probes that are sampled together and count as one: a service that is up as long as enough of its parts are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "GroupFile")]
#[schemars(with = "GroupFile")]
pub(crate) struct Group {
    of: BTreeMap<String, Part>,
    /// How many must be good: at least one, and no more than there are.
    needed: usize,
}

impl TryFrom<GroupFile> for Group {
    type Error = String;

    fn try_from(GroupFile { of, good }: GroupFile) -> Result<Self, String> {
        let needed = good.needed(of.len());
        match of.len() {
            0 => Err("a group has at least one part".to_owned()),
            parts if needed > parts => Err(format!("{needed} of {parts} cannot be good")),
            _ => Ok(Self { of, needed }),
        }
    }
}

/// One probe of the group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "PartFile")]
#[schemars(with = "PartFile")]
struct Part(Probed);

/// A probe of any kind, with its parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PartFile {
    /// The kind of probe.
    uses: String,
    /// Its parameters.
    #[serde(default)]
    with: Map<String, Value>,
}

struct Probed(Arc<dyn DynProbe<World>>);

impl fmt::Debug for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probed")
    }
}

impl TryFrom<PartFile> for Part {
    type Error = String;

    fn try_from(file: PartFile) -> Result<Self, String> {
        let row = crate::catalogue::probe(&file.uses).ok_or_else(|| format!("there is no probe kind `{}`", file.uses))?;
        let parsed = (row.parse)(&Value::Object(file.with)).map_err(|error| {
            let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path) };
            format!("`{}`: {place}{}", file.uses, error.message)
        })?;
        Ok(Self(Probed(parsed)))
    }
}

impl Probe<World> for Group {
    const KIND: &'static str = "group";
    const EXAMPLE: &'static str = r#"
        of:
          first: { uses: tcp, with: { address: "web-1.example.com:443" } }
          second: { uses: tcp, with: { address: "web-2.example.com:443" } }
        good: any
    "#;
    const CALLS: &'static [&'static str] = &[];
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        // Each part has its own; this is for a machine that is late to notice.
        self.of.values().map(|part| part.0.0.timeout()).max().unwrap_or_default() + Duration::from_millis(100)
    }

    fn is_on_duty(&self) -> bool {
        self.of.values().all(|part| part.0.0.is_on_duty())
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        self.of.values().flat_map(|part| part.0.0.clients()).collect()
    }

    async fn sample(&self, world: &World) -> Sample {
        let parts = self.of.iter().map(async |(name, Part(Probed(probe)))| {
            (name.as_str(), tokio::time::timeout(probe.timeout(), probe.sample(world)).await.unwrap_or_else(|_| probe.late()))
        });
        self.judge(&join_all(parts).await)
    }
}

impl Group {
    fn judge(&self, parts: &[(&str, Sample)]) -> Sample {
        let count = |reading| parts.iter().filter(|(_, sample)| sample.reading == reading).count();
        let (good, unknown) = (count(Reading::Good), count(Reading::Unknown));
        let others = parts.iter().filter(|(_, sample)| sample.reading != Reading::Good).map(|(name, sample)| format!("{name}: {}", sample.detail));
        let others: Vec<String> = others.collect();
        let detail = match others.as_slice() {
            [] => format!("{good} of {} good", parts.len()),
            others => format!("{good} of {} good; {}", parts.len(), others.join("; ")),
        };
        match good {
            good if good >= self.needed => Sample::good(detail),
            // Those that could not tell may be what is missing.
            good if good + unknown >= self.needed => Sample::unknown(detail),
            _ => Sample::bad(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(good: Value, parts: &[Reading], expected: Reading) {
        let of: Map<String, Value> = (0..parts.len()).map(|part| (format!("p{part}"), json!({ "uses": "tcp", "with": { "address": "a:1" } }))).collect();
        let group: Group = serde_json::from_value(json!({ "of": of, "good": good })).unwrap();
        let sample = |reading: &Reading| Sample { reading: *reading, ..Sample::good("x") };
        let parts: Vec<_> = parts.iter().map(|reading| ("p", sample(reading))).collect();
        assert_eq!(group.judge(&parts).reading, expected, "{good} of {parts:?}");
    }

    #[test]
    fn enough_good_parts_are_good_and_doubt_is_no_failure() {
        use Reading::{Bad, Good, Unknown};
        check(json!("all"), &[Good, Good], Good);
        check(json!("all"), &[Good, Bad], Bad);
        check(json!("all"), &[Good, Unknown], Unknown);
        check(json!("all"), &[Bad, Unknown], Bad);
        check(json!("any"), &[Bad, Good, Unknown], Good);
        check(json!("any"), &[Bad, Bad], Bad);
        check(json!("any"), &[Bad, Unknown], Unknown);
        check(json!(2), &[Good, Bad, Good], Good);
        check(json!(2), &[Good, Bad, Bad], Bad);
        check(json!(2), &[Good, Bad, Unknown], Unknown);
    }

    #[test]
    fn what_is_wrong_inside_is_said() {
        for (with, message) in [
            (json!({ "of": {} }), "a group has at least one part"),
            (json!({ "of": { "a": { "uses": "tpc" } } }), "there is no probe kind `tpc`"),
            (json!({ "of": { "a": { "uses": "tcp", "with": { "address": "a" } } } }), "`tcp`: address: `a` is not a host and a port, such as db.example.com:5432"),
            (json!({ "of": { "a": { "uses": "tcp", "with": { "address": "a:1" } } }, "good": 2 }), "2 of 1 cannot be good"),
            (json!({ "of": { "a": { "uses": "tcp", "with": { "address": "a:1" } } }, "good": 0 }), "0 is neither `all` nor `any` nor a number from 1"),
        ] {
            assert_eq!(serde_json::from_value::<Group>(with).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_detail_names_the_parts_that_are_not_good() {
        let of = json!({ "a": { "uses": "tcp", "with": { "address": "a:1" } }, "b": { "uses": "tcp", "with": { "address": "b:1" } } });
        let group: Group = serde_json::from_value(json!({ "of": of })).unwrap();
        let sample = group.judge(&[("a", Sample::good("connected")), ("b", Sample::bad("connection refused"))]);
        assert_eq!((sample.reading, sample.detail.as_str()), (Reading::Bad, "1 of 2 good; b: connection refused"));
    }

    #[test]
    fn a_group_is_on_duty_if_all_of_it_is() {
        let on_duty = |parts: &[(&str, Value)]| {
            let of: Map<String, Value> = parts.iter().map(|(uses, with)| ((*uses).to_owned(), json!({ "uses": uses, "with": with }))).collect();
            Probe::<World>::is_on_duty(&serde_json::from_value::<Group>(json!({ "of": of })).unwrap())
        };
        let (aws, aliyun) = (("aws.cloudwatch.alarm", json!({ "name": "a" })), ("aliyun.cloudmonitor.alarm", json!({ "name": "a" })));
        let asks = |query: &str| ("prometheus", json!({ "url": "http://p.example.com", "query": query }));
        assert!(on_duty(&[aws.clone(), aliyun.clone()]));
        assert!(on_duty(&[asks("count(ALERTS{alertname=\"Down\", alertstate=\"firing\"}) or vector(0)")]));
        for others in [asks("up"), asks("MY_ALERTS"), ("tcp", json!({ "address": "a:1" }))] {
            assert!(!on_duty(&[aws.clone(), others]));
        }
    }
}
