//! All of the world as JSON: `GET /world`.
//!
//! Configuration and resource states, in an order that does not depend on history. What moves by itself, and ids and times that are new after
//! every swap, stand only under the keys `now`, `time`, `seq`, `traffic`, `objects`, `orders`, `requests` and `changes`: without those,
//! the world after doing and exactly undoing is byte-equal to the world before.

use serde_json::{Map, Value, json};

use super::monitoring::Alarm;
use super::state::{AclEntry, Instance, NetworkAcl, Record, RouteTable, SecurityGroup, SecurityRule, State, Subnet, Zone};

impl State {
    /// The world as JSON; canonical once its keys are sorted.
    #[must_use]
    pub fn view(&self) -> Value {
        let acls = self.acls.iter().map(|(id, acl)| (id.clone(), acl_view(acl)));
        let groups = self.security_groups.iter().map(|(id, group)| (id.clone(), group_view(group)));
        json!({
            "now": self.now,
            "accounts": { "aws": self.accounts.aws, "aliyun": self.accounts.aliyun },
            "regions": self.regions,
            "vpcs": self.vpcs,
            "subnets": object(self.subnets.iter().map(|(id, subnet)| (id.clone(), subnet_view(subnet)))),
            "route_tables": object(self.route_tables.iter().map(|(id, table)| (id.clone(), self.table_view(table)))),
            "network_acls": object(acls),
            "security_groups": object(groups),
            "interfaces": self.interfaces,
            "images": self.images,
            "instances": object(self.instances.iter().map(|(id, instance)| (id.clone(), instance_view(instance)))),
            "zones": object(self.zones.iter().map(|zone| (zone.name.clone(), zone_view(zone)))),
            "changes": self.changes.iter().map(|(id, change)| json!({ "id": id, "in_sync": change.in_sync })).collect::<Vec<_>>(),
            "buckets": object(self.buckets.iter().map(|(name, bucket)| {
                (name.clone(), json!({ "cloud": bucket.cloud, "time": { "created_at": bucket.created_at }, "objects": bucket.objects.len() }))
            })),
            "jobs": object(self.jobs.iter().map(|(id, job)| {
                (id.clone(), json!({
                    "instance": job.instance, "name": job.name, "status": job.status, "source": job.source, "target": job.target,
                    "time": { "checkpoint": job.checkpoint },
                }))
            })),
            "tags": self.tags,
            "services": object(self.services.values().map(|service| {
                let url = format!("http://{}:{}{}", service.host, service.port, service.path);
                (service.name.clone(), json!({ "url": url, "traffic": { "up": service.up } }))
            })),
            "alarms": object(self.monitoring.alarms.values().map(alarm_view)),
            "orders": { "written": self.counters.orders_written, "copied": self.counters.orders_copied, "rows": self.counters.rows_on_both, "oldest_uncopied": self.counters.oldest_uncopied },
            "traffic": { "dns": self.dns_served_view() },
        })
    }

    fn table_view(&self, table: &RouteTable) -> Value {
        let entries = table.routes.iter().filter(|route| !route.entry.is_empty()).map(|route| (route.destination.clone(), json!(route.entry)));
        json!({
            "cloud": table.cloud,
            "vpc": table.vpc,
            "main": table.main,
            "routes": self.routes_as_json(&table.routes),
            "seq": { "entries": object(entries) },
            "traffic": { "routes": self.routes_as_json(&table.effective_routes) },
        })
    }

    fn dns_served_view(&self) -> Value {
        let name = |(name, kind): &(String, String)| format!("{name} {kind}");
        object(self.dns_view.iter().map(|(key, records)| {
            let records: Vec<_> =
                records.iter().map(|record| json!({ "ttl": record.ttl, "values": record.values, "weight": record.weight })).collect();
            (name(key), Value::from(records))
        }))
    }
}

fn object(entries: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.collect::<Map<_, _>>())
}

fn alarm_view(alarm: &Alarm) -> (String, Value) {
    let mut view = json!(alarm);
    view["traffic"] = json!({ "state": alarm.verdict.state, "since": alarm.verdict.since });
    let name = format!("{} {}", alarm.metric.cloud.name(), alarm.name);
    (name, view)
}

fn subnet_view(subnet: &Subnet) -> Value {
    json!({
        "cloud": subnet.cloud,
        "name": subnet.name,
        "vpc": subnet.vpc,
        "cidr": subnet.cidr,
        "zone": subnet.zone,
        "acl": subnet.acl,
        "route_table": subnet.route_table,
        "seq": { "acl_association": subnet.acl_association },
        "traffic": { "acl": subnet.effective_acl },
    })
}

fn acl_view(acl: &NetworkAcl) -> Value {
    let sorted = |entries: &[AclEntry]| {
        let mut entries = entries.to_vec();
        entries.sort_by_key(|entry| entry.number);
        json!(entries)
    };
    json!({
        "cloud": acl.cloud,
        "vpc": acl.vpc,
        "default": acl.default,
        "name": acl.name,
        "tags": acl.tags,
        "ingress": sorted(&acl.ingress),
        "egress": sorted(&acl.egress),
    })
}

fn group_view(group: &SecurityGroup) -> Value {
    let sorted = |rules: &[SecurityRule]| {
        let mut rules: Vec<&SecurityRule> = rules.iter().collect();
        rules.sort_by_key(|rule| (&rule.protocol, rule.from_port, rule.to_port, &rule.cidr));
        let view = |rule: &SecurityRule| json!({ "protocol": rule.protocol, "from_port": rule.from_port, "to_port": rule.to_port, "cidr": rule.cidr, "seq": { "id": rule.id } });
        rules.into_iter().map(view).collect::<Vec<_>>()
    };
    json!({ "cloud": group.cloud, "vpc": group.vpc, "name": group.name, "ingress": sorted(&group.ingress), "egress": sorted(&group.egress) })
}

fn instance_view(instance: &Instance) -> Value {
    let mut groups = instance.security_groups.clone();
    groups.sort();
    json!({
        "cloud": instance.cloud,
        "name": instance.name,
        "subnet": instance.subnet,
        "image": instance.image,
        "instance_type": instance.instance_type,
        "private_ip": instance.private_ip,
        "address": instance.address,
        "elastic": instance.elastic,
        "released": instance.released,
        "hibernated": instance.hibernated,
        "tags": instance.tags,
        "security_groups": groups,
        "state": instance.state,
        "service": instance.service,
        "time": { "launched_at": instance.launched_at, "healthy_at": instance.healthy_at, "boots": instance.boots },
    })
}

fn zone_view(zone: &Zone) -> Value {
    let mut records: Vec<&Record> = zone.records.iter().collect();
    records.sort_by_key(|record| (&record.name, &record.kind, &record.set_identifier, &record.values));
    let view = |record: &Record| {
        json!({
            "name": record.name,
            "kind": record.kind,
            "ttl": record.ttl,
            "values": record.values,
            "set_identifier": record.set_identifier,
            "weight": record.weight,
            "enabled": record.enabled,
            "health_check": record.health_check,
            "seq": { "id": record.id },
        })
    };
    json!({ "id": zone.id, "cloud": zone.cloud, "weighted": zone.weighted, "records": records.into_iter().map(view).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_notation::time::Timestamp;

    use super::super::build::build;
    use super::super::state::RouteTarget;
    use super::super::transition::settle;
    use super::*;

    const MOVING: [&str; 12] = ["now", "clock", "time", "traffic", "objects", "orders", "requests", "metrics", "changes", "events", "seq", "log"];

    fn without_moving(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !MOVING.contains(&key.as_str()));
                map.values_mut().for_each(without_moving);
            }
            Value::Array(list) => list.iter_mut().for_each(without_moving),
            _ => {}
        }
    }

    fn still(state: &State) -> Vec<u8> {
        let mut view = state.view();
        without_moving(&mut view);
        serde_json_canonicalizer::to_vec(&view).unwrap()
    }

    fn pass(state: &mut State, seconds: u64) {
        state.now = state.now.plus(Duration::from_secs(seconds));
        settle(state);
        state.take_order();
        state.copy_orders();
    }

    #[test]
    fn the_world_after_doing_and_exactly_undoing_is_the_world_before() {
        let mut state = build(42, 1.0, 10, Timestamp::from_nanos(1_000_000_000_000));
        let before = still(&state);
        let mut seen = vec![before.clone()];
        let mut step = |state: &mut State| {
            let now = still(state);
            assert!(!seen.contains(&now), "every change is visible");
            seen.push(now);
            pass(state, 10);
        };

        let subnet = "subnet-0a11febe0a7c00001";
        let mut acl = state.acls["acl-0a11febe0a7de4001"].clone();
        acl.id = "acl-0deny".into();
        state.acls.insert(acl.id.clone(), acl);
        state.apply_acl(subnet, Some("acl-0deny"));
        step(&mut state);
        state.instance_start("i-0a11febe0a7500001");
        step(&mut state);
        state.job_status("dtsorders-primary", "Suspending");
        step(&mut state);
        let weights = |state: &mut State, aws: u32, aliyun: u32| {
            for record in state.zones[0].records.iter_mut().filter(|record| record.name == "shop.example.com.") {
                record.weight = Some(if record.set_identifier.as_deref() == Some("aws") { aws } else { aliyun });
            }
            state.zones[0].records.reverse();
            state.serve_dns(0, "shop.example.com.", "A");
        };
        weights(&mut state, 100, 0);
        step(&mut state);
        let table = "rtb-0a11febe0a7b00002";
        let route = state.route_tables.get_mut(table).unwrap().routes.pop().unwrap();
        let mut broken = route.clone();
        broken.target = RouteTarget::Interface("eni-0a11febe0a75ba4e0".into());
        state.route_tables.get_mut(table).unwrap().routes.insert(0, broken);
        state.apply_routes(table);
        step(&mut state);

        state.route_tables.get_mut(table).unwrap().routes[0] = route;
        state.apply_routes(table);
        weights(&mut state, 0, 100);
        state.job_status("dtsorders-primary", "Synchronizing");
        state.instance_stop("i-0a11febe0a7500001");
        state.apply_acl(subnet, Some("acl-0a11febe0a7de4001"));
        state.acls.remove("acl-0deny");
        pass(&mut state, 10);
        assert_eq!(String::from_utf8(still(&state)).unwrap(), String::from_utf8(before).unwrap());
    }
}
