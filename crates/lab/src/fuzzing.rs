//! The lab behind its sockets and signatures, one request at a time: for the fuzzers in `fuzz/`. Nothing in the product uses it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hickory_server::net::xfer::Protocol;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::Value;

use super::data::metrics::History;
use super::data::{dns, prometheus};
use super::services::{aliyun, aws, oss};
use super::world::build::build;
use super::world::{LabClock, World, transition};

/// A world of its own, at its beginning, that nobody else reaches.
#[derive(Debug)]
pub struct Alone {
    world: Arc<World>,
    history: Arc<History>,
}

/// The vendors whose requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Endpoint {
    Aws,
    Aliyun,
    Oss,
}

impl Alone {
    /// The shipped world.
    #[must_use]
    pub fn new() -> Self {
        let clock = LabClock::start(1.0);
        let state = build(1, 1.0, 10, clock.now());
        let (world, history) = (Arc::new(World::new(clock, state)), Arc::new(History::default()));
        history.sample(&world);
        Self { world, history }
    }

    /// Answers a request as if its signature were right.
    #[must_use]
    pub fn call(&self, endpoint: Endpoint, request: Request<Bytes>) -> Response<Full<Bytes>> {
        let (parts, body): (Parts, Bytes) = request.into_parts();
        match endpoint {
            Endpoint::Aws => aws::unsigned(&self.world, &parts, &body),
            Endpoint::Aliyun => aliyun::unsigned(&mut self.world.lock(), &parts, &body),
            Endpoint::Oss => oss::unsigned(&mut self.world.lock(), parts, body),
        }
    }

    /// Answers a DNS message that can be read.
    #[must_use]
    pub fn dns(&self, packet: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        dns::respond(&self.world, packet, if over_tcp { Protocol::Tcp } else { Protocol::Udp })
    }

    /// Answers a query of the Prometheus API, given as the query of its URL.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn prometheus(&self, over_time: bool, query: &str) -> Result<Value, String> {
        prometheus::ask(&self.world, &self.history, over_time, query)
    }

    /// Lets everything happen that is under way, and tells what there is then.
    #[must_use]
    pub fn after_an_hour(&self) -> Value {
        let mut state = self.world.lock();
        state.now = state.now.plus(Duration::from_secs(3600));
        transition::settle(&mut state);
        state.view()
    }
}

impl Default for Alone {
    fn default() -> Self {
        Self::new()
    }
}
