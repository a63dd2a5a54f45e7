//! Route 53 weighted record sets behind the DNS port.

use std::collections::BTreeMap;

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ChangeStatus, HostedZone, ResourceRecordSet, RrType};

use super::Aws;
use super::call::{fits, send};
use crate::ports::dns::{ChangeId, Dns, WeightedRecord};
use crate::ports::pages::Pages;
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const ZONES: &str = "route53:ListHostedZonesByName";
const LIST: &str = "route53:ListResourceRecordSets";
const CHANGE: &str = "route53:ChangeResourceRecordSets";
const SYNC: &str = "route53:GetChange";

/// The longest name in DNS, in bytes, with its dots.
const LONGEST_NAME: usize = 255;

/// The heaviest weight that Route 53 takes.
const HEAVIEST: u32 = 255;

impl Dns for Aws {
    fn weights<'a>(&'a self, zone: &'a str, name: &'a str) -> PortFuture<'a, Vec<WeightedRecord>> {
        Box::pin(async move {
            let zone_id = self.zone_id(zone).await?;
            let sets = self.weighted_sets(&zone_id, &full_name(zone, name)).await?;
            let mut records = sets.iter().map(record).collect::<Result<Vec<_>, _>>()?;
            records.sort_by(|a, b| a.label.cmp(&b.label));
            Ok(records)
        })
    }

    fn set_weights<'a>(&'a self, zone: &'a str, name: &'a str, records: &'a [WeightedRecord]) -> PortFuture<'a, ChangeId> {
        Box::pin(async move {
            let zone_id = self.zone_id(zone).await?;
            let full = full_name(zone, name);
            // Read again: an UPSERT replaces the whole record set, and values, TTL and health check must be those of this moment.
            let sets = self.weighted_sets(&zone_id, &full).await?;
            let changed = changed_sets(sets, records, &full)?;
            if changed.is_empty() {
                return Ok(ChangeId(String::new()));
            }
            let mut batch = ChangeBatch::builder().comment("lifeboat: weights");
            for set in changed {
                let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(set).build();
                batch = batch.changes(change.map_err(|error| invalid(CHANGE, error.to_string()))?);
            }
            let batch = batch.build().map_err(|error| invalid(CHANGE, error.to_string()))?;
            let operation = self.global(CHANGE, true);
            let request = self.shared.route53.change_resource_record_sets().hosted_zone_id(zone_id).change_batch(batch);
            let answer = send!(operation, aws_sdk_route53, request)?;
            let info = answer.change_info.ok_or_else(|| malformed(CHANGE, "a change without an id").ambiguous(true))?;
            Ok(ChangeId(info.id))
        })
    }

    fn in_sync<'a>(&'a self, change: &'a ChangeId) -> PortFuture<'a, bool> {
        Box::pin(async move {
            // Nothing differed, so nothing was sent.
            if change.0.is_empty() {
                return Ok(true);
            }
            let operation = self.global(SYNC, false);
            let answer = send!(operation, aws_sdk_route53, self.shared.route53.get_change().id(&change.0))?;
            let info = answer.change_info.ok_or_else(|| malformed(SYNC, "an answer without the change"))?;
            Ok(info.status == ChangeStatus::Insync)
        })
    }

    fn name_servers<'a>(&'a self, zone: &'a str) -> PortFuture<'a, Vec<String>> {
        Box::pin(async move {
            let (zone_id, full) = (self.zone_id(zone).await?, absolute(zone));
            let operation = self.global(LIST, false);
            let request =
                self.shared.route53.list_resource_record_sets().hosted_zone_id(zone_id).start_record_name(&full).start_record_type(RrType::Ns);
            let page = send!(operation, aws_sdk_route53, request)?;
            let own = page.resource_record_sets.iter().filter(|set| absolute(set.name()) == full && *set.r#type() == RrType::Ns);
            Ok(own.flat_map(|set| set.resource_records()).map(|record| record.value().to_owned()).collect())
        })
    }

    fn share(&self, percent: u32, _record: &WeightedRecord) -> (u32, bool) {
        (percent.min(100), true)
    }

    fn calls(&self) -> Vec<(&'static str, bool)> {
        vec![(ZONES, false), (LIST, false), (CHANGE, true), (SYNC, false)]
    }
}

impl Aws {
    /// The id of the public hosted zone with this name.
    async fn zone_id(&self, zone: &str) -> Result<String, CloudError> {
        fits(ZONES, "zone", zone, LONGEST_NAME)?;
        let wanted = absolute(zone);
        let operation = self.global(ZONES, false);
        // Zones come in order from this name on; those of the same name stand first.
        let answer = send!(operation, aws_sdk_route53, self.shared.route53.list_hosted_zones_by_name().dns_name(&wanted))?;
        let found: Vec<&HostedZone> = answer.hosted_zones().iter().filter(|found| is_public(found) && absolute(found.name()) == wanted).collect();
        match found.as_slice() {
            [one] => Ok(one.id().trim_start_matches("/hostedzone/").to_owned()),
            [] => Err(CloudError::new(Cloud::Aws, ZONES, Kind::NotFound, format!("there is no public hosted zone `{wanted}`"))),
            several => {
                Err(invalid(ZONES, format!("{} public hosted zones are called `{wanted}`; which one serves it is not visible here", several.len())))
            }
        }
    }

    /// The weighted A record sets of one name, whole.
    async fn weighted_sets(&self, zone_id: &str, full: &str) -> Result<Vec<ResourceRecordSet>, CloudError> {
        fits(LIST, "name", full, LONGEST_NAME)?;
        let mut sets = Vec::new();
        let mut pages = Pages::of(Cloud::Aws, LIST);
        let mut from = (Some(full.to_owned()), Some(RrType::A), None);
        loop {
            let operation = self.global(LIST, false);
            let request = self
                .shared
                .route53
                .list_resource_record_sets()
                .hosted_zone_id(zone_id)
                .set_start_record_name(from.0)
                .set_start_record_type(from.1)
                .set_start_record_identifier(from.2);
            let page = send!(operation, aws_sdk_route53, request)?;
            let past = page.resource_record_sets.iter().any(|set| absolute(set.name()) != full);
            sets.extend(
                page.resource_record_sets
                    .into_iter()
                    .filter(|set| absolute(set.name()) == full && *set.r#type() == RrType::A && set.weight.is_some()),
            );
            if past || !page.is_truncated {
                return Ok(sets);
            }
            from = (page.next_record_name, page.next_record_type, page.next_record_identifier);
            pages.turn(&format!("{from:?}"))?;
        }
    }
}

/// The sets whose weight is not yet as asked, with it; everything else in them stays as it is.
fn changed_sets(sets: Vec<ResourceRecordSet>, records: &[WeightedRecord], full: &str) -> Result<Vec<ResourceRecordSet>, CloudError> {
    let mut by_label: BTreeMap<String, ResourceRecordSet> =
        sets.into_iter().filter_map(|set| set.set_identifier.clone().map(|label| (label, set))).collect();
    let mut changed = Vec::new();
    for record in records {
        if record.weight > HEAVIEST {
            return Err(invalid(CHANGE, format!("weight {} of `{}` is above {HEAVIEST}", record.weight, record.label)));
        }
        let Some(mut set) = by_label.remove(&record.label) else {
            let message = format!("`{full}` has no weighted record set `{}`", record.label);
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

fn record(set: &ResourceRecordSet) -> Result<WeightedRecord, CloudError> {
    Ok(WeightedRecord {
        label: set.set_identifier().ok_or_else(|| malformed(LIST, "a weighted record set without an identifier"))?.to_owned(),
        id: String::new(),
        weight: set.weight().and_then(|weight| u32::try_from(weight).ok()).ok_or_else(|| malformed(LIST, "a weight below zero"))?,
        enabled: true,
        // An alias set has none; it is still written back whole.
        values: set.resource_records().iter().map(|value| value.value().to_owned()).collect(),
        ttl: set.ttl().and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or(0),
        health_check: set.health_check_id().map(str::to_owned),
    })
}

fn is_public(zone: &HostedZone) -> bool {
    !zone.config().is_some_and(aws_sdk_route53::types::HostedZoneConfig::private_zone)
}

/// Lower case, one dot at the end, and the asterisk as people write it.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.').to_ascii_lowercase().replace("\\052", "*"))
}

/// `shop` in `example.com.` is `shop.example.com.`; `@` or nothing is the zone itself.
fn full_name(zone: &str, name: &str) -> String {
    match name {
        "" | "@" => absolute(zone),
        _ => absolute(&format!("{}.{zone}", name.trim_end_matches('.'))),
    }
}

fn invalid(operation: &str, message: impl Into<String>) -> CloudError {
    CloudError::new(Cloud::Aws, operation, Kind::Invalid, message)
}

fn malformed(operation: &str, message: &str) -> CloudError {
    CloudError::new(Cloud::Aws, operation, Kind::Malformed, message)
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::ResourceRecord;

    use super::*;

    fn set(label: &str, weight: i64) -> ResourceRecordSet {
        ResourceRecordSet::builder()
            .name("shop.example.com.")
            .r#type(RrType::A)
            .set_identifier(label)
            .weight(weight)
            .ttl(5)
            .health_check_id("hc-1")
            .resource_records(ResourceRecord::builder().value("192.0.2.1").build().unwrap())
            .build()
            .unwrap()
    }

    fn asked(label: &str, weight: u32) -> WeightedRecord {
        WeightedRecord { weight, ..record(&set(label, 0)).unwrap() }
    }

    #[test]
    fn only_differing_sets_change_and_nothing_but_their_weight() {
        let sets = vec![set("aws", 0), set("aliyun", 100)];
        let changed = changed_sets(sets, &[asked("aws", 50), asked("aliyun", 100)], "shop.example.com.").unwrap();
        assert_eq!(changed, [set("aws", 50)]);
        assert_eq!(changed[0].health_check_id(), Some("hc-1"));
    }

    #[test]
    fn a_disabled_side_weighs_nothing() {
        let off = WeightedRecord { enabled: false, ..asked("aws", 80) };
        assert_eq!(changed_sets(vec![set("aws", 80)], &[off], "x.").unwrap(), [set("aws", 0)]);
    }

    #[test]
    fn unknown_labels_and_heavy_weights_are_refused() {
        let check = |record, kind| assert_eq!(changed_sets(vec![set("aws", 0)], &[record], "x.").unwrap_err().kind, kind);
        check(asked("azure", 1), Kind::NotFound);
        check(asked("aws", 256), Kind::Invalid);
    }

    #[test]
    fn names_are_relative_to_the_zone() {
        assert_eq!(full_name("example.com.", "shop"), "shop.example.com.");
        assert_eq!(full_name("Example.COM", "Shop"), "shop.example.com.");
        assert_eq!(full_name("example.com.", "@"), "example.com.");
        assert_eq!(absolute("\\052.example.com."), "*.example.com.");
    }
}
