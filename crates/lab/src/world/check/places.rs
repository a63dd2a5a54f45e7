//! Accounts, regions, delays, and the networks in which machines are.

use std::net::Ipv4Addr;

use lifeboat_notation::time::Span;

use super::super::file::WorldFile;
use super::super::region::is_zone_of;
use super::super::state::{AclEntry, Cloud, RouteTarget};
use super::{Ids, Problems, at};

pub(super) fn check(file: &WorldFile, ids: &Ids<'_>, found: &mut Problems) {
    timing(file, found);
    for (name, account, digits) in [("aws", &file.accounts.aws, 12), ("aliyun", &file.accounts.aliyun, 16)] {
        if account.len() != digits || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            found.say(at!["accounts", name], format!("`{account}` is no account of {name}"), format!("write its {digits} digits in quotes"));
        }
    }
    for cloud in [Cloud::Aws, Cloud::Aliyun] {
        regions(file, cloud, found);
    }
    for (list, number) in [
        ("vpcs", file.vpcs.len()),
        ("subnets", file.subnets.len()),
        ("route_tables", file.route_tables.len()),
        ("acls", file.acls.len()),
        ("security_groups", file.security_groups.len()),
    ] {
        found.most(list, number, 500);
    }
    found.most("interfaces", file.interfaces.len(), 1000);
    vpcs_and_subnets(file, ids, found);
    routes(file, ids, found);
    rules(file, ids, found);
    found.ids("interfaces", ["eni-", "eni-"], file.interfaces.iter().map(|one| (&one.id, one.cloud)));
    for (number, interface) in file.interfaces.iter().enumerate() {
        found.leads(at!["interfaces", number, "subnet"], &interface.subnet, interface.cloud, &ids.subnets, "subnet");
        if let Some(instance) = &interface.instance {
            found.leads(at!["interfaces", number, "instance"], instance, interface.cloud, &ids.instances, "instance");
        }
    }
}

fn timing(file: &WorldFile, found: &mut Problems) {
    let timing = &file.timing;
    let hour = Span::from_secs(3600);
    for (name, span) in [
        ("ec2_boot", timing.ec2_boot),
        ("ec2_checks", timing.ec2_checks),
        ("ec2_stop", timing.ec2_stop),
        ("ecs_boot", timing.ecs_boot),
        ("ecs_ready", timing.ecs_ready),
        ("ecs_stop", timing.ecs_stop),
        ("scaling_check", timing.scaling_check),
        ("route53_serve", timing.route53_serve),
        ("route53_in_sync", timing.route53_in_sync),
        ("alidns_serve", timing.alidns_serve),
        ("network_apply", timing.network_apply),
        ("dts_suspend", timing.dts_suspend),
        ("dts_start", timing.dts_start),
    ] {
        if span > hour {
            found.say(at!["timing", name], format!("{span} is too long"), "at most 1h");
        }
    }
    for (name, span) in [("replication_every", timing.replication_every), ("order_every", timing.order_every)] {
        if span < Span::from_millis(10) || span > hour {
            let too = if span > hour { "seldom" } else { "often" };
            found.say(at!["timing", name], format!("{span} is too {too}"), "10ms to 1h");
        }
    }
    if timing.route53_in_sync < timing.route53_serve {
        found.say(at!["timing", "route53_in_sync"], "a change is in sync before it is served", "not less than `route53_serve`");
    }
}

fn regions(file: &WorldFile, cloud: Cloud, found: &mut Problems) {
    let regions = file.regions.of(cloud);
    if regions.is_empty() || regions.len() > 16 {
        let message = if regions.is_empty() { "there is no region".to_owned() } else { format!("there are {} regions", regions.len()) };
        found.say(at!["regions", cloud.name()], format!("{message} of {}", cloud.name()), "write at least one and at most 16");
    }
    for (number, region) in regions.iter().enumerate() {
        let is_plain = region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if region.is_empty() || region.len() > 32 || !is_plain {
            found.say(
                at!["regions", cloud.name(), number],
                format!("`{region}` cannot be a region"),
                "small letters, digits and `-`, as the vendor writes it",
            );
        } else if regions[..number].contains(region) {
            found.say(at!["regions", cloud.name(), number], format!("`{region}` is there already"), "name each region once");
        }
    }
}

fn vpcs_and_subnets(file: &WorldFile, ids: &Ids<'_>, found: &mut Problems) {
    found.ids("vpcs", ["vpc-", "vpc-"], file.vpcs.iter().map(|one| (&one.id, one.cloud)));
    for (number, vpc) in file.vpcs.iter().enumerate() {
        block(&vpc.cidr, at!["vpcs", number, "cidr"], found);
        found.region(at!["vpcs", number, "region"], &vpc.region, vpc.cloud, file);
    }
    found.ids("subnets", ["subnet-", "vsw-"], file.subnets.iter().map(|one| (&one.id, one.cloud)));
    for (number, subnet) in file.subnets.iter().enumerate() {
        let own = block(&subnet.cidr, at!["subnets", number, "cidr"], found);
        let there = found.leads(at!["subnets", number, "vpc"], &subnet.vpc, subnet.cloud, &ids.vpcs, "VPC");
        if let Some(vpc) = file.vpcs.iter().find(|vpc| there && vpc.id == subnet.vpc) {
            if let (Some(own), Some(whole)) = (own, cidr(&vpc.cidr))
                && !(holds(whole, own.0) && own.1 >= whole.1)
            {
                found.say(at!["subnets", number, "cidr"], format!("`{}` lies outside of its VPC", subnet.cidr), format!("a part of {}", vpc.cidr));
            }
            let region = if vpc.region.is_empty() { file.regions.first(vpc.cloud) } else { vpc.region.clone() };
            if !is_zone_of(&region, &subnet.zone) {
                let example = if vpc.cloud == Cloud::Aws { "a" } else { "-h" };
                let hint = format!("the zones of a region begin with its name, such as {region}{example}");
                found.say(at!["subnets", number, "zone"], format!("`{}` is no zone of {region}", subnet.zone), hint);
            }
        }
        if let Some(acl) = &subnet.acl {
            found.leads(at!["subnets", number, "acl"], acl, subnet.cloud, &ids.acls, "ACL");
        }
        if let Some(table) = &subnet.route_table {
            found.leads(at!["subnets", number, "route_table"], table, subnet.cloud, &ids.route_tables, "route table");
        }
    }
}

fn routes(file: &WorldFile, ids: &Ids<'_>, found: &mut Problems) {
    found.ids("route_tables", ["rtb-", "vtb-"], file.route_tables.iter().map(|one| (&one.id, one.cloud)));
    for (number, table) in file.route_tables.iter().enumerate() {
        found.leads(at!["route_tables", number, "vpc"], &table.vpc, table.cloud, &ids.vpcs, "VPC");
        let is_second = |before: &super::super::file::WrittenTable| before.main && before.vpc == table.vpc;
        if table.main && file.route_tables[..number].iter().any(is_second) {
            found.say(
                at!["route_tables", number, "main"],
                format!("the VPC `{}` has a main route table already", table.vpc),
                "one table of a VPC is the main one",
            );
        }
        for (index, route) in table.routes.iter().enumerate() {
            block(&route.destination, at!["route_tables", number, "routes", index, "destination"], found);
            let at = at!["route_tables", number, "routes", index, "target"];
            match &route.target {
                RouteTarget::Interface(id) => _ = found.leads(at, id, table.cloud, &ids.interfaces, "interface"),
                RouteTarget::Instance(id) => _ = found.leads(at, id, table.cloud, &ids.instances, "instance"),
                RouteTarget::Local | RouteTarget::Gateway(_) | RouteTarget::Peering(_) => {}
            }
        }
    }
}

fn rules(file: &WorldFile, ids: &Ids<'_>, found: &mut Problems) {
    found.ids("acls", ["acl-", "nacl-"], file.acls.iter().map(|one| (&one.id, one.cloud)));
    for (number, acl) in file.acls.iter().enumerate() {
        found.leads(at!["acls", number, "vpc"], &acl.vpc, acl.cloud, &ids.vpcs, "VPC");
        let mut entries = |list: &str, entries: &[AclEntry]| {
            for (index, entry) in entries.iter().enumerate() {
                block(&entry.cidr, at!["acls", number, list, index, "cidr"], found);
                if entry.number == 0 || entry.number > 32_767 {
                    found.say(at!["acls", number, list, index, "number"], format!("the number is {}", entry.number), "1 to 32767");
                }
            }
        };
        entries("ingress", &acl.ingress);
        entries("egress", &acl.egress);
    }
    found.ids("security_groups", ["sg-", "sg-"], file.security_groups.iter().map(|one| (&one.id, one.cloud)));
    for (number, group) in file.security_groups.iter().enumerate() {
        found.leads(at!["security_groups", number, "vpc"], &group.vpc, group.cloud, &ids.vpcs, "VPC");
        for (list, rules) in [("ingress", &group.ingress), ("egress", &group.egress)] {
            for (index, rule) in rules.iter().enumerate() {
                block(&rule.cidr, at!["security_groups", number, list, index, "cidr"], found);
                for (name, port) in [("from_port", rule.from_port), ("to_port", rule.to_port)] {
                    if !(-1..=65_535).contains(&port) {
                        found.say(at!["security_groups", number, list, index, name], format!("the port is {port}"), "0 to 65535, or -1 for all");
                    }
                }
            }
        }
    }
}

/// Reads a block of addresses, or says that it is none.
fn block(text: &str, at: Vec<super::Step>, found: &mut Problems) -> Option<(u32, u32)> {
    let read = cidr(text);
    if read.is_none() {
        found.say(at, format!("`{text}` is no block of addresses"), "write it like 10.0.0.0/16");
    }
    read
}

/// The first address and the length of the prefix.
pub(super) fn cidr(text: &str) -> Option<(u32, u32)> {
    let (network, length) = text.split_once('/')?;
    Some((u32::from(network.parse::<Ipv4Addr>().ok()?), length.parse::<u32>().ok().filter(|length| *length <= 32)?))
}

/// Whether a block holds an address.
pub(super) fn holds((network, length): (u32, u32), address: u32) -> bool {
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    network & mask == address & mask
}
