//! What makes a run stop by itself: its stop conditions, its budget, the lease of its fault. What a stop condition watches must be seen, and be well, before
//! anything is injected; what cannot be read any more is watched by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::table::looked_at;
use super::{Machine, Moment, Phase, Standing};
use crate::model::plan::{Mode, Plan, ProbeState, StopCondition};

/// By whose name a run stops here.
const BY: &str = "stop-condition";
/// What the first samples may take beyond their own time.
const SLACK: Duration = Duration::from_secs(1);

/// What is known of the stop conditions, by their places in the plan, without looking at each: one is looked at again when its probe has said something.
#[derive(Debug)]
pub(super) struct Conditions {
    /// Which of them each probe is watched for.
    of: BTreeMap<String, Vec<usize>>,
    /// Those whose probe has said something since they were looked at.
    news: BTreeSet<usize>,
    /// Whether a probe that cannot be read counted when they were looked at.
    were_watched: bool,
    /// Those that hold, with the moment at which each stops the run.
    alarms: BTreeMap<usize, Moment>,
    /// The same by the moment.
    due: BTreeSet<(Moment, usize)>,
    /// Those whose probe is confirmed to be as it must not be.
    met: BTreeSet<usize>,
    /// Those whose probe is not known to be well.
    unwell: BTreeSet<usize>,
}

impl Conditions {
    /// Those of a plan, of whose probes nothing is known.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, condition) in plan.stop_conditions.iter().enumerate() {
            of.entry(condition.probe.clone()).or_default().push(index);
        }
        let unwell = (0..plan.stop_conditions.len()).collect();
        Self { of, news: BTreeSet::new(), were_watched: false, alarms: BTreeMap::new(), due: BTreeSet::new(), met: BTreeSet::new(), unwell }
    }

    /// Takes down what became known of a probe.
    pub(super) fn note(&mut self, plan: &Plan, probe: &str, standing: &Standing) {
        for &index in self.of.get(probe).into_iter().flatten() {
            looked_at(1);
            let is = plan.stop_conditions[index].is;
            let is_well = standing.state.is_some() && !standing.is_unread && standing.good.is_some() == (is == ProbeState::Bad);
            keep(&mut self.met, index, standing.state == Some(is));
            keep(&mut self.unwell, index, !is_well);
            self.news.insert(index);
        }
    }

    /// Those to be looked at again.
    fn take_news(&mut self, is_watched: bool) -> BTreeSet<usize> {
        if std::mem::replace(&mut self.were_watched, is_watched) != is_watched {
            self.news.extend(self.of.values().flatten());
        }
        std::mem::take(&mut self.news)
    }

    /// Takes down when a condition stops the run, if it holds; whether that is news.
    fn set(&mut self, index: usize, at: Option<Moment>) -> bool {
        let before = self.alarms.remove(&index);
        if let Some(before) = before {
            self.due.remove(&(before, index));
        }
        if let Some(at) = at {
            self.alarms.insert(index, at);
            self.due.insert((at, index));
        }
        before != at
    }

    /// The first in the plan that stops the run at `now`.
    fn first_due(&self, now: Moment) -> Option<usize> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, index)| *index).min()
    }

    /// The first in the plan for which nothing is injected: one that is met, or, where none `may_wait`, one whose probe is not known to be well.
    fn first_in_the_way(&self, may_wait: bool) -> Option<usize> {
        let unwell = self.unwell.first().filter(|_| !may_wait);
        self.met.first().into_iter().chain(unwell).min().copied()
    }
}

fn keep(set: &mut BTreeSet<usize>, index: usize, is_in: bool) {
    if is_in {
        set.insert(index);
    } else {
        set.remove(&index);
    }
}

impl Machine {
    /// Stop conditions, the run's budget and the lease of the fault.
    pub(super) fn check_guards(&mut self) {
        if self.stop.is_some()
            || matches!(
                self.phase,
                Phase::Idle
                    | Phase::Quiesce
                    | Phase::Undo
                    | Phase::Leave
                    | Phase::Compare { .. }
                    | Phase::Baseline { .. }
                    | Phase::Review { .. }
                    | Phase::Ended
            )
        {
            return;
        }
        let plan = self.plan.clone();
        // Before the steady state there is nothing to be watched yet: a first number that is late is waited for.
        let is_watched = !matches!(self.phase, Phase::SteadyState { .. });
        let mut wakes = Vec::new();
        for index in self.conditions.take_news(is_watched) {
            looked_at(1);
            let condition = &plan.stop_conditions[index];
            let alarm = self.probes.get(&condition.probe).and_then(|standing| alarm(condition, standing, is_watched));
            let at = alarm.map(|(since, _)| since + condition.lasts.duration());
            if self.conditions.set(index, at) {
                wakes.extend(at.map(|at| (index, at)));
            }
        }
        let first = self.conditions.first_due(self.now);
        for (index, at) in wakes {
            if at > self.now && first.is_none_or(|first| index < first) {
                self.wake_at(at);
            }
        }
        let holds = first.map(|index| &plan.stop_conditions[index]);
        if let Some((_, why)) = holds.and_then(|condition| alarm(condition, self.probes.get(&condition.probe)?, is_watched)) {
            return self.stop_requested(true, why, BY.into());
        }
        if self.now >= self.run_until && !matches!(self.phase, Phase::Heal { .. } | Phase::SourceReturns { .. }) {
            let abort = self.plan.mode != Mode::Emergency;
            return self.stop_requested(abort, format!("the run's budget of {} is spent", self.plan.limits.run), "budget".into());
        }
        self.check_lease();
    }

    /// Whether every stop condition is watched and none of them holds, so that the fault may be injected. One that holds stops the run; one whose probe
    /// has shown nothing yet is waited for, until `until`.
    pub(super) fn may_inject(&mut self, until: Moment) -> bool {
        if self.plan.fault.is_none() {
            return true;
        }
        let Some(index) = self.conditions.first_in_the_way(self.now < until) else { return self.conditions.unwell.is_empty() };
        let StopCondition { probe, is, .. } = &self.plan.stop_conditions[index];
        let why = match self.probes.get(probe) {
            Some(standing) if standing.state == Some(*is) => {
                format!("probe {probe} is {} already, for which this run would be stopped; nothing was injected", word(*is))
            }
            standing => {
                let what = match standing {
                    None => "has not answered yet".to_owned(),
                    Some(standing) if standing.is_unread => format!("cannot be read ({})", standing.detail),
                    Some(standing) => format!("is not known to be well ({})", standing.detail),
                };
                format!("probe {probe} {what}, so that nobody watches what this run is to be stopped for; nothing was injected")
            }
        };
        self.stop_requested(true, why, BY.into());
        false
    }

    /// How long the probes of the stop conditions may take to be confirmed for the first time.
    pub(super) fn first_samples(&self) -> Duration {
        let probes = self.plan.probes.iter().filter(|probe| self.plan.fault.is_some() && self.conditions.of.contains_key(&probe.id));
        let first = probes.map(|probe| probe.every.duration() * probe.good_after.max(probe.bad_after) + probe.timeout.duration() + SLACK).max();
        first.unwrap_or_default()
    }
}

/// Since when a stop condition holds or, where it `is_watched`, nobody can tell whether it does, and what is said of it when it has done so for as long
/// as it may.
fn alarm(condition: &StopCondition, standing: &Standing, is_watched: bool) -> Option<(Moment, String)> {
    let StopCondition { probe, is, lasts } = condition;
    let unread =
        || format!("probe {probe} cannot be read for {lasts} ({}), so that nobody watches what this run is to be stopped for", standing.detail);
    let blind = standing.blind_since.filter(|_| is_watched).map(|since| (since, unread()));
    // What cannot be read says nothing against what was read before.
    let holds = (standing.state == Some(*is)).then(|| (standing.since, format!("probe {probe} has been {} for {lasts}", word(*is))));
    holds.into_iter().chain(blind).min_by_key(|(since, _)| *since)
}

fn word(state: ProbeState) -> &'static str {
    match state {
        ProbeState::Good => "good",
        ProbeState::Bad => "bad",
    }
}
