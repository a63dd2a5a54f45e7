//! The renderers: each writes a document in one format, and only they escape text.

mod html;
mod json;
mod markdown;

pub(super) use html::html;
pub(super) use json::json;
pub use json::schema;
pub(super) use markdown::markdown;
