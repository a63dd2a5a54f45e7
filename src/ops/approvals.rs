//! Approvals given before a run: files beside the runs, each of which counts as its *owner's* word, since that is what the system vouches for.
//!
//! `APPROVALS/DIGEST-UID.json` lies in the folder `approvals` of the runs' folder: anyone on this machine may add a file there and nobody but its
//! owner may take it away or change it (the sticky bit, as in /tmp). What a file says about its author is for readers; who it counts for is decided
//! by the user id that owns it. Whoever is root on the machine is above this, as above everything on it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::exit::{Exit, Kind};
use crate::model::chain;
use crate::model::guard::{Approval, Person};
use crate::model::plan::Plan;
use crate::model::time::Timestamp;

/// The folder of approvals, in the folder of the runs.
pub const FOLDER: &str = "approvals";
/// More files than this are nobody's approvals.
const MOST: usize = 1000;
/// Larger files are no approvals.
const LARGEST: u64 = 16 << 10;

/// What was asked for beside the files: it is approved together with them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--set`.
    pub set: Map<String, Value>,
    /// `--with`.
    pub with: Map<String, Value>,
    /// `--no-failback`.
    pub no_failback: bool,
}

/// The digest of what an approval is of: the files, the environment, and what was given beside them. Equal for whoever asks, wherever the lab is.
#[must_use]
pub fn digest(plan: &Plan, given: &Given) -> String {
    let Given { set, with, no_failback } = given;
    let what = json!({
        "version": 1,
        "name": plan.name,
        "environment": plan.environment,
        "definitions": plan.definitions,
        "set": set,
        "with": with,
        "no_failback": no_failback,
    });
    // A value of JSON always has a canonical form.
    chain::sha256(&serde_json_canonicalizer::to_vec(&what).unwrap_or_default())
}

/// An approval as kept.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: u32,
    /// What it is of.
    digest: String,
    /// The plan's name and environment: for readers.
    name: String,
    environment: String,
    /// The author's own name for themselves: for readers.
    by: String,
    at: Timestamp,
    until: Timestamp,
}

/// Whoever runs this process.
#[must_use]
pub fn me() -> Person {
    person(rustix::process::getuid().as_raw())
}

/// The person behind a user id.
fn person(uid: u32) -> Person {
    Person { uid, name: login(uid) }
}

/// The login name of a user id: what the system's files say, else what `id` says, which also asks directories.
fn login(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name_of = |line: &str| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    };
    users.lines().find_map(name_of).or_else(|| asked(uid)).unwrap_or_else(|| format!("uid {uid}"))
}

/// The home of a user id, as the system's files say it and not as a variable does; only where they do not know the user, `HOME`.
pub(super) fn home(uid: u32) -> Option<PathBuf> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let home_of = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields.get(5).map(PathBuf::from))?
    };
    let home = users.lines().find_map(home_of).or_else(|| std::env::var_os("HOME").map(PathBuf::from));
    home.filter(|home| home.is_absolute() && *home != Path::new("/"))
}

fn asked(uid: u32) -> Option<String> {
    let output = std::process::Command::new("/usr/bin/id").args(["-un", &uid.to_string()]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

/// Makes the folder into which other people may put their approvals, and lets them reach it: the folders of the runs in it stay closed.
///
/// # Errors
/// When it cannot be made.
pub fn prepare(runs: &Path) -> Result<PathBuf, Exit> {
    let folder = runs.join(FOLDER);
    let make = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(runs)?;
        open_up(runs, |mode| mode | 0o011)?;
        match DirBuilder::new().create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Whatever the umask is.
        open_up(&folder, |_| 0o1777)
    };
    make()
        .map(|()| folder.clone())
        .map_err(|error| Exit::new(Kind::Environment, format!("no folder for approvals can be made: {}", folder.display())).cause(error.to_string()))
}

/// Changes the permissions of a folder of ours; other people's are theirs to open.
fn open_up(folder: &Path, wanted: impl Fn(u32) -> u32) -> io::Result<()> {
    let meta = fs::symlink_metadata(folder)?;
    let now = meta.permissions().mode() & 0o7777;
    if meta.is_dir() && meta.uid() == rustix::process::getuid().as_raw() && now != wanted(now) {
        fs::set_permissions(folder, Permissions::from_mode(wanted(now)))?;
    }
    Ok(())
}

/// Puts down that this process's user approves `digest`; a former approval of theirs is replaced. Gives the file.
///
/// # Errors
/// When the runs' folder is not there or not open to this user.
pub fn give(runs: &Path, plan: &Plan, digest: &str, now: Timestamp, until: Timestamp) -> Result<PathBuf, Exit> {
    let folder = runs.join(FOLDER);
    let cannot = |error: &io::Error| {
        Exit::new(Kind::Environment, format!("the approval cannot be put into {}", folder.display())).cause(error.to_string()).hint(
            "whoever starts the run makes that folder: their `lifeboat drill` that is refused for want of approvals does; --reports DIR says where",
        )
    };
    if !folder.is_dir() {
        return Err(cannot(&io::Error::from(io::ErrorKind::NotFound)));
    }
    let me = me();
    let file =
        File { version: 1, digest: digest.to_owned(), name: plan.name.clone(), environment: plan.environment.clone(), by: me.name, at: now, until };
    let bytes = serde_json::to_vec(&file).map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    let path = folder.join(format!("{}-{}.json", digest.get(..16).unwrap_or(digest), me.uid));
    let fresh = folder.join(format!(".{:016x}", rand::random::<u64>()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
        file.write_all(&bytes)?;
        // Whatever the umask is: the one who starts the run reads it.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&fresh))).map_err(|error| cannot(&error))?;
    Ok(path)
}

/// The approvals that lie there for an environment; `digest` is what is to run.
#[must_use]
pub fn read(runs: &Path, environment: &str, digest: &str) -> Vec<Approval> {
    let Ok(entries) = fs::read_dir(runs.join(FOLDER)) else { return Vec::new() };
    let mut found: Vec<Approval> = entries.flatten().take(MOST).filter_map(|entry| one(&entry.path(), environment, digest)).collect();
    found.sort_by(|a, b| (&a.who, a.at).cmp(&(&b.who, b.at)));
    found
}

/// Anyone may put anything there: what is no approval is passed over.
fn one(path: &Path, environment: &str, digest: &str) -> Option<Approval> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return None;
    }
    let flags = i32::try_from((rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW).bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let meta = file.metadata().ok()?;
    // A second name for somebody's file elsewhere is not their word here.
    if !meta.is_file() || meta.len() > LARGEST || meta.nlink() != 1 || meta.permissions().mode() & 0o022 != 0 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let said: File = serde_json::from_slice(&bytes).ok()?;
    if said.version != 1 || said.environment != environment {
        return None;
    }
    Some(Approval { who: person(meta.uid()), at: said.at, until: said.until, is_of_this: said.digest == digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(environment: &str) -> Plan {
        serde_json::from_value(json!({
            "version": 1, "name": "outage", "title": {}, "mode": "drill", "environment": environment, "zone": "UTC", "scope": {},
            "objectives": {}, "probes": [], "failover": { "file": "", "title": {}, "parameters": {}, "steps": [] }, "definitions": []
        }))
        .unwrap()
    }

    #[test]
    fn an_approval_is_of_the_files_the_place_and_what_was_given() {
        let first = digest(&plan("staging"), &Given::default());
        assert_eq!(first, digest(&plan("staging"), &Given::default()));
        let set = Given { set: serde_json::from_str(r#"{"a":1}"#).unwrap(), ..Given::default() };
        let mut edited = plan("staging");
        edited.definitions.push(crate::model::plan::Definition { path: "a.yaml".into(), sha256: "00".into() });
        for other in [digest(&plan("production"), &Given::default()), digest(&plan("staging"), &set), digest(&edited, &Given::default())] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn an_approval_counts_for_the_owner_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("reports");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (now, until) = (at("2026-11-24T10:00:00Z"), at("2026-11-24T12:00:00Z"));
        assert_eq!(give(&runs, &plan("staging"), "d1", now, until).unwrap_err().kind, Kind::Environment, "the starter makes the folder");
        let made = prepare(&runs).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&runs), mode(&made)), (0o711, 0o1777));
        let path = give(&runs, &plan("staging"), "d1", now, until).unwrap();
        assert_eq!(mode(&path), 0o644);
        let found = read(&runs, "staging", "d1");
        assert_eq!(found, [Approval { who: me(), at: now, until, is_of_this: true }]);
        assert!(!read(&runs, "staging", "d2")[0].is_of_this);
        assert_eq!(read(&runs, "production", "d1"), []);
        // Whatever a file says about its author.
        let said = fs::read_to_string(&path).unwrap();
        fs::write(made.join("forged.json"), said.replace(&format!("\"by\":\"{}\"", me().name), "\"by\":\"ann\"")).unwrap();
        assert!(read(&runs, "staging", "d1").iter().all(|approval| approval.who == me()));
    }

    #[test]
    fn what_is_no_approval_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let made = prepare(folder.path()).unwrap();
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let path = give(folder.path(), &plan("staging"), "d1", now, now).unwrap();
        let elsewhere = folder.path().join("elsewhere.json");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, made.join("link.json")).unwrap();
        fs::hard_link(&elsewhere, made.join("second-name.json")).unwrap();
        fs::write(made.join("nonsense.json"), "{").unwrap();
        fs::write(made.join("large.json"), vec![b' '; 20 << 10]).unwrap();
        fs::create_dir(made.join("folder.json")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, made.join("pipe.json"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert_eq!(read(folder.path(), "staging", "d1"), []);
    }
}
