//! What the numbers of monitoring must be, whoever gives them; and a query of Prometheus.

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::HttpUrl;
use crate::engine::probe::Sample;
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

/// The numbers that an instant query gives, in the order of the answer.
///
/// # Errors
/// In one line: no answer, an error of the server's, or a result that is no number.
pub(crate) async fn query(http: &Http, url: &HttpUrl, query: &str) -> Result<Vec<f64>, String> {
    let mut target = url.0.clone();
    let path = format!("{}/api/v1/query", target.path().trim_end_matches('/'));
    target.set_path(&path);
    target.query_pairs_mut().clear().append_pair("query", query);
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
        other => Err(format!("the query gives a {}, not an instant vector or a scalar", other.unwrap_or("something unknown"))),
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
        assert!(numbers(br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#).is_err());
    }
}
