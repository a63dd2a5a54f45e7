//! `http.share`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::expect::answer::{HttpExpect, HttpUrl, Verb, request};
use crate::catalogue::expect::client::AsClient;
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::World;
use crate::world::http::HttpError;

/// Sends several requests at once, each as a client of its own that resolves the name anew, and counts which share of them the target answered. Good
/// when it is large enough. Named under `traffic:` of a scenario it tells when the traffic had moved. A server's own counts, read with `prometheus`, tell
/// of all traffic; this one asks nobody but the front door.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpShare {
    /// What to ask.
    url: HttpUrl,
    /// Headers to send.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// By what an answer of the target is known.
    target: HttpExpect,
    /// How many requests one sample sends, 1 to 200; 20 unless written.
    #[serde(default = "twenty")]
    requests: Requests,
    /// The smallest share that is good, above 0 and at most 1; 0.95 unless written.
    #[serde(default = "most")]
    at_least: Share,
    /// As which client it asks; one that takes one address of the name unless written.
    #[serde(default = "AsClient::of_one_address")]
    client: AsClient,
    /// How long an answer may take; 1s unless written.
    #[serde(default = "one_second")]
    timeout: Span,
}

const fn one_second() -> Span {
    Span::from_secs(1)
}

/// How many requests.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
struct Requests(#[schemars(range(min = 1, max = 200))] u32);

impl TryFrom<u32> for Requests {
    type Error = String;

    fn try_from(count: u32) -> Result<Self, String> {
        if (1..=200).contains(&count) { Ok(Self(count)) } else { Err(format!("{count} is out of range; 1 to 200")) }
    }
}

const fn twenty() -> Requests {
    Requests(20)
}

/// A share above 0 and at most 1.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
struct Share(#[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))] f64);

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if share > 0.0 && share <= 1.0 { Ok(Self(share)) } else { Err(format!("{share} is no share above 0 and at most 1")) }
    }
}

const fn most() -> Share {
    Share(0.95)
}

/// What became of one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RequestOutcome {
    AtTarget,
    Elsewhere,
    Unsent,
}

impl Probe<World> for HttpShare {
    const KIND: &'static str = "http.share";
    const EXAMPLE: &'static str = r#"{ url: "${{ vars.storefront_api }}", requests: 20, target: { json: { cloud: aws } } }"#;
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["url", "headers", "target"];

    fn timeout(&self) -> Duration {
        self.timeout.duration() + Duration::from_millis(100)
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        self.client.models()
    }

    async fn sample(&self, world: &World) -> Sample {
        let request = match request(&self.url, Verb::Get, &self.headers, None) {
            Ok(request) => request,
            Err(message) => return Sample::unknown(message),
        };
        let until = tokio::time::Instant::now() + self.timeout.duration();
        let asked = (0..self.requests.0).map(async |_| {
            match tokio::time::timeout_at(until, self.client.ask(world, &request)).await {
                Ok(Ok(answers)) if answers.iter().flat_map(|answer| answer.as_ref().err()).any(HttpError::is_ours) => RequestOutcome::Unsent,
                Ok(Ok(answers)) if answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| self.target.judge(answer).is_ok())) => RequestOutcome::AtTarget,
                Ok(Err(error)) if error.is_ours() => RequestOutcome::Unsent,
                // Who does not answer in time is nobody's, and so not the target's.
                Ok(_) | Err(_) => RequestOutcome::Elsewhere,
            }
        });
        let asked = join_all(asked).await;
        let count = |what| asked.iter().filter(|asked| **asked == what).count();
        self.judge(count(RequestOutcome::AtTarget), count(RequestOutcome::Unsent))
    }
}

impl HttpShare {
    /// `unsent` are those that this machine could not send: they may or may not have come to the target, so the share is none if there are any.
    fn judge(&self, at_target: usize, unsent: usize) -> Sample {
        let requests = self.requests.0;
        let share = at_target as f64 / f64::from(requests);
        let detail = format!("{at_target} of {requests} answered by the target");
        if unsent > 0 {
            return Sample::unknown(format!("{detail}, {unsent} could not be sent"));
        }
        let sample = if share >= self.at_least.0 { Sample::good(detail) } else { Sample::bad(format!("{detail}, expected {}", self.at_least.0)) };
        sample.with_value(json!({ "share": share }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::engine::probe::Reading;

    fn probe(more: Value) -> Result<HttpShare, String> {
        let mut file = json!({ "url": "http://shop.test/", "target": { "json": { "cloud": "aws" } } });
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(file).map_err(|error| error.to_string())
    }

    #[test]
    fn the_share_is_of_all_requests() {
        let probe = probe(json!({})).unwrap();
        let sample = probe.judge(18, 0);
        assert_eq!((sample.reading, sample.detail.as_str()), (Reading::Bad, "18 of 20 answered by the target, expected 0.95"));
        let sample = probe.judge(19, 0);
        assert_eq!((sample.reading, sample.value), (Reading::Good, Some(json!({ "share": 0.95 }))));
        let sample = probe.judge(0, 1);
        assert_eq!((sample.reading, sample.value), (Reading::Unknown, None));
    }

    #[test]
    fn counts_and_shares_have_bounds() {
        for (more, message) in [
            (json!({ "requests": 0 }), "0 is out of range; 1 to 200"),
            (json!({ "requests": 201 }), "201 is out of range; 1 to 200"),
            (json!({ "at_least": 0 }), "0 is no share above 0 and at most 1"),
            (json!({ "at_least": 1.1 }), "1.1 is no share above 0 and at most 1"),
        ] {
            assert_eq!(probe(more).unwrap_err(), message);
        }
    }
}
