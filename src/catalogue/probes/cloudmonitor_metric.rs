//! `aliyun.cloudmonitor.metric`.

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

/// Asks CloudMonitor for the newest number of a metric. Every resource that fits gives one, and each must be as expected. Unknown when
/// CloudMonitor does not answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudMonitorMetric {
    /// The namespace, such as `acs_slb_dashboard`.
    namespace: String,
    /// The metric.
    metric: String,
    /// Of what it is measured, such as `instanceId`; everything unless written.
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
    /// Which number of a period; metrics have some of them. `Average` unless written.
    #[serde(default)]
    statistic: Statistic,
    /// The length of a period: one that the metric has, usually 1m; 1m unless written.
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
    /// The number itself, of metrics that have no other.
    Value,
}

impl Statistic {
    const fn word(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Sum => "Sum",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Value => "Value",
        }
    }
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for CloudMonitorMetric {
    const KIND: &'static str = "aliyun.cloudmonitor.metric";
    const EXAMPLE: &'static str = "{ namespace: acs_ecs_dashboard, metric: CPUUtilization, expect: { below: 90 } }";
    const CALLS: &'static [&'static str] = &["cms:DescribeMetricLast"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        let query = monitoring::query(&self.namespace, &self.metric, &self.dimensions, self.statistic.word(), self.period);
        monitoring::metric(world.metrics(Cloud::Aliyun), &query, self.expect, self.insufficient_data).await
    }
}
