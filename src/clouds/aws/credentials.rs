//! Which credentials sign, and where others come from when a service says that the present ones have expired.
//!
//! The SDK's own cache keeps credentials for a quarter of an hour, even when the file that they came from has newer ones by then. Here an expired key is forgotten and the whole chain is
//! asked again: the profile's file is read again, its process is run again, its role is assumed again.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{self, ProvideCredentials};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Mutex;

use super::config::Settings;
use crate::ports::secrets;

/// Credentials that are about to expire are not used any more.
const MARGIN: Duration = Duration::from_secs(10);

/// The credentials of one client.
pub(super) struct Keys {
    source: Source,
    region: Region,
    client: SharedHttpClient,
    found: Mutex<Option<Credentials>>,
}

enum Source {
    Given(Credentials),
    /// A profile that was named. The default chain would ask the environment first and so use another account than the one that is meant.
    Profile(String),
    Chain,
}

impl Keys {
    pub(super) fn new(settings: &Settings, client: SharedHttpClient) -> Self {
        let source = match (&settings.credentials, &settings.profile) {
            (Some(keys), _) => {
                let keys = keys.clone();
                Source::Given(Credentials::new(keys.access_key_id, keys.secret_access_key, keys.session_token, None, "lifeboat"))
            }
            (None, Some(profile)) => Source::Profile(profile.clone()),
            (None, None) => Source::Chain,
        };
        Self { source, region: Region::new(settings.region.clone()), client, found: Mutex::new(None) }
    }

    /// Asks the source anew at the next call.
    pub(super) async fn forget(&self) {
        *self.found.lock().await = None;
    }

    async fn provide(&self) -> provider::Result {
        let mut found = self.found.lock().await;
        let is_lasting = |credentials: &&Credentials| credentials.expiry().is_none_or(|end| SystemTime::now() + MARGIN < end);
        if let Some(credentials) = found.as_ref().filter(is_lasting) {
            return Ok(credentials.clone());
        }
        // Built anew each time: what the SDK's providers have read once they do not read again.
        let config = ProviderConfig::without_region().with_region(Some(self.region.clone())).with_http_client(self.client.clone());
        let credentials = match &self.source {
            Source::Given(credentials) => credentials.clone(),
            Source::Profile(profile) => {
                ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&config).build().provide_credentials().await?
            }
            // Without the region the chain looks for one, in the end by asking the machine's metadata service, which may be silent.
            Source::Chain => {
                DefaultCredentialsChain::builder().region(self.region.clone()).configure(config).build().await.provide_credentials().await?
            }
        };
        secrets::keep(credentials.secret_access_key());
        credentials.session_token().into_iter().for_each(secrets::keep);
        *found = Some(credentials.clone());
        Ok(credentials)
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.provide())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
