//! Disk space that is set aside for a run's journal ahead of what it writes, so that a disk that fills up still has room for the events of undo.
//!
//! The blocks are allocated behind the end of the file; the length of the file stays that of its lines. The blocks stay when the process dies, so the process that takes the run back
//! has them as well. Blocks that are not used are given back at the end of the run.

use std::fs::File;
use std::io;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use tracing::{debug, warn};

/// How much is set aside: about a thousand events, many times what taking a fault out and putting steps back writes.
const ROOM: u64 = 1 << 20;
/// When less than this is left, as much as before is set aside anew.
const LOW: u64 = ROOM / 2;

/// What is set aside behind the lines of one journal.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    /// Up to where; nothing yet = 0.
    until: u64,
    /// Whether this file system sets nothing aside.
    unknown: bool,
    /// Why no more could be had.
    short: Option<String>,
}

impl Reserve {
    /// Sets space aside behind `length` where too little is left.
    pub(super) fn keep(&mut self, file: &File, length: u64) {
        if self.unknown || self.short.is_some() || length + LOW <= self.until {
            return;
        }
        match fallocate(file, FallocateFlags::KEEP_SIZE, length, ROOM) {
            Ok(()) => {
                self.until = length + ROOM;
                debug!(bytes = ROOM, behind = length, "space set aside for the journal");
            }
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => {
                warn!(%error, "no space can be set aside for the journal");
                self.short = Some(io::Error::from(error).to_string());
            }
            // Not every file system knows how; writing tells soon enough when something is wrong.
            Err(error) => {
                debug!(%error, "this file system sets no space aside");
                self.unknown = true;
            }
        }
    }

    /// Why no more could be set aside, if so.
    pub(super) fn short(&self) -> Option<&str> {
        self.short.as_deref()
    }

    /// Gives back what was not needed: a file that is set to the length it has keeps no blocks behind that.
    pub(super) fn give_back(&mut self, file: &File, length: u64) {
        if self.until > 0 {
            // What is not given back is a MiB that nobody uses.
            let _ = file.set_len(length);
            self.until = 0;
        }
    }
}
