//! Tags on cloud objects, whichever cloud keeps them.

use std::collections::BTreeMap;

use super::{CloudError, PortFuture};

/// A cloud object that can have tags. The kinds are in our words: `vpc`, `vswitch`, `route-table`, `instance`, `sync-job`, …
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tagged {
    /// What it is.
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// Keys with their values.
pub type TagMap = BTreeMap<String, String>;

/// What the vendor lets one object hold. Keys may have 128 characters everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Tags.
    pub tags: usize,
    /// Characters of a value.
    pub value: usize,
}

/// What a search found, and where it could not look.
#[derive(Debug, Default)]
pub struct Search {
    /// The objects that have the key, in order.
    pub found: Vec<Tagged>,
    /// Products that did not answer: what is there is not known.
    pub failed: Vec<CloudError>,
}

/// Tags in one region. Every change is idempotent: it sets or removes, whatever is there.
pub trait Tags: Send + Sync {
    /// What one object holds.
    fn room(&self) -> Room;

    /// The vendor calls behind reading, writing and removing tags of these objects, with whether each changes something.
    fn calls(&self, objects: &[Tagged]) -> Vec<(&'static str, bool)>;

    /// The object that has the tags of `object`, as [`Tags::find`] finds it: mostly itself.
    fn carrier<'a>(&'a self, object: &'a Tagged) -> PortFuture<'a, Tagged> {
        Box::pin(async { Ok(object.clone()) })
    }

    /// All tags of each object, by its id. One without tags is there with none.
    fn read<'a>(&'a self, objects: &'a [Tagged]) -> PortFuture<'a, BTreeMap<String, TagMap>>;

    /// Sets tags on every object, in as few calls as the vendor allows.
    fn write<'a>(&'a self, objects: &'a [Tagged], tags: &'a TagMap) -> PortFuture<'a, ()>;

    /// Removes tags by key from every object; keys that are not there are no error.
    fn remove<'a>(&'a self, objects: &'a [Tagged], keys: &'a [String]) -> PortFuture<'a, ()>;

    /// The objects of the region that have this key. Nothing found is believed only with no product failed.
    fn find<'a>(&'a self, key: &'a str) -> PortFuture<'a, Search>;
}
