//! [`RunStore`] on files: `FOLDER/RUN/journal.jsonl`, one line an event, owned through an exclusive lock on the file.
//!
//! The system holds the lock for the open file, so the lock ends when the process ends, in whatever way; nobody has to guess whether a lock is stale. A line that could not be
//! written whole is written again at the same position. A journal that was deleted is noticed at an attempt to write, which fails; the next attempt makes the file anew with all that was in
//! it. A journal that can be read but not written can be owned too: taking a run back begins with reading.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use tracing::info;

use super::folder::{Folder, Trust};
use super::reserve::Reserve;
use crate::model::ids::RunId;
use crate::ports::store::{Appended, LeaseRecord, Owner, RunStore, StoreError};

/// Name of the plan in a run's folder.
pub const PLAN: &str = "plan.json";

/// Name of the journal in a run's folder.
pub const JOURNAL: &str = "journal.jsonl";

/// The folder of the leases that the store itself keeps.
const LEASES: &str = "leases";

/// Where what belongs to an environment is kept beside the folder of the runs, so that whoever names another folder does not get around it.
#[derive(Clone, Debug, Default)]
pub struct Keeping {
    /// Folders of one project: an environment's name says enough.
    pub near: Vec<PathBuf>,
    /// Folders of one user or machine: there an environment is known by its accounts or its lab.
    pub wide: Vec<PathBuf>,
}

/// Runs under one folder.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    /// Whose runs it opens.
    trust: Trust,
    /// `false` leaves out fsync: for measurements only.
    durable: AtomicBool,
    /// Further folders in which what belongs to an environment is kept.
    keeping: Keeping,
    open: Mutex<BTreeMap<String, OpenRun>>,
}

#[derive(Debug)]
struct OpenRun {
    /// Lines are written to it.
    file: File,
    /// Whether they can be; a file that may only be read is opened again at each attempt.
    writable: bool,
    /// Holds the lock, if `file` does not.
    held: Option<File>,
    token: String,
    last: u64,
    /// Length of the whole lines.
    length: u64,
    /// How much of them is on stable storage for sure.
    synced: u64,
    /// Whether making sure of the rest has failed since.
    in_doubt: bool,
    /// Whether something may lie behind them.
    torn: bool,
    /// Whether it was said that the journal is not at its place any more.
    missed: bool,
    reserve: Reserve,
    /// Whom its folder is shared with.
    group: Option<u32>,
}

impl FileStore {
    /// A store in `folder`, which is made when the first run needs it.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, durable: bool) -> Self {
        Self {
            folder: folder.into(),
            trust: Trust::default(),
            durable: AtomicBool::new(durable),
            keeping: Keeping::default(),
            open: Mutex::new(BTreeMap::new()),
        }
    }

    /// The same store, which works with the runs of these groups too and shares its own with them.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Whose runs it opens.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The same, with further folders in which what belongs to an environment is kept.
    #[must_use]
    pub fn keeping_in(self, keeping: Keeping) -> Self {
        Self { keeping, ..self }
    }

    /// The further folders in which what belongs to an environment is kept.
    #[must_use]
    pub const fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// Leaves fsync out from now on.
    pub fn relax(&self) {
        self.durable.store(false, Ordering::Relaxed);
    }

    fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Relaxed)
    }

    /// The folder of the runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of `run`.
    #[must_use]
    pub fn path(&self, run: &str) -> PathBuf {
        self.folder.join(run)
    }

    /// The journal file of `run`.
    #[must_use]
    pub fn journal(&self, run: &str) -> PathBuf {
        self.path(run).join(JOURNAL)
    }

    /// Makes the folder (0700) and the empty journal (0600) of a new run and becomes its owner.
    ///
    /// # Errors
    /// When the run exists already or the folder cannot be written.
    pub fn create(&self, run: &str, owner: &Owner) -> Result<(), StoreError> {
        self.create_in(run, owner, "")
    }

    /// The same, for a run in an environment whose group shares it.
    ///
    /// # Errors
    /// As [`FileStore::create`].
    pub fn create_in(&self, run: &str, owner: &Owner, environment: &str) -> Result<(), StoreError> {
        let path = self.path(run);
        let cannot_make = |path: &Path, source| StoreError { action: "make", subject: path.display().to_string(), source };
        let failed = |source| cannot_make(&path, source);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(|source| cannot_make(&self.folder, source))?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let folder = Folder::make(&path, self.trust.group_of(environment)).map_err(failed)?;
        folder.fresh(JOURNAL).map_err(failed)?;
        self.own(run, owner)?;
        // The names themselves must survive a power loss before anything is changed in a cloud.
        if self.is_durable() {
            folder.sync().map_err(failed)?;
            File::open(&self.folder).and_then(|handle| handle.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// The folder of a run, with everything in it found to be the caller's, and the group that vouches for what is not.
    fn door(&self, run: &str) -> io::Result<(Folder, Option<u32>)> {
        Folder::open(&self.path(run), &self.trust)
    }

    /// Whether a run may be worked with, and which group vouches for what the caller does not own.
    ///
    /// # Errors
    /// When it, or something in it, is somebody else's or a link, or when it cannot be opened.
    pub fn vouched(&self, run: &str) -> Result<Option<u32>, StoreError> {
        self.door(run).map(|(_, group)| group).map_err(|source| StoreError { action: "open", subject: self.path(run).display().to_string(), source })
    }

    /// Takes away the folder of a run that this store made and that has no event yet; anything else stays.
    pub fn discard(&self, run: &str) {
        let own = self.lock().get(run).is_some_and(|entry| entry.last == 0);
        if own {
            self.lock().remove(run);
            // What cannot be taken away is an empty run, listed as such.
            let _ = fs::remove_dir_all(self.path(run));
        }
    }

    /// Becomes the owner of an existing run: takes the lock and cuts off a last line that was not written whole.
    ///
    /// # Errors
    /// `WouldBlock` when another process owns it; else when it cannot be read or written.
    pub fn own(&self, run: &str, owner: &Owner) -> Result<(), StoreError> {
        let path = self.journal(run);
        let failed = |action: &'static str| {
            let subject = path.display().to_string();
            move |source| StoreError { action, subject, source }
        };
        let (folder, _) = self.door(run).map_err(failed("open"))?;
        let (mut file, writable) = match folder.file(JOURNAL, OFlags::RDWR) {
            Ok(file) => (file, true),
            // A file system that was made read-only, or a file that was made immutable or may not be written.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::ROFS | Errno::PERM | Errno::ACCESS)) => {
                (folder.file(JOURNAL, OFlags::RDONLY).map_err(failed("open"))?, false)
            }
            Err(error) => return Err(failed("open")(error)),
        };
        lock_soon(&file).map_err(failed("lock"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read"))?;
        let whole = whole_lines(&bytes);
        let last = bytes[..whole].iter().filter(|byte| **byte == b'\n').count() as u64;
        let (token, length, torn) = (owner.token.clone(), whole as u64, whole < bytes.len());
        let mut entry = OpenRun {
            file,
            writable,
            held: None,
            token,
            last,
            length,
            synced: 0,
            in_doubt: false,
            torn,
            missed: false,
            reserve: Reserve::default(),
            group: folder.shared_with(),
        };
        // What cannot be repaired now is when the first line is written, or that fails.
        if writable && entry.repair().is_ok() {
            entry.reserve.keep(&entry.file, length);
        }
        info!(path = %path.display(), events = last, bytes = length, torn, writable, "journal opened");
        self.lock().insert(run.to_owned(), entry);
        Ok(())
    }

    /// Why no space can be set aside for what `run`, which this store owns, will have to write; `None` when there is.
    #[must_use]
    pub fn lacks_room(&self, run: &str) -> Option<String> {
        self.lock().get(run)?.reserve.short().map(str::to_owned)
    }

    /// Gives back the space that was set aside for `run` and is not needed: it has ended.
    pub fn give_room_back(&self, run: &str) {
        if let Some(entry) = self.lock().get_mut(run) {
            let OpenRun { file, length, reserve, .. } = entry;
            reserve.give_back(file, *length);
        }
    }

    /// Owns `run` no more.
    pub fn let_go(&self, run: &str) {
        self.lock().remove(run);
    }

    /// Copies a journal that is not to be trusted into a folder beside it, with the files of these names, and leaves only its first `lines` lines in its place:
    /// it stays the same file. Gives the folder's name.
    ///
    /// # Errors
    /// `WouldBlock` when a process owns the run; else when something cannot be written: then nothing was taken away.
    pub fn set_aside(&self, run: &str, lines: usize, with: &[&str]) -> Result<String, StoreError> {
        let subject = self.journal(run).display().to_string();
        self.aside(run, lines, with).map_err(|source| StoreError { action: "set aside", subject, source })
    }

    fn aside(&self, run: &str, lines: usize, with: &[&str]) -> io::Result<String> {
        let (folder, _) = self.door(run)?;
        let names = folder.names()?;
        let free = |name: &String| !names.contains(name);
        let aside = (1..).map(|number| format!("journal.aside-{number}")).find(free).unwrap_or_default();
        let keep = |name: &str, bytes: &[u8]| {
            let mut copy = folder.replaced(&format!("{aside}/{name}"))?;
            copy.write_all(bytes)?;
            copy.sync_all()
        };
        match folder.file(JOURNAL, OFlags::RDWR) {
            Ok(mut journal) => {
                lock_soon(&journal)?;
                let mut bytes = Vec::new();
                journal.read_to_end(&mut bytes)?;
                keep(JOURNAL, &bytes)?;
                with.iter().try_for_each(|name| folder.read(name).map_or(Ok(()), |bytes| keep(name, &bytes)))?;
                let whole: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(lines).map(<[u8]>::len).sum();
                journal.set_len(whole as u64)?;
                journal.sync_all()?;
            }
            Err(error) => {
                // Something else than a file has its name, or nothing.
                if error.kind() != io::ErrorKind::NotFound {
                    folder.rename(JOURNAL, &format!("{aside}/{JOURNAL}"))?;
                }
                with.iter().try_for_each(|name| folder.read(name).map_or(Ok(()), |bytes| keep(name, &bytes)))?;
                folder.fresh(JOURNAL)?.sync_all()?;
            }
        }
        let taken = |name: &&str| match folder.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        with.iter().try_for_each(taken)?;
        folder.sync()?;
        Ok(aside)
    }

    /// Whether some process owns `run` now. Two that ask at once do not take each other for the owner.
    #[must_use]
    pub fn is_owned(&self, run: &str) -> bool {
        self.lock().contains_key(run)
            || Folder::at(&self.path(run))
                .and_then(|folder| folder.file(JOURNAL, OFlags::RDONLY))
                .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Ids of all runs, oldest first (ids begin with their time).
    ///
    /// # Errors
    /// When the folder cannot be read; an absent one is empty.
    pub fn runs(&self) -> Result<Vec<RunId>, StoreError> {
        let failed = |source| StoreError { action: "read", subject: self.folder.display().to_string(), source };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // A journal that is something else than a file, that may not be looked at or was taken away from beside its plan, is a run all the same: reading
            // it tells why it is not right.
            let has = |name: &str| match fs::symlink_metadata(entry.path().join(name)) {
                Ok(_) => true,
                Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
            };
            let is_run = has(JOURNAL) || has(PLAN);
            if is_run && let Ok(name) = entry.file_name().into_string() {
                runs.push(RunId::of_folder(name));
            }
        }
        runs.sort();
        Ok(runs)
    }

    /// Writes a file beside the journal, readable by its owner only. What had the name is replaced, never written through.
    ///
    /// # Errors
    /// When it cannot be written, or the run is somebody else's.
    pub fn write_beside(&self, run: &str, name: &str, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.path(run).join(name);
        let written = self.door(run).and_then(|(folder, _)| folder.write(name, bytes));
        written.map_err(|source| StoreError { action: "write", subject: path.display().to_string(), source })?;
        Ok(path)
    }

    /// Reads a file beside the journal.
    ///
    /// # Errors
    /// When it cannot be read, or the run is somebody else's.
    pub fn read_beside(&self, run: &str, name: &str) -> io::Result<Vec<u8>> {
        self.door(run)?.0.read(name)
    }

    /// Opens a file of a run for reading.
    ///
    /// # Errors
    /// As [`FileStore::read_beside`].
    pub fn open_beside(&self, run: &str, name: &str) -> io::Result<File> {
        self.door(run)?.0.file(name, OFlags::RDONLY)
    }

    /// Writes over a file of the same length beside the journal, or makes it: what is there needs no more space.
    ///
    /// # Errors
    /// When it cannot be written, or the run is somebody else's.
    pub fn write_over(&self, run: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(run).join(name);
        let write = || {
            let (folder, _) = self.door(run)?;
            let file = match folder.file(name, OFlags::WRONLY) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => folder.fresh(name)?,
                opened => opened?,
            };
            file.write_all_at(bytes, 0)?;
            if file.metadata()?.len() != bytes.len() as u64 {
                file.set_len(bytes.len() as u64)?;
            }
            if self.is_durable() { file.sync_all() } else { Ok(()) }
        };
        write().map_err(|source| StoreError { action: "write", subject: path.display().to_string(), source })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, OpenRun>> {
        // Each entry is changed by one assignment; a panic elsewhere leaves it whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenRun {
    /// Makes the file fit to be written to in the run's folder at `path`: opened for it, without what lies behind its lines, and the one that others find
    /// there.
    fn prepare(&mut self, path: &Path) -> io::Result<()> {
        let there = Folder::at(path).and_then(|folder| Ok((folder.file(JOURNAL, OFlags::RDONLY)?, folder)));
        match there {
            Ok((there, folder)) => {
                if identity(&there.metadata()?) != identity(&self.file.metadata()?) {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, ANOTHER));
                }
                if !self.writable {
                    // The lock stays with the one that is open already.
                    let file = folder.file(JOURNAL, OFlags::RDWR)?;
                    self.held = Some(std::mem::replace(&mut self.file, file));
                    self.writable = true;
                }
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // Once it is said: whoever took it away may have meant the run.
            Err(error) if !std::mem::replace(&mut self.missed, true) => return Err(error),
            Err(_) => self.make_anew(path)?,
        }
        self.missed = false;
        self.repair()
    }

    /// Takes away what lies behind the lines.
    fn repair(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length).and_then(|()| self.file.sync_all())?;
            self.torn = false;
        }
        Ok(())
    }

    /// Makes the journal again where it was taken away, from the file that is open still: whole, or not at all.
    fn make_anew(&mut self, path: &Path) -> io::Result<()> {
        let mut bytes = vec![0; usize::try_from(self.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        if let Some(runs) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(runs)?;
        }
        let folder = Folder::make(path, self.group)?;
        if !folder.write_new(JOURNAL, &bytes)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, ANOTHER));
        }
        let file = folder.file(JOURNAL, OFlags::RDWR)?;
        lock_soon(&file)?;
        (self.file, self.held, self.writable, self.torn, self.reserve) = (file, None, true, false, Reserve::default());
        Ok(())
    }

    /// Writes the lines again that a failed fsync may have lost. The kernel may take them for stored after it, so that the next fsync alone would say nothing
    /// of them: fsync(2), errors.
    fn write_doubtful_again(&mut self) -> io::Result<()> {
        if self.in_doubt {
            let mut bytes = vec![0; usize::try_from(self.length - self.synced).map_err(io::Error::other)?];
            self.file.read_exact_at(&mut bytes, self.synced)?;
            self.file.write_all_at(&bytes, self.synced)?;
        }
        Ok(())
    }

    /// Writes a line behind the others, all of it or none that counts.
    fn write(&mut self, line: &[u8], sync: bool) -> io::Result<()> {
        self.write_doubtful_again()?;
        // What an attempt leaves that fails is a prefix of the line, which the next one is written over and `own` cuts off.
        self.file.write_all_at(line, self.length)?;
        let length = self.length + line.len() as u64;
        if sync {
            self.in_doubt = true;
            self.file.sync_data()?;
            (self.synced, self.in_doubt) = (length, false);
        }
        self.length = length;
        self.last += 1;
        self.reserve.keep(&self.file, self.length);
        Ok(())
    }
}

/// What is said of a file that somebody put in the place of the journal.
const ANOTHER: &str = "another file is in its place";

/// Which file it is, whatever it is called.
fn identity(about: &fs::Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

/// Takes the lock. Whoever only asks whether a run is owned holds it for a moment too: that is waited for, a tenth of a second at most.
fn lock_soon(file: &File) -> io::Result<()> {
    for _ in 0..20 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            other => return other.map_err(io::Error::from),
        }
    }
    file.try_lock().map_err(io::Error::from)
}

/// Length of `bytes` up to and including the last newline.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

impl RunStore for FileStore {
    fn append(&self, run: &str, owner: &Owner, expected: u64, bytes: &[u8], durable: bool) -> Result<Appended, StoreError> {
        let mut open = self.lock();
        let Some(entry) = open.get_mut(run).filter(|entry| entry.token == owner.token) else {
            return Ok(Appended::Conflict(0));
        };
        if entry.last != expected {
            return Ok(Appended::Conflict(entry.last));
        }
        let failed = |source| StoreError { action: "append to", subject: self.journal(run).display().to_string(), source };
        let mut line = Vec::with_capacity(bytes.len() + 1);
        line.extend_from_slice(bytes);
        line.push(b'\n');
        // What rides along is looked after by the next one that must be safe.
        if durable || !entry.writable || entry.torn || entry.missed {
            entry.prepare(&self.path(run)).map_err(failed)?;
        }
        entry.write(&line, durable && self.is_durable()).map_err(failed)?;
        Ok(Appended::Ok(entry.last))
    }

    fn shortage(&self, run: &str) -> Option<String> {
        self.lacks_room(run)
    }

    fn read(&self, run: &str, after: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let path = self.journal(run);
        let bytes = self.read_beside(run, JOURNAL).map_err(|source| StoreError { action: "read", subject: path.display().to_string(), source })?;
        // Without the last newline, so that what is between two newlines is a line, an empty one too: it was not written by us.
        let Some(whole) = whole_lines(&bytes).checked_sub(1) else { return Ok(Vec::new()) };
        let lines = bytes[..whole].split(|byte| *byte == b'\n');
        Ok(lines.skip(usize::try_from(after).unwrap_or(usize::MAX)).map(<[u8]>::to_vec).collect())
    }

    fn last(&self, run: &str) -> Result<u64, StoreError> {
        if let Some(entry) = self.lock().get(run) {
            return Ok(entry.last);
        }
        match self.read(run, 0) {
            Ok(lines) => Ok(lines.len() as u64),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn lease_get(&self, key: &str) -> Result<Option<LeaseRecord>, StoreError> {
        let path = self.folder.join(LEASES);
        let failed = |source| StoreError { action: "read", subject: path.join(key).display().to_string(), source };
        let read = Folder::open(&path, &self.trust).and_then(|(folder, _)| folder.read(key));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
            Ok(bytes) => {
                let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
                let revision = std::str::from_utf8(&bytes[..at])
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
                Ok(Some(LeaseRecord { revision, bytes: bytes.get(at + 1..).unwrap_or_default().to_vec() }))
            }
        }
    }

    fn lease_cas(&self, key: &str, expected: u64, bytes: &[u8], _lifetime: Duration) -> Result<Option<u64>, StoreError> {
        let path = self.folder.join(LEASES);
        let failed = |source| StoreError { action: "write", subject: path.join(key).display().to_string(), source };
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            Folder::make(&path, None)?;
            let (folder, _) = Folder::open(&path, &self.trust)?;
            let guard = folder.appended(&format!("{key}.lock"))?;
            Ok((folder, guard))
        };
        let (folder, guard) = open().map_err(failed)?;
        guard.lock().map_err(failed)?;
        if self.lease_get(key)?.map_or(0, |lease| lease.revision) != expected {
            return Ok(None);
        }
        let revision = expected + 1;
        let mut content = format!("{revision}\n").into_bytes();
        content.extend_from_slice(bytes);
        folder.write(key, &content).and_then(|()| folder.sync()).map_err(failed)?;
        Ok(Some(revision))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn owner(token: &str) -> Owner {
        Owner { token: token.into(), epoch: 1 }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_appending_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        store.create("r", &owner("a")).unwrap();
        assert_eq!(store.append("r", &owner("a"), 0, b"{}", true).unwrap(), Appended::Ok(1));
        OpenOptions::new().append(true).open(store.journal("r")).unwrap().write_all(b"{\"torn").unwrap();
        drop(store);
        let store = FileStore::new(folder.path(), true);
        store.own("r", &owner("b")).unwrap();
        assert_eq!(store.append("r", &owner("b"), 1, b"[]", true).unwrap(), Appended::Ok(2));
        assert_eq!(store.read("r", 0).unwrap(), vec![b"{}".to_vec(), b"[]".to_vec()]);
    }

    #[test]
    fn after_a_failed_fsync_everything_since_the_last_that_succeeded_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        store.create("r", &owner("a")).unwrap();
        let append = |at, line: &[u8], durable| assert_eq!(store.append("r", &owner("a"), at, line, durable).unwrap(), Appended::Ok(at + 1));
        append(0, b"{}", true);
        append(1, b"[1]", false);
        // No disk of a test fails at the right moment: what is left of the failure is this.
        store.lock().get_mut("r").unwrap().in_doubt = true;
        append(2, b"[2]", false);
        assert!(store.lock()["r"].in_doubt, "nobody has made sure of it");
        append(3, b"[3]", true);
        let (in_doubt, unsure) = store.lock().get("r").map(|entry| (entry.in_doubt, entry.length - entry.synced)).unwrap();
        assert_eq!((in_doubt, unsure), (false, 0));
        assert_eq!(store.read("r", 0).unwrap(), [&b"{}"[..], b"[1]", b"[2]", b"[3]"]);
    }

    #[test]
    fn only_a_run_without_events_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        store.create("empty", &owner("a")).unwrap();
        store.create("begun", &owner("a")).unwrap();
        store.append("begun", &owner("a"), 0, b"{}", true).unwrap();
        FileStore::new(folder.path(), true).discard("empty");
        assert_eq!(store.runs().unwrap(), ["begun", "empty"], "another store's run stays");
        store.discard("empty");
        store.discard("begun");
        assert_eq!(store.runs().unwrap(), ["begun"]);
    }

    #[test]
    fn a_line_that_was_added_empty_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        store.create("r", &owner("a")).unwrap();
        assert!(store.read("r", 0).unwrap().is_empty());
        store.append("r", &owner("a"), 0, b"{}", true).unwrap();
        OpenOptions::new().append(true).open(store.journal("r")).unwrap().write_all(b"\n").unwrap();
        assert_eq!(store.read("r", 0).unwrap(), vec![b"{}".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn who_only_asks_does_not_keep_an_owner_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        store.create("r", &owner("a")).unwrap();
        drop(store);
        let asking = File::open(folder.path().join("r").join(JOURNAL)).unwrap();
        asking.try_lock().unwrap();
        let asked = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(20));
            drop(asking);
        });
        FileStore::new(folder.path(), true).own("r", &owner("b")).unwrap();
        asked.join().unwrap();
    }

    #[test]
    fn only_the_owner_at_the_right_position_may_append() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        store.create("r", &owner("a")).unwrap();
        assert_eq!(store.append("r", &owner("b"), 0, b"{}", true).unwrap(), Appended::Conflict(0));
        assert_eq!(store.append("r", &owner("a"), 3, b"{}", true).unwrap(), Appended::Conflict(0));
        let other = FileStore::new(folder.path(), true);
        assert!(other.is_owned("r"));
        assert_eq!(other.own("r", &owner("c")).unwrap_err().source.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_lease_changes_only_from_the_revision_that_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), true);
        let hour = Duration::from_secs(3600);
        assert_eq!(store.lease_cas("k", 0, b"one", hour).unwrap(), Some(1));
        assert_eq!(store.lease_cas("k", 0, b"two", hour).unwrap(), None);
        assert_eq!(store.lease_get("k").unwrap(), Some(LeaseRecord { revision: 1, bytes: b"one".to_vec() }));
    }
}
