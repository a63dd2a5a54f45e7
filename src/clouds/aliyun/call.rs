//! What every request has in common: the gate before it, the deadlines around it, which failures are tried again, and the journal's record
//! of each attempt.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::{Instant, sleep, timeout};

use super::config::StaticKeys;
use super::error::{self, chain};
use super::{Aliyun, endpoint};
use crate::ports::attempts::{self, Attempts};
use crate::ports::calls::{self, Call};
use crate::ports::pace::Limit;
use crate::ports::pages::Pages;
use crate::ports::{Cloud, CloudError, Kind};

/// The region that journals show for products without regions.
const GLOBAL: &str = "global";
/// What Alibaba Cloud publishes of the rates of calls that come in numbers (pages `api-alidns-2015-01-09-quota`), for an account with its users.
pub(super) static RATES: &[Limit] = &[Limit { key: "alidns:DescribeDomainRecords", burst: 100.0, per_second: 100.0 }];
/// Codes that tell of expired credentials.
const EXPIRED: [&str; 2] = ["InvalidSecurityToken.Expired", "SecurityTokenExpired"];
/// Codes that tell of clocks that differ.
const SKEWED: [&str; 3] = ["InvalidTimeStamp.Expired", "IllegalTimestamp", "RequestTimeTooSkewed"];
/// More than this of an answer is not read: 16 MiB, the largest object, and some for its wrapping.
const LARGEST: usize = (16 << 20) + 1;

/// One of the vendor's calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    /// Product and call, such as `ecs:StartInstances`.
    pub(super) name: &'static str,
    /// Whether it can change anything.
    pub(super) mutating: bool,
    /// Whether a second copy of the same request has no second effect (it carries a client token, or sets a value).
    repeatable: bool,
}

impl Api {
    /// Changes nothing.
    pub(super) const fn reads(name: &'static str) -> Self {
        Self { name, mutating: false, repeatable: true }
    }

    /// May change something; not sent again when it may have taken effect.
    pub(super) const fn changes(name: &'static str) -> Self {
        Self { name, mutating: true, repeatable: false }
    }

    /// May change something, and the vendor knows a second copy of the request by its client token.
    pub(super) const fn changes_by_token(name: &'static str) -> Self {
        Self { name, mutating: true, repeatable: true }
    }

    /// The way through the pages of the list that this call gives.
    pub(super) const fn pages(self) -> Pages {
        Pages::of(Cloud::Aliyun, self.name)
    }

    /// Product and action.
    pub(super) fn parts(self) -> (&'static str, &'static str) {
        self.name.split_once(':').unwrap_or((self.name, ""))
    }

    /// An error of this call.
    pub(super) fn error(self, kind: Kind, message: impl Into<String>) -> CloudError {
        CloudError::new(Cloud::Aliyun, self.name, kind, message)
    }

    /// An answer that is not what the service documents. A change may then have taken effect.
    pub(super) fn malformed(self, message: impl Into<String>) -> CloudError {
        self.error(Kind::Malformed, message).ambiguous(self.mutating)
    }

    /// Whether `error` may be answered by sending the request again.
    fn again(self, error: &CloudError) -> bool {
        match error.kind {
            Kind::Transport | Kind::Timeout | Kind::Unavailable => self.repeatable || !error.ambiguous,
            // What breaks off on its way may come whole the next time.
            Kind::Malformed => self.repeatable,
            _ => false,
        }
    }
}

/// Who answers.
pub(super) enum Transport {
    /// The vendor; else why there can be no client.
    Http(Result<reqwest::Client, String>),
    /// A fuzzer.
    MadeUp(Box<dyn Fn() -> Option<http::Response<Bytes>> + Send + Sync>),
}

/// An answer that came, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The vendor's request id, in a header or in the body.
    pub(super) fn request_id(&self) -> Option<String> {
        let header = self.header("x-acs-request-id").or_else(|| self.header("x-oss-request-id"));
        header.and_then(error::as_id).or_else(|| error::request_id_in(&self.body))
    }
}

impl Aliyun {
    /// Sends a call until it is done, may not be sent again, or its time is over. `build` makes each attempt anew, for it needs a date and a
    /// nonce of its own; `read` says what an answer means.
    pub(super) async fn attempts<T>(
        &self,
        api: Api,
        build: impl Fn(&StaticKeys) -> Result<reqwest::Request, CloudError>,
        read: impl Fn(&Answer) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        let is_global = endpoint::PRODUCTS.iter().any(|product| product.global && product.name == api.parts().0);
        let region = if is_global { GLOBAL } else { &self.region };
        let mut attempts = Attempts::new(self.shared.timeout, attempts::MOST);
        let (mut is_refreshed, mut is_set_right) = (false, false);
        loop {
            let waits = Instant::now();
            self.shared.pace.turn(api.name).await;
            attempts.waited(waits.elapsed());
            if !is_global {
                self.shared.gate.check(Cloud::Aliyun, region, api.name)?;
            }
            let request = build(&*self.shared.credentials.key(api.name)?)?;
            let patience = attempts.patience(api.repeatable);
            let in_hand = calls::in_hand(Cloud::Aliyun, api.name, api.mutating)?;
            let number = attempts.begin();
            let attempt = Attempt::begin(api, region, number);
            let mut skew = None;
            let result = match timeout(patience, self.exchange(api, request)).await {
                Err(_) => {
                    let error = api.error(Kind::Timeout, format!("no answer within {}", crate::model::time::Span::from(patience)));
                    attempt.end(Err(error.ambiguous(api.mutating)), None)
                }
                Ok(Err(error)) => attempt.end(Err(error), None),
                Ok(Ok(answer)) => {
                    skew = error::skew_ms(&answer);
                    attempt.end(read(&answer), answer.request_id())
                }
            };
            drop(in_hand);
            let mut error = match result {
                Ok(value) => {
                    self.shared.pace.taken(api.name);
                    return Ok(value);
                }
                Err(error) => error,
            };
            if error.kind == Kind::Throttled {
                self.shared.pace.refused(api.name);
                if matches!(self.shared.transport, Transport::MadeUp(_)) && number >= attempts::MOST {
                    return Err(error);
                }
                sleep(attempts.refused(error)?).await;
                continue;
            }
            let is_one_of = |codes: &[&str]| error.code.as_deref().is_some_and(|code| codes.contains(&code));
            // Both were refused, so without effect.
            let is_again = if let Some(skew) = skew.filter(|_| is_one_of(&SKEWED)) {
                // As the vendor's SDK for OSS does; the other products are asked by the same clock.
                self.shared.skew_ms.store(skew, Ordering::Relaxed);
                if is_set_right {
                    error.message += &format!(" ({})", error::skew_said(skew));
                }
                !std::mem::replace(&mut is_set_right, true)
            } else if is_one_of(&EXPIRED) {
                self.shared.credentials.forget();
                !std::mem::replace(&mut is_refreshed, true)
            } else {
                false
            };
            if is_again && !attempts.left().is_zero() {
                continue;
            }
            let may = api.again(&error);
            sleep(attempts.failed(error, may)?).await;
        }
    }

    async fn exchange(&self, api: Api, request: reqwest::Request) -> Result<Answer, CloudError> {
        let http = match &self.shared.transport {
            Transport::Http(http) => http.as_ref().map_err(|why| api.error(Kind::Unconfigured, why.clone()))?,
            Transport::MadeUp(answers) => {
                let broken = || api.error(Kind::Transport, "the connection broke").ambiguous(api.mutating);
                let (head, body) = answers().ok_or_else(broken)?.into_parts();
                return Ok(Answer { status: head.status.as_u16(), headers: head.headers, body });
            }
        };
        let place = request.url().host_str().map_or_else(String::new, |host| match request.url().port() {
            Some(port) => format!("{host}:{port}: "),
            None => format!("{host}: "),
        });
        let broken = |error: &reqwest::Error| {
            // Without a connection nothing was sent.
            let kind = if error.is_timeout() { Kind::Timeout } else { Kind::Transport };
            api.error(kind, format!("{place}{}", chain(error))).ambiguous(api.mutating && !error.is_connect())
        };
        let mut response = http.execute(request).await.map_err(|error| broken(&error.without_url()))?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error.without_url()))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(api.error(Kind::Invalid, "the answer is larger than 16 MiB").ambiguous(api.mutating));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body: body.freeze() })
    }
}

/// An attempt under way. Dropped before its end (the step's own deadline, Ctrl-C) it still leaves a record.
struct Attempt<'a> {
    api: Api,
    region: &'a str,
    number: u32,
    began: Instant,
    is_over: bool,
}

impl<'a> Attempt<'a> {
    fn begin(api: Api, region: &'a str, number: u32) -> Self {
        Self { api, region, number, began: Instant::now(), is_over: false }
    }

    /// Records the attempt and hands its result on, with the request id where the error has none of its own.
    fn end<T>(mut self, mut result: Result<T, CloudError>, request_id: Option<String>) -> Result<T, CloudError> {
        self.is_over = true;
        if let Err(error) = &mut result {
            error.request_id = error.request_id.take().or_else(|| request_id.clone());
        }
        let outcome = match &result {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.code.clone().unwrap_or_else(|| error::word(error.kind).to_owned()),
        };
        self.record(outcome, request_id);
        result
    }

    fn record(&self, outcome: String, request_id: Option<String>) {
        calls::record(Call {
            cloud: Cloud::Aliyun,
            operation: self.api.name.to_owned(),
            region: self.region.to_owned(),
            mutating: self.api.mutating,
            attempt: self.number,
            request_id,
            outcome,
            elapsed_ms: calls::millis(self.began.elapsed()),
        });
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.record("cancelled".to_owned(), None);
        }
    }
}
