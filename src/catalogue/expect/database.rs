//! What must hold of a database, whichever it is, and what is said of one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::number::NumberExpect;
use crate::engine::probe::Sample;
use crate::model::time::Span;

/// What a server is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// It takes writes.
    Primary,
    /// It follows another one.
    Replica,
}

impl Role {
    /// What was expected of it, if it is something else.
    pub(crate) fn differs(self, found: Self) -> Option<String> {
        (self != found).then(|| format!("a {}, expected a {}", found.word(), self.word()))
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

/// What must hold of a database that answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseExpect {
    /// What it must be.
    #[serde(default)]
    pub(crate) role: Option<Role>,
    /// Of a replica: the longest time that it may be behind its primary.
    #[serde(default)]
    pub(crate) max_lag: Option<Span>,
    /// What the first cell of the query's first row must be, as text.
    #[serde(default)]
    text: Option<String>,
    /// What the first cell of the query's first row must be, as a number.
    #[serde(default)]
    number: Option<NumberExpect>,
}

/// What a database said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// What it is, if that was asked.
    pub(crate) role: Option<Role>,
    /// How far it is behind, or why there is no telling, if that was asked.
    pub(crate) lag: Option<Result<Duration, String>>,
    /// In what steps it tells that, if they are coarse.
    pub(crate) steps: Duration,
    /// The first cell of the query's first row.
    pub(crate) cell: Option<String>,
}

impl DatabaseExpect {
    /// Holds `answer`, which took so long, against it. The value is the lag (`lag_ms`) where one was asked, else the cell.
    pub(crate) fn judge(&self, answer: &Answer, took: Duration) -> Result<Sample, String> {
        if let Some(wrong) = self.role.zip(answer.role).and_then(|(expected, found)| expected.differs(found)) {
            return Err(wrong);
        }
        let mut said = format!("answered in {} ms", took.as_millis());
        // What nothing is expected of is not worth a reading in the journal.
        let mut value = answer.cell.as_ref().filter(|_| self.text.is_some() || self.number.is_some()).map(|cell| json!(cell));
        if let Some((allowed, lag)) = self.max_lag.zip(answer.lag.as_ref()) {
            let lag = lag.clone()?;
            said = behind(lag, allowed)?;
            value = Some(lag_value(lag, answer.steps));
        }
        let cell = answer.cell.as_deref();
        if let Some(text) = &self.text
            && cell != Some(text)
        {
            return Err(format!("the query gives {}, expected \"{text}\"", cell.map_or_else(|| "nothing".to_owned(), |cell| format!("\"{cell}\""))));
        }
        if let Some(expected) = &self.number {
            let number =
                cell.map(|cell| cell.trim().parse::<f64>().map_err(|_| format!("the query gives \"{cell}\", which is no number"))).transpose()?;
            said = expected.judge(number.as_slice())?;
        }
        let sample = Sample::good(said);
        Ok(match value {
            Some(value) => sample.with_value(value),
            None => sample,
        })
    }
}

/// That `lag` is no longer than `allowed`, or that it is.
pub(crate) fn behind(lag: Duration, allowed: Span) -> Result<String, String> {
    let text = format!("{:.1} s behind", lag.as_secs_f64());
    if lag <= allowed.duration() { Ok(text) } else { Err(format!("{text}, allowed {allowed}")) }
}

/// A lag that is told in `steps` as the value of a sample: what recovery points are read from.
pub(crate) fn lag_value(lag: Duration, steps: Duration) -> Value {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut value = json!({ "lag_ms": millis(lag) });
    if !steps.is_zero() {
        value["resolution_ms"] = json!(millis(steps));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expect: Value, answer: &Answer) -> Result<(String, Option<Value>), String> {
        let expect: DatabaseExpect = serde_json::from_value(expect).unwrap();
        expect.judge(answer, Duration::from_millis(4)).map(|sample| (sample.detail, sample.value))
    }

    #[test]
    fn role_lag_and_answer_are_judged() {
        let replica = |lag: Result<u64, &str>| Answer {
            role: Some(Role::Replica),
            lag: Some(lag.map(Duration::from_millis).map_err(str::to_owned)),
            ..Answer::default()
        };
        let cell = |cell: Option<&str>| Answer { cell: cell.map(str::to_owned), ..Answer::default() };
        let good = |text: &str, value: Option<Value>| Ok((text.to_owned(), value));
        let bad = |text: &str| Err(text.to_owned());
        assert_eq!(judge(json!({}), &Answer::default()), good("answered in 4 ms", None));
        assert_eq!(judge(json!({ "role": "primary" }), &replica(Ok(0))), bad("a replica, expected a primary"));
        assert_eq!(judge(json!({ "max_lag": "5s" }), &replica(Ok(1500))), good("1.5 s behind", Some(json!({ "lag_ms": 1500 }))));
        assert_eq!(judge(json!({ "max_lag": "1s" }), &replica(Ok(1500))), bad("1.5 s behind, allowed 1s"));
        assert_eq!(judge(json!({ "max_lag": "1s" }), &replica(Err("it follows nobody"))), bad("it follows nobody"));
        assert_eq!(judge(json!({ "text": "up" }), &cell(Some("up"))), good("answered in 4 ms", Some(json!("up"))));
        assert_eq!(judge(json!({ "text": "up" }), &cell(Some("down"))), bad("the query gives \"down\", expected \"up\""));
        assert_eq!(judge(json!({ "text": "up" }), &cell(None)), bad("the query gives nothing, expected \"up\""));
        assert_eq!(judge(json!({ "number": { "above": 3 } }), &cell(Some("4"))), good("4", Some(json!("4"))));
        assert_eq!(judge(json!({ "number": { "above": 3 } }), &cell(Some("3"))), bad("3, expected more than 3"));
        assert_eq!(judge(json!({ "number": { "above": 3 } }), &cell(Some("x"))), bad("the query gives \"x\", which is no number"));
        assert_eq!(judge(json!({ "number": {} }), &cell(None)), bad("the query gives nothing"));
    }
}
