//! `tcp`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use crate::catalogue::expect::place::{HostPort, connected, everywhere};
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::World;
use crate::world::connect::reason;

/// The longest greeting that can be expected, in bytes.
const LONGEST: usize = 1024;

/// Connects to a port and closes again, resolving the name anew each time, at every address it has at that moment. Good when each of them accepts, and
/// greets as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpProbe {
    /// Where to connect to.
    address: HostPort,
    /// How long it may take; 1s unless written.
    #[serde(default = "one_second")]
    timeout: Span,
    /// What must come.
    #[serde(default)]
    expect: TcpExpect,
}

/// What the server must do; nothing written = it accepts the connection.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TcpExpect {
    /// What it says first, such as `SSH-2.0-` or `220 `; at most 1024 bytes.
    #[serde(default)]
    greeting: Option<Greeting>,
}

/// The beginning of what a server says before it is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
struct Greeting(#[schemars(length(min = 1, max = LONGEST))] String);

impl TryFrom<String> for Greeting {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if (1..=LONGEST).contains(&text.len()) { Ok(Self(text)) } else { Err(format!("a greeting has 1 to {LONGEST} bytes")) }
    }
}

const fn one_second() -> Span {
    Span::from_secs(1)
}

impl Probe<World> for TcpProbe {
    const KIND: &'static str = "tcp";
    const EXAMPLE: &'static str = r#"{ address: "db.us.example.com:5432" }"#;
    const CALLS: &'static [&'static str] = &[];
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        ClientModel::anew()
    }

    async fn sample(&self, world: &World) -> Sample {
        everywhere(world, &self.address, |address| self.at(address)).await
    }
}

impl TcpProbe {
    async fn at(&self, address: SocketAddr) -> Result<String, Sample> {
        let start = Instant::now();
        self.greeted(address).await?;
        Ok(format!("connected in {} ms", start.elapsed().as_millis()))
    }

    async fn greeted(&self, address: SocketAddr) -> Result<(), Sample> {
        let mut stream = connected(address).await?;
        let Some(Greeting(expected)) = &self.expect.greeting else { return Ok(()) };
        let mut said = Vec::new();
        // One byte that differs is enough to know; the rest is not waited for.
        while said.len() < expected.len() && expected.as_bytes().starts_with(&said) {
            let mut bytes = [0; LONGEST];
            match stream.read(&mut bytes[..expected.len() - said.len()]).await {
                Ok(0) => return Err(Sample::bad(format!("{address}: closed after {} bytes of greeting", said.len()))),
                Ok(count) => said.extend_from_slice(&bytes[..count]),
                Err(error) => return Err(Sample::bad(format!("{address}: {}", reason(&error)))),
            }
        }
        if said == expected.as_bytes() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(Sample::bad(format!("{address}: said {said:?}, expected {expected:?}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::engine::probe::Reading;

    async fn read(probe: Value) -> (Reading, String) {
        let probe: TcpProbe = serde_json::from_value(probe).unwrap();
        let sample = probe.at((std::net::Ipv4Addr::LOCALHOST, probe.address.port).into()).await.map_or_else(|sample| sample, Sample::good);
        (sample.reading, sample.detail)
    }

    #[tokio::test]
    async fn a_port_is_open_greets_or_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            for _ in 0..4 {
                let (mut stream, _) = listener.accept().await.unwrap();
                // In two parts, as networks do.
                stream.write_all(b"22").await.unwrap();
                stream.flush().await.unwrap();
                stream.write_all(b"0 mail").await.unwrap_or_default();
            }
        });
        let place = address.to_string();
        let (reading, detail) = read(json!({ "address": place })).await;
        assert!(reading == Reading::Good && detail.starts_with("connected in "), "{detail}");
        assert_eq!(read(json!({ "address": place, "expect": { "greeting": "220 " } })).await.0, Reading::Good);
        let wrong = read(json!({ "address": place, "expect": { "greeting": "SSH" } })).await;
        assert_eq!(wrong.0, Reading::Bad);
        assert!(wrong.1.starts_with(&format!("{address}: said \"22")) && wrong.1.ends_with("expected \"SSH\""), "{}", wrong.1);
        let (reading, detail) = read(json!({ "address": place, "expect": { "greeting": "220 mail server" } })).await;
        assert_eq!((reading, detail), (Reading::Bad, format!("{address}: closed after 8 bytes of greeting")));
        server.await.unwrap();
        // A port that is held and not listened on: one that was given back may be another test's by now.
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = held.local_addr().unwrap();
        let (reading, detail) = read(json!({ "address": closed.to_string() })).await;
        assert_eq!((reading, detail), (Reading::Bad, format!("{closed}: connection refused")));
    }

    #[test]
    fn a_greeting_has_bounds() {
        for (text, good) in [(String::new(), false), ("x".repeat(1024), true), ("x".repeat(1025), false)] {
            let read: Result<TcpProbe, _> = serde_json::from_value(json!({ "address": "a:1", "expect": { "greeting": text } }));
            assert_eq!(read.is_ok(), good);
        }
    }
}
