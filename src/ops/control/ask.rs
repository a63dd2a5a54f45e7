//! The other end of a run's socket.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use super::wire::{Answer, Request};
use super::{Status, abort_command, socket};
use crate::journal::FileStore;
use crate::model::order::Asked;
use crate::ops::exit::{Exit, Kind};
use crate::ops::runs;

/// How long the run may take to answer: longer than it gives itself.
const PATIENCE: Duration = Duration::from_secs(20);
/// An answer with thousands of steps is smaller than this.
const LONGEST: u64 = 16 << 20;

/// Asks a run that is being run for something.
///
/// # Errors
/// When nobody runs it, or what it said in refusal.
pub fn ask(store: &FileStore, run: &str, request: &Request) -> Result<Answer, Exit> {
    store.vouched(run).map_err(|error| runs::unreadable(&error))?;
    let answer = talk(store, run, request).map_err(|error| unreachable(store, run, &error))?;
    match answer {
        Answer { ok: true, .. } => Ok(answer),
        Answer { error, .. } => Err(Exit::new(Kind::Environment, format!("run {run}: {}", error.unwrap_or_else(|| "refused".into())))),
    }
}

/// Gives a run an order; an answer may be signed.
///
/// # Errors
/// As [`ask`].
pub fn order(store: &FileStore, run: &str, asked: Asked, signature: Option<String>) -> Result<(), Exit> {
    ask(store, run, &Request::Order(asked, signature)).map(|_| ())
}

impl Status {
    /// How a run that is being run stands.
    ///
    /// # Errors
    /// As [`ask`].
    pub fn of_running(store: &FileStore, run: &str) -> Result<Self, Exit> {
        let status = ask(store, run, &Request::Status)?.status;
        status.map(|status| *status).ok_or_else(|| Exit::new(Kind::Internal, format!("run {run} told nothing of itself")))
    }
}

fn talk(store: &FileStore, run: &str, request: &Request) -> io::Result<Answer> {
    let mut stream = socket::connect(&store.path(run))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.line()?.as_bytes())?;
    let mut line = Vec::new();
    BufReader::new(stream.take(LONGEST)).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

fn unreachable(store: &FileStore, run: &str, error: &io::Error) -> Exit {
    if store.is_owned(run) {
        let exit = Exit::new(Kind::Environment, format!("run {run} is running but cannot be reached")).cause(error.to_string());
        return exit.hint("a signal reaches it where it was started: SIGTERM makes a drill abort and an emergency stop");
    }
    let command = abort_command(store, run);
    Exit::new(Kind::Environment, format!("run {run} is not running")).hint(format!(
        "`lifeboat report {run}` tells how it ended; if it was interrupted, `{command}` takes it back and `lifeboat resume {run}` goes on"
    ))
}
