//! Starting and stopping machines over the compute port. Undo puts back the machines that the step changed and no others.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::at_least::AtLeast;
use super::bring::{Bring, Brought, Until, Wanted, failed, label, refusal, state_word, told};
use crate::engine::action::{ActionError, Planned, PlannedCall, Undone};
use crate::engine::foreseen::Foreseen;
use crate::model::target::{Change, Location, Target, TargetKind};
use crate::ports::Kind;
use crate::ports::compute::{Ailing, Compute, Machine, MachineState, Rest, Selector};

/// How every machine was, by id. A machine on its way counts as where it was going.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PowerBefore {
    running: BTreeSet<String>,
    stopped: BTreeSet<String>,
    /// The stopped machines that had given their capacity back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    released: BTreeSet<String>,
    /// The stopped machines that had their memory on their disk.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    hibernated: BTreeSet<String>,
    /// Public addresses that a stop takes away: nothing brings them back, but the difference shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    addresses: BTreeMap<String, String>,
}

impl PowerBefore {
    pub(super) fn ids(&self) -> Vec<String> {
        self.running.union(&self.stopped).cloned().collect()
    }

    /// The machines that were not as `wanted`: this step changes them, and undo touches no others.
    pub(super) fn changed(&self, wanted: Wanted) -> Vec<String> {
        let set = match wanted {
            Wanted::Running => &self.stopped,
            Wanted::Stopped => &self.running,
        };
        set.iter().cloned().collect()
    }

    /// The machines that rested otherwise than stopped machines do.
    fn rests(&self) -> BTreeMap<String, Rest> {
        let of = |ids: &BTreeSet<String>, rest: Rest| ids.iter().map(|id| (id.clone(), rest)).collect::<Vec<_>>();
        of(&self.released, Rest::Released).into_iter().chain(of(&self.hibernated, Rest::Hibernated)).collect()
    }

    fn add(&mut self, machine: &Machine) {
        let id = || machine.id.clone();
        let set = if Wanted::Running.is_heading_there(machine.state) { &mut self.running } else { &mut self.stopped };
        set.insert(id());
        match machine.rest {
            Rest::Released => _ = self.released.insert(id()),
            Rest::Hibernated => _ = self.hibernated.insert(id()),
            Rest::Kept => {}
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

/// When a started machine counts as started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Started {
    /// Its cloud has accepted the start.
    Accepted,
    /// It runs.
    Running,
    /// It runs and passes its cloud's status checks, where there are some.
    #[default]
    Healthy,
}

/// When a stopped machine counts as stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stopped {
    /// Its cloud has accepted the stop.
    Accepted,
    /// It is stopped.
    #[default]
    Stopped,
}

impl From<Started> for Until {
    fn from(until: Started) -> Self {
        match until {
            Started::Accepted => Self::Accepted,
            Started::Running => Self::State,
            Started::Healthy => Self::Healthy,
        }
    }
}

impl From<Stopped> for Until {
    fn from(until: Stopped) -> Self {
        match until {
            Stopped::Accepted => Self::Accepted,
            Stopped::Stopped => Self::State,
        }
    }
}

type Say<'a> = &'a (dyn Fn(String) + Send + Sync);

/// What is asked of which machines.
pub(super) struct PowerRequest<'a> {
    pub(super) compute: &'a dyn Compute,
    pub(super) wanted: Wanted,
    pub(super) until: Until,
    pub(super) at_least: AtLeast,
    pub(super) auto_scaled: AutoScaled,
}

/// What a step did with its machines.
pub(super) struct PowerOutcome {
    /// Whether nothing had to be changed.
    pub(super) already: bool,
    /// The machines that were changed.
    pub(super) changed: Vec<String>,
    /// The machines that did not follow. The name is not `missing`, which in an output means data that is lost.
    pub(super) failed: Vec<String>,
}

impl PowerRequest<'_> {
    pub(super) async fn plan(
        &self,
        selector: &Selector,
        location: &Location,
        foreseen: &Foreseen,
        warn: Say<'_>,
    ) -> Result<Planned<PowerBefore>, ActionError> {
        let Self { compute, wanted, .. } = *self;
        if selector.ids.is_empty() && selector.tags.is_empty() {
            return Err(ActionError::Parameters("`instances` needs `ids` or `tags`: without either it would mean every machine there is".to_owned()));
        }
        let found = compute.find(selector).await?;
        let missing: Vec<&str> = selector.ids.iter().map(String::as_str).filter(|id| !found.iter().any(|machine| machine.id == **id)).collect();
        let (ending, mut machines): (Vec<Machine>, Vec<Machine>) = found.iter().cloned().partition(|machine| machine.state == MachineState::Gone);
        if machines.is_empty() || !missing.is_empty() {
            let told = if missing.is_empty() && !ending.is_empty() { " that is not being terminated" } else { "" };
            return Err(ActionError::NoTargets(format!("no machine matches {}{told}", describe(selector, &missing))));
        }
        for machine in &ending {
            warn(format!("{} is being terminated and is no target", label(machine)));
        }
        let enough = self.at_least.of(machines.len());
        if enough > machines.len() {
            return Err(ActionError::NoTargets(format!(
                "{} machines match {}, and at least {enough} are asked for",
                machines.len(),
                describe(selector, &[])
            )));
        }
        let running: Vec<String> =
            machines.iter().filter(|machine| machine.state == MachineState::Running).map(|machine| machine.id.clone()).collect();
        let ailing = match (wanted, self.until) {
            // Only to say what is not so yet: what cannot be read is said when it matters.
            (Wanted::Running, Until::Healthy) if !running.is_empty() => compute.ailing(&running).await.unwrap_or_default(),
            _ => Ailing::new(),
        };
        let mut before = PowerBefore::default();
        let (mut targets, mut not_undone) = (Vec::new(), Vec::new());
        for machine in &mut machines {
            machine.state = foreseen.read(&key(&machine.id), machine.state);
            before.add(machine);
            let change = match (wanted.is(machine.state), ailing.get(&machine.id)) {
                (true, Some(why)) => Some(Change::between(format_args!("running, {why}"), "healthy")),
                (true, None) => None,
                (false, _) => Some(Change::between(state_word(machine.state), wanted.word())),
            };
            targets.push(Target::at(location, TargetKind::Instance, &machine.id).called(&machine.name).changing(change));
            if !wanted.is_heading_there(machine.state) {
                not_undone.extend(self.cannot_be_undone(machine)?);
            }
        }
        let changed = before.changed(wanted);
        self.say_obstacles(&machines, &changed, foreseen, warn, &mut not_undone).await?;
        if !self.at_least.is_all() {
            warn(format!("at least {} of {} machines are enough ({enough}); others are told and do not fail it", self.at_least, machines.len()));
        }
        for id in &changed {
            foreseen.write(&key(id), &if wanted == Wanted::Running { MachineState::Running } else { MachineState::Stopped });
        }
        let (calls, undo) = self.calls(&before, &changed);
        Ok(Planned { not_undone, undo, ..Planned::new(before, targets, calls) })
    }

    /// The calls there and back.
    fn calls(&self, before: &PowerBefore, changed: &[String]) -> (Vec<PlannedCall>, Vec<PlannedCall>) {
        let names = self.compute.calls();
        let mut calls = vec![PlannedCall::read(names.find, before.ids().join(" "))];
        if changed.is_empty() && self.until != Until::Healthy {
            return (calls, Vec::new());
        }
        let (there, back) = (self.wanted.word(), self.wanted.opposite().word());
        let (act, react) = match self.wanted {
            Wanted::Running => (names.start, names.stop),
            Wanted::Stopped => (names.stop, names.start),
        };
        if !changed.is_empty() {
            calls.push(PlannedCall::write(act, changed.join(" ")));
            calls.push(PlannedCall::read(names.find, format!("until {there}")));
        }
        if let Some(ailing) = names.ailing.filter(|_| (self.wanted, self.until) == (Wanted::Running, Until::Healthy)) {
            calls.push(PlannedCall::read(ailing, "until healthy; goes on without if it is refused"));
        }
        if changed.is_empty() {
            return (calls, Vec::new());
        }
        let undo = vec![
            PlannedCall::read(names.find, changed.join(" ")),
            PlannedCall::write(react, changed.join(" ")),
            PlannedCall::read(names.find, format!("until {back}")),
        ];
        (calls, undo)
    }

    /// Says what keeps single machines from following, now and when they are put back. A dry run asks their cloud; a run knows what their description says.
    async fn say_obstacles(
        &self,
        machines: &[Machine],
        changed: &[String],
        foreseen: &Foreseen,
        warn: Say<'_>,
        not_undone: &mut Vec<String>,
    ) -> Result<(), ActionError> {
        let (wanted, back) = (self.wanted, self.wanted.opposite());
        let (mut there, mut again) = (BTreeMap::new(), BTreeMap::new());
        if foreseen.looks_closer() && !changed.is_empty() {
            there = match self.compute.obstacles(changed, wanted.power()).await {
                Err(error) if error.kind != Kind::Denied => {
                    warn(format!("what else keeps {} from following could not be asked: {error}", changed.join(" ")));
                    BTreeMap::new()
                }
                answer => answer?,
            };
            match self.compute.obstacles(changed, back.power()).await {
                Ok(found) => again = found,
                Err(error) => not_undone.push(format!("{}: {error}", changed.join(" "))),
            }
        }
        for machine in machines.iter().filter(|machine| changed.contains(&machine.id)) {
            let told = |asked: Wanted, more: &BTreeMap<String, String>| -> Vec<String> {
                let own = machine.obstacles.iter().filter(|obstacle| obstacle.is_in_the_way_of(asked.power())).map(|obstacle| obstacle.why.clone());
                own.chain(more.get(&machine.id).cloned()).collect()
            };
            let (now, later) = (told(wanted, &there), told(back, &again));
            if !now.is_empty() {
                warn(format!("{} may not become {}: {}", label(machine), wanted.word(), now.join("; ")));
            }
            if !later.is_empty() {
                not_undone.push(format!("{} may not become {} again: {}", label(machine), back.word(), later.join("; ")));
            }
            if machine.rest == Rest::Hibernated && wanted == Wanted::Running {
                warn(format!("{} is hibernated: undo hibernates it again, with the memory that it then has", label(machine)));
            }
        }
        Ok(())
    }

    /// What undo will not bring back when this machine is stopped, by the step or by its undo.
    fn cannot_be_undone(&self, machine: &Machine) -> Result<Vec<String>, ActionError> {
        let mut lost = Vec::new();
        if let Some(group) = &machine.group {
            if (self.wanted, self.auto_scaled) == (Wanted::Stopped, AutoScaled::Refuse) {
                return Err(ActionError::Parameters(format!(
                    "{} belongs to the auto scaling group {group}, which would end it once it is stopped and put another in its place; \
                     suspend the group's health checks first, or write `auto_scaled: allow` and lose it",
                    label(machine)
                )));
            }
            lost.push(format!("{}, if its auto scaling group {group} ends it while it is stopped", label(machine)));
        }
        if let Some(address) = machine.fleeting_address.as_ref().filter(|_| self.wanted == Wanted::Stopped) {
            lost.push(format!("the public address {address} of {}: it gets another one when it starts again", label(machine)));
        }
        Ok(lost)
    }

    /// Brings the machines of `before` to where they are wanted, as many as are enough; the others are told.
    pub(super) async fn apply(
        &self,
        before: &PowerBefore,
        progress: Say<'_>,
        warn: Say<'_>,
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<PowerOutcome, ActionError> {
        let ids = before.ids();
        let bring = Bring {
            compute: self.compute,
            wanted: self.wanted,
            until: self.until,
            enough: self.at_least.of(ids.len()),
            may_end: self.auto_scaled == AutoScaled::Allow,
            rests: &BTreeMap::new(),
            progress,
            warn,
            accepted,
        };
        let Brought { asked, missing, .. } = bring.all(&ids).await?;
        if !missing.is_empty() {
            warn(format!("{} of {} are {}, which is enough; not so: {}", ids.len() - missing.len(), ids.len(), self.wanted.word(), told(&missing)));
        }
        let changed: Vec<String> = before.changed(self.wanted).into_iter().filter(|id| !missing.contains_key(id)).collect();
        let already = !asked && before.changed(self.wanted).is_empty();
        Ok(PowerOutcome { already, changed, failed: missing.into_keys().collect() })
    }

    /// Brings back those machines that were the other way, and only then says which ones there are no more, or do not follow. Needs no read: where
    /// nobody may look, it acts all the same and says that nothing was seen.
    pub(super) async fn undo(&self, before: &PowerBefore, progress: Say<'_>, warn: Say<'_>) -> Result<Undone, ActionError> {
        let Self { compute, wanted, .. } = *self;
        let ids = before.changed(wanted);
        if ids.is_empty() {
            return Ok(Undone::Already);
        }
        let rests = before.rests();
        let back = wanted.opposite();
        let bring =
            Bring { compute, wanted: back, until: Until::State, enough: ids.len(), may_end: true, rests: &rests, progress, warn, accepted: &|| {} };
        let brought = match bring.all(&ids).await {
            Err(ActionError::Cloud(error)) if error.operation == compute.calls().find => {
                let refused = bring.blindly(&ids).await?;
                let why: BTreeMap<String, String> = refused.iter().map(|(id, error)| (id.clone(), refusal(error))).collect();
                if !why.is_empty() {
                    return Err(failed(&refused, &why, back, ids.len(), ids.len()));
                }
                warn(format!("{} were asked to be {}; that could not be seen: {error}", ids.join(" "), back.word()));
                return Ok(Undone::Restored);
            }
            brought => brought?,
        };
        let done = if brought.asked { Undone::Restored } else { Undone::Already };
        let ended: Vec<&str> = brought.ended.iter().map(String::as_str).collect();
        match (ended.is_empty(), self.auto_scaled) {
            (true, _) => Ok(done),
            // Agreed to before the step, and said in the plan.
            (false, AutoScaled::Allow) => {
                warn(format!("{} was ended while it was stopped and cannot be brought back", ended.join(" ")));
                Ok(done)
            }
            (false, AutoScaled::Refuse) => Err(ActionError::Conflict {
                what: format!("instance {}", ended.join(" ")),
                expected: format!("{} or {}", wanted.word(), back.word()),
                found: "terminated".to_owned(),
            }),
        }
    }
}

/// Under which a dry run remembers a machine's state.
fn key(id: &str) -> String {
    format!("instance {id}")
}

fn describe(selector: &Selector, missing: &[&str]) -> String {
    if !missing.is_empty() {
        return format!("ids {}{}", missing.join(" "), if selector.tags.is_empty() { "" } else { " with these tags" });
    }
    let tags: Vec<String> = selector.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("tags {}", tags.join(" "))
}

#[cfg(test)]
mod tests;
