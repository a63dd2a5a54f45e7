//! What a run waits for. A run that has not ended always waits for something: a call in hand, a moment, a person, a probe. One that waits for nothing would
//! hold what it holds until its budget is spent; it lets go instead, and says so. No story of the simulation and no case of `any.rs` may bring it there.

use super::clearance::Clearance;
use super::{FAULT, Machine, Moment, Phase, Status};

/// What is said of a run that waited for nothing.
pub(crate) const STUCK: &str = "nothing of the run can go on any more";

/// Something that makes the run go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// A call of this step is in hand, or a reading of it.
    Call(String),
    /// This moment comes, and a wake was asked for by then.
    Moment(Moment),
    /// A person has paused the run and lets it go on.
    Person,
    /// The guards are deciding whether the fault may be injected.
    Guards,
    /// What a stop condition watches is not known to be well, and its probe says more.
    Probe,
}

impl Machine {
    /// Everything that makes the run go on. Its budget, the lease of its fault and its stop conditions are none of it: those end it.
    #[cfg(test)]
    pub(crate) fn follows(&self) -> Vec<Follows> {
        self.following().collect()
    }

    /// The same, one after the other: whoever only asks whether there is any looks at no more than the first.
    fn following(&self) -> impl Iterator<Item = Follows> {
        // The guards have their say, and a person's hold their end, whatever else is waited for.
        let held_up = self.is_held_up();
        let steps = self.steps.moving().filter_map(move |(key, step)| match step.status() {
            Status::Planning | Status::Applying | Status::Rejoining | Status::Undoing => Some(Follows::Call(key.to_owned())),
            Status::Looking => Some(match step.look().and_then(|look| look.again) {
                Some(again) => Follows::Moment(again),
                None => Follows::Call(key.to_owned()),
            }),
            Status::Backoff(at) if key == FAULT => Some(if self.now < *at { Follows::Moment(*at) } else { Follows::Probe }),
            Status::Backoff(at) | Status::Asking(at) | Status::UndoBackoff(at) => Some(Follows::Moment(*at)),
            Status::Waiting | Status::Expanded | Status::Done | Status::Failed | Status::Skipped | Status::Undone | Status::UndoFailed => None,
        });
        let readings = self.readings.under_way().map(|key| Follows::Call(key.to_owned()));
        let guards = (self.clearance == Clearance::Asked).then_some(Follows::Guards);
        let moments = if held_up { Vec::new() } else { self.moments() };
        let own = steps.chain(readings).chain(guards).chain(moments.into_iter().map(Follows::Moment));
        let comes = own.filter(move |one| !matches!(one, Follows::Moment(at) if *at <= self.now));
        held_up.then_some(Follows::Person).into_iter().chain(comes.take_while(move |_| !held_up))
    }

    /// The moments that the phase waits for.
    fn moments(&self) -> Vec<Moment> {
        let is_anything_moving = || self.steps.is_any_moving() || self.readings.under_way().next().is_some() || self.clearance == Clearance::Asked;
        match self.phase {
            _ if self.is_letting_go_unwritten() => self.unwritten_until().into_iter().chain(self.comes_late(FAULT)).collect(),
            Phase::SteadyState { until } | Phase::Detect { until } | Phase::Verify { until } | Phase::SourceReturns { until, .. } => vec![until],
            Phase::Baseline { until } => vec![until],
            Phase::Compare { .. } | Phase::Review { .. } => self.readings.again().into_iter().collect(),
            // Only once nothing is being put back any more.
            Phase::Quiesce | Phase::Heal { .. } | Phase::Undo | Phase::Leave if !is_anything_moving() => {
                self.last_arrival().into_iter().chain(self.leave_until).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Ends what waits for nothing: on its way there a run gives up, so that its fault comes out; on its way back it ends, so that somebody else can take
    /// back what it could not.
    pub(super) fn let_go_if_stuck(&mut self) {
        // Where a step runs, something follows; most inputs come while one does.
        while self.steps.busy() == 0 && !matches!(self.phase, Phase::Idle | Phase::Ended) && self.following().next().is_none() {
            let left = self.steps.unsettled();
            let why = format!("{STUCK}; left: {}", if left.is_empty() { "nothing".to_owned() } else { left.join(", ") });
            if self.is_under_way() {
                self.give_up(&why);
                self.advance();
            } else {
                self.note(why);
                self.failed = true;
                self.finish();
            }
        }
    }
}
