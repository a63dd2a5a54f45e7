//! What a number of a monitoring system must be, whichever system gives it; and a query of Prometheus.

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Unmet;
use super::answer::HttpUrl;
use crate::engine::clock::wall;
use crate::engine::probe::Sample;
use crate::model::time::{Span, Timestamp};
use crate::world::http::{Http, HttpRequest};

/// What the numbers must be. Everything that is written must hold, for every series the query gives; nothing written = there is a number. Where there is none, or
/// NaN, there is no telling, unless `exists` says what that means.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberExpect {
    /// Greater than this.
    #[serde(default)]
    above: Option<f64>,
    /// Less than this.
    #[serde(default)]
    below: Option<f64>,
    /// Equal to this.
    #[serde(default)]
    equals: Option<f64>,
    /// Whether the query gives anything at all: with true it is bad if it does not, with false it is bad if it does. Unless written, nothing says nothing.
    #[serde(default)]
    exists: Option<bool>,
}

impl NumberExpect {
    /// Whether it does not say what no numbers mean.
    pub(crate) const fn leaves_open_what_nothing_means(&self) -> bool {
        self.exists.is_none()
    }

    /// What was good about the numbers, or what was not.
    pub(crate) fn judge(&self, numbers: &[f64]) -> Result<String, Unmet> {
        match (numbers.len(), self.exists) {
            (0, Some(false)) => return Ok("nothing, as expected".to_owned()),
            (0, Some(true)) => return Err(Unmet::Differs("the query gives nothing".to_owned())),
            (0, None) => return Err(Unmet::Untold("the query gives nothing".to_owned())),
            (count, Some(false)) => return Err(Unmet::Differs(format!("the query gives {count} series, expected none"))),
            (_, Some(true) | None) => {}
        }
        for number in numbers.iter().filter(|number| !number.is_nan()) {
            let wrong = |expected: String| Err(Unmet::Differs(format!("{number}, expected {expected}")));
            if let Some(limit) = self.above.filter(|limit| number <= limit) {
                return wrong(format!("more than {limit}"));
            }
            if let Some(limit) = self.below.filter(|limit| number >= limit) {
                return wrong(format!("less than {limit}"));
            }
            if let Some(wanted) = self.equals.filter(|wanted| number != wanted) {
                return wrong(wanted.to_string());
            }
        }
        if numbers.iter().any(|number| number.is_nan()) {
            // What 0/0 gives where nothing was counted.
            return Err(Unmet::Untold("the query gives NaN, which is no number".to_owned()));
        }
        Ok(numbers.iter().take(5).map(f64::to_string).collect::<Vec<_>>().join(" "))
    }
}

impl NumberExpect {
    /// The numbers as a probe's reading, with what was read as its value.
    pub(crate) fn sample(&self, numbers: &[f64]) -> Sample {
        let sample = self.judge(numbers).map_or_else(Sample::from, Sample::good);
        match numbers {
            [] => sample,
            // JSON has no word for infinity and NaN.
            [one] => sample.with_value(json!(one)),
            many => sample.with_value(json!(many)),
        }
    }
}

/// A while that ends now.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// How long it is.
    #[serde(rename = "for")]
    length: Span,
    /// The time between two numbers; 15s unless written.
    #[serde(default = "fifteen_seconds")]
    step: Span,
}

const fn fifteen_seconds() -> Span {
    Span::from_secs(15)
}

/// The numbers that a query gives, in the order of the answer: those of now, or of a range.
///
/// # Errors
/// In one line: no answer, an error of the server's, or a result that is no number.
pub(crate) async fn query(http: &Http, url: &HttpUrl, query: &str, range: Option<&Range>) -> Result<Vec<f64>, String> {
    let mut target = url.0.clone();
    let place = if range.is_some() { "query_range" } else { "query" };
    let path = format!("{}/api/v1/{place}", target.path().trim_end_matches('/'));
    target.set_path(&path);
    target.query_pairs_mut().clear().append_pair("query", query);
    if let Some(Range { length, step }) = range {
        let now = wall();
        let seconds =
            |at: Timestamp| format!("{}.{:03}", at.as_nanos().div_euclid(1_000_000_000), at.as_nanos().rem_euclid(1_000_000_000) / 1_000_000);
        let begins = Timestamp::from_nanos(now.as_nanos().saturating_sub(i64::try_from(length.duration().as_nanos()).unwrap_or(i64::MAX)));
        let step = (step.as_millis().max(1) as f64 / 1000.0).to_string();
        target.query_pairs_mut().append_pair("start", &seconds(begins)).append_pair("end", &seconds(now)).append_pair("step", &step);
    }
    let request = HttpRequest { url: target, method: http::Method::GET, headers: HeaderMap::new(), body: bytes::Bytes::new() };
    let answer = http.ask(&request).await.map_err(|error| error.to_string())?;
    match (answer.status, numbers(&answer.body)) {
        (200, found) => found,
        (status, Err(message)) => Err(format!("{status}: {message}")),
        (status, Ok(_)) => Err(format!("{status}, though with numbers")),
    }
}

fn numbers(body: &[u8]) -> Result<Vec<f64>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    if value["status"] != "success" {
        return Err(value["error"].as_str().unwrap_or("the query failed").to_owned());
    }
    let number = |pair: &Value| pair[1].as_str().and_then(|text| text.parse::<f64>().ok()).ok_or_else(|| "the answer holds no number".to_owned());
    let list = |value: &Value| value.as_array().cloned().ok_or_else(|| "the answer holds no list of numbers".to_owned());
    let result = &value["data"]["result"];
    let found: Vec<f64> = match value["data"]["resultType"].as_str() {
        Some("scalar") => vec![number(result)?],
        Some("vector") => list(result)?.iter().map(|series| number(&series["value"])).collect::<Result<_, _>>()?,
        Some("matrix") => {
            let series = list(result)?.iter().map(|series| list(&series["values"])).collect::<Result<Vec<_>, _>>()?;
            series.iter().flatten().map(number).collect::<Result<_, _>>()?
        }
        other => return Err(format!("the query gives a {}, not a vector, a matrix or a scalar", other.unwrap_or("something unknown"))),
    };
    // Where a part of what stands behind it did not answer, that part is missing, which is not to say that it is not there.
    match value["warnings"][0].as_str() {
        Some(warning) if found.is_empty() => Err(format!("the query gives nothing, with a warning: {warning}")),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Reading;

    fn check(expect: &str, numbers: &[f64], expected: Reading) {
        let expect: NumberExpect = serde_json::from_str(expect).unwrap();
        assert_eq!(expect.sample(numbers).reading, expected, "{expect:?} {numbers:?}");
    }

    #[test]
    fn every_series_must_hold_and_nothing_says_nothing() {
        use Reading::{Bad, Good, Unknown};
        check("{}", &[0.0], Good);
        check("{}", &[1.0, 2.0, 3.0, 4.0], Good);
        check("{}", &[], Unknown);
        check(r#"{"below": 1}"#, &[], Unknown);
        check(r#"{"exists": true}"#, &[], Bad);
        check(r#"{"exists": true}"#, &[1.0], Good);
        check(r#"{"exists": false}"#, &[], Good);
        check(r#"{"exists": false}"#, &[1.0], Bad);
        check(r#"{"above": 1}"#, &[2.0, 1.5], Good);
        check(r#"{"above": 1}"#, &[2.0, 1.0], Bad);
        check(r#"{"above": 1, "below": 2}"#, &[1.5], Good);
        check(r#"{"above": 1, "below": 2}"#, &[2.0], Bad);
        check(r#"{"equals": 1}"#, &[1.0, 1.0], Good);
        check(r#"{"equals": 1}"#, &[1.5], Bad);
        check(r#"{"below": 1}"#, &[f64::INFINITY], Bad);
        check(r#"{"below": 1}"#, &[f64::NAN], Unknown);
        check("{}", &[f64::NAN, 1.0], Unknown);
        check(r#"{"below": 1}"#, &[f64::NAN, 2.0], Bad);
    }

    #[test]
    fn no_expectation_is_the_one_that_is_written_as_nothing() {
        // What a file leaves out and what code leaves out must be the same.
        let (left_out, empty) = (NumberExpect::default(), serde_json::from_str::<NumberExpect>("{}").unwrap());
        for numbers in [&[][..], &[1.0], &[1.0, 2.0, 3.0, 4.0]] {
            assert_eq!(left_out.judge(numbers), empty.judge(numbers), "{numbers:?}");
        }
    }

    #[test]
    fn answers_are_read_and_errors_said() {
        let vector =
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,"3"]},{"metric":{},"value":[1.5,"+Inf"]}]}}"#;
        assert_eq!(numbers(vector).unwrap(), [3.0, f64::INFINITY]);
        assert_eq!(numbers(br#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"0.25"]}}"#).unwrap(), [0.25]);
        let error = br#"{"status":"error","errorType":"bad_data","error":"parse error at 3"}"#;
        assert_eq!(numbers(error).unwrap_err(), "parse error at 3");
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"3"],[2,"4"]]},{"metric":{},"values":[[1,"5"]]}]}}"#;
        assert_eq!(numbers(matrix).unwrap(), [3.0, 4.0, 5.0]);
        let nothing = br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert!(numbers(nothing).unwrap().is_empty());
        for no_answer in [
            &b"404 page not found"[..],
            b"{}",
            br#"{"status":"success"}"#,
            br#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#,
            br#"{"status":"success","data":{"resultType":"vector"}}"#,
            br#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
            br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}"#,
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
            br#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["store 10.0.0.7 did not answer"]}"#,
        ] {
            assert!(numbers(no_answer).is_err(), "{}", String::from_utf8_lossy(no_answer));
        }
    }
}
