//! What every request has in common: the gate before it, the deadlines around it, which failures the SDK may retry, and the journal's
//! record of each attempt.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    self, BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::ErrorKind;
use aws_smithy_types::timeout::TimeoutConfig;
use http_body_util::Limited;
use tokio::time::Instant;

use super::{Aws, error};
use crate::ports::calls::{self, Call};
use crate::ports::{Cloud, CloudError, Kind};

/// The region that journals show for services without regions.
const GLOBAL: &str = "global";

/// The longest answer that is read: 16 MiB and what stands around an object of that size.
pub(super) const LARGEST: usize = (16 << 20) + (64 << 10);

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
    source: Arc<str>,
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
        Operation { name, mutating, region: region.to_owned(), timeout: self.shared.timeout, source: Arc::clone(&self.shared.source) }
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

    /// Deadlines: connecting, one attempt, all attempts.
    pub(super) fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout((self.timeout / 3).min(Duration::from_secs(3)))
            // A change is not repeated after a timeout, so its one attempt has all the time there is.
            .operation_attempt_timeout(if self.mutating { self.timeout } else { self.timeout / 2 })
            .operation_timeout(self.timeout)
            .build()
    }

    /// Where its credentials come from, in words.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Sends an SDK request as an [`Operation`] and gives `Result<Output, CloudError>`. A macro because each service crate has types of its
/// own for the same thing, and its trait bound cannot be named from outside.
macro_rules! send {
    ($operation:expr, $service:ident, $request:expr) => {{
        let operation: &$crate::clouds::aws::call::Operation = &$operation;
        let in_flight = $crate::clouds::aws::call::InFlight::new(operation);
        let mut config = $service::config::Builder::new().timeout_config(operation.timeouts()).interceptor(in_flight.recorder());
        if let Some(region) = operation.signing_region() {
            config = config.region(region);
        }
        if operation.mutating {
            config = config.retry_classifier($crate::clouds::aws::call::NotAfterDoubt);
        }
        let result = $request.customize().config_override(config).send().await;
        in_flight.end(result)
    }};
}
pub(super) use send;

/// A call under way. Dropped before its end (the step's own deadline, Ctrl-C) it still leaves a record of the attempt that was cut off.
pub(super) struct InFlight<E> {
    attempts: Arc<Attempts>,
    error: PhantomData<fn() -> E>,
}

impl<E> InFlight<E>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    pub(super) fn new(operation: &Operation) -> Self {
        let attempts = Attempts { operation: operation.clone(), state: Mutex::default() };
        Self { attempts: Arc::new(attempts), error: PhantomData }
    }

    pub(super) fn recorder(&self) -> Recorder<E> {
        Recorder { attempts: Arc::clone(&self.attempts), error: PhantomData }
    }

    pub(super) fn end<T>(self, result: Result<T, SdkError<E, HttpResponse>>) -> Result<T, CloudError> {
        // The deadline of the whole call cuts the attempt off without telling the interceptors.
        self.attempts.cut_off("timeout");
        result.map_err(|failure| error::from_sdk(&self.attempts.operation, failure))
    }
}

impl<E> Drop for InFlight<E> {
    fn drop(&mut self) {
        self.attempts.cut_off("cancelled");
    }
}

/// What the attempts of one call have in common.
#[derive(Debug)]
struct Attempts {
    operation: Operation,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    number: u32,
    began: Option<Instant>,
}

impl Attempts {
    fn begin(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.number += 1;
        state.began = Some(Instant::now());
    }

    fn end(&self, outcome: String, request_id: Option<String>) {
        let (attempt, began) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.number, state.began.take())
        };
        // Without a beginning nothing was sent: credentials were missing, or the request could not be built.
        let Some(began) = began else { return };
        calls::record(Call {
            cloud: Cloud::Aws,
            operation: self.operation.name.to_owned(),
            region: self.operation.region.clone(),
            mutating: self.operation.mutating,
            attempt,
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
    attempts: Arc<Attempts>,
    error: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for Recorder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("operation", &self.attempts.operation.name).finish_non_exhaustive()
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

    fn read_before_transmit(&self, _: &BeforeTransmitInterceptorContextRef<'_>, _: &RuntimeComponents, _: &mut ConfigBag) -> Result<(), BoxError> {
        self.attempts.begin();
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
        let outcome = match context.output_or_error() {
            Some(Ok(_)) => "ok".to_owned(),
            Some(Err(failure)) => outcome::<E>(failure),
            None => "unexpected".to_owned(),
        };
        let request_id = context.response().and_then(error::request_id);
        self.attempts.end(outcome, request_id);
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

/// Forbids the SDK to repeat a change whose first try may have taken effect. The runner then reads what is there before it tries again.
/// Refusals for too many requests took no effect, nor did a connection that never came about; those are repeated as usual.
#[derive(Debug)]
pub(super) struct NotAfterDoubt;

impl ClassifyRetry for NotAfterDoubt {
    fn classify_retry(&self, _: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, context: &InterceptorContext, previous: &RetryAction) -> RetryAction {
        let throttled = matches!(previous, RetryAction::RetryIndicated(RetryReason::RetryableError { kind: ErrorKind::ThrottlingError, .. }));
        let unsent =
            matches!(context.output_or_error(), Some(Err(failure)) if failure.as_connector_error().is_some_and(|cause| error::never_sent(cause)));
        if throttled || unsent { RetryAction::NoActionIndicated } else { RetryAction::RetryForbidden }
    }

    fn name(&self) -> &'static str {
        "lifeboat::NotAfterDoubt"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // After all of the SDK's own, whose verdict it reads.
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Where the request id of an answer stands: usually a header, with EC2 only sometimes.
pub(super) fn header_request_id(response: &HttpResponse) -> Option<String> {
    RequestId::request_id(response).map(str::to_owned)
}
