//! What actions and probes reach into: the two clouds, HTTP, DNS, commands.
//!
//! A run has two: one for its actions, one for its probes. They share the [`Gate`] and nothing else, so that a hung call of an action never
//! delays a measurement.

pub mod client;
pub mod command;
pub mod connect;
pub mod datagram;
pub mod here;
pub mod http;
pub mod resolve;
pub mod settings;
pub mod tls;

use std::collections::BTreeMap;
use std::{fmt, io};

use crate::clouds::aliyun::Aliyun;
#[cfg(feature = "aws")]
use crate::clouds::aws::Aws;
use crate::model::project::Zones;
use crate::ports::compute::Compute;
use crate::ports::dns::Dns;
use crate::ports::gate::Gate;
use crate::ports::metrics::Metrics;
use crate::ports::objects::ObjectStore;
use crate::ports::tags::Tags;
use crate::ports::{Cloud, CloudError, Kind, sync};

use self::command::Programs;
use self::here::Here;
use self::http::Http;
use self::resolve::Resolver;
use self::settings::Settings;
use crate::model::target::Location;

/// The one struct that holds what is outside.
pub struct World {
    environment: String,
    #[cfg(feature = "aws")]
    aws: Option<Aws>,
    aliyun: Option<Aliyun>,
    gate: Gate,
    resolver: Resolver,
    http: Http,
    locations: BTreeMap<Cloud, Location>,
    /// Which provider serves which zone.
    zones: Zones,
    programs: Programs,
}

impl World {
    /// The same world, in which programs are run so.
    #[must_use]
    pub fn running(self, programs: Programs) -> Self {
        Self { programs, ..self }
    }

    /// Runs a command that a definition names: see [`command::run`].
    ///
    /// # Errors
    /// When it cannot be run, or is not to be.
    pub async fn command(
        &self,
        command: &[String],
        env: &BTreeMap<String, String>,
        ours: &[(&str, &str)],
        input: &str,
    ) -> io::Result<command::Ended> {
        match &self.programs {
            Programs::Here => command::run(command, env, ours, input).await,
            Programs::In(folder) => command::run_in(Some(folder), command, env, ours, input).await,
            Programs::Refused(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why.clone())),
        }
    }

    /// Which cloud serves which zone.
    #[must_use]
    pub const fn zones(&self) -> &Zones {
        &self.zones
    }

    /// Clients of their own for everything that `settings` names. Sends nothing yet.
    pub async fn connect(settings: &Settings, gate: &Gate) -> Self {
        let resolver = Resolver::new(settings.name_server.clone());
        Self {
            environment: settings.environment.clone(),
            #[cfg(feature = "aws")]
            aws: match settings.aws(gate) {
                Some(aws) => Some(Aws::connect(aws).await),
                None => None,
            },
            aliyun: settings.aliyun(gate).map(Aliyun::connect),
            gate: gate.clone(),
            http: Http::new(resolver.clone()),
            resolver,
            locations: settings.locations(),
            zones: settings.zones.clone(),
            programs: Programs::Here,
        }
    }

    /// Where this process runs, by the metadata services of the clouds and by the addresses of this machine.
    pub async fn here(&self) -> Here {
        Here::look(&self.http).await
    }

    /// Where things of a cloud are unless a step says otherwise: in the environment's account and region, as far as it names them.
    #[must_use]
    pub fn location(&self, cloud: Cloud) -> Location {
        self.locations.get(&cloud).cloned().unwrap_or(Location { cloud, account: None, region: None })
    }

    /// AWS and what only it has.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`] when the environment has no `aws`.
    #[cfg(feature = "aws")]
    pub fn aws(&self) -> Result<&Aws, CloudError> {
        self.aws.as_ref().ok_or_else(|| self.unconfigured(Cloud::Aws))
    }

    /// Alibaba Cloud and what only it has.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`] when the environment has no `aliyun`.
    pub fn aliyun(&self) -> Result<&Aliyun, CloudError> {
        self.aliyun.as_ref().ok_or_else(|| self.unconfigured(Cloud::Aliyun))
    }

    /// Virtual machines of one cloud.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`].
    pub fn compute(&self, cloud: Cloud) -> Result<&dyn Compute, CloudError> {
        match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => Ok(self.aws()?),
            #[cfg(not(feature = "aws"))]
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => Ok(self.aliyun()?),
        }
    }

    /// Buckets of one cloud.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`].
    pub fn objects(&self, cloud: Cloud) -> Result<&dyn ObjectStore, CloudError> {
        match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => Ok(self.aws()?),
            #[cfg(not(feature = "aws"))]
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => Ok(self.aliyun()?),
        }
    }

    /// Monitoring of one cloud.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`].
    pub fn metrics(&self, cloud: Cloud) -> Result<&dyn Metrics, CloudError> {
        match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => Ok(self.aws()?),
            #[cfg(not(feature = "aws"))]
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => Ok(self.aliyun()?),
        }
    }

    /// Synchronisation jobs of one cloud.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`], also for AWS, whose jobs Lifeboat does not know yet.
    pub fn sync(&self, cloud: Cloud) -> Result<&dyn sync::Sync, CloudError> {
        match cloud {
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => Ok(self.aliyun()?),
        }
    }

    /// Tags of one cloud in a region; an empty name is the environment's own.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`].
    pub fn tags(&self, cloud: Cloud, region: &str) -> Result<Box<dyn Tags>, CloudError> {
        match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => self.aws().map(|aws| Box::new(if region.is_empty() { aws.clone() } else { aws.in_region(region) }) as _),
            #[cfg(not(feature = "aws"))]
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => self.aliyun().map(|aliyun| Box::new(if region.is_empty() { aliyun.clone() } else { aliyun.in_region(region) }) as _),
        }
    }

    /// The provider that serves `zone`, its DNS, and what the zone is to be called there; `written`: as the step says. Nobody is asked.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`] when nothing says which of two clouds it is, or when the environment has not that one.
    pub fn dns(&self, zone: &str, written: Option<Cloud>) -> Result<(Cloud, &dyn Dns, String), CloudError> {
        let (cloud, called) = self.zones.provider(zone, written).map_err(|unsaid| {
            let message = format!("{}; {}", unsaid.message, unsaid.hint);
            CloudError::new(written.unwrap_or(Cloud::Aws), "dns", Kind::Unconfigured, message)
        })?;
        match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => Ok((cloud, self.aws()?, called)),
            #[cfg(not(feature = "aws"))]
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => Ok((cloud, self.aliyun()?, called)),
        }
    }

    /// The account that the credentials of `cloud` belong to.
    ///
    /// # Errors
    /// [`Kind::Unconfigured`]; whatever asking ends in.
    pub async fn account(&self, cloud: Cloud) -> Result<String, CloudError> {
        match cloud {
            #[cfg(feature = "aws")]
            Cloud::Aws => self.aws()?.account().await,
            #[cfg(not(feature = "aws"))]
            Cloud::Aws => Err(self.unconfigured(cloud)),
            Cloud::Aliyun => self.aliyun()?.account().await,
        }
    }

    /// Closes and opens regions for everything that holds this run's clients.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Requests to services, each over a connection of its own.
    #[must_use]
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Names, asked anew every time.
    #[must_use]
    pub const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    fn unconfigured(&self, cloud: Cloud) -> CloudError {
        let message = format!("environment `{}` has no {cloud}; give it `{cloud}: {{ region: … }}` in lifeboat.yaml", self.environment);
        CloudError::new(cloud, "connect", Kind::Unconfigured, message)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Clients hold credentials.
        f.debug_struct("World").field("environment", &self.environment).finish_non_exhaustive()
    }
}
