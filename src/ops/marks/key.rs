//! The key with which the marks of an environment are signed: named in the project file, or a file of this user's, made when it is first needed.

use std::io;
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::OFlags;

use super::signing::Signer;
use crate::engine::secrets;
use crate::journal::Trust;
use crate::model::project::EnvironmentFile;
use crate::ops::environment::Environment;
use crate::ops::exit::{Exit, Kind};
use crate::ops::places::{self, Spot};
use crate::ports::secrets as masked;

/// Where the key of an environment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MarksKey {
    /// In a file of this user's.
    #[default]
    Own,
    /// Where the project file says: `env:NAME` or `file:PATH`.
    Named(String),
    /// In this process, which its clouds are part of.
    Process,
}

impl MarksKey {
    /// As an environment is written.
    #[must_use]
    pub fn of(file: &EnvironmentFile) -> Self {
        file.marks.as_ref().map_or(Self::Own, |marks| Self::Named(marks.key.secret.clone()))
    }
}

/// The files of keys end so.
const EXTENSION: &str = "marks-key";

/// Signs the marks of `environment`; its key is made if this user has none.
///
/// # Errors
/// When there is no key and none can be made.
pub fn signer(environment: &Environment) -> Result<Signer, Exit> {
    let key = match &environment.marks_key {
        MarksKey::Own => own(&environment.name).and_then(|found| found.map_or_else(|| make(&environment.name), Ok)),
        _ => key(environment),
    };
    key.and_then(|key| of(&key, environment)).map_err(|why| {
        Exit::new(
            Kind::Environment,
            format!("the marks of a fault in environment {} could not be signed: {why}; nothing was changed", environment.name),
        )
        .hint("`marks: { key: { secret: \"file:PATH\" } }` of the environment names a key of yours; `openssl rand -hex 32` makes one")
    })
}

/// Whether the marks of a drill could be signed, as far as that can be told without making a key.
///
/// # Errors
/// As [`signer`].
pub fn can_sign(environment: &Environment) -> Result<(), Exit> {
    match environment.marks_key {
        MarksKey::Named(_) => signer(environment).map(drop),
        MarksKey::Own | MarksKey::Process => Ok(()),
    }
}

/// Tells the marks of `environment` from others; makes no key.
///
/// # Errors
/// Why that cannot be told.
pub fn checker(environment: &Environment) -> Result<Signer, String> {
    of(&key(environment)?, environment)
}

fn of(key: &str, environment: &Environment) -> Result<Signer, String> {
    if environment.marks_key == MarksKey::Process {
        return Ok(Signer::of_process(&environment.settings));
    }
    // Whatever quotes it does not show it.
    masked::keep(key);
    Signer::new(key.as_bytes(), &environment.settings).map_err(|why| match &environment.marks_key {
        MarksKey::Named(place) => format!("`{place}` is no key: {why}"),
        _ => why,
    })
}

fn key(environment: &Environment) -> Result<String, String> {
    match &environment.marks_key {
        MarksKey::Process => Ok(String::new()),
        MarksKey::Named(place) => secrets::text_at(place).map_err(|why| format!("secret `{place}`: {why}")),
        MarksKey::Own => own(&environment.name)?.ok_or_else(|| {
            format!("this user has no key of environment {} here; `marks.key` of the environment names the one that its drills use", environment.name)
        }),
    }
}

/// The key of this user's, in the folder where it is made.
fn own(environment: &str) -> Result<Option<String>, String> {
    let Some(spot) = places::of_user(environment, EXTENSION) else { return Ok(None) };
    match read(&spot) {
        Ok(key) => Ok(Some(key)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("{}: {error}", spot.path().display())),
    }
}

fn read(spot: &Spot) -> io::Result<String> {
    let folder = spot.open(&Trust::default())?;
    let about = folder.file(&spot.name, OFlags::RDONLY)?.metadata()?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others may read or write this key; make a new one, or `chmod 600` it if nobody has",
        ));
    }
    let bytes = folder.read(&spot.name)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned())
}

/// A new key, in the first folder of this user's that can be had. Whoever makes one at the same time makes the same.
fn make(environment: &str) -> Result<String, String> {
    let spot = places::of_user(environment, EXTENSION).ok_or("this user has no folder for a key")?;
    let failed = |error: io::Error| format!("{}: {error}", spot.path().display());
    let folder = spot.make(&Trust::default(), environment).map_err(failed)?;
    let key = hex::encode(rand::random::<[u8; 32]>());
    folder.write_new(&spot.name, format!("{key}\n").as_bytes()).map_err(failed)?;
    read(&spot).map_err(failed)
}
