//! `tls`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::expect::answer::lasts;
use crate::catalogue::expect::place::{HostPort, connected, everywhere};
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::{World, tls};

/// Speaks TLS with a port and closes again, resolving the name anew each time, at every address it has at that moment. Good when each of them has a
/// certificate that this machine trusts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsProbe {
    /// Where to connect to.
    address: HostPort,
    /// The name that the certificate must be for; the host unless written.
    #[serde(default)]
    name: Option<String>,
    /// How long it may take; 2s unless written.
    #[serde(default = "two_seconds")]
    timeout: Span,
    /// What more must hold.
    #[serde(default)]
    expect: TlsExpect,
}

/// What must hold of the certificate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TlsExpect {
    /// How long it is valid still.
    #[serde(default)]
    certificate_for: Option<Span>,
}

const fn two_seconds() -> Span {
    Span::from_secs(2)
}

impl Probe<World> for TlsProbe {
    const KIND: &'static str = "tls";
    const EXAMPLE: &'static str = r#"{ address: "shop.example.com:443", expect: { certificate_for: 14d } }"#;
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

impl TlsProbe {
    async fn at(&self, address: SocketAddr) -> Result<String, Sample> {
        let start = Instant::now();
        let stream = connected(address).await?;
        let name = self.name.as_deref().unwrap_or(&self.address.host);
        let stream = tls::connect(name, stream, &[]).await.map_err(|message| Sample::bad(format!("{address}: no TLS: {message}")))?;
        if let Some(least) = self.expect.certificate_for {
            lasts(tls::certificate_ends(&stream), least).map_err(|wrong| Sample::bad(format!("{address}: {wrong}")))?;
        }
        Ok(format!("TLS in {} ms", start.elapsed().as_millis()))
    }
}
