//! Where a command writes: the one place that touches standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::{Global, Output as Format};
use super::errors::{self, Style};
use crate::model::credentials::hidden_in_urls;
use crate::model::diagnostic::Diagnostic;
use crate::ops::exit::Exit;
use crate::ports::secrets::masked;

/// Whether something could not be printed.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something that was printed got lost, on a full disk for example.
pub(super) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// What a panic says, which may quote anything, on standard error.
pub(super) fn said(panic: &str) {
    let _ = writeln!(io::stderr(), "{}", masked(&hidden_in_urls(panic)));
}

/// How a command writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// JSON on standard output, everything else on standard error.
    pub(super) json: bool,
    /// Whether colour is wanted and the progress goes to a terminal.
    pub(super) color: bool,
    /// Whether the progress goes to a terminal.
    pub(super) terminal: bool,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        let json = global.output == Format::Json;
        let terminal = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let plain = global.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, color: terminal && !plain, terminal }
    }

    /// Prints to standard output. A closed pipe is the reader's choice, not an error; anything else is told once, and [`is_lost`] knows.
    pub(super) fn print(self, text: &str) {
        let written = io::stdout().write_all(masked(text).as_bytes()).and_then(|()| io::stdout().flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
            && !LOST.swap(true, Ordering::Relaxed)
        {
            let _ = writeln!(io::stderr(), "error: standard output cannot be written\n  because {error}");
        }
    }

    /// Lets `write` print bytes to standard output; they must hold no secret. A closed pipe ends the process's interest, not well or badly.
    pub(super) fn bytes<T: Default>(self, write: impl FnOnce(&mut dyn io::Write) -> Result<T, Exit>) -> Result<T, Exit> {
        let mut to = Bytes { inner: io::BufWriter::new(io::stdout().lock()), is_closed: false };
        let written = write(&mut to);
        if to.is_closed { Ok(T::default()) } else { written }
    }

    /// Says on standard error what a reader of standard output has to know.
    pub(super) fn note(self, line: &str) {
        let _ = writeln!(io::stderr(), "{}", masked(line));
    }

    /// Prints one JSON line to standard output.
    pub(super) fn json_line(self, value: &impl serde::Serialize) {
        if let Ok(line) = serde_json::to_string(value) {
            self.print(&format!("{line}\n"));
        }
    }

    /// Prints a line for a person who watches: standard output, or standard error beside JSON.
    pub(super) fn say(self, line: &str) {
        if self.json {
            let _ = writeln!(io::stderr(), "{}", masked(line));
        } else {
            self.print(&format!("{line}\n"));
        }
    }

    /// Prints an error with its causes and its hint; problems of files with the lines they are in.
    pub(super) fn error(self, exit: &Exit) {
        if self.json && !exit.diagnostics.is_empty() {
            let records: Vec<_> = exit.diagnostics.iter().map(Diagnostic::record).collect();
            if let Ok(line) = serde_json::to_string(&records) {
                self.print(&hidden_in_urls(&format!("{line}\n")));
            }
            return;
        }
        let style = Style { fancy: self.color && io::stderr().is_terminal(), width: width() };
        let problems = if exit.diagnostics.is_empty() { String::new() } else { format!("{}\n", errors::render(&exit.diagnostics, style)) };
        let _ = writeln!(io::stderr(), "{}", masked(&hidden_in_urls(&format!("{problems}{exit}"))));
    }
}

/// Standard output that knows whether its reader has gone.
struct Bytes {
    inner: io::BufWriter<io::StdoutLock<'static>>,
    is_closed: bool,
}

impl Bytes {
    fn told<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        self.is_closed |= written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        written
    }
}

impl io::Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.told(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.told(flushed)
    }
}

/// Columns of the terminal as it tells programs, else 80.
fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).map_or(80, |columns: usize| columns.clamp(40, 120))
}
