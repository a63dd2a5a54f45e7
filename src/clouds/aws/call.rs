//! What every request has in common: the gate before it, the deadlines around it, which failures are tried again, and the journal's record
//! of each attempt.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    self, BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use chrono::{DateTime, NaiveDateTime, Utc};
use http_body_util::Limited;
use tokio::time::Instant;

use super::credentials::Keys;
use super::{Aws, error};
use crate::model::time::Span;
use crate::ports::attempts::Attempts;
use crate::ports::calls::{self, Call};
use crate::ports::pace::{Limit, Pace};
use crate::ports::{Cloud, CloudError, Kind};

/// The region that journals show for services without regions.
const GLOBAL: &str = "global";

/// The longest answer that is read: 16 MiB and what stands around an object of that size.
pub(super) const LARGEST: usize = (16 << 20) + (64 << 10);

/// What AWS publishes of its rates. Route 53: "Throttling for Amazon Route 53 API requests" in its developer guide; the bucket is the account's, for
/// all actions together.
pub(super) static RATES: &[Limit] = &[Limit { key: "route53", burst: 50.0, per_second: 10.0 }];

/// Route 53 works on one change of a zone at a time; that says nothing of how fast it may be asked.
const PRIOR: &str = "PriorRequestNotComplete";

/// Codes that tell of expired credentials.
const EXPIRED: [&str; 4] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
/// Codes that a request may be refused with when the clocks differ.
const SKEWED: [&str; 6] =
    ["RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure", "RequestInTheFuture"];
/// Clocks that differ by less are not what such a request was refused for.
const SKEW: Duration = Duration::from_secs(4 * 60);

/// One call about to be made.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// Service and call, such as `ec2:StartInstances`.
    pub(super) name: &'static str,
    /// Whether it can change anything.
    pub(super) mutating: bool,
    /// Where it goes, or `global`.
    pub(super) region: String,
    timeout: Duration,
    attempts: u32,
    source: Arc<str>,
    /// The address that stands in place of the vendor's, as it was given.
    endpoint: Option<Arc<str>>,
    keys: Arc<Keys>,
    pace: Arc<Pace>,
}

impl Aws {
    /// A regional call that changes nothing.
    ///
    /// # Errors
    /// When the region is closed.
    pub(super) fn reading(&self, name: &'static str) -> Result<Operation, CloudError> {
        self.regional(name, false)
    }

    /// A regional call that may change something.
    ///
    /// # Errors
    /// When the region is closed.
    pub(super) fn changing(&self, name: &'static str) -> Result<Operation, CloudError> {
        self.regional(name, true)
    }

    /// A call to a service that survives any region.
    pub(super) fn global(&self, name: &'static str, mutating: bool) -> Operation {
        self.operation(name, mutating, GLOBAL)
    }

    fn regional(&self, name: &'static str, mutating: bool) -> Result<Operation, CloudError> {
        self.shared.gate.check(Cloud::Aws, &self.region, name)?;
        Ok(self.operation(name, mutating, &self.region))
    }

    fn operation(&self, name: &'static str, mutating: bool, region: &str) -> Operation {
        let shared = &self.shared;
        let (source, keys, pace) = (Arc::clone(&shared.source), Arc::clone(&shared.keys), Arc::clone(&shared.pace));
        let endpoint = shared.endpoint.clone();
        Operation { name, mutating, region: region.to_owned(), timeout: shared.timeout, attempts: shared.attempts, source, endpoint, keys, pace }
    }
}

/// Refuses what is longer than the service takes. The SDK does not: it panics on what makes no address.
///
/// # Errors
/// [`Kind::Invalid`], with the beginning of the text.
pub(super) fn fits(operation: &'static str, what: &str, text: &str, longest: usize) -> Result<(), CloudError> {
    if text.len() <= longest {
        return Ok(());
    }
    let start: String = text.chars().take(40).collect();
    Err(CloudError::new(
        Cloud::Aws,
        operation,
        Kind::Invalid,
        format!("the {what} `{start}…` has {} bytes; at most {longest} are possible", text.len()),
    ))
}

impl Operation {
    /// The region to send to, unless the client's own is right.
    pub(super) fn signing_region(&self) -> Option<aws_config::Region> {
        (self.region != GLOBAL).then(|| aws_config::Region::new(self.region.clone()))
    }

    /// What stands before the words of a connection that failed: the address, where it is not the vendor's own.
    pub(super) fn place(&self) -> String {
        self.endpoint.as_ref().map_or_else(String::new, |endpoint| format!("{endpoint}: "))
    }

    /// Where its credentials come from, in words.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Under which its calls are counted: Route 53 counts all of them together.
    fn counted_as(&self) -> &'static str {
        if self.name.starts_with("route53:") { "route53" } else { self.name }
    }
}

/// Sends an SDK request as an [`Operation`] until it is done, may not be sent again, or its time is over; gives `Result<Output, CloudError>`.
/// A macro because each service crate has types of its own for the same thing, and its trait bound cannot be named from outside. Requests
/// that cannot be cloned are written `each EXPRESSION` and made anew for every attempt.
macro_rules! send {
    ($operation:expr, $service:ident, each $request:expr) => {{
        let operation: &$crate::clouds::aws::call::Operation = &$operation;
        let mut tries = $crate::clouds::aws::call::Tries::new(operation);
        loop {
            tries.turn().await;
            let in_hand = match $crate::ports::calls::in_hand($crate::ports::Cloud::Aws, operation.name, operation.mutating) {
                Ok(in_hand) => in_hand,
                Err(refused) => break Err(refused),
            };
            let in_flight = tries.begin();
            let mut config = $service::config::Builder::new().timeout_config(tries.timeouts()).interceptor(in_flight.recorder());
            if let Some(region) = operation.signing_region() {
                config = config.region(region);
            }
            let result = $request.customize().config_override(config).send().await;
            let (result, skew) = in_flight.end(result);
            drop(in_hand);
            match result {
                Ok(output) => {
                    tries.taken();
                    break Ok(output);
                }
                Err(error) => match tries.again(error, skew).await {
                    Ok(pause) => tokio::time::sleep(pause).await,
                    Err(error) => break Err(error),
                },
            }
        }
    }};
    ($operation:expr, $service:ident, $request:expr) => {{
        let request = $request;
        $crate::clouds::aws::call::send!($operation, $service, each request.clone())
    }};
}
pub(super) use send;

/// The attempts of one call.
pub(super) struct Tries<'a> {
    operation: &'a Operation,
    attempts: Attempts,
    is_refreshed: bool,
    is_set_right: bool,
}

impl<'a> Tries<'a> {
    pub(super) fn new(operation: &'a Operation) -> Self {
        Self { operation, attempts: Attempts::new(operation.timeout, operation.attempts), is_refreshed: false, is_set_right: false }
    }

    /// Waits until one more call of this kind may be made.
    pub(super) async fn turn(&mut self) {
        let began = Instant::now();
        self.operation.pace.turn(self.operation.counted_as()).await;
        self.attempts.waited(began.elapsed());
    }

    /// The service took it.
    pub(super) fn taken(&self) {
        self.operation.pace.taken(self.operation.counted_as());
    }

    /// The next attempt.
    pub(super) fn begin<E>(&mut self) -> InFlight<E>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        InFlight::new(self.operation, self.attempts.begin())
    }

    /// Deadlines of the next attempt: connecting, and all of it.
    pub(super) fn timeouts(&self) -> TimeoutConfig {
        let whole = self.operation.timeout;
        TimeoutConfig::builder()
            .connect_timeout((whole / 3).min(Duration::from_secs(3)))
            .operation_attempt_timeout(self.attempts.patience(!self.operation.mutating))
            .operation_timeout(self.attempts.left())
            .build()
    }

    /// How long to wait before the same request is sent again. `skew`: what the answer told of the clocks.
    ///
    /// # Errors
    /// The failure itself, when sending again is not allowed, would not help, or comes too late.
    pub(super) async fn again(&mut self, mut error: CloudError, skew: Option<Skew>) -> Result<Duration, CloudError> {
        if self.operation.attempts == 1 {
            return Err(error);
        }
        let is_one_of = |codes: &[&str]| error.code.as_deref().is_some_and(|code| codes.contains(&code));
        let left = self.attempts.left();
        // All of these were refused, so without effect.
        if let Some(skew) = skew.filter(|skew| skew.of_signature.unsigned_abs() > SKEW.as_millis() && is_one_of(&SKEWED)) {
            if !std::mem::replace(&mut self.is_set_right, true) && !left.is_zero() {
                // The SDK signs by the service's clock once it has seen an answer.
                return Ok(Duration::ZERO);
            }
            error.message += &format!(" ({skew})");
            return Err(error);
        }
        if is_one_of(&EXPIRED) && !left.is_zero() && !std::mem::replace(&mut self.is_refreshed, true) {
            self.operation.keys.forget().await;
            return Ok(Duration::ZERO);
        }
        if error.kind == Kind::Throttled {
            if error.code.as_deref() != Some(PRIOR) {
                self.operation.pace.refused(self.operation.counted_as());
            }
            return self.attempts.refused(error);
        }
        let is_allowed = match error.kind {
            Kind::Transport | Kind::Timeout => !self.operation.mutating || !error.ambiguous,
            Kind::Unavailable | Kind::Malformed => !self.operation.mutating,
            _ => false,
        };
        self.attempts.failed(error, is_allowed)
    }
}

/// How many milliseconds a service's clock is ahead, by the `Date` of an answer, which has whole seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skew {
    /// Of this machine's.
    of_machine: i128,
    /// Of the time that the request was signed with; the SDK signs by the service's clock as the answer before told it.
    of_signature: i128,
}

impl Skew {
    fn of(signed_ms: i64, response: &HttpResponse) -> Option<Self> {
        let date = DateTime::parse_from_rfc2822(response.headers().get("date")?).ok()?.timestamp_millis();
        Some(Self { of_machine: i128::from(date - Utc::now().timestamp_millis()), of_signature: i128::from(date - signed_ms) })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = Span::from_secs(u64::try_from(self.of_machine.unsigned_abs() / 1000).unwrap_or(u64::MAX / 1000));
        write!(f, "this machine's clock is {by} {} the service's", if self.of_machine > 0 { "behind" } else { "ahead of" })
    }
}

/// A call under way. Dropped before its end (the step's own deadline, Ctrl-C) it still leaves a record of the attempt that was cut off.
pub(super) struct InFlight<E> {
    attempt: Arc<Attempt>,
    error: PhantomData<fn() -> E>,
}

impl<E> InFlight<E>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn new(operation: &Operation, number: u32) -> Self {
        let attempt = Attempt { operation: operation.clone(), number, state: Mutex::default() };
        Self { attempt: Arc::new(attempt), error: PhantomData }
    }

    pub(super) fn recorder(&self) -> Recorder<E> {
        Recorder { attempt: Arc::clone(&self.attempt), error: PhantomData }
    }

    /// What came of it, and what the answer told of the clocks.
    pub(super) fn end<T>(self, result: Result<T, SdkError<E, HttpResponse>>) -> (Result<T, CloudError>, Option<Skew>) {
        // The deadline of the whole call cuts the attempt off without telling the interceptors.
        self.attempt.cut_off("timeout");
        let (skew, no_success) = {
            let mut state = self.attempt.lock();
            (state.skew, state.no_success.take())
        };
        let result = match no_success {
            Some(error) => Err(error),
            None => result.map_err(|failure| error::from_sdk(&self.attempt.operation, failure)),
        };
        (result, skew)
    }
}

impl<E> Drop for InFlight<E> {
    fn drop(&mut self) {
        self.attempt.cut_off("cancelled");
    }
}

/// One attempt of one call.
#[derive(Debug)]
struct Attempt {
    operation: Operation,
    number: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    /// When the request was signed, by the clock it was signed with.
    signed_ms: Option<i64>,
    skew: Option<Skew>,
    /// What the SDK does not see in an answer that says it is one of success.
    no_success: Option<CloudError>,
}

impl Attempt {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Its fields are set one by one and stay usable after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, request: &HttpRequest) {
        let signed = request.headers().get("x-amz-date").and_then(|date| NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").ok());
        let mut state = self.lock();
        state.began = Some(Instant::now());
        state.signed_ms = signed.map(|at| at.and_utc().timestamp_millis());
    }

    fn end(&self, outcome: String, request_id: Option<String>) {
        // Without a beginning nothing was sent: credentials were missing, or the request could not be built.
        let Some(began) = self.lock().began.take() else { return };
        calls::record(Call {
            cloud: Cloud::Aws,
            operation: self.operation.name.to_owned(),
            region: self.operation.region.clone(),
            mutating: self.operation.mutating,
            attempt: self.number,
            request_id,
            outcome,
            elapsed_ms: calls::millis(began.elapsed()),
        });
    }

    fn cut_off(&self, outcome: &str) {
        self.end(outcome.to_owned(), None);
    }
}

/// Hears of each attempt from inside the SDK.
pub(super) struct Recorder<E> {
    attempt: Arc<Attempt>,
    error: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for Recorder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("operation", &self.attempt.operation.name).finish_non_exhaustive()
    }
}

#[dyn_dispatch_hint]
impl<E> Intercept for Recorder<E>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "lifeboat::Recorder"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.attempt.begin(context.request());
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The SDK reads an answer whole, however long it is.
        let body = std::mem::replace(context.response_mut().body_mut(), SdkBody::taken());
        *context.response_mut().body_mut() = body.map(|body| SdkBody::from_body_1_x(Limited::new(body, LARGEST)));
        Ok(())
    }

    fn read_after_attempt(&self, context: &FinalizerInterceptorContextRef<'_>, _: &RuntimeComponents, _: &mut ConfigBag) -> Result<(), BoxError> {
        let no_success = context.response().and_then(|response| error::hidden(&self.attempt.operation, response));
        let outcome = match context.output_or_error() {
            _ if let Some(error) = &no_success => error.code.clone().unwrap_or_else(|| "malformed".to_owned()),
            Some(Ok(_)) => "ok".to_owned(),
            Some(Err(failure)) => outcome::<E>(failure),
            None => "unexpected".to_owned(),
        };
        let request_id = context.response().and_then(error::request_id);
        {
            let mut state = self.attempt.lock();
            state.skew = state.signed_ms.zip(context.response()).and_then(|(signed_ms, response)| Skew::of(signed_ms, response));
            state.no_success = no_success;
        }
        self.attempt.end(outcome, request_id);
        Ok(())
    }
}

/// The vendor's code, or our word where there is none.
fn outcome<E>(failure: &OrchestratorError<context::Error>) -> String
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let Some(answer) = failure.as_operation_error() {
        let code = answer.downcast_ref::<E>().and_then(|answer| answer.meta().code());
        return code.unwrap_or("malformed").to_owned();
    }
    let timeout = failure.is_timeout_error() || failure.as_connector_error().is_some_and(|connector| connector.is_timeout());
    if timeout {
        "timeout"
    } else if failure.is_response_error() {
        "malformed"
    } else {
        "transport"
    }
    .to_owned()
}

/// Where the request id of an answer stands: usually a header, with EC2 only sometimes.
pub(super) fn header_request_id(response: &HttpResponse) -> Option<String> {
    RequestId::request_id(response).map(str::to_owned)
}
