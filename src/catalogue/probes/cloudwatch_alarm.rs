//! `aws.cloudwatch.alarm`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::monitoring::{self, Insufficient};
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::world::World;

/// Looks at a CloudWatch alarm, over a metric or over other alarms. Good while it is `OK`, bad in `ALARM`; unknown when there is
/// no such alarm or it cannot be read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudWatchAlarm {
    /// The name of the alarm.
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

impl Probe<World> for CloudWatchAlarm {
    const KIND: &'static str = "aws.cloudwatch.alarm";
    const EXAMPLE: &'static str = r#"{ name: "${{ vars.checkout_alarm }}" }"#;
    const CALLS: &'static [&'static str] = &["cloudwatch:DescribeAlarms"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn is_on_duty(&self) -> bool {
        true
    }

    async fn sample(&self, world: &World) -> Sample {
        monitoring::alarm(world.metrics(Cloud::Aws), &self.name, self.insufficient_data).await
    }
}
