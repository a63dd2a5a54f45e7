//! DTS synchronisation jobs behind the sync port.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::sync::{JobState, Sync, SyncJob};
use crate::ports::{CloudError, Kind, PortFuture};

const DETAIL: Api = Api::reads("dts:DescribeDtsJobDetail");
const SUSPEND: Api = Api::changes("dts:SuspendDtsJob");
const START: Api = Api::changes("dts:StartDtsJob");

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    dts_job_id: String,
    status: String,
    /// Milliseconds.
    delay: Option<i64>,
    /// Seconds since the epoch.
    checkpoint: Option<i64>,
    /// What tags are on.
    #[serde(rename = "DtsInstanceID")]
    dts_instance_id: Option<String>,
}

impl Sync for Aliyun {
    fn job<'a>(&'a self, id: &'a str) -> PortFuture<'a, SyncJob> {
        Box::pin(async move {
            let detail = self.rpc::<Detail>(DETAIL, &self.job_params(id)).await?;
            Ok(SyncJob {
                state: state(&detail.status),
                id: detail.dts_job_id,
                status: detail.status,
                checkpoint: detail.checkpoint,
                // Below zero the service does not know yet.
                delay_ms: detail.delay.and_then(|delay| u64::try_from(delay).ok()),
            })
        })
    }

    fn suspend<'a>(&'a self, id: &'a str) -> PortFuture<'a, ()> {
        // SuspendDtsJob keeps the job's place; StopDtsJob would end it for good and is never called.
        Box::pin(async move { self.rpc::<IgnoredAny>(SUSPEND, &self.job_params(id)).await.map(|_| ()) })
    }

    fn start<'a>(&'a self, id: &'a str) -> PortFuture<'a, ()> {
        Box::pin(async move { self.rpc::<IgnoredAny>(START, &self.job_params(id)).await.map(|_| ()) })
    }
}

impl Aliyun {
    /// The DTS instance that a job is part of.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such job; any failed call.
    pub(super) async fn sync_instance(&self, job: &str) -> Result<String, CloudError> {
        let detail = self.rpc::<Detail>(DETAIL, &self.job_params(job)).await?;
        detail.dts_instance_id.filter(|id| !id.is_empty()).ok_or_else(|| DETAIL.error(Kind::Malformed, format!("job {job} has no instance")))
    }

    fn job_params(&self, id: &str) -> Params {
        Params::new().set("RegionId", &self.region).set("DtsJobId", id)
    }
}

/// What the vendor's words mean; it writes them in either case. `Suspending` is a job that is paused: there is no further word, and none for one that
/// rests at last. A job that is started goes through several states before it moves data. The words and where they are documented: `tests/words`.
fn state(status: &str) -> JobState {
    match status.to_ascii_lowercase().as_str() {
        "prechecking" | "precheckpass" | "initializing" | "retrying" | "modifying" | "upgrade" | "downgrade" => JobState::Starting,
        "synchronizing" | "migrating" => JobState::Running,
        "suspending" => JobState::Paused,
        // NotStarted, NotConfigured, PrecheckFailed, InitializeFailed, ModifyFailed, MigrationFailed, Failed, Finished, Locked, and what comes to be.
        _ => JobState::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_status_is_understood_in_either_case() {
        for word in ["Prechecking", "PreCheckPass", "Initializing", "Retrying", "Modifying", "Upgrade", "Downgrade"] {
            assert_eq!(state(word), JobState::Starting, "{word}");
        }
        for word in ["Synchronizing", "synchronizing", "Migrating"] {
            assert_eq!(state(word), JobState::Running, "{word}");
        }
        for word in ["Suspending", "suspending", "SUSPENDING"] {
            assert_eq!(state(word), JobState::Paused, "{word}");
        }
        for word in ["NotStarted", "NotConfigured", "PrecheckFailed", "InitializeFailed", "Failed", "Finished", "Locked", "Suspended", "", "new"] {
            assert_eq!(state(word), JobState::Other, "{word}");
        }
    }
}
