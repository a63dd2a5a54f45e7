//! Approvals given before a run: files beside the runs, each with the word of somebody whom the system or a key vouches for.
//!
//! `APPROVALS/DIGEST-NAME.json` lies in the folder `approvals` of the runs' folder: anyone on this machine may add a file there and nobody but its
//! owner may take it away or change it (the sticky bit, as in /tmp). What a file says about its author is for readers. Where the environment lists
//! `approvers`, it counts for the one whose key has signed it (`DIGEST-NAME.json.sig`, as `ssh-keygen -Y sign` writes it); else for the person to whom
//! the user id belongs that owns it. Whoever is root on the machine is above the latter, as above everything on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::exit::{Exit, Kind};
use super::people::{self, System, me};
use super::programs;
use super::sshsig::{self, PublicKey};
use crate::engine::clock::RunClock;
use crate::model::chain;
use crate::model::format::{Format, TOOL, Version, check_file};
use crate::model::guard::{Approval, Person, Voucher};
use crate::model::order::Witness;
use crate::model::plain;
use crate::model::plan::{Limits, Plan};
use crate::model::time::{Span, Timestamp};

/// The folder of approvals, in the folder of the runs.
pub const FOLDER: &str = "approvals";
/// More files than this are nobody's approvals.
const MOST: usize = 1000;
/// Larger files are no approvals.
const LARGEST: u64 = 256 << 10;

/// What was asked for beside the files: it is approved together with them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--set`.
    pub set: Map<String, Value>,
    /// `--with`.
    pub with: Map<String, Value>,
    /// `--no-failback`.
    pub no_failback: bool,
    /// `--ungraceful`.
    pub ungraceful: bool,
    /// `--budget`.
    pub budget: Option<Span>,
    /// `--undo-for`.
    pub undo_for: Option<Span>,
    /// `--patience`.
    pub patience: Option<Span>,
}

impl Given {
    /// Each flag that changes what happens, as a plan keeps it. What is given as it would be without is not given.
    fn flags(&self) -> BTreeMap<String, Value> {
        let Self { set, with, no_failback, ungraceful, budget, undo_for, patience } = self;
        let usual = Limits::default();
        let mut flags = BTreeMap::new();
        flags.extend(set.iter().map(|(name, value)| (format!("--set {name}"), value.clone())));
        flags.extend(with.iter().map(|(name, value)| (format!("--with {name}"), value.clone())));
        flags.extend(
            [("--no-failback", *no_failback), ("--ungraceful", *ungraceful)]
                .into_iter()
                .filter(|(_, is)| *is)
                .map(|(flag, is)| (flag.to_owned(), json!(is))),
        );
        let spans = [("--budget", budget, Some(usual.run)), ("--undo-for", undo_for, Some(usual.undo)), ("--patience", patience, None)];
        for (flag, span, usual) in spans {
            flags.extend(span.filter(|span| Some(*span) != usual).map(|span| (flag.to_owned(), json!(span.to_string()))));
        }
        flags
    }
}

/// Writes into a plan what it was given beside its files, and which files its actions and probes run or read: from then on it says all that is approved.
pub fn complete(plan: &mut Plan, given: &Given, root: &Path) {
    plan.given = given.flags();
    plan.files = programs::of(plan, root);
}

/// What an approval is of, part by part: the files, the environment, and what was given beside them. Equal for whoever asks, wherever the lab is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    parts: BTreeMap<String, String>,
}

impl Subject {
    /// That of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut parts = BTreeMap::from([("name".to_owned(), plan.name.clone()), ("environment".to_owned(), plan.environment.clone())]);
        parts.extend(plan.definitions.iter().chain(&plan.files).map(|file| (file.path.clone(), file.sha256.clone())));
        // Anyone on the machine may read an approval: what was given is for those to know who gave it.
        parts.extend(plan.given.iter().map(|(flag, value)| (flag.clone(), digest_of(value))));
        Self { parts }
    }

    /// That of a plan whose programs are as they are now.
    #[must_use]
    pub fn now(plan: &Plan, root: &Path) -> Self {
        Self::of(&Plan { files: programs::of(plan, root), ..plan.clone() })
    }

    /// The digest of it all.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&json!({ "version": 2, "parts": self.parts }))
    }

    /// In which parts it differs from another.
    fn differs(&self, other: &Self) -> Vec<String> {
        if self.parts.get("name") != other.parts.get("name") {
            return vec![format!("it is of {}", said(other.parts.get("name").map_or("", String::as_str)))];
        }
        let names: BTreeSet<&String> = self.parts.keys().chain(other.parts.keys()).collect();
        let differ = |name: &&String| self.parts.get(*name) != other.parts.get(*name);
        let word = |name: &String| match (self.parts.get(name), other.parts.get(name)) {
            (Some(_), None) => format!("{} was not there", said(name)),
            (None, Some(_)) => format!("{} is not there", said(name)),
            _ => format!("{} was another", said(name)),
        };
        names.into_iter().filter(differ).map(word).collect()
    }
}

fn digest_of(value: &Value) -> String {
    // A value of JSON always has a canonical form.
    chain::sha256(&serde_json_canonicalizer::to_vec(value).unwrap_or_default())
}

/// Anyone may write anything into a file there: some of it, without what moves a cursor.
fn said(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !('\u{200b}'..='\u{206f}').contains(c)).take(80).collect()
}

/// An approval as kept.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: Version,
    /// Version of the Lifeboat that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tool: String,
    /// What it is of.
    digest: String,
    /// The same, part by part, so that it can be said what has changed since.
    parts: BTreeMap<String, String>,
    /// The plan's name and environment: for readers.
    name: String,
    environment: String,
    /// The author's own name for themselves: for readers.
    by: String,
    /// As whom the author had logged in, if they became somebody else since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<u32>,
    at: Timestamp,
    until: Timestamp,
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

/// How an approver vouches for an approval.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// Their name among the environment's `approvers`.
    pub name: &'a str,
    /// The key they sign with: a private one, or a public one whose other half an agent holds.
    pub key: &'a Path,
}

/// Puts down that this process's user, or the signer, approves what a plan says; a former approval of theirs is replaced. Gives the file.
///
/// # Errors
/// When the runs' folder is not there or not open to this user, or it cannot be signed.
pub fn give(runs: &Path, plan: &Plan, signer: Option<Signer<'_>>, now: Timestamp, until: Timestamp) -> Result<PathBuf, Exit> {
    let folder = runs.join(FOLDER);
    let cannot = |error: &io::Error| {
        Exit::new(Kind::Environment, format!("the approval cannot be put into {}", folder.display())).cause(error.to_string()).hint(
            "whoever starts the run makes that folder: their `lifeboat drill` that is refused for want of approvals does; --reports DIR says where",
        )
    };
    // A link would lead the approver's file to wherever whoever keeps the runs likes.
    if !fs::symlink_metadata(&folder).is_ok_and(|about| about.is_dir()) {
        return Err(cannot(&io::Error::from(io::ErrorKind::NotFound)));
    }
    let me = me();
    let subject = Subject::of(plan);
    let digest = subject.digest();
    let file = File {
        version: Format::Approval.current(),
        tool: TOOL.to_owned(),
        digest: digest.clone(),
        parts: subject.parts,
        name: plan.name.clone(),
        environment: plan.environment.clone(),
        by: signer.map_or_else(|| me.name.clone(), |signer| signer.name.to_owned()),
        login: people::logged_in("self").filter(|login| *login != me.uid),
        at: now,
        until,
    };
    let bytes = serde_json::to_vec(&file).map_err(|error| Exit::from_error(Kind::Internal, &error))?;
    let whose = signer.map_or_else(|| me.uid.to_string(), |signer| format!("{}-{}", me.uid, signer.name));
    let path = folder.join(format!("{}-{whose}.json", digest.get(..16).unwrap_or(&digest)));
    let signature = match signer {
        None => None,
        Some(signer) => {
            let refused = |why: String| Exit::new(Kind::Environment, format!("the approval is not signed with {}", signer.key.display())).cause(why);
            let signature = sshsig::sign(signer.key, &bytes).map_err(refused)?;
            let named = by_key(&plan.approvers, &signature, &bytes).map_err(refused)?;
            if named.0 != signer.name {
                return Err(Exit::new(Kind::Usage, format!("the key {} is that of {}, not of {}", signer.key.display(), named.0, signer.name)));
            }
            Some(signature)
        }
    };
    let write = |path: &Path, bytes: &[u8]| -> io::Result<()> {
        let fresh = folder.join(format!(".{:016x}", rand::random::<u64>()));
        let make = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&fresh)?;
            file.write_all(bytes)?;
            // Whatever the umask is: the one who starts the run reads it.
            file.set_permissions(Permissions::from_mode(0o644))?;
            file.sync_all()?;
            fs::rename(&fresh, path)
        };
        make().inspect_err(|_| drop(fs::remove_file(&fresh)))
    };
    // The signature first: the file counts from the moment at which it is there.
    if let Some(signature) = signature {
        write(&signature_of(&path), signature.as_bytes()).map_err(|error| cannot(&error))?;
    }
    write(&path, &bytes).map_err(|error| cannot(&error))?;
    Ok(path)
}

/// Where the signature of an approval lies.
fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// Who among `approvers` signed a text, and the fingerprint of the key.
///
/// # Errors
/// When none of them did.
pub fn by_key(approvers: &BTreeMap<String, String>, signature: &str, text: &[u8]) -> Result<(String, String), String> {
    let key = sshsig::signer(signature, text)?;
    let is_theirs = |line: &String| PublicKey::read(line).is_ok_and(|own| own == key);
    let named = approvers.iter().find(|(_, line)| is_theirs(line)).map(|(name, _)| name.clone());
    named.map(|name| (name, key.fingerprint())).ok_or_else(|| format!("the key {} is none of `approvers`", key.fingerprint()))
}

/// The approvals that lie there for an environment; `subject` is what is to run, `approvers` whose keys count there.
#[must_use]
pub fn read(runs: &Path, environment: &str, subject: &Subject, approvers: &BTreeMap<String, String>) -> Vec<Approval> {
    let Ok(entries) = fs::read_dir(runs.join(FOLDER)) else { return Vec::new() };
    let system = System::here();
    let paths = entries.flatten().take(MOST).map(|entry| entry.path());
    let mut found: Vec<Approval> = paths.filter_map(|path| one(&path, environment, subject, approvers, &system)).collect();
    found.sort_by(|a, b| (&a.who, a.at).cmp(&(&b.who, b.at)));
    found
}

/// Whose approvals of exactly this plan hold now, with what shows that they are theirs: they may be named for what its steps ask.
#[must_use]
pub fn vouched(runs: &Path, plan: &Plan) -> Vec<(String, Witness)> {
    let (now, starter) = (RunClock::start().now(), people::starter());
    let there = read(runs, &plan.environment, &Subject::of(plan), &plan.approvers).into_iter();
    let holds = |approval: &Approval| approval.differs.is_empty() && approval.at <= now && now < approval.until && !starter.is(approval);
    let named = |approval: Approval| match approval.voucher {
        Voucher::Owner { .. } => Some((approval.who.name.clone(), Witness::user(approval.who.name))),
        Voucher::Key(fingerprint) => Some((approval.who.name, Witness { user: None, key: Some(fingerprint) })),
        Voucher::Nobody(_) => None,
    };
    there.filter(holds).filter_map(named).collect()
}

/// Anyone may put anything there: what is no approval is passed over.
fn one(path: &Path, environment: &str, subject: &Subject, approvers: &BTreeMap<String, String>, system: &System) -> Option<Approval> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return None;
    }
    let (bytes, owner) = plain(path)?;
    if let Err(unread) = check_file(Format::Approval, &bytes) {
        let about: Value = serde_json::from_slice(&bytes).ok()?;
        let is_here = about["environment"].as_str().is_none_or(|name| name == environment);
        let nobody = Voucher::Nobody(plain::line(&unread.to_string()).into_owned());
        let (who, never) = (Person { uid: owner, name: people::name(owner) }, Timestamp::from_nanos(0));
        return is_here.then(|| Approval { who, voucher: nobody, at: never, until: never, differs: Vec::new() });
    }
    let read: File = serde_json::from_slice(&bytes).ok()?;
    let own = Subject { parts: read.parts };
    if read.environment != environment || own.digest() != read.digest {
        return None;
    }
    let differs = if own == *subject { Vec::new() } else { subject.differs(&own) };
    let (name, voucher) = if approvers.is_empty() {
        match system.person(owner) {
            Ok(name) => (name, Voucher::Owner { login: read.login }),
            Err(why) => (format!("uid {owner}"), Voucher::Nobody(why)),
        }
    } else {
        let signed = plain(&signature_of(path)).and_then(|(bytes, _)| String::from_utf8(bytes).ok());
        let signed = signed.ok_or_else(|| "not signed by any of `approvers`".to_owned());
        match signed.and_then(|signature| by_key(approvers, &signature, &bytes)) {
            Ok((name, fingerprint)) => (name, Voucher::Key(fingerprint)),
            Err(why) => (people::name(owner), Voucher::Nobody(why)),
        }
    };
    Some(Approval { who: Person { uid: owner, name }, voucher, at: read.at, until: read.until, differs })
}

/// What a file there holds and who owns it, if it is an ordinary one that nobody else may write.
fn plain(path: &Path) -> Option<(Vec<u8>, u32)> {
    let flags = i32::try_from((rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW).bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let meta = file.metadata().ok()?;
    // A second name for somebody's file elsewhere is not their word here.
    if !meta.is_file() || meta.len() > LARGEST || meta.nlink() != 1 || meta.permissions().mode() & 0o022 != 0 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some((bytes, meta.uid()))
}

#[cfg(test)]
mod tests {
    use super::sshsig::tests::{key, signature};
    use super::*;
    use crate::model::plan::Definition;

    fn plan(environment: &str) -> Plan {
        serde_json::from_value(json!({
            "version": 1, "name": "outage", "title": {}, "mode": "drill", "environment": environment, "zone": "UTC", "scope": {},
            "objectives": {}, "probes": [], "failover": { "file": "", "title": {}, "parameters": {}, "steps": [] }, "definitions": []
        }))
        .unwrap()
    }

    fn found(runs: &Path, plan: &Plan) -> Vec<Approval> {
        read(runs, &plan.environment, &Subject::of(plan), &plan.approvers)
    }

    #[test]
    fn an_approval_is_of_the_files_the_place_and_what_was_given_and_says_what_is_another() {
        let first = Subject::of(&plan("staging"));
        assert_eq!(first.digest(), Subject::of(&plan("staging")).digest());
        let with = |change: &dyn Fn(&mut Plan)| {
            let mut other = plan("staging");
            change(&mut other);
            Subject::of(&other)
        };
        let file = || Definition { path: "a.yaml".into(), sha256: "00".into() };
        let given = |given: Given| with(&move |plan| plan.given = given.flags());
        let second = Some(Span::from_secs(1));
        for (other, part) in [
            (Subject::of(&plan("production")), "environment"),
            (with(&|plan| plan.definitions.push(file())), "a.yaml"),
            (with(&|plan| plan.files.push(file())), "a.yaml"),
            (given(Given { set: serde_json::from_str(r#"{"a":1}"#).unwrap(), ..Given::default() }), "--set a"),
            (given(Given { with: serde_json::from_str(r#"{"a":1}"#).unwrap(), ..Given::default() }), "--with a"),
            (given(Given { no_failback: true, ..Given::default() }), "--no-failback"),
            (given(Given { ungraceful: true, ..Given::default() }), "--ungraceful"),
            (given(Given { budget: second, ..Given::default() }), "--budget"),
            (given(Given { undo_for: second, ..Given::default() }), "--undo-for"),
            (given(Given { patience: second, ..Given::default() }), "--patience"),
        ] {
            assert_ne!(first.digest(), other.digest(), "{part}");
            let differs = first.differs(&other);
            assert!(differs.len() == 1 && differs[0].starts_with(part), "{part}: {differs:?}");
        }
        let usual = Limits::default();
        let same = given(Given { budget: Some(usual.run), undo_for: Some(usual.undo), ..Given::default() });
        assert_eq!(first, same, "what is given as it would be without is not given");
    }

    #[test]
    fn an_approval_counts_for_the_owner_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("reports");
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (now, until) = (at("2026-11-24T10:00:00Z"), at("2026-11-24T12:00:00Z"));
        assert_eq!(give(&runs, &plan("staging"), None, now, until).unwrap_err().kind, Kind::Environment, "the starter makes the folder");
        let made = prepare(&runs).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&runs), mode(&made)), (0o711, 0o1777));
        let path = give(&runs, &plan("staging"), None, now, until).unwrap();
        assert_eq!(mode(&path), 0o644);
        let there = found(&runs, &plan("staging"));
        assert!(there.len() == 1 && there[0].who.uid == me().uid && (there[0].at, there[0].until) == (now, until), "{there:?}");
        assert!(there[0].differs.is_empty());
        let mut other = plan("staging");
        other.definitions.push(Definition { path: "a.yaml".into(), sha256: "00".into() });
        assert_eq!(found(&runs, &other)[0].differs, ["a.yaml was not there"]);
        assert_eq!(found(&runs, &plan("production")), []);
        // Whatever a file says about its author.
        let said = fs::read_to_string(&path).unwrap();
        fs::write(made.join("forged.json"), said.replace(&format!("\"by\":\"{}\"", me().name), "\"by\":\"ann\"")).unwrap();
        assert!(found(&runs, &plan("staging")).iter().all(|approval| approval.who.uid == me().uid));
    }

    #[test]
    fn where_approvers_have_keys_only_their_signatures_count() {
        let folder = tempfile::tempdir().unwrap();
        let made = prepare(folder.path()).unwrap();
        let (ann, eve) = (key(1), key(2));
        let mut plan = plan("staging");
        plan.approvers.insert("ann".into(), ann.1);
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let path = give(folder.path(), &plan, None, now, now).unwrap();
        let text = fs::read(&path).unwrap();
        let vouched = |signature: Option<String>| {
            let beside = signature_of(&path);
            match signature {
                Some(signature) => fs::write(beside, signature).unwrap(),
                None => drop(fs::remove_file(beside)),
            }
            found(folder.path(), &plan).remove(0)
        };
        let good = vouched(Some(signature(&ann.0, sshsig::NAMESPACE, &text)));
        assert!(good.who.name == "ann" && matches!(good.voucher, Voucher::Key(_)), "{good:?}");
        for wrong in [
            None,
            Some(signature(&eve.0, sshsig::NAMESPACE, &text)),
            Some(signature(&ann.0, "git", &text)),
            Some(signature(&ann.0, sshsig::NAMESPACE, b"something else")),
            Some("nonsense".to_owned()),
        ] {
            let not = vouched(wrong);
            assert!(matches!(not.voucher, Voucher::Nobody(_)), "{not:?}");
        }
        assert!(made.is_dir());
    }

    #[test]
    fn an_approval_is_not_led_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(FOLDER)).unwrap();
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        assert_eq!(give(folder.path(), &plan("staging"), None, now, now).unwrap_err().kind, Kind::Environment);
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn an_approval_of_another_format_counts_for_nobody_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let made = prepare(folder.path()).unwrap();
        let newer = json!({ "version": "2.99", "tool": "9.8.7", "environment": "staging", "given": { "by": "ann" } });
        fs::write(made.join("newer.json"), newer.to_string()).unwrap();
        fs::write(made.join("elsewhere.json"), newer.to_string().replace("staging", "production")).unwrap();
        let there = read(folder.path(), "staging", &Subject::of(&plan("staging")), &BTreeMap::new());
        let [Approval { voucher: Voucher::Nobody(why), .. }] = there.as_slice() else { panic!("{there:?}") };
        assert!(why.contains("made by Lifeboat 9.8.7 in version 2.99 of the format of approvals"), "{why}");
        fs::remove_file(made.join("newer.json")).unwrap();
        // One from before it said which Lifeboat wrote it.
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let path = give(folder.path(), &plan("staging"), None, now, now).unwrap();
        let mut old: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        old["version"] = json!(2);
        old.as_object_mut().unwrap().remove("tool");
        fs::write(&path, old.to_string()).unwrap();
        let there = read(folder.path(), "staging", &Subject::of(&plan("staging")), &BTreeMap::new());
        assert!(there.len() == 1 && there[0].differs.is_empty(), "{there:?}");
    }

    #[test]
    fn what_is_no_approval_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let made = prepare(folder.path()).unwrap();
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let path = give(folder.path(), &plan("staging"), None, now, now).unwrap();
        let elsewhere = folder.path().join("elsewhere.json");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, made.join("link.json")).unwrap();
        fs::hard_link(&elsewhere, made.join("second-name.json")).unwrap();
        let altered = fs::read_to_string(&elsewhere).unwrap().replace("outage", "outrage");
        fs::write(made.join("altered.json"), altered).unwrap();
        fs::write(made.join("nonsense.json"), "{").unwrap();
        fs::write(made.join("large.json"), vec![b' '; 300 << 10]).unwrap();
        fs::create_dir(made.join("folder.json")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, made.join("pipe.json"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert_eq!(found(folder.path(), &plan("staging")), []);
    }
}
