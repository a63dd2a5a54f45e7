//! What an author of a probe writes, and the erased form in which the engine samples it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::action::{ParamError, parse_params};
use crate::model::plan::ClientModel;
pub use crate::ports::samples::Reading;

/// A probe kind: a read that is repeated. The parameter struct *is* the probe; `expect` in it says what is good.
///
/// Probes run on their own runtime with their own clients: nothing an action does can delay them.
pub trait Probe<W>: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The word in a scenario.
    const KIND: &'static str;
    /// Its parameters as they are written below `with:`, in YAML; the things that they name are those of the shipped lab, as in
    /// [`Action::EXAMPLE`](super::action::Action::EXAMPLE).
    const EXAMPLE: &'static str = "";
    /// The vendor operations that a sample calls, such as `cloudwatch:GetMetricData`; both clouds' where a parameter says which.
    const CALLS: &'static [&'static str];
    /// Whether what it watches is, unless the file says otherwise, a client-facing service.
    const SERVICE: bool = false;

    /// What no answer in time says. Bad of what a client asks for and does not get; unknown of an instrument, which then has read nothing.
    const SILENCE: Reading = Reading::Bad;

    /// Parameters in which a secret may stand, with everything beneath them; never what decides what is read, or where.
    const SECRETS: &'static [&'static str] = &[];
    /// Parameters whose texts may name files of this machine that the probe runs or reads.
    const READS: &'static [&'static str] = &[];

    /// The longest one sample may take; the engine counts a longer one as [`Probe::SILENCE`] with detail `no answer within …`.
    fn timeout(&self) -> Duration;

    /// Whether it reads an alarm of the monitoring that is on duty also when nobody drills: what it sees was noticed by that, not by Lifeboat.
    fn is_on_duty(&self) -> bool {
        false
    }

    /// As which clients it asks a service; none = it is none.
    fn clients(&self) -> BTreeSet<ClientModel> {
        BTreeSet::new()
    }

    /// One reading.
    fn sample(&self, world: &W) -> impl Future<Output = Sample> + Send;
}

/// What one sample said.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Good, bad, or unknown when it could not tell.
    pub reading: Reading,
    /// Why, in a few words: `200 in 3 ms`, `connection refused`, `503, expected 200`.
    pub detail: String,
    /// The value read, for probes that have one (lag in ms, a number of a query).
    pub value: Option<Value>,
    /// When the first byte of the answer was there, for probes that wait for one.
    pub first_byte: Option<Instant>,
}

impl Sample {
    /// As expected.
    pub fn good(detail: impl Into<String>) -> Self {
        Self { reading: Reading::Good, detail: detail.into(), value: None, first_byte: None }
    }

    /// Not as expected.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self { reading: Reading::Bad, detail: detail.into(), value: None, first_byte: None }
    }

    /// Could not tell.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self { reading: Reading::Unknown, detail: detail.into(), value: None, first_byte: None }
    }

    /// With the moment at which the first byte was there.
    #[must_use]
    pub const fn with_first_byte(mut self, at: Option<Instant>) -> Self {
        self.first_byte = at;
        self
    }

    /// With the value that was read.
    #[must_use]
    pub fn with_value(mut self, value: Value) -> Self {
        self.value = Some(value);
        self
    }
}

/// What is good says why.
impl From<String> for Sample {
    fn from(detail: String) -> Self {
        Self::good(detail)
    }
}

/// A probe with its types erased.
pub trait DynProbe<W>: Send + Sync {
    /// See [`Probe::timeout`].
    fn timeout(&self) -> Duration;
    /// See [`Probe::clients`].
    fn clients(&self) -> BTreeSet<ClientModel>;
    /// The sample that had no answer within the timeout.
    fn late(&self) -> Sample;
    /// See [`Probe::is_on_duty`].
    fn is_on_duty(&self) -> bool;
    /// See [`Probe::sample`].
    fn sample<'a>(&'a self, world: &'a W) -> Pin<Box<dyn Future<Output = Sample> + Send + 'a>>;
}

impl<W: Send + Sync, P: Probe<W>> DynProbe<W> for P {
    fn timeout(&self) -> Duration {
        Probe::timeout(self)
    }

    fn clients(&self) -> BTreeSet<ClientModel> {
        Probe::clients(self)
    }

    fn late(&self) -> Sample {
        let detail = format!("no answer within {}", crate::model::time::Span::from(Probe::timeout(self)));
        Sample { reading: P::SILENCE, ..Sample::bad(detail) }
    }

    fn is_on_duty(&self) -> bool {
        Probe::is_on_duty(self)
    }

    fn sample<'a>(&'a self, world: &'a W) -> Pin<Box<dyn Future<Output = Sample> + Send + 'a>> {
        Box::pin(Probe::sample(self, world))
    }
}

/// Reads parameters as a probe.
pub type ParseProbe<W> = fn(&Value) -> Result<Arc<dyn DynProbe<W>>, ParamError>;

/// One row of the catalogue's table of probes.
pub struct ProbeType<W: 'static> {
    /// The word.
    pub kind: &'static str,
    /// See [`Probe::EXAMPLE`].
    pub example: &'static str,
    /// See [`Probe::CALLS`].
    pub calls: &'static [&'static str],
    /// See [`Probe::SERVICE`].
    pub service: bool,
    /// See [`Probe::SECRETS`].
    pub secrets: &'static [&'static str],
    /// See [`Probe::READS`].
    pub reads: &'static [&'static str],
    /// JSON Schema of the parameters; its `description` is the help text.
    pub schema: fn() -> schemars::Schema,
    /// Reads the parameters.
    pub parse: ParseProbe<W>,
}

impl<W: Send + Sync + 'static> ProbeType<W> {
    /// The row of `P`.
    #[must_use]
    pub const fn of<P: Probe<W>>() -> Self {
        Self {
            kind: P::KIND,
            example: P::EXAMPLE,
            calls: P::CALLS,
            service: P::SERVICE,
            secrets: P::SECRETS,
            reads: P::READS,
            schema: || schemars::schema_for!(P),
            parse: |params| Ok(Arc::new(parse_params::<P>(params)?)),
        }
    }
}
