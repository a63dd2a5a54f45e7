//! `check.http`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::expect::answer::{HttpExpect, HttpUrl, Verb, request};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::time::Span;
use crate::world::World;
use crate::model::target::{Target, TargetKind};

/// Asks an HTTP service once, at every address its name has now, and fails unless each answers as expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckHttp {
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
    /// What the answer must be.
    #[serde(default)]
    expect: HttpExpect,
    /// How long the answer may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

/// What came back.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The status.
    status: u16,
    /// The body, when it is JSON.
    json: Value,
    /// Milliseconds it took.
    latency_ms: u64,
}

impl Action<World> for CheckHttp {
    const KIND: &'static str = "check.http";
    const EXAMPLE: &'static str = r#"{ url: "${{ vars.storefront_api }}", expect: { status: 200, json: { status: ok, cloud: aws } } }"#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const SECRETS: &'static [&'static str] = &["url", "headers", "body", "expect"];
    const MUTATES: bool = false;
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        request(&self.url, self.method, &self.headers, self.body.as_ref()).map_err(ActionError::Parameters)?;
        Ok(Planned::new((), vec![Target::outside(TargetKind::Url, self.url.0.as_str())], Vec::new()))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Output>, ActionError> {
        let request = request(&self.url, self.method, &self.headers, self.body.as_ref()).map_err(ActionError::Parameters)?;
        let said = |message: &dyn std::fmt::Display| ActionError::Check(format!("{}: {message}", self.url.0));
        let answers = tokio::time::timeout(self.timeout.duration(), cx.world.http().ask_all(&request))
            .await
            .map_err(|_| said(&format!("no answer within {}", self.timeout)))?
            .map_err(|error| said(&error))?;
        let mut output = Output::default();
        for answer in answers {
            let answer = answer.map_err(|error| said(&error))?;
            let detail = self.expect.judge(&answer).map_err(|unmet| said(&unmet))?;
            (cx.progress)(format!("{}: {detail}", answer.address));
            output = Output {
                status: answer.status,
                json: serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
                latency_ms: u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX),
            };
        }
        Ok(Applied::changed(output))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}
