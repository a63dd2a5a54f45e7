//! The steps of a plan found by their keys, and put in the order of what they need: a plan itself is only a list, and whoever looks a step of each event up in
//! it goes through all of it each time.

use std::collections::{HashMap, VecDeque};

use super::ids::{Part, StepKey};
use super::plan::{Plan, RunbookPlan, StepPlan};

/// Where in its runbook each step of a plan stands. It belongs to the plan that it was made of, and to no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanIndex {
    failover: Book,
    failback: Book,
}

/// Where each step of a runbook stands, and where those that need it do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Book {
    places: HashMap<String, usize>,
    dependents: Vec<Vec<usize>>,
}

impl PlanIndex {
    /// That of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self { failover: Book::of(&plan.failover), failback: plan.failback.as_ref().map(Book::of).unwrap_or_default() }
    }

    const fn book(&self, part: Part) -> Option<&Book> {
        match part {
            Part::Fault => None,
            Part::Failover => Some(&self.failover),
            Part::Failback => Some(&self.failback),
        }
    }

    /// The step of a part with this id.
    #[must_use]
    pub fn find<'a>(&self, plan: &'a Plan, part: Part, id: &str) -> Option<&'a StepPlan> {
        plan.runbook(part)?.steps.get(*self.book(part)?.places.get(id)?)
    }

    /// The steps of a part that need the one with this id.
    pub fn dependents<'a>(&'a self, plan: &'a Plan, part: Part, id: &str) -> impl Iterator<Item = &'a StepPlan> {
        let places = self.book(part).and_then(|book| book.dependents.get(*book.places.get(id)?));
        let runbook = plan.runbook(part);
        places.into_iter().flatten().filter_map(move |place| runbook?.steps.get(*place))
    }

    /// As [`Plan::step`], without looking at the other steps.
    #[must_use]
    pub fn step<'a>(&self, plan: &'a Plan, key: &str) -> Option<&'a StepPlan> {
        let StepKey { part, id, .. } = StepKey::parse(key)?;
        self.find(plan, part, id)
    }
}

impl Book {
    /// Of two steps with one id the first counts, as everywhere.
    fn of(runbook: &RunbookPlan) -> Self {
        let mut places = HashMap::with_capacity(runbook.steps.len());
        for (place, step) in runbook.steps.iter().enumerate() {
            places.entry(step.id.clone()).or_insert(place);
        }
        let mut dependents = vec![Vec::new(); runbook.steps.len()];
        for (place, step) in runbook.steps.iter().enumerate() {
            step.needs.iter().filter_map(|need| places.get(need)).for_each(|need: &usize| dependents[*need].push(place));
        }
        Self { places, dependents }
    }
}

/// The places of the steps, each behind all that it needs; what can be in either order is in that of the file. Steps that need each other, of which a checked plan
/// has none, are left out.
#[must_use]
pub fn by_needs(steps: &[StepPlan]) -> Vec<usize> {
    let place: HashMap<&str, usize> = steps.iter().enumerate().map(|(place, step)| (step.id.as_str(), place)).collect();
    let mut open: Vec<usize> = vec![0; steps.len()];
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for need in step.needs.iter().filter_map(|need| place.get(need.as_str())) {
            open[index] += 1;
            dependents[*need].push(index);
        }
    }
    let mut ready: VecDeque<usize> = (0..steps.len()).filter(|index| open[*index] == 0).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some(index) = ready.pop_front() {
        order.push(index);
        for dependent in &dependents[index] {
            open[*dependent] -= 1;
            if open[*dependent] == 0 {
                ready.push_back(*dependent);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::samples;
    use crate::model::plan::Mode;

    #[test]
    fn a_step_is_found_as_the_plan_finds_it() {
        let plan = samples::plan(Mode::Rehearse);
        let index = PlanIndex::of(&plan);
        let keys: Vec<String> = plan.steps().map(|(key, _)| key).collect();
        assert!(keys.len() > 3);
        for key in keys.iter().map(String::as_str).chain(["failover/start-standby[7]", "failback/none", "fault", "start-standby"]) {
            assert_eq!(index.step(&plan, key), plan.step(key), "{key}");
        }
    }

    #[test]
    fn those_that_need_a_step_are_found() {
        let plan = samples::plan(Mode::Rehearse);
        let index = PlanIndex::of(&plan);
        for of in &plan.failover.steps {
            let found: Vec<&str> = index.dependents(&plan, Part::Failover, &of.id).map(|step| step.id.as_str()).collect();
            let need: Vec<&str> = plan.failover.steps.iter().filter(|step| step.needs.contains(&of.id)).map(|step| step.id.as_str()).collect();
            assert_eq!(found, need, "{}", of.id);
        }
        assert_eq!((index.dependents(&plan, Part::Failback, "nothing").count(), index.dependents(&plan, Part::Fault, "fault").count()), (0, 0));
    }

    #[test]
    fn each_step_is_behind_all_that_it_needs() {
        let plan = samples::plan(Mode::Rehearse);
        let mut steps = plan.failover.steps.clone();
        steps.reverse();
        let order = by_needs(&steps);
        assert_eq!(order.len(), steps.len());
        for (at, index) in order.iter().enumerate() {
            let before: Vec<&str> = order[..at].iter().map(|index| steps[*index].id.as_str()).collect();
            assert!(steps[*index].needs.iter().all(|need| before.contains(&need.as_str())), "{}", steps[*index].id);
        }
        // What waits for itself never has its turn.
        let id = steps[0].id.clone();
        steps[0].needs.push(id);
        assert!(by_needs(&steps).len() < steps.len());
    }
}
