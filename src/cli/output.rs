//! Where a command writes: the one place that touches standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;

use super::args::{Cli, Global, Output as Format};
use super::errors::{self, Style};
use crate::model::credentials::{hidden, hidden_in_urls};
use crate::model::diagnostic::Diagnostic;
use crate::model::plain;
use crate::ops::exit::Exit;
use crate::ports::secrets::masked;

/// Whether something could not be printed.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something that was printed got lost, on a full disk for example.
pub(super) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// The door of everything that is printed for people: without secrets, and without anything that acts on a terminal or deceives whoever reads it.
pub(super) fn safe(text: &str) -> String {
    plain::shown(&masked(text)).into_owned()
}

/// A line of the log: also without what only looks like a credential, as libraries quote headers and addresses.
pub(super) fn log_line(text: &str) -> String {
    // The name of a module before the colon may be `credentials`; what follows is none for that.
    let (head, rest) = text.split_at(text.find(": ").filter(|at| !text[..*at].contains('{')).map_or(0, |at| at + 2));
    plain::line(&masked(&format!("{head}{}", hidden(rest)))).into_owned()
}

/// What a panic says, which may quote anything, on standard error.
pub(super) fn said(panic: &str) {
    let _ = writeln!(io::stderr(), "{}", safe(&hidden_in_urls(panic)));
}

/// What clap says of a command line, which it quotes. Help and version are answers, and go to standard output.
pub(super) fn said_of_the_command_line(error: &clap::Error) {
    let is_plain = std::env::args_os().all(|argument| argument.to_str().is_some_and(|argument| !argument.contains(plain::acts)));
    // What is quoted stays in its line.
    let in_lines = || Cli::try_parse_from(std::env::args_os().map(|argument| plain::line(&argument.to_string_lossy()).into_owned())).err();
    let lined = if is_plain { None } else { in_lines() };
    let error = lined.as_ref().unwrap_or(error);
    let (rendered, is_error) = (error.render(), error.use_stderr());
    let is_terminal = if is_error { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let wants_colour = is_terminal && is_plain && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = if wants_colour { rendered.ansi().to_string() } else { rendered.to_string() };
    let text = if wants_colour { plain::coloured(&text).into_owned() } else { safe(&text) };
    // Nobody is left to be told.
    let _ = if is_error { write!(io::stderr(), "{text}") } else { write!(io::stdout(), "{text}") };
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
        self.put(&safe(text));
    }

    fn put(self, text: &str) {
        let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
            && !LOST.swap(true, Ordering::Relaxed)
        {
            let _ = writeln!(io::stderr(), "error: standard output cannot be written\n  because {}", safe(&error.to_string()));
        }
    }

    /// Lets `write` print bytes to standard output; they must hold no secret and nothing that acts on a terminal. A closed pipe ends the process's interest, not well or badly.
    pub(super) fn bytes<T: Default>(self, write: impl FnOnce(&mut dyn io::Write) -> Result<T, Exit>) -> Result<T, Exit> {
        let mut to = Bytes { inner: io::BufWriter::new(io::stdout().lock()), is_closed: false };
        let written = write(&mut to);
        if to.is_closed { Ok(T::default()) } else { written }
    }

    /// Says on standard error what a reader of standard output has to know.
    pub(super) fn note(self, line: &str) {
        let _ = writeln!(io::stderr(), "{}", safe(line));
    }

    /// Prints one JSON line to standard output.
    pub(super) fn json_line(self, value: &impl serde::Serialize) {
        if let Ok(line) = serde_json::to_string(value) {
            self.json_text(&format!("{line}\n"));
        }
    }

    /// Prints JSON to standard output.
    pub(super) fn json_text(self, json: &str) {
        self.put(&plain::in_json(&masked(json)));
    }

    /// Prints a line for a person who watches: standard output, or standard error beside JSON.
    pub(super) fn say(self, line: &str) {
        if self.json {
            let _ = writeln!(io::stderr(), "{}", safe(line));
        } else {
            self.print(&format!("{line}\n"));
        }
    }

    /// Prints an error with its causes and its hint; problems of files with the lines they are in.
    pub(super) fn error(self, exit: &Exit) {
        if self.json && !exit.diagnostics.is_empty() {
            let records: Vec<_> = exit.diagnostics.iter().map(Diagnostic::record).collect();
            if let Ok(line) = serde_json::to_string(&records) {
                self.json_text(&hidden_in_urls(&format!("{line}\n")));
            }
            return;
        }
        let style = Style { fancy: self.color && io::stderr().is_terminal(), width: width() };
        let problems = if exit.diagnostics.is_empty() { String::new() } else { format!("{}\n", errors::render(&exit.diagnostics, style)) };
        let text = format!("{problems}{}", plain::shown(&exit.to_string()));
        let text = masked(&hidden_in_urls(&text)).into_owned();
        let _ = writeln!(io::stderr(), "{}", if style.fancy { plain::coloured(&text) } else { plain::shown(&text) });
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
