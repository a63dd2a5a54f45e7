//! Canaries: numbered markers that are written to a source and looked for on the survivor, to know what a failover would lose.
//!
//! A sample writes one marker and reads which ones have arrived, both at once; a source that hangs delays no reading but its own sample. What counts is
//! what the source acknowledged, at the time by its own clock: only differences of that clock are told.
//! - `ledger`: from writes and readings to what is behind, missing and doubled; pure.

mod ledger;
pub(crate) mod table;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use self::ledger::Ledger;
pub(crate) use self::ledger::Numbers;
use crate::engine::probe::Sample;
use crate::model::time::{Span, Timestamp};
use crate::world::World;

/// So many markers that have arrived are left and looked at again: one that comes twice may do so late.
const KEPT: u64 = 100;

/// What is good.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CanaryExpect {
    /// How far the survivor may be behind, in committed time; a marker that takes longer to arrive is counted as late.
    max_lag: Span,
}

/// Where markers are written and read.
pub(crate) trait Markers: Sync {
    /// Writes a marker to the source: when it was committed, by the source's clock.
    fn write(&self, world: &World, series: &str, number: u64) -> impl Future<Output = Result<Timestamp, String>> + Send;

    /// The numbers of the markers at the survivor, each as often as it is there.
    fn read(&self, world: &World, series: &str, numbers: Numbers) -> impl Future<Output = Result<Vec<u64>, String>> + Send;

    /// Takes a marker away from the source; replication does so at the survivor. One that stays is no failure.
    fn forget(&self, world: &World, series: &str, number: u64) -> impl Future<Output = ()> + Send;
}

/// A canary between its samples.
#[derive(Debug)]
pub(crate) struct Canary {
    /// A name that no other process and no earlier run uses.
    series: String,
    ledger: Mutex<Ledger>,
}

impl Default for Canary {
    fn default() -> Self {
        Self { series: format!("{:016x}", rand::random::<u64>()), ledger: Mutex::new(Ledger::default()) }
    }
}

impl Canary {
    /// How long a sample may take: both sides have `timeout`; the rest is for a machine that is late to notice.
    pub(crate) fn longest(timeout: Span) -> Duration {
        timeout.duration() + Duration::from_millis(100)
    }

    /// Writes a marker, reads what has arrived, and says how far the survivor is behind. Each side has `timeout`.
    pub(crate) async fn sample(&self, world: &World, markers: &impl Markers, expect: CanaryExpect, timeout: Duration) -> Sample {
        let until = Instant::now() + timeout;
        let (written, read) = join(self.written(world, markers, until), self.read(world, markers, expect, until)).await;
        if let Err(why) = read {
            return Sample::bad(format!("survivor: {why}"));
        }
        let told = self.ledger().told();
        let forgettable = told.contiguous.checked_sub(KEPT);
        let sample = judged(&told, expect.max_lag, written.as_ref().err().map(String::as_str));
        if let (Some(number), Ok(())) = (forgettable, &written) {
            let _ = tokio::time::timeout_at(until, markers.forget(world, &self.series, number)).await;
        }
        sample
    }

    async fn written(&self, world: &World, markers: &impl Markers, until: Instant) -> Result<(), String> {
        let pending = Pending { canary: self, number: self.ledger().begin() };
        let committed =
            tokio::time::timeout_at(until, markers.write(world, &self.series, pending.number)).await.map_err(|_| "no answer in time")??;
        self.ledger().acknowledged(pending.number, committed, Instant::now());
        Ok(())
    }

    async fn read(&self, world: &World, markers: &impl Markers, expect: CanaryExpect, until: Instant) -> Result<(), String> {
        let (numbers, asked) = (self.ledger().wanted(KEPT), Instant::now());
        let read = tokio::time::timeout_at(until, markers.read(world, &self.series, numbers)).await.map_err(|_| "no answer in time")??;
        self.ledger().arrived(&read, expect.max_lag.duration(), asked);
        Ok(())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A marker that is being written; whoever gives it up leaves it in doubt.
struct Pending<'a> {
    canary: &'a Canary,
    number: u64,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.canary.ledger().given_up(self.number);
    }
}

fn judged(told: &ledger::Told, longest: Span, unwritten: Option<&str>) -> Sample {
    let source = unwritten.map(|why| format!("; by what the source last acknowledged ({why})")).unwrap_or_default();
    let Some(lag) = told.lag else { return Sample::unknown(format!("the source has acknowledged no marker yet{source}")) };
    let text = format!("{:.1} s behind, {} missing{source}", lag.as_secs_f64(), told.missing);
    let sample = if lag <= longest.duration() { Sample::good(text) } else { Sample::bad(format!("{text}, allowed {longest}")) };
    sample.with_value(told.value())
}
