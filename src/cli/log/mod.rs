//! What Lifeboat itself does, line by line on standard error, for whoever asks with `-v` or `LIFEBOAT_LOG`. Without being asked nothing is installed, and
//! each event costs the look at one number.
//!
//! - `filter`: which lines are wanted.
//!
//! A thread of its own masks and writes the lines. Whoever has something to say never waits for a terminal that was stopped or a pipe that nobody reads,
//! least of all the probes, which measure; what finds the queue full is dropped and counted. (`tracing-appender` does as much, but cannot be emptied before
//! an error is printed, and brings a calendar of its own.) On a terminal with a display, the lines are written above it and the display stays: the
//! questions of a run are asked there.

mod filter;

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use tracing::info;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::output::{self, log_line};
use crate::engine::secrets;
use crate::observe;
use crate::ops::exit::Exit;
use crate::ops::variables::LOG;

/// So many lines may wait to be written.
const ROOM: usize = 4096;
/// More of one line is not written: libraries quote whole answers.
const LONGEST: usize = 4096;
/// So many lines are written at once.
const BATCH: usize = 256;
/// How long an end waits for lines when none is written: a terminal that takes nothing any more keeps nobody.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it looks whether one was.
const LOOK: Duration = Duration::from_millis(10);

/// Where lines go; empty while nobody wants any.
static QUEUE: OnceLock<SyncSender<Message>> = OnceLock::new();
/// How often lines were written.
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// How many lines were dropped since that was said.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// What this process did so far and how long each took, and what it does now since when.
static PHASES: Mutex<Phases> = Mutex::new(Phases { done: Vec::new(), now: None });

enum Message {
    Line(String),
    /// To be answered when everything before it is written.
    Written(SyncSender<()>),
}

/// Begins to log, if `-v` or the variable asks for it. A log that cannot be had keeps nobody from what was to be done.
///
/// # Errors
/// When the variable is not understood.
pub(super) fn start(verbose: u8) -> Result<(), Exit> {
    let Some(wanted) = filter::wanted(verbose, std::env::var_os(LOG).as_deref())? else { return Ok(()) };
    // A library may quote them before any plan does.
    secrets::know_the_operators();
    let (queue, lines) = sync_channel(ROOM);
    if let Err(error) = std::thread::Builder::new().name("log".into()).spawn(move || write(&lines)) {
        output::said(&format!("there is no log: {error}"));
        return Ok(());
    }
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_timer(InUtc).with_writer(|| Line);
    // Both fail only when they are there already, and a process has one command.
    let _ = QUEUE.set(queue);
    let _ = tracing_subscriber::registry().with(wanted).with(lines).try_init();
    info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "started");
    Ok(())
}

/// Waits until the lines so far are written, so that what is printed next stands below them.
pub(super) fn flush() {
    let Some(queue) = QUEUE.get() else { return };
    let (written, told) = sync_channel(1);
    let mut message = Some(Message::Written(written));
    let mut moved = (WRITTEN.load(Ordering::Relaxed), Instant::now());
    loop {
        if let Some(waiting) = message.take()
            && let Err(TrySendError::Full(back)) = queue.try_send(waiting)
        {
            message = Some(back);
        }
        if !matches!(told.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
            return;
        }
        let now = WRITTEN.load(Ordering::Relaxed);
        if now != moved.0 {
            moved = (now, Instant::now());
        } else if moved.1.elapsed() > PATIENCE {
            return;
        }
    }
}

/// What this process does from now on, in a word or two: the log says at the end how long each took.
pub(super) fn phase(name: &'static str) {
    if QUEUE.get().is_some() {
        PHASES.lock().unwrap_or_else(PoisonError::into_inner).next(Some(name));
    }
}

/// Says with which code the process ends, and how long each phase took.
pub(super) fn ended(code: u8) {
    if QUEUE.get().is_some() {
        let mut phases = PHASES.lock().unwrap_or_else(PoisonError::into_inner);
        phases.next(None);
        info!(code, phases = %phases, "ended");
    }
    flush();
}

struct Phases {
    done: Vec<(&'static str, Duration)>,
    now: Option<(&'static str, Instant)>,
}

impl Phases {
    fn next(&mut self, name: Option<&'static str>) {
        let now = Instant::now();
        if let Some((name, since)) = self.now.take() {
            self.done.push((name, now - since));
        }
        self.now = name.map(|name| (name, now));
    }
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.done.iter().map(|(name, took)| format!("{name} {} ms", took.as_millis())).collect();
        f.write_str(&told.join(", "))
    }
}

/// The time of a line, as journals write it.
struct InUtc;

impl FormatTime for InUtc {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{}", Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// Takes one line, which the library hands over whole.
struct Line;

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(queue) = QUEUE.get() else { return Ok(bytes.len()) };
        let mut line = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned();
        if bytes.len() > LONGEST {
            // The dots tell the mask that a secret may be cut here.
            line.push_str(&format!("… ({} bytes)", bytes.len()));
        }
        if queue.try_send(Message::Line(line)).is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that masks and writes, until the process ends.
fn write(lines: &Receiver<Message>) {
    let is_terminal = io::stderr().is_terminal();
    while let Ok(first) = lines.recv() {
        let (mut text, mut waiting) = (String::new(), Vec::new());
        for message in std::iter::once(first).chain(lines.try_iter().take(BATCH)) {
            match message {
                Message::Line(line) => text.push_str(&(log_line(line.trim_end()) + "\n")),
                Message::Written(written) => waiting.push(written),
            }
        }
        match DROPPED.swap(0, Ordering::Relaxed) {
            0 => {}
            number => text.push_str(&format!("… {number} lines of the log were dropped: standard error takes them too slowly\n")),
        }
        // A log that cannot be written keeps nobody from a failover.
        let put = || drop(io::stderr().write_all(text.as_bytes()));
        if is_terminal {
            observe::above_the_display(put);
        } else {
            put();
        }
        WRITTEN.fetch_add(1, Ordering::Relaxed);
        for written in waiting {
            // It may have waited long enough.
            let _ = written.send(());
        }
    }
}
