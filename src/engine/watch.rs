//! Samples every probe of a run on a runtime of its own: nothing an action does can delay a probe.
//!
//! The schedule is open-loop: a slow answer never delays the next send. Answers are judged in the order in which their samples were sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::board::Standing;
use super::clock::RunClock;
use super::probe::{DynProbe, Sample};
use super::tracker::{Taken, Tracker};
use crate::model::event::probe::ProbeKind;

/// A probe ready to be sampled.
pub struct Watched<W> {
    /// Its id in the run.
    pub id: String,
    /// How it reads.
    pub probe: Arc<dyn DynProbe<W>>,
    /// Time between the starts of two samples.
    pub every: Duration,
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
    thread: Option<JoinHandle<()>>,
}

const END: u64 = u64::MAX;

impl Watch {
    /// Starts sampling. Reports go to `reports` until [`Watch::end`].
    ///
    /// # Errors
    /// When no thread or runtime can be had.
    pub fn start<W: Send + Sync + 'static>(
        probes: Vec<Watched<W>>,
        world: Arc<W>,
        clock: RunClock,
        reports: mpsc::UnboundedSender<Report>,
    ) -> std::io::Result<Self> {
        let (tally, asked) = watch::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("probes".into()).spawn(move || {
            runtime.block_on(async move {
                let mut tasks = JoinSet::new();
                for probe in probes {
                    tasks.spawn(sample_forever(probe, world.clone(), clock, asked.clone(), reports.clone()));
                }
                while tasks.join_next().await.is_some() {}
            });
            // Samples that still hang are dropped with the runtime.
            runtime.shutdown_background();
        })?;
        Ok(Self { tally, thread: Some(thread) })
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

async fn sample_forever<W: Send + Sync + 'static>(
    watched: Watched<W>,
    world: Arc<W>,
    clock: RunClock,
    mut asked: watch::Receiver<u64>,
    reports: mpsc::UnboundedSender<Report>,
) {
    let Watched { id, probe, every, bad_after, good_after } = watched;
    let every = every.max(Duration::from_millis(1));
    let timeout = probe.timeout();
    let most_in_flight = usize::try_from(timeout.as_nanos() / every.as_nanos()).unwrap_or(usize::MAX).saturating_add(2);
    let mut tracker = Tracker::new(clock, bad_after, good_after);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut running: JoinSet<(u64, Taken)> = JoinSet::new();
    let mut sent_at: BTreeMap<tokio::task::Id, (u64, Instant)> = BTreeMap::new();
    let mut answered: BTreeMap<u64, Taken> = BTreeMap::new();
    let (mut next_number, mut next_judged) = (0u64, 0u64);
    loop {
        tokio::select! {
            biased;
            changed = asked.changed() => {
                let ending = changed.is_err() || *asked.borrow_and_update() == END;
                let tally = tracker.tally();
                let _ = reports.send(Report { probe: id.clone(), events: vec![tally], standing: None });
                if ending {
                    return;
                }
            }
            Some(ended) = running.join_next_with_id() => {
                let (task, taken) = match ended {
                    Ok((task, (_, taken))) => (task, Some(taken)),
                    Err(error) => (error.id(), None),
                };
                let Some((number, sent)) = sent_at.remove(&task) else { continue };
                // A panicking probe is a failed reading, not a failed service.
                let taken = taken.unwrap_or_else(|| Taken { sent, done: Instant::now(), late: false, sample: Sample::unknown("the probe failed inside Lifeboat") });
                answered.insert(number, taken);
                let mut events = Vec::new();
                while let Some(taken) = answered.remove(&next_judged) {
                    next_judged += 1;
                    events.extend(tracker.take(taken));
                }
                let _ = reports.send(Report { probe: id.clone(), events, standing: tracker.standing().cloned() });
            }
            due = ticks.tick(), if running.len() < most_in_flight => {
                let (number, probe, world) = (next_number, probe.clone(), world.clone());
                next_number += 1;
                let sent = Instant::now();
                let late = sent.saturating_duration_since(due) > every / 2;
                let task = running.spawn(async move {
                    let (sample, done) = answered_by(sent, timeout, probe.sample(&world)).await;
                    (number, Taken { sent, done, late, sample })
                });
                sent_at.insert(task.id(), (number, sent));
            }
        }
    }
}

/// What a sample said, and when it was known.
async fn answered_by(sent: Instant, timeout: Duration, answer: impl Future<Output = Sample>) -> (Sample, Instant) {
    match tokio::time::timeout(timeout, answer).await {
        // An answer counts from when it was there: on a busy machine that may be after the deadline.
        Ok(sample) => (sample, Instant::now()),
        // A sample without an answer was bad at its deadline, however late this machine noticed.
        Err(_) => (Sample::bad(format!("no answer within {}", crate::model::time::Span::from(timeout))), sent + timeout),
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
        let (sample, done) = answered_by(sent, TIMEOUT, busy).await;
        assert_eq!(sample, Sample::good("200"));
        assert!(done >= sent + TIMEOUT * 4, "an upper bound before the answer was there");
    }

    #[tokio::test]
    async fn a_sample_without_an_answer_is_done_at_its_deadline() {
        let sent = Instant::now();
        let (sample, done) = answered_by(sent, TIMEOUT, std::future::pending()).await;
        assert_eq!((sample, done), (Sample::bad("no answer within 5ms"), sent + TIMEOUT));
    }
}
