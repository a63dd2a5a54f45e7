//! Bringing a job to run or to rest over the sync port, and back.

use std::sync::{Mutex, Once, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::until::until;
use crate::engine::action::{ActionError, Applied, Planned, PlannedCall, Undone};
use crate::model::event::step::Target;
use crate::ports::Kind;
use crate::ports::sync::{JobState, Sync};

/// What is asked for, and how a job was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wanted {
    /// Moving data.
    Running,
    /// Suspended where it was; it can go on from there.
    Suspended,
}

/// Where the job is.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The job's id.
    pub(super) job: String,
    /// The cloud's own word for its state.
    pub(super) status: String,
}

const READ: &str = "dts:DescribeDtsJobDetail";
const SUSPEND: &str = "dts:SuspendDtsJob";
const START: &str = "dts:StartDtsJob";

impl Wanted {
    const fn is_heading_there(self, state: JobState) -> bool {
        match self {
            Self::Running => matches!(state, JobState::Starting | JobState::Running),
            Self::Suspended => matches!(state, JobState::Suspending | JobState::Suspended),
        }
    }

    fn is_there(self, state: JobState) -> bool {
        state == if self == Self::Running { JobState::Running } else { JobState::Suspended }
    }

    /// Whether the job rests where it can be asked to change.
    fn can_ask(self, state: JobState) -> bool {
        state == if self == Self::Running { JobState::Suspended } else { JobState::Running }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
        }
    }

    /// The state that `state` ends in when nobody does anything.
    fn of(state: JobState) -> Option<Self> {
        [Self::Running, Self::Suspended].into_iter().find(|wanted| wanted.is_heading_there(state))
    }
}

pub(super) async fn plan(sync: &dyn Sync, id: &str, wanted: Wanted) -> Result<Planned<Wanted>, ActionError> {
    let job = sync.job(id).await?;
    let before = Wanted::of(job.state)
        .ok_or_else(|| ActionError::NoTargets(format!("job {id} is {}: it can be neither started nor suspended", job.status)))?;
    let mut calls = vec![PlannedCall::read(READ, id)];
    let (mut change, mut undo) = (String::new(), Vec::new());
    if before != wanted {
        undo = vec![PlannedCall::read(READ, id), PlannedCall::write(if wanted == Wanted::Running { SUSPEND } else { START }, id)];
        change = format!("{} → {}", before.word(), wanted.word());
        calls.push(PlannedCall::write(if wanted == Wanted::Running { START } else { SUSPEND }, id));
        calls.push(PlannedCall::read(READ, format!("until {}", wanted.word())));
    }
    Ok(Planned::new(before, vec![Target::new("sync-job", id, change)], calls).undone_by(undo))
}

pub(super) async fn apply(
    sync: &dyn Sync,
    id: &str,
    wanted: Wanted,
    before: Wanted,
    progress: &(dyn Fn(String) + Send + std::marker::Sync),
    accepted: &(dyn Fn() + Send + std::marker::Sync),
) -> Result<Applied<Output>, ActionError> {
    let (asked, status) = bring(sync, id, wanted, progress, accepted).await?;
    Ok(Applied { output: Output { job: id.to_owned(), status }, already: !asked && before == wanted })
}

pub(super) async fn undo(
    sync: &dyn Sync,
    id: &str,
    before: Wanted,
    progress: &(dyn Fn(String) + Send + std::marker::Sync),
) -> Result<Undone, ActionError> {
    // Whatever ended it meanwhile, it cannot go on from where it was.
    let conflict = |found: String| ActionError::Conflict { what: format!("job {id}"), expected: "running or suspended".to_owned(), found };
    let job = sync.job(id).await.map_err(|error| if error.kind == Kind::NotFound { conflict("no such job".to_owned()) } else { error.into() })?;
    if job.state == JobState::Other {
        return Err(conflict(job.status));
    }
    let (asked, _) = bring(sync, id, before, progress, &|| {}).await?;
    Ok(if asked { Undone::Restored } else { Undone::Already })
}

/// Asks once, as soon as the job's state allows it, and waits. Gives back whether it asked, and the cloud's word for the final state.
async fn bring(
    sync: &dyn Sync,
    id: &str,
    wanted: Wanted,
    progress: &(dyn Fn(String) + Send + std::marker::Sync),
    accepted: &(dyn Fn() + Send + std::marker::Sync),
) -> Result<(bool, String), ActionError> {
    // Whether it was asked, whether it was since seen on its way, and the state shown last.
    let seen = Mutex::new((false, false, String::new()));
    let done = Once::new();
    let (seen, done) = (&seen, &done);
    let lock = move || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let status = until(|| async move {
        let job = sync.job(id).await?;
        if lock().2 != job.status {
            progress(format!("{id}: {}", job.status));
            lock().2.clone_from(&job.status);
        }
        let (asked, on_its_way) = {
            let seen = lock();
            (seen.0, seen.1)
        };
        if wanted.can_ask(job.state) {
            if on_its_way {
                return Err(ActionError::NoEffect(format!("job {id} went back to {}", job.status)));
            }
            if !asked {
                match wanted {
                    Wanted::Running => sync.start(id).await?,
                    Wanted::Suspended => sync.suspend(id).await?,
                }
                lock().0 = true;
                done.call_once(accepted);
            }
        } else if wanted.is_heading_there(job.state) {
            lock().1 = asked;
            done.call_once(accepted);
        } else if job.state == JobState::Other {
            return Err(ActionError::NoEffect(format!("job {id} is {}", job.status)));
        }
        Ok(wanted.is_there(job.state).then_some(job.status))
    })
    .await?;
    Ok((lock().0, status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PortFuture;
    use crate::ports::sync::SyncJob;

    /// A job that needs a look to get where it is going.
    struct Fake {
        state: Mutex<JobState>,
        calls: Mutex<Vec<&'static str>>,
        fails: bool,
    }

    impl Fake {
        fn new(state: JobState) -> Self {
            Self { state: Mutex::new(state), calls: Mutex::default(), fails: false }
        }

        fn go(&self, call: &'static str, state: JobState) -> PortFuture<'_, ()> {
            self.calls.lock().unwrap().push(call);
            *self.state.lock().unwrap() = state;
            Box::pin(async { Ok(()) })
        }
    }

    impl Sync for Fake {
        fn job<'a>(&'a self, id: &'a str) -> PortFuture<'a, SyncJob> {
            Box::pin(async move {
                let mut state = self.state.lock().unwrap();
                let shown = *state;
                *state = match shown {
                    JobState::Starting if self.fails => JobState::Suspended,
                    JobState::Starting => JobState::Running,
                    JobState::Suspending => JobState::Suspended,
                    other => other,
                };
                Ok(SyncJob { id: id.to_owned(), state: shown, status: format!("{shown:?}"), delay_ms: None })
            })
        }

        fn suspend<'a>(&'a self, _: &'a str) -> PortFuture<'a, ()> {
            self.go("suspend", JobState::Suspending)
        }

        fn start<'a>(&'a self, _: &'a str) -> PortFuture<'a, ()> {
            self.go("start", JobState::Starting)
        }
    }

    #[tokio::test]
    async fn a_running_job_is_suspended_and_undo_starts_it() {
        let fake = Fake::new(JobState::Starting);
        let before = plan(&fake, "j", Wanted::Suspended).await.unwrap().before;
        assert_eq!(before, Wanted::Running);
        let applied = apply(&fake, "j", Wanted::Suspended, before, &|_| {}, &|| {}).await.unwrap();
        assert_eq!((applied.already, applied.output.status.as_str()), (false, "Suspended"));
        assert_eq!(undo(&fake, "j", before, &|_| {}).await.unwrap(), Undone::Restored);
        assert_eq!(undo(&fake, "j", before, &|_| {}).await.unwrap(), Undone::Already);
        assert_eq!(*fake.calls.lock().unwrap(), ["suspend", "start"]);
    }

    #[tokio::test]
    async fn already_as_asked_asks_nothing() {
        let fake = Fake::new(JobState::Suspended);
        let planned = plan(&fake, "j", Wanted::Suspended).await.unwrap();
        assert!(planned.calls.iter().all(|call| !call.mutating));
        assert!(apply(&fake, "j", Wanted::Suspended, planned.before, &|_| {}, &|| {}).await.unwrap().already);
        assert!(fake.calls.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_job_that_falls_back_or_is_in_no_known_state_is_a_failure() {
        let mut fake = Fake::new(JobState::Suspended);
        fake.fails = true;
        let error = apply(&fake, "j", Wanted::Running, Wanted::Suspended, &|_| {}, &|| {}).await.unwrap_err();
        assert_eq!(error.to_string(), "job j went back to Suspended");
        assert!(matches!(plan(&Fake::new(JobState::Other), "j", Wanted::Running).await.unwrap_err(), ActionError::NoTargets(_)));
    }
}
