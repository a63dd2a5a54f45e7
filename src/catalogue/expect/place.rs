//! A host with a port, and one reading made of the readings of all its addresses.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, de};
use tokio::net::TcpStream;

use crate::engine::probe::{Reading, Sample};
use crate::world::World;
use crate::world::connect::connect;
use crate::world::resolve::ResolveError;

/// Where a service that is no HTTP service is: `db.example.com:5432`, `192.0.2.7:22`, `[2001:db8::7]:22`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a host and a port, such as db.example.com:5432")))
    }
}

impl HostPort {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self { host: url::Host::parse(host).ok()?.to_string(), port: port.parse().ok().filter(|port| *port != 0)? })
    }
}

/// A name server: `192.0.2.53`, `ns1.example.com:5353`, `[2001:db8::53]`; port 53 unless written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameServer(HostPort);

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let place = HostPort::parse(&text).or_else(|| HostPort::parse(&format!("{text}:53")));
        place.map(Self).ok_or_else(|| de::Error::custom(format!("`{text}` is not a name server, such as 192.0.2.53 or ns1.example.com:5353")))
    }
}

impl JsonSchema for NameServer {
    fn schema_name() -> Cow<'static, str> {
        "NameServer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "A name server, with its port unless that is 53: `192.0.2.53`, `ns1.example.com:5353`.", "minLength": 1 })
    }
}

impl JsonSchema for HostPort {
    fn schema_name() -> Cow<'static, str> {
        "HostPort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "A host and a port: `db.example.com:5432`.", "pattern": ":[0-9]{1,5}$" })
    }
}

/// Samples every address that the host has at that moment, resolving its name anew; `at` says what was found at one.
pub(crate) async fn everywhere<F, G>(world: &World, place: &HostPort, at: impl Fn(SocketAddr) -> F) -> Sample
where
    F: Future<Output = Result<G, Sample>>,
    G: Into<Sample>,
{
    match world.resolver().addresses(&place.host).await {
        Ok(addresses) => {
            let found = addresses.into_iter().map(async |address| {
                let start = Instant::now();
                let sample = at((address, place.port).into()).await.map_or_else(|sample| sample, Into::into);
                (sample, start.elapsed())
            });
            worst(join_all(found).await)
        }
        Err(error @ ResolveError::Name(_)) => Sample::unknown(error.to_string()),
        Err(error) => Sample::bad(error.to_string()),
    }
}

/// A connection to `address`, or what a probe says without one.
pub(crate) async fn connected(address: SocketAddr) -> Result<TcpStream, Sample> {
    connect(address).await.map_err(|error| if error.is_ours() { Sample::unknown(error.to_string()) } else { Sample::bad(error.to_string()) })
}

/// What is said of a service by what was found at each of its addresses and how long that took: the worst, among bad ones the last, among good ones
/// the slowest.
pub(crate) fn worst(samples: impl IntoIterator<Item = (Sample, Duration)>) -> Sample {
    let mut worst: Option<(Sample, Duration)> = None;
    for (sample, took) in samples {
        let is_worse = worst.as_ref().is_none_or(|(so_far, longest)| match (rank(sample.reading), rank(so_far.reading)) {
            (0, 0) => took >= *longest,
            (this, that) => this >= that,
        });
        if is_worse {
            worst = Some((sample, took));
        }
    }
    worst.map_or_else(|| Sample::bad("no address"), |(sample, _)| sample)
}

const fn rank(reading: Reading) -> u8 {
    match reading {
        Reading::Good => 0,
        Reading::Unknown => 1,
        Reading::Bad => 2,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_server_has_a_port_of_its_own_or_the_usual_one() {
        for (text, place) in [
            ("192.0.2.53", Some("192.0.2.53:53")),
            ("ns1.example.com", Some("ns1.example.com:53")),
            ("ns1.example.com:5353", Some("ns1.example.com:5353")),
            ("[2001:db8::53]", Some("[2001:db8::53]:53")),
            ("", None),
            ("a b", None),
            ("ns1.example.com:0", None),
        ] {
            let read: Result<NameServer, _> = serde_json::from_value(json!(text));
            assert_eq!(read.ok().map(|place| place.to_string()).as_deref(), place, "{text}");
        }
    }

    #[test]
    fn places_are_told_from_nonsense() {
        for (text, place) in [
            ("db.example.com:5432", Some(("db.example.com", 5432))),
            ("192.0.2.7:22", Some(("192.0.2.7", 22))),
            ("[2001:db8::7]:22", Some(("[2001:db8::7]", 22))),
            ("db.example.com", None),
            ("db.example.com:0", None),
            ("db.example.com:65536", None),
            (":22", None),
            ("2001:db8::7:22", None),
            ("http://db:22", None),
            ("a b:22", None),
        ] {
            let read: Result<HostPort, _> = serde_json::from_value(json!(text));
            let expected = place.map(|(host, port)| HostPort { host: host.to_owned(), port });
            assert_eq!(read.ok(), expected, "{text}");
        }
    }
}
