//! From settings to a client: credentials, addresses, TLS, deadlines.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;

use super::call::{RATES, Transport};
use super::credentials::Chain;
use super::endpoint::Endpoints;
use super::{Aliyun, Shared};
use crate::ports::calls::DEADLINE;
use crate::ports::gate::Gate;
use crate::ports::pace::Pace;
use crate::ports::secrets;

/// How to reach one Alibaba Cloud account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A profile of `~/.aliyun/config.json`; it then wins over keys in the environment.
    /// Without it: keys of the environment, then the profile the file calls current.
    pub profile: Option<String>,
    /// Where regional calls go.
    pub region: String,
    /// The account this is meant to be, sixteen digits; see [`Aliyun::check_account`].
    pub account: Option<String>,
    /// One address for all products but OSS, as the lab has.
    pub endpoint: Option<String>,
    /// Address of OSS: one of the vendor's hosts, such as an internal one; an address of the lab's kind, where buckets are named in the path; or
    /// a domain that is bound to the one bucket which is used.
    pub oss_endpoint: Option<String>,
    /// Addresses of single products (`ecs`, `alidns`, …), before `endpoint`.
    pub product_endpoints: BTreeMap<String, String>,
    /// Keys given by the environment file instead of any chain.
    pub credentials: Option<StaticKeys>,
    /// The regions that are closed for these clients.
    pub gate: Gate,
    /// The longest that one call may take, with its retries.
    pub timeout: Duration,
}

impl Settings {
    /// The usual credentials in `region`, with the usual addresses and deadline.
    #[must_use]
    pub fn new(region: impl Into<String>, gate: Gate) -> Self {
        Self {
            profile: None,
            region: region.into(),
            account: None,
            endpoint: None,
            oss_endpoint: None,
            product_endpoints: BTreeMap::new(),
            credentials: None,
            gate,
            timeout: DEADLINE,
        }
    }
}

/// A key pair. `Debug` shows the id only.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticKeys {
    /// Access key id; not a secret.
    pub access_key_id: String,
    /// Access key secret.
    pub secret_access_key: String,
    /// Security token of temporary credentials.
    pub session_token: Option<String>,
}

impl StaticKeys {
    /// From now on nothing of them is said: services quote what they were sent when they refuse a signature.
    pub(super) fn keep(&self) {
        secrets::keep(&self.secret_access_key);
        self.session_token.iter().for_each(|token| secrets::keep(token));
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

pub(super) fn connect(settings: Settings) -> Aliyun {
    let http = http_client(&settings);
    assemble(settings, Transport::Http(http))
}

pub(super) fn assemble(settings: Settings, transport: Transport) -> Aliyun {
    let shared = Shared {
        transport,
        // What answers elsewhere than at the vendor's has limits of its own, which are learnt.
        pace: Pace::new(if settings.endpoint.is_none() { RATES } else { &[] }),
        zones: Mutex::default(),
        endpoints: endpoints(&settings),
        credentials: Chain::new(settings.credentials, settings.profile),
        account: settings.account,
        gate: settings.gate,
        timeout: settings.timeout,
        skew_ms: AtomicI64::new(0),
    };
    Aliyun { shared: Arc::new(shared), region: settings.region }
}

fn endpoints(settings: &Settings) -> Endpoints {
    Endpoints { products: settings.product_endpoints.clone(), all: settings.endpoint.clone(), oss: settings.oss_endpoint.clone() }
}

fn http_client(settings: &Settings) -> Result<reqwest::Client, String> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let given = settings.product_endpoints.values().chain(&settings.endpoint).chain(&settings.oss_endpoint);
    let is_plain = settings.endpoint.is_some() && settings.oss_endpoint.is_some() && given.clone().all(|url| url.starts_with("http://"));
    let is_local = endpoints(settings).has_any_on_this_machine();
    let tls = if is_plain {
        // Nothing will ever need TLS, and reading the system's certificates takes longer than many a lab call.
        builder.with_root_certificates(rustls::RootCertStore::empty())
    } else {
        builder.with_platform_verifier().map_err(|error| error.to_string())?
    };
    let mut client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .connect_timeout((settings.timeout / 3).min(Duration::from_secs(3)))
        .redirect(reqwest::redirect::Policy::none())
        // Every attempt is one of ours, with its own signature and its own record.
        .retry(reqwest::retry::never())
        .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
    // Otherwise HTTPS_PROXY and NO_PROXY are heeded.
    if is_local {
        client = client.no_proxy();
    }
    client.build().map_err(|error| format!("no HTTP client can be made: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_settings_and_client_hides_the_secret() {
        let mut settings = Settings::new("cn-hangzhou", Gate::default());
        settings.credentials =
            Some(StaticKeys { access_key_id: "LTAISHOWN".into(), secret_access_key: "s3cr3t".into(), session_token: Some("t0ken".into()) });
        let shown = format!("{settings:?} {:?}", Aliyun::connect(settings.clone()));
        assert!(shown.contains("LTAISHOWN"));
        assert!(!shown.contains("s3cr3t") && !shown.contains("t0ken"), "{shown}");
    }
}
