//! Canaries: numbered markers that are written to a source and looked for on the survivor, to know what a failover would lose.
//!
//! A sample writes one marker and, at the same time, reads which markers have arrived: a source that hangs delays that one sample and no other. A marker counts from the moment at
//! which the source acknowledged it, by the source's clock; only differences between moments of that clock are used.
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
    /// While a side cannot be asked: how far the survivor was behind at most since, as far as what the source acknowledged goes.
    unseen: Mutex<Option<Duration>>,
}

impl Default for Canary {
    fn default() -> Self {
        Self { series: format!("{:016x}", rand::random::<u64>()), ledger: Mutex::new(Ledger::default()), unseen: Mutex::new(None) }
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
        let balance = self.ledger().balance(Instant::now());
        let forgettable = balance.contiguous.checked_sub(KEPT);
        let mut sample = judged(&balance, expect.max_lag, written.as_ref().err(), read.as_ref().err());
        let unseen = self.unseen(&balance, written.is_ok(), read.is_ok());
        if let (Some(value), Some(unseen)) = (&mut sample.value, unseen) {
            value["unseen_ms"] = u64::try_from(unseen.as_millis()).unwrap_or(u64::MAX).into();
        }
        if let (Some(number), Ok(()), Ok(())) = (forgettable, &written, &read) {
            let _ = tokio::time::timeout_at(until, markers.forget(world, &self.series, number)).await;
        }
        sample
    }

    async fn written(&self, world: &World, markers: &impl Markers, until: Instant) -> Result<(), String> {
        let pending = Pending { canary: self, number: self.ledger().begin(Instant::now()) };
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

    /// When both sides are asked again: how far the survivor was behind at most meanwhile. A source that acknowledges nothing leaves the survivor behind no
    /// further than it was; a survivor that cannot be asked may have got nothing.
    fn unseen(&self, balance: &ledger::Balance, source_read: bool, mirror_read: bool) -> Option<Duration> {
        let mut unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        if source_read && mirror_read {
            return unseen.take().map(|unseen| unseen.max(balance.lag.unwrap_or_default()));
        }
        let behind = if mirror_read { balance.lag } else { balance.most };
        *unseen = Some(unseen.unwrap_or_default().max(behind.unwrap_or_default()));
        None
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

/// Good or bad when both sides were asked; else there is no reading, only bounds of one.
fn judged(balance: &ledger::Balance, longest: Span, unwritten: Option<&String>, unread: Option<&String>) -> Sample {
    let value = balance.value(unwritten.is_none(), unread.is_none());
    let failed = [("source", unwritten), ("survivor", unread)].into_iter().filter_map(|(side, why)| Some(format!("{side}: {}", why?)));
    let failed: Vec<String> = failed.collect();
    if !failed.is_empty() {
        let known = balance.lag.filter(|_| unread.is_none()).map(|lag| format!("; by what it last acknowledged {}", balance.behind(lag)));
        return Sample::unknown(failed.join("; ") + &known.unwrap_or_default()).with_value(value);
    }
    let Some(lag) = balance.lag else { return Sample::unknown("the source has acknowledged no marker yet") };
    let text = balance.behind(lag);
    let sample = if lag <= longest.duration() { Sample::good(text) } else { Sample::bad(format!("{text}, allowed {longest}")) };
    sample.with_value(value)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::engine::probe::Reading;
    use crate::ports::gate::Gate;
    use crate::world::settings::Settings;

    /// A source and a survivor that have everything, and either may not answer.
    #[derive(Default)]
    struct Sides {
        source: AtomicBool,
        survivor: AtomicBool,
        last: Mutex<u64>,
    }

    impl Markers for Sides {
        async fn write(&self, _: &World, _: &str, number: u64) -> Result<Timestamp, String> {
            if self.source.load(Ordering::Relaxed) {
                return Err("refused".to_owned());
            }
            *self.last.lock().unwrap() = number;
            Ok(crate::engine::clock::wall())
        }

        async fn read(&self, _: &World, _: &str, numbers: Numbers) -> Result<Vec<u64>, String> {
            if self.survivor.load(Ordering::Relaxed) {
                return Err("refused".to_owned());
            }
            Ok((numbers.after + 1..=*self.last.lock().unwrap()).collect())
        }

        async fn forget(&self, _: &World, _: &str, _: u64) {}
    }

    #[tokio::test]
    async fn a_side_that_does_not_answer_leaves_no_reading_only_bounds() {
        let world = World::connect(&Settings::default(), &Gate::default()).await;
        let (canary, sides) = (Canary::default(), Sides::default());
        let sample = || async { canary.sample(&world, &sides, CanaryExpect { max_lag: Span::from_secs(9) }, Duration::from_secs(5)).await };
        for _ in 0..2 {
            let sample = sample().await;
            assert_eq!((sample.reading, &sample.value.unwrap()["lag_ms"]), (Reading::Good, &0.into()));
        }
        sides.source.store(true, Ordering::Relaxed);
        let blind = sample().await;
        assert_eq!(
            (blind.reading, blind.detail.as_str()),
            (Reading::Unknown, "source: refused; by what it last acknowledged 0.0 s behind, 0 missing")
        );
        let value = blind.value.unwrap();
        assert!(value["lag_ms"].is_null() && value["source_read"] == false && value["lag_at_least_ms"] == 0, "{value}");
        let most = |value: &serde_json::Value| value["lag_at_most_ms"].as_u64().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let later = sample().await.value.unwrap();
        assert!(most(&later) >= most(&value) + 20, "it grows: {value} {later}");
        sides.survivor.store(true, Ordering::Relaxed);
        assert_eq!(sample().await.detail, "source: refused; survivor: refused");
        sides.source.store(false, Ordering::Relaxed);
        let blind = sample().await;
        assert_eq!((blind.reading, &blind.value.unwrap()["mirror_read"]), (Reading::Unknown, &false.into()));
        sides.survivor.store(false, Ordering::Relaxed);
        let again = sample().await;
        assert_eq!((again.reading, again.value.unwrap()["unseen_ms"].is_u64()), (Reading::Good, true), "both sides again");
        assert!(sample().await.value.unwrap()["unseen_ms"].is_null(), "told once");
    }
}
