//! `dns`.

use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalogue::expect::enough::Enough;
use crate::catalogue::expect::names::{DnsExpect, DnsType};
use crate::catalogue::expect::place::NameServer;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::world::World;
use crate::world::resolve::ResolveError;

/// Asks for a name's records: one server, or several at once. Good when the answers are as expected. Of several servers the report tells how long each
/// of them took until it gave the answer expected, and which still had the old one: expect the answer after the failover.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "DnsFile")]
#[schemars(with = "DnsFile")]
pub(crate) struct DnsProbe(DnsFile);

/// Asks for a name's records: one server, or several at once. Good when the answers are as expected. Of several servers the report tells how long each
/// of them took until it gave the answer expected, and which still had the old one: expect the answer after the failover.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DnsFile {
    /// The whole name, such as `shop.example.com`.
    name: String,
    /// The type of the records; A unless written.
    #[serde(default, rename = "type")]
    record_type: DnsType,
    /// The name server to ask; the environment's unless written.
    #[serde(default)]
    server: Option<NameServer>,
    /// Several resolvers to ask, such as those of the countries that the users are in.
    #[serde(default)]
    resolvers: Vec<NameServer>,
    /// Whether to ask each name server of the name's zone, as the environment's resolver knows them.
    #[serde(default)]
    authoritative: bool,
    /// How many of several servers must answer as expected: `all`, `any` or a number; all unless written.
    #[serde(default)]
    good: Enough,
    /// How long the answer may take; 2s unless written.
    #[serde(default = "two_seconds")]
    timeout: Span,
    /// What the answer must be.
    #[serde(default)]
    expect: DnsExpect,
}

const fn two_seconds() -> Span {
    Span::from_secs(2)
}

impl TryFrom<DnsFile> for DnsProbe {
    type Error = String;

    fn try_from(file: DnsFile) -> Result<Self, String> {
        let several = file.authoritative || !file.resolvers.is_empty();
        match file.good {
            _ if several && file.server.is_some() => Err("`server` is one server; put it under `resolvers` to ask several".to_owned()),
            Enough::Of(needed) if !file.authoritative && needed > file.resolvers.len().max(1) => {
                Err(format!("{needed} of {} cannot be good", file.resolvers.len().max(1)))
            }
            _ => Ok(Self(file)),
        }
    }
}

impl Probe<World> for DnsProbe {
    const KIND: &'static str = "dns";
    const EXAMPLE: &'static str = r#"{ name: "${{ vars.storefront_host }}", resolvers: ["192.0.2.53", "198.51.100.53:5353"], expect: { contains: ["${{ vars.storefront_aws_address }}"] } }"#;
    const CALLS: &'static [&'static str] = &[];

    fn timeout(&self) -> Duration {
        // Each server has its own; this is for a machine that is late to notice.
        let margin = if self.is_several() { Duration::from_millis(100) } else { Duration::ZERO };
        self.0.timeout.duration() + margin
    }

    async fn sample(&self, world: &World) -> Sample {
        if self.is_several() {
            return self.of_several(world).await;
        }
        let server = self.0.server.as_ref().map(ToString::to_string);
        match world.resolver().records(&self.0.name, self.0.record_type.record_type(), server.as_deref()).await {
            Ok(values) => self.judge(&values).with_value(json!(values)),
            Err(error) => said(&error),
        }
    }
}

impl DnsProbe {
    const fn is_several(&self) -> bool {
        self.0.authoritative || !self.0.resolvers.is_empty()
    }

    async fn of_several(&self, world: &World) -> Sample {
        let timeout = self.0.timeout.duration();
        let started = tokio::time::Instant::now();
        let mut servers: Vec<(String, String)> = self.0.resolvers.iter().map(|place| (place.to_string(), place.to_string())).collect();
        if self.0.authoritative {
            match tokio::time::timeout(timeout, world.resolver().authorities(&self.0.name)).await {
                Ok(Ok(found)) => servers.extend(found.into_iter().map(|(host, address)| (format!("{host} {address}"), address.to_string()))),
                Ok(Err(error)) => return said(&error),
                Err(_) => return Sample::bad(format!("the name servers of {} are not known within {}", self.0.name, self.0.timeout)),
            }
        }
        let until = started + timeout;
        let asked = join_all(servers.iter().map(async |(name, server)| {
            let answer = world.resolver().answer(&self.0.name, self.0.record_type.record_type(), Some(server));
            let sample = match tokio::time::timeout_at(until, answer).await {
                Ok(Ok(answer)) => {
                    let seconds = answer.ttl.map(|ttl| ttl.as_secs());
                    self.judge(&answer.values).with_value(json!({ "answer": answer.values, "ttl_s": seconds }))
                }
                Ok(Err(error)) => said(&error),
                Err(_) => Sample::bad(format!("no answer within {}", self.0.timeout)),
            };
            (name.as_str(), sample)
        }));
        self.summed(&asked.await)
    }

    fn judge(&self, values: &[String]) -> Sample {
        self.0.expect.judge(values).map_or_else(Sample::bad, Sample::good)
    }

    /// What several servers said: their answers as the value, and who did not say what is expected.
    fn summed(&self, asked: &[(&str, Sample)]) -> Sample {
        let count = |reading| asked.iter().filter(|(_, sample)| sample.reading == reading).count();
        let (good, unknown, needed) = (count(Reading::Good), count(Reading::Unknown), self.0.good.needed(asked.len()));
        let mut detail = format!("{good} of {} as expected", asked.len());
        for (server, sample) in asked.iter().filter(|(_, sample)| sample.reading != Reading::Good) {
            detail.push_str(&format!("; {server}: {}", sample.detail));
        }
        let told = |(server, sample): &(&str, Sample)| {
            let mut value = sample.value.clone().unwrap_or_else(|| json!({}));
            value["as_expected"] = match sample.reading {
                Reading::Good => Value::Bool(true),
                Reading::Bad => Value::Bool(false),
                Reading::Unknown => Value::Null,
            };
            ((*server).to_owned(), value)
        };
        let value = json!({ "servers": asked.iter().map(told).collect::<Map<String, Value>>() });
        match good {
            good if good >= needed => Sample::good(detail),
            good if good + unknown >= needed => Sample::unknown(detail),
            _ => Sample::bad(detail),
        }
        .with_value(value)
    }
}

fn said(error: &ResolveError) -> Sample {
    if matches!(error, ResolveError::Name(_)) { Sample::unknown(error.to_string()) } else { Sample::bad(error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(file: Value) -> Result<DnsProbe, String> {
        serde_json::from_value(file).map_err(|error| error.to_string())
    }

    #[test]
    fn enough_servers_must_say_what_is_expected() {
        let asked = [("a:53", Sample::good("192.0.2.1")), ("b:53", Sample::bad("192.0.2.9, expected 192.0.2.1").with_value(json!({ "ttl_s": 60 })))];
        let of = |good: Value| probe(json!({ "name": "x.test", "resolvers": ["a:53", "b:53"], "good": good })).unwrap().summed(&asked);
        let all = of(json!("all"));
        assert_eq!((all.reading, all.detail.as_str()), (Reading::Bad, "1 of 2 as expected; b:53: 192.0.2.9, expected 192.0.2.1"));
        assert_eq!(all.value, Some(json!({ "servers": { "a:53": { "as_expected": true }, "b:53": { "as_expected": false, "ttl_s": 60 } } })));
        assert_eq!(of(json!("any")).reading, Reading::Good);
        assert_eq!(of(json!(2)).reading, Reading::Bad);
    }

    #[test]
    fn one_server_and_several_exclude_each_other() {
        let error = probe(json!({ "name": "x.test", "server": "a:53", "authoritative": true })).unwrap_err();
        assert_eq!(error, "`server` is one server; put it under `resolvers` to ask several");
        assert_eq!(probe(json!({ "name": "x.test", "resolvers": ["a:53"], "good": 2 })).unwrap_err(), "2 of 1 cannot be good");
        assert!(probe(json!({ "name": "x.test", "server": "no where" })).unwrap_err().contains("is not a name server"));
    }
}
