//! A store that makes the process kill itself at a chosen event, as SIGKILL or a power cut would, or makes the disk fail at that event. With it tests show that a run
//! survives both at any event.
//!
//! `LIFEBOAT_CRASH=WHEN:EVENT` chooses the moment, in labs only. WHEN is
//! - `before`: the event is not stored; what the event tells of has happened
//! - `after`: the event is stored, and nothing has followed from it
//! - `torn`: half of the event's line is stored
//! - `lost`: neither the event nor anything since the last event that had to be on stable storage is stored, as after a power cut
//! - `full`, `read-only`, `broken`: neither the event nor anything after it can be stored (with `full`, half of the event's line is)
//! - `brief`: the same for one second; afterwards everything can be stored again
//! - `gone`: the folder of the run is taken away
//!
//! EVENT is a position (`41`), or a subject and what happened to it (`run:stage`, `failover/shift-dns:intended`, `storefront:changed`), with `#2` for
//! the second event of that kind that this process stores.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;

use super::FileStore;
use crate::ports::store::{Appended, LeaseRecord, Owner, RunStore, StoreError};

/// The environment variable that arms it.
pub const VARIABLE: &str = "LIFEBOAT_CRASH";

/// When a process is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    when: When,
    event: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
    Torn,
    Lost,
    Fails(Disk),
}

/// How the disk fails, while the process lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Full,
    ReadOnly,
    Broken,
    Brief,
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Position(u64),
    Named { name: String, nth: u32 },
}

/// What is no [`Point`].
#[derive(Debug, thiserror::Error)]
#[error(
    "{VARIABLE}={0} is not before, after, torn, lost, full, read-only, broken, brief or gone, then a colon, then a position or an event such as failover/shift-dns:intended#1"
)]
pub struct NoPoint(String);

impl FromStr for Point {
    type Err = NoPoint;

    fn from_str(text: &str) -> Result<Self, NoPoint> {
        let no = || NoPoint(text.to_owned());
        let (when, event) = text.split_once(':').ok_or_else(no)?;
        let when = match when {
            "before" => When::Before,
            "after" => When::After,
            "torn" => When::Torn,
            "lost" => When::Lost,
            "full" => When::Fails(Disk::Full),
            "read-only" => When::Fails(Disk::ReadOnly),
            "broken" => When::Fails(Disk::Broken),
            "brief" => When::Fails(Disk::Brief),
            "gone" => When::Fails(Disk::Gone),
            _ => return Err(no()),
        };
        if let Ok(position) = event.parse() {
            return Ok(Self { when, event: Which::Position(position) });
        }
        let (name, nth) = match event.rsplit_once('#') {
            Some((name, nth)) => (name, nth.parse().map_err(|_| no())?),
            None => (event, 1),
        };
        if !name.contains(':') {
            return Err(no());
        }
        Ok(Self { when, event: Which::Named { name: name.to_owned(), nth } })
    }
}

/// How a [`Point`] names an event: its subject and what happened to it.
#[must_use]
pub fn name(event: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    format!("{}:{}", text("step").or_else(|| text("probe")).unwrap_or("run"), text("event").unwrap_or_default())
}

/// The store that ends its own process at a point.
#[derive(Debug)]
pub struct CrashStore {
    inner: Arc<FileStore>,
    point: Point,
    seen: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// How many events of each name this process stored.
    named: BTreeMap<String, u32>,
    /// How long the journal was when it last had to be on stable storage.
    durable: Option<u64>,
    /// Since when the disk fails.
    failing: Option<Instant>,
}

impl CrashStore {
    /// `inner` until `point` is reached.
    #[must_use]
    pub fn new(inner: Arc<FileStore>, point: Point) -> Self {
        Self { inner, point, seen: Mutex::default() }
    }

    fn is_reached(&self, seen: &mut Progress, position: u64, line: &[u8]) -> bool {
        match &self.point.event {
            Which::Position(at) => *at == position,
            Which::Named { name: wanted, nth } => {
                let found = serde_json::from_slice(line).map(|event| name(&event)).unwrap_or_default();
                let count = seen.named.entry(found.clone()).or_default();
                *count += 1;
                found == *wanted && *count == *nth
            }
        }
    }

    /// Leaves the journal as the crash would.
    fn leave(&self, run: &str, line: &[u8], durable: Option<u64>) -> std::io::Result<()> {
        let path = self.inner.journal(run);
        match self.point.when {
            When::Before | When::After | When::Fails(_) => Ok(()),
            When::Torn => OpenOptions::new().append(true).open(path)?.write_all(&line[..line.len() / 2]),
            When::Lost => OpenOptions::new().write(true).open(path)?.set_len(durable.unwrap_or(0)),
        }
    }

    /// What the disk does to this line, if it is to fail here or has failed before.
    fn disturb(&self, seen: &mut Progress, disk: Disk, run: &str, position: u64, line: &[u8]) -> Result<(), StoreError> {
        let begins = seen.failing.is_none() && self.is_reached(seen, position, line);
        if begins {
            seen.failing = Some(Instant::now());
        }
        let Some(since) = seen.failing else { return Ok(()) };
        let path = self.inner.journal(run);
        let error = match disk {
            Disk::Gone if begins => {
                // What cannot be taken away shows in what the case then comes to.
                let _ = fs::remove_dir_all(self.inner.path(run));
                return Ok(());
            }
            Disk::Gone => return Ok(()),
            Disk::Brief if since.elapsed() > BRIEF => return Ok(()),
            Disk::Full | Disk::Brief => {
                if begins {
                    // A disk that fills up takes what there is room for.
                    let _ = OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(&line[..line.len() / 2]));
                }
                Errno::NOSPC
            }
            Disk::ReadOnly => Errno::ROFS,
            Disk::Broken => Errno::IO,
        };
        Err(StoreError { action: "append to", subject: path.display().to_string(), source: error.into() })
    }
}

/// How long a disk fails that fails briefly.
const BRIEF: Duration = Duration::from_secs(1);

impl RunStore for CrashStore {
    fn append(&self, run: &str, owner: &Owner, expected: u64, bytes: &[u8], durable: bool) -> Result<Appended, StoreError> {
        // One writer appends one event after another; a panic elsewhere leaves counts that are whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let length = || fs::metadata(self.inner.journal(run)).map(|file| file.len()).ok();
        if seen.durable.is_none() {
            // What an earlier owner left has outlived it.
            seen.durable = length();
        }
        if let When::Fails(disk) = self.point.when {
            self.disturb(&mut seen, disk, run, expected + 1, bytes)?;
            return self.inner.append(run, owner, expected, bytes, durable);
        }
        let reached = self.is_reached(&mut seen, expected + 1, bytes);
        if reached && self.point.when != When::After {
            // A journal that cannot be left so is left as it is: the process ends in any case.
            let _ = self.leave(run, bytes, seen.durable);
            die();
        }
        let appended = self.inner.append(run, owner, expected, bytes, durable)?;
        if reached {
            die();
        }
        if durable {
            seen.durable = length();
        }
        Ok(appended)
    }

    fn shortage(&self, run: &str) -> Option<String> {
        self.inner.shortage(run)
    }

    fn read(&self, run: &str, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.read(run, after)
    }

    fn last(&self, run: &str) -> Result<u64, StoreError> {
        self.inner.last(run)
    }

    fn lease_get(&self, key: &str) -> Result<Option<LeaseRecord>, StoreError> {
        self.inner.lease_get(key)
    }

    fn lease_cas(&self, key: &str, expected: u64, bytes: &[u8], lifetime: Duration) -> Result<Option<u64>, StoreError> {
        self.inner.lease_cas(key, expected, bytes, lifetime)
    }
}

/// No handler, no destructor, nothing flushed.
fn die() -> ! {
    // It cannot be refused: the process is our own.
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_positions_or_names() {
        let point = |text: &str| text.parse::<Point>().ok();
        assert_eq!(point("before:41"), Some(Point { when: When::Before, event: Which::Position(41) }));
        let named = |name: &str, nth| Which::Named { name: name.into(), nth };
        assert_eq!(point("torn:failover/x[2]:call#3"), Some(Point { when: When::Torn, event: named("failover/x[2]:call", 3) }));
        assert_eq!(point("lost:run:stage"), Some(Point { when: When::Lost, event: named("run:stage", 1) }));
        assert_eq!(point("read-only:3"), Some(Point { when: When::Fails(Disk::ReadOnly), event: Which::Position(3) }));
        for wrong in ["41", "during:41", "after:stage", "after:run:stage#x"] {
            assert_eq!(point(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_nth_event_of_a_name_is_the_point() {
        let folder = tempfile::tempdir().unwrap();
        let store = CrashStore::new(Arc::new(FileStore::new(folder.path(), false)), "after:fault:call#2".parse().unwrap());
        let mut seen = Progress::default();
        let line = |event: &str| format!(r#"{{"of":"step","step":"fault","event":"{event}"}}"#).into_bytes();
        let reached: Vec<bool> = ["call", "progress", "call", "call"].map(|event| store.is_reached(&mut seen, 1, &line(event))).to_vec();
        assert_eq!(reached, [false, false, true, false]);
    }
}
