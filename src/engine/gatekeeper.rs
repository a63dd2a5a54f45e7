//! Whether a fault may be injected *now*: asked anew each time one is about to be, however long ago the run began.

use std::future::Future;
use std::pin::Pin;

use crate::model::guard::Decision;

/// What the guards say; `Err` = why they cannot be asked, which is no leave.
pub type Ruling<'a> = Pin<Box<dyn Future<Output = Result<Vec<Decision>, String>> + Send + 'a>>;

/// Lets the guards of the environment decide.
pub trait Gatekeeper: Send + Sync {
    /// How every guard decides about injecting the fault at this moment. `intended`: an attempt of it has begun already, so that what it acts on is on
    /// record and not to be looked at again in a world that it has half changed.
    fn decide(&self, intended: bool) -> Ruling<'_>;
}

/// Nobody guards the place.
#[derive(Clone, Copy, Debug)]
pub struct Unguarded;

impl Gatekeeper for Unguarded {
    fn decide(&self, _: bool) -> Ruling<'_> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Nobody can say what the guards are: nothing is injected.
#[derive(Clone, Debug)]
pub struct Closed(pub String);

impl Gatekeeper for Closed {
    fn decide(&self, _: bool) -> Ruling<'_> {
        Box::pin(async { Err(self.0.clone()) })
    }
}
