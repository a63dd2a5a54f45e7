//! What the numbers of monitoring must be, whoever gives them; and a query of Prometheus.

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::HttpUrl;
use crate::engine::clock::wall;
use crate::engine::probe::Sample;
use crate::model::time::{Span, Timestamp};
use crate::world::http::{Http, HttpRequest};

/// What the numbers must be. Everything that is written must hold, for every series the query gives; nothing written = there is one.
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
    /// Whether the query gives anything at all; true unless written.
    #[serde(default = "yes")]
    exists: bool,
}

const fn yes() -> bool {
    true
}

impl NumberExpect {
    /// Whether the numbers are missing that should be there.
    pub(crate) const fn misses(&self, numbers: &[f64]) -> bool {
        self.exists && numbers.is_empty()
    }

    /// What was good about the numbers, or what was not.
    pub(crate) fn judge(&self, numbers: &[f64]) -> Result<String, String> {
        if numbers.is_empty() == self.exists {
            return Err(if self.exists {
                "the query gives nothing".to_owned()
            } else {
                format!("the query gives {} series, expected none", numbers.len())
            });
        }
        for number in numbers {
            let wrong = |expected: String| Err(format!("{number}, expected {expected}"));
            // NaN is neither above nor below anything, so it never passes.
            if let Some(limit) = self.above
                && !matches!(number.partial_cmp(&limit), Some(std::cmp::Ordering::Greater))
            {
                return wrong(format!("more than {limit}"));
            }
            if let Some(limit) = self.below
                && !matches!(number.partial_cmp(&limit), Some(std::cmp::Ordering::Less))
            {
                return wrong(format!("less than {limit}"));
            }
            if let Some(wanted) = self.equals
                && !matches!(number.partial_cmp(&wanted), Some(std::cmp::Ordering::Equal))
            {
                return wrong(wanted.to_string());
            }
        }
        let shown: Vec<String> = numbers.iter().take(5).map(f64::to_string).collect();
        Ok(if shown.is_empty() { "nothing, as expected".to_owned() } else { shown.join(" ") })
    }
}

impl NumberExpect {
    /// The numbers as a probe's reading, with what was read as its value.
    pub(crate) fn sample(&self, numbers: &[f64]) -> Sample {
        let sample = self.judge(numbers).map_or_else(Sample::bad, Sample::good);
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
    numbers(&answer.body).map_err(|message| if answer.status == 200 { message } else { format!("{}: {message}", answer.status) })
}

fn numbers(body: &[u8]) -> Result<Vec<f64>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
    if value["status"] != "success" {
        return Err(value["error"].as_str().unwrap_or("the query failed").to_owned());
    }
    let number = |pair: &Value| pair[1].as_str().and_then(|text| text.parse::<f64>().ok()).ok_or_else(|| "the answer holds no number".to_owned());
    let result = &value["data"]["result"];
    match value["data"]["resultType"].as_str() {
        Some("scalar") => Ok(vec![number(result)?]),
        Some("vector") => result.as_array().into_iter().flatten().map(|series| number(&series["value"])).collect(),
        Some("matrix") => {
            result.as_array().into_iter().flatten().flat_map(|series| series["values"].as_array().into_iter().flatten()).map(number).collect()
        }
        other => Err(format!("the query gives a {}, not a vector, a matrix or a scalar", other.unwrap_or("something unknown"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expect: &str, numbers: &[f64], good: bool) {
        let expect: NumberExpect = serde_json::from_str(expect).unwrap();
        assert_eq!(expect.judge(numbers).is_ok(), good, "{expect:?} {numbers:?}");
    }

    #[test]
    fn every_series_must_hold() {
        check("{}", &[0.0], true);
        check("{}", &[], false);
        check(r#"{"exists": false}"#, &[], true);
        check(r#"{"exists": false}"#, &[1.0], false);
        check(r#"{"above": 1}"#, &[2.0, 1.5], true);
        check(r#"{"above": 1}"#, &[2.0, 1.0], false);
        check(r#"{"above": 1, "below": 2}"#, &[1.5], true);
        check(r#"{"above": 1, "below": 2}"#, &[2.0], false);
        check(r#"{"equals": 1}"#, &[1.0, 1.0], true);
        check(r#"{"below": 1}"#, &[f64::NAN], false);
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
        assert!(numbers(br#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#).is_err());
    }
}
