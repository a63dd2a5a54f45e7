//! A server of others: a process in a folder of its own that ends with the value.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it accepts.
const READY: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts `program` once `prepare` has given its arguments, from a port that is free and a folder of its own; it has started when it accepts.
    pub(crate) fn start(program: &str, prepare: impl FnOnce(u16, &Path) -> Vec<String>) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let arguments = prepare(port, folder.path());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(&arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}; tests/run installs it"));
        let mut server = Self { child, folder, port };
        server.await_ready(program);
        server
    }

    fn await_ready(&mut self, program: &str) {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < READY, "{program} does not start ({ended:?}): {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(self.folder.path().join("log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether the product, in a process that trusts the authority in `ca`, finds a probe good; else what it says of it.
pub(crate) fn waits_for_good(kind: &str, with: &serde_json::Value, ca: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let probe = serde_json::json!({ "uses": kind, "with": with, "every": "100ms", "good_after": 1 });
    let step = serde_json::json!({ "id": "good", "uses": "wait-for", "with": { "probe": "it", "is": "good" }, "timeout": "3s" });
    let runbook = serde_json::json!({ "lifeboat": 1, "kind": "runbook", "title": "T", "probes": { "it": probe }, "steps": [step] });
    std::fs::write(folder.path().join("lifeboat.yaml"), r#"{"lifeboat": 1, "environments": {"lab": {"kind": "lab"}}}"#).unwrap();
    std::fs::write(folder.path().join("book.yaml"), runbook.to_string()).unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["execute", "book.yaml", "--env", "lab"])
        .current_dir(folder.path())
        .env("SSL_CERT_FILE", ca)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    if ended.status.success() { Ok(()) } else { Err(said) }
}
