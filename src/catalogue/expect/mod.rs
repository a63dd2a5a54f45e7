//! What is good, said once: the probe and the check of the same name judge with the same code.
//!
//! A judge tells two kinds of [`Unmet`] apart. What was read and differs from what is expected is *bad*. What is absent, empty, refused or not understood is *untold*, because
//! there is nothing to compare: a probe then reads unknown, and a check does not succeed.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod enough;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod number;
pub(crate) mod place;

use std::fmt;

use crate::engine::probe::Sample;

/// Why something is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// It was read, and it differs.
    Differs(String),
    /// There is nothing to hold against what is expected: it is absent, empty, not for us, or no answer. That says nothing of what is watched.
    Untold(String),
}

impl Unmet {
    /// With what else is to be said of it, made from its text.
    pub(crate) fn map(self, said: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Differs(text) => Self::Differs(said(text)),
            Self::Untold(text) => Self::Untold(said(text)),
        }
    }

    /// With the place at which it was found in front.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        self.map(|text| format!("{place}: {text}"))
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Differs(text) | Self::Untold(text)) = self;
        f.write_str(text)
    }
}

/// What differs is bad, what is untold unknown.
impl From<Unmet> for Sample {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Differs(text) => Self::bad(text),
            Unmet::Untold(text) => Self::unknown(text),
        }
    }
}

/// For those who only tell what went wrong.
impl From<Unmet> for String {
    fn from(unmet: Unmet) -> Self {
        unmet.to_string()
    }
}
