//! The guards' leave to inject the fault: asked for right before each attempt to do so, used up by it, and worth nothing a little later.

use std::time::Duration;

use super::{Effect, Machine, Moment, Phase};
use crate::model::event::RunEvent;
use crate::model::guard::Decision;

/// By whose name a run stops here.
const BY: &str = "guards";
/// For how long an answer counts while something else is still waited for.
const HOLDS: Duration = Duration::from_secs(10);

/// Where the leave stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Clearance {
    /// Nobody has asked, or the answer was used or is too old.
    #[default]
    None,
    /// The guards are deciding.
    Asked,
    /// They let the fault be injected until then.
    Until(Moment),
}

impl Machine {
    /// Whether the guards let the fault be injected now; asks them if they have not just been asked. `intended`: an attempt of it has begun already.
    pub(super) fn is_cleared(&mut self, intended: bool) -> bool {
        if self.plan.fault.is_none() {
            return true;
        }
        match self.clearance {
            Clearance::Asked => false,
            Clearance::Until(until) if self.now < until => {
                self.clearance = Clearance::None;
                true
            }
            Clearance::None | Clearance::Until(_) => {
                self.clearance = Clearance::Asked;
                self.effects.push(Effect::AskGuards { intended });
                false
            }
        }
    }

    /// The guards have decided, or could not be asked.
    pub(super) fn guarded(&mut self, ruling: Result<Vec<Decision>, String>) {
        self.clearance = Clearance::None;
        if self.stop.is_some() || !matches!(self.phase, Phase::SteadyState { .. } | Phase::Inject) {
            return;
        }
        let decisions = match ruling {
            Ok(decisions) => decisions,
            Err(why) => return self.stop_requested(true, format!("whether the fault may be injected cannot be decided: {why}"), BY.into()),
        };
        if !decisions.is_empty() {
            self.record_run(RunEvent::Guarded { decisions: decisions.clone(), again: true });
        }
        // In a drill nobody is asked: a guard that would ask is one that refuses.
        let refusing = decisions.iter().filter(|decision| decision.stands_in_the_way() || decision.asks());
        let refusing: Vec<String> = refusing.map(|decision| format!("{}: {}", decision.guard, decision.detail)).collect();
        if refusing.is_empty() {
            self.clearance = Clearance::Until(self.now + HOLDS);
        } else {
            self.stop_requested(true, format!("the fault must not be injected now: {}", refusing.join("; ")), BY.into());
        }
    }
}
