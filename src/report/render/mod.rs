//! The renderers: each makes one form of a document, and only they escape what stands in it.

mod html;
mod json;
mod markdown;

pub(super) use html::html;
pub(super) use json::json;
pub use json::schema;
pub(super) use markdown::markdown;
