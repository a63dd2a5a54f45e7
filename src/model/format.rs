//! The formats of what Lifeboat keeps, and which versions of them this Lifeboat reads.
//!
//! A version is major.minor. Whoever adds a word or a field raises the minor number; whoever changes what was there before raises the major one. Both are
//! refused by a reader that does not know them: an event that is skipped may be the one that says what is still broken. What is refused is called
//! newer, with the Lifeboat that wrote it, and never an alteration. Versions that were written once stay readable: [`Format::oldest`] does not rise.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The version of this Lifeboat, as it stands in whatever it writes.
pub const TOOL: &str = env!("CARGO_PKG_VERSION");

/// So much of the version of another Lifeboat is quoted.
const QUOTED: usize = 40;

/// The version of a format. `2.0` is written as the number 2 in JSON, as it was before there were minor numbers; `2.1` as the text "2.1".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Raised by whoever changes what was there.
    pub major: u32,
    /// Raised by whoever adds to it.
    pub minor: u32,
}

impl Version {
    /// `major.minor`.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let version = number(major).zip(number(minor)).map(|(major, minor)| Self { major, minor });
        version.ok_or_else(|| format!("`{}` is no version of a format, such as 1 or 1.2", text.chars().take(QUOTED).collect::<String>()))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.minor == 0 { serializer.serialize_u32(self.major) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the version of a format, such as 1 or \"1.2\"")
            }

            fn visit_u64<E: de::Error>(self, major: u64) -> Result<Version, E> {
                u32::try_from(major).map(|major| Version { major, minor: 0 }).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Events of a run's journal. 1.1: a takeover says which Lifeboat took over.
    Journal,
    /// The plan that a run is pinned to, in its first event and beside its journal. 1.1: it says which Lifeboat made it.
    Plan,
    /// A file of single samples.
    Samples,
    /// The mark of a fault on what it broke. 2.0: signed.
    Mark,
    /// An approval. 2.0: part by part; 2.1: it says which Lifeboat wrote it.
    Approval,
    /// A lever that is pulled. 1.1: it has a version, and says which Lifeboat wrote it.
    Lever,
}

impl Format {
    /// The version that this Lifeboat writes, and the newest that it reads.
    #[must_use]
    pub const fn current(self) -> Version {
        match self {
            Self::Journal | Self::Plan | Self::Lever => Version::new(1, 1),
            Self::Samples => Version::new(1, 0),
            Self::Mark => Version::new(2, 0),
            Self::Approval => Version::new(2, 1),
        }
    }

    /// The oldest that it reads.
    const fn oldest(self) -> Version {
        match self {
            Self::Approval => Version::new(2, 0),
            Self::Journal | Self::Plan | Self::Samples | Self::Mark | Self::Lever => Version::new(1, 0),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journals",
            Self::Plan => "plans",
            Self::Samples => "samples",
            Self::Mark => "marks",
            Self::Approval => "approvals",
            Self::Lever => "levers",
        }
    }
}

/// Something whole that another Lifeboat wrote and this one does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What it is.
    pub format: Format,
    /// The version that it says it has.
    pub version: Version,
    /// Which Lifeboat wrote it; empty = it does not say.
    tool: String,
    /// What is not known of it, in one line, although its version is; empty when it is the version.
    word: String,
}

impl Unreadable {
    /// Of something whose version this Lifeboat reads: what it does not know of it all the same, in one line.
    #[must_use]
    pub fn word(format: Format, version: Version, tool: Option<&str>, word: impl Into<String>) -> Self {
        Self { word: word.into(), ..Self::version(format, version, tool) }
    }

    fn version(format: Format, version: Version, tool: Option<&str>) -> Self {
        Self { format, version, tool: tool.unwrap_or_default().chars().take(QUOTED).collect(), word: String::new() }
    }

    /// What helps.
    #[must_use]
    pub fn hint(&self) -> String {
        match self.tool.as_str() {
            "" => "it was not altered: use the Lifeboat that wrote it, or a newer one".into(),
            tool => format!("it was not altered: use Lifeboat {tool}, which wrote it, or a newer one"),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, version, tool, word } = self;
        if !word.is_empty() {
            write!(f, "{word}; ")?;
        }
        let by = if tool.is_empty() { "another Lifeboat" } else { "Lifeboat" };
        let space = if tool.is_empty() { "" } else { " " };
        write!(f, "made by {by}{space}{tool} in version {version} of the format of {}", format.name())?;
        if *version < format.oldest() {
            return write!(f, "; this Lifeboat, {TOOL}, reads from {} on", format.oldest());
        }
        write!(f, "; this Lifeboat, {TOOL}, reads up to {}", format.current())
    }
}

impl std::error::Error for Unreadable {}

/// Whether this Lifeboat reads `version` of a format; `tool`: the Lifeboat that wrote it, where that is known.
///
/// # Errors
/// When it is newer, or older than what is still read.
pub fn check_readable(format: Format, version: Version, tool: Option<&str>) -> Result<(), Unreadable> {
    if (format.oldest()..=format.current()).contains(&version) { Ok(()) } else { Err(Unreadable::version(format, version, tool)) }
}

/// What a JSON file of any version says about itself.
#[derive(Deserialize)]
struct Stated {
    version: Option<serde_json::Value>,
    #[serde(default)]
    tool: Option<String>,
}

/// Whether this Lifeboat reads a JSON file, by the `version` and the `tool` in it. One that has no version is of the oldest; what is no JSON at all is for
/// the reader of its content to judge.
///
/// # Errors
/// As [`check_readable`]; also when its version is none that is known.
pub fn check_file(format: Format, json: &[u8]) -> Result<(), Unreadable> {
    let Ok(Stated { version: Some(version), tool }) = serde_json::from_slice(json) else { return Ok(()) };
    match Version::deserialize(version) {
        Ok(version) => check_readable(format, version, tool.as_deref()),
        Err(error) => Err(Unreadable::word(format, format.current(), tool.as_deref(), format!("its `version` is not known: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_back_and_old_ones_are_numbers() {
        for (version, written) in [(Version::new(1, 0), "1"), (Version::new(2, 10), "\"2.10\"")] {
            assert_eq!(serde_json::to_string(&version).unwrap(), written);
            assert_eq!(serde_json::from_str::<Version>(written).unwrap(), version);
        }
        for wrong in ["\"1.2.3\"", "\"\"", "\"+1\"", "\"1.\"", "1.5", "-1", "4294967296", "null"] {
            assert!(serde_json::from_str::<Version>(wrong).is_err(), "{wrong}");
        }
        assert!(Version::new(1, 10) > Version::new(1, 9) && Version::new(2, 0) > Version::new(1, 99));
    }

    #[test]
    fn every_version_up_to_ours_is_read_and_newer_ones_are_refused_by_name() {
        for format in [Format::Journal, Format::Plan, Format::Samples, Format::Mark, Format::Approval, Format::Lever] {
            let (oldest, current) = (format.oldest(), format.current());
            assert_eq!(check_readable(format, oldest, None), Ok(()));
            assert_eq!(check_readable(format, current, None), Ok(()));
            for newer in [Version::new(current.major, current.minor + 1), Version::new(current.major + 1, 0)] {
                let said = check_readable(format, newer, Some("9.8.7")).unwrap_err();
                let text = format!("made by Lifeboat 9.8.7 in version {newer} of the format of {}", format.name());
                assert!(said.to_string().starts_with(&text) && said.to_string().ends_with(&format!("reads up to {current}")), "{said}");
                assert!(said.hint().contains("not altered: use Lifeboat 9.8.7"), "{}", said.hint());
            }
        }
        assert_eq!(check_file(Format::Plan, br#"{"version":1,"more":[]}"#), Ok(()));
        assert_eq!((check_file(Format::Lever, b"{}"), check_file(Format::Lever, b"{")), (Ok(()), Ok(())));
        let said = check_file(Format::Plan, br#"{"version":"1.99","tool":"9.8.7"}"#).unwrap_err().to_string();
        assert!(said.starts_with("made by Lifeboat 9.8.7 in version 1.99 of the format of plans"), "{said}");
        let said = check_file(Format::Plan, br#"{"version":"new"}"#).unwrap_err().to_string();
        assert!(said.starts_with("its `version` is not known: `new` is no version"), "{said}");
        let said = check_readable(Format::Approval, Version::new(1, 0), None).unwrap_err().to_string();
        assert!(said.starts_with("made by another Lifeboat in version 1.0") && said.ends_with("reads from 2.0 on"), "{said}");
    }
}
