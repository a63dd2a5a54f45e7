//! Tags of things, wherever they are kept: instances and ACLs hold their own, everything else is in one table.

use std::collections::BTreeMap;

use super::state::State;

/// Keys with their values.
pub type Tags = BTreeMap<String, String>;

impl State {
    /// The tags of the thing with this id; empty for one without.
    #[must_use]
    pub fn tags_of(&self, id: &str) -> Tags {
        let own = self.instances.get(id).map(|instance| &instance.tags).or_else(|| self.acls.get(id).map(|acl| &acl.tags));
        own.or_else(|| self.tags.get(id)).cloned().unwrap_or_default()
    }

    /// Changes the tags of the thing with this id, which must exist.
    pub fn change_tags(&mut self, id: &str, change: impl FnOnce(&mut Tags)) {
        if let Some(instance) = self.instances.get_mut(id) {
            change(&mut instance.tags);
        } else if let Some(acl) = self.acls.get_mut(id) {
            change(&mut acl.tags);
        } else {
            let tags = self.tags.entry(id.to_owned()).or_default();
            change(tags);
            // A thing that lost its last tag is as one that never had any.
            if tags.is_empty() {
                self.tags.remove(id);
            }
        }
    }
}
