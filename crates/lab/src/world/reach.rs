//! Who can reach whom: instance state, routes, ACLs and security groups decide.
//!
//! Rules are read as the vendors read them: ACL entries in order of number, first match wins, no match denies, and both directions count
//! because ACLs keep no state; security groups keep state, so only the way in counts; routes by longest prefix.

use std::net::Ipv4Addr;

use super::network::RouteState;
use super::state::{AclEntry, Cloud, Instance, NetworkAcl, RouteTarget, SecurityRule, State};

/// What a customer's request to an instance meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No server: the connection is refused.
    Refused,
    /// Packets are dropped: the connection hangs.
    Silent,
    /// The server answers 503: something it needs is out of reach.
    Broken,
    /// The server answers 200.
    Served,
}

/// The port of every instance's server.
pub const SERVICE_PORT: u16 = 8080;

/// A port out of the range that clients use, for the way back.
const CLIENT_PORT: u16 = 50_000;

impl State {
    /// What a customer's request to this instance meets now.
    #[must_use]
    pub fn reach(&self, instance: &Instance) -> Reach {
        if !self.is_healthy(instance) {
            return Reach::Refused;
        }
        if !self.lets_clients_in(instance) {
            return Reach::Silent;
        }
        if self.has_what_it_needs(instance) { Reach::Served } else { Reach::Broken }
    }

    /// The instance whose server listens on this loopback address.
    #[must_use]
    pub fn instance_at(&self, address: Ipv4Addr) -> Option<&Instance> {
        self.instances.values().find(|instance| instance.address == address)
    }

    /// Whether the address its service needs (checkout's database) can be reached through the VPC's routes; true when it needs none.
    #[must_use]
    pub fn has_what_it_needs(&self, instance: &Instance) -> bool {
        instance.needs.is_none_or(|address| self.leads_somewhere(instance, address))
    }

    /// Whether the ACL that packets follow cuts a subnet or vSwitch off from everything.
    #[must_use]
    pub fn is_cut_off(&self, subnet: &str) -> bool {
        !self.acl_lets_through(subnet, self.client, SERVICE_PORT, CLIENT_PORT)
    }

    fn lets_clients_in(&self, instance: &Instance) -> bool {
        self.acl_lets_through(&instance.subnet, self.client, SERVICE_PORT, CLIENT_PORT)
            && self.groups_let_in(instance)
            && (instance.cloud == Cloud::Aliyun || self.reaches_the_internet(instance))
    }

    /// On AWS a public address is of use only with a route to the internet gateway; on Alibaba it is part of the address.
    fn reaches_the_internet(&self, instance: &Instance) -> bool {
        matches!(self.next_hop(&instance.subnet, self.client), Some(RouteTarget::Gateway(_)))
    }

    fn groups_let_in(&self, instance: &Instance) -> bool {
        let groups = instance.security_groups.iter().filter_map(|id| self.security_groups.get(id));
        groups.flat_map(|group| &group.ingress).any(|rule| rule_matches(rule, SERVICE_PORT, self.client))
    }

    fn leads_somewhere(&self, instance: &Instance, address: Ipv4Addr) -> bool {
        let subnet_of_hop = match self.next_hop(&instance.subnet, address) {
            Some(RouteTarget::Interface(id)) => self.interfaces.get(id).map(|interface| interface.subnet.as_str()),
            Some(RouteTarget::Instance(id)) => self.instances.get(id).map(|instance| instance.subnet.as_str()),
            Some(RouteTarget::Local | RouteTarget::Peering(_)) => None,
            // The internet knows no way to a private address.
            Some(RouteTarget::Gateway(_)) | None => return false,
        };
        subnet_of_hop.is_none_or(|subnet| !self.is_cut_off(subnet))
    }

    /// The target of the longest matching route that packets follow; `None` when there is none or it is a blackhole.
    fn next_hop(&self, subnet: &str, address: Ipv4Addr) -> Option<&RouteTarget> {
        let table = self.route_table_of(subnet)?;
        let routes = table.effective_routes.iter().filter_map(|route| Some((prefix_length(&route.destination, address)?, route)));
        let (_, route) = routes.max_by_key(|(length, _)| *length)?;
        (self.route_state(route) == RouteState::Active).then_some(&route.target)
    }

    /// Whether the subnet's ACL lets `peer` in to `port` and the answers out to `peer_port`. A subnet without an ACL lets everything through.
    fn acl_lets_through(&self, subnet: &str, peer: Ipv4Addr, port: u16, peer_port: u16) -> bool {
        self.applied_acls.get(subnet).is_none_or(|acl: &NetworkAcl| allows(&acl.ingress, peer, port) && allows(&acl.egress, peer, peer_port))
    }
}

/// Whether ACL entries let TCP packets pass between a port and a peer: the matching entry with the lowest number decides.
fn allows(entries: &[AclEntry], peer: Ipv4Addr, port: u16) -> bool {
    entries
        .iter()
        .filter(|entry| is_tcp(&entry.protocol) && prefix_length(&entry.cidr, peer).is_some() && port_matches(&entry.port, port))
        .min_by_key(|entry| entry.number)
        .is_some_and(|entry| entry.allow)
}

fn rule_matches(rule: &SecurityRule, port: u16, peer: Ipv4Addr) -> bool {
    let all_ports = rule.protocol == "-1" || rule.from_port < 0;
    is_tcp(&rule.protocol) && (all_ports || (rule.from_port..=rule.to_port).contains(&i32::from(port))) && prefix_length(&rule.cidr, peer).is_some()
}

/// Whether a protocol in any of the vendors' spellings includes TCP.
fn is_tcp(protocol: &str) -> bool {
    matches!(protocol.to_ascii_lowercase().as_str(), "-1" | "all" | "tcp" | "6")
}

/// Whether a port is in a range: `80/90` (Alibaba), `80-90` or `80` (AWS); empty or `-1/-1` means all.
fn port_matches(range: &str, port: u16) -> bool {
    if matches!(range, "" | "-1" | "-1/-1") {
        return true;
    }
    let (low, high) = range.split_once(['/', '-']).unwrap_or((range, range));
    matches!((low.parse::<u16>(), high.parse::<u16>()), (Ok(low), Ok(high)) if (low..=high).contains(&port))
}

/// The length of a CIDR block's prefix when the block holds the address.
fn prefix_length(cidr: &str, address: Ipv4Addr) -> Option<u32> {
    let (network, length) = cidr.split_once('/').unwrap_or((cidr, "32"));
    let (network, length) = (network.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok().filter(|length| *length <= 32)?);
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    (u32::from(network) & mask == u32::from(address) & mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_notation::time::Timestamp;

    use super::super::build::build;
    use super::super::state::InstanceState;
    use super::super::transition::settle;
    use super::*;

    const ALIYUN_STORE: &str = "i-bp1lifeboat0store0001";
    const AWS_CHECKOUT: &str = "i-0a11febe0a7c00001";
    const CHECKOUT_TABLE: &str = "rtb-0a11febe0a7b00002";

    fn world() -> State {
        build(42, 1.0, 10, Timestamp::from_nanos(0))
    }

    fn pass(state: &mut State, millis: u64) {
        state.now = state.now.plus(Duration::from_millis(millis));
        settle(state);
    }

    fn reach(state: &State, id: &str) -> Reach {
        state.reach(&state.instances[id])
    }

    /// (service, state, milliseconds) of every recorded flip after the initial states.
    fn flips(state: &State) -> Vec<(String, String, i64)> {
        let entries = state.truth.entries().iter().filter(|entry| entry["what"] == "service").skip(state.services.len());
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        entries
            .map(|entry| (text(&entry["service"]), text(&entry["state"]), text(&entry["wall"]).parse::<Timestamp>().unwrap().as_nanos() / 1_000_000))
            .collect()
    }

    fn deny_all(state: &mut State) -> String {
        let entry = AclEntry { number: 1, allow: false, protocol: "all".into(), cidr: "0.0.0.0/0".into(), port: "-1/-1".into(), name: String::new() };
        let id = state.fresh_id("nacl-");
        let acl = NetworkAcl {
            id: id.clone(),
            cloud: Cloud::Aliyun,
            vpc: "vpc-bp1lifeboat0shop00001".into(),
            default: false,
            ingress: vec![entry.clone()],
            egress: vec![entry],
            tags: Default::default(),
            name: "lifeboat".into(),
        };
        state.acls.insert(id.clone(), acl);
        id
    }

    fn point_route_to(state: &mut State, interface: &str) {
        let table = state.route_tables.get_mut(CHECKOUT_TABLE).unwrap();
        table.routes.iter_mut().find(|route| route.destination == "10.20.0.0/16").unwrap().target = RouteTarget::Interface(interface.into());
        state.apply_routes(CHECKOUT_TABLE);
    }

    #[test]
    fn everything_is_served_at_the_beginning() {
        let state = world();
        assert!(state.services.values().all(|service| service.up));
        assert_eq!(state.truth.entries().iter().filter(|entry| entry["what"] == "service" && entry["state"] == "up").count(), 4);
        assert_eq!(reach(&state, "i-0a11febe0a7500001"), Reach::Refused, "standby instances are stopped");
    }

    #[test]
    fn an_acl_that_denies_silences_the_vswitch_from_the_moment_it_is_applied() {
        let mut state = world();
        let acl = deny_all(&mut state);
        pass(&mut state, 1_000);
        state.apply_acl("vsw-bp1lifeboat0app000001", Some(&acl));
        pass(&mut state, 299);
        assert_eq!(reach(&state, ALIYUN_STORE), Reach::Served);
        pass(&mut state, 1);
        assert_eq!(reach(&state, ALIYUN_STORE), Reach::Silent);
        // Taken out, and the ACL deleted while packets still follow it.
        state.apply_acl("vsw-bp1lifeboat0app000001", None);
        state.acls.remove(&acl);
        pass(&mut state, 200);
        assert_eq!(reach(&state, ALIYUN_STORE), Reach::Silent);
        pass(&mut state, 100);
        assert_eq!(reach(&state, ALIYUN_STORE), Reach::Served);
        let expected: [(&str, &str, i64); 4] =
            [("storefront", "down", 1300), ("storefront-cn", "down", 1300), ("storefront", "up", 1600), ("storefront-cn", "up", 1600)];
        assert_eq!(flips(&state), expected.map(|(service, state, at)| (service.to_owned(), state.to_owned(), at)));
    }

    #[test]
    fn a_route_to_a_spare_interface_is_a_blackhole_and_breaks_checkout_on_aws_only() {
        let mut state = world();
        point_route_to(&mut state, "eni-0a11febe0a75ba4e0");
        let route = state.route_tables[CHECKOUT_TABLE].routes.iter().find(|route| route.destination == "10.20.0.0/16").unwrap();
        assert_eq!(state.route_state(route), RouteState::Blackhole);
        pass(&mut state, 300);
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Broken);
        assert_eq!(reach(&state, ALIYUN_STORE), Reach::Served);
        point_route_to(&mut state, "eni-0a11febe0a7000db0");
        pass(&mut state, 300);
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Served);
        assert_eq!(
            flips(&state).iter().map(|(service, state, _)| format!("{service} {state}")).collect::<Vec<_>>(),
            ["checkout down", "checkout-cn down", "checkout up", "checkout-cn up"]
        );
    }

    #[test]
    fn a_stopped_database_gateway_breaks_checkout() {
        let mut state = world();
        state.instance_stop("i-0a11febe0a7da0001");
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Broken);
    }

    #[test]
    fn a_stopped_instance_refuses_at_once_and_its_service_is_down() {
        let mut state = world();
        state.instance_stop(ALIYUN_STORE);
        state.changed();
        assert_eq!(reach(&state, ALIYUN_STORE), Reach::Refused);
        assert!(!state.services["storefront"].up && state.services["checkout"].up);
    }

    #[test]
    fn changed_entries_of_an_associated_acl_are_followed() {
        let mut state = world();
        let acl = "acl-0a11febe0a7de4001";
        let deny =
            AclEntry { number: 50, allow: false, protocol: "6".into(), cidr: "203.0.113.0/24".into(), port: "8000-8100".into(), name: String::new() };
        state.acls.get_mut(acl).unwrap().ingress.push(deny);
        pass(&mut state, 1_000);
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Served, "packets do not follow before the change is applied");
        state.apply_acl_entries(acl);
        pass(&mut state, 300);
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Silent);
    }

    #[test]
    fn security_groups_without_the_port_silence_an_instance() {
        let mut state = world();
        state.security_groups.get_mut("sg-0a11febe0a7000001").unwrap().ingress[0].to_port = 8079;
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Silent);
    }

    #[test]
    fn cidr_blocks_and_ports_are_read_in_every_spelling() {
        let address = Ipv4Addr::new(10, 20, 0, 10);
        for (cidr, expected) in [
            ("10.20.0.0/16", Some(16)),
            ("0.0.0.0/0", Some(0)),
            ("10.20.0.10", Some(32)),
            ("10.21.0.0/16", None),
            ("10.20.0.0/33", None),
            ("::/0", None),
            ("x", None),
        ] {
            assert_eq!(prefix_length(cidr, address), expected, "{cidr}");
        }
        for (range, expected) in
            [("", true), ("-1/-1", true), ("8080", true), ("80/9000", true), ("8000-8079", false), ("a/b", false), ("9000/80", false)]
        {
            assert_eq!(port_matches(range, 8080), expected, "{range}");
        }
    }

    #[test]
    fn instances_pending_do_not_keep_a_route_alive() {
        let mut state = world();
        state.instances.get_mut("i-0a11febe0a7da0001").unwrap().state = InstanceState::Pending;
        assert_eq!(reach(&state, AWS_CHECKOUT), Reach::Broken);
    }
}
