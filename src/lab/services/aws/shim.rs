//! Stand-ins until the world's own methods are merged.

use crate::lab::world::state::{InstanceState, State};

impl State {
    pub(crate) fn instance_start(&mut self, id: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = InstanceState::Pending;
        }
    }
    pub(crate) fn instance_stop(&mut self, id: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = InstanceState::Stopping;
        }
    }
    pub(crate) fn serve_dns(&mut self, _zone: usize, _name: &str, _kind: &str) {}
    pub(crate) fn apply_acl(&mut self, _subnet: &str, _acl: Option<String>) {}
    pub(crate) fn apply_routes(&mut self, _table: &str) {}
    pub(crate) fn changed(&mut self) {}
}
