//! `http.request`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::expect::answer::{HttpUrl, Verb, request};
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::world::World;
use crate::model::target::{Target, TargetKind};

/// Sends an HTTP request, such as to a chat, a feature switch or a load balancer without a word of its own. It cannot be undone.
///
/// A retried step sends it again: let the receiver tell repeats apart where that matters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpRequest {
    /// Where to.
    url: HttpUrl,
    /// How; GET unless written.
    #[serde(default)]
    method: Verb,
    /// Headers to send.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// What to send: a text, or anything else as JSON.
    #[serde(default)]
    body: Option<Value>,
    /// Statuses that are success; 200 to 299 unless written.
    #[serde(default)]
    expect_status: BTreeSet<u16>,
}

/// What came back.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Output {
    /// The status.
    status: u16,
    /// The first 64 KiB of the body.
    body: String,
    /// The body, when it is JSON of at most 64 KiB.
    json: Value,
}

const LONGEST: usize = 64 << 10;

impl Action<World> for HttpRequest {
    const KIND: &'static str = "http.request";
    const EXAMPLE: &'static str = r#"
        method: POST
        url: https://chat.example.com/hooks/ops
        headers: { authorization: { secret: "env:CHAT_TOKEN" } }
        body: { text: "Failing over to AWS" }
        expect_status: [200, 204]
    "#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::NONE;
    const SECRETS: &'static [&'static str] = &["url", "headers", "body"];
    type Before = ();
    type Output = Output;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        self.request()?;
        let safe = self.only_reads();
        let call = PlannedCall { operation: format!("http:{:?}", self.method).to_uppercase(), subject: self.url.0.to_string(), mutating: !safe };
        let planned = Planned::new((), vec![Target::outside(TargetKind::Url, self.url.0.as_str())], vec![call]);
        let what = || format!("what {} did with the request", self.url.0.host_str().unwrap_or_default());
        Ok(if safe { planned } else { planned.irrevocable(what()) })
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Output>, ActionError> {
        let answer = cx
            .world
            .http()
            .ask(&self.request()?)
            .await
            .map_err(|error| ActionError::Other { message: format!("{}: {error}", self.url.0), retry: !error.is_ours() })?;
        (cx.accepted)();
        let good = if self.expect_status.is_empty() { (200..300).contains(&answer.status) } else { self.expect_status.contains(&answer.status) };
        if !good {
            return Err(ActionError::Check(format!("{}: answered {}", self.url.0, answer.status)));
        }
        let part = &answer.body[..answer.body.len().min(LONGEST)];
        let json = serde_json::from_slice(part).unwrap_or(Value::Null);
        Ok(Applied::changed(Output { status: answer.status, body: String::from_utf8_lossy(part).into_owned(), json }))
    }

    fn undo_needs_secrets(&self) -> bool {
        false
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        // A request that only reads has left nothing behind.
        Ok(if self.only_reads() { Undone::Already } else { Undone::Impossible })
    }
}

impl HttpRequest {
    fn only_reads(&self) -> bool {
        matches!(self.method, Verb::Get | Verb::Head)
    }

    fn request(&self) -> Result<crate::world::http::HttpRequest, ActionError> {
        request(&self.url, self.method, &self.headers, self.body.as_ref()).map_err(ActionError::Parameters)
    }
}
