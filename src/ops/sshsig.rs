//! Signatures made by `ssh-keygen -Y sign` and by agents: the armour, what in it is signed, and whether a listed key has signed it.
//!
//! The form is that of `PROTOCOL.sshsig` of OpenSSH; keys are `ssh-ed25519`, which every agent has. Verifying needs no OpenSSH.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256, Sha512};

/// What a signature for Lifeboat is for: one made for something else is none.
pub const NAMESPACE: &str = "lifeboat-approval";

const MAGIC: &[u8] = b"SSHSIG";
const KIND: &str = "ssh-ed25519";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// The longest armour that is looked at.
const LONGEST: usize = 8 << 10;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The 32 bytes of Ed25519.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Reads a line as it stands in `id_ed25519.pub`: kind, base64, perhaps a comment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (kind, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if kind != KIND {
            return Err(format!("write the line of an Ed25519 public key, such as `{KIND} AAAA…`"));
        }
        let blob = STANDARD.decode(base64).map_err(|_| "the key is not base64".to_owned())?;
        Self::of_blob(&blob)
    }

    fn of_blob(blob: &[u8]) -> Result<Self, String> {
        let mut rest = blob;
        let broken = || "the key is not whole".to_owned();
        let kind = string(&mut rest).ok_or_else(broken)?;
        if kind != KIND.as_bytes() {
            return Err(format!("it is not a key of the kind {KIND}"));
        }
        let bytes = string(&mut rest).filter(|bytes| bytes.len() == 32 && rest.is_empty()).ok_or_else(broken)?;
        Ok(Self { bytes: bytes.to_vec() })
    }

    /// Its fingerprint, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut blob = Vec::new();
        put(&mut blob, KIND.as_bytes());
        put(&mut blob, &self.bytes);
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob)))
    }
}

/// The key that made `armoured` over `message`.
///
/// # Errors
/// Why it is no signature of this message.
pub fn signer(armoured: &str, message: &[u8]) -> Result<PublicKey, String> {
    let broken = || "it is not an SSH signature".to_owned();
    if armoured.len() > LONGEST {
        return Err(broken());
    }
    let inner = armoured.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or_else(broken)?;
    let base64: String = inner.split_whitespace().collect();
    let blob = STANDARD.decode(base64).map_err(|_| broken())?;
    let mut rest = blob.strip_prefix(MAGIC).ok_or_else(broken)?;
    let version = take(&mut rest, 4).ok_or_else(broken)?;
    let key = string(&mut rest).ok_or_else(broken)?;
    let namespace = string(&mut rest).ok_or_else(broken)?;
    let reserved = string(&mut rest).ok_or_else(broken)?;
    let algorithm = string(&mut rest).ok_or_else(broken)?;
    let mut signature = string(&mut rest).filter(|_| rest.is_empty()).ok_or_else(broken)?;
    if version != [0, 0, 0, 1] {
        return Err("its version is not known".into());
    }
    if namespace != NAMESPACE.as_bytes() {
        return Err(format!("it was made for something else: sign with `-n {NAMESPACE}`"));
    }
    let hash = match algorithm {
        b"sha512" => Sha512::digest(message).to_vec(),
        b"sha256" => Sha256::digest(message).to_vec(),
        _ => return Err("its hash algorithm is neither sha512 nor sha256".into()),
    };
    let key = PublicKey::of_blob(key)?;
    let kind = string(&mut signature).ok_or_else(broken)?;
    let bytes = string(&mut signature).filter(|_| signature.is_empty()).ok_or_else(broken)?;
    if kind != KIND.as_bytes() {
        return Err(format!("it is not of the kind {KIND}"));
    }
    let signed = signed(namespace, reserved, algorithm, &hash);
    UnparsedPublicKey::new(&ED25519, &key.bytes).verify(&signed, bytes).map_err(|_| "it is not of this text".to_owned())?;
    Ok(key)
}

/// The bytes over which the key signs.
fn signed(namespace: &[u8], reserved: &[u8], algorithm: &[u8], hash: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    [namespace, reserved, algorithm, hash].into_iter().for_each(|part| put(&mut bytes, part));
    bytes
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

/// A string of SSH: its length, then its bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
    take(rest, usize::try_from(length).ok()?)
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    // Parts are far shorter than 4 GiB.
    bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(part);
}

/// Has `ssh-keygen` sign: `key` is a private key, or a public one whose private half an agent holds. Whatever it asks, it asks on the terminal.
///
/// # Errors
/// When it cannot be run or does not sign.
pub fn sign(key: &Path, message: &[u8]) -> Result<String, String> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("ssh-keygen cannot be run: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(message).map_err(|error| format!("ssh-keygen does not listen: {error}"))?;
    }
    let ended = child.wait_with_output().map_err(|error| format!("ssh-keygen was lost: {error}"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    if !ended.status.success() {
        return Err(format!("ssh-keygen did not sign: {last}"));
    }
    String::from_utf8(ended.stdout).map_err(|_| "ssh-keygen gave no text".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    /// A key made from a seed, and its public line.
    pub(crate) fn key(seed: u8) -> (Ed25519KeyPair, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let mut blob = Vec::new();
        put(&mut blob, KIND.as_bytes());
        put(&mut blob, pair.public_key().as_ref());
        let line = format!("{KIND} {} somebody", STANDARD.encode(blob));
        (pair, line)
    }

    /// As `ssh-keygen -Y sign` does it.
    pub(crate) fn signature(pair: &Ed25519KeyPair, namespace: &str, message: &[u8]) -> String {
        let (mut key, mut own, mut blob) = (Vec::new(), Vec::new(), MAGIC.to_vec());
        put(&mut key, KIND.as_bytes());
        put(&mut key, pair.public_key().as_ref());
        let bytes = pair.sign(&signed(namespace.as_bytes(), b"", b"sha512", &Sha512::digest(message)));
        put(&mut own, KIND.as_bytes());
        put(&mut own, bytes.as_ref());
        blob.extend([0, 0, 0, 1]);
        [&key[..], namespace.as_bytes(), b"", b"sha512", &own].into_iter().for_each(|part| put(&mut blob, part));
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(blob))
    }

    #[test]
    fn a_signature_names_the_key_that_made_it_over_this_text_for_this_purpose() {
        let (pair, line) = key(7);
        let public = PublicKey::read(&line).unwrap();
        let good = signature(&pair, NAMESPACE, b"go");
        assert_eq!(signer(&good, b"go"), Ok(public.clone()));
        assert!(public.fingerprint().starts_with("SHA256:"));
        assert!(signer(&good, b"no").unwrap_err().contains("not of this text"));
        assert!(signer(&signature(&pair, "git", b"go"), b"go").unwrap_err().contains("made for something else"));
        assert_ne!(signer(&signature(&key(8).0, NAMESPACE, b"go"), b"go"), Ok(public));
    }

    #[test]
    fn what_is_no_signature_is_told_and_breaks_nothing() {
        let good = signature(&key(7).0, NAMESPACE, b"go");
        for wrong in ["", "x", BEGIN, &good[..good.len() / 2], &good.replace("\n", "!"), &"A".repeat(20_000)] {
            assert!(signer(wrong, b"go").is_err(), "{wrong}");
        }
        let blob = STANDARD.decode(good.lines().nth(1).unwrap()).unwrap();
        for cut in 0..blob.len() {
            let cut = format!("{BEGIN}\n{}\n{END}", STANDARD.encode(&blob[..cut]));
            assert!(signer(&cut, b"go").is_err());
        }
        for byte in 0..blob.len() {
            let mut other = blob.clone();
            other[byte] ^= 1;
            let other = signer(&format!("{BEGIN}\n{}\n{END}", STANDARD.encode(&other)), b"go");
            assert_ne!(other, PublicKey::read(&key(7).1), "bit {byte}");
        }
        for wrong in ["", "ssh-rsa AAAA", "ssh-ed25519", "ssh-ed25519 ////", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"] {
            assert!(PublicKey::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_ssh_keygen_signs_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).output();
        // Where there is no OpenSSH, the test above has to do.
        let Ok(made) = made else { return };
        assert!(made.status.success(), "{made:?}");
        let public = PublicKey::read(&std::fs::read_to_string(path.with_extension("pub")).unwrap()).unwrap();
        let armoured = sign(&path, b"a text\n").unwrap();
        assert_eq!(signer(&armoured, b"a text\n"), Ok(public));
    }
}
