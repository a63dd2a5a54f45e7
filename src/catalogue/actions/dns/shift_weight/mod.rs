//! `dns.shift-weight`: the same word for Route 53 and Alidns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::{Authority, Servers, Told, answered};
use super::weights::{Shares, check_ours, is_as, is_worth, label, restored, target, weight};
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::model::event::step::Target;
use crate::model::time::Span;
use crate::ports::Kind;
use crate::ports::dns::{ChangeId, Dns, WeightedRecord};
use crate::world::World;

/// Shifts the traffic of a name between its weighted A records, at once or in stages, and waits until the name servers answer it.
///
/// Works on Route 53 (records told apart by their SetIdentifier) and on Alidns (by their remark; a side without traffic is switched off there,
/// because its weights begin at 1). Undo restores weights and statuses exactly, and refuses when somebody else has changed them meanwhile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShiftWeight {
    /// The zone: `example.com.` with its final dot for Route 53, `example.cn` for Alidns.
    zone: String,
    /// The name, relative to the zone, such as `shop`.
    record: String,
    /// What each side gets in the end, in percent, by label: `{ aws: 100, aliyun: 0 }`.
    to: Shares,
    /// Stops on the way, in order.
    #[serde(default)]
    stages: Vec<Stage>,
}

/// A stop on the way.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    /// What each side gets at this stop, in percent, by label.
    to: Shares,
    /// How long to stay there, once the name servers answer it.
    #[serde(default)]
    hold: Span,
}

/// What the records are in the end.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The fully written name.
    name: String,
    /// Its addresses that now get traffic.
    addresses: Vec<String>,
}

impl Action<World> for ShiftWeight {
    const KIND: &'static str = "dns.shift-weight";
    const LEADS: bool = true;
    type Before = Vec<WeightedRecord>;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Vec<WeightedRecord>>, ActionError> {
        self.plan_on(cx.world.dns(&self.zone).await?).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Vec<WeightedRecord>) -> Result<Applied<Output>, ActionError> {
        let (dns, name) = (cx.world.dns(&self.zone).await?, self.name());
        let servers = Authority { resolver: cx.world.resolver(), dns, zone: &self.zone, name: &name };
        self.apply_on(&Side { dns, servers: &servers, progress: cx.progress }, before, cx.accepted).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Vec<WeightedRecord>) -> Result<Undone, ActionError> {
        let (dns, name) = (cx.world.dns(&self.zone).await?, self.name());
        let servers = Authority { resolver: cx.world.resolver(), dns, zone: &self.zone, name: &name };
        self.undo_on(&Side { dns, servers: &servers, progress: cx.progress }, before).await
    }
}

/// Who is told, who answers, and who listens.
struct Side<'a> {
    dns: &'a dyn Dns,
    servers: &'a dyn Servers,
    progress: &'a (dyn Fn(String) + Send + Sync),
}

impl ShiftWeight {
    async fn plan_on(&self, dns: &dyn Dns) -> Result<Planned<Vec<WeightedRecord>>, ActionError> {
        let records = self.read(dns).await?;
        for stage in &self.stages {
            target(dns, &records, &stage.to)?;
        }
        let wanted = target(dns, &records, &self.to)?;
        let targets = records
            .iter()
            .zip(&wanted)
            .map(|(now, then)| {
                let change = if now == then { String::new() } else { format!("{} → {}", weight(now), weight(then)) };
                Target::new("record", format!("{} {}", self.name(), label(now)), change)
            })
            .collect();
        let call = |operation: &str, subject: String, mutating| PlannedCall { operation: operation.to_owned(), subject, mutating };
        if is_worth(&records, &wanted) {
            let reads = dns.calls().into_iter().filter(|(_, mutating)| !mutating);
            let calls = reads.map(|(operation, _)| call(operation, self.name(), false)).collect();
            return Ok(Planned::new(records, targets, calls));
        }
        let mut calls = Vec::new();
        for to in self.stages_left(dns, &records)?.iter().map(|stage| &stage.to).chain([&self.to]) {
            for (operation, mutating) in dns.calls() {
                let subject = if mutating { format!("{}: {to}", self.name()) } else { self.name() };
                calls.push(call(operation, subject, mutating));
            }
        }
        Ok(Planned::new(records, targets, calls))
    }

    async fn apply_on(
        &self,
        side: &Side<'_>,
        before: &[WeightedRecord],
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<Applied<Output>, ActionError> {
        let dns = side.dns;
        let mut current = self.read(dns).await?;
        let wanted = target(dns, &current, &self.to)?;
        if is_worth(&current, &wanted) {
            accepted();
            // After an ambiguous outcome the change may be ours: then it was changed by this step all the same, and may still be on its way.
            let already = is_worth(before, &wanted);
            if !already {
                self.await_answers(side, &wanted, true).await?;
            }
            return Ok(Applied { output: self.output(&wanted), already });
        }
        for stage in self.stages_left(dns, &current)? {
            self.set(side, target(dns, &current, &stage.to)?, &format!("{}, held for {}", stage.to, stage.hold), &|| {}).await?;
            tokio::time::sleep(stage.hold.duration()).await;
            current = self.read(dns).await?;
        }
        self.set(side, target(dns, &current, &self.to)?, &self.to.to_string(), accepted).await?;
        Ok(Applied::changed(self.output(&wanted)))
    }

    /// The stages from the one that was reached last on: another attempt does not lead the traffic back to those before it.
    fn stages_left(&self, dns: &dyn Dns, current: &[WeightedRecord]) -> Result<&[Stage], ActionError> {
        for (at, stage) in self.stages.iter().enumerate().rev() {
            if is_worth(current, &target(dns, current, &stage.to)?) {
                return Ok(&self.stages[at..]);
            }
        }
        Ok(&self.stages)
    }

    async fn undo_on(&self, side: &Side<'_>, before: &[WeightedRecord]) -> Result<Undone, ActionError> {
        let dns = side.dns;
        // Deleted, or weights switched off for the whole name: there is nothing left whose weight could be put back.
        let current = match dns.weights(&self.zone, &self.record).await {
            Err(error) if error.kind != Kind::NotFound => return Err(error.into()),
            found => found.unwrap_or_default(),
        };
        let wanted = restored(&current, before);
        if wanted.len() == before.len() && is_as(&current, &wanted) {
            // An undo that was cut off may have put it back just now.
            self.await_answers(side, &wanted, false).await?;
            return Ok(Undone::Already);
        }
        let shares = self.stages.iter().map(|stage| &stage.to).chain([&self.to]);
        let ways = shares.map(|to| target(dns, before, to)).collect::<Result<Vec<_>, _>>()?;
        check_ours(&self.name(), &current, before, &ways)?;
        self.set(side, wanted.clone(), "as before", &|| {}).await?;
        if is_as(&self.read(dns).await?, &wanted) { Ok(Undone::Restored) } else { Err(self.not_taken()) }
    }

    /// Sets the records and waits until every name server answers them and they read back as set.
    async fn set(
        &self,
        side: &Side<'_>,
        records: Vec<WeightedRecord>,
        what: &str,
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<(), ActionError> {
        let dns = side.dns;
        let change: ChangeId = dns.set_weights(&self.zone, &self.record, &records).await?;
        accepted();
        (side.progress)(format!("{}: {what}", self.name()));
        if change.0.is_empty() {
            self.await_answers(side, &records, false).await?;
        }
        let change = &change;
        until(|| async move { Ok(dns.in_sync(change).await?.then_some(())) }).await?;
        if is_worth(&self.read(dns).await?, &records) { Ok(()) } else { Err(self.not_taken()) }
    }

    /// For a change whose progress no provider tells. What is not seen is said; that the records read as they shall is known all the same.
    async fn await_answers(&self, side: &Side<'_>, records: &[WeightedRecord], patient: bool) -> Result<(), ActionError> {
        match answered(side.servers, records, patient).await? {
            Told::Answered => {}
            Told::Otherwise => (side.progress)(format!("{}: its name servers still answer otherwise", self.name())),
            Told::Nothing => (side.progress)(format!("{}: its name servers cannot be asked from here", self.name())),
        }
        Ok(())
    }

    async fn read(&self, dns: &dyn Dns) -> Result<Vec<WeightedRecord>, ActionError> {
        let records = dns.weights(&self.zone, &self.record).await?;
        if records.is_empty() { Err(ActionError::NoTargets(format!("{} has no weighted A records", self.name()))) } else { Ok(records) }
    }

    fn not_taken(&self) -> ActionError {
        ActionError::NoEffect(format!("the weights of {} were accepted but do not read back as set", self.name()))
    }

    fn name(&self) -> String {
        if matches!(self.record.as_str(), "" | "@") { self.zone.clone() } else { format!("{}.{}", self.record, self.zone) }
    }

    fn output(&self, records: &[WeightedRecord]) -> Output {
        let served = records.iter().filter(|record| record.enabled && record.weight > 0);
        Output { name: self.name(), addresses: served.flat_map(|record| record.values.clone()).collect() }
    }
}

#[cfg(test)]
pub(in crate::catalogue) mod fake;
#[cfg(test)]
mod tests;
