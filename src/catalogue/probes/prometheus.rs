//! `prometheus`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::expect::answer::HttpUrl;
use crate::catalogue::expect::number::{NumberExpect, Range, query};
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::world::World;

/// Asks Prometheus. Good when every number the query gives is as expected; unknown when Prometheus itself does
/// not answer, and when the query gives nothing, unless `exists` says what that means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrometheusProbe {
    /// The server, without `/api/v1`.
    url: HttpUrl,
    /// A query in PromQL.
    query: String,
    /// Ask for the numbers of the last while, all of which count, instead of for those of now.
    #[serde(default)]
    range: Option<Range>,
    /// How long the answer may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What the numbers must be.
    #[serde(default)]
    expect: NumberExpect,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for PrometheusProbe {
    const KIND: &'static str = "prometheus";
    const EXAMPLE: &'static str = r#"{ url: "${{ vars.prometheus }}", query: "sum(rate(shop_requests_total{outcome=\"ok\"}[1m]))", expect: { above: 0 } }"#;
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["url"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    /// Prometheus itself tells which of its alerts fire by the series `ALERTS`.
    fn is_on_duty(&self) -> bool {
        self.query.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | ':')).any(|word| word == "ALERTS")
    }

    async fn sample(&self, world: &World) -> Sample {
        match query(world.http(), &self.url, &self.query, self.range.as_ref()).await {
            Ok(numbers) => self.expect.sample(&numbers),
            Err(message) => Sample::unknown(message),
        }
    }
}
