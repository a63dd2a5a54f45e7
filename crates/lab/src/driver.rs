//! Lets time pass: wakes at every transition, so that the world changes even while nobody looks, and keeps the instances' servers in step.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::data::http::Servers;
use super::world::World;

/// How long to wait before trying again to open a server whose address is taken.
const RETRY: Duration = Duration::from_millis(100);

/// How long to sleep when nothing is to come.
const IDLE: Duration = Duration::from_secs(3600);

/// Runs until `stop`.
pub(super) async fn drive(world: Arc<World>, mut servers: Servers, stop: CancellationToken) {
    loop {
        let opens_at = servers.follow(&world);
        let next = world.lock().queue.next_at();
        let wait = match opens_at {
            Ok(opens_at) => [opens_at, next].into_iter().flatten().min().map_or(IDLE, |at| world.clock.until(at)),
            Err(_) => RETRY,
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = world.rescheduled.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    servers.close().await;
}

/// Does something every `delay` of the world (never more often than every 5 ms of real time) until `stop`.
pub(super) async fn every(world: Arc<World>, delay: Duration, stop: CancellationToken, mut act: impl FnMut(&World)) {
    let period = world.clock.scaled(delay).max(Duration::from_millis(5));
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => act(&world),
        }
    }
}
