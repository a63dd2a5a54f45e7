//! What earlier runs of the same runbook let expect, computed from their journals.

use std::collections::{BTreeMap, BTreeSet};

use super::{Measures, StepOutcome};
use crate::model::forecast::{Forecast, Recovery, Typical};
use crate::model::ids::Part;
use crate::model::index::by_needs;
use crate::model::plan::{Plan, RunbookPlan};
use crate::model::state::RunState;
use crate::model::time::Span;

/// What one earlier run tells, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How long each step took that was done, until its effect was seen, with its action; by key.
    steps: BTreeMap<String, (String, i64)>,
    /// From the first effect on users until the failover was decided.
    before: Option<i64>,
    /// From the last critical change in effect until the service was good for good.
    after: Option<i64>,
}

impl Past {
    /// What a run that has ended tells.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let Some(plan) = state.plan() else { return Self::default() };
        let measures = Measures::of(state);
        let uses: BTreeMap<String, &str> = plan.steps().map(|(key, step)| (key, step.uses.as_str())).collect();
        let took = measures.steps.iter().filter(|step| step.outcome == StepOutcome::Done).filter_map(|step| {
            let uses = uses.get(&step.key)?;
            Some((step.key.clone(), ((*uses).to_owned(), step.run? + step.verify.unwrap_or(0))))
        });
        let [detect, decide, _, _, settle] = measures.split.as_ref().filter(|split| !split.open).map_or([-1; 5], |split| split.parts);
        let known = detect >= 0;
        Self { steps: took.collect(), before: known.then_some(detect + decide), after: known.then_some(settle) }
    }
}

/// What `past` runs in `environment` let expect of `plan`; nothing of none.
#[must_use]
pub fn foresee(plan: &Plan, environment: &str, past: &[Past]) -> Option<Forecast> {
    let all = |of: fn(&Past) -> Option<i64>| Typical::of(&mut past.iter().filter_map(of).collect::<Vec<_>>());
    let mut steps = BTreeMap::new();
    for (key, step) in plan.steps() {
        let took = past.iter().filter_map(|past| past.steps.get(&key)).filter(|(uses, _)| *uses == step.uses).map(|(_, took)| *took);
        if let Some(typical) = Typical::of(&mut took.collect::<Vec<_>>()) {
            steps.insert(key, typical);
        }
    }
    let failover = plan.failover.steps.iter().map(|step| Part::Failover.key(&step.id));
    let unknown: Vec<String> = failover.filter(|key| !steps.contains_key(key)).collect();
    let ends = all(|past| past.before).zip(all(|past| past.after)).filter(|_| unknown.is_empty());
    let recovery = ends.map(|(before, after)| {
        let (median, _) = longest_way(&plan.failover, &steps, |typical| typical.median);
        let (p90, way) = longest_way(&plan.failover, &steps, |typical| typical.p90);
        let varies = |key: &String| steps.get(key).map(|typical| (typical.p90.duration().saturating_sub(typical.median.duration()), typical.p90));
        Recovery {
            median: sum([before.median, median, after.median]),
            p90: sum([before.p90, p90, after.p90]),
            rto: plan.objectives.values().filter_map(|objective| objective.rto).min(),
            risk: way.into_iter().max_by_key(varies),
        }
    });
    let runs = u32::try_from(past.len()).unwrap_or(u32::MAX);
    (runs > 0).then(|| Forecast { environment: environment.to_owned(), runs, steps, recovery, unknown })
}

/// The longest way to the end of the last critical step (of a runbook without any, of the last step): how long, and the steps on it.
fn longest_way(runbook: &RunbookPlan, steps: &BTreeMap<String, Typical>, of: fn(&Typical) -> Span) -> (Span, Vec<String>) {
    let own = |id: &str| steps.get(&Part::Failover.key(id)).map(of).unwrap_or_default();
    let mut ends: BTreeMap<&str, (Span, Option<&str>)> = BTreeMap::new();
    for step in by_needs(&runbook.steps).into_iter().map(|place| &runbook.steps[place]) {
        let before = step.needs.iter().map(|need| (ends.get(need.as_str()).map_or(Span::default(), |(end, _)| *end), need.as_str())).max();
        let begin = before.map(|(end, _)| end).unwrap_or_default();
        ends.insert(&step.id, (sum([begin, own(&step.id)]), before.map(|(_, need)| need)));
    }
    let any = runbook.steps.iter().any(|step| step.critical);
    let last =
        runbook.steps.iter().filter(|step| step.critical || !any).map(|step| step.id.as_str()).max_by_key(|id| ends.get(id).map(|(end, _)| *end));
    let length = last.and_then(|id| ends.get(id)).map(|(end, _)| *end).unwrap_or_default();
    let way = std::iter::successors(last, |id| ends.get(id).and_then(|(_, before)| *before)).map(|id| Part::Failover.key(id));
    (length, way.collect::<BTreeSet<_>>().into_iter().collect())
}

fn sum<const N: usize>(spans: [Span; N]) -> Span {
    Span::from(spans.into_iter().map(Span::duration).sum::<std::time::Duration>())
}
