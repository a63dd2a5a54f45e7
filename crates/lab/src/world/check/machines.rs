//! Images, machines, and the services that customers use.

use std::collections::BTreeSet;

use super::super::build::is_short;
use super::super::file::WorldFile;
use super::super::reach::SERVICE_PORT;
use super::super::state::InstanceState;
use super::places::{cidr, holds};
use super::{Ids, Problems, at, is_word};

/// Each machine that runs has a socket.
const MOST_INSTANCES: usize = 300;
/// Each service has customers, who come all the time.
const MOST_SERVICES: usize = 32;

pub(super) fn check(file: &WorldFile, ids: &Ids<'_>, found: &mut Problems) {
    found.most("images", file.images.len(), 500);
    found.ids("images", ["ami-", "m-"], file.images.iter().map(|one| (&one.id, one.cloud)));
    for (number, image) in file.images.iter().enumerate() {
        found.region(at!["images", number, "region"], &image.region, image.cloud, file);
    }
    found.most("instances", file.instances.len(), MOST_INSTANCES);
    found.ids("instances", ["i-", "i-"], file.instances.iter().map(|one| (&one.id, one.cloud)));
    let (mut addresses, mut private) = (BTreeSet::new(), BTreeSet::new());
    for (number, instance) in file.instances.iter().enumerate() {
        let at = |key: &str| at!["instances", number, key];
        found.leads(at("image"), &instance.image, instance.cloud, &ids.images, "image");
        for (index, group) in instance.security_groups.iter().enumerate() {
            found.leads(at!["instances", number, "security_groups", index], group, instance.cloud, &ids.security_groups, "security group");
        }
        if found.leads(at("subnet"), &instance.subnet, instance.cloud, &ids.subnets, "subnet") {
            let subnet = file.subnets.iter().find(|subnet| subnet.id == instance.subnet).and_then(|subnet| cidr(&subnet.cidr));
            if subnet.is_some_and(|block| !holds(block, u32::from(instance.private_ip))) {
                found.say(at("private_ip"), format!("{} lies outside of its subnet", instance.private_ip), "an address of the subnet's `cidr`");
            } else if !private.insert((ids.vpc_of.get(instance.subnet.as_str()), instance.private_ip)) {
                found.say(at("private_ip"), format!("{} is another instance's already", instance.private_ip), "each has one of its own");
            }
        }
        // Nothing listens outside of the lab's own loopback addresses, and 127.N.0.1 is the lab's.
        if !is_short(&instance.address) || instance.address.starts_with("0.") || instance.address.starts_with("00") {
            let message = format!("`{}` is no address in the lab", instance.address);
            found.say(at("address"), message, "two numbers in quotes, 1 to 255 and 0 to 255, such as \"1.11\"");
        } else if !addresses.insert(&instance.address) {
            found.say(at("address"), format!("`{}` is another instance's already", instance.address), "each has one of its own");
        }
        if !matches!(instance.state, InstanceState::Running | InstanceState::Stopped) {
            found.say(at("state"), "an instance cannot begin on its way", "write `running` or `stopped`");
        }
        if !is_word(&instance.service) {
            found.say(
                at("service"),
                format!("`{}` cannot be the name of a service", instance.service),
                "letters, digits, `-`, `_` and `.`, at most 64",
            );
        }
    }
    services(file, found);
}

fn services(file: &WorldFile, found: &mut Problems) {
    found.most("services", file.services.len(), MOST_SERVICES);
    let mut names = BTreeSet::new();
    for (number, service) in file.services.iter().enumerate() {
        let at = |key: &str| at!["services", number, key];
        if !is_word(&service.name) {
            found.say(at("name"), format!("`{}` cannot be the name of a service", service.name), "letters, digits, `-`, `_` and `.`, at most 64");
        } else if !names.insert(&service.name) {
            found.say(at("name"), format!("`{}` is there already", service.name), "name each service once");
        }
        let is_host = service.host.len() <= 253 && service.host.split('.').all(|label| !label.is_empty() && label.len() <= 63);
        if !is_host || service.host.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.') {
            found.say(at("host"), format!("`{}` is no host name", service.host), "write it without final dot, such as shop.example.com");
        }
        if service.port != SERVICE_PORT {
            found.say(at("port"), format!("nothing serves on port {}", service.port), format!("every machine serves on {SERVICE_PORT}"));
        }
        if !matches!(service.path.as_str(), "/health" | "/api/status") {
            found.say(at("path"), format!("nothing is served at `{}`", service.path), "write `/health` or `/api/status`");
        }
    }
}
