//! Bringing machines to run or to rest, each as soon as its own state allows it, and waiting until all are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, Once};

use crate::catalogue::until::until;
use crate::engine::action::ActionError;
use crate::ports::Kind;
use crate::ports::compute::{Compute, Machine, MachineState, Selector};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Running and healthy.
    Running,
    /// Stopped.
    Stopped,
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

    pub(super) const fn is_there(self, machine: &Machine) -> bool {
        match self {
            Self::Running => matches!(machine.state, MachineState::Running) && machine.healthy,
            Self::Stopped => matches!(machine.state, MachineState::Stopped),
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
    /// Those that give their capacity back when they stop, as they had before.
    pub(super) released: &'a BTreeSet<String>,
    /// Whether one that is terminated is left out; else it is a failure.
    pub(super) may_end: bool,
    pub(super) progress: &'a (dyn Fn(String) + Send + Sync),
    pub(super) accepted: &'a (dyn Fn() + Send + Sync),
}

impl Bring<'_> {
    /// Asks for the state where it is not so, as soon as each machine's own allows it, and waits until all are there. Gives back whether anything
    /// was asked.
    pub(super) async fn all(&self, ids: &[String]) -> Result<bool, ActionError> {
        // Machines that were asked, with whether they were since seen on their way.
        let asked: Mutex<BTreeMap<String, bool>> = Mutex::default();
        let shown = Mutex::new(String::new());
        let done = Once::new();
        let (asked, shown, done, wanted) = (&asked, &shown, &done, self.wanted);
        until(|| async move {
            let machines = present(self.compute, ids).await?;
            let ended = ids.iter().find(|id| !machines.iter().any(|machine| machine.id == **id));
            if let Some(ended) = ended.filter(|_| !self.may_end) {
                return Err(ActionError::NoEffect(format!("{ended} is terminated")));
            }
            let mut now = Vec::new();
            {
                let asked = lock(asked);
                for machine in machines.iter().filter(|machine| is_restable(machine.state, wanted)) {
                    match asked.get(&machine.id) {
                        None => now.push(machine.id.clone()),
                        // It was on its way and fell back, as for want of capacity. Just after the request an old state may still be shown.
                        Some(true) => return Err(ActionError::NoEffect(format!("{} went back to {}", label(machine), state_word(machine.state)))),
                        Some(false) => {}
                    }
                }
            }
            self.ask(&now).await?;
            let mut asked = lock(asked);
            asked.extend(now.into_iter().map(|id| (id, false)));
            for machine in machines.iter().filter(|machine| wanted.is_heading_there(machine.state)) {
                if let Some(seen) = asked.get_mut(&machine.id) {
                    *seen = true;
                }
            }
            // Nothing more will be asked once every machine has been, or is on its way by itself.
            if machines.iter().all(|machine| asked.contains_key(&machine.id) || wanted.is_heading_there(machine.state)) {
                done.call_once(self.accepted);
            }
            let there = machines.iter().filter(|machine| wanted.is_there(machine)).count();
            let line = format!("{there} of {} {}{}", machines.len(), wanted.word(), if wanted == Wanted::Running { " and healthy" } else { "" });
            let mut shown = lock(shown);
            if *shown != line {
                (self.progress)(line.clone());
                *shown = line;
            }
            Ok((there == machines.len()).then_some(()))
        })
        .await?;
        Ok(!lock(asked).is_empty())
    }

    async fn ask(&self, ids: &[String]) -> Result<(), ActionError> {
        let (released, kept): (Vec<String>, Vec<String>) = ids.iter().cloned().partition(|id| self.released.contains(id));
        match self.wanted {
            Wanted::Running if !ids.is_empty() => self.compute.start(ids).await?,
            Wanted::Running => {}
            Wanted::Stopped => {
                if !kept.is_empty() {
                    self.compute.stop(&kept).await?;
                }
                if !released.is_empty() {
                    self.compute.release(&released).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a machine rests in the state opposite to `wanted`: only then can the clouds be asked to change it.
const fn is_restable(state: MachineState, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Running => matches!(state, MachineState::Stopped),
        Wanted::Stopped => matches!(state, MachineState::Running),
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
