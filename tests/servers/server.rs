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

/// A certificate for `shop.test` and 127.0.0.1 that ends in 30 days: `server.pem` with its key, by the authority in `ca.pem`.
pub(crate) fn certificate(folder: &Path) {
    let openssl = |arguments: &str| {
        let status = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(status.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&status.stderr));
    };
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=servers");
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=shop.test");
    std::fs::write(folder.join("names"), "subjectAltName=DNS:shop.test,IP:127.0.0.1\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem");
}

/// Whether the product, in a process that trusts the authority in `ca`, finds a probe good; else what it says of it.
pub(crate) fn waits_for_good(kind: &str, with: &serde_json::Value, ca: &Path) -> Result<(), String> {
    let probe = serde_json::json!({ "uses": kind, "with": with, "every": "100ms", "good_after": 1 });
    let step = serde_json::json!({ "id": "good", "uses": "wait-for", "with": { "probe": "it", "is": "good" }, "timeout": "3s" });
    execute(&serde_json::json!({ "probes": { "it": probe }, "steps": [step] }), Some(ca)).map(drop)
}

/// The servers' password as definitions name it; [`execute`] sets what it names.
pub(crate) fn secret_password() -> serde_json::Value {
    serde_json::json!({ "secret": "env:PASSWORD" })
}

/// What the product says of a runbook that it executes; an error when it does not come to a good end.
pub(crate) fn execute(runbook: &serde_json::Value, ca: Option<&Path>) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = serde_json::json!({ "lifeboat": 1, "kind": "runbook", "title": "T" });
    whole.as_object_mut().unwrap().extend(runbook.as_object().unwrap().clone());
    std::fs::write(folder.path().join("lifeboat.yaml"), r#"{"lifeboat": 1, "environments": {"lab": {"kind": "lab"}}}"#).unwrap();
    std::fs::write(folder.path().join("book.yaml"), whole.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(["execute", "book.yaml", "--env", "lab"]).current_dir(folder.path()).env("PASSWORD", "open-sesame").stdin(Stdio::null());
    let ended = ca.into_iter().fold(&mut command, |command, ca| command.env("SSL_CERT_FILE", ca)).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    // 3: it ended well, and as nothing was down there is nothing to judge.
    let is_well = |code: i32| code == 3 && said.contains("there is nothing to judge: no probe was confirmed down");
    if ended.status.success() || ended.status.code().is_some_and(is_well) { Ok(said) } else { Err(said) }
}
