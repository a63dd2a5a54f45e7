//! Reads files that people wrote: bounded, never from a pipe or a device, with a digest of what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tracing::info;

use crate::model::diagnostic::{Diagnostic, Source};
use crate::model::plan::Definition;
use crate::model::yaml::{self, Document, MAX_BYTES};

/// A file that was read and understood as YAML.
#[derive(Debug)]
pub struct Loaded {
    /// Where it is, without `.` and `..`.
    pub path: PathBuf,
    /// The text and its tree.
    pub doc: Document,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// A file that could not be opened or must not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Why, to go after the file's name.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why a file gave no tree.
#[derive(Clone, Debug)]
pub enum LoadError {
    /// It could not be read: told where the file is named.
    Unreadable(Unreadable),
    /// Its text is wrong: told where in the text.
    Text(Diagnostic),
}

impl LoadError {
    /// As a problem of the file itself, for a file named on the command line.
    #[must_use]
    pub fn of(self, path: &Path) -> Diagnostic {
        match self {
            Self::Text(problem) => problem,
            Self::Unreadable(why) => Diagnostic::new(&Source::new(shown(path), ""), 0..0, why.message).maybe_hint(why.hint),
        }
    }
}

/// The files of one command; each is read once.
#[derive(Debug, Default)]
pub struct Files {
    loaded: BTreeMap<PathBuf, Result<Rc<Loaded>, LoadError>>,
    used: BTreeSet<PathBuf>,
    /// Whether nothing but what is loaded exists.
    is_closed: bool,
}

impl Files {
    /// Files that are given, not read: there are no others, and the disk is left alone.
    pub fn given(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        let loaded = files.into_iter().map(|(path, bytes)| {
            let path = normal(&path);
            let file = understand(&path, bytes).map(Rc::new);
            (path, file)
        });
        Self { loaded: loaded.collect(), used: BTreeSet::new(), is_closed: true }
    }

    /// The file at `path`, read now or before.
    ///
    /// # Errors
    /// When it cannot be read or is not YAML.
    pub fn load(&mut self, path: &Path) -> Result<Rc<Loaded>, LoadError> {
        let path = normal(path);
        self.used.insert(path.clone());
        if let Some(known) = self.loaded.get(&path) {
            return known.clone();
        }
        if self.is_closed {
            return Err(LoadError::Unreadable(absent()));
        }
        self.load_from(path.clone(), path)
    }

    /// The file at `path`, which must lie inside of one of `roots`, links resolved. Of one that does not, nothing is read or told.
    ///
    /// # Errors
    /// As [`Files::load`], and when it lies elsewhere.
    pub fn load_inside(&mut self, path: &Path, roots: &[&Path]) -> Result<Rc<Loaded>, LoadError> {
        let path = normal(path);
        if self.is_closed || self.loaded.contains_key(&path) {
            return self.load(&path);
        }
        self.used.insert(path.clone());
        let real = inside(&path, roots).map_err(LoadError::Unreadable)?;
        self.load_from(path, real)
    }

    /// The file that a person named, in the project at `root` or elsewhere; a link in it must not lead out of both.
    ///
    /// # Errors
    /// As [`Files::load_inside`].
    pub fn load_named(&mut self, path: &Path, root: &Path) -> Result<Rc<Loaded>, LoadError> {
        self.load_inside(path, &[root, folder_of(path)])
    }

    fn load_from(&mut self, path: PathBuf, real: PathBuf) -> Result<Rc<Loaded>, LoadError> {
        let result = read(&real).map_err(LoadError::Unreadable).and_then(|bytes| understand(&path, bytes)).map(Rc::new);
        self.loaded.insert(path, result.clone());
        result
    }

    /// The names of what is in a folder, as far as that is of use for a hint.
    pub(crate) fn names_in(&self, folder: &Path) -> Vec<String> {
        if self.is_closed {
            let here = self.loaded.keys().filter(|path| path.parent() == Some(&normal(folder)));
            return here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().take(1000);
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// Forgets which files were used, not what they hold.
    pub fn begin(&mut self) {
        self.used.clear();
    }

    /// The files used since [`Files::begin`] and `more`, in order of their names, which are relative to `root` where they are below it.
    #[must_use]
    pub fn definitions<'a>(&'a self, root: &Path, more: impl IntoIterator<Item = &'a Loaded>) -> Vec<Definition> {
        let root = absolute(root);
        let used = self.used.iter().filter_map(|path| self.loaded.get(path)?.as_deref().ok());
        let mut all: Vec<Definition> = used
            .chain(more)
            .map(|file| {
                let full = absolute(&file.path);
                let path = full.strip_prefix(&root).unwrap_or(&file.path).display().to_string();
                Definition { path, sha256: file.sha256.clone() }
            })
            .collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup();
        all
    }
}

/// The folder that a file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path without any link of what lies inside of one of `roots`. What is said to lie elsewhere is not even looked for.
fn inside(path: &Path, roots: &[&Path]) -> Result<PathBuf, Unreadable> {
    let roots: Vec<PathBuf> = roots.iter().flat_map(|root| [Some(absolute(root)), root.canonicalize().ok()]).flatten().collect();
    let is_inside = |path: &Path| roots.iter().any(|root| path.starts_with(root));
    let outside = || Unreadable { message: OUTSIDE.to_owned(), hint: Some(INSIDE.to_owned()) };
    if !is_inside(&absolute(path)) {
        return Err(outside());
    }
    match path.canonicalize() {
        Ok(real) if is_inside(&real) => Ok(real),
        Ok(_) => Err(outside()),
        // Reading it tells what is wrong with it.
        Err(_) if std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) => Err(outside()),
        Err(_) => Ok(path.to_owned()),
    }
}

/// Why a file that lies elsewhere is not read.
pub(crate) const OUTSIDE: &str = "it lies outside of the project, so it is not read";
const INSIDE: &str = "what definitions name lies below the folder of lifeboat.yaml, wherever links lead";

fn absent() -> Unreadable {
    Unreadable { message: "no such file".to_owned(), hint: Some("check the path".to_owned()) }
}

fn understand(path: &Path, bytes: Vec<u8>) -> Result<Loaded, LoadError> {
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let source = text(&shown(path), bytes).map_err(LoadError::Text)?;
    let doc = yaml::parse(&source).map_err(LoadError::Text)?;
    Ok(Loaded { path: path.to_owned(), doc, sha256 })
}

/// As [`Files::load`], of a file whose text may be wrong: blocks that are no YAML by themselves are left out, and what is wrong comes beside the rest. For
/// those who must not be kept by a mistake that is elsewhere.
///
/// # Errors
/// When it cannot be read, or nothing of it can.
pub(crate) fn load_whole_blocks(path: &Path) -> Result<(Loaded, Option<Diagnostic>), LoadError> {
    let real = inside(path, &[folder_of(path)]).map_err(LoadError::Unreadable)?;
    understand_whole_blocks(&normal(path), read(&real).map_err(LoadError::Unreadable)?)
}

/// The same of bytes that are at hand.
///
/// # Errors
/// When nothing of them can be read.
pub(crate) fn understand_whole_blocks(path: &Path, bytes: Vec<u8>) -> Result<(Loaded, Option<Diagnostic>), LoadError> {
    let wrong = match understand(path, bytes.clone()) {
        Ok(loaded) => return Ok((loaded, None)),
        Err(LoadError::Text(wrong)) => wrong,
        Err(error) => return Err(error),
    };
    let cut = whole_blocks(&String::from_utf8_lossy(&bytes));
    let source = Source::new(shown(path), cut);
    let doc = yaml::parse(&source).map_err(|_| LoadError::Text(wrong.clone()))?;
    Ok((Loaded { path: path.to_owned(), doc, sha256: hex::encode(Sha256::digest(&bytes)) }, Some(wrong)))
}

/// The text with blanks in the place of every block that is no YAML by itself: a key at the margin with what is under it, or one of the keys under it.
fn whole_blocks(text: &str) -> String {
    let is_yaml = |text: &str| yaml::parse(&Source::new("", text)).is_ok();
    let blank = |text: &str| text.chars().map(|c| if c == '\n' { c } else { ' ' }).collect::<String>();
    let mut out = String::new();
    for block in blocks(text, 0) {
        if is_yaml(block) {
            out.push_str(block);
            continue;
        }
        let (head, body) = block.split_at(block.find('\n').map_or(block.len(), |at| at + 1));
        let is_text = |line: &&str| !line.trim_start().is_empty() && !line.trim_start().starts_with('#');
        let indent = body.lines().find(is_text).map_or(0, |line| line.len() - line.trim_start().len());
        let kept: Vec<(&str, bool)> = blocks(body, indent).into_iter().map(|part| (part, indent > 0 && is_yaml(&format!("{head}{part}")))).collect();
        let any = kept.iter().any(|(_, whole)| *whole);
        out.push_str(&if any { head.to_owned() } else { blank(head) });
        kept.into_iter().for_each(|(part, whole)| out.push_str(&if whole { part.to_owned() } else { blank(part) }));
    }
    out
}

/// The text in pieces, each from a line that begins at this column to the next.
fn blocks(text: &str, indent: usize) -> Vec<&str> {
    let begins = |line: &str| {
        let rest = line.trim_start_matches(' ');
        line.len() - rest.len() == indent && rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '"' | '\'' | '_'))
    };
    let (mut found, mut from, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        if begins(line) && at > from {
            found.push(&text[from..at]);
            from = at;
        }
        at += line.len();
    }
    found.push(&text[from..]);
    found
}

/// The bytes of a regular file of at most [`MAX_BYTES`].
///
/// # Errors
/// When it is missing, is not a regular file, is larger, or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let read = read_whole(path);
    match &read {
        Ok(bytes) => info!(path = %path.display(), bytes = bytes.len(), "file read"),
        Err(why) => info!(path = %path.display(), why = why.message, "file not read"),
    }
    read
}

fn read_whole(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let refuse = |message: String, hint: Option<&str>| Unreadable { message, hint: hint.map(str::to_owned) };
    let failed = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => absent(),
        std::io::ErrorKind::PermissionDenied => refuse("the file may not be read".to_owned(), Some("check its permissions")),
        _ => refuse(format!("the file cannot be read: {error}"), Some("check the disk and the path")),
    };
    let check = |meta: &std::fs::Metadata| {
        if meta.is_dir() {
            return Err(refuse("a folder, not a file".to_owned(), Some("name a file in it")));
        }
        if !meta.is_file() {
            return Err(refuse("not a regular file".to_owned(), Some("pipes and devices are not read")));
        }
        let size = meta.len();
        if size > MAX_BYTES as u64 {
            Err(refuse(format!("the file has {size} bytes; at most {MAX_BYTES} are read"), Some("is this the right file?")))
        } else {
            Ok(())
        }
    };
    // Before opening, as opening a device can do things; and after, as it may have been exchanged. Opening never waits for a pipe's other end.
    check(&std::fs::metadata(path).map_err(|error| failed(&error))?)?;
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| failed(&error))?;
    let meta = file.metadata().map_err(|error| failed(&error))?;
    check(&meta)?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() > MAX_BYTES {
        return Err(refuse(format!("the file has more than {MAX_BYTES} bytes"), Some("is this the right file?")));
    }
    Ok(bytes)
}

/// Bytes as text.
///
/// # Errors
/// At the first byte that is not UTF-8.
pub fn text(name: &str, bytes: Vec<u8>) -> Result<Arc<Source>, Diagnostic> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
            let byte = error.as_bytes().get(at).copied().unwrap_or(0);
            let source = Source::new(name, String::from_utf8_lossy(error.as_bytes()));
            let hint = if utf16 { "it looks like UTF-16; save it as UTF-8" } else { "save the file as UTF-8" };
            Err(Diagnostic::new(&source, at..at + '\u{fffd}'.len_utf8(), format!("the byte 0x{byte:02x} is not UTF-8")).hint(hint))
        }
    }
}

/// A path without `.` and `..`, by its words alone.
#[must_use]
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    if normal.as_os_str().is_empty() { PathBuf::from(".") } else { normal }
}

/// A path from the root of the file system, without `.` and `..`.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    normal(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// A path as people should see it: relative to the working directory where it is below it.
#[must_use]
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = normal(path);
    path.strip_prefix(&here).unwrap_or(&path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_no_yaml_takes_no_other_with_it() {
        let text = "lifeboat: 1\nzone: \"Asia\nenvironments:\n  one:\n    vars: { a: 1\n  # said of two\n  two: { vars: { b: 2 } }\nprobes: {}\n";
        let cut = whole_blocks(text);
        assert_eq!(cut.len(), text.len(), "every place stays where it is");
        assert_eq!(cut.split_whitespace().collect::<Vec<_>>().join(" "), "lifeboat: 1 environments: two: { vars: { b: 2 } } probes: {}");
        assert_eq!(whole_blocks("a: 1\nb: [2]\n"), "a: 1\nb: [2]\n");
        assert_eq!(whole_blocks("{ a: 1").trim(), "");
    }

    #[test]
    fn paths_lose_their_dots() {
        assert_eq!(normal(Path::new("scenarios/../runbooks/./a.yaml")), Path::new("runbooks/a.yaml"));
        assert_eq!(normal(Path::new("../a/../../b")), Path::new("../../b"));
        assert_eq!(normal(Path::new("/a/../b")), Path::new("/b"));
        assert_eq!(normal(Path::new("a/..")), Path::new("."));
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(read(&at("absent")).unwrap_err().message, "no such file");
        assert_eq!(read(folder.path()).unwrap_err().message, "a folder, not a file");
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().message, "not a regular file");
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert_eq!(read(&at("pipe")).unwrap_err().message, "not a regular file");
        // Sparse: nothing of it is read.
        std::fs::File::create(at("large")).unwrap().set_len(100 << 20).unwrap();
        assert_eq!(read(&at("large")).unwrap_err().message, "the file has 104857600 bytes; at most 8388608 are read");
    }

    #[test]
    fn what_lies_outside_is_not_read_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        std::fs::create_dir_all(root.join("runbooks")).unwrap();
        std::fs::write(folder.path().join("secret.yaml"), "root: x\n").unwrap();
        std::fs::write(root.join("runbooks/own.yaml"), "a: 1\n").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret.yaml"), root.join("link.yaml")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("up")).unwrap();
        std::os::unix::fs::symlink(root.join("runbooks/own.yaml"), root.join("own-link.yaml")).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", root.join("dangling.yaml")).unwrap();
        let outside = |name: &str| match Files::default().load_inside(&root.join(name), &[&root]) {
            Err(LoadError::Unreadable(why)) => why.message == OUTSIDE,
            _ => false,
        };
        for name in ["../secret.yaml", "link.yaml", "up/secret.yaml", "/etc/passwd", "dangling.yaml", "runbooks/../../secret.yaml", "../absent.yaml"]
        {
            assert!(outside(name), "{name}");
        }
        for name in ["runbooks/own.yaml", "own-link.yaml", "runbooks/../runbooks/own.yaml"] {
            assert!(Files::default().load_inside(&root.join(name), &[&root]).is_ok(), "{name}");
        }
        assert!(Files::default().load_named(&folder.path().join("secret.yaml"), &root).is_ok(), "whoever names a file may read it");
        assert!(Files::default().load_named(&root.join("link.yaml"), &root).is_err(), "unless it is led elsewhere");
    }

    #[test]
    fn what_is_not_utf_8_is_told_where() {
        assert_eq!(text("t", b"a: 1\nb: \xff\n".to_vec()).unwrap_err().to_string(), "t:2:4: the byte 0xff is not UTF-8");
        assert_eq!(text("t", b"\xff\xfea\0".to_vec()).unwrap_err().hint.unwrap(), "it looks like UTF-16; save it as UTF-8");
    }
}
