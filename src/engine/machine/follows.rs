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
    pub(crate) fn follows(&self) -> Vec<Follows> {
        // The guards have their say, and a person's hold their end, whatever else is waited for.
        if self.is_held_up() {
            return vec![Follows::Person];
        }
        let steps = self.steps.iter().filter_map(|(key, step)| match &step.status {
            Status::Planning | Status::Applying | Status::Rejoining | Status::Undoing => Some(Follows::Call(key.clone())),
            Status::Looking => Some(match step.look.as_ref().and_then(|look| look.again) {
                Some(again) => Follows::Moment(again),
                None => Follows::Call(key.clone()),
            }),
            Status::Backoff(at) if key == FAULT => Some(if self.now < *at { Follows::Moment(*at) } else { Follows::Probe }),
            Status::Backoff(at) | Status::Asking(at) | Status::UndoBackoff(at) => Some(Follows::Moment(*at)),
            Status::Waiting | Status::Expanded | Status::Done | Status::Failed | Status::Skipped | Status::Undone | Status::UndoFailed => None,
        });
        let readings = self.readings.under_way().map(|key| Follows::Call(key.to_owned()));
        let guards = (self.clearance == Clearance::Asked).then_some(Follows::Guards);
        let mut follows: Vec<Follows> = steps.chain(readings).chain(guards).collect();
        let moments = match self.phase {
            _ if self.is_letting_go_unwritten() => self.unwritten_until().into_iter().chain(self.comes_late(FAULT)).collect(),
            Phase::SteadyState { until } | Phase::Detect { until } | Phase::Verify { until } | Phase::SourceReturns { until, .. } => vec![until],
            Phase::Baseline { until } => vec![until],
            Phase::Compare { .. } | Phase::Review { .. } => self.readings.again().into_iter().collect(),
            // Only once nothing is being put back any more.
            Phase::Quiesce | Phase::Heal { .. } | Phase::Undo | Phase::Leave if follows.is_empty() => {
                self.last_arrival().into_iter().chain(self.leave_until).collect()
            }
            _ => Vec::new(),
        };
        follows.extend(moments.into_iter().map(Follows::Moment));
        follows.retain(|one| !matches!(one, Follows::Moment(at) if *at <= self.now));
        follows
    }

    /// Ends what waits for nothing: on its way there a run gives up, so that its fault comes out; on its way back it ends, so that somebody else can take
    /// back what it could not.
    pub(super) fn let_go_if_stuck(&mut self) {
        // Where a step runs, something follows; most inputs come while one does.
        while self.busy == 0 && !matches!(self.phase, Phase::Idle | Phase::Ended) && self.follows().is_empty() {
            let open = |key: &&String| self.steps.get(*key).is_some_and(|step| !step.status.is_settled());
            let left: Vec<&str> = self.order.iter().filter(open).map(String::as_str).collect();
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
