//! `redis`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use redis::aio::MultiplexedConnection;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::catalogue::expect::Unmet;
use crate::catalogue::expect::database::{Role, behind, lag_value};
use crate::catalogue::expect::place::{HostPort, connected, everywhere};
use crate::catalogue::servers::redis::{RedisServer, command};
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::{Span, Timestamp};
use crate::world::World;

/// As it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RedisFile {
    /// Where it is.
    address: HostPort,
    /// Who asks; the default user unless written.
    #[serde(default)]
    user: Option<String>,
    /// The user's password, a secret.
    #[serde(default)]
    password: Option<String>,
    /// The number of the database; 0 unless written.
    #[serde(default)]
    database: u16,
    /// Whether it speaks TLS, with a certificate for the host that this machine trusts; no unless written.
    #[serde(default)]
    tls: bool,
    /// How long all of it may take; 1s unless written.
    #[serde(default = "one_second")]
    timeout: Span,
    /// What more must hold.
    #[serde(default)]
    expect: RedisExpect,
}

/// Asks a Redis server (or one that speaks as it does: Valkey, ElastiCache, Tair), over a new connection each time, at every address its host has at
/// that moment. Good when it lets the user in, answers PING and is as expected. Unknown when it does not let this user in, and when what it is asked for is not there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(from = "RedisFile")]
#[schemars(with = "RedisFile")]
pub(crate) struct RedisProbe {
    server: RedisServer,
    timeout: Span,
    expect: RedisExpect,
}

impl From<RedisFile> for RedisProbe {
    fn from(RedisFile { address, user, password, database, tls, timeout, expect }: RedisFile) -> Self {
        Self { server: RedisServer { address, user, password, database, tls }, timeout, expect }
    }
}

/// What must hold of a server that answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RedisExpect {
    /// What it must be. A replica must also have a link to its primary that is up.
    #[serde(default)]
    role: Option<Role>,
    /// How far it may be behind another server.
    #[serde(default)]
    behind: Option<Behind>,
    /// A key that somebody writes the time into again and again.
    #[serde(default)]
    fresh: Option<Fresh>,
}

/// A replication offset held against that of a primary. The primary is asked last, so that the difference is never less than what was true.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Behind {
    /// The primary; it lets the same user in. While it cannot be asked there is no telling.
    primary: HostPort,
    /// The greatest difference, in bytes.
    at_most: u64,
}

/// A key that holds a time: whole seconds or milliseconds since 1970, or as `2026-11-22T23:27:11Z`. With it the value is how old that is
/// (`lag_ms`), by the server's own clock.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fresh {
    /// The key.
    key: String,
    /// How old it may be.
    max_age: Span,
}

const fn one_second() -> Span {
    Span::from_secs(1)
}

impl Probe<World> for RedisProbe {
    const KIND: &'static str = "redis";
    const EXAMPLE: &'static str = r#"{ address: "cache.us.example.com:6379", password: { secret: "env:CACHE_PASSWORD" }, expect: { role: replica } }"#;
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["user", "password"];
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        ClientModel::anew()
    }

    async fn sample(&self, world: &World) -> Sample {
        let sample = everywhere(world, &self.server.address, |address| self.at(address, &self.server.address.host, Question::AsExpected)).await;
        let Some(wanted) = self.expect.behind.as_ref().filter(|_| sample.reading == Reading::Good) else { return sample };
        let Some(offset) = offset(&sample) else { return Sample::unknown("it does not say up to where it has read") };
        let primary = everywhere(world, &wanted.primary, |address| self.at(address, &wanted.primary.host, Question::Newest)).await;
        let Some(newest) = self::offset(&primary) else { return Sample::unknown(format!("its primary: {}", primary.detail)) };
        let missing = newest.saturating_sub(offset);
        let text = format!("{missing} bytes behind");
        let judged = if missing <= wanted.at_most { Sample::good(text) } else { Sample::bad(format!("{text}, allowed {}", wanted.at_most)) };
        let mut value = sample.value.unwrap_or_else(|| json!({}));
        value["primary_offset"] = newest.into();
        judged.with_value(value)
    }
}

/// The offset that a sample's value tells.
fn offset(sample: &Sample) -> Option<u64> {
    sample.value.as_ref()?["offset"].as_u64()
}

/// What a server is asked.
#[derive(Clone, Copy)]
enum Question {
    /// Whether it is as expected.
    AsExpected,
    /// Up to where it has written.
    Newest,
}

impl RedisProbe {
    async fn at(&self, address: SocketAddr, host: &str, question: Question) -> Result<Sample, Sample> {
        let stream = connected(address).await?;
        self.ask(host, stream, question).await.map_err(|unmet| unmet.at(address).into())
    }

    async fn ask(&self, host: &str, stream: TcpStream, question: Question) -> Result<Sample, Unmet> {
        let (mut server, driver) = self.server.open(host, stream).await?;
        let asked = std::pin::pin!(async {
            match question {
                Question::AsExpected => self.judged(&mut server).await,
                Question::Newest => replication(&mut server).await.map(|found| Sample::good("").with_value(json!({ "offset": number(&found, "master_repl_offset") }))),
            }
        });
        match select(asked, driver).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => Err(Unmet::Differs("connection closed".to_owned())),
        }
    }

    async fn judged(&self, server: &mut MultiplexedConnection) -> Result<Sample, Unmet> {
        let start = Instant::now();
        let pong: String = command(server, &redis::cmd("PING")).await?;
        if pong != "PONG" {
            return Err(Unmet::Differs(format!("it answers PING with \"{pong}\"")));
        }
        let mut sample = Sample::good(format!("PONG in {} ms", start.elapsed().as_millis()));
        if self.expect.role.is_some() || self.expect.behind.is_some() {
            let found = replication(server).await?;
            let untold = |what: &str| Unmet::Untold(format!("it does not say {what}"));
            let role = match found.get("role").map(String::as_str) {
                Some("master") => Role::Primary,
                Some("slave") => Role::Replica,
                _ => return Err(untold("whether it is a primary")),
            };
            if let Some(unmet) = self.expect.role.and_then(|expected| expected.differs(role)) {
                return Err(unmet);
            }
            if role == Role::Replica {
                match found.get("master_link_status").map(String::as_str) {
                    Some("up") => {}
                    Some(_) => return Err(Unmet::Differs("its link to its primary is down".to_owned())),
                    None => return Err(untold("whether it has a link to its primary")),
                }
            }
            if self.expect.behind.is_some() {
                let offset = number(&found, if role == Role::Replica { "slave_repl_offset" } else { "master_repl_offset" });
                sample = sample.with_value(json!({ "offset": offset }));
            }
        }
        match &self.expect.fresh {
            Some(fresh) => {
                let mut judged = fresh.judged(server).await?;
                // What was asked before belongs to it.
                if let (Some(value), Some(offset)) = (&mut judged.value, offset(&sample)) {
                    value["offset"] = offset.into();
                }
                Ok(judged)
            }
            None => Ok(sample),
        }
    }
}

impl Fresh {
    async fn judged(&self, server: &mut MultiplexedConnection) -> Result<Sample, Unmet> {
        let (seconds, micros): (i64, i64) = command(server, &redis::cmd("TIME")).await?;
        let content: Option<String> = command(server, redis::cmd("GET").arg(&self.key)).await?;
        let content = content.ok_or_else(|| Unmet::Untold(format!("there is no key {}", self.key)))?;
        let (written, steps) = time(&content).ok_or_else(|| Unmet::Untold(format!("{} holds \"{content}\", which is no time", self.key)))?;
        let age = Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(micros.saturating_mul(1000))).since(written);
        let mut value = lag_value(age, steps);
        // Whoever wrote the key has another clock than the server.
        value["age_ms"] = value["lag_ms"].clone();
        behind(age, self.max_age).map(|text| Sample::good(text).with_value(value))
    }
}

/// A time as programs write it into a key, and in what steps: numbers below 100,000,000,000 are seconds (they reach to the year 5138), those above milliseconds.
fn time(text: &str) -> Option<(Timestamp, Duration)> {
    let text = text.trim();
    let steps = |is_whole: bool| if is_whole { Duration::from_secs(1) } else { Duration::from_millis(1) };
    match text.parse::<i64>() {
        Ok(number) => {
            let is_whole = number < 100_000_000_000;
            let nanos = number.checked_mul(if is_whole { 1_000_000_000 } else { 1_000_000 })?;
            Some((Timestamp::from_nanos(nanos), steps(is_whole)))
        }
        Err(_) => Some((text.parse().ok()?, steps(!text.contains('.')))),
    }
}

/// What the server says of its replication, by name.
async fn replication(server: &mut MultiplexedConnection) -> Result<BTreeMap<String, String>, Unmet> {
    let text: String = command(server, redis::cmd("INFO").arg("replication")).await?;
    Ok(text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

fn number(found: &BTreeMap<String, String>, name: &str) -> Option<u64> {
    found.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_programs_write_them() {
        let told = |text: &str| time(text).map(|(at, steps)| (at.to_string(), steps.as_millis()));
        let expected = |steps| Some(("2026-11-22T23:27:11.000000000Z".to_owned(), steps));
        assert_eq!(told("1795390031"), expected(1000));
        assert_eq!(told("1795390031000\n"), expected(1));
        assert_eq!(told("2026-11-23T07:27:11+08:00"), expected(1000));
        assert_eq!(told("2026-11-22T23:27:11.000Z"), expected(1));
        assert_eq!(told("yesterday"), None);
        assert_eq!(told("99999999999999999999"), None);
    }
}
