//! `aws.cloudwatch.metric`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::monitoring::{self, Insufficient, Period};
use crate::catalogue::expect::number::NumberExpect;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::world::World;

/// Asks CloudWatch for the newest number of a metric: that of the last whole period, or of one of the four before it, for services deliver late.
/// Unknown when CloudWatch does not answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudWatchMetric {
    /// The namespace, such as `AWS/ApplicationELB`.
    namespace: String,
    /// The metric.
    metric: String,
    /// Of what it is measured: every dimension of the metric, for CloudWatch adds nothing up.
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
    /// How the samples of a period become one number; `Average` unless written.
    #[serde(default)]
    statistic: Statistic,
    /// The length of a period: 1s, 5s, 10s, 20s, 30s (for metrics that are stored so finely) or whole minutes; 1m unless written.
    #[serde(default = "Period::minute")]
    period: Period,
    /// How long a look may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What no number counts as: `unknown` unless written. `good` for metrics that are only there when something is wrong, such as a count of
    /// errors; `bad` for those that are always there while all is well.
    #[serde(default)]
    insufficient_data: Insufficient,
    /// What the number must be.
    #[serde(default)]
    expect: NumberExpect,
}

/// How the samples of a period become one number.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
enum Statistic {
    /// Their average.
    #[default]
    Average,
    /// Their sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// How many there were.
    SampleCount,
}

impl Statistic {
    const fn word(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Sum => "Sum",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::SampleCount => "SampleCount",
        }
    }
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for CloudWatchMetric {
    const KIND: &'static str = "aws.cloudwatch.metric";
    const EXAMPLE: &'static str = "{ namespace: Shop, metric: Errors, expect: { below: 5 } }";
    const CALLS: &'static [&'static str] = &["cloudwatch:GetMetricData"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        let query = monitoring::query(&self.namespace, &self.metric, &self.dimensions, self.statistic.word(), self.period);
        monitoring::metric(world.metrics(Cloud::Aws), &query, self.expect, self.insufficient_data).await
    }
}
