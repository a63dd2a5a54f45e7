//! A terminal with somebody in front of it: a pseudo-terminal that a command has for its own, keys that are typed, and what it showed.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::common::until;

/// Ctrl-C, as typed.
pub(crate) const INTERRUPT: &str = "\u{3}";

/// The terminal and the command on it.
pub(crate) struct Terminal {
    child: Child,
    keys: Option<std::fs::File>,
    /// The other end, open for as long as the terminal: its settings outlive the command.
    end: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Whether its window was closed.
    is_closed: Arc<AtomicBool>,
    screen: Option<std::thread::JoinHandle<()>>,
}

impl Terminal {
    /// Runs `command` on a terminal of its own, in the foreground, as a shell would.
    pub(crate) fn run(command: &Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, Winsize { ws_row: 50, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let peer = || ioctl_tiocgptpeer(&controller, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        // A session of its own with this terminal: only then Ctrl-C is a signal.
        let mut session = Command::new("/usr/bin/setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        session.current_dir(command.get_current_dir().unwrap());
        session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        let child = session.stdin(peer()).stdout(peer()).stderr(peer()).spawn().unwrap();
        let end = peer();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let mut screen = std::fs::File::from(controller.try_clone().unwrap());
        let seen = shown.clone();
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with the terminal.
            while !closed.load(Ordering::Relaxed) {
                let mut look = [PollFd::new(&screen, PollFlags::IN)];
                if !matches!(poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })), Ok(1..)) {
                    continue;
                }
                let Ok(length @ 1..) = screen.read(&mut bytes) else { return };
                seen.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        Self { child, keys: Some(controller.into()), end, shown, is_closed, screen: Some(reader) }
    }

    /// Everything shown so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until this is shown after everything that was shown before `from`; gives where it ends.
    pub(crate) fn await_after(&self, from: usize, part: &str) -> usize {
        let find = || {
            let shown = self.shown.lock().unwrap().clone();
            let found = shown.get(from..)?.windows(part.len()).position(|window| window == part.as_bytes())?;
            Some(from + found + part.len())
        };
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(30) {
            if let Some(found) = find() {
                return found;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("`{part}` is not shown: {}", self.shown());
    }

    /// Waits until this is shown.
    pub(crate) fn await_text(&self, part: &str) {
        self.await_after(0, part);
    }

    /// Types, and waits for what is shown after it.
    pub(crate) fn type_and_see(&mut self, keys: &str, part: &str) {
        let from = self.shown.lock().unwrap().len();
        self.type_in(keys);
        self.await_after(from, part);
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Whether what is typed comes without Enter and is not shown.
    pub(crate) fn is_key_by_key(&self) -> bool {
        !tcgetattr(&self.end).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Closes the terminal, as whoever closes its window or loses the connection does: the command loses it and hears SIGHUP.
    pub(crate) fn hang_up(&mut self) {
        // Once nobody holds the controlling end, the terminal is no more.
        self.is_closed.store(true, Ordering::Relaxed);
        self.screen.take().unwrap().join().unwrap();
        drop(self.keys.take());
    }

    /// Waits for the end of a command that has lost its terminal.
    pub(crate) fn await_end(&mut self) {
        until("the end of the command", || self.child.try_wait().unwrap());
    }

    /// Kills the command, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the command's end; gives its exit code. The terminal is as it was before then.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        let status: ExitStatus = until("the end of the command", || self.child.try_wait().unwrap());
        assert!(!self.is_key_by_key(), "the terminal is put back as it was");
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
