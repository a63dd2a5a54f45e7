//! Objects in buckets of both clouds.

actions! {
    reconcile::Reconcile,
}
