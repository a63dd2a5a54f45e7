//! What Lifeboat needs of a cloud, in its own words: small traits, their vocabulary, and the one error every cloud speaks.

pub mod attempts;
pub mod calls;
pub mod compute;
pub mod dns;
pub mod error;
pub mod gate;
pub mod metrics;
pub mod objects;
pub mod pace;
pub mod pages;
pub mod samples;
pub mod secrets;
mod skeleton;
pub mod store;
pub mod sync;
pub mod tags;

pub use error::{CloudError, Kind};

/// Boxed because ports are always used as trait objects; called a few times a second at most.
pub type PortFuture<'a, T> = futures_util::future::BoxFuture<'a, Result<T, CloudError>>;

pub use crate::model::call::Cloud;
