//! Starting and stopping machines over the compute port, and putting back exactly those that were the other way.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bring::{Bring, Wanted, label, present, state_word};
use crate::engine::action::{ActionError, Planned, PlannedCall, Undone};
use crate::model::event::step::Target;
use crate::ports::compute::{Compute, Machine, Selector};

/// How every machine was, by id. A machine on its way counts as where it was going.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PowerBefore {
    running: BTreeSet<String>,
    stopped: BTreeSet<String>,
    /// Those of the stopped that had given their capacity back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    released: BTreeSet<String>,
    /// Public addresses that a stop takes away: nothing brings them back, but the difference shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    addresses: BTreeMap<String, String>,
}

impl PowerBefore {
    pub(super) fn ids(&self) -> Vec<String> {
        self.running.union(&self.stopped).cloned().collect()
    }

    /// Those that were not as `wanted`: the ones that this step changes, and the only ones that undo touches.
    pub(super) fn changed(&self, wanted: Wanted) -> Vec<String> {
        let set = match wanted {
            Wanted::Running => &self.stopped,
            Wanted::Stopped => &self.running,
        };
        set.iter().cloned().collect()
    }

    fn add(&mut self, machine: &Machine) {
        let id = || machine.id.clone();
        let set = if Wanted::Running.is_heading_there(machine.state) { &mut self.running } else { &mut self.stopped };
        set.insert(id());
        if machine.released {
            self.released.insert(id());
        }
        if let Some(address) = machine.fleeting_address.clone().filter(|_| self.running.contains(&machine.id)) {
            self.addresses.insert(id(), address);
        }
    }
}

/// What is done about machines that belong to an auto scaling group, which ends a stopped machine and puts another in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AutoScaled {
    /// They are not stopped: the step is refused.
    #[default]
    Refuse,
    /// They are stopped all the same; what their group then ends cannot be brought back.
    Allow,
}

pub(super) async fn plan(
    compute: &dyn Compute,
    selector: &Selector,
    wanted: Wanted,
    auto_scaled: AutoScaled,
) -> Result<Planned<PowerBefore>, ActionError> {
    if selector.ids.is_empty() && selector.tags.is_empty() {
        return Err(ActionError::Parameters("`instances` needs `ids` or `tags`: without either it would mean every machine there is".to_owned()));
    }
    let machines = compute.find(selector).await?;
    let found: BTreeSet<&str> = machines.iter().map(|machine| machine.id.as_str()).collect();
    let missing: Vec<&str> = selector.ids.iter().map(String::as_str).filter(|id| !found.contains(id)).collect();
    if machines.is_empty() || !missing.is_empty() {
        return Err(ActionError::NoTargets(format!("no machine matches {}", describe(selector, &missing))));
    }
    let mut before = PowerBefore::default();
    let (mut targets, mut not_undone) = (Vec::new(), Vec::new());
    for machine in &machines {
        before.add(machine);
        let change = if wanted.is_there(machine) { String::new() } else { format!("{} → {}", state_word(machine.state), wanted.word()) };
        targets.push(Target::new("instance", label(machine), change));
        if !wanted.is_heading_there(machine.state) {
            not_undone.extend(cannot_be_undone(machine, wanted, auto_scaled)?);
        }
    }
    let names = compute.calls();
    let changed = before.changed(wanted);
    let mut calls = vec![PlannedCall::read(names.find, before.ids().join(" "))];
    if !changed.is_empty() {
        calls.push(PlannedCall::write(operation(compute, wanted), changed.join(" ")));
        calls.push(PlannedCall::read(names.find, format!("until {}", wanted.word())));
    }
    Ok(Planned { not_undone, ..Planned::new(before, targets, calls) })
}

/// What undo will not bring back when this machine is stopped, by the step or by its undo.
fn cannot_be_undone(machine: &Machine, wanted: Wanted, auto_scaled: AutoScaled) -> Result<Vec<String>, ActionError> {
    let mut lost = Vec::new();
    if let Some(group) = &machine.group {
        if (wanted, auto_scaled) == (Wanted::Stopped, AutoScaled::Refuse) {
            return Err(ActionError::Parameters(format!(
                "{} belongs to the auto scaling group {group}, which would end it once it is stopped and put another in its place; \
                 suspend the group's health checks first, or write `auto_scaled: allow` and lose it",
                label(machine)
            )));
        }
        lost.push(format!("{}, if its auto scaling group {group} ends it while it is stopped", label(machine)));
    }
    if let Some(address) = machine.fleeting_address.as_ref().filter(|_| wanted == Wanted::Stopped) {
        lost.push(format!("the public address {address} of {}: it gets another one when it starts again", label(machine)));
    }
    Ok(lost)
}

/// Brings every machine of `before` to `wanted`. Gives back whether nothing had to be changed.
pub(super) async fn apply(
    compute: &dyn Compute,
    before: &PowerBefore,
    wanted: Wanted,
    auto_scaled: AutoScaled,
    progress: &(dyn Fn(String) + Send + Sync),
    accepted: &(dyn Fn() + Send + Sync),
) -> Result<bool, ActionError> {
    let bring = Bring { compute, wanted, released: &BTreeSet::new(), may_end: auto_scaled == AutoScaled::Allow, progress, accepted };
    let asked = bring.all(&before.ids()).await?;
    Ok(!asked && before.changed(wanted).is_empty())
}

/// Brings back those machines that were the other way, and only then says which ones there are no more.
pub(super) async fn undo(
    compute: &dyn Compute,
    before: &PowerBefore,
    wanted: Wanted,
    auto_scaled: AutoScaled,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Result<Undone, ActionError> {
    let ids = before.changed(wanted);
    if ids.is_empty() {
        return Ok(Undone::Already);
    }
    let bring = Bring { compute, wanted: wanted.opposite(), released: &before.released, may_end: true, progress, accepted: &|| {} };
    let asked = bring.all(&ids).await?;
    let there: BTreeSet<String> = present(compute, &ids).await?.into_iter().map(|machine| machine.id).collect();
    let ended: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !there.contains(*id)).collect();
    match (ended.is_empty(), auto_scaled) {
        (true, _) => Ok(if asked { Undone::Restored } else { Undone::Already }),
        // Agreed to before the step, and said in the plan.
        (false, AutoScaled::Allow) => {
            progress(format!("{} was ended while it was stopped and cannot be brought back", ended.join(" ")));
            Ok(if asked { Undone::Restored } else { Undone::Already })
        }
        (false, AutoScaled::Refuse) => Err(ActionError::Conflict {
            what: format!("instance {}", ended.join(" ")),
            expected: format!("{} or {}", wanted.word(), wanted.opposite().word()),
            found: "terminated".to_owned(),
        }),
    }
}

fn describe(selector: &Selector, missing: &[&str]) -> String {
    if !missing.is_empty() {
        return format!("ids {}{}", missing.join(" "), if selector.tags.is_empty() { "" } else { " with these tags" });
    }
    let tags: Vec<String> = selector.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("tags {}", tags.join(" "))
}

fn operation(compute: &dyn Compute, wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => compute.calls().start,
        Wanted::Stopped => compute.calls().stop,
    }
}

#[cfg(test)]
mod tests;
