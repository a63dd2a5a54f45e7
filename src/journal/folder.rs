//! The only way to the folder of a run: whatever is read or written there goes through an open handle and never through a link, and a file that belongs to somebody else is not
//! opened. The commands act on what the folder holds with the rights of the person who runs them, so nobody else may be able to write it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, fchmod, fchown, fstat, linkat, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::{getegid, getgroups, getuid};

/// How deep a run's folder is looked through, and how many things it may hold: definitions lie as deep as people put them.
const DEEPEST: usize = 32;
const MOST: usize = 100_000;

/// Whose files a command works with: the caller's own, and those of the groups that environments name, as far as the caller is a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Group ids by the name of the environment.
    groups: BTreeMap<String, u32>,
}

impl Trust {
    /// The caller's own files, and those of these groups (by environment) that the caller is a member of.
    #[must_use]
    pub fn with_groups(named: impl IntoIterator<Item = (String, u32)>) -> Self {
        let mut own: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        own.push(getegid().as_raw());
        Self { groups: named.into_iter().filter(|(_, group)| own.contains(group)).collect() }
    }

    /// The group that an environment shares its runs with.
    #[must_use]
    pub fn group_of(&self, environment: &str) -> Option<u32> {
        self.groups.get(environment).copied()
    }

    /// The group that vouches for something; `None` when the caller owns it.
    fn vouches(&self, about: &Stat) -> Result<Option<u32>, u32> {
        match (about.st_uid, about.st_gid) {
            (owner, _) if owner == getuid().as_raw() => Ok(None),
            (_, group) if self.groups.values().any(|known| *known == group) => Ok(Some(group)),
            (owner, _) => Err(owner),
        }
    }
}

/// Why a folder is not worked with: the folder or something in it belongs to somebody else, or is a link.
#[derive(Debug, thiserror::Error)]
#[error("{what} {why}")]
pub struct Stranger {
    what: String,
    why: String,
}

fn stranger(what: impl Into<String>, why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, Stranger { what: what.into(), why: why.into() })
}

/// Whether an error is that of a [`Stranger`].
#[must_use]
pub fn is_stranger(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Stranger>())
}

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    handle: OwnedFd,
    /// Whether everything new in it is for its group too.
    is_shared: bool,
    /// Whether everybody may read what is new in it.
    is_public: bool,
}

/// The permissions by which a folder says that it is shared with its group, which what is new in it inherits.
const SHARED: u32 = 0o2070;

impl Folder {
    /// Opens the folder at `path`, whose last part must be no link, and looks at everything in it. Gives also the group that vouches for what is not the
    /// caller's own.
    ///
    /// # Errors
    /// A [`Stranger`] when it or something in it is somebody else's or a link; else when it cannot be opened.
    pub fn open(path: &Path, trust: &Trust) -> io::Result<(Self, Option<u32>)> {
        let folder = Self::at(path)?;
        let mut vouched = Vouched { trust, group: None, seen: 0 };
        let about = fstat(&folder.handle)?;
        vouched.look(OsStr::new("the folder"), &about, false)?;
        vouched.look_in(&folder.handle, Path::new(""), about.st_mode & 0o022 != 0, 0)?;
        Ok((folder, vouched.group))
    }

    /// Opens a folder without looking at what is in it: for whoever only asks whether something is there.
    ///
    /// # Errors
    /// When it is a link or cannot be opened.
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        match openat(CWD, path, flags, Mode::empty()) {
            Ok(handle) => {
                let is_shared = fstat(&handle)?.st_mode & SHARED == SHARED;
                Ok(Self { handle, is_shared, is_public: false })
            }
            Err(_) if std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) => {
                Err(stranger("the folder", "is a link, which is not followed"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the folder at `path`, the caller's alone or `group`'s too, whatever the umask; one that is there already stays.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn make(path: &Path, group: Option<u32>) -> io::Result<Self> {
        match mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) => {
                let folder = Self { is_shared: group.is_some(), ..Self::at(path)? };
                if let Some(group) = group {
                    fchown(&folder.handle, None, Some(Gid::from_raw(group)))?;
                }
                folder.share(&folder.handle, true)?;
                Ok(folder)
            }
            Err(Errno::EXIST) => Self::at(path),
            Err(error) => Err(error.into()),
        }
    }

    /// The group that everything new in it is for too.
    #[must_use]
    pub fn shared_with(&self) -> Option<u32> {
        fstat(&self.handle).ok().filter(|_| self.is_shared).map(|about| about.st_gid)
    }

    /// The same folder, in which everybody may read what is new if everybody may look into it.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn for_all(self) -> io::Result<Self> {
        let is_public = !self.is_shared && fstat(&self.handle)?.st_mode & 0o007 != 0;
        Ok(Self { is_public, ..self })
    }

    /// Gives something new the permissions of what is in here.
    fn share(&self, handle: &OwnedFd, is_folder: bool) -> rustix::io::Result<()> {
        let bits = match (self.is_shared, is_folder) {
            (false, false) if self.is_public => 0o644,
            (false, false) => 0o600,
            (false, true) => 0o700,
            (true, false) => 0o660,
            (true, true) => 0o2770,
        };
        fchmod(handle, Mode::from_raw_mode(bits))
    }

    /// The bytes of a regular file in it.
    ///
    /// # Errors
    /// When it is not there, is no regular file, or cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(name, OFlags::RDONLY)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens a regular file in it, without following a link and without waiting for the other end of anything else.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub fn file(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let (inner, last) = self.inner(name, false)?;
        let folder = inner.as_ref().unwrap_or(&self.handle);
        let opened = openat(folder, last, flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let handle = opened.map_err(|error| if error == Errno::LOOP { stranger(name, "is a link, which is not followed") } else { error.into() })?;
        if FileType::from_raw_mode(fstat(&handle)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        Ok(handle.into())
    }

    /// Opens a file to add to its end; it is made where it is missing.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn appended(&self, name: &str) -> io::Result<File> {
        match self.fresh(name) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.file(name, OFlags::WRONLY | OFlags::APPEND),
            Err(error) => Err(error),
        }
    }

    /// Makes a new file under a name that must be free.
    ///
    /// # Errors
    /// `AlreadyExists` when anything has the name, a link too.
    pub fn fresh(&self, name: &str) -> io::Result<File> {
        let (inner, last) = self.inner(name, true)?;
        let folder = inner.as_ref().unwrap_or(&self.handle);
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = openat(folder, last, flags, Mode::RUSR | Mode::WUSR)?;
        self.share(&handle, false)?;
        Ok(handle.into())
    }

    /// Puts an empty new file in the place of whatever has the name, for whoever writes it bit by bit.
    ///
    /// # Errors
    /// When that cannot be done; what was there stays then.
    pub fn replaced(&self, name: &str) -> io::Result<File> {
        self.beside(name, |_| Ok(()))
    }

    /// Writes a file whole: a new one beside it takes the name of the old one, which is never written through.
    ///
    /// # Errors
    /// When that cannot be done; what was there stays then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.beside(name, |file| file.write_all(bytes)).map(drop)
    }

    fn beside(&self, name: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<File> {
        let (inner, last) = self.inner(name, true)?;
        let folder = inner.as_ref().unwrap_or(&self.handle);
        let next = format!(".{:016x}.new", rand::random::<u64>());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = openat(folder, next.as_str(), flags, Mode::RUSR | Mode::WUSR)?;
        let put = || {
            self.share(&handle, false)?;
            let mut file = File::from(handle);
            fill(&mut file)?;
            renameat(folder, next.as_str(), folder, last)?;
            Ok(file)
        };
        put().inspect_err(|_| {
            // What cannot be taken away either is a file of a name that means nothing.
            let _ = unlinkat(folder, next.as_str(), AtFlags::empty());
        })
    }

    /// Writes a file whole and on the disk, unless something has its name already; tells which.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let next = format!(".{:016x}.new", rand::random::<u64>());
        let put = || {
            let mut file = self.fresh(&next)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            // A whole file under its name or none; a second name, unlike a renaming, leaves one that is there.
            match linkat(&self.handle, next.as_str(), &self.handle, name, AtFlags::empty()) {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) => Ok(false),
                Err(error) => Err(io::Error::from(error)),
            }
        };
        let put = put();
        unlinkat(&self.handle, next.as_str(), AtFlags::empty())?;
        self.sync()?;
        put
    }

    /// Gives something in it another name, in a folder that is made where it is missing.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (old, old_name) = self.inner(from, false)?;
        let (new, new_name) = self.inner(to, true)?;
        Ok(renameat(old.as_ref().unwrap_or(&self.handle), old_name, new.as_ref().unwrap_or(&self.handle), new_name)?)
    }

    /// Takes a file away.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        unlinkat(&self.handle, name, AtFlags::empty())?;
        self.sync()
    }

    /// The names of what is in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        Ok(entries(&self.handle)?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// Its own names survive a power loss.
    ///
    /// # Errors
    /// When that cannot be had.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    /// The folder that `name` is in, part by part without a link, made where asked; `None` = this one. With the last part.
    fn inner<'a>(&self, name: &'a str, is_made: bool) -> io::Result<(Option<OwnedFd>, &'a OsStr)> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no name in a run's folder"));
        let mut parts = Vec::new();
        for part in Path::new(name).components() {
            let Component::Normal(part) = part else { return Err(wrong()) };
            parts.push(part);
        }
        let last = parts.pop().ok_or_else(wrong)?;
        let mut inner: Option<OwnedFd> = None;
        for part in parts {
            let folder = inner.as_ref().unwrap_or(&self.handle);
            let is_new = is_made
                && match mkdirat(folder, part, Mode::RWXU) {
                    Ok(()) => true,
                    Err(Errno::EXIST) => false,
                    Err(error) => return Err(error.into()),
                };
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
            let next = openat(folder, part, flags, Mode::empty())?;
            if is_new {
                self.share(&next, true)?;
            }
            inner = Some(next);
        }
        Ok((inner, last))
    }
}

/// Whether the caller, or who else, vouches for everything that was looked at.
struct Vouched<'a> {
    trust: &'a Trust,
    group: Option<u32>,
    seen: usize,
}

impl Vouched<'_> {
    fn look_in(&mut self, folder: &OwnedFd, way: &Path, is_open: bool, depth: usize) -> io::Result<()> {
        for name in entries(folder)? {
            let path = way.join(&name);
            self.seen += 1;
            if self.seen > MOST || depth > DEEPEST {
                return Err(stranger(path.to_string_lossy(), "is one thing too many for the folder of a run"));
            }
            let about = match statat(folder, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(about) => about,
                // A run that goes on replaces its files.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            self.look(path.as_os_str(), &about, is_open)?;
            if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
                let inner = openat(folder, name.as_os_str(), flags, Mode::empty())?;
                self.look_in(&inner, &path, is_open || about.st_mode & 0o022 != 0, depth + 1)?;
            }
        }
        Ok(())
    }

    /// `is_open`: others may write the folder that it is in.
    fn look(&mut self, what: &OsStr, about: &Stat, is_open: bool) -> io::Result<()> {
        let what = what.to_string_lossy();
        let kind = FileType::from_raw_mode(about.st_mode);
        if kind == FileType::Symlink {
            return Err(stranger(what, "is a link, which is not followed"));
        }
        // A second name for a file of the caller's that is elsewhere.
        if kind == FileType::RegularFile && about.st_nlink > 1 && is_open {
            return Err(stranger(what, "has a second name elsewhere, and others may write the folder"));
        }
        match self.trust.vouches(about) {
            Ok(None) => Ok(()),
            Ok(Some(group)) if self.group.is_none_or(|known| known == group) => {
                self.group = Some(group);
                Ok(())
            }
            Ok(Some(group)) => Err(stranger(what, format!("belongs to group {group}, the rest to another group"))),
            Err(owner) => Err(stranger(what, format!("belongs to {}, this is {}", user(owner), user(getuid().as_raw())))),
        }
    }
}

fn user(uid: u32) -> String {
    if uid == 0 { "root".to_owned() } else { format!("user id {uid}") }
}

/// The names in an open folder.
fn entries(folder: &OwnedFd) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Where a run's folder is kept, with no link in the way and without `..`: what a run remembers of its place.
#[must_use]
pub fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn run() -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let run = parent.path().join("run");
        let folder = Folder::make(&run, None).unwrap();
        folder.write("journal.jsonl", b"{}\n").unwrap();
        folder.write("definitions/scenarios/a.yaml", b"a: 1\n").unwrap();
        (parent, run)
    }

    fn refused(run: &Path) -> String {
        let error = Folder::open(run, &Trust::default()).unwrap_err();
        assert!(is_stranger(&error), "{error}");
        error.to_string()
    }

    #[test]
    fn what_is_the_callers_own_is_opened_and_read_back() {
        let (_parent, run) = run();
        let (folder, group) = Folder::open(&run, &Trust::default()).unwrap();
        assert_eq!((folder.read("definitions/scenarios/a.yaml").unwrap(), group), (b"a: 1\n".to_vec(), None));
        let mode = |path: &str| fs::metadata(run.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(""), mode("definitions/scenarios"), mode("journal.jsonl")), (0o700, 0o700, 0o600));
        for name in ["../x", "/etc/passwd", "", "a/../../x"] {
            assert_eq!(folder.write(name, b"").unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn a_link_anywhere_is_refused_and_nothing_behind_it_is_touched() {
        let (parent, run) = run();
        let victim = parent.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, run.join("report.en.md")).unwrap();
        assert!(refused(&run).contains("report.en.md is a link"));
        // Whoever exchanges it after the look is not served either.
        let folder = Folder::at(&run).unwrap();
        folder.write("report.en.md", b"report").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(!run.join("report.en.md").is_symlink());
        symlink(&victim, run.join("samples-1.arrows")).unwrap();
        assert!(is_stranger(&folder.file("samples-1.arrows", OFlags::RDONLY).unwrap_err()));
        folder.replaced("samples-1.arrows").unwrap().write_all(b"rows").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        fs::create_dir(parent.path().join("elsewhere")).unwrap();
        fs::remove_dir_all(run.join("definitions")).unwrap();
        symlink(parent.path().join("elsewhere"), run.join("definitions")).unwrap();
        assert!(refused(&run).contains("definitions is a link"));
        assert!(folder.write("definitions/a.yaml", b"x").is_err());
        assert_eq!(fs::read_dir(parent.path().join("elsewhere")).unwrap().count(), 0);
        symlink(&run, parent.path().join("alias")).unwrap();
        assert!(refused(&parent.path().join("alias")).contains("the folder is a link"));
    }

    #[test]
    fn a_second_name_in_a_folder_that_others_write_is_refused() {
        let (parent, run) = run();
        let victim = parent.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        fs::hard_link(&victim, run.join("plan.json")).unwrap();
        Folder::open(&run, &Trust::default()).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refused(&run).contains("plan.json has a second name"));
    }

    #[test]
    fn what_is_somebody_elses_is_refused_unless_its_group_is_named() {
        let (_parent, run) = run();
        let group = fs::metadata(&run).unwrap().gid();
        // Only root can give files away; everybody else can look at what root owns.
        if !getuid().is_root() {
            assert!(refused(Path::new("/etc")).contains("belongs to root"));
            return;
        }
        std::os::unix::fs::chown(run.join("definitions/scenarios/a.yaml"), Some(65534), None).unwrap();
        assert!(refused(&run).contains("definitions/scenarios/a.yaml belongs to user id 65534"));
        let shared = Trust::with_groups([("staging".to_owned(), group)]);
        assert_eq!(Folder::open(&run, &shared).unwrap().1, Some(group));
        assert_eq!(Trust::with_groups([("staging".to_owned(), 4_000_000)]).group_of("staging"), None, "the caller is no member");
    }

    #[test]
    fn a_shared_folder_lets_its_group_in_and_nobody_else() {
        let parent = tempfile::tempdir().unwrap();
        let run = parent.path().join("run");
        let group = getegid().as_raw();
        Folder::make(&run, Some(group)).unwrap().write("definitions/a.yaml", b"a: 1\n").unwrap();
        let mode = |path: &str| fs::metadata(run.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(""), mode("definitions"), mode("definitions/a.yaml")), (0o2770, 0o2770, 0o660));
        let (folder, _) = Folder::open(&run, &Trust::with_groups([("staging".to_owned(), group)])).unwrap();
        folder.write("report.en.md", b"x").unwrap();
        assert_eq!(mode("report.en.md"), 0o660, "who comes later keeps it shared");
    }

    #[test]
    fn a_new_file_never_takes_a_name_that_is_there() {
        let (_parent, run) = run();
        let folder = Folder::at(&run).unwrap();
        assert!(folder.write_new("lab.halted", b"one").unwrap());
        assert!(!folder.write_new("lab.halted", b"two").unwrap());
        assert_eq!(folder.read("lab.halted").unwrap(), b"one");
        assert_eq!(folder.names().unwrap().len(), 3, "nothing is left beside: {:?}", folder.names());
    }
}
