//! Against machines in memory that need two looks to get where they are going.

use std::sync::Mutex;

use super::*;
use crate::ports::PortFuture;
use crate::ports::compute::ComputeCalls;
use crate::ports::compute::MachineState;

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
        locked(&self.calls).push(format!("{call} {}", ids.join(" ")));
        for id in ids {
            locked(&self.machines).insert(id.clone(), (state, 0));
        }
    }

    fn states(&self) -> Vec<MachineState> {
        locked(&self.machines).values().map(|(state, _)| *state).collect()
    }
}

impl Compute for Fake {
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>> {
        Box::pin(async move {
            let mut machines = locked(&self.machines);
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

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
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
    assert_eq!(*locked(&fake.calls), ["start a", "start c", "stop a c"]);
    assert_eq!(undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap(), Undone::Already);
}

#[tokio::test]
async fn already_running_is_success_without_a_call() {
    let fake = Fake::new(&[("a", MachineState::Running), ("b", MachineState::Running)]);
    let (before, already) = start(&fake).await.unwrap();
    assert!(already);
    assert_eq!(undo(&fake, &before, Wanted::Running, AutoScaled::Refuse, &|_| {}).await.unwrap(), Undone::Already);
    assert!(locked(&fake.calls).is_empty());
}

#[tokio::test]
async fn a_machine_that_falls_back_or_is_terminated_is_a_failure() {
    let mut fake = Fake::new(&[("a", MachineState::Stopped)]);
    fake.no_capacity = true;
    assert!(matches!(start(&fake).await.unwrap_err(), ActionError::NoEffect(text) if text == "a went back to stopped"));

    let fake = Fake::new(&[("a", MachineState::Stopped)]);
    let (before, _) = start(&fake).await.unwrap();
    locked(&fake.machines).insert("a".to_owned(), (MachineState::Gone, 0));
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
    locked(&fake.machines).insert("a".to_owned(), (MachineState::Gone, 0));
    assert!(!apply(&fake, &planned.before, Wanted::Stopped, AutoScaled::Allow, &|_| {}, &|| {}).await.unwrap());
    let said = Mutex::new(String::new());
    let undone = undo(&fake, &planned.before, Wanted::Stopped, AutoScaled::Allow, &|line| *locked(&said) = line).await.unwrap();
    assert_eq!((undone, locked(&said).contains("cannot be brought back")), (Undone::Already, true));
    let stopped = Fake { machines: Mutex::new(BTreeMap::from([("a".to_owned(), (MachineState::Stopped, 0))])), ..fake };
    assert!(plan(&stopped, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.is_ok(), "what is stopped is not stopped again");
}

#[tokio::test]
async fn the_others_are_brought_back_before_one_that_is_gone_is_told() {
    let fake = Fake::new(&[("a", MachineState::Running), ("b", MachineState::Running)]);
    let before = plan(&fake, &by_tag(), Wanted::Stopped, AutoScaled::Refuse).await.unwrap().before;
    apply(&fake, &before, Wanted::Stopped, AutoScaled::Refuse, &|_| {}, &|| {}).await.unwrap();
    locked(&fake.machines).insert("a".to_owned(), (MachineState::Gone, 0));
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
    assert_eq!(*locked(&fake.calls), ["start a", "release a"]);
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
