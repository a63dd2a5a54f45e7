//! What must hold of every story at its end.

use super::*;

impl Simulation {
    /// Everything as before, or the journal says what is not.
    pub(super) fn check(&self) {
        let (seed, state, plan) = (self.seed, &self.state, &self.story.plan);
        let end = state.ended.as_ref().unwrap_or_else(|| panic!("seed {seed}: no end"));
        let aborted = state.stops.iter().any(|stop| stop.abort) || state.resumed.iter().any(|takeover| takeover.to == "abort");
        let stays = !aborted && (plan.leave || plan.mode == Mode::Emergency || !state.stops.is_empty());
        let differs: Vec<(&String, i64)> = self
            .registers
            .iter()
            .filter(|(name, value)| **value != 0 && **value != FOREIGN && (!stays || *name == "fault"))
            .map(|(name, value)| (name, *value))
            .collect();
        let said: BTreeSet<String> = state
            .steps
            .iter()
            .filter(|(_, step)| step.status == Status::UndoFailed)
            .map(|(key, _)| key.clone())
            .chain(state.baseline.iter().flat_map(|baseline| baseline.differences.iter().map(|one| one.step.clone())))
            .collect();
        for (name, value) in differs {
            let keys: Vec<&String> = state
                .steps
                .iter()
                .filter(|(_, step)| step.intent.as_ref().is_some_and(|intent| register_of(&intent.with) == *name))
                .map(|(key, _)| key)
                .collect();
            assert!(keys.iter().any(|key| said.contains(*key)), "seed {seed}: {name} is {value} and nobody says so: {keys:?}");
            // A failback of its own stays where it led, and is said not to be as before.
            let stays = name.starts_with('x') && keys.iter().any(|key| state.step(key).is_some_and(|step| step.applied));
            let excused = stays || self.meddled || state.steps.values().any(|step| step.undo_failure.is_some());
            assert!(excused, "seed {seed}: {name} is {value} although nothing stood in the way");
            assert_ne!(end.verdict, Verdict::Pass, "seed {seed}: {name} is {value} and the run passed");
        }
    }
}
