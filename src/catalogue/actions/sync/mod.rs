//! Data synchronisation jobs: pausing and starting.

mod jobs;

actions! {
    pause_job::PauseJob,
    start_job::StartJob,
    suspend_job::SuspendJob,
}
