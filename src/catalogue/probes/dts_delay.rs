//! `aliyun.dts.delay`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::buckets::detail;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::Span;
use crate::ports::Cloud;
use crate::ports::sync::{JobState, SyncJob};
use crate::world::World;

/// Asks DTS how far a synchronisation job is behind. Good while the job moves data and is not further behind than allowed; bad when it is, and when the job is paused, still starting or has
/// failed. Unknown when DTS does not answer, and when it does not say how far.
///
/// The value is `{ status, delay_ms, checkpoint }`: the vendor's word for the job's state, its own number, and up to which second of the source (since 1970) the rows are there. It is
/// what DTS says of itself; a recovery point is measured by what is found on the other side, as `objects.lag` and the canaries do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DtsDelay {
    /// The job's id.
    job: String,
    /// How long a look may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What is good.
    expect: DelayExpect,
}

/// What is good.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DelayExpect {
    /// The greatest delay.
    max_delay: Span,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl Probe<World> for DtsDelay {
    const KIND: &'static str = "aliyun.dts.delay";
    const EXAMPLE: &'static str = r#"{ job: "${{ vars.sync_job }}", expect: { max_delay: 5s } }"#;
    const CALLS: &'static [&'static str] = &["dts:DescribeDtsJobDetail"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        let job = match world.sync(Cloud::Aliyun) {
            Ok(sync) => sync.job(&self.job).await,
            Err(error) => Err(error),
        };
        job.map_or_else(|error| Sample::unknown(detail(&error)), |job| judge(&job, self.expect.max_delay))
    }
}

fn judge(job: &SyncJob, most: Span) -> Sample {
    let sample = match (job.state, job.delay_ms) {
        (JobState::Running, Some(delay)) => {
            let delay = Duration::from_millis(delay);
            let text = format!("{:.1} s behind", delay.as_secs_f64());
            if delay <= most.duration() { Sample::good(text) } else { Sample::bad(format!("{text}, allowed {most}")) }
        }
        (JobState::Running, None) => Sample::unknown("DTS does not say how far the job is behind"),
        (JobState::Starting | JobState::Paused | JobState::Other, _) => Sample::bad(format!("the job is {}", job.status)),
    };
    sample.with_value(json!({ "status": job.status, "delay_ms": job.delay_ms, "checkpoint": job.checkpoint }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_that_moves_data_and_is_near_enough_is_good() {
        let job = |state, status: &str, delay_ms| SyncJob { id: "j".into(), state, status: status.into(), checkpoint: Some(1_700_000_000), delay_ms };
        for (job, reading, text) in [
            (job(JobState::Running, "Synchronizing", Some(5000)), Reading::Good, "5.0 s behind"),
            (job(JobState::Running, "Synchronizing", Some(5001)), Reading::Bad, "5.0 s behind, allowed 5s"),
            (job(JobState::Running, "Synchronizing", None), Reading::Unknown, "DTS does not say how far the job is behind"),
            (job(JobState::Paused, "Suspending", Some(0)), Reading::Bad, "the job is Suspending"),
            (job(JobState::Starting, "Initializing", Some(0)), Reading::Bad, "the job is Initializing"),
            (job(JobState::Other, "Failed", None), Reading::Bad, "the job is Failed"),
        ] {
            let sample = judge(&job, Span::from_secs(5));
            assert_eq!((sample.reading, sample.detail.as_str()), (reading, text));
            let value = sample.value.unwrap();
            assert_eq!((&value["status"], &value["delay_ms"]), (&json!(job.status), &json!(job.delay_ms)));
            assert!(value["lag_ms"].is_null(), "what DTS says of itself is no measured lag");
        }
    }
}
