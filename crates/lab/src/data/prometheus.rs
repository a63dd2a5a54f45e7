//! The lab as a Prometheus: `/metrics` to be scraped, and the HTTP API for queries.
//! Forms and errors as in <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use lifeboat_notation::time::{Span, Timestamp};
use serde_json::{Value as Json, json};

use super::metrics::{self, History};
use super::promql::eval::{Value, eval, seconds};
use super::promql::parse::{Expr, parse};
use crate::world::World;

/// The most points per series of a range query, Prometheus's own limit.
const MOST_POINTS: f64 = 11_000.0;

#[derive(Clone)]
struct Source {
    world: Arc<World>,
    history: Arc<History>,
}

/// The routes.
pub(crate) fn router(world: Arc<World>, history: Arc<History>) -> Router {
    Router::new()
        .route("/metrics", get(exposition))
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/status/buildinfo", get(buildinfo))
        .route("/-/healthy", get(async || "Prometheus Server is Healthy.\n"))
        .route("/-/ready", get(async || "Prometheus Server is Ready.\n"))
        .with_state(Source { world, history })
}

async fn exposition(Shared(source): Shared<Source>) -> Response {
    let text = metrics::exposition(&source.world.lock());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn query(Shared(source): Shared<Source>, RawQuery(query): RawQuery, body: String) -> Response {
    answer(instant(&source, &Parameters::read(query, &body)))
}

async fn query_range(Shared(source): Shared<Source>, RawQuery(query): RawQuery, body: String) -> Response {
    answer(range(&source, &Parameters::read(query, &body)))
}

async fn buildinfo() -> Response {
    answer(Ok(json!({ "version": "2.53.0", "revision": "lifeboat-lab", "branch": "HEAD", "buildUser": "", "buildDate": "", "goVersion": "" })))
}

/// One query without a socket: over time when `over_time`, else at a moment. For fuzzers.
pub(crate) fn ask(world: &Arc<World>, history: &Arc<History>, over_time: bool, query: &str) -> Result<Json, String> {
    let source = Source { world: Arc::clone(world), history: Arc::clone(history) };
    let parameters = Parameters::read(Some(query.to_owned()), "");
    if over_time { range(&source, &parameters) } else { instant(&source, &parameters) }
}

fn answer(result: Result<Json, String>) -> Response {
    match result {
        Ok(data) => axum::Json(json!({ "status": "success", "data": data })).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, axum::Json(json!({ "status": "error", "errorType": "bad_data", "error": error }))).into_response(),
    }
}

/// The parameters of a call: those of the URL and those of a form.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: Option<String>, body: &str) -> Self {
        let pairs = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        Self([pairs(body), query.as_deref().map(pairs).unwrap_or_default()].concat())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn expr(&self) -> Result<Expr, String> {
        parse(self.get("query").unwrap_or_default()).map_err(|error| format!("invalid parameter \"query\": {error}"))
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let from_seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && seconds.abs() < 9e9).map(from_seconds);
        from_seconds
            .or_else(|| text.parse().ok())
            .map(Some)
            .ok_or_else(|| format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"))
    }

    fn step(&self) -> Result<f64, String> {
        let text = self.get("step").unwrap_or_default();
        let step = text.parse::<f64>().ok().or_else(|| text.parse::<Span>().ok().map(|span| span.duration().as_secs_f64()));
        step.filter(|step| step.is_finite() && *step >= 0.001)
            .ok_or_else(|| format!("invalid parameter \"step\": cannot parse \"{text}\" to a valid duration of at least a millisecond"))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bounded to a few centuries by the caller")]
fn from_seconds(seconds: f64) -> Timestamp {
    Timestamp::from_nanos((seconds * 1e9) as i64)
}

fn instant(source: &Source, parameters: &Parameters) -> Result<Json, String> {
    let expr = parameters.expr()?;
    let at = parameters.time("time")?.unwrap_or_else(|| source.world.clock.now());
    let point = |value: f64| json!([seconds(at), shown(value)]);
    Ok(match eval(&expr, at, &source.history)? {
        Value::Scalar(value) => json!({ "resultType": "scalar", "result": point(value) }),
        Value::Vector(vector) => {
            let result: Vec<_> = vector.into_iter().map(|(labels, value)| json!({ "metric": labels, "value": point(value) })).collect();
            json!({ "resultType": "vector", "result": result })
        }
    })
}

fn range(source: &Source, parameters: &Parameters) -> Result<Json, String> {
    let expr = parameters.expr()?;
    let missing = |name: &str| format!("invalid parameter \"{name}\": cannot parse \"\" to a valid timestamp");
    let start = parameters.time("start")?.ok_or_else(|| missing("start"))?;
    let end = parameters.time("end")?.ok_or_else(|| missing("end"))?;
    let step = parameters.step()?;
    if end < start {
        return Err("invalid parameter \"end\": end timestamp must not be before start time".to_owned());
    }
    if end.since(start).as_secs_f64() / step > MOST_POINTS {
        return Err("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)".to_owned());
    }
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<Json>> = BTreeMap::new();
    let mut at = start;
    while at <= end {
        let vector = match eval(&expr, at, &source.history)? {
            Value::Scalar(value) => vec![(BTreeMap::new(), value)],
            Value::Vector(vector) => vector,
        };
        for (labels, value) in vector {
            series.entry(labels).or_default().push(json!([seconds(at), shown(value)]));
        }
        let next = at.plus(Duration::from_secs_f64(step));
        // Time itself ends in 2262.
        if next <= at {
            break;
        }
        at = next;
    }
    let result: Vec<_> = series.into_iter().map(|(labels, values)| json!({ "metric": labels, "values": values })).collect();
    Ok(json!({ "resultType": "matrix", "result": result }))
}

/// A value as Prometheus writes it: in a string, with its own words for what JSON has no numbers for.
fn shown(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::LabClock;
    use crate::world::build::build;

    fn source() -> Source {
        let clock = LabClock::start(1.0);
        let state = build(1, 1.0, 10, clock.now());
        let (world, history) = (Arc::new(World::new(clock, state)), Arc::new(History::default()));
        history.sample(&world);
        Source { world, history }
    }

    fn parameters(text: &str) -> Parameters {
        Parameters::read(Some(text.to_owned()), "")
    }

    #[test]
    fn an_instant_query_gives_a_vector_of_strings() {
        let data = instant(&source(), &parameters("query=dts_job_synchronizing%7Bsync_job%3D%22dtsorders-primary%22%7D")).unwrap();
        assert_eq!(data["resultType"], "vector");
        assert_eq!(data["result"][0]["metric"], json!({ "__name__": "dts_job_synchronizing", "sync_job": "dtsorders-primary" }));
        assert_eq!(data["result"][0]["value"][1], "1");
        assert!(data["result"][0]["value"][0].is_f64());
    }

    #[test]
    fn form_parameters_count_as_those_of_the_url() {
        let parameters = Parameters::read(None, "query=1%2B1&time=2026-11-22T00:00:00Z");
        assert_eq!(instant(&source(), &parameters).unwrap()["result"], json!([1_795_305_600.0, "2"]));
    }

    #[test]
    fn a_range_query_gives_a_matrix() {
        let data = range(&source(), &parameters("query=vector(1)/0&start=10&end=12&step=1s")).unwrap();
        assert_eq!(data["result"][0]["values"], json!([[10.0, "+Inf"], [11.0, "+Inf"], [12.0, "+Inf"]]));
    }

    #[test]
    fn bad_parameters_are_named() {
        let source = source();
        for (text, part) in [
            ("", "\"query\""),
            ("query=up&time=yesterday", "\"time\""),
            ("query=rate(up)", "expected type matrix"),
            ("query=up&time=1e300", "\"time\""),
        ] {
            assert!(instant(&source, &parameters(text)).unwrap_err().contains(part), "{text}");
        }
        for (text, part) in [
            ("query=up&end=1&step=1", "\"start\""),
            ("query=up&start=0&end=1&step=0", "\"step\""),
            ("query=up&start=2&end=1&step=1", "\"end\""),
            ("query=up&start=0&end=100000&step=1", "11,000"),
        ] {
            assert!(range(&source, &parameters(text)).unwrap_err().contains(part), "{text}");
        }
    }
}
