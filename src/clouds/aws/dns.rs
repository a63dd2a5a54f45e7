//! Route 53 weighted record sets behind the DNS port: which zone is meant, which records its names have, and changes in as few batches as the
//! service allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ChangeStatus, HostedZone, HostedZoneConfig, ResourceRecordSet, RrType};

use super::Aws;
use super::call::{fits, send};
use crate::model::domain::{above, canonical};
use crate::ports::dns::{ChangeId, Delegation, Dns, NameRecords, Names, OtherRecord, WeightedRecord, Zone};
use crate::ports::pages::Pages;
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const ZONES: &str = "route53:ListHostedZonesByName";
const ZONE: &str = "route53:GetHostedZone";
const LIST: &str = "route53:ListResourceRecordSets";
const CHANGE: &str = "route53:ChangeResourceRecordSets";
const SYNC: &str = "route53:GetChange";

/// The longest text that is sent as a zone: the longest name in DNS with its dots, escapes included.
const LONGEST_NAME: usize = 1024;
/// The heaviest weight that Route 53 takes.
const HEAVIEST: u32 = 255;
/// The TTL of an alias to a load balancer, in seconds ("Choosing between alias and non-alias records" in the developer guide).
const ALIAS_TTL: u32 = 60;
/// The most `ResourceRecord` elements of a batch ("Quotas on records" in the developer guide); those of an UPSERT count twice, and so does, here, a
/// set without any.
const MOST_VALUES: usize = 1000;
/// The most characters of all values of a batch; those of an UPSERT count twice.
const MOST_CHARACTERS: usize = 32_000;
/// Types whose records lead somewhere: where one of them goes by something else than weights, a part of the name stays behind.
const LEADING: [RrType; 3] = [RrType::A, RrType::Aaaa, RrType::Cname];

impl Dns for Aws {
    fn zone<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Zone> {
        Box::pin(async move {
            let known = self.shared.zones.lock().unwrap_or_else(PoisonError::into_inner).get(zone).cloned();
            if let Some(known) = known {
                return Ok(known);
            }
            fits(ZONES, "zone", zone, LONGEST_NAME)?;
            let found = match zone_id(zone) {
                Some(id) => self.zone_by_id(id).await?,
                None => self.zone_by_name(zone).await?,
            };
            self.shared.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.to_owned(), found.clone());
            Ok(found)
        })
    }

    fn names<'a>(&'a self, zone: &'a Zone, names: Names<'a>) -> PortFuture<'a, Vec<NameRecords>> {
        Box::pin(async move {
            let sets = self.sets(zone, names).await?;
            sets.iter().map(|(name, sets)| Self::records(name, sets)).collect()
        })
    }

    fn change<'a>(&'a self, zone: &'a Zone, names: &'a [NameRecords]) -> PortFuture<'a, Vec<ChangeId>> {
        Box::pin(async move {
            let wanted: Vec<String> = names.iter().map(|name| name.name.clone()).collect();
            // One at a time for each zone: Route 53 refuses the next while it works on one.
            let turn = Arc::clone(self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner).entry(zone.id.clone()).or_default());
            let _turn = turn.lock().await;
            // Read again: an UPSERT replaces the whole record set, and values, TTL and health check must be those of this moment.
            let sets = self.sets(zone, Names::These(&wanted)).await?;
            let mut changed = Vec::new();
            for name in names {
                let own = sets.get(&name.name).map(|found| found.sets.clone()).unwrap_or_default();
                changed.push(changed_sets(own, &name.records, &name.name)?);
            }
            let mut sent = Vec::new();
            for batch in batches(changed, |set| size(set.resource_records().iter().map(|record| record.value()))) {
                // Of several batches some may be done when one fails.
                let change = self.submit(zone, batch).await.map_err(|error| if sent.is_empty() { error } else { error.ambiguous(true) })?;
                sent.push(change);
            }
            Ok(sent)
        })
    }

    fn in_sync<'a>(&'a self, change: &'a ChangeId) -> PortFuture<'a, bool> {
        Box::pin(async move {
            let operation = self.global(SYNC, false);
            let answer = send!(operation, aws_sdk_route53, self.shared.route53.get_change().id(&change.0))?;
            let info = answer.change_info.ok_or_else(|| malformed(SYNC, "an answer without the change"))?;
            Ok(info.status == ChangeStatus::Insync)
        })
    }

    fn name_servers<'a>(&'a self, zone: &'a Zone) -> PortFuture<'a, Vec<String>> {
        Box::pin(async move {
            if zone.private {
                return Ok(Vec::new());
            }
            let operation = self.global(LIST, false);
            let request =
                self.shared.route53.list_resource_record_sets().hosted_zone_id(&zone.id).start_record_name(&zone.name).start_record_type(RrType::Ns);
            let page = send!(operation, aws_sdk_route53, request)?;
            let own = page.resource_record_sets.iter().filter(|set| is_called(set, &zone.name) && *set.r#type() == RrType::Ns);
            Ok(own.flat_map(|set| set.resource_records()).map(|record| record.value().to_owned()).collect())
        })
    }

    fn heaviest(&self) -> u32 {
        HEAVIEST
    }

    fn weighed(&self, record: &WeightedRecord, weight: u32) -> WeightedRecord {
        WeightedRecord { weight: weight.min(HEAVIEST), enabled: true, ..record.clone() }
    }

    fn can_weigh(&self, _: &str) -> bool {
        true
    }

    fn answers_zero(&self) -> bool {
        true
    }

    fn reads(&self) -> Vec<&'static str> {
        vec![ZONES, LIST, SYNC]
    }

    fn changes(&self, _: &Zone, now: &[NameRecords], wanted: &[NameRecords]) -> Vec<(&'static str, String)> {
        let differing = wanted.iter().map(|name| {
            let is = now.iter().find(|is| is.name == name.name).map(|is| is.records.as_slice()).unwrap_or_default();
            let differs = |record: &&WeightedRecord| is.iter().any(|is| is.key() == record.key() && !is.stands_as(record));
            name.records.iter().filter(differs).map(|record| (name.name.clone(), record)).collect::<Vec<_>>()
        });
        let batches = batches(differing.collect(), |(_, record)| size(record.values.iter().map(String::as_str)));
        let said = |batch: Vec<(String, &WeightedRecord)>| {
            let names: BTreeSet<String> = batch.into_iter().map(|(name, _)| name).collect();
            let first = names.first().cloned().unwrap_or_default();
            if names.len() > 1 { format!("{} names from {first} on", names.len()) } else { first }
        };
        batches.into_iter().map(|batch| (CHANGE, said(batch))).collect()
    }
}

/// The record sets of one name, whole, and where the zone hands it on.
#[derive(Default)]
struct NameSets {
    sets: Vec<ResourceRecordSet>,
    delegation: Option<Delegation>,
}

impl Aws {
    async fn zone_by_id(&self, id: &str) -> Result<Zone, CloudError> {
        let operation = self.global(ZONE, false);
        let answer = send!(operation, aws_sdk_route53, self.shared.route53.get_hosted_zone().id(id))?;
        let found = answer.hosted_zone.ok_or_else(|| malformed(ZONE, "an answer without the zone"))?;
        zone_of(&found)
    }

    /// The one hosted zone with this name; of a public and private ones the public.
    async fn zone_by_name(&self, zone: &str) -> Result<Zone, CloudError> {
        let wanted = canonical(zone).map_err(|why| invalid(ZONES, why))?;
        let mut found = Vec::new();
        let mut pages = Pages::of(Cloud::Aws, ZONES);
        let mut from = (Some(wire(&wanted)), None);
        loop {
            let operation = self.global(ZONES, false);
            // Zones come in order from this name on; those of the same name stand first.
            let request = self.shared.route53.list_hosted_zones_by_name().set_dns_name(from.0).set_hosted_zone_id(from.1);
            let page = send!(operation, aws_sdk_route53, request)?;
            let is_called = |zone: &&HostedZone| canonical(zone.name()).as_ref() == Ok(&wanted);
            let here: Vec<Zone> = page.hosted_zones().iter().filter(is_called).map(zone_of).collect::<Result<_, _>>()?;
            let is_past = here.len() < page.hosted_zones().len();
            found.extend(here);
            if is_past || !page.is_truncated {
                break;
            }
            from = (page.next_dns_name, page.next_hosted_zone_id);
            pages.turn(&format!("{from:?}"))?;
        }
        let (private, public): (Vec<Zone>, Vec<Zone>) = found.into_iter().partition(|zone| zone.private);
        match (public.as_slice(), private.as_slice()) {
            ([one], _) | ([], [one]) => Ok(one.clone()),
            ([], []) => {
                let message = format!("there is no hosted zone `{wanted}` in this account; `zone` takes its name or its id");
                Err(CloudError::new(Cloud::Aws, ZONES, Kind::NotFound, message))
            }
            ([], several) | (several, _) => {
                let what = if several[0].private { "private hosted zones" } else { "public hosted zones" };
                let ids: Vec<&str> = several.iter().map(|zone| zone.id.as_str()).collect();
                let message =
                    format!("{} {what} are called `{wanted}`: {}; write the id of the one that is meant as `zone`", several.len(), ids.join(", "));
                Err(invalid(ZONES, message))
            }
        }
    }

    /// Every record set of the names, by canonical name, from one pass through the zone between the first and the last of them.
    async fn sets(&self, zone: &Zone, names: Names<'_>) -> Result<BTreeMap<String, NameSets>, CloudError> {
        let mut wanted: Option<Vec<&String>> = match names {
            Names::These(names) => Some(names.iter().collect()),
            Names::All => None,
        };
        if let Some(wanted) = &mut wanted {
            wanted.sort_by_key(|name| sort_key(name));
        }
        let first = wanted.as_ref().map(|wanted| wanted.first().map_or(zone.name.as_str(), |name| name.as_str()));
        let last = wanted.as_ref().and_then(|wanted| wanted.last()).map(|name| sort_key(name));
        let mut found: BTreeMap<String, NameSets> = wanted.iter().flatten().map(|name| ((*name).clone(), NameSets::default())).collect();
        let mut cuts = BTreeMap::new();
        let mut pages = Pages::of(Cloud::Aws, LIST);
        let mut from = (first.map(wire), first.map(|_| RrType::A), None);
        loop {
            let operation = self.global(LIST, false);
            let request = self
                .shared
                .route53
                .list_resource_record_sets()
                .hosted_zone_id(&zone.id)
                .set_start_record_name(from.0)
                .set_start_record_type(from.1)
                .set_start_record_identifier(from.2);
            let page = send!(operation, aws_sdk_route53, request)?;
            let mut is_past = false;
            for set in page.resource_record_sets {
                // What no name is called by cannot be asked for either.
                let Ok(name) = canonical(set.name()) else { continue };
                is_past |= last.as_ref().is_some_and(|last| sort_key(&name) > *last);
                if *set.r#type() == RrType::Ns && name != zone.name {
                    cuts.insert(name.clone(), servers(&set));
                }
                if wanted.as_ref().is_none_or(|wanted| wanted.binary_search_by_key(&sort_key(&name), |name| sort_key(name)).is_ok()) {
                    found.entry(name).or_default().sets.push(set);
                }
            }
            if is_past || !page.is_truncated {
                break;
            }
            from = (page.next_record_name, page.next_record_type, page.next_record_identifier);
            pages.turn(&format!("{from:?}"))?;
        }
        // A zone cut above a name may stand before the first of them.
        let seen_from = first.map(sort_key);
        let mut asked = BTreeSet::new();
        for name in found.keys().cloned().collect::<Vec<_>>() {
            for above in above(&name, &zone.name) {
                let is_unseen = seen_from.as_ref().is_some_and(|from| sort_key(above) < *from);
                if is_unseen
                    && asked.insert(above.to_owned())
                    && let Some(servers) = self.cut_at(zone, above).await?
                {
                    cuts.insert(above.to_owned(), servers);
                }
            }
            let cut = above(&name, &zone.name).filter_map(|above| Some((above, cuts.get(above)?))).last();
            if let (Some((at, to)), Some(found)) = (cut, found.get_mut(&name)) {
                found.delegation = Some(Delegation { at: at.to_owned(), to: to.clone() });
            }
        }
        Ok(found)
    }

    /// The servers that the zone hands `name` to, if it does.
    async fn cut_at(&self, zone: &Zone, name: &str) -> Result<Option<Vec<String>>, CloudError> {
        let operation = self.global(LIST, false);
        let list = self.shared.route53.list_resource_record_sets().hosted_zone_id(&zone.id);
        let request = list.start_record_name(wire(name)).start_record_type(RrType::Ns).max_items(1);
        let page = send!(operation, aws_sdk_route53, request)?;
        let is_cut = |set: &&ResourceRecordSet| *set.r#type() == RrType::Ns && is_called(set, name);
        Ok(page.resource_record_sets.iter().find(is_cut).map(servers))
    }

    fn records(name: &str, found: &NameSets) -> Result<NameRecords, CloudError> {
        let mut records = found.sets.iter().filter(|set| is_weighted(set)).map(record).collect::<Result<Vec<_>, _>>()?;
        records.sort_by(|a, b| a.key().cmp(&b.key()));
        let others = found.sets.iter().filter(|set| LEADING.contains(set.r#type()) && !is_weighted(set));
        let others = others.map(|set| OtherRecord {
            kind: set.r#type().as_str().to_owned(),
            policy: policy(set),
            label: set.set_identifier().unwrap_or_default().to_owned(),
        });
        Ok(NameRecords { name: name.to_owned(), records, others: others.collect(), delegation: found.delegation.clone(), lines_left: Vec::new() })
    }

    async fn submit(&self, zone: &Zone, sets: Vec<ResourceRecordSet>) -> Result<ChangeId, CloudError> {
        let mut batch = ChangeBatch::builder().comment("lifeboat: weights");
        for set in sets {
            let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(set).build();
            batch = batch.changes(change.map_err(|error| invalid(CHANGE, error.to_string()))?);
        }
        let batch = batch.build().map_err(|error| invalid(CHANGE, error.to_string()))?;
        let operation = self.global(CHANGE, true);
        let request = self.shared.route53.change_resource_record_sets().hosted_zone_id(&zone.id).change_batch(batch);
        let answer = send!(operation, aws_sdk_route53, request)?;
        let info = answer.change_info.ok_or_else(|| malformed(CHANGE, "a change without an id").ambiguous(true))?;
        Ok(ChangeId(info.id))
    }
}

/// The id in `zone`, if it is one: capitals and digits, with or without `/hostedzone/`. A name of one label is told by its final dot or small letters.
fn zone_id(zone: &str) -> Option<&str> {
    let id = zone.trim();
    let is_id = |id: &str| (2..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    match id.strip_prefix("/hostedzone/") {
        Some(id) => Some(id),
        None => is_id(id).then_some(id),
    }
}

fn zone_of(zone: &HostedZone) -> Result<Zone, CloudError> {
    let name = canonical(zone.name()).map_err(|why| malformed(ZONES, &why))?;
    let private = zone.config().is_some_and(HostedZoneConfig::private_zone);
    Ok(Zone { id: zone.id().trim_start_matches("/hostedzone/").to_owned(), name, private })
}

/// Whether Lifeboat may move it: a set with a weight that no traffic policy keeps.
fn is_weighted(set: &ResourceRecordSet) -> bool {
    set.weight().is_some() && set.traffic_policy_instance_id().is_none() && !matches!(set.r#type(), RrType::Ns | RrType::Soa)
}

/// How Route 53 chooses a set, in its own word.
fn policy(set: &ResourceRecordSet) -> &'static str {
    match () {
        () if set.traffic_policy_instance_id().is_some() => "traffic policy",
        () if set.failover().is_some() => "failover",
        () if set.region().is_some() => "latency",
        () if set.geo_location().is_some() => "geolocation",
        () if set.geo_proximity_location().is_some() => "geoproximity",
        () if set.cidr_routing_config().is_some() => "IP-based",
        () if set.multi_value_answer().is_some() => "multivalue answer",
        () => "simple",
    }
}

fn servers(set: &ResourceRecordSet) -> Vec<String> {
    set.resource_records().iter().map(|record| record.value().to_owned()).collect()
}

fn is_called(set: &ResourceRecordSet, name: &str) -> bool {
    canonical(set.name()).is_ok_and(|called| called == name)
}

/// The sets whose weight is not yet as asked, with it; everything else in them stays as it is.
fn changed_sets(sets: Vec<ResourceRecordSet>, records: &[WeightedRecord], name: &str) -> Result<Vec<ResourceRecordSet>, CloudError> {
    let mut by_label: BTreeMap<(String, String), ResourceRecordSet> =
        sets.into_iter().filter(is_weighted).filter_map(|set| Some(((set.r#type().as_str().to_owned(), set.set_identifier.clone()?), set))).collect();
    let mut changed = Vec::new();
    for record in records {
        if record.weight > HEAVIEST {
            return Err(invalid(CHANGE, format!("weight {} of `{}` is above {HEAVIEST}", record.weight, record.label)));
        }
        let Some(mut set) = by_label.remove(&(record.kind.clone(), record.label.clone())) else {
            let message = format!("`{name}` has no weighted {} record set `{}`", record.kind, record.label);
            return Err(CloudError::new(Cloud::Aws, CHANGE, Kind::NotFound, message));
        };
        // A side that is not to be answered has weight 0 here.
        let weight = Some(if record.enabled { i64::from(record.weight) } else { 0 });
        if set.weight != weight {
            set.weight = weight;
            changed.push(set);
        }
    }
    Ok(changed)
}

/// What one UPSERT counts: values and their characters.
fn size<'a>(values: impl Iterator<Item = &'a str>) -> (usize, usize) {
    let (count, characters) = values.fold((0, 0), |(count, characters), value| (count + 1, characters + value.chars().count()));
    (2 * count.max(1), 2 * characters)
}

/// Everything that changes, in as few batches as the limits allow. What belongs to one name stays together, so that it changes at once, unless it
/// is too large for any batch.
fn batches<T>(names: Vec<Vec<T>>, size: impl Fn(&T) -> (usize, usize)) -> Vec<Vec<T>> {
    let total = |own: &[T]| own.iter().map(&size).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let has_room = |used: (usize, usize), more: (usize, usize)| used.0 + more.0 <= MOST_VALUES && used.1 + more.1 <= MOST_CHARACTERS;
    let (mut batches, mut used) = (Vec::<Vec<T>>::new(), (0, 0));
    for own in names.into_iter().filter(|own| !own.is_empty()) {
        let parts: Vec<Vec<T>> = if has_room((0, 0), total(&own)) { vec![own] } else { own.into_iter().map(|one| vec![one]).collect() };
        for part in parts {
            let more = total(&part);
            match batches.last_mut().filter(|_| has_room(used, more)) {
                Some(batch) => {
                    batch.extend(part);
                    used = (used.0 + more.0, used.1 + more.1);
                }
                None => {
                    batches.push(part);
                    used = more;
                }
            }
        }
    }
    batches
}

fn record(set: &ResourceRecordSet) -> Result<WeightedRecord, CloudError> {
    let alias = set.alias_target().map(|target| target.dns_name().to_owned());
    let ttl = set.ttl().and_then(|ttl| u32::try_from(ttl).ok());
    Ok(WeightedRecord {
        kind: set.r#type().as_str().to_owned(),
        line: String::new(),
        label: set.set_identifier().ok_or_else(|| malformed(LIST, "a weighted record set without an identifier"))?.to_owned(),
        id: String::new(),
        weight: set.weight().and_then(|weight| u32::try_from(weight).ok()).ok_or_else(|| malformed(LIST, "a weight below zero"))?,
        enabled: true,
        weighted: true,
        // An alias set has none; it is still written back whole.
        values: servers(set),
        ttl: ttl.unwrap_or(if alias.is_some() { ALIAS_TTL } else { 0 }),
        alias,
        health_check: set.health_check_id().map(str::to_owned),
        locked: false,
    })
}

/// A canonical name as it is sent: with its final dot.
fn wire(name: &str) -> String {
    format!("{name}.")
}

/// The key by which Route 53 sorts names: labels reversed, each with its dot (`com.example.www.`), a star as its escape.
fn sort_key(name: &str) -> String {
    name.replace('*', "\\052").rsplit('.').map(|label| format!("{label}.")).collect()
}

fn invalid(operation: &str, message: impl Into<String>) -> CloudError {
    CloudError::new(Cloud::Aws, operation, Kind::Invalid, message)
}

fn malformed(operation: &str, message: &str) -> CloudError {
    CloudError::new(Cloud::Aws, operation, Kind::Malformed, message)
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::{AliasTarget, ResourceRecord, ResourceRecordSetFailover, ResourceRecordSetRegion};

    use super::*;

    fn named(name: &str, kind: RrType, label: &str, weight: i64) -> ResourceRecordSet {
        ResourceRecordSet::builder()
            .name(name)
            .r#type(kind)
            .set_identifier(label)
            .weight(weight)
            .ttl(5)
            .health_check_id("hc-1")
            .resource_records(ResourceRecord::builder().value("192.0.2.1").build().unwrap())
            .build()
            .unwrap()
    }

    fn set(label: &str, weight: i64) -> ResourceRecordSet {
        named("shop.example.com.", RrType::A, label, weight)
    }

    fn asked(label: &str, weight: u32) -> WeightedRecord {
        WeightedRecord { weight, ..record(&set(label, 0)).unwrap() }
    }

    #[test]
    fn only_differing_sets_change_and_nothing_but_their_weight() {
        let sets = vec![set("aws", 0), set("aliyun", 100)];
        let changed = changed_sets(sets, &[asked("aws", 50), asked("aliyun", 100)], "shop.example.com").unwrap();
        assert_eq!(changed, [set("aws", 50)]);
        assert_eq!(changed[0].health_check_id(), Some("hc-1"));
    }

    #[test]
    fn sets_of_one_identifier_are_told_apart_by_their_type() {
        let six = named("shop.example.com.", RrType::Aaaa, "aws", 0);
        let wanted = WeightedRecord { weight: 7, ..record(&six).unwrap() };
        let changed = changed_sets(vec![set("aws", 0), six], &[wanted], "shop.example.com").unwrap();
        assert_eq!(changed, [named("shop.example.com.", RrType::Aaaa, "aws", 7)]);
    }

    #[test]
    fn a_disabled_side_weighs_nothing() {
        let off = WeightedRecord { enabled: false, ..asked("aws", 80) };
        assert_eq!(changed_sets(vec![set("aws", 80)], &[off], "x").unwrap(), [set("aws", 0)]);
    }

    #[test]
    fn unknown_labels_and_heavy_weights_are_refused() {
        let check = |record, kind| assert_eq!(changed_sets(vec![set("aws", 0)], &[record], "x").unwrap_err().kind, kind);
        check(asked("azure", 1), Kind::NotFound);
        check(asked("aws", 256), Kind::Invalid);
    }

    #[test]
    fn an_alias_is_written_back_whole() {
        let target = AliasTarget::builder().hosted_zone_id("Z35S").dns_name("lb.example.").evaluate_target_health(true).build().unwrap();
        let mut alias = set("aws", 3);
        (alias.alias_target, alias.resource_records, alias.ttl) = (Some(target), None, None);
        let known = record(&alias).unwrap();
        assert_eq!((known.alias.as_deref(), known.values.len(), known.ttl), (Some("lb.example."), 0, 60));
        let changed = changed_sets(vec![alias.clone()], &[WeightedRecord { weight: 9, ..known }], "x").unwrap();
        alias.weight = Some(9);
        assert_eq!(changed, [alias]);
    }

    #[test]
    fn what_goes_by_something_else_is_called_by_its_policy() {
        let plain = || ResourceRecordSet::builder().name("x.").r#type(RrType::A);
        assert_eq!(policy(&plain().build().unwrap()), "simple");
        assert_eq!(policy(&plain().failover(ResourceRecordSetFailover::Primary).build().unwrap()), "failover");
        assert_eq!(policy(&plain().region(ResourceRecordSetRegion::UsEast1).build().unwrap()), "latency");
        assert_eq!(policy(&plain().multi_value_answer(true).build().unwrap()), "multivalue answer");
        assert!(!is_weighted(&plain().weight(1).traffic_policy_instance_id("p").build().unwrap()));
    }

    #[test]
    fn ids_are_told_from_names() {
        for (zone, id) in [
            ("Z0LIFEBOATEXAMPLECOM", Some("Z0LIFEBOATEXAMPLECOM")),
            ("/hostedzone/Z123", Some("Z123")),
            ("example.com.", None),
            ("9LHN6QK7QQFR2KFAT6ZWAT", Some("9LHN6QK7QQFR2KFAT6ZWAT")),
            ("zebra", None),
            ("CORP.", None),
            ("ZEBRA.com", None),
        ] {
            assert_eq!(zone_id(zone), id, "{zone}");
        }
    }

    #[test]
    fn batches_keep_a_name_together_and_every_limit() {
        let names = |count: usize, values: usize| -> Vec<Vec<(usize, usize)>> { (0..count).map(|_| vec![(2 * values, 2 * values * 9); 2]).collect() };
        let sizes = |names| batches(names, |size| *size).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(names(250, 1)), [500], "1,000 values, each UPSERT counted twice");
        assert_eq!(sizes(names(251, 1)), [500, 2]);
        assert_eq!(sizes(names(40, 1)), [80]);
        assert_eq!(sizes(vec![vec![(2, 20_000)], vec![(2, 12_000)], vec![(2, 1)]]), [2, 1], "32,000 characters");
        assert_eq!(sizes(vec![vec![(600, 1); 3]]), [1, 1, 1], "a name that is too large for one");
        assert_eq!(size(std::iter::empty()), (2, 0), "an alias is a change, too");
        assert_eq!(size(["192.0.2.1", "192.0.2.10"].into_iter()), (4, 38));
    }

    #[test]
    fn names_are_in_the_services_order() {
        let mut names = ["www.example.com", "example.com", "a.b.example.com", "*.example.com", "b.example.com"];
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(names, ["example.com", "*.example.com", "b.example.com", "a.b.example.com", "www.example.com"]);
    }
}
