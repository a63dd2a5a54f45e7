//! Every single sample of a run, on its way to a file beside the journal, by a thread of its own: no disk ever delays a probe.

use std::io;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::time::Instant;

use super::clock::RunClock;
use super::probe::Reading;
use super::tracker::Taken;
use crate::model::event::KeptSamples;
pub use crate::ports::samples::{Row, SampleFile};
use crate::ports::secrets::mask;

/// A sample as it is kept; `place`: of its probe in the plan.
pub(super) fn row(place: usize, taken: &Taken, clock: &RunClock) -> Row {
    let detail = (taken.sample.reading != Reading::Good).then(|| {
        let mut detail = taken.sample.detail.clone();
        mask(&mut detail);
        detail
    });
    Row {
        probe: u32::try_from(place).unwrap_or(u32::MAX),
        sent: clock.at(taken.sent),
        first_byte: taken.sample.first_byte.map(|at| clock.at(at)),
        done: clock.at(taken.done),
        reading: taken.sample.reading,
        late: taken.late,
        detail,
    }
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
