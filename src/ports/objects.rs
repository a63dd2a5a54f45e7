//! Objects in buckets, whichever store holds them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::PortFuture;
use crate::model::time::Timestamp;

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Its full key.
    pub key: String,
    /// When the store took it, by the store's clock; resolution is a second on both clouds.
    pub modified: Timestamp,
    /// Lower-case hex without quotes; the MD5 of the content for objects put in one piece.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// Reading and writing objects.
pub trait ObjectStore: Send + Sync {
    /// All objects under `prefix` with keys greater than `after` (empty = from the start), in key order, pages followed to the end.
    fn list<'a>(&'a self, bucket: &'a str, prefix: &'a str, after: &'a str) -> PortFuture<'a, Vec<ObjectInfo>>;

    /// The content of one object; refuses more than 16 MiB.
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, Bytes>;

    /// Writes one object whole.
    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, body: Bytes) -> PortFuture<'a, ()>;

    /// Removes one object; an absent one is success.
    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, ()>;
}
