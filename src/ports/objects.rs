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
    /// The store's mark of the content, in lower case without quotes. See [`ObjectInfo::md5`].
    pub etag: String,
    /// Whether it was put in one piece, as far as a listing tells.
    pub whole: bool,
    /// Bytes.
    pub size: u64,
}

impl ObjectInfo {
    /// The etag, if by its form and by what the listing tells it may be the MD5 of the content. It surely is not for objects put in parts or appended to. It
    /// need not be for those that are encrypted with a managed or a customer's key, which no listing tells
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>, <https://www.alibabacloud.com/help/en/oss/developer-reference/listobjectsv2>):
    /// so two that are equal are of the same content, and two that differ say nothing.
    #[must_use]
    pub fn md5(&self) -> Option<&str> {
        let is_md5 = self.whole && self.etag.len() == 32 && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_md5.then_some(&self.etag)
    }
}

/// The most bytes of one piece: 4 MiB.
pub const PIECE: u64 = 4 << 20;

/// Reading and writing objects.
pub trait ObjectStore: Send + Sync {
    /// All objects under `prefix` with keys greater than `after` (empty = from the start), in key order, pages followed to the end.
    fn list<'a>(&'a self, bucket: &'a str, prefix: &'a str, after: &'a str) -> PortFuture<'a, Vec<ObjectInfo>>;

    /// The content of one object; refuses more than 16 MiB.
    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, Bytes>;

    /// At most [`PIECE`] bytes of one object, which has `size` of them, from `from` on; fewer only at its end. Of an object of any size.
    ///
    /// An object that has shrunk since is [`super::Kind::Conflict`].
    fn piece<'a>(&'a self, bucket: &'a str, key: &'a str, from: u64, size: u64) -> PortFuture<'a, Bytes>;

    /// Writes one object whole.
    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, body: Bytes) -> PortFuture<'a, ()>;

    /// Removes one object; an absent one is success.
    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, ()>;
}
