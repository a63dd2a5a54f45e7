//! What the run leaves in place, read once more before it is judged: each step is planned again, and nothing must be left for it to change.

use std::collections::BTreeSet;

use serde_json::Value;

use super::resume::is_on_its_way;
use super::{Effect, FAULT, Machine, Moment, Phase, Planned, Status};
use crate::model::event::RunEvent;
use crate::model::event::run::Difference;
use crate::model::failure::{Failure, FailureKind};
use crate::model::target::Target;

/// What of the things that a step made is not as it made them: `planned` is what the step would do now. Of others that it would act on now, and of
/// those that later steps have acted on, it says nothing.
#[must_use]
pub fn moved(step: &str, made: &[Target], later: &BTreeSet<String>, planned: &Result<(Planned<Value>, Value), Failure>) -> Vec<Difference> {
    let ours: Vec<&Target> = made.iter().filter(|target| !later.contains(&target.key())).collect();
    let one = |what: String, before: String, after: String| Difference { step: step.to_owned(), what, before, after };
    match planned {
        // It was accepted, and is on its way by itself.
        Ok((now, _)) if is_on_its_way(now) => Vec::new(),
        Ok((now, _)) => {
            let differs = |target: &&Target| {
                let found = now.targets.iter().find(|found| found.key() == target.key());
                match found {
                    None => Some(one(target.to_string(), "as the step made it".to_owned(), "not found".to_owned())),
                    Some(found) => {
                        let change = found.change.as_ref()?;
                        let (is, made) = change.sides().unwrap_or((change.text(), "as the step made it"));
                        Some(one(found.to_string(), made.to_owned(), is.to_owned()))
                    }
                }
            };
            ours.iter().filter_map(differs).collect()
        }
        // The clouds have not answered: nothing is known of it.
        Err(failure) if matches!(failure.kind, FailureKind::Cloud | FailureKind::Timeout | FailureKind::Cancelled | FailureKind::Internal) => {
            vec![one(String::new(), String::new(), format!("cannot be read: {failure}"))]
        }
        Err(failure) => {
            let what = ours.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            vec![one(if what.is_empty() { "everything".to_owned() } else { what }, "as the step made it".to_owned(), failure.to_string())]
        }
    }
}

impl Machine {
    /// Reads what stays, or ends the run when nothing does.
    pub(super) fn review(&mut self) {
        // What a step says nothing of, such as a command, cannot be read again.
        let changes = self.steps.changes();
        let is_told = |key: &str, target: &Target| target.changes() && !changes.is_acted_on_after(key, &target.key());
        let stays = |key: &&str| {
            let done = self.steps.get(key).filter(|step| *key != FAULT && *step.status() == Status::Done);
            done.is_some_and(|step| step.targets.iter().any(|target| is_told(key, target)))
        };
        let keys: Vec<String> = changes.iter().map(|change| change.key.as_str()).filter(stays).map(str::to_owned).collect();
        if keys.is_empty() {
            return self.finish();
        }
        let until = self.now + super::baseline::SETTLES;
        let read = |key: &String| self.steps.get(key).map(|step| (key.clone(), (step.plan.uses.clone(), step.with.clone())));
        let what = keys.iter().filter_map(read).collect();
        self.readings.begin(keys, what);
        self.phase = Phase::Review { until };
        self.read_next();
    }

    pub(super) fn reviewed(&mut self, key: &str, result: &Result<(Planned<Value>, Value), Failure>) {
        let Some(step) = self.steps.get(key) else { return };
        // What its output names as `failed` did not follow when it was applied, although enough did: nobody has moved that since.
        let failed = step.output.get("failed").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let failed: BTreeSet<&str> = failed.collect();
        let made: Vec<Target> = step.targets.iter().filter(|target| !failed.contains(target.bare_id())).cloned().collect();
        // What steps after this one have acted on and not put back.
        let later = made.iter().map(Target::key).filter(|target| self.steps.changes().is_acted_on_after(key, target)).collect();
        let found = moved(key, &made, &later, result);
        self.readings.found(key, found);
    }

    pub(super) fn await_review(&mut self, until: Moment) {
        // Somebody wants it back after all.
        if self.stop.is_some_and(|stop| stop.abort) {
            for key in self.readings.give_up() {
                self.effects.push(Effect::Cancel(key));
            }
            if self.readings.are_over() {
                self.start_undo();
            }
            return;
        }
        // Whoever asked to stop wants an end: then one look must do.
        let until = if self.stop.is_some() { self.now } else { until };
        if let Some((same, moved)) = self.settled_readings(until) {
            self.record_run(RunEvent::Kept { same, moved });
            self.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::target::{Change, TargetKind};

    fn planned(targets: &[(&str, &str)]) -> Result<(Planned<Value>, Value), Failure> {
        let targets = targets.iter().map(|(id, change)| Target::outside(TargetKind::Record, *id).changing(Change::read(*change))).collect();
        Ok((Planned::new(json!(null), targets, Vec::new()), json!({})))
    }

    fn said(made: &[(&str, &str)], later: &[&str], now: &Result<(Planned<Value>, Value), Failure>) -> Vec<String> {
        let made: Vec<Target> = made.iter().map(|(id, change)| Target::outside(TargetKind::Record, *id).changing(Change::read(*change))).collect();
        let later = later.iter().map(|id| Target::outside(TargetKind::Record, *id).key()).collect();
        moved("failover/x", &made, &later, now).into_iter().map(|one| format!("{}|{}|{}", one.what, one.before, one.after)).collect()
    }

    #[test]
    fn what_a_step_would_do_again_has_moved() {
        let made = [("a", "0 → 100"), ("b", "100 → 0")];
        assert_eq!(said(&made, &[], &planned(&[("a", ""), ("b", "")])), [""; 0]);
        assert_eq!(said(&made, &[], &planned(&[("a", "0 → 100"), ("b", "100 → 0")])), ["record a|100|0", "record b|0|100"]);
        assert_eq!(said(&made, &[], &planned(&[("a", "40 → 100"), ("b", "")])), ["record a|100|40"], "a third value too");
        assert_eq!(said(&made, &[], &planned(&[("a", "")])), ["record b|as the step made it|not found"]);
    }

    #[test]
    fn what_others_have_made_and_what_came_later_is_not_this_steps() {
        let made = [("a", "0 → 100"), ("b", "100 → 0")];
        assert_eq!(said(&made, &["a"], &planned(&[("a", "50 → 100"), ("b", "")])), [""; 0], "a later step has set it to 50");
        assert_eq!(said(&made, &[], &planned(&[("a", ""), ("b", ""), ("new", "0 → 100")])), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_what_is_gone_has_moved() {
        let unread = moved("failover/x", &[], &BTreeSet::new(), &Err(Failure::new(FailureKind::Cloud, "no answer")));
        assert!(unread[0].is_unread() && unread[0].after.contains("no answer"), "{unread:?}");
        let gone = said(&[("a", "0 → 100")], &[], &Err(Failure::new(FailureKind::NoTargets, "no weighted record is labelled `a`")));
        assert_eq!(gone, ["record a|as the step made it|no weighted record is labelled `a`"]);
    }
}
