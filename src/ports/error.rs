//! The one error that every cloud call ends in when it does not succeed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Cloud;

/// What kind of failure it was, whichever cloud said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The thing does not exist.
    NotFound,
    /// Credentials are missing, wrong or not allowed to do this.
    Denied,
    /// Too many requests.
    Throttled,
    /// The request can never succeed as it is.
    Invalid,
    /// The thing is in a state that does not allow this now.
    Conflict,
    /// The service failed on its side (5xx).
    Unavailable,
    /// No answer within the deadline.
    Timeout,
    /// The connection could not be made or broke.
    Transport,
    /// An answer came that is not what the service documents.
    Malformed,
    /// Lifeboat itself refuses: the region is closed by the drill.
    Gated,
    /// The environment has no such cloud or setting.
    Unconfigured,
    /// Anything else.
    Unexpected,
}

/// A cloud call that did not succeed. `Display` is one line and never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cloud} {operation}: {message}{}{}", self.code_suffix(), self.request_suffix())]
pub struct CloudError {
    /// Which cloud.
    pub cloud: Cloud,
    /// The vendor's name of the call, such as `ec2:StartInstances`.
    pub operation: String,
    /// What kind of failure.
    pub kind: Kind,
    /// The vendor's error code, when it gave one.
    pub code: Option<String>,
    /// The vendor's message, or ours.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retry: bool,
    /// How long the vendor asks to wait before that.
    pub retry_after: Option<Duration>,
    /// Whether the request may have taken effect although no success was seen.
    pub ambiguous: bool,
    /// The vendor's request id: what leads an auditor to the act in CloudTrail or ActionTrail.
    pub request_id: Option<String>,
}

impl CloudError {
    /// An error with the retry advice that its kind implies; not ambiguous. Whatever somebody else put into the message: it is one line, and not
    /// a long one.
    pub fn new(cloud: Cloud, operation: impl Into<String>, kind: Kind, message: impl Into<String>) -> Self {
        Self {
            cloud,
            operation: operation.into(),
            kind,
            code: None,
            message: shown(&message.into()),
            retry: matches!(kind, Kind::Throttled | Kind::Unavailable | Kind::Timeout | Kind::Transport | Kind::Malformed | Kind::Conflict),
            retry_after: None,
            ambiguous: false,
            request_id: None,
        }
    }

    /// With the vendor's code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(shown(&code.into()));
        self
    }

    /// With the vendor's request id, if there is one.
    #[must_use]
    pub fn request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }

    /// Marked as possibly having taken effect.
    #[must_use]
    pub fn ambiguous(mut self, ambiguous: bool) -> Self {
        self.ambiguous = ambiguous;
        self
    }

    fn code_suffix(&self) -> String {
        self.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default()
    }

    fn request_suffix(&self) -> String {
        self.request_id.as_ref().map(|id| format!(" [request {id}]")).unwrap_or_default()
    }
}

/// The longest text of somebody else's that is kept, in characters.
const LONGEST: usize = 600;

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_one_line_and_bounded() {
        let error = CloudError::new(Cloud::Aws, "ec2:StartInstances", Kind::Unexpected, "a\nb\u{1b}[2J".to_owned() + &"é".repeat(100_000))
            .code("x\r".repeat(9000));
        let told = error.to_string();
        assert!(told.starts_with("aws ec2:StartInstances: a b [2Jéé"), "{told}");
        assert!(told.chars().count() < 1300 && !told.contains(char::is_control), "{told}");
    }
}
