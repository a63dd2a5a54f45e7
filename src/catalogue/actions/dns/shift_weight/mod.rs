//! `dns.shift-weight`: the same word for Route 53 and Alidns.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::{Authority, Reply, Servers, answered, spread};
use super::shares::Shares;
use super::weights::{Choice, check_ours, is_as, is_worth, label, restored, target, weight};
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::engine::foreseen::Foreseen;
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::domain::{canonical, relative, within};
use crate::model::glob;
use crate::model::time::Span;
use crate::ports::dns::{ByName, Dns, NameRecords, Names, WeightedRecord, Zone};
use crate::ports::{Cloud, Kind};
use crate::world::World;
use crate::model::target::{Change, Location};

/// For how many names the name servers are asked at a time.
const ASKED_AT_ONCE: usize = 8;

/// Shifts the traffic of names between their weighted records, at once or in stages, and waits until the name servers answer it.
///
/// All weighted sets of a name move together, of whatever type (A, AAAA, CNAME, alias). A side's share is divided among its records. Works on Route 53
/// (records told apart by their SetIdentifier) and on Alidns (by their remark; weights are switched on where they are off, and a side without traffic
/// is switched off, because weights begin at 1 there). Many names are one change: the zone is read page by page, and written in batches of up to 1,000
/// values (Route 53, where those of an UPSERT count twice) or record by record (Alidns). Each batch of Route 53 is waited for until it is in sync; where
/// no call tells that, the name servers are asked for each name at least once, and again for up to a minute in all. Undo restores weights, statuses and
/// switches exactly, and refuses when somebody else has changed them meanwhile. Which cloud serves the zone stands under `zones` of the environment, or
/// as `provider` here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// The zone, by its name (`example.com`, with or without final dot) or by the provider's id (`Z…` of Route 53, the DomainId of Alidns).
    zone: String,
    /// The cloud that serves the zone, unless `zones` of the environment says so or the environment has only one.
    #[serde(default)]
    provider: Option<Cloud>,
    /// The name: relative to the zone (`shop`), whole (`shop.example.com`), or `@` for the zone itself; a star is a wildcard record.
    #[serde(default)]
    record: Option<String>,
    /// Several names, moved as one change.
    #[serde(default)]
    records: Vec<String>,
    /// Every name of the zone that fits and has records of a side of `to`, moved as one change: `*` stands for any characters, so `*` alone is all.
    #[serde(default)]
    matching: Option<String>,
    /// What each side gets in the end, in percent: `{ aws: 100, aliyun: 0 }`. A side is the label of its records (SetIdentifier, remark), or else one of
    /// their ids or values, or a side of `sides`.
    to: Shares,
    /// Sides by what their records are called: labels, ids or values, such as `aws: [192.0.2.1, 192.0.2.2]`. For records that have no label.
    #[serde(default)]
    sides: BTreeMap<String, Vec<String>>,
    /// Alidns: the lines that are acted on; the records of others are left alone.
    #[serde(default = "default_line")]
    lines: Vec<String>,
    /// The types that are moved, such as A; all unless written.
    #[serde(default)]
    types: Vec<String>,
    /// Stops on the way, in order.
    #[serde(default)]
    stages: Vec<Stage>,
}

fn default_line() -> Vec<String> {
    vec!["default".to_owned()]
}

// What is written, once it is known to make sense together. No doc comment: it would take the place of the help text above.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub(crate) struct ShiftWeight(Written);

impl TryFrom<Written> for ShiftWeight {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let ways = [written.record.is_some(), !written.records.is_empty(), written.matching.is_some()];
        match ways.into_iter().filter(|is_said| *is_said).count() {
            1 => {}
            0 => return Err("missing field `record`: say which name, or several as `records`, or a pattern as `matching`".to_owned()),
            _ => return Err("`record`, `records` and `matching` exclude each other; keep one of them".to_owned()),
        }
        if let Some(side) = written.sides.keys().find(|side| !written.to.has(side)) {
            return Err(format!("the side `{side}` of `sides` gets nothing in `to`; give it a share, 0 if none"));
        }
        Ok(Self(written))
    }
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
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The fully written name; of several the first.
    name: String,
    /// All of them.
    names: Vec<String>,
    /// Their addresses (or the names of CNAMEs) that now get traffic.
    addresses: Vec<String>,
}

/// What undo restores: everything that the step acts on, as it was. Its `names` are where [`crate::model::dns`] finds the TTLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    zone: Zone,
    names: Vec<NameRecords>,
}

impl Action<World> for ShiftWeight {
    const KIND: &'static str = crate::model::dns::SHIFT;
    const EXAMPLE: &'static str = r#"
        zone: "${{ vars.zone }}"
        record: shop
        stages: [{ to: { aws: 50, aliyun: 50 }, hold: 30s }]
        to: { aws: 100, aliyun: 0 }
    "#;
    const ACTS: Acts = Acts::Dns { zone: "zone", provider: "provider" };
    const CALLS: Operations = Operations {
        plan: &["route53:ListHostedZonesByName", "route53:GetHostedZone", "route53:ListResourceRecordSets", "alidns:DescribeDomains", "alidns:DescribeDomainRecords", "alidns:DescribeDNSSLBSubDomains"],
        apply: &["route53:ListResourceRecordSets", "alidns:DescribeDomainRecords", "alidns:DescribeDNSSLBSubDomains", "route53:ChangeResourceRecordSets", "route53:GetChange", "alidns:UpdateDNSSLBWeight", "alidns:SetDomainRecordStatus", "alidns:SetDNSSLBStatus"],
        undo: &["route53:ListResourceRecordSets", "alidns:DescribeDomainRecords", "alidns:DescribeDNSSLBSubDomains", "route53:ChangeResourceRecordSets", "route53:GetChange", "alidns:UpdateDNSSLBWeight", "alidns:SetDomainRecordStatus", "alidns:SetDNSSLBStatus"],
        marks: &[],
    };
    const LEADS: bool = true;
    type Before = Before;
    type Output = Output;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<Before>, ActionError> {
        let (cloud, dns, zone) = cx.world.dns(&self.0.zone, self.0.provider)?;
        self.plan_on(dns, &zone, &cx.world.location(cloud).without_region(), cx.foreseen).await
    }

    async fn apply(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Applied<Output>, ActionError> {
        let (_, dns, _) = cx.world.dns(&self.0.zone, self.0.provider)?;
        let servers = Authority::new(cx.world.resolver(), dns, &before.zone);
        self.apply_on(&Side { dns, servers: &servers, progress: cx.progress }, before, cx.accepted).await
    }

    async fn undo(&self, cx: &Cx<'_, World>, before: &Before) -> Result<Undone, ActionError> {
        let (_, dns, _) = cx.world.dns(&self.0.zone, self.0.provider)?;
        let servers = Authority::new(cx.world.resolver(), dns, &before.zone);
        self.undo_on(&Side { dns, servers: &servers, progress: cx.progress }, before).await
    }
}

/// Where a change leads.
struct Goal {
    wanted: Vec<NameRecords>,
    /// What an attempt before this one has changed.
    sent: Vec<NameRecords>,
    /// The goal in words.
    what: String,
}

/// Who is told, who answers, and who listens.
struct Side<'a> {
    dns: &'a dyn Dns,
    servers: &'a dyn Servers,
    progress: &'a (dyn Fn(String) + Send + Sync),
}

impl ShiftWeight {
    fn choice(&self) -> Choice<'_> {
        Choice { lines: &self.0.lines, types: &self.0.types, sides: &self.0.sides }
    }

    async fn plan_on(&self, dns: &dyn Dns, zone: &str, location: &Location, foreseen: &Foreseen) -> Result<Planned<Before>, ActionError> {
        let zone = dns.zone(zone).await?;
        let found = self.look_up(dns, &zone).await?;
        let mut records = self.acted_on(&found)?;
        let key = |name: &str, record: &WeightedRecord| format!("record {} {name} {:?}", zone.id, record.key());
        for name in &mut records {
            for record in &mut name.records {
                (record.weight, record.enabled, record.weighted) =
                    foreseen.read(&key(&name.name, record), (record.weight, record.enabled, record.weighted));
            }
        }
        let stops = self.stops(dns, &records)?;
        let (wanted, notes) = self.wanted(dns, &records, &self.0.to)?;
        let open = still_open(&records, &wanted);
        let (mut targets, mut midway) = (Vec::new(), BTreeSet::new());
        let (goals, stops) = (ByName::of(&open), stops.iter().map(|stop| ByName::of(stop)).collect::<Vec<_>>());
        for (name, now) in records.iter().flat_map(|name| name.records.iter().map(move |record| (name, record))) {
            let change = goals.record(&name.name, now).filter(|then| !now.stands_as(then)).map(|then| Change::between(weight(now), weight(then)));
            if now.locked && change.is_some() {
                let message = format!("{}: the record {} is locked and cannot be changed; have it unlocked", name.name, label(now));
                return Err(ActionError::Other { message, retry: false });
            }
            if stops.iter().any(|stop| stands_in(stop, &name.name, now)) {
                midway.insert(targets.len());
            }
            targets.push(target(location, &name.name, now).changing(change));
        }
        let subject = self.subject(&zone, &found, &notes);
        let mut calls: Vec<PlannedCall> = dns.reads().into_iter().map(|operation| PlannedCall::read(operation, &subject)).collect();
        let mut now = records.clone();
        let steps = self.stages_left(dns, &records)?.iter().map(|stage| &stage.to).chain([&self.0.to]);
        for to in steps.filter(|_| !open.is_empty()) {
            let open = still_open(&now, &self.wanted(dns, &now, to)?.0);
            if open.is_empty() {
                continue;
            }
            calls.extend(dns.changes(&zone, &now, &open).into_iter().map(|(operation, what)| PlannedCall::write(operation, format!("{what}: {to}"))));
            let open = ByName::of(&open);
            for (name, record) in now.iter_mut().flat_map(|name| name.records.iter_mut().map(|record| (&name.name, record))) {
                if let Some(then) = open.record(name, record) {
                    *record = then.clone();
                }
            }
        }
        for (name, record) in now.iter().flat_map(|name| name.records.iter().map(move |record| (name, record))) {
            foreseen.write(&key(&name.name, record), &(record.weight, record.enabled, record.weighted));
        }
        Ok(Planned { midway, ..Planned::new(Before { zone, names: records }, targets, calls) })
    }

    /// What the look-up is about, and what it leaves alone.
    fn subject(&self, zone: &Zone, found: &[NameRecords], notes: &[String]) -> String {
        let choice = self.choice();
        let mut left: Vec<String> = found.iter().flat_map(|name| choice.lines_left(name)).collect();
        left.sort();
        left.dedup();
        let mut subject = match found {
            [one] => one.name.clone(),
            several => format!("{} names of {}", several.len(), zone.name),
        };
        if zone.private {
            subject.push_str(" (private zone)");
        }
        if !left.is_empty() {
            subject.push_str(&format!("; left alone: the lines {}", left.join(", ")));
        }
        notes.iter().for_each(|note| subject.push_str(&format!("; {note}")));
        subject
    }

    /// The names that are meant, in one look-up.
    async fn look_up(&self, dns: &dyn Dns, zone: &Zone) -> Result<Vec<NameRecords>, ActionError> {
        let Some(pattern) = &self.0.matching else {
            let written = self.0.record.iter().chain(&self.0.records);
            let names = written.map(|record| within(&zone.name, record)).collect::<Result<Vec<_>, _>>().map_err(ActionError::Parameters)?;
            return Ok(dns.names(zone, Names::These(&names)).await?);
        };
        let all = dns.names(zone, Names::All).await?;
        let is_meant = |name: &NameRecords| fits(pattern, &name.name, &zone.name) && self.choice().has_sides(name, &self.0.to);
        let found: Vec<NameRecords> = all.into_iter().filter(is_meant).collect();
        if found.is_empty() {
            let sides: Vec<&str> = self.0.to.iter().map(|(side, _)| side).collect();
            return Err(ActionError::NoTargets(format!("no name of {} fits `{pattern}` and has records of {}", zone.name, sides.join(" or "))));
        }
        Ok(found)
    }

    /// Of each name what is acted on; every name has some.
    fn acted_on(&self, found: &[NameRecords]) -> Result<Vec<NameRecords>, ActionError> {
        let choice = self.choice();
        found.iter().map(|name| Ok(NameRecords { lines_left: choice.lines_left(name), ..name.with(choice.acted_on(name)?) })).collect()
    }

    /// Every name as `to` wants it, with what cannot be exact.
    fn wanted(&self, dns: &dyn Dns, names: &[NameRecords], to: &Shares) -> Result<(Vec<NameRecords>, Vec<String>), ActionError> {
        let (mut wanted, mut notes) = (Vec::new(), Vec::new());
        for name in names {
            let (records, inexact) = self.choice().target(dns, &name.name, &name.records, to)?;
            notes.extend(inexact);
            wanted.push(name.with(records));
        }
        Ok((wanted, notes))
    }

    async fn apply_on(&self, side: &Side<'_>, before: &Before, accepted: &(dyn Fn() + Send + Sync)) -> Result<Applied<Output>, ActionError> {
        let dns = side.dns;
        let mut current = self.read(dns, before).await?;
        let (wanted, notes) = self.wanted(dns, &current, &self.0.to)?;
        notes.into_iter().for_each(side.progress);
        if self.is_done(&current, &wanted) {
            accepted();
            // After an ambiguous outcome the change may be ours: then it was changed by this step all the same, and may still be on its way.
            let already = self.is_done(&before.names, &wanted);
            if !already {
                self.await_answers(side, &wanted, true).await?;
            }
            return Ok(Applied { output: output(&current), already });
        }
        // An attempt before this one may have sent some of it, which may still be on its way: the ids of its changes went with it.
        let mut sent = still_open(&before.names, &current);
        for stage in self.stages_left(dns, &current)? {
            let (wanted, _) = self.wanted(dns, &current, &stage.to)?;
            let goal = Goal { wanted, sent: std::mem::take(&mut sent), what: format!("{}, held for {}", stage.to, stage.hold) };
            self.set(side, before, &current, goal, &|| {}).await?;
            tokio::time::sleep(stage.hold.duration()).await;
            current = self.read(dns, before).await?;
        }
        let (wanted, _) = self.wanted(dns, &current, &self.0.to)?;
        let done = self.set(side, before, &current, Goal { wanted, sent, what: self.0.to.to_string() }, accepted).await?;
        Ok(Applied::changed(output(&done)))
    }

    fn is_done(&self, current: &[NameRecords], wanted: &[NameRecords]) -> bool {
        let current = ByName::of(current);
        wanted.iter().all(|name| is_worth(current.records(&name.name), &name.records))
    }

    /// Every name as it is at each stop on the way.
    fn stops(&self, dns: &dyn Dns, names: &[NameRecords]) -> Result<Vec<Vec<NameRecords>>, ActionError> {
        self.0.stages.iter().map(|stage| Ok(self.wanted(dns, names, &stage.to)?.0)).collect()
    }

    /// The stages from the one that was reached last on, be it by some of the records only: another attempt does not lead the traffic back to those
    /// before it.
    fn stages_left(&self, dns: &dyn Dns, current: &[NameRecords]) -> Result<&[Stage], ActionError> {
        let ways = self.stops(dns, current)?;
        let by_name: Vec<ByName<'_>> = ways.iter().map(|way| ByName::of(way)).collect();
        let is_on_its_way = |before: &ByName<'_>, then: &ByName<'_>| {
            let all = || current.iter().flat_map(|name| name.records.iter().map(move |record| (name.name.as_str(), record)));
            all().all(|(name, record)| stands_in(before, name, record) || stands_in(then, name, record)) && all().any(|(name, record)| stands_in(then, name, record))
        };
        let is_reached = |at: usize| self.is_done(current, &ways[at]) || (at > 0 && is_on_its_way(&by_name[at - 1], &by_name[at]));
        let reached = (0..ways.len()).rev().find(|at| is_reached(*at)).unwrap_or_default();
        Ok(&self.0.stages[reached..])
    }

    async fn undo_on(&self, side: &Side<'_>, before: &Before) -> Result<Undone, ActionError> {
        let dns = side.dns;
        let names: Vec<String> = before.names.iter().map(|name| name.name.clone()).collect();
        // Deleted: there is nothing left whose weight could be put back.
        let current = match dns.names(&before.zone, Names::These(&names)).await {
            Err(error) if error.kind != Kind::NotFound => return Err(error.into()),
            found => found.unwrap_or_default(),
        };
        let now = ByName::of(&current);
        let back = |name: &NameRecords| name.with(restored(now.records(&name.name), &name.records));
        let wanted: Vec<NameRecords> = before.names.iter().map(back).collect();
        let is_back = |(name, back): (&NameRecords, &NameRecords)| {
            back.records.len() == name.records.len() && is_as(now.records(&name.name), &back.records)
        };
        if before.names.iter().zip(&wanted).all(is_back) {
            // An undo that was cut off may have put it back just now.
            self.await_answers(side, &wanted, false).await?;
            return Ok(Undone::Already);
        }
        let shares = self.0.stages.iter().map(|stage| &stage.to).chain([&self.0.to]);
        let ways = shares.map(|to| Ok(self.wanted(dns, &before.names, to)?.0)).collect::<Result<Vec<_>, ActionError>>()?;
        let ways: Vec<ByName<'_>> = ways.iter().map(|way| ByName::of(way)).collect();
        // Of several names those are put back that nobody else has changed, before it is said which were.
        let mut conflict = None;
        let mut ours = Vec::new();
        for (name, back) in before.names.iter().zip(wanted) {
            let ways: Vec<Vec<WeightedRecord>> = ways.iter().map(|way| way.records(&name.name).to_vec()).collect();
            match check_ours(&name.name, now.records(&name.name), &name.records, &ways) {
                Ok(()) => ours.push(back),
                Err(error) => conflict = conflict.or(Some(error)),
            }
        }
        if !ours.is_empty() {
            self.send(side, &before.zone, &ours, "as before", &|| {}).await?;
            let read = dns.names(&before.zone, Names::These(&names)).await?;
            let read = ByName::of(&read);
            if !ours.iter().all(|name| is_as(read.records(&name.name), &name.records)) {
                return Err(not_taken(&ours));
            }
        }
        conflict.map_or(Ok(Undone::Restored), Err)
    }

    /// Sets what does not already draw its share, and waits until every name server answers it and it reads back as set: what was read then.
    async fn set(
        &self,
        side: &Side<'_>,
        before: &Before,
        current: &[NameRecords],
        goal: Goal,
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<Vec<NameRecords>, ActionError> {
        let Goal { wanted, sent, what } = goal;
        let open = still_open(current, &wanted);
        self.send(side, &before.zone, &open, &what, accepted).await?;
        self.await_answers(side, &without(&sent, &open), true).await?;
        let read = self.read(side.dns, before).await?;
        if self.is_done(&read, &wanted) { Ok(read) } else { Err(not_taken(&wanted)) }
    }

    /// Sends a change and waits until every name server answers it.
    async fn send(
        &self,
        side: &Side<'_>,
        zone: &Zone,
        wanted: &[NameRecords],
        what: &str,
        accepted: &(dyn Fn() + Send + Sync),
    ) -> Result<(), ActionError> {
        let dns = side.dns;
        let changes = dns.change(zone, wanted).await?;
        accepted();
        (side.progress)(format!("{}: {what}", names_of(wanted)));
        if changes.is_empty() {
            return self.await_answers(side, wanted, false).await;
        }
        for change in &changes {
            until(|| async move { Ok(dns.in_sync(change).await?.then_some(())) }).await?;
        }
        Ok(())
    }

    /// For a change whose progress no provider tells. Every name is asked for at least once, [`ASKED_AT_ONCE`] at a time, and again until it is answered
    /// or [`spread`] is over. What is not seen is said; that the records read as they shall is known all the same.
    async fn await_answers(&self, side: &Side<'_>, names: &[NameRecords], patient: bool) -> Result<(), ActionError> {
        let mut sets: Vec<(String, Vec<WeightedRecord>)> = Vec::new();
        // Who asks from here gets the answers of one line only, and nobody knows which: only names without lines tell anything.
        for name in names.iter().filter(|name| name.lines_left.is_empty()) {
            for record in &name.records {
                match sets.last_mut().filter(|(of, own)| *of == name.name && own.iter().any(|own| own.set() == record.set())) {
                    Some((_, own)) => own.push(record.clone()),
                    None => sets.push((name.name.clone(), vec![record.clone()])),
                }
            }
        }
        sets.retain(|(_, own)| own.iter().all(|record| matches!(record.line.as_str(), "" | "default")));
        let deadline = spread();
        let asked = stream::iter(sets).map(|(name, own)| async move {
            let told = answered(side.servers, &name, &own, deadline).await?;
            Ok::<_, ActionError>((name, told))
        });
        let mut asked = pin!(asked.buffer_unordered(ASKED_AT_ONCE));
        let mut otherwise = BTreeSet::new();
        while let Some((name, told)) = asked.try_next().await? {
            match told {
                Reply::Answered => {}
                Reply::Otherwise => {
                    otherwise.insert(name);
                }
                // The same servers answer for every name of the zone.
                Reply::Nothing => {
                    if patient {
                        tokio::time::sleep_until(deadline).await;
                    }
                    (side.progress)(format!("{name}: its name servers cannot be asked from here"));
                    break;
                }
            }
        }
        if let Some(first) = otherwise.first() {
            let more = if otherwise.len() > 1 { format!(" and {} more", otherwise.len() - 1) } else { String::new() };
            (side.progress)(format!("{first}{more}: the name servers still answer otherwise"));
        }
        Ok(())
    }

    /// The names of the plan as they are now.
    async fn read(&self, dns: &dyn Dns, before: &Before) -> Result<Vec<NameRecords>, ActionError> {
        let names: Vec<String> = before.names.iter().map(|name| name.name.clone()).collect();
        self.acted_on(&dns.names(&before.zone, Names::These(&names)).await?)
    }
}

/// Whether a name fits a pattern: as it is written inside the zone, or as a whole.
fn fits(pattern: &str, name: &str, zone: &str) -> bool {
    let pattern = pattern.trim().to_ascii_lowercase();
    // An international pattern is held against names in their one form.
    let pattern = if pattern.is_ascii() { pattern } else { canonical(&pattern).unwrap_or(pattern) };
    let pattern = pattern.trim_end_matches('.');
    glob::fits(pattern, relative(name, zone)) || glob::fits(pattern, name)
}

/// Of `wanted` the sets that do not draw their shares yet; the others keep the weights they have.
fn still_open(current: &[NameRecords], wanted: &[NameRecords]) -> Vec<NameRecords> {
    let current = ByName::of(current);
    let of = |name: &NameRecords| {
        let now = current.records(&name.name);
        let is_open = |record: &&WeightedRecord| {
            let own: Vec<WeightedRecord> = name.records.iter().filter(|other| other.set() == record.set()).cloned().collect();
            !is_worth(now, &own)
        };
        let records: Vec<WeightedRecord> = name.records.iter().filter(is_open).cloned().collect();
        (!records.is_empty()).then(|| name.with(records))
    };
    wanted.iter().filter_map(of).collect()
}

/// Of `names` the records that are not among `others`.
fn without(names: &[NameRecords], others: &[NameRecords]) -> Vec<NameRecords> {
    let others = ByName::of(others);
    let of = |name: &NameRecords| {
        let records: Vec<WeightedRecord> = name.records.iter().filter(|record| others.record(&name.name, record).is_none()).cloned().collect();
        (!records.is_empty()).then(|| name.with(records))
    };
    names.iter().filter_map(of).collect()
}

/// Whether a record of a name is as it is among `names`.
fn stands_in(names: &ByName<'_>, name: &str, record: &WeightedRecord) -> bool {
    names.record(name, record).is_some_and(|other| record.stands_as(other))
}

/// Names for people: the first, and how many more.
fn names_of(names: &[NameRecords]) -> String {
    match names {
        [] => String::new(),
        [one] => one.name.clone(),
        [first, rest @ ..] => format!("{} and {} more", first.name, rest.len()),
    }
}

fn not_taken(names: &[NameRecords]) -> ActionError {
    ActionError::NoEffect(format!("the weights of {} were accepted but do not read back as set", names_of(names)))
}

fn output(names: &[NameRecords]) -> Output {
    let served = names.iter().flat_map(|name| &name.records).filter(|record| record.effect() > 0);
    Output {
        name: names.first().map(|name| name.name.clone()).unwrap_or_default(),
        addresses: served.flat_map(|record| record.values.clone()).collect(),
        names: names.iter().map(|name| name.name.clone()).collect(),
    }
}

#[cfg(test)]
pub(in crate::catalogue) mod fake;
#[cfg(test)]
mod tests;
