//! From settings to SDK clients: credentials, endpoint, TLS, deadlines.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_ec2::config::StalledStreamProtectionConfig;
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::{Aws, Shared};
use crate::ports::gate::Gate;

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
    /// The deadline of a call where the environment says nothing else.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// The standard chain in `region`, with the usual deadline.
    #[must_use]
    pub fn new(region: impl Into<String>, gate: Gate) -> Self {
        Self { profile: None, region: region.into(), account: None, endpoint: None, credentials: None, gate, timeout: Self::TIMEOUT }
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
    let config = sdk_config(&settings).await;
    let partition = own_partition();
    let shared = Shared {
        cloudwatch: aws_sdk_cloudwatch::Client::from_conf(
            aws_sdk_cloudwatch::config::Builder::from(&config).retry_partition(partition.clone()).build(),
        ),
        ec2: aws_sdk_ec2::Client::from_conf(aws_sdk_ec2::config::Builder::from(&config).retry_partition(partition.clone()).build()),
        route53: aws_sdk_route53::Client::from_conf(aws_sdk_route53::config::Builder::from(&config).retry_partition(partition.clone()).build()),
        s3: aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::config::Builder::from(&config)
                .retry_partition(partition.clone())
                // A loopback address has no bucket subdomains.
                .force_path_style(settings.endpoint.is_some())
                .build(),
        ),
        sts: aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(&config).retry_partition(partition).build()),
        source: source(&settings).into(),
        account: settings.account,
        gate: settings.gate,
        timeout: settings.timeout,
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

async fn sdk_config(settings: &Settings) -> SdkConfig {
    let client = http_client(settings);
    let region = Region::new(settings.region.clone());
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(client.clone())
        .region(region.clone())
        // The SDK's first pause is a second; a failover is measured in seconds.
        .retry_config(
            RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(200)).with_max_backoff(Duration::from_secs(2)),
        )
        // Every call has a deadline of ours; a second watch over slow bodies would only add another way to fail.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .app_name(AppName::new("lifeboat").expect("letters only"));
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(keys) = &settings.credentials {
        let keys = keys.clone();
        loader = loader.credentials_provider(Credentials::new(keys.access_key_id, keys.secret_access_key, keys.session_token, None, "lifeboat"));
    } else if let Some(profile) = &settings.profile {
        // The default chain would ask the environment first and so use another account than the one that was named.
        let provider = ProviderConfig::without_region().with_region(Some(region)).with_http_client(client);
        loader = loader
            .profile_name(profile)
            .credentials_provider(ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&provider).build());
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

/// The SDK shares its retry budget between all clients of a service in the process; probes hammering a dead region would eat that of the actions.
fn own_partition() -> RetryPartition {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    RetryPartition::new(format!("lifeboat-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
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
