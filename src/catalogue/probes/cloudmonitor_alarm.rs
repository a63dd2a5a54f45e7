//! `aliyun.cloudmonitor.alarm`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::monitoring::{self, Insufficient};
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::world::World;

/// Looks at a rule of CloudMonitor. Good while it is `OK`, bad in `ALARM`; unknown when there is no such rule or it cannot be read, and while it is
/// switched off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudMonitorAlarm {
    /// The name of the rule, whole.
    name: String,
    /// What `INSUFFICIENT_DATA` counts as; `unknown` unless written.
    #[serde(default)]
    insufficient_data: Insufficient,
    /// How long a look may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for CloudMonitorAlarm {
    const KIND: &'static str = "aliyun.cloudmonitor.alarm";
    const EXAMPLE: &'static str = r#"{ name: "${{ vars.checkout_alarm }}" }"#;
    const CALLS: &'static [&'static str] = &["cms:DescribeMetricRuleList"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn is_on_duty(&self) -> bool {
        true
    }

    async fn sample(&self, world: &World) -> Sample {
        monitoring::alarm(world.metrics(Cloud::Aliyun), &self.name, self.insufficient_data).await
    }
}
