//! Samples every probe of a run on a thread and a runtime of its own: nothing an action does can delay a probe.
//!
//! The schedule is open-loop: a slow answer never delays the next send. Answers are judged in the order in which their samples were sent.
//!
//! - `schedule`: when which sample is due.
//! - `timer`: waking up at that moment.
//! - `sampled`: one probe between its samples.

pub(super) mod sampled;
mod schedule;
mod timer;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::info;

use self::sampled::Sampled;
use self::schedule::{Due, Schedule};
use self::timer::Timer;
use super::board::{Ask, Standing};
use super::clock::RunClock;
use super::probe::{DynProbe, Sample};
use super::samples::{Samples, row};
use super::tracker::Taken;
use crate::model::event::probe::ProbeKind;
pub use sampled::Closer;
pub use schedule::beginnings;

/// A probe ready to be sampled.
pub struct Watched<W> {
    /// Its id in the run.
    pub id: String,
    /// How it reads.
    pub probe: Arc<dyn DynProbe<W>>,
    /// Time between the starts of two samples.
    pub every: Duration,
    /// How it samples while it is bad, if otherwise.
    pub while_bad: Option<Closer>,
    /// See the plan.
    pub bad_after: u32,
    /// See the plan.
    pub good_after: u32,
}

/// What the watch tells the run.
#[derive(Debug)]
pub struct Report {
    /// The probe.
    pub probe: String,
    /// What is worth an event, in order.
    pub events: Vec<ProbeKind>,
    /// What is known of it now.
    pub standing: Option<Standing>,
}

/// The running watch. Dropping it without [`Watch::end`] ends it too, without the last counts.
pub struct Watch {
    /// Counts up to ask for tallies; `END` ends.
    tally: watch::Sender<u64>,
    asks: mpsc::UnboundedSender<Ask>,
    thread: Option<JoinHandle<()>>,
}

const END: u64 = u64::MAX;

/// How many samples are sent at once before those under way get their turn, after this machine stood still.
const BURST: usize = 64;

/// How many ready tasks the runtime looks at before it looks whether a timer or a socket is ready. A task takes some microseconds.
const LOOK: u32 = 16;

impl Watch {
    /// Starts sampling. Reports go to `reports`, and every sample to `samples`, until [`Watch::end`].
    ///
    /// # Errors
    /// When no thread, runtime or timer can be had.
    pub fn start<W: Send + Sync + 'static>(
        probes: Vec<Watched<W>>,
        world: Arc<W>,
        clock: RunClock,
        reports: mpsc::UnboundedSender<Report>,
        samples: Samples,
    ) -> std::io::Result<Self> {
        raise_file_limit();
        let (tally, asked) = watch::channel(0);
        let (asks, asking) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(LOOK).build()?;
        let timer = {
            let _inside = runtime.enter();
            Timer::new()?
        };
        let probes: Vec<Sampled<W>> = probes.into_iter().map(|watched| Sampled::new(watched, clock)).collect();
        let intervals: Vec<Duration> = probes.iter().map(Sampled::every).collect();
        info!(probes = probes.len(), "thread of the probes started");
        let thread = std::thread::Builder::new().name("probes".into()).spawn(move || {
            let schedule = Schedule::new(Instant::now(), &intervals);
            let places = probes.iter().enumerate().map(|(place, probe)| (probe.id().to_owned(), place)).collect();
            let sampler = Sampler { probes, places, world, clock, schedule, running: JoinSet::new(), reports, samples };
            runtime.block_on(sampler.run(timer, asked, asking));
            // Samples that still hang are dropped with the runtime.
            runtime.shutdown_background();
        })?;
        Ok(Self { tally, asks, thread: Some(thread) })
    }

    /// Asks to be told of a probe as soon as there is a good sample of it that was sent at `after` or later. A probe reports nothing that is not new
    /// otherwise: that it is still good is known from what it was asked.
    pub fn ask(&self, probe: &str, after: Instant) {
        // Once the sampling has ended there is nothing to be told.
        let _ = self.asks.send((probe.to_owned(), after));
    }

    /// Where else such asks can be sent.
    #[must_use]
    pub fn asks(&self) -> mpsc::UnboundedSender<Ask> {
        self.asks.clone()
    }

    /// Asks every probe for its counts since the last time.
    pub fn tally(&self) {
        self.tally.send_modify(|count| *count += 1);
    }

    /// Ends sampling; every probe's last counts are among the reports when this returns.
    pub async fn end(mut self) {
        self.tally.send_replace(END);
        if let Some(thread) = self.thread.take() {
            // Joining blocks for the moment it takes the probes to notice.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Every probe that hangs holds a socket until its deadline: many of them need more than a shell allows unless asked.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // What is refused leaves it as it was; then samples without a socket say so.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
}

/// What the thread of the probes works on.
struct Sampler<W> {
    probes: Vec<Sampled<W>>,
    /// Where in `probes` each is, by id.
    places: BTreeMap<String, usize>,
    world: Arc<W>,
    clock: RunClock,
    schedule: Schedule,
    running: JoinSet<(usize, u64, Taken)>,
    reports: mpsc::UnboundedSender<Report>,
    samples: Samples,
}

impl<W: Send + Sync + 'static> Sampler<W> {
    async fn run(mut self, mut timer: Timer, mut asked: watch::Receiver<u64>, mut asking: mpsc::UnboundedReceiver<Ask>) {
        loop {
            let next = self.schedule.next();
            let due = async {
                match next {
                    Some(at) => timer.until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = asked.changed() => {
                    let ending = changed.is_err() || *asked.borrow_and_update() == END;
                    for probe in &mut self.probes {
                        let _ = self.reports.send(probe.tally());
                    }
                    self.samples.flush();
                    if ending {
                        return;
                    }
                }
                Some((probe, after)) = asking.recv() => {
                    if let Some(report) = self.places.get(&probe).and_then(|place| self.probes[*place].ask(after)) {
                        let _ = self.reports.send(report);
                    }
                }
                woken = due => {
                    if woken.is_err() {
                        // The system took its timer away: whole milliseconds then.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    self.send_due();
                    tokio::task::yield_now().await;
                }
                Some(Ok(ended)) = self.running.join_next() => self.ended(ended),
            }
            while let Some(Ok(ended)) = self.running.try_join_next() {
                self.ended(ended);
            }
        }
    }

    fn send_due(&mut self) {
        for _ in 0..BURST {
            let probes = &self.probes;
            let Some(Due { probe: place, at, missed }) = self.schedule.take(Instant::now(), |probe| probes[probe].every()) else { return };
            let sampled = &mut self.probes[place];
            let every = sampled.every();
            let Some(number) = sampled.send(missed) else { continue };
            let (probe, timeout) = sampled.probe();
            let world = self.world.clone();
            self.running.spawn(async move {
                let sent = Instant::now();
                let late = sent.saturating_duration_since(at) > every / 2;
                let (sample, done) = answered_by(sent, timeout, probe.sample(&world), || probe.late()).await;
                (place, number, Taken { sent, done, late, sample })
            });
        }
    }

    fn ended(&mut self, (place, number, taken): (usize, u64, Taken)) {
        let Self { probes, samples, clock, .. } = self;
        let judged = probes[place].answered(number, taken, |taken| samples.keep(row(place, taken, clock)));
        if let Some(report) = judged.report {
            let _ = self.reports.send(report);
        }
        if let Some(at) = judged.hasten {
            self.schedule.hasten(place, at);
        }
    }
}

/// What a sample said, and when it was known.
async fn answered_by(sent: Instant, timeout: Duration, answer: impl Future<Output = Sample>, late: impl FnOnce() -> Sample) -> (Sample, Instant) {
    match tokio::time::timeout(timeout, AssertUnwindSafe(answer).catch_unwind()).await {
        // An answer counts from when it was there: on a busy machine that may be after the deadline.
        Ok(Ok(sample)) => (sample, Instant::now()),
        // A panicking probe is a failed reading, not a failed service.
        Ok(Err(_)) => (Sample::unknown("the probe failed inside Lifeboat"), Instant::now()),
        // A sample without an answer was over at its deadline, however late this machine noticed.
        Err(_) => (late(), sent + timeout),
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn an_answer_noticed_after_the_deadline_is_done_when_it_was_there() {
        let sent = Instant::now();
        let busy = async {
            // The machine is busy: nothing else gets its turn until long after the deadline.
            while sent.elapsed() < TIMEOUT * 4 {
                std::hint::spin_loop();
            }
            Sample::good("200")
        };
        let (sample, done) = answered_by(sent, TIMEOUT, busy, || Sample::bad("late")).await;
        assert_eq!(sample, Sample::good("200"));
        assert!(done >= sent + TIMEOUT * 4, "an upper bound before the answer was there");
    }

    #[tokio::test]
    async fn a_sample_without_an_answer_is_done_at_its_deadline() {
        let sent = Instant::now();
        let (sample, done) = answered_by(sent, TIMEOUT, std::future::pending(), || Sample::unknown("late")).await;
        assert_eq!((sample, done), (Sample::unknown("late"), sent + TIMEOUT));
    }
}
