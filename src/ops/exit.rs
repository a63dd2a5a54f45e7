//! How a command ends: documented exit codes, and one place that prints an error with its causes.

use std::fmt;

use crate::model::diagnostic::Diagnostic;
use crate::model::plain::line;
use crate::model::plan::Verdict;

/// Exit code of a verdict.
#[must_use]
pub const fn of_verdict(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 2,
        Verdict::Inconclusive => 3,
        Verdict::Aborted => 4,
    }
}

/// Which kind of error ends a command, with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64: the command line itself.
    Usage,
    /// 65: a scenario, runbook, project file or journal.
    Definitions,
    /// 65: what another Lifeboat wrote and this one cannot read; it was not altered.
    Newer,
    /// 69: an environment, a cloud, a lab or the disk.
    Environment,
    /// 70: a bug of ours.
    Internal,
    /// 77: a guard of the environment.
    Refused,
}

impl Kind {
    /// The exit code (sysexits.h).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Definitions | Self::Newer => 65,
            Self::Environment => 69,
            Self::Internal => 70,
            Self::Refused => 77,
        }
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub struct Exit {
    /// Which kind.
    pub kind: Kind,
    /// What failed, in one line.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Problems of files, each with its place; drawn before the message.
    pub diagnostics: Vec<Diagnostic>,
}

impl Exit {
    /// An error with a message only.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None, diagnostics: Vec::new() }
    }

    /// An error with its chain of causes.
    pub fn from_error(kind: Kind, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string).collect();
        Self { kind, message: error.to_string(), causes, hint: None, diagnostics: Vec::new() }
    }

    /// With one more cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each is one line, so that nothing that is quoted looks like a line of ours.
        write!(f, "error: {}", line(&self.message))?;
        for cause in &self.causes {
            write!(f, "\n  because {}", line(cause))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", line(hint))?;
        }
        Ok(())
    }
}
