//! Signatures of marks. Whoever may write tags may write any mark; only whoever has the environment's key can make one that a reaper acts upon.
//!
//! A signature is over everything that the mark says, the environment, and the object that it is on with its account and region: it holds neither for other
//! words nor on another object. It is half of an HMAC-SHA256, as `lifeboat:signed`: `KEY.MAC`, where `KEY` only tells one key from another.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::writing::{SIGNED, Words};
use crate::engine::lease::Anchor;
use crate::ports::Cloud;
use crate::ports::tags::TagMap;
use crate::world::settings::{CloudSettings, Settings};

/// What else is signed with such a key is signed for something else.
const PURPOSE: &str = "lifeboat-mark-signature/v1";
/// Bytes of the HMAC that are kept: 128 bits.
const KEPT: usize = 16;
/// Fewer characters are no key.
const SHORTEST: usize = 16;

/// Signs the marks of an environment and tells whether they are its own.
#[derive(Clone)]
pub struct Signer {
    key: Vec<u8>,
    /// What tells this key from others, and nothing of it.
    name: String,
    environment: String,
    /// Account and region of each cloud.
    homes: BTreeMap<Cloud, (String, String)>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key", &self.name).field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// Why a mark is not acted upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// It has no signature.
    #[error("it is not signed: an earlier Lifeboat made it, or somebody who may write tags")]
    Missing,
    /// There is no key here.
    #[error("its signature cannot be checked: {0}")]
    NoKey(String),
    /// It may be good for somebody else.
    #[error("it is signed with the key {theirs}, not with {ours}, that of environment {environment} here")]
    OtherKey {
        /// Which key made it, if that is true.
        theirs: String,
        /// Which key is here.
        ours: String,
        /// The environment.
        environment: String,
    },
    /// It was made for other words, or for another object.
    #[error("its signature is not of this mark on this object: it was altered, or copied from elsewhere")]
    Wrong,
}

impl Signer {
    /// Signs for the environment of these settings.
    ///
    /// # Errors
    /// When `key` is too short to be one.
    pub fn new(key: &[u8], settings: &Settings) -> Result<Self, String> {
        if key.len() < SHORTEST {
            return Err(format!("it has {} characters; a key has {SHORTEST} at least (`openssl rand -hex 32` makes one)", key.len()));
        }
        let digest = Sha256::new().chain_update(PURPOSE).chain_update("\0name\0").chain_update(key).finalize();
        let home = |side: &CloudSettings| (side.account.clone().unwrap_or_default(), side.region.clone());
        let sides = [(Cloud::Aws, &settings.aws), (Cloud::Aliyun, &settings.aliyun)];
        Ok(Self {
            key: key.to_vec(),
            name: hex::encode(&digest[..4]),
            environment: settings.environment.clone(),
            homes: sides.into_iter().filter_map(|(cloud, side)| Some((cloud, home(side.as_ref()?)))).collect(),
        })
    }

    /// Signs for a lab that ends with this process, as its marks do.
    #[must_use]
    pub fn of_process(settings: &Settings) -> Self {
        static KEY: OnceLock<[u8; 32]> = OnceLock::new();
        Self::new(KEY.get_or_init(rand::random), settings).expect("it is long enough")
    }

    /// The signature of a mark on an object, as a tag.
    pub(super) fn sign(&self, anchor: &Anchor, words: &Words<'_>) -> (String, String) {
        let mac = self.mac(anchor, words).finalize().into_bytes();
        (SIGNED.to_owned(), format!("{}.{}", self.name, URL_SAFE_NO_PAD.encode(&mac[..KEPT])))
    }

    /// Whether this environment's key has signed the mark that these tags of `anchor` hold. Takes as long whatever is wrong about the signature.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, anchor: &Anchor, words: &Words<'_>, tags: &TagMap) -> Result<(), Unsigned> {
        let signature = tags.get(SIGNED).ok_or(Unsigned::Missing)?;
        let (name, mac) = signature.split_once('.').ok_or(Unsigned::Wrong)?;
        if name != self.name {
            let theirs = name.chars().take(16).collect();
            return Err(Unsigned::OtherKey { theirs, ours: self.name.clone(), environment: self.environment.clone() });
        }
        let mac = URL_SAFE_NO_PAD.decode(mac).ok().filter(|mac| mac.len() == KEPT).ok_or(Unsigned::Wrong)?;
        self.mac(anchor, words).verify_truncated_left(&mac).map_err(|_| Unsigned::Wrong)
    }

    fn mac(&self, anchor: &Anchor, words: &Words<'_>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        let (account, own) = self.homes.get(&anchor.cloud).map_or(("", ""), |(account, region)| (account.as_str(), region.as_str()));
        let region = if anchor.region.is_empty() { own } else { &anchor.region };
        let cloud = anchor.cloud.to_string();
        let Words { run, step, until, data } = *words;
        // Each with its length, so that nothing moves from one into the next.
        for part in [PURPOSE, &self.environment, &cloud, account, region, &anchor.kind, &anchor.id, run, step, until, data] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &str, account: &str, region: &str) -> Settings {
        let side = CloudSettings { account: Some(account.into()), region: region.into(), ..CloudSettings::default() };
        Settings { environment: environment.into(), aws: Some(side), ..Settings::default() }
    }

    fn anchor(region: &str, kind: &str, id: &str) -> Anchor {
        Anchor { cloud: Cloud::Aws, region: region.into(), kind: kind.into(), id: id.into() }
    }

    const WORDS: Words<'_> = Words { run: "run-1", step: "fault", until: "2026-01-01T00:00:00Z", data: "abc" };
    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_signature_holds_for_these_words_on_this_object_of_this_environment_only() {
        let here = settings("prod", "111122223333", "us-east-1");
        let signer = Signer::new(KEY, &here).unwrap();
        let table = anchor("", "route-table", "rtb-1");
        let tags = TagMap::from([signer.sign(&table, &WORDS)]);
        assert!(tags[SIGNED].len() <= 128, "as long as the smaller of the clouds lets a value be");
        assert_eq!(signer.check(&table, &WORDS, &tags), Ok(()));
        assert_eq!(signer.check(&anchor("us-east-1", "route-table", "rtb-1"), &WORDS, &tags), Ok(()), "the own region by its name");
        for other in [
            Words { run: "run-2", ..WORDS },
            Words { step: "fault2", ..WORDS },
            Words { until: "2027-01-01T00:00:00Z", ..WORDS },
            Words { data: "abd", ..WORDS },
            Words { run: "run-1fault", step: "", ..WORDS },
        ] {
            assert_eq!(signer.check(&table, &other, &tags), Err(Unsigned::Wrong), "{other:?}");
        }
        for other in [anchor("", "route-table", "rtb-2"), anchor("", "vpc", "rtb-1"), anchor("us-east-2", "route-table", "rtb-1")] {
            assert_eq!(signer.check(&other, &WORDS, &tags), Err(Unsigned::Wrong), "{other:?}");
        }
        for other in [settings("staging", "111122223333", "us-east-1"), settings("prod", "444455556666", "us-east-1")] {
            assert_eq!(Signer::new(KEY, &other).unwrap().check(&table, &WORDS, &tags), Err(Unsigned::Wrong));
        }
        let other = Signer::new(b"another key of sixteen", &here).unwrap();
        assert!(matches!(other.check(&table, &WORDS, &tags), Err(Unsigned::OtherKey { .. })));
        // Whoever knows which key it is and nothing more.
        let forged = format!("{}.{}", signer.name, tags[SIGNED].split_once('.').unwrap().1);
        assert_eq!(other.clone().named(&signer.name).check(&table, &WORDS, &TagMap::from([(SIGNED.into(), forged)])), Err(Unsigned::Wrong));
        assert_eq!(signer.check(&table, &WORDS, &TagMap::new()), Err(Unsigned::Missing));
    }

    #[test]
    fn what_is_shorter_or_odd_is_no_signature() {
        let signer = Signer::new(KEY, &settings("prod", "1", "us-east-1")).unwrap();
        let table = anchor("", "route-table", "rtb-1");
        let (_, good) = signer.sign(&table, &WORDS);
        for bad in [&good[..good.len() - 2], &format!("{}.", signer.name), "", ".", "x", &format!("{good}AA"), &good.to_uppercase()] {
            assert!(signer.check(&table, &WORDS, &TagMap::from([(SIGNED.into(), bad.to_owned())])).is_err(), "{bad}");
        }
        assert!(Signer::new(b"short", &settings("prod", "1", "x")).unwrap_err().contains("openssl rand"));
        assert!(!format!("{signer:?}").contains("0123456789"), "{signer:?}");
    }

    impl Signer {
        fn named(self, name: &str) -> Self {
            Self { name: name.to_owned(), ..self }
        }
    }
}
