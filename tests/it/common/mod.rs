//! What tests of whole commands need: the binary, a lab process of their own, and plain HTTP GET.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) mod source;

use lifeboat::model::call::Cloud;
use lifeboat::model::project::{ZoneFile, Zones};
use lifeboat::world::settings::{CloudSettings, Keys, Settings};
use serde_json::Value;

/// The root of the project: where lifeboat.yaml and the shipped scenarios are.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A definition whose drill is over sooner: what has to hold need not hold for long. How long that may take to come is another matter, on a machine that does other
/// things as well.
pub(crate) fn quick(written: &str) -> String {
    written.replace("hold: 3s", "hold: 1s, timeout: 50s").replace("stable_for: 5s", "stable_for: 1s")
}

/// Copies the shipped project, every definition through `edit`; gives the scenarios, as paths without their ending.
pub(crate) fn copy_project(to: &Path, edit: impl Fn(&str) -> String) -> Vec<String> {
    let copy = |name: &Path| {
        let written = edit(&fs::read_to_string(root().join(name)).unwrap());
        fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
        fs::write(to.join(name), written).unwrap();
    };
    for name in ["lifeboat.yaml", "freezes.yaml"] {
        copy(Path::new(name));
    }
    let mut scenarios = Vec::new();
    for part in ["runbooks", "scenarios"] {
        let mut files: Vec<PathBuf> =
            fs::read_dir(root().join(part)).unwrap().map(|entry| PathBuf::from(part).join(entry.unwrap().file_name())).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
        files.sort();
        files.iter().for_each(|file| copy(file));
        if part == "scenarios" {
            scenarios = files.iter().map(|file| file.with_extension("").to_string_lossy().into_owned()).collect();
        }
    }
    scenarios
}

thread_local! {
    /// What belongs to the environments of one test.
    static STATE: tempfile::TempDir = folder();
}

/// The binary under test, in the project's root, with an environment of its own.
pub(crate) fn lifeboat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.current_dir(root()).env_clear().env("PATH", "/usr/bin:/bin").env("NO_COLOR", "1").env("COLUMNS", "100").stdin(Stdio::null());
    // What this machine's own environments are halted or locked for is not of these tests, nor theirs of it.
    STATE.with(|state| command.env("XDG_STATE_HOME", state.path()));
    command
}

/// Runs to the end and keeps what was printed.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A lab in a process of its own; ends with the value.
pub(crate) struct LabProcess {
    child: Child,
    /// The line it printed.
    pub(crate) endpoints: Value,
}

impl LabProcess {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = lifeboat().args(["lab", "--output", "json"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoints = serde_json::from_str(&line).unwrap_or_else(|error| panic!("the lab printed {line:?}: {error}"));
        Self { child, endpoints }
    }

    pub(crate) fn control(&self) -> &str {
        self.endpoints["control"].as_str().unwrap()
    }

    /// How a world of the test's own reaches its clouds.
    pub(crate) fn settings(&self) -> Settings {
        let text = |name: &str| self.endpoints[name].as_str().unwrap().to_owned();
        let keys = Keys { access_key_id: text("access_key_id"), secret_access_key: text("secret_access_key"), session_token: None };
        let side = |region: &str, endpoint: &str| CloudSettings {
            region: region.to_owned(),
            endpoint: Some(text(endpoint)),
            keys: Some(keys.clone()),
            ..CloudSettings::default()
        };
        let aliyun = CloudSettings { objects_endpoint: Some(text("oss")), ..side("cn-hangzhou", "aliyun") };
        let name_server = Some(text("dns"));
        Settings { environment: "lab".to_owned(), aws: Some(side("us-east-1", "aws")), aliyun: Some(aliyun), name_server, zones: zones() }
    }

    /// The canonical world.
    pub(crate) fn world(&self) -> Value {
        let world: Value = serde_json::from_str(&get(self.control(), "/world")).unwrap();
        settled(world)
    }

    /// The recorded truth.
    pub(crate) fn truth(&self) -> Vec<Value> {
        get(self.control(), "/truth").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for LabProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The world without what moves by itself.
pub(crate) fn settled(value: Value) -> Value {
    const MOVES: [&str; 12] = ["now", "clock", "time", "traffic", "objects", "orders", "requests", "metrics", "changes", "events", "seq", "log"];
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(key, _)| !MOVES.contains(&key.as_str())).map(|(key, value)| (key, settled(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(settled).collect()),
        other => other,
    }
}

/// The body of `GET base/path`.
pub(crate) fn get(base: &str, path: &str) -> String {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = text(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {head}");
    body.to_owned()
}

/// A folder that ends with the value.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The last line a command printed, as JSON.
pub(crate) fn last_json(output: &Output) -> Value {
    let printed = text(&output.stdout);
    let line = printed.lines().last().unwrap_or_else(|| panic!("nothing was printed; standard error: {}", text(&output.stderr)));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

pub(crate) fn path(value: &Value) -> PathBuf {
    PathBuf::from(value.as_str().unwrap())
}

/// Looks again and again until `condition` gives something; fails after a minute.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come true within a minute");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The journal of the only run in a folder, as far as it is written.
pub(crate) fn journal(reports: &Path) -> Option<String> {
    let run = std::fs::read_dir(reports).ok()?.filter_map(Result::ok).map(|entry| entry.path().join("journal.jsonl")).find(|path| path.is_file())?;
    std::fs::read_to_string(run).ok()
}

/// Whether the journal has an event of this kind for this step.
pub(crate) fn has_step(journal: &str, step: &str, event: &str) -> bool {
    journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|line| line["step"] == step && line["event"] == event)
}

/// Which cloud serves which zone of the lab.
pub(crate) fn zones() -> Zones {
    let zone = |name: &str, provider| (name.to_owned(), ZoneFile { provider, id: None });
    Zones::of("lab", [Cloud::Aws, Cloud::Aliyun], &[zone("example.com", Cloud::Aws), zone("example.cn", Cloud::Aliyun)].into())
}
