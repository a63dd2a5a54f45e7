//! Starts or stops machines one by one: each is asked as soon as its own state allows it, and the step waits until enough machines are where they are wanted. The answer
//! about one machine decides nothing about another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::catalogue::until::until;
use crate::engine::action::ActionError;
use crate::ports::compute::{Ailing, Compute, Machine, MachineState, Power, Refused, Rest, Selector};
use crate::ports::{CloudError, Kind};

/// What is asked for, and how far it has to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Running.
    Running,
    /// Stopped.
    Stopped,
}

/// When a machine counts as being there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Until {
    /// Its cloud has accepted what was asked.
    Accepted,
    /// It is in the state that was asked for.
    State,
    /// It also passes its cloud's own checks, where it has some.
    #[default]
    Healthy,
}

impl Wanted {
    pub(super) const fn opposite(self) -> Self {
        match self {
            Self::Running => Self::Stopped,
            Self::Stopped => Self::Running,
        }
    }

    /// Whether a machine that is left alone ends up this way.
    pub(super) const fn is_heading_there(self, state: MachineState) -> bool {
        match self {
            Self::Running => matches!(state, MachineState::Starting | MachineState::Running),
            Self::Stopped => matches!(state, MachineState::Stopping | MachineState::Stopped),
        }
    }

    /// Whether it is this way.
    pub(super) const fn is(self, state: MachineState) -> bool {
        match self {
            Self::Running => matches!(state, MachineState::Running),
            Self::Stopped => matches!(state, MachineState::Stopped),
        }
    }

    pub(super) const fn power(self) -> Power {
        match self {
            Self::Running => Power::Start,
            Self::Stopped => Power::Stop,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// The machines that there still are. The clouds forget a terminated one after an hour or so, and then refuse every question that names it.
pub(super) async fn present(compute: &dyn Compute, ids: &[String]) -> Result<Vec<Machine>, ActionError> {
    let named = |ids: &[String]| Selector { ids: ids.to_vec(), tags: BTreeMap::new() };
    let mut machines = Vec::new();
    match compute.find(&named(ids)).await {
        Ok(found) => machines = found,
        Err(error) if error.kind != Kind::NotFound => return Err(error.into()),
        Err(_) => {
            for id in ids {
                match compute.find(&named(std::slice::from_ref(id))).await {
                    Err(error) if error.kind == Kind::NotFound => {}
                    found => machines.extend(found?),
                }
            }
        }
    }
    machines.retain(|machine| machine.state != MachineState::Gone);
    Ok(machines)
}

/// Machines on their way to one state.
pub(super) struct Bring<'a> {
    pub(super) compute: &'a dyn Compute,
    pub(super) wanted: Wanted,
    pub(super) until: Until,
    /// How many must get there.
    pub(super) enough: usize,
    /// Whether one that there is no more is left out; else it is one that is missing.
    pub(super) may_end: bool,
    /// How a machine is to rest that did not simply stop before, by its id.
    pub(super) rests: &'a BTreeMap<String, Rest>,
    pub(super) progress: &'a (dyn Fn(String) + Send + Sync),
    pub(super) warn: &'a (dyn Fn(String) + Send + Sync),
    pub(super) accepted: &'a (dyn Fn() + Send + Sync),
}

/// What bringing the machines came to.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Whether anything was asked.
    pub(super) asked: bool,
    /// The machines that are not where they are wanted, with the reason.
    pub(super) missing: BTreeMap<String, String>,
    /// The machines that do not exist any more.
    pub(super) ended: BTreeSet<String>,
}

/// What became of each machine so far.
#[derive(Default)]
struct Course {
    /// The machines that were asked, and whether each was since seen on its way.
    asked: BTreeMap<String, bool>,
    /// Whether a request was sent of which nobody knows whether it took effect.
    is_maybe_asked: bool,
    refused: Refused,
    /// The machines that were on their way and fell back, as for want of capacity.
    fell_back: BTreeMap<String, String>,
    ended: BTreeSet<String>,
    /// The line that was shown last.
    shown: String,
    /// Looks in a row at their health that failed.
    blind: u32,
}

/// Looks in a row at the health of machines that may fail before it counts as unreadable.
const BLIND: u32 = 5;

impl Bring<'_> {
    /// Asks for the state where it is not so, as soon as each machine's own allows it, and waits until enough are there and none is left to be asked.
    ///
    /// # Errors
    /// When fewer than enough can get there: with what each one says.
    pub(super) async fn all(&self, ids: &[String]) -> Result<Brought, ActionError> {
        let course: Mutex<Course> = Mutex::default();
        let done = Once::new();
        let (course, done) = (&course, &done);
        let missing = until(|| async move {
            let machines = present(self.compute, ids).await?;
            self.ask_those_at_rest(&machines, course).await?;
            let mut said = self.behind(&machines, ids, course).await?;
            let mut course = locked(course);
            course.ended = ids.iter().filter(|id| !machines.iter().any(|one| one.id == **id)).cloned().collect();
            let out: BTreeSet<&String> = ids
                .iter()
                .filter(|id| course.refused.contains_key(*id) || course.fell_back.contains_key(*id) || (!self.may_end && course.ended.contains(*id)))
                .collect();
            // Nothing more will be asked once every machine has been, or is on its way by itself.
            let is_asked = |machine: &Machine| course.asked.contains_key(&machine.id) || self.wanted.is_heading_there(machine.state);
            let nothing_left = machines.iter().all(|machine| is_asked(machine) || out.contains(&machine.id));
            let (there, possible) = (ids.len() - said.len(), ids.len() - out.len());
            if nothing_left {
                done.call_once(self.accepted);
            }
            let line = self.line(there, ids.len(), &said);
            if course.shown != line {
                (self.progress)(line.clone());
                course.shown = line;
            }
            if nothing_left && there >= self.enough && (there == possible || self.enough < ids.len()) {
                return Ok(Some(said));
            }
            if nothing_left && possible < self.enough && there == possible {
                said.retain(|id, _| out.contains(id));
                return Err(failed(&course.refused, &said, self.wanted, self.enough, ids.len()));
            }
            Ok(None)
        })
        .await?;
        let course = locked(course);
        Ok(Brought { asked: !course.asked.is_empty() || course.is_maybe_asked, ended: course.ended.clone(), missing })
    }

    /// Asks blindly: whoever may not look may still act. Gives those that were refused.
    pub(super) async fn blindly(&self, ids: &[String]) -> Result<Refused, CloudError> {
        self.ask(ids).await
    }

    async fn ask_those_at_rest(&self, machines: &[Machine], course: &Mutex<Course>) -> Result<(), ActionError> {
        let mut now = Vec::new();
        {
            let mut course = locked(course);
            for machine in machines.iter().filter(|machine| self.wanted.opposite().is(machine.state)) {
                match course.asked.get(&machine.id) {
                    None if !course.refused.contains_key(&machine.id) => now.push(machine.id.clone()),
                    // Just after the request an old state may still be shown.
                    Some(true) => {
                        course.fell_back.insert(machine.id.clone(), format!("went back to {}", state_word(machine.state)));
                    }
                    _ => {}
                }
            }
        }
        let answer = self.ask(&now).await;
        let mut course = locked(course);
        course.is_maybe_asked |= answer.as_ref().is_err_and(|error| error.ambiguous);
        let refused = answer?;
        course.asked.extend(now.into_iter().filter(|id| !refused.contains_key(id)).map(|id| (id, false)));
        course.refused.extend(refused);
        for machine in machines.iter().filter(|machine| self.wanted.is_heading_there(machine.state)) {
            if let Some(seen) = course.asked.get_mut(&machine.id) {
                *seen = true;
            }
        }
        Ok(())
    }

    /// The machines that are not where they are wanted yet, or never will be, with the reason.
    async fn behind(&self, machines: &[Machine], ids: &[String], course: &Mutex<Course>) -> Result<BTreeMap<String, String>, ActionError> {
        let running: Vec<String> = machines.iter().filter(|machine| self.wanted.is(machine.state)).map(|machine| machine.id.clone()).collect();
        let ailing = match (self.wanted, self.until) {
            (Wanted::Running, Until::Healthy) => self.ailing(&running, course).await?,
            _ => Ailing::new(),
        };
        let course = locked(course);
        let mut behind = BTreeMap::new();
        for id in ids {
            let why = match machines.iter().find(|machine| machine.id == *id) {
                _ if course.refused.contains_key(id) => Some(refusal(&course.refused[id])),
                _ if course.fell_back.contains_key(id) => course.fell_back.get(id).cloned(),
                None => (!self.may_end).then(|| state_word(MachineState::Gone).to_owned()),
                Some(_) if self.until == Until::Accepted && course.asked.contains_key(id) => None,
                Some(machine) if self.until == Until::Accepted && self.wanted.is_heading_there(machine.state) => None,
                Some(machine) if !self.wanted.is(machine.state) => Some(state_word(machine.state).to_owned()),
                Some(_) => ailing.get(id).cloned(),
            };
            behind.extend(why.map(|why| (id.clone(), why)));
        }
        Ok(behind)
    }

    /// Their health, as far as it can be read: what cannot be read keeps no machine from being there, but it is said.
    async fn ailing(&self, running: &[String], course: &Mutex<Course>) -> Result<Ailing, ActionError> {
        if running.is_empty() || locked(course).blind >= BLIND {
            return Ok(Ailing::new());
        }
        match self.compute.ailing(running).await {
            Ok(ailing) => {
                locked(course).blind = 0;
                Ok(ailing)
            }
            Err(error) => {
                let blind = &mut locked(course).blind;
                *blind = if error.retry { *blind + 1 } else { BLIND };
                if *blind < BLIND {
                    return Ok(running.iter().map(|id| (id.clone(), "its health could not be read".to_owned())).collect());
                }
                (self.warn)(format!("whether the machines that run are healthy could not be read, so running counts: {error}"));
                Ok(Ailing::new())
            }
        }
    }

    async fn ask(&self, ids: &[String]) -> Result<Refused, CloudError> {
        if ids.is_empty() {
            return Ok(Refused::new());
        }
        if self.wanted == Wanted::Running {
            return self.compute.start(ids).await;
        }
        let mut by_rest: BTreeMap<Rest, Vec<String>> = BTreeMap::new();
        for id in ids {
            by_rest.entry(self.rests.get(id).copied().unwrap_or_default()).or_default().push(id.clone());
        }
        let mut refused = Refused::new();
        for (rest, ids) in by_rest {
            refused.extend(self.compute.stop(&ids, rest).await?);
        }
        Ok(refused)
    }

    fn line(&self, there: usize, count: usize, behind: &BTreeMap<String, String>) -> String {
        let state = match (self.until, self.wanted) {
            (Until::Accepted, _) => "accepted".to_owned(),
            (Until::Healthy, Wanted::Running) if self.compute.calls().ailing.is_some() => "running and healthy".to_owned(),
            _ => self.wanted.word().to_owned(),
        };
        let line = format!("{there} of {count} {state}");
        if behind.is_empty() || there == 0 && behind.values().all(|why| behind.values().next() == Some(why)) {
            line
        } else {
            format!("{line}; {}", told(behind))
        }
    }
}

/// How many machines are told one by one.
const TOLD: usize = 5;

/// `i-1 pending, i-2 and i-3 instance status impaired`.
pub(super) fn told(behind: &BTreeMap<String, String>) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, why) in behind {
        by_reason.entry(why).or_default().push(id);
    }
    let one = |(why, ids): (&&str, &Vec<&str>)| {
        let more = if ids.len() > TOLD { format!(" and {} more", ids.len() - TOLD) } else { String::new() };
        format!("{}{more}: {why}", ids.iter().take(TOLD).copied().collect::<Vec<_>>().join(" "))
    };
    by_reason.iter().map(one).collect::<Vec<_>>().join("; ")
}

pub(super) fn refusal(error: &CloudError) -> String {
    format!("{}{}", error.message, error.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())
}

/// Fewer than enough: whatever the clouds said of each, and whether that may pass.
pub(super) fn failed(refused: &Refused, behind: &BTreeMap<String, String>, wanted: Wanted, enough: usize, count: usize) -> ActionError {
    let text = format!(
        "{} of {count} not {}, where {} must be: {}",
        behind.len(),
        wanted.word(),
        if enough == count { "all".to_owned() } else { enough.to_string() },
        told(behind)
    );
    match refused.values().next() {
        // The vendor's own error as far as there is one: its kind and code say what helps.
        Some(first) if behind.keys().all(|id| refused.contains_key(id)) => {
            let (retry, ambiguous) = (refused.values().any(|error| error.retry), refused.values().any(|error| error.ambiguous));
            ActionError::Cloud(CloudError { message: text, code: None, retry, ambiguous, ..first.clone() })
        }
        _ => ActionError::NoEffect(text),
    }
}

pub(super) fn label(machine: &Machine) -> String {
    if machine.name == machine.id || machine.name.is_empty() { machine.id.clone() } else { format!("{} ({})", machine.id, machine.name) }
}

pub(super) const fn state_word(state: MachineState) -> &'static str {
    match state {
        MachineState::Starting => "starting",
        MachineState::Running => "running",
        MachineState::Stopping => "stopping",
        MachineState::Stopped => "stopped",
        MachineState::Gone => "terminated",
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
