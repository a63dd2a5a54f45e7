//! Every single sample of a run, on its way to a file beside the journal, by a thread of its own: no disk ever delays a probe.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::time::Instant;

use super::clock::RunClock;
use super::probe::Reading;
use super::tracker::Taken;
use crate::model::event::KeptSamples;
use crate::model::time::Timestamp;
use crate::ports::secrets::mask;

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The probe, by its place in the plan.
    pub probe: u32,
    /// When it was sent.
    pub sent: Timestamp,
    /// When the first byte of the answer was there, where there is such a thing.
    pub first_byte: Option<Timestamp>,
    /// When the answer was complete, or it was given up.
    pub done: Timestamp,
    /// What it said.
    pub reading: Reading,
    /// Whether it was sent more than half an interval after its time.
    pub late: bool,
    /// Why it was not good.
    pub detail: Option<String>,
}

impl Row {
    pub(super) fn of(place: usize, taken: &Taken, clock: &RunClock) -> Self {
        let detail = (taken.sample.reading != Reading::Good).then(|| {
            let mut detail = taken.sample.detail.clone();
            mask(&mut detail);
            detail
        });
        Self {
            probe: u32::try_from(place).unwrap_or(u32::MAX),
            sent: clock.at(taken.sent),
            first_byte: taken.sample.first_byte.map(|at| clock.at(at)),
            done: clock.at(taken.done),
            reading: taken.sample.reading,
            late: taken.late,
            detail,
        }
    }
}

/// Where samples are kept.
pub trait SampleFile: Send {
    /// Adds samples. They need not be on stable storage when this returns.
    ///
    /// # Errors
    /// When it cannot be written. Nothing is added after that.
    fn add(&mut self, rows: &[Row]) -> io::Result<()>;

    /// Ends the file; it is on stable storage when this returns.
    ///
    /// # Errors
    /// As above.
    fn finish(self: Box<Self>) -> io::Result<KeptSamples>;
}

/// How many samples are handed over at once.
const CHUNK: usize = 512;

/// How long a sample may wait for that, as long as others come in.
const WAIT: std::time::Duration = std::time::Duration::from_secs(1);

/// The end that takes samples. It never waits; a file that is too slow costs memory.
#[derive(Debug)]
pub struct Samples {
    rows: Vec<Row>,
    since: Instant,
    writer: Option<mpsc::Sender<Vec<Row>>>,
}

/// The thread that writes them.
#[derive(Debug)]
pub struct Writer(JoinHandle<io::Result<KeptSamples>>);

impl Samples {
    /// Starts a thread that writes to `file`.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn start(mut file: Box<dyn SampleFile>) -> io::Result<(Self, Writer)> {
        let (writer, chunks) = mpsc::channel::<Vec<Row>>();
        let thread = std::thread::Builder::new().name("samples".into()).spawn(move || {
            for chunk in chunks {
                file.add(&chunk)?;
            }
            file.finish()
        })?;
        Ok((Self { rows: Vec::with_capacity(CHUNK), since: Instant::now(), writer: Some(writer) }, Writer(thread)))
    }

    /// An end that keeps nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { rows: Vec::new(), since: Instant::now(), writer: None }
    }

    pub(super) fn keep(&mut self, row: Row) {
        if self.writer.is_none() {
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= CHUNK || self.since.elapsed() >= WAIT {
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        self.since = Instant::now();
        if let Some(writer) = self.writer.as_ref().filter(|_| !self.rows.is_empty()) {
            // A file that failed tells why when it is finished.
            let _ = writer.send(std::mem::replace(&mut self.rows, Vec::with_capacity(CHUNK)));
        }
    }
}

impl Writer {
    /// Waits until everything is written. The end that takes samples must be gone.
    ///
    /// # Errors
    /// When some samples could not be kept.
    pub async fn finish(self) -> io::Result<KeptSamples> {
        let joined = tokio::task::spawn_blocking(move || self.0.join()).await;
        joined.ok().and_then(Result::ok).unwrap_or_else(|| Err(io::Error::other("the writer failed inside Lifeboat")))
    }
}
