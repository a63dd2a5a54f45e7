//! Starting and stopping machines over the compute port, and putting back exactly those that were the other way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, Once};

use serde::{Deserialize, Serialize};

use crate::catalogue::until::until;
use crate::engine::action::{ActionError, Planned, PlannedCall, Undone};
use crate::model::event::step::Target;
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
    const fn opposite(self) -> Self {
        match self {
            Self::Running => Self::Stopped,
            Self::Stopped => Self::Running,
        }
    }

    /// Whether a machine that is left alone ends up this way.
    const fn is_heading_there(self, state: MachineState) -> bool {
        match self {
            Self::Running => matches!(state, MachineState::Starting | MachineState::Running),
            Self::Stopped => matches!(state, MachineState::Stopping | MachineState::Stopped),
        }
    }

    const fn is_there(self, machine: &Machine) -> bool {
        match self {
            Self::Running => matches!(machine.state, MachineState::Running) && machine.healthy,
            Self::Stopped => matches!(machine.state, MachineState::Stopped),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

/// How every machine was, by id. A machine on its way counts as where it was going.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PowerBefore {
    running: BTreeSet<String>,
    stopped: BTreeSet<String>,
}

impl PowerBefore {
    pub(super) fn ids(&self) -> Vec<String> {
        self.running.union(&self.stopped).cloned().collect()
    }

    /// Those that were not as `wanted`: the ones that this step changes, and the only ones that undo touches.
    pub(super) fn changed(&self, wanted: Wanted) -> Vec<String> {
        let set = match wanted {
            Wanted::Running => &self.stopped,
            Wanted::Stopped => &self.running,
        };
        set.iter().cloned().collect()
    }
}

pub(super) async fn plan(compute: &dyn Compute, selector: &Selector, wanted: Wanted) -> Result<Planned<PowerBefore>, ActionError> {
    if selector.ids.is_empty() && selector.tags.is_empty() {
        return Err(ActionError::Parameters("`instances` needs `ids` or `tags`: without either it would mean every machine there is".to_owned()));
    }
    let machines = compute.find(selector).await?;
    let found: BTreeSet<&str> = machines.iter().map(|machine| machine.id.as_str()).collect();
    let missing: Vec<&str> = selector.ids.iter().map(String::as_str).filter(|id| !found.contains(id)).collect();
    if machines.is_empty() || !missing.is_empty() {
        return Err(ActionError::NoTargets(format!("no machine matches {}", describe(selector, &missing))));
    }
    let mut before = PowerBefore::default();
    let mut targets = Vec::new();
    for machine in &machines {
        let set = if Wanted::Running.is_heading_there(machine.state) { &mut before.running } else { &mut before.stopped };
        set.insert(machine.id.clone());
        let change = if wanted.is_there(machine) { String::new() } else { format!("{} → {}", state_word(machine.state), wanted.word()) };
        targets.push(Target::new("instance", label(machine), change));
    }
    let names = compute.calls();
    let changed = before.changed(wanted);
    let mut calls = vec![PlannedCall::read(names.find, before.ids().join(" "))];
    if !changed.is_empty() {
        calls.push(PlannedCall::write(operation(compute, wanted), changed.join(" ")));
        calls.push(PlannedCall::read(names.find, format!("until {}", wanted.word())));
    }
    Ok(Planned::new(before, targets, calls))
}

/// Brings every machine of `before` to `wanted`. Gives back whether nothing had to be changed.
pub(super) async fn apply(
    compute: &dyn Compute,
    before: &PowerBefore,
    wanted: Wanted,
    progress: &(dyn Fn(String) + Send + Sync),
    accepted: &(dyn Fn() + Send + Sync),
) -> Result<bool, ActionError> {
    let asked = bring(compute, &before.ids(), wanted, progress, accepted).await?;
    Ok(!asked && before.changed(wanted).is_empty())
}

/// Brings back those machines that were the other way.
pub(super) async fn undo(
    compute: &dyn Compute,
    before: &PowerBefore,
    wanted: Wanted,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<Undone, ActionError> {
    let ids = before.changed(wanted);
    if ids.is_empty() {
        return Ok(Undone::Already);
    }
    let back = wanted.opposite();
    let asked = bring(compute, &ids, back, progress, &|| {}).await.map_err(|error| match error {
        // Somebody ended the machine: there is nothing that undo could bring back.
        ActionError::NoEffect(found) => {
            ActionError::Conflict { what: format!("instances {}", ids.join(" ")), expected: format!("{} or {}", wanted.word(), back.word()), found }
        }
        other => other,
    })?;
    Ok(if asked { Undone::Restored } else { Undone::Already })
}

/// Asks for `wanted` where it is not so, as soon as each machine's state allows it, and waits until all are there. Gives back whether anything was asked.
async fn bring(
    compute: &dyn Compute,
    ids: &[String],
    wanted: Wanted,
    progress: &(dyn Fn(String) + Send + Sync),
    accepted: &(dyn Fn() + Send + Sync),
) -> Result<bool, ActionError> {
    let selector = Selector { ids: ids.to_vec(), tags: BTreeMap::new() };
    // Machines that were asked, with whether they were since seen on their way.
    let asked: Mutex<BTreeMap<String, bool>> = Mutex::default();
    let shown = Mutex::new(String::new());
    let done = Once::new();
    let (asked, shown, selector, done) = (&asked, &shown, &selector, &done);
    until(|| async move {
        let machines = match compute.find(selector).await {
            // EC2 forgets a terminated instance after an hour or so.
            Err(error) if error.kind == Kind::NotFound => return Err(ActionError::NoEffect(error.message)),
            found => found?,
        };
        if let Some(gone) = gone(&machines, &selector.ids) {
            return Err(ActionError::NoEffect(format!("{gone} is terminated")));
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
        if !now.is_empty() {
            match wanted {
                Wanted::Running => compute.start(&now).await?,
                Wanted::Stopped => compute.stop(&now).await?,
            }
        }
        let mut asked = lock(asked);
        asked.extend(now.into_iter().map(|id| (id, false)));
        for machine in machines.iter().filter(|machine| wanted.is_heading_there(machine.state)) {
            if let Some(seen) = asked.get_mut(&machine.id) {
                *seen = true;
            }
        }
        // Nothing more will be asked once every machine has been, or is on its way by itself.
        if machines.iter().all(|machine| asked.contains_key(&machine.id) || wanted.is_heading_there(machine.state)) {
            done.call_once(accepted);
        }
        let there = machines.iter().filter(|machine| wanted.is_there(machine)).count();
        let line = format!("{there} of {} {}{}", machines.len(), wanted.word(), if wanted == Wanted::Running { " and healthy" } else { "" });
        let mut shown = lock(shown);
        if *shown != line {
            progress(line.clone());
            *shown = line;
        }
        Ok((there == machines.len()).then_some(()))
    })
    .await?;
    Ok(!lock(asked).is_empty())
}

/// Whether a machine rests in the state opposite to `wanted`: only then can the clouds be asked to change it.
const fn is_restable(state: MachineState, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Running => matches!(state, MachineState::Stopped),
        Wanted::Stopped => matches!(state, MachineState::Running),
    }
}

fn gone<'a>(machines: &[Machine], ids: &'a [String]) -> Option<&'a str> {
    ids.iter().map(String::as_str).find(|id| !machines.iter().any(|machine| machine.id == *id && machine.state != MachineState::Gone))
}

fn label(machine: &Machine) -> String {
    if machine.name == machine.id || machine.name.is_empty() { machine.id.clone() } else { format!("{} ({})", machine.id, machine.name) }
}

fn describe(selector: &Selector, missing: &[&str]) -> String {
    if !missing.is_empty() {
        return format!("ids {}{}", missing.join(" "), if selector.tags.is_empty() { "" } else { " with these tags" });
    }
    let tags: Vec<String> = selector.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("tags {}", tags.join(" "))
}

const fn state_word(state: MachineState) -> &'static str {
    match state {
        MachineState::Starting => "starting",
        MachineState::Running => "running",
        MachineState::Stopping => "stopping",
        MachineState::Stopped => "stopped",
        MachineState::Gone => "terminated",
    }
}

fn operation(compute: &dyn Compute, wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => compute.calls().start,
        Wanted::Stopped => compute.calls().stop,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PortFuture;
    use crate::ports::compute::ComputeCalls;

    /// Machines that need two looks to get where they are going.
    struct Fake {
        machines: Mutex<BTreeMap<String, (MachineState, u32)>>,
        calls: Mutex<Vec<String>>,
        /// Falls back to stopped instead of running.
        no_capacity: bool,
    }

    impl Fake {
        fn new(machines: &[(&str, MachineState)]) -> Self {
            let machines = machines.iter().map(|(id, state)| ((*id).to_owned(), (*state, 0))).collect();
            Self { machines: Mutex::new(machines), calls: Mutex::default(), no_capacity: false }
        }

        fn set(&self, ids: &[String], call: &str, state: MachineState) {
            lock(&self.calls).push(format!("{call} {}", ids.join(" ")));
            for id in ids {
                lock(&self.machines).insert(id.clone(), (state, 0));
            }
        }

        fn states(&self) -> Vec<MachineState> {
            lock(&self.machines).values().map(|(state, _)| *state).collect()
        }
    }

    impl Compute for Fake {
        fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>> {
            Box::pin(async move {
                let mut machines = lock(&self.machines);
                let mut found = Vec::new();
                for (id, (state, looks)) in machines.iter_mut() {
                    *looks += 1;
                    if *looks > 2 {
                        *state = match *state {
                            MachineState::Starting if self.no_capacity => MachineState::Stopped,
                            MachineState::Starting => MachineState::Running,
                            MachineState::Stopping => MachineState::Stopped,
                            state => state,
                        };
                    }
                    if selector.ids.is_empty() || selector.ids.contains(id) {
                        let healthy = *state == MachineState::Running && *looks > 3;
                        found.push(Machine { id: id.clone(), name: id.clone(), state: *state, healthy });
                    }
                }
                Ok(found)
            })
        }

        fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
            self.set(ids, "start", MachineState::Starting);
            Box::pin(async { Ok(()) })
        }

        fn stop<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
            self.set(ids, "stop", MachineState::Stopping);
            Box::pin(async { Ok(()) })
        }

        fn calls(&self) -> ComputeCalls {
            ComputeCalls { find: "x:Find", start: "x:Start", stop: "x:Stop" }
        }
    }

    fn by_tag() -> Selector {
        Selector { ids: Vec::new(), tags: BTreeMap::from([("role".to_owned(), "shop".to_owned())]) }
    }

    async fn start(fake: &Fake) -> Result<(PowerBefore, bool), ActionError> {
        let before = plan(fake, &by_tag(), Wanted::Running).await?.before;
        let already = apply(fake, &before, Wanted::Running, &|_| {}, &|| {}).await?;
        Ok((before, already))
    }

    #[tokio::test]
    async fn starting_asks_only_for_stopped_machines_and_undo_stops_only_those() {
        let fake = Fake::new(&[("a", MachineState::Stopped), ("b", MachineState::Running), ("c", MachineState::Stopping)]);
        let (before, already) = start(&fake).await.unwrap();
        assert!(!already);
        assert_eq!(fake.states(), [MachineState::Running; 3]);
        assert_eq!(undo(&fake, &before, Wanted::Running, &|_| {}).await.unwrap(), Undone::Restored);
        assert_eq!(fake.states(), [MachineState::Stopped, MachineState::Running, MachineState::Stopped]);
        assert_eq!(*lock(&fake.calls), ["start a", "start c", "stop a c"]);
        assert_eq!(undo(&fake, &before, Wanted::Running, &|_| {}).await.unwrap(), Undone::Already);
    }

    #[tokio::test]
    async fn already_running_is_success_without_a_call() {
        let fake = Fake::new(&[("a", MachineState::Running), ("b", MachineState::Running)]);
        let (before, already) = start(&fake).await.unwrap();
        assert!(already);
        assert_eq!(undo(&fake, &before, Wanted::Running, &|_| {}).await.unwrap(), Undone::Already);
        assert!(lock(&fake.calls).is_empty());
    }

    #[tokio::test]
    async fn a_machine_that_falls_back_or_is_terminated_is_a_failure() {
        let mut fake = Fake::new(&[("a", MachineState::Stopped)]);
        fake.no_capacity = true;
        assert!(matches!(start(&fake).await.unwrap_err(), ActionError::NoEffect(text) if text == "a went back to stopped"));

        let fake = Fake::new(&[("a", MachineState::Stopped)]);
        let (before, _) = start(&fake).await.unwrap();
        lock(&fake.machines).insert("a".to_owned(), (MachineState::Gone, 0));
        assert!(matches!(undo(&fake, &before, Wanted::Running, &|_| {}).await.unwrap_err(), ActionError::Conflict { .. }));
    }

    #[tokio::test]
    async fn nothing_that_matches_and_no_selector_are_refused() {
        let fake = Fake::new(&[]);
        assert!(matches!(plan(&fake, &by_tag(), Wanted::Running).await.unwrap_err(), ActionError::NoTargets(_)));
        assert!(matches!(plan(&fake, &Selector::default(), Wanted::Stopped).await.unwrap_err(), ActionError::Parameters(_)));
        let fake = Fake::new(&[("a", MachineState::Running)]);
        let both = Selector { ids: vec!["a".to_owned(), "z".to_owned()], tags: BTreeMap::new() };
        let error = plan(&fake, &both, Wanted::Stopped).await.unwrap_err();
        assert_eq!(error.to_string(), "no machine matches ids z");
    }
}
