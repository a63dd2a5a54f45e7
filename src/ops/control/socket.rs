//! Where the socket of a run is: in the run's own folder, or, where that path is too long for a socket, in a private folder of this user.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::model::chain;

/// Name of the socket in a run's folder.
const SOCKET: &str = "ctl.sock";
/// Name of the file that says where the socket is, if it is elsewhere.
const ELSEWHERE: &str = "ctl.path";
/// The longest path of a socket: `sun_path` has 108 bytes, one of them for its end.
const LONGEST: usize = 107;

/// An open socket; the files end with the value.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    files: Vec<PathBuf>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        for file in &self.files {
            // What stays is a socket that nobody answers at.
            let _ = fs::remove_file(file);
        }
    }
}

/// Opens the socket of the run in `folder`. Only its owner may: the journal's lock says who that is.
pub(super) fn open(folder: &Path) -> io::Result<Socket> {
    let folder = std::path::absolute(folder)?;
    let pointer = folder.join(ELSEWHERE);
    remove_former(&pointer)?;
    is_private(&folder).or_else(|error| if is_shared(&folder) { Ok(()) } else { Err(error) })?;
    let here = folder.join(SOCKET);
    match bind(&here) {
        Ok(listener) => Ok(Socket { listener, files: vec![here] }),
        // Too long, or a file system without sockets.
        Err(_) => {
            let there = private_folder()?.join(name(&folder));
            let listener = bind(&there)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&pointer)?;
            file.write_all(there.as_os_str().as_encoded_bytes())?;
            Ok(Socket { listener, files: vec![there, pointer] })
        }
    }
}

/// Connects to the socket of the run in `folder`.
pub(super) fn connect(folder: &Path) -> io::Result<UnixStream> {
    let folder = std::path::absolute(folder)?;
    if !fs::exists(folder.join(ELSEWHERE))? {
        return UnixStream::connect(folder.join(SOCKET));
    }
    // What the file says is where it must be anyway: nobody is led elsewhere by it.
    UnixStream::connect(private_folder()?.join(name(&folder)))
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if path.as_os_str().len() > LONGEST {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    remove_former(path)?;
    let listener = UnixListener::bind(path)?;
    // The folder lets nobody else in already.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A former owner of the run may have been killed.
fn remove_former(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Different for every run on this machine, and the same for all who look for it.
fn name(folder: &Path) -> String {
    format!("{}.sock", &chain::sha256(folder.as_os_str().as_encoded_bytes())[..32])
}

/// `$XDG_RUNTIME_DIR/lifeboat`, else `/tmp/lifeboat-UID`: this user's and nobody else's.
fn private_folder() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute() && is_private(folder).is_ok());
    let folder =
        runtime.map_or_else(|| PathBuf::from(format!("/tmp/lifeboat-{}", rustix::process::getuid().as_raw())), |runtime| runtime.join("lifeboat"));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    is_private(&folder)?;
    Ok(folder)
}

/// Whether `folder` is a folder of this user that lets nobody else in. A link to one is not.
fn is_private(folder: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(folder)?;
    let is = about.is_dir() && about.uid() == rustix::process::getuid().as_raw() && about.mode() & 0o077 == 0;
    let refused = || io::Error::new(io::ErrorKind::PermissionDenied, format!("{} is not a folder of this user alone", folder.display()));
    is.then_some(()).ok_or_else(refused)
}

/// Whether a run's folder is shared with its group, which the environment names, and with nobody else. The socket is its owner's all the same.
fn is_shared(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir() && about.mode() & 0o2077 == 0o2070)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_folder(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        DirBuilder::new().mode(0o700).recursive(true).create(&folder).unwrap();
        folder
    }

    #[test]
    fn a_socket_is_the_owners_alone_and_goes_with_the_value() {
        let parent = tempfile::tempdir().unwrap();
        let folder = run_folder(parent.path(), "run");
        let socket = open(&folder).unwrap();
        let mode = fs::metadata(folder.join(SOCKET)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        connect(&folder).unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert!(connect(&folder).is_err());
    }

    #[test]
    fn the_socket_of_a_killed_owner_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = run_folder(parent.path(), "run");
        std::mem::forget(open(&folder).unwrap());
        let _again = open(&folder).unwrap();
        connect(&folder).unwrap();
    }

    #[test]
    fn a_long_path_has_its_socket_elsewhere() {
        let parent = tempfile::tempdir().unwrap();
        let folder = run_folder(parent.path(), &"long".repeat(40));
        let socket = open(&folder).unwrap();
        let said = fs::read_to_string(folder.join(ELSEWHERE)).unwrap();
        assert!(said.len() <= LONGEST && fs::metadata(&said).unwrap().mode() & 0o777 == 0o600, "{said}");
        connect(&folder).unwrap();
        drop(socket);
        assert!(!Path::new(&said).exists() && !folder.join(ELSEWHERE).exists());
    }

    #[test]
    fn a_folder_that_others_may_enter_gets_no_socket() {
        let parent = tempfile::tempdir().unwrap();
        let folder = run_folder(parent.path(), "run");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(open(&folder).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
