//! What goes over the socket: one JSON line asks, one JSON line answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::Status;
use crate::model::ids::{self, FAULT};
use crate::model::order::{Asked, Order};
use crate::model::plan::Mode;
use crate::model::state::RunState;

/// The longest line, in bytes: a reason is a sentence.
pub(super) const LONGEST: usize = 8 << 10;
const LONGEST_NAME: usize = 64;
const LONGEST_REASON: usize = 500;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// How it stands.
    Status,
    /// That it does something; with the signature of the text that answers a step.
    Order(Asked, Option<String>),
}

/// What comes back.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it was done.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How the run stands, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Box<Status>>,
}

impl Answer {
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self { ok: false, error: Some(why.into()), status: None }
    }
}

impl Request {
    /// The line that asks for this.
    pub(super) fn line(&self) -> serde_json::Result<String> {
        let value = match self {
            Self::Status => serde_json::json!({ "order": "status" }),
            Self::Order(asked, signature) => {
                let mut value = serde_json::to_value(asked)?;
                if let Some(signature) = signature {
                    value["signature"] = Value::from(signature.as_str());
                }
                value
            }
        };
        Ok(format!("{value}\n"))
    }

    /// Reads a line, whatever is in it. `state` is the run's: steps may be named without their runbook.
    pub(super) fn read(line: &[u8], state: &RunState) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line).map_err(|_| "not one line of JSON".to_owned())?;
        if value["order"] == "status" {
            return Ok(Self::Status);
        }
        let signature = value["signature"].as_str().map(str::to_owned);
        let Asked { order, by, why } = serde_json::from_value(value).map_err(|error| format!("not an order: {error}"))?;
        let (by, why) = (one_line(&by, LONGEST_NAME), one_line(&why, LONGEST_REASON));
        if by.is_empty() {
            return Err("an order says who gives it".into());
        }
        let order = match order {
            Order::Skip { .. } if why.is_empty() => return Err("doing without a step needs a reason".into()),
            Order::Skip { step } => Order::Skip { step: key(&step, state)? },
            Order::Retry { step } => Order::Retry { step: key(&step, state)? },
            Order::Answer { step, yes } => Order::Answer { step: key(&step, state)?, yes },
            other => other,
        };
        // What leads users back needs a reason of somebody's own; who needs one is the run's to say.
        let is_enough = order == Order::Stop || (order == Order::Abort && state.mode() != Some(Mode::Emergency));
        let why = if why.is_empty() && is_enough { "asked for".into() } else { why };
        Ok(Self::Order(Asked { order, by, why }, signature))
    }
}

/// The key of the step that `given` names: with or without its runbook.
pub(super) fn key(given: &str, state: &RunState) -> Result<String, String> {
    if state.steps.contains_key(given) {
        return Ok(given.to_owned());
    }
    let fitting: Vec<&String> = state.steps.keys().filter(|key| *key != FAULT && ids::short(key) == given).collect();
    match fitting.as_slice() {
        [key] => Ok((*key).clone()),
        [] => Err(format!("the run has no step `{}`", one_line(given, LONGEST_NAME))),
        several => Err(format!("`{given}` may be {}", several.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(" or "))),
    }
}

/// `text` as one line without anything that moves a cursor, and not longer than `longest` bytes.
fn one_line(text: &str, longest: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() || ('\u{202a}'..='\u{2069}').contains(&c) { ' ' } else { c }).collect();
    let clean = clean.trim();
    clean[..clean.floor_char_boundary(longest)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::StepState;

    fn state() -> RunState {
        let mut state = RunState::default();
        for key in ["fault", "failover/start", "failover/both", "failback/both", "failover/sub/one"] {
            state.steps.insert(key.into(), StepState::default());
        }
        state
    }

    fn read(line: &str) -> Result<Request, String> {
        Request::read(line.as_bytes(), &state())
    }

    #[test]
    fn a_step_may_be_named_without_its_runbook_where_that_is_clear() {
        let skip = |step: &str| match read(&format!(r#"{{"order":"skip","step":"{step}","by":"ann","why":"broken"}}"#)) {
            Ok(Request::Order(Asked { order: Order::Skip { step }, .. }, _)) => Ok(step),
            Err(why) => Err(why),
            other => panic!("{other:?}"),
        };
        assert_eq!(skip("start").unwrap(), "failover/start");
        assert_eq!(skip("sub/one").unwrap(), "failover/sub/one");
        assert_eq!(skip("failback/both").unwrap(), "failback/both");
        assert_eq!(skip("both").unwrap_err(), "`both` may be failback/both or failover/both");
        assert_eq!(skip("none").unwrap_err(), "the run has no step `none`");
    }

    #[test]
    fn what_is_said_stays_one_line_and_short() {
        let line = format!(r#"{{"order":"abort","by":"{}","why":"a\nb\u001b[2J"}}"#, "x".repeat(500));
        let Ok(Request::Order(asked, _)) = read(&line) else { panic!() };
        assert_eq!((asked.by.len(), asked.why.as_str()), (64, "a b [2J"));
        assert_eq!(read(r#"{"order":"skip","step":"start","by":"ann","why":" \n "}"#).unwrap_err(), "doing without a step needs a reason");
        assert_eq!(read(r#"{"order":"pause","by":""}"#).unwrap_err(), "an order says who gives it");
        for garbage in ["", "{}", "[]", "null", r#"{"order":"explode","by":"ann"}"#, r#"{"order":7}"#, "\u{fffd}"] {
            assert!(read(garbage).is_err(), "{garbage}");
        }
        assert!(Request::read(&[0xff, 0xfe, 0], &state()).is_err());
        assert_eq!(read(r#"{"order":"status"}"#), Ok(Request::Status));
    }

    #[test]
    fn every_request_reads_as_it_was_written() {
        let asked = |order| Request::Order(Asked { order, by: "ann".into(), why: "because".into() }, None);
        let step = || "failover/start".to_owned();
        for request in [
            Request::Status,
            asked(Order::Pause),
            asked(Order::Unpause),
            asked(Order::Ungraceful),
            asked(Order::Retry { step: step() }),
            asked(Order::Answer { step: step(), yes: false }),
        ] {
            assert_eq!(Request::read(request.line().unwrap().trim_end().as_bytes(), &state()), Ok(request));
        }
    }
}
