//! The terminal of whoever sits in front of a run: keys come in one by one, without Enter. Whatever happens, it is put back as it was.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::keys::{Key, Prompt};
use super::output::safe;
use crate::model::order::Order;
use crate::model::state::RunState;
use crate::observe::language;
use crate::ops::control::{Console, Interrupt, Unattended};

/// Exit code of a process that was told to leave its run: that of SIGINT in a shell.
const LEFT: i32 = 130;
/// How long the last words may take: a terminal that takes nothing any more keeps nobody.
const LAST_WORDS: Duration = Duration::from_secs(1);
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How the terminal was before.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The console for where a command shows its progress: a person at a terminal, or nobody.
pub(super) fn console(terminal: bool) -> Box<dyn Console> {
    if terminal { Box::new(Terminal { prompt: Prompt::new(language()), reader: None }) } else { Box::new(Unattended) }
}

/// Whether somebody can be asked: the progress goes to a terminal, and keys come from it.
pub(super) fn can_ask(terminal: bool) -> bool {
    terminal && is_ours()
}

/// Whether keys that are typed are for this process: a job in the background must not touch the terminal.
fn is_ours() -> bool {
    let stdin = io::stdin();
    stdin.is_terminal() && tcgetpgrp(stdin.as_fd()).is_ok_and(|group| group == rustix::process::getpgrp())
}

struct Terminal {
    prompt: Prompt,
    reader: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Console for Terminal {
    fn begin(&mut self, _emergency: bool) -> Option<UnboundedReceiver<Vec<u8>>> {
        if !is_ours() || !key_by_key() {
            return None;
        }
        let (keys, typed) = unbounded_channel();
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        match std::thread::Builder::new().name("keys".into()).spawn(move || read(&keys, &ended)) {
            Ok(thread) => self.reader = Some((end, thread)),
            Err(_) => put_back(),
        }
        self.reader.is_some().then_some(typed)
    }

    fn typed(&mut self, keys: &[u8], state: &RunState) -> Option<(Order, String)> {
        Key::all(keys).into_iter().find_map(|key| self.prompt.pressed(key, state))
    }

    fn interrupted(&mut self, state: &RunState) -> Interrupt {
        self.prompt.interrupted(self.reader.is_some(), state)
    }

    fn answered(&mut self, answer: Result<(), String>) {
        self.prompt.answered(answer);
    }

    fn foot(&mut self, state: &RunState) -> String {
        if self.reader.is_some() { self.prompt.line(state) } else { String::new() }
    }

    fn end(&mut self) {
        if let Some((end, thread)) = self.reader.take() {
            end.store(true, Ordering::Relaxed);
            // It looks twenty times a second.
            let _ = thread.join();
        }
        put_back();
    }

    fn leave(&mut self, command: &str) -> ! {
        put_back();
        let words = format!("\r\n\nleft at once, with everything as it is. What takes the run back:\n  {}\n", safe(command));
        let said = std::thread::spawn(move || io::stderr().write_all(words.as_bytes()));
        let begun = std::time::Instant::now();
        while !said.is_finished() && begun.elapsed() < LAST_WORDS {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::process::exit(LEFT)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keys come without Enter and are not shown; Ctrl-C stays a signal, so that it works whatever this process does. Ctrl-Z means nothing: a run
/// that sleeps renews no lease.
fn key_by_key() -> bool {
    let stdin = io::stdin();
    let Ok(before) = tcgetattr(stdin.as_fd()) else { return false };
    let mut now = before.clone();
    now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    now.special_codes[SpecialCodeIndex::VMIN] = 1;
    now.special_codes[SpecialCodeIndex::VTIME] = 0;
    now.special_codes[SpecialCodeIndex::VSUSP] = 0;
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    tcsetattr(stdin.as_fd(), OptionalActions::Now, &now).is_ok()
}

/// Puts the terminal back as it was; what was typed and not read is thrown away, so that it does not land in a shell.
fn put_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before.filter(|_| is_ours()) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Flush, &before);
    }
}

/// Passes on what is typed until it ends or nobody listens.
fn read(keys: &UnboundedSender<Vec<u8>>, end: &AtomicBool) {
    let stdin = io::stdin();
    let mut bytes = [0; 256];
    while !end.load(Ordering::Relaxed) {
        let mut look = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut look, Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        if !is_ours() {
            // Reading in the background would stop the process.
            std::thread::sleep(Duration::from_millis(200));
            continue;
        }
        match rustix::io::read(stdin.as_fd(), &mut bytes) {
            Ok(0) => return,
            Ok(length) => {
                if pieces(&bytes[..length]).into_iter().any(|piece| keys.send(piece).is_err()) {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// One piece a key: what begins with Escape is one.
fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    if bytes.first() == Some(&0x1b) {
        return vec![bytes.to_vec()];
    }
    String::from_utf8_lossy(bytes).chars().map(|c| c.to_string().into_bytes()).collect()
}
