//! What it takes to reach an environment: made from the project file, or from what a lab says about itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::clouds::aliyun;
#[cfg(feature = "aws")]
use crate::clouds::aws;
use crate::model::call::Cloud;
use crate::model::project::Zones;
use crate::model::target::Location;
use crate::ports::gate::Gate;

/// The longest that one call may take, with its retries, on either cloud.
pub const CALL_DEADLINE: Duration = crate::ports::calls::DEADLINE;

/// An environment, ready to be connected to.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its name, for messages.
    pub environment: String,
    /// The AWS account, if it has one.
    pub aws: Option<CloudSettings>,
    /// The Alibaba Cloud account, if it has one.
    pub aliyun: Option<CloudSettings>,
    /// `host:port` of the name server that probes and checks ask; `None` = the system's resolver.
    pub name_server: Option<String>,
    /// Which cloud serves which zone.
    pub zones: Zones,
}

/// One account of one cloud.
#[derive(Clone, Debug, Default)]
pub struct CloudSettings {
    /// Where regional calls go.
    pub region: String,
    /// The account this is meant to be; preflight refuses another one.
    pub account: Option<String>,
    /// A profile of the cloud's own configuration file.
    pub profile: Option<String>,
    /// One address for all services but `objects_endpoint`'s.
    pub endpoint: Option<String>,
    /// By service, where each is asked, as it was found when the environment was opened; `None` = it was not looked for.
    pub services: Option<BTreeMap<String, String>>,
    /// Address of the object store, where it is apart (OSS).
    pub objects_endpoint: Option<String>,
    /// Keys given by the environment instead of any chain.
    pub keys: Option<Keys>,
    /// The longest that one call may take, with its retries; `None` = the client's default.
    pub timeout: Option<Duration>,
}

/// A key pair. `Debug` shows the id only.
#[derive(Clone)]
pub struct Keys {
    /// Access key id; not a secret.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Settings {
    /// Where things of each cloud are unless a step says otherwise.
    #[must_use]
    pub fn locations(&self) -> BTreeMap<Cloud, Location> {
        let sides = [(Cloud::Aws, &self.aws), (Cloud::Aliyun, &self.aliyun)];
        let location = |cloud, side: &CloudSettings| Location { cloud, account: side.account.clone(), region: Some(side.region.clone()) };
        sides.into_iter().filter_map(|(cloud, side)| Some((cloud, location(cloud, side.as_ref()?)))).collect()
    }

    /// A cloud is meant to be this account, unless another one is named.
    pub fn is_account(&mut self, cloud: Cloud, account: Option<&str>) {
        let side = match cloud {
            Cloud::Aws => &mut self.aws,
            Cloud::Aliyun => &mut self.aliyun,
        };
        if let (Some(side), Some(account)) = (side, account) {
            side.account.get_or_insert_with(|| account.to_owned());
        }
    }
}

#[cfg(feature = "aws")]
impl Settings {
    /// Finds out, once, where the AWS SDK sends the calls of each service: from now on they go there.
    pub async fn find_endpoints(&mut self) {
        let found = match self.aws(&Gate::default()) {
            Some(settings) => aws::endpoints(&settings).await,
            None => return,
        };
        self.aws.iter_mut().for_each(|aws| aws.services = Some(found.clone()));
    }

    pub(super) fn aws(&self, gate: &Gate) -> Option<aws::Settings> {
        let given = self.aws.as_ref()?;
        let mut settings = aws::Settings::new(&given.region, gate.clone());
        settings.profile.clone_from(&given.profile);
        settings.account.clone_from(&given.account);
        settings.endpoint.clone_from(&given.endpoint);
        settings.services.clone_from(&given.services);
        settings.credentials = given.keys.clone().map(|keys| aws::StaticKeys {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
        });
        if let Some(timeout) = given.timeout {
            settings.timeout = timeout;
        }
        Some(settings)
    }
}

impl Settings {
    /// Without the AWS SDK nothing else can name addresses.
    #[cfg(not(feature = "aws"))]
    pub async fn find_endpoints(&mut self) {}

    pub(super) fn aliyun(&self, gate: &Gate) -> Option<aliyun::Settings> {
        let given = self.aliyun.as_ref()?;
        let mut settings = aliyun::Settings::new(&given.region, gate.clone());
        settings.profile.clone_from(&given.profile);
        settings.account.clone_from(&given.account);
        settings.endpoint.clone_from(&given.endpoint);
        settings.oss_endpoint.clone_from(&given.objects_endpoint);
        settings.credentials = given.keys.clone().map(|keys| aliyun::StaticKeys {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
        });
        if let Some(timeout) = given.timeout {
            settings.timeout = timeout;
        }
        Some(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        let keys = Keys { access_key_id: "AKIDSHOWN".into(), secret_access_key: "s3cr3t".into(), session_token: Some("t0ken".into()) };
        let settings = Settings { aws: Some(CloudSettings { keys: Some(keys), ..CloudSettings::default() }), ..Settings::default() };
        let shown = format!("{settings:?}");
        assert!(shown.contains("AKIDSHOWN") && !shown.contains("s3cr3t") && !shown.contains("t0ken"), "{shown}");
    }
}
