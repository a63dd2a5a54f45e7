//! What is tried: a scenario, where its process dies, and how it is taken up again. One line, which also repeats it.

use std::fmt;
use std::str::FromStr;

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    /// Name of a scenario.
    pub(crate) scenario: String,
    /// Where its process dies; never when none.
    pub(crate) crash: Option<String>,
    /// What takes it up.
    pub(crate) by: Recovery,
    /// Where the process that takes it up dies as well, before it is taken up for good.
    pub(crate) again: Option<String>,
}

/// The command that takes up what was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// A drill that nothing happens to.
    pub(crate) fn undisturbed(scenario: &str) -> Self {
        Self { scenario: scenario.to_owned(), crash: None, by: Recovery::Abort, again: None }
    }

    /// What the table counts it under.
    pub(crate) fn kind(&self) -> String {
        let when = |point: &str| point.split(':').next().unwrap_or_default().to_owned();
        match (&self.crash, &self.again) {
            (None, _) => "undisturbed".to_owned(),
            (Some(_), Some(_)) => format!("{} dies too", self.by.command()),
            (Some(crash), None) => format!("{}, {}", when(crash), self.by.command()),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scenario)?;
        if let Some(crash) = &self.crash {
            write!(f, " {crash} {}", self.by.command())?;
        }
        if let Some(again) = &self.again {
            write!(f, " {again}")?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let wrong = || format!("`{text}` is not SCENARIO [CRASH abort|resume [CRASH]]");
        let (scenario, rest) = words.split_first().ok_or_else(wrong)?;
        let undisturbed = Self::undisturbed(scenario);
        let by = |word: &str| match word {
            "abort" => Ok(Recovery::Abort),
            "resume" => Ok(Recovery::Resume),
            _ => Err(wrong()),
        };
        Ok(match rest {
            [] => undisturbed,
            [crash, command] => Self { crash: Some((*crash).to_owned()), by: by(command)?, ..undisturbed },
            [crash, command, again] => Self { crash: Some((*crash).to_owned()), by: by(command)?, again: Some((*again).to_owned()), ..undisturbed },
            _ => return Err(wrong()),
        })
    }
}
