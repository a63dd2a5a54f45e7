//! What a dry run believes that earlier steps of the plan will have changed: a later step is planned against the state that it will find.
//!
//! An action's `plan` hands what it read through [`Foreseen::read`], and says what will be there after it by [`Foreseen::write`]. In a run both do
//! nothing: there the state is what is read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The states that are to come, by what they are of; and whether anybody asked for one.
#[derive(Debug)]
pub struct Foreseen(Option<Mutex<States>>);

#[derive(Debug, Default)]
struct States {
    to_come: BTreeMap<String, Value>,
    is_asked: bool,
    is_hasty: bool,
}

/// For runs: nothing is foreseen.
pub static NOTHING: Foreseen = Foreseen(None);

impl Foreseen {
    /// For a dry run that begins.
    #[must_use]
    pub fn dry() -> Self {
        Self(Some(Mutex::default()))
    }

    /// For the dry run that an emergency makes before it begins.
    #[must_use]
    pub fn hasty() -> Self {
        Self(Some(Mutex::new(States { is_hasty: true, ..States::default() })))
    }

    /// Whether an action may look closer than it does in a run, which has no time to lose.
    pub fn looks_closer(&self) -> bool {
        self.0.as_ref().is_some_and(|states| !states.lock().unwrap_or_else(PoisonError::into_inner).is_hasty)
    }

    /// What will be there: `found`, unless an earlier step changes it.
    pub fn read<T: DeserializeOwned>(&self, what: &str, found: T) -> T {
        let Some(states) = &self.0 else { return found };
        let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
        states.is_asked = true;
        let known = states.to_come.get(what).cloned();
        known.and_then(|known| T::deserialize(known).ok()).unwrap_or(found)
    }

    /// Whether somebody asked for a state since this was asked last.
    pub fn was_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|states| std::mem::take(&mut states.lock().unwrap_or_else(PoisonError::into_inner).is_asked))
    }

    /// What will be there after this step.
    pub fn write<T: Serialize>(&self, what: &str, then: &T) {
        let Some(states) = &self.0 else { return };
        if let Ok(then) = serde_json::to_value(then) {
            states.lock().unwrap_or_else(PoisonError::into_inner).to_come.insert(what.to_owned(), then);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_remembers_and_a_run_reads_what_is_there() {
        let dry = Foreseen::dry();
        assert_eq!(dry.read("instance i-1", "stopped".to_owned()), "stopped");
        dry.write("instance i-1", &"running");
        assert_eq!(dry.read("instance i-1", "stopped".to_owned()), "running");
        assert_eq!(dry.read("instance i-2", "stopped".to_owned()), "stopped");
        NOTHING.write("instance i-1", &"running");
        assert_eq!(NOTHING.read("instance i-1", "stopped".to_owned()), "stopped");
        assert!(dry.looks_closer() && !NOTHING.looks_closer() && !Foreseen::hasty().looks_closer());
        assert!(dry.was_asked() && !dry.was_asked() && !NOTHING.was_asked());
    }
}
