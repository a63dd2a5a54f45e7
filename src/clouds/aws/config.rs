//! From settings to SDK clients: credentials, endpoint, TLS, deadlines.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_ec2::config::StalledStreamProtectionConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::call::{ATTEMPTS, RATES};
use super::credentials::Keys;
use super::{Aws, Shared};
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
    /// One address for all services, as the lab and moto have; S3 is then asked path-style.
    pub endpoint: Option<String>,
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
        Self { profile: None, region: region.into(), account: None, endpoint: None, credentials: None, gate, timeout: DEADLINE }
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
    assemble(settings, client, ATTEMPTS).await
}

pub(super) async fn assemble(settings: Settings, client: SharedHttpClient, attempts: u32) -> Aws {
    let keys = Arc::new(Keys::new(&settings, client.clone()));
    let config = sdk_config(&settings, client, &keys).await;
    let shared = Shared {
        cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
        ec2: aws_sdk_ec2::Client::new(&config),
        route53: aws_sdk_route53::Client::new(&config),
        s3: aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&config)
                // A loopback address has no bucket subdomains.
                .force_path_style(settings.endpoint.is_some())
                .build(),
        ),
        sts: aws_sdk_sts::Client::new(&config),
        // What answers elsewhere than at the vendor's has limits of its own, which are learnt.
        pace: Arc::new(Pace::new(if settings.endpoint.is_none() { RATES } else { &[] })),
        zones: Mutex::default(),
        changing: Mutex::default(),
        source: source(&settings).into(),
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

fn http_client(settings: &Settings) -> SharedHttpClient {
    let plain = settings.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if plain && settings.credentials.is_some() {
        // Nothing will ever need TLS, and reading the system's certificates takes longer than many a lab call.
        Builder::new().build_http()
    } else {
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    }
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
}
