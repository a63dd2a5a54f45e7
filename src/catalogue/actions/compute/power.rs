//! Starting and stopping machines over the compute port, and putting back exactly those that were the other way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, Once};

use schemars::JsonSchema;
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
    /// Those of the stopped that had given their capacity back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    released: BTreeSet<String>,
    /// Public addresses that a stop takes away: nothing brings them back, but the difference shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    addresses: BTreeMap<String, String>,
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

    fn add(&mut self, machine: &Machine) {
        let id = || machine.id.clone();
        let set = if Wanted::Running.is_heading_there(machine.state) { &mut self.running } else { &mut self.stopped };
        set.insert(id());
        if machine.released {
            self.released.insert(id());
        }
        if let Some(address) = machine.fleeting_address.clone().filter(|_| self.running.contains(&machine.id)) {
            self.addresses.insert(id(), address);
        }
    }
}

/// What is done about machines that belong to an auto scaling group, which ends a stopped machine and puts another in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AutoScaled {
    /// They are not stopped: the step is refused.
    #[default]
    Refuse,
    /// They are stopped all the same; what their group then ends cannot be brought back.
    Allow,
}

pub(super) async fn plan(
    compute: &dyn Compute,
    selector: &Selector,
    wanted: Wanted,
    auto_scaled: AutoScaled,
) -> Result<Planned<PowerBefore>, ActionError> {
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
    let (mut targets, mut not_undone) = (Vec::new(), Vec::new());
    for machine in &machines {
        before.add(machine);
        let change = if wanted.is_there(machine) { String::new() } else { format!("{} → {}", state_word(machine.state), wanted.word()) };
        targets.push(Target::new("instance", label(machine), change));
        if !wanted.is_heading_there(machine.state) {
            not_undone.extend(cannot_be_undone(machine, wanted, auto_scaled)?);
        }
    }
    let names = compute.calls();
    let changed = before.changed(wanted);
    let mut calls = vec![PlannedCall::read(names.find, before.ids().join(" "))];
    if !changed.is_empty() {
        calls.push(PlannedCall::write(operation(compute, wanted), changed.join(" ")));
        calls.push(PlannedCall::read(names.find, format!("until {}", wanted.word())));
    }
    Ok(Planned { not_undone, ..Planned::new(before, targets, calls) })
}

/// What undo will not bring back when this machine is stopped, by the step or by its undo.
fn cannot_be_undone(machine: &Machine, wanted: Wanted, auto_scaled: AutoScaled) -> Result<Vec<String>, ActionError> {
    let mut lost = Vec::new();
    if let Some(group) = &machine.group {
        if (wanted, auto_scaled) == (Wanted::Stopped, AutoScaled::Refuse) {
            return Err(ActionError::Parameters(format!(
                "{} belongs to the auto scaling group {group}, which would end it once it is stopped and put another in its place; \
                 suspend the group's health checks first, or write `auto_scaled: allow` and lose it",
                label(machine)
            )));
        }
        lost.push(format!("{}, if its auto scaling group {group} ends it while it is stopped", label(machine)));
    }
    if let Some(address) = machine.fleeting_address.as_ref().filter(|_| wanted == Wanted::Stopped) {
        lost.push(format!("the public address {address} of {}: it gets another one when it starts again", label(machine)));
    }
    Ok(lost)
}

/// Brings every machine of `before` to `wanted`. Gives back whether nothing had to be changed.
pub(super) async fn apply(
    compute: &dyn Compute,
    before: &PowerBefore,
    wanted: Wanted,
    auto_scaled: AutoScaled,
    progress: &(dyn Fn(String) + Send + Sync),
    accepted: &(dyn Fn() + Send + Sync),
) -> Result<bool, ActionError> {
    let bring = Bring { compute, wanted, released: &BTreeSet::new(), may_end: auto_scaled == AutoScaled::Allow, progress, accepted };
    let asked = bring.all(&before.ids()).await?;
    Ok(!asked && before.changed(wanted).is_empty())
}

/// Brings back those machines that were the other way, and only then says which ones there are no more.
pub(super) async fn undo(
    compute: &dyn Compute,
    before: &PowerBefore,
    wanted: Wanted,
    auto_scaled: AutoScaled,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<Undone, ActionError> {
    let ids = before.changed(wanted);
    if ids.is_empty() {
        return Ok(Undone::Already);
    }
    let bring = Bring { compute, wanted: wanted.opposite(), released: &before.released, may_end: true, progress, accepted: &|| {} };
    let asked = bring.all(&ids).await?;
    let there: BTreeSet<String> = present(compute, &ids).await?.into_iter().map(|machine| machine.id).collect();
    let ended: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !there.contains(*id)).collect();
    match (ended.is_empty(), auto_scaled) {
        (true, _) => Ok(if asked { Undone::Restored } else { Undone::Already }),
        // Agreed to before the step, and said in the plan.
        (false, AutoScaled::Allow) => {
            progress(format!("{} was ended while it was stopped and cannot be brought back", ended.join(" ")));
            Ok(if asked { Undone::Restored } else { Undone::Already })
        }
        (false, AutoScaled::Refuse) => Err(ActionError::Conflict {
            what: format!("instance {}", ended.join(" ")),
            expected: format!("{} or {}", wanted.word(), wanted.opposite().word()),
            found: "terminated".to_owned(),
        }),
    }
}

/// The machines that there still are. The clouds forget a terminated one after an hour or so, and then refuse every question that names it.
async fn present(compute: &dyn Compute, ids: &[String]) -> Result<Vec<Machine>, ActionError> {
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
struct Bring<'a> {
    compute: &'a dyn Compute,
    wanted: Wanted,
    /// Those that give their capacity back when they stop, as they had before.
    released: &'a BTreeSet<String>,
    /// Whether one that is terminated is left out; else it is a failure.
    may_end: bool,
    progress: &'a (dyn Fn(String) + Send + Sync),
    accepted: &'a (dyn Fn() + Send + Sync),
}

impl Bring<'_> {
    /// Asks for the state where it is not so, as soon as each machine's own allows it, and waits until all are there. Gives back whether anything
    /// was asked.
    async fn all(&self, ids: &[String]) -> Result<bool, ActionError> {
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
        group: Option<String>,
        address: Option<String>,
        released: bool,
    }

    impl Fake {
        fn new(machines: &[(&str, MachineState)]) -> Self {
            let machines = machines.iter().map(|(id, state)| ((*id).to_owned(), (*state, 0))).collect();
            Self { machines: Mutex::new(machines), calls: Mutex::default(), no_capacity: false, group: None, address: None, released: false }
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
                        let machine = Machine {
                            id: id.clone(),
                            name: id.clone(),
                            state: *state,
                            healthy,
                            group: self.group.clone(),
                            fleeting_address: self.address.clone(),
                            released: self.released && *state == MachineState::Stopped,
                        };
                        found.push(machine);
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

        fn release<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, ()> {
            self.set(ids, "release", MachineState::Stopping);
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
        let before = plan(fake, &by_tag(), Wanted::Running, AutoScaled::Refuse).await?.before;
        let already = apply(fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}, &|| {}).await?;
        Ok((before, already))
    }

    #[tokio::test]
    async fn starting_asks_only_for_stopped_machines_and_undo_stops_only_those() {
        let fake = Fake::new(&[("a", MachineState::Stopped), ("b", MachineState::Running), ("c", MachineState::Stopping)]);
        let (before, already) = start(&fake).await.unwrap();
        assert!(!already);
        assert_eq!(fake.states(), [MachineState::Running; 3]);
        assert_eq!(undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap(), Undone::Restored);
        assert_eq!(fake.states(), [MachineState::Stopped, MachineState::Running, MachineState::Stopped]);
        assert_eq!(*lock(&fake.calls), ["start a", "start c", "stop a c"]);
        assert_eq!(undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap(), Undone::Already);
    }

    #[tokio::test]
    async fn already_running_is_success_without_a_call() {
        let fake = Fake::new(&[("a", MachineState::Running), ("b", MachineState::Running)]);
        let (before, already) = start(&fake).await.unwrap();
        assert!(already);
        assert_eq!(undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap(), Undone::Already);
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
        assert!(matches!(undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap_err(), ActionError::Conflict { .. }));
    }

    #[tokio::test]
    async fn nothing_that_matches_and_no_selector_are_refused() {
        let fake = Fake::new(&[]);
        assert!(matches!(plan(&fake, &by_tag(), Wanted::Running, AutoScaled::Refuse).await.unwrap_err(), ActionError::NoTargets(_)));
        assert!(matches!(plan(&fake, &Selector::default(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap_err(), ActionError::Parameters(_)));
        let fake = Fake::new(&[("a", MachineState::Running)]);
        let both = Selector { ids: vec!["a".to_owned(), "z".to_owned()], tags: BTreeMap::new() };
        let error = plan(&fake, &both, Wanted::Stopped, AutoScaled::Refuse).await.unwrap_err();
        assert_eq!(error.to_string(), "no machine matches ids z");
    }

    #[tokio::test]
    async fn an_auto_scaled_machine_is_stopped_only_when_that_is_allowed_and_then_said_to_be_lost() {
        let mut fake = Fake::new(&[("a", MachineState::Running)]);
        fake.group = Some("shop".to_owned());
        let error = plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap_err();
        assert!(matches!(&error, ActionError::Parameters(text) if text.contains("auto scaling group shop") && text.contains("auto_scaled: allow")));
        let planned = plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Allow).await.unwrap();
        assert_eq!(planned.not_undone, ["a, if its auto scaling group shop ends it while it is stopped"]);
        apply(&fake, &planned.before, Wanted::Stopped, AutoScaled::Allow, &|_| {}, &|| {}).await.unwrap();
        lock(&fake.machines).insert("a".to_owned(), (MachineState::Gone, 0));
        assert!(!apply(&fake, &planned.before, Wanted::Stopped, AutoScaled::Allow, &|_| {}, &|| {}).await.unwrap());
        let said = Mutex::new(String::new());
        let undone = undo(&fake, &planned.before, Wanted::Stopped, AutoScaled::Allow, &|line| *lock(&said) = line).await.unwrap();
        assert_eq!((undone, lock(&said).contains("cannot be brought back")), (Undone::Already, true));
        let stopped = Fake { machines: Mutex::new(BTreeMap::from([("a".to_owned(), (MachineState::Stopped, 0))])), ..fake };
        assert!(plan(&stopped, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.is_ok(), "what is stopped is not stopped again");
    }

    #[tokio::test]
    async fn the_others_are_brought_back_before_one_that_is_gone_is_told() {
        let fake = Fake::new(&[("a", MachineState::Running), ("b", MachineState::Running)]);
        let before = plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap().before;
        apply(&fake, &before, Wanted::Stopped, AutoScaled::Refuse, &|_| {}, &|| {}).await.unwrap();
        lock(&fake.machines).insert("a".to_owned(), (MachineState::Gone, 0));
        let error = undo(&fake, &before, Wanted::Stopped, AutoScaled::Refuse, &|_| {}).await.unwrap_err();
        assert!(matches!(&error, ActionError::Conflict { what, found, .. } if what == "instance a" && found == "terminated"), "{error}");
        assert_eq!(fake.states(), [MachineState::Gone, MachineState::Running]);
    }

    #[tokio::test]
    async fn a_machine_that_had_given_its_capacity_back_gives_it_back_again() {
        let mut fake = Fake::new(&[("a", MachineState::Stopped), ("b", MachineState::Running)]);
        fake.released = true;
        let (before, _) = start(&fake).await.unwrap();
        undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap();
        assert_eq!(*lock(&fake.calls), ["start a", "release a"]);
        assert_eq!(plan(&fake, &by_tag(), Wanted::Running, AutoScaled::Refuse).await.unwrap().before, before);
    }

    #[tokio::test]
    async fn an_address_that_goes_is_said_before_and_shows_after() {
        let mut fake = Fake::new(&[("a", MachineState::Running)]);
        fake.address = Some("203.0.113.9".to_owned());
        let planned = plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap();
        assert_eq!(planned.not_undone, ["the public address 203.0.113.9 of a: it gets another one when it starts again"]);
        fake.address = Some("203.0.113.10".to_owned());
        let after = plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap().before;
        assert_ne!(after, planned.before, "the difference can be told");
        assert_eq!(serde_json::to_value(&after).unwrap()["addresses"]["a"], "203.0.113.10");
        fake.address = None;
        let text = serde_json::to_string(&plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap().before).unwrap();
        assert_eq!(text, r#"{"running":["a"],"stopped":[]}"#);
    }
}
