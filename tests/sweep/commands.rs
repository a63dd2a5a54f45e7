//! Runs the binary with a limit on its time, and reads what it left.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat::journal::file::JOURNAL;
use lifeboat::model::chain;
use lifeboat::model::event::Event;
use lifeboat::model::plan::Verdict;
use serde_json::Value;

use crate::common;

/// No command takes longer than this, however loaded the machine is.
const LIMIT: Duration = Duration::from_secs(300);

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    /// By SIGKILL.
    Killed,
}

/// Runs `lifeboat` in `workspace` with what it prints going to `NAME.txt` in `reports`' parent.
///
/// # Errors
/// When it does not end in time, or by another signal.
pub(crate) fn lifeboat(workspace: &Path, out: &Path, arguments: &[&str], crash: Option<&str>) -> Result<Ended, String> {
    let printed = File::options().create(true).append(true).open(out).unwrap();
    let mut command: Command = common::lifeboat();
    command.current_dir(workspace).args(arguments);
    command.stdout(Stdio::null()).stderr(printed);
    if let Some(point) = crash {
        command.env("LIFEBOAT_CRASH", point);
    }
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err(format!("lifeboat {} has not ended after {} s", arguments.join(" "), LIMIT.as_secs()));
        }
        std::thread::park_timeout(Duration::from_millis(10));
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => Ok(Ended::Exited(code)),
        (None, Some(9)) => Ok(Ended::Killed),
        (None, signal) => Err(format!("lifeboat {} ended by signal {signal:?}", arguments.join(" "))),
    }
}

/// The folder of the only run in `reports`; none when it had not come to make one.
pub(crate) fn run_folder(reports: &Path) -> Option<PathBuf> {
    fs::read_dir(reports).ok()?.map(|entry| entry.unwrap().path()).find(|path| path.join(JOURNAL).is_file())
}

/// The events of a run, as far as they are whole, with the chain checked.
///
/// # Errors
/// When the chain is broken.
pub(crate) fn events(run_folder: &Path) -> Result<Vec<Event>, String> {
    let bytes = fs::read(run_folder.join(JOURNAL)).unwrap();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |at| &bytes[..at]);
    let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let run = run_folder.file_name().unwrap().to_string_lossy();
    chain::verify(&run, lines).map(|chain| chain.events).map_err(|error| format!("the journal does not hold: {error}"))
}

/// The verdict that a run has so far, from its last line that tells one; the chain is checked when all is over.
pub(crate) fn verdict(run_folder: &Path) -> Option<Verdict> {
    let text = fs::read_to_string(run_folder.join(JOURNAL)).unwrap();
    let lines = text.lines().rev().filter(|line| line.contains(r#""event":"ended""#));
    lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["of"] == "run")
        .and_then(|line| serde_json::from_value(line["verdict"].clone()).ok())
}

/// Sends `body` to `base/path` and gives the answer's body.
pub(crate) fn send(method: &str, base: &str, path: &str, body: &str) -> String {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{method} {path}: {answer}");
    body.to_owned()
}
