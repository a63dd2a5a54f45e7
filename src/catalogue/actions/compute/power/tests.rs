//! Against machines in memory that need two looks to get where they are going.

use std::sync::Mutex;

use super::*;
use crate::engine::foreseen::{Foreseen, NOTHING};
use crate::ports::compute::{ComputeCalls, Obstacle, Power, Refused};
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

fn location() -> Location {
    Location { cloud: Cloud::Aws, account: None, region: Some("us-east-1".to_owned()) }
}

/// Machines that need two looks to get where they are going.
#[derive(Default)]
struct Fake {
    machines: Mutex<BTreeMap<String, (MachineState, u32)>>,
    calls: Mutex<Vec<String>>,
    /// What was said.
    said: Mutex<Vec<String>>,
    /// Those that fall back to stopped instead of running.
    no_capacity: BTreeSet<String>,
    /// Those that are refused, with the vendor's code.
    refuses: BTreeMap<String, &'static str>,
    /// Those whose status checks stay impaired.
    impaired: BTreeSet<String>,
    /// What reading their health answers.
    blind: Option<Kind>,
    /// What reading them answers once something was asked.
    closed: Option<Kind>,
    group: Option<String>,
    address: Option<String>,
    rest: Rest,
    obstacles: Vec<Obstacle>,
    protected: BTreeSet<String>,
}

impl Fake {
    fn new(machines: &[(&str, MachineState)]) -> Self {
        let machines = machines.iter().map(|(id, state)| ((*id).to_owned(), (*state, 0))).collect();
        Self { machines: Mutex::new(machines), ..Self::default() }
    }

    fn set(&self, ids: &[String], call: &str, state: MachineState) -> Refused {
        locked(&self.calls).push(format!("{call} {}", ids.join(" ")));
        let refused: Refused = ids
            .iter()
            .filter_map(|id| {
                Some((id.clone(), CloudError::new(Cloud::Aws, "x:Act", Kind::Conflict, format!("not {id}")).code(*self.refuses.get(id)?)))
            })
            .collect();
        for id in ids.iter().filter(|id| !refused.contains_key(*id)) {
            locked(&self.machines).insert(id.clone(), (state, 0));
        }
        refused
    }

    fn states(&self) -> Vec<MachineState> {
        locked(&self.machines).values().map(|(state, _)| *state).collect()
    }

    fn said(&self) -> String {
        locked(&self.said).join("\n")
    }

    fn asked(&self, wanted: Wanted) -> PowerRequest<'_> {
        PowerRequest { compute: self, wanted, until: Until::Healthy, at_least: AtLeast::All, auto_scaled: AutoScaled::Refuse }
    }

    fn at_least(&self, at_least: AtLeast) -> PowerRequest<'_> {
        PowerRequest { at_least, ..self.asked(Wanted::Running) }
    }

    fn allowing(&self) -> PowerRequest<'_> {
        PowerRequest { auto_scaled: AutoScaled::Allow, ..self.asked(Wanted::Stopped) }
    }

    async fn plan(&self, asked: &PowerRequest<'_>) -> Result<Planned<PowerBefore>, ActionError> {
        asked.plan(&by_tag(), &location(), &NOTHING, &|line| locked(&self.said).push(line)).await
    }

    async fn apply(&self, asked: &PowerRequest<'_>, before: &PowerBefore) -> Result<PowerOutcome, ActionError> {
        asked.apply(before, &|line| locked(&self.said).push(line), &|line| locked(&self.said).push(line), &|| {}).await
    }

    async fn undo(&self, asked: &PowerRequest<'_>, before: &PowerBefore) -> Result<Undone, ActionError> {
        asked.undo(before, &|line| locked(&self.said).push(line), &|line| locked(&self.said).push(line)).await
    }

    async fn done(&self, asked: &PowerRequest<'_>) -> Result<(PowerBefore, PowerOutcome), ActionError> {
        let before = self.plan(asked).await?.before;
        let powered = self.apply(asked, &before).await?;
        Ok((before, powered))
    }
}

fn refused(operation: &str, kind: Kind) -> CloudError {
    CloudError::new(Cloud::Aws, operation, kind, "no")
}

impl Compute for Fake {
    fn find<'a>(&'a self, selector: &'a Selector) -> PortFuture<'a, Vec<Machine>> {
        Box::pin(async move {
            if let Some(kind) = self.closed.filter(|_| !locked(&self.calls).is_empty()) {
                return Err(refused("x:Find", kind));
            }
            let mut machines = locked(&self.machines);
            let mut found = Vec::new();
            for (id, (state, looks)) in machines.iter_mut() {
                *looks += 1;
                if *looks > 2 {
                    *state = match *state {
                        MachineState::Starting if self.no_capacity.contains(id) => MachineState::Stopped,
                        MachineState::Starting => MachineState::Running,
                        MachineState::Stopping => MachineState::Stopped,
                        state => state,
                    };
                }
                if selector.ids.is_empty() || selector.ids.contains(id) {
                    let machine = Machine {
                        id: id.clone(),
                        name: id.clone(),
                        state: *state,
                        group: self.group.clone(),
                        fleeting_address: self.address.clone(),
                        rest: if *state == MachineState::Stopped { self.rest } else { Rest::Kept },
                        obstacles: self.obstacles.clone(),
                    };
                    found.push(machine);
                }
            }
            Ok(found)
        })
    }

    fn ailing<'a>(&'a self, running: &'a [String]) -> PortFuture<'a, Ailing> {
        Box::pin(async move {
            if let Some(kind) = self.blind {
                return Err(refused("x:Ail", kind));
            }
            let machines = locked(&self.machines);
            let told = running.iter().filter_map(|id| match machines.get(id) {
                _ if self.impaired.contains(id) => Some((id.clone(), "instance status impaired".to_owned())),
                Some((_, looks)) if *looks <= 3 => Some((id.clone(), "instance status initializing".to_owned())),
                _ => None,
            });
            Ok(told.collect())
        })
    }

    fn start<'a>(&'a self, ids: &'a [String]) -> PortFuture<'a, Refused> {
        let refused = self.set(ids, "start", MachineState::Starting);
        Box::pin(async { Ok(refused) })
    }

    fn stop<'a>(&'a self, ids: &'a [String], rest: Rest) -> PortFuture<'a, Refused> {
        let call = match rest {
            Rest::Kept => "stop",
            Rest::Released => "release",
            Rest::Hibernated => "hibernate",
        };
        let refused = self.set(ids, call, MachineState::Stopping);
        Box::pin(async { Ok(refused) })
    }

    fn obstacles<'a>(&'a self, ids: &'a [String], asked: Power) -> PortFuture<'a, BTreeMap<String, String>> {
        let protected = ids.iter().filter(|id| asked == Power::Stop && self.protected.contains(*id)).map(|id| (id.clone(), "protected".to_owned()));
        let protected = protected.collect();
        Box::pin(async move { Ok(protected) })
    }

    fn calls(&self) -> ComputeCalls {
        ComputeCalls { find: "x:Find", ailing: Some("x:Ail"), start: "x:Start", stop: "x:Stop" }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn by_tag() -> Selector {
    Selector { ids: Vec::new(), tags: BTreeMap::from([("role".to_owned(), "shop".to_owned())]) }
}

fn names(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

const STOPPED: MachineState = MachineState::Stopped;
const RUNNING: MachineState = MachineState::Running;
const GONE: MachineState = MachineState::Gone;

#[tokio::test]
async fn starting_asks_only_for_stopped_machines_and_undo_stops_only_those() {
    let fake = Fake::new(&[("a", STOPPED), ("b", RUNNING), ("c", MachineState::Stopping)]);
    let asked = fake.asked(Wanted::Running);
    let (before, powered) = fake.done(&asked).await.unwrap();
    assert_eq!((powered.already, powered.changed), (false, vec!["a".to_owned(), "c".to_owned()]));
    assert_eq!(fake.states(), [RUNNING; 3]);
    assert_eq!(fake.undo(&asked, &before).await.unwrap(), Undone::Restored);
    assert_eq!(fake.states(), [STOPPED, RUNNING, STOPPED]);
    assert_eq!(*locked(&fake.calls), ["start a", "start c", "stop a c"]);
    assert_eq!(fake.undo(&asked, &before).await.unwrap(), Undone::Already);
}

#[tokio::test]
async fn already_running_is_success_without_a_call() {
    let fake = Fake::new(&[("a", RUNNING), ("b", RUNNING)]);
    let asked = fake.asked(Wanted::Running);
    let (before, powered) = fake.done(&asked).await.unwrap();
    assert!(powered.already);
    assert_eq!(fake.undo(&asked, &before).await.unwrap(), Undone::Already);
    assert!(locked(&fake.calls).is_empty());
}

#[tokio::test]
async fn one_that_falls_back_or_is_refused_is_named_once_all_others_are_there() {
    let three = [("a", STOPPED), ("b", STOPPED), ("c", STOPPED)];
    let fake = Fake { no_capacity: names(&["b"]), ..Fake::new(&three) };
    let error = fake.done(&fake.asked(Wanted::Running)).await.err().unwrap();
    assert!(matches!(&error, ActionError::NoEffect(text) if text == "1 of 3 not running, where all must be: b: went back to stopped"), "{error}");
    assert_eq!(fake.states(), [RUNNING, STOPPED, RUNNING]);

    let fake = Fake { refuses: BTreeMap::from([("b".to_owned(), "NoStock"), ("c".to_owned(), "Locked")]), ..Fake::new(&three) };
    let error = fake.done(&fake.asked(Wanted::Running)).await.err().unwrap();
    assert_eq!(error.to_string(), "aws x:Act: 2 of 3 not running, where all must be: b: not b (NoStock); c: not c (Locked)");
    assert_eq!(fake.states(), [RUNNING, STOPPED, STOPPED]);
    assert_eq!(*locked(&fake.calls), ["start a b c"], "nobody is asked twice in one attempt");

    let fake = Fake::new(&[("a", RUNNING), ("b", RUNNING)]);
    let asked = fake.asked(Wanted::Stopped);
    let before = fake.plan(&asked).await.unwrap().before;
    locked(&fake.machines).insert("a".to_owned(), (GONE, 0));
    let error = fake.apply(&asked, &before).await.err().unwrap();
    assert_eq!((error.to_string().as_str(), fake.states()), ("1 of 2 not stopped, where all must be: a: terminated", vec![GONE, STOPPED]));
}

#[tokio::test]
async fn enough_are_enough_and_the_others_are_told() {
    let three = [("a", STOPPED), ("b", STOPPED), ("c", STOPPED)];
    for at_least in [AtLeast::Count(2), AtLeast::Percent(60)] {
        let fake = Fake { impaired: names(&["a"]), ..Fake::new(&three) };
        let (before, powered) = fake.done(&fake.at_least(at_least)).await.unwrap();
        assert_eq!((powered.failed, powered.changed), (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]));
        assert!(fake.said().contains("2 of 3 are running, which is enough; not so: a: instance status impaired"), "{}", fake.said());
        assert_eq!(fake.undo(&fake.at_least(at_least), &before).await.unwrap(), Undone::Restored);
        assert_eq!(fake.states(), [STOPPED; 3], "undo takes back all that were asked");

        let fake = Fake { refuses: BTreeMap::from([("c".to_owned(), "NoStock")]), ..Fake::new(&three) };
        assert_eq!(fake.done(&fake.at_least(at_least)).await.unwrap().1.failed, ["c"]);
        let fake = Fake { refuses: ["a", "c"].map(|id| (id.to_owned(), "NoStock")).into(), ..Fake::new(&three) };
        let error = fake.done(&fake.at_least(at_least)).await.err().unwrap().to_string();
        assert!(error.contains("2 of 3 not running, where 2 must be: a: not a (NoStock); c: not c (NoStock)"), "{error}");
    }
    let fake = Fake::new(&three);
    let error = fake.plan(&fake.at_least(AtLeast::Count(4))).await.unwrap_err();
    assert_eq!(error.to_string(), "3 machines match tags role=shop, and at least 4 are asked for");
}

#[tokio::test]
async fn it_counts_when_it_is_asked_when_it_runs_or_when_it_is_healthy() {
    for (until, healthy, state) in [(Until::Accepted, false, MachineState::Starting), (Until::State, false, RUNNING), (Until::Healthy, true, RUNNING)]
    {
        let fake = Fake::new(&[("a", STOPPED)]);
        let asked = PowerRequest { until, ..fake.asked(Wanted::Running) };
        let planned = fake.plan(&asked).await.unwrap();
        assert_eq!(planned.calls.iter().any(|call| call.operation == "x:Ail"), healthy);
        fake.apply(&asked, &planned.before).await.unwrap();
        assert_eq!(fake.states(), [state], "{until:?}");
    }
}

#[tokio::test]
async fn health_that_may_not_or_cannot_be_read_is_a_warning() {
    for kind in [Kind::Denied, Kind::Unavailable] {
        let fake = Fake { blind: Some(kind), ..Fake::new(&[("a", STOPPED), ("b", RUNNING)]) };
        let asked = fake.asked(Wanted::Running);
        let (before, _) = fake.done(&asked).await.unwrap();
        assert!(fake.said().contains("could not be read, so running counts: aws x:Ail"), "{}", fake.said());
        assert_eq!(fake.undo(&asked, &before).await.unwrap(), Undone::Restored);
        assert_eq!(fake.states(), [STOPPED, RUNNING]);
    }
}

#[tokio::test]
async fn undo_needs_no_look() {
    for kind in [Kind::Denied, Kind::Unavailable] {
        let mut fake = Fake::new(&[("a", STOPPED), ("b", RUNNING)]);
        let before = fake.done(&fake.asked(Wanted::Running)).await.unwrap().0;
        fake.closed = Some(kind);
        assert_eq!(fake.undo(&fake.asked(Wanted::Running), &before).await.unwrap(), Undone::Restored);
        assert_eq!(locked(&fake.machines)["a"].0, MachineState::Stopping);
        assert!(fake.said().contains("a were asked to be stopped; that could not be seen"), "{}", fake.said());
    }
}

#[tokio::test]
async fn undo_puts_back_whatever_it_can_before_it_names_what_it_cannot() {
    let mut fake = Fake::new(&[("a", STOPPED), ("b", STOPPED), ("c", STOPPED)]);
    let before = fake.done(&fake.asked(Wanted::Running)).await.unwrap().0;
    fake.refuses = BTreeMap::from([("b".to_owned(), "OperationNotPermitted")]);
    let error = fake.undo(&fake.asked(Wanted::Running), &before).await.unwrap_err();
    assert!(error.to_string().contains("b: not b (OperationNotPermitted)"), "{error}");
    assert_eq!(fake.states(), [STOPPED, RUNNING, STOPPED]);
}

#[tokio::test]
async fn a_machine_on_its_way_out_is_no_target() {
    let fake = Fake::new(&[("a", STOPPED), ("b", GONE)]);
    let planned = fake.plan(&fake.asked(Wanted::Running)).await.unwrap();
    assert_eq!(planned.targets.iter().map(|target| target.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(fake.said().contains("b is being terminated and is no target"));
    let fake = Fake::new(&[("b", GONE)]);
    assert!(
        matches!(fake.plan(&fake.asked(Wanted::Stopped)).await.unwrap_err(), ActionError::NoTargets(text) if text.contains("not being terminated"))
    );
}

#[tokio::test]
async fn what_keeps_one_from_following_there_or_back_is_in_the_plan() {
    let obstacle = Obstacle { start: true, stop: false, why: "locked (financial)".to_owned() };
    let fake = Fake { obstacles: vec![obstacle], protected: names(&["b"]), ..Fake::new(&[("a", STOPPED), ("b", STOPPED)]) };
    let planned = fake.asked(Wanted::Running).plan(&by_tag(), &location(), &Foreseen::dry(), &|line| locked(&fake.said).push(line)).await.unwrap();
    assert!(fake.said().contains("a may not become running: locked (financial)"), "{}", fake.said());
    assert_eq!(planned.not_undone, ["b may not become stopped again: protected"]);
    assert_eq!(planned.undo.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>(), ["x:Find", "x:Stop", "x:Find"]);
}

#[tokio::test]
async fn a_later_step_is_planned_against_what_an_earlier_one_makes() {
    let (fake, foreseen) = (Fake::new(&[("a", STOPPED)]), Foreseen::dry());
    fake.asked(Wanted::Running).plan(&by_tag(), &location(), &foreseen, &|_| {}).await.unwrap();
    let back = fake.asked(Wanted::Stopped).plan(&by_tag(), &location(), &foreseen, &|_| {}).await.unwrap();
    assert_eq!(back.targets[0].change, Change::read("running → stopped"));
    assert!(back.calls.iter().any(|call| call.operation == "x:Stop"));
}

#[tokio::test]
async fn nothing_that_matches_and_no_selector_are_refused() {
    let fake = Fake::new(&[]);
    assert!(matches!(fake.plan(&fake.asked(Wanted::Running)).await.unwrap_err(), ActionError::NoTargets(_)));
    let nobody = fake.asked(Wanted::Stopped).plan(&Selector::default(), &location(), &NOTHING, &|_| {}).await.unwrap_err();
    assert!(matches!(nobody, ActionError::Parameters(_)));
    let fake = Fake::new(&[("a", RUNNING)]);
    let both = Selector { ids: vec!["a".to_owned(), "z".to_owned()], tags: BTreeMap::new() };
    let error = fake.asked(Wanted::Stopped).plan(&both, &location(), &NOTHING, &|_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "no machine matches ids z");
}

#[tokio::test]
async fn an_auto_scaled_machine_is_stopped_only_when_that_is_allowed_and_then_said_to_be_lost() {
    let fake = Fake { group: Some("shop".to_owned()), ..Fake::new(&[("a", RUNNING)]) };
    let error = fake.plan(&fake.asked(Wanted::Stopped)).await.unwrap_err();
    assert!(matches!(&error, ActionError::Parameters(text) if text.contains("auto scaling group shop") && text.contains("auto_scaled: allow")));
    let planned = fake.plan(&fake.allowing()).await.unwrap();
    assert_eq!(planned.not_undone, ["a, if its auto scaling group shop ends it while it is stopped"]);
    fake.apply(&fake.allowing(), &planned.before).await.unwrap();
    locked(&fake.machines).insert("a".to_owned(), (GONE, 0));
    assert!(!fake.apply(&fake.allowing(), &planned.before).await.unwrap().already);
    assert_eq!(fake.undo(&fake.allowing(), &planned.before).await.unwrap(), Undone::Already);
    assert!(fake.said().contains("cannot be brought back"));
    locked(&fake.machines).insert("a".to_owned(), (STOPPED, 0));
    assert!(fake.plan(&fake.asked(Wanted::Stopped)).await.is_ok(), "what is stopped is not stopped again");
}

#[tokio::test]
async fn the_others_are_brought_back_before_one_that_is_gone_is_told() {
    let fake = Fake::new(&[("a", RUNNING), ("b", RUNNING)]);
    let asked = fake.asked(Wanted::Stopped);
    let before = fake.done(&asked).await.unwrap().0;
    locked(&fake.machines).insert("a".to_owned(), (GONE, 0));
    let error = fake.undo(&asked, &before).await.unwrap_err();
    assert!(matches!(&error, ActionError::Conflict { what, found, .. } if what == "instance a" && found == "terminated"), "{error}");
    assert_eq!(fake.states(), [GONE, RUNNING]);
}

#[tokio::test]
async fn a_machine_rests_again_as_it_had_rested() {
    for (rest, call) in [(Rest::Released, "release a"), (Rest::Hibernated, "hibernate a")] {
        let fake = Fake { rest, ..Fake::new(&[("a", STOPPED), ("b", RUNNING)]) };
        let asked = fake.asked(Wanted::Running);
        let before = fake.done(&asked).await.unwrap().0;
        assert_eq!(fake.said().contains("undo hibernates it again"), rest == Rest::Hibernated);
        fake.undo(&asked, &before).await.unwrap();
        assert_eq!(*locked(&fake.calls), ["start a", call]);
        assert_eq!(fake.plan(&asked).await.unwrap().before, before);
    }
}

#[tokio::test]
async fn an_address_that_goes_is_said_before_and_shows_after() {
    let mut fake = Fake::new(&[("a", RUNNING)]);
    fake.address = Some("203.0.113.9".to_owned());
    let planned = fake.plan(&fake.asked(Wanted::Stopped)).await.unwrap();
    assert_eq!(planned.not_undone, ["the public address 203.0.113.9 of a: it gets another one when it starts again"]);
    fake.address = Some("203.0.113.10".to_owned());
    let after = fake.plan(&fake.asked(Wanted::Stopped)).await.unwrap().before;
    assert_ne!(after, planned.before, "the difference can be told");
    assert_eq!(serde_json::to_value(&after).unwrap()["addresses"]["a"], "203.0.113.10");
    fake.address = None;
    let text = serde_json::to_string(&fake.plan(&fake.asked(Wanted::Stopped)).await.unwrap().before).unwrap();
    assert_eq!(text, r#"{"running":["a"],"stopped":[]}"#);
}
