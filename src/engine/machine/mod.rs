//! The decisions of a run, as a pure state machine: inputs in, effects out. No clock, no I/O, no cloud.
//!
//! [`stages`] walks through the stages of a run, [`steps`] through the steps of a runbook, which [`table`] keeps, [`undo`] takes things back on the way out, [`baseline`] sees
//! that everything is as before, [`kept`] that what stays is as it was made. [`seen`] knows what probes have shown since the last change, [`vigil`] which of those that are waited for lack it, [`guard`] what makes
//! a run stop by itself, [`clearance`] whether the guards let it inject its fault, [`follows`] what it waits for: there is always something. [`orders`] does
//! what people ask, [`lease`] keeps the fault's right to exist, [`resume`] goes on where another owner left, [`unwritten`] lets go of the fault when the
//! journal fails.
//! The shell performs the effects in order and feeds back what came of them; every effect that changes a cloud stands behind the record of its intent.

#[cfg(test)]
mod any;
mod baseline;
mod clearance;
mod follows;
#[cfg(test)]
mod growth;
mod guard;
mod kept;
mod lease;
mod orders;
mod resume;
mod scope;
mod seen;
mod stages;
mod steps;
mod table;
#[cfg(test)]
mod tests;
mod undo;
mod unwritten;
mod vigil;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::action::{Applied, Planned, Undone};
use super::board::Streak;
use super::clock::RunClock;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent, StepEvent};
use crate::model::failure::Failure;
use crate::model::guard::Decision;
pub use crate::model::ids::FAULT;
use crate::model::index::PlanIndex;
use crate::model::order::Asked;
use crate::model::plan::{Plan, ProbeState, Stage};
use crate::model::state::{RunState, Snapshots};
use crate::model::target::Target;
use crate::model::time::Timestamp;

/// Time since the start of the run, monotonic.
pub type Moment = Duration;

/// How many steps run at once at most: more would only wait for sockets and rate limits.
const MOST_AT_ONCE: usize = 64;

/// How long a change that was sent may take to arrive after nobody waits for it any more: the longest a single call is waited for, and half of that.
const LATE: Duration = Duration::from_secs(15);

/// What is known of a probe, in the run's own time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Confirmed state.
    pub state: Option<ProbeState>,
    /// Since when it holds.
    pub since: Moment,
    /// The good samples in a row up to now; `None` while the last one was bad or could not tell.
    pub good: Option<Streak<Moment>>,
    /// Whether the last sample could not tell.
    pub is_unread: bool,
    /// Since when nothing can be told, once as many samples in a row could not tell as would confirm that it is bad.
    pub blind_since: Option<Moment>,
    /// What the last sample said that was news.
    pub detail: String,
}

impl Standing {
    /// What the watch tells, in the time of the run with this clock.
    #[must_use]
    pub fn told(standing: &super::board::Standing, clock: RunClock) -> Self {
        let since = |at| clock.since_start(at);
        Self {
            state: standing.state,
            since: since(standing.since),
            good: standing.good.map(|good| good.map(since)),
            is_unread: standing.is_unread,
            blind_since: standing.blind_since.map(since),
            detail: standing.detail.clone(),
        }
    }
}

/// Everything that can happen to a run.
#[derive(Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// Take back whatever a former owner left, then end.
    Recover(Recovery),
    /// Go on where a former owner left; with how long the lease of the fault still lasts, if there is one.
    Resume(Box<RunState>, Duration),
    /// A probe's standing changed.
    Probe(String, Standing),
    /// A moment asked for by [`Effect::Wake`] has come.
    Wake,
    /// `plan` of a step ended.
    Planned(String, Result<(Planned<Value>, Value), Failure>),
    /// `apply` of a step ended; with the milliseconds until its last change was accepted.
    Applied(String, Result<Applied<Value>, Failure>, Option<u64>),
    /// `undo` of a step ended.
    Undone(String, Result<Undone, Failure>),
    /// `plan` of a step ended that was only to be read.
    Read(String, Result<(Planned<Value>, Value), Failure>),
    /// The lease was renewed until then, or could not be.
    Renewed(Result<Timestamp, Failure>),
    /// The guards have decided whether the fault may be injected now, or could not be asked.
    Guarded(Result<Vec<Decision>, String>),
    /// A person or a signal steers the run, or ends it.
    Order(Asked),
    /// An event could not be stored; why. From then on only the end of the fault is performed of all that changes anything.
    JournalFailed(String),
    /// What could not be stored is stored now.
    JournalWritten,
    /// No more space can be set aside for the journal; why.
    JournalShort(String),
    /// [`Effect::Apply`] or [`Effect::Undo`] was not performed: what it follows from could not be stored.
    NotSent(String),
}

/// Everything a run can do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Journal this before anything that follows.
    Record(Body),
    /// Resolve the parameters and read what is there.
    Plan {
        /// The step.
        key: String,
        /// The action.
        uses: String,
        /// Parameters, with expressions over `steps` and `item` still in them.
        with: Value,
        /// What those expressions see.
        scope: Value,
        /// For this attempt.
        timeout: Duration,
    },
    /// Only read what is there, for the snapshot, after a takeover or for the comparison at the end.
    Read {
        /// The step.
        key: String,
        /// The action.
        uses: String,
        /// Parameters, with expressions still in them.
        with: Value,
        /// What those expressions see.
        scope: Value,
        /// For this reading.
        timeout: Duration,
    },
    /// Change it.
    Apply {
        /// The step.
        key: String,
        /// The action.
        uses: String,
        /// Resolved parameters.
        with: Value,
        /// As recorded with the intent.
        before: Value,
        /// For this attempt.
        timeout: Duration,
        /// Of a fault: how long it may stand unrenewed. The marks that say so are written first.
        lease: Option<Duration>,
    },
    /// Move the end of the fault's lease.
    Renew {
        /// The action.
        uses: String,
        /// Resolved parameters.
        with: Value,
        /// As recorded with the intent.
        before: Value,
        /// From now.
        lease: Duration,
    },
    /// Let the guards decide whether the fault may be injected now.
    AskGuards {
        /// Whether an attempt of it has begun already.
        intended: bool,
    },
    /// What was asked cannot be done; why.
    Refused(String),
    /// Restore it.
    Undo {
        /// The step.
        key: String,
        /// The action.
        uses: String,
        /// Resolved parameters.
        with: Value,
        /// As recorded with the intent.
        before: Value,
        /// For this attempt.
        timeout: Duration,
        /// Whether it is a fault, whose marks are taken off afterwards.
        fault: bool,
    },
    /// Cut the running attempt of a step off; its result arrives all the same, as a failure.
    Cancel(String),
    /// Feed [`Input::Probe`] as soon as there is a good sample of this probe that was sent at this moment or later, whether it is news or not.
    Ask {
        /// The probe.
        probe: String,
        /// From when on it must have been sent.
        after: Moment,
    },
    /// Feed [`Input::Wake`] at this moment.
    Wake(Moment),
    /// Nothing more to do: judge and record the end.
    Finish,
    /// The journal cannot be written and the fault is out, as far as it can be: leave the rest to whoever takes the run up.
    Leave,
}

/// An intent that was not taken back yet, as the journal has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The step.
    pub key: String,
    /// The action.
    pub uses: String,
    /// Its resolved parameters.
    pub with: Value,
    /// What to restore.
    pub before: Value,
    /// What it acted on.
    pub targets: Vec<Target>,
    /// Whether it was taken back already: only of the fault, which is named all the same because undo must know what it had broken.
    pub undone: bool,
    /// Whether the journal does not say how its last attempt ended.
    pub open: bool,
    /// Whether something that it sent may still arrive: nobody heard of the end of a change.
    pub late: bool,
}

/// What a former owner left to be taken back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovery {
    /// In the order of the intents.
    pub held: Vec<Held>,
    /// What was there before the run changed anything, as far as it is known.
    pub snapshot: Snapshots,
    /// Whether the run had begun to change anything, taken back or not.
    pub touched: bool,
}

/// What a run leaves whose journal cannot be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Whether its fault is out; `None` when it has injected none.
    pub fault_is_out: Option<bool>,
    /// Steps whose changes may stand.
    pub held: Vec<String>,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.fault_is_out, self.held.is_empty()) {
            (None, true) => return f.write_str("it has changed nothing"),
            (None, false) => {}
            (Some(true), _) => f.write_str("its fault is taken out")?,
            (Some(false), _) => f.write_str("its fault may still stand")?,
        }
        let held = self.held.join(", ");
        match (self.fault_is_out, held.as_str()) {
            (_, "") => Ok(()),
            (None, held) => write!(f, "{held} stays as it is"),
            (Some(_), held) => write!(f, ", {held} stays as it is"),
        }
    }
}

#[cfg(test)]
pub(super) use follows::{Follows, STUCK};
pub use kept::moved;
pub use resume::lease_left;
use table::{Status, Step, Steps};

/// What the run is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    SteadyState {
        until: Moment,
    },
    Inject,
    Detect {
        until: Moment,
    },
    Failover,
    Verify {
        until: Moment,
    },
    /// Everything still running is being cut off or finished before things are taken back.
    Quiesce,
    /// The fault is being taken out; `then` failback, or cleanup.
    Heal {
        failback: bool,
    },
    /// Waiting for the source side.
    SourceReturns {
        until: Moment,
        failback: bool,
    },
    Failback,
    Undo,
    /// The failover stays; only what may still arrive is waited for.
    Leave,
    /// A new owner reads what has become of open intents; then it goes on there.
    Look(Box<Self>),
    /// Comparing with what was there before the run.
    Compare {
        until: Moment,
    },
    /// Waiting for the steady state after everything was taken back.
    Baseline {
        until: Moment,
    },
    /// Reading once more what stays.
    Review {
        until: Moment,
    },
    Ended,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    plan: Arc<Plan>,
    /// Where the steps of the plan are in it.
    index: PlanIndex,
    /// Which actions change something.
    mutates: fn(&str) -> bool,
    now: Moment,
    phase: Phase,
    stage: Option<Stage>,
    steps: Steps,
    probes: BTreeMap<String, Standing>,
    seen: seen::Seen,
    conditions: guard::Conditions,
    /// The probes that are waited for now.
    vigil: vigil::Vigil,
    lease: lease::Lease,
    clearance: clearance::Clearance,
    readings: baseline::Readings,
    /// Whether the run has begun to change anything, whatever became of it.
    touched: bool,
    /// Since when a person holds the run.
    paused: Option<Moment>,
    /// Whether the source side is not relied upon any more.
    ungraceful: bool,
    /// When the way there must be over.
    run_until: Moment,
    /// When taking back must be over, once it has begun.
    undo_until: Option<Moment>,
    /// Until when a failover that stays is looked at after the fault was taken out.
    leave_until: Option<Moment>,
    /// While the journal cannot be written.
    unwritten: Option<unwritten::Unwritten>,
    stop: Option<Stop>,
    /// Whether a step failed in a way that ends its runbook.
    halted: bool,
    /// Whether everything applied is to be taken back although nobody asked to abort.
    failed: bool,
    effects: Vec<Effect>,
}

#[derive(Clone, Copy, Debug)]
struct Stop {
    abort: bool,
}

impl Machine {
    /// A run that has not begun. `mutates` says of an action's word whether it changes anything.
    #[must_use]
    pub fn new(plan: Arc<Plan>, mutates: fn(&str) -> bool) -> Self {
        Self {
            ungraceful: plan.ungraceful,
            run_until: plan.limits.run.duration(),
            mutates,
            now: Moment::ZERO,
            phase: Phase::Idle,
            stage: None,
            steps: Steps::default(),
            probes: BTreeMap::new(),
            seen: seen::Seen::of(&plan),
            conditions: guard::Conditions::of(&plan),
            vigil: vigil::Vigil::default(),
            lease: lease::Lease::default(),
            clearance: clearance::Clearance::default(),
            readings: baseline::Readings::default(),
            touched: false,
            paused: None,
            undo_until: None,
            leave_until: None,
            unwritten: None,
            stop: None,
            halted: false,
            failed: false,
            effects: Vec::new(),
            index: PlanIndex::of(&plan),
            plan,
        }
    }

    /// Takes one input at `now` (never earlier than before) and says what to do about it, in order.
    pub fn handle(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        self.now = now.max(self.now);
        match input {
            Input::Start => self.begin(),
            Input::Recover(recovery) => self.recover(recovery),
            Input::Resume(state, lease_left) => self.resume(&state, lease_left),
            Input::Read(key, result) => self.read(&key, result),
            Input::Renewed(result) => self.renewed(result),
            Input::Guarded(ruling) => self.guarded(ruling),
            Input::Order(asked) => self.order(asked),
            Input::Probe(probe, standing) => {
                self.seen.note(&probe, &standing);
                self.conditions.note(&self.plan, &probe, &standing);
                self.vigil.note(&probe);
                self.probes.insert(probe, standing);
            }
            Input::Wake => {}
            Input::JournalFailed(why) => self.journal_failed(&why),
            Input::JournalWritten => self.journal_written(),
            Input::JournalShort(why) => self.journal_short(&why),
            Input::NotSent(key) => self.not_sent(&key),
            Input::Planned(key, result) => self.planned(&key, result),
            Input::Applied(key, result, accepted_ms) => {
                self.may_have_changed(&key, result.as_ref().is_ok_and(|applied| applied.already));
                self.applied(&key, result, accepted_ms);
            }
            Input::Undone(key, result) => {
                self.may_have_changed(&key, result.as_ref().is_ok_and(|undone| *undone == Undone::Already));
                self.undone(&key, result);
            }
        }
        self.check_guards();
        self.advance();
        self.let_go_if_stuck();
        std::mem::take(&mut self.effects)
    }

    /// Whether the run has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// What the run would leave if it were left now.
    #[must_use]
    pub fn left(&self) -> Left {
        let stands = |step: &&Step| step.before.is_some() && !step.unsent;
        let fault = self.steps.get(FAULT).filter(stands).map(|step| *step.status() == Status::Undone);
        let held = self.held().into_iter().filter(|key| *key != FAULT && self.steps.get(key).is_some_and(|step| stands(&step)));
        Left { fault_is_out: fault, held: held.map(str::to_owned).collect() }
    }

    /// Keys of steps with an intent that was not taken back.
    #[must_use]
    pub fn held(&self) -> Vec<&str> {
        let held = self.steps.changes().iter().filter(|change| change.back.is_held());
        held.map(|change| change.key.as_str()).collect()
    }

    fn record(&mut self, body: Body) {
        self.effects.push(Effect::Record(body));
    }

    fn record_run(&mut self, event: RunEvent) {
        self.record(Body::Run(event));
    }

    fn record_step(&mut self, key: &str, kind: StepKind) {
        self.record(Body::Step(StepEvent { step: key.to_owned(), kind }));
    }

    fn note(&mut self, text: impl Into<String>) {
        self.record_run(RunEvent::Note { text: text.into() });
    }

    /// Stages follow each other in one direction; being in one already is nothing to record.
    fn enter(&mut self, stage: Stage) {
        if self.stage.is_none_or(|current| current < stage) {
            self.stage = Some(stage);
            self.record_run(RunEvent::Stage { stage });
        }
    }

    fn wake_at(&mut self, at: Moment) {
        self.effects.push(Effect::Wake(at));
    }
}
