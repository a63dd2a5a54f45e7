//! Starts or pauses a synchronisation job over the sync port and waits until the job is there; undo does the opposite.

use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::catalogue::until::until;
use crate::engine::action::{ActionError, Applied, Planned, PlannedCall, Stands, Undone};
use crate::engine::foreseen::Foreseen;
use crate::model::target::{Change, Location, Target, TargetKind};
use crate::model::time::Span;
use crate::ports::Kind;
use crate::ports::sync::{JobState, Sync, SyncJob};

/// What is asked for, and how a job was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wanted {
    /// Moving data.
    Running,
    /// Paused where it was; it can go on from there.
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

/// The longest that the vendor lets a job be paused: "do not pause a data synchronization task for more than 6 hours. Otherwise, the task cannot be
/// started again" (SuspendSynchronizationJob).
pub(super) const LONGEST_PAUSE: Span = Span::from_secs(6 * 3600);

/// How far apart two looks at a paused job are that tell whether it rests: checkpoints are whole seconds.
const APART: Duration = if cfg!(test) { Duration::from_millis(8) } else { Duration::from_millis(1100) };

/// How long a paused job that tells no checkpoint may still hand over what was in hand.
const UNTOLD: Duration = if cfg!(test) { Duration::from_millis(40) } else { Duration::from_secs(10) };

const READ: &str = "dts:DescribeDtsJobDetail";
const SUSPEND: &str = "dts:SuspendDtsJob";
const START: &str = "dts:StartDtsJob";

impl Wanted {
    const fn is_heading_there(self, state: JobState) -> bool {
        match self {
            Self::Running => matches!(state, JobState::Starting | JobState::Running),
            Self::Suspended => matches!(state, JobState::Paused),
        }
    }

    /// Whether the job is where it can be asked to change.
    fn can_ask(self, state: JobState) -> bool {
        state == if self == Self::Running { JobState::Paused } else { JobState::Running }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Suspended => "paused",
        }
    }

    /// The state that `state` ends in when nobody does anything.
    fn of(state: JobState) -> Option<Self> {
        [Self::Running, Self::Suspended].into_iter().find(|wanted| wanted.is_heading_there(state))
    }
}

pub(super) async fn plan(
    sync: &dyn Sync,
    location: &Location,
    id: &str,
    wanted: Wanted,
    foreseen: &Foreseen,
) -> Result<Planned<Wanted>, ActionError> {
    let job = sync.job(id).await?;
    let found =
        Wanted::of(job.state).ok_or_else(|| ActionError::NoTargets(format!("job {id} is {}: it can be neither started nor paused", job.status)))?;
    let before = foreseen.read(&format!("sync-job {id}"), found);
    foreseen.write(&format!("sync-job {id}"), &wanted);
    let mut calls = vec![PlannedCall::read(READ, id)];
    let (mut change, mut undo) = (None, Vec::new());
    if before != wanted {
        undo = vec![PlannedCall::read(READ, id), PlannedCall::write(if wanted == Wanted::Running { SUSPEND } else { START }, id)];
        change = Some(Change::between(before.word(), wanted.word()));
        calls.push(PlannedCall::write(if wanted == Wanted::Running { START } else { SUSPEND }, id));
        calls.push(PlannedCall::read(READ, format!("until {}", wanted.word())));
    }
    Ok(Planned::new(before, vec![Target::at(location, TargetKind::SyncJob, id).changing(change)], calls).undone_by(undo))
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
    let conflict = |found: String| ActionError::Conflict { what: format!("job {id}"), expected: "running or paused".to_owned(), found };
    let job = sync.job(id).await.map_err(|error| if error.kind == Kind::NotFound { conflict("no such job".to_owned()) } else { error.into() })?;
    if job.state == JobState::Other {
        return Err(conflict(job.status));
    }
    let (asked, _) = bring(sync, id, before, progress, &|| {}).await?;
    Ok(if asked { Undone::Restored } else { Undone::Already })
}

/// Whether a job is where it was brought, `wanted`, or still on its way back to `before`.
pub(super) async fn stands(sync: &dyn Sync, id: &str, wanted: Wanted, before: Wanted) -> Result<Stands, ActionError> {
    let job = match sync.job(id).await {
        Err(error) if error.kind == Kind::NotFound => return Ok(Stands::Otherwise(format!("there is no job {id}"))),
        job => job?,
    };
    Ok(match Wanted::of(job.state) {
        None => Stands::Otherwise(format!("job {id} is {}", job.status)),
        Some(_) if before == wanted => Stands::Gone,
        Some(now) if now == wanted || job.state == JobState::Starting => Stands::Here,
        Some(_) => Stands::Gone,
    })
}

/// What was seen while a job is brought somewhere.
#[derive(Default)]
struct Transit {
    /// Whether it was asked to go there.
    asked: bool,
    /// Whether it was since seen on its way.
    on_its_way: bool,
    /// The line that was shown last.
    shown: String,
    /// Since when it is paused with this checkpoint.
    paused: Option<(Instant, Option<i64>)>,
}

impl Transit {
    /// Whether a paused job rests: the vendor's word for it comes at once, while what was in hand is still handed over.
    fn rests(&mut self, job: &SyncJob) -> bool {
        match self.paused {
            // Nothing but time tells.
            Some((since, None)) if job.checkpoint.is_none() => since.elapsed() >= UNTOLD,
            Some((since, checkpoint)) if checkpoint == job.checkpoint => since.elapsed() >= APART,
            _ => {
                self.paused = Some((Instant::now(), job.checkpoint));
                false
            }
        }
    }
}

/// Asks once, as soon as the job's state allows it, and waits. Gives back whether it asked, and the cloud's word for the final state.
async fn bring(
    sync: &dyn Sync,
    id: &str,
    wanted: Wanted,
    progress: &(dyn Fn(String) + Send + std::marker::Sync),
    accepted: &(dyn Fn() + Send + std::marker::Sync),
) -> Result<(bool, String), ActionError> {
    let seen = Mutex::new(Transit::default());
    let done = Once::new();
    let (seen, done) = (&seen, &done);
    let lock = move || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let show = move |line: String| {
        if lock().shown != line {
            progress(line.clone());
            lock().shown = line;
        }
    };
    let show = &show;
    let status = until(|| async move {
        let job = sync.job(id).await?;
        show(format!("{id}: {}", job.status));
        let (asked, on_its_way) = {
            let seen = lock();
            (seen.asked, seen.on_its_way)
        };
        if wanted.can_ask(job.state) {
            if on_its_way {
                return Err(ActionError::NoEffect(format!("job {id} went back to {}", job.status)));
            }
            if !asked {
                let answer = match wanted {
                    Wanted::Running => sync.start(id).await,
                    Wanted::Suspended => sync.suspend(id).await,
                };
                match answer {
                    Ok(()) => {
                        lock().asked = true;
                        done.call_once(accepted);
                    }
                    // A change that is under way has to end first: a job that is paused may still be handing over what was in hand.
                    Err(error) if error.kind == Kind::Conflict && error.retry => show(format!("{id}: {}, {}", job.status, error.message)),
                    Err(error) => return Err(error.into()),
                }
            }
        } else if wanted.is_heading_there(job.state) {
            lock().on_its_way = asked;
            done.call_once(accepted);
        } else if job.state == JobState::Other {
            return Err(ActionError::NoEffect(format!("job {id} is {}", job.status)));
        }
        let is_there = match job.state {
            JobState::Running => wanted == Wanted::Running,
            JobState::Paused => wanted == Wanted::Suspended && lock().rests(&job),
            JobState::Starting | JobState::Other => false,
        };
        Ok(is_there.then_some(job.status))
    })
    .await?;
    Ok((lock().asked, status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::foreseen::NOTHING;
    use crate::ports::{Cloud, CloudError, PortFuture};

    fn location() -> Location {
        Location { cloud: Cloud::Aliyun, account: None, region: Some("cn-hangzhou".to_owned()) }
    }

    /// A job that shows one word after another, each at one look; the last one stays.
    struct Fake {
        shows: Mutex<Vec<(JobState, &'static str)>>,
        /// What it shows once it was started, and once it was paused.
        started: Vec<(JobState, &'static str)>,
        paused: Vec<(JobState, &'static str)>,
        /// Looks at a paused job while its checkpoint still moves.
        moves: Mutex<i64>,
        /// How often a change is refused first.
        refuses: Mutex<u32>,
        calls: Mutex<Vec<&'static str>>,
    }

    const PAUSED: (JobState, &str) = (JobState::Paused, "Suspending");
    const RUNS: (JobState, &str) = (JobState::Running, "Synchronizing");

    impl Fake {
        fn new(shows: &[(JobState, &'static str)]) -> Self {
            let steps = ["Prechecking", "PreCheckPass", "Initializing", "Retrying"].map(|word| (JobState::Starting, word));
            Self {
                shows: Mutex::new(shows.to_vec()),
                started: steps.into_iter().chain([RUNS]).collect(),
                paused: vec![PAUSED],
                moves: Mutex::new(3),
                refuses: Mutex::new(0),
                calls: Mutex::default(),
            }
        }

        fn go(&self, call: &'static str, shows: &[(JobState, &'static str)]) -> PortFuture<'_, ()> {
            self.calls.lock().unwrap().push(call);
            let mut refuses = self.refuses.lock().unwrap();
            if *refuses > 0 {
                *refuses -= 1;
                let mut error = CloudError::new(Cloud::Aliyun, call, Kind::Conflict, "not now");
                error.retry = true;
                return Box::pin(async { Err(error) });
            }
            *self.shows.lock().unwrap() = shows.to_vec();
            Box::pin(async { Ok(()) })
        }
    }

    impl Sync for Fake {
        fn job<'a>(&'a self, id: &'a str) -> PortFuture<'a, SyncJob> {
            Box::pin(async move {
                let mut shows = self.shows.lock().unwrap();
                let (state, status) = if shows.len() > 1 { shows.remove(0) } else { shows[0] };
                let mut moves = self.moves.lock().unwrap();
                *moves -= i64::from(state == JobState::Paused && *moves > 0);
                Ok(SyncJob { id: id.to_owned(), state, status: status.to_owned(), checkpoint: Some(100 - *moves), delay_ms: None })
            })
        }

        fn suspend<'a>(&'a self, _: &'a str) -> PortFuture<'a, ()> {
            self.go("suspend", &self.paused)
        }

        fn start<'a>(&'a self, _: &'a str) -> PortFuture<'a, ()> {
            self.go("start", &self.started)
        }
    }

    #[tokio::test]
    async fn a_job_is_paused_until_its_checkpoint_stands_still_and_undo_starts_it_through_every_state() {
        let fake = Fake::new(&[(JobState::Starting, "Initializing"), RUNS]);
        let before = plan(&fake, &location(), "j", Wanted::Suspended, &NOTHING).await.unwrap().before;
        assert_eq!(before, Wanted::Running);
        let applied = apply(&fake, "j", Wanted::Suspended, before, &|_| {}, &|| {}).await.unwrap();
        assert_eq!((applied.already, applied.output.status.as_str()), (false, "Suspending"));
        assert_eq!(*fake.moves.lock().unwrap(), 0, "what was in hand was waited for");
        let lines = Mutex::new(Vec::new());
        assert_eq!(undo(&fake, "j", before, &|line| lines.lock().unwrap().push(line)).await.unwrap(), Undone::Restored);
        let expected = ["Suspending", "Prechecking", "PreCheckPass", "Initializing", "Retrying", "Synchronizing"].map(|word| format!("j: {word}"));
        assert_eq!(*lines.lock().unwrap(), expected);
        assert_eq!(undo(&fake, "j", before, &|_| {}).await.unwrap(), Undone::Already);
        assert_eq!(*fake.calls.lock().unwrap(), ["suspend", "start"]);
    }

    #[tokio::test]
    async fn a_fault_stands_while_the_job_rests_or_is_on_its_way_back() {
        for (shown, before, expected) in [
            (PAUSED, Wanted::Running, Stands::Here),
            ((JobState::Starting, "Prechecking"), Wanted::Running, Stands::Here),
            (RUNS, Wanted::Running, Stands::Gone),
            (PAUSED, Wanted::Suspended, Stands::Gone),
            ((JobState::Other, "Locked"), Wanted::Running, Stands::Otherwise("job j is Locked".into())),
        ] {
            let fake = Fake::new(&[shown]);
            assert_eq!(stands(&fake, "j", Wanted::Suspended, before).await.unwrap(), expected, "{shown:?} {before:?}");
            assert!(fake.calls.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn already_as_asked_asks_nothing() {
        let fake = Fake::new(&[PAUSED]);
        let planned = plan(&fake, &location(), "j", Wanted::Suspended, &NOTHING).await.unwrap();
        assert!(planned.calls.iter().all(|call| !call.mutating));
        assert!(apply(&fake, "j", Wanted::Suspended, planned.before, &|_| {}, &|| {}).await.unwrap().already);
        assert!(fake.calls.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_change_that_is_refused_for_now_is_asked_for_again_for_as_long_as_the_step_has() {
        let fake = Fake::new(&[PAUSED]);
        *fake.refuses.lock().unwrap() = 9;
        assert_eq!(undo(&fake, "j", Wanted::Running, &|_| {}).await.unwrap(), Undone::Restored);
        assert_eq!(fake.calls.lock().unwrap().len(), 10);
    }

    #[tokio::test]
    async fn a_job_that_falls_back_or_is_in_no_known_state_is_a_failure() {
        let mut fake = Fake::new(&[PAUSED]);
        fake.started = vec![(JobState::Starting, "Prechecking"), PAUSED];
        let error = apply(&fake, "j", Wanted::Running, Wanted::Suspended, &|_| {}, &|| {}).await.unwrap_err();
        assert_eq!(error.to_string(), "job j went back to Suspending");
        fake = Fake::new(&[PAUSED]);
        fake.started = vec![(JobState::Starting, "Prechecking"), (JobState::Other, "PrecheckFailed")];
        let error = apply(&fake, "j", Wanted::Running, Wanted::Suspended, &|_| {}, &|| {}).await.unwrap_err();
        assert_eq!(error.to_string(), "job j is PrecheckFailed");
        let locked = Fake::new(&[(JobState::Other, "Locked")]);
        assert!(matches!(plan(&locked, &location(), "j", Wanted::Running, &NOTHING).await.unwrap_err(), ActionError::NoTargets(_)));
        assert!(matches!(undo(&locked, "j", Wanted::Running, &|_| {}).await.unwrap_err(), ActionError::Conflict { .. }));
    }
}
