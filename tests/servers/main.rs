//! Every kind of probe that speaks to a server of others, against that server: nginx, BIND, the health service of gRPC's own library, Redis, PostgreSQL
//! and MariaDB.
//!
//! `tests/run servers` installs what is missing and says by `LIFEBOAT_PYTHON` which Python has grpcio. Without them every test here fails: it is only
//! run when asked for by name.

mod bind;
mod canary;
mod grpc;
mod mysql;
mod nginx;
mod postgres;
mod redis;
mod server;
mod tables;

use std::sync::Arc;

use lifeboat::catalogue;
use lifeboat::engine::probe::{DynProbe, Reading, Sample};
use lifeboat::ports::gate::Gate;
use lifeboat::world::World;
use lifeboat::world::settings::Settings;
use serde_json::Value;

/// A probe with what it keeps between its samples.
struct Kept {
    probe: Arc<dyn DynProbe<World>>,
    world: World,
}

impl Kept {
    /// Names are asked of `name_server`, if there is one.
    async fn new(kind: &str, with: Value, name_server: Option<String>) -> Self {
        let row = catalogue::probe(kind).unwrap_or_else(|| panic!("there is no probe {kind}"));
        let probe = (row.parse)(&with).unwrap_or_else(|error| panic!("{kind}: {}: {}", error.path, error.message));
        let settings = Settings { environment: "servers".into(), name_server, ..Settings::default() };
        Self { probe, world: World::connect(&settings, &Gate::default()).await }
    }

    async fn sample(&self) -> Sample {
        tokio::time::timeout(self.probe.timeout(), self.probe.sample(&self.world)).await.unwrap_or_else(|_| self.probe.late())
    }
}

/// One sample of a probe of `kind`.
async fn sample_with(kind: &str, with: Value, name_server: Option<String>) -> Sample {
    Kept::new(kind, with, name_server).await.sample().await
}

async fn sample(kind: &str, with: Value) -> Sample {
    sample_with(kind, with, None).await
}

/// The first sample that is as `wanted`, or the last one within half a minute: what is under way on a server takes its time.
async fn until<F: Future<Output = Sample>>(ask: &impl Fn() -> F, wanted: impl Fn(&Sample) -> bool) -> Sample {
    let begun = std::time::Instant::now();
    loop {
        let found = ask().await;
        if wanted(&found) || begun.elapsed() > std::time::Duration::from_secs(30) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The sample is good and its detail begins with `detail`.
#[track_caller]
fn is_good(sample: &Sample, detail: &str) {
    assert!(sample.reading == Reading::Good && sample.detail.starts_with(detail), "{sample:?}, expected good: {detail}");
}

/// The sample could not tell and its detail contains `detail`.
#[track_caller]
fn is_unknown(sample: &Sample, detail: &str) {
    assert!(sample.reading == Reading::Unknown && sample.detail.contains(detail), "{sample:?}, expected unknown: {detail}");
}

/// The sample is bad and its detail contains `detail`.
#[track_caller]
fn is_bad(sample: &Sample, detail: &str) {
    assert!(sample.reading == Reading::Bad && sample.detail.contains(detail), "{sample:?}, expected bad: {detail}");
}
