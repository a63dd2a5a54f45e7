//! From settings to SDK clients: credentials, endpoint, TLS, deadlines.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_ec2::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::call::RATES;
use super::credentials::Keys;
use super::{Aws, Shared, made_up};
use crate::model::host::{Owner, owner};
use crate::ports::attempts;
use crate::ports::calls::DEADLINE;
use crate::ports::gate::Gate;
use crate::ports::pace::Pace;

/// How to reach one AWS account.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A profile of `~/.aws/config`; it then wins over credentials in the environment, as with `aws --profile`.
    /// Without it the standard chain: environment, default profile, web identity, container, instance.
    pub profile: Option<String>,
    /// Where regional calls go.
    pub region: String,
    /// The account this is meant to be, twelve digits; see [`Aws::check_account`].
    pub account: Option<String>,
    /// One address for all services, as the lab and moto have; S3 is then asked path-style, unless it is the vendor's own.
    pub endpoint: Option<String>,
    /// By service, in the SDK's words, where its calls go; a service that is not there is asked at the vendor's own. `None` = as the SDK finds it out by itself,
    /// which may be otherwise each time. `endpoint` goes before it.
    pub services: Option<BTreeMap<String, String>>,
    /// Keys given by the environment file instead of any chain.
    pub credentials: Option<StaticKeys>,
    /// The regions that are closed for these clients.
    pub gate: Gate,
    /// The longest that one call may take, with its retries.
    pub timeout: Duration,
}

impl Settings {
    /// The standard chain in `region`, with the usual deadline.
    #[must_use]
    pub fn new(region: impl Into<String>, gate: Gate) -> Self {
        Self { profile: None, region: region.into(), account: None, endpoint: None, services: None, credentials: None, gate, timeout: DEADLINE }
    }
}

/// A key pair. `Debug` shows the id only.
#[derive(Clone)]
pub struct StaticKeys {
    /// Access key id; not a secret.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

pub(super) async fn connect(settings: Settings) -> Aws {
    let client = http_client(&settings);
    assemble(settings, client, attempts::MOST).await
}

pub(super) async fn assemble(settings: Settings, client: SharedHttpClient, attempts: u32) -> Aws {
    let keys = Arc::new(Keys::new(&settings, client.clone()));
    let config = sdk_config(&settings, client, &keys).await;
    // A service is asked where it was found to be when the environment was opened: what checks the account and what changes things go to one place.
    let found = settings.services.as_ref().filter(|_| settings.endpoint.is_none());
    let object_store = settings.endpoint.as_ref().or_else(|| settings.services.as_ref()?.get(S3));
    macro_rules! client {
        ($sdk:ident, $service:expr) => {{
            let mut builder = $sdk::config::Builder::from(&config);
            if let Some(found) = found {
                builder.set_endpoint_url(found.get($service).cloned());
            }
            builder
        }};
    }
    let shared = Shared {
        cloudwatch: aws_sdk_cloudwatch::Client::from_conf(client!(aws_sdk_cloudwatch, CLOUDWATCH).build()),
        ec2: aws_sdk_ec2::Client::from_conf(client!(aws_sdk_ec2, EC2).build()),
        route53: aws_sdk_route53::Client::from_conf(client!(aws_sdk_route53, ROUTE_53).build()),
        s3: aws_sdk_s3::Client::from_conf(
            client!(aws_sdk_s3, S3)
                // Only the vendor's own hosts are sure to have a name for every bucket.
                .force_path_style(object_store.is_some_and(|endpoint| owner(endpoint) != Owner::Vendor))
                .build(),
        ),
        sts: aws_sdk_sts::Client::from_conf(client!(aws_sdk_sts, STS).build()),
        // What answers elsewhere than at the vendor's has limits of its own, which are learnt.
        pace: Arc::new(Pace::new(if settings.endpoint.is_none() { RATES } else { &[] })),
        zones: Mutex::default(),
        changing: Mutex::default(),
        source: source(&settings).into(),
        endpoint: settings.endpoint.as_deref().map(Into::into),
        account: settings.account,
        gate: settings.gate,
        timeout: settings.timeout,
        attempts,
        keys,
    };
    Aws { shared: Arc::new(shared), region: settings.region }
}

fn source(settings: &Settings) -> String {
    match (&settings.credentials, &settings.profile) {
        (Some(_), _) => "the keys of the environment file".to_owned(),
        (None, Some(profile)) => format!("profile `{profile}`"),
        (None, None) => "the standard chain (environment, default profile, web identity, container, instance)".to_owned(),
    }
}

async fn sdk_config(settings: &Settings, client: SharedHttpClient, keys: &Arc<Keys>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client)
        .region(Region::new(settings.region.clone()))
        // Which failures are met by sending again, and when, is decided in `call`, with the vendor's wishes and our deadline in sight.
        .retry_config(RetryConfig::disabled())
        // Every call has a deadline of ours; a second watch over slow bodies would only add another way to fail.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .app_name(AppName::new("lifeboat").expect("letters only"))
        .credentials_provider(SharedCredentialsProvider::from(Arc::clone(keys) as Arc<dyn ProvideCredentials>))
        // `Keys` keeps what it found, and forgets it when a service calls it expired.
        .identity_cache(IdentityCache::no_cache());
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// The services whose clients are made here, as the SDK calls them in its configuration.
const SERVICES: [&str; 5] = [CLOUDWATCH, EC2, ROUTE_53, S3, STS];
const CLOUDWATCH: &str = "CloudWatch";
const EC2: &str = "EC2";
const ROUTE_53: &str = "Route 53";
const S3: &str = "S3";
const STS: &str = "STS";

/// By service, every address that is named for it, whoever names it: `settings`, the process's environment (`AWS_ENDPOINT_URL` and those of single services) or
/// the profile (`endpoint_url` and `services`). The others are where AWS has them. Asks nobody.
pub(super) async fn endpoints(settings: &Settings) -> BTreeMap<String, String> {
    if let Some(endpoint) = &settings.endpoint {
        // What is given to the SDK by its caller goes before everything else.
        return SERVICES.iter().map(|service| ((*service).to_owned(), endpoint.clone())).collect();
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(settings.region.clone())).no_credentials();
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    let of = |service: &str| {
        let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        config.service_config()?.load_config(key)
    };
    let address = |service: &str| of(service).or_else(|| config.endpoint_url().map(str::to_owned));
    SERVICES.iter().filter_map(|service| Some(((*service).to_owned(), address(service)?))).collect()
}

fn http_client(settings: &Settings) -> SharedHttpClient {
    let plain = settings.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let is_local = settings.endpoint.as_deref().is_some_and(is_on_this_machine);
    let look = |name: &str| std::env::var(name).ok();
    let proxy = if is_local { ProxyConfig::disabled() } else { proxy(plain, &look) };
    if plain && settings.credentials.is_some() && proxy.is_disabled() {
        // Nothing will ever need TLS, and reading the system's certificates takes longer than many a lab call.
        return Builder::new().build_http();
    }
    let store = match trusted(&look) {
        Ok(None) => TrustStore::default(),
        Ok(Some(pem)) => TrustStore::empty().with_pem_certificate(pem),
        Err(why) => return made_up::refusing(why),
    };
    let tls = TlsContext::builder().with_trust_store(store).build().unwrap_or_default();
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder();
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder.proxy_config(proxy.clone()).tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build()
    })
}

/// Whether no proxy can reach it.
fn is_on_this_machine(endpoint: &str) -> bool {
    match url::Url::parse(endpoint).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Where the metadata services are: on the machine itself, as it were.
const METADATA: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,localhost,127.0.0.0/8,::1";

/// The proxy that the environment names (`HTTPS_PROXY`, for an endpoint in the clear `HTTP_PROXY`, else `ALL_PROXY`, in either case), except for
/// what `NO_PROXY` names and for the metadata services. The same variables hold for Alibaba Cloud.
fn proxy(plain: bool, look: &dyn Fn(&str) -> Option<String>) -> ProxyConfig {
    let first = |names: &[&str]| names.iter().find_map(|name| look(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()));
    let own = if plain { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    let Some(address) = first(&own).or_else(|| first(&["ALL_PROXY", "all_proxy"])) else { return ProxyConfig::disabled() };
    // Written without a scheme it is one that is spoken to in the clear, as everywhere.
    let address = if address.contains("://") { address } else { format!("http://{address}") };
    // What is no address is no proxy; the calls then say that nobody is reached.
    let config = if plain { ProxyConfig::http(address.as_str()) } else { ProxyConfig::https(address.as_str()) };
    let Ok(config) = config else { return ProxyConfig::disabled() };
    config.no_proxy(first(&["NO_PROXY", "no_proxy"]).map_or_else(|| METADATA.to_owned(), |others| format!("{others},{METADATA}")))
}

/// The certificates of `AWS_CA_BUNDLE`, which for AWS take the place of the system's; `None` without it.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
fn trusted(look: &dyn Fn(&str) -> Option<String>) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = look("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) else { return Ok(None) };
    let bytes = std::fs::read(&path).map_err(|error| format!("AWS_CA_BUNDLE: {path}: {error}"))?;
    let mut pem = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| format!("AWS_CA_BUNDLE: {path}: {error}"))?;
        // One that cannot vouch for anybody is left out: bundles hold odd ones.
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            let text = STANDARD.encode(&certificate);
            pem.extend_from_slice(format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n").as_bytes());
        }
    }
    if pem.is_empty() { Err(format!("AWS_CA_BUNDLE: {path} holds no certificate")) } else { Ok(Some(pem)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_settings_hides_the_secret() {
        let mut settings = Settings::new("us-east-1", Gate::default());
        settings.credentials =
            Some(StaticKeys { access_key_id: "AKIDSHOWN".into(), secret_access_key: "s3cr3t".into(), session_token: Some("t0ken".into()) });
        let shown = format!("{settings:?}");
        assert!(shown.contains("AKIDSHOWN"));
        assert!(!shown.contains("s3cr3t") && !shown.contains("t0ken"), "{shown}");
    }
    fn asked(plain: bool, variables: &[(&str, &str)]) -> String {
        let look = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        format!("{:?}", proxy(plain, &look))
    }

    #[test]
    fn the_proxy_is_the_environments_and_never_stands_before_the_metadata_service() {
        assert!(proxy(false, &|_| None).is_disabled());
        assert!(asked(false, &[("HTTP_PROXY", "http://127.0.0.1:3128")]).contains("Disabled"), "calls over HTTPS go by their own");
        assert!(asked(true, &[("HTTPS_PROXY", "http://127.0.0.1:3128")]).contains("Disabled"), "and those in the clear by theirs");
        assert!(asked(true, &[("HTTP_PROXY", "http://127.0.0.1:3128")]).contains("127.0.0.1:3128"));
        for (name, value) in [("HTTPS_PROXY", "http://p.example:3128"), ("https_proxy", "p.example:3128"), ("ALL_PROXY", "http://p.example:3128")] {
            let said = asked(false, &[(name, value), ("NO_PROXY", ".internal")]);
            assert!(said.contains("p.example:3128") && said.contains(".internal,169.254.169.254"), "{name}: {said}");
        }
        for (endpoint, expected) in
            [("http://127.0.0.1:1", true), ("https://localhost", true), ("https://ec2.us-east-1.amazonaws.com", false), ("http://10.0.0.1", false)]
        {
            assert_eq!(is_on_this_machine(endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn a_bundle_that_is_of_no_use_is_named() {
        assert_eq!(trusted(&|_| None), Ok(None));
        assert!(trusted(&|_| Some("/nowhere.pem".into())).unwrap_err().starts_with("AWS_CA_BUNDLE: /nowhere.pem: "));
        let file = std::env::temp_dir().join(format!("lifeboat-bundle-{}.pem", std::process::id()));
        std::fs::write(&file, "no certificate\n").unwrap();
        let error = trusted(&|_| file.to_str().map(str::to_owned)).unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert!(error.ends_with("holds no certificate"), "{error}");
    }
}
