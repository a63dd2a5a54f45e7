//! What a seed decides before the run begins: the plan, and how hostile the world is.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::model::format::Format;
use crate::model::plan::*;
use crate::model::scope::Scope;
use crate::model::text::Text;
use crate::model::time::Span;

/// One seed's world.
pub(super) struct Story {
    pub(super) rng: StdRng,
    pub(super) plan: Plan,
    /// Out of a hundred calls, how many go wrong.
    pub(super) hostility: u32,
    /// How often owners die.
    pub(super) crashes: u32,
    /// How often the store fails.
    pub(super) failures: u32,
    /// Until when things go wrong, in milliseconds: after that the world is calm and everything has to come to its end.
    pub(super) calm_after: u64,
    /// Whether the owner is taken over while it still lives once.
    pub(super) zombie: bool,
    /// Out of a hundred samples, how many cannot tell.
    pub(super) blindness: u32,
    /// Between which moments, in milliseconds, what the stop condition watches is bad, or cannot be read.
    pub(super) trouble: Option<(std::ops::Range<u64>, bool)>,
    /// Whether the service does not survive that a step is put back.
    pub(super) fragile: bool,
}

impl Story {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let emergency = rng.random_ratio(1, 6);
        let count = rng.random_range(1..6_usize);
        let failover: Vec<StepPlan> = (0..count).map(|index| step(&mut rng, index, 1, emergency)).collect();
        let failback = (!emergency && rng.random_ratio(1, 3)).then(|| {
            let mut steps: Vec<StepPlan> = (0..count).rev().map(|index| way_back(&failover[index], index)).collect();
            // Now and then it also changes what nobody else touches, and what nobody can tell beforehand.
            if rng.random_ratio(1, 3) {
                steps.push(of_each());
            }
            steps
        });
        let seconds = Span::from_secs;
        let every = [1, 1, 1, 7][rng.random_range(0..4_usize)];
        let good_after = rng.random_range(1..4);
        let is_watched = rng.random_ratio(1, 3);
        let plan = Plan {
            given: Default::default(),
            files: Vec::new(),
            approvers: Default::default(),
            realism: Default::default(),
            version: Format::Plan.current(),
            tool: String::new(),
            name: "simulated".into(),
            title: Text::default(),
            description: Text::default(),
            mode: if emergency { Mode::Emergency } else { Mode::Drill },
            environment: "toy".into(),
            zone: "UTC".into(),
            scope: Scope::default(),
            since: None,
            objectives: BTreeMap::new(),
            controls: Vec::new(),
            probes: vec![ProbePlan { good_after, ..probe("p", every) }, probe("w", 1)],
            steady_state: (!emergency).then(|| SteadyState { probes: vec!["p".into()], hold: seconds(3), timeout: seconds(60) }),
            fault: (!emergency).then(|| FaultPlan {
                uses: "toy.fault".into(),
                with: json!({ "register": "fault", "to": 1 }),
                lease: seconds(rng.random_range(30..120)),
                limit: seconds(rng.random_range(120..900)),
                timeout: seconds(60),
            }),
            detect: (!emergency).then(|| Detect { probe: "p".into(), timeout: seconds(60) }),
            failover: RunbookPlan { steps: failover, ..RunbookPlan::default() },
            recovered: Some(Recovered { probes: vec!["p".into()], stable_for: seconds(5), timeout: seconds(60) }),
            leave: !emergency && rng.random_ratio(1, 10),
            source: rng.random_ratio(1, 2).then(|| Source { probes: vec!["p".into()], timeout: seconds(60) }).filter(|_| !emergency),
            back: None,
            traffic: None,
            failback: failback.map(|steps| RunbookPlan { steps, ..RunbookPlan::default() }),
            stop_conditions: is_watched.then(|| StopCondition { probe: "w".into(), is: ProbeState::Bad, lasts: seconds(20) }).into_iter().collect(),
            ungraceful: rng.random_ratio(1, 10),
            limits: Limits {
                run: seconds(rng.random_range(300..3600)),
                undo: seconds(600),
                patience: seconds(if rng.random_ratio(1, 3) { 60 } else { 0 }),
            },
            frozen: BTreeMap::new(),
            definitions: Vec::new(),
        };
        let hostility = [0, 5, 15, 40][rng.random_range(0..4_usize)];
        let crashes = [0, 0, 1, 3][rng.random_range(0..4_usize)];
        let failures = [0, 0, 0, 1, 2][rng.random_range(0..5_usize)];
        let zombie = rng.random_ratio(1, 5);
        let blindness = [0, 0, 5, 30][rng.random_range(0..4_usize)];
        let trouble = rng.random_ratio(1, 4).then(|| {
            let from = rng.random_range(0..60_000);
            (from..from + rng.random_range(1_000..60_000), rng.random_ratio(1, 2))
        });
        let fragile = rng.random_ratio(1, 6);
        Self { rng, plan, hostility, crashes, failures, calm_after: 400_000, zombie, blindness, trouble, fragile }
    }

    /// Whether a step asks people.
    pub(super) fn asks(&self, key: &str) -> bool {
        let id = key.split_once('/').map_or(key, |(_, id)| id).split('[').next().unwrap_or_default();
        let steps = self.plan.failover.steps.iter().chain(self.plan.failback.iter().flat_map(|back| &back.steps));
        steps.filter(|step| step.id == id).any(StepPlan::asks_people)
    }
}

fn probe(id: &str, every: u64) -> ProbePlan {
    ProbePlan {
        while_bad: None,
        id: id.into(),
        title: Text::default(),
        uses: "toy".into(),
        with: json!({}),
        every: Span::from_secs(every),
        timeout: Span::from_secs(1),
        bad_after: 1,
        good_after: 1,
        service: true,
        on_duty: false,
        clients: Default::default(),
    }
}

/// A step of a failback that changes something of its own for each of two items.
fn of_each() -> StepPlan {
    StepPlan {
        id: "each".into(),
        title: Text::default(),
        uses: "toy.change".into(),
        with: json!({ "register": "${{ item }}", "to": 1 }),
        needs: Vec::new(),
        when: None,
        timeout: Span::from_secs(30),
        retry: Retry { attempts: 2, backoff: Span::from_secs(1) },
        on_failure: OnFailure::Stop,
        critical: true,
        ungraceful: None,
        fresh: false,
        for_each: Some(ForEach { items: json!(["x0", "x1"]), concurrency: 1 }),
    }
}

fn step(rng: &mut StdRng, index: usize, to: i64, emergency: bool) -> StepPlan {
    // Now and then a step that only repairs what the fault broke, or one that changes nothing.
    let register = if !emergency && rng.random_ratio(1, 12) { "fault".to_owned() } else { format!("r{index}") };
    let to = if register == "fault" { 0 } else { to };
    let uses = if rng.random_ratio(1, 8) {
        "toy.read"
    } else if rng.random_ratio(1, 10) {
        "approval"
    } else {
        "toy.change"
    };
    let for_each = (register != "fault" && rng.random_ratio(1, 3)).then(|| {
        let items: Vec<String> = (0..rng.random_range(0..4_usize)).map(|item| format!("{register}i{item}")).collect();
        ForEach { items: json!(items), concurrency: rng.random_range(1..4) }
    });
    let register = if for_each.is_some() { "${{ item }}".to_owned() } else { register };
    StepPlan {
        id: format!("s{index}"),
        title: Text::default(),
        uses: uses.into(),
        with: json!({ "register": register, "to": to }),
        needs: (0..index).filter(|_| rng.random_ratio(1, 2)).map(|need| format!("s{need}")).collect(),
        when: None,
        timeout: Span::from_secs(rng.random_range(5..60)),
        retry: Retry { attempts: rng.random_range(1..4), backoff: Span::from_secs(1) },
        on_failure: [OnFailure::Stop, OnFailure::Stop, OnFailure::Continue, OnFailure::Undo][rng.random_range(0..4_usize)],
        critical: true,
        ungraceful: rng.random_ratio(1, 4).then_some(Ungraceful::Skip),
        for_each,
        fresh: false,
    }
}

/// The step of a failback that leads back what a step of the failover changed.
fn way_back(over: &StepPlan, index: usize) -> StepPlan {
    let mut back = over.clone();
    back.id = format!("b{index}");
    back.needs = Vec::new();
    back.ungraceful = None;
    if let Some(to) = back.with.get_mut("to") {
        *to = json!(0);
    }
    back
}
