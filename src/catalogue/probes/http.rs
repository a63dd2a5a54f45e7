//! `http`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::catalogue::expect::answer::{HttpExpect, HttpUrl, Verb, request};
use crate::catalogue::expect::client::AsClient;
use crate::catalogue::expect::place::worst;
use crate::engine::probe::{Probe, Sample};
use crate::model::plan::ClientModel;
use crate::model::time::Span;
use crate::world::World;
use crate::world::http::{HttpAnswer, HttpError};

/// Asks an HTTP service, each time resolving its name anew and over new connections, at every address the name has at that moment, unless `client` says
/// otherwise. Good when each of them answers as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpProbe {
    /// What to ask.
    url: HttpUrl,
    /// How to ask; GET unless written.
    #[serde(default)]
    method: Verb,
    /// Headers to send.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What to send: a text, or anything else as JSON.
    #[serde(default)]
    body: Option<Value>,
    /// As which client it asks.
    #[serde(default)]
    client: AsClient,
    /// How long an answer may take; 1s unless written.
    #[serde(default = "one_second")]
    timeout: Span,
    /// What the answer must be.
    #[serde(default)]
    expect: HttpExpect,
}

const fn one_second() -> Span {
    Span::from_secs(1)
}

impl Probe<World> for HttpProbe {
    const KIND: &'static str = "http";
    const EXAMPLE: &'static str = r#"{ url: "${{ vars.storefront }}", timeout: 1s, expect: { status: 200, max_latency: 500ms } }"#;
    const CALLS: &'static [&'static str] = &[];
    const SECRETS: &'static [&'static str] = &["url", "headers", "body", "expect"];
    const SERVICE: bool = true;

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        self.client.models()
    }

    async fn sample(&self, world: &World) -> Sample {
        let request = match request(&self.url, self.method, &self.headers, self.body.as_ref()) {
            Ok(request) => request,
            Err(message) => return Sample::unknown(message),
        };
        match self.client.ask(world, &request).await {
            Ok(answers) => self.judge(&answers),
            Err(error) if error.is_ours() => Sample::unknown(error.to_string()),
            Err(error) => Sample::bad(error.to_string()),
        }
    }
}

impl HttpProbe {
    /// The worst of all answers; among good ones the slowest.
    fn judge(&self, answers: &[Result<HttpAnswer, HttpError>]) -> Sample {
        worst(answers.iter().map(|answer| match answer {
            Ok(answer) => {
                let sample = self.expect.judge(answer).map_or_else(|detail| Sample::bad(format!("{}: {detail}", answer.address)), Sample::good);
                (sample.with_first_byte(Some(answer.first_byte)), answer.elapsed)
            }
            Err(error) if error.is_ours() => (Sample::unknown(error.to_string()), Duration::ZERO),
            Err(error) => (Sample::bad(error.to_string()), Duration::ZERO),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Reading;
    use crate::world::connect::ConnectError;

    fn answer(status: u16, millis: u64) -> Result<HttpAnswer, HttpError> {
        Ok(HttpAnswer { status, headers: http::HeaderMap::new(), certificate_ends: None, body: bytes::Bytes::new(), elapsed: Duration::from_millis(millis), first_byte: tokio::time::Instant::now(), address: ([127, 0, 0, 1], 8080).into() })
    }

    fn refused() -> Result<HttpAnswer, HttpError> {
        Err(ConnectError { address: ([127, 0, 0, 2], 8080).into(), source: std::io::ErrorKind::ConnectionRefused.into() }.into())
    }

    fn check(answers: &[Result<HttpAnswer, HttpError>], reading: Reading, detail: &str) {
        let probe: HttpProbe = serde_json::from_str(r#"{"url": "http://shop.example.com:8080/health"}"#).unwrap();
        let sample = probe.judge(answers);
        assert_eq!((sample.reading, sample.detail.as_str()), (reading, detail));
    }

    #[test]
    fn one_bad_address_makes_the_sample_bad() {
        check(&[answer(200, 3), answer(200, 9), answer(200, 5)], Reading::Good, "200 in 9 ms");
        check(&[answer(200, 3), refused()], Reading::Bad, "127.0.0.2:8080: connection refused");
        check(&[refused(), answer(200, 3)], Reading::Bad, "127.0.0.2:8080: connection refused");
        check(&[answer(503, 3), answer(200, 4)], Reading::Bad, "127.0.0.1:8080: 503, expected 200");
    }
}
