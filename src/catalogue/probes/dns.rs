//! `dns`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::expect::names::{DnsExpect, DnsType};
use crate::engine::probe::{Probe, Sample};
use crate::model::time::Span;
use crate::world::World;
use crate::world::resolve::ResolveError;

/// Asks for a name's records. Good when the answer is as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsProbe {
    /// The whole name, such as `shop.example.com`.
    name: String,
    /// The type of the records; A unless written.
    #[serde(default, rename = "type")]
    record_type: DnsType,
    /// The name server to ask, `host:port`; the environment's unless written.
    #[serde(default)]
    server: Option<String>,
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

impl Probe<World> for DnsProbe {
    const KIND: &'static str = "dns";

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        match world.resolver().records(&self.name, self.record_type.record_type(), self.server.as_deref()).await {
            Ok(values) => {
                let sample = self.expect.judge(&values).map_or_else(Sample::bad, Sample::good);
                sample.with_value(json!(values))
            }
            Err(error @ ResolveError::Name(_)) => Sample::unknown(error.to_string()),
            Err(error) => Sample::bad(error.to_string()),
        }
    }
}
