//! Names: from the records that the DNS APIs hold to what the authoritative servers answer.

use std::net::Ipv4Addr;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::state::{Cloud, RecordKey, ServedRecord, State, Zone};
use super::transition::Transition;

impl State {
    /// To be called after records of a name and type were changed (`name` as in [`Record`](super::state::Record); any case of `kind`):
    /// the name servers answer them after the provider's delay.
    pub fn serve_dns(&mut self, zone_index: usize, name: &str, kind: &str) {
        let Some(zone) = self.zones.get(zone_index) else { return };
        let key = record_key(zone, name, kind);
        let records = served(zone, &key);
        let delay = match zone.cloud {
            Cloud::Aws => self.timing.route53_serve,
            Cloud::Aliyun => self.timing.alidns_serve,
        };
        // The name servers load a name whole: a publication that is on its way takes later changes with it.
        if !self.queue.amend_dns(&key, &records) {
            self.after(delay.duration(), Transition::ServeDns { key, records });
        }
    }

    pub(super) fn dns_served(&mut self, key: RecordKey, records: Vec<ServedRecord>) {
        let shown: Vec<_> = records.iter().map(|record| json!({ "values": record.values, "weight": record.weight, "ttl": record.ttl })).collect();
        self.truth.record(self.now, "dns", json!({ "name": key.0, "type": key.1, "records": shown }));
        if records.is_empty() {
            self.dns_view.remove(&key);
        } else {
            self.dns_view.insert(key, records);
        }
    }

    /// Lets the name servers answer every zone as it is now, without delay.
    pub(super) fn serve_all_dns(&mut self) {
        for zone in &self.zones {
            for record in &zone.records {
                let key = record_key(zone, &record.name, &record.kind);
                let records = served(zone, &key);
                if !records.is_empty() {
                    self.dns_view.insert(key, records);
                }
            }
        }
    }

    /// What the authority answers to one query for this lower-case name without final dot: one weighted record, chosen anew each time.
    pub fn answer_dns(&mut self, name: &str, kind: &str) -> Option<ServedRecord> {
        let records = self.dns_view.get(&(name.to_owned(), kind.to_owned()))?;
        choose(records, &mut self.dns_rng).cloned()
    }

    /// Every address that the authority may answer for a host: of records with a weight, or of all when no record has one.
    pub fn served_addresses(&self, host: &str) -> impl Iterator<Item = Ipv4Addr> {
        let records = self.dns_view.get(&(host.to_owned(), "A".to_owned())).map_or(&[][..], Vec::as_slice);
        let all_idle = records.iter().all(|record| record.weight == 0);
        records.iter().filter(move |record| all_idle || record.weight > 0).flat_map(|record| &record.values).filter_map(|value| value.parse().ok())
    }
}

/// One of the records, in proportion to the weights; any of them when all weights are 0.
pub fn choose<'a>(records: &'a [ServedRecord], rng: &mut StdRng) -> Option<&'a ServedRecord> {
    let total: u64 = records.iter().map(|record| u64::from(record.weight)).sum();
    if total == 0 {
        return if records.is_empty() { None } else { records.get(rng.random_range(0..records.len())) };
    }
    let mut ticket = rng.random_range(0..total);
    records.iter().find(|record| {
        let weight = u64::from(record.weight);
        let drawn = ticket < weight;
        ticket = ticket.saturating_sub(weight);
        drawn
    })
}

/// Name and type as the authority is asked for them.
#[must_use]
pub fn record_key(zone: &Zone, name: &str, kind: &str) -> RecordKey {
    let name = match zone.cloud {
        Cloud::Aws => name.to_owned(),
        Cloud::Aliyun if name == "@" || name.is_empty() => zone.name.clone(),
        Cloud::Aliyun => format!("{name}.{}", zone.name),
    };
    (name.trim_end_matches('.').to_ascii_lowercase(), kind.to_ascii_uppercase())
}

/// What the zone's API records amount to for one name and type.
fn served(zone: &Zone, key: &RecordKey) -> Vec<ServedRecord> {
    let records: Vec<_> = zone.records.iter().filter(|record| record.enabled && record_key(zone, &record.name, &record.kind) == *key).collect();
    let one_by_one = match zone.cloud {
        Cloud::Aws => records.iter().any(|record| record.set_identifier.is_some()),
        Cloud::Aliyun => zone.weighted.contains(&Zone::weighted_key(&key.0, &key.1)),
    };
    if one_by_one {
        let weight = |weight: Option<u32>| weight.unwrap_or(1);
        return records
            .into_iter()
            .map(|record| ServedRecord { ttl: record.ttl, values: record.values.clone(), weight: weight(record.weight) })
            .collect();
    }
    // Without weights all values are one answer, with the shortest of their TTLs.
    let Some(ttl) = records.iter().map(|record| record.ttl).min() else { return Vec::new() };
    let values = records.into_iter().flat_map(|record| record.values.clone()).collect();
    vec![ServedRecord { ttl, values, weight: 1 }]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_notation::time::Timestamp;

    use super::super::build::build;
    use super::super::transition::settle;
    use super::*;

    fn world() -> State {
        build(42, 1.0, 10, Timestamp::from_nanos(0))
    }

    fn share_of_first(first: u32, second: u32) -> f64 {
        let mut state = world();
        for record in state.zones[0].records.iter_mut().filter(|record| record.name == "shop.example.com.") {
            record.weight = Some(if record.set_identifier.as_deref() == Some("aws") { first } else { second });
        }
        state.serve_dns(0, "shop.example.com.", "A");
        state.now = state.now.plus(Duration::from_secs(2));
        settle(&mut state);
        let hits = (0..4000).filter(|_| state.answer_dns("shop.example.com", "A").unwrap().values == ["127.10.1.11", "127.10.1.12"]).count();
        f64::from(u32::try_from(hits).unwrap()) / 4000.0
    }

    #[test]
    fn answers_follow_the_weights() {
        assert!(share_of_first(0, 100) == 0.0);
        assert!(share_of_first(100, 0) == 1.0);
        let quarter = share_of_first(25, 75);
        assert!((0.22..0.28).contains(&quarter), "{quarter}");
        let idle = share_of_first(0, 0);
        assert!((0.46..0.54).contains(&idle), "all weights 0 means any: {idle}");
    }

    #[test]
    fn equal_seeds_give_equal_answers() {
        let answers = || {
            let mut state = world();
            (0..50).map(|_| state.answer_dns("shop.example.cn", "A").unwrap().values).collect::<Vec<_>>()
        };
        assert_eq!(answers(), answers());
    }

    #[test]
    fn a_change_is_answered_after_the_providers_delay() {
        let mut state = world();
        let zone = state.zones.iter().position(|zone| zone.name == "example.cn").unwrap();
        for record in state.zones[zone].records.iter_mut().filter(|record| record.name == "shop") {
            record.enabled = !record.enabled;
        }
        state.serve_dns(zone, "shop", "A");
        state.now = state.now.plus(Duration::from_millis(499));
        settle(&mut state);
        assert_eq!(state.served_addresses("shop.example.cn").next(), Some(Ipv4Addr::new(127, 10, 2, 11)));
        state.now = state.now.plus(Duration::from_millis(1));
        settle(&mut state);
        assert_eq!(state.served_addresses("shop.example.cn").collect::<Vec<_>>(), [Ipv4Addr::new(127, 10, 1, 11), Ipv4Addr::new(127, 10, 1, 12)]);
    }

    #[test]
    fn alidns_without_weights_answers_all_values_at_once() {
        let mut state = world();
        let zone = state.zones.iter().position(|zone| zone.name == "example.cn").unwrap();
        state.zones[zone].weighted.clear();
        state.serve_all_dns();
        assert_eq!(state.answer_dns("shop.example.cn", "A").unwrap().values, ["127.10.2.11", "127.10.2.12"]);
    }
}
