//! ACLs and routes: what the APIs were told, and when packets begin to follow it.

use serde_json::json;

use super::state::{Cloud, InstanceState, Route, RouteTable, RouteTarget, State};
use super::transition::Transition;

/// Whether a route's target can take packets, as the vendors' APIs say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteState {
    Active,
    Blackhole,
}

impl RouteState {
    /// `active` or `blackhole`, EC2's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blackhole => "blackhole",
        }
    }
}

impl State {
    /// Associates an ACL (or none, on Alibaba) with a subnet or vSwitch; packets follow after the propagation delay.
    /// On AWS the subnet gets a new association id, which stands in its `acl_association` afterwards.
    pub fn apply_acl(&mut self, subnet: &str, acl: Option<&str>) {
        let Some(cloud) = self.subnets.get(subnet).map(|subnet| subnet.cloud) else { return };
        let association = (cloud == Cloud::Aws).then(|| self.fresh_id("aclassoc-"));
        let acl = acl.map(str::to_owned);
        if let Some(subnet) = self.subnets.get_mut(subnet) {
            subnet.acl.clone_from(&acl);
            subnet.acl_association = association;
        }
        self.truth.record(self.now, "acl", json!({ "subnet": subnet, "acl": acl, "effective": false }));
        self.after(self.timing.network_apply.duration(), Transition::ApplyAcl { subnet: subnet.to_owned(), acl });
    }

    /// To be called after an ACL's entries were changed: packets in every subnet it is associated with follow after the propagation delay.
    pub fn apply_acl_entries(&mut self, acl: &str) {
        let subnets: Vec<String> =
            self.subnets.values().filter(|subnet| subnet.acl.as_deref() == Some(acl)).map(|subnet| subnet.id.clone()).collect();
        for subnet in subnets {
            self.after(self.timing.network_apply.duration(), Transition::ApplyAcl { subnet, acl: Some(acl.to_owned()) });
        }
    }

    /// To be called after a route table's routes were changed: packets follow after the propagation delay.
    pub fn apply_routes(&mut self, table: &str) {
        let Some(routes) = self.route_tables.get(table).map(|table| table.routes.clone()) else { return };
        self.truth.record(self.now, "routes", json!({ "table": table, "routes": self.routes_as_json(&routes), "effective": false }));
        self.after(self.timing.network_apply.duration(), Transition::ApplyRoutes { table: table.to_owned(), routes });
    }

    /// Whether a route's target can take packets: an interface must exist and be attached to a running instance, an instance must run.
    #[must_use]
    pub fn route_state(&self, route: &Route) -> RouteState {
        let runs = |id: &str| self.instances.get(id).is_some_and(|instance| instance.state == InstanceState::Running);
        let is_active = match &route.target {
            RouteTarget::Local | RouteTarget::Gateway(_) | RouteTarget::Peering(_) => true,
            RouteTarget::Interface(id) => self.interfaces.get(id).and_then(|interface| interface.instance.as_deref()).is_some_and(runs),
            RouteTarget::Instance(id) => runs(id),
        };
        if is_active { RouteState::Active } else { RouteState::Blackhole }
    }

    /// The route table that a subnet uses: its own or its VPC's main one.
    #[must_use]
    pub fn route_table_of(&self, subnet: &str) -> Option<&RouteTable> {
        let subnet = self.subnets.get(subnet)?;
        match &subnet.route_table {
            Some(table) => self.route_tables.get(table),
            None => self.route_tables.values().find(|table| table.main && table.vpc == subnet.vpc),
        }
    }

    pub(super) fn routes_as_json(&self, routes: &[Route]) -> serde_json::Value {
        let mut routes: Vec<&Route> = routes.iter().collect();
        routes.sort_by(|a, b| a.destination.cmp(&b.destination));
        routes
            .into_iter()
            .map(|route| json!({ "destination": route.destination, "target": route.target, "origin": route.origin, "state": self.route_state(route).as_str() }))
            .collect()
    }

    pub(super) fn acl_applied(&mut self, subnet: &str, acl: Option<String>) {
        let Some(entry) = self.subnets.get_mut(subnet) else { return };
        entry.effective_acl.clone_from(&acl);
        // Kept as a copy: what is deleted or rewritten in the API goes on filtering until the next change arrives here.
        match acl.as_ref().map(|acl| self.acls.get(acl)) {
            None => drop(self.applied_acls.remove(subnet)),
            Some(Some(known)) => drop(self.applied_acls.insert(subnet.to_owned(), known.clone())),
            Some(None) => {}
        }
        self.truth.record(self.now, "acl", json!({ "subnet": subnet, "acl": acl, "effective": true }));
    }

    pub(super) fn routes_applied(&mut self, table: &str, routes: Vec<Route>) {
        if !self.route_tables.contains_key(table) {
            return;
        }
        self.truth.record(self.now, "routes", json!({ "table": table, "routes": self.routes_as_json(&routes), "effective": true }));
        if let Some(table) = self.route_tables.get_mut(table) {
            table.effective_routes = routes;
        }
    }
}
