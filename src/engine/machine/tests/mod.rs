mod clearance;
mod emergency;
mod resume;
mod seen;
mod unwritten;

use serde_json::json;

use super::*;
use crate::model::event::Event;
use crate::model::event::step::Found;
use crate::model::failure::FailureKind;
use crate::model::format::Format;
use crate::model::order::Order;
use crate::model::plan::*;
use crate::model::scope::Scope;
use crate::model::target::{Change, Target, TargetKind};
use crate::model::text::Text;
use crate::model::time::{Span, Timestamp};

pub(super) fn step(id: &str, needs: &[&str]) -> StepPlan {
    StepPlan {
        id: id.into(),
        title: Text::default(),
        uses: "toy.change".into(),
        with: json!({}),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        when: None,
        timeout: Span::from_secs(60),
        retry: Retry::default(),
        on_failure: OnFailure::Stop,
        critical: true,
        ungraceful: None,
        for_each: None,
        fresh: false,
    }
}

pub(super) fn book(steps: Vec<StepPlan>) -> RunbookPlan {
    RunbookPlan { file: "b.yaml".into(), title: Text::default(), parameters: json!({}), steps }
}

pub(super) fn plan(steps: Vec<StepPlan>) -> Plan {
    Plan {
        given: Default::default(),
        files: Vec::new(),
        approvers: Default::default(),
        realism: Default::default(),
        version: Format::Plan.current(),
        tool: String::new(),
        name: "toy".into(),
        title: Text::default(),
        description: Text::default(),
        mode: Mode::Rehearse,
        environment: "toy".into(),
        zone: "UTC".into(),
        scope: Scope::default(),
        since: None,
        objectives: BTreeMap::new(),
        controls: Vec::new(),
        probes: Vec::new(),
        steady_state: Some(SteadyState { probes: vec!["p".into()], hold: Span::from_secs(3), timeout: Span::from_secs(30) }),
        fault: Some(FaultPlan {
            uses: "toy.fault".into(),
            with: json!({}),
            lease: Span::from_secs(120),
            limit: Span::from_secs(1800),
            timeout: Span::from_secs(10),
        }),
        detect: Some(Detect { probe: "p".into(), timeout: Span::from_secs(20) }),
        failover: book(steps),
        recovered: Some(Recovered { probes: vec!["p".into()], stable_for: Span::from_secs(5), timeout: Span::from_secs(60) }),
        failback: None,
        leave: false,
        source: None,
        traffic: None,
        stop_conditions: Vec::new(),
        back: None,
        ungraceful: false,
        limits: Limits::default(),
        frozen: BTreeMap::new(),
        definitions: Vec::new(),
    }
}

/// Drives a machine; every cloud call succeeds at once unless `fail` names the step.
pub(super) struct Rig {
    pub(super) machine: Machine,
    pub(super) now: u64,
    /// The journal, as whoever reads it understands it.
    state: RunState,
    epoch: u64,
    pub(super) log: Vec<String>,
    pub(super) fail: Vec<(&'static str, Failure)>,
    pub(super) hang: Vec<&'static str>,
    /// What cannot be undone.
    stuck: Vec<&'static str>,
    /// Whether somebody took the marks off.
    lease_is_gone: bool,
    /// What each probe shows now.
    shows: BTreeMap<String, Standing>,
    /// What does not read as before.
    differs: Vec<&'static str>,
    /// Probes of which no sample is sent now.
    silent: Vec<&'static str>,
    /// For which good samples the machine waits.
    asked: Vec<(String, Moment)>,
    /// What the guards say.
    guards: Result<Vec<crate::model::guard::Decision>, String>,
    /// What a look at a step finds; what was to be done unless written.
    finds: Vec<(&'static str, Found)>,
}

impl Rig {
    pub(super) fn new(plan: Plan) -> Self {
        let started = RunEvent::Started {
            plan: Box::new(plan.clone()),
            plan_sha256: String::new(),
            tool: String::new(),
            operator: String::new(),
            host: String::new(),
            clock_error_ms: None,
            begun: None,
        };
        let mut rig = Self::over(plan, RunState::default());
        rig.record(Body::Run(started));
        rig
    }

    /// A process that finds this journal.
    fn over(plan: Plan, state: RunState) -> Self {
        Self {
            machine: Machine::new(Arc::new(plan), |uses| uses != "toy.read"),
            now: 0,
            epoch: state.epoch + 1,
            state,
            log: Vec::new(),
            fail: Vec::new(),
            hang: Vec::new(),
            stuck: Vec::new(),
            lease_is_gone: false,
            finds: Vec::new(),
            guards: Ok(Vec::new()),
            shows: BTreeMap::new(),
            differs: Vec::new(),
            silent: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Every event must be one that can follow.
    fn record(&mut self, body: Body) {
        let (seq, at) = (self.state.seq + 1, Timestamp::from_nanos(i64::try_from(self.now).unwrap() * 1_000_000_000));
        let event =
            Event { v: Format::Journal.current(), seq, run: "r".into(), id: String::new(), owner: String::new(), epoch: self.epoch, at, body };
        let legal = self.state.apply(&event);
        // Without a beginning there is no journal, only what somebody left.
        if self.state.start.is_some() {
            legal.unwrap_or_else(|error| panic!("{error}: {event:?} after {:?}", self.log));
        }
        match event.body {
            Body::Step(StepEvent { step, kind }) => {
                self.log.push(format!("{step} {}", serde_json::to_value(&kind).unwrap()["event"].as_str().unwrap()));
            }
            Body::Run(RunEvent::Stage { stage }) => self.log.push(format!("{stage:?}")),
            Body::Run(RunEvent::Ordered { order, by, .. }) => self.log.push(format!("{by}: {order}")),
            _ => {}
        }
    }

    pub(super) fn feed(&mut self, input: Input) {
        let mut queue = vec![input];
        while !queue.is_empty() {
            for effect in self.machine.handle(Duration::from_secs(self.now), queue.remove(0)) {
                self.perform(effect, &mut queue);
            }
        }
    }

    /// The answer to a reading that hung.
    fn answer_reading(&mut self, key: &str) {
        let planned = Planned::new(json!("was"), vec![Target::outside(TargetKind::Table, key)], vec![]);
        self.feed(Input::Read(key.to_owned(), Ok((planned, json!({})))));
    }

    fn perform(&mut self, effect: Effect, queue: &mut Vec<Input>) {
        // A step called `repair` acts on what the fault broke, one called `both` also on something of its own, those called `shared-…` on the same, every
        // other on something of its own.
        let planned = |key: &str| {
            let targets = match key {
                _ if key.ends_with("repair") => vec![FAULT],
                _ if key.ends_with("both") => vec![FAULT, key],
                _ if key.contains("/shared-") => vec!["shared"],
                _ => vec![key],
            };
            let targets = targets.into_iter().map(|target| Target::outside(TargetKind::Table, target)).collect();
            Planned::new(json!("was"), targets, vec![])
        };
        match effect {
            Effect::Record(body) => self.record(body),
            Effect::Wake(_) => {}
            Effect::Plan { key, with, .. } => {
                let mut there = planned(&key);
                // A step called `command` says nothing of what it changes.
                if !key.ends_with("/command") {
                    there.targets[0].change = Change::read("was -> made");
                }
                queue.push(Input::Planned(key, Ok((there, with))));
            }
            Effect::Apply { key, .. } => {
                if self.hang.contains(&key.as_str()) {
                    return;
                }
                let result = match self.fail.iter().position(|(name, _)| *name == key) {
                    Some(at) => Err(self.fail.remove(at).1),
                    None => Ok(Applied::changed(json!({}))),
                };
                queue.push(Input::Applied(key, result, None));
            }
            Effect::Undo { key, .. } => {
                self.log.push(format!("undo {key}"));
                if self.hang.contains(&format!("undo {key}").as_str()) {
                    return;
                }
                let stuck = self.stuck.contains(&key.as_str());
                let result = if stuck { Err(Failure::new(FailureKind::Conflict, "changed by someone else")) } else { Ok(Undone::Restored) };
                queue.push(Input::Undone(key, result));
            }
            Effect::Read { key, .. } if self.hang.contains(&format!("look {key}").as_str()) => {}
            Effect::Read { key, with, .. } => {
                self.log.push(format!("read {key}"));
                if self.hang.contains(&format!("read {key}").as_str()) {
                    return;
                }
                let found = self.finds.iter().find(|(name, _)| *name == key).map_or(Found::Done, |(_, found)| *found);
                let mut there = planned(&key);
                if found != Found::Done {
                    there.targets[0].change = Change::read("was -> is");
                }
                if found == Found::Unknown {
                    there.before = json!("something else");
                }
                if self.differs.contains(&key.as_str()) {
                    there.before = json!("something else");
                }
                queue.push(Input::Read(key, Ok((there, with))));
            }
            Effect::Renew { .. } => {
                self.log.push("renew".into());
                let answer = if self.lease_is_gone { Err(Failure::new(FailureKind::Conflict, "no marks")) } else { Ok(Timestamp::from_nanos(0)) };
                queue.push(Input::Renewed(answer));
            }
            Effect::Ask { probe, after } => {
                self.log.push(format!("ask {probe} after {}", after.as_secs()));
                self.asked.push((probe, after));
                queue.extend(self.answers());
            }
            Effect::AskGuards { .. } if self.hang.contains(&"guards") => {}
            Effect::AskGuards { .. } => {
                self.log.push("guards".into());
                queue.push(Input::Guarded(self.guards.clone()));
            }
            Effect::Refused(why) => self.log.push(format!("refused: {why}")),
            Effect::Cancel(key) if self.hang.contains(&format!("cancel {key}").as_str()) => {}
            Effect::Cancel(key) => queue.push(Input::Applied(key, Err(Failure::new(FailureKind::Cancelled, "cancelled")), None)),
            Effect::Finish => self.log.push("finish".into()),
            Effect::Leave => self.log.push("leave".into()),
        }
    }

    pub(super) fn probe(&mut self, state: ProbeState) {
        self.shows("p", state);
    }

    /// A probe that is confirmed to be so from now on, and is sampled all the time.
    pub(super) fn shows(&mut self, probe: &str, state: ProbeState) {
        let now = Duration::from_secs(self.now);
        let good = (state == ProbeState::Good).then_some(Streak::of(now, now));
        self.show(probe, Standing { state: Some(state), since: now, good, detail: format!("{state:?}"), ..Standing::default() });
    }

    /// A probe whose last samples could not tell; what it was confirmed to be stays.
    pub(super) fn blinds(&mut self, probe: &str) {
        let known = self.shows.get(probe).cloned().unwrap_or_default();
        let blind_since = known.blind_since.or(Some(Duration::from_secs(self.now)));
        self.show(probe, Standing { good: None, is_unread: true, blind_since, detail: "no such host".into(), ..known });
    }

    fn show(&mut self, probe: &str, standing: Standing) {
        self.shows.insert(probe.to_owned(), standing.clone());
        self.feed(Input::Probe(probe.to_owned(), standing));
    }

    /// The good samples that the machine waits for and that can have been sent by now.
    fn answers(&mut self) -> Vec<Input> {
        let now = Duration::from_secs(self.now);
        let is_good = |probe: &String| !self.silent.contains(&probe.as_str()) && self.shows.get(probe).is_some_and(|shown| shown.good.is_some());
        let asked = std::mem::take(&mut self.asked).into_iter();
        let (due, later): (Vec<_>, Vec<_>) = asked.partition(|(probe, after)| *after <= now && is_good(probe));
        self.asked = later;
        let answer = |(probe, _): (String, Moment)| {
            let standing = self.shows.get_mut(&probe).expect("it shows something");
            standing.good = standing.good.map(|good| good.with(now, now));
            Input::Probe(probe, standing.clone())
        };
        due.into_iter().map(answer).collect()
    }

    pub(super) fn order(&mut self, order: Order) {
        self.feed(Input::Order(Asked { order, by: "ann".into(), why: "because".into() }));
    }

    pub(super) fn at(&mut self, now: u64) {
        self.now = now;
        self.answers().into_iter().for_each(|answer| self.feed(answer));
        self.feed(Input::Wake);
    }

    /// Up to the moment the failover begins.
    pub(super) fn start(plan: Plan, prepare: impl FnOnce(&mut Self)) -> Self {
        let mut rig = Self::new(plan);
        prepare(&mut rig);
        rig.feed(Input::Start);
        rig.probe(ProbeState::Good);
        rig.at(3);
        rig.now = 5;
        rig.probe(ProbeState::Bad);
        rig
    }

    pub(super) fn undone(&self) -> Vec<&str> {
        self.log.iter().filter_map(|line| line.strip_prefix("undo ")).collect()
    }
}

#[test]
fn a_good_drill_heals_first_and_undoes_in_reverse() {
    let mut rig = Rig::start(plan(vec![step("a", &[]), step("b", &["a"])]), |_| {});
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(15);
    assert_eq!(rig.undone(), ["fault", "failover/b", "failover/a"]);
    assert_eq!(rig.log.last().unwrap(), "finish");
    let intent = rig.log.iter().position(|line| line == "failover/b intended").unwrap();
    let first = rig.log.iter().position(|line| line == "failover/a applied").unwrap();
    assert!(first < intent, "b needs a: {:?}", rig.log);
}

#[test]
fn nothing_is_injected_before_the_steady_state_has_held() {
    let mut rig = Rig::new(plan(vec![]));
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    rig.at(2);
    assert!(!rig.log.iter().any(|line| line.starts_with("fault")), "{:?}", rig.log);
    rig.now = 2;
    rig.probe(ProbeState::Bad);
    rig.at(30);
    assert!(!rig.log.iter().any(|line| line.starts_with("fault")), "{:?}", rig.log);
    assert!(rig.machine.has_ended());
}

#[test]
fn an_abort_while_a_step_hangs_takes_everything_back() {
    let mut rig = Rig::start(plan(vec![step("a", &[]), step("b", &["a"])]), |rig| rig.hang.push("failover/b"));
    rig.order(Order::Abort);
    assert_eq!(rig.undone(), ["fault", "failover/b", "failover/a"]);
}

#[test]
fn a_retry_uses_the_before_of_the_first_attempt() {
    let mut failure = Failure::new(FailureKind::Cloud, "timeout");
    failure.ambiguous = true;
    let mut a = step("a", &[]);
    a.retry = Retry { attempts: 3, backoff: Span::from_secs(1) };
    let mut rig = Rig::start(plan(vec![a]), |rig| rig.fail.push(("failover/a", failure)));
    assert!(!rig.log.contains(&"failover/a applied".to_owned()));
    rig.at(6);
    assert_eq!(rig.log.iter().filter(|line| *line == "failover/a intended").count(), 1);
    assert_eq!(rig.log.iter().filter(|line| *line == "failover/a started").count(), 2);
    assert!(rig.log.contains(&"failover/a applied".to_owned()));
}

#[test]
fn a_failed_step_stops_its_runbook_unless_it_may_continue() {
    let failure = || Failure::new(FailureKind::Check, "no");
    let rig = Rig::start(plan(vec![step("a", &[]), step("b", &["a"])]), |rig| rig.fail.push(("failover/a", failure())));
    assert!(rig.log.contains(&"failover/b skipped".to_owned()));
    assert_eq!(rig.undone(), ["fault", "failover/a"]);

    let mut a = step("a", &[]);
    a.on_failure = OnFailure::Continue;
    let rig = Rig::start(plan(vec![a, step("b", &["a"])]), |rig| rig.fail.push(("failover/a", failure())));
    assert!(rig.log.contains(&"failover/b applied".to_owned()));
}

#[test]
fn a_failover_that_stays_is_over_when_nothing_of_the_fault_can_come_any_more() {
    let lost = Failure { ambiguous: true, ..Failure::new(FailureKind::Cloud, "the answer was lost") };
    let kept = Plan { leave: true, ..plan(vec![step("a", &[])]) };
    let mut rig = Rig::start(kept, |rig| rig.fail.push(("fault", lost)));
    rig.at(6);
    rig.probe(ProbeState::Good);
    (7..15).for_each(|now| rig.at(now));
    assert_eq!((rig.undone(), rig.log.last().unwrap().as_str()), (vec!["fault"], "fault undone"), "its first call may still arrive");
    (15..60).for_each(|now| rig.at(now));
    assert_eq!((rig.undone(), rig.log.last().unwrap().as_str()), (vec!["fault", "fault"], "finish"));
}

#[test]
fn an_unnoticed_fault_is_taken_out_at_the_timeout() {
    let mut rig = Rig::new(plan(vec![step("a", &[])]));
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    rig.at(3);
    rig.at(23);
    assert_eq!(rig.undone(), ["fault"]);
    assert!(!rig.log.iter().any(|line| line.starts_with("failover/a")));
}

#[test]
fn a_for_each_runs_no_more_at_once_than_it_may() {
    let mut a = step("a", &[]);
    a.for_each = Some(ForEach { items: json!([1, 2, 3]), concurrency: 2 });
    let mut rig = Rig::start(plan(vec![a]), |rig| rig.hang.extend(["failover/a[0]", "failover/a[1]"]));
    assert!(rig.log.contains(&"failover/a[1] intended".to_owned()));
    assert!(!rig.log.contains(&"failover/a[2] started".to_owned()));
    rig.feed(Input::Applied("failover/a[0]".into(), Ok(Applied::changed(json!({}))), None));
    assert!(rig.log.contains(&"failover/a[2] applied".to_owned()));
    rig.feed(Input::Applied("failover/a[1]".into(), Ok(Applied::changed(json!({}))), None));
    assert!(rig.log.contains(&"failover/a applied".to_owned()));
}

#[test]
fn an_emergency_undoes_nothing_unasked() {
    let mut emergency = plan(vec![step("a", &[]), step("b", &["a"])]);
    emergency.mode = Mode::Emergency;
    emergency.fault = None;
    emergency.steady_state = None;
    emergency.detect = None;
    emergency.recovered = None;
    let mut rig = Rig::new(emergency);
    rig.fail.push(("failover/b", Failure::new(FailureKind::Check, "no")));
    rig.feed(Input::Start);
    assert!(rig.machine.has_ended());
    assert_eq!(rig.undone(), Vec::<&str>::new());
    assert_eq!(rig.machine.held(), ["failover/a", "failover/b"]);
}

#[test]
fn a_stop_condition_aborts_by_itself_also_while_a_step_hangs() {
    let mut with = plan(vec![step("a", &[])]);
    with.stop_conditions = vec![StopCondition { probe: "p".into(), is: ProbeState::Bad, lasts: Span::from_secs(30) }];
    let mut rig = Rig::start(with, |rig| rig.hang.push("failover/a"));
    rig.at(34);
    assert!(rig.undone().is_empty());
    rig.at(35);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
}

#[test]
fn what_a_former_owner_left_is_taken_back_fault_first() {
    let mut rig = Rig::over(plan(vec![]), RunState::default());
    rig.feed(Input::Recover(taken(vec![left("fault", "f"), left("failover/a", "a"), left("failover/b", "b")])));
    assert_eq!(rig.undone(), ["fault", "failover/b", "failover/a"]);
}

#[test]
fn two_hundred_steps_run_sixty_four_at_once_and_all_are_done() {
    let mut big = plan((0..200).map(|number| step(&format!("s{number}"), &[])).collect());
    big.recovered = None;
    let mut rig = Rig::new(big);
    let hanging: Vec<&'static str> = (0..200).map(|number| &*format!("failover/s{number}").leak()).collect();
    rig.hang.clone_from(&hanging);
    rig.feed(Input::Start);
    rig.probe(ProbeState::Good);
    rig.at(3);
    rig.now = 5;
    rig.probe(ProbeState::Bad);
    for (done, key) in hanging.into_iter().enumerate() {
        let intended = rig.log.iter().filter(|line| line.ends_with(" intended") && line.starts_with("failover/")).count();
        assert_eq!(intended, (done + MOST_AT_ONCE).min(200));
        rig.feed(Input::Applied(key.into(), Ok(Applied::changed(json!({}))), None));
    }
    rig.probe(ProbeState::Good);
    assert_eq!(rig.log.last().unwrap(), "finish");
}

#[test]
fn a_repair_of_what_the_fault_broke_is_not_undone_into_the_fault_again() {
    let mut rig = Rig::start(plan(vec![step("a", &[]), step("repair", &["a"])]), |_| {});
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(15);
    assert_eq!(rig.undone(), ["fault", "failover/a"]);
    assert!(rig.log.contains(&"failover/repair undone".to_owned()));
}

#[test]
fn what_changed_more_than_the_fault_broke_brings_it_back_and_it_is_taken_out_again() {
    let mut rig = Rig::start(plan(vec![step("a", &[]), step("both", &["a"])]), |_| {});
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(15);
    assert_eq!(rig.undone(), ["fault", "failover/both", "fault", "failover/a"]);
    assert_eq!(rig.log.last().unwrap(), "finish");
}

#[test]
fn a_failback_that_went_well_stays_whatever_else_did_not() {
    let mut with = plan(vec![step("a", &[])]);
    with.failback = Some(book(vec![step("back", &[])]));
    with.source = Some(Source { probes: vec!["p".into()], timeout: Span::from_secs(5) });
    let mut rig = Rig::start(with, |_| {});
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(15);
    // The source is not seen to be good in time, and the way back is done all the same.
    rig.silent.push("p");
    rig.at(21);
    assert!(rig.log.contains(&"failback/back applied".to_owned()), "{:?}", rig.log);
    assert_eq!(rig.undone(), ["fault", "failover/a"], "the way back leads to what was there before");
}

#[test]
fn a_fault_that_cannot_be_taken_out_leads_nothing_back_by_a_runbook() {
    let mut with = plan(vec![step("a", &[])]);
    with.failback = Some(book(vec![step("back", &[])]));
    with.source = Some(Source { probes: vec!["p".into()], timeout: Span::from_secs(30) });
    let mut rig = Rig::start(with, |rig| rig.stuck.push("fault"));
    rig.now = 10;
    rig.probe(ProbeState::Good);
    rig.at(15);
    assert_eq!(rig.undone(), ["fault", "failover/a"], "undone once the source is good all the same");
    assert!(!rig.log.iter().any(|line| line.starts_with("failback/back")), "{:?}", rig.log);
}

#[test]
fn a_fault_that_a_former_owner_took_out_is_waited_for_and_not_brought_back() {
    let mut with = plan(vec![]);
    with.source = Some(Source { probes: vec!["p".into()], timeout: Span::from_secs(30) });
    let mut rig = Rig::over(with, RunState::default());
    let fault = Held { undone: true, ..left("fault", "route") };
    rig.feed(Input::Recover(taken(vec![fault, left("failover/a", "other"), left("failover/repair", "route")])));
    assert!(rig.undone().is_empty(), "not before the source is good");
    rig.probe(ProbeState::Good);
    assert_eq!(rig.undone(), ["failover/a"], "what the repair found was the fault");
    assert!(rig.log.contains(&"failover/repair undone".to_owned()));
}

fn left(key: &str, target: &str) -> Held {
    let targets = vec![Target::outside(TargetKind::Table, target)];
    Held { key: key.into(), uses: "toy.change".into(), with: json!({}), before: json!("was"), targets, undone: false, open: false, late: false }
}

fn taken(held: Vec<Held>) -> Recovery {
    Recovery { touched: !held.is_empty(), held, snapshot: Snapshots::default() }
}
