//! A command on this machine, without a shell, and with everything that it starts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// What is kept of each stream.
const LONGEST: usize = 64 << 10;
/// How long the pipes of a command that has ended are read on for, when something that it left running keeps them open.
const LINGER: Duration = Duration::from_millis(500);

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// The first 64 KiB of what it printed.
    pub stdout: String,
    /// The first 64 KiB of what it complained of.
    pub stderr: String,
    /// Whether something that it left running still held its pipes: what that prints is nobody's.
    pub is_held: bool,
}

impl Ended {
    /// What is to be known of a command that left something running which has escaped its end.
    #[must_use]
    pub fn warning(&self, program: &str) -> Option<String> {
        let text =
            || format!("`{program}` has ended, and something that it left running still holds its output: only what was printed until then counts");
        self.is_held.then(text)
    }

    /// How it failed, in one line: its status and the last line that it complained of.
    #[must_use]
    pub fn failure(&self, program: &str) -> String {
        let last = self.stderr.trim_end().lines().last().map(|line| format!(": {line}")).unwrap_or_default();
        format!("`{program}` ended with {}{last}", self.status)
    }
}

/// Whether the programs that definitions name are run, and in which folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Programs {
    /// In the working folder of this process.
    #[default]
    Here,
    /// In the folder in which their run was begun.
    In(PathBuf),
    /// Not at all, and why.
    Refused(String),
}

/// What a command finds in its environment of that of this process; what else it needs stands in its `env`.
pub const PASSED: [&str; 13] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TERM", "TMPDIR"];

/// Runs `command`, a program and its arguments, with `env`, `ours` and what is [`PASSED`] as its environment, and `input` to read. It is killed, with
/// everything it started, when this is dropped.
///
/// # Errors
/// When it cannot be run.
pub async fn run(command: &[String], env: &BTreeMap<String, String>, ours: &[(&str, &str)], input: &str) -> io::Result<Ended> {
    run_in(None, command, env, ours, input).await
}

/// As [`run`], in `folder`.
///
/// # Errors
/// When it cannot be run.
pub async fn run_in(
    folder: Option<&Path>,
    command: &[String],
    env: &BTreeMap<String, String>,
    ours: &[(&str, &str)],
    input: &str,
) -> io::Result<Ended> {
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut started = Command::new(program);
    if let Some(folder) = folder {
        started.current_dir(folder);
    }
    let mut child = started
        .args(arguments)
        .env_clear()
        .envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(env)
        .envs(ours.iter().copied())
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: what it starts ends with it, and a Ctrl-C at the terminal is ours to handle.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let fed = async {
        if let Some(mut stdin) = stdin {
            // A command that does not want all of it closes its end; its status says how it went.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let mut ended = pin!(async {
        let status = child.wait().await;
        // What it left running would hold the other ends of the pipes open; what has left the group as well, nobody waits for.
        drop(group);
        status
    });
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (status, is_held) = {
        let mut read = pin!(async { tokio::join!(head(stdout, &mut out), head(stderr, &mut err), fed) });
        tokio::select! {
            biased;
            status = &mut ended => (status, tokio::time::timeout(LINGER, &mut read).await.is_err()),
            _ = &mut read => (ended.await, false),
        }
    };
    let text = |kept: Vec<u8>| String::from_utf8_lossy(&kept).into_owned();
    Ok(Ended { status: status?, stdout: text(out), stderr: text(err), is_held })
}

/// Reads everything and keeps the first 64 KiB: a command that prints a lot must not be blocked by a full pipe. What was read is kept however this ends.
async fn head(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 8 << 10];
    // What cannot be read is not there; the command's status says how it went.
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let room = LONGEST.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(count.min(room)));
    }
}

/// Kills the whole process group when dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nothing left to kill is the usual case.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
