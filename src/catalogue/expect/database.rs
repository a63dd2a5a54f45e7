//! What must hold of a database, whichever it is, and what is said of one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Unmet;
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
    pub(crate) fn differs(self, found: Self) -> Option<Unmet> {
        (self != found).then(|| Unmet::Differs(format!("a {}, expected a {}", found.word(), self.word())))
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
    /// What it is, if that was asked and it said so.
    pub(crate) role: Option<Role>,
    /// How far it is behind, or why there is no telling, if that was asked.
    pub(crate) lag: Option<Result<Duration, Unmet>>,
    /// In what steps it tells that, if they are coarse.
    pub(crate) steps: Duration,
    /// The first cell of the query's first row.
    pub(crate) cell: Option<String>,
}

impl DatabaseExpect {
    /// Holds `answer`, which took so long, against it. The value is the lag (`lag_ms`) where one was asked, else the cell.
    pub(crate) fn judge(&self, answer: &Answer, took: Duration) -> Result<Sample, Unmet> {
        match (self.role, answer.role) {
            (Some(expected), Some(found)) => expected.differs(found).map_or(Ok(()), Err)?,
            (Some(_), None) => return Err(Unmet::Untold("it does not say whether it is a primary".to_owned())),
            (None, _) => {}
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
            return Err(match cell {
                Some(cell) => Unmet::Differs(format!("the query gives \"{cell}\", expected \"{text}\"")),
                None => Unmet::Untold(format!("the query gives nothing, expected \"{text}\"")),
            });
        }
        if let Some(expected) = &self.number {
            let read = |cell: &str| cell.trim().parse().map_err(|_| Unmet::Untold(format!("the query gives \"{cell}\", which is no number")));
            let number: Option<f64> = cell.map(read).transpose()?;
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
pub(crate) fn behind(lag: Duration, allowed: Span) -> Result<String, Unmet> {
    let text = format!("{:.1} s behind", lag.as_secs_f64());
    if lag <= allowed.duration() { Ok(text) } else { Err(Unmet::Differs(format!("{text}, allowed {allowed}"))) }
}

/// What a server's error says of it, by its SQLSTATE: whether it fails, or whether what was asked, or who asked, is at fault, so that there is no telling.
/// The classes are those of the standard (ISO/IEC 9075-2, table of SQLSTATE classes), which both vendors keep
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>, <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>).
pub(crate) fn refused(sql_state: Option<&str>, text: String) -> Unmet {
    const OF_WHO_ASKS: [&str; 7] = [
        "0A", // feature not supported
        "22", // data exception
        "25", // invalid transaction state: a query that writes
        "28", // invalid authorization
        "3D", // invalid catalog name
        "3F", // invalid schema name
        "42", // syntax error or access rule violation
    ];
    if sql_state.and_then(|state| state.get(..2)).is_some_and(|class| OF_WHO_ASKS.contains(&class)) {
        Unmet::Untold(text)
    } else {
        Unmet::Differs(text)
    }
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
        expect.judge(answer, Duration::from_millis(4)).map(|sample| (sample.detail, sample.value)).map_err(|unmet| format!("{unmet:?}"))
    }

    #[test]
    fn role_lag_and_answer_are_judged() {
        let replica = |lag: Result<u64, &str>| Answer {
            role: Some(Role::Replica),
            lag: Some(lag.map(Duration::from_millis).map_err(|text| Unmet::Differs(text.to_owned()))),
            ..Answer::default()
        };
        let cell = |cell: Option<&str>| Answer { cell: cell.map(str::to_owned), ..Answer::default() };
        let good = |text: &str, value: Option<Value>| Ok((text.to_owned(), value));
        let bad = |text: &str| Err(format!("Differs({text:?})"));
        let unknown = |text: &str| Err(format!("Untold({text:?})"));
        assert_eq!(judge(json!({}), &Answer::default()), good("answered in 4 ms", None));
        assert_eq!(judge(json!({ "role": "primary" }), &replica(Ok(0))), bad("a replica, expected a primary"));
        assert_eq!(judge(json!({ "max_lag": "5s" }), &replica(Ok(1500))), good("1.5 s behind", Some(json!({ "lag_ms": 1500 }))));
        assert_eq!(judge(json!({ "max_lag": "1s" }), &replica(Ok(1500))), bad("1.5 s behind, allowed 1s"));
        assert_eq!(judge(json!({ "max_lag": "1s" }), &replica(Err("it follows nobody"))), bad("it follows nobody"));
        assert_eq!(judge(json!({ "text": "up" }), &cell(Some("up"))), good("answered in 4 ms", Some(json!("up"))));
        assert_eq!(judge(json!({ "text": "up" }), &cell(Some("down"))), bad("the query gives \"down\", expected \"up\""));
        assert_eq!(judge(json!({ "text": "up" }), &cell(None)), unknown("the query gives nothing, expected \"up\""));
        assert_eq!(judge(json!({ "number": { "above": 3 } }), &cell(Some("4"))), good("4", Some(json!("4"))));
        assert_eq!(judge(json!({ "number": { "above": 3 } }), &cell(Some("3"))), bad("3, expected more than 3"));
        assert_eq!(judge(json!({ "number": { "above": 3 } }), &cell(Some("x"))), unknown("the query gives \"x\", which is no number"));
        assert_eq!(judge(json!({ "number": {} }), &cell(None)), unknown("the query gives nothing"));
        assert_eq!(judge(json!({ "number": { "exists": false } }), &cell(None)), good("nothing, as expected", None));
        assert_eq!(judge(json!({ "role": "replica" }), &cell(None)), unknown("it does not say whether it is a primary"));
    }

    #[test]
    fn a_wrong_question_says_nothing_of_the_server() {
        for (state, unknown) in [
            (Some("28P01"), true),  // PostgreSQL: invalid password
            (Some("28000"), true),  // MySQL: access denied (1045)
            (Some("42P01"), true),  // PostgreSQL: undefined table
            (Some("42S02"), true),  // MySQL: no such table (1146)
            (Some("3D000"), true),  // PostgreSQL: no such database
            (Some("25006"), true),  // a query that writes, in a transaction that only reads
            (Some("57P03"), false), // PostgreSQL: cannot connect now
            (Some("53300"), false), // PostgreSQL: too many connections
            (Some("08004"), false), // MySQL: too many connections (1040)
            (Some("08S01"), false), // MySQL: shutdown in progress (1053)
            (Some("HY000"), false), // MySQL: anything
            (Some("4"), false),
            (None, false),
        ] {
            assert_eq!(matches!(refused(state, String::new()), Unmet::Untold(_)), unknown, "{state:?}");
        }
    }
}
