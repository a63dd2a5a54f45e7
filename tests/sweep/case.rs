//! What is tried: a definition, what is done to its run, and how it is taken up again. One line, which also repeats it.

use std::fmt;
use std::str::FromStr;

/// How a disk fails, as `LIFEBOAT_CRASH` has it.
pub(crate) const DISKS: [&str; 5] = ["full", "read-only", "gone", "broken", "brief"];

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// Path of a definition without its ending, such as `scenarios/sync-stop`.
    pub(crate) subject: String,
    pub(crate) hardship: Hardship,
}

/// What is done to the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hardship {
    /// Nothing.
    None,
    /// Its process dies, or its disk fails: then it puts back what it can and ends, or waits until it can write again.
    Crash {
        /// Where, as `LIFEBOAT_CRASH` has it.
        at: String,
        /// What takes it up.
        by: Recovery,
        /// Where the process that takes it up dies as well, before it is taken up for good.
        again: Option<String>,
    },
    /// The clouds misbehave.
    Trouble {
        /// How, as the lab's faults have it.
        does: String,
        /// At which operation, such as `ec2:StopInstances`.
        call: String,
        /// At which call of it, from 1.
        nth: u32,
    },
}

/// The command that takes up what was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    Abort,
    Resume,
}

impl Recovery {
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Resume => "resume",
        }
    }
}

impl Case {
    pub(crate) fn new(subject: &str, hardship: Hardship) -> Self {
        Self { subject: subject.to_owned(), hardship }
    }

    /// Whether it is the disk that fails.
    pub(crate) fn is_of_disk(&self) -> bool {
        matches!(&self.hardship, Hardship::Crash { at, .. } if DISKS.iter().any(|disk| at.split(':').next() == Some(disk)))
    }

    /// What the table counts it under.
    pub(crate) fn kind(&self) -> String {
        let what = match &self.hardship {
            Hardship::None => "undisturbed".to_owned(),
            Hardship::Crash { by, again: Some(_), .. } => format!("{} dies too", by.command()),
            Hardship::Crash { at, by, again: None } => format!("{}, {}", at.split(':').next().unwrap_or_default(), by.command()),
            Hardship::Trouble { does, .. } => does.clone(),
        };
        // The catalogue's definitions are counted together: there are many, with few cases each.
        let whole = self.subject.split_once('/').map_or(&*self.subject, |(folder, name)| if folder == "actions" { "every action" } else { name });
        format!("{whole:<24} {what}")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        match &self.hardship {
            Hardship::None => Ok(()),
            Hardship::Crash { at, by, again: None } => write!(f, " {at} {}", by.command()),
            Hardship::Crash { at, by, again: Some(again) } => write!(f, " {at} {} {again}", by.command()),
            Hardship::Trouble { does, call, nth } => write!(f, " {does} {call}#{nth}"),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not SUBJECT, SUBJECT CRASH abort|resume [CRASH] or SUBJECT TROUBLE OPERATION#NTH");
        let words: Vec<&str> = text.split_whitespace().collect();
        let by = |word: &str| match word {
            "abort" => Ok(Recovery::Abort),
            "resume" => Ok(Recovery::Resume),
            _ => Err(wrong()),
        };
        let (subject, hardship) = match *words.as_slice() {
            [subject] => (subject, Hardship::None),
            [subject, at, command] if at.contains(':') => (subject, Hardship::Crash { at: at.to_owned(), by: by(command)?, again: None }),
            [subject, at, command, again] => (subject, Hardship::Crash { at: at.to_owned(), by: by(command)?, again: Some(again.to_owned()) }),
            [subject, does, call] => {
                let (call, nth) = call.rsplit_once('#').ok_or_else(wrong)?;
                let nth = nth.parse().map_err(|_| wrong())?;
                (subject, Hardship::Trouble { does: does.to_owned(), call: call.to_owned(), nth })
            }
            _ => return Err(wrong()),
        };
        Ok(Self::new(subject, hardship))
    }
}
